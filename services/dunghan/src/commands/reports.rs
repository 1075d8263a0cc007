//! `reports`: what units hand over.

use std::collections::HashMap;

use chrono::{DateTime, FixedOffset, NaiveDate};
use dunghan_calendar::{Family, Period};
use dunghan_proto::submission as pb;
use dunghan_proto::submission::report::State;
use dunghan_proto::submission::value::{Figure, Qualifier, Role};
use dunghan_rpc::field::pb_date;
use serde::Serialize;

use crate::cli::{ClientArgs, Format, Reports, ReportsVerb, WhichReport};
use crate::client::{Client, PAGE};
use crate::failure::Failure;
use crate::input::{self, ReportFile, Target};
use crate::output::{self, Column, Rows, plain, show_date, show_due, show_period, show_time, word};

#[derive(Serialize)]
struct Report {
    name: String,
    regime: String,
    period: String,
    form: String,
    state: String,
    document: Document,
    values: Vec<Value>,
    findings: Vec<Finding>,
    revision: i32,
    receive_time: Option<DateTime<FixedOffset>>,
    receipt_evidence: Option<Evidence>,
    return_due_time: Option<DateTime<FixedOffset>>,
    declared_cut_off_date: Option<NaiveDate>,
    submitter: String,
    submitting_unit: Option<String>,
}

#[derive(Serialize)]
struct Document {
    number: String,
    symbol: String,
    document_date: Option<NaiveDate>,
    declared_periods: Vec<DeclaredPeriod>,
}

#[derive(Serialize)]
struct DeclaredPeriod {
    period: String,
    place: String,
}

#[derive(Serialize)]
struct Value {
    indicator: String,
    category: String,
    role: String,
    start_date: Option<NaiveDate>,
    end_date: Option<NaiveDate>,
    count: Option<i64>,
    ratio: Option<Ratio>,
    percent: Option<String>,
    text: Option<String>,
    qualifier: Option<String>,
    stated_percent: Option<String>,
    quote: String,
}

#[derive(Serialize)]
struct Ratio {
    numerator: i64,
    denominator: i64,
}

#[derive(Serialize)]
struct Finding {
    rule: String,
    severity: String,
    discrepancy: Option<String>,
    field: String,
    message: String,
    evidence: String,
    recomputed_percent: Option<String>,
}

#[derive(Serialize)]
struct Evidence {
    kind: String,
    reference: String,
}

impl From<pb::Report> for Report {
    fn from(report: pb::Report) -> Self {
        let document = report.document.clone().unwrap_or_default();
        Self {
            state: word(report.state().as_str_name(), "STATE_"),
            receive_time: output::time(report.receive_time.as_ref()),
            declared_cut_off_date: output::date(report.declared_cut_off_date.as_ref()),
            revision: report.revision,
            receipt_evidence: report.receipt_evidence.map(Evidence::from),
            return_due_time: output::time(report.return_due_time.as_ref()),
            document: Document {
                document_date: output::date(document.document_date.as_ref()),
                declared_periods: document
                    .declared_periods
                    .iter()
                    .map(|declared| DeclaredPeriod {
                        period: declared.period.clone(),
                        place: word(declared.place().as_str_name(), "PLACE_"),
                    })
                    .collect(),
                number: document.number,
                symbol: document.symbol,
            },
            name: report.name,
            regime: report.regime,
            period: report.period,
            form: report.form,
            values: report.values.into_iter().map(Value::from).collect(),
            findings: report.findings.into_iter().map(Finding::from).collect(),
            submitter: report.submitter,
            submitting_unit: Some(report.submitting_unit).filter(|unit| !unit.is_empty()),
        }
    }
}

impl From<pb::ReceiptEvidence> for Evidence {
    fn from(evidence: pb::ReceiptEvidence) -> Self {
        let kind = word(evidence.kind().as_str_name(), "KIND_");
        Self { kind, reference: evidence.reference }
    }
}

impl From<pb::Value> for Value {
    fn from(value: pb::Value) -> Self {
        let role = if value.role() == Role::Unspecified { Role::Actual } else { value.role() };
        let qualifier = Some(value.qualifier()).filter(|q| *q != Qualifier::Unspecified);
        let mut view = Self {
            role: word(role.as_str_name(), "ROLE_"),
            qualifier: qualifier.map(|qualifier| word(qualifier.as_str_name(), "QUALIFIER_")),
            start_date: output::date(value.start_date.as_ref()),
            end_date: output::date(value.end_date.as_ref()),
            indicator: value.indicator,
            category: value.category,
            count: None,
            ratio: None,
            percent: None,
            text: None,
            stated_percent: value.stated_percent.map(|percent| percent.value),
            quote: value.quote,
        };
        match value.figure {
            Some(Figure::Count(count)) => view.count = Some(count),
            Some(Figure::Ratio(pb::Ratio { numerator, denominator })) => {
                view.ratio = Some(Ratio { numerator, denominator });
            }
            Some(Figure::Percent(percent)) => view.percent = Some(percent.value),
            Some(Figure::Text(text)) => view.text = Some(text),
            None => {}
        }
        view
    }
}

impl From<pb::Finding> for Finding {
    fn from(finding: pb::Finding) -> Self {
        let discrepancy = Some(finding.discrepancy())
            .filter(|discrepancy| *discrepancy != pb::finding::Discrepancy::Unspecified);
        Self {
            severity: word(finding.severity().as_str_name(), "SEVERITY_"),
            discrepancy: discrepancy.map(|kind| word(kind.as_str_name(), "DISCREPANCY_")),
            rule: finding.rule,
            field: finding.field,
            message: finding.message,
            evidence: finding.evidence,
            recomputed_percent: finding.recomputed_percent.map(|percent| percent.value),
        }
    }
}

#[derive(Serialize)]
struct List {
    reports: Vec<Report>,
}

#[derive(Serialize)]
struct Act {
    kind: String,
    revision: i32,
    time: Option<DateTime<FixedOffset>>,
    record_time: Option<DateTime<FixedOffset>>,
    author: String,
    reason: Option<String>,
    receipt_evidence: Option<Evidence>,
    return_due_time: Option<DateTime<FixedOffset>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Report>,
}

impl From<pb::ReportAct> for Act {
    fn from(act: pb::ReportAct) -> Self {
        Self {
            kind: word(act.kind().as_str_name(), "KIND_"),
            revision: act.revision,
            time: output::time(act.act_time.as_ref()),
            record_time: output::time(act.record_time.as_ref()),
            author: act.author,
            reason: Some(act.reason).filter(|reason| !reason.is_empty()),
            receipt_evidence: act.receipt_evidence.map(Evidence::from),
            return_due_time: output::time(act.return_due_time.as_ref()),
            report: act.report.map(Report::from),
        }
    }
}

#[derive(Serialize)]
struct Acts {
    report: String,
    acts: Vec<Act>,
}

pub(super) async fn reports(args: Reports) -> Result<(), Failure> {
    let format = args.client.output;
    match args.verb {
        ReportsVerb::List { unit, regime, period, states, as_of } => {
            let client = Client::of(&args.client)?;
            let request = pb::ListReportsRequest {
                parent: client.unit_name_or_all(unit.as_ref(), as_of).await?,
                regime: regime.as_deref().map_or_else(String::new, input::regime_name),
                period: period.map_or_else(String::new, |period| period.to_string()),
                states: states.into_iter().map(i32::from).collect(),
                ..Default::default()
            };
            let reports = list(&client, request).await?.into_iter().map(Report::from).collect();
            let reports = List { reports };
            let units = match format {
                Format::Table => units(&client, &reports).await,
                Format::Json => HashMap::new(),
            };
            output::print(format, &reports, |reports| table(reports, &units))
        }
        ReportsVerb::Show { which } => {
            let (client, name) = named(&args.client, which).await?;
            let report = client.submission().get_report(pb::GetReportRequest { name }).await?;
            print(&client, format, report.into_inner(), show).await
        }
        ReportsVerb::Submit { file } => {
            let report = input::in_file(&file, input::report(&input::read(&file)?))?;
            let client = Client::of(&args.client)?;
            let report = submit(&client, report).await?;
            print(&client, format, report, show).await
        }
        ReportsVerb::Withdraw { which, reason } => {
            let (client, name) = named(&args.client, which).await?;
            let request = pb::WithdrawReportRequest {
                name,
                reason,
                request_id: uuid::Uuid::new_v4().to_string(),
                ..Default::default()
            };
            let report = client.submission().withdraw_report(request).await?;
            print(&client, format, report.into_inner(), head).await
        }
        ReportsVerb::Return { which, reason, until } => {
            let (client, name) = named(&args.client, which).await?;
            let request = pb::ReturnReportRequest {
                name,
                reason,
                due_date: Some(pb_date(until)),
                request_id: uuid::Uuid::new_v4().to_string(),
                ..Default::default()
            };
            let report = client.submission().return_report(request).await?;
            print(&client, format, report.into_inner(), head).await
        }
        ReportsVerb::Acts { which, with_reports } => {
            let (client, report) = named(&args.client, which).await?;
            let acts = acts(&client, &report, with_reports).await?;
            output::print(format, &Acts { report, acts }, acts_table)
        }
    }
}

/// The whole name of the report that is meant, and the client that found it.
async fn named(args: &ClientArgs, which: WhichReport) -> Result<(Client, String), Failure> {
    let WhichReport { target, regime, period, as_of } = which;
    let target = input::target(target, "/reports/", regime.as_deref(), period)?;
    let client = Client::of(args)?;
    let name = match target {
        Target::Name(name) => name,
        Target::Of { unit, regime, period } => {
            let parent = client.unit_name(&unit, as_of).await?;
            let none = format!("{unit} has no report under {regime} for {period}");
            let found = own(&client, parent, regime, period.to_string(), Vec::new()).await?;
            found.ok_or_else(|| Failure::Failed(anyhow::anyhow!(none)))?.name
        }
    };
    Ok((client, name))
}

/// One report, with the name of the agency that hands it over where people read it.
async fn print(
    client: &Client,
    format: Format,
    report: pb::Report,
    text: fn(&Report, String) -> String,
) -> Result<(), Failure> {
    let report = Report::from(report);
    let agency = match (format, &report.submitting_unit) {
        (Format::Table, Some(unit)) => client.label(unit, None).await,
        _ => String::new(),
    };
    output::print(format, &report, |report| text(report, agency))
}

async fn list(
    client: &Client,
    mut request: pb::ListReportsRequest,
) -> Result<Vec<pb::Report>, Failure> {
    request.page_size = PAGE;
    let mut reports = Vec::new();
    loop {
        let page = client.submission().list_reports(request.clone()).await?.into_inner();
        reports.extend(page.reports);
        if page.next_page_token.is_empty() {
            return Ok(reports);
        }
        request.page_token = page.next_page_token;
    }
}

async fn acts(client: &Client, report: &str, with_reports: bool) -> Result<Vec<Act>, Failure> {
    let mut request = pb::ListReportActsRequest {
        parent: report.to_owned(),
        with_reports,
        page_size: PAGE,
        ..Default::default()
    };
    let mut acts = Vec::new();
    loop {
        let page = client.submission().list_report_acts(request.clone()).await?.into_inner();
        acts.extend(page.acts.into_iter().map(Act::from));
        if page.next_page_token.is_empty() {
            return Ok(acts);
        }
        request.page_token = page.next_page_token;
    }
}

/// The unit's own report for one period, not those of units below it.
async fn own(
    client: &Client,
    parent: String,
    regime: String,
    period: String,
    states: Vec<i32>,
) -> Result<Option<pb::Report>, Failure> {
    let own = format!("{parent}/");
    let request = pb::ListReportsRequest { parent, regime, period, states, ..Default::default() };
    let found = list(client, request).await?;
    Ok(found.into_iter().find(|report| report.name.starts_with(&own)))
}

fn unit_of(report: &Report) -> &str {
    report.name.split("/reports/").next().unwrap_or_default()
}

/// The names of the units that report, each on the cut-off day of its period.
async fn units(client: &Client, list: &List) -> HashMap<String, String> {
    let mut units = HashMap::new();
    for report in &list.reports {
        let unit = unit_of(report);
        if units.contains_key(unit) {
            continue;
        }
        let period = report.period.parse::<Period>().ok();
        let as_of = period.map(|period| period.window(Family::Nd09).cut_off);
        let shown = client.label(unit, as_of).await;
        units.insert(unit.to_owned(), shown);
    }
    units
}

/// Creates the report of a file and hands it over. A draft that is there already, from an attempt that was refused, is
/// replaced, and so is what a report said that was sent back.
pub(crate) async fn submit(client: &Client, file: ReportFile) -> Result<pb::Report, Failure> {
    let parent = client.unit_name(&file.unit, None).await?;
    let submitting_unit = client.unit_name_or_all(file.submitting_unit.as_ref(), None).await?;
    let report = pb::Report { submitting_unit, ..file.report };
    let request = pb::CreateReportRequest {
        parent: parent.clone(),
        report: Some(report.clone()),
        request_id: uuid::Uuid::new_v4().to_string(),
    };
    let draft = match client.submission().create_report(request).await {
        Ok(draft) => draft.into_inner(),
        Err(status) => replace(client, &parent, report, status.into()).await?,
    };
    let (asserted_receive_time, receipt_evidence) = file.receipt.unzip();
    let request = pb::SubmitReportRequest {
        name: draft.name,
        etag: draft.etag,
        request_id: uuid::Uuid::new_v4().to_string(),
        asserted_receive_time,
        receipt_evidence,
    };
    Ok(client.submission().submit_report(request).await?.into_inner())
}

async fn replace(
    client: &Client,
    parent: &str,
    report: pb::Report,
    refused: Failure,
) -> Result<pb::Report, Failure> {
    if refused.reason().as_deref() != Some("REPORT_EXISTS") {
        return Err(refused);
    }
    let states = vec![State::Draft.into(), State::Returned.into()];
    let (regime, period) = (report.regime.clone(), report.period.clone());
    let Some(draft) = own(client, parent.to_owned(), regime, period, states).await? else {
        return Err(refused);
    };
    let report = pb::Report { name: draft.name, etag: draft.etag, ..report };
    let request = pb::UpdateReportRequest { report: Some(report), update_mask: None };
    Ok(client.submission().update_report(request).await?.into_inner())
}

fn table(list: &List, units: &HashMap<String, String>) -> String {
    use Column::{Number, Text};
    let mut rows = Rows::new(&[
        Text("Unit"),
        Text("Regime"),
        Text("Period"),
        Text("State"),
        Text("Received"),
        Number("Findings"),
    ]);
    for report in &list.reports {
        rows.row([
            units.get(unit_of(report)).cloned().unwrap_or_default(),
            report.regime.trim_start_matches("regimes/").to_owned(),
            show_period(&report.period),
            plain(&report.state),
            show_time(report.receive_time),
            report.findings.len().to_string(),
        ]);
    }
    rows.text()
}

/// The last date on which a report that was sent back is on time again; nothing where it was not.
fn until(due: Option<DateTime<FixedOffset>>) -> String {
    if due.is_some() { show_due(due) } else { String::new() }
}

fn acts_table(acts: &Acts) -> String {
    use Column::{Number, Text};
    let mut rows = Rows::new(&[
        Text("When"),
        Text("What"),
        Number("Revision"),
        Text("By"),
        Text("Until"),
        Text("Why"),
    ]);
    for act in &acts.acts {
        let evidence = act.receipt_evidence.as_ref();
        let grounds = evidence.map(|e| format!("{} ({})", e.reference, plain(&e.kind)));
        rows.row([
            show_time(act.time),
            plain(&act.kind),
            act.revision.to_string(),
            act.author.clone(),
            until(act.return_due_time),
            act.reason.clone().or(grounds).unwrap_or_default(),
        ]);
    }
    rows.text()
}

/// Which report it is and where it stands, without what it says.
fn head(report: &Report, agency: String) -> String {
    let document = &report.document;
    let number = [document.number.as_str(), document.symbol.as_str()].join("/");
    let evidence = report.receipt_evidence.as_ref();
    let revision = if report.revision > 0 { report.revision.to_string() } else { String::new() };
    output::pairs(&[
        ("Report", report.name.clone()),
        ("Regime", report.regime.clone()),
        ("Period", show_period(&report.period)),
        ("State", plain(&report.state)),
        ("Revision", revision),
        ("To be mended by", until(report.return_due_time)),
        ("Received", show_time(report.receive_time)),
        (
            "By",
            evidence.map_or_else(String::new, |e| format!("{} ({})", e.reference, plain(&e.kind))),
        ),
        ("Number", if number == "/" { String::new() } else { number }),
        ("Dated", show_date(document.document_date)),
        ("Declared cut-off", show_date(report.declared_cut_off_date)),
        ("Handed over for it by", agency),
    ])
}

fn show(report: &Report, agency: String) -> String {
    use Column::{Number, Text};
    let mut text = head(report, agency);
    let mut values = Rows::new(&[
        Text("Indicator"),
        Text("Category"),
        Text("Until"),
        Number("Figure"),
        Number("Stated %"),
    ]);
    for value in &report.values {
        values.row([
            format!("{}{}", value.indicator, role(&value.role)),
            value.category.clone(),
            show_date(value.end_date),
            figure(value),
            value.stated_percent.clone().unwrap_or_default(),
        ]);
    }
    text.push_str(&format!("\n\n{}", values.text()));
    if !report.findings.is_empty() {
        let mut findings =
            Rows::new(&[Text("Severity"), Text("Rule"), Text("Finding"), Text("Evidence")]);
        for finding in &report.findings {
            findings.row([
                plain(&finding.severity),
                plain(finding.discrepancy.as_ref().unwrap_or(&finding.rule)),
                finding.message.clone(),
                finding.evidence.clone(),
            ]);
        }
        text.push_str(&format!("\n\n{}", findings.text()));
    }
    text
}

fn role(role: &str) -> String {
    if role == "ACTUAL" { String::new() } else { format!(" ({})", plain(role)) }
}

fn figure(value: &Value) -> String {
    let qualifier = match value.qualifier.as_deref() {
        Some("MORE_THAN") => "> ",
        Some("ABOUT") => "~ ",
        Some("ABOUT_MORE_THAN") => "~> ",
        _ => "",
    };
    let figure = match (value.count, &value.ratio, &value.percent, &value.text) {
        (Some(count), ..) => count.to_string(),
        (_, Some(ratio), ..) => format!("{}/{}", ratio.numerator, ratio.denominator),
        (_, _, Some(percent), _) => format!("{percent} %"),
        (_, _, _, Some(text)) => text.clone(),
        (None, None, None, None) => String::new(),
    };
    format!("{qualifier}{figure}")
}

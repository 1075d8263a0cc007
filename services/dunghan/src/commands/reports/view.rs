//! Reports as people and programs read them.

use std::collections::HashMap;

use chrono::{DateTime, FixedOffset, NaiveDate};
use dunghan_proto::submission as pb;
use dunghan_proto::submission::report::State;
use dunghan_proto::submission::value::{Figure, Qualifier, Role};
use serde::Serialize;

use crate::client::Client;
use crate::failure::Failure;
use crate::output::{
    self, Column, Rows, hang, many, plain, show_date, show_due, show_name, show_period, show_time,
    word,
};

#[derive(Serialize)]
pub(super) struct Report {
    name: String,
    regime: String,
    pub(super) period: String,
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
    nil: bool,
    review_levels: i32,
    acceptances: Vec<Acceptance>,
    arrival: Option<Evidence>,
    attached_files: Vec<File>,
    etag: String,
    pub(super) submitting_unit: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Document {
    number: String,
    symbol: String,
    document_date: Option<NaiveDate>,
    declared_periods: Vec<DeclaredPeriod>,
    declared_units: Vec<DeclaredUnit>,
}

#[derive(Serialize)]
pub(super) struct DeclaredPeriod {
    period: String,
    place: String,
}

#[derive(Serialize)]
pub(super) struct DeclaredUnit {
    display_name: String,
    place: String,
}

#[derive(Serialize)]
pub(super) struct Value {
    indicator: String,
    category: String,
    role: String,
    start_date: Option<NaiveDate>,
    end_date: Option<NaiveDate>,
    count: Option<i64>,
    ratio: Option<Ratio>,
    percent: Option<String>,
    text: Option<String>,
    /// In đồng.
    money: Option<i64>,
    choice: Option<String>,
    qualifier: Option<String>,
    stated_percent: Option<String>,
    /// How the stated percentage stands to its parts.
    discrepancy: Option<String>,
    quote: String,
}

#[derive(Serialize)]
pub(super) struct Ratio {
    numerator: i64,
    denominator: i64,
}

#[derive(Serialize)]
pub(super) struct Finding {
    key: String,
    rule: String,
    severity: String,
    discrepancy: Option<String>,
    field: String,
    message: String,
    message_en: String,
    evidence: String,
    recomputed_percent: Option<String>,
    values: Vec<Involved>,
    justification: Option<String>,
}

/// A figure that a finding is about.
#[derive(Serialize)]
struct Involved {
    field: String,
    indicator: String,
    category: String,
    figure: String,
    quote: String,
}

impl From<pb::InvolvedValue> for Involved {
    fn from(value: pb::InvolvedValue) -> Self {
        let pb::InvolvedValue { field, indicator, category, figure, quote } = value;
        Self { field, indicator, category, figure, quote }
    }
}

#[derive(Serialize)]
struct Acceptance {
    level: i32,
    author: String,
    accept_time: Option<DateTime<FixedOffset>>,
    comment: Option<String>,
}

impl From<pb::Acceptance> for Acceptance {
    fn from(acceptance: pb::Acceptance) -> Self {
        Self {
            level: acceptance.level,
            author: acceptance.author,
            accept_time: output::time(acceptance.accept_time.as_ref()),
            comment: Some(acceptance.comment).filter(|comment| !comment.is_empty()),
        }
    }
}

#[derive(Serialize)]
struct File {
    attachment: String,
    file_name: String,
    size_bytes: i64,
    sha256: String,
}

impl From<pb::AttachedFile> for File {
    fn from(file: pb::AttachedFile) -> Self {
        let pb::AttachedFile { attachment, file_name, size_bytes, sha256 } = file;
        Self { attachment, file_name, size_bytes, sha256 }
    }
}

#[derive(PartialEq, Eq, Serialize)]
pub(super) struct Evidence {
    kind: String,
    reference: String,
}

impl Evidence {
    fn text(&self) -> String {
        format!("{} ({})", self.reference, plain(&self.kind))
    }
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
                declared_units: document
                    .declared_units
                    .iter()
                    .map(|declared| DeclaredUnit {
                        display_name: declared.display_name.clone(),
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
            nil: report.nil,
            review_levels: report.review_levels,
            acceptances: report.acceptances.into_iter().map(Acceptance::from).collect(),
            arrival: report.arrival.map(Evidence::from),
            attached_files: report.attached_files.into_iter().map(File::from).collect(),
            etag: report.etag,
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
        let discrepancy = Some(value.discrepancy())
            .filter(|discrepancy| *discrepancy != pb::Discrepancy::Unspecified);
        let mut view = Self {
            discrepancy: discrepancy.map(|kind| word(kind.as_str_name(), "DISCREPANCY_")),
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
            money: None,
            choice: None,
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
            Some(Figure::Money(money)) => view.money = Some(money),
            Some(Figure::Choice(choice)) => view.choice = Some(choice),
            None => {}
        }
        view
    }
}

impl From<pb::Finding> for Finding {
    fn from(finding: pb::Finding) -> Self {
        let discrepancy = Some(finding.discrepancy())
            .filter(|discrepancy| *discrepancy != pb::Discrepancy::Unspecified);
        Self {
            severity: word(finding.severity().as_str_name(), "SEVERITY_"),
            discrepancy: discrepancy.map(|kind| word(kind.as_str_name(), "DISCREPANCY_")),
            rule: finding.rule,
            field: finding.field,
            message: finding.message,
            evidence: finding.evidence,
            recomputed_percent: finding.recomputed_percent.map(|percent| percent.value),
            key: finding.key,
            message_en: finding.message_en,
            values: finding.values.into_iter().map(Involved::from).collect(),
            justification: Some(finding.justification).filter(|text| !text.is_empty()),
        }
    }
}

#[derive(Serialize)]
pub(super) struct List {
    pub(super) reports: Vec<Report>,
}

#[derive(Serialize)]
pub(super) struct Act {
    kind: String,
    revision: i32,
    time: Option<DateTime<FixedOffset>>,
    record_time: Option<DateTime<FixedOffset>>,
    author: String,
    reason: Option<String>,
    receipt_evidence: Option<Evidence>,
    return_due_time: Option<DateTime<FixedOffset>>,
    review_level: Option<i32>,
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
            review_level: Some(act.review_level).filter(|level| *level > 0),
            report: act.report.map(Report::from),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Acts {
    pub(super) report: String,
    pub(super) acts: Vec<Act>,
}

/// Who a report is of, as people know them; empty where programs read it.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) unit: String,
    /// That hands it over, where that is not the unit itself.
    pub(super) agency: String,
}

pub(super) fn unit_of(report: &Report) -> &str {
    report.name.split("/reports/").next().unwrap_or_default()
}

pub(super) fn table(list: &List, units: &HashMap<String, String>) -> String {
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
pub(super) fn until(due: Option<DateTime<FixedOffset>>) -> String {
    if due.is_some() { show_due(due) } else { String::new() }
}

pub(super) fn acts_table(acts: &Acts) -> String {
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
        let grounds = act.receipt_evidence.as_ref().map(Evidence::text);
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

fn state(report: &Report) -> String {
    let nil = if report.nil { " (nil)" } else { "" };
    format!("{}{nil}", plain(&report.state))
}

/// Who accepted it at which level, of how many.
fn acceptances(report: &Report) -> String {
    let accepted = report.acceptances.iter().map(|one| {
        let comment = one.comment.as_ref().map_or_else(String::new, |text| format!(": {text}"));
        let level = format!("{} of {}", one.level, report.review_levels);
        format!("{level} by {} at {}{comment}", one.author, show_time(one.accept_time))
    });
    accepted.collect::<Vec<_>>().join("; ")
}

fn files(report: &Report) -> String {
    let files = report.attached_files.iter();
    files.map(|file| file.file_name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Which report it is and where it stands, without what it says.
pub(super) fn head(report: &Report, names: &Names) -> String {
    let document = &report.document;
    let number = [document.number.as_str(), document.symbol.as_str()].join("/");
    let evidence = report.receipt_evidence.as_ref();
    // What counted is said already.
    let arrival = report.arrival.as_ref().filter(|arrival| Some(*arrival) != evidence);
    let arrival = arrival.map_or_else(String::new, |arrival| {
        format!("{}; this did not fix when it was received", arrival.text())
    });
    let revision = if report.revision > 0 { report.revision.to_string() } else { String::new() };
    output::pairs(&[
        ("Unit", names.unit.clone()),
        ("Report", show_name(&report.name)),
        ("Regime", report.regime.clone()),
        ("Period", show_period(&report.period)),
        ("State", state(report)),
        ("Revision", revision),
        ("To be mended by", until(report.return_due_time)),
        ("Received", show_time(report.receive_time)),
        ("By", evidence.map_or_else(String::new, Evidence::text)),
        ("Arrived as", arrival),
        ("Number", if number == "/" { String::new() } else { number }),
        ("Dated", show_date(document.document_date)),
        ("Declared cut-off", show_date(report.declared_cut_off_date)),
        ("Handed over for it by", names.agency.clone()),
        ("Accepted", acceptances(report)),
        ("Files", files(report)),
        ("Etag", report.etag.clone()),
    ])
}

pub(super) fn show(report: &Report, names: &Names) -> String {
    let mut text = head(report, names);
    text.push_str(&format!("\n\n{}", figures(&report.values)));
    let found = findings(report);
    if !found.is_empty() {
        text.push_str(&format!("\n\n{found}"));
    }
    text
}

/// The figures: those outside of tables, then row by row.
fn figures(values: &[Value]) -> String {
    use Column::{Number, Text};
    let mut categories: Vec<&str> = Vec::new();
    for value in values {
        if !categories.contains(&value.category.as_str()) {
            categories.push(&value.category);
        }
    }
    let name = |value: &Value| format!("{}{}", value.indicator, role(&value.role));
    let indicators: Vec<_> = values.iter().map(name).collect();
    let indicators = output::keys("Indicator", indicators.iter().map(String::as_str));
    let columns = [indicators, Text("Until"), Number("Figure"), Number("Stated %")];
    let parts = categories.into_iter().map(|category| {
        let mut rows = Rows::new(&columns);
        for value in values.iter().filter(|value| value.category == category) {
            let stated = value.stated_percent.clone().unwrap_or_default();
            rows.row([name(value), show_date(value.end_date), figure(value), stated]);
        }
        let rows = rows.text();
        if category.is_empty() { rows } else { format!("{}\n\n{rows}", hang("", "", category)) }
    });
    let parts: Vec<_> = parts.collect();
    if parts.is_empty() { "No figures.".to_owned() } else { parts.join("\n\n") }
}

/// What the checks say of a draft.
pub(super) fn checked(report: &Report, names: &Names) -> String {
    let found = findings(report);
    let found = if found.is_empty() { "No findings.".to_owned() } else { found };
    format!("{}\n\n{found}", head(report, names))
}

/// What the checks say, the worst first: each with its evidence, its kind and its key on one line, and with the unit's answer.
pub(super) fn findings(report: &Report) -> String {
    let mut text = Vec::new();
    for (severity, one, several) in [
        ("BLOCKING", "blocks the report", "block the report"),
        ("ERROR", "error", "errors"),
        ("WARNING", "warning", "warnings"),
        ("INFO", "note", "notes"),
    ] {
        let of = report.findings.iter().filter(|finding| finding.severity == severity);
        let of: Vec<_> = of.collect();
        if of.is_empty() {
            continue;
        }
        text.push(many(of.len(), one, several));
        for finding in of {
            text.push(hang("  ", "  ", &finding.message));
            let kind = plain(finding.discrepancy.as_ref().unwrap_or(&finding.rule));
            // By its key it is answered.
            let evidence = format!("{} [{kind} {}]", finding.evidence, finding.key);
            text.push(hang("    ", "    ", &evidence));
            if let Some(justification) = &finding.justification {
                text.push(hang("    ", "      ", &format!("Answer: {justification}")));
            }
        }
    }
    text.join("\n")
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
        (None, None, None, None) => match (value.money, &value.choice) {
            (Some(money), _) => format!("{money} đ"),
            (None, choice) => choice.clone().unwrap_or_default(),
        },
    };
    format!("{qualifier}{figure}")
}

/// What two revisions of a report say differently.
#[derive(Serialize)]
pub(super) struct Changes {
    report: String,
    from_revision: i32,
    /// 0: the report as it stands.
    to_revision: i32,
    changes: Vec<Change>,
}

#[derive(Serialize)]
struct Change {
    field: String,
    indicator: String,
    category: String,
    display_name: String,
    old_text: String,
    new_text: String,
}

impl Changes {
    /// Between these two; where nothing is said, between the last but one and the report as it stands.
    pub(super) async fn between(
        client: &Client,
        report: String,
        from: Option<i32>,
        to: Option<i32>,
    ) -> Result<Self, Failure> {
        let to_revision = to.unwrap_or(0);
        let from_revision = match (from, to) {
            (Some(from), _) => from,
            (None, Some(to)) => to - 1,
            (None, None) => {
                let request = pb::GetReportRequest { name: report.clone() };
                let stands = client.submission().get_report(request).await?.into_inner();
                // What was handed over is the last revision itself; a draft comes after it.
                let editable = matches!(stands.state(), State::Draft | State::Returned);
                stands.revision - i32::from(!editable)
            }
        };
        let request = pb::DiffRevisionsRequest { name: report.clone(), from_revision, to_revision };
        let found = client.submission().diff_revisions(request).await?.into_inner();
        let changes = found.changes.into_iter().map(|change| Change {
            field: change.field,
            indicator: change.indicator,
            category: change.category,
            display_name: change.display_name,
            old_text: change.old_text,
            new_text: change.new_text,
        });
        Ok(Self { report, from_revision, to_revision, changes: changes.collect() })
    }

    pub(super) fn text(&self) -> String {
        let to = match self.to_revision {
            0 => "the report as it stands".to_owned(),
            revision => format!("revision {revision}"),
        };
        let mut lines = vec![format!("From revision {} to {to}", self.from_revision)];
        for change in &self.changes {
            let row = match change.category.as_str() {
                "" => String::new(),
                category => format!(" ({category})"),
            };
            lines.push(hang("", "  ", &format!("{}{row}", change.display_name)));
            for (sign, text) in [("- ", &change.old_text), ("+ ", &change.new_text)] {
                lines.extend(text.lines().map(|line| hang(&format!("  {sign}"), "    ", line)));
            }
        }
        if self.changes.is_empty() {
            lines.push("Nothing has changed.".to_owned());
        }
        lines.join("\n")
    }
}

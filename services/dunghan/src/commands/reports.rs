//! `reports`: what units hand over.

mod blank;
mod import;
mod receipt;
mod view;

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use chrono::NaiveDate;
use dunghan_calendar::{Family, Period};
use dunghan_proto::submission as pb;
use dunghan_proto::submission::report::State;
use dunghan_rpc::field::pb_date;

use crate::cli::{ClientArgs, Format, Reports, ReportsVerb, WhichReport};
use crate::client::{Client, PAGE};
use crate::failure::Failure;
use crate::input::{self, ReportFile, Target};
use crate::output;
use view::{
    Act, Acts, Changes, List, Names, Report, acts_table, checked, head, show, table, unit_of,
};

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
        ReportsVerb::New { unit, regime, period, file } => {
            let client = Client::of(&args.client)?;
            blank::write(&client, &unit, &regime, period, file.as_deref()).await
        }
        ReportsVerb::Check { file } => {
            let report = input::in_file(&file, input::report(&input::read(&file)?))?;
            let client = Client::of(&args.client)?;
            let report = draft(&client, &report).await?;
            print(&client, format, report, checked).await
        }
        ReportsVerb::Nil { unit, regime, period, document, dated, as_of } => {
            let client = Client::of(&args.client)?;
            let request = pb::SubmitNilReportRequest {
                parent: client.unit_name(&unit, as_of).await?,
                regime: input::regime_name(&regime),
                period: period.to_string(),
                document: document.map(|text| {
                    // 103/BC-UBND: the symbol may have strokes of its own, the number has none.
                    let (number, symbol) = text.split_once('/').unwrap_or((&text, ""));
                    pb::Document {
                        number: number.trim().to_owned(),
                        symbol: symbol.trim().to_owned(),
                        document_date: dated.map(pb_date),
                        ..pb::Document::default()
                    }
                }),
                request_id: uuid::Uuid::new_v4().to_string(),
                ..Default::default()
            };
            let report = client.submission().submit_nil_report(request).await?;
            print(&client, format, report.into_inner(), head).await
        }
        ReportsVerb::Justify { which, finding, text } => {
            let (client, name) = named(&args.client, which).await?;
            let report = client.submission().get_report(pb::GetReportRequest { name }).await?;
            let mut report = report.into_inner();
            report.justifications.retain(|one| one.finding_key != finding);
            report.justifications.push(pb::Justification { finding_key: finding, text });
            let mask = prost_types::FieldMask { paths: vec!["justifications".to_owned()] };
            let request = pb::UpdateReportRequest { report: Some(report), update_mask: Some(mask) };
            let report = client.submission().update_report(request).await?;
            print(&client, format, report.into_inner(), checked).await
        }
        ReportsVerb::Accept { which, comment, revision, etag } => {
            let (client, name) = named(&args.client, which).await?;
            let etag = match etag {
                Some(etag) => etag,
                None => etag_of(&client, &name, revision.unwrap_or_default()).await?,
            };
            let request = pb::AcceptReportRequest {
                name,
                etag,
                comment: comment.unwrap_or_default(),
                request_id: uuid::Uuid::new_v4().to_string(),
            };
            let report = client.submission().accept_report(request).await?;
            print(&client, format, report.into_inner(), head).await
        }
        ReportsVerb::Diff { which, from, to } => {
            let (client, name) = named(&args.client, which).await?;
            let changes = Changes::between(&client, name, from, to).await?;
            output::print(format, &changes, Changes::text)
        }
        ReportsVerb::Receipt { verb } => receipt::receipt(&args.client, verb).await,
        ReportsVerb::Import { file, below, submit, dry_run, staged, as_of } => match (file, staged)
        {
            (Some(file), _) => {
                let rows = import::rows(&input::read(&file)?);
                let rows = input::in_file(&file, rows)?;
                let client = Client::of(&args.client)?;
                let how = import::How { below, as_of, submit, dry_run };
                import::import(&client, format, rows, how).await
            }
            (None, Some(id)) => {
                let client = Client::of(&args.client)?;
                let below = client.unit_name(&below, as_of).await?;
                import::staged(&client, format, format!("{below}/reportImports/{id}"), dry_run)
                    .await
            }
            // The arguments ask for one of both.
            (None, None) => Ok(()),
        },
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
pub(super) async fn named(
    args: &ClientArgs,
    which: WhichReport,
) -> Result<(Client, String), Failure> {
    let WhichReport { target, regime, period, as_of } = which;
    let target = input::target(target, "/reports/", regime.as_deref(), period)?;
    let client = Client::of(args)?;
    let name = match target {
        Target::Name(name) => name,
        Target::Of { unit, regime, period } => {
            let parent = client.unit_name(&unit, as_of).await?;
            let none = format!("{unit} has no report under {regime} for {period}");
            let (period, unit_only) = (period.to_string(), true);
            let request =
                pb::ListReportsRequest { parent, regime, period, unit_only, ..Default::default() };
            let found = list(&client, request).await?.pop();
            found.ok_or_else(|| Failure::Failed(anyhow::anyhow!(none)))?.name
        }
    };
    Ok((client, name))
}

/// Writes a text to a new file: what somebody filled in or keeps is not written over.
fn keep(file: &Path, text: &str) -> Result<(), Failure> {
    let written = OpenOptions::new().write(true).create_new(true).open(file);
    let written = written.and_then(|mut file| file.write_all(format!("{text}\n").as_bytes()));
    Ok(written.with_context(|| format!("{} cannot be written", file.display()))?)
}

/// One report, with the names of its unit and of the agency that hands it over where people read it.
async fn print(
    client: &Client,
    format: Format,
    report: pb::Report,
    text: fn(&Report, &Names) -> String,
) -> Result<(), Failure> {
    let report = Report::from(report);
    let mut names = Names::default();
    if format == Format::Table {
        names.unit = client.label(unit_of(&report), cut_off(&report)).await;
        if let Some(agency) = &report.submitting_unit {
            names.agency = client.label(agency, None).await;
        }
    }
    output::print(format, &report, |report| text(report, &names))
}

/// The cut-off day of its period, on which its unit has the name that it reports under.
fn cut_off(report: &Report) -> Option<NaiveDate> {
    let period = report.period.parse::<Period>().ok()?;
    Some(period.window(Family::Nd09).cut_off)
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

/// The etag of the revision that was read.
///
/// Errors: it is not the one that stands, or nothing is handed over.
async fn etag_of(client: &Client, name: &str, read: i32) -> Result<String, Failure> {
    let request = pb::GetReportRequest { name: name.to_owned() };
    let report = client.submission().get_report(request).await?.into_inner();
    // While it can be written it is no revision, and the server says so.
    let editable = matches!(report.state(), State::Draft | State::Returned);
    if editable || report.revision == read {
        return Ok(report.etag);
    }
    let stands = report.revision;
    let says = format!("revision {read} was read and revision {stands} stands: read that first");
    Err(Failure::Failed(anyhow::anyhow!(says)))
}

/// The names of the units that report, each on the cut-off day of its period.
async fn units(client: &Client, list: &List) -> HashMap<String, String> {
    let mut units = HashMap::new();
    for report in &list.reports {
        let unit = unit_of(report);
        if units.contains_key(unit) {
            continue;
        }
        let shown = client.label(unit, cut_off(report)).await;
        units.insert(unit.to_owned(), shown);
    }
    units
}

/// Keeps the report of a file as a draft. A draft that is there already is replaced, and so is what a report said that was
/// sent back.
async fn draft(client: &Client, file: &ReportFile) -> Result<pb::Report, Failure> {
    let parent = client.unit_name(&file.unit, None).await?;
    let submitting_unit = client.unit_name_or_all(file.submitting_unit.as_ref(), None).await?;
    let report = pb::Report { submitting_unit, ..file.report.clone() };
    let request = pb::CreateReportRequest {
        parent: parent.clone(),
        report: Some(report.clone()),
        request_id: uuid::Uuid::new_v4().to_string(),
    };
    match client.submission().create_report(request).await {
        Ok(draft) => Ok(draft.into_inner()),
        Err(status) => replace(client, report, status.into()).await,
    }
}

/// Creates the report of a file and hands it over. A draft that is there already, from an attempt that was refused, is
/// replaced, and so is what a report said that was sent back.
pub(crate) async fn submit(client: &Client, file: ReportFile) -> Result<pb::Report, Failure> {
    let draft = draft(client, &file).await?;
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

/// Writes over the report that is there, where it can still be written; else it was refused for good.
async fn replace(
    client: &Client,
    report: pb::Report,
    refused: Failure,
) -> Result<pb::Report, Failure> {
    let there = (refused.reason().as_deref() == Some("REPORT_EXISTS"))
        .then(|| refused.metadata("report"))
        .flatten();
    let Some(name) = there else { return Err(refused) };
    let there = client.submission().get_report(pb::GetReportRequest { name }).await?.into_inner();
    if !matches!(there.state(), State::Draft | State::Returned) {
        return Err(refused);
    }
    let report = pb::Report { name: there.name, etag: there.etag, ..report };
    let request = pb::UpdateReportRequest { report: Some(report), update_mask: None };
    Ok(client.submission().update_report(request).await?.into_inner())
}

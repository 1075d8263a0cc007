//! `dossiers` and `overdue`: administrative procedure files and their clocks.

use chrono::{DateTime, FixedOffset, NaiveDate};
use dunghan_proto::compliance as pb;
use dunghan_rpc::field::pb_time;
use serde::Serialize;

use crate::cli::{Dossiers, DossiersVerb, Overdue};
use crate::client::{Client, PAGE};
use crate::failure::Failure;
use crate::input::{self, DossierRow};
use crate::output::{self, Column, Rows, plain, show_due, show_time, word};

#[derive(Serialize)]
struct Dossier {
    name: String,
    field: String,
    channel: String,
    receive_time: Option<DateTime<FixedOffset>>,
    term: String,
    due_time: Option<DateTime<FixedOffset>>,
    due_date: Option<NaiveDate>,
    outcome: String,
    outcome_in_fact: String,
    working_days_late: i32,
}

impl From<pb::Dossier> for Dossier {
    fn from(dossier: pb::Dossier) -> Self {
        Self {
            channel: word(dossier.channel().as_str_name(), "CHANNEL_"),
            receive_time: output::time(dossier.receive_time.as_ref()),
            due_time: output::time(dossier.due_time.as_ref()),
            due_date: output::date(dossier.due_date.as_ref()),
            outcome: word(dossier.outcome().as_str_name(), "OUTCOME_"),
            outcome_in_fact: word(dossier.outcome_in_fact().as_str_name(), "OUTCOME_"),
            name: dossier.name,
            field: dossier.field,
            term: dossier.term,
            working_days_late: dossier.working_days_late,
        }
    }
}

/// One dossier, with each time its due time moved.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    dossier: Dossier,
    complete_time: Option<DateTime<FixedOffset>>,
    record_time: Option<DateTime<FixedOffset>>,
    due_changes: Vec<DueChange>,
}

#[derive(Serialize)]
struct DueChange {
    old_due_time: Option<DateTime<FixedOffset>>,
    new_due_time: Option<DateTime<FixedOffset>>,
    amendment: String,
    reason: String,
    author: String,
    create_time: Option<DateTime<FixedOffset>>,
}

impl From<pb::Dossier> for Shown {
    fn from(mut dossier: pb::Dossier) -> Self {
        let due_changes = std::mem::take(&mut dossier.due_changes).into_iter();
        let due_changes = due_changes.map(|change| DueChange {
            old_due_time: output::time(change.old_due_time.as_ref()),
            new_due_time: output::time(change.new_due_time.as_ref()),
            amendment: change.amendment,
            reason: change.reason,
            author: change.author,
            create_time: output::time(change.create_time.as_ref()),
        });
        Self {
            due_changes: due_changes.collect(),
            complete_time: output::time(dossier.complete_time.as_ref()),
            record_time: output::time(dossier.record_time.as_ref()),
            dossier: dossier.into(),
        }
    }
}

impl Shown {
    fn text(&self) -> String {
        let Dossier { name, field, channel, receive_time, term, .. } = &self.dossier;
        let mut text = output::pairs(&[
            ("Dossier", name.rsplit('/').next().unwrap_or_default().to_owned()),
            ("Field", field.clone()),
            ("Channel", plain(channel)),
            ("Received", show_time(*receive_time)),
            ("Term", term.clone()),
            ("Due", show_due(self.dossier.due_time)),
            ("Completed", show_time(self.complete_time)),
            ("Recorded", show_time(self.record_time)),
            ("As recorded", plain(&self.dossier.outcome)),
            ("In fact", plain(&self.dossier.outcome_in_fact)),
            ("Days late", self.dossier.working_days_late.to_string()),
        ]);
        if !self.due_changes.is_empty() {
            let mut rows = Rows::new(&[
                Column::Whole("Was due"),
                Column::Whole("Is due"),
                Column::Text("Why"),
            ]);
            for change in &self.due_changes {
                let (old, new) = (show_due(change.old_due_time), show_due(change.new_due_time));
                rows.row([old, new, format!("{}: {}", change.amendment, change.reason)]);
            }
            text = format!("{text}\n\n{}", rows.text());
        }
        text
    }
}

#[derive(Serialize)]
struct OverdueList {
    dossiers: Vec<Dossier>,
}

#[derive(Serialize)]
struct Recorded {
    received_count: i32,
    created_count: i32,
    updated_count: i32,
    unchanged_count: i32,
}

#[derive(Serialize)]
struct Summary {
    unit: String,
    period: String,
    recorded_rows: Vec<SummaryRow>,
    recorded_total: SummaryRow,
    in_fact_rows: Vec<SummaryRow>,
    in_fact_total: SummaryRow,
}

/// A row of form II.06a.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct SummaryRow {
    pub(crate) field: String,
    pub(crate) to_process: i32,
    pub(crate) received_online: i32,
    pub(crate) received_direct_or_postal: i32,
    pub(crate) carried_over: i32,
    pub(crate) resolved: i32,
    pub(crate) resolved_early: i32,
    pub(crate) resolved_on_time: i32,
    pub(crate) resolved_overdue: i32,
    pub(crate) pending: i32,
    pub(crate) pending_in_time: i32,
    pub(crate) pending_overdue: i32,
}

impl From<pb::SummaryRow> for SummaryRow {
    fn from(row: pb::SummaryRow) -> Self {
        Self {
            field: row.field,
            to_process: row.to_process,
            received_online: row.received_online,
            received_direct_or_postal: row.received_direct_or_postal,
            carried_over: row.carried_over,
            resolved: row.resolved,
            resolved_early: row.resolved_early,
            resolved_on_time: row.resolved_on_time,
            resolved_overdue: row.resolved_overdue,
            pending: row.pending,
            pending_in_time: row.pending_in_time,
            pending_overdue: row.pending_overdue,
        }
    }
}

pub(super) async fn dossiers(args: Dossiers) -> Result<(), Failure> {
    let format = args.client.output;
    match args.verb {
        DossiersVerb::Import { file, unit, as_of } => {
            let rows = input::in_file(&file, input::dossiers(&input::read(&file)?))?;
            let client = Client::of(&args.client)?;
            let parent = client.unit_name(&unit, as_of).await?;
            let answer = record(&client, parent, rows).await?;
            let recorded = Recorded {
                received_count: answer.received_count,
                created_count: answer.created_count,
                updated_count: answer.updated_count,
                unchanged_count: answer.unchanged_count,
            };
            output::print(format, &recorded, |recorded| {
                output::pairs(&[
                    ("Rows", recorded.received_count.to_string()),
                    ("New dossiers", recorded.created_count.to_string()),
                    ("Completions learnt", recorded.updated_count.to_string()),
                    ("Unchanged dossiers", recorded.unchanged_count.to_string()),
                ])
            })
        }
        DossiersVerb::Show { unit, number, at, as_of } => {
            let client = Client::of(&args.client)?;
            let unit = client.unit_name(&unit, as_of).await?;
            let request = pb::GetDossierRequest {
                name: format!("{unit}/dossiers/{number}"),
                read_time: at.map(pb_time),
            };
            let found = client.dossiers().get_dossier(request).await?.into_inner();
            output::print(format, &Shown::from(found), Shown::text)
        }
        DossiersVerb::Summary { unit, period, fields, as_of } => {
            let client = Client::of(&args.client)?;
            let parent = client.unit_name(&unit, as_of).await?;
            let request =
                pb::SummarizeDossiersRequest { parent, period: period.to_string(), fields };
            let found = client.dossiers().summarize_dossiers(request).await?.into_inner();
            let rows = |rows: Vec<pb::SummaryRow>| rows.into_iter().map(SummaryRow::from).collect();
            let summary = Summary {
                unit: found.unit,
                period: found.period,
                recorded_rows: rows(found.recorded_rows),
                recorded_total: found.recorded_total.unwrap_or_default().into(),
                in_fact_rows: rows(found.in_fact_rows),
                in_fact_total: found.in_fact_total.unwrap_or_default().into(),
            };
            output::print(format, &summary, |summary| {
                format!(
                    "As recorded\n\n{}\n\nIn fact\n\n{}",
                    summary_table(&summary.recorded_rows, &summary.recorded_total),
                    summary_table(&summary.in_fact_rows, &summary.in_fact_total),
                )
            })
        }
    }
}

/// What the numbers of the columns mean.
const COLUMNS: &str = "\
(3) to process = (4) online + (5) direct or postal + (6) carried over
(7) resolved = (8) early + (9) on time + (10) overdue
(11) pending = (12) in time + (13) overdue";

/// Form II.06a; its columns by number, as printed in the circular.
pub(crate) fn summary_table(rows: &[SummaryRow], total: &SummaryRow) -> String {
    use Column::{Number, Text};
    const NUMBERS: [&str; 11] =
        ["(3)", "(4)", "(5)", "(6)", "(7)", "(8)", "(9)", "(10)", "(11)", "(12)", "(13)"];
    let columns: Vec<_> = [Text("Lĩnh vực")].into_iter().chain(NUMBERS.map(Number)).collect();
    let mut table = Rows::new(&columns);
    for row in rows.iter().chain([total]) {
        let numbers = [
            row.to_process,
            row.received_online,
            row.received_direct_or_postal,
            row.carried_over,
            row.resolved,
            row.resolved_early,
            row.resolved_on_time,
            row.resolved_overdue,
            row.pending,
            row.pending_in_time,
            row.pending_overdue,
        ];
        table.row([row.field.clone()].into_iter().chain(numbers.map(|number| number.to_string())));
    }
    format!("{}\n\n{COLUMNS}", table.text())
}

/// Sends dossiers of one unit, all or none; bad rows come back as what is wrong with the input.
pub(crate) async fn record(
    client: &Client,
    parent: String,
    rows: Vec<DossierRow>,
) -> Result<pb::RecordDossiersResponse, Failure> {
    use pb::record_dossiers_request::{Header, Message, Row};
    let too_many = |_| Failure::input("has more rows than a file can have");
    let row_count = i32::try_from(rows.len()).map_err(too_many)?;
    let bar = output::progress("Dossiers", rows.len());
    let sent = bar.clone();
    let rows = rows.into_iter().map(move |row| {
        sent.inc(1);
        Message::Row(Row {
            row: i32::try_from(row.line).unwrap_or_default(),
            dossier_id: row.dossier_id,
            dossier: Some(pb::Dossier {
                field: row.field,
                channel: row.channel.into(),
                receive_time: Some(pb_time(row.receive_time)),
                term: row.term.to_string(),
                complete_time: row.complete_time.map(pb_time),
                record_time: row.record_time.map(pb_time),
                ..Default::default()
            }),
        })
    });
    let header = Message::Header(Header { parent, row_count });
    let messages = std::iter::once(header)
        .chain(rows)
        .map(|message| pb::RecordDossiersRequest { message: Some(message) });
    let stream = tokio_stream::iter(messages);
    let answer = client.dossiers().record_dossiers(stream).await?.into_inner();
    bar.finish_and_clear();
    if answer.problems.is_empty() {
        return Ok(answer);
    }
    let problems = answer.problems.iter();
    Err(Failure::Input(
        problems.map(|p| format!("line {}, {}: {}", p.row, p.field, p.message)).collect(),
    ))
}

pub(super) async fn overdue(args: Overdue) -> Result<(), Failure> {
    let client = Client::of(&args.client)?;
    let mut request = pb::ListOverdueDossiersRequest {
        scope: client.unit_name(&args.unit, args.as_of).await?,
        read_time: args.at.map(pb_time),
        page_size: PAGE,
        page_token: String::new(),
    };
    let mut list = OverdueList { dossiers: Vec::new() };
    loop {
        let page = client.dossiers().list_overdue_dossiers(request.clone()).await?.into_inner();
        list.dossiers.extend(page.dossiers.into_iter().map(Dossier::from));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    output::print(args.client.output, &list, |list| {
        use Column::{Number, Text};
        let mut rows = Rows::new(&[
            Text("Dossier"),
            Text("Lĩnh vực"),
            Text("Received"),
            Text("Term"),
            Text("Due"),
            Number("Days late"),
        ]);
        for dossier in &list.dossiers {
            let number = dossier.name.rsplit('/').next().unwrap_or_default();
            rows.row([
                number.to_owned(),
                dossier.field.clone(),
                show_time(dossier.receive_time),
                dossier.term.clone(),
                show_due(dossier.due_time),
                dossier.working_days_late.to_string(),
            ]);
        }
        rows.text()
    })
}

//! `arrivals`: what document systems say has arrived.

use chrono::{DateTime, FixedOffset, NaiveDate};
use dunghan_proto::submission as pb;
use dunghan_rpc::field::{pb_date, pb_time};
use serde::Serialize;

use crate::cli::{Arrivals, ArrivalsVerb};
use crate::client::{Client, PAGE};
use crate::failure::Failure;
use crate::input::{self, ArrivalRow};
use crate::output::{self, Column, Rows, show_date, show_time};

/// Rows of one call.
const AT_ONCE: usize = 1000;

#[derive(Serialize)]
struct Arrival {
    name: String,
    arrival_number: String,
    arrival_time: Option<DateTime<FixedOffset>>,
    sender_agency_code: String,
    sender: String,
    document_number: String,
    document_symbol: String,
    document_date: Option<NaiveDate>,
    report: Option<String>,
    fixed_receive_time: bool,
    /// Reports have this document, and it cannot be said which is meant.
    ambiguous: bool,
    author: String,
    create_time: Option<DateTime<FixedOffset>>,
    void_time: Option<DateTime<FixedOffset>>,
    voider: Option<String>,
    void_reason: Option<String>,
}

impl From<pb::Arrival> for Arrival {
    fn from(arrival: pb::Arrival) -> Self {
        Self {
            arrival_time: output::time(arrival.arrival_time.as_ref()),
            document_date: output::date(arrival.document_date.as_ref()),
            arrival_number: arrival.arrival_number,
            sender_agency_code: arrival.sender_agency_code,
            sender: arrival.sender,
            document_number: arrival.document_number,
            document_symbol: arrival.document_symbol,
            report: Some(arrival.report).filter(|report| !report.is_empty()),
            fixed_receive_time: arrival.fixed_receive_time,
            ambiguous: arrival.ambiguous,
            author: arrival.author,
            create_time: output::time(arrival.create_time.as_ref()),
            void_time: output::time(arrival.void_time.as_ref()),
            voider: Some(arrival.voider).filter(|text| !text.is_empty()),
            void_reason: Some(arrival.void_reason).filter(|text| !text.is_empty()),
            name: arrival.name,
        }
    }
}

#[derive(Serialize)]
struct Recorded {
    recorded_count: usize,
    unchanged_count: i32,
    arrivals: Vec<Arrival>,
}

impl Recorded {
    fn text(&self) -> String {
        let head = output::pairs(&[
            ("Arrivals", self.recorded_count.to_string()),
            ("Noted before", self.unchanged_count.to_string()),
        ]);
        format!("{head}\n\n{}", table(&self.arrivals))
    }
}

#[derive(Serialize)]
struct List {
    arrivals: Vec<Arrival>,
}

fn table(arrivals: &[Arrival]) -> String {
    use Column::Text;
    let mut rows = Rows::new(&[
        Text("Arrived"),
        Text("No."),
        Text("From"),
        Text("Document"),
        Text("Dated"),
        Text("Report"),
    ]);
    for arrival in arrivals {
        let report = match (&arrival.report, arrival.fixed_receive_time) {
            _ if arrival.void_time.is_some() => "void",
            (None, _) if arrival.ambiguous => "several fit",
            (None, _) => "none yet",
            (Some(_), true) => "received then",
            (Some(_), false) => "matched",
        };
        rows.row([
            show_time(arrival.arrival_time),
            arrival.arrival_number.clone(),
            arrival.sender_agency_code.clone(),
            format!("{}/{}", arrival.document_number, arrival.document_symbol),
            show_date(arrival.document_date),
            report.to_owned(),
        ]);
    }
    rows.text()
}

pub(super) async fn arrivals(args: Arrivals) -> Result<(), Failure> {
    let format = args.client.output;
    match args.verb {
        ArrivalsVerb::Record { file, unit, as_of } => {
            let rows = input::in_file(&file, input::arrivals(&input::read(&file)?))?;
            if rows.len() > AT_ONCE {
                let says = format!("has more than {AT_ONCE} rows: split it");
                return Err(Failure::input(says));
            }
            let client = Client::of(&args.client)?;
            let parent = client.unit_name(&unit, as_of).await?;
            let lines: Vec<_> = rows.iter().map(|row| row.line).collect();
            let arrivals = rows.into_iter().map(arrival).collect();
            let request = pb::RecordArrivalsRequest { parent, arrivals };
            let answer = client.intake().record_arrivals(request).await?.into_inner();
            if !answer.problems.is_empty() {
                let problems = answer.problems.iter().map(|problem| {
                    let at = usize::try_from(problem.index).ok();
                    let line = at.and_then(|at| lines.get(at)).copied().unwrap_or_default();
                    format!("line {line}, {}: {}", problem.field, problem.message)
                });
                return Err(Failure::Input(problems.collect()));
            }
            let recorded = Recorded {
                recorded_count: answer.arrivals.len(),
                unchanged_count: answer.unchanged_count,
                arrivals: answer.arrivals.into_iter().map(Arrival::from).collect(),
            };
            output::print(format, &recorded, Recorded::text)
        }
        ArrivalsVerb::List { unit, unmatched, as_of } => {
            let client = Client::of(&args.client)?;
            let parent = client.unit_name(&unit, as_of).await?;
            let arrivals = list(&client, parent, unmatched, |_| false).await?;
            output::print(format, &List { arrivals }, |list| table(&list.arrivals))
        }
        ArrivalsVerb::Void { number, unit, reason, as_of } => {
            let client = Client::of(&args.client)?;
            let parent = client.unit_name(&unit, as_of).await?;
            let meant = |one: &Arrival| one.arrival_number == number && one.void_time.is_none();
            let found = list(&client, parent, false, meant).await?.into_iter().find(meant);
            let none = || Failure::Failed(anyhow::anyhow!("nothing arrived at {unit} as {number}"));
            let request = pb::VoidArrivalRequest { name: found.ok_or_else(none)?.name, reason };
            let void = client.intake().void_arrival(request).await?.into_inner();
            let arrivals = vec![Arrival::from(void)];
            output::print(format, &List { arrivals }, |list| table(&list.arrivals))
        }
    }
}

fn arrival(row: ArrivalRow) -> pb::Arrival {
    pb::Arrival {
        arrival_number: row.arrival_number,
        arrival_time: Some(pb_time(row.arrival_time)),
        sender_agency_code: row.sender_agency_code,
        document_number: row.document_number,
        document_symbol: row.document_symbol,
        document_date: Some(pb_date(row.document_date)),
        ..Default::default()
    }
}

/// What arrived at a unit, the last first, to its end or to the page with one that `is_enough`.
async fn list(
    client: &Client,
    parent: String,
    unmatched_only: bool,
    is_enough: impl Fn(&Arrival) -> bool,
) -> Result<Vec<Arrival>, Failure> {
    let mut request = pb::ListArrivalsRequest {
        parent,
        unmatched_only,
        page_size: PAGE,
        page_token: String::new(),
    };
    let mut all = Vec::new();
    loop {
        let page = client.intake().list_arrivals(request.clone()).await?.into_inner();
        let before = all.len();
        all.extend(page.arrivals.into_iter().map(Arrival::from));
        if page.next_page_token.is_empty() || all[before..].iter().any(&is_enough) {
            return Ok(all);
        }
        request.page_token = page.next_page_token;
    }
}

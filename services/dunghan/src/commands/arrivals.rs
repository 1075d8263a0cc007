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
    arrival_number: String,
    arrival_time: Option<DateTime<FixedOffset>>,
    sender_agency_code: String,
    sender: String,
    document_number: String,
    document_symbol: String,
    document_date: Option<NaiveDate>,
    report: Option<String>,
    fixed_receive_time: bool,
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
        }
    }
}

#[derive(Serialize)]
struct Recorded {
    recorded_count: usize,
    unchanged_count: i32,
    arrivals: Vec<Arrival>,
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
            output::print(format, &recorded, |recorded| table(&recorded.arrivals))
        }
        ArrivalsVerb::List { unit, unmatched, as_of } => {
            let client = Client::of(&args.client)?;
            let parent = client.unit_name(&unit, as_of).await?;
            let arrivals = list(&client, parent, unmatched).await?;
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

async fn list(
    client: &Client,
    parent: String,
    unmatched_only: bool,
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
        all.extend(page.arrivals.into_iter().map(Arrival::from));
        if page.next_page_token.is_empty() {
            return Ok(all);
        }
        request.page_token = page.next_page_token;
    }
}

//! `owed`: what one unit owes, week by week, as a calendar file, and at which address calendars subscribe to it.

use std::path::Path;

use anyhow::Context as _;
use chrono::NaiveDate;
use dunghan_proto::compliance as pb;
use dunghan_rpc::field::pb_date;
use serde::Serialize;

use super::obligations::Obligation;
use crate::cli::Owed;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, Column, Rows, show_date, show_due, show_period};

#[derive(Serialize)]
struct Item {
    obligation: Obligation,
    week_start_date: Option<NaiveDate>,
    regime_display_name: String,
    receiving_display_name: String,
    responsible: String,
    estimated: bool,
}

#[derive(Serialize)]
struct List {
    owed: Vec<Item>,
    hierarchy_version: i64,
}

pub(super) async fn owed(args: Owed) -> Result<(), Failure> {
    let client = Client::of(&args.client)?;
    let unit = client.unit_name(&args.unit, args.as_of).await?;
    if let Some(url) = &args.feed {
        return output::write(&format!("{url}/{unit}/owed.ics"));
    }
    let (from_date, through_date) = (args.from.map(pb_date), args.through.map(pb_date));
    if let Some(file) = &args.ical {
        let request = pb::ExportOwedCalendarRequest { unit, from_date, through_date };
        let found = client.compliance().export_owed_calendar(request).await?.into_inner();
        return export(file, &found.content);
    }
    let label = client.label(&unit, args.as_of).await;
    let request = pb::ListOwedObligationsRequest { unit: unit.clone(), from_date, through_date };
    let found = client.compliance().list_owed_obligations(request).await?.into_inner();
    let items = found.owed.into_iter().filter_map(|one| {
        Some(Item {
            obligation: one.obligation.map(Obligation::from)?,
            week_start_date: output::date(one.week_start_date.as_ref()),
            regime_display_name: one.regime_display_name,
            receiving_display_name: one.receiving_display_name,
            responsible: one.responsible,
            estimated: one.estimated,
        })
    });
    let list = List { owed: items.collect(), hierarchy_version: found.hierarchy_version };
    output::print(args.client.output, &list, |list| text(list, &unit, &label))
}

fn export(file: &Path, content: &str) -> Result<(), Failure> {
    if file == Path::new("-") {
        return output::write(content);
    }
    std::fs::write(file, content)
        .with_context(|| format!("{} could not be written", file.display()))
        .map_err(Failure::Failed)?;
    output::step(&format!("written: {}", file.display()));
    Ok(())
}

fn text(list: &List, unit: &str, label: &str) -> String {
    let mut parts = vec![label.to_owned()];
    if let Some(responsible) = list.owed.first().map(|one| one.responsible.as_str()) {
        let responsible = if responsible.is_empty() { "nobody is recorded" } else { responsible };
        parts = vec![format!("{label}\nSees to it: {responsible}")];
    }
    for week in list.owed.chunk_by(|one, next| one.week_start_date == next.week_start_date) {
        let heading = match week[0].week_start_date {
            Some(monday) => format!("Week of {}", show_date(Some(monday))),
            None => "Without a due date".to_owned(),
        };
        let mut rows = Rows::new(&[
            Column::Whole("Due"),
            Column::Text("Report"),
            Column::Text("Period"),
            Column::Text("Stands"),
            Column::Text("To"),
        ]);
        for one in week {
            let due = show_due(one.obligation.act_by());
            let estimated = if one.estimated { " ~" } else { "" };
            let instead = if one.obligation.unit == unit {
                String::new()
            } else {
                format!(" (of {})", one.obligation.unit_display_name)
            };
            rows.row([
                format!("{due}{estimated}"),
                format!("{}{instead}", one.regime_display_name),
                show_period(&one.obligation.period),
                one.obligation.stands(),
                one.receiving_display_name.clone(),
            ]);
        }
        parts.push(format!("{heading}\n{}", rows.text()));
    }
    if list.owed.is_empty() {
        parts.push("Nothing.".to_owned());
    }
    if list.owed.iter().any(|one| one.estimated) {
        parts.push("~ may still move: the days off are estimated".to_owned());
    }
    parts.join("\n\n")
}

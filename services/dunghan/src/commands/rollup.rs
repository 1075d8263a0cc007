//! `rollup`: one indicator over a subtree, with who is in it and who is not.

use std::collections::HashMap;

use chrono::{DateTime, FixedOffset, NaiveDate};
use dunghan_calendar::Family;
use dunghan_proto::aggregation as pb;
use dunghan_proto::registry::Unit;
use serde::Serialize;

use crate::cli::Rollup;
use crate::client::Client;
use crate::failure::Failure;
use crate::input;
use crate::output::{self, Column, Rows, plain, show_time, word};

#[derive(Serialize)]
struct RollUp {
    scope: String,
    regime: String,
    period: String,
    indicator: String,
    category: String,
    total: i64,
    numerator_total: Option<i64>,
    denominator_total: Option<i64>,
    basis: String,
    expected_count: i32,
    counted_count: i32,
    contributions: Vec<Contribution>,
    covered_units: Vec<String>,
    units_without_value: Vec<String>,
    missing_units: Vec<String>,
    waived_units: Vec<String>,
    read_time: Option<DateTime<FixedOffset>>,
}

#[derive(Serialize)]
struct Contribution {
    unit: String,
    report: String,
    value: i64,
    denominator: Option<i64>,
    approximate: bool,
}

impl From<pb::RollUp> for RollUp {
    fn from(found: pb::RollUp) -> Self {
        Self {
            basis: word(found.basis().as_str_name(), "BASIS_"),
            read_time: output::time(found.read_time.as_ref()),
            scope: found.scope,
            regime: found.regime,
            period: found.period,
            indicator: found.indicator,
            category: found.category,
            total: found.total,
            numerator_total: found.numerator_total,
            denominator_total: found.denominator_total,
            expected_count: found.expected_count,
            counted_count: found.counted_count,
            contributions: found
                .contributions
                .into_iter()
                .map(|one| Contribution {
                    unit: one.unit,
                    report: one.report,
                    value: one.value,
                    denominator: one.denominator,
                    approximate: one.approximate,
                })
                .collect(),
            covered_units: found.covered_units,
            units_without_value: found.units_without_value,
            missing_units: found.missing_units,
            waived_units: found.waived_units,
        }
    }
}

pub(super) async fn rollup(args: Rollup) -> Result<(), Failure> {
    let client = Client::of(&args.client)?;
    let scope = client.unit_name(&args.unit, args.as_of).await?;
    let request = pb::GetRollUpRequest {
        scope: scope.clone(),
        regime: input::regime_name(&args.regime),
        period: args.period.to_string(),
        indicator: args.indicator,
        category: args.category,
    };
    let found = client.aggregation().get_roll_up(request).await?.into_inner();
    let units = if args.client.output == crate::cli::Format::Table {
        let cut_off: NaiveDate = args.period.window(Family::Nd09).cut_off;
        // Names are a courtesy; where the unit did not exist on that day, its resource name does.
        client.subtree(&scope, cut_off).await.unwrap_or_default()
    } else {
        HashMap::new()
    };
    output::print(args.client.output, &RollUp::from(found), |found| show(found, &units))
}

/// Over the units that state a whole: the parts of others are in the total, but in no ratio.
fn ratio(found: &RollUp) -> String {
    match (found.numerator_total, found.denominator_total) {
        (Some(part), Some(whole)) => format!("{part}/{whole}"),
        _ => "–".to_owned(),
    }
}

fn show(found: &RollUp, units: &HashMap<String, Unit>) -> String {
    use Column::{Number, Text};
    let unit = |name: &String| {
        let unit = units.get(name);
        unit.map_or_else(
            || (String::new(), name.clone()),
            |unit| (unit.statistics_code.clone(), unit.display_name.clone()),
        )
    };
    let counted = format!("{} of {} units", found.counted_count, found.expected_count);
    let mut text = output::pairs(&[
        ("At", show_time(found.read_time)),
        ("Indicator", found.indicator.clone()),
        ("Category", found.category.clone()),
        ("Total", found.total.to_string()),
        ("Ratio of the sums", ratio(found)),
        ("Counted", counted),
        ("Rests on", format!("reports as {}", plain(&found.basis))),
    ]);
    let mut rows = Rows::new(&[Text("Code"), Text("Unit"), Number("Figure"), Text("")]);
    for one in &found.contributions {
        let (code, name) = unit(&one.unit);
        let figure = match one.denominator {
            Some(denominator) => format!("{}/{denominator}", one.value),
            None => one.value.to_string(),
        };
        let note = if one.approximate { "approximate" } else { "" };
        rows.row([code, name, figure, note.to_owned()]);
    }
    let lists = [
        (&found.covered_units, "within a figure above"),
        (&found.units_without_value, "without this figure"),
        (&found.missing_units, "not submitted"),
        (&found.waived_units, "waived"),
    ];
    for (names, note) in lists {
        let mut listed: Vec<_> = names.iter().map(unit).collect();
        listed.sort();
        for (code, name) in listed {
            rows.row([code, name, "–".to_owned(), note.to_owned()]);
        }
    }
    text.push_str(&format!("\n\n{}", rows.text()));
    text
}

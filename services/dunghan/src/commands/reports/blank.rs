//! `reports new`: a file to fill in.

use std::path::Path;

use dunghan_calendar::Period;
use dunghan_proto::compliance::GetRegimeRequest;
use dunghan_proto::submission as pb;
use dunghan_proto::submission::indicator::Kind;
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::failure::Failure;
use crate::input::{self, UnitRef};
use crate::output;

/// Writes the file, with all that the form asks for, section by section.
pub(super) async fn write(
    client: &Client,
    unit: &UnitRef,
    regime: &str,
    period: Period,
    file: Option<&Path>,
) -> Result<(), Failure> {
    let request = GetRegimeRequest { name: input::regime_name(regime) };
    let found = client.compliance().get_regime(request).await?.into_inner();
    let form = client.forms().get_form(pb::GetFormRequest { name: found.form }).await?;
    let blank = blank(unit, regime, period, &form.into_inner());
    let text = serde_json::to_string_pretty(&blank).map_err(anyhow::Error::from)?;
    match file {
        None => output::write(&text),
        Some(file) => super::keep(file, &text),
    }
}

fn blank(unit: &UnitRef, regime: &str, period: Period, form: &pb::Form) -> Value {
    let tables = form.tables.iter().flat_map(|table| {
        let rows = table.categories.iter().chain(Some(&table.total_category));
        let rows: Vec<_> = rows.filter(|row| !row.is_empty()).collect();
        let columns = table.columns.iter().filter(|column| !column.indicator.is_empty());
        columns.flat_map(move |column| rows.clone().into_iter().map(|row| (&column.indicator, row)))
    });
    let tables: Vec<_> = tables.collect();
    let of_table = |indicator: &str| tables.iter().any(|(own, _)| *own == indicator);
    let section = |indicator: &pb::Indicator| {
        let at = form.sections.iter().position(|section| section.key == indicator.section);
        at.unwrap_or(form.sections.len())
    };
    let mut indicators: Vec<_> = form.indicators.iter().collect();
    indicators.sort_by_key(|indicator| section(indicator));
    let single = indicators.iter().filter(|one| !of_table(&one.key)).map(|one| value(one, ""));
    let rows = tables.iter().filter_map(|(indicator, row)| {
        let indicator = form.indicators.iter().find(|one| one.key == **indicator)?;
        Some(value(indicator, row))
    });
    let values: Vec<_> = single.chain(rows).collect();
    json!({
        "unit": unit.to_string(),
        "regime": regime,
        "period": period.to_string(),
        "document": {
            "number": "",
            "symbol": "",
            "document_date": null,
            "declared_periods": [],
            "declared_units": [],
        },
        "values": values,
        "narrative": "",
    })
}

/// A figure that nobody has stated yet, as its kind is stated.
fn value(indicator: &pb::Indicator, row: &str) -> Value {
    let figure = match indicator.kind() {
        Kind::Percent => "percent",
        Kind::Ratio => "ratio",
        Kind::Money => "money",
        Kind::Text => "text",
        Kind::Choice => "choice",
        Kind::Count | Kind::Stock | Kind::Years | Kind::Unspecified => "count",
    };
    let mut value = Map::new();
    value.insert("indicator".to_owned(), indicator.key.clone().into());
    value.insert("label".to_owned(), indicator.display_name.clone().into());
    if !row.is_empty() {
        value.insert("category".to_owned(), row.into());
    }
    value.insert(figure.to_owned(), Value::Null);
    Value::Object(value)
}

//! `units`: who the administration's units are.

use chrono::NaiveDate;
use dunghan_proto::registry as pb;
use dunghan_rpc::field::pb_date;
use serde::Serialize;

use crate::cli::{Units, UnitsVerb};
use crate::client::{Client, PAGE};
use crate::failure::Failure;
use crate::input;
use crate::output::{self, Column, Rows, plain, show_date, word};

#[derive(Serialize)]
struct Unit {
    name: String,
    statistics_code: String,
    display_name: String,
    kind: String,
    level: String,
    parent_unit: String,
    identifiers: Vec<Identifier>,
    valid_from_date: Option<NaiveDate>,
    valid_through_date: Option<NaiveDate>,
    uncertain: bool,
}

#[derive(Serialize)]
struct Identifier {
    scheme: String,
    value: String,
}

impl From<pb::Unit> for Unit {
    fn from(unit: pb::Unit) -> Self {
        Self {
            kind: word(unit.kind().as_str_name(), "KIND_"),
            level: word(unit.level().as_str_name(), "LEVEL_"),
            valid_from_date: output::date(unit.valid_from_date.as_ref()),
            valid_through_date: output::date(unit.valid_through_date.as_ref()),
            name: unit.name,
            statistics_code: unit.statistics_code,
            display_name: unit.display_name,
            parent_unit: unit.parent_unit,
            identifiers: unit
                .identifiers
                .into_iter()
                .map(|pb::Identifier { scheme, value }| Identifier { scheme, value })
                .collect(),
            uncertain: unit.uncertain,
        }
    }
}

#[derive(Serialize)]
struct List {
    units: Vec<Unit>,
    total_size: i32,
    hierarchy_version: Option<i64>,
}

#[derive(Debug, Serialize)]
struct Imported {
    received_count: i32,
    created_count: i32,
    updated_count: i32,
    unchanged_count: i32,
    hierarchy_version: i64,
}

pub(super) async fn units(args: Units) -> Result<(), Failure> {
    let format = args.client.output;
    match args.verb {
        UnitsVerb::List { levels, parent, as_of, limit } => {
            let client = Client::of(&args.client)?;
            let request = pb::ListUnitsRequest {
                as_of_date: as_of.map(pb_date),
                levels: levels.into_iter().map(|level| pb_level(level).into()).collect(),
                parent_unit: client.unit_name_or_all(parent.as_ref(), as_of).await?,
                ..Default::default()
            };
            let list = list(&client, request, limit).await?;
            output::print(format, &list, |list| {
                let shown = format!("{} of {} units.", list.units.len(), list.total_size);
                format!("{}\n\n{shown}", table(&list.units))
            })
        }
        UnitsVerb::Show { unit, as_of } => {
            let client = Client::of(&args.client)?;
            let as_of = unit.date(as_of);
            let unit = client.unit(&unit, as_of).await?;
            let parent = match unit.parent_unit.as_str() {
                "" => String::new(),
                parent => client.label(parent, as_of).await,
            };
            output::print(format, &Unit::from(unit), |unit| show(unit, parent))
        }
        UnitsVerb::Find { text, within, as_of } => {
            let client = Client::of(&args.client)?;
            let request = pb::ResolveUnitRequest {
                query: Some(pb::resolve_unit_request::Query::DisplayName(text)),
                as_of_date: as_of.map(pb_date),
                ancestor_unit: client.unit_name_or_all(within.as_ref(), as_of).await?,
            };
            let found = client.registry().resolve_unit(request).await?.into_inner().units;
            let total_size = i32::try_from(found.len()).unwrap_or(i32::MAX);
            let units = found.into_iter().map(Unit::from).collect();
            let list = List { units, total_size, hierarchy_version: None };
            output::print(format, &list, |list| table(&list.units))
        }
        UnitsVerb::Import { file, bundled: _ } => {
            let rows = match &file {
                None => {
                    dunghan_registry::bundled_units().map_err(|bad| Failure::Input(lines(bad)))?
                }
                Some(file) => {
                    let bytes = input::read(file)?;
                    let rows = dunghan_registry::rows_from_csv(bytes.as_slice(), None, None);
                    let rows = rows.map_err(lines).and_then(|rows| {
                        // A file that lost its rows is no import of nothing.
                        if rows.is_empty() { Err(vec!["has no rows".to_owned()]) } else { Ok(rows) }
                    });
                    input::in_file(file, rows)?
                }
            };
            let client = Client::of(&args.client)?;
            let answer = import(&client, rows).await?;
            let imported = Imported {
                received_count: answer.received_count,
                created_count: answer.created_count,
                updated_count: answer.updated_count,
                unchanged_count: answer.unchanged_count,
                hierarchy_version: answer.hierarchy_version,
            };
            output::print(format, &imported, |imported| {
                output::pairs(&[
                    ("Rows", imported.received_count.to_string()),
                    ("New units", imported.created_count.to_string()),
                    ("Changed units", imported.updated_count.to_string()),
                    ("Unchanged units", imported.unchanged_count.to_string()),
                    ("Hierarchy version", imported.hierarchy_version.to_string()),
                ])
            })
        }
    }
}

fn lines(bad: dunghan_registry::BadFile) -> Vec<String> {
    bad.lines.iter().map(ToString::to_string).collect()
}

/// Sends rows, all or none; bad ones come back as what is wrong with the input.
pub(crate) async fn import(
    client: &Client,
    rows: Vec<pb::UnitRow>,
) -> Result<pb::ImportUnitsResponse, Failure> {
    let bar = output::progress("Units", rows.len());
    let sent = bar.clone();
    let stream = tokio_stream::iter(rows.into_iter().map(move |row| {
        sent.inc(1);
        pb::ImportUnitsRequest { row: Some(row), ..Default::default() }
    }));
    let answer = client.registry().import_units(stream).await?.into_inner();
    bar.finish_and_clear();
    if answer.problems.is_empty() {
        return Ok(answer);
    }
    let problems = answer.problems.iter();
    Err(Failure::Input(
        problems.map(|p| format!("line {}, {}: {}", p.row, p.field, p.message)).collect(),
    ))
}

async fn list(
    client: &Client,
    mut request: pb::ListUnitsRequest,
    limit: usize,
) -> Result<List, Failure> {
    let limit = if limit == 0 { usize::MAX } else { limit };
    let mut list = List { units: Vec::new(), total_size: 0, hierarchy_version: None };
    loop {
        let left = limit - list.units.len();
        request.page_size = i32::try_from(left).unwrap_or(PAGE).min(PAGE);
        let page = client.registry().list_units(request.clone()).await?.into_inner();
        list.units.extend(page.units.into_iter().map(Unit::from));
        list.total_size = page.total_size;
        list.hierarchy_version = Some(page.hierarchy_version);
        if page.next_page_token.is_empty() || list.units.len() >= limit {
            return Ok(list);
        }
        request.page_token = page.next_page_token;
    }
}

fn pb_level(level: dunghan_hierarchy::Level) -> pb::Level {
    let name = format!("LEVEL_{}", level.as_str().to_uppercase());
    pb::Level::from_str_name(&name).unwrap_or_default()
}

fn table(units: &[Unit]) -> String {
    use Column::Text;
    let mut rows =
        Rows::new(&[Text("Code"), Text("Name"), Text("Level"), Text("From"), Text("Through")]);
    for unit in units {
        let from = unit.valid_from_date;
        let from = from.map_or_else(|| "unknown".to_owned(), |date| show_date(Some(date)));
        rows.row([
            code(unit),
            unit.display_name.clone(),
            plain(&unit.level),
            from,
            show_date(unit.valid_through_date),
        ]);
    }
    rows.text()
}

fn code(unit: &Unit) -> String {
    if !unit.statistics_code.is_empty() {
        return unit.statistics_code.clone();
    }
    let first = unit.identifiers.first();
    first.map_or_else(String::new, |first| format!("{}/{}", first.scheme, first.value))
}

fn show(unit: &Unit, parent: String) -> String {
    let identifiers = unit.identifiers.iter().map(|one| format!("{}/{}", one.scheme, one.value));
    let uncertain = "the list is younger than the date and does not know since when";
    output::pairs(&[
        ("Name", unit.display_name.clone()),
        ("Statistics code", unit.statistics_code.clone()),
        ("Identifiers", identifiers.collect::<Vec<_>>().join(", ")),
        ("Kind", plain(&unit.kind)),
        ("Level", plain(&unit.level)),
        ("Under", parent),
        ("From", show_date(unit.valid_from_date)),
        ("Through", show_date(unit.valid_through_date)),
        ("Uncertain", if unit.uncertain { uncertain.to_owned() } else { String::new() }),
        ("Resource name", unit.name.clone()),
    ])
}

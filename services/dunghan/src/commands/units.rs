//! `units`: who the administration's units are, on any date.

mod export;
mod import;
mod lineage;
mod moved;
mod reorganisations;
mod reorganise;
mod tree;

use chrono::NaiveDate;
use dunghan_proto::registry as pb;
use dunghan_rpc::field::pb_date;
use serde::Serialize;
use tonic::Code;

use self::moved::{Changed, kind_text};
use super::contacts::{self, Contact};
use crate::cli::{Format, Units, UnitsVerb};
use crate::client::{Client, Lookup, PAGE, label};
use crate::failure::Failure;
use crate::input::UnitRef;
use crate::output::{self, Column, Rows, plain, show_date, word};

pub(crate) use import::{bundled, import};
pub(crate) use lineage::{Lineage, lineage_of};

/// As JSON shows it.
#[derive(Debug, Serialize)]
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

#[derive(Debug, Serialize)]
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

/// One unit and all around it.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    unit: Unit,
    as_of_date: Option<NaiveDate>,
    /// The names of the units above it, the nearest first.
    path: Vec<String>,
    /// Of the unit itself, on all dates.
    changes: Vec<Changed>,
    /// Those of the date; `None` where the token does not let them be read.
    contacts: Option<Vec<Contact>>,
    hierarchy_version: i64,
}

/// A unit that fits what was looked for.
#[derive(Serialize)]
struct Fits {
    #[serde(flatten)]
    unit: Unit,
    /// The names of the units above it, the nearest first.
    path: Vec<String>,
}

#[derive(Serialize)]
struct Found {
    units: Vec<Fits>,
    /// How many of them fit equally well, and better than the rest.
    best_count: i32,
    total_size: usize,
    hierarchy_version: i64,
}

pub(super) async fn units(args: Units) -> Result<(), Failure> {
    let format = args.client.output;
    let client = || Client::of(&args.client);
    match args.verb {
        UnitsVerb::List { levels, parent, as_of, limit } => {
            let (client, as_of) = (client()?, as_of.as_of);
            let request = pb::ListUnitsRequest {
                as_of_date: as_of.map(pb_date),
                levels: pb_levels(&levels),
                parent_unit: client.unit_name_or_all(parent.as_ref(), as_of).await?,
                ..Default::default()
            };
            let list = list(&client, request, limit).await?;
            output::print(format, &list, |list| {
                let shown = format!("{} of {} units.", list.units.len(), list.total_size);
                format!("{}\n\n{shown}", table(&list.units))
            })
        }
        UnitsVerb::Tree { unit, as_of, depth, levels, limit } => {
            let shape = tree::Shape { depth, levels, limit };
            tree::tree(&client()?, unit.as_ref(), as_of.as_of, &shape, format).await
        }
        UnitsVerb::Show { unit, as_of } => show(&client()?, &unit, as_of.as_of, format).await,
        UnitsVerb::Find { text, within, as_of } => {
            find(&client()?, text, within.as_ref(), as_of.as_of, format).await
        }
        UnitsVerb::Lineage { unit, code, scheme, as_of } => {
            let by_code = code.map(|code| UnitRef::Code { scheme, code, as_of: None });
            let Some(unit) = unit.or(by_code) else {
                return Err(Failure::input("no unit is given"));
            };
            lineage::lineage(&client()?, &unit, as_of.as_of, format).await
        }
        UnitsVerb::Import { file, staged, bundled: _, dry_run, all, request_id } => {
            match (file, staged) {
                (Some(file), _) => {
                    let how = import::How { dry_run, all, request_id };
                    import::import_file(client, &file, how, format).await
                }
                (None, Some(name)) => import::import_staged(&client()?, &name, format).await,
                (None, None) => import::import_bundled(&client()?, format).await,
            }
        }
        UnitsVerb::Imports { name: None } => import::imports(&client()?, format).await,
        UnitsVerb::Imports { name: Some(name) } => {
            import::past_import(&client()?, &name, format).await
        }
        UnitsVerb::Export { file, as_of, whole_history, format: written, within, levels } => {
            let what = export::What { as_of: as_of.as_of, whole_history, within, levels };
            export::export(client, file.as_deref(), written, what, format).await
        }
        UnitsVerb::Reorganise { file, dry_run, all } => {
            reorganise::reorganise(client, &file, dry_run, all, format).await
        }
        UnitsVerb::Reorganisations { name: Some(name), unconfirmed: false } => {
            reorganisations::show(&client()?, &name, format).await
        }
        UnitsVerb::Reorganisations { name, unconfirmed: true } => {
            reorganisations::unconfirmed(&client()?, name.as_deref(), format).await
        }
        UnitsVerb::Reorganisations { name: None, unconfirmed: false } => {
            reorganisations::list(&client()?, format).await
        }
    }
}

fn pb_levels(levels: &[dunghan_hierarchy::Level]) -> Vec<i32> {
    let level = |level: &dunghan_hierarchy::Level| {
        let name = format!("LEVEL_{}", level.as_str().to_uppercase());
        pb::Level::from_str_name(&name).unwrap_or_default().into()
    };
    levels.iter().map(level).collect()
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

fn table(units: &[Unit]) -> String {
    use Column::Text;
    let mut rows =
        Rows::new(&[Text("Code"), Text("Name"), Text("Level"), Text("From"), Text("Through")]);
    for unit in units {
        rows.row([
            unit_code(unit),
            unit.display_name.clone(),
            plain(&unit.level),
            since(unit),
            show_date(unit.valid_through_date),
        ]);
    }
    rows.text()
}

fn since(unit: &Unit) -> String {
    unit.valid_from_date.map_or_else(|| "unknown".to_owned(), |date| show_date(Some(date)))
}

fn unit_code(unit: &Unit) -> String {
    if !unit.statistics_code.is_empty() {
        return unit.statistics_code.clone();
    }
    let first = unit.identifiers.first();
    first.map_or_else(String::new, |first| format!("{}/{}", first.scheme, first.value))
}

async fn show(
    client: &Client,
    unit: &UnitRef,
    as_of: Option<NaiveDate>,
    format: Format,
) -> Result<(), Failure> {
    let as_of = unit.date(as_of);
    let unit = client.unit(unit, as_of).await?;
    let mut lookup = Lookup::new(client);
    let above = lookup.above(&unit, as_of).await?;
    let request = pb::GetLineageRequest { name: unit.name.clone(), as_of_date: as_of.map(pb_date) };
    let lineage = client.registry().get_lineage(request).await?.into_inner();
    let changes = lineage.changes.iter().filter(|change| change.unit == unit.name);
    let changes: Vec<Changed> = changes.map(Changed::from).collect();
    let mut said = Vec::new();
    for change in &changes {
        said.push([show_date(change.date), change.moved.words(&mut lookup, change.date).await]);
    }
    let contacts = match contacts::list(client, &unit.name, as_of, &[], false).await {
        Err(Failure::Refused(status)) if status.code() == Code::PermissionDenied => None,
        contacts => Some(contacts?),
    };
    let shown = Shown {
        as_of_date: as_of,
        path: above.iter().map(|one| one.display_name.clone()).collect(),
        changes,
        contacts,
        hierarchy_version: unit.hierarchy_version,
        unit: unit.into(),
    };
    output::print(format, &shown, |shown| {
        let unit = &shown.unit;
        let identifiers =
            unit.identifiers.iter().map(|one| format!("{}/{}", one.scheme, one.value));
        let from = match unit.valid_from_date {
            None => "unknown: the list it stands in is a snapshot".to_owned(),
            from => show_date(from),
        };
        let uncertain = if unit.uncertain { UNCERTAIN.to_owned() } else { String::new() };
        let facts = output::pairs(&[
            ("As of", on(shown.as_of_date)),
            ("Name", unit.display_name.clone()),
            ("Statistics code", unit.statistics_code.clone()),
            ("Identifiers", identifiers.collect::<Vec<_>>().join(", ")),
            ("Kind", kind_text(&unit.kind)),
            ("Level", plain(&unit.level)),
            ("Under", above.iter().map(label).collect::<Vec<_>>().join(", ")),
            ("From", from),
            ("Through", show_date(unit.valid_through_date)),
            ("Uncertain", uncertain),
            ("Resource name", unit.name.clone()),
            ("Hierarchy version", shown.hierarchy_version.to_string()),
        ]);
        let mut parts = vec![facts];
        if !said.is_empty() {
            let mut rows = Rows::new(&[Column::Text("Since"), Column::Text("Changed")]);
            said.into_iter().for_each(|change| rows.row(change));
            parts.push(rows.text());
        }
        match &shown.contacts {
            None => parts.push("Its contacts are not this token's to read.".to_owned()),
            Some(contacts) if !contacts.is_empty() => parts.push(contacts::table(contacts)),
            Some(_) => {}
        }
        parts.join("\n\n")
    })
}

/// The most units that the registry answers a name with.
const MOST_FOUND: i32 = 20;

/// What `uncertain` means.
const UNCERTAIN: &str = "the list that says this was made later; whether it held then is not known";

/// The date of an answer, for people.
fn on(as_of: Option<NaiveDate>) -> String {
    as_of.map_or_else(|| "today".to_owned(), |date| show_date(Some(date)))
}

async fn find(
    client: &Client,
    text: String,
    within: Option<&UnitRef>,
    as_of: Option<NaiveDate>,
    format: Format,
) -> Result<(), Failure> {
    let request = pb::ResolveUnitRequest {
        query: Some(pb::resolve_unit_request::Query::DisplayName(text)),
        as_of_date: as_of.map(pb_date),
        ancestor_unit: client.unit_name_or_all(within, as_of).await?,
    };
    let answer = client.registry().resolve_unit(request).await?.into_inner();
    let mut lookup = Lookup::new(client);
    let mut units = Vec::new();
    for unit in answer.units {
        let above = lookup.above(&unit, as_of).await?;
        let path = above.into_iter().map(|one| one.display_name).collect();
        units.push(Fits { unit: unit.into(), path });
    }
    let found = Found {
        total_size: units.len(),
        units,
        best_count: answer.best_count,
        hierarchy_version: answer.hierarchy_version,
    };
    output::print(format, &found, |found| {
        use Column::Text;
        let mut rows =
            Rows::new(&[Text("Code"), Text("Name"), Text("Under"), Text("From"), Text("Through")]);
        for Fits { unit, path } in &found.units {
            rows.row([
                unit_code(unit),
                unit.display_name.clone(),
                path.join(", "),
                since(unit),
                show_date(unit.valid_through_date),
            ]);
        }
        let which = match found.best_count {
            0 => {
                let of = on(as_of);
                return format!("No unit of {of} fits; for those of another date: --as-of DATE.");
            }
            1 => return rows.text(),
            MOST_FOUND => format!(
                "{MOST_FOUND} fit equally well, and there may be more; say which by --within."
            ),
            best => format!("{best} fit equally well; say which by code or --within."),
        };
        format!("{}\n\n{which}", rows.text())
    })
}

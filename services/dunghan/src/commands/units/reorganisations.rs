//! `units reorganisations`: what is recorded of what happened to units.

use chrono::{DateTime, FixedOffset, NaiveDate};
use dunghan_proto::registry as pb;
use serde::Serialize;
use serde_json::Value;

use super::lineage::Unconfirmed;
use super::moved::kind_text;
use crate::cli::Format;
use crate::client::{Client, Lookup, PAGE};
use crate::failure::Failure;
use crate::input::{reorganisation_name, shown_change};
use crate::output::{self, Column, Rows, hang, show_date, show_time};

#[derive(Serialize)]
struct Reorganisation {
    name: String,
    title: String,
    legal_basis: String,
    effective_date: Option<NaiveDate>,
    /// As `units reorganise` takes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unconfirmed: Option<Vec<Unconfirmed>>,
    corrects: String,
    source: String,
    corrected_by: String,
    creator: String,
    create_time: Option<DateTime<FixedOffset>>,
    hierarchy_version: i64,
}

impl Reorganisation {
    /// Without its changes, as lists have it.
    fn of(one: pb::Reorganisation) -> Self {
        Self {
            effective_date: output::date(one.effective_date.as_ref()),
            create_time: output::time(one.create_time.as_ref()),
            name: one.name,
            title: one.title,
            legal_basis: one.legal_basis,
            changes: None,
            unconfirmed: None,
            corrects: one.corrects,
            source: one.source,
            corrected_by: one.corrected_by,
            creator: one.creator,
            hierarchy_version: one.hierarchy_version,
        }
    }

    async fn whole(mut one: pb::Reorganisation, lookup: &mut Lookup<'_>) -> Self {
        let changes = one.changes.iter().map(shown_change).collect();
        let mut unconfirmed = Vec::new();
        for edge in std::mem::take(&mut one.unconfirmed) {
            unconfirmed.push(Unconfirmed::of(edge, lookup).await);
        }
        Self { changes: Some(changes), unconfirmed: Some(unconfirmed), ..Self::of(one) }
    }
}

#[derive(Serialize)]
struct List {
    reorganisations: Vec<Reorganisation>,
}

#[derive(Serialize)]
struct AllUnconfirmed {
    unconfirmed: Vec<Doubt>,
}

/// Something unconfirmed, and where it is stated.
#[derive(Serialize)]
struct Doubt {
    reorganisation: String,
    #[serde(flatten)]
    edge: Unconfirmed,
}

/// What follows `reorganisations/`.
pub(super) fn id(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default()
}

async fn all(client: &Client) -> Result<Vec<pb::Reorganisation>, Failure> {
    let mut request = pb::ListReorganisationsRequest { page_size: PAGE, ..Default::default() };
    let mut all = Vec::new();
    loop {
        let page = client.reorganisations().list_reorganisations(request.clone()).await?;
        let page = page.into_inner();
        all.extend(page.reorganisations);
        if page.next_page_token.is_empty() {
            return Ok(all);
        }
        request.page_token = page.next_page_token;
    }
}

async fn get(client: &Client, name: &str) -> Result<pb::Reorganisation, Failure> {
    let request = pb::GetReorganisationRequest { name: reorganisation_name(name) };
    Ok(client.reorganisations().get_reorganisation(request).await?.into_inner())
}

pub(super) async fn list(client: &Client, format: Format) -> Result<(), Failure> {
    let reorganisations = all(client).await?.into_iter().map(Reorganisation::of).collect();
    output::print(format, &List { reorganisations }, |list| {
        use Column::{Number, Text};
        let mut rows = Rows::new(&[
            Text("Effective"),
            Text("Title"),
            Text("Legal basis"),
            Text("Id"),
            Number("Version"),
        ]);
        for one in &list.reorganisations {
            let title = match one.corrected_by.as_str() {
                "" => one.title.clone(),
                by => format!("{} (corrected by {})", one.title, id(by)),
            };
            rows.row([
                show_date(one.effective_date),
                title,
                one.legal_basis.clone(),
                id(&one.name).to_owned(),
                one.hierarchy_version.to_string(),
            ]);
        }
        rows.text()
    })
}

pub(super) async fn show(client: &Client, name: &str, format: Format) -> Result<(), Failure> {
    let one = Reorganisation::whole(get(client, name).await?, &mut Lookup::new(client)).await;
    output::print(format, &one, |one| {
        let mut parts = vec![output::pairs(&[
            ("Title", one.title.clone()),
            ("Legal basis", one.legal_basis.clone()),
            ("Effective", show_date(one.effective_date)),
            ("Source", one.source.clone()),
            ("Corrects", id(&one.corrects).to_owned()),
            ("Corrected by", id(&one.corrected_by).to_owned()),
            ("Recorded by", one.creator.clone()),
            ("Recorded", show_time(one.create_time)),
            ("Hierarchy version", one.hierarchy_version.to_string()),
            ("Id", id(&one.name).to_owned()),
        ])];
        let changes = one.changes.as_deref().unwrap_or_default();
        if !changes.is_empty() {
            let lines = changes.iter().map(|change| hang("  ", "      ", &change_text(change)));
            let lines = lines.collect::<Vec<_>>().join("\n");
            parts.push(format!("Changes: {}\n{lines}", changes.len()));
        }
        let unconfirmed = one.unconfirmed.as_deref().unwrap_or_default();
        if !unconfirmed.is_empty() {
            let lines = unconfirmed.iter().map(|edge| hang("  ", "      ", &edge.text()));
            let lines = lines.collect::<Vec<_>>().join("\n");
            parts.push(format!("Not confirmed, and not followed: {}\n{lines}", unconfirmed.len()));
        }
        parts.join("\n\n")
    })
}

pub(super) async fn unconfirmed(
    client: &Client,
    name: Option<&str>,
    format: Format,
) -> Result<(), Failure> {
    let names = match name {
        Some(name) => vec![name.to_owned()],
        None => all(client).await?.into_iter().map(|one| one.name).collect(),
    };
    let mut lookup = Lookup::new(client);
    let mut found = AllUnconfirmed { unconfirmed: Vec::new() };
    for name in names {
        let whole = get(client, &name).await?;
        for edge in whole.unconfirmed {
            let edge = Unconfirmed::of(edge, &mut lookup).await;
            found.unconfirmed.push(Doubt { reorganisation: whole.name.clone(), edge });
        }
    }
    output::print(format, &found, |found| {
        use Column::Text;
        let mut rows =
            Rows::new(&[Text("Unit"), Text("Into"), Text("Note"), Text("Reorganisation")]);
        for Doubt { reorganisation, edge } in &found.unconfirmed {
            rows.row([
                format!("{} {}", edge.code, edge.name),
                edge.successor_code.clone(),
                edge.note.clone(),
                id(reorganisation).to_owned(),
            ]);
        }
        let count = found.unconfirmed.len();
        format!(
            "{}\n\n{count} stated by a source, not confirmed, and so not followed.",
            rows.text()
        )
    })
}

/// A change, as a file has it, on one line: `merge 09415, 09421 (split_part) into 09427 Phường Trí Quả under 24`.
fn change_text(change: &Value) -> String {
    let Some((what, fields)) = change.as_object().and_then(|change| change.iter().next()) else {
        return change.to_string();
    };
    let text = |field: &str| unit_text(&fields[field]);
    let list = |field: &str| {
        let list = fields[field].as_array().into_iter().flatten().map(unit_text);
        list.collect::<Vec<_>>().join(", ")
    };
    let also = |field: &str, before: &str| match fields[field].as_str() {
        None | Some("") => String::new(),
        Some(value) => format!("{before}{value}"),
    };
    match what.as_str() {
        "merge" => format!("merge {} into {}", list("from"), text("into")),
        "split" => {
            let goes_on = if fields["continues"] == true { ", and goes on" } else { "" };
            let children = also("children_to", ", what is under it to ");
            format!("split {} into {}{goes_on}{children}", text("unit"), list("into"))
        }
        "rename" => format!("rename {}: {}", text("unit"), text("name")),
        "retype" => format!(
            "retype {}: {}{}{}",
            text("unit"),
            kind_text(&text("kind").to_uppercase()),
            also("name", ", "),
            also("level", ", level ")
        ),
        "transfer" => format!("transfer {} to under {}", text("unit"), text("parent")),
        "recode" => format!("recode {}: {} {}", text("unit"), text("scheme"), text("code")),
        _ => format!("{what} {}{}", text("unit"), also("children_to", ", what is under it to ")),
    }
}

/// A unit, a part of one, or a new one.
fn unit_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "nobody".to_owned(),
        Value::Object(fields) => {
            let mut text = match (fields.get("code"), fields.get("new")) {
                (Some(code), _) => {
                    let parent = fields.get("parent").map_or_else(String::new, unit_text);
                    let name = fields.get("name").map_or_else(String::new, unit_text);
                    return format!("{} {name} under {parent}", unit_text(code));
                }
                (None, Some(new)) if !new.is_null() => unit_text(new),
                _ => fields.get("unit").map_or_else(String::new, unit_text),
            };
            if let Some(kind) = fields.get("kind").and_then(Value::as_str) {
                text.push_str(&format!(" ({})", kind.replace('_', " ")));
            }
            text
        }
        other => other.to_string(),
    }
}

//! `units import` and `units imports`: taking units in, and what was taken in before.

use std::path::Path;

use chrono::{DateTime, FixedOffset};
use dunghan_proto::registry as pb;
use serde::Serialize;

use crate::cli::Format;
use crate::client::{Client, PAGE};
use crate::failure::Failure;
use crate::input;
use crate::output::{self, Column, Rows, hang, plain, show_time, word};

/// How a file is taken in.
pub(super) struct How {
    pub(super) dry_run: bool,
    /// List also the rows that change nothing.
    pub(super) all: bool,
    pub(super) request_id: Option<String>,
}

#[derive(Debug, Serialize)]
struct Imported {
    received_count: i32,
    created_count: i32,
    updated_count: i32,
    unchanged_count: i32,
    hierarchy_version: i64,
    unit_import: String,
}

impl From<pb::ImportUnitsResponse> for Imported {
    fn from(answer: pb::ImportUnitsResponse) -> Self {
        Self {
            received_count: answer.received_count,
            created_count: answer.created_count,
            updated_count: answer.updated_count,
            unchanged_count: answer.unchanged_count,
            hierarchy_version: answer.hierarchy_version,
            unit_import: answer.unit_import,
        }
    }
}

impl Imported {
    fn pairs(&self) -> [(&'static str, String); 5] {
        [
            ("Rows", self.received_count.to_string()),
            ("New units", self.created_count.to_string()),
            ("Changed units", self.updated_count.to_string()),
            ("Unchanged units", self.unchanged_count.to_string()),
            ("Hierarchy version", self.hierarchy_version.to_string()),
        ]
    }
}

/// An import, as JSON shows it.
#[derive(Debug, Serialize)]
struct Import {
    name: String,
    state: String,
    received_count: i32,
    created_count: i32,
    updated_count: i32,
    unchanged_count: i32,
    refused_count: i32,
    creator: String,
    create_time: Option<DateTime<FixedOffset>>,
    committer: String,
    commit_time: Option<DateTime<FixedOffset>>,
    hierarchy_version: i64,
}

impl From<pb::UnitImport> for Import {
    fn from(one: pb::UnitImport) -> Self {
        Self {
            state: word(one.state().as_str_name(), "STATE_"),
            create_time: output::time(one.create_time.as_ref()),
            commit_time: output::time(one.commit_time.as_ref()),
            name: one.name,
            received_count: one.received_count,
            created_count: one.created_count,
            updated_count: one.updated_count,
            unchanged_count: one.unchanged_count,
            refused_count: one.refused_count,
            creator: one.creator,
            committer: one.committer,
            hierarchy_version: one.hierarchy_version,
        }
    }
}

/// An import with what becomes of each of its rows.
#[derive(Debug, Serialize)]
struct Judged {
    #[serde(flatten)]
    import: Import,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    /// The line in the file.
    row: i32,
    outcome: String,
    unit: String,
    scheme: String,
    code: String,
    display_name: String,
    problems: Vec<Problem>,
}

#[derive(Debug, Serialize)]
struct Problem {
    field: String,
    reason: String,
    message: String,
}

impl From<pb::JudgedRow> for Row {
    fn from(judged: pb::JudgedRow) -> Self {
        let outcome = word(judged.outcome().as_str_name(), "ROW_OUTCOME_");
        let row = judged.row.unwrap_or_default();
        let problems = judged.problems.into_iter().map(|problem| Problem {
            reason: word(problem.reason().as_str_name(), "ERROR_REASON_"),
            field: problem.field,
            message: problem.message,
        });
        Self {
            outcome,
            unit: judged.unit,
            problems: problems.collect(),
            row: row.row,
            scheme: row.scheme,
            code: row.code,
            display_name: row.display_name,
        }
    }
}

#[derive(Serialize)]
struct List {
    unit_imports: Vec<Import>,
}

/// Takes a file in, or says what would become of each of its rows.
pub(super) async fn import_file(
    client: impl FnOnce() -> Result<Client, Failure>,
    file: &Path,
    how: How,
    format: Format,
) -> Result<(), Failure> {
    let rows = read(file)?;
    let client = client()?;
    let answer = send(&client, rows, how.request_id, how.dry_run).await?;
    if !how.dry_run {
        let imported = Imported::from(applied(answer)?);
        return output::print(format, &imported, |imported| output::pairs(&imported.pairs()));
    }
    let judged = judged(&client, &answer.unit_import).await?;
    let refused = judged.import.refused_count;
    output::print(format, &judged, |judged| {
        let head = format!("Dry run of {}; nothing was changed.", file.display());
        let mut text = format!("{}\n\n{}", output::wrap(&head), judged.text(how.all));
        if refused == 0 && judged.import.created_count + judged.import.updated_count > 0 {
            let name = &judged.import.name;
            text.push_str(&format!(
                "\n\nTo apply it as it is:\n  dunghan units import --staged {name}"
            ));
        }
        text
    })?;
    if refused == 0 {
        return Ok(());
    }
    let rows = usize::try_from(refused).unwrap_or_default();
    let rows = output::many(rows, "row is", "rows are");
    let file = file.display();
    Err(Failure::input(format_args!("{file}: {rows} refused; nothing would be applied")))
}

/// Applies what a dry run judged.
pub(super) async fn import_staged(
    client: &Client,
    name: &str,
    format: Format,
) -> Result<(), Failure> {
    let request = pb::CommitUnitImportRequest { name: import_name(name) };
    let import = client.registry().commit_unit_import(request).await?.into_inner();
    output::print(format, &Import::from(import), |import| import.text())
}

/// Sends rows, all or none; bad ones come back as what is wrong with the input.
pub(crate) async fn import(
    client: &Client,
    rows: Vec<pb::UnitRow>,
) -> Result<pb::ImportUnitsResponse, Failure> {
    applied(send(client, rows, None, false).await?)
}

async fn send(
    client: &Client,
    rows: Vec<pb::UnitRow>,
    request_id: Option<String>,
    validate_only: bool,
) -> Result<pb::ImportUnitsResponse, Failure> {
    let bar = output::progress("Units", rows.len());
    let sent = bar.clone();
    let request_id = request_id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let mut first = Some(request_id);
    let stream = tokio_stream::iter(rows.into_iter().map(move |row| {
        sent.inc(1);
        let first = first.take();
        pb::ImportUnitsRequest {
            row: Some(row),
            validate_only: validate_only && first.is_some(),
            request_id: first.unwrap_or_default(),
        }
    }));
    let answer = client.registry().import_units(stream).await?.into_inner();
    bar.finish_and_clear();
    Ok(answer)
}

fn applied(answer: pb::ImportUnitsResponse) -> Result<pb::ImportUnitsResponse, Failure> {
    if answer.problems.is_empty() {
        return Ok(answer);
    }
    let problems = answer.problems.iter();
    Err(Failure::Input(
        problems.map(|p| format!("line {}, {}", p.row, in_field(&p.field, &p.message))).collect(),
    ))
}

/// What comes with the program, taken in.
#[derive(Debug, Serialize)]
pub(crate) struct Bundled {
    /// Of the data.
    version: &'static str,
    #[serde(flatten)]
    units: Imported,
    reorganisation_count: usize,
    created_reorganisation_count: i32,
    /// Successors that a source states and another one does not confirm.
    unconfirmed_count: usize,
}

/// Takes in what comes with the program: units, and then what happened to them.
pub(crate) async fn bundled(client: &Client) -> Result<Bundled, Failure> {
    let bundle = dunghan_registry::bundle().map_err(|bad| Failure::Input(lines(bad)))?;
    let unconfirmed = bundle.reorganisations.iter().filter_map(|one| one.reorganisation.as_ref());
    let unconfirmed_count = unconfirmed.map(|one| one.unconfirmed.len()).sum();
    let reorganisation_count = bundle.reorganisations.len();
    let answer = import(client, bundle.rows).await?;
    let bar = output::progress("Reorganisations", reorganisation_count);
    let request = pb::BatchCreateReorganisationsRequest { requests: bundle.reorganisations };
    let created =
        client.reorganisations().batch_create_reorganisations(request).await?.into_inner();
    bar.finish_and_clear();
    let version = created.reorganisations.iter().map(|one| one.hierarchy_version).max();
    let mut units = Imported::from(answer);
    units.hierarchy_version = units.hierarchy_version.max(version.unwrap_or_default());
    Ok(Bundled {
        version: bundle.version,
        units,
        reorganisation_count,
        created_reorganisation_count: created.created_count,
        unconfirmed_count,
    })
}

pub(super) async fn import_bundled(client: &Client, format: Format) -> Result<(), Failure> {
    let bundled = bundled(client).await?;
    output::print(format, &bundled, |bundled| {
        let also = [
            ("Reorganisations", bundled.reorganisation_count.to_string()),
            ("New reorganisations", bundled.created_reorganisation_count.to_string()),
            ("Data of", bundled.version.to_owned()),
        ];
        let pairs: Vec<_> = bundled.units.pairs().into_iter().chain(also).collect();
        let note = format!(
            "{} successors are stated by one source and not confirmed by another: they are kept and told, not followed. \
             To list them:",
            bundled.unconfirmed_count
        );
        let how = "  dunghan units reorganisations --unconfirmed";
        format!("{}\n\n{}\n{how}", output::pairs(&pairs), output::wrap(&note))
    })
}

pub(super) async fn imports(client: &Client, format: Format) -> Result<(), Failure> {
    let mut request = pb::ListUnitImportsRequest { page_size: PAGE, page_token: String::new() };
    let mut list = List { unit_imports: Vec::new() };
    loop {
        let page = client.registry().list_unit_imports(request.clone()).await?.into_inner();
        list.unit_imports.extend(page.unit_imports.into_iter().map(Import::from));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    output::print(format, &list, |list| {
        use Column::{Number, Text, Whole};
        let mut rows = Rows::new(&[
            Text("When"),
            Text("By"),
            Text("State"),
            Number("Rows"),
            Number("New"),
            Whole("Id"),
        ]);
        for one in &list.unit_imports {
            rows.row([
                show_time(one.commit_time.or(one.create_time)),
                one.creator.clone(),
                plain(&one.state),
                one.received_count.to_string(),
                one.created_count.to_string(),
                one.name.trim_start_matches(IMPORTS).to_owned(),
            ]);
        }
        rows.text()
    })
}

const IMPORTS: &str = "unitImports/";

fn import_name(text: &str) -> String {
    format!("{IMPORTS}{}", text.trim_start_matches(IMPORTS))
}

pub(super) async fn past_import(
    client: &Client,
    name: &str,
    format: Format,
) -> Result<(), Failure> {
    let judged = judged(client, &import_name(name)).await?;
    output::print(format, &judged, |judged| judged.text(true))
}

async fn judged(client: &Client, name: &str) -> Result<Judged, Failure> {
    let request = pb::GetUnitImportRequest { name: name.to_owned() };
    let import = client.registry().get_unit_import(request).await?.into_inner();
    let mut request = pb::ListUnitImportRowsRequest {
        unit_import: name.to_owned(),
        page_size: PAGE,
        ..Default::default()
    };
    let mut rows = Vec::new();
    loop {
        let page = client.registry().list_unit_import_rows(request.clone()).await?.into_inner();
        rows.extend(page.rows.into_iter().map(Row::from));
        if page.next_page_token.is_empty() {
            return Ok(Judged { import: import.into(), rows });
        }
        request.page_token = page.next_page_token;
    }
}

impl Import {
    fn text(&self) -> String {
        // Of one that is refused no unit is new.
        let count =
            |count: i32| if self.refused_count == 0 { count.to_string() } else { String::new() };
        output::pairs(&[
            ("State", plain(&self.state)),
            ("Rows", self.received_count.to_string()),
            ("New units", count(self.created_count)),
            ("Changed units", count(self.updated_count)),
            ("Unchanged units", count(self.unchanged_count)),
            ("Refused rows", self.refused_count.to_string()),
            ("Judged", show_time(self.create_time)),
            ("By", self.creator.clone()),
            ("Applied", show_time(self.commit_time)),
            ("Applied by", self.committer.clone()),
            ("Hierarchy version", self.hierarchy_version.to_string()),
            ("Import", self.name.clone()),
        ])
    }
}

impl Judged {
    fn text(&self, all: bool) -> String {
        let mut parts = vec![self.import.text()];
        let outcomes = [
            ("REFUSED", "Refused rows", true),
            ("CREATES", "Rows of new units", true),
            ("UPDATES", "Rows that change units", true),
            ("UNCHANGED", "Rows that change nothing", all),
        ];
        for (outcome, title, listed) in outcomes {
            let rows: Vec<&Row> = self.rows.iter().filter(|row| row.outcome == outcome).collect();
            if rows.is_empty() {
                continue;
            }
            let mut lines = vec![format!("{title}: {}", rows.len())];
            if listed {
                lines.extend(rows.into_iter().map(Row::text));
            }
            parts.push(lines.join("\n"));
        }
        parts.join("\n\n")
    }
}

impl Row {
    fn text(&self) -> String {
        let what = format!("{} {}", self.code, self.display_name);
        let what = hang("  ", "    ", &format!("line {}: {}", self.row, what.trim()));
        let problems = self
            .problems
            .iter()
            .map(|problem| hang("    ", "      ", &in_field(&problem.field, &problem.message)));
        [what].into_iter().chain(problems).collect::<Vec<_>>().join("\n")
    }
}

/// `code: must not …`, also where the message begins with the field.
fn in_field(field: &str, message: &str) -> String {
    let rest = message.strip_prefix(field).and_then(|rest| rest.strip_prefix(' '));
    format!("{field}: {}", rest.unwrap_or(message))
}

/// The rows of a file, or everything that is wrong with it.
fn read(file: &Path) -> Result<Vec<pb::UnitRow>, Failure> {
    let bytes = input::read(file)?;
    let rows = dunghan_registry::rows_from_file(&bytes, None, None);
    let rows = rows.map_err(lines).and_then(|rows| {
        // A file that lost its rows is no import of nothing.
        if rows.is_empty() { Err(vec!["has no rows".to_owned()]) } else { Ok(rows) }
    });
    input::in_file(file, rows)
}

fn lines(bad: dunghan_registry::BadFile) -> Vec<String> {
    bad.lines.iter().map(ToString::to_string).collect()
}

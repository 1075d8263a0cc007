//! `forms`: what reports are written on.

use std::path::Path;

use chrono::{DateTime, FixedOffset};
use dunghan_proto::submission as pb;
use dunghan_submission::domain::form::{BadForm, Form as FormFile};
use serde::Serialize;

use crate::cli::{Forms, FormsVerb};
use crate::client::{Client, PAGE};
use crate::failure::Failure;
use crate::input;
use crate::output::{self, Column, Rows, hang, plain, show_time, word};

#[derive(Serialize)]
struct Form {
    name: String,
    display_name: String,
    legal_basis: String,
    sections: Vec<Section>,
    indicators: Vec<Indicator>,
    tables: Vec<Table>,
    rules: Vec<Rule>,
    create_time: Option<DateTime<FixedOffset>>,
    author: Option<String>,
    retire_time: Option<DateTime<FixedOffset>>,
    retire_reason: Option<String>,
}

#[derive(Serialize)]
struct Section {
    key: String,
    display_name: String,
}

#[derive(Serialize)]
struct Indicator {
    key: String,
    display_name: String,
    kind: String,
    section: String,
    required: bool,
    scope: String,
    roll_up: String,
    denominator_indicator: Option<String>,
    choices: Vec<String>,
    unit_of_measure: String,
}

#[derive(Serialize)]
struct Table {
    key: String,
    display_name: String,
    columns: Vec<TableColumn>,
    categories: Vec<String>,
    open: bool,
    total_category: String,
}

#[derive(Serialize)]
struct TableColumn {
    number: String,
    indicator: String,
}

#[derive(Serialize)]
struct Rule {
    key: String,
    expression: String,
    severity: String,
    message: String,
    message_en: String,
    table: Option<String>,
}

fn stated(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

impl From<pb::Form> for Form {
    fn from(form: pb::Form) -> Self {
        let sections = form.sections.into_iter();
        let columns = |columns: Vec<pb::Column>| {
            let columns = columns.into_iter();
            columns
                .map(|column| TableColumn { number: column.number, indicator: column.indicator })
                .collect()
        };
        let tables = form.tables.into_iter().map(|table| Table {
            key: table.key,
            display_name: table.display_name,
            columns: columns(table.columns),
            categories: table.categories,
            open: table.open,
            total_category: table.total_category,
        });
        let rules = form.rules.into_iter().map(|rule| Rule {
            severity: word(rule.severity().as_str_name(), "SEVERITY_"),
            key: rule.key,
            expression: rule.expression,
            message: rule.message,
            message_en: rule.message_en,
            table: stated(rule.table),
        });
        Self {
            create_time: output::time(form.create_time.as_ref()),
            retire_time: output::time(form.retire_time.as_ref()),
            sections: sections
                .map(|section| Section { key: section.key, display_name: section.display_name })
                .collect(),
            indicators: form.indicators.into_iter().map(Indicator::from).collect(),
            tables: tables.collect(),
            rules: rules.collect(),
            name: form.name,
            display_name: form.display_name,
            legal_basis: form.legal_basis,
            author: stated(form.author),
            retire_reason: stated(form.retire_reason),
        }
    }
}

impl From<pb::Indicator> for Indicator {
    fn from(indicator: pb::Indicator) -> Self {
        Self {
            kind: word(indicator.kind().as_str_name(), "KIND_"),
            scope: word(indicator.scope().as_str_name(), "SCOPE_"),
            roll_up: word(indicator.roll_up().as_str_name(), "ROLL_UP_"),
            key: indicator.key,
            display_name: indicator.display_name,
            section: indicator.section,
            required: indicator.required,
            denominator_indicator: stated(indicator.denominator_indicator),
            choices: indicator.choices,
            unit_of_measure: indicator.unit_of_measure,
        }
    }
}

#[derive(Serialize)]
struct List {
    forms: Vec<Form>,
}

impl List {
    fn text(&self) -> String {
        use Column::{Number, Text};
        let mut rows = Rows::new(&[
            Text("Form"),
            Text("Name"),
            Number("Indicators"),
            Number("Rules"),
            Text("Retired"),
        ]);
        for form in &self.forms {
            rows.row([
                form.name.trim_start_matches("forms/").to_owned(),
                form.display_name.clone(),
                form.indicators.len().to_string(),
                form.rules.len().to_string(),
                show_time(form.retire_time),
            ]);
        }
        rows.text()
    }
}

impl Form {
    fn text(&self) -> String {
        let head = output::pairs(&[
            ("Form", self.name.clone()),
            ("Name", self.display_name.clone()),
            ("Basis", self.legal_basis.clone()),
            ("Published", show_time(self.create_time)),
            ("By", self.author.clone().unwrap_or_default()),
            ("Retired", show_time(self.retire_time)),
            ("Why", self.retire_reason.clone().unwrap_or_default()),
        ]);
        let mut parts = vec![head];
        for section in &self.sections {
            parts.push(self.section(&section.key, &section.display_name));
        }
        parts.push(self.section("", "In no section"));
        for table in &self.tables {
            parts.push(table_text(table));
        }
        if !self.rules.is_empty() {
            let mut rules = vec!["Rules".to_owned()];
            for rule in &self.rules {
                let severity = plain(&rule.severity);
                rules.push(hang(
                    "  ",
                    "    ",
                    &format!("{} ({severity}): {}", rule.key, rule.message),
                ));
                rules.push(hang("    ", "      ", &rule.expression));
            }
            parts.push(rules.join("\n"));
        }
        parts.retain(|part| !part.is_empty());
        parts.join("\n\n")
    }

    fn section(&self, key: &str, display_name: &str) -> String {
        let keys = self.indicators.iter().map(|indicator| indicator.key.as_str());
        let keys = output::keys("Indicator", keys);
        let mut rows = Rows::new(&[keys, Column::Text("Name"), Column::Text("Is")]);
        let mut any = false;
        for indicator in self.indicators.iter().filter(|indicator| indicator.section == key) {
            any = true;
            let required = if indicator.required { ", required" } else { "" };
            rows.row([
                indicator.key.clone(),
                indicator.display_name.clone(),
                format!("{}{required}", plain(&indicator.kind)),
            ]);
        }
        if any { format!("{display_name}\n\n{}", rows.text()) } else { String::new() }
    }
}

fn table_text(table: &Table) -> String {
    let mut rows = Rows::new(&[Column::Text("Column"), Column::Text("Indicator")]);
    for column in &table.columns {
        rows.row([column.number.clone(), column.indicator.clone()]);
    }
    let open = if table.open { ", and others" } else { "" };
    let categories = match table.categories.as_slice() {
        [] => "any".to_owned(),
        categories => format!("{}{open}", categories.join("; ")),
    };
    let categories = hang("Rows: ", "  ", &categories);
    format!("{} ({})\n\n{}\n{categories}", table.display_name, table.key, rows.text())
}

fn name(form: &str) -> String {
    if form.starts_with("forms/") { form.to_owned() } else { format!("forms/{form}") }
}

#[derive(Serialize)]
struct Published {
    /// Nothing was published: it could be.
    dry_run: bool,
    #[serde(flatten)]
    form: Form,
}

impl Published {
    fn text(&self) -> String {
        let tried = if self.dry_run { " (tried only, nothing is published)" } else { "" };
        output::pairs(&[
            ("Form", format!("{}{tried}", self.form.name)),
            ("Name", self.form.display_name.clone()),
            ("Indicators", self.form.indicators.len().to_string()),
            ("Rules", self.form.rules.len().to_string()),
        ])
    }
}

/// The form of a TOML file, or everything that is wrong with it.
fn read(file: &Path) -> Result<pb::Form, Failure> {
    let bytes = input::read(file)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| vec!["is not UTF-8".to_owned()]);
    let form = text.and_then(|text| {
        FormFile::read(text).map_err(|bad| match bad {
            BadForm::Flawed { flaws, .. } => {
                let flaws = flaws.0.iter();
                flaws.map(|flaw| format!("{} {}", flaw.field, flaw.what)).collect()
            }
            other => vec![other.to_string()],
        })
    });
    Ok(pb::Form::from(&input::in_file(file, form)?))
}

pub(super) async fn forms(args: Forms) -> Result<(), Failure> {
    let format = args.client.output;
    match args.verb {
        FormsVerb::List => {
            let client = Client::of(&args.client)?;
            let forms = list(&client).await?;
            output::print(format, &List { forms }, List::text)
        }
        FormsVerb::Show { form } => {
            let client = Client::of(&args.client)?;
            let request = pb::GetFormRequest { name: name(&form) };
            let found = client.forms().get_form(request).await?.into_inner();
            output::print(format, &Form::from(found), Form::text)
        }
        FormsVerb::Publish { file, dry_run } => {
            let form = read(&file)?;
            let client = Client::of(&args.client)?;
            let request = pb::CreateFormRequest {
                form: Some(form),
                request_id: uuid::Uuid::new_v4().to_string(),
                validate_only: dry_run,
            };
            let form = client.forms().create_form(request).await?.into_inner();
            let published = Published { dry_run, form: form.into() };
            output::print(format, &published, Published::text)
        }
        FormsVerb::Retire { form, reason } => {
            let client = Client::of(&args.client)?;
            let request = pb::RetireFormRequest {
                name: name(&form),
                reason,
                request_id: uuid::Uuid::new_v4().to_string(),
            };
            let found = client.forms().retire_form(request).await?.into_inner();
            output::print(format, &Form::from(found), Form::text)
        }
    }
}

async fn list(client: &Client) -> Result<Vec<Form>, Failure> {
    let mut request = pb::ListFormsRequest { page_size: PAGE, page_token: String::new() };
    let mut forms = Vec::new();
    loop {
        let page = client.forms().list_forms(request.clone()).await?.into_inner();
        forms.extend(page.forms.into_iter().map(Form::from));
        if page.next_page_token.is_empty() {
            return Ok(forms);
        }
        request.page_token = page.next_page_token;
    }
}

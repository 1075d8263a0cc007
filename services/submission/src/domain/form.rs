//! Forms: what a report can say, and what has to hold. Some are files of this program, read and checked when it starts; others are
//! published. A published version never changes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::check;
use super::rule::{BadRule, Rule, RuleText, Source};
use super::value::{self, Figure, Value};

/// Every form that comes with the program, as its file reads.
const FILES: [&str; 3] = [
    include_str!("../../data/forms/cds-1.toml"),
    include_str!("../../data/forms/ii06a-1.toml"),
    include_str!("../../data/forms/text-1.toml"),
];

const MOST_INDICATORS: usize = 1000;
const MOST_RULES: usize = 500;
const MOST_CHOICES: usize = 100;
/// The contract sets no limits on what no form comes near.
const MOST_SECTIONS: usize = 100;
const MOST_TABLES: usize = 50;
const MOST_COLUMNS: usize = 200;
const MOST_CATEGORIES: usize = 1000;
const MOST_KEY_BYTES: usize = 63;
/// As of a figure's category.
const MOST_NAME_CHARS: usize = 200;
const MOST_TEXT_CHARS: usize = 2000;

/// What a figure of an indicator can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A number of things that came about, with its whole or without.
    Count,
    /// A percentage, which may be all that is stated.
    Percent,
    /// A number of years.
    Years,
    /// A number of things that there are on the cut-off day, with its whole or without.
    Stock,
    /// A part together with its whole.
    Ratio,
    /// An amount in đồng.
    Money,
    /// A text.
    Text,
    /// One of the choices.
    Choice,
}

impl Kind {
    /// Whether that can be a figure of it.
    pub(super) fn takes(self, figure: &Figure) -> bool {
        match self {
            Self::Count | Self::Stock => matches!(figure, Figure::Count(_) | Figure::Ratio(_)),
            Self::Percent => {
                matches!(figure, Figure::Count(_) | Figure::Ratio(_) | Figure::Percent(_))
            }
            Self::Years => matches!(figure, Figure::Count(_)),
            Self::Ratio => matches!(figure, Figure::Ratio(_)),
            Self::Money => matches!(figure, Figure::Money(_)),
            Self::Text => matches!(figure, Figure::Text(_)),
            Self::Choice => matches!(figure, Figure::Choice(_)),
        }
    }

    /// Whether something can be a part of it, or it a part of something.
    fn has_parts(self) -> bool {
        match self {
            Self::Count | Self::Percent | Self::Stock | Self::Ratio | Self::Money => true,
            Self::Years | Self::Text | Self::Choice => false,
        }
    }

    /// What becomes of it unless the form says otherwise.
    fn rolls_up(self) -> RollUp {
        match self {
            Self::Count | Self::Money => RollUp::Sum,
            Self::Stock => RollUp::SumOfLast,
            Self::Ratio => RollUp::RatioOfSums,
            Self::Percent | Self::Years | Self::Text | Self::Choice => RollUp::None,
        }
    }

    fn can_roll_up(self, how: RollUp) -> bool {
        match how {
            RollUp::None => true,
            RollUp::Sum | RollUp::SumOfLast => {
                matches!(self, Self::Count | Self::Stock | Self::Money)
            }
            RollUp::RatioOfSums => matches!(self, Self::Count | Self::Stock | Self::Ratio),
        }
    }
}

/// Of what a figure speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Of the unit alone.
    #[default]
    Own,
    /// Of the unit and all below it.
    Subtree,
}

/// What becomes of the figures of several units, and of several periods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RollUp {
    /// Added over units and over periods.
    Sum,
    /// Added over units; of several periods the last.
    SumOfLast,
    /// Parts and wholes added, each for themselves.
    RatioOfSums,
    /// Nothing.
    None,
}

/// A part of a form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Its key.
    pub key: String,
    /// Its name in Vietnamese.
    pub display_name: String,
}

/// One thing that a form asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Indicator {
    /// Its key.
    pub key: String,
    /// Its name in Vietnamese.
    pub display_name: String,
    /// What its figure is.
    pub kind: Kind,
    /// The indicator it is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<String>,
    /// The section it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    /// A report that lacks it is not handed over.
    #[serde(default)]
    pub required: bool,
    /// Of what its figure speaks.
    #[serde(default)]
    pub scope: Scope,
    /// Where that is not as its kind says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roll_up: Option<RollUp>,
    /// What may be chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// What is counted, for example "hồ sơ".
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit_of_measure: String,
}

impl Indicator {
    /// What becomes of its figures.
    pub fn rolls_up(&self) -> RollUp {
        self.roll_up.unwrap_or_else(|| self.kind.rolls_up())
    }
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// As printed.
    pub number: String,
    /// What it holds; empty for the row's number and its name.
    #[serde(default)]
    pub indicator: String,
}

/// Indicators that are reported row by row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Its key.
    pub key: String,
    /// Its name in Vietnamese.
    pub display_name: String,
    /// In order.
    pub columns: Vec<Column>,
    /// The row that adds up the others; empty: there is none.
    #[serde(default)]
    pub total_category: String,
    /// Its rows in order, without the total; empty: whichever are reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Rows of other categories may be added.
    #[serde(default)]
    pub open: bool,
}

impl Table {
    /// Whether a column of it holds that indicator.
    pub fn holds(&self, indicator: &str) -> bool {
        !indicator.is_empty() && self.columns.iter().any(|column| column.indicator == indicator)
    }

    /// Whether it can have that row.
    pub fn takes_row(&self, category: &str) -> bool {
        !category.is_empty()
            && (self.open
                || self.categories.is_empty()
                || self.total_category == category
                || self.categories.iter().any(|row| row == category))
    }
}

/// A form as its file, or whoever publishes it, states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormText {
    /// Its id; the last number is the version.
    pub key: String,
    /// Its name in Vietnamese.
    pub display_name: String,
    /// Where it comes from.
    pub legal_basis: String,
    /// Its parts in order.
    #[serde(rename = "section", default)]
    pub sections: Vec<Section>,
    /// What can be reported in figures; none: the report is a text.
    #[serde(rename = "indicator", default)]
    pub indicators: Vec<Indicator>,
    /// Tables.
    #[serde(rename = "table", default)]
    pub tables: Vec<Table>,
    /// What has to hold.
    #[serde(rename = "rule", default)]
    pub rules: Vec<RuleText>,
}

/// When and by whom a form was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// When.
    pub at: DateTime<Utc>,
    /// By whom.
    pub author: String,
}

/// Since when a form is out of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retired {
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: String,
}

/// A form whose parts fit together, with its rules ready to be judged.
#[derive(Clone, Debug)]
pub struct Form {
    text: FormText,
    rules: Vec<Rule>,
    at: HashMap<String, usize>,
    /// None: it came with the program.
    pub published: Option<Published>,
    /// None: it is in use.
    pub retired: Option<Retired>,
}

/// Something that is wrong with a form, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// For example `rules[3].expression`.
    pub field: String,
    /// What.
    pub what: Wrong,
}

/// Ways to be wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// There has to be something.
    #[error("is missing")]
    Missing,
    /// It cannot be a key.
    #[error("{0}")]
    NotAKey(&'static str),
    /// Too many letters.
    #[error("must not be longer than {0}")]
    TooLong(String),
    /// Too many of them.
    #[error("must not be more than {0}")]
    TooMany(usize),
    /// The form has no such indicator.
    #[error("names {0:?}, which is no indicator of this form")]
    UnknownIndicator(String),
    /// It stands there twice.
    #[error("has {0:?} twice")]
    Duplicate(String),
    /// It does not go with the rest.
    #[error("{0}")]
    Unfit(String),
    /// No rule can be made of it.
    #[error("{0}")]
    Rule(BadRule),
}

/// Why a file is no form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadForm {
    /// It does not read.
    #[error("a form does not read: {0}")]
    Unreadable(String),
    /// Its parts do not fit together.
    #[error("the form {form} is wrong: {flaws}")]
    Flawed {
        /// Which.
        form: String,
        /// Where and how.
        flaws: Flaws,
    },
    /// There are two of that key.
    #[error("there are two forms {0}")]
    Twice(String),
}

/// All that is wrong with a form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flaws(pub Vec<Flaw>);

impl Flaws {
    fn add(&mut self, field: impl Into<String>, what: Wrong) {
        self.0.push(Flaw { field: field.into(), what });
    }

    fn text(&mut self, field: impl Into<String>, text: &str, most: usize) {
        if text.chars().count() > most {
            self.add(field, Wrong::TooLong(format!("{most} characters")));
        } else if text.contains('\0') {
            self.add(field, unfit("must not contain the character U+0000"));
        }
    }

    fn required(&mut self, field: impl Into<String>, text: &str, most: usize) {
        if text.trim().is_empty() {
            self.add(field, Wrong::Missing);
        } else {
            self.text(field, text, most);
        }
    }

    fn key(&mut self, field: impl Into<String>, key: &str, shape: Shape) {
        if key.is_empty() {
            self.add(field, Wrong::Missing);
        } else if !shape.fits(key) {
            self.add(field, Wrong::NotAKey(shape.says()));
        }
    }

    fn count(&mut self, field: &str, count: usize, most: usize) {
        if count > most {
            self.add(field, Wrong::TooMany(most));
        }
    }
}

impl fmt::Display for Flaws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, flaw) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            write!(f, "{separator}{} {}", flaw.field, flaw.what)?;
        }
        Ok(())
    }
}

fn unfit(says: impl Into<String>) -> Wrong {
    Wrong::Unfit(says.into())
}

/// What a key looks like.
#[derive(Clone, Copy)]
enum Shape {
    Form,
    Indicator,
    Rule,
    Other,
}

impl Shape {
    fn says(self) -> &'static str {
        match self {
            Self::Form => {
                "must be a-z, 0-9 and -, with its version as the last number, such as cds-1; 63 at most"
            }
            Self::Indicator => "must be a-z, 0-9 and _, a letter first, 63 at most",
            Self::Rule => "must be a-z, 0-9, _ and \".\", 63 at most",
            Self::Other => "must be a-z, 0-9 and _, 63 at most",
        }
    }

    fn fits(self, key: &str) -> bool {
        let other = match self {
            Self::Form => "-",
            Self::Rule => "_.",
            Self::Indicator | Self::Other => "_",
        };
        let letters =
            key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || other.contains(c));
        let shaped = match self {
            Self::Form => {
                let version = key.rsplit_once('-').map(|(stem, version)| {
                    let number = !version.starts_with('0') && !version.is_empty();
                    let digits = version.bytes().all(|b| b.is_ascii_digit());
                    number && digits && stem.split('-').all(|part| !part.is_empty())
                });
                version.unwrap_or(false)
            }
            Self::Indicator => key.starts_with(|c: char| c.is_ascii_lowercase()),
            Self::Rule | Self::Other => true,
        };
        letters && shaped && key.len() <= MOST_KEY_BYTES
    }
}

/// A figure that the form does not ask for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAsked {
    /// There is no such indicator.
    #[error("is no indicator of this form")]
    Indicator,
    /// There is, but its figure is another kind.
    #[error("is another kind of figure than this indicator has in this form")]
    Figure,
    /// The text is none of the choices; the first of them.
    #[error("is none of the choices: {0}")]
    Choice(String),
    /// The table has no such row.
    #[error("is no row of the table {0}")]
    Category(String),
}

/// The keys of those that have one, each where it stands; keys that stand there twice are told.
fn unique<'a>(
    list: &str,
    keys: impl Iterator<Item = &'a str>,
    flaws: &mut Flaws,
) -> HashSet<&'a str> {
    let mut seen = HashSet::new();
    for (at, key) in keys.enumerate() {
        if !key.is_empty() && !seen.insert(key) {
            flaws.add(format!("{list}[{at}].key"), Wrong::Duplicate(key.to_owned()));
        }
    }
    seen
}

impl FormText {
    /// Each text in its one encoding, without blanks around it.
    fn normal(mut self) -> Self {
        for indicator in &mut self.indicators {
            for choice in &mut indicator.choices {
                *choice = value::category(choice);
            }
        }
        for table in &mut self.tables {
            table.total_category = value::category(&table.total_category);
            for category in &mut table.categories {
                *category = value::category(category);
            }
        }
        self
    }

    fn check(&self, flaws: &mut Flaws) {
        flaws.key("name", &self.key, Shape::Form);
        flaws.required("display_name", &self.display_name, MOST_NAME_CHARS);
        flaws.required("legal_basis", &self.legal_basis, MOST_TEXT_CHARS);
        flaws.count("sections", self.sections.len(), MOST_SECTIONS);
        flaws.count("indicators", self.indicators.len(), MOST_INDICATORS);
        flaws.count("tables", self.tables.len(), MOST_TABLES);
        flaws.count("rules", self.rules.len(), MOST_RULES);
        if !flaws.0.is_empty() {
            // There may be any number of anything.
            return;
        }
        let sections = self.sections.iter().map(|section| section.key.as_str());
        let sections = unique("sections", sections, flaws);
        for (at, section) in self.sections.iter().enumerate() {
            flaws.key(format!("sections[{at}].key"), &section.key, Shape::Other);
            let field = format!("sections[{at}].display_name");
            flaws.required(field, &section.display_name, MOST_NAME_CHARS);
        }
        let indicators = self.indicators.iter().map(|indicator| indicator.key.as_str());
        unique("indicators", indicators, flaws);
        let kinds: HashMap<_, _> =
            self.indicators.iter().map(|one| (one.key.as_str(), one.kind)).collect();
        for (at, indicator) in self.indicators.iter().enumerate() {
            indicator.check(&format!("indicators[{at}]"), &sections, &kinds, flaws);
        }
        unique("tables", self.tables.iter().map(|table| table.key.as_str()), flaws);
        for (at, table) in self.tables.iter().enumerate() {
            table.check(&format!("tables[{at}]"), &kinds, flaws);
        }
        unique("rules", self.rules.iter().map(|rule| rule.key.as_str()), flaws);
        for (at, rule) in self.rules.iter().enumerate() {
            let within = |part: &str| format!("rules[{at}].{part}");
            flaws.key(within("key"), &rule.key, Shape::Rule);
            if check::NAMES.contains(&rule.key.as_str()) {
                flaws.add(within("key"), unfit("is the name of a check that every form has"));
            }
            flaws.required(within("message"), &rule.message, MOST_TEXT_CHARS);
            flaws.text(within("message_en"), &rule.message_en, MOST_TEXT_CHARS);
            let table = rule.table.as_ref();
            if table.is_some_and(|key| !self.tables.iter().any(|table| table.key == *key)) {
                flaws.add(within("table"), unfit("is no table of this form"));
            }
        }
    }
}

impl Indicator {
    fn check(
        &self,
        field: &str,
        sections: &HashSet<&str>,
        kinds: &HashMap<&str, Kind>,
        flaws: &mut Flaws,
    ) {
        let within = |part: &str| format!("{field}.{part}");
        flaws.key(within("key"), &self.key, Shape::Indicator);
        flaws.required(within("display_name"), &self.display_name, MOST_NAME_CHARS);
        flaws.text(within("unit_of_measure"), &self.unit_of_measure, MOST_NAME_CHARS);
        if self.section.as_ref().is_some_and(|section| !sections.contains(section.as_str())) {
            flaws.add(within("section"), unfit("is no section of this form"));
        }
        if let Some(whole) = &self.whole {
            let field = within("denominator_indicator");
            match kinds.get(whole.as_str()) {
                None => flaws.add(field, Wrong::UnknownIndicator(whole.clone())),
                Some(_) if *whole == self.key => {
                    flaws.add(field, unfit("names the indicator itself"));
                }
                Some(kind) if !kind.has_parts() || !self.kind.has_parts() => {
                    flaws.add(field, unfit("joins kinds that are no part and whole"));
                }
                Some(_) => {}
            }
        }
        if self.roll_up.is_some_and(|how| !self.kind.can_roll_up(how)) {
            flaws.add(within("roll_up"), unfit("cannot be done with figures of this kind"));
        }
        let field = within("choices");
        flaws.count(&field, self.choices.len(), MOST_CHOICES);
        match (self.kind, self.choices.is_empty()) {
            (Kind::Choice, true) => flaws.add(field, Wrong::Missing),
            (Kind::Choice, false) => names(&field, &self.choices, MOST_CHOICES, flaws),
            (_, false) => flaws.add(field, unfit("are of indicators of kind choice alone")),
            (_, true) => {}
        }
    }
}

/// The first choices: there may be more of them, and longer ones, than a refusal can carry.
fn shown(choices: &[String]) -> String {
    const SHOWN: usize = 5;
    let more = if choices.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", choices[..choices.len().min(SHOWN)].join(", "))
}

/// Names that people gave, each once.
fn names(field: &str, names: &[String], most: usize, flaws: &mut Flaws) {
    let mut seen = HashSet::new();
    for (at, name) in names.iter().take(most).enumerate() {
        flaws.required(format!("{field}[{at}]"), name, MOST_NAME_CHARS);
        if !seen.insert(name) {
            flaws.add(format!("{field}[{at}]"), Wrong::Duplicate(name.clone()));
        }
    }
}

impl Table {
    fn check(&self, field: &str, kinds: &HashMap<&str, Kind>, flaws: &mut Flaws) {
        let within = |part: &str| format!("{field}.{part}");
        flaws.key(within("key"), &self.key, Shape::Other);
        flaws.required(within("display_name"), &self.display_name, MOST_NAME_CHARS);
        flaws.text(within("total_category"), &self.total_category, MOST_NAME_CHARS);
        flaws.count(&within("columns"), self.columns.len(), MOST_COLUMNS);
        flaws.count(&within("categories"), self.categories.len(), MOST_CATEGORIES);
        if self.columns.iter().all(|column| column.indicator.is_empty()) {
            flaws.add(within("columns"), Wrong::Missing);
        }
        let mut seen = HashSet::new();
        for (at, column) in self.columns.iter().take(MOST_COLUMNS).enumerate() {
            let field = within(&format!("columns[{at}]"));
            flaws.required(format!("{field}.number"), &column.number, MOST_NAME_CHARS);
            let (indicator, field) = (column.indicator.as_str(), format!("{field}.indicator"));
            if indicator.is_empty() {
                continue;
            }
            if !kinds.contains_key(indicator) {
                flaws.add(field, Wrong::UnknownIndicator(indicator.to_owned()));
            } else if !seen.insert(indicator) {
                flaws.add(field, Wrong::Duplicate(indicator.to_owned()));
            }
        }
        names(&within("categories"), &self.categories, MOST_CATEGORIES, flaws);
        if !self.total_category.is_empty() && self.categories.contains(&self.total_category) {
            let field = within("total_category");
            flaws.add(field, Wrong::Duplicate(self.total_category.clone()));
        }
    }
}

impl Form {
    /// Reads and checks a file.
    pub fn read(text: &str) -> Result<Self, BadForm> {
        let text: FormText =
            toml::from_str(text).map_err(|e| BadForm::Unreadable(e.to_string()))?;
        let form = text.key.clone();
        Self::new(text).map_err(|flaws| BadForm::Flawed { form, flaws })
    }

    /// Checks a form and makes its rules ready. All that is wrong with it is told.
    pub fn new(text: FormText) -> Result<Self, Flaws> {
        let text = text.normal();
        let mut flaws = Flaws::default();
        text.check(&mut flaws);
        let at: HashMap<_, _> =
            text.indicators.iter().enumerate().map(|(at, one)| (one.key.clone(), at)).collect();
        let indicator = |key: &str| at.get(key).map(|at| &text.indicators[*at]);
        let mut rules = Vec::with_capacity(text.rules.len());
        for (at, rule) in text.rules.iter().take(MOST_RULES).enumerate() {
            match Rule::compile(rule, &indicator) {
                Ok(rule) => rules.push(rule),
                Err(bad) => flaws.add(format!("rules[{at}].expression"), Wrong::Rule(bad)),
            }
        }
        if flaws.0.is_empty() {
            Ok(Self { text, rules, at, published: None, retired: None })
        } else {
            Err(flaws)
        }
    }

    /// The same, out of use or not.
    #[must_use]
    pub fn retired_as(self, retired: Option<Retired>) -> Self {
        Self { retired, ..self }
    }

    /// As it was stated.
    pub fn text(&self) -> &FormText {
        &self.text
    }

    /// Its id.
    pub fn key(&self) -> &str {
        &self.text.key
    }

    /// Its rules, ready to be judged.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether a rule asks for figures of one of these sources.
    pub fn needs(&self, source: Source) -> bool {
        self.rules.iter().any(|rule| rule.needs(source))
    }

    /// The indicator of that key.
    pub fn indicator(&self, key: &str) -> Option<&Indicator> {
        self.at.get(key).map(|at| &self.text.indicators[*at])
    }

    /// Whether a report on this form can say that.
    pub fn asks_for(&self, value: &Value) -> Result<(), NotAsked> {
        let key = &value.key;
        let indicator = self.indicator(&key.indicator).ok_or(NotAsked::Indicator)?;
        if !indicator.kind.takes(&value.figure) {
            return Err(NotAsked::Figure);
        }
        if let Figure::Choice(choice) = &value.figure
            && !indicator.choices.contains(choice)
        {
            return Err(NotAsked::Choice(shown(&indicator.choices)));
        }
        if key.category.is_empty() {
            return Ok(());
        }
        let mut tables = self.tables_of(&key.indicator).peekable();
        match tables.peek() {
            Some(first) => {
                let name = first.display_name.clone();
                let takes = tables.any(|table| table.takes_row(&key.category));
                if takes { Ok(()) } else { Err(NotAsked::Category(name)) }
            }
            // What stands in no table may still be broken down.
            None => Ok(()),
        }
    }

    /// The tables that have a column of that indicator.
    pub fn tables_of<'a>(&'a self, indicator: &'a str) -> impl Iterator<Item = &'a Table> {
        self.text.tables.iter().filter(move |table| table.holds(indicator))
    }

    /// What people call an indicator.
    pub(crate) fn label<'a>(&'a self, key: &'a str) -> &'a str {
        self.indicator(key).map_or(key, |indicator| &indicator.display_name)
    }
}

/// Forms, by key.
#[derive(Clone, Debug, Default)]
pub struct Forms(BTreeMap<String, Arc<Form>>);

impl Forms {
    /// Those of this program.
    pub fn compiled_in() -> Result<Self, BadForm> {
        Self::of(&FILES)
    }

    fn of(files: &[&str]) -> Result<Self, BadForm> {
        let mut forms = Self::default();
        for file in files {
            let form = Form::read(file)?;
            let key = form.key().to_owned();
            if forms.0.insert(key.clone(), Arc::new(form)).is_some() {
                return Err(BadForm::Twice(key));
            }
        }
        Ok(forms)
    }

    /// With that one, in the place of one of its key if there is any.
    pub(crate) fn put(&mut self, form: Form) {
        self.0.insert(form.key().to_owned(), Arc::new(form));
    }

    /// The form of that key.
    pub fn get(&self, key: &str) -> Option<&Arc<Form>> {
        self.0.get(key)
    }

    /// All of them, by key.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Form>> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::value::{Key, Qualifier, Ratio, Role};

    #[test]
    fn the_forms_of_this_program_hold_together() {
        let forms = Forms::compiled_in().unwrap();
        let keys: Vec<_> = forms.iter().map(|form| form.key()).collect();
        assert_eq!(keys, ["cds-1", "ii06a-1", "text-1"]);
        let own = forms.get("cds-1").unwrap().text();
        assert!(own.legal_basis.contains("không do cơ quan nào ban hành"));
        assert_eq!((own.tables[0].columns.len(), own.tables[0].open), (11, true));
        let text = forms.get("text-1").unwrap().text();
        assert_eq!(
            (text.indicators.len(), text.display_name.as_str()),
            (0, "Báo cáo bằng lời văn")
        );
        for form in forms.iter() {
            let mut order = form.text().sections.iter().map(|section| section.key.as_str());
            let mut section = None;
            for indicator in &form.text().indicators {
                // Each section in one piece, in the order of the sections.
                if indicator.section.as_deref() != section {
                    section = order.find(|key| Some(*key) == indicator.section.as_deref());
                    assert!(section.is_some(), "{} {}", form.key(), indicator.key);
                }
            }
            for rule in form.rules() {
                assert!(!rule.text.message_en.is_empty(), "{} {}", form.key(), rule.text.key);
            }
        }
    }

    #[test]
    fn form_ii06a_has_its_thirteen_columns_its_fields_and_its_identities() {
        let forms = Forms::compiled_in().unwrap();
        let form = forms.get("ii06a-1").unwrap();
        let table = &form.text().tables[0];
        let numbers: Vec<_> = table.columns.iter().map(|column| column.number.as_str()).collect();
        let printed: Vec<_> = (1..=13).map(|number| format!("({number})")).collect();
        assert_eq!(numbers, printed);
        for column in &table.columns[2..] {
            assert!(form.indicator(&column.indicator).unwrap().required, "{}", column.number);
        }
        assert!(table.takes_row("Hộ tịch") && table.takes_row("Tổng số") && table.open);
        let rules: Vec<_> = form.rules().iter().map(|rule| rule.text.key.as_str()).collect();
        assert_eq!(
            rules,
            ["ii06a.3.received", "ii06a.3.processed", "ii06a.7", "ii06a.11", "ii06a.6.previous"]
        );
        assert!(form.needs(Source::Previous) && !form.needs(Source::Year));
    }

    const HEAD: &str = "key = 'x-1'\ndisplay_name = 'X'\nlegal_basis = 'X'\n";

    fn indicator(key: &str, kind: &str, more: &str) -> String {
        format!("[[indicator]]\nkey = '{key}'\ndisplay_name = 'A'\nkind = '{kind}'\n{more}\n")
    }

    fn table(more: &str) -> String {
        format!("[[table]]\nkey = 't'\ndisplay_name = 'T'\n{more}\n")
    }

    fn rule(key: &str, expression: &str) -> String {
        format!("[[rule]]\nkey = '{key}'\nmessage = 'Sai.'\nexpression = '{expression}'\n")
    }

    /// Where a form is wrong, and how.
    fn flaws(parts: &[String]) -> Vec<String> {
        match Form::read(&format!("{HEAD}{}", parts.concat())) {
            Ok(_) => Vec::new(),
            Err(BadForm::Flawed { flaws, .. }) => {
                flaws.0.iter().map(|flaw| format!("{} {}", flaw.field, flaw.what)).collect()
            }
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_form_whose_parts_do_not_fit_is_none_and_says_where() {
        let a = indicator("a", "count", "");
        let columns = "columns = [{ number = '(1)' }, { number = '(2)', indicator = 'a' }]";
        let section = "[[section]]\nkey = 's'\ndisplay_name = 'S'\n".to_owned();
        assert_eq!(flaws(&[a.clone(), table(columns), rule("r", "v.a > 0")]), [""; 0]);
        assert_eq!(flaws(&[section.clone(), indicator("a", "count", "section = 's'")]), [""; 0]);
        let unknown = "names \"b\", which is no indicator of this form";
        for (parts, wrong) in [
            (vec![a.clone(), a.clone()], "indicators[1].key has \"a\" twice".to_owned()),
            (vec![section.clone(), section], "sections[1].key has \"s\" twice".to_owned()),
            (
                vec![a.clone(), table(columns), table(columns)],
                "tables[1].key has \"t\" twice".to_owned(),
            ),
            (
                vec![a.clone(), rule("r", "v.a > 0"), rule("r", "v.a > 1")],
                "rules[1].key has \"r\" twice".to_owned(),
            ),
            (
                vec![indicator("a", "count", "whole = 'b'")],
                format!("indicators[0].denominator_indicator {unknown}"),
            ),
            (
                vec![indicator("a", "count", "whole = 'a'")],
                "indicators[0].denominator_indicator names the indicator itself".to_owned(),
            ),
            (
                vec![a.clone(), indicator("b", "text", "whole = 'a'")],
                "indicators[1].denominator_indicator joins kinds that are no part and whole"
                    .to_owned(),
            ),
            (
                vec![indicator("a", "count", "section = 's'")],
                "indicators[0].section is no section of this form".to_owned(),
            ),
            (
                vec![indicator("a", "percent", "roll_up = 'sum'")],
                "indicators[0].roll_up cannot be done with figures of this kind".to_owned(),
            ),
            (vec![indicator("a", "choice", "")], "indicators[0].choices is missing".to_owned()),
            (
                vec![indicator("a", "choice", "choices = ['Có', ' Có']")],
                "indicators[0].choices[1] has \"Có\" twice".to_owned(),
            ),
            (
                vec![indicator("a", "count", "choices = ['Có']")],
                "indicators[0].choices are of indicators of kind choice alone".to_owned(),
            ),
            (
                vec![indicator("A", "count", "")],
                "indicators[0].key must be a-z, 0-9 and _, a letter first, 63 at most".to_owned(),
            ),
            (
                vec![a.clone(), table("columns = [{ number = '(1)', indicator = 'b' }]")],
                format!("tables[0].columns[0].indicator {unknown}"),
            ),
            (
                vec![a.clone(), table("columns = [{ number = '(1)' }]")],
                "tables[0].columns is missing".to_owned(),
            ),
            (
                vec![
                    a.clone(),
                    table(&format!("{columns}\ntotal_category = 'Σ'\ncategories = ['x', 'Σ']")),
                ],
                "tables[0].total_category has \"Σ\" twice".to_owned(),
            ),
            (
                vec![a.clone(), rule("r", "v.a > 0 && v.b > 0")],
                "rules[0].expression names b, which is no indicator of the form, at character 12"
                    .to_owned(),
            ),
            (
                vec![a.clone(), rule("r", "v.a > 0") + "table = 'u'\n"],
                "rules[0].table is no table of this form".to_owned(),
            ),
            (
                vec![a, rule("percent_recomputed", "v.a > 0")],
                "rules[0].key is the name of a check that every form has".to_owned(),
            ),
        ] {
            assert_eq!(flaws(&parts), [wrong], "{parts:?}");
        }
        assert!(matches!(Form::read("key = 1"), Err(BadForm::Unreadable(_))));
        let form = format!("{HEAD}{}", indicator("a", "count", ""));
        assert_eq!(Forms::of(&[&form, &form]).unwrap_err(), BadForm::Twice("x-1".to_owned()));
    }

    #[test]
    fn the_last_number_of_a_key_is_its_version() {
        for (key, fits) in [
            ("cds-1", true),
            ("cds-xa-12", true),
            ("2-1", true),
            ("cds", false),
            ("cds-", false),
            ("cds-01", false),
            ("cds-0", false),
            ("-1", false),
            ("cds--1", false),
            ("cds-1a", false),
            ("Cds-1", false),
            ("cds_x-1", false),
        ] {
            assert_eq!(Shape::Form.fits(key), fits, "{key}");
        }
        assert!(Shape::Form.fits(&format!("{}-1", "a".repeat(61))));
        assert!(!Shape::Form.fits(&format!("{}-1", "a".repeat(62))));
    }

    #[test]
    fn what_a_form_holds_is_bounded() {
        let text = |indicators: usize, rules: usize| FormText {
            key: "x-1".to_owned(),
            display_name: "X".to_owned(),
            legal_basis: "X".to_owned(),
            sections: Vec::new(),
            indicators: (0..indicators)
                .map(|at| toml::from_str(&format!("key='a{at}'\ndisplay_name='A'\nkind='count'")))
                .collect::<Result<_, _>>()
                .unwrap(),
            tables: Vec::new(),
            rules: (0..rules)
                .map(|at| toml::from_str(&format!("key='r{at}'\nmessage='M'\nexpression='v.a0>0'")))
                .collect::<Result<_, _>>()
                .unwrap(),
        };
        assert!(Form::new(text(1000, 500)).is_ok());
        let many = |field: &str, most| Flaw { field: field.to_owned(), what: Wrong::TooMany(most) };
        assert_eq!(Form::new(text(1001, 0)).unwrap_err().0, [many("indicators", 1000)]);
        assert_eq!(Form::new(text(1, 501)).unwrap_err().0, [many("rules", 500)]);
    }

    fn value(indicator: &str, category: &str, figure: Figure) -> Value {
        Value {
            key: Key {
                indicator: indicator.to_owned(),
                category: category.to_owned(),
                role: Role::Actual,
                start: None,
                end: None,
            },
            figure,
            qualifier: Qualifier::Exact,
            stated_percent: None,
            quote: String::new(),
            discrepancy: None,
        }
    }

    #[test]
    fn each_kind_takes_its_own_figures() {
        let figures = [
            Figure::Count(1),
            Figure::Ratio(Ratio::new(1, 2).unwrap()),
            Figure::Percent("50".parse().unwrap()),
            Figure::Money(1),
            Figure::Text("x".to_owned()),
            Figure::Choice("Có".to_owned()),
        ];
        for (kind, takes) in [
            ("count", [true, true, false, false, false, false]),
            ("stock", [true, true, false, false, false, false]),
            ("percent", [true, true, true, false, false, false]),
            ("years", [true, false, false, false, false, false]),
            ("ratio", [false, true, false, false, false, false]),
            ("money", [false, false, false, true, false, false]),
            ("text", [false, false, false, false, true, false]),
            ("choice", [false, false, false, false, false, true]),
        ] {
            let more = if kind == "choice" { "choices = ['Có', 'Không']" } else { "" };
            let form = Form::read(&format!("{HEAD}{}", indicator("a", kind, more))).unwrap();
            for (figure, takes) in figures.iter().zip(takes) {
                let asked = form.asks_for(&value("a", "", figure.clone()));
                let expected = if takes { Ok(()) } else { Err(NotAsked::Figure) };
                assert_eq!(asked, expected, "{kind} {figure:?}");
            }
        }
        let choice = indicator("a", "choice", "choices = ['Có', 'Không']");
        let form = Form::read(&format!("{HEAD}{choice}")).unwrap();
        let maybe = Figure::Choice("Có lẽ".to_owned());
        let none = Err(NotAsked::Choice("Có, Không".to_owned()));
        assert_eq!(form.asks_for(&value("a", "", maybe)), none);
        assert_eq!(form.asks_for(&value("b", "", Figure::Count(1))), Err(NotAsked::Indicator));
        // Of many choices the first are told.
        let many: Vec<_> = (1..=100).map(|at| format!("'{}{at}'", "ơ".repeat(190))).collect();
        let choice = indicator("a", "choice", &format!("choices = [{}]", many.join(", ")));
        let form = Form::read(&format!("{HEAD}{choice}")).unwrap();
        let none = form.asks_for(&value("a", "", Figure::Choice("Có".to_owned()))).unwrap_err();
        let told = none.to_string();
        assert!(told.len() < 3000 && told.ends_with("ơ5, …"), "{}", told.len());
    }

    #[test]
    fn a_closed_table_has_its_own_rows_and_an_open_one_any() {
        let columns = "columns = [{ number = '(1)', indicator = 'a' }]\ntotal_category = 'Σ'\n";
        for (more, row, total, other) in [
            ("categories = ['x']\n", true, true, false),
            ("categories = ['x']\nopen = true\n", true, true, true),
            ("", true, true, true),
        ] {
            let parts = [indicator("a", "count", ""), table(&format!("{columns}{more}"))].concat();
            let form = Form::read(&format!("{HEAD}{parts}")).unwrap();
            for (category, takes) in [("x", row), ("Σ", total), ("y", other), ("", true)] {
                let asked = form.asks_for(&value("a", category, Figure::Count(1)));
                let expected = if takes { Ok(()) } else { Err(NotAsked::Category("T".to_owned())) };
                assert_eq!(asked, expected, "{more} {category}");
            }
        }
    }

    #[test]
    fn figures_roll_up_by_their_kind_unless_the_form_says_otherwise() {
        for (kind, more, how) in [
            ("count", "", RollUp::Sum),
            ("money", "", RollUp::Sum),
            ("stock", "", RollUp::SumOfLast),
            ("ratio", "", RollUp::RatioOfSums),
            ("percent", "", RollUp::None),
            ("years", "", RollUp::None),
            ("text", "", RollUp::None),
            ("stock", "roll_up = 'none'", RollUp::None),
            ("count", "roll_up = 'sum_of_last'", RollUp::SumOfLast),
        ] {
            let form = Form::read(&format!("{HEAD}{}", indicator("a", kind, more))).unwrap();
            assert_eq!(form.indicator("a").unwrap().rolls_up(), how, "{kind} {more}");
        }
    }
}

//! Forms: what a report can say, and which sums have to hold. They are files of this program, read and checked when it
//! starts; a published version never changes.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::value::{Figure, Value};

/// Every form there is, as its file reads.
const FILES: [&str; 3] = [
    include_str!("../../data/forms/cds-1.toml"),
    include_str!("../../data/forms/ii06a-1.toml"),
    include_str!("../../data/forms/text-1.toml"),
];

/// What a figure of an indicator can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A number of things, with its whole or without.
    Count,
    /// A percentage, which may be all that is stated.
    Percent,
    /// A number of years.
    Years,
}

impl Kind {
    fn takes(self, figure: Figure) -> bool {
        match self {
            Self::Count => matches!(figure, Figure::Count(_) | Figure::Ratio(_)),
            Self::Percent => true,
            Self::Years => matches!(figure, Figure::Count(_)),
        }
    }
}

/// One thing that a form asks for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Indicator {
    /// Its key.
    pub key: String,
    /// Its name in Vietnamese.
    pub display_name: String,
    /// What its figure is.
    pub kind: Kind,
    /// The indicator it is a part of.
    #[serde(default)]
    pub whole: Option<String>,
}

/// A column of a table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// As printed.
    pub number: String,
    /// What it holds; empty for the row's number and its name.
    pub indicator: String,
}

/// Indicators that are reported row by row.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Its key.
    pub key: String,
    /// Its name in Vietnamese.
    pub display_name: String,
    /// In order.
    pub columns: Vec<Column>,
    /// The row that adds up the others.
    pub total_category: String,
}

/// A sum that has to hold in each row.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Its key.
    pub key: String,
    /// The sum.
    pub total: String,
    /// What adds up to it.
    pub parts: Vec<String>,
}

/// A form.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// Its id; the last number is the version.
    pub key: String,
    /// Its name in Vietnamese.
    pub display_name: String,
    /// Where it comes from.
    pub legal_basis: String,
    /// What can be reported in figures; none: the report is a text.
    #[serde(rename = "indicator", default)]
    pub indicators: Vec<Indicator>,
    /// Tables.
    #[serde(rename = "table", default)]
    pub tables: Vec<Table>,
    /// Sums.
    #[serde(rename = "identity", default)]
    pub identities: Vec<Identity>,
}

/// Why a file is no form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadForm {
    /// It does not read.
    #[error("a form does not read: {0}")]
    Unreadable(String),
    /// It refers to what it does not have.
    #[error("the form {form} refers to the indicator {indicator}, which it does not have")]
    UnknownIndicator {
        /// Which.
        form: String,
        /// What.
        indicator: String,
    },
    /// It has the same thing twice.
    #[error("the form {form} has {key} twice")]
    Duplicate {
        /// Which.
        form: String,
        /// What.
        key: String,
    },
}

/// A figure that the form does not ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAsked {
    /// There is no such indicator.
    #[error("is no indicator of this form")]
    Indicator,
    /// There is, but its figure is another kind.
    #[error("is another kind of figure than this indicator has in this form")]
    Figure,
}

impl Form {
    /// Reads and checks a file.
    pub fn read(text: &str) -> Result<Self, BadForm> {
        let form: Self = toml::from_str(text).map_err(|e| BadForm::Unreadable(e.to_string()))?;
        let mut keys = BTreeSet::new();
        for indicator in &form.indicators {
            if !keys.insert(indicator.key.as_str()) {
                let key = indicator.key.clone();
                return Err(BadForm::Duplicate { form: form.key.clone(), key });
            }
        }
        let wholes = form.indicators.iter().filter_map(|indicator| indicator.whole.as_ref());
        let columns = form.tables.iter().flat_map(|table| &table.columns);
        let columns =
            columns.map(|column| &column.indicator).filter(|indicator| !indicator.is_empty());
        let sums = form.identities.iter().flat_map(|sum| sum.parts.iter().chain([&sum.total]));
        let unknown = wholes.chain(columns).chain(sums).find(|key| !keys.contains(key.as_str()));
        match unknown {
            None => Ok(form),
            Some(key) => {
                Err(BadForm::UnknownIndicator { indicator: key.clone(), form: form.key.clone() })
            }
        }
    }

    /// The indicator of that key.
    pub fn indicator(&self, key: &str) -> Option<&Indicator> {
        self.indicators.iter().find(|indicator| indicator.key == key)
    }

    /// Whether a report on this form can say that.
    pub fn asks_for(&self, value: &Value) -> Result<(), NotAsked> {
        let indicator = self.indicator(&value.key.indicator).ok_or(NotAsked::Indicator)?;
        if indicator.kind.takes(value.figure) { Ok(()) } else { Err(NotAsked::Figure) }
    }

    /// What people call an indicator.
    pub(crate) fn label<'a>(&'a self, key: &'a str) -> &'a str {
        self.indicator(key).map_or(key, |indicator| &indicator.display_name)
    }
}

/// All forms, by key.
#[derive(Clone, Debug)]
pub struct Forms(BTreeMap<String, Form>);

impl Forms {
    /// Those of this program.
    pub fn compiled_in() -> Result<Self, BadForm> {
        Self::of(&FILES)
    }

    fn of(files: &[&str]) -> Result<Self, BadForm> {
        let mut forms = BTreeMap::new();
        for file in files {
            let form = Form::read(file)?;
            let key = form.key.clone();
            if forms.insert(key.clone(), form).is_some() {
                return Err(BadForm::Duplicate { form: key.clone(), key });
            }
        }
        Ok(Self(forms))
    }

    /// The form of that key.
    pub fn get(&self, key: &str) -> Option<&Form> {
        self.0.get(key)
    }

    /// All of them, by key.
    pub fn iter(&self) -> impl Iterator<Item = &Form> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_this_program_hold_together() {
        let forms = Forms::compiled_in().unwrap();
        let keys: Vec<_> = forms.iter().map(|form| form.key.as_str()).collect();
        assert_eq!(keys, ["cds-1", "ii06a-1", "text-1"]);
        let own = forms.get("cds-1").unwrap();
        assert!(own.legal_basis.contains("không do cơ quan nào ban hành"));
        assert_eq!(own.tables[0].columns.len(), 11);
        assert_eq!(forms.get("ii06a-1").unwrap().tables[0].columns.len(), 13);
        let text = forms.get("text-1").unwrap();
        assert_eq!(
            (text.indicators.len(), text.display_name.as_str()),
            (0, "Báo cáo bằng lời văn")
        );
        for form in forms.iter() {
            let identities = if form.key == "text-1" { 0 } else { 4 };
            assert_eq!(form.identities.len(), identities, "{}", form.key);
            for indicator in &form.indicators {
                assert!(!indicator.display_name.is_empty(), "{}", indicator.key);
            }
        }
    }

    #[test]
    fn a_form_that_refers_to_what_it_does_not_have_is_none() {
        let head = "key = 'x-1'\ndisplay_name = 'X'\nlegal_basis = 'X'\n";
        let a = "[[indicator]]\nkey = 'a'\ndisplay_name = 'A'\nkind = 'count'\n";
        let table = |indicator: &str| {
            format!(
                "[[table]]\nkey = 't'\ndisplay_name = 'T'\ntotal_category = 'Σ'\n\
                 columns = [{{ number = '(1)', indicator = '{indicator}' }}]\n"
            )
        };
        let sum =
            |part: &str| format!("[[identity]]\nkey = 's'\ntotal = 'a'\nparts = ['a', '{part}']\n");
        let good = format!("{head}{a}{}{}{}", table("a"), table(""), sum("a"));
        Form::read(&good).unwrap();
        for bad in [
            format!("{head}{a}whole = 'b'\n"),
            format!("{head}{a}{}", table("b")),
            format!("{head}{a}{}", sum("b")),
        ] {
            let unknown =
                BadForm::UnknownIndicator { form: "x-1".to_owned(), indicator: "b".to_owned() };
            assert_eq!(Form::read(&bad).unwrap_err(), unknown, "{bad}");
        }
        let twice = BadForm::Duplicate { form: "x-1".to_owned(), key: "a".to_owned() };
        assert_eq!(Form::read(&format!("{head}{a}{a}")).unwrap_err(), twice);
        assert!(matches!(Form::read("key = 1"), Err(BadForm::Unreadable(_))));
        let form = format!("{head}{a}");
        assert!(matches!(Forms::of(&[&form, &form]), Err(BadForm::Duplicate { .. })));
    }
}

//! One figure of a report.

use std::fmt;
use std::str::FromStr;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

use super::finding::Discrepancy;

/// Whether the figure says what is, what is wanted, or is there for context only.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// What was done or found.
    #[default]
    Actual,
    /// What is aimed at.
    Target,
    /// Mentioned in passing.
    Context,
}

impl Role {
    /// As it is kept.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Actual => "actual",
            Self::Target => "target",
            Self::Context => "context",
        }
    }
}

/// How exact the figure claims to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Qualifier {
    /// Nothing else is said.
    #[default]
    Exact,
    /// "trên", "hơn".
    MoreThan,
    /// "khoảng".
    About,
    /// "khoảng trên".
    AboutMoreThan,
}

/// A percentage as it is stated, with the number of decimals it is stated with: 84.5 is not 84.50.
///
/// At most 6 digits before the point and 4 after it, and not negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Percent(Decimal);

/// The most decimals of a percentage.
pub const MOST_DECIMALS: u32 = 4;
const MOST_DIGITS: usize = 6;

/// Why a text is no percentage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAPercent {
    /// NaN, infinity, an exponent, too many digits, or no number at all.
    #[error("is no decimal of at most 6 digits before and 4 after the point, such as 84.54")]
    NotANumber,
    /// Below zero.
    #[error("must not be negative")]
    Negative,
}

impl Percent {
    /// As a decimal; its scale is the number of decimals stated.
    pub fn decimal(self) -> Decimal {
        self.0
    }

    /// How many decimals are stated.
    pub fn decimals(self) -> u32 {
        self.0.scale()
    }

    /// As a whole number of the last decimal stated: 8454 for 84.54.
    pub(crate) fn scaled(self) -> i128 {
        self.0.mantissa()
    }
}

impl FromStr for Percent {
    type Err = NotAPercent;

    /// Digits and a point, nothing else: what else a decimal parser takes (exponents, underscores, blanks) is a slip
    /// of whoever sent it.
    fn from_str(text: &str) -> Result<Self, NotAPercent> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let fits = all_digits(whole)
            && all_digits(decimals)
            && whole.len() <= MOST_DIGITS
            && decimals.len() <= MOST_DECIMALS as usize;
        if !fits {
            return Err(NotAPercent::NotANumber);
        }
        let value: Decimal = digits.parse().map_err(|_| NotAPercent::NotANumber)?;
        if text.starts_with('-') && !value.is_zero() {
            return Err(NotAPercent::Negative);
        }
        Ok(Self(value))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A part and its whole. The part is not greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ratio {
    part: u64,
    whole: u64,
}

impl Ratio {
    /// `None` where the part is greater than the whole.
    pub fn new(part: u64, whole: u64) -> Option<Self> {
        (part <= whole).then_some(Self { part, whole })
    }

    /// The numerator.
    pub fn part(self) -> u64 {
        self.part
    }

    /// The denominator.
    pub fn whole(self) -> u64 {
        self.whole
    }
}

/// What is stated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// A number of things.
    Count(u64),
    /// A part and its whole.
    Ratio(Ratio),
    /// A percentage without its parts.
    Percent(Percent),
    /// An amount in đồng.
    Money(u64),
    /// A text.
    Text(String),
    /// One of the choices of its indicator.
    Choice(String),
}

/// What tells a figure from the others of its report.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// A key of the form.
    pub indicator: String,
    /// A row of a table; empty outside of tables.
    #[serde(skip_serializing_if = "is_usual")]
    pub category: String,
    /// What is, or what is wanted.
    #[serde(skip_serializing_if = "is_usual")]
    pub role: Role,
    /// First day covered, where the report says so.
    #[serde(skip_serializing_if = "is_usual")]
    pub start: Option<NaiveDate>,
    /// Last day covered, where the report says so.
    #[serde(skip_serializing_if = "is_usual")]
    pub end: Option<NaiveDate>,
}

/// What most figures have is not written down: a report has many, and is read often.
fn is_usual<T: Default + PartialEq>(it: &T) -> bool {
    *it == T::default()
}

impl Key {
    /// Whether two figures can be held against each other: same row, same role, and no dates that differ.
    pub(crate) fn comparable(&self, other: &Self) -> bool {
        self.category == other.category && self.comparable_across_rows(other)
    }

    /// As [`comparable`](Self::comparable), whatever the rows.
    pub(crate) fn comparable_across_rows(&self, other: &Self) -> bool {
        let agree = |one: Option<NaiveDate>, two: Option<NaiveDate>| {
            one.zip(two).is_none_or(|(one, two)| one == two)
        };
        self.role == other.role && agree(self.start, other.start) && agree(self.end, other.end)
    }
}

/// One figure of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Flat")]
pub struct Value {
    /// What it is about.
    #[serde(flatten)]
    pub key: Key,
    /// What is stated.
    pub figure: Figure,
    /// How exactly.
    #[serde(skip_serializing_if = "is_usual")]
    pub qualifier: Qualifier,
    /// The percentage stated beside a count or a ratio.
    #[serde(skip_serializing_if = "is_usual")]
    pub stated_percent: Option<Percent>,
    /// The sentence it came from.
    #[serde(skip_serializing_if = "is_usual")]
    pub quote: String,
    /// How the stated percentage stands to its parts, as the checks found it; not something that the report says.
    #[serde(skip_serializing_if = "is_usual")]
    pub discrepancy: Option<Discrepancy>,
}

/// A figure as it is read: a derived reader would collect its fields before it looks at them, because of those of its key, and
/// a report has many.
#[derive(Deserialize)]
struct Flat {
    indicator: String,
    #[serde(default)]
    category: String,
    #[serde(default)]
    role: Role,
    #[serde(default)]
    start: Option<NaiveDate>,
    #[serde(default)]
    end: Option<NaiveDate>,
    figure: Figure,
    #[serde(default)]
    qualifier: Qualifier,
    #[serde(default)]
    stated_percent: Option<Percent>,
    #[serde(default)]
    quote: String,
    #[serde(default)]
    discrepancy: Option<Discrepancy>,
}

impl From<Flat> for Value {
    fn from(flat: Flat) -> Self {
        let Flat { indicator, category, role, start, end, .. } = flat;
        let Flat { figure, qualifier, stated_percent, quote, discrepancy, .. } = flat;
        let key = Key { indicator, category, role, start, end };
        Self { key, figure, qualifier, stated_percent, quote, discrepancy }
    }
}

impl Value {
    /// The number that is stated exactly: the count, the part of a ratio, or the amount.
    pub(crate) fn exact_count(&self) -> Option<u64> {
        if self.qualifier != Qualifier::Exact {
            return None;
        }
        match &self.figure {
            Figure::Count(count) | Figure::Money(count) => Some(*count),
            Figure::Ratio(ratio) => Some(ratio.part()),
            Figure::Percent(_) | Figure::Text(_) | Figure::Choice(_) => None,
        }
    }
}

/// The name of a row as it is compared: one encoding of its letters, no blanks around it.
pub fn category(text: &str) -> String {
    text.trim().nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_digits_and_a_point_and_keeps_its_decimals() {
        for (text, decimals, scaled) in
            [("84.54", 2, 8454), ("84.540", 3, 84540), ("100", 0, 100), ("0.0001", 4, 1)]
        {
            let percent: Percent = text.parse().unwrap();
            assert_eq!((percent.decimals(), percent.scaled()), (decimals, scaled), "{text}");
            assert_eq!(percent.to_string(), text);
            let json = serde_json::to_string(&percent).unwrap();
            assert_eq!(serde_json::from_str::<Percent>(&json).unwrap().to_string(), text);
        }
        for text in [
            "", "-", ".", "84.", ".5", "NaN", "Infinity", "inf", "1e308", "1E2", "84,54", " 84",
            "8_4", "+84", "1234567", "0.12345", "٣", "84.5.4",
        ] {
            assert_eq!(text.parse::<Percent>(), Err(NotAPercent::NotANumber), "{text:?}");
        }
        assert_eq!("-0.01".parse::<Percent>(), Err(NotAPercent::Negative));
        assert_eq!("-0".parse::<Percent>().unwrap().scaled(), 0);
    }

    #[test]
    fn a_part_is_never_greater_than_its_whole() {
        assert!(Ratio::new(0, 0).is_some());
        assert!(Ratio::new(85, 85).is_some());
        assert!(Ratio::new(86, 85).is_none());
    }

    #[test]
    fn a_figure_is_read_as_it_was_always_kept() {
        let ratio = Ratio::new(1, 2).unwrap();
        for (json, figure) in [
            (r#"{"count":5}"#, Figure::Count(5)),
            (r#"{"ratio":{"part":1,"whole":2}}"#, Figure::Ratio(ratio)),
            (r#"{"percent":"84.50"}"#, Figure::Percent("84.50".parse().unwrap())),
            (r#"{"money":1500000}"#, Figure::Money(1_500_000)),
            (r#"{"text":"Không có."}"#, Figure::Text("Không có.".to_owned())),
            (r#"{"choice":"Có"}"#, Figure::Choice("Có".to_owned())),
        ] {
            assert_eq!(serde_json::to_string(&figure).unwrap(), json);
            assert_eq!(serde_json::from_str::<Figure>(json).unwrap(), figure);
        }
        let kept = r#"{"indicator":"a","category":"","role":"actual","start":null,"end":null,
            "figure":{"count":5},"qualifier":"exact","stated_percent":null,"quote":""}"#;
        let value: Value = serde_json::from_str(kept).unwrap();
        assert_eq!((value.figure, value.discrepancy), (Figure::Count(5), None));
    }

    #[test]
    fn a_row_has_one_name_however_its_letters_are_encoded() {
        assert_eq!(category(" Ho\u{323}\u{302} ti\u{323}ch"), "Hộ tịch");
    }
}

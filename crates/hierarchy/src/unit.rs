//! What is known of one unit over time: its names, kinds, levels and parents, and the codes it holds.

use std::fmt;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::UnitId;

/// The scheme of the General Statistics Office's codes, by which lists of units are ordered.
pub const NSO: &str = "nso";

/// A word that is not one of those the data files use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not one of {1}")]
pub struct UnknownWord(pub(crate) String, pub(crate) String);

/// One table per enum, so that reading, printing and listing its words cannot drift apart.
macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $name {
            /// All of them, in the order of their declaration.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word that the data files use.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::UnknownWord;

            fn from_str(word: &str) -> Result<Self, $crate::UnknownWord> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|one| one.as_str() == word)
                    .ok_or_else(|| $crate::UnknownWord(word.to_owned(), [$($word),+].join(", ")))
            }
        }
    };
}

/// The tier of government that a unit belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Cấp tỉnh.
    Province,
    /// Cấp huyện, until 30 June 2025.
    District,
    /// Cấp xã.
    Commune,
    /// A specialised agency under a province or district: sở, phòng.
    Department,
    /// A school.
    School,
    /// Anything else that owes reports.
    Other,
}

pub(crate) use words;

words!(Level {
    Province = "province",
    District = "district",
    Commune = "commune",
    Department = "department",
    School = "school",
    Other = "other",
});

/// What a unit is called by law: the word before its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Tỉnh, a province.
    Tinh,
    /// Thành phố: a city of the level of a province or, until 30 June 2025, of a district.
    ThanhPho,
    /// Quận, an urban district.
    Quan,
    /// Huyện, a rural district.
    Huyen,
    /// Thị xã, a town of the level of a district.
    ThiXa,
    /// Xã, a rural commune.
    Xa,
    /// Phường, a ward.
    Phuong,
    /// Thị trấn, a township.
    ThiTran,
    /// Đặc khu, a special zone.
    DacKhu,
    /// Sở, a department of a province.
    So,
    /// Phòng, a division of a district or commune.
    Phong,
    /// A school.
    School,
    /// Trung tâm, such as a centre that serves citizens at one stop.
    TrungTam,
    /// Anything else.
    Other,
}

words!(Kind {
    Tinh = "tinh",
    ThanhPho = "thanh_pho",
    Quan = "quan",
    Huyen = "huyen",
    ThiXa = "thi_xa",
    Xa = "xa",
    Phuong = "phuong",
    ThiTran = "thi_tran",
    DacKhu = "dac_khu",
    So = "so",
    Phong = "phong",
    School = "school",
    TrungTam = "trung_tam",
    Other = "other",
});

/// The civil dates on which something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Validity {
    /// The first day, or `None` where it is unknown: the list at hand is a snapshot. It is then taken to hold as far back as
    /// anyone asks, and answers say that this is not certain.
    pub from: Option<NaiveDate>,
    /// The day after the last, or `None` while it still holds.
    pub until: Option<NaiveDate>,
}

impl Validity {
    /// Of unknown beginning, and still holding.
    pub const OPEN: Self = Self { from: None, until: None };

    /// Holding from this day on.
    pub const fn since(day: NaiveDate) -> Self {
        Self { from: Some(day), until: None }
    }

    /// Of unknown beginning, and no longer holding on this day.
    pub const fn before(day: NaiveDate) -> Self {
        Self { from: None, until: Some(day) }
    }

    /// Holding from the first day until the day before the second.
    pub const fn between(from: NaiveDate, until: NaiveDate) -> Self {
        Self { from: Some(from), until: Some(until) }
    }

    /// Whether it holds on this day; where the beginning is unknown, every day before the end counts.
    pub fn contains(self, day: NaiveDate) -> bool {
        self.from.is_none_or(|from| from <= day) && self.until.is_none_or(|until| day < until)
    }

    /// Whether it holds on no day at all.
    pub fn is_empty(self) -> bool {
        self.until.is_some_and(|until| until <= self.start())
    }

    /// Whether there is a day on which both hold.
    pub fn overlaps(self, other: Self) -> bool {
        !self.intersection(other).is_empty()
    }

    /// The days on which both hold; empty if there are none.
    pub fn intersection(self, other: Self) -> Self {
        // An unknown beginning is the smallest Option, and so loses to any known one.
        let until = match (self.until, other.until) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        Self { from: self.from.max(other.from), until }
    }

    /// Whether it holds on every day on which the other does. An unknown beginning is covered only by an unknown one.
    pub fn covers(self, other: Self) -> bool {
        self.from <= other.from
            && self.until.is_none_or(|until| other.until.is_some_and(|end| end <= until))
    }

    /// The last day on which it holds, or `None` while it still does.
    pub fn last_day(self) -> Option<NaiveDate> {
        self.until.and_then(|until| until.pred_opt())
    }

    /// A day to look things up on, at the beginning.
    pub(crate) fn start(self) -> NaiveDate {
        self.from.unwrap_or(NaiveDate::MIN)
    }
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.from {
            Some(from) => write!(f, "from {from}")?,
            None => f.write_str("from an unknown day")?,
        }
        match self.until {
            Some(until) => write!(f, " until before {until}"),
            None => f.write_str(" on"),
        }
    }
}

/// What a unit was for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// When it was that.
    pub validity: Validity,
    /// The name in full, with the word for its kind: `Xã Tân Kỳ`.
    pub display_name: String,
    /// What it is called by law.
    pub kind: Kind,
    /// Its tier.
    pub level: Level,
    /// The unit it is under, or `None` at the top.
    pub parent: Option<UnitId>,
}

/// A code that a unit holds for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identifier {
    /// Whose codes these are, such as [`NSO`].
    pub scheme: String,
    /// The code itself.
    pub value: String,
    /// When the unit holds it. Days on which the unit does not exist do not count, whatever this says.
    pub validity: Validity,
}

/// All that is known of one unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitHistory {
    /// The unit.
    pub id: UnitId,
    /// What it was over time; no two overlap. A unit that was recorded in error and taken back has none.
    pub versions: Vec<Version>,
    /// The codes it holds over time; no two of one scheme overlap.
    pub identifiers: Vec<Identifier>,
}

impl UnitHistory {
    /// What the unit is on this day, or `None` if it does not exist then.
    pub fn version_on(&self, day: NaiveDate) -> Option<&Version> {
        self.versions.iter().find(|version| version.validity.contains(day))
    }

    /// The code of this scheme that the unit holds on this day.
    pub fn code_on(&self, scheme: &str, day: NaiveDate) -> Option<&str> {
        self.version_on(day)?;
        self.identifiers
            .iter()
            .find(|one| one.scheme == scheme && one.validity.contains(day))
            .map(|one| one.value.as_str())
    }

    /// The last day before this one on which the unit stopped existing, or `None` if there was none.
    pub(crate) fn ended_before(&self, day: NaiveDate) -> Option<NaiveDate> {
        let last_days = self.versions.iter().filter_map(|version| version.validity.last_day());
        last_days.filter(|last| *last < day).max()
    }

    /// When the unit exists, given that its versions are sorted: mostly one stretch, more if it was once absent in between.
    pub(crate) fn lives(&self) -> Vec<Validity> {
        let mut lives: Vec<Validity> = Vec::with_capacity(1);
        for version in
            self.versions.iter().map(|version| version.validity).filter(|one| !one.is_empty())
        {
            match lives.last_mut() {
                Some(life) if life.until.is_none_or(|until| version.start() <= until) => {
                    life.until = life.until.zip(version.until).map(|(one, two)| one.max(two));
                }
                _ => lives.push(version),
            }
        }
        lives
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn every_word_reads_back_and_is_the_one_in_json() {
        for level in Level::ALL {
            assert_eq!(level.to_string().parse(), Ok(*level));
            assert_eq!(serde_json::to_string(level).unwrap(), format!("\"{level}\""));
        }
        for kind in Kind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(*kind));
            assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{kind}\""));
        }
        let refused = "Xã".parse::<Level>().unwrap_err().to_string();
        assert_eq!(
            refused,
            "\"Xã\" is not one of province, district, commune, department, school, other"
        );
    }

    #[test]
    fn the_first_day_counts_and_the_end_does_not() {
        let validity = Validity::between(day("2025-07-01"), day("2026-09-20"));
        assert!(!validity.contains(day("2025-06-30")));
        assert!(validity.contains(day("2025-07-01")));
        assert!(validity.contains(day("2026-09-19")));
        assert!(!validity.contains(day("2026-09-20")));
        assert_eq!(validity.last_day(), Some(day("2026-09-19")));
        assert_eq!(Validity::OPEN.last_day(), None);
    }

    #[test]
    fn an_unknown_beginning_holds_back_in_time() {
        assert!(Validity::before(day("2025-07-01")).contains(day("1975-04-30")));
        assert!(!Validity::before(day("2025-07-01")).is_empty());
        assert!(Validity::OPEN.covers(Validity::before(day("2025-07-01"))));
        assert!(!Validity::since(day("1900-01-01")).covers(Validity::before(day("2025-07-01"))));
    }

    #[test]
    fn touching_is_not_overlapping() {
        let (before, since) =
            (Validity::before(day("2025-07-01")), Validity::since(day("2025-07-01")));
        assert!(!before.overlaps(since) && !since.overlaps(before));
        assert!(Validity::before(day("2025-07-02")).overlaps(since));
        assert!(Validity::between(day("2025-07-01"), day("2025-07-01")).is_empty());
        assert!(Validity::between(day("2025-07-02"), day("2025-07-01")).is_empty());
    }
}

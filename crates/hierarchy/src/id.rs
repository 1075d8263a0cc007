//! The id of a unit, which is also its resource name.

use std::fmt;
use std::str::FromStr;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Ids made from a scheme, a code and a first day live in this namespace; changing it would rename every unit.
const NAMESPACE: Uuid = Uuid::from_u128(0x1a467f35_8e6a_485a_a804_197949a040af);

/// A unit, whatever it is called and whichever codes it holds over time.
///
/// It prints as, parses from and serialises as the resource name `units/{uuid}`. Ids are ordered by their UUID, which means
/// nothing but is the same everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnitId(Uuid);

/// A text that is not the resource name of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be units/{{unit}}")]
pub struct NotAUnitName;

impl UnitId {
    /// The id of the unit that was first known by this code of this scheme, from this day on; `None` where the day is unknown.
    ///
    /// The same arguments give the same id on every machine, so two imports of one list agree. The day is part of it because
    /// codes are given to other units.
    pub fn new(scheme: &str, code: &str, first_day: Option<NaiveDate>) -> Self {
        let first_day = first_day.map_or_else(|| "unknown".to_owned(), |day| day.to_string());
        Self(Uuid::new_v5(&NAMESPACE, format!("{scheme}/{code}/{first_day}").as_bytes()))
    }

    /// The bare UUID, as databases keep it.
    pub fn uuid(self) -> Uuid {
        self.0
    }

    /// The unit that [`uuid`](Self::uuid) was taken from.
    pub fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "units/{}", self.0.hyphenated())
    }
}

impl FromStr for UnitId {
    type Err = NotAUnitName;

    fn from_str(name: &str) -> Result<Self, NotAUnitName> {
        let text = name.strip_prefix("units/").ok_or(NotAUnitName)?;
        let uuid = Uuid::try_parse(text).map_err(|_| NotAUnitName)?;
        // Uuid also reads braces, upper case and no hyphens; a resource name has one spelling only.
        let mut spelling = Uuid::encode_buffer();
        if uuid.hyphenated().encode_lower(&mut spelling) == text {
            Ok(Self(uuid))
        } else {
            Err(NotAUnitName)
        }
    }
}

impl TryFrom<String> for UnitId {
    type Error = NotAUnitName;

    fn try_from(name: String) -> Result<Self, NotAUnitName> {
        name.parse()
    }
}

impl From<UnitId> for String {
    fn from(id: UnitId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_never_changes() {
        let old = UnitId::new("nso", "27787", None);
        let new = UnitId::new("nso", "27787", NaiveDate::from_ymd_opt(2025, 7, 1));
        assert_eq!(old.to_string(), "units/d5b39481-dd84-5e44-9a82-902c1718234c");
        assert_eq!(new.to_string(), "units/df62d2d7-12a1-52f3-b3f1-4ae694cb4319");
    }

    #[test]
    fn a_name_has_one_spelling_only() {
        let name = UnitId::new("nso", "01", None).to_string();
        assert_eq!(name.parse::<UnitId>().map(|id| id.to_string()), Ok(name.clone()));
        let bare = name.trim_start_matches("units/");
        for other in [
            "",
            "units/",
            bare,
            &format!("units/{{{bare}}}"),
            &format!("units/{}", bare.to_uppercase()),
            &format!("units/{}", bare.replace('-', "")),
            &format!("unit/{bare}"),
            &format!("units/{bare}/"),
            &format!(" {name}"),
        ] {
            assert_eq!(other.parse::<UnitId>(), Err(NotAUnitName), "{other:?}");
        }
        assert_eq!(NotAUnitName.to_string(), "must be units/{unit}");
    }

    #[test]
    fn an_id_is_a_string_in_json() {
        let id = UnitId::new("nso", "01", None);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<UnitId>(&json).unwrap(), id);
        assert!(serde_json::from_str::<UnitId>("\"units/1\"").is_err());
    }
}

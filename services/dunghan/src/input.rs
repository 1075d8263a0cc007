//! What people type and what files hold, read strictly: every problem is found before anything is sent, and each one
//! says where it is.

mod arrival;
mod calendar;
mod csv_file;
mod dossier;
mod json;
mod regime;
mod reorganisation;
mod report;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use dunghan_calendar::{Period, zone};
use dunghan_hierarchy::{Level, NSO, UnitId};
use dunghan_proto::compliance::Standing;
use dunghan_proto::compliance::obligation_request;
use dunghan_proto::registry::ContactRole;
use dunghan_proto::submission::report::State as ReportState;
use serde::Deserialize;

use crate::failure::Failure;

pub(crate) use arrival::{ArrivalRow, arrivals};
pub(crate) use calendar::{CalendarDay, Hours, calendar_days};
use csv_file::text;
pub(crate) use dossier::{DossierRow, dossiers};
pub(crate) use regime::{RegimeFile, bundled_regimes, regimes};
pub(crate) use reorganisation::{
    ReorganisationFile, reorganisation_name, reorganisations, shown as shown_change,
};
pub(crate) use report::{ReportFile, report};

/// A unit as people name it.
///
/// `24`, `27787:2024-09-14`, `SCHEME/CODE:DATE` or `units/UUID`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum UnitRef {
    /// By its name, which never changes.
    Name(UnitId),
    /// By the code that it holds on a date.
    Code { scheme: String, code: String, as_of: Option<NaiveDate> },
}

impl UnitRef {
    /// The date on which it is meant: its own, else `other`.
    pub(crate) fn date(&self, other: Option<NaiveDate>) -> Option<NaiveDate> {
        match self {
            Self::Code { as_of: Some(own), .. } => Some(*own),
            _ => other,
        }
    }
}

impl FromStr for UnitRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is not CODE, CODE:DATE, SCHEME/CODE or units/UUID");
        if text.starts_with("units/") {
            return text.parse().map(Self::Name).map_err(|_| bad());
        }
        let (scheme, rest) = text.split_once('/').unwrap_or((NSO, text));
        let (code, as_of) = match rest.split_once(':') {
            None => (rest, None),
            Some((code, date)) => (code, Some(date.parse().map_err(|_| bad())?)),
        };
        if scheme.is_empty() || code.is_empty() || code.contains(char::is_whitespace) {
            return Err(bad());
        }
        Ok(Self::Code { scheme: scheme.to_owned(), code: code.to_owned(), as_of })
    }
}

impl TryFrom<String> for UnitRef {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for UnitRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(id) => id.fmt(f),
            Self::Code { scheme, code, as_of } => {
                if scheme != NSO {
                    write!(f, "{scheme}/")?;
                }
                f.write_str(code)?;
                as_of.map_or(Ok(()), |date| write!(f, ":{date}"))
            }
        }
    }
}

/// How long a token holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime(pub(crate) TimeDelta);

impl FromStr for Lifetime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no duration such as 30m, 8h or 7d, of a year at most");
        let unit = text.chars().next_back().ok_or_else(bad)?;
        let number: i64 = text.trim_end_matches(unit).parse().map_err(|_| bad())?;
        let length = match unit {
            'm' => TimeDelta::try_minutes(number),
            'h' => TimeDelta::try_hours(number),
            'd' => TimeDelta::try_days(number),
            _ => None,
        };
        length
            .filter(|length| *length > TimeDelta::zero() && *length <= TimeDelta::days(366))
            .map(Self)
            .ok_or_else(bad)
    }
}

/// An instant: RFC 3339, or without an offset and then in Viet Nam.
pub(crate) fn time(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"]
        .into_iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .map(|civil| zone::at(civil.date(), civil.time()))
        .ok_or_else(|| format!("{text:?} is no time such as 2026-05-20T08:00"))
}

/// The beginning of an address on the web, without the `/` at its end.
pub(crate) fn web_address(text: &str) -> Result<String, String> {
    let uri = text.parse::<http::Uri>().ok().filter(|_| !text.contains(['?', '#']));
    match uri.as_ref().and_then(http::Uri::scheme_str) {
        Some("http" | "https") => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err(format!("{text:?} is no address such as https://lich.example")),
    }
}

/// A date as ISO 8601 writes it; 05/06/2026 is not guessed at.
pub(crate) fn date(text: &str) -> Result<NaiveDate, String> {
    let shown = || {
        let (day, rest) = text.split_once('/')?;
        let (month, year) = rest.split_once('/')?;
        // Two digits of a year are no year.
        let year = (year.len() == 4).then(|| year.parse().ok())??;
        NaiveDate::from_ymd_opt(year, month.parse().ok()?, day.parse().ok()?)
    };
    let date = text.parse().ok().or_else(shown);
    date.ok_or_else(|| "is not a date such as 2026-05-14 or 14/05/2026".to_owned())
}

/// `section.key=value`.
pub(crate) fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("is not SECTION.KEY=VALUE")?;
    if !key.contains('.') {
        return Err("is not SECTION.KEY=VALUE".to_owned());
    }
    Ok((key.to_owned(), value.to_owned()))
}

/// A level of administration.
pub(crate) fn level(text: &str) -> Result<Level, String> {
    text.parse().map_err(|e: dunghan_hierarchy::UnknownWord| e.to_string())
}

/// Where an obligation stands.
pub(crate) fn standing(text: &str) -> Result<Standing, String> {
    word("STANDING_", text, Standing::from_str_name).ok_or_else(|| {
        "is not not_yet_open, open, due_soon, missing, on_time, late, no_due_time, returned, \
             waived or closed"
            .to_owned()
    })
}

/// Where a report stands.
pub(crate) fn report_state(text: &str) -> Result<ReportState, String> {
    word("STATE_", text, ReportState::from_str_name)
        .ok_or_else(|| "is not draft, submitted, returned or accepted".to_owned())
}

/// Where a request stands.
pub(crate) fn request_state(text: &str) -> Result<obligation_request::State, String> {
    word("STATE_", text, obligation_request::State::from_str_name)
        .ok_or_else(|| "is not pending, granted, refused or withdrawn".to_owned())
}

/// What a request asks for.
pub(crate) fn request_kind(text: &str) -> Result<obligation_request::Kind, String> {
    word("KIND_", text, obligation_request::Kind::from_str_name)
        .ok_or_else(|| "is not extension, system_failure or explanation".to_owned())
}

/// What a contact does at its unit.
pub(crate) fn contact_role(text: &str) -> Result<ContactRole, String> {
    word("CONTACT_ROLE_", text, ContactRole::from_str_name)
        .ok_or_else(|| "is not reporter, head or supervisor".to_owned())
}

/// The value of an enum of the contract that a word names, in whichever case.
pub(crate) fn word<E>(prefix: &str, text: &str, find: fn(&str) -> Option<E>) -> Option<E> {
    find(&format!("{prefix}{}", text.to_uppercase()))
        .filter(|_| !text.eq_ignore_ascii_case("unspecified"))
}

/// `regimes/NAME`, given with or without the prefix.
pub(crate) fn regime_name(text: &str) -> String {
    if text.starts_with("regimes/") { text.to_owned() } else { format!("regimes/{text}") }
}

/// What a unit has under one regime for one period, or the whole name of it.
pub(crate) enum Target {
    Name(String),
    Of { unit: UnitRef, regime: String, period: Period },
}

/// Reads a target; `collection` is the part of a whole name that tells it from a unit's, such as `/reports/`.
pub(crate) fn target(
    text: String,
    collection: &str,
    regime: Option<&str>,
    period: Option<Period>,
) -> Result<Target, Failure> {
    if text.contains(collection) {
        return Ok(Target::Name(text));
    }
    let unit: UnitRef = text.parse().map_err(Failure::input)?;
    match (regime, period) {
        (Some(regime), Some(period)) => {
            Ok(Target::Of { unit, regime: regime_name(regime), period })
        }
        _ => Err(Failure::input("give --regime and --period with a unit, or the whole name")),
    }
}

/// The content of a file.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file)
        .map_err(|e| Failure::input(format_args!("{} cannot be read: {e}", file.display())))
}

/// Puts the file's name before each problem.
pub(crate) fn in_file<T>(file: &Path, read: Result<T, Vec<String>>) -> Result<T, Failure> {
    read.map_err(|problems| {
        let name = file.display();
        Failure::Input(problems.into_iter().map(|problem| format!("{name}: {problem}")).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_given_by_code_by_code_on_a_date_or_by_name() {
        let id = UnitId::new("nso", "24", None);
        for text in ["24", "27787:2024-09-14", "dunghan-demo/24.SKHCN:2026-05-14", &id.to_string()]
        {
            assert_eq!(text.parse::<UnitRef>().unwrap().to_string(), text);
        }
        for bad in ["", "units/24", "24:today", ":2024-09-14", "/24", "2 4", "24:2024-02-30"] {
            assert!(bad.parse::<UnitRef>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_time_without_an_offset_is_viet_nams() {
        let expected = "2026-05-20T01:00:00Z".parse::<DateTime<Utc>>().unwrap();
        for text in ["2026-05-20T08:00", "2026-05-20T08:00:00", "2026-05-20T08:00:00+07:00"] {
            assert_eq!(time(text), Ok(expected));
        }
        assert!(time("2026-05-20").is_err());
    }

    #[test]
    fn a_date_is_also_taken_as_it_is_shown() {
        let expected = NaiveDate::from_ymd_opt(2026, 5, 14);
        for text in ["2026-05-14", "14/05/2026", "14/5/2026"] {
            assert_eq!(date(text).ok(), expected, "{text}");
        }
        for bad in ["14/05/26", "05/14/2026", "14/05", "14/05/2026/1", "31/02/2026", ""] {
            assert!(date(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_address_on_the_web_has_a_scheme_and_a_host_and_may_have_a_path() {
        for (text, read) in [
            ("https://lich.example", "https://lich.example"),
            ("http://127.0.0.1:7880/", "http://127.0.0.1:7880"),
            ("https://bacninh.example/dunghan/", "https://bacninh.example/dunghan"),
        ] {
            assert_eq!(web_address(text).as_deref(), Ok(read));
        }
        for bad in
            ["", "lich.example", "/units", "https://", "ftp://a", "https://a?b", "https://a#b"]
        {
            assert!(web_address(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_lifetime_has_a_unit_and_an_end() {
        assert_eq!("8h".parse(), Ok(Lifetime(TimeDelta::hours(8))));
        for bad in ["", "8", "h", "-1h", "0m", "9999d", "8x", "1 h"] {
            assert!(bad.parse::<Lifetime>().is_err(), "{bad:?}");
        }
    }
}

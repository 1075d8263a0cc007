//! Whom to turn to at a unit, for what, and when.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_hierarchy::{UnitHistory, UnitId, Validity};
use uuid::Uuid;

use super::ending::Ending;

/// `units/{unit}/contacts/{contact}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContactName {
    /// Whose it is.
    pub unit: UnitId,
    /// Which.
    pub contact: Uuid,
}

/// A text that is not the name of a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be units/{{unit}}/contacts/{{contact}}")]
pub struct NotAContactName;

impl fmt::Display for ContactName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/contacts/{}", self.unit, self.contact.hyphenated())
    }
}

impl FromStr for ContactName {
    type Err = NotAContactName;

    fn from_str(text: &str) -> Result<Self, NotAContactName> {
        let (unit, contact) = text.split_once("/contacts/").ok_or(NotAContactName)?;
        let unit = unit.parse().map_err(|_| NotAContactName)?;
        let contact = Uuid::try_parse(contact).map_err(|_| NotAContactName)?;
        let name = Self { unit, contact };
        // Uuid reads other spellings too; a name has one.
        if name.to_string() == text { Ok(name) } else { Err(NotAContactName) }
    }
}

/// What a contact does at its unit; lists are in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContactRole {
    /// Writes and sends the reports.
    Reporter,
    /// Heads the unit and signs.
    Head,
    /// Watches over what is due.
    Supervisor,
}

/// Whom to turn to. It is never changed but by its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Unique.
    pub name: ContactName,
    /// For what.
    pub role: ContactRole,
    /// A post or an office.
    pub display_name: String,
    /// Empty: not stated.
    pub email: String,
    /// Empty: not stated.
    pub phone: String,
    /// As whom it calls the services; empty: not stated.
    pub subject: String,
    /// The first day.
    pub from: NaiveDate,
    /// The day after the last, or `None` while none is known.
    pub until: Option<NaiveDate>,
    /// Who added it.
    pub creator: String,
    /// When.
    pub create_time: DateTime<Utc>,
    /// How it ended; `None` while nobody ended it. It may end without that: on the day stated at the beginning, or with
    /// its unit.
    pub ending: Option<Ending>,
}

/// Why a contact cannot end on that day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotEnded {
    /// Its last day is another one, and not a later one.
    #[error("{0} has ended already, or ends earlier")]
    Already(ContactName),
    /// It would end before it begins.
    #[error("lies before the contact's first day, {0}")]
    BeforeFirstDay(NaiveDate),
}

impl Contact {
    /// When it is in force, by the history of its unit: it ends with it. On no day, if the unit does not exist on the
    /// contact's first one.
    pub fn in_force(&self, unit: &UnitHistory) -> Validity {
        let own = Validity { from: Some(self.from), until: self.until };
        match life(unit, self.from) {
            Some(life) => own.intersection(life),
            None => Validity::between(self.from, self.from),
        }
    }

    /// The contact with its last day, or as it is if it was ended just so before. Where no day is asked for it is today.
    pub fn end(
        &self,
        last_day: Option<NaiveDate>,
        today: NaiveDate,
        unit: &UnitHistory,
        ending: Ending,
    ) -> Result<Self, NotEnded> {
        if let Some(before) = &self.ending {
            let asked = last_day.and_then(|day| day.succ_opt());
            let same =
                before.reason == ending.reason && (last_day.is_none() || asked == self.until);
            return if same { Ok(self.clone()) } else { Err(NotEnded::Already(self.name)) };
        }
        let last_day = last_day.unwrap_or(today);
        if last_day < self.from {
            return Err(NotEnded::BeforeFirstDay(self.from));
        }
        let until = last_day.succ_opt();
        let end = self.in_force(unit).until;
        if end.is_some_and(|end| until.is_none_or(|until| end < until)) {
            return Err(NotEnded::Already(self.name));
        }
        Ok(Self { until, ending: Some(ending), ..self.clone() })
    }
}

/// The days around this one on which the unit exists without a break; `None` if it does not exist on it.
pub(crate) fn life(unit: &UnitHistory, day: NaiveDate) -> Option<Validity> {
    let mut life = unit.version_on(day)?.validity;
    let eve = |from: NaiveDate| from.pred_opt();
    while let Some(before) = life.from.and_then(eve).and_then(|eve| unit.version_on(eve)) {
        life.from = before.validity.from;
    }
    while let Some(after) = life.until.and_then(|end| unit.version_on(end)) {
        life.until = after.validity.until;
    }
    Some(life)
}

#[cfg(test)]
mod tests {
    use dunghan_hierarchy::{Kind, Level, NSO, Version};

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// A unit that exists on these days, in each stretch by another name.
    fn unit(stretches: &[Validity]) -> UnitHistory {
        let version = |validity: &Validity| Version {
            validity: *validity,
            display_name: format!("Xã {validity}"),
            kind: Kind::Xa,
            level: Level::Commune,
            parent: None,
        };
        UnitHistory {
            id: UnitId::new(NSO, "09427", None),
            versions: stretches.iter().map(version).collect(),
            identifiers: Vec::new(),
        }
    }

    fn contact(from: &str, until: Option<&str>) -> Contact {
        let unit = UnitId::new(NSO, "09427", None);
        Contact {
            name: ContactName { unit, contact: Uuid::from_u128(7) },
            role: ContactRole::Reporter,
            display_name: "Văn phòng HĐND và UBND".to_owned(),
            email: String::new(),
            phone: String::new(),
            subject: String::new(),
            from: day(from),
            until: until.map(day),
            creator: "lan".to_owned(),
            create_time: DateTime::UNIX_EPOCH,
            ending: None,
        }
    }

    fn ending(reason: &str) -> Ending {
        Ending { by: "hoa".to_owned(), at: DateTime::UNIX_EPOCH, reason: reason.to_owned() }
    }

    #[test]
    fn a_name_has_one_spelling() {
        let name = contact("2025-07-01", None).name;
        assert_eq!(name.to_string().parse(), Ok(name));
        let text = name.to_string();
        for bad in [text.to_uppercase(), text.replace("contacts", "reports"), text.replace('-', "")]
        {
            assert_eq!(bad.parse::<ContactName>(), Err(NotAContactName), "{bad}");
        }
    }

    #[test]
    fn a_contact_ends_with_its_unit_and_not_with_a_version_of_it() {
        let (reform, city, end) = (day("2025-07-01"), day("2026-09-20"), day("2027-01-01"));
        let back = Validity::since(day("2028-01-01"));
        let unit = unit(&[Validity::between(reform, city), Validity::between(city, end), back]);
        for (from, until, in_force) in [
            ("2025-07-01", None, Validity::between(reform, end)),
            ("2026-12-31", None, Validity::between(day("2026-12-31"), end)),
            ("2025-07-01", Some("2026-01-01"), Validity::between(reform, day("2026-01-01"))),
            ("2025-07-01", Some("2030-01-01"), Validity::between(reform, end)),
            ("2028-01-01", None, back),
        ] {
            assert_eq!(contact(from, until).in_force(&unit), in_force, "{from}");
        }
        for not_there in ["2025-06-30", "2027-01-01", "2027-12-31"] {
            assert!(contact(not_there, None).in_force(&unit).is_empty(), "{not_there}");
        }
    }

    #[test]
    fn a_unit_lives_from_its_first_day_to_its_last_without_a_break() {
        let (reform, city) = (day("2025-07-01"), day("2026-09-20"));
        let whole = unit(&[Validity::before(reform), Validity::since(reform)]);
        assert_eq!(life(&whole, reform), Some(Validity::OPEN));
        let broken = unit(&[Validity::before(reform), Validity::since(city)]);
        assert_eq!(life(&broken, day("2025-06-30")), Some(Validity::before(reform)));
        assert_eq!(life(&broken, reform), None);
        assert_eq!(life(&broken, city), Some(Validity::since(city)));
    }

    #[test]
    fn a_contact_ends_between_its_first_day_and_its_last() {
        let today = day("2026-05-20");
        let there = unit(&[Validity::between(day("2025-07-01"), day("2027-01-01"))]);
        let lasting = contact("2026-05-10", None);
        let planned = contact("2026-05-10", Some("2026-06-01"));
        let already = Err(NotEnded::Already(lasting.name));
        let early = Err(NotEnded::BeforeFirstDay(lasting.from));
        for (what, contact, last_day, until) in [
            ("no day is today", &lasting, None, Ok("2026-05-21")),
            ("the first day", &lasting, Some("2026-05-10"), Ok("2026-05-11")),
            ("the day before it", &lasting, Some("2026-05-09"), early),
            ("with its unit", &lasting, Some("2026-12-31"), Ok("2027-01-01")),
            ("after its unit", &lasting, Some("2027-01-01"), already),
            ("earlier than planned", &planned, Some("2026-05-30"), Ok("2026-05-31")),
            ("as planned", &planned, Some("2026-05-31"), Ok("2026-06-01")),
            ("later than planned", &planned, Some("2026-06-01"), already),
        ] {
            let ended = contact.end(last_day.map(day), today, &there, ending("nghỉ"));
            let ended = ended.map(|ended| {
                assert_eq!(ended.ending, Some(ending("nghỉ")), "{what}");
                ended.until
            });
            assert_eq!(ended, until.map(|until| Some(day(until))), "{what}");
        }
        let tomorrow = contact("2026-05-21", None);
        let refused = tomorrow.end(None, today, &there, ending("nghỉ"));
        assert_eq!(refused, Err(NotEnded::BeforeFirstDay(tomorrow.from)));
    }

    #[test]
    fn ending_a_contact_again_just_so_changes_nothing_and_otherwise_is_refused() {
        let (today, later) = (day("2026-05-20"), day("2026-05-25"));
        let there = unit(&[Validity::OPEN]);
        let ended = contact("2026-05-10", None).end(None, today, &there, ending("nghỉ")).unwrap();
        for last_day in [None, Some(today)] {
            let again = Ending { by: "minh".to_owned(), ..ending("nghỉ") };
            assert_eq!(ended.end(last_day, later, &there, again), Ok(ended.clone()));
        }
        let already = Err(NotEnded::Already(ended.name));
        assert_eq!(ended.end(None, later, &there, ending("chuyển công tác")), already);
        assert_eq!(ended.end(Some(later), later, &there, ending("nghỉ")), already);
    }
}

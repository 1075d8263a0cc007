//! A ledger of dossiers that counts up to the table of a real report, cell by cell. The dossiers are made up, from the
//! parameters and nothing else: the same on every machine and every day.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use dunghan_calendar::{OfficeHours, Term, WorkingCalendar, zone};
use dunghan_proto::compliance::dossier::Channel;
use serde::Deserialize;

use crate::input::{self, DossierRow, UnitRef};

/// What is to come out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// Whose dossiers these are.
    pub(crate) unit: UnitRef,
    /// The first day on which one is received.
    first_day: NaiveDate,
    /// When the desk's software hands over what it knows.
    #[serde(deserialize_with = "times")]
    pub(crate) batches: Vec<DateTime<Utc>>,
    late: Late,
    pub(crate) fields: Vec<FieldParameters>,
}

/// Those that are late in the system alone.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Late {
    due_date: NaiveDate,
    /// When their completion, before that in fact, was recorded.
    record_date: NaiveDate,
}

/// One row of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FieldParameters {
    pub(crate) field: String,
    early: u32,
    on_time: u32,
    late: u32,
    online_percent: u64,
    /// Each term with how many percent have it. Those on time and those late have the first one in days.
    terms: BTreeMap<Term, u64>,
}

fn times<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<DateTime<Utc>>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| input::time(text).map_err(serde::de::Error::custom)).collect()
}

/// The parameters contradict each other or the calendar.
#[derive(Debug, thiserror::Error)]
#[error("no dossier of {field} can be made for {why}")]
pub(crate) struct Impossible {
    field: String,
    why: &'static str,
}

/// One dossier through its life.
#[derive(Clone, Debug)]
pub(crate) struct Simulated {
    pub(crate) number: String,
    pub(crate) field: String,
    pub(crate) channel: Channel,
    pub(crate) received: DateTime<Utc>,
    pub(crate) term: Term,
    pub(crate) completed: DateTime<Utc>,
    pub(crate) recorded: DateTime<Utc>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Early,
    OnTime,
    Late,
}

/// The working days between two batches: what is received on one of them is finished on one of them, so that nobody
/// sees a dossier overdue that is not meant to be.
struct Stretch<'a> {
    days: &'a [NaiveDate],
}

/// The whole ledger, by time of receipt.
pub(crate) fn ledger(
    parameters: &Parameters,
    calendar: &WorkingCalendar,
) -> Result<Vec<Simulated>, Impossible> {
    let maker = Maker { parameters, calendar, days: working_days(parameters, calendar) };
    let mut dossiers = Vec::new();
    for (salt, field) in (1..).zip(&parameters.fields) {
        for (outcome, count) in [
            (Outcome::Early, field.early),
            (Outcome::OnTime, field.on_time),
            (Outcome::Late, field.late),
        ] {
            for index in 0..count {
                dossiers.push(maker.make(field, outcome, index, count, salt)?);
            }
        }
    }
    dossiers.sort_by(|a, b| (a.received, &a.field).cmp(&(b.received, &b.field)));
    let (mut day, mut serial) = (NaiveDate::MIN, 0);
    for dossier in &mut dossiers {
        let received = zone::civil_date(dossier.received);
        serial = if received == day { serial + 1 } else { 1 };
        day = received;
        dossier.number = format!("21733-{}-{serial:03}", day.format("%y%m%d"));
    }
    Ok(dossiers)
}

/// What the desk's software hands over at each batch: what it received or learnt since the one before.
pub(crate) fn batches(parameters: &Parameters, ledger: &[Simulated]) -> Vec<Vec<DossierRow>> {
    let mut before = DateTime::<Utc>::MIN_UTC;
    let rows = parameters.batches.iter().map(|at| {
        let new = |time: DateTime<Utc>| before < time && time <= *at;
        let rows = ledger.iter().filter(|d| new(d.received) || new(d.recorded));
        let rows = rows.zip(1..).map(|(dossier, line)| {
            let known = dossier.recorded <= *at;
            DossierRow {
                line,
                dossier_id: dossier.number.clone(),
                field: dossier.field.clone(),
                channel: dossier.channel,
                receive_time: dossier.received,
                term: dossier.term,
                complete_time: known.then_some(dossier.completed),
                record_time: known.then_some(dossier.recorded),
            }
        });
        let rows = rows.collect();
        before = *at;
        rows
    });
    rows.collect()
}

fn working_days(parameters: &Parameters, calendar: &WorkingCalendar) -> Vec<NaiveDate> {
    let last = parameters.batches.last().map_or(NaiveDate::MIN, |last| zone::civil_date(*last));
    let days = parameters.first_day.iter_days().take_while(|day| *day <= last);
    days.filter(|day| calendar.is_working(*day)).collect()
}

struct Maker<'a> {
    parameters: &'a Parameters,
    calendar: &'a WorkingCalendar,
    days: Vec<NaiveDate>,
}

impl Maker<'_> {
    fn make(
        &self,
        field: &FieldParameters,
        outcome: Outcome,
        index: u32,
        count: u32,
        salt: u64,
    ) -> Result<Simulated, Impossible> {
        let impossible = |why| Impossible { field: field.field.clone(), why };
        let dice = Dice(salt << 40 | (outcome as u64) << 32 | u64::from(index));
        let term = match outcome {
            Outcome::Early => pick(&field.terms, dice.roll(1, 100)),
            Outcome::OnTime | Outcome::Late => field.terms.keys().copied().find(in_days),
        };
        let term = term.ok_or_else(|| impossible("want of a term"))?;
        let received =
            self.day(outcome, index, count, term).ok_or_else(|| impossible("want of a day"))?;
        let stretch = self.stretch(received);
        let received_at = zone::at(received, arrival(&dice));
        let due = term.due(received_at, self.calendar, &OfficeHours::default()).due_date();
        // Finished on a day before the due one, or at once; never after the next batch.
        let spare = stretch.days.iter().filter(|day| received <= **day && **day < due).count();
        let completed = match outcome {
            Outcome::OnTime => due,
            Outcome::Late => self.before(due),
            Outcome::Early if spare > 0 && in_days(&term) => {
                let roll = dice.roll(2, u64::try_from(spare).unwrap_or(1));
                let place = stretch.days.partition_point(|day| *day < received);
                let place = place + usize::try_from(roll).unwrap_or(0);
                stretch.days.get(place).copied().unwrap_or(received)
            }
            Outcome::Early => received,
        };
        let completed = if completed == received {
            received_at + minutes(15 + dice.roll(3, 30))
        } else {
            zone::at(completed, arrival(&dice))
        };
        let recorded = match outcome {
            Outcome::Late => zone::at(self.parameters.late.record_date, arrival(&dice)),
            Outcome::Early | Outcome::OnTime => completed + minutes(1 + dice.roll(4, 4)),
        };
        let online = dice.roll(5, 100) < field.online_percent;
        Ok(Simulated {
            number: String::new(),
            field: field.field.clone(),
            channel: if online { Channel::Online } else { Channel::DirectOrPostal },
            received: received_at,
            term,
            completed,
            recorded,
        })
    }

    /// The day of receipt: spread evenly, but those that need their whole term get it before the next batch.
    fn day(&self, outcome: Outcome, index: u32, count: u32, term: Term) -> Option<NaiveDate> {
        let due = |day: &NaiveDate| {
            term.due(zone::start_of(*day), self.calendar, &OfficeHours::default()).due_date()
        };
        if outcome == Outcome::Late {
            let wanted = self.parameters.late.due_date;
            return self.days.iter().rev().find(|day| due(day) == wanted).copied();
        }
        let place = (2 * u64::from(index) + 1) * u64::try_from(self.days.len()).ok()?
            / (2 * u64::from(count));
        let days = self.days.get(..=usize::try_from(place).ok()?)?;
        if outcome == Outcome::Early {
            return days.last().copied();
        }
        let fits = |day: &&NaiveDate| self.stretch(**day).days.contains(&due(day));
        days.iter().rev().find(fits).copied()
    }

    fn stretch(&self, day: NaiveDate) -> Stretch<'_> {
        // A batch early in the morning knows what happened until the day before.
        let closing = OfficeHours::default().closing();
        let covered = |day: NaiveDate| {
            self.parameters.batches.partition_point(|batch| *batch < zone::at(day, closing))
        };
        let batch = covered(day);
        let from = self.days.partition_point(|other| covered(*other) < batch);
        let until = self.days.partition_point(|other| covered(*other) <= batch);
        Stretch { days: self.days.get(from..until).unwrap_or_default() }
    }

    fn before(&self, date: NaiveDate) -> NaiveDate {
        let place = self.days.partition_point(|day| *day < date);
        self.days.get(place.saturating_sub(1)).copied().unwrap_or(date)
    }
}

fn in_days(term: &Term) -> bool {
    matches!(term, Term::WorkingDays(_))
}

fn pick(terms: &BTreeMap<Term, u64>, roll: u64) -> Option<Term> {
    let mut below = 0;
    let mut found = terms.iter().filter_map(|(term, percent)| {
        below += percent;
        (roll < below).then_some(*term)
    });
    found.next()
}

/// Within office hours, and early enough in them that an hour is left.
fn arrival(dice: &Dice) -> NaiveTime {
    let (from, length) =
        if dice.roll(6, 100) < 60 { (7 * 60 + 35, 170) } else { (13 * 60 + 35, 140) };
    let minute = from + dice.roll(7, length);
    let second = u32::try_from(minute * 60).unwrap_or_default();
    NaiveTime::from_num_seconds_from_midnight_opt(second, 0).unwrap_or_default()
}

fn minutes(minutes: u64) -> TimeDelta {
    TimeDelta::minutes(minutes.cast_signed())
}

/// Numbers that look thrown and are not: the finaliser of splitmix64 over what is asked.
struct Dice(u64);

impl Dice {
    /// From 0 to below `sides`; another question gets another number.
    fn roll(&self, question: u64, sides: u64) -> u64 {
        let mut z = (self.0 ^ question << 56).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides.max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use dunghan_calendar::Completion;

    use super::*;
    use crate::demo::data;

    fn made() -> (Parameters, Vec<Simulated>, WorkingCalendar) {
        let parameters = data::dossiers().unwrap();
        let calendar = dunghan_compliance::official_calendar().unwrap();
        let ledger = ledger(&parameters, &calendar).unwrap();
        (parameters, ledger, calendar)
    }

    fn due(dossier: &Simulated, calendar: &WorkingCalendar) -> dunghan_calendar::Due {
        dossier.term.due(dossier.received, calendar, &OfficeHours::default())
    }

    #[test]
    fn the_ledger_counts_up_to_the_reports_table() {
        let (_, ledger, calendar) = made();
        assert_eq!(ledger.len(), 3524);
        let numbers: HashSet<_> = ledger.iter().map(|dossier| &dossier.number).collect();
        assert_eq!(numbers.len(), 3524);
        for (field, early, on_time, overdue) in [
            ("Bảo Trợ Xã Hội", 124, 0, 2),
            ("Chứng thực", 2773, 1, 1),
            ("Công tác dân tộc", 0, 0, 0),
            ("Đất đai", 2, 0, 0),
            ("Hộ tịch", 599, 3, 1),
            ("Phòng, chống thiên tai", 1, 0, 0),
            ("Thi đua - khen thưởng", 9, 0, 0),
            ("Văn hóa cơ sở", 8, 0, 0),
        ] {
            let count = |outcome| {
                let own = ledger.iter().filter(|dossier| dossier.field == field);
                own.filter(|d| due(d, &calendar).classify(d.recorded) == outcome).count()
            };
            let counts = [Completion::Early, Completion::OnTime, Completion::Overdue].map(count);
            assert_eq!(counts, [early, on_time, overdue], "{field}");
        }
    }

    #[test]
    fn four_are_late_in_the_system_and_none_in_fact() {
        let (_, ledger, calendar) = made();
        let late: Vec<_> =
            ledger.iter().filter(|d| due(d, &calendar).is_breached(d.recorded)).collect();
        assert_eq!(late.len(), 4);
        for dossier in late {
            assert_eq!(due(dossier, &calendar).due_date().to_string(), "2024-05-10");
            assert_eq!(zone::civil_date(dossier.recorded).to_string(), "2024-05-15");
            assert_eq!(due(dossier, &calendar).classify(dossier.completed), Completion::Early);
        }
        assert!(ledger.iter().all(|d| !due(d, &calendar).is_breached(d.completed)));
    }

    #[test]
    fn dossiers_come_in_and_are_finished_in_office_hours_of_working_days() {
        let (_, ledger, calendar) = made();
        for dossier in &ledger {
            for time in [dossier.received, dossier.completed, dossier.recorded] {
                let civil = zone::civil_time(time);
                assert!(calendar.is_working(civil.date()), "{dossier:?}");
                let hours = OfficeHours::default();
                let within = |(from, to)| from <= civil.time() && civil.time() <= to;
                assert!(within(hours.morning()) || within(hours.afternoon()), "{dossier:?}");
            }
            assert!(dossier.received < dossier.completed && dossier.completed < dossier.recorded);
        }
    }

    #[test]
    fn between_batches_nothing_else_is_open() {
        let (parameters, ledger, _) = made();
        let batches = batches(&parameters, &ledger);
        let sizes: Vec<_> = batches.iter().map(Vec::len).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 3524 + 4, "{sizes:?}");
        let open: Vec<_> = batches
            .iter()
            .map(|rows| rows.iter().filter(|row| row.record_time.is_none()).count())
            .collect();
        assert_eq!(open, [0, 4, 0, 0], "{sizes:?}");
        for (rows, at) in batches.iter().zip(&parameters.batches) {
            let known = rows.iter().flat_map(|row| [Some(row.receive_time), row.record_time]);
            assert!(known.flatten().all(|time| time <= *at));
        }
    }

    #[test]
    fn both_channels_and_several_terms_occur() {
        let (_, ledger, _) = made();
        let online = ledger.iter().filter(|dossier| dossier.channel == Channel::Online).count();
        assert!((700..1500).contains(&online), "{online}");
        let terms: HashSet<_> = ledger.iter().map(|dossier| dossier.term).collect();
        assert!(terms.len() >= 6, "{terms:?}");
    }
}

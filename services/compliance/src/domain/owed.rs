//! What one unit owes: what is open or missing, what it has taken over from units that ended, and what will be asked of it.

use std::collections::HashMap;

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, TimeDelta, Utc};
use dunghan_calendar::{Certainty, DayOffPolicy, DueRule, WorkingCalendar, zone};
use dunghan_hierarchy::{Hierarchy, UnitId};

use crate::domain::calendar::Calendars;
use crate::domain::decision::{Decision, Until};
use crate::domain::obligation::{Obligation, SOON, Standing};
use crate::domain::opening::{Debtors, Ground, Known, plan, stretches};
use crate::domain::regime::Regime;
use crate::domain::wording;

/// A list is for so many days after its first unless somebody asks otherwise: four weeks in all.
const LIST_DAYS: u64 = 27;
/// An interval reaches so far after its first day at most.
const MOST_MONTHS: u32 = 12;

/// Due dates from a day through another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The first.
    pub from: NaiveDate,
    /// The last.
    pub through: NaiveDate,
}

/// How far an interval reaches that nobody gave an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Four weeks.
    List,
    /// A year.
    Year,
}

/// Why two days make no interval; it is about the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoInterval {
    /// Reversed.
    #[error("lies before from_date")]
    Reversed,
    /// Too long.
    #[error("lies more than a year after from_date")]
    TooLong,
}

impl Interval {
    /// From a day, or else from today, through a day, or else as far as that sort of list reaches.
    ///
    /// Errors: the last day lies before the first or more than a year after it.
    pub fn of(
        from: Option<NaiveDate>,
        through: Option<NaiveDate>,
        today: NaiveDate,
        span: Span,
    ) -> Result<Self, NoInterval> {
        let from = from.unwrap_or(today);
        let last = from.checked_add_months(Months::new(MOST_MONTHS)).unwrap_or(NaiveDate::MAX);
        let usual = match span {
            Span::List => from.checked_add_days(Days::new(LIST_DAYS)).unwrap_or(NaiveDate::MAX),
            Span::Year => last,
        };
        let through = through.unwrap_or(usual);
        if through < from {
            return Err(NoInterval::Reversed);
        }
        if through > last {
            return Err(NoInterval::TooLong);
        }
        Ok(Self { from, through })
    }
}

/// By when a unit has to act on what it owes at a moment: by the due time, or where its report was sent back, by the one for
/// the mended report. None: no due time.
pub fn act_by(obligation: &Obligation, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match (obligation.standing(at), obligation.returned) {
        (Standing::Returned, Some(returned)) => Some(returned.due),
        _ => obligation.due,
    }
}

/// The last day before an exclusive due time.
pub fn last_day(due: DateTime<Utc>) -> NaiveDate {
    let before = due.checked_sub_signed(TimeDelta::microseconds(1));
    zone::civil_date(before.unwrap_or(due))
}

/// The Monday of a day's week.
pub fn week_start(day: NaiveDate) -> NaiveDate {
    let since_monday = day.weekday().num_days_from_monday();
    day.checked_sub_days(Days::new(since_monday.into())).unwrap_or(day)
}

/// The last working day after which as many are left, the due date included, as are soon: to be reminded of it.
pub fn reminder_day(due: NaiveDate, calendar: &WorkingCalendar) -> NaiveDate {
    let before = std::iter::successors(due.pred_opt(), NaiveDate::pred_opt);
    let mut worked = before.filter(|day| calendar.is_working(*day));
    let soon = |day: &NaiveDate| calendar.working_days_between(*day, due) >= SOON;
    worked.find(soon).unwrap_or(due)
}

/// Whether a unit has to act on an obligation within an interval, at a moment: nothing is there or what is there was sent
/// back, by a due date of the interval; what is overdue by its last day; and what has no due date and is open by then.
pub fn is_owed(
    obligation: &Obligation,
    unit: UnitId,
    interval: Interval,
    at: DateTime<Utc>,
) -> bool {
    if obligation.responsible(at) != unit {
        return false;
    }
    match obligation.standing(at) {
        Standing::Open
        | Standing::DueSoon
        | Standing::NotYetOpen
        | Standing::Missing
        | Standing::Returned => {}
        Standing::Late
        | Standing::Waived
        | Standing::Closed
        | Standing::OnTime
        | Standing::NoDueTime => return false,
    }
    let Some(due) = act_by(obligation, at) else {
        return zone::civil_date(obligation.open_time) <= interval.through;
    };
    let overdue = due <= at;
    let day = last_day(due);
    day <= interval.through && (overdue || interval.from <= day)
}

/// The day after which days off move the due date before any extension: the cut-off where working days are counted, the eve of
/// a fixed day where it moves to the next working day. None: no day off moves it.
pub fn counted_after(
    obligation: &Obligation,
    regime: &Regime,
    calendar: &WorkingCalendar,
) -> Option<NaiveDate> {
    let period = obligation.name.period;
    let cut_off = regime.window(period).cut_off;
    let rule = regime.tier(obligation.tier).and_then(|tier| tier.due.of(obligation.level))?;
    match (rule, regime.day_off) {
        (DueRule::WorkingDaysAfterCutOff(_), _) => Some(cut_off),
        (_, DayOffPolicy::NextWorkingDay) => {
            rule.due_date(period, cut_off, DayOffPolicy::Keep, calendar).pred_opt()
        }
        (_, DayOffPolicy::Keep) => None,
    }
}

/// Whether a day after one and up to another is of those of which no decision is known. A working day can become a day off too.
fn is_undecided(after: NaiveDate, through: NaiveDate, calendar: &WorkingCalendar) -> bool {
    let mut days = after.iter_days().skip(1).take_while(|date| *date <= through);
    days.any(|date| calendar.day(date).certainty == Certainty::Estimated)
}

/// Whether the due date before any extension may still move: a day of which no decision is known counts for it.
pub fn is_original_estimated(
    obligation: &Obligation,
    regime: &Regime,
    calendar: &WorkingCalendar,
) -> bool {
    let after = counted_after(obligation, regime, calendar);
    let ends = after.zip(obligation.original_due.map(last_day));
    ends.is_some_and(|(after, through)| is_undecided(after, through, calendar))
}

/// Whether the day by which a unit has to act on what it owes may still move. `extension` is that of the decision in force. A
/// day that somebody has fixed stays: that of a report sent back, or to which the due time was extended.
pub fn is_estimated(
    obligation: &Obligation,
    regime: &Regime,
    extension: Option<Until>,
    calendar: &WorkingCalendar,
    at: DateTime<Utc>,
) -> bool {
    if obligation.standing(at) == Standing::Returned {
        return false;
    }
    let original = is_original_estimated(obligation, regime, calendar);
    match extension {
        None => original,
        Some(Until::Date(_)) => false,
        Some(Until::WorkingDays(_)) => {
            let ends = obligation.original_due.map(last_day).zip(obligation.due.map(last_day));
            original || ends.is_some_and(|(after, through)| is_undecided(after, through, calendar))
        }
    }
}

/// What the periods to come follow from.
#[derive(Clone, Copy, Debug)]
pub struct Horizon<'a> {
    /// All regimes.
    pub regimes: &'a [Regime],
    /// Who is under whom, as far as is known today.
    pub hierarchy: &'a Hierarchy,
    /// Which days are worked, as far as is known today.
    pub calendars: &'a Calendars,
    /// The decisions in force that may concern the unit.
    pub decisions: &'a [Decision],
    /// Today.
    pub now: DateTime<Utc>,
}

impl Horizon<'_> {
    /// What will be asked of a unit and has to be there within the interval, or begins by its end without a due time: periods
    /// whose window has not begun, as they would be opened by what is known today.
    pub fn upcoming(&self, unit: UnitId, interval: Interval) -> Vec<Obligation> {
        let today = zone::civil_date(self.now);
        let stretches = stretches(self.hierarchy);
        let mut upcoming = Vec::new();
        for regime in self.regimes {
            let mut debtors = HashMap::new();
            let begins = |period: &dunghan_calendar::Period| regime.window(*period).first;
            let periods = std::iter::successors(regime.first_period(today), |period| period.next())
                .take_while(|period| begins(period) <= interval.through)
                .filter(|period| today < begins(period) && regime.asks_for(*period));
            for period in periods {
                let cut_off = regime.window(period).cut_off;
                let stretch = stretches.range(..=cut_off).next_back();
                let debtors = debtors.entry(stretch).or_insert_with(|| {
                    Debtors::on(regime, cut_off, today, self.hierarchy).only(unit)
                });
                let ground = Ground {
                    regime,
                    period,
                    hierarchy: self.hierarchy,
                    debtors,
                    calendars: self.calendars,
                    now: self.now,
                };
                let decisions = self.decisions.to_vec();
                let planned = plan(&ground, Known { decisions, ..Known::default() });
                let owed = |one: &Obligation| is_owed(one, unit, interval, self.now);
                upcoming.extend(planned.changed.into_iter().filter(owed));
            }
        }
        upcoming
    }
}

/// In the order of due times, those without one at the end; then by regime, period and unit.
pub fn in_order(owed: &mut [Obligation], at: DateTime<Utc>) {
    owed.sort_by_cached_key(|one| {
        let due = act_by(one, at);
        (due.is_none(), due, one.name.regime.clone(), one.name.period.to_string(), one.name.unit)
    });
}

/// What a calendar says of a due date.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// What is owed.
    pub obligation: &'a Obligation,
    /// By which rule.
    pub regime: &'a Regime,
    /// At which moment.
    pub at: DateTime<Utc>,
    /// The due date.
    pub day: NaiveDate,
    /// When to remind of it.
    pub reminder: DateTime<Utc>,
    /// The name of a unit that has ended, where it is that one's report.
    pub instead_of: Option<String>,
    /// Who receives it; empty where the regime names nobody.
    pub receiving_name: String,
    /// Who sees to it; empty where none is recorded.
    pub responsible: &'a str,
    /// The due date may still move.
    pub estimated: bool,
    /// Counts what may have moved due dates, in all: it only grows.
    pub revision: u64,
}

impl Entry<'_> {
    fn is_returned(&self) -> bool {
        self.obligation.standing(self.at) == Standing::Returned
    }

    /// Whether the due date has passed.
    pub fn is_overdue(&self) -> bool {
        act_by(self.obligation, self.at).is_some_and(|due| due <= self.at)
    }

    /// One for each due date that an obligation has, and the same whenever it is asked for: that of a report that was sent back
    /// is another than that of the report.
    pub fn uid(&self) -> String {
        let name = &self.obligation.name;
        let what = if self.is_returned() { ".return" } else { "" };
        let unit = name.unit.uuid().hyphenated();
        format!("{unit}.{}~{}{what}@dunghan", name.regime.id(), name.period)
    }

    /// Grows whenever the due date moves, and never shrinks.
    pub fn sequence(&self) -> u32 {
        let counted = if self.is_returned() {
            self.obligation.sequence.unsigned_abs()
        } else if self.obligation.open_time <= self.at {
            let moved = self.obligation.due_generation.unsigned_abs().saturating_sub(1);
            self.revision + u64::from(moved)
        } else {
            // What is to be opened is planned anew each time: an extension that is revoked takes its generation with it.
            self.revision
        };
        u32::try_from(counted).unwrap_or(u32::MAX)
    }

    /// What has to be done, in a line.
    pub fn summary(&self) -> String {
        let what = match (self.is_overdue(), self.is_returned()) {
            (false, false) => "Hạn gửi",
            (true, false) => "Quá hạn gửi",
            (false, true) => "Hạn gửi lại",
            (true, true) => "Quá hạn gửi lại",
        };
        let period = self.obligation.name.period;
        let period = wording::period(period, self.regime.window(period));
        let instead = self
            .instead_of
            .as_ref()
            .map_or_else(String::new, |name| format!(" (thay {})", wording::within_sentence(name)));
        format!("{what} “{}” kỳ {period}{instead}", self.regime.display_name)
    }

    /// What it rests on, to whom it goes, and who sees to it.
    pub fn description(&self) -> String {
        let mut lines = vec![format!("Căn cứ: {}.", self.regime.legal_basis)];
        for (what, who) in
            [("Nơi nhận", self.receiving_name.as_str()), ("Đầu mối thực hiện", self.responsible)]
        {
            if !who.is_empty() {
                lines.push(format!("{what}: {who}."));
            }
        }
        lines.push(format!("Thời hạn: hết ngày {}.", zone::date_vi(self.day)));
        if self.estimated {
            lines.push("Thời hạn là dự kiến, lịch nghỉ chưa có quyết định.".to_owned());
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use dunghan_calendar::Frequency;
    use uuid::Uuid;

    use super::*;
    use crate::domain::calendar::official;
    use crate::domain::obligation::soon;
    use crate::domain::obligation::tests::{obligation, time};
    use crate::domain::obligation::{CloseReason, Closed, Passed, Receipt, Returned, Waived};
    use crate::domain::regime::Schedule;
    use crate::domain::regime::tests::{day, regime};

    #[test]
    fn an_interval_is_four_weeks_or_a_year_and_never_more_than_a_year() {
        let today = day("2024-02-29");
        let of = |from: Option<&str>, through: Option<&str>, span| {
            Interval::of(from.map(day), through.map(day), today, span)
        };
        let from_through =
            |from: &str, through: &str| Ok(Interval { from: day(from), through: day(through) });
        assert_eq!(of(None, None, Span::List), from_through("2024-02-29", "2024-03-27"));
        assert_eq!(of(None, None, Span::Year), from_through("2024-02-29", "2025-02-28"));
        let one_day = of(Some("2026-05-01"), Some("2026-05-01"), Span::List);
        assert_eq!(one_day, from_through("2026-05-01", "2026-05-01"));
        let year = of(Some("2026-05-01"), Some("2027-05-01"), Span::List);
        assert_eq!(year, from_through("2026-05-01", "2027-05-01"));
        assert_eq!(
            of(Some("2026-05-01"), Some("2027-05-02"), Span::List),
            Err(NoInterval::TooLong)
        );
        assert_eq!(of(None, Some("2024-02-28"), Span::List), Err(NoInterval::Reversed));
        // At the end of what dates there are, nothing is beyond.
        let end = Interval::of(Some(NaiveDate::MAX), None, today, Span::Year);
        assert_eq!(end, Ok(Interval { from: NaiveDate::MAX, through: NaiveDate::MAX }));
    }

    #[test]
    fn a_week_begins_on_monday_and_a_due_time_within_a_day_is_due_on_that_day() {
        for (of, monday) in [
            ("2026-05-18", "2026-05-18"),
            ("2026-05-24", "2026-05-18"),
            ("2026-05-25", "2026-05-25"),
            ("2026-01-01", "2025-12-29"),
        ] {
            assert_eq!(week_start(day(of)), day(monday));
        }
        assert_eq!(last_day(time("2026-05-20T00:00:00+07:00")), day("2026-05-19"));
        assert_eq!(last_day(time("2026-05-20T00:00:00.000001+07:00")), day("2026-05-20"));
        assert_eq!(last_day(time("2026-05-20T17:00:00+07:00")), day("2026-05-20"));
    }

    #[test]
    fn the_reminder_leaves_three_working_days_and_comes_no_later_than_what_is_due_soon() {
        let calendar = official().unwrap();
        for due in day("2026-01-05").iter_days().take(400) {
            let reminder = reminder_day(due, &calendar);
            assert!(calendar.is_working(reminder), "{due}");
            assert_eq!(calendar.working_days_between(reminder, due), SOON, "{due}");
            let before = reminder.pred_opt().map(zone::start_of).unwrap();
            assert!(soon(before, &calendar) < zone::end_of(due), "{due}");
        }
        // Over Tết: the due date is the third working day after it.
        assert_eq!(reminder_day(day("2026-02-25"), &calendar), day("2026-02-13"));
    }

    #[test]
    fn what_is_overdue_is_owed_from_before_and_what_is_settled_or_passed_on_is_not() {
        let at = time("2026-06-01T08:00:00+07:00");
        let interval = Interval { from: day("2026-06-01"), through: day("2026-06-28") };
        let due = |text: &str| obligation(Some(text));
        let unit = obligation(None).name.unit;
        let past = "2026-05-20T00:00:00+07:00";
        let receipt =
            Some(Receipt { report: Uuid::nil(), time: time("2026-05-19T08:00:00+07:00") });
        let returned = |due: &str| Some(Returned { time: time(past), due: time(due) });
        let waived = Some(Waived { decision: Uuid::nil(), time: time(past) });
        let closed =
            |text: &str| Some(Closed { time: time(text), reason: CloseReason::NotADebtor });
        let heir = UnitId::new("nso", "07210", None);
        let passed = |text: &str| Some(Passed { time: time(text), to: heir });
        let soon = "2026-06-20T00:00:00+07:00";
        for (what, owed, is) in [
            ("missing", due(past), true),
            ("due on the last day", due("2026-06-29T00:00:00+07:00"), true),
            ("due after it", due("2026-06-30T00:00:00+07:00"), false),
            ("without a due time, open", obligation(None), true),
            (
                "without a due time, later",
                Obligation { open_time: time("2026-06-29T00:00:00+07:00"), ..obligation(None) },
                false,
            ),
            ("received", Obligation { receipt, ..due(past) }, false),
            ("sent back", Obligation { receipt, returned: returned(soon), ..due(past) }, true),
            (
                "sent back, and overdue",
                Obligation {
                    receipt,
                    returned: returned("2026-05-30T00:00:00+07:00"),
                    ..due(past)
                },
                true,
            ),
            (
                "sent back until later",
                Obligation {
                    receipt,
                    returned: returned("2026-07-30T00:00:00+07:00"),
                    ..due(past)
                },
                false,
            ),
            ("waived", Obligation { waived, ..due(past) }, false),
            ("closed", Obligation { closed: closed(past), ..due(past) }, false),
            ("to be closed", Obligation { closed: closed(soon), ..due(past) }, true),
            ("passed on", Obligation { passed: passed(past), ..due(past) }, false),
            ("to pass on", Obligation { passed: passed(soon), ..due(past) }, true),
        ] {
            assert_eq!(is_owed(&owed, unit, interval, at), is, "{what}");
            let taken_over = owed.passed.is_some() && !is;
            assert_eq!(is_owed(&owed, heir, interval, at), taken_over, "{what}, by the heir");
        }
        // Open, and due before the interval begins: it is for an earlier list.
        let later = Interval { from: day("2026-06-21"), ..interval };
        assert!(!is_owed(&due(soon), unit, later, at));
    }

    #[test]
    fn a_due_date_is_estimated_where_a_day_of_which_nothing_is_decided_counts() {
        let calendar = official().unwrap();
        let owed = |period: &str, due: &str| {
            let mut owed = obligation(Some(due));
            owed.name.period = period.parse().unwrap();
            owed
        };
        let at = time("2026-05-18T08:00:00+07:00");
        let estimated =
            |one: &Obligation, regime: &Regime| is_estimated(one, regime, None, &calendar, at);
        let counted = regime(Schedule::Every(Frequency::Month), "2026-05-01", None);
        let decided = owed("202605", "2026-05-20T00:00:00+07:00");
        assert!(!estimated(&decided, &counted));
        let undecided = owed("202705", "2027-05-20T00:00:00+07:00");
        assert!(estimated(&undecided, &counted));
        let without = Obligation { original_due: None, due: None, ..undecided.clone() };
        assert!(!estimated(&without, &counted));
        // A fixed day stays where it is.
        let mut fixed = counted;
        let rule = DueRule::day_of_month(20, dunghan_calendar::DueMonth::Last).unwrap();
        fixed.tiers[0].due = crate::domain::regime::DueRules::same(Some(rule));
        assert!(!estimated(&undecided, &fixed));
        // Unless it moves off days off: from the fixed day on, and not from the day before.
        fixed.day_off = DayOffPolicy::NextWorkingDay;
        let on_the_20th = owed("202705", "2027-05-21T00:00:00+07:00");
        assert!(estimated(&on_the_20th, &fixed));
        let after = counted_after(&on_the_20th, &fixed, &calendar);
        assert_eq!(after, Some(day("2027-05-19")));
        // The 3rd of January 2027 is a Sunday; nothing of that year is decided, and all of the year before is.
        let rule = DueRule::day_of_month(31, dunghan_calendar::DueMonth::Last).unwrap();
        fixed.tiers[0].due = crate::domain::regime::DueRules::same(Some(rule));
        assert!(!estimated(&owed("202612", "2027-01-01T00:00:00+07:00"), &fixed));
    }

    #[test]
    fn a_day_that_somebody_has_fixed_is_not_estimated() {
        let calendar = official().unwrap();
        let monthly = regime(Schedule::Every(Frequency::Month), "2026-05-01", None);
        let at = time("2027-05-25T08:00:00+07:00");
        let mut owed = obligation(Some("2027-05-20T00:00:00+07:00"));
        owed.name.period = "202705".parse().unwrap();
        let until = |until| {
            let due = Some(time("2027-05-29T00:00:00+07:00"));
            let extended = Obligation { due, extension: Some(Uuid::nil()), ..owed.clone() };
            is_estimated(&extended, &monthly, Some(until), &calendar, at)
        };
        assert!(!until(Until::Date(day("2027-05-28"))));
        assert!(until(Until::WorkingDays(7)));
        // What is counted from a day that is certain is not, as long as it is counted over days that are.
        let mut december = obligation(Some("2026-12-19T00:00:00+07:00"));
        december.name.period = "202612".parse().unwrap();
        for (due, is) in [("2026-12-31T00:00:00+07:00", false), ("2027-01-05T00:00:00+07:00", true)]
        {
            let extended = Obligation { due: Some(time(due)), ..december.clone() };
            let days = Some(Until::WorkingDays(9));
            assert_eq!(is_estimated(&extended, &monthly, days, &calendar, at), is, "{due}");
        }
        let receipt =
            Some(Receipt { report: Uuid::nil(), time: time("2027-05-18T08:00:00+07:00") });
        let returned = Some(Returned {
            time: time("2027-05-24T08:00:00+07:00"),
            due: time("2027-05-29T00:00:00+07:00"),
        });
        let sent_back = Obligation { receipt, returned, ..owed.clone() };
        assert!(!is_estimated(&sent_back, &monthly, None, &calendar, at));
        assert!(is_estimated(&owed, &monthly, None, &calendar, at));
    }
}

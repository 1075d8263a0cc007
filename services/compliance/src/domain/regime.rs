//! Regimes: by which rule a report is owed, and for which periods.

mod catalogue;
mod family;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_calendar::{
    DayOffPolicy, DueRule, Family, Frequency, Period, Window, WorkingCalendar, zone,
};
use dunghan_hierarchy::{Hierarchy, Kind, Level, UnitId};
use serde::{Deserialize, Serialize};

pub use catalogue::{Conflict, Indicators, Publication, publish};
pub use family::{FamilyDue, RuleFamily, Stated, families};

/// The most periods that a regime may have open from the day on which it is put in force: half a century of months.
const MOST_PERIODS: usize = 600;

/// Reads and prints as `regimes/{regime}`, with 1 to 63 of a-z, 0-9 and `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RegimeId(String);

/// Not the name of a regime.
#[derive(Debug, thiserror::Error)]
#[error("must be regimes/{{regime}}, of a-z, 0-9 and -, 63 at most")]
pub struct NotARegime;

impl RegimeId {
    /// The id alone.
    ///
    /// Errors: other characters than a-z, 0-9 and -, none, or more than 63.
    pub fn new(id: &str) -> Result<Self, NotARegime> {
        let fits = (1..=63).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits { Ok(Self(id.to_owned())) } else { Err(NotARegime) }
    }

    /// The id alone.
    pub fn id(&self) -> &str {
        &self.0
    }
}

impl FromStr for RegimeId {
    type Err = NotARegime;

    fn from_str(name: &str) -> Result<Self, NotARegime> {
        Self::new(name.strip_prefix("regimes/").ok_or(NotARegime)?)
    }
}

impl fmt::Display for RegimeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "regimes/{}", self.0)
    }
}

/// Which periods a regime asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Schedule {
    /// Every period of a frequency.
    Every(Frequency),
    /// One interval.
    Once(Period),
}

/// Who owes a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Debtors {
    /// The units of these levels and kinds below one, itself included.
    Subtree {
        /// Whose subtree.
        root: UnitId,
        /// Which levels; empty, with kinds: any.
        levels: Vec<Level>,
        /// Only these kinds; empty: any.
        #[serde(default)]
        kinds: Vec<Kind>,
        /// Not these, nor anyone below them.
        #[serde(default)]
        except: Vec<UnitId>,
    },
    /// The units of these levels and kinds, wherever they are.
    Everywhere {
        /// Which levels; empty, with kinds: any.
        levels: Vec<Level>,
        /// Only these kinds; empty: any.
        kinds: Vec<Kind>,
        /// Not these, nor anyone below them.
        except: Vec<UnitId>,
    },
    /// These units.
    Units(Vec<UnitId>),
}

impl Debtors {
    /// The units that owe the report as of a day, in the hierarchy's order.
    pub fn on(&self, day: NaiveDate, hierarchy: &Hierarchy) -> Vec<UnitId> {
        let (mut units, levels, kinds, except) = match self {
            Self::Units(units) => {
                let there = units.iter().copied();
                return there.filter(|unit| hierarchy.unit(*unit, day).is_some()).collect();
            }
            Self::Subtree { root, levels, kinds, except } => {
                let below = hierarchy.descendants(*root, day);
                let units: Vec<_> = std::iter::once(*root).chain(below).collect();
                (units, levels, kinds, except)
            }
            Self::Everywhere { levels, kinds, except } => {
                (hierarchy.units(day), levels, kinds, except)
            }
        };
        let excepted = |unit: UnitId| {
            except.contains(&unit)
                || except.iter().any(|root| hierarchy.is_within(unit, *root, day))
        };
        units.retain(|unit| {
            let version = hierarchy.unit(*unit, day).map(|unit| unit.version);
            version.is_some_and(|version| {
                (levels.is_empty() || levels.contains(&version.level))
                    && (kinds.is_empty() || kinds.contains(&version.kind))
            }) && !excepted(*unit)
        });
        units
    }
}

/// To whom reports go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Receiver {
    /// One unit.
    Unit(UnitId),
    /// The unit of that level above the one that owes.
    Above(Level),
    /// The unit directly above the one that owes.
    Parent,
    /// An agency that is no unit here, by its name.
    Agency(String),
}

impl Receiver {
    /// To whom a unit's report goes, as of a day; none where that is no unit here, or where there is none above.
    pub fn of(&self, unit: UnitId, day: NaiveDate, hierarchy: &Hierarchy) -> Option<UnitId> {
        match self {
            Self::Unit(receiver) => Some(*receiver),
            Self::Agency(_) => None,
            Self::Parent => hierarchy.ancestors(unit, day).first().copied(),
            Self::Above(level) => hierarchy.ancestors(unit, day).into_iter().find(|above| {
                hierarchy.unit(*above, day).is_some_and(|above| above.version.level == *level)
            }),
        }
    }
}

/// By when the units of a tier owe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueRules {
    /// Levels with a rule of their own.
    pub by_level: Vec<(Level, DueRule)>,
    /// For all others; none: no due date.
    pub otherwise: Option<DueRule>,
}

impl DueRules {
    /// One rule for all, or none.
    pub fn same(rule: Option<DueRule>) -> Self {
        Self { by_level: Vec::new(), otherwise: rule }
    }

    /// The rule for a level.
    pub fn of(&self, level: Level) -> Option<DueRule> {
        let own = self.by_level.iter().find(|(named, _)| *named == level);
        own.map(|(_, rule)| *rule).or(self.otherwise)
    }

    /// All rules.
    pub fn all(&self) -> impl Iterator<Item = DueRule> {
        self.by_level.iter().map(|(_, rule)| *rule).chain(self.otherwise)
    }
}

/// Those who owe in one step: the debtors first, then whoever received from the tier before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// To whom.
    pub receiver: Receiver,
    /// By when.
    pub due: DueRules,
    /// `forms/{form}`.
    pub form: String,
}

/// What sort of report it is (Decree 09/2019/NĐ-CP, article 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReportKind {
    /// Định kỳ.
    #[default]
    Periodic,
    /// Chuyên đề.
    Thematic,
    /// Đột xuất.
    AdHoc,
}

/// By which means reports may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SendingMeans {
    /// Through a reporting system.
    ReportingSystem,
    /// As an electronic document.
    ElectronicDocument,
    /// By e-mail.
    Email,
    /// By post.
    Post,
    /// By hand.
    Hand,
    /// By fax.
    Fax,
}

/// Another regime that collects the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlap {
    /// Which.
    pub regime: RegimeId,
    /// The indicators that both ask for.
    pub indicators: Vec<String>,
    /// How many units owe both.
    pub units: u32,
}

/// A rule under a legal basis by which units owe reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Regime {
    /// Its name.
    pub id: RegimeId,
    /// Its name for people.
    pub display_name: String,
    /// The document that asks for it.
    pub legal_basis: String,
    /// Made up to show something.
    pub illustrative: bool,
    /// Which periods.
    pub schedule: Schedule,
    /// Which days a period covers.
    pub family: Family,
    /// The cut-off is what each report declares.
    pub cut_off_as_declared: bool,
    /// What becomes of a due date on a day off.
    pub day_off: DayOffPolicy,
    /// Who owes it.
    pub debtors: Debtors,
    /// To whom, by when: the debtors, then those who send on. One at least.
    pub tiers: Vec<Tier>,
    /// First day in force.
    pub from: NaiveDate,
    /// Last day in force; none: until further notice.
    pub through: Option<NaiveDate>,
    /// When it was put in force here.
    pub create_time: DateTime<Utc>,
    /// What sort of report.
    #[serde(default)]
    pub kind: ReportKind,
    /// By which means; empty: not stated.
    #[serde(default)]
    pub means: Vec<SendingMeans>,
    /// Working days after the due date in which nobody is told.
    #[serde(default)]
    pub grace: u16,
    /// How many review a report.
    #[serde(default)]
    pub review_levels: u8,
    /// The family of rules that it follows.
    #[serde(default)]
    pub rule_family: Option<String>,
    /// In whose place it stands.
    #[serde(default)]
    pub amends: Option<RegimeId>,
    /// Nobody is told of what fell due before this day.
    #[serde(default)]
    pub tell_from: NaiveDate,
    /// Why a due date may lie before the cut-off.
    #[serde(default)]
    pub early_due_reason: Option<String>,
    /// Who else collects the same.
    #[serde(default)]
    pub overlaps: Vec<Overlap>,
}

/// A part of a regime, as it was stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Which days a period covers.
    Window,
    /// That the cut-off is what each report declares.
    CutOffAsDeclared,
    /// First day in force.
    From,
    /// Last day in force.
    Through,
    /// The one interval that it asks for.
    OncePeriod,
    /// What sort of report.
    Kind,
    /// In whose place it stands.
    Amends,
    /// Who owes.
    Debtors,
    /// Who does not, although their level does.
    Except,
    /// By when those who owe first owe, if their level has no rule of its own.
    Due,
    /// That rule, where it is a date.
    DueDate,
    /// The rule of a level, by its place from 0.
    LevelDue(usize),
    /// The level of such a rule.
    LevelDueLevel(usize),
    /// By when whoever sends on owes, by the place of the tier among those that send on, from 0.
    OnwardDue(usize),
    /// To whom it is sent on.
    OnwardReceiver(usize),
}

/// What contradicts what in a regime.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// In force through a day before the first.
    #[error("lies before from_date")]
    EndsBeforeItBegins,
    /// Nobody would owe it.
    #[error("names neither units nor levels or kinds")]
    NobodyOwes,
    /// The whole subtree is excepted.
    #[error("takes out the whole subtree: nobody would owe the report")]
    EverybodyExcepted,
    /// No cut-off lies within the days in which it is in force.
    #[error("leaves no cut-off day in force: no report would ever be owed")]
    AsksForNothing {
        /// What would have to be otherwise.
        part: Part,
    },
    /// It speaks of a level that does not owe.
    #[error("is a level that debtors does not name")]
    OfNoDebtor {
        /// Where.
        part: Part,
    },
    /// Thematic and ad hoc reports are asked for once.
    #[error("is only for FREQUENCY_ONCE: such a report is asked for once")]
    KindIsOnce,
    /// A date can be the due date of one period alone.
    #[error("is only for FREQUENCY_ONCE: a date is not due again")]
    DateIsOnce,
    /// Whoever would send on is no unit here.
    #[error("has nobody who sends on: the tier before goes to an agency that is no unit here")]
    NobodySendsOn {
        /// Which tier.
        part: Part,
    },
    /// It would stand in its own place.
    #[error("must be another regime")]
    AmendsItself,
    /// It says otherwise than its family.
    #[error("contradicts the family {family}")]
    AgainstFamily {
        /// What.
        part: Part,
        /// Which family.
        family: String,
    },
    /// So many periods cannot be meant.
    #[error("would open {count} periods at once, more than {MOST_PERIODS}")]
    TooManyPeriods {
        /// How many.
        count: usize,
    },
    /// Decree 09/2019/NĐ-CP, article 8(5)(b), asks for one working day after the cut-off at least. A fixed day that
    /// falls on days off in some periods is not refused for that: whether it moves then is the regime's to say.
    #[error(
        "makes the report for {period} due on {due}, not after the cut-off {cut_off}; only a regime whose cut-off is as \
         the report declares, or that states an early_due_reason, may ask for that"
    )]
    DueBeforeCutOff {
        /// By which rule.
        part: Part,
        /// For which period.
        period: Period,
        /// When it would be due.
        due: NaiveDate,
        /// When its figures are closed.
        cut_off: NaiveDate,
    },
    /// Whoever adds up needs the reports first: the same article asks for a due date for each level.
    #[error(
        "makes the report for {period} due on {due}, not after {before}, when the tier before owes"
    )]
    DueBeforeTierBefore {
        /// By which rule.
        part: Part,
        /// For which period.
        period: Period,
        /// When it would be due.
        due: NaiveDate,
        /// When the last of the tier before is due.
        before: NaiveDate,
    },
}

impl Regime {
    /// The window of a period under this regime.
    pub fn window(&self, period: Period) -> Window {
        period.window(self.family)
    }

    /// Whether it is in force on a day.
    pub fn is_in_force(&self, day: NaiveDate) -> bool {
        self.from <= day && self.through.is_none_or(|through| day <= through)
    }

    /// Whether the regime asks for the period: by its frequency, and with the cut-off while it is in force.
    pub fn asks_for(&self, period: Period) -> bool {
        let of_schedule = match self.schedule {
            Schedule::Every(frequency) => period.frequency() == frequency,
            Schedule::Once(once) => period == once,
        };
        of_schedule && self.is_in_force(self.window(period).cut_off)
    }

    /// The first period of its frequency whose cut-off is not before a day, in force then or not; none where it asks once
    /// and for an earlier one.
    pub fn first_period(&self, day: NaiveDate) -> Option<Period> {
        match self.schedule {
            Schedule::Once(once) => Some(once).filter(|once| self.window(*once).cut_off >= day),
            Schedule::Every(frequency) => first_from(day, frequency, self.family),
        }
    }

    /// The periods asked for whose window has begun by `today`, the first first.
    pub fn open_periods(&self, today: NaiveDate) -> Vec<Period> {
        let first = self.first_period(self.from);
        let begun = |period: &Period| self.window(*period).first <= today;
        let in_force = |period: &Period| {
            let cut_off = self.window(*period).cut_off;
            self.through.is_none_or(|through| cut_off <= through)
        };
        std::iter::successors(first, |period| period.next())
            .take_while(|period| begun(period) && in_force(period))
            .filter(|period| self.asks_for(*period))
            .collect()
    }

    /// The tier of that number, from 1; of one that there is not, the last.
    pub fn tier(&self, tier: u8) -> Option<&Tier> {
        self.tiers.get(usize::from(tier).saturating_sub(1)).or_else(|| self.tiers.last())
    }

    /// The last day on which a report of a tier and level for the period is on time; none where the regime states no due
    /// date.
    pub fn due_date(
        &self,
        period: Period,
        tier: u8,
        level: Level,
        calendar: &WorkingCalendar,
    ) -> Option<NaiveDate> {
        let cut_off = self.window(period).cut_off;
        let rule = self.tier(tier).and_then(|tier| tier.due.of(level));
        rule.map(|rule| rule.due_date(period, cut_off, self.day_off, calendar))
    }

    /// From when on supervisors are told of what was due at the end of that day and is missing; none where nobody is told.
    pub fn tell_time(&self, due: NaiveDate, calendar: &WorkingCalendar) -> Option<DateTime<Utc>> {
        let grace = calendar.add_working_days(due, self.grace.into());
        (self.tell_from <= due).then(|| zone::end_of(if self.grace == 0 { due } else { grace }))
    }

    /// Whether the regime can be put in force on a day, `today`, as far as it alone tells. The due dates of its first
    /// periods, three years' worth, are tried.
    ///
    /// Errors: the first contradiction.
    pub fn check(&self, today: NaiveDate, calendar: &WorkingCalendar) -> Result<(), Contradiction> {
        if self.through.is_some_and(|through| through < self.from) {
            return Err(Contradiction::EndsBeforeItBegins);
        }
        if self.amends.as_ref() == Some(&self.id) {
            return Err(Contradiction::AmendsItself);
        }
        self.check_debtors()?;
        if self.kind != ReportKind::Periodic && !matches!(self.schedule, Schedule::Once(_)) {
            return Err(Contradiction::KindIsOnce);
        }
        let sends_on = |at: usize| !matches!(self.tiers[at].receiver, Receiver::Agency(_));
        if let Some(at) = (1..self.tiers.len()).find(|at| !sends_on(at - 1)) {
            let part = Part::OnwardReceiver(at - 1);
            return Err(Contradiction::NobodySendsOn { part });
        }
        let on_a_date = |rule| matches!(rule, DueRule::On(_));
        let recurs = matches!(self.schedule, Schedule::Every(_));
        if recurs && self.tiers.iter().flat_map(|tier| tier.due.all()).any(on_a_date) {
            return Err(Contradiction::DateIsOnce);
        }
        let first = self.first_period(self.from).filter(|period| self.asks_for(*period));
        let Some(first) = first else {
            let part = match (self.schedule, self.through) {
                (Schedule::Once(_), _) => Part::OncePeriod,
                (Schedule::Every(_), Some(_)) => Part::Through,
                (Schedule::Every(_), None) => Part::From,
            };
            return Err(Contradiction::AsksForNothing { part });
        };
        let count = self.open_periods(today).len();
        if count > MOST_PERIODS {
            return Err(Contradiction::TooManyPeriods { count });
        }
        let horizon = self.from.checked_add_months(chrono::Months::new(36)).unwrap_or(self.from);
        std::iter::successors(Some(first), |period| period.next())
            .take_while(|period| *period == first || self.window(*period).cut_off < horizon)
            .filter(|period| self.asks_for(*period))
            .try_for_each(|period| self.check_due(period, calendar))
    }

    fn check_debtors(&self) -> Result<(), Contradiction> {
        let (root, levels, kinds, except) = match &self.debtors {
            Debtors::Units(units) if units.is_empty() => return Err(Contradiction::NobodyOwes),
            Debtors::Units(_) => return Ok(()),
            Debtors::Subtree { root, levels, kinds, except } => (Some(root), levels, kinds, except),
            Debtors::Everywhere { levels, kinds, except } => (None, levels, kinds, except),
        };
        if levels.is_empty() && kinds.is_empty() {
            return Err(Contradiction::NobodyOwes);
        }
        if root.is_some_and(|root| except.contains(root)) {
            return Err(Contradiction::EverybodyExcepted);
        }
        let ruled = self.tiers.first().map_or(&[][..], |tier| &tier.due.by_level);
        let owes = |level: &Level| levels.is_empty() || levels.contains(level);
        match ruled.iter().position(|(level, _)| !owes(level)) {
            Some(at) => Err(Contradiction::OfNoDebtor { part: Part::LevelDueLevel(at) }),
            None => Ok(()),
        }
    }

    /// Whether the due dates of a period lie after its cut-off, and those of each tier after those of the tier before.
    fn check_due(&self, period: Period, calendar: &WorkingCalendar) -> Result<(), Contradiction> {
        let cut_off = self.window(period).cut_off;
        let may_be_early = self.cut_off_as_declared || self.early_due_reason.is_some();
        let mut before: Option<NaiveDate> = None;
        for (at, tier) in self.tiers.iter().enumerate() {
            let mut last = before;
            for (part, rule) in rules(at, &tier.due) {
                let due = rule.due_date(period, cut_off, self.day_off, calendar);
                if due <= cut_off && !may_be_early {
                    return Err(Contradiction::DueBeforeCutOff { part, period, due, cut_off });
                }
                if let Some(before) = before.filter(|before| due <= *before) {
                    return Err(Contradiction::DueBeforeTierBefore { part, period, due, before });
                }
                last = last.max(Some(due));
            }
            before = last;
        }
        Ok(())
    }
}

/// The rules of a tier, by its place from 0, each as it was stated.
fn rules(at: usize, due: &DueRules) -> impl Iterator<Item = (Part, DueRule)> {
    let general = if at == 0 { Part::Due } else { Part::OnwardDue(at - 1) };
    let of_level = move |(place, (_, rule)): (usize, &(Level, DueRule))| {
        (if at == 0 { Part::LevelDue(place) } else { general }, *rule)
    };
    let by_level = due.by_level.iter().enumerate().map(of_level);
    by_level.chain(due.otherwise.map(|rule| (general, rule)))
}

/// The first period of a frequency whose cut-off is not before `from`.
fn first_from(from: NaiveDate, frequency: Frequency, family: Family) -> Option<Period> {
    // The window that holds the day ends on it or after. Nine months' windows leave days out: the next one ends later.
    (0..370)
        .filter_map(|ahead| from.checked_add_days(chrono::Days::new(ahead)))
        .find_map(|day| Period::containing(day, frequency, family))
}

#[cfg(test)]
pub(crate) mod tests {
    use dunghan_calendar::DueMonth;

    use super::*;
    use crate::domain::calendar::official;

    pub(crate) fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    pub(crate) fn regime(schedule: Schedule, from: &str, through: Option<&str>) -> Regime {
        Regime {
            id: RegimeId::new("r").unwrap(),
            display_name: "Báo cáo".to_owned(),
            legal_basis: "Công văn số 1/VP".to_owned(),
            illustrative: true,
            schedule,
            family: Family::Nd09,
            cut_off_as_declared: false,
            day_off: DayOffPolicy::Keep,
            debtors: Debtors::Units(vec![UnitId::new("nso", "09427", None)]),
            tiers: vec![tier(Some(DueRule::WorkingDaysAfterCutOff(3)))],
            from: day(from),
            through: through.map(day),
            create_time: DateTime::UNIX_EPOCH,
            kind: ReportKind::Periodic,
            means: Vec::new(),
            grace: 0,
            review_levels: 0,
            rule_family: None,
            amends: None,
            tell_from: NaiveDate::default(),
            early_due_reason: None,
            overlaps: Vec::new(),
        }
    }

    /// To the province of Bắc Ninh, by one rule for all levels.
    pub(crate) fn tier(due: Option<DueRule>) -> Tier {
        Tier {
            receiver: Receiver::Unit(UnitId::new("nso", "24", None)),
            due: DueRules::same(due),
            form: "forms/cds-1".to_owned(),
        }
    }

    #[test]
    fn a_period_is_owed_when_its_cut_off_lies_in_force_and_from_the_day_its_window_begins() {
        let monthly = regime(Schedule::Every(Frequency::Month), "2026-05-01", Some("2026-06-14"));
        for (today, periods) in [
            ("2026-04-14", vec![]),
            ("2026-04-15", vec!["202605"]),
            ("2026-05-14", vec!["202605"]),
            ("2026-05-15", vec!["202605", "202606"]),
            ("2027-01-01", vec!["202605", "202606"]),
        ] {
            let open = monthly.open_periods(day(today));
            let names: Vec<_> = open.iter().map(Period::to_string).collect();
            assert_eq!(names, periods, "{today}");
        }
    }

    #[test]
    fn nine_months_and_single_intervals_are_found_too() {
        let nine = regime(Schedule::Every(Frequency::NineMonths), "2024-09-01", Some("2024-09-30"));
        let names: Vec<_> =
            nine.open_periods(day("2024-09-17")).iter().map(Period::to_string).collect();
        assert_eq!(names, ["2024N9"]);
        let once = "2023-01-01--2024-05-31".parse().unwrap();
        let once = regime(Schedule::Once(once), "2024-05-01", None);
        assert_eq!(once.open_periods(day("2024-06-24")).len(), 1);
        assert_eq!(once.open_periods(day("2022-12-31")).len(), 0);
    }

    #[test]
    fn the_first_period_from_a_day_is_the_first_whose_cut_off_is_not_before_it() {
        let every = |frequency, family| Regime {
            family,
            ..regime(Schedule::Every(frequency), "2020-01-01", None)
        };
        for (frequency, family, from, first) in [
            (Frequency::Month, Family::Nd09, "2026-05-14", "202605"),
            (Frequency::Month, Family::Nd09, "2026-05-15", "202606"),
            (Frequency::Month, Family::Calendar, "2026-05-31", "202605"),
            (Frequency::Month, Family::Calendar, "2026-06-01", "202606"),
            (Frequency::Quarter, Family::Nd09, "2026-12-14", "2026Q4"),
            (Frequency::Quarter, Family::Nd09, "2026-12-15", "2027Q1"),
            (Frequency::SixMonths, Family::Nd09, "2026-06-14", "2026S1"),
            (Frequency::SixMonths, Family::Nd09, "2026-06-15", "2026S2"),
            (Frequency::NineMonths, Family::Nd09, "2026-09-14", "2026N9"),
            (Frequency::NineMonths, Family::Nd09, "2026-09-15", "2027N9"),
            (Frequency::Year, Family::Nd09, "2026-12-14", "2026"),
            (Frequency::Year, Family::Nd09, "2026-12-15", "2027"),
        ] {
            let found = every(frequency, family).first_period(day(from)).unwrap();
            assert_eq!(found.to_string(), first, "{from}");
            // The store tells by their names which come later.
            let names: Vec<_> = std::iter::successors(Some(found), |period| period.next())
                .take(30)
                .map(|period| period.to_string())
                .collect();
            assert!(names.is_sorted() && names.len() == 30, "{names:?}");
        }
        let once: Period = "2023-01-01--2024-05-31".parse().unwrap();
        let asked_once = regime(Schedule::Once(once), "2024-05-01", None);
        assert_eq!(asked_once.first_period(day("2024-05-31")), Some(once));
        assert_eq!(asked_once.first_period(day("2024-06-01")), None);
    }

    fn of_day(day: u8, month: DueMonth) -> DueRule {
        DueRule::day_of_month(day, month).unwrap()
    }

    fn checked(regime: &Regime) -> Result<(), Contradiction> {
        regime.check(day("2026-05-04"), &official().unwrap())
    }

    #[test]
    fn a_due_date_must_lie_after_the_cut_off_unless_reports_declare_their_own() {
        let six = |declared| Regime {
            tiers: vec![tier(Some(of_day(24, DueMonth::Number(5))))],
            cut_off_as_declared: declared,
            ..regime(Schedule::Every(Frequency::SixMonths), "2024-05-01", Some("2024-06-30"))
        };
        assert_eq!(
            checked(&six(false)),
            Err(Contradiction::DueBeforeCutOff {
                part: Part::Due,
                period: "2024S1".parse().unwrap(),
                due: day("2024-05-24"),
                cut_off: day("2024-06-14"),
            })
        );
        assert_eq!(checked(&six(true)), Ok(()));
        let reason = Some("Theo Công văn số 2/VP".to_owned());
        assert_eq!(checked(&Regime { early_due_reason: reason, ..six(false) }), Ok(()));
        let far = "2031-01-01--2031-12-31".parse().unwrap();
        let once = Regime {
            tiers: vec![tier(Some(of_day(1, DueMonth::Number(1))))],
            ..regime(Schedule::Once(far), "2024-05-01", None)
        };
        assert!(matches!(checked(&once), Err(Contradiction::DueBeforeCutOff { .. })));
        let period = "2024S1".parse().unwrap();
        let due = six(true).due_date(period, 1, Level::Commune, &official().unwrap());
        assert_eq!(due, Some(day("2024-05-24")));
    }

    #[test]
    fn due_dates_are_tried_for_each_level_and_each_tier_over_three_years() {
        let monthly = || regime(Schedule::Every(Frequency::Month), "2026-05-01", None);
        let levels = |rules: &[(Level, u8)]| DueRules {
            by_level: rules.iter().map(|(of, on)| (*of, of_day(*on, DueMonth::Last))).collect(),
            otherwise: Some(DueRule::WorkingDaysAfterCutOff(1)),
        };
        let of_two_levels = |rules: &[(Level, u8)]| Regime {
            debtors: Debtors::Everywhere {
                levels: vec![Level::Commune, Level::Province],
                kinds: Vec::new(),
                except: Vec::new(),
            },
            tiers: vec![Tier { due: levels(rules), ..tier(None) }],
            ..monthly()
        };
        assert_eq!(checked(&of_two_levels(&[(Level::Commune, 15), (Level::Province, 20)])), Ok(()));
        let early = checked(&of_two_levels(&[(Level::Commune, 15), (Level::Province, 14)]));
        let part = Part::LevelDue(1);
        assert!(
            matches!(early, Err(Contradiction::DueBeforeCutOff { part: found, .. }) if found == part)
        );
        let of_none = checked(&of_two_levels(&[(Level::School, 20)]));
        assert_eq!(of_none, Err(Contradiction::OfNoDebtor { part: Part::LevelDueLevel(0) }));
        // The 29th of February is the last of a month that has no 30th: on plain months that is the cut-off itself.
        let late = Regime {
            family: Family::Calendar,
            tiers: vec![tier(Some(of_day(30, DueMonth::Last)))],
            ..regime(Schedule::Every(Frequency::Month), "2026-03-31", None)
        };
        assert!(matches!(checked(&late), Err(Contradiction::DueBeforeCutOff { .. })));
        // Of a period that comes only once in a year, too: the first in force is tried whenever it is.
        let far = Regime {
            tiers: vec![tier(Some(of_day(1, DueMonth::Last)))],
            ..regime(Schedule::Every(Frequency::Year), "2026-12-15", None)
        };
        assert!(matches!(checked(&far), Err(Contradiction::DueBeforeCutOff { .. })));
    }

    #[test]
    fn each_tier_owes_after_the_one_before_and_one_without_a_due_date_is_passed_over() {
        let tiers = |rules: &[Option<DueRule>]| {
            let senders =
                rules.iter().map(|rule| Tier { receiver: Receiver::Parent, ..tier(*rule) });
            let all = Regime {
                tiers: senders.collect(),
                ..regime(Schedule::Every(Frequency::Quarter), "2026-01-01", None)
            };
            match checked(&all) {
                Ok(()) => None,
                Err(Contradiction::DueBeforeTierBefore { part, .. }) => Some(part),
                Err(other) => panic!("{other}"),
            }
        };
        let days = |days| Some(DueRule::WorkingDaysAfterCutOff(days));
        let on = |of| Some(of_day(of, DueMonth::Last));
        assert_eq!(tiers(&[days(3), days(4), days(5)]), None);
        assert_eq!(tiers(&[days(3), days(3)]), Some(Part::OnwardDue(0)));
        assert_eq!(tiers(&[days(3), days(5), days(4)]), Some(Part::OnwardDue(1)));
        assert_eq!(tiers(&[on(17), on(20)]), None);
        assert_eq!(tiers(&[on(20), on(20)]), Some(Part::OnwardDue(0)));
        assert_eq!(tiers(&[days(3), None, days(3)]), Some(Part::OnwardDue(1)));
        assert_eq!(tiers(&[days(3), None, days(4)]), None);
        assert_eq!(tiers(&[None, on(25)]), None);
        // Three working days after 14/03/2026 is the 18th; after 14/09/2028, a Thursday, the 19th.
        assert_eq!(tiers(&[days(3), on(19)]), Some(Part::OnwardDue(0)));
        assert_eq!(tiers(&[days(3), on(20)]), None);
    }

    #[test]
    fn what_contradicts_itself_is_told_apart() {
        let good = || regime(Schedule::Every(Frequency::Month), "2026-05-01", None);
        let levels = |levels: &[Level], kinds: &[Kind], except: &[UnitId]| Debtors::Subtree {
            root: UnitId::new("nso", "24", None),
            levels: levels.to_vec(),
            kinds: kinds.to_vec(),
            except: except.to_vec(),
        };
        let with = |debtors| Regime { debtors, ..good() };
        let commune = [Level::Commune];
        let interval = "2026-01-01--2026-03-31".parse().unwrap();
        let once = || Schedule::Once(interval);
        let date = DueRule::On(day("2026-04-10"));
        let dated = |schedule| Regime {
            tiers: vec![tier(Some(date))],
            ..regime(schedule, "2026-01-01", None)
        };
        let ad_hoc =
            |schedule| Regime { kind: ReportKind::AdHoc, ..regime(schedule, "2026-01-01", None) };
        let agency = Tier { receiver: Receiver::Agency("A".to_owned()), ..tier(None) };
        let onward = |tiers: &[&Tier]| Regime {
            tiers: tiers.iter().map(|tier| (*tier).clone()).collect(),
            ..good()
        };
        let through =
            |from, through| regime(Schedule::Every(Frequency::Month), from, Some(through));
        use Contradiction as C;
        for (stated, expected) in [
            (with(levels(&commune, &[], &[])), Ok(())),
            (with(levels(&[], &[Kind::Phuong], &[])), Ok(())),
            (with(levels(&[], &[], &[])), Err(C::NobodyOwes)),
            (with(Debtors::Units(Vec::new())), Err(C::NobodyOwes)),
            (
                with(levels(&commune, &[], &[UnitId::new("nso", "24", None)])),
                Err(C::EverybodyExcepted),
            ),
            (with(levels(&commune, &[], &[UnitId::new("nso", "52", None)])), Ok(())),
            (dated(once()), Ok(())),
            (dated(Schedule::Every(Frequency::Quarter)), Err(C::DateIsOnce)),
            (ad_hoc(once()), Ok(())),
            (ad_hoc(Schedule::Every(Frequency::Quarter)), Err(C::KindIsOnce)),
            (onward(&[&tier(None), &agency]), Ok(())),
            (
                onward(&[&tier(None), &agency, &tier(None)]),
                Err(C::NobodySendsOn { part: Part::OnwardReceiver(1) }),
            ),
            (Regime { amends: Some(good().id), ..good() }, Err(C::AmendsItself)),
            (through("2026-05-01", "2026-04-30"), Err(C::EndsBeforeItBegins)),
            (through("2026-05-01", "2026-05-14"), Ok(())),
            (through("2026-05-01", "2026-05-13"), Err(C::AsksForNothing { part: Part::Through })),
            (regime(once(), "2026-03-31", None), Ok(())),
            (regime(once(), "2026-04-01", None), Err(C::AsksForNothing { part: Part::OncePeriod })),
            (
                regime(once(), "2026-01-01", Some("2026-03-30")),
                Err(C::AsksForNothing { part: Part::OncePeriod }),
            ),
        ] {
            assert_eq!(checked(&stated), expected, "{stated:?}");
        }
    }

    #[test]
    fn half_a_century_of_months_is_the_most_that_can_be_meant() {
        let since = |from| regime(Schedule::Every(Frequency::Month), from, None);
        // On 4 May 2026 the window of May is the last that has begun.
        assert_eq!(checked(&since("1976-06-01")), Ok(()));
        let one_more = checked(&since("1976-05-14"));
        assert_eq!(one_more, Err(Contradiction::TooManyPeriods { count: 601 }));
        let ended = regime(Schedule::Every(Frequency::Month), "1950-01-01", Some("1950-12-31"));
        assert_eq!(checked(&ended), Ok(()));
        let yearly = regime(Schedule::Every(Frequency::Year), "1950-01-01", None);
        assert_eq!(checked(&yearly), Ok(()));
    }
}

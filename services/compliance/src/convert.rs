//! pb ⇄ domain.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use dunghan_calendar::{
    Certainty, Completion, DayOffPolicy, DueMonth, DueRule, Family, Frequency, OfficeHours, Period,
    WorkingCalendar,
};
use dunghan_hierarchy::{Hierarchy, Level, UnitId};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::ErrorReason;
use dunghan_rpc::{bad_field, bad_field_for, field};
use prost::Message as _;
use tonic::Status;
use unicode_normalization::UnicodeNormalization as _;

use crate::domain::consequence::Consequence;
use crate::domain::dossier::{Basis, Channel, Dossier, DossierName, Outcome, Resolution};
use crate::domain::explain::{Grounds, Waiver};
use crate::domain::notice::{Notice, Topic};
use crate::domain::obligation::{Obligation, ObligationName, Standing};
use crate::domain::rate::Rate;
use crate::domain::regime::{Debtors, Regime, RegimeId, Schedule};
use crate::domain::summary::{Counts, Summary};
use crate::domain::wording;

/// The most bytes of a name, a basis or a decision.
const NAME: usize = 500;
/// Longer than any name of a period, or of a term: a message must not repeat a text of any length.
const MOST_PERIOD_BYTES: usize = 30;
/// Units of one question about a reorganisation.
const MOST_UNITS: usize = 1000;

/// A unit's name in a field that may be empty.
pub(crate) fn optional_unit(name: &str, value: &str) -> Result<Option<UnitId>, Status> {
    if value.is_empty() { Ok(None) } else { unit(name, value).map(Some) }
}

/// A field that has to be there.
fn given<'a>(name: &str, value: &'a str) -> Result<&'a str, Status> {
    field::required(name, (!value.is_empty()).then_some(value))
}

/// A unit's name in a field that has to be there.
pub(crate) fn unit(name: &str, value: &str) -> Result<UnitId, Status> {
    given(name, value)?.parse().map_err(|e| bad_field(name, e))
}

/// Which units a reorganisation ends, and which ones go on otherwise.
pub(crate) fn affected_units(
    request: &pb::ListAffectedObligationsRequest,
) -> Result<(Vec<UnitId>, Vec<UnitId>), Status> {
    let (ending, changed) = (&request.units, &request.changed_units);
    let count = ending.len() + changed.len();
    if count == 0 {
        return field::required("units", None);
    }
    if count > MOST_UNITS {
        let why = format!("must not be more than {MOST_UNITS}, changed_units included");
        return Err(bad_field("units", why));
    }
    let mut seen = HashSet::new();
    let mut read = |list: &str, names: &[String]| {
        let units = names.iter().enumerate().map(|(at, name)| {
            let field = format!("{list}[{at}]");
            let unit = unit(&field, name)?;
            let once = seen.insert(unit);
            once.then_some(unit)
                .ok_or_else(|| bad_field(&field, "names a unit for the second time"))
        });
        units.collect::<Result<Vec<_>, _>>()
    };
    Ok((read("units", ending)?, read("changed_units", changed)?))
}

/// A regime's name in a field that has to be there.
pub(crate) fn regime_id(name: &str, value: &str) -> Result<RegimeId, Status> {
    given(name, value)?.parse().map_err(|e| bad_field(name, e))
}

/// An obligation's name in a field that has to be there.
pub(crate) fn obligation_name(name: &str, value: &str) -> Result<ObligationName, Status> {
    given(name, value)?.parse().map_err(|e| bad_field(name, e))
}

/// A dossier's name in a field that has to be there.
pub(crate) fn dossier_name(name: &str, value: &str) -> Result<DossierName, Status> {
    given(name, value)?.parse().map_err(|e| bad_field(name, e))
}

/// The time asked for, or now.
pub(crate) fn read_time(
    value: Option<&prost_types::Timestamp>,
    clock: &dyn dunghan_calendar::Clock,
) -> Result<DateTime<Utc>, Status> {
    Ok(field::instant("read_time", value)?.unwrap_or_else(|| clock.now()))
}

/// A period's name in a field that has to be there.
pub(crate) fn period(name: &str, value: &str) -> Result<Period, Status> {
    if value.len() > MOST_PERIOD_BYTES {
        let why = "names no period; a name looks like 202605 or 2026Q2";
        return Err(crate::error::bad_period(name, why));
    }
    given(name, value)?.parse().map_err(|e| crate::error::bad_period(name, e))
}

/// A text in the form in which names are compared: one encoding of its letters, no blanks around it.
pub(crate) fn normal(text: &str) -> String {
    text.trim().nfc().collect()
}

fn invalid(name: &str, why: impl ToString) -> Status {
    bad_field_for(ErrorReason::InvalidRegime, name, why)
}

/// The regime of a CreateRegime; whether its parts agree is the domain's to say.
pub(crate) fn regime(value: &pb::Regime, now: DateTime<Utc>) -> Result<Regime, Status> {
    let frequency = match value.frequency() {
        pb::Frequency::Unspecified => return Err(invalid("regime.frequency", "is missing")),
        pb::Frequency::Month => Some(Frequency::Month),
        pb::Frequency::Quarter => Some(Frequency::Quarter),
        pb::Frequency::SixMonths => Some(Frequency::SixMonths),
        pb::Frequency::NineMonths => Some(Frequency::NineMonths),
        pb::Frequency::Year => Some(Frequency::Year),
        pb::Frequency::Once => None,
    };
    let schedule = match (frequency, value.once_period.as_str()) {
        (Some(frequency), "") => Schedule::Every(frequency),
        (Some(_), _) => {
            return Err(invalid("regime.once_period", "is only for FREQUENCY_ONCE"));
        }
        (None, once) => {
            let once = period("regime.once_period", once)?;
            if once.frequency() != Frequency::Interval {
                return Err(invalid("regime.once_period", "must be an interval of two dates"));
            }
            Schedule::Once(once)
        }
    };
    let from = field::date("regime.from_date", value.from_date.as_ref())?;
    let debtors = value.debtors.as_ref();
    Ok(Regime {
        id: given("regime.name", &value.name)?.parse().map_err(|e| invalid("regime.name", e))?,
        display_name: field::text("regime.display_name", &value.display_name, NAME)?,
        legal_basis: field::text("regime.legal_basis", &value.legal_basis, 4 * NAME)?,
        illustrative: value.illustrative,
        form: form(&value.form)?,
        receiving_unit: unit("regime.receiving_unit", &value.receiving_unit)?,
        schedule,
        family: match pb::WindowFamily::try_from(value.window_family) {
            Ok(pb::WindowFamily::Calendar) => Family::Calendar,
            Ok(pb::WindowFamily::Unspecified | pb::WindowFamily::Nd09) => Family::Nd09,
            Err(_) => return Err(invalid("regime.window_family", "is none that is known")),
        },
        cut_off_as_declared: value.cut_off_as_declared,
        due: value.due_rule.as_ref().map(due_rule).transpose()?,
        day_off: if value.move_due_date_off_days_off {
            DayOffPolicy::NextWorkingDay
        } else {
            DayOffPolicy::Keep
        },
        debtors: read_debtors(field::required("regime.debtors", debtors)?)?,
        from: field::required("regime.from_date", from)?,
        through: field::date("regime.through_date", value.through_date.as_ref())?,
        create_time: now,
    })
}

fn form(name: &str) -> Result<String, Status> {
    match given("regime.form", name)?.strip_prefix("forms/") {
        Some(id) if !id.is_empty() && id.len() <= 63 => Ok(name.to_owned()),
        _ => Err(invalid("regime.form", "must be forms/{form}")),
    }
}

fn due_rule(rule: &pb::regime::DueRule) -> Result<DueRule, Status> {
    match rule {
        pb::regime::DueRule::WorkingDaysAfterCutOff(days) => match u16::try_from(*days) {
            // Decree 09/2019/NĐ-CP, article 8(5)(b); a term of more than a year is a mistake.
            Ok(days @ 1..=250) => Ok(DueRule::WorkingDaysAfterCutOff(days)),
            _ => Err(invalid("regime.working_days_after_cut_off", "must be from 1 to 250")),
        },
        pb::regime::DueRule::DayOfMonth(day) => {
            let month = match day.month {
                0 => Ok(DueMonth::Last),
                month => u8::try_from(month)
                    .map_err(|_| "must be from 0 to 12".to_owned())
                    .and_then(|month| DueMonth::number(month).map_err(|e| e.to_string())),
            };
            let month = month.map_err(|e| invalid("regime.day_of_month.month", e))?;
            u8::try_from(day.day)
                .map_err(|_| "must be from 1 to 31".to_owned())
                .and_then(|day| DueRule::day_of_month(day, month).map_err(|e| e.to_string()))
                .map_err(|e| invalid("regime.day_of_month.day", e))
        }
    }
}

fn read_debtors(value: &pb::Debtors) -> Result<Debtors, Status> {
    if value.subtree.is_empty() {
        if !value.levels.is_empty() {
            return Err(invalid("regime.debtors.levels", "is only for a subtree"));
        }
        let units = value.units.iter().map(|name| unit("regime.debtors.units", name));
        let mut units = units.collect::<Result<Vec<_>, _>>()?;
        let mut seen = HashSet::new();
        units.retain(|unit| seen.insert(*unit));
        return Ok(Debtors::Units(units));
    }
    if !value.units.is_empty() {
        return Err(invalid("regime.debtors.units", "must not stand beside a subtree"));
    }
    let levels = value
        .levels
        .iter()
        .map(|level| level.parse::<Level>().map_err(|e| invalid("regime.debtors.levels", e)));
    Ok(Debtors::Subtree {
        root: unit("regime.debtors.subtree", &value.subtree)?,
        levels: levels.collect::<Result<_, _>>()?,
    })
}

impl From<&Regime> for pb::Regime {
    fn from(regime: &Regime) -> Self {
        let (frequency, once_period) = match regime.schedule {
            Schedule::Once(once) => (pb::Frequency::Once, once.to_string()),
            Schedule::Every(Frequency::Month) => (pb::Frequency::Month, String::new()),
            Schedule::Every(Frequency::Quarter) => (pb::Frequency::Quarter, String::new()),
            Schedule::Every(Frequency::SixMonths) => (pb::Frequency::SixMonths, String::new()),
            Schedule::Every(Frequency::NineMonths) => (pb::Frequency::NineMonths, String::new()),
            Schedule::Every(Frequency::Year) => (pb::Frequency::Year, String::new()),
            Schedule::Every(Frequency::Interval) => (pb::Frequency::Unspecified, String::new()),
        };
        let debtors = match &regime.debtors {
            Debtors::Units(units) => pb::Debtors {
                units: units.iter().map(UnitId::to_string).collect(),
                ..Default::default()
            },
            Debtors::Subtree { root, levels } => pb::Debtors {
                subtree: root.to_string(),
                levels: levels.iter().map(Level::to_string).collect(),
                ..Default::default()
            },
        };
        Self {
            name: regime.id.to_string(),
            display_name: regime.display_name.clone(),
            legal_basis: regime.legal_basis.clone(),
            illustrative: regime.illustrative,
            form: regime.form.clone(),
            receiving_unit: regime.receiving_unit.to_string(),
            frequency: frequency.into(),
            once_period,
            window_family: match regime.family {
                Family::Nd09 => pb::WindowFamily::Nd09,
                Family::Calendar => pb::WindowFamily::Calendar,
            }
            .into(),
            cut_off_as_declared: regime.cut_off_as_declared,
            due_rule: regime.due.map(|rule| match rule {
                DueRule::WorkingDaysAfterCutOff(days) => {
                    pb::regime::DueRule::WorkingDaysAfterCutOff(days.into())
                }
                DueRule::DayOfMonth { day, month } => {
                    let month = match month {
                        DueMonth::Last => 0,
                        DueMonth::Number(month) => month.into(),
                    };
                    pb::regime::DueRule::DayOfMonth(pb::DayOfMonth { day: day.into(), month })
                }
            }),
            move_due_date_off_days_off: regime.day_off == DayOffPolicy::NextWorkingDay,
            debtors: Some(debtors),
            from_date: Some(field::pb_date(regime.from)),
            through_date: regime.through.map(field::pb_date),
            create_time: Some(field::pb_time(regime.create_time)),
        }
    }
}

impl From<Consequence> for pb::affected_obligation::Consequence {
    fn from(consequence: Consequence) -> Self {
        match consequence {
            Consequence::NoLongerOwed => Self::NoLongerOwed,
            Consequence::StillOwed => Self::StillOwed,
            Consequence::ClosedPeriod => Self::ClosedPeriod,
        }
    }
}

impl From<Standing> for pb::Standing {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Open => Self::Open,
            Standing::OnTime => Self::OnTime,
            Standing::Late => Self::Late,
            Standing::Missing => Self::Missing,
            Standing::Waived => Self::Waived,
            Standing::NoDueTime => Self::NoDueTime,
        }
    }
}

/// The standings to list, each once: they become conditions of a query, whose size has an end.
pub(crate) fn standings(values: &[i32]) -> Result<Vec<Standing>, Status> {
    let read = |value: &i32| match pb::Standing::try_from(*value) {
        Ok(pb::Standing::Open) => Ok(Standing::Open),
        Ok(pb::Standing::OnTime) => Ok(Standing::OnTime),
        Ok(pb::Standing::Late) => Ok(Standing::Late),
        Ok(pb::Standing::Missing) => Ok(Standing::Missing),
        Ok(pb::Standing::Waived) => Ok(Standing::Waived),
        Ok(pb::Standing::NoDueTime) => Ok(Standing::NoDueTime),
        Ok(pb::Standing::Unspecified) | Err(_) => {
            Err(bad_field("standings", format!("holds {value}, which is no standing")))
        }
    };
    let mut standings = values.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    standings.sort_unstable();
    standings.dedup();
    Ok(standings)
}

/// How an obligation is shown: at a moment, with the unit as it was on the cut-off day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) at: DateTime<Utc>,
    pub(crate) family: Family,
    pub(crate) hierarchy: &'a Hierarchy,
    pub(crate) calendar: &'a WorkingCalendar,
}

impl Shown<'_> {
    pub(crate) fn obligation(&self, obligation: &Obligation) -> pb::Obligation {
        let name = &obligation.name;
        let cut_off = name.period.window(self.family).cut_off;
        let view = self.hierarchy.unit(name.unit, cut_off);
        let receipt = obligation.receipt.filter(|receipt| receipt.time <= self.at);
        let late = obligation.working_days_late(self.at, self.calendar);
        pb::Obligation {
            name: name.to_string(),
            unit: name.unit.to_string(),
            unit_display_name: view
                .map_or_else(String::new, |view| view.version.display_name.clone()),
            unit_code: obligation.unit_code.clone(),
            regime: name.regime.to_string(),
            period: name.period.to_string(),
            due_time: obligation.due.map(field::pb_time),
            due_generation: obligation.due_generation,
            standing: pb::Standing::from(obligation.standing(self.at)).into(),
            receive_time: receipt.map(|receipt| field::pb_time(receipt.time)),
            report: receipt.map_or_else(String::new, |receipt| {
                format!("{}/reports/{}", name.unit, receipt.report)
            }),
            working_days_late: late.cast_signed(),
        }
    }

    pub(crate) fn rate(
        &self,
        rate: &Rate,
        scope: UnitId,
        regime: &RegimeId,
        period: Period,
    ) -> pb::ReportingRate {
        pb::ReportingRate {
            scope: scope.to_string(),
            regime: regime.to_string(),
            period: period.to_string(),
            read_time: Some(field::pb_time(self.at)),
            expected_reports: count(rate.expected()),
            actual_reports: count(rate.actual()),
            actual_reports_on_time: count(rate.on_time),
            late_reports: count(rate.late),
            missing_reports: count(rate.missing),
            open_reports: count(rate.open),
            waived_reports: count(rate.waived),
            no_due_time_reports: count(rate.no_due_time),
            reporting_rate: rate.reporting_rate().map(field::pb_decimal),
            reporting_rate_on_time: rate.reporting_rate_on_time().map(field::pb_decimal),
            exceptions: rate.exceptions.iter().map(|o| self.obligation(o)).collect(),
            hierarchy_version: self.hierarchy.version().cast_signed(),
        }
    }

    pub(crate) fn explanation(
        &self,
        grounds: &Grounds<'_>,
        hierarchy_version: u64,
    ) -> pb::Explanation {
        let window = grounds.regime.window(grounds.obligation.name.period);
        let skipped = grounds.skipped_days();
        let told = grounds.notices.iter().filter(|(notice, _)| notice.detect_time <= self.at);
        pb::Explanation {
            obligation: Some(self.obligation(grounds.obligation)),
            read_time: Some(field::pb_time(self.at)),
            regime: Some(grounds.regime.into()),
            window_start_date: Some(field::pb_date(window.first)),
            cut_off_date: Some(field::pb_date(window.cut_off)),
            due_date: grounds.obligation.due_date().map(field::pb_date),
            skipped_days: skipped
                .iter()
                .map(|(date, day)| pb::SkippedDay {
                    date: Some(field::pb_date(*date)),
                    why: wording::day_off(*date, day),
                    estimated: day.certainty == Certainty::Estimated,
                })
                .collect(),
            calendar_version: self.calendar.version().to_owned(),
            hierarchy_version: hierarchy_version.cast_signed(),
            unit_uncertain: grounds.unit_uncertain,
            notices: told.map(|(notice, _)| notice.into()).collect(),
            waiver: grounds.waiver_then().map(|waiver| pb::Waiver {
                decision: waiver.decision.clone(),
                reason: waiver.reason.clone(),
                author: waiver.author.clone(),
                create_time: Some(field::pb_time(waiver.create_time)),
            }),
            text: grounds.text(),
            owed_because: grounds.owed_because(),
        }
    }

    pub(crate) fn dossier(&self, dossier: &Dossier) -> pb::Dossier {
        let outcome = |basis| pb_outcome(dossier.outcome(basis, self.at)).into();
        let known =
            |basis| dossier.completion(basis).filter(|time| *time <= self.at).map(field::pb_time);
        let late = dossier.working_days_late(self.at, self.calendar);
        pb::Dossier {
            name: dossier.name.to_string(),
            field: dossier.field.clone(),
            channel: match dossier.channel {
                Channel::Online => pb::dossier::Channel::Online,
                Channel::DirectOrPostal => pb::dossier::Channel::DirectOrPostal,
            }
            .into(),
            receive_time: Some(field::pb_time(dossier.receive_time)),
            term: dossier.term.to_string(),
            due_time: Some(field::pb_time(dossier.due.time)),
            complete_time: known(Basis::InFact),
            record_time: known(Basis::Recorded),
            outcome: outcome(Basis::Recorded),
            outcome_in_fact: outcome(Basis::InFact),
            working_days_late: late.cast_signed(),
            due_date: Some(field::pb_date(dossier.due_date())),
        }
    }
}

/// A text of so many characters at most, however many bytes each takes.
fn characters(name: &str, value: &str, most: usize) -> Result<String, Status> {
    let value = field::text(name, value, usize::MAX)?;
    if value.chars().count() > most {
        return Err(bad_field(name, format!("must not be longer than {most} characters")));
    }
    Ok(value)
}

/// A waiver by `author` at `now`.
pub(crate) fn waiver(
    request: &pb::WaiveObligationRequest,
    author: &str,
    now: DateTime<Utc>,
) -> Result<Waiver, Status> {
    Ok(Waiver {
        decision: characters("decision", &request.decision, 200)?,
        reason: characters("reason", &request.reason, 2000)?,
        author: author.to_owned(),
        create_time: now,
    })
}

impl From<&Notice> for pb::Notice {
    fn from(notice: &Notice) -> Self {
        let (kind, regime, period) = match &notice.topic {
            Topic::MissingReports { regime, period } => {
                (pb::notice::Kind::MissingReports, regime.to_string(), period.to_string())
            }
            Topic::OverdueDossiers => {
                (pb::notice::Kind::OverdueDossiers, String::new(), String::new())
            }
        };
        Self {
            name: format!("{}/notices/{}", notice.recipient, notice.id),
            recipient: notice.recipient.to_string(),
            kind: kind.into(),
            rung: notice.rung.clone(),
            regime,
            period,
            subjects: notice.subjects.clone(),
            detect_time: Some(field::pb_time(notice.detect_time)),
            text: notice.text.clone(),
        }
    }
}

fn pb_outcome(outcome: Outcome) -> pb::dossier::Outcome {
    match outcome {
        Outcome::InTime => pb::dossier::Outcome::InTime,
        Outcome::PendingOverdue => pb::dossier::Outcome::PendingOverdue,
        Outcome::Resolved(Completion::Early) => pb::dossier::Outcome::Early,
        Outcome::Resolved(Completion::OnTime) => pb::dossier::Outcome::OnTime,
        Outcome::Resolved(Completion::Overdue) => pb::dossier::Outcome::Overdue,
    }
}

/// Whether a text can be the name of a field (lĩnh vực).
pub(crate) fn is_field(text: &str) -> bool {
    (1..=200).contains(&text.chars().count()) && !text.contains('\0')
}

/// Problems of one answer: what is above would not fit into the message that a client takes.
const MOST_PROBLEMS: usize = 20_000;
const MOST_PROBLEM_BYTES: usize = 3 << 20;

/// As many problems as fit into an answer, and then how many more there are.
pub(crate) fn fitting(mut problems: Vec<pb::DossierRowProblem>) -> Vec<pb::DossierRowProblem> {
    let mut bytes = 0;
    let fits = problems.iter().take(MOST_PROBLEMS).take_while(|problem| {
        bytes += problem.encoded_len() + 8;
        bytes <= MOST_PROBLEM_BYTES
    });
    let fits = fits.count();
    let more = problems.len() - fits;
    problems.truncate(fits);
    if more > 0 {
        problems.push(pb::DossierRowProblem {
            reason: ErrorReason::RowInvalid.into(),
            message: format!("{more} more problems are not listed"),
            ..Default::default()
        });
    }
    problems
}

/// What is wrong with one field of a row.
#[derive(Debug)]
pub(crate) struct RowProblem {
    pub(crate) field: &'static str,
    pub(crate) reason: ErrorReason,
    pub(crate) message: String,
}

fn row_problem(field: &'static str, reason: ErrorReason, why: impl ToString) -> RowProblem {
    RowProblem { field, reason, message: why.to_string() }
}

/// A dossier as a row states it.
///
/// Errors: everything that is wrong with the row, not only the first.
pub(crate) fn dossier(
    unit: UnitId,
    row: &pb::record_dossiers_request::Row,
    now: DateTime<Utc>,
    calendar: &WorkingCalendar,
    office_hours: &OfficeHours,
) -> Result<Dossier, Vec<RowProblem>> {
    use ErrorReason::{RowInvalid, TimeInFuture, TimesReversed};
    let mut problems = Vec::new();
    let empty = pb::Dossier::default();
    let value = row.dossier.as_ref().unwrap_or(&empty);
    let name = DossierName::new(unit, &row.dossier_id)
        .map_err(|e| problems.push(row_problem("dossier_id", RowInvalid, e)));
    let field_of = normal(&value.field);
    if !is_field(&field_of) {
        let why = "must have from 1 to 200 characters, and not U+0000";
        problems.push(row_problem("field", RowInvalid, why));
    }
    let channel = match value.channel() {
        pb::dossier::Channel::Online => Channel::Online,
        pb::dossier::Channel::DirectOrPostal => Channel::DirectOrPostal,
        pb::dossier::Channel::Unspecified => {
            problems.push(row_problem("channel", RowInvalid, "is missing"));
            Channel::Online
        }
    };
    let mut time = |name: &'static str, value: Option<&prost_types::Timestamp>| {
        let read = field::instant(name, value).unwrap_or_else(|e| {
            problems.push(row_problem(name, RowInvalid, e.message()));
            None
        });
        if read.is_some_and(|time| time > now) {
            problems.push(row_problem(name, TimeInFuture, "lies ahead of the server's clock"));
        }
        read
    };
    let received = time("receive_time", value.receive_time.as_ref());
    let completed = time("complete_time", value.complete_time.as_ref());
    let recorded = time("record_time", value.record_time.as_ref());
    if received.is_none() && value.receive_time.is_none() {
        problems.push(row_problem("receive_time", RowInvalid, "is missing"));
    }
    let term = if value.term.len() > MOST_PERIOD_BYTES {
        Err("is no term; a term looks like 3d, 8h or same-day".to_owned())
    } else {
        value.term.parse::<dunghan_calendar::Term>().map_err(|e| e.to_string())
    };
    let term = term.map_err(|e| problems.push(row_problem("term", RowInvalid, e)));
    // A system that records no time of its own for the completion has it done when it is recorded.
    let complete_time = completed.or(recorded);
    if let (Some(received), Some(completed)) = (received, complete_time)
        && completed < received
    {
        problems.push(row_problem("complete_time", TimesReversed, "lies before receive_time"));
    }
    if let (Some(completed), Some(recorded)) = (completed, recorded)
        && recorded < completed
    {
        problems.push(row_problem("record_time", TimesReversed, "lies before complete_time"));
    }
    match (name, term, received) {
        (Ok(name), Ok(term), Some(receive_time)) if problems.is_empty() => Ok(Dossier {
            name,
            field: field_of,
            channel,
            receive_time,
            term,
            due: term.due(receive_time, calendar, office_hours),
            resolution: complete_time
                .map(|complete_time| Resolution { complete_time, record_time: recorded }),
        }),
        _ => Err(problems),
    }
}

/// The form's rows.
pub(crate) fn summary(
    unit: UnitId,
    period: Period,
    recorded: &Summary,
    in_fact: &Summary,
) -> pb::DossierSummary {
    let rows = |summary: &Summary| {
        summary.rows.iter().map(|(field, counts)| summary_row(field, counts)).collect()
    };
    let total = |summary: &Summary| Some(summary_row("Tổng số", &summary.total));
    pb::DossierSummary {
        unit: unit.to_string(),
        period: period.to_string(),
        recorded_rows: rows(recorded),
        recorded_total: total(recorded),
        in_fact_rows: rows(in_fact),
        in_fact_total: total(in_fact),
    }
}

fn summary_row(field: &str, counts: &Counts) -> pb::SummaryRow {
    pb::SummaryRow {
        field: field.to_owned(),
        to_process: counts.to_process().cast_signed(),
        received_online: counts.received_online.cast_signed(),
        received_direct_or_postal: counts.received_direct_or_postal.cast_signed(),
        carried_over: counts.carried_over.cast_signed(),
        resolved: counts.resolved().cast_signed(),
        resolved_early: counts.early.cast_signed(),
        resolved_on_time: counts.on_time.cast_signed(),
        resolved_overdue: counts.overdue.cast_signed(),
        pending: counts.pending().cast_signed(),
        pending_in_time: counts.pending_in_time.cast_signed(),
        pending_overdue: counts.pending_overdue.cast_signed(),
    }
}

/// A count as the contract has it; more than it can hold is not a count of anything here.
pub(crate) fn count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_named_a_thousand_times_is_one_condition() {
        let missing = pb::Standing::Missing.into();
        assert_eq!(standings(&[missing; 1000]).unwrap(), [Standing::Missing]);
    }

    #[test]
    fn a_long_text_is_no_period_and_is_not_repeated() {
        let refused = period("period", &"9".repeat(1_000_000)).unwrap_err();
        assert!(refused.message().len() < 200);
    }

    #[test]
    fn a_field_has_one_name_however_its_letters_are_encoded() {
        assert_eq!(normal(" Ho\u{323}\u{302} ti\u{323}ch"), "Hộ tịch");
    }

    #[test]
    fn problems_fit_into_an_answer_and_the_rest_is_counted() {
        for (rows, bytes, told) in [(3, 10, 3), (20_001, 10, 20_001), (2, 2 << 20, 2)] {
            let problem = |row| pb::DossierRowProblem {
                row,
                message: "x".repeat(bytes),
                ..Default::default()
            };
            let listed = fitting((1..=rows).map(problem).collect());
            assert_eq!(listed.len(), told);
            let size: usize = listed.iter().map(prost::Message::encoded_len).sum();
            assert!(size < 4 << 20, "{rows} of {bytes} bytes: {size}");
            let last = &listed[listed.len() - 1];
            assert_eq!(last.row == 0, rows > 3 || bytes > 10, "{}", last.row);
        }
    }
}

//! pb ⇄ domain: regimes.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use dunghan_calendar::{DayOffPolicy, DueMonth, DueRule, Family, Frequency, zone};
use dunghan_hierarchy::{Kind, Level, UnitId};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::ErrorReason;
use dunghan_rpc::{bad_field_for, field};
use tonic::Status;

use super::{characters, given, period, unit};
use crate::domain::regime::{
    Debtors, DueRules, FamilyDue, Receiver, Regime, ReportKind, RuleFamily, Schedule, SendingMeans,
    Stated, Tier,
};

/// The most bytes of a name.
const NAME: usize = 500;
/// The word for whoever stands directly above.
const PARENT: &str = "parent";

fn invalid(name: &str, why: impl ToString) -> Status {
    bad_field_for(ErrorReason::InvalidRegime, name, why)
}

/// A text of one line that may not be longer than `most` bytes.
fn line(name: &str, value: &str, most: usize) -> Result<String, Status> {
    one_line(name, field::text(name, value, most)?)
}

/// Refuses what would begin a line, or do worse, wherever it is printed.
fn one_line(name: &str, value: String) -> Result<String, Status> {
    if value.chars().any(char::is_control) {
        return Err(invalid(name, "must be one line"));
    }
    Ok(value)
}

/// The regime of a CreateRegime; whether its parts agree, and what its family adds, is the domain's to say.
pub(crate) fn stated(value: &pb::Regime, now: DateTime<Utc>) -> Result<Stated, Status> {
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
    let tell_from = field::date("regime.tell_from_date", value.tell_from_date.as_ref())?;
    let debtors = value.debtors.as_ref();
    let window = match pb::WindowFamily::try_from(value.window_family) {
        Ok(pb::WindowFamily::Unspecified) => None,
        Ok(pb::WindowFamily::Nd09) => Some(Family::Nd09),
        Ok(pb::WindowFamily::Calendar) => Some(Family::Calendar),
        Err(_) => return Err(invalid("regime.window_family", "is none that is known")),
    };
    let regime = Regime {
        id: given("regime.name", &value.name)?.parse().map_err(|e| invalid("regime.name", e))?,
        display_name: line("regime.display_name", &value.display_name, NAME)?,
        legal_basis: line("regime.legal_basis", &value.legal_basis, 4 * NAME)?,
        illustrative: value.illustrative,
        schedule,
        family: Family::default(),
        cut_off_as_declared: value.cut_off_as_declared,
        day_off: if value.move_due_date_off_days_off {
            DayOffPolicy::NextWorkingDay
        } else {
            DayOffPolicy::Keep
        },
        debtors: read_debtors(field::required("regime.debtors", debtors)?)?,
        from: field::required("regime.from_date", from)?,
        through: field::date("regime.through_date", value.through_date.as_ref())?,
        create_time: now,
        tiers: tiers(value)?,
        kind: match pb::ReportKind::try_from(value.report_kind) {
            Ok(pb::ReportKind::Unspecified | pb::ReportKind::Periodic) => ReportKind::Periodic,
            Ok(pb::ReportKind::Thematic) => ReportKind::Thematic,
            Ok(pb::ReportKind::AdHoc) => ReportKind::AdHoc,
            Err(_) => return Err(invalid("regime.report_kind", "is none that is known")),
        },
        means: sending_means(&value.sending_means)?,
        grace: match value.grace_working_days {
            0..=30 => value.grace_working_days.unsigned_abs() as u16,
            _ => return Err(invalid("regime.grace_working_days", "must be from 0 to 30")),
        },
        review_levels: match value.review_levels {
            0..=2 => value.review_levels.unsigned_abs() as u8,
            _ => return Err(invalid("regime.review_levels", "must be from 0 to 2")),
        },
        rule_family: Some(value.family.clone()).filter(|family| !family.is_empty()),
        amends: match value.amends.as_str() {
            "" => None,
            name => Some(name.parse().map_err(|e| invalid("regime.amends", e))?),
        },
        tell_from: tell_from.unwrap_or_else(|| zone::civil_date(now)),
        early_due_reason: match value.early_due_reason.as_str() {
            "" => None,
            reason => Some(characters("regime.early_due_reason", reason, NAME)?),
        },
        overlaps: Vec::new(),
    };
    Ok(Stated { regime, window })
}

fn sending_means(values: &[i32]) -> Result<Vec<SendingMeans>, Status> {
    let mut all = Vec::new();
    for (at, value) in values.iter().enumerate() {
        let field = format!("regime.sending_means[{at}]");
        let means = match pb::SendingMeans::try_from(*value) {
            Ok(pb::SendingMeans::ReportingSystem) => SendingMeans::ReportingSystem,
            Ok(pb::SendingMeans::ElectronicDocument) => SendingMeans::ElectronicDocument,
            Ok(pb::SendingMeans::Email) => SendingMeans::Email,
            Ok(pb::SendingMeans::Post) => SendingMeans::Post,
            Ok(pb::SendingMeans::Hand) => SendingMeans::Hand,
            Ok(pb::SendingMeans::Fax) => SendingMeans::Fax,
            Ok(pb::SendingMeans::Unspecified) | Err(_) => {
                return Err(invalid(&field, "is none that is known"));
            }
        };
        if all.contains(&means) {
            return Err(invalid(&field, "stands there already"));
        }
        all.push(means);
    }
    Ok(all)
}

/// Whoever is named by exactly one of the fields.
fn receiver(of: &str, unit_name: &str, level: &str, agency: &str) -> Result<Receiver, Status> {
    match (unit_name, level, agency) {
        (name, "", "") if !name.is_empty() => {
            unit(&format!("{of}.receiving_unit"), name).map(Receiver::Unit)
        }
        ("", PARENT, "") => Ok(Receiver::Parent),
        ("", level, "") if !level.is_empty() => {
            let field = format!("{of}.receiving_level");
            level.parse().map(Receiver::Above).map_err(|e| invalid(&field, e))
        }
        ("", "", agency) if !agency.is_empty() => {
            let name = format!("{of}.receiving_agency");
            one_line(&name, characters(&name, agency, NAME)?).map(Receiver::Agency)
        }
        ("", "", "") => field::required(&format!("{of}.receiving_unit"), None),
        _ => Err(invalid(
            &format!("{of}.receiving_unit"),
            "must be the only one to name who receives",
        )),
    }
}

fn tiers(value: &pb::Regime) -> Result<Vec<Tier>, Status> {
    use pb::level_due_rule::DueRule as OfLevel;
    use pb::onward_tier::DueRule as OfTier;
    let form_name = form("regime.form", &value.form)?;
    let mut by_level = Vec::new();
    for (at, own) in value.level_due_rules.iter().enumerate() {
        let field = format!("regime.level_due_rules[{at}]");
        let level: Level = own.level.parse().map_err(|e| invalid(&format!("{field}.level"), e))?;
        let rule = match field::required(&format!("{field}.due_rule"), own.due_rule.as_ref())? {
            OfLevel::WorkingDaysAfterCutOff(days) => working_days(&field, *days)?,
            OfLevel::DayOfMonth(day) => day_of_month(&field, day)?,
        };
        if by_level.iter().any(|(named, _)| *named == level) {
            return Err(invalid(&format!("{field}.level"), "has a rule already"));
        }
        by_level.push((level, rule));
    }
    let otherwise = value.due_rule.as_ref().map(due_rule).transpose()?;
    let mut tiers = vec![Tier {
        receiver: receiver("regime", &value.receiving_unit, &value.receiving_level, "")?,
        due: DueRules { by_level, otherwise },
        form: form_name.clone(),
    }];
    if value.onward_tiers.len() > 3 {
        return Err(invalid("regime.onward_tiers", "must not be more than 3"));
    }
    for (at, tier) in value.onward_tiers.iter().enumerate() {
        let of = format!("regime.onward_tiers[{at}]");
        let rule = match tier.due_rule.as_ref() {
            None => None,
            Some(OfTier::WorkingDaysAfterCutOff(days)) => Some(working_days(&of, *days)?),
            Some(OfTier::DayOfMonth(day)) => Some(day_of_month(&of, day)?),
        };
        tiers.push(Tier {
            receiver: receiver(
                &of,
                &tier.receiving_unit,
                &tier.receiving_level,
                &tier.receiving_agency,
            )?,
            due: DueRules::same(rule),
            form: match tier.form.as_str() {
                "" => form_name.clone(),
                name => form(&format!("{of}.form"), name)?,
            },
        });
    }
    Ok(tiers)
}

fn working_days(of: &str, days: i32) -> Result<DueRule, Status> {
    match u16::try_from(days) {
        // Decree 09/2019/NĐ-CP, article 8(5)(b); a term of more than a year is a mistake.
        Ok(days @ 1..=250) => Ok(DueRule::WorkingDaysAfterCutOff(days)),
        _ => Err(invalid(&format!("{of}.working_days_after_cut_off"), "must be from 1 to 250")),
    }
}

fn day_of_month(of: &str, day: &pb::DayOfMonth) -> Result<DueRule, Status> {
    let month = match day.month {
        0 => Ok(DueMonth::Last),
        month => u8::try_from(month)
            .map_err(|_| "must be from 0 to 12".to_owned())
            .and_then(|month| DueMonth::number(month).map_err(|e| e.to_string())),
    };
    let month = month.map_err(|e| invalid(&format!("{of}.day_of_month.month"), e))?;
    u8::try_from(day.day)
        .map_err(|_| "must be from 1 to 31".to_owned())
        .and_then(|day| DueRule::day_of_month(day, month).map_err(|e| e.to_string()))
        .map_err(|e| invalid(&format!("{of}.day_of_month.day"), e))
}

fn form(field: &str, name: &str) -> Result<String, Status> {
    match given(field, name)?.strip_prefix("forms/") {
        Some(id) if !id.is_empty() && id.len() <= 63 => Ok(name.to_owned()),
        _ => Err(invalid(field, "must be forms/{form}")),
    }
}

fn due_rule(rule: &pb::regime::DueRule) -> Result<DueRule, Status> {
    match rule {
        pb::regime::DueRule::WorkingDaysAfterCutOff(days) => working_days("regime", *days),
        pb::regime::DueRule::DayOfMonth(day) => day_of_month("regime", day),
        pb::regime::DueRule::DueDate(date) => {
            let date = field::date("regime.due_date", Some(date))?;
            field::required("regime.due_date", date).map(DueRule::On)
        }
    }
}

fn units(field: &str, names: &[String]) -> Result<Vec<UnitId>, Status> {
    let mut units = names.iter().map(|name| unit(field, name)).collect::<Result<Vec<_>, _>>()?;
    let mut seen = HashSet::new();
    units.retain(|unit| seen.insert(*unit));
    Ok(units)
}

fn read_debtors(value: &pb::Debtors) -> Result<Debtors, Status> {
    let levels = value
        .levels
        .iter()
        .map(|level| level.parse::<Level>().map_err(|e| invalid("regime.debtors.levels", e)));
    let levels = levels.collect::<Result<Vec<_>, _>>()?;
    let kinds = value
        .kinds
        .iter()
        .map(|kind| kind.parse::<Kind>().map_err(|e| invalid("regime.debtors.kinds", e)));
    let kinds = kinds.collect::<Result<Vec<_>, _>>()?;
    let except = units("regime.debtors.except_subtrees", &value.except_subtrees)?;
    let named = units("regime.debtors.units", &value.units)?;
    if !named.is_empty() {
        let rest = [
            ("subtree", value.subtree.is_empty()),
            ("levels", levels.is_empty()),
            ("kinds", kinds.is_empty()),
            ("except_subtrees", except.is_empty()),
        ];
        return match rest.into_iter().find(|(_, empty)| !empty) {
            None => Ok(Debtors::Units(named)),
            Some((field, _)) => {
                let field = format!("regime.debtors.{field}");
                Err(invalid(&field, "must not stand beside units that are named one by one"))
            }
        };
    }
    if value.subtree.is_empty() {
        return Ok(Debtors::Everywhere { levels, kinds, except });
    }
    let root = unit("regime.debtors.subtree", &value.subtree)?;
    Ok(Debtors::Subtree { root, levels, kinds, except })
}

fn pb_day(day: u8, month: DueMonth) -> pb::DayOfMonth {
    let month = match month {
        DueMonth::Last => 0,
        DueMonth::Number(month) => month.into(),
    };
    pb::DayOfMonth { day: day.into(), month }
}

fn names(units: &[UnitId]) -> Vec<String> {
    units.iter().map(UnitId::to_string).collect()
}

fn pb_debtors(debtors: &Debtors) -> pb::Debtors {
    let (levels, kinds, except) = match debtors {
        Debtors::Units(units) => return pb::Debtors { units: names(units), ..Default::default() },
        Debtors::Subtree { levels, kinds, except, .. }
        | Debtors::Everywhere { levels, kinds, except } => (levels, kinds, except),
    };
    pb::Debtors {
        subtree: match debtors {
            Debtors::Subtree { root, .. } => root.to_string(),
            _ => String::new(),
        },
        levels: levels.iter().map(Level::to_string).collect(),
        kinds: kinds.iter().map(Kind::to_string).collect(),
        except_subtrees: names(except),
        units: Vec::new(),
    }
}

/// As the three fields of the contract: unit, level, agency.
fn pb_receiver(receiver: &Receiver) -> (String, String, String) {
    let none = String::new;
    match receiver {
        Receiver::Unit(unit) => (unit.to_string(), none(), none()),
        Receiver::Above(level) => (none(), level.to_string(), none()),
        Receiver::Parent => (none(), PARENT.to_owned(), none()),
        Receiver::Agency(agency) => (none(), none(), agency.clone()),
    }
}

fn pb_means(means: SendingMeans) -> pb::SendingMeans {
    match means {
        SendingMeans::ReportingSystem => pb::SendingMeans::ReportingSystem,
        SendingMeans::ElectronicDocument => pb::SendingMeans::ElectronicDocument,
        SendingMeans::Email => pb::SendingMeans::Email,
        SendingMeans::Post => pb::SendingMeans::Post,
        SendingMeans::Hand => pb::SendingMeans::Hand,
        SendingMeans::Fax => pb::SendingMeans::Fax,
    }
}

fn pb_frequency(frequency: Frequency) -> pb::Frequency {
    match frequency {
        Frequency::Month => pb::Frequency::Month,
        Frequency::Quarter => pb::Frequency::Quarter,
        Frequency::SixMonths => pb::Frequency::SixMonths,
        Frequency::NineMonths => pb::Frequency::NineMonths,
        Frequency::Year => pb::Frequency::Year,
        Frequency::Interval => pb::Frequency::Once,
    }
}

fn pb_window(family: Family) -> pb::WindowFamily {
    match family {
        Family::Nd09 => pb::WindowFamily::Nd09,
        Family::Calendar => pb::WindowFamily::Calendar,
    }
}

impl From<&Regime> for pb::Regime {
    fn from(regime: &Regime) -> Self {
        let (frequency, once_period) = match regime.schedule {
            Schedule::Once(once) => (pb::Frequency::Once, once.to_string()),
            Schedule::Every(frequency) => (pb_frequency(frequency), String::new()),
        };
        let first = regime.tiers.first();
        let (receiving_unit, receiving_level, _) =
            first.map(|tier| pb_receiver(&tier.receiver)).unwrap_or_default();
        let form = first.map_or_else(String::new, |tier| tier.form.clone());
        let due = first.map(|tier| tier.due.clone()).unwrap_or_default();
        Self {
            name: regime.id.to_string(),
            display_name: regime.display_name.clone(),
            legal_basis: regime.legal_basis.clone(),
            illustrative: regime.illustrative,
            receiving_unit,
            receiving_level,
            frequency: frequency.into(),
            once_period,
            window_family: pb_window(regime.family).into(),
            cut_off_as_declared: regime.cut_off_as_declared,
            due_rule: due.otherwise.map(|rule| match rule {
                DueRule::WorkingDaysAfterCutOff(days) => {
                    pb::regime::DueRule::WorkingDaysAfterCutOff(days.into())
                }
                DueRule::DayOfMonth { day, month } => {
                    pb::regime::DueRule::DayOfMonth(pb_day(day, month))
                }
                DueRule::On(date) => pb::regime::DueRule::DueDate(field::pb_date(date)),
            }),
            level_due_rules: due
                .by_level
                .iter()
                .map(|(level, rule)| pb_level_rule(*level, *rule))
                .collect(),
            onward_tiers: regime.tiers.iter().skip(1).map(|tier| pb_tier(tier, &form)).collect(),
            report_kind: match regime.kind {
                ReportKind::Periodic => pb::ReportKind::Periodic,
                ReportKind::Thematic => pb::ReportKind::Thematic,
                ReportKind::AdHoc => pb::ReportKind::AdHoc,
            }
            .into(),
            sending_means: regime.means.iter().map(|means| pb_means(*means).into()).collect(),
            grace_working_days: regime.grace.into(),
            review_levels: regime.review_levels.into(),
            family: regime.rule_family.clone().unwrap_or_default(),
            amends: regime.amends.as_ref().map_or_else(String::new, ToString::to_string),
            tell_from_date: Some(field::pb_date(regime.tell_from)),
            early_due_reason: regime.early_due_reason.clone().unwrap_or_default(),
            overlaps: regime
                .overlaps
                .iter()
                .map(|overlap| pb::RegimeOverlap {
                    regime: overlap.regime.to_string(),
                    indicators: overlap.indicators.clone(),
                    unit_count: overlap.units.cast_signed(),
                })
                .collect(),
            form,
            move_due_date_off_days_off: regime.day_off == DayOffPolicy::NextWorkingDay,
            debtors: Some(pb_debtors(&regime.debtors)),
            from_date: Some(field::pb_date(regime.from)),
            through_date: regime.through.map(field::pb_date),
            create_time: Some(field::pb_time(regime.create_time)),
        }
    }
}

fn pb_level_rule(level: Level, rule: DueRule) -> pb::LevelDueRule {
    use pb::level_due_rule::DueRule as Of;
    let due_rule = match rule {
        DueRule::WorkingDaysAfterCutOff(days) => Some(Of::WorkingDaysAfterCutOff(days.into())),
        DueRule::DayOfMonth { day, month } => Some(Of::DayOfMonth(pb_day(day, month))),
        DueRule::On(_) => None,
    };
    pb::LevelDueRule { level: level.to_string(), due_rule }
}

fn pb_tier(tier: &Tier, form: &str) -> pb::OnwardTier {
    use pb::onward_tier::DueRule as Of;
    let (receiving_unit, receiving_level, receiving_agency) = pb_receiver(&tier.receiver);
    let due_rule = match tier.due.otherwise {
        Some(DueRule::WorkingDaysAfterCutOff(days)) => {
            Some(Of::WorkingDaysAfterCutOff(days.into()))
        }
        Some(DueRule::DayOfMonth { day, month }) => Some(Of::DayOfMonth(pb_day(day, month))),
        Some(DueRule::On(_)) | None => None,
    };
    let form = if tier.form == form { String::new() } else { tier.form.clone() };
    pb::OnwardTier { receiving_unit, receiving_level, receiving_agency, due_rule, form }
}

impl From<&RuleFamily> for pb::RegimeFamily {
    fn from(family: &RuleFamily) -> Self {
        Self {
            family: family.id.clone(),
            legal_basis: family.legal_basis.clone(),
            from_date: family.from.map(field::pb_date),
            through_date: family.through.map(field::pb_date),
            window_family: pb_window(family.window).into(),
            cut_off_as_declared: family.cut_off_as_declared,
            due_rules: family.due.iter().map(pb_family_due).collect(),
            note: family.note.clone(),
        }
    }
}

fn pb_family_due(due: &FamilyDue) -> pb::FamilyDueRule {
    use pb::family_due_rule::DueRule as Of;
    pb::FamilyDueRule {
        frequency: pb_frequency(due.frequency).into(),
        tier: due.tier.into(),
        level: due.level.map_or_else(String::new, |level| level.to_string()),
        due_rule: match due.rule {
            DueRule::WorkingDaysAfterCutOff(days) => Some(Of::WorkingDaysAfterCutOff(days.into())),
            DueRule::DayOfMonth { day, month } => Some(Of::DayOfMonth(pb_day(day, month))),
            DueRule::On(_) => None,
        },
    }
}

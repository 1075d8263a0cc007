//! Regimes as a JSON file holds them.

use std::collections::HashSet;

use chrono::NaiveDate;
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::level_due_rule::DueRule as LevelDue;
use dunghan_proto::compliance::onward_tier::DueRule as OnwardDue;
use dunghan_proto::compliance::regime::DueRule;
use dunghan_rpc::field::pb_date;
use serde::Deserialize;
use serde_json::Value;

use super::{UnitRef, json, word};

/// The regimes that come with the program.
const BUNDLED: &str = include_str!("../../data/regimes.json");

/// One regime of a file: as the contract has it, with units as people name them.
#[derive(Clone, Debug)]
pub(crate) struct RegimeFile {
    /// As the contract has it, without the units.
    pub(crate) regime: pb::Regime,
    pub(crate) receiving_unit: Option<UnitRef>,
    pub(crate) debtors: Debtors,
    /// Whoever receives, of each onward tier.
    pub(crate) onward_receiving_units: Vec<Option<UnitRef>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    display_name: String,
    legal_basis: String,
    #[serde(default)]
    illustrative: bool,
    form: String,
    receiving_unit: Option<UnitRef>,
    #[serde(default)]
    receiving_level: String,
    frequency: String,
    #[serde(default)]
    once_period: String,
    window_family: Option<String>,
    #[serde(default)]
    cut_off_as_declared: bool,
    working_days_after_cut_off: Option<i32>,
    day_of_month: Option<RawDay>,
    due_date: Option<NaiveDate>,
    #[serde(default)]
    level_due_rules: Vec<RawLevelDue>,
    #[serde(default)]
    onward_tiers: Vec<RawTier>,
    #[serde(default)]
    move_due_date_off_days_off: bool,
    debtors: Debtors,
    from_date: NaiveDate,
    through_date: Option<NaiveDate>,
    report_kind: Option<String>,
    #[serde(default)]
    sending_means: Vec<String>,
    #[serde(default)]
    grace_working_days: i32,
    #[serde(default)]
    review_levels: i32,
    #[serde(default)]
    family: String,
    amends: Option<String>,
    tell_from_date: Option<NaiveDate>,
    #[serde(default)]
    early_due_reason: String,
    /// For whoever reads the file.
    #[serde(rename = "note")]
    _note: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDay {
    day: i32,
    /// 0: the last month of the period.
    #[serde(default)]
    month: i32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLevelDue {
    level: String,
    working_days_after_cut_off: Option<i32>,
    day_of_month: Option<RawDay>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTier {
    receiving_unit: Option<UnitRef>,
    #[serde(default)]
    receiving_level: String,
    #[serde(default)]
    receiving_agency: String,
    working_days_after_cut_off: Option<i32>,
    day_of_month: Option<RawDay>,
    form: Option<String>,
}

/// Who owes the report.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Debtors {
    pub(crate) subtree: Option<UnitRef>,
    #[serde(default)]
    pub(crate) levels: Vec<String>,
    #[serde(default)]
    pub(crate) kinds: Vec<String>,
    #[serde(default)]
    pub(crate) units: Vec<UnitRef>,
    #[serde(default)]
    pub(crate) except_subtrees: Vec<UnitRef>,
}

/// By when, as a file states it: one of these or nothing.
enum Due {
    WorkingDays(i32),
    Day(pb::DayOfMonth),
    Date(NaiveDate),
}

fn due(
    working_days: Option<i32>,
    day: Option<RawDay>,
    date: Option<NaiveDate>,
) -> Result<Option<Due>, String> {
    let days = working_days.map(Due::WorkingDays);
    let day = day.map(|RawDay { day, month }| Due::Day(pb::DayOfMonth { day, month }));
    let mut all = [days, day, date.map(Due::Date)].into_iter().flatten();
    match (all.next(), all.next()) {
        (rule, None) => Ok(rule),
        _ => Err("has two of working_days_after_cut_off, day_of_month and due_date".to_owned()),
    }
}

fn form(name: &str) -> String {
    if name.is_empty() || name.starts_with("forms/") {
        name.to_owned()
    } else {
        format!("forms/{name}")
    }
}

fn level_due(raw: &RawLevelDue) -> Result<pb::LevelDueRule, String> {
    let rule = due(raw.working_days_after_cut_off, raw.day_of_month, None)?;
    let due_rule = match rule {
        Some(Due::WorkingDays(days)) => Some(LevelDue::WorkingDaysAfterCutOff(days)),
        Some(Due::Day(day)) => Some(LevelDue::DayOfMonth(day)),
        Some(Due::Date(_)) | None => None,
    };
    Ok(pb::LevelDueRule { level: raw.level.clone(), due_rule })
}

fn tier(raw: &RawTier) -> Result<pb::OnwardTier, String> {
    let rule = due(raw.working_days_after_cut_off, raw.day_of_month, None)?;
    Ok(pb::OnwardTier {
        receiving_unit: String::new(),
        receiving_level: raw.receiving_level.clone(),
        receiving_agency: raw.receiving_agency.clone(),
        due_rule: match rule {
            Some(Due::WorkingDays(days)) => Some(OnwardDue::WorkingDaysAfterCutOff(days)),
            Some(Due::Day(day)) => Some(OnwardDue::DayOfMonth(day)),
            Some(Due::Date(_)) | None => None,
        },
        form: raw.form.as_deref().map(form).unwrap_or_default(),
    })
}

/// The value of an enum that a word of the file names; a word that is left out is the enum's zero.
fn named<E: Into<i32>>(
    field: &str,
    prefix: &str,
    text: Option<&str>,
    find: fn(&str) -> Option<E>,
) -> Result<i32, String> {
    let Some(text) = text else { return Ok(0) };
    let found = word(prefix, text, find).map(Into::into);
    found.ok_or_else(|| format!("there is no {field} {text:?}"))
}

/// The regimes of a JSON file, a list, or everything that is wrong with it.
pub(crate) fn regimes(bytes: &[u8]) -> Result<Vec<RegimeFile>, Vec<String>> {
    let values: Vec<Value> = json::document(bytes)?;
    let mut names = HashSet::new();
    json::elements("regimes", values, |raw| {
        let regime = regime(raw)?;
        let name = &regime.regime.name;
        if names.insert(name.clone()) { Ok(regime) } else { Err(format!("{name} stands twice")) }
    })
}

/// The regimes that come with the program.
pub(crate) fn bundled_regimes() -> Result<Vec<RegimeFile>, Vec<String>> {
    regimes(BUNDLED.as_bytes())
}

fn regime(raw: Raw) -> Result<RegimeFile, String> {
    let due_rule = match due(raw.working_days_after_cut_off, raw.day_of_month, raw.due_date)? {
        None => None,
        Some(Due::WorkingDays(days)) => Some(DueRule::WorkingDaysAfterCutOff(days)),
        Some(Due::Day(day)) => Some(DueRule::DayOfMonth(day)),
        Some(Due::Date(date)) => Some(DueRule::DueDate(pb_date(date))),
    };
    let frequency = Some(raw.frequency.as_str());
    let means = raw.sending_means.iter().map(|means| {
        let find = pb::SendingMeans::from_str_name;
        named("sending_means", "SENDING_MEANS_", Some(means), find)
    });
    let level_due_rules = raw
        .level_due_rules
        .iter()
        .enumerate()
        .map(|(at, raw)| level_due(raw).map_err(|why| format!("level_due_rules[{at}] {why}")));
    let onward_tiers = raw.onward_tiers.iter().enumerate();
    let onward_tiers =
        onward_tiers.map(|(at, raw)| tier(raw).map_err(|why| format!("onward_tiers[{at}] {why}")));
    let regime = pb::Regime {
        name: super::regime_name(&raw.name),
        display_name: raw.display_name,
        legal_basis: raw.legal_basis,
        illustrative: raw.illustrative,
        form: form(&raw.form),
        receiving_level: raw.receiving_level,
        frequency: named("frequency", "FREQUENCY_", frequency, pb::Frequency::from_str_name)?,
        once_period: raw.once_period,
        window_family: named(
            "window_family",
            "WINDOW_FAMILY_",
            raw.window_family.as_deref(),
            pb::WindowFamily::from_str_name,
        )?,
        cut_off_as_declared: raw.cut_off_as_declared,
        due_rule,
        level_due_rules: level_due_rules.collect::<Result<_, _>>()?,
        onward_tiers: onward_tiers.collect::<Result<_, _>>()?,
        move_due_date_off_days_off: raw.move_due_date_off_days_off,
        from_date: Some(pb_date(raw.from_date)),
        through_date: raw.through_date.map(pb_date),
        report_kind: named(
            "report_kind",
            "REPORT_KIND_",
            raw.report_kind.as_deref(),
            pb::ReportKind::from_str_name,
        )?,
        sending_means: means.collect::<Result<_, _>>()?,
        grace_working_days: raw.grace_working_days,
        review_levels: raw.review_levels,
        family: raw.family,
        amends: raw.amends.as_deref().map(super::regime_name).unwrap_or_default(),
        tell_from_date: raw.tell_from_date.map(pb_date),
        early_due_reason: raw.early_due_reason,
        ..Default::default()
    };
    Ok(RegimeFile {
        regime,
        receiving_unit: raw.receiving_unit,
        debtors: raw.debtors,
        onward_receiving_units: raw
            .onward_tiers
            .into_iter()
            .map(|tier| tier.receiving_unit)
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"name": "a", "display_name": "A", "legal_basis": "B", "form": "cds-1",
        "receiving_unit": "24", "frequency": "month", "debtors": {"subtree": "24", "levels": ["commune"]},
        "working_days_after_cut_off": 3, "from_date": "2026-05-01"}"#;

    fn read(text: &str) -> Result<Vec<RegimeFile>, Vec<String>> {
        regimes(text.as_bytes())
    }

    #[test]
    fn a_key_that_there_is_not_is_refused_and_every_bad_regime_named() {
        let found = read(&format!("[{GOOD}]")).unwrap();
        assert_eq!(found[0].regime.name, "regimes/a");
        assert_eq!(found[0].regime.due_rule, Some(DueRule::WorkingDaysAfterCutOff(3)));
        // What is left out is the family's to say.
        assert_eq!(found[0].regime.window_family, 0);
        let bad = [
            (GOOD.replace("legal_basis", "basis"), "unknown field `basis`"),
            (GOOD.replace("\"month\"", "\"weekly\""), "there is no frequency \"weekly\""),
            (
                GOOD.replace("\"working", "\"window_family\": \"lunar\", \"working"),
                "there is no window_family \"lunar\"",
            ),
            (
                GOOD.replace("\"working", "\"report_kind\": \"\", \"working"),
                "there is no report_kind \"\"",
            ),
            (
                GOOD.replace("\"working", "\"sending_means\": [\"email\", \"pigeon\"], \"working"),
                "there is no sending_means \"pigeon\"",
            ),
            (
                GOOD.replace("\"working", "\"day_of_month\": {\"day\": 1}, \"working"),
                "has two of working_days_after_cut_off, day_of_month and due_date",
            ),
            (
                GOOD.replace(
                    "\"working",
                    r#""onward_tiers": [{"receiving_agency": "A", "day_of_month": {"day": 1},
                        "working_days_after_cut_off": 2}], "working"#,
                ),
                "onward_tiers[0] has two of",
            ),
            (
                GOOD.replace("\"working", "\"level_due_rules\": [{\"rank\": 1}], \"working"),
                "unknown field `rank`",
            ),
        ];
        let all: Vec<_> = bad.iter().map(|(text, _)| text.as_str()).collect();
        let problems = read(&format!("[{GOOD}, {}]", all.join(", "))).unwrap_err();
        assert_eq!(problems.len(), bad.len(), "{problems:#?}");
        for (place, (problem, (_, why))) in problems.iter().zip(bad).enumerate() {
            let expected = format!("regimes[{}]: {why}", place + 1);
            assert!(problem.starts_with(&expected), "{problem} is not {expected}");
        }
        assert!(read("{}").unwrap_err()[0].contains("line 1"));
        let twice = read(&format!("[{GOOD}, {GOOD}]")).unwrap_err();
        assert_eq!(twice, ["regimes[1]: regimes/a stands twice"]);
    }

    #[test]
    fn everything_that_a_regime_can_state_is_read() {
        let text = r#"[{"name": "regimes/b", "display_name": "B", "legal_basis": "C",
            "illustrative": true, "form": "forms/text-1", "receiving_level": "province",
            "frequency": "once", "once_period": "2026-01-01--2026-03-31",
            "window_family": "calendar", "cut_off_as_declared": true, "due_date": "2026-04-10",
            "level_due_rules": [{"level": "commune", "day_of_month": {"day": 5, "month": 4}}],
            "onward_tiers": [
                {"receiving_unit": "24:2026-03-31", "working_days_after_cut_off": 9},
                {"receiving_agency": "Văn phòng Chính phủ", "form": "cds-1"}],
            "move_due_date_off_days_off": true,
            "debtors": {"levels": ["commune"], "kinds": ["xa", "phuong"], "except_subtrees": ["52"]},
            "from_date": "2026-01-01", "through_date": "2026-12-31", "report_kind": "thematic",
            "sending_means": ["reporting_system", "electronic_document"],
            "grace_working_days": 2, "review_levels": 1, "family": "calendar", "amends": "a",
            "tell_from_date": "2026-02-01", "early_due_reason": "Theo công văn", "note": "x"}]"#;
        let found = read(text).unwrap().remove(0);
        let date = |text: &str| Some(pb_date(text.parse().unwrap()));
        let day = |day, month| pb::DayOfMonth { day, month };
        let expected = pb::Regime {
            name: "regimes/b".to_owned(),
            display_name: "B".to_owned(),
            legal_basis: "C".to_owned(),
            illustrative: true,
            form: "forms/text-1".to_owned(),
            receiving_level: "province".to_owned(),
            frequency: pb::Frequency::Once.into(),
            once_period: "2026-01-01--2026-03-31".to_owned(),
            window_family: pb::WindowFamily::Calendar.into(),
            cut_off_as_declared: true,
            due_rule: date("2026-04-10").map(DueRule::DueDate),
            level_due_rules: vec![pb::LevelDueRule {
                level: "commune".to_owned(),
                due_rule: Some(LevelDue::DayOfMonth(day(5, 4))),
            }],
            onward_tiers: vec![
                pb::OnwardTier {
                    due_rule: Some(OnwardDue::WorkingDaysAfterCutOff(9)),
                    ..Default::default()
                },
                pb::OnwardTier {
                    receiving_agency: "Văn phòng Chính phủ".to_owned(),
                    form: "forms/cds-1".to_owned(),
                    ..Default::default()
                },
            ],
            move_due_date_off_days_off: true,
            from_date: date("2026-01-01"),
            through_date: date("2026-12-31"),
            report_kind: pb::ReportKind::Thematic.into(),
            sending_means: vec![
                pb::SendingMeans::ReportingSystem.into(),
                pb::SendingMeans::ElectronicDocument.into(),
            ],
            grace_working_days: 2,
            review_levels: 1,
            family: "calendar".to_owned(),
            amends: "regimes/a".to_owned(),
            tell_from_date: date("2026-02-01"),
            early_due_reason: "Theo công văn".to_owned(),
            ..Default::default()
        };
        assert_eq!(found.regime, expected);
        assert!(found.receiving_unit.is_none());
        let tiers: Vec<_> = found
            .onward_receiving_units
            .iter()
            .map(|unit| unit.as_ref().map(ToString::to_string))
            .collect();
        assert_eq!(tiers, [Some("24:2026-03-31".to_owned()), None]);
        assert_eq!(found.debtors.kinds, ["xa", "phuong"]);
        assert_eq!(found.debtors.except_subtrees[0].to_string(), "52");
    }

    #[test]
    fn the_regimes_that_come_with_the_program_read_and_leave_the_rest_to_their_families() {
        let all = bundled_regimes().unwrap();
        let names: Vec<_> = all.iter().map(|file| file.regime.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "regimes/ii06a-quy",
                "regimes/ii06a-nam",
                "regimes/cds-quy",
                "regimes/cds-nam",
                "regimes/thanh-tra-quy",
                "regimes/thanh-tra-nam",
            ]
        );
        for file in &all {
            assert!(!file.regime.family.is_empty(), "{}", file.regime.name);
            assert_eq!(file.regime.window_family, 0, "{}", file.regime.name);
        }
    }
}

//! Regimes as a JSON file holds them.

use chrono::NaiveDate;
use dunghan_proto::compliance::regime::DueRule;
use dunghan_proto::compliance::{DayOfMonth, Frequency, WindowFamily};
use serde::Deserialize;
use serde_json::Value;

use super::{UnitRef, json, word};

/// One regime of a file: as the contract has it, with units as people name them.
#[derive(Clone, Debug)]
pub(crate) struct RegimeFile {
    /// As the contract has it, without the units.
    pub(crate) regime: dunghan_proto::compliance::Regime,
    pub(crate) receiving_unit: UnitRef,
    pub(crate) debtors: Debtors,
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
    receiving_unit: UnitRef,
    frequency: String,
    #[serde(default)]
    once_period: String,
    #[serde(default = "nd09")]
    window_family: String,
    #[serde(default)]
    cut_off_as_declared: bool,
    working_days_after_cut_off: Option<i32>,
    day_of_month: Option<RawDay>,
    #[serde(default)]
    move_due_date_off_days_off: bool,
    debtors: Debtors,
    from_date: NaiveDate,
    through_date: Option<NaiveDate>,
}

fn nd09() -> String {
    "nd09".to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDay {
    day: i32,
    /// 0: the last month of the period.
    #[serde(default)]
    month: i32,
}

/// Who owes the report.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Debtors {
    pub(crate) subtree: Option<UnitRef>,
    #[serde(default)]
    pub(crate) levels: Vec<String>,
    #[serde(default)]
    pub(crate) units: Vec<UnitRef>,
}

/// The regimes of a JSON file, a list, or everything that is wrong with it.
pub(crate) fn regimes(bytes: &[u8]) -> Result<Vec<RegimeFile>, Vec<String>> {
    let values: Vec<Value> = json::document(bytes)?;
    json::elements("regimes", values, |raw: Raw| {
        let frequency = word("FREQUENCY_", &raw.frequency, Frequency::from_str_name)
            .ok_or_else(|| format!("there is no frequency {:?}", raw.frequency))?;
        let family = word("WINDOW_FAMILY_", &raw.window_family, WindowFamily::from_str_name)
            .ok_or_else(|| format!("there is no window_family {:?}", raw.window_family))?;
        let due_rule = match (raw.working_days_after_cut_off, raw.day_of_month) {
            (None, None) => None,
            (Some(days), None) => Some(DueRule::WorkingDaysAfterCutOff(days)),
            (None, Some(RawDay { day, month })) => {
                Some(DueRule::DayOfMonth(DayOfMonth { day, month }))
            }
            (Some(_), Some(_)) => {
                return Err("has both working_days_after_cut_off and day_of_month".to_owned());
            }
        };
        let form = raw.form.strip_prefix("forms/").unwrap_or(&raw.form);
        Ok(RegimeFile {
            regime: dunghan_proto::compliance::Regime {
                name: super::regime_name(&raw.name),
                display_name: raw.display_name,
                legal_basis: raw.legal_basis,
                illustrative: raw.illustrative,
                form: format!("forms/{form}"),
                frequency: frequency.into(),
                once_period: raw.once_period,
                window_family: family.into(),
                cut_off_as_declared: raw.cut_off_as_declared,
                due_rule,
                move_due_date_off_days_off: raw.move_due_date_off_days_off,
                from_date: Some(dunghan_rpc::field::pb_date(raw.from_date)),
                through_date: raw.through_date.map(dunghan_rpc::field::pb_date),
                ..Default::default()
            },
            receiving_unit: raw.receiving_unit,
            debtors: raw.debtors,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_there_is_not_is_refused_and_every_bad_regime_named() {
        let good = r#"{"name": "a", "display_name": "A", "legal_basis": "B", "form": "cds-1",
            "receiving_unit": "24", "frequency": "month", "debtors": {"subtree": "24", "levels": ["commune"]},
            "working_days_after_cut_off": 3, "from_date": "2026-05-01"}"#;
        let read = |text: String| regimes(text.as_bytes());
        let found = read(format!("[{good}]")).unwrap();
        assert_eq!(found[0].regime.name, "regimes/a");
        assert_eq!(found[0].regime.due_rule, Some(DueRule::WorkingDaysAfterCutOff(3)));
        let [misspelt, unknown, both] = [
            good.replace("legal_basis", "basis"),
            good.replace("\"month\"", "\"weekly\""),
            good.replace("\"working", "\"day_of_month\": {\"day\": 1}, \"working"),
        ];
        let problems = read(format!("[{good}, {misspelt}, {unknown}, {both}]")).unwrap_err();
        assert_eq!(problems.len(), 3, "{problems:#?}");
        assert!(problems[0].starts_with("regimes[1]: unknown field `basis`"), "{problems:?}");
        assert!(problems[1].contains("weekly"), "{problems:?}");
        assert!(problems[2].starts_with("regimes[3]: has both"), "{problems:?}");
        assert!(read("{}".to_owned()).unwrap_err()[0].contains("line 1"));
    }
}

//! What a regime asks of a report, as far as it concerns taking one in. Due times are compliance's.

use chrono::NaiveDate;
use dunghan_calendar::{Family, Frequency, Period};

use super::report::Asked;

/// How often a report is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recurrence {
    /// Again and again.
    Every(Frequency),
    /// Once.
    Once(Period),
}

/// A rule by which units owe reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regime {
    /// Without `regimes/`.
    pub id: String,
    /// The key of the form.
    pub form: String,
    /// How often.
    pub recurrence: Recurrence,
    /// How periods become dates.
    pub family: Family,
    /// The cut-off is what the report declares.
    pub cut_off_as_declared: bool,
    /// First day in force.
    pub from: NaiveDate,
    /// Last day in force.
    pub through: Option<NaiveDate>,
}

/// Why a report for a period cannot be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAsked {
    /// The regime asks for other periods, or was not in force.
    #[error("is no period for which this regime asks for a report")]
    NotOfRegime,
    /// Its window has not begun.
    #[error("cannot be reported on before {first}, when its window begins")]
    NotOpen {
        /// The first day of the window.
        first: NaiveDate,
    },
}

impl Regime {
    /// What it asks for this period. In force is what counts on the cut-off day; a report can be begun with the window.
    pub fn asks(&self, period: Period, today: NaiveDate) -> Result<Asked, NotAsked> {
        let window = period.window(self.family);
        let recurs = match self.recurrence {
            Recurrence::Every(frequency) => period.frequency() == frequency,
            Recurrence::Once(once) => period == once,
        };
        let in_force = self.from <= window.cut_off
            && self.through.is_none_or(|through| window.cut_off <= through);
        if !recurs || !in_force {
            return Err(NotAsked::NotOfRegime);
        }
        if today < window.first {
            return Err(NotAsked::NotOpen { first: window.first });
        }
        Ok(Asked {
            regime: self.id.clone(),
            period,
            form: self.form.clone(),
            window,
            cut_off_as_declared: self.cut_off_as_declared,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn monthly() -> Regime {
        Regime {
            id: "cds".to_owned(),
            form: "cds-1".to_owned(),
            recurrence: Recurrence::Every(Frequency::Month),
            family: Family::Nd09,
            cut_off_as_declared: false,
            from: date("2026-01-14"),
            through: Some(date("2026-06-14")),
        }
    }

    #[test]
    fn a_regime_asks_for_its_own_periods_while_it_is_in_force() {
        let today = date("2026-11-22");
        for (period, asked) in [
            ("202512", false),
            ("202601", true),
            ("202606", true),
            ("202607", false),
            ("2026Q1", false),
            ("2026", false),
            ("2026-04-15--2026-05-14", false),
        ] {
            let period: Period = period.parse().unwrap();
            assert_eq!(monthly().asks(period, today).is_ok(), asked, "{period}");
        }
        let once: Period = "2023-01-01--2024-05-31".parse().unwrap();
        let from = date("2024-01-01");
        let regime =
            Regime { recurrence: Recurrence::Once(once), from, through: None, ..monthly() };
        let asked = regime.asks(once, today).unwrap();
        assert_eq!(
            (asked.window.first, asked.window.cut_off),
            (date("2023-01-01"), date("2024-05-31"))
        );
        let other = "2023-01-01--2024-05-30".parse().unwrap();
        assert_eq!(regime.asks(other, today), Err(NotAsked::NotOfRegime));
    }

    #[test]
    fn a_report_is_begun_from_the_first_day_of_its_window_on() {
        let may: Period = "202605".parse().unwrap();
        let first = date("2026-04-15");
        assert_eq!(monthly().asks(may, date("2026-04-14")), Err(NotAsked::NotOpen { first }));
        assert!(monthly().asks(may, first).is_ok());
        let calendar = Regime { family: Family::Calendar, ..monthly() };
        let first = date("2026-05-01");
        assert_eq!(calendar.asks(may, date("2026-04-30")), Err(NotAsked::NotOpen { first }));
    }
}

//! What became of a report, as far as adding up needs it.

use std::fmt;
use std::str::FromStr;

use chrono::NaiveDate;
use dunghan_calendar::Period;
use dunghan_hierarchy::UnitId;

/// The resource name of a report: `units/{unit}/reports/{report}`. What stands for `{report}` is submission's business.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReportName {
    unit: UnitId,
    report: String,
}

/// A text that is not the resource name of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be units/{{unit}}/reports/{{report}}")]
pub struct NotAReportName;

impl ReportName {
    /// Whose report it is.
    pub fn unit(&self) -> UnitId {
        self.unit
    }
}

impl fmt::Display for ReportName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/reports/{}", self.unit, self.report)
    }
}

impl FromStr for ReportName {
    type Err = NotAReportName;

    fn from_str(name: &str) -> Result<Self, NotAReportName> {
        let (unit, report) = name.split_once("/reports/").ok_or(NotAReportName)?;
        let unit = unit.parse().map_err(|_| NotAReportName)?;
        if report.is_empty() || report.contains('/') {
            return Err(NotAReportName);
        }
        Ok(Self { unit, report: report.to_owned() })
    }
}

/// What a unit handed over under one regime for one period, or that it took that back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Its name, and with it the unit.
    pub name: ReportName,
    /// The regime's id, without `regimes/`.
    pub regime: String,
    /// For which period.
    pub period: Period,
    /// Grows with everything that happens to the report: of two of it the greater tells how it stands.
    pub sequence: i64,
    /// Its figures as it was handed over last; texts are not among them. None: it was taken back.
    pub figures: Option<Vec<Figure>>,
}

/// Whether a figure says what is, what is wanted, or is there for context only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// What was done or found; the only one that is added up.
    Actual,
    /// What is aimed at.
    Target,
    /// Mentioned in passing.
    Context,
}

impl Role {
    /// The word that stands in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Actual => "actual",
            Self::Target => "target",
            Self::Context => "context",
        }
    }
}

/// One figure. Within a report, indicator, category, role and dates say which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// A key of the form.
    pub indicator: String,
    /// A row of a table; empty outside of tables.
    pub category: String,
    /// What it is there for.
    pub role: Role,
    /// First day that it covers, where the report says so.
    pub start: Option<NaiveDate>,
    /// Last day that it covers, where the report says so.
    pub end: Option<NaiveDate>,
    /// The figure itself.
    pub amount: Amount,
    /// The report says "about" or "more than".
    pub approximate: bool,
}

/// What can be stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// A number of things.
    Count(i64),
    /// A part and its whole.
    Ratio {
        /// The part.
        part: i64,
        /// The whole.
        whole: i64,
    },
    /// A percentage without its parts. Which one does not matter here: it is never added to anything.
    Percent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_named_below_its_unit() {
        let unit = UnitId::new("nso", "09427", None);
        let name: ReportName = format!("{unit}/reports/r1").parse().unwrap();
        assert_eq!((name.unit(), name.to_string()), (unit, format!("{unit}/reports/r1")));
        for bad in [
            String::new(),
            unit.to_string(),
            format!("{unit}/reports/"),
            format!("{unit}/reports/a/b"),
            "units/09427/reports/r1".to_owned(),
        ] {
            assert_eq!(bad.parse::<ReportName>(), Err(NotAReportName), "{bad}");
        }
    }
}

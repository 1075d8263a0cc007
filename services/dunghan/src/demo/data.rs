//! The data files that come with the demonstration. They are in the formats that the commands import.

use dunghan_proto::registry::UnitRow;

use super::ledger::Parameters;
use crate::failure::Failure;
use crate::input::{self, RegimeFile, ReportFile};

const DEPARTMENTS: &str = include_str!("../../data/demo/departments.csv");
const REGIMES: &str = include_str!("../../data/demo/regimes.json");
const DOSSIERS: &str = include_str!("../../data/demo/dossiers.json");
const REPORTS: [(&str, &str); 5] = [
    ("000", include_str!("../../data/demo/reports/000.json")),
    ("001", include_str!("../../data/demo/reports/001.json")),
    ("002", include_str!("../../data/demo/reports/002.json")),
    ("003", include_str!("../../data/demo/reports/003.json")),
    ("004", include_str!("../../data/demo/reports/004.json")),
];

/// The department that receives the monthly reports of a province's communes, and the division that writes the report of
/// a district.
pub(crate) fn departments() -> Result<Vec<UnitRow>, Failure> {
    dunghan_registry::rows_from_csv(DEPARTMENTS.as_bytes(), None, None)
        .map_err(|bad| Failure::Input(bad.lines.iter().map(ToString::to_string).collect()))
}

/// The regimes under which the five reports were owed.
pub(crate) fn regimes() -> Result<Vec<RegimeFile>, Failure> {
    input::regimes(REGIMES.as_bytes()).map_err(Failure::Input)
}

/// The five reports, by the number under which the demonstration shows them.
pub(crate) fn reports() -> Result<Vec<(&'static str, ReportFile)>, Failure> {
    let read = |(seed, text): (&'static str, &str)| Ok((seed, input::report(text.as_bytes())?));
    REPORTS.into_iter().map(read).collect::<Result<_, _>>().map_err(Failure::Input)
}

/// What the ledger of dossiers is made from.
pub(crate) fn dossiers() -> Result<Parameters, Failure> {
    serde_json::from_str(DOSSIERS).map_err(Failure::input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_reads() {
        assert_eq!(departments().unwrap().len(), 2);
        assert_eq!(regimes().unwrap().len(), 5);
        let figures: Vec<_> =
            reports().unwrap().iter().map(|(_, file)| file.report.values.len()).collect();
        assert_eq!(figures, [16, 14, 87, 49, 26]);
        assert_eq!(dossiers().unwrap().fields.len(), 8);
    }
}

//! `dunghan bench`: small, and without a look at the times.

use dunghan_testkit::POSTGRES_VARIABLE;
use serde_json::Value;
use tempfile::TempDir;

use crate::binary::run_in;

const OF_DEADLINES: [(&str, bool); 14] = [
    ("open a month for 55 communes", true),
    ("a unit renamed, 36 months", true),
    ("a unit merged, 36 months", true),
    ("sweep, 2 of 20 fall due", false),
    ("sweep, 2 of 2,000 ÷ of 20", true),
    ("count a period of 500 units, bare", false),
    ("national counts ÷ bare", true),
    ("the same, and list those not on time, bare", false),
    ("national standings ÷ bare", true),
    ("GetReportingRate of the nation", false),
    ("sweep, 20 fall due at once", true),
    ("amend a calendar, 1,980 open", true),
    ("a read meanwhile", false),
    ("the slowest read meanwhile", true),
];

const OF_SUBMITTING: (&str, bool) = ("SubmitReport by 8 at once", false);
const BESIDE_PGBENCH: [(&str, bool); 2] =
    [("pgbench, the same statements", false), ("pgbench ÷ SubmitReport", true)];
const OF_REPORTS: [(&str, bool); 3] = [
    ("GetReport, 100 figures", false),
    ("GetReport ÷ bare SQL behind its layers", true),
    ("check 100 figures by 100 rules", true),
];

/// What was measured, whichever way it came out: a machine that does other things meanwhile is no failure.
fn figures(part: [&str; 3], location: &str) -> Value {
    let folder = TempDir::new().unwrap();
    let [what, among, count] = part;
    let ran = run_in(
        folder.path(),
        &["bench", what, among, count, "--location", location, "--output", "json"],
    );
    let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}"));
    let over = report["figures"].as_array().unwrap().iter().any(|one| one["within"] == false);
    assert_eq!(ran.code, Some(i32::from(over)), "{ran:?}");
    assert_eq!(report[among.trim_start_matches("--")].to_string(), count);
    report
}

fn are_all_there(report: &Value, expected: &[(&str, bool)]) {
    let figures = report["figures"].as_array().unwrap();
    let named = figures.iter().map(|one| {
        assert!(one["value"].as_f64().unwrap() >= 0.0, "{one}");
        assert_eq!(one["within"].is_null(), one["ceiling"].is_null(), "{one}");
        (one["what"].as_str().unwrap(), !one["ceiling"].is_null())
    });
    assert_eq!(named.collect::<Vec<_>>(), expected);
}

fn on_sqlite(part: [&str; 3], expected: &[(&str, bool)]) {
    let within = TempDir::new().unwrap();
    let report = figures(part, &format!("sqlite:{}", within.path().display()));
    assert_eq!(report["engine"], "sqlite");
    are_all_there(&report, expected);
    assert_eq!(std::fs::read_dir(within.path()).unwrap().count(), 0);
}

fn on_postgresql(part: [&str; 3], expected: &[(&str, bool)]) {
    let report = figures(part, &std::env::var(POSTGRES_VARIABLE).unwrap());
    assert_eq!(report["engine"], "postgres");
    are_all_there(&report, expected);
}

const DEADLINES: [&str; 3] = ["compliance", "--obligations", "2000"];
const REPORTS: [&str; 3] = ["submission", "--reports", "160"];

#[test]
fn all_of_deadlines_is_measured_on_sqlite_and_nothing_is_left() {
    on_sqlite(DEADLINES, &OF_DEADLINES);
}

#[test]
fn all_of_deadlines_is_measured_on_postgresql_beside_whatever_is_there() {
    on_postgresql(DEADLINES, &OF_DEADLINES);
}

#[test]
fn all_of_reports_is_measured_on_sqlite_and_nothing_is_left() {
    on_sqlite(REPORTS, &[&[OF_SUBMITTING][..], &OF_REPORTS].concat());
}

/// `pgbench` comes with the server.
#[test]
fn all_of_reports_is_measured_on_postgresql_beside_pgbench() {
    on_postgresql(REPORTS, &[&[OF_SUBMITTING][..], &BESIDE_PGBENCH, &OF_REPORTS].concat());
}

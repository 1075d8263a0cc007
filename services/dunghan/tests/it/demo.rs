//! The demonstration as a whole: every figure that it shows is checked here.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binary::run_in;

fn find<'a>(list: &'a Value, key: &str, value: &str) -> &'a Value {
    let found = list.as_array().unwrap().iter().find(|one| one[key] == value);
    found.unwrap_or_else(|| panic!("no {key} {value} in {list:#}"))
}

#[test]
fn the_demonstration_shows_the_figures_of_the_five_reports() {
    let folder = TempDir::new().unwrap();
    let ran = run_in(folder.path(), &["demo", "--exit", "--output", "json"]);
    let facts = ran.json();

    assert_eq!(
        facts["registry"],
        json!({
            "2025-06-30": {"province": 63, "district": 696, "commune": 10035},
            "2025-07-01": {"province": 34, "district": 0, "commune": 3321},
        })
    );

    let reports = &facts["reports"];
    assert_eq!(reports.as_array().unwrap().len(), 5);
    for (seed, unit, period, timeliness, receive_time, due_time, illustrative) in [
        (
            "000",
            "27787",
            "2024N9",
            "ON_TIME",
            "2024-09-17T09:00:00+07:00",
            json!("2024-09-19T00:00:00+07:00"),
            true,
        ),
        (
            "001",
            "09427",
            "202605",
            "ON_TIME",
            "2026-05-18T16:00:00+07:00",
            json!("2026-05-20T00:00:00+07:00"),
            true,
        ),
        (
            "002",
            "21733",
            "2023-01-01--2024-05-31",
            "NO_DUE_TIME",
            "2024-06-24T15:22:17+07:00",
            Value::Null,
            false,
        ),
        ("003", "11119", "2023", "NO_DUE_TIME", "2023-11-30T16:30:00+07:00", Value::Null, false),
        (
            "004",
            "934",
            "2024S1",
            "ON_TIME",
            "2024-05-20T10:00:00+07:00",
            json!("2024-05-25T00:00:00+07:00"),
            true,
        ),
    ] {
        let report = find(reports, "seed", seed);
        assert_eq!(report["unit_code"], unit, "{report:#}");
        assert_eq!(report["period"], period, "{report:#}");
        assert_eq!(report["state"], "SUBMITTED", "{report:#}");
        assert_eq!(report["timeliness"], timeliness, "{report:#}");
        assert_eq!(report["receive_time"], receive_time, "{report:#}");
        assert_eq!(report["due_time"], due_time, "{report:#}");
        assert_eq!(report["illustrative"], illustrative, "{report:#}");
        for severity in ["error", "warning", "info"] {
            assert!(report["findings"][severity].is_u64(), "{report:#}");
        }
    }

    let about = |seed: &str, indicator: &str| {
        let own = facts["findings"].as_array().unwrap().iter();
        let mut own = own.filter(|one| one["seed"] == seed && one["indicator"] == indicator);
        own.find(|one| !one["discrepancy"].is_null()).cloned().unwrap_or_default()
    };
    let wrong = about("004", "documents_issued_digitally_signed");
    assert_eq!((&wrong["discrepancy"], &wrong["severity"]), (&json!("WRONG"), &json!("ERROR")));
    let truncated = about("001", "dossiers_received_online");
    assert_eq!(
        (&truncated["discrepancy"], &truncated["severity"]),
        (&json!("TRUNCATED"), &json!("INFO"))
    );
    let complement = about("001", "dossiers_received_direct");
    assert_eq!(complement["discrepancy"], "COMPLEMENT_ADJUSTED");

    let standings = &facts["standings"];
    assert_eq!(standings.as_array().unwrap().len(), 5);
    // Expected, actual, on time, late, missing, open, waived.
    for (scope, period, at, figures) in [
        ("298", "2023", "2023-12-15T08:00:00+07:00", [1, 1, 1, 0, 0, 0, 0]),
        ("93", "2024S1", "2024-05-27T08:00:00+07:00", [8, 1, 1, 0, 7, 0, 0]),
        ("545", "2023-01-01--2024-05-31", "2024-06-25T08:00:00+07:00", [1, 1, 1, 0, 0, 0, 0]),
        ("795", "2024N9", "2024-09-19T08:00:00+07:00", [1, 1, 1, 0, 0, 0, 0]),
        ("24", "202605", "2026-05-20T08:00:00+07:00", [99, 1, 1, 0, 98, 0, 0]),
    ] {
        let standing = find(standings, "scope", scope);
        assert_eq!((&standing["period"], &standing["at"]), (&json!(period), &json!(at)));
        let found = ["expected", "actual", "on_time", "late", "missing", "open", "waived"]
            .map(|key| standing[key].as_i64().unwrap());
        assert_eq!(found, figures, "{scope}");
        assert_eq!(standing["missing_units"].as_array().unwrap().len() as i64, figures[4]);
    }

    let form = &facts["form_ii06a"];
    assert_eq!((&form["equals_report"], &form["compared_cells"]), (&json!(true), &json!(72)));
    // (3), (7), (8), (9), (10), (11), (12), (13); and (8), (9), (10) in fact.
    let rows = [
        ("Bảo Trợ Xã Hội", [126, 126, 124, 0, 2, 0, 0, 0], [126, 0, 0]),
        ("Chứng thực", [2775, 2775, 2773, 1, 1, 0, 0, 0], [2774, 1, 0]),
        ("Công tác dân tộc", [0; 8], [0; 3]),
        ("Đất đai", [2, 2, 2, 0, 0, 0, 0, 0], [2, 0, 0]),
        ("Hộ tịch", [603, 603, 599, 3, 1, 0, 0, 0], [600, 3, 0]),
        ("Phòng, chống thiên tai", [1, 1, 1, 0, 0, 0, 0, 0], [1, 0, 0]),
        ("Thi đua - khen thưởng", [9, 9, 9, 0, 0, 0, 0, 0], [9, 0, 0]),
        ("Văn hóa cơ sở", [8, 8, 8, 0, 0, 0, 0, 0], [8, 0, 0]),
    ];
    for part in ["recorded", "in_fact"] {
        let names: Vec<_> = form[part]["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["field"].as_str().unwrap())
            .collect();
        assert_eq!(names, rows.map(|(field, ..)| field), "{part}");
    }
    let recorded = |row: &Value| {
        [
            "to_process",
            "resolved",
            "resolved_early",
            "resolved_on_time",
            "resolved_overdue",
            "pending",
            "pending_in_time",
            "pending_overdue",
        ]
        .map(|column| row[column].as_i64().unwrap())
    };
    let in_fact = |row: &Value| {
        ["resolved_early", "resolved_on_time", "resolved_overdue"]
            .map(|column| row[column].as_i64().unwrap())
    };
    for (field, wanted, wanted_in_fact) in rows {
        assert_eq!(recorded(find(&form["recorded"]["rows"], "field", field)), wanted, "{field}");
        assert_eq!(
            in_fact(find(&form["in_fact"]["rows"], "field", field)),
            wanted_in_fact,
            "{field}"
        );
    }
    assert_eq!(recorded(&form["recorded"]["total"]), [3524, 3524, 3516, 4, 4, 0, 0, 0]);
    assert_eq!(in_fact(&form["in_fact"]["total"]), [3520, 4, 0]);

    let overdue = facts["overdue_dossiers"].as_array().unwrap();
    let mut fields: Vec<_> = overdue.iter().map(|one| one["field"].as_str().unwrap()).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["Bảo Trợ Xã Hội", "Bảo Trợ Xã Hội", "Chứng thực", "Hộ tịch"]);
    for dossier in overdue {
        assert_eq!(dossier["due_time"], "2024-05-11T00:00:00+07:00");
        assert_eq!(dossier["working_days_late"], 1);
    }

    let rollup = &facts["rollups"][0];
    assert_eq!(
        json!([
            rollup["scope"],
            rollup["period"],
            rollup["indicator"],
            rollup["total"],
            rollup["counted"],
            rollup["expected"]
        ]),
        json!(["24", "202605", "dossiers_received_total", 550, 1, 99])
    );

    let notices: Vec<_> = facts["notices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| json!([one["to"]["code"], one["kind"], one["count"], one["detect_time"]]))
        .collect();
    assert_eq!(
        notices,
        [
            json!(["545", "OVERDUE_DOSSIERS", 4, "2024-05-13T08:00:00+07:00"]),
            json!(["93", "MISSING_REPORTS", 7, "2024-05-27T08:00:00+07:00"]),
            json!(["24.SKHCN", "MISSING_REPORTS", 98, "2026-05-20T08:00:00+07:00"]),
        ]
    );
    assert_eq!(facts["second_sweep_notices"], 0);
    assert!(facts["explanation"]["text"].as_str().unwrap().contains("19/05/2026"));
}

#[test]
fn the_page_for_people_is_80_columns_wide() {
    let folder = TempDir::new().unwrap();
    let ran = run_in(folder.path(), &["demo", "--exit"]);
    let page = ran.table().split_whitespace().collect::<Vec<_>>().join(" ");
    for text in
        ["Phường Bắc Giang (mã 07210)", "Thị trấn Bình Dương", "3524", "10035", "only 1 of them"]
    {
        assert!(page.contains(text), "{text}\n{page}");
    }
}

//! Each command against a server of the same binary: what it prints and how it exits.

use std::io::Read as _;
use std::process::Stdio;

use dunghan_testkit::binary;
use tempfile::TempDir;

use crate::binary::{Ran, Serving, run_in};

fn local(args: &[&str]) -> Ran {
    run_in(TempDir::new().unwrap().path(), args)
}

#[test]
fn the_compiled_in_calendar_needs_no_server() {
    let ask = ["calendar", "due", "2026-05-14", "--working-days", "3", "--offline"];
    let due = local(&[&ask[..], &["--output", "json"]].concat());
    assert_eq!(due.json()["due_date"], "2026-05-19");
    let due = local(&ask);
    assert!(due.table().contains("19/05/2026"), "{}", due.out);
    let period = local(&["calendar", "period", "202605", "--output", "json"]).json();
    assert_eq!(
        (&period["start_date"], &period["cut_off_date"]),
        (&"2026-04-15".into(), &"2026-05-14".into())
    );
    let period = local(&["calendar", "period", "202605", "--family", "calendar"]);
    assert!(period.table().contains("31/05/2026"), "{}", period.out);
}

#[test]
fn what_does_not_read_exits_with_2_and_says_why() {
    for (args, why) in [
        (&["calendar", "period", "202613"][..], "202613"),
        (&["calendar", "due", "30/02/2026", "--working-days", "1"], "30/02/2026"),
        (&["overdue", "24", "--as-of", "14.05.2026"], "such as 2026-05-14"),
        (&["overdue", "units/24"], "units/24"),
        (&["sweep", "--address", "localhost:7878"], "\"localhost:7878\" is not an address"),
        (&["sweep", "--address", "registry=http://a"], "where submission is"),
        (&["config", "--set", "server.port=1"], "port"),
        (&["config", "--set", "compliance.swep_cron=x"], "swep_cron"),
        (&["config", "--config", "nowhere.toml"], "nowhere.toml"),
        (&["units", "list"], "issuer.pem"),
        (&["units", "import", "nowhere.csv", "--token", "x"], "nowhere.csv"),
        (&["token", "--grant", "operator"], "issuer.pem"),
    ] {
        let ran = local(args);
        assert_eq!(ran.code, Some(2), "{args:?}: {ran:?}");
        assert!(ran.err.contains(why) && ran.out.is_empty(), "{args:?}: {ran:?}");
    }
}

#[test]
fn a_server_that_is_not_there_exits_with_3() {
    // Port 9 is for discarding; nobody listens there.
    let ran = local(&["sweep", "--token", "x", "--address", "http://127.0.0.1:9"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("http://127.0.0.1:9 cannot be reached"), "{ran:?}");
}

#[test]
fn each_service_is_called_where_it_is_said_to_be() {
    let server = Serving::start();
    let at = &server.address;
    let nowhere = "http://127.0.0.1:9";
    let each = format!("registry={at},submission={nowhere},compliance={at},aggregation={nowhere}");
    // Beside its data, whose key signs for the commands.
    let beside = server.file("beside", "");
    let run = |verb: &[&str]| {
        let address = ["--address", each.as_str()];
        run_in(beside.parent().unwrap(), &[verb, address.as_slice()].concat())
    };
    assert_eq!(run(&["units", "list"]).code, Some(0));
    assert_eq!(run(&["regimes", "list"]).code, Some(0));
    let ran = run(&["reports", "list"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("http://127.0.0.1:9 cannot be reached"), "{ran:?}");
}

#[test]
fn the_configuration_in_force_is_printed_without_its_secrets() {
    let ran = local(&[
        "config",
        "--set",
        "storage.location=postgres://dunghan:geheim@db/dunghan",
        "--set",
        "server.listen=[::1]:7000",
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("listen = \"[::1]:7000\""), "{}", ran.out);
    assert!(ran.out.contains("sweep_cron"), "{}", ran.out);
    assert!(!ran.out.contains("geheim"), "{}", ran.out);
}

#[test]
fn databases_are_migrated_without_serving() {
    let folder = TempDir::new().unwrap();
    for _ in 0..2 {
        let ran = run_in(folder.path(), &["migrate", "--set", "log.filter=warn"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    assert!(folder.path().join("dunghan-data").is_dir());
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = binary()
        .args(["calendar", "due", "2023-01-01", "--working-days", "20000", "--offline"])
        .args(["--output", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0; 16]).unwrap();
    drop(out);
    let ended = child.wait_with_output().unwrap();
    let err = String::from_utf8(ended.stderr).unwrap();
    assert_eq!((ended.status.code(), err.as_str()), (Some(0), ""));
}

#[test]
fn units_are_loaded_found_and_shown() {
    let server = Serving::start();
    let loaded = server.run(&["units", "import", "--bundled", "--output", "json"]).json();
    assert_eq!(loaded["received_count"].as_i64().unwrap(), {
        let unchanged = server.run(&["units", "import", "--bundled", "--output", "json"]).json();
        assert_eq!(
            (&unchanged["created_count"], &unchanged["updated_count"]),
            (&0.into(), &0.into())
        );
        unchanged["received_count"].as_i64().unwrap()
    });

    let found =
        server.run(&["units", "find", "tri qua", "--as-of", "2026-05-14", "--output", "json"]);
    assert_eq!(found.json()["units"][0]["statistics_code"], "09427");
    let found = server.run(&["units", "find", "tri qua", "--as-of", "2026-05-14"]);
    assert!(found.table().contains("Phường Trí Quả"), "{}", found.out);

    let listed = server.run(&["units", "list", "--level", "commune", "--as-of", "2025-07-01"]);
    assert!(listed.table().contains("50 of 3321 units."), "{}", listed.out);
    let all = [
        "units",
        "list",
        "--level",
        "commune",
        "--as-of",
        "2025-07-01",
        "--limit",
        "0",
        "--output",
        "json",
    ];
    assert_eq!(server.run(&all).json()["units"].as_array().unwrap().len(), 3321);
    let below = server.run(&[
        "units",
        "list",
        "--parent",
        "93",
        "--as-of",
        "2024-06-14",
        "--output",
        "json",
    ]);
    assert_eq!(below.json()["total_size"], 8);

    let shown = server.run(&["units", "show", "27787:2024-09-14"]);
    assert!(shown.table().contains("795 Thị xã Kiến Tường"), "{}", shown.out);
    let gone = server.run(&["units", "show", "934"]);
    assert_eq!(gone.code, Some(1), "{gone:?}");
    assert!(gone.err.starts_with("NOT_FOUND CODE_NOT_VALID_ON_DATE: "), "{gone:?}");

    assert!(server.stop().success());
}

#[test]
fn a_notice_for_a_unit_that_has_ended_goes_to_whoever_came_after_it() {
    const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/demo");
    let server = Serving::start();
    for args in [
        &["units", "import", "--bundled"][..],
        &["units", "import", &format!("{DEMO}/departments.csv")],
        &["regimes", "import", &format!("{DEMO}/regimes.json")],
        &["sweep"],
    ] {
        let ran = server.run(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
    }
    let told = server.run(&["notices"]);
    // Hậu Giang, 93, was to be told, and is a part of Cần Thơ by now.
    let after = "92 Thành phố Cần";
    assert!(told.table().contains(after) && told.out.contains("cds-93-2024s1"), "{}", told.out);
    assert!(told.out.contains("24.SKHCN") && !told.out.contains("units/"), "{}", told.out);
}

#[test]
fn every_bad_row_of_a_list_of_units_is_named_with_its_line() {
    let server = Serving::start();
    let file = server.file(
        "units.csv",
        "code,name,type,parent_code,level\n01,Thành phố Hà Nội,thanh_pho,,province\n02,Tỉnh Hà Giang,tinh,,provinz\n,Tỉnh Cao Bằng,tinh,,province\n",
    );
    let ran = server.run(&["units", "import", file.to_str().unwrap()]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("line 3, level: ") && ran.err.contains("line 4, code: "), "{ran:?}");

    // What only the registry can know: the parent is not there.
    let file =
        server.file("units.csv", "code,name,type,parent_code,level\n00001,Xã A,xa,01,commune\n");
    let ran = server.run(&["units", "import", file.to_str().unwrap()]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.starts_with("line 2, parent_code: "), "{ran:?}");
}

const UNITS: &str = "code,name,type,parent_code,level\n\
    24,Tỉnh Bắc Ninh,tinh,,province\n09427,Phường Trí Quả,phuong,24,commune\n09430,Xã A,xa,24,commune\n";

const REGIMES: &str = r#"[{
    "name": "cds-thang", "display_name": "Báo cáo tháng (minh họa)", "legal_basis": "Minh họa", "illustrative": true,
    "form": "cds-1", "receiving_unit": "24", "frequency": "month", "working_days_after_cut_off": 3,
    "debtors": {"subtree": "24", "levels": ["commune"]}, "from_date": "2026-05-01", "through_date": "2026-05-31",
    "tell_from_date": "2026-05-01"}]"#;

const REPORT: &str = r#"{
    "unit": "09427", "regime": "cds-thang", "period": "202605",
    "receipt": {"receive_time": "2026-05-18T16:00", "kind": "register", "reference": "Sổ đến số 12"},
    "values": [
        {"indicator": "dossiers_received_total", "count": 550},
        {"indicator": "dossiers_received_online", "ratio": {"numerator": 465, "denominator": 550}, "stated_percent": "84.54"}
    ]}"#;

#[test]
fn a_report_is_owed_submitted_counted_and_explained() {
    let server = Serving::start();
    let import = |noun: &str, name: &str, content: &str| {
        let file = server.file(name, content);
        let verb = if noun == "reports" { "submit" } else { "import" };
        server.run(&[noun, verb, file.to_str().unwrap(), "--output", "json"])
    };
    import("units", "units.csv", UNITS).json();
    let regimes = import("regimes", "regimes.json", REGIMES).json();
    assert_eq!(regimes["created"][0], "regimes/cds-thang");
    let regimes = import("regimes", "regimes.json", REGIMES).json();
    assert_eq!(regimes["unchanged"][0], "regimes/cds-thang");
    let amended = import("regimes", "regimes.json", &REGIMES.replace("\"Minh họa\"", "\"Khác\""));
    assert_eq!(amended.code, Some(1), "{amended:?}");
    let expected = "regimes/cds-thang: ALREADY_EXISTS REGIME_EXISTS: ";
    assert!(amended.err.starts_with(expected), "{amended:?}");
    assert!(server.run(&["regimes", "list"]).table().contains("cds-thang"));

    let wrong = import("reports", "report.json", &REPORT.replace("550}", "400}"));
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(wrong.err.contains("PART_EXCEEDS_WHOLE") && wrong.err.contains("\n  "), "{wrong:?}");
    let report = import("reports", "report.json", REPORT).json();
    assert_eq!(report["state"], "SUBMITTED");
    assert_eq!(report["receive_time"], "2026-05-18T16:00:00+07:00");
    let findings = report["findings"].as_array().unwrap();
    assert!(findings.iter().any(|one| one["discrepancy"] == "TRUNCATED"), "{report:#}");
    let twice = import("reports", "report.json", REPORT);
    assert!(twice.err.starts_with("ALREADY_EXISTS REPORT_EXISTS: "), "{twice:?}");

    let name = report["name"].as_str().unwrap();
    assert!(server.run(&["reports", "show", name]).table().contains("465/550"));
    let of = ["--regime", "cds-thang", "--period", "202605"];
    let shown = server.run(&[&["reports", "show", "09427"], of.as_slice()].concat());
    assert!(shown.table().contains("465/550"), "{}", shown.out);
    let none = server.run(&[&["reports", "show", "09430"], of.as_slice()].concat());
    assert_eq!(none.code, Some(1), "{none:?}");
    assert!(server.run(&["reports", "list", "24"]).table().contains("09427 Phường Trí"));

    let of = ["--regime", "cds-thang", "--period", "202605", "--at", "2026-05-20T08:00"];
    let with = |args: &[&'static str]| [args, of.as_slice()].concat();
    let rate = server.run(&with(&["rates", "24", "--output", "json"])).json();
    let counts = ["expected_reports", "actual_reports_on_time", "missing_reports", "open_reports"];
    assert_eq!(counts.map(|count| rate[count].as_i64().unwrap()), [2, 1, 1, 0], "{rate:#}");
    assert_eq!(rate["exceptions"][0]["standing"], "MISSING");
    let rate = server.run(&with(&["rates", "24"]));
    assert!(rate.table().contains("50.00 % (1 of 2)"), "{}", rate.out);
    for which in ["Within                  24 Tỉnh Bắc Ninh", "cds-thang", "202605"] {
        assert!(rate.out.contains(which), "{which}: {}", rate.out);
    }
    let trend = ["rates", "24", "--regime", "cds-thang", "--from", "202605", "--through", "202605"];
    let trend = server.run(&[&trend[..], &of[4..]].concat());
    let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let total = trend.table().lines().map(cells).find(|cells| cells[0] == "Total").unwrap();
    assert_eq!(total[1..], ["2", "1", "0", "1", "0", "50.00", "50.00", "0"], "{}", trend.out);
    let rank = ["rates", "rank", "24", "--from", "2026-05-01", "--through", "2026-05-31"];
    let rank = server.run(&[&rank[..], &of[4..]].concat());
    assert!(
        rank.table().lines().nth(2).unwrap().contains("1 09427 Phường Trí Quả"),
        "{}",
        rank.out
    );
    let missing = server.run(&with(&["obligations", "24", "--standing", "missing"]));
    assert!(missing.table().contains("09430") && !missing.out.contains("09427"), "{}", missing.out);
    assert!(server.run(&with(&["explain", "09430"])).table().contains("19/05/2026"));

    let swept = server.run(&["sweep", "--output", "json"]).json();
    assert!(swept["notice_count"].as_i64().unwrap() <= 1, "{swept:#}");
    let notices = server.run(&["notices", "24", "--output", "json"]).json();
    assert_eq!(notices["notices"].as_array().unwrap().len(), 1, "{notices:#}");
    assert!(server.run(&["notices"]).table().contains("missing reports"));
    let text = server.run(&["notices", "24", "--text"]);
    let (first, rest) = text.table().split_once('\n').unwrap();
    assert!(first.ends_with(", 24 Tỉnh Bắc Ninh") && rest.contains("Xã A (09430)"), "{}", text.out);

    let rollup = [
        "rollup",
        "24",
        "--regime",
        "cds-thang",
        "--period",
        "202605",
        "--indicator",
        "dossiers_received_total",
    ];
    let text = server.run(&rollup);
    assert!(text.table().contains("1 of 2 units") && text.out.contains("Xã A"), "{}", text.out);
    let json = server.run(&[rollup.as_slice(), &["--output", "json"]].concat()).json();
    assert_eq!((&json["total"], &json["counted_count"]), (&550.into(), &1.into()));
}

#[test]
fn a_report_is_sent_back_mended_and_taken_back_and_all_of_that_is_told() {
    let server = Serving::start();
    let import = |noun: &str, name: &str, content: &str| {
        let file = server.file(name, content);
        let verb = if noun == "reports" { "submit" } else { "import" };
        server.run(&[noun, verb, file.to_str().unwrap(), "--output", "json"])
    };
    import("units", "units.csv", UNITS).json();
    import("regimes", "regimes.json", REGIMES).json();
    let report = import("reports", "report.json", REPORT).json();
    assert_eq!((&report["revision"], &report["return_due_time"]), (&1.into(), &().into()));
    let name = report["name"].as_str().unwrap();

    let of = ["09427", "--regime", "cds-thang", "--period", "202605"];
    let with = |verb: &'static str, args: &[&'static str]| {
        server.run(&[&["reports", verb], of.as_slice(), args].concat())
    };
    let why = ["--reason", "Thiếu biểu 02."];
    let late = with("return", &[&why[..], &["--until", "2026-05-17"]].concat());
    assert_eq!(late.code, Some(1), "{late:?}");
    assert!(late.err.starts_with("INVALID_ARGUMENT RETURN_DUE_IN_PAST: "), "{late:?}");
    let returned = with("return", &[&why[..], &["--until", "2099-12-30"]].concat());
    assert!(returned.table().contains("30/12/2099"), "{}", returned.out);
    // What it says is not said again.
    assert!(!returned.out.contains("Indicator"), "{}", returned.out);
    let again = server.run(&["reports", "return", name, "--reason", "x", "--until", "31.12.2099"]);
    assert_eq!(again.code, Some(2), "{again:?}");
    let again = with("return", &[&why[..], &["--until", "2099-12-31"]].concat());
    assert!(again.err.starts_with("FAILED_PRECONDITION NOT_SUBMITTED: "), "{again:?}");
    let listed = |state| {
        let list = ["reports", "list", "24", "--state", state, "--output", "json"];
        server.run(&list).json()["reports"].as_array().unwrap().len()
    };
    assert_eq!(["draft", "submitted", "returned"].map(listed), [0, 0, 1]);
    let state = server.run(&["reports", "list", "--state", "missing"]);
    assert_eq!(state.code, Some(2), "{state:?}");
    assert!(state.err.contains("is not draft, submitted, returned or accepted"), "{state:?}");

    let better = REPORT.replace("\"count\": 550", "\"count\": 551");
    let mended = import("reports", "report.json", &better).json();
    assert_eq!((&mended["state"], &mended["revision"]), (&"SUBMITTED".into(), &2.into()));
    assert_eq!(mended["receive_time"], report["receive_time"]);
    let withdrawn = with("withdraw", &["--reason", "Nhầm kỳ.", "--output", "json"]).json();
    assert_eq!((&withdrawn["state"], &withdrawn["receive_time"]), (&"DRAFT".into(), &().into()));

    let acts = with("acts", &["--output", "json"]).json();
    assert_eq!(acts["report"], name);
    let acts = acts["acts"].as_array().unwrap().clone();
    let kinds: Vec<_> = acts.iter().map(|act| act["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["SUBMITTED", "RETURNED", "SUBMITTED", "WITHDRAWN"]);
    assert_eq!(acts[0]["receipt_evidence"]["reference"], "Sổ đến số 12");
    assert_eq!(acts[1]["return_due_time"], "2099-12-31T00:00:00+07:00");
    assert_eq!((&acts[3]["reason"], &acts[3]["revision"]), (&"Nhầm kỳ.".into(), &2.into()));
    assert!(acts.iter().all(|act| act.get("report").is_none()), "{acts:#?}");
    let whole = server.run(&["reports", "acts", name, "--with-reports", "--output", "json"]).json();
    let counts = [0, 2].map(|at| whole["acts"][at]["report"]["values"][0]["count"].as_i64());
    assert_eq!(counts, [Some(550), Some(551)]);
    let told = with("acts", &[]);
    let table = told.table();
    for said in ["18/05/2026", "returned", "30/12/2099", "Thiếu biểu 02.", "Nhầm kỳ."] {
        assert!(table.contains(said), "{said}\n{table}");
    }
    assert!(!table.contains('–'), "{table}");
}

#[test]
fn a_report_says_which_agency_of_the_unit_handed_it_over() {
    const DIVISION: &str = "scheme,code,name,type,level,parent_scheme,parent_code\n\
        x,09427.VHXH,Phòng Văn hóa - Xã hội,phong,department,nso,09427\n";
    let server = Serving::start();
    let import = |noun: &str, name: &str, content: &str| {
        let file = server.file(name, content);
        let verb = if noun == "reports" { "submit" } else { "import" };
        server.run(&[noun, verb, file.to_str().unwrap(), "--output", "json"])
    };
    import("units", "units.csv", UNITS).json();
    import("units", "division.csv", DIVISION).json();
    import("regimes", "regimes.json", REGIMES).json();
    let by = |unit: &str| REPORT.replacen('{', &format!("{{\"submitting_unit\": \"{unit}\","), 1);
    let neighbour = import("reports", "report.json", &by("09430"));
    assert_eq!(neighbour.code, Some(1), "{neighbour:?}");
    assert!(neighbour.err.starts_with("INVALID_ARGUMENT NOT_ITS_AGENCY: "), "{neighbour:?}");
    let report = import("reports", "report.json", &by("x/09427.VHXH")).json();
    assert!(report["submitting_unit"].as_str().unwrap().starts_with("units/"), "{report:#}");
    let shown = server.run(&["reports", "show", report["name"].as_str().unwrap()]);
    assert!(shown.table().contains("09427.VHXH Phòng Văn hóa - Xã hội"), "{}", shown.out);
}

#[test]
fn dossiers_are_recorded_listed_and_counted() {
    let server = Serving::start();
    let units = server.file("units.csv", UNITS);
    server.run(&["units", "import", units.to_str().unwrap(), "--output", "json"]).json();
    let import = |content: &str| {
        let file = server.file("dossiers.csv", content);
        server.run(&[
            "dossiers",
            "import",
            file.to_str().unwrap(),
            "--unit",
            "09427",
            "--output",
            "json",
        ])
    };
    let header = "dossier_id,field,channel,receive_time,term,complete_time,record_time";
    let rows = format!(
        "{header}\n260507-01,Hộ tịch,online,2026-05-07T08:15,3d,,\n260507-02,Hộ tịch,direct_or_postal,2026-05-07T08:15,3d,2026-05-08T09:00,2026-05-08T09:05\n"
    );
    assert_eq!(import(&rows).json()["created_count"], 2);
    assert_eq!(import(&rows).json()["unchanged_count"], 2);
    let bad = import(&rows.replace("2026-05-08T09:00", "2026-05-06T09:00"));
    assert_eq!(bad.code, Some(2), "{bad:?}");
    assert!(bad.err.starts_with("line 3, "), "{bad:?}");

    let overdue = ["overdue", "24", "--at", "2026-05-14T08:00"];
    let listed = server.run(&[overdue.as_slice(), &["--output", "json"]].concat()).json();
    assert_eq!(listed["dossiers"][0]["due_time"], "2026-05-13T00:00:00+07:00");
    assert_eq!(listed["dossiers"].as_array().unwrap().len(), 1, "{listed:#}");
    assert!(server.run(&overdue).table().contains("12/05/2026"));

    let summary = [
        "dossiers",
        "summary",
        "09427",
        "--period",
        "2026-05-01--2026-05-31",
        "--field",
        "Đất đai",
    ];
    let counted = server.run(&[summary.as_slice(), &["--output", "json"]].concat()).json();
    assert_eq!(counted["recorded_rows"][0]["field"], "Đất đai");
    assert_eq!(counted["recorded_total"]["resolved_early"], 1, "{counted:#}");
    assert!(server.run(&summary).table().contains("Hộ tịch"));
}

#[test]
fn a_token_lets_its_holder_do_what_it_grants_and_no_more() {
    let server = Serving::start();
    let units = server.file("units.csv", UNITS);
    server.run(&["units", "import", units.to_str().unwrap(), "--output", "json"]).json();
    let token =
        server.run(&["token", "--grant", "supervisor@24", "--for", "1h", "--subject", "lan"]);
    assert_eq!(token.code, Some(0), "{token:?}");
    let token = token.out.trim();
    let listed = server.run(&["overdue", "24", "--token", token]);
    assert!(listed.table().contains("Nothing."), "{listed:?}");
    let refused = server.run(&["sweep", "--token", token]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.starts_with("PERMISSION_DENIED ROLE_MISSING: "), "{refused:?}");
    let king = server.run(&["token", "--grant", "king@24"]);
    assert_eq!(king.code, Some(2), "{king:?}");
    assert!(king.err.contains("king@24"), "{king:?}");
    let refused = server.run(&["sweep", "--token", "none"]);
    assert!(refused.err.starts_with("UNAUTHENTICATED UNAUTHENTICATED: "), "{refused:?}");
}

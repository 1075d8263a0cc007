//! Units on every date, what happened to them, and who is there: each command against a server of the same binary.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;

use dunghan_testkit::binary;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr as _;

use crate::binary::{Ran, Serving};

/// Runs `units` and reads its JSON.
fn units(server: &Serving, args: &[&str]) -> Value {
    server.run(&[&["units"], args, &["--output", "json"]].concat()).json()
}

/// What `units` prints for people: not wider than 80 columns.
fn shown(server: &Serving, args: &[&str]) -> String {
    let ran = server.run(&[&["units"], args].concat());
    ran.table().to_owned()
}

fn import(server: &Serving, content: impl AsRef<[u8]>, args: &[&str]) -> Ran {
    let file = server.file("units.csv", content);
    server.run(&[&["units", "import", file.to_str().unwrap()], args].concat())
}

fn reorganise(server: &Serving, content: &Value, args: &[&str]) -> Ran {
    let file = server.file("file.json", content.to_string());
    server.run(&[&["units", "reorganise", file.to_str().unwrap()], args].concat())
}

/// The values of a key, of each of a list.
fn each<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|one| one[key].as_str().unwrap()).collect()
}

/// Both ends of each edge and how much passed, of successors or predecessors.
fn steps(list: &Value) -> Vec<Value> {
    let steps = list.as_array().unwrap().iter();
    steps.map(|one| json!([one["code"], one["name"], one["kind"], one["date"]])).collect()
}

const UNITS: &str = "code,name,type,parent_code,level\n\
    24,Tỉnh Bắc Ninh,tinh,,province\n09400,Xã A,xa,24,commune\n09401,Xã B,xa,24,commune\n\
    09402,Xã C,xa,24,commune\n";

#[test]
fn the_whole_nation_is_known_on_every_date() {
    let server = Serving::start();
    let loaded = units(&server, &["import", "--bundled"]);
    assert_eq!(loaded["reorganisation_count"], 39, "{loaded:#}");
    assert_eq!(loaded["created_reorganisation_count"], 39, "{loaded:#}");
    assert_eq!(loaded["unconfirmed_count"], 36, "{loaded:#}");
    let again = units(&server, &["import", "--bundled"]);
    for nothing in ["created_count", "updated_count", "created_reorganisation_count"] {
        assert_eq!(again[nothing], 0, "{nothing}: {again:#}");
    }
    assert_eq!(again["hierarchy_version"], loaded["hierarchy_version"]);
    let text = shown(&server, &["import", "--bundled"]);
    assert!(text.contains("dunghan units reorganisations --unconfirmed"), "{text}");

    tree(&server);
    find_and_show(&server);
    what_became_of_the_units_of_the_five_reports(&server);
    what_is_not_confirmed_is_told(&server);
    the_example_of_the_documentation_could_be_recorded(&server);
}

fn tree(server: &Serving) {
    let text = shown(server, &["tree", "--as-of", "2025-07-01"]);
    assert!(
        text.starts_with(
            "All units: 34 provinces, 3321 communes\n├─ 01 Thành phố Hà Nội … 126 communes\n"
        ),
        "{text}"
    );
    assert!(text.contains("\n└─ 96 Tỉnh Cà Mau … 64 communes\n"), "{text}");
    let text = shown(server, &["tree", "--as-of", "2025-06-30"]);
    assert!(text.starts_with("All units: 63 provinces, 696 districts, 10035 communes\n"), "{text}");
    assert!(text.contains("├─ 27 Tỉnh Bắc Ninh … 8 districts, "), "{text}");
    assert!(text.contains("it is not known since when this holds"), "{text}");
    let text = shown(server, &["tree", "24", "--as-of", "2025-07-01", "--limit", "6"]);
    assert_eq!(text.lines().filter(|line| line.starts_with("├─ ")).count(), 6, "{text}");
    assert!(text.contains("└─ … 93 communes more\n"), "{text}");
    let text = shown(server, &["tree", "80:2024-09-30", "--depth", "2", "--limit", "2"]);
    assert!(
        text.contains("│  ├─ ") && text.contains("└─ … 13 more, with what is below them: "),
        "{text}"
    );

    let json = units(server, &["tree", "--as-of", "2025-06-30", "--level", "district"]);
    let all = json["units"].as_array().unwrap();
    assert_eq!(all.iter().filter(|one| one["depth"] == 2).count(), 696);
    assert!(all.iter().all(|one| one["level"] != "COMMUNE" && one["hidden_child_count"] == 0));
    let json = units(server, &["tree", "24", "--as-of", "2025-07-01", "--limit", "6"]);
    assert_eq!(json["units"].as_array().unwrap().len(), 6);
    assert_eq!(
        (&json["hidden_child_count"], &json["hidden_counts"]),
        (&json!(93), &json!({"COMMUNE": 93}))
    );
}

fn find_and_show(server: &Serving) {
    let found = units(server, &["find", "tan phu", "--as-of", "2024-06-30"]);
    let best = found["best_count"].as_u64().unwrap();
    assert!(best > 1, "{found:#}");
    let paths: Vec<_> = found["units"].as_array().unwrap().iter().map(|one| &one["path"]).collect();
    assert!(paths.iter().all(|path| !path.as_array().unwrap().is_empty()), "{found:#}");
    let text = shown(server, &["find", "tan phu", "--as-of", "2024-06-30"]);
    assert!(text.contains(&format!("{best} fit equally well")), "{text}");
    assert!(text.contains("Tỉnh ") && text.contains("Huyện "), "{text}");

    let one = units(server, &["show", "24:2026-12-31"]);
    assert_eq!(one["display_name"], "Thành phố Bắc Ninh");
    let changes = one["changes"].as_array().unwrap();
    let last = changes.last().unwrap();
    assert_eq!((&last["date"], &last["changed"]), (&json!("2026-09-20"), &json!(["name", "kind"])));
    let text = shown(server, &["show", "24:2026-12-31"]);
    assert!(
        text.contains("20/09/2026 Tỉnh Bắc Ninh → Thành phố Bắc Ninh; tỉnh → thành phố"),
        "{text}"
    );
    let text = shown(server, &["show", "27787:2024-09-30"]);
    assert!(text.contains("795 Thị xã Kiến Tường, 80 Tỉnh Long An"), "{text}");
    assert!(text.contains("unknown: the list it stands in is a snapshot"), "{text}");
    assert!(text.contains("Through") && text.contains("30/06/2025"), "{text}");
}

fn what_became_of_the_units_of_the_five_reports(server: &Serving) {
    let lineage = |code: &str, as_of: &str| {
        let found = units(server, &["lineage", "--code", code, "--as-of", as_of]);
        assert_eq!((&found["unit"]["code"], &found["as_of_date"]), (&json!(code), &json!(as_of)));
        let text = shown(server, &["lineage", code, "--as-of", as_of]);
        (found, text)
    };
    let merged = |code: &str, name: &str| json!([code, name, "MERGED", "2025-07-01"]);

    let (found, text) = lineage("27787", "2024-09-30");
    assert_eq!(found["unit"]["path"], json!(["Thị xã Kiến Tường", "Tỉnh Long An"]));
    assert_eq!(steps(&found["successors"]), [merged("27787", "Phường Kiến Tường")]);
    assert_eq!(found["successors"][0]["path"], json!(["Tỉnh Tây Ninh"]));
    assert!(found["known_from_date"].is_null());
    assert!(text.contains("┆  since when it holds is unknown: "), "{text}");
    assert!(text.contains("└─ all of it into 27787 Phường Kiến Tường, Tỉnh Tây Ninh"), "{text}");

    let (found, text) = lineage("09427", "2026-05-18");
    assert_eq!(found["unit"]["name"], "Phường Trí Quả");
    assert_eq!(
        steps(&found["predecessors"]),
        [
            merged("09415", "Xã Đình Tổ"),
            merged("09421", "Phường Trí Quả"),
            merged("09427", "Phường Thanh Khương")
        ]
    );
    assert_eq!(found["known_from_date"], "2025-07-01");
    assert!(text.contains("┌─ all of 09415 Xã Đình Tổ, "), "{text}");
    assert!(text.ends_with("└─ no change is known\n"), "{text}");

    let (found, _) = lineage("21733", "2024-06-24");
    assert_eq!(found["unit"]["name"], "Thị trấn Bình Dương");
    assert_eq!(steps(&found["successors"]), [merged("21733", "Xã Bình Dương")]);
    assert_eq!(found["successors"][0]["path"], json!(["Tỉnh Gia Lai"]));

    let (found, _) = lineage("11119", "2023-12-31");
    assert_eq!(steps(&found["successors"]), [merged("11113", "Xã Tân Kỳ")]);
    assert_eq!(found["successors"][0]["path"], json!(["Thành phố Hải Phòng"]));

    // A tier that was abolished: seven communes of Cần Thơ.
    let (found, text) = lineage("934", "2024-05-18");
    assert_eq!(found["unit"]["path"], json!(["Tỉnh Hậu Giang"]));
    let successors = found["successors"].as_array().unwrap();
    assert_eq!(successors.len(), 7, "{found:#}");
    for one in successors {
        assert_eq!(
            (&one["kind"], &one["path"]),
            (&json!("THROUGH_CHILDREN"), &json!(["Thành phố Cần Thơ"]))
        );
    }
    assert_eq!(text.matches("through its communes: ").count(), 7, "{text}");

    // A city since 2026, made of two provinces in 2025.
    let (found, text) = lineage("24", "2026-12-31");
    assert_eq!(each(&found["predecessors"], "name"), ["Tỉnh Bắc Giang", "Tỉnh Bắc Ninh"]);
    assert!(text.contains("└─ 20/09/2026: Tỉnh Bắc Ninh → Thành phố Bắc Ninh"), "{text}");

    let gone = server.run(&["units", "lineage", "934"]);
    assert_eq!(gone.code, Some(1), "{gone:?}");
    assert!(
        gone.err.starts_with("NOT_FOUND CODE_NOT_VALID_ON_DATE: ")
            && gone.err.contains("before 2025-07-01"),
        "{gone:?}"
    );
    let neither = server.run(&["units", "lineage", "--as-of", "2024-05-18"]);
    assert_eq!(neither.code, Some(2), "{neither:?}");
}

fn what_is_not_confirmed_is_told(server: &Serving) {
    let found = units(server, &["reorganisations", "--unconfirmed"]);
    let all = found["unconfirmed"].as_array().unwrap();
    assert_eq!(all.len(), 36);
    assert!(all.iter().all(|one| !one["note"].as_str().unwrap().is_empty()), "{found:#}");
    let text = shown(server, &["reorganisations", "--unconfirmed"]);
    assert!(
        text.ends_with("36 stated by a source, not confirmed, and so not followed.\n"),
        "{text}"
    );
    // One of which nothing else is stated.
    let text = shown(server, &["lineage", "01651", "--as-of", "2025-06-30"]);
    assert!(
        text.contains("└─ its last day was 30/06/2025; nothing is known to have come after it"),
        "{text}"
    );
    assert!(
        text.contains(
            "Stated by a source, not confirmed, and so not followed:\n  01651 Xã Mỹ Hưng into "
        ),
        "{text}"
    );

    let list = units(server, &["reorganisations"]);
    let list = list["reorganisations"].as_array().unwrap();
    assert_eq!((list.len(), &list[0]["effective_date"]), (39, &json!("2026-09-20")));
    let text = shown(server, &["reorganisations"]);
    assert!(text.contains("202/2025/QH15"), "{text}");
    for one in list {
        let name = one["name"].as_str().unwrap();
        let text = shown(server, &["reorganisations", name]);
        let whole =
            units(server, &["reorganisations", name.trim_start_matches("reorganisations/")]);
        let changes = whole["changes"].as_array().unwrap().len();
        assert!(changes > 0 && text.contains(&format!("Changes: {changes}\n")), "{text}");
    }
}

fn the_example_of_the_documentation_could_be_recorded(server: &Serving) {
    let operations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/OPERATIONS.md");
    let operations = fs::read_to_string(operations).unwrap();
    let (_, example) = operations.split_once("<!-- example -->\n```json\n").unwrap();
    let (example, _) = example.split_once("```\n<!-- end of example -->").unwrap();
    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/demo/reorganisation.json");
    assert_eq!(example, fs::read_to_string(FILE).unwrap());
    let ran = server.run(&["units", "reorganise", FILE, "--dry-run"]);
    for text in [
        "Units that begin: 1\n  07283 Xã Đồng Yên, under 24 Thành phố Bắc Ninh\n",
        "Units that end: 1\n  07282 Xã Đồng Kỳ, under 24 Thành phố Bắc Ninh\n",
        "  07288 Xã Yên Thế → 07283 Xã Đồng Yên, a part of it\n",
        "  07306 Xã Nhã Nam: Xã Nhã Nam → Xã Nhã Nam Mới\n",
        "  07246 Xã Xuân Lương: Xã Xuân Lương → Phường Xuân Lương; xã → phường\n",
        "No obligation is concerned.",
    ] {
        assert!(ran.table().contains(text), "{text}\n{}", ran.out);
    }
}

#[test]
fn the_nation_is_exported_and_imported_again_unchanged() {
    let server = &Serving::start();
    let loaded = units(server, &["import", "--bundled"]);
    let version = loaded["hierarchy_version"].clone();
    let folder = server.file("beside", "").parent().unwrap().to_owned();
    for (name, args) in [
        ("now.csv", ["--as-of", "2026-12-31"].as_slice()),
        ("then.xlsx", &["--as-of", "2025-06-30"]),
        ("history.csv", &["--whole-history"]),
        ("history.xlsx", &["--whole-history"]),
        ("province.csv", &["--within", "24", "--as-of", "2026-05-18", "--level", "commune"]),
    ] {
        let file = folder.join(name);
        let file = file.to_str().unwrap();
        let exported = units(server, &[&["export", file], args].concat());
        let rows = exported["row_count"].as_u64().unwrap();
        assert!(rows >= 99, "{exported:#}");
        let imported = units(server, &["import", file]);
        let counts = ["received_count", "created_count", "updated_count"]
            .map(|key| imported[key].as_u64().unwrap());
        assert_eq!(counts, [rows, 0, 0], "{name}: {imported:#}");
        assert_eq!(imported["hierarchy_version"], version, "{name}");
    }
    // A reader that goes away is no failure.
    let args = ["units", "export", "--whole-history", "--address", server.address.as_str()];
    let mut child = binary()
        .args(args)
        .current_dir(&folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0; 16]).unwrap();
    drop(out);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap()),
        (Some(0), String::new())
    );
    let csv = server.run(&["units", "export", "--within", "24", "--as-of", "2026-05-18"]);
    assert_eq!((csv.code, csv.out.lines().count()), (Some(0), 101), "{}", csv.err);
    assert!(csv.out.contains("09427") && csv.out.contains("Phường Trí Quả"));
}

#[test]
fn a_dry_run_says_of_each_row_what_would_become_of_it_and_changes_nothing() {
    let server = Serving::start();
    import(&server, UNITS, &[]).table();
    let rows = format!(
        "{}09403,Xã D,xa,25,commune\n09404,Xã Đ,xa,24,commune\n",
        UNITS.replace("Xã C", "Xã X")
    );
    let judged = import(&server, &rows, &["--dry-run", "--output", "json"]);
    assert_eq!(judged.code, Some(2), "{judged:?}");
    assert!(judged.err.contains("2 rows are refused; nothing would be applied"), "{judged:?}");
    let judged: Value = serde_json::from_str(&judged.out).unwrap();
    let outcomes = each(&judged["rows"], "outcome");
    assert_eq!(
        outcomes,
        ["UNCHANGED", "UNCHANGED", "UNCHANGED", "REFUSED", "REFUSED", "CREATES"],
        "{judged:#}"
    );
    assert_eq!((&judged["state"], &judged["refused_count"]), (&json!("REFUSED"), &json!(2)));
    let problem = &judged["rows"][4]["problems"][0];
    assert_eq!((&judged["rows"][4]["row"], &problem["field"]), (&json!(6), &json!("parent_code")));
    assert_eq!(problem["reason"], "PARENT_NOT_VALID");
    let text = import(&server, &rows, &["--dry-run"]);
    let refused = text.out.split_once("Refused rows: 2\n").unwrap().1;
    assert!(refused.contains("  line 6: 09403 Xã D\n    parent_code: "), "{}", text.out);
    assert!(
        text.out.contains("Rows of new units: 1\n  line 7: 09404 Xã Đ")
            && !text.out.contains("Xã A"),
        "{}",
        text.out
    );
    assert!(text.out.lines().all(|line| line.width() <= 80), "{}", text.out);
    let text = import(&server, &rows, &["--dry-run", "--all"]);
    assert!(
        text.out.contains("Rows that change nothing: 3\n  line 2: 24 Tỉnh Bắc Ninh\n"),
        "{}",
        text.out
    );
    let refused = import(&server, &rows, &[]);
    assert_eq!((refused.code, refused.err.lines().count()), (Some(2), 2), "{refused:?}");
    let listed = units(&server, &["list"]);
    assert_eq!((&listed["total_size"], &listed["hierarchy_version"]), (&json!(4), &json!(1)));
}

#[test]
fn what_was_judged_is_applied_without_being_sent_again_and_stays_on_record() {
    let server = Serving::start();
    let judged = import(&server, UNITS, &["--dry-run"]);
    let (_, how) = judged.table().split_once("To apply it as it is:\n  dunghan ").unwrap();
    let applied = server.run(&how.split_whitespace().collect::<Vec<_>>());
    assert!(applied.table().contains("committed"), "{}", applied.out);
    assert_eq!(units(&server, &["list"])["total_size"], 4);
    let id = "5f0e3c1e-7a4b-4f6e-9f0a-0d6c1d2b3a4f";
    for _ in 0..2 {
        import(&server, UNITS.replace("Xã A", "Xã A mới"), &["--request-id", id]);
    }
    let imports = units(&server, &["imports"]);
    let committed: Vec<_> = imports["unit_imports"].as_array().unwrap().iter().collect();
    assert!(
        committed.iter().any(|one| one["created_count"] == 4 && one["committer"] == "cli"),
        "{imports:#}"
    );
    let name = committed.last().unwrap()["name"].as_str().unwrap();
    let past = units(&server, &["imports", name]);
    assert_eq!(past["rows"].as_array().unwrap().len(), 4, "{past:#}");
    assert!(shown(&server, &["imports"]).contains(name.trim_start_matches("unitImports/")));
    assert!(shown(&server, &["imports", name]).contains("line 2: 24 Tỉnh Bắc Ninh"));
    let nothing = server.run(&["units", "imports", "nothing"]);
    assert_eq!(nothing.code, Some(1), "{nothing:?}");
}

#[test]
fn an_export_is_whole_or_not_there() {
    let server = Serving::start();
    import(&server, UNITS, &[]).table();
    let folder = server.file("beside", "").parent().unwrap().to_owned();
    let wrong = server.run(&["units", "export", "units.ods"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.err.contains("--format csv or xlsx"), "{wrong:?}");
    let stdout = server.run(&["units", "export", "--format", "xlsx"]);
    assert_eq!(stdout.code, Some(2), "{stdout:?}");
    let nobody = server.run(&["units", "export", "none.csv", "--within", "99"]);
    assert_eq!(nobody.code, Some(1), "{nobody:?}");
    let nowhere = server.run(&["units", "export", "nowhere/units.csv"]);
    assert_eq!(nowhere.code, Some(2), "{nowhere:?}");
    let names: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_str().unwrap().contains("none")), "{names:?}");
    // What was there before is replaced.
    server.file("out.csv", "old");
    assert!(server.run(&["units", "export", "out.csv"]).table().contains("4"));
    let text = fs::read_to_string(folder.join("out.csv")).unwrap();
    assert_eq!(text.lines().count(), 5, "{text}");
}

/// A and a part of B become X; C is renamed.
fn merger(id: &str) -> Value {
    json!({
        "id": id, "title": "Sắp xếp (thử)", "legal_basis": "Nghị quyết 1/NQ (thử)", "effective_date": "2026-07-01",
        "changes": [
            {"merge": {"from": ["09400", {"unit": "09401", "kind": "split_part"}],
                "into": {"code": "09499", "name": "Phường X", "kind": "phuong", "level": "commune", "parent": "24"}}},
            {"rename": {"unit": "09402", "name": "Xã C mới"}}
        ]
    })
}

const REGIMES: &str = r#"[{
    "name": "cds-thang", "display_name": "Báo cáo tháng (minh họa)", "legal_basis": "Minh họa", "illustrative": true,
    "form": "cds-1", "receiving_unit": "24", "frequency": "month", "working_days_after_cut_off": 3,
    "debtors": {"subtree": "24", "levels": ["commune"]}, "from_date": "2026-05-01", "through_date": "2026-07-31"}]"#;

#[test]
fn a_dry_run_of_a_reorganisation_tells_all_that_it_concerns() {
    let server = Serving::start();
    import(&server, UNITS, &[]).table();
    let regimes = server.file("regimes.json", REGIMES);
    server.run(&["regimes", "import", regimes.to_str().unwrap()]).table();
    server.run(&["sweep"]).table();
    let from = ["--from", "2026-01-01"];
    let contact = ["contacts", "add", "09400:2026-06-01", "--role", "head", "--name", "Chủ tịch"];
    server.run(&[contact.as_slice(), &from].concat()).table();
    server.run(&["grants", "add", "lan", "reporter@09400", "--reason", "QĐ 1"]).table();

    let ran = reorganise(&server, &merger("thu-1"), &["--dry-run"]);
    for text in [
        "Dry run of ",
        "Sắp xếp (thử)\nNghị quyết 1/NQ (thử), effective 01/07/2026\n",
        "01/07/2026 lies before today: ",
        "Units that begin: 1\n  09499 Phường X, under 24 Tỉnh Bắc Ninh\n",
        "Units that end: 1\n  09400 Xã A, under 24 Tỉnh Bắc Ninh\n",
        "Units that change: 1\n  09402 Xã C: Xã C → Xã C mới\n",
        "  09400 Xã A → 09499 Phường X, all of it\n  09401 Xã B → 09499 Phường X, a part of it\n",
        "  09400 Xã A: head, Chủ tịch\n",
        "  lan: reporter over 09400 Xã A\n",
        "Obligations concerned: ",
        "cds-thang",
    ] {
        assert!(ran.table().contains(text), "{text}\n{}", ran.out);
    }
    let json = reorganise(&server, &merger("thu-1"), &["--dry-run", "--output", "json"]).json();
    let preview = &json["reorganisations"][0];
    assert_eq!(each(&preview["edges"], "kind"), ["MERGED", "SPLIT_PART"], "{preview:#}");
    let mut effects = each(&preview["effects"], "effect");
    effects.sort_unstable();
    assert_eq!(effects, ["CHANGED", "CREATED", "ENDED"]);
    // May and June are still owed by A; July, whose window had begun and closed, is told anew.
    let mut owed: Vec<_> = preview["obligations"].as_array().unwrap().iter().collect();
    owed.retain(|one| one["unit_code"] == "09400");
    let owed: Vec<_> = owed.iter().map(|one| json!([one["period"], one["consequence"]])).collect();
    assert_eq!(
        owed,
        [
            json!(["202605", "STILL_OWED"]),
            json!(["202606", "STILL_OWED"]),
            json!(["202607", "CLOSED_PERIOD"])
        ],
        "{preview:#}"
    );
    assert_eq!(units(&server, &["list"])["hierarchy_version"], 1);
}

#[test]
fn a_reorganisation_is_applied_once_and_corrected_by_another() {
    let server = Serving::start();
    import(&server, UNITS, &[]).table();
    let applied = reorganise(&server, &merger("thu-1"), &[]);
    assert!(applied.table().ends_with("1 applied, 0 recorded before.\n"), "{}", applied.out);
    let again = reorganise(&server, &merger("thu-1"), &["--output", "json"]).json();
    assert_eq!(
        (&again["created_count"], &again["reorganisations"][0]["hierarchy_version"]),
        (&json!(0), &json!(2))
    );
    // All or none: after the first, A is there no more.
    let mut late = merger("thu-3");
    late["effective_date"] = json!("2026-08-01");
    let other = reorganise(&server, &json!([merger("thu-1"), merger("thu-2"), late]), &[]);
    assert!(other.err.contains(": [2].changes[0].merge.from[0].unit: "), "{other:?}");
    let recorded = units(&server, &["reorganisations"]);
    assert_eq!(recorded["reorganisations"].as_array().unwrap().len(), 1);
    assert_eq!(units(&server, &["list", "--as-of", "2026-07-01"])["total_size"], 4);
    let mut different = merger("thu-1");
    different["title"] = json!("Khác");
    let different = reorganise(&server, &different, &[]);
    assert!(different.err.starts_with("ALREADY_EXISTS REORGANISATION_EXISTS: "), "{different:?}");

    let mut correction = merger("thu-1a");
    correction["corrects"] = json!("thu-1");
    correction["changes"][0]["merge"]["from"][1] = json!("09401");
    correction["changes"][0]["merge"]["into"]["code"] = json!("09500");
    let ran = reorganise(&server, &correction, &["--dry-run"]);
    for text in [
        "Units that begin: 1\n  09500 Phường X, under 24 Tỉnh Bắc Ninh\n",
        "Units that never existed: 1\n  09499 Phường X\n",
        "Units that are told anew: 1\n  09401 Xã B: ends\n",
    ] {
        assert!(ran.table().contains(text), "{text}\n{}", ran.out);
    }
    assert_eq!(reorganise(&server, &correction, &["--output", "json"]).json()["created_count"], 1);
    let lineage = units(&server, &["lineage", "09401", "--as-of", "2026-06-30"]);
    assert_eq!(
        steps(&lineage["successors"]),
        [json!(["09500", "Phường X", "MERGED", "2026-07-01"])]
    );
    let first = units(&server, &["reorganisations", "thu-1"]);
    assert_eq!(first["corrected_by"], "reorganisations/thu-1a");
    assert!(shown(&server, &["reorganisations"]).contains("corrected by"));
    let text = shown(&server, &["reorganisations", "thu-1a"]);
    assert!(text.contains("merge 09400, 09401 into 09500 Phường X under 24"), "{text}");

    // What it changed is what a file says again.
    let recorded = units(&server, &["reorganisations", "thu-1a"]);
    let back = json!({
        "id": "thu-1b", "title": "Hủy", "legal_basis": "Nghị quyết 2/NQ (thử)", "effective_date": "2026-07-01",
        "corrects": "thu-1a", "changes": recorded["changes"],
    });
    assert_eq!(reorganise(&server, &back, &["--output", "json"]).json()["created_count"], 1);
}

#[test]
fn what_is_wrong_with_a_reorganisation_is_named_with_its_place_in_the_file() {
    let server = Serving::start();
    import(&server, UNITS, &[]).table();
    let mut bad = merger("thu-1");
    bad["changes"][0]["merge"]["from"][1]["unit"] = json!("09999");
    bad["changes"][1] = json!({"abolish": {"unit": "24"}});
    let ran = reorganise(&server, &bad, &["--dry-run", "--output", "json"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let json: Value = serde_json::from_str(&ran.out).unwrap();
    let problems = &json["reorganisations"][0]["problems"];
    let places = each(problems, "field");
    assert!(places.contains(&"changes[0].merge.from[1].unit"), "{problems:#}");
    let ran = reorganise(&server, &bad, &["--dry-run"]);
    assert!(
        ran.out.contains("changes[0].merge.from[1].unit: ")
            && ran.out.contains("CHANGE_UNIT_NOT_VALID"),
        "{}",
        ran.out
    );
    assert!(ran.out.lines().all(|line| line.width() <= 80), "{}", ran.out);
    let ran = reorganise(&server, &json!([merger("thu-0"), bad]), &[]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("file.json: [1].changes[0].merge.from[1].unit: "), "{ran:?}");
    assert_eq!(units(&server, &["list"])["hierarchy_version"], 1);
    // The registry's own reading of fields is told with the same places.
    let mut long = merger("thu-1");
    long["changes"][0]["merge"]["into"]["name"] = json!("x".repeat(2000));
    let ran = reorganise(&server, &long, &[]);
    assert!(ran.err.contains("changes[0].merge.into.name: "), "{ran:?}");
}

#[test]
fn contacts_are_added_listed_and_ended() {
    let server = Serving::start();
    import(&server, UNITS, &[]).table();
    let added = server.run(&[
        "contacts",
        "add",
        "09400",
        "--role",
        "reporter",
        "--name",
        "Văn phòng HĐND và UBND xã A",
        "--email",
        "vp@a.example",
        "--phone",
        "0222 000 000",
        "--from",
        "2026-01-01",
        "--output",
        "json",
    ]);
    let added = added.json();
    assert_eq!((&added["role"], &added["creator"]), (&json!("REPORTER"), &json!("cli")));
    let id = added["name"].as_str().unwrap().rsplit('/').next().unwrap();
    let list = server.run(&["contacts", "list", "09400"]);
    assert!(list.table().contains(id) && list.out.contains("vp@a.example"), "{}", list.out);
    assert!(shown(&server, &["show", "09400"]).contains("Văn phòng"));
    let on = |as_of: &str| {
        let list = server.run(&["contacts", "list", "09400", "--as-of", as_of, "--output", "json"]);
        list.json()["contacts"].as_array().unwrap().len()
    };
    assert_eq!([on("2025-12-31"), on("2026-01-01")], [0, 1]);
    let ended = server.run(&[
        "contacts",
        "end",
        "09400",
        id,
        "--through",
        "2026-02-01",
        "--reason",
        "chuyển công tác",
    ]);
    assert!(ended.table().contains("chuyển công tác"), "{}", ended.out);
    assert_eq!([on("2026-02-01"), on("2026-02-02")], [1, 0]);
    let all = server.run(&["contacts", "list", "09400", "--ended"]);
    assert!(all.table().contains(id), "{}", all.out);
    let other =
        server.run(&["contacts", "end", "09400", id, "--through", "2026-03-01", "--reason", "x"]);
    assert!(other.err.starts_with("FAILED_PRECONDITION ENDED_ALREADY: "), "{other:?}");
    let king = server.run(&["contacts", "add", "09400", "--role", "king", "--name", "x"]);
    assert_eq!(king.code, Some(2), "{king:?}");
}

#[test]
fn a_token_without_grants_does_what_is_granted_to_its_subject_until_that_is_revoked() {
    let server = Serving::start();
    import(&server, UNITS, &[]).table();
    let token = server.run(&["token", "--subject", "lan", "--for", "1h"]);
    assert_eq!(token.code, Some(0), "{token:?}");
    let token = token.out.trim();
    let list = || server.run(&["contacts", "list", "09400", "--token", token]);
    assert!(list().err.starts_with("PERMISSION_DENIED ROLE_MISSING: "), "{:?}", list());
    let grant = server.run(&[
        "grants",
        "add",
        "lan",
        "reader@24",
        "--reason",
        "Quyết định 1/QĐ",
        "--output",
        "json",
    ]);
    let grant = grant.json();
    assert_eq!((&grant["role"], &grant["everything"]), (&json!("READER"), &json!(false)));
    assert!(list().table().contains("Nothing."), "{:?}", list());
    let id = grant["name"].as_str().unwrap().trim_start_matches("grants/");
    let listed = server.run(&["grants", "list", "--subject", "lan"]);
    assert!(
        listed.table().contains("lan: reader over 24 Tỉnh Bắc Ninh") && listed.out.contains(id),
        "{}",
        listed.out
    );
    let revoked = server.run(&["grants", "revoke", id, "--reason", "hết nhiệm kỳ"]);
    assert!(revoked.table().contains("hết nhiệm kỳ"), "{}", revoked.out);
    assert!(list().err.starts_with("PERMISSION_DENIED ROLE_MISSING: "), "{:?}", list());
    assert!(server.run(&["grants", "list"]).table().contains("Nothing."));
    assert!(server.run(&["grants", "list", "--ended"]).table().contains(id));
    let service = server.run(&["grants", "add", "lan", "service", "--reason", "x"]);
    assert_eq!(service.code, Some(1), "{service:?}");
}

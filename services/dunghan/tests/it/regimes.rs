//! `dunghan regimes` beside a server of its own.

use crate::binary::Serving;

const UNITS: &str = "code,name,type,parent_code,level\n\
    24,Tỉnh Bắc Ninh,tinh,,province\n09427,Phường Trí Quả,phuong,24,commune\n09430,Xã A,xa,24,commune\n";

fn regime(id: &str, from: &str, more: &str) -> String {
    format!(
        r#"{{"name": "{id}", "display_name": "Báo cáo {id}", "legal_basis": "Minh họa",
            "illustrative": true, "form": "ii06a-1", "receiving_level": "province",
            "frequency": "quarter", "working_days_after_cut_off": 3,
            "debtors": {{"levels": ["commune"]}}, "from_date": "{from}"{more}}}"#
    )
}

#[test]
fn the_regimes_that_come_with_the_program_are_put_in_force_once() {
    let server = Serving::start();
    let units = server.file("units.csv", UNITS);
    server.run(&["units", "import", units.to_str().unwrap()]).table();
    let import = ["regimes", "import", "--bundled", "--output", "json"];
    let tried = server.run(&[&import[..], &["--dry-run"]].concat()).json();
    assert_eq!(tried["created"].as_array().unwrap().len(), 6, "{tried}");
    assert_eq!(server.run(&["regimes", "list"]).table().trim(), "Nothing.");
    let created = server.run(&import).json();
    assert_eq!(created["created"], tried["created"]);
    assert_eq!(created["dry_run"], false);
    // The illustrative form holds all that form II.06a asks for.
    let hinted = &created["overlaps"][0];
    assert_eq!(
        (&hinted["created"], &hinted["regime"]),
        (&"regimes/cds-quy".into(), &"regimes/ii06a-quy".into())
    );
    assert_eq!(hinted["unit_count"], 2);
    let again = server.run(&import).json();
    assert_eq!(again["created"].as_array().unwrap().len(), 0, "{again}");
    assert_eq!(again["unchanged"], created["created"]);

    // What the file leaves open its family has filled in.
    let shown = server.run(&["regimes", "show", "thanh-tra-quy", "--output", "json"]).json();
    assert_eq!(
        (&shown["cut_off_as_declared"], &shown["day_of_month"]["day"]),
        (&true.into(), &17.into())
    );
    let onward = &shown["onward_tiers"][0];
    assert_eq!(
        (&onward["receiving_agency"], &onward["day_of_month"]["day"]),
        (&"Thanh tra Chính phủ".into(), &20.into())
    );
    let shown = server.run(&["regimes", "show", "ii06a-nam"]);
    let text = shown.table();
    assert!(text.contains("to Văn phòng Chính phủ: 25 of the last month"), "{text}");
    let families = server.run(&["regimes", "families"]);
    assert!(families.table().contains("tt06-2025-ttcp"), "{}", families.out);
    let list = server.run(&["regimes", "list"]);
    assert!(list.table().contains("cut-off + 3 working"), "{}", list.out);
    let families = server.run(&["regimes", "families", "--output", "json"]).json();
    assert_eq!(families["families"].as_array().unwrap().len(), 4);
}

#[test]
fn a_regime_that_was_amended_is_the_one_that_was_put_in_force() {
    let server = Serving::start();
    let units = server.file("units.csv", UNITS);
    server.run(&["units", "import", units.to_str().unwrap()]).table();
    let amending = regime("sau", "2026-07-01", r#", "amends": "truoc""#);
    let both = format!("[{}, {amending}]", regime("truoc", "2026-01-01", ""));
    let file = server.file("regimes.json", &both);
    let import = ["regimes", "import", file.to_str().unwrap(), "--output", "json"];
    // What amends another of the same file can be judged when that one is in force.
    let tried = server.run(&[&import[..], &["--dry-run"]].concat()).json();
    let told = (&tried["created"], &tried["unchecked"]);
    assert_eq!(told, (&serde_json::json!(["regimes/truoc"]), &serde_json::json!(["regimes/sau"])));
    let created = server.run(&import).json();
    assert_eq!(created["created"], serde_json::json!(["regimes/truoc", "regimes/sau"]));
    let again = server.run(&import).json();
    assert_eq!(again["unchanged"], serde_json::json!(["regimes/truoc", "regimes/sau"]));
    let names = |as_of: &str| {
        let list = server.run(&["regimes", "list", "--as-of", as_of, "--output", "json"]).json();
        let regimes = list["regimes"].as_array().unwrap();
        regimes.iter().map(|regime| regime["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("2026-06-30"), ["regimes/truoc"]);
    assert_eq!(names("2026-07-01"), ["regimes/sau"]);
    // Beside what is in force, the same form is not asked of the same units again.
    let beside = server.file("beside.json", format!("[{}]", regime("khac", "2026-09-01", "")));
    let refused = server.run(&["regimes", "import", beside.to_str().unwrap(), "--dry-run"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let expected = "regimes/khac: FAILED_PRECONDITION REGIME_CONTRADICTS: regimes/sau ";
    assert!(refused.err.starts_with(expected), "{refused:?}");
    // A file that says otherwise than what is in force is not taken for the same.
    let other = server.file("other.json", both.replace("Minh họa", "Khác"));
    let refused = server.run(&["regimes", "import", other.to_str().unwrap()]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for name in ["regimes/truoc", "regimes/sau"] {
        let said = format!("{name}: ALREADY_EXISTS REGIME_EXISTS: ");
        assert!(refused.err.lines().any(|line| line.starts_with(&said)), "{refused:?}");
    }
}

#[test]
fn nothing_of_a_file_is_put_in_force_where_one_regime_is_refused_and_each_refusal_is_named() {
    let server = Serving::start();
    let units = server.file("units.csv", UNITS);
    server.run(&["units", "import", units.to_str().unwrap()]).table();
    let good = regime("tot", "2026-01-01", "");
    let nowhere = regime("vo-don-vi", "2026-01-01", "")
        .replace(r#""debtors": {"levels": ["commune"]}"#, r#""debtors": {"subtree": "99"}"#);
    let no_form = regime("vo-mau", "2026-01-01", "").replace("ii06a-1", "khong-co");
    let file = server.file("regimes.json", format!("[{good}, {nowhere}, {no_form}]"));
    for more in [&[][..], &["--dry-run"]] {
        let import = [&["regimes", "import", file.to_str().unwrap()], more].concat();
        let refused = server.run(&import);
        assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""), "{refused:?}");
        let names: Vec<_> =
            refused.err.lines().filter(|line| line.starts_with("regimes/")).collect();
        assert_eq!(names.len(), 2, "{refused:?}");
        assert!(names[0].starts_with("regimes/vo-don-vi: NOT_FOUND CODE_NOT_FOUND: "), "{names:?}");
        assert!(names[1].starts_with("regimes/vo-mau: "), "{names:?}");
        assert!(names[1].contains("UNKNOWN_FORM"), "{names:?}");
        assert_eq!(server.run(&["regimes", "list"]).table().trim(), "Nothing.");
    }
    // Which of the two that are asked for is not said.
    assert_eq!(server.run(&["regimes", "import"]).code, Some(2));
}

#[test]
fn what_is_created_before_two_regimes_of_a_file_turn_out_to_contradict_each_other_is_told() {
    let server = Serving::start();
    let units = server.file("units.csv", UNITS);
    server.run(&["units", "import", units.to_str().unwrap()]).table();
    let [first, same, last] = ["mot", "hai", "ba"].map(|id| regime(id, "2026-01-01", ""));
    let last = last.replace("quarter", "year");
    let file = server.file("regimes.json", format!("[{first}, {same}, {last}]"));
    let import = ["regimes", "import", file.to_str().unwrap()];
    // By itself each is good.
    let tried = server.run(&[&import[..], &["--dry-run", "--output", "json"]].concat()).json();
    assert_eq!(tried["created"].as_array().unwrap().len(), 3, "{tried}");
    let ended = server.run(&import);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let said = "regimes/mot: put in force\nregimes/hai: refused\nregimes/ba: not tried\n";
    assert_eq!(ended.out, said, "{ended:?}");
    let why = "regimes/hai: FAILED_PRECONDITION REGIME_CONTRADICTS: regimes/mot ";
    assert!(ended.err.starts_with(why), "{ended:?}");
    let list = server.run(&["regimes", "list", "--output", "json"]).json();
    assert_eq!(list["regimes"].as_array().unwrap().len(), 1, "{list}");
    // With what contradicts taken out, the same command does the rest.
    let file = server.file("mended.json", format!("[{first}, {last}]"));
    let mended =
        server.run(&["regimes", "import", file.to_str().unwrap(), "--output", "json"]).json();
    let told = (&mended["unchanged"], &mended["created"], &mended["failed"]);
    let expected = [serde_json::json!(["regimes/mot"]), serde_json::json!(["regimes/ba"])];
    assert_eq!(told, (&expected[0], &expected[1], &serde_json::Value::Null));
}

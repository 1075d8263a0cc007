//! `dunghan forms`, `reports` and `attachments`, on 18/05/2026.

use serde_json::{Value, json};

use crate::binary::{Serving, run_in};

/// As the other regime, but each quarter and with a level of review.
const REVIEWED: &str = r#"[{"name": "cds-duyet", "display_name": "Báo cáo có duyệt", "legal_basis": "Minh họa",
    "illustrative": true, "form": "cds-1", "receiving_level": "province", "frequency": "quarter",
    "working_days_after_cut_off": 3, "review_levels": 1, "debtors": {"levels": ["commune"]},
    "from_date": "2024-01-01"}]"#;

const OF: [&str; 5] = ["09427", "--regime", "cds-24", "--period", "202605"];

fn with<'a>(parts: &[&[&'a str]]) -> Vec<&'a str> {
    parts.concat()
}

/// A report with one figure, and a percentage beside it.
fn report(stated: &str) -> String {
    json!({
        "unit": "09427",
        "regime": "cds-24",
        "period": "202605",
        "document": {"number": "103", "symbol": "BC-UBND", "document_date": "2026-05-18"},
        "values": [
            {"indicator": "dossiers_received_total", "count": 550},
            {
                "indicator": "dossiers_received_online",
                "ratio": {"numerator": 465, "denominator": 550},
                "stated_percent": stated,
            },
            {"indicator": "dossiers_resolved_total", "count": null},
        ],
    })
    .to_string()
}

#[test]
fn a_report_is_begun_from_a_file_to_fill_in_checked_handed_over_and_told_apart_by_revision() {
    let server = Serving::on_18_may_2026();
    let new = with(&[&["reports", "new"], &OF, &["--file", "may.json"]]);
    let written = server.run(&new);
    assert_eq!((written.code, written.out.as_str()), (Some(0), ""), "{written:?}");
    let again = server.run(&new);
    assert_eq!(again.code, Some(1), "what was filled in is not written over: {again:?}");
    let path = server.file("beside", "").with_file_name("may.json");
    let blank: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let values = blank["values"].as_array().unwrap();
    assert!(values.len() > 50, "{}", values.len());
    let online = values.iter().find(|one| one["indicator"] == "dossiers_received_online");
    assert_eq!(online.unwrap()["count"], Value::Null);
    // As it is, it says nothing, and that is not zero.
    let empty = server.run(&["reports", "check", "may.json"]);
    assert!(empty.table().contains("Báo cáo chưa có số liệu nào."), "{}", empty.out);

    server.file("wrong.json", report("48.54"));
    let checked = server.run(&["reports", "check", "wrong.json"]);
    let text = checked.table();
    for shown in ["State   draft", "1 error\n", "465/550 = 84,55 %; báo cáo ghi 48,54 %"] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    let show = with(&[&["reports", "show"], &OF, &["--output", "json"]]);
    let found = server.run(&show).json();
    let wrong = found["findings"].as_array().unwrap().iter();
    let wrong = wrong.clone().find(|one| one["rule"] == "percent_recomputed").unwrap();
    assert_eq!(wrong["values"][0]["figure"], "465/550 (48,54 %)", "{wrong:#}");
    assert!(wrong["message_en"].as_str().is_some_and(|text| !text.is_empty()), "{wrong:#}");
    let key = wrong["key"].as_str().unwrap();
    let answer = ["--finding", key, "--text", "Đảo chữ số khi đánh máy."];
    let justified = server.run(&with(&[&["reports", "justify"], &OF, &answer]));
    assert!(justified.table().contains("Answer: Đảo chữ số khi đánh máy."), "{}", justified.out);

    assert!(server.run(&["reports", "submit", "wrong.json"]).table().contains("submitted"));
    let until = ["--reason", "Sửa tỷ lệ trực tuyến.", "--until", "2026-05-20"];
    let back = server.run(&with(&[&["reports", "return"], &OF, &until]));
    assert!(back.table().contains("returned"), "{}", back.out);
    server.file("right.json", report("84.55"));
    assert!(server.run(&["reports", "submit", "right.json"]).table().contains("submitted"));
    let diff = server.run(&with(&[&["reports", "diff"], &OF]));
    let text = diff.table();
    assert!(text.starts_with("From revision 1 to the report as it stands\n"), "{text}");
    assert!(text.contains("48,54") && text.contains("84,55"), "{text}");
    assert!(!text.contains("550\n  - "), "what is the same is not told: {text}");
    let acts = server.run(&with(&[&["reports", "acts"], &OF]));
    for shown in ["submitted", "returned", "Sửa tỷ lệ trực tuyến."] {
        assert!(acts.table().contains(shown), "{shown}: {}", acts.out);
    }
}

#[test]
fn a_receipt_is_kept_and_checked_and_one_that_was_altered_is_refused() {
    let server = Serving::on_18_may_2026();
    server.file("may.json", report("84.55"));
    server.run(&["reports", "submit", "may.json"]).table();
    let get = with(&[&["reports", "receipt", "get"], &OF, &["--file", "receipt.txt"]]);
    let got = server.run(&get);
    assert!(got.table().contains("Phường Trí Quả"), "{}", got.out);
    let again = server.run(&get);
    assert_eq!(again.code, Some(1), "a receipt is not written over: {again:?}");
    let verify = ["reports", "receipt", "verify", "receipt.txt", "--output", "json"];
    let verified = server.run(&verify).json();
    assert_eq!((&verified["matches"], &verified["stands"]), (&true.into(), &true.into()));
    let path = server.file("beside", "").with_file_name("receipt.txt");
    let receipt = std::fs::read_to_string(path).unwrap();
    let middle = receipt.len() / 2;
    let other = if &receipt[middle..=middle] == "A" { "B" } else { "A" };
    let altered = format!("{}{other}{}", &receipt[..middle], &receipt[middle + 1..]);
    server.file("altered.txt", altered);
    let refused = server.run(&["reports", "receipt", "verify", "altered.txt"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("RECEIPT_ALTERED"), "{refused:?}");
    let keys = server.run(&["reports", "receipt", "keys"]);
    server.file("keys.json", &keys.out);
    let keys: Value = serde_json::from_str(&keys.out).unwrap();
    assert_eq!(
        (&keys["keys"][0]["kty"], &keys["keys"][0]["crv"]),
        (&"OKP".into(), &"Ed25519".into())
    );
    // Taken back, it was received all the same, and does not count.
    let withdraw = with(&[&["reports", "withdraw"], &OF, &["--reason", "Nhầm đơn vị."]]);
    server.run(&withdraw).table();
    let verified = server.run(&verify);
    assert_eq!(verified.code, Some(1), "what does not hold is no success: {verified:?}");
    assert!(verified.err.contains("does not count as received"), "{verified:?}");
    let verified: Value = serde_json::from_str(&verified.out).unwrap();
    assert_eq!((&verified["matches"], &verified["stands"]), (&true.into(), &false.into()));

    // By the keys alone anybody reads it, without a token, and where no server is.
    let folder = server.file("beside", "").parent().unwrap().to_owned();
    let by_keys = |receipt, more: &[&str]| {
        let verify = ["reports", "receipt", "verify", receipt, "--keys", "keys.json"];
        let nowhere = ["--address", "http://127.0.0.1:9", "--data-dir", "nowhere"];
        run_in(&folder, &with(&[&verify, &nowhere, more]))
    };
    let read = by_keys("receipt.txt", &[]);
    for shown in ["Phường Trí Quả", "Signed by these keys  yes", "not asked"] {
        assert!(read.table().contains(shown), "{shown}: {}", read.out);
    }
    let read = by_keys("receipt.txt", &["--output", "json"]).json();
    assert_eq!((&read["revision"], &read["stands"]), (&1.into(), &Value::Null));
    let refused = by_keys("altered.txt", &[]);
    assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""), "{refused:?}");
    assert!(refused.err.contains("was not signed by one of these keys"), "{refused:?}");
    server.file("keys.json", r#"{"keys": [{"kty": "RSA"}]}"#);
    let refused = by_keys("receipt.txt", &[]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("keys.json: has no key"), "{refused:?}");
}

#[test]
fn what_was_not_read_is_not_accepted() {
    let server = Serving::on_18_may_2026();
    let file = server.file("reviewed.json", REVIEWED);
    server.run(&["regimes", "import", file.to_str().unwrap()]).table();
    let of = ["09427", "--regime", "cds-duyet", "--period", "2026Q1"];
    let reviewed =
        |stated: &str| report(stated).replace("cds-24", "cds-duyet").replace("202605", "2026Q1");
    server.file("first.json", reviewed("84.55"));
    let first = server.run(&["reports", "submit", "first.json"]);
    assert!(first.table().contains("Revision  1"), "{}", first.out);
    // While it is being read, the unit takes it back and hands over something else.
    server.run(&with(&[&["reports", "withdraw"], &of, &["--reason", "Nhầm."]])).table();
    server.file("second.json", reviewed("84.54"));
    server.run(&["reports", "submit", "second.json"]).table();

    let token = server.run(&["token", "--subject", "lan", "--grant", "supervisor@24"]);
    let accept = |more: &[&str]| {
        let token = ["--token", token.out.trim()];
        server.run(&with(&[&["reports", "accept"], &of, more, &token]))
    };
    let blind = accept(&[]);
    assert_eq!(blind.code, Some(2), "{blind:?}");
    let first = accept(&["--revision", "1"]);
    assert_eq!(first.code, Some(1), "{first:?}");
    assert!(first.err.contains("revision 1 was read and revision 2 stands"), "{first:?}");
    let by_etag = accept(&["--etag", "\"1\""]);
    assert!(by_etag.err.contains("ETAG_MISMATCH"), "{by_etag:?}");
    let accepted = accept(&["--revision", "2", "--comment", "Đủ."]);
    assert!(accepted.table().contains("1 of 1 by lan"), "{}", accepted.out);
}

#[test]
fn a_nil_report_says_in_one_call_that_nothing_occurred() {
    let server = Serving::on_18_may_2026();
    let document = ["--document", "15/BC-UBND", "--dated", "2026-05-18"];
    let nil = with(&[&["reports", "nil"], &OF, &document, &["--output", "json"]]);
    let report = server.run(&nil).json();
    assert_eq!((&report["state"], &report["nil"]), (&"SUBMITTED".into(), &true.into()));
    assert_eq!(report["document"]["symbol"], "BC-UBND");
    assert_eq!(report["values"], json!([]));
    // The regime asks for no review.
    let accept = server.run(&with(&[&["reports", "accept"], &OF, &["--revision", "1"]]));
    assert_eq!(accept.code, Some(1), "{accept:?}");
    assert!(accept.err.contains("NO_REVIEW_ASKED"), "{accept:?}");
}

#[test]
fn files_are_put_on_a_report_fetched_taken_off_and_erased() {
    let server = Serving::on_18_may_2026();
    server.file("may.json", report("84.55"));
    server.run(&["reports", "check", "may.json"]).table();
    server.file("Phụ lục.txt", "Danh sách thủ tục.\n");
    let add = with(&[&["attachments", "add"], &OF, &["--file", "Phụ lục.txt"]]);
    let added = server.run(&with(&[&add, &["--output", "json"]])).json();
    assert_eq!(added["file_name"], "Phụ lục.txt");
    assert!(added["media_type"].as_str().unwrap().starts_with("text/plain"), "{added:#}");
    let name = added["name"].as_str().unwrap();
    let get = ["attachments", "get", name, "--file", "got.txt"];
    // Somebody's own, whatever it is called.
    let part = server.file("got.txt.part", "của tôi");
    let folder = part.parent().unwrap();
    let names = || std::fs::read_dir(folder).unwrap().map(|one| one.unwrap().file_name());
    let before = names().count();
    server.run(&get).table();
    assert_eq!(std::fs::read_to_string(&part).unwrap(), "của tôi");
    assert_eq!(names().count(), before + 1, "nothing is left but the file");
    let got = part.with_file_name("got.txt");
    assert_eq!(std::fs::read_to_string(&got).unwrap(), "Danh sách thủ tục.\n");
    let again = server.run(&get);
    assert_eq!(again.code, Some(2), "nothing is written over: {again:?}");
    let large = server.file("large.pdf", "%PDF-");
    std::fs::File::options().write(true).open(&large).unwrap().set_len((50 << 20) + 1).unwrap();
    let large = [&["attachments", "add"][..], &OF, &["--file", "large.pdf"]];
    let large = server.run(&with(&large));
    assert!(large.code == Some(2) && large.err.contains("larger than 50 MiB"), "{large:?}");
    server.file("BÁO CÁO (Mật).txt", "Danh sách.\n");
    let secret = with(&[&["attachments", "add"], &OF, &["--file", "BÁO CÁO (Mật).txt"]]);
    let secret = server.run(&secret);
    assert!(secret.err.contains("SECRECY_REFUSED"), "{secret:?}");
    server.run(&["attachments", "erase", name, "--reason", "Có dữ liệu cá nhân."]).table();
    let list = server.run(&with(&[&["attachments", "list"], &OF]));
    assert!(list.table().contains("erased"), "{}", list.out);
    let gone = server.run(&["attachments", "get", name, "--file", "gone.txt"]);
    assert!(gone.err.contains("ATTACHMENT_ERASED"), "{gone:?}");
}

/// A report of a unit, on one line.
fn line(unit: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut line: Value = serde_json::from_str(&report("84.55")).unwrap();
    line["unit"] = unit.into();
    change(&mut line);
    format!("{line}\n")
}

#[test]
fn thousands_of_lines_are_tried_first_and_a_bad_one_is_named_with_its_line() {
    const MANY: usize = 2000;
    let server = Serving::on_18_may_2026();
    let code = |at: usize| format!("x/{at}");
    let mut units = "scheme,code,name,type,parent_code,parent_scheme,level\n".to_owned();
    for at in 1..=MANY {
        units += &format!("x,{at},Xã Số {at},xa,24,nso,commune\n");
    }
    server.file("many.csv", units);
    server.run(&["units", "import", "many.csv"]).table();
    let good: Vec<_> = (1..=MANY).map(|at| line(&code(at), |_| {})).collect();
    server.file("all.jsonl", good.concat());
    let mut bad = good.clone();
    bad[6] = line(&code(7), |one| one["values"][0]["indicator"] = "nothing_like_it".into());
    bad[1499] = line(&code(1500), |one| one["values"][1]["ratio"]["numerator"] = 551.into());
    bad[1999] = good[0].clone();
    server.file("bad.jsonl", bad.concat());

    // What the server refuses: each with its line, and as JSON each row.
    let import = |file, more: &[&str]| {
        server.run(&with(&[&["reports", "import", file, "--below", "24", "--submit"], more]))
    };
    for dry_run in [&["--dry-run"][..], &[]] {
        let refused = import("bad.jsonl", dry_run);
        assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""), "{refused:?}");
        let lines: Vec<_> = refused.err.lines().collect();
        let begins =
            ["line 7, ", "line 1500, ", "line 2000, unit: ", "3 of 2000 reports are refused"];
        assert_eq!(lines.len(), begins.len(), "{lines:#?}");
        for (line, begin) in lines.iter().zip(begins) {
            assert!(line.starts_with(begin), "{line}");
        }
    }
    let refused = import("bad.jsonl", &["--output", "json"]);
    assert_eq!(refused.code, Some(2), "{}", refused.err);
    let told: Value = serde_json::from_str(&refused.out).unwrap();
    assert_eq!((&told["state"], &told["refused_count"]), (&"REFUSED".into(), &3.into()));
    let rows = told["rows"].as_array().unwrap();
    assert_eq!(rows.len(), MANY);
    let reasons = [6, 1499, 1999].map(|at| rows[at]["refusal"]["reason"].as_str().unwrap());
    assert_eq!(reasons, ["UNKNOWN_INDICATOR", "PART_EXCEEDS_WHOLE", "DUPLICATE_ROW"]);

    // What was tried is applied as it is, by the command that the dry run prints.
    let tried = import("all.jsonl", &["--dry-run"]);
    assert!(tried.table().contains("tried only"), "{}", tried.out);
    let list = ["reports", "list", "24", "--output", "json"];
    assert_eq!(server.run(&list).json()["reports"], json!([]));
    let (_, command) = tried.out.split_once("  dunghan ").unwrap();
    let command: Vec<_> = command.split_whitespace().filter(|word| *word != "\\").collect();
    let again = server.run(&with(&[&command, &["--dry-run", "--output", "json"]])).json();
    assert_eq!((&again["state"], &again["created_count"]), (&"STAGED".into(), &MANY.into()));
    let done = server.run(&with(&[&command, &["--output", "json"]])).json();
    assert_eq!((&done["state"], &done["submitted_count"]), (&"COMMITTED".into(), &MANY.into()));
    let again = import("all.jsonl", &["--output", "json"]).json();
    assert_eq!(again["unchanged_count"], MANY, "{}", again["state"]);
}

#[test]
fn lines_that_do_not_read_or_name_no_unit_are_all_told_before_anything_is_sent() {
    let server = Serving::on_18_may_2026();
    let import = ["reports", "import", "bad.jsonl", "--below", "24"];
    server.file("bad.jsonl", format!("{}{{\"unit\": 3}}\n[]\n", line("09430", |_| {})));
    let bad = server.run(&import);
    assert_eq!(bad.code, Some(2), "{bad:?}");
    assert!(bad.err.contains("line 2") && bad.err.contains("line 3"), "{bad:?}");
    let agency = |one: &mut Value| one["submitting_unit"] = "99998".into();
    let lines = [line("99999", |_| {}), line("09427", agency), line("99999", |_| {})];
    server.file("bad.jsonl", lines.concat());
    let bad = server.run(&import);
    assert_eq!(bad.code, Some(2), "{bad:?}");
    let begins = ["line 1, unit: ", "line 2, submitting_unit: ", "line 3, unit: "];
    let lines: Vec<_> = bad.err.lines().collect();
    assert_eq!(lines.len(), begins.len(), "{lines:#?}");
    for (line, begin) in lines.iter().zip(begins) {
        assert!(line.starts_with(begin), "{line}");
    }
}

#[test]
fn codes_of_imported_lines_are_meant_on_the_date_that_is_given() {
    let server = Serving::on_18_may_2026();
    // The code 27787 was one commune's until the reform, and is another's since.
    let units = "code,name,type,parent_code,level,valid_from,valid_through\n\
        27787,Phường 1,phuong,24,commune,,2025-06-30\n\
        27787,Phường Kiến Tường,phuong,24,commune,2025-07-01,\n";
    server.file("reused.csv", units);
    server.run(&["units", "import", "reused.csv"]).table();
    let file = server.file("2024.json", REVIEWED);
    server.run(&["regimes", "import", file.to_str().unwrap()]).table();
    let of_2024 = |one: &mut Value| {
        one["regime"] = "cds-duyet".into();
        one["period"] = "2024Q3".into();
    };
    let agency = |one: &mut Value| {
        of_2024(one);
        one["submitting_unit"] = "27787".into();
    };
    server.file("2024.jsonl", line("27787", of_2024));
    let import = |more: &[&str]| {
        let import = ["reports", "import", "2024.jsonl", "--below", "24", "--output", "json"];
        server.run(&with(&[&import, more]))
    };
    let unit = |date| {
        let show = ["units", "show", "27787", "--as-of", date, "--output", "json"];
        server.run(&show).json()["name"].clone()
    };
    assert_ne!(unit("2024-09-14"), unit("2026-05-18"));
    let done = import(&["--as-of", "2024-09-14"]).json();
    assert_eq!(done["rows"][0]["unit"], unit("2024-09-14"), "{done:#}");
    // Today the code is the other's, which did not exist then; and what the line says itself comes first.
    assert_eq!(import(&[]).code, Some(2));
    server.file("2024.jsonl", line("27787:2024-09-14", of_2024));
    let same = import(&[]).json();
    assert_eq!(same["unchanged_count"], 1, "{same:#}");
    // The agency's code too is meant on that date: it is the unit itself, and so none of its agencies.
    server.file("2024.jsonl", line("27787", agency));
    let told: Value = serde_json::from_str(&import(&["--as-of", "2024-09-14"]).out).unwrap();
    assert_eq!(told["rows"][0]["refusal"]["reason"], "NOT_ITS_AGENCY", "{told:#}");
}

#[test]
fn a_form_is_tried_published_shown_and_retired() {
    let server = Serving::on_18_may_2026();
    let form = |expression: &str| {
        format!(
            "key = \"xe-1\"\ndisplay_name = \"Xe công\"\nlegal_basis = \"Kế hoạch số 1\"\n\
             [[indicator]]\nkey = \"cars\"\ndisplay_name = \"Số xe\"\nkind = \"stock\"\n\
             [[indicator]]\nkey = \"cars_used\"\ndisplay_name = \"Số xe đang dùng\"\nkind = \"stock\"\n\
             [[rule]]\nkey = \"used\"\nexpression = \"{expression}\"\n\
             message = \"Số xe đang dùng nhiều hơn số xe.\"\n"
        )
    };
    server.file("bad.toml", form("v.cars_used <= v.car"));
    let bad = server.run(&["forms", "publish", "bad.toml", "--dry-run"]);
    assert_eq!(bad.code, Some(2), "{bad:?}");
    assert!(bad.err.contains("car") && bad.err.contains("rule"), "{bad:?}");
    server.file("good.toml", form("v.cars_used <= v.cars"));
    let tried = server.run(&["forms", "publish", "good.toml", "--dry-run"]);
    assert!(tried.table().contains("nothing is published"), "{}", tried.out);
    server.run(&["forms", "publish", "good.toml"]).table();
    let shown = server.run(&["forms", "show", "xe-1"]);
    for part in ["Xe công", "cars_used", "v.cars_used <= v.cars"] {
        assert!(shown.table().contains(part), "{part}: {}", shown.out);
    }
    let twice = server.run(&["forms", "publish", "good.toml"]);
    assert!(twice.err.contains("FORM_EXISTS"), "{twice:?}");
    server.run(&["forms", "retire", "xe-1", "--reason", "Đã có mẫu mới."]).table();
    let list = server.run(&["forms", "list", "--output", "json"]).json();
    let retired = list["forms"].as_array().unwrap().iter().find(|one| one["name"] == "forms/xe-1");
    assert_eq!(retired.unwrap()["retire_reason"], "Đã có mẫu mới.");
    assert!(server.run(&["forms", "list"]).table().contains("ii06a-1"));
}

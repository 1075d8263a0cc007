//! `dunghan forms`, `reports`, `attachments` and `arrivals`, on 18/05/2026.

use serde_json::{Value, json};

use crate::binary::Serving;

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
    let keys: Value = serde_json::from_str(&keys.out).unwrap();
    assert_eq!(
        (&keys["keys"][0]["kty"], &keys["keys"][0]["crv"]),
        (&"OKP".into(), &"Ed25519".into())
    );
    // Taken back, it was received all the same, and does not count.
    let withdraw = with(&[&["reports", "withdraw"], &OF, &["--reason", "Nhầm đơn vị."]]);
    server.run(&withdraw).table();
    let verified = server.run(&verify).json();
    assert_eq!(verified["stands"], false, "{verified:#}");
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
    let accept = server.run(&with(&[&["reports", "accept"], &OF]));
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
    server.run(&get).table();
    let got = server.file("beside", "").with_file_name("got.txt");
    assert_eq!(std::fs::read_to_string(&got).unwrap(), "Danh sách thủ tục.\n");
    let again = server.run(&get);
    assert_eq!(again.code, Some(2), "nothing is written over: {again:?}");
    let secret = server.run(&with(&[&add, &["--secrecy", "Mật"]]));
    assert!(secret.err.contains("SECRECY_REFUSED"), "{secret:?}");
    server.run(&["attachments", "erase", name, "--reason", "Có dữ liệu cá nhân."]).table();
    let list = server.run(&with(&[&["attachments", "list"], &OF]));
    assert!(list.table().contains("erased"), "{}", list.out);
    let gone = server.run(&["attachments", "get", name, "--file", "gone.txt"]);
    assert!(gone.err.contains("ATTACHMENT_ERASED"), "{gone:?}");
}

#[test]
fn thousands_of_lines_are_tried_first_and_a_bad_one_is_named_with_its_line() {
    let server = Serving::on_18_may_2026();
    let line = |unit: &str| {
        let report: Value = serde_json::from_str(&report("84.55")).unwrap();
        let mut report = report;
        report["unit"] = unit.into();
        report.to_string()
    };
    server.file("all.jsonl", format!("{}\n{}\n", line("09427"), line("09430")));
    let import = ["reports", "import", "all.jsonl", "--below", "24", "--submit"];
    let json = ["--output", "json"];
    let tried = server.run(&with(&[&import, &["--dry-run"], &json])).json();
    assert_eq!((&tried["state"], &tried["created_count"]), (&"STAGED".into(), &2.into()));
    let none = server.run(&["reports", "list", "--unit", "24", "--output", "json"]).json();
    assert_eq!(none["reports"], json!([]));
    let done = server.run(&with(&[&import, &json])).json();
    assert_eq!((&done["state"], &done["submitted_count"]), (&"COMMITTED".into(), &2.into()));
    let again = server.run(&with(&[&import, &json])).json();
    assert_eq!(again["unchanged_count"], 2, "{again:#}");
    server.file("bad.jsonl", format!("{}\n{{\"unit\": 3}}\n", line("09430")));
    let bad = server.run(&["reports", "import", "bad.jsonl", "--below", "24"]);
    assert_eq!(bad.code, Some(2), "{bad:?}");
    assert!(bad.err.contains("line 2"), "{bad:?}");
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

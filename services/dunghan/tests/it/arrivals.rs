//! `dunghan arrivals`, and what a report makes of them, on 18/05/2026.

use serde_json::json;

use crate::binary::Serving;

/// Both communes with the codes that document systems know them by.
const CODES: &str = "scheme,code,name,type,parent_code,parent_scheme,level,origin_code,origin_scheme\n\
    dinh_danh,H05.27,Phường Trí Quả,phuong,24,nso,commune,09427,nso\n\
    dinh_danh,H05.30,Xã Đông Cứu,xa,24,nso,commune,09430,nso\n";

const HEAD: &str =
    "arrival_number,arrival_time,sender_agency_code,document_number,document_symbol,document_date";

const RECORD: [&str; 5] = ["arrivals", "record", "arrivals.csv", "--unit", "24"];

fn report(unit: &str, number: &str) -> String {
    json!({
        "unit": unit,
        "regime": "cds-24",
        "period": "202605",
        "document": {"number": number, "symbol": "BC-UBND", "document_date": "2026-05-18"},
        "values": [{"indicator": "dossiers_received_total", "count": 550}],
    })
    .to_string()
}

fn start() -> Serving {
    let server = Serving::on_18_may_2026();
    server.file("codes.csv", CODES);
    server.run(&["units", "import", "codes.csv"]).table();
    server
}

#[test]
fn what_arrived_is_noted_once_and_is_when_the_report_was_received() {
    let server = start();
    server.file(
        "arrivals.csv",
        format!("{HEAD}\n215,2026-05-18T07:30,H05.27,103,BC-UBND,18/05/2026\n"),
    );
    let text = server.run(&RECORD);
    for shown in ["Arrivals      1", "Noted before  0", "103/BC-UBND", "none yet"] {
        assert!(text.table().contains(shown), "{shown}: {}", text.out);
    }
    assert!(server.run(&RECORD).table().contains("Noted before  1"));

    server.file("may.json", report("09427", "103"));
    let shown = server.run(&["reports", "submit", "may.json"]);
    for part in ["18/05/2026 07:30", "215 (document system)"] {
        assert!(shown.table().contains(part), "{part}: {}", shown.out);
    }
    assert!(!shown.out.contains("Arrived as"), "what counts is said once: {}", shown.out);
    assert!(server.run(&["arrivals", "list", "24"]).table().contains("received then"));
    assert_eq!(server.run(&["arrivals", "list", "24", "--unmatched"]).table(), "Nothing.\n");
    let listed = server.run(&["arrivals", "list", "24", "--output", "json"]).json();
    let one = &listed["arrivals"][0];
    assert_eq!((&one["ambiguous"], &one["author"]), (&json!(false), &json!("cli")), "{one:#}");
    assert_eq!(one["create_time"], "2026-05-18T08:00:00+07:00", "{one:#}");

    // A sender that there is not is named with its line.
    server
        .file("arrivals.csv", format!("{HEAD}\n216,2026-05-18T07:31,H99,104,BC-UBND,18/05/2026\n"));
    let refused = server.run(&RECORD);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.starts_with("line 2, sender_agency_code: "), "{refused:?}");
}

#[test]
fn what_arrived_after_the_report_is_shown_with_it_and_what_fits_twice_is_said_to() {
    let server = start();
    server.file("may.json", report("09430", "104"));
    server.run(&["reports", "submit", "may.json"]).table();
    let row = |number: &str| format!("{number},2026-05-18T07:30,H05.30,104,BC-UBND,18/05/2026\n");
    server.file("arrivals.csv", format!("{HEAD}\n{}", row("216")));
    assert!(server.run(&RECORD).table().contains("matched"));
    let show = ["reports", "show", "09430", "--regime", "cds-24", "--period", "202605"];
    let shown = server.run(&show);
    let text = shown.table().split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["Received 18/05/2026 08:00", "Arrived as 216 (document system); this did not fix"]
    {
        assert!(text.contains(part), "{part}: {}", shown.out);
    }

    server.file("arrivals.csv", format!("{HEAD}\n{}", row("217")));
    assert!(server.run(&RECORD).table().contains("several fit"));
    let listed = server.run(&["arrivals", "list", "24", "--output", "json"]).json();
    let listed = listed["arrivals"].as_array().unwrap();
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().any(|one| one["ambiguous"] == true), "{listed:#?}");
    // The second was a mistake.
    let void = ["arrivals", "void", "217", "--unit", "24", "--reason", "Nhập nhầm."];
    assert!(server.run(&void).table().contains("void"));
    assert_eq!(server.run(&void).code, Some(1), "there is none under that number any more");
    let listed = server.run(&["arrivals", "list", "24", "--output", "json"]).json();
    let listed = listed["arrivals"].as_array().unwrap();
    let void = listed.iter().find(|one| one["arrival_number"] == "217").unwrap();
    assert_eq!((&void["voider"], &void["void_reason"]), (&json!("cli"), &json!("Nhập nhầm.")));
    let stands = listed.iter().find(|one| one["arrival_number"] == "216").unwrap();
    assert_eq!(stands["ambiguous"], false, "{stands:#}");
}

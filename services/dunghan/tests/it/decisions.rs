//! `dunghan waive`, `extend`, `decisions` and `requests` beside a server of their own, on 18/05/2026.

use crate::binary::Serving;

const MAY: [&str; 4] = ["--regime", "cds-24", "--period", "202605"];
const WHY: [&str; 4] = ["--document", "15/QĐ-UBND", "--reason", "Bão số 3"];
const JSON: [&str; 2] = ["--output", "json"];

fn id(name: &serde_json::Value) -> String {
    name.as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

#[test]
fn a_decision_is_tried_made_listed_shown_and_revoked() {
    let server = Serving::on_18_may_2026();
    let waive = [&["waive", "24", "--below"][..], &MAY, &WHY].concat();
    let tried = server.run(&[&waive[..], &["--dry-run"]].concat());
    let text = tried.table();
    for shown in
        ["Would be   waived", "24 Tỉnh Bắc Ninh, and all below", "2 reports\n", "19/05/2026 waived"]
    {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    assert_eq!(server.run(&["decisions", "list", "24"]).table().trim(), "Nothing.");

    let made = server.run(&[&waive[..], &JSON].concat()).json();
    assert_eq!((&made["waiver"], &made["extension"]), (&true.into(), &serde_json::Value::Null));
    assert_eq!((&made["subtree"], &made["concerned_count"]), (&true.into(), &2.into()));
    assert_eq!(made["concerned"][0]["unit_display_name"], "Phường Trí Quả");
    let id = id(&made["name"]);
    let list = server.run(&["decisions", "list", "09427"]);
    let text = list.table();
    assert!(text.contains("15/QĐ-UBND: 24 Tỉnh Bắc") && text.contains(&id), "{text}");

    let again = server.run(&waive);
    assert_eq!(again.code, Some(1));
    assert!(again.err.contains("ALREADY_WAIVED"), "{}", again.err);
    let revoke = ["decisions", "revoke", &id, "--document", "16/QĐ-UBND", "--reason", "Hết bão"];
    let revoked = server.run(&revoke);
    assert!(revoked.table().contains("Revoked by document  16/QĐ-UBND"), "{}", revoked.out);
    assert!(server.run(&revoke).err.contains("ALREADY_REVOKED"));
    assert_eq!(server.run(&["decisions", "list", "24"]).table().trim(), "Nothing.");
    let list = ["decisions", "list", "24", "--revoked", "--regime", "cds-24"];
    let list = server.run(&[&list[..], &JSON].concat()).json();
    assert_eq!(list["decisions"][0]["revoke_reason"], "Hết bão");
    let whole = format!("decisions/{id}");
    let shown = server.run(&[&["decisions", "show", &whole][..], &JSON].concat()).json();
    assert_eq!(shown, list["decisions"][0]);
}

#[test]
fn an_extension_is_to_a_date_or_by_working_days_and_for_a_period_or_for_due_dates() {
    let server = Serving::on_18_may_2026();
    let by = [&["extend", "24", "--below", "--working-days", "3"][..], &MAY, &WHY].concat();
    let extended = server.run(&by);
    let text = extended.table();
    assert!(text.contains("extended by 3 working days"), "{text}");
    assert!(text.contains("19/05/2026 22/05/2026"), "{text}");
    let range = ["--due-from", "2026-05-15", "--due-through", "15/06/2026"];
    let to = [&["extend", "09427", "--until", "2026-05-29"][..], &range, &WHY].concat();
    let extended = server.run(&[&to[..], &JSON].concat()).json();
    assert_eq!(extended["extension"]["due_date"], "2026-05-29");
    assert_eq!(extended["concerned"][0]["old_due_time"], "2026-05-23T00:00:00+07:00");
    let nearer = [&["extend", "09427", "--until", "2026-05-28"][..], &MAY, &WHY].concat();
    let refused = server.run(&nearer);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("decision.extension.due_date: "), "{}", refused.err);

    let start = ["extend", "24"].as_slice();
    let until = ["--until", "2026-05-29"].as_slice();
    for (args, named) in [
        ([start, &MAY, &WHY].concat(), "--until"),
        ([start, &WHY, until].concat(), "--period"),
        ([start, &MAY[2..], &WHY, until].concat(), "--regime"),
        ([start, &range[..2], &WHY, until].concat(), "--due-through"),
        ([start, &MAY, &WHY, until, &["--working-days", "3"]].concat(), "cannot be used"),
        ([start, &MAY, &range, &WHY, until].concat(), "cannot be used"),
    ] {
        let ran = server.run(&args);
        assert_eq!(ran.code, Some(2), "{args:?}");
        assert!(ran.err.contains(named), "{args:?}: {}", ran.err);
    }
}

#[test]
fn a_request_is_asked_listed_and_granted_refused_or_withdrawn() {
    let server = Serving::on_18_may_2026();
    let ask = |kind: &str, until: &[&str]| {
        let ask = ["requests", "ask", "09427", "--kind", kind, "--reason", "Mất điện ba ngày"];
        server.run(&[&ask[..], &MAY, until, &JSON].concat()).json()
    };
    let until = ["--until", "2026-05-22"];
    let asked = ask("extension", &until);
    assert_eq!((&asked["kind"], &asked["state"]), (&"EXTENSION".into(), &"PENDING".into()));
    let pending = server.run(&["requests", "list", "24", "--state", "pending"]);
    let text = pending.table();
    assert!(
        text.contains("extension to 22/05/2026") && text.contains(&id(&asked["name"])),
        "{text}"
    );

    let grant = ["requests", "grant", "24", &id(&asked["name"]), "--answer", "Đồng ý"];
    let missing = server.run(&grant);
    assert_eq!(missing.code, Some(1));
    assert!(missing.err.contains("document"), "{}", missing.err);
    let grant = [&grant[..], &["--document", "20/UBND-VP", "--until", "2026-05-21"]].concat();
    let granted = server.run(&[&grant[..], &JSON].concat()).json();
    assert_eq!(granted["state"], "GRANTED");
    let decision = id(&granted["decision"]);
    let shown = server.run(&["decisions", "show", &decision]);
    assert!(shown.table().contains("extended to 21/05/2026"), "{}", shown.out);
    assert!(shown.out.contains(&format!("Asked for by  {}", id(&asked["name"]))), "{}", shown.out);
    assert!(server.run(&grant).err.contains("ALREADY_DECIDED"));

    // Whoever is not late has nothing to explain.
    server.file("now", "2026-05-22T08:00:00+07:00");
    let explained = ask("explanation", &[]);
    let refuse = ["requests", "refuse", "09427", &id(&explained["name"]), "--answer", "Chưa rõ"];
    let refused = server.run(&refuse);
    assert!(refused.table().contains("Stands       refused"), "{}", refused.out);
    // By the whole name as well, whatever the unit.
    let other = ask("system_failure", &["--until", "2026-05-25"]);
    let whole = other["name"].as_str().unwrap();
    let withdraw = ["requests", "withdraw", "24", whole];
    let withdrawn = server.run(&withdraw);
    assert!(withdrawn.table().contains("Withdrawn by  cli"), "{}", withdrawn.out);
    let again = server.run(&[&withdraw[..], &JSON].concat());
    assert_eq!(again.json()["state"], "WITHDRAWN");
    let list = server.run(&[&["requests", "list", "24"][..], &JSON].concat()).json();
    assert_eq!(list["requests"].as_array().unwrap().len(), 3);

    let unknown = server.run(&["requests", "withdraw", "24", "none"]);
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown.err.contains("24 and what is below it have no request none"),
        "{}",
        unknown.err
    );
    for (state, named) in [("--state", "pending, granted"), ("--as-of", "such as 2026-05-14")] {
        let ran = server.run(&["requests", "list", "24", state, "x"]);
        assert_eq!(ran.code, Some(2));
        assert!(ran.err.contains(named), "{}", ran.err);
    }
}

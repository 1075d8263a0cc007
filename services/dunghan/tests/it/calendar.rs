//! `dunghan calendar` beside a server of its own, on 18/05/2026.

use crate::binary::Serving;

const WHY: [&str; 4] = ["--basis", "Công điện số 45/CĐ-TTg", "--reason", "Bão số 3 đổ bộ"];
const JSON: [&str; 2] = ["--output", "json"];

#[test]
fn a_storm_day_is_tried_declared_and_shown_with_what_it_moved() {
    let server = Serving::on_18_may_2026();
    let storm = ["calendar", "amend", "--day", "2026-05-19=in_lieu:Nghỉ bão"];
    let storm = [&storm[..], &WHY].concat();
    let tried = server.run(&[&storm[..], &["--dry-run"]].concat());
    let text = tried.table();
    for shown in
        ["nothing is amended", "19/05/2026 in lieu Nghỉ bão", "cds-24", "19/05/2026 20/05/2026"]
    {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    assert_eq!(server.run(&["calendar", "amendments"]).table().trim(), "Nothing.");

    let made = server.run(&[&storm[..], &JSON].concat()).json();
    assert_eq!(made["name"], "calendars/vn/amendments/1");
    assert_eq!((&made["moved_count"], &made["moved"][0]["unit_count"]), (&2.into(), &2.into()));
    assert_eq!(made["moved"][0]["new_due_time"], "2026-05-21T00:00:00+07:00");
    let amendments = server.run(&["calendar", "amendments", "--national", "--output", "json"]);
    assert_eq!(amendments.json()["amendments"][0], made);

    let show = ["calendar", "show", "--from", "2026-05-18", "--through", "31/05/2026"];
    let shown = server.run(&[&show[..], &JSON].concat()).json();
    assert_eq!(shown["days"][0]["display_name"], "Nghỉ bão");
    assert_eq!(shown["calendar"]["version"], made["version"]);
    let text = server.run(&show);
    assert!(text.table().contains("07:30-11:30, 13:30-17:00"), "{}", text.out);

    let moved = server.run(&["calendar", "moved", "24", "--by", "calendars/vn/amendments/1"]);
    let text = moved.table();
    assert!(text.contains("2 due times moved") && text.contains("Xã Đông Cứu"), "{text}");
    let moved = server.run(&["calendar", "moved", "09427", "--output", "json"]).json();
    assert_eq!(moved["due_changes"][0]["cause"], "CALENDAR_AMENDED");
    assert_eq!(moved["due_changes"].as_array().unwrap().len(), 1);

    let again = server.run(&storm);
    assert_eq!(again.code, Some(1));
    assert!(again.err.starts_with("FAILED_PRECONDITION WITHOUT_EFFECT: "), "{}", again.err);
    for text in [&tried.out, &server.run(&["calendar", "amendments"]).out] {
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}

#[test]
fn a_due_date_is_the_servers_or_that_of_the_calendar_compiled_in() {
    let server = Serving::on_18_may_2026();
    let day = ["--day", "2026-05-19=in_lieu", "--province", "24"];
    server.run(&[&["calendar", "amend"][..], &day, &WHY].concat()).table();
    let due = ["calendar", "due", "2026-05-14", "--working-days", "3"];
    let of = |more: &[&str]| server.run(&[&due[..], more, &JSON].concat()).json();
    assert_eq!(of(&[])["due_date"], "2026-05-19");
    assert_eq!(of(&["--province", "24"])["due_date"], "2026-05-20");
    let (asked, offline) = (of(&[]), of(&["--offline"]));
    assert_eq!(asked, offline);
    let list = server.run(&["calendar", "list"]);
    assert!(list.table().contains("24 Tỉnh Bắc Ninh"), "{}", list.out);
    let none = server.run(&["calendar", "show", "--province", "09427"]);
    assert!(none.err.starts_with("NOT_FOUND UNKNOWN_CALENDAR: "), "{}", none.err);
    let both = server.run(&[&due[..], &["--offline", "--province", "24"]].concat());
    assert_eq!(both.code, Some(2));
}

#[test]
fn a_file_of_days_and_office_hours_are_taken_whole_or_not_at_all() {
    let server = Serving::on_18_may_2026();
    let good = "date,kind,name_vi,weekday\n\
        2026-05-19,in_lieu,Nghỉ bão,Tue\n2026-05-23,swapped_workday,Làm bù,Sat\n";
    let file = server.file("days.csv", good);
    let file = file.to_str().unwrap();
    let hours = ["--hours", "08:00-11:30,13:00-16:30"];
    let amend = [&["calendar", "amend", file][..], &hours, &WHY, &JSON].concat();
    let made = server.run(&amend).json();
    assert_eq!(made["office_hours"]["afternoon"], "13:00-16:30");
    assert_eq!(made["days"][1]["kind"], "SWAPPED_WORKDAY");

    let bad =
        server.file("bad.csv", good.replace("Tue", "Mon").replace("Làm bù,Sat", "Làm bù,Sun"));
    let bad = server.run(&[&["calendar", "amend", bad.to_str().unwrap()][..], &WHY].concat());
    assert_eq!(bad.code, Some(2));
    assert!(
        bad.err.contains("line 2, weekday") && bad.err.contains("line 3, weekday"),
        "{}",
        bad.err
    );
    let nothing = server.run(&[&["calendar", "amend"][..], &WHY].concat());
    assert_eq!(nothing.code, Some(2), "{}", nothing.err);
    let weekday = ["calendar", "amend", "--day", "2026-05-20=swapped_workday"];
    let weekday = server.run(&[&weekday[..], &WHY].concat());
    let refused = "INVALID_ARGUMENT INVALID_CALENDAR: ";
    assert!(
        weekday.err.starts_with(refused) && weekday.err.contains("days[0].kind"),
        "{}",
        weekday.err
    );

    let show = server.run(&["calendar", "show", "--output", "json"]).json();
    let etag = show["calendar"]["etag"].as_str().unwrap();
    let taken_back = ["calendar", "amend", "--day", "2026-05-19=ordinary", "--etag", etag];
    server.run(&[&taken_back[..], &WHY].concat()).table();
    let stale = ["calendar", "amend", "--day", "2026-05-20=in_lieu", "--etag", etag];
    let stale = server.run(&[&stale[..], &WHY].concat());
    assert!(stale.err.starts_with("ABORTED ETAG_MISMATCH: "), "{}", stale.err);
}

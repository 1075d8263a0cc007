//! `dunghan owed`, on 18/05/2026.

use crate::binary::Serving;

#[test]
fn what_a_unit_owes_is_told_week_by_week_with_who_sees_to_it_and_as_a_calendar_file() {
    let server = Serving::on_18_may_2026();
    let contact = ["contacts", "add", "09427", "--role", "reporter", "--name", "Văn phòng HĐND"];
    server.run(&contact).table();
    let owed = ["owed", "09427", "--through", "2026-06-30"];
    let text = server.run(&owed);
    for shown in [
        "09427 Phường Trí Quả\nSees to it: Văn phòng HĐND",
        "\nWeek of 18/05/2026\n",
        "19/05/2026 Báo cáo chuyển đổi số 202605 due soon Tỉnh Bắc Ninh",
        "\nWeek of 15/06/2026\n",
        "17/06/2026 Báo cáo chuyển đổi số 202606 open",
    ] {
        assert!(text.table().contains(shown), "{shown}: {}", text.out);
    }
    let list = server.run(&[&owed[..], &["--output", "json"]].concat()).json();
    let of = |at: usize| {
        let one = &list["owed"][at];
        [&one["week_start_date"], &one["obligation"]["period"], &one["responsible"]]
            .map(|value| value.as_str().unwrap())
    };
    assert_eq!(of(0), ["2026-05-18", "202605", "Văn phòng HĐND"], "{list:#}");
    assert_eq!(of(1)[..2], ["2026-06-15", "202606"], "{list:#}");

    let written = server.run(&[&owed[..], &["--ical", "owed.ics"]].concat());
    assert_eq!((written.code, written.out.as_str()), (Some(0), ""), "{written:?}");
    let printed = server.run(&[&owed[..], &["--ical", "-"]].concat());
    assert_eq!(printed.code, Some(0), "{printed:?}");
    let file =
        std::fs::read_to_string(server.file("beside", "").with_file_name("owed.ics")).unwrap();
    for calendar in [file.as_str(), &printed.out] {
        assert!(calendar.starts_with("BEGIN:VCALENDAR"), "{calendar}");
        assert_eq!(calendar.matches("BEGIN:VEVENT").count(), 2, "{calendar}");
        assert!(calendar.contains("DTSTART;VALUE=DATE:20260519"), "{calendar}");
    }
    let nowhere = server.run(&[&owed[..], &["--ical", "nowhere/owed.ics"]].concat());
    assert_eq!(nowhere.code, Some(1), "{nowhere:?}");
    assert!(nowhere.err.contains("nowhere/owed.ics could not be written"), "{nowhere:?}");
    let feed = server.run(&["owed", "09427", "--feed", "https://lich.example/"]);
    assert_eq!(feed.code, Some(0), "{feed:?}");
    let unit = list["owed"][0]["obligation"]["unit"].as_str().unwrap();
    assert_eq!(feed.out, format!("https://lich.example/{unit}/owed.ics\n"));
    for other in [&["--ical", "-"][..], &["--from", "2026-05-18"], &["--output", "json"]] {
        let both = ["owed", "09427", "--feed", "https://lich.example"];
        let both = server.run(&[&both[..], other].concat());
        assert_eq!(both.code, Some(2), "{both:?}");
    }
    let both = server.run(&[&owed[..], &["--ical", "-", "--output", "json"]].concat());
    assert_eq!(both.code, Some(2), "{both:?}");
}

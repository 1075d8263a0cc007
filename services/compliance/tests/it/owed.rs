//! `ListOwedObligations` and `ExportOwedCalendar`: what one unit owes, week by week, and as a calendar file.

use dunghan_hierarchy::UnitId;
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::Standing;
use dunghan_proto::compliance::decision::Outcome;
use dunghan_proto::compliance::extension::Until;
use dunghan_rpc::field;
use dunghan_testkit::{ENGINES, Engine, fields, refusal};
use tonic::{Code, Status};

use crate::world::{
    PERIOD, REGIME, Scene, bac_ninh, commune, day, department, gia_lai, regime, start, time,
};

const NOW: &str = "2026-05-18 08:00:00";

fn request(unit: UnitId) -> pb::ListOwedObligationsRequest {
    pb::ListOwedObligationsRequest { unit: unit.to_string(), ..Default::default() }
}

fn within(unit: UnitId, from: &str, through: &str) -> pb::ListOwedObligationsRequest {
    pb::ListOwedObligationsRequest {
        from_date: Some(field::pb_date(day(from))),
        through_date: Some(field::pb_date(day(through))),
        ..request(unit)
    }
}

async fn ask(
    scene: &Scene,
    grant: &str,
    request: pb::ListOwedObligationsRequest,
) -> Result<pb::ListOwedObligationsResponse, Status> {
    Ok(scene.compliance(&[grant]).list_owed_obligations(request).await?.into_inner())
}

/// Unit, period, standing, and the Monday of the week.
fn shown(answer: &pb::ListOwedObligationsResponse) -> Vec<(String, String, Standing, String)> {
    let owed = answer.owed.iter().map(|one| {
        let of = one.obligation.as_ref().unwrap();
        let week = one.week_start_date.as_ref();
        let week = week.map_or_else(String::new, |day| {
            format!("{:04}-{:02}-{:02}", day.year, day.month, day.day)
        });
        (of.unit_code.clone(), of.period.clone(), of.standing(), week)
    });
    owed.collect()
}

fn line(
    unit: &str,
    period: &str,
    standing: Standing,
    week: &str,
) -> (String, String, Standing, String) {
    (unit.to_owned(), period.to_owned(), standing, week.to_owned())
}

async fn calendar(scene: &Scene, unit: UnitId) -> String {
    let request = pb::ExportOwedCalendarRequest { unit: unit.to_string(), ..Default::default() };
    scene.operator().export_owed_calendar(request).await.unwrap().into_inner().content
}

/// The lines of a calendar file as they were before they were folded.
fn unfolded(content: &str) -> Vec<String> {
    assert!(content.split("\r\n").all(|line| line.len() <= 75 && !line.contains('\n')));
    content.replace("\r\n ", "").lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn what_is_owed_stands_in_the_order_of_due_times_with_what_will_be_asked() {
    for engine in ENGINES {
        let scene = start(engine, time(NOW)).await;
        scene.create(regime()).await;
        let unit = commune("07210");
        // Four weeks are asked for where nothing is said: through 14 June.
        let soon = ask(&scene, "operator", request(unit)).await.unwrap();
        let due_soon = line("07210", "202605", Standing::DueSoon, "2026-05-18");
        assert_eq!(shown(&soon), std::slice::from_ref(&due_soon), "{engine:?}");
        let far = ask(&scene, "operator", within(unit, "2026-05-18", "2026-08-20")).await.unwrap();
        let expected = [
            due_soon,
            line("07210", "202606", Standing::Open, "2026-06-15"),
            line("07210", "202607", Standing::NotYetOpen, "2026-07-13"),
            line("07210", "202608", Standing::NotYetOpen, "2026-08-17"),
        ];
        assert_eq!(shown(&far), expected, "{engine:?}");
        let upcoming = &far.owed[2];
        assert_eq!(upcoming.regime_display_name, "Báo cáo chuyển đổi số hằng tháng của cấp xã");
        assert_eq!(upcoming.receiving_display_name, "Sở Khoa học và Công nghệ");
        assert!(!upcoming.estimated);
        let of = upcoming.obligation.as_ref().unwrap();
        assert_eq!(of.name, format!("{unit}/obligations/cds-24~202607"));
        assert_eq!(of.unit_display_name, "Phường Bắc Giang");
        assert_eq!(of.due_time, Some(field::pb_time(time("2026-07-18 00:00:00"))));
        assert_eq!((of.due_generation, of.tier), (1, 1));
        assert_eq!(of.receiving_unit, department().to_string());
        assert_eq!(far.hierarchy_version, 1);
        // Nothing was opened by looking ahead.
        let listed = scene.list(pb::ListObligationsRequest::default()).await;
        assert!(listed.iter().all(|one| one.period.as_str() < "202607"), "{engine:?}");
        // A department owes nothing.
        let nothing = ask(&scene, "operator", request(department())).await.unwrap();
        assert!(nothing.owed.is_empty());
    }
}

#[tokio::test]
async fn what_is_missing_from_before_is_listed_and_what_is_settled_is_not() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-06-20 08:00:00")).await;
        scene.create(regime()).await;
        let of = async |code: &str| {
            shown(&ask(&scene, "operator", request(commune(code))).await.unwrap())
        };
        let missing = |code, period, week| line(code, period, Standing::Missing, week);
        let both = [
            missing("07210", "202605", "2026-05-18"),
            missing("07210", "202606", "2026-06-15"),
            line("07210", "202607", Standing::Open, "2026-07-13"),
        ];
        assert_eq!(of("07210").await, both, "{engine:?}");
        {
            let mut world = scene.world.lock();
            world.submit(commune("07210"), "202605", time("2026-06-01 08:00:00"));
            world.submit(commune("07228"), "202605", time("2026-05-18 08:00:00"));
            // By when a report has to be there again is its due date from then on.
            let (at, due) = (time("2026-06-18 08:00:00"), time("2026-06-27 00:00:00"));
            world.give_back(commune("07228"), "202605", at, due);
        }
        assert_eq!(of("07210").await, both[1..]);
        let returned = of("07228").await;
        let expected = [
            missing("07228", "202606", "2026-06-15"),
            line("07228", "202605", Standing::Returned, "2026-06-22"),
            line("07228", "202607", Standing::Open, "2026-07-13"),
        ];
        assert_eq!(returned, expected, "{engine:?}");
        scene.waive(&format!("supervisor@{}", bac_ninh()), commune("07246")).await.unwrap();
        assert_eq!(of("07246").await[0], missing("07246", "202606", "2026-06-15"));
        // An interval of the past: what fell due after it is left out.
        let may = within(commune("07264"), "2026-05-01", "2026-05-31");
        let may = ask(&scene, "operator", may).await.unwrap();
        assert_eq!(shown(&may), [missing("07264", "202605", "2026-05-18")]);
    }
}

#[tokio::test]
async fn who_came_after_a_unit_owes_what_the_unit_left() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let (ended, heir) = (commune("09427"), commune("07210"));
        scene.world.lock().become_of(ended, day("2026-05-20"), Some(heir));
        // The day before, it is still the unit's own.
        let own = ask(&scene, "operator", request(ended)).await.unwrap();
        assert_eq!(shown(&own).len(), 1, "{engine:?}");
        scene.testing.clock.set(time("2026-05-20 08:00:00"));
        let left = ask(&scene, "operator", request(ended)).await.unwrap();
        assert!(left.owed.is_empty(), "{:?}", shown(&left));
        let taken = ask(&scene, "operator", request(heir)).await.unwrap();
        let expected = [
            line("07210", "202605", Standing::Missing, "2026-05-18"),
            line("09427", "202605", Standing::Missing, "2026-05-18"),
        ];
        let mut found = shown(&taken);
        found.sort_by(|one, another| (&one.3, &one.0).cmp(&(&another.3, &another.0)));
        assert_eq!(found, expected, "{engine:?}");
        let summaries: Vec<_> = unfolded(&calendar(&scene, heir).await)
            .into_iter()
            .filter(|line| line.starts_with("SUMMARY:Quá hạn") && line.contains("thay"))
            .collect();
        assert_eq!(
            summaries,
            [
                "SUMMARY:Quá hạn gửi “Báo cáo chuyển đổi số hằng tháng của cấp xã” kỳ tháng 5 năm 2026 \
              (thay phường Trí Quả)"
            ]
        );
    }
}

#[tokio::test]
async fn decisions_over_a_subtree_hold_for_what_will_be_asked() {
    for engine in ENGINES {
        let scene = start(engine, time(NOW)).await;
        scene.create(regime()).await;
        let over = |outcome, from: &str, through: &str| pb::Decision {
            scope: bac_ninh().to_string(),
            subtree: true,
            due_from_date: Some(field::pb_date(day(from))),
            due_through_date: Some(field::pb_date(day(through))),
            outcome: Some(outcome),
            document: "20/QĐ-UBND".to_owned(),
            reason: "Bão số 3".to_owned(),
            ..pb::Decision::default()
        };
        let extension = pb::Extension { until: Some(Until::WorkingDays(5)) };
        let july = over(Outcome::Extension(extension), "2026-07-01", "2026-07-31");
        scene.decide("supervisor", july).await.unwrap();
        let august = over(Outcome::Waiver(pb::Waiver {}), "2026-08-01", "2026-08-31");
        scene.decide("supervisor", august).await.unwrap();
        let asked = within(commune("07210"), "2026-07-01", "2026-09-30");
        let answer = ask(&scene, "operator", asked).await.unwrap();
        let expected = [
            line("07210", "202607", Standing::NotYetOpen, "2026-07-20"),
            line("07210", "202609", Standing::NotYetOpen, "2026-09-14"),
        ];
        assert_eq!(shown(&answer), expected, "{engine:?}");
        let extended = answer.owed[0].obligation.as_ref().unwrap();
        assert_eq!(extended.due_time, Some(field::pb_time(time("2026-07-25 00:00:00"))));
        assert!(extended.extension.starts_with("decisions/"));
    }
}

#[tokio::test]
async fn the_contact_of_the_day_sees_to_it_and_without_the_registry_there_is_no_answer() {
    for engine in ENGINES {
        let scene = start(engine, time(NOW)).await;
        scene.create(regime()).await;
        let unit = commune("07210");
        let responsible = async || {
            let answer = ask(&scene, "operator", request(unit)).await.unwrap();
            answer.owed[0].responsible.clone()
        };
        assert_eq!(responsible().await, "");
        scene.world.lock().contacts = vec![
            (unit, "Phòng cũ", day("2026-01-01"), Some(day("2026-05-17"))),
            (unit, "Văn phòng HĐND và UBND", day("2026-05-18"), None),
            (unit, "Phòng Kinh tế", day("2026-05-18"), None),
        ];
        assert_eq!(responsible().await, "Văn phòng HĐND và UBND", "{engine:?}");
        scene.world.lock().contacts_away = true;
        let status = ask(&scene, "operator", request(unit)).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::Unavailable, "PEER_UNAVAILABLE".to_owned()));
        let export = pb::ExportOwedCalendarRequest { unit: unit.to_string(), ..Default::default() };
        let status = scene.operator().export_owed_calendar(export).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::Unavailable, "PEER_UNAVAILABLE".to_owned()));
    }
}

#[tokio::test]
async fn a_due_date_of_a_year_without_a_decision_is_estimated_and_one_without_a_date_comes_last() {
    let scene = start(Engine::Sqlite, time("2026-12-20 08:00:00")).await;
    scene.create(regime()).await;
    let yearly = pb::Regime {
        name: "regimes/a".to_owned(),
        due_rule: None,
        frequency: pb::Frequency::Year.into(),
        from_date: Some(field::pb_date(day("2026-12-15"))),
        ..regime()
    };
    scene.create(yearly).await;
    scene.world.lock().submit(commune("07210"), "202612", time("2026-12-16 08:00:00"));
    for period in ["202605", "202606", "202607", "202608", "202609", "202610", "202611"] {
        scene.world.lock().submit(commune("07210"), period, time("2026-12-16 08:00:00"));
    }
    let answer =
        ask(&scene, "operator", within(commune("07210"), "2026-12-20", "2027-02-28")).await;
    let answer = answer.unwrap();
    let found: Vec<_> = answer
        .owed
        .iter()
        .map(|one| {
            let of = one.obligation.as_ref().unwrap();
            (of.period.as_str(), one.estimated, one.week_start_date.is_some())
        })
        .collect();
    assert_eq!(found, [("202701", true, true), ("202702", true, true), ("2027", false, false)]);
    // What has no date has no event.
    let events = calendar(&scene, commune("07210")).await;
    assert!(!events.contains("cds-24~2027@") && events.contains("STATUS:TENTATIVE"));
}

#[tokio::test]
async fn a_day_to_which_a_due_time_was_extended_is_not_estimated() {
    let scene = start(Engine::Sqlite, time("2027-05-18 08:00:00")).await;
    let from_date = Some(field::pb_date(day("2027-05-01")));
    scene.create(pb::Regime { from_date, ..regime() }).await;
    let extend = |code: &str, until| pb::Decision {
        scope: commune(code).to_string(),
        regime: REGIME.to_owned(),
        period: "202705".to_owned(),
        outcome: Some(Outcome::Extension(pb::Extension { until: Some(until) })),
        document: "21/QĐ-UBND".to_owned(),
        reason: "Sáp nhập thôn".to_owned(),
        ..pb::Decision::default()
    };
    let until = Until::DueDate(field::pb_date(day("2027-05-29")));
    scene.decide("supervisor", extend("07210", until)).await.unwrap();
    scene.decide("supervisor", extend("07228", Until::WorkingDays(5))).await.unwrap();
    for (code, estimated) in [("07210", false), ("07228", true), ("07246", true)] {
        let answer =
            ask(&scene, "operator", within(commune(code), "2027-05-18", "2027-06-10")).await;
        let owed = answer.unwrap().owed;
        assert_eq!(owed.iter().map(|one| one.estimated).collect::<Vec<_>>(), [estimated], "{code}");
    }
}

#[tokio::test]
async fn a_calendar_file_reads_as_the_standard_says() {
    let scene = start(Engine::Sqlite, time(NOW)).await;
    let named = "Báo cáo tháng; gồm 2 phần, \"A\" và B";
    scene.create(pb::Regime { display_name: named.to_owned(), ..regime() }).await;
    let unit = commune("07210");
    scene.world.lock().contacts = vec![(unit, "Văn phòng", day("2026-01-01"), None)];
    let request = pb::ExportOwedCalendarRequest {
        unit: unit.to_string(),
        from_date: None,
        through_date: Some(field::pb_date(day("2026-06-30"))),
    };
    let content =
        scene.operator().export_owed_calendar(request).await.unwrap().into_inner().content;
    let id = unit.uuid().hyphenated();
    let event = |period: &str, month: &str, due: &str, end: &str, alarm: &str| {
        let day = format!("{}/{}/{}", &due[6..8], &due[4..6], &due[0..4]);
        let summary = format!(
            "Hạn gửi “Báo cáo tháng\\; gồm 2 phần\\, \"A\" và B” kỳ tháng {month} năm 2026"
        );
        format!(
            "BEGIN:VEVENT\nDESCRIPTION:Căn cứ: Công văn số 12/SKHCN-CĐS ngày 02/03/2026.\\nNơi nhận: \
             Sở Khoa học và Công nghệ.\\nĐầu mối thực hiện: Văn phòng.\\nThời hạn: hết ngày {day}.\n\
             DTEND;VALUE=DATE:{end}\nDTSTAMP:20260518T010000Z\nDTSTART;VALUE=DATE:{due}\n\
             SEQUENCE:1\nSTATUS:CONFIRMED\nSUMMARY:{summary}\nTRANSP:TRANSPARENT\n\
             UID:{id}.cds-24~{period}@dunghan\nBEGIN:VALARM\nACTION:DISPLAY\nDESCRIPTION:{summary}\n\
             DTSTAMP:20260518T010000Z\nTRIGGER;VALUE=DATE-TIME:{alarm}\n\
             UID:alarm.{id}.cds-24~{period}@dunghan\nEND:VALARM\nEND:VEVENT"
        )
    };
    // Three working days before Tuesday the 19th is Thursday the 14th; offices open at 07:30.
    let expected = [
        "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//dunghan//compliance//VI\nCALSCALE:GREGORIAN\n\
         NAME:Báo cáo phải gửi – Phường Bắc Giang\n\
         X-WR-CALNAME:Báo cáo phải gửi – Phường Bắc Giang\n\
         REFRESH-INTERVAL;VALUE=DURATION:PT6H\nX-PUBLISHED-TTL:PT6H"
            .to_owned(),
        event("202605", "5", "20260519", "20260520", "20260514T003000Z"),
        event("202606", "6", "20260617", "20260618", "20260612T003000Z"),
        "END:VCALENDAR".to_owned(),
    ]
    .join("\n");
    assert_eq!(unfolded(&content).join("\n"), expected);
}

/// The sequence and the day of the event of a period.
async fn event(scene: &Scene, unit: UnitId, period: &str) -> (u32, String) {
    let uid = format!("UID:{}.cds-24~{period}@dunghan", unit.uuid().hyphenated());
    let lines = unfolded(&calendar(scene, unit).await);
    let at = lines.iter().position(|line| *line == uid).unwrap();
    let begin = lines[..at].iter().rposition(|line| line == "BEGIN:VEVENT").unwrap();
    let of = |name: &str| lines[begin..at].iter().find_map(|line| line.strip_prefix(name)).unwrap();
    (of("SEQUENCE:").parse().unwrap(), of("DTSTART;VALUE=DATE:").to_owned())
}

#[tokio::test]
async fn the_sequence_of_what_is_yet_to_open_grows_whatever_moves_it_and_goes_on_when_it_opens() {
    for engine in ENGINES {
        let scene = start(engine, time(NOW)).await;
        scene.create(regime()).await;
        let unit = commune("07210");
        let mut last = 0;
        let mut next = async |due: &str, moved: bool| {
            let (sequence, day) = event(&scene, unit, "202607").await;
            assert_eq!(day, due, "{engine:?}");
            assert!(last < sequence || last == sequence && !moved, "{last} {sequence} {engine:?}");
            last = sequence;
        };
        next("20260717", true).await;
        let storm = pb::CalendarDay {
            date: Some(field::pb_date(day("2026-07-15"))),
            kind: pb::calendar_day::Kind::InLieu.into(),
            display_name: "Nghỉ bão".to_owned(),
            ..Default::default()
        };
        let amend = pb::AmendCalendarRequest {
            name: "calendars/vn".to_owned(),
            days: vec![storm],
            legal_basis: "Công điện số 45/CĐ-TTg".to_owned(),
            reason: "Bão số 3 đổ bộ".to_owned(),
            ..Default::default()
        };
        scene.calendars(&["operator"]).amend_calendar(amend).await.unwrap();
        next("20260720", true).await;
        let until = Until::DueDate(field::pb_date(day("2026-07-29")));
        let decision = pb::Decision {
            scope: unit.to_string(),
            regime: REGIME.to_owned(),
            period: "202607".to_owned(),
            outcome: Some(Outcome::Extension(pb::Extension { until: Some(until) })),
            document: "21/QĐ-UBND".to_owned(),
            reason: "Sáp nhập thôn".to_owned(),
            ..pb::Decision::default()
        };
        let decision = scene.decide("supervisor", decision).await.unwrap();
        next("20260729", true).await;
        let revoke = pb::RevokeDecisionRequest {
            name: decision.name,
            document: "22/QĐ-UBND".to_owned(),
            reason: "Cấp nhầm".to_owned(),
            ..Default::default()
        };
        scene.decisions(&["supervisor"]).revoke_decision(revoke).await.unwrap();
        next("20260720", true).await;
        scene.testing.clock.set(time("2026-06-16 08:00:00"));
        next("20260720", false).await;
    }
}

#[tokio::test]
async fn an_event_keeps_its_uid_and_its_sequence_grows_when_the_due_date_moves() {
    for engine in ENGINES {
        let scene = start(engine, time(NOW)).await;
        scene.create(regime()).await;
        let unit = commune("07210");
        let uid = format!("UID:{}.cds-24~{PERIOD}@dunghan", unit.uuid().hyphenated());
        let (first, due) = event(&scene, unit, PERIOD).await;
        assert_eq!(due, "20260519", "{engine:?}");
        let until = Until::DueDate(field::pb_date(day("2026-05-29")));
        let decision = pb::Decision {
            scope: unit.to_string(),
            regime: REGIME.to_owned(),
            period: PERIOD.to_owned(),
            outcome: Some(Outcome::Extension(pb::Extension { until: Some(until) })),
            document: "21/QĐ-UBND".to_owned(),
            reason: "Sáp nhập thôn".to_owned(),
            ..pb::Decision::default()
        };
        scene.decide("supervisor", decision).await.unwrap();
        let (moved, due) = event(&scene, unit, PERIOD).await;
        assert!(first < moved, "{engine:?}");
        assert_eq!(due, "20260529", "{engine:?}");
        // Handed over, it is owed no more; sent back, it has a due date of its own.
        scene.world.lock().submit(unit, PERIOD, time(NOW));
        assert!(!unfolded(&calendar(&scene, unit).await).contains(&uid));
        let due = time("2026-06-02 00:00:00");
        scene.world.lock().give_back(unit, PERIOD, time(NOW), due);
        let lines = unfolded(&calendar(&scene, unit).await);
        let returned = format!("UID:{}.cds-24~{PERIOD}.return@dunghan", unit.uuid().hyphenated());
        assert!(lines.contains(&returned), "{lines:#?}");
        let summary = "SUMMARY:Hạn gửi lại “Báo cáo chuyển đổi số hằng tháng của cấp xã” kỳ tháng 5 \
                       năm 2026";
        assert!(lines.iter().any(|line| line == summary), "{lines:#?}");
    }
}

#[tokio::test]
async fn days_that_make_no_interval_are_named_and_strangers_are_refused() {
    let scene = start(Engine::Sqlite, time(NOW)).await;
    scene.create(regime()).await;
    let unit = commune("07210");
    let bad = dunghan_proto::r#type::Date { year: 2026, month: 2, day: 30 };
    for (request, field, reason) in [
        (pb::ListOwedObligationsRequest::default(), "unit", "REQUIRED_FIELD_MISSING"),
        (
            pb::ListOwedObligationsRequest { unit: "24".to_owned(), ..Default::default() },
            "unit",
            "INVALID_FIELD",
        ),
        (within(unit, "2026-05-18", "2026-05-17"), "through_date", "INVALID_FIELD"),
        (within(unit, "2026-05-18", "2027-05-19"), "through_date", "INVALID_FIELD"),
        (
            pb::ListOwedObligationsRequest { from_date: Some(bad), ..request(unit) },
            "from_date",
            "INVALID_FIELD",
        ),
    ] {
        let export = pb::ExportOwedCalendarRequest {
            unit: request.unit.clone(),
            from_date: request.from_date,
            through_date: request.through_date,
        };
        let listed = ask(&scene, "operator", request).await.unwrap_err();
        let exported = scene.operator().export_owed_calendar(export).await.unwrap_err();
        for status in [listed, exported] {
            assert_eq!(refusal(&status), (Code::InvalidArgument, reason.to_owned()), "{field}");
            assert_eq!(fields(&status), [field]);
        }
    }
    assert!(ask(&scene, "operator", within(unit, "2026-05-18", "2027-05-18")).await.is_ok());
    let unknown = request(UnitId::new("nso", "99999", None));
    let status = ask(&scene, "operator", unknown).await.unwrap_err();
    assert_eq!(refusal(&status), (Code::NotFound, "UNKNOWN_UNIT".to_owned()));
    for (grant, may) in [
        (format!("reporter@{unit}"), true),
        (format!("supervisor@{}", bac_ninh()), true),
        (format!("reporter@{}", commune("07228")), false),
        (format!("supervisor@{}", gia_lai()), false),
        // A right over a regime is none over what a unit owes under all of them.
        (format!("supervisor@{REGIME}"), false),
    ] {
        let answer = ask(&scene, &grant, request(unit)).await;
        assert_eq!(answer.is_ok(), may, "{grant}");
        if let Err(status) = answer {
            assert_eq!(refusal(&status), (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned()));
        }
    }
}

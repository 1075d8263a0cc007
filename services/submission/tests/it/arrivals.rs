//! RecordArrivals and ListArrivals, and what a report makes of an arrival of its document.

use chrono::{DateTime, TimeDelta, Utc};
use dunghan_calendar::zone;
use dunghan_hierarchy::UnitId;
use dunghan_proto::policy::Role;
use dunghan_proto::submission as pb;
use dunghan_proto::submission::ErrorReason;
use dunghan_proto::submission::intake_service_client::IntakeServiceClient;
use dunghan_proto::submission::receipt_evidence::Kind;
use dunghan_rpc::{Peer, field};
use dunghan_testkit::{ENGINES, Engine, Testing, fields, refusal};
use prost_types::FieldMask;
use tonic::{Code, Status};

use crate::world::{
    Client, bac_ninh, client, create, create_request, date, department, dinh_to, gia_lai, grant,
    intake, may, now, nowhere, of, phong_phung_hiep, phong_tri_qua, phung_hiep, send_back, start,
    submit, submit_request, tri_qua, withdraw,
};

type Intake = IntakeServiceClient<Peer>;

/// The morning after, of the day that the report bears.
fn arrived() -> DateTime<Utc> {
    zone::start_of(date("2026-05-19")) + TimeDelta::hours(8)
}

/// Report 103 of Trí Quả of 18 May 2026.
fn arrival(number: &str) -> pb::Arrival {
    pb::Arrival {
        arrival_number: number.to_owned(),
        arrival_time: Some(field::pb_time(arrived())),
        sender_agency_code: "H05.24".to_owned(),
        document_number: "103".to_owned(),
        document_symbol: "BC-UBND".to_owned(),
        document_date: Some(field::pb_date(date("2026-05-18"))),
        ..pb::Arrival::default()
    }
}

fn at(time: DateTime<Utc>, arrival: pb::Arrival) -> pb::Arrival {
    pb::Arrival { arrival_time: Some(field::pb_time(time)), ..arrival }
}

async fn record(
    client: &mut Intake,
    recipient: UnitId,
    arrivals: Vec<pb::Arrival>,
) -> Result<pb::RecordArrivalsResponse, Status> {
    let request = pb::RecordArrivalsRequest { parent: recipient.to_string(), arrivals };
    Ok(client.record_arrivals(request).await?.into_inner())
}

/// What is noted at the department under this number, matched and fixed.
async fn note(client: &mut Intake, arrivals: Vec<pb::Arrival>) -> Vec<pb::Arrival> {
    let noted = record(client, department(), arrivals).await.unwrap();
    assert_eq!(noted.problems, []);
    noted.arrivals
}

async fn void(client: &mut Intake, name: &str, reason: &str) -> Result<pb::Arrival, Status> {
    let request = pb::VoidArrivalRequest { name: name.to_owned(), reason: reason.to_owned() };
    Ok(client.void_arrival(request).await?.into_inner())
}

async fn listed(client: &mut Intake, recipient: UnitId, unmatched_only: bool) -> Vec<pb::Arrival> {
    let mut request = pb::ListArrivalsRequest {
        parent: recipient.to_string(),
        unmatched_only,
        page_size: 2,
        page_token: String::new(),
    };
    let mut arrivals = Vec::new();
    loop {
        let page = client.list_arrivals(request.clone()).await.unwrap().into_inner();
        assert!(page.arrivals.len() <= 2);
        arrivals.extend(page.arrivals);
        if page.next_page_token.is_empty() {
            return arrivals;
        }
        request.page_token = page.next_page_token;
    }
}

async fn get(client: &mut Client, name: &str) -> pb::Report {
    let request = pb::GetReportRequest { name: name.to_owned() };
    client.get_report(request).await.unwrap().into_inner()
}

/// The report of May, which goes to the department.
fn report() -> pb::Report {
    of("to-department", "202605")
}

fn evidence(number: &str) -> Option<pb::ReceiptEvidence> {
    let kind = Kind::DocumentSystem.into();
    Some(pb::ReceiptEvidence { kind, reference: number.to_owned() })
}

/// When it was received, by what, and which arrival it shows.
fn received(
    report: &pb::Report,
) -> (Option<prost_types::Timestamp>, Option<pb::ReceiptEvidence>, Option<pb::ReceiptEvidence>) {
    (report.receive_time, report.receipt_evidence.clone(), report.arrival.clone())
}

async fn both(engine: Engine) -> (Testing, Client, Intake) {
    let testing = start(engine).await;
    let reports = client(&testing, &["importer", "supervisor"]);
    let intake = intake(&testing, &["importer"]);
    (testing, reports, intake)
}

#[tokio::test]
async fn what_arrived_before_it_was_handed_over_is_when_the_report_was_received() {
    for engine in ENGINES {
        let (_testing, mut reports, mut intake) = both(engine).await;
        let noted = note(&mut intake, vec![arrival("1203")]).await;
        let expected = pb::Arrival {
            name: noted[0].name.clone(),
            recipient: department().to_string(),
            sender: tri_qua().to_string(),
            author: "tester".to_owned(),
            create_time: Some(field::pb_time(now())),
            ..arrival("1203")
        };
        assert_eq!(noted, std::slice::from_ref(&expected));
        assert!(expected.name.starts_with(&format!("{}/arrivals/", department())));

        let draft = create(&mut reports, tri_qua(), report()).await.unwrap();
        assert_eq!(received(&draft), (None, None, evidence("1203")));
        assert_eq!(get(&mut reports, &draft.name).await, draft);
        let matched = pb::Arrival { report: draft.name.clone(), ..expected };
        assert_eq!(listed(&mut intake, department(), false).await, std::slice::from_ref(&matched));
        assert_eq!(listed(&mut intake, department(), true).await, []);

        let submitted = submit(&mut reports, &draft.name).await.unwrap();
        let expected = (Some(field::pb_time(arrived())), evidence("1203"), evidence("1203"));
        assert_eq!(received(&submitted), expected);
        assert_eq!(get(&mut reports, &draft.name).await, submitted);
        let fixed = pb::Arrival { fixed_receive_time: true, ..matched };
        assert_eq!(listed(&mut intake, department(), false).await, [fixed]);
    }
}

#[tokio::test]
async fn what_arrives_after_it_was_handed_over_is_shown_and_changes_no_time() {
    for engine in ENGINES {
        let (_testing, mut reports, mut intake) = both(engine).await;
        let draft = create(&mut reports, tri_qua(), report()).await.unwrap();
        let submitted = submit(&mut reports, &draft.name).await.unwrap();
        assert_eq!(received(&submitted), (Some(field::pb_time(now())), None, None));
        let noted = note(&mut intake, vec![arrival("1203")]).await;
        assert_eq!((noted[0].report.as_str(), noted[0].fixed_receive_time), (&*draft.name, false));
        let shown = get(&mut reports, &draft.name).await;
        assert_eq!(shown, pb::Report { arrival: evidence("1203"), ..submitted });
    }
}

#[tokio::test]
async fn a_document_is_found_when_a_draft_comes_to_have_it_and_lost_when_it_has_it_no_more() {
    for engine in ENGINES {
        let (_testing, mut reports, mut intake) = both(engine).await;
        note(&mut intake, vec![arrival("1203")]).await;
        let blank = pb::Report { document: None, ..report() };
        let draft = create(&mut reports, tri_qua(), blank).await.unwrap();
        assert_eq!(draft.arrival, None);
        let with = async |reports: &mut Client, number: &str, symbol: &str| {
            let document = pb::Document {
                number: number.to_owned(),
                symbol: symbol.to_owned(),
                ..may().document.unwrap()
            };
            let request = pb::UpdateReportRequest {
                report: Some(pb::Report {
                    name: draft.name.clone(),
                    document: Some(document),
                    ..pb::Report::default()
                }),
                update_mask: Some(FieldMask { paths: vec!["document".to_owned()] }),
            };
            let edited = reports.update_report(request).await.unwrap().into_inner();
            assert_eq!(get(reports, &draft.name).await, edited);
            edited.arrival
        };
        for (number, symbol, found) in [
            ("0103", "bc–ubnd", true),
            ("104", "BC-UBND", false),
            ("103", "BC-UBND", true),
            ("103", "KH-UBND", false),
            (" 103 ", "BC - UBND", true),
        ] {
            let shown = with(&mut reports, number, symbol).await;
            assert_eq!(shown, evidence("1203").filter(|_| found), "{number} {symbol}");
            let unmatched = listed(&mut intake, department(), true).await;
            assert_eq!(unmatched.is_empty(), found, "{number} {symbol}");
        }
        let submitted = submit(&mut reports, &draft.name).await.unwrap();
        assert_eq!(submitted.receive_time, Some(field::pb_time(arrived())), "{engine:?}");
    }
}

#[tokio::test]
async fn an_arrival_counts_in_the_window_and_is_not_noted_ahead_of_the_clock() {
    let opens = zone::start_of(date("2026-04-15"));
    let tick = TimeDelta::microseconds(1);
    for engine in ENGINES {
        for (time, counts) in [(opens - tick, false), (opens, true), (now(), true)] {
            let (_testing, mut reports, mut intake) = both(engine).await;
            let ahead = at(now() + tick, arrival("1203"));
            let refused = record(&mut intake, department(), vec![ahead]).await.unwrap().problems;
            let told: Vec<_> = refused.iter().map(|one| (&*one.field, one.reason())).collect();
            assert_eq!(told, [("arrival_time", ErrorReason::ReceiptInFuture)], "{engine:?}");
            note(&mut intake, vec![at(time, arrival("1203"))]).await;
            let draft = create(&mut reports, tri_qua(), report()).await.unwrap();
            // It is the report's arrival all the same.
            assert_eq!(draft.arrival, evidence("1203"), "{time}");
            let submitted = submit(&mut reports, &draft.name).await.unwrap();
            let expected = if counts { time } else { now() };
            assert_eq!(submitted.receive_time, Some(field::pb_time(expected)), "{time}");
            assert_eq!(submitted.receipt_evidence, evidence("1203").filter(|_| counts), "{time}");
            let [listed] = listed(&mut intake, department(), false).await.try_into().unwrap();
            assert_eq!(listed.fixed_receive_time, counts, "{time}");
        }
    }
}

#[tokio::test]
async fn an_asserted_time_stands_before_an_arrival() {
    for engine in ENGINES {
        let (_testing, mut reports, mut intake) = both(engine).await;
        note(&mut intake, vec![arrival("1203")]).await;
        let draft = create(&mut reports, tri_qua(), report()).await.unwrap();
        let earlier = arrived() - TimeDelta::hours(1);
        let (kind, reference) = (Kind::Register.into(), "Sổ đến số 7".to_owned());
        let register = Some(pb::ReceiptEvidence { kind, reference });
        let request = pb::SubmitReportRequest {
            asserted_receive_time: Some(field::pb_time(earlier)),
            receipt_evidence: register.clone(),
            ..submit_request(&draft.name)
        };
        let submitted = reports.submit_report(request).await.unwrap().into_inner();
        let expected = (Some(field::pb_time(earlier)), register, evidence("1203"));
        assert_eq!(received(&submitted), expected, "{engine:?}");
        let [listed] = listed(&mut intake, department(), false).await.try_into().unwrap();
        assert_eq!((listed.report, listed.fixed_receive_time), (draft.name, false), "{engine:?}");
    }
}

#[tokio::test]
async fn of_two_with_the_same_document_none_is_matched_and_that_is_said() {
    for engine in ENGINES {
        let (_testing, mut reports, mut intake) = both(engine).await;
        // One document for two reports.
        note(&mut intake, vec![arrival("1203")]).await;
        let first = create(&mut reports, tri_qua(), report()).await.unwrap();
        assert_eq!(first.arrival, evidence("1203"));
        let other = of("to-department", "202604");
        let second = create(&mut reports, tri_qua(), other).await.unwrap();
        assert_eq!(second.arrival, None);
        assert_eq!(get(&mut reports, &first.name).await.arrival, None, "{engine:?}");
        let [listed_now] = listed(&mut intake, department(), true).await.try_into().unwrap();
        assert!(listed_now.ambiguous && listed_now.report.is_empty(), "{listed_now:?}");
        let submitted = submit(&mut reports, &first.name).await.unwrap();
        assert_eq!(received(&submitted), (Some(field::pb_time(now())), None, None));
        // The other gets its own number: one is left.
        let document = pb::Document { number: "104".to_owned(), ..may().document.unwrap() };
        let request = pb::UpdateReportRequest {
            report: Some(pb::Report { document: Some(document), ..second }),
            update_mask: Some(FieldMask { paths: vec!["document".to_owned()] }),
        };
        reports.update_report(request).await.unwrap();
        assert_eq!(get(&mut reports, &first.name).await.arrival, evidence("1203"), "{engine:?}");

        // One report, and its document arrived twice.
        let twice = note(&mut intake, vec![arrival("1204")]).await;
        assert!(twice[0].ambiguous && twice[0].report.is_empty(), "{twice:?}");
        assert_eq!(listed(&mut intake, department(), true).await.len(), 2);
        let shown = get(&mut reports, &first.name).await;
        assert_eq!(received(&shown), (Some(field::pb_time(now())), None, None), "{engine:?}");
    }
}

#[tokio::test]
async fn what_a_receive_time_rests_on_stays_with_its_report() {
    for engine in ENGINES {
        let (testing, mut reports, mut intake) = both(engine).await;
        note(&mut intake, vec![arrival("1203")]).await;
        let draft = create(&mut reports, tri_qua(), report()).await.unwrap();
        let submitted = submit(&mut reports, &draft.name).await.unwrap();
        let again = note(&mut intake, vec![arrival("1204")]).await;
        assert!(again[0].ambiguous, "{again:?}");
        assert_eq!(get(&mut reports, &draft.name).await, submitted, "{engine:?}");

        // Sent back, it is not received by what had arrived before.
        testing.clock.advance(TimeDelta::hours(1));
        let back = send_back(&mut reports, &draft.name, "2026-11-25").await.unwrap();
        assert_eq!(received(&back), received(&submitted));
        testing.clock.advance(TimeDelta::hours(1));
        let resubmitted = submit(&mut reports, &draft.name).await.unwrap();
        assert_eq!(received(&resubmitted), received(&submitted), "{engine:?}");
        let acts = crate::world::acts(&mut reports, &draft.name).await;
        let last = acts.last().unwrap();
        assert_eq!(last.act_time, Some(field::pb_time(now() + TimeDelta::hours(2))));
        assert_eq!(last.receipt_evidence, None);

        // Taken back, it was never received, and arrived twice like any other.
        testing.clock.advance(TimeDelta::hours(1));
        let taken_back = withdraw(&mut reports, &draft.name).await.unwrap();
        assert_eq!(received(&taken_back), (None, None, None), "{engine:?}");
        let both = listed(&mut intake, department(), true).await;
        assert!(both.len() == 2 && both.iter().all(|one| one.ambiguous), "{both:?}");
        assert_eq!(get(&mut reports, &draft.name).await, taken_back);
    }
}

#[tokio::test]
async fn taking_a_report_back_gives_up_the_arrival_as_well_as_the_time() {
    for engine in ENGINES {
        let (testing, mut reports, mut intake) = both(engine).await;
        note(&mut intake, vec![arrival("1203")]).await;
        let draft = create(&mut reports, tri_qua(), report()).await.unwrap();
        submit(&mut reports, &draft.name).await.unwrap();
        testing.clock.advance(TimeDelta::hours(1));
        withdraw(&mut reports, &draft.name).await.unwrap();
        testing.clock.advance(TimeDelta::hours(1));
        let again = submit(&mut reports, &draft.name).await.unwrap();
        let at_once = Some(field::pb_time(now() + TimeDelta::hours(2)));
        assert_eq!(received(&again), (at_once, None, evidence("1203")), "{engine:?}");

        // Under another number it is another document, which arrived later.
        testing.clock.advance(TimeDelta::hours(1));
        withdraw(&mut reports, &draft.name).await.unwrap();
        let later = now() + TimeDelta::hours(4);
        testing.clock.set(later + TimeDelta::hours(1));
        let other = pb::Arrival { document_number: "110".to_owned(), ..arrival("1300") };
        note(&mut intake, vec![at(later, other)]).await;
        let document = pb::Document { number: "110".to_owned(), ..may().document.unwrap() };
        let request = pb::UpdateReportRequest {
            report: Some(pb::Report {
                name: draft.name.clone(),
                document: Some(document),
                ..pb::Report::default()
            }),
            update_mask: Some(FieldMask { paths: vec!["document".to_owned()] }),
        };
        reports.update_report(request).await.unwrap();
        let again = submit(&mut reports, &draft.name).await.unwrap();
        let expected = (Some(field::pb_time(later)), evidence("1300"), evidence("1300"));
        assert_eq!(received(&again), expected, "{engine:?}");
    }
}

#[tokio::test]
async fn what_is_mended_under_another_number_arrives_anew_and_stays_received_when_it_first_was() {
    for engine in ENGINES {
        let (testing, mut reports, mut intake) = both(engine).await;
        note(&mut intake, vec![arrival("1203")]).await;
        let draft = create(&mut reports, tri_qua(), report()).await.unwrap();
        submit(&mut reports, &draft.name).await.unwrap();
        send_back(&mut reports, &draft.name, "2026-11-25").await.unwrap();
        let second = now() + TimeDelta::hours(1);
        testing.clock.set(second + TimeDelta::hours(1));
        let other = pb::Arrival { document_number: "110".to_owned(), ..arrival("1300") };
        note(&mut intake, vec![at(second, other)]).await;
        let document = pb::Document { number: "110".to_owned(), ..may().document.unwrap() };
        let request = pb::UpdateReportRequest {
            report: Some(pb::Report {
                name: draft.name.clone(),
                document: Some(document),
                ..pb::Report::default()
            }),
            update_mask: Some(FieldMask { paths: vec!["document".to_owned()] }),
        };
        let mended = reports.update_report(request).await.unwrap().into_inner();
        assert_eq!(mended.arrival, evidence("1300"), "{engine:?}");
        let again = submit(&mut reports, &draft.name).await.unwrap();
        let expected = (Some(field::pb_time(arrived())), evidence("1203"), evidence("1300"));
        assert_eq!(received(&again), expected, "{engine:?}");
        let acts = crate::world::acts(&mut reports, &draft.name).await;
        assert_eq!(acts.last().unwrap().act_time, Some(field::pb_time(second)), "{engine:?}");
        let all = listed(&mut intake, department(), false).await;
        let stand: Vec<_> = all
            .iter()
            .map(|one| (one.arrival_number.as_str(), one.report.as_str(), one.fixed_receive_time))
            .collect();
        let name = draft.name.as_str();
        assert_eq!(stand, [("1300", name, false), ("1203", name, true)], "{engine:?}");
    }
}

#[tokio::test]
async fn an_arrival_is_of_the_year_and_at_the_place_where_the_report_goes() {
    let (_testing, mut reports, mut intake) = both(Engine::Sqlite).await;
    let last_year =
        pb::Arrival { document_date: Some(field::pb_date(date("2025-05-18"))), ..arrival("1") };
    let of_another = pb::Arrival { sender_agency_code: "H05.25".to_owned(), ..arrival("2") };
    note(&mut intake, vec![last_year, of_another]).await;
    // At the province, to which this regime has nothing go, though it stands above the commune.
    record(&mut intake, bac_ninh(), vec![arrival("3")]).await.unwrap();
    let draft = create(&mut reports, tri_qua(), report()).await.unwrap();
    assert_eq!(draft.arrival, None);
    assert_eq!(listed(&mut intake, department(), true).await.len(), 2);

    // What goes to the unit above arrives at the province and not at the department.
    let june = pb::Document { number: "120".to_owned(), ..may().document.unwrap() };
    let above = pb::Report { document: Some(june), ..of("cds-month", "202606") };
    let of_june = |number| pb::Arrival { document_number: "120".to_owned(), ..arrival(number) };
    note(&mut intake, vec![of_june("4")]).await;
    let draft = create(&mut reports, tri_qua(), above).await.unwrap();
    assert_eq!(draft.arrival, None);
    let noted = record(&mut intake, bac_ninh(), vec![of_june("5")]).await.unwrap();
    assert_eq!(noted.arrivals[0].report, draft.name);
    assert_eq!(get(&mut reports, &draft.name).await.arrival, evidence("5"));
}

#[tokio::test]
async fn the_division_that_hands_over_for_a_district_sends_its_document() {
    for engine in ENGINES {
        let (_testing, mut reports, mut intake) = both(engine).await;
        let document = pb::Document {
            number: "57".to_owned(),
            symbol: "BC-VHTT".to_owned(),
            document_date: Some(field::pb_date(date("2024-06-18"))),
            declared_periods: Vec::new(),
            declared_units: Vec::new(),
        };
        let received_at = zone::start_of(date("2024-06-18")) + TimeDelta::hours(15);
        let sent = |number, code: &str| {
            let arrival = pb::Arrival {
                sender_agency_code: code.to_owned(),
                document_number: "57".to_owned(),
                document_symbol: "BC-VHTT".to_owned(),
                document_date: document.document_date,
                ..arrival(number)
            };
            at(received_at, arrival)
        };
        let noted = note(&mut intake, vec![sent("801", "H13.4.2")]).await;
        assert_eq!(noted[0].sender, phong_phung_hiep().to_string());
        let report =
            pb::Report { document: Some(document.clone()), ..of("six-to-department", "2024S1") };
        let draft = create(&mut reports, phung_hiep(), report).await.unwrap();
        assert_eq!(draft.arrival, None, "it is not said who hands it over");
        let request = pb::UpdateReportRequest {
            report: Some(pb::Report {
                submitting_unit: phong_phung_hiep().to_string(),
                name: draft.name.clone(),
                ..pb::Report::default()
            }),
            update_mask: Some(FieldMask { paths: vec!["submitting_unit".to_owned()] }),
        };
        let by_division = reports.update_report(request).await.unwrap().into_inner();
        assert_eq!(by_division.arrival, evidence("801"), "{engine:?}");
        let submitted = submit(&mut reports, &draft.name).await.unwrap();
        assert_eq!(submitted.receive_time, Some(field::pb_time(received_at)), "{engine:?}");
        // The district's own code is another sender: the document came twice.
        let own = note(&mut intake, vec![sent("802", "H13.4")]).await;
        assert!(own[0].ambiguous && own[0].sender == phung_hiep().to_string(), "{own:?}");
    }
}

#[tokio::test]
async fn a_code_is_of_the_unit_that_holds_it_on_the_day_of_arrival() {
    for engine in ENGINES {
        let (_testing, _, mut intake) = both(engine).await;
        let reform = zone::start_of(date("2025-07-01"));
        let tick = TimeDelta::microseconds(1);
        let noted =
            note(&mut intake, vec![at(reform - tick, arrival("1")), at(reform, arrival("2"))])
                .await;
        let senders: Vec<_> = noted.iter().map(|one| one.sender.clone()).collect();
        let expected = [crate::world::old_tri_qua(), tri_qua()].map(|unit| unit.to_string());
        assert_eq!(senders, expected, "{engine:?}");
        // Nobody had it then.
        let early = pb::Arrival { sender_agency_code: "H05.24.1".to_owned(), ..arrival("3") };
        let unknown = pb::Arrival { sender_agency_code: "H99".to_owned(), ..arrival("4") };
        let rows = vec![at(reform - tick, early.clone()), arrival("5"), unknown];
        let refused = record(&mut intake, department(), rows).await.unwrap();
        let told: Vec<_> = refused
            .problems
            .iter()
            .map(|one| (one.index, one.field.as_str(), one.reason()))
            .collect();
        let reason = ErrorReason::UnknownAgencyCode;
        let field = "sender_agency_code";
        assert_eq!(told, [(0, field, reason), (2, field, reason)], "{engine:?}");
        assert!(refused.problems[0].message.contains("2025-06-30"), "{refused:?}");
        assert_eq!((refused.arrivals.len(), refused.unchanged_count), (0, 0));
        assert_eq!(listed(&mut intake, department(), false).await.len(), 2, "nothing was noted");
        let noted = note(&mut intake, vec![at(reform, early)]).await;
        assert_eq!(noted[0].sender, phong_tri_qua().to_string());
    }
}

#[tokio::test]
async fn what_is_noted_twice_is_noted_once_and_never_changed() {
    for engine in ENGINES {
        let (testing, _, mut intake) = both(engine).await;
        let first = note(&mut intake, vec![arrival("1"), arrival("2")]).await;
        testing.clock.advance(TimeDelta::hours(1));
        let other = pb::Arrival { document_number: "99".to_owned(), ..arrival("3") };
        let rows = vec![arrival("2"), other.clone()];
        let again = record(&mut intake, department(), rows).await.unwrap();
        assert_eq!(again.unchanged_count, 1);
        assert_eq!(again.arrivals[0], first[1], "{engine:?}");
        assert_eq!(
            again.arrivals[1].create_time,
            Some(field::pb_time(now() + TimeDelta::hours(1)))
        );

        let changed = pb::Arrival { document_symbol: "KH-UBND".to_owned(), ..arrival("1") };
        let new = pb::Arrival { document_number: "98".to_owned(), ..arrival("4") };
        let refused = record(&mut intake, department(), vec![new, changed]).await.unwrap();
        let [problem] = refused.problems.try_into().unwrap();
        let told = (problem.index, problem.field.as_str(), problem.reason());
        assert_eq!(told, (1, "document_symbol", ErrorReason::ArrivalDiffers), "{engine:?}");
        assert_eq!(listed(&mut intake, department(), false).await.len(), 3, "{engine:?}");

        // Each recipient counts for itself, and anew each year.
        record(&mut intake, bac_ninh(), vec![other.clone()]).await.unwrap();
        let next = zone::start_of(date("2027-01-01"));
        testing.clock.set(next);
        note(&mut intake, vec![at(next, other)]).await;
        let all = listed(&mut intake, department(), false).await;
        let numbers: Vec<_> = all.iter().map(|one| one.arrival_number.as_str()).collect();
        assert_eq!(numbers, ["3", "3", "2", "1"], "{engine:?}");
    }
}

#[tokio::test]
async fn what_was_noted_by_mistake_is_void_and_can_be_noted_anew() {
    for engine in ENGINES {
        let (testing, mut reports, mut intake) = both(engine).await;
        let wrong = arrived() - TimeDelta::days(3);
        let noted = note(&mut intake, vec![at(wrong, arrival("1203"))]).await;
        let draft = create(&mut reports, tri_qua(), report()).await.unwrap();
        assert_eq!(draft.arrival, evidence("1203"));

        let void_now = void(&mut intake, &noted[0].name, " Ghi nhầm ngày ").await.unwrap();
        let expected = pb::Arrival {
            void_time: Some(field::pb_time(now())),
            voider: "tester".to_owned(),
            void_reason: "Ghi nhầm ngày".to_owned(),
            ..noted[0].clone()
        };
        assert_eq!(void_now, expected, "{engine:?}");
        assert_eq!(get(&mut reports, &draft.name).await.arrival, None, "{engine:?}");
        assert_eq!(listed(&mut intake, department(), true).await, []);
        // Once is for ever.
        testing.clock.advance(TimeDelta::hours(1));
        assert_eq!(void(&mut intake, &noted[0].name, "Khác").await.unwrap(), expected);

        let again = note(&mut intake, vec![arrival("1203")]).await;
        assert_ne!(again[0].name, noted[0].name, "{engine:?}");
        assert_eq!(again[0].report, draft.name, "{engine:?}");
        let once_more = record(&mut intake, department(), vec![arrival("1203")]).await.unwrap();
        assert_eq!((once_more.unchanged_count, &once_more.arrivals), (1, &again), "{engine:?}");
        assert_eq!(listed(&mut intake, department(), false).await, [again[0].clone(), void_now]);

        // What a receive time rests on stays.
        let submitted = submit(&mut reports, &draft.name).await.unwrap();
        let expected = (Some(field::pb_time(arrived())), evidence("1203"), evidence("1203"));
        assert_eq!(received(&submitted), expected, "{engine:?}");
        let refused = void(&mut intake, &again[0].name, "Ghi nhầm").await.unwrap_err();
        let fixed = (Code::FailedPrecondition, "ARRIVAL_FIXED".to_owned());
        assert_eq!(refusal(&refused), fixed, "{engine:?}");
        assert_eq!(crate::world::metadata(&refused, "report"), draft.name);
        assert_eq!(get(&mut reports, &draft.name).await, submitted, "{engine:?}");
        // Taken back, it was never received.
        withdraw(&mut reports, &draft.name).await.unwrap();
        void(&mut intake, &again[0].name, "Ghi nhầm").await.unwrap();
        assert_eq!(get(&mut reports, &draft.name).await.arrival, None, "{engine:?}");
    }
}

#[tokio::test]
async fn of_two_arrivals_one_of_which_is_void_the_other_counts() {
    for engine in ENGINES {
        let (_testing, mut reports, mut intake) = both(engine).await;
        let draft = create(&mut reports, tri_qua(), report()).await.unwrap();
        let noted = note(&mut intake, vec![arrival("1203"), arrival("1204")]).await;
        assert!(noted.iter().all(|one| one.ambiguous), "{noted:?}");
        void(&mut intake, &noted[1].name, "Ghi hai lần").await.unwrap();
        assert_eq!(get(&mut reports, &draft.name).await.arrival, evidence("1203"), "{engine:?}");
        let stand: Vec<_> = listed(&mut intake, department(), false)
            .await
            .into_iter()
            .map(|one| (one.arrival_number, one.ambiguous, one.void_time.is_some()))
            .collect();
        let expected = [("1204".to_owned(), false, true), ("1203".to_owned(), false, false)];
        assert_eq!(stand, expected, "{engine:?}");
    }
}

#[tokio::test]
async fn an_arrival_is_void_for_importers_of_its_recipient_by_its_name_and_for_a_reason() {
    let (testing, _, mut all) = both(Engine::Sqlite).await;
    let name = note(&mut all, vec![arrival("1203")]).await[0].name.clone();
    for (name, reason, field) in [
        ("units/1/arrivals/2".to_owned(), "Nhầm", "name"),
        (format!("{name}/1"), "Nhầm", "name"),
        (name.clone(), " ", "reason"),
        (name.clone(), &*"a".repeat(2001), "reason"),
    ] {
        let refused = void(&mut all, &name, reason).await.unwrap_err();
        assert_eq!((refused.code(), fields(&refused)), (Code::InvalidArgument, vec![field.into()]));
    }
    for gone in [
        name.replace(&department().to_string(), &bac_ninh().to_string()),
        format!("{}/arrivals/{}", department(), crate::world::new_request_id()),
    ] {
        let refused = void(&mut all, &gone, "Nhầm").await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::NotFound, "ARRIVAL_NOT_FOUND".to_owned()), "{gone}");
    }
    for (grant, code) in [
        (grant(Role::Importer, gia_lai()), Code::PermissionDenied),
        (grant(Role::Importer, tri_qua()), Code::PermissionDenied),
        (grant(Role::Supervisor, department()), Code::PermissionDenied),
        (grant(Role::Importer, bac_ninh()), Code::Ok),
    ] {
        let mut intake = intake(&testing, &[&grant]);
        let done = void(&mut intake, &name, "Nhầm").await;
        assert_eq!(done.map_or_else(|refused| refused.code(), |_| Code::Ok), code, "{grant}");
    }
}

/// As after the registry has said whose a code is.
#[tokio::test]
async fn noted_again_what_arrived_is_of_whoever_has_the_code_by_now_unless_a_time_rests_on_it() {
    for engine in ENGINES {
        let (testing, mut reports, mut intake) = both(engine).await;
        let of_number = |number: &str, unit, period| {
            let number = number.to_owned();
            let document = pb::Document { number, ..may().document.unwrap() };
            (unit, pb::Report { document: Some(document), ..of("to-department", period) })
        };
        let sent = |number: &str, document: &str| pb::Arrival {
            document_number: document.to_owned(),
            ..arrival(number)
        };
        let arrivals = vec![sent("1", "103"), sent("2", "104"), sent("3", "105")];
        note(&mut intake, arrivals).await;
        let mut drafts = Vec::new();
        for (unit, report) in [
            of_number("103", tri_qua(), "202605"),
            of_number("104", dinh_to(), "202605"),
            of_number("105", tri_qua(), "202604"),
        ] {
            drafts.push(create(&mut reports, unit, report).await.unwrap());
        }
        let shown: Vec<_> = drafts.iter().map(|draft| draft.arrival.clone()).collect();
        assert_eq!(shown, [evidence("1"), None, evidence("3")], "{engine:?}");
        submit(&mut reports, &drafts[0].name).await.unwrap();

        drop((reports, intake));
        let place = testing.stop().await;
        let database = dunghan_store::Database::open(&place.location, "submission").await.unwrap();
        let store = dunghan_submission::store::Store::new(database);
        let mut all: Vec<_> = store
            .arrival_page(department(), false, None, 10)
            .await
            .unwrap()
            .into_iter()
            .map(|one| one.arrival)
            .collect();
        all.iter_mut().for_each(|arrival| arrival.sender = dinh_to());
        use dunghan_submission::store::Noted;
        let noted = store.arrivals_note(&all).await.unwrap();
        assert_eq!(noted, Noted::All { unchanged: 1 }, "{engine:?}");
        let stand = store.arrival_page(department(), false, None, 10).await.unwrap();
        let stand: Vec<_> = stand
            .iter()
            .map(|one| {
                let report = one.report.map(|name| name.to_string());
                (one.arrival.number.as_str(), one.arrival.sender, report, one.fixed)
            })
            .collect();
        let expected = [
            ("3", dinh_to(), None, false),
            ("2", dinh_to(), Some(drafts[1].name.clone()), false),
            ("1", tri_qua(), Some(drafts[0].name.clone()), true),
        ];
        assert_eq!(stand, expected, "{engine:?}");
        for (draft, number) in drafts.iter().zip([Some("1"), Some("2"), None]) {
            let report = store.report_fetch(draft.name.parse().unwrap()).await.unwrap();
            let shown = report.arrival.map(|arrived| arrived.number);
            assert_eq!(shown.as_deref(), number, "{engine:?}");
        }
    }
}

#[tokio::test]
async fn a_copy_to_whom_it_is_sent_on_is_not_the_arrival_of_a_report() {
    for engine in ENGINES {
        let (_testing, mut reports, mut intake) = both(engine).await;
        // The province sends on to another unit, which has a copy of what the commune sent.
        record(&mut intake, gia_lai(), vec![at(arrived(), arrival("7"))]).await.unwrap();
        let draft = create(&mut reports, tri_qua(), of("two-tiers", "202605")).await.unwrap();
        assert_eq!(draft.arrival, None, "{engine:?}");
        let own = record(&mut intake, bac_ninh(), vec![arrival("1203")]).await.unwrap();
        assert_eq!(own.arrivals[0].report, draft.name, "{engine:?}");
        let submitted = submit(&mut reports, &draft.name).await.unwrap();
        assert_eq!(submitted.receipt_evidence, evidence("1203"), "{engine:?}");
        // And what the province itself sends arrives there.
        let document = pb::Document { number: "9".to_owned(), ..may().document.unwrap() };
        let onward = pb::Report { document: Some(document), ..of("two-tiers", "202605") };
        let of_province = pb::Arrival {
            sender_agency_code: "H05".to_owned(),
            document_number: "9".to_owned(),
            ..arrival("8")
        };
        record(&mut intake, gia_lai(), vec![of_province]).await.unwrap();
        let draft = create(&mut reports, bac_ninh(), onward).await.unwrap();
        assert_eq!(draft.arrival, evidence("8"), "{engine:?}");
    }
}

#[tokio::test]
async fn letters_that_a_converter_left_are_the_letters_that_were_meant() {
    for engine in ENGINES {
        let (_testing, mut reports, mut intake) = both(engine).await;
        let of_council = pb::Arrival { document_symbol: "BC-HÐND".to_owned(), ..arrival("1203") };
        note(&mut intake, vec![of_council]).await;
        let document = pb::Document { symbol: "BC-HĐND".to_owned(), ..may().document.unwrap() };
        let report = pb::Report { document: Some(document), ..report() };
        let draft = create(&mut reports, tri_qua(), report).await.unwrap();
        assert_eq!(draft.arrival, evidence("1203"), "{engine:?}");
    }
}

#[tokio::test]
async fn every_bad_row_is_told_by_its_field_and_nothing_is_noted() {
    let (_testing, _, mut intake) = both(Engine::Sqlite).await;
    let rows = vec![
        arrival("1"),
        pb::Arrival::default(),
        arrival(&"1".repeat(51)),
        pb::Arrival { document_symbol: "ơ".repeat(51), ..arrival("2") },
        pb::Arrival { document_number: "1\n03".to_owned(), ..arrival("3") },
        pb::Arrival { document_symbol: "/".to_owned(), ..arrival("4") },
        at(zone::start_of(date("2026-11-21")), arrival("1")),
        at(now() + TimeDelta::days(1), arrival("5")),
    ];
    let refused = record(&mut intake, department(), rows).await.unwrap();
    let told: Vec<_> =
        refused.problems.iter().map(|one| (one.index, one.field.as_str(), one.reason())).collect();
    use ErrorReason::{DuplicateRow, InvalidValue, ReceiptInFuture, TooLong};
    let expected = [
        (1, "arrival_number", InvalidValue),
        (1, "sender_agency_code", InvalidValue),
        (1, "document_number", InvalidValue),
        (1, "document_symbol", InvalidValue),
        (1, "arrival_time", InvalidValue),
        (1, "document_date", InvalidValue),
        (2, "arrival_number", TooLong),
        (3, "document_symbol", TooLong),
        (4, "document_number", InvalidValue),
        (5, "document_symbol", InvalidValue),
        (6, "arrival_number", DuplicateRow),
        (7, "arrival_time", ReceiptInFuture),
    ];
    assert_eq!(told, expected);
    assert_eq!(listed(&mut intake, department(), false).await, []);

    let many = vec![arrival("1"); 1001];
    let refused = record(&mut intake, department(), many).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::InvalidArgument, "TOO_MANY_ROWS".to_owned()));
    assert_eq!(fields(&refused), ["arrivals"]);
    let refused = record(&mut intake, nowhere(), vec![arrival("1")]).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::NotFound, "UNKNOWN_UNIT".to_owned()));
    assert_eq!(record(&mut intake, department(), Vec::new()).await.unwrap(), Default::default());
}

#[tokio::test]
async fn a_thousand_arrivals_are_noted_and_matched_at_once() {
    for engine in ENGINES {
        let (_testing, mut reports, mut intake) = both(engine).await;
        let numbered = |number: usize| pb::Arrival {
            document_number: number.to_string(),
            ..arrival(&format!("A{number}"))
        };
        let mut drafts = Vec::new();
        for (number, period) in [(7, "202604"), (500, "202605"), (1000, "202606")] {
            let document = pb::Document { number: format!("0{number}"), ..may().document.unwrap() };
            let report = pb::Report { document: Some(document), ..of("to-department", period) };
            let draft = create(&mut reports, tri_qua(), report).await.unwrap();
            drafts.push((number, draft.name));
        }
        let noted = note(&mut intake, (1..=1000).map(numbered).collect()).await;
        assert_eq!(noted.len(), 1000);
        let matched: Vec<_> = noted
            .iter()
            .filter(|one| !one.report.is_empty())
            .map(|one| (one.document_number.parse().unwrap(), one.report.clone()))
            .collect();
        assert_eq!(matched, drafts, "{engine:?}");
        let again = record(&mut intake, department(), (1..=1000).map(numbered).collect()).await;
        assert_eq!(again.unwrap().unchanged_count, 1000, "{engine:?}");
    }
}

#[tokio::test]
async fn only_an_importer_of_the_recipient_notes_and_only_its_own_people_read() {
    let testing = start(Engine::Sqlite).await;
    for (grant, code) in [
        (grant(Role::Importer, gia_lai()), Code::PermissionDenied),
        (grant(Role::Importer, tri_qua()), Code::PermissionDenied),
        (grant(Role::Reporter, department()), Code::PermissionDenied),
        ("importer@regimes/to-department".to_owned(), Code::PermissionDenied),
        (grant(Role::Importer, department()), Code::Ok),
        (grant(Role::Importer, bac_ninh()), Code::Ok),
    ] {
        let mut intake = intake(&testing, &[&grant]);
        let noted = record(&mut intake, department(), vec![arrival("1")]).await;
        assert_eq!(noted.map_or_else(|refused| refused.code(), |_| Code::Ok), code, "{grant}");
    }
    for (grant, may_read) in [
        (grant(Role::Reader, department()), true),
        (grant(Role::Supervisor, bac_ninh()), true),
        (grant(Role::Reader, tri_qua()), false),
        (grant(Role::Reporter, department()), false),
    ] {
        let mut intake = intake(&testing, &[&grant]);
        let request =
            pb::ListArrivalsRequest { parent: department().to_string(), ..Default::default() };
        assert_eq!(intake.list_arrivals(request).await.is_ok(), may_read, "{grant}");
    }
}

/// An arrival and a report that is handed over, at once: one of the two orders explains what comes of it.
#[tokio::test]
async fn an_arrival_and_a_submission_at_once_end_as_if_one_had_come_after_the_other() {
    for engine in ENGINES {
        let (testing, mut reports, mut intake) = both(engine).await;
        let (mut fixed, mut shown) = (0, 0);
        for round in 0..20 {
            let number = (200 + round).to_string();
            let document = pb::Document { number: number.clone(), ..may().document.unwrap() };
            let regime = format!("month-{round}");
            let report = pb::Report { document: Some(document), ..of(&regime, "202605") };
            let draft = create(&mut reports, tri_qua(), report).await.unwrap();
            let arrival = pb::Arrival { document_number: number.clone(), ..arrival(&number) };
            let (mut submitting, mut noting) = (reports.clone(), intake.clone());
            let submit = async { submit(&mut submitting, &draft.name).await.unwrap() };
            let note = async { record(&mut noting, bac_ninh(), vec![arrival]).await.unwrap() };
            let (submitted, noted) = tokio::join!(submit, note);
            assert_eq!(noted.problems, []);
            let stands = get(&mut reports, &draft.name).await;
            assert_eq!(stands.arrival, evidence(&number), "{engine:?} {round}");
            let by_arrival = stands.receive_time == Some(field::pb_time(arrived()));
            let at_once = stands.receive_time == Some(field::pb_time(now()));
            assert!(by_arrival || at_once, "{stands:?}");
            assert_eq!(stands.receipt_evidence, evidence(&number).filter(|_| by_arrival));
            assert_eq!(submitted.receive_time, stands.receive_time, "what was answered stands");
            *(if by_arrival { &mut fixed } else { &mut shown }) += 1;
        }
        assert_eq!(fixed + shown, 20);
        let all = listed(&mut intake, bac_ninh(), false).await;
        assert_eq!(all.iter().filter(|one| one.fixed_receive_time).count(), fixed, "{engine:?}");
        assert!(all.iter().all(|one| !one.report.is_empty()), "{engine:?}");
        drop(testing);
    }
}

/// Reports with the same document and an arrival of it, all at once: none is lost, and whoever sees it sees all.
#[tokio::test]
async fn drafts_and_an_arrival_of_their_document_at_once_are_matched_as_what_is_there_in_the_end() {
    for engine in ENGINES {
        let (testing, mut reports, mut intake) = both(engine).await;
        for round in 0..12 {
            let number = (300 + round).to_string();
            let document = pb::Document { number: number.clone(), ..may().document.unwrap() };
            let report = |regime: &str| pb::Report {
                document: Some(document.clone()),
                ..of(&format!("month-{round}-{regime}"), "202605")
            };
            let unit = if round % 3 == 0 { dinh_to() } else { tri_qua() };
            let create = async |regime: &str, unit| {
                let mut client = client(&testing, &["importer"]);
                let request = create_request(unit, report(regime));
                client.create_report(request).await.unwrap().into_inner()
            };
            let mut noting = intake.clone();
            let arrival = pb::Arrival { document_number: number.clone(), ..arrival(&number) };
            let note = async { record(&mut noting, bac_ninh(), vec![arrival]).await.unwrap() };
            let (first, _, second) = tokio::join!(create("a", tri_qua()), note, create("b", unit));
            let [first, second] =
                [get(&mut reports, &first.name).await, get(&mut reports, &second.name).await];
            // A report of the neighbour is another document.
            let alone = unit == dinh_to();
            assert_eq!(first.arrival, evidence(&number).filter(|_| alone), "{engine:?} {round}");
            assert_eq!(second.arrival, None, "{engine:?} {round}");
            let all = listed(&mut intake, bac_ninh(), false).await;
            let noted = all.iter().find(|one| one.arrival_number == number).unwrap();
            assert_eq!(noted.ambiguous, !alone, "{engine:?} {round}");
            assert_eq!(noted.report, if alone { first.name } else { String::new() });
        }
    }
}

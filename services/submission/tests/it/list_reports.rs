use std::collections::BTreeSet;

use chrono::TimeDelta;
use dunghan_proto::policy::Role;
use dunghan_proto::submission as pb;
use dunghan_testkit::{ENGINES, Engine, Testing, fields, refusal};
use tonic::{Code, Status};

use crate::world::{
    Client, bac_ninh, binh_duong, client, count, create, dinh_to, gia_lai, grant, may, nowhere, of,
    old_tri_qua, send_back, start, submit, tri_qua,
};

async fn names(
    client: &mut Client,
    request: pb::ListReportsRequest,
) -> Result<Vec<String>, Status> {
    let answer = client.list_reports(request).await?.into_inner();
    assert_eq!(answer.next_page_token, "");
    Ok(answer.reports.into_iter().map(|report| report.name).collect())
}

/// Reports with a letter each, the last one created first in lists.
async fn some(testing: &Testing) -> Vec<(char, String)> {
    let mut importer = client(testing, &["importer"]);
    let mut made = Vec::new();
    for (letter, unit, regime, period) in [
        ('a', tri_qua(), "cds-month", "202605"),
        ('b', tri_qua(), "other-month", "202605"),
        ('c', dinh_to(), "cds-month", "202605"),
        ('d', old_tri_qua(), "cds-month", "202405"),
        ('e', binh_duong(), "cds-month", "202605"),
        ('f', binh_duong(), "other-month", "202604"),
    ] {
        testing.clock.advance(TimeDelta::seconds(1));
        let report = create(&mut importer, unit, of(regime, period)).await.unwrap();
        if letter == 'a' {
            submit(&mut importer, &report.name).await.unwrap();
        }
        made.push((letter, report.name));
    }
    made
}

fn letters(made: &[(char, String)], names: &[String]) -> String {
    let letter = |name| made.iter().find(|(_, made)| made == name).map(|(letter, _)| *letter);
    names.iter().filter_map(letter).collect()
}

#[tokio::test]
async fn a_caller_sees_what_their_grants_reach_and_nothing_else() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let made = some(&testing).await;
        for (grants, parent, regime, seen) in [
            ("reader".to_owned(), None, "", "fedcba"),
            ("reader".to_owned(), Some(bac_ninh()), "", "dcba"),
            ("reader".to_owned(), Some(gia_lai()), "regimes/cds-month", "e"),
            (grant(Role::Supervisor, bac_ninh()), None, "", "dcba"),
            (grant(Role::Supervisor, bac_ninh()), Some(tri_qua()), "", "ba"),
            (grant(Role::Reporter, tri_qua()), None, "", "ba"),
            (grant(Role::Reporter, tri_qua()), None, "regimes/cds-month", "a"),
            ("supervisor@regimes/cds-month".to_owned(), None, "", "edca"),
            ("supervisor@regimes/cds-month".to_owned(), None, "regimes/cds-month", "edca"),
            ("supervisor@regimes/cds-month".to_owned(), None, "regimes/other-month", ""),
            ("supervisor@regimes/cds-month".to_owned(), Some(bac_ninh()), "", "dca"),
            ("supervisor@regimes/cds-month".to_owned(), Some(gia_lai()), "regimes/cds-month", "e"),
        ] {
            let mut client = client(&testing, &[&grants]);
            let request = pb::ListReportsRequest {
                parent: parent.map(|unit| unit.to_string()).unwrap_or_default(),
                regime: regime.to_owned(),
                ..pb::ListReportsRequest::default()
            };
            let listed = names(&mut client, request).await.unwrap();
            assert_eq!(letters(&made, &listed), seen, "{engine:?} {grants} {parent:?} {regime}");
        }
        let both = [grant(Role::Reporter, tri_qua()), "reader@regimes/other-month".to_owned()];
        let mut client = client(&testing, &[&both[0], &both[1]]);
        let listed = names(&mut client, pb::ListReportsRequest::default()).await.unwrap();
        assert_eq!(letters(&made, &listed), "fba");
    }
}

#[tokio::test]
async fn a_parent_has_to_be_the_callers_and_to_exist() {
    let testing = start(Engine::Sqlite).await;
    for (grants, parent, regime, refused) in [
        (
            grant(Role::Supervisor, bac_ninh()),
            gia_lai(),
            "",
            (Code::PermissionDenied, "OUT_OF_SCOPE"),
        ),
        (
            grant(Role::Supervisor, bac_ninh()),
            nowhere(),
            "",
            (Code::PermissionDenied, "OUT_OF_SCOPE"),
        ),
        (
            "reader@regimes/cds-month".to_owned(),
            gia_lai(),
            "regimes/other-month",
            (Code::PermissionDenied, "OUT_OF_SCOPE"),
        ),
        ("reader".to_owned(), nowhere(), "", (Code::NotFound, "UNKNOWN_UNIT")),
    ] {
        let mut client = client(&testing, &[&grants]);
        let request = pb::ListReportsRequest {
            parent: parent.to_string(),
            regime: regime.to_owned(),
            ..pb::ListReportsRequest::default()
        };
        let status = names(&mut client, request).await.unwrap_err();
        assert_eq!(refusal(&status), (refused.0, refused.1.to_owned()), "{grants} {regime}");
    }
}

#[tokio::test]
async fn a_list_of_one_unit_holds_nothing_of_those_below_it() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut made = some(&testing).await;
        let mut importer = client(&testing, &["importer"]);
        let own = create(&mut importer, bac_ninh(), of("other-month", "202605")).await.unwrap();
        made.push(('g', own.name));
        for (grants, parent, seen) in [
            ("reader".to_owned(), bac_ninh(), "g"),
            ("reader".to_owned(), tri_qua(), "ba"),
            (grant(Role::Supervisor, bac_ninh()), bac_ninh(), "g"),
            ("reader@regimes/cds-month".to_owned(), tri_qua(), "a"),
        ] {
            let regime = if grants.contains("regimes") { "regimes/cds-month" } else { "" };
            let request = pb::ListReportsRequest {
                parent: parent.to_string(),
                regime: regime.to_owned(),
                unit_only: true,
                ..pb::ListReportsRequest::default()
            };
            let mut client = client(&testing, &[&grants]);
            let listed = names(&mut client, request).await.unwrap();
            assert_eq!(letters(&made, &listed), seen, "{engine:?} {grants} {parent}");
        }
    }
    let testing = start(Engine::Sqlite).await;
    let request = pb::ListReportsRequest { unit_only: true, ..pb::ListReportsRequest::default() };
    let status = names(&mut client(&testing, &["reader"]), request).await.unwrap_err();
    assert_eq!(fields(&status), ["parent"]);
}

#[tokio::test]
async fn a_list_is_narrowed_by_period_and_state() {
    let testing = start(Engine::Sqlite).await;
    let made = some(&testing).await;
    let mut reader = client(&testing, &["reader"]);
    let mut supervisor = client(&testing, &["supervisor", "reporter"]);
    let returned = &made[4].1;
    submit(&mut supervisor, returned).await.unwrap();
    send_back(&mut supervisor, returned, "2026-11-25").await.unwrap();
    use pb::report::State::{Draft, Returned, Submitted};
    for (period, states, seen) in [
        ("202605", &[][..], "ecba"),
        ("", &[Submitted], "a"),
        ("", &[Draft], "fdcb"),
        ("", &[Returned], "e"),
        ("", &[Returned, Submitted], "ea"),
        ("", &[Draft, Submitted, Draft], "fdcba"),
        ("", &[Draft, Submitted, Returned], "fedcba"),
        ("202605", &[Draft], "cb"),
        ("202601", &[], ""),
    ] {
        let request = pb::ListReportsRequest {
            period: period.to_owned(),
            states: states.iter().map(|state| *state as i32).collect(),
            ..pb::ListReportsRequest::default()
        };
        let listed = names(&mut reader, request).await.unwrap();
        assert_eq!(letters(&made, &listed), seen, "{period} {states:?}");
    }
    let empty = pb::ListReportsRequest::default();
    for (request, reason, field) in [
        (pb::ListReportsRequest { parent: "x".into(), ..empty.clone() }, "INVALID_FIELD", "parent"),
        (pb::ListReportsRequest { regime: "x".into(), ..empty.clone() }, "INVALID_FIELD", "regime"),
        (
            pb::ListReportsRequest { period: "x".into(), ..empty.clone() },
            "INVALID_PERIOD",
            "period",
        ),
        (pb::ListReportsRequest { states: vec![0], ..empty.clone() }, "INVALID_FIELD", "states"),
        (pb::ListReportsRequest { states: vec![9], ..empty.clone() }, "INVALID_FIELD", "states"),
        (pb::ListReportsRequest { page_size: -1, ..empty.clone() }, "INVALID_FIELD", "page_size"),
        (
            pb::ListReportsRequest { page_token: "x".into(), ..empty },
            "INVALID_PAGE_TOKEN",
            "page_token",
        ),
    ] {
        let refused = reader.list_reports(request).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::InvalidArgument, reason.to_owned()));
        assert_eq!(fields(&refused), [field]);
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_overlap() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut importer = client(&testing, &["importer"]);
        let mut made = BTreeSet::new();
        // All at the same instant: the id decides.
        for month in 1..=11 {
            let period = format!("2026{month:02}");
            let report = create(&mut importer, binh_duong(), of("cds-month", &period)).await;
            made.insert(report.unwrap().name);
        }
        let mut request = pb::ListReportsRequest { page_size: 4, ..Default::default() };
        let mut seen = Vec::new();
        for expected in [4, 4, 3] {
            let page = importer.list_reports(request.clone()).await.unwrap().into_inner();
            assert_eq!(page.reports.len(), expected);
            seen.extend(page.reports.into_iter().map(|report| report.name));
            request.page_token = page.next_page_token;
        }
        assert_eq!(request.page_token, "");
        assert_eq!(seen.len(), 11);
        assert_eq!(seen.iter().cloned().collect::<BTreeSet<_>>(), made);
        assert!(seen.is_sorted_by(|one, two| one > two), "{engine:?}");

        let first = pb::ListReportsRequest { page_size: 4, ..Default::default() };
        let token = importer.list_reports(first).await.unwrap().into_inner().next_page_token;
        let other = pb::ListReportsRequest {
            page_token: token,
            period: "202605".to_owned(),
            ..Default::default()
        };
        let refused = importer.list_reports(other).await.unwrap_err();
        assert_eq!(refusal(&refused).1, "INVALID_PAGE_TOKEN");
    }
}

#[tokio::test]
async fn a_list_leaves_texts_out_and_a_page_of_long_reports_ends_earlier() {
    let testing = start(Engine::Sqlite).await;
    let mut importer = client(&testing, &["importer"]);
    let quoted = pb::Value { quote: "Nguyên văn".to_owned(), ..count("portal_posts", 1) };
    let report = pb::Report { values: vec![quoted], ..may() };
    create(&mut importer, tri_qua(), report).await.unwrap();
    let listed = importer.list_reports(pb::ListReportsRequest::default()).await.unwrap();
    let listed = &listed.get_ref().reports[0];
    assert_eq!((listed.narrative.as_str(), listed.values[0].quote.as_str()), ("", ""));

    for month in 1..=11 {
        let long = (0..1500).map(|at| pb::Value {
            category: format!("{at:0>200}"),
            ..count("dossiers_received_total", at)
        });
        let period = format!("2026{month:02}");
        let report = pb::Report { values: long.collect(), ..of("cds-month", &period) };
        create(&mut importer, binh_duong(), report).await.unwrap();
    }
    // A client with the usual limit of 4 MiB reads all of it.
    let mut reader = Client::new(testing.channel(&["reader"]));
    let (mut seen, mut pages, mut page_token) = (0, 0, String::new());
    loop {
        let request = pb::ListReportsRequest { page_token, page_size: 1000, ..Default::default() };
        let page = reader.list_reports(request).await.unwrap().into_inner();
        (seen, pages) = (seen + page.reports.len(), pages + 1);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, 12);
    assert!(pages > 1, "{pages}");
}

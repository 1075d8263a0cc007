//! ReorganisationService: what is previewed, recorded, and corrected.

use dunghan_events::Units;
use dunghan_proto::events::ListEventsRequest;
use dunghan_proto::events::event::Payload;
use dunghan_proto::registry as pb;
use dunghan_proto::registry::change::Change;
use dunghan_proto::registry::contact_service_client::ContactServiceClient;
use dunghan_proto::registry::grant_service_client::GrantServiceClient;
use dunghan_testkit::{ENGINES, Testing, eventually, fields, refusal};
use tonic::{Code, Status};

use crate::changes::{
    Reorganisations, abolish, correcting, create, existing, listed, merge, new, of, on, parts,
    preview, rename, reorganisations, transfer, under, with_old_tree,
};
use crate::copies::histories;
use crate::{SOON, by_code, client, codes, date, imported, name, row, start};

const REFORM: &str = "2025-07-01";

/// Two communes become one of the province, the third moves there, and the district ends.
fn merger() -> pb::Reorganisation {
    let changes = vec![
        merge(&["09421", "09427"], new("09427", "Phường Trí Quả", "27")),
        transfer("09430", "27"),
        abolish("262", ""),
    ];
    on(REFORM, changes)
}

/// Effects as what happens to whom.
fn told(effects: &[pb::UnitEffect]) -> Vec<(&str, &str)> {
    let one = |effect: &pb::UnitEffect| {
        let unit = effect.before.as_ref().or(effect.after.as_ref());
        let kind = effect.kind().as_str_name().trim_start_matches("UNIT_EFFECT_KIND_");
        (unit.unwrap().statistics_code.clone().leak() as &str, kind)
    };
    effects.iter().map(one).collect()
}

fn problems(response: &pb::PreviewReorganisationResponse) -> Vec<(&str, &str)> {
    let reason = |problem: &pb::ChangeProblem| {
        problem.reason().as_str_name().trim_start_matches("ERROR_REASON_")
    };
    response.problems.iter().map(|one| (one.field.as_str(), reason(one))).collect()
}

async fn version(testing: &Testing) -> i64 {
    let request = pb::ListUnitsRequest::default();
    let listed = client(testing, "reader").list_units(request).await.unwrap();
    listed.into_inner().hierarchy_version
}

#[tokio::test]
async fn a_preview_tells_all_that_would_happen_and_nothing_does() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = with_old_tree(&testing).await;
        let before = listed(&testing, REFORM).await;
        let answer = preview(&mut operator, merger()).await;
        assert_eq!(answer.problems, []);
        assert_eq!(
            told(&answer.effects),
            [
                ("09421", "ENDED"),
                ("09427", "CREATED"),
                ("09427", "ENDED"),
                ("09430", "CHANGED"),
                ("262", "ENDED"),
            ]
        );
        let moved = &answer.effects[3];
        let (was, is) = (moved.before.as_ref().unwrap(), moved.after.as_ref().unwrap());
        assert_eq!((&was.parent_unit, &is.parent_unit), (&name("262", ""), &name("27", "")));
        assert_eq!((was.valid_from_date, is.valid_from_date), (None, date(REFORM)));
        let ended = &answer.effects[4];
        assert_eq!((ended.before.is_some(), ended.after.is_some()), (true, false));

        let edge = |predecessor: &str| pb::LineageEdge {
            predecessor: name(predecessor, ""),
            successor: name("09427", REFORM),
            kind: pb::EdgeKind::Merged.into(),
            effective_date: date(REFORM),
            reorganisation: String::new(),
        };
        let mut edges = answer.edges.clone();
        edges.sort_by_key(|edge| edge.predecessor != name("09421", ""));
        assert_eq!(edges, [edge("09421"), edge("09427")]);
        assert!(answer.retroactive);
        let later = pb::Reorganisation { effective_date: date("2026-11-22"), ..merger() };
        assert!(!preview(&mut operator, later).await.retroactive);

        assert_eq!((listed(&testing, REFORM).await, version(&testing).await), (before, 1));
        let none = operator.list_reorganisations(pb::ListReorganisationsRequest::default()).await;
        assert_eq!(none.unwrap().into_inner().reorganisations, []);
    }
}

#[tokio::test]
async fn a_preview_lists_the_contacts_and_grants_of_units_that_would_end_and_no_others() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = with_old_tree(&testing).await;
        let peer = testing.channel(&["operator"]);
        let mut contacts = ContactServiceClient::new(peer.clone());
        let mut grants = GrantServiceClient::new(peer);
        let (mut added, mut granted) = (Vec::new(), Vec::new());
        // Three of these end, and the contact of one of them has ended before.
        let units =
            [("262", ""), ("09421", ""), ("27", ""), ("09430", ""), ("09427", "2025-05-31")];
        for (code, through) in units {
            let contact = pb::Contact {
                role: pb::ContactRole::Head.into(),
                display_name: format!("Văn phòng {code}"),
                valid_from_date: date("2024-01-01"),
                valid_through_date: date(through),
                ..Default::default()
            };
            let request = pb::CreateContactRequest {
                parent: name(code, ""),
                contact: Some(contact),
                request_id: String::new(),
            };
            added.push(contacts.create_contact(request).await.unwrap().into_inner());
            let grant = pb::Grant {
                subject: format!("can-bo-{code}"),
                role: dunghan_proto::policy::Role::Reporter.into(),
                over: Some(pb::grant::Over::Unit(name(code, ""))),
                reason: "Phân công công tác".to_owned(),
                ..Default::default()
            };
            let request = pb::CreateGrantRequest { grant: Some(grant), request_id: String::new() };
            granted.push(grants.create_grant(request).await.unwrap().into_inner());
        }
        let answer = preview(&mut operator, merger()).await;
        let mut ending = answer.contacts;
        ending.sort_by_key(|contact| contact.display_name.clone());
        assert_eq!(ending, [added[1].clone(), added[0].clone()]);
        let mut over = answer.grants;
        over.sort_by_key(|grant| grant.subject.clone());
        assert_eq!(over, [granted[1].clone(), granted[4].clone(), granted[0].clone()]);
    }
}

#[tokio::test]
async fn a_preview_lists_every_problem_by_its_field() {
    let testing = start(ENGINES[0]).await;
    let mut operator = with_old_tree(&testing).await;
    let wrong = vec![
        merge(&["09421", "99999"], existing("27")),
        merge(&["09427"], existing("09427")),
        rename("00000", "Phường Không Có"),
    ];
    let answer = preview(&mut operator, on(REFORM, wrong.clone())).await;
    let told = problems(&answer);
    for expected in [
        ("changes[0].merge.shares[1].unit", "CHANGE_UNIT_NOT_VALID"),
        ("changes[2].rename.unit", "CHANGE_UNIT_NOT_VALID"),
    ] {
        assert!(told.contains(&expected), "{expected:?} of {told:?}");
    }
    assert!(told.iter().any(|(_, reason)| *reason == "CHANGE_INTO_ITSELF"), "{told:?}");
    assert_eq!((&answer.effects, &answer.edges), (&vec![], &vec![]));
    assert_eq!(answer.hierarchy_version, 1);

    // What is refused names the same fields, within the request's.
    let refused = create(&mut operator, "ban-sai", on(REFORM, wrong)).await.unwrap_err();
    assert_eq!(refusal(&refused).1, told[0].1);
    let expected: Vec<_> =
        answer.problems.iter().map(|one| format!("reorganisation.{}", one.field)).collect();
    assert_eq!(fields(&refused), expected);
    let left = on(REFORM, vec![abolish("262", "")]);
    let refused = create(&mut operator, "con-lai", left).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::FailedPrecondition, "CHILDREN_LEFT".to_owned()));
    assert_eq!(version(&testing).await, 1);
}

#[tokio::test]
async fn a_reorganisation_is_applied_recorded_and_told_at_once() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = with_old_tree(&testing).await;
        let recorded = create(&mut operator, "sap-xep-2025", merger()).await.unwrap();
        assert_eq!(recorded.name, "reorganisations/sap-xep-2025");
        assert_eq!((recorded.creator.as_str(), recorded.hierarchy_version), ("tester", 2));
        assert_eq!(recorded.create_time.unwrap().seconds, crate::now().timestamp());
        assert_eq!((recorded.changes.len(), recorded.corrected_by.as_str()), (3, ""));

        let here = |code: &str, name: &str| (code.to_owned(), name.to_owned());
        assert_eq!(
            listed(&testing, REFORM).await,
            [
                here("09427", "Phường Trí Quả"),
                here("09430", "Xã Đại Đồng"),
                here("09454", "Xã Xuân Lai"),
                here("24", "Tỉnh Bắc Giang"),
                here("263", "Huyện Gia Bình"),
                here("27", "Tỉnh Bắc Ninh"),
            ]
        );
        assert_eq!(listed(&testing, "2025-06-30").await.len(), 8);

        let get = pb::GetReorganisationRequest { name: recorded.name.clone() };
        let mut reader = reorganisations(&testing, "reader");
        assert_eq!(reader.get_reorganisation(get).await.unwrap().into_inner(), recorded);

        let mut service = client(&testing, "service");
        let events = eventually(SOON, async || {
            let answer = service.list_events(ListEventsRequest::default()).await.unwrap();
            let events = answer.into_inner().events;
            (events.len() == 3).then_some(events)
        });
        let events: Vec<_> = events.await.into_iter().filter_map(|one| one.payload).collect();
        let applied = events.iter().find_map(|payload| match payload {
            Payload::ReorganisationApplied(applied) => Some(applied),
            _ => None,
        });
        let applied = applied.unwrap();
        assert_eq!(
            (applied.reorganisation.as_str(), applied.effective_date),
            (recorded.name.as_str(), date(REFORM))
        );
        assert_eq!((applied.hierarchy_version, applied.corrects.as_str()), (2, ""));
        let changed = events.iter().filter(|one| matches!(one, Payload::UnitsChanged(_))).count();
        assert_eq!(changed, 2);
    }
}

#[tokio::test]
async fn the_same_again_is_answered_as_it_is_and_another_under_its_id_is_refused() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = with_old_tree(&testing).await;
        let first = create(&mut operator, "sap-xep-2025", merger()).await.unwrap();
        // Blanks around a text, and what is left out and means the same, are no difference.
        let mut same = pb::Reorganisation { title: format!(" {} ", merger().title), ..merger() };
        let Some(Change::Merge(merge)) = &mut same.changes[0].change else { panic!("{same:?}") };
        merge.shares[0].set_kind(pb::EdgeKind::Merged);
        assert_eq!(create(&mut operator, "sap-xep-2025", same).await.unwrap(), first);
        assert_eq!(version(&testing).await, 2);

        for other in [
            pb::Reorganisation { source: "Công báo".to_owned(), ..merger() },
            pb::Reorganisation { effective_date: date("2025-07-02"), ..merger() },
            on(REFORM, vec![rename("24", "Tỉnh Kinh Bắc")]),
        ] {
            let refused = create(&mut operator, "sap-xep-2025", other).await.unwrap_err();
            let expected = (Code::AlreadyExists, "REORGANISATION_EXISTS".to_owned());
            assert_eq!(refusal(&refused), expected);
        }
        assert_eq!(version(&testing).await, 2);
    }
}

#[tokio::test]
async fn the_same_request_is_answered_the_same_and_its_id_serves_no_other() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let operator = with_old_tree(&testing).await;
        let request = pb::CreateReorganisationRequest {
            reorganisation: Some(merger()),
            request_id: "6f0f7c5e-3b0c-4d39-8f43-0f6f6a4a3f6e".to_owned(),
            ..Default::default()
        };
        // Many at once, without an id of theirs, are one.
        let calls = (0..6).map(|_| {
            let (mut operator, request) = (operator.clone(), request.clone());
            async move { operator.create_reorganisation(request).await.unwrap().into_inner() }
        });
        let answers = futures::future::join_all(calls).await;
        let id = answers[0].name.trim_start_matches("reorganisations/");
        assert_eq!(id.parse::<uuid::Uuid>().unwrap().get_version_num(), 7);
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
        assert_eq!(version(&testing).await, 2);

        let mut operator = operator;
        let other = pb::Reorganisation { title: "Khác".to_owned(), ..merger() };
        let other =
            pb::CreateReorganisationRequest { reorganisation: Some(other), ..request.clone() };
        let refused = operator.create_reorganisation(other).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::InvalidArgument, "REQUEST_ID_REUSED".to_owned()));
        let bad = pb::CreateReorganisationRequest { request_id: "1".to_owned(), ..request };
        let refused = operator.create_reorganisation(bad).await.unwrap_err();
        assert_eq!(fields(&refused), ["request_id"]);
    }
}

#[tokio::test]
async fn reorganisations_at_the_same_time_all_come_in() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let operator = with_old_tree(&testing).await;
        let calls = (1..=6).map(|number| {
            let mut operator = operator.clone();
            let stated = on(&format!("2025-08-0{number}"), vec![rename("24", "Tỉnh Kinh Bắc")]);
            let changes = vec![rename("24", &format!("Tỉnh Số {number}"))]
                .into_iter()
                .map(|change| pb::Change { change: Some(change) })
                .collect();
            let stated = pb::Reorganisation { changes, ..stated };
            async move { create(&mut operator, &format!("doi-ten-{number}"), stated).await.unwrap() }
        });
        let answers = futures::future::join_all(calls).await;
        let mut versions: Vec<_> = answers.iter().map(|answer| answer.hierarchy_version).collect();
        versions.sort_unstable();
        assert_eq!(versions, [2, 3, 4, 5, 6, 7]);
        let mut reader = client(&testing, "reader");
        for number in 1..=6 {
            let unit = by_code(&mut reader, "24", &format!("2025-08-0{number}")).await.unwrap();
            assert_eq!(unit.display_name, format!("Tỉnh Số {number}"));
        }
    }
}

async fn batch(
    operator: &mut Reorganisations,
    requests: Vec<pb::CreateReorganisationRequest>,
) -> Result<pb::BatchCreateReorganisationsResponse, Status> {
    let request = pb::BatchCreateReorganisationsRequest { requests };
    operator.batch_create_reorganisations(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_batch_is_recorded_each_on_top_of_the_one_before_or_not_at_all() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = with_old_tree(&testing).await;
        let city = on("2026-09-20", vec![rename("09427", "Phường Trí Quả Mới")]);
        let wrong = on("2026-10-01", vec![rename("09421", "Phường Đã Hết")]);
        let requests = |third: Option<&pb::Reorganisation>| {
            let third = third.map(|one| under("thu-ba", one.clone()));
            let two = [under("thu-nhat", merger()), under("thu-hai", city.clone())];
            two.into_iter().chain(third).collect::<Vec<_>>()
        };
        // The second one is about a unit that the first one makes.
        let refused = batch(&mut operator, requests(Some(&wrong))).await.unwrap_err();
        let expected = (Code::FailedPrecondition, "CHANGE_UNIT_NOT_VALID".to_owned());
        assert_eq!(refusal(&refused), expected);
        assert_eq!(fields(&refused), ["requests[2].reorganisation.changes[0].rename.unit"]);
        assert_eq!(version(&testing).await, 1);

        let answer = batch(&mut operator, requests(None)).await.unwrap();
        assert_eq!(answer.created_count, 2);
        let versions: Vec<_> =
            answer.reorganisations.iter().map(|one| one.hierarchy_version).collect();
        assert_eq!(versions, [2, 3]);
        assert!(answer.reorganisations.iter().all(|one| one.changes.is_empty()));
        let again = batch(&mut operator, requests(None)).await.unwrap();
        assert_eq!((again.created_count, &again.reorganisations), (0, &answer.reorganisations));

        // Those that are there are left as they are, also among others.
        let right = on("2026-10-01", vec![rename("24", "Tỉnh Kinh Bắc")]);
        let more = batch(&mut operator, requests(Some(&right))).await.unwrap();
        assert_eq!((more.created_count, more.reorganisations.len()), (1, 3));
        assert_eq!(more.reorganisations[2].hierarchy_version, 4);
        let mut reader = client(&testing, "reader");
        let unit = by_code(&mut reader, "09427", "2026-09-20").await.unwrap();
        assert_eq!(unit.display_name, "Phường Trí Quả Mới");
    }
}

#[tokio::test]
async fn what_does_not_read_is_refused_by_every_field() {
    let testing = start(ENGINES[0]).await;
    let mut operator = with_old_tree(&testing).await;
    let nothing = Change::Merge(pb::Merge::default());
    let bad = vec![
        nothing,
        Change::Split(pb::Split {
            unit: of("262"),
            portions: vec![pb::Portion {
                into: new("9427", "Phường Trí Quả", "27"),
                kind: pb::EdgeKind::Merged.into(),
            }],
            ..Default::default()
        }),
        Change::Retype(pb::Retype { unit: of("24"), kind: 99, level: 99, ..Default::default() }),
        Change::Recode(pb::Recode { unit: of(" "), value: "a b".to_owned(), ..Default::default() }),
        Change::Rename(pb::Rename { unit: of("24"), display_name: "Một\nHai".to_owned() }),
        Change::Transfer(pb::Transfer {
            unit: Some(pb::UnitReference {
                reference: Some(pb::unit_reference::Reference::Unit("units/24".to_owned())),
            }),
            parent: Some(pb::UnitReference { reference: None }),
        }),
        merge(&["24"], Some(pb::Target { target: None })),
        Change::Merge(pb::Merge {
            shares: vec![pb::Share { unit: of("24"), kind: pb::EdgeKind::ThroughChildren.into() }],
            into: existing("27"),
        }),
    ];
    let mut stated = on(REFORM, bad);
    stated.changes.push(pb::Change { change: None });
    stated.legal_basis = " ".to_owned();
    stated.effective_date = None;
    stated.corrects = "24".to_owned();
    stated.unconfirmed =
        vec![pb::UnconfirmedEdge { predecessor: "24".to_owned(), ..Default::default() }];
    let expected = [
        "legal_basis",
        "effective_date",
        "corrects",
        "changes[0].merge.shares",
        "changes[0].merge.into",
        "changes[1].split.portions[0].into.new_unit.identifier.value",
        "changes[1].split.portions[0].kind",
        "changes[2].retype.kind",
        "changes[2].retype.level",
        "changes[3].recode.unit.identifier.value",
        "changes[3].recode.scheme",
        "changes[3].recode.value",
        "changes[4].rename.display_name",
        "changes[5].transfer.unit.unit",
        "changes[5].transfer.parent",
        "changes[6].merge.into",
        "changes[7].merge.shares[0].kind",
        "changes[8].change",
        "unconfirmed[0].predecessor",
        "unconfirmed[0].note",
    ];
    let refused = create(&mut operator, "ban-sai", stated.clone()).await.unwrap_err();
    let within = |before: &str| expected.map(|field| format!("{before}{field}")).to_vec();
    assert_eq!(fields(&refused), within("reorganisation."));
    assert_eq!(refusal(&refused), (Code::InvalidArgument, "REQUIRED_FIELD_MISSING".to_owned()));
    let requests = vec![under("mot-hai", merger()), under("sai-sai", stated.clone())];
    let refused = batch(&mut operator, requests).await.unwrap_err();
    assert_eq!(fields(&refused), within("requests[1].reorganisation."));
    let request = pb::PreviewReorganisationRequest { reorganisation: Some(stated) };
    let refused = operator.preview_reorganisation(request).await.unwrap_err();
    assert_eq!(fields(&refused), within("reorganisation."));

    // Nothing to do, in the place of nothing.
    let refused = create(&mut operator, "khong-gi", on(REFORM, Vec::new())).await.unwrap_err();
    assert_eq!(fields(&refused), ["reorganisation.changes"]);
    for id in ["abc", "Sap-xep", "sap_xep", "-abc", "abc-", "a".repeat(64).as_str()] {
        let refused = create(&mut operator, id, merger()).await.unwrap_err();
        assert_eq!(fields(&refused), ["reorganisation_id"], "{id}");
    }
    let refused = operator
        .create_reorganisation(pb::CreateReorganisationRequest::default())
        .await
        .unwrap_err();
    assert_eq!(fields(&refused), ["reorganisation"]);
    let get = pb::GetReorganisationRequest { name: "units/1".to_owned() };
    assert_eq!(fields(&operator.get_reorganisation(get).await.unwrap_err()), ["name"]);
    assert_eq!(version(&testing).await, 1);
}

#[tokio::test]
async fn a_refusal_names_as_many_fields_as_fit_and_counts_the_rest() {
    let testing = start(ENGINES[0]).await;
    let mut operator = with_old_tree(&testing).await;
    let unknown = (10_000..11_000).map(|code| rename(&code.to_string(), "Xã Không Có Đâu"));
    let unknown = on(REFORM, unknown.collect());
    assert_eq!(preview(&mut operator, unknown.clone()).await.problems.len(), 1000);
    let refused = create(&mut operator, "khong-co", unknown.clone()).await.unwrap_err();
    let named = fields(&refused);
    assert!((5..100).contains(&named.len()), "{named:?}");
    let rest = format!("and {} more", 1000 - named.len());
    assert!(refused.message().ends_with(&rest), "{}", refused.message());

    let changes = vec![unknown.changes[0].clone(); 20_001];
    let many = pb::Reorganisation { changes, ..unknown.clone() };
    let refused = create(&mut operator, "qua-nhieu", many).await.unwrap_err();
    assert_eq!(fields(&refused), ["reorganisation.changes"]);
    let half = |changes| pb::Reorganisation { changes, ..unknown.clone() };
    let [one, two] = [10_000, 10_001].map(|n| half(vec![unknown.changes[0].clone(); n]));
    let requests = vec![under("mot-nua", one), under("nua-kia", two)];
    assert_eq!(fields(&batch(&mut operator, requests).await.unwrap_err()), ["requests"]);
}

#[tokio::test]
async fn a_batch_takes_ids_of_its_reorganisations_and_no_others() {
    let testing = start(ENGINES[0]).await;
    let mut operator = with_old_tree(&testing).await;
    let refused = batch(&mut operator, vec![under("", merger())]).await.unwrap_err();
    assert_eq!(fields(&refused), ["requests[0].reorganisation_id"]);
    let twice = vec![under("mot-hai", merger()), under("mot-hai", merger())];
    let refused = batch(&mut operator, twice).await.unwrap_err();
    assert_eq!(fields(&refused), ["requests[1].reorganisation_id"]);
    let mut request = under("mot-hai", merger());
    request.request_id = "6f0f7c5e-3b0c-4d39-8f43-0f6f6a4a3f6e".to_owned();
    let refused = batch(&mut operator, vec![request]).await.unwrap_err();
    assert_eq!(fields(&refused), ["requests[0].request_id"]);
    let many = (0..201).map(|number| under(&format!("so-{number:03}"), merger())).collect();
    assert_eq!(fields(&batch(&mut operator, many).await.unwrap_err()), ["requests"]);
    assert_eq!(fields(&batch(&mut operator, Vec::new()).await.unwrap_err()), ["requests"]);
}

#[tokio::test]
async fn reorganisations_are_listed_by_effective_date_without_their_changes() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = with_old_tree(&testing).await;
        let named = |number: u32| vec![rename("24", &format!("Tỉnh Số {number}"))];
        for (number, day) in [(1, "2025-07-01"), (2, "2026-03-01"), (3, "2024-01-01")] {
            let stated = on(day, named(number));
            create(&mut operator, &format!("so-{number:02}"), stated).await.unwrap();
        }
        // Of one day the one recorded last is first.
        let other = on("2026-03-01", vec![rename("27", "Tỉnh Kinh Bắc")]);
        create(&mut operator, "aaaa", other).await.unwrap();
        let mut reader = reorganisations(&testing, "reader");
        let mut request = pb::ListReorganisationsRequest { page_size: 3, ..Default::default() };
        let mut found = Vec::new();
        loop {
            let page = reader.list_reorganisations(request.clone()).await.unwrap().into_inner();
            found.extend(page.reorganisations);
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
        let names: Vec<_> =
            found.iter().map(|one| one.name.trim_start_matches("reorganisations/")).collect();
        assert_eq!(names, ["aaaa", "so-02", "so-01", "so-03"]);
        assert!(found.iter().all(|one| one.changes.is_empty() && !one.title.is_empty()));
        request.page_token = "zz".to_owned();
        let refused = reader.list_reorganisations(request).await.unwrap_err();
        assert_eq!(fields(&refused), ["page_token"]);
    }
}

#[tokio::test]
async fn a_reorganisation_that_is_corrected_never_was() {
    use pb::UnitEffectKind::TakenBack;
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = with_old_tree(&testing).await;
        create(&mut operator, "sap-xep-2025", merger()).await.unwrap();
        let later = on("2026-09-20", vec![rename("27", "Thành phố Bắc Ninh")]);
        create(&mut operator, "thanh-pho", later).await.unwrap();

        // The new ward has another code, and begins a month later.
        let right = vec![
            merge(&["09421", "09427"], new("09433", "Phường Trí Quả", "27")),
            transfer("09430", "27"),
            abolish("262", ""),
        ];
        let right = correcting("sap-xep-2025", on("2025-08-01", right));
        let answer = preview(&mut operator, right.clone()).await;
        assert_eq!(answer.problems, []);
        assert_eq!(
            told(&answer.effects),
            [
                ("09421", "REWRITTEN"),
                ("09427", "TAKEN_BACK"),
                ("09427", "REWRITTEN"),
                ("09430", "REWRITTEN"),
                ("09433", "CREATED"),
                ("262", "REWRITTEN"),
            ]
        );
        // Each as it was so far and as it is now, on the first day on which that differs.
        let [ended, ..] = &answer.effects[..] else { panic!("{:#?}", answer.effects) };
        let there = ended.after.as_ref().unwrap();
        assert_eq!((&ended.before, there.valid_through_date), (&None, date("2025-07-31")));
        let back = &answer.effects.iter().find(|one| one.kind() == TakenBack).unwrap();
        let was = back.before.as_ref().unwrap();
        assert_eq!((was.name.as_str(), &back.after), (&*name("09427", REFORM), &None));
        assert_eq!(answer.edges.len(), 2);
        assert_eq!(version(&testing).await, 3);

        let recorded = create(&mut operator, "sap-xep-sua", right).await.unwrap();
        assert_eq!(recorded.corrects, "reorganisations/sap-xep-2025");
        assert_eq!(recorded.hierarchy_version, 4);
        let get = pb::GetReorganisationRequest { name: recorded.corrects.clone() };
        let corrected = operator.get_reorganisation(get).await.unwrap().into_inner();
        assert_eq!(corrected.corrected_by, recorded.name);
        assert_eq!(corrected.changes.len(), 3);

        let mut reader = client(&testing, "reader");
        assert_eq!(listed(&testing, "2025-07-31").await.len(), 8);
        let ward = by_code(&mut reader, "09433", "2025-08-01").await.unwrap();
        assert_eq!(ward.name, name("09433", "2025-08-01"));
        // What came after it still holds.
        let city = by_code(&mut reader, "27", "2026-09-20").await.unwrap();
        assert_eq!(city.display_name, "Thành phố Bắc Ninh");
        // The unit that was recorded by mistake is known as one that never existed.
        let gone = pb::GetUnitRequest { name: name("09427", REFORM), as_of_date: date(REFORM) };
        let gone = reader.get_unit(gone).await.unwrap_err();
        assert_eq!(refusal(&gone), (Code::NotFound, "UNIT_NOT_VALID_ON_DATE".to_owned()));
        assert!(gone.message().contains("never existed"), "{}", gone.message());

        // What is loaded from the tables is what is answered from.
        let copy = Units::new(testing.channel(&["service"])).current().await.unwrap();
        let place = testing.stop().await;
        let database = dunghan_store::Database::open(&place.location, "registry").await.unwrap();
        let stored = dunghan_registry::store::Store::new(database);
        let stored = stored.known_fetch().await.unwrap().0;
        assert_eq!((histories(&copy), copy.edges()), (histories(&stored), stored.edges()));
    }
}

#[tokio::test]
async fn a_correction_without_changes_takes_it_back_and_can_be_corrected_itself() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = with_old_tree(&testing).await;
        let before = listed(&testing, REFORM).await;
        create(&mut operator, "sap-xep-2025", merger()).await.unwrap();
        let after = listed(&testing, REFORM).await;
        assert_ne!(before, after);

        // Whatever day it gives, the days since the first one's are answered anew.
        let back = correcting("sap-xep-2025", on("2027-01-01", Vec::new()));
        assert!(preview(&mut operator, back.clone()).await.retroactive);
        create(&mut operator, "thu-hoi", back.clone()).await.unwrap();
        assert_eq!(listed(&testing, REFORM).await, before);
        // One place has one that holds.
        let twice = create(&mut operator, "thu-hoi-nua", back.clone()).await.unwrap_err();
        assert_eq!(refusal(&twice), (Code::FailedPrecondition, "CORRECTED_ALREADY".to_owned()));
        assert_eq!(fields(&twice), ["reorganisation.corrects"]);
        let told = preview(&mut operator, back).await;
        assert_eq!(problems(&told), [("corrects", "CORRECTED_ALREADY")]);

        let again = correcting("thu-hoi", merger());
        let told = preview(&mut operator, again.clone()).await;
        assert_eq!(told.edges.len(), 2);
        create(&mut operator, "sap-xep-lai", again).await.unwrap();
        assert_eq!(listed(&testing, REFORM).await, after);
        let mut reader = client(&testing, "reader");
        let ward = by_code(&mut reader, "09427", REFORM).await.unwrap();
        assert_eq!(ward.name, name("09427", REFORM));

        let unknown = correcting("khong-co", merger());
        let refused = create(&mut operator, "sua-gi", unknown.clone()).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::NotFound, "REORGANISATION_NOT_FOUND".to_owned()));
        let told = preview(&mut operator, unknown).await;
        assert_eq!(problems(&told), [("corrects", "REORGANISATION_NOT_FOUND")]);
        let get = pb::GetReorganisationRequest { name: "reorganisations/khong-co".to_owned() };
        let refused = operator.get_reorganisation(get).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::NotFound, "REORGANISATION_NOT_FOUND".to_owned()));
    }
}

#[tokio::test]
async fn a_correction_that_something_later_does_not_fit_is_refused_and_says_what() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = with_old_tree(&testing).await;
        create(&mut operator, "sap-xep-2025", merger()).await.unwrap();
        // It stands on the ward that the first one made.
        let later = on("2026-01-01", vec![rename("09427", "Phường Trí Quả Mới")]);
        let unit = name("09427", REFORM);
        let child = pb::UnitRow {
            scheme: "dinh_danh".to_owned(),
            parent_scheme: "nso".to_owned(),
            kind: pb::Kind::School.into(),
            level: pb::Level::School.into(),
            display_name: "Trường Tiểu học Trí Quả".to_owned(),
            ..row("TH.1", "Xã", "09427", "2025-09-01", "")
        };
        create(&mut operator, "doi-ten", later.clone()).await.unwrap();
        imported(&testing, vec![child]).await;
        let units = listed(&testing, "").await;

        let right = vec![
            merge(&["09421", "09430"], new("09421", "Phường Trí Quả", "27")),
            transfer("09427", "27"),
            abolish("262", ""),
        ];
        let renamed = correcting("sap-xep-2025", on(REFORM, right));
        // Of the legacy ward with that code the later ones can be said as well. Taken back, its new name has another parent.
        let fits = preview(&mut operator, renamed).await;
        assert_eq!(problems(&fits), []);

        let gone = vec![
            merge(&["09421", "09427", "09430"], new("09421", "Phường Trí Quả", "27")),
            abolish("262", ""),
        ];
        let gone = correcting("sap-xep-2025", on(REFORM, gone));
        let told = preview(&mut operator, gone.clone()).await;
        assert_eq!(problems(&told)[0], ("corrects", "LATER_ENTRY_CONFLICTS"));
        assert!(told.problems[0].message.starts_with("reorganisations/doi-ten, changes[0]"));
        let refused = create(&mut operator, "sua-sai", gone.clone()).await.unwrap_err();
        let expected = (Code::FailedPrecondition, "LATER_ENTRY_CONFLICTS".to_owned());
        assert_eq!(refusal(&refused), expected);
        assert!(refused.message().contains("reorganisations/doi-ten"), "{}", refused.message());

        // The later one first: then it is the import that does not fit.
        let back = correcting("doi-ten", on("2026-01-01", Vec::new()));
        create(&mut operator, "thu-hoi", back).await.unwrap();
        let told = preview(&mut operator, gone.clone()).await;
        assert_eq!(problems(&told)[0], ("corrects", "LATER_ENTRY_CONFLICTS"));
        let message = &told.problems[0].message;
        assert!(message.starts_with("unitImports/") && message.contains(", row 1: "), "{message}");

        // The correction's own faults are its own.
        let wrong = correcting("sap-xep-2025", on(REFORM, vec![rename("00000", "Xã Không Có")]));
        let told = preview(&mut operator, wrong).await;
        assert_eq!(problems(&told), [("changes[0].rename.unit", "CHANGE_UNIT_NOT_VALID")]);
        let mut reader = client(&testing, "reader");
        assert_eq!(by_code(&mut reader, "09427", REFORM).await.unwrap().name, unit);
        assert_eq!(listed(&testing, "").await.len(), units.len());
    }
}

#[tokio::test]
async fn the_past_cannot_be_built_again_where_its_record_is_not_whole() {
    use dunghan_registry::store::{EdgeChange, Store};
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = with_old_tree(&testing).await;
        create(&mut operator, "sap-xep-2025", merger()).await.unwrap();
        let place = testing.stop().await;
        // As units came in before imports were recorded: a version that no entry made.
        let database = dunghan_store::Database::open(&place.location, "registry").await.unwrap();
        let store = Store::new(database);
        let keep = EdgeChange::Keep;
        store.hierarchy_move(2, 3, &[], keep, crate::now(), async |_| Ok(())).await.unwrap();
        store.database().close().await.unwrap();

        let suite = dunghan_host::Suite::new().with::<dunghan_registry::Registry>();
        let testing = dunghan_testkit::start_at(suite, place, crate::now(), &[]).await;
        let mut operator = reorganisations(&testing, "operator");
        let back = correcting("sap-xep-2025", on(REFORM, Vec::new()));
        let told = preview(&mut operator, back.clone()).await;
        assert_eq!(problems(&told), [("corrects", "RECORD_INCOMPLETE")]);
        let refused = create(&mut operator, "thu-hoi", back).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::FailedPrecondition, "RECORD_INCOMPLETE".to_owned()));
        // What needs no look back goes on.
        let later = on("2026-01-01", vec![rename("24", "Tỉnh Kinh Bắc")]);
        create(&mut operator, "doi-ten", later).await.unwrap();
    }
}

#[tokio::test]
async fn only_an_operator_reorganises_and_everybody_reads() {
    let testing = start(ENGINES[0]).await;
    let mut operator = with_old_tree(&testing).await;
    create(&mut operator, "sap-xep-2025", merger()).await.unwrap();
    for role in ["reader", "supervisor", "importer", "service"] {
        let mut other = reorganisations(&testing, role);
        let expected = (Code::PermissionDenied, "ROLE_MISSING".to_owned());
        let request = pb::PreviewReorganisationRequest { reorganisation: Some(merger()) };
        let refused = other.preview_reorganisation(request).await.unwrap_err();
        assert_eq!(refusal(&refused), expected, "{role}");
        let refused = create(&mut other, "nguoi-khac", merger()).await.unwrap_err();
        assert_eq!(refusal(&refused), expected, "{role}");
        let refused = batch(&mut other, vec![under("nguoi-khac", merger())]).await.unwrap_err();
        assert_eq!(refusal(&refused), expected, "{role}");
        let get = pb::GetReorganisationRequest { name: "reorganisations/sap-xep-2025".to_owned() };
        assert_eq!(other.get_reorganisation(get).await.unwrap().into_inner().changes.len(), 3);
        let list = other.list_reorganisations(pb::ListReorganisationsRequest::default()).await;
        assert_eq!(list.unwrap().into_inner().reorganisations.len(), 1);
    }
}

#[tokio::test]
async fn a_part_that_passes_leaves_the_unit_as_it_is() {
    let testing = start(ENGINES[0]).await;
    let mut operator = with_old_tree(&testing).await;
    let part = on(REFORM, vec![parts(&["09421"], existing("09430"))]);
    let answer = preview(&mut operator, part.clone()).await;
    assert_eq!((answer.effects, answer.edges.len()), (Vec::new(), 1));
    create(&mut operator, "dieu-chinh", part).await.unwrap();
    let list = pb::ListUnitsRequest { parent_unit: name("262", ""), ..Default::default() };
    let list = client(&testing, "reader").list_units(list).await.unwrap().into_inner();
    assert_eq!(codes(&list.units), ["09421", "09427", "09430"]);
}

/// What four numbers try: an import, a reorganisation, or a correction of one that was taken.
async fn attempt(
    testing: &Testing,
    (taken, corrections): (&mut Vec<String>, &mut usize),
    numbers: [usize; 4],
    at: usize,
) {
    const CODES: [&str; 5] = ["09421", "09427", "09430", "09433", "09436"];
    let [what, first, second, month] = numbers;
    let (one, two) = (CODES[first % 5], CODES[second % 5]);
    let parent = ["262", "263", "27"][second % 3];
    let effective = format!("2025-0{}-01", 1 + month % 6);
    let called = format!("Xã Số {at}");
    let changes = match what % 8 {
        0 | 1 => {
            let row = row(one, &called, parent, &effective, "");
            let answer = crate::import(&mut client(testing, "operator"), vec![row]).await;
            assert!(answer.problems.is_empty() || answer.created_count == 0);
            return;
        }
        2 => vec![merge(&[one, two], new(CODES[(first + second) % 5], &called, parent))],
        3 => vec![parts(&[one], existing(two)), rename(two, &called)],
        4 => vec![merge(&[one], existing(two))],
        5 => vec![transfer(one, parent), rename(one, &called)],
        6 => vec![abolish("262", "263")],
        _ => Vec::new(),
    };
    let mut operator = reorganisations(testing, "operator");
    let id = format!("lan-{at:02}");
    let stated = on(&effective, changes);
    let corrects = what % 8 == 7 || what % 3 == 0;
    let corrected = corrects.then(|| taken.get(first % taken.len().max(1))).flatten();
    let stated = match corrected {
        Some(corrected) => correcting(corrected, stated),
        None => stated,
    };
    if let Ok(recorded) = create(&mut operator, &id, stated).await {
        *corrections += usize::from(!recorded.corrects.is_empty());
        taken.push(id);
    }
}

#[tokio::test]
async fn whatever_was_done_the_tables_hold_what_building_it_again_comes_to() {
    use proptest::prelude::*;
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut taken_in_all, mut corrections) = (0, 0);
    for engine in ENGINES {
        for _ in 0..4 {
            let numbers = prop::collection::vec(prop::array::uniform4(0..40_usize), 40);
            let numbers = numbers.new_tree(&mut runner).unwrap().current();
            let testing = start(engine).await;
            let mut operator = with_old_tree(&testing).await;
            let aside = on("2024-01-01", vec![rename("24", "Tỉnh Kinh Bắc")]);
            create(&mut operator, "lien-quan", aside.clone()).await.unwrap();
            let mut taken = Vec::new();
            for (at, numbers) in numbers.into_iter().enumerate() {
                attempt(&testing, (&mut taken, &mut corrections), numbers, at).await;
            }
            taken_in_all += taken.len();

            let copy = async || Units::new(testing.channel(&["service"])).current().await.unwrap();
            let before = copy().await;
            // Of all that this is about it only concerns one unit, but everything is built again.
            let back = correcting("lien-quan", on("2024-01-01", Vec::new()));
            create(&mut operator, "tro-lai", back).await.unwrap();
            let after = copy().await;
            let unit: dunghan_hierarchy::UnitId = name("24", "").parse().unwrap();
            let others = |hierarchy| -> Vec<_> {
                histories(hierarchy).into_iter().filter(|one| one.id != unit).collect()
            };
            assert_eq!(others(&before), others(&after));
            assert_eq!(before.edges(), after.edges());
            assert_eq!(after.get(unit).unwrap().versions.len(), 1);

            let place = testing.stop().await;
            let database = dunghan_store::Database::open(&place.location, "registry").await;
            let stored = dunghan_registry::store::Store::new(database.unwrap());
            let stored = stored.known_fetch().await.unwrap().0;
            assert_eq!(histories(&stored), histories(&after));
            assert_eq!((stored.edges(), stored.version()), (after.edges(), after.version()));
        }
    }
    assert!(taken_in_all > 40 && corrections > 8, "{taken_in_all} {corrections}");
}

//! GrantService: who may do what beside what their tokens state.

use chrono::{TimeDelta, Utc};
use dunghan_hierarchy::{UnitHistory, UnitId, Validity};
use dunghan_proto::events::ListEventsRequest;
use dunghan_proto::events::event::Payload;
use dunghan_proto::policy::Role as PbRole;
use dunghan_proto::registry as pb;
use dunghan_proto::registry::grant::Over as PbOver;
use dunghan_proto::registry::grant_service_client::GrantServiceClient;
use dunghan_registry::domain::ending::Ending;
use dunghan_registry::domain::grant::{Grant, GrantName, Over, Role};
use dunghan_registry::store::{EdgeChange, Error, GrantFilter, Migrations, Store};
use dunghan_rpc::{Peer, field};
use dunghan_store::Database;
use dunghan_testkit::{ENGINES, Engine, Place, Testing, eventually, fields, refusal};
use futures::future::join;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{SOON, client, date, day, imported, name, now, start, tree};

const REFORM: &str = "2025-07-01";

type Grants = GrantServiceClient<Peer>;

fn grants(testing: &Testing) -> Grants {
    Grants::new(testing.channel(&["operator"]))
}

/// As somebody states it.
fn granted(subject: &str, role: PbRole, over: PbOver) -> pb::Grant {
    pb::Grant {
        subject: subject.to_owned(),
        role: role.into(),
        over: Some(over),
        reason: "Quyết định 12/QĐ-UBND".to_owned(),
        ..Default::default()
    }
}

/// Over the province of the reform.
fn over_province() -> PbOver {
    PbOver::Unit(name("24", REFORM))
}

async fn create(client: &mut Grants, grant: pb::Grant) -> Result<pb::Grant, Status> {
    let request = pb::CreateGrantRequest { grant: Some(grant), request_id: String::new() };
    Ok(client.create_grant(request).await?.into_inner())
}

async fn revoke(client: &mut Grants, name: &str, reason: &str) -> Result<pb::Grant, Status> {
    let request = pb::RevokeGrantRequest { name: name.to_owned(), reason: reason.to_owned() };
    Ok(client.revoke_grant(request).await?.into_inner())
}

async fn list(client: &mut Grants, request: pb::ListGrantsRequest) -> Vec<pb::Grant> {
    let page = client.list_grants(request).await.unwrap().into_inner();
    assert_eq!(page.next_page_token, "");
    page.grants
}

/// The version, and all grants of the stream.
async fn streamed(testing: &Testing, known_version: i64) -> (i64, Vec<pb::Grant>) {
    let mut service = Grants::new(testing.channel(&["service"]));
    let stream = service.stream_grants(pb::StreamGrantsRequest { known_version }).await;
    let mut stream = stream.unwrap().into_inner();
    let (mut version, mut all) = (None, Vec::new());
    while let Some(part) = stream.message().await.unwrap() {
        assert_eq!(*version.get_or_insert(part.grants_version), part.grants_version);
        all.extend(part.grants);
    }
    (version.unwrap(), all)
}

#[tokio::test]
async fn who_granted_a_role_and_who_revoked_it_when_and_why_stays_with_it() {
    for engine in ENGINES {
        let testing = start(engine).await;
        imported(&testing, tree()).await;
        let mut operator = grants(&testing);
        let stated = pb::Grant {
            valid_from_date: date("2026-12-01"),
            valid_through_date: date("2026-12-31"),
            // What only the service says is not taken from anybody else.
            name: "grants/x".to_owned(),
            creator: "hoa".to_owned(),
            revoker: "hoa".to_owned(),
            ..granted(" lan ", PbRole::Supervisor, over_province())
        };
        let created = create(&mut operator, stated.clone()).await.unwrap();
        let expected = pb::Grant {
            name: created.name.clone(),
            subject: "lan".to_owned(),
            creator: "tester".to_owned(),
            create_time: Some(field::pb_time(now())),
            revoker: String::new(),
            ..stated
        };
        assert_eq!(created, expected);
        assert_eq!(streamed(&testing, 0).await, (1, vec![created.clone()]));
        assert_eq!(streamed(&testing, 1).await, (1, vec![]));

        let later = now() + TimeDelta::days(3);
        testing.clock.set(later);
        let revoked = revoke(&mut operator, &created.name, " Chuyển công tác ").await.unwrap();
        let expected = pb::Grant {
            revoker: "tester".to_owned(),
            revoke_time: Some(field::pb_time(later)),
            revoke_reason: "Chuyển công tác".to_owned(),
            ..created.clone()
        };
        assert_eq!(revoked, expected);
        assert_eq!(streamed(&testing, 1).await, (2, vec![]));
        let ever = pb::ListGrantsRequest { show_ended: true, ..Default::default() };
        assert_eq!(list(&mut operator, ever).await, [revoked]);

        // The others are told of both.
        let mut service = client(&testing, "service");
        let told = eventually(SOON, async || {
            let events = service.list_events(ListEventsRequest::default()).await.unwrap();
            let told = events.into_inner().events.into_iter().filter_map(|event| {
                let Some(Payload::GrantChanged(changed)) = event.payload else { return None };
                Some((changed.grant, event.event_time))
            });
            let told: Vec<_> = told.collect();
            (told.len() == 2).then_some(told)
        });
        let at = |instant| (created.name.clone(), Some(field::pb_time(instant)));
        assert_eq!(told.await, [at(now()), at(later)]);
    }
}

#[tokio::test]
async fn a_grant_that_does_not_read_is_refused_by_its_field() {
    let testing = start(Engine::Sqlite).await;
    imported(&testing, tree()).await;
    let mut operator = grants(&testing);
    let good = || granted("lan", PbRole::Reader, PbOver::Everything(true));
    let over = |over| granted("lan", PbRole::Reader, over);
    let regime = |name: &str| over(PbOver::Regime(name.to_owned()));
    let text = str::to_owned;
    for (field, grant) in [
        ("grant.role", pb::Grant { role: 0, ..good() }),
        ("grant.role", pb::Grant { role: 99, ..good() }),
        ("grant.role", granted("lan", PbRole::Service, PbOver::Everything(true))),
        ("grant.subject", pb::Grant { subject: text(" "), ..good() }),
        ("grant.subject", pb::Grant { subject: text("a\nb"), ..good() }),
        ("grant.subject", pb::Grant { subject: "x".repeat(201), ..good() }),
        ("grant.over", pb::Grant { over: None, ..good() }),
        ("grant.everything", over(PbOver::Everything(false))),
        ("grant.unit", over(PbOver::Unit(text("units/24")))),
        ("grant.unit", over(PbOver::Unit(String::new()))),
        ("grant.regime", regime("cds")),
        ("grant.regime", regime("regimes/")),
        ("grant.regime", regime("regimes/CDS")),
        ("grant.regime", regime(&format!("regimes/{}", "x".repeat(64)))),
        ("grant.reason", pb::Grant { reason: text(" "), ..good() }),
        ("grant.reason", pb::Grant { reason: "x".repeat(2001), ..good() }),
        (
            "grant.valid_through_date",
            pb::Grant {
                valid_from_date: date("2026-12-02"),
                valid_through_date: date("2026-12-01"),
                ..good()
            },
        ),
    ] {
        let refused = create(&mut operator, grant).await.unwrap_err();
        assert_eq!((refused.code(), fields(&refused)), (Code::InvalidArgument, vec![field.into()]));
    }
    let none = operator.create_grant(pb::CreateGrantRequest::default()).await.unwrap_err();
    assert_eq!(fields(&none), ["grant"]);
    let nowhere = over(PbOver::Unit(name("99999", "")));
    let unknown = create(&mut operator, nowhere).await.unwrap_err();
    assert_eq!(refusal(&unknown), (Code::NotFound, "UNIT_NOT_FOUND".to_owned()));
    let nobodys = format!("grants/{}", Uuid::nil());
    for (name, reason, field) in
        [("", "Nhầm", "name"), ("grants/7", "Nhầm", "name"), (&nobodys, "", "reason")]
    {
        let refused = revoke(&mut operator, name, reason).await.unwrap_err();
        assert_eq!((refused.code(), fields(&refused)), (Code::InvalidArgument, vec![field.into()]));
    }
    let unknown = revoke(&mut operator, &nobodys, "Nhầm").await.unwrap_err();
    assert_eq!(refusal(&unknown), (Code::NotFound, "GRANT_NOT_FOUND".to_owned()));
    assert_eq!(streamed(&testing, 0).await, (0, vec![]));
}

#[tokio::test]
async fn a_unit_that_has_ended_can_be_granted_for_what_it_left() {
    for engine in ENGINES {
        let testing = start(engine).await;
        imported(&testing, tree()).await;
        let gone = granted("lan", PbRole::Reader, PbOver::Unit(name("262", "")));
        create(&mut grants(&testing), gone).await.unwrap();
    }
}

#[tokio::test]
async fn grants_are_listed_the_last_one_first_by_subject_and_unit_page_by_page() {
    for engine in ENGINES {
        let testing = start(engine).await;
        imported(&testing, tree()).await;
        let mut operator = grants(&testing);
        let ward = || PbOver::Unit(name("09427", REFORM));
        let regime = || PbOver::Regime("regimes/cds-thang".to_owned());
        let stated = [
            granted("a", PbRole::Reader, PbOver::Everything(true)),
            granted("b", PbRole::Supervisor, over_province()),
            pb::Grant {
                valid_through_date: date("2026-11-22"),
                ..granted("a", PbRole::Reporter, ward())
            },
            granted("b", PbRole::Supervisor, regime()),
            pb::Grant {
                valid_from_date: date("2027-01-01"),
                ..granted("a", PbRole::Importer, ward())
            },
            granted("c", PbRole::Operator, PbOver::Everything(true)),
        ];
        let mut made = Vec::new();
        for (at, grant) in stated.into_iter().enumerate() {
            // Some of one moment.
            testing.clock.set(now() + TimeDelta::seconds(i64::try_from(at / 2).unwrap()));
            made.push(create(&mut operator, grant).await.unwrap());
        }
        made[5] = revoke(&mut operator, &made[5].name, "Nhầm").await.unwrap();
        let found = |of: &[usize]| of.iter().map(|at| made[*at].clone()).collect::<Vec<_>>();
        let all = || pb::ListGrantsRequest::default();
        let ever = || pb::ListGrantsRequest { show_ended: true, ..all() };
        let subject =
            |request, name: &str| pb::ListGrantsRequest { subject: name.to_owned(), ..request };
        let unit = |request, code| pb::ListGrantsRequest { unit: name(code, REFORM), ..request };
        for (request, expected) in [
            (all(), vec![4, 3, 2, 1, 0]),
            (ever(), vec![5, 4, 3, 2, 1, 0]),
            (subject(all(), "a"), vec![4, 2, 0]),
            (subject(all(), " b "), vec![3, 1]),
            (subject(all(), "c"), vec![]),
            (subject(ever(), "c"), vec![5]),
            (subject(ever(), "d"), vec![]),
            // Over this very unit, and not over what is above or below it.
            (unit(all(), "24"), vec![1]),
            (unit(all(), "09427"), vec![4, 2]),
            (unit(subject(all(), "b"), "09427"), vec![]),
        ] {
            assert_eq!(list(&mut operator, request.clone()).await, found(&expected), "{request:?}");
        }
        // What is past is left out, and what is to come is not.
        testing.clock.set(now() + TimeDelta::days(1));
        assert_eq!(list(&mut operator, all()).await, found(&[4, 3, 1, 0]));
        assert_eq!(list(&mut operator, ever()).await, found(&[5, 4, 3, 2, 1, 0]));

        for page_size in [1, 2, 5] {
            let mut request = pb::ListGrantsRequest { page_size, ..ever() };
            let mut pages = Vec::new();
            loop {
                let page = operator.list_grants(request.clone()).await.unwrap().into_inner();
                pages.extend(page.grants);
                request.page_token = page.next_page_token;
                if request.page_token.is_empty() {
                    break;
                }
                let of_another =
                    pb::ListGrantsRequest { subject: "a".to_owned(), ..request.clone() };
                let refused = operator.list_grants(of_another).await.unwrap_err();
                assert_eq!(fields(&refused), ["page_token"]);
            }
            assert_eq!(pages, found(&[5, 4, 3, 2, 1, 0]), "{page_size}");
        }
    }
}

#[tokio::test]
async fn a_grant_is_revoked_once_and_the_same_again_is_answered_as_it_is() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = grants(&testing);
        let grant = granted("lan", PbRole::Reader, PbOver::Everything(true));
        let name = create(&mut operator, grant).await.unwrap().name;
        let (mut one, mut another) = (operator.clone(), operator.clone());
        let both =
            join(revoke(&mut one, &name, "Nghỉ hưu"), revoke(&mut another, &name, "Nghỉ hưu"));
        let (one, another) = both.await;
        let revoked = one.unwrap();
        assert_eq!(another.unwrap(), revoked);
        testing.clock.advance(TimeDelta::days(1));
        assert_eq!(revoke(&mut operator, &name, "Nghỉ hưu").await.unwrap(), revoked);
        let refused = revoke(&mut operator, &name, "Nhầm").await.unwrap_err();
        let ended_already = (Code::FailedPrecondition, "ENDED_ALREADY".to_owned());
        assert_eq!(refusal(&refused), ended_already);
        assert_eq!(streamed(&testing, 0).await, (2, vec![]));
    }
}

#[tokio::test]
async fn the_same_request_is_answered_the_same_and_makes_one_grant() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = grants(&testing);
        let request = pb::CreateGrantRequest {
            grant: Some(granted("lan", PbRole::Reader, PbOver::Everything(true))),
            request_id: Uuid::new_v4().to_string(),
        };
        let mut another = operator.clone();
        let both =
            join(operator.create_grant(request.clone()), another.create_grant(request.clone()));
        let (one, another) = both.await;
        let created = one.unwrap().into_inner();
        assert_eq!(another.unwrap().into_inner(), created);
        testing.clock.advance(TimeDelta::hours(23));
        let later = operator.create_grant(request.clone()).await.unwrap().into_inner();
        assert_eq!(later, created);
        assert_eq!(streamed(&testing, 0).await, (1, vec![created]));
        let other = granted("hoa", PbRole::Reader, PbOver::Everything(true));
        let other = pb::CreateGrantRequest { grant: Some(other), ..request };
        let reused = operator.create_grant(other).await.unwrap_err();
        let expected = (Code::InvalidArgument, "REQUEST_ID_REUSED".to_owned());
        assert_eq!((refusal(&reused), fields(&reused)), (expected, vec!["request_id".to_owned()]));
    }
}

#[tokio::test]
async fn a_copy_of_many_grants_comes_in_several_messages_of_one_version() {
    let testing = start(Engine::Sqlite).await;
    let place = testing.stop().await;
    let database = Database::open(&place.location, "registry").await.unwrap();
    let store = Store::new(database);
    for number in 0..1001 {
        let grant = of(number, Over::Everything, None, now());
        store.grant_insert::<pb::Grant>(&grant, None).await.unwrap();
    }
    let suite = dunghan_host::Suite::new().with::<dunghan_registry::Registry>();
    let testing = dunghan_testkit::start_at(suite, place, now(), &[]).await;
    let (version, grants) = streamed(&testing, 0).await;
    assert_eq!((version, grants.len()), (1001, 1001));
}

fn of(number: u128, over: Over, until: Option<&str>, at: chrono::DateTime<Utc>) -> Grant {
    Grant {
        name: GrantName(Uuid::from_u128(number)),
        subject: "lan".to_owned(),
        role: Role::Supervisor,
        over,
        validity: Validity { from: Some(day("2026-05-20")), until: until.map(day) },
        reason: "Quyết định 12/QĐ-UBND".to_owned(),
        creator: "hoa".to_owned(),
        create_time: at,
        revoked: None,
    }
}

/// Runs over a store of each engine that has these units, of which nothing is known.
async fn on_both(units: &[UnitId], test: impl AsyncFn(Store)) {
    for engine in ENGINES {
        let place = Place::new(engine).await;
        let database = Database::open(&place.location, "registry").await.unwrap();
        database.migrate::<Migrations>().await.unwrap();
        let store = Store::new(database);
        let unit =
            |id: &UnitId| UnitHistory { id: *id, versions: Vec::new(), identifiers: Vec::new() };
        let units: Vec<_> = units.iter().map(unit).collect();
        let units: Vec<_> = units.iter().collect();
        let moved = store.hierarchy_move(0, 1, &units, EdgeChange::Keep, now(), async |_| Ok(()));
        moved.await.unwrap();
        test(store).await;
    }
}

fn revoked(grant: &Grant, reason: &str) -> Grant {
    let ending = Ending { by: "lan".to_owned(), at: now(), reason: reason.to_owned() };
    Grant { revoked: Some(ending), ..grant.clone() }
}

#[tokio::test]
async fn what_is_stored_of_a_grant_reads_back_the_same_and_is_revoked_once() {
    let unit = UnitId::new("nso", "09427", None);
    on_both(&[unit], async |store| {
        let roles =
            [Role::Reader, Role::Reporter, Role::Supervisor, Role::Importer, Role::Operator];
        let overs = [Over::Everything, Over::Subtree(unit), Over::Regime("cds-thang".to_owned())];
        let mut all = Vec::new();
        for (number, role) in roles.into_iter().enumerate() {
            let over = overs[number % 3].clone();
            let grant = of(number as u128, over, (number == 1).then_some("2026-06-01"), now());
            all.push(Grant { role, ..grant });
        }
        all[0].validity = Validity::OPEN;
        for grant in &all {
            store.grant_insert::<pb::Grant>(grant, None).await.unwrap();
            assert_eq!(store.grant_fetch(grant.name).await.unwrap(), *grant);
        }
        assert_eq!(store.grants_fetch(0).await.unwrap(), (5, Some(all.clone())));
        assert_eq!(store.grants_fetch(5).await.unwrap(), (5, None));

        let gone = revoked(&all[1], "nghỉ");
        assert!(store.grant_revoke(&gone).await.unwrap());
        assert!(!store.grant_revoke(&revoked(&all[1], "nhầm")).await.unwrap());
        assert_eq!(store.grant_fetch(gone.name).await.unwrap(), gone);
        all.remove(1);
        assert_eq!(store.grants_fetch(5).await.unwrap(), (6, Some(all)));
        let unknown = GrantName(Uuid::from_u128(9));
        let refused = store.grant_fetch(unknown).await.unwrap_err();
        assert!(matches!(refused, Error::GrantNotFound(name) if name == unknown), "{refused:?}");
        // Over a unit that there is not: neither the grant nor a new version.
        let nowhere = Over::Subtree(UnitId::new("nso", "99", None));
        let refused = store.grant_insert::<pb::Grant>(&of(8, nowhere, None, now()), None).await;
        assert!(matches!(refused, Err(Error::Database(_))), "{refused:?}");
        assert_eq!(store.grants_version().await.unwrap(), 6);
        let all = GrantFilter::default();
        assert_eq!(store.grant_page(&all, None, 10).await.unwrap().len(), 5);
    })
    .await;
}

#[tokio::test]
async fn the_grants_that_the_end_of_units_concerns_are_those_over_them_that_hold_then_or_later() {
    let units = ["09427", "09430", "09433"].map(|code| UnitId::new("nso", code, None));
    on_both(&units, async |store| {
        let [one, two, three] = units;
        let at = |seconds| now() + TimeDelta::seconds(seconds);
        let all = [
            of(1, Over::Subtree(one), None, at(3)),
            of(2, Over::Subtree(two), Some("2026-09-21"), at(2)),
            of(3, Over::Subtree(one), Some("2026-09-20"), at(1)),
            of(4, Over::Subtree(one), None, at(1)),
            of(5, Over::Subtree(three), None, at(1)),
            of(6, Over::Regime("cds-thang".to_owned()), None, at(1)),
            of(7, Over::Everything, None, at(1)),
        ];
        for grant in &all {
            store.grant_insert::<pb::Grant>(grant, None).await.unwrap();
        }
        store.grant_revoke(&revoked(&all[3], "nghỉ")).await.unwrap();
        let found = store.grants_over(&[one, two], day("2026-09-20")).await.unwrap();
        assert_eq!(found, [all[1].clone(), all[0].clone()]);
        assert_eq!(store.grants_over(&[], day("2026-09-20")).await.unwrap(), []);
    })
    .await;
}

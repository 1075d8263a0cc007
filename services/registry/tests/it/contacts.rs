//! ContactService: whom to turn to at a unit, for what, and when.

use std::slice;

use dunghan_hierarchy::{UnitHistory, UnitId};
use dunghan_proto::events::ListEventsRequest;
use dunghan_proto::events::event::Payload;
use dunghan_proto::registry as pb;
use dunghan_proto::registry::ContactRole::{Head, Reporter, Supervisor};
use dunghan_proto::registry::contact_service_client::ContactServiceClient;
use dunghan_registry::domain::contact::{Contact, ContactName, ContactRole};
use dunghan_registry::domain::ending::Ending;
use dunghan_registry::store::{EdgeChange, Error, Migrations, Store};
use dunghan_rpc::{Peer, field};
use dunghan_store::Database;
use dunghan_testkit::{ENGINES, Engine, Place, Testing, eventually, fields, refusal};
use futures::future::join;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{SOON, client, date, day, imported, name, now, row, start, tree};

const REFORM: &str = "2025-07-01";

type Contacts = ContactServiceClient<Peer>;

fn contacts(testing: &Testing, grant: &str) -> Contacts {
    Contacts::new(testing.channel(&[grant]))
}

/// The registry with [`tree`].
async fn with_tree(engine: Engine) -> Testing {
    let testing = start(engine).await;
    imported(&testing, tree()).await;
    testing
}

/// The ward Trí Quả.
fn ward() -> String {
    name("09427", REFORM)
}

fn supervisor_of(unit: &str) -> String {
    format!("supervisor@{unit}")
}

/// As somebody states it; the first day may be empty.
fn office(role: pb::ContactRole, display_name: &str, from: &str) -> pb::Contact {
    pb::Contact {
        role: role.into(),
        display_name: display_name.to_owned(),
        valid_from_date: date(from),
        ..Default::default()
    }
}

fn to_create(parent: &str, contact: pb::Contact) -> pb::CreateContactRequest {
    pb::CreateContactRequest {
        parent: parent.to_owned(),
        contact: Some(contact),
        request_id: String::new(),
    }
}

async fn create(
    client: &mut Contacts,
    parent: &str,
    contact: pb::Contact,
) -> Result<pb::Contact, Status> {
    Ok(client.create_contact(to_create(parent, contact)).await?.into_inner())
}

/// The day may be empty.
async fn end(
    client: &mut Contacts,
    name: &str,
    last_day: &str,
    reason: &str,
) -> Result<pb::Contact, Status> {
    let request = pb::EndContactRequest {
        name: name.to_owned(),
        valid_through_date: date(last_day),
        reason: reason.to_owned(),
    };
    Ok(client.end_contact(request).await?.into_inner())
}

fn asked(parent: &str, as_of: &str) -> pb::ListContactsRequest {
    pb::ListContactsRequest {
        parent: parent.to_owned(),
        as_of_date: date(as_of),
        ..Default::default()
    }
}

async fn list(client: &mut Contacts, request: pb::ListContactsRequest) -> Vec<pb::Contact> {
    let page = client.list_contacts(request).await.unwrap().into_inner();
    assert_eq!(page.next_page_token, "");
    page.contacts
}

fn called(contacts: &[pb::Contact]) -> Vec<&str> {
    contacts.iter().map(|contact| contact.display_name.as_str()).collect()
}

#[tokio::test]
async fn who_added_a_contact_and_who_ended_it_when_and_why_stays_with_it() {
    for engine in ENGINES {
        let testing = with_tree(engine).await;
        let mut supervisor = contacts(&testing, &supervisor_of(&name("24", REFORM)));
        let stated = pb::Contact {
            email: " vanphong@triqua.example.vn ".to_owned(),
            phone: "0222 3822 500".to_owned(),
            subject: "lan".to_owned(),
            // What only the service says is not taken from anybody else.
            name: "units/x/contacts/y".to_owned(),
            creator: "hoa".to_owned(),
            ender: "hoa".to_owned(),
            ..office(Reporter, " Văn phòng HĐND và UBND ", "")
        };
        let created = create(&mut supervisor, &ward(), stated.clone()).await.unwrap();
        let expected = pb::Contact {
            name: created.name.clone(),
            display_name: "Văn phòng HĐND và UBND".to_owned(),
            email: "vanphong@triqua.example.vn".to_owned(),
            valid_from_date: date("2026-11-22"),
            creator: "tester".to_owned(),
            create_time: Some(field::pb_time(now())),
            ender: String::new(),
            ..stated
        };
        assert_eq!(created, expected);
        assert!(created.name.starts_with(&format!("{}/contacts/", ward())), "{}", created.name);
        let listed = list(&mut contacts(&testing, "reader"), asked(&ward(), "")).await;
        assert_eq!(listed, slice::from_ref(&created));

        let later = now() + chrono::TimeDelta::days(3);
        testing.clock.set(later);
        let ended = end(&mut supervisor, &created.name, "2026-11-24", " Nghỉ hưu ").await.unwrap();
        let expected = pb::Contact {
            valid_through_date: date("2026-11-24"),
            ender: "tester".to_owned(),
            end_time: Some(field::pb_time(later)),
            end_reason: "Nghỉ hưu".to_owned(),
            ..created.clone()
        };
        assert_eq!(ended, expected);
        let on_its_last_day = list(&mut supervisor, asked(&ward(), "2026-11-24")).await;
        assert_eq!(on_its_last_day, [ended]);
        assert_eq!(list(&mut supervisor, asked(&ward(), "2026-11-25")).await, []);

        // The others are told of both.
        let mut service = client(&testing, "service");
        let told = eventually(SOON, async || {
            let events = service.list_events(ListEventsRequest::default()).await.unwrap();
            let told = events.into_inner().events.into_iter().filter_map(|event| {
                let Some(Payload::ContactChanged(changed)) = event.payload else { return None };
                Some((changed.contact, event.event_time))
            });
            let told: Vec<_> = told.collect();
            (told.len() == 2).then_some(told)
        });
        let at = |instant| (created.name.clone(), Some(field::pb_time(instant)));
        assert_eq!(told.await, [at(now()), at(later)]);
    }
}

#[tokio::test]
async fn contacts_are_written_by_who_watches_over_the_unit_and_read_by_who_may_read_it() {
    for engine in ENGINES {
        let testing = with_tree(engine).await;
        let (province, gone) = (name("24", REFORM), name("262", ""));
        let mut operator = contacts(&testing, "operator");
        let contact = create(&mut operator, &ward(), office(Head, "Chủ tịch", "")).await.unwrap();
        let old = create(&mut operator, &gone, office(Head, "Chủ tịch", "2020-01-01")).await;
        let old = old.unwrap().name;

        let denied = |reason: &str| (Code::PermissionDenied, reason.to_owned());
        let elsewhere = supervisor_of(&name("09430", REFORM));
        let reporter = format!("reporter@{}", ward());
        for (grant, unit, contact, writes, reads) in [
            (supervisor_of(&province), ward(), &contact.name, "", ""),
            (supervisor_of(&ward()), ward(), &contact.name, "", ""),
            (elsewhere.clone(), ward(), &contact.name, "OUT_OF_SCOPE", "OUT_OF_SCOPE"),
            (reporter, ward(), &contact.name, "ROLE_MISSING", ""),
            ("reader".to_owned(), ward(), &contact.name, "ROLE_MISSING", ""),
            ("importer".to_owned(), ward(), &contact.name, "ROLE_MISSING", "ROLE_MISSING"),
            (
                "supervisor@regimes/cds".to_owned(),
                ward(),
                &contact.name,
                "OUT_OF_SCOPE",
                "OUT_OF_SCOPE",
            ),
            // A unit that has ended is read by those it belonged to, and written by nobody but operators.
            (supervisor_of(&name("27", "")), gone, &old, "OUT_OF_SCOPE", ""),
        ] {
            let mut client = contacts(&testing, &grant);
            let told = |answer: Result<(), Status>| match answer {
                Ok(()) => String::new(),
                Err(status) => {
                    let (code, reason) = refusal(&status);
                    assert_eq!((code, reason.clone()), denied(&reason), "{grant}");
                    reason
                }
            };
            let listed = client.list_contacts(asked(&unit, "")).await.map(drop);
            assert_eq!(told(listed), reads, "{grant} lists");
            let created = create(&mut client, &unit, office(Reporter, "Văn phòng", "")).await;
            assert_eq!(told(created.map(drop)), writes, "{grant} adds");
            // The first one does, and then it is the same again.
            let ended = end(&mut client, contact, "", "Nghỉ hưu").await.map(drop);
            assert_eq!(told(ended), writes, "{grant} ends");
        }
        // Whether there is such a unit or contact is no matter of those who may not see it.
        let mut elsewhere = contacts(&testing, &elsewhere);
        let nowhere = name("99999", REFORM);
        for status in [
            elsewhere.list_contacts(asked(&nowhere, "")).await.unwrap_err(),
            create(&mut elsewhere, &nowhere, office(Head, "Chủ tịch", "")).await.unwrap_err(),
            end(&mut elsewhere, &contact.name.replace('7', "8"), "", "Nhầm").await.unwrap_err(),
        ] {
            assert_eq!(refusal(&status), denied("OUT_OF_SCOPE"));
        }
    }
}

#[tokio::test]
async fn a_contact_that_does_not_read_is_refused_by_its_field() {
    let testing = with_tree(Engine::Sqlite).await;
    let mut operator = contacts(&testing, "operator");
    let good = office(Reporter, "Văn phòng", "");
    let long = "x".repeat(201);
    for (field, contact) in [
        ("contact.role", pb::Contact { role: 0, ..good.clone() }),
        ("contact.role", pb::Contact { role: 99, ..good.clone() }),
        ("contact.display_name", pb::Contact { display_name: " ".to_owned(), ..good.clone() }),
        ("contact.display_name", pb::Contact { display_name: "a\nb".to_owned(), ..good.clone() }),
        ("contact.display_name", pb::Contact { display_name: long.clone(), ..good.clone() }),
        ("contact.email", pb::Contact { email: "vanphong".to_owned(), ..good.clone() }),
        ("contact.phone", pb::Contact { phone: "máy 500".to_owned(), ..good.clone() }),
        ("contact.subject", pb::Contact { subject: long, ..good.clone() }),
        ("contact.subject", pb::Contact { subject: "a\tb".to_owned(), ..good.clone() }),
        (
            "contact.valid_from_date",
            pb::Contact {
                valid_from_date: Some(dunghan_proto::r#type::Date {
                    year: 2026,
                    month: 2,
                    day: 30,
                }),
                ..good.clone()
            },
        ),
        // The day before the first, which is today where none is stated.
        (
            "contact.valid_through_date",
            pb::Contact { valid_through_date: date("2026-11-21"), ..good.clone() },
        ),
        (
            "contact.valid_through_date",
            pb::Contact {
                valid_through_date: date("2026-05-19"),
                ..office(Reporter, "Văn phòng", "2026-05-20")
            },
        ),
    ] {
        let refused = create(&mut operator, &ward(), contact).await.unwrap_err();
        assert_eq!((refused.code(), fields(&refused)), (Code::InvalidArgument, vec![field.into()]));
    }
    let none = pb::CreateContactRequest { parent: ward(), ..Default::default() };
    let refused = operator.create_contact(none).await.unwrap_err();
    assert_eq!(fields(&refused), ["contact"]);
    let refused = create(&mut operator, "units/24", good).await.unwrap_err();
    assert_eq!(fields(&refused), ["parent"]);
    let wrong = format!("{}/contacts/7", ward());
    for (name, reason, field) in [
        (wrong.as_str(), "Nhầm", "name"),
        ("", "Nhầm", "name"),
        (&format!("{}/contacts/{}", ward(), Uuid::nil()), "", "reason"),
    ] {
        let refused = end(&mut operator, name, "", reason).await.unwrap_err();
        assert_eq!((refused.code(), fields(&refused)), (Code::InvalidArgument, vec![field.into()]));
    }
    let request = pb::ListContactsRequest { roles: vec![1, 0], ..asked(&ward(), "") };
    assert_eq!(fields(&operator.list_contacts(request).await.unwrap_err()), ["roles"]);
    assert_eq!(list(&mut operator, asked(&ward(), "")).await, []);
}

#[tokio::test]
async fn a_contact_begins_on_a_day_on_which_its_unit_exists() {
    for engine in ENGINES {
        let testing = with_tree(engine).await;
        let mut operator = contacts(&testing, "operator");
        let not_found = |reason: &str| (Code::NotFound, reason.to_owned());
        for (unit, from, reason) in [
            (ward(), REFORM, ""),
            (ward(), "2025-06-30", "UNIT_NOT_VALID_ON_DATE"),
            (ward(), "2027-01-01", ""),
            (name("09421", ""), "2025-06-30", ""),
            (name("09421", ""), REFORM, "UNIT_NOT_VALID_ON_DATE"),
            (name("09421", ""), "", "UNIT_NOT_VALID_ON_DATE"),
            (name("99999", ""), "", "UNIT_NOT_FOUND"),
        ] {
            let created = create(&mut operator, &unit, office(Head, "Chủ tịch", from)).await;
            let told = created.as_ref().err().map(refusal);
            assert_eq!(told, (!reason.is_empty()).then(|| not_found(reason)), "{unit} {from}");
        }
        let unknown = operator.list_contacts(asked(&name("99999", ""), "")).await.unwrap_err();
        assert_eq!(refusal(&unknown), not_found("UNIT_NOT_FOUND"));
        let unknown = format!("{}/contacts/{}", ward(), Uuid::nil());
        let unknown = end(&mut operator, &unknown, "", "Nhầm").await.unwrap_err();
        assert_eq!(refusal(&unknown), not_found("CONTACT_NOT_FOUND"));
    }
}

#[tokio::test]
async fn contacts_are_listed_by_role_and_then_the_longest_serving_first_page_by_page() {
    for engine in ENGINES {
        let testing = with_tree(engine).await;
        let mut operator = contacts(&testing, "operator");
        for (role, called, from) in [
            (Supervisor, "Phòng Văn hóa", "2025-07-01"),
            (Reporter, "Bà Ba", "2026-03-01"),
            (Head, "Chủ tịch mới", "2026-09-01"),
            (Reporter, "Ông Hai", "2026-02-01"),
            (Head, "Chủ tịch sắp tới", "2026-12-01"),
            (Reporter, "Văn phòng", "2025-07-01"),
        ] {
            create(&mut operator, &ward(), office(role, called, from)).await.unwrap();
        }
        let before = pb::Contact {
            valid_through_date: date("2026-08-31"),
            ..office(Head, "Chủ tịch cũ", "2025-07-01")
        };
        create(&mut operator, &ward(), before).await.unwrap();
        let another = name("09430", REFORM);
        create(&mut operator, &another, office(Head, "Của xã khác", REFORM)).await.unwrap();

        let all = ["Văn phòng", "Ông Hai", "Bà Ba", "Chủ tịch cũ", "Chủ tịch mới"];
        let [.., old, new] = all;
        let (next, culture) = ("Chủ tịch sắp tới", "Phòng Văn hóa");
        for (as_of, expected) in [
            ("", vec![all[0], all[1], all[2], new, culture]),
            ("2026-08-31", vec![all[0], all[1], all[2], old, culture]),
            ("2026-09-01", vec![all[0], all[1], all[2], new, culture]),
            ("2026-12-01", vec![all[0], all[1], all[2], new, next, culture]),
            ("2025-07-01", vec![all[0], old, culture]),
            ("2025-06-30", vec![]),
        ] {
            let found = list(&mut operator, asked(&ward(), as_of)).await;
            assert_eq!(called(&found), expected, "{as_of}");
        }
        let roles = vec![Supervisor.into(), Head.into(), Head.into()];
        let some = pb::ListContactsRequest { roles: roles.clone(), ..asked(&ward(), "") };
        assert_eq!(called(&list(&mut operator, some).await), [new, culture]);
        let ever = pb::ListContactsRequest { show_ended: true, roles, ..asked(&ward(), "") };
        assert_eq!(called(&list(&mut operator, ever.clone()).await), [old, new, next, culture]);

        // In any pages the same; and a token serves the list that gave it, and no other.
        for page_size in [1, 2, 3, 4] {
            let mut request = pb::ListContactsRequest { page_size, ..ever.clone() };
            let mut found = Vec::new();
            loop {
                let page = operator.list_contacts(request.clone()).await.unwrap().into_inner();
                assert!(page.contacts.len() <= usize::try_from(page_size).unwrap());
                found.extend(page.contacts);
                request.page_token = page.next_page_token;
                if request.page_token.is_empty() {
                    break;
                }
                let of_another = pb::ListContactsRequest { show_ended: false, ..request.clone() };
                let refused = operator.list_contacts(of_another).await.unwrap_err();
                assert_eq!(fields(&refused), ["page_token"]);
            }
            assert_eq!(called(&found), [old, new, next, culture], "{page_size}");
        }

        // A listing that is under way at midnight goes on with the day it began with.
        testing.clock.set("2026-11-30T16:59:59Z".parse().unwrap());
        let first = pb::ListContactsRequest { page_size: 4, ..asked(&ward(), "") };
        let page = operator.list_contacts(first.clone()).await.unwrap().into_inner();
        testing.clock.set("2026-11-30T17:00:00Z".parse().unwrap());
        let rest = pb::ListContactsRequest { page_token: page.next_page_token, ..first.clone() };
        assert_eq!(called(&list(&mut operator, rest).await), [culture]);
        let begun_now = operator.list_contacts(first).await.unwrap().into_inner();
        let rest = pb::ListContactsRequest {
            page_token: begun_now.next_page_token,
            page_size: 4,
            ..asked(&ward(), "")
        };
        assert_eq!(called(&list(&mut operator, rest).await), [next, culture]);
    }
}

#[tokio::test]
async fn a_contact_ends_with_its_unit() {
    for engine in ENGINES {
        let testing = with_tree(engine).await;
        let closing = row("09442", "Xã Gia Đông", "24", REFORM, "2026-12-31");
        imported(&testing, vec![closing]).await;
        let unit = name("09442", REFORM);
        let mut operator = contacts(&testing, "operator");
        let contact = create(&mut operator, &unit, office(Head, "Chủ tịch", "")).await.unwrap();
        // It is said, though nobody has ended it.
        let with_its_unit = (date("2026-12-31"), String::new());
        let shown = |one: &pb::Contact| (one.valid_through_date, one.ender.clone());
        assert_eq!(shown(&contact), with_its_unit);
        testing.clock.set("2027-01-01T02:00:00Z".parse().unwrap());
        assert_eq!(list(&mut operator, asked(&unit, "")).await, []);
        let last_day = list(&mut operator, asked(&unit, "2026-12-31")).await;
        assert_eq!(last_day.iter().map(shown).collect::<Vec<_>>(), [with_its_unit]);
        let ever = pb::ListContactsRequest { show_ended: true, ..asked(&unit, "") };
        assert_eq!(list(&mut operator, ever).await, slice::from_ref(&contact));

        let late = end(&mut operator, &contact.name, "", "Nghỉ hưu").await.unwrap_err();
        let ended_already = (Code::FailedPrecondition, "ENDED_ALREADY".to_owned());
        assert_eq!(refusal(&late), ended_already);
        let on_its_last_day = end(&mut operator, &contact.name, "2026-12-31", "Giải thể").await;
        assert_eq!(shown(&on_its_last_day.unwrap()), (date("2026-12-31"), "tester".to_owned()));
    }
}

#[tokio::test]
async fn a_contact_is_ended_once_and_the_same_again_is_answered_as_it_is() {
    for engine in ENGINES {
        let testing = with_tree(engine).await;
        let mut operator = contacts(&testing, "operator");
        let contact = office(Head, "Chủ tịch", "2026-11-20");
        let name = create(&mut operator, &ward(), contact).await.unwrap().name;
        let early = end(&mut operator, &name, "2026-11-19", "Nhầm").await.unwrap_err();
        assert_eq!(fields(&early), ["valid_through_date"]);

        // Of two at once one does it; the other one is told what it did, or that it came too late.
        let (mut one, mut another) = (operator.clone(), operator.clone());
        let both = join(
            end(&mut one, &name, "", "Nghỉ hưu"),
            end(&mut another, &name, "2026-11-22", "Nghỉ hưu"),
        );
        let (one, another) = both.await;
        let ended = one.unwrap();
        assert_eq!(another.unwrap(), ended);
        testing.clock.advance(chrono::TimeDelta::days(1));
        assert_eq!(end(&mut operator, &name, "", "Nghỉ hưu").await.unwrap(), ended);
        for (last_day, reason) in [("", "Chuyển công tác"), ("2026-11-23", "Nghỉ hưu")] {
            let refused = end(&mut operator, &name, last_day, reason).await.unwrap_err();
            let ended_already = (Code::FailedPrecondition, "ENDED_ALREADY".to_owned());
            assert_eq!(refusal(&refused), ended_already);
        }
    }
}

#[tokio::test]
async fn the_same_request_is_answered_the_same_and_adds_one_contact() {
    for engine in ENGINES {
        let testing = with_tree(engine).await;
        let mut operator = contacts(&testing, "operator");
        let request = pb::CreateContactRequest {
            request_id: Uuid::new_v4().to_string(),
            ..to_create(&ward(), office(Head, "Chủ tịch", ""))
        };
        let mut another = operator.clone();
        let both =
            join(operator.create_contact(request.clone()), another.create_contact(request.clone()));
        let (one, another) = both.await;
        let created = one.unwrap().into_inner();
        assert_eq!(another.unwrap().into_inner(), created);
        testing.clock.advance(chrono::TimeDelta::hours(23));
        let later = operator.create_contact(request.clone()).await.unwrap().into_inner();
        assert_eq!(later, created);
        assert_eq!(list(&mut operator, asked(&ward(), "")).await, [created]);
        let other = pb::CreateContactRequest { parent: name("09430", REFORM), ..request };
        let reused = operator.create_contact(other).await.unwrap_err();
        let expected = (Code::InvalidArgument, "REQUEST_ID_REUSED".to_owned());
        assert_eq!(refusal(&reused), expected);
        assert_eq!(fields(&reused), ["request_id"]);
    }
}

fn of(unit: UnitId, number: u128, role: ContactRole, from: &str, until: Option<&str>) -> Contact {
    Contact {
        name: ContactName { unit, contact: Uuid::from_u128(number) },
        role,
        display_name: "Văn phòng HĐND và UBND".to_owned(),
        email: "vanphong@triqua.example.vn".to_owned(),
        phone: "0222 3822 500".to_owned(),
        subject: "lan".to_owned(),
        from: day(from),
        until: until.map(day),
        creator: "hoa".to_owned(),
        create_time: now(),
        ending: None,
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

#[tokio::test]
async fn what_is_stored_of_a_contact_reads_back_the_same_and_ends_once() {
    let [unit, another] = ["09427", "09430"].map(|code| UnitId::new("nso", code, None));
    on_both(&[unit, another], async |store| {
        let contact = of(unit, 7, ContactRole::Supervisor, "2026-05-20", Some("2026-06-01"));
        store.contact_insert::<pb::Contact>(&contact, None).await.unwrap();
        assert_eq!(store.contact_fetch(contact.name).await.unwrap(), contact);
        let of_another = ContactName { unit: another, ..contact.name };
        let unknown = store.contact_fetch(of_another).await.unwrap_err();
        assert!(matches!(unknown, Error::ContactNotFound(name) if name == of_another));

        let ending =
            |reason: &str| Ending { by: "lan".to_owned(), at: now(), reason: reason.to_owned() };
        let until = Some(day("2026-05-25"));
        let ended = Contact { until, ending: Some(ending("nghỉ")), ..contact.clone() };
        assert!(store.contact_end(&ended).await.unwrap());
        let again = Contact { until: None, ending: Some(ending("nhầm")), ..contact };
        assert!(!store.contact_end(&again).await.unwrap());
        assert_eq!(store.contact_fetch(ended.name).await.unwrap(), ended);
    })
    .await;
}

#[tokio::test]
async fn the_contacts_that_the_end_of_units_concerns_are_those_that_hold_on_that_day_or_later() {
    let units = ["09427", "09430", "09433"].map(|code| UnitId::new("nso", code, None));
    on_both(&units, async |store| {
        let [one, two, three] = units;
        let all = [
            of(one, 1, ContactRole::Head, "2025-07-01", None),
            of(one, 2, ContactRole::Reporter, "2026-09-01", Some("2026-09-21")),
            of(one, 3, ContactRole::Reporter, "2026-01-01", Some("2026-09-20")),
            of(one, 4, ContactRole::Reporter, "2027-01-01", None),
            of(two, 5, ContactRole::Head, "2026-09-19", None),
            of(three, 6, ContactRole::Head, "2025-07-01", None),
        ];
        for contact in &all {
            store.contact_insert::<pb::Contact>(contact, None).await.unwrap();
        }
        let found = store.contacts_from(&[two, one], day("2026-09-20")).await.unwrap();
        let mut expected = vec![all[1].clone(), all[3].clone(), all[0].clone(), all[4].clone()];
        expected.sort_by_key(|contact| contact.name.unit);
        assert_eq!(found, expected);
        assert_eq!(store.contacts_from(&[], day("2026-09-20")).await.unwrap(), []);
    })
    .await;
}

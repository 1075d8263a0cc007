//! `CreateRegime`, `GetRegime`, `ListRegimes`.

use dunghan_hierarchy::UnitId;
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::regime::DueRule;
use dunghan_proto::r#type::Date;
use dunghan_rpc::field;
use dunghan_store::{Database, Location};
use dunghan_testkit::{ENGINES, Engine, Place, fields, refusal};
use futures::future::join_all;
use sea_orm::{ConnectionTrait as _, DbErr};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::world::{
    PERIOD, REGIME, Scene, bac_ninh, commune, day, department, regime, start, time,
};

fn now() -> chrono::DateTime<chrono::Utc> {
    time("2026-05-04 08:00:00")
}

async fn create(scene: &Scene, regime: pb::Regime, request_id: &str) -> Result<pb::Regime, Status> {
    let request =
        pb::CreateRegimeRequest { regime: Some(regime), request_id: request_id.to_owned() };
    Ok(scene.operator().create_regime(request).await?.into_inner())
}

async fn get(scene: &Scene, name: &str) -> Result<pb::Regime, Status> {
    let request = pb::GetRegimeRequest { name: name.to_owned() };
    Ok(scene.compliance(&["reader"]).get_regime(request).await?.into_inner())
}

fn named(id: &str) -> pb::Regime {
    pb::Regime { name: format!("regimes/{id}"), ..regime() }
}

#[tokio::test]
async fn a_regime_of_a_process_that_did_not_get_to_open_it_is_opened_by_another() {
    let place = Place::new(Engine::Postgres).await;
    let Location::Postgres(url) = place.location.clone() else { panic!("not PostgreSQL") };
    let scene = start(Engine::Sqlite, now()).await.replica(&url, now()).await;
    scene.create(regime()).await;
    let before = scene.list(pb::ListObligationsRequest::default()).await.len();
    assert!(before > 0);
    // All that such a process has left.
    let database = Database::open(&place.location, "compliance").await.unwrap();
    let put = "INSERT INTO regime SELECT 'other', replace(content, '\"cds-24\"', '\"other\"'), \
               create_us FROM regime";
    let put: Result<_, DbErr> =
        database.write(async |write| write.execute_unprepared(put).await).await;
    put.unwrap();
    let after = scene.list(pb::ListObligationsRequest::default()).await.len();
    assert_eq!(after, 2 * before);
}

#[tokio::test]
async fn a_regime_is_kept_as_it_was_put_in_force() {
    for engine in ENGINES {
        let scene = start(engine, now()).await;
        let created = create(&scene, regime(), "").await.unwrap();
        let expected = pb::Regime {
            create_time: Some(field::pb_time(now())),
            window_family: pb::WindowFamily::Nd09.into(),
            ..regime()
        };
        assert_eq!(created, expected, "{engine:?}");
        assert_eq!(get(&scene, REGIME).await.unwrap(), expected);
        // All the rest that a regime can state.
        let other = pb::Regime {
            illustrative: false,
            frequency: pb::Frequency::Once.into(),
            once_period: "2023-01-01--2024-05-31".to_owned(),
            window_family: pb::WindowFamily::Calendar.into(),
            cut_off_as_declared: true,
            due_rule: Some(DueRule::DayOfMonth(pb::DayOfMonth { day: 31, month: 12 })),
            move_due_date_off_days_off: true,
            debtors: Some(pb::Debtors {
                units: vec![commune("21733").to_string()],
                ..pb::Debtors::default()
            }),
            from_date: Some(field::pb_date(day("2024-01-01"))),
            through_date: Some(field::pb_date(day("2024-12-31"))),
            ..named("r-2")
        };
        let created = create(&scene, other.clone(), "").await.unwrap();
        assert_eq!(created, pb::Regime { create_time: created.create_time, ..other });
        assert_eq!(get(&scene, "regimes/r-2").await.unwrap(), created);
        for frequency in [
            pb::Frequency::Quarter,
            pb::Frequency::SixMonths,
            pb::Frequency::NineMonths,
            pb::Frequency::Year,
        ] {
            let id = frequency.as_str_name().to_lowercase().replace('_', "-");
            let wanted = pb::Regime { frequency: frequency.into(), ..named(&id) };
            assert_eq!(create(&scene, wanted, "").await.unwrap().frequency(), frequency);
        }
    }
}

#[tokio::test]
async fn the_same_request_is_answered_the_same_again_and_its_id_serves_no_other() {
    for engine in ENGINES {
        let scene = start(engine, now()).await;
        let id = Uuid::new_v4().to_string();
        let first = create(&scene, regime(), &id).await.unwrap();
        scene.testing.clock.set(now() + chrono::TimeDelta::hours(24));
        assert_eq!(create(&scene, regime(), &id).await.unwrap(), first, "{engine:?}");
        let reused = create(&scene, named("other"), &id).await.unwrap_err();
        let expected = (Code::InvalidArgument, "REQUEST_ID_REUSED".to_owned());
        assert_eq!((refusal(&reused), fields(&reused)), (expected, vec!["request_id".to_owned()]));
        let exists = create(&scene, regime(), &Uuid::new_v4().to_string()).await.unwrap_err();
        assert_eq!(refusal(&exists), (Code::AlreadyExists, "REGIME_EXISTS".to_owned()));
        let exists = create(&scene, regime(), "").await.unwrap_err();
        assert_eq!(refusal(&exists), (Code::AlreadyExists, "REGIME_EXISTS".to_owned()));
        let no_uuid = create(&scene, named("third"), "1").await.unwrap_err();
        assert_eq!(fields(&no_uuid), ["request_id"]);
        // Nothing of what was refused is there.
        for name in ["regimes/other", "regimes/third"] {
            assert_eq!(get(&scene, name).await.unwrap_err().code(), Code::NotFound);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_many_times_at_once_is_answered_the_same() {
    for engine in ENGINES {
        let scene = start(engine, now()).await;
        let id = Uuid::new_v4().to_string();
        let answers = join_all((0..8).map(|_| create(&scene, regime(), &id))).await;
        for answer in &answers {
            assert_eq!(answer.as_ref().unwrap().name, REGIME, "{engine:?}");
        }
        // Without an id, one of many is the first.
        let answers = join_all((0..8).map(|_| create(&scene, named("second"), ""))).await;
        let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
        assert_eq!(refused.len(), 7, "{engine:?}");
        for status in refused {
            assert_eq!(refusal(status), (Code::AlreadyExists, "REGIME_EXISTS".to_owned()));
        }
    }
}

#[tokio::test]
async fn a_field_that_does_not_read_or_contradicts_another_is_named() {
    let scene = start(Engine::Sqlite, now()).await;
    let day_of_month = |day, month| Some(DueRule::DayOfMonth(pb::DayOfMonth { day, month }));
    let working_days = |days| Some(DueRule::WorkingDaysAfterCutOff(days));
    let subtree = |levels: &[&str]| {
        let levels = levels.iter().map(|level| (*level).to_owned()).collect();
        Some(pb::Debtors { subtree: bac_ninh().to_string(), levels, units: Vec::new() })
    };
    let date = |year, month, day| Some(Date { year, month, day });
    let once = |period: &str| pb::Regime {
        frequency: pb::Frequency::Once.into(),
        once_period: period.to_owned(),
        ..regime()
    };
    let units = |units: &[&str]| {
        let units = units.iter().map(|unit| (*unit).to_owned()).collect();
        Some(pb::Debtors { units, ..pb::Debtors::default() })
    };
    let unit = commune("07210").to_string();
    let missing = "REQUIRED_FIELD_MISSING";
    let bad: Vec<(pb::Regime, &str, &str)> = vec![
        (pb::Regime { name: String::new(), ..regime() }, "regime.name", missing),
        (pb::Regime { name: "cds-24".to_owned(), ..regime() }, "regime.name", "INVALID_REGIME"),
        (named("Cds"), "regime.name", "INVALID_REGIME"),
        (named(&"a".repeat(64)), "regime.name", "INVALID_REGIME"),
        (pb::Regime { display_name: "  ".to_owned(), ..regime() }, "regime.display_name", missing),
        (
            pb::Regime { display_name: "x".repeat(501), ..regime() },
            "regime.display_name",
            "INVALID_FIELD",
        ),
        (pb::Regime { legal_basis: String::new(), ..regime() }, "regime.legal_basis", missing),
        (pb::Regime { form: String::new(), ..regime() }, "regime.form", missing),
        (pb::Regime { form: "forms/".to_owned(), ..regime() }, "regime.form", "INVALID_REGIME"),
        (pb::Regime { form: "forms/none".to_owned(), ..regime() }, "regime.form", "UNKNOWN_FORM"),
        (
            pb::Regime { receiving_unit: String::new(), ..regime() },
            "regime.receiving_unit",
            missing,
        ),
        (
            pb::Regime { receiving_unit: "units/1".to_owned(), ..regime() },
            "regime.receiving_unit",
            "INVALID_FIELD",
        ),
        (pb::Regime { frequency: 0, ..regime() }, "regime.frequency", "INVALID_REGIME"),
        (pb::Regime { frequency: 99, ..regime() }, "regime.frequency", "INVALID_REGIME"),
        (pb::Regime { window_family: 99, ..regime() }, "regime.window_family", "INVALID_REGIME"),
        (
            pb::Regime { once_period: "2026-01-01--2026-01-31".to_owned(), ..regime() },
            "regime.once_period",
            "INVALID_REGIME",
        ),
        (once(""), "regime.once_period", missing),
        (once("2026-13"), "regime.once_period", "INVALID_PERIOD"),
        (once("2026-02-01--2026-01-01"), "regime.once_period", "INVALID_PERIOD"),
        (once(PERIOD), "regime.once_period", "INVALID_REGIME"),
        (
            pb::Regime { due_rule: working_days(0), ..regime() },
            "regime.working_days_after_cut_off",
            "INVALID_REGIME",
        ),
        (
            pb::Regime { due_rule: working_days(-1), ..regime() },
            "regime.working_days_after_cut_off",
            "INVALID_REGIME",
        ),
        (
            pb::Regime { due_rule: working_days(251), ..regime() },
            "regime.working_days_after_cut_off",
            "INVALID_REGIME",
        ),
        (
            pb::Regime { due_rule: day_of_month(0, 0), ..regime() },
            "regime.day_of_month.day",
            "INVALID_REGIME",
        ),
        (
            pb::Regime { due_rule: day_of_month(32, 0), ..regime() },
            "regime.day_of_month.day",
            "INVALID_REGIME",
        ),
        (
            pb::Regime { due_rule: day_of_month(257, 0), ..regime() },
            "regime.day_of_month.day",
            "INVALID_REGIME",
        ),
        (
            pb::Regime { due_rule: day_of_month(1, 13), ..regime() },
            "regime.day_of_month.month",
            "INVALID_REGIME",
        ),
        (
            pb::Regime { due_rule: day_of_month(1, -1), ..regime() },
            "regime.day_of_month.month",
            "INVALID_REGIME",
        ),
        // The cut-off is the 14th of the last month: a due date on it or before lies too early.
        (
            pb::Regime { due_rule: day_of_month(14, 0), ..regime() },
            "regime.due_rule",
            "DUE_BEFORE_CUT_OFF",
        ),
        (
            pb::Regime {
                frequency: pb::Frequency::SixMonths.into(),
                due_rule: day_of_month(24, 5),
                ..regime()
            },
            "regime.due_rule",
            "DUE_BEFORE_CUT_OFF",
        ),
        (pb::Regime { debtors: None, ..regime() }, "regime.debtors", missing),
        (pb::Regime { debtors: units(&[]), ..regime() }, "regime.debtors", "INVALID_REGIME"),
        (pb::Regime { debtors: subtree(&[]), ..regime() }, "regime.debtors", "INVALID_REGIME"),
        (
            pb::Regime { debtors: subtree(&["Commune"]), ..regime() },
            "regime.debtors.levels",
            "INVALID_REGIME",
        ),
        (
            pb::Regime { debtors: subtree(&["commune", "xã"]), ..regime() },
            "regime.debtors.levels",
            "INVALID_REGIME",
        ),
        (
            pb::Regime {
                debtors: Some(pb::Debtors {
                    units: vec![unit.clone()],
                    ..subtree(&["commune"]).unwrap()
                }),
                ..regime()
            },
            "regime.debtors.units",
            "INVALID_REGIME",
        ),
        (
            pb::Regime {
                debtors: Some(pb::Debtors {
                    levels: vec!["commune".to_owned()],
                    ..units(&[&unit]).unwrap()
                }),
                ..regime()
            },
            "regime.debtors.levels",
            "INVALID_REGIME",
        ),
        (
            pb::Regime { debtors: units(&[&unit, "units/1"]), ..regime() },
            "regime.debtors.units",
            "INVALID_FIELD",
        ),
        (
            pb::Regime {
                debtors: Some(pb::Debtors {
                    subtree: "24".to_owned(),
                    ..subtree(&["commune"]).unwrap()
                }),
                ..regime()
            },
            "regime.debtors.subtree",
            "INVALID_FIELD",
        ),
        (pb::Regime { from_date: None, ..regime() }, "regime.from_date", missing),
        (
            pb::Regime { from_date: date(2026, 2, 30), ..regime() },
            "regime.from_date",
            "INVALID_FIELD",
        ),
        (
            pb::Regime { through_date: date(2026, 4, 30), ..regime() },
            "regime.through_date",
            "INVALID_REGIME",
        ),
        (
            pb::Regime { through_date: date(0, 0, 0), ..regime() },
            "regime.through_date",
            "INVALID_FIELD",
        ),
    ];
    for (wrong, field, reason) in bad {
        let status = create(&scene, wrong.clone(), "").await.unwrap_err();
        assert_eq!(refusal(&status), (Code::InvalidArgument, reason.to_owned()), "{wrong:?}");
        assert_eq!(fields(&status), [field], "{wrong:?}");
    }
    let nothing = scene.operator().create_regime(pb::CreateRegimeRequest::default()).await;
    assert_eq!(fields(&nothing.unwrap_err()), ["regime"]);
    assert_eq!(get(&scene, REGIME).await.unwrap_err().code(), Code::NotFound);
    // What lies just within the limits is taken.
    for (id, due_rule) in [
        ("one-day", working_days(1)),
        ("year", working_days(250)),
        ("the-15th", day_of_month(15, 0)),
        ("the-31st", day_of_month(31, 0)),
    ] {
        create(&scene, pb::Regime { due_rule, ..named(id) }, "").await.unwrap();
    }
    let declared =
        pb::Regime { due_rule: day_of_month(6, 0), cut_off_as_declared: true, ..named("declared") };
    create(&scene, declared, "").await.unwrap();
}

#[tokio::test]
async fn a_unit_that_nobody_knows_is_not_found_and_one_that_was_just_imported_is() {
    let scene = start(Engine::Sqlite, now()).await;
    let unknown = UnitId::new("nso", "99999", None).to_string();
    let debtors = |subtree: &str, units: &[&str]| {
        let levels = if subtree.is_empty() { vec![] } else { vec!["commune".to_owned()] };
        let units = units.iter().map(|unit| (*unit).to_owned()).collect();
        Some(pb::Debtors { subtree: subtree.to_owned(), levels, units })
    };
    for wrong in [
        pb::Regime { receiving_unit: unknown.clone(), ..regime() },
        pb::Regime { debtors: debtors(&unknown, &[]), ..regime() },
        pb::Regime { debtors: debtors("", &[&commune("07210").to_string(), &unknown]), ..regime() },
    ] {
        let status = create(&scene, wrong, "").await.unwrap_err();
        assert_eq!(refusal(&status), (Code::NotFound, "UNKNOWN_UNIT".to_owned()));
    }
    let validity = dunghan_hierarchy::Validity::since(day("2026-01-01"));
    let new = crate::world::unit("07777", "Xã Mới", Some(bac_ninh()), validity);
    scene.world.lock().import(new);
    let twice = commune("07777").to_string();
    let wanted = pb::Regime { debtors: debtors("", &[&twice, &twice]), ..regime() };
    let created = create(&scene, wanted, "").await.unwrap();
    // Named twice, owed once.
    assert_eq!(created.debtors.unwrap().units, [twice]);
    assert_eq!(scene.rate(commune("07777")).await.expected_reports, 1);
}

#[tokio::test]
async fn nothing_is_put_in_force_while_a_peer_cannot_be_asked() {
    let scene = start(Engine::Sqlite, now()).await;
    let unavailable = (Code::Unavailable, "PEER_UNAVAILABLE".to_owned());
    scene.world.lock().submission_away = true;
    assert_eq!(refusal(&create(&scene, regime(), "").await.unwrap_err()), unavailable);
    scene.world.lock().submission_away = false;
    scene.world.lock().registry_away = true;
    assert_eq!(refusal(&create(&scene, regime(), "").await.unwrap_err()), unavailable);
    scene.world.lock().registry_away = false;
    create(&scene, regime(), "").await.unwrap();
}

#[tokio::test]
async fn regimes_are_listed_by_name_page_by_page_and_only_an_operator_adds_one() {
    for engine in ENGINES {
        let scene = start(engine, now()).await;
        // By bytes, whatever the database's locale: a digit before a letter, "-" before both.
        let ids = ["a", "a-b", "a0", "aa", "b"];
        for id in ["aa", "b", "a0", "a", "a-b"] {
            create(&scene, named(id), "").await.unwrap();
        }
        let mut client = scene.compliance(&["reporter@regimes/other"]);
        let (mut seen, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = pb::ListRegimesRequest { page_size: 2, page_token };
            let page = client.list_regimes(request).await.unwrap().into_inner();
            assert!(page.regimes.len() <= 2);
            seen.extend(page.regimes.into_iter().map(|regime| regime.name));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, ids.map(|id| format!("regimes/{id}")), "{engine:?}");
        let bad = pb::ListRegimesRequest { page_token: "00".to_owned(), page_size: 0 };
        let status = client.list_regimes(bad).await.unwrap_err();
        assert_eq!(refusal(&status).1, "INVALID_PAGE_TOKEN");
        let bad = pb::ListRegimesRequest { page_size: -1, ..Default::default() };
        assert_eq!(fields(&client.list_regimes(bad).await.unwrap_err()), ["page_size"]);

        let request = pb::CreateRegimeRequest { regime: Some(named("c")), ..Default::default() };
        let supervisor = format!("supervisor@{}", department());
        let status = scene.compliance(&[&supervisor]).create_regime(request).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::PermissionDenied, "ROLE_MISSING".to_owned()));
    }
}

#[tokio::test]
async fn a_regime_that_there_is_not_is_not_found_and_what_is_no_name_is_refused() {
    let scene = start(Engine::Sqlite, now()).await;
    let status = get(&scene, "regimes/none").await.unwrap_err();
    assert_eq!(refusal(&status), (Code::NotFound, "UNKNOWN_REGIME".to_owned()));
    for bad in ["", "none", "regimes/", "regimes/A"] {
        let status = get(&scene, bad).await.unwrap_err();
        assert_eq!(
            (status.code(), fields(&status)),
            (Code::InvalidArgument, vec!["name".to_owned()])
        );
    }
}

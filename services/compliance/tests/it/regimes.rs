//! `CreateRegime`, `GetRegime`, `ListRegimes`, `ListRegimeFamilies`.

use dunghan_hierarchy::UnitId;
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::level_due_rule::DueRule as LevelDue;
use dunghan_proto::compliance::onward_tier::DueRule as OnwardDue;
use dunghan_proto::compliance::regime::DueRule;
use dunghan_proto::submission;
use dunghan_proto::r#type::Date;
use dunghan_rpc::field;
use dunghan_store::{Database, Location};
use dunghan_testkit::{ENGINES, Engine, Place, fields, refusal};
use futures::future::join_all;
use sea_orm::{ConnectionTrait as _, DbErr};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::world::{
    PERIOD, REGIME, Scene, bac_ninh, commune, day, department, gia_lai, regime, start, time,
};

fn now() -> chrono::DateTime<chrono::Utc> {
    time("2026-05-04 08:00:00")
}

async fn create(scene: &Scene, regime: pb::Regime, request_id: &str) -> Result<pb::Regime, Status> {
    let request = pb::CreateRegimeRequest {
        regime: Some(regime),
        request_id: request_id.to_owned(),
        ..Default::default()
    };
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
            report_kind: pb::ReportKind::Periodic.into(),
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
            report_kind: pb::ReportKind::Thematic.into(),
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
        Some(pb::Debtors { subtree: bac_ninh().to_string(), levels, ..Default::default() })
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
    let mut bad: Vec<(pb::Regime, &str, &str)> = vec![
        (pb::Regime { name: String::new(), ..regime() }, "regime.name", missing),
        (pb::Regime { name: "cds-24".to_owned(), ..regime() }, "regime.name", "INVALID_REGIME"),
        (named("Cds"), "regime.name", "INVALID_REGIME"),
        (
            pb::Regime { display_name: "Báo cáo\rBCC:x".to_owned(), ..regime() },
            "regime.display_name",
            "INVALID_REGIME",
        ),
        (
            pb::Regime { legal_basis: "Công văn số 1/VP\nDTSTART:x".to_owned(), ..regime() },
            "regime.legal_basis",
            "INVALID_REGIME",
        ),
        (
            pb::Regime { legal_basis: "Công văn\tsố 1/VP".to_owned(), ..regime() },
            "regime.legal_basis",
            "INVALID_REGIME",
        ),
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
            "regime.debtors.subtree",
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
    let with = |change: &dyn Fn(&mut pb::Regime)| {
        let mut changed = regime();
        change(&mut changed);
        changed
    };
    let level_due = |level: &str, due_rule| pb::LevelDueRule { level: level.to_owned(), due_rule };
    let of_level = |days| Some(LevelDue::WorkingDaysAfterCutOff(days));
    let onward = |due_rule| pb::OnwardTier {
        receiving_unit: bac_ninh().to_string(),
        due_rule,
        ..Default::default()
    };
    let of_tier = |days| Some(OnwardDue::WorkingDaysAfterCutOff(days));
    let agency = pb::OnwardTier { receiving_agency: "Bộ".to_owned(), ..Default::default() };
    let email = i32::from(pb::SendingMeans::Email);
    let invalid = "INVALID_REGIME";
    let more: Vec<(pb::Regime, &str, &str)> = vec![
        (once("1826-01-01--2025-12-31"), "regime.once_period", "INVALID_PERIOD"),
        (once("2000-01-01--2199-12-31"), "regime.once_period", "INVALID_PERIOD"),
        (once("2026-01-01--2026-03-31"), "regime.once_period", invalid),
        (with(&|of| of.from_date = date(1950, 1, 1)), "regime.from_date", "TOO_MANY_PERIODS"),
        (with(&|of| of.receiving_level = "province".to_owned()), "regime.receiving_unit", invalid),
        (
            with(&|of| {
                of.receiving_unit.clear();
                of.receiving_level = "tỉnh".to_owned();
            }),
            "regime.receiving_level",
            invalid,
        ),
        (
            with(&|of| of.due_rule = date(2026, 5, 20).map(DueRule::DueDate)),
            "regime.due_date",
            invalid,
        ),
        (
            pb::Regime {
                due_rule: date(2026, 2, 30).map(DueRule::DueDate),
                ..once("2026-05-01--2026-05-31")
            },
            "regime.due_date",
            "INVALID_FIELD",
        ),
        (
            pb::Regime {
                due_rule: date(2026, 5, 31).map(DueRule::DueDate),
                ..once("2026-05-01--2026-05-31")
            },
            "regime.due_rule",
            "DUE_BEFORE_CUT_OFF",
        ),
        (with(&|of| of.report_kind = 99), "regime.report_kind", invalid),
        (with(&|of| of.set_report_kind(pb::ReportKind::AdHoc)), "regime.report_kind", invalid),
        (with(&|of| of.set_report_kind(pb::ReportKind::Thematic)), "regime.report_kind", invalid),
        (with(&|of| of.sending_means = vec![email, 0]), "regime.sending_means[1]", invalid),
        (with(&|of| of.sending_means = vec![99]), "regime.sending_means[0]", invalid),
        (with(&|of| of.sending_means = vec![email, email]), "regime.sending_means[1]", invalid),
        (with(&|of| of.grace_working_days = -1), "regime.grace_working_days", invalid),
        (with(&|of| of.grace_working_days = 31), "regime.grace_working_days", invalid),
        (with(&|of| of.review_levels = -1), "regime.review_levels", invalid),
        (with(&|of| of.review_levels = 3), "regime.review_levels", invalid),
        (with(&|of| of.family = "nd10".to_owned()), "regime.family", "UNKNOWN_FAMILY"),
        (with(&|of| of.amends = "cds-24".to_owned()), "regime.amends", invalid),
        (with(&|of| of.amends = REGIME.to_owned()), "regime.amends", invalid),
        (
            with(&|of| of.tell_from_date = date(2026, 13, 1)),
            "regime.tell_from_date",
            "INVALID_FIELD",
        ),
        (
            with(&|of| of.early_due_reason = "ế".repeat(501)),
            "regime.early_due_reason",
            "INVALID_FIELD",
        ),
        (
            with(&|of| of.level_due_rules = vec![level_due("xã", of_level(1))]),
            "regime.level_due_rules[0].level",
            invalid,
        ),
        (
            with(&|of| of.level_due_rules = vec![level_due("province", of_level(1))]),
            "regime.level_due_rules[0].level",
            invalid,
        ),
        (
            with(&|of| of.level_due_rules = vec![level_due("commune", None)]),
            "regime.level_due_rules[0].due_rule",
            missing,
        ),
        (
            with(&|of| of.level_due_rules = vec![level_due("commune", of_level(0))]),
            "regime.level_due_rules[0].working_days_after_cut_off",
            invalid,
        ),
        (
            with(&|of| {
                let rule = level_due("commune", of_level(1));
                of.level_due_rules = vec![rule.clone(), rule];
            }),
            "regime.level_due_rules[1].level",
            invalid,
        ),
        (
            with(&|of| {
                let early = LevelDue::DayOfMonth(pb::DayOfMonth { day: 14, month: 0 });
                of.level_due_rules = vec![level_due("commune", Some(early))];
            }),
            "regime.level_due_rules[0].due_rule",
            "DUE_BEFORE_CUT_OFF",
        ),
        (
            with(&|of| of.onward_tiers = vec![pb::OnwardTier::default()]),
            "regime.onward_tiers[0].receiving_unit",
            missing,
        ),
        (
            with(&|of| {
                let both = pb::OnwardTier { receiving_agency: "Bộ".to_owned(), ..onward(None) };
                of.onward_tiers = vec![both];
            }),
            "regime.onward_tiers[0].receiving_unit",
            invalid,
        ),
        (
            with(&|of| {
                let long =
                    pb::OnwardTier { receiving_agency: "ế".repeat(501), ..Default::default() };
                of.onward_tiers = vec![long];
            }),
            "regime.onward_tiers[0].receiving_agency",
            "INVALID_FIELD",
        ),
        (
            with(&|of| {
                let none = pb::OnwardTier { form: "forms/none".to_owned(), ..onward(None) };
                of.onward_tiers = vec![onward(None), none];
            }),
            "regime.onward_tiers[1].form",
            "UNKNOWN_FORM",
        ),
        (
            with(&|of| of.onward_tiers = vec![onward(of_tier(251))]),
            "regime.onward_tiers[0].working_days_after_cut_off",
            invalid,
        ),
        (
            with(&|of| of.onward_tiers = vec![onward(of_tier(3))]),
            "regime.onward_tiers[0].due_rule",
            invalid,
        ),
        (
            with(&|of| of.onward_tiers = vec![onward(of_tier(5)), onward(of_tier(4))]),
            "regime.onward_tiers[1].due_rule",
            invalid,
        ),
        (
            with(&|of| of.onward_tiers = vec![agency.clone(), onward(None)]),
            "regime.onward_tiers[1]",
            invalid,
        ),
        (with(&|of| of.onward_tiers = vec![onward(None); 4]), "regime.onward_tiers", invalid),
        (
            pb::Regime {
                debtors: Some(pb::Debtors {
                    kinds: vec!["ward".to_owned()],
                    ..subtree(&["commune"]).unwrap()
                }),
                ..regime()
            },
            "regime.debtors.kinds",
            invalid,
        ),
        (
            pb::Regime {
                debtors: Some(pb::Debtors {
                    except_subtrees: vec![bac_ninh().to_string()],
                    ..subtree(&["commune"]).unwrap()
                }),
                ..regime()
            },
            "regime.debtors.except_subtrees",
            invalid,
        ),
        (with(&|of| of.through_date = date(2026, 5, 13)), "regime.through_date", invalid),
    ];
    bad.extend(more);
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
        Some(pb::Debtors { subtree: subtree.to_owned(), levels, units, ..Default::default() })
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
            let request = pb::ListRegimesRequest { page_size: 2, page_token, ..Default::default() };
            let page = client.list_regimes(request).await.unwrap().into_inner();
            assert!(page.regimes.len() <= 2);
            seen.extend(page.regimes.into_iter().map(|regime| regime.name));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, ids.map(|id| format!("regimes/{id}")), "{engine:?}");
        let bad = pb::ListRegimesRequest { page_token: "00".to_owned(), ..Default::default() };
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

async fn refused(scene: &Scene, regime: pb::Regime) -> (Code, String, Vec<(String, String)>) {
    let status = create(scene, regime, "").await.unwrap_err();
    let info = status.get_details_error_info().unwrap();
    let (code, reason) = refusal(&status);
    (code, reason, info.metadata.into_iter().collect())
}

/// Has submission know a form that asks for these indicators.
fn know_form(scene: &Scene, name: &str, indicators: &[&str]) {
    let indicators = indicators
        .iter()
        .map(|key| submission::Indicator { key: (*key).to_owned(), ..Default::default() });
    let form = submission::Form {
        name: name.to_owned(),
        indicators: indicators.collect(),
        ..Default::default()
    };
    scene.world.lock().forms.insert(name.to_owned(), form);
}

const COUNTED: &str = "forms/ii06a-1";

/// A regime by a form with indicators.
fn counting(id: &str) -> pb::Regime {
    pb::Regime { form: COUNTED.to_owned(), ..named(id) }
}

fn from(date: &str) -> Option<Date> {
    Some(field::pb_date(day(date)))
}

fn everywhere(levels: &[&str]) -> Option<pb::Debtors> {
    let levels = levels.iter().map(|level| (*level).to_owned()).collect();
    Some(pb::Debtors { levels, ..Default::default() })
}

#[tokio::test]
async fn a_form_that_is_retired_is_asked_for_by_no_new_regime() {
    for engine in ENGINES {
        let scene = start(engine, now()).await;
        know_form(&scene, COUNTED, &["a"]);
        create(&scene, counting("before"), "").await.unwrap();
        let retire_time = Some(field::pb_time(now()));
        scene.world.lock().forms.get_mut(COUNTED).unwrap().retire_time = retire_time;
        let onward = pb::OnwardTier {
            receiving_unit: department().to_string(),
            due_rule: Some(OnwardDue::WorkingDaysAfterCutOff(6)),
            form: COUNTED.to_owned(),
            ..Default::default()
        };
        for (regime, named) in [
            (counting("after"), "regime.form"),
            (pb::Regime { onward_tiers: vec![onward], ..regime() }, "regime.onward_tiers[0].form"),
        ] {
            let status = create(&scene, regime, "").await.unwrap_err();
            let expected = (Code::InvalidArgument, "FORM_RETIRED".to_owned());
            assert_eq!((refusal(&status), fields(&status)), (expected, vec![named.to_owned()]));
        }
        // Others are published beside the regime that asks for it.
        create(&scene, pb::Regime { name: "regimes/other".to_owned(), ..regime() }, "")
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn tiers_levels_means_and_all_the_rest_are_kept() {
    for engine in ENGINES {
        let scene = start(engine, now()).await;
        know_form(&scene, COUNTED, &["a"]);
        let day_of_month = |day| pb::DayOfMonth { day, month: 0 };
        let wanted = pb::Regime {
            receiving_unit: String::new(),
            receiving_level: "province".to_owned(),
            due_rule: None,
            level_due_rules: vec![
                pb::LevelDueRule {
                    level: "commune".to_owned(),
                    due_rule: Some(LevelDue::WorkingDaysAfterCutOff(2)),
                },
                pb::LevelDueRule {
                    level: "department".to_owned(),
                    due_rule: Some(LevelDue::DayOfMonth(day_of_month(16))),
                },
            ],
            onward_tiers: vec![
                pb::OnwardTier {
                    receiving_unit: department().to_string(),
                    due_rule: Some(OnwardDue::WorkingDaysAfterCutOff(6)),
                    form: COUNTED.to_owned(),
                    ..Default::default()
                },
                pb::OnwardTier {
                    receiving_level: "parent".to_owned(),
                    due_rule: Some(OnwardDue::DayOfMonth(day_of_month(28))),
                    ..Default::default()
                },
                pb::OnwardTier {
                    receiving_agency: "Văn phòng Chính phủ".to_owned(),
                    ..Default::default()
                },
            ],
            debtors: Some(pb::Debtors {
                subtree: bac_ninh().to_string(),
                levels: vec!["commune".to_owned(), "department".to_owned()],
                kinds: vec!["xa".to_owned(), "so".to_owned()],
                except_subtrees: vec![commune("07246").to_string()],
                units: Vec::new(),
            }),
            sending_means: vec![
                pb::SendingMeans::ReportingSystem.into(),
                pb::SendingMeans::ElectronicDocument.into(),
                pb::SendingMeans::Email.into(),
                pb::SendingMeans::Post.into(),
                pb::SendingMeans::Hand.into(),
                pb::SendingMeans::Fax.into(),
            ],
            grace_working_days: 30,
            review_levels: 2,
            window_family: pb::WindowFamily::Nd09.into(),
            report_kind: pb::ReportKind::Periodic.into(),
            early_due_reason: "Theo Công văn số 2/VP".to_owned(),
            tell_from_date: from("2026-06-01"),
            ..regime()
        };
        let created = create(&scene, wanted.clone(), "").await.unwrap();
        let expected = pb::Regime { create_time: created.create_time, ..wanted };
        assert_eq!(created, expected, "{engine:?}");
        assert_eq!(get(&scene, REGIME).await.unwrap(), expected);
        // A date, for what is asked for once.
        let once = pb::Regime {
            frequency: pb::Frequency::Once.into(),
            once_period: "2026-01-01--2026-03-31".to_owned(),
            due_rule: from("2026-04-10").map(DueRule::DueDate),
            from_date: from("2026-01-01"),
            report_kind: pb::ReportKind::AdHoc.into(),
            ..named("once")
        };
        let created = create(&scene, once.clone(), "").await.unwrap();
        assert_eq!((created.due_rule, created.report_kind), (once.due_rule, once.report_kind));
        assert_eq!(get(&scene, "regimes/once").await.unwrap(), created);
        // Only of kinds, wherever they are and of whichever level.
        let kinds = pb::Debtors { kinds: vec!["phuong".to_owned()], ..Default::default() };
        let of_kind = pb::Regime { debtors: Some(kinds.clone()), ..named("of-kind") };
        assert_eq!(create(&scene, of_kind, "").await.unwrap().debtors, Some(kinds));
    }
}

#[tokio::test]
async fn nobody_is_told_of_what_fell_due_before_the_day_on_which_a_regime_is_put_in_force() {
    let scene = start(Engine::Sqlite, now()).await;
    let created =
        create(&scene, pb::Regime { tell_from_date: None, ..regime() }, "").await.unwrap();
    assert_eq!(created.tell_from_date, from("2026-05-04"));
}

#[tokio::test]
async fn what_a_regime_leaves_open_its_family_fills_in() {
    for engine in ENGINES {
        let scene = start(engine, now()).await;
        let inspection = pb::Regime {
            family: "tt06-2025-ttcp".to_owned(),
            frequency: pb::Frequency::Quarter.into(),
            receiving_unit: String::new(),
            receiving_level: "province".to_owned(),
            due_rule: None,
            debtors: everywhere(&["commune"]),
            from_date: from("2025-09-30"),
            onward_tiers: vec![pb::OnwardTier {
                receiving_agency: "Thanh tra Chính phủ".to_owned(),
                ..Default::default()
            }],
            ..named("thanh-tra")
        };
        let created = create(&scene, inspection, "").await.unwrap();
        let on = |day| pb::DayOfMonth { day, month: 0 };
        assert_eq!(created.window_family(), pb::WindowFamily::Nd09, "{engine:?}");
        assert!(created.cut_off_as_declared);
        assert_eq!(created.due_rule, Some(DueRule::DayOfMonth(on(17))));
        assert_eq!(created.onward_tiers[0].due_rule, Some(OnwardDue::DayOfMonth(on(20))));
        assert_eq!(get(&scene, "regimes/thanh-tra").await.unwrap(), created);
        // The receiving unit's own level tells by which rule it sends on.
        let to_one = pb::Regime {
            receiving_unit: bac_ninh().to_string(),
            receiving_level: String::new(),
            debtors: regime().debtors,
            ..pb::Regime { name: "regimes/mot".to_owned(), due_rule: None, ..created.clone() }
        };
        let to_one = pb::Regime {
            onward_tiers: vec![pb::OnwardTier {
                due_rule: None,
                ..created.onward_tiers[0].clone()
            }],
            ..to_one
        };
        let filled = create(&scene, to_one, "").await.unwrap();
        assert_eq!(filled.onward_tiers, created.onward_tiers);
        assert_eq!(filled.due_rule, created.due_rule);
        // Statistics: plain months.
        let statistics = pb::Regime { family: "calendar".to_owned(), ..named("thong-ke") };
        let filled = create(&scene, statistics, "").await.unwrap();
        assert_eq!(filled.window_family(), pb::WindowFamily::Calendar);
    }
}

#[tokio::test]
async fn what_contradicts_the_family_is_refused_naming_the_field() {
    let scene = start(Engine::Sqlite, now()).await;
    let of = |family: &str| pb::Regime {
        family: family.to_owned(),
        frequency: pb::Frequency::Quarter.into(),
        due_rule: None,
        from_date: from("2025-10-01"),
        onward_tiers: vec![onward_to_the_province()],
        ..regime()
    };
    let on = |day| pb::DayOfMonth { day, month: 0 };
    let calendar = pb::WindowFamily::Calendar.into();
    for (wrong, field) in [
        (pb::Regime { window_family: calendar, ..of("nd09") }, "regime.window_family"),
        (pb::Regime { cut_off_as_declared: true, ..of("nd09") }, "regime.cut_off_as_declared"),
        (
            pb::Regime { due_rule: Some(DueRule::DayOfMonth(on(18))), ..of("tt06-2025-ttcp") },
            "regime.due_rule",
        ),
        (
            pb::Regime {
                level_due_rules: vec![pb::LevelDueRule {
                    level: "commune".to_owned(),
                    due_rule: Some(LevelDue::DayOfMonth(on(16))),
                }],
                ..of("tt06-2025-ttcp")
            },
            "regime.level_due_rules[0].due_rule",
        ),
        (
            pb::Regime {
                receiving_unit: bac_ninh().to_string(),
                onward_tiers: vec![pb::OnwardTier {
                    due_rule: Some(OnwardDue::DayOfMonth(on(21))),
                    receiving_agency: "Thanh tra Chính phủ".to_owned(),
                    ..Default::default()
                }],
                ..of("tt06-2025-ttcp")
            },
            "regime.onward_tiers[0].due_rule",
        ),
        (pb::Regime { from_date: from("2025-09-29"), ..of("tt06-2025-ttcp") }, "regime.from_date"),
    ] {
        let status = create(&scene, wrong.clone(), "").await.unwrap_err();
        let expected = (Code::InvalidArgument, "INVALID_REGIME".to_owned());
        assert_eq!(refusal(&status), expected, "{wrong:?}");
        assert_eq!(fields(&status), [field]);
    }
}

fn onward_to_the_province() -> pb::OnwardTier {
    pb::OnwardTier { receiving_unit: bac_ninh().to_string(), ..Default::default() }
}

#[tokio::test]
async fn the_families_are_listed_by_name_with_their_rules() {
    let scene = start(Engine::Sqlite, now()).await;
    let mut reader = scene.compliance(&["reader"]);
    let request = pb::ListRegimeFamiliesRequest {};
    let families = reader.list_regime_families(request).await.unwrap().into_inner().families;
    let names: Vec<_> = families.iter().map(|family| family.family.as_str()).collect();
    assert_eq!(names, ["calendar", "nd09", "tt02-2023-btttt", "tt06-2025-ttcp"]);
    let decree = &families[1];
    assert_eq!(decree.from_date, from("2019-03-12"));
    assert_eq!(
        (decree.window_family(), decree.cut_off_as_declared),
        (pb::WindowFamily::Nd09, false)
    );
    assert!(decree.legal_basis.contains("09/2019/NĐ-CP") && !decree.note.is_empty());
    let rules = |family: &pb::RegimeFamily, frequency: pb::Frequency| {
        let of = family.due_rules.iter().filter(|rule| rule.frequency() == frequency);
        of.map(|rule| match rule.due_rule {
            Some(pb::family_due_rule::DueRule::DayOfMonth(pb::DayOfMonth { day, month })) => {
                (rule.tier, rule.level.clone(), day, month)
            }
            _ => panic!("{rule:?}"),
        })
        .collect::<Vec<_>>()
    };
    let rule = |tier, level: &str, day, month| (tier, level.to_owned(), day, month);
    // By when a ministry's own units send on is nothing for provinces.
    assert_eq!(rules(&families[2], pb::Frequency::Year), [rule(1, "", 25, 11)]);
    assert_eq!(
        rules(&families[3], pb::Frequency::Quarter),
        [rule(1, "commune", 17, 0), rule(1, "province", 20, 0), rule(2, "province", 20, 0)]
    );
}

#[tokio::test]
async fn what_is_only_validated_is_answered_as_if_and_is_not_there() {
    for engine in ENGINES {
        let scene = start(engine, now()).await;
        know_form(&scene, COUNTED, &["a", "b"]);
        know_form(&scene, "forms/cds-2", &["b"]);
        create(&scene, counting("first"), "").await.unwrap();
        let id = Uuid::new_v4().to_string();
        let request = |regime, validate_only| pb::CreateRegimeRequest {
            regime: Some(regime),
            request_id: id.clone(),
            validate_only,
        };
        let mut operator = scene.operator();
        let overlapping = || pb::Regime { form: "forms/cds-2".to_owned(), ..named("second") };
        let tried = operator.create_regime(request(overlapping(), true)).await.unwrap();
        let tried = tried.into_inner();
        assert_eq!(tried.overlaps.len(), 1, "{engine:?}");
        assert_eq!(get(&scene, "regimes/second").await.unwrap_err().code(), Code::NotFound);
        // What would be refused is refused.
        let contradicting = operator.create_regime(request(counting("third"), true)).await;
        assert_eq!(refusal(&contradicting.unwrap_err()).1, "REGIME_CONTRADICTS");
        let there = operator.create_regime(request(counting("first"), true)).await;
        assert_eq!(refusal(&there.unwrap_err()).1, "REGIME_EXISTS");
        let amending = pb::Regime {
            amends: "regimes/first".to_owned(),
            from_date: from("2026-06-01"),
            ..counting("third")
        };
        operator.create_regime(request(amending, true)).await.unwrap();
        assert_eq!(get(&scene, "regimes/first").await.unwrap().through_date, None);
        // Nothing was answered to the id either: it serves the real thing.
        let created = operator.create_regime(request(overlapping(), false)).await.unwrap();
        assert_eq!(created.into_inner(), tried);
        get(&scene, "regimes/second").await.unwrap();
    }
}

#[tokio::test]
async fn an_amended_regime_ends_the_day_before_and_what_it_opened_for_later_is_closed() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-06-20 08:00:00")).await;
        know_form(&scene, COUNTED, &["a"]);
        create(&scene, counting("before"), "").await.unwrap();
        let of = async |name: &str| {
            let regime = format!("regimes/{name}");
            let listed = scene.list(pb::ListObligationsRequest { regime, ..Default::default() });
            let mut standings = std::collections::BTreeMap::<_, Vec<_>>::new();
            for one in listed.await {
                let standing = (one.standing(), one.close_reason());
                standings.entry(one.period.clone()).or_default().push(standing);
            }
            let each = standings.into_iter();
            each.map(|(period, mut of)| {
                of.dedup();
                assert_eq!(of.len(), 1, "{period}: {of:?}");
                (period, of[0])
            })
            .collect::<Vec<_>>()
        };
        let none = pb::obligation::CloseReason::Unspecified;
        let amended = pb::obligation::CloseReason::RegimeAmended;
        let (missing, open) = (pb::Standing::Missing, pb::Standing::Open);
        let closed = pb::Standing::Closed;
        let standing = |period: &str, standing, reason| (period.to_owned(), (standing, reason));
        assert_eq!(
            of("before").await,
            [
                standing("202605", missing, none),
                standing("202606", missing, none),
                standing("202607", open, none),
            ],
            "{engine:?}"
        );
        let amending = pb::Regime {
            amends: "regimes/before".to_owned(),
            from_date: from("2026-06-01"),
            due_rule: Some(DueRule::WorkingDaysAfterCutOff(10)),
            ..counting("after")
        };
        let id = Uuid::new_v4().to_string();
        let created = create(&scene, amending.clone(), &id).await.unwrap();
        assert_eq!(created.amends, "regimes/before");
        assert_eq!(get(&scene, "regimes/before").await.unwrap().through_date, from("2026-05-31"));
        assert_eq!(
            of("before").await,
            [
                standing("202605", missing, none),
                standing("202606", closed, amended),
                standing("202607", closed, amended),
            ],
            "{engine:?}"
        );
        assert_eq!(
            of("after").await,
            [standing("202606", open, none), standing("202607", open, none)]
        );
        // The same request again finds its own answer, and not that the regime is amended.
        assert_eq!(create(&scene, amending, &id).await.unwrap(), created);
    }
}

#[tokio::test]
async fn a_regime_is_amended_once_and_while_there_is_something_left_of_it() {
    for engine in ENGINES {
        let scene = start(engine, now()).await;
        let amending = |id: &str, before: &str, day: &str| pb::Regime {
            amends: format!("regimes/{before}"),
            from_date: from(day),
            ..named(id)
        };
        let named_regime = |name: &str| vec![("regime".to_owned(), format!("regimes/{name}"))];
        let unknown = refused(&scene, amending("b", "a", "2026-06-01")).await;
        let name = vec![("name".to_owned(), "regimes/a".to_owned())];
        assert_eq!(unknown, (Code::NotFound, "UNKNOWN_REGIME".to_owned(), name));
        create(&scene, named("a"), "").await.unwrap();
        create(&scene, amending("b", "a", "2026-06-01"), "").await.unwrap();
        let ended = (Code::FailedPrecondition, "REGIME_ENDED".to_owned());
        let again = refused(&scene, amending("c", "a", "2026-05-01")).await;
        assert_eq!(again, (ended.0, ended.1.clone(), named_regime("a")), "{engine:?}");
        create(&scene, amending("c", "b", "2026-09-01"), "").await.unwrap();
        let through_date = from("2026-12-31");
        create(&scene, pb::Regime { through_date, ..named("d") }, "").await.unwrap();
        let late = refused(&scene, amending("e", "d", "2027-01-01")).await;
        assert_eq!(late, (ended.0, ended.1, named_regime("d")));
        create(&scene, amending("e", "d", "2026-12-31"), "").await.unwrap();
        let through = async |name: &str| get(&scene, name).await.unwrap().through_date;
        assert_eq!(through("regimes/a").await, from("2026-05-31"));
        assert_eq!(through("regimes/b").await, from("2026-08-31"));
        assert_eq!(through("regimes/c").await, None);
        assert_eq!(through("regimes/d").await, from("2026-12-30"));
    }
}

#[tokio::test]
async fn a_regime_that_contradicts_one_in_force_is_refused_naming_it() {
    for engine in ENGINES {
        let scene = start(engine, now()).await;
        know_form(&scene, COUNTED, &["a"]);
        create(&scene, counting("first"), "").await.unwrap();
        let elsewhere = pb::Regime { receiving_unit: bac_ninh().to_string(), ..counting("second") };
        let expected = (
            Code::FailedPrecondition,
            "REGIME_CONTRADICTS".to_owned(),
            vec![("regime".to_owned(), "regimes/first".to_owned())],
        );
        assert_eq!(refused(&scene, elsewhere).await, expected, "{engine:?}");
        assert_eq!(refused(&scene, counting("second")).await, expected);
        assert_eq!(get(&scene, "regimes/second").await.unwrap_err().code(), Code::NotFound);
        // Of other units, for other days, or by another form.
        let debtors = Some(pb::Debtors {
            subtree: gia_lai().to_string(),
            levels: vec!["commune".to_owned()],
            ..Default::default()
        });
        create(&scene, pb::Regime { debtors, ..counting("gia-lai") }, "").await.unwrap();
        let frequency = pb::Frequency::Quarter.into();
        create(&scene, pb::Regime { frequency, ..counting("quarter") }, "").await.unwrap();
        create(&scene, named("text"), "").await.unwrap();
        // Everywhere is there too.
        let debtors = everywhere(&["commune"]);
        assert_eq!(refused(&scene, pb::Regime { debtors, ..counting("all") }).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_at_once_that_contradict_each_other_one_is_put_in_force() {
    for engine in ENGINES {
        let scene = start(engine, now()).await;
        know_form(&scene, COUNTED, &["a"]);
        let ids = ["a", "b", "c", "d", "e", "f"];
        let answers = join_all(ids.map(|id| create(&scene, counting(id), ""))).await;
        let there = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(there, 1, "{engine:?}");
        for status in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert_eq!(refusal(status).1, "REGIME_CONTRADICTS");
        }
        // And of several that would stand in the same place.
        create(&scene, named("base"), "").await.unwrap();
        let amending = ids.map(|id| pb::Regime {
            amends: "regimes/base".to_owned(),
            from_date: from("2026-06-01"),
            ..named(&format!("amends-{id}"))
        });
        let answers = join_all(amending.map(|regime| create(&scene, regime, ""))).await;
        let there = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(there, 1, "{engine:?}");
        for status in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert_eq!(refusal(status).1, "REGIME_ENDED");
        }
    }
}

#[tokio::test]
async fn who_collects_the_same_from_the_same_units_is_hinted_and_lawful() {
    for engine in ENGINES {
        let scene = start(engine, now()).await;
        know_form(&scene, COUNTED, &["a", "b", "c"]);
        know_form(&scene, "forms/cds-2", &["x", "c", "a"]);
        create(&scene, counting("first"), "").await.unwrap();
        create(&scene, named("text"), "").await.unwrap();
        let units = vec![commune("07210").to_string(), commune("21583").to_string()];
        let second = pb::Regime {
            form: "forms/cds-2".to_owned(),
            debtors: Some(pb::Debtors { units, ..Default::default() }),
            ..named("second")
        };
        let created = create(&scene, second, "").await.unwrap();
        let expected = pb::RegimeOverlap {
            regime: "regimes/first".to_owned(),
            indicators: vec!["a".to_owned(), "c".to_owned()],
            unit_count: 1,
        };
        assert_eq!(created.overlaps, [expected], "{engine:?}");
        assert_eq!(get(&scene, "regimes/second").await.unwrap(), created);
        // It is of when it was published: the first knows nothing of it.
        assert_eq!(get(&scene, "regimes/first").await.unwrap().overlaps, []);
    }
}

#[tokio::test]
async fn the_catalogue_of_a_day_holds_what_is_in_force_on_it() {
    for engine in ENGINES {
        let scene = start(engine, now()).await;
        let lasting = |id: &str, first: &str, last: Option<&str>| pb::Regime {
            from_date: from(first),
            through_date: last.and_then(from),
            ..named(id)
        };
        for regime in [
            lasting("a", "2026-01-01", Some("2026-05-31")),
            lasting("b", "2026-05-31", None),
            lasting("c", "2026-06-01", Some("2026-12-31")),
            lasting("d", "2026-01-01", None),
            lasting("e", "2026-01-01", Some("2026-06-30")),
        ] {
            create(&scene, regime, "").await.unwrap();
        }
        let mut client = scene.compliance(&["reader"]);
        for (on, expected) in [
            ("2025-12-31", vec![]),
            ("2026-01-01", vec!["a", "d", "e"]),
            ("2026-05-31", vec!["a", "b", "d", "e"]),
            ("2026-06-01", vec!["b", "c", "d", "e"]),
            ("2027-01-01", vec!["b", "d"]),
        ] {
            let (mut seen, mut page_token) = (Vec::new(), String::new());
            loop {
                let as_of_date = from(on);
                let request = pb::ListRegimesRequest { page_size: 2, page_token, as_of_date };
                let page = client.list_regimes(request).await.unwrap().into_inner();
                seen.extend(page.regimes.into_iter().map(|regime| regime.name));
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            let expected: Vec<_> = expected.iter().map(|id| format!("regimes/{id}")).collect();
            assert_eq!(seen, expected, "{engine:?} {on}");
        }
        // The token of one day does not serve another.
        let first = |as_of_date, page_token| pb::ListRegimesRequest {
            page_size: 1,
            page_token,
            as_of_date,
        };
        let page = client.list_regimes(first(from("2026-05-31"), String::new())).await.unwrap();
        let token = page.into_inner().next_page_token;
        let status = client.list_regimes(first(from("2026-06-01"), token)).await.unwrap_err();
        assert_eq!(refusal(&status).1, "INVALID_PAGE_TOKEN");
        let nonsense = Some(Date { year: 2026, month: 2, day: 30 });
        let status = client.list_regimes(first(nonsense, String::new())).await.unwrap_err();
        assert_eq!(fields(&status), ["as_of_date"]);
    }
}

#[tokio::test]
async fn a_regime_of_before_there_were_tiers_reads_as_one_of_one_tier() {
    for engine in ENGINES {
        let Scene { testing, world } = start(engine, now()).await;
        let place = testing.stop().await;
        let database = Database::open(&place.location, "compliance").await.unwrap();
        let content = serde_json::json!({
            "id": "cds-24",
            "display_name": "Báo cáo",
            "legal_basis": "Công văn số 12/SKHCN-CĐS",
            "illustrative": true,
            "form": "forms/cds-1",
            "receiving_unit": department(),
            "schedule": {"Every": "month"},
            "family": "nd09",
            "cut_off_as_declared": false,
            "due": {"working_days_after_cut_off": 3},
            "day_off": "keep",
            "debtors": {"Subtree": {"root": bac_ninh(), "levels": ["commune"]}},
            "from": "2026-05-01",
            "through": null,
            "create_time": "2026-05-04T01:00:00Z"
        });
        let put = format!("INSERT INTO regime VALUES ('cds-24', '{content}', 0)");
        let put: Result<_, DbErr> =
            database.write(async |write| write.execute_unprepared(&put).await).await;
        put.unwrap();
        database.close().await.unwrap();
        let scene = Scene::over(place, world, time("2026-05-20 08:00:00"), &[]).await;
        let found = get(&scene, REGIME).await.unwrap();
        let expected = pb::Regime {
            display_name: "Báo cáo".to_owned(),
            legal_basis: "Công văn số 12/SKHCN-CĐS".to_owned(),
            create_time: Some(field::pb_time(time("2026-05-04 08:00:00"))),
            window_family: pb::WindowFamily::Nd09.into(),
            report_kind: pb::ReportKind::Periodic.into(),
            // Everything was told.
            tell_from_date: from("1970-01-01"),
            ..regime()
        };
        assert_eq!(found, expected, "{engine:?}");
        assert_eq!(scene.rate(bac_ninh()).await.missing_reports, 5);
    }
}

//! Waivers and extensions: what they do to what is owed, who may decide them, and how they end.

use dunghan_hierarchy::{UnitId, Validity};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::Standing;
use dunghan_proto::compliance::decision::Outcome;
use dunghan_proto::compliance::extension::Until;
use dunghan_rpc::field;
use dunghan_testkit::{ENGINES, Engine, fields, refusal};
use futures::future::{join, join_all};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::world::{
    BAC_NINH, PERIOD, REGIME, Scene, bac_ninh, commune, day, department, due, first_day, gia_lai,
    microseconds, obligation, regime, start, time, unit,
};

pub(crate) fn supervisor() -> String {
    format!("supervisor@{}", bac_ninh())
}

/// On one unit's report for [`PERIOD`] under [`REGIME`].
fn on(unit: UnitId, outcome: Outcome) -> pb::Decision {
    pb::Decision {
        scope: unit.to_string(),
        regime: REGIME.to_owned(),
        period: PERIOD.to_owned(),
        outcome: Some(outcome),
        document: "15/QĐ-UBND".to_owned(),
        reason: "xã bị thiên tai".to_owned(),
        ..pb::Decision::default()
    }
}

fn waiver(unit: UnitId) -> pb::Decision {
    on(unit, Outcome::Waiver(pb::Waiver {}))
}

fn until(date: &str) -> Outcome {
    let until = Some(Until::DueDate(field::pb_date(day(date))));
    Outcome::Extension(pb::Extension { until })
}

fn by(working_days: i32) -> Outcome {
    Outcome::Extension(pb::Extension { until: Some(Until::WorkingDays(working_days)) })
}

/// Of all regimes, and of whatever is due within these days.
fn due_within(from: &str, through: &str, decision: pb::Decision) -> pb::Decision {
    pb::Decision {
        regime: String::new(),
        period: String::new(),
        due_from_date: Some(field::pb_date(day(from))),
        due_through_date: Some(field::pb_date(day(through))),
        ..decision
    }
}

fn below(decision: pb::Decision) -> pb::Decision {
    pb::Decision { subtree: true, ..decision }
}

fn ends(date: &str) -> Option<prost_types::Timestamp> {
    Some(field::pb_time(dunghan_calendar::zone::end_of(day(date))))
}

fn revocation(decision: &pb::Decision) -> pb::RevokeDecisionRequest {
    pb::RevokeDecisionRequest {
        name: decision.name.clone(),
        document: "16/QĐ-UBND".to_owned(),
        reason: "đã khắc phục".to_owned(),
        request_id: String::new(),
    }
}

impl Scene {
    /// What a unit owes for [`PERIOD`].
    pub(crate) async fn owed(&self, unit: UnitId) -> pb::Obligation {
        let request = pb::ListObligationsRequest {
            scope: unit.to_string(),
            regime: REGIME.to_owned(),
            period: PERIOD.to_owned(),
            ..Default::default()
        };
        let [owed] = self.list(request).await.try_into().unwrap();
        owed
    }

    async fn revoke(&self, decision: &pb::Decision) -> Result<pb::Decision, Status> {
        let request = revocation(decision);
        Ok(self.decisions(&[&supervisor()]).revoke_decision(request).await?.into_inner())
    }

    /// Who was told how often that a unit's report is missing, and how often that was taken back.
    pub(crate) async fn told_of(&self, unit: UnitId) -> (usize, usize) {
        let told = self.told(department()).await;
        let of = |rung: &str| {
            let of = told.iter().filter(|notice| notice.rung == rung);
            of.filter(|notice| notice.subjects.contains(&obligation(unit))).count()
        };
        (of("due"), of("retracted"))
    }
}

async fn refused(scene: &Scene, decision: pb::Decision) -> (Code, String) {
    refusal(&scene.decide("supervisor", decision).await.unwrap_err())
}

/// Of the contract's reasons.
pub(crate) fn failed(reason: &str) -> (Code, String) {
    (Code::FailedPrecondition, reason.to_owned())
}

#[tokio::test]
async fn a_waived_unit_is_not_expected_is_listed_and_is_not_told_of() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let unit = commune("07246");
        let decided = scene.decide(&supervisor(), waiver(unit)).await.unwrap();
        assert_eq!(decided.concerned_count, 1);
        let waived = scene.owed(unit).await;
        assert_eq!((waived.standing(), &waived.waiver), (Standing::Waived, &decided.name));
        scene.testing.clock.set(due());
        let sweep = scene.sweep().await;
        assert_eq!((sweep.missing_count, sweep.notice_count), (4, 1), "{engine:?}");
        assert_eq!(scene.told_of(unit).await, (0, 0));
        let rate = scene.rate(bac_ninh()).await;
        assert_eq!((rate.expected_reports, rate.waived_reports), (4, 1));
        // Before it was decided, the unit owed the report.
        let before = pb::ListObligationsRequest {
            read_time: Some(field::pb_time(time("2026-05-18 08:00:00") - microseconds(1))),
            scope: unit.to_string(),
            period: PERIOD.to_owned(),
            standings: vec![Standing::Waived.into()],
            ..Default::default()
        };
        assert_eq!(scene.list(before).await, []);
        // A report that comes nevertheless is kept, and the unit stays excused.
        scene.world.lock().submit(unit, PERIOD, due());
        let after = scene.owed(unit).await;
        assert_eq!((after.standing(), after.receive_time.is_some()), (Standing::Waived, true));
    }
}

#[tokio::test]
async fn what_is_missing_already_is_waived_from_then_on_and_its_notice_stands() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let unit = commune("07246");
        scene.testing.clock.set(due());
        scene.sweep().await;
        scene.testing.clock.set(time("2026-05-21 08:00:00"));
        scene.decide(&supervisor(), waiver(unit)).await.unwrap();
        assert_eq!(scene.owed(unit).await.standing(), Standing::Waived, "{engine:?}");
        let yesterday = pb::GetReportingRateRequest {
            read_time: Some(field::pb_time(time("2026-05-20 08:00:00"))),
            ..crate::world::rate_request(bac_ninh())
        };
        let rate = scene.operator().get_reporting_rate(yesterday).await.unwrap().into_inner();
        assert_eq!((rate.missing_reports, rate.waived_reports), (5, 0));
        assert_eq!(scene.sweep().await.retracted_count, 0);
        assert_eq!(scene.told_of(unit).await, (1, 0));
    }
}

#[tokio::test]
async fn an_obligation_is_waived_once_and_not_after_its_report_came() {
    for engine in ENGINES {
        let scene = start(engine, due()).await;
        scene.create(regime()).await;
        let (unit, submitted) = (commune("07246"), commune("07210"));
        scene.decide(&supervisor(), waiver(unit)).await.unwrap();
        let already_waived = (Code::AlreadyExists, "ALREADY_WAIVED".to_owned());
        assert_eq!(refused(&scene, waiver(unit)).await, already_waived);
        assert_eq!(refused(&scene, on(unit, until("2026-06-30"))).await, already_waived);
        // Received a moment ago, by an event that nobody has taken in yet.
        scene.world.lock().submit(submitted, PERIOD, due());
        assert_eq!(refused(&scene, waiver(submitted)).await, failed("ALREADY_SUBMITTED"));
        let extension = on(submitted, until("2026-06-30"));
        assert_eq!(refused(&scene, extension).await, failed("ALREADY_SUBMITTED"), "{engine:?}");
        assert_eq!(scene.rate(submitted).await.late_reports, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_waivers_at_once_one_holds() {
    for engine in ENGINES {
        let scene = start(engine, due()).await;
        scene.create(regime()).await;
        let grant = supervisor();
        let calls = (0..6).map(|_| scene.decide(&grant, waiver(commune("07246"))));
        let answers = join_all(calls).await;
        let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
        assert_eq!(refused.len(), 5, "{engine:?}");
        for status in refused {
            assert_eq!(refusal(status), (Code::AlreadyExists, "ALREADY_WAIVED".to_owned()));
        }
    }
}

#[tokio::test]
async fn a_waiver_outlives_a_mistake_in_the_hierarchy() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let waived = commune("07246");
        scene.decide(&supervisor(), waiver(waived)).await.unwrap();
        let lives = |validity| unit("07246", "Xã Xuân Lương", Some(bac_ninh()), validity);
        let ended = Validity::between(first_day(), day("2026-05-01"));
        scene.world.lock().import(lives(ended));
        assert_eq!(scene.rate(bac_ninh()).await.waived_reports, 0, "{engine:?}");
        scene.world.lock().import(lives(Validity::since(first_day())));
        let rate = scene.rate(bac_ninh()).await;
        assert_eq!((rate.expected_reports, rate.waived_reports), (4, 1), "{engine:?}");
        scene.testing.clock.set(due());
        assert_eq!(scene.sweep().await.missing_count, 4);
    }
}

#[tokio::test]
async fn an_extended_report_is_due_later_in_a_new_generation_and_is_told_of_only_then() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let unit = commune("07246");
        // Three working days after Tuesday the 19th: Friday.
        let decided = scene.decide(&supervisor(), on(unit, by(3))).await.unwrap();
        let [concerned] = decided.concerned.clone().try_into().unwrap();
        assert_eq!(concerned.obligation, obligation(unit));
        assert_eq!(concerned.unit_display_name, "Xã Xuân Lương");
        assert_eq!(concerned.old_due_time, Some(field::pb_time(due())));
        assert_eq!(concerned.new_due_time, ends("2026-05-22"));
        let extended = scene.owed(unit).await;
        assert_eq!((extended.due_time, extended.due_generation), (ends("2026-05-22"), 2));
        assert_eq!(extended.original_due_time, Some(field::pb_time(due())));
        assert_eq!(extended.extension, decided.name);

        scene.testing.clock.set(due());
        assert_eq!(scene.sweep().await.missing_count, 4, "{engine:?}");
        assert_eq!(scene.rate(unit).await.extended_reports, 1);
        scene.testing.clock.set(time("2026-05-23 00:00:00"));
        assert_eq!(scene.sweep().await.missing_count, 1);
        assert_eq!(scene.told_of(unit).await, (1, 0));

        let request = pb::ListDueChangesRequest {
            scope: bac_ninh().to_string(),
            reference: decided.name.clone(),
            ..Default::default()
        };
        let mut calendars = scene.calendars(&["reader"]);
        let changes = calendars.list_due_changes(request).await.unwrap().into_inner().due_changes;
        let [change] = changes.try_into().unwrap();
        assert_eq!((change.cause(), change.due_generation), (pb::due_change::Cause::Extension, 2));
        assert_eq!(
            (change.old_due_time, change.new_due_time),
            (concerned.old_due_time, ends("2026-05-22"))
        );
        assert_eq!((change.reason.as_str(), change.author.as_str()), ("xã bị thiên tai", "tester"));
    }
}

#[tokio::test]
async fn a_further_extension_takes_the_place_of_the_one_before_and_a_nearer_one_is_refused() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let unit = commune("07246");
        scene.decide(&supervisor(), on(unit, until("2026-05-25"))).await.unwrap();
        for (outcome, named) in [
            (until("2026-05-25"), "decision.extension.due_date"),
            (until("2026-05-20"), "decision.extension.due_date"),
            // The 25th, and not four days after it.
            (by(4), "decision.extension.working_days"),
        ] {
            let status = scene.decide(&supervisor(), on(unit, outcome)).await.unwrap_err();
            assert_eq!(refusal(&status), (Code::InvalidArgument, "NOT_LATER".to_owned()));
            assert_eq!(fields(&status), [named], "{engine:?}");
        }
        let further = scene.decide(&supervisor(), on(unit, by(5))).await.unwrap();
        let owed = scene.owed(unit).await;
        assert_eq!((owed.due_time, owed.due_generation), (ends("2026-05-26"), 3));
        assert_eq!(owed.extension, further.name);
        // Of a subtree, those that it does not move are left alone.
        let all = below(on(bac_ninh(), until("2026-05-26")));
        let all = scene.decide(&supervisor(), all).await.unwrap();
        assert_eq!(all.concerned_count, 4);
        assert!(all.concerned.iter().all(|one| one.obligation != obligation(unit)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_supervisors_who_extend_at_once_the_further_one_holds_whoever_is_first() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let (of_province, of_regime) = (supervisor(), format!("supervisor@{REGIME}"));
        let near = |unit| on(unit, until("2026-05-25"));
        let far = |unit| on(unit, until("2026-05-29"));
        for (code, _) in BAC_NINH {
            let unit = commune(code);
            let (one, other) =
                join(scene.decide(&of_province, near(unit)), scene.decide(&of_regime, far(unit)))
                    .await;
            let far = other.unwrap();
            if let Err(status) = one {
                assert_eq!(refusal(&status).1, "NOT_LATER");
            }
            let owed = scene.owed(unit).await;
            assert_eq!((owed.due_time, owed.extension), (ends("2026-05-29"), far.name));
        }
        // One after the other, in both orders.
        let period =
            pb::ListObligationsRequest { period: "202606".to_owned(), ..Default::default() };
        assert_eq!(scene.list(period.clone()).await.len(), 5, "{engine:?}");
        let june = |decision| pb::Decision { period: "202606".to_owned(), ..decision };
        let (first, second) = (commune("07210"), commune("07228"));
        for (decision, refused) in [
            (on(first, until("2026-06-25")), false),
            (on(first, until("2026-06-29")), false),
            (on(second, until("2026-06-29")), false),
            (on(second, until("2026-06-25")), true),
        ] {
            let answer = scene.decide(&of_province, june(decision)).await;
            assert_eq!(answer.is_err(), refused);
        }
        let period = scene.list(period).await;
        let extended = period.iter().filter(|owed| owed.due_time == ends("2026-06-29"));
        assert_eq!(extended.count(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_waiver_and_an_extension_at_once_the_waiver_holds() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let grant = supervisor();
        for (code, _) in BAC_NINH {
            let unit = commune(code);
            let extension = scene.decide(&grant, on(unit, until("2026-05-29")));
            let (extended, waived) = join(extension, scene.decide(&grant, waiver(unit))).await;
            waived.unwrap();
            if let Err(status) = &extended {
                assert_eq!(refusal(status).1, "ALREADY_WAIVED", "{engine:?}");
            }
            let owed = scene.owed(unit).await;
            assert_eq!(owed.standing(), Standing::Waived);
            assert_eq!(owed.due_time == ends("2026-05-29"), extended.is_ok());
        }
    }
}

#[tokio::test]
async fn a_waiver_of_a_subtree_over_due_days_holds_for_what_is_opened_later_too() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-14 08:00:00")).await;
        scene.create(regime()).await;
        let submitted = commune("07210");
        scene.world.lock().submit(submitted, PERIOD, time("2026-05-14 07:00:00"));
        // May is due on the 19th, June on 17/06, July on 17/07.
        let flood = below(due_within("2026-05-15", "2026-06-30", waiver(bac_ninh())));
        let decided = scene.decide(&supervisor(), flood.clone()).await.unwrap();
        assert_eq!(decided.concerned_count, 4);
        // The same again would concern nothing, neither now nor later.
        assert_eq!(refused(&scene, flood).await, failed("NOTHING_CONCERNED"));
        let codes: Vec<_> =
            decided.concerned.iter().map(|one| one.unit_display_name.as_str()).collect();
        assert_eq!(codes, ["Phường Đa Mai", "Xã Xuân Lương", "Xã Tam Tiến", "Phường Trí Quả"]);
        // It says so itself, and not only what it changed when it was made.
        scene.testing.clock.set(time("2026-07-20 08:00:00"));
        let waived = |period: &str| pb::ListObligationsRequest {
            period: period.to_owned(),
            standings: vec![Standing::Waived.into()],
            ..Default::default()
        };
        for (period, count) in [("202605", 4), ("202606", 5), ("202607", 0)] {
            assert_eq!(scene.list(waived(period)).await.len(), count, "{engine:?} {period}");
        }
        // A unit that turns out to owe it is excused with the others.
        let since = Validity::since(first_day());
        let new = unit("07300", "Xã Bố Hạ", Some(bac_ninh()), since);
        scene.world.lock().import(new);
        assert_eq!(scene.list(waived("202605")).await.len(), 5);
        assert_eq!(scene.sweep().await.missing_count, 6, "all of July");
    }
}

#[tokio::test]
async fn an_extension_of_a_period_that_is_not_opened_yet_holds_from_its_opening_on() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-10 08:00:00")).await;
        scene.create(regime()).await;
        let july = |decision| pb::Decision { period: "202607".to_owned(), ..decision };
        let extension = july(below(on(bac_ninh(), by(2))));
        let decided = scene.decide(&supervisor(), extension).await.unwrap();
        assert_eq!((decided.concerned_count, decided.concerned), (0, vec![]));
        // What will not be owed, or not be moved, is no reason to decide.
        let unit = commune("07246");
        let before = july(on(unit, until("2026-07-01")));
        let status = scene.decide(&supervisor(), before).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::NotFound, "OBLIGATION_NOT_FOUND".to_owned()));
        let nobody = july(waiver(department()));
        assert_eq!(refused(&scene, nobody).await.1, "OBLIGATION_NOT_FOUND");
        scene.testing.clock.set(time("2026-06-15 00:00:00"));
        let july = pb::ListObligationsRequest { period: "202607".to_owned(), ..Default::default() };
        let opened = scene.list(july).await;
        assert_eq!(opened.len(), 5, "{engine:?}");
        for owed in opened {
            assert_eq!((owed.due_time, &owed.extension), (ends("2026-07-21"), &decided.name));
            assert_eq!(owed.original_due_time, ends("2026-07-17"));
        }
    }
}

#[tokio::test]
async fn what_was_on_time_by_a_revoked_extension_stays_so_and_the_missing_is_due_and_told_again() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let (submitted, late, missing) = (commune("07210"), commune("07228"), commune("07246"));
        let learnt_late = commune("07264");
        scene.testing.clock.set(due());
        assert_eq!(scene.sweep().await.missing_count, 5);
        scene.testing.clock.set(time("2026-05-20 08:00:00"));
        let all = below(on(bac_ninh(), until("2026-05-29")));
        let decided = scene.decide(&supervisor(), all).await.unwrap();
        assert_eq!(scene.rate(bac_ninh()).await.open_reports, 5);
        scene.world.lock().submit(submitted, PERIOD, time("2026-05-21 08:00:00"));
        scene.testing.clock.set(time("2026-05-22 08:00:00"));

        let revoked = scene.revoke(&decided).await.unwrap();
        assert_eq!(revoked.revoke_time, Some(field::pb_time(time("2026-05-22 08:00:00"))));
        assert_eq!(
            (revoked.revoker.as_str(), revoked.revoke_document.as_str()),
            ("tester", "16/QĐ-UBND")
        );
        assert_eq!(revoked.revoke_reason, "đã khắc phục");
        assert_eq!((revoked.concerned_count, revoked.concerned), (5, vec![]));
        let stays = scene.owed(submitted).await;
        assert_eq!((stays.standing(), stays.due_time), (Standing::OnTime, ends("2026-05-29")));
        let again = scene.owed(missing).await;
        assert_eq!(
            (again.standing(), again.due_time),
            (Standing::Missing, Some(field::pb_time(due())))
        );
        assert_eq!((again.due_generation, again.extension.as_str()), (3, ""));
        // Told for its first due time, and for the one that holds again; the one between never came.
        assert_eq!(scene.told_of(missing).await, (1, 0));
        let sweep = scene.sweep().await;
        assert_eq!((sweep.missing_count, sweep.retracted_count), (4, 1), "{engine:?}");
        assert_eq!(scene.told_of(missing).await, (2, 0));
        assert_eq!(scene.told_of(submitted).await, (1, 1));
        // Whoever comes now is measured by what holds now.
        scene.testing.clock.set(time("2026-05-22 10:00:00"));
        scene.world.lock().submit(late, PERIOD, time("2026-05-22 09:00:00"));
        assert_eq!(scene.owed(late).await.standing(), Standing::Late);
        // What was received before, and is known only now, by what held then; its notice is taken back.
        scene.world.lock().submit(learnt_late, PERIOD, time("2026-05-22 07:59:59"));
        let owed = scene.owed(learnt_late).await;
        assert_eq!((owed.standing(), owed.extension), (Standing::OnTime, decided.name.clone()));
        assert_eq!(scene.sweep().await.retracted_count, 1, "{engine:?}");

        let status = scene.revoke(&decided).await.unwrap_err();
        assert_eq!(refusal(&status), failed("ALREADY_REVOKED"));
    }
}

#[tokio::test]
async fn a_revoked_waiver_leaves_the_report_owed_and_it_is_told_again_if_it_was_before() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let (told, untold) = (commune("07210"), commune("07246"));
        let early = scene.decide(&supervisor(), waiver(untold)).await.unwrap();
        scene.testing.clock.set(due());
        assert_eq!(scene.sweep().await.missing_count, 4);
        let late = scene.decide(&supervisor(), waiver(told)).await.unwrap();
        scene.testing.clock.set(time("2026-05-22 08:00:00"));
        for decided in [&early, &late] {
            scene.revoke(decided).await.unwrap();
        }
        for (unit, generation, notices) in [(told, 2, 2), (untold, 1, 1)] {
            let owed = scene.owed(unit).await;
            assert_eq!((owed.standing(), owed.due_generation), (Standing::Missing, generation));
            assert_eq!(owed.waiver, "");
            scene.sweep().await;
            assert_eq!(scene.told_of(unit).await, (notices, 0), "{engine:?}");
        }
    }
}

#[tokio::test]
async fn of_two_waivers_over_one_unit_the_other_goes_on_holding_when_one_is_revoked() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let unit = commune("07246");
        let one = scene.decide(&supervisor(), waiver(unit)).await.unwrap();
        let all = scene.decide(&supervisor(), below(waiver(bac_ninh()))).await.unwrap();
        assert_eq!(all.concerned_count, 4);
        scene.revoke(&one).await.unwrap();
        let owed = scene.owed(unit).await;
        assert_eq!(
            (owed.standing(), owed.waiver),
            (Standing::Waived, all.name.clone()),
            "{engine:?}"
        );
        scene.revoke(&all).await.unwrap();
        assert_eq!(scene.rate(bac_ninh()).await.open_reports, 5);
    }
}

#[tokio::test]
async fn only_trying_answers_what_would_be_concerned_and_decides_nothing() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let grant = supervisor();
        let request = pb::CreateDecisionRequest {
            decision: Some(below(on(bac_ninh(), until("2026-05-29")))),
            request_id: Uuid::new_v4().to_string(),
            validate_only: true,
        };
        let mut client = scene.decisions(&[&grant]);
        let tried = client.create_decision(request.clone()).await.unwrap().into_inner();
        assert_eq!((tried.name.as_str(), tried.create_time), ("", None));
        assert_eq!((tried.concerned_count, tried.concerned.len()), (5, 5));
        assert!(tried.concerned.iter().all(|one| one.new_due_time == ends("2026-05-29")));
        assert_eq!(scene.owed(commune("07246")).await.due_generation, 1, "{engine:?}");
        // The same id can be used in earnest, and is answered the same from then on.
        let request = pb::CreateDecisionRequest { validate_only: false, ..request };
        let made = client.create_decision(request.clone()).await.unwrap().into_inner();
        assert_eq!(made.concerned, tried.concerned);
        scene.testing.clock.set(time("2026-06-05 08:00:00"));
        assert_eq!(client.create_decision(request.clone()).await.unwrap().into_inner(), made);
        let other =
            pb::CreateDecisionRequest { decision: Some(waiver(commune("07246"))), ..request };
        let status = client.create_decision(other).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::InvalidArgument, "REQUEST_ID_REUSED".to_owned()));

        let revoke = pb::RevokeDecisionRequest {
            request_id: Uuid::new_v4().to_string(),
            ..revocation(&made)
        };
        let revoked = client.revoke_decision(revoke.clone()).await.unwrap().into_inner();
        assert_eq!(client.revoke_decision(revoke).await.unwrap().into_inner(), revoked);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_sent_many_times_at_once_is_one_decision() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let request = pb::CreateDecisionRequest {
            decision: Some(waiver(commune("07246"))),
            request_id: Uuid::new_v4().to_string(),
            validate_only: false,
        };
        let calls = (0..6).map(|_| {
            let mut client = scene.decisions(&["supervisor"]);
            let request = request.clone();
            async move { client.create_decision(request).await.unwrap().into_inner() }
        });
        let answers = join_all(calls).await;
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{engine:?}");
    }
}

#[tokio::test]
async fn whoever_supervises_a_regime_decides_under_that_regime_alone() {
    let scene = start(Engine::Sqlite, time("2026-05-18 08:00:00")).await;
    scene.create(regime()).await;
    let unit = commune("07246");
    let out_of_scope = (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned());
    let of_regime = format!("supervisor@{REGIME}");
    let unknown = UnitId::new("nso", "99999", None);
    let everywhere = below(due_within("2026-05-15", "2026-06-30", waiver(bac_ninh())));
    for (grant, decision) in [
        (format!("supervisor@{}", gia_lai()), waiver(unit)),
        (format!("supervisor@{}", department()), waiver(unit)),
        ("supervisor@regimes/cds-52".to_owned(), waiver(unit)),
        (supervisor(), waiver(unknown)),
        // On all regimes is more than on its own.
        (of_regime.clone(), everywhere.clone()),
        // A unit is not above its neighbour, nor a commune above its province.
        (format!("supervisor@{unit}"), waiver(commune("07210"))),
        (format!("supervisor@{unit}"), below(waiver(bac_ninh()))),
    ] {
        let status = scene.decide(&grant, decision).await.unwrap_err();
        assert_eq!(refusal(&status), out_of_scope, "{grant}");
    }
    let role_missing = (Code::PermissionDenied, "ROLE_MISSING".to_owned());
    for grant in [format!("reporter@{unit}"), "operator".to_owned()] {
        let status = scene.decide(&grant, waiver(unit)).await.unwrap_err();
        assert_eq!(refusal(&status), role_missing, "{grant}");
    }
    assert_eq!(scene.rate(bac_ninh()).await.waived_reports, 0);

    let decided = scene.decide(&of_regime, below(waiver(bac_ninh()))).await.unwrap();
    assert_eq!(decided.concerned_count, 5);
    for (grant, may) in [
        (format!("supervisor@{}", gia_lai()), false),
        (format!("supervisor@{unit}"), false),
        (of_regime, true),
    ] {
        let answer = scene.decisions(&[&grant]).revoke_decision(revocation(&decided)).await;
        match answer {
            Ok(_) => assert!(may, "{grant}"),
            Err(status) => assert_eq!((refusal(&status), may), (out_of_scope.clone(), false)),
        }
    }
    let everywhere = scene.decide(&supervisor(), everywhere).await.unwrap();
    let status = scene.decisions(&[&format!("supervisor@{REGIME}")]);
    let status = { status }.revoke_decision(revocation(&everywhere)).await.unwrap_err();
    assert_eq!(refusal(&status), out_of_scope);
}

#[tokio::test]
async fn what_nobody_owes_or_can_owe_any_more_is_no_reason_for_a_decision() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let unit = commune("07246");
        let period =
            |period: &str, decision| pb::Decision { period: period.to_owned(), ..decision };
        let of_regime = |decision| pb::Decision { regime: "regimes/none".to_owned(), ..decision };
        let not_found = |reason: &str| (Code::NotFound, reason.to_owned());
        let past = (Code::InvalidArgument, "IN_THE_PAST".to_owned());
        for (decision, expected) in [
            (of_regime(waiver(unit)), not_found("UNKNOWN_REGIME")),
            (waiver(UnitId::new("nso", "99999", None)), not_found("UNKNOWN_UNIT")),
            (waiver(department()), not_found("OBLIGATION_NOT_FOUND")),
            (period("202601", waiver(unit)), not_found("OBLIGATION_NOT_FOUND")),
            (period("2026Q2", waiver(unit)), not_found("OBLIGATION_NOT_FOUND")),
            (below(waiver(gia_lai())), failed("NOTHING_CONCERNED")),
            (period("202601", below(waiver(bac_ninh()))), past.clone()),
            (due_within("2026-01-01", "2026-04-30", below(waiver(bac_ninh()))), past.clone()),
            (due_within("2026-01-01", "2026-05-17", waiver(unit)), past.clone()),
            (due_within("2026-05-20", "2026-06-16", waiver(unit)), failed("NOTHING_CONCERNED")),
            (on(unit, until("2026-05-17")), (Code::InvalidArgument, "NOT_LATER".to_owned())),
        ] {
            assert_eq!(
                refused(&scene, decision.clone()).await,
                expected,
                "{engine:?} {decision:?}"
            );
        }
        let range = due_within("2026-01-01", "2026-04-30", below(waiver(bac_ninh())));
        let status = scene.decide(&supervisor(), range).await.unwrap_err();
        assert_eq!(fields(&status), ["decision.due_through_date"]);
        let status = scene.decide(&supervisor(), period("202601", below(waiver(bac_ninh())))).await;
        assert_eq!(fields(&status.unwrap_err()), ["decision.period"]);

        // Of several reasons, each is counted.
        scene.world.lock().submit(commune("07210"), PERIOD, time("2026-05-18 07:00:00"));
        scene.decide(&supervisor(), below(waiver(bac_ninh()))).await.unwrap();
        let status = scene.decide(&supervisor(), below(waiver(bac_ninh()))).await.unwrap_err();
        assert_eq!(refusal(&status), failed("NOTHING_CONCERNED"));
        assert!(status.message().contains("1 submitted, 4 waived"), "{}", status.message());
    }
}

#[tokio::test]
async fn without_a_due_time_there_is_nothing_to_extend_and_what_is_closed_is_past_deciding() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(pb::Regime { due_rule: None, ..regime() }).await;
        let unit = commune("07246");
        assert_eq!(refused(&scene, on(unit, by(3))).await, failed("NO_DUE_TIME"), "{engine:?}");
        let ended = Validity::between(first_day(), day("2026-05-01"));
        scene.decide(&supervisor(), waiver(commune("07210"))).await.unwrap();
        scene.world.lock().import(crate::world::unit("07246", "Xã", Some(bac_ninh()), ended));
        assert_eq!(refused(&scene, waiver(unit)).await, failed("OBLIGATION_CLOSED"), "{engine:?}");
    }
}

#[tokio::test]
async fn a_decision_is_known_to_those_whom_it_reaches_and_listed_the_last_first() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let unit = commune("07246");
        let single = scene.decide(&supervisor(), on(unit, until("2026-05-25"))).await.unwrap();
        scene.testing.clock.set(time("2026-05-18 09:00:00"));
        let all =
            below(due_within("2026-05-15", "2026-06-30", on(bac_ninh(), until("2026-06-30"))));
        let all = scene.decide(&supervisor(), all).await.unwrap();
        let known =
            |decision: &pb::Decision| pb::Decision { concerned: Vec::new(), ..decision.clone() };

        for (grant, knows_single, knows_all) in [
            ("reader".to_owned(), true, true),
            (format!("reader@{}", bac_ninh()), true, true),
            (format!("reporter@{unit}"), true, true),
            // The province's decision reaches its other communes too.
            (format!("reporter@{}", commune("07210")), false, true),
            (format!("reader@{REGIME}"), true, true),
            ("reader@regimes/cds-52".to_owned(), false, true),
            (format!("reader@{}", gia_lai()), false, false),
        ] {
            for (decision, knows) in [(&single, knows_single), (&all, knows_all)] {
                let request = pb::GetDecisionRequest { name: decision.name.clone() };
                match scene.decisions(&[&grant]).get_decision(request).await {
                    Ok(found) => assert_eq!((found.into_inner(), knows), (known(decision), true)),
                    Err(status) => {
                        let out_of_scope = (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned());
                        assert_eq!((refusal(&status), knows), (out_of_scope, false), "{grant}");
                    }
                }
            }
        }

        let list = async |grant: &str, request| {
            let answer = scene.decisions(&[grant]).list_decisions(request).await?;
            let decisions = answer.into_inner().decisions.into_iter();
            Ok::<_, Status>(decisions.map(|decision| decision.name).collect::<Vec<_>>())
        };
        let of = |scope: UnitId| pb::ListDecisionsRequest {
            scope: scope.to_string(),
            ..Default::default()
        };
        let both = [all.name.clone(), single.name.clone()];
        assert_eq!(list("reader", of(unit)).await.unwrap(), both, "{engine:?}");
        assert_eq!(list("reader", of(bac_ninh())).await.unwrap(), both);
        assert_eq!(list("reader", of(commune("07210"))).await.unwrap(), both[..1]);
        assert_eq!(list("reader", of(gia_lai())).await.unwrap(), [""; 0]);
        // A department sees what is on its regime, or on all.
        let of_regime = format!("reader@{REGIME}");
        assert_eq!(list(&of_regime, of(bac_ninh())).await.unwrap(), both);
        assert_eq!(list("reader@regimes/cds-52", of(bac_ninh())).await.unwrap(), both[..1]);
        let only =
            pb::ListDecisionsRequest { regime: "regimes/cds-52".to_owned(), ..of(bac_ninh()) };
        assert_eq!(list("reader", only).await.unwrap(), both[..1]);
        let status = list(&format!("reader@{}", gia_lai()), of(unit)).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned()));
        let status = list("reader", of(UnitId::new("nso", "99999", None))).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::NotFound, "UNKNOWN_UNIT".to_owned()));

        scene.revoke(&all).await.unwrap();
        assert_eq!(list("reader", of(unit)).await.unwrap(), both[1..]);
        let revoked = pb::ListDecisionsRequest { show_revoked: true, page_size: 1, ..of(unit) };
        let mut client = scene.decisions(&["reader"]);
        let first = client.list_decisions(revoked.clone()).await.unwrap().into_inner();
        assert_eq!((first.decisions.len(), &first.decisions[0].name), (1, &all.name));
        assert!(first.decisions[0].revoke_time.is_some());
        let next = pb::ListDecisionsRequest { page_token: first.next_page_token, ..revoked };
        let second = client.list_decisions(next.clone()).await.unwrap().into_inner();
        assert_eq!(
            (&second.decisions[0].name, second.next_page_token.as_str()),
            (&single.name, "")
        );
        let other = pb::ListDecisionsRequest { show_revoked: false, ..next };
        let status = client.list_decisions(other).await.unwrap_err();
        assert_eq!(fields(&status), ["page_token"]);
    }
}

#[tokio::test]
async fn what_is_unknown_or_malformed_is_named() {
    let scene = start(Engine::Sqlite, time("2026-05-18 08:00:00")).await;
    scene.create(regime()).await;
    let unit = commune("07246");
    let good = || waiver(unit);
    let words = |count| "ệ".repeat(count);
    let date = |text: &str| Some(field::pb_date(day(text)));
    let range = |from, through| pb::Decision {
        due_from_date: from,
        due_through_date: through,
        period: String::new(),
        ..good()
    };
    let no_date = dunghan_proto::r#type::Date { year: 2026, month: 2, day: 30 };
    let extension = |until| on(unit, Outcome::Extension(pb::Extension { until }));
    let (missing, invalid) = ("REQUIRED_FIELD_MISSING", "INVALID_FIELD");
    for (decision, named, reason) in [
        (pb::Decision { scope: String::new(), ..good() }, "scope", missing),
        (pb::Decision { scope: "units/x".to_owned(), ..good() }, "scope", invalid),
        (pb::Decision { regime: "x".to_owned(), ..good() }, "regime", invalid),
        (pb::Decision { regime: String::new(), ..good() }, "regime", missing),
        (pb::Decision { period: "20265".to_owned(), ..good() }, "period", "INVALID_PERIOD"),
        (pb::Decision { period: String::new(), ..good() }, "period", missing),
        (range(date("2026-05-01"), None), "due_through_date", missing),
        (range(None, date("2026-05-01")), "due_from_date", missing),
        (range(Some(no_date), date("2026-05-01")), "due_from_date", invalid),
        (range(date("2026-05-02"), date("2026-05-01")), "due_through_date", invalid),
        (range(date("2026-05-01"), date("2027-05-02")), "due_through_date", invalid),
        (pb::Decision { due_from_date: date("2026-05-01"), ..good() }, "due_from_date", invalid),
        (
            pb::Decision { due_through_date: date("2026-05-01"), ..good() },
            "due_through_date",
            invalid,
        ),
        (pb::Decision { outcome: None, ..good() }, "outcome", missing),
        (extension(None), "extension.until", missing),
        (extension(Some(Until::DueDate(no_date))), "extension.due_date", invalid),
        (extension(Some(Until::WorkingDays(0))), "extension.working_days", invalid),
        (extension(Some(Until::WorkingDays(251))), "extension.working_days", invalid),
        (extension(Some(Until::WorkingDays(-1))), "extension.working_days", invalid),
        (pb::Decision { document: " ".to_owned(), ..good() }, "document", missing),
        (pb::Decision { document: words(201), ..good() }, "document", invalid),
        (pb::Decision { reason: String::new(), ..good() }, "reason", missing),
        (pb::Decision { reason: words(2001), ..good() }, "reason", invalid),
    ] {
        let status = scene.decide(&supervisor(), decision).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::InvalidArgument, reason.to_owned()), "{named}");
        assert_eq!(fields(&status), [format!("decision.{named}")]);
    }
    let grant = supervisor();
    let mut client = scene.decisions(&[&grant]);
    let none = pb::CreateDecisionRequest::default();
    assert_eq!(fields(&client.create_decision(none).await.unwrap_err()), ["decision"]);
    let no_id = pb::CreateDecisionRequest {
        decision: Some(good()),
        request_id: "1".to_owned(),
        validate_only: true,
    };
    assert_eq!(fields(&client.create_decision(no_id).await.unwrap_err()), ["request_id"]);
    assert_eq!(scene.rate(bac_ninh()).await.waived_reports, 0);

    let longest = pb::Decision { document: words(200), reason: words(2000), ..good() };
    let decided = scene.decide(&supervisor(), longest).await.unwrap();
    let revoke = || revocation(&decided);
    for (request, named, reason) in [
        (pb::RevokeDecisionRequest { name: String::new(), ..revoke() }, "name", missing),
        (pb::RevokeDecisionRequest { name: "decisions/1".to_owned(), ..revoke() }, "name", invalid),
        (
            pb::RevokeDecisionRequest { name: decided.name.to_uppercase(), ..revoke() },
            "name",
            invalid,
        ),
        (pb::RevokeDecisionRequest { document: String::new(), ..revoke() }, "document", missing),
        (pb::RevokeDecisionRequest { document: words(201), ..revoke() }, "document", invalid),
        (pb::RevokeDecisionRequest { reason: String::new(), ..revoke() }, "reason", missing),
        (pb::RevokeDecisionRequest { reason: words(2001), ..revoke() }, "reason", invalid),
        (
            pb::RevokeDecisionRequest { request_id: "1".to_owned(), ..revoke() },
            "request_id",
            invalid,
        ),
    ] {
        let status = client.revoke_decision(request).await.unwrap_err();
        assert_eq!(refusal(&status), (Code::InvalidArgument, reason.to_owned()), "{named}");
        assert_eq!(fields(&status), [named]);
    }
    let unknown = format!("decisions/{}", Uuid::new_v4());
    let not_found = (Code::NotFound, "DECISION_NOT_FOUND".to_owned());
    let request = pb::GetDecisionRequest { name: unknown.clone() };
    let status = client.get_decision(request).await.unwrap_err();
    assert_eq!(refusal(&status), not_found);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.metadata["name"], unknown);
    let request = pb::RevokeDecisionRequest { name: unknown, ..revoke() };
    assert_eq!(refusal(&client.revoke_decision(request).await.unwrap_err()), not_found);
}

#[tokio::test]
async fn an_extension_by_working_days_is_counted_anew_when_the_calendar_is_amended() {
    for engine in ENGINES {
        let scene = start(engine, time("2026-05-18 08:00:00")).await;
        scene.create(regime()).await;
        let (counted, fixed) = (commune("07246"), commune("07210"));
        scene.decide(&supervisor(), on(counted, by(3))).await.unwrap();
        scene.decide(&supervisor(), on(fixed, until("2026-05-22"))).await.unwrap();
        let storm = pb::CalendarDay {
            date: Some(field::pb_date(day("2026-05-21"))),
            kind: pb::calendar_day::Kind::InLieu.into(),
            ..Default::default()
        };
        let amendment = pb::AmendCalendarRequest {
            name: "calendars/vn".to_owned(),
            days: vec![storm],
            legal_basis: "Công điện số 1/CĐ-TTg".to_owned(),
            reason: "nghỉ tránh bão".to_owned(),
            ..Default::default()
        };
        scene.calendars(&["operator"]).amend_calendar(amendment).await.unwrap();
        // Friday the 22nd was the third working day, and is the second now.
        assert_eq!(scene.owed(counted).await.due_time, ends("2026-05-25"), "{engine:?}");
        assert_eq!(scene.owed(fixed).await.due_time, ends("2026-05-22"), "{engine:?}");
    }
}

//! The clock goes over the edges that dates have: the end of a month, of a half-year, Tết, 29 February. Whatever it says, what is
//! open, due soon, missing and told follows from it to the microsecond.

use std::fmt::Debug;

use chrono::{DateTime, TimeDelta, Utc};
use dunghan_hierarchy::Validity;
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::Standing;
use dunghan_rpc::field::{pb_date, pb_time};
use dunghan_testkit::ENGINES;
use pb::regime::DueRule;

use crate::world::{
    BAC_NINH, REGIME, Scene, World, bac_ninh, commune, day, microseconds, regime, start_in, time,
    unit,
};

/// A regime, one of its periods, and what the rules say of it.
#[derive(Clone, Copy, Debug)]
struct Edge {
    what: &'static str,
    frequency: pb::Frequency,
    family: pb::WindowFamily,
    rule: DueRule,
    period: &'static str,
    /// The midnight with which its window begins.
    opens: &'static str,
    /// From then on it is due within three working days.
    soon: &'static str,
    /// The midnight at which it is due.
    due: &'static str,
    /// The first instants at which one and two working days have been missed.
    late: [&'static str; 2],
}

const AFTER_3: DueRule = DueRule::WorkingDaysAfterCutOff(3);
const AFTER_1: DueRule = DueRule::WorkingDaysAfterCutOff(1);

const EDGES: [Edge; 7] = [
    Edge {
        what: "a month that ends on a holiday: off on 27/04 for Hùng Kings' day, on 30/04, 01/05, and a weekend",
        frequency: pb::Frequency::Month,
        family: pb::WindowFamily::Calendar,
        rule: AFTER_1,
        period: "202604",
        opens: "2026-04-01 00:00:00",
        soon: "2026-04-24 00:00:00",
        due: "2026-05-05 00:00:00",
        late: ["2026-05-05 00:00:00", "2026-05-06 00:00:00"],
    },
    Edge {
        what: "the half-year's cut-off, Sunday 14/06/2026",
        frequency: pb::Frequency::SixMonths,
        family: pb::WindowFamily::Nd09,
        rule: AFTER_3,
        period: "2026S1",
        opens: "2025-12-15 00:00:00",
        soon: "2026-06-12 00:00:00",
        due: "2026-06-18 00:00:00",
        late: ["2026-06-18 00:00:00", "2026-06-19 00:00:00"],
    },
    Edge {
        what: "Tết 2026: cut-off Saturday 14/02, off from the 16th to the 20th",
        frequency: pb::Frequency::Month,
        family: pb::WindowFamily::Nd09,
        rule: AFTER_1,
        period: "202602",
        opens: "2026-01-15 00:00:00",
        soon: "2026-02-11 00:00:00",
        due: "2026-02-24 00:00:00",
        late: ["2026-02-24 00:00:00", "2026-02-25 00:00:00"],
    },
    Edge {
        what: "Tết 2025: due on Friday 24/01, off from Saturday 25/01 to Sunday 02/02",
        frequency: pb::Frequency::Month,
        family: pb::WindowFamily::Nd09,
        rule: DueRule::WorkingDaysAfterCutOff(8),
        period: "202501",
        opens: "2024-12-15 00:00:00",
        soon: "2025-01-21 00:00:00",
        due: "2025-01-25 00:00:00",
        // Who is late over Tết is late by no working day until it is over.
        late: ["2025-02-03 00:00:00", "2025-02-04 00:00:00"],
    },
    Edge {
        what: "29 February 2024 as a cut-off",
        frequency: pb::Frequency::Month,
        family: pb::WindowFamily::Calendar,
        rule: AFTER_1,
        period: "202402",
        opens: "2024-02-01 00:00:00",
        soon: "2024-02-27 00:00:00",
        due: "2024-03-02 00:00:00",
        late: ["2024-03-04 00:00:00", "2024-03-05 00:00:00"],
    },
    Edge {
        what: "29 February 2024 as a due date: the 30th of a month that has none",
        frequency: pb::Frequency::Month,
        family: pb::WindowFamily::Nd09,
        rule: DueRule::DayOfMonth(pb::DayOfMonth { day: 30, month: 0 }),
        period: "202402",
        opens: "2024-01-15 00:00:00",
        soon: "2024-02-26 00:00:00",
        due: "2024-03-01 00:00:00",
        late: ["2024-03-01 00:00:00", "2024-03-04 00:00:00"],
    },
    Edge {
        what: "the year's end, and a Saturday that is worked: 10/01/2026 for Friday 02/01",
        frequency: pb::Frequency::Month,
        family: pb::WindowFamily::Calendar,
        rule: DueRule::WorkingDaysAfterCutOff(6),
        period: "202512",
        opens: "2025-12-01 00:00:00",
        soon: "2026-01-07 00:00:00",
        due: "2026-01-11 00:00:00",
        late: ["2026-01-12 00:00:00", "2026-01-13 00:00:00"],
    },
];

/// Units that are there since long before any of it.
fn since_2020() -> World {
    let since = Validity::since(day("2020-01-01"));
    let mut world = World::default();
    world.import(unit("24", "Tỉnh Bắc Ninh", None, since));
    for (code, name) in BAC_NINH {
        world.import(unit(code, name, Some(bac_ninh()), since));
    }
    world
}

impl Edge {
    fn regime(&self) -> pb::Regime {
        let opens = self.opens.split(' ').next().unwrap();
        pb::Regime {
            receiving_unit: bac_ninh().to_string(),
            frequency: self.frequency.into(),
            window_family: self.family.into(),
            due_rule: Some(self.rule),
            from_date: Some(pb_date(day(opens))),
            tell_from_date: Some(pb_date(day(opens))),
            ..regime()
        }
    }

    /// What the service says of each commune for the period.
    async fn said<T: Debug + PartialEq>(
        &self,
        scene: &Scene,
        say: impl Fn(&pb::Obligation) -> T,
    ) -> Option<T> {
        let request = pb::ListObligationsRequest {
            regime: REGIME.to_owned(),
            period: self.period.to_owned(),
            ..Default::default()
        };
        let listed = scene.list(request).await;
        let mut said: Vec<_> = listed.iter().map(say).collect();
        assert!(said.is_empty() || said.len() == BAC_NINH.len(), "{}: {said:?}", self.what);
        said.dedup();
        assert!(said.len() <= 1, "{}: {said:?}", self.what);
        said.pop()
    }
}

#[tokio::test]
async fn over_every_edge_of_the_calendar_what_is_said_and_told_changes_at_its_instant() {
    for edge in EDGES {
        let before = |text: &str| time(text) - microseconds(1);
        let engine = ENGINES[usize::from(edge.family == pb::WindowFamily::Calendar)];
        let scene = start_in(since_2020(), engine, before(edge.opens)).await;
        scene.create(edge.regime()).await;
        let standing = |at: DateTime<Utc>| {
            scene.testing.clock.set(at);
            edge.said(&scene, pb::Obligation::standing)
        };
        for (at, stands) in [
            (before(edge.opens), None),
            (time(edge.opens), Some(Standing::Open)),
            (before(edge.soon), Some(Standing::Open)),
            (time(edge.soon), Some(Standing::DueSoon)),
            (before(edge.due), Some(Standing::DueSoon)),
        ] {
            assert_eq!(standing(at).await, stands, "{} at {at}", edge.what);
            assert_eq!(scene.sweep().await.missing_count, 0, "{} at {at}", edge.what);
        }
        assert_eq!(standing(time(edge.due)).await, Some(Standing::Missing), "{}", edge.what);
        let due = edge.said(&scene, |owed| owed.due_time).await;
        assert_eq!(due, Some(Some(pb_time(time(edge.due)))), "{}", edge.what);

        let sweep = scene.sweep().await;
        assert_eq!((sweep.missing_count, sweep.notice_count), (5, 1), "{}", edge.what);
        let [notice] = scene.told(bac_ninh()).await.try_into().unwrap();
        assert_eq!(notice.detect_time, Some(pb_time(time(edge.due))), "{}", edge.what);

        for (days, instant) in (1..).zip(edge.late) {
            scene.testing.clock.set(before(instant));
            let late = edge.said(&scene, |owed| owed.working_days_late).await;
            assert_eq!(late, Some(days - 1), "{} before {instant}", edge.what);
            scene.testing.clock.set(time(instant));
            let late = edge.said(&scene, |owed| owed.working_days_late).await;
            assert_eq!(late, Some(days), "{} at {instant}", edge.what);
        }
        assert_eq!(scene.sweep().await.notice_count, 0, "{}: told once", edge.what);
    }
}

#[tokio::test]
async fn the_last_instant_before_is_on_time_and_the_next_one_late_over_every_edge() {
    for edge in EDGES {
        let scene = start_in(since_2020(), ENGINES[0], time(edge.opens)).await;
        scene.create(edge.regime()).await;
        let due = time(edge.due);
        scene.testing.clock.set(due + TimeDelta::hours(1));
        for ((code, _), (microseconds_after, stands)) in
            BAC_NINH.iter().zip([(-1, Standing::OnTime), (0, Standing::Late), (1, Standing::Late)])
        {
            let received = due + microseconds(microseconds_after);
            scene.world.lock().submit(commune(code), edge.period, received);
            let request = pb::ListObligationsRequest {
                scope: commune(code).to_string(),
                regime: REGIME.to_owned(),
                period: edge.period.to_owned(),
                ..Default::default()
            };
            let [owed] = scene.list(request).await.try_into().unwrap();
            assert_eq!(owed.standing(), stands, "{} and {microseconds_after}", edge.what);
        }
    }
}

#[tokio::test]
async fn the_first_sweep_after_sixty_days_without_one_finds_all_that_fell_due_once() {
    for engine in ENGINES {
        let scene = start_in(since_2020(), engine, time("2026-01-15 00:00:00")).await;
        let every_month = Edge { opens: "2026-01-15 00:00:00", ..EDGES[2] };
        scene.create(every_month.regime()).await;
        assert_eq!(scene.sweep().await.notice_count, 0, "{engine:?}");
        // The reports for February and March were due on 23 February and on 16 March.
        let back = time("2026-03-17 08:00:00");
        scene.testing.clock.set(back);
        let sweep = scene.sweep().await;
        assert_eq!((sweep.missing_count, sweep.notice_count), (10, 2), "{engine:?}");
        let told = scene.told(bac_ninh()).await;
        let mut periods: Vec<_> = told.iter().map(|notice| notice.period.as_str()).collect();
        periods.sort_unstable();
        assert_eq!(periods, ["202602", "202603"]);
        // When it was found is said as it was.
        assert!(told.iter().all(|notice| notice.detect_time == Some(pb_time(back))));
        assert_eq!(scene.sweep().await.notice_count, 0, "{engine:?}");
    }
}

//! What the store promises on both engines alike, where the rpcs' tests do not reach it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use dunghan_calendar::{DayOffPolicy, DueRule, Family, Frequency, Period};
use dunghan_compliance::domain::calendar::Calendars;
use dunghan_compliance::domain::consequence::{Fate, consequence};
use dunghan_compliance::domain::dossier::{Channel, Dossier, DossierName, Resolution};
use dunghan_compliance::domain::notice::{Subject, Telling};
use dunghan_compliance::domain::obligation::{
    CloseReason, Closed, Evidence, Obligation, ObligationName, Receipt, Returned, Standing, Task,
    Waived,
};
use dunghan_compliance::domain::opening::{Debtors, Ground, plan};
use dunghan_compliance::domain::rate::Tally;
use dunghan_compliance::domain::regime::{
    self, DueRules, Publication, Receiver, Regime, RegimeId, ReportKind, Schedule, Tier,
};
use dunghan_compliance::domain::soon::Soon;
use dunghan_compliance::store::{
    AffectedFilter, AffectedKey, DossierChange, DueGroup, Error, Learnt, Migrations, Moment,
    ObligationFilter, Store, Told, Within,
};
use dunghan_hierarchy::{Hierarchy, Kind, Level, UnitHistory, UnitId, Validity, Version};
use dunghan_proto::compliance as pb;
use dunghan_store::Database;
use dunghan_testkit::{ENGINES, Engine, Place};
use sea_orm::ConnectionTrait as _;
use uuid::Uuid;

use crate::world::{bac_ninh, commune, day, due, first_day, gia_lai, microseconds, time, unit};

struct Shelf {
    store: Store,
    regime: Regime,
    _place: Place,
}

async fn shelf(engine: Engine) -> Shelf {
    let place = Place::new(engine).await;
    let database = Database::open(&place.location, "compliance").await.unwrap();
    database.migrate::<Migrations>().await.unwrap();
    Shelf { store: Store::new(database), regime: regime("cds-24"), _place: place }
}

fn regime(id: &str) -> Regime {
    Regime {
        id: RegimeId::new(id).unwrap(),
        display_name: "Báo cáo".to_owned(),
        legal_basis: "Công văn số 1/VP".to_owned(),
        illustrative: true,
        schedule: Schedule::Every(Frequency::Month),
        family: Family::Nd09,
        cut_off_as_declared: false,
        day_off: DayOffPolicy::Keep,
        debtors: regime::Debtors::Everywhere {
            levels: vec![Level::Commune, Level::Department],
            kinds: Vec::new(),
            except: Vec::new(),
        },
        tiers: tiers(Some(DueRule::WorkingDaysAfterCutOff(3))),
        from: day("2026-05-01"),
        through: None,
        create_time: DateTime::UNIX_EPOCH,
        kind: ReportKind::Periodic,
        means: Vec::new(),
        grace: 0,
        review_levels: 0,
        rule_family: None,
        amends: None,
        tell_from: day("2000-01-01"),
        early_due_reason: None,
        overlaps: Vec::new(),
    }
}

fn learnt(hierarchy: &Hierarchy) -> Learnt {
    Learnt {
        hierarchy: Arc::new(hierarchy.clone()),
        calendars: Arc::new(Calendars::official().unwrap()),
        now: time("2026-05-18 08:00:00"),
    }
}

/// To the province, in one tier.
fn tiers(due: Option<DueRule>) -> Vec<Tier> {
    let receiver = Receiver::Unit(bac_ninh());
    vec![Tier { receiver, due: DueRules::same(due), form: "forms/cds-1".to_owned() }]
}

fn may() -> Period {
    "202605".parse().unwrap()
}

/// A province with communes of these codes.
fn hierarchy(version: u64, codes: &[String]) -> Hierarchy {
    Hierarchy::build(version, units_of(codes)).unwrap()
}

fn units_of(codes: &[String]) -> Vec<UnitHistory> {
    let since = Validity::since(first_day());
    let mut units = vec![unit("24", "Tỉnh Bắc Ninh", None, since)];
    units.extend(codes.iter().map(|code| unit(code, "Xã", Some(bac_ninh()), since)));
    units
}

fn codes(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("{}", 30_000 + n)).collect()
}

impl Shelf {
    /// Opens May 2026 for the communes of these codes.
    async fn open(&self, codes: &[String]) -> u64 {
        self.open_by(1, codes).await
    }

    async fn open_by(&self, version: u64, codes: &[String]) -> u64 {
        self.open_period(&self.regime, may(), &hierarchy(version, codes), |_| {}).await
    }

    /// Opens a period as the rule says, and then as `change` does.
    async fn open_period(
        &self,
        regime: &Regime,
        period: Period,
        hierarchy: &Hierarchy,
        change: impl Fn(&mut Obligation),
    ) -> u64 {
        self.put_in_force(regime).await;
        let (today, cut_off) = (day("2026-05-18"), regime.window(period).cut_off);
        let debtors = Debtors::on(regime, cut_off, today, hierarchy);
        let by = learnt(hierarchy);
        let planned = |regime: &Regime, calendars: &Calendars, known| {
            let (debtors, now) = (&debtors, by.now);
            let ground = Ground { regime, period, hierarchy, debtors, calendars, now };
            let mut planned = plan(&ground, known);
            planned.changed.iter_mut().for_each(&change);
            planned
        };
        self.store.obligation_open_as(&regime.id, period, None, &by, planned).await.unwrap()
    }

    async fn put_in_force(&self, regime: &Regime) {
        let published = Publication { regime: regime.clone(), amended: None };
        let judge = move |_| Ok(published);
        let answer = |_: &Regime| pb::Regime::default();
        match self.store.regime_publish(&regime.id, None, false, judge, answer).await {
            Ok(_) | Err(Error::RegimeExists(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// What submission says next of a commune's report for May.
    async fn say(&self, code: &str, sequence: i64, received: Option<DateTime<Utc>>) -> usize {
        let receipt = received.map(|time| Receipt { report: Uuid::nil(), time });
        let evidence = Evidence { sequence, receipt, returned: None };
        let said = [(self.name(code), Uuid::nil(), evidence)];
        let calendars = Arc::new(Calendars::official().unwrap());
        let database = self.store.database();
        let written = database
            .write(async |write| Store::evidence_record(write, &calendars, &said, due()).await);
        written.await.unwrap()
    }

    /// Changes one obligation as a decision would.
    async fn waive(&self, code: &str, at: DateTime<Utc>) {
        let us = at.timestamp_micros();
        // Any UUID is a decision here.
        let set = format!("waived_us = {us}, waiver_id = unit_id, next_check_us = NULL");
        self.run(&format!("UPDATE obligation SET {set} WHERE unit_code = '{code}'")).await;
    }

    fn name(&self, code: &str) -> ObligationName {
        ObligationName { unit: commune(code), regime: self.regime.id.clone(), period: may() }
    }

    /// Claims these obligations, as a sweep does that has asked about them, and gives the names told.
    async fn claim(&self, codes: &[String], now: DateTime<Utc>) -> Result<Vec<String>, Error> {
        let before = self.store.notice_page(None, None, 100).await?;
        self.tell(codes, now, true).await?;
        let mut told = self.store.notice_page(None, None, 100).await?;
        told.retain(|notice| !before.contains(notice));
        let mut names: Vec<_> = told.into_iter().flat_map(|notice| notice.subjects).collect();
        names.sort();
        Ok(names)
    }

    /// Claims these obligations; with `whole` they are all that there is, and told.
    async fn tell(&self, codes: &[String], at: DateTime<Utc>, whole: bool) -> Result<Told, Error> {
        let mut found = Vec::new();
        for code in codes {
            found.push(self.store.obligation_fetch(&self.name(code)).await?);
        }
        let hierarchy = &hierarchy(1, codes);
        let telling = Telling { regime: &self.regime, period: may(), hierarchy, at };
        self.store.obligation_tell(&found, &HashSet::new(), &telling, whole).await
    }

    async fn still_due(&self, now: DateTime<Utc>) -> usize {
        self.store.obligation_due_page(now, None, 100).await.unwrap().0.len()
    }

    async fn run(&self, sql: &str) {
        let write = self.store.database().write(async |write| write.execute_unprepared(sql).await);
        write.await.unwrap();
    }
}

#[tokio::test]
async fn the_database_chooses_by_standing_exactly_as_the_domain_judges() {
    const ALL: [Standing; 10] = [
        Standing::Late,
        Standing::Missing,
        Standing::DueSoon,
        Standing::Open,
        Standing::NotYetOpen,
        Standing::Waived,
        Standing::Closed,
        Standing::Returned,
        Standing::OnTime,
        Standing::NoDueTime,
    ];
    for engine in ENGINES {
        let mut shelf = shelf(engine).await;
        // Every order that due time, receipt, waiver, return, end and the moment asked for can have, to the microsecond.
        let moments: [Option<i64>; 4] = [None, Some(-1), Some(0), Some(1)];
        let few: [Option<i64>; 2] = [None, Some(0)];
        let mut cases = Vec::new();
        for received in moments {
            for waived in moments {
                for closed in few {
                    let begins = [-2, 1];
                    cases.extend(begins.map(|begin| (received, None, waived, closed, begin)));
                    let returned = few.into_iter().flatten();
                    cases.extend(
                        returned.map(|at| (received, received.and(Some(at)), waived, closed, -2)),
                    );
                }
            }
        }
        let codes = codes(cases.len());
        let hierarchy = hierarchy(1, &codes);
        let by_code: HashMap<_, _> = codes.iter().zip(&cases).collect();
        let after_due = |microsecond: i64| due() + microseconds(microsecond);
        let rule = Some(DueRule::WorkingDaysAfterCutOff(3));
        for (id, rule) in [("with-due", rule), ("without-due", None)] {
            shelf.regime = Regime { tiers: tiers(rule), ..regime(id) };
            let change = |owed: &mut Obligation| {
                let (received, returned, waived, closed, begins) = *by_code[&owed.unit_code];
                let report = Uuid::nil();
                owed.receipt = received.map(|at| Receipt { report, time: after_due(at) });
                let returned = returned.map(after_due);
                owed.returned = returned.map(|time| Returned { time, due: after_due(9) });
                let decision = Uuid::nil();
                owed.waived = waived.map(|at| Waived { decision, time: after_due(at) });
                let reason = CloseReason::UnitEnded;
                owed.closed = closed.map(|at| Closed { time: after_due(at), reason });
                owed.open_time = after_due(begins);
                let odd = owed.unit_code.ends_with(['1', '3', '5', '7', '9']);
                owed.extension = odd.then(Uuid::nil);
            };
            shelf.open_period(&shelf.regime, may(), &hierarchy, change).await;
        }
        let store = &shelf.store;
        let mut seen = HashSet::new();
        for offset in -3..=2 {
            for soon in [offset, offset + 1, offset + 3] {
                let soon = Soon::everywhere(after_due(soon));
                let moment = Moment { at: after_due(offset), soon: &soon };
                let filter = ObligationFilter::default();
                let all = store.obligation_page(&filter, moment, None, 1000).await.unwrap();
                assert_eq!(all.len(), 2 * cases.len());
                for (at, standing) in ALL.into_iter().enumerate() {
                    // Every condition alone, and beside another.
                    for standings in [vec![standing], vec![standing, ALL[(at + 3) % ALL.len()]]] {
                        let filter = ObligationFilter { standings, ..Default::default() };
                        let found =
                            store.obligation_page(&filter, moment, None, 1000).await.unwrap();
                        let stands = |one: &&Obligation| {
                            let standing = one.standing_by(moment.at, soon.national());
                            filter.standings.contains(&standing)
                        };
                        let judged: Vec<_> = all.iter().filter(stands).cloned().collect();
                        assert_eq!(found, judged, "{engine:?} {offset} {:?}", filter.standings);
                        seen.extend(
                            judged.iter().map(|one| one.standing_by(moment.at, soon.national())),
                        );
                    }
                }
            }
        }
        // What the database counts is what the domain counts, and its exceptions are the domain's.
        for offset in -3..=2 {
            let at = after_due(offset);
            let soon = Soon::everywhere(after_due(offset + 1));
            let moment = Moment { at, soon: &soon };
            for id in ["with-due", "without-due"] {
                let id = RegimeId::new(id).unwrap();
                let all = store.obligation_all(bac_ninh(), &id, may()).await.unwrap();
                let owed = all.len();
                let mut counted: BTreeMap<Tally, usize> = BTreeMap::new();
                all.iter()
                    .for_each(|one| *counted.entry(Tally::of(one, at, &soon)).or_default() += 1);
                let of = async |most| {
                    store.tally_with_exceptions(bac_ninh(), &id, may(), moment, most).await.unwrap()
                };
                let (tallies, exceptions) = of(usize::MAX >> 1).await;
                let mut tallied: BTreeMap<Tally, usize> = BTreeMap::new();
                tallies.into_iter().for_each(|(tally, n)| *tallied.entry(tally).or_default() += n);
                assert_eq!(tallied, counted, "{engine:?} {offset}");
                let judged = all.into_iter().filter(|one| Tally::of(one, at, &soon).is_exception());
                assert_eq!(exceptions, judged.collect::<Vec<_>>(), "{engine:?} {offset}");
                // Of fewer than there are, the first in the order of standings, and of codes within each.
                let mut first = exceptions.clone();
                first.sort_by_key(|one| one.counted(at));
                for most in [0, first.len() / 3, first.len() / 2, first.len()] {
                    let (counts, mut some) = of(most).await;
                    assert_eq!(counts.iter().map(|(_, count)| count).sum::<usize>(), owed);
                    some.sort_by_key(|one| one.counted(at));
                    assert_eq!(some, first[..most], "{engine:?} {offset} {most}");
                }
            }
        }
        assert_eq!(seen.len(), ALL.len(), "{seen:?}");
    }
}

#[tokio::test]
async fn the_database_chooses_what_a_reorganisation_touches_exactly_as_the_domain_judges() {
    for engine in ENGINES {
        let shelf = shelf(engine).await;
        let store = &shelf.store;
        let moments: [Option<i64>; 3] = [None, Some(0), Some(1)];
        let mut cases = Vec::new();
        for received in moments {
            for waived in moments {
                cases.extend([None, Some(0)].map(|closed| (received, waived, closed)));
            }
        }
        // Each case for a unit that ends, for one that goes on, and for one that nobody asks about.
        let codes = codes(3 * cases.len());
        let units = |third: usize| -> Vec<_> {
            codes.iter().skip(third).step_by(3).map(|code| commune(code)).collect()
        };
        let (ending, changed) = (units(0), units(1));
        let every = |id, frequency, family| Regime {
            schedule: Schedule::Every(frequency),
            family,
            ..regime(id)
        };
        let once: Period = "2026-01-01--2026-05-14".parse().unwrap();
        let nd09 = Family::Nd09;
        let regimes = [
            (every("month", Frequency::Month, nd09), vec!["202604", "202605", "202606"]),
            (every("calendar", Frequency::Month, Family::Calendar), vec!["202605", "202606"]),
            (every("quarter", Frequency::Quarter, nd09), vec!["2026Q2"]),
            (every("year", Frequency::Year, nd09), vec!["2025", "2026"]),
            (
                Regime { schedule: Schedule::Once(once), ..regime("once") },
                vec!["2026-01-01--2026-05-14"],
            ),
            (
                Regime { tiers: tiers(None), ..every("no-due", Frequency::Month, nd09) },
                vec!["202605"],
            ),
        ];
        let hierarchy = hierarchy(1, &codes);
        let third: HashMap<_, _> =
            codes.iter().enumerate().map(|(at, code)| (code, cases[at / 3])).collect();
        for (regime, periods) in &regimes {
            for period in periods {
                let period: Period = period.parse().unwrap();
                let change = |owed: &mut Obligation| {
                    let (received, waived, closed) = third[&owed.unit_code];
                    let after_due = |at: i64| due() + microseconds(at);
                    let report = Uuid::nil();
                    owed.receipt = received.map(|at| Receipt { report, time: after_due(at) });
                    let decision = Uuid::nil();
                    owed.waived = waived.map(|at| Waived { decision, time: after_due(at) });
                    let reason = CloseReason::NotADebtor;
                    owed.closed = closed.map(|at| Closed { time: after_due(at), reason });
                    // All of them due at one moment, which is asked about.
                    owed.due = owed.due.map(|_| due());
                };
                let regime = Regime { from: day("2025-07-01"), ..regime.clone() };
                shelf.open_period(&regime, period, &hierarchy, change).await;
            }
        }
        let by_id: HashMap<_, _> = regimes.iter().map(|(regime, _)| (&regime.id, regime)).collect();
        let in_force: Vec<_> = regimes.iter().map(|(regime, _)| regime.clone()).collect();
        let all = ObligationFilter::default();
        let mut seen = HashSet::new();
        for effective in ["2020-01-01", "2026-05-14", "2026-05-15", "2026-06-01", "2027-01-01"] {
            let effective = day(effective);
            let filter = AffectedFilter::new(ending.clone(), changed.clone(), effective, &in_force);
            for offset in -1..=1 {
                let at = due() + microseconds(offset);
                let mut judged = store
                    .obligation_page(&all, Moment { at, soon: &Soon::everywhere(at) }, None, 1000)
                    .await
                    .unwrap();
                assert_eq!(judged.len(), 10 * codes.len());
                judged.retain(|one| {
                    let fate = match one.name.unit {
                        unit if ending.contains(&unit) => Fate::Ends,
                        unit if changed.contains(&unit) => Fate::GoesOn,
                        _ => return false,
                    };
                    let cut_off = by_id[&one.name.regime].window(one.name.period).cut_off;
                    let said = consequence(one, cut_off, fate, effective, at);
                    seen.extend(said.map(|said| (fate, said)));
                    said.is_some()
                });
                judged.sort_by_key(|one| {
                    let name = &one.name;
                    (name.unit.uuid(), name.regime.id().to_owned(), name.period.to_string())
                });
                let (mut found, mut after) = (Vec::new(), None);
                loop {
                    let page =
                        store.obligation_affected_page(&filter, at, after.as_ref(), 17).await;
                    let page = page.unwrap();
                    let Some(last) = page.last() else { break };
                    after = Some(AffectedKey::from(last));
                    found.extend(page);
                }
                assert_eq!(found, judged, "{engine:?} {effective} {offset}");
            }
        }
        // All that can be said of each was said of some.
        assert_eq!(seen.len(), 4, "{seen:?}");
    }
}

#[tokio::test]
async fn lists_are_in_the_order_of_the_bytes_of_codes_on_any_locale() {
    for engine in ENGINES {
        let shelf = shelf(engine).await;
        let ordered = ["", "009", "10", "2", "A", "_", "a", "b", "đ"];
        let named = ["b", "2", "đ", "a", "10", "A", "_", "009"].map(str::to_owned);
        // A unit without a code, and below nothing.
        let nameless = UnitId::new("test", "nameless", None);
        let validity = Validity::since(first_day());
        let version = Version {
            validity,
            kind: Kind::So,
            level: Level::Department,
            display_name: "Sở".to_owned(),
            parent: None,
        };
        let mut units = units_of(&named);
        units.push(UnitHistory { id: nameless, versions: vec![version], identifiers: Vec::new() });
        let hierarchy = Hierarchy::build(1, units).unwrap();
        for id in ["b", "a-b", "a"] {
            let opened = shelf.open_period(&regime(id), may(), &hierarchy, |_| {}).await;
            assert_eq!(opened, 9);
        }
        let expected: Vec<_> = ["a", "a-b", "b"]
            .iter()
            .flat_map(|regime| ordered.map(|code| ((*regime).to_owned(), code.to_owned())))
            .collect();
        let moment = Moment { at: due(), soon: &Soon::everywhere(due()) };
        for page_size in [1, 2, 5, 100] {
            let (mut walked, mut after) = (Vec::new(), None);
            loop {
                let filter = ObligationFilter::default();
                let page = shelf
                    .store
                    .obligation_page(&filter, moment, after.as_ref(), page_size)
                    .await
                    .unwrap();
                let Some(last) = page.last() else { break };
                after = Some(last.into());
                walked.extend(
                    page.into_iter().map(|one| (one.name.regime.id().to_owned(), one.unit_code)),
                );
            }
            assert_eq!(walked, expected, "{engine:?} {page_size}");
        }
        let all = shelf.store.obligation_all(bac_ninh(), &RegimeId::new("a").unwrap(), may()).await;
        let codes: Vec<_> = all.unwrap().into_iter().map(|one| one.unit_code).collect();
        assert_eq!(codes, ordered[1..], "{engine:?}");
        let visible = |limits: Vec<Within>| ObligationFilter {
            visible: Some(limits),
            ..ObligationFilter::default()
        };
        for (limits, count) in [
            (vec![], 0),
            (vec![Within::Subtree(gia_lai())], 0),
            (vec![Within::Subtree(bac_ninh())], 24),
            (vec![Within::Regime("a".to_owned())], 9),
            (vec![Within::Units(vec![])], 0),
            (vec![Within::Units(vec![nameless, commune("10")])], 6),
            (vec![Within::Regime("a".to_owned()), Within::Subtree(commune("10"))], 11),
        ] {
            let found = shelf.store.obligation_page(&visible(limits), moment, None, 100).await;
            assert_eq!(found.unwrap().len(), count, "{engine:?}");
        }
    }
}

#[tokio::test]
async fn what_is_claimed_is_told_once_and_only_while_it_is_due() {
    for engine in ENGINES {
        let shelf = shelf(engine).await;
        let codes = codes(6);
        assert_eq!(shelf.open(&codes).await, 6);
        assert!(shelf.claim(&codes, due() - microseconds(1)).await.unwrap().is_empty());
        // Between the look and the claim a report came, and a unit was excused.
        shelf.say(&codes[0], 1, Some(due())).await;
        shelf.waive(&codes[1], due()).await;
        let names = |codes: &[String]| {
            let mut names: Vec<_> = codes.iter().map(|code| shelf.name(code).to_string()).collect();
            names.sort();
            names
        };
        let first = shelf.claim(&codes[..4], due()).await.unwrap();
        assert_eq!(first, names(&codes[2..4]), "{engine:?}");
        assert_eq!(shelf.still_due(due()).await, 2);
        // Of a claim that overlaps, the rest.
        assert_eq!(shelf.claim(&codes, due()).await.unwrap(), names(&codes[4..]), "{engine:?}");
        assert!(shelf.claim(&codes, due()).await.unwrap().is_empty());
        assert_eq!(shelf.still_due(due()).await, 0);

        // Though they are on the list once more, the claim is there: nobody is told again of one due time.
        let again = format!("next_check_us = {}", due().timestamp_micros());
        shelf.run(&format!("UPDATE obligation SET told_generation = NULL, {again}")).await;
        assert!(shelf.claim(&codes, due()).await.unwrap().is_empty(), "{engine:?}");
        assert_eq!(shelf.still_due(due()).await, 0, "what was on it by mistake is off the list");
        // A new due time is another thing to tell.
        shelf.run(&format!("UPDATE obligation SET due_generation = 2, {again}")).await;
        assert_eq!(shelf.claim(&codes, due()).await.unwrap(), names(&codes[2..]), "{engine:?}");
        let notices = shelf.store.notice_page(Some(bac_ninh()), None, 10).await.unwrap();
        assert_eq!(notices.len(), 3);
        let about = shelf.store.notice_about(&names(&codes[2..3])[0]).await.unwrap();
        assert_eq!(about.len(), 2, "{engine:?}");
    }
}

#[tokio::test]
async fn what_is_claimed_in_several_transactions_is_told_in_one_notice_when_all_of_it_is() {
    for engine in ENGINES {
        let shelf = shelf(engine).await;
        let codes = codes(45);
        shelf.open(&codes).await;
        // In any order: the text has the first by their codes.
        let batches = [&codes[30..], &codes[..10], &codes[10..30]];
        for batch in batches {
            let told = shelf.tell(batch, due(), false).await.unwrap();
            assert_eq!(told.claimed, BTreeMap::from([(Task::TellMissing, batch.len())]));
            assert_eq!((told.notices.len(), told.unverified, told.more), (0, 0, false));
        }
        assert_eq!(shelf.still_due(due()).await, 0, "{engine:?}");
        assert!(shelf.store.notice_page(None, None, 10).await.unwrap().is_empty(), "{engine:?}");
        let events = || shelf.store.database().events_after(Default::default(), 10);
        assert!(events().await.unwrap().is_empty());
        let group = DueGroup { regime: shelf.regime.id.clone(), period: may() };
        assert_eq!(shelf.store.digest_groups().await.unwrap(), [group]);

        // Whoever claimed it: what is there is told by who finds it, an hour later.
        let (hierarchy, at) = (&hierarchy(1, &codes), due() + TimeDelta::hours(1));
        let telling = Telling { regime: &shelf.regime, period: may(), hierarchy, at };
        let told = shelf.store.digest_finish(&telling).await.unwrap();
        assert_eq!(told, [Task::TellMissing], "{engine:?}");
        assert!(shelf.store.digest_groups().await.unwrap().is_empty());
        assert_eq!(shelf.store.digest_finish(&telling).await.unwrap(), [], "{engine:?}");
        let [notice] = shelf.store.notice_page(None, None, 10).await.unwrap().try_into().unwrap();
        assert_eq!((notice.subjects.len(), notice.detect_time), (45, at));
        assert_eq!(events().await.unwrap().len(), 1);
        let first: Vec<_> = codes[..20].iter().map(|code| format!("Xã ({code})")).collect();
        let named = format!(": {}; và 25 trường hợp khác.", first.join("; "));
        assert!(notice.text.starts_with("Có 45 đơn vị chưa gửi"), "{}", notice.text);
        assert!(notice.text.ends_with(&named), "{}", notice.text);
    }
}

#[tokio::test]
async fn what_a_killed_sweep_had_claimed_is_told_with_what_the_next_one_finds() {
    for engine in ENGINES {
        let shelf = shelf(engine).await;
        let codes = codes(5);
        shelf.open(&codes).await;
        shelf.tell(&codes[..3], due(), false).await.unwrap();
        let told = shelf.tell(&codes[3..], due(), true).await.unwrap();
        assert_eq!(told.notices, [Task::TellMissing], "{engine:?}");
        let [notice] = shelf.store.notice_page(None, None, 10).await.unwrap().try_into().unwrap();
        assert_eq!(notice.subjects.len(), 5, "{engine:?}");
        assert!(notice.text.starts_with("Có 05 đơn vị"), "{}", notice.text);
        assert!(shelf.store.digest_groups().await.unwrap().is_empty(), "{engine:?}");
    }
}

#[tokio::test]
async fn what_a_killed_sweep_had_claimed_is_given_back_and_looked_at_anew() {
    for engine in ENGINES {
        let shelf = shelf(engine).await;
        let codes = codes(3);
        shelf.open(&codes).await;
        shelf.tell(&codes[..2], due(), false).await.unwrap();
        let [group] = shelf.store.digest_groups().await.unwrap().try_into().unwrap();
        shelf.store.digest_release(&group).await.unwrap();
        assert_eq!(shelf.still_due(due()).await, 3, "{engine:?}");
        // One of them had handed in in time: it was never accused, so that nothing is to be taken back.
        shelf.say(&codes[0], 1, Some(due() - microseconds(1))).await;
        assert_eq!(shelf.still_due(due()).await, 2, "{engine:?}");
        let told = shelf.tell(&codes, due(), true).await.unwrap();
        assert_eq!(told.notices, [Task::TellMissing], "{engine:?}");
        let [notice] = shelf.store.notice_page(None, None, 10).await.unwrap().try_into().unwrap();
        let mut expected =
            vec![shelf.name(&codes[1]).to_string(), shelf.name(&codes[2]).to_string()];
        expected.sort();
        assert_eq!(notice.subjects, expected, "{engine:?}");
        shelf.store.digest_release(&group).await.unwrap();
        assert_eq!(shelf.still_due(due()).await, 0, "what was told stays told, {engine:?}");
    }
}

#[tokio::test]
async fn nobody_is_told_against_the_word_of_who_has_the_reports() {
    for engine in ENGINES {
        let shelf = shelf(engine).await;
        let codes = codes(2);
        shelf.open(&codes).await;
        let hierarchy = &hierarchy(1, &codes);
        let tell = async |held: &[&String]| {
            let mut found = Vec::new();
            for code in &codes {
                found.push(shelf.store.obligation_fetch(&shelf.name(code)).await.unwrap());
            }
            let held = held.iter().map(|code| commune(code)).collect();
            let telling = Telling { regime: &shelf.regime, period: may(), hierarchy, at: due() };
            let told = shelf.store.obligation_tell(&found, &held, &telling, true).await.unwrap();
            (
                told.claimed.get(&Task::TellMissing).copied(),
                told.claimed.get(&Task::Retract).copied(),
                told.unverified,
            )
        };
        // It says that it has the report of one, which does not read: that one is not missing.
        assert_eq!(tell(&[&codes[0]]).await, (Some(1), None, 1), "{engine:?}");
        assert_eq!(shelf.still_due(due()).await, 1, "it is looked at again");
        assert_eq!(tell(&[]).await, (Some(1), None, 0), "{engine:?}");
        // A report is known here and not there: it was taken back, and that is not known here yet.
        shelf.say(&codes[0], 1, Some(due() - microseconds(1))).await;
        assert_eq!(tell(&[]).await, (None, None, 1), "{engine:?}");
        assert_eq!(tell(&[&codes[0]]).await, (None, Some(1), 0), "{engine:?}");
        assert_eq!(shelf.still_due(due()).await, 0, "{engine:?}");
    }
}

#[tokio::test]
async fn what_is_due_comes_in_pages_each_once_the_longest_waiting_first() {
    for engine in ENGINES {
        let shelf = shelf(engine).await;
        let codes = codes(25);
        shelf.open(&codes).await;
        // In the order against that of the codes; the last five are not due yet, and one waits for nothing.
        for (at, code) in codes.iter().enumerate() {
            let from =
                due().timestamp_micros() - i64::try_from(at).unwrap() * 1_000_000 + 5_000_000;
            let set = format!("tell_us = {from}, next_check_us = {from}");
            shelf.run(&format!("UPDATE obligation SET {set} WHERE unit_code = '{code}'")).await;
        }
        shelf.waive(&codes[20], due()).await;
        let mut after = None;
        let mut seen = Vec::new();
        loop {
            let (page, last) =
                shelf.store.obligation_due_page(due(), after.as_ref(), 7).await.unwrap();
            seen.extend(page.into_iter().map(|obligation| obligation.unit_code));
            let Some(last) = last else { break };
            after = Some(last);
        }
        let mut expected: Vec<_> = codes[5..].iter().filter(|code| **code != codes[20]).collect();
        expected.reverse();
        assert_eq!(seen.iter().collect::<Vec<_>>(), expected, "{engine:?}");
        assert_eq!(shelf.store.obligation_due_count(due()).await.unwrap(), 19, "{engine:?}");
    }
}

#[tokio::test]
async fn the_mark_of_sweeps_goes_on_and_neither_back_nor_far_ahead_unless_that_is_accepted() {
    for engine in ENGINES {
        let store = shelf(engine).await.store;
        assert_eq!(store.sweep_mark().await.unwrap(), None, "{engine:?}");
        let first = due();
        let swept = async |at, accepted| store.sweep_begin(at, accepted).await.unwrap().swept;
        assert_eq!(swept(first, false).await, first, "the first sets it");
        let outage = first + TimeDelta::days(200);
        assert_eq!(swept(outage, false).await, outage, "{engine:?}");
        assert_eq!(swept(first, false).await, outage, "{engine:?}: it never goes back");
        assert_eq!(swept(first, true).await, outage, "{engine:?}: whatever is accepted");
        let far = outage + TimeDelta::days(200) + microseconds(1);
        let mark = store.sweep_begin(far, false).await.unwrap();
        assert_eq!((mark.swept, mark.is_jumped(far)), (outage, true), "{engine:?}");
        let mark = store.sweep_begin(far, true).await.unwrap();
        assert_eq!((mark.swept, mark.is_jumped(far), mark.success), (far, false, None));
        store.sweep_succeeded(far).await.unwrap();
        assert_eq!(store.sweep_begin(far, false).await.unwrap().success, Some(far), "{engine:?}");
        // By the clock of then: one that went back tells so.
        store.sweep_succeeded(first).await.unwrap();
        let mark = store.sweep_mark().await.unwrap().unwrap();
        assert_eq!((mark.swept, mark.success), (far, Some(first)), "{engine:?}");
    }
}

#[tokio::test]
async fn a_claim_that_fails_leaves_nothing_and_can_be_made_again() {
    for engine in ENGINES {
        let shelf = shelf(engine).await;
        let codes = codes(3);
        shelf.open(&codes).await;
        // The last of its tables is away: what was written to the others before has to go.
        shelf.run("ALTER TABLE notice RENAME TO notice_away").await;
        let failed = shelf.claim(&codes, due()).await;
        assert!(matches!(failed, Err(Error::Database(_))), "{engine:?} {failed:?}");
        shelf.run("ALTER TABLE notice_away RENAME TO notice").await;
        assert_eq!(shelf.still_due(due()).await, 3, "{engine:?}");
        let events = shelf.store.database().events_after(Default::default(), 10).await.unwrap();
        assert!(events.is_empty());
        assert_eq!(shelf.claim(&codes, due()).await.unwrap().len(), 3, "{engine:?}");
        let events = shelf.store.database().events_after(Default::default(), 10).await.unwrap();
        assert_eq!(events.len(), 1);
    }
}

fn dossier(unit: UnitId, number: &str) -> Dossier {
    let term: dunghan_calendar::Term = "3d".parse().unwrap();
    let calendar = dunghan_compliance::official_calendar().unwrap();
    let receive_time = time("2026-05-04 08:00:00");
    Dossier {
        name: DossierName::new(unit, number).unwrap(),
        field: "Hộ tịch".to_owned(),
        channel: Channel::Online,
        receive_time,
        term,
        due: term.due(receive_time, &calendar, &dunghan_calendar::OfficeHours::default()),
        due_generation: 1,
        resolution: None,
    }
}

#[tokio::test]
async fn a_dossier_is_claimed_once_and_not_after_it_was_recorded() {
    for engine in ENGINES {
        let shelf = shelf(engine).await;
        let numbers = ["1", "2", "3"];
        let pending: Vec<_> = [commune("1"), commune("2")]
            .into_iter()
            .flat_map(|unit| numbers.map(|number| dossier(unit, number)))
            .collect();
        let create: Vec<_> = pending.iter().cloned().map(DossierChange::Create).collect();
        let now = pending[0].due.time;
        let write = async |changes: &[DossierChange]| {
            let database = shelf.store.database();
            database.write(async |write| Store::dossier_write(write, changes).await).await.unwrap();
        };
        write(&create).await;
        assert!(shelf.store.dossier_due(now - microseconds(1), 10).await.unwrap().is_empty());
        let found = shelf.store.dossier_due(now, 10).await.unwrap();
        assert_eq!(found.len(), 6, "{engine:?}");
        assert_eq!(shelf.store.dossier_due(now, 4).await.unwrap(), found[..4]);
        // Between the look and the claim one was recorded, and one was resolved in fact alone.
        let complete_time = time("2026-05-06 08:00:00");
        let resolved = |dossier: &Dossier, record_time| {
            let resolution = Some(Resolution { complete_time, record_time });
            DossierChange::Update(Dossier { resolution, ..dossier.clone() })
        };
        write(&[resolved(&found[0], Some(complete_time)), resolved(&found[1], None)]).await;
        let subjects: Vec<_> = found
            .iter()
            .map(|dossier| {
                let (name, words) = (dossier.name.to_string(), dossier.name.number.clone());
                (dossier.name.clone(), Subject { name, due_generation: 1, words })
            })
            .collect();
        let claim = async || {
            shelf.store.dossier_tell(&subjects, bac_ninh(), now, |_| String::new()).await.unwrap()
        };
        let mut expected: Vec<_> = found[1..].iter().map(|one| one.name.to_string()).collect();
        expected.sort();
        assert_eq!(claim().await.unwrap().subjects, expected, "{engine:?}");
        assert_eq!(claim().await, None, "{engine:?}");
        assert!(shelf.store.dossier_due(now, 10).await.unwrap().is_empty());
        // What becomes known afterwards puts nothing on the list again.
        write(&[resolved(&found[2], None)]).await;
        assert!(shelf.store.dossier_due(now, 10).await.unwrap().is_empty(), "{engine:?}");
    }
}

#[tokio::test]
async fn a_period_follows_the_newest_hierarchy_and_never_an_older_one() {
    for engine in ENGINES {
        let shelf = shelf(engine).await;
        let (one, two) = (codes(3), codes(5));
        assert_eq!(shelf.open_by(2, &one).await, 3);
        assert_eq!(shelf.open_by(1, &two).await, 0, "{engine:?}");
        assert_eq!(shelf.open_by(2, &two).await, 0, "{engine:?}");
        let owed = async || {
            let all =
                shelf.store.obligation_all(bac_ninh(), &shelf.regime.id, may()).await.unwrap();
            let at = time("2026-05-18 08:00:00");
            all.into_iter()
                .map(|one| (one.unit_code.clone(), one.standing(at), one.hierarchy_version))
                .collect::<Vec<_>>()
        };
        assert_eq!(owed().await.len(), 3);
        assert_eq!(shelf.open_by(3, &two[1..]).await, 2, "{engine:?}");
        // Each says by which version it is owed: those that stay, by the one by which they came. What is owed no more stays.
        let expected = [
            (&two[0], Standing::Closed, 3),
            (&two[1], Standing::Open, 2),
            (&two[2], Standing::Open, 2),
            (&two[3], Standing::Open, 3),
            (&two[4], Standing::Open, 3),
        ];
        let expected: Vec<_> =
            expected.map(|(code, standing, version)| (code.clone(), standing, version)).into();
        assert_eq!(owed().await, expected, "{engine:?}");
    }
}

#[tokio::test]
async fn what_submission_says_last_holds_in_whatever_order_it_is_told_also_for_who_owes_it_later() {
    for engine in ENGINES {
        let shelf = shelf(engine).await;
        let codes = codes(3);
        let before = due() - microseconds(1);
        // Said before anybody owes it: handed over, taken back, handed over late; told in another order, and twice.
        for sequence in [3, 1, 2, 3] {
            let received =
                [Some(before), None, Some(due())][usize::try_from(sequence).unwrap() - 1];
            shelf.say(&codes[1], sequence, received).await;
            shelf.say(&codes[2], 1, Some(before)).await;
        }
        shelf.open(&codes).await;
        assert_eq!(shelf.say(&codes[0], 2, Some(due())).await, 1);
        assert_eq!(shelf.say(&codes[0], 1, Some(before)).await, 0);
        assert_eq!(shelf.say(&codes[0], 2, Some(before)).await, 0);
        for (code, offset) in codes.iter().zip([0, 0, -1]) {
            let obligation = shelf.store.obligation_fetch(&shelf.name(code)).await.unwrap();
            let received = obligation.receipt.unwrap().time;
            assert_eq!(received, due() + microseconds(offset), "{engine:?} {code}");
        }
        assert_eq!(shelf.still_due(due() + microseconds(60)).await, 0);
        // Taken back: it is missing.
        shelf.say(&codes[2], 2, None).await;
        assert_eq!(shelf.still_due(due() + microseconds(60)).await, 1);
        let nobody = shelf.store.obligation_fetch(&shelf.name("1")).await;
        assert!(matches!(nobody, Err(Error::UnknownObligation(_))), "{engine:?} {nobody:?}");
    }
}

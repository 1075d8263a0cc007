//! What the store promises on both engines alike, where the rpcs' tests do not reach it.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use dunghan_calendar::{DayOffPolicy, DueRule, Family, Frequency, Period};
use dunghan_compliance::domain::consequence::{Fate, consequence};
use dunghan_compliance::domain::dossier::{Channel, Dossier, DossierName, Resolution};
use dunghan_compliance::domain::explain::Waiver;
use dunghan_compliance::domain::notice::Subject;
use dunghan_compliance::domain::obligation::{Obligation, ObligationName, Receipt, Standing};
use dunghan_compliance::domain::regime::{Debtors, Regime, RegimeId, Schedule};
use dunghan_compliance::store::{
    AffectedFilter, AffectedKey, Claim, DossierChange, DueGroup, Error, Migrations, NewObligation,
    ObligationFilter, Store, Within,
};
use dunghan_hierarchy::{Hierarchy, UnitId, Validity};
use dunghan_store::{Database, Write};
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
        form: "forms/cds-1".to_owned(),
        receiving_unit: bac_ninh(),
        schedule: Schedule::Every(Frequency::Month),
        family: Family::Nd09,
        cut_off_as_declared: false,
        due: Some(DueRule::WorkingDaysAfterCutOff(3)),
        day_off: DayOffPolicy::Keep,
        debtors: Debtors::Units(Vec::new()),
        from: day("2026-05-01"),
        through: None,
        create_time: DateTime::UNIX_EPOCH,
    }
}

fn may() -> Period {
    "202605".parse().unwrap()
}

/// A province with communes of these codes.
fn hierarchy(version: u64, codes: &[String]) -> Hierarchy {
    let since = Validity::since(first_day());
    let mut units = vec![unit("24", "Tỉnh Bắc Ninh", None, since)];
    units.extend(codes.iter().map(|code| unit(code, "Xã", Some(bac_ninh()), since)));
    Hierarchy::build(version, units).unwrap()
}

fn codes(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("{}", 30_000 + n)).collect()
}

impl Shelf {
    /// Opens May 2026 for the communes of these codes.
    async fn open(&self, regime: &Regime, due: Option<DateTime<Utc>>, codes: &[String]) -> u64 {
        self.open_by(1, regime, due, codes).await
    }

    async fn open_by(
        &self,
        version: u64,
        regime: &Regime,
        due: Option<DateTime<Utc>>,
        codes: &[String],
    ) -> u64 {
        let hierarchy = hierarchy(version, codes);
        let cut_off = may().window(Family::Nd09).cut_off;
        let debtors: Vec<_> = codes
            .iter()
            .map(|code| NewObligation::of(commune(code), cut_off, &hierarchy))
            .collect();
        self.store.obligation_open(regime, may(), due, &debtors, version).await.unwrap()
    }

    async fn receive(&self, code: &str, at: DateTime<Utc>) {
        let receipts = [(self.name(code), Receipt { report: Uuid::now_v7(), time: at })];
        let write = self
            .store
            .database()
            .write(async |write| Store::receipt_record(write, &receipts).await);
        write.await.unwrap();
    }

    async fn waive(&self, name: &ObligationName, at: DateTime<Utc>) -> Result<Obligation, Error> {
        let waiver = Waiver {
            decision: "1/QĐ".to_owned(),
            reason: "x".to_owned(),
            author: "tester".to_owned(),
            create_time: at,
        };
        self.store.waiver_insert(name, &waiver).await
    }

    fn name(&self, code: &str) -> ObligationName {
        ObligationName { unit: commune(code), regime: self.regime.id.clone(), period: may() }
    }

    fn group(&self) -> DueGroup {
        DueGroup { regime: self.regime.id.clone(), period: may() }
    }

    /// Claims these obligations of a generation, and gives the names told.
    async fn claim(
        &self,
        codes: &[String],
        generation: i32,
        now: DateTime<Utc>,
    ) -> Result<Vec<String>, Error> {
        let subjects: Vec<_> = codes
            .iter()
            .map(|code| {
                let subject = Subject::missing(&self.name(code), generation, code.clone());
                (commune(code), subject)
            })
            .collect();
        let claim = Claim::Missing { group: &self.group(), subjects: &subjects };
        let told = self.store.notice_claim(claim, bac_ninh(), now, |told| {
            told.iter().map(|subject| subject.words.as_str()).collect::<Vec<_>>().join(",")
        });
        let mut names = told.await?.map(|notice| notice.subjects).unwrap_or_default();
        names.sort();
        Ok(names)
    }

    async fn still_due(&self, now: DateTime<Utc>) -> usize {
        self.store.obligation_due(&self.group(), now).await.unwrap().len()
    }

    async fn run(&self, sql: &str) {
        let write = self.store.database().write(async |write| write.execute_unprepared(sql).await);
        write.await.unwrap();
    }
}

#[tokio::test]
async fn the_database_chooses_by_standing_exactly_as_the_domain_judges() {
    const ALL: [Standing; 6] = [
        Standing::Late,
        Standing::Missing,
        Standing::Open,
        Standing::Waived,
        Standing::OnTime,
        Standing::NoDueTime,
    ];
    for engine in ENGINES {
        let mut shelf = shelf(engine).await;
        // Every order that due time, receipt, waiver and the moment asked for can have, to the microsecond.
        let moments: [Option<i64>; 4] = [None, Some(-1), Some(0), Some(1)];
        let cases: Vec<_> =
            moments.iter().flat_map(|received| moments.map(|waived| (*received, waived))).collect();
        let codes = codes(cases.len());
        for (id, due) in [("with-due", Some(due())), ("without-due", None)] {
            shelf.regime = regime(id);
            shelf.open(&shelf.regime, due, &codes).await;
            for (code, (received, waived)) in codes.iter().zip(&cases) {
                // In this order: once received, nothing is waived.
                if let Some(waived) = waived {
                    let at = crate::world::due() + microseconds(*waived);
                    shelf.waive(&shelf.name(code), at).await.unwrap();
                }
                if let Some(received) = received {
                    shelf.receive(code, crate::world::due() + microseconds(*received)).await;
                }
            }
        }
        let store = &shelf.store;
        for offset in -2..=2 {
            let at = due() + microseconds(offset);
            let filter = ObligationFilter::default();
            let all = store.obligation_page(&filter, at, None, 1000).await.unwrap();
            assert_eq!(all.len(), 2 * cases.len());
            for mask in 1..(1_u32 << ALL.len()) {
                let chosen = ALL.iter().enumerate().filter(|(bit, _)| mask & (1 << bit) != 0);
                let standings: Vec<_> = chosen.map(|(_, standing)| *standing).collect();
                // All of one, and all of two: every condition alone, and beside another.
                if standings.len() > 2 {
                    continue;
                }
                let filter = ObligationFilter { standings, ..ObligationFilter::default() };
                let found = store.obligation_page(&filter, at, None, 1000).await.unwrap();
                let judged: Vec<_> = all
                    .iter()
                    .filter(|one| filter.standings.contains(&one.standing(at)))
                    .cloned()
                    .collect();
                assert_eq!(found, judged, "{engine:?} {offset} {:?}", filter.standings);
            }
        }
    }
}

#[tokio::test]
async fn the_database_chooses_what_a_reorganisation_touches_exactly_as_the_domain_judges() {
    for engine in ENGINES {
        let shelf = shelf(engine).await;
        let store = &shelf.store;
        let moments: [Option<i64>; 3] = [None, Some(0), Some(1)];
        let cases: Vec<_> =
            moments.iter().flat_map(|received| moments.map(|waived| (*received, waived))).collect();
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
            (Regime { due: None, ..every("no-due", Frequency::Month, nd09) }, vec!["202605"]),
        ];
        for (regime, periods) in &regimes {
            for period in periods {
                let period: Period = period.parse().unwrap();
                let due = regime.due.map(|_| due());
                let cut_off = regime.window(period).cut_off;
                let hierarchy = hierarchy(1, &codes);
                let debtors: Vec<_> = codes
                    .iter()
                    .map(|code| NewObligation::of(commune(code), cut_off, &hierarchy))
                    .collect();
                store.obligation_open(regime, period, due, &debtors, 1).await.unwrap();
                for (at, code) in codes.iter().enumerate() {
                    let (received, waived) = cases[at / 3];
                    let unit = commune(code);
                    let name = ObligationName { unit, regime: regime.id.clone(), period };
                    // In this order: once received, nothing is waived.
                    if let Some(waived) = waived {
                        let at = crate::world::due() + microseconds(waived);
                        shelf.waive(&name, at).await.unwrap();
                    }
                    if let Some(received) = received {
                        let time = crate::world::due() + microseconds(received);
                        let receipts = [(name, Receipt { report: Uuid::now_v7(), time })];
                        let write =
                            async |write: &Write<'_>| Store::receipt_record(write, &receipts).await;
                        store.database().write(write).await.unwrap();
                    }
                }
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
                let mut judged = store.obligation_page(&all, at, None, 1000).await.unwrap();
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
        let shuffled = ["b", "2", "đ", "", "a", "10", "A", "_", "009"].map(str::to_owned);
        let named: Vec<_> = shuffled.iter().filter(|code| !code.is_empty()).cloned().collect();
        let hierarchy = hierarchy(1, &named);
        let cut_off = may().window(Family::Nd09).cut_off;
        // A unit that the hierarchy does not know has no code, and is below nothing.
        let nameless = UnitId::new("test", "nameless", None);
        let debtors: Vec<_> = shuffled
            .iter()
            .map(|code| if code.is_empty() { nameless } else { commune(code) })
            .map(|unit| NewObligation::of(unit, cut_off, &hierarchy))
            .collect();
        for id in ["b", "a-b", "a"] {
            let regime = regime(id);
            let opened =
                shelf.store.obligation_open(&regime, may(), Some(due()), &debtors, 1).await;
            assert_eq!(opened.unwrap(), 9);
        }
        let expected: Vec<_> = ["a", "a-b", "b"]
            .iter()
            .flat_map(|regime| ordered.map(|code| ((*regime).to_owned(), code.to_owned())))
            .collect();
        for page_size in [1, 2, 5, 100] {
            let (mut walked, mut after) = (Vec::new(), None);
            loop {
                let filter = ObligationFilter::default();
                let page = shelf
                    .store
                    .obligation_page(&filter, due(), after.as_ref(), page_size)
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
            let found = shelf.store.obligation_page(&visible(limits), due(), None, 100).await;
            assert_eq!(found.unwrap().len(), count, "{engine:?}");
        }
    }
}

#[tokio::test]
async fn what_is_claimed_is_told_once_and_only_while_it_is_due() {
    for engine in ENGINES {
        let shelf = shelf(engine).await;
        let codes = codes(6);
        assert_eq!(shelf.open(&shelf.regime, Some(due()), &codes).await, 6);
        assert!(shelf.claim(&codes, 1, due() - microseconds(1)).await.unwrap().is_empty());
        // Between the look and the claim a report came, and a unit was excused.
        shelf.receive(&codes[0], due()).await;
        shelf.waive(&shelf.name(&codes[1]), due()).await.unwrap();
        let names = |codes: &[String]| {
            let mut names: Vec<_> = codes.iter().map(|code| shelf.name(code).to_string()).collect();
            names.sort();
            names
        };
        let first = shelf.claim(&codes[..4], 1, due()).await.unwrap();
        assert_eq!(first, names(&codes[2..4]), "{engine:?}");
        assert_eq!(shelf.still_due(due()).await, 2);
        // Of a claim that overlaps, the rest.
        assert_eq!(shelf.claim(&codes, 1, due()).await.unwrap(), names(&codes[4..]), "{engine:?}");
        assert!(shelf.claim(&codes, 1, due()).await.unwrap().is_empty());
        assert_eq!(shelf.still_due(due()).await, 0);

        // Though they are on the list once more, the claim is there: nobody is told again of one due time.
        shelf
            .run(&format!("UPDATE obligation SET next_check_us = {}", due().timestamp_micros()))
            .await;
        assert!(shelf.claim(&codes, 1, due()).await.unwrap().is_empty(), "{engine:?}");
        shelf
            .run(&format!("UPDATE obligation SET next_check_us = {}", due().timestamp_micros()))
            .await;
        // A new due time is another thing to tell.
        assert_eq!(shelf.claim(&codes, 2, due()).await.unwrap(), names(&codes[2..]), "{engine:?}");
        let notices = shelf.store.notice_page(Some(bac_ninh()), None, 10).await.unwrap();
        assert_eq!(notices.len(), 3);
        let about = shelf.store.notice_about(&names(&codes[2..3])[0]).await.unwrap();
        assert_eq!(about.len(), 2, "{engine:?}");
    }
}

#[tokio::test]
async fn a_claim_that_fails_leaves_nothing_and_can_be_made_again() {
    for engine in ENGINES {
        let shelf = shelf(engine).await;
        let codes = codes(3);
        shelf.open(&shelf.regime, Some(due()), &codes).await;
        // The last of its tables is away: what was written to the others before has to go.
        shelf.run("ALTER TABLE notice RENAME TO notice_away").await;
        let failed = shelf.claim(&codes, 1, due()).await;
        assert!(matches!(failed, Err(Error::Database(_))), "{engine:?} {failed:?}");
        shelf.run("ALTER TABLE notice_away RENAME TO notice").await;
        assert_eq!(shelf.still_due(due()).await, 3, "{engine:?}");
        let events = shelf.store.database().events_after(Default::default(), 10).await.unwrap();
        assert!(events.is_empty());
        assert_eq!(shelf.claim(&codes, 1, due()).await.unwrap().len(), 3, "{engine:?}");
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
            let claim = Claim::Overdue { subjects: &subjects };
            shelf.store.notice_claim(claim, bac_ninh(), now, |_| String::new()).await.unwrap()
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
        assert_eq!(shelf.open_by(2, &shelf.regime, Some(due()), &one).await, 3);
        assert_eq!(shelf.open_by(1, &shelf.regime, Some(due()), &two).await, 0, "{engine:?}");
        assert_eq!(shelf.open_by(2, &shelf.regime, Some(due()), &two).await, 0, "{engine:?}");
        let owed = async || {
            let all =
                shelf.store.obligation_all(bac_ninh(), &shelf.regime.id, may()).await.unwrap();
            all.into_iter()
                .map(|one| (one.unit_code, one.hierarchy_version))
                .collect::<HashMap<_, _>>()
        };
        assert_eq!(owed().await.len(), 3);
        assert_eq!(shelf.open_by(3, &shelf.regime, Some(due()), &two[1..]).await, 2, "{engine:?}");
        let now = owed().await;
        // Each says by which version it is owed: those that stay, by the one by which they came.
        let expected = [(&two[1], 2), (&two[2], 2), (&two[3], 3), (&two[4], 3)];
        assert_eq!(now, expected.map(|(code, version)| (code.clone(), version)).into());
    }
}

#[tokio::test]
async fn the_first_receipt_stays_also_for_who_comes_to_owe_it_later() {
    for engine in ENGINES {
        let shelf = shelf(engine).await;
        let codes = codes(2);
        shelf.receive(&codes[1], due() - microseconds(1)).await;
        shelf.open(&shelf.regime, Some(due()), &codes).await;
        shelf.receive(&codes[0], due()).await;
        for code in &codes {
            shelf.receive(code, due() + microseconds(60)).await;
        }
        for (code, offset) in [(&codes[0], 0), (&codes[1], -1)] {
            let obligation = shelf.store.obligation_fetch(&shelf.name(code)).await.unwrap();
            assert_eq!(
                obligation.receipt.unwrap().time,
                due() + microseconds(offset),
                "{engine:?}"
            );
        }
        assert_eq!(shelf.still_due(due() + microseconds(60)).await, 0);
        let waived = shelf.waive(&shelf.name(&codes[0]), due()).await;
        assert!(matches!(waived, Err(Error::AlreadySubmitted(_))), "{engine:?} {waived:?}");
        let nobody = shelf.waive(&shelf.name("1"), due()).await;
        assert!(matches!(nobody, Err(Error::UnknownObligation(_))), "{engine:?} {nobody:?}");
    }
}

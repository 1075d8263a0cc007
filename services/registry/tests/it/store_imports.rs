//! What the store promises of imports, on both engines.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use dunghan_hierarchy::{Hierarchy, UnitHistory};
use dunghan_proto::registry as pb;
use dunghan_proto::registry::RowOutcome;
use dunghan_registry::store::{
    Error, ImportCounts, ImportRows, ImportState, Store, UnitImport, Verdict,
};
use dunghan_store::{Answered, Position, RequestKey};
use prost::Message as _;
use uuid::Uuid;

use crate::store_conformance::{on_both, two};
use crate::{now, tree};

const OUTCOMES: [RowOutcome; 4] =
    [RowOutcome::Creates, RowOutcome::Updates, RowOutcome::Unchanged, RowOutcome::Refused];

/// The rows of a tree many times over, more than one statement writes, with every outcome.
fn rows(count: usize) -> (Vec<Vec<u8>>, Vec<Verdict>) {
    let tree = tree();
    let unit = two()[0].id;
    let row = |at: usize| {
        let outcome = OUTCOMES[at % 4];
        let problem = pb::RowProblem {
            row: i32::try_from(at).unwrap(),
            field: "code".to_owned(),
            reason: pb::ErrorReason::CodeTaken.into(),
            message: "là mã của đơn vị khác".to_owned(),
        };
        let refused = outcome == RowOutcome::Refused;
        let problems = if refused { vec![problem; 2] } else { Vec::new() };
        let unit = (at % 8 != 7).then_some(unit);
        (tree[at % tree.len()].encode_to_vec(), Verdict { unit, outcome, problems })
    };
    (0..count).map(row).unzip()
}

fn import(state: ImportState) -> UnitImport {
    UnitImport {
        id: Uuid::new_v4(),
        state,
        counts: ImportCounts { received: 9, created: 1, updated: 2, unchanged: 3, refused: 4 },
        creator: "tester".to_owned(),
        create_time: now(),
        committed: None,
        judged_version: 0,
        version: None,
    }
}

/// The next entry of the record.
fn entry(read_at: u64) -> UnitImport {
    UnitImport {
        committed: Some(("tester".to_owned(), now())),
        judged_version: read_at,
        version: Some(read_at + 1),
        ..import(ImportState::Committed)
    }
}

async fn insert(store: &Store, import: &UnitImport, units: &[UnitHistory]) -> Result<(), Error> {
    let (contents, verdicts) = rows(3);
    let rows = ImportRows { contents: &contents, verdicts: &verdicts };
    store.import_insert(import, rows, &units.iter().collect::<Vec<_>>(), None).await
}

async fn assert_stored(store: &Store, version: u64, units: Vec<UnitHistory>) {
    let found = store.known_fetch().await.unwrap().0;
    let expected = Hierarchy::build(version, units).unwrap();
    assert_eq!(found.version(), version);
    assert_eq!(found.histories().collect::<Vec<_>>(), expected.histories().collect::<Vec<_>>());
}

#[tokio::test]
async fn an_import_and_its_rows_read_back_as_they_were() {
    on_both(async |store| {
        let (contents, verdicts) = rows(2500);
        for state in [ImportState::Staged, ImportState::Refused, ImportState::Committed] {
            let import = import(state);
            let rows = ImportRows { contents: &contents, verdicts: &verdicts };
            store.import_insert(&import, rows, &[], None).await.unwrap();
            assert_eq!(store.import_fetch(import.id).await.unwrap(), Some(import.clone()));
            let read = store.import_judged(import.id).await.unwrap();
            assert!(read == (contents.clone(), verdicts.clone()));
            let came = store.import_rows(import.id).await.unwrap();
            let sent = contents.iter().map(|content| pb::UnitRow::decode(&**content).unwrap());
            assert!(came.into_iter().eq(sent));
        }
        assert_eq!(store.import_fetch(Uuid::new_v4()).await.unwrap(), None);
        assert_eq!(store.import_rows(Uuid::new_v4()).await.unwrap(), []);
        assert_stored(&store, 0, Vec::new()).await;
        assert_eq!(store.imports_committed().await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn rows_are_paged_in_their_order_and_by_what_became_of_them() {
    on_both(async |store| {
        let (contents, verdicts) = rows(2500);
        let import = import(ImportState::Refused);
        let rows = ImportRows { contents: &contents, verdicts: &verdicts };
        store.import_insert(&import, rows, &[], None).await.unwrap();
        for outcomes in [vec![], vec![RowOutcome::Refused], OUTCOMES[..2].to_vec()] {
            let outcomes: BTreeSet<_> = outcomes.into_iter().collect();
            let (mut after, mut found) = (None, Vec::new());
            loop {
                let page = store.import_row_page(import.id, &outcomes, after, 700).await.unwrap();
                let Some((last, ..)) = page.last() else { break };
                after = Some(*last);
                found.extend(page);
            }
            let wanted = (1..).zip(contents.iter().zip(&verdicts)).filter(|(_, (_, verdict))| {
                outcomes.is_empty() || outcomes.contains(&verdict.outcome)
            });
            let wanted = wanted.map(|(number, (content, verdict))| {
                (number, pb::UnitRow::decode(&**content).unwrap(), verdict.clone())
            });
            assert!(found.into_iter().eq(wanted), "{outcomes:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn imports_are_paged_the_last_one_first() {
    on_both(async |store| {
        let mut imports = Vec::new();
        // Of the same moment, they are in the order of their ids.
        for minutes in [0, 0, 0, 1, 2, 2] {
            let create_time = now() + TimeDelta::minutes(minutes);
            let import = UnitImport { create_time, ..import(ImportState::Staged) };
            insert(&store, &import, &[]).await.unwrap();
            imports.push(import);
        }
        imports.sort_by_key(UnitImport::key);
        imports.reverse();
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let page = store.import_page(after, 2).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.key());
            found.extend(page);
        }
        assert_eq!(found, imports);
    })
    .await;
}

#[tokio::test]
async fn an_entry_of_the_record_is_stored_with_what_it_makes_of_the_units() {
    on_both(async |store| {
        let first = entry(0);
        insert(&store, &first, &two()).await.unwrap();
        assert_stored(&store, 1, two()).await;
        let mut units = two();
        units[1].versions[0].display_name = "Thủ đô Hà Nội".to_owned();
        let second = entry(1);
        insert(&store, &second, &units[1..]).await.unwrap();
        assert_stored(&store, 2, units).await;
        let record = store.imports_committed().await.unwrap();
        assert_eq!(record, [(1, first.id), (2, second.id)]);
        assert_eq!(store.import_rows(second.id).await.unwrap().len(), 3);
        assert_eq!(store.database().events_after(Position::default(), 10).await.unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn an_entry_that_rests_on_an_older_version_leaves_nothing() {
    on_both(async |store| {
        insert(&store, &entry(0), &two()).await.unwrap();
        for read_at in [0, 2] {
            let late = entry(read_at);
            let overtaken = insert(&store, &late, &two()).await.unwrap_err();
            assert!(matches!(overtaken, Error::Overtaken), "{overtaken:?}");
            assert_eq!(store.import_fetch(late.id).await.unwrap(), None);
        }
        assert_stored(&store, 1, two()).await;
    })
    .await;
}

#[tokio::test]
async fn a_staged_import_is_settled_once() {
    on_both(async |store| {
        let staged = import(ImportState::Staged);
        insert(&store, &staged, &[]).await.unwrap();
        let committed = UnitImport {
            id: staged.id,
            counts: ImportCounts { received: 9, ..ImportCounts::default() },
            ..entry(0)
        };
        let (contents, mut verdicts) = rows(3);
        verdicts.reverse();
        let rows = ImportRows { contents: &contents, verdicts: &verdicts };
        let units = two();
        let units: Vec<_> = units.iter().collect();
        store.import_settle(&committed, Some(rows), &units, now()).await.unwrap();
        assert_eq!(store.import_fetch(staged.id).await.unwrap(), Some(committed.clone()));
        assert_eq!(store.import_judged(staged.id).await.unwrap(), (contents, verdicts.clone()));
        assert_eq!(store.imports_committed().await.unwrap(), [(1, staged.id)]);
        assert_stored(&store, 1, two()).await;

        // Neither the same again nor another end of it.
        let again = UnitImport { judged_version: 1, version: Some(2), ..committed.clone() };
        let refused = UnitImport { id: staged.id, ..import(ImportState::Refused) };
        for late in [again, refused] {
            let overtaken = store.import_settle(&late, None, &units, now()).await.unwrap_err();
            assert!(matches!(overtaken, Error::Overtaken), "{overtaken:?}");
        }
        assert_eq!(store.import_fetch(staged.id).await.unwrap(), Some(committed));
        assert_stored(&store, 1, two()).await;
        assert_eq!(store.import_judged(staged.id).await.unwrap().1, verdicts);
    })
    .await;
}

#[tokio::test]
async fn what_changed_nothing_goes_when_another_one_comes_a_day_later() {
    on_both(async |store| {
        let entry = entry(0);
        insert(&store, &entry, &two()).await.unwrap();
        let old: Vec<UnitImport> =
            [ImportState::Staged, ImportState::Refused, ImportState::Committed]
                .map(import)
                .to_vec();
        for import in &old {
            insert(&store, import, &[]).await.unwrap();
        }
        for (later, left) in [(TimeDelta::days(1), 5), (TimeDelta::microseconds(1), 3)] {
            let before = store.import_page(None, 10).await.unwrap();
            let create_time = before[0].create_time + later;
            let next = UnitImport { create_time, ..import(ImportState::Staged) };
            insert(&store, &next, &[]).await.unwrap();
            assert_eq!(store.import_page(None, 10).await.unwrap().len(), left);
        }
        assert_eq!(store.import_rows(entry.id).await.unwrap().len(), 3);
        for import in &old {
            assert_eq!(store.import_rows(import.id).await.unwrap(), []);
        }
    })
    .await;
}

#[tokio::test]
async fn an_answer_is_kept_with_the_import_and_serves_one_import_only() {
    on_both(async |store| {
        let answer = pb::ImportUnitsResponse { received_count: 3, ..Default::default() };
        let (contents, verdicts) = rows(3);
        let rows = ImportRows { contents: &contents, verdicts: &verdicts };
        let first = entry(0);
        let units = two();
        let units: Vec<_> = units.iter().collect();
        let key = |cut: usize| {
            // The same bytes, cut elsewhere, are others.
            let (one, two) = b"applyrows".split_at(cut);
            RequestKey::in_parts("tester", "ImportUnits", Uuid::from_u128(1), [one, two])
        };
        let reply = Some((&key(5), &answer));
        store.import_insert(&first, rows, &units, reply).await.unwrap();
        assert_eq!(store.request_answered(&key(5)).await.unwrap(), Answered::Yes(answer.clone()));
        let other = store.request_answered::<pb::ImportUnitsResponse>(&key(4)).await.unwrap();
        assert_eq!(other, Answered::Reused);
        // The second of two at once comes to nothing, whatever it would have done.
        for second in [entry(1), import(ImportState::Staged)] {
            let reply = Some((&key(5), &answer));
            let failed = store.import_insert(&second, rows, &units, reply).await.unwrap_err();
            assert!(matches!(failed, Error::Database(_)), "{failed:?}");
            assert_eq!(store.import_fetch(second.id).await.unwrap(), None);
        }
        assert_stored(&store, 1, two()).await;
    })
    .await;
}

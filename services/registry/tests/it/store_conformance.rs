//! What the store promises, on both engines.

use dunghan_hierarchy::{
    Edge, EdgeKind, Hierarchy, Identifier, Kind, Level, NSO, UnitHistory, UnitId, Validity, Version,
};
use dunghan_proto::registry as pb;
use dunghan_registry::store::{EdgeChange, Error, Migrations, Outcome, Recorded, Store};
use dunghan_store::{Database, Position};
use dunghan_testkit::{ENGINES, Place};

use crate::{day, now};

async fn open(place: &Place) -> Store {
    let database = Database::open(&place.location, "registry").await.unwrap();
    database.migrate::<Migrations>().await.unwrap();
    Store::new(database)
}

/// Runs over an empty store of each engine.
pub(crate) async fn on_both(test: impl AsyncFn(Store)) {
    for engine in ENGINES {
        let place = Place::new(engine).await;
        test(open(&place).await).await;
    }
}

fn version(validity: Validity, display_name: &str, parent: Option<UnitId>) -> Version {
    let (kind, level) = (Kind::ThanhPho, Level::Province);
    Version { validity, display_name: display_name.to_owned(), kind, level, parent }
}

fn unit(code: &str, versions: Vec<Version>) -> UnitHistory {
    let held = |scheme: &str, value: String, validity| Identifier {
        scheme: scheme.to_owned(),
        value,
        validity,
    };
    UnitHistory {
        id: UnitId::new(NSO, code, None),
        versions,
        identifiers: vec![
            held("dinh_danh", format!("H{code}"), Validity::since(day("2020-07-20"))),
            held(NSO, code.to_owned(), Validity::OPEN),
        ],
    }
}

/// The child comes before its parent by id or after it, as it happens; the store must not mind.
pub(crate) fn two() -> Vec<UnitHistory> {
    let reform = day("2025-07-01");
    let parent = UnitId::new(NSO, "01", None);
    vec![
        unit("02", vec![version(Validity::since(reform), "Phường Hoà  «Thủy»", Some(parent))]),
        unit(
            "01",
            vec![
                version(Validity::before(reform), "Thành phố Hà Nội", None),
                version(Validity::since(reform), "Thành phố Hà Nội", None),
            ],
        ),
    ]
}

async fn save(store: &Store, read_at: u64, units: &[UnitHistory]) -> Result<(), Error> {
    let units: Vec<_> = units.iter().collect();
    let keep = EdgeChange::Keep;
    store.hierarchy_move(read_at, read_at + 1, &units, keep, now(), async |_| Ok(())).await
}

fn assert_holds(found: &Hierarchy, version: u64, units: Vec<UnitHistory>) {
    let expected = Hierarchy::build(version, units).unwrap();
    assert_eq!(found.version(), version);
    assert_eq!(found.histories().collect::<Vec<_>>(), expected.histories().collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_stored_reads_back_the_same() {
    on_both(async |store| {
        assert_holds(&store.known_fetch().await.unwrap().0, 0, Vec::new());
        save(&store, 0, &two()).await.unwrap();
        assert_holds(&store.known_fetch().await.unwrap().0, 1, two());
    })
    .await;
}

#[tokio::test]
async fn a_unit_is_replaced_whole_and_the_others_stay() {
    on_both(async |store| {
        save(&store, 0, &two()).await.unwrap();
        let mut units = two();
        units[1].versions = vec![version(Validity::OPEN, "Thủ đô Hà Nội", None)];
        units[1].identifiers.pop();
        save(&store, 1, &units[1..]).await.unwrap();
        assert_holds(&store.known_fetch().await.unwrap().0, 2, units);
    })
    .await;
}

#[tokio::test]
async fn whoever_rests_on_an_older_version_writes_nothing() {
    on_both(async |store| {
        save(&store, 0, &two()).await.unwrap();
        for read_at in [0, 2] {
            let units = [unit("03", vec![version(Validity::OPEN, "Tỉnh Ba", None)])];
            let overtaken = save(&store, read_at, &units).await.unwrap_err();
            assert!(matches!(overtaken, Error::Overtaken), "{overtaken:?}");
        }
        assert_holds(&store.known_fetch().await.unwrap().0, 1, two());
    })
    .await;
}

#[tokio::test]
async fn a_write_that_fails_leaves_neither_units_nor_event() {
    on_both(async |store| {
        let mut units = two();
        units[0].versions[0].parent = Some(UnitId::new(NSO, "99", None));
        let failed = save(&store, 0, &units).await.unwrap_err();
        assert!(matches!(failed, Error::Database(_)), "{failed:?}");
        assert_holds(&store.known_fetch().await.unwrap().0, 0, Vec::new());
        assert_eq!(store.database().events_after(Position::default(), 10).await.unwrap().len(), 0);
    })
    .await;
}

fn edge(predecessor: &str, successor: &str, kind: EdgeKind, reorganisation: &str) -> Edge {
    Edge {
        effective: day("2025-07-01"),
        predecessor: UnitId::new(NSO, predecessor, None),
        successor: UnitId::new(NSO, successor, None),
        kind,
        reorganisation: reorganisation.into(),
    }
}

fn recorded(id: &str, effective: &str, version: u64) -> Recorded {
    let change = pb::Rename { unit: None, display_name: "Tỉnh Kinh Bắc".to_owned() };
    let change = pb::Change { change: Some(pb::change::Change::Rename(change)) };
    Recorded {
        id: id.to_owned(),
        effective: day(effective),
        version,
        corrects: None,
        corrected_by: None,
        creator: "lan".to_owned(),
        create_time: now(),
        stated: pb::Reorganisation {
            title: "Sắp xếp «cấp xã»".to_owned(),
            legal_basis: "Nghị quyết 202/2025/QH15".to_owned(),
            changes: vec![change],
            unconfirmed: vec![pb::UnconfirmedEdge::default()],
            ..Default::default()
        },
    }
}

async fn record(
    store: &Store,
    read_at: u64,
    new: &[Recorded],
    edges: EdgeChange<'_>,
) -> Result<(), Error> {
    let outcome = Outcome { read_at, units: &[], edges };
    store.reorganisations_record(new, outcome, now(), None).await
}

#[tokio::test]
async fn a_reorganisation_reads_back_as_it_was_recorded_with_its_edges() {
    on_both(async |store| {
        let units = ["01", "02", "03"]
            .map(|code| unit(code, vec![version(Validity::OPEN, "Tỉnh Một", None)]));
        save(&store, 0, &units).await.unwrap();
        let (first, second) =
            (recorded("aaaa", "2025-07-01", 2), recorded("bbbb", "2025-07-01", 3));
        let edges = [
            edge("01", "02", EdgeKind::Merged, "aaaa"),
            edge("01", "03", EdgeKind::SplitMain, "bbbb"),
            edge("02", "03", EdgeKind::SplitPart, "bbbb"),
        ];
        let both = [first.clone(), second.clone()];
        record(&store, 1, &both, EdgeChange::Add(&edges)).await.unwrap();
        let (hierarchy, known) = store.known_fetch().await.unwrap();
        assert_eq!((hierarchy.version(), hierarchy.edges()), (3, &edges[..]));
        let mut known: Vec<_> = known.into_iter().collect();
        known.sort_by_key(|one| one.version);
        assert!(known.iter().all(|one| one.stated.changes.is_empty()));
        assert_eq!(known, both.each_ref().map(Recorded::without_changes));
        assert_eq!(store.reorganisation_fetch("aaaa").await.unwrap(), Some(first.clone()));
        assert_eq!(store.reorganisation_fetch("cccc").await.unwrap(), None);
        let many = store.reorganisation_fetch_many(&["bbbb", "cccc"]).await.unwrap();
        assert_eq!(many, [(second.id.clone(), second.clone())].into());
        assert_eq!(store.reorganisation_all().await.unwrap(), both);

        // More of them join those, or stand in the place of all.
        let more = [edge("03", "01", EdgeKind::Merged, "aaaa")];
        let third = recorded("cccc", "2026-01-01", 4);
        record(&store, 3, std::slice::from_ref(&third), EdgeChange::Add(&more)).await.unwrap();
        assert_eq!(store.known_fetch().await.unwrap().0.edges().len(), 4);
        let fourth = recorded("dddd", "2026-01-01", 5);
        record(&store, 4, &[fourth], EdgeChange::Replace(&more)).await.unwrap();
        assert_eq!(store.known_fetch().await.unwrap().0.edges(), more);
    })
    .await;
}

#[tokio::test]
async fn a_reorganisation_that_is_corrected_stays_and_names_the_one_that_holds() {
    on_both(async |store| {
        let first = recorded("aaaa", "2025-07-01", 1);
        record(&store, 0, std::slice::from_ref(&first), EdgeChange::Keep).await.unwrap();
        let correcting = |id: &str, version| Recorded {
            corrects: Some("aaaa".to_owned()),
            ..recorded(id, "2025-07-01", version)
        };
        let second = correcting("bbbb", 2);
        record(&store, 1, std::slice::from_ref(&second), EdgeChange::Keep).await.unwrap();
        let corrected = Recorded { corrected_by: Some("bbbb".to_owned()), ..first };
        let all = store.reorganisation_all().await.unwrap();
        assert_eq!(all, [corrected, second.clone()]);
        let (_, known) = store.known_fetch().await.unwrap();
        assert_eq!(known, [second.without_changes()]);
        // In one place stands one.
        let third = record(&store, 2, &[correcting("cccc", 3)], EdgeChange::Keep).await;
        assert!(matches!(third, Err(Error::Database(_))), "{third:?}");
        assert_eq!(store.reorganisation_all().await.unwrap(), all);
        assert_eq!(store.hierarchy_version().await.unwrap(), 2);
    })
    .await;
}

#[tokio::test]
async fn reorganisations_are_paged_by_date_and_the_last_recorded_first() {
    on_both(async |store| {
        let days = ["2025-07-01", "2026-01-01", "2024-01-01", "2026-01-01", "2025-07-01"];
        let all: Vec<Recorded> = (1..)
            .zip(days)
            .map(|(version, day)| recorded(&format!("id-{version}"), day, version))
            .collect();
        record(&store, 0, &all, EdgeChange::Keep).await.unwrap();
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.reorganisation_page(after.as_ref(), 2).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some((last.effective, last.version));
            found.extend(page);
        }
        let expected = [4, 2, 5, 1, 3].map(|version| all[version - 1].without_changes());
        assert_eq!(found, expected);
    })
    .await;
}

#[tokio::test]
async fn whoever_was_overtaken_records_nothing() {
    on_both(async |store| {
        save(&store, 0, &two()).await.unwrap();
        for read_at in [0, 2] {
            let one = recorded("aaaa", "2025-07-01", read_at + 1);
            let overtaken = record(&store, read_at, &[one], EdgeChange::Keep).await;
            assert!(matches!(overtaken, Err(Error::Overtaken)), "{overtaken:?}");
        }
        // Nor whoever says something of units that there are not.
        let edges = [edge("01", "99", EdgeKind::Merged, "aaaa")];
        let one = recorded("aaaa", "2025-07-01", 2);
        let failed = record(&store, 1, &[one], EdgeChange::Add(&edges)).await;
        assert!(matches!(failed, Err(Error::Database(_))), "{failed:?}");
        assert_eq!(store.reorganisation_all().await.unwrap(), []);
        assert_holds(&store.known_fetch().await.unwrap().0, 1, two());
        let told = store.database().events_after(Position::default(), 10).await.unwrap();
        assert_eq!(told.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_unit_without_versions_stays_known() {
    on_both(async |store| {
        save(&store, 0, &two()).await.unwrap();
        let mut units = two();
        units[0].versions.clear();
        units[0].identifiers.clear();
        save(&store, 1, &units[..1]).await.unwrap();
        assert_holds(&store.known_fetch().await.unwrap().0, 2, units);
    })
    .await;
}

//! What the store promises, on both engines.

use dunghan_hierarchy::{
    Hierarchy, Identifier, Kind, Level, NSO, UnitHistory, UnitId, Validity, Version,
};
use dunghan_registry::store::{Error, Migrations, Store};
use dunghan_store::{Database, Position};
use dunghan_testkit::{ENGINES, Place};

use crate::{day, now};

async fn open(place: &Place) -> Store {
    let database = Database::open(&place.location, "registry").await.unwrap();
    database.migrate::<Migrations>().await.unwrap();
    Store::new(database)
}

/// Runs over an empty store of each engine.
async fn on_both(test: impl AsyncFn(Store)) {
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
fn two() -> Vec<UnitHistory> {
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
    store.units_replace(read_at, &units.iter().collect::<Vec<_>>(), now()).await
}

fn assert_holds(found: &Hierarchy, version: u64, units: Vec<UnitHistory>) {
    let expected = Hierarchy::build(version, units).unwrap();
    assert_eq!(found.version(), version);
    assert_eq!(found.histories().collect::<Vec<_>>(), expected.histories().collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_stored_reads_back_the_same() {
    on_both(async |store| {
        assert_holds(&store.hierarchy_fetch().await.unwrap(), 0, Vec::new());
        save(&store, 0, &two()).await.unwrap();
        assert_holds(&store.hierarchy_fetch().await.unwrap(), 1, two());
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
        assert_holds(&store.hierarchy_fetch().await.unwrap(), 2, units);
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
        assert_holds(&store.hierarchy_fetch().await.unwrap(), 1, two());
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
        assert_holds(&store.hierarchy_fetch().await.unwrap(), 0, Vec::new());
        assert_eq!(store.database().events_after(Position::default(), 10).await.unwrap().len(), 0);
    })
    .await;
}

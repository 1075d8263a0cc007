//! The whole country with its history, on each engine.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::path::Path;

use chrono::NaiveDate;
use dunghan_events::{Units, level};
use dunghan_hierarchy::{Edge, Hierarchy, Level, NSO, UnitHistory, UnitId};
use dunghan_proto::events::ListEventsRequest;
use dunghan_proto::events::event::Payload;
use dunghan_proto::registry as pb;
use dunghan_registry::store::Store;
use dunghan_registry::{bundle, rows_from_csv};
use dunghan_store::Database;
use dunghan_testkit::{Engine, Testing, eventually, refusal};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::changes::reorganisations;
use crate::copies::histories;
use crate::{Client, SOON, by_code, by_name, client, codes, date, day, import, name, start};

const REFORM: &str = "2025-07-01";
const DAY_BEFORE: &str = "2025-06-30";

#[tokio::test]
async fn the_country_is_right_on_every_date_on_sqlite() {
    country(Engine::Sqlite).await;
}

#[tokio::test]
async fn the_country_is_right_on_every_date_on_postgres() {
    country(Engine::Postgres).await;
}

#[tokio::test]
async fn lists_that_came_in_before_are_no_hindrance_on_sqlite() {
    lists_first(Engine::Sqlite).await;
}

#[tokio::test]
async fn lists_that_came_in_before_are_no_hindrance_on_postgres() {
    lists_first(Engine::Postgres).await;
}

/// The rows that the list of before has, and the provinces that stayed as they were.
const ROWS: i32 = 10_794 + 11;
/// New units: all of since but those that stayed the same.
const UNITS: i32 = 10_794 + 3_355 - 143;
/// The provinces, the communes of each, the districts, and three cities.
const REORGANISATIONS: i32 = 1 + 34 + 1 + 3;

/// Loads what the product brings along.
async fn load(testing: &Testing) -> (pb::ImportUnitsResponse, i32) {
    let bundle = bundle().unwrap();
    let rows = import(&mut client(testing, "operator"), bundle.rows).await;
    assert_eq!(rows.problems, []);
    let requests = bundle.reorganisations;
    let request = pb::BatchCreateReorganisationsRequest { requests };
    let mut operator = reorganisations(testing, "operator");
    let answer = operator.batch_create_reorganisations(request).await.unwrap().into_inner();
    assert_eq!(answer.reorganisations.len(), usize::try_from(REORGANISATIONS).unwrap());
    (rows, answer.created_count)
}

async fn copy(testing: &Testing) -> std::sync::Arc<Hierarchy> {
    Units::new(testing.channel(&["service"])).current().await.unwrap()
}

async fn country(engine: Engine) {
    let testing = start(engine).await;
    let (first, recorded) = load(&testing).await;
    assert_eq!(
        (first.received_count, first.created_count, recorded),
        (ROWS, 10_794, REORGANISATIONS)
    );
    let version = 1 + i64::from(REORGANISATIONS);
    let (second, recorded) = load(&testing).await;
    assert_eq!((second.unchanged_count, second.updated_count, recorded), (10_794, 0, 0));
    assert_eq!((second.created_count, second.hierarchy_version), (0, version));
    told_once(&testing).await;

    let mut reader = client(&testing, "reader");
    counts(&mut reader).await;
    the_code_24(&mut reader).await;
    other_codes(&mut reader).await;
    names(&mut reader).await;
    below_bac_ninh(&mut reader).await;
    five_reports(&mut reader).await;

    let copy = copy(&testing).await;
    is_the_list(&copy, DAY_BEFORE, "units_legacy.csv");
    is_the_list(&copy, REFORM, "units_2025.csv");
    every_commune_has_a_successor_or_is_reported(&testing, &copy).await;
    let place = testing.stop().await;
    let database = Database::open(&place.location, "registry").await.unwrap();
    let stored = Store::new(database).known_fetch().await.unwrap().0;
    assert_eq!((copy.len(), copy.version()), (usize::try_from(UNITS).unwrap(), version as u64));
    assert!(histories(&copy) == histories(&stored), "the copy is what is stored");
    assert!(copy.edges() == stored.edges(), "its edges are what is stored");
}

/// One import, one batch: each version was told once, and the second load told nobody of anything.
async fn told_once(testing: &Testing) {
    let mut service = client(testing, "service");
    let expected = 2 + usize::try_from(REORGANISATIONS).unwrap();
    let events = eventually(SOON, async || {
        let answer = service.list_events(ListEventsRequest::default()).await.unwrap();
        let events = answer.into_inner().events;
        (events.len() >= expected).then_some(events)
    });
    let events = events.await;
    assert_eq!(events.len(), expected);
    let changed = events.iter().filter(|e| matches!(e.payload, Some(Payload::UnitsChanged(_))));
    assert_eq!(changed.count(), 2);
}

fn bundled(file: &str) -> File {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    File::open(folder.join(file)).unwrap()
}

/// Code, name, kind, level and code of the parent of each unit are those of the list.
fn is_the_list(hierarchy: &Hierarchy, as_of: &str, file: &str) {
    let as_of = day(as_of);
    let code = |unit: UnitId| hierarchy.unit(unit, as_of).unwrap().code(NSO).unwrap().to_owned();
    let found: BTreeSet<_> = hierarchy
        .units(as_of)
        .into_iter()
        .map(|unit| {
            let version = hierarchy.unit(unit, as_of).unwrap().version;
            let (kind, level) = (version.kind.to_string(), version.level.to_string());
            let parent = version.parent.map(code).unwrap_or_default();
            (code(unit), version.display_name.clone(), kind, level, parent)
        })
        .collect();
    let listed = rows_from_csv(bundled(file), None, None).unwrap();
    let listed: BTreeSet<_> = listed
        .into_iter()
        .map(|row| {
            let kind = dunghan_events::kind(row.kind()).to_string();
            let level = level(row.level()).to_string();
            (row.code, row.display_name, kind, level, row.parent_code)
        })
        .collect();
    let differ: Vec<_> = found.symmetric_difference(&listed).take(5).collect();
    assert_eq!(differ, Vec::<&_>::new(), "{as_of} {file}");
}

async fn every_commune_has_a_successor_or_is_reported(testing: &Testing, hierarchy: &Hierarchy) {
    let mut reader = reorganisations(testing, "reader");
    let list = pb::ListReorganisationsRequest { page_size: 1000, ..Default::default() };
    let all = reader.list_reorganisations(list).await.unwrap().into_inner().reorganisations;
    let unconfirmed: Vec<_> = all.iter().flat_map(|one| &one.unconfirmed).collect();
    assert_eq!(unconfirmed.len(), 36);
    let (before, reform) = (day(DAY_BEFORE), day(REFORM));
    let without: BTreeSet<String> = hierarchy
        .units(before)
        .into_iter()
        .map(|unit| hierarchy.unit(unit, before).unwrap())
        .filter(|view| view.version.level == Level::Commune)
        .filter(|view| hierarchy.unit(view.id, reform).is_none())
        .filter(|view| hierarchy.successors(view.id).next().is_none())
        .map(|view| view.code(NSO).unwrap().to_owned())
        .collect();
    assert_eq!(without, ["01651", "02482"].map(str::to_owned).into());
    let reported: BTreeSet<&str> =
        unconfirmed.iter().map(|edge| edge.predecessor_code.as_str()).collect();
    assert!(without.iter().all(|code| reported.contains(code.as_str())));
    // Whatever was reported is of a unit of before, and never an edge as well.
    for edge in unconfirmed {
        let unit: UnitId = edge.predecessor.parse().unwrap();
        let view = hierarchy.unit(unit, before).unwrap();
        assert_eq!(view.code(NSO), Some(edge.predecessor_code.as_str()));
        let successor = hierarchy.by_code(NSO, &edge.successor_code, reform).unwrap();
        assert!(hierarchy.successors(unit).all(|edge| edge.successor != successor));
    }
    // 10,533 lines of the table of mergers are edges.
    assert_eq!(hierarchy.edges().len(), 9_430 + 29 + 23 + 469 + 530 + 5);
}

/// The registry as it was when the country came in as two lists and what changed since.
async fn lists_first(engine: Engine) {
    let testing = start(engine).await;
    let mut operator = client(&testing, "operator");
    let old = import(&mut operator, both_lists()).await;
    assert_eq!((old.problems, old.created_count), (vec![], UNITS));
    let (rows, recorded) = load(&testing).await;
    assert_eq!((rows.updated_count, rows.created_count, recorded), (0, 0, REORGANISATIONS));
    let (_, again) = load(&testing).await;
    assert_eq!(again, 0);
    let lists = copy(&testing).await;

    let fresh = start(engine).await;
    load(&fresh).await;
    let fresh = copy(&fresh).await;
    let of = |hierarchy: &Hierarchy| -> (Vec<UnitHistory>, Vec<Edge>) {
        (histories(hierarchy), hierarchy.edges().to_vec())
    };
    let ((units, edges), (fresh_units, fresh_edges)) = (of(&lists), of(&fresh));
    let differ = units.iter().zip(&fresh_units).find(|(one, two)| one != two);
    assert_eq!((differ, units.len()), (None, fresh_units.len()));
    assert!(edges == fresh_edges, "the edges are the same");
}

/// Both lists with the day between them, and three rows about cities.
fn both_lists() -> Vec<pb::UnitRow> {
    let reform: NaiveDate = day(REFORM);
    let lines = |file: &str| -> Vec<Vec<String>> {
        let text = std::io::read_to_string(bundled(file)).unwrap();
        let fields = |line: &str| line.split(',').map(str::to_owned).collect();
        text.lines().skip(1).map(fields).collect()
    };
    let same = ["unchanged", "whole_renamed_or_retyped", "province_unchanged"];
    let kept: HashMap<String, String> = lines("unit_mergers.csv")
        .into_iter()
        .filter(|line| same.contains(&line[3].as_str()))
        .map(|line| (line[2].clone(), line[0].clone()))
        .collect();
    let mut rows = rows_from_csv(bundled("units_legacy.csv"), None, reform.pred_opt()).unwrap();
    let mut current = rows_from_csv(bundled("units_2025.csv"), Some(reform), None).unwrap();
    for row in &mut current {
        row.origin_code = kept.get(&row.code).cloned().unwrap_or_default();
    }
    let by_code: BTreeMap<_, _> = current.iter().map(|row| (row.code.clone(), row)).collect();
    let cities = lines("unit_changes_2026.csv").into_iter().map(|line| {
        let mut row = by_code[&line[0]].clone();
        if row.origin_code.is_empty() {
            row.origin_code.clone_from(&row.code);
            row.origin_date = date(REFORM);
        }
        row.display_name.clone_from(&line[2]);
        row.set_kind(pb::Kind::ThanhPho);
        row.valid_from_date = date(&line[5]);
        row
    });
    let cities: Vec<_> = cities.collect();
    rows.extend(current);
    rows.extend(cities);
    for (number, row) in (1..).zip(&mut rows) {
        row.row = number;
    }
    rows
}

async fn lineage(reader: &mut Client, code: &str, as_of: &str) -> pb::Lineage {
    let unit = by_code(reader, code, as_of).await.unwrap();
    let request = pb::GetLineageRequest { name: unit.name, as_of_date: date(as_of) };
    reader.get_lineage(request).await.unwrap().into_inner()
}

/// Code, name, names of those above, and how the unit got there, of each step.
fn steps(steps: &[pb::LineageStep], successors: bool) -> Vec<(String, String, String, &str)> {
    let one = |step: &pb::LineageStep| {
        let unit = if successors { &step.successor } else { &step.predecessor };
        let unit = unit.as_ref().unwrap();
        let kind = step.kind().as_str_name().trim_start_matches("EDGE_KIND_");
        (unit.statistics_code.clone(), unit.display_name.clone(), step.path.join(", "), kind)
    };
    steps.iter().map(one).collect()
}

fn step(
    (code, name, path, kind): (&str, &str, &str, &'static str),
) -> (String, String, String, &'static str) {
    (code.to_owned(), name.to_owned(), path.to_owned(), kind)
}

/// What became of the units that wrote the five reports at hand.
async fn five_reports(reader: &mut Client) {
    let kien_tuong = lineage(reader, "27787", "2024-09-30").await;
    let expected = [step(("27787", "Phường Kiến Tường", "Tỉnh Tây Ninh", "MERGED"))];
    assert_eq!(steps(&kien_tuong.successors, true), expected);
    let now = kien_tuong.successors[0].clone();
    assert_eq!((now.distance, now.effective_date), (1, date(REFORM)));
    assert_eq!(now.reorganisation, "reorganisations/cap-xa-2025-80");
    assert!(now.legal_basis.contains("16/06/2025"), "{}", now.legal_basis);
    let before = now.predecessor.unwrap();
    assert_eq!((before.display_name.as_str(), before.uncertain), ("Phường 1", true));
    assert_eq!((kien_tuong.known_from_date, kien_tuong.ended_without_successor), (None, false));

    let tri_qua = lineage(reader, "09427", "2026-05-18").await;
    assert_eq!((tri_qua.successors.len(), tri_qua.known_from_date), (0, date(REFORM)));
    let before: Vec<_> = steps(&tri_qua.predecessors, false);
    assert!(before.iter().all(|(_, _, path, _)| path == "Thị xã Thuận Thành, Tỉnh Bắc Ninh"));
    assert!(before.iter().any(|(code, ..)| code == "09427"), "{before:?}");

    let binh_duong = lineage(reader, "21733", "2024-05-31").await;
    let [successor] = &steps(&binh_duong.successors, true)[..] else { panic!("{binh_duong:#?}") };
    assert_eq!(*successor, step(("21733", "Xã Bình Dương", "Tỉnh Gia Lai", "MERGED")));

    let dai_hop = lineage(reader, "11119", "2023-12-31").await;
    let [successor] = &steps(&dai_hop.successors, true)[..] else { panic!("{dai_hop:#?}") };
    assert_eq!(*successor, step(("11113", "Xã Tân Kỳ", "Thành phố Hải Phòng", "MERGED")));

    let phung_hiep = lineage(reader, "934", "2024-05-18").await;
    let communes: Vec<_> = steps(&phung_hiep.successors, true);
    let codes: Vec<&str> = communes.iter().map(|(code, ..)| code.as_str()).collect();
    assert_eq!(codes, ["31393", "31396", "31399", "31408", "31420", "31426", "31432"]);
    let through = |(_, _, path, kind): &(String, String, String, &str)| {
        (path.as_str(), *kind) == ("Thành phố Cần Thơ", "THROUGH_CHILDREN")
    };
    assert!(communes.iter().all(through), "{communes:?}");
    assert!(!phung_hiep.ended_without_successor);
    // A part of one of its communes is said to have gone elsewhere, which is not confirmed.
    let reported: Vec<_> =
        phung_hiep.unconfirmed.iter().map(|edge| edge.successor_code.as_str()).collect();
    assert!(reported.contains(&"31741"), "{reported:?}");

    // Bắc Ninh became part of a new province with Bắc Giang's code, and that a city.
    let bac_ninh = lineage(reader, "27", DAY_BEFORE).await;
    assert_eq!(steps(&bac_ninh.successors, true), [step(("24", "Tỉnh Bắc Ninh", "", "MERGED"))]);
    let [city] = &bac_ninh.changes[..] else { panic!("{:#?}", bac_ninh.changes) };
    assert_eq!(
        (city.unit.as_str(), city.effective_date),
        (&*name("24", REFORM), date("2026-09-20"))
    );
    let [was, is] = [&city.before, &city.after].map(|unit| unit.as_ref().unwrap());
    assert_eq!((was.kind(), is.kind()), (pb::Kind::Tinh, pb::Kind::ThanhPho));
    let back = lineage(reader, "24", "2026-11-22").await;
    let before =
        [step(("24", "Tỉnh Bắc Giang", "", "MERGED")), step(("27", "Tỉnh Bắc Ninh", "", "MERGED"))];
    assert_eq!(steps(&back.predecessors, false), before);

    // A district that became a special zone passed to it by law.
    let bach_long_vi = lineage(reader, "318", DAY_BEFORE).await;
    let expected = ("11948", "Đặc khu Bạch Long Vĩ", "Thành phố Hải Phòng", "MERGED");
    assert_eq!(steps(&bach_long_vi.successors, true), [step(expected)]);
    // Of this one nothing is confirmed.
    let unknown = lineage(reader, "01651", DAY_BEFORE).await;
    assert!(unknown.ended_without_successor && unknown.successors.is_empty());
    assert!(!unknown.unconfirmed.is_empty());
}

async fn counts(reader: &mut Client) {
    use pb::Level::{Commune, District, Province};
    for (as_of, level, expected) in [
        ("2025-06-30", Province, 63),
        ("2025-06-30", District, 696),
        ("2025-06-30", Commune, 10_035),
        ("2025-07-01", Province, 34),
        ("2025-07-01", District, 0),
        ("2025-07-01", Commune, 3_321),
        ("", Province, 34),
        ("", Commune, 3_321),
    ] {
        let request = pb::ListUnitsRequest {
            as_of_date: date(as_of),
            levels: vec![level.into()],
            page_size: 1,
            ..Default::default()
        };
        let listed = reader.list_units(request).await.unwrap().into_inner();
        assert_eq!(listed.total_size, expected, "{as_of} {level:?}");
    }
}

async fn the_code_24(reader: &mut Client) {
    let bac_giang = by_code(reader, "24", "2025-06-30").await.unwrap();
    let bac_ninh = by_code(reader, "24", "2025-07-01").await.unwrap();
    let city = by_code(reader, "24", "2026-09-20").await.unwrap();
    assert_eq!((bac_giang.display_name.as_str(), bac_giang.uncertain), ("Tỉnh Bắc Giang", true));
    assert_eq!((bac_ninh.display_name.as_str(), bac_ninh.uncertain), ("Tỉnh Bắc Ninh", false));
    assert_ne!(bac_giang.name, bac_ninh.name);
    assert_eq!((city.name, city.display_name.as_str()), (bac_ninh.name, "Thành phố Bắc Ninh"));
    assert_eq!(pb::Kind::try_from(city.kind), Ok(pb::Kind::ThanhPho));
    assert_eq!(bac_ninh.valid_through_date, date("2026-09-19"));
}

async fn other_codes(reader: &mut Client) {
    let thanh_khuong = by_code(reader, "09427", "2025-06-30").await.unwrap();
    let tri_qua = by_code(reader, "09427", "2026-05-18").await.unwrap();
    assert_eq!(thanh_khuong.display_name, "Phường Thanh Khương");
    assert_eq!(tri_qua.display_name, "Phường Trí Quả");
    assert_eq!(tri_qua.parent_unit, name("24", "2025-07-01"));
    // A commune that the reform left as it was is the same one, under the province.
    let before = by_code(reader, "31105", "2025-06-30").await.unwrap();
    let since = by_code(reader, "31105", "2025-07-01").await.unwrap();
    assert_eq!((before.name, since.display_name.as_str()), (since.name, "Đặc khu Thổ Châu"));
    assert_eq!(since.parent_unit, name("91", "2025-07-01"));
    // Of a province that nothing happened to it is known since the list of the reform that it is so.
    let ha_noi = by_code(reader, "01", "2026-11-22").await.unwrap();
    assert_eq!((ha_noi.name, ha_noi.uncertain), (name("01", ""), false));

    let phung_hiep = by_code(reader, "934", "2025-06-30").await.unwrap();
    assert_eq!(phung_hiep.display_name, "Huyện Phụng Hiệp");
    let abolished = by_code(reader, "934", "2025-07-01").await.unwrap_err();
    assert_eq!(refusal(&abolished), (Code::NotFound, "CODE_NOT_VALID_ON_DATE".to_owned()));
    let metadata = abolished.get_details_error_info().unwrap().metadata;
    assert_eq!(metadata["held"], format!("{} ../2025-06-30", phung_hiep.name));
    let unknown = by_code(reader, "00000", "").await.unwrap_err();
    assert_eq!(refusal(&unknown), (Code::NotFound, "CODE_NOT_FOUND".to_owned()));
}

async fn names(reader: &mut Client) {
    let homonyms = by_name(reader, "Đại Hợp", "2024-06-30", "").await;
    for code in ["11119", "11752"] {
        assert!(codes(&homonyms).contains(&code), "{:?}", codes(&homonyms));
    }
    let hai_duong = by_code(reader, "30", "2024-06-30").await.unwrap().name;
    let one = by_name(reader, "xa dai hop", "2024-06-30", &hai_duong).await;
    assert_eq!(codes(&one)[0], "11119");
    assert!(by_name(reader, "Tân", "", "").await.len() == 20);
    assert_eq!(by_name(reader, "Không Có Đâu", "", "").await, []);
}

async fn below_bac_ninh(reader: &mut Client) {
    let mut request = pb::ListDescendantsRequest {
        name: name("24", "2025-07-01"),
        as_of_date: date("2026-05-20"),
        page_size: 40,
        ..Default::default()
    };
    let (mut found, mut pages) = (Vec::new(), 0);
    loop {
        let page = reader.list_descendants(request.clone()).await.unwrap().into_inner();
        assert_eq!(page.total_size, 99);
        found.extend(page.units);
        pages += 1;
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let codes = codes(&found);
    assert_eq!((pages, codes.len()), (3, 99));
    assert!(codes.is_sorted() && codes.contains(&"09427"));
    assert!(found.iter().all(|unit| unit.level() == pb::Level::Commune));
}

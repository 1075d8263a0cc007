//! The whole country with its history, on each engine.

use dunghan_events::Units;
use dunghan_proto::events::ListEventsRequest;
use dunghan_proto::registry as pb;
use dunghan_registry::{bundled_units, store::Store};
use dunghan_store::Database;
use dunghan_testkit::{Engine, eventually, refusal};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::copies::histories;
use crate::{Client, SOON, by_code, by_name, client, codes, date, import, name, start};

#[tokio::test]
async fn the_country_is_right_on_every_date_on_sqlite() {
    country(Engine::Sqlite).await;
}

#[tokio::test]
async fn the_country_is_right_on_every_date_on_postgres() {
    country(Engine::Postgres).await;
}

async fn country(engine: Engine) {
    let testing = start(engine).await;
    let mut operator = client(&testing, "operator");
    let rows = bundled_units().unwrap();
    let count = i32::try_from(rows.len()).unwrap();
    let first = import(&mut operator, rows.clone()).await;
    assert_eq!(first.problems, []);
    // 143 units are the same ones before the reform and since.
    let units = 10_794 + 3_355 - 143;
    assert_eq!((first.received_count, first.created_count), (count, units));
    let second = import(&mut operator, rows).await;
    assert_eq!((second.unchanged_count, second.updated_count, second.created_count), (units, 0, 0));
    assert_eq!((first.hierarchy_version, second.hierarchy_version), (1, 1));
    let events = eventually(SOON, async || {
        let request = ListEventsRequest::default();
        let events = operator.list_events(request).await.unwrap().into_inner().events;
        (!events.is_empty()).then_some(events)
    });
    assert_eq!(events.await.len(), 1);

    let mut reader = client(&testing, "reader");
    counts(&mut reader).await;
    the_code_24(&mut reader).await;
    other_codes(&mut reader).await;
    names(&mut reader).await;
    below_bac_ninh(&mut reader).await;

    let copy = Units::new(testing.channel(&["service"])).current().await.unwrap();
    let place = testing.stop().await;
    let database = Database::open(&place.location, "registry").await.unwrap();
    let stored = Store::new(database).hierarchy_fetch().await.unwrap();
    assert_eq!((copy.len(), copy.version()), (usize::try_from(units).unwrap(), 1));
    assert!(histories(&copy) == histories(&stored), "the copy is what is stored");
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

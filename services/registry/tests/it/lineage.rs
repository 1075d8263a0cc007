//! GetLineage: what became of units, and what they came from.

use dunghan_proto::registry as pb;
use dunghan_proto::registry::change::Change;
use dunghan_testkit::{ENGINES, Testing, fields, refusal};
use tonic::{Code, Status};

use crate::changes::{
    abolish, correcting, create, existing, merge, new, of, on, parts, rename, transfer,
    with_old_tree,
};
use crate::{client, date, imported, name, row, start};

async fn ask(testing: &Testing, unit: &str, as_of: &str) -> Result<pb::Lineage, Status> {
    let request = pb::GetLineageRequest { name: unit.to_owned(), as_of_date: date(as_of) };
    client(testing, "reader").get_lineage(request).await.map(tonic::Response::into_inner)
}

async fn lineage(testing: &Testing, unit: &str) -> pb::Lineage {
    ask(testing, unit, "").await.unwrap()
}

/// Distance, predecessor, successor, kind and date of each step.
fn told(steps: &[pb::LineageStep]) -> Vec<(i32, &str, &str, &str, String)> {
    let called =
        |unit: &'_ Option<pb::Unit>| unit.as_ref().unwrap().display_name.clone().leak() as &str;
    let one = |step: &pb::LineageStep| {
        let kind = step.kind().as_str_name().trim_start_matches("EDGE_KIND_");
        let on = step.effective_date.unwrap();
        let on = format!("{}-{:02}-{:02}", on.year, on.month, on.day);
        (step.distance, called(&step.predecessor), called(&step.successor), kind, on)
    };
    steps.iter().map(one).collect()
}

fn step<'a>(
    distance: i32,
    (predecessor, successor): (&'a str, &'a str),
    kind: &'a str,
    on: &str,
) -> (i32, &'a str, &'a str, &'a str, String) {
    (distance, predecessor, successor, kind, on.to_owned())
}

/// Three times over the years: wards merge, a part of the new one goes elsewhere, and what is left becomes part of a third.
async fn three_times(testing: &Testing) {
    let mut operator = with_old_tree(testing).await;
    let first = vec![
        merge(&["09421", "09427"], new("09427", "Phường Trí Quả", "27")),
        transfer("09430", "27"),
        transfer("09454", "27"),
        abolish("262", ""),
        abolish("263", ""),
    ];
    create(&mut operator, "lan-mot", on("2020-01-01", first)).await.unwrap();
    let second = vec![parts(&["09427"], existing("09430")), rename("09430", "Xã Đại Đồng Mới")];
    create(&mut operator, "lan-hai", on("2022-01-01", second)).await.unwrap();
    let third = vec![
        merge(&["09427", "09454"], new("09455", "Phường Thuận Thành", "24")),
        rename("24", "Tỉnh Kinh Bắc"),
    ];
    create(&mut operator, "lan-ba", on("2024-01-01", third)).await.unwrap();
    let named = vec![rename("09455", "Phường Siêu Loại")];
    create(&mut operator, "lan-bon", on("2026-01-01", named)).await.unwrap();
}

#[tokio::test]
async fn lineage_goes_over_any_number_of_reorganisations_both_ways() {
    for engine in ENGINES {
        let testing = start(engine).await;
        three_times(&testing).await;
        let forward = ask(&testing, &name("09421", ""), "2019-12-31").await.unwrap();
        assert_eq!(
            told(&forward.successors),
            [
                step(1, ("Phường Trí Quả", "Phường Trí Quả"), "MERGED", "2020-01-01"),
                step(2, ("Phường Trí Quả", "Xã Đại Đồng Mới"), "SPLIT_PART", "2022-01-01"),
                step(2, ("Phường Trí Quả", "Phường Thuận Thành"), "MERGED", "2024-01-01"),
            ]
        );
        let last = &forward.successors[2];
        assert_eq!(last.path, ["Tỉnh Kinh Bắc"]);
        assert_eq!(last.reorganisation, "reorganisations/lan-ba");
        assert_eq!(last.legal_basis, "Nghị quyết ngày 2024-01-01");
        let unit = forward.unit.unwrap();
        assert_eq!((unit.display_name.as_str(), unit.uncertain), ("Phường Trí Quả", true));
        assert_eq!((forward.predecessors, forward.hierarchy_version), (vec![], 5));
        // Of the successors only what came after they were reached; the commune had its new name on that very day.
        let [renamed] = &forward.changes[..] else { panic!("{:#?}", forward.changes) };
        assert_eq!(renamed.effective_date, date("2026-01-01"));
        assert_eq!(renamed.unit, name("09455", "2024-01-01"));
        let names =
            [&renamed.before, &renamed.after].map(|unit| unit.clone().unwrap().display_name);
        assert_eq!(names, ["Phường Thuận Thành", "Phường Siêu Loại"]);

        let back = lineage(&testing, &name("09455", "2024-01-01")).await;
        assert_eq!(back.unit.unwrap().display_name, "Phường Siêu Loại");
        assert_eq!(
            told(&back.predecessors),
            [
                step(1, ("Phường Trí Quả", "Phường Thuận Thành"), "MERGED", "2024-01-01"),
                step(1, ("Xã Xuân Lai", "Phường Thuận Thành"), "MERGED", "2024-01-01"),
                step(2, ("Phường Trí Quả", "Phường Trí Quả"), "MERGED", "2020-01-01"),
                step(2, ("Phường Thanh Khương", "Phường Trí Quả"), "MERGED", "2020-01-01"),
            ]
        );
        assert_eq!(back.predecessors[1].path, ["Tỉnh Bắc Ninh"]);
        assert_eq!(back.predecessors[2].path, ["Thị xã Thuận Thành", "Tỉnh Bắc Ninh"]);
        assert_eq!((back.known_from_date, back.successors), (date("2024-01-01"), vec![]));
    }
}

#[tokio::test]
async fn what_a_unit_gave_away_before_it_received_something_is_no_part_of_that() {
    let testing = start(ENGINES[0]).await;
    let mut operator = with_old_tree(&testing).await;
    let part = on("2020-01-01", vec![parts(&["09427"], existing("09430"))]);
    create(&mut operator, "mot-phan", part).await.unwrap();
    let whole = on("2022-01-01", vec![merge(&["09421"], existing("09427"))]);
    create(&mut operator, "toan-bo", whole).await.unwrap();
    let forward = lineage(&testing, &name("09421", "")).await;
    let expected = [step(1, ("Phường Trí Quả", "Phường Thanh Khương"), "MERGED", "2022-01-01")];
    assert_eq!(told(&forward.successors), expected);
    // Nor did what was given away come from that.
    let back = lineage(&testing, &name("09430", "")).await;
    let expected = [step(1, ("Phường Thanh Khương", "Xã Đại Đồng"), "SPLIT_PART", "2020-01-01")];
    assert_eq!(told(&back.predecessors), expected);
}

#[tokio::test]
async fn of_a_tier_that_was_abolished_it_is_told_what_became_of_those_under_it() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = with_old_tree(&testing).await;
        // A division under the district, which ends with it, and a school under that.
        let below = |code: &str, kind: pb::Kind, level: pb::Level, parent: &str, scheme: &str| {
            pb::UnitRow {
                scheme: "dinh_danh".to_owned(),
                kind: kind.into(),
                level: level.into(),
                display_name: format!("Đơn vị {code}"),
                parent_scheme: scheme.to_owned(),
                ..row(code, "Xã", parent, "", "")
            }
        };
        imported(
            &testing,
            vec![
                below("P.1", pb::Kind::Phong, pb::Level::Department, "262", "nso"),
                below("T.1", pb::Kind::School, pb::Level::School, "P.1", "dinh_danh"),
            ],
        )
        .await;
        let scheme = |code: &str| {
            let value = code.to_owned();
            let identifier = pb::Identifier { scheme: "dinh_danh".to_owned(), value };
            let reference = pb::unit_reference::Reference::Identifier(identifier);
            Some(pb::UnitReference { reference: Some(reference) })
        };
        let changes = vec![
            merge(&["09421", "09427"], new("09427", "Phường Trí Quả", "27")),
            transfer("09430", "27"),
            Change::Transfer(pb::Transfer { unit: scheme("T.1"), parent: of("09427") }),
            Change::Abolish(pb::Abolish { unit: scheme("P.1"), children_to: None }),
            abolish("262", ""),
        ];
        create(&mut operator, "bo-cap-huyen", on("2025-07-01", changes)).await.unwrap();
        let later = on("2026-01-01", vec![merge(&["09430"], existing("09427"))]);
        create(&mut operator, "sap-nhap", later).await.unwrap();

        let district = lineage(&testing, &name("262", "")).await;
        let district_name = "Thị xã Thuận Thành";
        assert_eq!(
            told(&district.successors),
            [
                step(1, (district_name, "Phường Trí Quả"), "THROUGH_CHILDREN", "2025-07-01"),
                step(1, (district_name, "Xã Đại Đồng"), "THROUGH_CHILDREN", "2025-07-01"),
                step(1, (district_name, "Đơn vị T.1"), "THROUGH_CHILDREN", "2025-07-01"),
                step(2, ("Xã Đại Đồng", "Phường Trí Quả"), "MERGED", "2026-01-01"),
            ]
        );
        let by: Vec<_> =
            district.successors.iter().map(|step| step.reorganisation.as_str()).collect();
        let [first, second] = ["reorganisations/bo-cap-huyen", "reorganisations/sap-nhap"];
        // What goes on without the unit above it was only put elsewhere.
        assert_eq!(by, [first, "", "", second]);
        assert_eq!(district.successors[0].path, ["Tỉnh Bắc Ninh"]);
        assert!(!district.ended_without_successor);
        // It is no predecessor by law.
        let ward = lineage(&testing, &name("09427", "2025-07-01")).await;
        assert!(ward.predecessors.iter().all(|step| step.kind() == pb::EdgeKind::Merged));

        // One with a successor by law is not asked for its children's.
        let other = vec![
            merge(&["263"], new("09457", "Xã Gia Bình", "27")),
            merge(&["09454"], existing("24")),
        ];
        create(&mut operator, "dac-khu", on("2026-02-01", other)).await.unwrap();
        let other = lineage(&testing, &name("263", "")).await;
        let expected = [step(1, ("Huyện Gia Bình", "Xã Gia Bình"), "MERGED", "2026-02-01")];
        assert_eq!(told(&other.successors), expected);
    }
}

#[tokio::test]
async fn a_unit_that_ended_for_nothing_says_so_and_what_is_not_confirmed_is_reported() {
    for engine in ENGINES {
        let testing = start(engine).await;
        let mut operator = with_old_tree(&testing).await;
        let unconfirmed = pb::UnconfirmedEdge {
            predecessor: name("09421", ""),
            predecessor_code: "09421".to_owned(),
            successor_code: "09454".to_owned(),
            note: "Bảng chuyển đổi không có quan hệ này.".to_owned(),
        };
        let stated = pb::Reorganisation {
            unconfirmed: vec![unconfirmed.clone()],
            ..on("2025-07-01", vec![abolish("09421", "")])
        };
        create(&mut operator, "giai-the", stated).await.unwrap();
        let ended = lineage(&testing, &name("09421", "")).await;
        assert!(ended.ended_without_successor);
        assert_eq!(
            (ended.successors, ended.unconfirmed.as_slice()),
            (vec![], &[unconfirmed.clone()][..])
        );
        // As it was last.
        assert_eq!(ended.unit.unwrap().valid_through_date, date("2025-06-30"));
        // Of the unit above as well, once that has ended.
        let district = lineage(&testing, &name("262", "")).await;
        assert_eq!((district.unconfirmed, district.ended_without_successor), (vec![], false));
        // One that goes on has not ended.
        let commune = lineage(&testing, &name("09430", "")).await;
        assert!(!commune.ended_without_successor);
        // One that will end has not ended yet.
        let future = on("2027-01-01", vec![abolish("09430", "")]);
        create(&mut operator, "giai-the-sau", future).await.unwrap();
        let commune = lineage(&testing, &name("09430", "")).await;
        assert!(!commune.ended_without_successor);
        assert_eq!(commune.unit.unwrap().valid_through_date, date("2026-12-31"));

        // What was corrected is reported no more.
        let back = correcting("giai-the", on("2025-07-01", Vec::new()));
        create(&mut operator, "thu-hoi", back).await.unwrap();
        let again = lineage(&testing, &name("09421", "")).await;
        assert_eq!((again.unconfirmed, again.ended_without_successor), (vec![], false));
    }
}

#[tokio::test]
async fn a_unit_has_to_exist_on_the_date_or_on_any() {
    let testing = start(ENGINES[0]).await;
    three_times(&testing).await;
    let unit = name("09427", "2020-01-01");
    let on_date = ask(&testing, &unit, "2021-01-01").await.unwrap().unit.unwrap();
    assert_eq!(on_date.display_name, "Phường Trí Quả");
    let refused = ask(&testing, &unit, "2024-01-01").await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::NotFound, "UNIT_NOT_VALID_ON_DATE".to_owned()));
    let refused = ask(&testing, &name("00000", ""), "").await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::NotFound, "UNIT_NOT_FOUND".to_owned()));
    assert_eq!(fields(&ask(&testing, "24", "").await.unwrap_err()), ["name"]);

    // One that begins later is told as it will be.
    imported(&testing, vec![row("31", "Thành phố Kinh Môn", "", "2028-01-01", "")]).await;
    let future = lineage(&testing, &name("31", "2028-01-01")).await;
    assert_eq!(future.unit.unwrap().display_name, "Thành phố Kinh Môn");
    assert_eq!(future.known_from_date, date("2028-01-01"));

    // One that was recorded by mistake never existed.
    let mut operator = crate::changes::reorganisations(&testing, "operator");
    let back = correcting("lan-bon", on("2026-01-01", Vec::new()));
    create(&mut operator, "thu-hoi-bon", back).await.unwrap();
    let back = correcting("lan-ba", on("2024-01-01", Vec::new()));
    create(&mut operator, "thu-hoi-ba", back).await.unwrap();
    let refused = ask(&testing, &name("09455", "2024-01-01"), "").await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::NotFound, "UNIT_NOT_VALID_ON_DATE".to_owned()));
    let ward = lineage(&testing, &unit).await;
    assert_eq!(ward.successors.len(), 1);
}

#[tokio::test]
async fn what_changed_of_a_unit_is_told_and_what_was_only_said_again_is_not() {
    let testing = start(ENGINES[0]).await;
    let mut rows = crate::changes::old_tree();
    // The same again, since a day on which somebody knows it.
    rows.push(pb::UnitRow {
        origin_code: "24".to_owned(),
        ..row("24", "Tỉnh Bắc Giang", "", "2010-01-01", "")
    });
    imported(&testing, rows).await;
    let mut operator = crate::changes::reorganisations(&testing, "operator");
    let recode = Change::Recode(pb::Recode {
        unit: of("24"),
        scheme: "nso".to_owned(),
        value: "98".to_owned(),
    });
    create(&mut operator, "doi-ma", on("2015-01-01", vec![recode])).await.unwrap();
    let retype = Change::Retype(pb::Retype {
        unit: of("98"),
        kind: pb::Kind::ThanhPho.into(),
        display_name: "Thành phố Bắc Giang".to_owned(),
        level: 0,
    });
    create(&mut operator, "thanh-pho", on("2020-01-01", vec![retype])).await.unwrap();
    let moved = on("2021-01-01", vec![transfer("263", "98")]);
    create(&mut operator, "chuyen-huyen", moved).await.unwrap();

    let changes = lineage(&testing, &name("24", "")).await.changes;
    let days: Vec<_> = changes.iter().map(|change| change.effective_date).collect();
    assert_eq!(days, [date("2015-01-01"), date("2020-01-01")]);
    let codes = [&changes[0].before, &changes[0].after];
    assert_eq!(codes.map(|unit| unit.clone().unwrap().statistics_code), ["24", "98"]);
    let changes = lineage(&testing, &name("263", "")).await.changes;
    let [moved] = &changes[..] else { panic!("{changes:#?}") };
    let parents = [&moved.before, &moved.after].map(|unit| unit.clone().unwrap().parent_unit);
    assert_eq!(parents, [name("27", ""), name("24", "")]);
    // What only the unit above it was called is no change of it.
    let commune = lineage(&testing, &name("09454", "")).await;
    assert_eq!(commune.changes, []);
}

//! Which units a name means.

use chrono::NaiveDate;
use dunghan_hierarchy::{Hierarchy, UnitId, Validity};

use crate::tree::{day, new, old, reform, tree, unit, version};

fn found(name: &str, as_of: NaiveDate, within: Option<UnitId>) -> Vec<UnitId> {
    tree().find(name, as_of, within).into_iter().map(|candidate| candidate.id).collect()
}

fn first(name: &str) -> Option<UnitId> {
    found(name, reform(), None).first().copied()
}

#[test]
fn a_name_is_found_however_it_is_written() {
    for name in [
        "Phường Trí Quả",
        "phường trí quả",
        "PHƯỜNG TRÍ QUẢ",
        "PHƢỜNG TRÍ QUẢ",
        "Phu\u{31b}o\u{31b}\u{300}ng Tri\u{301} Qua\u{309}",
        "phuong tri qua",
        "P. Trí Quả",
        "P.Trí Quả",
        "Trí Quả",
        "tri qua",
        "UBND phường Trí Quả",
        "ỦY BAN NHÂN DÂN PHƯỜNG TRÍ QUẢ",
        "Uỷ ban nhân dân P. Trí Quả",
        "Xã Trí Quả",
        "phường trí",
        "Quả",
    ] {
        assert_eq!(first(name), Some(new("09427")), "{name}");
    }
}

#[test]
fn a_text_names_a_unit_however_it_is_written_and_no_other() {
    let named = |name: &str, text: &str| {
        let versions = vec![version(Validity::OPEN, name, None)];
        let hierarchy = Hierarchy::build(1, vec![unit(old("1"), "1", versions)]).unwrap();
        hierarchy.is_named(old("1"), text, reform())
    };
    for (name, text, expected) in [
        ("Phường 1", "UBND Phường 1", true),
        ("Phường 1", "Ủy ban nhân dân phường 01", true),
        ("Phường 1", "P.1", true),
        ("Phường 1", "Phường 1, thị xã Kiến Tường, tỉnh Long An", true),
        ("Phường 1", "phường 1 TX Kiến Tường", true),
        ("Phòng Văn hóa và Thông tin", "Phòng Văn hóa và Thông Tin huyên Phụng Hiệp", true),
        ("Phường 1", "Phường 9", false),
        ("Phường 1", "Phường 10", false),
        ("Phường 1", "Xã 1", false),
        ("Thị trấn Bình Dương", "THỊ TRẤN BÌNH DƢƠNG", true),
        ("Thị trấn Bình Dương", "Bình Dương", true),
        ("Thị trấn Bình Dương", "xã Bình Dương", false),
        ("Thị trấn Bình Dương", "Bình", false),
        ("Xã Hòa An", "Xã Hoà An", true),
        ("Xã Quan Sơn", "Quan Sơn", true),
        ("Phòng Văn hóa, Thể thao", "Phòng Văn hoá, Thể thao", true),
        ("Phòng Văn hóa, Thể thao", "Phòng Văn hóa", false),
        ("Phường 1", "", false),
    ] {
        assert_eq!(named(name, text), expected, "{name}: {text}");
    }
    let day = reform().pred_opt().unwrap();
    assert!(!tree().is_named(new("09427"), "Phường Trí Quả", day), "there is no such unit yet");
}

#[test]
fn a_kind_is_read_in_full_abbreviated_and_without_its_accents() {
    let versions = |name| vec![version(Validity::OPEN, name, None)];
    let hierarchy = Hierarchy::build(
        1,
        vec![
            unit(old("1"), "1", versions("Thị trấn Đại Nghĩa")),
            unit(old("2"), "2", versions("Thị xã Hòa Thành")),
            unit(old("3"), "3", versions("Trung tâm Phục vụ hành chính công")),
            unit(old("4"), "4", versions("Xã Hòa Thành")),
        ],
    )
    .unwrap();
    for (name, meant) in [
        ("Thị trấn Đại Nghĩa", "1"),
        ("TT. Đại Nghĩa", "1"),
        ("TT Đại Nghĩa", "1"),
        ("tt.dai nghia", "1"),
        ("Thị trấn ðại Nghĩa", "1"),
        ("ÐẠI NGHĨA", "1"),
        ("Đa\u{323}i Nghi\u{303}a", "1"),
        ("TX. Hoà Thành", "2"),
        ("thi xa hoa thanh", "2"),
        ("X. Hoà Thành", "4"),
        ("xã hòa thành", "4"),
        ("Phục vụ hành chính công", "3"),
        ("TRUNG TÂM PHỤC VỤ HÀNH CHÍNH CÔNG", "3"),
    ] {
        let found = hierarchy.find(name, reform(), None);
        assert_eq!(found.first().map(|one| one.id), Some(old(meant)), "{name}");
    }
    let score = |name| hierarchy.find(name, reform(), None)[0].score;
    assert_eq!(score("Thị xã Hoà Thành"), score("Thị xã Hòa Thành"));
    assert_eq!(score("Phục vụ hành chính công"), score("Đại Nghĩa"));
}

#[test]
fn an_empty_name_finds_nothing() {
    for name in ["", "  ", "…", "\u{301}"] {
        assert_eq!(found(name, reform(), None), [], "{name:?}");
    }
    assert_eq!(found("Trí Tuệ", reform(), None), []);
}

#[test]
fn a_name_is_looked_for_on_its_date() {
    assert_eq!(found("Phường Trí Quả", day("2025-06-30"), None), [old("09421")]);
    assert_eq!(found("Phường Trí Quả", reform(), None), [new("09427")]);
}

#[test]
fn homonyms_all_come_back_with_one_score_and_can_be_told_apart_by_where_they_are() {
    let eve = day("2025-06-30");
    let candidates = tree().find("Xã Đại Hợp", eve, None);
    assert_eq!(
        candidates.iter().map(|one| one.id).collect::<Vec<_>>(),
        [old("11119"), old("11752")]
    );
    assert_eq!(candidates[0].score, candidates[1].score);
    assert_eq!(found("Xã Đại Hợp", eve, Some(old("298"))), [old("11119")]);
    assert_eq!(found("Xã Đại Hợp", eve, Some(old("31"))), [old("11752")]);
    assert_eq!(found("Huyện Tứ Kỳ", eve, Some(old("298"))), [old("298")]);
    assert_eq!(found("Xã Đại Hợp", eve, Some(old("99"))), [], "under an unknown unit");
}

#[test]
fn the_likeliest_comes_first() {
    let (ward, accents, middle, start) = (new("11506"), new("11509"), new("11515"), new("11518"));
    assert_eq!(found("Phường Đại Hợp", reform(), None), [ward, accents, start, middle]);
    assert_eq!(found("Đại Hợp", reform(), None), [ward, accents, start, middle]);
    // No Xã Đại Hợp is left: the ward of that name is likelier than the commune of another.
    assert_eq!(found("Xã Đại Hợp", reform(), None), [ward, accents, start, middle]);
    // Without accents there is only the kind to go by.
    assert_eq!(found("xa dai hop", reform(), None), [accents, ward, start, middle]);
    assert_eq!(found("P. dai hop", reform(), None), [ward, accents, start, middle]);
    let scores: Vec<u32> =
        tree().find("Đại Hợp", reform(), None).iter().map(|one| one.score).collect();
    assert!(scores.is_sorted_by(|one, two| one > two), "{scores:?}");
}

#[test]
fn a_number_is_a_name() {
    let eve = day("2025-06-30");
    for name in ["Phường 1", "P.1", "P1", "phường 01", "1"] {
        assert_eq!(found(name, reform(), None), [old("11500")], "{name}");
    }
    for name in ["Quận 1", "Q. 1", "q1"] {
        assert_eq!(found(name, eve, None), [old("760"), old("11500")], "{name}");
    }
    assert_eq!(found("Phường 12", reform(), None), [new("11503")]);
    for name in ["phường 0", "P0", "q00"] {
        assert_eq!(found(name, reform(), None), [], "{name}");
    }
}

#[test]
fn a_name_that_begins_like_a_kind_is_found() {
    for name in ["Xã Quan Sơn", "Quan Sơn", "quan son", "X. Quan Sơn"] {
        assert_eq!(first(name), Some(new("11512")), "{name}");
    }
    // A kind that lost its own accents still counts, if the name after it is spelt out.
    let score = |name| tree().find(name, reform(), None)[0].score;
    assert!(score("Xa Quan Sơn") > score("Quan Sơn"));
    assert_eq!(found("Xã Đại", reform(), None).len(), 4);
    assert_eq!(found("Xá Đại", reform(), None), []);
    assert_eq!(first("Khoa học và Công nghệ"), first("Sở Khoa học và Công nghệ"));
    assert!(first("Sở KHOA HỌC và công nghệ").is_some());
}

#[test]
fn where_the_tone_is_written_does_not_lower_a_name() {
    let eve = day("2025-06-30");
    let score = |name| tree().find(name, eve, None)[0].score;
    assert_eq!(score("Huyện Kiến Thụy"), score("Huyện Kiến Thuỵ"));
    assert!(score("Huyện Kiến Thuy") < score("Huyện Kiến Thuỵ"));
}

#[test]
fn a_kind_alone_finds_no_names() {
    assert_eq!(found("Phường", reform(), None), []);
}

#[test]
fn a_name_kept_without_its_kind_is_not_cut_short() {
    let quan_son = unit(old("1"), "1", vec![version(Validity::OPEN, "Quan Sơn", None)]);
    let hierarchy = Hierarchy::build(1, vec![quan_son]).unwrap();
    for name in ["Quan Sơn", "Xã Quan Sơn", "huyen quan son"] {
        assert_eq!(hierarchy.find(name, reform(), None).len(), 1, "{name}");
    }
}

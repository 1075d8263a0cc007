//! A small tree with what the reform of 2025 did to the real one.

use chrono::NaiveDate;
use dunghan_hierarchy::{
    Edge, EdgeKind, Hierarchy, Identifier, Kind, Level, NSO, UnitHistory, UnitId, Validity, Version,
};

pub(crate) fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

pub(crate) fn reform() -> NaiveDate {
    day("2025-07-01")
}

/// A unit of the list of before the reform.
pub(crate) fn old(code: &str) -> UnitId {
    UnitId::new(NSO, code, None)
}

/// A unit of the list of the reform.
pub(crate) fn new(code: &str) -> UnitId {
    UnitId::new(NSO, code, Some(reform()))
}

pub(crate) fn version(validity: Validity, display_name: &str, parent: Option<UnitId>) -> Version {
    let kinds = [
        ("Tỉnh ", Kind::Tinh, Level::Province),
        ("Thành phố ", Kind::ThanhPho, Level::Province),
        ("Huyện ", Kind::Huyen, Level::District),
        ("Quận ", Kind::Quan, Level::District),
        ("Thị xã ", Kind::ThiXa, Level::District),
        ("Thị trấn ", Kind::ThiTran, Level::Commune),
        ("Phường ", Kind::Phuong, Level::Commune),
        ("Xã ", Kind::Xa, Level::Commune),
        ("Sở ", Kind::So, Level::Department),
        ("Trung tâm ", Kind::TrungTam, Level::Other),
    ];
    let known = kinds.into_iter().find(|(word, ..)| display_name.starts_with(word));
    let (kind, level) = known.map_or((Kind::Other, Level::Other), |(_, kind, level)| (kind, level));
    Version { validity, display_name: display_name.to_owned(), kind, level, parent }
}

pub(crate) fn code(value: &str, validity: Validity) -> Identifier {
    Identifier { scheme: NSO.to_owned(), value: value.to_owned(), validity }
}

pub(crate) fn unit(id: UnitId, value: &str, versions: Vec<Version>) -> UnitHistory {
    UnitHistory { id, versions, identifiers: vec![code(value, Validity::OPEN)] }
}

/// A unit of the old list that the reform abolished.
fn abolished(value: &str, name: &str, parent: Option<UnitId>) -> UnitHistory {
    unit(old(value), value, vec![version(Validity::before(reform()), name, parent)])
}

/// A unit that the reform made.
fn made(value: &str, name: &str, parent: Option<UnitId>) -> UnitHistory {
    unit(new(value), value, vec![version(Validity::since(reform()), name, parent)])
}

pub(crate) fn units() -> Vec<UnitHistory> {
    let city = day("2026-09-20");
    let department = UnitId::new("test", "so", None);
    vec![
        // Bắc Giang gave its code to the new Bắc Ninh, which became a city a year later.
        abolished("24", "Tỉnh Bắc Giang", None),
        abolished("27", "Tỉnh Bắc Ninh", None),
        unit(
            new("24"),
            "24",
            vec![
                version(Validity::since(city), "Thành phố Bắc Ninh", None),
                version(Validity::between(reform(), city), "Tỉnh Bắc Ninh", None),
            ],
        ),
        abolished("262", "Thị xã Thuận Thành", Some(old("27"))),
        abolished("09421", "Phường Trí Quả", Some(old("262"))),
        abolished("09427", "Phường Thanh Khương", Some(old("262"))),
        // The new ward has the code of one of those it was made of, and the name of another.
        made("09427", "Phường Trí Quả", Some(new("24"))),
        // Hải Dương is gone; its Đại Hợp had a namesake in Hải Phòng.
        abolished("30", "Tỉnh Hải Dương", None),
        unit(old("31"), "31", vec![version(Validity::OPEN, "Thành phố Hải Phòng", None)]),
        abolished("298", "Huyện Tứ Kỳ", Some(old("30"))),
        abolished("315", "Huyện Kiến Thuỵ", Some(old("31"))),
        abolished("11119", "Xã Đại Hợp", Some(old("298"))),
        abolished("11752", "Xã Đại Hợp", Some(old("315"))),
        made("11113", "Xã Tân Kỳ", Some(old("31"))),
        // A ward that stayed itself, and only lost the district above it.
        unit(
            old("11500"),
            "11500",
            vec![
                version(Validity::before(reform()), "Phường 1", Some(old("315"))),
                version(Validity::since(reform()), "Phường 1", Some(old("31"))),
            ],
        ),
        made("11503", "Phường 12", Some(old("31"))),
        made("11506", "Phường Đại Hợp", Some(old("31"))),
        made("11509", "Xã Đài Họp", Some(old("31"))),
        made("11512", "Xã Quan Sơn", Some(old("31"))),
        made("11515", "Xã Đông Đại Hợp", Some(old("31"))),
        made("11518", "Xã Đại Hợp Tây", Some(old("31"))),
        abolished("760", "Quận 1", Some(old("31"))),
        UnitHistory {
            id: department,
            versions: vec![version(Validity::OPEN, "Sở Khoa học và Công nghệ", Some(old("31")))],
            identifiers: Vec::new(),
        },
    ]
}

pub(crate) fn edge(date: &str, from: UnitId, to: UnitId, kind: EdgeKind) -> Edge {
    let reorganisation = format!("of-{date}").into();
    Edge { effective: day(date), predecessor: from, successor: to, kind, reorganisation }
}

pub(crate) fn edges() -> Vec<Edge> {
    let merged = |from, to| edge("2025-07-01", old(from), to, EdgeKind::Merged);
    vec![
        // Hải Phòng took Hải Dương in and stayed itself; the two in the north made a new province.
        merged("30", old("31")),
        merged("24", new("24")),
        merged("27", new("24")),
        merged("09421", new("09427")),
        merged("09427", new("09427")),
        merged("11119", new("11113")),
        edge("2025-07-01", old("11752"), new("11506"), EdgeKind::SplitMain),
        edge("2025-07-01", old("11752"), new("11518"), EdgeKind::SplitPart),
        // A year later a part of a commune went to the other province, and the commune stayed where it was.
        edge("2026-09-20", new("11518"), new("09427"), EdgeKind::SplitPart),
    ]
}

pub(crate) fn tree() -> Hierarchy {
    Hierarchy::build_with_edges(7, units(), edges()).unwrap()
}

use super::*;

fn stated(change: Stated, predecessor_code: &str) -> pb::Reorganisation {
    pb::Reorganisation {
        title: "Đổi tên".to_owned(),
        legal_basis: "Nghị quyết".to_owned(),
        effective_date: Some(Date { year: 2027, month: 1, day: 1 }),
        changes: vec![pb::Change { change: Some(change) }],
        unconfirmed: vec![pb::UnconfirmedEdge {
            predecessor: UnitId::new(NSO, "09400", None).to_string(),
            predecessor_code: predecessor_code.to_owned(),
            successor_code: String::new(),
            note: "Chưa rõ".to_owned(),
        }],
        ..Default::default()
    }
}

fn by_code(value: &str) -> Option<pb::UnitReference> {
    let (scheme, value) = (NSO.to_owned(), value.to_owned());
    let reference = Some(Reference::Identifier(pb::Identifier { scheme, value }));
    Some(pb::UnitReference { reference })
}

fn rename(display_name: &str) -> Stated {
    let display_name = display_name.to_owned();
    Stated::Rename(pb::Rename { unit: by_code("09400"), display_name })
}

fn recode(value: &str) -> Stated {
    let (scheme, value) = ("thuế".to_owned(), value.to_owned());
    Stated::Recode(pb::Recode { unit: by_code("09400"), scheme, value })
}

fn read(change: Stated, predecessor_code: &str) -> Read {
    reorganisation("reorganisation", stated(change, predecessor_code)).unwrap()
}

#[test]
fn a_name_is_the_same_however_it_was_typed() {
    let composed = read(rename("Xã Hồ"), "");
    let decomposed = read(rename(" Xa\u{303} Ho\u{302}\u{300} "), "");
    assert_eq!(decomposed.stated, composed.stated);
    assert_eq!(decomposed.changes, composed.changes);
    let [Change::Rename { display_name, .. }] = &decomposed.changes[..] else {
        panic!("one rename")
    };
    assert_eq!(display_name, "Xã Hồ");
}

#[test]
fn a_code_of_blanks_is_none() {
    let (empty, blank) = (read(recode(""), ""), read(recode("  "), " "));
    assert_eq!(blank.stated, empty.stated);
    let [Change::Recode { value, .. }] = &blank.changes[..] else { panic!("one recode") };
    assert_eq!(*value, None);

    let refused = reorganisation("", stated(recode("a b"), "c d")).err().unwrap();
    for field in ["changes[0].recode.value", "unconfirmed[0].predecessor_code"] {
        assert!(refused.message().contains(field), "{refused}");
    }
}

//! The bundled files as they are, and other files as people make them.

use super::*;

fn rows(text: &str) -> Result<Vec<pb::UnitRow>, Vec<String>> {
    rows_from_csv(text.as_bytes(), None, None)
        .map_err(|bad| bad.lines.iter().map(ToString::to_string).collect())
}

#[test]
fn the_bundled_rows_are_both_lists_and_what_changed_since() {
    let rows = bundled_units().unwrap();
    assert_eq!(rows.len(), 10_794 + 3_355 + 3);
    let reform = Some(pb_date(REFORM));
    let later = |row: &&pb::UnitRow| !row.origin_code.is_empty();
    let kept = rows.iter().filter(later).filter(|row| row.valid_from_date == reform);
    assert_eq!(kept.count(), 121 + 11 + 11);

    let of = |code: &str| rows.iter().filter(|row| row.code == code).collect::<Vec<_>>();
    let [bac_giang, bac_ninh, city] = of("24")[..] else { panic!("{:?}", of("24")) };
    assert_eq!(
        (bac_giang.display_name.as_str(), bac_giang.valid_from_date),
        ("Tỉnh Bắc Giang", None)
    );
    assert_eq!(
        (bac_ninh.display_name.as_str(), bac_ninh.origin_code.as_str()),
        ("Tỉnh Bắc Ninh", "")
    );
    assert_eq!(city.display_name, "Thành phố Bắc Ninh");
    assert_eq!((city.origin_code.as_str(), city.origin_date), ("24", reform));
    // Quảng Ninh is the same province before the reform, since, and as a city.
    let quang_ninh: Vec<_> =
        of("22").iter().map(|row| (row.origin_code.as_str(), row.origin_date)).collect();
    assert_eq!(quang_ninh, [("", None), ("22", None), ("22", None)]);
}

#[test]
fn a_list_of_units_reads_with_or_without_the_columns_that_it_may_have() {
    let short = "code,name,type,parent_code,level\n24,Thành phố Bắc Ninh,thanh_pho,,province\n";
    let day = |text: &str| Some(text.parse().unwrap());
    let read = rows_from_csv(short.as_bytes(), day("2026-09-20"), day("2026-12-31")).unwrap();
    assert_eq!(
        read,
        [pb::UnitRow {
            row: 2,
            code: "24".to_owned(),
            display_name: "Thành phố Bắc Ninh".to_owned(),
            kind: pb::Kind::ThanhPho.into(),
            level: pb::Level::Province.into(),
            valid_from_date: day("2026-09-20").map(pb_date),
            valid_through_date: day("2026-12-31").map(pb_date),
            ..Default::default()
        }]
    );

    // As a spreadsheet writes it: a mark in front, CRLF, quotes, blanks, columns in another order.
    let long = "\u{feff}scheme,\"code\",name,type,level,parent_code,parent_scheme,origin_code,origin_date,valid_from,valid_through\r\n\
                dinh_danh,H05.24,\"Sở Khoa học và Công nghệ, mới\", so ,department,24,nso,H05.9,2025-07-01,2025-08-01,\r\n";
    let read = rows_from_csv(long.as_bytes(), day("2025-07-01"), None).unwrap();
    let row = &read[0];
    assert_eq!(row.row, 2);
    assert_eq!((row.scheme.as_str(), row.code.as_str()), ("dinh_danh", "H05.24"));
    assert_eq!(row.display_name, "Sở Khoa học và Công nghệ, mới");
    assert_eq!((row.parent_scheme.as_str(), row.origin_code.as_str()), ("nso", "H05.9"));
    assert_eq!(row.origin_date, day("2025-07-01").map(pb_date));
    assert_eq!(row.valid_from_date, day("2025-08-01").map(pb_date));
    assert_eq!(row.valid_through_date, None);
}

#[test]
fn a_header_that_is_none_is_refused_by_the_name_of_its_columns() {
    let refused =
        rows("code,name,type,parent_code,level,valid_form\n24,A,tinh,,province,\n").unwrap_err();
    assert_eq!(refused.len(), 1);
    assert!(refused[0].starts_with("line 1, valid_form: is no column"), "{refused:?}");
    assert_eq!(
        rows("code,name,type,level,code\n").unwrap_err(),
        ["line 1, code: is there twice", "line 1, parent_code: is missing from the header"]
    );
    assert_eq!(rows("").unwrap_err().len(), REQUIRED.len());
}

#[test]
fn every_bad_line_is_named() {
    let mut file = b"code,name,type,parent_code,level,valid_from\n\
        24,T\xe1\xbb\x89nh B\xe1\xba\xafc Ninh,tinh,,province,\n\
        ,Kh\xc3\xb4ng m\xc3\xa3,xa,24,commune,01/07/2025\n\
        24,B\xe1\xba\xafc,tinh,,province\n\
        24,B\xff\xfec Ninh,tinh,,province,\n\
        25,Ph\xc3\xba Th\xe1\xbb\x8d,t\xe1\xbb\x89nh,,cap_tinh,\n"
        .to_vec();
    let bad = rows_from_csv(&file[..], None, None).unwrap_err();
    let told: Vec<_> =
        bad.lines.iter().map(|bad| (bad.line, bad.column.as_str(), bad.message.as_str())).collect();
    let words: Vec<_> = told.iter().map(|(line, column, _)| (*line, *column)).collect();
    assert_eq!(
        words,
        [(3, "code"), (3, "valid_from"), (4, ""), (5, ""), (6, "type"), (6, "level")]
    );
    assert!(told[2].2.contains("5 fields"), "{told:?}");
    assert_eq!(told[3].2, "is not UTF-8");
    assert!(told[4].2.contains("thanh_pho"), "{told:?}");
    assert_eq!(bad.to_string().lines().count(), 6);

    // The same with the line ends of a spreadsheet.
    let crlf: Vec<u8> = file
        .iter()
        .flat_map(|byte| if *byte == b'\n' { vec![b'\r', b'\n'] } else { vec![*byte] })
        .collect();
    let crlf = rows_from_csv(&crlf[..], None, None).unwrap_err();
    assert_eq!(crlf, bad);

    file.truncate(b"code,name,type,parent_code,level,valid_from\n".len());
    assert_eq!(rows_from_csv(&file[..], None, None).unwrap(), []);
}

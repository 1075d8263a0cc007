//! Files as people make them.

use std::io::{Cursor, Write as _};

use dunghan_proto::registry as pb;
use dunghan_rpc::field::pb_date;
use rust_xlsxwriter::{ExcelDateTime, Format, Formula, Workbook, Worksheet};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use super::files::REQUIRED;
use super::xlsx::{MOST_PACKED, MOST_UNPACKED, must_be_small};
use super::*;

fn rows(text: &str) -> Result<Vec<pb::UnitRow>, Vec<String>> {
    rows_from_csv(text.as_bytes(), None, None)
        .map_err(|bad| bad.lines.iter().map(ToString::to_string).collect())
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
    let long = "\u{feff}scheme,\"code\",name,type,level,parent_code,parent_scheme,origin_scheme,origin_code,origin_date,valid_from,valid_through\r\n\
                dinh_danh,H05.24,\"Sở Khoa học và Công nghệ, mới\", so ,department,24,nso,cu,H05.9,2025-07-01,2025-08-01,\r\n\
                nso,,Xã không mã,xa,commune,24,,,09427,,,\r\n";
    let read = rows_from_csv(long.as_bytes(), day("2025-07-01"), None).unwrap();
    let row = &read[0];
    assert_eq!(row.row, 2);
    assert_eq!((row.scheme.as_str(), row.code.as_str()), ("dinh_danh", "H05.24"));
    assert_eq!(row.display_name, "Sở Khoa học và Công nghệ, mới");
    assert_eq!((row.parent_scheme.as_str(), row.origin_code.as_str()), ("nso", "H05.9"));
    assert_eq!(row.origin_scheme, "cu");
    assert_eq!(row.origin_date, day("2025-07-01").map(pb_date));
    assert_eq!(row.valid_from_date, day("2025-08-01").map(pb_date));
    assert_eq!(row.valid_through_date, None);
    // A unit that is known can hold no code.
    assert_eq!(
        (read[1].row, read[1].code.as_str(), read[1].origin_code.as_str()),
        (3, "", "09427")
    );
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

/// A workbook of one sheet, as somebody makes it by hand: its first row is the header.
fn workbook(header: &[&str], fill: impl FnOnce(&mut Worksheet)) -> Vec<u8> {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    for (column, name) in (0..).zip(header) {
        sheet.write_string(0, column, *name).unwrap();
    }
    fill(sheet);
    workbook.save_to_buffer().unwrap()
}

const HEADER: [&str; 6] = ["code", "name", "type", "level", "parent_code", "valid_from"];

fn province(sheet: &mut Worksheet, row: u32) {
    for (column, text) in (0..).zip(["24", " Tỉnh Bắc Ninh", "tinh", "province"]) {
        sheet.write_string(row, column, text).unwrap();
    }
}

fn told(file: &[u8]) -> Vec<String> {
    let bad = rows_from_file(file, None, None).unwrap_err();
    bad.lines.iter().map(ToString::to_string).collect()
}

#[test]
fn a_workbook_reads_as_the_same_list_in_csv_does() {
    let day = |text: &str| Some(text.parse().unwrap());
    let file = workbook(&HEADER, |sheet| {
        province(sheet, 1);
        // A row that is empty but for its format, and one in which a formula has made the text.
        let date = Format::new().set_num_format("dd/mm/yyyy");
        sheet.write_blank(2, 0, &date).unwrap();
        province(sheet, 3);
        let name = Formula::new("=\"Tỉnh \"&\"Quảng Ninh\"").set_result("Tỉnh Quảng Ninh");
        sheet.write_formula(3, 1, name).unwrap();
        let first_day = ExcelDateTime::from_ymd(2025, 7, 1).unwrap();
        sheet.write_datetime_with_format(3, 5, &first_day, &date).unwrap();
        province(sheet, 4);
        sheet.write_string(4, 5, "2026-09-20").unwrap();
    });
    let read = rows_from_file(&file, day("2020-01-01"), day("2026-12-31")).unwrap();
    let list = "code,name,type,level,parent_code,valid_from\n\
                24,Tỉnh Bắc Ninh,tinh,province,,\n\
                24,Tỉnh Quảng Ninh,tinh,province,,2025-07-01\n\
                24,Tỉnh Bắc Ninh,tinh,province,,2026-09-20\n";
    let mut same = rows_from_file(list.as_bytes(), day("2020-01-01"), day("2026-12-31")).unwrap();
    for (row, line) in same.iter_mut().zip([2, 4, 5]) {
        row.row = line;
    }
    assert_eq!(read, same);
}

#[test]
fn every_bad_cell_is_named_by_its_row_and_column() {
    let file = workbook(&[&HEADER[..], &["scheme"]].concat(), |sheet| {
        let date = Format::new().set_num_format("yyyy-mm-dd hh:mm");
        province(sheet, 1);
        sheet.write_number(1, 0, 24).unwrap();
        sheet.write_number(1, 4, 1.5).unwrap();
        sheet.write_number(1, 5, 45_839).unwrap();
        province(sheet, 2);
        sheet.write_boolean(2, 1, true).unwrap();
        let noon = ExcelDateTime::from_ymd(2025, 7, 1).unwrap().and_hms(12, 0, 0).unwrap();
        sheet.write_datetime_with_format(2, 5, &noon, &date).unwrap();
        province(sheet, 3);
        sheet.write_datetime_with_format(3, 6, &noon, &date).unwrap();
        sheet.write_string(3, 9, "beside").unwrap();
        province(sheet, 5);
        sheet.write_string(5, 5, "01/07/2025").unwrap();
        sheet.write_formula(5, 3, Formula::new("=1/0").set_result("#DIV/0!")).unwrap();
        sheet.write_string(6, 1, "Tỉnh không mã").unwrap();
    });
    let told = told(&file);
    let zeros = "is a number, which has lost the zeros in front of it; format the column as text and write the code again";
    assert_eq!(
        told,
        [
            &format!("line 2, code: {zeros}"),
            &format!("line 2, parent_code: {zeros}"),
            "line 2, valid_from: is a number and no date; format the column as date, or write YYYY-MM-DD as text",
            "line 3, name: is TRUE or FALSE; format the column as text",
            "line 3, valid_from: has a time of day",
            "line 4, scheme: has a time of day",
            "line 4, J: has something in it, and no header",
            "line 6, level: is an error of the spreadsheet",
            "line 6, valid_from: is no date written YYYY-MM-DD: \"01/07/2025\"",
            "line 7, code: is missing",
            "line 7, type: is missing",
            "line 7, level: is missing",
        ]
    );
}

#[test]
fn a_sheet_without_a_header_is_refused_by_the_name_of_its_columns() {
    let file = workbook(&["code", "nmae", "type", "level", "parent_code"], |sheet| {
        sheet.write_number(0, 27, 1).unwrap();
        province(sheet, 1);
    });
    let refused = told(&file);
    assert_eq!(refused[0], "line 1, AB: is no name of a column");
    assert!(refused[1].starts_with("line 1, nmae: is no column of this file"), "{refused:?}");
    assert_eq!(refused[2], "line 1, name: is missing from the header");
    assert_eq!(refused.len(), 3);
    assert_eq!(told(&workbook(&[], |_| ())).len(), REQUIRED.len());
}

#[test]
fn a_title_above_the_header_is_no_header_but_blank_rows_may_be() {
    let file = workbook(&[], |sheet| {
        for (column, name) in (2..).zip(HEADER) {
            sheet.write_string(4, column, name).unwrap();
        }
        for (column, text) in (2..).zip(["24", "Tỉnh Bắc Ninh", "tinh", "province"]) {
            sheet.write_string(7, column, text).unwrap();
        }
    });
    let read = rows_from_file(&file, None, None).unwrap();
    assert_eq!(
        read.iter().map(|row| (row.row, row.code.as_str())).collect::<Vec<_>>(),
        [(8, "24")]
    );
    let titled = workbook(&["Danh sách đơn vị"], |sheet| province(sheet, 1));
    assert!(told(&titled)[0].contains("is no column of this file"));
}

#[test]
fn whatever_pretends_to_be_a_workbook_is_refused() {
    assert_eq!(told(b"PK\x03\x04 and no more").len(), 1);
    let old = told(&[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1]);
    assert_eq!(
        old,
        ["line 1: is an old workbook, or one with a password; save it as XLSX without one"]
    );

    let mut other = ZipWriter::new(Cursor::new(Vec::new()));
    other.start_file("readme.txt", SimpleFileOptions::default()).unwrap();
    let other = other.finish().unwrap().into_inner();
    assert!(told(&other)[0].starts_with("line 1: is no workbook that can be read"));

    let whole = workbook(&HEADER, |sheet| province(sheet, 1));
    // Cut off anywhere, and with any byte of its parts another one, it is refused or read, and that is all.
    for end in (0..whole.len()).step_by(97) {
        let _ = rows_from_file(&whole[..end], None, None);
    }
    for part in
        ["xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/workbook.xml", "xl/styles.xml"]
    {
        for at in (0..400).step_by(7) {
            let broken = repacked(&whole, part, |bytes| {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 0x15;
                }
            });
            let _ = rows_from_file(&broken, None, None);
        }
    }
}

/// The same archive with one of its files another.
fn repacked(file: &[u8], part: &str, change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut archive = ZipArchive::new(Cursor::new(file)).unwrap();
    let mut packed = ZipWriter::new(Cursor::new(Vec::new()));
    for at in 0..archive.len() {
        let mut one = archive.by_index(at).unwrap();
        let mut bytes = Vec::new();
        std::io::copy(&mut one, &mut bytes).unwrap();
        let name = one.name().unwrap().into_owned();
        if name == part {
            change(&mut bytes);
        }
        packed.start_file(name, SimpleFileOptions::default()).unwrap();
        packed.write_all(&bytes).unwrap();
    }
    packed.finish().unwrap().into_inner()
}

#[test]
fn a_workbook_that_unpacks_to_far_more_is_refused_before_it_is_parsed() {
    let whole = workbook(&HEADER, |sheet| province(sheet, 1));
    let bomb = repacked(&whole, "xl/sharedStrings.xml", |bytes| bytes.resize(3 << 20, b' '));
    assert!(bomb.len() < 1 << 15, "{}", bomb.len());
    let small = |bytes, packed, unpacked| must_be_small(bytes, packed, unpacked);
    assert_eq!(small(&bomb, 1 << 15, 4 << 20), Ok(()));
    assert_eq!(small(&bomb, 1 << 15, 2 << 20), Err("unpacks to more than 2 MiB".to_owned()));
    assert_eq!(small(&vec![0; (1 << 20) + 1], 1 << 20, 0), Err("is larger than 1 MiB".to_owned()));

    let many = (0..1001).fold(ZipWriter::new(Cursor::new(Vec::new())), |mut packed, at| {
        packed.start_file(at.to_string(), SimpleFileOptions::default()).unwrap();
        packed
    });
    let many = many.finish().unwrap().into_inner();
    assert_eq!(told(&many), ["line 1: is no workbook: it has 1001 files in it"]);
}

#[test]
fn a_text_that_is_packed_once_and_stands_in_a_million_cells_is_refused() {
    let long = "x".repeat(30_000);
    let file = workbook(&HEADER, |sheet| {
        for row in 1..2500 {
            sheet.write_string(row, 1, &long).unwrap();
        }
    });
    assert!(file.len() < 1 << 20, "{}", file.len());
    assert_eq!(told(&file), ["line 1: has more than 64 MiB of text"]);
}

/// Everything that a row can have, and some that a spreadsheet or a program would take for something else.
fn all_kinds() -> Vec<pb::UnitRow> {
    let date = |text: &str| Some(pb_date(text.parse().unwrap()));
    let row = pb::UnitRow {
        scheme: "nso".to_owned(),
        code: "09427".to_owned(),
        display_name: "Phường Trí Quả".to_owned(),
        kind: pb::Kind::Phuong.into(),
        level: pb::Level::Commune.into(),
        parent_code: "24".to_owned(),
        valid_from_date: date("2025-07-01"),
        ..Default::default()
    };
    vec![
        row.clone(),
        pb::UnitRow {
            scheme: "dinh_danh".to_owned(),
            code: "=H05.9".to_owned(),
            display_name: "'=Sở \"Khoa học\", và Công nghệ".to_owned(),
            kind: pb::Kind::So.into(),
            level: pb::Level::Department.into(),
            parent_scheme: "nso".to_owned(),
            origin_scheme: "cu".to_owned(),
            origin_code: "-1".to_owned(),
            origin_date: date("1999-12-31"),
            valid_through_date: date("2026-09-19"),
            ..row.clone()
        },
        pb::UnitRow { code: "00001".to_owned(), display_name: "'Xã'".to_owned(), ..row.clone() },
        pb::UnitRow { code: "2025-07-01".to_owned(), valid_from_date: None, ..row },
    ]
}

#[test]
fn what_is_written_reads_back_the_same() {
    let rows = all_kinds();
    let mut csv = Vec::new();
    let mut writer = CsvRows::new(&mut csv).unwrap();
    rows.iter().for_each(|row| writer.row(row).unwrap());
    writer.finish().unwrap();
    let mut xlsx = Vec::new();
    let mut writer = XlsxRows::new(&mut xlsx).unwrap();
    rows.iter().for_each(|row| writer.row(row).unwrap());
    writer.finish().unwrap();
    assert!(String::from_utf8(csv.clone()).unwrap().contains("\n'=H05.9,\"''=Sở \"\"Khoa"));
    for file in [csv, xlsx] {
        let mut read = rows_from_file(&file, None, None).unwrap();
        let lines: Vec<i32> = read.iter_mut().map(|row| std::mem::take(&mut row.row)).collect();
        assert_eq!(lines, [2, 3, 4, 5]);
        assert_eq!(read, rows);
    }
}

#[test]
fn a_written_workbook_has_texts_only_and_its_header_stays_in_sight() {
    let mut file = Vec::new();
    let mut writer = XlsxRows::new(&mut file).unwrap();
    all_kinds().iter().for_each(|row| writer.row(row).unwrap());
    writer.finish().unwrap();
    let mut archive = ZipArchive::new(Cursor::new(&file)).unwrap();
    let mut sheet = String::new();
    let mut part = archive.by_name("xl/worksheets/sheet1.xml").unwrap();
    std::io::Read::read_to_string(&mut part, &mut sheet).unwrap();
    assert!(!sheet.contains("<f>") && !sheet.contains("t=\"n\""), "{sheet}");
    let (cells, texts) = (sheet.matches("<c ").count(), sheet.matches("t=\"inlineStr\"").count());
    assert_eq!(cells, texts, "{sheet}");
    assert!(sheet.contains("state=\"frozen\"") && sheet.contains("<autoFilter ref=\"A1:L5\"/>"));
    assert!(sheet.contains("<cols>"));
}

#[test]
fn as_many_rows_as_an_import_takes_fit_into_a_workbook() {
    let mut file = Vec::new();
    let mut writer = XlsxRows::new(&mut file).unwrap();
    // Longer than most, and no two alike, for those pack too well.
    let row = &all_kinds()[1];
    for number in 0..2000 {
        let name = format!("{} {:x}", row.display_name, 2_654_435_761_u64.wrapping_mul(number));
        writer.row(&pb::UnitRow { display_name: name, ..row.clone() }).unwrap();
    }
    writer.finish().unwrap();
    let mut archive = ZipArchive::new(Cursor::new(&file)).unwrap();
    let unpacked: u64 = (0..archive.len()).map(|at| archive.by_index(at).unwrap().size()).sum();
    assert!(file.len() * 100 < MOST_PACKED, "{}", file.len());
    assert!(unpacked * 100 < MOST_UNPACKED, "{unpacked}");
    assert_eq!(rows_from_file(&file, None, None).unwrap().len(), 2000);
}

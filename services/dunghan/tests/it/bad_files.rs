//! Files that people hand in by mistake: what is wrong with each is said with its line or place, and nothing of it is
//! sent.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rust_xlsxwriter::Workbook;
use serde_json::Value;
use tempfile::TempDir;
use unicode_normalization::UnicodeNormalization as _;

use crate::binary::{Ran, Serving, run_in};

/// Every command that takes a file, without the file, by what is in it.
const COMMANDS: [(&str, [&str; 2]); 5] = [
    ("units", ["units", "import"]),
    ("reorganisations", ["units", "reorganise"]),
    ("dossiers", ["dossiers", "import"]),
    ("regimes", ["regimes", "import"]),
    ("reports", ["reports", "submit"]),
];

fn take(folder: &Path, noun: &str, file: &str, more: &[&str]) -> Ran {
    let (_, command) = COMMANDS.into_iter().find(|(other, _)| *other == noun).unwrap();
    let unit = if noun == "dossiers" { ["--unit", "09427"].as_slice() } else { &[] };
    run_in(folder, &[command.as_slice(), &[file], unit, more].concat())
}

/// Hands a file to a command where there is no server: a file that does not read is refused before one is looked for.
fn refused(folder: &Path, noun: &str, file: &str) -> Vec<String> {
    // Port 9 is for discarding; nobody listens there.
    let ran = take(folder, noun, file, &["--token", "x", "--address", "http://127.0.0.1:9"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{noun} {file}: {}", ran.err);
    ran.err.lines().map(str::to_owned).collect()
}

/// As [`refused`], for a file of this content.
fn problems(noun: &str, content: impl AsRef<[u8]>) -> Vec<String> {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("file"), content).unwrap();
    let lines = refused(folder.path(), noun, "file").into_iter();
    lines
        .map(|line| line.strip_prefix("file: ").unwrap_or_else(|| panic!("{line}")).to_owned())
        .collect()
}

const UNITS: &str = "code,name,type,parent_code,level\n24,Tỉnh Bắc Ninh,tinh,,province\n\
    09427,Phường Trí Quả,phuong,24,commune\n";

const DOSSIERS: &str = "dossier_id,field,channel,receive_time,term\n\
    H1,Hộ tịch,online,2026-05-07T08:15,3d\nH2,\"Đất đai,\n nhà ở\",direct_or_postal,2026-05-07T08:15,8h\n";

const REGIMES: &str = r#"[
  {
    "name": "cds-thang", "display_name": "Báo cáo tháng (minh họa)", "legal_basis": "Minh họa", "illustrative": true,
    "form": "cds-1", "receiving_unit": "24", "frequency": "month", "working_days_after_cut_off": 3,
    "debtors": {"subtree": "24", "levels": ["commune"]},
    "from_date": "2026-05-01", "through_date": "2026-05-31"
  }
]
"#;

const REPORT: &str = r#"{
  "unit": "09427", "regime": "cds-thang", "period": "202605",
  "receipt": {"receive_time": "2026-05-18T16:00", "kind": "register", "reference": "Sổ đến số 12"},
  "values": [
    {"indicator": "dossiers_received_total", "count": 550}
  ]
}
"#;

const REORGANISATIONS: &str = r#"[
  {
    "id": "thu-1", "title": "Đổi tên (thử)", "legal_basis": "Nghị quyết 1/NQ", "effective_date": "2026-01-01",
    "changes": [{"rename": {"unit": "24", "name": "Tỉnh Bắc Ninh mới"}}]
  }
]
"#;

fn good(noun: &str) -> &'static str {
    match noun {
        "units" => UNITS,
        "reorganisations" => REORGANISATIONS,
        "dossiers" => DOSSIERS,
        "regimes" => REGIMES,
        _ => REPORT,
    }
}

#[test]
fn a_column_that_there_is_not_is_named() {
    let units = problems("units", UNITS.replace("parent_code,level", "parent_code,levle"));
    assert!(units[0].starts_with("line 1, levle: is no column of this file"), "{units:#?}");
    assert_eq!(units[1], "line 1, level: is missing from the header");
    let dossiers = problems("dossiers", DOSSIERS.replace("channel", "chanel"));
    assert!(dossiers[0].starts_with("line 1: there is no column \"chanel\""), "{dossiers:#?}");
    assert_eq!(dossiers[1], "line 1: the column channel is missing");
    let twice = problems("dossiers", DOSSIERS.replace("channel", "field"));
    assert!(twice.contains(&"line 1: the column field stands twice".to_owned()), "{twice:#?}");
    // As spreadsheets write where the comma stands in decimals.
    for noun in ["units", "dossiers"] {
        let found = problems(noun, good(noun).replace(',', ";"));
        assert!(found[0].starts_with("line 1") && found[0].contains(';'), "{found:#?}");
    }
}

#[test]
fn a_row_with_more_or_fewer_cells_is_named() {
    let units = problems("units", UNITS.replace("24,commune", "24,commune,"));
    assert_eq!(units, ["line 3: has 6 fields instead of 5"]);
    let dossiers = problems("dossiers", DOSSIERS.replace("08:15,8h", "08:15"));
    assert_eq!(dossiers, ["line 3: has 4 columns, the first line 5"]);
}

#[test]
fn a_key_that_there_is_not_is_named_with_its_place() {
    let regimes = problems("regimes", REGIMES.replace("\"frequency\"", "\"freqency\""));
    assert!(regimes[0].starts_with("regimes[0]: unknown field `freqency`"), "{regimes:#?}");
    let debtors = problems("regimes", REGIMES.replace("\"levels\"", "\"level\""));
    assert!(debtors[0].starts_with("regimes[0]: unknown field `level`"), "{debtors:#?}");
    let change = problems("reorganisations", REORGANISATIONS.replace("\"name\"", "\"nmae\""));
    assert!(change[0].starts_with("[0].changes[0]: unknown field `nmae`"), "{change:#?}");
    let report = problems("reports", REPORT.replace("\"regime\"", "\"regimes\""));
    let at = ["unknown field `regimes`", "at line 2 column "];
    assert!(at.iter().all(|part| report[0].contains(part)), "{report:#?}");
    let value = problems("reports", REPORT.replace("\"count\"", "\"cuont\""));
    assert!(value[0].starts_with("values[0]: unknown field `cuont`"), "{value:#?}");
    let twice = problems("reports", REPORT.replace("550}", "550, \"count\": 551}"));
    assert!(twice[0].starts_with("the key `count` stands twice at line 5 column "), "{twice:#?}");
    let cut = problems("reports", REPORT.trim_end().trim_end_matches('}'));
    assert!(cut[0].contains("at line 7 column "), "{cut:#?}");
}

#[test]
fn a_file_that_is_not_utf_8_is_refused_with_its_lines() {
    for (noun, _) in COMMANDS {
        let mut legacy = good(noun).as_bytes().to_vec();
        let place = legacy.iter().position(|byte| !byte.is_ascii()).unwrap();
        let line = legacy[..place].iter().filter(|byte| **byte == b'\n').count() + 1;
        // As one of the old Vietnamese encodings has it.
        legacy[place] = b'\xaa';
        assert_eq!(problems(noun, legacy), [format!("line {line}: is not UTF-8")], "{noun}");
        let wide: Vec<u8> = good(noun).encode_utf16().flat_map(u16::to_le_bytes).collect();
        let found = problems(noun, [b"\xff\xfe".as_slice(), &wide].concat());
        assert_eq!(found[0], "line 1: is not UTF-8", "{noun}");
    }
}

#[test]
fn an_empty_file_is_refused() {
    for (noun, _) in COMMANDS {
        for empty in ["", "\u{feff}", "\n", "\r\n\r\n"] {
            let found = problems(noun, empty);
            assert!(found.iter().all(|problem| problem.contains("line ")), "{noun}: {found:#?}");
        }
    }
    for noun in ["units", "dossiers"] {
        let (header, _) = good(noun).split_once('\n').unwrap();
        for alone in [header.to_owned(), format!("{header}\n"), format!("\u{feff}{header}\r\n\r\n")]
        {
            assert_eq!(problems(noun, alone), ["has no rows"], "{noun}");
        }
    }
}

#[test]
fn a_file_that_is_not_there_or_is_a_folder_is_refused_by_name() {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    for (noun, _) in COMMANDS {
        for (file, why) in [("nowhere", "No such file"), ("folder", "Is a directory")] {
            let [problem] = refused(folder.path(), noun, file).try_into().unwrap();
            let begin = format!("{file} cannot be read: {why}");
            assert!(problem.starts_with(&begin), "{noun}: {problem}");
        }
    }
}

#[test]
fn a_file_as_windows_writes_it_is_taken() {
    let server = Serving::start();
    let imported = |noun: &str| -> Value {
        let windows = format!("\u{feff}{}", good(noun).replace('\n', "\r\n"));
        let file = server.file(noun, windows);
        let address = ["--address", server.address.as_str(), "--output", "json"];
        take(file.parent().unwrap(), noun, noun, &address).json()
    };
    assert_eq!(imported("units")["created_count"], 2);
    assert_eq!(imported("reorganisations")["created_count"], 1);
    assert_eq!(imported("dossiers")["created_count"], 2);
    assert_eq!(imported("regimes")["created"][0], "regimes/cds-thang");
    assert_eq!(imported("reports")["state"], "SUBMITTED");
    // The names are what they are without the marks and the line ends.
    let shown = server.run(&["units", "show", "09427", "--output", "json"]).json();
    assert_eq!(shown["display_name"], "Phường Trí Quả");
    // And lines are counted as an editor counts them.
    let bad = UNITS.replace("phuong", "fuong").replace('\n', "\r\n");
    let [problem] = problems("units", format!("\u{feff}{bad}")).try_into().unwrap();
    assert!(problem.starts_with("line 3, type: "), "{problem}");
}

/// A workbook of one sheet: each row's cells, a number where it reads as one and begins with `#`.
fn workbook(rows: &[&[&str]]) -> Vec<u8> {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    for (row, cells) in (0..).zip(rows) {
        for (column, cell) in (0..).zip(*cells) {
            match cell.strip_prefix('#').and_then(|number| number.parse::<f64>().ok()) {
                Some(number) => sheet.write_number(row, column, number).unwrap(),
                None => sheet.write_string(row, column, *cell).unwrap(),
            };
        }
    }
    workbook.save_to_buffer().unwrap()
}

const HEADER: [&str; 5] = ["code", "name", "type", "parent_code", "level"];

#[test]
fn a_workbook_that_lost_the_zeros_of_its_codes_or_is_none_is_refused() {
    let province = ["24", "Tỉnh Bắc Ninh", "tinh", "", "province"];
    let commune = ["#9427", "Phường Trí Quả", "phuong", "24", "commune"];
    let [problem] =
        problems("units", workbook(&[&HEADER, &province, &commune])).try_into().unwrap();
    assert!(problem.starts_with("line 3, code: "), "{problem}");
    let found =
        problems("units", workbook(&[&["code", "name", "type", "parent_code"], &province[..4]]));
    assert_eq!(found, ["line 1, level: is missing from the header"]);
    assert_eq!(problems("units", workbook(&[&HEADER])), ["has no rows"]);
    let whole = workbook(&[&HEADER, &province]);
    for none in
        [&whole[..whole.len() / 2], b"PK\x03\x04 and no more", b"\xd0\xcf\x11\xe0 from long ago"]
    {
        let [problem] = problems("units", none).try_into().unwrap();
        assert!(problem.starts_with("line 1: is "), "{problem}");
    }
}

#[test]
fn a_workbook_and_names_in_letters_with_accents_of_their_own_are_taken() {
    let server = Serving::start();
    let decomposed: String = "Phường Trí Quả".nfd().collect();
    assert_ne!(decomposed, "Phường Trí Quả");
    let commune = ["09427", decomposed.as_str(), "phuong", "24", "commune"];
    let province = ["24", "Tỉnh Bắc Ninh", "tinh", "", "province"];
    let csv = format!("{}\n{}\n{}\n", HEADER.join(","), province.join(","), commune.join(","));
    for (name, content) in
        [("u.xlsx", workbook(&[&HEADER, &province, &commune])), ("u.csv", csv.into_bytes())]
    {
        let file = server.file(name, content);
        server.run(&["units", "import", file.to_str().unwrap(), "--output", "json"]).json();
        let shown = server.run(&["units", "show", "09427", "--output", "json"]).json();
        assert_eq!(shown["display_name"], "Phường Trí Quả", "{name}");
    }
    let listed = server.run(&["units", "list", "--output", "json"]).json();
    assert_eq!((&listed["total_size"], &listed["hierarchy_version"]), (&2.into(), &1.into()));
}

#[test]
fn more_rows_than_one_import_takes_are_refused_soon_and_leave_nothing() {
    const ROWS: usize = 250_000;
    const SOON: Duration = Duration::from_secs(60);
    let server = Serving::start();
    let units = server.file("units.csv", UNITS);
    let folder = units.parent().unwrap();
    let address = ["--address", server.address.as_str(), "--output", "json"];
    take(folder, "units", "units.csv", &address).json();

    let (header, _) = DOSSIERS.split_once('\n').unwrap();
    let mut dossiers = format!("{header}\n");
    let mut units = UNITS.to_owned();
    for row in 0..ROWS {
        writeln!(units, "{:05},Xã {row},xa,24,commune", row % 100_000).unwrap();
        writeln!(dossiers, "H{row},Hộ tịch,online,2026-05-07T08:15,3d").unwrap();
    }
    let bad = dossiers.replace("online", "by pigeon");
    server.file("many-units.csv", units);
    server.file("many-dossiers.csv", dossiers);
    server.file("bad-dossiers.csv", bad);
    for (noun, file, what) in
        [("units", "many-units.csv", "200000 rows"), ("dossiers", "many-dossiers.csv", "200000")]
    {
        let begun = Instant::now();
        let ran = take(folder, noun, file, &address);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.err.starts_with("INVALID_ARGUMENT TOO_MANY_ROWS: "), "{ran:?}");
        assert!(ran.err.contains(what), "{ran:?}");
        assert!(begun.elapsed() < SOON, "{file} took {:?}", begun.elapsed());
    }
    // Every bad row is named, however many there are.
    let begun = Instant::now();
    let found = refused(folder, "dossiers", "bad-dossiers.csv");
    assert_eq!(found.len(), ROWS);
    assert!(found[0].starts_with("bad-dossiers.csv: line 2, channel: "), "{}", found[0]);
    let last = format!("bad-dossiers.csv: line {}, channel: ", ROWS + 1);
    assert!(found[ROWS - 1].starts_with(&last), "{}", found[ROWS - 1]);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());

    let listed = server.run(&["units", "list", "--output", "json"]).json();
    assert_eq!((&listed["total_size"], &listed["hierarchy_version"]), (&2.into(), &1.into()));
    let overdue = ["overdue", "24", "--at", "2100-01-01T00:00", "--output", "json"];
    assert_eq!(server.run(&overdue).json()["dossiers"], Value::Array(Vec::new()));
}

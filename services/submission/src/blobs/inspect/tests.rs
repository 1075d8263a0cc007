use std::io::{Cursor, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn types(main: &str) -> Vec<u8> {
    format!(
        "<?xml version=\"1.0\"?><Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">\
         <Default Extension=\"xml\" ContentType=\"application/xml\"/>\
         <Override PartName=\"/word/document.xml\" ContentType=\"{main}\"/></Types>"
    )
    .into_bytes()
}

/// A Word document whose text has these paragraphs, as XML.
fn docx(paragraphs: &str) -> Vec<u8> {
    docx_with(&[("word/document.xml", &body(paragraphs))])
}

fn body(paragraphs: &str) -> Vec<u8> {
    format!("<w:document xmlns:w=\"w\"><w:body>{paragraphs}</w:body></w:document>").into_bytes()
}

fn docx_with(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let types = types(&format!("{DOCX}.main+xml"));
    let mut files = vec![("[Content_Types].xml", &types[..])];
    files.extend(parts);
    archive(&files)
}

fn odt(text: &str) -> Vec<u8> {
    let content = format!("<office:text>{text}</office:text>");
    archive(&[("mimetype", ODT.as_bytes()), ("content.xml", content.as_bytes())])
}

fn compound_of(stream: &str) -> Vec<u8> {
    let mut folder = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    folder.create_stream(stream).unwrap().write_all(b"...").unwrap();
    folder.flush().unwrap();
    folder.into_inner().into_inner()
}

fn look(bytes: impl AsRef<[u8]>) -> Result<&'static str, NotTaken> {
    media_type(Cursor::new(bytes.as_ref()))
}

#[track_caller]
fn refused(bytes: impl AsRef<[u8]>) -> String {
    match look(bytes).unwrap_err() {
        NotTaken::Kind(why) => why,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn secret(bytes: impl AsRef<[u8]>) {
    let refused = look(bytes).unwrap_err();
    assert!(matches!(refused, NotTaken::Secrecy(_)), "{refused:?}");
}

#[test]
fn a_file_is_what_it_holds() {
    let signed = b"\x30\x82\x05\x10\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x82";
    let xml = format!("<?xml version=\"1.0\"?>\n<a><Signature xmlns=\"{XML_SIGNATURE}\"/></a>");
    let sheet = archive(&[
        ("[Content_Types].xml", &types(&format!("{XLSX}.main+xml"))),
        ("xl/workbook.xml", b"<workbook/>"),
    ]);
    let slides = archive(&[("[Content_Types].xml", &types(&format!("{PPTX}.main+xml")))]);
    for (bytes, expected) in [
        (b"%PDF-1.7\n...".to_vec(), PDF),
        (b"\x89PNG\r\n\x1a\n...".to_vec(), "image/png"),
        (b"\xff\xd8\xff\xe0...".to_vec(), "image/jpeg"),
        (b"II*\0...".to_vec(), "image/tiff"),
        (b"MM\0*...".to_vec(), "image/tiff"),
        (signed.to_vec(), SIGNATURE),
        (b"-----BEGIN PKCS7-----\nMIIF\n".to_vec(), SIGNATURE),
        (xml.into_bytes(), SIGNED_XML),
        (docx("<w:p><w:r><w:t>Lời.</w:t></w:r></w:p>"), DOCX),
        (sheet, XLSX),
        (slides, PPTX),
        (odt("<text:p>Lời.</text:p>"), ODT),
        (archive(&[("mimetype", ODS.as_bytes()), ("content.xml", b"<a/>")]), ODS),
        (compound_of("/WordDocument"), DOC),
        (compound_of("/Workbook"), XLS),
        (compound_of("/Book"), XLS),
        (archive(&[("anh/1.jpg", b"...")]), ZIP),
        (archive(&[]), ZIP),
        ("Báo cáo tháng 5.\r\nHết.\n".into(), TEXT),
        ("\u{feff}Một dòng, có dấu phẩy.".into(), TEXT),
        ("x".into(), TEXT),
        ("mã,tên\n09427,Trí Quả\n".into(), CSV),
        ("\u{feff}mã;tên\r\n09427;\"Phường\nTrí Quả\"\r\n".into(), CSV),
        ("mã\ttên\n09427\tTrí Quả\n".into(), CSV),
    ] {
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(20)]).into_owned();
        assert_eq!(look(&bytes).unwrap(), expected, "{start:?}");
    }
}

#[test]
fn what_is_of_no_kind_that_is_taken_is_refused_whatever_it_is_called() {
    for bytes in [
        &b"MZ\x90\0\x03"[..],
        b"\x7fELF\x02\x01",
        b"GIF89a\x01\0\x01\0",
        b"\x1f\x8b\x08\0",
        b"Rar!\x1a\x07\0",
        b"7z\xbc\xaf\x27\x1c",
        b"a\0b",
        b"\x1b[31mdo",
        // Windows-1258.
        b"B\xe1o c\xe1o",
        // It ends within a character.
        b"B\xc3",
        b"#!/bin/sh\nrm\n",
        b"<!DOCTYPE html><html></html>",
        b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
        b"  <a/>",
    ] {
        refused(bytes);
    }
    let declares = format!("<!DOCTYPE a [<!ENTITY b \"c\">]><a xmlns=\"{XML_SIGNATURE}\"/>");
    refused(declares);
    refused(compound_of("/EncryptedPackage"));
    let macros = "application/vnd.ms-word.document.macroEnabled.main+xml";
    let why = refused(archive(&[("[Content_Types].xml", &types(macros))]));
    assert!(why.contains("macros"), "{why}");
    refused(archive(&[("mimetype", b"application/vnd.oasis.opendocument.presentation")]));
}

#[test]
fn what_is_cut_off_or_is_no_archive_inside_is_refused() {
    let whole = docx("<w:p><w:r><w:t>Lời.</w:t></w:r></w:p>");
    for cut in [5, whole.len() / 2, whole.len() - 1] {
        refused(&whole[..cut]);
    }
    let mut folder = compound_of("/WordDocument");
    folder.truncate(700);
    refused(&folder);
    refused(docx_with(&[("word/document.xml", b"<a></b>")]));
    refused(docx_with(&[("word/document.xml", b"\xff\xfe<\0a\0")]));
}

#[test]
fn a_stamp_of_secrecy_is_found_wherever_a_document_shows_it() {
    let run = |text: &str| format!("<w:r><w:t>{text}</w:t></w:r>");
    for paragraphs in [
        format!("<w:p>{}</w:p>", run("MẬT")),
        // As Word writes what was typed with pauses.
        format!("<w:p>{}{}{}</w:p>", run("TUYỆT"), run(" "), run("M\u{1eac}T")),
        format!("<w:p>{}</w:p>", run("M&#7852;T")),
        format!("<w:p>{}</w:p>", run("M&#x1EAC;T")),
        format!("<w:p>{}</w:p>", run("<![CDATA[MẬT]]>")),
        format!("<w:p>{}<w:r><w:br/></w:r>{}</w:p>", run("TỐI MẬT"), run("Số: 12/BC")),
        format!("<w:p>{}<w:txbxContent><w:p>{}</w:p></w:txbxContent></w:p>", run("Số"), run("MẬT")),
        format!("<w:tbl><w:tc><w:p>{}</w:p></w:tc></w:tbl>", run("MẬT")),
        format!("<w:p><w:instrText>PAGE</w:instrText>{}</w:p>", run("MẬT")),
    ] {
        secret(docx(&paragraphs));
    }
    let text = body("<w:p><w:r><w:t>Lời.</w:t></w:r></w:p>");
    let stamp = body("<w:p><w:r><w:t>MẬT</w:t></w:r></w:p>");
    for beside in ["word/header1.xml", "word/footer2.xml"] {
        secret(docx_with(&[("word/document.xml", &text), (beside, &stamp)]));
    }
    secret(odt("<text:p>MẬT</text:p>"));
    secret(odt("<text:h><text:span>TỐI</text:span><text:s/><text:span>MẬT</text:span></text:h>"));
    secret(odt("<text:p>Số 12<text:line-break/>MẬT</text:p>"));
    let styles = "<style:header><text:p>MẬT</text:p></style:header>";
    secret(archive(&[("mimetype", ODT.as_bytes()), ("styles.xml", styles.as_bytes())]));
    secret("Số: 12/BC\r\nMẬT\r\nBáo cáo");
    secret("Báo cáo\nTỐI MẬT");
    secret(archive(&[("bao-cao/12-BC (Mật).docx", b"...")]));
}

/// A workbook with these shared strings and one sheet with these rows, as XML.
fn xlsx(shared: &[&str], rows: &str) -> Vec<u8> {
    let shared: String = shared.iter().map(|text| format!("<si>{text}</si>")).collect();
    let (shared, sheet) =
        (format!("<sst>{shared}</sst>"), format!("<sheetData>{rows}</sheetData>"));
    archive(&[
        ("[Content_Types].xml", &types(&format!("{XLSX}.main+xml"))),
        ("xl/sharedStrings.xml", shared.as_bytes()),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
    ])
}

#[test]
fn a_stamp_of_secrecy_is_found_in_a_cell_of_a_workbook() {
    let texts =
        ["<t>Báo cáo</t>", "<t>MẬT</t>", "<r><t>TỐI </t></r><r><t>MẬT</t></r>", "<t>Mật</t>"];
    let cell = |at: &str, number: usize| format!("<c r=\"{at}\" t=\"s\"><v>{number}</v></c>");
    let row = |cells: &[String]| format!("<row>{}</row>", cells.concat());
    for rows in [
        row(&[cell("A1", 1)]),
        row(&[cell("A1", 0), cell("B1", 2)]),
        // One level twice is no table about levels.
        row(&[cell("A1", 1), cell("B1", 3)]),
        row(&["<c r=\"A1\" t=\"inlineStr\"><is><t>Độ mật: Tối mật</t></is></c>".to_owned()]),
        row(&["<c r=\"A1\" t=\"str\"><f>B1</f><v>TUYỆT MẬT</v></c>".to_owned()]),
        // Elsewhere it is one.
        row(&[cell("A1", 1)]) + &row(&[cell("B2", 1), cell("C2", 2)]),
    ] {
        secret(xlsx(&texts, &rows));
    }
    for rows in [
        row(&[cell("A1", 0), cell("B1", 3)]),
        row(&[cell("A1", 1), cell("B1", 2)]),
        row(&[cell("A1", 1)]) + &row(&[cell("A2", 2)]),
        // A number, and not that of a text.
        row(&["<c r=\"A1\"><v>1</v></c>".to_owned()]),
        row(&["<c r=\"A1\" t=\"inlineStr\"><is><rPh><t>MẬT</t></rPh></is></c>".to_owned()]),
        String::new(),
    ] {
        assert_eq!(look(xlsx(&texts, &rows)).unwrap(), XLSX, "{rows}");
    }
    // One of the texts is in no cell; and what unpacks to too much is not looked into, and taken.
    assert_eq!(look(xlsx(&texts, &" ".repeat(4 << 20))).unwrap(), XLSX);
}

#[test]
fn a_watermark_and_capitals_that_are_only_shown_are_a_stamp() {
    let text = body("<w:p><w:r><w:t>Lời.</w:t></w:r></w:p>");
    for (string, is_secret) in [("MẬT", true), ("Tối mật", true), ("BẢN THẢO", false)] {
        let watermark = format!(
            "<w:hdr xmlns:w=\"w\" xmlns:v=\"v\"><w:p><w:r><w:pict><v:shape>\
             <v:textpath string=\"{string}\"/></v:shape></w:pict></w:r></w:p></w:hdr>"
        );
        let parts = [("word/document.xml", &text[..]), ("word/header1.xml", watermark.as_bytes())];
        match is_secret {
            true => secret(docx_with(&parts)),
            false => assert_eq!(look(docx_with(&parts)).unwrap(), DOCX),
        }
    }
    let run = |properties: &str| {
        format!("<w:p><w:r><w:rPr>{properties}</w:rPr><w:t>Mật</w:t></w:r></w:p>")
    };
    for properties in ["<w:caps/>", "<w:b/><w:caps w:val=\"true\"/>", "<w:smallCaps/>"] {
        secret(docx(&run(properties)));
    }
    let before = "<w:p><w:r><w:rPr><w:caps/></w:rPr><w:t>Số</w:t></w:r></w:p>";
    for paragraphs in [run("<w:b/>"), run("<w:caps w:val=\"0\"/>"), format!("{before}{}", run(""))]
    {
        assert_eq!(look(docx(&paragraphs)).unwrap(), DOCX, "{paragraphs}");
    }
}

#[test]
fn a_table_about_several_levels_is_no_stamp_and_one_with_a_single_level_is() {
    let cell = |text: &str| format!("<w:tc><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:tc>");
    let table = |cells: &[&str]| {
        let cells: String = cells.iter().map(|text| cell(text)).collect();
        format!("<w:tbl><w:tr>{cells}</w:tr></w:tbl>")
    };
    let levels = table(&["Đơn vị", "TUYỆT MẬT", "TỐI MẬT", "MẬT"]);
    assert_eq!(look(docx(&levels)).unwrap(), DOCX);
    assert_eq!(look(docx(&table(&["Tuyệt mật", "MẬT"]))).unwrap(), DOCX);
    secret(docx(&table(&["UBND XÃ", "MẬT"])));
    secret(docx(&(table(&["UBND XÃ", "MẬT"]) + &levels)));
    secret(docx(&(levels + "<w:p><w:r><w:t>MẬT</w:t></w:r></w:p>")));
    let row = "<table:table-cell><text:p>TỐI MẬT</text:p></table:table-cell>\
               <table:table-cell><text:p>MẬT</text:p></table:table-cell>";
    assert_eq!(look(odt(&format!("<table:table>{row}</table:table>"))).unwrap(), ODT);
    secret(docx("<w:p><w:r><w:t>Độ mật: Mật</w:t></w:r></w:p>"));
}

#[test]
fn words_about_secrecy_are_no_stamp() {
    for text in ["BẢO VỆ BÍ MẬT NHÀ NƯỚC", "Mật", "KHÔNG MẬT", "Bảo mật"] {
        assert_eq!(look(docx(&format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"))).unwrap(), DOCX);
        assert_eq!(look(format!("a\n{text}\n")).unwrap(), TEXT);
    }
    let split = "<w:p><w:r><w:t>BẢO </w:t></w:r><w:r><w:t>MẬT</w:t></w:r></w:p>";
    let deleted = "<w:p><w:del><w:r><w:delText>MẬT</w:delText></w:r></w:del></w:p>";
    // The line after it is another one.
    let long = format!("<w:p><w:r><w:t>{}</w:t></w:r></w:p>", "a".repeat(5000));
    for text in [split, deleted, &long] {
        assert_eq!(look(docx(text)).unwrap(), DOCX);
    }
}

#[test]
fn what_unpacks_to_too_much_is_refused_and_never_held() {
    let zeros = |bytes: usize| {
        let mut text = b"<a>".to_vec();
        text.resize(bytes, b' ');
        text
    };
    // A thousand times what it takes packed.
    let why = refused(docx_with(&[("word/document.xml", &zeros(4 << 20))]));
    assert!(why.contains("unpacks to too much"), "{why}");
    // What does not pack well, and is one text of more than a MiB.
    let mut noise = String::from("<a>");
    let mut state = 1_u64;
    while noise.len() < 3 << 20 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        noise.push_str(&format!("{state:016x}"));
    }
    let why = refused(docx_with(&[("word/document.xml", noise.as_bytes())]));
    assert!(why.contains("too long"), "{why}");
    let deep = format!("{}{}", "<a>".repeat(DEEPEST + 1), "</a>".repeat(DEEPEST + 1));
    assert!(refused(docx_with(&[("word/document.xml", deep.as_bytes())])).contains("deep"));
    let declares = b"<!DOCTYPE a [<!ENTITY b \"M\">]><a>&b;</a>";
    assert!(refused(docx_with(&[("word/document.xml", declares)])).contains("document type"));
}

#[test]
fn an_archive_of_very_many_files_is_refused_before_its_directory_is_read() {
    let many = |count: usize, first: &[(&str, &[u8])]| {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in first {
            writer.start_file(*name, options).unwrap();
            writer.write_all(content).unwrap();
        }
        for number in 0..count {
            writer.start_file(number.to_string(), options).unwrap();
        }
        writer.finish().unwrap().into_inner()
    };
    assert_eq!(look(many(MOST_ENTRIES, &[])).unwrap(), ZIP);
    assert!(refused(many(MOST_ENTRIES + 1, &[])).contains("files"));
    let (types, text) = (types(&format!("{DOCX}.main+xml")), body("<w:p/>"));
    let parts = [("[Content_Types].xml", &types[..]), ("word/document.xml", &text[..])];
    assert_eq!(look(many(MOST_PARTS - 2, &parts)).unwrap(), DOCX);
    assert!(refused(many(MOST_PARTS - 1, &parts)).contains("parts"));
}

#[test]
fn a_table_is_told_from_a_text_by_rows_of_as_many_fields() {
    for text in ["a,b", "a,b\nc", "a\nb\n", "a;b\nc;d;e\n", "Xin chào, anh.\nHẹn gặp lại.\n"]
    {
        assert_eq!(look(text).unwrap(), TEXT, "{text:?}");
    }
    let long = "mã,tên\n".repeat(100_000);
    assert_eq!(look(&long).unwrap(), CSV);
    // Only its beginning is looked at, and ends within a row.
    assert_eq!(look(format!("{long}x")).unwrap(), CSV);
}

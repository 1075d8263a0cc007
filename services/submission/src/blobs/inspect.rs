//! What a file is, by what it holds, and whether it bears a level of secrecy where that can be read.
//!
//! A file is what somebody else made: nothing in it is believed, none of it is held in memory as a whole, and what unpacks to
//! too much is refused.

use std::collections::HashMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use csv::ReaderBuilder;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;

use crate::domain::attachment::{Mark, is_secrecy_stamp, name_bears_secrecy, secrecy_mark};

const PDF: &str = "application/pdf";
const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const PPTX: &str = "application/vnd.openxmlformats-officedocument.presentationml.presentation";
const ODT: &str = "application/vnd.oasis.opendocument.text";
const ODS: &str = "application/vnd.oasis.opendocument.spreadsheet";
const DOC: &str = "application/msword";
const XLS: &str = "application/vnd.ms-excel";
const SIGNATURE: &str = "application/pkcs7-signature";
const SIGNED_XML: &str = "application/xml";
const ZIP: &str = "application/zip";
const TEXT: &str = "text/plain";
const CSV: &str = "text/csv";

/// How files begin that say so at once.
const BEGINNINGS: [(&[u8], &str); 7] = [
    (b"%PDF-", PDF),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"-----BEGIN PKCS7-----", SIGNATURE),
    (b"-----BEGIN CMS-----", SIGNATURE),
];
const PACKED: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];
const COMPOUND: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
/// The object identifier of what is signed by CMS, as DER writes it.
const SIGNED_DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
/// The namespace of signatures in XML.
const XML_SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";

/// The most entries of an archive, and of a document that is one.
const MOST_ENTRIES: usize = 10_000;
const MOST_PARTS: usize = 1000;
/// The most bytes that the parts of a document unpack to which are looked at, and how many times what they take packed.
const MOST_UNPACKED: u64 = 64 << 20;
const MOST_RATIO: u64 = 100;
/// Of so few bytes the ratio says nothing.
const RATIO_FROM: u64 = 1 << 20;
/// The most bytes of one tag or one run of text in a document.
const LONGEST_EVENT: u64 = 1 << 20;
/// Elements within elements.
const DEEPEST: usize = 1000;
/// The most cells of a sheet that are looked at for being a stamp.
const MOST_STAMPS: usize = 10_000;
/// Longer than any stamp.
const LONGEST_LINE: usize = 256;
/// How much of a text is looked at for whether it is a table.
const TABLE_SAMPLE: u64 = 64 << 10;

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    /// It is of no kind that is.
    #[error("{0}")]
    Kind(String),
    /// It bears a level of secrecy; where.
    #[error("bears a level of secrecy: {0}")]
    Secrecy(String),
    /// It cannot be read here.
    #[error("the file cannot be read")]
    Unreadable(#[from] io::Error),
}

fn kind(why: impl Into<String>) -> NotTaken {
    NotTaken::Kind(why.into())
}

fn damaged(error: impl std::fmt::Display) -> NotTaken {
    NotTaken::Kind(format!("is an archive or a document that does not open: {error}"))
}

/// The media type of a file, if it is one that is taken. Reads all of some files: not for an async worker.
pub(crate) fn media_type(mut file: impl Read + Seek) -> Result<&'static str, NotTaken> {
    let mut head = Vec::new();
    file.by_ref().take(64).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(0))?;
    if let Some((_, known)) = BEGINNINGS.iter().find(|(begin, _)| head.starts_with(begin)) {
        return Ok(known);
    }
    if PACKED.iter().any(|begin| head.starts_with(begin)) {
        return packed(file);
    }
    if head.starts_with(COMPOUND) {
        return compound(file);
    }
    // A sequence whose first element is that identifier; its length takes one to five bytes.
    if head.first() == Some(&0x30)
        && (2..=6).any(|at| head.get(at..).is_some_and(|rest| rest.starts_with(SIGNED_DATA)))
    {
        return Ok(SIGNATURE);
    }
    text(file)
}

/// What Office made before 2007.
fn compound(file: impl Read + Seek) -> Result<&'static str, NotTaken> {
    let folder = cfb::CompoundFile::open(file).map_err(damaged)?;
    if folder.is_stream("/WordDocument") {
        Ok(DOC)
    } else if folder.is_stream("/Workbook") || folder.is_stream("/Book") {
        Ok(XLS)
    } else {
        Err(kind("is neither a Word document nor a workbook, or has a password"))
    }
}

/// An archive, or a document that is one.
fn packed(mut file: impl Read + Seek) -> Result<&'static str, NotTaken> {
    must_have_few_entries(&mut file)?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    let parts = archive.len();
    let few = |kind_of: &'static str| match parts {
        ..=MOST_PARTS => Ok(kind_of),
        _ => Err(kind(format!("is a document of more than {MOST_PARTS} parts"))),
    };
    let mut left = MOST_UNPACKED;
    if let Some(at) = archive.index_for_name("mimetype") {
        let mut said = String::new();
        let part = Part::open(&mut archive, at, &mut left)?;
        part.take(200).read_to_string(&mut said).map_err(damaged)?;
        return match said.trim() {
            ODT => {
                let odt = few(ODT)?;
                for name in ["content.xml", "styles.xml"] {
                    if let Some(at) = archive.index_for_name(name) {
                        must_bear_no_stamp(name, Part::open(&mut archive, at, &mut left)?)?;
                    }
                }
                Ok(odt)
            }
            ODS => few(ODS),
            _ => Err(kind("is an OpenDocument file of a kind that is not taken")),
        };
    }
    if let Some(at) = archive.index_for_name("[Content_Types].xml") {
        let (main, office) = content_types(Part::open(&mut archive, at, &mut left)?)?;
        few(office)?;
        let names = archive.file_names().collect::<Result<Vec<_>, _>>().map_err(damaged)?;
        let names: Vec<_> = names.into_iter().map(String::from).collect();
        match office {
            DOCX => {
                for name in names.iter().filter(|name| **name == main || beside_the_text(name)) {
                    let Some(at) = archive.index_for_name(name) else { continue };
                    must_bear_no_stamp(name, Part::open(&mut archive, at, &mut left)?)?;
                }
            }
            XLSX => must_have_no_stamped_cell(&mut archive, &names, &mut left)?,
            _ => {}
        }
        return Ok(office);
    }
    for name in archive.file_names() {
        let name = name.map_err(damaged)?;
        if name.split(['/', '\\']).any(name_bears_secrecy) {
            return Err(NotTaken::Secrecy("the name of a file in the archive says so".to_owned()));
        }
    }
    Ok(ZIP)
}

/// Headers and footers, where stamps stand as well.
fn beside_the_text(name: &str) -> bool {
    let part = name.strip_prefix("word/").and_then(|part| part.strip_suffix(".xml"));
    part.is_some_and(|part| part.starts_with("header") || part.starts_with("footer"))
}

/// Counts what an archive must have for each entry, before its directory is read into memory.
fn must_have_few_entries(file: &mut (impl Read + Seek)) -> Result<(), NotTaken> {
    const ENTRY: &[u8] = b"PK\x01\x02";
    let (mut entries, mut buffer, mut held) = (0, vec![0; 64 << 10], 0);
    loop {
        let read = file.read(&mut buffer[held..])?;
        if read == 0 {
            file.seek(SeekFrom::Start(0))?;
            return Ok(());
        }
        let filled = &buffer[..held + read];
        entries += filled.windows(ENTRY.len()).filter(|four| *four == ENTRY).count();
        if entries > MOST_ENTRIES {
            return Err(kind(format!("is an archive of more than {MOST_ENTRIES} files")));
        }
        // One may begin here and end in what comes.
        let filled = held + read;
        let keep = filled.min(ENTRY.len() - 1);
        buffer.copy_within(filled - keep..filled, 0);
        held = keep;
    }
}

/// A part of a document while it is unpacked, within what it may unpack to.
struct Part<'a, R: Read> {
    inner: R,
    left: &'a mut u64,
    /// Since the last event.
    run: u64,
    unpacked: u64,
    most: u64,
}

/// How much a part of a document may unpack to that takes so much packed.
fn most_of(packed: u64) -> u64 {
    packed.saturating_mul(MOST_RATIO).max(RATIO_FROM)
}

impl<'a> Part<'a, Box<dyn Read + 'a>> {
    fn open<R: Read + Seek>(
        archive: &'a mut ZipArchive<R>,
        at: usize,
        left: &'a mut u64,
    ) -> Result<BufReader<Self>, NotTaken> {
        let part = archive.by_index(at).map_err(damaged)?;
        let most = most_of(part.compressed_size());
        let inner: Box<dyn Read + 'a> = Box::new(part);
        Ok(BufReader::new(Part { inner, left, run: 0, unpacked: 0, most }))
    }
}

impl<R: Read> Read for Part<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let bytes = u64::try_from(read).unwrap_or(u64::MAX);
        self.unpacked += bytes;
        self.run += bytes;
        let left = self.left.checked_sub(bytes);
        if left.is_none() || self.unpacked > self.most {
            return Err(io::Error::other("it unpacks to too much"));
        }
        if self.run > LONGEST_EVENT {
            return Err(io::Error::other("a text or a tag in it is too long"));
        }
        *self.left = left.unwrap_or_default();
        Ok(read)
    }
}

/// Goes through a part event by event; none of them is long.
fn each_event<R: Read>(
    part: BufReader<Part<'_, R>>,
    mut each: impl FnMut(Event<'_>) -> Result<(), NotTaken>,
) -> Result<(), NotTaken> {
    let mut reader = Reader::from_reader(part);
    let (mut buffer, mut depth) = (Vec::new(), 0_usize);
    loop {
        buffer.clear();
        reader.get_mut().get_mut().run = 0;
        let event = reader.read_event_into(&mut buffer).map_err(damaged)?;
        match &event {
            Event::Eof => return Ok(()),
            Event::DocType(_) => return Err(damaged("it declares a document type")),
            Event::Start(_) if depth == DEEPEST => return Err(damaged("it is nested too deeply")),
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        each(event)?;
    }
}

/// The main part of an Office document, and what kind of document that makes it.
fn content_types<R: Read>(
    part: BufReader<Part<'_, R>>,
) -> Result<(String, &'static str), NotTaken> {
    let mut found = None;
    each_event(part, |event| {
        let (Event::Start(tag) | Event::Empty(tag)) = &event else { return Ok(()) };
        let office = match attribute(tag, "ContentType")?.strip_suffix(".main+xml") {
            Some(DOCX) => DOCX,
            Some(XLSX) => XLSX,
            Some(PPTX) => PPTX,
            _ => return Ok(()),
        };
        found = Some((attribute(tag, "PartName")?.trim_start_matches('/').to_owned(), office));
        Ok(())
    })?;
    found.ok_or_else(|| kind("is an Office document of a kind that is not taken, or has macros"))
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Result<String, NotTaken> {
    let found = tag.try_get_attribute(name).map_err(damaged)?;
    let value = found.map(|one| one.normalized_value(quick_xml::XmlVersion::Explicit1_0));
    Ok(value.transpose().map_err(damaged)?.map(String::from).unwrap_or_default())
}

/// A line while it is put together. What is too long for a stamp is not kept.
#[derive(Default)]
struct Line {
    text: String,
    long: bool,
}

impl Line {
    fn push(&mut self, c: char) {
        if self.text.len() < LONGEST_LINE {
            self.text.push(c);
        } else {
            self.long = true;
        }
    }

    /// Ends the line, and says whether it was a level of secrecy.
    fn end(&mut self) -> Option<Mark> {
        let mark = if self.long { None } else { secrecy_mark(&self.text) };
        self.text.clear();
        self.long = false;
        mark
    }
}

/// Levels that were found together. Where there are several, it is a table about them.
#[derive(Clone, Copy, Default)]
struct Levels {
    /// A bit for each.
    found: u8,
    stamped: bool,
}

impl Levels {
    fn add(&mut self, mark: Mark) {
        self.found |= 1 << mark.level;
        self.stamped |= mark.stamped;
    }

    fn are_several(self) -> bool {
        self.found.count_ones() > 1
    }
}

fn stamped(part: &str) -> NotTaken {
    NotTaken::Secrecy(format!("a line of {part} says so"))
}

/// What an event adds to the text around it.
fn text_of(event: &Event<'_>) -> Result<Option<String>, NotTaken> {
    Ok(match event {
        Event::Text(text) => Some(text.xml10_content().into_owned()),
        Event::CData(text) => Some(text.xml10_content().into_owned()),
        Event::GeneralRef(reference) => {
            reference.resolve_char_ref().map_err(damaged)?.map(String::from)
        }
        _ => None,
    })
}

/// A text that is gone through.
#[derive(Default)]
struct Paragraphs {
    /// A paragraph can stand in another one: in a box of text.
    open: Vec<Line>,
    /// Tables in tables, with the levels that stand alone in their cells.
    tables: Vec<Levels>,
    /// Of what is in no line that anybody reads: the code of a field, what was deleted.
    hidden: usize,
    /// What is written in small letters and shown in capitals.
    capitals: bool,
}

impl Paragraphs {
    fn push(&mut self, text: &str) {
        let Some(line) = self.open.last_mut().filter(|_| self.hidden == 0) else { return };
        if self.capitals {
            text.chars().flat_map(char::to_uppercase).for_each(|c| line.push(c));
        } else {
            text.chars().for_each(|c| line.push(c));
        }
    }

    /// Ends the line that is being put together, and says whether it was a stamp; in a table that is known at its end.
    fn end_line(&mut self) -> bool {
        match (self.open.last_mut().and_then(Line::end), self.tables.last_mut()) {
            (Some(mark), Some(table)) => table.add(mark),
            (mark, _) => return mark.is_some_and(|mark| mark.stamped),
        }
        false
    }

    /// Takes in how an element begins, and says whether a stamp ended with that.
    fn begins(&mut self, tag: &BytesStart<'_>, opens: bool) -> Result<bool, NotTaken> {
        match tag.local_name().as_ref() {
            "br" | "cr" | "line-break" => return Ok(self.end_line()),
            "tab" | "s" => self.push(" "),
            "r" => self.capitals = false,
            "caps" | "smallCaps" => {
                let off = ["w:val", "val"].map(|name| attribute(tag, name));
                let [said, other] = off;
                let off = |said: &str| matches!(said, "0" | "false" | "off");
                self.capitals = !off(&said?) && !off(&other?);
            }
            // A watermark, in whatever letters.
            "textpath" => return Ok(is_secrecy_stamp(&attribute(tag, "string")?.to_uppercase())),
            "instrText" | "delText" if opens => self.hidden += 1,
            "p" | "h" if opens => self.open.push(Line::default()),
            "tbl" | "table" if opens => self.tables.push(Levels::default()),
            _ => {}
        }
        Ok(false)
    }

    /// Takes in how an element ends, and says whether a stamp ended with that.
    fn ends(&mut self, name: &str) -> bool {
        match name {
            "r" => self.capitals = false,
            "instrText" | "delText" => self.hidden -= 1,
            "p" | "h" => {
                let stamp = self.end_line();
                self.open.pop();
                return stamp;
            }
            "tbl" | "table" => {
                let levels = self.tables.pop().unwrap_or_default();
                return levels.stamped && !levels.are_several();
            }
            _ => {}
        }
        false
    }
}

/// No paragraph of a text, nor a line of one, is a stamp.
fn must_bear_no_stamp<R: Read>(name: &str, part: BufReader<Part<'_, R>>) -> Result<(), NotTaken> {
    let mut paragraphs = Paragraphs::default();
    each_event(part, |event| {
        let found = match &event {
            Event::Start(tag) => paragraphs.begins(tag, true)?,
            Event::Empty(tag) => paragraphs.begins(tag, false)?,
            Event::End(tag) => paragraphs.ends(tag.local_name().as_ref()),
            other => {
                if let Some(text) = text_of(other)? {
                    paragraphs.push(&text);
                }
                false
            }
        };
        if found { Err(stamped(name)) } else { Ok(()) }
    })
}

/// No cell of a workbook is a stamp. Of its sheets those are looked into that unpack to what is looked at at all: a large one is
/// taken all the same.
fn must_have_no_stamped_cell<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    names: &[String],
    left: &mut u64,
) -> Result<(), NotTaken> {
    const SHARED: &str = "xl/sharedStrings.xml";
    let mut shared = HashMap::new();
    if let Some(at) = small(archive, SHARED, *left)? {
        shared = shared_marks(Part::open(archive, at, left)?)?;
    }
    let is_sheet = |name: &&String| name.starts_with("xl/worksheets/") && name.ends_with(".xml");
    for name in names.iter().filter(is_sheet) {
        if let Some(at) = small(archive, name, *left)? {
            must_be_no_stamped_sheet(name, Part::open(archive, at, left)?, &shared)?;
        }
    }
    Ok(())
}

/// Where a part is, if it is there and says that it unpacks to no more than what is left and what it may.
fn small<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    name: &str,
    left: u64,
) -> Result<Option<usize>, NotTaken> {
    let Some(at) = archive.index_for_name(name) else { return Ok(None) };
    let part = archive.by_index(at).map_err(damaged)?;
    Ok((part.size() <= left.min(most_of(part.compressed_size()))).then_some(at))
}

/// Of the texts that cells share those that are levels, by their numbers.
fn shared_marks<R: Read>(part: BufReader<Part<'_, R>>) -> Result<HashMap<String, Mark>, NotTaken> {
    let (mut marks, mut number, mut text) = (HashMap::new(), 0_usize, CellText::default());
    each_event(part, |event| {
        text.take_in(&event, &["t"])?;
        let ends = match &event {
            Event::End(tag) => tag.local_name().as_ref() == "si",
            Event::Empty(tag) => tag.local_name().as_ref() == "si",
            _ => false,
        };
        if ends {
            if let Some(mark) = text.line.end() {
                marks.insert(number.to_string(), mark);
            }
            number += 1;
        }
        Ok(())
    })?;
    Ok(marks)
}

/// What a cell shows while it is put together.
#[derive(Default)]
struct CellText {
    line: Line,
    within: bool,
    /// How Chinese characters are read.
    phonetic: bool,
}

impl CellText {
    /// Takes in what stands in elements of these names.
    fn take_in(&mut self, event: &Event<'_>, names: &[&str]) -> Result<(), NotTaken> {
        let (name, opens) = match event {
            Event::Start(tag) => (tag.local_name(), true),
            Event::End(tag) => (tag.local_name(), false),
            _ => {
                if self.within
                    && !self.phonetic
                    && let Some(text) = text_of(event)?
                {
                    text.chars().for_each(|c| self.line.push(c));
                }
                return Ok(());
            }
        };
        if name.as_ref() == "rPh" {
            self.phonetic = opens;
        } else if names.contains(&name.as_ref()) {
            self.within = opens;
        }
        Ok(())
    }
}

/// A cell that is a level counts where no other cell of its row or its column is another one.
fn must_be_no_stamped_sheet<R: Read>(
    name: &str,
    part: BufReader<Part<'_, R>>,
    shared: &HashMap<String, Mark>,
) -> Result<(), NotTaken> {
    let mut text = CellText::default();
    let (mut row, mut column, mut kind) = (0_usize, String::new(), String::new());
    let (mut rows, mut columns) = (HashMap::<_, Levels>::new(), HashMap::<_, Levels>::new());
    let mut found = Vec::new();
    each_event(part, |event| {
        text.take_in(&event, &["t", "v"])?;
        match &event {
            Event::Start(tag) => match tag.local_name().as_ref() {
                "row" => row += 1,
                "c" => {
                    let at = attribute(tag, "r")?;
                    column = at.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
                    kind = attribute(tag, "t")?;
                }
                _ => {}
            },
            Event::End(tag) if tag.local_name().as_ref() == "c" => {
                let number = text.line.text.clone();
                let mark = text.line.end();
                let mark = if kind == "s" { shared.get(number.trim()).copied() } else { mark };
                let Some(mark) = mark else { return Ok(()) };
                rows.entry(row).or_default().add(mark);
                columns.entry(column.clone()).or_default().add(mark);
                // The same stamp again says no more.
                if mark.stamped && found.len() < MOST_STAMPS {
                    found.push((row, column.clone()));
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    let several = |levels: Option<&Levels>| levels.is_some_and(|levels| levels.are_several());
    let alone = |(row, column): &(_, _)| !several(rows.get(row)) && !several(columns.get(column));
    if found.iter().any(alone) { Err(stamped(name)) } else { Ok(()) }
}

/// What is UTF-8 and can be shown: a text, a table of values between commas, or an XML document with a signature.
fn text(mut file: impl Read + Seek) -> Result<&'static str, NotTaken> {
    let not_taken = || kind("is of a kind that is not taken, or a text that is not in UTF-8");
    let mut scan = Scan::default();
    let (mut buffer, mut held) = (vec![0; 64 << 10], 0);
    loop {
        let read = file.read(&mut buffer[held..])?;
        let filled = held + read;
        let valid = match std::str::from_utf8(&buffer[..filled]) {
            Ok(all) => all.len(),
            // A character that goes on in what comes.
            Err(error) if error.error_len().is_none() && read > 0 => error.valid_up_to(),
            Err(_) => return Err(not_taken()),
        };
        let piece = std::str::from_utf8(&buffer[..valid]).map_err(|_| not_taken())?;
        if !scan.piece(piece)? {
            return Err(not_taken());
        }
        if read == 0 {
            break;
        }
        buffer.copy_within(valid..filled, 0);
        held = filled - valid;
    }
    match scan.ended()? {
        Scanned::SignedXml => Ok(SIGNED_XML),
        Scanned::Markup => Err(kind("is markup or a script; of XML only what is signed is taken")),
        Scanned::Text => {
            file.seek(SeekFrom::Start(0))?;
            Ok(if is_table(file) { CSV } else { TEXT })
        }
    }
}

/// What is known of a text so far.
#[derive(Default)]
struct Scan {
    line: Line,
    /// The first characters that are no space.
    first: String,
    /// The end of what came, in which a word may begin that goes on in what comes.
    tail: String,
    signed: bool,
    declares: bool,
}

enum Scanned {
    Text,
    Markup,
    SignedXml,
}

impl Scan {
    /// False: there is a character that no text has.
    fn piece(&mut self, piece: &str) -> Result<bool, NotTaken> {
        for c in piece.chars() {
            if self.first.len() < 2 && !(c.is_whitespace() || c == '\u{feff}') {
                self.first.push(c);
            }
            match c {
                '\n' | '\r' | '\u{c}' | '\u{2028}' | '\u{2029}' => self.end_line()?,
                '\t' | '\u{feff}' => self.line.push(' '),
                c if c.is_control() => return Ok(false),
                c => self.line.push(c),
            }
        }
        if self.first.starts_with('<') {
            self.tail.push_str(piece);
            self.signed |= self.tail.contains(XML_SIGNATURE);
            self.declares |= self.tail.contains("<!DOCTYPE");
            let keep = self.tail.len().saturating_sub(XML_SIGNATURE.len());
            let keep = (keep..).find(|at| self.tail.is_char_boundary(*at)).unwrap_or(0);
            self.tail.drain(..keep);
        }
        Ok(true)
    }

    fn end_line(&mut self) -> Result<(), NotTaken> {
        if self.line.end().is_some_and(|mark| mark.stamped) {
            return Err(NotTaken::Secrecy("a line of it says so".to_owned()));
        }
        Ok(())
    }

    fn ended(mut self) -> Result<Scanned, NotTaken> {
        self.end_line()?;
        Ok(match self.first.as_str() {
            markup if markup.starts_with('<') && self.signed && !self.declares => {
                Scanned::SignedXml
            }
            markup if markup.starts_with('<') || markup == "#!" => Scanned::Markup,
            _ => Scanned::Text,
        })
    }
}

/// Two rows at least, each of as many fields, two at least.
fn is_table(mut file: impl Read + Seek) -> bool {
    [b',', b';', b'\t'].into_iter().any(|delimiter| {
        if file.seek(SeekFrom::Start(0)).is_err() {
            return false;
        }
        let mut sample = Vec::new();
        let sampled = file.by_ref().take(TABLE_SAMPLE).read_to_end(&mut sample);
        if sampled.is_ok_and(|bytes| bytes as u64 == TABLE_SAMPLE) {
            // What the sample ends in is no whole row.
            sample.truncate(sample.iter().rposition(|byte| *byte == b'\n').unwrap_or(0));
        }
        let mut reader =
            ReaderBuilder::new().has_headers(false).delimiter(delimiter).from_reader(&*sample);
        let rows: Result<Vec<_>, _> = reader.byte_records().collect();
        rows.is_ok_and(|rows| rows.len() > 1 && rows[0].len() > 1)
    })
}

#[cfg(test)]
mod tests;

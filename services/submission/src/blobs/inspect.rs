//! What a file is, by what it holds, and whether it bears a level of secrecy where that can be read.
//!
//! A file is what somebody else made: nothing in it is believed, none of it is held in memory as a whole, and what unpacks to
//! too much is refused.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use csv::ReaderBuilder;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;

use crate::domain::attachment::{is_secrecy_stamp, name_bears_secrecy};

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
        if office == DOCX {
            few(DOCX)?;
            let names = archive.file_names().collect::<Result<Vec<_>, _>>().map_err(damaged)?;
            let names = names.into_iter().filter(|name| *name == main || beside_the_text(name));
            for name in names.map(String::from).collect::<Vec<_>>() {
                let Some(at) = archive.index_for_name(&name) else { continue };
                must_bear_no_stamp(&name, Part::open(&mut archive, at, &mut left)?)?;
            }
        }
        return few(office);
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

impl<'a> Part<'a, Box<dyn Read + 'a>> {
    fn open<R: Read + Seek>(
        archive: &'a mut ZipArchive<R>,
        at: usize,
        left: &'a mut u64,
    ) -> Result<BufReader<Self>, NotTaken> {
        let part = archive.by_index(at).map_err(damaged)?;
        let most = part.compressed_size().saturating_mul(MOST_RATIO).max(RATIO_FROM);
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

    /// Ends the line, and says whether it was a stamp.
    fn end(&mut self) -> bool {
        let stamp = !self.long && is_secrecy_stamp(&self.text);
        self.text.clear();
        self.long = false;
        stamp
    }
}

/// No paragraph of a text, nor a line of one, is a stamp. A paragraph can stand in another one: in a box of text.
fn must_bear_no_stamp<R: Read>(name: &str, part: BufReader<Part<'_, R>>) -> Result<(), NotTaken> {
    let mut paragraphs: Vec<Line> = Vec::new();
    // Of what is in no line that anybody reads: the code of a field, what was deleted.
    let mut hidden = 0_usize;
    let is_hidden = |name: &str| matches!(name, "instrText" | "delText");
    let is_paragraph = |name: &str| matches!(name, "p" | "h");
    each_event(part, |event| {
        let mut push = |text: &str| {
            if let Some(line) = paragraphs.last_mut().filter(|_| hidden == 0) {
                text.chars().for_each(|c| line.push(c));
            }
        };
        let stamped = match &event {
            Event::Start(tag) | Event::Empty(tag) => match tag.local_name().as_ref() {
                "br" | "cr" | "line-break" => paragraphs.last_mut().is_some_and(Line::end),
                "tab" | "s" => {
                    push(" ");
                    false
                }
                name => {
                    let opens = matches!(event, Event::Start(_));
                    hidden += usize::from(opens && is_hidden(name));
                    if opens && is_paragraph(name) {
                        paragraphs.push(Line::default());
                    }
                    false
                }
            },
            Event::End(tag) => {
                let name = tag.local_name();
                hidden -= usize::from(is_hidden(name.as_ref()));
                is_paragraph(name.as_ref())
                    && paragraphs.pop().is_some_and(|mut paragraph| paragraph.end())
            }
            Event::Text(text) => {
                push(&text.xml10_content());
                false
            }
            Event::CData(text) => {
                push(&text.xml10_content());
                false
            }
            Event::GeneralRef(reference) => {
                if let Some(c) = reference.resolve_char_ref().map_err(damaged)? {
                    push(c.encode_utf8(&mut [0; 4]));
                }
                false
            }
            _ => false,
        };
        if stamped { Err(NotTaken::Secrecy(format!("a line of {name} says so"))) } else { Ok(()) }
    })
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
        if self.line.end() {
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

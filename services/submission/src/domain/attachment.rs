//! Files of a report: what they may be called, which of them bear a level of secrecy, and how they come onto a report and go off
//! it again.
//!
//! A file is part of what a report says: it comes and goes only while that can be edited, and revisions that had it keep it.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use unicode_normalization::UnicodeNormalization as _;
use uuid::Uuid;

use super::report::{AlreadySubmitted, AttachedFile, Report, ReportName};

/// The most bytes of a file.
pub const LARGEST: u64 = 50 << 20;
/// The most files of a report.
pub const MOST_FILES: usize = 50;
/// The most bytes of a file's name.
pub const LONGEST_NAME: usize = 255;

/// `units/{unit}/reports/{report}/attachments/{attachment}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttachmentName {
    /// Whose it is.
    pub report: ReportName,
    /// Which.
    pub attachment: Uuid,
}

/// A text that is not the name of an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be units/{{unit}}/reports/{{report}}/attachments/{{attachment}}")]
pub struct NotAnAttachmentName;

impl fmt::Display for AttachmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/attachments/{}", self.report, self.attachment.hyphenated())
    }
}

impl FromStr for AttachmentName {
    type Err = NotAnAttachmentName;

    fn from_str(text: &str) -> Result<Self, NotAnAttachmentName> {
        let (report, attachment) = text.split_once("/attachments/").ok_or(NotAnAttachmentName)?;
        let report = report.parse().map_err(|_| NotAnAttachmentName)?;
        let attachment = Uuid::try_parse(attachment).map_err(|_| NotAnAttachmentName)?;
        let name = Self { report, attachment };
        // Uuid reads other spellings too; a name has one.
        if name.to_string() == text { Ok(name) } else { Err(NotAnAttachmentName) }
    }
}

/// A file as it was taken in, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Whose it is.
    pub report: ReportName,
    /// What the report says of it.
    pub file: AttachedFile,
    /// As its content shows.
    pub media_type: String,
    /// When it was taken in.
    pub create_time: DateTime<Utc>,
    /// Who sent it.
    pub author: String,
    /// When it was taken off the report; none: it is on it.
    pub detach_time: Option<DateTime<Utc>>,
    /// Set once what it held is gone for good.
    pub erasure: Option<Erasure>,
}

/// That what a file held was erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub author: String,
    /// Why.
    pub reason: String,
}

impl Attachment {
    /// Its name.
    pub fn name(&self) -> AttachmentName {
        AttachmentName { report: self.report, attachment: self.file.id }
    }
}

/// Why a name is none that a file may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFileName {
    /// There is none.
    #[error("is missing")]
    Missing,
    /// More than [`LONGEST_NAME`] bytes.
    #[error("must not be longer than {LONGEST_NAME} bytes")]
    TooLong,
    /// It says where the file is.
    #[error("must be without a folder: neither / nor \\, nor . or .. alone")]
    Folder,
    /// It would not be shown as it is.
    #[error("must not have control characters or marks of writing direction in it")]
    Control,
}

/// A file's name as it is kept: in NFC, without space around it.
pub fn file_name(text: &str) -> Result<String, BadFileName> {
    // NFC leaves a third of a text at least: this one is too long in any case.
    if text.len() > 3 * LONGEST_NAME {
        return Err(BadFileName::TooLong);
    }
    let name: String = text.trim().nfc().collect();
    // Such a mark shows "gpj.exe" as "exe.jpg".
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if name.is_empty() {
        Err(BadFileName::Missing)
    } else if name.len() > LONGEST_NAME {
        Err(BadFileName::TooLong)
    } else if name.contains(['/', '\\']) || name == "." || name == ".." {
        Err(BadFileName::Folder)
    } else if name.contains(|c: char| c.is_control() || turns(c)) {
        Err(BadFileName::Control)
    } else {
        Ok(name)
    }
}

/// The levels of secrecy of state, without the spaces in them: as stamped, and as written elsewhere.
const LEVELS: [[&str; 2]; 3] = [["MẬT", "mật"], ["TỐIMẬT", "tốimật"], ["TUYỆTMẬT", "tuyệtmật"]];
/// What names a level that follows, without the spaces in it.
const LEVEL_FOLLOWS: &str = "độmật:";
/// Longer than any line that is only a level, however it is written.
const LONGEST_MARK: usize = 200;
/// Words that make an ordinary one of MẬT after them, and before them: bảo mật, túi mật, mật khẩu, mật ong.
const BEFORE_MAT: [&str; 17] = [
    "BẢO", "BÍ", "CƠ", "DỊCH", "ĐỘ", "GIẢI", "KHÔNG", "LẤY", "NGỌT", "ONG", "ỐNG", "PHI", "SỎI",
    "THÂN", "TRĂNG", "TÚI", "VÀ",
];
const AFTER_MAT: [&str; 15] = [
    "DANH", "ĐỘ", "HOA", "KHẨU", "LỆNH", "MÃ", "MÍA", "NGHỊ", "NGỌT", "NGỮ", "ONG", "RỪNG", "THÁM",
    "THƯ", "VỤ",
];

/// A line that is a level of secrecy and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which of the levels, from 0.
    pub level: usize,
    /// As a stamp has it: in capitals, or said to be the document's. In other letters it may be a word of a table.
    pub stamped: bool,
}

fn without_space(text: &str) -> String {
    text.nfc().filter(|c| !c.is_whitespace()).collect()
}

/// The level of secrecy that is all of a line, but for brackets and the like around it and the words Độ mật before it.
pub fn secrecy_mark(line: &str) -> Option<Mark> {
    if line.len() > LONGEST_MARK {
        return None;
    }
    let line = without_space(line);
    let bare = |line: &str| line.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
    let all = bare(&line);
    let stamped = LEVELS.iter().position(|[stamped, _]| *stamped == all);
    let lower = all.to_lowercase();
    let said = lower.strip_prefix(LEVEL_FOLLOWS).map(bare);
    let other = said.as_deref().unwrap_or(&lower);
    let level = LEVELS.iter().position(|[_, other_letters]| *other_letters == other)?;
    Some(Mark { level, stamped: stamped.is_some() || said.is_some() })
}

/// Whether a line is the stamp of a level of secrecy.
pub fn is_secrecy_stamp(line: &str) -> bool {
    secrecy_mark(line).is_some_and(|mark| mark.stamped)
}

/// Whether a file's name says that it bears a level of secrecy: `12-BC (Mật).docx`, `MẬT - 12-BC.docx`, `BÁO CÁO MẬT.docx`. A word
/// of other words does not: `BC_BẢO_MẬT_THÔNG_TIN.docx`, `MẬT ONG.xlsx`.
pub fn name_bears_secrecy(name: &str) -> bool {
    let name: String = name.nfc().collect();
    let extension = |rest: &str| rest.len() <= 5 && rest.chars().all(|c| c.is_ascii_alphanumeric());
    let name = match name.rsplit_once('.') {
        Some((name, rest)) if extension(rest) => name,
        _ => &name,
    };
    let mut pieces = name.split(['(', '[', '{']);
    let outside = pieces.next().unwrap_or_default();
    let (mut inner, mut parts) = (Vec::new(), vec![outside]);
    for piece in pieces {
        let (within, rest) = piece.split_once([')', ']', '}']).unwrap_or((piece, ""));
        inner.push(within);
        parts.extend([within, rest]);
    }
    inner.into_iter().any(|within| secrecy_mark(within).is_some())
        || parts.into_iter().flat_map(apart).any(|part| part_bears_secrecy(&part))
}

/// What dashes with spaces around them set apart, in words. One without them stands for a space, as `_` does.
fn apart(text: &str) -> Vec<Vec<String>> {
    let mut parts = vec![Vec::new()];
    for word in text.split_whitespace() {
        if word.chars().all(|c| matches!(c, '-' | '–' | '—')) {
            parts.push(Vec::new());
        } else if let Some(part) = parts.last_mut() {
            let words = word.split(|c: char| !c.is_alphanumeric());
            part.extend(words.filter(|word| !word.is_empty()).map(str::to_owned));
        }
    }
    parts
}

/// Whether a level in capitals is all of a part of a name, or stands in it as no part of an ordinary word.
fn part_bears_secrecy(words: &[String]) -> bool {
    if is_secrecy_stamp(&words.concat()) {
        return true;
    }
    let is_mat = |at: &usize| words[*at] == "MẬT";
    let mut found = (0..words.len()).filter(is_mat);
    // Where several stand it is about them.
    let (Some(at), None) = (found.next(), found.next()) else { return false };
    let higher = at > 0 && matches!(words[at - 1].as_str(), "TỐI" | "TUYỆT");
    let before = at.checked_sub(if higher { 2 } else { 1 }).map(|at| words[at].as_str());
    let (before, after) =
        (before.unwrap_or_default(), words.get(at + 1).map_or("", String::as_str));
    let ordinary = BEFORE_MAT.contains(&before) || AFTER_MAT.contains(&after);
    let edge = before.is_empty() || after.is_empty();
    !ordinary && (higher || edge)
}

/// Why a file does not come onto a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAttached {
    /// Nothing changes in what was handed over.
    #[error(transparent)]
    Already(#[from] AlreadySubmitted),
    /// It has [`MOST_FILES`].
    #[error("a report has at most {MOST_FILES} files")]
    TooMany,
}

impl Report {
    /// Whether one more file can come onto it.
    pub fn must_take_a_file(&self) -> Result<(), NotAttached> {
        self.must_be_editable()?;
        if self.content.files.len() < MOST_FILES { Ok(()) } else { Err(NotAttached::TooMany) }
    }

    /// The report with one more file, after those that it has.
    pub fn attach(mut self, file: AttachedFile, now: DateTime<Utc>) -> Result<Self, NotAttached> {
        self.must_take_a_file()?;
        self.content.files.push(file);
        Ok(self.moved(now))
    }

    /// The report without a file that it has.
    pub fn detach(mut self, file: Uuid, now: DateTime<Utc>) -> Result<Self, AlreadySubmitted> {
        self.must_be_editable()?;
        self.content.files.retain(|one| one.id != file);
        Ok(self.moved(now))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_has_one_spelling() {
        let text =
            format!("units/{}/reports/{}/attachments/{}", Uuid::nil(), Uuid::nil(), Uuid::max());
        assert_eq!(text.parse::<AttachmentName>().unwrap().to_string(), text);
        let report = format!("units/{}/reports/{}", Uuid::nil(), Uuid::nil());
        for bad in [
            "",
            &report,
            &format!("{report}/attachments/"),
            &text.replace('f', "F"),
            &format!("{text}/"),
        ] {
            assert_eq!(bad.parse::<AttachmentName>(), Err(NotAnAttachmentName), "{bad}");
        }
    }

    #[test]
    fn a_file_s_name_is_kept_in_nfc_and_without_space_around_it() {
        let decomposed = "  Ba\u{301}o ca\u{301}o tha\u{301}ng 5.docx ";
        assert_eq!(file_name(decomposed).unwrap(), "Báo cáo tháng 5.docx");
        assert_eq!(file_name("..docx").unwrap(), "..docx");
    }

    #[test]
    fn a_file_s_name_has_no_folder_no_control_character_and_255_bytes_at_most() {
        let longest = "a".repeat(LONGEST_NAME);
        assert_eq!(file_name(&longest).unwrap(), longest);
        // 255 bytes once it is in NFC, and more before.
        let decomposed = "a\u{323}\u{302}".repeat(LONGEST_NAME / 3);
        assert_eq!(file_name(&decomposed).unwrap().len(), LONGEST_NAME);
        for (bad, why) in [
            ("", BadFileName::Missing),
            (" \n", BadFileName::Missing),
            (&*format!("{longest}a"), BadFileName::TooLong),
            (&*"á".repeat(500), BadFileName::TooLong),
            ("a/b.pdf", BadFileName::Folder),
            ("C:\\a.pdf", BadFileName::Folder),
            (".", BadFileName::Folder),
            ("..", BadFileName::Folder),
            ("a\0.pdf", BadFileName::Control),
            ("a\nb.pdf", BadFileName::Control),
            ("a\u{85}b.pdf", BadFileName::Control),
            ("a\u{202e}fdp.exe", BadFileName::Control),
        ] {
            assert_eq!(file_name(bad), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn a_stamp_of_secrecy_stands_alone_on_its_line_in_capitals_or_said_to_be_the_level() {
        for stamp in [
            "MẬT",
            " TỐI MẬT\u{a0}",
            "TUYỆT  MẬT",
            "(MẬT)",
            "*** M Ậ T ***",
            "MA\u{323}\u{302}T",
            "Độ mật: Mật",
            "ĐỘ MẬT: Tuyệt mật.",
            "- Độ mật : “Tối mật”",
        ] {
            assert!(is_secrecy_stamp(stamp), "{stamp:?}");
        }
        for other in [
            "",
            "Mật",
            "mật",
            "BẢO MẬT",
            "MẬT ONG",
            "CÔNG TÁC BẢO VỆ BÍ MẬT NHÀ NƯỚC",
            "MAT",
            "KHÔNG MẬT",
            "Độ mật: không",
            "Độ mật:",
            "ĐỘ MẬT",
            "Độ mật: Mật, Tối mật, Tuyệt mật",
        ] {
            assert!(!is_secrecy_stamp(other), "{other:?}");
        }
        assert_eq!(secrecy_mark("Tối mật"), Some(Mark { level: 1, stamped: false }));
    }

    #[test]
    fn a_file_s_name_bears_secrecy_as_no_part_of_an_ordinary_word() {
        for bears in [
            "12-BC (MẬT).docx",
            "Báo cáo (mật).pdf",
            "Báo cáo [Tối mật] tháng 5.pdf",
            "MẬT - 12-BC.docx",
            "12-BC – MẬT.docx",
            "MẬT.pdf",
            "MẬT",
            "M Ậ T.pdf",
            "BÁO CÁO MẬT.docx",
            "BÁO_CÁO_THÁNG_5_MẬT.docx",
            "12-BC-MẬT.pdf",
            "MẬT_12-BC.pdf",
            "12_TUYỆT MẬT_BC.docx",
            "TỐI-MẬT-12-BC.docx",
            "Báo cáo bảo mật - TỐI MẬT.docx",
            "BẢO VỆ BÍ MẬT - MẬT.docx",
            "(1) Báo cáo (Tuyệt Mật",
            "(BÁO CÁO MẬT) 5.docx",
            "12-BC (MA\u{323}\u{302}T).docx",
        ] {
            let decomposed: String = bears.nfd().collect();
            assert!(name_bears_secrecy(bears) && name_bears_secrecy(&decomposed), "{bears}");
        }
        for other in [
            "",
            ".docx",
            "Báo cáo tháng 5.docx",
            "BC_BẢO_MẬT_THÔNG_TIN_T5.docx",
            "BÁO-CÁO-BẢO-VỆ-BÍ-MẬT-NHÀ-NƯỚC.pdf",
            "BÁO CÁO CÔNG TÁC CƠ MẬT.docx",
            "5.BẢO.MẬT.pdf",
            "DANH MỤC BÍ MẬT NHÀ NƯỚC ĐỘ TUYỆT MẬT.pdf",
            "THEO DÕI TÀI LIỆU MẬT, TỐI MẬT, TUYỆT MẬT.xlsx",
            "TÀI LIỆU TỐI MẬT VÀ MẬT.xlsx",
            "MẬT KHẨU WIFI.txt",
            "MẬT_ĐỘ_DÂN_SỐ_2026.xlsx",
            "SẢN LƯỢNG MẬT ONG.xlsx",
            "NUÔI ONG MẬT.xlsx",
            "SIÊU ÂM TÚI MẬT.pdf",
            "ĐÃ GIẢI MẬT.pdf",
            "KHÔNG MẬT.pdf",
            "Công tác bảo mật (lần 2).docx",
            "BÁO CÁO (BẢO MẬT).docx",
            "Mật ong rừng.xlsx",
            "BẢO MẬT.pdf",
            "bao-cao-mat.pdf",
            "Báo cáo mật.docx",
            "(thay thế) mật khẩu.txt",
        ] {
            let decomposed: String = other.nfd().collect();
            assert!(!name_bears_secrecy(other) && !name_bears_secrecy(&decomposed), "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_name_that_is_taken_is_taken_again_as_it_is(text in "\\PC{0,60}") {
            if let Ok(name) = file_name(&text) {
                prop_assert_eq!(file_name(&name), Ok(name.clone()));
                prop_assert!(name.len() <= LONGEST_NAME && !name.contains(['/', '\\', '\0']));
            }
        }
    }
}

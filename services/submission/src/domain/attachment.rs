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

fn without_space(text: &str) -> String {
    text.nfc().filter(|c| !c.is_whitespace()).collect()
}

/// Whether a line is the stamp of a level of secrecy: in capitals, and nothing else but brackets and the like around it. In
/// other letters it may be a word of a table.
pub fn is_secrecy_stamp(line: &str) -> bool {
    // Longer than any stamp however it is written: not worth looking at.
    if line.len() > 200 {
        return false;
    }
    let bare = without_space(line);
    let bare = bare.trim_matches(|c: char| !c.is_alphanumeric());
    LEVELS.iter().any(|[stamped, _]| *stamped == bare)
}

/// Whether a file's name says that it bears a level of secrecy: `12-BC (Mật).docx`, `MẬT - 12-BC.docx`. A word within other
/// words does not: `Bảo mật.docx`, `mật ong.xlsx`.
pub fn name_bears_secrecy(name: &str) -> bool {
    let name: String = name.nfc().collect();
    let bracketed = name.split(['(', '[', '{']).skip(1).any(|rest| {
        let inner = rest.split([')', ']', '}']).next().unwrap_or_default();
        let inner = without_space(inner).to_lowercase();
        LEVELS.iter().any(|[_, lower]| *lower == inner)
    });
    let apart = |c: char| !c.is_alphabetic() && !c.is_whitespace();
    bracketed || name.split(apart).any(is_secrecy_stamp)
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
    fn a_stamp_of_secrecy_stands_alone_on_its_line_and_in_capitals() {
        for stamp in
            ["MẬT", " TỐI MẬT\u{a0}", "TUYỆT  MẬT", "(MẬT)", "*** M Ậ T ***", "MA\u{323}\u{302}T"]
        {
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
        ] {
            assert!(!is_secrecy_stamp(other), "{other:?}");
        }
    }

    #[test]
    fn a_file_s_name_bears_secrecy_in_brackets_or_in_capitals_apart_from_other_words() {
        for bears in [
            "12-BC (MẬT).docx",
            "Báo cáo (mật).pdf",
            "Báo cáo [Tối mật] tháng 5.pdf",
            "MẬT - 12-BC.docx",
            "12_TUYỆT MẬT_BC.docx",
            "(1) Báo cáo (Tuyệt Mật",
            "12-BC (MA\u{323}\u{302}T).docx",
        ] {
            assert!(name_bears_secrecy(bears), "{bears}");
        }
        for other in [
            "Báo cáo tháng 5.docx",
            "Công tác bảo mật (lần 2).docx",
            "Mật ong rừng.xlsx",
            "BẢO MẬT.pdf",
            "bao-cao-mat.pdf",
            "(thay thế) mật khẩu.txt",
        ] {
            assert!(!name_bears_secrecy(other), "{other}");
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

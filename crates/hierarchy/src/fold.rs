//! Vietnamese text as people search it: without case, accents, punctuation, or the accidents of how it was typed.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The five marks of tone, as apart from those that make another letter.
const TONES: [char; 5] = ['\u{300}', '\u{301}', '\u{303}', '\u{309}', '\u{323}'];

/// One word of a text, as a key with and one without accents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) folded: String,
    /// Decomposed, with the tone at the end of the word, so that `hoà` and `hòa` are spelt alike.
    pub(crate) accented: String,
}

/// The search key of a text: composed and decomposed letters and their look-alikes are one, accents are gone, đ is d, all is
/// lower case, and each run of punctuation and blanks is one space.
///
/// ```
/// assert_eq!(dunghan_hierarchy::fold("Ủy ban nhân dân  xã ĐẠI-HỢP"), "uy ban nhan dan xa dai hop");
/// ```
pub fn fold(text: &str) -> String {
    let mut key = String::with_capacity(text.len());
    for word in words(text) {
        if !key.is_empty() {
            key.push(' ');
        }
        key.push_str(&word.folded);
    }
    key
}

/// The letter that is meant where old fonts and converters leave one that looks like it: the letter oi for ư, and Icelandic or
/// African letters for đ.
///
/// ```
/// assert_eq!("BC-HÐND".chars().map(dunghan_hierarchy::intended).collect::<String>(), "BC-HĐND");
/// ```
pub fn intended(letter: char) -> char {
    match letter {
        'ƣ' => 'ư',
        'Ƣ' => 'Ư',
        'ð' | 'ɖ' => 'đ',
        'Ð' | 'Ɖ' => 'Đ',
        other => other,
    }
}

pub(crate) fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut word = Word::default();
    let mut tones = String::new();
    let mut close = |word: &mut Word, tones: &mut String| {
        if !word.folded.is_empty() {
            word.accented.push_str(tones);
            words.push(std::mem::take(word));
        }
        tones.clear();
    };
    // Decomposing is enough to make NFC and NFD one; composing first would change nothing.
    for letter in text.chars().map(intended).nfd().flat_map(char::to_lowercase) {
        match letter {
            mark if is_combining_mark(mark) => {
                if TONES.contains(&mark) {
                    tones.push(mark);
                } else if !word.folded.is_empty() {
                    word.accented.push(mark);
                }
            }
            'đ' => {
                word.folded.push('d');
                word.accented.push('đ');
            }
            letter if letter.is_alphanumeric() => {
                word.folded.push(letter);
                word.accented.push(letter);
            }
            _ => close(&mut word, &mut tones),
        }
    }
    close(&mut word, &mut tones);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accents_case_and_punctuation_do_not_matter() {
        for (text, key) in [
            ("Xã Tân Kỳ", "xa tan ky"),
            ("TX.Kiến Tường", "tx kien tuong"),
            ("  Thành phố\u{a0}Hồ\tChí–Minh ", "thanh pho ho chi minh"),
            ("ĐẮK LẮK", "dak lak"),
            ("Xa\u{303} Ta\u{302}n Ky\u{300}", "xa tan ky"),
            ("Phường 1", "phuong 1"),
            ("…", ""),
            ("", ""),
        ] {
            assert_eq!(fold(text), key, "{text:?}");
        }
    }

    #[test]
    fn look_alike_letters_are_repaired() {
        for (text, key) in [
            ("Phƣờng", "phuong"),
            ("PHƢƠNG", "phuong"),
            ("ðại hợp", "dai hop"),
            ("Ðại Hợp", "dai hop"),
            ("Ɖại Hợp", "dai hop"),
        ] {
            assert_eq!(fold(text), key, "{text:?}");
        }
        assert_eq!(words("phƣ\u{300}ng"), words("phừng"));
        assert_eq!(words("Ðức"), words("đức"));
    }

    #[test]
    fn where_the_tone_is_written_does_not_matter() {
        assert_eq!(words("Hòa Thủy"), words("Hoà Thuỷ"));
        assert_ne!(words("Hòa"), words("Hoa"));
        assert_ne!(words("Hòa"), words("Hóa"));
    }

    #[test]
    fn folding_any_single_letter_twice_changes_nothing() {
        for letter in '\0'..='\u{1ffff}' {
            let text = format!("a{letter}b");
            let once = fold(&text);
            assert_eq!(fold(&once), once, "{letter:?} U+{:04X}", u32::from(letter));
        }
    }
}

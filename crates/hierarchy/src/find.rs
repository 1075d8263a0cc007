//! Finding units by their names, as people and documents write them.

use std::cmp::Reverse;
use std::sync::LazyLock;

use chrono::NaiveDate;

use crate::fold::{Word, words};
use crate::{Hierarchy, Kind, UnitId, Version};

/// A unit that a name may mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The unit.
    pub id: UnitId,
    /// How well it fits, to be compared with the other candidates of the same query only; homonyms score alike.
    pub score: u32,
}

/// How the kind given in a query stands to a unit's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Agreement {
    Same,
    NotGiven,
    Differs,
}

/// The words before a name that say what it is the name of.
static KINDS: LazyLock<Vec<(Vec<Word>, Kind)>> = LazyLock::new(|| {
    [
        ("tỉnh", Kind::Tinh),
        ("thành phố", Kind::ThanhPho),
        ("TP", Kind::ThanhPho),
        ("quận", Kind::Quan),
        ("Q", Kind::Quan),
        ("huyện", Kind::Huyen),
        ("H", Kind::Huyen),
        ("thị xã", Kind::ThiXa),
        ("TX", Kind::ThiXa),
        ("xã", Kind::Xa),
        ("X", Kind::Xa),
        ("phường", Kind::Phuong),
        ("P", Kind::Phuong),
        ("thị trấn", Kind::ThiTran),
        ("TT", Kind::ThiTran),
        ("đặc khu", Kind::DacKhu),
        ("ĐK", Kind::DacKhu),
        ("sở", Kind::So),
        ("phòng", Kind::Phong),
        ("trung tâm", Kind::TrungTam),
    ]
    .into_iter()
    .map(|(text, kind)| (words(text), kind))
    .collect()
});

/// A name as it is compared, with and without accents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key<T> {
    folded: T,
    accented: T,
}

impl Key<String> {
    fn of(words: &[Word]) -> Self {
        let join = |part: fn(&Word) -> &str| words.iter().map(part).collect::<Vec<_>>().join(" ");
        Self { folded: join(|word| &word.folded), accented: join(|word| &word.accented) }
    }

    fn borrowed(&self) -> Key<&str> {
        Key { folded: &self.folded, accented: &self.accented }
    }
}

/// The search keys of one version's name, in one text: thousands of them stay, and are read one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    /// The whole name folded, and then as it is spelt.
    text: Box<str>,
    /// Where the second begins.
    spelt: usize,
    /// How long the word for its kind is in each.
    kind_word: Key<usize>,
    kind: Kind,
}

impl Name {
    pub(crate) fn of(version: &Version) -> Self {
        let words = name_words(&version.display_name);
        // Only by its own kind: a commune called Quan Sơn would otherwise lose the half of its name.
        let bare = split_kind(&words)
            .filter(|split| split.kind == version.kind)
            .map_or(&words[..], |split| split.bare);
        let (whole, bare) = (Key::of(&words), Key::of(bare));
        Self {
            spelt: whole.folded.len(),
            kind_word: Key {
                folded: whole.folded.len() - bare.folded.len(),
                accented: whole.accented.len() - bare.accented.len(),
            },
            kind: version.kind,
            text: (whole.folded + &whole.accented).into_boxed_str(),
        }
    }

    fn whole(&self) -> Key<&str> {
        let (folded, accented) = self.text.split_at(self.spelt);
        Key { folded, accented }
    }

    /// Without the word for its kind.
    fn bare(&self) -> Key<&str> {
        let Key { folded, accented } = self.whole();
        Key {
            folded: &folded[self.kind_word.folded..],
            accented: &accented[self.kind_word.accented..],
        }
    }
}

/// A name taken apart into the word for a kind and the rest.
struct Split<'a> {
    kind: Kind,
    bare: &'a [Word],
    /// Whether the word for the kind is spelt with its accents, or as an abbreviation.
    spelt: bool,
}

fn split_kind(words: &[Word]) -> Option<Split<'_>> {
    KINDS.iter().find_map(|(kind_words, kind)| {
        let (head, bare) = words.split_at_checked(kind_words.len())?;
        let same =
            head.iter().zip(kind_words).all(|(word, kind_word)| word.folded == kind_word.folded);
        (same && !bare.is_empty()).then(|| Split { kind: *kind, bare, spelt: head == kind_words })
    })
}

/// The words of a name; `UBND xã …` is the commune, and ward 01 is ward 1.
fn name_words(text: &str) -> Vec<Word> {
    let mut words = words(text);
    for word in &mut words {
        if word.folded.bytes().all(|byte| byte.is_ascii_digit()) {
            *word = numeral(&word.folded);
        }
    }
    for authority in [&["ubnd"][..], &["uy", "ban", "nhan", "dan"]] {
        if words.len() > authority.len()
            && words.iter().zip(authority).all(|(word, part)| word.folded == *part)
        {
            words.drain(..authority.len());
        }
    }
    words
}

/// A number as a word, without zeros in front.
fn numeral(digits: &str) -> Word {
    let number = digits.trim_start_matches('0');
    let folded = if number.is_empty() { "0" } else { number }.to_owned();
    Word { accented: folded.clone(), folded }
}

/// What is looked for, read in every way that it can be meant.
struct Query {
    whole: Key<String>,
    split: Option<(Key<String>, Kind)>,
    /// Whether the split is beyond doubt. `Quan Sơn` begins like a quận without being one.
    sure: bool,
}

/// The words of what is looked for.
fn query_words(text: &str) -> Vec<Word> {
    let mut words = name_words(text);
    // Q1 and P12 are written in one word.
    if let [first, ..] = &mut words[..]
        && let Some(number) = first.folded.strip_prefix(['p', 'q'])
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
    {
        let number = numeral(number);
        first.folded.truncate(1);
        first.accented.truncate(1);
        words.insert(1, number);
    }
    words
}

impl Query {
    fn of(words: &[Word]) -> Option<Self> {
        if words.is_empty() {
            return None;
        }
        let accented = words.iter().any(|word| word.folded != word.accented);
        let split = split_kind(words);
        let sure = split.as_ref().is_some_and(|split| split.spelt || !accented);
        let split = split.map(|split| (Key::of(split.bare), split.kind));
        Some(Self { whole: Key::of(words), split, sure })
    }

    /// Whether it is the name, with or without the word for its kind, and that word is no other. Accents are left out of it.
    fn is(&self, name: &Name) -> bool {
        let bare = name.bare().folded;
        let split = self.split.as_ref();
        self.whole.folded == name.whole().folded
            || self.whole.folded == bare
            || split.is_some_and(|(asked, kind)| *kind == name.kind && asked.folded == bare)
    }

    /// 0 where it does not fit at all.
    fn score(&self, name: &Name) -> u32 {
        let (asked, whole) = (self.whole.borrowed(), name.whole());
        let whole = match (asked.folded == whole.folded, asked.accented == whole.accented) {
            (true, true) => return 1000,
            (true, false) => 800,
            (false, _) => 0,
        };
        let bare = name.bare();
        let plain = reading(asked, bare, Agreement::NotGiven, true);
        let split = self.split.as_ref().map_or(0, |(asked, kind)| {
            let agreement = if *kind == name.kind { Agreement::Same } else { Agreement::Differs };
            reading(asked.borrowed(), bare, agreement, self.sure)
        });
        whole.max(plain).max(split)
    }
}

/// How well a bare name fits. One spelt as asked ranks above one that only folds to it, even if it is of another kind than the
/// asked one: accents tell Vietnamese names apart for good, while communes become wards.
fn reading(asked: Key<&str>, name: Key<&str>, agreement: Agreement, loosely: bool) -> u32 {
    let differs = agreement == Agreement::Differs;
    if asked.folded == name.folded {
        return match (asked.accented == name.accented, agreement) {
            (true, Agreement::Same) => 950,
            (true, Agreement::NotGiven) => 900,
            (true, Agreement::Differs) => 850,
            (false, Agreement::Same) => 750,
            (false, Agreement::NotGiven) => 700,
            (false, Agreement::Differs) => 600,
        };
    }
    let score = if !loosely {
        0
    } else if begins(name.folded, asked.folded) {
        if begins(name.accented, asked.accented) { 450 } else { 250 }
    } else if contains_words(name.folded, asked.folded) {
        if contains_words(name.accented, asked.accented) { 400 } else { 200 }
    } else {
        0
    };
    if differs && score > 0 { score - 25 } else { score }
}

/// Whether a name begins with this. Ward 12 does not begin with ward 1.
fn begins(name: &str, start: &str) -> bool {
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    name.strip_prefix(start)
        .is_some_and(|rest| !(digit(start.as_bytes().last()) && digit(rest.as_bytes().first())))
}

fn contains_words(name: &str, asked: &str) -> bool {
    // In bytes, which is the quicker: it is asked of thousands of names.
    let blank = |byte: &u8| *byte == b' ';
    let (name, asked) = (name.as_bytes(), asked.as_bytes());
    name.len() > asked.len()
        && asked.split(blank).all(|word| name.split(blank).any(|one| one == word))
}

impl Hierarchy {
    /// Whether a text names a unit by the name it has on a date: with `UBND` before it or without, with the word for its kind in
    /// full, abbreviated or left out, and what it lies in after it. Accents do not matter.
    pub fn is_named(&self, unit: UnitId, text: &str, as_of: NaiveDate) -> bool {
        let Some(view) = self.unit(unit, as_of) else { return false };
        let name = Name::of(view.version);
        let words = query_words(text);
        // What it lies in begins with the word for a kind.
        let ends = (1..words.len()).filter(|end| split_kind(&words[*end..]).is_some());
        let mut queries = ends.chain([words.len()]).filter_map(|end| Query::of(&words[..end]));
        queries.any(|query| query.is(&name))
    }

    /// The units that a name may mean on a date, the likeliest first and then in the usual order; all homonyms are there.
    /// With `within`, only that unit and those under it.
    ///
    /// From best to worst: the whole name; the name without the word for its kind, where that word is abbreviated, missing or
    /// another one; names that begin with it; names that contain its words. Names with the asked accents come before those
    /// that only fold to the same, both among the names that are the asked one and among those that are like it.
    pub fn find(&self, name: &str, as_of: NaiveDate, within: Option<UnitId>) -> Vec<Candidate> {
        let Some(query) = Query::of(&query_words(name)) else { return Vec::new() };
        let root = match within.map(|root| self.index.get(&root)) {
            None => None,
            Some(Some(root)) => Some(*root),
            Some(None) => return Vec::new(),
        };
        let mut found: Vec<Candidate> = self
            .names(as_of)
            .map(|(unit, name)| (unit, query.score(name)))
            .filter(|(_, score)| *score > 0)
            .filter(|(unit, _)| root.is_none_or(|root| self.is_at_or_below(*unit, root, as_of)))
            .map(|(unit, score)| Candidate { id: self.units[unit].id, score })
            .collect();
        found.sort_by_key(|candidate| Reverse(candidate.score));
        found
    }
}

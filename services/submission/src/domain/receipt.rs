//! What a receipt says: that a revision of a report was received, when, and by a hash what it said.

use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate, Utc};
use sha2::{Digest as _, Sha256};

use super::report::{Content, DeclaredPeriod, DeclaredUnit, Place, Report, ReportName, State};
use super::value::{Figure, Qualifier, Role, Value};

/// What is hashed begins with it. Another way of writing contents down has another.
const TAG: &str = "dunghan-report-content/1";

/// That a revision of a report was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Which report.
    pub report: ReportName,
    /// Which revision of it.
    pub revision: i32,
    /// When the report was first received, by this revision.
    pub first: DateTime<Utc>,
    /// When this revision was received.
    pub last: DateTime<Utc>,
    /// Of what it says, as [`content_hash`].
    pub sha256: String,
}

impl Received {
    /// Of a revision as it was handed over; none where it was not.
    pub fn of(revision: &Report) -> Option<Self> {
        let (State::Submitted { first, last, .. } | State::Accepted { first, last, .. }) =
            &revision.state
        else {
            return None;
        };
        Some(Self {
            report: revision.name,
            revision: revision.revision,
            first: first.at,
            last: last.at,
            sha256: content_hash(&revision.content),
        })
    }

    /// Whether the report counts as received since then still, as it is now.
    pub fn stands(&self, report: &Report) -> bool {
        report.name == self.report && report.first().is_some_and(|first| first.at == self.first)
    }
}

/// SHA-256, in lower-case hexadecimal, of what a report says, written down so that the same is written the same:
/// docs/RECEIPTS.md has it for those who do it elsewhere.
pub fn content_hash(content: &Content) -> String {
    let mut hash = Sha256::new();
    hash.update(text(TAG));
    hash.update(written(content));
    let mut hex = String::with_capacity(64);
    for byte in hash.finalize() {
        // Into a text it does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// With its length in bytes before it, lest what is cut elsewhere be the same.
fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u64).to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

/// With their number before them, in the order of their bytes.
fn list(elements: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut elements: Vec<_> = elements.collect();
    elements.sort_unstable();
    let mut bytes = (elements.len() as u64).to_be_bytes().to_vec();
    elements.iter().for_each(|element| bytes.extend(element));
    bytes
}

fn texts<const N: usize>(parts: [&str; N]) -> Vec<u8> {
    parts.into_iter().flat_map(text).collect()
}

fn day(day: Option<NaiveDate>) -> String {
    day.map(|day| day.to_string()).unwrap_or_default()
}

fn written(content: &Content) -> Vec<u8> {
    let Content {
        document,
        values,
        narrative,
        declared_cut_off,
        submitting_unit,
        nil,
        justifications,
        files,
    } = content;
    let unit = submitting_unit.map(|unit| unit.to_string()).unwrap_or_default();
    let (dated, cut_off) = (day(document.date), day(*declared_cut_off));
    let nil = if *nil { "nil" } else { "" };
    [
        texts([nil, &document.number, &document.symbol, &dated]),
        list(document.declared_periods.iter().map(declared_period)),
        list(document.declared_units.iter().map(declared_unit)),
        texts([&cut_off, &unit]),
        list(values.iter().map(value)),
        text(narrative),
        list(justifications.iter().map(|one| texts([&one.finding, &one.text]))),
        list(
            files.iter().map(|file| texts([&file.file_name, &file.size.to_string(), &file.sha256])),
        ),
    ]
    .concat()
}

fn declared_period(DeclaredPeriod { period, place }: &DeclaredPeriod) -> Vec<u8> {
    texts([&period.to_string(), word(*place)])
}

fn declared_unit(DeclaredUnit { display_name, place }: &DeclaredUnit) -> Vec<u8> {
    texts([display_name, word(*place)])
}

fn word(place: Place) -> &'static str {
    match place {
        Place::Title => "title",
        Place::Opening => "opening",
        Place::Body => "body",
        Place::Closing => "closing",
    }
}

fn value(value: &Value) -> Vec<u8> {
    let Value { key, figure, qualifier, stated_percent, quote, discrepancy: _ } = value;
    let role = match key.role {
        Role::Actual => "actual",
        Role::Target => "target",
        Role::Context => "context",
    };
    let (kind, first, second) = match figure {
        Figure::Count(count) => ("count", count.to_string(), String::new()),
        Figure::Ratio(ratio) => ("ratio", ratio.part().to_string(), ratio.whole().to_string()),
        Figure::Percent(percent) => ("percent", percent.to_string(), String::new()),
        Figure::Money(amount) => ("money", amount.to_string(), String::new()),
        Figure::Text(text) => ("text", text.clone(), String::new()),
        Figure::Choice(choice) => ("choice", choice.clone(), String::new()),
    };
    let qualifier = match qualifier {
        Qualifier::Exact => "",
        Qualifier::MoreThan => "more_than",
        Qualifier::About => "about",
        Qualifier::AboutMoreThan => "about_more_than",
    };
    let stated = stated_percent.map(|percent| percent.to_string()).unwrap_or_default();
    let (start, end) = (day(key.start), day(key.end));
    let (indicator, category) = (&key.indicator, &key.category);
    [
        texts([indicator, category, role, &start, &end, kind, &first, &second]),
        texts([qualifier, &stated, quote]),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::report::{AttachedFile, Document, Justification};
    use crate::domain::value::{Key, Ratio};

    fn figure(indicator: &str, figure: Figure) -> Value {
        Value {
            key: Key {
                indicator: indicator.to_owned(),
                category: "Hộ tịch".to_owned(),
                role: Role::Actual,
                start: None,
                end: None,
            },
            figure,
            qualifier: Qualifier::Exact,
            stated_percent: None,
            quote: String::new(),
            discrepancy: None,
        }
    }

    fn content() -> Content {
        Content {
            document: Document {
                number: "103".to_owned(),
                symbol: "BC-UBND".to_owned(),
                date: "2026-05-18".parse().ok(),
                declared_periods: vec![
                    DeclaredPeriod { period: "202605".parse().unwrap(), place: Place::Title },
                    DeclaredPeriod { period: "202604".parse().unwrap(), place: Place::Body },
                ],
                declared_units: vec![DeclaredUnit {
                    display_name: "Phường 9".to_owned(),
                    place: Place::Title,
                }],
            },
            values: vec![
                figure("a", Figure::Count(17_236)),
                figure("b", Figure::Ratio(Ratio::new(1, 2).unwrap())),
            ],
            narrative: "Lời văn.".to_owned(),
            justifications: vec![Justification {
                finding: "f1".to_owned(),
                text: "Làm tròn.".to_owned(),
            }],
            files: vec![AttachedFile {
                id: Uuid::nil(),
                file_name: "Phụ lục.pdf".to_owned(),
                size: 12,
                sha256: "0".repeat(64),
            }],
            ..Content::default()
        }
    }

    #[test]
    fn a_hash_is_of_the_bytes_that_the_documentation_writes_down() {
        // By hand: the empty content is the tag, and twelve texts and lists of which none has anything in it.
        let mut bytes = vec![0, 0, 0, 0, 0, 0, 0, 24];
        bytes.extend(b"dunghan-report-content/1");
        bytes.extend([0; 8 * 12]);
        let expected = Sha256::digest(&bytes);
        let expected: String = expected.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(content_hash(&Content::default()), expected);
        // A constant that is not to change while the tag does not: receipts are kept for years.
        let expected = "77a247beda74a82aef2bb531665d4ba0bc7804e59836a70e5d9c3fcba6361435";
        assert_eq!(content_hash(&content()), expected);
    }

    #[test]
    fn the_example_of_the_documentation_has_the_hash_that_it_shows() {
        let mut value = figure("portal_posts", Figure::Count(78));
        (value.key.category, value.quote) = (String::new(), String::new());
        let document =
            Document { declared_periods: vec![], declared_units: vec![], ..content().document };
        let content = Content { document, values: vec![value], ..Content::default() };
        let shown = include_str!("../../../../docs/RECEIPTS.md");
        assert!(shown.contains(&content_hash(&content)), "{}", content_hash(&content));
    }

    #[test]
    fn the_order_of_lists_is_no_part_of_it_and_all_that_is_said_is() {
        let hash = content_hash(&content());
        let mut turned = content();
        turned.values.reverse();
        turned.document.declared_periods.reverse();
        turned.values[0].discrepancy = Some(crate::domain::finding::Discrepancy::Wrong);
        turned.files[0].id = Uuid::max();
        assert_eq!(content_hash(&turned), hash);

        let changes: [fn(&mut Content); 24] = [
            |it| it.nil = true,
            |it| it.document.number = "104".to_owned(),
            |it| it.document.symbol.clear(),
            // What moves from one text to the next is something else.
            |it| (it.document.number, it.document.symbol) = ("103B".into(), "C-UBND".into()),
            |it| it.document.date = None,
            |it| it.document.declared_periods[0].place = Place::Closing,
            |it| it.document.declared_periods.truncate(1),
            |it| it.document.declared_units[0].place = Place::Closing,
            |it| it.document.declared_units[0].display_name = "Phường 1".to_owned(),
            |it| it.document.declared_units.clear(),
            |it| it.declared_cut_off = "2026-05-18".parse().ok(),
            |it| it.submitting_unit = Some(dunghan_hierarchy::UnitId::from_uuid(Uuid::nil())),
            |it| it.values[0].figure = Figure::Count(17_237),
            |it| it.values[0].figure = Figure::Money(17_236),
            |it| it.values[0].key.category.clear(),
            |it| it.values[0].key.role = Role::Target,
            |it| it.values[0].key.start = "2026-05-18".parse().ok(),
            |it| it.values[0].qualifier = Qualifier::About,
            |it| it.values[0].stated_percent = "84.5".parse().ok(),
            |it| it.values[0].quote = "17.236 hồ sơ".to_owned(),
            |it| it.narrative.push('\n'),
            |it| it.justifications[0].text.clear(),
            |it| it.files[0].sha256 = "1".repeat(64),
            |it| it.files[0].size = 13,
        ];
        let mut hashes = vec![hash];
        for (at, change) in changes.into_iter().enumerate() {
            let mut changed = content();
            change(&mut changed);
            let hash = content_hash(&changed);
            assert!(!hashes.contains(&hash), "change {at}");
            hashes.push(hash);
        }
    }
}

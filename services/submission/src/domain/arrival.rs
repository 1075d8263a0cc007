//! What document systems say has arrived, and which report that is.
//!
//! A report is found by its document: who sent it, its number, its symbol, and the year of its date. An official writes the
//! same number as 8 and as 08, and the same symbol in small letters, so both are compared as [`DocumentKey`] has them.
//!
//! Where one report has the document and it arrived once, the two are matched. Two reports with the same document, or two
//! arrivals of it, are matched with nobody: whichever were taken, it could be the wrong one. What a receive time rests on
//! stays matched whatever comes later.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use dunghan_calendar::zone;
use dunghan_hierarchy::{UnitId, intended};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;
use uuid::Uuid;

use super::report::{Arrived, Content, Document, EvidenceKind, Receipt, Report};

/// The scheme of the registry under which units hold their agency codes (mã định danh, Decision 20/2020/QĐ-TTg).
pub const AGENCY_CODE: &str = "dinh_danh";

/// What tells a document from the others of its sender.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentKey(String);

impl DocumentKey {
    /// None where a part of it is blank: such a document cannot be told from others.
    pub fn new(number: &str, symbol: &str, date: NaiveDate) -> Option<Self> {
        let (number, symbol) = (folded(number), folded(symbol));
        let (digits, symbol) = (number.trim_start_matches('0'), symbol.trim_start_matches('/'));
        if number.is_empty() || symbol.is_empty() {
            return None;
        }
        // Neither has a blank in it, so no two documents come out the same.
        Some(Self(format!("{} {digits} {symbol}", date.year())))
    }

    /// Of what stands at the head of a report.
    pub fn of(document: &Document) -> Option<Self> {
        Self::new(&document.number, &document.symbol, document.date?)
    }

    /// The document as sent by one unit, in 16 bytes.
    pub fn sent_by(&self, sender: UnitId) -> Uuid {
        Uuid::new_v5(&sender.uuid(), self.0.as_bytes())
    }

    /// One of 256 numbers, the same whoever sent it: of two that match the same document at once one waits for the other.
    pub fn turn(&self) -> u8 {
        let [turn, ..] = Uuid::new_v5(&Uuid::nil(), self.0.as_bytes()).into_bytes();
        turn
    }
}

/// Blanks, the form in which letters with marks are written, letters that converters leave in the place of others, case, and the
/// many kinds of hyphens make no difference.
fn folded(text: &str) -> String {
    let letters = text.chars().map(intended).nfc().filter(|letter| !letter.is_whitespace());
    let letters = letters.map(|letter| match letter {
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        other => other,
    });
    letters.flat_map(char::to_uppercase).collect()
}

/// The document of a report, under each of its two possible senders: the unit, and the agency that hands over for it.
pub fn keys(unit: UnitId, content: &Content) -> [Option<Uuid>; 2] {
    let Some(key) = DocumentKey::of(&content.document) else { return [None, None] };
    [Some(key.sent_by(unit)), content.submitting_unit.map(|agency| key.sent_by(agency))]
}

/// `units/{unit}/arrivals/{arrival}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrivalName {
    /// Who received it.
    pub recipient: UnitId,
    /// Which.
    pub id: Uuid,
}

impl std::fmt::Display for ArrivalName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/arrivals/{}", self.recipient, self.id.hyphenated())
    }
}

/// A text that is not the name of an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be units/{{unit}}/arrivals/{{arrival}}")]
pub struct NotAnArrivalName;

impl std::str::FromStr for ArrivalName {
    type Err = NotAnArrivalName;

    fn from_str(text: &str) -> Result<Self, NotAnArrivalName> {
        let (recipient, id) = text.split_once("/arrivals/").ok_or(NotAnArrivalName)?;
        let recipient = recipient.parse().map_err(|_| NotAnArrivalName)?;
        let id = Uuid::try_parse(id).map_err(|_| NotAnArrivalName)?;
        let name = Self { recipient, id };
        // Uuid reads other spellings too; a name has one.
        if name.to_string() == text { Ok(name) } else { Err(NotAnArrivalName) }
    }
}

/// Where a recipient has an arrival in its register: it counts from 1 anew each year. One of them stands there at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ArrivalEntry {
    /// Who received it.
    pub recipient: UnitId,
    /// In Viet Nam.
    pub year: i32,
    /// The arrival number.
    pub number: String,
}

/// That what was noted is void.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voiding {
    /// When that was declared.
    pub at: DateTime<Utc>,
    /// By whom.
    pub author: String,
    /// Why.
    pub reason: String,
}

/// That a document arrived. What was noted is never changed; who its sender is may be known better later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Of its name.
    pub id: Uuid,
    /// Who received it.
    pub recipient: UnitId,
    /// The arrival number.
    pub number: String,
    /// When.
    pub at: DateTime<Utc>,
    /// The agency code of the sender.
    pub sender_code: String,
    /// The unit that had this code on the day of arrival.
    pub sender: UnitId,
    /// The document's number, as it was noted.
    pub document_number: String,
    /// The document's symbol, as it was noted.
    pub document_symbol: String,
    /// The date that it bears.
    pub document_date: NaiveDate,
    /// Who recorded it.
    pub author: String,
    /// When.
    pub recorded: DateTime<Utc>,
    /// None: it stands.
    pub voided: Option<Voiding>,
}

impl Arrival {
    /// Its name.
    pub fn name(&self) -> ArrivalName {
        ArrivalName { recipient: self.recipient, id: self.id }
    }

    /// Where its recipient has it.
    pub fn entry(&self) -> ArrivalEntry {
        let year = zone::civil_date(self.at).year();
        ArrivalEntry { recipient: self.recipient, year, number: self.number.clone() }
    }

    /// By which its report is found.
    pub fn document(&self) -> Option<DocumentKey> {
        DocumentKey::new(&self.document_number, &self.document_symbol, self.document_date)
    }

    /// The first field in which what is noted again under the same name says something else. Who has the code is not
    /// compared: the units may be known better by now.
    pub fn differs_from(&self, noted: &Self) -> Option<&'static str> {
        let fields = [
            ("arrival_time", self.at == noted.at),
            ("sender_agency_code", self.sender_code == noted.sender_code),
            ("document_number", self.document_number == noted.document_number),
            ("document_symbol", self.document_symbol == noted.document_symbol),
            ("document_date", self.document_date == noted.document_date),
        ];
        fields.into_iter().find(|(_, same)| !same).map(|(field, _)| field)
    }
}

/// Whether a report was received when this arrived, and not when it was handed over.
pub fn rests_on(receipt: &Receipt, number: &str, at: DateTime<Utc>) -> bool {
    receipt.at == at
        && receipt.evidence.as_ref().is_some_and(|evidence| {
            evidence.kind == EvidenceKind::DocumentSystem && evidence.reference == number
        })
}

/// An arrival, as far as it is to be matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Where its recipient has it.
    pub entry: ArrivalEntry,
    /// When it arrived.
    pub at: DateTime<Utc>,
    /// The document, with its sender.
    pub key: Uuid,
    /// The report that it is matched with so far.
    pub report: Option<Uuid>,
}

/// A report, as far as it is to be matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// Which.
    pub report: Uuid,
    /// As [`keys`] gives them.
    pub keys: [Option<Uuid>; 2],
    /// To whom its regime has it go.
    pub receivers: Vec<UnitId>,
    /// When it was first received, if it was.
    pub first: Option<Receipt>,
}

impl Awaited {
    /// Of a report.
    pub fn of(report: &Report) -> Self {
        Self {
            report: report.name.report,
            keys: report.document_keys(),
            receivers: report.asked.receivers.clone(),
            first: report.first().cloned(),
        }
    }

    /// Whether it has this document, and should have gone where that arrived.
    fn has(&self, arrival: &Incoming) -> bool {
        self.keys.contains(&Some(arrival.key)) && self.receivers.contains(&arrival.entry.recipient)
    }
}

/// Where an arrival stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// No report has the document.
    None,
    /// This one has it.
    Report(Uuid),
    /// It cannot be said which has it.
    Ambiguous,
}

/// Who is matched with whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matches {
    /// Of each arrival.
    pub arrivals: Vec<Match>,
    /// Of the reports with an arrival.
    pub reports: HashMap<Uuid, Arrived>,
}

/// Matches arrivals with reports. Both have to be there whole: all arrivals of the documents that these reports have, all
/// reports that have these documents, and each report that one of the arrivals is matched with so far.
pub fn matched(arrivals: &[Incoming], reports: &[Awaited]) -> Matches {
    let mut by_key: BTreeMap<Uuid, Vec<usize>> = BTreeMap::new();
    for (at, arrival) in arrivals.iter().enumerate() {
        by_key.entry(arrival.key).or_default().push(at);
    }
    let candidates = |report: &Awaited| -> Vec<usize> {
        let of_keys = report.keys.iter().flatten().filter_map(|key| by_key.get(key)).flatten();
        of_keys.copied().filter(|at| report.has(&arrivals[*at])).collect()
    };
    let candidates: Vec<Vec<usize>> = reports.iter().map(candidates).collect();
    let mut reports_of = vec![0_usize; arrivals.len()];
    for at in candidates.iter().flatten() {
        reports_of[*at] += 1;
    }

    let by_report: HashMap<Uuid, &Awaited> = reports.iter().map(|one| (one.report, one)).collect();
    let fixed_by = |arrival: &Incoming| {
        let report = by_report.get(&arrival.report?)?;
        let first = report.first.as_ref()?;
        rests_on(first, &arrival.entry.number, arrival.at).then_some(report.report)
    };
    let ambiguous = |of: &usize| if *of > 0 { Match::Ambiguous } else { Match::None };
    let mut of_arrivals: Vec<Match> = reports_of.iter().map(ambiguous).collect();
    for (at, arrival) in arrivals.iter().enumerate() {
        if let Some(report) = fixed_by(arrival) {
            of_arrivals[at] = Match::Report(report);
        }
    }
    let mut of_reports = HashMap::new();
    for (report, candidates) in reports.iter().zip(&candidates) {
        let own = Match::Report(report.report);
        let fixed = candidates.iter().find(|at| of_arrivals[**at] == own);
        let at = match (fixed, candidates.as_slice()) {
            (Some(at), _) => *at,
            (None, [at]) if reports_of[*at] == 1 && of_arrivals[*at] == Match::Ambiguous => *at,
            (None, _) => continue,
        };
        of_arrivals[at] = own;
        let Incoming { entry, at, .. } = &arrivals[at];
        of_reports.insert(report.report, Arrived { number: entry.number.clone(), at: *at });
    }
    Matches { arrivals: of_arrivals, reports: of_reports }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::domain::report::Evidence;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn key(number: &str, symbol: &str, date: &str) -> Option<DocumentKey> {
        DocumentKey::new(number, symbol, day(date))
    }

    #[test]
    fn a_number_and_a_symbol_are_the_same_however_they_are_written() {
        let plain = key("8", "BC-UBND", "2026-05-18");
        assert!(plain.is_some());
        for (number, symbol) in [
            ("08", "BC-UBND"),
            ("008", "bc-ubnd"),
            (" 0 8 ", " BC - UBND "),
            ("8", "BC–UBND"),
            ("8", "/BC-UBND"),
            ("8\u{a0}", "BC\u{2011}UBND"),
        ] {
            assert_eq!(key(number, symbol, "2026-01-01"), plain, "{number:?} {symbol:?}");
        }
        // Letters with their marks in one, and one after the other.
        let composed = key("8", "KH-SNN&MT-ĐỀ", "2026-05-18");
        let decomposed = key("8", "KH-SNN&MT-ĐE\u{302}\u{300}", "2026-05-18");
        assert_eq!(composed, decomposed);
        // As converters leave them.
        let plain = key("8", "TTR-HĐND-KHƯ", "2026-05-18");
        for symbol in
            ["TTr-HÐND-KHƯ", "ttr-hðnd-khư", "TTR-HƉND-KHƯ", "ttr-hɖnd-khƣ", "TTr-HĐND-KHƢ"]
        {
            assert_eq!(key("8", symbol, "2026-05-18"), plain, "{symbol}");
        }
        let toned = key("8", "BC-TRƯỜNG", "2026-05-18");
        assert_eq!(key("8", "BC-TRƢ\u{300}ƠNG", "2026-05-18"), key("8", "BC-TRỪƠNG", "2026-05-18"));
        assert_ne!(key("8", "BC-TRUONG", "2026-05-18"), toned);
    }

    #[test]
    fn other_numbers_symbols_and_years_are_other_documents() {
        let plain = key("103", "BC-UBND", "2026-05-18");
        for (number, symbol, date) in [
            ("1030", "BC-UBND", "2026-05-18"),
            ("13", "BC-UBND", "2026-05-18"),
            ("103a", "BC-UBND", "2026-05-18"),
            ("103", "BC-UBNDX", "2026-05-18"),
            ("103", "BC-HĐND", "2026-05-18"),
            ("103", "BC-UBND", "2025-05-18"),
        ] {
            let other = key(number, symbol, date);
            assert!(other.is_some() && other != plain, "{number} {symbol} {date}");
        }
        for (number, symbol) in [("", "BC-UBND"), (" ", "BC-UBND"), ("103", ""), ("103", " / ")] {
            assert_eq!(key(number, symbol, "2026-05-18"), None, "{number:?} {symbol:?}");
        }
    }

    #[test]
    fn the_same_number_of_another_sender_is_another_document_and_waits_its_turn_all_the_same() {
        let one = key("103", "BC-UBND", "2026-05-18").unwrap();
        assert_ne!(one.sent_by(unit(1)), one.sent_by(unit(2)));
        assert_eq!(one.turn(), key("0103", "bc-ubnd", "2026-12-31").unwrap().turn());
        let turns: std::collections::HashSet<u8> = (1..2000)
            .filter_map(|number| key(&number.to_string(), "BC-UBND", "2026-05-18"))
            .map(|key| key.turn())
            .collect();
        assert!(turns.len() > 200, "they are spread out: {}", turns.len());
    }

    #[test]
    fn a_name_has_one_spelling() {
        let name = ArrivalName { recipient: unit(1), id: Uuid::from_u128(7) };
        let text = name.to_string();
        assert_eq!(text.parse(), Ok(name));
        let (unit, id) = text.split_once("/arrivals/").unwrap();
        for bad in [
            String::new(),
            unit.to_owned(),
            format!("{unit}/arrivals/"),
            format!("{unit}/arrivals/{}", id.replace('-', "")),
            format!("{text}/1"),
            format!("units/1/arrivals/{id}"),
        ] {
            assert_eq!(bad.parse::<ArrivalName>(), Err(NotAnArrivalName), "{bad}");
        }
    }

    fn unit(number: u128) -> UnitId {
        UnitId::from_uuid(Uuid::from_u128(number))
    }

    const DEPARTMENT: u128 = 100;

    fn noon() -> DateTime<Utc> {
        zone::start_of(day("2026-05-18")) + TimeDelta::hours(12)
    }

    /// What arrived at the department under this number, of the document so called.
    fn arrival(number: &str, document: u128) -> Incoming {
        let entry =
            ArrivalEntry { recipient: unit(DEPARTMENT), year: 2026, number: number.to_owned() };
        Incoming { entry, at: noon(), key: Uuid::from_u128(document), report: None }
    }

    fn report(id: u128, document: u128) -> Awaited {
        Awaited {
            report: Uuid::from_u128(id),
            keys: [Some(Uuid::from_u128(document)), None],
            receivers: vec![unit(DEPARTMENT)],
            first: None,
        }
    }

    fn received(report: Awaited, number: &str) -> Awaited {
        let evidence =
            Evidence { kind: EvidenceKind::DocumentSystem, reference: number.to_owned() };
        Awaited { first: Some(Receipt { at: noon(), evidence: Some(evidence) }), ..report }
    }

    fn own(id: u128) -> Match {
        Match::Report(Uuid::from_u128(id))
    }

    #[test]
    fn one_report_and_one_arrival_of_its_document_are_matched_and_others_are_not() {
        let arrivals = [arrival("1", 1), arrival("2", 2), arrival("3", 9)];
        let reports = [report(11, 1), report(12, 2), report(13, 3)];
        let matches = matched(&arrivals, &reports);
        assert_eq!(matches.arrivals, [own(11), own(12), Match::None]);
        let arrived = |number: &str| Arrived { number: number.to_owned(), at: noon() };
        let expected =
            [(11, "1"), (12, "2")].map(|(id, number)| (Uuid::from_u128(id), arrived(number)));
        assert_eq!(matches.reports, HashMap::from(expected));
    }

    #[test]
    fn the_agency_that_hands_over_sends_the_document_of_its_unit() {
        let by_agency =
            Awaited { keys: [Some(Uuid::from_u128(1)), Some(Uuid::from_u128(2))], ..report(11, 1) };
        assert_eq!(
            matched(&[arrival("1", 2)], std::slice::from_ref(&by_agency)).arrivals,
            [own(11)]
        );
        // Both sent it: it came twice.
        let twice = [arrival("1", 1), arrival("2", 2)];
        assert_eq!(matched(&twice, &[by_agency]).arrivals, [Match::Ambiguous; 2]);
    }

    #[test]
    fn what_arrives_elsewhere_than_the_report_should_go_is_not_its_arrival() {
        let elsewhere = Awaited { receivers: vec![unit(101)], ..report(11, 1) };
        let nowhere = Awaited { receivers: Vec::new(), ..report(12, 1) };
        assert_eq!(
            matched(&[arrival("1", 1)], &[elsewhere.clone(), nowhere]).arrivals,
            [Match::None]
        );
        let beside = [elsewhere, report(13, 1)];
        assert_eq!(matched(&[arrival("1", 1)], &beside).arrivals, [own(13)]);
    }

    #[test]
    fn of_two_with_the_same_document_neither_is_taken() {
        let two_reports = matched(&[arrival("1", 1)], &[report(11, 1), report(12, 1)]);
        assert_eq!(two_reports.arrivals, [Match::Ambiguous]);
        assert!(two_reports.reports.is_empty());
        let two_arrivals = matched(&[arrival("1", 1), arrival("2", 1)], &[report(11, 1)]);
        assert_eq!(two_arrivals.arrivals, [Match::Ambiguous; 2]);
        assert!(two_arrivals.reports.is_empty());
    }

    #[test]
    fn what_a_receive_time_rests_on_stays_matched_whatever_comes_later() {
        let first = Incoming { report: Some(Uuid::from_u128(11)), ..arrival("1", 1) };
        let fixed = received(report(11, 1), "1");
        let again = [first.clone(), arrival("2", 1)];
        let matches = matched(&again, std::slice::from_ref(&fixed));
        assert_eq!(matches.arrivals, [own(11), Match::Ambiguous]);
        assert_eq!(matches.reports[&fixed.report].number, "1");
        // Another report with its document does not take it away.
        let matches = matched(std::slice::from_ref(&first), &[fixed.clone(), report(12, 1)]);
        assert_eq!(matches.arrivals, [own(11)]);
        assert_eq!(matches.reports.len(), 1);
        // Mended under another number it is matched with what arrived under that as well.
        let mended = Awaited { keys: [Some(Uuid::from_u128(2)), None], ..fixed.clone() };
        let matches = matched(&[first, arrival("3", 2)], std::slice::from_ref(&mended));
        assert_eq!(matches.arrivals, [own(11), own(11)]);
        assert_eq!(matches.reports[&mended.report].number, "3");
        // Taken back it was never received.
        let taken_back = Awaited { first: None, ..fixed };
        let matches = matched(&again, &[taken_back]);
        assert_eq!(matches.arrivals, [Match::Ambiguous; 2]);
    }

    #[test]
    fn a_report_that_was_there_before_is_matched_anew_with_each_arrival() {
        let shown = Incoming { report: Some(Uuid::from_u128(11)), ..arrival("1", 1) };
        let there =
            Awaited { first: Some(Receipt { at: noon(), evidence: None }), ..report(11, 1) };
        assert_eq!(
            matched(std::slice::from_ref(&shown), std::slice::from_ref(&there)).arrivals,
            [own(11)]
        );
        let twice = matched(&[shown, arrival("2", 1)], &[there]);
        assert_eq!(twice.arrivals, [Match::Ambiguous; 2]);
    }

    #[test]
    fn an_arrival_that_is_noted_again_differs_in_the_field_that_is_named() {
        let noted = Arrival {
            id: Uuid::from_u128(1),
            recipient: unit(DEPARTMENT),
            number: "1203".to_owned(),
            at: noon(),
            sender_code: "H05.24".to_owned(),
            sender: unit(1),
            document_number: "103".to_owned(),
            document_symbol: "BC-UBND".to_owned(),
            document_date: day("2026-05-18"),
            author: "he-thong".to_owned(),
            recorded: noon(),
            voided: None,
        };
        let again = Arrival {
            id: Uuid::from_u128(2),
            sender: unit(2),
            author: "khac".to_owned(),
            recorded: noon() + TimeDelta::days(1),
            ..noted.clone()
        };
        assert_eq!(again.differs_from(&noted), None);
        let later = noon() + TimeDelta::microseconds(1);
        for (other, field) in [
            (Arrival { at: later, ..noted.clone() }, "arrival_time"),
            (Arrival { sender_code: "H05".to_owned(), ..noted.clone() }, "sender_agency_code"),
            (Arrival { document_number: "0103".to_owned(), ..noted.clone() }, "document_number"),
            (Arrival { document_symbol: "BC".to_owned(), ..noted.clone() }, "document_symbol"),
            (Arrival { document_date: day("2026-05-19"), ..noted.clone() }, "document_date"),
        ] {
            assert_eq!(other.differs_from(&noted), Some(field));
        }
        // Numbers begin anew with the year in Viet Nam.
        let eve = Arrival { at: zone::start_of(day("2027-01-01")), ..noted };
        assert_eq!((eve.entry().year, eve.entry().number), (2027, "1203".to_owned()));
        let before = Arrival { at: eve.at - TimeDelta::microseconds(1), ..eve };
        assert_eq!(before.entry().year, 2026);
    }
}

//! Reports that come as rows: what each row does to the report that is there, and what came of all of them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use dunghan_calendar::Period;
use dunghan_hierarchy::UnitId;
use uuid::Uuid;

use super::report::{AlreadySubmitted, Content, Report, ReportName};
use super::value::Value;

/// What a row does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The report is new.
    Created,
    /// It says something else, or is handed over as it was.
    Updated,
    /// It is there already, the same.
    Unchanged,
    /// There is something wrong with the row.
    Refused,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Created, Self::Updated, Self::Unchanged, Self::Refused];

    /// The word for it in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
        }
    }

    /// The outcome with that word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.word() == word)
    }
}

/// What is wrong with a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The field at fault.
    pub field: String,
    /// Why, a reason of the contract.
    pub reason: String,
    /// The same for people.
    pub message: String,
}

/// What comes, or came, of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Where the row stands in its file.
    pub number: i32,
    /// Whose report it is, as the row names it.
    pub unit: String,
    /// What it does.
    pub outcome: Outcome,
    /// The report is handed over by it.
    pub submitted: bool,
    /// The report, as far as there is one.
    pub report: Option<ReportName>,
    /// Refused: why; else empty.
    pub refusal: Refusal,
    /// Findings of severity error that the report has by it.
    pub errors: usize,
    /// Findings of severity warning.
    pub warnings: usize,
}

/// What a row has to do to the report that is there, if one is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Begin it.
    Begin,
    /// Write what it says now.
    Edit,
    /// Only hand it over.
    HandOver,
    /// Nothing.
    Nothing,
}

impl Step {
    /// Of a row that says `content` and asks to hand the report over or not. What is handed over stays as it is: a row that says
    /// the same has been there already, whenever it was received.
    ///
    /// Errors: the report is handed over, and says something else.
    pub fn of(
        there: Option<&Report>,
        content: &Content,
        submit: bool,
    ) -> Result<Self, AlreadySubmitted> {
        let Some(there) = there else { return Ok(Self::Begin) };
        let same = says_the_same(&there.content, content);
        match there.must_be_editable() {
            Err(_) if same => Ok(Self::Nothing),
            Err(already) => Err(already),
            Ok(()) if !same => Ok(Self::Edit),
            Ok(()) if submit => Ok(Self::HandOver),
            Ok(()) => Ok(Self::Nothing),
        }
    }
}

/// Whether two contents say the same; what the checks noted beside their figures is not said by the unit.
fn says_the_same(one: &Content, other: &Content) -> bool {
    let plain = |value: &Value| Value { discrepancy: None, ..value.clone() };
    let values = |content: &Content| content.values.iter().map(plain).collect::<Vec<_>>();
    let rest = |content: &Content| Content { values: Vec::new(), ..content.clone() };
    one.values.len() == other.values.len()
        && values(one) == values(other)
        && rest(one) == rest(other)
}

/// Of which report a row is: a unit has one per regime and period.
pub type Subject = (UnitId, String, Period);

/// The rows that came so far.
#[derive(Clone, Debug, Default)]
pub struct Seen(HashMap<Subject, i32>);

impl Seen {
    /// Notes a row. Where another was about the same report: the number of that one.
    pub fn note(&mut self, subject: Subject, number: i32) -> Option<i32> {
        match self.0.get(&subject) {
            Some(before) => Some(*before),
            None => {
                self.0.insert(subject, number);
                None
            }
        }
    }
}

/// Where an import stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportState {
    /// Judged and good.
    Staged,
    /// There is something wrong with a row.
    Refused,
    /// Applied.
    Committed,
}

impl ImportState {
    const ALL: [Self; 3] = [Self::Staged, Self::Refused, Self::Committed];

    /// The word for it in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Refused => "refused",
            Self::Committed => "committed",
        }
    }

    /// The state with that word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// How many of which there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that came.
    pub received: usize,
    /// Reports that are new.
    pub created: usize,
    /// Reports that say something else, or are handed over as they were.
    pub updated: usize,
    /// Of both, those that are handed over.
    pub submitted: usize,
    /// Reports that are there already, the same.
    pub unchanged: usize,
    /// Rows with something wrong.
    pub refused: usize,
}

impl Counts {
    /// Of what comes of each row. Where one is refused nothing is applied, so nothing else is counted.
    pub fn of(verdicts: &[Verdict]) -> Self {
        let count = |outcome| verdicts.iter().filter(|one| one.outcome == outcome).count();
        let refused = count(Outcome::Refused);
        if refused > 0 {
            return Self { received: verdicts.len(), refused, ..Self::default() };
        }
        Self {
            received: verdicts.len(),
            created: count(Outcome::Created),
            updated: count(Outcome::Updated),
            submitted: verdicts.iter().filter(|one| one.submitted).count(),
            unchanged: count(Outcome::Unchanged),
            refused,
        }
    }
}

/// `units/{unit}/reportImports/{report_import}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportName {
    /// The unit below which its rows are.
    pub parent: UnitId,
    /// Which.
    pub id: Uuid,
}

impl std::fmt::Display for ImportName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/reportImports/{}", self.parent, self.id.hyphenated())
    }
}

/// A text that is not the name of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be units/{{unit}}/reportImports/{{report_import}}")]
pub struct NotAnImportName;

impl std::str::FromStr for ImportName {
    type Err = NotAnImportName;

    fn from_str(text: &str) -> Result<Self, NotAnImportName> {
        let (parent, id) = text.split_once("/reportImports/").ok_or(NotAnImportName)?;
        let parent = parent.parse().map_err(|_| NotAnImportName)?;
        let id = Uuid::try_parse(id).map_err(|_| NotAnImportName)?;
        let name = Self { parent, id };
        // Uuid reads other spellings too; a name has one.
        if name.to_string() == text { Ok(name) } else { Err(NotAnImportName) }
    }
}

/// An import and what came of it, without its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportImport {
    /// Its name.
    pub name: ImportName,
    /// Where it stands.
    pub state: ImportState,
    /// How many of what.
    pub counts: Counts,
    /// Who sent it.
    pub creator: String,
    /// When.
    pub create_time: DateTime<Utc>,
    /// Who applied it, and when.
    pub committed: Option<(String, DateTime<Utc>)>,
}

#[cfg(test)]
mod tests {
    use dunghan_calendar::zone;

    use super::*;
    use crate::domain::check::fixture::Draft;
    use crate::domain::finding::Discrepancy;
    use crate::domain::form::Forms;

    fn draft() -> (Report, Content) {
        let Draft { asked, content } = Draft::of("202605").value("portal_posts;;78");
        let name = ReportName { unit: UnitId::from_uuid(Uuid::nil()), report: Uuid::nil() };
        let forms = Forms::compiled_in().unwrap();
        let now = zone::start_of("2026-05-18".parse().unwrap());
        let form = forms.get("cds-1").unwrap();
        (Report::begin(name, asked, content.clone(), form, now), content)
    }

    #[test]
    fn a_row_begins_edits_or_hands_over_as_far_as_there_is_something_to_do() {
        let (report, same) = draft();
        let other = Content { narrative: "Lời khác.".to_owned(), ..same.clone() };
        let forms = Forms::compiled_in().unwrap();
        let form = forms.get("cds-1").unwrap();
        let now = report.create_time;
        let submitted = report.clone().submit(form, None, "lan", now).unwrap();
        let due = "2026-05-20".parse().unwrap();
        let (returned, _) = submitted.clone().send_back("minh", String::new(), due, now).unwrap();
        let already = submitted.must_be_editable().unwrap_err();
        for (there, content, submit, expected) in [
            (None, &same, false, Ok(Step::Begin)),
            (None, &same, true, Ok(Step::Begin)),
            (Some(&report), &same, false, Ok(Step::Nothing)),
            (Some(&report), &same, true, Ok(Step::HandOver)),
            (Some(&report), &other, false, Ok(Step::Edit)),
            (Some(&report), &other, true, Ok(Step::Edit)),
            (Some(&returned), &same, true, Ok(Step::HandOver)),
            (Some(&returned), &other, true, Ok(Step::Edit)),
            (Some(&submitted), &same, false, Ok(Step::Nothing)),
            (Some(&submitted), &same, true, Ok(Step::Nothing)),
            (Some(&submitted), &other, false, Err(already)),
            (Some(&submitted), &other, true, Err(already)),
        ] {
            assert_eq!(Step::of(there, content, submit), expected, "{submit}");
        }
    }

    #[test]
    fn what_the_checks_noted_is_not_what_the_unit_says() {
        let (mut report, same) = draft();
        report.content.values[0].discrepancy = Some(Discrepancy::Wrong);
        assert_eq!(Step::of(Some(&report), &same, false), Ok(Step::Nothing));
        report.content.values[0].quote = "Đăng 78 tin, bài.".to_owned();
        assert_eq!(Step::of(Some(&report), &same, false), Ok(Step::Edit));
    }

    #[test]
    fn the_second_row_about_a_report_names_the_first() {
        let unit = |number| UnitId::from_uuid(Uuid::from_u128(number));
        let subject = |number, regime: &str, period: &str| {
            (unit(number), regime.to_owned(), period.parse().unwrap())
        };
        let mut seen = Seen::default();
        for (subject, number, before) in [
            (subject(1, "cds", "202605"), 2, None),
            (subject(2, "cds", "202605"), 3, None),
            (subject(1, "other", "202605"), 4, None),
            (subject(1, "cds", "202604"), 5, None),
            (subject(1, "cds", "202605"), 6, Some(2)),
            (subject(1, "cds", "202605"), 7, Some(2)),
        ] {
            assert_eq!(seen.note(subject, number), before, "{number}");
        }
    }

    #[test]
    fn where_a_row_is_refused_nothing_is_counted_as_done() {
        let verdict = |outcome, submitted| Verdict {
            number: 1,
            unit: String::new(),
            outcome,
            submitted,
            report: None,
            refusal: Refusal::default(),
            errors: 0,
            warnings: 0,
        };
        let mut verdicts = vec![
            verdict(Outcome::Created, true),
            verdict(Outcome::Created, false),
            verdict(Outcome::Updated, true),
            verdict(Outcome::Unchanged, false),
        ];
        let counts =
            Counts { received: 4, created: 2, updated: 1, submitted: 2, unchanged: 1, refused: 0 };
        assert_eq!(Counts::of(&verdicts), counts);
        verdicts.push(verdict(Outcome::Refused, false));
        let counts = Counts { received: 5, refused: 1, ..Counts::default() };
        assert_eq!(Counts::of(&verdicts), counts);
        assert_eq!(Counts::of(&[]), Counts::default());
    }

    #[test]
    fn words_read_back() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::of_word(outcome.word()), Some(outcome));
        }
        for state in ImportState::ALL {
            assert_eq!(ImportState::of_word(state.word()), Some(state));
        }
        assert_eq!((Outcome::of_word("Created"), ImportState::of_word("")), (None, None));
    }

    #[test]
    fn a_name_has_one_spelling() {
        let name = ImportName { parent: UnitId::from_uuid(Uuid::nil()), id: Uuid::from_u128(7) };
        let text = name.to_string();
        assert_eq!(text.parse(), Ok(name));
        let (parent, id) = text.split_once("/reportImports/").unwrap();
        for bad in [
            String::new(),
            parent.to_owned(),
            format!("{parent}/reportImports/"),
            format!("{parent}/reportImports/{}", id.replace('-', "")),
            format!("{parent}/reportImports/{id}/1"),
            format!("{parent}/reports/{id}"),
            format!("units/1/reportImports/{id}"),
        ] {
            assert_eq!(bad.parse::<ImportName>(), Err(NotAnImportName), "{bad}");
        }
    }
}

//! A report's life: a draft that may be edited, then handed over and fixed, then accepted at as many levels of review as its
//! regime asks for. Until the last of them its unit may take it back, and whoever supervises it may send it back to be mended
//! at any time; then it is edited and handed over again, and reviewed anew.
//!
//! When it was first received fixes the timeliness: what is handed over again after it was sent back keeps that time. Only
//! by taking the report back does its unit give it up.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_calendar::{Period, Window, zone};
use dunghan_hierarchy::UnitId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::arrival;
use super::check::{self, Against};
use super::finding::{Finding, Severity};
use super::value::Value;

/// `units/{unit}/reports/{report}`: a report never moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReportName {
    /// Whose it is.
    pub unit: UnitId,
    /// Which.
    pub report: Uuid,
}

/// A text that is not the name of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be units/{{unit}}/reports/{{report}}")]
pub struct NotAReportName;

impl fmt::Display for ReportName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/reports/{}", self.unit, self.report.hyphenated())
    }
}

impl FromStr for ReportName {
    type Err = NotAReportName;

    fn from_str(text: &str) -> Result<Self, NotAReportName> {
        let (unit, report) = text.split_once("/reports/").ok_or(NotAReportName)?;
        let unit = unit.parse().map_err(|_| NotAReportName)?;
        let report = Uuid::try_parse(report).map_err(|_| NotAReportName)?;
        let name = Self { unit, report };
        // Uuid reads other spellings too; a name has one.
        if name.to_string() == text { Ok(name) } else { Err(NotAReportName) }
    }
}

/// What the regime asked for when the report was begun. Kept with it, so that nothing later needs the regime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The id of the regime, without `regimes/`.
    pub regime: String,
    /// For which period.
    pub period: Period,
    /// The key of the form.
    pub form: String,
    /// The dates of the period in the regime's family of windows.
    pub window: Window,
    /// The cut-off is what the report declares, not the window's.
    pub cut_off_as_declared: bool,
    /// How many levels of review it asks for, 0 to 2.
    pub review_levels: u8,
    /// The units to which the report goes, at whichever of them it arrives; none where those are no units here, or were not
    /// yet kept when the report was begun.
    pub receivers: Vec<UnitId>,
}

/// Where in a text a period or a unit is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In the title.
    Title,
    /// In the opening.
    Opening,
    /// In the body.
    Body,
    /// In the closing.
    Closing,
}

/// A period that the text names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredPeriod {
    /// Which.
    pub period: Period,
    /// Where.
    pub place: Place,
}

/// A unit that the text says it reports for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredUnit {
    /// As the text has it.
    pub display_name: String,
    /// Where.
    pub place: Place,
}

/// What stands at its head and foot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The serial number; empty where it is left blank.
    pub number: String,
    /// For example `BC-UBND`.
    pub symbol: String,
    /// The date it bears.
    pub date: Option<NaiveDate>,
    /// The periods it names.
    pub declared_periods: Vec<DeclaredPeriod>,
    /// The units it says it reports for. None in what was kept before it was asked.
    #[serde(default)]
    pub declared_units: Vec<DeclaredUnit>,
}

/// What the unit says. Nothing in it changes while it is handed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Head and foot.
    pub document: Document,
    /// The figures.
    pub values: Vec<Value>,
    /// The text.
    pub narrative: String,
    /// "Tính đến ngày".
    pub declared_cut_off: Option<NaiveDate>,
    /// The agency that hands it over, where that is not the unit itself.
    pub submitting_unit: Option<UnitId>,
    /// Nothing occurred in the period: there are no figures.
    pub nil: bool,
    /// Answers to findings.
    pub justifications: Vec<Justification>,
    /// The files on it.
    pub files: Vec<AttachedFile>,
}

impl Content {
    /// Nothing but the head, and the files: nothing occurred.
    #[must_use]
    pub fn nil(self) -> Self {
        let Self { document, declared_cut_off, submitting_unit, files, .. } = self;
        Self { document, declared_cut_off, submitting_unit, nil: true, files, ..Self::default() }
    }

    /// With what the checks say of it. Answers to findings that it does not have are dropped: what they were about was mended.
    fn checked<'a>(
        mut self,
        against: impl Into<Against<'a>>,
        asked: &Asked,
    ) -> (Self, Vec<Finding>) {
        let findings = check::findings(against, asked, &mut self);
        let there = |answer: &Justification| findings.iter().any(|one| one.key == answer.finding);
        self.justifications.retain(there);
        (self, findings)
    }

    /// Says neither figures nor text.
    pub fn is_bare(&self) -> bool {
        self.values.is_empty() && self.narrative.trim().is_empty()
    }
}

/// An answer of the unit to a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Justification {
    /// The finding's key.
    pub finding: String,
    /// Why it is right so.
    pub text: String,
}

/// A file on a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedFile {
    /// Which.
    pub id: Uuid,
    /// Without any folder.
    pub file_name: String,
    /// In bytes.
    pub size: u64,
    /// In lower-case hexadecimal.
    pub sha256: String,
}

/// Where a receive time was seen that is not this server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceKind {
    /// The arrival time in a document system.
    DocumentSystem,
    /// The time of a digital signature.
    DigitalSignature,
    /// An entry in the receiving agency's register.
    Register,
}

/// What such a receive time rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Where it was seen.
    pub kind: EvidenceKind,
    /// The arrival number, or the signing organisation.
    pub reference: String,
}

/// A receive time that an importer asserts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asserted {
    /// When.
    pub at: DateTime<Utc>,
    /// On what grounds.
    pub evidence: Evidence,
}

/// That the report's document arrived where it goes, as a document system says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// The arrival number.
    pub number: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// That something was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// When.
    pub at: DateTime<Utc>,
    /// What that rests on, where it is not this server's clock.
    pub evidence: Option<Evidence>,
}

/// That a report was sent back to be mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentBack {
    /// When.
    pub at: DateTime<Utc>,
    /// It has to be there again before this.
    pub due: DateTime<Utc>,
}

/// That a level of review accepted what stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// From 1.
    pub level: u8,
    /// Who.
    pub author: String,
    /// When.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub at: DateTime<Utc>,
    /// What they had to say; may be empty.
    pub comment: String,
}

/// Where a report stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The unit's own, still or again.
    Draft,
    /// Handed over.
    Submitted {
        /// The first time; fixes the timeliness.
        first: Receipt,
        /// This time.
        last: Receipt,
        /// Who handed it over.
        submitter: String,
        /// Who accepted it so far, from the first level on; a level is left, or none is asked for.
        acceptances: Vec<Acceptance>,
    },
    /// Handed over, and accepted at every level.
    Accepted {
        /// As in `Submitted`.
        first: Receipt,
        /// As in `Submitted`.
        last: Receipt,
        /// As in `Submitted`.
        submitter: String,
        /// Who accepted it; one for each level.
        acceptances: Vec<Acceptance>,
    },
    /// Sent back, and not handed over again.
    Returned {
        /// As in `Submitted`.
        first: Receipt,
        /// Who had handed it over.
        submitter: String,
        /// When, and until when.
        back: SentBack,
    },
}

/// One of the states, without what belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// As [`State::Draft`].
    Draft,
    /// As [`State::Submitted`].
    Submitted,
    /// As [`State::Accepted`].
    Accepted,
    /// As [`State::Returned`].
    Returned,
}

/// When a report was first received, and whether it was sent back since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Which.
    pub report: ReportName,
    /// When.
    pub at: DateTime<Utc>,
    /// The cut-off that it declares, as it was handed over last.
    pub declared_cut_off: Option<NaiveDate>,
    /// Of the report.
    pub version: i64,
    /// Set while it was sent back and is not there again.
    pub back: Option<SentBack>,
}

/// What one unit hands over for one period under one regime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Its name.
    pub name: ReportName,
    /// What it answers to.
    pub asked: Asked,
    /// What it says.
    pub content: Content,
    /// What the checks say of that.
    pub findings: Vec<Finding>,
    /// Where it stands.
    pub state: State,
    /// When it was begun.
    pub create_time: DateTime<Utc>,
    /// When it was changed last.
    pub update_time: DateTime<Utc>,
    /// 1 at first, one more with every write.
    pub version: i64,
    /// How often it was handed over.
    pub revision: i32,
    /// When its unit took it back last, if it did: what had arrived before was taken back with it.
    pub taken_back: Option<DateTime<Utc>>,
    /// The arrival that it is matched with; others keep it up, beside the versions.
    pub arrival: Option<Arrived>,
}

/// What was done to a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// The version of the report that it made: by it acts of one report are ordered.
    pub version: i64,
    /// What was handed over, taken back or sent back, from 1.
    pub revision: i32,
    /// When; of what was handed over: when that was received.
    pub at: DateTime<Utc>,
    /// When it was recorded here.
    pub recorded: DateTime<Utc>,
    /// Who did it.
    pub author: String,
    /// What it was.
    pub deed: Deed,
}

/// Ways to act on a report that leave a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// The unit handed it over.
    HandedOver {
        /// What the time rests on, where it is not this server's clock.
        evidence: Option<Evidence>,
        /// The report as it was then.
        report: Box<Report>,
    },
    /// The unit took it back.
    Withdrawn {
        /// Why.
        reason: String,
    },
    /// It was sent back to be mended.
    Returned {
        /// What is to be mended.
        reason: String,
        /// It has to be there again before this.
        due: DateTime<Utc>,
    },
    /// A level of review accepted it.
    Accepted {
        /// From 1.
        level: u8,
        /// What they had to say; may be empty.
        comment: String,
    },
}

/// It was handed over before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} was submitted before: it was received at {at}")]
pub struct AlreadySubmitted {
    /// Which.
    pub name: ReportName,
    /// When it was received.
    pub at: DateTime<Utc>,
}

/// Why a report cannot be handed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSubmitted {
    /// It was before.
    #[error(transparent)]
    Already(#[from] AlreadySubmitted),
    /// Blocking rules do not hold.
    #[error("the form's blocking rules do not hold")]
    Blocked(Vec<Finding>),
    /// The asserted receive time lies ahead of now.
    #[error("lies ahead of the server's clock")]
    ReceiptInFuture,
    /// The asserted receive time lies before the window.
    #[error("lies before {first}, when the window of the period began")]
    ReceiptBeforePeriod {
        /// The first day of the window.
        first: NaiveDate,
    },
}

/// It is not handed over, so there is nothing to take back or to send back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is not handed over")]
pub struct NotHandedOver {
    /// Which.
    pub name: ReportName,
}

/// It was accepted at every level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} was accepted")]
pub struct AlreadyAccepted {
    /// Which.
    pub name: ReportName,
}

/// Why a report cannot be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotWithdrawn {
    /// It is a draft.
    #[error(transparent)]
    NotHandedOver(#[from] NotHandedOver),
    /// It is no longer the unit's alone.
    #[error(transparent)]
    Accepted(#[from] AlreadyAccepted),
}

/// Why a report cannot be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// Its regime does not ask for review.
    #[error("the regime of {name} asks for no review")]
    NoReview {
        /// Which.
        name: ReportName,
    },
    /// It is a draft, or was sent back.
    #[error(transparent)]
    NotHandedOver(#[from] NotHandedOver),
    /// No level is left.
    #[error(transparent)]
    Already(#[from] AlreadyAccepted),
    /// Two pairs of eyes are asked for.
    #[error("whoever handed {name} over, now or earlier, or accepted it before cannot accept it")]
    SameReviewer {
        /// Which.
        name: ReportName,
    },
}

/// Why a report cannot be sent back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReturned {
    /// It is a draft, or was sent back already.
    #[error(transparent)]
    NotHandedOver(#[from] NotHandedOver),
    /// It would have to be there again before it was sent back.
    #[error("is over: the earliest day is {today}")]
    DueInPast {
        /// In Viet Nam.
        today: NaiveDate,
    },
}

impl Report {
    /// A draft, checked.
    pub fn begin<'a>(
        name: ReportName,
        asked: Asked,
        content: Content,
        against: impl Into<Against<'a>>,
        now: DateTime<Utc>,
    ) -> Self {
        let (content, findings) = content.checked(against, &asked);
        Self {
            name,
            asked,
            content,
            findings,
            state: State::Draft,
            create_time: now,
            update_time: now,
            version: 1,
            revision: 0,
            taken_back: None,
            arrival: None,
        }
    }

    /// The report with other content, checked anew. While it is handed over its content is fixed.
    pub fn edit<'a>(
        self,
        content: Content,
        against: impl Into<Against<'a>>,
        now: DateTime<Utc>,
    ) -> Result<Self, AlreadySubmitted> {
        self.must_be_editable()?;
        let (content, findings) = content.checked(against, &self.asked);
        Ok(Self { content, findings, ..self.moved(now) })
    }

    /// The report as handed over: received when and where an importer asserts it was, or else when its document arrived, or else
    /// now. If it was sent back, the first time that it was received stands.
    ///
    /// Blocking findings are those of the checks as they are now, not as they were when the report was saved.
    pub fn submit<'a>(
        mut self,
        against: impl Into<Against<'a>>,
        asserted: Option<Asserted>,
        submitter: &str,
        now: DateTime<Utc>,
    ) -> Result<Self, NotSubmitted> {
        self.must_be_editable()?;
        let opens = self.asked.window.first;
        let last = match asserted {
            None => self.received(now),
            Some(asserted) if asserted.at > now => return Err(NotSubmitted::ReceiptInFuture),
            Some(asserted) if asserted.at < zone::start_of(opens) => {
                return Err(NotSubmitted::ReceiptBeforePeriod { first: opens });
            }
            Some(Asserted { at, evidence }) => Receipt { at, evidence: Some(evidence) },
        };
        let content = std::mem::take(&mut self.content);
        let (content, findings) = content.checked(against, &self.asked);
        let blocking: Vec<_> = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Blocking)
            .cloned()
            .collect();
        if !blocking.is_empty() {
            return Err(NotSubmitted::Blocked(blocking));
        }
        let first = match &self.state {
            State::Returned { first, .. } => first.clone(),
            State::Draft | State::Submitted { .. } | State::Accepted { .. } => last.clone(),
        };
        let submitter = submitter.to_owned();
        let state = State::Submitted { first, last, submitter, acceptances: Vec::new() };
        let revision = self.revision + 1;
        Ok(Self { content, findings, state, revision, ..self.moved(now) })
    }

    /// That it is received, if nobody asserts when: when its document arrived, as far as that lies in the window and not ahead of
    /// now, and no other hand stood between. What arrived before the report was sent back or taken back is not what is handed
    /// over now.
    fn received(&self, now: DateTime<Utc>) -> Receipt {
        let back = match &self.state {
            State::Returned { back, .. } => Some(back.at).max(self.taken_back),
            State::Draft | State::Submitted { .. } | State::Accepted { .. } => self.taken_back,
        };
        let counts = |arrival: &&Arrived| {
            let in_window = zone::start_of(self.asked.window.first) <= arrival.at;
            in_window && arrival.at <= now && back.is_none_or(|back| back < arrival.at)
        };
        match self.arrival.as_ref().filter(counts) {
            None => Receipt { at: now, evidence: None },
            Some(Arrived { number, at }) => {
                let (kind, reference) = (EvidenceKind::DocumentSystem, number.clone());
                Receipt { at: *at, evidence: Some(Evidence { kind, reference }) }
            }
        }
    }

    /// The report as handed over with nothing in it but its head: nothing occurred. What it said before is not kept.
    ///
    /// `content` is the head and the files; what else is in it does not count.
    pub fn submit_nil<'a>(
        self,
        content: Content,
        against: impl Into<Against<'a>>,
        asserted: Option<Asserted>,
        submitter: &str,
        now: DateTime<Utc>,
    ) -> Result<Self, NotSubmitted> {
        Self { content: content.nil(), ..self }.submit(against, asserted, submitter, now)
    }

    /// The draft that the report is again when its unit has taken it back. It counts as never received.
    pub fn withdraw(
        self,
        author: &str,
        reason: String,
        now: DateTime<Utc>,
    ) -> Result<(Self, Act), NotWithdrawn> {
        match self.stage() {
            Stage::Draft => return Err(NotHandedOver { name: self.name }.into()),
            Stage::Accepted => return Err(AlreadyAccepted { name: self.name }.into()),
            Stage::Submitted | Stage::Returned => {}
        }
        let draft = Self { state: State::Draft, taken_back: Some(now), ..self.moved(now) };
        let act = draft.act(author, Deed::Withdrawn { reason });
        Ok((draft, act))
    }

    /// The report accepted at the next level of review, by somebody who neither handed over this revision or, of `submitters`,
    /// an earlier one, nor accepted this one before.
    pub fn accept(
        self,
        reviewer: &str,
        submitters: &[String],
        comment: String,
        now: DateTime<Utc>,
    ) -> Result<(Self, Act), NotAccepted> {
        let (name, levels) = (self.name, self.asked.review_levels);
        if levels == 0 {
            return Err(NotAccepted::NoReview { name });
        }
        let (first, last, submitter, mut acceptances) = match self.state.clone() {
            State::Draft | State::Returned { .. } => return Err(NotHandedOver { name }.into()),
            State::Accepted { .. } => return Err(AlreadyAccepted { name }.into()),
            State::Submitted { first, last, submitter, acceptances } => {
                (first, last, submitter, acceptances)
            }
        };
        let before = acceptances.iter().map(|before| &before.author);
        if before.chain(submitters).chain([&submitter]).any(|hand| hand == reviewer) {
            return Err(NotAccepted::SameReviewer { name });
        }
        let level = acceptances.last().map_or(0, |before| before.level) + 1;
        let (author, said) = (reviewer.to_owned(), comment.clone());
        acceptances.push(Acceptance { level, author, at: now, comment: said });
        let state = if level < levels {
            State::Submitted { first, last, submitter, acceptances }
        } else {
            State::Accepted { first, last, submitter, acceptances }
        };
        let accepted = Self { state, ..self.moved(now) };
        let act = accepted.act(reviewer, Deed::Accepted { level, comment });
        Ok((accepted, act))
    }

    /// The report sent back to be mended: it has to be there again by the end of `due_date` in Viet Nam. That it was accepted
    /// is void then.
    pub fn send_back(
        self,
        author: &str,
        reason: String,
        due_date: NaiveDate,
        now: DateTime<Utc>,
    ) -> Result<(Self, Act), NotReturned> {
        let (State::Submitted { first, submitter, .. } | State::Accepted { first, submitter, .. }) =
            self.state.clone()
        else {
            return Err(NotHandedOver { name: self.name }.into());
        };
        let today = zone::civil_date(now);
        if due_date < today {
            return Err(NotReturned::DueInPast { today });
        }
        let due = zone::end_of(due_date);
        let back = SentBack { at: now, due };
        let state = State::Returned { first, submitter, back };
        let returned = Self { state, ..self.moved(now) };
        let act = returned.act(author, Deed::Returned { reason, due });
        Ok((returned, act))
    }

    pub(super) fn moved(self, now: DateTime<Utc>) -> Self {
        Self { version: self.version + 1, update_time: now, ..self }
    }

    /// What made the report what it is now.
    fn act(&self, author: &str, deed: Deed) -> Act {
        Act {
            version: self.version,
            revision: self.revision,
            at: self.update_time,
            recorded: self.update_time,
            author: author.to_owned(),
            deed,
        }
    }

    /// The act by which the report was handed over, while that is the last that was done to it: it tells all of that itself
    /// then. None where it is not handed over, and where it was accepted since.
    pub fn hand_over(&self) -> Option<Act> {
        let State::Submitted { last, submitter, acceptances, .. } = &self.state else {
            return None;
        };
        if !acceptances.is_empty() {
            return None;
        }
        // What is noted beside a report is of now, whichever revision stands.
        let report = Box::new(Self { taken_back: None, arrival: None, ..self.clone() });
        let deed = Deed::HandedOver { evidence: last.evidence.clone(), report };
        Some(Act { at: last.at, ..self.act(submitter, deed) })
    }

    /// Which state it is in.
    pub fn stage(&self) -> Stage {
        match self.state {
            State::Draft => Stage::Draft,
            State::Submitted { .. } => Stage::Submitted,
            State::Accepted { .. } => Stage::Accepted,
            State::Returned { .. } => Stage::Returned,
        }
    }

    /// When it was first received, by what stands; none for a draft.
    pub fn first(&self) -> Option<&Receipt> {
        match &self.state {
            State::Draft => None,
            State::Submitted { first, .. }
            | State::Accepted { first, .. }
            | State::Returned { first, .. } => Some(first),
        }
    }

    /// By which its document is matched with an arrival.
    pub fn document_keys(&self) -> [Option<Uuid>; 2] {
        arrival::keys(self.name.unit, &self.content)
    }

    /// At which levels of review what stands was accepted.
    pub fn acceptances(&self) -> &[Acceptance] {
        match &self.state {
            State::Draft | State::Returned { .. } => &[],
            State::Submitted { acceptances, .. } | State::Accepted { acceptances, .. } => {
                acceptances
            }
        }
    }

    pub(crate) fn must_be_editable(&self) -> Result<(), AlreadySubmitted> {
        match &self.state {
            State::Draft | State::Returned { .. } => Ok(()),
            State::Submitted { first, .. } | State::Accepted { first, .. } => {
                Err(AlreadySubmitted { name: self.name, at: first.at })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use dunghan_calendar::Family;

    use super::*;
    use crate::domain::form::Forms;
    use crate::domain::value::{Figure, Key, Qualifier, Role};

    fn value() -> Value {
        let indicator = "dossiers_received_total".to_owned();
        Value {
            key: Key {
                indicator,
                category: String::new(),
                role: Role::Actual,
                start: None,
                end: None,
            },
            figure: Figure::Count(550),
            qualifier: Qualifier::Exact,
            stated_percent: None,
            quote: String::new(),
            discrepancy: None,
        }
    }

    fn may_2026(values: Vec<Value>) -> (Report, Forms) {
        let forms = Forms::compiled_in().unwrap();
        let period: Period = "202605".parse().unwrap();
        let asked = Asked {
            regime: "cds".to_owned(),
            period,
            form: "cds-1".to_owned(),
            window: period.window(Family::Nd09),
            cut_off_as_declared: false,
            review_levels: 0,
            receivers: Vec::new(),
        };
        let name = ReportName { unit: UnitId::from_uuid(Uuid::nil()), report: Uuid::nil() };
        let content = Content { values, ..Content::default() };
        let begun = zone::start_of("2026-05-15".parse().unwrap());
        (Report::begin(name, asked, content, forms.get("cds-1").unwrap(), begun), forms)
    }

    fn asserted(at: DateTime<Utc>) -> Option<Asserted> {
        let evidence =
            Evidence { kind: EvidenceKind::DocumentSystem, reference: "1234".to_owned() };
        Some(Asserted { at, evidence })
    }

    #[test]
    fn a_name_has_one_spelling() {
        let unit = UnitId::new("nso", "09427", None);
        let name = ReportName { unit, report: Uuid::max() };
        let text = name.to_string();
        assert_eq!(text.parse(), Ok(name));
        let upper = text.replace('f', "F");
        for bad in ["", "units/x/reports/y", &unit.to_string(), &upper, &format!("{text}/")] {
            assert_eq!(bad.parse::<ReportName>(), Err(NotAReportName), "{bad}");
        }
    }

    #[test]
    fn a_report_was_received_when_its_document_arrived_if_that_lies_in_the_window_and_not_ahead() {
        let (draft, forms) = may_2026(vec![value()]);
        let form = forms.get("cds-1").unwrap();
        let (now, tick) = (draft.create_time + TimeDelta::hours(1), TimeDelta::microseconds(1));
        let opens = zone::start_of(draft.asked.window.first);
        let arrived = |report: &Report, at| {
            let arrival = Some(Arrived { number: "1203".to_owned(), at });
            Report { arrival, ..report.clone() }
        };
        let received = |report: Report, now| {
            let report = report.submit(form, None, "lan", now).unwrap();
            let act = report.hand_over().unwrap();
            (act.at, report.first().unwrap().clone())
        };
        let reference = || "1203".to_owned();
        let evidence = Evidence { kind: EvidenceKind::DocumentSystem, reference: reference() };
        let evidence = Some(evidence);
        for (at, counts) in [(opens - tick, false), (opens, true), (now, true), (now + tick, false)]
        {
            let expected = match counts {
                true => Receipt { at, evidence: evidence.clone() },
                false => Receipt { at: now, evidence: None },
            };
            assert_eq!(received(arrived(&draft, at), now), (expected.at, expected), "{at}");
        }
        // Whoever asserts a time knows better.
        let report = arrived(&draft, opens).submit(form, asserted(now), "lan", now).unwrap();
        assert_eq!(report.first().unwrap().at, now);

        // What had arrived before it was sent back, or taken back, is not what is handed over after.
        let submitted = arrived(&draft, opens).submit(form, None, "lan", now).unwrap();
        let (back, later) = (now + TimeDelta::hours(1), now + TimeDelta::hours(3));
        let due = "2026-05-20".parse().unwrap();
        let (returned, _) = submitted.clone().send_back("minh", String::new(), due, back).unwrap();
        let (taken_back, _) = submitted.withdraw("lan", String::new(), back).unwrap();
        for (at, counts) in [(opens, false), (back, false), (back + tick, true), (later, true)] {
            let expected = if counts { at } else { later };
            let (last, first) = received(arrived(&returned, at), later);
            assert_eq!((last, first.at), (expected, opens), "{at}");
            let (last, first) = received(arrived(&taken_back, at), later);
            assert_eq!((last, first.at), (expected, expected), "{at}");
        }
    }

    #[test]
    fn a_report_is_handed_over_once_and_its_first_receive_time_stays() {
        let (draft, forms) = may_2026(vec![value()]);
        let form = forms.get("cds-1").unwrap();
        let now = draft.create_time + TimeDelta::hours(1);
        let report = draft.submit(form, None, "lan", now).unwrap();
        let first = Receipt { at: now, evidence: None };
        let state = State::Submitted {
            last: first.clone(),
            first,
            submitter: "lan".to_owned(),
            acceptances: Vec::new(),
        };
        assert_eq!(report.state, state);
        assert_eq!((report.version, report.revision), (2, 1));
        let already = AlreadySubmitted { name: report.name, at: now };
        let later = now + TimeDelta::hours(1);
        let again = report.clone().submit(form, asserted(now), "lan", later);
        assert_eq!(again, Err(NotSubmitted::Already(already)));
        assert_eq!(report.edit(Content::default(), form, later), Err(already));
    }

    #[test]
    fn an_asserted_receive_time_lies_within_the_window_and_now() {
        let (draft, forms) = may_2026(vec![value()]);
        let form = forms.get("cds-1").unwrap();
        let first = "2026-04-15".parse().unwrap();
        let (opens, now) = (zone::start_of(first), draft.create_time);
        let tick = TimeDelta::microseconds(1);
        for (at, refused) in [
            (opens - tick, Some(NotSubmitted::ReceiptBeforePeriod { first })),
            (opens, None),
            (now, None),
            (now + tick, Some(NotSubmitted::ReceiptInFuture)),
        ] {
            let submitted = draft.clone().submit(form, asserted(at), "lan", now);
            match refused {
                Some(refused) => assert_eq!(submitted, Err(refused), "{at}"),
                None => {
                    let State::Submitted { first, last, .. } = submitted.unwrap().state else {
                        panic!("{at}")
                    };
                    assert!(first.evidence.is_some() && first == last, "{at}");
                    assert_eq!(first.at, at);
                }
            }
        }
    }

    #[test]
    fn a_report_without_figures_is_not_handed_over() {
        let (draft, forms) = may_2026(Vec::new());
        let form = forms.get("cds-1").unwrap();
        let refused = draft.clone().submit(form, None, "lan", draft.create_time).unwrap_err();
        let NotSubmitted::Blocked(findings) = refused else { panic!("{refused}") };
        assert_eq!(findings.len(), 1);
        assert_eq!(
            (findings[0].rule.as_str(), findings[0].field.as_str()),
            ("no_values", "values")
        );
        let content = Content { values: vec![value()], ..Content::default() };
        let edited = draft.edit(content, form, zone::start_of("2026-05-16".parse().unwrap()));
        let edited = edited.unwrap();
        assert_eq!(edited.version, 2);
        edited.clone().submit(form, None, "lan", edited.update_time).unwrap();
    }

    fn first_received(report: &Report) -> Option<DateTime<Utc>> {
        report.first().map(|first| first.at)
    }

    #[test]
    fn a_report_that_was_sent_back_is_mended_and_keeps_the_time_it_was_first_received() {
        let (draft, forms) = may_2026(vec![value()]);
        let form = forms.get("cds-1").unwrap();
        let (hour, received) = (TimeDelta::hours(1), draft.create_time);
        let report = draft.submit(form, None, "lan", received).unwrap();
        let due_date = "2026-05-20".parse().unwrap();
        let (report, act) =
            report.send_back("minh", "Thiếu biểu.".to_owned(), due_date, received + hour).unwrap();
        let due = zone::end_of(due_date);
        let back = SentBack { at: received + hour, due };
        let first = Receipt { at: received, evidence: None };
        let state = State::Returned { first: first.clone(), submitter: "lan".to_owned(), back };
        assert_eq!((&report.state, report.version, report.revision), (&state, 3, 1));
        let expected = Act {
            version: 3,
            revision: 1,
            at: received + hour,
            recorded: received + hour,
            author: "minh".to_owned(),
            deed: Deed::Returned { reason: "Thiếu biểu.".to_owned(), due },
        };
        assert_eq!((act, report.hand_over()), (expected, None));

        let content = Content { narrative: "Đã bổ sung.".to_owned(), ..report.content.clone() };
        let report = report.edit(content, form, received + hour * 2).unwrap();
        assert_eq!((report.state.clone(), report.version), (state, 4));
        let asserted = asserted(received + hour * 3);
        let report = report.submit(form, asserted.clone(), "hoa", received + hour * 4).unwrap();
        let Asserted { at, evidence } = asserted.unwrap();
        let last = Receipt { at, evidence: Some(evidence) };
        let state = State::Submitted {
            first,
            last: last.clone(),
            submitter: "hoa".to_owned(),
            acceptances: Vec::new(),
        };
        assert_eq!((&report.state, report.version, report.revision), (&state, 5, 2));
        let act = report.hand_over().unwrap();
        assert_eq!((act.at, act.recorded, act.author.as_str()), (at, received + hour * 4, "hoa"));
        let report = Box::new(report);
        assert_eq!(act.deed, Deed::HandedOver { evidence: last.evidence, report });
    }

    #[test]
    fn a_report_that_was_taken_back_was_never_received_and_is_received_anew() {
        let (draft, forms) = may_2026(vec![value()]);
        let form = forms.get("cds-1").unwrap();
        let (hour, received) = (TimeDelta::hours(1), draft.create_time);
        let due_date = "2026-05-20".parse().unwrap();
        let handed_over = draft.submit(form, None, "lan", received).unwrap();
        let (sent_back, _) =
            handed_over.clone().send_back("minh", String::new(), due_date, received).unwrap();
        for (report, version) in [(handed_over, 3), (sent_back, 4)] {
            let (report, act) = report.withdraw("lan", "Nhầm kỳ.".to_owned(), received).unwrap();
            assert_eq!((first_received(&report), report.version), (None, version));
            assert_eq!((act.version, act.revision, act.at), (version, 1, received));
            assert_eq!(act.deed, Deed::Withdrawn { reason: "Nhầm kỳ.".to_owned() });
            let again = report.submit(form, None, "lan", received + hour).unwrap();
            assert_eq!((first_received(&again), again.revision), (Some(received + hour), 2));
        }
    }

    #[test]
    fn only_what_is_handed_over_is_sent_back_or_taken_back() {
        let (draft, forms) = may_2026(vec![value()]);
        let form = forms.get("cds-1").unwrap();
        let (name, now) = (draft.name, draft.create_time);
        let due_date = "2026-05-20".parse().unwrap();
        let send_back = |report: Report| report.send_back("minh", String::new(), due_date, now);
        let not_handed_over = NotHandedOver { name };
        let not_returned = Err(NotReturned::NotHandedOver(not_handed_over));
        assert_eq!(send_back(draft.clone()), not_returned);
        let not_withdrawn = Err(NotWithdrawn::NotHandedOver(not_handed_over));
        assert_eq!(draft.clone().withdraw("lan", String::new(), now), not_withdrawn);
        let (report, _) = send_back(draft.submit(form, None, "lan", now).unwrap()).unwrap();
        assert_eq!(send_back(report.clone()), not_returned);
        let (report, _) = report.withdraw("lan", String::new(), now).unwrap();
        assert_eq!(send_back(report.clone()), not_returned);
        assert_eq!(report.withdraw("lan", String::new(), now), not_withdrawn);
    }

    #[test]
    fn a_report_is_sent_back_to_a_day_that_is_not_over_in_viet_nam() {
        let (draft, forms) = may_2026(vec![value()]);
        let form = forms.get("cds-1").unwrap();
        let report = draft.clone().submit(form, None, "lan", draft.create_time).unwrap();
        let day: NaiveDate = "2026-05-20".parse().unwrap();
        let (ends, tick) = (zone::end_of(day), TimeDelta::microseconds(1));
        let send_back = |now| {
            report.clone().send_back("minh", String::new(), day, now).map(|(report, _)| report)
        };
        let State::Returned { back, .. } = send_back(ends - tick).unwrap().state else { panic!() };
        assert_eq!(back, SentBack { at: ends - tick, due: ends });
        let today = "2026-05-21".parse().unwrap();
        assert_eq!(send_back(ends), Err(NotReturned::DueInPast { today }));
    }

    /// A report that was handed over by Lan under a regime with that many levels of review.
    fn reviewed(levels: u8) -> (Report, Forms) {
        let (mut draft, forms) = may_2026(vec![value()]);
        draft.asked.review_levels = levels;
        let now = draft.create_time;
        (draft.submit(forms.get("cds-1").unwrap(), None, "lan", now).unwrap(), forms)
    }

    fn accept(report: Report, who: &str) -> Result<Report, NotAccepted> {
        let now = report.update_time + TimeDelta::hours(1);
        report.accept(who, &[], format!("{who} xem"), now).map(|(report, _)| report)
    }

    #[test]
    fn a_report_is_accepted_level_by_level_and_is_received_when_it_was() {
        for levels in [1, 2] {
            let (mut report, _) = reviewed(levels);
            let (first, revision) = (report.first().cloned(), report.revision);
            for level in 1..=levels {
                let (version, who) = (report.version, ["hoa", "minh"][usize::from(level) - 1]);
                let now = report.update_time + TimeDelta::hours(1);
                let (accepted, act) = report.accept(who, &[], "Đạt.".to_owned(), now).unwrap();
                let deed = Deed::Accepted { level, comment: "Đạt.".to_owned() };
                assert_eq!((act.version, act.revision, act.at), (version + 1, revision, now));
                assert_eq!((act.author.as_str(), act.deed), (who, deed));
                let stage = if level < levels { Stage::Submitted } else { Stage::Accepted };
                assert_eq!((accepted.stage(), accepted.hand_over()), (stage, None));
                assert_eq!((accepted.first(), accepted.revision), (first.as_ref(), revision));
                let author = who.to_owned();
                let acceptance =
                    Acceptance { level, author, at: now, comment: "Đạt.".to_owned() };
                assert_eq!(accepted.acceptances().last(), Some(&acceptance));
                assert_eq!(accepted.acceptances().len(), usize::from(level));
                report = accepted;
            }
            let name = report.name;
            assert_eq!(accept(report, "lien"), Err(AlreadyAccepted { name }.into()));
        }
    }

    #[test]
    fn nobody_accepts_what_they_handed_over_or_accepted_before() {
        let (report, _) = reviewed(2);
        let same = Err(NotAccepted::SameReviewer { name: report.name });
        assert_eq!(accept(report.clone(), "lan"), same);
        let once = accept(report, "hoa").unwrap();
        assert_eq!(accept(once.clone(), "hoa"), same);
        assert_eq!(accept(once.clone(), "lan"), same);
        assert_eq!(accept(once, "minh").unwrap().stage(), Stage::Accepted);
    }

    #[test]
    fn only_what_is_handed_over_under_a_regime_with_review_is_accepted() {
        let (report, _) = reviewed(0);
        let name = report.name;
        assert_eq!(accept(report, "hoa"), Err(NotAccepted::NoReview { name }));
        let (report, _) = reviewed(1);
        let not_handed_over = Err(NotHandedOver { name }.into());
        let now = report.update_time;
        let (draft, _) = report.clone().withdraw("lan", String::new(), now).unwrap();
        assert_eq!(accept(draft, "hoa"), not_handed_over);
        let day = "2026-05-20".parse().unwrap();
        let (back, _) = report.send_back("hoa", String::new(), day, now).unwrap();
        assert_eq!(accept(back, "hoa"), not_handed_over);
    }

    #[test]
    fn what_is_accepted_is_not_taken_back_and_sent_back_it_is_reviewed_anew() {
        let (report, forms) = reviewed(2);
        let form = forms.get("cds-1").unwrap();
        let (name, now) = (report.name, report.update_time + TimeDelta::hours(9));
        let once = accept(report.clone(), "hoa").unwrap();
        let twice = accept(once.clone(), "minh").unwrap();
        let withdrawn = twice.clone().withdraw("lan", String::new(), now);
        assert_eq!(withdrawn, Err(AlreadyAccepted { name }.into()));
        assert_eq!(
            twice.clone().edit(Content::default(), form, now),
            Err(AlreadySubmitted { name, at: report.update_time })
        );
        // A level is left: it is the unit's still.
        let (draft, _) = once.clone().withdraw("lan", String::new(), now).unwrap();
        assert_eq!((draft.acceptances(), draft.first()), (&[][..], None));

        let day = "2026-05-20".parse().unwrap();
        for accepted in [once, twice] {
            let (back, _) = accepted.send_back("chi", String::new(), day, now).unwrap();
            assert_eq!((back.acceptances(), back.first()), (&[][..], report.first()));
            let again = back.submit(form, None, "hoa", now).unwrap();
            assert_eq!((again.acceptances(), again.revision), (&[][..], 2));
            assert_eq!(again.first(), report.first());
            // It is another who handed over now.
            let same = NotAccepted::SameReviewer { name };
            assert_eq!(accept(again.clone(), "hoa"), Err(same));
            let earlier = ["lan".to_owned()];
            assert_eq!(again.clone().accept("lan", &earlier, String::new(), now), Err(same));
            accept(accept(again, "chi").unwrap(), "minh").unwrap();
        }
    }

    #[test]
    fn that_nothing_occurred_is_handed_over_with_the_head_alone() {
        let (draft, forms) = may_2026(vec![value()]);
        let form = forms.get("cds-1").unwrap();
        let now = draft.create_time;
        let document = Document { number: "7".to_owned(), ..Document::default() };
        let says = Content {
            document: document.clone(),
            declared_cut_off: "2026-05-14".parse().ok(),
            narrative: "Không phát sinh.".to_owned(),
            ..draft.content.clone()
        };
        let report = draft.submit_nil(says, form, None, "lan", now).unwrap();
        let declared_cut_off = "2026-05-14".parse().ok();
        let kept = Content { document, declared_cut_off, nil: true, ..Content::default() };
        assert_eq!(report.content, kept);
        assert_eq!((report.stage(), report.version, report.revision), (Stage::Submitted, 2, 1));
        let again = report.submit_nil(Content::default(), form, None, "lan", now);
        assert!(matches!(again, Err(NotSubmitted::Already(_))), "{again:?}");
    }

    #[test]
    fn a_form_without_figures_asks_for_a_text() {
        let (draft, forms) = may_2026(Vec::new());
        let form = forms.get("text-1").unwrap();
        for (narrative, rules) in
            [("", vec!["no_narrative"]), (" \n", vec!["no_narrative"]), ("Lời.", vec![])]
        {
            let content = Content { narrative: narrative.to_owned(), ..Content::default() };
            let report = draft.clone().edit(content, form, draft.create_time).unwrap();
            match report.submit(form, None, "lan", draft.create_time) {
                Ok(_) => assert!(rules.is_empty(), "{narrative:?}"),
                Err(NotSubmitted::Blocked(findings)) => {
                    let found: Vec<_> = findings.iter().map(|one| one.rule.as_str()).collect();
                    assert_eq!(found, rules, "{narrative:?}");
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
}

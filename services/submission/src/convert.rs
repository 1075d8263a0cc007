//! The contract's messages as domain types and back. Raw data stops here.

mod attachment;
mod finding;
mod form;
mod intake;
pub(crate) mod receipt;
mod value;

use std::collections::BTreeSet;

use chrono::NaiveDate;
use dunghan_calendar::{Family, Frequency, Period};
use dunghan_hierarchy::UnitId;
use dunghan_proto::compliance as pb_compliance;
use dunghan_proto::events::event::Payload;
use dunghan_proto::events::{ReportAccepted, ReportReturned, ReportSubmitted, ReportWithdrawn};
use dunghan_proto::policy::ErrorReason as Common;
use dunghan_proto::submission as pb;
use dunghan_proto::submission::ErrorReason;
use dunghan_proto::r#type::Date;
use dunghan_rpc::field;
use prost_types::Timestamp;
use tonic::Status;

pub(crate) use form::{flawed, form_text};

pub(crate) use attachment::{Upload, attachment_name, upload};

use finding::finding_of;
pub(crate) use intake::{
    ReadRow, ToldRow, arrival, arrival_name, arrival_problem, import, import_name, import_row,
    imported, is_of_row, noted_arrival, read_row, refusal, refused_row,
};
use value::{value_of, values};

use crate::domain::diff::Change;
use crate::domain::finding::Finding;
use crate::domain::form::{Form, NotAsked};
use crate::domain::regime::{Debtors, Receiver, Recurrence, Regime};
use crate::domain::report::{
    Acceptance, Act, Arrived, Asserted, AttachedFile, Content, DeclaredPeriod, DeclaredUnit, Deed,
    Document, Evidence, EvidenceKind, Justification, Place, Received, Report, Stage, State,
};
use crate::domain::value::{Figure, Value};
use crate::error::{Problems, SUBMITTING_UNIT, bad};

const MOST_NARRATIVE_BYTES: usize = 1_000_000;
const MOST_REFERENCE_BYTES: usize = 500;
const MOST_REASON_CHARS: usize = 2000;
const MOST_JUSTIFICATIONS: usize = 200;
/// The contract sets no limit on what no document comes near.
const MOST_NUMBER_BYTES: usize = 100;
const MOST_DECLARED: usize = 100;
/// With what the unit lies in.
const MOST_UNIT_NAME_BYTES: usize = 500;
/// Longer than any period's name: a message must not repeat a text of any length.
const MOST_PERIOD_BYTES: usize = 30;
const MOST_REGIME_BYTES: usize = 63;

/// The id in `regimes/{regime}`.
pub(crate) fn regime_id(name: &str) -> Option<&str> {
    let id = name.strip_prefix("regimes/")?;
    let letters = id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    (letters && (1..=MOST_REGIME_BYTES).contains(&id.len())).then_some(id)
}

pub(crate) const NOT_A_REGIME: &str = "must be regimes/{regime}, with a-z, 0-9 and -, 63 at most";

/// The key in `forms/{form}`, whatever it is.
pub(crate) fn form_key(name: &str) -> Option<&str> {
    name.strip_prefix("forms/").filter(|key| !key.is_empty() && !key.contains('/'))
}

/// A period by its name.
pub(crate) fn period(field: &str, name: &str) -> Result<Period, Status> {
    let mut problems = Problems::default();
    let period = period_of(&mut problems, field, name);
    problems.refused()?;
    field::required(field, period)
}

fn period_of(problems: &mut Problems, field: &str, name: &str) -> Option<Period> {
    let says = if name.is_empty() {
        problems.add(field, Common::RequiredFieldMissing, "is missing");
        return None;
    } else if name.len() > MOST_PERIOD_BYTES {
        "names no period; a name looks like 202605 or 2026Q2".to_owned()
    } else {
        match name.parse() {
            Ok(period) => return Some(period),
            Err(error) => error.to_string(),
        }
    };
    problems.add(field, ErrorReason::InvalidPeriod, says);
    None
}

/// Parts of a report that may be changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mask {
    document: bool,
    values: bool,
    narrative: bool,
    declared_cut_off: bool,
    submitting_unit: bool,
    justifications: bool,
}

impl Mask {
    const ALL: Self = Self {
        document: true,
        values: true,
        narrative: true,
        declared_cut_off: true,
        submitting_unit: true,
        justifications: true,
    };

    /// `*` and an empty mask are all of them.
    pub(crate) fn of(paths: &[String]) -> Result<Self, Status> {
        let mut mask = Self::default();
        for path in paths {
            match path.as_str() {
                "document" => mask.document = true,
                "values" => mask.values = true,
                "narrative" => mask.narrative = true,
                "declared_cut_off_date" => mask.declared_cut_off = true,
                "submitting_unit" => mask.submitting_unit = true,
                "justifications" => mask.justifications = true,
                "*" if paths.len() == 1 => return Ok(Self::ALL),
                _ => {
                    let says = "names another field than document, values, narrative, declared_cut_off_date, \
                                submitting_unit and justifications, or * beside others";
                    return Err(bad("update_mask", ErrorReason::InvalidUpdateMask, says));
                }
            }
        }
        Ok(if paths.is_empty() { Self::ALL } else { mask })
    }
}

/// What a request changes of a report's content.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    document: Option<Document>,
    values: Option<Vec<Value>>,
    narrative: Option<String>,
    declared_cut_off: Option<Option<NaiveDate>>,
    submitting_unit: Option<Option<UnitId>>,
    justifications: Option<Vec<Justification>>,
}

impl Changes {
    pub(crate) fn apply(self, content: Content) -> Content {
        let content = Content {
            document: self.document.unwrap_or(content.document),
            values: self.values.unwrap_or(content.values),
            narrative: self.narrative.unwrap_or(content.narrative),
            declared_cut_off: self.declared_cut_off.unwrap_or(content.declared_cut_off),
            submitting_unit: self.submitting_unit.unwrap_or(content.submitting_unit),
            justifications: self.justifications.unwrap_or(content.justifications),
            ..content
        };
        // What says something is no longer that nothing occurred.
        Content { nil: content.nil && content.is_bare(), ..content }
    }

    /// How many figures it brings.
    pub(crate) fn figures(&self) -> usize {
        self.values.as_ref().map_or(0, Vec::len)
    }

    /// The agency that it names; none where it names none, or leaves the one that is there.
    pub(crate) fn submitting_unit(&self) -> Option<UnitId> {
        self.submitting_unit.flatten()
    }

    /// Errors: INVALID_ARGUMENT (UNKNOWN_INDICATOR, WRONG_KIND, NOT_A_CHOICE, UNKNOWN_CATEGORY) for figures that the form does
    /// not ask for.
    pub(crate) fn must_suit(&self, form: &Form) -> Result<(), Status> {
        let mut problems = Problems::default();
        for (at, value) in self.values.iter().flatten().enumerate() {
            if let Err(not_asked) = form.asks_for(value) {
                let (field, reason) = match &not_asked {
                    NotAsked::Indicator => ("indicator", ErrorReason::UnknownIndicator),
                    NotAsked::Figure => (figure_field(&value.figure), ErrorReason::WrongKind),
                    NotAsked::Choice(_) => ("choice", ErrorReason::NotAChoice),
                    NotAsked::Category(_) => ("category", ErrorReason::UnknownCategory),
                };
                problems.add(format!("report.values[{at}].{field}"), reason, not_asked);
            }
        }
        problems.refused()
    }

    /// An answer that is sent is to a finding of the report as it becomes. One to a finding that the same change mended is no
    /// mistake: it is dropped with the finding.
    ///
    /// Errors: INVALID_ARGUMENT (UNKNOWN_FINDING).
    pub(crate) fn must_answer(&self, before: &[Finding], after: &[Finding]) -> Result<(), Status> {
        let mut problems = Problems::default();
        for (at, answer) in self.justifications.iter().flatten().enumerate() {
            if !after.iter().chain(before).any(|finding| finding.key == answer.finding) {
                let field = format!("report.justifications[{at}].finding_key");
                let says = "is the key of no finding of this report";
                problems.add(field, ErrorReason::UnknownFinding, says);
            }
        }
        problems.refused()
    }
}

fn figure_field(figure: &Figure) -> &'static str {
    match figure {
        Figure::Count(_) => "count",
        Figure::Ratio(_) => "ratio",
        Figure::Percent(_) => "percent",
        Figure::Money(_) => "money",
        Figure::Text(_) => "text",
        Figure::Choice(_) => "choice",
    }
}

/// A report that is to be begun.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// The id of the regime.
    pub(crate) regime: String,
    pub(crate) period: Period,
    pub(crate) changes: Changes,
}

/// Errors: INVALID_ARGUMENT, with all that is wrong.
pub(crate) fn draft(report: pb::Report) -> Result<Draft, Status> {
    let mut problems = Problems::default();
    let regime = regime_id(&report.regime).map(str::to_owned);
    if regime.is_none() {
        let (reason, says) = match report.regime.as_str() {
            "" => (Common::RequiredFieldMissing, "is missing"),
            _ => (Common::InvalidField, NOT_A_REGIME),
        };
        problems.add("report.regime", reason, says);
    }
    let period = period_of(&mut problems, "report.period", &report.period);
    let changes = changes_of(report, Mask::ALL, &mut problems);
    problems.refused()?;
    Ok(Draft {
        regime: field::required("report.regime", regime)?,
        period: field::required("report.period", period)?,
        changes,
    })
}

/// That nothing occurred, as a report that is to be begun.
///
/// Errors: INVALID_ARGUMENT, with all that is wrong, named as a report's fields; see
/// [`unnested`](crate::error::unnested).
pub(crate) fn nil(request: &pb::SubmitNilReportRequest) -> Result<Draft, Status> {
    draft(pb::Report {
        regime: request.regime.clone(),
        period: request.period.clone(),
        document: request.document.clone(),
        declared_cut_off_date: request.declared_cut_off_date,
        submitting_unit: request.submitting_unit.clone(),
        ..pb::Report::default()
    })
}

/// What a request says of those parts of a report that `mask` names.
///
/// Errors: INVALID_ARGUMENT, with all that is wrong.
pub(crate) fn changes(report: pb::Report, mask: Mask) -> Result<Changes, Status> {
    let mut problems = Problems::default();
    let changes = changes_of(report, mask, &mut problems);
    problems.refused()?;
    Ok(changes)
}

fn changes_of(report: pb::Report, mask: Mask, problems: &mut Problems) -> Changes {
    let document = mask.document.then(|| document(report.document.unwrap_or_default(), problems));
    let values = mask.values.then(|| values(report.values, problems));
    let narrative = mask.narrative.then(|| {
        let field = "report.narrative";
        limit(problems, field, &report.narrative, MOST_NARRATIVE_BYTES);
        report.narrative
    });
    let declared_cut_off = mask.declared_cut_off.then(|| {
        date(problems, "report.declared_cut_off_date", report.declared_cut_off_date.as_ref())
    });
    let submitting_unit = mask.submitting_unit.then(|| {
        let name = report.submitting_unit.as_str();
        let read = (!name.is_empty()).then(|| name.parse::<UnitId>()).transpose();
        read.unwrap_or_else(|error| {
            problems.add(SUBMITTING_UNIT, Common::InvalidField, error);
            None
        })
    });
    let justifications =
        mask.justifications.then(|| justifications(report.justifications, problems));
    Changes { document, values, narrative, declared_cut_off, submitting_unit, justifications }
}

fn justifications(sent: Vec<pb::Justification>, problems: &mut Problems) -> Vec<Justification> {
    const FIELD: &str = "report.justifications";
    if sent.len() > MOST_JUSTIFICATIONS {
        let says = format!("must not be more than {MOST_JUSTIFICATIONS}");
        problems.add(FIELD, ErrorReason::TooLong, says);
        return Vec::new();
    }
    let mut seen = BTreeSet::new();
    let sent = sent.into_iter().enumerate().map(|(at, pb::Justification { finding_key, text })| {
        let within = |part: &str| format!("{FIELD}[{at}].{part}");
        let text = text.trim().to_owned();
        for (part, given) in [("finding_key", &finding_key), ("text", &text)] {
            if given.is_empty() {
                problems.add(within(part), Common::RequiredFieldMissing, "is missing");
            }
            no_nul(problems, within(part), given);
        }
        if text.chars().count() > MOST_REASON_CHARS {
            let says = format!("must not be longer than {MOST_REASON_CHARS} characters");
            problems.add(within("text"), ErrorReason::TooLong, says);
        }
        if !seen.insert(finding_key.clone()) {
            let says = "is answered twice";
            problems.add(within("finding_key"), ErrorReason::DuplicateValue, says);
        }
        Justification { finding: finding_key, text }
    });
    sent.collect()
}

fn limit(problems: &mut Problems, field: impl Into<String>, text: &str, most: usize) {
    let field = field.into();
    if text.len() > most {
        let says = format!("must not be longer than {most} bytes");
        problems.add(field.clone(), ErrorReason::TooLong, says);
    }
    no_nul(problems, field, text);
}

/// PostgreSQL keeps it in no text.
fn no_nul(problems: &mut Problems, field: impl Into<String>, text: &str) {
    if text.contains('\0') {
        problems.add(field, Common::InvalidField, "must not contain the character U+0000");
    }
}

fn date(
    problems: &mut Problems,
    field: impl Into<String>,
    value: Option<&Date>,
) -> Option<NaiveDate> {
    field::date("", value).unwrap_or_else(|_| {
        problems.add(field, ErrorReason::InvalidValue, "is no date from 1900 to 2200");
        None
    })
}

fn document(document: pb::Document, problems: &mut Problems) -> Document {
    limit(problems, "report.document.number", &document.number, MOST_NUMBER_BYTES);
    limit(problems, "report.document.symbol", &document.symbol, MOST_NUMBER_BYTES);
    let date = date(problems, "report.document.document_date", document.document_date.as_ref());
    let lengths =
        [("periods", document.declared_periods.len()), ("units", document.declared_units.len())];
    for (list, _) in lengths.into_iter().filter(|(_, length)| *length > MOST_DECLARED) {
        let says = format!("must not be more than {MOST_DECLARED}");
        problems.add(format!("report.document.declared_{list}"), ErrorReason::TooLong, says);
    }
    let declared_periods =
        document.declared_periods.iter().enumerate().filter_map(|(at, declared)| {
            let field = format!("report.document.declared_periods[{at}]");
            let period = period_of(problems, &format!("{field}.period"), &declared.period);
            let place = place(problems, &field, declared.place());
            Some(DeclaredPeriod { period: period?, place: place? })
        });
    let declared_periods = declared_periods.collect();
    let declared_units = document.declared_units.iter().enumerate().filter_map(|(at, declared)| {
        let field = format!("report.document.declared_units[{at}]");
        let (name_field, display_name) =
            (format!("{field}.display_name"), declared.display_name.trim());
        limit(problems, &name_field, display_name, MOST_UNIT_NAME_BYTES);
        if display_name.is_empty() {
            problems.add(
                name_field,
                Common::RequiredFieldMissing,
                "says which unit the text names",
            );
        }
        let place = place(problems, &field, declared.place());
        Some(DeclaredUnit { display_name: display_name.to_owned(), place: place? })
    });
    Document {
        declared_units: declared_units.collect(),
        declared_periods,
        number: document.number.trim().to_owned(),
        symbol: document.symbol.trim().to_owned(),
        date,
    }
}

fn place(problems: &mut Problems, field: &str, place: pb::declared_period::Place) -> Option<Place> {
    match place {
        pb::declared_period::Place::Title => Some(Place::Title),
        pb::declared_period::Place::Opening => Some(Place::Opening),
        pb::declared_period::Place::Body => Some(Place::Body),
        pb::declared_period::Place::Closing => Some(Place::Closing),
        pb::declared_period::Place::Unspecified => {
            let says = "is not one of the places of a text";
            problems.add(format!("{field}.place"), Common::RequiredFieldMissing, says);
            None
        }
    }
}

fn place_of(place: Place) -> pb::declared_period::Place {
    match place {
        Place::Title => pb::declared_period::Place::Title,
        Place::Opening => pb::declared_period::Place::Opening,
        Place::Body => pb::declared_period::Place::Body,
        Place::Closing => pb::declared_period::Place::Closing,
    }
}

/// The receive time that a request asserts, with its evidence.
pub(crate) fn asserted(
    at: Option<&Timestamp>,
    evidence: Option<&pb::ReceiptEvidence>,
) -> Result<Option<Asserted>, Status> {
    const TIME: &str = "asserted_receive_time";
    let at = field::instant(TIME, at)?;
    let (at, evidence) = match (at, evidence) {
        (None, None) => return Ok(None),
        (None, Some(_)) => {
            let says = "is missing: evidence is of a time";
            return Err(bad(TIME, Common::RequiredFieldMissing, says));
        }
        (Some(_), None) => {
            let says = "is missing: an asserted time has to rest on something";
            return Err(bad("receipt_evidence", ErrorReason::ReceiptWithoutEvidence, says));
        }
        (Some(at), Some(evidence)) => (at, evidence),
    };
    let mut problems = Problems::default();
    let kind = match evidence.kind() {
        pb::receipt_evidence::Kind::DocumentSystem => Some(EvidenceKind::DocumentSystem),
        pb::receipt_evidence::Kind::DigitalSignature => Some(EvidenceKind::DigitalSignature),
        pb::receipt_evidence::Kind::Register => Some(EvidenceKind::Register),
        pb::receipt_evidence::Kind::Unspecified => None,
    };
    if kind.is_none() {
        let says = "does not say where the time was seen";
        problems.add("receipt_evidence.kind", ErrorReason::ReceiptWithoutEvidence, says);
    }
    let reference = evidence.reference.trim();
    const REFERENCE: &str = "receipt_evidence.reference";
    if reference.is_empty() {
        let says = "is missing: the arrival number, or the signing organisation";
        problems.add(REFERENCE, ErrorReason::ReceiptWithoutEvidence, says);
    }
    limit(&mut problems, REFERENCE, reference, MOST_REFERENCE_BYTES);
    problems.refused()?;
    let reference = reference.to_owned();
    Ok(kind.map(|kind| Asserted { at, evidence: Evidence { kind, reference } }))
}

/// Why something is taken back or sent back.
pub(crate) fn reason(text: &str) -> Result<String, Status> {
    const FIELD: &str = "reason";
    let text = remark(FIELD, text)?;
    if text.is_empty() {
        return Err(bad(FIELD, Common::RequiredFieldMissing, "is missing"));
    }
    Ok(text)
}

/// What somebody has to say to what they do; may be empty.
pub(crate) fn remark(field: &str, text: &str) -> Result<String, Status> {
    let text = text.trim();
    let mut problems = Problems::default();
    if text.chars().count() > MOST_REASON_CHARS {
        let says = format!("must not be longer than {MOST_REASON_CHARS} characters");
        problems.add(field, ErrorReason::TooLong, says);
    }
    no_nul(&mut problems, field, text);
    problems.refused()?;
    Ok(text.to_owned())
}

/// What compliance says of a regime.
///
/// `None` for what this program cannot read: compliance is newer, or not what it should be.
pub(crate) fn regime(pb: &pb_compliance::Regime) -> Option<Regime> {
    let recurrence = match pb.frequency() {
        pb_compliance::Frequency::Month => Recurrence::Every(Frequency::Month),
        pb_compliance::Frequency::Quarter => Recurrence::Every(Frequency::Quarter),
        pb_compliance::Frequency::SixMonths => Recurrence::Every(Frequency::SixMonths),
        pb_compliance::Frequency::NineMonths => Recurrence::Every(Frequency::NineMonths),
        pb_compliance::Frequency::Year => Recurrence::Every(Frequency::Year),
        pb_compliance::Frequency::Once => Recurrence::Once(pb.once_period.parse().ok()?),
        pb_compliance::Frequency::Unspecified => return None,
    };
    let family = match pb_compliance::WindowFamily::try_from(pb.window_family).ok()? {
        pb_compliance::WindowFamily::Unspecified | pb_compliance::WindowFamily::Nd09 => {
            Family::Nd09
        }
        pb_compliance::WindowFamily::Calendar => Family::Calendar,
    };
    Some(Regime {
        id: regime_id(&pb.name)?.to_owned(),
        form: form_key(&pb.form)?.to_owned(),
        recurrence,
        family,
        cut_off_as_declared: pb.cut_off_as_declared,
        from: field::date("from_date", pb.from_date.as_ref()).ok()??,
        through: field::date("through_date", pb.through_date.as_ref()).ok()?,
        review_levels: u8::try_from(pb.review_levels).ok()?,
        debtors: debtors(pb.debtors.as_ref()?)?,
        tiers: tiers(pb)?,
    })
}

fn units(names: &[String]) -> Option<Vec<UnitId>> {
    names.iter().map(|name| name.parse().ok()).collect()
}

fn debtors(pb: &pb_compliance::Debtors) -> Option<Debtors> {
    let units_named = units(&pb.units)?;
    if !units_named.is_empty() {
        return Some(Debtors::Units(units_named));
    }
    Some(Debtors::All {
        below: match pb.subtree.as_str() {
            "" => None,
            root => Some(root.parse().ok()?),
        },
        levels: pb.levels.iter().map(|level| level.parse().ok()).collect::<Option<_>>()?,
        kinds: pb.kinds.iter().map(|kind| kind.parse().ok()).collect::<Option<_>>()?,
        except: units(&pb.except_subtrees)?,
    })
}

/// To whom the reports of each tier go, as far as those are units.
fn tiers(pb: &pb_compliance::Regime) -> Option<Vec<Option<Receiver>>> {
    let receiver = |unit: &str, level: &str| match (unit, level) {
        ("", "") => Some(None),
        ("", "parent") => Some(Some(Receiver::Parent)),
        ("", level) => level.parse().ok().map(|level| Some(Receiver::Above(level))),
        (unit, _) => unit.parse().ok().map(|unit| Some(Receiver::Unit(unit))),
    };
    let first = receiver(&pb.receiving_unit, &pb.receiving_level);
    let onward =
        pb.onward_tiers.iter().map(|tier| receiver(&tier.receiving_unit, &tier.receiving_level));
    std::iter::once(first).chain(onward).collect()
}

/// Which states a list is to hold, each once; none for all.
pub(crate) fn stages(states: &[i32]) -> Result<Vec<Stage>, Status> {
    let stages = states.iter().map(|state| match pb::report::State::try_from(*state) {
        Ok(pb::report::State::Draft) => Ok(Stage::Draft),
        Ok(pb::report::State::Submitted) => Ok(Stage::Submitted),
        Ok(pb::report::State::Returned) => Ok(Stage::Returned),
        Ok(pb::report::State::Accepted) => Ok(Stage::Accepted),
        Ok(pb::report::State::Unspecified) | Err(_) => {
            let says = "holds what is no state of a report";
            Err(bad("states", Common::InvalidField, says))
        }
    });
    Ok(stages.collect::<Result<BTreeSet<_>, _>>()?.into_iter().collect())
}

/// Changes with every write.
fn etag(report: &Report) -> String {
    format!("\"{}\"", report.version)
}

/// Whether an etag that was sent, if any was, is still the report's.
pub(crate) fn is_current(etag_sent: &str, report: &Report) -> bool {
    etag_sent.is_empty() || etag_sent == etag(report)
}

fn document_of(document: &Document) -> pb::Document {
    let periods = document.declared_periods.iter().map(|declared| pb::DeclaredPeriod {
        period: declared.period.to_string(),
        place: place_of(declared.place).into(),
    });
    let units = document.declared_units.iter().map(|declared| pb::DeclaredUnit {
        display_name: declared.display_name.clone(),
        place: place_of(declared.place).into(),
    });
    pb::Document {
        declared_periods: periods.collect(),
        declared_units: units.collect(),
        number: document.number.clone(),
        symbol: document.symbol.clone(),
        document_date: document.date.map(field::pb_date),
    }
}

fn arrived(arrival: &Arrived) -> pb::ReceiptEvidence {
    let (kind, reference) = (EvidenceKind::DocumentSystem, arrival.number.clone());
    evidence_of(&Evidence { kind, reference })
}

fn evidence_of(evidence: &Evidence) -> pb::ReceiptEvidence {
    let kind = match evidence.kind {
        EvidenceKind::DocumentSystem => pb::receipt_evidence::Kind::DocumentSystem,
        EvidenceKind::DigitalSignature => pb::receipt_evidence::Kind::DigitalSignature,
        EvidenceKind::Register => pb::receipt_evidence::Kind::Register,
    };
    pb::ReceiptEvidence { kind: kind.into(), reference: evidence.reference.clone() }
}

impl From<&Report> for pb::Report {
    fn from(report: &Report) -> Self {
        let (state, submitter, back) = match &report.state {
            State::Draft => (pb::report::State::Draft, None, None),
            State::Submitted { submitter, .. } => {
                (pb::report::State::Submitted, Some(submitter), None)
            }
            State::Accepted { submitter, .. } => {
                (pb::report::State::Accepted, Some(submitter), None)
            }
            State::Returned { submitter, back, .. } => {
                (pb::report::State::Returned, Some(submitter), Some(back))
            }
        };
        let first = report.first();
        Self {
            name: report.name.to_string(),
            regime: format!("regimes/{}", report.asked.regime),
            period: report.asked.period.to_string(),
            form: format!("forms/{}", report.asked.form),
            document: Some(document_of(&report.content.document)),
            values: report.content.values.iter().map(value_of).collect(),
            narrative: report.content.narrative.clone(),
            state: state.into(),
            findings: report
                .findings
                .iter()
                .map(|finding| finding_of(finding, &report.content.values))
                .collect(),
            receive_time: first.map(|first| field::pb_time(first.at)),
            receipt_evidence: first.and_then(|first| first.evidence.as_ref()).map(evidence_of),
            create_time: Some(field::pb_time(report.create_time)),
            update_time: Some(field::pb_time(report.update_time)),
            etag: etag(report),
            declared_cut_off_date: report.content.declared_cut_off.map(field::pb_date),
            submitter: submitter.cloned().unwrap_or_default(),
            revision: report.revision,
            return_due_time: back.map(|back| field::pb_time(back.due)),
            submitting_unit: report
                .content
                .submitting_unit
                .map(|unit| unit.to_string())
                .unwrap_or_default(),
            nil: report.content.nil,
            justifications: report.content.justifications.iter().map(justification_of).collect(),
            review_levels: report.asked.review_levels.into(),
            acceptances: report.acceptances().iter().map(acceptance_of).collect(),
            arrival: report.arrival.as_ref().map(arrived),
            attached_files: report
                .content
                .files
                .iter()
                .map(|file| attached(report, file))
                .collect(),
        }
    }
}

fn justification_of(justification: &Justification) -> pb::Justification {
    pb::Justification {
        finding_key: justification.finding.clone(),
        text: justification.text.clone(),
    }
}

fn acceptance_of(acceptance: &Acceptance) -> pb::Acceptance {
    pb::Acceptance {
        level: acceptance.level.into(),
        author: acceptance.author.clone(),
        accept_time: Some(field::pb_time(acceptance.at)),
        comment: acceptance.comment.clone(),
    }
}

fn attached(report: &Report, file: &AttachedFile) -> pb::AttachedFile {
    pb::AttachedFile {
        attachment: format!("{}/attachments/{}", report.name, file.id),
        file_name: file.file_name.clone(),
        size_bytes: file.size.cast_signed(),
        sha256: file.sha256.clone(),
    }
}

/// As lists show it: without narrative and quotes.
pub(crate) fn listed(report: &Report) -> pb::Report {
    let mut listed = pb::Report::from(report);
    listed.narrative.clear();
    listed.values.iter_mut().for_each(|value| value.quote.clear());
    let involved = listed.findings.iter_mut().flat_map(|finding| &mut finding.values);
    involved.for_each(|value| value.quote.clear());
    listed
}

/// What others are told when a report was handed over, accepted, taken back or sent back, from what it has become.
pub(crate) fn told(report: &Report) -> Payload {
    let name = report.name.to_string();
    let regime = format!("regimes/{}", report.asked.regime);
    let period = report.asked.period.to_string();
    let sequence = report.version;
    if let Some(Acceptance { level, at, .. }) = report.acceptances().last() {
        return Payload::ReportAccepted(ReportAccepted {
            report: name,
            regime,
            period,
            sequence,
            review_level: (*level).into(),
            accepted: report.stage() == Stage::Accepted,
            accept_time: Some(field::pb_time(*at)),
        });
    }
    match &report.state {
        State::Submitted { first, .. } | State::Accepted { first, .. } => {
            Payload::ReportSubmitted(ReportSubmitted {
                report: name,
                regime,
                period,
                receive_time: Some(field::pb_time(first.at)),
                declared_cut_off: report
                    .content
                    .declared_cut_off
                    .map(|date| date.to_string())
                    .unwrap_or_default(),
                sequence,
                revision: report.revision,
            })
        }
        State::Draft => Payload::ReportWithdrawn(ReportWithdrawn {
            report: name,
            regime,
            period,
            sequence,
            withdraw_time: Some(field::pb_time(report.update_time)),
        }),
        State::Returned { first, back, .. } => Payload::ReportReturned(ReportReturned {
            report: name,
            regime,
            period,
            sequence,
            return_time: Some(field::pb_time(back.at)),
            return_due_time: Some(field::pb_time(back.due)),
            receive_time: Some(field::pb_time(first.at)),
        }),
    }
}

pub(crate) fn receipt(received: &Received, regime: &str, period: Period) -> pb::Receipt {
    pb::Receipt {
        report: received.report.to_string(),
        regime: format!("regimes/{regime}"),
        period: period.to_string(),
        receive_time: Some(field::pb_time(received.at)),
        declared_cut_off_date: received.declared_cut_off.map(field::pb_date),
        sequence: received.version,
        return_due_time: received.back.map(|back| field::pb_time(back.due)),
        return_time: received.back.map(|back| field::pb_time(back.at)),
    }
}

/// An act as the contract writes it, with the report that was handed over where that is asked for.
pub(crate) fn act_of(act: &Act, with_report: bool) -> pb::ReportAct {
    let own = pb::ReportAct {
        act_time: Some(field::pb_time(act.at)),
        record_time: Some(field::pb_time(act.recorded)),
        author: act.author.clone(),
        revision: act.revision,
        ..pb::ReportAct::default()
    };
    match &act.deed {
        Deed::HandedOver { evidence, report } => pb::ReportAct {
            kind: pb::report_act::Kind::Submitted.into(),
            receipt_evidence: evidence.as_ref().map(evidence_of),
            report: with_report.then(|| pb::Report::from(&**report)),
            ..own
        },
        Deed::Withdrawn { reason } => pb::ReportAct {
            kind: pb::report_act::Kind::Withdrawn.into(),
            reason: reason.clone(),
            ..own
        },
        Deed::Returned { reason, due } => pb::ReportAct {
            kind: pb::report_act::Kind::Returned.into(),
            reason: reason.clone(),
            return_due_time: Some(field::pb_time(*due)),
            ..own
        },
        Deed::Accepted { level, comment } => pb::ReportAct {
            kind: pb::report_act::Kind::Accepted.into(),
            reason: comment.clone(),
            review_level: (*level).into(),
            ..own
        },
    }
}

/// What two revisions say differently.
pub(crate) fn change_of(change: Change) -> pb::RevisionChange {
    let Change { field, indicator, category, display_name, old, new } = change;
    pb::RevisionChange {
        field: field.to_owned(),
        indicator,
        category,
        display_name,
        old_text: old,
        new_text: new,
    }
}

/// The unit of a field that holds its name.
pub(crate) fn unit(field: &str, name: &str) -> Result<UnitId, Status> {
    name.parse().map_err(|e| bad(field, Common::InvalidField, e))
}

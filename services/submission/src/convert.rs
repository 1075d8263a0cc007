//! The contract's messages as domain types and back. Raw data stops here.

use std::collections::{BTreeSet, HashSet};

use chrono::NaiveDate;
use dunghan_calendar::{Family, Frequency, Period};
use dunghan_hierarchy::UnitId;
use dunghan_proto::compliance as pb_compliance;
use dunghan_proto::events::event::Payload;
use dunghan_proto::events::{ReportReturned, ReportSubmitted, ReportWithdrawn};
use dunghan_proto::policy::ErrorReason as Common;
use dunghan_proto::submission as pb;
use dunghan_proto::submission::ErrorReason;
use dunghan_proto::r#type::{Date, Decimal};
use dunghan_rpc::field;
use tonic::Status;

use crate::domain::finding::{Discrepancy, Finding, Severity};
use crate::domain::form::{Form, Indicator, Kind, NotAsked};
use crate::domain::regime::{Recurrence, Regime};
use crate::domain::report::{
    Act, Asserted, Content, DeclaredPeriod, Deed, Document, Evidence, EvidenceKind, Place,
    Received, Report, Stage, State,
};
use crate::domain::value::{
    self, Figure, Key, NotAPercent, Percent, Qualifier, Ratio, Role, Value,
};
use crate::error::{Problems, SUBMITTING_UNIT, bad};

const MOST_VALUES: usize = 2000;
const MOST_NARRATIVE_BYTES: usize = 1_000_000;
const MOST_QUOTE_BYTES: usize = 2000;
const MOST_TEXT_BYTES: usize = 4000;
const MOST_CATEGORY_CHARS: usize = 200;
const MOST_REFERENCE_BYTES: usize = 500;
const MOST_REASON_CHARS: usize = 2000;
/// The contract sets no limit on what no document comes near.
const MOST_NUMBER_BYTES: usize = 100;
const MOST_DECLARED_PERIODS: usize = 100;
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
}

impl Mask {
    const ALL: Self = Self {
        document: true,
        values: true,
        narrative: true,
        declared_cut_off: true,
        submitting_unit: true,
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
                "*" if paths.len() == 1 => return Ok(Self::ALL),
                _ => {
                    let says = "names another field than document, values, narrative, declared_cut_off_date and \
                                submitting_unit, or * beside others";
                    return Err(bad("update_mask", ErrorReason::InvalidUpdateMask, says));
                }
            }
        }
        Ok(if paths.is_empty() { Self::ALL } else { mask })
    }
}

/// What a request changes of a report's content.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    document: Option<Document>,
    values: Option<Vec<Value>>,
    narrative: Option<String>,
    declared_cut_off: Option<Option<NaiveDate>>,
    submitting_unit: Option<Option<UnitId>>,
}

impl Changes {
    pub(crate) fn apply(self, content: Content) -> Content {
        Content {
            document: self.document.unwrap_or(content.document),
            values: self.values.unwrap_or(content.values),
            narrative: self.narrative.unwrap_or(content.narrative),
            declared_cut_off: self.declared_cut_off.unwrap_or(content.declared_cut_off),
            submitting_unit: self.submitting_unit.unwrap_or(content.submitting_unit),
        }
    }

    /// The agency that it names; none where it names none, or leaves the one that is there.
    pub(crate) fn submitting_unit(&self) -> Option<UnitId> {
        self.submitting_unit.flatten()
    }

    /// Errors: INVALID_ARGUMENT (UNKNOWN_INDICATOR) for figures that the form does not ask for.
    pub(crate) fn must_suit(&self, form: &Form) -> Result<(), Status> {
        let mut problems = Problems::default();
        for (at, value) in self.values.iter().flatten().enumerate() {
            if let Err(not_asked) = form.asks_for(value) {
                let field = match (not_asked, value.figure) {
                    (NotAsked::Indicator, _) => "indicator",
                    (NotAsked::Figure, Figure::Count(_)) => "count",
                    (NotAsked::Figure, Figure::Ratio(_)) => "ratio",
                    (NotAsked::Figure, Figure::Percent(_)) => "percent",
                };
                let field = format!("report.values[{at}].{field}");
                problems.add(field, ErrorReason::UnknownIndicator, not_asked);
            }
        }
        problems.refused()
    }
}

/// A report that is to be begun.
#[derive(Debug)]
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
    Changes { document, values, narrative, declared_cut_off, submitting_unit }
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
    if document.declared_periods.len() > MOST_DECLARED_PERIODS {
        let says = format!("must not be more than {MOST_DECLARED_PERIODS}");
        problems.add("report.document.declared_periods", ErrorReason::TooLong, says);
    }
    let declared = document.declared_periods.iter().enumerate().map(|(at, declared)| {
        let field = format!("report.document.declared_periods[{at}]");
        let period = period_of(problems, &format!("{field}.period"), &declared.period);
        let place = match declared.place() {
            pb::declared_period::Place::Title => Some(Place::Title),
            pb::declared_period::Place::Opening => Some(Place::Opening),
            pb::declared_period::Place::Body => Some(Place::Body),
            pb::declared_period::Place::Closing => Some(Place::Closing),
            pb::declared_period::Place::Unspecified => {
                let says = "is not one of the places where a text names a period";
                problems.add(format!("{field}.place"), Common::RequiredFieldMissing, says);
                None
            }
        };
        Some(DeclaredPeriod { period: period?, place: place? })
    });
    Document {
        declared_periods: declared.flatten().collect(),
        number: document.number.trim().to_owned(),
        symbol: document.symbol.trim().to_owned(),
        date,
    }
}

fn values(values: Vec<pb::Value>, problems: &mut Problems) -> Vec<Value> {
    if values.len() > MOST_VALUES {
        let says = format!("must not be more than {MOST_VALUES}");
        problems.add("report.values", ErrorReason::TooLong, says);
        return Vec::new();
    }
    let mut seen = HashSet::with_capacity(values.len());
    let mut read = Vec::with_capacity(values.len());
    for (at, pb) in values.into_iter().enumerate() {
        let Some(value) = value(&format!("report.values[{at}]"), pb, problems) else { continue };
        if !seen.insert(value.key.clone()) {
            let says = "has the indicator, category, role and dates of another figure";
            problems.add(format!("report.values[{at}]"), ErrorReason::DuplicateValue, says);
        }
        read.push(value);
    }
    read
}

/// `None` where something was wrong with it.
fn value(field: &str, pb: pb::Value, problems: &mut Problems) -> Option<Value> {
    let within = |part: &str| format!("{field}.{part}");
    if pb.indicator.is_empty() {
        problems.add(within("indicator"), Common::RequiredFieldMissing, "is missing");
    }
    let category = value::category(&pb.category);
    if category.chars().count() > MOST_CATEGORY_CHARS {
        let says = format!("must not be longer than {MOST_CATEGORY_CHARS} characters");
        problems.add(within("category"), ErrorReason::TooLong, says);
    }
    no_nul(problems, within("indicator"), &pb.indicator);
    no_nul(problems, within("category"), &category);
    limit(problems, within("quote"), &pb.quote, MOST_QUOTE_BYTES);
    let start = date(problems, within("start_date"), pb.start_date.as_ref());
    let end = date(problems, within("end_date"), pb.end_date.as_ref());
    if start.zip(end).is_some_and(|(start, end)| end < start) {
        let says = "must not lie before start_date";
        problems.add(within("end_date"), ErrorReason::DatesReversed, says);
    }
    let role = match pb::value::Role::try_from(pb.role) {
        Ok(pb::value::Role::Unspecified | pb::value::Role::Actual) => Role::Actual,
        Ok(pb::value::Role::Target) => Role::Target,
        Ok(pb::value::Role::Context) => Role::Context,
        Err(_) => {
            problems.add(within("role"), Common::InvalidField, "is no role");
            Role::Actual
        }
    };
    let qualifier = match pb::value::Qualifier::try_from(pb.qualifier) {
        Ok(pb::value::Qualifier::Unspecified) => Qualifier::Exact,
        Ok(pb::value::Qualifier::MoreThan) => Qualifier::MoreThan,
        Ok(pb::value::Qualifier::About) => Qualifier::About,
        Ok(pb::value::Qualifier::AboutMoreThan) => Qualifier::AboutMoreThan,
        Err(_) => {
            problems.add(within("qualifier"), Common::InvalidField, "is no qualifier");
            Qualifier::Exact
        }
    };
    let figure = figure(field, pb.figure, problems);
    let stated = pb.stated_percent.as_ref();
    let mut stated_percent =
        stated.and_then(|stated| percent(problems, within("stated_percent"), stated));
    if let (Some(Figure::Percent(figure)), Some(stated)) = (figure, stated_percent) {
        if figure != stated {
            let says = "is another percentage than the figure itself";
            problems.add(within("stated_percent"), ErrorReason::InvalidValue, says);
        }
        stated_percent = None;
    }
    let key = Key { indicator: pb.indicator, category, role, start, end };
    Some(Value { key, figure: figure?, qualifier, stated_percent, quote: pb.quote })
}

fn figure(
    field: &str,
    figure: Option<pb::value::Figure>,
    problems: &mut Problems,
) -> Option<Figure> {
    match figure {
        None => {
            problems.add(field, ErrorReason::InvalidValue, "carries no figure");
            None
        }
        Some(pb::value::Figure::Count(n)) => {
            count(problems, format!("{field}.count"), n).map(Figure::Count)
        }
        Some(pb::value::Figure::Ratio(ratio)) => {
            let part = count(problems, format!("{field}.ratio.numerator"), ratio.numerator);
            let whole = count(problems, format!("{field}.ratio.denominator"), ratio.denominator);
            let ratio = Ratio::new(part?, whole?);
            if ratio.is_none() {
                let says = "must not be greater than the denominator";
                problems.add(
                    format!("{field}.ratio.numerator"),
                    ErrorReason::PartExceedsWhole,
                    says,
                );
            }
            ratio.map(Figure::Ratio)
        }
        Some(pb::value::Figure::Percent(stated)) => {
            percent(problems, format!("{field}.percent"), &stated).map(Figure::Percent)
        }
        Some(pb::value::Figure::Text(text)) => {
            let field = format!("{field}.text");
            limit(problems, field.clone(), &text, MOST_TEXT_BYTES);
            // No form there is asks for a text as a figure.
            problems.add(field, ErrorReason::UnknownIndicator, NotAsked::Figure);
            None
        }
    }
}

fn count(problems: &mut Problems, field: String, n: i64) -> Option<u64> {
    let count = u64::try_from(n).ok();
    if count.is_none() {
        problems.add(field, ErrorReason::NegativeCount, "must not be negative");
    }
    count
}

fn percent(problems: &mut Problems, field: String, stated: &Decimal) -> Option<Percent> {
    match stated.value.parse() {
        Ok(percent) => Some(percent),
        Err(error) => {
            let reason = match error {
                NotAPercent::NotANumber => ErrorReason::NotANumber,
                NotAPercent::Negative => ErrorReason::NegativeCount,
            };
            problems.add(field, reason, error);
            None
        }
    }
}

/// The receive time that a request asserts, with its evidence.
pub(crate) fn asserted(request: &pb::SubmitReportRequest) -> Result<Option<Asserted>, Status> {
    const TIME: &str = "asserted_receive_time";
    let at = field::instant(TIME, request.asserted_receive_time.as_ref())?;
    let evidence = request.receipt_evidence.as_ref();
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
    let text = text.trim();
    let mut problems = Problems::default();
    if text.is_empty() {
        problems.add(FIELD, Common::RequiredFieldMissing, "is missing");
    }
    if text.chars().count() > MOST_REASON_CHARS {
        let says = format!("must not be longer than {MOST_REASON_CHARS} characters");
        problems.add(FIELD, ErrorReason::TooLong, says);
    }
    no_nul(&mut problems, FIELD, text);
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
    })
}

/// Which states a list is to hold, each once; none for all.
pub(crate) fn stages(states: &[i32]) -> Result<Vec<Stage>, Status> {
    let stages = states.iter().map(|state| match pb::report::State::try_from(*state) {
        Ok(pb::report::State::Draft) => Ok(Stage::Draft),
        Ok(pb::report::State::Submitted) => Ok(Stage::Submitted),
        Ok(pb::report::State::Returned) => Ok(Stage::Returned),
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

fn decimal(percent: Percent) -> Decimal {
    field::pb_decimal(percent.decimal())
}

fn value_of(value: &Value) -> pb::Value {
    let figure = match value.figure {
        Figure::Count(count) => pb::value::Figure::Count(count.cast_signed()),
        Figure::Ratio(ratio) => pb::value::Figure::Ratio(pb::Ratio {
            numerator: ratio.part().cast_signed(),
            denominator: ratio.whole().cast_signed(),
        }),
        Figure::Percent(percent) => pb::value::Figure::Percent(decimal(percent)),
    };
    let role = match value.key.role {
        Role::Actual => pb::value::Role::Actual,
        Role::Target => pb::value::Role::Target,
        Role::Context => pb::value::Role::Context,
    };
    let qualifier = match value.qualifier {
        Qualifier::Exact => pb::value::Qualifier::Unspecified,
        Qualifier::MoreThan => pb::value::Qualifier::MoreThan,
        Qualifier::About => pb::value::Qualifier::About,
        Qualifier::AboutMoreThan => pb::value::Qualifier::AboutMoreThan,
    };
    pb::Value {
        indicator: value.key.indicator.clone(),
        category: value.key.category.clone(),
        role: role.into(),
        start_date: value.key.start.map(field::pb_date),
        end_date: value.key.end.map(field::pb_date),
        figure: Some(figure),
        qualifier: qualifier.into(),
        stated_percent: value.stated_percent.map(decimal),
        quote: value.quote.clone(),
    }
}

fn document_of(document: &Document) -> pb::Document {
    let declared = document.declared_periods.iter().map(|declared| {
        let place = match declared.place {
            Place::Title => pb::declared_period::Place::Title,
            Place::Opening => pb::declared_period::Place::Opening,
            Place::Body => pb::declared_period::Place::Body,
            Place::Closing => pb::declared_period::Place::Closing,
        };
        pb::DeclaredPeriod { period: declared.period.to_string(), place: place.into() }
    });
    pb::Document {
        declared_periods: declared.collect(),
        number: document.number.clone(),
        symbol: document.symbol.clone(),
        document_date: document.date.map(field::pb_date),
    }
}

fn finding_of(finding: &Finding) -> pb::Finding {
    let severity = match finding.severity {
        Severity::Blocking => pb::finding::Severity::Blocking,
        Severity::Error => pb::finding::Severity::Error,
        Severity::Warning => pb::finding::Severity::Warning,
        Severity::Info => pb::finding::Severity::Info,
    };
    let discrepancy = match finding.discrepancy {
        None => pb::finding::Discrepancy::Unspecified,
        Some(Discrepancy::Truncated) => pb::finding::Discrepancy::Truncated,
        Some(Discrepancy::ComplementAdjusted) => pb::finding::Discrepancy::ComplementAdjusted,
        Some(Discrepancy::Wrong) => pb::finding::Discrepancy::Wrong,
        Some(Discrepancy::Undefined) => pb::finding::Discrepancy::Undefined,
    };
    pb::Finding {
        rule: finding.rule.clone(),
        severity: severity.into(),
        discrepancy: discrepancy.into(),
        message: finding.message.clone(),
        evidence: finding.evidence.clone(),
        field: finding.field.clone(),
        recomputed_percent: finding.recomputed.map(field::pb_decimal),
    }
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
        let (state, handed_over, back) = match &report.state {
            State::Draft => (pb::report::State::Draft, None, None),
            State::Submitted { first, submitter, .. } => {
                (pb::report::State::Submitted, Some((first, submitter)), None)
            }
            State::Returned { first, submitter, back } => {
                (pb::report::State::Returned, Some((first, submitter)), Some(back))
            }
        };
        let first = handed_over.map(|(first, _)| first);
        Self {
            name: report.name.to_string(),
            regime: format!("regimes/{}", report.asked.regime),
            period: report.asked.period.to_string(),
            form: format!("forms/{}", report.asked.form),
            document: Some(document_of(&report.content.document)),
            values: report.content.values.iter().map(value_of).collect(),
            narrative: report.content.narrative.clone(),
            state: state.into(),
            findings: report.findings.iter().map(finding_of).collect(),
            receive_time: first.map(|first| field::pb_time(first.at)),
            receipt_evidence: first.and_then(|first| first.evidence.as_ref()).map(evidence_of),
            create_time: Some(field::pb_time(report.create_time)),
            update_time: Some(field::pb_time(report.update_time)),
            etag: etag(report),
            declared_cut_off_date: report.content.declared_cut_off.map(field::pb_date),
            submitter: handed_over.map(|(_, submitter)| submitter.clone()).unwrap_or_default(),
            revision: report.revision,
            return_due_time: back.map(|back| field::pb_time(back.due)),
            submitting_unit: report
                .content
                .submitting_unit
                .map(|unit| unit.to_string())
                .unwrap_or_default(),
        }
    }
}

/// As lists show it: without narrative and quotes.
pub(crate) fn listed(report: &Report) -> pb::Report {
    let mut listed = pb::Report::from(report);
    listed.narrative.clear();
    listed.values.iter_mut().for_each(|value| value.quote.clear());
    listed
}

/// What others are told when a report was handed over, taken back or sent back, from what it has become.
pub(crate) fn told(report: &Report) -> Payload {
    let name = report.name.to_string();
    let regime = format!("regimes/{}", report.asked.regime);
    let period = report.asked.period.to_string();
    let sequence = report.version;
    match &report.state {
        State::Submitted { first, .. } => Payload::ReportSubmitted(ReportSubmitted {
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
        }),
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
    }
}

fn indicator_of(indicator: &Indicator) -> pb::Indicator {
    let kind = match indicator.kind {
        Kind::Count => pb::indicator::Kind::Count,
        Kind::Percent => pb::indicator::Kind::Percent,
        Kind::Years => pb::indicator::Kind::Years,
    };
    pb::Indicator {
        key: indicator.key.clone(),
        display_name: indicator.display_name.clone(),
        kind: kind.into(),
        denominator_indicator: indicator.whole.clone().unwrap_or_default(),
    }
}

impl From<&Form> for pb::Form {
    fn from(form: &Form) -> Self {
        let tables = form.tables.iter().map(|table| pb::Table {
            key: table.key.clone(),
            display_name: table.display_name.clone(),
            columns: table
                .columns
                .iter()
                .map(|column| pb::Column {
                    number: column.number.clone(),
                    indicator: column.indicator.clone(),
                })
                .collect(),
            total_category: table.total_category.clone(),
        });
        let identities = form.identities.iter().map(|identity| pb::Identity {
            key: identity.key.clone(),
            total_indicator: identity.total.clone(),
            part_indicators: identity.parts.clone(),
        });
        Self {
            name: format!("forms/{}", form.key),
            display_name: form.display_name.clone(),
            legal_basis: form.legal_basis.clone(),
            indicators: form.indicators.iter().map(indicator_of).collect(),
            tables: tables.collect(),
            identities: identities.collect(),
        }
    }
}

/// The unit of a field that holds its name.
pub(crate) fn unit(field: &str, name: &str) -> Result<UnitId, Status> {
    name.parse().map_err(|e| bad(field, Common::InvalidField, e))
}

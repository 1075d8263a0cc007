//! A report's life: a draft that may be edited, then handed over once and fixed.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_calendar::{Period, Window, zone};
use dunghan_hierarchy::UnitId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::check;
use super::finding::{Finding, Severity};
use super::form::Form;
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
}

/// Where in a text a period is named.
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
}

/// What the unit says. Everything in it may be changed while it is a draft, nothing afterwards.
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

/// Where a report stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The unit's own still.
    Draft,
    /// Handed over.
    Submitted {
        /// Received at; fixes the timeliness for good.
        at: DateTime<Utc>,
        /// What that rests on, where it is not this server's clock.
        evidence: Option<Evidence>,
        /// Who handed it over.
        submitter: String,
    },
}

/// When a report was first received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Which.
    pub report: ReportName,
    /// When.
    pub at: DateTime<Utc>,
    /// The cut-off that it declares.
    pub declared_cut_off: Option<NaiveDate>,
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

impl Report {
    /// A draft, checked.
    pub fn begin(
        name: ReportName,
        asked: Asked,
        content: Content,
        form: &Form,
        now: DateTime<Utc>,
    ) -> Self {
        let findings = check::findings(form, &asked, &content);
        Self {
            name,
            asked,
            content,
            findings,
            state: State::Draft,
            create_time: now,
            update_time: now,
            version: 1,
        }
    }

    /// The draft with other content, checked anew.
    pub fn edit(
        self,
        content: Content,
        form: &Form,
        now: DateTime<Utc>,
    ) -> Result<Self, AlreadySubmitted> {
        self.must_be_draft()?;
        let findings = check::findings(form, &self.asked, &content);
        let version = self.version + 1;
        Ok(Self { content, findings, update_time: now, version, ..self })
    }

    /// The report as handed over: received now, or when and where an importer asserts it was.
    ///
    /// Blocking findings are those of the checks as they are now, not as they were when the draft was saved.
    pub fn submit(
        self,
        form: &Form,
        asserted: Option<Asserted>,
        submitter: &str,
        now: DateTime<Utc>,
    ) -> Result<Self, NotSubmitted> {
        self.must_be_draft()?;
        let first = self.asked.window.first;
        let (at, evidence) = match asserted {
            None => (now, None),
            Some(asserted) if asserted.at > now => return Err(NotSubmitted::ReceiptInFuture),
            Some(asserted) if asserted.at < zone::start_of(first) => {
                return Err(NotSubmitted::ReceiptBeforePeriod { first });
            }
            Some(asserted) => (asserted.at, Some(asserted.evidence)),
        };
        let findings = check::findings(form, &self.asked, &self.content);
        let blocking: Vec<_> = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Blocking)
            .cloned()
            .collect();
        if !blocking.is_empty() {
            return Err(NotSubmitted::Blocked(blocking));
        }
        let state = State::Submitted { at, evidence, submitter: submitter.to_owned() };
        let version = self.version + 1;
        Ok(Self { findings, state, update_time: now, version, ..self })
    }

    pub(crate) fn must_be_draft(&self) -> Result<(), AlreadySubmitted> {
        match self.state {
            State::Draft => Ok(()),
            State::Submitted { at, .. } => Err(AlreadySubmitted { name: self.name, at }),
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
    fn a_report_is_handed_over_once_and_its_first_receive_time_stays() {
        let (draft, forms) = may_2026(vec![value()]);
        let form = forms.get("cds-1").unwrap();
        let now = draft.create_time + TimeDelta::hours(1);
        let report = draft.submit(form, None, "lan", now).unwrap();
        let State::Submitted { at, evidence, submitter } = &report.state else { panic!() };
        assert_eq!((*at, evidence.clone(), submitter.as_str()), (now, None, "lan"));
        assert_eq!(report.version, 2);
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
                    let State::Submitted { at: kept, evidence: Some(_), .. } =
                        submitted.unwrap().state
                    else {
                        panic!("{at}")
                    };
                    assert_eq!(kept, at);
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
}

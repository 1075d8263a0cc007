//! The rpcs: who, parse, may they, fetch, move, write, answer.

mod attachment;
mod form;
mod intake;
mod receipt;
mod stream;
mod submission;

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_calendar::{Clock, Period, zone};
use dunghan_events::Units;
use dunghan_hierarchy::{Hierarchy, UnitId};
use dunghan_proto::compliance::GetRegimeRequest;
use dunghan_proto::compliance::compliance_service_client::ComplianceServiceClient;
use dunghan_proto::policy::{ErrorReason as Common, Role};
use dunghan_proto::submission as pb;
use dunghan_proto::submission::ErrorReason;
use dunghan_rpc::{Caller, Over, Page, Peer, field, internal, peer_failed, refuse};
use dunghan_store::{Answered, RequestKey};
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

use crate::blobs::Blobs;
use crate::convert::{self, Changes, Draft, Mask};
use crate::domain::agency::must_be_agency;
use crate::domain::arrival::Awaited;
use crate::domain::check::{Basis, Earlier, History};
use crate::domain::form::{Form, Forms};
use crate::domain::regime::Regime;
use crate::domain::report::{Act, Arrived, Asked, Asserted, Content, Report, ReportName};
use crate::domain::rule::Source;
use crate::error::{SUBMITTING_UNIT, bad};
use crate::jobs::Collector;
use crate::store::{Error, Reply, ReportFilter, ReportKey, Store, Visible};
pub(crate) use receipt::Receipts;

pub(crate) use form::CurrentForms;
pub(crate) use intake::Turns;

const MOST_AT_ONCE: usize = 1000;
/// Clients take 4 MiB unless told otherwise: a page of long reports ends earlier.
const LARGEST_PAGE_BYTES: usize = 3 * 1024 * 1024;
/// Whole reports read at once: one with the longest texts has some 20 MB.
const MOST_WHOLE: usize = 10;
/// Figures times rules and figures, for some are held against each other, that are checked in a millisecond or so.
const MOST_CHECKED_HERE: usize = 30_000;

/// Why nothing came of a request.
enum Failed {
    /// It was not kept.
    Kept(Error),
    /// It is refused.
    Refused(Status),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Kept(error)
    }
}

impl From<Status> for Failed {
    fn from(status: Status) -> Self {
        Self::Refused(status)
    }
}

impl From<Failed> for Status {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Kept(error) => error.into(),
            Failed::Refused(status) => status,
        }
    }
}

/// What the rpcs need.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) store: Store,
    pub(crate) receipts: Receipts,
    pub(crate) forms: CurrentForms,
    pub(crate) units: Units,
    pub(crate) compliance: ComplianceServiceClient<Peer>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) blobs: Blobs,
    pub(crate) collector: Collector,
    pub(crate) imports: Turns,
}

fn request_key<M: prost::Message>(
    caller: &Caller,
    method: &'static str,
    request_id: &str,
    request: &M,
) -> Result<Option<RequestKey>, Status> {
    let id = field::request_id(request_id)?;
    Ok(id.map(|id| RequestKey::new(caller.subject(), method, id, request)))
}

fn report_name(field: &str, name: &str) -> Result<ReportName, Status> {
    name.parse().map_err(|e| bad(field, Common::InvalidField, e))
}

fn regime_name(field: &str, name: &str) -> Result<String, Status> {
    let id = convert::regime_id(name).map(str::to_owned);
    id.ok_or_else(|| bad(field, Common::InvalidField, convert::NOT_A_REGIME))
}

fn at_most(field: &str, count: usize) -> Result<(), Status> {
    if count <= MOST_AT_ONCE {
        return Ok(());
    }
    let says = format!("must not be more than {MOST_AT_ONCE}");
    Err(bad(field, ErrorReason::TooLong, says))
}

impl Service {
    fn today(&self) -> NaiveDate {
        zone::civil_date(self.clock.now())
    }

    /// What `act` answers, or else the answer that was given to this request before: what comes again fails, and finds that. It
    /// writes its answer with what it does, which nothing does twice, so nobody need look for one first.
    async fn once<M: prost::Message + Default>(
        &self,
        key: Option<&RequestKey>,
        act: impl Future<Output = Result<M, Status>>,
    ) -> Result<Response<M>, Status> {
        let answer = match act.await {
            Ok(answer) => answer,
            Err(refused) => self.answered(key).await?.ok_or(refused)?,
        };
        Ok(Response::new(answer))
    }

    async fn answered<M: prost::Message + Default>(
        &self,
        key: Option<&RequestKey>,
    ) -> Result<Option<M>, Status> {
        let Some(key) = key else { return Ok(None) };
        match self.store.request_answered(key).await? {
            Answered::No => Ok(None),
            Answered::Yes(answer) => Ok(Some(answer)),
            Answered::Reused => {
                let says = "came before with another request";
                Err(bad("request_id", Common::RequestIdReused, says))
            }
        }
    }

    /// The form of a report. It was there when the report was begun, and forms do not go away.
    async fn form(&self, key: &str) -> Result<Arc<Form>, Status> {
        let gone = || internal("finding a form", &std::io::Error::other(format!("no form {key}")));
        self.forms.known(&self.store, key).await?.ok_or_else(gone)
    }

    /// What a report is checked against: its form, and what its unit handed over before where the form's rules ask for that.
    async fn basis(&self, unit: UnitId, asked: &Asked, form: Arc<Form>) -> Result<Basis, Status> {
        let hierarchy = self.units.knowing(unit).await?;
        let earlier = self.earlier(unit, asked, &form).await?;
        Ok(Basis { form, unit, hierarchy, history: History::new(asked.period, earlier) })
    }

    async fn earlier(
        &self,
        unit: UnitId,
        asked: &Asked,
        form: &Form,
    ) -> Result<Vec<Earlier>, Status> {
        let periods = compared_with(asked, form);
        if periods.is_empty() {
            return Ok(Vec::new());
        }
        let mut earlier = self.store.report_earlier(&[unit], &asked.regime, &periods).await?;
        Ok(earlier.remove(&unit).unwrap_or_default())
    }

    /// Checks a report; on a thread of its own where it has so much to check that others would wait.
    async fn checking<T: Send + 'static>(
        figures: usize,
        basis: Basis,
        check: impl FnOnce(&Basis) -> T + Send + 'static,
    ) -> Result<T, Status> {
        if figures * (figures + basis.form.rules().len()) <= MOST_CHECKED_HERE {
            return Ok(check(&basis));
        }
        let checked = tokio::task::spawn_blocking(move || check(&basis)).await;
        checked.map_err(|error| internal("checking a report", &error))
    }

    async fn regime(&self, id: &str) -> Result<Regime, Status> {
        const FIELD: &str = "report.regime";
        let request = GetRegimeRequest { name: format!("regimes/{id}") };
        match self.compliance.clone().get_regime(request).await {
            Ok(regime) => convert::regime(regime.get_ref()).ok_or_else(|| {
                internal("reading a regime", &std::io::Error::other(format!("regimes/{id}")))
            }),
            Err(status) if status.code() == Code::NotFound => {
                Err(bad(FIELD, ErrorReason::UnknownRegime, "is no regime in force"))
            }
            Err(status) => Err(peer_failed("compliance", status)),
        }
    }

    /// The units, with this one and the agency that hands over for it as far as there are such.
    async fn knowing(&self, unit: UnitId, changes: &Changes) -> Result<Arc<Hierarchy>, Status> {
        let hierarchy = self.units.knowing(unit).await?;
        match changes.submitting_unit() {
            Some(agency) if hierarchy.get(agency).is_none() => self.units.knowing(agency).await,
            _ => Ok(hierarchy),
        }
    }

    /// The arrival that a report will be matched with once it is kept with this document.
    async fn arrival_of(&self, report: &Report) -> Result<Option<Arrived>, Status> {
        Ok(self.store.arrivals_of(&[Awaited::of(report)]).await?.remove(&report.name.report))
    }

    /// A draft for a unit, checked and not yet kept.
    async fn begun(
        &self,
        unit: UnitId,
        draft: Draft,
        hierarchy: &Hierarchy,
    ) -> Result<Report, Status> {
        must_exist(unit, hierarchy)?;
        let regime = self.regime(&draft.regime).await?;
        let forms = self.forms.follow(&self.store).await?;
        let (asked, form) = asked(unit, &draft, &regime, &forms, hierarchy, self.today())?;
        let basis = self.basis(unit, &asked, form).await?;
        let name = ReportName { unit, report: Uuid::new_v4() };
        let (changes, now) = (draft.changes, self.clock.now());
        let figures = changes.figures();
        let begin = move |basis: &Basis| begun(name, asked, &changes, basis, now);
        Self::checking(figures, basis, begin).await?
    }

    async fn begin(
        &self,
        unit: UnitId,
        draft: Draft,
        hierarchy: &Hierarchy,
        key: Option<&RequestKey>,
    ) -> Result<pb::Report, Status> {
        let mut report = self.begun(unit, draft, hierarchy).await?;
        loop {
            report.arrival = self.arrival_of(&report).await?;
            let response = pb::Report::from(&report);
            let reply = key.map(|key| Reply { key, response: &response });
            match self.store.report_insert(&report, None, reply).await {
                // Its document arrived meanwhile.
                Err(Error::Overtaken) => {}
                kept => return Ok(kept.map(|()| response)?),
            }
        }
    }

    /// What `act` answers that is done to a report as it is. Where somebody else was first, a request that does not say by an
    /// etag what it was made from is for what is there then; one that does is refused.
    ///
    /// Errors: ABORTED (ETAG_MISMATCH), and those of `act`.
    async fn on_current<F>(
        &self,
        name: ReportName,
        etag: &str,
        act: impl Fn(Report) -> F,
    ) -> Result<pb::Report, Status>
    where
        F: Future<Output = Result<pb::Report, Failed>>,
    {
        loop {
            let report = self.store.report_fetch(name).await?;
            if !convert::is_current(etag, &report) {
                return Err(Error::Stale(name).into());
            }
            match act(report).await {
                // It was changed meanwhile: whoever did has come further, so this ends.
                Err(Failed::Kept(Error::Stale(_))) if etag.is_empty() => {}
                // Its document arrived meanwhile, which changes no etag.
                Err(Failed::Kept(Error::Overtaken)) => {}
                answer => return Ok(answer?),
            }
        }
    }

    async fn hand_over(
        &self,
        report: Report,
        asserted: Option<Asserted>,
        submitter: &str,
        key: Option<&RequestKey>,
    ) -> Result<pb::Report, Failed> {
        let form = self.form(&report.asked.form).await?;
        let basis = self.basis(report.name.unit, &report.asked, form).await?;
        let (submitter, now) = (submitter.to_owned(), self.clock.now());
        let figures = report.content.values.len();
        let submit = move |basis: &Basis| report.submit(basis, asserted, &submitter, now);
        let report = Self::checking(figures, basis, submit).await?.map_err(Status::from)?;
        self.keep_handed_over(report, key).await
    }

    /// Keeps what was handed over in the place of a report that is there.
    async fn keep_handed_over(
        &self,
        report: Report,
        key: Option<&RequestKey>,
    ) -> Result<pb::Report, Failed> {
        let response = pb::Report::from(&report);
        let reply = key.map(|key| Reply { key, response: &response });
        self.store.report_update(&report, Some(convert::told(&report)), reply).await?;
        Ok(response)
    }

    /// Hands over that nothing occurred: as a new report, or in the place of the one that there is.
    async fn hand_over_nil(
        &self,
        unit: UnitId,
        draft: Draft,
        asserted: Option<Asserted>,
        submitter: &str,
        hierarchy: &Hierarchy,
        key: Option<&RequestKey>,
    ) -> Result<pb::Report, Status> {
        let (changes, asserted) = (&draft.changes, &asserted);
        let nil = async |mut report: Report, is_new: bool| {
            // No rule asks anything of it.
            let (form, now) = (self.form(&report.asked.form).await?, self.clock.now());
            let files = report.content.files.clone();
            let content = changes.clone().apply(Content { files, ..Content::default() });
            let asserted = asserted.clone();
            let as_nil = Report { content: content.clone(), ..report.clone() };
            if is_new || as_nil.document_keys() != report.document_keys() {
                report.arrival = self.arrival_of(&as_nil).await?;
            }
            Ok::<_, Status>(report.submit_nil(content, &form, asserted, submitter, now)?)
        };
        let nil = &nil;
        loop {
            if let Some(name) = self.store.report_named(unit, &draft.regime, draft.period).await? {
                let act = |report: Report| async move {
                    must_name_its_agency(changes, unit, report.asked.window.cut_off, hierarchy)?;
                    self.keep_handed_over(nil(report, false).await?, key).await
                };
                return self.on_current(name, "", act).await;
            }
            let report = nil(self.begun(unit, draft.clone(), hierarchy).await?, true).await?;
            let response = pb::Report::from(&report);
            let reply = key.map(|key| Reply { key, response: &response });
            let event = Some(convert::told(&report));
            match self.store.report_insert(&report, event, reply).await {
                // It was begun meanwhile, or its document arrived.
                Err(Error::Exists(_) | Error::Overtaken) => {}
                kept => return Ok(kept.map(|()| response)?),
            }
        }
    }

    /// Keeps what was done to a report that is handed over: that it was taken back, sent back or accepted.
    async fn keep_act(
        &self,
        before: &Report,
        (report, act): (Report, Act),
        key: Option<&RequestKey>,
    ) -> Result<pb::Report, Failed> {
        let response = pb::Report::from(&report);
        let reply = key.map(|key| Reply { key, response: &response });
        let event = Some(convert::told(&report));
        // A future of its own: with those around it it is larger than a stack is to hold.
        Box::pin(self.store.report_act(before, &report, act, event, reply)).await?;
        Ok(response)
    }

    /// Errors: PERMISSION_DENIED (MAY_NOT_ASSERT_RECEIPT) unless the unit is theirs as an importer: a role elsewhere, or another
    /// role here, does not do.
    fn may_assert(
        &self,
        caller: &Caller,
        unit: UnitId,
        hierarchy: &Hierarchy,
    ) -> Result<(), Status> {
        let grants = caller.grants().iter().filter(|grant| grant.role == Role::Importer);
        let importer = Caller::new(caller.subject(), grants.cloned().collect());
        importer.must_write_under(unit, None, hierarchy, self.today()).map_err(|_| {
            refuse(
                Code::PermissionDenied,
                ErrorReason::MayNotAssertReceipt,
                "only an importer of this unit may assert when a report was received",
                [("unit", unit.to_string())],
            )
        })
    }

    /// The report of that name, if the caller has the right that `right` asks for over its unit or over its regime.
    ///
    /// Errors: NOT_FOUND (REPORT_NOT_FOUND), but PERMISSION_DENIED (OUT_OF_SCOPE) for whoever has no right over the unit:
    /// they are not told that there is no such report.
    async fn permitted(
        &self,
        caller: &Caller,
        name: ReportName,
        right: impl Fn(Option<&str>) -> Result<(), Status>,
    ) -> Result<Report, Status> {
        let by_unit = right(None);
        let by_regime = caller.grants().iter().any(|grant| matches!(grant.over, Over::Regime(_)));
        if !by_regime {
            by_unit.clone()?;
        }
        match self.store.report_fetch(name).await {
            Ok(report) => right(Some(&report.asked.regime)).map(|()| report),
            Err(error) => by_unit.and(Err(error.into())),
        }
    }

    /// A report that the caller may read.
    async fn readable(&self, caller: &Caller, name: ReportName) -> Result<Report, Status> {
        let (hierarchy, today) = (self.units.knowing(name.unit).await?, self.today());
        let right = |regime: Option<&str>| caller.must_read(name.unit, regime, &hierarchy, today);
        self.permitted(caller, name, right).await
    }

    /// What a caller's list may hold, below `parent` if there is one, under `regime` if there is one.
    fn visible(
        &self,
        caller: &Caller,
        parent: Option<UnitId>,
        regime: Option<&str>,
        hierarchy: &Hierarchy,
    ) -> Result<(Visible, Option<Vec<UnitId>>), Status> {
        let today = self.today();
        let regimes: Vec<_> = caller
            .grants()
            .iter()
            .filter_map(|grant| match &grant.over {
                Over::Regime(regime) => Some(regime.clone()),
                Over::Everything | Over::Subtree(_) => None,
            })
            .collect();
        if let Some(parent) = parent {
            // A department sees the reports under its regimes wherever they come from, whatever else is there.
            if regime.is_some() || regimes.is_empty() {
                caller.must_read(parent, regime, hierarchy, today)?;
            }
            must_exist(parent, hierarchy)?;
        }
        let units = |seen: &dyn Fn(UnitId) -> bool| -> Vec<UnitId> {
            hierarchy.histories().map(|unit| unit.id).filter(|unit| seen(*unit)).collect()
        };
        let below =
            parent.map(|parent| units(&|unit| hierarchy.covers(parent, unit, today).is_some()));
        let everything =
            caller.reaches_everything() || regime.is_some_and(|id| caller.reaches_regime(id));
        let visible = if everything {
            Visible::Everything
        } else {
            let mut readable = below.clone().unwrap_or_else(|| units(&|_| true));
            let all = readable.len();
            readable.retain(|unit| caller.can_read(*unit, hierarchy, today));
            match below {
                // Asking for those units asks for nothing else.
                Some(_) if readable.len() == all => Visible::Everything,
                _ => Visible::Of { units: readable, regimes },
            }
        };
        Ok((visible, below))
    }
}

/// The earlier periods that the rules of a form ask for.
fn compared_with(asked: &Asked, form: &Form) -> Vec<Period> {
    let mut periods = Vec::new();
    if form.needs(Source::Previous) {
        periods.extend(History::before(asked.period));
    }
    if form.needs(Source::Year) {
        periods.extend(History::year_so_far(asked.period));
    }
    periods
}

/// What a regime asks of a unit, and by which form, if the draft answers to that.
///
/// Errors: those of CreateReport about the regime, the period, the unit, the figures and the agency that hands over.
fn asked(
    unit: UnitId,
    draft: &Draft,
    regime: &Regime,
    forms: &Forms,
    hierarchy: &Hierarchy,
    today: NaiveDate,
) -> Result<(Asked, Arc<Form>), Status> {
    let asked = regime.asks(draft.period, today)?;
    let cut_off = asked.window.cut_off;
    if hierarchy.unit(unit, cut_off).is_none() {
        return Err(refuse(
            Code::FailedPrecondition,
            ErrorReason::UnitNotValid,
            format!("{unit} does not exist on {cut_off}, the cut-off day of {}", draft.period),
            [("unit", unit.to_string()), ("cut_off_date", cut_off.to_string())],
        ));
    }
    let form = forms.get(&asked.form).cloned().ok_or_else(|| {
        let says = "asks for a form that there is not";
        bad("report.regime", ErrorReason::UnknownForm, says)
    })?;
    must_be_in_use(&form)?;
    draft.changes.must_suit(&form)?;
    must_name_its_agency(&draft.changes, unit, cut_off, hierarchy)?;
    let receivers = regime.received_by(unit, cut_off, hierarchy).into_iter().collect();
    Ok((Asked { receivers, ..asked }, form))
}

/// A draft, checked.
///
/// Errors: INVALID_ARGUMENT (UNKNOWN_FINDING).
fn begun(
    name: ReportName,
    asked: Asked,
    changes: &Changes,
    basis: &Basis,
    now: DateTime<Utc>,
) -> Result<Report, Status> {
    let content = changes.clone().apply(Content::default());
    let report = Report::begin(name, asked, content, basis, now);
    changes.must_answer(&[], &report.findings)?;
    Ok(report)
}

/// A report with changes that suit its form, checked anew.
///
/// Errors: FAILED_PRECONDITION (ALREADY_SUBMITTED), INVALID_ARGUMENT (UNKNOWN_FINDING).
fn edited(
    report: Report,
    changes: &Changes,
    basis: &Basis,
    now: DateTime<Utc>,
) -> Result<Report, Status> {
    let (content, before) =
        (changes.clone().apply(report.content.clone()), report.findings.clone());
    let edited = report.edit(content, basis, now)?;
    changes.must_answer(&before, &edited.findings)?;
    Ok(edited)
}

/// Errors: INVALID_ARGUMENT (UNKNOWN_UNIT, UNIT_NOT_VALID, NOT_ITS_AGENCY) naming the submitting unit.
fn must_name_its_agency(
    changes: &Changes,
    unit: UnitId,
    cut_off: NaiveDate,
    hierarchy: &Hierarchy,
) -> Result<(), Status> {
    let Some(agency) = changes.submitting_unit() else { return Ok(()) };
    if hierarchy.get(agency).is_none() {
        return Err(bad(SUBMITTING_UNIT, ErrorReason::UnknownUnit, "does not exist"));
    }
    Ok(must_be_agency(agency, unit, cut_off, hierarchy)?)
}

/// Errors: FAILED_PRECONDITION (FORM_RETIRED).
fn must_be_in_use(form: &Form) -> Result<(), Status> {
    let Some(retired) = &form.retired else { return Ok(()) };
    let name = format!("forms/{}", form.key());
    let says = format!("{name} is retired since {}: {}", retired.at, retired.reason);
    Err(refuse(Code::FailedPrecondition, ErrorReason::FormRetired, says, [("form", name)]))
}

/// Errors: NOT_FOUND (UNKNOWN_UNIT).
fn must_exist(unit: UnitId, hierarchy: &Hierarchy) -> Result<(), Status> {
    if hierarchy.get(unit).is_some() {
        return Ok(());
    }
    let says = format!("{unit} does not exist");
    let metadata = [("unit", unit.to_string())];
    Err(refuse(Code::NotFound, ErrorReason::UnknownUnit, says, metadata))
}

/// How many of these an answer can carry: one at least.
fn fitting<K>(listed: &[(K, impl prost::Message)]) -> usize {
    let mut bytes = 0;
    let fit = listed.iter().take_while(|(_, one)| {
        bytes += one.encoded_len();
        bytes <= LARGEST_PAGE_BYTES
    });
    fit.count().max(1)
}

//! The rpcs: who, parse, may they, fetch, move, write, answer.

use std::sync::Arc;

use chrono::NaiveDate;
use dunghan_calendar::{Clock, zone};
use dunghan_events::Units;
use dunghan_hierarchy::{Hierarchy, UnitId};
use dunghan_proto::compliance::GetRegimeRequest;
use dunghan_proto::compliance::compliance_service_client::ComplianceServiceClient;
use dunghan_proto::events::{ListEventsRequest, ListEventsResponse};
use dunghan_proto::policy::{ErrorReason as Common, Role};
use dunghan_proto::submission as pb;
use dunghan_proto::submission::ErrorReason;
use dunghan_proto::submission::submission_service_server::SubmissionService;
use dunghan_rpc::{Caller, Over, Page, Peer, field, internal, peer_failed, refuse};
use dunghan_store::{Answered, RequestKey};
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

use crate::convert::{self, Changes, Draft, Mask};
use crate::domain::agency::must_be_agency;
use crate::domain::form::{Form, Forms};
use crate::domain::regime::Regime;
use crate::domain::report::{Act, Asserted, Content, Report, ReportName};
use crate::error::{SUBMITTING_UNIT, bad};
use crate::store::{Error, Reply, ReportFilter, ReportKey, Store, Visible};

const MOST_AT_ONCE: usize = 1000;
/// Clients take 4 MiB unless told otherwise: a page of long reports ends earlier.
const LARGEST_PAGE_BYTES: usize = 3 * 1024 * 1024;
/// Whole reports read at once: one with the longest texts has some 14 MB.
const MOST_WHOLE: usize = 10;

/// What the rpcs need.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) store: Store,
    pub(crate) forms: Forms,
    pub(crate) units: Units,
    pub(crate) compliance: ComplianceServiceClient<Peer>,
    pub(crate) clock: Arc<dyn Clock>,
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

    /// The answer that was given to this request before, or else what `act` answers. Two of the same request at once
    /// get the same answer: the one that lost finds it when it has failed.
    async fn once(
        &self,
        key: Option<&RequestKey>,
        act: impl Future<Output = Result<pb::Report, Status>>,
    ) -> Result<Response<pb::Report>, Status> {
        if let Some(earlier) = self.answered(key).await? {
            return Ok(Response::new(earlier));
        }
        match act.await {
            Ok(report) => Ok(Response::new(report)),
            Err(refused) => {
                let earlier = self.answered(key).await?;
                earlier.map(Response::new).ok_or(refused)
            }
        }
    }

    async fn answered(&self, key: Option<&RequestKey>) -> Result<Option<pb::Report>, Status> {
        let Some(key) = key else { return Ok(None) };
        match self.store.request_answered(key).await? {
            Answered::No => Ok(None),
            Answered::Yes(report) => Ok(Some(report)),
            Answered::Reused => {
                let says = "came before with another request";
                Err(bad("request_id", Common::RequestIdReused, says))
            }
        }
    }

    /// The form of a report. It was there when the report was begun, and forms do not go away.
    fn form(&self, key: &str) -> Result<&Form, Status> {
        let gone = || internal("finding a form", &std::io::Error::other(format!("no form {key}")));
        self.forms.get(key).ok_or_else(gone)
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

    /// Errors: INVALID_ARGUMENT (UNKNOWN_UNIT, UNIT_NOT_VALID, NOT_ITS_AGENCY) naming the submitting unit.
    async fn must_name_its_agency(
        &self,
        changes: &Changes,
        unit: UnitId,
        cut_off: NaiveDate,
    ) -> Result<(), Status> {
        let Some(agency) = changes.submitting_unit() else { return Ok(()) };
        let hierarchy = self.units.knowing(agency).await?;
        if hierarchy.get(agency).is_none() {
            return Err(bad(SUBMITTING_UNIT, ErrorReason::UnknownUnit, "does not exist"));
        }
        Ok(must_be_agency(agency, unit, cut_off, &hierarchy)?)
    }

    async fn begin(
        &self,
        unit: UnitId,
        draft: Draft,
        hierarchy: &Hierarchy,
        key: Option<&RequestKey>,
    ) -> Result<pb::Report, Status> {
        must_exist(unit, hierarchy)?;
        let Draft { regime, period, changes } = draft;
        let regime = self.regime(&regime).await?;
        let asked = regime.asks(period, self.today())?;
        let cut_off = asked.window.cut_off;
        if hierarchy.unit(unit, cut_off).is_none() {
            return Err(refuse(
                Code::FailedPrecondition,
                ErrorReason::UnitNotValid,
                format!("{unit} does not exist on {cut_off}, the cut-off day of {period}"),
                [("unit", unit.to_string()), ("cut_off_date", cut_off.to_string())],
            ));
        }
        let form = self.forms.get(&asked.form).ok_or_else(|| {
            let says = "asks for a form that there is not";
            bad("report.regime", ErrorReason::UnknownForm, says)
        })?;
        changes.must_suit(form)?;
        self.must_name_its_agency(&changes, unit, cut_off).await?;
        let name = ReportName { unit, report: Uuid::new_v4() };
        let content = changes.apply(Content::default());
        let report = Report::begin(name, asked, content, form, self.clock.now());
        let response = pb::Report::from(&report);
        let reply = key.map(|key| Reply { key, response: &response });
        self.store.report_insert(&report, reply).await?;
        Ok(response)
    }

    /// The report that a request was made from, if it says from which.
    async fn current(&self, name: ReportName, etag: &str) -> Result<Report, Status> {
        let report = self.store.report_fetch(name).await?;
        if convert::is_current(etag, &report) { Ok(report) } else { Err(Error::Stale(name).into()) }
    }

    async fn hand_over(
        &self,
        name: ReportName,
        request: &pb::SubmitReportRequest,
        asserted: Option<Asserted>,
        submitter: &str,
        key: Option<&RequestKey>,
    ) -> Result<pb::Report, Status> {
        let report = self.current(name, &request.etag).await?;
        let form = self.form(&report.asked.form)?;
        let report = report.submit(form, asserted, submitter, self.clock.now())?;
        let response = pb::Report::from(&report);
        let reply = key.map(|key| Reply { key, response: &response });
        self.store.report_update(&report, Some(convert::told(&report)), reply).await?;
        Ok(response)
    }

    /// Takes a report back or sends it back.
    async fn take_back(
        &self,
        before: Report,
        (report, act): (Report, Act),
        key: Option<&RequestKey>,
    ) -> Result<pb::Report, Status> {
        let response = pb::Report::from(&report);
        let reply = key.map(|key| Reply { key, response: &response });
        let event = Some(convert::told(&report));
        // A future of its own: with those around it it is larger than a stack is to hold.
        Box::pin(self.store.report_take_back(&before, &report, act, event, reply)).await?;
        Ok(response)
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

#[tonic::async_trait]
impl SubmissionService for Service {
    async fn create_report(
        &self,
        request: Request<pb::CreateReportRequest>,
    ) -> Result<Response<pb::Report>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let unit = convert::unit("parent", &request.parent)?;
        let key = request_key(&caller, "CreateReport", &request.request_id, &request)?;
        let report = field::required("report", request.report)?;
        let draft = convert::draft(report)?;
        let hierarchy = self.units.knowing(unit).await?;
        caller.must_write_under(unit, None, &hierarchy, self.today())?;
        let begin = self.begin(unit, draft, &hierarchy, key.as_ref());
        self.once(key.as_ref(), begin).await
    }

    async fn update_report(
        &self,
        request: Request<pb::UpdateReportRequest>,
    ) -> Result<Response<pb::Report>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let sent = field::required("report", request.report)?;
        let name = report_name("report.name", &sent.name)?;
        let mask = Mask::of(&request.update_mask.unwrap_or_default().paths)?;
        let etag = sent.etag.clone();
        let changes = convert::changes(sent, mask)?;
        let hierarchy = self.units.knowing(name.unit).await?;
        caller.must_write_under(name.unit, None, &hierarchy, self.today())?;

        let report = self.current(name, &etag).await?;
        let form = self.form(&report.asked.form)?;
        changes.must_suit(form)?;
        self.must_name_its_agency(&changes, name.unit, report.asked.window.cut_off).await?;
        let content = changes.apply(report.content.clone());
        let report = report.edit(content, form, self.clock.now())?;
        self.store.report_update::<pb::Report>(&report, None, None).await?;
        Ok(Response::new(pb::Report::from(&report)))
    }

    async fn submit_report(
        &self,
        request: Request<pb::SubmitReportRequest>,
    ) -> Result<Response<pb::Report>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let name = report_name("name", &request.name)?;
        let key = request_key(&caller, "SubmitReport", &request.request_id, &request)?;
        let asserted = convert::asserted(&request)?;
        let (hierarchy, today) = (self.units.knowing(name.unit).await?, self.today());
        caller.must_write_under(name.unit, None, &hierarchy, today)?;
        if asserted.is_some() {
            // The unit has to be theirs as an importer: a role elsewhere, or another role here, does not do.
            let grants = caller.grants().iter().filter(|grant| grant.role == Role::Importer);
            let importer = Caller::new(caller.subject(), grants.cloned().collect());
            importer.must_write_under(name.unit, None, &hierarchy, today).map_err(|_| {
                refuse(
                    Code::PermissionDenied,
                    ErrorReason::MayNotAssertReceipt,
                    "only an importer of this unit may assert when a report was received",
                    [("unit", name.unit.to_string())],
                )
            })?;
        }
        let submit = self.hand_over(name, &request, asserted, caller.subject(), key.as_ref());
        self.once(key.as_ref(), submit).await
    }

    async fn get_report(
        &self,
        request: Request<pb::GetReportRequest>,
    ) -> Result<Response<pb::Report>, Status> {
        let caller = Caller::of(&request)?;
        let name = report_name("name", &request.get_ref().name)?;
        let report = self.readable(&caller, name).await?;
        Ok(Response::new(pb::Report::from(&report)))
    }

    async fn withdraw_report(
        &self,
        request: Request<pb::WithdrawReportRequest>,
    ) -> Result<Response<pb::Report>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let name = report_name("name", &request.name)?;
        let key = request_key(&caller, "WithdrawReport", &request.request_id, &request)?;
        let reason = convert::reason(&request.reason)?;
        let hierarchy = self.units.knowing(name.unit).await?;
        caller.must_write_under(name.unit, None, &hierarchy, self.today())?;
        let withdraw = async {
            let report = self.current(name, &request.etag).await?;
            let withdrawn = report.clone().withdraw(caller.subject(), reason, self.clock.now())?;
            self.take_back(report, withdrawn, key.as_ref()).await
        };
        self.once(key.as_ref(), withdraw).await
    }

    async fn return_report(
        &self,
        request: Request<pb::ReturnReportRequest>,
    ) -> Result<Response<pb::Report>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let name = report_name("name", &request.name)?;
        let key = request_key(&caller, "ReturnReport", &request.request_id, &request)?;
        let reason = convert::reason(&request.reason)?;
        let due_date = field::date("due_date", request.due_date.as_ref())?;
        let due_date = field::required("due_date", due_date)?;
        let (hierarchy, today) = (self.units.knowing(name.unit).await?, self.today());
        let right =
            |regime: Option<&str>| caller.must_write_under(name.unit, regime, &hierarchy, today);
        // Before it is looked whether the request came before: what was answered then is for who may ask.
        self.permitted(&caller, name, right).await?;
        let send_back = async {
            let report = self.current(name, &request.etag).await?;
            let author = caller.subject();
            let returned = report.clone().send_back(author, reason, due_date, self.clock.now())?;
            self.take_back(report, returned, key.as_ref()).await
        };
        self.once(key.as_ref(), send_back).await
    }

    async fn list_report_acts(
        &self,
        request: Request<pb::ListReportActsRequest>,
    ) -> Result<Response<pb::ListReportActsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let name = report_name("parent", &request.parent)?;
        let with_reports = request.with_reports;
        let asked = (name, with_reports);
        let mut page = Page::<i64>::new(request.page_size, &request.page_token, &asked)?;
        if with_reports {
            page.size = page.size.min(MOST_WHOLE);
        }
        let report = self.readable(&caller, name).await?;
        let limit = page.size + 1;
        let acts = self.store.report_acts(&report, page.after, with_reports, limit).await?;
        let listed: Vec<_> =
            acts.iter().map(|act| (act.version, convert::act_of(act, with_reports))).collect();
        page.size = page.size.min(fitting(&listed));
        let (listed, next_page_token) = page.cut(listed, |(version, _)| *version);
        let acts = listed.into_iter().map(|(_, act)| act).collect();
        Ok(Response::new(pb::ListReportActsResponse { acts, next_page_token }))
    }

    async fn list_reports(
        &self,
        request: Request<pb::ListReportsRequest>,
    ) -> Result<Response<pb::ListReportsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let (parent, regime, period) = (&request.parent, &request.regime, &request.period);
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let parent = given(parent).map(|name| convert::unit("parent", &name)).transpose()?;
        let regime = given(regime).map(|name| regime_name("regime", &name)).transpose()?;
        let period = given(period).map(|name| convert::period("period", &name)).transpose()?;
        let stages = convert::stages(&request.states)?;
        let asked = (&parent, &regime, &period, &stages);
        let mut page = Page::<ReportKey>::new(request.page_size, &request.page_token, &asked)?;
        let hierarchy = match parent {
            Some(parent) => self.units.knowing(parent).await?,
            None => self.units.current().await?,
        };
        let (visible, units) = self.visible(&caller, parent, regime.as_deref(), &hierarchy)?;
        let filter = ReportFilter { visible, units, regime, period, stages };
        let found = self.store.report_page(&filter, page.after, page.size + 1).await?;
        let listed: Vec<_> =
            found.iter().map(|report| (ReportKey::of(report), convert::listed(report))).collect();
        page.size = page.size.min(fitting(&listed));
        let (listed, next_page_token) = page.cut(listed, |(key, _)| *key);
        let reports = listed.into_iter().map(|(_, report)| report).collect();
        let hierarchy_version = hierarchy.version().cast_signed();
        let page = pb::ListReportsResponse { reports, next_page_token, hierarchy_version };
        Ok(Response::new(page))
    }

    async fn batch_get_reports(
        &self,
        request: Request<pb::BatchGetReportsRequest>,
    ) -> Result<Response<pb::BatchGetReportsResponse>, Status> {
        let names = request.into_inner().names;
        at_most("names", names.len())?;
        let names = names.iter().enumerate();
        let names = names
            .map(|(at, name)| report_name(&format!("names[{at}]"), name))
            .collect::<Result<Vec<_>, _>>()?;
        let reports = self.store.report_fetch_many(&names).await?;
        let reports = reports.iter().map(pb::Report::from).collect();
        Ok(Response::new(pb::BatchGetReportsResponse { reports }))
    }

    async fn batch_get_receipts(
        &self,
        request: Request<pb::BatchGetReceiptsRequest>,
    ) -> Result<Response<pb::BatchGetReceiptsResponse>, Status> {
        let request = request.into_inner();
        let regime = regime_name("regime", &request.regime)?;
        let period = convert::period("period", &request.period)?;
        at_most("units", request.units.len())?;
        let units = request.units.iter().enumerate();
        let units = units
            .map(|(at, name)| convert::unit(&format!("units[{at}]"), name))
            .collect::<Result<Vec<_>, _>>()?;
        let received = self.store.report_received(&regime, period, &units).await?;
        let receipts =
            received.iter().map(|received| convert::receipt(received, &regime, period)).collect();
        Ok(Response::new(pb::BatchGetReceiptsResponse { receipts }))
    }

    async fn get_form(
        &self,
        request: Request<pb::GetFormRequest>,
    ) -> Result<Response<pb::Form>, Status> {
        let name = request.into_inner().name;
        let key = convert::form_key(&name)
            .ok_or_else(|| bad("name", Common::InvalidField, "must be forms/{form}"))?;
        let form = self.forms.get(key).ok_or_else(|| {
            let reason = ErrorReason::UnknownForm;
            refuse(Code::NotFound, reason, "there is no form of that name", [])
        })?;
        Ok(Response::new(form.into()))
    }

    async fn list_forms(
        &self,
        request: Request<pb::ListFormsRequest>,
    ) -> Result<Response<pb::ListFormsResponse>, Status> {
        let request = request.into_inner();
        let page = Page::<String>::new(request.page_size, &request.page_token, &"ListForms")?;
        let forms = self.forms.iter();
        let left: Vec<_> = forms
            .filter(|form| page.after.as_ref().is_none_or(|after| form.key > *after))
            .collect();
        let (forms, next_page_token) = page.cut(left, |form| form.key.clone());
        let forms = forms.into_iter().map(pb::Form::from).collect();
        Ok(Response::new(pb::ListFormsResponse { forms, next_page_token }))
    }

    async fn list_events(
        &self,
        request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        let request = request.get_ref();
        let events = dunghan_events::list_events(self.store.database(), request).await?;
        Ok(Response::new(events))
    }
}

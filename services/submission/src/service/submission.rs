//! Reports: begun, changed, handed over, reviewed, read.

use dunghan_proto::events::{ListEventsRequest, ListEventsResponse};
use dunghan_proto::submission as pb;
use dunghan_proto::submission::submission_service_server::SubmissionService;

use tokio::task::spawn_blocking;

use super::*;
use crate::domain::diff::{self, Names};
use crate::error::unnested;

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
        let hierarchy = self.knowing(unit, &draft.changes).await?;
        caller.must_write_under(unit, None, &hierarchy, self.today())?;
        let begin = self.begin(unit, draft, &hierarchy, key.as_ref());
        self.once(key.as_ref(), Box::pin(begin)).await
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
        let hierarchy = self.knowing(name.unit, &changes).await?;
        caller.must_write_under(name.unit, None, &hierarchy, self.today())?;

        let (changes, hierarchy) = (&changes, &*hierarchy);
        let edit = |report: Report| async move {
            let form = self.form(&report.asked.form).await?;
            changes.must_suit(&form)?;
            must_name_its_agency(changes, name.unit, report.asked.window.cut_off, hierarchy)?;
            let basis = self.basis(name.unit, &report.asked, form).await?;
            let (changes, now) = (changes.clone(), self.clock.now());
            let figures = changes.figures().max(report.content.values.len());
            let document = report.document_keys();
            let edit = move |basis: &Basis| edited(report, &changes, basis, now);
            let mut edited = Self::checking(figures, basis, edit).await??;
            if edited.document_keys() != document {
                edited.arrival = self.arrival_of(&edited).await?;
            }
            self.store.report_update::<pb::Report>(&edited, None, None).await?;
            Ok(pb::Report::from(&edited))
        };
        Ok(Response::new(self.on_current(name, &etag, edit).await?))
    }

    async fn submit_report(
        &self,
        request: Request<pb::SubmitReportRequest>,
    ) -> Result<Response<pb::Report>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let name = report_name("name", &request.name)?;
        let key = request_key(&caller, "SubmitReport", &request.request_id, &request)?;
        let (at, evidence) = (&request.asserted_receive_time, &request.receipt_evidence);
        let asserted = convert::asserted(at.as_ref(), evidence.as_ref())?;
        let hierarchy = self.units.knowing(name.unit).await?;
        caller.must_write_under(name.unit, None, &hierarchy, self.today())?;
        if asserted.is_some() {
            self.may_assert(&caller, name.unit, &hierarchy)?;
        }
        let (author, key, asserted) = (caller.subject(), key.as_ref(), &asserted);
        let submit = |report: Report| self.hand_over(report, asserted.clone(), author, key);
        let submit = self.on_current(name, &request.etag, submit);
        self.once(key, Box::pin(submit)).await
    }

    async fn submit_nil_report(
        &self,
        request: Request<pb::SubmitNilReportRequest>,
    ) -> Result<Response<pb::Report>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let unit = convert::unit("parent", &request.parent)?;
        let key = request_key(&caller, "SubmitNilReport", &request.request_id, &request)?;
        let draft = convert::nil(&request).map_err(unnested)?;
        let (at, evidence) = (&request.asserted_receive_time, &request.receipt_evidence);
        let asserted = convert::asserted(at.as_ref(), evidence.as_ref())?;
        let hierarchy = self.knowing(unit, &draft.changes).await?;
        caller.must_write_under(unit, None, &hierarchy, self.today())?;
        if asserted.is_some() {
            self.may_assert(&caller, unit, &hierarchy)?;
        }
        let (author, key) = (caller.subject(), key.as_ref());
        let submit = self.hand_over_nil(unit, draft, asserted, author, &hierarchy, key);
        self.once(key, Box::pin(submit)).await.map_err(unnested)
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
        let (author, key, reason) = (caller.subject(), key.as_ref(), &reason);
        let withdraw = |report: Report| async move {
            let withdrawn = report.clone().withdraw(author, reason.clone(), self.clock.now());
            let (mut draft, act) = withdrawn.map_err(Status::from)?;
            draft.arrival = self.arrival_of(&draft).await?;
            self.keep_act(&report, (draft, act), key).await
        };
        self.once(key, self.on_current(name, &request.etag, withdraw)).await
    }

    async fn accept_report(
        &self,
        request: Request<pb::AcceptReportRequest>,
    ) -> Result<Response<pb::Report>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let name = report_name("name", &request.name)?;
        let key = request_key(&caller, "AcceptReport", &request.request_id, &request)?;
        let etag = Some(&request.etag).filter(|etag| !etag.is_empty());
        let etag = field::required("etag", etag)?;
        let comment = convert::remark("comment", &request.comment)?;
        let (hierarchy, today) = (self.units.knowing(name.unit).await?, self.today());
        let right =
            |regime: Option<&str>| caller.must_write_under(name.unit, regime, &hierarchy, today);
        // Before it is looked whether the request came before: what was answered then is for who may ask.
        self.permitted(&caller, name, right).await?;
        let (reviewer, key, comment) = (caller.subject(), key.as_ref(), &comment);
        let accept = |report: Report| async move {
            let submitters = self.store.report_submitters(&report).await?;
            let (before, now) = (report.clone(), self.clock.now());
            let accepted = before.accept(reviewer, &submitters, comment.clone(), now);
            self.keep_act(&report, accepted.map_err(Status::from)?, key).await
        };
        self.once(key, self.on_current(name, etag, accept)).await
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
        let (author, key, reason) = (caller.subject(), key.as_ref(), &reason);
        let send_back = |report: Report| async move {
            let (before, now) = (report.clone(), self.clock.now());
            let returned = report.send_back(author, reason.clone(), due_date, now);
            self.keep_act(&before, returned.map_err(Status::from)?, key).await
        };
        self.once(key, self.on_current(name, &request.etag, send_back)).await
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
        let unit_only = request.unit_only;
        if unit_only && parent.is_none() {
            let says = "is missing: it says of which unit";
            return Err(bad("parent", Common::RequiredFieldMissing, says));
        }
        let asked = (&parent, &regime, &period, &stages, unit_only);
        let mut page = Page::<ReportKey>::new(request.page_size, &request.page_token, &asked)?;
        let hierarchy = match parent {
            Some(parent) => self.units.knowing(parent).await?,
            None => self.units.current().await?,
        };
        let (visible, below) = self.visible(&caller, parent, regime.as_deref(), &hierarchy)?;
        let units = if unit_only { parent.map(|unit| vec![unit]) } else { below };
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

    async fn diff_revisions(
        &self,
        request: Request<pb::DiffRevisionsRequest>,
    ) -> Result<Response<pb::DiffRevisionsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let name = report_name("name", &request.name)?;
        let report = self.readable(&caller, name).await?;
        let (old, mut findings) = match request.from_revision {
            0 => (Content::default(), Vec::new()),
            from => {
                let old = self.revision(&report, "from_revision", from).await?;
                (old.content, old.findings)
            }
        };
        let form = self.form(&report.asked.form).await?;
        let (hierarchy, day) = (self.units.knowing(name.unit).await?, report.asked.window.cut_off);
        let new = match request.to_revision {
            0 => report,
            to => self.revision(&report, "to_revision", to).await?,
        };
        findings.extend(new.findings);
        let names = Names { form, findings, hierarchy, day };
        // Of texts of some megabytes.
        let comparing = spawn_blocking(move || diff::changes(&old, &new.content, &names));
        let changes = comparing.await.map_err(|e| internal("comparing two revisions", &e))?;
        let changes = changes.into_iter().map(convert::change_of).collect();
        Ok(Response::new(pb::DiffRevisionsResponse { changes }))
    }

    async fn get_signed_receipt(
        &self,
        request: Request<pb::GetSignedReceiptRequest>,
    ) -> Result<Response<pb::SignedReceipt>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let name = report_name("name", &request.name)?;
        let report = self.readable(&caller, name).await?;
        Ok(Response::new(self.signed_receipt(report, request.revision).await?))
    }

    async fn verify_receipt(
        &self,
        request: Request<pb::VerifyReceiptRequest>,
    ) -> Result<Response<pb::VerifyReceiptResponse>, Status> {
        Ok(Response::new(self.verify(&request.get_ref().token).await?))
    }

    async fn list_receipt_keys(
        &self,
        _: Request<pb::ListReceiptKeysRequest>,
    ) -> Result<Response<pb::ListReceiptKeysResponse>, Status> {
        Ok(Response::new(self.receipt_keys()))
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

//! What everybody can see of the suite, for comparing one run with another.

use std::collections::{BTreeMap, BTreeSet};

use dunghan_proto::aggregation::{GetRollUpRequest, RollUp};
use dunghan_proto::compliance as pb;
use dunghan_proto::submission;
use dunghan_rpc::field;

use super::client::Client;
use super::{REGIMES, period, regime};
use crate::roll_up::INDICATOR;
use crate::world::{time, unit};

/// Of lists that are read to the end.
const PAGE: i32 = 1000;

pub(super) fn rate(of: usize) -> pb::GetReportingRateRequest {
    pb::GetReportingRateRequest {
        scope: unit("24"),
        regime: regime(of),
        period: period(of),
        read_time: None,
    }
}

pub(super) fn roll_up(of: usize) -> GetRollUpRequest {
    GetRollUpRequest {
        scope: unit("24"),
        regime: regime(of),
        period: period(of),
        indicator: INDICATOR.to_owned(),
        category: String::new(),
    }
}

/// What everybody can see in the end, without the names that chance gives.
#[derive(Debug)]
pub(super) struct Outcome {
    obligations: Vec<pb::Obligation>,
    dossiers: Vec<pb::Dossier>,
    /// The notices of missing reports, by their subjects.
    missing: BTreeMap<Vec<String>, pb::Notice>,
    /// How often whom was told of which dossier; how many notices it took is up to chance.
    overdue: BTreeMap<(String, String), usize>,
    rates: Vec<pb::ReportingRate>,
    roll_ups: Vec<RollUp>,
}

/// All pages of a list.
async fn all<T>(mut page: impl AsyncFnMut(String) -> (Vec<T>, String)) -> Vec<T> {
    let (mut all, mut token) = page(String::new()).await;
    while !token.is_empty() {
        let (more, next) = page(token).await;
        all.extend(more);
        token = next;
    }
    all
}

impl Outcome {
    pub(super) async fn of(client: &Client) -> Self {
        let obligations = all(async |page_token| {
            let request =
                pb::ListObligationsRequest { page_size: PAGE, page_token, ..Default::default() };
            let page = client.compliance().list_obligations(request).await.unwrap().into_inner();
            (page.obligations, page.next_page_token)
        });
        let mut obligations = obligations.await;
        obligations.iter_mut().for_each(|one| one.report.clear());
        let notices = all(async |page_token| {
            let request =
                pb::ListNoticesRequest { page_size: PAGE, page_token, ..Default::default() };
            let page = client.notices().list_notices(request).await.unwrap().into_inner();
            (page.notices, page.next_page_token)
        });
        let (mut missing, mut overdue) = (BTreeMap::new(), BTreeMap::new());
        for mut notice in notices.await {
            if notice.kind() == pb::notice::Kind::MissingReports {
                notice.name.clear();
                let again = missing.insert(notice.subjects.clone(), notice);
                assert_eq!(again, None, "told twice");
            } else {
                for subject in notice.subjects {
                    *overdue.entry((notice.recipient.clone(), subject)).or_default() += 1;
                }
            }
        }
        let (mut rates, mut roll_ups) = (Vec::new(), Vec::new());
        for of in 0..REGIMES {
            let answer = client.compliance().get_reporting_rate(rate(of)).await;
            let mut rate = answer.unwrap().into_inner();
            rate.exceptions.iter_mut().for_each(|one| one.report.clear());
            rates.push(rate);
            let answer = client.aggregation().get_roll_up(roll_up(of)).await;
            let mut sum = answer.unwrap().into_inner();
            sum.contributions.iter_mut().for_each(|one| one.report.clear());
            sum.contributions.sort_by(|a, b| a.unit.cmp(&b.unit));
            roll_ups.push(sum);
        }
        let dossiers = all(async |page_token| {
            let request = pb::ListOverdueDossiersRequest {
                scope: unit("24"),
                // By then every dossier is due.
                read_time: Some(field::pb_time(time("2026-06-01 00:00:00"))),
                page_size: PAGE,
                page_token,
            };
            let mut client = client.dossier_service();
            let page = client.list_overdue_dossiers(request).await.unwrap().into_inner();
            (page.dossiers, page.next_page_token)
        });
        let dossiers = dossiers.await;
        Self { obligations, dossiers, missing, overdue, rates, roll_ups }
    }

    pub(super) fn must_be(&self, other: &Self) {
        must_be_alike(&self.obligations, &other.obligations);
        must_be_alike(&self.dossiers, &other.dossiers);
        assert_eq!(self.missing, other.missing);
        assert_eq!(self.overdue, other.overdue);
        must_be_alike(&self.rates, &other.rates);
        must_be_alike(&self.roll_ups, &other.roll_ups);
    }
}

/// Panics with the first pair that differs.
fn must_be_alike<T: PartialEq + std::fmt::Debug>(ours: &[T], theirs: &[T]) {
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.len(), theirs.len());
}

/// The names of the notices that a unit was sent.
pub(super) async fn told(client: &Client, unit: &str) -> BTreeSet<String> {
    let notices = all(async |page_token| {
        let parent = unit.to_owned();
        let request = pb::ListNoticesRequest { parent, page_size: PAGE, page_token };
        let page = client.notices().list_notices(request).await.unwrap().into_inner();
        (page.notices, page.next_page_token)
    });
    notices.await.into_iter().map(|notice| notice.name).collect()
}

/// The reports that there are, by name.
pub(super) async fn reports(client: &Client) -> BTreeMap<String, submission::Report> {
    let reports = all(async |page_token| {
        let request =
            submission::ListReportsRequest { page_size: PAGE, page_token, ..Default::default() };
        let page = client.submission().list_reports(request).await.unwrap().into_inner();
        (page.reports, page.next_page_token)
    });
    by_name(reports.await)
}

pub(super) fn by_name(reports: Vec<submission::Report>) -> BTreeMap<String, submission::Report> {
    reports.into_iter().map(|report| (report.name.clone(), report)).collect()
}

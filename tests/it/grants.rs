//! Grants beside tokens, in force in all services: over a regime, over a subtree, on their days, until they are revoked.

use std::time::Duration;

use chrono::TimeDelta;
use dunghan_hierarchy::{NSO, UnitId};
use dunghan_proto::compliance::ListObligationsRequest;
use dunghan_proto::compliance::compliance_service_client::ComplianceServiceClient;
use dunghan_proto::policy::Role;
use dunghan_proto::registry as pb;
use dunghan_proto::registry::change::Change;
use dunghan_proto::registry::contact_service_client::ContactServiceClient;
use dunghan_proto::registry::grant::Over;
use dunghan_proto::registry::grant_service_client::GrantServiceClient;
use dunghan_proto::registry::registry_service_client::RegistryServiceClient;
use dunghan_proto::registry::reorganisation_service_client::ReorganisationServiceClient;
use dunghan_proto::registry::target::Target;
use dunghan_proto::registry::unit_reference::Reference;
use dunghan_proto::submission::submission_service_client::SubmissionServiceClient;
use dunghan_proto::submission::value::Figure;
use dunghan_proto::submission::{GetReportRequest, ListReportsRequest};
use dunghan_proto::{compliance, submission};
use dunghan_rpc::{Peer, field};
use dunghan_testkit::{Mode, Testing, eventually, refusal};
use tonic::{Code, Status};

use crate::roll_up::INDICATOR;
use crate::setting::{Setting, everywhere};
use crate::world::{
    BAC_NINH, GIA_LAI, PERIOD, REGIME, compliance, day, put_in_force, regime, report, start,
    submit, time, unit,
};

everywhere!(
    a_grant_over_a_regime_shows_what_is_under_it_and_nothing_else_until_it_is_revoked,
    a_grant_over_a_province_covers_its_communes_and_reads_what_they_were_before,
    a_grant_holds_from_its_first_day_to_its_last,
    what_a_token_states_and_what_is_granted_beside_it_hold_together,
);

const OTHER: &str = "regimes/khac";
/// How long a grant may take to be in force in all processes.
const SOON: Duration = Duration::from_secs(30);

/// Somebody whose token states nothing.
struct Somebody {
    setting: Setting,
    registry: RegistryServiceClient<Peer>,
    contacts: ContactServiceClient<Peer>,
    submission: SubmissionServiceClient<Peer>,
    compliance: ComplianceServiceClient<Peer>,
}

impl Somebody {
    fn new(setting: Setting, testing: &Testing, subject: &str) -> Self {
        let channel = testing.channel_of(subject);
        Self {
            setting,
            registry: RegistryServiceClient::new(channel.clone()),
            contacts: ContactServiceClient::new(channel.clone()),
            submission: SubmissionServiceClient::new(channel.clone()),
            compliance: ComplianceServiceClient::new(channel),
        }
    }

    /// Whether each service lets them through: registry, submission, compliance.
    async fn let_through(&mut self) -> [bool; 3] {
        let unit = pb::GetUnitRequest { name: unit("24"), as_of_date: None };
        [
            through(self.registry.get_unit(unit).await.map(drop)),
            through(self.submission.list_reports(ListReportsRequest::default()).await.map(drop)),
            through(
                self.compliance.list_obligations(ListObligationsRequest::default()).await.map(drop),
            ),
        ]
    }

    /// All services let them through, or none does any more. Where the registry runs that is so at once, in a process
    /// without it soon.
    async fn are_let_through(&mut self, expected: bool) {
        if self.setting.mode == Mode::Apart {
            let unit = pb::GetUnitRequest { name: unit("24"), as_of_date: None };
            assert_eq!(through(self.registry.get_unit(unit).await.map(drop)), expected);
            let all = [expected; 3];
            eventually(SOON, async || (self.let_through().await == all).then_some(())).await;
        }
        assert_eq!(self.let_through().await, [expected; 3]);
    }

    /// The reports and the obligations for [`PERIOD`] that they see, by unit and regime.
    async fn sees(&mut self) -> [Vec<(String, String)>; 2] {
        let reports = self.submission.list_reports(ListReportsRequest::default()).await;
        let reports = reports.unwrap().into_inner().reports.into_iter();
        let of =
            |name: &str| name.rsplit_once('/').unwrap().0.rsplit_once('/').unwrap().0.to_owned();
        let asked = ListObligationsRequest { period: PERIOD.to_owned(), ..Default::default() };
        let obligations = self.compliance.list_obligations(asked).await;
        let obligations = obligations.unwrap().into_inner().obligations.into_iter();
        [
            reports.map(|one| (of(&one.name), one.regime)).collect(),
            obligations.map(|one| (of(&one.name), one.regime)).collect(),
        ]
    }
}

fn through(answer: Result<(), Status>) -> bool {
    match answer.as_ref().map_err(refusal) {
        Ok(()) => true,
        Err(refused) => {
            assert_eq!(refused, (Code::PermissionDenied, "ROLE_MISSING".to_owned()));
            false
        }
    }
}

fn out_of_scope<T: std::fmt::Debug>(answer: Result<T, Status>) {
    let expected = (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned());
    assert_eq!(refusal(&answer.unwrap_err()), expected);
}

fn grants(testing: &Testing) -> GrantServiceClient<Peer> {
    GrantServiceClient::new(testing.channel(&["operator"]))
}

/// Grants the role of a supervisor as an operator; gives the grant's name.
async fn grant(testing: &Testing, grant: pb::Grant) -> String {
    let grant = pb::Grant {
        role: Role::Supervisor.into(),
        reason: "Quyết định phân công".to_owned(),
        ..grant
    };
    let request = pb::CreateGrantRequest { grant: Some(grant), request_id: String::new() };
    grants(testing).create_grant(request).await.unwrap().into_inner().name
}

fn to(subject: &str, over: Over) -> pb::Grant {
    pb::Grant { subject: subject.to_owned(), over: Some(over), ..Default::default() }
}

async fn revoke(testing: &Testing, name: &str) {
    let reason = "Thôi phân công".to_owned();
    let request = pb::RevokeGrantRequest { name: name.to_owned(), reason };
    grants(testing).revoke_grant(request).await.unwrap();
}

async fn a_grant_over_a_regime_shows_what_is_under_it_and_nothing_else_until_it_is_revoked(
    setting: Setting,
) {
    let testing = start(setting, time("2026-05-18 09:00:00")).await;
    put_in_force(&testing, regime()).await.unwrap();
    let other =
        compliance::Regime { name: OTHER.to_owned(), form: "forms/text-1".to_owned(), ..regime() };
    put_in_force(&testing, other).await.unwrap();
    compliance(&testing, &["operator"])
        .run_sweep(compliance::RunSweepRequest::default())
        .await
        .unwrap();
    let own = submit(&testing, BAC_NINH[0], report(INDICATOR, Figure::Count(30))).await;
    let others = submission::Report {
        regime: OTHER.to_owned(),
        values: Vec::new(),
        ..report(INDICATOR, Figure::Count(40))
    };
    let others = submit(&testing, BAC_NINH[1], others).await;

    let mut lan = Somebody::new(setting, &testing, "lan");
    let mut hoa = Somebody::new(setting, &testing, "hoa");
    lan.are_let_through(false).await;
    let name = grant(&testing, to("lan", Over::Regime(REGIME.to_owned()))).await;
    lan.are_let_through(true).await;
    assert_eq!(hoa.let_through().await, [false; 3]);

    let [reports, obligations] = lan.sees().await;
    assert_eq!(reports, [(unit(BAC_NINH[0]), REGIME.to_owned())]);
    let expected: Vec<_> = BAC_NINH.map(|code| (unit(code), REGIME.to_owned())).into();
    assert_eq!(obligations, expected);
    let get = |name: &str| GetReportRequest { name: name.to_owned() };
    let read = lan.submission.get_report(get(&own)).await.unwrap().into_inner();
    assert_eq!(read.name, own);
    out_of_scope(lan.submission.get_report(get(&others)).await);
    let of_unit = ListReportsRequest { parent: unit(BAC_NINH[1]), ..Default::default() };
    let of_unit = lan.submission.list_reports(of_unit).await.unwrap().into_inner();
    assert_eq!(of_unit.reports, []);
    let rate = |regime: &str| compliance::GetReportingRateRequest {
        scope: unit("24"),
        regime: regime.to_owned(),
        period: PERIOD.to_owned(),
        read_time: None,
    };
    let own = lan.compliance.get_reporting_rate(rate(REGIME)).await.unwrap().into_inner();
    assert_eq!((own.expected_reports, own.actual_reports), (5, 1));
    out_of_scope(lan.compliance.get_reporting_rate(rate(OTHER)).await);

    revoke(&testing, &name).await;
    lan.are_let_through(false).await;
    testing.stop().await;
}

/// A unit of before the reform.
fn before(code: &str) -> String {
    UnitId::new(NSO, code, None).to_string()
}

fn reference(unit: &str) -> Option<pb::UnitReference> {
    Some(pb::UnitReference { reference: Some(Reference::Unit(unit.to_owned())) })
}

/// Records that a commune of before the reform became one of today.
async fn record_merger(testing: &Testing, from: &str, into: &str) {
    let share = pb::Share { unit: reference(from), ..Default::default() };
    let into = pb::Target { target: reference(into).map(Target::Existing) };
    let merge = pb::Merge { shares: vec![share], into: Some(into) };
    let reorganisation = pb::Reorganisation {
        title: "Sắp xếp đơn vị hành chính cấp xã".to_owned(),
        legal_basis: "Nghị quyết minh họa, không do cơ quan nào ban hành".to_owned(),
        effective_date: Some(field::pb_date(day("2025-07-01"))),
        changes: vec![pb::Change { change: Some(Change::Merge(merge)) }],
        ..Default::default()
    };
    let request = pb::CreateReorganisationRequest {
        reorganisation: Some(reorganisation),
        ..Default::default()
    };
    let mut client = ReorganisationServiceClient::new(testing.channel(&["operator"]));
    client.create_reorganisation(request).await.unwrap();
}

async fn a_grant_over_a_province_covers_its_communes_and_reads_what_they_were_before(
    setting: Setting,
) {
    let testing = start(setting, time("2026-05-18 09:00:00")).await;
    // Another one of before the reform, of which nothing is known to have come.
    let lost = pb::UnitRow {
        valid_from_date: None,
        valid_through_date: Some(field::pb_date(day("2025-06-30"))),
        ..crate::world::row("09400", "")
    };
    crate::world::import(&testing, vec![lost]).await.unwrap();
    record_merger(&testing, &before("09421"), &unit(BAC_NINH[0])).await;
    let mut lan = Somebody::new(setting, &testing, "lan");
    grant(&testing, to("lan", Over::Unit(unit("24")))).await;
    lan.are_let_through(true).await;

    let commune = unit(BAC_NINH[0]);
    for (what, unit, reads, writes) in [
        ("itself", unit("24"), true, true),
        ("a commune", commune.clone(), true, true),
        ("what became a commune of it", before("09421"), true, false),
        ("what became nothing", before("09400"), false, false),
        ("another province", unit("52"), false, false),
        ("a commune elsewhere", unit(GIA_LAI[0]), false, false),
    ] {
        let list = pb::ListContactsRequest { parent: unit.clone(), ..Default::default() };
        let listed = lan.contacts.list_contacts(list).await.map(drop);
        let contact = pb::Contact {
            role: pb::ContactRole::Head.into(),
            display_name: "Chủ tịch".to_owned(),
            ..Default::default()
        };
        let create = pb::CreateContactRequest {
            parent: unit.clone(),
            contact: Some(contact),
            ..Default::default()
        };
        let created = lan.contacts.create_contact(create).await.map(drop);
        for (done, may) in [(listed, reads), (created, writes)] {
            if may {
                assert_eq!(done.map_err(|e| e.to_string()), Ok(()), "{what}");
            } else {
                out_of_scope(done);
            }
        }
        // Elsewhere by a copy of the hierarchy, which has to have the merger first.
        let reports = ListReportsRequest { parent: unit, ..Default::default() };
        let may = async || {
            let mut submission = lan.submission.clone();
            match submission.list_reports(reports.clone()).await {
                Ok(_) => true,
                Err(status) => {
                    out_of_scope::<()>(Err(status));
                    false
                }
            }
        };
        if reads {
            eventually(SOON, async || may().await.then_some(())).await;
        } else {
            assert!(!may().await, "{what}");
        }
    }
    testing.stop().await;
}

async fn a_grant_holds_from_its_first_day_to_its_last(setting: Setting) {
    let testing = start(setting, time("2026-05-18 09:00:00")).await;
    let mut lan = Somebody::new(setting, &testing, "lan");
    let days = pb::Grant {
        valid_from_date: Some(field::pb_date(day("2026-05-20"))),
        valid_through_date: Some(field::pb_date(day("2026-05-22"))),
        ..to("lan", Over::Unit(unit("24")))
    };
    grant(&testing, days).await;
    let (first, end) = (time("2026-05-20 00:00:00"), time("2026-05-23 00:00:00"));
    testing.clock.set(first);
    lan.are_let_through(true).await;
    let moment = TimeDelta::microseconds(1);
    for (now, expected) in
        [(first - moment, false), (first, true), (end - moment, true), (end, false)]
    {
        testing.clock.set(now);
        assert_eq!(lan.let_through().await, [expected; 3], "{now}");
    }
    testing.stop().await;
}

async fn what_a_token_states_and_what_is_granted_beside_it_hold_together(setting: Setting) {
    let testing = start(setting, time("2026-05-18 09:00:00")).await;
    // The subject of all tokens that the tests sign.
    grant(&testing, to("tester", Over::Unit(unit("52")))).await;
    let mut probe = Somebody::new(setting, &testing, "tester");
    probe.are_let_through(true).await;
    let stated = format!("reporter@{}", unit("24"));
    let mut both = SubmissionServiceClient::new(testing.channel(&[&stated]));
    for (code, may) in [("24", true), ("52", true), ("01", false)] {
        let list = ListReportsRequest { parent: unit(code), ..Default::default() };
        let listed = both.list_reports(list).await.map(drop);
        if may { listed.unwrap() } else { out_of_scope(listed) }
    }
    // A service is what it is: over a province, and not over the other one that somebody of its name was granted.
    let service = format!("service@{}", unit("24"));
    let mut service = ContactServiceClient::new(testing.channel(&[&service]));
    for (code, may) in [("24", true), ("52", false)] {
        let list = pb::ListContactsRequest { parent: unit(code), ..Default::default() };
        let listed = service.list_contacts(list).await.map(drop);
        if may { listed.unwrap() } else { out_of_scope(listed) }
    }
    testing.stop().await;
}

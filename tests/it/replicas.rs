//! Two processes of each service over one database: everything is done once, and whichever is asked answers the same.

use std::collections::BTreeMap;
use std::time::Duration;

use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::compliance_service_client::ComplianceServiceClient;
use dunghan_proto::compliance::notice_service_client::NoticeServiceClient;
use dunghan_proto::policy::Role;
use dunghan_proto::registry;
use dunghan_proto::registry::grant_service_client::GrantServiceClient;
use dunghan_proto::registry::registry_service_client::RegistryServiceClient;
use dunghan_proto::registry::reorganisation_service_client::ReorganisationServiceClient;
use dunghan_proto::submission::CreateReportRequest;
use dunghan_proto::submission::submission_service_client::SubmissionServiceClient;
use dunghan_proto::submission::value::Figure;
use dunghan_rpc::Peer;
use dunghan_testkit::{Engine, Mode, Testing, eventually, import_row, refusal, start_in};
use futures::StreamExt as _;
use futures::future::{join, join_all};
use tonic::Code;
use uuid::Uuid;

use crate::changes::{existing, merge, new, on, rename, transfer, under, version};
use crate::roll_up::{INDICATOR, add_up};
use crate::setting::Setting;
use crate::suite;
use crate::world::{
    BAC_NINH, Everything, GIA_LAI, department, dossier, dossier_stream, due, hand_over, import_all,
    notices, put_in_force, record, regime, report, row, start, submit, time, unit,
};

/// Only here can two processes of a service share their data.
const SETTING: Setting = Setting { mode: Mode::Apart, engine: Engine::Postgres };
/// How long anything may take that happens by itself.
const SOON: Duration = Duration::from_secs(30);

/// Channels to each process of a service, not through its front.
fn each(testing: &mut Testing, service: &str, grants: &[&str]) -> Vec<Peer> {
    let processes = testing.apart().processes(service).iter();
    let urls: Vec<_> = processes.map(|one| format!("http://{}", one.address())).collect();
    urls.iter().map(|url| testing.channel_to(url, grants)).collect()
}

/// Sweeps rung several times in each process at once; gives what they did together: opened, received, missing, overdue,
/// notices, unverified.
async fn sweeps(testing: &mut Testing) -> [i32; 6] {
    let peers = each(testing, "compliance", &["operator"]);
    let sweeps = (0..3).flat_map(|_| &peers).map(|peer| async {
        let mut operator = ComplianceServiceClient::new(peer.clone());
        operator.run_sweep(pb::RunSweepRequest::default()).await.unwrap().into_inner()
    });
    let mut sum = [0; 6];
    for one in join_all(sweeps).await {
        let counts = [
            one.opened_count,
            one.received_count,
            one.missing_count,
            one.overdue_count,
            one.notice_count,
            one.unverified_count,
        ];
        sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    sum
}

/// Lets one process of each service take new connections, and no other.
fn only(testing: &mut Testing, number: usize) {
    let apart = testing.apart();
    for service in suite().names() {
        let processes = apart.processes(service).iter();
        let addresses: Vec<_> = processes.map(|process| process.address()).collect();
        addresses.iter().for_each(|address| apart.front(service).remove(*address));
        apart.front(service).add(addresses[number]);
    }
}

#[tokio::test]
async fn two_processes_of_each_service_do_everything_once_and_answer_alike() {
    let mut testing = start(SETTING, time("2026-05-04 09:00:00")).await;
    testing.apart().add(&suite().names());
    put_in_force(&testing, regime()).await.unwrap();
    sweeps(&mut testing).await;

    // Where two open a period, each obligation is opened by one of them.
    testing.clock.set(time("2026-05-15 00:00:00"));
    assert_eq!(sweeps(&mut testing).await, [5, 0, 0, 0, 0, 0]);

    // The same request at both is carried out once.
    testing.clock.set(time("2026-05-18 09:00:00"));
    let request = CreateReportRequest {
        parent: unit(BAC_NINH[0]),
        report: Some(report(INDICATOR, Figure::Count(30))),
        request_id: Uuid::new_v4().to_string(),
    };
    let answers = each(&mut testing, "submission", &["reporter"]).into_iter().map(|peer| {
        let mut reporter = SubmissionServiceClient::new(peer);
        let request = request.clone();
        async move { reporter.create_report(request).await.unwrap().into_inner() }
    });
    let answers = join_all(answers).await;
    assert_eq!(answers[0], answers[1]);
    hand_over(&testing, &answers[0].name).await.unwrap();
    submit(&testing, BAC_NINH[1], report(INDICATOR, Figure::Count(40))).await;
    // Where two take in an event, one of them does.
    assert_eq!(sweeps(&mut testing).await, [0, 2, 0, 0, 0, 0]);
    let dossiers = ["H1", "H2"].map(|one| dossier(one, time("2026-05-15 08:00:00")));
    record(&testing, dossier_stream(BAC_NINH[2], 2, dossiers.into())).await.unwrap();

    // Whoever sweeps, the department is told once, wherever it listens; and so is the province of the dossiers.
    testing.clock.set(time("2026-05-21 00:00:00"));
    let (department, province) = (department(), unit("24"));
    let mut watching = Vec::new();
    for peer in each(&mut testing, "compliance", &["operator"]) {
        let request =
            pb::WatchNoticesRequest { parent: department.clone(), resume_token: String::new() };
        let watch = NoticeServiceClient::new(peer).watch_notices(request).await;
        watching.push(watch.unwrap().into_inner());
    }
    assert_eq!(sweeps(&mut testing).await, [0, 0, 3, 2, 2, 0]);
    for watch in &mut watching {
        let told = tokio::time::timeout(SOON, watch.message()).await.expect("a notice");
        assert_eq!(told.unwrap().unwrap().notice.unwrap().subjects.len(), 3);
    }
    assert_eq!(sweeps(&mut testing).await, [0; 6]);
    drop(watching);

    only(&mut testing, 0);
    let through_the_first = Everything::of(&testing).await;
    let sum = add_up(&testing, "operator", &province).await;
    assert_eq!((sum.total, sum.contributions.len()), (70, 2));
    let told: Vec<_> = through_the_first.notices.iter().map(|one| &one.recipient).collect();
    assert_eq!(
        (told.len(), told.contains(&&department), told.contains(&&province)),
        (2, true, true)
    );
    only(&mut testing, 1);
    through_the_first.must_be_all_of(&testing).await;
    assert_eq!(add_up(&testing, "operator", &province).await, sum);
    testing.stop().await;
}

#[tokio::test]
async fn bells_that_ring_in_two_processes_tell_once() {
    let now = time("2026-05-04 09:00:00");
    let keys = [("compliance.sweep_cron", "* * * * * *")];
    let mut testing = start_in(SETTING.mode, suite(), SETTING.place().await, now, &keys).await;
    testing.apart().add(&["compliance"]);
    import_all(&testing).await;
    put_in_force(&testing, regime()).await.unwrap();
    let department = department();
    let request = pb::WatchNoticesRequest { parent: department, resume_token: String::new() };
    let watch = notices(&testing, &["operator"]).watch_notices(request).await;
    let mut watch = watch.unwrap().into_inner();
    // Each time both have fallen behind, and both ring.
    for (now, period) in [(due(), "202605"), (time("2026-06-18 00:00:00"), "202606")] {
        testing.clock.set(now);
        let told = tokio::time::timeout(SOON, watch.message()).await.expect("a notice");
        let notice = told.unwrap().unwrap().notice.unwrap();
        assert_eq!((notice.period.as_str(), notice.subjects.len()), (period, 5));
    }
    drop(watch);
    assert_eq!(sweeps(&mut testing).await, [0; 6]);
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for subject in Everything::of(&testing).await.notices.into_iter().flat_map(|one| one.subjects) {
        *told.entry(subject).or_default() += 1;
    }
    assert_eq!((told.len(), told.values().max()), (10, Some(&1)), "{told:?}");
    testing.stop().await;
}

#[tokio::test]
async fn what_one_process_of_the_registry_grants_or_revokes_is_so_at_once_there_and_soon_in_the_other()
 {
    let mut testing = start(SETTING, time("2026-05-04 09:00:00")).await;
    testing.apart().add(&["registry"]);
    let operators = each(&mut testing, "registry", &["operator"]);
    let [mut one, mut another] = [0, 1].map(|at| GrantServiceClient::new(operators[at].clone()));
    let callers = each(&mut testing, "registry", &[]);
    let let_through = async |process: usize| {
        let mut client = RegistryServiceClient::new(callers[process].clone());
        client
            .get_unit(registry::GetUnitRequest { name: unit("24"), as_of_date: None })
            .await
            .is_ok()
    };
    let grant = registry::Grant {
        // The subject of all tokens that the tests sign.
        subject: "tester".to_owned(),
        role: Role::Reader.into(),
        over: Some(registry::grant::Over::Everything(true)),
        reason: "Quyết định phân công".to_owned(),
        ..Default::default()
    };
    assert_eq!([let_through(0).await, let_through(1).await], [false; 2]);
    let request = registry::CreateGrantRequest { grant: Some(grant), ..Default::default() };
    let name = one.create_grant(request).await.unwrap().into_inner().name;
    assert!(let_through(0).await);
    eventually(SOON, async || let_through(1).await.then_some(())).await;
    let request = registry::RevokeGrantRequest { name, reason: "Thôi phân công".to_owned() };
    another.revoke_grant(request).await.unwrap();
    assert!(!let_through(1).await);
    eventually(SOON, async || (!let_through(0).await).then_some(())).await;
    testing.stop().await;
}

/// One commune goes to the other province, two become a new one there.
fn reorganisation() -> registry::Reorganisation {
    let [one, two, three, ..] = BAC_NINH;
    on("2026-05-01", vec![transfer(one, "52"), merge(&[two, three], new("21999", "52"))])
}

/// What each process of the registry holds, once all of them answer by this version: units through all times, what passed
/// between them, and by what.
async fn all_hold(testing: &mut Testing, version: i64) -> Vec<registry::Reorganisation> {
    let mut held = Vec::new();
    for peer in each(testing, "registry", &["operator"]) {
        let client = RegistryServiceClient::new(peer.clone());
        let follows = async || {
            let request = registry::ListUnitsRequest::default();
            let listed = client.clone().list_units(request).await.unwrap().into_inner();
            (listed.hierarchy_version == version).then_some(listed)
        };
        let listed = eventually(SOON, follows).await;
        let get = registry::GetUnitRequest { name: unit("24"), as_of_date: None };
        let got = client.clone().get_unit(get).await.unwrap().into_inner();
        assert_eq!(got.hierarchy_version, version);
        let request = registry::StreamUnitHistoriesRequest::default();
        let stream = client.clone().stream_unit_histories(request).await.unwrap().into_inner();
        let histories: Vec<_> = stream.map(Result::unwrap).collect().await;
        let request =
            registry::ListReorganisationsRequest { page_size: 1000, ..Default::default() };
        let mut reorganisations = ReorganisationServiceClient::new(peer);
        let recorded = reorganisations.list_reorganisations(request).await.unwrap().into_inner();
        held.push((listed, histories, recorded.reorganisations));
    }
    assert_eq!(held.len(), 2);
    assert_eq!(held[0], held[1]);
    held.remove(0).2
}

#[tokio::test]
async fn the_same_reorganisation_at_two_processes_at_once_is_recorded_once() {
    let mut testing = start(SETTING, time("2026-05-18 09:00:00")).await;
    testing.apart().add(&["registry"]);
    let known = version(&testing).await;
    let peers = each(&mut testing, "registry", &["operator"]);
    // Known by an id of its own, or only by that of the request.
    let by_id = under("sap-xep", reorganisation());
    let by_request = registry::CreateReorganisationRequest {
        request_id: Uuid::new_v4().to_string(),
        ..under("", on("2026-05-02", vec![rename(BAC_NINH[3], "Xã Tam Tiến Mới")]))
    };
    for (made, request) in (known + 1..).zip([by_id, by_request]) {
        let calls = (0..3).flat_map(|_| &peers).map(|peer| {
            let mut operator = ReorganisationServiceClient::new(peer.clone());
            let request = request.clone();
            async move { operator.create_reorganisation(request).await.unwrap().into_inner() }
        });
        let answers = join_all(calls).await;
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
        assert_eq!(answers[0].hierarchy_version, made);
        let recorded = all_hold(&mut testing, made).await;
        assert_eq!(recorded.len(), usize::try_from(made - known).unwrap());
    }
    testing.stop().await;
}

#[tokio::test]
async fn what_two_processes_change_of_the_units_at_once_all_comes_in_one_on_top_of_the_other() {
    let mut testing = start(SETTING, time("2026-05-18 09:00:00")).await;
    testing.apart().add(&["registry"]);
    let mut known = version(&testing).await;
    let peers = each(&mut testing, "registry", &["operator"]);
    let [one, another] = [0, 1].map(|at| ReorganisationServiceClient::new(peers[at].clone()));
    let create = async |client: &ReorganisationServiceClient<Peer>, request| {
        client.clone().create_reorganisation(request).await.map(tonic::Response::into_inner)
    };
    let mut recorded = 0;
    for round in 0..5 {
        // Two reorganisations of the same units.
        let [first, second] = [1, 2].map(|number| {
            let number = 2 * round + number;
            let name = format!("Đơn vị số {number}");
            let renames = [BAC_NINH[0], BAC_NINH[1]].map(|code| rename(code, &name));
            under(&format!("so-{number:02}"), on(&format!("2026-06-{number:02}"), renames.into()))
        });
        // Each of them, and an import, at the same moment.
        let importing = async {
            let rows = [row(&format!("1000{round}"), "24")].map(import_row);
            let mut client = RegistryServiceClient::new(peers[round % 2].clone());
            client.import_units(tokio_stream::iter(rows)).await.unwrap().into_inner()
        };
        let both = join(create(&one, first), create(&another, second));
        let ((first, second), imported) = join(both, importing).await;
        assert_eq!((imported.created_count, &imported.problems), (1, &vec![]));
        let mut made = [
            first.unwrap().hierarchy_version,
            second.unwrap().hierarchy_version,
            imported.hierarchy_version,
        ];
        made.sort_unstable();
        assert_eq!(made, [known + 1, known + 2, known + 3]);
        known += 3;
        recorded += 2;
        assert_eq!(all_hold(&mut testing, known).await.len(), recorded);
    }
    let reader = RegistryServiceClient::new(peers[0].clone());
    for round in 0..5 {
        let name = unit(&format!("1000{round}"));
        let get = registry::GetUnitRequest { name, as_of_date: None };
        reader.clone().get_unit(get).await.unwrap();
    }
    testing.stop().await;
}

#[tokio::test]
async fn of_two_reorganisations_at_once_that_contradict_each_other_one_is_recorded() {
    let mut testing = start(SETTING, time("2026-05-18 09:00:00")).await;
    testing.apart().add(&["registry"]);
    let mut known = version(&testing).await;
    let peers = each(&mut testing, "registry", &["operator"]);
    // The same commune becomes another one by each.
    for (commune, target) in [(BAC_NINH[0], GIA_LAI[0]), (BAC_NINH[1], GIA_LAI[1])] {
        let into = |into: &str| on("2026-05-01", vec![merge(&[commune], existing(into))]);
        let requests = [
            under(&format!("vao-{target}"), into(target)),
            under(&format!("vao-{commune}-khac"), into(BAC_NINH[4])),
        ];
        let calls = peers.iter().zip(requests).map(|(peer, request)| {
            let mut operator = ReorganisationServiceClient::new(peer.clone());
            async move { operator.create_reorganisation(request).await }
        });
        let (done, refused): (Vec<_>, Vec<_>) =
            join_all(calls).await.into_iter().partition(Result::is_ok);
        assert_eq!((done.len(), refused.len()), (1, 1));
        known += 1;
        assert_eq!(done[0].as_ref().unwrap().get_ref().hierarchy_version, known);
        let refused = refusal(refused[0].as_ref().unwrap_err());
        assert_eq!(refused, (Code::InvalidArgument, "CHANGES_CONTRADICT".to_owned()));
        all_hold(&mut testing, known).await;
    }
    testing.stop().await;
}

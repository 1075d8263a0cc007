//! What nobody should send: each is refused with a reason of the contract that says which field or row it is about, and
//! leaves nothing behind.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use dunghan_calendar::{Clock as _, SystemClock};
use dunghan_proto::aggregation::GetRollUpRequest;
use dunghan_proto::aggregation::aggregation_service_client::AggregationServiceClient;
use dunghan_proto::compliance::record_dossiers_request::{Header, Message};
use dunghan_proto::policy::Role;
use dunghan_proto::registry::contact_service_client::ContactServiceClient;
use dunghan_proto::registry::grant_service_client::GrantServiceClient;
use dunghan_proto::submission::value::Figure;
use dunghan_proto::submission::{CreateReportRequest, Ratio, Report, UpdateReportRequest, Value};
use dunghan_proto::r#type::Decimal;
use dunghan_proto::{compliance as pb, registry, submission};
use dunghan_rpc::{Identity, Issuer, field};
use dunghan_testkit::{Testing, fields, import_row, refusal};
use futures::StreamExt as _;
use tokio::sync::Notify;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::contract::pool;
use crate::raw::{call_path, refused};
use crate::setting::{Setting, everywhere};
use crate::world::{
    self, BAC_NINH, Everything, PERIOD, REGIME, begin, day, dossier, dossier_stream, due, import,
    nowhere, put_in_force, record, regime, report, row, start_over, submit, time, unit,
};

everywhere!(
    a_unit_that_there_is_not_is_refused_wherever_a_unit_is_named,
    a_period_that_there_is_not_is_refused_wherever_a_period_is_named,
    a_code_is_found_on_the_dates_on_which_it_is_held,
    a_report_for_a_period_that_has_not_begun_is_refused,
    a_report_is_handed_over_once,
    a_count_below_zero_is_refused,
    a_part_greater_than_its_whole_is_refused,
    what_is_no_decimal_is_refused_as_one,
    a_narrative_of_5_mb_is_refused_by_name,
    a_stream_whose_sender_is_gone_half_way_changes_nothing,
    a_stream_that_is_not_what_its_header_announces_changes_nothing,
    a_bulk_import_names_every_bad_row_and_applies_none,
    a_page_token_serves_only_the_call_that_gave_it,
    a_token_that_has_ended_or_was_made_up_lets_nobody_in,
    a_regime_whose_reports_would_be_due_before_the_cut_off_is_not_put_in_force,
    nobody_is_excused_without_a_reason,
);

pub(crate) fn now() -> DateTime<Utc> {
    time("2026-05-18 09:00:00")
}

/// Services with something of everything: units, regimes, a report that is submitted, a draft, a dossier.
pub(crate) async fn busy(setting: Setting) -> Testing {
    let testing = world::start(setting, now()).await;
    put_in_force(&testing, regime()).await.unwrap();
    let second =
        pb::Regime { name: "regimes/khac".to_owned(), form: "forms/text-1".to_owned(), ..regime() };
    put_in_force(&testing, second).await.unwrap();
    submit(&testing, BAC_NINH[0], figure(Figure::Count(78))).await;
    begin(&testing, BAC_NINH[1], figure(Figure::Count(78))).await.unwrap();
    let dossiers = vec![dossier("H1", time("2026-05-15 08:00:00"))];
    let recorded = record(&testing, dossier_stream(BAC_NINH[0], 1, dossiers)).await.unwrap();
    assert_eq!((recorded.created_count, recorded.problems), (1, vec![]));
    testing
}

/// A report that states one figure.
fn figure(figure: Figure) -> Report {
    report("portal_posts", figure)
}

/// The code and the reason of a refusal, the reason being one that the contract lists.
pub(crate) fn told(status: &Status) -> (Code, String) {
    let info = status.get_details_error_info().unwrap();
    let package = if info.domain == "dunghan" { "dunghan.policy" } else { info.domain.as_str() };
    let reasons = pool().get_enum_by_name(&format!("{package}.v1.ErrorReason")).unwrap();
    assert!(reasons.get_value_by_name(&info.reason).is_some(), "{info:?}");
    refusal(status)
}

/// A call and how it was refused.
type Refusal = (&'static str, Status);

/// Each is INVALID_ARGUMENT for this reason and names this field.
fn all_name_the_field(reason: &str, refusals: &[(Refusal, &str)]) {
    for ((what, status), named) in refusals {
        let expected = (Code::InvalidArgument, reason.to_owned());
        assert_eq!(told(status), expected, "{what}: {status:?}");
        assert_eq!(fields(status), [*named], "{what}");
    }
}

macro_rules! refused_by {
    ($call:expr) => {
        (stringify!($call), $call.await.map(drop).unwrap_err())
    };
}

async fn roll_up(testing: &Testing, scope: &str, period: &str) -> Result<(), Status> {
    let request = GetRollUpRequest {
        scope: scope.to_owned(),
        regime: REGIME.to_owned(),
        period: period.to_owned(),
        indicator: "portal_posts".to_owned(),
        category: String::new(),
    };
    let mut client = AggregationServiceClient::new(testing.channel(&["operator"]));
    client.get_roll_up(request).await.map(drop)
}

fn list_obligations(scope: &str, period: &str) -> pb::ListObligationsRequest {
    pb::ListObligationsRequest {
        scope: scope.to_owned(),
        period: period.to_owned(),
        ..Default::default()
    }
}

fn rate(scope: &str, period: &str) -> pb::GetReportingRateRequest {
    pb::GetReportingRateRequest {
        scope: scope.to_owned(),
        regime: REGIME.to_owned(),
        period: period.to_owned(),
        read_time: None,
    }
}

/// A reorganisation by which the unit ends.
fn ending(unit: &str) -> pb::ListAffectedObligationsRequest {
    pb::ListAffectedObligationsRequest {
        units: vec![unit.to_owned()],
        effective_date: Some(field::pb_date(day("2026-05-15"))),
        ..Default::default()
    }
}

/// A reorganisation after which it goes on otherwise.
fn changed(unit: &str) -> pb::ListAffectedObligationsRequest {
    let changed_units = vec![unit.to_owned()];
    pb::ListAffectedObligationsRequest { units: Vec::new(), changed_units, ..ending(unit) }
}

fn summarize(unit: &str, period: &str) -> pb::SummarizeDossiersRequest {
    pb::SummarizeDossiersRequest {
        parent: unit.to_owned(),
        period: period.to_owned(),
        fields: Vec::new(),
    }
}

fn list_reports(unit: &str, period: &str) -> submission::ListReportsRequest {
    submission::ListReportsRequest {
        parent: unit.to_owned(),
        period: period.to_owned(),
        ..Default::default()
    }
}

fn overdue(unit: &str) -> pb::ListOverdueDossiersRequest {
    pb::ListOverdueDossiersRequest { scope: unit.to_owned(), ..Default::default() }
}

fn list_notices(unit: &str) -> pb::ListNoticesRequest {
    pb::ListNoticesRequest { parent: unit.to_owned(), ..Default::default() }
}

fn watch(unit: &str) -> pb::WatchNoticesRequest {
    pb::WatchNoticesRequest { parent: unit.to_owned(), resume_token: String::new() }
}

/// A report for a unit that may not exist, begun by somebody whose role reaches everywhere.
fn create(unit: &str) -> CreateReportRequest {
    let report = Some(figure(Figure::Count(1)));
    CreateReportRequest { parent: unit.to_owned(), report, ..Default::default() }
}

fn naming(unit: &str, change: fn(&mut pb::Regime, String)) -> pb::CreateRegimeRequest {
    let mut regime = pb::Regime { name: "regimes/moi".to_owned(), ..regime() };
    change(&mut regime, unit.to_owned());
    pb::CreateRegimeRequest { regime: Some(regime), ..Default::default() }
}

fn receiving(unit: &str) -> pb::CreateRegimeRequest {
    naming(unit, |regime, unit| regime.receiving_unit = unit)
}

fn owed_below(unit: &str) -> pb::CreateRegimeRequest {
    naming(unit, |regime, subtree| {
        let levels = vec!["commune".to_owned()];
        regime.debtors = Some(pb::Debtors { subtree, levels, ..Default::default() });
    })
}

fn owed_by(unit: &str) -> pb::CreateRegimeRequest {
    naming(unit, |regime, unit| {
        regime.debtors = Some(pb::Debtors { units: vec![unit], ..Default::default() });
    })
}

fn header(unit: &str) -> tokio_stream::Once<pb::RecordDossiersRequest> {
    let header = Header { parent: unit.to_owned(), row_count: 0 };
    tokio_stream::once(pb::RecordDossiersRequest { message: Some(Message::Header(header)) })
}

/// How every call that takes a unit refuses this one; and the field in which it was.
async fn refusals_of(testing: &Testing, unit: &str) -> Vec<(Refusal, &'static str)> {
    let mut registry = world::registry(testing, &["reader"]);
    let name = || unit.to_owned();
    let get = registry::GetUnitRequest { name: name(), as_of_date: None };
    let children = registry::ListUnitsRequest { parent_unit: name(), ..Default::default() };
    let below = registry::ListDescendantsRequest { name: name(), ..Default::default() };
    let query = registry::resolve_unit_request::Query::DisplayName("Đơn vị".to_owned());
    let within = registry::ResolveUnitRequest {
        query: Some(query),
        ancestor_unit: name(),
        ..Default::default()
    };
    let lineage = registry::GetLineageRequest { name: name(), as_of_date: None };
    let rows = registry::StreamUnitRowsRequest { ancestor_unit: name(), ..Default::default() };
    let mut contacts = ContactServiceClient::new(testing.channel(&["operator"]));
    let of_unit = registry::ListContactsRequest { parent: name(), ..Default::default() };
    let contact = registry::Contact {
        role: registry::ContactRole::Head.into(),
        display_name: "Chủ tịch".to_owned(),
        ..Default::default()
    };
    let contact = registry::CreateContactRequest {
        parent: name(),
        contact: Some(contact),
        request_id: String::new(),
    };
    let mut grants = GrantServiceClient::new(testing.channel(&["operator"]));
    let grant = registry::Grant {
        subject: "lan".to_owned(),
        role: Role::Supervisor.into(),
        over: Some(registry::grant::Over::Unit(name())),
        reason: "Quyết định phân công".to_owned(),
        ..Default::default()
    };
    let grant = registry::CreateGrantRequest { grant: Some(grant), request_id: String::new() };
    let mut importer = world::submission(testing, &["importer"]);
    let mut operator = world::compliance(testing, &["operator"]);
    let mut dossiers = world::dossiers(testing, &["importer"]);
    let mut notices = world::notices(testing, &["operator"]);
    vec![
        (refused_by!(registry.get_unit(get)), "name"),
        (refused_by!(registry.list_units(children)), "parent_unit"),
        (refused_by!(registry.list_descendants(below)), "name"),
        (refused_by!(registry.resolve_unit(within)), "ancestor_unit"),
        (refused_by!(registry.get_lineage(lineage)), "name"),
        (refused_by!(registry.stream_unit_rows(rows)), "ancestor_unit"),
        (refused_by!(contacts.list_contacts(of_unit)), "parent"),
        (refused_by!(contacts.create_contact(contact)), "parent"),
        (refused_by!(grants.create_grant(grant)), "grant.unit"),
        (refused_by!(importer.create_report(create(unit))), "parent"),
        (refused_by!(importer.list_reports(list_reports(unit, ""))), "parent"),
        (refused_by!(operator.create_regime(receiving(unit))), "regime.receiving_unit"),
        (refused_by!(operator.create_regime(owed_below(unit))), "regime.debtors.subtree"),
        (refused_by!(operator.create_regime(owed_by(unit))), "regime.debtors.units"),
        (refused_by!(operator.list_obligations(list_obligations(unit, ""))), "scope"),
        (refused_by!(operator.get_reporting_rate(rate(unit, PERIOD))), "scope"),
        (refused_by!(operator.list_affected_obligations(ending(unit))), "units[0]"),
        (refused_by!(operator.list_affected_obligations(changed(unit))), "changed_units[0]"),
        (refused_by!(dossiers.record_dossiers(header(unit))), "header.parent"),
        (refused_by!(dossiers.list_overdue_dossiers(overdue(unit))), "scope"),
        (refused_by!(dossiers.summarize_dossiers(summarize(unit, PERIOD))), "parent"),
        (refused_by!(notices.list_notices(list_notices(unit))), "parent"),
        (refused_by!(notices.watch_notices(watch(unit))), "parent"),
        (refused_by!(roll_up(testing, unit, PERIOD)), "scope"),
    ]
}

async fn a_unit_that_there_is_not_is_refused_wherever_a_unit_is_named(setting: Setting) {
    let testing = busy(setting).await;
    let before = Everything::of(&testing).await;
    for ((what, status), _) in refusals_of(&testing, &nowhere()).await {
        let own = status.get_details_error_info().unwrap().domain == "dunghan.registry";
        let reason = if own { "UNIT_NOT_FOUND" } else { "UNKNOWN_UNIT" };
        let expected = (Code::NotFound, reason.to_owned());
        assert_eq!(told(&status), expected, "{what}: {status:?}");
        let metadata = status.get_details_error_info().unwrap().metadata;
        assert!(metadata.values().any(|value| *value == nowhere()), "{what}: {metadata:?}");
    }
    for bad in ["units/24", "24", "units/", "units/0198f000-0000-7000-8000-00000000000g"] {
        all_name_the_field("INVALID_FIELD", &refusals_of(&testing, bad).await);
    }
    before.must_be_all_of(&testing).await;
}

async fn a_period_that_there_is_not_is_refused_wherever_a_period_is_named(setting: Setting) {
    let testing = busy(setting).await;
    let before = Everything::of(&testing).await;
    let (code, commune) = (BAC_NINH[2], unit(BAC_NINH[2]));
    let mut reporter = world::submission(&testing, &["reporter"]);
    let mut operator = world::compliance(&testing, &["operator"]);
    let mut dossiers = world::dossiers(&testing, &["importer"]);
    let backwards = "2026-05-14--2026-04-15";
    for bad in ["202613", "2026Q5", "2026S3", "may", "2026-05", backwards, "2026-02-01--2026-02-30"]
    {
        let of = |period: &str| Report { period: period.to_owned(), ..figure(Figure::Count(1)) };
        let once = pb::Regime {
            name: "regimes/moi".to_owned(),
            frequency: pb::Frequency::Once.into(),
            once_period: bad.to_owned(),
            ..regime()
        };
        let refusals = [
            (refused_by!(begin(&testing, code, of(bad))), "report.period"),
            (refused_by!(reporter.list_reports(list_reports(&commune, bad))), "period"),
            (refused_by!(operator.list_obligations(list_obligations(&commune, bad))), "period"),
            (refused_by!(operator.get_reporting_rate(rate(&commune, bad))), "period"),
            (refused_by!(dossiers.summarize_dossiers(summarize(&commune, bad))), "period"),
            (refused_by!(put_in_force(&testing, once)), "regime.once_period"),
            (refused_by!(roll_up(&testing, &commune, bad)), "period"),
        ];
        all_name_the_field("INVALID_PERIOD", &refusals);
    }
    // Periods that there are, but not under this regime: another frequency, and before it was in force.
    for not_asked in ["2026Q2", "2026", "202604"] {
        let report = Report { period: not_asked.to_owned(), ..figure(Figure::Count(1)) };
        let refusals = [(refused_by!(begin(&testing, code, report)), "report.period")];
        all_name_the_field("PERIOD_NOT_OF_REGIME", &refusals);
    }
    before.must_be_all_of(&testing).await;
}

async fn a_code_is_found_on_the_dates_on_which_it_is_held(setting: Setting) {
    let testing = busy(setting).await;
    let mut registry = world::registry(&testing, &["reader"]);
    for (code, as_of, reason, held) in [
        ("09421", None, "CODE_NOT_VALID_ON_DATE", "../2025-06-30"),
        ("09421", Some("2025-07-01"), "CODE_NOT_VALID_ON_DATE", "../2025-06-30"),
        ("09427", Some("2025-06-30"), "CODE_NOT_VALID_ON_DATE", "2025-07-01/.."),
        ("9427", None, "CODE_NOT_FOUND", ""),
        ("00000", Some("2026-05-18"), "CODE_NOT_FOUND", ""),
    ] {
        let identifier = registry::Identifier { scheme: "nso".to_owned(), value: code.to_owned() };
        let request = registry::ResolveUnitRequest {
            query: Some(registry::resolve_unit_request::Query::Identifier(identifier)),
            as_of_date: as_of.map(|date| field::pb_date(day(date))),
            ..Default::default()
        };
        let status = registry.resolve_unit(request).await.unwrap_err();
        assert_eq!(told(&status), (Code::NotFound, reason.to_owned()), "{code}");
        let metadata = status.get_details_error_info().unwrap().metadata;
        assert_eq!(metadata["value"], code);
        assert_eq!(metadata["as_of_date"], as_of.unwrap_or("2026-05-18"));
        assert!(metadata["held"].ends_with(held), "{code}: {metadata:?}");
    }
}

async fn a_report_for_a_period_that_has_not_begun_is_refused(setting: Setting) {
    let testing = busy(setting).await;
    let before = Everything::of(&testing).await;
    let july = || Report { period: "202607".to_owned(), ..figure(Figure::Count(1)) };
    let refusals = [(refused_by!(begin(&testing, BAC_NINH[2], july())), "report.period")];
    all_name_the_field("PERIOD_NOT_OPEN", &refusals);
    let metadata = refusals[0].0.1.get_details_error_info().unwrap().metadata;
    assert_eq!(metadata["open_date"], "2026-06-15");
    before.must_be_all_of(&testing).await;
    assert!(before.obligations.iter().all(|one| one.period != "202607"));
    // The first day is one of it.
    testing.clock.set(time("2026-06-15 00:00:00"));
    begin(&testing, BAC_NINH[2], july()).await.unwrap();
}

async fn a_report_is_handed_over_once(setting: Setting) {
    let testing = busy(setting).await;
    let before = Everything::of(&testing).await;
    let submitted = |report: &&Report| report.state() == submission::report::State::Submitted;
    let name = before.reports.iter().find(submitted).unwrap().name.clone();
    testing.clock.set(due());

    let again = world::hand_over(&testing, &name).await.unwrap_err();
    let already = (Code::FailedPrecondition, "ALREADY_SUBMITTED".to_owned());
    assert_eq!(told(&again), already);
    let metadata = again.get_details_error_info().unwrap().metadata;
    assert_eq!(metadata["report"], name);
    assert_eq!(metadata["receive_time"], now().to_rfc3339());
    let changed = Report { name: name.clone(), ..figure(Figure::Count(1)) };
    assert_eq!(told(&update(&testing, changed).await.unwrap_err()), already);
    let second = begin(&testing, BAC_NINH[0], figure(Figure::Count(1))).await.unwrap_err();
    assert_eq!(told(&second), (Code::AlreadyExists, "REPORT_EXISTS".to_owned()));
    assert_eq!(second.get_details_error_info().unwrap().metadata["report"], name);

    testing.clock.set(now());
    before.must_be_all_of(&testing).await;
}

async fn update(testing: &Testing, report: Report) -> Result<Report, Status> {
    let mut client = world::submission(testing, &["reporter"]);
    let request = UpdateReportRequest { report: Some(report), update_mask: None };
    Ok(client.update_report(request).await?.into_inner())
}

/// Each of these values is refused for the reason and names the field, in a new report and in a draft alike; the
/// report's other figure is good.
async fn values_are_refused(setting: Setting, reason: &str, bad: &[(Value, &str)]) {
    let testing = busy(setting).await;
    let before = Everything::of(&testing).await;
    let draft = |report: &&Report| report.state() == submission::report::State::Draft;
    let draft = before.reports.iter().find(draft).unwrap().name.clone();
    for (value, part) in bad {
        let mut report = figure(Figure::Count(78));
        report.values.push(value.clone());
        let field = format!("report.values[1].{part}");
        let new = ("a new report", begin(&testing, BAC_NINH[2], report.clone()).await);
        let changed = ("a draft", update(&testing, Report { name: draft.clone(), ..report }).await);
        for (what, answer) in [new, changed] {
            let status = answer.expect_err(&format!("{what}: {value:?}"));
            let expected = (Code::InvalidArgument, reason.to_owned());
            assert_eq!(told(&status), expected, "{what}: {value:?}");
            assert_eq!(fields(&status), [field.as_str()], "{what}: {value:?}");
        }
    }
    before.must_be_all_of(&testing).await;
}

fn stating(indicator: &str, figure: Figure) -> Value {
    Value { indicator: indicator.to_owned(), figure: Some(figure), ..Default::default() }
}

fn ratio(numerator: i64, denominator: i64) -> Value {
    stating("dossiers_received_online", Figure::Ratio(Ratio { numerator, denominator }))
}

async fn a_count_below_zero_is_refused(setting: Setting) {
    let count = |count| stating("feedback_received", Figure::Count(count));
    let bad = [
        (count(-1), "count"),
        (count(i64::MIN), "count"),
        (ratio(-1, 5), "ratio.numerator"),
        (ratio(0, -5), "ratio.denominator"),
    ];
    values_are_refused(setting, "NEGATIVE_COUNT", &bad).await;
}

async fn a_part_greater_than_its_whole_is_refused(setting: Setting) {
    let bad = [(6, 5), (1, 0), (i64::MAX, i64::MAX - 1)]
        .map(|(part, whole)| (ratio(part, whole), "ratio.numerator"));
    values_are_refused(setting, "PART_EXCEEDS_WHOLE", &bad).await;
}

async fn what_is_no_decimal_is_refused_as_one(setting: Setting) {
    let texts = ["NaN", "Infinity", "-Infinity", "inf", "1e308", "1e2", "", " ", "84,5", "0x10"];
    let long = ["1".repeat(400), "0.".to_owned() + &"3".repeat(400), "1000000".to_owned()];
    let texts = texts.map(str::to_owned).into_iter().chain(long);
    let bad: Vec<_> = texts
        .flat_map(|value| {
            let decimal = Decimal { value };
            let percent = stating("staff_with_computer", Figure::Percent(decimal.clone()));
            let beside = Value { stated_percent: Some(decimal), ..ratio(4, 5) };
            [(percent, "percent"), (beside, "stated_percent")]
        })
        .collect();
    values_are_refused(setting, "NOT_A_NUMBER", &bad).await;
}

async fn a_narrative_of_5_mb_is_refused_by_name(setting: Setting) {
    let testing = busy(setting).await;
    let before = Everything::of(&testing).await;
    let draft = begin(&testing, BAC_NINH[1], figure(Figure::Count(1))).await.unwrap_err();
    let name = draft.get_details_error_info().unwrap().metadata["report"].clone();
    let narrative = "Kết quả. ".repeat(5_000_000 / "Kết quả. ".len() + 1);
    let long = Report { narrative, ..figure(Figure::Count(1)) };
    let changed = Report { name, ..long.clone() };
    let refusals = [
        (refused_by!(begin(&testing, BAC_NINH[2], long)), "report.narrative"),
        (refused_by!(update(&testing, changed)), "report.narrative"),
    ];
    all_name_the_field("TOO_LONG", &refusals);
    before.must_be_all_of(&testing).await;
}

/// The messages, and then nothing: neither another one nor the end. Tells when the last has gone out.
pub(crate) fn unfinished<T>(messages: Vec<T>) -> (impl futures::Stream<Item = T>, Arc<Notify>) {
    let sent = Arc::new(Notify::new());
    let tells = sent.clone();
    let never = futures::stream::poll_fn(move |_| {
        tells.notify_one();
        std::task::Poll::Pending
    });
    (tokio_stream::iter(messages).chain(never), sent)
}

async fn a_stream_whose_sender_is_gone_half_way_changes_nothing(setting: Setting) {
    let testing = busy(setting).await;
    let before = Everything::of(&testing).await;
    // Each row is good; only the rest is missing.
    let (units, units_sent) =
        unfinished(vec![import_row(row("10001", "24")), import_row(row("10002", "24"))]);
    let rows = ["H8", "H9"].map(|number| dossier(number, time("2026-05-15 08:00:00")));
    let (rows, rows_sent) = unfinished(dossier_stream(BAC_NINH[0], 3, rows.into()));
    let mut registry = world::registry(&testing, &["operator"]);
    let mut dossiers = world::dossiers(&testing, &["importer"]);
    let (mut importing, mut recording) = (registry.clone(), dossiers.clone());
    let importing = tokio::spawn(Box::pin(async move { importing.import_units(units).await }));
    let recording = tokio::spawn(Box::pin(async move { recording.record_dossiers(rows).await }));
    units_sent.notified().await;
    rows_sent.notified().await;
    // On the same connections, so the rows are there before these are answered.
    registry.list_units(registry::ListUnitsRequest::default()).await.unwrap();
    dossiers.list_overdue_dossiers(overdue(&unit("24"))).await.unwrap();
    for call in [importing.abort_handle(), recording.abort_handle()] {
        call.abort();
    }
    assert!(importing.await.unwrap_err().is_cancelled());
    assert!(recording.await.unwrap_err().is_cancelled());
    drop((registry, dossiers));
    // Stopping waits for calls in flight.
    let testing = start_over(setting, testing.stop().await, now()).await;
    before.must_be_all_of(&testing).await;
}

async fn a_stream_that_is_not_what_its_header_announces_changes_nothing(setting: Setting) {
    let testing = busy(setting).await;
    let before = Everything::of(&testing).await;
    let rows = || ["H8", "H9"].map(|one| dossier(one, time("2026-05-15 08:00:00"))).to_vec();
    let broken = (Code::Aborted, "STREAM_BROKEN".to_owned());
    for announced in [0, 1, 3, 200_000] {
        let stream = dossier_stream(BAC_NINH[0], announced, rows());
        let status = record(&testing, stream).await.unwrap_err();
        assert_eq!(told(&status), broken, "{announced}");
    }
    let whole = || dossier_stream(BAC_NINH[0], 2, rows());
    let headless = whole().split_off(1);
    let mut two_headers = whole();
    two_headers.insert(2, two_headers[0].clone());
    let empty = pb::RecordDossiersRequest { message: None };
    let mut with_empty = whole();
    with_empty.push(empty);
    let negative = {
        let header = Header { parent: unit(BAC_NINH[0]), row_count: -1 };
        vec![pb::RecordDossiersRequest { message: Some(Message::Header(header)) }]
    };
    for (what, stream, reason, named) in [
        ("nothing", Vec::new(), "HEADER_MISSING", "header"),
        ("no header", headless, "HEADER_MISSING", "header"),
        ("two headers", two_headers, "INVALID_FIELD", "row"),
        ("an empty message", with_empty, "INVALID_FIELD", "row"),
        ("fewer than none", negative, "INVALID_FIELD", "header.row_count"),
        ("too many", dossier_stream(BAC_NINH[0], 200_001, rows()), "TOO_MANY_ROWS", "row"),
    ] {
        let status = record(&testing, stream).await.unwrap_err();
        let expected = (Code::InvalidArgument, reason.to_owned());
        assert_eq!(told(&status), expected, "{what}");
        assert_eq!(fields(&status), [named], "{what}");
    }
    before.must_be_all_of(&testing).await;
}

async fn a_bulk_import_names_every_bad_row_and_applies_none(setting: Setting) {
    let testing = busy(setting).await;
    let before = Everything::of(&testing).await;
    let units = vec![
        row("10001", "24"),
        row("1000", "24"),
        registry::UnitRow { display_name: String::new(), ..row("10002", "24") },
        registry::UnitRow { kind: 99, level: 0, ..row("10003", "24") },
        row("10004", "98"),
        registry::UnitRow {
            valid_through_date: Some(field::pb_date(day("2025-06-30"))),
            ..row("10005", "24")
        },
        // Its row has a number of its own.
        registry::UnitRow { row: 70, ..row("10006", "10006") },
        registry::UnitRow {
            valid_from_date: Some(field::pb_date(day("2026-01-01"))),
            ..row(BAC_NINH[0], "24")
        },
    ];
    let received = i32::try_from(units.len()).unwrap();
    let answer = import(&testing, units).await.unwrap();
    let problems: Vec<_> = answer
        .problems
        .iter()
        .map(|one| (one.row, one.field.as_str(), one.reason().as_str_name()))
        .collect();
    let expected = [
        (2, "code", "ERROR_REASON_ROW_INVALID"),
        (3, "display_name", "ERROR_REASON_ROW_INVALID"),
        (4, "kind", "ERROR_REASON_ROW_INVALID"),
        (4, "level", "ERROR_REASON_ROW_INVALID"),
        (5, "parent_code", "ERROR_REASON_PARENT_NOT_VALID"),
        (6, "valid_through_date", "ERROR_REASON_ROW_INVALID"),
        (8, "code", "ERROR_REASON_CODE_TAKEN"),
        (70, "parent_code", "ERROR_REASON_CYCLE"),
    ];
    assert_eq!(problems, expected, "{:#?}", answer.problems);
    assert_eq!((answer.received_count, answer.created_count), (received, 0));
    assert!(answer.problems.iter().all(|one| !one.message.is_empty()));

    let received = time("2026-05-15 08:00:00");
    let with = |number: &str, change: fn(&mut pb::Dossier)| {
        let mut row = dossier(number, time("2026-05-15 08:00:00"));
        change(row.dossier.as_mut().unwrap());
        row
    };
    let rows = vec![
        dossier("H8", received),
        dossier("H8", received),
        dossier("H 9", received),
        with("H10", |one| one.field = " ".to_owned()),
        with("H11", |one| one.channel = 7),
        with("H12", |one| one.receive_time = None),
        with("H13", |one| one.receive_time = Some(field::pb_time(due()))),
        with("H14", |one| one.term = "-1d".to_owned()),
        with("H15", |one| {
            one.complete_time = Some(field::pb_time(time("2026-05-15 07:59:59")));
        }),
        // Another field than the one that was recorded.
        with("H1", |one| one.field = "Đất đai".to_owned()),
        dossier("H17", time("2025-06-30 08:00:00")),
    ];
    let answer = record(&testing, dossier_stream(BAC_NINH[0], rows.len(), rows)).await.unwrap();
    let problems: Vec<_> = answer
        .problems
        .iter()
        .map(|one| (one.row, one.field.as_str(), one.reason().as_str_name()))
        .collect();
    let expected = [
        (2, "dossier_id", "ERROR_REASON_DUPLICATE_ROW"),
        (3, "dossier_id", "ERROR_REASON_ROW_INVALID"),
        (4, "field", "ERROR_REASON_ROW_INVALID"),
        (5, "channel", "ERROR_REASON_ROW_INVALID"),
        (6, "receive_time", "ERROR_REASON_ROW_INVALID"),
        (7, "receive_time", "ERROR_REASON_TIME_IN_FUTURE"),
        (8, "term", "ERROR_REASON_ROW_INVALID"),
        (9, "complete_time", "ERROR_REASON_TIMES_REVERSED"),
        (10, "field", "ERROR_REASON_RECORD_IS_FINAL"),
        (11, "receive_time", "ERROR_REASON_UNIT_NOT_VALID"),
    ];
    assert_eq!(problems, expected, "{:#?}", answer.problems);
    assert_eq!((answer.received_count, answer.created_count), (11, 0));
    before.must_be_all_of(&testing).await;
}

async fn a_page_token_serves_only_the_call_that_gave_it(setting: Setting) {
    let testing = busy(setting).await;
    let mut registry = world::registry(&testing, &["reader"]);
    let mut importer = world::registry(&testing, &["operator"]);
    let mut recorded = crate::changes::reorganisations(&testing, &["reader"]);
    let mut reader = world::submission(&testing, &["reader"]);
    let mut of_forms = world::forms(&testing, &["reader"]);
    let mut operator = world::compliance(&testing, &["operator"]);
    let mut dossiers = world::dossiers(&testing, &["reader"]);
    let mut notices = world::notices(&testing, &["operator"]);
    let units = |page_token: &str| registry::ListUnitsRequest {
        page_size: 1,
        page_token: page_token.to_owned(),
        ..Default::default()
    };
    let obligations = |page_token: &str| pb::ListObligationsRequest {
        page_size: 1,
        page_token: page_token.to_owned(),
        ..Default::default()
    };
    let reports = |page_token: &str| submission::ListReportsRequest {
        page_size: 1,
        page_token: page_token.to_owned(),
        ..Default::default()
    };
    let regimes = |page_token: &str| pb::ListRegimesRequest {
        page_size: 1,
        page_token: page_token.to_owned(),
        ..Default::default()
    };
    let reorganisations = |page_token: &str| registry::ListReorganisationsRequest {
        page_size: 1,
        page_token: page_token.to_owned(),
    };
    let imports = |page_token: &str| registry::ListUnitImportsRequest {
        page_size: 1,
        page_token: page_token.to_owned(),
    };
    let forms = |page_token: &str| submission::ListFormsRequest {
        page_size: 1,
        page_token: page_token.to_owned(),
    };
    let tokens = [
        registry.list_units(units("")).await.unwrap().into_inner().next_page_token,
        operator.list_obligations(obligations("")).await.unwrap().into_inner().next_page_token,
        reader.list_reports(reports("")).await.unwrap().into_inner().next_page_token,
        operator.list_regimes(regimes("")).await.unwrap().into_inner().next_page_token,
    ];
    assert!(tokens.iter().all(|token| !token.is_empty()), "{tokens:?}");
    let [of_units, of_obligations, of_reports, of_regimes] = &tokens;
    let below = registry::ListDescendantsRequest {
        name: unit("24"),
        page_token: of_units.clone(),
        ..Default::default()
    };
    let communes = registry::ListUnitsRequest {
        levels: vec![registry::Level::Commune.into()],
        ..units(of_units)
    };
    let scoped = pb::ListObligationsRequest { scope: unit("24"), ..obligations(of_obligations) };
    let then = pb::ListObligationsRequest {
        read_time: Some(field::pb_time(due())),
        ..obligations(of_obligations)
    };
    let drafts = submission::ListReportsRequest {
        states: vec![submission::report::State::Draft.into()],
        ..reports(of_reports)
    };
    let late = pb::ListOverdueDossiersRequest {
        page_token: of_obligations.clone(),
        ..overdue(&unit("24"))
    };
    let told = pb::ListNoticesRequest { page_token: of_reports.clone(), ..Default::default() };
    let mut cut = of_regimes.clone();
    cut.pop();
    let named = "page_token";
    let refusals = [
        (refused_by!(registry.list_descendants(below)), named),
        (refused_by!(registry.list_units(communes)), named),
        (refused_by!(operator.list_obligations(scoped)), named),
        (refused_by!(operator.list_obligations(then)), named),
        (refused_by!(operator.list_obligations(obligations(of_units))), named),
        (refused_by!(reader.list_reports(drafts)), named),
        (refused_by!(dossiers.list_overdue_dossiers(late)), named),
        (refused_by!(notices.list_notices(told)), named),
        (refused_by!(recorded.list_reorganisations(reorganisations(of_units))), named),
        (refused_by!(importer.list_unit_imports(imports(of_units))), named),
        (refused_by!(operator.list_regimes(regimes(of_reports))), named),
        (refused_by!(of_forms.list_forms(forms(of_regimes))), named),
        (refused_by!(operator.list_regimes(regimes(&cut))), named),
        (refused_by!(operator.list_regimes(regimes("7b7d"))), named),
        (refused_by!(operator.list_regimes(regimes("ếế"))), named),
    ];
    all_name_the_field("INVALID_PAGE_TOKEN", &refusals);
    // Each still serves its own.
    assert_eq!(registry.list_units(units(of_units)).await.unwrap().get_ref().units.len(), 1);
    operator.list_regimes(regimes(of_regimes)).await.unwrap();
}

async fn a_token_that_has_ended_or_was_made_up_lets_nobody_in(setting: Setting) {
    let testing = busy(setting).await;
    let before = Everything::of(&testing).await;
    let issuer = &testing.issuer;
    let grants = vec!["operator".parse().unwrap(), "importer".parse().unwrap()];
    let identity = Identity { subject: "tester".to_owned(), grants };
    let wall = SystemClock.now();
    let ended = issuer.sign(&identity, wall - TimeDelta::hours(2), TimeDelta::hours(1)).unwrap();
    let strange = Issuer::ephemeral().unwrap();
    let strange = strange.sign(&identity, wall, TimeDelta::hours(1)).unwrap();
    let good = testing.token(&["reader"]);
    let (_, signature) = good.rsplit_once('.').unwrap();
    let (claims, _) = strange.rsplit_once('.').unwrap();
    let (_, payload) = claims.split_once('.').unwrap();
    // {"alg":"none","typ":"at+jwt"}
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{payload}.");
    let forged = format!("{claims}.{signature}");
    let peer = testing.anonymous();
    for (what, token) in [
        ("ended", ended.as_str()),
        ("of a strange issuer", &strange),
        ("with another one's signature", &forged),
        ("unsigned", &unsigned),
        ("cut", &good[..good.len() - 8]),
        ("no token", "operator"),
        ("empty", ""),
    ] {
        for path in [
            "/dunghan.registry.v1.RegistryService/ListUnits",
            "/dunghan.registry.v1.RegistryService/ImportUnits",
            "/dunghan.submission.v1.SubmissionService/CreateReport",
            "/dunghan.compliance.v1.ComplianceService/RunSweep",
            "/dunghan.compliance.v1.NoticeService/WatchNotices",
        ] {
            let what = format!("{what} {path}");
            let answer = call_path(&peer, Some(token), path, Vec::new()).await;
            let expected = (Code::Unauthenticated, "UNAUTHENTICATED".to_owned());
            assert_eq!(refused(answer, &what).await, expected, "{what}");
        }
    }
    before.must_be_all_of(&testing).await;
}

async fn a_regime_whose_reports_would_be_due_before_the_cut_off_is_not_put_in_force(
    setting: Setting,
) {
    use pb::regime::DueRule::{self, DayOfMonth, WorkingDaysAfterCutOff};
    let day_of = |day, month| Some(DayOfMonth(pb::DayOfMonth { day, month }));
    let testing = busy(setting).await;
    let before = Everything::of(&testing).await;
    let with = |frequency: pb::Frequency, due_rule: Option<DueRule>| pb::Regime {
        name: "regimes/moi".to_owned(),
        frequency: frequency.into(),
        due_rule,
        ..regime()
    };
    let once = |interval: &str, due_rule| pb::Regime {
        once_period: interval.to_owned(),
        ..with(pb::Frequency::Once, due_rule)
    };
    for bad in [
        // On the cut-off day, and the day before.
        with(pb::Frequency::Month, day_of(14, 0)),
        with(pb::Frequency::Month, day_of(13, 0)),
        with(pb::Frequency::SixMonths, day_of(24, 5)),
        with(pb::Frequency::Year, day_of(25, 11)),
        once("2026-01-01--2026-12-31", day_of(1, 12)),
    ] {
        let refusals = [(refused_by!(put_in_force(&testing, bad)), "regime.due_rule")];
        all_name_the_field("DUE_BEFORE_CUT_OFF", &refusals);
    }
    for (days, named) in
        [(0, "regime.working_days_after_cut_off"), (-3, "regime.working_days_after_cut_off")]
    {
        let bad = with(pb::Frequency::Month, Some(WorkingDaysAfterCutOff(days)));
        let refusals = [(refused_by!(put_in_force(&testing, bad)), named)];
        all_name_the_field("INVALID_REGIME", &refusals);
    }
    before.must_be_all_of(&testing).await;
    // The day after the cut-off is the first that can be asked for.
    let amending =
        pb::Regime { amends: REGIME.to_owned(), ..with(pb::Frequency::Month, day_of(15, 0)) };
    put_in_force(&testing, amending).await.unwrap();
}

async fn nobody_is_excused_without_a_reason(setting: Setting) {
    let testing = busy(setting).await;
    let before = Everything::of(&testing).await;
    let mut supervisor = world::decisions(&testing, &["supervisor"]);
    let waiver = |document: &str, reason: &str| {
        let mut request = world::waiver(BAC_NINH[2]);
        let decision = request.decision.as_mut().unwrap();
        (decision.document, decision.reason) = (document.to_owned(), reason.to_owned());
        request
    };
    let refusals = [
        (refused_by!(supervisor.create_decision(waiver("12/QĐ-UBND", ""))), "decision.reason"),
        (refused_by!(supervisor.create_decision(waiver("12/QĐ-UBND", " \t\n"))), "decision.reason"),
        (refused_by!(supervisor.create_decision(waiver("", "Thiên tai"))), "decision.document"),
    ];
    all_name_the_field("REQUIRED_FIELD_MISSING", &refusals);
    let long = "Thiên tai".repeat(300);
    let refused = refused_by!(supervisor.create_decision(waiver("12/QĐ-UBND", &long)));
    let refusals = [(refused, "decision.reason")];
    all_name_the_field("INVALID_FIELD", &refusals);
    let submitted = world::waiver(BAC_NINH[0]);
    let status = supervisor.create_decision(submitted).await.unwrap_err();
    let expected = (Code::FailedPrecondition, "ALREADY_SUBMITTED".to_owned());
    assert_eq!(told(&status), expected);
    before.must_be_all_of(&testing).await;
}

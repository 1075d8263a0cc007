//! What a unit owes, as calendars subscribe to it by an address.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use dunghan_calendar::{Clock as _, SystemClock};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::extension::Until;
use dunghan_proto::policy::Role;
use dunghan_proto::registry;
use dunghan_proto::registry::grant_service_client::GrantServiceClient;
use dunghan_rpc::{Identity, Issuer, field};
use dunghan_testkit::{Answer, Engine, Mode, Place, Testing, ask, eventually, start_in};
use icalendar::{Calendar, Component as _, DatePerhapsTime};

use crate::setting::{Setting, everywhere};
use crate::suite;
use crate::world::{
    PERIOD, REGIME, compliance, day, decisions, import_all, nowhere, put_in_force, regime, time,
    unit, waiver,
};

everywhere!(
    a_calendar_shows_its_token_in_any_of_three_ways_and_reads_what_a_call_is_answered,
    whoever_may_not_read_a_calendar_is_told_so_and_what_there_is_not_is_not_there,
    a_calendar_is_sent_again_when_it_says_something_else_and_only_then,
    a_grant_that_is_revoked_shuts_the_address,
);

const NOW: &str = "2026-05-18 08:00:00";
const UNIT: &str = "07210";
/// How long a grant may take to be known in all processes.
const SOON: Duration = Duration::from_secs(30);

/// All services, with feeds; the communes of Bắc Ninh report each month.
async fn start(setting: Setting) -> Testing {
    let keys = [("compliance.sweep_cron", ""), ("feeds.listen", "127.0.0.1:0")];
    let testing = start_in(setting.mode, suite(), setting.place().await, time(NOW), &keys).await;
    import_all(&testing).await;
    put_in_force(&testing, regime()).await.unwrap();
    testing
}

fn address(unit: &str) -> String {
    format!("/{unit}/owed.ics")
}

/// Reads a path with headers.
async fn get(testing: &Testing, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask(testing.feeds("compliance"), "GET", path, headers).await
}

/// Reads what a unit owes with a token.
async fn read(testing: &Testing, unit: &str, token: &str) -> Answer {
    get(testing, &address(unit), &[("authorization", &format!("Bearer {token}"))]).await
}

fn basic(token: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("van-thu:{token}")))
}

/// Each event's period, first day and sequence.
fn events(calendar: &str) -> Vec<(String, String, u32)> {
    let calendar: Calendar = calendar.parse().unwrap();
    let events = calendar.components.iter().map(|one| {
        let event = one.as_event().unwrap();
        let period = event.get_uid().unwrap().split(['~', '@']).nth(1).unwrap().to_owned();
        let Some(DatePerhapsTime::Date(first)) = event.get_start() else { panic!("{event:?}") };
        let sequence = event.property_value("SEQUENCE").unwrap().parse().unwrap();
        (period, first.to_string(), sequence)
    });
    events.collect()
}

async fn a_calendar_shows_its_token_in_any_of_three_ways_and_reads_what_a_call_is_answered(
    setting: Setting,
) {
    let testing = start(setting).await;
    let unit = unit(UNIT);
    let request = pb::ExportOwedCalendarRequest { unit: unit.clone(), ..Default::default() };
    let grant = format!("reader@{unit}");
    let called = compliance(&testing, &[&grant]).export_owed_calendar(request).await;
    let called = called.unwrap().into_inner().content;

    let token = testing.token(&[&grant]);
    let (path, bearer) = (address(&unit), format!("Bearer {token}"));
    let password = get(&testing, &path, &[("authorization", &basic(&token))]).await;
    let bearer = get(&testing, &path, &[("authorization", &bearer)]).await;
    let in_address = get(&testing, &format!("{path}?access_token={token}"), &[]).await;
    for answer in [&password, &bearer, &in_address] {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), "text/calendar; charset=utf-8");
        assert_eq!(answer.header("cache-control"), "private, max-age=900");
        assert_eq!(answer.header("etag"), password.header("etag"));
        assert_eq!(answer.body, called);
    }
    let feeds = testing.feeds("compliance");
    let head = ask(feeds, "HEAD", &path, &[("authorization", &basic(&token))]).await;
    assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""));
    let length = called.len().to_string();
    let of_head = ["etag", "content-type", "content-length"].map(|name| head.header(name));
    let expected = [password.header("etag"), "text/calendar; charset=utf-8", &length];
    assert_eq!(of_head, expected);

    // It reads back as what is owed from today on for a year.
    let read: Calendar = called.parse().unwrap();
    assert_eq!(read.get_name(), Some("Báo cáo phải gửi – Đơn vị 07210"));
    assert_eq!(read.property_value("REFRESH-INTERVAL"), Some("PT6H"));
    let first = read.components[0].as_event().unwrap();
    let summary = "Hạn gửi “Báo cáo chuyển đổi số hằng tháng của cấp xã” kỳ tháng 5 năm 2026";
    assert_eq!(first.get_summary(), Some(summary));
    let description = first.get_description().unwrap();
    assert!(description.contains("Nơi nhận: Sở Khoa học và Công nghệ."), "{description}");
    let all = events(&called);
    assert_eq!(all[0], (PERIOD.to_owned(), "2026-05-19".to_owned(), all[0].2));
    let periods: Vec<_> = all.iter().map(|(period, ..)| period.as_str()).collect();
    let year = (5..=12).map(|month| format!("2026{month:02}"));
    let year: Vec<_> = year.chain((1..=4).map(|month| format!("2027{month:02}"))).collect();
    assert_eq!(periods, year);
    testing.stop().await;
}

async fn whoever_may_not_read_a_calendar_is_told_so_and_what_there_is_not_is_not_there(
    setting: Setting,
) {
    let testing = start(setting).await;
    let (own, path) = (unit(UNIT), address(&unit(UNIT)));
    let of_all = testing.token(&["reader"]);
    let grants = vec!["reader".parse().unwrap()];
    let identity = Identity { subject: "lan".to_owned(), grants };
    let (now, hour) = (SystemClock.now(), TimeDelta::hours(1));
    let strange = Issuer::ephemeral().unwrap().sign(&identity, now, hour).unwrap();
    let ended = testing.issuer.sign(&identity, now - hour * 2, hour).unwrap();
    for answer in [
        get(&testing, &path, &[]).await,
        get(&testing, &path, &[("authorization", "Basic bm9ib2R5")]).await,
        get(&testing, &path, &[("authorization", &basic("nonsense"))]).await,
        get(&testing, &path, &[("authorization", &basic(&strange))]).await,
        get(&testing, &path, &[("authorization", &basic(&ended))]).await,
        get(&testing, &format!("{path}?access_token="), &[]).await,
        get(&testing, &format!("{path}?token={of_all}"), &[]).await,
        // Nobody learns without a token what there is.
        get(&testing, &address(&nowhere()), &[]).await,
    ] {
        assert_eq!(answer.status, 401, "{answer:?}");
        assert!(answer.header("www-authenticate").starts_with("Basic realm="), "{answer:?}");
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    }

    let grants = |grants: &[&str]| testing.token(grants);
    for (token, status) in [
        (grants(&[&format!("reader@{own}")]), 200),
        (grants(&[&format!("supervisor@{}", unit("24"))]), 200),
        (grants(&[&format!("reader@{}", unit("07228"))]), 403),
        (grants(&[&format!("supervisor@{}", unit("52"))]), 403),
        (grants(&[&format!("supervisor@{REGIME}")]), 403),
        (grants(&["importer"]), 403),
        (grants(&[]), 403),
    ] {
        let answer = read(&testing, &own, &token).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }

    for nothing in [nowhere(), "units/07210".to_owned(), "units/..%2f".to_owned()] {
        assert_eq!(read(&testing, &nothing, &of_all).await.status, 404, "{nothing}");
    }
    // Whether there is such a unit is nobody's business who may not read it.
    let scoped = grants(&[&format!("reader@{own}")]);
    assert_eq!(read(&testing, &nowhere(), &scoped).await.status, 403);
    let bearer = format!("Bearer {of_all}");
    let feeds = testing.feeds("compliance");
    for path in ["/".to_owned(), format!("/{own}"), format!("/{own}/owed.ics/")] {
        let nothing = ask(feeds, "GET", &path, &[("authorization", &bearer)]).await;
        assert_eq!(nothing.status, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "PROPFIND"] {
        let refused = ask(feeds, method, &path, &[("authorization", &bearer)]).await;
        assert_eq!((refused.status.as_u16(), refused.header("allow")), (405, "GET,HEAD"));
    }
    testing.stop().await;
}

async fn a_calendar_is_sent_again_when_it_says_something_else_and_only_then(setting: Setting) {
    let testing = start(setting).await;
    let unit = unit(UNIT);
    let (path, basic) = (address(&unit), basic(&testing.token(&[&format!("reader@{unit}")])));
    let again = async |tag: &str| {
        get(&testing, &path, &[("authorization", &basic), ("if-none-match", tag)]).await
    };
    let unchanged = async |tag: &str| {
        let answer = again(tag).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (304, ""), "{answer:?}");
        assert_eq!(answer.header("etag"), tag);
        assert_eq!(answer.header("cache-control"), "private, max-age=900");
    };
    let first = again("\"another\"").await;
    assert_eq!(first.status, 200);
    unchanged(first.header("etag")).await;
    // Another moment is no news, nor is what is decided of others.
    testing.clock.advance(TimeDelta::hours(3));
    unchanged(first.header("etag")).await;
    decisions(&testing, &["supervisor"]).create_decision(waiver("07246")).await.unwrap();
    unchanged(first.header("etag")).await;

    let until = Until::DueDate(field::pb_date(day("2026-05-29")));
    let extension = pb::Decision {
        scope: unit.clone(),
        regime: REGIME.to_owned(),
        period: PERIOD.to_owned(),
        outcome: Some(pb::decision::Outcome::Extension(pb::Extension { until: Some(until) })),
        document: "21/QĐ-UBND".to_owned(),
        reason: "Sáp nhập thôn".to_owned(),
        ..pb::Decision::default()
    };
    let request = pb::CreateDecisionRequest { decision: Some(extension), ..Default::default() };
    decisions(&testing, &["supervisor"]).create_decision(request).await.unwrap();
    let extended = again(first.header("etag")).await;
    assert_eq!(extended.status, 200);
    assert_ne!(extended.header("etag"), first.header("etag"));
    let (was, is) = (events(&first.body), events(&extended.body));
    let moved = |all: &[(String, String, u32)]| {
        all.iter().find(|(period, ..)| period.as_str() == PERIOD).cloned().unwrap()
    };
    assert_eq!(moved(&was).1, "2026-05-19");
    assert_eq!(moved(&is).1, "2026-05-29");
    assert!(moved(&was).2 < moved(&is).2, "{was:?} {is:?}");
    unchanged(extended.header("etag")).await;

    let other =
        pb::Regime { name: "regimes/khac".to_owned(), form: "forms/text-1".to_owned(), ..regime() };
    put_in_force(&testing, other).await.unwrap();
    let more = again(extended.header("etag")).await;
    assert_eq!(more.status, 200);
    assert_eq!(events(&more.body).len(), 2 * is.len());
    // What a calendar had before is sent as it is now.
    assert_eq!(again(first.header("etag")).await.header("etag"), more.header("etag"));
    testing.stop().await;
}

async fn a_grant_that_is_revoked_shuts_the_address(setting: Setting) {
    let testing = start(setting).await;
    let unit = unit(UNIT);
    // It states nothing itself, so that what it may do can be taken back.
    let token = testing.token_of("lich-07210", &[]);
    let becomes = async |status: u16| {
        let look = async || (read(&testing, &unit, &token).await.status == status).then_some(());
        eventually(SOON, look).await;
    };
    becomes(403).await;
    let mut grants = GrantServiceClient::new(testing.channel(&["operator"]));
    let grant = registry::Grant {
        subject: "lich-07210".to_owned(),
        role: Role::Reader.into(),
        over: Some(registry::grant::Over::Unit(unit.clone())),
        reason: "Lịch của Văn phòng".to_owned(),
        ..Default::default()
    };
    let request = registry::CreateGrantRequest { grant: Some(grant), request_id: String::new() };
    let grant = grants.create_grant(request).await.unwrap().into_inner();
    becomes(200).await;
    let reason = "Lộ địa chỉ".to_owned();
    grants.revoke_grant(registry::RevokeGrantRequest { name: grant.name, reason }).await.unwrap();
    becomes(403).await;
    testing.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_registry_is_away_a_calendar_is_to_ask_again() {
    let setting = Setting { mode: Mode::Apart, engine: Engine::Sqlite };
    let mut testing = start(setting).await;
    let (unit, token) = (unit(UNIT), testing.token(&["reader"]));
    assert_eq!(read(&testing, &unit, &token).await.status, 200);
    testing.apart().terminate("registry");
    let away = read(&testing, &unit, &token).await;
    assert_eq!(away.status, 503, "{away:?}");
    assert_eq!(away.header("cache-control"), "no-store");
    testing.apart().add(&["registry"]);
    let back = async || (read(&testing, &unit, &token).await.status == 200).then_some(());
    eventually(SOON, back).await;
    testing.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_four_processes_that_are_told_to_listen_only_compliance_does_and_none_logs_the_token() {
    let place = Place::new(Engine::Sqlite).await;
    let keys = [("feeds.listen", "127.0.0.1:0"), ("log.filter", "trace,sqlx=info,sea_orm=info")];
    let mut testing = start_in(Mode::Apart, suite(), place, time(NOW), &keys).await;
    import_all(&testing).await;
    for name in ["registry", "submission", "aggregation"] {
        assert_eq!(testing.apart().processes(name)[0].feeds(), None, "{name}");
    }
    let unit = unit(UNIT);
    let token = testing.token(&["reader"]);
    let answer = get(&testing, &format!("{}?access_token={token}", address(&unit)), &[]).await;
    assert_eq!(answer.status, 200);
    // The call itself is told at this level, and neither the address nor the token.
    let process = &testing.apart().processes("compliance")[0];
    let told = async || Some(process.said()).filter(|said| said.contains("ExportOwedCalendar"));
    let said = eventually(SOON, told).await;
    for secret in [token.as_str(), "access_token", "owed.ics", unit.as_str()] {
        assert!(!said.contains(secret), "{secret}: {said}");
    }
    testing.stop().await;
}

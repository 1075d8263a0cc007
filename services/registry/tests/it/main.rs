//! The service's rpcs over a socket, and its store on both engines.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get is a failed test")]

mod changes;
mod contacts;
mod copies;
mod export_units;
mod grants;
mod import_units;
mod lineage;
mod list_units;
mod nation;
mod reorganisations;
mod resolve_unit;
mod store_conformance;
mod store_imports;

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_hierarchy::{NSO, UnitId};
use dunghan_host::Suite;
use dunghan_proto::registry as pb;
use dunghan_proto::registry::registry_service_client::RegistryServiceClient;
use dunghan_proto::r#type::Date;
use dunghan_registry::Registry;
use dunghan_rpc::{Peer, field};
use dunghan_testkit::{Engine, Testing, import_row};

type Client = RegistryServiceClient<Peer>;

/// 22/11/2026, nine in the morning in Viet Nam.
fn now() -> DateTime<Utc> {
    "2026-11-22T02:00:00Z".parse().unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn date(text: &str) -> Option<Date> {
    (!text.is_empty()).then(|| field::pb_date(day(text)))
}

/// The name of the unit that was first listed under this code; `first_day` may be empty.
fn name(code: &str, first_day: &str) -> String {
    let first_day = (!first_day.is_empty()).then(|| day(first_day));
    UnitId::new(NSO, code, first_day).to_string()
}

async fn start(engine: Engine) -> Testing {
    dunghan_testkit::start(Suite::new().with::<Registry>(), engine, now()).await
}

fn client(testing: &Testing, role: &str) -> Client {
    Client::new(testing.channel(&[role]))
}

/// A row about a unit of the statistics office's list; dates and parent may be empty.
fn row(code: &str, name: &str, parent: &str, from: &str, through: &str) -> pb::UnitRow {
    let kinds = [
        ("Tỉnh", pb::Kind::Tinh, pb::Level::Province),
        ("Thành phố", pb::Kind::ThanhPho, pb::Level::Province),
        ("Huyện", pb::Kind::Huyen, pb::Level::District),
        ("Thị xã", pb::Kind::ThiXa, pb::Level::District),
        ("Phường", pb::Kind::Phuong, pb::Level::Commune),
        ("Xã", pb::Kind::Xa, pb::Level::Commune),
    ];
    let known = kinds.iter().find(|(word, ..)| name.starts_with(word));
    let (_, kind, level) = *known.expect("a name with its kind");
    pb::UnitRow {
        code: code.to_owned(),
        display_name: name.to_owned(),
        kind: kind.into(),
        level: level.into(),
        parent_code: parent.to_owned(),
        valid_from_date: date(from),
        valid_through_date: date(through),
        ..Default::default()
    }
}

/// Three provinces, of which two had the code 24 one after the other, and some of what is below them.
fn tree() -> Vec<pb::UnitRow> {
    let reform = "2025-07-01";
    vec![
        row("24", "Tỉnh Bắc Giang", "", "", "2025-06-30"),
        row("27", "Tỉnh Bắc Ninh", "", "", "2025-06-30"),
        row("262", "Thị xã Thuận Thành", "27", "", "2025-06-30"),
        row("09421", "Phường Trí Quả", "262", "", "2025-06-30"),
        row("09427", "Phường Thanh Khương", "262", "", "2025-06-30"),
        row("24", "Tỉnh Bắc Ninh", "", reform, ""),
        row("09427", "Phường Trí Quả", "24", reform, ""),
        row("09430", "Xã Đại Đồng", "24", reform, ""),
        row("09433", "Xã Đại Đông", "24", reform, ""),
        pb::UnitRow {
            scheme: "dinh_danh".to_owned(),
            kind: pb::Kind::So.into(),
            level: pb::Level::Department.into(),
            display_name: "Sở Khoa học và Công nghệ".to_owned(),
            parent_scheme: "nso".to_owned(),
            ..row("H05.9", "Tỉnh", "24", reform, "")
        },
    ]
}

/// The province 24 of the reform as a city.
fn city() -> pb::UnitRow {
    pb::UnitRow {
        origin_code: "24".to_owned(),
        origin_date: date("2025-07-01"),
        ..row("24", "Thành phố Bắc Ninh", "", "2026-09-20", "")
    }
}

async fn import(client: &mut Client, rows: Vec<pb::UnitRow>) -> pb::ImportUnitsResponse {
    client
        .import_units(tokio_stream::iter(rows.into_iter().map(import_row)))
        .await
        .unwrap()
        .into_inner()
}

/// How long PostgreSQL may keep an event back: until every transaction that runs on the server has ended, those of
/// other tests among them.
const SOON: Duration = Duration::from_secs(30);

/// Imports what must be good.
async fn imported(testing: &Testing, rows: Vec<pb::UnitRow>) {
    let answer = import(&mut client(testing, "operator"), rows).await;
    assert_eq!(answer.problems, []);
}

async fn by_code(client: &mut Client, code: &str, as_of: &str) -> Result<pb::Unit, tonic::Status> {
    let identifier = pb::Identifier { scheme: NSO.to_owned(), value: code.to_owned() };
    let request = pb::ResolveUnitRequest {
        query: Some(pb::resolve_unit_request::Query::Identifier(identifier)),
        as_of_date: date(as_of),
        ..Default::default()
    };
    let mut units = client.resolve_unit(request).await?.into_inner().units;
    assert_eq!(units.len(), 1, "{code} {as_of}");
    Ok(units.remove(0))
}

async fn by_name(client: &mut Client, name: &str, as_of: &str, below: &str) -> Vec<pb::Unit> {
    let request = pb::ResolveUnitRequest {
        query: Some(pb::resolve_unit_request::Query::DisplayName(name.to_owned())),
        as_of_date: date(as_of),
        ancestor_unit: below.to_owned(),
    };
    client.resolve_unit(request).await.unwrap().into_inner().units
}

fn codes(units: &[pb::Unit]) -> Vec<&str> {
    units.iter().map(|unit| unit.statistics_code.as_str()).collect()
}

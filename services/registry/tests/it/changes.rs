//! Reorganisations, as tests state them.

use dunghan_hierarchy::NSO;
use dunghan_proto::registry as pb;
use dunghan_proto::registry::change::Change;
use dunghan_proto::registry::reorganisation_service_client::ReorganisationServiceClient;
use dunghan_proto::registry::target::Target;
use dunghan_proto::registry::unit_reference::Reference;
use dunghan_rpc::Peer;
use dunghan_testkit::Testing;
use tonic::Status;

use crate::{client, date, imported, row};

pub(crate) type Reorganisations = ReorganisationServiceClient<Peer>;

pub(crate) fn reorganisations(testing: &Testing, role: &str) -> Reorganisations {
    Reorganisations::new(testing.channel(&[role]))
}

/// A province with two districts, three communes in the one and one in the other, of which nobody knows since when.
pub(crate) fn old_tree() -> Vec<pb::UnitRow> {
    vec![
        row("27", "Tỉnh Bắc Ninh", "", "", ""),
        row("262", "Thị xã Thuận Thành", "27", "", ""),
        row("263", "Huyện Gia Bình", "27", "", ""),
        row("09421", "Phường Trí Quả", "262", "", ""),
        row("09427", "Phường Thanh Khương", "262", "", ""),
        row("09430", "Xã Đại Đồng", "262", "", ""),
        row("09454", "Xã Xuân Lai", "263", "", ""),
        row("24", "Tỉnh Bắc Giang", "", "", ""),
    ]
}

/// A registry with that in it.
pub(crate) async fn with_old_tree(testing: &Testing) -> Reorganisations {
    imported(testing, old_tree()).await;
    reorganisations(testing, "operator")
}

pub(crate) fn of(code: &str) -> Option<pb::UnitReference> {
    let identifier = pb::Identifier { scheme: NSO.to_owned(), value: code.to_owned() };
    Some(pb::UnitReference { reference: Some(Reference::Identifier(identifier)) })
}

/// None for an empty code.
fn maybe(code: &str) -> Option<pb::UnitReference> {
    if code.is_empty() { None } else { of(code) }
}

pub(crate) fn existing(code: &str) -> Option<pb::Target> {
    Some(pb::Target { target: of(code).map(Target::Existing) })
}

/// A new unit; its kind is read from its name.
pub(crate) fn new(code: &str, name: &str, parent: &str) -> Option<pb::Target> {
    let like = row(code, name, parent, "", "");
    let unit = pb::NewUnit {
        identifier: Some(pb::Identifier { scheme: NSO.to_owned(), value: code.to_owned() }),
        display_name: name.to_owned(),
        kind: like.kind,
        level: like.level,
        parent: maybe(parent),
    };
    Some(pb::Target { target: Some(Target::NewUnit(unit)) })
}

pub(crate) fn merge(codes: &[&str], into: Option<pb::Target>) -> Change {
    let shares = codes.iter().map(|code| pb::Share { unit: of(code), kind: 0 });
    Change::Merge(pb::Merge { shares: shares.collect(), into })
}

/// Parts of units become one that is new or was there.
pub(crate) fn parts(codes: &[&str], into: Option<pb::Target>) -> Change {
    let kind = pb::EdgeKind::SplitPart.into();
    let shares = codes.iter().map(|code| pb::Share { unit: of(code), kind });
    Change::Merge(pb::Merge { shares: shares.collect(), into })
}

pub(crate) fn rename(code: &str, name: &str) -> Change {
    Change::Rename(pb::Rename { unit: of(code), display_name: name.to_owned() })
}

pub(crate) fn transfer(code: &str, parent: &str) -> Change {
    Change::Transfer(pb::Transfer { unit: of(code), parent: maybe(parent) })
}

pub(crate) fn abolish(code: &str, children_to: &str) -> Change {
    Change::Abolish(pb::Abolish { unit: of(code), children_to: maybe(children_to) })
}

/// A reorganisation of that day.
pub(crate) fn on(effective: &str, changes: Vec<Change>) -> pb::Reorganisation {
    pb::Reorganisation {
        title: "Sắp xếp đơn vị hành chính".to_owned(),
        legal_basis: format!("Nghị quyết ngày {effective}"),
        effective_date: date(effective),
        changes: changes.into_iter().map(|change| pb::Change { change: Some(change) }).collect(),
        ..Default::default()
    }
}

/// The same in the place of another one.
pub(crate) fn correcting(id: &str, stated: pb::Reorganisation) -> pb::Reorganisation {
    pb::Reorganisation { corrects: format!("reorganisations/{id}"), ..stated }
}

pub(crate) fn under(id: &str, stated: pb::Reorganisation) -> pb::CreateReorganisationRequest {
    pb::CreateReorganisationRequest {
        reorganisation: Some(stated),
        reorganisation_id: id.to_owned(),
        request_id: String::new(),
    }
}

pub(crate) async fn create(
    operator: &mut Reorganisations,
    id: &str,
    stated: pb::Reorganisation,
) -> Result<pb::Reorganisation, Status> {
    operator.create_reorganisation(under(id, stated)).await.map(tonic::Response::into_inner)
}

pub(crate) async fn preview(
    operator: &mut Reorganisations,
    stated: pb::Reorganisation,
) -> pb::PreviewReorganisationResponse {
    let request = pb::PreviewReorganisationRequest { reorganisation: Some(stated) };
    operator.preview_reorganisation(request).await.unwrap().into_inner()
}

/// Those of a level or all, as code and name, on a date.
pub(crate) async fn listed(testing: &Testing, as_of: &str) -> Vec<(String, String)> {
    let request =
        pb::ListUnitsRequest { as_of_date: date(as_of), page_size: 1000, ..Default::default() };
    let listed = client(testing, "reader").list_units(request).await.unwrap().into_inner();
    let units = listed.units.into_iter();
    units.map(|unit| (unit.statistics_code, unit.display_name)).collect()
}

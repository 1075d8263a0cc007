//! Reorganisations of the small country, as tests state them. Units are named by their statistics codes.

use dunghan_hierarchy::NSO;
use dunghan_proto::registry as pb;
use dunghan_proto::registry::change::Change;
use dunghan_proto::registry::reorganisation_service_client::ReorganisationServiceClient;
use dunghan_proto::registry::target::Target;
use dunghan_proto::registry::unit_reference::Reference;
use dunghan_rpc::{Peer, field};
use dunghan_testkit::Testing;
use tonic::Status;

use crate::world::{day, registry, row};

pub(crate) fn reorganisations(
    testing: &Testing,
    grants: &[&str],
) -> ReorganisationServiceClient<Peer> {
    ReorganisationServiceClient::new(testing.channel(grants))
}

fn identifier(code: &str) -> pb::Identifier {
    pb::Identifier { scheme: NSO.to_owned(), value: code.to_owned() }
}

/// By a code.
pub(crate) fn of(code: &str) -> Option<pb::UnitReference> {
    Some(pb::UnitReference { reference: Some(Reference::Identifier(identifier(code))) })
}

/// By a name, `units/…`.
pub(crate) fn named(unit: &str) -> Option<pb::UnitReference> {
    Some(pb::UnitReference { reference: Some(Reference::Unit(unit.to_owned())) })
}

/// None for an empty code.
fn maybe(code: &str) -> Option<pb::UnitReference> {
    if code.is_empty() { None } else { of(code) }
}

pub(crate) fn existing(code: &str) -> Option<pb::Target> {
    Some(pb::Target { target: of(code).map(Target::Existing) })
}

/// A new unit, of the kind that [`row`] reads from its code.
pub(crate) fn new(code: &str, parent: &str) -> Option<pb::Target> {
    let like = row(code, parent);
    let unit = pb::NewUnit {
        identifier: Some(identifier(code)),
        display_name: like.display_name,
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

/// A unit ends, and this is what became of its parts.
pub(crate) fn split(code: &str, into: Vec<Option<pb::Target>>) -> Change {
    let portions = into.into_iter().map(|into| pb::Portion { into, kind: 0 });
    Change::Split(pb::Split { unit: of(code), portions: portions.collect(), ..Default::default() })
}

pub(crate) fn rename(code: &str, name: &str) -> Change {
    Change::Rename(pb::Rename { unit: of(code), display_name: name.to_owned() })
}

pub(crate) fn transfer(code: &str, parent: &str) -> Change {
    Change::Transfer(pb::Transfer { unit: of(code), parent: maybe(parent) })
}

pub(crate) fn recode(code: &str, value: &str) -> Change {
    let (scheme, value) = (NSO.to_owned(), value.to_owned());
    Change::Recode(pb::Recode { unit: of(code), scheme, value })
}

pub(crate) fn abolish(code: &str, children_to: &str) -> Change {
    Change::Abolish(pb::Abolish { unit: of(code), children_to: maybe(children_to) })
}

/// A reorganisation of that day.
pub(crate) fn on(effective: &str, changes: Vec<Change>) -> pb::Reorganisation {
    pb::Reorganisation {
        title: "Sắp xếp đơn vị hành chính".to_owned(),
        legal_basis: "Nghị quyết minh họa, không do cơ quan nào ban hành".to_owned(),
        effective_date: Some(field::pb_date(day(effective))),
        changes: changes.into_iter().map(|change| pb::Change { change: Some(change) }).collect(),
        ..Default::default()
    }
}

pub(crate) fn under(id: &str, stated: pb::Reorganisation) -> pb::CreateReorganisationRequest {
    pb::CreateReorganisationRequest {
        reorganisation: Some(stated),
        reorganisation_id: id.to_owned(),
        request_id: String::new(),
    }
}

/// Records one as an operator.
pub(crate) async fn reorganise(
    testing: &Testing,
    id: &str,
    stated: pb::Reorganisation,
) -> Result<pb::Reorganisation, Status> {
    let mut operator = reorganisations(testing, &["operator"]);
    Ok(operator.create_reorganisation(under(id, stated)).await?.into_inner())
}

/// Records several as an operator.
pub(crate) async fn batch(
    testing: &Testing,
    requests: Vec<pb::CreateReorganisationRequest>,
) -> Result<pb::BatchCreateReorganisationsResponse, Status> {
    let mut operator = reorganisations(testing, &["operator"]);
    let request = pb::BatchCreateReorganisationsRequest { requests };
    Ok(operator.batch_create_reorganisations(request).await?.into_inner())
}

pub(crate) async fn preview(
    testing: &Testing,
    stated: pb::Reorganisation,
) -> pb::PreviewReorganisationResponse {
    let mut operator = reorganisations(testing, &["operator"]);
    let request = pb::PreviewReorganisationRequest { reorganisation: Some(stated) };
    operator.preview_reorganisation(request).await.unwrap().into_inner()
}

/// The version of the units that the registry answers from.
pub(crate) async fn version(testing: &Testing) -> i64 {
    let request = pb::ListUnitsRequest { page_size: 1, ..Default::default() };
    registry(testing, &["reader"]).list_units(request).await.unwrap().into_inner().hierarchy_version
}

//! Grants as the contract has them ⇄ as the domain does.

use chrono::{DateTime, Utc};
use dunghan_hierarchy::Validity;
use dunghan_proto::policy::Role as PbRole;
use dunghan_proto::registry as pb;
use dunghan_proto::registry::grant::Over as PbOver;
use dunghan_rpc::{bad_field, field};
use tonic::Status;
use uuid::Uuid;

use super::{LONGEST_NAME, LONGEST_REASON, line, through, unit_name};
use crate::domain::grant::{Grant, GrantName, Over, Role};

const REGIMES: &str = "regimes/";
const LONGEST_REGIME: usize = 63;

/// The grant to make.
pub(crate) fn new_grant(
    request: pb::CreateGrantRequest,
    creator: &str,
    now: DateTime<Utc>,
) -> Result<Grant, Status> {
    let grant = field::required("grant", request.grant)?;
    let role = role(grant.role)?;
    let subject = line("grant.subject", &grant.subject, LONGEST_NAME)?;
    let over = match field::required("grant.over", grant.over)? {
        PbOver::Unit(unit) => Over::Subtree(unit_name("grant.unit", &unit)?),
        PbOver::Regime(regime) => Over::Regime(regime_id("grant.regime", &regime)?),
        PbOver::Everything(true) => Over::Everything,
        PbOver::Everything(false) => {
            return Err(bad_field("grant.everything", "must be true, or not set"));
        }
    };
    let from = field::date("grant.valid_from_date", grant.valid_from_date.as_ref())?;
    let until = through("grant.valid_through_date", grant.valid_through_date.as_ref(), from)?;
    Ok(Grant {
        name: GrantName(Uuid::now_v7()),
        subject,
        role,
        over,
        validity: Validity { from, until },
        reason: field::text("grant.reason", &grant.reason, LONGEST_REASON)?,
        creator: creator.to_owned(),
        create_time: now,
        revoked: None,
    })
}

/// Which grant to revoke, and why.
pub(crate) fn to_revoke(request: &pb::RevokeGrantRequest) -> Result<(GrantName, String), Status> {
    let name = field::text("name", &request.name, LONGEST_NAME)?;
    let name = name.parse().map_err(|e| bad_field("name", e))?;
    Ok((name, field::text("reason", &request.reason, LONGEST_REASON)?))
}

/// Whose grants are asked for; `None`: all.
pub(crate) fn asked_subject(subject: &str) -> Result<Option<String>, Status> {
    let subject = field::optional_text("subject", subject, LONGEST_NAME)?;
    Ok(Some(subject).filter(|subject| !subject.is_empty()))
}

fn role(number: i32) -> Result<Role, Status> {
    const FIELD: &str = "grant.role";
    match PbRole::try_from(number) {
        Ok(PbRole::Unspecified) => field::required(FIELD, None),
        Ok(PbRole::Reader) => Ok(Role::Reader),
        Ok(PbRole::Reporter) => Ok(Role::Reporter),
        Ok(PbRole::Supervisor) => Ok(Role::Supervisor),
        Ok(PbRole::Importer) => Ok(Role::Importer),
        Ok(PbRole::Operator) => Ok(Role::Operator),
        Ok(PbRole::Service) => Err(bad_field(FIELD, "is a service's, which nobody is granted")),
        Err(_) => Err(bad_field(FIELD, format!("is a role that there is not: {number}"))),
    }
}

fn pb_role(role: Role) -> PbRole {
    match role {
        Role::Reader => PbRole::Reader,
        Role::Reporter => PbRole::Reporter,
        Role::Supervisor => PbRole::Supervisor,
        Role::Importer => PbRole::Importer,
        Role::Operator => PbRole::Operator,
    }
}

fn regime_id(field: &str, name: &str) -> Result<String, Status> {
    let in_id = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let id = name.strip_prefix(REGIMES).filter(|id| id.bytes().all(in_id));
    let id = id.filter(|id| (1..=LONGEST_REGIME).contains(&id.len())).map(str::to_owned);
    let why =
        || format!("must be regimes/{{regime}}, with a-z, 0-9 and -, {LONGEST_REGIME} at most");
    id.ok_or_else(|| bad_field(field, why()))
}

/// A grant as the contract has it.
pub(crate) fn grant(grant: &Grant) -> pb::Grant {
    let over = match &grant.over {
        Over::Everything => PbOver::Everything(true),
        Over::Subtree(unit) => PbOver::Unit(unit.to_string()),
        Over::Regime(regime) => PbOver::Regime(format!("{REGIMES}{regime}")),
    };
    let revoked = grant.revoked.as_ref();
    pb::Grant {
        name: grant.name.to_string(),
        subject: grant.subject.clone(),
        role: pb_role(grant.role).into(),
        over: Some(over),
        valid_from_date: grant.validity.from.map(field::pb_date),
        valid_through_date: grant.validity.last_day().map(field::pb_date),
        reason: grant.reason.clone(),
        creator: grant.creator.clone(),
        create_time: Some(field::pb_time(grant.create_time)),
        revoker: revoked.map(|revoked| revoked.by.clone()).unwrap_or_default(),
        revoke_time: revoked.map(|revoked| field::pb_time(revoked.at)),
        revoke_reason: revoked.map(|revoked| revoked.reason.clone()).unwrap_or_default(),
    }
}

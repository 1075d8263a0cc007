//! `grants`: who may do what, beside what tokens state.

use chrono::{DateTime, FixedOffset, NaiveDate};
use dunghan_proto::registry as pb;
use dunghan_proto::registry::grant::Over;
use dunghan_rpc::field::pb_date;
use serde::Serialize;

use super::token;
use crate::cli::{Grants, GrantsVerb};
use crate::client::{Client, Lookup, PAGE};
use crate::failure::Failure;
use crate::output::{self, Column, Rows, plain, show_date, show_time, word};

#[derive(Debug, Serialize)]
pub(super) struct Grant {
    name: String,
    pub(super) subject: String,
    pub(super) role: String,
    /// Over which of these; the others are empty.
    pub(super) unit: String,
    regime: String,
    everything: bool,
    valid_from_date: Option<NaiveDate>,
    valid_through_date: Option<NaiveDate>,
    reason: String,
    creator: String,
    create_time: Option<DateTime<FixedOffset>>,
    revoker: String,
    revoke_time: Option<DateTime<FixedOffset>>,
    revoke_reason: String,
}

impl From<pb::Grant> for Grant {
    fn from(grant: pb::Grant) -> Self {
        let (mut unit, mut regime, mut everything) = (String::new(), String::new(), false);
        match &grant.over {
            Some(Over::Unit(name)) => unit.clone_from(name),
            Some(Over::Regime(name)) => regime.clone_from(name),
            Some(Over::Everything(all)) => everything = *all,
            None => {}
        }
        Self {
            role: word(grant.role().as_str_name(), "ROLE_"),
            valid_from_date: output::date(grant.valid_from_date.as_ref()),
            valid_through_date: output::date(grant.valid_through_date.as_ref()),
            create_time: output::time(grant.create_time.as_ref()),
            revoke_time: output::time(grant.revoke_time.as_ref()),
            name: grant.name,
            subject: grant.subject,
            unit,
            regime,
            everything,
            reason: grant.reason,
            creator: grant.creator,
            revoker: grant.revoker,
            revoke_reason: grant.revoke_reason,
        }
    }
}

impl Grant {
    /// Over what, for people.
    async fn over(&self, lookup: &mut Lookup<'_>) -> String {
        match (self.unit.as_str(), self.regime.as_str()) {
            ("", "") => "everything".to_owned(),
            ("", regime) => regime.to_owned(),
            (unit, _) => lookup.label(unit, None).await,
        }
    }
}

#[derive(Serialize)]
struct List {
    grants: Vec<Grant>,
}

pub(super) async fn grants(args: Grants) -> Result<(), Failure> {
    let format = args.client.output;
    let client = Client::of(&args.client)?;
    let mut lookup = Lookup::new(&client);
    let one = match args.verb {
        GrantsVerb::List { subject, unit, ended } => {
            let unit = client.unit_name_or_all(unit.as_ref(), None).await?;
            let list = List { grants: list(&client, subject, unit, ended).await? };
            let mut over = Vec::new();
            for grant in &list.grants {
                over.push(grant.over(&mut lookup).await);
            }
            return output::print(format, &list, |list| table(&list.grants, over));
        }
        GrantsVerb::Add { subject, grant, reason, from, through } => {
            let granted = token::grant(&grant, || Ok(client.clone())).await?;
            let over = match granted.over {
                dunghan_rpc::Over::Everything => Over::Everything(true),
                dunghan_rpc::Over::Subtree(unit) => Over::Unit(unit.to_string()),
                dunghan_rpc::Over::Regime(regime) => Over::Regime(regime),
            };
            let grant = pb::Grant {
                subject,
                role: granted.role.into(),
                over: Some(over),
                valid_from_date: from.map(pb_date),
                valid_through_date: through.map(pb_date),
                reason,
                ..Default::default()
            };
            let request_id = uuid::Uuid::new_v4().to_string();
            let request = pb::CreateGrantRequest { grant: Some(grant), request_id };
            client.grants().create_grant(request).await?.into_inner()
        }
        GrantsVerb::Revoke { grant, reason } => {
            let name = format!("grants/{}", grant.trim_start_matches("grants/"));
            let request = pb::RevokeGrantRequest { name, reason };
            client.grants().revoke_grant(request).await?.into_inner()
        }
    };
    let one = Grant::from(one);
    let over = one.over(&mut lookup).await;
    output::print(format, &one, |grant| show(grant, over))
}

async fn list(
    client: &Client,
    subject: String,
    unit: String,
    show_ended: bool,
) -> Result<Vec<Grant>, Failure> {
    let mut request = pb::ListGrantsRequest {
        subject,
        unit,
        show_ended,
        page_size: PAGE,
        page_token: String::new(),
    };
    let mut grants = Vec::new();
    loop {
        let page = client.grants().list_grants(request.clone()).await?.into_inner();
        grants.extend(page.grants.into_iter().map(Grant::from));
        if page.next_page_token.is_empty() {
            return Ok(grants);
        }
        request.page_token = page.next_page_token;
    }
}

/// `over` has for each what it is over.
fn table(grants: &[Grant], over: Vec<String>) -> String {
    use Column::{Text, Whole};
    let mut rows = Rows::new(&[Text("Grant"), Text("Holds"), Whole("Id")]);
    for (one, over) in grants.iter().zip(over) {
        let days = [
            ("from", show_date(one.valid_from_date)),
            ("through", show_date(one.valid_through_date)),
            ("revoked", show_time(one.revoke_time)),
        ];
        let days = days.into_iter().filter(|(_, day)| !day.is_empty());
        rows.row([
            format!("{}: {} over {over}", one.subject, plain(&one.role)),
            days.map(|(what, day)| format!("{what} {day}")).collect::<Vec<_>>().join(", "),
            id(one).to_owned(),
        ]);
    }
    rows.text()
}

/// The last part of a grant's name.
fn id(grant: &Grant) -> &str {
    grant.name.rsplit('/').next().unwrap_or_default()
}

fn show(grant: &Grant, over: String) -> String {
    output::pairs(&[
        ("Subject", grant.subject.clone()),
        ("Role", plain(&grant.role)),
        ("Over", over),
        ("From", show_date(grant.valid_from_date)),
        ("Through", show_date(grant.valid_through_date)),
        ("Why", grant.reason.clone()),
        ("Granted by", grant.creator.clone()),
        ("Granted", show_time(grant.create_time)),
        ("Revoked by", grant.revoker.clone()),
        ("Revoked", show_time(grant.revoke_time)),
        ("Why revoked", grant.revoke_reason.clone()),
        ("Id", id(grant).to_owned()),
    ])
}

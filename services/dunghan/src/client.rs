//! The connection to a server: one channel, a token with each call, and the units that people name.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use chrono::{NaiveDate, TimeDelta};
use dunghan_calendar::{Clock as _, SystemClock};
use dunghan_proto::aggregation::aggregation_service_client::AggregationServiceClient;
use dunghan_proto::compliance::compliance_service_client::ComplianceServiceClient;
use dunghan_proto::compliance::dossier_service_client::DossierServiceClient;
use dunghan_proto::compliance::notice_service_client::NoticeServiceClient;
use dunghan_proto::registry as pb;
use dunghan_proto::registry::registry_service_client::RegistryServiceClient;
use dunghan_proto::submission::submission_service_client::SubmissionServiceClient;
use dunghan_rpc::field::pb_date;
use dunghan_rpc::{Grant, Identity, Issuer, Peer, peer};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt as _;
use tower::ServiceExt as _;

use crate::cli::ClientArgs;
use crate::failure::Failure;
use crate::input::UnitRef;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Of the token that a command signs for itself; a long import has to fit.
const OWN_TOKEN_LIFETIME: TimeDelta = TimeDelta::minutes(30);
/// What such a token grants: everything that a command may need.
const OWN_GRANTS: [&str; 4] = ["operator", "supervisor", "importer", "reporter"];
/// Of lists that are read to the end.
pub(crate) const PAGE: i32 = 1000;

/// A server and the token it is called with.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    peer: Peer,
}

impl Client {
    /// As the arguments say.
    pub(crate) async fn connect(args: &ClientArgs) -> Result<Self, Failure> {
        let token = match &args.token {
            Some(token) => token.clone(),
            None => own_token(&args.data_dir)?,
        };
        Self::new(channel(&args.address).await?, &token)
    }

    /// Over a channel, with a token.
    pub(crate) fn new(channel: Channel, token: &str) -> Result<Self, Failure> {
        let value = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| Failure::input("the token has characters that no token has"))?;
        let with_token = channel.map_request(move |mut request: http::Request<Body>| {
            request.headers_mut().insert(AUTHORIZATION, value.clone());
            request
        });
        Ok(Self { peer: peer(with_token) })
    }

    pub(crate) fn registry(&self) -> RegistryServiceClient<Peer> {
        RegistryServiceClient::new(self.peer.clone())
    }

    pub(crate) fn submission(&self) -> SubmissionServiceClient<Peer> {
        SubmissionServiceClient::new(self.peer.clone())
    }

    pub(crate) fn compliance(&self) -> ComplianceServiceClient<Peer> {
        ComplianceServiceClient::new(self.peer.clone())
    }

    pub(crate) fn dossiers(&self) -> DossierServiceClient<Peer> {
        DossierServiceClient::new(self.peer.clone())
    }

    pub(crate) fn notices(&self) -> NoticeServiceClient<Peer> {
        NoticeServiceClient::new(self.peer.clone())
    }

    pub(crate) fn aggregation(&self) -> AggregationServiceClient<Peer> {
        AggregationServiceClient::new(self.peer.clone())
    }

    /// The unit that is meant, on the date that it says itself, else on `as_of`, else today.
    pub(crate) async fn unit(
        &self,
        unit: &UnitRef,
        as_of: Option<NaiveDate>,
    ) -> Result<pb::Unit, Failure> {
        match unit {
            UnitRef::Name(id) => self.unit_named(&id.to_string(), as_of).await,
            UnitRef::Code { scheme, code, .. } => {
                let identifier = pb::Identifier { scheme: scheme.clone(), value: code.clone() };
                let request = pb::ResolveUnitRequest {
                    query: Some(pb::resolve_unit_request::Query::Identifier(identifier)),
                    as_of_date: unit.date(as_of).map(pb_date),
                    ancestor_unit: String::new(),
                };
                let found = self.registry().resolve_unit(request).await?.into_inner();
                found.units.into_iter().next().ok_or_else(|| {
                    Failure::Failed(anyhow::anyhow!("the registry found no unit for {unit}"))
                })
            }
        }
    }

    /// A unit by its resource name.
    pub(crate) async fn unit_named(
        &self,
        name: &str,
        as_of: Option<NaiveDate>,
    ) -> Result<pb::Unit, Failure> {
        let as_of_date = as_of.map(pb_date);
        let request = pb::GetUnitRequest { name: name.to_owned(), as_of_date };
        Ok(self.registry().get_unit(request).await?.into_inner())
    }

    /// Code and name of a unit for people, on a date or else when it last existed; its resource name where the registry
    /// does not tell.
    pub(crate) async fn label(&self, name: &str, as_of: Option<NaiveDate>) -> String {
        let mut found = self.unit_named(name, as_of).await;
        if let Some(last) = found.as_ref().err().and_then(last_valid) {
            found = self.unit_named(name, Some(last)).await;
        }
        match found {
            Ok(unit) => format!("{} {}", code(&unit), unit.display_name).trim().to_owned(),
            Err(_) => name.to_owned(),
        }
    }

    /// The resource name of the unit that is meant; the registry is asked only where a code is given.
    pub(crate) async fn unit_name(
        &self,
        unit: &UnitRef,
        as_of: Option<NaiveDate>,
    ) -> Result<String, Failure> {
        match unit {
            UnitRef::Name(id) => Ok(id.to_string()),
            UnitRef::Code { .. } => Ok(self.unit(unit, as_of).await?.name),
        }
    }

    /// As [`Self::unit_name`]; empty for none.
    pub(crate) async fn unit_name_or_all(
        &self,
        unit: Option<&UnitRef>,
        as_of: Option<NaiveDate>,
    ) -> Result<String, Failure> {
        match unit {
            Some(unit) => self.unit_name(unit, as_of).await,
            None => Ok(String::new()),
        }
    }

    /// A unit and all below it on a date, by resource name.
    pub(crate) async fn subtree(
        &self,
        root: &str,
        as_of: NaiveDate,
    ) -> Result<HashMap<String, pb::Unit>, Failure> {
        let root = self.unit_named(root, Some(as_of)).await?;
        let mut units = HashMap::new();
        let mut request = pb::ListDescendantsRequest {
            name: root.name.clone(),
            as_of_date: Some(pb_date(as_of)),
            page_size: PAGE,
            ..Default::default()
        };
        units.insert(root.name.clone(), root);
        loop {
            let page = self.registry().list_descendants(request.clone()).await?.into_inner();
            units.extend(page.units.into_iter().map(|unit| (unit.name.clone(), unit)));
            if page.next_page_token.is_empty() {
                return Ok(units);
            }
            request.page_token = page.next_page_token;
        }
    }
}

/// The code that people know a unit by: of statistics, else the first that it has.
pub(crate) fn code(unit: &pb::Unit) -> &str {
    match (unit.statistics_code.as_str(), unit.identifiers.first()) {
        ("", Some(first)) => &first.value,
        (code, _) => code,
    }
}

/// The last date of a unit that the registry knows on other dates only.
fn last_valid(failure: &Failure) -> Option<NaiveDate> {
    let Failure::Refused(status) = failure else { return None };
    let info = status.get_details_error_info()?;
    // `../2025-06-30`, the last of several.
    let (first, last) = info.metadata.get("valid")?.rsplit(", ").next()?.split_once('/')?;
    last.parse().or_else(|_| first.parse()).ok()
}

/// A connection to a server, made now, so that a server that is not there is known to be so.
pub(crate) async fn channel(address: &str) -> Result<Channel, Failure> {
    let endpoint = Endpoint::from_shared(address.to_owned())
        .map_err(|e| Failure::input(format_args!("--address {address:?} is no address: {e}")))?
        .connect_timeout(CONNECT_LIMIT)
        .tcp_nodelay(true);
    endpoint.connect().await.map_err(|e| {
        let mut cause: &dyn std::error::Error = &e;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Failure::Unreachable { address: address.to_owned(), cause: cause.to_string() }
    })
}

fn own_token(data_dir: &Path) -> Result<String, Failure> {
    let key = data_dir.join("issuer.pem");
    if !key.exists() {
        let key = key.display();
        return Err(Failure::input(format_args!(
            "there is no token: give --token, set DUNGHAN_TOKEN, or give the server's --data-dir (there is no {key})"
        )));
    }
    let grants = OWN_GRANTS.iter().filter_map(|grant| grant.parse().ok()).collect();
    let issuer = Issuer::read(&key).map_err(|e| Failure::Failed(e.into()))?;
    sign(&issuer, "cli", grants, OWN_TOKEN_LIFETIME)
}

/// A token from now on. Tokens live on wall time, whatever clock the services follow.
pub(crate) fn sign(
    issuer: &Issuer,
    subject: &str,
    grants: Vec<Grant>,
    lifetime: TimeDelta,
) -> Result<String, Failure> {
    let identity = Identity { subject: subject.to_owned(), grants };
    issuer.sign(&identity, SystemClock.now(), lifetime).map_err(|e| Failure::Failed(e.into()))
}

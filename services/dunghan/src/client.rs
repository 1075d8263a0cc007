//! The server, or the servers: called again where that is harmless, with a token, and by the units that people name.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use chrono::{NaiveDate, TimeDelta};
use dunghan_calendar::{Clock as _, SystemClock};
use dunghan_host::LARGEST_ANSWER;
use dunghan_proto::aggregation::aggregation_service_client::AggregationServiceClient;
use dunghan_proto::compliance::calendar_service_client::CalendarServiceClient;
use dunghan_proto::compliance::compliance_service_client::ComplianceServiceClient;
use dunghan_proto::compliance::decision_service_client::DecisionServiceClient;
use dunghan_proto::compliance::dossier_service_client::DossierServiceClient;
use dunghan_proto::compliance::notice_service_client::NoticeServiceClient;
use dunghan_proto::policy::ErrorReason;
use dunghan_proto::registry as pb;
use dunghan_proto::registry::contact_service_client::ContactServiceClient;
use dunghan_proto::registry::grant_service_client::GrantServiceClient;
use dunghan_proto::registry::registry_service_client::RegistryServiceClient;
use dunghan_proto::registry::reorganisation_service_client::ReorganisationServiceClient;
use dunghan_proto::submission::attachment_service_client::AttachmentServiceClient;
use dunghan_proto::submission::form_service_client::FormServiceClient;
use dunghan_proto::submission::intake_service_client::IntakeServiceClient;
use dunghan_proto::submission::submission_service_client::SubmissionServiceClient;
use dunghan_rpc::field::pb_date;
use dunghan_rpc::{Grant, Identity, Issuer, Peer, peer, refuse, remote, with_deadline};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::ServiceExt as _;

use crate::address::ServerAddress;
use crate::cli::ClientArgs;
use crate::failure::Failure;
use crate::input::UnitRef;

/// Of one call. Servers give up before; this is for one that no longer does anything.
const CALL_LIMIT: Duration = Duration::from_secs(120);
/// Of the token that a command signs for itself; a long import has to fit.
const OWN_TOKEN_LIFETIME: TimeDelta = TimeDelta::minutes(30);
/// What such a token grants: everything that a command may need.
const OWN_GRANTS: [&str; 4] = ["operator", "supervisor", "importer", "reporter"];
/// Of lists that are read to the end.
pub(crate) const PAGE: i32 = 1000;

/// The services and the token that they are called with.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    peer: Peer,
}

impl Client {
    /// As the arguments say.
    pub(crate) fn of(args: &ClientArgs) -> Result<Self, Failure> {
        let token = match &args.token {
            Some(token) => token.clone(),
            None => own_token(&args.data_dir)?,
        };
        Self::new(servers(&args.address), &token)
    }

    /// Of servers, with a token.
    pub(crate) fn new(servers: Peer, token: &str) -> Result<Self, Failure> {
        let value = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| Failure::input("the token has characters that no token has"))?;
        let with_token = servers.map_request(move |mut request: http::Request<Body>| {
            request.headers_mut().insert(AUTHORIZATION, value.clone());
            request
        });
        Ok(Self { peer: peer(with_token) })
    }

    pub(crate) fn registry(&self) -> RegistryServiceClient<Peer> {
        RegistryServiceClient::new(self.peer.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    pub(crate) fn reorganisations(&self) -> ReorganisationServiceClient<Peer> {
        ReorganisationServiceClient::new(self.peer.clone())
            .max_decoding_message_size(LARGEST_ANSWER)
    }

    pub(crate) fn contacts(&self) -> ContactServiceClient<Peer> {
        ContactServiceClient::new(self.peer.clone())
    }

    pub(crate) fn grants(&self) -> GrantServiceClient<Peer> {
        GrantServiceClient::new(self.peer.clone())
    }

    pub(crate) fn submission(&self) -> SubmissionServiceClient<Peer> {
        SubmissionServiceClient::new(self.peer.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    pub(crate) fn forms(&self) -> FormServiceClient<Peer> {
        FormServiceClient::new(self.peer.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    pub(crate) fn attachments(&self) -> AttachmentServiceClient<Peer> {
        AttachmentServiceClient::new(self.peer.clone())
    }

    pub(crate) fn intake(&self) -> IntakeServiceClient<Peer> {
        IntakeServiceClient::new(self.peer.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    pub(crate) fn compliance(&self) -> ComplianceServiceClient<Peer> {
        ComplianceServiceClient::new(self.peer.clone())
    }

    pub(crate) fn decisions(&self) -> DecisionServiceClient<Peer> {
        DecisionServiceClient::new(self.peer.clone())
    }

    pub(crate) fn calendars(&self) -> CalendarServiceClient<Peer> {
        CalendarServiceClient::new(self.peer.clone()).max_decoding_message_size(LARGEST_ANSWER)
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
            Ok(unit) => label(&unit),
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

/// Units on dates, each asked for once.
#[derive(Debug)]
pub(crate) struct Lookup<'a> {
    client: &'a Client,
    units: HashMap<(String, Option<NaiveDate>), pb::Unit>,
    labels: HashMap<(String, Option<NaiveDate>), String>,
}

impl<'a> Lookup<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Self { client, units: HashMap::new(), labels: HashMap::new() }
    }

    /// The units above one, the nearest first.
    pub(crate) async fn above(
        &mut self,
        unit: &pb::Unit,
        as_of: Option<NaiveDate>,
    ) -> Result<Vec<pb::Unit>, Failure> {
        let (mut above, mut next) = (Vec::new(), unit.parent_unit.clone());
        while !next.is_empty() {
            let key = (next, as_of);
            let parent = match self.units.get(&key) {
                Some(parent) => parent.clone(),
                None => {
                    let found = self.client.unit_named(&key.0, as_of).await?;
                    self.units.insert(key, found.clone());
                    found
                }
            };
            next = parent.parent_unit.clone();
            above.push(parent);
        }
        Ok(above)
    }

    /// As [`Client::label`].
    pub(crate) async fn label(&mut self, name: &str, as_of: Option<NaiveDate>) -> String {
        let key = (name.to_owned(), as_of);
        match self.labels.get(&key) {
            Some(label) => label.clone(),
            None => {
                let label = self.client.label(name, as_of).await;
                self.labels.insert(key, label.clone());
                label
            }
        }
    }

    /// Notes the label of a unit on a date, so that the registry is not asked: of what is only tried it does not know.
    pub(crate) fn note(&mut self, unit: &pb::Unit, as_of: Option<NaiveDate>) {
        self.labels.insert((unit.name.clone(), as_of), label(unit));
    }
}

/// Code and name of a unit for people.
pub(crate) fn label(unit: &pb::Unit) -> String {
    format!("{} {}", code(unit), unit.display_name).trim().to_owned()
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

/// The services at an address. Nothing is connected before it is called.
pub(crate) fn servers(address: &ServerAddress) -> Peer {
    let servers = match address {
        ServerAddress::One(addresses) => remote("the server", addresses.clone()),
        ServerAddress::Each(each) => {
            let each: BTreeMap<_, _> =
                each.iter().map(|(name, at)| (*name, remote(name, at.clone()))).collect();
            peer(tower::service_fn(move |request| by_name(each.clone(), request)))
        }
    };
    with_deadline(servers, CALL_LIMIT)
}

/// Calls the one whose name is in the path: `/dunghan.registry.v1.RegistryService/GetUnit`.
async fn by_name(
    each: BTreeMap<&'static str, Peer>,
    request: http::Request<Body>,
) -> Result<http::Response<Body>, Status> {
    let name = request.uri().path().split('.').nth(1);
    match name.and_then(|name| each.get(name)).cloned() {
        Some(server) => server.oneshot(request).await,
        None => {
            let message = format!("no server answers {}", request.uri().path());
            Err(refuse(Code::Unimplemented, ErrorReason::NoPolicy, message, []))
        }
    }
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

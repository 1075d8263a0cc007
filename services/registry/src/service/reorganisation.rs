//! ReorganisationService.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::NaiveDate;
use dunghan_calendar::zone;
use dunghan_hierarchy::{Edge, Hierarchy, UnitId};
use dunghan_proto::policy::ErrorReason as Common;
use dunghan_proto::registry as pb;
use dunghan_proto::registry::reorganisation_service_server::ReorganisationService;
use dunghan_rpc::{Caller, Page, bad_field, bad_field_for, field};
use dunghan_store::RequestKey;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::current::Known;
use super::requests::request_key;
use super::{Service, aside};
use crate::convert;
use crate::convert::reorganisation::{
    Happens, MOST_CHANGES, Read, reorganisation, reorganisation_id, reorganisation_name,
};
use crate::domain::contact::Contact;
use crate::domain::record::Refused;
use crate::domain::reorganisation::{Effect as ByChange, Reorganisation, apply};
use crate::error;
use crate::store::{EdgeChange, Error, Outcome, Recorded, ReorganisationKey};

/// The most reorganisations of one batch.
const MOST_AT_ONCE: usize = 200;

/// A reorganisation that reads, and is to be recorded.
pub(super) struct New {
    stated: pb::Reorganisation,
    pub(super) corrects: Option<Arc<str>>,
    pub(super) says: Reorganisation,
}

impl New {
    fn of(read: Read, id: Arc<str>) -> Arc<Self> {
        let Read { stated, corrects, effective, changes } = read;
        Arc::new(Self { stated, corrects, says: Reorganisation { id, effective, changes } })
    }

    pub(super) fn id(&self) -> &Arc<str> {
        &self.says.id
    }
}

/// What becomes of the edges.
pub(super) enum Edges {
    Added(Vec<Edge>),
    /// All of them may be others.
    Rewritten,
}

/// What would follow from new reorganisations.
pub(super) struct Tried {
    pub(super) known: Arc<Known>,
    pub(super) hierarchy: Arc<Hierarchy>,
    /// The units whose histories are not what they were.
    pub(super) changed: Vec<UnitId>,
    pub(super) edges: Edges,
    /// Of all of them together.
    pub(super) effects: Vec<Happens>,
}

impl Service {
    /// What would follow from these, each on top of the one before.
    async fn try_all(
        &self,
        known: Arc<Known>,
        new: Vec<Arc<New>>,
    ) -> Result<Result<Tried, Refused>, Status> {
        if new.iter().all(|one| one.corrects.is_none()) {
            return aside(move || applied(known, &new)).await;
        }
        self.corrected(known, new).await
    }

    /// Records those of these that are not there yet; answers all of them, and how many those were. `field` is the field of
    /// the request in which each of them stands.
    async fn record(
        &self,
        caller: &str,
        new: Vec<Arc<New>>,
        key: Option<&RequestKey>,
        field: impl Fn(usize) -> String + Send,
    ) -> Result<(Vec<pb::Reorganisation>, usize), Status> {
        let ids: Vec<&str> = new.iter().map(|one| &**one.id()).collect();
        let _one_at_a_time = self.recording.lock().await;
        loop {
            let known = self.current.newest().await?;
            // Only now: whoever answers it after this makes a newer version, and this one is overtaken.
            if let Some(before) = self.answered(key).await? {
                return Ok((vec![before], 0));
            }
            let mut there = self.store.reorganisation_fetch_many(&ids).await?;
            for one in &new {
                if there.get(&**one.id()).is_some_and(|there| there.stated != one.stated) {
                    return Err(error::reorganisation_exists(one.id()));
                }
            }
            let missing = new.iter().enumerate();
            let missing = missing.filter(|(_, one)| !there.contains_key(&**one.id()));
            let (places, missing): (Vec<usize>, Vec<Arc<New>>) =
                missing.map(|(at, one)| (at, one.clone())).unzip();
            if !missing.is_empty() {
                let tried = self.try_all(known, missing.clone()).await?;
                let place = |at: usize| places.get(at).copied().unwrap_or_default();
                let tried = tried.map_err(|e| error::refused(e, |at| field(place(at))))?;
                match self.reorganise(caller, &missing, tried, key).await {
                    // Something else was recorded first; these come on top of that.
                    Err(Error::Overtaken) => continue,
                    written => {
                        there.extend(written?.into_iter().map(|one| (one.id.clone(), one)));
                    }
                }
            }
            let all = new.iter().filter_map(|one| there.remove(&**one.id()));
            return Ok((all.map(convert::reorganisation::recorded).collect(), missing.len()));
        }
    }

    /// Writes to the tables, and then to the copy.
    async fn reorganise(
        &self,
        caller: &str,
        new: &[Arc<New>],
        tried: Tried,
        key: Option<&RequestKey>,
    ) -> Result<Vec<Recorded>, Error> {
        let (now, read_at) = (self.clock.now(), tried.known.hierarchy.version());
        let recorded: Vec<Recorded> = (read_at + 1..)
            .zip(new)
            .map(|(version, one)| Recorded {
                id: one.id().to_string(),
                effective: one.says.effective,
                version,
                corrects: one.corrects.as_deref().map(ToOwned::to_owned),
                corrected_by: None,
                creator: caller.to_owned(),
                create_time: now,
                stated: one.stated.clone(),
            })
            .collect();
        let units: Vec<_> =
            tried.changed.iter().filter_map(|unit| tried.hierarchy.get(*unit)).collect();
        let edges = match &tried.edges {
            Edges::Added(edges) => EdgeChange::Add(edges),
            Edges::Rewritten => EdgeChange::Replace(tried.hierarchy.edges()),
        };
        let answer = match &recorded[..] {
            [one] => key.map(|key| (key, convert::reorganisation::recorded(one.clone()))),
            _ => None,
        };
        let reply = answer.as_ref().map(|(key, answer)| (*key, answer));
        let outcome = Outcome { read_at, units: &units, edges };
        self.store.reorganisations_record(&recorded, outcome, now, reply).await?;

        let mut reorganisations = (*tried.known.reorganisations).clone();
        for one in &recorded {
            reorganisations.insert(one.id.clone(), one.without_changes());
            if let Some(corrected) = &one.corrects {
                reorganisations.remove(corrected);
            }
        }
        let (units, version) = (units.len(), tried.hierarchy.version());
        self.current
            .put(Known { hierarchy: tried.hierarchy, reorganisations: Arc::new(reorganisations) });
        let reorganisations = recorded.len();
        tracing::info!(by = caller, reorganisations, units, version, "units were reorganised");
        Ok(recorded)
    }
}

fn applied(known: Arc<Known>, new: &[Arc<New>]) -> Result<Tried, Refused> {
    let all: Vec<Reorganisation> = new.iter().map(|one| one.says.clone()).collect();
    let applied = apply(&known.hierarchy, &all).map_err(Refused::Changes)?;
    let effects = new.iter().zip(applied.effects).flat_map(|(one, effects)| {
        let after = one.says.effective;
        let before = after.pred_opt().unwrap_or(after);
        let happens = move |(unit, effect): (_, ByChange)| Happens {
            unit,
            effect: effect.into(),
            before,
            after,
        };
        effects.into_iter().map(happens)
    });
    Ok(Tried {
        known,
        hierarchy: applied.hierarchy,
        changed: applied.changed,
        edges: Edges::Added(applied.edges),
        effects: effects.collect(),
    })
}

#[tonic::async_trait]
impl ReorganisationService for Service {
    async fn preview_reorganisation(
        &self,
        request: Request<pb::PreviewReorganisationRequest>,
    ) -> Result<Response<pb::PreviewReorganisationResponse>, Status> {
        Caller::of(&request)?;
        let stated = field::required("reorganisation", request.into_inner().reorganisation)?;
        let new = aside(move || {
            let read = reorganisation("reorganisation", stated)?;
            Ok::<_, Status>(New::of(read, Arc::from("")))
        });
        let new = new.await??;

        let known = self.current.newest().await?;
        let hierarchy_version = known.hierarchy.version().cast_signed();
        let effective = new.says.effective;
        let tried = match self.try_all(known, vec![new]).await? {
            Ok(tried) => tried,
            Err(refused) => {
                return Ok(Response::new(pb::PreviewReorganisationResponse {
                    problems: error::problems(refused),
                    hierarchy_version,
                    ..Default::default()
                }));
            }
        };
        let (before, after) = (&tried.known.hierarchy, &tried.hierarchy);
        let edges: Vec<Edge> = match tried.edges {
            Edges::Added(edges) => edges,
            Edges::Rewritten => {
                let own = after.edges().iter().filter(|edge| edge.reorganisation.is_empty());
                own.cloned().collect()
            }
        };
        let there = |hierarchy: &Hierarchy, unit, day| hierarchy.unit(unit, day).is_some();
        let ended = tried
            .effects
            .iter()
            .filter(|one| there(before, one.unit, one.after) && !there(after, one.unit, one.after));
        let ended: Vec<UnitId> = ended.map(|one| one.unit).collect();
        // A correction may change days before its own.
        let first = tried.effects.iter().map(|one| one.after).fold(effective, NaiveDate::min);
        let contacts = self.store.contacts_from(&ended, first).await?;
        let grants = self.store.grants_over(&ended, first).await?;
        let contact = |one: &Contact| convert::contact::contact(one, before.get(one.name.unit));
        let contacts = contacts.iter().map(contact).collect();
        let stated = aside(move || {
            let (before, after) = (&tried.known.hierarchy, &tried.hierarchy);
            let effects = convert::reorganisation::effects(before, after, &tried.effects);
            (effects, convert::reorganisation::edges(&edges))
        });
        let (effects, edges) = stated.await?;
        Ok(Response::new(pb::PreviewReorganisationResponse {
            problems: Vec::new(),
            effects,
            edges,
            contacts,
            grants: grants.iter().map(convert::grant::grant).collect(),
            retroactive: first < zone::civil_date(self.clock.now()),
            hierarchy_version,
        }))
    }

    async fn create_reorganisation(
        &self,
        request: Request<pb::CreateReorganisationRequest>,
    ) -> Result<Response<pb::Reorganisation>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let method = "CreateReorganisation";
        let key = request_key(&caller, method, &request.request_id, &request)?;
        let id = reorganisation_id("reorganisation_id", &request.reorganisation_id)?;
        let id = id.unwrap_or_else(|| Uuid::now_v7().to_string().into());
        let stated = field::required("reorganisation", request.reorganisation)?;
        let new = aside(move || {
            let read = reorganisation("reorganisation", stated)?;
            Ok::<_, Status>(New::of(read, id))
        });
        let new = vec![new.await??];

        let field = |_| "reorganisation".to_owned();
        let (recorded, _) = self.record(caller.subject(), new, key.as_ref(), field).await?;
        let recorded = field::required("reorganisation", recorded.into_iter().next())?;
        Ok(Response::new(recorded))
    }

    async fn batch_create_reorganisations(
        &self,
        request: Request<pb::BatchCreateReorganisationsRequest>,
    ) -> Result<Response<pb::BatchCreateReorganisationsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let requests = request.into_inner().requests;
        let new = aside(move || batch(requests)).await??;

        let field = |at| format!("requests[{at}].reorganisation");
        let (recorded, created) = self.record(caller.subject(), new, None, field).await?;
        let without_changes = |one| pb::Reorganisation { changes: Vec::new(), ..one };
        Ok(Response::new(pb::BatchCreateReorganisationsResponse {
            reorganisations: recorded.into_iter().map(without_changes).collect(),
            created_count: convert::count(created),
        }))
    }

    async fn get_reorganisation(
        &self,
        request: Request<pb::GetReorganisationRequest>,
    ) -> Result<Response<pb::Reorganisation>, Status> {
        Caller::of(&request)?;
        let id = reorganisation_name("name", &request.get_ref().name)?;
        let found = self.store.reorganisation_fetch(&id).await?;
        let found = found.ok_or_else(|| error::no_reorganisation(&id))?;
        Ok(Response::new(convert::reorganisation::recorded(found)))
    }

    async fn list_reorganisations(
        &self,
        request: Request<pb::ListReorganisationsRequest>,
    ) -> Result<Response<pb::ListReorganisationsResponse>, Status> {
        Caller::of(&request)?;
        let request = request.into_inner();
        let filter = "ListReorganisations";
        let page = Page::<ReorganisationKey>::new(request.page_size, &request.page_token, &filter)?;
        let limit = page.size as u64 + 1;
        let found = self.store.reorganisation_page(page.after.as_ref(), limit).await?;
        let (found, next_page_token) = page.cut(found, |last| (last.effective, last.version));
        let reorganisations = found.into_iter().map(convert::reorganisation::recorded).collect();
        Ok(Response::new(pb::ListReorganisationsResponse { reorganisations, next_page_token }))
    }
}

/// Those of a batch, each under its id.
fn batch(requests: Vec<pb::CreateReorganisationRequest>) -> Result<Vec<Arc<New>>, Status> {
    if requests.is_empty() {
        return Err(bad_field_for(Common::RequiredFieldMissing, "requests", "is missing"));
    }
    if requests.len() > MOST_AT_ONCE {
        return Err(bad_field("requests", format!("must not be more than {MOST_AT_ONCE}")));
    }
    let mut new = Vec::with_capacity(requests.len());
    let (mut ids, mut changes) = (HashMap::new(), 0);
    for (at, request) in requests.into_iter().enumerate() {
        let within = |field: &str| format!("requests[{at}].{field}");
        if !request.request_id.is_empty() {
            let why = "is not taken in a batch: the ids of the reorganisations serve for that";
            return Err(bad_field(&within("request_id"), why));
        }
        let id_field = within("reorganisation_id");
        let id = reorganisation_id(&id_field, &request.reorganisation_id)?;
        let id = field::required(&id_field, id)?;
        if let Some(first) = ids.insert(id.clone(), at) {
            return Err(bad_field(&id_field, format!("is that of requests[{first}] already")));
        }
        let stated = field::required(&within("reorganisation"), request.reorganisation)?;
        let read = reorganisation(&within("reorganisation"), stated)?;
        changes += read.changes.len();
        if changes > MOST_CHANGES {
            let why = format!("must not have more than {MOST_CHANGES} changes together");
            return Err(bad_field("requests", why));
        }
        new.push(New::of(read, id));
    }
    Ok(new)
}

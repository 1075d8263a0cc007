//! ReorganisationService.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::NaiveDate;
use dunghan_calendar::zone;
use dunghan_hierarchy::{Edge, Hierarchy, UnitId};
use dunghan_proto::registry as pb;
use dunghan_proto::registry::reorganisation_service_server::ReorganisationService;
use dunghan_rpc::{Caller, Page, bad_field, field};
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
use crate::domain::record::{self, Conflict, Entry, Refused, Said};
use crate::domain::reorganisation::{Effect as ByChange, Reorganisation, apply};
use crate::error;
use crate::store::{EdgeChange, Error, Outcome, Recorded, ReorganisationKey};

/// The most reorganisations of one batch.
const MOST_AT_ONCE: usize = 200;

/// A reorganisation that reads, and is to be recorded.
#[derive(Clone)]
struct New {
    stated: pb::Reorganisation,
    corrects: Option<Arc<str>>,
    says: Reorganisation,
}

impl New {
    fn of(read: Read, id: Arc<str>) -> Self {
        let (stated, corrects) = (read.stated.clone(), read.corrects.clone());
        Self { stated, corrects, says: read.under(id) }
    }

    fn id(&self) -> &Arc<str> {
        &self.says.id
    }
}

/// What becomes of the edges.
enum Edges {
    Added(Vec<Edge>),
    /// All of them may be others.
    Rewritten,
}

/// What would follow from new reorganisations.
struct Tried {
    known: Arc<Known>,
    hierarchy: Arc<Hierarchy>,
    /// The units whose histories are not what they were.
    changed: Vec<UnitId>,
    edges: Edges,
    /// Of all of them together.
    effects: Vec<Happens>,
}

/// An import that is an entry of the record.
struct Imported {
    version: u64,
    name: String,
    rows: Vec<pb::UnitRow>,
}

/// The entries of the record that are there already, by the version that each made.
type Names = BTreeMap<u64, String>;

impl Service {
    /// What would follow from these, each on top of the one before.
    async fn try_all(
        &self,
        known: Arc<Known>,
        new: Arc<Vec<New>>,
    ) -> Result<Result<Tried, Refused>, Status> {
        if new.iter().all(|one| one.corrects.is_none()) {
            return aside(move || applied(known, &new)).await;
        }
        if let Some(refused) = self.not_to_be_corrected(&known, &new).await? {
            return Ok(Err(refused));
        }
        let recorded = self.store.reorganisation_all().await?;
        let imported = self.recorded_imports().await?;
        aside(move || rebuilt(known, &new, recorded, imported)).await
    }

    /// Whether one of these corrects what is not there, or is corrected already.
    async fn not_to_be_corrected(
        &self,
        known: &Known,
        new: &[New],
    ) -> Result<Option<Refused>, Status> {
        // Of those before it in the batch, which one corrects what.
        let mut by: HashMap<&Arc<str>, &Arc<str>> = HashMap::new();
        for (at, one) in new.iter().enumerate() {
            let Some(id) = &one.corrects else { continue };
            if let Some(by) = by.insert(id, one.id()) {
                let (id, by) = (id.clone(), by.clone());
                return Ok(Some(Refused::CorrectedAlready { at, id, by }));
            }
            let before = new.iter().take(at).any(|before| before.id() == id);
            if before || known.reorganisations.contains_key(&**id) {
                continue;
            }
            let found = self.store.reorganisation_fetch(id).await?;
            let by = found.and_then(|found| found.corrected_by);
            let id = id.clone();
            return Ok(Some(match by {
                Some(by) => Refused::CorrectedAlready { at, id, by: by.into() },
                None => Refused::NotFound { at, id },
            }));
        }
        Ok(None)
    }

    /// The imports that are entries of the record, each with the version that it made and its name.
    async fn recorded_imports(&self) -> Result<Vec<Imported>, Error> {
        let mut imported = Vec::new();
        for (version, id) in self.store.imports_committed().await? {
            let name = format!("unitImports/{id}");
            imported.push(Imported { version, name, rows: self.store.import_rows(id).await? });
        }
        Ok(imported)
    }

    /// Records those of these that are not there yet; answers all of them, and how many those were. `field` is the field of
    /// the request in which each of them stands.
    async fn record(
        &self,
        caller: &str,
        new: Vec<New>,
        key: Option<&RequestKey>,
        field: impl Fn(usize) -> String + Send,
    ) -> Result<(Vec<pb::Reorganisation>, usize), Status> {
        let ids: Vec<&str> = new.iter().map(|one| &**one.id()).collect();
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
            let missing = |(at, one): &(usize, &New)| {
                let missing = !there.contains_key(&**one.id());
                missing.then(|| (*at, (*one).clone()))
            };
            let (places, missing): (Vec<usize>, Vec<New>) =
                new.iter().enumerate().filter_map(|one| missing(&one)).unzip();
            let (created, missing) = (missing.len(), Arc::new(missing));
            if created > 0 {
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
            return Ok((all.map(convert::reorganisation::recorded).collect(), created));
        }
    }

    /// Writes to the tables, and then to the copy.
    async fn reorganise(
        &self,
        caller: &str,
        new: &[New],
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
            let stated = pb::Reorganisation { changes: Vec::new(), ..one.stated.clone() };
            reorganisations.insert(one.id.clone(), Recorded { stated, ..one.clone() });
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

    fn retroactive(&self, effective: NaiveDate) -> bool {
        effective < zone::civil_date(self.clock.now())
    }
}

fn applied(known: Arc<Known>, new: &[New]) -> Result<Tried, Refused> {
    let all: Vec<Reorganisation> = new.iter().map(|one| one.says.clone()).collect();
    let applied = apply(&known.hierarchy, &all).map_err(Refused::Changes)?;
    let effects = new.iter().zip(applied.effects).flat_map(|(one, effects)| {
        let after = one.says.effective;
        let before = after.pred_opt().unwrap_or(after);
        let happens =
            move |(unit, effect): (_, ByChange)| Happens { unit, effect: effect.into(), before, after };
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

/// Builds everything again from the record with the new ones in it.
fn rebuilt(
    known: Arc<Known>,
    new: &[New],
    recorded: Vec<Recorded>,
    imported: Vec<Imported>,
) -> Result<Tried, Refused> {
    // What stands in the way of correcting is told where the first correction is.
    let at = new.iter().position(|one| one.corrects.is_some()).unwrap_or_default();
    let version = known.hierarchy.version();
    let mut names = Names::new();
    let entries = entries(recorded, imported, &mut names);
    let mut entries = entries.map_err(|problems| Refused::LaterEntry { at, problems })?;
    if !record::is_whole(&entries, version) {
        return Err(Refused::RecordIncomplete { at });
    }
    entries.extend((version + 1..).zip(new).map(|(version, one)| Entry {
        version,
        corrects: one.corrects.clone(),
        said: Said::Reorganisation(one.says.clone()),
    }));
    let rebuilt = record::rebuild(&known.hierarchy, entries);
    let rebuilt = rebuilt.map_err(|conflict| in_the_way(at, version, &names, conflict))?;
    Ok(Tried {
        known,
        hierarchy: rebuilt.hierarchy,
        changed: rebuilt.effects.iter().map(|(unit, ..)| *unit).collect(),
        edges: Edges::Rewritten,
        effects: rebuilt
            .effects
            .into_iter()
            .map(|(unit, effect, day)| Happens { unit, effect, before: day, after: day })
            .collect(),
    })
}

/// The entries of the record, and the name of each; or which of them do not read any more.
fn entries(
    recorded: Vec<Recorded>,
    imported: Vec<Imported>,
    names: &mut Names,
) -> Result<Vec<Entry>, Vec<String>> {
    let (mut entries, mut unreadable) = (Vec::new(), Vec::new());
    for one in recorded {
        let name = convert::reorganisation::named(&one.id);
        match reorganisation("", one.stated) {
            Ok(read) => entries.push(Entry {
                version: one.version,
                corrects: read.corrects.clone(),
                said: Said::Reorganisation(read.under(one.id.into())),
            }),
            Err(status) => unreadable.push(format!("{name}: {}", status.message())),
        }
        names.insert(one.version, name);
    }
    for Imported { version, name, rows } in imported {
        let mut read = Vec::with_capacity(rows.len());
        for (at, row) in rows.into_iter().enumerate() {
            match convert::row(at, row) {
                Ok(row) => read.push(row),
                Err(bad) => unreadable.extend(
                    bad.problems
                        .into_iter()
                        .map(|one| format!("{name}, row {}: {}", one.row, one.message)),
                ),
            }
        }
        entries.push(Entry { version, corrects: None, said: Said::Import(read) });
        names.insert(version, name);
    }
    if unreadable.is_empty() { Ok(entries) } else { Err(unreadable) }
}

/// Whether the new ones are at fault themselves, or what came after the one to correct.
fn in_the_way(at: usize, version: u64, names: &Names, conflict: Conflict) -> Refused {
    let name = |version: u64| names.get(&version).map(String::as_str).unwrap_or_default();
    let problems = match conflict {
        Conflict::Rows { version, problems } => problems
            .into_iter()
            .map(|one| format!("{}, row {}: {}", name(version), one.row, one.message))
            .collect(),
        Conflict::Changes(problems) => {
            let of_new = problems.iter().filter(|(made, _)| *made > version);
            let of_new: Vec<_> = of_new
                .map(|(made, problem)| {
                    let mut problem = problem.clone();
                    let nth = made - version - 1;
                    problem.reorganisation = usize::try_from(nth).unwrap_or_default();
                    problem
                })
                .collect();
            if !of_new.is_empty() {
                return Refused::Changes(of_new);
            }
            problems
                .into_iter()
                .map(|(made, one)| format!("{}, {}: {}", name(made), one.field, one.message))
                .collect()
        }
        Conflict::Tree(problems) => problems.iter().map(ToString::to_string).collect(),
    };
    Refused::LaterEntry { at, problems }
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
        let tried = match self.try_all(known, Arc::new(vec![new])).await? {
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
        let ended = tried.effects.iter().filter(|one| {
            there(before, one.unit, one.after) && !there(after, one.unit, one.after)
        });
        let ended: Vec<UnitId> = ended.map(|one| one.unit).collect();
        let contacts = self.store.contacts_from(&ended, effective).await?;
        let grants = self.store.grants_over(&ended, effective).await?;
        let contact = |one: &Contact| convert::contact::contact(one, before.get(one.name.unit));
        Ok(Response::new(pb::PreviewReorganisationResponse {
            problems: Vec::new(),
            effects: convert::reorganisation::effects(before, after, &tried.effects),
            edges: convert::reorganisation::edges(&edges),
            contacts: contacts.iter().map(contact).collect(),
            grants: grants.iter().map(convert::grant::grant).collect(),
            retroactive: self.retroactive(effective),
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
fn batch(requests: Vec<pb::CreateReorganisationRequest>) -> Result<Vec<New>, Status> {
    if requests.len() > MOST_AT_ONCE {
        return Err(bad_field("requests", format!("must not be more than {MOST_AT_ONCE}")));
    }
    let mut new: Vec<New> = Vec::with_capacity(requests.len());
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

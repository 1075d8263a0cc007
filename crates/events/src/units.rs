//! The copy of the hierarchy that the services of a process answer from.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use dunghan_hierarchy::{
    Edge, EdgeKind, Hierarchy, Identifier, Kind, Level, NotAUnitName, UnitHistory, UnitId,
    Validity, Version,
};
use dunghan_proto::registry as pb;
use dunghan_proto::registry::registry_service_client::RegistryServiceClient;
use dunghan_proto::r#type::Date;
use dunghan_rpc::{Peer, field, internal, peer_failed};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

const PEER: &str = "registry";
const REORGANISATIONS: &str = "reorganisations/";
/// How long a copy may be behind when nobody asked for a unit it does not know.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// An in-memory copy of the units, kept up with the registry's version of them. Cheap to clone; reads never wait.
#[derive(Clone, Debug)]
pub struct Units {
    client: RegistryServiceClient<Peer>,
    copy: Arc<RwLock<Copy>>,
    refreshing: Arc<Mutex<Option<Asked>>>,
}

/// The last time that the registry was asked to the end.
#[derive(Debug)]
struct Asked {
    began: Instant,
    failure: Option<Status>,
}

#[derive(Debug, Default)]
struct Copy {
    hierarchy: Option<Arc<Hierarchy>>,
    /// The services that answer from it.
    readers: BTreeSet<&'static str>,
}

impl Units {
    /// A copy of what the registry behind `peer` holds; loaded when first asked for.
    pub fn new(peer: Peer) -> Self {
        let client = RegistryServiceClient::new(peer);
        Self { client, copy: Arc::default(), refreshing: Arc::default() }
    }

    /// The same copy for one more service: some megabytes that a process needs once.
    #[must_use]
    pub fn shared_with(&self, service: &'static str) -> Self {
        self.copy.write().unwrap_or_else(PoisonError::into_inner).readers.insert(service);
        self.clone()
    }

    fn held(&self) -> Option<Arc<Hierarchy>> {
        self.copy.read().unwrap_or_else(PoisonError::into_inner).hierarchy.clone()
    }

    /// The copy as it is.
    ///
    /// Errors: UNAVAILABLE when there is none yet and the registry cannot be asked.
    pub async fn current(&self) -> Result<Arc<Hierarchy>, Status> {
        match self.held() {
            Some(copy) => Ok(copy),
            None => self.fresh().await,
        }
    }

    /// The copy, brought up to date first if it does not know `unit`: nobody is told that a unit is unknown by a copy
    /// that is behind.
    ///
    /// Errors: UNAVAILABLE when the registry had to be asked and could not be.
    pub async fn knowing(&self, unit: UnitId) -> Result<Arc<Hierarchy>, Status> {
        let hierarchy = self.current().await?;
        if hierarchy.get(unit).is_some() { Ok(hierarchy) } else { self.fresh().await }
    }

    /// The copy, after asking the registry for changes.
    ///
    /// Errors: UNAVAILABLE when it cannot be asked.
    pub async fn fresh(&self) -> Result<Arc<Hierarchy>, Status> {
        let called = Instant::now();
        let mut asked = self.refreshing.lock().await;
        if let Some(last) = &*asked
            && last.began >= called
        {
            // Somebody has asked while this one waited. If all asked in turn, they would find out one after the other
            // that the registry is away, the last of them when its time had long run out.
            let failed = last.failure.clone();
            return failed.map_or_else(|| Ok(self.held().unwrap_or_default()), Err);
        }
        let began = Instant::now();
        // Until there is an answer, and also if nobody waits for it any more.
        *asked = None;
        let answer = self.ask().await;
        let failure = answer.as_ref().err().cloned();
        // How long this one was given is no matter of the others.
        if failure.as_ref().is_none_or(|failure| failure.code() != Code::DeadlineExceeded) {
            *asked = Some(Asked { began, failure });
        }
        answer
    }

    async fn ask(&self) -> Result<Arc<Hierarchy>, Status> {
        let held = self.held();
        let known = held.as_ref().map_or(0, |held| held.version());
        match load(&mut self.client.clone(), known).await? {
            None => Ok(held.unwrap_or_default()),
            Some(newer) => {
                let newer = Arc::new(newer);
                let mut copy = self.copy.write().unwrap_or_else(PoisonError::into_inner);
                copy.hierarchy = Some(newer.clone());
                for reader in &copy.readers {
                    crate::hierarchy_version(reader, newer.version());
                }
                Ok(newer)
            }
        }
    }

    /// Keeps the copy up to date until `stop`.
    pub async fn follow(self, stop: CancellationToken) {
        let following = async {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                // A registry that is away is logged by the call; the next look tries again.
                let _ = self.fresh().await;
            }
        };
        let _: Option<()> = stop.run_until_cancelled(following).await;
    }
}

/// What the registry holds, unless that is still the version that is known. It is asked for its version and not for its
/// events: an event is told of later than it is committed.
async fn load(
    client: &mut RegistryServiceClient<Peer>,
    known: u64,
) -> Result<Option<Hierarchy>, Status> {
    let request = pb::StreamUnitHistoriesRequest { known_version: known.cast_signed() };
    let stream = client.stream_unit_histories(request).await;
    let mut stream = stream.map_err(|e| peer_failed(PEER, e))?.into_inner();
    let (mut units, mut edges, mut version) = (Vec::new(), Vec::new(), 0);
    let mut reorganisations = HashSet::new();
    while let Some(part) = stream.message().await.map_err(|e| peer_failed(PEER, e))? {
        version = part.hierarchy_version.cast_unsigned();
        for unit in part.units {
            units.push(history(unit)?);
        }
        for one in part.edges {
            edges.push(edge(&one, &mut reorganisations)?);
        }
    }
    if known != 0 && version == known {
        return Ok(None);
    }
    let hierarchy = Hierarchy::build_with_edges(version, units, edges).map_err(|problems| {
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        internal("copying the hierarchy", &std::io::Error::other(first))
    })?;
    tracing::debug!(units = hierarchy.len(), version, "the hierarchy was copied");
    Ok(Some(hierarchy))
}

/// The histories as the contract writes them, for the registry's own answer.
pub fn histories(hierarchy: &Hierarchy) -> impl Iterator<Item = pb::UnitHistory> + '_ {
    hierarchy.histories().map(pb_history)
}

/// A history as the contract writes it.
pub fn pb_history(unit: &UnitHistory) -> pb::UnitHistory {
    pb::UnitHistory {
        name: unit.id.to_string(),
        versions: unit
            .versions
            .iter()
            .map(|version| pb::UnitVersion {
                display_name: version.display_name.clone(),
                kind: pb_kind(version.kind).into(),
                level: pb_level(version.level).into(),
                parent_unit: version.parent.map_or_else(String::new, |parent| parent.to_string()),
                valid_from_date: version.validity.from.map(field::pb_date),
                valid_through_date: version.validity.last_day().map(field::pb_date),
            })
            .collect(),
        identifiers: unit
            .identifiers
            .iter()
            .map(|held| pb::HeldIdentifier {
                identifier: Some(pb::Identifier {
                    scheme: held.scheme.clone(),
                    value: held.value.clone(),
                }),
                valid_from_date: held.validity.from.map(field::pb_date),
                valid_through_date: held.validity.last_day().map(field::pb_date),
            })
            .collect(),
    }
}

fn history(unit: pb::UnitHistory) -> Result<UnitHistory, Status> {
    let id: UnitId = unit.name.parse().map_err(|e| internal("copying the hierarchy", &e))?;
    let versions = unit.versions.into_iter().map(|version| {
        let parent = (!version.parent_unit.is_empty())
            .then(|| version.parent_unit.parse())
            .transpose()
            .map_err(|e| internal("copying the hierarchy", &e))?;
        Ok(Version {
            validity: validity(
                version.valid_from_date.as_ref(),
                version.valid_through_date.as_ref(),
            )?,
            kind: kind(version.kind()),
            level: level(version.level()),
            display_name: version.display_name,
            parent,
        })
    });
    let versions = versions.collect::<Result<_, Status>>()?;
    let identifiers = unit.identifiers.into_iter().map(|held| {
        let identifier = held.identifier.unwrap_or_default();
        Ok(Identifier {
            scheme: identifier.scheme,
            value: identifier.value,
            validity: validity(held.valid_from_date.as_ref(), held.valid_through_date.as_ref())?,
        })
    });
    let identifiers = identifiers.collect::<Result<_, Status>>()?;
    Ok(UnitHistory { id, versions, identifiers })
}

/// The edges as the contract writes them, for the registry's own answer.
pub fn edges(hierarchy: &Hierarchy) -> impl Iterator<Item = pb::LineageEdge> + '_ {
    hierarchy.edges().iter().map(pb_edge)
}

/// An edge as the contract writes it.
pub fn pb_edge(edge: &Edge) -> pb::LineageEdge {
    pb::LineageEdge {
        predecessor: edge.predecessor.to_string(),
        successor: edge.successor.to_string(),
        kind: pb_edge_kind(edge.kind).into(),
        effective_date: Some(field::pb_date(edge.effective)),
        reorganisation: format!("{REORGANISATIONS}{}", edge.reorganisation),
    }
}

/// `known` holds the ids of reorganisations: thousands of edges are of one.
fn edge(edge: &pb::LineageEdge, known: &mut HashSet<Arc<str>>) -> Result<Edge, Status> {
    const DOING: &str = "copying the hierarchy";
    let unit = |name: &str| name.parse().map_err(|e: NotAUnitName| internal(DOING, &e));
    let missing = |what| internal(DOING, &std::io::Error::other(what));
    let id = edge.reorganisation.trim_start_matches(REORGANISATIONS);
    let reorganisation = match known.get(id) {
        Some(known) => known.clone(),
        None => {
            let new: Arc<str> = id.into();
            known.insert(new.clone());
            new
        }
    };
    let effective = field::date("effective_date", edge.effective_date.as_ref())?;
    Ok(Edge {
        effective: effective.ok_or_else(|| missing("an edge without a date"))?,
        predecessor: unit(&edge.predecessor)?,
        successor: unit(&edge.successor)?,
        kind: edge_kind(edge.kind()).ok_or_else(|| missing("an edge of no kind"))?,
        reorganisation,
    })
}

/// An enum of the domain beside the contract's, whose names are the domain's words. Every unit of every answer is looked up in
/// these, so they are made once.
type Names<D, P> = LazyLock<Vec<(D, P)>>;

static KINDS: Names<Kind, pb::Kind> =
    LazyLock::new(|| names(Kind::ALL, "KIND_", pb::Kind::from_str_name));
static LEVELS: Names<Level, pb::Level> =
    LazyLock::new(|| names(Level::ALL, "LEVEL_", pb::Level::from_str_name));
static EDGE_KINDS: Names<EdgeKind, pb::EdgeKind> =
    LazyLock::new(|| names(EdgeKind::ALL, "EDGE_KIND_", pb::EdgeKind::from_str_name));

fn names<D: Clone + ToString, P>(
    all: &[D],
    prefix: &str,
    named: fn(&str) -> Option<P>,
) -> Vec<(D, P)> {
    let name = |one: &D| format!("{prefix}{}", one.to_string().to_uppercase());
    all.iter().filter_map(|one| Some((one.clone(), named(&name(one))?))).collect()
}

fn own<D: Clone, P: PartialEq>(names: &[(D, P)], of: P) -> Option<D> {
    names.iter().find(|(_, theirs)| *theirs == of).map(|(own, _)| own.clone())
}

fn theirs<D: PartialEq, P: Clone>(names: &[(D, P)], of: D) -> Option<P> {
    names.iter().find(|(own, _)| *own == of).map(|(_, theirs)| theirs.clone())
}

/// From the contract's kind; `None` for what no reorganisation states.
pub fn edge_kind(kind: pb::EdgeKind) -> Option<EdgeKind> {
    own(&EDGE_KINDS, kind)
}

/// The contract's kind.
pub fn pb_edge_kind(kind: EdgeKind) -> pb::EdgeKind {
    theirs(&EDGE_KINDS, kind).unwrap_or_default()
}

/// From the contract's kind; what is not stated is other.
pub fn kind(kind: pb::Kind) -> Kind {
    own(&KINDS, kind).unwrap_or(Kind::Other)
}

/// From the contract's level; what is not stated is other.
pub fn level(level: pb::Level) -> Level {
    own(&LEVELS, level).unwrap_or(Level::Other)
}

/// The contract's kind.
pub fn pb_kind(kind: Kind) -> pb::Kind {
    theirs(&KINDS, kind).unwrap_or(pb::Kind::Other)
}

/// The contract's level.
pub fn pb_level(level: Level) -> pb::Level {
    theirs(&LEVELS, level).unwrap_or(pb::Level::Other)
}

/// An interval as the contract writes it, last day inclusive, as the domain holds it, end exclusive.
///
/// Errors: INVALID_ARGUMENT for a day that does not exist.
pub fn validity(from: Option<&Date>, through: Option<&Date>) -> Result<Validity, Status> {
    Ok(Validity {
        from: field::date("valid_from_date", from)?,
        until: field::date("valid_through_date", through)?.and_then(|last| last.succ_opt()),
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use dunghan_rpc::unavailable;
    use futures::future::join_all;
    use tonic::body::Body;

    use super::*;

    #[tokio::test]
    async fn those_who_wait_for_a_registry_that_is_away_are_told_so_together() {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let away = dunghan_rpc::peer(tower::service_fn(move |_: http::Request<Body>| {
            counted.fetch_add(1, Ordering::Relaxed);
            async {
                tokio::task::yield_now().await;
                let away = unavailable("a test", &std::io::Error::other("away"));
                Ok::<_, Infallible>(away.into_http::<Body>())
            }
        }));
        let units = Units::new(away);
        let answers = join_all((0..20).map(|_| units.fresh())).await;
        assert!(
            answers
                .iter()
                .all(|answer| answer.as_ref().is_err_and(|e| e.code() == Code::Unavailable))
        );
        // The first one, and one that began when all had called.
        assert_eq!(calls.load(Ordering::Relaxed), 2);
        // Whoever calls later wants to know it anew.
        units.fresh().await.unwrap_err();
        assert_eq!(calls.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn every_kind_of_edge_that_a_reorganisation_states_is_one_of_the_domain_and_back() {
        for kind in EdgeKind::ALL {
            assert_eq!(edge_kind(pb_edge_kind(*kind)), Some(*kind));
        }
        assert_eq!(edge_kind(pb::EdgeKind::ThroughChildren), None);
    }

    #[test]
    fn every_kind_and_level_of_the_contract_is_one_of_the_domain_and_back() {
        for number in 1..=14 {
            let pb = pb::Kind::try_from(number).unwrap();
            assert_eq!(pb_kind(kind(pb)), pb);
        }
        for number in 1..=6 {
            let pb = pb::Level::try_from(number).unwrap();
            assert_eq!(pb_level(level(pb)), pb);
        }
    }
}

//! What the figures add up to, and from whom.
//!
//! Owns the figures of submitted reports, by regime, period, indicator and unit. It follows submission's events and
//! asks it for the reports; who owed one, and who was excused, is compliance's to say, and is asked with each answer.
//! Nothing here is a truth of its own: an empty database fills itself again from submission.

mod convert;
pub mod domain;
mod error;
mod jobs;
mod service;
pub mod store;

use std::sync::Arc;

use dunghan_events::Units;
use dunghan_host::{Running, Spec, Start};
use dunghan_proto::aggregation::aggregation_service_server::AggregationServiceServer;
use jobs::intake::Intake;
use service::{Peers, Service};
use store::{Migrations, Store};

/// The aggregation service.
#[derive(Debug)]
pub struct Aggregation;

impl Spec for Aggregation {
    const NAME: &'static str = "aggregation";
    type Migrations = Migrations;
    /// There is nothing to configure.
    type Config = ();

    async fn start(start: Start, (): ()) -> anyhow::Result<Running> {
        let store = Store::new(start.database.clone());
        let units = Units::new(start.peer("registry"));
        let intake = Arc::new(Intake::new(store.clone(), start.peer("submission")));
        let service = Service {
            store,
            units: units.clone(),
            peers: Peers::new(start.peer("submission"), start.peer("compliance")),
            intake: intake.clone(),
            clock: start.clock.clone(),
        };
        let stopping = start.stopping.clone();
        Ok(Running::new()
            .service(AggregationServiceServer::new(service))
            .job(move || units.clone().follow(stopping.clone()))
            .job(move || intake.clone().follow(start.stopping.clone())))
    }
}

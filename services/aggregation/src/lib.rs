//! What the figures add up to, and from whom.
//!
//! Owns the figures of submitted reports, by regime, period, indicator and unit. It follows submission's events and
//! asks it for the reports; who owed one, and who was excused, is compliance's to say, and is asked with each answer.
//! Nothing here is a truth of its own: an empty database fills itself again from submission.

mod config;
mod convert;
pub mod domain;
mod error;
mod jobs;
mod service;
pub mod store;

use std::sync::Arc;
use std::time::Duration;

pub use config::Config;

use dunghan_host::{LARGEST_ANSWER, LARGEST_REQUEST, Running, Spec, Start};
use dunghan_proto::aggregation::aggregation_service_server::AggregationServiceServer;
use jobs::intake::Intake;
use service::{Peers, Service};
use store::{Migrations, Store};

/// The aggregation service.
#[derive(Debug)]
pub struct Aggregation;

impl Spec for Aggregation {
    const NAME: &'static str = "aggregation";
    const PEERS: &'static [&'static str] = &["registry", "submission", "compliance"];
    type Migrations = Migrations;
    type Config = Config;

    async fn start(start: Start, config: Config) -> anyhow::Result<Running> {
        let store = Store::new(start.database.clone());
        let intake = Arc::new(Intake::new(store.clone(), start.peer("submission")));
        let service = Service {
            store,
            units: start.units(),
            peers: Peers::new(start.peer("submission"), start.peer("compliance")),
            intake: intake.clone(),
            clock: start.clock.clone(),
        };
        let pull_every = Duration::from_secs(config.pull_every_s.max(1));
        let server = AggregationServiceServer::new(service)
            .max_decoding_message_size(LARGEST_REQUEST)
            .max_encoding_message_size(LARGEST_ANSWER);
        Ok(Running::new()
            .service(server)
            .job(move || intake.clone().follow(pull_every, start.stopping.clone())))
    }
}

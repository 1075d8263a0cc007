//! The registry: who the administration's units are, on any date.
//!
//! It owns units, their versions, the codes they held and their parents over time. All of it is small, so it answers from
//! an immutable copy in memory ([`dunghan_hierarchy::Hierarchy`]); the tables are what the copy is built from and what an
//! import changes. Other services hold a copy of their own, which they read by StreamUnitHistories and renew when
//! ListEvents has something new. The lists of units that come with the product are in `data/`.

mod config;
mod convert;
mod data;
pub mod domain;
mod error;
mod service;
pub mod store;

pub use config::Config;
pub use data::{
    BadFile, BadLine, Bundle, CsvRows, XlsxRows, bundle, rows_from_csv, rows_from_file,
};

use std::sync::Arc;

use dunghan_host::{LARGEST_ANSWER, LARGEST_REQUEST, Running, Spec, Start};
use dunghan_proto::registry::contact_service_server::ContactServiceServer;
use dunghan_proto::registry::grant_service_server::GrantServiceServer;
use dunghan_proto::registry::registry_service_server::RegistryServiceServer;
use dunghan_proto::registry::reorganisation_service_server::ReorganisationServiceServer;

/// The service, for whoever runs it.
#[derive(Clone, Copy, Debug)]
pub struct Registry;

impl Spec for Registry {
    const NAME: &'static str = "registry";
    type Migrations = store::Migrations;
    type Config = Config;

    async fn start(start: Start, _: Config) -> anyhow::Result<Running> {
        let guard = start.grants();
        let store = store::Store::new(start.database);
        let service = Arc::new(service::Service::new(store, start.clock, guard).await?);
        let server = RegistryServiceServer::from_arc(service.clone())
            .max_decoding_message_size(LARGEST_REQUEST)
            .max_encoding_message_size(LARGEST_ANSWER);
        let reorganisations = ReorganisationServiceServer::from_arc(service.clone())
            .max_decoding_message_size(LARGEST_REQUEST)
            .max_encoding_message_size(LARGEST_ANSWER);
        let contacts = ContactServiceServer::from_arc(service.clone())
            .max_encoding_message_size(LARGEST_ANSWER);
        let grants =
            GrantServiceServer::from_arc(service.clone()).max_encoding_message_size(LARGEST_ANSWER);
        let (in_force, stopping) = (service.grants.clone(), start.stopping);
        Ok(Running::new()
            .service(server)
            .service(reorganisations)
            .service(contacts)
            .service(grants)
            .job(move || in_force.clone().follow(stopping.clone())))
    }
}

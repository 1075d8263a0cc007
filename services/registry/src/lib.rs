//! The registry: who the administration's units are, on any date.
//!
//! It owns units, their versions, the codes they held and their parents over time. All of it is small, so it answers from
//! an immutable copy in memory ([`dunghan_hierarchy::Hierarchy`]); the tables are what the copy is built from and what an
//! import changes. Other services hold a copy of their own, which they read by StreamUnitHistories and renew when
//! ListEvents has something new. The lists of units that come with the product are in `data/`.

mod config;
mod convert;
mod data;
mod domain;
mod error;
mod service;
pub mod store;

pub use config::Config;
pub use data::{BadFile, BadLine, bundled_units, rows_from_csv};

use dunghan_host::{LARGEST_ANSWER, LARGEST_REQUEST, Running, Spec, Start};
use dunghan_proto::registry::registry_service_server::RegistryServiceServer;

/// The service, for whoever runs it.
#[derive(Clone, Copy, Debug)]
pub struct Registry;

impl Spec for Registry {
    const NAME: &'static str = "registry";
    type Migrations = store::Migrations;
    type Config = Config;

    async fn start(start: Start, _: Config) -> anyhow::Result<Running> {
        let store = store::Store::new(start.database);
        let service = service::Service::new(store, start.clock).await?;
        let server = RegistryServiceServer::new(service)
            .max_decoding_message_size(LARGEST_REQUEST)
            .max_encoding_message_size(LARGEST_ANSWER);
        Ok(Running::new().service(server))
    }
}

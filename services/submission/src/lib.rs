//! Takes in the reports that units owe, checks them, and keeps when each was first received.
//!
//! It owns forms, reports and findings. Whether a report was on time is not its business: it keeps no due time, and
//! compliance derives timeliness from the receive time kept here. What a regime asks for is read from compliance once,
//! when a report is begun, and kept with it: handing a report over needs nobody else.

mod config;
mod convert;
pub mod domain;
mod error;
mod service;
pub mod store;

use dunghan_host::{LARGEST_ANSWER, Running, Spec, Start};
use dunghan_proto::compliance::compliance_service_client::ComplianceServiceClient;
use dunghan_proto::submission::submission_service_server::SubmissionServiceServer;

pub use config::Config;

use crate::domain::form::Forms;
use crate::store::{Migrations, Store};

/// Above the largest request that the contract allows, and above tonic's own limit: a text that is too long is to be
/// refused by name, not by the transport.
const LARGEST_MESSAGE: usize = 8 * 1024 * 1024;

/// The service.
#[derive(Debug)]
pub struct Submission;

impl Spec for Submission {
    const NAME: &'static str = "submission";
    const PEERS: &'static [&'static str] = &["registry", "compliance"];
    type Migrations = Migrations;
    type Config = Config;

    async fn start(start: Start, _config: Config) -> anyhow::Result<Running> {
        let service = service::Service {
            units: start.units(),
            forms: Forms::compiled_in()?,
            compliance: ComplianceServiceClient::new(start.peer("compliance")),
            store: Store::new(start.database),
            clock: start.clock,
        };
        let server = SubmissionServiceServer::new(service)
            .max_decoding_message_size(LARGEST_MESSAGE)
            .max_encoding_message_size(LARGEST_ANSWER);
        Ok(Running::new().service(server))
    }
}

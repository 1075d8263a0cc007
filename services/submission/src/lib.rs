//! Takes in the reports that units owe, checks them, and keeps when each was first received.
//!
//! It owns forms, reports and findings. Whether a report was on time is not its business: it keeps no due time, and
//! compliance derives timeliness from the receive time kept here. What a regime asks for is read from compliance once,
//! when a report is begun, and kept with it: handing a report over needs nobody else.

mod blobs;
mod config;
mod convert;
pub mod domain;
mod error;
mod jobs;
mod service;
pub mod store;

use std::sync::Arc;

use anyhow::Context as _;
use dunghan_host::{LARGEST_ANSWER, LARGEST_REQUEST, Running, Spec, Start};
use dunghan_proto::compliance::compliance_service_client::ComplianceServiceClient;
use dunghan_proto::submission::attachment_service_server::AttachmentServiceServer;
use dunghan_proto::submission::form_service_server::FormServiceServer;
use dunghan_proto::submission::intake_service_server::IntakeServiceServer;
use dunghan_proto::submission::submission_service_server::SubmissionServiceServer;

pub use config::{Attachments, Config};
pub use convert::receipt::signed_receipt;

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

    async fn start(start: Start, config: Config) -> anyhow::Result<Running> {
        let blobs = blobs::Blobs::open(&config.attachments, &start.data_folder)?;
        let there = start.condition("attachments").await;
        there.say(must_be_usable(blobs.try_out().await)?).await;
        let collector = jobs::Collector {
            store: Store::new(start.database.clone()),
            blobs: blobs.clone(),
            clock: start.clock.clone(),
            let_alone: jobs::LET_ALONE,
            bell: Arc::default(),
        };
        let stopping = start.stopping.clone();
        let (clock, store) = (start.clock.clone(), Store::new(start.database.clone()));
        let service = service::Service {
            units: start.units(),
            forms: service::CurrentForms::new(Forms::compiled_in()?),
            compliance: ComplianceServiceClient::new(start.peer("compliance")),
            receipts: service::Receipts::open(&config, &start.data_folder)?,
            store: Store::new(start.database),
            clock: start.clock,
            blobs: blobs.clone(),
            collector: collector.clone(),
            imports: service::Turns::default(),
        };
        let (collecting_stops, looking_stops) = (stopping.clone(), stopping.clone());
        let forgetting = move || jobs::forget_until(store.clone(), clock.clone(), stopping.clone());
        let collecting = move || jobs::collect_until(collector.clone(), collecting_stops.clone());
        let looking = move || jobs::look_until(blobs.clone(), there.clone(), looking_stops.clone());
        let reports = SubmissionServiceServer::new(service.clone())
            .max_decoding_message_size(LARGEST_MESSAGE)
            .max_encoding_message_size(LARGEST_ANSWER);
        let forms = FormServiceServer::new(service.clone())
            .max_decoding_message_size(LARGEST_REQUEST)
            .max_encoding_message_size(LARGEST_ANSWER);
        let attachments = AttachmentServiceServer::new(service.clone())
            .max_decoding_message_size(LARGEST_REQUEST)
            .max_encoding_message_size(LARGEST_ANSWER);
        let intake = IntakeServiceServer::new(service)
            .max_decoding_message_size(LARGEST_MESSAGE)
            .max_encoding_message_size(LARGEST_ANSWER);
        Ok(Running::new()
            .service(reports)
            .service(forms)
            .service(attachments)
            .service(intake)
            .job(collecting)
            .job(looking)
            .job(forgetting))
    }
}

/// Whether attached files can be kept now. What waiting may mend stops nothing, as with a database.
fn must_be_usable(tried: Result<(), blobs::Error>) -> anyhow::Result<bool> {
    match tried {
        Ok(()) => Ok(true),
        Err(error @ blobs::Error::Away(_)) => {
            tracing::warn!("attached files cannot be kept or read: {error}");
            Ok(false)
        }
        Err(error) => Err(error).context("submission.attachments: nothing can be kept there"),
    }
}

//! Compliance: what is due, missing, late and overdue; why; and who was told.
//!
//! It owns the working calendar, regimes, obligations, waivers, dossiers and their clocks, and notices. Reports are
//! submission's and units the registry's: both are asked for, neither is copied beyond receive times and a hierarchy in
//! memory.

mod config;
mod convert;
pub mod domain;
mod error;
mod jobs;
mod service;
pub mod store;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dunghan_host::{LARGEST_ANSWER, LARGEST_REQUEST, Running, Spec, Start};
use dunghan_proto::compliance::calendar_service_server::CalendarServiceServer;
use dunghan_proto::compliance::compliance_service_client::ComplianceServiceClient;
use dunghan_proto::compliance::compliance_service_server::ComplianceServiceServer;
use dunghan_proto::compliance::decision_service_server::DecisionServiceServer;
use dunghan_proto::compliance::dossier_service_server::DossierServiceServer;
use dunghan_proto::compliance::notice_service_server::NoticeServiceServer;
use dunghan_proto::registry::contact_service_client::ContactServiceClient;
use dunghan_proto::submission::form_service_client::FormServiceClient;
use dunghan_proto::submission::submission_service_client::SubmissionServiceClient;
use tokio::sync::Notify;

pub use config::Config;
pub use domain::calendar::official as official_calendar;

/// The service.
#[derive(Debug)]
pub struct Compliance;

impl Spec for Compliance {
    const NAME: &'static str = "compliance";
    const PEERS: &'static [&'static str] = &[jobs::REGISTRY, jobs::SUBMISSION];
    type Migrations = store::Migrations;
    type Config = Config;

    async fn start(start: Start, config: Config) -> anyhow::Result<Running> {
        let reconciler = jobs::Reconciler {
            store: store::Store::new(start.database.clone()),
            units: start.units(),
            submission: SubmissionServiceClient::new(start.peer(jobs::SUBMISSION)),
            clock: start.clock.clone(),
            calendars: jobs::CurrentCalendars::new(domain::calendar::Calendars::before_amendments(
                config.office_hours,
            )?),
            opened: Arc::default(),
            swept: Arc::default(),
        };
        let service = service::Service {
            reconciler: reconciler.clone(),
            contacts: ContactServiceClient::new(start.peer(jobs::REGISTRY)),
            forms: FormServiceClient::new(start.peer(jobs::SUBMISSION)),
            families: Arc::new(domain::regime::families()?),
            stopping: start.stopping.clone(),
        };
        let bell = Arc::new(Notify::new());
        let scheduler = match config.sweep_cron.as_str() {
            "" => None,
            cron => Some(jobs::ring_by_cron(cron, bell.clone()).await.with_context(|| {
                format!("compliance.sweep_cron: {cron:?} does not read; six fields, seconds first")
            })?),
        };
        let every = Duration::from_secs(config.sweep_every_s.max(1));
        let (limit, swept) = (config.sweep_limit(), start.condition("sweep").await);
        let stopping = start.stopping.clone();
        let (counted, counting_stops) = (reconciler.clone(), start.stopping.clone());
        let sweeping = move || {
            // The scheduler rings as long as somebody holds it.
            let held = scheduler.clone();
            let sweeping =
                jobs::sweep_until(reconciler.clone(), bell.clone(), every, stopping.clone());
            async move {
                sweeping.await;
                drop(held);
            }
        };
        let counting = move || {
            jobs::count_until(counted.clone(), swept.clone(), limit, counting_stops.clone())
        };
        let compliance = ComplianceServiceServer::new(service.clone())
            .max_decoding_message_size(LARGEST_REQUEST)
            .max_encoding_message_size(LARGEST_ANSWER);
        let dossiers = DossierServiceServer::new(service.clone())
            .max_decoding_message_size(LARGEST_REQUEST)
            .max_encoding_message_size(LARGEST_ANSWER);
        let calendars = CalendarServiceServer::new(service.clone())
            .max_decoding_message_size(LARGEST_REQUEST)
            .max_encoding_message_size(LARGEST_ANSWER);
        let decisions = DecisionServiceServer::new(service.clone())
            .max_decoding_message_size(LARGEST_REQUEST)
            .max_encoding_message_size(LARGEST_ANSWER);
        let notices = NoticeServiceServer::new(service)
            .max_decoding_message_size(LARGEST_REQUEST)
            .max_encoding_message_size(LARGEST_ANSWER);
        let here =
            ComplianceServiceClient::new(start.here()).max_decoding_message_size(LARGEST_ANSWER);
        Ok(Running::new()
            .service(compliance)
            .service(calendars)
            .service(decisions)
            .service(dossiers)
            .service(notices)
            .feed(service::pages(here))
            .job(sweeping)
            .job(counting))
    }
}

//! The service's rpcs over a socket, and its store on both engines.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod acts;
mod batch_get;
mod create_report;
mod five_reports;
mod forms;
mod get_report;
mod life;
mod list_report_acts;
mod list_reports;
mod peers;
mod predecessors;
mod store_conformance;
mod submit_report;
mod submitting_unit;
mod update_report;
mod world;

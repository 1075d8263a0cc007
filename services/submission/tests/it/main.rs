//! The service's rpcs over a socket, and its store on both engines.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accept;
mod acts;
mod arrivals;
mod attachments;
mod batch_get;
mod create_report;
mod diffs;
mod five_reports;
mod forms;
mod forms_store;
mod get_report;
mod imports;
mod life;
mod life_model;
mod list_report_acts;
mod list_reports;
mod nil;
mod peers;
mod predecessors;
mod publish_form;
mod receipts;
mod rules;
mod store_conformance;
mod submit_report;
mod submitting_unit;
mod together;
mod update_report;
mod world;

//! Logs: one line an event, on standard error, for people or for programs.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The filter does not read.
#[derive(Debug, thiserror::Error)]
#[error("the log filter {0:?} does not read: {1}")]
pub struct BadFilter(String, String);

/// Starts logging for the whole process; a second call changes nothing.
///
/// `filter` is as in `RUST_LOG`, for example `info,dunghan_compliance=debug`.
pub fn init(format: Format, filter: &str) -> Result<(), BadFilter> {
    let parsed =
        EnvFilter::try_new(filter).map_err(|e| BadFilter(filter.to_owned(), e.to_string()))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // An error here says that a subscriber is set already.
    let _ = match format {
        Format::Text => builder.compact().try_init(),
        Format::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}

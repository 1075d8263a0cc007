//! `serve`, `migrate` and `config`: what an operator does with the services themselves.

use std::sync::Arc;

use dunghan_host::{
    Clocks, Config, FileClock, LogFormat, Sources, Suite, in_words, stopped_by_signal,
};
use dunghan_telemetry::{Format, Settings, Telemetry};

use crate::cli::{ConfigArgs, Serve, ShowConfig};
use crate::failure::Failure;
use crate::output;
use crate::suite::suite;

/// The configuration in force.
pub(super) fn read(args: &ConfigArgs) -> Result<Config, Failure> {
    let sources = Sources {
        file: args.config.clone(),
        data_dir: args.data_dir.clone(),
        overrides: args.set.clone(),
        environment: true,
    };
    let config = Config::read(&sources, &suite().names())?;
    // Reads each service's section, so that a wrong key there is found now and named.
    suite().show_config(&config).map_err(|e| Failure::input(in_words(&e)))?;
    Ok(config)
}

/// Begins to tell what happens, as the configuration says.
fn tell(config: &Config, service_name: String) -> Result<Telemetry, Failure> {
    let format = match config.log.format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    let endpoint = Some(config.telemetry.otlp_endpoint.clone()).filter(|one| !one.is_empty());
    let settings = Settings {
        otlp_endpoint: endpoint,
        sample_ratio: config.telemetry.sample_ratio,
        service_name,
        instance: instance(),
        ..Settings::logs(format, config.log.filter.clone())
    };
    dunghan_telemetry::init(&settings).map_err(Failure::input)
}

/// Which of several processes this is: in a cluster all of them have the same number on machines of different names.
fn instance() -> String {
    let machine = std::env::var("HOSTNAME").unwrap_or_else(|_| "here".to_owned());
    format!("{machine}/{}", std::process::id())
}

/// What the process is called in traces: a service that runs alone is called by its name.
fn service_name(suite: &Suite) -> String {
    match suite.running().as_slice() {
        [alone] => format!("dunghan-{alone}"),
        _ => "dunghan".to_owned(),
    }
}

pub(super) async fn serve(mut args: Serve) -> Result<(), Failure> {
    if let Some(listen) = args.listen {
        args.config.set.push(("server.listen".to_owned(), listen));
    }
    let suite = match args.services {
        Some(services) => suite().only(&services).map_err(Failure::input)?,
        None => suite(),
    };
    let config = read(&args.config)?;
    let telemetry = tell(&config, service_name(&suite))?;
    let ended = Box::pin(run(suite, &config)).await;
    telemetry.shutdown().await;
    ended
}

/// From the start to a signal, or to what ends the process before.
async fn run(suite: Suite, config: &Config) -> Result<(), Failure> {
    let mut started = suite.start(config, clocks(config)?).await?;
    let mut signal = std::pin::pin!(stopped_by_signal());
    let stopped = tokio::select! {
        ready = started.ready() => {
            ready?;
            signal.await
        }
        stopped = &mut signal => stopped,
    };
    stopped?;
    Ok(started.stop().await?)
}

fn clocks(config: &Config) -> Result<Clocks, Failure> {
    if config.test.clock.is_empty() {
        return Ok(Clocks::default());
    }
    let clock = FileClock::open(&config.test.clock)?;
    Ok(Clocks { services: Arc::new(clock) })
}

pub(super) async fn migrate(args: &ConfigArgs) -> Result<(), Failure> {
    let config = read(args)?;
    let telemetry = tell(&config, "dunghan-migrate".to_owned())?;
    let location = config.location().map_err(Failure::input)?;
    let migrated = suite().migrate(&location).await;
    telemetry.shutdown().await;
    migrated?;
    output::write(&format!("The databases of {} are up to date.", suite().names().join(", ")))
}

pub(super) fn config(args: &ShowConfig) -> Result<(), Failure> {
    if args.reference {
        return output::write(suite().reference().to_string().trim_end());
    }
    output::write(&suite().show_config(&read(&args.config)?)?)
}

//! `serve`, `migrate` and `config`: what an operator does with the services themselves.

use dunghan_host::{Clocks, Config, LogFormat, Sources, stopped_by_signal};
use dunghan_telemetry::Format;

use crate::cli::{ConfigArgs, Serve};
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
    suite().show_config(&config).map_err(|e| Failure::input(format_args!("{e:#}")))?;
    Ok(config)
}

fn log(config: &Config) -> Result<(), Failure> {
    let format = match config.log.format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    dunghan_telemetry::init(format, &config.log.filter).map_err(Failure::input)
}

pub(super) async fn serve(mut args: Serve) -> Result<(), Failure> {
    if let Some(listen) = args.listen {
        args.config.set.push(("server.listen".to_owned(), listen));
    }
    let config = read(&args.config)?;
    log(&config)?;
    let started = Box::pin(suite().start(&config, Clocks::default())).await?;
    stopped_by_signal().await?;
    Ok(started.stop().await?)
}

pub(super) async fn migrate(args: &ConfigArgs) -> Result<(), Failure> {
    let config = read(args)?;
    log(&config)?;
    let location = config.location().map_err(Failure::input)?;
    suite().migrate(&location).await?;
    output::write(&format!("The databases of {} are up to date.", suite().names().join(", ")))
}

pub(super) fn config(args: &ConfigArgs) -> Result<(), Failure> {
    output::write(&suite().show_config(&read(args)?)?)
}

//! `bench`: what the suite costs on this machine, beside what it should stay below.

use dunghan_benches::Figure;
use dunghan_benches::deadlines::{Ground, Part, Size, measure};
use dunghan_host::stopped_by_signal;
use dunghan_store::Location;
use dunghan_telemetry::{Format as LogFormat, Settings};
use serde::Serialize;

use crate::cli::{Bench, BenchVerb, Format};
use crate::failure::Failure;
use crate::output::{self, Column, Rows};

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    engine: &'static str,
    /// Among how many the sweep was measured.
    obligations: u32,
    figures: Vec<Measured>,
}

/// A figure; one without a ceiling is there for comparison.
#[derive(Debug, Serialize)]
struct Measured {
    what: String,
    value: f64,
    unit: &'static str,
    ceiling: Option<f64>,
    within: Option<bool>,
}

impl From<Figure> for Measured {
    fn from(figure: Figure) -> Self {
        let is_over = figure.is_over();
        let Figure { what, value, ceiling, unit } = figure;
        let ceiling = Some(ceiling).filter(|ceiling| ceiling.is_finite());
        Self { what, value, unit, ceiling, within: ceiling.map(|_| !is_over) }
    }
}

pub(super) async fn bench(args: Bench) -> Result<(), Failure> {
    let BenchVerb::Compliance { obligations, location, output } = args.verb;
    compliance(obligations, location, output).await
}

async fn compliance(
    obligations: u32,
    location: Option<Location>,
    format: Format,
) -> Result<(), Failure> {
    // What goes wrong in a service is to be seen.
    let _telemetry = dunghan_telemetry::init(&Settings::logs(LogFormat::Text, "warn"))
        .map_err(Failure::input)?;
    let ground = Ground::new(location)?;
    let engine = ground.engine();
    // Stopped or failed half way, it leaves nothing all the same.
    let measured = tokio::select! {
        measured = measure(&Part::ALL, &ground, Size::of(obligations), &output::step) => measured,
        stopped = stopped_by_signal() => {
            stopped.and_then(|()| Err(anyhow::anyhow!("stopped before the end")))
        }
    };
    let removed = ground.remove().await;
    let figures = measured?.into_iter().map(Measured::from).collect();
    removed?;
    let report = Report { engine, obligations, figures };
    output::print(format, &report, table)?;
    let over = report.figures.iter().filter(|one| one.within == Some(false)).count();
    match over {
        0 => Ok(()),
        over => {
            let figures = output::many(over, "figure is over its", "figures are over their");
            Err(Failure::Failed(anyhow::anyhow!("{figures} ceiling")))
        }
    }
}

fn table(report: &Report) -> String {
    let mut rows = Rows::new(&[
        Column::Text("Measured"),
        Column::Number("Figure"),
        Column::Number("Ceiling"),
        Column::Text("Verdict"),
    ]);
    for Measured { what, value, unit, ceiling, within } in &report.figures {
        let verdict = match within {
            None => "",
            Some(true) => "within",
            Some(false) => "over",
        };
        let ceiling = ceiling.map_or_else(String::new, |ceiling| format!("{ceiling} {unit}"));
        rows.row([what.clone(), format!("{value:.2} {unit}"), ceiling, verdict.to_owned()]);
    }
    rows.text()
}

//! `bench`: what the suite costs on this machine, beside what it should stay below.

use dunghan_benches::{Figure, Ground, deadlines, reports};
use dunghan_host::stopped_by_signal;
use dunghan_telemetry::{Format as LogFormat, Settings};
use serde::Serialize;

use crate::cli::{Bench, BenchGround, BenchVerb, Format};
use crate::failure::Failure;
use crate::output::{self, Column, Rows};

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    engine: &'static str,
    #[serde(flatten)]
    among: Many,
    figures: Vec<Measured>,
}

/// With how many it was measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Many {
    /// Among which the sweep finds what is due.
    Obligations(u32),
    /// That were handed over.
    Reports(u32),
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
    // What goes wrong in a service is to be seen.
    let _telemetry = dunghan_telemetry::init(&Settings::logs(LogFormat::Text, "warn"))
        .map_err(Failure::input)?;
    match args.verb {
        BenchVerb::Compliance { obligations, ground: BenchGround { location, output } } => {
            let ground = Ground::new(location)?;
            let size = deadlines::Size::of(obligations);
            let tell = &output::step;
            let measuring = deadlines::measure(&deadlines::Part::ALL, &ground, size, tell);
            let measured = until_stopped(measuring).await;
            told(ground, output, measured, Many::Obligations(obligations)).await
        }
        BenchVerb::Submission { reports, ground: BenchGround { location, output } } => {
            let ground = Ground::new(location)?;
            let size = reports::Size::of(reports);
            let measuring = reports::measure(&reports::Part::ALL, &ground, size, &output::step);
            let measured = until_stopped(measuring).await;
            told(ground, output, measured, Many::Reports(reports)).await
        }
    }
}

/// What was measured, unless it was stopped before.
async fn until_stopped(
    measuring: impl Future<Output = anyhow::Result<Vec<Figure>>>,
) -> anyhow::Result<Vec<Figure>> {
    tokio::select! {
        measured = measuring => measured,
        stopped = stopped_by_signal() => {
            stopped.and_then(|()| Err(anyhow::anyhow!("stopped before the end")))
        }
    }
}

/// Tells what was measured. Stopped or failed half way, it leaves nothing all the same.
async fn told(
    ground: Ground,
    format: Format,
    measured: anyhow::Result<Vec<Figure>>,
    among: Many,
) -> Result<(), Failure> {
    let engine = ground.engine();
    let removed = ground.remove().await;
    let figures = measured?.into_iter().map(Measured::from).collect();
    removed?;
    let report = Report { engine, among, figures };
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

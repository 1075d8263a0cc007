//! What it costs to take reports in: handing them over, reading one, and checking one; with a database of its own for each, which
//! is gone afterwards.
//!
//! Each figure is a ratio within one run, or stands against a generous ceiling: machines differ.

mod checking;
mod made_up;
mod pgbench;
mod reading;
mod submission;
mod submitting;
mod wire;

use anyhow::Context as _;

use crate::{Figure, Ground};

/// How often the two sides of a ratio take turns, after one turn that warms both up.
const TURNS: usize = 9;
/// How many hand reports over at once.
const CLIENTS: usize = 8;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// SubmitReport, on PostgreSQL beside `pgbench` with the same statements.
    Submitting,
    /// GetReport, beside a handler that asks the database the same and answers the same.
    Reading,
    /// All rules over all figures of a report, without a database.
    Checking,
}

impl Part {
    /// In the order in which they are measured.
    pub const ALL: [Self; 3] = [Self::Submitting, Self::Reading, Self::Checking];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submitting => "submitting",
            Self::Reading => "reading",
            Self::Checking => "checking",
        }
    }
}

/// How much of everything there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Reports that each client hands over in one turn.
    each: usize,
    /// How often a report is read in one turn.
    reads: usize,
    /// How often one is checked.
    checks: usize,
}

impl Size {
    /// The fewest reports with which every part has something to measure: each client hands over one in each turn.
    pub const LEAST: u32 = (CLIENTS * (TURNS + 1)) as u32;
    /// With which the ceilings are promised.
    pub const WHOLE: u32 = 100 * Self::LEAST;

    /// So that no more reports are handed over than that, or than [`Size::LEAST`].
    pub fn of(reports: u32) -> Self {
        let each = reports.max(Self::LEAST) as usize / Self::LEAST as usize;
        Self { each, reads: (each * 10).min(1000), checks: (each * 10).min(1000) }
    }

    /// Reports that are handed over in one turn.
    fn at_once(self) -> usize {
        self.each * CLIENTS
    }

    /// Reports that are handed over in all.
    fn in_all(self) -> usize {
        self.at_once() * (TURNS + 1)
    }
}

/// Measures these parts one after the other, and tells what it is doing.
///
/// Errors: the database is away or full, or the service did not do what it has to.
pub async fn measure(
    parts: &[Part],
    ground: &Ground,
    size: Size,
    tell: &(dyn Fn(&str) + Sync),
) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for part in parts {
        tell(&format!("Measuring {}", part.as_str()));
        let measured = match part {
            Part::Submitting => Box::pin(submitting::measure(ground, size, tell)).await,
            Part::Reading => Box::pin(reading::measure(ground, size)).await,
            Part::Checking => checking::measure(size),
        };
        figures.extend(measured.with_context(|| format!("{} was not measured", part.as_str()))?);
    }
    Ok(figures)
}

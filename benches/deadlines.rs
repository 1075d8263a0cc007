//! What it costs to watch over deadlines: opening a month, sweeping, counting, and amending a calendar; with a database of its
//! own for each, which is gone afterwards.
//!
//! Each figure is a ratio within one run, or stands against a generous ceiling: machines differ.

mod amendments;
mod openings;
mod rates;
mod sweeps;
mod watched;

use crate::{Figure, Ground};
use anyhow::Context as _;

/// How often the two sides of a ratio take turns.
const TURNS: usize = 9;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Opening a month for the nation; and, with three years of months opened, what a change of the hierarchy costs.
    Openings,
    /// A sweep by which the same number falls due, among few obligations and among many.
    Sweeps,
    /// National standings for one period: what the store and the domain add to what the database needs.
    Rates,
    /// One period in which very many fall due, to one recipient: they are asked about and claimed batch by batch, and told in
    /// one notice.
    AllAtOnce,
    /// Amending the nation's calendar, by which every open obligation moves; and what a reader waits meanwhile.
    Amendments,
}

impl Part {
    /// In the order in which they are measured.
    pub const ALL: [Self; 5] =
        [Self::Openings, Self::Sweeps, Self::Rates, Self::AllAtOnce, Self::Amendments];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Openings => "openings",
            Self::Sweeps => "sweeps",
            Self::Rates => "rates",
            Self::AllAtOnce => "all_at_once",
            Self::Amendments => "amendments",
        }
    }
}

/// How much of everything there is; the nation's numbers where there is room for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Obligations among which a sweep finds what is due, and the fewer with which that is compared.
    many: usize,
    few: usize,
    /// How many fall due for each sweep.
    due: usize,
    /// Communes for which months are opened.
    communes: usize,
    /// Units that owe in the period whose standings are counted, and periods that there are.
    units: usize,
    periods: usize,
    /// Units that owe under each regime when a calendar is amended.
    owing: usize,
}

impl Size {
    /// The fewest obligations with which every part has something to measure.
    pub const LEAST: u32 = 1000;
    /// With which the ceilings are promised.
    pub const WHOLE: u32 = 10_000_000;

    /// So that no part has more obligations than that, or than [`Size::LEAST`].
    pub fn of(obligations: u32) -> Self {
        let many = obligations.max(Self::LEAST) as usize;
        let few = many / 100;
        let units = (many / 4).min(3355);
        Self {
            many,
            few,
            due: (few / 10).min(1000),
            communes: (many / openings::MONTHS).min(3321),
            units,
            periods: (many / units).min(36),
            owing: (many / amendments::REGIMES).min(10_000),
        }
    }
}

/// Measures these parts one after the other, and tells what it is doing.
///
/// Errors: the database is away or full, or a service did not do what it has to.
pub async fn measure(
    parts: &[Part],
    ground: &Ground,
    size: Size,
    tell: &(dyn Fn(&str) + Sync),
) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for part in parts {
        tell(&format!("Measuring {}", part.as_str().replace('_', " ")));
        let measured = match part {
            Part::Openings => Box::pin(openings::measure(ground, size)).await,
            Part::Sweeps => Box::pin(sweeps::measure(ground, size, tell)).await,
            Part::Rates => Box::pin(rates::measure(ground, size)).await,
            Part::AllAtOnce => Box::pin(sweeps::all_at_once(ground, size)).await,
            Part::Amendments => Box::pin(amendments::measure(ground, size)).await,
        };
        figures.extend(measured.with_context(|| format!("{} were not measured", part.as_str()))?);
    }
    Ok(figures)
}

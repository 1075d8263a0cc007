//! What the benchmarks share: figures beside the ceilings that they should stay below. And what of them the program can measure
//! by itself, wherever it runs.

pub mod deadlines;
mod peers;
mod place;
pub mod reports;
mod served;

use std::io::Write as _;
use std::process::ExitCode;

use chrono::{DateTime, NaiveDate, Utc};

pub use place::Ground;

/// The middle one.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// What came out of a measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Of what.
    pub what: String,
    /// In its unit.
    pub value: f64,
    /// What it should stay below. Infinity: it is there for comparison only.
    pub ceiling: f64,
    /// `s`, `ms`, `/s` or `×`.
    pub unit: &'static str,
}

impl Figure {
    /// There for comparison only.
    fn of(what: String, value: f64, unit: &'static str) -> Self {
        Self::below(what, value, f64::INFINITY, unit)
    }

    fn below(what: String, value: f64, ceiling: f64, unit: &'static str) -> Self {
        Self { what, value, ceiling, unit }
    }

    /// Whether it is over its ceiling.
    pub fn is_over(&self) -> bool {
        self.value > self.ceiling
    }
}

/// What came out, beside what it should stay below; each row is printed as it comes.
#[derive(Debug, Default)]
pub struct Table {
    over: bool,
}

impl Table {
    /// A figure. Without a ceiling it is there for comparison only: infinity.
    pub fn row(&mut self, what: &str, figure: f64, ceiling: f64, unit: &str) {
        let verdict = match ceiling {
            f64::INFINITY => String::new(),
            _ if figure <= ceiling => format!("within {ceiling} {unit}"),
            _ => format!("over {ceiling} {unit}"),
        };
        self.over |= figure > ceiling;
        let row = format!("{what:<45} {figure:>8.2} {unit:<2} {verdict}");
        // Whoever has stopped reading has seen enough.
        let _ = writeln!(std::io::stdout(), "{row}");
    }

    /// Whether all stayed below.
    pub fn verdict(self) -> ExitCode {
        if self.over { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

/// Whether a part of a benchmark is to be measured: those that arguments name, or all.
pub fn wanted(part: &str) -> bool {
    let mut named = std::env::args().skip(1).filter(|one| !one.starts_with("--")).peekable();
    named.peek().is_none() || named.any(|one| one == part)
}

/// A number as a person says it: `10 M`, `100 k`, `3,355`.
pub(crate) fn many(count: usize) -> String {
    match count {
        _ if count >= 1_000_000 && count.is_multiple_of(1_000_000) => {
            format!("{} M", grouped(count / 1_000_000))
        }
        _ if count >= 10_000 && count.is_multiple_of(1000) => {
            format!("{} k", grouped(count / 1000))
        }
        _ => grouped(count),
    }
}

fn grouped(count: usize) -> String {
    match count {
        0..1000 => count.to_string(),
        _ => format!("{},{:03}", grouped(count / 1000), count % 1000),
    }
}

/// When all of it happens.
pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_779_400_000, 0).unwrap_or(DateTime::UNIX_EPOCH)
}

/// A day that there is.
pub(crate) fn day(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap_or(NaiveDate::MIN)
}

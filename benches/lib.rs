//! What the benchmarks share: figures beside the ceilings that they should stay below. And what of them the program can measure
//! by itself, wherever it runs.

pub mod deadlines;

use std::io::Write as _;
use std::process::ExitCode;

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
    /// `s`, `ms` or `×`.
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

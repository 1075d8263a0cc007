//! What supervisors are told, and the words.

use chrono::{DateTime, Utc};
use dunghan_calendar::{Period, zone};
use dunghan_hierarchy::UnitId;
use uuid::Uuid;

use crate::domain::obligation::ObligationName;
use crate::domain::regime::{Regime, RegimeId};
use crate::domain::wording;

/// The rung of the ladder on which something is told when it falls due.
pub const DUE: &str = "due";
/// The channel by which notices are told: they are listed and watched.
pub const STREAM: &str = "stream";
/// How many subjects a text names; the rest are counted.
const NAMED: usize = 20;

/// What a notice is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Reports that are missing.
    MissingReports {
        /// Under which regime.
        regime: RegimeId,
        /// For which period.
        period: Period,
    },
    /// Dossiers that are overdue.
    OverdueDossiers,
}

/// One thing that fell due, to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The obligation or dossier, by name.
    pub name: String,
    /// Which of its due times this is: a new one can be told again.
    pub due_generation: i32,
    /// How the text calls it.
    pub words: String,
}

impl Subject {
    /// A report that is missing.
    pub fn missing(name: &ObligationName, due_generation: i32, unit_words: String) -> Self {
        Self { name: name.to_string(), due_generation, words: unit_words }
    }
}

/// A digest to one recipient of what newly fell due. Its id is the claim's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Unique.
    pub id: Uuid,
    /// Who is told.
    pub recipient: UnitId,
    /// About what.
    pub topic: Topic,
    /// On which rung.
    pub rung: String,
    /// When it was found, which may be long after it fell due.
    pub detect_time: DateTime<Utc>,
    /// The subjects' names.
    pub subjects: Vec<String>,
    /// For people.
    pub text: String,
}

/// The text about missing reports.
pub fn missing_text(
    regime: &Regime,
    period: Period,
    due: DateTime<Utc>,
    told: &[Subject],
) -> String {
    let window = regime.window(period);
    // The due time is the midnight that ends the due date.
    let due_date = zone::civil_date(due).pred_opt().unwrap_or_else(|| zone::civil_date(due));
    format!(
        "Có {} đơn vị chưa gửi «{}» kỳ {} (thời hạn gửi: hết ngày {}): {}.",
        told.len(),
        regime.display_name,
        wording::period(period, window),
        zone::date_vi(due_date),
        named(told),
    )
}

/// The text about overdue dossiers.
pub fn overdue_text(told: &[Subject]) -> String {
    format!("Có {} hồ sơ quá hạn giải quyết, chưa ghi nhận kết quả: {}.", told.len(), named(told))
}

fn named(subjects: &[Subject]) -> String {
    let words: Vec<_> = subjects.iter().take(NAMED).map(|subject| subject.words.as_str()).collect();
    match subjects.len().checked_sub(NAMED) {
        None | Some(0) => words.join("; "),
        Some(more) => format!("{}; và {more} trường hợp khác", words.join("; ")),
    }
}

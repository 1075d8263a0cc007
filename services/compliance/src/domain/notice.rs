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
/// How many subjects go into one answer: with names of 150 bytes they stay below the 4 MB that clients take.
const AT_ONCE: usize = 20_000;

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

/// How many of these notices, and one at least, name no more subjects than fit into one answer.
pub fn fitting(notices: &[Notice]) -> usize {
    let mut subjects = 0;
    let fit = notices.iter().take_while(|notice| {
        subjects += notice.subjects.len();
        subjects <= AT_ONCE
    });
    fit.count().max(1)
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
        "Có {} đơn vị chưa gửi “{}” kỳ {} (thời hạn gửi: hết ngày {}): {}.",
        wording::count(told.len()),
        regime.display_name,
        wording::period(period, window),
        zone::date_vi(due_date),
        named(told),
    )
}

/// The text about overdue dossiers.
pub fn overdue_text(told: &[Subject]) -> String {
    format!(
        "Có {} hồ sơ quá hạn giải quyết, chưa ghi nhận kết quả: {}.",
        wording::count(told.len()),
        named(told)
    )
}

fn named(subjects: &[Subject]) -> String {
    let words: Vec<_> = subjects.iter().take(NAMED).map(|subject| subject.words.as_str()).collect();
    match subjects.len().checked_sub(NAMED) {
        None | Some(0) => words.join("; "),
        Some(more) => {
            format!("{}; và {} trường hợp khác", words.join("; "), wording::count(more))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(subjects: usize) -> Notice {
        Notice {
            id: Uuid::nil(),
            recipient: UnitId::new("nso", "24", None),
            topic: Topic::OverdueDossiers,
            rung: DUE.to_owned(),
            detect_time: DateTime::UNIX_EPOCH,
            subjects: vec![String::new(); subjects],
            text: String::new(),
        }
    }

    #[test]
    fn an_answer_holds_as_many_notices_as_clients_take_and_one_at_least() {
        for (sizes, fit) in [
            (vec![3321; 10], 6),
            (vec![1; 50], 50),
            (vec![AT_ONCE, 1], 1),
            (vec![AT_ONCE - 1, 1, 1], 2),
            (vec![AT_ONCE + 1, 1], 1),
        ] {
            let notices: Vec<_> = sizes.iter().map(|size| notice(*size)).collect();
            assert_eq!(fitting(&notices), fit, "{sizes:?}");
        }
    }
}

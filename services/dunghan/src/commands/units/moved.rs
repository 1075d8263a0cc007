//! What changed of a unit, between two days or two tellings.

use chrono::NaiveDate;
use dunghan_proto::registry as pb;
use serde::Serialize;

use crate::client::{Lookup, code};
use crate::output::{self, plain, word};

/// How a unit stood before something and stands after it; empty where it was not or is not there.
#[derive(Debug, Default, Serialize)]
pub(super) struct Moved {
    pub(super) unit: String,
    /// Which of name, kind, level, parent, code and identifiers (where the code is the same) differ.
    pub(super) changed: Vec<&'static str>,
    pub(super) code: String,
    pub(super) name: String,
    kind: String,
    level: String,
    pub(super) parent_unit: String,
    /// As `SCHEME/CODE`.
    identifiers: Vec<String>,
    pub(super) code_before: String,
    pub(super) name_before: String,
    kind_before: String,
    level_before: String,
    pub(super) parent_unit_before: String,
    identifiers_before: Vec<String>,
}

impl Moved {
    pub(super) fn of(before: Option<&pb::Unit>, after: Option<&pb::Unit>) -> Self {
        let kind = |unit: &pb::Unit| word(unit.kind().as_str_name(), "KIND_");
        let level = |unit: &pb::Unit| word(unit.level().as_str_name(), "LEVEL_");
        let identifiers = |unit: &pb::Unit| {
            let held = unit.identifiers.iter().map(|one| format!("{}/{}", one.scheme, one.value));
            held.collect::<Vec<_>>()
        };
        let mut moved = Self::default();
        if let Some(before) = before {
            moved.unit.clone_from(&before.name);
            moved.code_before = code(before).to_owned();
            moved.name_before.clone_from(&before.display_name);
            (moved.kind_before, moved.level_before) = (kind(before), level(before));
            moved.parent_unit_before.clone_from(&before.parent_unit);
            moved.identifiers_before = identifiers(before);
        }
        if let Some(after) = after {
            moved.unit.clone_from(&after.name);
            moved.code = code(after).to_owned();
            moved.name.clone_from(&after.display_name);
            (moved.kind, moved.level) = (kind(after), level(after));
            moved.parent_unit.clone_from(&after.parent_unit);
            moved.identifiers = identifiers(after);
        }
        if before.is_some() && after.is_some() {
            let all = [
                ("name", moved.name != moved.name_before),
                ("kind", moved.kind != moved.kind_before),
                ("level", moved.level != moved.level_before),
                ("parent", moved.parent_unit != moved.parent_unit_before),
                ("code", moved.code != moved.code_before),
                (
                    "identifiers",
                    moved.code == moved.code_before
                        && moved.identifiers != moved.identifiers_before,
                ),
            ];
            moved.changed =
                all.into_iter().filter_map(|(what, differs)| differs.then_some(what)).collect();
        }
        moved
    }

    /// What changed, in words; parents by their labels on `date` and the day before it.
    pub(super) async fn words(&self, lookup: &mut Lookup<'_>, date: Option<NaiveDate>) -> String {
        let mut words = Vec::new();
        for what in &self.changed {
            words.push(match *what {
                "name" => format!("{} → {}", self.name_before, self.name),
                "kind" => format!("{} → {}", kind_text(&self.kind_before), kind_text(&self.kind)),
                "level" => format!("{} → {}", plain(&self.level_before), plain(&self.level)),
                "code" => changed_codes(&self.code_before, &self.code),
                "identifiers" => {
                    changed_codes(&self.identifiers_before.join(", "), &self.identifiers.join(", "))
                }
                _ => {
                    let eve = date.and_then(|date| date.pred_opt());
                    let before = over(lookup, &self.parent_unit_before, eve).await;
                    format!(
                        "under {}, before {before}",
                        over(lookup, &self.parent_unit, date).await
                    )
                }
            });
        }
        words.join("; ")
    }
}

fn changed_codes(before: &str, after: &str) -> String {
    let [before, after] = [before, after].map(|code| if code.is_empty() { "none" } else { code });
    format!("code {before} → {after}")
}

/// Under whom, for people.
async fn over(lookup: &mut Lookup<'_>, parent: &str, on: Option<NaiveDate>) -> String {
    match parent {
        "" => "nobody".to_owned(),
        parent => lookup.label(parent, on).await,
    }
}

/// What a unit is by law, as Vietnamese has it.
pub(super) fn kind_text(kind: &str) -> String {
    match kind {
        "TINH" => "tỉnh",
        "THANH_PHO" => "thành phố",
        "QUAN" => "quận",
        "HUYEN" => "huyện",
        "THI_XA" => "thị xã",
        "XA" => "xã",
        "PHUONG" => "phường",
        "THI_TRAN" => "thị trấn",
        "DAC_KHU" => "đặc khu",
        "SO" => "sở",
        "PHONG" => "phòng",
        "TRUNG_TAM" => "trung tâm",
        other => return plain(other),
    }
    .to_owned()
}

/// A later version of a unit.
#[derive(Debug, Serialize)]
pub(super) struct Changed {
    pub(super) date: Option<NaiveDate>,
    #[serde(flatten)]
    pub(super) moved: Moved,
}

impl From<&pb::UnitChange> for Changed {
    fn from(change: &pb::UnitChange) -> Self {
        Self {
            date: output::date(change.effective_date.as_ref()),
            moved: Moved::of(change.before.as_ref(), change.after.as_ref()),
        }
    }
}

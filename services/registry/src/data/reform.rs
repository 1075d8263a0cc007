//! The units of the whole country: as they were before the reform of 1 July 2025, and what happened to them since.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::NaiveDate;
use dunghan_events::{pb_edge_kind, pb_kind};
use dunghan_hierarchy::{EdgeKind, Kind, NSO, UnitId};
use dunghan_proto::registry as pb;
use dunghan_proto::registry::change::Change;
use dunghan_proto::registry::target::Target;
use dunghan_proto::registry::unit_reference::Reference;
use dunghan_rpc::field::pb_date;

use super::{BadFile, Line, each_line, rows_from_csv};

const LEGACY: &str = include_str!("../../data/units_legacy.csv");
const UNITS_2025: &str = include_str!("../../data/units_2025.csv");
const MERGERS: &str = include_str!("../../data/unit_mergers.csv");
const CHANGES_2026: &str = include_str!("../../data/unit_changes_2026.csv");

/// The reform: the first day of two tiers instead of three.
const REFORM: NaiveDate = match NaiveDate::from_ymd_opt(2025, 7, 1) {
    Some(day) => day,
    None => NaiveDate::MAX,
};

/// What the product brings along: one list, and what happened since.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The last day of which it has anything to say, as YYYY-MM-DD.
    pub version: &'static str,
    /// For ImportUnits. Since when the units of the list are what they are is unknown; nothing ends them, for that is what the
    /// reorganisations do.
    pub rows: Vec<pb::UnitRow>,
    /// For BatchCreateReorganisations, after the rows, in this order.
    pub reorganisations: Vec<pb::CreateReorganisationRequest>,
}

const VERSION: &str = "2026-09-20";

const LISTS: &str = "Danh sách đơn vị hành chính trước và từ ngày 01/07/2025 và bảng đối chiếu đi kèm, \
    đã so với bảng chuyển đổi mã của cơ quan thống kê.";

/// The units of the whole country and the reform, as data.
///
/// A unit that the reform left as it was, or only renamed or put under another parent, keeps its identity. What the table of
/// mergers says without being confirmed by the statistics office is told beside the reorganisations and not applied.
///
/// # Errors
///
/// None, unless the files were changed for the worse.
pub fn bundle() -> Result<Bundle, BadFile> {
    let reform = Reform::read()?;
    let mut reorganisations = vec![reform.provinces()];
    reorganisations.extend(reform.current_of("").map(|province| reform.communes(province)));
    reorganisations.push(reform.districts());
    reorganisations.extend(changes_2026()?);
    Ok(Bundle { version: VERSION, rows: reform.rows(), reorganisations })
}

/// What became of a unit, in the words of the table of mergers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is the same unit, whatever it is called since.
    Same,
    /// It passed to a new one.
    Passed(EdgeKind),
    /// It ended; those under it say what became of it.
    Abolished,
}

impl Fate {
    fn read(line: &Line<'_>) -> Option<Self> {
        Some(match line.get("kind") {
            "unchanged" | "whole_renamed_or_retyped" | "province_unchanged" => Self::Same,
            "merged_whole"
            | "province_merged"
            | "province_merged_kept_code"
            | "district_to_special_zone" => Self::Passed(EdgeKind::Merged),
            "split_default" => Self::Passed(EdgeKind::SplitMain),
            "split_part" => Self::Passed(EdgeKind::SplitPart),
            "district_abolished" => Self::Abolished,
            other => {
                line.bad("kind", format!("is no word of this file: {other:?}"));
                return None;
            }
        })
    }
}

/// A confirmed line of the table of mergers.
#[derive(Clone, Debug)]
struct Merger {
    legacy: String,
    fate: Fate,
}

/// The reform as the files have it.
struct Reform {
    /// The list of before, in its order.
    legacy: Vec<pb::UnitRow>,
    /// The list of since, in its order.
    current: Vec<pb::UnitRow>,
    legacy_by_code: HashMap<String, usize>,
    /// What is confirmed, by the code since; under the empty code what was abolished.
    mergers: HashMap<String, Vec<Merger>>,
    /// Of all that is confirmed, the codes of before, and whether such a unit passed in parts.
    confirmed: BTreeMap<String, bool>,
    /// What is not confirmed, by the code of before: the code since, and what speaks against it.
    unconfirmed: BTreeMap<String, Vec<(String, &'static str)>>,
    /// The code since, by that of before: of a province, which one it belongs to.
    homes: HashMap<String, String>,
}

impl Reform {
    fn read() -> Result<Self, BadFile> {
        let legacy = rows_from_csv(LEGACY.as_bytes(), None, None)?;
        let current = rows_from_csv(UNITS_2025.as_bytes(), Some(REFORM), None)?;
        let by_code = |rows: &[pb::UnitRow]| -> HashMap<String, usize> {
            rows.iter().enumerate().map(|(at, row)| (row.code.clone(), at)).collect()
        };
        let (legacy_by_code, current_by_code) = (by_code(&legacy), by_code(&current));
        let mut mergers: HashMap<String, Vec<Merger>> = HashMap::new();
        let (mut confirmed, mut unconfirmed) = (BTreeMap::new(), BTreeMap::new());
        let mut homes = HashMap::new();
        let columns = ["legacy_code", "legacy_name", "new_code", "kind", "nso_check"];
        each_line(MERGERS.as_bytes(), &columns, &[], |line| {
            let [legacy, new] =
                ["legacy_code", "new_code"].map(|column| line.get(column).to_owned());
            if !legacy_by_code.contains_key(&legacy) {
                line.bad("legacy_code", "is no unit of before");
            }
            if !new.is_empty() && !current_by_code.contains_key(&new) {
                line.bad("new_code", "is no unit of since");
            }
            let Some(fate) = Fate::read(line) else { return };
            let against = match line.get("nso_check") {
                "ok" | "na" => {
                    let parts = [EdgeKind::SplitMain, EdgeKind::SplitPart].map(Fate::Passed);
                    *confirmed.entry(legacy.clone()).or_default() |= parts.contains(&fate);
                    homes.insert(legacy.clone(), new.clone());
                    mergers.entry(new).or_default().push(Merger { legacy, fate });
                    return;
                }
                "edge_absent_in_nso_table" => {
                    "Bảng chuyển đổi mã của cơ quan thống kê không có quan hệ này."
                }
                "legacy_code_absent_in_nso_table" => {
                    "Bảng chuyển đổi mã của cơ quan thống kê không có mã cũ này."
                }
                other => {
                    line.bad("nso_check", format!("is no word of this file: {other:?}"));
                    return;
                }
            };
            let stated: &mut Vec<_> = unconfirmed.entry(legacy).or_default();
            stated.push((new, against));
        })?;
        Ok(Self { legacy, current, legacy_by_code, mergers, confirmed, unconfirmed, homes })
    }

    /// The units of since directly under one, or those at the top.
    fn current_of(&self, parent: &str) -> impl Iterator<Item = &pb::UnitRow> {
        self.current.iter().filter(move |row| row.parent_code == parent)
    }

    fn mergers_into(&self, code: &str) -> &[Merger] {
        self.mergers.get(code).map_or(&[], Vec::as_slice)
    }

    fn legacy(&self, code: &str) -> Option<&pb::UnitRow> {
        self.legacy_by_code.get(code).map(|at| &self.legacy[*at])
    }

    /// The list of before; and of the provinces that stayed as they were, that they are so since the list of the reform.
    fn rows(&self) -> Vec<pb::UnitRow> {
        let same = |row: &&pb::UnitRow| {
            let mergers = self.mergers_into(&row.code);
            mergers.iter().any(|merger| merger.fate == Fate::Same && merger.legacy == row.code)
        };
        let kept = self.current_of("").filter(same);
        let kept = kept.map(|row| pb::UnitRow { origin_code: row.code.clone(), ..row.clone() });
        let mut rows: Vec<_> = self.legacy.iter().cloned().chain(kept).collect();
        for (number, row) in (1..).zip(&mut rows) {
            row.row = number;
        }
        rows
    }

    /// The changes that make a unit of since out of those of before.
    fn changes(&self, row: &pb::UnitRow) -> Vec<Change> {
        let mergers = self.mergers_into(&row.code);
        let same = mergers.iter().find(|merger| merger.fate == Fate::Same);
        let shares: Vec<pb::Share> = mergers
            .iter()
            .filter_map(|merger| match merger.fate {
                Fate::Passed(kind) => Some(pb::Share {
                    unit: Some(by_code(&merger.legacy)),
                    kind: pb_edge_kind(kind).into(),
                }),
                Fate::Same | Fate::Abolished => None,
            })
            .collect();
        let into = match same {
            Some(_) => Target::Existing(by_code(&row.code)),
            None => Target::NewUnit(pb::NewUnit {
                identifier: Some(identifier(&row.code)),
                display_name: row.display_name.clone(),
                kind: row.kind,
                level: row.level,
                parent: reference(&row.parent_code),
            }),
        };
        let mut changes = Vec::new();
        if !shares.is_empty() || same.is_none() {
            let into = Some(pb::Target { target: Some(into) });
            changes.push(Change::Merge(pb::Merge { shares, into }));
        }
        if let Some(before) = same.and_then(|same| self.legacy(&same.legacy)) {
            changes.extend(kept(before, row));
        }
        changes
    }

    /// The new province of a unit of before.
    fn home(&self, legacy: &str) -> Option<&str> {
        let mut row = self.legacy(legacy)?;
        while let Some(above) = self.legacy(&row.parent_code) {
            row = above;
        }
        self.homes.get(&row.code).map(String::as_str)
    }

    fn provinces(&self) -> pb::CreateReorganisationRequest {
        let stated = pb::Reorganisation {
            title: "Sắp xếp đơn vị hành chính cấp tỉnh".to_owned(),
            legal_basis: "Nghị quyết số 202/2025/QH15 ngày 12/06/2025 của Quốc hội".to_owned(),
            source: LISTS.to_owned(),
            ..at_the_reform()
        };
        let changes = self.current_of("").flat_map(|row| self.changes(row)).collect();
        request("nq-202-2025-qh15", stated, changes)
    }

    fn communes(&self, province: &pb::UnitRow) -> pb::CreateReorganisationRequest {
        let at_home = |legacy: &&String| self.home(legacy) == Some(province.code.as_str());
        let communes = self.current_of(&province.code);
        let mut changes: Vec<Change> = communes.flat_map(|row| self.changes(row)).collect();
        // None of what is left of these is confirmed to be a successor; and what passes in parts does not end by that.
        let unknown = self.unconfirmed.keys();
        let unknown = unknown.filter(|legacy| !self.confirmed.contains_key(*legacy));
        let split = self.confirmed.iter().filter(|(_, split)| **split).map(|(legacy, _)| legacy);
        changes.extend(split.chain(unknown).filter(at_home).map(|legacy| abolish(legacy)));
        let unconfirmed = self.unconfirmed.iter().filter(|(legacy, _)| at_home(legacy));
        let unconfirmed = unconfirmed.flat_map(|(legacy, stated)| {
            stated.iter().map(move |(new, against)| pb::UnconfirmedEdge {
                predecessor: UnitId::new(NSO, legacy, None).to_string(),
                predecessor_code: legacy.clone(),
                successor_code: new.clone(),
                note: (*against).to_owned(),
            })
        });
        let name = in_a_sentence(&province.display_name);
        let stated = pb::Reorganisation {
            title: format!("Sắp xếp đơn vị hành chính cấp xã của {name} năm 2025"),
            legal_basis: "Nghị quyết của Ủy ban Thường vụ Quốc hội ngày 16/06/2025".to_owned(),
            source: format!("{LISTS} Chưa rõ số của nghị quyết."),
            unconfirmed: unconfirmed.collect(),
            ..at_the_reform()
        };
        request(&format!("cap-xa-2025-{}", province.code), stated, changes)
    }

    fn districts(&self) -> pb::CreateReorganisationRequest {
        let passed: BTreeSet<&str> = self
            .mergers
            .values()
            .flatten()
            .filter(|merger| merger.fate != Fate::Abolished)
            .map(|merger| merger.legacy.as_str())
            .collect();
        // A district that became a special zone has ended by that.
        let abolished = self.mergers_into("").iter().map(|merger| &merger.legacy);
        let abolished = abolished.filter(|legacy| !passed.contains(legacy.as_str()));
        let stated = pb::Reorganisation {
            title: "Kết thúc hoạt động của đơn vị hành chính cấp huyện".to_owned(),
            legal_basis: "Luật Tổ chức chính quyền địa phương số 72/2025/QH15".to_owned(),
            source: LISTS.to_owned(),
            ..at_the_reform()
        };
        request("luat-72-2025-qh15", stated, abolished.map(|legacy| abolish(legacy)).collect())
    }
}

/// What changes of a unit that stays the same one.
fn kept(before: &pb::UnitRow, since: &pb::UnitRow) -> Vec<Change> {
    let unit = || Some(by_code(&before.code));
    let mut changes = Vec::new();
    let renamed = (before.display_name != since.display_name).then(|| since.display_name.clone());
    if (before.kind, before.level) != (since.kind, since.level) {
        changes.push(Change::Retype(pb::Retype {
            unit: unit(),
            kind: since.kind,
            display_name: renamed.unwrap_or_default(),
            level: since.level,
        }));
    } else if let Some(display_name) = renamed {
        changes.push(Change::Rename(pb::Rename { unit: unit(), display_name }));
    }
    if before.parent_code != since.parent_code {
        let parent = reference(&since.parent_code);
        changes.push(Change::Transfer(pb::Transfer { unit: unit(), parent }));
    }
    if before.code != since.code {
        let (scheme, value) = (NSO.to_owned(), since.code.clone());
        changes.push(Change::Recode(pb::Recode { unit: unit(), scheme, value }));
    }
    changes
}

/// Provinces that became cities.
fn changes_2026() -> Result<Vec<pb::CreateReorganisationRequest>, BadFile> {
    let mut changes = Vec::new();
    let columns = [
        "code",
        "name_before",
        "name_after",
        "type_before",
        "type_after",
        "effective_date",
        "basis",
        "certainty",
    ];
    each_line(CHANGES_2026.as_bytes(), &columns, &[], |line| {
        let kind: Option<Kind> = line.read("type_after", line.get("type_after"));
        let (Some(kind), Some(effective)) = (kind, line.date("effective_date")) else { return };
        let (code, name) = (line.get("code"), line.get("name_after"));
        let stated = pb::Reorganisation {
            title: format!("Thành lập {}", in_a_sentence(name)),
            legal_basis: line.get("basis").to_owned(),
            source: line.get("certainty").to_owned(),
            ..on(effective)
        };
        let retype = Change::Retype(pb::Retype {
            unit: Some(by_code(code)),
            kind: pb_kind(kind).into(),
            display_name: name.to_owned(),
            level: pb::Level::Unspecified.into(),
        });
        changes.push((effective, request(&format!("thanh-pho-2026-{code}"), stated, vec![retype])));
    })?;
    changes.sort_by_key(|(effective, _)| *effective);
    Ok(changes.into_iter().map(|(_, request)| request).collect())
}

/// A name after other words: only its own part begins with a capital letter.
fn in_a_sentence(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect()
}

fn on(effective: NaiveDate) -> pb::Reorganisation {
    pb::Reorganisation { effective_date: Some(pb_date(effective)), ..Default::default() }
}

fn at_the_reform() -> pb::Reorganisation {
    on(REFORM)
}

fn request(
    id: &str,
    stated: pb::Reorganisation,
    changes: Vec<Change>,
) -> pb::CreateReorganisationRequest {
    let changes = changes.into_iter().map(|change| pb::Change { change: Some(change) }).collect();
    pb::CreateReorganisationRequest {
        reorganisation: Some(pb::Reorganisation { changes, ..stated }),
        reorganisation_id: id.to_owned(),
        request_id: String::new(),
    }
}

fn abolish(code: &str) -> Change {
    Change::Abolish(pb::Abolish { unit: Some(by_code(code)), children_to: None })
}

fn identifier(code: &str) -> pb::Identifier {
    pb::Identifier { scheme: NSO.to_owned(), value: code.to_owned() }
}

fn by_code(code: &str) -> pb::UnitReference {
    pb::UnitReference { reference: Some(Reference::Identifier(identifier(code))) }
}

/// None for an empty code.
fn reference(code: &str) -> Option<pb::UnitReference> {
    (!code.is_empty()).then(|| by_code(code))
}

#[cfg(test)]
mod tests;

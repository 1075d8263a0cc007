//! `units tree`: who is under whom.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::NaiveDate;
use dunghan_hierarchy::Level;
use dunghan_proto::registry as pb;
use dunghan_rpc::field::pb_date;
use serde::Serialize;

use super::{Unit, on, pb_levels, unit_code};
use crate::cli::Format;
use crate::client::{Client, PAGE, code, label};
use crate::failure::Failure;
use crate::input::UnitRef;
use crate::output::{self, word};

/// How much of the tree is shown.
pub(super) struct Shape {
    /// How many levels below the top.
    pub(super) depth: Option<usize>,
    /// Only these, with those above them; none: all.
    pub(super) levels: Vec<Level>,
    /// How many under one unit; 0: all.
    pub(super) limit: usize,
}

/// Units in the order in which they are drawn.
#[derive(Debug, Serialize)]
struct Tree {
    as_of_date: Option<NaiveDate>,
    /// The unit at the top; empty: the whole nation.
    root_unit: String,
    units: Vec<Branch>,
    #[serde(flatten)]
    hidden: Hidden,
    hierarchy_version: i64,
}

#[derive(Debug, Serialize)]
struct Branch {
    /// How far below the top.
    depth: usize,
    #[serde(flatten)]
    unit: Unit,
    #[serde(flatten)]
    hidden: Hidden,
}

/// What is below a unit and not shown.
#[derive(Debug, Default, Serialize)]
struct Hidden {
    /// How many are directly below it.
    hidden_child_count: usize,
    /// How many are anywhere below it, by level.
    hidden_counts: Counts,
}

/// How many units, by level.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
struct Counts(BTreeMap<String, usize>);

impl Counts {
    fn add(&mut self, level: pb::Level) {
        *self.0.entry(word(level.as_str_name(), "LEVEL_")).or_default() += 1;
    }

    /// `30 districts, 526 communes`.
    fn text(&self) -> String {
        let words = [
            ("PROVINCE", "province", "provinces"),
            ("DISTRICT", "district", "districts"),
            ("COMMUNE", "commune", "communes"),
            ("DEPARTMENT", "department", "departments"),
            ("SCHOOL", "school", "schools"),
            ("OTHER", "other unit", "other units"),
        ];
        let found = words
            .iter()
            .filter_map(|(level, one, many)| Some(output::many(*self.0.get(*level)?, one, many)));
        found.collect::<Vec<_>>().join(", ")
    }
}

pub(super) async fn tree(
    client: &Client,
    root: Option<&UnitRef>,
    as_of: Option<NaiveDate>,
    shape: &Shape,
    format: Format,
) -> Result<(), Failure> {
    let as_of = root.map_or(as_of, |unit| unit.date(as_of));
    let root = match root {
        Some(unit) => Some(client.unit(unit, as_of).await?),
        None => None,
    };
    let (units, hierarchy_version) = below(client, root.as_ref(), as_of).await?;
    let mut all = Counts::default();
    units.iter().for_each(|unit| all.add(unit.level()));
    let unknown = units.iter().filter(|unit| unit.uncertain).count();
    let top = root.as_ref().map_or("", |root| &root.name);
    let title = root.as_ref().map_or_else(|| "All units".to_owned(), label);

    let mut grown = Grown::of(&units, top, shape);
    let hidden = grown.grow(top, 1, "");
    let (lines, branches) = (grown.lines, grown.branches);
    let tree = Tree {
        as_of_date: as_of,
        root_unit: top.to_owned(),
        units: branches,
        hidden,
        hierarchy_version,
    };
    output::print(format, &tree, |_| {
        let head = match all.text() {
            none if none.is_empty() => format!("{title}: nothing below it"),
            counts => format!("{title}: {counts}"),
        };
        let mut text = format!("{}\n{}", output::hang("", "  ", &head), lines.join("\n"));
        let foot = format!("As of {}; version {hierarchy_version} of the hierarchy.", on(as_of));
        text.push_str(&format!("\n\n{foot}"));
        if unknown > 0 {
            let note = format!(
                "Of {unknown} of them it is not known since when this holds: the list they stand in was made later."
            );
            text.push_str(&format!("\n{}", output::wrap(&note)));
        }
        text
    })
}

/// A tree while it is drawn.
struct Grown<'a> {
    shape: &'a Shape,
    children: HashMap<&'a str, Vec<&'a pb::Unit>>,
    branches: Vec<Branch>,
    lines: Vec<String>,
}

impl<'a> Grown<'a> {
    fn of(units: &'a [pb::Unit], top: &'a str, shape: &'a Shape) -> Self {
        let by_name: HashMap<&str, &pb::Unit> =
            units.iter().map(|unit| (unit.name.as_str(), unit)).collect();
        // Of some levels alone: with all those above them.
        let mut kept = HashSet::new();
        let wanted = pb_levels(&shape.levels);
        for unit in units.iter().filter(|unit| wanted.is_empty() || wanted.contains(&unit.level)) {
            let mut next = Some(unit);
            while let Some(unit) = next.filter(|unit| kept.insert(unit.name.as_str())) {
                next = by_name.get(unit.parent_unit.as_str()).copied();
            }
        }
        let mut children: HashMap<&str, Vec<&pb::Unit>> = HashMap::new();
        for unit in units.iter().filter(|unit| kept.contains(unit.name.as_str())) {
            let parent = unit.parent_unit.as_str();
            let parent = if by_name.contains_key(parent) { parent } else { top };
            children.entry(parent).or_default().push(unit);
        }
        let order = |unit: &&pb::Unit| (unit.statistics_code.is_empty(), code(unit).to_owned());
        children.values_mut().for_each(|children| children.sort_by_cached_key(order));
        Self { shape, children, branches: Vec::new(), lines: Vec::new() }
    }

    /// Draws what is under a unit, `depth` levels below the top, beside `stem`; the answer is what it leaves out.
    fn grow(&mut self, parent: &str, depth: usize, stem: &str) -> Hidden {
        let deepest =
            self.shape.depth.unwrap_or(if self.shape.levels.is_empty() { 1 } else { usize::MAX });
        let children = self.children.get(parent).cloned().unwrap_or_default();
        let most = if self.shape.limit == 0 { usize::MAX } else { self.shape.limit };
        let shown = if depth > deepest { 0 } else { children.len().min(most) };
        let (shown, rest) = children.split_at(shown);
        let mut hidden = Hidden { hidden_child_count: rest.len(), ..Hidden::default() };
        rest.iter().for_each(|unit| self.count(unit, &mut hidden.hidden_counts));

        for (place, unit) in shown.iter().enumerate() {
            let last = place + 1 == shown.len() && rest.is_empty();
            let (mark, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            let line = self.lines.len();
            self.lines.push(String::new());
            let branch = self.branches.len();
            let shown = Unit::from((*unit).clone());
            let mut text = format!("{} {}", unit_code(&shown), shown.display_name);
            self.branches.push(Branch { depth, unit: shown, hidden: Hidden::default() });
            let below = format!("{stem}{below}");
            let left_out = self.grow(&unit.name, depth + 1, &below);
            // Where some are shown, a line of its own after them says how many more there are.
            let nothing_shown = self.branches.len() == branch + 1;
            if nothing_shown && left_out.hidden_child_count > 0 {
                text.push_str(&format!(" … {}", left_out.hidden_counts.text()));
            }
            self.lines[line] = output::hang(&format!("{stem}{mark}"), &format!("{below}  "), &text);
            self.branches[branch].hidden = left_out;
        }
        if !shown.is_empty() && !rest.is_empty() {
            let counts = &hidden.hidden_counts;
            let more = if counts.0.values().sum::<usize>() == rest.len() {
                format!("… {} more", counts.text())
            } else {
                format!("… {} more, with what is below them: {}", rest.len(), counts.text())
            };
            self.lines.push(output::hang(&format!("{stem}└─ "), &format!("{stem}   "), &more));
        }
        hidden
    }

    /// Counts a unit and all below it.
    fn count(&self, unit: &pb::Unit, counts: &mut Counts) {
        counts.add(unit.level());
        for child in self.children.get(unit.name.as_str()).into_iter().flatten() {
            self.count(child, counts);
        }
    }
}

/// All units below one, or all there are, of one version of the hierarchy.
async fn below(
    client: &Client,
    root: Option<&pb::Unit>,
    as_of: Option<NaiveDate>,
) -> Result<(Vec<pb::Unit>, i64), Failure> {
    let (mut units, mut version, mut page_token) = (Vec::new(), None, String::new());
    loop {
        let (page, next, read) = match root {
            Some(root) => {
                let request = pb::ListDescendantsRequest {
                    name: root.name.clone(),
                    as_of_date: as_of.map(pb_date),
                    levels: Vec::new(),
                    page_size: PAGE,
                    page_token,
                };
                let page = client.registry().list_descendants(request).await?.into_inner();
                (page.units, page.next_page_token, page.hierarchy_version)
            }
            None => {
                let request = pb::ListUnitsRequest {
                    as_of_date: as_of.map(pb_date),
                    page_size: PAGE,
                    page_token,
                    ..Default::default()
                };
                let page = client.registry().list_units(request).await?.into_inner();
                (page.units, page.next_page_token, page.hierarchy_version)
            }
        };
        if version.is_some_and(|version| version != read) {
            // Units changed while they were read: pages of two versions make no tree.
            (units, version, page_token) = (Vec::new(), None, String::new());
            continue;
        }
        version = Some(read);
        units.extend(page);
        if next.is_empty() {
            return Ok((units, read));
        }
        page_token = next;
    }
}

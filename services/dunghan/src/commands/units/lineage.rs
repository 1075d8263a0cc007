//! `units lineage`: what became of a unit, and what it came from.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::NaiveDate;
use dunghan_proto::registry as pb;
use dunghan_rpc::field::pb_date;
use serde::Serialize;

use super::moved::Changed;
use super::on;
use crate::cli::Format;
use crate::client::{Client, Lookup, code};
use crate::failure::Failure;
use crate::input::UnitRef;
use crate::output::{self, hang, show_date, word};

/// As JSON shows it. In all of it `name` is a unit's name for people, and `unit` its resource name.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Lineage {
    as_of_date: Option<NaiveDate>,
    unit: End,
    /// What came after it, the nearest first.
    successors: Vec<Successor>,
    /// What was before it, the nearest first.
    predecessors: Vec<Predecessor>,
    /// What changed of it and of its successors while they stayed the same units.
    changes: Vec<Changed>,
    /// What each of these was, for people.
    #[serde(skip)]
    words: Vec<String>,
    /// What a source states and another one does not confirm; not followed.
    unconfirmed: Vec<Unconfirmed>,
    known_from_date: Option<NaiveDate>,
    ended_without_successor: bool,
    hierarchy_version: i64,
}

/// A unit as of the date on which it is spoken of.
#[derive(Debug, Default, Serialize)]
struct End {
    unit: String,
    code: String,
    name: String,
    kind: String,
    level: String,
    /// The names of the units above it, the nearest first.
    path: Vec<String>,
    valid_from_date: Option<NaiveDate>,
    valid_through_date: Option<NaiveDate>,
    uncertain: bool,
}

impl End {
    fn of(unit: &pb::Unit, path: Vec<String>) -> Self {
        Self {
            unit: unit.name.clone(),
            code: code(unit).to_owned(),
            name: unit.display_name.clone(),
            kind: word(unit.kind().as_str_name(), "KIND_"),
            level: word(unit.level().as_str_name(), "LEVEL_"),
            path,
            valid_from_date: output::date(unit.valid_from_date.as_ref()),
            valid_through_date: output::date(unit.valid_through_date.as_ref()),
            uncertain: unit.uncertain,
        }
    }
}

/// `27787 Phường Kiến Tường, Tỉnh Tây Ninh`.
fn named(code: &str, name: &str, path: &[String]) -> String {
    let path = path.iter().map(|one| format!(", {one}"));
    format!("{code} {name}{}", path.collect::<String>()).trim_start().to_owned()
}

/// One edge on the way, by its further end.
#[derive(Debug, Serialize)]
struct Step {
    unit: String,
    code: String,
    name: String,
    /// How much passed.
    kind: String,
    /// The first day of what came after.
    date: Option<NaiveDate>,
    /// How many edges away.
    distance: i32,
    unit_kind: String,
    level: String,
    path: Vec<String>,
    reorganisation: String,
    legal_basis: String,
    /// Since when the further end is known as such; `None` where its list does not say.
    #[serde(skip)]
    valid_from_date: Option<NaiveDate>,
}

impl Step {
    fn of(step: &pb::LineageStep, further: &pb::Unit) -> Self {
        Self {
            unit: further.name.clone(),
            code: code(further).to_owned(),
            name: further.display_name.clone(),
            kind: word(step.kind().as_str_name(), "EDGE_KIND_"),
            date: output::date(step.effective_date.as_ref()),
            distance: step.distance,
            unit_kind: word(further.kind().as_str_name(), "KIND_"),
            level: word(further.level().as_str_name(), "LEVEL_"),
            path: step.path.clone(),
            reorganisation: step.reorganisation.clone(),
            legal_basis: step.legal_basis.clone(),
            valid_from_date: output::date(further.valid_from_date.as_ref()),
        }
    }

    fn text(&self, how: &str, again: bool) -> String {
        let again = if again { " (see above)" } else { "" };
        format!("{how}{}{again}", named(&self.code, &self.name, &self.path))
    }
}

#[derive(Debug, Serialize)]
struct Successor {
    #[serde(flatten)]
    step: Step,
    from_unit: String,
    from_code: String,
    from_name: String,
}

#[derive(Debug, Serialize)]
struct Predecessor {
    #[serde(flatten)]
    step: Step,
    into_unit: String,
    into_code: String,
    into_name: String,
}

/// What a source states came after a unit, without being confirmed.
#[derive(Debug, Serialize)]
pub(super) struct Unconfirmed {
    pub(super) unit: String,
    pub(super) code: String,
    /// As it was called last.
    pub(super) name: String,
    /// Empty: nothing is stated to have come after it.
    pub(super) successor_code: String,
    pub(super) note: String,
}

impl Unconfirmed {
    pub(super) async fn of(edge: pb::UnconfirmedEdge, lookup: &mut Lookup<'_>) -> Self {
        let label = lookup.label(&edge.predecessor, None).await;
        let name = label.strip_prefix(&edge.predecessor_code).unwrap_or(&label).trim_start();
        Self {
            name: name.to_owned(),
            unit: edge.predecessor,
            code: edge.predecessor_code,
            successor_code: edge.successor_code,
            note: edge.note,
        }
    }

    pub(super) fn text(&self) -> String {
        let into = if self.successor_code.is_empty() { "nothing" } else { &self.successor_code };
        format!("{} into {into}: {}", named(&self.code, &self.name, &[]), self.note)
    }
}

/// The lineage of a unit, with what is above it.
pub(crate) async fn lineage_of(
    client: &Client,
    unit: &UnitRef,
    as_of: Option<NaiveDate>,
) -> Result<Lineage, Failure> {
    let as_of = unit.date(as_of);
    let name = client.unit_name(unit, as_of).await?;
    let request = pb::GetLineageRequest { name, as_of_date: as_of.map(pb_date) };
    let found = client.registry().get_lineage(request).await?.into_inner();
    let unit = found.unit.clone().unwrap_or_default();
    // Without a date it is told as it is today, or as it was last.
    let last = output::date(unit.valid_through_date.as_ref());
    let mut lookup = Lookup::new(client);
    let above = lookup.above(&unit, as_of.or(last)).await?;
    let path = above.into_iter().map(|one| one.display_name).collect();
    let mut lineage = Lineage::of(&found, &unit, path, as_of);
    for edge in found.unconfirmed {
        lineage.unconfirmed.push(Unconfirmed::of(edge, &mut lookup).await);
    }
    for change in &lineage.changes {
        lineage.words.push(change.moved.words(&mut lookup, change.date).await);
    }
    Ok(lineage)
}

pub(super) async fn lineage(
    client: &Client,
    unit: &UnitRef,
    as_of: Option<NaiveDate>,
    format: Format,
) -> Result<(), Failure> {
    let lineage = lineage_of(client, unit, as_of).await?;
    output::print(format, &lineage, Lineage::text)
}

/// Why nothing is known of the time before.
const SNAPSHOT: &str = "the list is a snapshot";

impl Lineage {
    /// `path` is above `unit`, which the lineage is of. What is unconfirmed, and the words of changes, come after.
    fn of(
        found: &pb::Lineage,
        unit: &pb::Unit,
        path: Vec<String>,
        as_of: Option<NaiveDate>,
    ) -> Self {
        let ends = |step: &pb::LineageStep| {
            let (before, after) = (step.predecessor.clone(), step.successor.clone());
            (before.unwrap_or_default(), after.unwrap_or_default())
        };
        let successors = found.successors.iter().map(|step| {
            let (before, after) = ends(step);
            Successor {
                step: Step::of(step, &after),
                from_code: code(&before).to_owned(),
                from_unit: before.name,
                from_name: before.display_name,
            }
        });
        let predecessors = found.predecessors.iter().map(|step| {
            let (before, after) = ends(step);
            Predecessor {
                step: Step::of(step, &before),
                into_code: code(&after).to_owned(),
                into_unit: after.name,
                into_name: after.display_name,
            }
        });
        Self {
            as_of_date: as_of,
            unit: End::of(unit, path),
            successors: successors.collect(),
            predecessors: predecessors.collect(),
            changes: found.changes.iter().map(Changed::from).collect(),
            words: Vec::new(),
            unconfirmed: Vec::new(),
            known_from_date: output::date(found.known_from_date.as_ref()),
            ended_without_successor: found.ended_without_successor,
            hierarchy_version: found.hierarchy_version,
        }
    }

    /// Drawn for people: what was before it above, what came after it below.
    pub(crate) fn text(&self) -> String {
        let mut drawing = Drawing::of(self);
        drawing.lines.push(format!("As of {}\n", on(self.as_of_date)));
        drawing.line("┆  ", "┆  ", &self.origin());
        drawing.above(&self.unit.unit, "");
        drawing.line("● ", "│   ", &named(&self.unit.code, &self.unit.name, &self.unit.path));
        drawing.seen = HashSet::from([self.unit.unit.as_str()]);
        if drawing.after.contains_key(self.unit.unit.as_str()) {
            drawing.below(&self.unit.unit, "");
        } else if self.ended_without_successor {
            let last = show_date(self.unit.valid_through_date);
            let text = format!("its last day was {last}; nothing is known to have come after it");
            drawing.line("└─ ", "   ", &text);
        } else {
            drawing.line("└─ ", "   ", "no change is known");
        }
        if !self.unconfirmed.is_empty() {
            drawing.lines.push(String::new());
            drawing
                .lines
                .push("Stated by a source, not confirmed, and so not followed:".to_owned());
            for edge in &self.unconfirmed {
                drawing.line("  ", "    ", &edge.text());
            }
        }
        drawing.lines.join("\n")
    }

    /// What is known of the time before everything that is drawn.
    fn origin(&self) -> String {
        let came: HashSet<&str> =
            self.predecessors.iter().map(|one| one.into_unit.as_str()).collect();
        let mut first =
            self.predecessors.iter().filter(|one| !came.contains(one.step.unit.as_str()));
        if first.any(|one| one.step.valid_from_date.is_none()) {
            return format!("since when the first of these held is unknown: {SNAPSHOT}");
        }
        if !self.predecessors.is_empty() || self.known_from_date.is_some() {
            let since = show_date(self.known_from_date);
            return match self.predecessors.is_empty() {
                true => format!("new on {since}; nothing is known to have come before it"),
                false => "nothing is known to have come before these".to_owned(),
            };
        }
        format!("since when it holds is unknown: {SNAPSHOT}")
    }
}

/// Something that happened to a unit and left it behind or went on with it.
enum Event<'a> {
    Change {
        date: Option<NaiveDate>,
        words: &'a str,
    },
    /// Edges of one reorganisation.
    Edges {
        date: Option<NaiveDate>,
        steps: Vec<&'a Step>,
    },
}

impl Event<'_> {
    fn date(&self) -> Option<NaiveDate> {
        match self {
            Self::Change { date, .. } | Self::Edges { date, .. } => *date,
        }
    }
}

/// A drawing that grows downwards.
struct Drawing<'a> {
    lines: Vec<String>,
    /// What happened to a unit, by its resource name, in the order of time.
    after: HashMap<&'a str, Vec<Event<'a>>>,
    /// What a unit came from.
    before: HashMap<&'a str, Vec<Event<'a>>>,
    /// Units that are drawn with all that is beyond them.
    seen: HashSet<&'a str>,
}

impl<'a> Drawing<'a> {
    fn of(lineage: &'a Lineage) -> Self {
        let mut after: HashMap<&str, Vec<Event<'_>>> = HashMap::new();
        for (change, words) in lineage.changes.iter().zip(&lineage.words) {
            let event = Event::Change { date: change.date, words };
            after.entry(&change.moved.unit).or_default().push(event);
        }
        let successors = lineage.successors.iter().map(|one| (one.from_unit.as_str(), &one.step));
        for (unit, events) in edges(successors) {
            after.entry(unit).or_default().extend(events);
        }
        after.values_mut().for_each(|events| events.sort_by_key(Event::date));
        let predecessors =
            lineage.predecessors.iter().map(|one| (one.into_unit.as_str(), &one.step));
        let before = edges(predecessors);
        Self { lines: Vec::new(), after, before, seen: HashSet::new() }
    }

    fn line(&mut self, first: &str, rest: &str, text: &str) {
        self.lines.push(hang(first, rest, text));
    }

    /// Draws what a unit came from, for its own line to follow.
    fn above(&mut self, unit: &str, stem: &str) {
        let mut begun = false;
        for event in self.before.remove(unit).into_iter().flatten() {
            let Event::Edges { date, steps } = event else { continue };
            let rest = format!("{stem}│  ");
            for step in &steps {
                let (mark, beside) = if begun { ("├─ ", "│  ") } else { ("┌─ ", "   ") };
                begun = true;
                let again = !self.seen.insert(&step.unit);
                if !again {
                    self.above(&step.unit, &format!("{stem}{beside}"));
                }
                let how = match step.kind.as_str() {
                    "SPLIT_MAIN" => "the main part of ",
                    "SPLIT_PART" => "a part of ",
                    "THROUGH_CHILDREN" => "through what was under it: ",
                    _ => "all of ",
                };
                self.line(&format!("{stem}{mark}"), &rest, &step.text(how, again));
            }
            self.line(&rest, &rest, &decision(date, &steps));
        }
    }

    /// Draws what happened to a unit, after its own line.
    fn below(&mut self, unit: &str, stem: &str) {
        let events = self.after.remove(unit).unwrap_or_default();
        let count = events.len();
        for (place, event) in events.into_iter().enumerate() {
            let last = place + 1 == count;
            match event {
                Event::Change { date, words } => {
                    let (mark, beside) =
                        if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
                    let text = format!("{}: {words}", show_date(date));
                    self.line(&format!("{stem}{mark}"), &format!("{stem}{beside}"), &text);
                }
                Event::Edges { date, steps } => {
                    let rest = format!("{stem}│  ");
                    self.line(&rest, &rest, &decision(date, &steps));
                    for (place, step) in steps.iter().enumerate() {
                        let last = last && place + 1 == steps.len();
                        let (mark, beside) =
                            if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
                        let how = match (step.kind.as_str(), step.level.as_str()) {
                            ("SPLIT_MAIN", _) => "the main part into ",
                            ("SPLIT_PART", _) => "a part into ",
                            ("THROUGH_CHILDREN", "COMMUNE") => "through its communes: ",
                            ("THROUGH_CHILDREN", _) => "through what was under it: ",
                            _ => "all of it into ",
                        };
                        let again = !self.seen.insert(&step.unit);
                        let beside = format!("{stem}{beside}");
                        self.line(&format!("{stem}{mark}"), &beside, &step.text(how, again));
                        if !again {
                            self.below(&step.unit, &beside);
                        }
                    }
                }
            }
        }
    }
}

/// Steps by the unit at their nearer end, those of one reorganisation together, in the order of time.
fn edges<'a>(steps: impl Iterator<Item = (&'a str, &'a Step)>) -> HashMap<&'a str, Vec<Event<'a>>> {
    let mut grouped: BTreeMap<_, Vec<&Step>> = BTreeMap::new();
    for (unit, step) in steps {
        grouped.entry((unit, step.date, &step.reorganisation)).or_default().push(step);
    }
    let mut events: HashMap<&str, Vec<Event<'_>>> = HashMap::new();
    for ((unit, date, _), steps) in grouped {
        events.entry(unit).or_default().push(Event::Edges { date, steps });
    }
    events
}

/// When and by what: `01/07/2025, Nghị quyết … (ID)`.
fn decision(date: Option<NaiveDate>, steps: &[&Step]) -> String {
    let mut text = show_date(date);
    if let Some(step) = steps.first() {
        if !step.legal_basis.is_empty() {
            text.push_str(&format!(", {}", step.legal_basis));
        }
        if let Some(id) = step.reorganisation.strip_prefix("reorganisations/") {
            text.push_str(&format!(" ({id})"));
        }
    }
    text
}

#[cfg(test)]
mod tests;

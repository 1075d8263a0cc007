//! Reorganisations: the contract's messages ⇄ the domain.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use dunghan_events::{edge_kind, kind, level, pb_edge};
use dunghan_hierarchy::{Edge, EdgeKind, Hierarchy, Kind, Level, NSO, UnitId};
use dunghan_proto::policy::ErrorReason as Common;
use dunghan_proto::registry as pb;
use dunghan_proto::registry::change::Change as Stated;
use dunghan_proto::registry::target::Target as StatedTarget;
use dunghan_proto::registry::unit_reference::Reference;
use dunghan_proto::r#type::Date;
use dunghan_rpc::{bad_field, field};
use tonic::{Code as GrpcCode, Status};

use crate::convert::{self, LONGEST_CODE, LONGEST_NAME, composed};
use crate::domain::import::{Code, statistics_code};
use crate::domain::record::Effect;
use crate::domain::reorganisation::{
    Change, ChangeReason, NewUnit, Portion, Reorganisation, Share, Target, UnitRef,
};
use crate::error;
use crate::store::Recorded;

const COLLECTION: &str = "reorganisations/";
const LONGEST_TITLE: usize = 500;
const LONGEST_SOURCE: usize = 4000;
/// The most changes of one call. The reform of 2025, some 4,500 in all, comes in one.
pub(crate) const MOST_CHANGES: usize = 20_000;
const MOST_UNCONFIRMED: usize = 5000;

/// A reorganisation that reads.
pub(crate) struct Read {
    /// As it is kept: without what the service adds, texts trimmed and composed, and what was left to it filled in. Whatever
    /// says the same is the same.
    pub(crate) stated: pb::Reorganisation,
    /// The id of the one in whose place it stands.
    pub(crate) corrects: Option<Arc<str>>,
    pub(crate) effective: NaiveDate,
    pub(crate) changes: Vec<Change>,
}

impl Read {
    /// For the rules, under its id.
    pub(crate) fn under(self, id: Arc<str>) -> Reorganisation {
        Reorganisation { id, effective: self.effective, changes: self.changes }
    }
}

/// A reorganisation as it is stated; `within` is the field that it stands in.
///
/// Errors: INVALID_ARGUMENT that names every bad field.
pub(crate) fn reorganisation(within: &str, stated: pb::Reorganisation) -> Result<Read, Status> {
    let pb::Reorganisation {
        title,
        legal_basis,
        effective_date,
        changes,
        unconfirmed,
        corrects,
        source,
        ..
    } = stated;
    let mut stated = pb::Reorganisation {
        title,
        legal_basis,
        effective_date,
        changes,
        unconfirmed,
        corrects,
        source,
        ..pb::Reorganisation::default()
    };
    let mut reading = Reading { path: vec![within.to_owned()], bad: Vec::new() };
    reading.line("title", &mut stated.title, LONGEST_TITLE);
    reading.line("legal_basis", &mut stated.legal_basis, LONGEST_TITLE);
    reading.text("source", &mut stated.source, LONGEST_SOURCE);
    let effective = reading.date("effective_date", stated.effective_date.as_ref());
    let corrects = reading.corrects(&mut stated.corrects);
    if stated.changes.is_empty() && stated.corrects.is_empty() {
        reading.missing("changes");
    }
    let mut changes = Vec::with_capacity(stated.changes.len());
    if stated.changes.len() > MOST_CHANGES {
        reading.bad("changes", format!("must not be more than {MOST_CHANGES}"));
    } else {
        for (at, change) in stated.changes.iter_mut().enumerate() {
            changes.extend(reading.each("changes", at, |reading| reading.change(change)));
        }
    }
    if stated.unconfirmed.len() > MOST_UNCONFIRMED {
        reading.bad("unconfirmed", format!("must not be more than {MOST_UNCONFIRMED}"));
    } else {
        for (at, edge) in stated.unconfirmed.iter_mut().enumerate() {
            reading.each("unconfirmed", at, |reading| reading.unconfirmed(edge));
        }
    }
    match effective {
        Some(effective) if reading.bad.is_empty() => {
            Ok(Read { stated, corrects, effective, changes })
        }
        _ => Err(reading.refused()),
    }
}

/// What follows `reorganisations/` in a field.
///
/// Errors: INVALID_ARGUMENT that names the field.
pub(crate) fn reorganisation_name(field: &str, name: &str) -> Result<String, Status> {
    let name = field::text(field, name, LONGEST_NAME)?;
    let id = name.strip_prefix(COLLECTION).filter(|id| is_id(id));
    id.map(ToOwned::to_owned)
        .ok_or_else(|| bad_field(field, "must be reorganisations/{reorganisation}"))
}

/// The id that a new reorganisation is to have; `None`: the service makes one.
///
/// Errors: INVALID_ARGUMENT that names the field.
pub(crate) fn reorganisation_id(field: &str, id: &str) -> Result<Option<Arc<str>>, Status> {
    match id {
        "" => Ok(None),
        id if is_id(id) => Ok(Some(id.into())),
        _ => Err(bad_field(
            field,
            "must have 4 to 63 lower-case letters, digits and hyphens, a letter or digit first and last",
        )),
    }
}

fn is_id(id: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = id.as_bytes();
    (4..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| plain(byte) || *byte == b'-')
        && bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
}

/// Reads the parts of a message one after the other, and notes what is bad by its path.
struct Reading {
    path: Vec<String>,
    bad: Vec<Violation>,
}

struct Violation {
    reason: Common,
    field: String,
    why: String,
}

impl Reading {
    fn note(&mut self, reason: Common, field: &str, why: String) {
        let path = self.path.iter().map(String::as_str).chain([field]);
        let field = path.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".");
        self.bad.push(Violation { reason, field, why });
    }

    fn bad(&mut self, field: &str, why: impl Into<String>) {
        self.note(Common::InvalidField, field, why.into());
    }

    fn missing(&mut self, field: &str) {
        self.note(Common::RequiredFieldMissing, field, "is missing".to_owned());
    }

    fn refused(self) -> Status {
        let reason = self.bad.first().map_or(Common::InvalidField, |first| first.reason);
        let all = self.bad.into_iter().map(|bad| (bad.field, bad.why)).collect();
        error::fields(GrpcCode::InvalidArgument, reason, all)
    }

    /// Reads what stands in a field.
    fn within<T>(&mut self, field: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(field.to_owned());
        let value = read(self);
        self.path.pop();
        value
    }

    /// Reads one of those that stand in a field.
    fn each<T>(&mut self, field: &str, at: usize, read: impl FnOnce(&mut Self) -> T) -> T {
        self.within(&format!("{field}[{at}]"), read)
    }

    /// A text that may be empty; false where it is bad.
    fn text(&mut self, field: &str, text: &mut String, most: usize) -> bool {
        *text = composed(text.trim());
        if text.len() > most {
            self.bad(field, format!("must not be longer than {most} bytes"));
        } else if text.chars().any(|letter| letter.is_control() && letter != '\n') {
            self.bad(field, "must not have control characters in it");
        } else {
            return true;
        }
        false
    }

    /// A text of one line that has to be there.
    fn line(&mut self, field: &str, text: &mut String, most: usize) -> Option<String> {
        if !self.text(field, text, most) {
            return None;
        }
        if text.is_empty() {
            self.missing(field);
        } else if text.contains('\n') {
            self.bad(field, "must be one line");
        } else {
            return Some(text.clone());
        }
        None
    }

    /// A code or a scheme, that has to be there.
    fn word(&mut self, field: &str, word: &mut String) -> Option<String> {
        let word = self.line(field, word, LONGEST_CODE)?;
        if word.contains(char::is_whitespace) {
            self.bad(field, format!("must not have blanks in it: {word:?}"));
            return None;
        }
        Some(word)
    }

    /// The outer `None` is bad, the inner one empty.
    fn optional_word(&mut self, field: &str, word: &mut String) -> Option<Option<String>> {
        match self.text(field, word, LONGEST_CODE) {
            true if word.is_empty() => Some(None),
            true => self.word(field, word).map(Some),
            false => None,
        }
    }

    fn date(&mut self, field: &str, date: Option<&Date>) -> Option<NaiveDate> {
        match field::date(field, date) {
            Ok(Some(date)) => return Some(date),
            Ok(None) => self.missing(field),
            Err(status) => {
                let why = status.message().trim_start_matches(field).trim_start().to_owned();
                self.bad(field, why);
            }
        }
        None
    }

    fn corrects(&mut self, name: &mut String) -> Option<Arc<str>> {
        if !self.text("corrects", name, LONGEST_NAME) || name.is_empty() {
            return None;
        }
        let id = name.strip_prefix(COLLECTION).filter(|id| is_id(id)).map(Arc::from);
        if id.is_none() {
            self.bad("corrects", "must be reorganisations/{reorganisation}");
        }
        id
    }

    fn change(&mut self, change: &mut pb::Change) -> Option<Change> {
        let Some(change) = &mut change.change else {
            self.missing("change");
            return None;
        };
        match change {
            Stated::Merge(merge) => self.within("merge", |reading| reading.merge(merge)),
            Stated::Split(split) => self.within("split", |reading| reading.split(split)),
            Stated::Rename(rename) => self.within("rename", |reading| {
                let unit = reading.unit("unit", rename.unit.as_mut());
                let name = reading.line("display_name", &mut rename.display_name, LONGEST_NAME);
                Some(Change::Rename { unit: unit?, display_name: name? })
            }),
            Stated::Retype(retype) => self.within("retype", |reading| {
                let unit = reading.unit("unit", retype.unit.as_mut());
                let kind = reading.kind(retype.kind());
                let name = &mut retype.display_name;
                let level = reading.optional_level(retype.level);
                let display_name = match reading.text("display_name", name, LONGEST_NAME) {
                    true if name.is_empty() => None,
                    true => Some(reading.line("display_name", name, LONGEST_NAME)?),
                    false => return None,
                };
                Some(Change::Retype { unit: unit?, kind: kind?, display_name, level: level? })
            }),
            Stated::Transfer(transfer) => self.within("transfer", |reading| {
                let unit = reading.unit("unit", transfer.unit.as_mut());
                let parent = reading.optional_unit("parent", transfer.parent.as_mut());
                Some(Change::Transfer { unit: unit?, parent: parent? })
            }),
            Stated::Recode(recode) => self.within("recode", |reading| {
                let unit = reading.unit("unit", recode.unit.as_mut());
                let scheme = reading.word("scheme", &mut recode.scheme);
                let value = reading.optional_word("value", &mut recode.value);
                Some(Change::Recode { unit: unit?, scheme: scheme?, value: value? })
            }),
            Stated::Abolish(abolish) => self.within("abolish", |reading| {
                let unit = reading.unit("unit", abolish.unit.as_mut());
                let to = reading.optional_unit("children_to", abolish.children_to.as_mut());
                Some(Change::Abolish { unit: unit?, children_to: to? })
            }),
        }
    }

    fn merge(&mut self, merge: &mut pb::Merge) -> Option<Change> {
        if merge.shares.is_empty() {
            self.missing("shares");
        }
        let mut shares = Vec::with_capacity(merge.shares.len());
        for (at, share) in merge.shares.iter_mut().enumerate() {
            shares.extend(self.each("shares", at, |reading| {
                if share.kind == i32::from(pb::EdgeKind::Unspecified) {
                    share.set_kind(pb::EdgeKind::Merged);
                }
                let unit = reading.unit("unit", share.unit.as_mut());
                let kind = reading.edge_kind(share.kind, EdgeKind::ALL);
                Some(Share { unit: unit?, kind: kind? })
            }));
        }
        let into = self.target("into", merge.into.as_mut());
        Some(Change::Merge { shares, into: into? })
    }

    fn split(&mut self, split: &mut pb::Split) -> Option<Change> {
        let unit = self.unit("unit", split.unit.as_mut());
        if split.portions.is_empty() {
            self.missing("portions");
        }
        let mut portions = Vec::with_capacity(split.portions.len());
        for (at, portion) in split.portions.iter_mut().enumerate() {
            portions.extend(self.each("portions", at, |reading| {
                if portion.kind == i32::from(pb::EdgeKind::Unspecified) {
                    portion.set_kind(pb::EdgeKind::SplitPart);
                }
                let into = reading.target("into", portion.into.as_mut());
                let parts = [EdgeKind::SplitMain, EdgeKind::SplitPart];
                let kind = reading.edge_kind(portion.kind, &parts);
                Some(Portion { into: into?, kind: kind? })
            }));
        }
        let children_to = self.optional_unit("children_to", split.children_to.as_mut());
        let (unit, children_to) = (unit?, children_to?);
        Some(Change::Split { unit, portions, continues: split.unit_continues, children_to })
    }

    fn edge_kind(&mut self, number: i32, allowed: &[EdgeKind]) -> Option<EdgeKind> {
        let kind = pb::EdgeKind::try_from(number).ok().and_then(edge_kind);
        let kind = kind.filter(|kind| allowed.contains(kind));
        if kind.is_none() {
            self.bad("kind", "is none that can be stated here");
        }
        kind
    }

    fn kind(&mut self, stated: pb::Kind) -> Option<Kind> {
        if stated == pb::Kind::Unspecified {
            self.bad("kind", "is missing, or is no kind that there is");
            return None;
        }
        Some(kind(stated))
    }

    /// The outer `None` is bad, the inner one left open.
    fn optional_level(&mut self, number: i32) -> Option<Option<Level>> {
        match pb::Level::try_from(number) {
            Ok(pb::Level::Unspecified) => Some(None),
            Ok(stated) => Some(Some(level(stated))),
            Err(_) => {
                self.bad("level", "is no level that there is");
                None
            }
        }
    }

    fn target(&mut self, field: &str, target: Option<&mut pb::Target>) -> Option<Target> {
        let Some(target) = target.and_then(|target| target.target.as_mut()) else {
            self.missing(field);
            return None;
        };
        self.within(field, |reading| match target {
            StatedTarget::Existing(unit) => {
                reading.unit("existing", Some(unit)).map(Target::Existing)
            }
            StatedTarget::NewUnit(unit) => {
                reading.within("new_unit", |reading| reading.new_unit(unit)).map(Target::New)
            }
        })
    }

    fn new_unit(&mut self, unit: &mut pb::NewUnit) -> Option<NewUnit> {
        let code = self.code("identifier", unit.identifier.as_mut());
        let display_name = self.line("display_name", &mut unit.display_name, LONGEST_NAME);
        let kind = self.kind(unit.kind());
        let level = self.optional_level(unit.level)?;
        if level.is_none() {
            self.missing("level");
        }
        let parent = self.optional_unit("parent", unit.parent.as_mut());
        let (code, level) = (code?, level?);
        if code.scheme == NSO
            && let Err(why) = statistics_code(level, &code.value)
        {
            self.bad("identifier.value", why);
        }
        let (display_name, kind, parent) = (display_name?, kind?, parent?);
        Some(NewUnit { code, display_name, kind, level, parent })
    }

    fn code(&mut self, field: &str, identifier: Option<&mut pb::Identifier>) -> Option<Code> {
        let Some(identifier) = identifier else {
            self.missing(field);
            return None;
        };
        self.within(field, |reading| {
            let scheme = reading.word("scheme", &mut identifier.scheme);
            let value = reading.word("value", &mut identifier.value);
            Some(Code { scheme: scheme?, value: value? })
        })
    }

    fn unit(&mut self, field: &str, unit: Option<&mut pb::UnitReference>) -> Option<UnitRef> {
        let Some(reference) = unit.and_then(|unit| unit.reference.as_mut()) else {
            self.missing(field);
            return None;
        };
        self.within(field, |reading| match reference {
            Reference::Unit(name) => {
                let read: Result<UnitId, _> = name.trim().parse();
                match read {
                    Ok(unit) => {
                        *name = unit.to_string();
                        Some(UnitRef::Unit(unit))
                    }
                    Err(error) => {
                        reading.bad("unit", error.to_string());
                        None
                    }
                }
            }
            Reference::Identifier(identifier) => {
                reading.code("identifier", Some(identifier)).map(UnitRef::Code)
            }
        })
    }

    /// The outer `None` is bad, the inner one left open.
    fn optional_unit(
        &mut self,
        field: &str,
        unit: Option<&mut pb::UnitReference>,
    ) -> Option<Option<UnitRef>> {
        match unit {
            None => Some(None),
            unit => self.unit(field, unit).map(Some),
        }
    }

    fn unconfirmed(&mut self, edge: &mut pb::UnconfirmedEdge) {
        match edge.predecessor.trim().parse::<UnitId>() {
            Ok(unit) => edge.predecessor = unit.to_string(),
            Err(error) => self.bad("predecessor", error.to_string()),
        }
        for (field, code) in [
            ("predecessor_code", &mut edge.predecessor_code),
            ("successor_code", &mut edge.successor_code),
        ] {
            self.optional_word(field, code);
        }
        self.line("note", &mut edge.note, LONGEST_TITLE);
    }
}

/// A reorganisation as it is answered.
pub(crate) fn recorded(recorded: Recorded) -> pb::Reorganisation {
    let named = |id: &str| format!("{COLLECTION}{id}");
    pb::Reorganisation {
        name: named(&recorded.id),
        corrected_by: recorded.corrected_by.as_deref().map(named).unwrap_or_default(),
        creator: recorded.creator,
        create_time: Some(field::pb_time(recorded.create_time)),
        hierarchy_version: recorded.version.cast_signed(),
        ..recorded.stated
    }
}

/// The name of a reorganisation, empty for none.
pub(crate) fn named(id: &str) -> String {
    if id.is_empty() { String::new() } else { format!("{COLLECTION}{id}") }
}

pub(crate) fn reason(reason: ChangeReason) -> pb::ErrorReason {
    match reason {
        ChangeReason::UnitNotValid => pb::ErrorReason::ChangeUnitNotValid,
        ChangeReason::IntoItself => pb::ErrorReason::ChangeIntoItself,
        ChangeReason::Contradict => pb::ErrorReason::ChangesContradict,
        ChangeReason::ChangedLater => pb::ErrorReason::ChangedLater,
        ChangeReason::ChildrenLeft => pb::ErrorReason::ChildrenLeft,
        ChangeReason::WithoutEffect => pb::ErrorReason::ChangeWithoutEffect,
        ChangeReason::CodeTaken => pb::ErrorReason::CodeTaken,
        ChangeReason::ParentNotValid => pb::ErrorReason::ParentNotValid,
        ChangeReason::Cycle => pb::ErrorReason::Cycle,
        ChangeReason::Invalid => pb::ErrorReason::RowInvalid,
    }
}

/// What happens to a unit, and on which days it is to be seen what it was before and what it is after that.
pub(crate) struct Happens {
    pub(crate) unit: UnitId,
    pub(crate) effect: Effect,
    pub(crate) before: NaiveDate,
    pub(crate) after: NaiveDate,
}

/// What happens to units, in the order of their codes.
pub(crate) fn effects(
    before: &Hierarchy,
    after: &Hierarchy,
    happens: &[Happens],
) -> Vec<pb::UnitEffect> {
    let unit = |hierarchy: &Hierarchy, unit, day| {
        hierarchy.unit(unit, day).map(|view| convert::unit(hierarchy, view))
    };
    let mut sorted = BTreeMap::new();
    for one in happens {
        let effect = pb::UnitEffect {
            kind: effect(one.effect).into(),
            before: unit(before, one.unit, one.before),
            after: unit(after, one.unit, one.after),
        };
        let shown = effect.before.as_ref().or(effect.after.as_ref());
        let code = shown.map(|unit| unit.statistics_code.clone()).unwrap_or_default();
        sorted.insert((code.is_empty(), code, one.unit), effect);
    }
    sorted.into_values().collect()
}

fn effect(effect: Effect) -> pb::UnitEffectKind {
    match effect {
        Effect::Created => pb::UnitEffectKind::Created,
        Effect::Ended => pb::UnitEffectKind::Ended,
        Effect::Changed => pb::UnitEffectKind::Changed,
        Effect::PassedAlong => pb::UnitEffectKind::PassedAlong,
        Effect::TakenBack => pb::UnitEffectKind::TakenBack,
        Effect::Rewritten => pb::UnitEffectKind::Rewritten,
    }
}

/// Edges as they are answered; of what is only tried they name no reorganisation.
pub(crate) fn edges(edges: &[Edge]) -> Vec<pb::LineageEdge> {
    let one = |edge: &Edge| pb::LineageEdge {
        reorganisation: named(&edge.reorganisation),
        ..pb_edge(edge)
    };
    edges.iter().map(one).collect()
}

#[cfg(test)]
mod tests;

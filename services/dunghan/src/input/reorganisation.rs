//! Reorganisations as a JSON file holds them, one or a list of them.

use chrono::NaiveDate;
use dunghan_proto::registry as pb;
use dunghan_proto::registry::change::Change as Kind;
use dunghan_proto::registry::target::Target;
use dunghan_proto::registry::unit_reference::Reference;
use dunghan_rpc::field::pb_date;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::{UnitRef, json, word};

const NAMES: &str = "reorganisations/";

/// The reorganisations of a file.
#[derive(Clone, Debug)]
pub(crate) struct ReorganisationFile {
    pub(crate) requests: Vec<pb::CreateReorganisationRequest>,
    /// Whether it is a list, by which places in it begin with an index.
    list: bool,
}

impl ReorganisationFile {
    /// Where in the file a field of the contract stands: `changes[3].merge.shares[1].unit` of the second one of a list is
    /// `[1].changes[3].merge.from[1].unit`. A field that begins with `requests[n]` says itself which one it is of.
    pub(crate) fn place(&self, reorganisation: usize, field: &str) -> String {
        let batch = field.strip_prefix("requests[").and_then(|rest| {
            let (at, rest) = rest.split_once(']')?;
            Some((at.parse().ok()?, rest.trim_start_matches('.')))
        });
        let (at, field) = batch.unwrap_or((reorganisation, field));
        let field = field.strip_prefix("reorganisation.").unwrap_or(field);
        let words = [
            ("reorganisation_id", "id"),
            (".shares[", ".from["),
            ("].into.new_unit", "].new"),
            (".into.new_unit", ".into"),
            (".portions[", ".into["),
            ("new.identifier", "new.code"),
            (".into.identifier", ".into.code"),
            (".identifier", ""),
            (".existing", ""),
            (".unit.unit", ".unit"),
            (".recode.value", ".recode.code"),
            (".value", ""),
            (".scheme", ""),
            (".display_name", ".name"),
            (".unit_continues", ".continues"),
        ];
        let field =
            words.iter().fold(field.to_owned(), |field, (one, other)| field.replace(one, other));
        match (self.list, field.as_str()) {
            (false, _) => field,
            (true, "") => format!("[{at}]"),
            (true, _) => format!("[{at}].{field}"),
        }
    }
}

/// As the file has one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reorganisation {
    #[serde(default)]
    id: String,
    title: String,
    legal_basis: String,
    effective_date: NaiveDate,
    #[serde(default)]
    corrects: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    changes: Vec<Value>,
    #[serde(default)]
    unconfirmed: Vec<Value>,
}

/// One thing that happens; its key says which.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Change {
    Merge(Merge),
    Split(Split),
    Rename(Rename),
    Retype(Retype),
    Transfer(Transfer),
    Recode(Recode),
    Abolish(Abolish),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Merge {
    from: Vec<UnitOr<Share>>,
    into: UnitOr<NewUnit>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Share {
    unit: UnitCode,
    kind: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUnit {
    code: UnitCode,
    name: String,
    kind: String,
    level: String,
    parent: Option<UnitCode>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Split {
    unit: UnitCode,
    into: Vec<UnitOr<Portion>>,
    #[serde(default)]
    continues: bool,
    children_to: Option<UnitCode>,
}

/// Of `unit` and `new` one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Portion {
    unit: Option<UnitCode>,
    new: Option<NewUnit>,
    kind: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rename {
    unit: UnitCode,
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Retype {
    unit: UnitCode,
    kind: String,
    #[serde(default)]
    name: String,
    level: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Transfer {
    unit: UnitCode,
    /// None: at the top.
    parent: Option<UnitCode>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recode {
    unit: UnitCode,
    #[serde(default = "nso")]
    scheme: String,
    /// Empty: none any more.
    code: String,
}

fn nso() -> String {
    dunghan_hierarchy::NSO.to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Abolish {
    unit: UnitCode,
    children_to: Option<UnitCode>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unconfirmed {
    /// By its resource name: a source's doubt is about one very unit.
    unit: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    successor_code: String,
    note: String,
}

/// A unit by code or by resource name. A code is meant on the day that the contract says, so it has no date of its own.
#[derive(Clone, Debug)]
struct UnitCode(UnitRef);

impl<'de> Deserialize<'de> for UnitCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let unit: UnitRef = String::deserialize(deserializer)?.parse().map_err(D::Error::custom)?;
        match unit.date(None) {
            None => Ok(Self(unit)),
            Some(_) => Err(D::Error::custom(format_args!(
                "{unit} has a date: a code is meant on the effective date here, or on the day before"
            ))),
        }
    }
}

/// A unit alone, or an object that says more.
#[derive(Debug)]
enum UnitOr<T> {
    Unit(UnitCode),
    More(T),
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for UnitOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            text @ Value::String(_) => serde_json::from_value(text).map(Self::Unit),
            object @ Value::Object(_) => serde_json::from_value(object).map(Self::More),
            other => {
                return Err(D::Error::custom(format_args!(
                    "{other} is neither a unit, such as \"09427\" with its quotes, nor an object"
                )));
            }
        }
        .map_err(D::Error::custom)
    }
}

/// The reorganisations of a JSON file, one or a list of them, or everything that is wrong with it.
pub(crate) fn reorganisations(bytes: &[u8]) -> Result<ReorganisationFile, Vec<String>> {
    let (list, values) = match json::document(bytes)? {
        Value::Array(values) => (true, values),
        value => (false, vec![value]),
    };
    if values.is_empty() {
        return Err(vec!["has no reorganisations".to_owned()]);
    }
    let (mut requests, mut problems) = (Vec::new(), Vec::new());
    for (place, value) in values.into_iter().enumerate() {
        let place = if list { format!("[{place}]") } else { String::new() };
        match request(value, &place) {
            Ok(request) => requests.push(request),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(ReorganisationFile { requests, list }) } else { Err(problems) }
}

/// `place` is where in a list it stands; empty where it stands alone.
fn request(value: Value, place: &str) -> Result<pb::CreateReorganisationRequest, Vec<String>> {
    let (of, said) = if place.is_empty() {
        (String::new(), String::new())
    } else {
        (format!("{place}."), format!("{place}: "))
    };
    let file: Reorganisation =
        serde_json::from_value(value).map_err(|e| vec![format!("{said}{e}")])?;
    let mut problems = Vec::new();
    if !place.is_empty() && file.id.is_empty() {
        problems.push(format!("{of}id: is needed in a list"));
    }
    let changes = json::elements(&format!("{of}changes"), file.changes, Change::contract)
        .map_err(|found| problems.extend(found));
    let unconfirmed = json::elements(&format!("{of}unconfirmed"), file.unconfirmed, |one| {
        let Unconfirmed { unit, code, successor_code, note } = one;
        Ok(pb::UnconfirmedEdge { predecessor: unit, predecessor_code: code, successor_code, note })
    })
    .map_err(|found| problems.extend(found));
    let (Ok(changes), Ok(unconfirmed), true) = (changes, unconfirmed, problems.is_empty()) else {
        return Err(problems);
    };
    let corrects = match file.corrects.as_str() {
        "" => String::new(),
        corrects => reorganisation_name(corrects),
    };
    let reorganisation = pb::Reorganisation {
        title: file.title,
        legal_basis: file.legal_basis,
        effective_date: Some(pb_date(file.effective_date)),
        changes,
        unconfirmed,
        corrects,
        source: file.source,
        ..Default::default()
    };
    Ok(pb::CreateReorganisationRequest {
        reorganisation: Some(reorganisation),
        reorganisation_id: file.id.trim_start_matches(NAMES).to_owned(),
        request_id: String::new(),
    })
}

/// `reorganisations/ID`, given with or without the prefix.
pub(crate) fn reorganisation_name(text: &str) -> String {
    format!("{NAMES}{}", text.trim_start_matches(NAMES))
}

impl Change {
    fn contract(self) -> Result<pb::Change, String> {
        let change = match self {
            Self::Merge(merge) => {
                let shares = merge.from.into_iter().map(|share| match share {
                    UnitOr::Unit(unit) => Ok(pb::Share { unit: unit.contract(), kind: 0 }),
                    UnitOr::More(Share { unit, kind }) => {
                        Ok(pb::Share { unit: unit.contract(), kind: edge_kind(kind)? })
                    }
                });
                let into = match merge.into {
                    UnitOr::Unit(unit) => unit.target(),
                    UnitOr::More(new) => new.target()?,
                };
                let shares = shares.collect::<Result<_, String>>()?;
                Kind::Merge(pb::Merge { shares, into })
            }
            Self::Split(split) => {
                let portions = split.into.into_iter().map(|portion| match portion {
                    UnitOr::Unit(unit) => Ok(pb::Portion { into: unit.target(), kind: 0 }),
                    UnitOr::More(Portion { unit, new, kind }) => {
                        let into = match (unit, new) {
                            (Some(unit), None) => unit.target(),
                            (None, Some(new)) => new.target()?,
                            _ => return Err("split.into: needs unit or new, not both".to_owned()),
                        };
                        Ok(pb::Portion { into, kind: edge_kind(kind)? })
                    }
                });
                Kind::Split(pb::Split {
                    unit: split.unit.contract(),
                    portions: portions.collect::<Result<_, String>>()?,
                    unit_continues: split.continues,
                    children_to: split.children_to.and_then(UnitCode::contract),
                })
            }
            Self::Rename(Rename { unit, name }) => {
                Kind::Rename(pb::Rename { unit: unit.contract(), display_name: name })
            }
            Self::Retype(Retype { unit, kind, name, level }) => Kind::Retype(pb::Retype {
                unit: unit.contract(),
                kind: unit_kind(&kind)?.into(),
                display_name: name,
                level: level.map_or(Ok(pb::Level::Unspecified), |level| unit_level(&level))?.into(),
            }),
            Self::Transfer(Transfer { unit, parent }) => Kind::Transfer(pb::Transfer {
                unit: unit.contract(),
                parent: parent.and_then(UnitCode::contract),
            }),
            Self::Recode(Recode { unit, scheme, code }) => {
                Kind::Recode(pb::Recode { unit: unit.contract(), scheme, value: code })
            }
            Self::Abolish(Abolish { unit, children_to }) => Kind::Abolish(pb::Abolish {
                unit: unit.contract(),
                children_to: children_to.and_then(UnitCode::contract),
            }),
        };
        Ok(pb::Change { change: Some(change) })
    }
}

impl UnitCode {
    fn contract(self) -> Option<pb::UnitReference> {
        let reference = match self.0 {
            UnitRef::Name(id) => Reference::Unit(id.to_string()),
            UnitRef::Code { scheme, code, .. } => {
                Reference::Identifier(pb::Identifier { scheme, value: code })
            }
        };
        Some(pb::UnitReference { reference: Some(reference) })
    }

    fn target(self) -> Option<pb::Target> {
        Some(pb::Target { target: self.contract().map(Target::Existing) })
    }
}

impl NewUnit {
    fn target(self) -> Result<Option<pb::Target>, String> {
        let UnitRef::Code { scheme, code, .. } = self.code.0 else {
            return Err(format!("code: {} is no code", self.code.0));
        };
        let new = pb::NewUnit {
            identifier: Some(pb::Identifier { scheme, value: code }),
            display_name: self.name,
            kind: unit_kind(&self.kind)?.into(),
            level: unit_level(&self.level)?.into(),
            parent: self.parent.and_then(UnitCode::contract),
        };
        Ok(Some(pb::Target { target: Some(Target::NewUnit(new)) }))
    }
}

fn edge_kind(kind: Option<String>) -> Result<i32, String> {
    let Some(kind) = kind else { return Ok(0) };
    word("EDGE_KIND_", &kind, pb::EdgeKind::from_str_name)
        .filter(|kind| *kind != pb::EdgeKind::ThroughChildren)
        .map(i32::from)
        .ok_or_else(|| format!("kind: {kind:?} is not merged, split_main or split_part"))
}

fn unit_kind(kind: &str) -> Result<pb::Kind, String> {
    word("KIND_", kind, pb::Kind::from_str_name).ok_or_else(|| {
        let known: Vec<_> = dunghan_hierarchy::Kind::ALL.iter().map(|one| one.as_str()).collect();
        format!("kind: {kind:?} is not one of {}", known.join(", "))
    })
}

fn unit_level(level: &str) -> Result<pb::Level, String> {
    word("LEVEL_", level, pb::Level::from_str_name).ok_or_else(|| {
        let known: Vec<_> = dunghan_hierarchy::Level::ALL.iter().map(|one| one.as_str()).collect();
        format!("level: {level:?} is not one of {}", known.join(", "))
    })
}

/// A change of the contract as a file has it.
pub(crate) fn shown(change: &pb::Change) -> Value {
    match &change.change {
        None => Value::Null,
        Some(Kind::Merge(merge)) => {
            let from = merge.shares.iter().map(|share| match share.kind() {
                // Whoever states no kind states this one.
                pb::EdgeKind::Unspecified | pb::EdgeKind::Merged => unit(share.unit.as_ref()),
                kind => json!({"unit": unit(share.unit.as_ref()), "kind": edge_word(kind)}),
            });
            let into = match merge.into.as_ref().and_then(|into| into.target.as_ref()) {
                Some(Target::NewUnit(new)) => new_unit(new),
                Some(Target::Existing(existing)) => unit(Some(existing)),
                None => Value::Null,
            };
            json!({"merge": {"from": from.collect::<Vec<_>>(), "into": into}})
        }
        Some(Kind::Split(split)) => {
            let into = split.portions.iter().map(|portion| {
                let kind = edge_word(portion.kind());
                match portion.into.as_ref().and_then(|into| into.target.as_ref()) {
                    Some(Target::NewUnit(new)) => json!({"new": new_unit(new), "kind": kind}),
                    Some(Target::Existing(there)) => {
                        json!({"unit": unit(Some(there)), "kind": kind})
                    }
                    None => Value::Null,
                }
            });
            json!({"split": {
                "unit": unit(split.unit.as_ref()),
                "into": into.collect::<Vec<_>>(),
                "continues": split.unit_continues,
                "children_to": unit(split.children_to.as_ref()),
            }})
        }
        Some(Kind::Rename(rename)) => {
            json!({"rename": {"unit": unit(rename.unit.as_ref()), "name": rename.display_name}})
        }
        Some(Kind::Retype(retype)) => json!({"retype": {
            "unit": unit(retype.unit.as_ref()),
            "kind": lower(retype.kind().as_str_name(), "KIND_"),
            "name": retype.display_name,
            "level": Some(retype.level())
                .filter(|level| *level != pb::Level::Unspecified)
                .map(|level| lower(level.as_str_name(), "LEVEL_")),
        }}),
        Some(Kind::Transfer(transfer)) => json!({"transfer": {
            "unit": unit(transfer.unit.as_ref()),
            "parent": unit(transfer.parent.as_ref()),
        }}),
        Some(Kind::Recode(recode)) => json!({"recode": {
            "unit": unit(recode.unit.as_ref()),
            "scheme": recode.scheme,
            "code": recode.value,
        }}),
        Some(Kind::Abolish(abolish)) => json!({"abolish": {
            "unit": unit(abolish.unit.as_ref()),
            "children_to": unit(abolish.children_to.as_ref()),
        }}),
    }
}

fn lower(word: &str, prefix: &str) -> String {
    word.trim_start_matches(prefix).to_lowercase()
}

fn edge_word(kind: pb::EdgeKind) -> Option<String> {
    Some(lower(kind.as_str_name(), "EDGE_KIND_")).filter(|_| kind != pb::EdgeKind::Unspecified)
}

/// A unit as a file has it; null for none.
fn unit(unit: Option<&pb::UnitReference>) -> Value {
    match unit.and_then(|unit| unit.reference.as_ref()) {
        None => Value::Null,
        Some(Reference::Unit(name)) => json!(name),
        Some(Reference::Identifier(identifier)) => json!(code(identifier)),
    }
}

/// A code as people write it: without the scheme where that is the statistics office's.
fn code(identifier: &pb::Identifier) -> String {
    let pb::Identifier { scheme, value } = identifier;
    if scheme.is_empty() || scheme == dunghan_hierarchy::NSO {
        value.clone()
    } else {
        format!("{scheme}/{value}")
    }
}

fn new_unit(new: &pb::NewUnit) -> Value {
    json!({
        "code": new.identifier.as_ref().map(code),
        "name": new.display_name,
        "kind": lower(new.kind().as_str_name(), "KIND_"),
        "level": lower(new.level().as_str_name(), "LEVEL_"),
        "parent": unit(new.parent.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = r#"{
        "id": "thu-1", "title": "Sắp xếp (thử)", "legal_basis": "Nghị quyết 1/NQ", "effective_date": "2026-09-01",
        "source": "minh họa", "corrects": "thu-0",
        "changes": [
            {"merge": {"from": ["09400", {"unit": "09401", "kind": "split_part"}],
                "into": {"code": "09999", "name": "Phường X", "kind": "phuong", "level": "commune", "parent": "24"}}},
            {"merge": {"from": ["09403"], "into": "09427"}},
            {"split": {"unit": "09404", "into": ["09427", {"unit": "09430", "kind": "split_main"},
                {"new": {"code": "s/1", "name": "Xã Y", "kind": "xa", "level": "commune"}, "kind": "split_part"}],
                "continues": false, "children_to": "09427"}},
            {"rename": {"unit": "24", "name": "Thành phố Bắc Ninh"}},
            {"retype": {"unit": "24", "kind": "thanh_pho", "level": "province"}},
            {"transfer": {"unit": "09427", "parent": "25"}},
            {"recode": {"unit": "09427", "code": "09428"}},
            {"abolish": {"unit": "units/0196f0c4-0000-7000-8000-000000000001"}}
        ],
        "unconfirmed": [{"unit": "units/0196f0c4-0000-7000-8000-000000000001", "successor_code": "09427", "note": "?"}]
    }"#;

    #[test]
    fn every_change_reads_and_is_shown_as_it_reads() {
        let file = reorganisations(ALL.as_bytes()).unwrap();
        let request = &file.requests[0];
        assert_eq!(request.reorganisation_id, "thu-1");
        let read = request.reorganisation.as_ref().unwrap();
        assert_eq!((read.changes.len(), read.corrects.as_str()), (8, "reorganisations/thu-0"));
        let Some(Kind::Merge(merge)) = &read.changes[0].change else { panic!("{read:?}") };
        assert_eq!(merge.shares[0].kind(), pb::EdgeKind::Unspecified);
        assert_eq!(merge.shares[1].kind(), pb::EdgeKind::SplitPart);

        let mut again: Value = serde_json::from_str(ALL).unwrap();
        again["changes"] = read.changes.iter().map(shown).collect();
        let again = reorganisations(again.to_string().as_bytes()).unwrap();
        assert_eq!(again.requests, file.requests);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_in_the_file() {
        let problems = |text: &str| reorganisations(text.as_bytes()).unwrap_err();
        for (good, bad, said) in [
            ("\"rename\"", "\"renam\"", "changes[3]: unknown variant `renam`"),
            ("\"level\": \"province\"", "\"lvl\": \"province\"", "changes[4]: unknown field `lvl`"),
            (
                "\"kind\": \"split_main\"",
                "\"kind\": \"main\"",
                "changes[2]: kind: \"main\" is not merged",
            ),
            (
                "\"kind\": \"phuong\"",
                "\"kind\": \"ward\"",
                "changes[0]: kind: \"ward\" is not one of tinh",
            ),
            ("[\"09403\"]", "[9403]", "changes[1]: 9403 is neither a unit, such as"),
            ("\"09404\"", "\"09404:2024-01-01\"", "changes[2]: 09404:2024-01-01 has a date"),
            ("\"title\"", "\"titel\"", "unknown field `titel`"),
            ("\"note\"", "\"nota\"", "unconfirmed[0]: unknown field `nota`"),
        ] {
            assert!(ALL.contains(good), "{good}");
            let found = problems(&ALL.replacen(good, bad, 1));
            assert!(found.len() == 1 && found[0].starts_with(said), "{found:#?}");
        }
        let two = format!(
            "[{ALL}, {}]",
            ALL.replace("\"rename\"", "\"renam\"").replace("\"thu-1\"", "\"\"")
        );
        let found = problems(&two);
        assert_eq!(found[0], "[1].id: is needed in a list");
        assert!(found[1].starts_with("[1].changes[3]: unknown variant"), "{found:#?}");
        assert_eq!(problems("[]"), ["has no reorganisations"]);
    }

    #[test]
    fn a_field_of_the_contract_is_found_where_the_file_has_it() {
        let one = reorganisations(ALL.as_bytes()).unwrap();
        assert_eq!(
            one.place(0, "changes[0].merge.shares[1].unit"),
            "changes[0].merge.from[1].unit"
        );
        let list = reorganisations(format!("[{ALL}]").as_bytes()).unwrap();
        let place = list.place(0, "changes[2].split.portions[2].into.new_unit.display_name");
        assert_eq!(place, "[0].changes[2].split.into[2].new.name");
    }
}

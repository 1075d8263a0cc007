//! Every key of the configuration, with what it means, from the types that read it.

use std::fmt;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::Value;

use crate::config::{Admin, Auth, Feeds, Log, Server, Storage, Telemetry};

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// With its section, for example `server.listen`.
    pub name: String,
    /// What is written there: `text`, `whole number`, `true or false`, or the words to choose from.
    pub kind: String,
    /// As TOML.
    pub default: String,
    /// What it means, with its unit.
    pub meaning: String,
}

/// One section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// As in the file.
    pub name: String,
    /// What it is about.
    pub meaning: String,
    /// Its keys; there is one at least.
    pub keys: Vec<Key>,
}

/// All sections. Prints as Markdown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference(pub Vec<Section>);

impl Reference {
    /// Of a process that can run services of these names, whose own sections are `services`.
    pub(crate) fn new(names: &[&str], services: impl Iterator<Item = Section>) -> Self {
        let mut sections = vec![
            Section::of::<Server>("server"),
            Section::of::<Admin>("admin"),
            Section::of::<Feeds>("feeds"),
            peers(names),
            Section::of::<Storage>("storage"),
            Section::of::<Auth>("auth"),
            Section::of::<Log>("log"),
            Section::of::<Telemetry>("telemetry"),
        ];
        sections.extend(services.filter(|section| !section.keys.is_empty()));
        Self(sections)
    }
}

impl Section {
    /// What `C` reads.
    pub(crate) fn of<C: JsonSchema + Serialize + Default>(name: &str) -> Self {
        let settings = SchemaSettings::default().with(|settings| settings.inline_subschemas = true);
        let schema = SchemaGenerator::new(settings).into_root_schema_for::<C>();
        let default = serde_json::to_value(C::default()).unwrap_or_default();
        let mut keys = Vec::new();
        collect(name, schema.as_value(), &default, &mut keys);
        Self { name: name.to_owned(), meaning: meaning(schema.as_value()), keys }
    }
}

/// The one section whose keys are not in its type.
fn peers(names: &[&str]) -> Section {
    let key = |name: &&str| Key {
        name: format!("peers.{name}"),
        kind: "text".to_owned(),
        default: "\"\"".to_owned(),
        meaning: format!(
            "Where {name} is, for example `http://{name}:7878`; several addresses with commas between them share the \
             calls. Required where a service of this process asks it and it does not run here."
        ),
    };
    Section {
        name: "peers".to_owned(),
        meaning: "Where the services are that do not run in this process. A service that runs here is never called by \
                  its address."
            .to_owned(),
        keys: names.iter().map(key).collect(),
    }
}

/// The keys of a table, those of tables within it by their whole names.
fn collect(name: &str, schema: &Value, default: &Value, keys: &mut Vec<Key>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (key, schema) in properties.into_iter().flatten() {
        let name = format!("{name}.{key}");
        let default = default.get(key).unwrap_or(&Value::Null);
        if schema.get("properties").is_some() {
            collect(&name, schema, default, keys);
        } else {
            let (kind, default, meaning) = (kind(schema), default.to_string(), meaning(schema));
            keys.push(Key { name, kind, default, meaning });
        }
    }
}

fn meaning(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn kind(schema: &Value) -> String {
    let list = |name| schema.get(name).and_then(Value::as_array);
    let words: Vec<_> = list("enum")
        .into_iter()
        .flatten()
        .chain(list("oneOf").into_iter().flatten().filter_map(|one| one.get("const")))
        .map(|word| format!("`{}`", word.as_str().unwrap_or_default()))
        .collect();
    if !words.is_empty() {
        return words.join(" or ");
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("integer") => "whole number",
        Some("number") => "number",
        Some("boolean") => "true or false",
        _ => "text",
    }
    .to_owned()
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, section) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            writeln!(f, "### `[{}]`\n\n{}\n", section.name, section.meaning)?;
            writeln!(f, "| key | value | default | meaning |\n|---|---|---|---|")?;
            for Key { name, kind, default, meaning } in &section.keys {
                let meaning = meaning.replace('|', "\\|");
                writeln!(f, "| `{name}` | {kind} | `{default}` | {meaning} |")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_says_what_it_means_what_it_takes_and_what_it_is_without_it() {
        let reference = Reference::new(&["registry"], std::iter::empty());
        for key in reference.0.iter().flat_map(|section| &section.keys) {
            assert!(key.meaning.len() > 10 && key.default != "null", "{key:?}");
        }
        let keys: Vec<_> = reference.0.iter().flat_map(|section| &section.keys).collect();
        let kind = |name: &str| &keys.iter().find(|key| key.name == name).unwrap().kind;
        assert_eq!(kind("server.drain_limit_s"), "whole number");
        assert_eq!(kind("server.reflection"), "true or false");
        assert_eq!(kind("log.format"), "`text` or `json`");
        assert_eq!(kind("peers.registry"), "text");
        assert!(!reference.to_string().contains("test."), "{reference}");
    }
}

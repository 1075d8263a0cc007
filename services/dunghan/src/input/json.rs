//! JSON files, strictly: no key stands twice, and of a list every bad element is named.

use std::collections::HashSet;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor,
};
use serde_json::Value;

/// A JSON document.
pub(super) fn document<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Vec<String>> {
    let text = super::text(bytes)?;
    let read = serde_json::from_str(text).and_then(|NoKeyTwice| serde_json::from_str(text));
    read.map_err(|e| vec![e.to_string()])
}

/// Each element of a list through `read`; all of them, or every problem.
pub(super) fn elements<F: DeserializeOwned, T>(
    list: &str,
    values: Vec<Value>,
    mut read: impl FnMut(F) -> Result<T, String>,
) -> Result<Vec<T>, Vec<String>> {
    let (mut good, mut problems) = (Vec::new(), Vec::new());
    for (place, value) in values.into_iter().enumerate() {
        let found = serde_json::from_value(value).map_err(|e| e.to_string());
        match found.and_then(&mut read) {
            Ok(element) => good.push(element),
            Err(why) => problems.push(format!("{list}[{place}]: {why}")),
        }
    }
    if problems.is_empty() { Ok(good) } else { Err(problems) }
}

/// Any JSON in which no object has a key twice. Of two, [`Value`] keeps the last without a word.
struct NoKeyTwice;

impl<'de> Deserialize<'de> for NoKeyTwice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for NoKeyTwice {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        while let Some(Self) = list.next_element()? {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self, A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = object.next_key::<String>()? {
            if seen.contains(&key) {
                return Err(A::Error::custom(format_args!("the key `{key}` stands twice")));
            }
            seen.insert(key);
            object.next_value::<Self>()?;
        }
        Ok(self)
    }
}

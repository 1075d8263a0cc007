//! Lists in JSON files, whose every bad element is named.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// A JSON document.
pub(super) fn document<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Vec<String>> {
    let text = super::text(bytes)?;
    serde_json::from_str(text).map_err(|e| vec![e.to_string()])
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

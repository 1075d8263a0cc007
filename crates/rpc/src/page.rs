//! Pages (AIP-158): the token is the key of the last row, bound to the call that made it.

use dunghan_proto::policy::ErrorReason;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tonic::Status;

use crate::{bad_field, bad_field_for};

const DEFAULT_SIZE: usize = 50;
const LARGEST_SIZE: usize = 1000;

/// Rows of a page: 50 unless asked, 1,000 at most.
///
/// Errors: INVALID_ARGUMENT for a negative size.
pub fn page_size(asked: i32) -> Result<usize, Status> {
    match usize::try_from(asked) {
        Err(_) => Err(bad_field("page_size", "must not be negative")),
        Ok(0) => Ok(DEFAULT_SIZE),
        Ok(size) => Ok(size.min(LARGEST_SIZE)),
    }
}

/// One call's place in a list whose rows are ordered by keys of type `K`.
#[derive(Clone, Debug)]
pub struct Page<K> {
    /// Rows wanted.
    pub size: usize,
    /// The key of the last row of the page before.
    pub after: Option<K>,
    filter: String,
}

#[derive(Serialize, Deserialize)]
struct Token<K> {
    filter: String,
    after: K,
}

impl<K: Serialize + for<'de> Deserialize<'de>> Page<K> {
    /// `filter` is whatever else the call asks for, in a fixed order: the next page has to ask for the same.
    ///
    /// Errors: INVALID_ARGUMENT (INVALID_PAGE_TOKEN, or INVALID_FIELD for a negative size).
    pub fn new(size: i32, token: &str, filter: &impl std::fmt::Debug) -> Result<Self, Status> {
        let size = page_size(size)?;
        let filter = hex(&Sha256::digest(format!("{filter:?}"))[..8]);
        if token.is_empty() {
            return Ok(Self { size, after: None, filter });
        }
        let bad = || {
            let why = "was not made by this call, or its other fields have changed";
            bad_field_for(ErrorReason::InvalidPageToken, "page_token", why)
        };
        let bytes = unhex(token).ok_or_else(bad)?;
        let read: Token<K> = serde_json::from_slice(&bytes).map_err(|_| bad())?;
        if read.filter != filter {
            return Err(bad());
        }
        Ok(Self { size, after: Some(read.after), filter })
    }

    /// Cuts `rows`, of which one more than wanted was read, and gives the token for what follows.
    pub fn cut<T>(&self, mut rows: Vec<T>, key: impl FnOnce(&T) -> K) -> (Vec<T>, String) {
        if rows.len() <= self.size {
            return (rows, String::new());
        }
        rows.truncate(self.size);
        let token = rows.last().and_then(|row| {
            let token = Token { filter: self.filter.clone(), after: key(row) };
            serde_json::to_vec(&token).ok()
        });
        (rows, token.map(|bytes| hex(&bytes)).unwrap_or_default())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_serves_the_call_that_made_it_and_no_other() {
        let first = Page::<u32>::new(2, "", &"levels=[3]").unwrap();
        let (rows, token) = first.cut(vec![10, 20, 30], |row| *row);
        assert_eq!(rows, [10, 20]);
        assert_eq!(Page::<u32>::new(2, &token, &"levels=[3]").unwrap().after, Some(20));
        assert!(Page::<u32>::new(2, &token, &"levels=[2]").is_err());
        assert!(Page::<u32>::new(2, "zz", &"levels=[3]").is_err());
        assert_eq!(first.cut(vec![10, 20], |row| *row), (vec![10, 20], String::new()));
    }

    #[test]
    fn a_size_is_50_unless_asked_1000_at_most_and_never_negative() {
        assert_eq!(page_size(0).unwrap(), 50);
        assert_eq!(page_size(7).unwrap(), 7);
        assert_eq!(page_size(100_000).unwrap(), 1000);
        assert!(page_size(-1).is_err());
    }
}

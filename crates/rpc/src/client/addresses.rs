//! Where a service is, as people write it.

use std::fmt;
use std::str::FromStr;

use http::Uri;

/// One or more places at which the same service answers: `http://a:7878,http://b:7878`. A name may stand for several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses(Vec<Address>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// What calls say they are for, whichever machine the name leads to.
    pub(super) origin: Uri,
    pub(super) host: String,
    pub(super) port: u16,
    written: String,
}

/// It does not read as an address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address such as http://127.0.0.1:7878{1}")]
pub struct NotAnAddress(String, &'static str);

impl Addresses {
    /// The address, where there is one only.
    pub fn only(&self) -> Option<&Uri> {
        match &*self.0 {
            [only] => Some(&only.origin),
            _ => None,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Address> {
        self.0.iter()
    }
}

impl FromStr for Addresses {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        text.split(',').map(|one| one.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let hint = match text.split_once("://") {
            Some(("https", _)) => "; TLS is not spoken here, so http:// alone",
            _ => "",
        };
        let bad = || NotAnAddress(text.to_owned(), hint);
        let origin: Uri = text.parse().map_err(|_| bad())?;
        let (host, port) = (origin.host().unwrap_or_default(), origin.port_u16());
        let place = port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let bare = matches!(origin.path(), "" | "/") && origin.query().is_none();
        // No user, no port that is no number.
        let plain = origin.authority().is_some_and(|authority| *authority == place.as_str());
        if origin.scheme_str() != Some("http") || host.is_empty() || !bare || !plain {
            return Err(bad());
        }
        // In brackets where it is an IPv6 address, which no resolver wants.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = port.unwrap_or(80);
        Ok(Self { host, port, written: text.to_owned(), origin })
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written: Vec<_> = self.iter().map(|address| address.written.as_str()).collect();
        f.write_str(&written.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_print_as_they_read() {
        for text in ["http://a:1,http://b:2", "http://[::1]:7878", "http://registry"] {
            assert_eq!(text.parse::<Addresses>().unwrap().to_string(), text);
        }
        let read: Addresses = "http://[::1]:7878/ , http://registry".parse().unwrap();
        let found: Vec<_> = read.iter().map(|one| (one.host.as_str(), one.port)).collect();
        assert_eq!(found, [("::1", 7878), ("registry", 80)]);
    }

    #[test]
    fn what_is_no_address_is_named() {
        for bad in [
            "",
            "a:1",
            "https://a:1",
            "http://",
            "http://a/b",
            "http://a:b",
            "http://x@a",
            "ftp://a",
        ] {
            let refused = format!("http://a:1,{bad}").parse::<Addresses>().unwrap_err();
            assert!(refused.to_string().contains(&format!("{bad:?}")), "{refused}");
            assert_eq!(refused.to_string().contains("TLS"), bad.starts_with("https"), "{refused}");
        }
    }
}

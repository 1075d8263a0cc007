//! Where the services are, as `--address` has it.

use std::collections::BTreeMap;
use std::str::FromStr;

use dunghan_rpc::Addresses;

/// All that a command may call.
const SERVICES: [&str; 4] = ["registry", "submission", "compliance", "aggregation"];

/// One door to everything, or one to each service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServerAddress {
    /// Whatever is called, it is there.
    One(Addresses),
    /// By the service's name, all of them.
    Each(BTreeMap<&'static str, Addresses>),
}

impl FromStr for ServerAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.contains('=') {
            return text.parse().map(Self::One).map_err(|e| format!("{e}"));
        }
        let mut urls: BTreeMap<&'static str, Vec<&str>> = BTreeMap::new();
        for pair in text.split(',') {
            let (name, url) = pair
                .trim()
                .split_once('=')
                .ok_or_else(|| format!("{pair:?} is not SERVICE=URL, as others are"))?;
            let service = SERVICES.into_iter().find(|service| *service == name);
            let service = service.ok_or_else(|| format!("there is no service {name:?}"))?;
            urls.entry(service).or_default().push(url);
        }
        let each = SERVICES.into_iter().map(|service| {
            let urls =
                urls.get(service).ok_or_else(|| format!("it does not say where {service} is"))?;
            Ok((service, urls.join(",").parse::<Addresses>().map_err(|e| e.to_string())?))
        });
        each.collect::<Result<_, String>>().map(Self::Each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ServerAddress, String> {
        text.parse()
    }

    #[test]
    fn one_door_may_have_several_urls_and_so_may_each_of_four() {
        let two = "http://a:1,http://b:2";
        assert_eq!(read(two), Ok(ServerAddress::One(two.parse().unwrap())));
        let each = "registry=http://a:1,submission=http://s,registry=http://b:2,compliance=http://c,aggregation=http://g";
        let Ok(ServerAddress::Each(each)) = read(each) else { panic!("{each} does not read") };
        assert_eq!(each["registry"].to_string(), two);
        assert_eq!(each["aggregation"].to_string(), "http://g");
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said() {
        for (text, why) in [
            ("localhost:7878", "localhost:7878"),
            ("registry=http://a,http://b", "\"http://b\" is not SERVICE=URL"),
            ("registrar=http://a", "there is no service \"registrar\""),
            ("registry=http://a", "where submission is"),
            ("registry=a,submission=http://s,compliance=http://c,aggregation=http://g", "\"a\""),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }
}

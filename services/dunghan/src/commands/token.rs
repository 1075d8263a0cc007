//! `token`: signs what lets a person or a program call the services.

use dunghan_rpc::{Grant, Issuer};

use crate::cli::Token;
use crate::client::{self, Client};
use crate::failure::Failure;
use crate::input::UnitRef;
use crate::output;

pub(super) async fn token(args: Token) -> Result<(), Failure> {
    let config = super::serve::read(&args.config)?;
    let key = config.issuer_key();
    if !key.exists() {
        // A key made here would sign tokens that no server knows.
        return Err(Failure::input(format_args!(
            "there is no key {}: run `dunghan serve` once, or give its --data-dir",
            key.display()
        )));
    }
    let issuer = Issuer::read(&key).map_err(|e| Failure::Failed(e.into()))?;
    let mut grants = Vec::new();
    for text in &args.grants {
        // A unit given by code is asked for at the server, with a token for that alone.
        let client = || {
            let reader = vec!["reader".parse().map_err(Failure::input)?];
            let own = client::sign(&issuer, "cli", reader, chrono::TimeDelta::minutes(5))?;
            Client::new(client::servers(&args.address), &own)
        };
        grants.push(grant(text, client).await?);
    }
    output::write(&client::sign(&issuer, &args.subject, grants, args.lifetime.0)?)
}

/// Reads a grant: ROLE, ROLE@UNIT or ROLE@regimes/REGIME. A client is made where a unit is given by code.
pub(super) async fn grant(
    text: &str,
    client: impl Fn() -> Result<Client, Failure>,
) -> Result<Grant, Failure> {
    if let Ok(grant) = text.parse() {
        return Ok(grant);
    }
    let unreadable =
        || Failure::Input(text.parse::<Grant>().err().iter().map(ToString::to_string).collect());
    let (role, unit) = text.split_once('@').ok_or_else(unreadable)?;
    let unit: UnitRef = unit.parse().map_err(|_| unreadable())?;
    let role: Grant = role.parse().map_err(|_| unreadable())?;
    let name = client()?.unit_name(&unit, None).await?;
    let id = name.parse().map_err(|_| unreadable())?;
    Ok(Grant { over: dunghan_rpc::Over::Subtree(id), ..role })
}

//! What every service needs at the wire.
//!
//! A call passes through [`Guard`], which knows the [`Policies`] of the contract and the [`Issuer`]'s tokens, and
//! reaches its handler with a [`Caller`] that holds only the grants that may make it. The handler parses into domain
//! types ([`field`]), asks the caller whether the unit is theirs, and refuses with a reason ([`refuse`]).

mod caller;
mod error;
pub mod field;
mod guard;
mod page;
mod peer;
mod policy;
mod token;

pub use caller::{Caller, Grant, Over};
pub use error::{
    Reason, bad_field, bad_field_for, field_violations, internal, peer_failed, refuse,
};
pub use guard::{Guard, GuardLayer};
pub use page::{Page, page_size};
pub use peer::{BoxError, Peer, authorized, peer};
pub use policy::{Policies, Policy};
pub use token::{Identity, Issuer, IssuerError, ServiceToken};

//! What every service needs at the wire.
//!
//! A call passes through the layers of `server`: a panic is answered, its deadline is kept, and the [`Guard`], which
//! knows the [`Methods`] of the contract, the [`Issuer`]'s tokens and the [`StoredGrants`] beside these, lets it reach its
//! handler with a [`Caller`] that holds only the grants that may make it. The handler parses into domain types ([`field`]), asks the caller whether
//! the unit is theirs, and refuses with a reason ([`refuse`]).
//!
//! What others keep and show again is signed as a [`Jws`].
//!
//! A service calls another through a [`Peer`]: with its own token ([`authorized`]), within the deadline of the call
//! that it is answering ([`with_deadline`]), and where that other lives elsewhere, over as many connections as it has
//! addresses, again after a failure where that is harmless ([`remote`]).

mod caller;
mod client;
mod contract;
mod deadline;
mod error;
pub mod field;
mod grants;
mod jws;
mod key;
mod page;
mod server;
mod stream;
mod token;

pub use caller::{Caller, Grant, Over};
pub use client::{
    Addresses, BoxError, NotAnAddress, Peer, Resolve, Unreachable, authorized, peer, remote,
    remote_by, with_deadline,
};
pub use contract::{BadContract, Method, Methods, Policy};
pub use deadline::deadline;
pub use error::{
    Reason, bad_field, bad_field_for, field_violations, internal, peer_failed, refuse,
    refuse_fields, unavailable,
};
pub use grants::{StoredGrant, StoredGrants};
pub use jws::{Jws, JwsKey, NoJwk, NotSigned};
pub use key::KeyError;
pub use page::{Page, page_size};
pub use server::{DeadlineLayer, Guard, GuardLayer, PanicLayer};
pub use stream::read_away;
pub use token::{Identity, Issuer, IssuerError, ServiceToken};

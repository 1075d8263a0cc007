//! What happened in other services.
//!
//! Consumers pull: [`pull`] asks the owner for what came after the position reached, and stores the new position in the
//! transaction that applies it, so each event has its effect once. [`Units`] is a process's copy of the hierarchy, which
//! follows the registry's versions of it, and [`Grants`] keeps what its guard adds to tokens up with the registry's.
//! [`list_events`] is how an owner answers.

mod grants;
mod metric;
mod outbox;
mod pull;
mod trace;
mod units;

pub use grants::{Grants, stored_grant};
pub use metric::hierarchy_version;
pub use outbox::{append, append_all, list_events};
pub use pull::{PullError, pull};
pub use trace::deliver;
pub use units::{
    Units, edge_kind, edges, histories, kind, level, pb_edge, pb_edge_kind, pb_history, pb_kind,
    pb_level, validity,
};

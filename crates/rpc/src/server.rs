//! The layers before every service, from the outside in: a panic is answered, a call has a limit, and it is guarded.

mod deadline;
mod guard;
mod panic;
mod verified;

pub use deadline::DeadlineLayer;
pub use guard::{Guard, GuardLayer};
pub use panic::PanicLayer;

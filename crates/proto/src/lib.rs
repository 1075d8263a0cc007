//! The contracts of `proto/` as Rust types, clients and servers. Nothing here is written by hand.
//!
//! Services import their package as `pb`: `use dunghan_proto::submission as pb;`.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated code; its documentation is the contract's"
)]

/// Expands to the generated code of one package; the packages refer to each other by their paths under `dunghan`.
macro_rules! packages {
    ($($name:ident),*) => {
        mod generated {
            pub mod dunghan {
                $(pub mod $name { pub mod v1 {
                    include!(concat!(env!("OUT_DIR"), "/dunghan.", stringify!($name), ".v1.rs"));
                } })*
            }
            pub mod google {
                pub mod r#type {
                    include!(concat!(env!("OUT_DIR"), "/google.r#type.rs"));
                }
            }
        }
        $(pub use generated::dunghan::$name::v1 as $name;)*
    };
}
packages!(aggregation, compliance, events, policy, registry, submission);
pub use generated::google::r#type;

/// Every file of the contract with its comments and options, for reflection and for what reads the policies.
pub const FILES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/dunghan.fds"));

//! What the contract declares of each rpc, read from its descriptors: who may call it, what streams, and whether the same
//! call may be sent twice.

use std::collections::HashMap;
use std::sync::LazyLock;

use dunghan_proto::policy::Role;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, Value};
use prost_types::method_options::IdempotencyLevel;

/// Who may make a call, and over what it is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// A caller needs one of these.
    pub roles: Vec<Role>,
    /// The request field whose unit is checked; empty: none.
    pub scope_field: String,
    /// How that field reads.
    pub scope_pattern: String,
    /// The right to read does not suffice.
    pub writes: bool,
}

impl Policy {
    /// Whether the call concerns the installation as a whole: it names no unit, and is for those alone who run it. A role
    /// over a part of it does not do.
    pub fn is_of_installation(&self) -> bool {
        self.scope_field.is_empty()
            && self.roles.iter().all(|role| matches!(role, Role::Operator | Role::Service))
    }
}

/// What a second call with the same request does.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Idempotency {
    /// It may do something twice.
    None,
    /// Nothing more than the first.
    Always,
    /// Nothing more than the first, where this message gives a request_id.
    ByRequestId(MessageDescriptor),
}

/// One rpc.
#[derive(Clone, Debug)]
pub struct Method {
    /// Who may call it; none: nobody.
    pub policy: Option<Policy>,
    /// More than one message may be sent.
    pub takes_stream: bool,
    /// More than one message may be answered.
    pub answers_stream: bool,
    idempotency: Idempotency,
}

impl Method {
    /// One message there, one message back.
    pub fn is_unary(&self) -> bool {
        !self.takes_stream && !self.answers_stream
    }

    /// Whether a call with this request, an encoded message, may be made again when nobody knows what became of it.
    pub fn may_repeat(&self, request: &[u8]) -> bool {
        match &self.idempotency {
            Idempotency::None => false,
            Idempotency::Always => true,
            Idempotency::ByRequestId(message) => DynamicMessage::decode(message.clone(), request)
                .is_ok_and(|request| !text(&request, "request_id").is_empty()),
        }
    }
}

/// All rpcs, by path: `/dunghan.registry.v1.RegistryService/GetUnit`.
#[derive(Clone, Debug)]
pub struct Methods(HashMap<String, Method>);

/// The descriptors of the contract do not decode.
#[derive(Debug, thiserror::Error)]
#[error("the contract's descriptors do not decode")]
pub struct BadContract(#[from] prost_reflect::DescriptorError);

impl Methods {
    /// Every rpc of the contract.
    pub fn of_contract() -> Result<Self, BadContract> {
        let pool = DescriptorPool::decode(dunghan_proto::FILES)?;
        let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
        Ok(Self(
            methods
                .map(|method| {
                    let path =
                        format!("/{}/{}", method.parent_service().full_name(), method.name());
                    let read = Method {
                        policy: policy(&pool, &method),
                        takes_stream: method.is_client_streaming(),
                        answers_stream: method.is_server_streaming(),
                        idempotency: idempotency(&method),
                    };
                    (path, read)
                })
                .collect(),
        ))
    }

    /// The rpc of a path.
    pub fn get(&self, path: &str) -> Option<&Method> {
        self.0.get(path)
    }
}

/// The rpc of a path, for layers that are made without the contract at hand. Should that not decode, no process gets as
/// far as to use them.
pub(crate) fn method(path: &str) -> Option<&'static Method> {
    static METHODS: LazyLock<Option<Methods>> = LazyLock::new(|| Methods::of_contract().ok());
    METHODS.as_ref()?.get(path)
}

fn idempotency(method: &MethodDescriptor) -> Idempotency {
    let options = method.method_descriptor_proto().options.as_ref();
    match options.map(prost_types::MethodOptions::idempotency_level) {
        Some(IdempotencyLevel::NoSideEffects) => Idempotency::Always,
        Some(IdempotencyLevel::Idempotent)
            if method.input().get_field_by_name("request_id").is_some() =>
        {
            Idempotency::ByRequestId(method.input())
        }
        Some(IdempotencyLevel::Idempotent) => Idempotency::Always,
        _ => Idempotency::None,
    }
}

fn policy(pool: &DescriptorPool, method: &MethodDescriptor) -> Option<Policy> {
    let extension = pool.get_extension_by_name("dunghan.policy.v1.policy")?;
    let options = method.options();
    if !options.has_extension(&extension) {
        return None;
    }
    let value = options.get_extension(&extension).into_owned();
    let Value::Message(policy) = value else { return None };
    Some(Policy {
        roles: roles(&policy),
        scope_field: text(&policy, "scope_field"),
        scope_pattern: text(&policy, "scope_pattern"),
        writes: policy.get_field_by_name("writes").and_then(|v| v.as_bool()).unwrap_or(false),
    })
}

fn roles(policy: &DynamicMessage) -> Vec<Role> {
    let roles = policy.get_field_by_name("roles");
    let numbers =
        roles.iter().filter_map(|v| v.as_list()).flatten().filter_map(Value::as_enum_number);
    numbers.filter_map(|number| Role::try_from(number).ok()).collect()
}

fn text(message: &DynamicMessage, field: &str) -> String {
    message.get_field_by_name(field).and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use dunghan_proto::compliance as pb;
    use prost::Message as _;

    use super::*;

    #[test]
    fn a_call_may_be_repeated_if_it_reads_or_is_harmless_or_carries_a_request_id() {
        let may = |path: &str, request: &[u8]| method(path).unwrap().may_repeat(request);
        assert!(may("/dunghan.registry.v1.RegistryService/GetUnit", b""));
        assert!(may("/dunghan.compliance.v1.ComplianceService/RunSweep", b""));
        assert!(!may("/dunghan.submission.v1.SubmissionService/UpdateReport", b""));
        let create = "/dunghan.compliance.v1.ComplianceService/CreateRegime";
        let mut request = pb::CreateRegimeRequest::default();
        assert!(!may(create, &request.encode_to_vec()));
        request.request_id = "8b0a2f7e-0c6b-4a3f-9a0e-1c1f5f5f0b6d".to_owned();
        assert!(may(create, &request.encode_to_vec()));
        assert!(!may(create, b"\xff"));
    }

    #[test]
    fn what_streams_is_no_unary_call() {
        let unary = |rpc: &str| {
            method(&format!("/dunghan.registry.v1.RegistryService/{rpc}")).unwrap().is_unary()
        };
        assert!(unary("GetUnit") && !unary("ImportUnits") && !unary("StreamUnitHistories"));
    }
}

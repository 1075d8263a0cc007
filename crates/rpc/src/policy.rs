//! The policies that the contract declares, read from its descriptors.

use std::collections::HashMap;

use dunghan_proto::policy::Role;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, Value};

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

/// All policies, by path: `/dunghan.registry.v1.RegistryService/GetUnit`.
#[derive(Clone, Debug)]
pub struct Policies(HashMap<String, Policy>);

/// The descriptors of the contract do not decode.
#[derive(Debug, thiserror::Error)]
#[error("the contract's descriptors do not decode")]
pub struct BadContract(#[from] prost_reflect::DescriptorError);

impl Policies {
    /// The policies of every rpc that declares one. Rpcs that do not are not in it, and so are refused.
    pub fn of_contract() -> Result<Self, BadContract> {
        let pool = DescriptorPool::decode(dunghan_proto::FILES)?;
        let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
        Ok(Self(
            methods
                .filter_map(|method| {
                    let path =
                        format!("/{}/{}", method.parent_service().full_name(), method.name());
                    Some((path, declared(&pool, &method)?))
                })
                .collect(),
        ))
    }

    /// The policy of a path.
    pub fn get(&self, path: &str) -> Option<&Policy> {
        self.0.get(path)
    }
}

fn declared(pool: &DescriptorPool, method: &MethodDescriptor) -> Option<Policy> {
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

fn text(policy: &DynamicMessage, field: &str) -> String {
    policy.get_field_by_name(field).and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

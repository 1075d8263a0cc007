//! The contract as its descriptors tell it, for tests that walk all of it.

use dunghan_proto::FILES;
use dunghan_rpc::{Methods, Policy};
use prost_reflect::{
    DescriptorPool, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value,
};

pub(crate) fn pool() -> DescriptorPool {
    DescriptorPool::decode(FILES).unwrap()
}

pub(crate) fn ours(package: &str) -> bool {
    package.starts_with("dunghan.")
}

/// Every rpc of the suite.
pub(crate) fn methods(pool: &DescriptorPool) -> Vec<MethodDescriptor> {
    let services = pool.services().filter(|service| ours(service.package_name()));
    services.flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
}

/// As HTTP/2 names it.
pub(crate) fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// As the guard reads it; None: the rpc declares none.
pub(crate) fn policy(method: &MethodDescriptor) -> Option<Policy> {
    Methods::of_contract().unwrap().get(&path(method))?.policy.clone()
}

/// The names of a field's behaviours, for example `REQUIRED` (AIP-203).
pub(crate) fn behaviors(field: &FieldDescriptor) -> Vec<String> {
    let pool = field.parent_pool();
    let extension = pool.get_extension_by_name("google.api.field_behavior").unwrap();
    let names = pool.get_enum_by_name("google.api.FieldBehavior").unwrap();
    let Value::List(values) = field.options().get_extension(&extension).into_owned() else {
        return Vec::new();
    };
    let numbers = values.iter().filter_map(Value::as_enum_number);
    numbers.map(|number| names.get_value(number).unwrap().name().to_owned()).collect()
}

pub(crate) fn has_behavior(field: &FieldDescriptor, behavior: &str) -> bool {
    behaviors(field).iter().any(|one| one == behavior)
}

/// The field at a dotted path, for example `report.name`.
pub(crate) fn field_at(message: &MessageDescriptor, path: &str) -> Option<FieldDescriptor> {
    match path.split_once('.') {
        None => message.get_field_by_name(path),
        Some((first, rest)) => match message.get_field_by_name(first)?.kind() {
            Kind::Message(inner) => field_at(&inner, rest),
            _ => None,
        },
    }
}

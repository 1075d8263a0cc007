//! Holds the contract to the house rules that buf cannot check. Each assertion names its AIP, or the house.

use std::collections::BTreeSet;

use prost_reflect::{
    Cardinality, DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor,
    MethodDescriptor,
};
use prost_types::method_options::IdempotencyLevel;

use crate::contract::{behaviors, field_at, has_behavior, methods, ours, policy, pool};

/// What may be sent again without a request_id, and why.
const HARMLESS: [(&str, &str); 15] = [
    ("BatchCreateReorganisations", "one that is recorded under its id is left as it is"),
    ("CommitUnitImport", "what was committed is answered as it is"),
    ("CommitReportImport", "what was committed is answered as it is"),
    ("DetachAttachment", "what was taken off is answered as it is"),
    ("EndContact", "what was ended just so is answered as it is"),
    ("EraseAttachment", "what was erased is answered as it is"),
    ("ImportReports", "reports that are there already, the same, change nothing"),
    ("ImportUnits", "rows that are there already change nothing"),
    ("RecordArrivals", "what was noted before, the same, changes nothing"),
    ("RecordDossiers", "what was recorded is never changed"),
    ("RevokeGrant", "what was revoked is answered as it is"),
    ("RunSweep", "the insert of a notice is its claim"),
    ("UploadAttachment", "the same file under the same request_id is one"),
    ("VoidArrival", "what was declared void is answered as it is"),
    ("WithdrawObligationRequest", "what was taken back is answered as it is"),
];

/// The first words of rpcs that change nothing. Whatever begins otherwise is a write.
const READS: [&str; 15] = [
    "Get",
    "List",
    "BatchGet",
    "Resolve",
    "Stream",
    "Watch",
    "Explain",
    "Summarize",
    "Preview",
    "Export",
    "Rank",
    "Compute",
    "Diff",
    "Verify",
    "Download",
];

/// What is listed without pages, and what keeps it short.
const SHORT: [(&str, &str); 6] = [
    ("ListCalendars", "one for the nation and one for each province"),
    ("ListCalendarDays", "the days off of ten years at most"),
    ("ListOwedObligations", "what one unit owes within a year"),
    ("ListReceiptKeys", "a few in the life of an installation"),
    ("ListRegimeFamilies", "as many as legal documents fix"),
    ("ListReportingRates", "a rate for each of 120 periods at most"),
];

fn is_message(field: &FieldDescriptor, full_name: &str) -> bool {
    matches!(field.kind(), Kind::Message(message) if message.full_name() == full_name)
}

fn is_one(field: &FieldDescriptor, kind: &Kind) -> bool {
    field.kind() == *kind && field.cardinality() != Cardinality::Repeated
}

/// The message has this field, of this kind, once.
fn has(message: &MessageDescriptor, field: &str, kind: &Kind) -> bool {
    message.get_field_by_name(field).is_some_and(|field| is_one(&field, kind))
}

/// The resource that a standard method is about: `Report` of `CreateReport`, which is a message of the package.
fn resource(method: &MethodDescriptor, verb: &str) -> Option<MessageDescriptor> {
    let noun = method.name().strip_prefix(verb)?;
    let name = format!("{}.{noun}", method.parent_service().package_name());
    method.parent_pool().get_message_by_name(&name)
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// The messages of the suite that a request is made of, itself included.
fn parts(message: &MessageDescriptor) -> Vec<MessageDescriptor> {
    let mut found = vec![message.clone()];
    let mut next = 0;
    while let Some(message) = found.get(next).cloned() {
        for field in message.fields() {
            // What only the server fills in is no part of a request.
            if let Kind::Message(part) = field.kind()
                && ours(part.package_name())
                && !has_behavior(&field, "OUTPUT_ONLY")
                && !found.contains(&part)
            {
                found.push(part);
            }
        }
        next += 1;
    }
    found
}

fn messages(pool: &DescriptorPool) -> Vec<MessageDescriptor> {
    pool.all_messages().filter(|message| ours(message.package_name())).collect()
}

fn enums(pool: &DescriptorPool) -> Vec<EnumDescriptor> {
    pool.all_enums().filter(|one| ours(one.package_name())).collect()
}

#[test]
fn every_field_of_a_request_says_whether_it_is_required() {
    for method in methods(&pool()) {
        let request = method.input();
        for field in parts(&request).iter().flat_map(|part| part.fields().collect::<Vec<_>>()) {
            let (name, said) = (field.full_name().to_owned(), behaviors(&field));
            assert!(!said.is_empty(), "AIP-203: {name} has no field_behavior");
            let answers = ["REQUIRED", "OPTIONAL", "OUTPUT_ONLY", "IDENTIFIER"];
            let answered = answers.iter().filter(|one| said.contains(&(**one).to_owned())).count();
            assert_eq!(answered, 1, "AIP-203: {name} is {said:?}");
        }
        for field in request.fields() {
            let name = field.full_name();
            let never = has_behavior(&field, "OUTPUT_ONLY") || has_behavior(&field, "IDENTIFIER");
            assert!(!never, "AIP-203: {name} is no resource's, and so the caller's");
        }
    }
}

#[test]
fn every_list_is_paged() {
    let is_short = |method: &MethodDescriptor| SHORT.iter().any(|(name, _)| *name == method.name());
    let lists = |method: &MethodDescriptor| method.name().starts_with("List") && !is_short(method);
    for method in methods(&pool()).into_iter().filter(lists) {
        let (request, response) = (method.input(), method.output());
        let paged = has(&request, "page_size", &Kind::Int32)
            && has(&request, "page_token", &Kind::String)
            && has(&response, "next_page_token", &Kind::String);
        assert!(paged, "AIP-158: {}", method.full_name());
        let first = response.get_field(1).unwrap();
        assert!(first.is_list(), "AIP-158: {} lists nothing", response.full_name());
    }
}

#[test]
fn the_standard_methods_take_and_answer_with_the_resource() {
    for method in methods(&pool()) {
        let (name, request, response) =
            (method.full_name().to_owned(), method.input(), method.output());
        if let Some(resource) = resource(&method, "Get")
            && resource.get_field_by_name("name").is_some()
        {
            assert_eq!(response, resource, "AIP-131: {name}");
            assert!(has(&request, "name", &Kind::String), "AIP-131: {name}");
        }
        for verb in ["Create", "Update"] {
            if !method.name().starts_with(verb) {
                continue;
            }
            let resource = resource(&method, verb).unwrap_or_else(|| panic!("{name} of nothing"));
            assert_eq!(response, resource, "AIP-133, 134: {name}");
            let field = request.get_field_by_name(&snake(resource.name()));
            let field = field.unwrap_or_else(|| panic!("AIP-133, 134: {name} takes none"));
            assert!(has_behavior(&field, "REQUIRED"), "AIP-133, 134: {name}");
            let id = resource.get_field_by_name("name");
            let id = id.unwrap_or_else(|| panic!("AIP-122: {name} makes what has no name"));
            assert!(has_behavior(&id, "IDENTIFIER"), "AIP-203: {}", id.full_name());
        }
        if method.name().starts_with("Create") || method.name() == "SubmitReport" {
            let safe = has(&request, "request_id", &Kind::String);
            assert!(safe, "AIP-155: {name} cannot be repeated safely");
        }
        if method.name().starts_with("Update") {
            let mask = request.get_field_by_name("update_mask");
            let mask = mask.is_some_and(|mask| is_message(&mask, "google.protobuf.FieldMask"));
            assert!(mask, "AIP-134: {name} has no mask");
            assert!(has(&response, "etag", &Kind::String), "AIP-154: {name} may overwrite unseen");
        }
    }
}

#[test]
fn a_state_is_only_ever_set_by_the_server() {
    for message in messages(&pool()) {
        for field in message.fields() {
            if let Kind::Enum(state) = field.kind()
                && field.name() == "state"
            {
                let name = field.full_name();
                assert!(has_behavior(&field, "OUTPUT_ONLY"), "AIP-216: {name}");
                assert_eq!(state.parent_message(), Some(message.clone()), "AIP-216: {name}");
            }
        }
    }
}

#[test]
fn the_word_status_is_left_to_grpc() {
    let (pool, mut names) = (pool(), BTreeSet::new());
    for message in messages(&pool) {
        names.insert(message.full_name().to_owned());
        names.extend(message.fields().map(|field| field.full_name().to_owned()));
    }
    for one in enums(&pool) {
        names.insert(one.full_name().to_owned());
        names.extend(one.values().map(|value| value.full_name().to_owned()));
    }
    names.extend(methods(&pool).iter().map(|method| method.full_name().to_owned()));
    for name in names {
        assert!(!name.to_lowercase().contains("status"), "AIP-216: {name}");
        let last = name.rsplit('.').next().unwrap();
        assert!(!["type", "data", "info"].contains(&last), "the house: {name} says nothing");
    }
}

#[test]
fn times_and_dates_are_called_so() {
    for message in messages(&pool()) {
        for field in message.fields() {
            let name = field.full_name();
            let is_time = is_message(&field, "google.protobuf.Timestamp");
            // Numbers of what was on time are called so too.
            let called = field.name().ends_with("_time") && field.kind() == Kind::String;
            let ok = if is_time { field.name().ends_with("_time") } else { !called };
            assert!(ok, "AIP-142: {name}");
            let is_date = is_message(&field, "google.type.Date");
            let called = field.name() == "date" || field.name().ends_with("_date");
            assert_eq!(called, is_date, "AIP-142: {name}");
            assert!(!field.name().ends_with("_at"), "AIP-142: {name}");
        }
    }
}

#[test]
fn a_resource_begins_with_its_name() {
    for message in messages(&pool()) {
        for field in message.fields().filter(|field| has_behavior(field, "IDENTIFIER")) {
            let first =
                field.name() == "name" && field.number() == 1 && is_one(&field, &Kind::String);
            assert!(first, "AIP-122: {}", field.full_name());
        }
    }
}

#[test]
fn every_rpc_has_a_policy() {
    for method in methods(&pool()) {
        let name = method.full_name();
        let policy = policy(&method).unwrap_or_else(|| panic!("the house: {name} is for nobody"));
        assert!(!policy.roles.is_empty(), "the house: {name} is for nobody");
        let distinct: BTreeSet<_> = policy.roles.iter().map(|role| *role as i32).collect();
        assert_eq!(distinct.len(), policy.roles.len(), "the house: {name} names a role twice");
        assert!(!distinct.contains(&0), "the house: {name} is for no role that there is");
    }
}

#[test]
fn what_a_policy_checks_is_a_field_that_names_a_unit() {
    for method in methods(&pool()) {
        let (name, policy) = (method.full_name().to_owned(), policy(&method).unwrap());
        let (field, pattern) = (&policy.scope_field, &policy.scope_pattern);
        assert_eq!(field.is_empty(), pattern.is_empty(), "the house: {name}");
        if field.is_empty() {
            continue;
        }
        let found = field_at(&method.input(), field);
        let found = found.unwrap_or_else(|| panic!("the house: {name} has no field {field}"));
        assert!(is_one(&found, &Kind::String), "the house: {name} checks {field}");
        let rest = pattern.strip_prefix("units/{unit}");
        let rest = rest.unwrap_or_else(|| panic!("the house: {name} checks {pattern}"));
        assert!(rest.is_empty() || rest.starts_with('/'), "the house: {name} checks {pattern}");
    }
}

#[test]
fn an_rpc_that_changes_something_says_so() {
    for method in methods(&pool()) {
        let reads = READS.iter().any(|verb| method.name().starts_with(verb));
        let policy = policy(&method).unwrap();
        assert_eq!(policy.writes, !reads, "the house: {}", method.full_name());
    }
}

#[test]
fn an_rpc_that_may_be_sent_again_says_so_and_no_other() {
    for method in methods(&pool()) {
        let options = method.method_descriptor_proto().options.clone().unwrap_or_default();
        let reads = READS.iter().any(|verb| method.name().starts_with(verb));
        let harmless = HARMLESS.iter().any(|(name, _)| *name == method.name());
        let answered_once = has(&method.input(), "request_id", &Kind::String);
        let expected = match (reads, answered_once || harmless) {
            (true, _) => IdempotencyLevel::NoSideEffects,
            (false, true) => IdempotencyLevel::Idempotent,
            (false, false) => IdempotencyLevel::IdempotencyUnknown,
        };
        assert_eq!(options.idempotency_level(), expected, "the house: {}", method.full_name());
    }
}

#[test]
fn every_service_lists_its_reasons() {
    let pool = pool();
    for method in methods(&pool) {
        let package = method.parent_service().package_name().to_owned();
        let reasons = pool.get_enum_by_name(&format!("{package}.ErrorReason"));
        assert!(reasons.is_some(), "AIP-193: {package} has no ErrorReason");
    }
    for one in enums(&pool) {
        let prefix = snake(one.name()).to_uppercase();
        let zero = one.get_value(0).unwrap();
        assert_eq!(zero.name(), format!("{prefix}_UNSPECIFIED"), "AIP-126: {}", one.full_name());
        for value in one.values() {
            let prefixed = value.name().starts_with(&format!("{prefix}_"));
            assert!(prefixed, "AIP-126: {}", value.full_name());
        }
    }
}

//! Every rpc of the contract is guarded, by enumeration: one that is added without a guard fails here.

use chrono::{DateTime, TimeDelta, Utc};
use dunghan_calendar::{Clock as _, SystemClock};
use dunghan_proto::policy::Role;
use dunghan_proto::registry::registry_service_client::RegistryServiceClient;
use dunghan_proto::registry::{Kind, Level, ListUnitsRequest, UnitRow};
use dunghan_proto::r#type::Date;
use dunghan_rpc::{Grant, Identity, Issuer, Over, Peer, Policy};
use dunghan_testkit::{Engine, Mode, Testing, import_row, refusal, start_in};
use prost_reflect::{DynamicMessage, MethodDescriptor, Value};
use tonic::Code;

use crate::contract::{methods, path, policy, pool};
use crate::raw::{call, call_path, filled, refused, set};
use crate::setting::{Setting, everywhere};
use crate::suite;

everywhere!(
    no_rpc_answers_a_caller_without_a_token_that_holds,
    no_rpc_answers_a_role_that_it_does_not_list,
    no_rpc_about_a_unit_answers_a_caller_of_the_unit_next_door,
    a_listed_role_over_the_unit_is_let_through_everywhere,
    what_the_contract_does_not_have_is_refused,
);

const ROLES: [Role; 6] =
    [Role::Reader, Role::Reporter, Role::Supervisor, Role::Importer, Role::Operator, Role::Service];

/// What stands for the parts of a name below the unit; nothing of that name has to exist.
const BELOW: [(&str, &str); 8] = [
    ("{report}", "0198f000-0000-7000-8000-000000000000"),
    ("{report_import}", "0198f000-0000-7000-8000-000000000000"),
    ("{attachment}", "0198f000-0000-7000-8000-000000000000"),
    ("{arrival}", "0198f000-0000-7000-8000-000000000000"),
    ("{obligation}", "none~202605"),
    ("{dossier}", "H24.101-260518-0001"),
    ("{request}", "0198f000-0000-7000-8000-000000000000"),
    ("{contact}", "0198f000-0000-7000-8000-000000000000"),
];

/// Where the role over the unit itself does not do: it has to reach it from above.
const FROM_ABOVE: [&str; 2] = ["CreateDecision", "DecideObligationRequest"];

fn now() -> DateTime<Utc> {
    "2026-05-20T02:00:00Z".parse().unwrap()
}

/// The suite with two provinces of one commune each; and the communes' names.
async fn two_provinces(setting: Setting) -> (Testing, String, String) {
    let testing = start_in(setting.mode, suite(), setting.place().await, now(), &[]).await;
    let mut registry = RegistryServiceClient::new(testing.channel(&["operator"]));
    let row = |code: &str, parent: &str| {
        let (kind, level) = if parent.is_empty() {
            (Kind::Tinh, Level::Province)
        } else {
            (Kind::Xa, Level::Commune)
        };
        UnitRow {
            code: code.to_owned(),
            parent_code: parent.to_owned(),
            display_name: format!("Đơn vị {code}"),
            kind: kind.into(),
            level: level.into(),
            valid_from_date: Some(Date { year: 2025, month: 7, day: 1 }),
            ..UnitRow::default()
        }
    };
    let rows = vec![row("24", ""), row("52", ""), row("09427", "24"), row("21733", "52")];
    let imported = registry
        .import_units(tokio_stream::iter(rows.into_iter().map(import_row)))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((imported.created_count, imported.problems), (4, vec![]));
    let communes = ListUnitsRequest { levels: vec![Level::Commune.into()], ..Default::default() };
    let communes = registry.list_units(communes).await.unwrap().into_inner().units;
    let [own, neighbour] = communes.try_into().unwrap();
    (testing, own.name, neighbour.name)
}

/// All ways there are to the services.
fn peers(testing: &Testing) -> Vec<Peer> {
    [testing.anonymous()].into_iter().chain(testing.in_process()).collect()
}

fn over(role: Role, unit: Option<&str>) -> String {
    let over = unit.map_or(Over::Everything, |unit| Over::Subtree(unit.parse().unwrap()));
    Grant { role, over }.to_string()
}

/// A request that reads, about this unit where the rpc is about one.
fn about(method: &MethodDescriptor, policy: &Policy, unit: &str) -> DynamicMessage {
    let mut request = filled(&method.input());
    if !policy.scope_field.is_empty() {
        let mut name = policy.scope_pattern.replace("units/{unit}", unit);
        for (part, id) in BELOW {
            name = name.replace(part, id);
        }
        assert!(!name.contains('{'), "say in BELOW what stands for the rest of {name}");
        set(&mut request, &policy.scope_field, Value::String(name));
    }
    request
}

async fn no_rpc_answers_a_caller_without_a_token_that_holds(setting: Setting) {
    let (testing, unit, _) = two_provinces(setting).await;
    let issuer = Issuer::ephemeral().unwrap();
    let grants = ["operator", "service"].map(|grant| grant.parse().unwrap()).to_vec();
    let identity = Identity { subject: "tester".to_owned(), grants };
    let forged = issuer.sign(&identity, SystemClock.now(), TimeDelta::hours(1)).unwrap();
    let peers = peers(&testing);
    for method in methods(&pool()) {
        let request = about(&method, &policy(&method).unwrap(), &unit);
        let what = method.full_name();
        for peer in &peers {
            for token in [None, Some("x"), Some(&*forged)] {
                let answer = call(peer, token, &method, &request).await;
                let unauthenticated = (Code::Unauthenticated, "UNAUTHENTICATED".to_owned());
                assert_eq!(refused(answer, what).await, unauthenticated, "{what}");
            }
        }
    }
}

async fn no_rpc_answers_a_role_that_it_does_not_list(setting: Setting) {
    let (testing, unit, _) = two_provinces(setting).await;
    let peer = testing.anonymous();
    for method in methods(&pool()) {
        let policy = policy(&method).unwrap();
        let request = about(&method, &policy, &unit);
        let others = ROLES.into_iter().filter(|role| !policy.roles.contains(role));
        let mut grants: Vec<Vec<String>> = others.map(|role| vec![over(role, None)]).collect();
        grants.push(grants.concat());
        grants.push(Vec::new());
        for grants in grants {
            let grants: Vec<_> = grants.iter().map(String::as_str).collect();
            let token = testing.token(&grants);
            let answer = call(&peer, Some(&token), &method, &request).await;
            let role_missing = (Code::PermissionDenied, "ROLE_MISSING".to_owned());
            let what = format!("{} {grants:?}", method.full_name());
            assert_eq!(refused(answer, &what).await, role_missing, "{what}");
        }
    }
}

async fn no_rpc_about_a_unit_answers_a_caller_of_the_unit_next_door(setting: Setting) {
    let (testing, own, neighbour) = two_provinces(setting).await;
    let (peer, mut checked) = (testing.anonymous(), 0);
    for method in methods(&pool()) {
        let policy = policy(&method).unwrap();
        if policy.scope_field.is_empty() {
            continue;
        }
        let request = about(&method, &policy, &neighbour);
        for role in &policy.roles {
            let grant = over(*role, Some(&own));
            let token = testing.token(&[&grant]);
            let answer = call(&peer, Some(&token), &method, &request).await;
            let out_of_scope = (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned());
            let what = format!("{} {grant}", method.full_name());
            assert_eq!(refused(answer, &what).await, out_of_scope, "{what}");
            checked += 1;
        }
    }
    assert!(checked > 0);
}

async fn a_listed_role_over_the_unit_is_let_through_everywhere(setting: Setting) {
    let (testing, own, _) = two_provinces(setting).await;
    let peer = testing.anonymous();
    for method in methods(&pool()) {
        let policy = policy(&method).unwrap();
        let request = about(&method, &policy, &own);
        for role in &policy.roles {
            let anywhere = policy.scope_field.is_empty() || FROM_ABOVE.contains(&method.name());
            let unit = (!anywhere).then_some(own.as_str());
            let token = testing.token(&[&over(*role, unit)]);
            let answer = call(&peer, Some(&token), &method, &request).await;
            if let Err(status) = answer {
                let denied = [Code::PermissionDenied, Code::Unauthenticated];
                let (code, reason) = refusal(&status);
                let name = method.full_name();
                assert!(!denied.contains(&code), "{name} refuses {role:?}: {reason}");
                assert_ne!(code, Code::Internal, "{name} fails: {status:?}");
            }
        }
    }
}

async fn what_the_contract_does_not_have_is_refused(setting: Setting) {
    let (testing, ..) = two_provinces(setting).await;
    let all: Vec<_> = ROLES.into_iter().map(|role| over(role, None)).collect();
    let all: Vec<_> = all.iter().map(String::as_str).collect();
    let (token, peers) = (testing.token(&all), peers(&testing));
    let known = path(&methods(&pool())[0]);
    for unknown in [
        format!("{known}s"),
        "/dunghan.registry.v1.RegistryService/DeleteUnit".to_owned(),
        "/dunghan.unknown.v1.UnknownService/GetUnit".to_owned(),
    ] {
        for peer in &peers {
            let answer = call_path(peer, Some(&token), &unknown, Vec::new()).await;
            let no_policy = (Code::PermissionDenied, "NO_POLICY".to_owned());
            assert_eq!(refused(answer, &unknown).await, no_policy, "{unknown}");
        }
    }
}

#[tokio::test]
async fn a_process_refuses_by_name_what_another_one_answers() {
    let setting = Setting { mode: Mode::Apart, engine: Engine::Sqlite };
    let (testing, unit, _) = two_provinces(setting).await;
    let elsewhere = testing.channel_to(&testing.url("compliance"), &["operator"]);
    for method in methods(&pool()) {
        let policy = policy(&method).unwrap();
        let here = method.full_name().starts_with("dunghan.compliance.");
        if here || !policy.roles.contains(&Role::Operator) {
            continue;
        }
        let what = method.full_name();
        let answer = call(&elsewhere, None, &method, &about(&method, &policy, &unit)).await;
        let (code, _) = refused(answer, what).await;
        assert_eq!(code, Code::Unimplemented, "{what}");
    }
}

//! Least privilege, proven: all that the operator's roles grant was used by its audited calls, and
//! nothing that it asked for was refused.
//!
//!     searchop-privileges AUDIT_LOG NAMESPACE RELEASE

use std::{
    collections::BTreeSet,
    env,
    fs::File,
    io::{self, BufRead as _, BufReader},
    process::ExitCode,
};

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use searchop_e2e::kubectl::kubectl_ok;
use serde::{Deserialize, de::DeserializeOwned};

/// `verb resource/subresource.group`, as kubectl writes it.
type Calls = BTreeSet<String>;

/// Admission asks for it where it checks owner references, not the operator.
const ASKED_BY_ADMISSION: &str = "update rankingmodels/finalizers.searchop.io";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [log, namespace, release] = &arguments[..] else {
        eprintln!("usage: searchop-privileges AUDIT_LOG NAMESPACE RELEASE");
        return ExitCode::from(2);
    };
    let account = format!("system:serviceaccount:{namespace}:{release}-operator");
    let (used, refused) = match audited(log, &account) {
        Ok(calls) => calls,
        Err(error) => {
            eprintln!("{log}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let granted = granted(namespace, release);
    for call in granted.difference(&used) {
        eprintln!("{account} may {call} and never did");
    }
    for call in &refused {
        eprintln!("{account} may not {call} and tried");
    }
    if granted.difference(&used).next().is_some() || !refused.is_empty() {
        return ExitCode::FAILURE;
    }
    println!(
        "{account} did all {} things that it may, and nothing else",
        granted.len()
    );
    ExitCode::SUCCESS
}

fn granted(namespace: &str, release: &str) -> Calls {
    let operator: ClusterRole = get(&["clusterrole", &format!("{release}-operator")]);
    let lease: Role = get(&["role", &format!("{release}-lease"), "-n", namespace]);
    let rules = [operator.rules, lease.rules]
        .into_iter()
        .flatten()
        .flatten();
    let mut calls: Calls = rules.flat_map(calls).collect();
    calls.remove(ASKED_BY_ADMISSION);
    calls
}

fn get<T: DeserializeOwned>(what: &[&str]) -> T {
    let text = kubectl_ok(&[&["get", "-o", "json"], what].concat());
    serde_json::from_str(&text).expect("kubectl prints what was asked for")
}

fn calls(rule: PolicyRule) -> Vec<String> {
    let mut calls = Vec::new();
    for group in rule.api_groups.into_iter().flatten() {
        for resource in rule.resources.iter().flatten() {
            calls.extend(rule.verbs.iter().map(|verb| call(verb, resource, &group)));
        }
    }
    calls
}

fn call(verb: &str, resource: &str, group: &str) -> String {
    let dot = if group.is_empty() { "" } else { "." };
    format!("{verb} {resource}{dot}{group}")
}

/// A line of the audit log.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    verb: String,
    user: User,
    object_ref: Option<Object>,
    #[serde(default)]
    annotations: Annotations,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    resource: String,
    #[serde(default)]
    subresource: String,
    #[serde(default)]
    api_group: String,
}

#[derive(Default, Deserialize)]
struct Annotations {
    #[serde(default, rename = "authorization.k8s.io/decision")]
    decision: String,
}

/// What the account did, and what it was kept from.
fn audited(log: &str, account: &str) -> io::Result<(Calls, Calls)> {
    let (mut used, mut refused) = (Calls::new(), Calls::new());
    for line in BufReader::new(File::open(log)?).lines() {
        // The server may be in the middle of writing the last line.
        let Ok(event) = serde_json::from_str::<Event>(&line?) else {
            continue;
        };
        let Some(object) = event.object_ref.filter(|_| event.user.username == account) else {
            continue;
        };
        let resource = match object.subresource.as_str() {
            "" => object.resource,
            subresource => format!("{}/{subresource}", object.resource),
        };
        let call = call(&event.verb, &resource, &object.api_group);
        match event.annotations.decision.as_str() {
            "forbid" => refused.insert(call),
            _ => used.insert(call),
        };
    }
    Ok((used, refused))
}

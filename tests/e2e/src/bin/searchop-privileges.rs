//! Least privilege, proven after the scenarios: the operators did all that the chart grants them, and
//! were refused nothing.
//!
//!     searchop-privileges AUDIT_LOG

use std::{
    collections::BTreeSet,
    env,
    fs::File,
    io::{self, BufRead as _, BufReader},
    process::ExitCode,
};

use k8s_openapi::api::rbac::v1::PolicyRule;
use searchop_e2e::chart;
use serde::Deserialize;

/// `verb resource/subresource.group`.
type Calls = BTreeSet<String>;

/// Admission asks for it where it checks owner references, not the operator.
const ASKED_BY_ADMISSION: &str = "update rankingmodels/finalizers.searchop.io";
const CREATED: u16 = 201;

fn main() -> ExitCode {
    let Some(log) = env::args().nth(1) else {
        eprintln!("usage: searchop-privileges AUDIT_LOG");
        return ExitCode::from(2);
    };
    let (used, refused) = match audited(&log) {
        Ok(calls) => calls,
        Err(error) => {
            eprintln!("{log}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let granted = granted();
    let idle = granted.difference(&used).map(|call| ("may", call));
    // Whoever outlives its namespace has lost the rights in it.
    let missing = refused.difference(&used).map(|call| ("may not", call));
    let complaints: Vec<_> = idle.chain(missing).collect();
    for (may, call) in &complaints {
        eprintln!("the operator {may} {call}, and the scenarios show the contrary");
    }
    if !complaints.is_empty() {
        return ExitCode::FAILURE;
    }
    println!(
        "the operators did all {} things that they may, and were refused nothing",
        granted.len()
    );
    ExitCode::SUCCESS
}

/// The operator's own Roles come first in the chart; those for people are ClusterRoles.
fn granted() -> Calls {
    #[derive(Deserialize)]
    struct Object {
        kind: String,
        #[serde(default)]
        rules: Vec<PolicyRule>,
    }
    let rights = chart::rights("default");
    let objects = serde_saphyr::from_multiple::<Object>(&rights).expect("the chart makes objects");
    let roles = objects.into_iter().filter(|object| object.kind == "Role");
    let mut calls: Calls = roles.flat_map(|role| role.rules).flat_map(calls).collect();
    calls.remove(ASKED_BY_ADMISSION);
    calls
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
    impersonated_user: Option<User>,
    object_ref: Option<Object>,
    response_status: Option<Status>,
    #[serde(default)]
    annotations: Annotations,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Object {
    resource: String,
    subresource: String,
    api_group: String,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
}

#[derive(Default, Deserialize)]
struct Annotations {
    #[serde(default, rename = "authorization.k8s.io/decision")]
    decision: String,
}

/// What the operators did, and what they were kept from.
fn audited(log: &str) -> io::Result<(Calls, Calls)> {
    let (mut used, mut refused) = (Calls::new(), Calls::new());
    let account = format!(":{}-operator", chart::RELEASE);
    for line in BufReader::new(File::open(log)?).lines() {
        // The server may be in the middle of writing the last line.
        let Ok(event) = serde_json::from_str::<Event>(&line?) else {
            continue;
        };
        let user = event.impersonated_user.map(|user| user.username);
        let Some(object) = event
            .object_ref
            .filter(|_| user.is_some_and(|user| user.ends_with(&account)))
        else {
            continue;
        };
        let resource = match object.subresource.as_str() {
            "" => object.resource,
            subresource => format!("{}/{subresource}", object.resource),
        };
        let call = |verb| call(verb, &resource, &object.api_group);
        if event.annotations.decision == "forbid" {
            refused.insert(call(&event.verb));
            continue;
        }
        // An apply that creates needs the right to.
        if event.verb == "patch" && event.response_status.is_some_and(|it| it.code == CREATED) {
            used.insert(call("create"));
        }
        used.insert(call(&event.verb));
    }
    Ok((used, refused))
}

use std::{process::Command, sync::Mutex};

use crate::kubectl::kubectl_with_input;

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/searchop");

/// Name of the release, and so of what the chart makes.
pub const RELEASE: &str = "searchop";

/// What the chart makes in a namespace.
///
/// # Errors
/// What Helm says of values that it refuses.
pub fn template(namespace: &str, arguments: &[&str]) -> Result<String, String> {
    let helm = std::env::var("HELM").unwrap_or_else(|_| "helm".to_owned());
    let output = Command::new(&helm)
        .args(["template", RELEASE, CHART, "--namespace", namespace])
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{helm} does not start: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

/// Service account, Role and binding of an operator that watches this one namespace.
pub fn rights(namespace: &str) -> String {
    let watched = format!("watchNamespace={namespace}");
    template(
        namespace,
        &["--show-only", "templates/rbac.yaml", "--set", &watched],
    )
    .expect("the chart has a template of the rights")
}

/// Two at the same time would both want to create the roles of the whole cluster.
static GRANTING: Mutex<()> = Mutex::new(());

/// Grants them, and gives the name of the account.
pub fn grant(namespace: &str) -> String {
    let _one = GRANTING.lock().expect("nobody fails while granting");
    let output = kubectl_with_input(&["apply", "-f", "-"], &rights(namespace));
    assert!(output.success, "{}", output.stderr);
    format!("system:serviceaccount:{namespace}:{RELEASE}-operator")
}

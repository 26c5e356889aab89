use std::{io::Write, process::Stdio};

use std::process::Command;

/// What a kubectl call printed.
pub struct Output {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
}

/// Runs kubectl (the one on PATH, or `KUBECTL`) as a user would.
pub fn kubectl(args: &[&str]) -> Output {
    kubectl_with_input(args, "")
}

/// Runs kubectl with something on its standard input.
pub fn kubectl_with_input(args: &[&str], input: &str) -> Output {
    let program = std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".to_owned());
    let mut child = Command::new(&program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} does not start: {error}"));
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    Output {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs kubectl and fails the scenario where it fails.
pub fn kubectl_ok(args: &[&str]) -> String {
    let output = kubectl(args);
    assert!(
        output.success,
        "kubectl {}: {}",
        args.join(" "),
        output.stderr
    );
    output.stdout
}

/// `kubectl apply` of one manifest.
pub fn apply(namespace: &str, manifest: &serde_json::Value) -> Output {
    kubectl_with_input(
        &["apply", "-n", namespace, "-f", "-"],
        &manifest.to_string(),
    )
}

/// `kubectl apply` that must succeed.
pub fn apply_ok(namespace: &str, manifest: &serde_json::Value) {
    let output = apply(namespace, manifest);
    assert!(output.success, "apply: {}", output.stderr);
}

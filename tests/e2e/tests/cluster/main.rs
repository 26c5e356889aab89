//! Scenarios with real images, nodes, Services, an autoscaler and object storage.

#![allow(
    clippy::unwrap_used,
    reason = "a scenario that cannot go on must fail where it stands"
)]

mod autoscaling;
mod bad_input;
mod canary;
mod damage;
mod quick_start;
mod rollout;
mod s3;
mod soak;

use std::{process::Command, sync::Once, time::Duration};

use searchop_e2e::kubectl::kubectl_with_input;
use serde_json::json;

/// For whatever trains, pulls or rolls out.
pub const MINUTES: Duration = Duration::from_secs(300);

static OPERATOR: Once = Once::new();

/// Installs the chart once a process, as a user would.
pub fn install_operator() {
    OPERATOR.call_once(|| {
        let image = |program: &str| {
            let name = std::env::var(format!("SEARCHOP_{}_IMAGE", program.to_uppercase()))
                .unwrap_or_else(|_| format!("searchop/{program}:dev"));
            let (repository, tag) = name.rsplit_once(':').expect("an image has a tag");
            format!("image.{program}.repository={repository},image.{program}.tag={tag}")
        };
        let restricted = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": "searchop", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
        });
        let made = kubectl_with_input(&["apply", "-f", "-"], &restricted.to_string());
        assert!(made.success, "{}", made.stderr);
        let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/searchop");
        let helm = std::env::var("HELM").unwrap_or_else(|_| "helm".to_owned());
        let output = Command::new(&helm)
            .args([
                "upgrade",
                "--install",
                "searchop",
                chart,
                "--namespace",
                "searchop",
            ])
            .args([
                "--set",
                &image("operator"),
                "--set",
                &image("trainer"),
                "--set",
                &image("ranker"),
            ])
            .args([
                "--set",
                "image.pullPolicy=IfNotPresent",
                "--wait",
                "--timeout",
                "3m",
            ])
            .output()
            .unwrap_or_else(|error| panic!("{helm} does not start: {error}"));
        assert!(
            output.status.success(),
            "helm: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    });
}

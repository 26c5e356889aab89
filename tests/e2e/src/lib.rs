//! What the scenarios share: a namespace of their own, models to apply, the operator as a process
//! behind a proxy that sees its writes, a driver that plays the kubelet, and clients for `/rank`.
//!
//! The scenarios run against any cluster that `KUBECONFIG` names.

#![allow(
    clippy::unwrap_used,
    reason = "a scenario that cannot go on must fail where it stands"
)]

pub mod chart;
pub mod children;
pub mod driver;
pub mod kubectl;
pub mod load;
pub mod models;
pub mod namespace;
pub mod operator;
pub mod pods;
pub mod proxy;
pub mod searchop;
pub mod volumes;
pub mod wait;

use std::sync::Once;

static CRDS: Once = Once::new();

/// Installs the CRDs of this checkout, once a process.
pub fn install_crds() {
    CRDS.call_once(|| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crds");
        kubectl::kubectl_ok(&["apply", "--server-side", "--force-conflicts", "-f", folder]);
        kubectl::kubectl_ok(&[
            "wait",
            "--for=condition=Established",
            "--timeout=30s",
            "crd/rankingmodels.searchop.io",
            "crd/retrainschedules.searchop.io",
        ]);
    });
}

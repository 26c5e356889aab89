use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use searchop_contract::names::{METRICS_PORT, RANK_PORT};

use super::{Owner, ranker_name};

/// The Service in front of the ranker pods.
pub fn service(owner: &Owner) -> Service {
    let port = |name: &str, number: u16| ServicePort {
        name: Some(name.to_owned()),
        port: number.into(),
        target_port: Some(IntOrString::String(name.to_owned())),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    };
    Service {
        metadata: owner.child(ranker_name(&owner.name), "ranker"),
        spec: Some(ServiceSpec {
            selector: Some(owner.ranker_labels()),
            ports: Some(vec![port("rank", RANK_PORT), port("metrics", METRICS_PORT)]),
            type_: Some("ClusterIP".to_owned()),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

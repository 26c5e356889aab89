//! Two replicas: one acts, the other takes over.

use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use searchop_e2e::{
    driver::{Driver, End, report},
    install_crds,
    kubectl::{apply_ok, kubectl_ok},
    models::{await_condition, small_model},
    namespace::TestNamespace,
    operator::Operator,
    wait::eventually,
};

use crate::SOON;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_replica_takes_over_when_the_leader_stops_or_dies() {
    install_crds();
    let namespace = TestNamespace::create("lease").await;
    let _driver = Driver::start(
        &namespace,
        Box::new(|job| End::Report(Box::new(report(job, "v1", 0.7, 0.1)))),
        Box::new(|_| true),
    );
    let first = Operator::start(namespace.client.clone(), &namespace.name, &[]).await;
    let holder = || holder(&namespace.name);
    let leader = eventually("a leader", SOON, || async {
        holder().ok_or_else(|| "nobody".to_owned())
    })
    .await;
    let second = Operator::start(namespace.client.clone(), &namespace.name, &[]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(
        holder(),
        Some(leader.clone()),
        "the second one did not wait"
    );
    assert_eq!(second.proxy.writes(), [], "the standby wrote");
    assert_eq!(first.stop().await, Some(0), "SIGTERM ends it cleanly");
    eventually("the second leads", Duration::from_secs(20), || async {
        match holder() {
            Some(now) if now != leader => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    apply_ok(&namespace.name, &small_model("products"));
    await_condition(&namespace, "products", ("Ready", "True"), SOON).await;
    let leader = holder();
    let third = Operator::start(namespace.client.clone(), &namespace.name, &[]).await;
    second.kill();
    eventually("the third leads", Duration::from_secs(30), || async {
        match holder() {
            now if now.is_some() && now != leader => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    kubectl_ok(&["delete", "service/products-rank", "-n", &namespace.name]);
    eventually("the third acts", SOON, || async {
        let services = namespace.api::<Service>();
        services
            .get("products-rank")
            .await
            .map_err(|error| error.to_string())
    })
    .await;
    assert!(third.running());
    namespace.delete().await;
}

fn holder(namespace: &str) -> Option<String> {
    let text = kubectl_ok(&[
        "get",
        "leases",
        "-n",
        namespace,
        "-o",
        "jsonpath={.items[*].spec.holderIdentity}",
    ]);
    (!text.is_empty()).then_some(text)
}

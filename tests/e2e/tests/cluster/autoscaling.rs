//! The autoscaler adds pods under load and takes them away again; the operator leaves it alone.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use searchop_e2e::{
    kubectl::apply_ok,
    load::{Asks, Load},
    models::{await_condition, merged, small_model},
    namespace::TestNamespace,
    pods, volumes,
    wait::eventually,
};
use serde_json::json;

use crate::{MINUTES, install_operator};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn load_scales_a_ranker_up_and_rest_scales_it_down() {
    install_operator();
    let namespace = TestNamespace::create("scaling").await;
    volumes::claim(&namespace, "models");
    let autoscaling = json!({
        "mode": "HPA", "minReplicas": 1, "maxReplicas": 3,
        "targetCPUUtilizationPercentage": 50, "scaleDownStabilizationSeconds": 15
    });
    let limits = json!({"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "256Mi"}});
    let serving = json!({"autoscaling": autoscaling, "replicas": 1, "resources": limits});
    apply_ok(
        &namespace.name,
        &merged(
            small_model("products"),
            &json!({"spec": {"serving": serving}}),
        ),
    );
    await_condition(&namespace, "products", ("Ready", "True"), MINUTES).await;
    replicas(
        &namespace,
        "one pod at first",
        |n| n == 1,
        Duration::from_secs(10),
    )
    .await;
    pods::start_load(
        &namespace,
        "load",
        "products-rank",
        Load {
            clients: 4,
            pause: Duration::from_millis(0),
            length: Duration::from_secs(75),
            versions: 1,
            asks: Asks::Fields,
        },
    )
    .await;
    replicas(&namespace, "more pods under load", |n| n >= 2, MINUTES).await;
    let seen = pods::seen(&namespace, "load", MINUTES).await;
    println!(
        "while scaling: {} answers, failures {:?}",
        seen.answered, seen.failures
    );
    replicas(&namespace, "one pod at rest", |n| n == 1, MINUTES).await;
    namespace.delete().await;
}

async fn replicas(
    namespace: &TestNamespace,
    what: &str,
    wanted: impl Fn(i32) -> bool,
    limit: Duration,
) {
    let deployments = namespace.api::<Deployment>();
    eventually(what, limit, || async {
        let deployment = deployments
            .get("products-rank")
            .await
            .map_err(|error| error.to_string())?;
        let ready = deployment
            .status
            .and_then(|status| status.ready_replicas)
            .unwrap_or(0);
        let asked = deployment.spec.and_then(|spec| spec.replicas).unwrap_or(1);
        if wanted(ready) && wanted(asked) {
            Ok(())
        } else {
            Err(format!("{ready} of {asked}"))
        }
    })
    .await;
}

//! What the operator makes for a model: it comes back when deleted, is left alone when foreign, and
//! goes when the model goes.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::{
    apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler, batch::v1::Job,
    core::v1::Service, policy::v1::PodDisruptionBudget,
};
use kube::{
    Api, ResourceExt,
    api::DeleteParams,
    runtime::{WatchStreamExt, watcher},
};
use searchop_e2e::{
    children::{all_gone, managed},
    kubectl::{apply_ok, kubectl_ok},
    models::{await_condition, condition, get, merged, small_model},
    wait::eventually,
};
use serde_json::json;

use crate::{SOON, Scene};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_children_come_back_and_a_deleted_model_leaves_nothing() {
    let scene = Scene::winning("children").await;
    let namespace = &scene.namespace;
    let manifest = merged(
        small_model("products"),
        &json!({"spec": {"serving": {"autoscaling": {"mode": "HPA", "minReplicas": 1, "maxReplicas": 3}}}}),
    );
    apply_ok(&namespace.name, &manifest);
    await_condition(namespace, "products", ("Ready", "True"), SOON).await;
    kubectl_ok(&[
        "scale",
        "deployment/products-rank",
        "--replicas=3",
        "-n",
        &namespace.name,
    ]);
    // Nobody can bring back a size that was never seen.
    eventually("the operator has seen the size", SOON, || async {
        let status = get(namespace, "products").await.status;
        match status.and_then(|status| status.replicas) {
            Some(3) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    comes_back::<Deployment>(&scene).await;
    replicas_become(&namespace.api(), 3).await;
    comes_back::<Service>(&scene).await;
    comes_back::<HorizontalPodAutoscaler>(&scene).await;
    comes_back::<PodDisruptionBudget>(&scene).await;
    // What follows from the pods' coming back is written within a moment.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = scene.operator.proxy.writes().len();
    namespace
        .api::<Job>()
        .delete("products-train-v1", &DeleteParams::background())
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(scene.trainings(), 1, "an ended run was trained again");
    let writes = scene.operator.proxy.writes();
    assert_eq!(&writes[before..], [], "a finished Job's end caused writes");
    await_condition(namespace, "products", ("Ready", "True"), SOON).await;
    kubectl_ok(&["delete", "rankingmodel/products", "-n", &namespace.name]);
    all_gone(namespace, SOON).await;
    scene.namespace.delete().await;
}

async fn comes_back<K>(scene: &Scene)
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
    K::DynamicType: Default,
{
    let api: Api<K> = scene.namespace.api();
    let before = api
        .list(&managed())
        .await
        .unwrap()
        .items
        .pop()
        .expect("the child is there");
    api.delete(&before.name_any(), &DeleteParams::foreground())
        .await
        .unwrap();
    eventually(
        &format!("{} comes back", before.name_any()),
        SOON,
        || async {
            let found = api
                .get_opt(&before.name_any())
                .await
                .map_err(|error| error.to_string())?;
            match found {
                Some(child)
                    if child.uid() != before.uid() && child.meta().deletion_timestamp.is_none() =>
                {
                    Ok(())
                }
                _ => Err("not yet".to_owned()),
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_object_of_the_same_name_is_never_overwritten() {
    let scene = Scene::winning("foreign").await;
    let namespace = &scene.namespace;
    apply_ok(
        &namespace.name,
        &json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "products-rank"},
            "spec": {"ports": [{"port": 1234}], "selector": {"app": "someone-else"}}
        }),
    );
    apply_ok(&namespace.name, &small_model("products"));
    eventually("the conflict is told", SOON, || async {
        let reasons = kubectl_ok(&[
            "get",
            "events",
            "-n",
            &namespace.name,
            "-o",
            "jsonpath={.items[*].reason}",
        ]);
        if reasons.contains("NameConflict") {
            Ok(())
        } else {
            Err(reasons)
        }
    })
    .await;
    let service = namespace
        .api::<Service>()
        .get("products-rank")
        .await
        .unwrap();
    assert_eq!(
        service.spec.unwrap().selector.unwrap()["app"],
        "someone-else"
    );
    kubectl_ok(&["delete", "service/products-rank", "-n", &namespace.name]);
    await_condition(namespace, "products", ("Ready", "True"), SOON).await;
    scene.namespace.delete().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_2_modes_of_scaling_never_pass_through_one_and_leave_replicas_alone() {
    let scene = Scene::winning("scaling").await;
    let namespace = &scene.namespace;
    let mode = |mode: &str, replicas: i32| {
        let autoscaling = json!({"mode": mode, "minReplicas": 3, "maxReplicas": 5});
        merged(
            small_model("products"),
            &json!({"spec": {"serving": {"autoscaling": autoscaling, "replicas": replicas}}}),
        )
    };
    apply_ok(&namespace.name, &mode("HPA", 4));
    await_condition(namespace, "products", ("Ready", "True"), SOON).await;
    let deployments: Api<Deployment> = namespace.api();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let watching = {
        let (seen, deployments) = (seen.clone(), deployments.clone());
        tokio::spawn(async move {
            let mut stream = watcher(deployments, watcher::Config::default())
                .applied_objects()
                .boxed();
            while let Ok(Some(deployment)) = stream.try_next().await {
                seen.lock()
                    .unwrap()
                    .push(deployment.spec.unwrap().replicas.unwrap_or(1));
            }
        })
    };
    replicas_become(&deployments, 3).await;
    apply_ok(&namespace.name, &mode("Fixed", 4));
    replicas_become(&deployments, 4).await;
    apply_ok(&namespace.name, &mode("HPA", 4));
    eventually("the HPA is back", SOON, || async {
        namespace
            .api::<HorizontalPodAutoscaler>()
            .get("products-rank")
            .await
            .map_err(|error| error.to_string())
    })
    .await;
    kubectl_ok(&[
        "scale",
        "deployment/products-rank",
        "--replicas=5",
        "-n",
        &namespace.name,
    ]);
    apply_ok(
        &namespace.name,
        &merged(
            mode("HPA", 4),
            &json!({"spec": {"serving": {"maxCandidates": 500}}}),
        ),
    );
    await_condition(namespace, "products", ("Ready", "True"), SOON).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    replicas_become(&deployments, 5).await;
    watching.abort();
    let seen = seen.lock().unwrap().clone();
    assert!(
        seen.iter().all(|&replicas| replicas >= 3),
        "passed through {seen:?}"
    );
    assert_eq!(
        condition(&get(namespace, "products").await, "Ready")
            .unwrap()
            .0,
        "True"
    );
    scene.namespace.delete().await;
}

async fn replicas_become(deployments: &Api<Deployment>, wanted: i32) {
    eventually(&format!("{wanted} replicas"), SOON, || async {
        let deployment = deployments
            .get("products-rank")
            .await
            .map_err(|error| error.to_string())?;
        let replicas = deployment.spec.and_then(|spec| spec.replicas);
        if replicas == Some(wanted) {
            Ok(())
        } else {
            Err(format!("{replicas:?}"))
        }
    })
    .await;
}

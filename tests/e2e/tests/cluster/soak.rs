//! `make soak`: rollouts, aborts, rollbacks, changes of size, deleted and evicted pods, one after the
//! other for as long as two clients ask, one on a kept connection and one on a fresh one each time.
//! No request may fail, and each answer names a version that was promoted.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api,
    api::{DeleteParams, EvictParams, ListParams},
};
use searchop_api::{Outcome, RankingModelStatus};
use searchop_e2e::{
    kubectl::{apply_ok, kubectl_ok},
    load::{Asks, Load},
    models::{await_condition, await_outcome, get, small_model},
    namespace::TestNamespace,
    pods, volumes,
    wait::eventually,
};
use serde_json::{Value, json};

use crate::{MINUTES, install_operator};

const LENGTH: Duration = Duration::from_secs(600);
const EVENTS: usize = 20;
const REQUESTS: u64 = 100_000;

/// The model under load.
struct Soak {
    namespace: TestNamespace,
    /// Of the newest run.
    version: i32,
    /// What serves, by the settings that it was trained with.
    leaves: i32,
    events: usize,
    /// Digests that may answer.
    known: BTreeSet<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes ten minutes: make soak"]
async fn soak_no_request_fails_whatever_happens_to_versions_and_pods() {
    install_operator();
    let namespace = TestNamespace::create("soak").await;
    volumes::claim(&namespace, "models");
    apply_ok(&namespace.name, &small_model("products"));
    await_condition(&namespace, "products", ("Ready", "True"), MINUTES).await;
    let load = Load {
        clients: 1,
        pause: Duration::from_millis(2),
        length: LENGTH,
        versions: 1,
        asks: Asks::Ids,
    };
    pods::start_load(&namespace, "load", "products-rank", load).await;
    let mut soak = Soak {
        namespace,
        version: 1,
        leaves: 7,
        events: 0,
        known: BTreeSet::new(),
    };
    soak.settled(1).await;
    let mut round = 0;
    while soak.events < EVENTS || soak.loaded().await {
        soak.round(round).await;
        round += 1;
    }
    let seen = pods::seen(&soak.namespace, "load", MINUTES).await;
    println!("{seen:?}");
    let failed: u64 = seen.failures.values().sum();
    println!("figure soak.events {} events", soak.events);
    println!("figure soak.requests {} requests", seen.answered + failed);
    println!("figure soak.failed {failed} requests");
    assert!(seen.failures.is_empty(), "{seen:?}");
    assert!(seen.answered >= REQUESTS, "{} answers", seen.answered);
    for digest in seen.digests.keys() {
        assert!(
            soak.known.contains(digest),
            "{digest} answered: {:?}",
            soak.known
        );
    }
    soak.namespace.delete().await;
}

impl Soak {
    /// Eight events.
    async fn round(&mut self, round: i32) {
        self.scale(3).await;
        self.delete_a_pod().await;
        self.evict_a_pod().await;
        self.scale(1).await;
        self.roll_out([15, 31, 7][round as usize % 3]).await;
        self.abort(40 + round).await;
        let before = self
            .status()
            .await
            .previous
            .expect("a version before")
            .version;
        self.pin(Some(before)).await;
        self.pin(None).await;
    }

    async fn roll_out(&mut self, leaves: i32) {
        self.edit(
            leaves,
            &json!({"steps": [{"weight": 50, "holdSeconds": 5}], "analysis": {"minRequests": 100, "maxP99IncreasePercent": 1000}}),
        );
        self.version += 1;
        let (outcome, status) = self.outcome().await;
        assert_eq!(outcome, Outcome::Promoted, "{:?}", status.run);
        self.leaves = leaves;
        self.event("rollout", 1).await;
    }

    async fn abort(&mut self, leaves: i32) {
        self.edit(
            leaves,
            &json!({"steps": [{"weight": 50, "holdSeconds": 3600}]}),
        );
        self.version += 1;
        eventually("the canary is at its step", MINUTES, || async {
            let run = self.status().await.run;
            let canary = run.as_ref().and_then(|run| run.canary.as_ref());
            let at_step = canary.is_some_and(|canary| canary.start_time.is_some());
            at_step.then_some(()).ok_or_else(|| format!("{run:?}"))
        })
        .await;
        // It answers half of the users until it is aborted.
        let run = self.status().await.run;
        let candidate = run.and_then(|run| run.candidate);
        self.known
            .extend(candidate.map(|candidate| candidate.digest));
        let version = format!("v{}", self.version);
        self.patch(&json!({"rollout": {"abortedVersion": version}}));
        let (outcome, status) = self.outcome().await;
        assert_eq!(outcome, Outcome::Failed, "{:?}", status.run);
        self.edit(self.leaves, &json!({"abortedVersion": null}));
        self.event("abort", 1).await;
    }

    async fn pin(&mut self, version: Option<i32>) {
        let name = version.map(|version| format!("v{version}"));
        self.patch(&json!({"rollout": {"pinnedVersion": name}}));
        eventually("the pin is followed", MINUTES, || async {
            let status = self.status().await;
            let serves = status.served.as_ref().map(|served| served.version);
            let newest = status
                .history
                .iter()
                .filter(|one| one.outcome == Outcome::Promoted);
            let wanted = version.or_else(|| newest.map(|one| one.version).max());
            (serves == wanted)
                .then_some(())
                .ok_or_else(|| format!("{serves:?}, not {wanted:?}"))
        })
        .await;
        self.event(
            if version.is_some() {
                "rollback"
            } else {
                "roll forth"
            },
            1,
        )
        .await;
    }

    async fn scale(&mut self, replicas: i32) {
        let count = format!("--replicas={replicas}");
        let namespace = &*self.namespace.name;
        kubectl_ok(&["scale", "rankingmodel/products", "-n", namespace, &count]);
        self.event("scale", replicas).await;
    }

    async fn delete_a_pod(&mut self) {
        let pod = self.a_pod().await;
        let pods: Api<Pod> = self.namespace.api();
        pods.delete(&pod, &DeleteParams::default()).await.unwrap();
        self.event("deletion", 3).await;
    }

    /// The budget may refuse for as long as the pod before is not made up for.
    async fn evict_a_pod(&mut self) {
        let pod = self.a_pod().await;
        let pods: Api<Pod> = self.namespace.api();
        eventually("a pod is evicted", MINUTES, || async {
            let evicted = pods.evict(&pod, &EvictParams::default()).await;
            evicted.map(|_| ()).map_err(|error| error.to_string())
        })
        .await;
        self.event("eviction", 3).await;
    }

    async fn a_pod(&self) -> String {
        let pods: Api<Pod> = self.namespace.api();
        let rankers = ListParams::default().labels("app.kubernetes.io/component=ranker");
        let found = pods.list(&rankers).await.unwrap().items;
        let alive = found
            .into_iter()
            .find(|pod| pod.metadata.deletion_timestamp.is_none());
        alive
            .and_then(|pod| pod.metadata.name)
            .expect("a ranker pod")
    }

    /// Counts what happened once all is at rest again.
    async fn event(&mut self, what: &str, replicas: i32) {
        self.settled(replicas).await;
        self.events += 1;
        println!("{} {what}", self.events);
    }

    async fn settled(&mut self, replicas: i32) {
        let deployments: Api<Deployment> = self.namespace.api();
        eventually("the pods are at rest", MINUTES, || async {
            let deployment = deployments.get("products-rank").await;
            let deployment = deployment.map_err(|error| error.to_string())?;
            let status = deployment.status.unwrap_or_default();
            let seen = status.observed_generation == deployment.metadata.generation;
            let counts = [
                status.replicas,
                status.ready_replicas,
                status.updated_replicas,
            ];
            (seen && counts == [Some(replicas); 3])
                .then_some(())
                .ok_or_else(|| format!("{counts:?}, not {replicas}"))
        })
        .await;
        let name = "products";
        let model = await_condition(&self.namespace, name, ("Ready", "True"), MINUTES).await;
        let served = model.status.and_then(|status| status.served);
        self.known.extend(served.map(|served| served.digest));
    }

    async fn outcome(&self) -> (Outcome, RankingModelStatus) {
        await_outcome(&self.namespace, "products", self.version, MINUTES).await
    }

    async fn status(&self) -> RankingModelStatus {
        get(&self.namespace, "products")
            .await
            .status
            .unwrap_or_default()
    }

    /// Whether the clients still ask.
    async fn loaded(&self) -> bool {
        let pods: Api<Pod> = self.namespace.api();
        let status = pods.get("load").await.unwrap().status;
        status.and_then(|status| status.phase).as_deref() == Some("Running")
    }

    fn edit(&self, leaves: i32, rollout: &Value) {
        let mut rollout = rollout.clone();
        rollout["strategy"] = "Canary".into();
        self.patch(&json!({"training": {"parameters": {"numLeaves": leaves}}, "rollout": rollout}));
    }

    fn patch(&self, spec: &Value) {
        let patch = json!({"spec": spec}).to_string();
        let namespace = &*self.namespace.name;
        kubectl_ok(&[
            "patch",
            "rankingmodel/products",
            "-n",
            namespace,
            "--type=merge",
            "-p",
            &patch,
        ]);
    }
}

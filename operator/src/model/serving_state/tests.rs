use searchop_contract::Digest;
use serde_json::{Value, json};

use super::*;

struct Fixture {
    owner: Owner,
    spec: RankingModelSpec,
    images: Images,
    served: ServedDigests,
}

impl Fixture {
    fn new() -> Self {
        let owner = Owner {
            name: "products".into(),
            namespace: "shop".into(),
            uid: "u".into(),
        };
        let spec = json!({"data": {"synthetic": {}}, "artifacts": {"uri": "pvc://models/a"}});
        let images = Images {
            trainer: "t:1".into(),
            ranker: "r:1".into(),
            pull_policy: None,
        };
        let served = ServedDigests {
            version: 3,
            digest: Digest::of(b"model"),
            tables_digest: Digest::of(b"tables"),
            candidate: None,
        };
        Self {
            owner,
            spec: serde_json::from_value(spec).unwrap(),
            images,
            served,
        }
    }

    fn deployment(&self, status: Value) -> Deployment {
        let mut deployment = build::deployment(&self.owner, &self.spec, &self.images, &self.served);
        deployment.metadata.generation = Some(2);
        deployment.spec.as_mut().unwrap().replicas = Some(2);
        deployment.status = serde_json::from_value(status).unwrap();
        deployment
    }

    /// A pod of the newest template in this state, restarted twice.
    fn pod(&self, state: Value, last_state: Value) -> Pod {
        let template = self.deployment(Value::Null).spec.unwrap().template;
        serde_json::from_value(json!({
            "metadata": {"annotations": template.metadata.unwrap().annotations},
            "status": {"containerStatuses": [{
                "name": "ranker", "image": "r", "imageID": "", "ready": false, "restartCount": 2,
                "state": state, "lastState": last_state
            }]}
        }))
        .unwrap()
    }

    fn observed(&self, deployment: &Deployment, pods: &[Pod]) -> ObservedServing {
        let wanted = Wanted {
            owner: &self.owner,
            spec: &self.spec,
            images: &self.images,
        };
        observed(Some(deployment), pods, &wanted)
    }
}

fn counts(generation: i64, replicas: i32, updated: i32, available: i32) -> Value {
    json!({
        "observedGeneration": generation, "replicas": replicas, "updatedReplicas": updated,
        "readyReplicas": available, "availableReplicas": available
    })
}

fn held_back() -> Value {
    json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s"}})
}

fn ended(code: i32, reason: &str, words: &str) -> Value {
    json!({"terminated": {"exitCode": code, "reason": reason, "message": words}})
}

fn rolling() -> Value {
    json!({
        "observedGeneration": 2, "replicas": 3, "updatedReplicas": 1, "readyReplicas": 2, "availableReplicas": 2,
        "conditions": [{"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}]
    })
}

fn stuck() -> Value {
    json!({
        "observedGeneration": 2, "replicas": 3, "updatedReplicas": 1, "readyReplicas": 2, "availableReplicas": 2,
        "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]
    })
}

#[test]
fn settled_only_when_every_pod_is_new_and_available() {
    let fixture = Fixture::new();
    let table = [
        (counts(2, 2, 2, 2), true),
        (counts(1, 2, 2, 2), false),
        (counts(2, 3, 2, 2), false),
        (counts(2, 2, 1, 2), false),
        (counts(2, 2, 2, 1), false),
        (json!({}), false),
    ];
    for (status, settled) in table {
        let seen = fixture.observed(&fixture.deployment(status.clone()), &[]);
        assert_eq!(seen.settled, settled, "{status}");
        assert_eq!(seen.stuck, None);
        assert_eq!(
            seen.target,
            Some((Digest::of(b"model"), Digest::of(b"tables")))
        );
    }
}

#[test]
fn an_edit_that_changes_the_template_is_not_settled_until_it_is_applied() {
    let mut fixture = Fixture::new();
    let before = fixture.deployment(counts(2, 2, 2, 2));
    fixture.spec.serving.autoscaling.max_replicas = 99;
    assert!(
        fixture.observed(&before, &[]).settled,
        "the number of pods is not in the template"
    );
    fixture.spec.serving.max_candidates = 7;
    assert!(!fixture.observed(&before, &[]).settled);
    assert!(
        fixture
            .observed(&fixture.deployment(counts(2, 2, 2, 2)), &[])
            .settled
    );
}

#[test]
fn a_new_image_comes_with_the_next_version_or_where_nothing_answers() {
    let mut fixture = Fixture::new();
    let answering = fixture.deployment(counts(2, 2, 2, 2));
    let dead = fixture.deployment(counts(2, 2, 2, 0));
    fixture.images.ranker = "r:2".into();
    let image =
        |deployment, served: &ServedDigests| images(&fixture.images, deployment, served).ranker;
    let next = ServedDigests {
        version: 4,
        ..fixture.served.clone()
    };
    assert_eq!(image(Some(&answering), &fixture.served), "r:1");
    assert_eq!(image(Some(&answering), &next), "r:2");
    assert_eq!(image(Some(&dead), &fixture.served), "r:2");
    assert_eq!(image(None, &fixture.served), "r:2");
    assert!(fixture.observed(&answering, &[]).settled);
}

#[test]
fn a_stuck_rollout_repeats_what_the_new_pod_said() {
    let fixture = Fixture::new();
    let older = Fixture {
        served: ServedDigests {
            version: 2,
            ..fixture.served.clone()
        },
        ..Fixture::new()
    };
    let pods = [
        older.pod(held_back(), ended(1, "Error", "no matter")),
        fixture.pod(
            held_back(),
            ended(1, "Error", "model.bst has other bytes\n"),
        ),
    ];
    let seen = fixture.observed(&fixture.deployment(stuck()), &pods);
    assert_eq!(
        seen.stuck.as_deref(),
        Some("Error: model.bst has other bytes")
    );
    assert_eq!((seen.ready_pods, seen.pods), (2, 3));
    let silent = fixture.observed(&fixture.deployment(stuck()), &[]);
    assert_eq!(
        silent.stuck.as_deref(),
        Some("no pod of the new version got ready within its deadline")
    );
    let mut older = stuck();
    older["observedGeneration"] = json!(1);
    assert_eq!(
        fixture.observed(&fixture.deployment(older), &[]).stuck,
        None
    );
}

#[test]
fn before_the_deadline_only_a_ranker_that_ends_by_itself_is_stuck() {
    let fixture = Fixture::new();
    let running = || json!({"running": {"startedAt": "2026-03-01T10:00:00Z"}});
    let refused = || ended(5, "Error", "model.bst has other bytes");
    let words = Some("Error: model.bst has other bytes");
    let table = [
        (held_back(), refused(), words),
        (refused(), json!({}), words),
        (
            held_back(),
            ended(137, "OOMKilled", ""),
            Some("OOMKilled: exit code 137"),
        ),
        // Started over: it may get through.
        (running(), refused(), None),
        (running(), json!({}), None),
        (
            json!({"waiting": {"reason": "ContainerCreating"}}),
            json!({}),
            None,
        ),
        (
            json!({"waiting": {"reason": "ImagePullBackOff"}}),
            json!({}),
            None,
        ),
        // Slower than the startup probe allows, or drained: somebody else ended it.
        (held_back(), ended(137, "Error", "loading"), None),
        (held_back(), ended(143, "Error", "loading"), None),
        (held_back(), ended(0, "Completed", "loading"), None),
    ];
    for (state, last_state, expected) in table {
        let pod = fixture.pod(state.clone(), last_state.clone());
        let seen = fixture.observed(&fixture.deployment(rolling()), &[pod]);
        assert_eq!(seen.stuck.as_deref(), expected, "{state} {last_state}");
    }
}

#[test]
fn a_pod_that_fails_is_no_stuck_rollout_where_it_is_not_one_of_the_newest_template() {
    let mut fixture = Fixture::new();
    let crashed = fixture.pod(held_back(), ended(1, "Error", "no matter"));
    let crashes = std::slice::from_ref(&crashed);
    let mut complete = rolling();
    complete["conditions"][0]["reason"] = json!("NewReplicaSetAvailable");
    let complete = fixture.deployment(complete);
    assert_eq!(fixture.observed(&complete, crashes).stuck, None);
    let mut first_end = crashed.clone();
    first_end
        .status
        .as_mut()
        .unwrap()
        .container_statuses
        .as_mut()
        .unwrap()[0] = serde_json::from_value(json!({
        "name": "ranker", "image": "r", "imageID": "", "ready": false, "restartCount": 0,
        "state": ended(1, "Error", "once")
    }))
    .unwrap();
    let rolls = fixture.deployment(rolling());
    assert_eq!(fixture.observed(&rolls, &[first_end]).stuck, None);
    let mut leaving = crashed.clone();
    leaving.metadata.deletion_timestamp =
        serde_json::from_value(json!("2026-03-01T10:00:00Z")).unwrap();
    assert_eq!(fixture.observed(&rolls, &[leaving]).stuck, None);
    // More memory for the same version: the template that is stuck is no longer the wanted one, and
    // its pods are not those of the next.
    let late = fixture.deployment(stuck());
    fixture.spec.serving.resources =
        serde_json::from_value(json!({"limits": {"memory": "1Gi"}})).unwrap();
    assert_eq!(fixture.observed(&late, crashes).stuck, None);
    let next = fixture.deployment(rolling());
    assert_eq!(fixture.observed(&next, crashes).stuck, None);
}

#[test]
fn a_deployment_that_comes_back_has_the_size_that_was_asked_of_it() {
    use AutoscalingMode::{External, Fixed, HPA};
    let deployment = |scaled: bool, leaving: bool| -> Deployment {
        let fields = if scaled {
            json!({"f:replicas": {}})
        } else {
            json!({"f:template": {}})
        };
        serde_json::from_value(json!({
            "metadata": {
                "deletionTimestamp": leaving.then_some("2026-03-01T10:00:00Z"),
                "managedFields": [{"manager": "m", "operation": "Apply", "fieldsV1": {"f:spec": fields}}]
            },
            "spec": {"replicas": 3, "selector": {}, "template": {}},
            "status": {"replicas": 1}
        }))
        .unwrap()
    };
    let table = [
        ("gone", None, [2, 2, 2]),
        ("there", Some(deployment(true, false)), [1, 1, 1]),
        ("going", Some(deployment(true, true)), [3, 3, 3]),
        (
            "applied again, not yet scaled",
            Some(deployment(false, false)),
            [2, 2, 1],
        ),
        (
            "going, never scaled",
            Some(deployment(false, true)),
            [2, 2, 2],
        ),
    ];
    for (what, deployment, expected) in table {
        let found = [HPA, External, Fixed].map(|mode| pods(deployment.as_ref(), mode, 2));
        assert_eq!(found, expected, "{what}");
    }
}

//! Golden files: what a cluster gets to see, in whole objects. A change of one of these is a
//! rolled-out change of behaviour, and reviewed as such.

use searchop_api::RankingModelSpec;
use searchop_contract::{Digest, LoadedVersion, Role, Share, Traffic};
use searchop_lifecycle::JobRequest;
use serde_json::{Value, json};

use super::*;

fn owner() -> Owner {
    Owner {
        name: "products".to_owned(),
        namespace: "shop".to_owned(),
        uid: "4f6c2d1e-0000-4000-8000-000000000001".to_owned(),
    }
}

fn images() -> Images {
    Images {
        trainer: "registry.example/searchop/trainer:1.0.0".to_owned(),
        ranker: "registry.example/searchop/ranker:1.0.0".to_owned(),
        pull_policy: Some("IfNotPresent".to_owned()),
    }
}

fn spec(value: Value) -> RankingModelSpec {
    serde_json::from_value(value).unwrap()
}

fn synthetic() -> RankingModelSpec {
    spec(json!({"data": {"synthetic": {}}, "artifacts": {"uri": "pvc://models/products"}}))
}

fn s3() -> RankingModelSpec {
    spec(json!({
        "data": {"sources": {
            "catalog": {"uri": "s3://shop/catalog/*.parquet"},
            "events": {"uri": "s3://shop/ubi/*.parquet"},
            "credentialsSecretRef": {"name": "shop-s3"}
        }},
        "training": {
            "resources": {"requests": {"cpu": 2, "memory": "4Gi"}, "limits": {"cpu": 4, "memory": "4Gi"}},
            "activeDeadlineSeconds": 7200,
            "backoffLimit": 1
        },
        "serving": {"resources": {"limits": {"cpu": "2"}}, "maxCandidates": 500},
        "artifacts": {
            "uri": "s3://models/products",
            "credentialsSecretRef": {"name": "models-writer"},
            "readerSecretRef": {"name": "models-reader"}
        }
    }))
}

/// Everything that `spec.serving` can ask of a ranker.
fn guarded() -> RankingModelSpec {
    let mut spec = synthetic();
    spec.serving = serde_json::from_value(json!({
        "rules": [
            {"name": "promo", "pins": {"queries": ["running shoes"], "ids": ["7", "a$(HOME)"]}},
            {"name": "sold-out", "outOfStock": "Last"}
        ],
        "tokenSecretRef": {"name": "clients"},
        "tlsSecretRef": {"name": "products-tls"},
        "queryLog": {"sampleShare": "0.1", "uri": "pvc://records/products"},
        "featureLog": {"sampleShare": "0.02", "uri": "pvc://records/features"}
    }))
    .unwrap();
    spec
}

/// Everything in one claim.
fn volume() -> RankingModelSpec {
    spec(json!({
        "data": {"sources": {
            "catalog": {"uri": "pvc://shop/catalog.csv"},
            "events": {"uri": "pvc://shop/events/../events/*.ndjson"}
        }},
        "artifacts": {"uri": "pvc://shop/models"}
    }))
}

fn digests(name: &str) -> (Digest, Digest) {
    (
        Digest::of(name.as_bytes()),
        Digest::of(format!("{name} tables").as_bytes()),
    )
}

fn request(version: i32) -> JobRequest {
    JobRequest {
        version,
        refresh: 0,
        if_data_changed: false,
        evaluation: 0,
        attempt: 0,
        as_of_time: "2026-03-01T10:00:00Z".parse().unwrap(),
        reference: None,
        evaluate_only: None,
        promoted: vec![],
        keep: Vec::new(),
    }
}

fn served() -> ServedDigests {
    let (digest, tables_digest) = digests("v3");
    ServedDigests {
        version: 3,
        digest,
        tables_digest,
        candidate: None,
    }
}

#[test]
fn jobs() {
    let evaluation = JobRequest {
        evaluation: 1,
        reference: Some(digests("v7")),
        evaluate_only: Some(digests("v8")),
        keep: vec![digests("v7").0, digests("v8").0],
        ..request(8)
    };
    insta::assert_yaml_snapshot!(
        "job_synthetic",
        job(&owner(), &synthetic(), &images(), &request(1)).unwrap()
    );
    let refresh = JobRequest {
        refresh: 5,
        reference: Some(digests("v7")),
        ..request(7)
    };
    insta::assert_yaml_snapshot!(
        "job_refresh",
        job(&owner(), &synthetic(), &images(), &refresh).unwrap()
    );
    insta::assert_yaml_snapshot!(
        "job_s3_evaluation",
        job(&owner(), &s3(), &images(), &evaluation).unwrap()
    );
    insta::assert_yaml_snapshot!(
        "job_volume",
        job(&owner(), &volume(), &images(), &request(2)).unwrap()
    );
}

#[test]
fn deployments() {
    insta::assert_yaml_snapshot!(
        "deployment_volume",
        deployment(&owner(), &synthetic(), &images(), &served())
    );
    insta::assert_yaml_snapshot!(
        "deployment_s3",
        deployment(&owner(), &s3(), &images(), &served())
    );
    insta::assert_yaml_snapshot!(
        "deployment_guarded",
        deployment(&owner(), &guarded(), &images(), &served())
    );
    assert_eq!(
        ranker_url("products", "shop", &guarded().serving),
        "https://products-rank.shop.svc:8080/rank"
    );
}

#[test]
fn a_canary_is_a_second_version_in_the_pods_and_its_weights_are_data() {
    let (digest, tables_digest) = digests("v4");
    let both = ServedDigests {
        candidate: Some(LoadedVersion {
            version: 4,
            digest,
            tables_digest,
        }),
        ..served()
    };
    let canary = deployment(&owner(), &synthetic(), &images(), &both);
    let container = &canary.spec.unwrap().template.spec.unwrap();
    insta::assert_yaml_snapshot!(
        "canary",
        (
            &container.containers[0].env,
            &container.containers[0].volume_mounts,
            &container.volumes
        )
    );
    let share = |version, role, weight| Share {
        version,
        role,
        weight,
        shadow: 0,
    };
    let shares = Traffic {
        revision: "v4-1".into(),
        shares: vec![share(3, Role::Served, 95), share(4, Role::Candidate, 5)],
        abort: None,
    };
    insta::assert_yaml_snapshot!("traffic", traffic(&owner(), &shares));
}

#[test]
fn the_rest() {
    let mut autoscaling = synthetic().serving.autoscaling;
    insta::assert_yaml_snapshot!("service", service(&owner()));
    insta::assert_yaml_snapshot!("pod_disruption_budget", pod_disruption_budget(&owner()));
    insta::assert_yaml_snapshot!(
        "autoscaler",
        horizontal_pod_autoscaler(&owner(), &autoscaling)
    );
    autoscaling.min_replicas = 1;
    autoscaling.target_cpu_utilization_percentage = 50;
    autoscaling.scale_down_stabilization_seconds = 0;
    insta::assert_yaml_snapshot!(
        "autoscaler_eager",
        horizontal_pod_autoscaler(&owner(), &autoscaling)
    );
}

/// Everything a Deployment's template is made from is in what it serves, how, and with what image.
#[test]
fn a_template_follows_from_what_serves_and_nothing_else() {
    let template = |spec: &RankingModelSpec, images: &Images| {
        deployment(&owner(), spec, images, &served())
            .spec
            .map(|spec| spec.template)
    };
    let before = template(&synthetic(), &images());
    let mut other = synthetic();
    other.training.parameters.num_leaves = 7;
    other.training.resources = s3().training.resources;
    other.evaluation.gates.clear();
    other.serving.replicas = 9;
    other.serving.autoscaling.max_replicas = 99;
    other.freshness.max_age_seconds = 7200;
    other.suspend = true;
    let newer = Images {
        trainer: "another".to_owned(),
        ..images()
    };
    assert_eq!(template(&other, &newer), before);
    other.serving.max_candidates = 9;
    assert_ne!(template(&other, &images()), before);
}

#[test]
fn no_deployment_says_how_many_pods_there_are() {
    for spec in [synthetic(), s3(), volume()] {
        let deployment = deployment(&owner(), &spec, &images(), &served());
        assert_eq!(deployment.spec.unwrap().replicas, None);
    }
}

/// What Pod Security `restricted` asks for, and what a pod without a token needs none of.
#[test]
fn every_pod_is_restricted() {
    let mut pods = Vec::new();
    for spec in [synthetic(), s3(), volume(), guarded()] {
        pods.push(
            job(&owner(), &spec, &images(), &request(1))
                .unwrap()
                .spec
                .unwrap()
                .template
                .spec
                .unwrap(),
        );
        pods.push(
            deployment(&owner(), &spec, &images(), &served())
                .spec
                .unwrap()
                .template
                .spec
                .unwrap(),
        );
    }
    for pod in pods {
        let pod = serde_json::to_value(pod).unwrap();
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["enableServiceLinks"], false);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(
            pod["securityContext"]["seccompProfile"]["type"],
            "RuntimeDefault"
        );
        assert!(
            pod["containers"][0]["resources"]["limits"]["memory"].is_string(),
            "{pod}"
        );
        for container in pod["containers"].as_array().unwrap() {
            let security = &container["securityContext"];
            assert_eq!(security["allowPrivilegeEscalation"], false);
            assert_eq!(security["readOnlyRootFilesystem"], true);
            assert_eq!(security["capabilities"]["drop"], json!(["ALL"]));
            assert!(container.get("envFrom").is_none());
        }
        for volume in pod["volumes"].as_array().unwrap() {
            assert!(volume.get("hostPath").is_none());
        }
        assert!(pod.get("serviceAccountName").is_none() && pod.get("hostNetwork").is_none());
    }
}

/// The click log's key reaches the trainer only, the writer's key too.
#[test]
fn a_ranker_sees_the_readers_secret_and_no_other() {
    let text = serde_json::to_string(&deployment(&owner(), &s3(), &images(), &served())).unwrap();
    assert!(text.contains("models-reader"));
    assert!(!text.contains("shop-s3") && !text.contains("models-writer"));
}

/// A first rollout that is merely slow must not fail: there is nothing to go back to.
#[test]
fn a_rollout_may_take_longer_than_one_start() {
    let spec = deployment(&owner(), &synthetic(), &images(), &served())
        .spec
        .unwrap();
    let probe = spec.template.spec.unwrap().containers[0]
        .startup_probe
        .clone()
        .unwrap();
    let start = probe.period_seconds.unwrap() * probe.failure_threshold.unwrap();
    assert_eq!(start, 300);
    assert!(spec.progress_deadline_seconds.unwrap() >= 2 * start);
}

/// Click log and catalogue may be in the same claim.
#[test]
fn a_ranker_sees_the_folder_of_its_model_and_nothing_else_of_a_claim() {
    let pod = deployment(&owner(), &volume(), &images(), &served())
        .spec
        .unwrap()
        .template
        .spec
        .unwrap();
    let container = serde_json::to_value(&pod.containers[0]).unwrap();
    let of_the_claim: Vec<&Value> = container["volumeMounts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|mount| mount["name"] == "artifacts")
        .collect();
    let only = json!({
        "name": "artifacts", "mountPath": "/mnt/artifacts", "subPath": "models/products-4f6c2d1e", "readOnly": true
    });
    assert_eq!(of_the_claim, [&only]);
    let uri = json!({"name": "SEARCHOP_ARTIFACTS_URI", "value": "file:///mnt/artifacts"});
    assert!(
        container["env"].as_array().unwrap().contains(&uri),
        "{container}"
    );
}

/// The kubelet would put another variable's value, such as a key, in its place.
#[test]
fn a_text_that_looks_like_a_variable_stays_a_text() {
    let mut spec = s3();
    spec.data.sources.as_mut().unwrap().catalog.id_field =
        "$(SEARCHOP_S3_SECRET_ACCESS_KEY)".to_owned();
    let job = job(&owner(), &spec, &images(), &request(1)).unwrap();
    let text = serde_json::to_string(&job).unwrap();
    assert!(text.contains("$$(SEARCHOP_S3_SECRET_ACCESS_KEY)"), "{text}");
}

#[test]
fn names_of_the_longest_model_fit_a_label() {
    let longest = Owner {
        name: "x".repeat(40),
        ..owner()
    };
    let last = JobRequest {
        evaluation: 99,
        attempt: 2,
        ..request(99_999)
    };
    let name = job(&longest, &synthetic(), &images(), &last)
        .unwrap()
        .metadata
        .name
        .unwrap();
    assert!(name.len() <= 63, "{name}");
    assert_eq!(
        ranker_url("products", "shop", &synthetic().serving),
        "http://products-rank.shop.svc:8080/rank"
    );
    assert_eq!(
        ranker_selector(&owner()),
        "searchop.io/model-uid=4f6c2d1e-0000-4000-8000-000000000001,searchop.io/track=stable"
    );
}

#[test]
fn a_child_is_ours_by_uid_never_by_name() {
    let ours = service(&owner()).metadata;
    assert!(owner().owns(&ours));
    let other = Owner {
        uid: "another".to_owned(),
        ..owner()
    };
    assert!(!other.owns(&ours));
    let mut orphan = ours.clone();
    orphan.owner_references = None;
    assert!(owner().owns(&orphan), "its label still names us");
    orphan.labels = None;
    assert!(!owner().owns(&orphan));
}

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{
            Container, ContainerPort, EnvVar, HTTPGetAction, PodSpec, PodTemplateSpec, Probe,
            TopologySpreadConstraint,
        },
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use searchop_api::{RankingModelSpec, Serving};
use searchop_contract::{Digest, LoadedVersion, labels, names};
use serde::Serialize;

use super::{
    Images, Owner,
    artifacts::artifacts_uri,
    names::traffic_name,
    pod::{DefaultAmount, Storage, cpu_limit_env, env, pod_spec, resources, s3_env},
    ranker_name,
};

/// Name of the ranker's container.
pub const RANKER_CONTAINER: &str = "ranker";

/// Annotation of the Deployment: the image that its version was rolled out with. As long as the
/// version serves it stays, so that an upgrade of the operator restarts no ranker.
pub const RANKER_IMAGE_ANNOTATION: &str = "searchop.io/ranker-image";

/// Annotation of the Deployment: hash of the spec that was applied last, from which it is seen
/// whether a Deployment is what is wanted now.
pub const SPEC_HASH_ANNOTATION: &str = "searchop.io/spec-hash";

const COMPONENT: &str = "ranker";
/// Annotation of a ranker pod: hash of the template that it is made from. A pod of an older
/// template may serve the same version.
pub const TEMPLATE_HASH_ANNOTATION: &str = "searchop.io/template-hash";

/// Seconds that a ranker may take until it has loaded its model.
const STARTUP_ALLOWANCE: i32 = 300;
/// Seconds after which a new template that brings no further pod to readiness counts as stuck:
/// longer than one start may take, with time to find a node and to pull the image.
const PROGRESS_DEADLINE: i32 = 2 * STARTUP_ALLOWANCE;
/// Longer than the ranker's own drain, which takes 10 s and the longest request.
const TERMINATION_GRACE: i64 = 45;

/// What a Deployment's template names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedDigests {
    pub version: i32,
    pub digest: Digest,
    pub tables_digest: Digest,
    /// A second version in the same pods.
    pub candidate: Option<LoadedVersion>,
}

/// The Deployment that serves a version. It never says how many pods there are: that belongs to
/// whoever scales it, and a number that is applied once and left out later falls back to 1.
pub fn deployment(
    owner: &Owner,
    spec: &RankingModelSpec,
    images: &Images,
    served: &ServedDigests,
) -> Deployment {
    let spec = deployment_spec(owner, spec, images, served);
    let mut metadata = owner.child(ranker_name(&owner.name), COMPONENT);
    let annotations = [
        (RANKER_IMAGE_ANNOTATION, images.ranker.clone()),
        (SPEC_HASH_ANNOTATION, short_hash(&spec)),
    ];
    metadata.annotations = Some(
        annotations
            .map(|(key, value)| (key.to_owned(), value))
            .into(),
    );
    Deployment {
        metadata,
        spec: Some(spec),
        status: None,
    }
}

fn short_hash(part: &impl Serialize) -> String {
    let text = serde_json::to_vec(part).expect("a Deployment has only string keys");
    Digest::of(&text).short().to_owned()
}

fn deployment_spec(
    owner: &Owner,
    spec: &RankingModelSpec,
    images: &Images,
    served: &ServedDigests,
) -> DeploymentSpec {
    let pod = ranker_pod(owner, spec, images, served);
    DeploymentSpec {
        selector: owner.ranker_label_selector(),
        strategy: Some(DeploymentStrategy {
            type_: Some("RollingUpdate".to_owned()),
            rolling_update: Some(RollingUpdateDeployment {
                max_unavailable: Some(IntOrString::Int(0)),
                max_surge: Some(IntOrString::String("25%".to_owned())),
            }),
        }),
        min_ready_seconds: Some(2),
        progress_deadline_seconds: Some(PROGRESS_DEADLINE),
        revision_history_limit: Some(2),
        template: PodTemplateSpec {
            metadata: Some(template_metadata(owner, served, &pod)),
            spec: Some(pod),
        },
        ..DeploymentSpec::default()
    }
}

fn template_metadata(owner: &Owner, served: &ServedDigests, pod: &PodSpec) -> ObjectMeta {
    let mut pod_labels = owner.labels(COMPONENT);
    pod_labels.extend(owner.ranker_labels());
    let annotations: BTreeMap<String, String> = [
        (labels::VERSION.to_owned(), served.version.to_string()),
        (labels::DIGEST.to_owned(), served.digest.to_string()),
        (TEMPLATE_HASH_ANNOTATION.to_owned(), short_hash(pod)),
    ]
    .into();
    ObjectMeta {
        labels: Some(pod_labels),
        annotations: Some(annotations),
        ..ObjectMeta::default()
    }
}

fn ranker_pod(
    owner: &Owner,
    spec: &RankingModelSpec,
    images: &Images,
    served: &ServedDigests,
) -> PodSpec {
    let mut storage = Storage::default();
    storage.scratch("tmp", "/tmp");
    storage.scratch("cache", "/var/cache/searchop");
    // Trained already, so its folder is there; whatever else is in the claim is none of a ranker's.
    let artifacts_uri = storage.reach_only(&artifacts_uri(owner, spec), "artifacts");
    let mut variables = vec![env(names::MODEL_NAME_ENV, &owner.name)];
    variables.extend(versions(owner, served, &mut storage));
    variables.extend([
        env(names::ARTIFACTS_URI_ENV, artifacts_uri),
        env(
            names::MAX_CANDIDATES_ENV,
            spec.serving.max_candidates.to_string(),
        ),
        cpu_limit_env(RANKER_CONTAINER),
    ]);
    variables.extend(access(&spec.serving, &mut storage));
    variables.extend(answers(&spec.serving, &mut storage));
    variables.extend(s3_env(
        spec.artifacts.reader_secret_ref.as_ref(),
        names::S3_PREFIX,
    ));
    let probe = |path| probe(path, &spec.serving);
    let container = Container {
        name: RANKER_CONTAINER.to_owned(),
        image: Some(images.ranker.clone()),
        image_pull_policy: images.pull_policy.clone(),
        command: Some(vec!["/searchop-ranker".to_owned()]),
        env: Some(variables),
        ports: Some(vec![
            port("rank", names::RANK_PORT),
            port("metrics", names::METRICS_PORT),
        ]),
        // Loading may take minutes on a cold volume; a pod that is still not ready then starts over.
        startup_probe: Some(Probe {
            period_seconds: Some(1),
            failure_threshold: Some(STARTUP_ALLOWANCE),
            ..probe("/readyz")
        }),
        readiness_probe: Some(Probe {
            period_seconds: Some(2),
            failure_threshold: Some(2),
            ..probe("/readyz")
        }),
        liveness_probe: Some(Probe {
            period_seconds: Some(10),
            failure_threshold: Some(3),
            ..probe("/livez")
        }),
        resources: Some(resources(
            &spec.serving.resources,
            &[
                DefaultAmount {
                    resource: "cpu",
                    request: "250m",
                    limit: "1",
                },
                DefaultAmount {
                    resource: "memory",
                    request: "256Mi",
                    limit: "512Mi",
                },
            ],
        )),
        // A ranker that refuses its model says why; that is what a stuck rollout shows.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    };
    PodSpec {
        termination_grace_period_seconds: Some(TERMINATION_GRACE),
        topology_spread_constraints: Some(vec![TopologySpreadConstraint {
            label_selector: Some(owner.ranker_label_selector()),
            // Old pods on their way out must not push new ones onto the same node.
            match_label_keys: Some(vec!["pod-template-hash".to_owned()]),
            max_skew: 1,
            topology_key: "kubernetes.io/hostname".to_owned(),
            when_unsatisfiable: "ScheduleAnyway".to_owned(),
            ..TopologySpreadConstraint::default()
        }]),
        ..pod_spec(container, storage)
    }
}

/// What is loaded. The file with who answers which part is of a ConfigMap of its own: an edit of it
/// restarts no pod.
fn versions(owner: &Owner, served: &ServedDigests, storage: &mut Storage) -> Vec<EnvVar> {
    let Some(candidate) = &served.candidate else {
        return vec![
            env(names::MODEL_VERSION_ENV, served.version.to_string()),
            env(names::MODEL_DIGEST_ENV, served.digest.as_str()),
            env(names::TABLES_DIGEST_ENV, served.tables_digest.as_str()),
        ];
    };
    let first = LoadedVersion {
        version: served.version.unsigned_abs(),
        digest: served.digest.clone(),
        tables_digest: served.tables_digest.clone(),
    };
    let list = serde_json::to_string(&[&first, candidate]).expect("versions have only string keys");
    let folder = storage.config("traffic", &traffic_name(&owner.name));
    let file = format!("{folder}/{}", names::TRAFFIC_KEY);
    vec![
        env(names::VERSIONS_ENV, list),
        env(names::TRAFFIC_FILE_ENV, file),
    ]
}

fn port(name: &str, number: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: number.into(),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

/// The kubelet does not check the certificate, and probes need no token.
fn probe(path: &str, serving: &Serving) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("rank".to_owned()),
            scheme: serving.tls_secret_ref.as_ref().map(|_| "HTTPS".to_owned()),
            ..HTTPGetAction::default()
        }),
        timeout_seconds: Some(2),
        ..Probe::default()
    }
}

/// Who may ask, and how the answer travels. Secrets are files, so that a change is seen while the
/// pod runs.
fn access(serving: &Serving, storage: &mut Storage) -> Vec<EnvVar> {
    let mut variables = Vec::new();
    if let Some(secret) = &serving.token_secret_ref {
        let folder = storage.secret("token", secret, &[names::TOKEN_KEY]);
        let file = format!("{folder}/{}", names::TOKEN_KEY);
        variables.push(env(names::TOKEN_FILE_ENV, file));
    }
    if let Some(secret) = &serving.tls_secret_ref {
        let (chain, key) = (names::TLS_CERT_KEY, names::TLS_KEY_KEY);
        let folder = storage.secret("tls", secret, &[chain, key]);
        variables.push(env(names::TLS_CERT_FILE_ENV, format!("{folder}/{chain}")));
        variables.push(env(names::TLS_KEY_FILE_ENV, format!("{folder}/{key}")));
    }
    variables
}

/// What answers look like beyond the model's scores, and what is kept of them.
fn answers(serving: &Serving, storage: &mut Storage) -> Vec<EnvVar> {
    let mut variables = Vec::new();
    if !serving.rules.is_empty() {
        let rules = serde_json::to_string(&serving.rules).expect("rules have only string keys");
        variables.push(env(names::RULES_ENV, rules));
    }
    if let Some(log) = &serving.query_log {
        variables.push(env(names::QUERY_LOG_SHARE_ENV, &log.sample_share));
        if let Some(uri) = &log.uri {
            let folder = storage.write_only(uri, "query-log");
            variables.push(env(names::QUERY_LOG_FOLDER_ENV, folder));
        }
    }
    if let Some(log) = &serving.feature_log {
        let folder = storage.write_only(&log.uri, "feature-log");
        variables.push(env(names::FEATURE_LOG_FOLDER_ENV, folder));
        variables.push(env(names::FEATURE_LOG_SHARE_ENV, &log.sample_share));
    }
    variables
}

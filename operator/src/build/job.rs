use k8s_openapi::api::{
    batch::v1::{
        Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement,
        PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
    },
    core::v1::{Container, PodSpec, PodTemplateSpec},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use searchop_api::RankingModelSpec;
use searchop_contract::{ExitCode, TrainingJob, labels, names};
use searchop_lifecycle::{JobError, JobRequest, Places, job_name, training_job};

use super::{
    Images, Owner,
    artifacts::artifacts_uri,
    pod::{DefaultAmount, Place, Storage, cpu_limit_env, env, pod_spec, resources, s3_env},
};

/// Name of the trainer's container.
pub const TRAINER_CONTAINER: &str = "trainer";

const COMPONENT: &str = "trainer";

/// The Job that carries a run or a refresh. Fails only for a spec that the API's own validation would refuse.
pub fn job(
    owner: &Owner,
    spec: &RankingModelSpec,
    images: &Images,
    request: &JobRequest,
) -> Result<Job, JobError> {
    let (label, number) = match request.refresh {
        0 => (labels::VERSION, request.version),
        refresh => (labels::REFRESH, refresh),
    };
    let labelled = |mut metadata: ObjectMeta| {
        metadata
            .labels
            .get_or_insert_default()
            .insert(label.to_owned(), number.to_string());
        metadata
    };
    let (storage, places) = storage(owner, spec);
    let work = training_job(&owner.name, spec, request, places)?;
    let pod_metadata = ObjectMeta {
        labels: Some(owner.labels(COMPONENT)),
        ..ObjectMeta::default()
    };
    Ok(Job {
        metadata: labelled(owner.child(job_name(&owner.name, request), COMPONENT)),
        spec: Some(JobSpec {
            backoff_limit: Some(spec.training.backoff_limit),
            active_deadline_seconds: Some(spec.training.active_deadline_seconds),
            pod_failure_policy: Some(pod_failure_policy()),
            // A lost pod may still write until it is gone for good; only then comes the next.
            pod_replacement_policy: Some("Failed".to_owned()),
            template: PodTemplateSpec {
                metadata: Some(labelled(pod_metadata)),
                spec: Some(PodSpec {
                    restart_policy: Some("Never".to_owned()),
                    ..pod_spec(container(spec, images, &work), storage)
                }),
            },
            ..JobSpec::default()
        }),
        status: None,
    })
}

/// What the trainer's pod mounts, and where it finds things.
fn storage(owner: &Owner, spec: &RankingModelSpec) -> (Storage, Places) {
    let mut storage = Storage::default();
    storage.scratch("tmp", "/tmp");
    let artifacts_uri = storage.reach(
        &artifacts_uri(owner, spec),
        Place {
            name: "artifacts",
            read_only: false,
        },
    );
    let sources = spec.data.sources.as_ref();
    let mut data = |uri: &str, name| {
        storage.reach(
            uri,
            Place {
                name,
                read_only: true,
            },
        )
    };
    let catalog_uri = sources.map(|sources| data(&sources.catalog.uri, "catalog"));
    let events_uri = sources.map(|sources| data(&sources.events.uri, "events"));
    let judgments_uri = sources
        .and_then(|sources| sources.judgments.as_ref())
        .map(|judgments| data(&judgments.uri, "judgments"));
    (
        storage,
        Places {
            artifacts_uri,
            catalog_uri,
            events_uri,
            judgments_uri,
        },
    )
}

fn container(spec: &RankingModelSpec, images: &Images, work: &TrainingJob) -> Container {
    let description = serde_json::to_string(work).expect("a training job has only string keys");
    let data_secret = spec
        .data
        .sources
        .as_ref()
        .and_then(|sources| sources.credentials_secret_ref.as_ref());
    let mut variables = vec![
        env(names::JOB_ENV, description),
        cpu_limit_env(TRAINER_CONTAINER),
    ];
    variables.extend(s3_env(
        spec.artifacts.credentials_secret_ref.as_ref(),
        names::S3_PREFIX,
    ));
    variables.extend(s3_env(data_secret, names::DATA_S3_PREFIX));
    Container {
        name: TRAINER_CONTAINER.to_owned(),
        image: Some(images.trainer.clone()),
        image_pull_policy: images.pull_policy.clone(),
        command: Some(vec!["/searchop-trainer".to_owned(), "run".to_owned()]),
        env: Some(variables),
        resources: Some(resources(
            &spec.training.resources,
            &[
                DefaultAmount {
                    resource: "cpu",
                    request: "1",
                    limit: "1",
                },
                DefaultAmount {
                    resource: "memory",
                    request: "1Gi",
                    limit: "1Gi",
                },
            ],
        )),
        termination_message_path: Some(names::REPORT_PATH.to_owned()),
        termination_message_policy: Some("File".to_owned()),
        ..Container::default()
    }
}

/// A pod that was disrupted does not count; an exit that no retry can mend ends the Job at once.
/// The order matters: a disrupted trainer may still leave with an exit code.
fn pod_failure_policy() -> PodFailurePolicy {
    let mut codes: Vec<i32> = ExitCode::FINAL
        .iter()
        .map(|exit| exit.code().into())
        .collect();
    codes.sort_unstable();
    PodFailurePolicy {
        rules: vec![
            PodFailurePolicyRule {
                action: "Ignore".to_owned(),
                on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
                    type_: "DisruptionTarget".to_owned(),
                    status: Some("True".to_owned()),
                }]),
                on_exit_codes: None,
            },
            PodFailurePolicyRule {
                action: "FailJob".to_owned(),
                on_exit_codes: Some(PodFailurePolicyOnExitCodesRequirement {
                    container_name: Some(TRAINER_CONTAINER.to_owned()),
                    operator: "In".to_owned(),
                    values: codes,
                }),
                on_pod_conditions: None,
            },
        ],
    }
}

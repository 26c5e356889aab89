//! Plays the kubelet on a cluster that has none: the Job and Deployment controllers make pods, the
//! driver says how they fare. So a scenario decides what a trainer reports.

use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use searchop_contract::{
    Digest, ExitCode, Measurement, Published, TrainingJob, TrainingReport, names,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{children::managed, namespace::TestNamespace};

/// How a trainer pod ends.
pub enum End {
    /// Exit code 0 and this report.
    Report(Box<TrainingReport>),
    /// This exit code and termination message.
    Exit(i32, String),
    /// Not yet.
    StillRunning,
}

/// Decides how a trainer fares.
pub type Trainer = Box<dyn Fn(&TrainingJob) -> End + Send + Sync>;
/// Decides whether a ranker of this digest gets ready.
pub type Ranker = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// A running driver; ends with the value.
pub struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Driver {
    pub fn start(namespace: &TestNamespace, trainer: Trainer, ranker: Ranker) -> Self {
        let pods: Api<Pod> = namespace.api();
        Self(tokio::spawn(async move {
            loop {
                for pod in pods
                    .list(&managed())
                    .await
                    .map(|list| list.items)
                    .unwrap_or_default()
                {
                    step(&pods, &pod, &trainer, &ranker).await;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }))
    }
}

fn step<'a>(
    pods: &'a Api<Pod>,
    pod: &'a Pod,
    trainer: &'a Trainer,
    ranker: &'a Ranker,
) -> BoxFuture<'a, ()> {
    Box::pin(async move {
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref())
            .unwrap_or("Pending");
        if phase != "Pending" || pod.metadata.deletion_timestamp.is_some() {
            return;
        }
        let status = match environment(pod, names::JOB_ENV) {
            Some(job) => {
                let job: TrainingJob =
                    serde_json::from_str(&job).expect("the Job holds a TrainingJob");
                trained(pod, trainer(&job))
            }
            None => {
                let digest = environment(pod, names::MODEL_DIGEST_ENV).unwrap_or_default();
                ranker(&digest).then(|| ready(pod))
            }
        };
        if let Some(status) = status {
            let patch = Patch::Merge(json!({"status": status}));
            let _ = pods
                .patch_status(&pod.name_any(), &PatchParams::default(), &patch)
                .await;
        }
    })
}

fn environment(pod: &Pod, name: &str) -> Option<String> {
    let container = pod.spec.as_ref()?.containers.first()?;
    container
        .env
        .as_ref()?
        .iter()
        .find(|variable| variable.name == name)?
        .value
        .clone()
}

fn trained(pod: &Pod, end: End) -> Option<Value> {
    let (code, message) = match end {
        End::Report(report) => (0, serde_json::to_string(&*report).unwrap()),
        End::Exit(code, message) => (code, message),
        End::StillRunning => return None,
    };
    let phase = if code == 0 { "Succeeded" } else { "Failed" };
    let now = Timestamp::now().round(jiff::Unit::Second).unwrap();
    let reason = match code {
        0 => "Completed",
        137 => "OOMKilled",
        _ => "Error",
    };
    let state = json!({"terminated": {
        "exitCode": code, "message": message, "reason": reason, "startedAt": now, "finishedAt": now
    }});
    Some(json!({"phase": phase, "containerStatuses": [container(pod, false, &state)]}))
}

fn ready(pod: &Pod) -> Value {
    let now = Timestamp::now().round(jiff::Unit::Second).unwrap();
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"]
        .map(|kind| json!({"type": kind, "status": "True", "lastTransitionTime": now}));
    json!({
        "phase": "Running",
        "podIP": "192.0.2.1",
        "podIPs": [{"ip": "192.0.2.1"}],
        "conditions": conditions,
        "containerStatuses": [container(pod, true, &json!({"running": {"startedAt": now}}))]
    })
}

fn container(pod: &Pod, ready: bool, state: &Value) -> Value {
    let container = &pod.spec.as_ref().unwrap().containers[0];
    json!({
        "name": container.name, "image": container.image, "imageID": "", "ready": ready,
        "restartCount": 0, "started": ready, "state": state
    })
}

/// A digest that a scenario makes up.
pub fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

/// A report in which every measure the job asks for has the given figures.
pub fn report(job: &TrainingJob, name: &str, candidate: f64, gain: f64) -> TrainingReport {
    let published = match (&job.evaluate_only, &job.refresh) {
        (Some(model), _) => (model.digest.clone(), model.tables_digest.clone()),
        (_, Some(model)) => (model.digest.clone(), digest(&format!("{name} tables"))),
        (None, None) => (digest(name), digest(&format!("{name} tables"))),
    };
    let day = Timestamp::from_second(job.as_of_time.as_second() / 86_400 * 86_400).unwrap();
    TrainingReport {
        version: job.version,
        published: Some(Published {
            digest: published.0,
            tables_digest: published.1,
            trained_through_time: day,
            tables_time: day,
        }),
        measurements: job
            .evaluation
            .measures
            .iter()
            .map(|&measure| Measurement {
                measure,
                candidate: Some(candidate),
                reference: measure.against.map(|_| candidate / (1.0 + gain)),
                low: Some(if measure.against.is_some() {
                    gain - 0.01
                } else {
                    candidate - 0.01
                }),
                high: Some(if measure.against.is_some() {
                    gain + 0.01
                } else {
                    candidate + 0.01
                }),
                queries: 400,
                holdout_overlap: false,
            })
            .collect(),
        ..TrainingReport::default()
    }
}

/// A failed end as the trainer says it.
pub fn failed(job: &TrainingJob, code: ExitCode, message: &str) -> End {
    let failure = json!({
        "version": job.version,
        "failure": {
            "reason": Option::<searchop_contract::FailureReason>::from(code),
            "message": message
        }
    });
    End::Exit(code.code().into(), failure.to_string())
}

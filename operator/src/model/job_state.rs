//! What a Job and its pods say about a run. Reads untrusted text, touches nothing.

use k8s_openapi::api::{
    batch::v1::{Job, JobCondition},
    core::v1::{ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, Pod},
};
use searchop_contract::{FailureReason, TrainingReport};
use searchop_lifecycle::ObservedJob;

use crate::{build::TRAINER_CONTAINER, runtime::events::cut};

/// Longest message that a condition takes from a pod, in bytes.
const MESSAGE_BYTES: usize = 1000;

/// The state of the run of `version`. `pods` are taken into account only where this very Job owns
/// them, since a report decides what is served.
pub fn observed(job: &Job, pods: &[Pod], version: i32) -> ObservedJob {
    let mut own: Vec<&Pod> = pods.iter().filter(|pod| is_of(pod, job)).collect();
    own.sort_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0));
    if let Some(condition) = condition(job, "Failed") {
        let (reason, message) = failure(job, condition, newest_end(&own));
        return ObservedJob::Failed {
            reason,
            message: cut(&message, MESSAGE_BYTES).to_owned(),
        };
    }
    if condition(job, "Complete").is_some() {
        return report(newest_end(&own), version);
    }
    if job.metadata.deletion_timestamp.is_some() {
        return ObservedJob::Active {
            waiting: Some("the Job is being deleted".to_owned()),
        };
    }
    ObservedJob::Active {
        waiting: own.last().and_then(|pod| waiting(pod, TRAINER_CONTAINER)),
    }
}

/// Whether a Job has ended, one way or the other.
pub fn is_finished(job: &Job) -> bool {
    condition(job, "Complete")
        .or_else(|| condition(job, "Failed"))
        .is_some()
}

fn condition<'a>(job: &'a Job, kind: &str) -> Option<&'a JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    conditions
        .iter()
        .find(|condition| condition.type_ == kind && condition.status == "True")
}

fn is_of(pod: &Pod, job: &Job) -> bool {
    let owners = pod.metadata.owner_references.iter().flatten();
    job.metadata.uid.is_some()
        && owners.into_iter().any(|owner| {
            owner.controller == Some(true) && Some(&owner.uid) == job.metadata.uid.as_ref()
        })
}

fn newest_end<'a>(pods: &[&'a Pod]) -> Option<&'a ContainerStateTerminated> {
    pods.iter().rev().find_map(|pod| {
        container(pod, TRAINER_CONTAINER)?
            .state
            .as_ref()?
            .terminated
            .as_ref()
    })
}

fn container<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    pod.status
        .as_ref()?
        .container_statuses
        .as_ref()?
        .iter()
        .find(|status| status.name == name)
}

fn report(end: Option<&ContainerStateTerminated>, version: i32) -> ObservedJob {
    let lost = |message: String| ObservedJob::ReportLost {
        message: cut(&message, MESSAGE_BYTES).to_owned(),
    };
    let Some(message) = end.and_then(|end| end.message.as_ref()) else {
        return lost("the trainer's pod, or what it said, is gone".to_owned());
    };
    match TrainingReport::parse(message.as_bytes()) {
        Ok(report) if i32::try_from(report.version) == Ok(version) => {
            ObservedJob::Reported(Box::new(report))
        }
        Ok(report) => lost(format!(
            "the report speaks of version {}, not of {version}",
            report.version
        )),
        Err(error) => lost(error.to_string()),
    }
}

fn failure(
    job: &Job,
    condition: &JobCondition,
    end: Option<&ContainerStateTerminated>,
) -> (FailureReason, String) {
    if condition.reason.as_deref() == Some("DeadlineExceeded") {
        let seconds = job
            .spec
            .as_ref()
            .and_then(|spec| spec.active_deadline_seconds)
            .unwrap_or_default();
        return (
            FailureReason::DeadlineExceeded,
            format!("the run did not end within {seconds} s"),
        );
    }
    let Some(end) = end else {
        let message = condition
            .message
            .clone()
            .unwrap_or_else(|| "the Job failed without a pod".to_owned());
        return (FailureReason::TrainerCrashed, message);
    };
    if end.reason.as_deref() == Some("OOMKilled") {
        let limit = memory_limit(job).unwrap_or("the node's memory");
        return (
            FailureReason::OOMKilled,
            format!("the trainer met its memory limit of {limit}"),
        );
    }
    let reason =
        FailureReason::from_exit_code(end.exit_code).unwrap_or(FailureReason::TrainerCrashed);
    (
        reason,
        trainers_words(end)
            .unwrap_or_else(|| format!("the trainer ended with exit code {}", end.exit_code)),
    )
}

/// The message of a failed trainer's report.
fn trainers_words(end: &ContainerStateTerminated) -> Option<String> {
    let report = TrainingReport::parse(end.message.as_ref()?.as_bytes()).ok()?;
    Some(report.failure?.message).filter(|message| !message.is_empty())
}

fn memory_limit(job: &Job) -> Option<&str> {
    let containers = &job.spec.as_ref()?.template.spec.as_ref()?.containers;
    let trainer = containers
        .iter()
        .find(|container| container.name == TRAINER_CONTAINER)?;
    Some(
        &trainer
            .resources
            .as_ref()?
            .limits
            .as_ref()?
            .get("memory")?
            .0,
    )
}

/// Why a pod does not run yet, in words that stay the same while it waits: a status that repeats
/// the kubelet's countdown would be written again and again.
pub fn waiting(pod: &Pod, container_name: &str) -> Option<String> {
    let status = container(pod, container_name);
    if let Some(state) = status.and_then(|status| status.state.as_ref()?.waiting.as_ref()) {
        return waiting_container(
            state,
            status
                .map(|status| status.image.as_str())
                .unwrap_or_default(),
        );
    }
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let scheduled = conditions
        .iter()
        .find(|condition| condition.type_ == "PodScheduled")?;
    if scheduled.status == "True" {
        return None;
    }
    let reason = scheduled.reason.as_deref().unwrap_or("Unschedulable");
    let message = scheduled
        .message
        .as_deref()
        .unwrap_or("no node takes the pod");
    Some(cut(&format!("{reason}: {message}"), MESSAGE_BYTES).to_owned())
}

fn waiting_container(state: &ContainerStateWaiting, image: &str) -> Option<String> {
    let message = || state.message.as_deref().unwrap_or_default();
    match state.reason.as_deref()? {
        "ContainerCreating" | "PodInitializing" => None,
        "ErrImagePull" | "ImagePullBackOff" => Some(format!(
            "ImagePullBackOff: the image {image:?} cannot be pulled"
        )),
        "ErrImageNeverPull" => Some(format!(
            "ErrImageNeverPull: the image {image:?} is not on the node"
        )),
        "CrashLoopBackOff" => {
            Some("CrashLoopBackOff: the container ends again and again".to_owned())
        }
        reason => Some(cut(&format!("{reason}: {}", message()), MESSAGE_BYTES).to_owned()),
    }
}

#[cfg(test)]
mod tests;

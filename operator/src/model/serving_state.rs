//! What the ranker's Deployment says. Touches nothing.

use k8s_openapi::api::{
    apps::v1::{Deployment, DeploymentCondition},
    core::v1::{Container, ContainerStateTerminated, ContainerStatus, Pod},
};
use kube::ResourceExt;
use searchop_api::{AutoscalingMode, RankingModelSpec};
use searchop_contract::{LoadedVersion, names};
use searchop_lifecycle::ObservedServing;
use serde_json::Value;

use super::job_state::waiting;
use crate::{
    build::{
        self, Images, Owner, RANKER_CONTAINER, RANKER_IMAGE_ANNOTATION, SPEC_HASH_ANNOTATION,
        ServedDigests, TEMPLATE_HASH_ANNOTATION,
    },
    runtime::{events::cut, reconciler::is_being_deleted},
};

const MESSAGE_BYTES: usize = 500;

/// What a Deployment is compared with: the one that would be applied now for what it serves.
pub struct Wanted<'a> {
    pub owner: &'a Owner,
    pub spec: &'a RankingModelSpec,
    pub images: &'a Images,
}

impl Wanted<'_> {
    fn is_applied(&self, deployment: &Deployment, served: &ServedDigests) -> bool {
        let images = images(self.images, Some(deployment), served);
        let wanted = build::deployment(self.owner, self.spec, &images, served);
        let hash =
            |deployment: &Deployment| deployment.annotations().get(SPEC_HASH_ANNOTATION).cloned();
        hash(&wanted) == hash(deployment)
    }
}

/// The images to serve with. The ranker's is the one that this very version was rolled out with, as
/// long as it answers: a new release of the operator restarts no ranker, its image comes with the
/// next version.
pub fn images(
    configured: &Images,
    deployment: Option<&Deployment>,
    served: &ServedDigests,
) -> Images {
    let mut images = configured.clone();
    if let Some(deployment) = deployment
        && target(deployment).as_ref() == Some(served)
        && answers(deployment)
        && let Some(image) = deployment.annotations().get(RANKER_IMAGE_ANNOTATION)
    {
        images.ranker.clone_from(image);
    }
    images
}

/// The state of the pods that answer; `pods` may be empty where nothing is rolling out.
pub fn observed(
    deployment: Option<&Deployment>,
    pods: &[Pod],
    wanted: &Wanted<'_>,
) -> ObservedServing {
    let Some(deployment) = deployment else {
        return ObservedServing::default();
    };
    let target = target(deployment);
    let applied = target
        .as_ref()
        .is_some_and(|served| wanted.is_applied(deployment, served));
    let status = deployment.status.clone().unwrap_or_default();
    ObservedServing {
        settled: applied && is_settled(deployment),
        // What became of an older template says nothing of the one that is to be applied.
        stuck: (applied && is_rolling_out(deployment))
            .then(|| why_stuck(deployment, pods))
            .flatten(),
        ready_pods: status.ready_replicas.unwrap_or(0),
        pods: status.replicas.unwrap_or(0),
        candidate: target
            .as_ref()
            .and_then(|target| target.candidate.clone())
            .map(|candidate| (candidate.digest, candidate.tables_digest)),
        target: target.map(|target| (target.digest, target.tables_digest)),
        traffic: Vec::new(),
    }
}

/// Some pod is ready, of whatever template.
pub fn answers(deployment: &Deployment) -> bool {
    let status = deployment.status.as_ref();
    status.and_then(|status| status.ready_replicas).unwrap_or(0) > 0
}

/// Somebody wrote the number of pods; what the server filled in belongs to no manager.
pub fn has_owner_of_replicas(deployment: &Deployment) -> bool {
    let managers = deployment.metadata.managed_fields.iter().flatten();
    managers
        .filter_map(|entry| entry.fields_v1.as_ref())
        .any(|fields| {
            fields
                .0
                .get("f:spec")
                .and_then(|spec| spec.get("f:replicas"))
                .is_some_and(Value::is_object)
        })
}

/// How many pods there are; while the Deployment is gone or going, or is back without its size, how
/// many it comes back with: what was asked of it last, even if not all of them were there yet, or
/// else what was `known` before.
pub fn pods(deployment: Option<&Deployment>, mode: AutoscalingMode, known: i32) -> i32 {
    let Some(deployment) = deployment else {
        return known;
    };
    let spec = deployment.spec.as_ref();
    let status = deployment.status.as_ref();
    let counted = status.and_then(|status| status.replicas).unwrap_or(0);
    let asked = spec
        .and_then(|spec| spec.replicas)
        .filter(|_| has_owner_of_replicas(deployment));
    match (asked, is_being_deleted(deployment)) {
        (Some(asked), true) => asked,
        (Some(_), false) => counted,
        (None, false) if mode == AutoscalingMode::Fixed => counted,
        (None, _) => counted.max(known),
    }
}

/// What the Deployment's template names; `None` where it cannot be read.
pub fn target(deployment: &Deployment) -> Option<ServedDigests> {
    let container = ranker(deployment)?;
    let variable = |name: &str| {
        let found = container
            .env
            .as_ref()?
            .iter()
            .find(|variable| variable.name == name)?;
        found.value.as_deref()
    };
    if let Some(list) = variable(names::VERSIONS_ENV) {
        return both(list);
    }
    Some(ServedDigests {
        version: variable(names::MODEL_VERSION_ENV)?.parse().ok()?,
        digest: variable(names::MODEL_DIGEST_ENV)?.parse().ok()?,
        tables_digest: variable(names::TABLES_DIGEST_ENV)?.parse().ok()?,
        candidate: None,
    })
}

/// Two versions, the served one first.
fn both(list: &str) -> Option<ServedDigests> {
    let [served, candidate]: [LoadedVersion; 2] = serde_json::from_str(list).ok()?;
    Some(ServedDigests {
        version: served.version.try_into().ok()?,
        digest: served.digest,
        tables_digest: served.tables_digest,
        candidate: Some(candidate),
    })
}

fn ranker(deployment: &Deployment) -> Option<&Container> {
    let containers = &deployment.spec.as_ref()?.template.spec.as_ref()?.containers;
    containers
        .iter()
        .find(|container| container.name == RANKER_CONTAINER)
}

/// The Deployment controller has seen this spec; all pods are of it, and available.
fn is_settled(deployment: &Deployment) -> bool {
    let status = deployment.status.clone().unwrap_or_default();
    let wanted = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1);
    is_current(deployment)
        && status.updated_replicas.unwrap_or(0) == wanted
        && status.replicas.unwrap_or(0) == wanted
        && status.available_replicas.unwrap_or(0) == wanted
}

/// The newest template is not yet, or never was, that of all pods. A pod that fails later, among
/// others that answer, is the Deployment's own business.
pub fn is_rolling_out(deployment: &Deployment) -> bool {
    is_current(deployment)
        && progressing(deployment)
            .is_none_or(|condition| condition.reason.as_deref() != Some("NewReplicaSetAvailable"))
}

/// The newest template did not get ready within its deadline.
fn is_past_deadline(deployment: &Deployment) -> bool {
    progressing(deployment).is_some_and(|condition| {
        condition.status == "False"
            && condition.reason.as_deref() == Some("ProgressDeadlineExceeded")
    })
}

fn is_current(deployment: &Deployment) -> bool {
    let seen = deployment
        .status
        .as_ref()
        .and_then(|status| status.observed_generation);
    seen.unwrap_or(0) >= deployment.metadata.generation.unwrap_or(0)
}

fn progressing(deployment: &Deployment) -> Option<&DeploymentCondition> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    conditions
        .iter()
        .find(|condition| condition.type_ == "Progressing")
}

/// A slow start is waited for, until the deadline; a ranker that ends by itself, again and again,
/// will not do otherwise by then: it waits for slow storage without ending.
fn why_stuck(deployment: &Deployment, pods: &[Pod]) -> Option<String> {
    let newest = |pod: &&Pod| is_of_newest_template(pod, deployment) && !is_ready(pod);
    let newest: Vec<&Pod> = pods.iter().filter(newest).collect();
    let given_up = newest.iter().filter(|pod| is_given_up(pod));
    let ended = given_up.copied().find_map(last_words);
    if ended.is_some() || !is_past_deadline(deployment) {
        return ended;
    }
    let silent = || "no pod of the new version got ready within its deadline".to_owned();
    let words = newest
        .iter()
        .find_map(|pod| last_words(pod).or_else(|| waiting(pod, RANKER_CONTAINER)));
    Some(words.unwrap_or_else(silent))
}

fn is_of_newest_template(pod: &Pod, deployment: &Deployment) -> bool {
    let template = deployment.spec.as_ref().map(|spec| &spec.template);
    let wanted = template
        .and_then(|template| template.metadata.as_ref()?.annotations.as_ref())
        .and_then(|found| found.get(TEMPLATE_HASH_ANNOTATION));
    let annotations = pod.metadata.annotations.as_ref();
    let found = annotations.and_then(|found| found.get(TEMPLATE_HASH_ANNOTATION));
    wanted.is_some() && found == wanted && !is_being_deleted(pod)
}

/// The ranker ended by itself at least twice and does not run now. The kubelet starts it over at
/// once after its first end, and holds it back after each later one.
fn is_given_up(pod: &Pod) -> bool {
    let Some((status, state)) =
        ranker_status(pod).and_then(|status| Some((status, status.state.as_ref()?)))
    else {
        return false;
    };
    let held_back = state
        .waiting
        .as_ref()
        .is_some_and(|waiting| waiting.reason.as_deref() == Some("CrashLoopBackOff"));
    let ended_again = state.terminated.is_some() && status.restart_count > 0;
    (held_back || ended_again) && last_end(status).is_some_and(is_its_own_doing)
}

/// A ranker that was told to end, by a probe that failed or by whoever drains the node, ends well
/// or by a signal.
fn is_its_own_doing(end: &ContainerStateTerminated) -> bool {
    const KILLED: i32 = 137;
    const TERMINATED: i32 = 143;
    end.reason.as_deref() == Some("OOMKilled") || ![0, KILLED, TERMINATED].contains(&end.exit_code)
}

pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| {
        all.iter()
            .any(|one| one.type_ == "Ready" && one.status == "True")
    })
}

fn ranker_status(pod: &Pod) -> Option<&ContainerStatus> {
    let all = pod.status.as_ref()?.container_statuses.as_ref()?;
    all.iter().find(|status| status.name == RANKER_CONTAINER)
}

/// How often the ranker was started over.
pub fn restarts(pod: &Pod) -> i32 {
    ranker_status(pod).map_or(0, |status| status.restart_count)
}

fn last_end(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    [status.state.as_ref(), status.last_state.as_ref()]
        .into_iter()
        .flatten()
        .find_map(|state| state.terminated.as_ref())
}

/// What the ranker said when it ended last.
fn last_words(pod: &Pod) -> Option<String> {
    let end = last_end(ranker_status(pod)?)?;
    let words = end
        .message
        .as_deref()
        .map(str::trim)
        .filter(|words| !words.is_empty());
    let reason = end.reason.as_deref().unwrap_or("Error");
    Some(match words {
        Some(words) => cut(&format!("{reason}: {words}"), MESSAGE_BYTES).to_owned(),
        None => format!("{reason}: exit code {}", end.exit_code),
    })
}

#[cfg(test)]
mod tests;

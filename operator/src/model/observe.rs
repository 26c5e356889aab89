//! What is read from the API server before anything is decided.

use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::Deployment, batch::v1::Job, core::v1::Pod};
use kube::ResourceExt;
use searchop_api::{DriftStatus, RankingModel, RetrainSchedule, ScheduleAction};
use searchop_contract::{TrafficReport, labels};
use searchop_lifecycle::{JobKey, Observed, ObservedJob, is_under_way, selects};

use super::{job_state, scrape, serving_state};
use crate::{
    build::{Images, Owner, model_selector, ranker_name, ranker_selector, ranker_url},
    runtime::{Calls, Error, reconciler::is_being_deleted},
};

/// A model's surroundings. Objects of the right name that belong to somebody else are left out.
#[derive(Debug, Default)]
pub struct World {
    pub job: Option<Job>,
    pub job_pods: Vec<Pod>,
    /// Name of another Job of this model that has not ended, or is not gone, yet. Only looked up
    /// while the run or refresh under way has no Job.
    pub predecessor: Option<String>,
    pub deployment: Option<Deployment>,
    /// Only looked up while a rollout is under way, to see whether it got stuck and why.
    pub ranker_pods: Vec<Pod>,
    /// What the ready ones of them report, while a canary is under way.
    pub traffic: Vec<Option<TrafficReport>>,
    /// What is known of the requests that they answer.
    pub drift: Option<DriftStatus>,
    pub next_retrain: Option<Timestamp>,
}

/// Looks.
pub async fn observe(calls: &Calls, owner: &Owner, model: &RankingModel) -> Result<World, Error> {
    let (run_job, (deployment, ranker_pods), next_retrain) = tokio::try_join!(
        run_job(calls, owner, model),
        ranker(calls, owner, model),
        next_retrain(calls, owner, model)
    )?;
    let traffic = traffic(model, &ranker_pods).await;
    Ok(World {
        deployment,
        ranker_pods,
        traffic,
        next_retrain,
        ..run_job
    })
}

/// The part of the world that is about Jobs.
async fn run_job(calls: &Calls, owner: &Owner, model: &RankingModel) -> Result<World, Error> {
    let status = model.status.clone().unwrap_or_default();
    let Some(key) = JobKey::awaited(&status) else {
        return Ok(World::default());
    };
    let name = key.name(&owner.name);
    let job: Option<Job> = calls.get(&owner.namespace, &name).await?;
    let Some(job) = job.filter(|job| owner.owns(&job.metadata)) else {
        return Ok(World {
            predecessor: match is_under_way(&status) {
                true => predecessor(calls, owner, &name).await?,
                false => None,
            },
            ..World::default()
        });
    };
    let selector = format!(
        "batch.kubernetes.io/job-name={name},{}={}",
        labels::MODEL_UID,
        owner.uid
    );
    let pods = calls.list::<Pod>(&owner.namespace, &selector).await?;
    Ok(World {
        job: Some(job),
        job_pods: pods,
        ..World::default()
    })
}

/// A Job that is deleted after its pods counts until it is gone.
async fn predecessor(calls: &Calls, owner: &Owner, name: &str) -> Result<Option<String>, Error> {
    let jobs: Vec<Job> = calls.list(&owner.namespace, &model_selector(owner)).await?;
    let mut unfinished: Vec<String> = jobs
        .iter()
        .filter(|job| owner.owns(&job.metadata) && !job_state::is_finished(job))
        .map(ResourceExt::name_any)
        .filter(|found| found != name)
        .collect();
    unfinished.sort();
    Ok(unfinished.into_iter().next())
}

/// A candidate has passed the gate and shares the requests of what serves.
pub fn is_canary(model: &RankingModel) -> bool {
    let run = model.status.as_ref().and_then(|status| status.run.as_ref());
    run.is_some_and(|run| run.canary.is_some() && run.outcome.is_none())
}

async fn traffic(model: &RankingModel, pods: &[Pod]) -> Vec<Option<TrafficReport>> {
    if !is_canary(model) {
        return Vec::new();
    }
    let ready = |pod: &&Pod| serving_state::is_ready(pod) && !is_being_deleted(*pod);
    scrape::traffic(&pods.iter().filter(ready).collect::<Vec<_>>()).await
}

async fn ranker(
    calls: &Calls,
    owner: &Owner,
    model: &RankingModel,
) -> Result<(Option<Deployment>, Vec<Pod>), Error> {
    let deployment: Option<Deployment> = calls
        .get(&owner.namespace, &ranker_name(&owner.name))
        .await?;
    let deployment = deployment.filter(|deployment| owner.owns(&deployment.metadata));
    let pods = match &deployment {
        Some(deployment) if is_canary(model) || serving_state::is_rolling_out(deployment) => {
            calls
                .list(&owner.namespace, &ranker_selector(owner))
                .await?
        }
        _ => Vec::new(),
    };
    Ok((deployment, pods))
}

/// The earliest tick at which the schedules of this model ask for a retrain.
async fn next_retrain(
    calls: &Calls,
    owner: &Owner,
    model: &RankingModel,
) -> Result<Option<Timestamp>, Error> {
    let schedules = calls
        .list_readable::<RetrainSchedule>(&owner.namespace)
        .await?;
    Ok(earliest_tick(&schedules, model))
}

fn earliest_tick(schedules: &[RetrainSchedule], model: &RankingModel) -> Option<Timestamp> {
    schedules
        .iter()
        .filter(|schedule| !schedule.spec.suspend && selects(&schedule.spec, model))
        .filter(|schedule| schedule.spec.action == ScheduleAction::Retrain)
        .filter_map(|schedule| Some(schedule.status.as_ref()?.next_schedule_time.as_ref()?.0))
        .min()
}

/// From where a model is looked at.
pub struct Viewpoint<'a> {
    pub owner: &'a Owner,
    pub images: &'a Images,
    pub now: Timestamp,
}

impl Viewpoint<'_> {
    /// What the plan is made from.
    pub fn observed(&self, model: &RankingModel, world: &World) -> Observed {
        let Self { owner, images, now } = *self;
        let annotations = model.metadata.annotations.as_ref();
        let annotation = |key| annotations.and_then(|found| found.get(key)).cloned();
        let status = model.status.clone().unwrap_or_default();
        let job = world.job.as_ref().map(|job| {
            let version = JobKey::awaited(&status).map_or(0, |key| key.version);
            job_state::observed(job, &world.job_pods, version)
        });
        let job = job.or_else(|| {
            let by = world.predecessor.clone()?;
            Some(ObservedJob::Blocked { by })
        });
        let wanted = serving_state::Wanted {
            owner,
            spec: &model.spec,
            images,
        };
        let deployment = world.deployment.as_ref();
        let mut serving = serving_state::observed(deployment, &world.ranker_pods, &wanted);
        serving.traffic.clone_from(&world.traffic);
        let mode = model.spec.serving.autoscaling.mode;
        serving.pods = serving_state::pods(deployment, mode, status.replicas.unwrap_or(0));
        Observed {
            name: owner.name.clone(),
            generation: model.metadata.generation.unwrap_or_default(),
            spec: model.spec.clone(),
            retrain_request: annotation(labels::RETRAIN_REQUESTED),
            refresh_request: annotation(labels::REFRESH_REQUESTED),
            job,
            serving,
            drift: world.drift.clone(),
            next_retrain: world.next_retrain,
            url: Some(ranker_url(
                &owner.name,
                &owner.namespace,
                &model.spec.serving,
            )),
            selector: Some(ranker_selector(owner)),
            status,
            now,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_next_tick_is_the_earliest_of_this_models_live_schedules() {
        let asks = |action: &str, model: &str, suspend: bool, next: &str| -> RetrainSchedule {
            serde_json::from_value(json!({
                "apiVersion": "searchop.io/v1alpha1", "kind": "RetrainSchedule", "metadata": {"name": "a"},
                "spec": {"action": action, "modelRef": {"name": model}, "schedule": "0 2 * * 0", "suspend": suspend},
                "status": {"nextScheduleTime": next}
            }))
            .unwrap()
        };
        let schedule = |model, suspend, next| asks("Retrain", model, suspend, next);
        let schedules = [
            schedule("products", false, "2026-03-08T02:00:00Z"),
            schedule("products", false, "2026-03-02T02:00:00Z"),
            schedule("products", true, "2026-03-01T02:00:00Z"),
            schedule("others", false, "2026-03-01T02:00:00Z"),
            asks("RefreshTables", "products", false, "2026-03-01T02:00:00Z"),
        ];
        let model = |name: &str| -> RankingModel {
            serde_json::from_value(json!({
                "apiVersion": "searchop.io/v1alpha1", "kind": "RankingModel", "metadata": {"name": name},
                "spec": {"data": {"synthetic": {}}, "artifacts": {"uri": "pvc://models/products"}}
            }))
            .unwrap()
        };
        assert_eq!(
            earliest_tick(&schedules, &model("products")),
            Some("2026-03-02T02:00:00Z".parse().unwrap())
        );
        assert_eq!(earliest_tick(&schedules, &model("nothing")), None);
    }
}

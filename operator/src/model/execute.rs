//! Carries a plan out. Each step is safe to repeat, and may be the last before a crash.

use k8s_openapi::api::{
    apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler, batch::v1::Job,
};
use kube::ResourceExt;
use searchop_api::{AutoscalingMode, RankingModel, Serving};
use searchop_contract::labels;
use searchop_lifecycle::{Action, JobRequest};

use super::{
    job_state::is_finished,
    observe::World,
    serving_state::{has_owner_of_replicas, images},
};
use crate::{
    build::{self, Owner, ServedDigests},
    runtime::{Context, Error, calls::already_exists, reconciler::is_being_deleted},
};

/// What the actions work on.
pub struct Scene<'a> {
    pub context: &'a Context,
    pub owner: &'a Owner,
    pub model: &'a RankingModel,
    pub world: &'a World,
}

impl Scene<'_> {
    /// Does what is planned, in order; stops at the first failure.
    pub async fn execute(&self, actions: &[Action]) -> Result<(), Error> {
        for action in actions {
            match action {
                Action::StartRun(request) => self.start_run(request).await?,
                Action::CancelRun { version } => self.cancel_run(*version).await?,
                Action::Serve {
                    version,
                    digest,
                    tables_digest,
                    candidate,
                    traffic,
                } => {
                    let served = ServedDigests {
                        version: *version,
                        digest: digest.clone(),
                        tables_digest: tables_digest.clone(),
                        candidate: candidate.as_deref().cloned(),
                    };
                    // Before the pods that mount it.
                    if let Some(traffic) = traffic {
                        let wanted = build::traffic(self.owner, traffic);
                        let Self { context, owner, .. } = self;
                        context
                            .applied
                            .ensure(&context.calls, owner, wanted)
                            .await?;
                    }
                    self.serve(&served).await?;
                }
                Action::RetainJobs {
                    versions,
                    refreshes,
                } => self.retain_jobs(versions, refreshes).await?,
            }
        }
        Ok(())
    }

    /// A Job is created and never changed: its template is immutable, and its name is the lock that
    /// keeps a run from having two.
    async fn start_run(&self, request: &JobRequest) -> Result<(), Error> {
        let Self {
            context,
            owner,
            model,
            ..
        } = self;
        let name = searchop_lifecycle::job_name(&owner.name, request);
        if self
            .world
            .job
            .as_ref()
            .is_some_and(|job| job.name_any() == name)
        {
            return Ok(());
        }
        let job = build::job(owner, &model.spec, &context.images, request)?;
        match context.calls.create(&job).await {
            Err(error) if already_exists(&error) => self.is_ours(&name).await,
            other => other.map(drop),
        }
    }

    async fn is_ours(&self, name: &str) -> Result<(), Error> {
        let found: Option<Job> = self.context.calls.get(&self.owner.namespace, name).await?;
        match found {
            Some(job) if !self.owner.owns(&job.metadata) => Err(Error::NameConflict {
                kind: "Job".to_owned(),
                name: name.to_owned(),
            }),
            // Ours, or gone again already: the next look tells.
            _ => Ok(()),
        }
    }

    async fn jobs(&self) -> Result<Vec<Job>, Error> {
        let selector = build::model_selector(self.owner);
        let jobs: Vec<Job> = self
            .context
            .calls
            .list(&self.owner.namespace, &selector)
            .await?;
        Ok(jobs
            .into_iter()
            .filter(|job| self.owner.owns(&job.metadata) && !is_being_deleted(job))
            .collect())
    }

    async fn cancel_run(&self, version: i32) -> Result<(), Error> {
        for job in self.jobs().await? {
            if number(&job, labels::VERSION) == Some(version) && !is_finished(&job) {
                self.context.calls.delete_after_its_children(&job).await?;
            }
        }
        Ok(())
    }

    async fn retain_jobs(&self, versions: &[i32], refreshes: &[i32]) -> Result<(), Error> {
        let kept = |job: &Job, label, numbers: &[i32]| {
            number(job, label).is_some_and(|number| numbers.contains(&number))
        };
        for job in self.jobs().await? {
            if !kept(&job, labels::VERSION, versions) && !kept(&job, labels::REFRESH, refreshes) {
                self.context.calls.delete_after_its_children(&job).await?;
            }
        }
        Ok(())
    }

    /// The order matters where a mode changes: the autoscaler that is no longer wanted goes before
    /// a fixed number is written, or the two would fight.
    async fn serve(&self, served: &ServedDigests) -> Result<(), Error> {
        let Self {
            context,
            owner,
            model,
            ..
        } = self;
        let (calls, applied) = (&context.calls, &context.applied);
        let serving = &model.spec.serving;
        let scales_itself = serving.autoscaling.mode == AutoscalingMode::HPA;
        applied.ensure(calls, owner, build::service(owner)).await?;
        let images = images(&context.images, self.world.deployment.as_ref(), served);
        let wanted = build::deployment(owner, &model.spec, &images, served);
        let deployment = applied.ensure(calls, owner, wanted).await?;
        if !scales_itself {
            self.retire_autoscaler().await?;
        }
        let known = model.status.as_ref().and_then(|status| status.replicas);
        if let Some(replicas) = replicas_to_write(&deployment, serving, known) {
            calls.scale(&deployment, replicas).await?;
        }
        if scales_itself {
            let wanted = build::horizontal_pod_autoscaler(owner, &serving.autoscaling);
            applied.ensure(calls, owner, wanted).await?;
        }
        applied
            .ensure(calls, owner, build::pod_disruption_budget(owner))
            .await?;
        Ok(())
    }

    async fn retire_autoscaler(&self) -> Result<(), Error> {
        let name = build::ranker_name(&self.owner.name);
        let calls = &self.context.calls;
        let found: Option<HorizontalPodAutoscaler> =
            calls.get(&self.owner.namespace, &name).await?;
        match found {
            Some(autoscaler)
                if self.owner.owns(&autoscaler.metadata) && !is_being_deleted(&autoscaler) =>
            {
                calls.delete(&autoscaler).await
            }
            _ => Ok(()),
        }
    }
}

/// Of a version, or of a refresh.
fn number(job: &Job, label: &str) -> Option<i32> {
    job.labels().get(label)?.parse().ok()
}

/// The number of pods to write, if it is ours to write. In mode Fixed whenever it differs;
/// otherwise once, as long as nobody owns the number: what the server filled in belongs to no
/// manager. `known` is how many there were, so that a Deployment that was deleted comes back at its
/// size.
fn replicas_to_write(
    deployment: &Deployment,
    serving: &Serving,
    known: Option<i32>,
) -> Option<i32> {
    let bounds = &serving.autoscaling;
    let known = known.unwrap_or(0);
    match bounds.mode {
        AutoscalingMode::Fixed => {
            let current = deployment.spec.as_ref().and_then(|spec| spec.replicas);
            (current != Some(serving.replicas)).then_some(serving.replicas)
        }
        _ if has_owner_of_replicas(deployment) => None,
        AutoscalingMode::External => Some(serving.replicas.max(known)),
        AutoscalingMode::HPA => Some(known.min(bounds.max_replicas).max(bounds.min_replicas)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(replicas: i32, scaled_by: Option<&str>) -> Deployment {
        let mut managed = vec![json!({
            "manager": "searchop", "operation": "Apply", "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {"f:template": {}}}
        })];
        managed.extend(scaled_by.map(|manager| {
            json!({
                "manager": manager, "operation": "Update", "subresource": "scale", "apiVersion": "apps/v1",
                "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:replicas": {}}}
            })
        }));
        serde_json::from_value(json!({
            "metadata": {"name": "a", "managedFields": managed},
            "spec": {"replicas": replicas, "selector": {}, "template": {}}
        }))
        .unwrap()
    }

    fn serving(mode: AutoscalingMode) -> Serving {
        let mut serving = Serving {
            replicas: 4,
            ..Serving::default()
        };
        serving.autoscaling.mode = mode;
        serving.autoscaling.min_replicas = 3;
        serving.autoscaling.max_replicas = 6;
        serving
    }

    #[test]
    fn replicas_are_written_once_unless_they_are_fixed() {
        use AutoscalingMode::{External, Fixed, HPA};
        let scaler = Some("kube-controller-manager");
        let table = [
            // New, or defaulted by the server after a crash right after the apply.
            ((1, None), HPA, None, Some(3)),
            ((1, None), HPA, Some(5), Some(5)),
            ((1, None), HPA, Some(50), Some(6)),
            ((1, None), External, None, Some(4)),
            ((1, None), External, Some(9), Some(9)),
            ((1, None), Fixed, Some(9), Some(4)),
            // Somebody owns the number.
            ((1, scaler), HPA, Some(5), None),
            ((5, scaler), HPA, None, None),
            ((1, scaler), External, None, None),
            ((5, scaler), Fixed, None, Some(4)),
            ((4, scaler), Fixed, None, None),
        ];
        for ((replicas, owner), mode, known, expected) in table {
            let written = replicas_to_write(&deployment(replicas, owner), &serving(mode), known);
            assert_eq!(
                written, expected,
                "{replicas} owned by {owner:?}, {mode:?}, {known:?} known"
            );
        }
        // Owned once it is written, even where the number was right already.
        assert_eq!(
            replicas_to_write(&deployment(3, None), &serving(HPA), None),
            Some(3)
        );
    }
}

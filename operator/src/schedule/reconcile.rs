//! The shell of one look at a schedule.

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use kube::{Resource, ResourceExt, runtime::controller::Action};
use searchop_api::{RankingModel, RetrainSchedule, RetrainScheduleSpec};
use searchop_lifecycle::{ObservedModel, ObservedSchedule, plan_schedule, selects};
use serde_json::json;

use crate::runtime::{
    Context, Error,
    reconciler::{is_being_deleted, pause},
    status::differs,
};

/// Deals with the ticks of one schedule. The request goes out before the status is written: it
/// names its tick, so asking again after a crash is the same as asking once.
pub fn reconcile(
    context: Arc<Context>,
    known: RetrainSchedule,
) -> BoxFuture<'static, Result<Action, Error>> {
    async move {
        let (namespace, name) = (known.namespace().unwrap_or_default(), known.name_any());
        let found: Option<RetrainSchedule> = context.calls.get(&namespace, &name).await?;
        match found {
            Some(schedule) if schedule.uid() == known.uid() && !is_being_deleted(&schedule) => {
                advance(&context, &namespace, schedule).await
            }
            _ => Ok(Action::await_change()),
        }
    }
    .boxed()
}

async fn advance(
    context: &Context,
    namespace: &str,
    mut schedule: RetrainSchedule,
) -> Result<Action, Error> {
    let models = selected(context, namespace, &schedule.spec).await?;
    let seen = observed(&schedule, &models, (context.now)());
    let planned = plan_schedule(&seen);
    for asking in &planned.requests {
        let annotations = json!({schedule.spec.action.annotation(): asking.request});
        for model in models.iter().filter(|one| one.name_any() == asking.model) {
            context.calls.annotate(model, annotations.clone()).await?;
        }
    }
    if differs(schedule.status.as_ref(), &planned.status) {
        schedule.status = Some(planned.status);
        schedule.metadata.managed_fields = None;
        let stored = context.calls.replace_status(&schedule).await?;
        context
            .events
            .publish(&stored.object_ref(&()), &planned.notes)
            .await;
    }
    Ok(Action::requeue(pause(planned.wake_at, seen.now)))
}

/// The models that the schedule asks.
async fn selected(
    context: &Context,
    namespace: &str,
    spec: &RetrainScheduleSpec,
) -> Result<Vec<RankingModel>, Error> {
    let calls = &context.calls;
    let mut models: Vec<RankingModel> = match &spec.model_ref {
        Some(reference) => calls
            .get(namespace, &reference.name)
            .await?
            .into_iter()
            .collect(),
        None => calls.list_readable(namespace).await?,
    };
    models.retain(|model| selects(spec, model) && !is_being_deleted(model));
    Ok(models)
}

fn observed(
    schedule: &RetrainSchedule,
    models: &[RankingModel],
    now: jiff::Timestamp,
) -> ObservedSchedule {
    ObservedSchedule {
        namespace: schedule.namespace().unwrap_or_default(),
        name: schedule.name_any(),
        generation: schedule.metadata.generation.unwrap_or_default(),
        spec: schedule.spec.clone(),
        status: schedule.status.clone().unwrap_or_default(),
        models: models
            .iter()
            .map(|model| ObservedModel::of(model, schedule.spec.action, now))
            .collect(),
        now,
    }
}

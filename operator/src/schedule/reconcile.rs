//! The shell of one look at a schedule.

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use kube::{Resource, ResourceExt, runtime::controller::Action};
use searchop_api::{RankingModel, RetrainSchedule};
use searchop_lifecycle::{ObservedModel, ObservedSchedule, plan_schedule};
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
    let model: Option<RankingModel> = context
        .calls
        .get(namespace, &schedule.spec.model_ref.name)
        .await?;
    let model = model.filter(|model| !is_being_deleted(model));
    let seen = observed(&schedule, model.as_ref(), (context.now)());
    let planned = plan_schedule(&seen);
    if let (Some(request), Some(model)) = (&planned.request, &model) {
        context
            .calls
            .annotate(model, json!({schedule.spec.action.annotation(): request}))
            .await?;
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

fn observed(
    schedule: &RetrainSchedule,
    model: Option<&RankingModel>,
    now: jiff::Timestamp,
) -> ObservedSchedule {
    ObservedSchedule {
        namespace: schedule.namespace().unwrap_or_default(),
        name: schedule.name_any(),
        generation: schedule.metadata.generation.unwrap_or_default(),
        spec: schedule.spec.clone(),
        status: schedule.status.clone().unwrap_or_default(),
        model: model.map(|model| ObservedModel::of(model, schedule.spec.action)),
        now,
    }
}

//! The shell of one reconcile.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use kube::{Resource, runtime::controller::Action};
use searchop_api::{RankingModel, RankingModelStatus};
use searchop_lifecycle::{Note, NoteType, Observed, ObservedJob, Plan, plan};

use super::{
    drift,
    execute::Scene,
    observe::{Viewpoint, World, is_canary, observe},
    serving_state::{self, is_rolling_out},
};
use crate::{
    build::Owner,
    runtime::{
        Context, Error,
        reconciler::{is_being_deleted, pause},
        status::{Obstacle, differs, hindered},
    },
};

/// Facts may lead to facts, but not for ever.
const PASSES: usize = 6;
/// Pods are not watched; why one does not start, and what it reports of a canary, is looked up this
/// often while a Job is active or a version is rolled out.
const WHILE_UNDER_WAY: Duration = Duration::from_secs(10);

/// Brings one model a step further. `known` may be old: facts are read from the server, so that
/// nothing is done twice, or undone, because a cache lags behind our own writes.
pub fn reconcile(
    context: Arc<Context>,
    known: RankingModel,
) -> BoxFuture<'static, Result<Action, Error>> {
    async move {
        let Some(owner) = Owner::of(&known) else {
            return Ok(Action::await_change());
        };
        let found: Option<RankingModel> = context.calls.get(&owner.namespace, &owner.name).await?;
        match found {
            Some(model)
                if Owner::of(&model).as_ref() == Some(&owner) && !is_being_deleted(&model) =>
            {
                advance(&context, &owner, model).await
            }
            // Its children go with it.
            _ => Ok(Action::await_change()),
        }
    }
    .boxed()
}

async fn advance(
    context: &Context,
    owner: &Owner,
    mut model: RankingModel,
) -> Result<Action, Error> {
    for _ in 0..PASSES {
        let world = World {
            drift: context.drift.known(owner),
            ..observe(&context.calls, owner, &model).await?
        };
        let viewpoint = Viewpoint {
            owner,
            images: &context.images,
            now: (context.now)(),
        };
        let seen = viewpoint.observed(&model, &world);
        let planned = plan(&seen);
        if !planned.facts_changed {
            return act(context, owner, (&model, &world), planned, &seen).await;
        }
        model = store(context, model, planned.status, &planned.notes).await?;
    }
    Ok(Action::requeue(Duration::from_secs(1)))
}

/// The facts are stored: makes the world match them.
async fn act(
    context: &Context,
    owner: &Owner,
    (model, world): (&RankingModel, &World),
    planned: Plan,
    seen: &Observed,
) -> Result<Action, Error> {
    let scene = Scene {
        context,
        owner,
        model,
        world,
    };
    let done = scene.execute(&planned.actions).await;
    let (mut status, mut notes) = (planned.status, planned.notes);
    if let Err(error) = &done
        && let Some(reason) = error.obstacle()
    {
        let message = error.to_string();
        let obstacle = Obstacle {
            reason,
            message: &message,
            generation: seen.generation,
            now: seen.now,
        };
        status = hindered(status, &obstacle);
        notes.push(Note {
            kind: NoteType::Warning,
            reason,
            message,
        });
    }
    if differs(model.status.as_ref(), &status) {
        store(context, model.clone(), status, &notes).await?;
    }
    done?;
    let training = matches!(
        seen.job,
        Some(ObservedJob::Active { .. } | ObservedJob::Blocked { .. })
    );
    let rolling_out = is_canary(model) || world.deployment.as_ref().is_some_and(is_rolling_out);
    let answers = world
        .deployment
        .as_ref()
        .is_some_and(serving_state::answers);
    let next_look = match answers {
        true => drift::look(context, owner, model).await,
        false => None,
    };
    let moments = [planned.wake_at, next_look];
    let pause = pause(moments.into_iter().flatten().min(), seen.now);
    Ok(Action::requeue(if training || rolling_out {
        pause.min(WHILE_UNDER_WAY)
    } else {
        pause
    }))
}

/// Writes the status on condition that the model is as it was read, then tells. What is told is
/// tied to a write: a plan that changes nothing says nothing, however often it is made.
async fn store(
    context: &Context,
    mut model: RankingModel,
    status: RankingModelStatus,
    notes: &[Note],
) -> Result<RankingModel, Error> {
    let before = outcome(model.status.as_ref());
    let now = outcome(Some(&status));
    model.status = Some(status);
    model.metadata.managed_fields = None;
    let stored = context.calls.replace_status(&model).await?;
    if before != now
        && let Some((_, outcome)) = now
    {
        context.metrics.run_ended(outcome);
    }
    context.events.publish(&stored.object_ref(&()), notes).await;
    Ok(stored)
}

fn outcome(status: Option<&RankingModelStatus>) -> Option<(i32, searchop_api::Outcome)> {
    let run = status?.run.as_ref()?;
    Some((run.version, run.outcome?))
}

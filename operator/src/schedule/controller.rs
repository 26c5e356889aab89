//! What makes a schedule be looked at.

use std::sync::Arc;

use futures::{StreamExt, stream::select};
use kube::{
    ResourceExt,
    runtime::{
        controller::{trigger_self, trigger_with},
        reflector::{ObjectRef, Store},
    },
};
use searchop_api::{RankingModel, RetrainSchedule};
use tokio_util::sync::CancellationToken;

use super::reconcile;
use crate::runtime::{
    Context,
    reconciler::{Guarded, Reconciler},
    watch::Scope,
};

/// Runs the controller until `stop`; then finishes what was begun.
pub async fn run(context: Arc<Context>, scope: Scope, stop: CancellationToken) {
    let (store, schedules) = scope.cached::<Guarded<RetrainSchedule>>();
    let known = store.clone();
    let models = scope.changes::<Guarded<RankingModel>>("");
    let asked = trigger_with(models, move |model: Guarded<RankingModel>| {
        of_model(&known, &model)
    });
    let queue = select(
        trigger_self::<Guarded<RetrainSchedule>, _>(schedules, ()).boxed(),
        asked.boxed(),
    )
    .take_until(stop.cancelled_owned());
    Reconciler {
        name: "retrainschedule",
        store,
        reconcile,
    }
    .run(context, queue)
    .await;
}

/// The schedules that a change of the model may concern: one that selects by labels may wait for it
/// to end, also where it lost the label.
fn of_model(
    schedules: &Store<Guarded<RetrainSchedule>>,
    model: &Guarded<RankingModel>,
) -> Vec<ObjectRef<Guarded<RetrainSchedule>>> {
    let (namespace, name) = (model.namespace(), model.name_any());
    let points_here = |schedule: &Arc<Guarded<RetrainSchedule>>| {
        schedule.namespace() == namespace
            && schedule.0.as_ref().is_ok_and(|schedule| {
                let reference = schedule.spec.model_ref.as_ref();
                reference.is_none_or(|reference| reference.name == name)
            })
    };
    schedules
        .state()
        .iter()
        .filter(|schedule| points_here(schedule))
        .map(|found| ObjectRef::from_obj(&**found))
        .collect()
}

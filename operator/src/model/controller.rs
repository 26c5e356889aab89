//! What makes a model be looked at.

use std::sync::Arc;

use futures::{StreamExt, stream::select_all};
use k8s_openapi::api::{
    apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler, batch::v1::Job,
    core::v1::Service, policy::v1::PodDisruptionBudget,
};
use kube::{
    ResourceExt,
    core::PartialObjectMeta,
    runtime::{
        controller::{trigger_owners, trigger_self, trigger_with},
        reflector::{ObjectRef, Store},
    },
};
use searchop_api::{RankingModel, RetrainSchedule};
use searchop_lifecycle::selects;
use tokio_util::sync::CancellationToken;

use super::reconcile;
use crate::{
    build::MANAGED,
    runtime::{
        Context,
        http::Health,
        reconciler::{Guarded, Reconciler, Request},
        watch::{Scope, Watched},
    },
};

type Queue = futures::stream::BoxStream<'static, Request<RankingModel>>;

/// Runs the controller until `stop`; then finishes what was begun.
pub async fn run(
    context: Arc<Context>,
    scope: Scope,
    health: Arc<Health>,
    stop: CancellationToken,
) {
    let (store, models) = scope.cached::<Guarded<RankingModel>>();
    context.show_models(Some(store.clone()));
    let queue = select_all([
        trigger_self::<Guarded<RankingModel>, _>(models, ()).boxed(),
        owned::<Job>(&scope),
        owned::<Deployment>(&scope),
        owned::<Service>(&scope),
        owned::<HorizontalPodAutoscaler>(&scope),
        owned::<PodDisruptionBudget>(&scope),
        scheduled(&scope, store.clone()),
    ])
    .take_until(stop.cancelled_owned());
    let ready = store.clone();
    let reconciler = Reconciler {
        name: "rankingmodel",
        store,
        reconcile,
    };
    let synced = async {
        if ready.wait_until_ready().await.is_ok() {
            health.is_synced();
        }
    };
    tokio::join!(reconciler.run(context.clone(), queue), synced);
}

/// Each change of a child, its deletion above all, brings up its owner. Metadata suffice.
fn owned<K>(scope: &Scope) -> Queue
where
    K: kube::Resource<DynamicType = ()>,
    PartialObjectMeta<K>: Watched + kube::Resource<DynamicType = ()>,
{
    let changes = scope.changes::<PartialObjectMeta<K>>(MANAGED);
    trigger_owners::<Guarded<RankingModel>, _>(changes, (), ()).boxed()
}

/// A schedule's next tick is shown by its models.
fn scheduled(scope: &Scope, models: Store<Guarded<RankingModel>>) -> Queue {
    let schedules = scope.changes::<Guarded<RetrainSchedule>>("");
    trigger_with(schedules, move |schedule: Guarded<RetrainSchedule>| {
        let namespace = schedule.namespace();
        let is_asked = |model: &Arc<Guarded<RankingModel>>| {
            let both = model.0.as_ref().ok().zip(schedule.0.as_ref().ok());
            model.namespace() == namespace
                && both.is_some_and(|(model, schedule)| selects(&schedule.spec, model))
        };
        let known = models.state();
        let asked = known.iter().filter(|model| is_asked(model));
        asked
            .map(|model| ObjectRef::from_obj(&**model))
            .collect::<Vec<_>>()
    })
    .boxed()
}

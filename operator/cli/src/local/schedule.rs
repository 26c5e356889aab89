//! What a schedule sees of the model beside it.

use jiff::Timestamp;
use kube::ResourceExt;
use searchop_api::{RankingModel, RetrainSchedule};
use searchop_contract::labels;
use searchop_lifecycle::{ObservedModel, ObservedSchedule};

pub fn observe_schedule(
    schedule: &RetrainSchedule,
    model: &RankingModel,
    now: Timestamp,
) -> ObservedSchedule {
    let is_ours = schedule.spec.model_ref.name == model.name_any();
    ObservedSchedule {
        namespace: schedule.namespace().unwrap_or_default(),
        name: schedule.name_any(),
        generation: schedule.metadata.generation.unwrap_or(1),
        spec: schedule.spec.clone(),
        status: schedule.status.clone().unwrap_or_default(),
        model: is_ours.then(|| observe_model(model)),
        now,
    }
}

fn observe_model(model: &RankingModel) -> ObservedModel {
    let status = model.status.as_ref();
    ObservedModel {
        suspended: model.spec.suspend,
        run_active: status
            .and_then(|status| status.run.as_ref())
            .is_some_and(|run| run.outcome.is_none()),
        retrain_request: model.annotations().get(labels::RETRAIN_REQUESTED).cloned(),
        last_handled_request: status.and_then(|status| status.last_handled_request.clone()),
    }
}

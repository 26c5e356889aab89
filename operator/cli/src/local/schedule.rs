//! What a schedule sees of the model beside it.

use jiff::Timestamp;
use kube::ResourceExt;
use searchop_api::{RankingModel, RetrainSchedule};
use searchop_lifecycle::{ObservedModel, ObservedSchedule, selects};

pub fn observe_schedule(
    schedule: &RetrainSchedule,
    model: &RankingModel,
    now: Timestamp,
) -> ObservedSchedule {
    let asked = selects(&schedule.spec, model);
    let model = asked.then(|| ObservedModel::of(model, schedule.spec.action, now));
    ObservedSchedule {
        namespace: schedule.namespace().unwrap_or_default(),
        name: schedule.name_any(),
        generation: schedule.metadata.generation.unwrap_or(1),
        spec: schedule.spec.clone(),
        status: schedule.status.clone().unwrap_or_default(),
        models: model.into_iter().collect(),
        now,
    }
}

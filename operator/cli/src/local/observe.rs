//! What is: the stored facts and the processes, in the words of the plan.

use jiff::Timestamp;
use searchop_api::{RankingModel, RetrainSchedule};
use searchop_contract::labels;
use searchop_lifecycle::{Observed, ObservedJob, ObservedServing};

/// Everything the plan may know of the model.
pub struct Sight<'a> {
    pub model: &'a RankingModel,
    pub schedules: &'a [RetrainSchedule],
    pub job: Option<ObservedJob>,
    pub serving: ObservedServing,
    pub url: String,
}

pub fn observe(sight: Sight<'_>, now: Timestamp) -> Observed {
    let metadata = &sight.model.metadata;
    let annotations = metadata.annotations.as_ref();
    Observed {
        name: metadata.name.clone().unwrap_or_default(),
        generation: metadata.generation.unwrap_or(1),
        spec: sight.model.spec.clone(),
        status: sight.model.status.clone().unwrap_or_default(),
        retrain_request: annotations
            .and_then(|all| all.get(labels::RETRAIN_REQUESTED))
            .cloned(),
        job: sight.job,
        serving: sight.serving,
        next_retrain: next_retrain(sight.model, sight.schedules),
        url: Some(sight.url),
        selector: None,
        now,
    }
}

/// Earliest next tick of the schedules that point at the model.
fn next_retrain(model: &RankingModel, schedules: &[RetrainSchedule]) -> Option<Timestamp> {
    schedules
        .iter()
        .filter(|schedule| Some(&schedule.spec.model_ref.name) == model.metadata.name.as_ref())
        .filter_map(|schedule| Some(schedule.status.as_ref()?.next_schedule_time.as_ref()?.0))
        .min()
}

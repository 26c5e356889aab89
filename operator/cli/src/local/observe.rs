//! What is: the stored facts and the processes, in the words of the plan.

use jiff::Timestamp;
use searchop_api::{DriftStatus, RankingModel, RetrainSchedule, ScheduleAction, Strategy};
use searchop_contract::labels;
use searchop_lifecycle::{Observed, ObservedJob, ObservedServing, selects};

/// Everything the plan may know of the model.
pub struct Sight<'a> {
    pub model: &'a RankingModel,
    pub schedules: &'a [RetrainSchedule],
    pub job: Option<ObservedJob>,
    pub serving: ObservedServing,
    pub drift: Option<DriftStatus>,
    pub url: String,
}

pub fn observe(sight: Sight<'_>, now: Timestamp) -> Observed {
    let metadata = &sight.model.metadata;
    let annotations = metadata.annotations.as_ref();
    // One process answers, so there is nothing to share requests among.
    let mut spec = sight.model.spec.clone();
    spec.rollout.strategy = Strategy::RollingUpdate;
    let annotation = |key| annotations.and_then(|all| all.get(key)).cloned();
    Observed {
        name: metadata.name.clone().unwrap_or_default(),
        generation: metadata.generation.unwrap_or(1),
        spec,
        status: sight.model.status.clone().unwrap_or_default(),
        retrain_request: annotation(labels::RETRAIN_REQUESTED),
        refresh_request: annotation(labels::REFRESH_REQUESTED),
        job: sight.job,
        serving: sight.serving,
        drift: sight.drift,
        next_retrain: next_retrain(sight.model, sight.schedules),
        url: Some(sight.url),
        selector: None,
        now,
    }
}

/// Earliest tick at which the schedules that point at the model ask for a retrain.
fn next_retrain(model: &RankingModel, schedules: &[RetrainSchedule]) -> Option<Timestamp> {
    schedules
        .iter()
        .filter(|schedule| selects(&schedule.spec, model))
        .filter(|schedule| schedule.spec.action == ScheduleAction::Retrain)
        .filter_map(|schedule| Some(schedule.status.as_ref()?.next_schedule_time.as_ref()?.0))
        .min()
}

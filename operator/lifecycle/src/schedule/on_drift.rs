//! Drift asks for a retrain: once a drifted window, and not too often.
//!
//! A window is dealt with once, whatever came of it; as long as requests stay unlike what they were,
//! the next one asks again. The request names the end of its window, so that asking twice is asking
//! once.

use jiff::{SignedDuration, Timestamp};
use searchop_api::{ConcurrencyPolicy, OnDrift, Trigger};

use super::{Asking, ObservedModel, ObservedSchedule, SchedulePlan, record, skip, warning};
use crate::{
    Note, NoteType, RetrainRequest, selection::selected, ticks::blackout_at, time::stored,
};

const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Deals with the newest drifted window, if there is one that is not dealt with.
pub(super) fn look(seen: &ObservedSchedule, plan: &mut SchedulePlan) {
    let (Some(rules), Some(model)) = (&seen.spec.on_drift, seen.models.first()) else {
        return;
    };
    let done = plan.status.last_drift_time.as_ref().map(|time| time.0);
    let window = model
        .drifted
        .filter(|window| done.is_none_or(|done| done < *window));
    let Some(window) = window.filter(|_| !seen.spec.suspend) else {
        return;
    };
    // The model has one annotation, and a tick has just written it.
    if !plan.requests.is_empty() {
        return;
    }
    let asked = &mut plan.status.drift_request_times;
    asked.retain(|time| seen.now < time.0 + WEEK);
    let asked: Vec<Timestamp> = asked.iter().map(|time| time.0).collect();
    let occasion = (window, Some(Trigger::Drift));
    let name = selected(&seen.spec);
    match decide(seen, (rules, &asked), (model, window)) {
        Ok(request) => {
            record(&mut plan.status, occasion, "Requested");
            plan.status.drift_request_times.insert(0, stored(seen.now));
            plan.requests.extend(request.map(|request| Asking {
                model: model.name.clone(),
                request,
            }));
            plan.notes.push(Note {
                kind: NoteType::Normal,
                reason: "RetrainRequested",
                message: format!(
                    "asked {name} for a retrain: its requests up to {window} have drifted"
                ),
            });
        }
        Err(reason) => {
            skip(&mut plan.status, occasion, reason);
            let message = format!(
                "requests of {name} up to {window} have drifted, and nothing was asked for: {reason}"
            );
            plan.notes.push(warning("DriftSkipped", message));
        }
    }
    plan.status.last_drift_time = Some(stored(window));
}

/// The request for a window (`None` where it has been written already), or why there is none.
/// `asked` is when drift asked in the last week, newest first.
fn decide(
    seen: &ObservedSchedule,
    (rules, asked): (&OnDrift, &[Timestamp]),
    (model, window): (&ObservedModel, Timestamp),
) -> Result<Option<String>, &'static str> {
    let request = |replace| RetrainRequest {
        trigger: Trigger::Drift,
        requester: seen.name.clone(),
        replace,
        if_data_changed: seen.spec.skip_if_data_unchanged,
        time: window,
    };
    // Asked before, and the status was not written.
    let known = |text: &Option<String>| text.as_ref()?.parse::<RetrainRequest>().ok();
    let (pending, handled) = (known(&model.request), known(&model.last_handled));
    let ours = [false, true].map(request);
    if [&pending, &handled]
        .into_iter()
        .flatten()
        .any(|found| ours.contains(found))
    {
        return Ok(None);
    }
    let handled = handled.map(|request| request.time);
    let cooldown = SignedDuration::from_secs(rules.cooldown_seconds.into());
    let budget = usize::try_from(rules.max_per_week).unwrap_or(0);
    if blackout_at(&seen.spec.blackouts, seen.now).is_some() {
        return Err("Blackout");
    }
    if model.suspended {
        return Err("ModelSuspended");
    }
    if handled.is_some_and(|handled| handled >= window) {
        return Err("RetrainedSince");
    }
    if pending.is_some_and(|one| handled.is_none_or(|handled| one.time > handled)) {
        return Err("RequestPending");
    }
    if model.active && seen.spec.concurrency_policy == ConcurrencyPolicy::Forbid {
        return Err("RunActive");
    }
    if asked
        .first()
        .is_some_and(|last| seen.now < *last + cooldown)
    {
        return Err("Cooldown");
    }
    if asked.len() >= budget {
        return Err("WeeklyBudget");
    }
    Ok(Some(request(model.active).to_string()))
}

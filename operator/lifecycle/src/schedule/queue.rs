//! Turns: which of the models that a tick asks is asked now?
//!
//! In the order of their names. One whose turn has come is asked or skipped at once, unless as many
//! as `parallelism` are at work: then it waits, with all behind it, for one of those to end. Only the
//! last model that was dealt with is a fact, so that a queue of any length is a line of status, and a
//! model that is made, labelled or deleted meanwhile has its turn or none.

use searchop_api::{ConcurrencyPolicy, ScheduleAction, SkippedTick, TickQueue, Trigger};

use super::{ObservedModel, ObservedSchedule, SchedulePlan, warning};
use crate::{Note, NoteType, RetrainRequest, Tick, time::stored};

/// Models that are named in a message.
const MAX_NAMED: usize = 10;

/// A request for a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    /// Name of the model.
    pub model: String,
    /// Value of the annotation of the schedule's action.
    pub request: String,
}

/// Begins a tick: all its models wait.
pub(super) fn begin(seen: &ObservedSchedule, tick: Tick, plan: &mut SchedulePlan) {
    plan.status.queue = Some(fresh(tick));
    super::record(&mut plan.status, (tick.time, None), "Waiting");
    advance(seen, false, plan);
}

/// A model was asked for this tick before, and the status was not written.
pub(super) fn has_begun(seen: &ObservedSchedule, tick: Tick) -> bool {
    let queue = fresh(tick);
    let asked = |model| was_asked(seen, &queue, model);
    seen.models.iter().any(asked)
}

fn fresh(tick: Tick) -> TickQueue {
    TickQueue {
        time: stored(tick.time),
        due_time: stored(tick.due),
        after_model: None,
        requested: 0,
        skipped: 0,
    }
}

/// Asks and skips until one has to wait, or none is left.
pub(super) fn advance(seen: &ObservedSchedule, blackout: bool, plan: &mut SchedulePlan) {
    let Some(mut queue) = plan.status.queue.take() else {
        return;
    };
    let mut turns = Turns::default();
    let works = |model: &&ObservedModel, requests: &[Asking]| {
        model.at_work || requests.iter().any(|asking| asking.model == model.name)
    };
    let most = match seen.spec.model_selector {
        Some(_) => usize::try_from(seen.spec.parallelism).unwrap_or(1),
        None => usize::MAX,
    };
    for model in waiting(seen, &queue) {
        let requests = &plan.requests;
        let at_work = seen.models.iter().filter(|one| works(one, requests));
        let has_room = works(&model, requests) || at_work.count() < most;
        if was_asked(seen, &queue, model) {
            turns.asked.push(model.name.clone());
        } else if let Some(reason) = obstacle(seen, model, blackout) {
            turns.skipped.push((model.name.clone(), reason));
        } else if has_room {
            turns.asked.push(model.name.clone());
            // Of two ticks in one look the later one counts.
            plan.requests.retain(|asking| asking.model != model.name);
            plan.requests.push(Asking {
                model: model.name.clone(),
                request: request(seen, &queue, model.active).to_string(),
            });
        } else {
            break;
        }
        queue.after_model = Some(model.name.clone());
    }
    let count = |list: usize| i32::try_from(list).unwrap_or(i32::MAX);
    queue.requested = queue.requested.saturating_add(count(turns.asked.len()));
    queue.skipped = queue.skipped.saturating_add(count(turns.skipped.len()));
    let left = waiting(seen, &queue).count();
    turns.tell(seen, &queue, plan);
    let reason = turns.skipped.last().map(|(_, reason)| *reason);
    record(seen, &queue, (count(left), reason), plan);
    plan.status.queue = (left > 0).then_some(queue);
}

/// Gives the rest of a tick up.
pub(super) fn abandon(seen: &ObservedSchedule, reason: &'static str, plan: &mut SchedulePlan) {
    let Some(mut queue) = plan.status.queue.take() else {
        return;
    };
    let skipped = waiting(seen, &queue).map(|model| (model.name.clone(), reason));
    let turns = Turns {
        asked: Vec::new(),
        skipped: skipped.collect(),
    };
    let count = i32::try_from(turns.skipped.len()).unwrap_or(i32::MAX);
    queue.skipped = queue.skipped.saturating_add(count);
    turns.tell(seen, &queue, plan);
    record(seen, &queue, (0, Some(reason)), plan);
}

/// Models whose turn is to come, in order.
fn waiting<'a>(
    seen: &'a ObservedSchedule,
    queue: &TickQueue,
) -> impl Iterator<Item = &'a ObservedModel> + use<'a> {
    let after = queue.after_model.clone();
    let mut models: Vec<&ObservedModel> = seen
        .models
        .iter()
        .filter(|model| after.as_ref().is_none_or(|after| model.name > *after))
        .collect();
    models.sort_by(|a, b| a.name.cmp(&b.name));
    models.into_iter()
}

fn request(seen: &ObservedSchedule, queue: &TickQueue, replace: bool) -> RetrainRequest {
    RetrainRequest {
        trigger: Trigger::Schedule,
        requester: seen.name.clone(),
        replace,
        if_data_changed: seen.spec.skip_if_data_unchanged,
        time: queue.due_time.0,
    }
}

/// Asked for this tick, or a later one, and the status was not written: what the model runs now may
/// be what was asked for.
fn was_asked(seen: &ObservedSchedule, queue: &TickQueue, model: &ObservedModel) -> bool {
    let ours = |text: &String| {
        text.parse().is_ok_and(|asked: RetrainRequest| {
            asked.trigger == Trigger::Schedule
                && asked.requester == seen.name
                && asked.time >= queue.due_time.0
        })
    };
    model.request.as_ref().is_some_and(ours) || model.last_handled.as_ref().is_some_and(ours)
}

/// Why a model whose turn has come is not asked.
fn obstacle(
    seen: &ObservedSchedule,
    model: &ObservedModel,
    blackout: bool,
) -> Option<&'static str> {
    let busy = model.active && seen.spec.concurrency_policy == ConcurrencyPolicy::Forbid;
    match (blackout, model.suspended, busy) {
        (true, ..) => Some("Blackout"),
        (_, true, _) => Some("ModelSuspended"),
        (.., true) => Some("RunActive"),
        _ => None,
    }
}

/// What one look at the queue came to.
#[derive(Default)]
struct Turns {
    asked: Vec<String>,
    skipped: Vec<(String, &'static str)>,
}

impl Turns {
    fn tell(&self, seen: &ObservedSchedule, queue: &TickQueue, plan: &mut SchedulePlan) {
        let tick = &queue.time.0;
        if !self.asked.is_empty() {
            let (what, reason) = match seen.spec.action {
                ScheduleAction::Retrain => ("retrain", "RetrainRequested"),
                ScheduleAction::RefreshTables => ("refresh", "RefreshRequested"),
            };
            plan.notes.push(Note {
                kind: NoteType::Normal,
                reason,
                message: format!("asked {} for the {what} of {tick}", named(&self.asked)),
            });
        }
        if !self.skipped.is_empty() {
            let words: Vec<String> = self
                .skipped
                .iter()
                .map(|(name, reason)| format!("{name} ({reason})"))
                .collect();
            let message = match (&seen.spec.model_selector, &self.skipped[..]) {
                (None, [(_, reason), ..]) => format!("nothing was asked for at {tick}: {reason}"),
                _ => format!("not asked at {tick}: {}", named(&words)),
            };
            plan.notes.push(warning("TickSkipped", message));
        }
    }
}

fn named(names: &[String]) -> String {
    let shown = names.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>();
    let rest = match names.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    shown.join(", ") + &rest
}

/// Writes what has come of the tick so far.
fn record(
    seen: &ObservedSchedule,
    queue: &TickQueue,
    (left, reason): (i32, Option<&'static str>),
    plan: &mut SchedulePlan,
) {
    let status = &mut plan.status;
    let outcome = match (queue.requested, reason) {
        (1.., _) => "Requested",
        _ if left > 0 => "Waiting",
        // Those that waited are gone.
        (_, reason) => reason.unwrap_or("NoneSelected"),
    };
    if queue.requested > 0 {
        status.last_schedule_time = Some(queue.time.clone());
    } else if left == 0 {
        status.last_skip = Some(SkippedTick {
            time: queue.time.clone(),
            reason: outcome.to_owned(),
        });
    }
    let counted = |count: i32| seen.spec.model_selector.as_ref().map(|_| count);
    let mut recent = status.recent.iter_mut();
    if let Some(tick) = recent.find(|tick| tick.trigger.is_none() && tick.time == queue.time) {
        outcome.clone_into(&mut tick.outcome);
        tick.requested = counted(queue.requested);
        tick.skipped = counted(queue.skipped);
        tick.waiting = counted(left);
    }
}

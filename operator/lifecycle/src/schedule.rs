//! The schedule: which tick, and which drifted window, asks for a retrain or a refresh, and what became
//! of the others.
//!
//! A schedule makes no Jobs, it only asks. The request names the tick, so that asking twice is
//! asking once: it is written first, the status after it.
//!
//! `anchorTime` is the instant up to which ticks are dealt with. It moves to the present when the
//! schedule is edited or resumed, so nothing ever fires for the past, and it never moves back by
//! itself, so a clock that jumps back repeats nothing.

mod conditions;
mod on_drift;
mod queue;

use jiff::{SignedDuration, Timestamp};
use searchop_api::{
    ConcurrencyPolicy, RankingModel, RetrainScheduleSpec, RetrainScheduleStatus, ScheduleAction,
    SkippedTick, TickRecord, Trigger,
};
use serde_json::json;

use conditions::Fate;
pub use queue::Asking;

use crate::{
    Note, NoteType, Tick, Ticks, drift, refresh,
    retrain_request::{Asked, Pending, pending},
    run,
    ticks::blackout_at,
    time::{stored, whole_seconds},
    train_hash::digest,
};

/// Ticks that are remembered.
const MAX_RECENT: usize = 20;

/// Everything the plan may know of one schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedSchedule {
    pub namespace: String,
    pub name: String,
    pub generation: i64,
    pub spec: RetrainScheduleSpec,
    /// The stored facts.
    pub status: RetrainScheduleStatus,
    /// The models that it selects, as far as they exist.
    pub models: Vec<ObservedModel>,
    pub now: Timestamp,
}

/// What a schedule knows of a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservedModel {
    pub name: String,
    pub suspended: bool,
    /// What the schedule asks for is under way: a run, or a refresh. The other of the two is no
    /// reason to skip, or a daily refresh would make a weekly retrain miss its tick; it is waited for.
    pub active: bool,
    /// A Job of what the schedule asks for is needed, now or soon: it is asked for, and not yet on its
    /// way to serve. A rollout may take days, and needs no trainer.
    pub at_work: bool,
    /// Value of the annotation that the schedule asks by.
    pub request: Option<String>,
    /// The newest value of it that was acted on.
    pub last_handled: Option<String>,
    /// End of the newest window of requests, where it makes a verdict of drift.
    pub drifted: Option<Timestamp>,
}

impl ObservedModel {
    /// What a schedule of this action knows of `model`.
    pub fn of(model: &RankingModel, action: ScheduleAction, now: Timestamp) -> Self {
        let status = model.status.clone().unwrap_or_default();
        let annotations = model.metadata.annotations.as_ref();
        let request = annotations.and_then(|all| all.get(action.annotation()));
        let drifted = drift::verdict(&model.spec.drift, &status).map(|window| window.end_time.0);
        let on_inconclusive = model.spec.evaluation.on_inconclusive;
        let (active, rolls_out, last_handled, ignored) = match action {
            ScheduleAction::Retrain => (
                run::live(&status).is_some(),
                run::rolling_out(&status, on_inconclusive).is_some(),
                status.last_handled_request,
                status.ignored_request,
            ),
            ScheduleAction::RefreshTables => (
                refresh::live(&status).is_some(),
                false,
                status.refresh.map(|refresh| refresh.request_token),
                status.ignored_refresh,
            ),
        };
        let asked = Asked {
            annotation: request.map(String::as_str),
            handled: last_handled.as_deref(),
            ignored: ignored.as_deref(),
        };
        let waits = !model.spec.suspend && matches!(pending(asked, now), Pending::Request(_));
        Self {
            name: model.metadata.name.clone().unwrap_or_default(),
            suspended: model.spec.suspend,
            active,
            at_work: if active { !rolls_out } else { waits },
            request: request.cloned(),
            last_handled,
            drifted,
        }
    }
}

/// What follows from one look at a schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct SchedulePlan {
    /// The whole new status. A fixed point: planned again from it, nothing differs.
    pub status: RetrainScheduleStatus,
    /// Write these requests to the annotation of the schedule's action before the status.
    pub requests: Vec<Asking>,
    /// What to tell people, after the status is stored.
    pub notes: Vec<Note>,
    /// Look again at this time even if nothing happens: the next tick, covered by a blackout or not.
    pub wake_at: Option<Timestamp>,
}

/// Decides what follows from `observed`.
pub fn plan_schedule(observed: &ObservedSchedule) -> SchedulePlan {
    let seen = &ObservedSchedule {
        now: whole_seconds(observed.now),
        ..observed.clone()
    };
    let mut plan = SchedulePlan {
        status: seen.status.clone(),
        requests: Vec::new(),
        notes: Vec::new(),
        wake_at: None,
    };
    plan.status.observed_generation = Some(seen.generation);
    anchor(seen, &mut plan);
    let fate = match Ticks::of((&seen.namespace, &seen.name), &seen.spec) {
        Ok(Some(ticks)) => {
            if !seen.spec.suspend {
                look_at_ticks(seen, &ticks, &mut plan);
                plan.wake_at = next_tick(seen, &ticks, &plan.status).map(|tick| tick.due);
            }
            let next = next_tick(seen, &ticks, &plan.status)
                .filter(|_| !seen.spec.suspend)
                .and_then(|tick| ticks.first_open(tick));
            plan.status.next_schedule_time = next.map(|tick| stored(tick.due));
            Fate::of(seen, next)
        }
        Ok(None) => {
            plan.status.next_schedule_time = None;
            Fate::of(seen, None)
        }
        Err(error) => {
            plan.status.next_schedule_time = None;
            Fate::unreadable(&error)
        }
    };
    on_drift::look(seen, &mut plan);
    fate.write(seen, &mut plan);
    plan
}

/// Starts counting from now where the schedule is new, edited or resumed. Models that wait for their
/// turn are not asked for what was then.
fn anchor(seen: &ObservedSchedule, plan: &mut SchedulePlan) {
    let spec = &seen.spec;
    let mut meant = json!({
        "schedule": spec.schedule,
        "timeZone": spec.time_zone,
        "jitterSeconds": spec.jitter_seconds,
        "suspend": spec.suspend,
    });
    if let Some(selector) = &spec.model_selector {
        meant["modelSelector"] = json!(selector);
    }
    let hash = digest(&meant);
    let status = &plan.status;
    if status.anchor_hash.as_deref() != Some(&hash) || status.anchor_time.is_none() {
        let reason = if spec.suspend { "Suspended" } else { "Edited" };
        queue::abandon(seen, reason, plan);
        plan.status.anchor_hash = Some(hash);
        plan.status.anchor_time = Some(stored(seen.now));
    }
}

/// The first tick that is not dealt with. It lies after the anchor even where the clock has jumped
/// back behind it.
fn next_tick(
    seen: &ObservedSchedule,
    ticks: &Ticks,
    status: &RetrainScheduleStatus,
) -> Option<Tick> {
    let anchor = status.anchor_time.as_ref().map_or(seen.now, |time| time.0);
    match ticks.next_due(seen.now)? {
        tick if tick.time > anchor => Some(tick),
        _ => ticks.after(anchor),
    }
}

/// Goes on with the tick whose models wait, and deals with every tick since the anchor: the newest
/// may ask, those before it were missed.
fn look_at_ticks(seen: &ObservedSchedule, ticks: &Ticks, plan: &mut SchedulePlan) {
    let blackout = blackout_at(&seen.spec.blackouts, seen.now);
    queue::advance(seen, blackout.is_some(), plan);
    let Some(anchor) = plan.status.anchor_time.as_ref().map(|time| time.0) else {
        return;
    };
    let newest = ticks.newest_due(seen.now).filter(|tick| tick.time > anchor);
    let Some(tick) = newest else {
        return;
    };
    let earlier = missed_before(ticks, tick, anchor);
    for missed in earlier.iter().rev() {
        skip(&mut plan.status, (*missed, None), "Missed");
    }
    if let Some(missed) = earlier.first() {
        let message = format!(
            "ticks before {} were missed, the newest of them {missed}",
            tick.time
        );
        plan.notes.push(warning("TicksMissed", message));
    }
    match obstacle(seen, ticks, tick, &plan.status) {
        None => {
            queue::abandon(seen, "Replaced", plan);
            queue::begin(seen, tick, plan);
        }
        Some(reason) => {
            skip(&mut plan.status, (tick.time, None), reason);
            let message = format!("nothing was asked for at {}: {reason}", tick.time);
            plan.notes.push(warning("TickSkipped", message));
        }
    }
    plan.status.anchor_time = Some(stored(tick.time));
}

/// Times of ticks after the anchor and before the newest, newest first; as many as are remembered.
fn missed_before(ticks: &Ticks, newest: Tick, anchor: Timestamp) -> Vec<Timestamp> {
    std::iter::successors(ticks.before(newest), |tick| ticks.before(*tick))
        .map(|tick| tick.time)
        .take_while(|time| *time > anchor)
        .take(MAX_RECENT - 1)
        .collect()
}

/// Why a tick asks no model at all.
fn obstacle(
    seen: &ObservedSchedule,
    ticks: &Ticks,
    tick: Tick,
    status: &RetrainScheduleStatus,
) -> Option<&'static str> {
    let forbids = seen.spec.concurrency_policy == ConcurrencyPolicy::Forbid;
    let late = seen.now.duration_since(tick.due);
    if seen.models.is_empty() {
        Some(nobody(seen))
    } else if forbids && status.queue.is_some() {
        Some("QueueActive")
    } else if queue::has_begun(seen, tick) {
        None
    } else if late > SignedDuration::from_secs(seen.spec.starting_deadline_seconds) {
        Some("DeadlineExceeded")
    } else {
        ticks.blackout(tick).map(|_| "Blackout")
    }
}

fn nobody(seen: &ObservedSchedule) -> &'static str {
    match seen.spec.model_selector {
        Some(_) => "NoneSelected",
        None => "ModelMissing",
    }
}

/// A tick, or the end of a window and what it is one of.
type Occasion = (Timestamp, Option<Trigger>);

fn skip(status: &mut RetrainScheduleStatus, occasion: Occasion, reason: &str) {
    status.last_skip = Some(SkippedTick {
        time: stored(occasion.0),
        reason: reason.to_owned(),
    });
    record(status, occasion, reason);
}

fn record(status: &mut RetrainScheduleStatus, (time, trigger): Occasion, outcome: &str) {
    status.recent.insert(
        0,
        TickRecord {
            time: stored(time),
            trigger,
            outcome: outcome.to_owned(),
            requested: None,
            skipped: None,
            waiting: None,
        },
    );
    status.recent.truncate(MAX_RECENT);
}

fn warning(reason: &'static str, message: String) -> Note {
    Note {
        kind: NoteType::Warning,
        reason,
        message,
    }
}

#[cfg(test)]
mod tests;

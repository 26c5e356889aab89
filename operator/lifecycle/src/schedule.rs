//! The schedule: which tick, and which drifted window, asks for a retrain or a refresh, and what became
//! of the others.
//!
//! A schedule makes no Jobs, it only asks. The request names the tick, so that asking twice is
//! asking once: it is written first, the status after it.
//!
//! `anchorTime` is the instant up to which ticks are dealt with. It moves to the present when the
//! schedule is edited or resumed, so nothing ever fires for the past, and it never moves back by
//! itself, so a clock that jumps back repeats nothing.

use jiff::{SignedDuration, Timestamp};
use searchop_api::{
    ConcurrencyPolicy, RankingModel, RetrainScheduleSpec, RetrainScheduleStatus, ScheduleAction,
    SkippedTick, TickRecord, Trigger,
    conditions::{ConditionState, ConditionStatus, READY, SCHEDULED, STALLED, find, set_condition},
};
use serde_json::json;

mod on_drift;

use crate::{
    Note, NoteType, RetrainRequest, Tick, Ticks, TicksError, drift, refresh, run,
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
    /// The model that `modelRef` names, if it exists.
    pub model: Option<ObservedModel>,
    pub now: Timestamp,
}

/// What a schedule knows of its model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservedModel {
    pub suspended: bool,
    /// What the schedule asks for is under way: a run, or a refresh. The other of the two is no
    /// reason to skip, or a daily refresh would make a weekly retrain miss its tick; it is waited for.
    pub active: bool,
    /// Value of the annotation that the schedule asks by.
    pub request: Option<String>,
    /// The newest value of it that was acted on.
    pub last_handled: Option<String>,
    /// End of the newest window of requests, where it makes a verdict of drift.
    pub drifted: Option<Timestamp>,
}

impl ObservedModel {
    /// What a schedule of this action knows of `model`.
    pub fn of(model: &RankingModel, action: ScheduleAction) -> Self {
        let status = model.status.clone().unwrap_or_default();
        let annotations = model.metadata.annotations.as_ref();
        let request = annotations.and_then(|all| all.get(action.annotation()));
        let drifted = drift::verdict(&model.spec.drift, &status).map(|window| window.end_time.0);
        let (active, last_handled) = match action {
            ScheduleAction::Retrain => (run::live(&status).is_some(), status.last_handled_request),
            ScheduleAction::RefreshTables => (
                refresh::live(&status).is_some(),
                status.refresh.map(|refresh| refresh.request_token),
            ),
        };
        Self {
            suspended: model.spec.suspend,
            active,
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
    /// Write this request to the annotation of the schedule's action before the status.
    pub request: Option<String>,
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
        request: None,
        notes: Vec::new(),
        wake_at: None,
    };
    plan.status.observed_generation = Some(seen.generation);
    anchor(seen, &mut plan.status);
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
            fate(seen, next)
        }
        Ok(None) => {
            plan.status.next_schedule_time = None;
            fate(seen, None)
        }
        Err(error) => {
            plan.status.next_schedule_time = None;
            unreadable(&error)
        }
    };
    on_drift::look(seen, &mut plan);
    let was_stalled = stalled_reason(&seen.status);
    write_conditions(seen, &fate, &mut plan.status);
    if fate.stalls && was_stalled.as_deref() != Some(fate.reason) {
        plan.notes.push(warning(fate.reason, fate.message));
    }
    plan
}

/// What the conditions say.
struct Fate {
    scheduled: bool,
    /// Only an edit helps.
    stalls: bool,
    reason: &'static str,
    message: String,
}

fn unreadable(error: &TicksError) -> Fate {
    Fate {
        scheduled: false,
        stalls: true,
        reason: match error {
            TicksError::Schedule(_) => "ScheduleInvalid",
            TicksError::TimeZone(_) => "TimeZoneUnknown",
        },
        message: error.to_string(),
    }
}

/// Starts counting from now where the schedule is new, edited or resumed.
fn anchor(seen: &ObservedSchedule, status: &mut RetrainScheduleStatus) {
    let spec = &seen.spec;
    let hash = digest(&json!({
        "schedule": spec.schedule,
        "timeZone": spec.time_zone,
        "jitterSeconds": spec.jitter_seconds,
        "suspend": spec.suspend,
    }));
    if status.anchor_hash.as_deref() != Some(&hash) || status.anchor_time.is_none() {
        status.anchor_hash = Some(hash);
        status.anchor_time = Some(stored(seen.now));
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

/// Deals with every tick since the anchor: the newest may ask, those before it were missed.
fn look_at_ticks(seen: &ObservedSchedule, ticks: &Ticks, plan: &mut SchedulePlan) {
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
    match decide(seen, ticks, tick) {
        Ok(request) => {
            record(&mut plan.status, (tick.time, None), "Requested");
            plan.status.last_schedule_time = Some(stored(tick.time));
            let (what, reason) = match seen.spec.action {
                ScheduleAction::Retrain => ("retrain", "RetrainRequested"),
                ScheduleAction::RefreshTables => ("refresh", "RefreshRequested"),
            };
            let message = format!(
                "asked {} for the {what} of {}",
                seen.spec.model_ref.name, tick.time
            );
            plan.notes.push(Note {
                kind: NoteType::Normal,
                reason,
                message,
            });
            plan.request = request;
        }
        Err(reason) => {
            skip(&mut plan.status, (tick.time, None), reason);
            plan.notes.push(warning(
                "TickSkipped",
                format!("nothing was asked for at {}: {reason}", tick.time),
            ));
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

/// The request for a tick (`None` where it has been written already), or why there is none.
fn decide(
    seen: &ObservedSchedule,
    ticks: &Ticks,
    tick: Tick,
) -> Result<Option<String>, &'static str> {
    let Some(model) = &seen.model else {
        return Err("ModelMissing");
    };
    let request = |replace| RetrainRequest {
        trigger: Trigger::Schedule,
        requester: seen.name.clone(),
        replace,
        if_data_changed: seen.spec.skip_if_data_unchanged,
        time: tick.due,
    };
    // Asked before, and the status was not written: what runs now may be what this tick asked for.
    let ours = |text: &String| {
        [false, true]
            .iter()
            .any(|replace| request(*replace).to_string() == *text)
    };
    if model.request.as_ref().is_some_and(ours) || model.last_handled.as_ref().is_some_and(ours) {
        return Ok(None);
    }
    let late = seen.now.duration_since(tick.due);
    if late > SignedDuration::from_secs(seen.spec.starting_deadline_seconds) {
        return Err("DeadlineExceeded");
    }
    if ticks.blackout(tick).is_some() {
        return Err("Blackout");
    }
    if model.suspended {
        return Err("ModelSuspended");
    }
    match seen.spec.concurrency_policy {
        ConcurrencyPolicy::Forbid if model.active => Err("RunActive"),
        _ => Ok(Some(request(model.active).to_string())),
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
        },
    );
    status.recent.truncate(MAX_RECENT);
}

fn fate(seen: &ObservedSchedule, next: Option<Tick>) -> Fate {
    let well = |scheduled, reason, message| Fate {
        scheduled,
        stalls: false,
        reason,
        message,
    };
    let model = &seen.spec.model_ref.name;
    match (next, &seen.model) {
        _ if seen.spec.suspend => {
            well(false, "Suspended", "suspended: asks for nothing".to_owned())
        }
        (None, _) if seen.spec.schedule.is_some() => Fate {
            scheduled: false,
            stalls: true,
            reason: "NeverFires",
            message: format!(
                "spec.schedule: {:?} fits no date",
                seen.spec.schedule.as_deref().unwrap_or_default()
            ),
        },
        (_, None) => well(
            false,
            "ModelMissing",
            format!("there is no rankingmodel {model:?}"),
        ),
        (next, Some(_)) => {
            let what = match seen.spec.action {
                ScheduleAction::Retrain => "a retrain",
                ScheduleAction::RefreshTables => "a refresh of its tables",
            };
            let when = match (next.is_some(), seen.spec.on_drift.is_some()) {
                (true, true) => "at each tick, and when its requests have drifted",
                (true, false) => "at each tick",
                (false, _) => "when its requests have drifted",
            };
            let reason = if next.is_some() {
                "Scheduled"
            } else {
                "OnDrift"
            };
            well(true, reason, format!("asks {model} for {what} {when}"))
        }
    }
}

fn write_conditions(seen: &ObservedSchedule, fate: &Fate, status: &mut RetrainScheduleStatus) {
    let state = |type_, value: bool, (reason, message): (&str, &str)| ConditionState {
        type_,
        status: ConditionStatus::from(value),
        reason: reason.to_owned(),
        message: message.to_owned(),
    };
    let words = (fate.reason, &*fate.message);
    let stalled = if fate.stalls {
        words
    } else {
        ("NotStalled", "nothing is in the way")
    };
    // A suspended schedule does all that is asked of it.
    let ready = fate.scheduled || seen.spec.suspend && !fate.stalls;
    for state in [
        state(READY, ready, words),
        state(SCHEDULED, fate.scheduled, words),
        state(STALLED, fate.stalls, stalled),
    ] {
        set_condition(&mut status.conditions, state, seen.generation, seen.now);
    }
}

fn stalled_reason(status: &RetrainScheduleStatus) -> Option<String> {
    let stalled = find(&status.conditions, STALLED)?;
    (stalled.status == ConditionStatus::True.as_str()).then(|| stalled.reason.clone())
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

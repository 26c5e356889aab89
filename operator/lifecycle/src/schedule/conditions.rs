//! What a schedule's conditions say.

use searchop_api::{
    ScheduleAction,
    conditions::{ConditionState, ConditionStatus, READY, SCHEDULED, STALLED, find, set_condition},
};

use super::{ObservedSchedule, SchedulePlan, nobody, warning};
use crate::{Tick, TicksError, selection::selected};

pub(super) struct Fate {
    scheduled: bool,
    /// Only an edit helps.
    stalls: bool,
    reason: &'static str,
    message: String,
}

impl Fate {
    /// Of a schedule that can be read, whose next tick is `next`.
    pub fn of(seen: &ObservedSchedule, next: Option<Tick>) -> Self {
        let well = |scheduled, reason, message| Self {
            scheduled,
            stalls: false,
            reason,
            message,
        };
        let spec = &seen.spec;
        let (whom, models) = (selected(spec), seen.models.len());
        let many = spec.model_selector.is_some();
        let what = match (spec.action, many) {
            (ScheduleAction::Retrain, _) => "a retrain",
            (ScheduleAction::RefreshTables, false) => "a refresh of its tables",
            (ScheduleAction::RefreshTables, true) => "a refresh of their tables",
        };
        match (next, &spec.schedule) {
            _ if spec.suspend => well(false, "Suspended", "suspended: asks for nothing".to_owned()),
            (None, Some(schedule)) => Self {
                scheduled: false,
                stalls: true,
                reason: "NeverFires",
                message: format!("spec.schedule: {schedule:?} fits no date"),
            },
            _ if models == 0 => {
                let message = match many {
                    true => format!("there are none of {whom}"),
                    false => format!("there is no rankingmodel {whom:?}"),
                };
                well(false, nobody(seen), message)
            }
            (None, None) => {
                let message = format!("asks {whom} for {what} when its requests have drifted");
                well(true, "OnDrift", message)
            }
            (Some(_), _) => {
                let (now, most) = match many {
                    true => (
                        format!(", {models} now,"),
                        format!(", {} at a time", spec.parallelism),
                    ),
                    false => Default::default(),
                };
                let drift = match spec.on_drift {
                    Some(_) => ", and when its requests have drifted",
                    None => "",
                };
                let message = format!("asks {whom}{now} for {what} at each tick{most}{drift}");
                well(true, "Scheduled", message)
            }
        }
    }

    pub fn unreadable(error: &TicksError) -> Self {
        Self {
            scheduled: false,
            stalls: true,
            reason: match error {
                TicksError::Schedule(_) => "ScheduleInvalid",
                TicksError::TimeZone(_) => "TimeZoneUnknown",
            },
            message: error.to_string(),
        }
    }

    /// Writes the conditions, and says what begins to stall the schedule.
    pub fn write(self, seen: &ObservedSchedule, plan: &mut SchedulePlan) {
        let state = |type_, value: bool, (reason, message): (&str, &str)| ConditionState {
            type_,
            status: ConditionStatus::from(value),
            reason: reason.to_owned(),
            message: message.to_owned(),
        };
        let words = (self.reason, &*self.message);
        let stalled = if self.stalls {
            words
        } else {
            ("NotStalled", "nothing is in the way")
        };
        // A suspended schedule does all that is asked of it.
        let ready = self.scheduled || seen.spec.suspend && !self.stalls;
        for state in [
            state(READY, ready, words),
            state(SCHEDULED, self.scheduled, words),
            state(STALLED, self.stalls, stalled),
        ] {
            let conditions = &mut plan.status.conditions;
            set_condition(conditions, state, seen.generation, seen.now);
        }
        let stalled_before = find(&seen.status.conditions, STALLED)
            .filter(|before| before.status == ConditionStatus::True.as_str());
        if self.stalls && stalled_before.is_none_or(|before| before.reason != self.reason) {
            plan.notes.push(warning(self.reason, self.message));
        }
    }
}

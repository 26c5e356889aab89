//! Condition types, and how a list of conditions is kept.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Summary: a version answers, this generation is acted on, nothing is stuck.
pub const READY: &str = "Ready";
/// A version answers, whatever else is going on.
pub const SERVING: &str = "Serving";
/// Work towards this generation is under way.
pub const RECONCILING: &str = "Reconciling";
/// This generation will not be reached without a change by the user.
pub const STALLED: &str = "Stalled";
/// What the served model has seen is older than `freshness.maxAgeSeconds`.
pub const STALE: &str = "Stale";
/// The served version's requests do not look like its first ones any more.
pub const DRIFTED: &str = "Drifted";
/// A version passed the gate and waits for somebody's decision.
pub const AWAITING_APPROVAL: &str = "AwaitingApproval";
/// How the newest finished run ended.
pub const LAST_RUN_SUCCEEDED: &str = "LastRunSucceeded";
/// The schedule can be read and its model exists.
pub const SCHEDULED: &str = "Scheduled";

/// Value of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}

impl ConditionStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for ConditionStatus {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// What one condition says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionState {
    pub type_: &'static str,
    pub status: ConditionStatus,
    /// One CamelCase word.
    pub reason: String,
    pub message: String,
}

/// Puts `state` into the list, at its place or at the end. The transition time moves only when the
/// status does, so that a pass which finds nothing new changes nothing.
pub fn set_condition(
    list: &mut Vec<Condition>,
    state: ConditionState,
    generation: i64,
    now: Timestamp,
) {
    let status = state.status.as_str();
    let place = list.iter().position(|found| found.type_ == state.type_);
    let since = place
        .map(|place| &list[place])
        .filter(|found| found.status == status)
        .map_or(Time(now), |found| found.last_transition_time.clone());
    let condition = Condition {
        type_: state.type_.to_owned(),
        status: status.to_owned(),
        reason: state.reason,
        message: state.message,
        observed_generation: Some(generation),
        last_transition_time: since,
    };
    match place {
        Some(place) => list[place] = condition,
        None => list.push(condition),
    }
}

/// The condition of this type, if it has been set.
pub fn find<'a>(list: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    list.iter().find(|found| found.type_ == type_)
}

/// The condition is there and `True`.
pub fn is_true(list: &[Condition], type_: &str) -> bool {
    find(list, type_).is_some_and(|found| found.status == ConditionStatus::True.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(status: ConditionStatus, message: &str) -> ConditionState {
        ConditionState {
            type_: READY,
            status,
            reason: "Because".into(),
            message: message.into(),
        }
    }

    #[test]
    fn the_transition_time_moves_only_when_the_status_does() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut list = Vec::new();
        set_condition(
            &mut list,
            state(ConditionStatus::Unknown, "first"),
            1,
            at(10),
        );
        set_condition(
            &mut list,
            state(ConditionStatus::Unknown, "second"),
            2,
            at(20),
        );
        assert_eq!(list.len(), 1);
        assert_eq!(
            (list[0].last_transition_time.0, list[0].observed_generation),
            (at(10), Some(2))
        );
        assert_eq!(list[0].message, "second");
        set_condition(&mut list, state(ConditionStatus::True, "third"), 2, at(30));
        assert_eq!(list[0].last_transition_time.0, at(30));
        assert!(is_true(&list, READY) && !is_true(&list, STALE));
    }
}

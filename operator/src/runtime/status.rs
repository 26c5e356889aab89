//! What is added to a planned status by the attempt to carry the plan out, and when a status is
//! worth a write.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use searchop_api::{
    RankingModelStatus, RetrainScheduleStatus,
    conditions::{ConditionState, ConditionStatus, READY, RECONCILING, STALLED, set_condition},
};

/// A status whose conditions may differ from another's in their times only.
pub trait Status: Clone + Default + PartialEq {
    fn conditions(&mut self) -> &mut Vec<Condition>;
}

impl Status for RankingModelStatus {
    fn conditions(&mut self) -> &mut Vec<Condition> {
        &mut self.conditions
    }
}

impl Status for RetrainScheduleStatus {
    fn conditions(&mut self) -> &mut Vec<Condition> {
        &mut self.conditions
    }
}

/// Whether `new` says something that `old` does not. When a condition turned does not count: it is
/// told along with what turned.
pub fn differs<S: Status>(old: Option<&S>, new: &S) -> bool {
    let timeless = |status: &S| {
        let mut status = status.clone();
        for condition in status.conditions() {
            condition.last_transition_time = Time(Timestamp::UNIX_EPOCH);
        }
        status.conditions().sort_by(|a, b| a.type_.cmp(&b.type_));
        status
    };
    old.map_or_else(|| timeless(&S::default()), timeless) != timeless(new)
}

/// Something that only the user, or an administrator, can remove.
pub struct Obstacle<'a> {
    pub reason: &'a str,
    pub message: &'a str,
    pub generation: i64,
    pub now: Timestamp,
}

/// The status of a model whose plan met an obstacle: it is not ready and will not be by itself.
pub fn hindered(mut status: RankingModelStatus, obstacle: &Obstacle<'_>) -> RankingModelStatus {
    let states = [
        (READY, ConditionStatus::False),
        (RECONCILING, ConditionStatus::False),
        (STALLED, ConditionStatus::True),
    ];
    for (type_, value) in states {
        let state = ConditionState {
            type_,
            status: value,
            reason: obstacle.reason.to_owned(),
            message: obstacle.message.to_owned(),
        };
        set_condition(
            &mut status.conditions,
            state,
            obstacle.generation,
            obstacle.now,
        );
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn with(conditions: &[(&str, &str, i64)]) -> RankingModelStatus {
        let condition = |&(kind, status, time): &(&str, &str, i64)| Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: "Reason".to_owned(),
            message: String::new(),
            observed_generation: None,
            last_transition_time: Time(at(time)),
        };
        RankingModelStatus {
            conditions: conditions.iter().map(condition).collect(),
            ..RankingModelStatus::default()
        }
    }

    #[test]
    fn times_and_order_of_conditions_are_no_difference() {
        let old = with(&[("Ready", "True", 1), ("Stalled", "False", 1)]);
        assert!(!differs(
            Some(&old),
            &with(&[("Stalled", "False", 9), ("Ready", "True", 7)])
        ));
        assert!(differs(
            Some(&old),
            &with(&[("Ready", "False", 1), ("Stalled", "False", 1)])
        ));
        assert!(differs(
            Some(&old),
            &RankingModelStatus {
                replicas: Some(1),
                ..old.clone()
            }
        ));
        assert!(!differs(None, &RankingModelStatus::default()));
        assert!(differs(None, &old));
    }

    #[test]
    fn an_obstacle_turns_ready_reconciling_and_stalled_and_nothing_else() {
        let status = with(&[
            ("Ready", "False", 1),
            ("Stalled", "False", 1),
            ("Reconciling", "True", 1),
            ("Serving", "True", 1),
        ]);
        let obstacle = Obstacle {
            reason: "NameConflict",
            message: "taken",
            generation: 4,
            now: at(5),
        };
        let status = hindered(status, &obstacle);
        let seen: Vec<_> = status
            .conditions
            .iter()
            .map(|c| (&*c.type_, &*c.status, &*c.reason, c.last_transition_time.0))
            .collect();
        assert_eq!(
            seen,
            [
                ("Ready", "False", "NameConflict", at(1)),
                ("Stalled", "True", "NameConflict", at(5)),
                ("Reconciling", "False", "NameConflict", at(5)),
                ("Serving", "True", "Reason", at(1)),
            ]
        );
        let again = hindered(
            status.clone(),
            &Obstacle {
                now: at(9),
                ..obstacle
            },
        );
        assert_eq!(again, status);
    }
}

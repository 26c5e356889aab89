//! Which days a model learns from, which tell it when to stop, and which judge it: in this order of
//! time, so that the judge is always the future.

use searchop_contract::TrainingJob;

use crate::{
    data::{Window, date},
    error::TrainError,
};

/// Of the days before the held-out ones, one in this many validates.
const VALID_SHARE: i32 = 5;

/// Three spans of days without a gap, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slices {
    pub train: Window,
    /// Early stopping.
    pub valid: Window,
    /// Held out: the gate.
    pub gate: Window,
}

/// Part of the data that a list belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slice {
    Train,
    Valid,
    Gate,
}

impl Slice {
    pub const ALL: [Self; 3] = [Self::Train, Self::Valid, Self::Gate];

    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Gate => "gate",
        }
    }
}

impl Slices {
    /// Divides the days from the oldest list to the end of the window.
    pub fn divide(job: &TrainingJob, window: Window, oldest_list: i32) -> Result<Self, TrainError> {
        let holdout = i32::try_from(job.evaluation.holdout_days).unwrap_or(i32::MAX);
        let first = window.first_day.max(oldest_list);
        let before = i64::from(window.last_day) - i64::from(holdout) - i64::from(first) + 1;
        if holdout < 1 || before < 2 {
            return Err(TrainError::data(format!(
                "evaluation.holdoutDays is {holdout} and there are lists from {} to {}: at least 2 more days are needed to train and validate on",
                date(first),
                date(window.last_day)
            )));
        }
        let gate = Window {
            first_day: window.last_day - holdout + 1,
            last_day: window.last_day,
        };
        let valid_days = (gate.first_day - first) / VALID_SHARE;
        let valid = Window {
            first_day: gate.first_day - valid_days.max(1),
            last_day: gate.first_day - 1,
        };
        let train = Window {
            first_day: first,
            last_day: valid.first_day - 1,
        };
        Ok(Self { train, valid, gate })
    }

    /// `None` outside all three.
    pub fn of(&self, day: i32) -> Option<Slice> {
        [
            (self.train, Slice::Train),
            (self.valid, Slice::Valid),
            (self.gate, Slice::Gate),
        ]
        .into_iter()
        .find(|(days, _)| days.contains(day))
        .map(|(_, slice)| slice)
    }

    /// The newest day whose events may label a list of this slice. Training and validation end
    /// together: a purchase that arrives later belongs to the future that judges.
    pub fn labels_until(&self, slice: Slice) -> i32 {
        match slice {
            Slice::Train | Slice::Valid => self.valid.last_day,
            Slice::Gate => self.gate.last_day,
        }
    }
}

#[cfg(test)]
mod tests {
    use searchop_contract::{DataSource, EvaluationSettings, SyntheticShop};

    use super::*;

    fn job(holdout_days: u32) -> TrainingJob {
        TrainingJob {
            model: "m".into(),
            version: 1,
            as_of_time: "2026-11-24T00:00:00Z".parse().unwrap(),
            data: DataSource::Synthetic(SyntheticShop {
                products: 1,
                events: 1,
                seed: 1,
                window_days: 30,
            }),
            parameters: Default::default(),
            evaluation: EvaluationSettings {
                holdout_days,
                baselines: vec![],
                measures: vec![],
                confidence: 0.95,
            },
            artifacts_uri: "file:///tmp".into(),
            reference: None,
            evaluate_only: None,
            keep: vec![],
        }
    }

    fn days(first_day: i32, last_day: i32) -> Window {
        Window {
            first_day,
            last_day,
        }
    }

    #[test]
    fn divides_in_order_of_time() {
        for (holdout, window, oldest, train, valid, gate) in [
            (
                7,
                days(100, 129),
                100,
                days(100, 118),
                days(119, 122),
                days(123, 129),
            ),
            // The log is shorter than the window.
            (
                7,
                days(0, 129),
                100,
                days(100, 118),
                days(119, 122),
                days(123, 129),
            ),
            (
                1,
                days(100, 102),
                100,
                days(100, 100),
                days(101, 101),
                days(102, 102),
            ),
        ] {
            let slices = Slices::divide(&job(holdout), window, oldest).unwrap();
            assert_eq!(slices, Slices { train, valid, gate });
        }
    }

    #[test]
    fn too_few_days_are_named() {
        let error = Slices::divide(&job(7), days(20_000, 20_007), 20_000).unwrap_err();
        let text = "evaluation.holdoutDays is 7 and there are lists from 2024-10-04 to 2024-10-11: at least 2 more days are needed to train and validate on";
        assert_eq!(error, TrainError::data(text));
    }

    #[test]
    fn every_day_is_in_one_slice_and_labels_stop_at_its_end() {
        let slices = Slices::divide(&job(7), days(100, 129), 100).unwrap();
        for (day, slice, until) in [
            (100, Slice::Train, 122),
            (119, Slice::Valid, 122),
            (123, Slice::Gate, 129),
            (129, Slice::Gate, 129),
        ] {
            assert_eq!(slices.of(day), Some(slice));
            assert_eq!(slices.labels_until(slice), until);
        }
        assert_eq!((slices.of(99), slices.of(130)), (None, None));
    }
}

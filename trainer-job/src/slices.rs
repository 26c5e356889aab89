//! Which days a model learns from, which tell it when to stop, and which judge it: in this order of
//! time, so that the judge is always the future.
//!
//! ```text
//! train … valid │ unripe │ gate … │ unripe
//!                        ^ training knows nothing from here on
//! ```
//!
//! A list is unripe while less than `labels.maturityHours` lie between it and the moment until which
//! its labels are read: its carts and purchases may still come.

use searchop_contract::TrainingJob;

use crate::{
    data::{Window, date},
    error::TrainError,
};

/// Of the days before the held-out ones, one in this many validates.
const VALID_SHARE: i32 = 5;

/// Three spans of days, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slices {
    pub train: Window,
    /// Early stopping.
    pub valid: Window,
    /// Held out: the gate.
    pub gate: Window,
    /// Days after a slice's last whose events still label it.
    unripe_days: i32,
}

/// Part of the data that a list belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slice {
    Train,
    Valid,
    Gate,
    /// Queries with grades of people, as they would be answered at the end of the window.
    Judged,
}

impl Slice {
    pub const ALL: [Self; 4] = [Self::Train, Self::Valid, Self::Gate, Self::Judged];

    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Gate => "gate",
            Self::Judged => "judged",
        }
    }
}

impl Slices {
    /// Divides the days from the oldest list to the end of the window.
    pub fn divide(job: &TrainingJob, window: Window, oldest_list: i32) -> Result<Self, TrainError> {
        let holdout = i32::try_from(job.evaluation.holdout_days).unwrap_or(i32::MAX);
        let hours = job.labels.maturity_hours;
        let unripe_days = i32::try_from(hours.div_ceil(24)).unwrap_or(i32::MAX);
        let first = window.first_day.max(oldest_list);
        let there = i64::from(window.last_day) - i64::from(first) + 1;
        let needed = i64::from(holdout) + 2 * i64::from(unripe_days) + 2;
        if holdout < 1 || there < needed {
            return Err(TrainError::data(format!(
                "there are lists from {} to {}, which is {there} days: {needed} are needed, \
                 evaluation.holdoutDays = {holdout} to judge, labels.maturityHours = {hours} \
                 before and after them, and 2 to train and validate on",
                date(first),
                date(window.last_day)
            )));
        }
        let gate = Window::ending(window.last_day - unripe_days, job.evaluation.holdout_days);
        let ripe = gate.first_day - 1 - unripe_days;
        let valid_days = ((ripe - first + 1) / VALID_SHARE).max(1);
        let valid = Window {
            first_day: ripe - valid_days + 1,
            last_day: ripe,
        };
        let train = Window {
            first_day: first,
            last_day: valid.first_day - 1,
        };
        Ok(Self {
            train,
            valid,
            gate,
            unripe_days,
        })
    }

    /// All of `days` train and nothing is held out: for who measures by other means.
    pub fn train_all(days: Window) -> Self {
        let none = Window {
            first_day: days.last_day + 1,
            last_day: days.last_day,
        };
        Self {
            train: days,
            valid: none,
            gate: none,
            unripe_days: 0,
        }
    }

    /// The newest day of which training knows anything.
    pub fn trained_through(&self) -> i32 {
        self.gate.first_day - 1
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
            Slice::Train | Slice::Valid => self.trained_through(),
            Slice::Gate | Slice::Judged => self.gate.last_day + self.unripe_days,
        }
    }
}

#[cfg(test)]
mod tests {
    use searchop_contract::{DataSource, EvaluationSettings, LabelSettings, SyntheticShop};

    use super::*;

    fn job(holdout_days: u32, maturity_hours: u32) -> TrainingJob {
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
            tuning: None,
            position_bias: Default::default(),
            labels: LabelSettings { maturity_hours },
            counter_dropout: 0.3,
            counter_lag: Default::default(),
            skip_if_data_unchanged: false,
            refresh: None,
            candidate_list: false,
            declared: Vec::new(),
            evaluation: EvaluationSettings {
                holdout_days,
                baselines: vec![],
                measures: vec![],
                confidence: 0.95,
            },
            artifacts_uri: "file:///tmp".into(),
            reference: None,
            evaluate_only: None,
            promoted: vec![],
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
        for ((holdout, hours), window, oldest, (train, valid, gate)) in [
            (
                (7, 0),
                days(100, 129),
                100,
                (days(100, 118), days(119, 122), days(123, 129)),
            ),
            // The log is shorter than the window.
            (
                (7, 0),
                days(0, 129),
                100,
                (days(100, 118), days(119, 122), days(123, 129)),
            ),
            (
                (1, 0),
                days(100, 102),
                100,
                (days(100, 100), days(101, 101), days(102, 102)),
            ),
            // Three days go after the gate, and three before it.
            (
                (7, 72),
                days(100, 129),
                100,
                (days(100, 113), days(114, 116), days(120, 126)),
            ),
            // A part of a day is a day: no list of it may be too young.
            (
                (1, 1),
                days(100, 104),
                100,
                (days(100, 100), days(101, 101), days(103, 103)),
            ),
        ] {
            let slices = Slices::divide(&job(holdout, hours), window, oldest).unwrap();
            assert_eq!(
                (slices.train, slices.valid, slices.gate),
                (train, valid, gate),
                "{holdout} days, {hours} hours"
            );
        }
    }

    #[test]
    fn nothing_is_held_out_where_all_days_train() {
        let slices = Slices::train_all(days(5, 9));
        assert_eq!(slices.of(9), Some(Slice::Train));
        assert_eq!((slices.of(4), slices.of(10)), (None, None));
        assert_eq!(slices.labels_until(Slice::Train), 9);
    }

    #[test]
    fn too_few_days_are_named() {
        for (hours, needed) in [(0, 9), (72, 15)] {
            let error = Slices::divide(&job(7, hours), days(20_000, 20_007), 20_000).unwrap_err();
            let text = format!(
                "there are lists from 2024-10-04 to 2024-10-11, which is 8 days: {needed} are needed, \
                 evaluation.holdoutDays = 7 to judge, labels.maturityHours = {hours} before and \
                 after them, and 2 to train and validate on"
            );
            assert_eq!(error, TrainError::data(text));
        }
    }

    #[test]
    fn a_day_is_in_one_slice_or_unripe_and_training_ends_where_the_gate_begins() {
        let slices = Slices::divide(&job(7, 72), days(100, 129), 100).unwrap();
        for (day, slice, until) in [
            (100, Slice::Train, 119),
            (114, Slice::Valid, 119),
            (116, Slice::Valid, 119),
            (120, Slice::Gate, 129),
            (126, Slice::Gate, 129),
        ] {
            assert_eq!(slices.of(day), Some(slice));
            assert_eq!(slices.labels_until(slice), until);
        }
        for day in [99, 117, 119, 127, 130] {
            assert_eq!(slices.of(day), None);
        }
        assert_eq!(slices.trained_through(), 119);
    }
}

//! What is being tried, and how far it is: read off the facts, as the plan reads them.

use std::fmt;

use searchop_api::{RankingModel, Run};

/// The run under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt<'a> {
    pub run: &'a Run,
    pub step: Step,
}

/// Steps of a run, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Training,
    /// The gate asked for other figures.
    MeasuringAgain,
    Judging,
    RollingOut,
}

/// The run that has not ended, if there is one.
pub fn attempt(model: &RankingModel) -> Option<Attempt<'_>> {
    let status = model.status.as_ref()?;
    let run = status.run.as_ref().filter(|run| run.outcome.is_none())?;
    // What the gate refuses ends the run, so one that goes on has passed.
    let passed = status
        .gate
        .as_ref()
        .is_some_and(|gate| gate.version == run.version);
    let step = match &run.candidate {
        None => Step::Training,
        Some(candidate) if candidate.evaluation != run.evaluation => Step::MeasuringAgain,
        Some(_) if passed => Step::RollingOut,
        Some(_) => Step::Judging,
    };
    Some(Attempt { run, step })
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Training => "training",
            Self::MeasuringAgain => "measuring again",
            Self::Judging => "judging",
            Self::RollingOut => "rolling out",
        })
    }
}

impl fmt::Display for Attempt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{} {}", self.run.version, self.step)?;
        match &self.run.canary {
            Some(canary) => write!(f, ", canary step {}", canary.step + 1),
            None => Ok(()),
        }
    }
}

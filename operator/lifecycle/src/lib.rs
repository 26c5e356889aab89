//! The pure heart of SearchOp: what is observed → what to do next.
//!
//! Nothing here has a client, a clock or an environment; `now` is an argument. Two executors carry
//! the plan out: the operator (Jobs, Deployments) and `searchop local` (processes, folders).
//!
//! The rule that makes every crash harmless: facts are written first, objects follow from facts.
//! [`plan`] compares the stored facts with what is observed. Where new facts follow, the plan holds
//! only them; the executor stores them and plans again. Where no new fact follows, the plan holds
//! the actions that make the world match the facts, each safe to repeat.

mod analysis;
mod approval;
mod canary;
pub mod conditions;
mod cron;
pub mod drift;
pub mod gate;
pub mod history;
mod job;
mod judgement;
mod plan;
mod refresh;
mod retrain_request;
mod rollout;
mod run;
mod schedule;
mod selection;
mod stale;
mod standing;
#[cfg(test)]
mod testing;
mod ticks;
mod time;
mod train_hash;
mod training;

pub use cron::{Cron, CronError};
pub use job::{JobError, JobKey, Places, is_under_way, job_name, training_job};
pub use plan::{
    Action, JobRequest, Note, NoteType, Observed, ObservedJob, ObservedServing, Plan, plan,
};
pub use retrain_request::{RequestError, RetrainRequest};
pub use schedule::{Asking, ObservedModel, ObservedSchedule, SchedulePlan, plan_schedule};
pub use selection::{selected, selects};
pub use standing::known as known_versions;
pub use ticks::{Tick, Ticks, TicksError};
pub use train_hash::train_hash;

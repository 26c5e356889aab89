//! The pure heart of SearchOp: what is observed → what to do next.
//!
//! Nothing here has a client, a clock or an environment; `now` is an argument. Two executors carry
//! the plan out: the operator (Jobs, Deployments) and `searchop local` (processes, folders).
//!
//! The rule that makes every crash harmless: facts are written first, objects follow from facts.
//! [`plan`] compares the stored facts with what is observed. Where new facts follow, the plan holds
//! only them; the executor stores them and plans again. Where no new fact follows, the plan holds
//! the actions that make the world match the facts, each safe to repeat.

mod plan;

pub use plan::{Action, JobRequest, Note, NoteType, ObservedJob, ObservedServing, Observed, Plan, plan};

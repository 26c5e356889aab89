//! Verbs about a cluster: thin calls to the API server around pure rendering. They read what the
//! operator wrote and write what it reads; nothing here decides anything.

mod artifacts;
mod attempt;
mod connection;
mod describe;
mod edit;
mod error;
mod events;
mod list;
mod logs;
mod output;
mod rank;
mod retrain;
mod rollout;
mod schedules;
mod suspend;
#[cfg(test)]
pub mod testing;

pub use artifacts::referred;
pub use connection::{Cluster, Namespaced};
pub use error::ClusterError;
pub use list::short;
pub use output::{Whole, document};
pub use schedules::asked_about;

use searchop_api::{RankingModel, RetrainSchedule};

use crate::{
    args::{Schedule, Verb},
    exit::Exit,
    terminal::Log,
};

/// Does what a verb asks.
pub async fn run(verb: &Verb, log: Log) -> Result<Exit, ClusterError> {
    match verb {
        Verb::Get(args) => list::get::<RankingModel>(&args.names, &args.list, log).await?,
        Verb::Describe(args) => describe::describe(args, log).await?,
        Verb::Versions(args) => artifacts::versions(args, log).await?,
        Verb::Suspend(args) => suspend::model(args, true, log).await?,
        Verb::Resume(args) => suspend::model(args, false, log).await?,
        Verb::Retrain(args) => return retrain::retrain(args, log).await,
        Verb::Promote(args) => return rollout::promote(args, log).await,
        Verb::Abort(args) => return rollout::abort(args, log).await,
        Verb::Rollback(args) => return rollout::rollback(args, log).await,
        Verb::Rank(args) => rank::rank(args, log).await?,
        Verb::Logs(args) => logs::logs(args, log).await?,
        Verb::Events(args) => events::events(args, log).await?,
        Verb::Artifacts(args) => artifacts::artifacts(args, log).await?,
    }
    Ok(Exit::Done)
}

/// The same for schedules, but for their coming ticks.
pub async fn schedule(verb: &Schedule, log: Log) -> Result<Exit, ClusterError> {
    match verb {
        Schedule::Get(args) => list::get::<RetrainSchedule>(&args.names, &args.list, log).await?,
        Schedule::Describe(args) => schedules::describe(args).await?,
        Schedule::Suspend(args) => suspend::schedule(args, true, log).await?,
        Schedule::Resume(args) => suspend::schedule(args, false, log).await?,
        Schedule::Next(_) => {}
    }
    Ok(Exit::Done)
}

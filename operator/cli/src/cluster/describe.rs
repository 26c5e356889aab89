//! `searchop describe`: one page about a model.

mod page;

use jiff::Timestamp;
use searchop_api::{RankingModel, RetrainSchedule};

use super::{
    connection::Cluster,
    error::ClusterError,
    events::{Happening, happenings, schedules_of},
};
use crate::{args::About, terminal::Log};

/// What the page is made of.
#[derive(Debug)]
struct Facts {
    model: RankingModel,
    schedules: Vec<RetrainSchedule>,
    /// Oldest first; `None` where events may not be read.
    events: Option<Vec<Happening>>,
    now: Timestamp,
}

pub async fn describe(args: &About, log: Log) -> Result<(), ClusterError> {
    let cluster = Cluster::find(&args.target).await?;
    let model: RankingModel = cluster.get(&args.name).await?;
    let schedules = schedules_of(&cluster, &model).await?;
    let events = match happenings(&cluster, &model, &schedules).await {
        Ok(found) => Some(found),
        // Roles that may read models often may not read events; the page is worth it without.
        Err(ClusterError::Forbidden(_)) => None,
        Err(error) => return Err(error),
    };
    let facts = Facts {
        model,
        schedules,
        events,
        now: Timestamp::now(),
    };
    print!("{}", page::page(&facts, log.results()));
    Ok(())
}

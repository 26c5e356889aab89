//! `searchop suspend` and `resume`, for models and for schedules.

use searchop_api::{RankingModel, RetrainSchedule};
use serde_json::json;

use super::{
    connection::Cluster,
    edit::{Edit, Verb},
    error::ClusterError,
};
use crate::{
    args::{Change, ChangeSchedule},
    terminal::Log,
};

pub async fn model(args: &Change, suspend: bool, log: Log) -> Result<(), ClusterError> {
    let cluster = Cluster::find(&args.target).await?;
    let found: RankingModel = cluster.get(&args.name).await?;
    let verb = Verb {
        target: &args.target,
        how: args.how,
        edit: edit(suspend),
        done: done(suspend),
    };
    verb.apply(&cluster, &found, log).await.map(|_| ())
}

pub async fn schedule(args: &ChangeSchedule, suspend: bool, log: Log) -> Result<(), ClusterError> {
    let cluster = Cluster::find(&args.target).await?;
    let found: RetrainSchedule = cluster.get(&args.name).await?;
    let verb = Verb {
        target: &args.target,
        how: args.how,
        edit: edit(suspend),
        done: done(suspend),
    };
    verb.apply(&cluster, &found, log).await.map(|_| ())
}

fn edit(suspend: bool) -> Edit {
    Edit::Spec(json!({"suspend": suspend}))
}

fn done(suspend: bool) -> &'static str {
    if suspend { "suspended" } else { "resumed" }
}

//! Verbs about a cluster.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use clap_complete::ArgValueCandidates;

use super::duration;
use crate::completion::{models, schedules};

/// The cluster and the namespace, found as kubectl finds them.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Cluster")]
pub struct Target {
    /// Namespace [default: that of the context].
    #[arg(long, short, value_name = "NAME")]
    pub namespace: Option<String>,

    /// Context of the kubeconfig [default: its current one].
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// The kubeconfig [default: what KUBECONFIG names, else ~/.kube/config].
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Ask as this user.
    #[arg(long = "as", value_name = "USER")]
    pub as_user: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List models: what serves, how good it is, what comes next.
    Get(Get),

    /// One page about a model.
    ///
    /// What serves, since when and why; what is being tried and how far it is; the last gate in words;
    /// the next run; the last five events.
    Describe(About),

    /// Say which version served when, why, trained on which rows, with which metric.
    ///
    /// The status of a model remembers eight runs. Older ones are read from the reports beside its
    /// artifacts, where --artifacts names them: SearchOp's command line opens no bucket or volume.
    Versions(Versions),

    /// Start no new work for a model; what serves keeps serving.
    Suspend(Change),

    /// Start new work for a model again.
    Resume(Change),

    /// Ask for a retrain, or for newer tables under the same model.
    ///
    /// While a run is under way the request waits for its end.
    Retrain(AskRetrain),

    /// Let a version serve that waits for approval.
    Promote(Decide),

    /// Give a rollout up: what served before serves on, and the version is not tried again.
    Abort(Decide),

    /// Let an earlier version serve again, for as long as it is pinned.
    Rollback(Rollback),

    /// Rank products through the model's Service.
    Rank(Rank),

    /// Print the log of a training run, or of the ranker pods.
    Logs(Logs),

    /// List what happened to a model, its schedules, Jobs and pods, newest last.
    Events(About),

    /// List what is kept of each version and where.
    Artifacts(Artifacts),
}

#[derive(Debug, Args)]
pub struct Get {
    /// Names of models [default: all].
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(models))]
    pub names: Vec<String>,

    #[command(flatten)]
    pub list: Listing,
}

/// How objects are listed.
#[derive(Clone, Debug, Args)]
pub struct Listing {
    /// Of all namespaces.
    #[arg(long, short = 'A', conflicts_with_all = ["namespace", "names"])]
    pub all_namespaces: bool,

    /// How they are printed.
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    pub output: Format,

    #[command(flatten)]
    pub target: Target,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    /// More columns.
    Wide,
    Json,
    Yaml,
    /// kind.group/name, a line each.
    Name,
}

#[derive(Debug, Args)]
pub struct About {
    /// Name of the model.
    #[arg(add = ArgValueCandidates::new(models))]
    pub name: String,

    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub struct GetSchedules {
    /// Names of schedules [default: all].
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(schedules))]
    pub names: Vec<String>,

    #[command(flatten)]
    pub list: Listing,
}

#[derive(Debug, Args)]
pub struct AboutSchedule {
    /// Name of the schedule.
    #[arg(add = ArgValueCandidates::new(schedules))]
    pub name: String,

    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub struct ChangeSchedule {
    /// Name of the schedule.
    #[arg(add = ArgValueCandidates::new(schedules))]
    pub name: String,

    #[command(flatten)]
    pub how: HowToChange,

    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub struct Change {
    /// Name of the model.
    #[arg(add = ArgValueCandidates::new(models))]
    pub name: String,

    #[command(flatten)]
    pub how: HowToChange,

    #[command(flatten)]
    pub target: Target,
}

/// How a verb writes its field.
#[derive(Clone, Copy, Debug, Args)]
pub struct HowToChange {
    /// Write nothing: client only says what it would write, server lets the API server check it.
    #[arg(long, value_enum, default_value_t = DryRun::None, num_args = 0..=1, default_missing_value = "client", require_equals = true)]
    pub dry_run: DryRun,

    /// What is printed: a line, or the object as it is then.
    #[arg(long, short, value_enum)]
    pub output: Option<ChangeFormat>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    None,
    Client,
    Server,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ChangeFormat {
    Json,
    Yaml,
    Name,
}

#[derive(Debug, Args)]
pub struct AskRetrain {
    #[command(flatten)]
    pub change: Change,

    /// Only rebuild the tables of the served version from the newest data: no training, no gate.
    #[arg(long, conflicts_with = "replace")]
    pub refresh_tables: bool,

    /// Stop a run that is under way instead of waiting for its end.
    #[arg(long)]
    pub replace: bool,

    /// Who asks, in the record of the run: A-Z a-z 0-9 . _ @ - [default: the user of this machine].
    #[arg(long, value_name = "NAME")]
    pub requester: Option<String>,

    #[command(flatten)]
    pub waiting: Waiting,
}

#[derive(Clone, Copy, Debug, Args)]
pub struct Waiting {
    /// Wait for the outcome: exit code 0 when promoted, refreshed or unchanged, 3 when the gate said
    /// no.
    #[arg(long, conflicts_with = "dry_run")]
    pub wait: bool,

    /// How long to wait: 90s, 10m, 1h.
    #[arg(long, default_value = "1h", value_parser = duration, requires = "wait")]
    pub timeout: Duration,
}

#[derive(Debug, Args)]
pub struct Decide {
    #[command(flatten)]
    pub change: Change,

    /// The version that is meant, such as v7 or 7 [default: the one that waits, is rolled out, or
    /// served before].
    #[arg(long, value_name = "VERSION", value_parser = version)]
    pub version: Option<i32>,

    #[command(flatten)]
    pub waiting: WaitingToServe,
}

#[derive(Clone, Copy, Debug, Args)]
pub struct WaitingToServe {
    /// Wait until it is so: exit code 1 where it never will be.
    #[arg(long, conflicts_with = "dry_run")]
    pub wait: bool,

    /// How long to wait: 90s, 10m, 1h.
    #[arg(long, default_value = "5m", value_parser = duration, requires = "wait")]
    pub timeout: Duration,
}

#[derive(Debug, Args)]
pub struct Rollback {
    #[command(flatten)]
    pub decide: Decide,

    /// Pin no version any more: the newest promoted one serves again.
    #[arg(long, conflicts_with = "version")]
    pub undo: bool,
}

#[derive(Debug, Args)]
pub struct Versions {
    #[command(flatten)]
    pub model: About,

    #[command(flatten)]
    pub when: When,

    #[command(flatten)]
    pub kept: Kept,
}

#[derive(Clone, Copy, Debug, Args)]
pub struct When {
    /// Only what served on this day (UTC) or at this time: 2026-11-20, 2026-11-20T09:30:00Z.
    #[arg(long, value_name = "DAY", value_parser = moment)]
    pub on: Option<Moment>,

    /// How they are printed.
    #[arg(long, short, value_enum, default_value_t = super::Output::Table)]
    pub output: super::Output,
}

/// A stretch of time that somebody asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub start: jiff::Timestamp,
    /// The first instant after it.
    pub end: jiff::Timestamp,
}

#[derive(Clone, Debug, Args)]
pub struct Kept {
    /// Folder with models/ and reports/ of this model: a mounted volume, or a copy of the bucket's.
    #[arg(long, value_name = "FOLDER")]
    pub artifacts: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Artifacts {
    #[command(flatten)]
    pub model: About,

    #[command(flatten)]
    pub kept: Kept,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["query", "file"]))]
pub struct Rank {
    /// Name of the model.
    #[arg(add = ArgValueCandidates::new(models))]
    pub name: String,

    /// The search.
    #[arg(value_name = "QUERY", requires = "ids", conflicts_with = "file")]
    pub query: Option<String>,

    /// Ids of the candidates: p1,p2,p3.
    #[arg(long, value_name = "IDS", value_delimiter = ',', requires = "query")]
    pub ids: Vec<String>,

    /// Who searches.
    #[arg(long, value_name = "ID", requires = "query")]
    pub user: Option<String>,

    /// A whole request as JSON, as POST /rank takes it; - reads standard input.
    #[arg(long, short = 'f', value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Bearer token, where the model has a tokenSecretRef.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "SEARCHOP_TOKEN",
        hide_env_values = true
    )]
    pub token: Option<String>,

    /// What is printed.
    #[arg(long, short, value_enum, default_value_t = super::Report::Table)]
    pub output: super::Report,

    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub struct Logs {
    #[command(flatten)]
    pub model: About,

    /// Of the ranker pods instead of a training run.
    #[arg(long, conflicts_with = "version")]
    pub ranker: bool,

    /// Of the run of this version [default: the newest whose pod is there].
    #[arg(long, value_name = "N")]
    pub version: Option<u32>,

    /// Go on printing what comes.
    #[arg(long, short)]
    pub follow: bool,

    /// Only so many lines from the end, of each pod.
    #[arg(long, value_name = "LINES")]
    pub tail: Option<u32>,
}

/// `v7`, or `7`.
pub(super) fn version(text: &str) -> Result<i32, String> {
    let number = text.strip_prefix('v').unwrap_or(text).parse();
    let found = number.ok().filter(|number| *number > 0);
    found.ok_or_else(|| format!("{text:?} is not the number of a version, write for example v7"))
}

/// A day of the calendar, or an instant.
fn moment(text: &str) -> Result<Moment, String> {
    use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
    let start = |date: Date| date.to_zoned(TimeZone::UTC).map(|day| day.timestamp());
    if let Ok(instant) = text.parse::<Timestamp>() {
        let end = instant + SignedDuration::from_nanos(1);
        return Ok(Moment {
            start: instant,
            end,
        });
    }
    text.parse::<Date>()
        .and_then(|date| {
            Ok(Moment {
                start: start(date)?,
                end: start(date.tomorrow()?)?,
            })
        })
        .map_err(|_| {
            format!("{text:?} is neither a day such as 2026-11-20 nor a time such as 2026-11-20T09:30:00Z")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_all_of_it_and_an_instant_is_one() {
        let day = moment("2026-11-20").unwrap();
        assert_eq!(day.start.to_string(), "2026-11-20T00:00:00Z");
        assert_eq!(day.end.to_string(), "2026-11-21T00:00:00Z");
        let instant = moment("2026-11-20T09:30:00+01:00").unwrap();
        assert_eq!(instant.start.to_string(), "2026-11-20T08:30:00Z");
        for text in ["yesterday", "2026-13-01", "20.11.2026", ""] {
            assert!(
                moment(text).unwrap_err().contains("neither a day"),
                "{text}"
            );
        }
    }
}

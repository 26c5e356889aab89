//! The command line of `searchop local`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

use super::{Files, Folder, Output, When, duration};

#[derive(Debug, Subcommand)]
pub enum Local {
    /// Train, judge and serve what the manifests declare, until interrupted.
    ///
    /// Runs in the foreground: one RankingModel and its RetrainSchedules, with the same YAML as on a
    /// cluster. Edit the file while it runs and the change is applied.
    ///
    /// Ctrl-C stops it; versions and state stay in the folder, so the next `up` serves in seconds. The
    /// exit code is 0, or 130 when it was interrupted before any version had served.
    ///
    /// `pvc://CLAIM/PATH` in `data.sources` is read from volumes/CLAIM in the folder, which may be a
    /// symbolic link to where your data are. A Secret that `spec.serving` names is the folder
    /// secrets/NAME, with a file for each key.
    Up(Up),

    /// Show the model: what serves, how good it is, what comes next.
    Status(Status),

    /// Ask the running `up` for a retrain, or for newer tables under the same model.
    Retrain(Retrain),

    /// Stop the running `up`; versions and state are kept.
    Down(Down),

    /// Say which version served when, why, trained on which rows, with which metric.
    Versions(LocalVersions),
}

#[derive(Debug, Args)]
pub struct Up {
    #[command(flatten)]
    pub files: Files,

    #[command(flatten)]
    pub folder: Folder,

    /// Where POST /rank is answered.
    #[arg(long, default_value = "127.0.0.1:8000", value_name = "ADDRESS")]
    pub listen: SocketAddr,

    /// The trainer program [default: beside this program, else on PATH].
    #[arg(long, value_name = "FILE")]
    pub trainer: Option<PathBuf>,

    /// The ranker program [default: beside this program, else on PATH].
    #[arg(long, value_name = "FILE")]
    pub ranker: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    pub folder: Folder,

    /// What to print.
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct LocalVersions {
    #[command(flatten)]
    pub folder: Folder,

    #[command(flatten)]
    pub when: When,
}

#[derive(Debug, Args)]
pub struct Retrain {
    #[command(flatten)]
    pub folder: Folder,

    /// Only rebuild the tables of the served version from the newest data: no training, no gate.
    #[arg(long)]
    pub refresh_tables: bool,

    /// Wait for the outcome: exit code 0 when promoted, refreshed or unchanged, 3 when the gate said no.
    #[arg(long)]
    pub wait: bool,

    /// How long to wait: 90s, 10m, 1h.
    #[arg(long, default_value = "1h", value_parser = duration, requires = "wait")]
    pub timeout: Duration,
}

#[derive(Debug, Args)]
pub struct Down {
    #[command(flatten)]
    pub folder: Folder,

    /// How long to wait until it has stopped: 90s, 10m.
    #[arg(long, default_value = "60s", value_parser = duration)]
    pub timeout: Duration,
}

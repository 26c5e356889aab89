//! `searchop gate`: why a version passed, and what other rules would have decided. Both read the
//! reports that trainers leave beside the artifacts; nothing is trained or measured.

mod render;

use std::{
    fs,
    path::{Path, PathBuf},
};

use searchop_api::{Evaluation, Figure, GateStatus, RankingModel, Trigger};
use searchop_contract::names::REPORTS_FOLDER;
use searchop_evaluation::report::EvaluationReport;
use searchop_lifecycle::gate::{self, Trial};

use crate::{
    args,
    exit::{Exit, Failure},
    local::state::{StateDir, StateError, read_json},
    manifest::{self, ManifestError},
    terminal::Log,
};

#[derive(Debug, thiserror::Error)]
pub enum GateError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("no version was judged yet: {0:?} holds no v1.json, v2.json, …")]
    NoReports(PathBuf),
    #[error("v{version} has no report in {folder:?}; there are {there}")]
    NoReport {
        version: u32,
        folder: PathBuf,
        there: String,
    },
}

impl Failure for GateError {
    fn exit(&self) -> Exit {
        match self {
            Self::Manifest(error) => error.exit(),
            Self::NoReports(_) | Self::NoReport { .. } => Exit::NotFound,
            Self::State(_) => Exit::Failed,
        }
    }
}

/// Text about one version.
pub fn explain(args: &args::Explain, log: Log) -> Result<String, GateError> {
    let stored = Stored::read(&args.reports)?;
    let report = stored.report(args.version)?;
    let model = stored.model.as_ref();
    let served = stored.served(report);
    let gate = model.map(|model| {
        let evaluation = &model.spec.evaluation;
        let known = known_trigger(model, report.version);
        let gate = judge(evaluation, report, known.unwrap_or(Trigger::Schedule));
        (gate, evaluation.gates.as_slice())
    });
    Ok(render::explanation(report, served, gate, log.paint()))
}

/// A line a version, under the rules of a manifest.
pub fn backtest(args: &args::Backtest, log: Log) -> Result<String, GateError> {
    let manifests = manifest::read(&args.files.filename)?;
    let evaluation = &manifests.model.spec.evaluation;
    let stored = Stored::read(&args.reports)?;
    let otherwise = match args.trigger {
        args::Started::SpecChange => Trigger::SpecChange,
        args::Started::Schedule => Trigger::Schedule,
        args::Started::Manual => Trigger::Manual,
        args::Started::Drift => Trigger::Drift,
    };
    let lines = stored.reports.iter().map(|report| {
        let model = stored.model.as_ref();
        let known = model.and_then(|model| known_trigger(model, report.version));
        let trigger = known.unwrap_or(otherwise);
        render::Line {
            outcome: model.and_then(|model| outcome(model, report.version)),
            trigger,
            gate: judge(evaluation, report, trigger),
        }
    });
    Ok(render::backtest(&lines.collect::<Vec<_>>(), log.paint()))
}

/// By the figures of the report alone, as the operator judges by those of the status.
fn judge(evaluation: &Evaluation, report: &EvaluationReport, trigger: Trigger) -> GateStatus {
    let figures: Vec<Figure> = report.measurements.iter().map(Figure::from).collect();
    let evaluation = Evaluation {
        // Bounds hold for the confidence that they were computed at.
        confidence: report.confidence.to_string(),
        ..evaluation.clone()
    };
    let trial = Trial {
        version: i32::try_from(report.version).unwrap_or(i32::MAX),
        trigger,
        has_served: report.reference.is_some(),
        figures: &figures,
        best_promoted: report
            .best_promoted
            .and_then(|version| i32::try_from(version).ok()),
    };
    gate::judge(&evaluation, trial)
}

fn known_trigger(model: &RankingModel, version: u32) -> Option<Trigger> {
    let status = model.status.as_ref()?;
    let of = |number: i32| u32::try_from(number) == Ok(version);
    let run = status.run.as_ref().filter(|run| of(run.version));
    let ended = status.history.iter().find(|entry| of(entry.version));
    run.map(|run| run.trigger)
        .or_else(|| ended.map(|entry| entry.trigger))
}

fn outcome(model: &RankingModel, version: u32) -> Option<&'static str> {
    let history = &model.status.as_ref()?.history;
    let mut entries = history.iter();
    let found = entries.find(|entry| u32::try_from(entry.version) == Ok(version));
    found.map(|entry| entry.outcome.as_str())
}

/// Every report, oldest version first, and the model where local mode knows it.
#[derive(Debug)]
struct Stored {
    folder: PathBuf,
    reports: Vec<EvaluationReport>,
    model: Option<RankingModel>,
}

impl Stored {
    fn read(args: &args::Reports) -> Result<Self, GateError> {
        let state = StateDir::at(&args.folder.dir)?;
        let artifacts = args.artifacts.clone().unwrap_or_else(|| state.artifacts());
        let folder = artifacts.join(REPORTS_FOLDER);
        let reports = read_reports(&folder)?;
        if reports.is_empty() {
            return Err(GateError::NoReports(folder));
        }
        // Another folder's artifacts are those of another model.
        let model = match args.artifacts {
            Some(_) => None,
            None => state.model()?,
        };
        Ok(Self {
            folder,
            reports,
            model,
        })
    }

    /// The newest where no version is asked for.
    fn report(&self, version: Option<u32>) -> Result<&EvaluationReport, GateError> {
        let newest = self.reports.last();
        let Some(version) = version else {
            return newest.ok_or_else(|| GateError::NoReports(self.folder.clone()));
        };
        let mut reports = self.reports.iter();
        reports
            .find(|report| report.version == version)
            .ok_or_else(|| GateError::NoReport {
                version,
                folder: self.folder.clone(),
                there: self.versions(),
            })
    }

    /// The report of what a version was compared with: the newest of that model before it.
    fn served(&self, of: &EvaluationReport) -> Option<&EvaluationReport> {
        let earlier = self.reports.iter().rev();
        let mut earlier = earlier.filter(|other| other.version < of.version);
        earlier.find(|other| Some(&other.digest) == of.reference.as_ref())
    }

    fn versions(&self) -> String {
        let names = self
            .reports
            .iter()
            .map(|report| format!("v{}", report.version));
        names.collect::<Vec<_>>().join(", ")
    }
}

/// The reports in a folder, oldest version first.
pub fn read_reports(folder: &Path) -> Result<Vec<EvaluationReport>, StateError> {
    let mut reports = Vec::new();
    // A folder that is not there holds no report.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            reports.extend(read_json::<EvaluationReport>(&path)?);
        }
    }
    reports.sort_by_key(|report| report.version);
    Ok(reports)
}

#[cfg(test)]
mod tests;

//! What a run found out: for the plan, for whoever reads a model later, for people.

use searchop_contract::{
    ClickWeights, Digest, Evidence, Measurement, Published, TrainingJob, TrainingReport,
};
use searchop_evaluation::report::{Course, EvaluationReport, Figures, OtherSeed, Search};
use serde::{Deserialize, Serialize};

use crate::{
    boosting::{Importance, TrainPoint, Trained},
    data::Cleaning,
    evaluate::{BesideServed, Table},
    lists::{JudgmentCounts, ListCounts},
    position_bias::PositionBiasDecision,
    prepare::{Span, Summary},
};

/// `report.json` of a model: everything about its training that the same data give again. What is
/// served meanwhile is not in it, or the same model would get another digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelReport {
    /// Of everything that went in; older models do not have it.
    #[serde(default)]
    pub data_digest: Option<Digest>,
    pub products: u64,
    pub events: u64,
    pub cleaning: Cleaning,
    pub lists: ListCounts,
    pub judgments: JudgmentCounts,
    pub train: Span,
    pub valid: Span,
    pub gate: Span,
    pub position_bias: PositionBiasDecision,
    /// On the gate's lists; each query counts once.
    #[serde(flatten)]
    pub table: Table,
    pub trees: u32,
    /// NDCG@10 on the validation lists after each tree.
    pub learning_curve: Vec<f64>,
    /// The same on the training lists after some of them; older models do not have it.
    #[serde(default)]
    pub train_curve: Vec<TrainPoint>,
    pub importance: Vec<Importance>,
    /// How the parameters were found, where they were searched for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuning: Option<Search>,
}

impl ModelReport {
    pub fn new(summary: &Summary, table: &Table, trained: &Trained) -> Self {
        Self {
            data_digest: Some(summary.data_digest.clone()),
            products: summary.data.products,
            events: summary.data.events,
            cleaning: summary.cleaning.clone(),
            lists: summary.lists,
            judgments: summary.judgments,
            train: summary.train.clone(),
            valid: summary.valid.clone(),
            gate: summary.gate.clone(),
            position_bias: summary.position_bias.clone(),
            table: table.clone(),
            trees: trained.trees,
            learning_curve: trained.curve.clone(),
            train_curve: trained.train_curve.clone(),
            importance: trained.importance.clone(),
            tuning: trained.tuning.clone(),
        }
    }

    /// The course of the training as people read it.
    pub fn course(&self) -> Course {
        let point = |point: &TrainPoint| (point.tree, point.ndcg_at_10);
        let train: Vec<(u32, f64)> = self.train_curve.iter().map(point).collect();
        let gain = |one: &Importance| (one.feature.clone(), one.gain, one.splits);
        let gains = self.importance.iter().map(gain);
        Course {
            tuning: self.tuning.clone(),
            ..Course::new(self.trees, (&self.learning_curve, &train), gains)
        }
    }
}

/// How a model came about, beside what the held-out lists say of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Training {
    pub course: Option<Course>,
    pub other_seed: Option<OtherSeed>,
}

/// What a run found out.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub report: TrainingReport,
    /// Candidate, served model and baselines beside each other.
    pub table: Vec<Figures>,
}

/// What the held-out lists say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Judged {
    pub measurements: Vec<Measurement>,
    /// What relevance was read from where nothing was asked for.
    pub evidence: Evidence,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clicks: Option<ClickWeights>,
    /// The best of the promoted versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_promoted: Option<u32>,
    /// Candidate and baselines.
    pub table: Table,
    /// The served model beside the candidate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<BesideServed>,
}

impl Judged {
    /// Candidate, served model and baselines beside each other.
    pub fn lines(&self) -> Vec<Figures> {
        let mut lines = self.table.rankers.clone();
        lines.splice(
            1..1,
            self.served.iter().map(|served| served.figures.clone()),
        );
        lines
    }

    /// Everything that was found out, for people to read later.
    pub fn report(
        &self,
        job: &TrainingJob,
        summary: &Summary,
        published: &Published,
        training: Training,
    ) -> EvaluationReport {
        let served = self.served.as_ref();
        let beside = served.map(|served| served.comparison.clone());
        let comparisons = beside.into_iter().chain(self.table.comparisons.clone());
        EvaluationReport {
            version: job.version,
            digest: published.digest.clone(),
            reference: job.reference.as_ref().map(|model| model.digest.clone()),
            from: summary.gate.from.clone(),
            to: summary.gate.to.clone(),
            confidence: job.evaluation.confidence,
            evidence: self.evidence,
            clicks: self.clicks,
            best_promoted: self.best_promoted,
            measurements: self.measurements.clone(),
            rankers: self.lines(),
            comparisons: comparisons.collect(),
            slices: served
                .map_or(&self.table.slices, |served| &served.slices)
                .clone(),
            changes: served
                .map_or(&self.table.changes, |served| &served.changes)
                .clone(),
            course: training.course,
            other_seed: training.other_seed,
        }
    }
}

//! The figures of a judged run: the artifact's report, and the served version's from the gate's.

use std::path::Path;

use searchop_api::{Candidate, RankingModelStatus, figures::number};
use searchop_contract::{Digest, Metric, Reference, names};
use serde::Deserialize;

use super::{
    render::{MetricRow, MetricTable},
    state::read_json,
};

/// What is read of an artifact's `report.json`.
#[derive(Debug, Deserialize)]
struct Report {
    /// The candidate first, then the baselines.
    rankers: Vec<Figures>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    ranker: String,
    ndcg_at_10: Option<f64>,
    mrr_at_10: Option<f64>,
    map_at_10: Option<f64>,
}

/// Cut-off of the report's metrics.
const K: i32 = 10;
const METRICS: [Metric; 3] = [Metric::NDCG, Metric::MRR, Metric::MAP];

/// The table of the newest run; `None` where its artifact has no readable report.
pub fn of_run(status: &RankingModelStatus, artifacts: &Path) -> Option<MetricTable> {
    let run = status.run.as_ref()?;
    let candidate = run.candidate.as_ref()?;
    let digest: Digest = candidate.digest.parse().ok()?;
    let report = artifacts
        .join(names::MODELS_FOLDER)
        .join(digest.hex())
        .join(names::REPORT_FILE);
    let report: Report = read_json(&report).ok()??;
    let mut rows: Vec<MetricRow> = report.rankers.into_iter().map(row).collect();
    if let Some(first) = rows.first_mut() {
        first.ranker = format!("candidate v{}", run.version);
    }
    let reference = run.reference_digest.as_deref();
    let versions = [&status.served, &status.previous].into_iter().flatten();
    let served = versions
        .into_iter()
        .find(|version| Some(&*version.digest) == reference);
    if let Some(served) = served {
        rows.insert(
            1.min(rows.len()),
            served_row(&format!("served v{}", served.version), candidate),
        );
    }
    let metrics = METRICS.map(|metric| format!("{metric}@{K}")).to_vec();
    Some(MetricTable { metrics, rows })
}

fn row(figures: Figures) -> MetricRow {
    let ranker = match figures.ranker.as_str() {
        "LoggedOrder" => "logged order",
        "Bm25" => "BM25",
        "Random" => "random order",
        other => other,
    };
    MetricRow {
        ranker: ranker.to_owned(),
        values: vec![figures.ndcg_at_10, figures.mrr_at_10, figures.map_at_10],
    }
}

/// The served version on the same queries, as far as the gate's rules asked for it.
fn served_row(ranker: &str, candidate: &Candidate) -> MetricRow {
    let value = |metric| {
        let found = candidate.figures.iter().find(|figure| {
            figure.metric == metric && figure.k == K && figure.against == Some(Reference::Served)
        });
        number(found?.reference.as_deref()?)
    };
    MetricRow {
        ranker: ranker.to_owned(),
        values: METRICS.map(value).to_vec(),
    }
}

//! How good the candidate is on the held-out lists, beside the served model, models that served
//! before, and rankings that need no model. Every ranker orders the same lists, from the same rows:
//! only what ranks differs. The operator only compares these figures with limits.

mod before;

use searchop_contract::{
    BaselineName, ClickWeights, EvaluationSettings, Evidence, Measure, Measurement, Reference,
};
use searchop_evaluation::{
    clicks,
    held_out::{HeldOut, HeldOutList, Rankings},
    report::{self, Changes, Comparison, Figures, Pair, SliceFigures, TABLE_CONFIDENCE},
};
use searchop_model::{features::features, forest::Forest};
use serde::{Deserialize, Serialize};

use before::Before;

use crate::{encoding::Encoding, propensity::Propensities, rows::Rows, slices::Slice};

/// The feature by which BM25 ranks.
const BM25_FEATURE: &str = "all_bm25";
/// With so many judged queries a rule reads judgments unless it says otherwise.
const ENOUGH_JUDGED: usize = 100;

/// A score for each candidate of each held-out list, list after list.
type Scores = Vec<f64>;

/// Who is compared.
#[derive(Clone, Copy)]
pub struct Contestants<'a> {
    pub candidate: (&'a Forest, &'a Encoding),
    pub served: Option<&'a (Forest, Encoding)>,
    /// Versions that served before, without those that have trained on the held-out days.
    pub promoted: &'a [(u32, (Forest, Encoding))],
    pub overlap: Overlap,
}

/// Who has trained on some of the held-out days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overlap {
    /// Then no figure means anything.
    pub candidate: bool,
    /// Then comparisons with it mean nothing.
    pub served: bool,
    /// No promoted version is left to compare with.
    pub promoted: bool,
}

/// Held-out lists with the scores of each ranker.
pub struct Evaluation<'a> {
    rows: &'a Rows,
    /// With weights where propensities are known.
    clicks: Panel,
    /// Queries with grades.
    judged: Panel,
    evidence: Evidence,
    overlap: Overlap,
}

/// Lists of one kind, and what every ranker makes of them.
struct Panel {
    held_out: HeldOut,
    /// Rows of the lists' candidates.
    rows: Vec<usize>,
    candidate: Scores,
    served: Option<Scores>,
    promoted: Vec<(u32, Scores)>,
}

impl Panel {
    fn new(rows: &Rows, held_out: HeldOut, indices: Vec<usize>, contestants: Contestants) -> Self {
        let by = |model: (&Forest, &Encoding)| rows.scores(model, indices.iter().copied());
        let of = |(forest, encoding): &(Forest, Encoding)| by((forest, encoding));
        Self {
            candidate: by(contestants.candidate),
            served: contestants.served.map(of),
            promoted: contestants
                .promoted
                .iter()
                .map(|(version, model)| (*version, of(model)))
                .collect(),
            held_out,
            rows: indices,
        }
    }
}

impl<'a> Evaluation<'a> {
    /// Without `propensities`, clicks are taken as they are.
    pub fn new(
        rows: &'a Rows,
        contestants: Contestants,
        propensities: Option<&Propensities>,
    ) -> Self {
        let before = Before::new(rows);
        let panel = |slice: Slice, propensities: Option<&Propensities>| {
            let (held_out, indices) = held_out(rows, slice, &before, propensities);
            Panel::new(rows, held_out, indices, contestants)
        };
        let clicks = panel(Slice::Gate, propensities);
        let judged = panel(Slice::Judged, None);
        // Judgments have a list a query.
        let evidence = match (judged.held_out.lists.len(), propensities) {
            (ENOUGH_JUDGED.., _) => Evidence::Judgments,
            (_, Some(_)) => Evidence::DebiasedClicks,
            (_, None) => Evidence::RawClicks,
        };
        Self {
            rows,
            clicks,
            judged,
            evidence,
            overlap: contestants.overlap,
        }
    }

    /// What relevance is read from where nothing is asked for.
    pub fn evidence(&self) -> Evidence {
        self.evidence
    }

    /// How far the clicks' weights can be trusted; `None` where they have none.
    pub fn click_weights(&self) -> Option<ClickWeights> {
        let HeldOut {
            weights, labels, ..
        } = &self.clicks.held_out;
        clicks::counted(weights, labels)
    }

    /// Held-out lists with a click.
    pub fn lists(&self) -> usize {
        self.clicks.held_out.lists.len()
    }

    /// One measurement for each of `settings.measures`, in their order, and the promoted version
    /// that was the best by the first measure that compares with that.
    pub fn measurements(&self, settings: &EvaluationSettings) -> (Vec<Measurement>, Option<u32>) {
        let against_best = |measure: &&Measure| measure.against == Some(Reference::BestPromoted);
        let best = settings
            .measures
            .iter()
            .find(against_best)
            .and_then(|measure| self.best_promoted(*measure));
        let measurements = settings
            .measures
            .iter()
            .map(|measure| self.measurement(*measure, best, settings.confidence))
            .collect();
        (measurements, best)
    }

    fn best_promoted(&self, measure: Measure) -> Option<u32> {
        let panel = self.panel(measure.on)?;
        let figure = |(version, scores): &(u32, Scores)| {
            let found = panel.held_out.by_query(scores, measure.into());
            Some((*version, found.figure(TABLE_CONFIDENCE)?))
        };
        panel
            .promoted
            .iter()
            .filter_map(figure)
            // The newest of equals.
            .max_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)))
            .map(|(version, _)| version)
    }

    fn measurement(&self, measure: Measure, best: Option<u32>, confidence: f64) -> Measurement {
        let Some(panel) = self.panel(measure.on) else {
            let nothing = Rankings {
                candidate: &[],
                reference: None,
                overlaps: false,
            };
            return HeldOut::default().measurement(measure, nothing, confidence);
        };
        let against_version = match measure.against {
            Some(Reference::Served) => self.overlap.served,
            Some(Reference::BestPromoted) => self.overlap.promoted,
            _ => false,
        };
        // Grades are given by people, whatever a model was trained on.
        let held_out_by_time = measure.on.unwrap_or(self.evidence) != Evidence::Judgments;
        let reference = measure
            .against
            .and_then(|reference| self.scores(panel, reference, best));
        let rankings = Rankings {
            candidate: &panel.candidate,
            reference: reference.as_deref(),
            overlaps: held_out_by_time && (self.overlap.candidate || against_version),
        };
        if measure.on == Some(Evidence::RawClicks) {
            let raw = HeldOut {
                weights: Vec::new(),
                ..panel.held_out.clone()
            };
            return raw.measurement(measure, rankings, confidence);
        }
        panel.held_out.measurement(measure, rankings, confidence)
    }

    /// `None` where there is no such evidence.
    fn panel(&self, on: Option<Evidence>) -> Option<&Panel> {
        match on.unwrap_or(self.evidence) {
            Evidence::Judgments => Some(&self.judged),
            Evidence::DebiasedClicks if self.clicks.held_out.weights.is_empty() => None,
            Evidence::DebiasedClicks | Evidence::RawClicks => Some(&self.clicks),
        }
    }

    fn scores(&self, panel: &Panel, reference: Reference, best: Option<u32>) -> Option<Scores> {
        let score = |of: &dyn Fn(usize) -> f64| panel.rows.iter().map(|&row| of(row)).collect();
        match reference {
            Reference::Served => panel.served.clone(),
            Reference::BestPromoted => {
                let mut promoted = panel.promoted.iter();
                let found = promoted.find(|(version, _)| Some(*version) == best);
                found.map(|(_, scores)| scores.clone())
            }
            // Earlier is better; an unknown position is behind every known one.
            Reference::LoggedOrder => Some(score(&|row| {
                self.rows.candidates[row]
                    .position
                    .map_or(f64::NEG_INFINITY, |position| -f64::from(position))
            })),
            Reference::Bm25 => {
                let column = features()
                    .iter()
                    .position(|feature| feature.name == BM25_FEATURE)?;
                Some(score(&|row| f64::from(self.rows.row(row)[column])))
            }
            // All the same: the metrics then give the expected value over every order.
            Reference::Random => Some(vec![0.0; panel.candidate.len()]),
        }
    }

    fn shown(&self) -> &Panel {
        // The default is always there.
        self.panel(None).unwrap_or(&self.clicks)
    }

    /// The figures of the candidate and of the baselines: nothing here depends on what is served.
    /// `keys` are the query keys by number.
    pub fn table(&self, baselines: &[BaselineName], keys: &[String]) -> Table {
        let panel = self.shown();
        let mut table = Table {
            evidence: self.evidence,
            clicks: self.click_weights(),
            rankers: vec![Figures::new("candidate", &panel.held_out, &panel.candidate)],
            comparisons: Vec::new(),
            slices: report::slices(&panel.held_out, &panel.candidate, None),
            changes: Changes::default(),
        };
        for &baseline in baselines {
            let name = format!("{baseline:?}");
            if let Some(scores) = self.scores(panel, baseline.into(), None) {
                let figures = Figures::new(&name, &panel.held_out, &scores);
                table.rankers.push(figures);
                let pair = pair(panel, &scores);
                if table.comparisons.is_empty() {
                    table.changes = pair.changes(keys);
                }
                table.comparisons.push(pair.compare(&name));
            }
        }
        table
    }

    /// The candidate against whoever is compared as the served model; `None` where nobody is.
    pub fn against_served(&self, name: &str) -> Option<Comparison> {
        let panel = self.shown();
        Some(pair(panel, panel.served.as_ref()?).compare(name))
    }

    /// What is known of the served model, beside the candidate; `None` where there is none.
    pub fn beside_served(&self, keys: &[String]) -> Option<BesideServed> {
        let panel = self.shown();
        let served = panel.served.as_ref()?;
        let pair = pair(panel, served);
        Some(BesideServed {
            figures: Figures::new("served", &panel.held_out, served),
            comparison: pair.compare("served"),
            slices: report::slices(&panel.held_out, &panel.candidate, Some(served)),
            changes: pair.changes(keys),
        })
    }
}

fn pair<'a>(panel: &'a Panel, other: &'a [f64]) -> Pair<'a> {
    Pair {
        held_out: &panel.held_out,
        candidate: &panel.candidate,
        other,
    }
}

/// Rankers beside each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Table {
    /// What relevance was read from.
    pub evidence: Evidence,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clicks: Option<ClickWeights>,
    pub rankers: Vec<Figures>,
    pub comparisons: Vec<Comparison>,
    pub slices: Vec<SliceFigures>,
    /// Against the first baseline.
    pub changes: Changes,
}

/// The served model and the candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BesideServed {
    pub figures: Figures,
    pub comparison: Comparison,
    pub slices: Vec<SliceFigures>,
    pub changes: Changes,
}

/// The lists of a slice, and the rows of their candidates.
fn held_out(
    rows: &Rows,
    slice: Slice,
    before: &Before,
    propensities: Option<&Propensities>,
) -> (HeldOut, Vec<usize>) {
    let mut held_out = HeldOut::default();
    let mut indices = Vec::new();
    for list in rows.of(slice) {
        let start = held_out.labels.len();
        for row in list.rows.clone() {
            let candidate = &rows.candidates[row];
            indices.push(row);
            held_out.labels.push(candidate.label);
            if let Some(propensities) = propensities {
                let weight = clicks::weight(propensities.of(candidate.position));
                held_out.weights.push(weight);
            }
        }
        held_out.lists.push(HeldOutList {
            key: list.key,
            candidates: start..held_out.labels.len(),
            slices: before.slices(rows, list),
        });
    }
    (held_out, indices)
}

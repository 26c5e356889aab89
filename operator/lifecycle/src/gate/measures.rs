//! Which figures the rules read.

use searchop_api::{Candidate, Evaluation, Figure, GateRule, figures::number};
use searchop_contract::{Measure, Reference};
use serde_json::json;

use crate::train_hash::digest;

/// A job is asked for this many figures at most: its report has to fit a termination message.
const MAX_MEASURES: usize = 16;

/// Figures to ask a job for: what the rules read, the headline by itself, and, where there is room,
/// the headline against everything else it can be compared with, for people to look at.
pub fn measures(evaluation: &Evaluation, has_served: bool) -> Vec<Measure> {
    let mut wanted: Vec<Measure> = Vec::new();
    let mut add = |measure: Measure| {
        let comparable = has_served || !measure.against.is_some_and(Reference::is_version);
        if comparable && wanted.len() < MAX_MEASURES && !wanted.contains(&measure) {
            wanted.push(measure);
        }
    };
    evaluation.gates.iter().map(measure_of).for_each(&mut add);
    if let Some(first) = evaluation.gates.first().map(measure_of) {
        let headline = |against| Measure {
            against,
            slice: None,
            ..first
        };
        add(headline(None));
        let baselines = evaluation
            .baselines
            .iter()
            .map(|&name| Reference::from(name));
        for reference in std::iter::once(Reference::Served).chain(baselines) {
            add(headline(Some(reference)));
        }
    }
    wanted
}

/// Hash of the figures that the rules read; a job that was started for others may lack some.
pub(crate) fn measures_hash(evaluation: &Evaluation, has_served: bool) -> String {
    digest(
        &json!({"measures": needed(evaluation, has_served), "confidence": evaluation.confidence}),
    )
}

/// Figures that the rules read and the candidate does not have, at this confidence.
pub fn missing_measures(
    evaluation: &Evaluation,
    candidate: &Candidate,
    has_served: bool,
) -> Vec<Measure> {
    let same_confidence = number(&candidate.confidence) == number(&evaluation.confidence);
    let has = |measure: &Measure| {
        same_confidence
            && candidate
                .figures
                .iter()
                .any(|figure| figure.measure() == *measure)
    };
    needed(evaluation, has_served)
        .into_iter()
        .filter(|measure| !has(measure))
        .collect()
}

fn needed(evaluation: &Evaluation, has_served: bool) -> Vec<Measure> {
    let mut measures: Vec<Measure> = evaluation
        .gates
        .iter()
        .map(measure_of)
        .filter(|measure| has_served || !measure.against.is_some_and(Reference::is_version))
        .collect();
    measures.sort_unstable();
    measures.dedup();
    measures
}

pub(crate) fn measure_of(rule: &GateRule) -> Measure {
    Measure {
        metric: rule.metric,
        k: u32::try_from(rule.k).unwrap_or_default(),
        against: rule.against,
        on: rule.on,
        slice: rule.slice,
    }
}

/// The first rule's metric of the candidate: `NDCG@10 0.741`.
pub fn headline(evaluation: &Evaluation, figures: &[Figure]) -> String {
    let Some(first) = evaluation.gates.first() else {
        return super::NOT_MEASURED.to_owned();
    };
    match headline_value(evaluation, figures) {
        Some(value) => format!("{}@{} {value:.3}", first.metric, first.k),
        None => format!("{}@{} not measured", first.metric, first.k),
    }
}

pub(super) fn headline_value(evaluation: &Evaluation, figures: &[Figure]) -> Option<f64> {
    let first = evaluation.gates.first()?;
    figures
        .iter()
        .filter(|figure| {
            (figure.metric, figure.k, figure.on) == (first.metric, first.k, first.on)
                && figure.slice.is_none()
        })
        .find_map(|figure| number(figure.candidate.as_deref()?))
}

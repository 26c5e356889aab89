//! The gate: may a candidate serve?
//!
//! It reads figures that the trainer computed and compares them with limits; it computes no
//! statistics. What is missing, not a number or means nothing never passes.

use searchop_api::{
    Candidate, Evaluation, Figure, GateRule, GateStatus, Goal, OnInconclusive, RuleStatus, Trigger,
    Verdict,
    figures::{decimal, number},
};
use searchop_contract::{Measure, Reference};
use serde_json::json;

use crate::train_hash::digest;

/// A job is asked for this many figures at most: its report has to fit a termination message.
const MAX_MEASURES: usize = 16;

/// Rules that a message has room for.
const MAX_TOLD: usize = 2;

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub struct Trial<'a> {
    pub version: i32,
    pub trigger: Trigger,
    /// A version serves, and `figures` compare with it.
    pub has_served: bool,
    pub figures: &'a [Figure],
}

/// Judges by every rule. The worst verdict of the rules that decide is the gate's.
///
/// Where no rule decides (the first version with rules against the served one only, or none that
/// applies to this trigger) the candidate passes, since the user asked for no more, and a model that
/// may never serve its first version could never get a second. Even then it must have been measured.
pub fn judge(evaluation: &Evaluation, trial: Trial) -> GateStatus {
    let rules: Vec<RuleStatus> = evaluation
        .gates
        .iter()
        .map(|rule| judge_rule(rule, trial))
        .collect();
    let worst = rules
        .iter()
        .filter(|rule| !rule.dry_run)
        .map(|rule| rule.verdict)
        .max();
    let verdict = match worst.unwrap_or(Verdict::Skipped) {
        Verdict::Skipped if headline_value(evaluation, trial.figures).is_some() => Verdict::Passed,
        Verdict::Skipped => Verdict::Error,
        decided => decided,
    };
    GateStatus {
        version: trial.version,
        verdict,
        rules_hash: rules_hash(evaluation),
        rules,
    }
}

/// Whether a version with this verdict may serve.
pub(crate) fn promotes(verdict: Verdict, on_inconclusive: OnInconclusive) -> bool {
    match verdict {
        Verdict::Passed => true,
        Verdict::Inconclusive => on_inconclusive == OnInconclusive::Promote,
        Verdict::Skipped | Verdict::Failed | Verdict::Error => false,
    }
}

/// Hash of everything but the figures that a verdict follows from.
pub fn rules_hash(evaluation: &Evaluation) -> String {
    digest(&json!({
        "gates": evaluation.gates,
        "confidence": evaluation.confidence,
        "onInconclusive": evaluation.on_inconclusive,
    }))
}

/// Figures to ask a job for: what the rules read, the headline by itself, and, where there is room,
/// the headline against everything else it can be compared with, for people to look at.
pub fn measures(evaluation: &Evaluation, has_served: bool) -> Vec<Measure> {
    let mut wanted: Vec<Measure> = Vec::new();
    let mut add = |measure: Measure| {
        let comparable = has_served || measure.against != Some(Reference::Served);
        if comparable && wanted.len() < MAX_MEASURES && !wanted.contains(&measure) {
            wanted.push(measure);
        }
    };
    evaluation.gates.iter().map(measure_of).for_each(&mut add);
    if let Some(first) = evaluation.gates.first().map(measure_of) {
        add(Measure {
            against: None,
            ..first
        });
        let baselines = evaluation
            .baselines
            .iter()
            .map(|&name| Reference::from(name));
        for reference in std::iter::once(Reference::Served).chain(baselines) {
            add(Measure {
                against: Some(reference),
                ..first
            });
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
        let bounds_hold = same_confidence || measure.against.is_none();
        bounds_hold
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
        .filter(|measure| has_served || measure.against != Some(Reference::Served))
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
    }
}

/// The first rule's metric of the candidate: `NDCG@10 0.741`.
pub fn headline(evaluation: &Evaluation, figures: &[Figure]) -> String {
    let Some(first) = evaluation.gates.first() else {
        return "not measured".to_owned();
    };
    match headline_value(evaluation, figures) {
        Some(value) => format!("{}@{} {value:.3}", first.metric, first.k),
        None => format!("{}@{} not measured", first.metric, first.k),
    }
}

fn headline_value(evaluation: &Evaluation, figures: &[Figure]) -> Option<f64> {
    let first = evaluation.gates.first()?;
    figures
        .iter()
        .filter(|figure| figure.metric == first.metric && figure.k == first.k)
        .find_map(|figure| number(figure.candidate.as_deref()?))
}

/// The gate's verdict in words: the first rules that decided it. All of them are in status.
pub fn summary(gate: &GateStatus) -> String {
    let deciding = || {
        gate.rules
            .iter()
            .filter(|rule| !rule.dry_run && rule.verdict == gate.verdict)
    };
    let mut told: Vec<String> = deciding()
        .take(MAX_TOLD)
        .map(|rule| format!("{}: {}", rule.name, rule.message))
        .collect();
    match deciding().count() - told.len() {
        0 => {}
        more => told.push(format!("and {more} more")),
    }
    match (told.is_empty(), gate.verdict) {
        (false, _) => told.join("; "),
        (true, Verdict::Passed) => "no rule decides about this run".to_owned(),
        (true, _) => {
            "no rule decides about this run, and its headline metric is missing".to_owned()
        }
    }
}

fn judge_rule(rule: &GateRule, trial: Trial) -> RuleStatus {
    let mut status = RuleStatus {
        name: rule.name.clone(),
        verdict: Verdict::Skipped,
        dry_run: rule.dry_run,
        candidate: None,
        reference: None,
        limit: rule.threshold.clone().or_else(|| rule.margin.clone()),
        low: None,
        high: None,
        queries: None,
        message: String::new(),
    };
    if !rule.applies_to.is_empty() && !rule.applies_to.contains(&trial.trigger) {
        let triggers: Vec<_> = rule
            .applies_to
            .iter()
            .map(|trigger| trigger.as_str())
            .collect();
        status.message = format!("does not apply: it judges runs by {}", triggers.join(", "));
        return status;
    }
    if rule.against == Some(Reference::Served) && !trial.has_served {
        status.message =
            "no version serves yet, so there is nothing to compare with: skipped".to_owned();
        return status;
    }
    let metric = format!("{}@{}", rule.metric, rule.k);
    let Some(figure) = trial
        .figures
        .iter()
        .find(|figure| figure.measure() == measure_of(rule))
    else {
        status.verdict = Verdict::Error;
        status.message = match rule.against {
            Some(reference) => {
                format!("{metric} against {reference} is missing from the report: error")
            }
            None => format!("{metric} is missing from the report: error"),
        };
        return status;
    };
    status.candidate.clone_from(&figure.candidate);
    status.reference.clone_from(&figure.reference);
    status.low.clone_from(&figure.low);
    status.high.clone_from(&figure.high);
    status.queries = Some(figure.queries);
    (status.verdict, status.message) = compare(rule, figure, &metric);
    status
}

fn compare(rule: &GateRule, figure: &Figure, metric: &str) -> (Verdict, String) {
    let error = |words: String| (Verdict::Error, format!("{metric}: {words}: error"));
    let Some(candidate) = read(&figure.candidate) else {
        return error("the candidate's figure is not a number".to_owned());
    };
    if figure.queries < 1 {
        return error("no held-out query was measured".to_owned());
    }
    let Some(reference) = rule.against else {
        return threshold(rule, candidate, metric);
    };
    if figure.holdout_overlap {
        return error(format!(
            "HoldoutOverlap, {reference} has trained on the held-out days"
        ));
    }
    let (Some(base), Some(low), Some(high)) = (
        read(&figure.reference),
        read(&figure.low),
        read(&figure.high),
    ) else {
        return error(format!(
            "a figure of the comparison with {reference} is not a number"
        ));
    };
    if base <= 0.0 || low > high {
        return error(format!(
            "the comparison with {reference} ({base}) means nothing"
        ));
    }
    let margin = read(&rule.margin).filter(|margin| *margin >= 0.0);
    let (Some(goal), Some(margin)) = (rule.goal, margin) else {
        return error("goal and margin of the rule cannot be read".to_owned());
    };
    let gain = (candidate - base) / base;
    let (verdict, words) = Difference { gain, low, high }.judge(goal, margin);
    let message = format!("{metric} {candidate:.3} against {base:.3} of {reference}: {words}");
    (verdict, message)
}

fn read(text: &Option<String>) -> Option<f64> {
    text.as_deref().and_then(number)
}

/// Relative difference between candidate and reference, with its bounds.
struct Difference {
    gain: f64,
    low: f64,
    high: f64,
}

impl Difference {
    fn judge(&self, goal: Goal, margin: f64) -> (Verdict, String) {
        let &Self { gain, low, high } = self;
        let verdict = match goal {
            Goal::Superior => superior(gain, margin, low, high),
            Goal::NotWorse => not_worse(margin, low, high),
        };
        // Where one decimal would show the estimate at the limit, three tell which side it is on.
        let digits = if (gain - margin).abs() < 0.000_5 {
            3
        } else {
            1
        };
        let needs = match goal {
            Goal::Superior if margin == 0.0 => "needs more than 0 %".to_owned(),
            Goal::Superior => format!("needs {}", percent(margin, digits)),
            Goal::NotWorse => format!("must not be below {}", percent(-margin, digits)),
        };
        let bound = if verdict == Verdict::Failed {
            format!("at most {}", percent(high, digits))
        } else {
            format!("at least {}", percent(low, digits))
        };
        let gain = percent(gain, digits);
        (
            verdict,
            format!("{gain} ({bound}), {needs}: {}", word(verdict)),
        )
    }
}

fn threshold(rule: &GateRule, candidate: f64, metric: &str) -> (Verdict, String) {
    let text = rule.threshold.as_deref().unwrap_or_default();
    let Some(limit) = number(text) else {
        return (
            Verdict::Error,
            format!("{metric}: threshold {text:?} is not a number: error"),
        );
    };
    let verdict = if candidate >= limit {
        Verdict::Passed
    } else {
        Verdict::Failed
    };
    let digits = if (candidate - limit).abs() < 0.000_5 {
        6
    } else {
        3
    };
    (
        verdict,
        format!(
            "{metric} {candidate:.digits$}, needs at least {text}: {}",
            word(verdict)
        ),
    )
}

/// Better by the margin, and surely better at all.
fn superior(gain: f64, margin: f64, low: f64, high: f64) -> Verdict {
    if gain >= margin && low > 0.0 {
        Verdict::Passed
    } else if high < margin || high <= 0.0 {
        Verdict::Failed
    } else {
        Verdict::Inconclusive
    }
}

/// Surely not worse by more than the margin.
fn not_worse(margin: f64, low: f64, high: f64) -> Verdict {
    if low >= -margin {
        Verdict::Passed
    } else if high < -margin {
        Verdict::Failed
    } else {
        Verdict::Inconclusive
    }
}

fn percent(share: f64, digits: usize) -> String {
    // Through the decimal, so that what rounds to nothing has no sign of its own.
    let share = decimal(share).as_deref().and_then(number).unwrap_or(share);
    format!("{:+.digits$} %", share * 100.0)
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Skipped => "skipped",
        Verdict::Passed => "passed",
        Verdict::Inconclusive => "too few data to tell",
        Verdict::Failed => "failed",
        Verdict::Error => "error",
    }
}

#[cfg(test)]
mod tests;

//! The gate: may a candidate serve?
//!
//! It reads figures that the trainer computed and compares them with limits. What is missing, not a
//! number or means nothing never passes.

mod measures;
mod verdict;

use searchop_api::{
    Evaluation, Figure, GateRule, GateStatus, OnInconclusive, RuleStatus, Trigger, Verdict,
    figures::number,
};
use searchop_contract::Reference;
use searchop_evaluation::statistics;
use serde_json::json;

use crate::train_hash::digest;
use measures::headline_value;
pub use measures::{headline, measures, missing_measures};
pub(crate) use measures::{measure_of, measures_hash};
use verdict::Ruling;

/// In place of a headline metric that is not known.
pub(crate) const NOT_MEASURED: &str = "not measured";

/// Rules that a message has room for, and characters after the first of them.
const MAX_TOLD: usize = 2;
const MAX_TOLD_CHARS: usize = 260;

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub struct Trial<'a> {
    pub version: i32,
    pub trigger: Trigger,
    /// A version serves, and `figures` compare with it.
    pub has_served: bool,
    pub figures: &'a [Figure],
    /// The version that [`Reference::BestPromoted`] stands for.
    pub best_promoted: Option<i32>,
}

/// Judges by every rule. The worst verdict of the rules that decide is the gate's.
///
/// Where no rule decides (the first version with rules against the served one only, or none that
/// applies to this trigger) the candidate passes, since the user asked for no more, and a model that
/// may never serve its first version could never get a second. Even then it must have been measured.
pub fn judge(evaluation: &Evaluation, trial: Trial) -> GateStatus {
    let gates = &evaluation.gates;
    let trial = Trial {
        trigger: judged_as(gates, trial.trigger),
        ..trial
    };
    // What is no confidence proves nothing.
    let confidence = number(&evaluation.confidence).unwrap_or(f64::NAN);
    let mut rulings: Vec<Ruling> = gates
        .iter()
        .map(|rule| judge_rule(rule, trial, confidence))
        .collect();
    let decides = |rule: &GateRule| !rule.dry_run;
    // Guards that only report must not make those that decide more lenient.
    for family in [true, false] {
        let mut guards: Vec<&mut Ruling> = gates
            .iter()
            .zip(&mut rulings)
            .filter(|(rule, ruling)| decides(rule) == family && ruling.p_value.is_some())
            .map(|(_, ruling)| ruling)
            .collect();
        let p_values: Vec<f64> = guards.iter().filter_map(|ruling| ruling.p_value).collect();
        let falls = statistics::holm(&p_values, 1.0 - confidence);
        let fallen = guards.iter_mut().zip(falls).filter(|(_, falls)| *falls);
        fallen.for_each(|(ruling, _)| ruling.fall());
    }
    let rules: Vec<RuleStatus> = gates
        .iter()
        .zip(rulings)
        .map(|(rule, ruling)| status(rule, ruling, trial))
        .collect();
    let worst = rules
        .iter()
        .filter(|rule| !rule.dry_run)
        .map(|rule| rule.verdict)
        .max();
    let verdict = match worst.unwrap_or(Verdict::Skipped) {
        Verdict::Skipped | Verdict::NotJudged => match headline_value(evaluation, trial.figures) {
            Some(_) => Verdict::Passed,
            None => Verdict::Error,
        },
        decided => decided,
    };
    GateStatus {
        version: trial.version,
        verdict,
        rules_hash: rules_hash(evaluation),
        rules,
    }
}

/// Whether a version with this verdict may serve, once it is approved where that is asked for.
pub(crate) fn promotes(verdict: Verdict, on_inconclusive: OnInconclusive) -> bool {
    match verdict {
        Verdict::Passed => true,
        Verdict::Inconclusive => on_inconclusive != OnInconclusive::Reject,
        Verdict::Skipped | Verdict::NotJudged | Verdict::Failed | Verdict::Error => false,
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
    while told.len() > 1
        && told
            .iter()
            .map(|words| words.chars().count())
            .sum::<usize>()
            > MAX_TOLD_CHARS
    {
        told.pop();
    }
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

/// Rules that were written before drift could ask for a run guard it all the same.
fn judged_as(gates: &[GateRule], trigger: Trigger) -> Trigger {
    let named = || gates.iter().any(|rule| rule.applies_to.contains(&trigger));
    match trigger {
        Trigger::Drift if !named() => Trigger::Schedule,
        other => other,
    }
}

fn judge_rule(rule: &GateRule, trial: Trial, confidence: f64) -> Ruling {
    let without_figure = |verdict, message| Ruling {
        verdict,
        message,
        p_value: None,
    };
    if !rule.applies_to.is_empty() && !rule.applies_to.contains(&trial.trigger) {
        let triggers: Vec<_> = rule
            .applies_to
            .iter()
            .map(|trigger| trigger.as_str())
            .collect();
        let message = format!("does not apply: it judges runs by {}", triggers.join(", "));
        return without_figure(Verdict::Skipped, message);
    }
    if rule.against.is_some_and(Reference::is_version) && !trial.has_served {
        let message = "no version serves yet, so there is nothing to compare with: skipped";
        return without_figure(Verdict::Skipped, message.to_owned());
    }
    match figure_of(rule, trial) {
        Some(figure) => verdict::judge(rule, figure, (trial, confidence)),
        None => {
            let metric = format!("{}@{}", rule.metric, rule.k);
            let against = rule
                .against
                .map_or_else(String::new, |reference| format!(" against {reference}"));
            let message = format!("{metric}{against} is missing from the report: error");
            without_figure(Verdict::Error, message)
        }
    }
}

fn figure_of<'a>(rule: &GateRule, trial: Trial<'a>) -> Option<&'a Figure> {
    let measure = measure_of(rule);
    trial
        .figures
        .iter()
        .find(|figure| figure.measure() == measure)
}

fn status(rule: &GateRule, ruling: Ruling, trial: Trial) -> RuleStatus {
    let figure = figure_of(rule, trial).filter(|_| ruling.verdict != Verdict::Skipped);
    let of =
        |field: fn(&Figure) -> &Option<String>| figure.and_then(|figure| field(figure).clone());
    RuleStatus {
        name: rule.name.clone(),
        verdict: ruling.verdict,
        dry_run: rule.dry_run,
        candidate: of(|figure| &figure.candidate),
        reference: of(|figure| &figure.reference),
        limit: rule.threshold.clone().or_else(|| rule.margin.clone()),
        low: of(|figure| &figure.low),
        high: of(|figure| &figure.high),
        queries: figure.map(|figure| figure.queries),
        message: ruling.message,
    }
}

#[cfg(test)]
mod tests;

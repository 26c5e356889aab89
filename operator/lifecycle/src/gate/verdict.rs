//! The verdict on one figure, and its words.

use searchop_api::{
    Figure, GateRule, Goal, Verdict,
    figures::{decimal, number},
};
use searchop_contract::Reference;
use searchop_evaluation::statistics::{self, Confidence, MIN_QUERIES};

use super::Trial;

/// What a rule says of a figure.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ruling {
    pub verdict: Verdict,
    pub message: String,
    /// For a guard: probability of a figure this low if the candidate were worse by just the margin.
    pub p_value: Option<f64>,
}

impl Ruling {
    fn new(verdict: Verdict, message: String) -> Self {
        Self {
            verdict,
            message,
            p_value: None,
        }
    }

    /// A guard that falls with all guards taken together.
    pub fn fall(&mut self) {
        self.verdict = Verdict::Failed;
        self.message = self
            .message
            .replace(word(Verdict::Passed), word(Verdict::Failed));
    }
}

/// Judges one figure at the confidence that its bounds were computed at. A guard passes here: that
/// it fails shows only beside the other guards.
pub(super) fn judge(rule: &GateRule, figure: &Figure, (trial, confidence): (Trial, f64)) -> Ruling {
    let metric = format!("{}@{}", rule.metric, rule.k);
    let error = |words: &str| Ruling::new(Verdict::Error, format!("{metric}: {words}: error"));
    let Some(candidate) = read(&figure.candidate) else {
        return error("the candidate's figure is not a number");
    };
    if figure.queries < 1 {
        return error("no held-out query was measured");
    }
    if figure.holdout_overlap {
        let who = figure.against.filter(|reference| reference.is_version());
        let who = who.map_or("the candidate".to_owned(), |reference| {
            reference.to_string()
        });
        return error(&format!(
            "HoldoutOverlap, {who} has trained on the held-out days"
        ));
    }
    let (Some(low), Some(high)) = (read(&figure.low), read(&figure.high)) else {
        return too_few(rule, figure, &metric).unwrap_or_else(|| error("a bound is not a number"));
    };
    if low > high {
        return error("the bounds mean nothing");
    }
    let Some(reference) = rule.against else {
        return too_few(rule, figure, &metric)
            .unwrap_or_else(|| threshold(rule, (candidate, high), &metric));
    };
    let base = read(&figure.reference).filter(|base| *base > 0.0);
    let margin = read(&rule.margin).filter(|margin| *margin >= 0.0);
    let (Some(base), Some(goal), Some(margin)) = (base, rule.goal, margin) else {
        let what = if base.is_none() {
            format!("the figure of {reference} is not a number above 0")
        } else {
            "goal and margin of the rule cannot be read".to_owned()
        };
        return error(&what);
    };
    if let Some(ruling) = too_few(rule, figure, &metric) {
        return ruling;
    }
    let difference = Difference {
        gain: (candidate - base) / base,
        low,
        high,
        at: Confidence {
            confidence,
            queries: u32::try_from(figure.queries).unwrap_or(u32::MAX),
        },
    };
    let of = match trial
        .best_promoted
        .filter(|_| reference == Reference::BestPromoted)
    {
        Some(version) => format!("v{version}"),
        None => reference.to_string(),
    };
    let compared = format!("{metric} {candidate:.3} against {base:.3} of {of}");
    if rule.slice.is_some() {
        difference.guard(margin, &compared)
    } else {
        difference.judge(goal, margin, &compared)
    }
}

fn too_few(rule: &GateRule, figure: &Figure, metric: &str) -> Option<Ruling> {
    if figure.queries >= i64::from(MIN_QUERIES) {
        return None;
    }
    let verdict = if rule.slice.is_some() {
        Verdict::NotJudged
    } else {
        Verdict::Inconclusive
    };
    let queries = match figure.queries {
        1 => "1 query".to_owned(),
        n => format!("{n} queries"),
    };
    let words = word(verdict);
    let message = format!("{metric} has {queries}, {MIN_QUERIES} are needed: {words}");
    Some(Ruling::new(verdict, message))
}

fn read(text: &Option<String>) -> Option<f64> {
    text.as_deref().and_then(number)
}

/// Relative difference between candidate and reference, with its bounds.
struct Difference {
    gain: f64,
    low: f64,
    high: f64,
    at: Confidence,
}

impl Difference {
    fn judge(&self, goal: Goal, margin: f64, compared: &str) -> Ruling {
        let &Self {
            gain, low, high, ..
        } = self;
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
            Goal::NotWorse => format!(
                "may lose {}",
                percent(margin, digits).trim_start_matches('+')
            ),
        };
        let bound = if verdict == Verdict::Failed {
            format!("at most {}", percent(high, digits))
        } else {
            format!("at least {}", percent(low, digits))
        };
        let seen = match self.smallest_gain() {
            Some(seen) if verdict == Verdict::Inconclusive => format!(
                "; {} queries show gains from {}",
                self.at.queries,
                percent(seen, 1)
            ),
            _ => String::new(),
        };
        let gain = percent(gain, digits);
        let words = word(verdict);
        let message = format!("{compared}: {gain} ({bound}), {needs}: {words}{seen}");
        Ruling::new(verdict, message)
    }

    /// Passes unless it falls with all guards taken together.
    fn guard(&self, margin: f64, compared: &str) -> Ruling {
        let Some(p_value) = statistics::p_value_below(self.gain, self.high, -margin, self.at)
        else {
            let message = format!("{compared}: the bounds mean nothing: error");
            return Ruling::new(Verdict::Error, message);
        };
        let (gain, margin) = (percent(self.gain, 1), percent(margin, 1));
        let margin = margin.trim_start_matches('+');
        let words = word(Verdict::Passed);
        Ruling {
            p_value: Some(p_value),
            ..Ruling::new(
                Verdict::Passed,
                format!("{compared}: {gain}, may lose {margin}, p {p_value:.3}: {words}"),
            )
        }
    }

    fn smallest_gain(&self) -> Option<f64> {
        statistics::smallest_gain(self.gain - self.low, self.at.confidence, self.at.queries)
    }
}

/// A floor under the figure itself: it fails where even the upper bound is below.
fn threshold(rule: &GateRule, (candidate, high): (f64, f64), metric: &str) -> Ruling {
    let text = rule.threshold.as_deref().unwrap_or_default();
    let Some(limit) = number(text) else {
        let message = format!("{metric}: threshold {text:?} is not a number: error");
        return Ruling::new(Verdict::Error, message);
    };
    let verdict = if candidate >= limit {
        Verdict::Passed
    } else if high < limit {
        Verdict::Failed
    } else {
        Verdict::Inconclusive
    };
    let digits = if (candidate - limit).abs() < 0.000_5 {
        6
    } else {
        3
    };
    let words = word(verdict);
    let message = format!("{metric} {candidate:.digits$}, needs at least {text}: {words}");
    Ruling::new(verdict, message)
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
        Verdict::NotJudged => "not judged",
        Verdict::Passed => "passed",
        Verdict::Inconclusive => "too few data to tell",
        Verdict::Failed => "failed",
        Verdict::Error => "error",
    }
}

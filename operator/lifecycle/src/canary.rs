//! A canary: the candidate is a second model in the same pods and answers a growing share of the
//! users, step by step, for as long as what the pods report of it is sound.
//!
//! Roles and weights are data beside the pods, so that a step, an abort and an edit of the steps
//! restart none. Only the step and the moment at which all pods followed it are facts.

use jiff::{SignedDuration, Timestamp};
use searchop_api::{
    Canary, Candidate, Outcome, RankingModelSpec, RankingModelStatus, RolloutStep, Run,
    ShadowOverlap, Strategy,
};
use searchop_contract::{AbortRule, Digest, LoadedVersion, Role, Share, Traffic, TrafficReport};
use serde_json::json;

use crate::{
    Observed,
    analysis::{Finding, Tally, analyse, analyse_shadow},
    rollout,
    run::{Step, digests, normal},
    time::stored,
    train_hash::digest,
};

/// A pod takes the candidate's weight away by itself once this much of so many of its answers
/// failed. Finer differences are for the analysis, which sees all pods.
const POD_MIN_REQUESTS: u32 = 20;
const POD_MAX_ERROR_PERCENT: u8 = 20;

/// The first step of a rollout, where it is one with steps. A first version has nothing to share
/// requests with.
pub(crate) fn first_step(spec: &RankingModelSpec, status: &RankingModelStatus) -> Option<Canary> {
    let steps = spec.rollout.strategy == Strategy::Canary && status.served.is_some();
    steps.then_some(Canary {
        step: 0,
        start_time: None,
        shadow: None,
    })
}

/// The step that a run is at, if it is at one: not before, not after the last, and not where the
/// strategy has become one without steps.
pub(crate) fn step<'a>(
    spec: &'a RankingModelSpec,
    run: &'a Run,
) -> Option<(&'a Canary, &'a RolloutStep)> {
    let canary = run.canary.as_ref()?;
    if spec.rollout.strategy != Strategy::Canary {
        return None;
    }
    let index = usize::try_from(canary.step).ok()?;
    Some((canary, spec.rollout.steps.get(index)?))
}

/// The two versions of a rollout and who answers what.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Split {
    pub candidate: LoadedVersion,
    pub traffic: Traffic,
}

impl Split {
    fn address(&self) -> (Digest, Digest) {
        let candidate = &self.candidate;
        (candidate.digest.clone(), candidate.tables_digest.clone())
    }
}

/// Who answers what: the step's weights while the canary is at one, all to the candidate after the
/// last, all to what serves once it has failed. `None` for a run without a canary.
pub(crate) fn split(seen: &Observed) -> Option<Split> {
    let status = &seen.status;
    let run = status.run.as_ref()?;
    run.canary.as_ref()?;
    let candidate = loaded(run.version, run.candidate.as_ref()?)?;
    let served = u32::try_from(status.served.as_ref()?.version).ok()?;
    let (weight, shadow) = match (run.outcome, step(&seen.spec, run)) {
        (None, Some((_, step))) => (part(step.weight), part(step.shadow_percent)),
        (None, None) => (100, 0),
        (Some(Outcome::Promoted | Outcome::Unchanged), _) => return None,
        (Some(_), _) => (0, 0),
    };
    let shares = vec![
        Share {
            version: served,
            role: Role::Served,
            weight: 100 - weight,
            shadow: 0,
        },
        Share {
            version: candidate.version,
            role: Role::Candidate,
            weight,
            shadow,
        },
    ];
    let most = part(seen.spec.rollout.analysis.max_error_percent);
    let abort = AbortRule {
        min_requests: POD_MIN_REQUESTS,
        max_error_percent: most.max(POD_MAX_ERROR_PERCENT),
    };
    let name = digest(&json!({"shares": shares, "abort": abort}));
    Some(Split {
        traffic: Traffic {
            revision: format!("v{}-{name}", run.version),
            shares,
            abort: Some(abort),
        },
        candidate,
    })
}

fn loaded(version: i32, candidate: &Candidate) -> Option<LoadedVersion> {
    let (digest, tables_digest) = digests(&candidate.digest, &candidate.tables_digest)?;
    Some(LoadedVersion {
        version: u32::try_from(version).ok()?,
        digest,
        tables_digest,
    })
}

fn part(percent: i32) -> u8 {
    u8::try_from(percent.clamp(0, 100)).unwrap_or(100)
}

/// Where a step stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stage {
    /// Pods are made, or have not taken the weights over.
    Following(String),
    /// They all have, for the first time.
    Begins,
    Holding {
        until: Timestamp,
    },
    /// The hold is over, and what is known does not suffice.
    Waiting(String),
    Over,
    Failed(String),
}

/// Where the canary stands, from what the pods report.
pub(crate) fn stage(seen: &Observed, run: &Run) -> Option<Stage> {
    let (canary, step) = step(&seen.spec, run)?;
    let split = split(seen)?;
    let reports: Vec<&TrafficReport> = seen.serving.traffic.iter().flatten().collect();
    let tally = |address: &(Digest, Digest)| Tally::of(reports.iter().copied(), address);
    let candidate = tally(&split.address());
    let rules = &seen.spec.rollout.analysis;
    let finding = if step.weight == 0 {
        analyse_shadow(rules, &candidate)
    } else {
        let served = seen.status.served.as_ref()?;
        let served = digests(&served.digest, &served.tables_digest)?;
        analyse(rules, &tally(&served), &candidate)
    };
    if let Finding::Abort(words) = finding {
        return Some(Stage::Failed(words));
    }
    if let Some(words) = behind(seen, &split) {
        return Some(Stage::Following(words));
    }
    let Some(start) = &canary.start_time else {
        return Some(Stage::Begins);
    };
    let hold = SignedDuration::from_secs(step.hold_seconds.into());
    let until = start.0.checked_add(hold).unwrap_or(Timestamp::MAX);
    Some(match finding {
        _ if seen.now < until => Stage::Holding { until },
        Finding::Wait(words) => Stage::Waiting(words),
        _ => Stage::Over,
    })
}

/// Why not all pods that are ready follow the weights, if they do not.
fn behind(seen: &Observed, split: &Split) -> Option<String> {
    let serving = &seen.serving;
    if serving.candidate != Some(split.address()) || serving.traffic.is_empty() {
        return Some("its pods are made".to_owned());
    }
    let follows =
        |report: &&TrafficReport| report.revision.as_deref() == Some(&*split.traffic.revision);
    let following = serving.traffic.iter().flatten().filter(follows).count();
    if following == serving.traffic.len() {
        return None;
    }
    let mut reports = serving.traffic.iter().flatten();
    let refused = reports.find_map(|report| report.refused.as_deref());
    Some(match refused {
        Some(words) => {
            let words: String = words.chars().take(200).collect();
            format!("a pod refuses the weights: {words}")
        }
        None => "not all pods follow the weights yet".to_owned(),
    })
}

/// The next fact of a canary that is at a step.
pub(crate) fn advance(seen: &Observed, run: &Run) -> Option<Step> {
    let (_, step) = step(&seen.spec, run)?;
    match stage(seen, run)? {
        Stage::Failed(words) => Some(rollout::fail_analysis(seen, &words)),
        Stage::Following(_) => {
            let stuck = seen.serving.stuck.as_ref()?;
            Some(rollout::fail_rollout(seen, stuck))
        }
        Stage::Holding { .. } | Stage::Waiting(_) => None,
        Stage::Begins => {
            let words = share(step);
            let message = format!("v{} {words} {}", run.version, place(&seen.spec, run));
            Some(change(seen, normal("CanaryStep", message), |canary| {
                canary.start_time = Some(stored(seen.now));
            }))
        }
        Stage::Over => Some(next(seen, run, step)),
    }
}

/// The step is over: what the shadow showed is kept, and the next one begins.
fn next(seen: &Observed, run: &Run, step: &RolloutStep) -> Step {
    let overlap = (step.weight == 0).then(|| overlap(seen, run)).flatten();
    let version = run.version;
    let message = match &overlap {
        Some(one) => {
            let seeds = one.seed_overlap.as_ref();
            let seeds = seeds.map_or_else(String::new, |overlap| {
                format!(" where two seeds overlap by {overlap}")
            });
            format!(
                "v{version} ranked {} requests in the shadow: overlap {}{seeds}, {} of the first ten are new",
                one.requests, one.overlap, one.top10_change
            )
        }
        None => format!("v{version} is sound {}", place(&seen.spec, run)),
    };
    change(seen, normal("CanaryStepOver", message), |canary| {
        canary.step += 1;
        canary.start_time = None;
        canary.shadow = overlap.clone().or(canary.shadow.take());
    })
}

/// Means over the requests that were ranked in the shadow.
fn overlap(seen: &Observed, run: &Run) -> Option<ShadowOverlap> {
    let candidate = run.candidate.as_ref()?;
    let address = digests(&candidate.digest, &candidate.tables_digest)?;
    let tally = Tally::of(seen.serving.traffic.iter().flatten(), &address);
    let requests = tally.shadow_requests as f64;
    (requests > 0.0).then_some(())?;
    Some(ShadowOverlap {
        requests: i64::try_from(tally.shadow_requests).unwrap_or(i64::MAX),
        overlap: format!("{:.3}", tally.overlap / requests),
        top10_change: format!("{:.3}", tally.top10_change / requests),
        seed_overlap: candidate.seed_overlap.clone(),
    })
}

fn change(seen: &Observed, note: crate::Note, edit: impl FnOnce(&mut Canary)) -> Step {
    let mut status = seen.status.clone();
    if let Some(canary) = status.run.as_mut().and_then(|run| run.canary.as_mut()) {
        edit(canary);
    }
    Step {
        status,
        notes: vec![note],
    }
}

/// What the canary does, in words without a clock or a count in them.
pub(crate) fn progress(seen: &Observed, run: &Run) -> Option<String> {
    let (_, step) = step(&seen.spec, run)?;
    let words = format!(
        "v{} {} {}",
        run.version,
        share(step),
        place(&seen.spec, run)
    );
    Some(match stage(seen, run)? {
        Stage::Following(why) => format!("v{} is loaded beside what serves: {why}", run.version),
        Stage::Waiting(why) => format!("{words}: {why}"),
        _ => words,
    })
}

fn share(step: &RolloutStep) -> String {
    match step.weight {
        0 => format!(
            "ranks {} % of the requests in the shadow",
            step.shadow_percent
        ),
        weight => format!("answers {weight} % of the users"),
    }
}

fn place(spec: &RankingModelSpec, run: &Run) -> String {
    let step = run.canary.as_ref().map_or(0, |canary| canary.step);
    format!("(step {} of {})", step + 1, spec.rollout.steps.len())
}

/// When to look again though nothing happens.
pub(crate) fn wake_at(seen: &Observed, run: &Run) -> Option<Timestamp> {
    match stage(seen, run)? {
        Stage::Holding { until } => Some(until),
        _ => None,
    }
}

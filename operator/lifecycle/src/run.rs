//! Facts: which one follows from what is stored and what is observed?
//!
//! Each pass adds at most one step, and what it decides from is stored already. So a crash after
//! any step leaves a state from which the next pass goes on. The steps of a run:
//!
//! ```text
//! (request | new trainHash) → run → candidate → gate → Promoted
//!                              │ ↑       │        │ ↘ Failed(RolloutFailed) → Promoted, if first
//!                              │ └ attempt, evaluation └→ Rejected | Inconclusive
//!                              └→ Failed | Superseded  └→ Unchanged | AwaitingApproval → gate
//! ```
//!
//! `suspend` starts no new work: no run, no second judgement. A run under way goes to its end.

use searchop_api::{
    Candidate, HistoryEntry, OnInconclusive, Outcome, RankingModelStatus, Run, Trigger,
};
use searchop_contract::{Digest, FailureReason};

use crate::{
    Note, NoteType, Observed, approval, canary, gate, history, judgement, refresh,
    retrain_request::{Asked, Pending, RetrainRequest, pending},
    rollout, standing,
    time::stored,
    train_hash::{settings_hash, train_hash},
    training,
};

/// Words of an outcome are cut to this many characters: status has them four times, and a limit.
const MAX_MESSAGE: usize = 360;

/// New facts, and what to tell about them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub status: RankingModelStatus,
    pub notes: Vec<Note>,
}

/// The next new facts, if any follow.
pub(crate) fn advance(seen: &Observed) -> Option<Step> {
    if let Some(refresh) = refresh::live(&seen.status) {
        return refresh::under_way(seen, refresh);
    }
    if let Some(step) = standing::follow(seen) {
        return Some(step);
    }
    train(seen).or_else(|| refresh::begin(seen))
}

/// The same about runs alone.
fn train(seen: &Observed) -> Option<Step> {
    let asked = Asked {
        annotation: seen.retrain_request.as_deref(),
        handled: seen.status.last_handled_request.as_deref(),
        ignored: seen.status.ignored_request.as_deref(),
    };
    match pending(asked, seen.now) {
        Pending::Unreadable { text, error } => {
            let mut status = seen.status.clone();
            status.ignored_request = Some(text);
            let message = format!("retrain request left alone: {error}");
            Some(Step {
                status,
                notes: vec![warning("RetrainRequestInvalid", message)],
            })
        }
        Pending::Request(request) => match live(&seen.status) {
            Some(run) => under_way(seen, run, request.replace),
            None if seen.spec.suspend => None,
            None => Some(start(seen, Some(&request))),
        },
        Pending::Nothing => match live(&seen.status) {
            Some(run) => under_way(seen, run, false),
            None => at_rest(seen),
        },
    }
}

/// The run that is under way.
pub(crate) fn live(status: &RankingModelStatus) -> Option<&Run> {
    status.run.as_ref().filter(|run| run.outcome.is_none())
}

/// The newest run, if it has ended.
pub(crate) fn ended(status: &RankingModelStatus) -> Option<(&Run, Outcome)> {
    let run = status.run.as_ref()?;
    Some((run, run.outcome?))
}

/// The candidate, if its figures are those that the run waits for.
pub(crate) fn measured(run: &Run) -> Option<&Candidate> {
    run.candidate
        .as_ref()
        .filter(|candidate| candidate.evaluation == run.evaluation)
}

/// The candidate that has passed the gate and is on its way to serve. From here on the run goes to
/// its end: a spec that changes meanwhile is the next run's, so that serving never turns around
/// halfway.
pub(crate) fn rolling_out(status: &RankingModelStatus, on: OnInconclusive) -> Option<&Candidate> {
    passed(status, live(status)?, on)
}

/// The candidate of a rollout that failed with nothing to go back to. Its pods stay, and where they
/// settle after all, it serves.
pub(crate) fn left_standing(status: &RankingModelStatus, on: OnInconclusive) -> Option<&Candidate> {
    let (run, outcome) = ended(status)?;
    let failed = outcome == Outcome::Failed
        && run.reason.as_deref() == Some(FailureReason::RolloutFailed.as_str());
    passed(status, run, on).filter(|_| failed && status.served.is_none())
}

fn passed<'a>(
    status: &'a RankingModelStatus,
    run: &'a Run,
    on: OnInconclusive,
) -> Option<&'a Candidate> {
    let gate = status
        .gate
        .as_ref()
        .filter(|gate| gate.version == run.version)?;
    measured(run).filter(|_| gate::promotes(gate.verdict, on))
}

/// The wanted settings are not those in force, so that a run for them is needed or was.
pub(crate) fn is_wanted(seen: &Observed, status: &RankingModelStatus) -> bool {
    standing::newest(status).is_none_or(|newest| newest.train_hash != train_hash(&seen.spec))
}

/// The request asked for nothing where the data have not changed. A change of the spec trains anyway.
pub(crate) fn only_if_data_changed(run: &Run) -> bool {
    let request = run.request_token.as_deref();
    let request = request.and_then(|token| token.parse::<RetrainRequest>().ok());
    run.trigger != Trigger::SpecChange && request.is_some_and(|request| request.if_data_changed)
}

fn under_way(seen: &Observed, run: &Run, replace: bool) -> Option<Step> {
    if let Some(candidate) = rolling_out(&seen.status, seen.spec.evaluation.on_inconclusive) {
        return rollout::roll_out(seen, run, candidate);
    }
    if run.train_hash != train_hash(&seen.spec) {
        return Some(supersede(
            seen,
            "SpecChanged",
            "the spec changed while it was under way",
        ));
    }
    if replace {
        return Some(supersede(
            seen,
            "Replaced",
            "a retrain request asked to replace it",
        ));
    }
    match measured(run) {
        // It is judged against what it would replace.
        Some(_) if standing::is_changing(seen) => None,
        Some(candidate) => Some(judgement::judge(seen, run, candidate)),
        None => training::read_job(seen, run),
    }
}

/// No run is under way, and no request is pending.
fn at_rest(seen: &Observed) -> Option<Step> {
    if seen.spec.suspend {
        return None;
    }
    let wanted = train_hash(&seen.spec);
    let last = ended(&seen.status);
    if let Some((run, Outcome::AwaitingApproval)) = last
        && run.train_hash != wanted
    {
        return Some(approval::give_up(seen, run));
    }
    if let Some((run, outcome)) = last.filter(|(run, _)| run.train_hash == wanted) {
        if let Some(step) = rollout::take_up(seen) {
            return Some(step);
        }
        let edited = run.settings_hash.as_deref() != Some(&settings_hash(&seen.spec));
        let other_rules = seen.status.gate.as_ref().is_some_and(|gate| {
            gate.version == run.version
                && gate.rules_hash != gate::rules_hash(&seen.spec.evaluation)
        });
        match outcome {
            Outcome::Failed if edited && rollout::may_be_repeated(run) => {
                return Some(rollout::reopen(seen));
            }
            Outcome::Failed if edited && is_wanted(seen, &seen.status) => {
                return Some(start(seen, None));
            }
            Outcome::Rejected | Outcome::Inconclusive | Outcome::AwaitingApproval
                if other_rules =>
            {
                return Some(judgement::judge(seen, run, run.candidate.as_ref()?));
            }
            Outcome::Promoted if other_rules => {
                return Some(judgement::judge_served(seen, run, run.candidate.as_ref()?));
            }
            Outcome::AwaitingApproval => return approval::release(seen, run),
            Outcome::Rejected | Outcome::Inconclusive | Outcome::Failed => return None,
            // It gave what is pinned, which is not what would serve without the pin.
            Outcome::Unchanged if seen.spec.rollout.pinned_version.is_some() => return None,
            Outcome::Promoted | Outcome::Unchanged | Outcome::Superseded => {}
        }
    }
    is_wanted(seen, &seen.status).then(|| start(seen, None))
}

/// Writes the record of a new run. Settings that do not serve yet are a change of the spec whoever
/// asks, or a change that the gate refused would slip through with the next scheduled retrain.
fn start(seen: &Observed, asked: Option<&RetrainRequest>) -> Step {
    let mut status = seen.status.clone();
    let by_request = asked
        .map(|request| request.trigger)
        .filter(|_| !is_wanted(seen, &seen.status));
    let trigger = by_request.unwrap_or(Trigger::SpecChange);
    let evaluation = &seen.spec.evaluation;
    let run = Run {
        version: history::next_version(&seen.status),
        train_hash: train_hash(&seen.spec),
        settings_hash: Some(settings_hash(&seen.spec)),
        measures_hash: Some(gate::measures_hash(
            evaluation,
            seen.status.served.is_some(),
        )),
        trigger,
        request_token: asked.map(ToString::to_string),
        as_of_time: stored(seen.now),
        reference_digest: seen
            .status
            .served
            .as_ref()
            .map(|served| served.digest.clone()),
        start_time: stored(seen.now),
        evaluation: 0,
        attempt: 0,
        canary: None,
        candidate: None,
        outcome: None,
        reason: None,
        message: None,
        completion_time: None,
    };
    let who = asked.map_or_else(String::new, |request| {
        format!(", asked for by {}", request.requester)
    });
    let note = normal(
        "RunStarted",
        format!("training v{} ({}{who})", run.version, trigger.as_str()),
    );
    if asked.is_some() {
        status.last_handled_request.clone_from(&run.request_token);
    }
    history::give_up_waiting(&mut status);
    status.run = Some(run);
    status.gate = None;
    Step {
        status,
        notes: vec![note],
    }
}

/// The run goes on to its rollout, at its first step where it has some.
pub(crate) fn open_rollout(seen: &Observed, status: &mut RankingModelStatus) {
    reopen_run(status);
    let canary = canary::first_step(&seen.spec, status);
    if let Some(run) = &mut status.run {
        run.canary = canary;
    }
}

pub(crate) fn reopen_run(status: &mut RankingModelStatus) {
    if let Some(run) = &mut status.run {
        run.outcome = None;
        run.reason = None;
        run.message = None;
        run.completion_time = None;
    }
}

fn supersede(seen: &Observed, reason: &'static str, message: &str) -> Step {
    let version = live(&seen.status).map_or(0, |run| run.version);
    let note = normal(
        "RunSuperseded",
        format!("v{version} is given up: {message}"),
    );
    let ending = Ending {
        outcome: Outcome::Superseded,
        reason,
        message: message.to_owned(),
    };
    end(seen, seen.status.clone(), ending, note)
}

pub(crate) fn fail(seen: &Observed, reason: FailureReason, message: &str) -> Step {
    let version = live(&seen.status).map_or(0, |run| run.version);
    let message = cut(message);
    let note = warning(
        "RunFailed",
        format!("v{version} failed, {}: {message}", reason.as_str()),
    );
    let ending = Ending {
        outcome: Outcome::Failed,
        reason: reason.as_str(),
        message,
    };
    end(seen, seen.status.clone(), ending, note)
}

pub(crate) struct Ending {
    pub outcome: Outcome,
    pub reason: &'static str,
    pub message: String,
}

/// Writes down how the run of `status` ended.
pub(crate) fn end(
    seen: &Observed,
    mut status: RankingModelStatus,
    ending: Ending,
    note: Note,
) -> Step {
    let Some(run) = &mut status.run else {
        return Step {
            status,
            notes: vec![note],
        };
    };
    run.outcome = Some(ending.outcome);
    run.reason = Some(ending.reason.to_owned());
    run.message = Some(cut(&ending.message));
    run.completion_time = Some(stored(seen.now));
    let candidate = run.candidate.as_ref();
    let promoted = candidate.filter(|_| ending.outcome == Outcome::Promoted);
    let entry = HistoryEntry {
        version: run.version,
        digest: candidate.map(|candidate| candidate.digest.clone()),
        // Nobody goes back to what never served, and the status has a limit.
        tables_digest: promoted.map(|candidate| candidate.tables_digest.clone()),
        trigger: run.trigger,
        outcome: ending.outcome,
        reason: run.reason.clone(),
        headline_metric: candidate
            .map(|candidate| gate::headline(&seen.spec.evaluation, &candidate.figures)),
        trained_through_time: candidate.map(|candidate| candidate.trained_through_time.clone()),
        completion_time: stored(seen.now),
    };
    history::record(
        &mut status,
        entry,
        seen.spec.rollout.pinned_version.as_deref(),
    );
    Step {
        status,
        notes: vec![note],
    }
}

/// Both digests, where both are well-formed; a status that somebody edited serves nothing.
pub(crate) fn digests(model: &str, tables: &str) -> Option<(Digest, Digest)> {
    Some((model.parse().ok()?, tables.parse().ok()?))
}

pub(crate) fn cut(text: &str) -> String {
    text.chars().take(MAX_MESSAGE).collect()
}

pub(crate) fn normal(reason: &'static str, message: String) -> Note {
    Note {
        kind: NoteType::Normal,
        reason,
        message,
    }
}

pub(crate) fn warning(reason: &'static str, message: String) -> Note {
    Note {
        kind: NoteType::Warning,
        reason,
        message,
    }
}

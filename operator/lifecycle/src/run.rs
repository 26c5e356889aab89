//! Facts: which one follows from what is stored and what is observed?
//!
//! Each pass adds at most one step, and what it decides from is stored already. So a crash after
//! any step leaves a state from which the next pass goes on. The steps of a run:
//!
//! ```text
//! (request | new trainHash) → run → candidate → gate → Promoted
//!                              │ ↑       │        │ ↘ Failed(RolloutFailed)
//!                              │ └ attempt, evaluation └→ Rejected | Inconclusive
//!                              └→ Failed | Superseded  └→ Unchanged
//! ```
//!
//! `suspend` starts no new work: no run, no second judgement. A run under way goes to its end.

use searchop_api::{
    Candidate, Figure, GateStatus, OnInconclusive, Outcome, RankingModelStatus, Run, ServedVersion, Trigger,
    Verdict,
};
use searchop_contract::{Digest, FailureReason, TrainingReport};

use crate::{
    Note, NoteType, Observed, ObservedJob, gate, history,
    retrain_request::{Pending, RetrainRequest, pending},
    time::stored,
    train_hash::{settings_hash, train_hash},
};

/// A run whose report was lost is started over this often.
pub const MAX_ATTEMPTS: i32 = 2;

/// Words of an outcome are cut to this many characters.
const MAX_MESSAGE: usize = 700;

pub const GATE_FAILED: &str = "GateFailed";
pub const GATE_INCONCLUSIVE: &str = "GateInconclusive";
/// A rule could not be decided since a figure is missing or means nothing.
pub const GATE_ERROR: &str = "GateError";

/// New facts, and what to tell about them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub status: RankingModelStatus,
    pub notes: Vec<Note>,
}

/// The next new facts, if any follow.
pub(crate) fn advance(seen: &Observed) -> Option<Step> {
    match pending(seen.retrain_request.as_deref(), &seen.status, seen.now) {
        Pending::Unreadable { text, error } => {
            let mut status = seen.status.clone();
            status.ignored_request = Some(text);
            let message = format!("retrain request left alone: {error}");
            Some(Step { status, notes: vec![warning("RetrainRequestInvalid", message)] })
        }
        Pending::Request(request) => match live(&seen.status) {
            Some(run) => under_way(seen, run, request.replace),
            None if seen.spec.suspend => None,
            None => Some(start(seen, Some((&request, seen.retrain_request.as_deref().unwrap_or_default())))),
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
    run.candidate.as_ref().filter(|candidate| candidate.evaluation == run.evaluation)
}

/// The candidate that has passed the gate and is on its way to serve. From here on the run goes to
/// its end: a spec that changes meanwhile is the next run's, so that serving never turns around
/// halfway.
pub(crate) fn rolling_out<'a>(status: &'a RankingModelStatus, on: OnInconclusive) -> Option<&'a Candidate> {
    let run = live(status)?;
    let gate = status.gate.as_ref().filter(|gate| gate.version == run.version)?;
    measured(run).filter(|_| gate::promotes(gate.verdict, on))
}

/// The wanted settings are not those that serve, so that a run for them is needed or was.
pub(crate) fn is_wanted(seen: &Observed, status: &RankingModelStatus) -> bool {
    status.served.as_ref().is_none_or(|served| served.train_hash != train_hash(&seen.spec))
}

fn under_way(seen: &Observed, run: &Run, replace: bool) -> Option<Step> {
    if let Some(candidate) = rolling_out(&seen.status, seen.spec.evaluation.on_inconclusive) {
        return roll_out(seen, candidate);
    }
    if run.train_hash != train_hash(&seen.spec) {
        return Some(supersede(seen, "SpecChanged", "the spec changed while it was under way"));
    }
    if replace {
        return Some(supersede(seen, "Replaced", "a retrain request asked to replace it"));
    }
    match measured(run) {
        Some(candidate) => Some(judge(seen, run, candidate)),
        None => read_job(seen, run),
    }
}

/// No run is under way, and no request is pending.
fn at_rest(seen: &Observed) -> Option<Step> {
    if seen.spec.suspend {
        return None;
    }
    let wanted = train_hash(&seen.spec);
    let last = ended(&seen.status).filter(|(run, _)| run.train_hash == wanted);
    if let Some((run, outcome)) = last {
        let edited = run.settings_hash.as_deref() != Some(&settings_hash(&seen.spec));
        let other_rules = seen.status.gate.as_ref().is_some_and(|gate| {
            gate.version == run.version && gate.rules_hash != gate::rules_hash(&seen.spec.evaluation)
        });
        match outcome {
            Outcome::Failed if edited && run.reason.as_deref() == Some(FailureReason::RolloutFailed.as_str()) => {
                return Some(reopen(seen));
            }
            Outcome::Failed if edited && is_wanted(seen, &seen.status) => return Some(start(seen, None)),
            Outcome::Rejected | Outcome::Inconclusive if other_rules => {
                return Some(judge(seen, run, run.candidate.as_ref()?));
            }
            Outcome::Promoted if other_rules => return Some(judge_served(seen, run, run.candidate.as_ref()?)),
            Outcome::Rejected | Outcome::Inconclusive | Outcome::Failed => return None,
            Outcome::Promoted | Outcome::Unchanged | Outcome::Superseded => {}
        }
    }
    is_wanted(seen, &seen.status).then(|| start(seen, None))
}

/// Writes the record of a new run. Settings that do not serve yet are a change of the spec whoever
/// asks, or a change that the gate refused would slip through with the next scheduled retrain.
fn start(seen: &Observed, asked: Option<(&RetrainRequest, &str)>) -> Step {
    let mut status = seen.status.clone();
    let by_request = asked.map(|(request, _)| request.trigger).filter(|_| !is_wanted(seen, &seen.status));
    let trigger = by_request.unwrap_or(Trigger::SpecChange);
    let evaluation = &seen.spec.evaluation;
    let run = Run {
        version: history::next_version(&seen.status),
        train_hash: train_hash(&seen.spec),
        settings_hash: Some(settings_hash(&seen.spec)),
        measures_hash: Some(gate::measures_hash(evaluation, seen.status.served.is_some())),
        trigger,
        request_token: asked.map(|(_, token)| token.to_owned()),
        as_of_time: stored(seen.now),
        reference_digest: seen.status.served.as_ref().map(|served| served.digest.clone()),
        start_time: stored(seen.now),
        evaluation: 0,
        attempt: 0,
        candidate: None,
        outcome: None,
        reason: None,
        message: None,
        completion_time: None,
    };
    let who = asked.map_or_else(String::new, |(request, _)| format!(", asked for by {}", request.requester));
    let note = normal("RunStarted", format!("training v{} ({}{who})", run.version, trigger.as_str()));
    if let Some((_, token)) = asked {
        status.last_handled_request = Some(token.to_owned());
    }
    status.run = Some(run);
    status.gate = None;
    Step { status, notes: vec![note] }
}

fn read_job(seen: &Observed, run: &Run) -> Option<Step> {
    match seen.job.as_ref()? {
        ObservedJob::Active { .. } => None,
        ObservedJob::Reported(report) if i64::from(report.version) != i64::from(run.version) => {
            let message = format!("the report speaks of version {}", report.version);
            Some(start_over(seen, run, &message))
        }
        ObservedJob::Reported(report) => Some(store_report(seen, run, report)),
        ObservedJob::ReportLost { message } => Some(start_over(seen, run, message)),
        ObservedJob::Failed { reason, message } => Some(fail(seen, *reason, message)),
    }
}

fn store_report(seen: &Observed, run: &Run, report: &TrainingReport) -> Step {
    if let Some(failure) = &report.failure {
        return fail(seen, failure.reason, &failure.message);
    }
    // An evaluation publishes nothing new: what is measured is what was trained.
    let published = match (&run.candidate, &report.published) {
        (Some(candidate), _) => candidate.clone(),
        (None, Some(published)) => Candidate {
            digest: published.digest.to_string(),
            tables_digest: published.tables_digest.to_string(),
            trained_through_time: stored(published.trained_through_time),
            tables_time: stored(published.tables_time),
            evaluation: 0,
            confidence: String::new(),
            figures: Vec::new(),
        },
        (None, None) => return start_over(seen, run, "the report names no published model"),
    };
    let candidate = Candidate {
        evaluation: run.evaluation,
        confidence: seen.spec.evaluation.confidence.clone(),
        figures: report.measurements.iter().take(16).map(Figure::from).collect(),
        ..published
    };
    let headline = gate::headline(&seen.spec.evaluation, &candidate.figures);
    let mut status = seen.status.clone();
    if let Some(run) = &mut status.run {
        run.candidate = Some(candidate);
    }
    let note = normal("RunReported", format!("v{} is trained: {headline}", run.version));
    Step { status, notes: vec![note] }
}

/// The Job is done but what it said is gone. Publishing twice is publishing once, so the run is
/// simply done again, a few times at most.
fn start_over(seen: &Observed, run: &Run, message: &str) -> Step {
    if run.attempt >= MAX_ATTEMPTS {
        return fail(seen, FailureReason::ReportMissing, message);
    }
    let mut status = seen.status.clone();
    if let Some(run) = &mut status.run {
        run.attempt += 1;
    }
    let message = format!("v{} is run again: {message}", run.version);
    Step { status, notes: vec![warning("ReportLost", message)] }
}

/// Judges a candidate for the first time, or again by other rules.
fn judge(seen: &Observed, run: &Run, candidate: &Candidate) -> Step {
    let served = seen.status.served.as_ref();
    if served.is_some_and(|served| {
        served.digest == candidate.digest && served.tables_digest == candidate.tables_digest
    }) {
        return unchanged(seen, run, candidate);
    }
    let evaluation = &seen.spec.evaluation;
    let other_reference = run.reference_digest.as_deref() != served.map(|served| &*served.digest);
    let asked_for_others =
        run.measures_hash.as_deref() != Some(&gate::measures_hash(evaluation, served.is_some()));
    let missing = gate::missing_measures(evaluation, candidate, served.is_some());
    if other_reference || (asked_for_others && !missing.is_empty()) {
        return measure_again(seen, run);
    }
    let trial = gate::Trial {
        version: run.version,
        trigger: run.trigger,
        has_served: served.is_some(),
        figures: &candidate.figures,
    };
    decide(seen, run, gate::judge(evaluation, trial))
}

fn decide(seen: &Observed, run: &Run, gate: GateStatus) -> Step {
    let words = gate::summary(&gate);
    let verdict = gate.verdict;
    let version = run.version;
    let mut status = seen.status.clone();
    status.gate = Some(gate);
    if gate::promotes(verdict, seen.spec.evaluation.on_inconclusive) {
        reopen_run(&mut status);
        let note = match verdict {
            Verdict::Inconclusive => {
                normal("GateInconclusive", format!("v{version} may serve though the data cannot tell: {words}"))
            }
            _ => normal("GatePassed", format!("v{version} may serve: {words}")),
        };
        return Step { status, notes: vec![note] };
    }
    let (outcome, reason, event) = match verdict {
        Verdict::Inconclusive => (Outcome::Inconclusive, GATE_INCONCLUSIVE, "GateInconclusive"),
        Verdict::Error => (Outcome::Rejected, GATE_ERROR, "GateRejected"),
        _ => (Outcome::Rejected, GATE_FAILED, "GateRejected"),
    };
    let note = warning(event, format!("v{version} was not promoted: {words}"));
    end(seen, status, Ending { outcome, reason, message: words }, note)
}

/// What serves keeps serving whatever the new rules say; they are for the next version. The verdict
/// is shown all the same, from the figures that there are.
fn judge_served(seen: &Observed, run: &Run, candidate: &Candidate) -> Step {
    let evaluation = &seen.spec.evaluation;
    let has_served = run.reference_digest.is_some();
    let missing = gate::missing_measures(evaluation, candidate, has_served);
    let trial =
        gate::Trial { version: run.version, trigger: run.trigger, has_served, figures: &candidate.figures };
    let mut known = evaluation.clone();
    known.gates.retain(|rule| !missing.contains(&gate::measure_of(rule)));
    let mut gate = gate::judge(&known, trial);
    gate.rules_hash = gate::rules_hash(evaluation);
    if known.gates.is_empty() {
        gate.verdict = Verdict::Skipped;
    }
    let words = match gate.verdict {
        Verdict::Passed => "it passes them too".to_owned(),
        Verdict::Skipped => "what they read was not measured for it".to_owned(),
        _ => gate::summary(&gate),
    };
    let mut status = seen.status.clone();
    status.gate = Some(gate);
    let message = format!("the gate's rules changed; v{} keeps serving: {words}", run.version);
    Step { status, notes: vec![normal("GateChanged", message)] }
}

fn unchanged(seen: &Observed, run: &Run, candidate: &Candidate) -> Step {
    let mut status = seen.status.clone();
    if let Some(served) = &mut status.served {
        served.train_hash.clone_from(&run.train_hash);
        served.trained_through_time = candidate.trained_through_time.clone();
        served.tables_time = candidate.tables_time.clone();
    }
    let version = status.served.as_ref().map_or(0, |served| served.version);
    let message = format!("the same model as v{version}, which serves");
    let note = normal("Unchanged", format!("v{} is {message}", run.version));
    end(seen, status, Ending { outcome: Outcome::Unchanged, reason: "Unchanged", message }, note)
}

/// Asks for an evaluate-only Job: the rules read figures that nobody measured, or what serves is not
/// what the figures compare with.
fn measure_again(seen: &Observed, run: &Run) -> Step {
    let mut status = seen.status.clone();
    let served = seen.status.served.as_ref();
    reopen_run(&mut status);
    status.gate = None;
    if let Some(run) = &mut status.run {
        run.evaluation += 1;
        run.attempt = 0;
        run.reference_digest = served.map(|served| served.digest.clone());
        run.measures_hash = Some(gate::measures_hash(&seen.spec.evaluation, served.is_some()));
    }
    let message = format!("v{} is measured again: the gate needs figures that it does not have", run.version);
    Step { status, notes: vec![normal("RunStarted", message)] }
}

/// The candidate passed the gate: is it what answers now?
fn roll_out(seen: &Observed, candidate: &Candidate) -> Option<Step> {
    let serving = &seen.serving;
    let (digest, tables) = digests(&candidate.digest, &candidate.tables_digest)?;
    if serving.target.as_ref() != Some(&(digest, tables)) {
        return None;
    }
    if serving.settled && serving.ready_pods > 0 {
        return Some(promote(seen, candidate));
    }
    let message = serving.stuck.as_ref()?;
    let mut step = fail(seen, FailureReason::RolloutFailed, message);
    step.notes.iter_mut().for_each(|note| note.reason = "RolloutFailed");
    Some(step)
}

fn promote(seen: &Observed, candidate: &Candidate) -> Step {
    let mut status = seen.status.clone();
    let Some(run) = live(&seen.status) else {
        return Step { status, notes: Vec::new() };
    };
    let headline = gate::headline(&seen.spec.evaluation, &candidate.figures);
    let old = status.served.replace(ServedVersion {
        name: format!("v{}", run.version),
        version: run.version,
        digest: candidate.digest.clone(),
        tables_digest: candidate.tables_digest.clone(),
        train_hash: run.train_hash.clone(),
        headline_metric: headline.clone(),
        trained_through_time: candidate.trained_through_time.clone(),
        tables_time: candidate.tables_time.clone(),
        promoted_time: stored(seen.now),
    });
    status.previous = old.or(status.previous);
    let note = normal("Promoted", format!("v{} serves: {headline}", run.version));
    end(seen, status, Ending { outcome: Outcome::Promoted, reason: "Promoted", message: headline }, note)
}

/// A rollout that failed for want of room or memory is tried again once the spec gives it more.
fn reopen(seen: &Observed) -> Step {
    let mut status = seen.status.clone();
    reopen_run(&mut status);
    let mut version = 0;
    if let Some(run) = &mut status.run {
        run.settings_hash = Some(settings_hash(&seen.spec));
        version = run.version;
    }
    let message = format!("v{version} is rolled out again, since the spec's resources changed");
    Step { status, notes: vec![normal("RunStarted", message)] }
}

fn reopen_run(status: &mut RankingModelStatus) {
    if let Some(run) = &mut status.run {
        run.outcome = None;
        run.reason = None;
        run.message = None;
        run.completion_time = None;
    }
}

fn supersede(seen: &Observed, reason: &'static str, message: &str) -> Step {
    let version = live(&seen.status).map_or(0, |run| run.version);
    let note = normal("RunSuperseded", format!("v{version} is given up: {message}"));
    let ending = Ending { outcome: Outcome::Superseded, reason, message: message.to_owned() };
    end(seen, seen.status.clone(), ending, note)
}

fn fail(seen: &Observed, reason: FailureReason, message: &str) -> Step {
    let version = live(&seen.status).map_or(0, |run| run.version);
    let message = cut(message);
    let note = warning("RunFailed", format!("v{version} failed, {}: {message}", reason.as_str()));
    let ending = Ending { outcome: Outcome::Failed, reason: reason.as_str(), message };
    end(seen, seen.status.clone(), ending, note)
}

struct Ending {
    outcome: Outcome,
    reason: &'static str,
    message: String,
}

/// Writes down how the run of `status` ended.
fn end(seen: &Observed, mut status: RankingModelStatus, ending: Ending, note: Note) -> Step {
    let Some(run) = &mut status.run else {
        return Step { status, notes: vec![note] };
    };
    run.outcome = Some(ending.outcome);
    run.reason = Some(ending.reason.to_owned());
    run.message = Some(cut(&ending.message));
    run.completion_time = Some(stored(seen.now));
    let candidate = run.candidate.as_ref();
    let entry = searchop_api::HistoryEntry {
        version: run.version,
        digest: candidate.map(|candidate| candidate.digest.clone()),
        tables_digest: candidate.map(|candidate| candidate.tables_digest.clone()),
        trigger: run.trigger,
        outcome: ending.outcome,
        reason: run.reason.clone(),
        headline_metric: candidate
            .map(|candidate| gate::headline(&seen.spec.evaluation, &candidate.figures)),
        trained_through_time: candidate.map(|candidate| candidate.trained_through_time.clone()),
        completion_time: stored(seen.now),
    };
    history::record(&mut status, entry);
    Step { status, notes: vec![note] }
}

/// Both digests, where both are well-formed; a status that somebody edited serves nothing.
pub(crate) fn digests(model: &str, tables: &str) -> Option<(Digest, Digest)> {
    Some((model.parse().ok()?, tables.parse().ok()?))
}

pub(crate) fn cut(text: &str) -> String {
    text.chars().take(MAX_MESSAGE).collect()
}

fn normal(reason: &'static str, message: String) -> Note {
    Note { kind: NoteType::Normal, reason, message }
}

fn warning(reason: &'static str, message: String) -> Note {
    Note { kind: NoteType::Warning, reason, message }
}

//! What status says beside the facts: conditions and observed values.
//!
//! Ready = Serving ∧ ¬Reconciling ∧ ¬Stalled, for this generation. Nothing here decides anything, and
//! no message has a clock in it, so that a pass that finds nothing new writes nothing.

use searchop_api::{
    Outcome, RankingModelStatus, Run, Verdict,
    conditions::{
        AWAITING_APPROVAL, ConditionState, ConditionStatus, LAST_RUN_SUCCEEDED, READY, RECONCILING,
        SERVING, STALLED, find, set_condition,
    },
};
use searchop_contract::FailureReason;

use crate::{
    Note, NoteType, Observed, ObservedJob,
    approval::{self, APPROVAL_REQUIRED},
    canary, drift, refresh,
    run::{self, digests},
    stale, standing,
    time::stored,
    train_hash::train_hash,
};

/// Reason of Ready and of a Reconciling that is false since nobody may start.
pub const SUSPENDED: &str = "Suspended";

/// A reason word and the words that go with it.
type Reason = (String, String);

/// Writes everything but the facts into `status`, which holds the facts that this pass ends with.
pub(crate) fn write(status: &mut RankingModelStatus, seen: &Observed) {
    status.next_retrain_time = seen.next_retrain.filter(|_| !seen.spec.suspend).map(stored);
    status.url.clone_from(&seen.url);
    status.selector.clone_from(&seen.selector);
    status.replicas = Some(seen.serving.pods);
    status.drift = drift::known(seen, status);
    let states = View { seen, status }.states();
    for state in states {
        set_condition(&mut status.conditions, state, seen.generation, seen.now);
    }
    status.observed_generation = Some(seen.generation);
}

/// What to tell about conditions that turned.
pub(crate) fn turns(before: &RankingModelStatus, after: &RankingModelStatus) -> Vec<Note> {
    let mut notes = Vec::new();
    let suspended = |status: &RankingModelStatus| {
        find(&status.conditions, RECONCILING).is_some_and(|condition| condition.reason == SUSPENDED)
    };
    if suspended(after) && !suspended(before) {
        let message = "suspended: no new work is started".to_owned();
        notes.push(Note {
            kind: NoteType::Normal,
            reason: SUSPENDED,
            message,
        });
    }
    notes.extend(stale::turned(before, after));
    notes.extend(drift::turns(before, after));
    notes
}

struct View<'a> {
    seen: &'a Observed,
    status: &'a RankingModelStatus,
}

impl View<'_> {
    fn states(&self) -> Vec<ConditionState> {
        let serving = self.serving();
        let stalled = self.stalled();
        let reconciling = self.reconciling().filter(|_| stalled.is_none());
        let mut states = vec![
            self.ready(&serving, stalled.as_ref(), reconciling.as_ref()),
            serving,
            self.or_else(RECONCILING, reconciling),
            self.or_else(STALLED, stalled),
            stale::condition(self.seen, self.status),
            drift::condition(&self.seen.spec.drift, self.status),
        ];
        states.extend(self.awaiting_approval());
        states.extend(self.last_run());
        states
    }

    /// True for this reason, or false.
    fn or_else(&self, type_: &'static str, reason: Option<Reason>) -> ConditionState {
        let idle = match type_ {
            RECONCILING if self.seen.spec.suspend && run::live(self.status).is_none() => (
                SUSPENDED.to_owned(),
                "suspended: no new work is started".to_owned(),
            ),
            RECONCILING => (
                "UpToDate".to_owned(),
                "nothing is left to do for this generation".to_owned(),
            ),
            _ => ("NotStalled".to_owned(), "nothing is in the way".to_owned()),
        };
        let status = ConditionStatus::from(reason.is_some());
        let (reason, message) = reason.unwrap_or(idle);
        ConditionState {
            type_,
            status,
            reason,
            message,
        }
    }

    fn serving(&self) -> ConditionState {
        let answers = self.seen.serving.ready_pods > 0;
        let (reason, message) = match (answers, &self.status.served) {
            (true, Some(served)) => ("Answering", format!("{} answers", served.name)),
            (true, None) => ("Answering", "the first version answers".to_owned()),
            (false, Some(served)) => ("NoReadyPod", format!("no pod of {} is ready", served.name)),
            (false, None) => ("NoVersion", "no version serves yet".to_owned()),
        };
        ConditionState {
            type_: SERVING,
            status: answers.into(),
            reason: reason.to_owned(),
            message,
        }
    }

    /// The wanted settings were tried and did not get to serve, or the pods cannot follow the spec.
    fn stalled(&self) -> Option<Reason> {
        if let Some(message) = standing::unknown_pin(self.seen, self.status) {
            return Some(("PinnedVersionUnknown".to_owned(), message));
        }
        if let (Some(stuck), true) = (&self.seen.serving.stuck, self.target_is_standing()) {
            return Some((
                FailureReason::RolloutFailed.as_str().to_owned(),
                stuck.clone(),
            ));
        }
        let (run, outcome) = run::ended(self.status)?;
        let tried = run.train_hash == train_hash(&self.seen.spec) && !is_good(outcome);
        let wanted = run::is_wanted(self.seen, self.status) && outcome != Outcome::Superseded;
        (tried && wanted).then(|| {
            let reason = run
                .reason
                .clone()
                .unwrap_or_else(|| outcome.as_str().to_owned());
            (
                reason,
                format!("v{} {}", run.version, how_it_ended(run, outcome)),
            )
        })
    }

    fn reconciling(&self) -> Option<Reason> {
        if run::is_wanted(self.seen, self.status) {
            if let Some(run) = run::live(self.status) {
                return Some(self.progress(run));
            }
            match approval::waiting(self.seen, self.status) {
                Some(hold) if hold.reason == APPROVAL_REQUIRED => {
                    return Some((AWAITING_APPROVAL.to_owned(), hold.words()));
                }
                None if !self.seen.spec.suspend && !self.is_pinned() => {
                    return Some((
                        "Starting".to_owned(),
                        "about to train a version for this generation".to_owned(),
                    ));
                }
                _ => {}
            }
        }
        let rolling_out = run::rolling_out(self.status, self.seen.spec.evaluation.on_inconclusive);
        if rolling_out.is_some() || refresh::rolling_out(self.status).is_some() {
            return None;
        }
        let standing = standing::standing(&self.seen.spec, self.status)?;
        if !self.target_is_standing() {
            return Some((
                "Applying".to_owned(),
                format!("making the pods of {}", standing.name),
            ));
        }
        let comes_back = self
            .status
            .served
            .as_ref()
            .is_some_and(|served| served.version != standing.version);
        let rolling = comes_back || !self.seen.serving.settled && self.is_new_to_this_generation();
        rolling.then(|| {
            (
                "RollingOut".to_owned(),
                format!("replacing the pods of {}", standing.name),
            )
        })
    }

    /// Pods come and go with the load. They are part of reaching a generation only until they have
    /// settled once for it.
    fn is_new_to_this_generation(&self) -> bool {
        find(&self.seen.status.conditions, RECONCILING).is_none_or(|before| {
            before.status == ConditionStatus::True.as_str()
                || before.observed_generation != Some(self.seen.generation)
        })
    }

    fn is_pinned(&self) -> bool {
        self.seen.spec.rollout.pinned_version.is_some()
    }

    fn target_is_standing(&self) -> bool {
        let standing = standing::standing(&self.seen.spec, self.status);
        let wanted = standing.and_then(|one| digests(&one.digest, &one.tables_digest));
        wanted.is_some()
            && wanted == self.seen.serving.target
            && self.seen.serving.candidate.is_none()
    }

    fn progress(&self, run: &Run) -> Reason {
        let version = run.version;
        if let Some(words) = canary::progress(self.seen, run) {
            return ("Canary".to_owned(), words);
        }
        if run::rolling_out(self.status, self.seen.spec.evaluation.on_inconclusive).is_some() {
            return (
                "RollingOut".to_owned(),
                format!("v{version} passed the gate, rolling it out"),
            );
        }
        if run::measured(run).is_some() {
            return ("Judging".to_owned(), format!("judging v{version}"));
        }
        let (reason, doing) = match run.evaluation {
            0 => ("Training", format!("training v{version}")),
            _ => ("Measuring", format!("measuring v{version} again")),
        };
        let waiting = match &self.seen.job {
            Some(ObservedJob::Active { waiting: Some(why) }) => format!(": {why}"),
            Some(ObservedJob::Blocked { by }) => format!(": waits until the Job {by:?} is gone"),
            _ => String::new(),
        };
        (reason.to_owned(), doing + &waiting)
    }

    fn ready(
        &self,
        serving: &ConditionState,
        stalled: Option<&Reason>,
        reconciling: Option<&Reason>,
    ) -> ConditionState {
        let answers = serving.status == ConditionStatus::True;
        let keeps = match (&self.status.served, answers) {
            (Some(served), true) => format!("; {} keeps answering", served.name),
            (Some(_), false) => format!("; {}", serving.message),
            (None, _) => String::new(),
        };
        let (reason, message) = match (stalled, reconciling) {
            (Some((reason, message)), _) => (reason.clone(), format!("{message}{keeps}")),
            (None, Some((reason, message))) => (reason.clone(), format!("{message}{keeps}")),
            (None, None) if !answers && self.seen.spec.suspend => (
                SUSPENDED.to_owned(),
                format!("{}; suspended", serving.message),
            ),
            (None, None) if !answers => (serving.reason.clone(), serving.message.clone()),
            (None, None) => ("Answering".to_owned(), self.all_is_well()),
        };
        let status = ConditionStatus::from(answers && stalled.is_none() && reconciling.is_none());
        ConditionState {
            type_: READY,
            status,
            reason,
            message,
        }
    }

    fn all_is_well(&self) -> String {
        let mut message = match &self.status.served {
            Some(served) => format!("{} answers: {}", served.name, served.headline_metric),
            None => "a version answers".to_owned(),
        };
        if let Some(pinned) = &self.seen.spec.rollout.pinned_version {
            message += &format!("; {pinned} is pinned");
        }
        if let Some(hold) = approval::waiting(self.seen, self.status) {
            message += &format!("; {}", hold.words());
        } else if let Some(run) = run::live(self.status) {
            message += &format!("; {}", self.progress(run).1);
        } else if let Some((run, outcome)) = run::ended(self.status)
            && !is_good(outcome)
            && outcome != Outcome::Superseded
        {
            message += &format!("; v{} {}", run.version, how_it_ended(run, outcome));
        } else if let Some(gate) = &self.status.gate
            && matches!(
                gate.verdict,
                Verdict::Failed | Verdict::Inconclusive | Verdict::Error
            )
        {
            message += "; it would not pass the gate's rules as they are now";
        }
        if let Some(remark) = refresh::remark(self.status) {
            message += &format!("; {remark}");
        }
        if self.seen.spec.suspend {
            message += "; suspended";
        }
        message
    }

    /// Whether a version waits for a decision; absent where none ever did.
    fn awaiting_approval(&self) -> Option<ConditionState> {
        let waiting = approval::waiting(self.seen, self.status);
        if waiting.is_none() && find(&self.status.conditions, AWAITING_APPROVAL).is_none() {
            return None;
        }
        let status = ConditionStatus::from(waiting.is_some());
        let (reason, message) = waiting.map_or_else(
            || ("NothingWaits", "no version waits".to_owned()),
            |hold| (hold.reason, hold.words()),
        );
        Some(ConditionState {
            type_: AWAITING_APPROVAL,
            status,
            reason: reason.to_owned(),
            message,
        })
    }

    /// The newest run that ended by itself. While another is under way, what was said stays.
    fn last_run(&self) -> Option<ConditionState> {
        let state = |status: ConditionStatus, reason: &str, message: String| ConditionState {
            type_: LAST_RUN_SUCCEEDED,
            status,
            reason: reason.to_owned(),
            message,
        };
        if let Some((run, outcome)) =
            run::ended(self.status).filter(|(_, outcome)| *outcome != Outcome::Superseded)
        {
            let reason = run.reason.as_deref().unwrap_or(outcome.as_str());
            let message = format!("v{} {}", run.version, how_it_ended(run, outcome));
            return Some(state(is_good(outcome).into(), reason, message));
        }
        if let Some(said) = find(&self.status.conditions, LAST_RUN_SUCCEEDED) {
            let status = match said.status.as_str() {
                "True" => ConditionStatus::True,
                "False" => ConditionStatus::False,
                _ => ConditionStatus::Unknown,
            };
            return Some(state(status, &said.reason, said.message.clone()));
        }
        let entry = self
            .status
            .history
            .iter()
            .find(|entry| entry.outcome != Outcome::Superseded);
        Some(match entry {
            Some(entry) => {
                let reason = entry.reason.as_deref().unwrap_or(entry.outcome.as_str());
                let message = format!("v{} ended: {}", entry.version, entry.outcome.as_str());
                state(is_good(entry.outcome).into(), reason, message)
            }
            None => state(
                ConditionStatus::Unknown,
                "NoRun",
                "no run has ended yet".to_owned(),
            ),
        })
    }
}

/// The first words; `status.run` has them all, and three conditions say them.
fn shortened(words: &str) -> String {
    const ROOM: usize = 160;
    match words.char_indices().nth(ROOM) {
        Some((end, _)) => format!("{} …", &words[..end]),
        None => words.to_owned(),
    }
}

fn is_good(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Promoted | Outcome::Unchanged | Outcome::AwaitingApproval
    )
}

fn how_it_ended(run: &Run, outcome: Outcome) -> String {
    let words = shortened(run.message.as_deref().unwrap_or_default());
    match outcome {
        Outcome::Promoted => format!("was promoted: {words}"),
        Outcome::Rejected | Outcome::Inconclusive => format!("was not promoted: {words}"),
        Outcome::Unchanged => format!("is {words}"),
        Outcome::Failed => format!("failed: {words}"),
        Outcome::Superseded => format!("was given up: {words}"),
        Outcome::AwaitingApproval => words,
    }
}

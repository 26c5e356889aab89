//! A small model of what a plan acts on: Jobs, pods and the stored status. It checks at each pass
//! what must hold at every moment.

use std::collections::{BTreeMap, BTreeSet};

use searchop_api::{GateStatus, Outcome, RankingModelSpec, Verdict, conditions};
use searchop_contract::{Buckets, FailureReason, ShadowTraffic, VersionTraffic};

use super::super::*;
use crate::{
    JobKey, is_under_way, job_name,
    testing::{fresh, report},
};

/// How a Job ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    Report {
        name: &'static str,
        gain: f64,
    },
    /// A report on a good model in which the figures against this reference are missing.
    ReportWithout(&'static str),
    /// The data are those of the served version.
    DataUnchanged,
    LoseReport,
    Fail(FailureReason, &'static str),
}

pub struct World {
    /// As the next pass sees it; `status` is the stored one.
    pub seen: Observed,
    jobs: BTreeMap<String, (JobRequest, Option<ObservedJob>)>,
    /// Jobs that were deleted, but whose pods still work.
    leaving: BTreeSet<String>,
    /// Why no pod of an active Job runs.
    pub waiting: Option<String>,
    /// Jobs that were ever made and train.
    pub started: usize,
    /// The file that pods read.
    pub weights: Option<Traffic>,
    /// What each pod reports of a candidate: requests and how many of them failed.
    pub candidate_requests: (u64, u64),
}

impl World {
    pub fn new(spec: RankingModelSpec) -> Self {
        Self {
            seen: fresh(spec),
            jobs: BTreeMap::new(),
            leaving: BTreeSet::new(),
            waiting: None,
            started: 0,
            weights: None,
            candidate_requests: (1000, 0),
        }
    }

    /// One pass that goes to its end: plan, store, act.
    pub fn pass(&mut self) -> Plan {
        let plan = self.plan_and_store();
        if !plan.facts_changed {
            for action in &plan.actions {
                self.act(action);
            }
        }
        plan
    }

    /// A pass that dies after the status was stored and this many actions were done.
    pub fn pass_that_dies(&mut self, actions: usize) {
        let plan = self.plan_and_store();
        for action in plan.actions.iter().take(actions) {
            self.act(action);
        }
    }

    fn plan_and_store(&mut self) -> Plan {
        self.observe();
        let plan = plan(&self.seen);
        self.check(&plan);
        self.seen.status = plan.status.clone();
        plan
    }

    fn observe(&mut self) {
        let status = &self.seen.status;
        let name = JobKey::awaited(status).map(|key| key.name("products"));
        let own = name.and_then(|name| self.jobs.get(&name)).map(|(_, end)| {
            end.clone().unwrap_or(ObservedJob::Active {
                waiting: self.waiting.clone(),
            })
        });
        let at_work = self.at_work().into_iter().next();
        let blocked = at_work.filter(|_| is_under_way(status));
        self.seen.job = own.or(blocked.map(|by| ObservedJob::Blocked { by: by.to_owned() }));
    }

    fn check(&self, plan: &Plan) {
        let (before, after) = (&self.seen.status, &plan.status);
        assert!(
            !plan.facts_changed || plan.actions.is_empty(),
            "facts and actions in one pass"
        );
        if !plan.facts_changed {
            let again = super::super::plan(&Observed {
                status: after.clone(),
                ..self.seen.clone()
            });
            assert_eq!(again.status, *after, "no fixed point");
            assert!(
                !again.facts_changed && again.notes.is_empty(),
                "{:?}",
                again.notes
            );
            assert_eq!(again.actions, plan.actions);
            self.check_progress(plan);
        }
        let address = |status: &RankingModelStatus| {
            status
                .served
                .as_ref()
                .map(|served| (served.digest.clone(), served.tables_digest.clone()))
        };
        if let (true, Some((digest, tables))) = (address(before) != address(after), address(after))
        {
            let target = self.seen.serving.target.as_ref().expect("something serves");
            assert_eq!((target.0.as_str(), target.1.as_str()), (&*digest, &*tables));
            assert_eq!(self.seen.serving.candidate, None);
            assert!(
                self.seen.serving.settled,
                "served was replaced before the pods had settled"
            );
            let back = known(before)
                .iter()
                .any(|known| Some(known.version) == after.served.as_ref().map(|now| now.version));
            let refreshed = before
                .served
                .as_ref()
                .is_some_and(|old| old.digest == digest)
                && refresh::live(before).is_some();
            let gate = after.gate.as_ref().filter(|_| !refreshed && !back);
            assert!(
                refreshed || back || gate.is_some(),
                "promoted without a gate"
            );
            let passes = |gate: &GateStatus| gate.verdict <= Verdict::Inconclusive;
            assert!(gate.is_none_or(passes), "{gate:?}");
        }
        assert!(
            before.served.is_none() || after.served.is_some(),
            "served was lost"
        );
        let both = run::live(after).is_some() && refresh::live(after).is_some();
        assert!(!both, "a run and a refresh at once");
        let versions: Vec<i32> = after.history.iter().map(|entry| entry.version).collect();
        assert!(
            versions.windows(2).all(|pair| pair[0] > pair[1]) && versions.len() <= 10,
            "{versions:?}"
        );
        let conditions: Vec<&str> = after
            .conditions
            .iter()
            .map(|condition| &*condition.type_)
            .filter(|type_| *type_ != "AwaitingApproval")
            .collect();
        assert_eq!(
            conditions,
            [
                "Ready",
                "Serving",
                "Reconciling",
                "Stalled",
                "Stale",
                "Drifted",
                "LastRunSucceeded"
            ]
        );
        assert!(
            after
                .conditions
                .iter()
                .all(|condition| condition.observed_generation == Some(self.seen.generation))
        );
        let is = |type_| conditions::is_true(&after.conditions, type_);
        assert_eq!(
            is("Ready"),
            is("Serving") && !is("Reconciling") && !is("Stalled")
        );
        assert!(!is("Reconciling") || !is("Stalled"));
        assert_eq!(after.observed_generation, Some(self.seen.generation));
    }

    /// What is under way waits for its Job, for its pods or for a moment.
    fn check_progress(&self, plan: &Plan) {
        let Some(run) = run::live(&plan.status) else {
            return;
        };
        let does = |wanted: fn(&Action) -> bool| plan.actions.iter().any(wanted);
        let for_a_job =
            self.seen.job.is_some() || does(|action| matches!(action, Action::StartRun(_)));
        let for_pods = does(|action| matches!(action, Action::Serve { .. }));
        assert!(for_a_job || for_pods, "nothing follows: {run:?}");
        let holds = matches!(
            canary::stage(&self.seen, run),
            Some(canary::Stage::Holding { .. })
        );
        assert!(!holds || plan.wake_at.is_some());
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::StartRun(request) => {
                let name = job_name("products", request);
                if !self.jobs.contains_key(&name) {
                    self.started += usize::from(request.evaluation == 0 && request.refresh == 0);
                    self.jobs.insert(name, ((**request).clone(), None));
                }
                let at_work = self.at_work();
                assert!(at_work.len() <= 1, "two live Jobs: {at_work:?}");
            }
            Action::CancelRun { version } => {
                let given_up = self.jobs.extract_if(.., |_, (request, end)| {
                    request.version == *version && request.refresh == 0 && end.is_none()
                });
                self.leaving.extend(given_up.map(|(name, _)| name));
            }
            Action::RetainJobs {
                versions,
                refreshes,
            } => self.jobs.retain(|_, (request, _)| match request.refresh {
                0 => versions.contains(&request.version),
                number => refreshes.contains(&number),
            }),
            Action::Serve {
                digest,
                tables_digest,
                candidate,
                traffic,
                ..
            } => {
                let address = |one: &LoadedVersion| (one.digest.clone(), one.tables_digest.clone());
                let target = Some((digest.clone(), tables_digest.clone()));
                let candidate = candidate.as_deref().map(address);
                let served = self.seen.status.served.as_ref();
                assert!(
                    candidate.is_none() || served.is_some_and(|one| one.digest == digest.as_str()),
                    "a canary beside what does not serve"
                );
                assert!(
                    candidate.is_none() || traffic.is_some(),
                    "pods without weights"
                );
                if let Some(traffic) = traffic {
                    let weights = traffic.shares.iter().map(|share| u32::from(share.weight));
                    assert_eq!(weights.sum::<u32>(), 100);
                    self.weights = Some((**traffic).clone());
                }
                let serving = &mut self.seen.serving;
                if serving.target != target || serving.candidate != candidate {
                    serving.target = target;
                    serving.candidate = candidate;
                    serving.settled = false;
                    serving.stuck = None;
                    serving.traffic = Vec::new();
                }
            }
        }
    }

    /// The pods of deleted Jobs end.
    pub fn finish_leaving(&mut self) {
        self.leaving.clear();
    }

    /// Passes until nothing changes any more.
    pub fn settle_facts(&mut self) {
        for _ in 0..30 {
            self.finish_leaving();
            let before = self.seen.clone();
            let jobs = self.jobs.clone();
            self.pass();
            if before == self.seen && jobs.len() == self.jobs.len() && self.leaving.is_empty() {
                return;
            }
        }
        panic!("the plan does not come to rest: {:#?}", self.seen.status);
    }

    /// Everything that a run waits for happens, until all is at rest.
    /// All that follows without another Job's end.
    pub fn settle(&mut self) {
        for _ in 0..3 {
            self.settle_facts();
            self.settle_pods();
        }
        self.settle_facts();
    }

    /// From a run that is wanted to what is decided on how it ended.
    pub fn end_training(&mut self, end: End) {
        self.settle_facts();
        self.end_job(end);
        self.settle_facts();
    }

    pub fn run_to_its_end(&mut self, end: End) {
        self.end_training(end);
        self.settle_pods();
        self.settle_facts();
        self.settle_pods();
        self.settle_facts();
    }

    pub fn end_job(&mut self, end: End) {
        let Some((request, state)) = self.jobs.values_mut().find(|(_, state)| state.is_none())
        else {
            return;
        };
        *state = Some(match end {
            End::Report { name, gain } => {
                ObservedJob::Reported(Box::new(report(&self.seen.spec, request, name, gain)))
            }
            End::ReportWithout(reference) => {
                let mut report = report(&self.seen.spec, request, "good", 0.2);
                report.measurements.retain(|one| {
                    one.measure
                        .against
                        .is_none_or(|against| format!("{against:?}") != reference)
                });
                ObservedJob::Reported(Box::new(report))
            }
            End::DataUnchanged => {
                let (digest, tables_digest) = request.reference.clone().unwrap();
                let mut report = report(&self.seen.spec, request, "none", 0.0);
                let published = report.published.as_mut().unwrap();
                (published.digest, published.tables_digest) = (digest, tables_digest);
                report.measurements = Vec::new();
                report.data_unchanged = true;
                ObservedJob::Reported(Box::new(report))
            }
            End::LoseReport => ObservedJob::ReportLost {
                message: "the pod is gone".into(),
            },
            End::Fail(reason, message) => ObservedJob::Failed {
                reason,
                message: message.into(),
            },
        });
    }

    pub fn settle_pods(&mut self) {
        let serving = &mut self.seen.serving;
        if serving.target.is_some() {
            serving.settled = true;
            serving.stuck = None;
            serving.ready_pods = 2;
            serving.pods = 2;
            serving.traffic = Vec::new();
        }
        if let Some(candidate) = self.seen.serving.candidate.clone() {
            let report = self.report(&candidate);
            self.seen.serving.traffic = vec![Some(report.clone()), Some(report)];
        }
    }

    /// What a pod that holds both says.
    fn report(&self, candidate: &(Digest, Digest)) -> TrafficReport {
        let (requests, errors) = self.candidate_requests;
        let served = self.seen.serving.target.as_ref();
        let one =
            |(digest, tables): &(Digest, Digest), requests: u64, errors: u64| VersionTraffic {
                version: 1,
                digest: digest.clone(),
                tables_digest: tables.clone(),
                weight: 0,
                aborted: None,
                requests,
                errors,
                values: requests * 10,
                missing: requests,
                latency: Buckets {
                    bounds: vec![1.0, 2.0],
                    counts: vec![requests, 0, 0],
                },
                scores: None,
                training_scores: None,
                shadow: Some(ShadowTraffic {
                    requests,
                    errors,
                    overlap_sum: requests as f64 * 0.9,
                    top10_change_sum: requests as f64 * 0.1,
                }),
            };
        let versions = served.into_iter().map(|address| one(address, 10_000, 0));
        TrafficReport {
            revision: self
                .weights
                .as_ref()
                .map(|weights| weights.revision.clone()),
            refused: None,
            versions: versions.chain([one(candidate, requests, errors)]).collect(),
        }
    }

    pub fn jam_pods(&mut self, why: &str) {
        if !self.seen.serving.settled && self.seen.serving.target.is_some() {
            self.seen.serving.stuck = Some(why.into());
        }
    }

    pub fn edit(&mut self, spec: RankingModelSpec) {
        self.seen.spec = spec;
        self.seen.generation += 1;
    }

    pub fn ask(&mut self, who: &str, when: &str) {
        self.seen.retrain_request = Some(format!("{who}/{when}"));
        if let Ok(when) = when.parse() {
            self.seen.now = self.seen.now.max(when);
        }
    }

    pub fn ask_refresh(&mut self, who: &str, when: &str) {
        self.seen.refresh_request = Some(format!("{who}/{when}"));
        if let Ok(when) = when.parse() {
            self.seen.now = self.seen.now.max(when);
        }
    }

    pub fn served(&self) -> Option<i32> {
        self.seen
            .status
            .served
            .as_ref()
            .map(|served| served.version)
    }

    pub fn is_true(&self, condition: &str) -> bool {
        conditions::is_true(&self.seen.status.conditions, condition)
    }

    pub fn active_jobs(&self) -> Vec<&str> {
        self.jobs
            .iter()
            .filter(|(_, (_, end))| end.is_none())
            .map(|(name, _)| &**name)
            .collect()
    }

    /// Jobs whose pods may still work.
    fn at_work(&self) -> Vec<&str> {
        let leaving = self.leaving.iter().map(|name| &**name);
        self.active_jobs().into_iter().chain(leaving).collect()
    }

    pub fn last_outcome(&self) -> Option<Outcome> {
        self.seen.status.run.as_ref()?.outcome
    }
}

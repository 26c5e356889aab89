//! Scenarios about the API and the operator's behaviour towards it. They need an API server and its
//! controller manager, no node: a driver says how pods fare.

#![allow(
    clippy::unwrap_used,
    reason = "a scenario that cannot go on must fail where it stands"
)]

mod chart;
mod children;
mod command_line;
mod crash;
mod drift;
mod gate;
mod lease;
mod refresh;
mod refusals;
mod rest;
mod rollout;
mod schedule;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use searchop_contract::TrainingJob;
use searchop_e2e::{
    driver::{Driver, End, Trainer, report},
    install_crds,
    namespace::TestNamespace,
    operator::Operator,
};

/// Long enough for a slow machine, short enough to fail within a coffee.
pub const SOON: Duration = Duration::from_secs(60);

/// A namespace with an operator and a driver of its own.
pub struct Scene {
    pub operator: Operator,
    pub jobs: Jobs,
    pub namespace: TestNamespace,
    _driver: Driver,
}

/// The jobs that trainers were given, in order, retries apart.
pub type Jobs = Arc<Mutex<Vec<TrainingJob>>>;

impl Scene {
    /// Every training reports a model of its own with NDCG 0.7 and a gain of 10 %.
    pub async fn winning(scenario: &str) -> Self {
        Self::with(scenario, |job| {
            End::Report(Box::new(report(
                job,
                &format!("v{}", job.version),
                0.7,
                0.1,
            )))
        })
        .await
    }

    pub async fn with(
        scenario: &str,
        trainer: impl Fn(&TrainingJob) -> End + Send + Sync + 'static,
    ) -> Self {
        install_crds();
        let namespace = TestNamespace::create(scenario).await;
        let jobs = Jobs::default();
        let recorded: Trainer = {
            let jobs = jobs.clone();
            Box::new(move |job| {
                let mut jobs = jobs.lock().unwrap();
                if jobs.last() != Some(job) {
                    jobs.push(job.clone());
                }
                trainer(job)
            })
        };
        let driver = Driver::start(&namespace, recorded, Box::new(|_| true));
        // Alone, so that one that was killed need not wait for its own lease to run out.
        let alone = ["--no-leader-election"];
        let operator = Operator::start(namespace.client.clone(), &namespace.name, &alone).await;
        Self {
            operator,
            jobs,
            namespace,
            _driver: driver,
        }
    }

    /// Trainings, without evaluate-only jobs.
    pub fn trainings(&self) -> usize {
        self.jobs
            .lock()
            .unwrap()
            .iter()
            .filter(|job| job.evaluate_only.is_none())
            .count()
    }
}

//! `searchop local up`: observe → plan → execute, until somebody says stop.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::ResourceExt;
use searchop_api::{RankingModel, RankingModelStatus, RetrainSchedule, ScheduleAction};
use searchop_lifecycle::{
    Action, JobKey, JobRequest, ObservedJob, drift::DriftReader, plan, plan_schedule,
};
use tokio::{select, time::sleep};

use super::{
    LocalError,
    apply::{Change, apply_model, apply_schedule},
    child::end_leftovers,
    figures,
    job::local_job,
    observe::{Sight, observe},
    programs,
    ranker::{Rankers, Target},
    render,
    schedule::observe_schedule,
    serving::environment,
    signals::{Signals, Stop},
    socket::FrontDoor,
    state::{Lock, StateDir},
    trainer::{Limits, Trainer},
    watch::Watch,
};
use crate::{
    args,
    exit::Exit,
    manifest::{self, Manifests},
    terminal::Log,
};

/// Pause between two looks at the world. Looking costs less than a millisecond.
const PERIOD: Duration = Duration::from_millis(100);
/// New facts follow from facts a few times at most; more would be a circle.
const MAX_ROUNDS: usize = 16;
/// After this, children that do not end when asked are ended.
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// Runs until interrupted.
pub async fn up(args: &args::Up, log: Log) -> Result<Exit, LocalError> {
    let mut signals = Signals::listen()?;
    let mut local = Local::start(args, log)?;
    let mut trouble = None;
    loop {
        // What fails is looked at again: a full disk may have room later.
        let error = local.look().err().map(|error| error.to_string());
        if let Some(message) = error.as_ref().filter(|_| error != trouble) {
            log.warn("Error", message);
        }
        trouble = error;
        select! {
            stop = signals.next() => return Ok(local.stop(stop, &mut signals).await),
            () = sleep(PERIOD) => {}
        }
    }
}

/// One model and its processes.
struct Local {
    log: Log,
    watch: Watch,
    state: StateDir,
    model: RankingModel,
    schedules: Vec<RetrainSchedule>,
    trainer: Trainer,
    rankers: Rankers,
    drift: DriftReader,
    /// Version whose address was printed.
    announced: Option<i32>,
    /// Last, so that it is held until the children are gone.
    _lock: Lock,
}

impl Local {
    fn start(args: &args::Up, log: Log) -> Result<Self, LocalError> {
        let watch = Watch::new(args.files.filename.clone());
        let Manifests {
            model,
            schedules,
            ignored,
        } = manifest::read(watch.paths())?;
        let trainer = programs::trainer(args.trainer.as_deref())?;
        let ranker = programs::ranker(args.ranker.as_deref())?;
        let state = StateDir::at(&args.folder.dir)?;
        let lock = state.lock()?;
        for pid in end_leftovers(&state.children())? {
            log.warn(
                "Leftover",
                &format!("ended process {pid} of an earlier run that was killed"),
            );
        }
        let door = FrontDoor::reserve(args.listen)?;
        if !ignored.is_empty() {
            log.block(&render::ignored(&ignored, log.paint()));
        }
        let (model, change) = apply_model(state.model()?, model, Timestamp::now())?;
        if change == Change::Created {
            state.clear_runs()?;
        }
        // What cannot be read, as after a change of its form, is begun anew.
        let drift = DriftReader::resume(state.drift().ok().flatten(), Timestamp::now());
        let attended = log.attended();
        let mut local = Self {
            log,
            watch,
            trainer: Trainer::new(trainer, state.clone(), attended),
            rankers: Rankers::new(ranker, model.name_any(), state.clone(), door),
            drift,
            state,
            model,
            schedules: Vec::new(),
            announced: None,
            _lock: lock,
        };
        local.state.write_model(&local.model)?;
        local.say_applied("RankingModel", &local.model.name_any(), change);
        local.apply_schedules(schedules)?;
        Ok(local)
    }

    /// One look at the world and what follows from it.
    fn look(&mut self) -> Result<(), LocalError> {
        if self.watch.changed() {
            self.apply_edit()?;
        }
        self.take_requests()?;
        self.trainer.poll()?;
        for news in self.rankers.poll()? {
            self.log.warn("RankerEnded", &news);
        }
        let now = Timestamp::now();
        self.look_at_requests(now)?;
        self.run_schedules(now)?;
        self.reconcile(now)?;
        self.announce_address();
        Ok(())
    }

    /// `kubectl apply` of an edited file. What is not valid changes nothing.
    fn apply_edit(&mut self) -> Result<(), LocalError> {
        let refused = |error: &dyn std::fmt::Display| {
            self.log.warn(
                "EditRefused",
                &format!("{error}\nwhat was applied before stays in force"),
            );
        };
        let Manifests {
            model, schedules, ..
        } = match manifest::read(self.watch.paths()) {
            Ok(manifests) => manifests,
            Err(error) => {
                refused(&error);
                return Ok(());
            }
        };
        let (model, change) = match apply_model(Some(self.model.clone()), model, Timestamp::now()) {
            Ok(applied) => applied,
            Err(error) => {
                refused(&error);
                return Ok(());
            }
        };
        if change != Change::Unchanged {
            self.store(model)?;
            self.say_applied("RankingModel", &self.model.name_any(), change);
        }
        self.apply_schedules(schedules)
    }

    fn apply_schedules(&mut self, wanted: Vec<RetrainSchedule>) -> Result<(), LocalError> {
        let mut schedules = Vec::new();
        for schedule in wanted {
            let name = schedule.name_any();
            let (schedule, change) =
                apply_schedule(self.state.schedule(&name)?, schedule, Timestamp::now());
            self.state.write_schedule(&name, &schedule)?;
            self.say_applied("RetrainSchedule", &name, change);
            schedules.push(schedule);
        }
        for gone in self
            .schedules
            .iter()
            .filter(|old| !schedules.iter().any(|new| new.name_any() == old.name_any()))
        {
            self.log.info(
                "Deleted",
                &format!(
                    "RetrainSchedule {:?} is not declared any more",
                    gone.name_any()
                ),
            );
        }
        self.schedules = schedules;
        let names: Vec<String> = self.schedules.iter().map(ResourceExt::name_any).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Ok(self.state.retain_schedules(&names)?)
    }

    fn say_applied(&self, kind: &str, name: &str, change: Change) {
        match change {
            Change::Created => self.log.info("Created", &format!("{kind} {name:?}")),
            Change::Configured => self
                .log
                .info("Configured", &format!("{kind} {name:?} as edited")),
            Change::Unchanged => {}
        }
    }

    /// Moves what `searchop local retrain` left into the model, as the API server would hold it.
    fn take_requests(&mut self) -> Result<(), LocalError> {
        for action in [ScheduleAction::Retrain, ScheduleAction::RefreshTables] {
            if let Some(token) = self.state.requested(action)? {
                self.request(action, &token)?;
                self.state.clear_request(action)?;
            }
        }
        Ok(())
    }

    fn request(&mut self, action: ScheduleAction, token: &str) -> Result<(), LocalError> {
        let mut model = self.model.clone();
        model
            .annotations_mut()
            .insert(action.annotation().to_owned(), token.to_owned());
        self.store(model)
    }

    /// What the ranker has counted of them, now and then.
    fn look_at_requests(&mut self, now: Timestamp) -> Result<(), LocalError> {
        let served = self.status().and_then(|status| status.served.as_ref());
        let served = served.and_then(|served| {
            Some((
                u32::try_from(served.version).ok()?,
                served.digest.parse().ok()?,
            ))
        });
        if let Some((version, digest)) = served.filter(|_| self.drift.is_due(now))
            && self.rankers.answering().is_some()
        {
            let rules = &self.model.spec.drift;
            let told = self.rankers.histograms();
            self.drift.take((version, &digest), &told, rules, now);
        }
        if let Some(watch) = self.drift.to_keep(&self.model.spec.drift, now) {
            self.state.write_drift(watch)?;
            self.drift.is_kept(now);
        }
        Ok(())
    }

    /// The request is written before the status that says so: asking twice is asking once.
    fn run_schedules(&mut self, now: Timestamp) -> Result<(), LocalError> {
        for index in 0..self.schedules.len() {
            let observed = observe_schedule(&self.schedules[index], &self.model, now);
            let plan = plan_schedule(&observed);
            for asking in &plan.requests {
                self.request(self.schedules[index].spec.action, &asking.request)?;
            }
            if plan.status != observed.status {
                let mut schedule = self.schedules[index].clone();
                schedule.status = Some(plan.status);
                self.state.write_schedule(&observed.name, &schedule)?;
                self.schedules[index] = schedule;
                plan.notes.iter().for_each(|note| self.log.note(note));
            }
        }
        Ok(())
    }

    /// Facts are stored before anything is done about them.
    fn reconcile(&mut self, now: Timestamp) -> Result<(), LocalError> {
        for _ in 0..MAX_ROUNDS {
            let observed = observe(
                Sight {
                    model: &self.model,
                    schedules: &self.schedules,
                    job: self.observe_job()?,
                    serving: self.rankers.observe(),
                    drift: self.drift.status(),
                    url: render::url(self.rankers.address(), &self.model.spec.serving),
                },
                now,
            );
            let plan = plan(&observed);
            if plan.status != observed.status {
                let mut model = self.model.clone();
                model.status = Some(plan.status);
                self.store(model)?;
                for note in &plan.notes {
                    self.log.note(note);
                }
                self.announce_verdict(&observed.status);
            }
            if !plan.facts_changed {
                return plan
                    .actions
                    .into_iter()
                    .try_for_each(|action| self.execute(action));
            }
        }
        Ok(())
    }

    fn observe_job(&self) -> Result<Option<ObservedJob>, LocalError> {
        match self.status().and_then(JobKey::awaited) {
            None => Ok(None),
            Some(key) => Ok(self.trainer.observe(key)?),
        }
    }

    fn status(&self) -> Option<&RankingModelStatus> {
        self.model.status.as_ref()
    }

    /// Stored before it is believed: after a failed write both are as before.
    fn store(&mut self, model: RankingModel) -> Result<(), LocalError> {
        self.state.write_model(&model)?;
        self.model = model;
        Ok(())
    }

    fn execute(&mut self, action: Action) -> Result<(), LocalError> {
        match action {
            Action::StartRun(request) => self.start_run(&request)?,
            Action::CancelRun { version } => self.trainer.cancel(version)?,
            Action::Serve {
                version,
                digest,
                tables_digest,
                ..
            } => {
                let environment = environment(&self.model.spec.serving, &self.state);
                self.rankers.serve(Target {
                    version,
                    digest,
                    tables_digest,
                    environment,
                });
            }
            Action::RetainJobs {
                versions,
                refreshes,
            } => self.trainer.retain(&versions, &refreshes)?,
        }
        Ok(())
    }

    fn start_run(&mut self, request: &JobRequest) -> Result<(), LocalError> {
        let key = JobKey::of(request);
        let training = &self.model.spec.training;
        let limits = Limits {
            cpu_millis: programs::cpu_millis(&training.resources),
            deadline: Duration::from_secs(
                u64::try_from(training.active_deadline_seconds).unwrap_or(0),
            ),
            retries: u32::try_from(training.backoff_limit).unwrap_or(0),
        };
        let job = local_job(&self.model, request, &self.state)?;
        if self.trainer.start(key, &job, limits)? {
            let (cores, log) = (
                limits.cpu_millis as f64 / 1000.0,
                self.trainer.log_file(key),
            );
            let (event, what) = match key.refresh {
                0 => ("Training", ""),
                _ => ("Refreshing", "the tables of "),
            };
            let version = key.version;
            let message = format!(
                "{what}v{version} on {cores} cores, log in {}",
                log.display()
            );
            self.log.info(event, &message);
        }
        Ok(())
    }

    /// The metric table and the gate, each time a candidate was judged.
    fn announce_verdict(&self, before: &RankingModelStatus) {
        let Some(status) = self.status() else { return };
        let Some(gate) = status
            .gate
            .as_ref()
            .filter(|gate| before.gate.as_ref() != Some(*gate))
        else {
            return;
        };
        let paint = self.log.paint();
        let mut text = String::new();
        if let Some(figures) = figures::of_run(status, &self.state.artifacts()) {
            text = render::metric_table(&figures, paint) + "\n";
        }
        self.log
            .block(&(text + &render::gate(gate, &self.model.spec.evaluation.gates, paint)));
    }

    /// Where to ask, each time another version answers.
    fn announce_address(&mut self) {
        let answering = self.rankers.answering();
        if answering.is_some() && answering != self.announced {
            let paint = self.log.paint();
            let version = answering.unwrap_or_default();
            let serving = &self.model.spec.serving;
            let headline = paint.bold(&format!(
                "v{version} answers on {}",
                render::url(self.rankers.address(), serving)
            ));
            self.log.block(&format!(
                "{headline}\n\n{}",
                render::curl(self.rankers.address(), serving)
            ));
            self.announced = answering;
        }
    }

    /// Children drained and gone, state kept.
    async fn stop(mut self, stop: Stop, signals: &mut Signals) -> Exit {
        self.log.info(
            "Stopping",
            "open requests are answered, then everything ends",
        );
        self.trainer.stop();
        self.rankers.stop();
        let begin = Instant::now();
        while !(self.trainer.stopped() & self.rankers.stopped()) && begin.elapsed() < STOP_DEADLINE
        {
            select! {
                // Asked twice: dropping the children ends them now.
                _ = signals.next() => break,
                () = sleep(Duration::from_millis(20)) => {}
            }
        }
        self.log.info(
            "Stopped",
            &format!("everything is kept in {}", self.state.root().display()),
        );
        match stop {
            Stop::Interrupt if self.announced.is_none() => Exit::Interrupted,
            _ => Exit::Done,
        }
    }
}

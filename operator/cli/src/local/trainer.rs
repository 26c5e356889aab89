//! The process that trains: what the Job is on a cluster, with its retries and its deadline.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use searchop_contract::{ExitCode, FailureReason, TrainingJob, TrainingReport, names};
use searchop_lifecycle::{JobKey, ObservedJob};
use serde::{Deserialize, Serialize};

use super::{
    child::{ChildError, Process, ending, last_line},
    state::{StateDir, StateError, read_json, write_json},
};

#[derive(Debug, thiserror::Error)]
pub enum TrainerError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Child(#[from] ChildError),
    #[error("{action} {path:?}: {source}")]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

/// Folder of a job: `v3`, `tables-3`, and like the names of Jobs `v3-e1`, `v3-a1`, `v3-e1-a1`.
fn folder(key: JobKey) -> String {
    let name = key.name("");
    name.trim_start_matches("-train")
        .trim_start_matches('-')
        .to_owned()
}

/// Which version or refresh a folder is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Version(i32),
    Refresh(i32),
}

impl Of {
    fn job(key: JobKey) -> Self {
        match key.refresh {
            0 => Self::Version(key.version),
            number => Self::Refresh(number),
        }
    }

    /// `None` for a folder that is not ours.
    fn folder(name: &str) -> Option<Self> {
        let number = |text: &str| text.split('-').next()?.parse().ok();
        match name.strip_prefix("tables-") {
            Some(rest) => number(rest).map(Self::Refresh),
            None => number(name.strip_prefix('v')?).map(Self::Version),
        }
    }
}

/// What a run may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub cpu_millis: u64,
    pub deadline: Duration,
    /// Further attempts after one that was interrupted.
    pub retries: u32,
}

/// How a run ended: `ended.json`. Stored, so that a restart does not train again what is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ended {
    /// `report.json` says more.
    Well,
    #[serde(rename_all = "camelCase")]
    Badly {
        reason: FailureReason,
        message: String,
    },
}

/// Runs one job at a time.
#[derive(Debug)]
pub struct Trainer {
    program: PathBuf,
    state: StateDir,
    /// Progress bars go to the terminal instead of `trainer.log`.
    attended: bool,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    key: JobKey,
    limits: Limits,
    started: Instant,
    process: Option<Process>,
    /// Attempts that were interrupted.
    interrupted: u32,
    retry_at: Instant,
    trouble: String,
}

impl Trainer {
    pub fn new(program: PathBuf, state: StateDir, attended: bool) -> Self {
        Self {
            program,
            state,
            attended,
            current: None,
        }
    }

    /// Folder of a job.
    fn run_dir(&self, key: JobKey) -> PathBuf {
        self.state.runs().join(folder(key))
    }

    /// Makes sure that the job runs or has run; true where it was started just now.
    pub fn start(
        &mut self,
        key: JobKey,
        job: &TrainingJob,
        limits: Limits,
    ) -> Result<bool, TrainerError> {
        let runs = self
            .current
            .as_ref()
            .is_some_and(|current| current.key == key);
        let dir = self.run_dir(key);
        if runs || ended(&dir)?.is_some() {
            return Ok(false);
        }
        self.current = None;
        let work = dir.join("work");
        fs::create_dir_all(&work).map_err(|source| TrainerError::Io {
            action: "create",
            path: work,
            source,
        })?;
        write_json(&dir.join("job.json"), job)?;
        remove_file(&dir.join(names::REPORT_FILE))?;
        let now = Instant::now();
        let process = Some(self.spawn(&dir, key, limits)?);
        let trouble = String::new();
        self.current = Some(Current {
            key,
            limits,
            started: now,
            process,
            interrupted: 0,
            retry_at: now,
            trouble,
        });
        Ok(true)
    }

    fn spawn(&self, dir: &Path, key: JobKey, limits: Limits) -> Result<Process, TrainerError> {
        let log_file = self.log_file(key);
        let failed = |source| TrainerError::Io {
            action: "open",
            path: log_file.clone(),
            source,
        };
        let log: File = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&log_file)
            .map_err(failed)?;
        let mut command = Command::new(&self.program);
        command
            .arg("run")
            .args(["--job".as_ref(), dir.join("job.json").as_os_str()])
            .args([
                "--report".as_ref(),
                dir.join(names::REPORT_FILE).as_os_str(),
            ])
            .args(["--work".as_ref(), dir.join("work").as_os_str()])
            .env(names::CPU_LIMIT_ENV, limits.cpu_millis.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?);
        command.stderr(if self.attended {
            Stdio::inherit()
        } else {
            log.into()
        });
        let lock = self
            .state
            .children()
            .join(format!("trainer-{}", folder(key)));
        Ok(Process::spawn(command, lock, None)?)
    }

    /// What the trainer prints; on a terminal its progress is there instead.
    pub fn log_file(&self, key: JobKey) -> PathBuf {
        self.run_dir(key).join("trainer.log")
    }

    /// One look at the process: notes its end, starts the next attempt.
    pub fn poll(&mut self) -> Result<(), TrainerError> {
        let Some(mut current) = self.current.take() else {
            return Ok(());
        };
        let dir = self.run_dir(current.key);
        let status = current.process.as_mut().and_then(Process::ended);
        let end = match status {
            Some(status) => self.judge(&mut current, status),
            None if current.started.elapsed() > current.limits.deadline => Some(Ended::Badly {
                reason: FailureReason::DeadlineExceeded,
                message: format!(
                    "training took longer than training.activeDeadlineSeconds = {}",
                    current.limits.deadline.as_secs()
                ),
            }),
            None => None,
        };
        if let Some(end) = end {
            drop(current);
            let work = dir.join("work");
            fs::remove_dir_all(&work).map_err(|source| TrainerError::Io {
                action: "remove",
                path: work,
                source,
            })?;
            return Ok(write_json(&dir.join("ended.json"), &end)?);
        }
        if current.process.is_none() && Instant::now() >= current.retry_at {
            current.process = Some(self.spawn(&dir, current.key, current.limits)?);
        }
        self.current = Some(current);
        Ok(())
    }

    /// What follows from an exit: an end, or `None` for another attempt.
    fn judge(&self, current: &mut Current, status: ExitStatus) -> Option<Ended> {
        current.process = None;
        let dir = self.run_dir(current.key);
        let code = status.code();
        if code == Some(i32::from(ExitCode::Done.code())) {
            return Some(Ended::Well);
        }
        let reason = code
            .and_then(FailureReason::from_exit_code)
            .unwrap_or(FailureReason::TrainerCrashed);
        let told = report(&dir)
            .ok()
            .and_then(|report| report.failure)
            .map(|failure| failure.message);
        let words = || {
            last_line(&self.log_file(current.key)).map_or(String::new(), |line| format!(": {line}"))
        };
        let message =
            told.unwrap_or_else(|| format!("the trainer ended with {}{}", ending(status), words()));
        let is_final = ExitCode::FINAL
            .iter()
            .any(|exit| code == Some(exit.code().into()));
        if is_final || current.interrupted >= current.limits.retries {
            return Some(Ended::Badly { reason, message });
        }
        current.retry_at = Instant::now() + Duration::from_secs(1 << current.interrupted.min(6));
        current.interrupted += 1;
        current.trouble = message;
        None
    }

    /// What the plan may know of a run's job.
    pub fn observe(&self, key: JobKey) -> Result<Option<ObservedJob>, StateError> {
        if let Some(current) = self.current.as_ref().filter(|current| current.key == key) {
            let waiting = current.process.is_none().then(|| {
                let (next, of) = (current.interrupted + 1, current.limits.retries + 1);
                format!("attempt {next} of {of} follows: {}", current.trouble)
            });
            return Ok(Some(ObservedJob::Active { waiting }));
        }
        let dir = self.run_dir(key);
        Ok(ended(&dir)?.map(|end| match end {
            Ended::Badly { reason, message } => ObservedJob::Failed { reason, message },
            Ended::Well => match report(&dir) {
                Ok(report) => ObservedJob::Reported(Box::new(report)),
                Err(message) => ObservedJob::ReportLost { message },
            },
        }))
    }

    /// Makes sure that nothing works for this version, and forgets how far it came.
    pub fn cancel(&mut self, version: i32) -> Result<(), TrainerError> {
        self.forget(|of| of == Of::Version(version))
    }

    /// Forgets the runs of all other versions, and all other refreshes.
    pub fn retain(&mut self, versions: &[i32], refreshes: &[i32]) -> Result<(), TrainerError> {
        self.forget(|of| match of {
            Of::Version(version) => !versions.contains(&version),
            Of::Refresh(number) => !refreshes.contains(&number),
        })
    }

    fn forget(&mut self, gone: impl Fn(Of) -> bool) -> Result<(), TrainerError> {
        self.current.take_if(|current| gone(Of::job(current.key)));
        let runs = self.state.runs();
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| TrainerError::Io {
                action,
                path,
                source,
            }
        };
        for entry in fs::read_dir(&runs).map_err(failed("read", &runs))? {
            let path = entry.map_err(failed("read", &runs))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            if name.and_then(Of::folder).is_some_and(&gone) {
                fs::remove_dir_all(&path).map_err(failed("remove", &path))?;
            }
        }
        Ok(())
    }

    /// Asks the trainer to end; what it has not published is trained again at the next start.
    pub fn stop(&mut self) {
        if let Some(process) = self
            .current
            .as_ref()
            .and_then(|current| current.process.as_ref())
        {
            process.terminate();
        }
    }

    pub fn stopped(&mut self) -> bool {
        let process = self
            .current
            .as_mut()
            .and_then(|current| current.process.as_mut());
        process.is_none_or(|process| process.ended().is_some())
    }
}

fn ended(dir: &Path) -> Result<Option<Ended>, StateError> {
    read_json(&dir.join("ended.json"))
}

fn report(dir: &Path) -> Result<TrainingReport, String> {
    let path = dir.join(names::REPORT_FILE);
    let bytes = fs::read(&path).map_err(|error| format!("read {path:?}: {error}"))?;
    TrainingReport::parse(&bytes).map_err(|error| error.to_string())
}

fn remove_file(path: &Path) -> Result<(), TrainerError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(TrainerError::Io {
            action: "remove",
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;

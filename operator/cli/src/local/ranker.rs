//! The processes that answer: what the Deployment is on a cluster, with one pod.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use searchop_contract::{Digest, HistogramReport, names};
use searchop_lifecycle::ObservedServing;

use super::{
    child::{ChildError, Process, ending, last_line},
    serving::{self, Environment},
    socket::{FrontDoor, free_address},
    state::StateDir,
};

/// Exactly what a ranker serves; another one of these is another process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub version: i32,
    pub digest: Digest,
    pub tables_digest: Digest,
    /// How it answers.
    pub environment: Environment,
}

/// How long a new version may take until requests can be answered.
const READY_DEADLINE: Duration = Duration::from_secs(60);
/// A ranker that ended this often in a row will not get ready.
const MAX_ENDINGS: u32 = 4;
/// All clients share one socket, so no more than the open requests is waited for.
const DRAIN_SECONDS: u64 = 2;
/// After this an old ranker is ended, drained or not.
const LEAVE_DEADLINE: Duration = Duration::from_secs(30);
/// A ranker that lived this long has a clean record again.
const STEADY: Duration = Duration::from_secs(60);

/// All rankers of one model.
#[derive(Debug)]
pub struct Rankers {
    program: PathBuf,
    model: String,
    state: StateDir,
    door: FrontDoor,
    /// What answers.
    stable: Option<Slot>,
    /// What will answer once it is ready.
    next: Option<Slot>,
    leaving: Vec<(Process, Instant)>,
    started: u32,
}

/// A target and the process that serves it, restarted for as long as the target is wanted.
#[derive(Debug)]
struct Slot {
    target: Target,
    process: Option<Running>,
    /// Since when requests are not answered.
    since: Instant,
    endings: u32,
    retry_at: Instant,
    /// Why the last process ended.
    trouble: Option<String>,
}

#[derive(Debug)]
struct Running {
    /// No other process of this `up` has it.
    number: u32,
    process: Process,
    metrics: SocketAddr,
    ready: bool,
    since: Instant,
}

impl Slot {
    fn new(target: Target) -> Self {
        let now = Instant::now();
        Self {
            target,
            process: None,
            since: now,
            endings: 0,
            retry_at: now,
            trouble: None,
        }
    }

    fn ready(&self) -> bool {
        self.process.as_ref().is_some_and(|running| running.ready)
    }

    /// Why this version will not get ready, once that is clear.
    fn stuck(&self, log: &std::path::Path) -> Option<String> {
        if self.ready() || (self.endings < MAX_ENDINGS && self.since.elapsed() < READY_DEADLINE) {
            return None;
        }
        let what = match &self.trouble {
            Some(trouble) => format!("ended {} times, {trouble}", self.endings),
            None => {
                let words = last_line(log).map_or(String::new(), |line| format!(": {line}"));
                format!("is not ready after {} s{words}", READY_DEADLINE.as_secs())
            }
        };
        Some(format!("the ranker of v{} {what}", self.target.version))
    }
}

impl Rankers {
    pub fn new(program: PathBuf, model: String, state: StateDir, door: FrontDoor) -> Self {
        Self {
            program,
            model,
            state,
            door,
            stable: None,
            next: None,
            leaving: Vec::new(),
            started: 0,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.door.address()
    }

    /// From now on `target` is wanted. What answers goes on until the target is ready.
    pub fn serve(&mut self, target: Target) {
        if self.next.as_ref().is_some_and(|slot| slot.target == target) {
            return;
        }
        if let Some(slot) = self.next.take() {
            self.leave(slot);
        }
        if self
            .stable
            .as_ref()
            .is_none_or(|slot| slot.target != target)
        {
            self.next = Some(Slot::new(target));
        }
    }

    /// One look at every process. Returns what is worth telling.
    pub fn poll(&mut self) -> Result<Vec<String>, ChildError> {
        let mut news = Vec::new();
        self.leaving.retain_mut(|(process, since)| {
            if since.elapsed() > LEAVE_DEADLINE {
                process.kill();
            }
            process.ended().is_none()
        });
        for which in [Self::stable_slot, Self::next_slot] {
            if let Some(mut slot) = which(self).take() {
                let result = self.poll_slot(&mut slot, &mut news);
                *which(self) = Some(slot);
                result?;
            }
        }
        if self.next.as_ref().is_some_and(Slot::ready) {
            let old = std::mem::replace(&mut self.stable, self.next.take());
            if let Some(old) = old {
                self.leave(old);
            }
        }
        Ok(news)
    }

    fn stable_slot(&mut self) -> &mut Option<Slot> {
        &mut self.stable
    }

    fn next_slot(&mut self) -> &mut Option<Slot> {
        &mut self.next
    }

    fn poll_slot(&mut self, slot: &mut Slot, news: &mut Vec<String>) -> Result<(), ChildError> {
        let Some(running) = &mut slot.process else {
            if Instant::now() >= slot.retry_at {
                slot.process = Some(self.start(&slot.target)?);
            }
            return Ok(());
        };
        if let Some(status) = running.process.ended() {
            let log = self.log_file(slot.target.version);
            let words = last_line(&log).map_or(String::new(), |line| format!(": {line}"));
            if running.since.elapsed() > STEADY {
                slot.endings = 0;
            }
            // The next process has as long to get ready as the first one had.
            if running.ready {
                slot.since = Instant::now();
            }
            let wait = Duration::from_millis(500 << slot.endings.min(6));
            let trouble = format!("{}{words}", ending(status));
            news.push(format!(
                "the ranker of v{} ended, {trouble}; starting it again",
                slot.target.version
            ));
            (slot.endings, slot.trouble) = (slot.endings + 1, Some(trouble));
            (slot.process, slot.retry_at) = (None, Instant::now() + wait);
        } else if !running.ready {
            running.ready = is_ready(running.metrics);
        }
        Ok(())
    }

    fn start(&mut self, target: &Target) -> Result<Running, ChildError> {
        let failed = |source| ChildError::Spawn {
            program: self.program.clone(),
            source,
        };
        self.started += 1;
        let metrics = free_address().map_err(failed)?;
        let log = File::create(self.log_file(target.version)).map_err(failed)?;
        let mut command = Command::new(&self.program);
        command
            .args([
                "--metrics-listen",
                &metrics.to_string(),
                "--log-format",
                "text",
            ])
            .args(["--drain-seconds", &DRAIN_SECONDS.to_string()])
            .env("LISTEN_FDS", "1")
            .env_remove("LISTEN_PID")
            .env_remove("LISTEN_FDS_FIRST_FD")
            .env(names::MODEL_NAME_ENV, &self.model)
            .env(names::MODEL_VERSION_ENV, target.version.to_string())
            .env(names::MODEL_DIGEST_ENV, target.digest.as_str())
            .env(names::TABLES_DIGEST_ENV, target.tables_digest.as_str())
            .env(
                names::ARTIFACTS_URI_ENV,
                format!("file://{}", self.state.artifacts().display()),
            )
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log);
        for variable in serving::VARIABLES {
            command.env_remove(variable);
        }
        command.envs(target.environment.iter().map(|(name, value)| (name, value)));
        // Credentials of the click log are the trainer's alone.
        for key in names::S3_KEYS {
            command
                .env_remove(key)
                .env_remove(key.replace(names::S3_PREFIX, names::DATA_S3_PREFIX));
        }
        let lock = self
            .state
            .children()
            .join(format!("ranker-{}", self.started));
        let listener = self.door.duplicate().map_err(failed)?;
        let process = Process::spawn(command, lock, Some(listener))?;
        Ok(Running {
            number: self.started,
            process,
            metrics,
            ready: false,
            since: Instant::now(),
        })
    }

    fn log_file(&self, version: i32) -> PathBuf {
        self.state.logs().join(format!("ranker-v{version}.log"))
    }

    fn leave(&mut self, slot: Slot) {
        if let Some(running) = slot.process {
            running.process.terminate();
            self.leaving.push((running.process, Instant::now()));
        }
    }

    /// What the plan may know.
    pub fn observe(&self) -> ObservedServing {
        let slots = || self.stable.iter().chain(&self.next);
        let newest = self.next.as_ref().or(self.stable.as_ref());
        let stable_ready = self.stable.as_ref().is_some_and(Slot::ready);
        let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        ObservedServing {
            target: newest.map(|slot| {
                (
                    slot.target.digest.clone(),
                    slot.target.tables_digest.clone(),
                )
            }),
            settled: self.next.is_none() && stable_ready && self.leaving.is_empty(),
            stuck: newest.and_then(|slot| slot.stuck(&self.log_file(slot.target.version))),
            ready_pods: count(slots().filter(|slot| slot.ready()).count()),
            pods: count(slots().filter(|slot| slot.process.is_some()).count() + self.leaving.len()),
            ..ObservedServing::default()
        }
    }

    /// Version that answers requests.
    pub fn answering(&self) -> Option<i32> {
        self.stable
            .as_ref()
            .filter(|slot| slot.ready())
            .map(|slot| slot.target.version)
    }

    /// What the one that answers has counted, beside a name of its own.
    pub fn histograms(&self) -> Vec<(String, Option<HistogramReport>)> {
        let running = self.stable.as_ref().and_then(|slot| slot.process.as_ref());
        let ready = running.filter(|running| running.ready);
        ready
            .map(|running| (running.number.to_string(), histograms(running.metrics)))
            .into_iter()
            .collect()
    }

    /// Asks all of them to drain and end.
    pub fn stop(&mut self) {
        for slot in [self.stable.take(), self.next.take()].into_iter().flatten() {
            self.leave(slot);
        }
    }

    pub fn stopped(&mut self) -> bool {
        self.leaving
            .retain_mut(|(process, _)| process.ended().is_none());
        self.leaving.is_empty()
    }
}

/// How long a ranker may take to answer on its metrics port.
const PATIENCE: Duration = Duration::from_millis(500);

/// Asks the metrics port; the answer ends with the connection.
fn ask(address: SocketAddr, path: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // What answers a client of HTTP/1.0 sends no chunks.
    write!(stream, "GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n")?;
    Ok(stream)
}

/// Asks `/histograms`, as the operator does.
fn histograms(address: SocketAddr) -> Option<HistogramReport> {
    const MOST: u64 = 1024 * 1024;
    let mut answer = Vec::new();
    ask(address, "/histograms")
        .and_then(|stream| stream.take(MOST).read_to_end(&mut answer))
        .ok()?;
    let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    serde_json::from_slice(&answer[head + 4..]).ok()
}

/// Asks `/readyz`, as a kubelet does.
fn is_ready(address: SocketAddr) -> bool {
    let look = || -> io::Result<bool> {
        let mut stream = ask(address, "/readyz")?;
        let mut start = [0; 12];
        stream.read_exact(&mut start)?;
        Ok(start.starts_with(b"HTTP/1.") && start.ends_with(b" 200"))
    };
    look().unwrap_or(false)
}

#[cfg(test)]
mod tests;

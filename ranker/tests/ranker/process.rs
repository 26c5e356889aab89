//! The program as a process, with its log.

use std::{
    io::{self, BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use searchop_contract::{LoadedVersion, names};
use serde_json::Value;

use crate::{artifacts::Artifacts, client, object_store::ObjectStore};

const PROGRAM: &str = env!("CARGO_BIN_EXE_searchop-ranker");
/// Must not be seen anywhere.
pub const SECRET: &str = "3f9d0c1b";
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Process {
    child: Child,
    pub rank: SocketAddr,
    pub metrics: SocketAddr,
    log: Arc<Mutex<String>>,
    output: Option<JoinHandle<String>>,
}

/// What a process is started with.
pub struct Start<'a> {
    pub artifacts: &'a Artifacts,
    pub version: u32,
    pub options: &'a [&'a str],
    /// A listening socket to pass as descriptor 3.
    pub socket: Option<&'a TcpListener>,
    /// Where the artifacts are read from instead of their folder.
    pub bucket: Option<&'a ObjectStore>,
    /// To load instead of the one version.
    pub versions: Vec<LoadedVersion>,
}

impl<'a> Start<'a> {
    pub fn new(artifacts: &'a Artifacts, options: &'a [&'a str]) -> Self {
        Self {
            artifacts,
            version: 7,
            options,
            socket: None,
            bucket: None,
            versions: Vec::new(),
        }
    }

    /// Starts the program and waits until its ports are open.
    pub fn start(&self) -> Process {
        let mut command = match self.socket {
            None => Command::new(PROGRAM),
            Some(listener) => passing(listener),
        };
        command
            .args(["--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0"])
            .args(self.options)
            .env(names::MODEL_NAME_ENV, "products")
            .env(names::MODEL_VERSION_ENV, self.version.to_string())
            .env(names::MODEL_DIGEST_ENV, self.artifacts.digest.as_str())
            .env(
                names::TABLES_DIGEST_ENV,
                self.artifacts.tables_digest.as_str(),
            )
            .env(names::ARTIFACTS_URI_ENV, self.artifacts.uri())
            .env_remove(names::CPU_LIMIT_ENV)
            .env_remove(names::MAX_CANDIDATES_ENV);
        if !self.versions.is_empty() {
            let versions = serde_json::to_string(&self.versions).unwrap();
            command.env(names::VERSIONS_ENV, versions);
        }
        if let Some(bucket) = self.bucket {
            command
                .env(names::ARTIFACTS_URI_ENV, "s3://bucket")
                .env(names::S3_ENDPOINT_ENV, format!("http://{}", bucket.address))
                .env(names::S3_ACCESS_KEY_ENV, "reader")
                .env(names::S3_SECRET_KEY_ENV, SECRET);
        }
        Process::run(command)
    }
}

/// A command whose child has `listener` as descriptor 3: the shell moves it there from stdin.
fn passing(listener: &TcpListener) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"exec "$0" "$@" 3<&0 </dev/null"#, PROGRAM])
        .env("LISTEN_FDS", "1")
        .stdin(Stdio::from(OwnedFd::from(listener.try_clone().unwrap())));
    command
}

impl Process {
    fn run(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let output = thread::spawn(|| io::read_to_string(stdout).unwrap());
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let (found, listening) = mpsc::channel();
        let kept = Arc::clone(&log);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let entry: Value = serde_json::from_str(&line).unwrap_or_default();
                if entry["message"] == "listening" {
                    let _ = found.send(entry);
                }
                let mut log = kept.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let entry = listening
            .recv_timeout(PATIENCE)
            .expect("the program says where it listens");
        let address = |name: &str| entry[name].as_str().unwrap().parse().unwrap();
        let (rank, metrics) = (address("rank"), address("metrics"));
        Self {
            child,
            rank,
            metrics,
            log,
            output: Some(output),
        }
    }

    /// All of standard output, once the program has ended.
    pub fn output(&mut self) -> String {
        self.output.take().unwrap().join().unwrap()
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub fn readiness(&self) -> Option<u16> {
        client::get(self.metrics, "/readyz")
            .ok()
            .map(|answer| answer.status)
    }

    pub fn wait_until_ready(&self) {
        self.wait_for("readiness", |process| process.readiness() == Some(200));
    }

    pub fn wait_for(&self, what: &str, reached: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !reached(self) {
            assert!(begin.elapsed() < PATIENCE, "no {what}:\n{}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    pub fn wait(&mut self) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "the program does not end:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

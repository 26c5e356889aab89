//! Services as processes, and what they use of the machine.

use std::{
    env, fs,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use searchop_contract::names;

use crate::{Failure, client, fixture::Fixture};

/// The ranker has one processor and this program another, so that clients do not take away from the
/// ranker what they measure.
pub const RANKER_CPU: usize = 0;
const CLIENT_CPU: usize = 1;
/// A table of a million products is read within this; the services in Python take longest.
const START: Duration = Duration::from_secs(300);
/// The kernel counts CPU time in ticks of 10 ms for every process (USER_HZ).
const TICKS_A_SECOND: f64 = 100.0;

/// A service that answers `POST /rank`.
pub struct Service {
    child: Child,
    pub address: SocketAddr,
    /// Of a ranker.
    pub metrics: Option<SocketAddr>,
}

impl Service {
    /// The ranker beside this program, with more options; `cpu` pins it to one, which is all that it
    /// then knows of.
    pub fn ranker(
        fixture: &Fixture,
        cpu: Option<usize>,
        options: &[&str],
    ) -> Result<Self, Failure> {
        let program = env::current_exe()?.with_file_name("searchop-ranker");
        let (address, metrics) = (free_address()?, free_address()?);
        let mut command = pinned(cpu, program);
        command
            .arg(format!("--listen={address}"))
            .arg(format!("--metrics-listen={metrics}"))
            .args(options)
            .env(names::MODEL_NAME_ENV, "products")
            .env(names::MODEL_VERSION_ENV, "1")
            .env(names::MODEL_DIGEST_ENV, fixture.digest.as_str())
            .env(names::TABLES_DIGEST_ENV, fixture.tables_digest.as_str())
            .env(names::ARTIFACTS_URI_ENV, fixture.artifacts_uri())
            .env("SEARCHOP_LOG", "warn");
        let mut service = Self::start(command, address)?;
        service.metrics = Some(metrics);
        service.wait("/readyz")?;
        Ok(service)
    }

    /// A reference service: a module beside `features.py` in `baselines`, in one worker process.
    pub fn reference(
        fixture: &Fixture,
        python: &std::path::Path,
        (baselines, module): (&std::path::Path, &str),
    ) -> Result<Self, Failure> {
        let address = free_address()?;
        let mut command = Command::new(python);
        command
            .args(["-m", "uvicorn", &format!("{module}:app"), "--no-access-log"])
            .args(["--log-level", "warning", "--host", "127.0.0.1", "--port"])
            .arg(address.port().to_string())
            .current_dir(baselines)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("OMP_NUM_THREADS", "1")
            .env("BENCH_MODEL", fixture.model_file())
            .env("BENCH_EXPORT", fixture.export_folder());
        let mut service = Self::start(command, address)?;
        service.wait("/health")?;
        Ok(service)
    }

    fn start(mut command: Command, address: SocketAddr) -> Result<Self, Failure> {
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        Ok(Self {
            child,
            address,
            metrics: None,
        })
    }

    fn wait(&mut self, path: &str) -> Result<(), Failure> {
        let begin = Instant::now();
        while client::get(self.address, path).ok() != Some(200) {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("a service ended with {status} before it was ready").into());
            }
            if begin.elapsed() > START {
                return Err(format!("no service is ready in {} s", START.as_secs()).into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// How it ended, once it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, Failure> {
        Ok(self.child.try_wait()?)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Seconds of CPU since its start, in user and kernel.
    pub fn cpu(&self) -> Result<f64, Failure> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        let (_, fields) = stat.rsplit_once(')').ok_or("no name in /proc/PID/stat")?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        let (user, kernel): (f64, f64) = (fields[11].parse()?, fields[12].parse()?);
        Ok((user + kernel) / TICKS_A_SECOND)
    }

    /// Mebibytes of its memory that are present.
    pub fn resident_mib(&self) -> Result<f64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: f64 = line
            .and_then(|line| line.trim().strip_suffix(" kB"))
            .ok_or("no VmRSS in /proc/PID/status")?
            .parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Has the trainer do something; `configure` adds arguments to the verb.
pub fn trainer(verb: &str, configure: impl FnOnce(&mut Command)) -> Result<(), Failure> {
    let mut command = Command::new("searchop-trainer");
    command.arg(verb);
    configure(&mut command);
    let status = command
        .status()
        .map_err(|error| format!("searchop-trainer: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("searchop-trainer {verb} ended with {status}").into())
    }
}

/// Keeps this program off the processor of a ranker that is pinned.
pub fn pin_self() -> Result<(), Failure> {
    let status = Command::new("taskset")
        .args(["-a", "-cp", &CLIENT_CPU.to_string()])
        .arg(std::process::id().to_string())
        .stdout(Stdio::null())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err("two processors are needed, one for the ranker and one for its clients".into())
    }
}

fn pinned(cpu: Option<usize>, program: PathBuf) -> Command {
    match cpu {
        Some(cpu) => {
            let mut command = Command::new("taskset");
            command.args(["-c", &cpu.to_string()]).arg(program);
            command
        }
        None => Command::new(program),
    }
}

fn free_address() -> Result<SocketAddr, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

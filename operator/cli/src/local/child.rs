//! Child processes that cannot be lost.
//!
//! Each child inherits a lock that the kernel frees when it ends. So an `up` that starts after its
//! predecessor was killed finds whatever that one left behind, and nothing else: a process id alone
//! could meanwhile belong to a stranger.

use std::{
    fs, io,
    io::Write,
    os::{fd::OwnedFd, unix::process::CommandExt, unix::process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

use command_fds::{CommandFdExt, FdMapping};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::state::{StateError, child_lock, holder};

#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("start {program:?}: {source}")]
    Spawn { program: PathBuf, source: io::Error },
    #[error("process {pid} of an earlier \"searchop local up\" does not end; end it by hand")]
    Leftover { pid: i32 },
}

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    lock: PathBuf,
}

impl Process {
    /// Starts `command` in its own process group, so that Ctrl-C reaches only us and children end
    /// in order. `lock` names the lock file; `listener` becomes descriptor 3.
    pub fn spawn(
        mut command: Command,
        lock: PathBuf,
        listener: Option<OwnedFd>,
    ) -> Result<Self, ChildError> {
        let program = PathBuf::from(command.get_program());
        let failed = |source| ChildError::Spawn {
            program: program.clone(),
            source,
        };
        let mut file = child_lock(&lock)?;
        let held = file.try_clone().map_err(failed)?;
        let mut fds = vec![FdMapping {
            parent_fd: held.into(),
            child_fd: 4,
        }];
        fds.extend(listener.map(|parent_fd| FdMapping {
            parent_fd,
            child_fd: 3,
        }));
        command
            .fd_mappings(fds)
            .map_err(|error| failed(io::Error::other(error)))?;
        let spawned = command.process_group(0).spawn();
        // The mappings hold our ends of the child's descriptors open.
        drop(command);
        let child = spawned.map_err(|source| {
            let _ = fs::remove_file(&lock);
            failed(source)
        })?;
        let process = Self { child, lock };
        let pid = process.pid().to_string();
        file.set_len(0)
            .and_then(|()| file.write_all(pid.as_bytes()))
            .map_err(failed)?;
        Ok(process)
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("process ids are positive 32-bit numbers")
    }

    /// How it ended, once it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    pub fn terminate(&self) {
        // Between the end and our look at it the id is still ours: nobody has waited for it yet.
        let _ = kill(Pid::from_raw(self.pid()), Signal::SIGTERM);
    }

    /// Ends it now and waits for that.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_file(&self.lock);
    }
}

/// An ending in words: `exit code 3`, `signal 9`.
pub fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => match Signal::try_from(signal) {
            Ok(name) => format!("signal {signal} ({name})"),
            Err(_) => format!("signal {signal}"),
        },
        (None, None) => "an unknown status".to_owned(),
    }
}

const LEFTOVER_PATIENCE: Duration = Duration::from_secs(10);

/// Ends what an `up` that was killed left running. Returns the process ids.
pub fn end_leftovers(locks: &Path) -> Result<Vec<i32>, ChildError> {
    let failed = |source| StateError::Io {
        action: "read",
        path: locks.to_owned(),
        source,
    };
    let files: Vec<PathBuf> = fs::read_dir(locks)
        .and_then(|entries| entries.map(|e| Ok(e?.path())).collect())
        .map_err(failed)?;
    let mut ended = Vec::new();
    for file in files {
        let mut signals = [Signal::SIGTERM, Signal::SIGKILL].into_iter();
        let mut patience = Instant::now();
        while let Some(pid) = holder(&file)? {
            if Instant::now() >= patience {
                // Without its id a process cannot be told; 0 would mean our own group.
                let Some(signal) = signals.next().filter(|_| pid > 0) else {
                    return Err(ChildError::Leftover { pid });
                };
                let _ = kill(Pid::from_raw(pid), signal);
                patience = Instant::now() + LEFTOVER_PATIENCE;
                ended.push(pid);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = fs::remove_file(&file);
    }
    ended.dedup();
    Ok(ended)
}

/// The last line that says something, for messages; at most 300 characters.
pub fn last_line(log: &Path) -> Option<String> {
    let text = String::from_utf8_lossy(&fs::read(log).ok()?).into_owned();
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(line.trim().chars().take(300).collect())
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    fn sleeper() -> Command {
        let mut command = Command::new("sleep");
        command.arg("60").stdin(Stdio::null());
        command
    }

    #[test]
    fn a_child_that_was_left_behind_is_found_and_ended() {
        let dir = tempfile::tempdir().unwrap();
        let process = Process::spawn(sleeper(), dir.path().join("sleeper"), None).unwrap();
        let pid = process.pid();
        assert_eq!(holder(&dir.path().join("sleeper")).unwrap(), Some(pid));
        // As after a SIGKILL: nobody drops it. The thread stands in for init, which reaps orphans.
        let mut orphan = std::mem::ManuallyDrop::new(process);
        let reaper = std::thread::spawn(move || orphan.child.wait());
        assert_eq!(end_leftovers(dir.path()).unwrap(), [pid]);
        assert_eq!(reaper.join().unwrap().unwrap().signal(), Some(15));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_lock_that_nobody_holds_names_nobody() {
        let dir = tempfile::tempdir().unwrap();
        // Our own id, which must not be signalled.
        fs::write(dir.path().join("old"), std::process::id().to_string()).unwrap();
        assert_eq!(end_leftovers(dir.path()).unwrap(), Vec::<i32>::new());
    }

    #[test]
    fn dropping_ends_the_child_and_its_lock() {
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join("sleeper");
        drop(Process::spawn(sleeper(), lock.clone(), None).unwrap());
        assert!(!lock.exists());
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = Process::spawn(Command::new("/no/such/program"), dir.path().join("x"), None)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "start \"/no/such/program\": No such file or directory (os error 2)"
        );
    }

    #[test]
    fn endings_read_well() {
        assert_eq!(ending(ExitStatus::from_raw(3 << 8)), "exit code 3");
        assert_eq!(ending(ExitStatus::from_raw(9)), "signal 9 (SIGKILL)");
    }
}

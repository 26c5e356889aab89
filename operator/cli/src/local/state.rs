//! The folder of a model: facts that outlive the process.
//!
//! ```text
//! lock                 held while `up` runs; its process id
//! model.json           the RankingModel with its status
//! drift.json           what is known of the requests that the served version answers
//! schedules/NAME.json  each RetrainSchedule with its status
//! retrain-requested    a request that `up` has not read yet; refresh-requested likewise
//! artifacts/           published versions: models/HEX, tables/HEX
//! runs/v3/, tables-3/  job.json, report.json, ended.json, trainer.log
//! children/            one lock a child process, held for as long as it lives
//! logs/                what rankers print
//! volumes/CLAIM/       what pvc://CLAIM/… means here
//! secrets/NAME/        keys of the Secret NAME of spec.serving, a file each
//! ```

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use searchop_api::{RankingModel, RetrainSchedule, ScheduleAction};
use searchop_lifecycle::drift::DriftWatch;
use serde::{Serialize, de::DeserializeOwned};

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("{action} {path:?}: {source}")]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{path:?} is damaged: {source}; move the folder away to start anew")]
    Damaged {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error(
        "{dir:?} is in use by process {pid}; stop it with \"searchop local down --dir {dir}\", or use another --dir",
        dir = dir.display().to_string()
    )]
    InUse { dir: PathBuf, pid: i32 },
}

fn io_error<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> StateError + use<'a> {
    move |source| StateError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// Paths and files of one model's folder. Reading needs no lock: every file is replaced whole.
#[derive(Clone, Debug)]
pub struct StateDir {
    root: PathBuf,
}

/// Held by the one `up` of a folder.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl StateDir {
    /// The folder at `root`, which need not exist yet.
    pub fn at(root: &Path) -> Result<Self, StateError> {
        let root = std::path::absolute(root).map_err(io_error("find", root))?;
        Ok(Self { root })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn artifacts(&self) -> PathBuf {
        self.root.join("artifacts")
    }

    pub fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    pub fn secrets(&self) -> PathBuf {
        self.root.join("secrets")
    }

    pub fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    pub fn children(&self) -> PathBuf {
        self.root.join("children")
    }

    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    fn lock_file(&self) -> PathBuf {
        self.root.join("lock")
    }

    fn model_file(&self) -> PathBuf {
        self.root.join("model.json")
    }

    fn drift_file(&self) -> PathBuf {
        self.root.join("drift.json")
    }

    fn schedules_dir(&self) -> PathBuf {
        self.root.join("schedules")
    }

    fn request_file(&self, action: ScheduleAction) -> PathBuf {
        self.root.join(match action {
            ScheduleAction::Retrain => "retrain-requested",
            ScheduleAction::RefreshTables => "refresh-requested",
        })
    }

    /// Makes the folder and takes its lock.
    pub fn lock(&self) -> Result<Lock, StateError> {
        for dir in [
            self.artifacts(),
            self.runs(),
            self.children(),
            self.logs(),
            self.schedules_dir(),
        ] {
            fs::create_dir_all(&dir).map_err(io_error("create", &dir))?;
        }
        match try_lock(&self.lock_file())? {
            Ok(file) => Ok(Lock { _file: file }),
            Err(pid) => Err(StateError::InUse {
                dir: self.root.clone(),
                pid,
            }),
        }
    }

    /// Process id of the running `up`.
    pub fn running(&self) -> Result<Option<i32>, StateError> {
        let path = self.lock_file();
        if path.exists() {
            holder(&path)
        } else {
            Ok(None)
        }
    }

    pub fn model(&self) -> Result<Option<RankingModel>, StateError> {
        read_json(&self.model_file())
    }

    pub fn write_model(&self, model: &RankingModel) -> Result<(), StateError> {
        write_json(&self.model_file(), model)
    }

    pub fn drift(&self) -> Result<Option<DriftWatch>, StateError> {
        read_json(&self.drift_file())
    }

    pub fn write_drift(&self, watch: &DriftWatch) -> Result<(), StateError> {
        write_json(&self.drift_file(), watch)
    }

    pub fn schedule(&self, name: &str) -> Result<Option<RetrainSchedule>, StateError> {
        read_json(&self.schedules_dir().join(format!("{name}.json")))
    }

    pub fn write_schedule(&self, name: &str, schedule: &RetrainSchedule) -> Result<(), StateError> {
        write_json(&self.schedules_dir().join(format!("{name}.json")), schedule)
    }

    /// Forgets the schedules that the manifests do not declare any more.
    pub fn retain_schedules(&self, names: &[&str]) -> Result<(), StateError> {
        let dir = self.schedules_dir();
        for entry in fs::read_dir(&dir).map_err(io_error("read", &dir))? {
            let path = entry.map_err(io_error("read", &dir))?.path();
            let kept = path
                .file_stem()
                .is_some_and(|stem| names.iter().any(|name| stem == *name));
            if !kept {
                fs::remove_file(&path).map_err(io_error("remove", &path))?;
            }
        }
        Ok(())
    }

    /// Leaves a request for the running `up`; a later one of the same action replaces it.
    pub fn request(&self, action: ScheduleAction, token: &str) -> Result<(), StateError> {
        write_atomic(&self.request_file(action), token.as_bytes())
    }

    /// The request that was left, if any.
    pub fn requested(&self, action: ScheduleAction) -> Result<Option<String>, StateError> {
        let path = self.request_file(action);
        match fs::read_to_string(&path) {
            Ok(token) => Ok(Some(token)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("read", &path)(error)),
        }
    }

    /// Called once the request is stored in the model.
    pub fn clear_request(&self, action: ScheduleAction) -> Result<(), StateError> {
        let path = self.request_file(action);
        fs::remove_file(&path).map_err(io_error("remove", &path))
    }

    /// Forgets everything about runs: they belong to a model that is not there any more.
    pub fn clear_runs(&self) -> Result<(), StateError> {
        let path = self.runs();
        fs::remove_dir_all(&path).map_err(io_error("remove", &path))?;
        fs::create_dir_all(&path).map_err(io_error("create", &path))
    }
}

/// Takes the lock of `path` and writes our process id into it, or returns the holder's.
///
/// The kernel frees the lock when its last holder ends, however it ends, so a stale file is no
/// obstacle and a process id is only believed while the lock is held.
fn try_lock(path: &Path) -> Result<Result<File, i32>, StateError> {
    let mut file = open_lock(path)?;
    match file.try_lock() {
        Ok(()) => {
            let pid = std::process::id().to_string();
            file.set_len(0)
                .and_then(|()| file.write_all(pid.as_bytes()))
                .map_err(io_error("write", path))?;
            Ok(Ok(file))
        }
        Err(TryLockError::WouldBlock) => Ok(Err(read_pid(&mut file))),
        Err(TryLockError::Error(source)) => Err(io_error("lock", path)(source)),
    }
}

/// A free lock for a child process. The caller writes the child's id into it.
pub fn child_lock(path: &Path) -> Result<File, StateError> {
    let file = open_lock(path)?;
    file.lock().map_err(io_error("lock", path))?;
    Ok(file)
}

/// Who holds the lock of `path`, if anybody does.
pub fn holder(path: &Path) -> Result<Option<i32>, StateError> {
    let mut file = open_lock(path)?;
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(read_pid(&mut file))),
        Err(TryLockError::Error(source)) => Err(io_error("lock", path)(source)),
    }
}

fn open_lock(path: &Path) -> Result<File, StateError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.open(path).map_err(io_error("open", path))
}

/// 0 while the holder has not written its id yet.
fn read_pid(file: &mut File) -> i32 {
    let mut text = String::new();
    match file.read_to_string(&mut text) {
        Ok(_) => text.trim().parse().unwrap_or(0),
        Err(_) => 0,
    }
}

pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StateError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("read", path)(error)),
    };
    match serde_json::from_slice(&bytes) {
        Ok(value) => Ok(Some(value)),
        Err(source) => Err(StateError::Damaged {
            path: path.to_owned(),
            source,
        }),
    }
}

pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), StateError> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("these types are JSON");
    bytes.push(b'\n');
    write_atomic(path, &bytes)
}

/// Replaces the file whole, or not at all: what was stored survives a crash at any moment.
fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(io_error("write", path))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_process_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::at(dir.path()).unwrap();
        assert_eq!(state.running().unwrap(), None);
        let lock = state.lock().unwrap();
        let me = std::process::id() as i32;
        assert_eq!(state.running().unwrap(), Some(me));
        let error = state.lock().unwrap_err().to_string();
        assert!(
            error.contains(&format!("is in use by process {me}")),
            "{error}"
        );
        drop(lock);
        assert_eq!(
            state.running().unwrap(),
            None,
            "a lock file without a holder is stale"
        );
        state.lock().unwrap();
    }

    #[test]
    fn a_failed_write_leaves_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.json");
        write_json(&path, &json!({"a": 1})).unwrap();
        assert!(write_json(&dir.path().join("no/model.json"), &json!({})).is_err());
        assert_eq!(
            read_json::<serde_json::Value>(&path).unwrap(),
            Some(json!({"a": 1}))
        );
        let files = fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(files, 1, "no temporary file is left");
        fs::write(&path, "{\"a\": ").unwrap();
        let error = read_json::<serde_json::Value>(&path)
            .unwrap_err()
            .to_string();
        assert!(error.contains("model.json\" is damaged: EOF"), "{error}");
    }

    #[test]
    fn a_later_request_replaces_an_earlier_one() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::at(dir.path()).unwrap();
        let _lock = state.lock().unwrap();
        let (retrain, refresh) = (ScheduleAction::Retrain, ScheduleAction::RefreshTables);
        assert_eq!(state.requested(retrain).unwrap(), None);
        for token in [
            "Manual/a/2026-01-01T00:00:00Z",
            "Manual/a/2026-01-02T00:00:00Z",
        ] {
            state.request(retrain, token).unwrap();
        }
        state
            .request(refresh, "Manual/a/2026-01-03T00:00:00Z")
            .unwrap();
        assert_eq!(
            state.requested(retrain).unwrap().as_deref(),
            Some("Manual/a/2026-01-02T00:00:00Z")
        );
        state.clear_request(retrain).unwrap();
        assert_eq!(state.requested(retrain).unwrap(), None);
        assert!(state.requested(refresh).unwrap().is_some());
    }
}

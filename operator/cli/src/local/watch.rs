//! Notices that a manifest was edited.

use std::{
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

use crate::manifest;

const PERIOD: Duration = Duration::from_secs(1);

/// A file as it was last seen: it changed if any of this did.
type Stamp = (PathBuf, Option<(SystemTime, u64)>);

#[derive(Debug)]
pub struct Watch {
    paths: Vec<PathBuf>,
    seen: Vec<Stamp>,
    looked: Instant,
}

impl Watch {
    pub fn new(paths: Vec<PathBuf>) -> Self {
        let seen = stamps(&paths);
        Self {
            paths,
            seen,
            looked: Instant::now(),
        }
    }

    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Whether something changed since the last look, which is at most once a second.
    pub fn changed(&mut self) -> bool {
        if self.looked.elapsed() < PERIOD {
            return false;
        }
        self.looked = Instant::now();
        let now = stamps(&self.paths);
        let changed = now != self.seen;
        self.seen = now;
        changed
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Stamp> {
    let files = manifest::files(paths).unwrap_or_default();
    let stamp = |path: &PathBuf| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files
        .into_iter()
        .map(|path| (path.clone(), stamp(&path)))
        .collect()
}

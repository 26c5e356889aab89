use std::{path::PathBuf, sync::Arc};

use super::shares::read;
use crate::{state::Ranker, watched::Reload};

/// The file that says who answers what part.
pub struct TrafficFile {
    path: PathBuf,
    ranker: Arc<Ranker>,
}

impl TrafficFile {
    pub fn new(path: PathBuf, ranker: Arc<Ranker>) -> Self {
        Self { path, ranker }
    }
}

impl Reload for TrafficFile {
    const WHAT: &str = "shares of traffic";

    fn reload(&self) -> Result<bool, String> {
        let followed = self.ranker.versions.follow(read(&self.path));
        followed.map_err(|error| error.to_string())
    }
}

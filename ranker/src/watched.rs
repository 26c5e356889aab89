//! Files that may change while the program runs: a mounted Secret is replaced under our feet.

use std::time::Duration;

use tokio::time::sleep;
use tracing::{info, warn};

/// How soon a change is seen.
const PERIOD: Duration = Duration::from_secs(2);

/// Something that was read from files and can be read again.
pub trait Reload {
    /// What it is, for the log.
    const WHAT: &str;

    /// Takes over what the files hold now; whether that is something new. After an error, what was
    /// read before goes on to hold.
    fn reload(&self) -> Result<bool, String>;
}

/// Reads again for as long as it is polled. A problem is logged when it appears, not again and again.
pub async fn keep_fresh<T: Reload>(watched: &T) {
    let mut last_problem = None;
    loop {
        sleep(PERIOD).await;
        match watched.reload() {
            Ok(changed) => {
                if changed {
                    info!("took over changed {}", T::WHAT);
                }
                last_problem = None;
            }
            Err(problem) if last_problem.as_ref() != Some(&problem) => {
                warn!(problem, "keeping the {} of before", T::WHAT);
                last_problem = Some(problem);
            }
            Err(_) => {}
        }
    }
}

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep};

/// Asks `probe` every 200 ms until it answers `Ok`; panics with its last words after `limit`.
pub async fn eventually<T, F, Fut>(what: &str, limit: Duration, mut probe: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, String>>,
{
    let end = Instant::now() + limit;
    loop {
        match probe().await {
            Ok(value) => return value,
            Err(last) if Instant::now() >= end => {
                panic!("{what}: not within {} s: {last}", limit.as_secs())
            }
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
    }
}

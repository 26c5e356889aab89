use std::panic::{self, AssertUnwindSafe};

use prometheus::{IntCounter, IntGauge};
use tokio::sync::Semaphore;

/// Bounds the CPU work that is done at the same time. A short queue takes up bursts; what does not
/// fit is refused at once, because an answer that waited long is worth less than a quick refusal
/// that another replica can make good.
///
/// Work runs on the runtime's own threads, so the runtime needs one more than there are workers:
/// while all of them rank, one is left to read requests, to refuse them and to answer probes.
pub struct Pool {
    workers: Semaphore,
    places: Semaphore,
    queued: IntGauge,
    shed: IntCounter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// All workers are busy and the queue is full.
    Full,
    /// The work panicked.
    Failed,
}

/// Waiting places for each worker. At a few milliseconds a ranking this is a wait of well under the
/// time in which a search page gives up.
const QUEUE_PER_WORKER: usize = 16;

impl Pool {
    /// `queued` shows how much work waits, `shed` counts what was refused.
    pub fn new(workers: usize, queued: IntGauge, shed: IntCounter) -> Self {
        let workers = workers.clamp(1, Semaphore::MAX_PERMITS / (1 + QUEUE_PER_WORKER));
        Self {
            workers: Semaphore::new(workers),
            places: Semaphore::new(workers * (1 + QUEUE_PER_WORKER)),
            queued,
            shed,
        }
    }

    /// Runs `work` when a worker is free, on the thread that polls: handing it to another one and
    /// back costs more than a small ranking. Work that has begun is finished even if the caller
    /// goes away.
    pub async fn run<T>(&self, work: impl FnOnce() -> T) -> Result<T, Refused> {
        let Ok(_place) = self.places.try_acquire() else {
            self.shed.inc();
            return Err(Refused::Full);
        };
        let waiting = Waiting::begin(&self.queued);
        let worker = self.workers.acquire().await;
        drop(waiting);
        let _worker = worker.map_err(|_| Refused::Failed)?;
        panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| Refused::Failed)
    }
}

struct Waiting<'a>(&'a IntGauge);

impl<'a> Waiting<'a> {
    fn begin(gauge: &'a IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, mpsc},
        time::Duration,
    };

    use super::*;

    fn pool(workers: usize) -> (Arc<Pool>, IntGauge, IntCounter) {
        let queued = IntGauge::new("queued", "queued").unwrap();
        let shed = IntCounter::new("shed", "shed").unwrap();
        (
            Arc::new(Pool::new(workers, queued.clone(), shed.clone())),
            queued,
            shed,
        )
    }

    async fn until(reached: impl Fn() -> bool) {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_full_queue_refuses_at_once_and_takes_work_again_after() {
        let (pool, queued, shed) = pool(1);
        let (open, gate) = mpsc::channel::<()>();
        let first = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move { pool.run(move || gate.recv().is_ok()).await }
        });
        until(|| pool.workers.available_permits() == 0).await;
        let wait = || {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { pool.run(|| ()).await })
        };
        let mut waiting: Vec<_> = (0..QUEUE_PER_WORKER).map(|_| wait()).collect();
        until(|| queued.get() == QUEUE_PER_WORKER as i64).await;
        assert_eq!(pool.run(|| ()).await, Err(Refused::Full));
        assert_eq!(shed.get(), 1);
        // A caller that goes away gives its place back.
        let gone = waiting.pop().unwrap();
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        assert_eq!(queued.get(), QUEUE_PER_WORKER as i64 - 1);

        open.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(true));
        for waiter in waiting {
            assert_eq!(waiter.await.unwrap(), Ok(()));
        }
        assert_eq!(queued.get(), 0);
        assert_eq!(pool.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_costs_one_answer_and_no_worker() {
        let (pool, _, _) = pool(1);
        assert_eq!(
            pool.run(|| panic!("on purpose")).await,
            Err::<(), _>(Refused::Failed)
        );
        assert_eq!(pool.run(|| 1).await, Ok(1));
    }
}

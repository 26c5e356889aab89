use std::sync::Arc;

use prometheus::IntCounter;
use tokio::{sync::Semaphore, task};

use crate::pool::Refused;

/// Runs long CPU work, one piece at a time, on a thread that is none of the runtime's: however much
/// of it there is, rankings and probes do not wait for it.
pub struct Apart {
    turn: Arc<Semaphore>,
    places: Arc<Semaphore>,
    shed: IntCounter,
}

/// Pieces that wait or run.
const PLACES: usize = 16;

impl Apart {
    /// `shed` counts what was refused.
    pub fn new(shed: IntCounter) -> Self {
        Self {
            turn: Arc::new(Semaphore::new(1)),
            places: Arc::new(Semaphore::new(PLACES)),
            shed,
        }
    }

    /// Runs `work` when it is its turn. Work that has begun is finished even if the caller goes
    /// away, and keeps its turn as long.
    pub async fn run<T, F>(&self, work: F) -> Result<T, Refused>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.shed.inc();
            return Err(Refused::Full);
        };
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let turn = turn.map_err(|_| Refused::Failed)?;
        let job = task::spawn_blocking(move || {
            let _held = (place, turn);
            work()
        });
        job.await.map_err(|_| Refused::Failed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// With one thread, work on the runtime would keep everything else from running.
    #[tokio::test]
    async fn work_waits_for_its_turn_and_is_refused_where_there_is_no_place() {
        let shed = IntCounter::new("shed", "shed").unwrap();
        let apart = Arc::new(Apart::new(shed.clone()));
        let (open, gate) = mpsc::channel::<()>();
        let first = tokio::spawn({
            let apart = Arc::clone(&apart);
            async move { apart.run(move || gate.recv().is_ok()).await }
        });
        while apart.turn.available_permits() > 0 {
            task::yield_now().await;
        }
        let waiting: Vec<_> = (1..PLACES)
            .map(|number| {
                let apart = Arc::clone(&apart);
                tokio::spawn(async move { apart.run(move || number).await })
            })
            .collect();
        while apart.places.available_permits() > 0 {
            task::yield_now().await;
        }
        assert_eq!(apart.run(|| ()).await, Err(Refused::Full));
        assert_eq!(shed.get(), 1);
        open.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(true));
        for (number, waiter) in (1..PLACES).zip(waiting) {
            assert_eq!(waiter.await.unwrap(), Ok(number));
        }
        assert_eq!(
            apart.run(|| panic!("on purpose")).await,
            Err::<(), _>(Refused::Failed)
        );
        assert_eq!(apart.run(|| 7).await, Ok(7));
    }
}

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use kube::runtime::utils::Backoff as StreamBackoff;

use super::Class;

/// 1 s · 2ⁿ, at most `cap`. The cap is short for what passes by itself, since each second of it is
/// a second without control after the API server is back.
pub fn delay(failures: u32, cap: Duration) -> Duration {
    Duration::from_secs(1)
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(cap)
}

/// Longest pause before another try.
pub fn cap(class: Class) -> Duration {
    match class {
        Class::Conflict => Duration::from_secs(1),
        Class::Transient => Duration::from_secs(10),
        Class::Denied | Class::Invalid => Duration::from_secs(30),
    }
}

/// Failures in a row, object by object.
#[derive(Debug)]
pub struct Backoffs<K> {
    failures: Mutex<HashMap<K, u32>>,
}

impl<K> Default for Backoffs<K> {
    fn default() -> Self {
        Self {
            failures: Mutex::default(),
        }
    }
}

impl<K: Eq + Hash> Backoffs<K> {
    /// Counts a failure and says how long to wait.
    pub fn fail(&self, key: K, class: Class) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(key).or_default();
        let wait = delay(*count, cap(class));
        *count = count.saturating_add(1);
        wait
    }

    /// The object succeeded or is gone.
    pub fn clear(&self, key: &K) {
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }

    /// Objects that failed last time.
    pub fn len(&self) -> usize {
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Pauses of one watch stream. Each stream has its own, so that a kind which may not be watched
/// slows down no other. A watch that opens and breaks at once does not count as recovered.
#[derive(Debug, Default)]
pub struct WatchBackoff {
    failures: u32,
    last: Option<Instant>,
}

impl WatchBackoff {
    const CAP: Duration = Duration::from_secs(5);
    const RECOVERED_AFTER: Duration = Duration::from_secs(60);

    fn fail(&mut self, now: Instant) -> Duration {
        if self
            .last
            .is_some_and(|last| now.duration_since(last) > Self::RECOVERED_AFTER)
        {
            self.failures = 0;
        }
        self.last = Some(now);
        let wait = delay(self.failures, Self::CAP);
        self.failures = self.failures.saturating_add(1);
        wait
    }
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.fail(Instant::now()))
    }
}

impl StreamBackoff for WatchBackoff {
    /// Called at each event, also at those a broken watch begins with; time decides instead.
    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_cap_of_its_class() {
        let backoffs = Backoffs::default();
        let transient: Vec<u64> = (0..6)
            .map(|_| backoffs.fail("a", Class::Transient).as_secs())
            .collect();
        assert_eq!(transient, [1, 2, 4, 8, 10, 10]);
        assert_eq!(backoffs.fail("b", Class::Transient).as_secs(), 1);
        assert_eq!(backoffs.fail("a", Class::Conflict).as_secs(), 1);
        let denied: Vec<u64> = (0..8)
            .map(|_| backoffs.fail("c", Class::Denied).as_secs())
            .collect();
        assert_eq!(denied, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(delay(u32::MAX, Duration::from_secs(10)).as_secs(), 10);

        assert_eq!(backoffs.len(), 3);
        backoffs.clear(&"a");
        assert_eq!(backoffs.len(), 2);
        assert_eq!(backoffs.fail("a", Class::Transient).as_secs(), 1);
    }

    #[test]
    fn a_watch_starts_over_after_a_quiet_minute() {
        let mut backoff = WatchBackoff::default();
        let start = Instant::now();
        let waits: Vec<u64> = (0..5)
            .map(|n| backoff.fail(start + Duration::from_secs(n)).as_secs())
            .collect();
        assert_eq!(waits, [1, 2, 4, 5, 5]);
        backoff.reset();
        assert_eq!(backoff.fail(start + Duration::from_secs(30)).as_secs(), 5);
        assert_eq!(backoff.fail(start + Duration::from_secs(200)).as_secs(), 1);
    }
}

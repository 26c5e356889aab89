//! Leadership by a Lease. It saves work and noise, nothing rests on it: two leaders at once are
//! held apart by deterministic names and resource versions.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Calls, Error};

/// Others take over when the record stayed the same for this long.
const DURATION: Duration = Duration::from_secs(15);
/// A leader that could not renew for this long stops acting, well before others take over.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
const RENEW_EVERY: Duration = Duration::from_secs(4);
const RETRY_EVERY: Duration = Duration::from_secs(2);
const CALL_DEADLINE: Duration = Duration::from_secs(5);

/// What to do about the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Acquire,
    Renew,
    Wait,
}

/// The lease as it was read, and since when it looks like that. Clocks of other machines are not
/// trusted: what counts is how long *we* saw no renewal.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    holder: Option<String>,
    renewed: Option<MicroTime>,
    duration: Duration,
    since: Instant,
}

impl Sighting {
    fn of(spec: &LeaseSpec, now: Instant) -> Self {
        let seconds = spec
            .lease_duration_seconds
            .and_then(|seconds| u64::try_from(seconds).ok());
        Self {
            holder: spec
                .holder_identity
                .clone()
                .filter(|holder| !holder.is_empty()),
            renewed: spec.renew_time.clone(),
            duration: seconds.map_or(DURATION, Duration::from_secs),
            since: now,
        }
    }

    /// The newer sighting, with the older one's time where nothing moved.
    fn after(mut self, earlier: Option<&Self>) -> Self {
        if let Some(earlier) = earlier
            && (&earlier.holder, &earlier.renewed) == (&self.holder, &self.renewed)
        {
            self.since = earlier.since;
        }
        self
    }
}

/// Decides from what was seen; `None` where there is no lease.
pub fn decide(seen: Option<&Sighting>, me: &str, now: Instant) -> Decision {
    let Some(seen) = seen else {
        return Decision::Acquire;
    };
    match seen.holder.as_deref() {
        None => Decision::Acquire,
        Some(holder) if holder == me => Decision::Renew,
        Some(_) if now.saturating_duration_since(seen.since) >= seen.duration => Decision::Acquire,
        Some(_) => Decision::Wait,
    }
}

/// One replica's campaign.
pub struct Campaign {
    calls: Calls,
    namespace: String,
    name: String,
    identity: String,
    seen: Option<Sighting>,
    held: Option<Lease>,
    renewed_at: Option<Instant>,
}

impl Campaign {
    pub fn new(calls: Calls, namespace: String, name: String, identity: String) -> Self {
        Self {
            calls,
            namespace,
            name,
            identity,
            seen: None,
            held: None,
            renewed_at: None,
        }
    }

    /// Campaigns until `stop`, tells `leading`, and at the end gives the lease back.
    pub async fn run(mut self, leading: watch::Sender<bool>, stop: CancellationToken) {
        loop {
            let began = Instant::now();
            match tokio::time::timeout(self.patience(began), self.step(began)).await {
                Ok(Ok(true)) => self.renewed_at = Some(began),
                Ok(Ok(false)) => self.renewed_at = None,
                Ok(Err(error)) => tracing::warn!(%error, "lease was not renewed"),
                Err(_) => tracing::warn!("lease was not renewed in time"),
            }
            if self.left(Instant::now()).is_zero() {
                self.renewed_at = None;
            }
            let leads = self.renewed_at.is_some();
            leading.send_if_modified(|was| std::mem::replace(was, leads) != leads);
            let healthy = leads && self.renewed_at == Some(began);
            let pause = if healthy { RENEW_EVERY } else { RETRY_EVERY };
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        if self.renewed_at.is_some() {
            self.release().await;
        }
        leading.send_replace(false);
    }

    /// How long leadership still lasts without another renewal.
    fn left(&self, now: Instant) -> Duration {
        self.renewed_at.map_or(Duration::ZERO, |at| {
            RENEW_DEADLINE.saturating_sub(now.saturating_duration_since(at))
        })
    }

    fn patience(&self, now: Instant) -> Duration {
        match self.left(now) {
            Duration::ZERO => CALL_DEADLINE,
            left => left.min(CALL_DEADLINE),
        }
    }

    /// Reads, decides, writes. True where the lease is ours afterwards.
    async fn step(&mut self, now: Instant) -> Result<bool, Error> {
        let found: Option<Lease> = self.calls.get(&self.namespace, &self.name).await?;
        let spec = found
            .as_ref()
            .map(|lease| lease.spec.clone().unwrap_or_default());
        self.seen = spec
            .as_ref()
            .map(|spec| Sighting::of(spec, now).after(self.seen.as_ref()));
        let decision = decide(self.seen.as_ref(), &self.identity, now);
        if decision == Decision::Wait {
            return Ok(false);
        }
        let metadata = found
            .as_ref()
            .map_or_else(|| self.metadata(), |lease| lease.metadata.clone());
        let spec = record(
            spec.unwrap_or_default(),
            decision,
            &self.identity,
            Timestamp::now(),
        );
        let lease = Lease {
            metadata,
            spec: Some(spec),
        };
        let written = match found {
            Some(_) => self.calls.replace(&lease).await?,
            None => self.calls.create(&lease).await?,
        };
        if decision == Decision::Acquire {
            tracing::info!(identity = self.identity, "lease acquired");
        }
        self.held = Some(written);
        Ok(true)
    }

    fn metadata(&self) -> ObjectMeta {
        ObjectMeta {
            name: Some(self.name.clone()),
            namespace: Some(self.namespace.clone()),
            ..ObjectMeta::default()
        }
    }

    /// Gives the lease back, so that the next leader need not wait for it to run out.
    async fn release(&mut self) {
        let Some(mut lease) = self.held.take() else {
            return;
        };
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
            spec.renew_time = Some(MicroTime(Timestamp::now()));
        }
        match tokio::time::timeout(CALL_DEADLINE, self.calls.replace(&lease)).await {
            Ok(Ok(_)) => tracing::info!("lease released"),
            Ok(Err(error)) => tracing::warn!(%error, "lease was not released"),
            Err(_) => tracing::warn!("lease was not released in time"),
        }
    }
}

/// The record that says that `me` leads.
fn record(found: LeaseSpec, decision: Decision, me: &str, now: Timestamp) -> LeaseSpec {
    let now = MicroTime(now);
    let acquired = decision == Decision::Acquire;
    LeaseSpec {
        holder_identity: Some(me.to_owned()),
        lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
        acquire_time: if acquired {
            Some(now.clone())
        } else {
            found.acquire_time
        },
        lease_transitions: Some(found.lease_transitions.unwrap_or(0) + i32::from(acquired)),
        renew_time: Some(now),
        ..found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(holder: Option<&str>, renewed: i64) -> LeaseSpec {
        LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            lease_duration_seconds: Some(15),
            renew_time: Some(MicroTime(Timestamp::from_second(renewed).unwrap())),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn decides_by_what_it_saw_itself() {
        let start = Instant::now();
        let table = [
            (None, 0, Decision::Acquire),
            (Some(spec(None, 0)), 0, Decision::Acquire),
            (Some(spec(Some(""), 0)), 0, Decision::Acquire),
            (Some(spec(Some("me"), 0)), 99, Decision::Renew),
            (Some(spec(Some("other"), 0)), 0, Decision::Wait),
            (Some(spec(Some("other"), 0)), 14, Decision::Wait),
            (Some(spec(Some("other"), 0)), 15, Decision::Acquire),
            // The other's clock says that it renewed long ago, or in the future: no matter.
            (Some(spec(Some("other"), -1_000_000)), 14, Decision::Wait),
            (
                Some(spec(Some("other"), 9_000_000_000)),
                15,
                Decision::Acquire,
            ),
        ];
        for (lease, seconds, expected) in table {
            let seen = lease.as_ref().map(|spec| Sighting::of(spec, start));
            let decision = decide(seen.as_ref(), "me", start + Duration::from_secs(seconds));
            assert_eq!(decision, expected, "{lease:?} after {seconds} s");
        }
    }

    #[test]
    fn a_renewal_starts_the_wait_again() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let first = Sighting::of(&spec(Some("other"), 1), at(0));
        let same = Sighting::of(&spec(Some("other"), 1), at(10)).after(Some(&first));
        assert_eq!(decide(Some(&same), "me", at(15)), Decision::Acquire);
        let renewed = Sighting::of(&spec(Some("other"), 2), at(10)).after(Some(&first));
        assert_eq!(decide(Some(&renewed), "me", at(15)), Decision::Wait);
        assert_eq!(decide(Some(&renewed), "me", at(25)), Decision::Acquire);
    }

    #[test]
    fn the_record_counts_changes_of_hands_only() {
        let now = Timestamp::from_second(100).unwrap();
        let taken = record(spec(Some("other"), 1), Decision::Acquire, "me", now);
        assert_eq!(
            (taken.lease_transitions, taken.acquire_time.clone()),
            (Some(1), Some(MicroTime(now)))
        );
        let later = Timestamp::from_second(200).unwrap();
        let kept = record(taken, Decision::Renew, "me", later);
        assert_eq!(kept.lease_transitions, Some(1));
        assert_eq!(
            (kept.acquire_time, kept.renew_time),
            (Some(MicroTime(now)), Some(MicroTime(later)))
        );
    }

    #[test]
    fn a_leader_stops_before_others_may_take_over() {
        assert!(RENEW_DEADLINE + RETRY_EVERY < DURATION);
        assert!(RENEW_EVERY + CALL_DEADLINE <= RENEW_DEADLINE);
    }
}

//! Times as status keeps them.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// `instant` without the fraction of its second. The API drops it when it writes; dropping it here
/// makes what is planned equal to what is read back.
pub(crate) fn stored(instant: Timestamp) -> Time {
    Time(whole_seconds(instant))
}

pub(crate) fn whole_seconds(instant: Timestamp) -> Timestamp {
    let second = instant.as_nanosecond().div_euclid(1_000_000_000);
    i64::try_from(second)
        .ok()
        .and_then(|second| Timestamp::from_second(second).ok())
        .unwrap_or(instant)
}

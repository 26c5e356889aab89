use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, little_endian::U32};

use crate::counters::{Counters, POSITION_BUCKETS};

/// [`Counters`] as tables store them.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct StoredCounters {
    impressions: [U32; POSITION_BUCKETS],
    clicks: U32,
    carts: U32,
    purchases: U32,
}

impl From<&Counters> for StoredCounters {
    fn from(counters: &Counters) -> Self {
        Self {
            impressions: counters.impressions.map(U32::new),
            clicks: counters.clicks.into(),
            carts: counters.carts.into(),
            purchases: counters.purchases.into(),
        }
    }
}

impl From<&StoredCounters> for Counters {
    fn from(stored: &StoredCounters) -> Self {
        Self {
            impressions: stored.impressions.map(U32::get),
            clicks: stored.clicks.get(),
            carts: stored.carts.get(),
            purchases: stored.purchases.get(),
        }
    }
}

//! The text features of pairs of query and item that come again. They depend on nothing but the
//! tables, so a kept value is the computed one to the last bit; what is kept is bounded, and a pair
//! that comes for the second time takes the place of the one that lies where its hash points. Most
//! pairs never come again: of them no more than a tag is written, into memory that is always near.

use std::{
    hash::{BuildHasher, RandomState},
    ops::Range,
    sync::RwLock,
};

/// Bytes of all values and keys together.
const CACHE_BYTES: usize = 32 << 20;
/// Requests for queries of different shards never meet; of those that do none waits, it computes.
const SHARDS: usize = 16;

pub(crate) struct TextCache {
    shards: Vec<RwLock<Shard>>,
    /// With a random key, so that nobody can choose queries that share a hash.
    hasher: RandomState,
}

/// Slots with one pair each.
struct Shard {
    /// Of the pair that came last.
    tags: Vec<u32>,
    pairs: Vec<Pair>,
    /// As many as there are columns, for each slot.
    values: Vec<f32>,
    columns: usize,
}

/// A query's hash, and its item's row with 1 added: 0 is an empty slot.
#[derive(Clone, Copy, Default, PartialEq)]
struct Pair {
    query: u64,
    item: u64,
}

impl TextCache {
    /// A cache of rows of `columns` values.
    pub(crate) fn new(columns: usize) -> Self {
        let slot_bytes = size_of::<(u32, Pair)>() + columns * size_of::<f32>();
        let slots = (CACHE_BYTES / SHARDS / slot_bytes).max(1);
        let shard = |_| {
            RwLock::new(Shard {
                tags: vec![0; slots],
                pairs: vec![Pair::default(); slots],
                values: vec![0.0; slots * columns],
                columns,
            })
        };
        Self {
            shards: (0..SHARDS).map(shard).collect(),
            hasher: RandomState::new(),
        }
    }

    /// The pairs of the query with this key.
    pub(crate) fn query(&self, key: &str) -> QueryCache<'_> {
        let query = self.hasher.hash_one(key);
        QueryCache {
            shard: &self.shards[(query >> 32) as usize % SHARDS],
            query,
        }
    }
}

/// The cache as one query sees it.
#[derive(Clone, Copy)]
pub(crate) struct QueryCache<'a> {
    shard: &'a RwLock<Shard>,
    query: u64,
}

impl QueryCache<'_> {
    /// Hands the values of the item in this row of the item table to `read`; `None` where none are
    /// kept or another request writes.
    pub(crate) fn get<T>(self, item: usize, read: impl FnOnce(&[f32]) -> T) -> Option<T> {
        let shard = self.shard.try_read().ok()?;
        let pair = Pair::new(self.query, item);
        let (slot, tag) = shard.slot(pair);
        let kept = shard.tags[slot] == tag && shard.pairs[slot] == pair;
        kept.then(|| read(&shard.values[shard.place(slot)]))
    }

    /// Keeps the values of an item that comes for the second time, unless another request is at work
    /// here.
    pub(crate) fn keep<'a>(self, item: usize, values: impl IntoIterator<Item = &'a f32>) {
        let Ok(mut shard) = self.shard.try_write() else {
            return;
        };
        let pair = Pair::new(self.query, item);
        let (slot, tag) = shard.slot(pair);
        if std::mem::replace(&mut shard.tags[slot], tag) != tag {
            return;
        }
        let place = shard.place(slot);
        shard.pairs[slot] = pair;
        for (kept, value) in shard.values[place].iter_mut().zip(values) {
            *kept = *value;
        }
    }
}

impl Pair {
    fn new(query: u64, item: usize) -> Self {
        Self {
            query,
            item: item as u64 + 1,
        }
    }
}

impl Shard {
    /// Where the pair belongs, and its tag there.
    fn slot(&self, pair: Pair) -> (usize, u32) {
        let hash = (pair.query ^ pair.item.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .wrapping_mul(0xd6e8_feb8_6659_fd93);
        let slot = (u128::from(hash) * self.pairs.len() as u128) >> 64;
        (slot as usize, hash as u32)
    }

    fn place(&self, slot: usize) -> Range<usize> {
        slot * self.columns..(slot + 1) * self.columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(cache: QueryCache, item: usize) -> Option<Vec<f32>> {
        cache.get(item, <[f32]>::to_vec)
    }

    #[test]
    fn what_was_kept_is_found_under_its_query_alone() {
        let cache = TextCache::new(2);
        let (shoes, kettle) = (cache.query("shoes"), cache.query("kettle"));
        assert_eq!(kept(shoes, 0), None);
        shoes.keep(0, &[1.0, 2.0]);
        assert_eq!(kept(shoes, 0), None, "it came once");
        shoes.keep(0, &[1.0, 2.0]);
        shoes.keep(7, &[3.0, f32::NAN]);
        shoes.keep(7, &[3.0, f32::NAN]);
        assert_eq!(kept(shoes, 0), Some(vec![1.0, 2.0]));
        assert!(kept(cache.query("shoes"), 7).unwrap()[1].is_nan());
        assert_eq!((kept(shoes, 1), kept(kettle, 0)), (None, None));
        // A reader at work keeps writers out; they do not wait.
        shoes.get(0, |_| (0..2).for_each(|_| shoes.keep(1, &[5.0, 5.0])));
        assert_eq!(kept(shoes, 1), None);
    }

    #[test]
    fn it_stays_as_large_as_it_was_and_forgets() {
        let cache = TextCache::new(30);
        let query = cache.query("q");
        let slots = query.shard.read().unwrap().pairs.len();
        for item in 0..3 * slots {
            (0..2).for_each(|_| query.keep(item, &[item as f32; 30]));
        }
        let found: Vec<usize> = (0..3 * slots)
            .filter(|item| kept(query, *item).is_some())
            .collect();
        let (most, least) = (slots, slots / 2);
        assert!((least..=most).contains(&found.len()), "{}", found.len());
        for item in found {
            assert_eq!(kept(query, item), Some(vec![item as f32; 30]));
        }
        assert_eq!(query.shard.read().unwrap().pairs.len(), slots);
    }
}

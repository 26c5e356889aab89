//! Records found by a string key: sorted by the key's hash, with a directory by its leading bits.
//! A lookup reads two neighbours of the directory and about one record; nothing probes, so nothing
//! can run away on a damaged table. The order depends on the keys alone.

use std::{hint::black_box, ops::Range};

use xxhash_rust::xxh3::xxh3_64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, little_endian::U32};

use super::file::{Record, Section, TableFile};

/// Where a record's key is, and enough of its hash to tell it from its neighbours.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct KeyRef {
    tag: U32,
    start: U32,
    bytes: U32,
}

/// A record with a key.
pub(crate) trait KeyedRecord: Record {
    fn key(&self) -> &KeyRef;
}

/// The three sections of records with keys: directory, records, keys.
pub(crate) struct KeyedRows<R> {
    directory: Section<U32>,
    records: Section<R>,
    keys: Section<u8>,
    bits: u32,
}

impl<R: KeyedRecord> KeyedRows<R> {
    /// Sections of the file that this takes, from the first on.
    pub(crate) const SECTIONS: usize = 3;

    /// Checks that every key can be found: each is where its hash puts it, and none is there twice.
    pub(crate) fn open(file: &TableFile) -> Result<Self, String> {
        let directory = file.section(0)?;
        let buckets = file.records(&directory).len().wrapping_sub(1);
        if !buckets.is_power_of_two() {
            return Err("the directory's size is not a power of two".to_owned());
        }
        let rows = Self {
            directory,
            records: file.section(1)?,
            keys: file.section(2)?,
            bits: buckets.trailing_zeros(),
        };
        rows.check(file)?;
        Ok(rows)
    }

    fn check(&self, file: &TableFile) -> Result<(), String> {
        let records = self.records(file);
        let directory = file.records(&self.directory);
        let mut before: Option<(u64, &str)> = None;
        let mut next = 0;
        for (bucket, end) in directory[1..].iter().enumerate() {
            let (start, end) = (directory[bucket].get() as usize, end.get() as usize);
            if start != next || end < start || end > records.len() {
                return Err(format!("bucket {bucket} of the directory is not in order"));
            }
            next = end;
            for (row, record) in records[start..end].iter().enumerate() {
                let row = start + row;
                let key = self
                    .key_of(file, record)
                    .ok_or_else(|| format!("row {row}: the key is not valid text"))?;
                let hash = xxh3_64(key.as_bytes());
                if self.bucket(hash) != bucket || record.key().tag.get() != hash as u32 {
                    return Err(format!(
                        "row {row}: key {key:?} is not where its hash puts it"
                    ));
                }
                if before >= Some((hash, key)) {
                    return Err(format!("row {row}: key {key:?} is not in order"));
                }
                before = Some((hash, key));
            }
        }
        if next != records.len() {
            return Err(format!("row {next} is in no bucket of the directory"));
        }
        Ok(())
    }

    fn bucket(&self, hash: u64) -> usize {
        bucket(hash, self.bits)
    }

    pub(crate) fn key_of<'a>(&self, file: &'a TableFile, record: &R) -> Option<&'a str> {
        std::str::from_utf8(self.key_bytes(file, record)?).ok()
    }

    fn key_bytes<'a>(&self, file: &'a TableFile, record: &R) -> Option<&'a [u8]> {
        let key = record.key();
        let start = key.start.get() as usize;
        file.records(&self.keys)
            .get(start..start.checked_add(key.bytes.get() as usize)?)
    }

    /// The row with this key.
    pub(crate) fn find(&self, file: &TableFile, key: &str) -> Option<usize> {
        let hash = xxh3_64(key.as_bytes());
        self.find_in(file, self.rows_of(file, hash), (hash, key))
    }

    /// The same for many keys. Goes through all of them step by step, so that the processor waits
    /// for the memory of many at once.
    pub(crate) fn find_all<'a, K>(&self, file: &TableFile, keys: K) -> Vec<Option<usize>>
    where
        K: Iterator<Item = &'a str> + Clone,
    {
        let place = |key: &str| {
            let hash = xxh3_64(key.as_bytes());
            (hash, self.rows_of(file, hash))
        };
        let places: Vec<(u64, Range<usize>)> = keys.clone().map(place).collect();
        let records = self.records(file);
        let first = places
            .iter()
            .filter_map(|(_, rows)| records.get(rows.start));
        touch(first.map(R::as_bytes));
        let found = keys.zip(places);
        found
            .map(|(key, (hash, rows))| self.find_in(file, rows, (hash, key)))
            .collect()
    }

    /// The rows whose keys have a hash of the same bucket.
    fn rows_of(&self, file: &TableFile, hash: u64) -> Range<usize> {
        let bucket = self.bucket(hash);
        let ends = file.records(&self.directory).get(bucket..bucket + 2);
        ends.map_or(0..0, |ends| ends[0].get() as usize..ends[1].get() as usize)
    }

    fn find_in(
        &self,
        file: &TableFile,
        rows: Range<usize>,
        (hash, key): (u64, &str),
    ) -> Option<usize> {
        let is_it = |record: &R| {
            record.key().tag.get() == hash as u32
                && self.key_bytes(file, record) == Some(key.as_bytes())
        };
        let start = rows.start;
        let records = self.records(file).get(rows)?;
        records.iter().position(is_it).map(|row| start + row)
    }

    pub(crate) fn records<'a>(&self, file: &'a TableFile) -> &'a [R] {
        file.records(&self.records)
    }
}

/// Reads where each piece of memory that will be needed begins, none of them dependent on another.
pub(crate) fn touch<'a>(pieces: impl Iterator<Item = &'a [u8]>) {
    /// Of memory that comes at once.
    const LINE: usize = 64;
    /// What is further behind, the processor fetches ahead.
    const LINES: usize = 6;
    let lines = pieces.flat_map(|piece| piece.iter().step_by(LINE).take(LINES));
    black_box(lines.fold(0_u8, |all, byte| all ^ byte));
}

fn bucket(hash: u64, bits: u32) -> usize {
    hash.checked_shr(u64::BITS - bits).unwrap_or(0) as usize
}

/// The order of rows, and all but the records themselves of what [`KeyedRows`] reads.
pub(crate) struct KeyOrder {
    /// Which of the given keys each row has.
    pub(crate) rows: Vec<usize>,
    /// Of each row.
    pub(crate) refs: Vec<KeyRef>,
    directory: Vec<U32>,
    keys: Vec<u8>,
}

impl KeyOrder {
    /// The error is the index of a key that is there for the second time.
    pub(crate) fn of<S: AsRef<str>>(keys: &[S]) -> Result<Self, usize> {
        let hash = |&index: &usize| xxh3_64(keys[index].as_ref().as_bytes());
        let mut rows: Vec<usize> = (0..keys.len()).collect();
        rows.sort_by_cached_key(|index| (hash(index), keys[*index].as_ref(), *index));
        let second =
            |pair: &[usize]| (keys[pair[0]].as_ref() == keys[pair[1]].as_ref()).then_some(pair[1]);
        if let Some(index) = rows.windows(2).filter_map(second).min() {
            return Err(index);
        }
        let bits = keys.len().next_power_of_two().trailing_zeros();
        let mut counts = vec![0u32; (1 << bits) + 1];
        let mut order = Self {
            refs: Vec::with_capacity(keys.len()),
            directory: Vec::new(),
            keys: Vec::new(),
            rows,
        };
        for index in &order.rows {
            let (key, hash) = (keys[*index].as_ref(), hash(index));
            order.refs.push(KeyRef {
                tag: (hash as u32).into(),
                start: (order.keys.len() as u32).into(),
                bytes: (key.len() as u32).into(),
            });
            order.keys.extend_from_slice(key.as_bytes());
            counts[bucket(hash, bits) + 1] += 1;
        }
        let mut end = 0;
        order.directory = counts
            .iter()
            .map(|count| {
                end += count;
                end.into()
            })
            .collect();
        Ok(order)
    }

    /// Directory, records and keys, as [`KeyedRows::open`] reads them.
    pub(crate) fn sections<'a, R: KeyedRecord>(&'a self, records: &'a [R]) -> [&'a [u8]; 3] {
        [self.directory.as_bytes(), records.as_bytes(), &self.keys]
    }
}

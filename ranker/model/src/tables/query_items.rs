//! The query–item table: of each query, the items that were shown under it with their counters.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, little_endian::U32};

use super::{
    counters::StoredCounters,
    file::{Section, TableBytes, TableFile, to_file},
    keyed::{KeyOrder, KeyRef, KeyedRecord, KeyedRows},
};
use crate::counters::Counters;

const KIND: [u8; 4] = *b"pair";

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct StoredQuery {
    key: KeyRef,
    /// Where its pairs start.
    start: U32,
    pairs: U32,
}

impl KeyedRecord for StoredQuery {
    fn key(&self) -> &KeyRef {
        &self.key
    }
}

/// The items that were shown under one query.
#[derive(Clone, Copy)]
pub struct QueryItems<'a> {
    /// Rows of the item table, ascending.
    items: &'a [U32],
    counters: &'a [StoredCounters],
}

impl QueryItems<'_> {
    /// Rows of the item table with their counters.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (usize, Counters)> {
        let rows = self.items.iter().map(|row| row.get() as usize);
        rows.zip(self.counters.iter().map(Counters::from))
    }

    /// The counters of the item in this row of the item table.
    pub fn get(&self, item: usize) -> Option<Counters> {
        let item = u32::try_from(item).ok()?;
        let index = self
            .items
            .binary_search_by_key(&item, |row| row.get())
            .ok()?;
        self.counters.get(index).map(Counters::from)
    }
}

pub(super) struct QueryItemTable {
    file: TableFile,
    queries: KeyedRows<StoredQuery>,
    items: Section<U32>,
    counters: Section<StoredCounters>,
}

/// Counters of an item under a query.
pub(super) struct Pair<'a> {
    /// Index of the query among the keys of the order.
    pub(super) query: usize,
    /// Row of the item table.
    pub(super) item: usize,
    pub(super) counters: &'a Counters,
    /// Where it stands in the input.
    pub(super) index: usize,
}

impl QueryItemTable {
    /// `pairs` in any order, none twice. Every key of `order` has some.
    pub(super) fn build(order: &KeyOrder, mut pairs: Vec<Pair>) -> Result<Self, String> {
        let mut row_of = vec![0; order.rows.len()];
        for (row, index) in order.rows.iter().enumerate() {
            row_of[*index] = row;
        }
        pairs.sort_by_key(|pair| (row_of[pair.query], pair.item));
        let mut queries = Vec::with_capacity(order.rows.len());
        let mut start = 0;
        for run in pairs.chunk_by(|a, b| a.query == b.query) {
            queries.push(StoredQuery {
                key: order.refs[queries.len()],
                start: u32::try_from(start)
                    .map_err(|_| "more than 2^32 pairs")?
                    .into(),
                pairs: (run.len() as u32).into(),
            });
            start += run.len();
        }
        let items: Vec<U32> = pairs
            .iter()
            .map(|pair| U32::new(pair.item as u32))
            .collect();
        let counters: Vec<StoredCounters> = pairs.iter().map(|pair| pair.counters.into()).collect();
        let [directory, queries, keys] = order.sections(&queries);
        let sections = [
            directory,
            queries,
            keys,
            items.as_bytes(),
            counters.as_bytes(),
        ];
        Self::open(to_file(KIND, &sections).into())
    }

    pub(super) fn open(bytes: TableBytes) -> Result<Self, String> {
        const KEYED: usize = KeyedRows::<StoredQuery>::SECTIONS;
        let file = TableFile::open(bytes, KIND, KEYED + 2)?;
        let table = Self {
            queries: KeyedRows::open(&file)?,
            items: file.section(KEYED)?,
            counters: file.section(KEYED + 1)?,
            file,
        };
        table.check()?;
        Ok(table)
    }

    fn check(&self) -> Result<(), String> {
        let items = self.file.records(&self.items);
        let counters = self.file.records(&self.counters).len();
        if items.len() != counters {
            return Err(format!("has {} items and {counters} counters", items.len()));
        }
        let mut next = 0;
        for (row, query) in self.queries.records(&self.file).iter().enumerate() {
            let found = self.pairs_of(query).filter(|_| query.start.get() == next);
            let found = found.ok_or_else(|| format!("row {row}: its pairs are not in order"))?;
            if !found.items.is_sorted_by(|a, b| a.get() < b.get()) {
                return Err(format!("row {row}: its items are not in order"));
            }
            next += query.pairs.get();
        }
        match items.len() - next as usize {
            0 => Ok(()),
            left => Err(format!("{left} pairs have no query")),
        }
    }

    fn pairs_of(&self, query: &StoredQuery) -> Option<QueryItems<'_>> {
        let start = query.start.get() as usize;
        let pairs = start..start.checked_add(query.pairs.get() as usize)?;
        Some(QueryItems {
            items: self.file.records(&self.items).get(pairs.clone())?,
            counters: self.file.records(&self.counters).get(pairs)?,
        })
    }

    pub(super) fn get(&self, key: &str) -> Option<QueryItems<'_>> {
        let row = self.queries.find(&self.file, key)?;
        self.pairs_of(self.queries.records(&self.file).get(row)?)
    }

    /// Rows of the item table that pairs name, in no order.
    pub(super) fn items(&self) -> impl Iterator<Item = usize> {
        self.file
            .records(&self.items)
            .iter()
            .map(|row| row.get() as usize)
    }

    /// Number of pairs.
    pub(super) fn len(&self) -> usize {
        self.file.records(&self.items).len()
    }

    pub(super) fn file(&self) -> &TableFile {
        &self.file
    }
}

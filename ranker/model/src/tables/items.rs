//! The item table: numbers and counters by id.

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{F32, I64, U32},
};

use super::{
    counters::StoredCounters,
    file::{TableBytes, TableFile, to_file},
    keyed::{KeyOrder, KeyRef, KeyedRecord, KeyedRows},
};
use crate::{
    counters::ItemHistory,
    item::{ItemFields, ItemNumbers, single_precision},
};

const KIND: [u8; 4] = *b"item";
/// The catalogue has the item; else only its counters under queries are known.
const LISTED: u32 = 1;
const HAS_ADDED_TIME: u32 = 2;

/// A row. What is missing of the floats is NaN.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct StoredItem {
    key: KeyRef,
    flags: U32,
    price: F32,
    rating: F32,
    rating_count: F32,
    stock: F32,
    added_time: I64,
    short: StoredCounters,
    long: StoredCounters,
}

impl KeyedRecord for StoredItem {
    fn key(&self) -> &KeyRef {
        &self.key
    }
}

impl StoredItem {
    fn new(key: KeyRef, item: Option<(&ItemFields, &ItemHistory)>) -> Self {
        let (numbers, history) = item.map_or_else(Default::default, |(fields, history)| {
            (fields.numbers(), *history)
        });
        let float = |value: Option<f64>| {
            let value = value.and_then(single_precision);
            F32::new(value.map_or(f32::NAN, |value| value as f32))
        };
        let flag = |set: bool, flag: u32| if set { flag } else { 0 };
        let flags =
            flag(item.is_some(), LISTED) | flag(numbers.added_time.is_some(), HAS_ADDED_TIME);
        Self {
            key,
            flags: flags.into(),
            price: float(numbers.price),
            rating: float(numbers.rating),
            rating_count: float(numbers.rating_count),
            stock: float(numbers.stock),
            added_time: numbers.added_time.unwrap_or_default().into(),
            short: (&history.short).into(),
            long: (&history.long).into(),
        }
    }

    pub(super) fn is_listed(&self) -> bool {
        self.flags.get() & LISTED != 0
    }

    pub(super) fn numbers(&self) -> ItemNumbers {
        let float = |value: F32| single_precision(value.get().into());
        let has_added_time = self.flags.get() & HAS_ADDED_TIME != 0;
        ItemNumbers {
            price: float(self.price),
            rating: float(self.rating),
            rating_count: float(self.rating_count),
            stock: float(self.stock),
            added_time: has_added_time.then_some(self.added_time.get()),
        }
    }

    pub(super) fn history(&self) -> ItemHistory {
        ItemHistory {
            short: (&self.short).into(),
            long: (&self.long).into(),
        }
    }
}

pub(super) struct ItemTable {
    file: TableFile,
    rows: KeyedRows<StoredItem>,
    listed: usize,
}

impl ItemTable {
    /// `items` are those of the keys that `order` was made of; `None` for one that the catalogue
    /// lacks.
    pub(super) fn build(
        order: &KeyOrder,
        items: &[Option<(&ItemFields, &ItemHistory)>],
    ) -> Result<Self, String> {
        let rows = order.refs.iter().zip(&order.rows);
        let rows: Vec<StoredItem> = rows
            .map(|(key, index)| StoredItem::new(*key, items[*index]))
            .collect();
        Self::open(to_file(KIND, &order.sections(&rows)).into())
    }

    pub(super) fn open(bytes: TableBytes) -> Result<Self, String> {
        let file = TableFile::open(bytes, KIND, KeyedRows::<StoredItem>::SECTIONS)?;
        let rows: KeyedRows<StoredItem> = KeyedRows::open(&file)?;
        let items = rows.records(&file).iter();
        Ok(Self {
            listed: items.filter(|item| item.is_listed()).count(),
            file,
            rows,
        })
    }

    pub(super) fn find(&self, id: &str) -> Option<usize> {
        self.rows.find(&self.file, id)
    }

    pub(super) fn find_all<'a, K>(&self, ids: K) -> Vec<Option<usize>>
    where
        K: Iterator<Item = &'a str> + Clone,
    {
        self.rows.find_all(&self.file, ids)
    }

    pub(super) fn get(&self, row: usize) -> Option<&StoredItem> {
        self.rows.records(&self.file).get(row)
    }

    pub(super) fn id(&self, row: usize) -> Option<&str> {
        self.rows.key_of(&self.file, self.get(row)?)
    }

    /// Rows, also of items that the catalogue lacks.
    pub(super) fn rows(&self) -> usize {
        self.rows.records(&self.file).len()
    }

    /// Items of the catalogue.
    pub(super) fn listed(&self) -> usize {
        self.listed
    }

    pub(super) fn file(&self) -> &TableFile {
        &self.file
    }
}

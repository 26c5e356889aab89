//! The terms of the catalogue with their statistics for BM25.

use std::collections::HashMap;

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U32, U64},
};

use crate::{
    tables::{
        file::{TableBytes, TableFile, to_file},
        keyed::{KeyOrder, KeyRef, KeyedRecord, KeyedRows},
    },
    texts::{TERM_LISTS, TermId, TermList, TextView},
};

/// Term-frequency saturation.
pub const BM25_K1: f64 = 1.2;
/// Weight of the document's length.
pub const BM25_B: f64 = 0.75;

/// Numbers above are for terms of a query that the lexicon lacks.
const MAX_TERMS: usize = u32::MAX as usize - 4096;
const KIND: [u8; 4] = *b"lexi";

/// A collection of documents: one for each item, made of some of its lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collection {
    /// Titles.
    Title,
    /// Title, description, brand and category together.
    All,
}

/// Number of [`Collection`]s.
pub const COLLECTIONS: usize = Collection::ALL.len();

impl Collection {
    pub const ALL: [Self; 2] = [Self::Title, Self::All];

    /// The lists that make a document.
    pub fn lists(self) -> &'static [TermList] {
        use TermList::{Brand, Category, Description, Title};
        match self {
            Self::Title => &[Title],
            Self::All => &[Title, Description, Brand, Category],
        }
    }

    /// Whether the item has what the document is made of: without a title nothing is known of it,
    /// while of all text together even an empty one is known.
    pub(crate) fn is_known(self, text: &TextView) -> bool {
        match self {
            Self::Title => text.terms(TermList::Title).is_some(),
            Self::All => true,
        }
    }

    /// Sums what each list has over the lists of a document.
    pub(crate) fn sum(self, of: &[u32; TERM_LISTS]) -> u32 {
        self.lists().iter().map(|list| of[*list as usize]).sum()
    }
}

/// A term's row.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Term {
    key: KeyRef,
    /// Documents that contain it, by [`Collection`].
    documents: [U32; COLLECTIONS],
}

impl KeyedRecord for Term {
    fn key(&self) -> &KeyRef {
        &self.key
    }
}

/// The dictionary of the catalogue with its statistics.
pub struct Lexicon {
    file: TableFile,
    terms: KeyedRows<Term>,
    documents: u64,
    /// Terms in each [`Collection`].
    lengths: [u64; COLLECTIONS],
}

impl Lexicon {
    pub(crate) fn open(bytes: TableBytes) -> Result<Self, String> {
        let file = TableFile::open(bytes, KIND, KeyedRows::<Term>::SECTIONS + 1)?;
        let sums = file.section::<U64>(KeyedRows::<Term>::SECTIONS)?;
        let [documents, terms @ ..] = file.records(&sums) else {
            return Err("has no sums".to_owned());
        };
        Ok(Self {
            documents: documents.get(),
            lengths: terms
                .try_into()
                .map(|terms: [U64; COLLECTIONS]| terms.map(U64::get))
                .map_err(|_| {
                    format!("has {} sums, expected {}", 1 + terms.len(), 1 + COLLECTIONS)
                })?,
            terms: KeyedRows::open(&file)?,
            file,
        })
    }

    pub(crate) fn file(&self) -> &TableFile {
        &self.file
    }

    /// Items that were counted.
    pub fn documents(&self) -> u64 {
        self.documents
    }

    /// Distinct terms.
    pub fn len(&self) -> usize {
        self.terms.records(&self.file).len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A term's number.
    pub fn term(&self, term: &str) -> Option<TermId> {
        self.terms.find(&self.file, term).map(TermId::new)
    }

    /// Inverse document frequency, never negative: ln(1 + (N − df + ½) / (df + ½)).
    pub(crate) fn idf(&self, collection: Collection, term: TermId) -> f64 {
        let documents = self.documents() as f64;
        let row = self.terms.records(&self.file).get(term.row());
        let containing = row.map_or(0, |row| row.documents[collection as usize].get());
        let containing = f64::from(containing).min(documents);
        (1.0 + (documents - containing + 0.5) / (containing + 0.5)).ln()
    }

    /// Terms of the average document; 0 for an empty collection.
    pub(crate) fn average_length(&self, collection: Collection) -> f64 {
        match self.documents {
            0 => 0.0,
            documents => self.lengths[collection as usize] as f64 / documents as f64,
        }
    }
}

/// Numbers terms as they come, and counts.
#[derive(Default)]
pub(crate) struct LexiconBuilder {
    numbers: HashMap<String, usize>,
    documents: u64,
    terms: [u64; COLLECTIONS],
    containing: Vec<[u32; COLLECTIONS]>,
    distinct: Vec<u32>,
}

impl LexiconBuilder {
    /// A term's number until [`Self::finish`].
    pub(crate) fn number(&mut self, term: &str) -> TermId {
        if let Some(number) = self.numbers.get(term) {
            return TermId::new(*number);
        }
        let number = self.containing.len();
        self.numbers.insert(term.to_owned(), number);
        self.containing.push([0; COLLECTIONS]);
        TermId::new(number)
    }

    /// Counts one item.
    pub(crate) fn count(&mut self, text: &TextView) {
        self.documents += 1;
        for collection in Collection::ALL {
            let lists = collection.lists().iter();
            let terms = lists.filter_map(|list| text.terms(*list)).flatten();
            self.distinct.clear();
            self.distinct.extend(terms.map(|term| term.row() as u32));
            self.terms[collection as usize] += self.distinct.len() as u64;
            self.distinct.sort_unstable();
            self.distinct.dedup();
            for number in &self.distinct {
                self.containing[*number as usize][collection as usize] += 1;
            }
        }
    }

    /// The lexicon, and the final number of each that [`Self::number`] gave.
    pub(crate) fn finish(self) -> Result<(Lexicon, Vec<TermId>), String> {
        let (keys, rows): (Vec<String>, Vec<usize>) = self.numbers.into_iter().unzip();
        if keys.len() > MAX_TERMS {
            return Err(format!(
                "{} distinct terms, at most {MAX_TERMS}",
                keys.len()
            ));
        }
        let order = KeyOrder::of(&keys).expect("a map has each key once");
        let mut numbers = vec![TermId::OTHER; keys.len()];
        let mut terms = Vec::with_capacity(keys.len());
        for (row, (key, index)) in order.refs.iter().zip(&order.rows).enumerate() {
            let number = rows[*index];
            numbers[number] = TermId::new(row);
            terms.push(Term {
                key: *key,
                documents: self.containing[number].map(U32::new),
            });
        }
        let sums: Vec<U64> = [self.documents]
            .into_iter()
            .chain(self.terms)
            .map(U64::new)
            .collect();
        let [directory, terms, keys] = order.sections(&terms);
        let bytes = to_file(KIND, &[directory, terms, keys, sums.as_bytes()]);
        Ok((Lexicon::open(bytes.into())?, numbers))
    }
}

/// What BM25 gives one term that occurs `count` times in a document of `length` terms; `idf` aside.
pub(crate) fn saturation(count: f64, length: f64, average_length: f64) -> f64 {
    let relative = if average_length > 0.0 {
        length / average_length
    } else {
        1.0
    };
    count * (BM25_K1 + 1.0) / (count + BM25_K1 * (1.0 - BM25_B + BM25_B * relative))
}

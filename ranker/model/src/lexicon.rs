//! The terms of the catalogue with their statistics for BM25.

use std::{cmp::Reverse, collections::HashMap};

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U32, U64},
};

use crate::{
    tables::{
        file::{Section, TableBytes, TableFile, to_file},
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
    Title,
    Description,
    BulletPoints,
    Category,
    /// All text fields together.
    All,
}

/// Number of [`Collection`]s.
pub const COLLECTIONS: usize = Collection::ALL.len();

impl Collection {
    pub const ALL: [Self; 5] = [
        Self::Title,
        Self::Description,
        Self::BulletPoints,
        Self::Category,
        Self::All,
    ];

    /// The lists that make a document.
    pub fn lists(self) -> &'static [TermList] {
        use TermList::{Brand, BulletPoints, Category, Color, Description, Title};
        match self {
            Self::Title => &[Title],
            Self::Description => &[Description],
            Self::BulletPoints => &[BulletPoints],
            Self::Category => &[Category],
            Self::All => &[Title, Description, BulletPoints, Brand, Color, Category],
        }
    }

    /// Whether the item has what the document is made of: of a field that is not there nothing is
    /// known, while of all text together even an empty one is known.
    pub(crate) fn is_known(self, text: &TextView) -> bool {
        self == Self::All || text.terms(self.lists()[0]).is_some()
    }

    /// Sums what each list has over the lists of a document.
    pub(crate) fn sum(self, of: &[u32; TERM_LISTS]) -> u32 {
        self.lists().iter().map(|list| of[*list as usize]).sum()
    }
}

/// What titles point to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    Brand,
    /// The last step of the category's path.
    Category,
}

/// Number of [`Label`]s.
pub const LABELS: usize = Label::ALL.len();
/// Labels that are kept of one term, the most frequent ones: a bound on the table and on the work
/// for one query.
const MAX_LABELS: usize = 64;

impl Label {
    pub const ALL: [Self; 2] = [Self::Brand, Self::Category];

    /// The list that holds an item's own.
    pub(crate) fn list(self) -> TermList {
        match self {
            Self::Brand => TermList::BrandName,
            Self::Category => TermList::CategoryLeaf,
        }
    }
}

/// How many items with a label have a term in their title.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Labelled {
    label: TermId,
    items: U32,
}

/// Where the labels of each term begin and those of the last one end, and the labels.
struct Associations {
    starts: Section<U32>,
    labels: Section<Labelled>,
}

impl Associations {
    fn of<'a>(&self, file: &'a TableFile, term: TermId) -> &'a [Labelled] {
        let starts = file.records(&self.starts);
        let ends = starts.get(term.row()..).and_then(|ends| ends.get(..2));
        ends.and_then(|ends| {
            let (start, end) = (ends[0].get() as usize, ends[1].get() as usize);
            file.records(&self.labels).get(start..end)
        })
        .unwrap_or_default()
    }
}

/// How much the terms of a query point to each label.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Affinity {
    /// By label, ascending.
    shares: Vec<(TermId, f64)>,
    best: f64,
}

impl Affinity {
    /// `weighted` are the parts that each term adds, `whole` is what all terms weigh.
    fn new(mut weighted: Vec<(TermId, f64)>, whole: f64) -> Self {
        weighted.sort_by_key(|(label, _)| *label);
        let shares: Vec<(TermId, f64)> = weighted
            .chunk_by(|a, b| a.0 == b.0)
            .map(|run| {
                (
                    run[0].0,
                    run.iter().map(|(_, part)| part).sum::<f64>() / whole,
                )
            })
            .collect();
        let best = shares.iter().map(|(_, share)| *share).fold(0.0, f64::max);
        Self { shares, best }
    }

    /// 0 to 1; NaN without a label.
    pub(crate) fn of(&self, label: Option<TermId>) -> f64 {
        let Some(label) = label else {
            return f64::NAN;
        };
        let found = self
            .shares
            .binary_search_by_key(&label, |(label, _)| *label);
        found.map_or(0.0, |index| self.shares[index].1)
    }

    /// The same over the label that the query points to most; NaN where it points to none.
    pub(crate) fn relative(&self, label: Option<TermId>) -> f64 {
        self.of(label) / self.best
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
    /// By [`Label`].
    labels: [Associations; LABELS],
    documents: u64,
    /// Terms in each [`Collection`].
    lengths: [u64; COLLECTIONS],
}

impl Lexicon {
    pub(crate) fn open(bytes: TableBytes) -> Result<Self, String> {
        const SUMS: usize = KeyedRows::<Term>::SECTIONS;
        let file = TableFile::open(bytes, KIND, SUMS + 1 + 2 * LABELS)?;
        let sums = file.section::<U64>(SUMS)?;
        let labels = |label: usize| -> Result<Associations, String> {
            Ok(Associations {
                starts: file.section(SUMS + 1 + 2 * label)?,
                labels: file.section(SUMS + 2 + 2 * label)?,
            })
        };
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
            labels: [labels(0)?, labels(1)?],
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

    /// All terms in the order of their rows, each with the documents that contain it, by
    /// [`Collection`].
    pub fn terms(&self) -> impl Iterator<Item = (&str, [u32; COLLECTIONS])> {
        let rows = self.terms.records(&self.file).iter();
        rows.map(|row| {
            let key = self.terms.key_of(&self.file, row).unwrap_or_default();
            (key, row.documents.map(U32::get))
        })
    }

    /// The labels that are kept of the term in this row, each with how many items have the label and
    /// the term in their title.
    pub fn labels(&self, label: Label, row: usize) -> impl Iterator<Item = (TermId, u32)> {
        let labels = self.labels[label as usize].of(&self.file, TermId::new(row));
        labels.iter().map(|one| (one.label, one.items.get()))
    }

    /// Inverse document frequency, never negative: ln(1 + (N − df + ½) / (df + ½)).
    pub(crate) fn idf(&self, collection: Collection, term: TermId) -> f64 {
        let documents = self.documents() as f64;
        let containing = f64::from(self.containing(collection, term)).min(documents);
        (1.0 + (documents - containing + 0.5) / (containing + 0.5)).ln()
    }

    fn containing(&self, collection: Collection, term: TermId) -> u32 {
        let row = self.terms.records(&self.file).get(term.row());
        row.map_or(0, |row| row.documents[collection as usize].get())
    }

    /// What weighted terms say together about an item's label: the mean of the shares that its
    /// titles have among the titles with each term. Terms that no title with a label has say
    /// nothing.
    pub(crate) fn affinity(
        &self,
        label: Label,
        terms: impl IntoIterator<Item = (TermId, f64)>,
    ) -> Affinity {
        let (mut weighted, mut whole) = (Vec::new(), 0.0);
        for (term, weight) in terms {
            let labels = self.labels[label as usize].of(&self.file, term);
            if labels.is_empty() {
                continue;
            }
            whole += weight;
            // One more, so that a term seen once is only half believed.
            let titles = f64::from(self.containing(Collection::Title, term)) + 1.0;
            let part = |one: &Labelled| (one.label, weight * f64::from(one.items.get()) / titles);
            weighted.extend(labels.iter().map(part));
        }
        Affinity::new(weighted, whole)
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
    /// Items by title term and label, by [`Label`].
    labelled: [HashMap<(u32, u32), u32>; LABELS],
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
            if collection == Collection::Title {
                self.count_labels(text);
            }
        }
    }

    /// `distinct` are the terms of the title.
    fn count_labels(&mut self, text: &TextView) {
        for (counts, label) in self.labelled.iter_mut().zip(Label::ALL) {
            if let Some(label) = text.name(label.list()) {
                for term in &self.distinct {
                    *counts.entry((*term, label.row() as u32)).or_default() += 1;
                }
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
        let labels = self.labelled.map(|counts| associations(&counts, &numbers));
        let [directory, terms, keys] = order.sections(&terms);
        let mut sections = vec![directory, terms, keys, sums.as_bytes()];
        for (starts, labels) in &labels {
            sections.extend([starts.as_bytes(), labels.as_bytes()]);
        }
        Ok((Lexicon::open(to_file(KIND, &sections).into())?, numbers))
    }
}

/// The sections of [`Associations`]: of each term the most frequent labels.
fn associations(
    counts: &HashMap<(u32, u32), u32>,
    numbers: &[TermId],
) -> (Vec<U32>, Vec<Labelled>) {
    let row = |((term, label), items): (&(u32, u32), &u32)| {
        let (term, label) = (numbers[*term as usize], numbers[*label as usize]);
        (term, Reverse(*items), label)
    };
    let mut rows: Vec<_> = counts.iter().map(row).collect();
    rows.sort_unstable();
    let mut labels = Vec::with_capacity(rows.len());
    let mut ends = vec![0u32; numbers.len() + 1];
    for run in rows.chunk_by(|a, b| a.0 == b.0) {
        let kept = run.iter().take(MAX_LABELS);
        labels.extend(kept.map(|(_, Reverse(items), label)| Labelled {
            label: *label,
            items: (*items).into(),
        }));
        ends[run[0].0.row() + 1] = labels.len() as u32;
    }
    let mut end = 0;
    let starts = ends.into_iter().map(|own| {
        end = own.max(end);
        end.into()
    });
    (starts.collect(), labels)
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

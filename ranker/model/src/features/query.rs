use crate::{
    item::ItemFields,
    lexicon::{self, COLLECTIONS, Collection, Lexicon},
    text::{Analyzer, trigrams},
    texts::{AnalysedText, TermId, TermList, TextView},
};

/// Only the first terms of a query count: a bound on the work for one candidate.
pub const MAX_QUERY_TERMS: usize = 64;
/// The same for its character trigrams.
pub const MAX_QUERY_TRIGRAMS: usize = 256;

/// A query, analysed once for all its candidates. Made by [`super::FeatureContext::query`].
#[derive(Clone, Debug, PartialEq)]
pub struct AnalysedQuery {
    key: String,
    /// In the order of the query.
    tokens: Vec<TermId>,
    /// Distinct, in the order of the words.
    terms: Vec<QueryTerm>,
    /// Words that the lexicon lacks, in the order of the numbers that they have here.
    own: Vec<String>,
    trigrams: Trigrams,
}

#[derive(Clone, Debug, PartialEq)]
struct QueryTerm {
    id: TermId,
    count: f64,
    idf: [f64; COLLECTIONS],
}

/// How well a query matches the documents of one collection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FieldMatch {
    pub bm25: f64,
    /// BM25 over the best score that any text could have for this query.
    pub share: f64,
    /// Share of the query's distinct terms that occur.
    pub coverage: f64,
}

impl FieldMatch {
    pub(super) const UNKNOWN: Self = Self {
        bm25: f64::NAN,
        share: f64::NAN,
        coverage: f64::NAN,
    };
}

impl AnalysedQuery {
    pub(super) fn new(analyzer: &Analyzer, lexicon: &Lexicon, raw: &str) -> Self {
        let key = analyzer.query_key(raw);
        let mut words = analyzer.tokens(raw);
        words.truncate(MAX_QUERY_TERMS);
        let mut own = Vec::new();
        let tokens = words
            .iter()
            .map(|word| {
                lexicon
                    .term(word)
                    .unwrap_or_else(|| number_own(&mut own, word))
            })
            .collect();
        let mut query = Self {
            trigrams: Trigrams::of(&key),
            terms: Vec::new(),
            key,
            tokens,
            own,
        };
        words.sort_unstable();
        query.terms = words
            .chunk_by(|a, b| a == b)
            .map(|run| query.term(lexicon, &run[0], run.len()))
            .collect();
        query
    }

    fn term(&self, lexicon: &Lexicon, word: &str, count: usize) -> QueryTerm {
        let id = self.number(lexicon, word);
        QueryTerm {
            id,
            count: count as f64,
            idf: Collection::ALL.map(|collection| lexicon.idf(collection, id)),
        }
    }

    fn number(&self, lexicon: &Lexicon, word: &str) -> TermId {
        let own = || self.own.iter().position(|other| other == word);
        lexicon
            .term(word)
            .or_else(|| own().map(TermId::of_query))
            .unwrap_or(TermId::OTHER)
    }

    /// Analyses, for this query alone, the fields that `known` was not made of.
    pub(crate) fn analyse(
        &self,
        (analyzer, lexicon): (&Analyzer, &Lexicon),
        fields: &ItemFields,
        known: &TextView,
    ) -> AnalysedText {
        AnalysedText::new(analyzer, fields, known, |word| self.number(lexicon, word))
    }

    /// The key of the query's counters.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Terms, at most [`MAX_QUERY_TERMS`].
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// By [`Collection`].
    pub(super) fn matches(&self, text: &TextView, lexicon: &Lexicon) -> [FieldMatch; COLLECTIONS] {
        if self.terms.is_empty() {
            return [FieldMatch::UNKNOWN; COLLECTIONS];
        }
        let lengths = text.lengths();
        let mut matches = [FieldMatch::default(); COLLECTIONS];
        for term in &self.terms {
            let counts = text.counts(term.id);
            for (found, collection) in matches.iter_mut().zip(Collection::ALL) {
                let weight = term.count * term.idf[collection as usize];
                found.share += weight * (lexicon::BM25_K1 + 1.0);
                let count = collection.sum(&counts);
                if count > 0 {
                    let length = collection.sum(&lengths).into();
                    let average = lexicon.average_length(collection);
                    found.coverage += 1.0;
                    found.bm25 += weight * lexicon::saturation(count.into(), length, average);
                }
            }
        }
        for (found, collection) in matches.iter_mut().zip(Collection::ALL) {
            found.share = found.bm25 / found.share;
            found.coverage /= self.terms.len() as f64;
            if !collection.is_known(text) {
                *found = FieldMatch::UNKNOWN;
            }
        }
        matches
    }

    /// 1 where the query stands in the title word for word.
    pub(super) fn phrase_in_title(&self, text: &TextView) -> f64 {
        self.in_title(text, |title| {
            title
                .windows(self.tokens.len())
                .any(|window| window == self.tokens)
        })
    }

    /// 1 where the title starts with the query.
    pub(super) fn starts_title(&self, text: &TextView) -> f64 {
        self.in_title(text, |title| title.starts_with(&self.tokens))
    }

    fn in_title(&self, text: &TextView, holds: impl Fn(&[TermId]) -> bool) -> f64 {
        match text.terms(TermList::Title) {
            Some(title) if !self.is_empty() => f64::from(u8::from(holds(title))),
            _ => f64::NAN,
        }
    }

    /// Share of the query's character trigrams that the title has: forgives typing errors.
    pub(super) fn title_trigrams(&self, text: &TextView) -> f64 {
        match text.title() {
            Some(title) => self.trigrams.share_in(title),
            None => f64::NAN,
        }
    }

    /// 1 where the query names the whole brand.
    pub(super) fn brand_match(&self, text: &TextView) -> f64 {
        match text.terms(TermList::Brand) {
            Some(brand) if !brand.is_empty() && !self.is_empty() => f64::from(u8::from(
                brand.iter().all(|token| self.tokens.contains(token)),
            )),
            _ => f64::NAN,
        }
    }

    /// Share of the query's distinct terms that name the category.
    pub(super) fn category_match(&self, text: &TextView) -> f64 {
        match text.terms(TermList::Category) {
            Some(category) if !category.is_empty() && !self.is_empty() => {
                let found = self.terms.iter().filter(|term| category.contains(&term.id));
                found.count() as f64 / self.terms.len() as f64
            }
            _ => f64::NAN,
        }
    }
}

fn number_own(own: &mut Vec<String>, word: &str) -> TermId {
    let index = own.iter().position(|other| other == word);
    TermId::of_query(index.unwrap_or_else(|| {
        own.push(word.to_owned());
        own.len() - 1
    }))
}

/// Distinct three-character windows of a query.
#[derive(Clone, Debug, PartialEq)]
struct Trigrams {
    /// Sorted.
    packed: Vec<u64>,
    /// One bit for each value of [`Self::bit`]: most windows of a text are told apart by it.
    bits: [u64; 4],
}

impl Trigrams {
    fn of(key: &str) -> Self {
        let mut packed: Vec<u64> = trigrams(key).take(MAX_QUERY_TRIGRAMS).collect();
        packed.sort_unstable();
        packed.dedup();
        let mut bits = [0; 4];
        for window in &packed {
            let (word, bit) = Self::bit(*window);
            bits[word] |= bit;
        }
        Self { packed, bits }
    }

    fn bit(window: u64) -> (usize, u64) {
        let hash = window.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
        ((hash >> 6) as usize, 1 << (hash & 63))
    }

    /// How many of these `text` has, as a share; NaN where there are none.
    fn share_in(&self, text: &str) -> f64 {
        let mut found = [0u64; MAX_QUERY_TRIGRAMS / 64];
        for window in trigrams(text) {
            let (word, bit) = Self::bit(window);
            if self.bits[word] & bit != 0
                && let Ok(index) = self.packed.binary_search(&window)
            {
                found[index / 64] |= 1 << (index % 64);
            }
        }
        let found: u32 = found.iter().map(|bits| bits.count_ones()).sum();
        f64::from(found) / self.packed.len() as f64
    }
}

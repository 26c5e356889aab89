use super::{
    matching::{QueryTerm, share},
    meaning::Meaning,
};
use crate::{
    item::ItemFields,
    lexicon::{Affinity, Collection, Label, Lexicon},
    text::{Analyzer, fold, trigrams, words},
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
    pub(super) terms: Vec<QueryTerm>,
    /// Words that the lexicon lacks, in the order of the numbers that they have here.
    own: Vec<String>,
    trigrams: Trigrams,
    pub(super) meaning: Meaning,
    /// What the terms say about the item's brand and category.
    pub(super) brand: Affinity,
    pub(super) category: Affinity,
}

impl AnalysedQuery {
    pub(super) fn new(analyzer: &Analyzer, lexicon: &Lexicon, raw: &str) -> Self {
        let key = analyzer.query_key(raw);
        let folded = fold(raw);
        let typed: Vec<&str> = words(&folded).take(MAX_QUERY_TERMS).collect();
        let mut stems: Vec<String> = typed.iter().map(|word| analyzer.token(word)).collect();
        let mut own = Vec::new();
        let mut number = |stem: &String| {
            let known = lexicon.term(stem);
            known.unwrap_or_else(|| number_own(&mut own, stem))
        };
        let tokens: Vec<TermId> = stems.iter().map(&mut number).collect();
        let mut query = Self {
            trigrams: Trigrams::of(&key),
            meaning: Meaning::new(analyzer, lexicon, &typed, &tokens),
            brand: Affinity::default(),
            category: Affinity::default(),
            terms: Vec::new(),
            key,
            tokens,
            own,
        };
        stems.sort_unstable();
        query.terms = stems
            .chunk_by(|a, b| a == b)
            .map(|run| query.term(lexicon, &run[0], run.len()))
            .collect();
        query.brand = query.affinity(lexicon, Label::Brand);
        query.category = query.affinity(lexicon, Label::Category);
        query
    }

    fn affinity(&self, lexicon: &Lexicon, label: Label) -> Affinity {
        let weight = |term: &QueryTerm| (term.id, term.idf[Collection::Title as usize]);
        lexicon.affinity(label, self.terms.iter().map(weight))
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

    /// Share of the query's pairs of neighbours that are neighbours in the title.
    pub(super) fn title_bigrams(&self, text: &TextView) -> f64 {
        let Some(title) = text.terms(TermList::Title) else {
            return f64::NAN;
        };
        let pairs = self.tokens.windows(2);
        let all = pairs.len();
        let found = pairs.filter(|pair| title.windows(2).any(|window| window == *pair));
        share(found.count(), all)
    }

    /// Mean inverse document frequency of the terms over all text; 0 for a query without terms.
    pub(super) fn mean_idf(&self) -> f64 {
        let sum: f64 = self.idfs().sum();
        sum / self.terms.len().max(1) as f64
    }

    /// The largest of them.
    pub(super) fn rarest_idf(&self) -> f64 {
        self.idfs().fold(0.0, f64::max)
    }

    fn idfs(&self) -> impl Iterator<Item = f64> {
        let idf = |term: &QueryTerm| term.idf[Collection::All as usize];
        self.terms.iter().map(idf)
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
        if self.packed.is_empty() {
            return f64::NAN;
        }
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

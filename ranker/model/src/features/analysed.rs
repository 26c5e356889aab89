use crate::{
    item::ItemFields,
    lexicon::{self, FieldStatistics, Lexicon},
    text::{Analyzer, trigrams},
};

/// Only the first terms of a query count: a bound on the work for one candidate.
pub const MAX_QUERY_TERMS: usize = 64;

/// An item's text, analysed once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnalysedText {
    title: Option<AnalysedTitle>,
    brand: Option<Vec<String>>,
    category: Option<Vec<String>>,
    all: TermCounts,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct AnalysedTitle {
    tokens: Vec<String>,
    counts: TermCounts,
    trigrams: Vec<u64>,
}

/// Distinct terms with their counts, sorted by term.
#[derive(Clone, Debug, Default, PartialEq)]
struct TermCounts {
    terms: Vec<(Box<str>, u32)>,
    length: u32,
}

impl TermCounts {
    fn of<'a>(tokens: impl IntoIterator<Item = &'a String>) -> Self {
        let mut tokens: Vec<&str> = tokens.into_iter().map(String::as_str).collect();
        tokens.sort_unstable();
        let length = tokens.len() as u32;
        let terms = tokens
            .chunk_by(|a, b| a == b)
            .map(|run| (run[0].into(), run.len() as u32))
            .collect();
        Self { terms, length }
    }

    fn count(&self, token: &str) -> u32 {
        let found = self.terms.binary_search_by(|(term, _)| (**term).cmp(token));
        found.map_or(0, |index| self.terms[index].1)
    }
}

impl AnalysedText {
    /// Analyses title, description, brand and category.
    pub fn new(analyzer: &Analyzer, fields: &ItemFields) -> Self {
        let tokens = |text: &Option<String>| text.as_deref().map(|text| analyzer.tokens(text));
        let (title, description) = (tokens(&fields.title), tokens(&fields.description));
        let (brand, category) = (tokens(&fields.brand), tokens(&fields.category));
        let all = TermCounts::of(
            [&title, &description, &brand, &category]
                .into_iter()
                .flatten()
                .flatten(),
        );
        let title = title.map(|tokens| AnalysedTitle {
            counts: TermCounts::of(&tokens),
            trigrams: trigrams(&analyzer.query_key(fields.title.as_deref().unwrap_or_default())),
            tokens,
        });
        Self {
            title,
            brand,
            category,
            all,
        }
    }

    pub(crate) fn title_terms(&self) -> &[(Box<str>, u32)] {
        self.title.as_ref().map_or(&[], |title| &title.counts.terms)
    }

    pub(crate) fn all_terms(&self) -> &[(Box<str>, u32)] {
        &self.all.terms
    }

    /// Tokens of the title; `None` without a title.
    pub(super) fn title_length(&self) -> Option<usize> {
        self.title.as_ref().map(|title| title.tokens.len())
    }
}

/// A query, analysed once for all its candidates. Made by [`super::FeatureContext::query`].
#[derive(Clone, Debug, PartialEq)]
pub struct AnalysedQuery {
    key: String,
    tokens: Vec<String>,
    terms: Vec<QueryTerm>,
    trigrams: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq)]
struct QueryTerm {
    token: String,
    count: f64,
    title_idf: f64,
    all_idf: f64,
}

/// How well a query matches one field.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldMatch {
    pub bm25: f64,
    /// BM25 over the best score that any text could have for this query.
    pub share: f64,
    /// Share of the query's distinct terms that occur.
    pub coverage: f64,
}

impl FieldMatch {
    const UNKNOWN: Self = Self {
        bm25: f64::NAN,
        share: f64::NAN,
        coverage: f64::NAN,
    };
}

impl AnalysedQuery {
    pub(super) fn new(analyzer: &Analyzer, lexicon: &Lexicon, raw: &str) -> Self {
        let key = analyzer.query_key(raw);
        let mut tokens = analyzer.tokens(raw);
        tokens.truncate(MAX_QUERY_TERMS);
        let documents = lexicon.documents;
        let counts = TermCounts::of(&tokens);
        let terms = counts.terms.into_iter().map(|(token, count)| QueryTerm {
            title_idf: lexicon.title.idf(&token, documents),
            all_idf: lexicon.all.idf(&token, documents),
            count: count.into(),
            token: token.into(),
        });
        Self {
            terms: terms.collect(),
            trigrams: trigrams(&key),
            tokens,
            key,
        }
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

    pub(super) fn match_title(&self, text: &AnalysedText, lexicon: &Lexicon) -> FieldMatch {
        let Some(title) = &text.title else {
            return FieldMatch::UNKNOWN;
        };
        self.match_field(&title.counts, &lexicon.title, lexicon.documents, |term| {
            term.title_idf
        })
    }

    pub(super) fn match_all(&self, text: &AnalysedText, lexicon: &Lexicon) -> FieldMatch {
        self.match_field(&text.all, &lexicon.all, lexicon.documents, |term| {
            term.all_idf
        })
    }

    fn match_field(
        &self,
        field: &TermCounts,
        statistics: &FieldStatistics,
        documents: u64,
        idf: fn(&QueryTerm) -> f64,
    ) -> FieldMatch {
        if self.terms.is_empty() {
            return FieldMatch::UNKNOWN;
        }
        let average = statistics.average_length(documents);
        let (mut bm25, mut best, mut found) = (0.0, 0.0, 0.0);
        for term in &self.terms {
            let weight = term.count * idf(term);
            best += weight * (lexicon::BM25_K1 + 1.0);
            let count = field.count(&term.token);
            if count > 0 {
                found += 1.0;
                bm25 += weight * lexicon::saturation(count.into(), field.length.into(), average);
            }
        }
        FieldMatch {
            bm25,
            share: bm25 / best,
            coverage: found / self.terms.len() as f64,
        }
    }

    /// 1 where the query stands in the title word for word.
    pub(super) fn phrase_in_title(&self, text: &AnalysedText) -> f64 {
        self.in_title(text, |title| {
            title
                .windows(self.tokens.len())
                .any(|window| window == self.tokens)
        })
    }

    /// 1 where the title starts with the query.
    pub(super) fn starts_title(&self, text: &AnalysedText) -> f64 {
        self.in_title(text, |title| title.starts_with(&self.tokens))
    }

    fn in_title(&self, text: &AnalysedText, holds: impl Fn(&[String]) -> bool) -> f64 {
        match &text.title {
            Some(title) if !self.is_empty() => f64::from(u8::from(holds(&title.tokens))),
            _ => f64::NAN,
        }
    }

    /// Share of the query's character trigrams that the title has: forgives typing errors.
    pub(super) fn title_trigrams(&self, text: &AnalysedText) -> f64 {
        match &text.title {
            Some(title) if !self.trigrams.is_empty() => {
                let shared = self
                    .trigrams
                    .iter()
                    .filter(|gram| title.trigrams.binary_search(gram).is_ok());
                shared.count() as f64 / self.trigrams.len() as f64
            }
            _ => f64::NAN,
        }
    }

    /// 1 where the query names the whole brand.
    pub(super) fn brand_match(&self, text: &AnalysedText) -> f64 {
        match &text.brand {
            Some(brand) if !brand.is_empty() && !self.is_empty() => f64::from(u8::from(
                brand.iter().all(|token| self.tokens.contains(token)),
            )),
            _ => f64::NAN,
        }
    }

    /// Share of the query's distinct terms that name the category.
    pub(super) fn category_match(&self, text: &AnalysedText) -> f64 {
        match &text.category {
            Some(category) if !category.is_empty() && !self.is_empty() => {
                let found = self
                    .terms
                    .iter()
                    .filter(|term| category.contains(&term.token));
                found.count() as f64 / self.terms.len() as f64
            }
            _ => f64::NAN,
        }
    }
}

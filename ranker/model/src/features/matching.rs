use crate::{
    lexicon::{self, COLLECTIONS, Collection, Lexicon},
    texts::{TermId, TermList, TextView},
};

/// A distinct term of a query.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct QueryTerm {
    pub id: TermId,
    pub count: f64,
    /// By [`Collection`].
    pub idf: [f64; COLLECTIONS],
}

/// How well a query matches the documents of one collection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FieldMatch {
    pub bm25: f64,
    /// BM25 over the best score that any text could have for this query.
    pub share: f64,
    /// Share of the query's distinct terms that occur.
    pub coverage: f64,
    /// The same, each term weighing its inverse document frequency.
    pub idf_coverage: f64,
    /// Inverse document frequency of the rarest term that occurs; 0 for none.
    pub rarest_found: f64,
    /// Inverse document frequency of the rarest term that does not occur; 0 for none.
    pub rarest_missing: f64,
}

impl FieldMatch {
    pub const UNKNOWN: Self = Self {
        bm25: f64::NAN,
        share: f64::NAN,
        coverage: f64::NAN,
        idf_coverage: f64::NAN,
        rarest_found: f64::NAN,
        rarest_missing: f64::NAN,
    };

    /// By [`Collection`]; unknown for a query without terms and where a field is not there.
    pub fn all(terms: &[QueryTerm], text: &TextView, lexicon: &Lexicon) -> [Self; COLLECTIONS] {
        let mut sums = [Sums::default(); COLLECTIONS];
        let lengths = text.lengths();
        for term in terms {
            let counts = text.counts(term.id);
            for (sums, collection) in sums.iter_mut().zip(Collection::ALL) {
                let idf = term.idf[collection as usize];
                match collection.sum(&counts) {
                    0 => sums.add_missing(term, idf),
                    count => {
                        let length = collection.sum(&lengths).into();
                        let average = lexicon.average_length(collection);
                        let saturation = lexicon::saturation(count.into(), length, average);
                        sums.add_found(term, idf, saturation);
                    }
                }
            }
        }
        let finish = |collection: Collection| {
            if terms.is_empty() || !collection.is_known(text) {
                return Self::UNKNOWN;
            }
            sums[collection as usize].finish(terms.len() as f64)
        };
        Collection::ALL.map(finish)
    }
}

#[derive(Clone, Copy, Default)]
struct Sums {
    found: FieldMatch,
    best: f64,
    idf: f64,
}

impl Sums {
    fn add_found(&mut self, term: &QueryTerm, idf: f64, saturation: f64) {
        self.add(term, idf);
        self.found.bm25 += term.count * idf * saturation;
        self.found.coverage += 1.0;
        self.found.idf_coverage += idf;
        self.found.rarest_found = self.found.rarest_found.max(idf);
    }

    fn add_missing(&mut self, term: &QueryTerm, idf: f64) {
        self.add(term, idf);
        self.found.rarest_missing = self.found.rarest_missing.max(idf);
    }

    fn add(&mut self, term: &QueryTerm, idf: f64) {
        self.best += term.count * idf * (lexicon::BM25_K1 + 1.0);
        self.idf += idf;
    }

    fn finish(self, terms: f64) -> FieldMatch {
        FieldMatch {
            share: self.found.bm25 / self.best,
            coverage: self.found.coverage / terms,
            idf_coverage: self.found.idf_coverage / self.idf,
            ..self.found
        }
    }
}

/// Where in the title the query's terms stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct TitleMatch {
    /// Tokens before the first that the query has; NaN where it has none.
    pub first: f64,
    /// Share of the query's distinct terms that the title's head has.
    pub head_coverage: f64,
    /// Share of the head's tokens that the query has.
    pub head_used: f64,
    /// Share of the title's tokens that the query has.
    pub used: f64,
}

impl TitleMatch {
    pub const UNKNOWN: Self = Self {
        first: f64::NAN,
        head_coverage: f64::NAN,
        head_used: f64::NAN,
        used: f64::NAN,
    };

    pub fn new(terms: &[QueryTerm], text: &TextView) -> Self {
        let lists = (text.terms(TermList::Title), text.terms(TermList::TitleHead));
        let ((Some(title), Some(head)), false) = (lists, terms.is_empty()) else {
            return Self::UNKNOWN;
        };
        let asked = |token: &TermId| terms.iter().any(|term| term.id == *token);
        let in_head = terms.iter().filter(|term| head.contains(&term.id)).count();
        let first = title.iter().position(asked);
        let count = |tokens: &[TermId]| tokens.iter().filter(|token| asked(token)).count();
        Self {
            first: first.map_or(f64::NAN, |place| place as f64),
            head_coverage: share(in_head, terms.len()),
            head_used: share(count(head), head.len()),
            used: share(count(title), title.len()),
        }
    }
}

/// NaN for a share of nothing.
pub(super) fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

//! Collection statistics for BM25, over titles alone and over all text of an item.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::features::AnalysedText;

/// Term-frequency saturation.
pub const BM25_K1: f64 = 1.2;
/// Weight of the document's length.
pub const BM25_B: f64 = 0.75;

/// Statistics of the catalogue; integers only, so that they add and are stored exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lexicon {
    /// Items that were counted.
    pub documents: u64,
    /// Over titles.
    pub title: FieldStatistics,
    /// Over title, description, brand and category together.
    pub all: FieldStatistics,
}

impl Lexicon {
    /// Counts one item.
    pub fn add(&mut self, text: &AnalysedText) {
        self.documents += 1;
        self.title.add(text.title_terms());
        self.all.add(text.all_terms());
    }

    /// Statistics over `texts`.
    pub fn build<'a>(texts: impl IntoIterator<Item = &'a AnalysedText>) -> Self {
        let mut lexicon = Self::default();
        for text in texts {
            lexicon.add(text);
        }
        lexicon
    }
}

/// Statistics of one field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FieldStatistics {
    /// Tokens in all documents.
    pub tokens: u64,
    /// Documents that contain a token.
    pub document_frequency: BTreeMap<String, u32>,
}

impl FieldStatistics {
    fn add(&mut self, terms: &[(Box<str>, u32)]) {
        for (token, count) in terms {
            self.tokens += u64::from(*count);
            match self.document_frequency.get_mut(&**token) {
                Some(documents) => *documents += 1,
                None => {
                    self.document_frequency.insert(token.to_string(), 1);
                }
            }
        }
    }

    /// Inverse document frequency, never negative: ln(1 + (N − df + ½) / (df + ½)).
    pub(crate) fn idf(&self, token: &str, documents: u64) -> f64 {
        let containing = self.document_frequency.get(token).copied().unwrap_or(0);
        let containing = f64::from(containing).min(documents as f64);
        (1.0 + (documents as f64 - containing + 0.5) / (containing + 0.5)).ln()
    }

    /// Tokens of the average document; 0 for an empty collection.
    pub(crate) fn average_length(&self, documents: u64) -> f64 {
        if documents == 0 {
            0.0
        } else {
            self.tokens as f64 / documents as f64
        }
    }
}

/// What BM25 gives one term that occurs `count` times in a document of `length` tokens; `idf` aside.
pub(crate) fn saturation(count: f64, length: f64, average_length: f64) -> f64 {
    let relative = if average_length > 0.0 {
        length / average_length
    } else {
        1.0
    };
    count * (BM25_K1 + 1.0) / (count + BM25_K1 * (1.0 - BM25_B + BM25_B * relative))
}

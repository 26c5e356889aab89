//! The features of a row: one query, one item, one moment.
//!
//! A feature may look at the query, at the item and at what was counted before the tables ended; a
//! few, which models use only if they are told to, look at the other candidates. None looks at the
//! position or at what happened later, so a row has the same values whether it is trained on or
//! served.

mod candidate_list;
mod ecommerce;
mod matching;
mod meaning;
mod query;

use crate::{
    counters::{Counters, ItemHistory, Priors, Rates},
    item::ItemNumbers,
    lexicon::{COLLECTIONS, Collection, Lexicon},
    text::Analyzer,
    texts::TextView,
};

use ecommerce::ECOMMERCE;
use matching::{FieldMatch, TitleMatch};

pub use candidate_list::{CandidateList, MIN_CANDIDATES};
pub use query::{AnalysedQuery, MAX_QUERY_TERMS, MAX_QUERY_TRIGRAMS};

/// Version of the feature code: raised whenever a feature is added, removed, moved or computed
/// differently. Artifacts of another version are refused.
pub const FEATURES_VERSION: u32 = 2;

/// Where a feature's inputs come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The query alone.
    Query,
    /// Query and item text against the lexicon.
    Text,
    /// Fields of the request or, where it has none, of the item table.
    Item,
    /// The item's counters.
    ItemHistory,
    /// The counters of the item under this query.
    QueryItemHistory,
    /// All candidates of the list.
    CandidateList,
}

/// A column of the training matrix.
pub struct Feature {
    pub name: &'static str,
    pub unit: &'static str,
    pub source: Source,
    /// The value where the inputs are missing.
    pub default: f32,
    value: fn(&Signals) -> f64,
}

/// What features are computed from; the parts that several need are computed once.
struct Signals<'a> {
    query: &'a AnalysedQuery,
    text: TextView<'a>,
    numbers: ItemNumbers,
    time: i64,
    matches: [FieldMatch; COLLECTIONS],
    title: TitleMatch,
    item_shown: f64,
    short: Rates,
    long: Rates,
    query_item_shown: f64,
    query_item: Rates,
}

impl Signals<'_> {
    fn matched(&self, collection: Collection) -> &FieldMatch {
        &self.matches[collection as usize]
    }
}

/// The ECommerce preset, in column order.
pub fn features() -> &'static [Feature] {
    &ECOMMERCE
}

/// The names of [`features`], in column order.
pub fn feature_names() -> Vec<String> {
    ECOMMERCE
        .iter()
        .map(|feature| feature.name.to_owned())
        .collect()
}

/// The column of [`features`] with this name.
pub fn column(name: &str) -> Option<usize> {
    ECOMMERCE.iter().position(|feature| feature.name == name)
}

/// How many features are of [`Source::Text`].
pub(crate) fn text_columns() -> usize {
    let of_text = |feature: &&Feature| feature.source == Source::Text;
    ECOMMERCE.iter().filter(of_text).count()
}

/// The values of those, of a whole row.
pub(crate) fn text_values(row: &[f32]) -> impl Iterator<Item = &f32> {
    let columns = ECOMMERCE.iter().zip(row);
    columns.filter_map(|(feature, value)| (feature.source == Source::Text).then_some(value))
}

/// Times shown, NaN for never.
fn shown(counters: &Counters) -> f64 {
    match counters.shown() {
        0 => f64::NAN,
        count => count as f64,
    }
}

/// What rows are computed against: one version of the tables.
#[derive(Clone, Copy)]
pub struct FeatureContext<'a> {
    pub analyzer: &'a Analyzer,
    pub lexicon: &'a Lexicon,
    pub priors: &'a Priors,
}

/// One candidate under one query.
#[derive(Clone, Copy)]
pub struct RowInput<'a> {
    pub text: TextView<'a>,
    pub numbers: ItemNumbers,
    /// `None` for an item that the tables do not know.
    pub item_history: Option<&'a ItemHistory>,
    /// The long window's counters of this item under this query.
    pub query_item: Option<&'a Counters>,
    /// Moment of the request in seconds since 1970.
    pub time: i64,
}

impl FeatureContext<'_> {
    /// Analyses a query as it was typed.
    pub fn query(&self, raw: &str) -> AnalysedQuery {
        AnalysedQuery::new(self.analyzer, self.lexicon, raw)
    }

    /// Appends one value for each of [`features`] to `out`.
    pub fn row(&self, query: &AnalysedQuery, input: &RowInput, out: &mut Vec<f32>) {
        let mut signals = self.signals(query, input);
        signals.matches = FieldMatch::all(&query.terms, &input.text, self.lexicon);
        signals.title = TitleMatch::new(&query.terms, &input.text);
        let value = |feature: &Feature| (feature.value)(&signals) as f32;
        out.extend(ECOMMERCE.iter().map(value));
    }

    /// The same with `text`, the [`text_values`] of this query and this item's text, as they were
    /// computed before.
    pub(crate) fn row_with_text(
        &self,
        query: &AnalysedQuery,
        input: &RowInput,
        text: &[f32],
        out: &mut Vec<f32>,
    ) {
        let signals = self.signals(query, input);
        let mut text = text.iter();
        let value = |feature: &Feature| match feature.source {
            Source::Text => text.next().copied().unwrap_or(f32::NAN),
            _ => (feature.value)(&signals) as f32,
        };
        out.extend(ECOMMERCE.iter().map(value));
    }

    /// All but how the query matches the text.
    fn signals<'a>(&self, query: &'a AnalysedQuery, input: &RowInput<'a>) -> Signals<'a> {
        let never = Counters::default();
        let history = input.item_history.copied().unwrap_or_default();
        let query_item = input.query_item.filter(|pair| pair.is_supported());
        let query_item = query_item.unwrap_or(&never);
        let long = self.priors.item_rates(&history.long);
        Signals {
            query,
            text: input.text,
            numbers: input.numbers,
            time: input.time,
            matches: [FieldMatch::UNKNOWN; COLLECTIONS],
            title: TitleMatch::UNKNOWN,
            item_shown: shown(&history.long),
            short: self.priors.item_rates(&history.short),
            long,
            query_item_shown: shown(query_item),
            query_item: self.priors.query_item_rates(query_item, &long),
        }
    }
}

#[cfg(test)]
mod tests;

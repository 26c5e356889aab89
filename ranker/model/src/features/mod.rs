//! The features of a row: one query, one item, one moment.
//!
//! A feature may look at the query, at the item and at what was counted before the tables ended.
//! None looks at the position, at the other candidates or at what happened later, so a row has the
//! same values whether it is trained on or served.

mod query;

use crate::{
    counters::{Counters, ItemHistory, Priors, Rates},
    item::{ItemNumbers, single_precision},
    lexicon::{COLLECTIONS, Collection, Lexicon},
    text::Analyzer,
    texts::{TermList, TextView},
};

pub use query::{AnalysedQuery, MAX_QUERY_TERMS, MAX_QUERY_TRIGRAMS};

/// Version of the feature code: raised whenever a feature is added, removed, moved or computed
/// differently. Artifacts of another version are refused.
pub const FEATURES_VERSION: u32 = 1;

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
    matches: [query::FieldMatch; COLLECTIONS],
    item_shown: f64,
    short: Rates,
    long: Rates,
    query_item_shown: f64,
    query_item: Rates,
}

impl Signals<'_> {
    fn matched(&self, collection: Collection) -> &query::FieldMatch {
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

const fn feature(
    name: &'static str,
    unit: &'static str,
    source: Source,
    value: fn(&Signals) -> f64,
) -> Feature {
    Feature {
        name,
        unit,
        source,
        default: f32::NAN,
        value,
    }
}

static ECOMMERCE: [Feature; 28] = {
    use Source::{Item, ItemHistory, Query, QueryItemHistory, Text};
    [
        Feature {
            default: 0.0,
            ..feature("query_terms", "terms", Query, |s| s.query.len() as f64)
        },
        feature("title_terms", "terms", Item, |s| {
            let title = s.text.terms(TermList::Title);
            title.map_or(f64::NAN, |terms| terms.len() as f64)
        }),
        feature("title_bm25", "BM25", Text, |s| {
            s.matched(Collection::Title).bm25
        }),
        feature("all_bm25", "BM25", Text, |s| {
            s.matched(Collection::All).bm25
        }),
        feature(
            "title_bm25_share",
            "share of the best possible BM25",
            Text,
            |s| s.matched(Collection::Title).share,
        ),
        feature(
            "all_bm25_share",
            "share of the best possible BM25",
            Text,
            |s| s.matched(Collection::All).share,
        ),
        feature("title_coverage", "share of query terms", Text, |s| {
            s.matched(Collection::Title).coverage
        }),
        feature("all_coverage", "share of query terms", Text, |s| {
            s.matched(Collection::All).coverage
        }),
        feature("title_exact", "0 or 1", Text, |s| {
            s.query.phrase_in_title(&s.text)
        }),
        feature("title_prefix", "0 or 1", Text, |s| {
            s.query.starts_title(&s.text)
        }),
        feature("title_trigrams", "share of query trigrams", Text, |s| {
            s.query.title_trigrams(&s.text)
        }),
        feature("brand_match", "0 or 1", Text, |s| {
            s.query.brand_match(&s.text)
        }),
        feature("category_match", "share of query terms", Text, |s| {
            s.query.category_match(&s.text)
        }),
        feature("price_log", "ln(1 + price)", Item, |s| {
            log_of(s.numbers.price)
        }),
        feature("rating", "stars", Item, |s| number(s.numbers.rating)),
        feature("rating_count_log", "ln(1 + ratings)", Item, |s| {
            log_of(s.numbers.rating_count)
        }),
        feature("in_stock", "0 or 1", Item, |s| {
            match number(s.numbers.stock) {
                pieces if pieces.is_nan() => pieces,
                pieces => f64::from(u8::from(pieces > 0.0)),
            }
        }),
        feature("age_days", "days since added", Item, |s| {
            age_days(s.numbers.added_time, s.time)
        }),
        feature(
            "item_impressions_log_30d",
            "ln(1 + impressions)",
            ItemHistory,
            |s| s.item_shown.ln_1p(),
        ),
        feature("item_ctr_7d", "clicks per impression", ItemHistory, |s| {
            s.short.ctr
        }),
        feature("item_ctr_30d", "clicks per impression", ItemHistory, |s| {
            s.long.ctr
        }),
        feature(
            "item_coec_30d",
            "clicks per expected click",
            ItemHistory,
            |s| s.long.coec,
        ),
        feature("item_cart_rate_30d", "carts per click", ItemHistory, |s| {
            s.long.cart_rate
        }),
        feature(
            "item_purchase_rate_30d",
            "purchases per click",
            ItemHistory,
            |s| s.long.purchase_rate,
        ),
        feature(
            "query_item_impressions_log_30d",
            "ln(1 + impressions)",
            QueryItemHistory,
            |s| s.query_item_shown.ln_1p(),
        ),
        feature(
            "query_item_ctr_30d",
            "clicks per impression",
            QueryItemHistory,
            |s| s.query_item.ctr,
        ),
        feature(
            "query_item_coec_30d",
            "clicks per expected click",
            QueryItemHistory,
            |s| s.query_item.coec,
        ),
        feature(
            "query_item_cart_rate_30d",
            "carts per click",
            QueryItemHistory,
            |s| s.query_item.cart_rate,
        ),
    ]
};

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

/// ln(1 + value); NaN for what is missing, negative or not finite.
fn log_of(value: Option<f64>) -> f64 {
    number(value.filter(|value| *value >= 0.0)).ln_1p()
}

/// NaN for what is missing or not finite.
fn number(value: Option<f64>) -> f64 {
    value.and_then(single_precision).unwrap_or(f64::NAN)
}

/// An item that will be added later is as old as one added now.
fn age_days(added: Option<i64>, now: i64) -> f64 {
    const SECONDS: f64 = 86_400.0;
    added.map_or(f64::NAN, |added| {
        (now.saturating_sub(added).max(0)) as f64 / SECONDS
    })
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
        signals.matches = query.matches(&input.text, self.lexicon);
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
        let query_item = input.query_item.unwrap_or(&never);
        let long = self.priors.item_rates(&history.long);
        Signals {
            query,
            text: input.text,
            numbers: input.numbers,
            time: input.time,
            matches: [query::FieldMatch::UNKNOWN; COLLECTIONS],
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

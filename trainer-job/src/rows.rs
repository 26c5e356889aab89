//! Training rows: every candidate of every list, with the features that serving would have computed
//! at that moment. The feature code is searchop-model's own, the code that serves.

use std::{collections::HashMap, ops::Range};

use jiff::Timestamp;
use searchop_model::{
    features::{AnalysedQuery, FeatureContext, RowInput, features},
    forest::{Forest, Scratch},
    item::ItemFields,
    lexicon::Lexicon,
    tables::{ItemRow, QueryItemRow, TableRows},
    text::Analyzer,
    texts::Texts,
};

use crate::{
    boosting::Groups,
    data::{Product, Window},
    error::TrainError,
    history::History,
    lists::{Candidate, List},
    propensity::{self, Propensities},
    slices::Slice,
    stage_a::DayCounts,
    traffic::Traffic,
};

/// The catalogue, analysed once.
pub struct Catalog {
    analyzer: Analyzer,
    ids: Vec<String>,
    fields: Vec<ItemFields>,
    texts: Texts,
    lexicon: Lexicon,
}

impl Catalog {
    /// Errors say which limit the text passes.
    pub fn analyse(products: &[Product]) -> Result<Self, TrainError> {
        let analyzer = Analyzer::english();
        let fields: Vec<ItemFields> = products
            .iter()
            .map(|product| product.fields.clone().single())
            .collect();
        let (texts, lexicon) = Texts::build(&analyzer, fields.iter().map(Some))
            .map_err(|detail| TrainError::data(format!("the catalogue: {detail}")))?;
        Ok(Self {
            analyzer,
            ids: products.iter().map(|product| product.id.clone()).collect(),
            fields,
            texts,
            lexicon,
        })
    }

    pub fn analyzer(&self) -> &Analyzer {
        &self.analyzer
    }
}

/// Rows of all lists, list after list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Row-major, as many as [`features`] a row; NaN is a missing value.
    pub values: Vec<f32>,
    pub candidates: Vec<Candidate>,
    pub lists: Vec<RowList>,
}

/// A list's place in [`Rows`].
#[derive(Clone, Debug, PartialEq)]
pub struct RowList {
    pub slice: Slice,
    /// Index into [`Traffic::keys`]: lists of one key are one cluster.
    pub key: u32,
    pub day: i32,
    pub rows: Range<usize>,
}

impl Rows {
    /// Values of one row.
    pub fn row(&self, index: usize) -> &[f32] {
        let columns = features().len();
        &self.values[index * columns..(index + 1) * columns]
    }

    /// What a forest makes of some rows, in their order.
    pub fn scores(&self, forest: &Forest, rows: impl Iterator<Item = usize>) -> Vec<f64> {
        let mut values = Vec::new();
        for index in rows {
            values.extend_from_slice(self.row(index));
        }
        let mut scores = vec![0.0; values.len() / features().len()];
        forest.score_rows(&values, &mut Scratch::default(), &mut scores);
        scores
    }

    pub fn of(&self, slice: Slice) -> impl Iterator<Item = &RowList> {
        self.lists.iter().filter(move |list| list.slice == slice)
    }

    /// The rows of one slice as LightGBM takes them; with propensities, what positions are worth
    /// is learnt beside the trees.
    pub fn groups(&self, slice: Slice, propensities: Option<&Propensities>) -> Groups {
        let mut groups = Groups {
            columns: features().len(),
            ..Groups::default()
        };
        for list in self.of(slice) {
            for index in list.rows.clone() {
                let candidate = &self.candidates[index];
                groups.values.extend_from_slice(self.row(index));
                groups.labels.push(f32::from(candidate.label));
                groups.weights.push(candidate.weight());
                if let Some(propensities) = propensities {
                    groups
                        .positions
                        .push(propensity::number(candidate.position));
                    let weight = propensities.weight(candidate.position, propensity::CLIP);
                    groups.click_weights.push(weight);
                }
            }
            groups
                .sizes
                .push(i32::try_from(list.rows.len()).expect("a list is far shorter than 2^31"));
        }
        if groups.weights.iter().all(|&weight| weight == 1.0) {
            groups.weights.clear();
        }
        groups
    }
}

/// Walks through the days: rows of a day see the days before it. Returns with the rows what is
/// known at the end of the window, which is what will be served.
pub fn compute<'a>(
    catalog: &Catalog,
    traffic: &Traffic,
    lists: &[List],
    (counts, window): (&'a DayCounts, Window),
) -> (Rows, History<'a>) {
    let mut history = History::new(counts, traffic.known_items);
    let mut rows = Rows::default();
    let mut queries = HashMap::new();
    let mut left = lists;
    // The day after the window is still to be answered, from all that is known then.
    for day in window.first_day..=window.last_day + 1 {
        let today = left.iter().take_while(|list| list.day <= day).count();
        let priors = history.priors();
        let context = FeatureContext {
            analyzer: &catalog.analyzer,
            lexicon: &catalog.lexicon,
            priors: &priors,
        };
        let moment = Moment {
            catalog,
            traffic,
            history: &history,
            context,
        };
        for list in &left[..today] {
            moment.add(list, &mut queries, &mut rows);
        }
        left = &left[today..];
        if day <= window.last_day {
            history.end_day(day);
        }
    }
    (rows, history)
}

/// Everything that rows of one day see.
struct Moment<'a> {
    catalog: &'a Catalog,
    traffic: &'a Traffic,
    history: &'a History<'a>,
    context: FeatureContext<'a>,
}

impl Moment<'_> {
    fn add(&self, list: &List, queries: &mut HashMap<u32, AnalysedQuery>, rows: &mut Rows) {
        let query = &self.traffic.queries[list.query as usize];
        let analysed = queries
            .entry(list.query)
            .or_insert_with(|| self.context.query(&query.text));
        let first = rows.candidates.len();
        for candidate in &list.candidates {
            let item = candidate.item as usize;
            let numbers = self.catalog.fields.get(item).map(ItemFields::numbers);
            let input = RowInput {
                text: self.catalog.texts.get(item).unwrap_or_default(),
                numbers: numbers.unwrap_or_default(),
                item_history: self.history.item(candidate.item),
                query_item: self.history.query_item(query.key, candidate.item),
                time: list.time,
            };
            self.context.row(analysed, &input, &mut rows.values);
            rows.candidates.push(*candidate);
        }
        let rows_of_list = first..rows.candidates.len();
        rows.lists.push(RowList {
            slice: list.slice,
            key: query.key,
            day: list.day,
            rows: rows_of_list,
        });
    }
}

/// What is served: the catalogue with the counters at the end of the window.
pub fn tables(
    catalog: &Catalog,
    traffic: &Traffic,
    history: &History,
    (model, end): (&str, Timestamp),
) -> TableRows {
    let item = |(index, id): (usize, &String)| ItemRow {
        id: id.clone(),
        fields: catalog.fields[index].clone(),
        history: history.item(index as u32).copied().unwrap_or_default(),
    };
    let pair = |(&(key, item), counters): (&(u32, u32), &_)| QueryItemRow {
        query: traffic.keys[key as usize].clone(),
        item: traffic.items[item as usize].clone(),
        counters: *counters,
    };
    let mut query_items: Vec<QueryItemRow> = history.query_items().map(pair).collect();
    query_items.sort_by(|a, b| (&a.query, &a.item).cmp(&(&b.query, &b.item)));
    TableRows {
        model: model.to_owned(),
        tables_time: end,
        items: catalog.ids.iter().enumerate().map(item).collect(),
        query_items,
        totals: *history.totals(),
    }
}

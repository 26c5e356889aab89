//! Training rows: every candidate of every list, with the features that serving would have computed
//! at that moment. The feature code is searchop-model's own, the code that serves.

use std::{
    cmp::Reverse,
    collections::HashMap,
    ops::{Range, RangeInclusive},
};

use jiff::Timestamp;
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use searchop_model::{
    counters::{Counters, MAX_QUERY_ITEMS},
    features::{AnalysedQuery, CandidateList, FeatureContext, RowInput, features},
    forest::{Forest, Scratch},
    item::ItemFields,
    lexicon::Lexicon,
    tables::{DeclaredColumn, DeclaredItems, ItemRow, QueryItemRow, TableRows},
    text::Analyzer,
    texts::Texts,
};

use crate::{
    boosting::Groups,
    data::{Declared, Product, Window},
    encoding::Encoding,
    error::TrainError,
    history::History,
    lists::{Candidate, List},
    propensity::{self, Propensities},
    slices::Slice,
    stage_a::DayCounts,
    traffic::Traffic,
};

/// Parts that training lists are cut into.
const TRAINING_LIST_SIZES: RangeInclusive<usize> = 10..=200;

/// The catalogue, analysed once.
pub struct Catalog {
    analyzer: Analyzer,
    ids: Vec<String>,
    fields: Vec<ItemFields>,
    texts: Texts,
    lexicon: Lexicon,
    declared: Declared,
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
            declared: Declared::default(),
        })
    }

    /// The same with what the data have of declared features.
    pub fn declaring(self, declared: &Declared) -> Self {
        Self {
            declared: declared.clone(),
            ..self
        }
    }

    /// What tables hold of declared features: those of the job.
    pub fn declared_items(&self) -> DeclaredItems {
        let Declared { wanted, items } = &self.declared;
        let own = &wanted.features[..wanted.own];
        let kept: Vec<bool> = (items.columns.iter())
            .map(|column| own.contains(&column.feature))
            .collect();
        let columns = items.columns.iter().zip(&kept);
        let values = items.values.iter().zip(kept.iter().cycle());
        DeclaredItems {
            columns: columns
                .filter(|one| *one.1)
                .map(|one| one.0.clone())
                .collect(),
            values: values.filter(|one| *one.1).map(|one| *one.0).collect(),
        }
    }

    /// The declared columns of rows: those of the catalogue, then those of the log.
    pub fn declared_columns(&self, traffic: &Traffic) -> Vec<DeclaredColumn> {
        let catalog = self.declared.items.columns.iter();
        catalog.chain(&traffic.declared.columns).cloned().collect()
    }

    pub fn analyzer(&self) -> &Analyzer {
        &self.analyzer
    }

    /// Fills the features of whole lists, which [`compute`] leaves missing. A training list is cut
    /// into parts of random sizes, each looked at by itself, so that trees see lists of every length
    /// and learn what to do where these features are missing. The same seed cuts the same parts.
    pub fn fill_candidate_lists(&self, rows: &mut Rows, seed: u32) {
        let mut draw = ChaCha8Rng::seed_from_u64(seed.into());
        for list in &rows.lists {
            let mut left: Vec<usize> = list.rows.clone().collect();
            if list.slice == Slice::Train {
                left.shuffle(&mut draw);
            }
            while !left.is_empty() {
                let size = match list.slice {
                    Slice::Train => draw.random_range(TRAINING_LIST_SIZES).min(left.len()),
                    _ => left.len(),
                };
                let part: Vec<usize> = left.drain(..size).collect();
                self.fill_candidate_list(&rows.candidates, &part, &mut rows.values);
            }
        }
    }

    /// `rows` are the numbers of the rows of one list.
    fn fill_candidate_list(&self, candidates: &[Candidate], rows: &[usize], values: &mut [f32]) {
        let columns = values.len() / candidates.len().max(1);
        let mut list = CandidateList::default();
        let mut own = Vec::with_capacity(rows.len() * columns);
        for row in rows {
            let text = self.texts.get(candidates[*row].item as usize);
            list.add(&self.lexicon, &text.unwrap_or_default());
            own.extend_from_slice(&values[row * columns..(row + 1) * columns]);
        }
        list.fill(&mut own);
        for (row, filled) in rows.iter().zip(own.chunks_exact(columns)) {
            values[row * columns..(row + 1) * columns].copy_from_slice(filled);
        }
    }
}

/// Rows of all lists, list after list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Row-major, those of [`features`] and behind them those of declared columns; NaN is a missing
    /// value, a text is its place in its column's.
    pub values: Vec<f32>,
    pub candidates: Vec<Candidate>,
    pub lists: Vec<RowList>,
    /// How the model that is trained on them reads them.
    pub encoding: Encoding,
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
    /// The rows of `lists`, with every value missing.
    fn without_values(lists: &[List], traffic: &Traffic, columns: usize) -> Self {
        let mut rows = Self::default();
        for list in lists {
            let first = rows.candidates.len();
            rows.candidates.extend_from_slice(&list.candidates);
            rows.lists.push(RowList {
                slice: list.slice,
                key: traffic.queries[list.query as usize].key,
                day: list.day,
                rows: first..rows.candidates.len(),
            });
        }
        rows.values = vec![f32::NAN; rows.candidates.len() * columns];
        rows
    }

    /// Values of one row.
    pub fn row(&self, index: usize) -> &[f32] {
        let columns = self.columns();
        &self.values[index * columns..(index + 1) * columns]
    }

    /// All values of one column.
    pub fn column(&self, column: usize) -> impl Iterator<Item = f32> {
        self.values
            .iter()
            .copied()
            .skip(column)
            .step_by(self.columns().max(1))
    }

    /// Values of a row.
    fn columns(&self) -> usize {
        self.values.len() / self.candidates.len().max(1)
    }

    /// Some rows as the model reads them that is trained on them, row-major.
    pub fn encoded(&self, rows: impl Iterator<Item = usize>) -> Vec<f32> {
        let mut values = Vec::new();
        for index in rows {
            self.encoding.push(self.row(index), &mut values);
        }
        values
    }

    /// What a model makes of some rows, in their order.
    pub fn scores(
        &self,
        (forest, encoding): (&Forest, &Encoding),
        rows: impl Iterator<Item = usize>,
    ) -> Vec<f64> {
        let mut values = Vec::new();
        for index in rows {
            encoding.push(self.row(index), &mut values);
        }
        let mut scores = vec![0.0; values.len() / encoding.schema().columns()];
        forest.score_rows(&values, &mut Scratch::default(), &mut scores);
        scores
    }

    pub fn of(&self, slice: Slice) -> impl Iterator<Item = &RowList> + Clone {
        self.lists.iter().filter(move |list| list.slice == slice)
    }

    /// The rows of one slice as LightGBM takes them; with propensities, what positions are worth
    /// is learnt beside the trees.
    pub fn groups(&self, slice: Slice, propensities: Option<&Propensities>) -> Groups {
        self.groups_of(self.of(slice), propensities)
    }

    /// The same of some lists.
    pub fn groups_of<'a>(
        &self,
        lists: impl Iterator<Item = &'a RowList>,
        propensities: Option<&Propensities>,
    ) -> Groups {
        let mut groups = Groups {
            columns: self.encoding.schema().columns(),
            ..Groups::default()
        };
        for list in lists {
            for index in list.rows.clone() {
                let candidate = &self.candidates[index];
                self.encoding.push(self.row(index), &mut groups.values);
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

/// Walks through the days: a row sees the days up to the one that its list may see. Returns with the
/// rows what is known at the end of the window, which is what will be served.
pub fn compute<'a>(
    catalog: &Catalog,
    traffic: &Traffic,
    lists: &[List],
    (counts, window): (&'a DayCounts, Window),
) -> (Rows, History<'a>) {
    let mut history = History::new(counts, traffic.known_items);
    let columns = features().len() + catalog.declared_columns(traffic).len();
    let mut rows = Rows::without_values(lists, traffic, columns);
    let mut queries = HashMap::new();
    // Tables age, so lists do not see in the order of their own days.
    let mut order: Vec<usize> = (0..lists.len()).collect();
    order.sort_by_key(|list| lists[*list].seen_through);
    let mut left = &order[..];
    // The day after the window is still to be answered, from all that is known then.
    for day in window.first_day..=window.last_day + 1 {
        let seen = left.partition_point(|list| lists[*list].seen_through < day);
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
        for list in &left[..seen] {
            let own = rows.lists[*list].rows.clone();
            let values = moment.values(&lists[*list], &mut queries);
            rows.values[own.start * columns..own.end * columns].copy_from_slice(&values);
        }
        left = &left[seen..];
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
    /// The rows of one list.
    fn values(&self, list: &List, queries: &mut HashMap<u32, AnalysedQuery>) -> Vec<f32> {
        let query = &self.traffic.queries[list.query as usize];
        let analysed = queries
            .entry(list.query)
            .or_insert_with(|| self.context.query(&query.text));
        let declared = &self.catalog.declared.items;
        let (stored, logged) = (declared.columns.len(), self.traffic.declared.columns.len());
        let columns = features().len() + stored + logged;
        let mut values = Vec::with_capacity(list.candidates.len() * columns);
        for (place, candidate) in list.candidates.iter().enumerate() {
            let item = candidate.item as usize;
            let numbers = self.catalog.fields.get(item).map(ItemFields::numbers);
            let input = RowInput {
                text: self.catalog.texts.get(item).unwrap_or_default(),
                numbers: numbers.unwrap_or_default(),
                item_history: self.history.item(candidate.item),
                query_item: self.history.query_item(query.key, candidate.item),
                time: list.time,
            };
            self.context.row(analysed, &input, &mut values);
            let start = values.len();
            match declared.values.get(item * stored..(item + 1) * stored) {
                Some(known) => values.extend_from_slice(known),
                None => values.resize(start + stored, f32::NAN),
            }
            values.extend_from_slice(&list.declared[place * logged..(place + 1) * logged]);
        }
        values
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
    let pair = |(&(key, item), counters): (&(u32, u32), &Counters)| QueryItemRow {
        query: traffic.keys[key as usize].clone(),
        item: traffic.items[item as usize].clone(),
        counters: *counters,
    };
    let query_items = kept_pairs(history).into_iter().map(pair);
    TableRows {
        model: model.to_owned(),
        tables_time: end,
        items: catalog.ids.iter().enumerate().map(item).collect(),
        query_items: query_items.collect(),
        totals: *history.totals(),
    }
}

/// Counters of an item under a query key.
type Pair<'a> = (&'a (u32, u32), &'a Counters);

/// The pairs that tables keep: shown often enough, and of each query the most shown ones.
fn kept_pairs<'a>(history: &'a History) -> Vec<Pair<'a>> {
    let mut pairs: Vec<Pair> = history.query_items().collect();
    pairs.retain(|(_, counters)| counters.is_supported());
    pairs.sort_by_key(|((key, item), counters)| (*key, Reverse(counters.shown()), *item));
    let mut kept = Vec::with_capacity(pairs.len());
    for query in pairs.chunk_by(|(a, _), (b, _)| a.0 == b.0) {
        kept.extend(query.iter().take(MAX_QUERY_ITEMS));
    }
    kept
}

/// Of the impressions under queries, the share whose pair tables keep, to six decimals; 1 without any.
pub fn pair_coverage(history: &History) -> f64 {
    let shown = |(_, counters): Pair| counters.shown();
    let kept: u64 = kept_pairs(history).into_iter().map(shown).sum();
    let all: u64 = history.query_items().map(shown).sum();
    if all == 0 {
        return 1.0;
    }
    (kept as f64 / all as f64 * 1e6).round() / 1e6
}

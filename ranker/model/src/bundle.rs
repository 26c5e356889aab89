//! A model with the tables it serves from: everything that ranking a request needs.

mod golden;

use std::{cell::RefCell, path::Path};

use searchop_contract::{Digest, TablesManifest};

use crate::{
    artifact::{ArtifactError, Model, read_model},
    features::{AnalysedQuery, CandidateList, RowInput, features, text_columns, text_values},
    forest::{Contributions, ExplainError, Forest, Scratch},
    item::Candidate,
    linked::Linked,
    tables::{QueryItems, Tables},
    text_cache::{QueryCache, TextCache},
};

/// Candidates that are looked up at the same time: enough to hide how slow memory is, few enough to
/// be still in the cache when it is their turn.
const TOGETHER: usize = 128;

thread_local! {
    static WORKSPACE: RefCell<Workspace> = RefCell::default();
}

/// Memory that a thread keeps from request to request.
#[derive(Default)]
struct Workspace {
    /// Row-major.
    values: Vec<f32>,
    scores: Vec<f64>,
    defaulted: Vec<u32>,
    scratch: Scratch,
}

/// What an order follows from, in the order of the candidates.
#[derive(Clone, Copy)]
pub struct Computed<'a> {
    /// Row-major, as many a row as the model's schema has columns.
    pub values: &'a [f32],
    pub scores: &'a [f64],
    /// Of each row, the declared features whose default stood in, a bit each; empty where the model
    /// declares none.
    pub defaulted: &'a [u32],
}

impl Workspace {
    /// See [`Bundle::rank_seeing`].
    fn rank(
        &mut self,
        forest: &Forest,
        rows: &Rows,
        candidates: &[Candidate],
        see: impl FnOnce(&Computed),
    ) -> Vec<Scored> {
        let values = &mut self.values;
        values.clear();
        let seen = rows.push_all(candidates, values);
        self.defaulted.clear();
        if rows.linked.is_some() {
            let defaulted = seen.iter().map(|seen| seen.defaulted);
            self.defaulted.extend(defaulted);
        }
        let unscored = |(index, seen): (usize, Seen)| Scored {
            index,
            score: 0.0,
            known: seen.known,
            sold_out: seen.sold_out,
        };
        let mut scored: Vec<Scored> = seen.into_iter().enumerate().map(unscored).collect();
        self.scores.resize(scored.len(), 0.0);
        forest.score_rows(values, &mut self.scratch, &mut self.scores);
        see(&Computed {
            values,
            scores: &self.scores,
            defaulted: &self.defaulted,
        });
        for (scored, score) in scored.iter_mut().zip(&self.scores) {
            scored.score = *score;
        }
        scored.sort_by(|a, b| b.score.total_cmp(&a.score));
        scored
    }
}

/// A verified model and verified tables.
pub struct Bundle {
    pub model: Model,
    pub tables: Tables,
    pub tables_digest: Digest,
    pub tables_manifest: TablesManifest,
    linked: Linked,
    texts: TextCache,
}

/// A candidate's place in the answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// Index into the candidates.
    pub index: usize,
    pub score: f64,
    /// Whether the tables know the item.
    pub known: bool,
    /// Whether no piece of it is left; `false` where that is not known.
    pub sold_out: bool,
}

impl Bundle {
    /// Loads both artifacts and checks them against their digests, against each other and, row by
    /// row, against the golden sample.
    pub fn open(
        model_dir: &Path,
        model: &Digest,
        tables_dir: &Path,
        tables: &Digest,
    ) -> Result<Self, ArtifactError> {
        let model = read_model(model_dir, model)?;
        let (loaded, tables_manifest) = Tables::read(tables_dir, tables)?;
        let linked = Linked::new(&model.schema, &loaded)?;
        golden::verify((&model, &linked), &loaded, tables)?;
        Ok(Self {
            linked,
            model,
            tables: loaded,
            tables_digest: tables.clone(),
            tables_manifest,
            texts: TextCache::new(text_columns()),
        })
    }

    /// The candidates in descending order of score; equal scores keep the order of the request.
    /// `time` is the moment of the request in seconds since 1970.
    pub fn rank(&self, query: &str, time: i64, candidates: &[Candidate]) -> Vec<Scored> {
        self.rank_seeing(query, time, candidates, |_| ())
    }

    /// The same; `see` is shown what the order follows from.
    pub fn rank_seeing(
        &self,
        query: &str,
        time: i64,
        candidates: &[Candidate],
        see: impl FnOnce(&Computed),
    ) -> Vec<Scored> {
        let rows = self.request(query, time);
        let forest = &self.model.forest;
        WORKSPACE.with_borrow_mut(|workspace| workspace.rank(forest, &rows, candidates, see))
    }

    /// What moved the score of each candidate, by columns of the model, in their order. Takes some
    /// milliseconds a candidate.
    pub fn explain(
        &self,
        query: &str,
        time: i64,
        candidates: &[Candidate],
    ) -> Result<Vec<Contributions>, ExplainError> {
        let rows = self.features_of(query, time, candidates);
        let forest = &self.model.forest;
        rows.iter().map(|row| forest.explain(row)).collect()
    }

    /// The rows behind [`Self::rank`], in the order of the candidates.
    pub fn features_of(&self, query: &str, time: i64, candidates: &[Candidate]) -> Vec<Vec<f32>> {
        let columns = self.model.schema.columns();
        let mut values = Vec::with_capacity(candidates.len() * columns);
        self.request(query, time).push_all(candidates, &mut values);
        rows_of(&values, columns)
    }

    /// The first candidate for which neither request nor tables have a value of a required feature of
    /// the catalogue, with the feature's column.
    pub fn lacking(&self, candidates: &[Candidate]) -> Option<(usize, usize)> {
        self.linked.lacking(&self.tables, candidates)
    }

    /// Whether the model compares candidates with each other: then a caller that sends its list in
    /// parts gets another order than for the whole.
    pub fn looks_at_lists(&self) -> bool {
        self.model.manifest.candidate_list
    }

    /// What the rows of a request share.
    fn request(&self, query: &str, time: i64) -> Rows<'_> {
        let mut rows = Rows::new(&self.tables, &self.linked, query, time).keeping(&self.texts);
        rows.compares = self.looks_at_lists();
        rows
    }
}

/// The rows of candidates under one query, in their order; columns as in [`features`]. Those of the
/// whole list are missing.
pub fn features_of(
    tables: &Tables,
    query: &str,
    time: i64,
    candidates: &[Candidate],
) -> Vec<Vec<f32>> {
    declared_features_of((tables, &Linked::default()), query, time, candidates)
}

/// The same with the features that a model declares.
pub fn declared_features_of(
    (tables, linked): (&Tables, &Linked),
    query: &str,
    time: i64,
    candidates: &[Candidate],
) -> Vec<Vec<f32>> {
    let columns = features().len() + linked.columns();
    let mut values = Vec::with_capacity(candidates.len() * columns);
    Rows::new(tables, linked, query, time).push_all(candidates, &mut values);
    rows_of(&values, columns)
}

fn rows_of(values: &[f32], columns: usize) -> Vec<Vec<f32>> {
    let rows = values.chunks_exact(columns);
    rows.map(<[f32]>::to_vec).collect()
}

/// What the rows of one request share.
struct Rows<'a> {
    tables: &'a Tables,
    /// Absent where the model declares nothing.
    linked: Option<&'a Linked>,
    query: AnalysedQuery,
    query_items: Option<QueryItems<'a>>,
    time: i64,
    kept: Option<QueryCache<'a>>,
    /// Whether candidates are compared with each other.
    compares: bool,
}

/// What a row does not say about its candidate.
struct Seen {
    known: bool,
    sold_out: bool,
    /// See [`Computed::defaulted`].
    defaulted: u32,
}

impl<'a> Rows<'a> {
    fn new(tables: &'a Tables, linked: &'a Linked, query: &str, time: i64) -> Self {
        let query = tables.context().query(query);
        Self {
            tables,
            linked: Some(linked).filter(|linked| linked.columns() > 0),
            query_items: tables.query(query.key()),
            query,
            time,
            kept: None,
            compares: false,
        }
    }

    /// The same with what `cache` has of the query, and what it will have.
    fn keeping(mut self, cache: &'a TextCache) -> Self {
        self.kept = Some(cache.query(self.query.key()));
        self
    }

    /// Appends the rows of a whole request.
    fn push_all(&self, candidates: &[Candidate], values: &mut Vec<f32>) -> Vec<Seen> {
        let start = values.len();
        let mut list = self.compares.then(CandidateList::default);
        let mut seen = Vec::with_capacity(candidates.len());
        for part in candidates.chunks(TOGETHER) {
            let ids = part.iter().map(|candidate| candidate.id);
            let places = self.tables.find_all(ids);
            let found = part.iter().zip(places);
            seen.extend(found.map(|found| self.push(found, values, list.as_mut())));
        }
        if let Some(list) = list {
            list.fill(&mut values[start..]);
        }
        seen
    }

    /// Appends the row of a candidate that is in this place of the tables, and adds it to the list.
    fn push(
        &self,
        (candidate, place): (&Candidate, Option<usize>),
        row: &mut Vec<f32>,
        list: Option<&mut CandidateList>,
    ) -> Seen {
        let tables = self.tables;
        let item = place.and_then(|row| tables.get(row));
        let table_text = item.map(|item| item.text()).unwrap_or_default();
        let own = candidate.fields.has_text().then(|| {
            let tools = (tables.analyzer(), tables.lexicon());
            self.query.analyse(tools, candidate.fields, &table_text)
        });
        let text = match &own {
            Some(own) => own.view().or(table_text),
            None => table_text,
        };
        if let Some(list) = list {
            list.add(tables.lexicon(), &text);
        }
        let mut numbers = candidate.fields.numbers();
        if let Some(item) = item {
            numbers = numbers.or(&item.numbers());
        }
        let history = item.map(|item| item.history());
        let query_item = place.and_then(|row| self.query_items?.get(row));
        let input = RowInput {
            text,
            numbers,
            item_history: history.as_ref(),
            query_item: query_item.as_ref(),
            time: self.time,
        };
        let start = row.len();
        match (self.kept, place) {
            (Some(kept), Some(place)) if own.is_none() => {
                self.push_kept((kept, place), &input, row)
            }
            _ => tables.context().row(&self.query, &input, row),
        }
        let defaulted = self
            .linked
            .map_or(0, |linked| linked.push(tables, (candidate, place), row));
        for (column, value) in candidate.values {
            row[start + column] = *value;
        }
        Seen {
            defaulted,
            known: item.is_some(),
            sold_out: numbers.stock.is_some_and(|pieces| pieces <= 0.0),
        }
    }

    /// Appends the row of an item whose text is the table's own.
    fn push_kept(&self, (kept, item): (QueryCache, usize), input: &RowInput, row: &mut Vec<f32>) {
        let context = self.tables.context();
        let found = kept.get(item, |text| {
            context.row_with_text(&self.query, input, text, row);
        });
        if found.is_none() {
            let start = row.len();
            context.row(&self.query, input, row);
            kept.keep(item, text_values(&row[start..]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        features::Source,
        item::ItemFields,
        tables::{ItemRow, TableRows},
    };

    fn tables() -> Tables {
        let item = |(id, title): (&str, &str)| ItemRow {
            id: id.to_owned(),
            fields: ItemFields {
                title: Some(title.to_owned()),
                ..ItemFields::default()
            },
            ..ItemRow::default()
        };
        let items = [
            ("a", "red running shoe"),
            ("b", "kettle"),
            ("c", "Shoe rack"),
        ];
        Tables::build(TableRows {
            model: "m".to_owned(),
            tables_time: jiff::Timestamp::UNIX_EPOCH,
            items: items.map(item).into(),
            query_items: Vec::new(),
            totals: Default::default(),
        })
        .unwrap()
    }

    /// The bits of the rows of a request.
    fn bits(rows: &Rows, candidates: &[Candidate]) -> Vec<u32> {
        let mut values = Vec::new();
        for candidate in candidates {
            let place = rows.tables.find(candidate.id);
            rows.push((candidate, place), &mut values, None);
        }
        values.into_iter().map(f32::to_bits).collect()
    }

    #[test]
    fn rows_from_the_cache_are_the_computed_ones_and_text_of_the_request_is_never_kept() {
        let (tables, cache) = (tables(), TextCache::new(text_columns()));
        let linked = Linked::default();
        let fields = ItemFields {
            title: Some("blue shoe".to_owned()),
            price: Some(3.0),
            ..ItemFields::default()
        };
        let own_text = Candidate {
            id: "a",
            fields: &fields,
            ..Candidate::default()
        };
        let candidate = |id| Candidate {
            id,
            ..Candidate::default()
        };
        let candidates = [
            own_text,
            candidate("a"),
            candidate("b"),
            candidate("c"),
            candidate("gone"),
            own_text,
        ];
        for query in ["running shoe", "Shoe", "", "shoe"] {
            let computed = bits(&Rows::new(&tables, &linked, query, 9), &candidates);
            for _ in 0..3 {
                let rows = Rows::new(&tables, &linked, query, 9).keeping(&cache);
                assert_eq!(bits(&rows, &candidates), computed, "{query:?}");
            }
        }
        let mut together = Vec::new();
        let rows = Rows::new(&tables, &linked, "shoe", 9);
        rows.push_all(&candidates, &mut together);
        let together: Vec<u32> = together.into_iter().map(f32::to_bits).collect();
        assert_eq!(together, bits(&rows, &candidates));
        let query = cache.query("shoe");
        let place = tables.find("b").unwrap();
        assert!(query.get(place, |_| ()).is_some(), "it was kept");
        query.keep(place, &vec![77.0; text_columns()]);
        let rows = Rows::new(&tables, &linked, "shoe", 9).keeping(&cache);
        for (feature, bits) in features().iter().zip(bits(&rows, &[candidate("b")])) {
            assert_eq!(f32::from_bits(bits) == 77.0, feature.source == Source::Text);
        }
    }
}

use std::collections::HashMap;

use jiff::Timestamp;
use searchop_contract::names;

use super::{
    DeclaredItems, Tables,
    declared::DeclaredTable,
    items::ItemTable,
    keyed::KeyOrder,
    query_items::{Pair, QueryItemTable},
};
use crate::{
    artifact::ArtifactError,
    counters::{Counters, ItemHistory, Priors, Totals},
    item::ItemFields,
    text::Analyzer,
    texts::Texts,
};

/// An item of the catalogue.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ItemRow {
    pub id: String,
    pub fields: ItemFields,
    /// All zero for an item that was never shown.
    pub history: ItemHistory,
}

/// An item that was shown under a query; the catalogue may lack it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryItemRow {
    /// As [`Analyzer::query_key`] made it.
    pub query: String,
    pub item: String,
    /// Over the long window.
    pub counters: Counters,
}

/// What tables are built from.
#[derive(Clone, Debug)]
pub struct TableRows {
    /// Name of the RankingModel.
    pub model: String,
    /// End of the newest day that was counted.
    pub tables_time: Timestamp,
    pub items: Vec<ItemRow>,
    pub query_items: Vec<QueryItemRow>,
    pub totals: Totals,
}

impl Tables {
    /// Builds tables; the lexicon is counted over the items. Errors name the row that is there
    /// twice, has no id, or whose query is not a key.
    pub fn build(rows: TableRows) -> Result<Self, ArtifactError> {
        Self::build_with(rows, &DeclaredItems::default())
    }

    /// The same with the columns that declared features are read from.
    pub fn build_with(rows: TableRows, declared: &DeclaredItems) -> Result<Self, ArtifactError> {
        let analyzer = Analyzer::english();
        let ids = Ids::of(&rows)?;
        let item = |index: &usize| rows.items.get(*index);
        let listed: Vec<_> = (0..ids.keys.len())
            .map(|index| item(&index).map(|row| (&row.fields, &row.history)))
            .collect();
        let fields = ids.order.rows.iter().map(item);
        let (texts, lexicon) = Texts::build(&analyzer, fields.map(|row| Some(&row?.fields)))
            .map_err(|detail| ArtifactError::malformed(names::TEXTS_FILE, detail))?;
        Ok(Self {
            model: rows.model.clone(),
            tables_time: rows.tables_time,
            items: ItemTable::build(&ids.order, &listed)
                .map_err(|detail| ArtifactError::malformed(names::ITEMS_FILE, detail))?,
            declared: (!declared.columns.is_empty())
                .then(|| DeclaredTable::build(&ids.order, declared))
                .transpose()
                .map_err(|detail| ArtifactError::malformed(names::DECLARED_FILE, detail))?,
            queries: query_items(&rows.query_items, &ids, &analyzer)?,
            priors: Priors::from_totals(&rows.totals),
            analyzer,
            texts,
            lexicon,
        })
    }
}

/// The ids of all items with their rows.
struct Ids<'a> {
    /// Those of the catalogue, then those that only queries have.
    keys: Vec<&'a str>,
    order: KeyOrder,
    /// By id.
    rows: HashMap<&'a str, usize>,
}

impl<'a> Ids<'a> {
    fn of(rows: &'a TableRows) -> Result<Self, ArtifactError> {
        let mut keys: Vec<&str> = rows.items.iter().map(|item| &*item.id).collect();
        if let Some(row) = keys.iter().position(|id| id.is_empty()) {
            return Err(in_row(names::ITEMS_FILE, row, "the id is empty".to_owned()));
        }
        let pairs = rows.query_items.iter().map(|pair| &*pair.item);
        let mut known: HashMap<&str, usize> = keys.iter().map(|id| (*id, 0)).collect();
        keys.extend(pairs.filter(|id| known.insert(id, 0).is_none()));
        let order = KeyOrder::of(&keys).map_err(|row| {
            let detail = format!("item {:?} is there twice", keys[row]);
            in_row(names::ITEMS_FILE, row, detail)
        })?;
        for (row, index) in order.rows.iter().enumerate() {
            known.insert(keys[*index], row);
        }
        Ok(Self {
            keys,
            order,
            rows: known,
        })
    }
}

fn query_items(
    rows: &[QueryItemRow],
    ids: &Ids,
    analyzer: &Analyzer,
) -> Result<QueryItemTable, ArtifactError> {
    let refuse = |row, detail| Err(in_row(names::QUERY_ITEMS_FILE, row, detail));
    let mut keys: Vec<&str> = Vec::new();
    let mut queries = HashMap::new();
    let mut pairs = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        let query = *queries.entry(&*row.query).or_insert_with(|| {
            keys.push(&row.query);
            keys.len() - 1
        });
        pairs.push(Pair {
            query,
            item: ids.rows[&*row.item],
            counters: &row.counters,
            index,
        });
    }
    if let Some(wrong) = keys.iter().find(|key| analyzer.query_key(key) != **key) {
        let row = rows.iter().position(|row| row.query == *wrong);
        let detail = format!("query {wrong:?} is not a normalised query key");
        return refuse(row.unwrap_or_default(), detail);
    }
    pairs.sort_by_key(|pair| (pair.query, pair.item, pair.index));
    let second = |pair: &[Pair]| {
        let same = (pair[0].query, pair[0].item) == (pair[1].query, pair[1].item);
        same.then_some(pair[1].index)
    };
    if let Some(row) = pairs.windows(2).filter_map(second).min() {
        let item = &rows[row].item;
        return refuse(
            row,
            format!("item {item:?} is there twice under this query"),
        );
    }
    let order = KeyOrder::of(&keys).expect("a map has each key once");
    QueryItemTable::build(&order, pairs)
        .map_err(|detail| ArtifactError::malformed(names::QUERY_ITEMS_FILE, detail))
}

fn in_row(file: &str, row: usize, detail: String) -> ArtifactError {
    ArtifactError::Row {
        file: file.to_owned(),
        row,
        detail,
    }
}

//! The tables that features are looked up in: items, counters of items under queries, lexicon and
//! priors, all of one moment.

pub(crate) mod file;
pub(crate) mod keyed;

use std::{collections::HashMap, path::Path};

use jiff::Timestamp;
use searchop_contract::{Digest, FileEntry, MANIFEST_FORMAT, TablesManifest, names};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    artifact::{ArtifactError, read_listed, read_manifest, write_artifact, write_file},
    counters::{Counters, ItemHistory, Priors, Totals},
    features::{FEATURES_VERSION, FeatureContext},
    item::ItemFields,
    lexicon::Lexicon,
    text::Analyzer,
    texts::{TextView, Texts},
};

/// Longest line of a table that is read.
pub const MAX_LINE_BYTES: usize = 4 << 20;

/// A line of `items.ndjson`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ItemRow {
    pub id: String,
    pub fields: ItemFields,
    /// All zero for an item that was never shown.
    #[serde(default)]
    pub history: ItemHistory,
}

/// A line of `query_items.ndjson`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
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

/// An item of the table.
#[derive(Clone, Debug)]
pub struct Item {
    pub fields: ItemFields,
    pub history: ItemHistory,
}

/// Counters of the items that were shown under one query, by item id.
pub type QueryItems = HashMap<String, Counters>;

/// Tables of one moment.
pub struct Tables {
    pub model: String,
    pub tables_time: Timestamp,
    analyzer: Analyzer,
    items: HashMap<String, usize>,
    rows: Vec<Item>,
    queries: HashMap<String, QueryItems>,
    texts: Texts,
    lexicon: Lexicon,
    priors: Priors,
}

impl Tables {
    /// Builds tables; the lexicon is counted over the items. Errors name the row that is there
    /// twice, has no id, or whose query is not a key.
    pub fn build(rows: TableRows) -> Result<Self, ArtifactError> {
        let analyzer = Analyzer::english();
        let mut items = HashMap::with_capacity(rows.items.len());
        for (index, row) in rows.items.iter().enumerate() {
            insert_item(&mut items, row, index).map_err(in_line(names::ITEMS_FILE, index + 1))?;
        }
        let mut queries = HashMap::new();
        for (index, row) in rows.query_items.into_iter().enumerate() {
            insert_query_item(&mut queries, &analyzer, row)
                .map_err(in_line(names::QUERY_ITEMS_FILE, index + 1))?;
        }
        let item = |row: ItemRow| Item {
            fields: row.fields.single(),
            history: row.history,
        };
        let rows_of_items: Vec<Item> = rows.items.into_iter().map(item).collect();
        let fields = rows_of_items.iter().map(|item| &item.fields);
        let (texts, lexicon) = Texts::build(&analyzer, fields)
            .map_err(|detail| ArtifactError::malformed(names::ITEMS_FILE, detail))?;
        Ok(Self {
            model: rows.model,
            tables_time: rows.tables_time,
            analyzer,
            items,
            rows: rows_of_items,
            queries,
            texts,
            lexicon,
            priors: Priors::from_totals(&rows.totals),
        })
    }

    /// The item with this id.
    pub fn item(&self, id: &str) -> Option<&Item> {
        self.items.get(id).map(|row| &self.rows[*row])
    }

    /// The text of the item with this id.
    pub fn text(&self, id: &str) -> Option<TextView<'_>> {
        self.texts.get(*self.items.get(id)?)
    }

    /// What was counted under this query key.
    pub fn query(&self, key: &str) -> Option<&QueryItems> {
        self.queries.get(key)
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub fn analyzer(&self) -> &Analyzer {
        &self.analyzer
    }

    pub fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    pub fn priors(&self) -> &Priors {
        &self.priors
    }

    /// What rows are computed against.
    pub fn context(&self) -> FeatureContext<'_> {
        FeatureContext {
            analyzer: &self.analyzer,
            lexicon: &self.lexicon,
            priors: &self.priors,
        }
    }

    /// Writes and seals an artifact in an existing, empty folder. The same tables give the same
    /// bytes, in whatever order they were built.
    pub fn write(&self, dir: &Path) -> Result<Digest, ArtifactError> {
        let (items, query_items) = (self.item_rows(), self.query_item_rows());
        write_file(
            dir,
            names::ITEMS_FILE,
            &to_lines(names::ITEMS_FILE, &items)?,
        )?;
        write_file(
            dir,
            names::QUERY_ITEMS_FILE,
            &to_lines(names::QUERY_ITEMS_FILE, &query_items)?,
        )?;
        write_file(
            dir,
            names::PRIORS_FILE,
            &to_lines(names::PRIORS_FILE, [self.priors.totals()])?,
        )?;
        let manifest = TablesManifest {
            format_version: MANIFEST_FORMAT,
            model: self.model.clone(),
            files: Vec::new(),
            text: self.analyzer.version(),
            features_version: FEATURES_VERSION,
            tables_time: self.tables_time,
            items: items.len() as u64,
            query_items: query_items.len() as u64,
        };
        Ok(write_artifact(dir, manifest)?.0)
    }

    fn item_rows(&self) -> Vec<ItemRow> {
        let row = |(id, row): (&String, &usize)| ItemRow {
            id: id.clone(),
            fields: self.rows[*row].fields.clone(),
            history: self.rows[*row].history,
        };
        let mut rows: Vec<ItemRow> = self.items.iter().map(row).collect();
        rows.sort_by(|a, b| a.id.cmp(&b.id));
        rows
    }

    fn query_item_rows(&self) -> Vec<QueryItemRow> {
        let rows = self.queries.iter().flat_map(|(query, items)| {
            items.iter().map(|(item, counters)| QueryItemRow {
                query: query.clone(),
                item: item.clone(),
                counters: *counters,
            })
        });
        let mut rows: Vec<QueryItemRow> = rows.collect();
        rows.sort_by(|a, b| (&a.query, &a.item).cmp(&(&b.query, &b.item)));
        rows
    }

    /// Loads tables from their folder, if they are the ones that `expected` names and fit this
    /// program.
    pub fn read(dir: &Path, expected: &Digest) -> Result<(Self, TablesManifest), ArtifactError> {
        let manifest: TablesManifest = read_manifest(dir, expected, &Analyzer::english())?;
        let files = &manifest.files;
        let totals: Totals = read_json(dir, files, names::PRIORS_FILE)?;
        let items = read_listed(dir, files, names::ITEMS_FILE)?;
        let items = lines(names::ITEMS_FILE, &items)?;
        check_count(names::ITEMS_FILE, items.len(), manifest.items)?;
        let query_items = read_listed(dir, files, names::QUERY_ITEMS_FILE)?;
        let query_items = lines(names::QUERY_ITEMS_FILE, &query_items)?;
        check_count(
            names::QUERY_ITEMS_FILE,
            query_items.len(),
            manifest.query_items,
        )?;
        let tables = Self::build(TableRows {
            model: manifest.model.clone(),
            tables_time: manifest.tables_time,
            items,
            query_items,
            totals,
        })?;
        Ok((tables, manifest))
    }
}

fn insert_item(
    items: &mut HashMap<String, usize>,
    row: &ItemRow,
    index: usize,
) -> Result<(), String> {
    if row.id.is_empty() {
        return Err("the id is empty".to_owned());
    }
    match items.insert(row.id.clone(), index) {
        Some(_) => Err(format!("item {:?} is there twice", row.id)),
        None => Ok(()),
    }
}

fn insert_query_item(
    queries: &mut HashMap<String, QueryItems>,
    analyzer: &Analyzer,
    row: QueryItemRow,
) -> Result<(), String> {
    if analyzer.query_key(&row.query) != row.query {
        return Err(format!(
            "query {:?} is not a normalised query key",
            row.query
        ));
    }
    let items = queries.entry(row.query).or_default();
    match items.insert(row.item.clone(), row.counters) {
        Some(_) => Err(format!(
            "item {:?} is there twice under this query",
            row.item
        )),
        None => Ok(()),
    }
}

fn to_lines<T: Serialize>(
    file: &str,
    rows: impl IntoIterator<Item = T>,
) -> Result<Vec<u8>, ArtifactError> {
    let mut bytes = Vec::new();
    for row in rows {
        serde_json::to_writer(&mut bytes, &row)
            .map_err(|error| ArtifactError::malformed(file, error))?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

fn read_json<T: DeserializeOwned>(
    dir: &Path,
    files: &[FileEntry],
    name: &str,
) -> Result<T, ArtifactError> {
    let bytes = read_listed(dir, files, name)?;
    serde_json::from_slice(&bytes).map_err(|error| ArtifactError::malformed(name, error))
}

/// The row of every line.
fn lines<T: DeserializeOwned>(file: &str, bytes: &[u8]) -> Result<Vec<T>, ArtifactError> {
    bytes
        .split_inclusive(|&byte| byte == b'\n')
        .enumerate()
        .map(|(index, line)| parse_line(line).map_err(in_line(file, index + 1)))
        .collect()
}

fn parse_line<T: DeserializeOwned>(line: &[u8]) -> Result<T, String> {
    let line = line
        .strip_suffix(b"\n")
        .ok_or("the last line has no end: the file is cut off")?;
    if line.len() > MAX_LINE_BYTES {
        return Err(format!(
            "has {} bytes, at most {MAX_LINE_BYTES} are read",
            line.len()
        ));
    }
    serde_json::from_slice(line).map_err(|error| error.to_string())
}

fn in_line(file: &str, line: usize) -> impl FnOnce(String) -> ArtifactError {
    move |detail| ArtifactError::Line {
        file: file.to_owned(),
        line,
        detail,
    }
}

fn check_count(file: &str, found: usize, expected: u64) -> Result<(), ArtifactError> {
    if found as u64 == expected {
        return Ok(());
    }
    Err(ArtifactError::malformed(
        file,
        format!("has {found} lines, the manifest says {expected}"),
    ))
}

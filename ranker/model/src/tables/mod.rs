//! The tables that features are looked up in: items, their text, counters of items under queries,
//! lexicon and priors, all of one moment. Each is one file of an artifact, read where it lies.

mod build;
mod bytes;
mod counters;
mod declared;
pub(crate) mod file;
mod items;
pub(crate) mod keyed;
mod query_items;

use std::{cmp::Reverse, path::Path, thread};

use jiff::Timestamp;
use searchop_contract::{Digest, FileEntry, TABLES_FORMAT, TablesManifest, names};

use crate::{
    artifact::{
        ArtifactError, open_listed, read_listed, read_manifest, write_artifact, write_file,
    },
    counters::{ItemHistory, Priors, Totals},
    features::{FEATURES_VERSION, FeatureContext},
    item::ItemNumbers,
    lexicon::Lexicon,
    text::Analyzer,
    texts::{TextView, Texts},
};
use declared::DeclaredTable;
use file::TableBytes;
use items::{ItemTable, StoredItem};
use query_items::QueryItemTable;
use zerocopy::little_endian::F32;

pub use build::{ItemRow, QueryItemRow, TableRows};
pub use declared::{DeclaredColumn, DeclaredItems};
pub use query_items::QueryItems;

/// Tables of one moment.
pub struct Tables {
    pub model: String,
    pub tables_time: Timestamp,
    analyzer: Analyzer,
    items: ItemTable,
    texts: Texts,
    queries: QueryItemTable,
    /// Absent where the spec declares no column of the catalogue.
    declared: Option<DeclaredTable>,
    lexicon: Lexicon,
    priors: Priors,
}

/// An item of the catalogue.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    stored: &'a StoredItem,
    texts: &'a Texts,
    row: usize,
}

impl<'a> Item<'a> {
    pub fn numbers(&self) -> ItemNumbers {
        self.stored.numbers()
    }

    /// All zero for an item that was never shown.
    pub fn history(&self) -> ItemHistory {
        self.stored.history()
    }

    pub fn text(&self) -> TextView<'a> {
        self.texts.get(self.row).unwrap_or_default()
    }
}

impl Tables {
    /// The row of the item with this id. Items that the catalogue lacks have one if they were shown
    /// under a query.
    pub fn find(&self, id: &str) -> Option<usize> {
        self.items.find(id)
    }

    /// The rows of many items, each as [`Self::find`] finds it, with their texts on the way from
    /// memory: of a million items few are in the processor's cache.
    pub(crate) fn find_all<'a, K>(&self, ids: K) -> Vec<Option<usize>>
    where
        K: Iterator<Item = &'a str> + Clone,
    {
        let rows = self.items.find_all(ids);
        self.texts.touch(rows.iter().copied().flatten());
        rows
    }

    /// The item in a row, if the catalogue has it.
    pub fn get(&self, row: usize) -> Option<Item<'_>> {
        let stored = self.items.get(row).filter(|item| item.is_listed())?;
        Some(Item {
            stored,
            texts: &self.texts,
            row,
        })
    }

    /// The item with this id, if the catalogue has it.
    pub fn item(&self, id: &str) -> Option<Item<'_>> {
        self.get(self.find(id)?)
    }

    /// What was counted under this query key.
    pub fn query(&self, key: &str) -> Option<QueryItems<'_>> {
        self.queries.get(key)
    }

    /// Columns of the catalogue that declared features are read from.
    pub fn declared_columns(&self) -> &[DeclaredColumn] {
        self.declared.as_ref().map_or(&[], DeclaredTable::columns)
    }

    /// Their values in a row of the item table; NaN is missing.
    pub(crate) fn declared_row(&self, row: usize) -> &[F32] {
        self.declared.as_ref().map_or(&[], |table| table.row(row))
    }

    /// Ids of the items that were shown often enough under this query key, the most shown ones first.
    pub fn shown_under(&self, key: &str) -> Vec<&str> {
        let pairs = self.query(key).into_iter();
        let mut shown: Vec<(u64, &str)> = pairs
            .flat_map(|pairs| pairs.pairs().collect::<Vec<_>>())
            .filter(|(_, counters)| counters.is_supported())
            .filter_map(|(row, counters)| Some((counters.shown(), self.items.id(row)?)))
            .collect();
        shown.sort_by_key(|(shown, id)| (Reverse(*shown), *id));
        shown.into_iter().map(|(_, id)| id).collect()
    }

    /// Items of the catalogue.
    pub fn len(&self) -> usize {
        self.items.listed()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
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

    /// Writes and seals an artifact in an existing, empty folder. The same rows give the same bytes,
    /// in whatever order they came.
    pub fn write(&self, dir: &Path) -> Result<Digest, ArtifactError> {
        let priors = serde_json::to_vec(self.priors.totals())
            .map_err(|error| ArtifactError::malformed(names::PRIORS_FILE, error))?;
        for (name, bytes) in [
            (names::ITEMS_FILE, self.items.file().bytes()),
            (names::TEXTS_FILE, self.texts.file().bytes()),
            (names::QUERY_ITEMS_FILE, self.queries.file().bytes()),
            (names::LEXICON_FILE, self.lexicon.file().bytes()),
            (names::PRIORS_FILE, &priors),
        ] {
            write_file(dir, name, bytes)?;
        }
        if let Some(declared) = &self.declared {
            write_file(dir, names::DECLARED_FILE, declared.file().bytes())?;
        }
        let manifest = TablesManifest {
            format_version: TABLES_FORMAT,
            model: self.model.clone(),
            files: Vec::new(),
            text: self.analyzer.version(),
            features_version: FEATURES_VERSION,
            tables_time: self.tables_time,
            items: self.items.listed() as u64,
            query_items: self.queries.len() as u64,
        };
        Ok(write_artifact(dir, manifest)?.0)
    }

    /// Opens tables in their folder, if they are the ones that `expected` names and fit this
    /// program. Every byte is read once, to check its hash; what is inside is checked as far as no
    /// lookup can fail later.
    pub fn read(dir: &Path, expected: &Digest) -> Result<(Self, TablesManifest), ArtifactError> {
        let analyzer = Analyzer::english();
        let manifest: TablesManifest = read_manifest(dir, expected, &analyzer)?;
        let folder = Folder {
            dir,
            files: &manifest.files,
        };
        let (items, texts, queries, lexicon) = thread::scope(|scope| {
            let texts = scope.spawn(|| folder.open(names::TEXTS_FILE, Texts::open));
            let items = folder.open(names::ITEMS_FILE, ItemTable::open);
            let queries = folder.open(names::QUERY_ITEMS_FILE, QueryItemTable::open);
            let lexicon = folder.open(names::LEXICON_FILE, Lexicon::open);
            let texts = texts.join().expect("opening a table does not panic");
            (items, texts, queries, lexicon)
        });
        let has_declared = (manifest.files.iter()).any(|file| file.name == names::DECLARED_FILE);
        let declared = has_declared
            .then(|| folder.open(names::DECLARED_FILE, DeclaredTable::open))
            .transpose()?;
        let totals: Totals =
            serde_json::from_slice(&read_listed(dir, &manifest.files, names::PRIORS_FILE)?)
                .map_err(|error| ArtifactError::malformed(names::PRIORS_FILE, error))?;
        let tables = Self {
            model: manifest.model.clone(),
            tables_time: manifest.tables_time,
            analyzer,
            items: items?,
            texts: texts?,
            queries: queries?,
            declared,
            lexicon: lexicon?,
            priors: Priors::from_totals(&totals),
        };
        tables.check_fit(&manifest)?;
        Ok((tables, manifest))
    }

    /// Checks that the tables are of each other and of the manifest.
    fn check_fit(&self, manifest: &TablesManifest) -> Result<(), ArtifactError> {
        let rows = self.items.rows();
        let beyond = self.queries.items().filter(|row| *row >= rows).count();
        let declared = self.declared.as_ref().map_or(rows, DeclaredTable::rows);
        let counts = [
            (
                names::ITEMS_FILE,
                "items",
                self.items.listed(),
                manifest.items,
            ),
            (names::TEXTS_FILE, "rows", self.texts.len(), rows as u64),
            (names::DECLARED_FILE, "rows", declared, rows as u64),
            (
                names::QUERY_ITEMS_FILE,
                "pairs",
                self.queries.len(),
                manifest.query_items,
            ),
            (names::QUERY_ITEMS_FILE, "pairs of no item", beyond, 0),
        ];
        for (file, what, found, expected) in counts {
            if found as u64 != expected {
                let detail = format!("has {found} {what}, expected {expected}");
                return Err(ArtifactError::malformed(file, detail));
            }
        }
        Ok(())
    }
}

/// An artifact's folder with the files that its manifest lists.
struct Folder<'a> {
    dir: &'a Path,
    files: &'a [FileEntry],
}

impl Folder<'_> {
    fn open<T>(
        &self,
        name: &str,
        open: fn(TableBytes) -> Result<T, String>,
    ) -> Result<T, ArtifactError> {
        open(open_listed(self.dir, self.files, name)?)
            .map_err(|detail| ArtifactError::malformed(name, detail))
    }
}

#[cfg(test)]
mod tests;

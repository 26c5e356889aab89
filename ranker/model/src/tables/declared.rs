//! Columns of the catalogue that declared features are read from.

use std::collections::BTreeSet;

use searchop_contract::{DeclaredFeature, FeatureType};
use serde::{Deserialize, Serialize};
use zerocopy::{IntoBytes as _, little_endian::F32};

use super::{
    file::{Section, TableBytes, TableFile, to_file},
    keyed::KeyOrder,
};

const KIND: [u8; 4] = *b"decl";
const SECTIONS: usize = 2;

/// A column and what its values are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeclaredColumn {
    pub feature: DeclaredFeature,
    /// Of a category: all texts of the catalogue, each once; a value is the place of one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
}

/// The columns of the catalogue's items.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeclaredItems {
    pub columns: Vec<DeclaredColumn>,
    /// Row-major, in the order of the items; NaN is missing.
    pub values: Vec<f32>,
}

pub(super) struct DeclaredTable {
    file: TableFile,
    /// As many a row as there are columns, in the order of the item table.
    values: Section<F32>,
    columns: Vec<DeclaredColumn>,
}

impl DeclaredTable {
    /// Items without a place in `declared`, which the catalogue lacks, have no value.
    pub(super) fn build(order: &KeyOrder, declared: &DeclaredItems) -> Result<Self, String> {
        let width = declared.columns.len();
        let missing = vec![f32::NAN; width];
        let row = |item: &usize| {
            let own = declared.values.get(item * width..(item + 1) * width);
            own.unwrap_or(&missing).iter().map(|value| F32::new(*value))
        };
        let values: Vec<F32> = order.rows.iter().flat_map(row).collect();
        let columns = serde_json::to_vec(&declared.columns).map_err(|error| error.to_string())?;
        Self::open(to_file(KIND, &[values.as_bytes(), &columns]).into())
    }

    pub(super) fn open(bytes: TableBytes) -> Result<Self, String> {
        let file = TableFile::open(bytes, KIND, SECTIONS)?;
        let values: Section<F32> = file.section(0)?;
        let text: Section<u8> = file.section(1)?;
        let columns: Vec<DeclaredColumn> = serde_json::from_slice(file.records(&text))
            .map_err(|error| format!("its columns are not readable: {error}"))?;
        if columns.is_empty() || !file.records(&values).len().is_multiple_of(columns.len()) {
            let (values, columns) = (file.records(&values).len(), columns.len());
            return Err(format!("has {values} values for {columns} columns"));
        }
        for DeclaredColumn {
            feature,
            categories,
        } in &columns
        {
            let distinct: BTreeSet<&String> = categories.iter().collect();
            let texts = feature.kind == FeatureType::Category || categories.is_empty();
            if distinct.len() != categories.len() || !texts {
                return Err(format!("the categories of {:?} are wrong", feature.name));
            }
        }
        Ok(Self {
            file,
            values,
            columns,
        })
    }

    pub(super) fn columns(&self) -> &[DeclaredColumn] {
        &self.columns
    }

    pub(super) fn rows(&self) -> usize {
        self.file.records(&self.values).len() / self.columns.len()
    }

    /// The values of a row of the item table.
    pub(super) fn row(&self, row: usize) -> &[F32] {
        let width = self.columns.len();
        let values = self.file.records(&self.values);
        values
            .get(row * width..(row + 1) * width)
            .unwrap_or_default()
    }

    pub(super) fn file(&self) -> &TableFile {
        &self.file
    }
}

#[cfg(test)]
mod tests {
    use searchop_contract::FeatureSource;

    use super::*;

    fn column(name: &str, kind: FeatureType, categories: &[&str]) -> DeclaredColumn {
        DeclaredColumn {
            feature: DeclaredFeature {
                name: name.to_owned(),
                kind,
                unit: "none".to_owned(),
                source: FeatureSource::Catalog,
                field: None,
                default: None,
                required: false,
            },
            categories: categories.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    fn table(categories: &[&str]) -> Result<DeclaredTable, String> {
        let declared = DeclaredItems {
            columns: vec![
                column("margin", FeatureType::Number, &[]),
                column("season", FeatureType::Category, categories),
            ],
            values: vec![0.25, 1.0, f32::NAN, 0.0],
        };
        let order = KeyOrder::of(&["a", "b", "only of queries"]).unwrap();
        DeclaredTable::build(&order, &declared)
    }

    #[test]
    fn each_row_has_its_values_and_what_the_catalogue_lacks_has_none() {
        let table = table(&["summer", "winter"]).unwrap();
        let order = KeyOrder::of(&["a", "b", "only of queries"]).unwrap();
        let row = |key: usize| {
            let row = order.rows.iter().position(|index| *index == key).unwrap();
            let values = table.row(row).iter().map(|value| value.get());
            format!("{:?}", values.collect::<Vec<f32>>())
        };
        assert_eq!(row(0), "[0.25, 1.0]");
        assert_eq!(row(1), "[NaN, 0.0]");
        assert_eq!(row(2), "[NaN, NaN]");
        assert_eq!((table.rows(), table.row(3).len()), (3, 0));
        assert_eq!(
            self::table(&["a", "a"]).err().unwrap(),
            "the categories of \"season\" are wrong"
        );
    }

    #[test]
    fn a_damaged_table_is_refused_or_read_as_another() {
        let whole = table(&["summer", "winter"])
            .unwrap()
            .file()
            .bytes()
            .to_vec();
        for end in 0..whole.len() {
            assert!(
                DeclaredTable::open(whole[..end].to_vec().into()).is_err(),
                "{end}"
            );
        }
        for bit in 0..8 * whole.len() {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(table) = DeclaredTable::open(flipped.into()) {
                let rows = table.rows();
                let values: usize = (0..=rows).map(|row| table.row(row).len()).sum();
                assert_eq!(values, rows * table.columns().len());
            }
        }
    }
}

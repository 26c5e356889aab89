//! Values of declared features, from the catalogue and from the click log. What a value is, the code
//! that serves decides.

use std::{cmp::Ordering, collections::HashMap};

use polars::prelude::Column;
use searchop_contract::{DeclaredFeature, FeatureSource, FeatureType};
use searchop_model::{
    schema::{Given, Reading, read},
    tables::{DeclaredColumn, DeclaredItems},
};

use super::{
    Cell,
    cell::Reading as CellReading,
    log::{Action, Event},
    table::{BadCell, Field},
};
use crate::error::TrainError;

/// A column with more different texts holds ids or prose, not a category.
const MAX_TEXTS: usize = 100_000;

/// The features that are read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Those of the job, then those that only published models have.
    pub features: Vec<DeclaredFeature>,
    /// How many are the job's. The data may lack the others.
    pub own: usize,
}

impl Wanted {
    /// Those of a job, and what else `published` models read.
    pub fn new<'p>(
        own: &[DeclaredFeature],
        published: impl IntoIterator<Item = &'p DeclaredFeature>,
    ) -> Self {
        let mut features = own.to_vec();
        for feature in published {
            if !features.iter().any(|known| known.reads_as(feature)) {
                features.push(feature.clone());
            }
        }
        Self {
            features,
            own: own.len(),
        }
    }

    fn of(&self, from_catalog: bool) -> impl Iterator<Item = (usize, &DeclaredFeature)> {
        let is_wanted = move |(_, feature): &(usize, &DeclaredFeature)| {
            (feature.source == FeatureSource::Catalog) == from_catalog
        };
        self.features.iter().enumerate().filter(is_wanted)
    }

    /// Columns of the catalogue.
    pub(super) fn catalog_fields(&self) -> Vec<Field<'_>> {
        let field = |(number, feature)| Field {
            name: DeclaredFeature::field(feature),
            also: &[],
            required: number < self.own,
        };
        self.of(true).map(field).collect()
    }

    /// An empty reader for columns of the catalogue.
    pub(super) fn of_catalog(&self) -> CatalogValues<'_> {
        CatalogValues {
            wanted: self.of(true).collect(),
            own: self.own,
            texts: self.of(true).map(|_| Texts::default()).collect(),
        }
    }

    /// Other names of the columns of the click log, with the features that are read from it.
    pub(super) fn of_log(&self) -> Vec<(&DeclaredFeature, [String; 4])> {
        let names = |(_, feature): (usize, &'_ DeclaredFeature)| {
            let field = feature.field();
            [
                format!("event_attributes.{field}"),
                format!("event_attributes.object.{field}"),
                format!("event_attributes_{field}"),
                format!("event_attributes_object_{field}"),
            ]
        };
        let pairs = self.of(false).map(|one| (one.1, names(one)));
        pairs.collect()
    }
}

/// What the file holds, as requests would say it.
fn given<'c>(kind: FeatureType, cell: &'c Cell<'_>) -> Result<Given<'c>, String> {
    let number = |found: CellReading<f64>| Ok(found?.map_or(Given::Missing, Given::Number));
    match (kind, cell) {
        (FeatureType::Number, cell) => number(cell.number()),
        (FeatureType::Category, Cell::Integer(number)) => Ok(Given::Integer(*number)),
        // A column of integers with gaps is often written as decimals.
        (FeatureType::Category, Cell::Decimal(value)) if value.fract() == 0.0 => {
            Ok(Given::Integer(*value as i64))
        }
        (FeatureType::Category, Cell::Decimal(value)) if !value.is_nan() => {
            Ok(Given::Number(*value))
        }
        (FeatureType::Category, cell) => Ok(cell.text()?.map_or(Given::Missing, Given::Text)),
    }
}

/// Texts of a category, numbered in the order of their first sight.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    numbers: HashMap<String, u32>,
    pub names: Vec<String>,
}

impl Texts {
    pub fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.numbers.insert(text.to_owned(), number);
        self.names.push(text.to_owned());
        number
    }

    /// A cell's value; NaN where nothing is there, the number of a text as a float.
    fn value(&mut self, kind: FeatureType, cell: &Cell<'_>) -> Result<f32, String> {
        let given = given(kind, cell)?;
        Ok(match read(kind, &given)? {
            None => f32::NAN,
            Some(Reading::Number(value)) => value,
            Some(Reading::Category(text)) => {
                let number = self.number(&text);
                if self.names.len() > MAX_TEXTS {
                    return Err(format!(
                        "more than {MAX_TEXTS} different texts: ids or prose are no Category"
                    ));
                }
                number as f32
            }
        })
    }
}

/// Columns of the catalogue while it is read.
pub struct CatalogValues<'w> {
    wanted: Vec<(usize, &'w DeclaredFeature)>,
    own: usize,
    texts: Vec<Texts>,
}

impl CatalogValues<'_> {
    /// The values of a product whose cells begin with number `first`.
    pub(super) fn row(&mut self, cells: &[Cell<'_>], first: usize) -> Result<Vec<f32>, BadCell> {
        let columns = self.wanted.iter().zip(&mut self.texts);
        let values = columns.zip(&cells[first..]).enumerate();
        values
            .map(|(place, (((number, feature), texts), cell))| {
                let bad = |complaint| BadCell {
                    field: first + place,
                    complaint,
                };
                let value = texts.value(feature.kind, cell).map_err(bad)?;
                if value.is_nan() && feature.required && *number < self.own {
                    let name = &feature.name;
                    return Err(bad(format!("no value, and {name} is required")));
                }
                Ok(value)
            })
            .collect()
    }

    /// All columns, with the texts of each in alphabetical order. `rows` are those of [`Self::row`].
    pub(super) fn finish(self, rows: &[Vec<f32>]) -> DeclaredItems {
        let mut columns = Vec::with_capacity(self.wanted.len());
        let mut orders = Vec::with_capacity(self.wanted.len());
        for ((_, feature), texts) in self.wanted.iter().zip(self.texts) {
            let mut categories = texts.names.clone();
            categories.sort_unstable();
            let place = |text: &String| categories.binary_search(text).unwrap_or_default() as f32;
            orders.push(texts.names.iter().map(place).collect::<Vec<f32>>());
            columns.push(DeclaredColumn {
                feature: (*feature).clone(),
                categories,
            });
        }
        let value = |(column, value): (usize, &f32)| match columns[column].feature.kind {
            FeatureType::Number => *value,
            FeatureType::Category => {
                let place = orders[column].get(*value as usize).copied();
                place.filter(|_| !value.is_nan()).unwrap_or(f32::NAN)
            }
        };
        let values = rows.iter().flat_map(|row| row.iter().enumerate());
        let values: Vec<f32> = values.map(value).collect();
        DeclaredItems { columns, values }
    }
}

/// Logged values: of items in lists, and of lists.
#[derive(Clone, Debug, Default)]
pub struct LoggedValues {
    features: Vec<DeclaredFeature>,
    texts: Vec<Texts>,
    /// By feature, list and item, or no item: the first value in time.
    values: HashMap<(usize, u32, Option<u32>), (i64, f32)>,
}

impl LoggedValues {
    pub(super) fn new(wanted: &Wanted) -> Self {
        let features: Vec<_> = wanted
            .of(false)
            .map(|(_, feature)| feature.clone())
            .collect();
        Self {
            texts: features.iter().map(|_| Texts::default()).collect(),
            features,
            values: HashMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.features.is_empty()
    }

    /// Takes what an event of a shown or found item says, in cells that begin with number `first`.
    pub(super) fn add(
        &mut self,
        event: &Event,
        (cells, first): (&[Cell<'_>], usize),
    ) -> Result<(), BadCell> {
        if event.action > Action::Impression {
            return Ok(());
        }
        for (place, cell) in cells[first..].iter().enumerate() {
            let feature = &self.features[place];
            let bad = |complaint| BadCell {
                field: first + place,
                complaint,
            };
            let value = self.texts[place].value(feature.kind, cell).map_err(bad)?;
            if value.is_nan() {
                continue;
            }
            let new = (event.time_ms, value);
            let key = self.key(place, event);
            match self.values.get(&key) {
                Some(known) if self.order(place, known, &new) != Ordering::Greater => {}
                _ => {
                    self.values.insert(key, new);
                }
            }
        }
        Ok(())
    }

    fn key(&self, feature: usize, event: &Event) -> (usize, u32, Option<u32>) {
        let of_product = self.features[feature].source == FeatureSource::Product;
        (feature, event.list, of_product.then_some(event.item))
    }

    /// By time, then by value, so that the order of files does not matter.
    fn order(&self, feature: usize, a: &(i64, f32), b: &(i64, f32)) -> Ordering {
        let by_value = || match self.features[feature].kind {
            FeatureType::Number => a.1.total_cmp(&b.1),
            FeatureType::Category => self.text(feature, a.1).cmp(&self.text(feature, b.1)),
        };
        a.0.cmp(&b.0).then_with(by_value)
    }

    fn text(&self, feature: usize, value: f32) -> Option<&str> {
        let names = &self.texts[feature].names;
        names.get(value as usize).map(String::as_str)
    }

    /// Refuses a log that never has a value of a feature that `wanted` requires; `log` is its name.
    pub(super) fn check(&self, wanted: &Wanted, log: &str) -> Result<(), TrainError> {
        let own = &wanted.features[..wanted.own];
        for (place, feature) in self.features.iter().enumerate() {
            let there = self.values.keys().any(|(number, ..)| *number == place);
            if feature.required && !there && own.contains(feature) {
                let (name, field, source) = (&feature.name, feature.field(), feature.source);
                return Err(TrainError::data(format!(
                    "{log}: no impression has {field:?}, from which the required feature {name:?} of \
                     {source} is read; log it, or do not require it"
                )));
            }
        }
        Ok(())
    }

    /// A column for each feature, aligned with `events`.
    pub(super) fn columns(&self, events: &[Event]) -> Vec<Column> {
        let column = |(place, feature): (usize, &DeclaredFeature)| {
            let values = events.iter().map(|event| {
                let found = self.values.get(&self.key(place, event));
                found.map(|(_, value)| *value)
            });
            let name = column_name(place);
            match feature.kind {
                FeatureType::Number => Column::new(name.into(), values.collect::<Vec<_>>()),
                FeatureType::Category => {
                    let texts = values.map(|value| self.text(place, value?));
                    Column::new(name.into(), texts.collect::<Vec<_>>())
                }
            }
        };
        self.features.iter().enumerate().map(column).collect()
    }
}

/// The column of the events that has the values of a feature that is read from the log.
pub fn column_name(place: usize) -> String {
    format!("declared_{place}")
}

/// What a dataset has of declared features.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    pub wanted: Wanted,
    /// Those of the catalogue, by product.
    pub items: DeclaredItems,
}

impl Declared {
    /// Features that are read from the log, in the order of their columns.
    pub fn logged(&self) -> impl Iterator<Item = &DeclaredFeature> {
        self.wanted.of(false).map(|(_, feature)| feature)
    }
}

use std::fmt;

use searchop_model::{features, item::ItemFields};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, Visitor},
};

use super::product::{FeatureNumber, Product};
use crate::{
    error::ApiError,
    id::Id,
    json::{Keep, List, Text},
};

/// Values of all products by column, aligned with `ids`.
pub type Columns = Vec<Column>;

/// One column and its values.
pub struct Column {
    name: &'static str,
    values: Values,
    count: usize,
}

/// What a column's values become.
#[derive(Clone, Copy)]
enum Target {
    Text(fn(&mut ItemFields) -> &mut Option<String>),
    Number(fn(&mut ItemFields) -> &mut Option<f64>),
    AddedTime,
    Feature(usize),
}

/// Values and where they go.
enum Values {
    Texts(
        Vec<Option<String>>,
        fn(&mut ItemFields) -> &mut Option<String>,
    ),
    Numbers(Vec<Option<f64>>, fn(&mut ItemFields) -> &mut Option<f64>),
    AddedTimes(Vec<Option<i64>>),
    Features(Vec<FeatureNumber>, usize),
}

/// A field of products goes before a feature of the same name, which is computed from it.
fn target(name: &str) -> Option<(&'static str, Target)> {
    use Target::{AddedTime, Feature, Number};
    Some(match name {
        "title" => ("title", Target::Text(|fields| &mut fields.title)),
        "description" => (
            "description",
            Target::Text(|fields| &mut fields.description),
        ),
        "bullet_points" | "bulletPoints" => (
            "bullet_points",
            Target::Text(|fields| &mut fields.bullet_points),
        ),
        "color" => ("color", Target::Text(|fields| &mut fields.color)),
        "brand" => ("brand", Target::Text(|fields| &mut fields.brand)),
        "category" => ("category", Target::Text(|fields| &mut fields.category)),
        "price" => ("price", Number(|fields| &mut fields.price)),
        "rating" => ("rating", Number(|fields| &mut fields.rating)),
        "rating_count" | "ratingCount" => {
            ("rating_count", Number(|fields| &mut fields.rating_count))
        }
        "stock" => ("stock", Number(|fields| &mut fields.stock)),
        "added_time" | "addedTime" => ("added_time", AddedTime),
        name => {
            let column = features::column(name)?;
            (features::features()[column].name, Feature(column))
        }
    })
}

/// Products of these ids with the values of `columns`.
pub fn products<'a>(ids: Vec<Id<'a>>, columns: Columns) -> Result<Vec<Product<'a>>, ApiError> {
    let mut products: Vec<Product> = ids.into_iter().map(Product::bare).collect();
    for column in columns {
        if column.count != products.len() {
            return Err(ApiError::invalid(
                format!("columns.{}", column.name),
                format!(
                    "has {} values, but there are {} ids",
                    column.count,
                    products.len()
                ),
            ));
        }
        fill(&mut products, column.values);
    }
    Ok(products)
}

fn fill(products: &mut [Product], values: Values) {
    let products = products.iter_mut();
    match values {
        Values::Texts(texts, field) => {
            for (product, text) in products.zip(texts) {
                *field(product.fields.get_or_insert_default()) = text;
            }
        }
        Values::Numbers(numbers, field) => {
            for (product, number) in products.zip(numbers) {
                *field(product.fields.get_or_insert_default()) = number;
            }
        }
        Values::AddedTimes(times) => {
            for (product, time) in products.zip(times) {
                product.fields.get_or_insert_default().added_time = time;
            }
        }
        Values::Features(values, column) => {
            for (product, FeatureNumber(value)) in products.zip(values) {
                product.values.push((column, value));
            }
        }
    }
}

/// Reads the object of columns, the first `keep` values of each.
#[derive(Clone, Copy)]
pub struct ReadColumns {
    pub keep: usize,
}

impl<'de> DeserializeSeed<'de> for ReadColumns {
    type Value = Option<Columns>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ReadColumns {
    type Value = Option<Columns>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of lists of values")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut columns: Columns = Vec::new();
        while let Some(name) = map.next_key::<Text>()? {
            let known = target(&name.0);
            let given =
                known.is_some_and(|(name, _)| columns.iter().any(|column| column.name == name));
            columns.push(map.next_value_seed(ReadColumn {
                known,
                given,
                keep: self.keep,
            })?);
        }
        Ok(Some(columns))
    }
}

/// Reads the values of one column; refuses names here, where the path is known.
struct ReadColumn {
    known: Option<(&'static str, Target)>,
    given: bool,
    keep: usize,
}

impl<'de> DeserializeSeed<'de> for ReadColumn {
    type Value = Column;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Column, D::Error> {
        let (name, target) = self
            .known
            .ok_or_else(|| D::Error::custom("products have no such field or feature"))?;
        if self.given {
            return Err(D::Error::custom("the column is there twice"));
        }
        let (values, count) = match target {
            Target::Text(field) => {
                let List { kept, count } = list(json, self.keep, "strings")?;
                (Values::Texts(kept, field), count)
            }
            Target::Number(field) => {
                let List { kept, count } = list(json, self.keep, "numbers")?;
                (Values::Numbers(kept, field), count)
            }
            Target::AddedTime => {
                let List { kept, count } = list(json, self.keep, "integers")?;
                (Values::AddedTimes(kept), count)
            }
            Target::Feature(column) => {
                let List { kept, count } = list(json, self.keep, "numbers")?;
                (Values::Features(kept, column), count)
            }
        };
        Ok(Column {
            name,
            values,
            count,
        })
    }
}

fn list<'de, T, D>(json: D, keep: usize, what: &'static str) -> Result<List<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let list = Keep::first(keep, what).deserialize(json)?;
    list.ok_or_else(|| {
        D::Error::custom(format!(
            "a column is a list of {what}, leave it out instead"
        ))
    })
}

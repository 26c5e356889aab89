use std::{borrow::Cow, fmt};

use searchop_contract::MAX_DECLARED_FEATURES;
use searchop_model::{features, item::ItemFields, schema::Given};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, Visitor},
};

use super::product::{FeatureNumber, Product, too_many_declared};
use crate::{
    error::ApiError,
    id::Id,
    json::{Keep, List, Text},
};

/// Values of all products by column, aligned with `ids`.
pub type Columns<'a> = Vec<Column<'a>>;

/// One column and its values.
pub struct Column<'a> {
    name: Cow<'a, str>,
    values: Values<'a>,
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
enum Values<'a> {
    Texts(
        Vec<Option<String>>,
        fn(&mut ItemFields) -> &mut Option<String>,
    ),
    Numbers(Vec<Option<f64>>, fn(&mut ItemFields) -> &mut Option<f64>),
    AddedTimes(Vec<Option<i64>>),
    Features(Vec<FeatureNumber>, usize),
    Declared(Vec<Given<'a>>, Cow<'a, str>),
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
pub fn products<'a>(ids: Vec<Id<'a>>, columns: Columns<'a>) -> Result<Vec<Product<'a>>, ApiError> {
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

fn fill<'a>(products: &mut [Product<'a>], values: Values<'a>) {
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
        Values::Declared(values, name) => {
            for (product, value) in products.zip(values) {
                product.declared.push((name.clone(), value));
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
    type Value = Option<Columns<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ReadColumns {
    type Value = Option<Columns<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of lists of values")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut columns: Columns = Vec::new();
        while let Some(Text(name)) = map.next_key()? {
            let (name, target) = match target(&name) {
                Some((name, target)) => (Cow::Borrowed(name), Some(target)),
                None => (name, None),
            };
            let given = columns.iter().any(|column| column.name == name);
            let read = ReadColumn {
                name,
                target,
                given,
                keep: self.keep,
            };
            columns.push(map.next_value_seed(read)?);
            let declared = |column: &&Column| matches!(column.values, Values::Declared(..));
            if columns.iter().filter(declared).count() > MAX_DECLARED_FEATURES {
                return Err(A::Error::custom(too_many_declared()));
            }
        }
        Ok(Some(columns))
    }
}

/// Reads the values of one column; refuses here, where the path is known, one that was there before.
struct ReadColumn<'a> {
    name: Cow<'a, str>,
    /// Nothing for a declared feature.
    target: Option<Target>,
    given: bool,
    keep: usize,
}

impl<'de> DeserializeSeed<'de> for ReadColumn<'de> {
    type Value = Column<'de>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Column<'de>, D::Error> {
        let name = self.name;
        if self.given {
            return Err(D::Error::custom("the column is there twice"));
        }
        let (values, count) = match self.target {
            None => {
                let List { kept, count } = list(json, self.keep, "values")?;
                (Values::Declared(kept, name.clone()), count)
            }
            Some(Target::Text(field)) => {
                let List { kept, count } = list(json, self.keep, "strings")?;
                (Values::Texts(kept, field), count)
            }
            Some(Target::Number(field)) => {
                let List { kept, count } = list(json, self.keep, "numbers")?;
                (Values::Numbers(kept, field), count)
            }
            Some(Target::AddedTime) => {
                let List { kept, count } = list(json, self.keep, "integers")?;
                (Values::AddedTimes(kept), count)
            }
            Some(Target::Feature(column)) => {
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

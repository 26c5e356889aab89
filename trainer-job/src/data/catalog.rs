//! Products from rows of a table.

use std::collections::HashSet;

use jiff::{Timestamp, civil, tz::TimeZone};
use searchop_model::item::ItemFields;

use super::{
    Cell, DeclaredItems, Problems, Product, SourceFile,
    declared::Wanted,
    table::{self, BadCell, Field},
};
use crate::error::TrainError;

/// Column of the product's id where the job does not name one.
pub const DEFAULT_ID_FIELD: &str = "product_id";

const FIELDS: [Field<'static>; 12] = [
    Field {
        name: DEFAULT_ID_FIELD,
        also: &[],
        required: true,
    },
    Field {
        name: "title",
        also: &[],
        required: true,
    },
    Field {
        name: "description",
        also: &[],
        required: false,
    },
    Field {
        name: "brand",
        also: &[],
        required: false,
    },
    Field {
        name: "category",
        also: &[],
        required: false,
    },
    Field {
        name: "price",
        also: &[],
        required: false,
    },
    Field {
        name: "rating",
        also: &[],
        required: false,
    },
    Field {
        name: "rating_count",
        also: &[],
        required: false,
    },
    Field {
        name: "stock",
        also: &[],
        required: false,
    },
    Field {
        name: "added_date",
        also: &[],
        required: false,
    },
    Field {
        name: "bullet_points",
        also: &[],
        required: false,
    },
    Field {
        name: "color",
        also: &[],
        required: false,
    },
];

/// All products of `files`, ordered by id, with their values of declared features.
pub fn read(
    files: &[SourceFile],
    id_field: &str,
    wanted: &Wanted,
) -> Result<(Vec<Product>, DeclaredItems), TrainError> {
    let mut fields = FIELDS.to_vec();
    fields[0].name = id_field;
    fields.extend(wanted.catalog_fields());
    let mut declared = wanted.of_catalog();
    let (mut products, mut ids, mut problems) = (Vec::new(), HashSet::new(), Problems::default());
    for file in files {
        table::read(file, &fields, &mut problems, &mut |cells| {
            let product = product(cells)?;
            if !ids.insert(product.id.clone()) {
                let complaint = format!("{} is there twice", super::cell::quoted(&product.id));
                return Err(BadCell {
                    field: 0,
                    complaint,
                });
            }
            products.push((product, declared.row(cells, FIELDS.len())?));
            Ok(())
        })?;
    }
    problems.finish()?;
    if products.is_empty() {
        return Err(super::no_rows(files));
    }
    products.sort_unstable_by(|a, b| a.0.id.cmp(&b.0.id));
    let (products, values): (Vec<Product>, Vec<Vec<f32>>) = products.into_iter().unzip();
    Ok((products, declared.finish(&values)))
}

fn product(cells: &[Cell<'_>]) -> Result<Product, BadCell> {
    let text = |field: usize| {
        let text = cells[field]
            .text()
            .map_err(|complaint| BadCell { field, complaint })?;
        Ok(text.map(|text| text.into_owned()))
    };
    let amount = |field: usize| {
        cells[field]
            .amount()
            .map_err(|complaint| BadCell { field, complaint })
    };
    let required = |field: usize| {
        text(field)?.ok_or_else(|| BadCell {
            field,
            complaint: "no value".to_owned(),
        })
    };
    let added = cells[9].date().map_err(|complaint| BadCell {
        field: 9,
        complaint,
    })?;
    Ok(Product {
        id: required(0)?,
        fields: ItemFields {
            title: Some(required(1)?),
            description: text(2)?,
            bullet_points: text(10)?,
            color: text(11)?,
            brand: text(3)?,
            category: text(4)?,
            price: amount(5)?,
            rating: amount(6)?,
            rating_count: amount(7)?,
            stock: amount(8)?,
            added_time: added.map(start_of_day),
        },
    })
}

/// Seconds since 1970 at which a UTC day begins.
fn start_of_day(date: civil::Date) -> i64 {
    TimeZone::UTC
        .to_timestamp(date.at(0, 0, 0, 0))
        .map_or(0, Timestamp::as_second)
}

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
};

use polars::prelude::{
    ArrowDataType, ArrowSchema, BooleanChunked, DataFrame, DataType, Float64Chunked, Int64Chunked,
    ParquetReader, PolarsError, PolarsResult, SerReader, Series, StringChunked, TimeUnit,
};

use super::{Field, Place, Rows};
use crate::{
    data::{Cell, DAY_MS},
    error::TrainError,
};

pub fn read(fields: &[Field<'_>], rows: &mut Rows<'_, '_>) -> Result<u64, TrainError> {
    let file = File::open(&rows.file.path).map_err(|error| rows.file.unreadable(&error))?;
    if file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
        return Err(TrainError::data(format!("{} is empty", rows.file.name)));
    }
    let mut reader = ParquetReader::new(file);
    let schema = guarded(rows, || reader.schema())?;
    let found = fields
        .iter()
        .map(|field| locate(*field, &schema, rows))
        .collect::<Result<Vec<_>, _>>()?;
    let mut wanted: Vec<String> = found
        .iter()
        .flatten()
        .map(|column| column.root().to_owned())
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    let (height, values) = guarded(rows, || {
        let table = reader
            .with_columns(Some(wanted))
            .set_rechunk(true)
            .finish()?;
        Ok((table.height(), values(&table, &found)?))
    })?;

    for row in 0..height {
        let cells: Vec<Cell<'_>> = values.iter().map(|values| values.cell(row)).collect();
        let place = Place {
            unit: "row",
            number: row as u64 + 1,
        };
        rows.accept(place, &cells, |field| match &found[field] {
            Some(column) => column.name.clone(),
            None => fields[field].name.to_owned(),
        });
    }
    Ok(height as u64)
}

/// Parquet's reader trusts what it reads and panics on some damaged files; both its errors and its
/// panics mean that the file is not sound.
fn guarded<T>(
    rows: &Rows<'_, '_>,
    read: impl FnOnce() -> PolarsResult<T>,
) -> Result<T, TrainError> {
    let damaged = || {
        TrainError::data(format!(
            "{}: the Parquet file is damaged or cut short",
            rows.file.name
        ))
    };
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            tracing::debug!(file = rows.file.name, %error, "Parquet file is not readable");
            Err(damaged())
        }
        Err(_) => Err(damaged()),
    }
}

/// Where a field is in the file: a column, or a path into structs.
struct Located {
    name: String,
    nested: bool,
}

impl Located {
    /// The column that has to be read.
    fn root(&self) -> &str {
        if self.nested {
            root(&self.name)
        } else {
            &self.name
        }
    }
}

fn root(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

fn locate(
    field: Field<'_>,
    schema: &ArrowSchema,
    rows: &Rows<'_, '_>,
) -> Result<Option<Located>, TrainError> {
    for name in field.names() {
        let column = |name: &str| schema.get(name).map(|column| &column.dtype);
        let direct = column(name);
        let nested = direct.is_none();
        let Some(dtype) = direct.or_else(|| descend(column(root(name))?, name)) else {
            continue;
        };
        let located = Located {
            name: name.to_owned(),
            nested,
        };
        // The whole root is read, so the whole root must be readable.
        let whole = column(located.root()).unwrap_or(dtype);
        if !is_read(whole) || matches!(dtype, ArrowDataType::Struct(_)) {
            return Err(TrainError::data(format!(
                "{}: column {:?} has the type {whole:?}, which is not read; write texts, numbers or times",
                rows.file.name,
                located.root()
            )));
        }
        return Ok(Some(located));
    }
    if field.required {
        let names: Vec<String> = schema.iter_names().map(ToString::to_string).collect();
        return Err(rows.missing_column(field, &names));
    }
    Ok(None)
}

fn descend<'s>(dtype: &'s ArrowDataType, path: &str) -> Option<&'s ArrowDataType> {
    let (_, rest) = path.split_once('.')?;
    let ArrowDataType::Struct(inner) = dtype else {
        return None;
    };
    let next = &inner.iter().find(|field| field.name == root(rest))?.dtype;
    if rest.contains('.') {
        descend(next, rest)
    } else {
        Some(next)
    }
}

/// Types that this build of polars reads and that cells are made of.
fn is_read(dtype: &ArrowDataType) -> bool {
    use ArrowDataType as T;
    match dtype {
        T::Null
        | T::Boolean
        | T::Int8
        | T::Int16
        | T::Int32
        | T::Int64
        | T::UInt8
        | T::UInt16
        | T::UInt32
        | T::UInt64
        | T::Float32
        | T::Float64
        | T::Decimal(..)
        | T::Timestamp(..)
        | T::Date32
        | T::Utf8
        | T::LargeUtf8
        | T::Utf8View => true,
        T::Dictionary(_, values, _) => is_read(values),
        T::Struct(fields) => fields.iter().all(|field| is_read(&field.dtype)),
        _ => false,
    }
}

/// The values of every field, each as many as the table has rows; in damaged files they may differ.
fn values(table: &DataFrame, found: &[Option<Located>]) -> PolarsResult<Vec<Values>> {
    found
        .iter()
        .map(|column| {
            let Some(column) = column else {
                return Ok(Values::Missing);
            };
            let mut series = table
                .column(column.root())?
                .as_materialized_series()
                .clone();
            for name in column.name.split('.').skip(1).filter(|_| column.nested) {
                series = series.struct_()?.field_by_name(name)?;
            }
            if series.len() != table.height() {
                return Err(PolarsError::ShapeMismatch(column.name.clone().into()));
            }
            Values::of(&series)
        })
        .collect()
}

/// One column, typed once so that rows are cheap.
enum Values {
    Missing,
    Text(StringChunked),
    Integer(Int64Chunked),
    Decimal(Float64Chunked),
    Boolean(BooleanChunked),
    Time {
        units: Int64Chunked,
        scale: Scale,
        zoned: bool,
    },
}

/// What one unit of a time column is.
#[derive(Clone, Copy)]
enum Scale {
    PartOfMs(i64),
    Days,
}

impl Values {
    fn of(series: &Series) -> PolarsResult<Self> {
        let integers = |series: &Series| series.cast(&DataType::Int64)?.i64().cloned();
        Ok(match series.dtype() {
            DataType::Null => Self::Missing,
            DataType::String => Self::Text(series.str()?.clone()),
            DataType::Boolean => Self::Boolean(series.bool()?.clone()),
            DataType::Float32 | DataType::Float64 | DataType::Decimal(..) => {
                Self::Decimal(series.cast(&DataType::Float64)?.f64()?.clone())
            }
            DataType::Date => {
                let units = integers(&series.to_physical_repr())?;
                Self::Time {
                    units,
                    scale: Scale::Days,
                    zoned: false,
                }
            }
            DataType::Datetime(unit, zone) => {
                let scale = Scale::PartOfMs(match unit {
                    TimeUnit::Nanoseconds => 1_000_000,
                    TimeUnit::Microseconds => 1_000,
                    TimeUnit::Milliseconds => 1,
                });
                Self::Time {
                    units: integers(&series.to_physical_repr())?,
                    scale,
                    zoned: zone.is_some(),
                }
            }
            dtype if dtype.is_integer() => Self::Integer(integers(series)?),
            _ => Self::Text(series.cast(&DataType::String)?.str()?.clone()),
        })
    }

    fn cell(&self, row: usize) -> Cell<'_> {
        let cell = match self {
            Self::Missing => None,
            Self::Text(values) => values
                .get(row)
                .filter(|text| !text.is_empty())
                .map(|text| Cell::Text(text.into())),
            Self::Integer(values) => values.get(row).map(Cell::Integer),
            Self::Decimal(values) => values.get(row).map(Cell::Decimal),
            Self::Boolean(values) => values.get(row).map(Cell::boolean),
            Self::Time {
                units,
                scale,
                zoned,
            } => units.get(row).map(|units| Cell::Time {
                ms: match scale {
                    Scale::PartOfMs(parts) => units.div_euclid(*parts),
                    Scale::Days => units.saturating_mul(DAY_MS),
                },
                zoned: *zoned,
            }),
        };
        cell.unwrap_or(Cell::Missing)
    }
}

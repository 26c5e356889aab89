use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
};

use polars::prelude::{
    ArrowDataType, ArrowSchema, BooleanChunked, Column, DataFrame, DataType, Float64Chunked, Int64Chunked,
    ParquetReader, PolarsResult, SerReader, Series, StringChunked, TimeUnit,
};

use super::{Field, Place, Rows};
use crate::{data::Cell, error::TrainError};

pub fn read(fields: &[Field<'_>], rows: &mut Rows<'_, '_>) -> Result<u64, TrainError> {
    let file = File::open(&rows.file.path).map_err(|error| rows.file.unreadable(&error))?;
    if file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
        return Err(TrainError::data(format!("{} is empty", rows.file.name)));
    }
    let mut reader = ParquetReader::new(file);
    let schema = guarded(rows, || reader.schema())?;
    let found = fields.iter().map(|field| locate(*field, &schema, rows)).collect::<Result<Vec<_>, _>>()?;
    let mut wanted: Vec<String> = found.iter().flatten().map(|path| root(path).to_owned()).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let table = guarded(rows, || reader.with_columns(Some(wanted)).set_rechunk(true).finish())?;
    let values = fields
        .iter()
        .zip(&found)
        .map(|(field, path)| match path {
            Some(path) => guarded(rows, || Values::of(&table, path)),
            None => Ok(Values::Missing),
        }
        .map(|values| (path.as_deref().unwrap_or(field.name), values)))
        .collect::<Result<Vec<_>, _>>()?;

    for row in 0..table.height() {
        let cells: Vec<Cell<'_>> = values.iter().map(|(_, values)| values.cell(row)).collect();
        let place = Place { unit: "row", number: row as u64 + 1 };
        rows.accept(place, &cells, |field| values[field].0.to_owned());
    }
    Ok(table.height() as u64)
}

/// Parquet's reader trusts what it reads and panics on some damaged files; both its errors and its
/// panics mean that the file is not sound.
fn guarded<T>(rows: &Rows<'_, '_>, read: impl FnOnce() -> PolarsResult<T>) -> Result<T, TrainError> {
    let damaged = || TrainError::data(format!("{}: the Parquet file is damaged or cut short", rows.file.name));
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            tracing::debug!(file = rows.file.name, %error, "Parquet file is not readable");
            Err(damaged())
        }
        Err(_) => Err(damaged()),
    }
}

fn root(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

/// The name under which a field is in the file: a column, or a path into structs.
fn locate(field: Field<'_>, schema: &ArrowSchema, rows: &Rows<'_, '_>) -> Result<Option<String>, TrainError> {
    for name in field.names() {
        let direct = schema.get(name).map(|column| &column.dtype);
        let Some(dtype) = direct.or_else(|| descend(schema.get(root(name))?.dtype(), name)) else { continue };
        // The whole root is read, so the whole root must be readable.
        let whole = schema.get(if direct.is_some() { name } else { root(name) }).map_or(dtype, |f| f.dtype());
        if !is_read(whole) || matches!(dtype, ArrowDataType::Struct(_)) {
            return Err(TrainError::data(format!(
                "{}: column {name:?} has the type {whole:?}, which is not read; write texts, numbers or times",
                rows.file.name
            )));
        }
        return Ok(Some(name.to_owned()));
    }
    if field.required {
        let names: Vec<String> = schema.iter_names().map(ToString::to_string).collect();
        return Err(rows.missing_column(field, &names));
    }
    Ok(None)
}

fn descend<'s>(dtype: &'s ArrowDataType, path: &str) -> Option<&'s ArrowDataType> {
    let (_, rest) = path.split_once('.')?;
    let ArrowDataType::Struct(inner) = dtype else { return None };
    let next = &inner.iter().find(|field| field.name == root(rest))?.dtype;
    if rest.contains('.') { descend(next, rest) } else { Some(next) }
}

fn is_read(dtype: &ArrowDataType) -> bool {
    use ArrowDataType as T;
    match dtype {
        T::Null | T::Boolean | T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt32 | T::UInt64 => true,
        T::Float32 | T::Float64 | T::Timestamp(..) | T::Date32 | T::Utf8 | T::LargeUtf8 | T::Utf8View => true,
        T::Dictionary(_, values, _) => is_read(values),
        T::Struct(fields) => fields.iter().all(|field| is_read(&field.dtype)),
        _ => false,
    }
}

/// One column, typed once so that rows are cheap.
enum Values {
    Missing,
    Text(StringChunked),
    Integer(Int64Chunked),
    Decimal(Float64Chunked),
    Boolean(BooleanChunked),
    Time { units: Int64Chunked, per_ms: i64, ms_per: i64, zoned: bool },
}

impl Values {
    fn of(table: &DataFrame, path: &str) -> PolarsResult<Self> {
        let mut series = match table.column(path) {
            Ok(column) => return Self::typed(column.as_materialized_series()),
            Err(_) => table.column(root(path)).map(Column::as_materialized_series)?.clone(),
        };
        for name in path.split('.').skip(1) {
            series = series.struct_()?.field_by_name(name)?;
        }
        Self::typed(&series)
    }

    fn typed(series: &Series) -> PolarsResult<Self> {
        let integers = |series: &Series| series.cast(&DataType::Int64).map(|cast| cast.i64().cloned());
        Ok(match series.dtype() {
            DataType::Null => Self::Missing,
            DataType::String => Self::Text(series.str()?.clone()),
            DataType::Boolean => Self::Boolean(series.bool()?.clone()),
            DataType::Float32 | DataType::Float64 => Self::Decimal(series.cast(&DataType::Float64)?.f64()?.clone()),
            DataType::Date => Self::Time {
                units: integers(&series.to_physical_repr())??,
                per_ms: 1,
                ms_per: crate::data::DAY_MS,
                zoned: false,
            },
            DataType::Datetime(unit, zone) => Self::Time {
                per_ms: match unit {
                    TimeUnit::Nanoseconds => 1_000_000,
                    TimeUnit::Microseconds => 1_000,
                    TimeUnit::Milliseconds => 1,
                },
                ms_per: 1,
                zoned: zone.is_some(),
                units: integers(&series.to_physical_repr())??,
            },
            dtype if dtype.is_integer() => Self::Integer(integers(series)??),
            _ => Self::Text(series.cast(&DataType::String)?.str()?.clone()),
        })
    }

    fn cell(&self, row: usize) -> Cell<'_> {
        let cell = match self {
            Self::Missing => None,
            Self::Text(values) => {
                values.get(row).filter(|text| !text.is_empty()).map(|text| Cell::Text(text.into()))
            }
            Self::Integer(values) => values.get(row).map(Cell::Integer),
            Self::Decimal(values) => values.get(row).map(Cell::Decimal),
            Self::Boolean(values) => {
                values.get(row).map(|value| Cell::Text(if value { "true" } else { "false" }.into()))
            }
            Self::Time { units, per_ms, ms_per, zoned } => units.get(row).map(|units| Cell::Time {
                ms: units.div_euclid(*per_ms).saturating_mul(*ms_per),
                zoned: *zoned,
            }),
        };
        cell.unwrap_or(Cell::Missing)
    }
}

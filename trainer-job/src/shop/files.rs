//! Catalogue and click log as files: the same rows give the same bytes.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use polars::prelude::{
    Column, DataFrame, DataType, Int64Chunked, IntoColumn as _, NamedFrom, NewChunkedArray as _,
    ParquetCompression, ParquetWriter, PolarsError, PolarsResult, Series, TimeUnit, TimeZone,
};
use serde::Serialize;

use crate::{
    data::{DEFAULT_ID_FIELD, EventLog, NamedEvent, Product, date},
    error::TrainError,
};

/// How tables are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum FileFormat {
    #[default]
    Parquet,
    Csv,
    Ndjson,
}

impl FileFormat {
    /// The file ending.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }
}

/// Writes `catalog.EXT` and `events.EXT` into `folder`, which is made where it is missing.
pub fn write(
    folder: &Path,
    format: FileFormat,
    products: &[Product],
    log: &EventLog,
) -> Result<(), TrainError> {
    let refused = |error: io::Error| {
        TrainError::storage_refused(format!(
            "{} cannot be written: {}",
            folder.display(),
            error.kind()
        ))
    };
    let create = |table: &str| {
        File::create(folder.join(format!("{table}.{}", format.ending()))).map(BufWriter::new)
    };
    std::fs::create_dir_all(folder).map_err(refused)?;
    let both = || -> io::Result<()> {
        let (mut catalog, mut events) = (create("catalog")?, create("events")?);
        match format {
            FileFormat::Csv => {
                write_catalog_csv(&mut catalog, products)?;
                write_events_csv(&mut events, log)?;
            }
            FileFormat::Ndjson => {
                products
                    .iter()
                    .try_for_each(|product| write_line(&mut catalog, &CatalogLine::of(product)))?;
                log.events.iter().try_for_each(|event| {
                    write_line(&mut events, &UbiEvent::of(log.named(event)))
                })?;
            }
            FileFormat::Parquet => {
                write_parquet(&mut catalog, catalog_table(products))?;
                write_parquet(&mut events, event_table(log))?;
            }
        }
        catalog.flush()?;
        events.flush()
    };
    both().map_err(refused)
}

/// A product in the catalogue's own columns.
#[derive(Serialize)]
struct CatalogLine<'a> {
    product_id: &'a str,
    title: &'a str,
    description: Option<&'a str>,
    brand: Option<&'a str>,
    category: Option<&'a str>,
    price: Option<f64>,
    rating: Option<f64>,
    rating_count: Option<i64>,
    stock: Option<i64>,
    added_date: Option<String>,
}

impl<'a> CatalogLine<'a> {
    fn of(product: &'a Product) -> Self {
        let fields = &product.fields;
        Self {
            product_id: &product.id,
            title: fields.title.as_deref().unwrap_or_default(),
            description: fields.description.as_deref(),
            brand: fields.brand.as_deref(),
            category: fields.category.as_deref(),
            price: fields.price,
            rating: fields.rating,
            rating_count: fields.rating_count.map(|count| count as i64),
            stock: fields.stock.map(|stock| stock as i64),
            added_date: added_day(product).map(date),
        }
    }
}

fn added_day(product: &Product) -> Option<i32> {
    product
        .fields
        .added_time
        .and_then(|seconds| i32::try_from(seconds.div_euclid(86_400)).ok())
}

/// An event as UBI 1.3.0 nests it.
#[derive(Serialize)]
struct UbiEvent<'a> {
    action_name: &'static str,
    query_id: &'a str,
    client_id: &'a str,
    timestamp: String,
    user_query: &'a str,
    event_attributes: Attributes<'a>,
}

#[derive(Serialize)]
struct Attributes<'a> {
    object: Object<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
}

#[derive(Serialize)]
struct Object<'a> {
    object_id: &'a str,
    object_id_field: &'static str,
}

#[derive(Serialize)]
struct Position {
    ordinal: i32,
}

impl<'a> UbiEvent<'a> {
    fn of(event: NamedEvent<'a>) -> Self {
        Self {
            action_name: event.action.ubi_name(),
            query_id: event.list,
            client_id: event.client,
            timestamp: iso(event.time_ms),
            user_query: event.query,
            event_attributes: Attributes {
                object: Object {
                    object_id: event.item,
                    object_id_field: DEFAULT_ID_FIELD,
                },
                position: known(event.position).map(|ordinal| Position { ordinal }),
            },
        }
    }
}

fn known(position: i32) -> Option<i32> {
    Some(position).filter(|position| *position > 0)
}

fn iso(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).expect("drawn times lie in the window");
    format!("{time:.3}")
}

fn write_line(out: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

fn write_catalog_csv(out: &mut impl Write, products: &[Product]) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    products
        .iter()
        .try_for_each(|product| writer.serialize(CatalogLine::of(product)))?;
    writer.flush()
}

fn write_events_csv(out: &mut impl Write, log: &EventLog) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(EVENT_COLUMNS)?;
    for event in log.events.iter().map(|event| log.named(event)) {
        writer.write_record([
            event.action.ubi_name(),
            event.list,
            event.client,
            &iso(event.time_ms),
            event.query,
            event.item,
            &known(event.position).map_or(String::new(), |position| position.to_string()),
        ])?;
    }
    writer.flush()
}

/// UBI's columns, flattened.
const EVENT_COLUMNS: [&str; 7] = [
    "action_name",
    "query_id",
    "client_id",
    "timestamp",
    "user_query",
    "object_id",
    "position_ordinal",
];

fn catalog_table(products: &[Product]) -> PolarsResult<DataFrame> {
    let lines: Vec<CatalogLine<'_>> = products.iter().map(CatalogLine::of).collect();
    let days: Vec<Option<i32>> = products.iter().map(added_day).collect();
    DataFrame::new(
        lines.len(),
        vec![
            column(DEFAULT_ID_FIELD, lines.iter().map(|line| line.product_id)),
            column("title", lines.iter().map(|line| line.title)),
            column("description", lines.iter().map(|line| line.description)),
            column("brand", lines.iter().map(|line| line.brand)),
            column("category", lines.iter().map(|line| line.category)),
            column("price", lines.iter().map(|line| line.price)),
            column("rating", lines.iter().map(|line| line.rating)),
            column("rating_count", lines.iter().map(|line| line.rating_count)),
            column("stock", lines.iter().map(|line| line.stock)),
            Column::new("added_date".into(), days).cast(&DataType::Date)?,
        ],
    )
}

fn event_table(log: &EventLog) -> PolarsResult<DataFrame> {
    let events: Vec<NamedEvent<'_>> = log.events.iter().map(|event| log.named(event)).collect();
    let times = Int64Chunked::from_iter_values(
        "timestamp".into(),
        events.iter().map(|event| event.time_ms),
    );
    DataFrame::new(
        events.len(),
        vec![
            column(
                "action_name",
                events.iter().map(|event| event.action.ubi_name()),
            ),
            column("query_id", events.iter().map(|event| event.list)),
            column("client_id", events.iter().map(|event| event.client)),
            times
                .into_datetime(TimeUnit::Milliseconds, Some(TimeZone::UTC))
                .into_column(),
            column("user_query", events.iter().map(|event| event.query)),
            column("object_id", events.iter().map(|event| event.item)),
            column(
                "position_ordinal",
                events.iter().map(|event| known(event.position)),
            ),
        ],
    )
}

fn column<T>(name: &str, values: impl Iterator<Item = T>) -> Column
where
    Series: NamedFrom<Vec<T>, [T]>,
{
    Series::new(name.into(), values.collect::<Vec<T>>()).into()
}

fn write_parquet(out: &mut impl Write, table: PolarsResult<DataFrame>) -> io::Result<()> {
    let failed = |error: PolarsError| match error {
        PolarsError::IO { error, .. } => io::Error::from(error.kind()),
        other => io::Error::other(other.to_string()),
    };
    let writer = ParquetWriter::new(out).with_compression(ParquetCompression::Zstd(None));
    writer.finish(&mut table.map_err(failed)?).map_err(failed)?;
    Ok(())
}

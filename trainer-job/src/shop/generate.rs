use std::{fs::File, io, path::PathBuf};

use jiff::{Timestamp, civil, tz::TimeZone};
use searchop_contract::SyntheticShop;

use super::{FileFormat, Judgment, draw, write};
use crate::{data::complete_day, error::TrainError};

/// Writes the catalogue and the click log of a made-up shop.
#[derive(Clone, Debug, clap::Args)]
pub struct GenerateArgs {
    /// Products in the catalogue.
    #[arg(long, default_value_t = 2000)]
    pub products: u32,
    /// Events in the whole window, about.
    #[arg(long, default_value_t = 100_000)]
    pub events: u32,
    /// Seed of everything that is drawn.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Days of events, counted back from the newest complete UTC day.
    #[arg(long, default_value_t = 30)]
    pub days: u32,
    /// Instant (RFC 3339) or date (its beginning, UTC) before which a day has to be complete; now
    /// where absent.
    #[arg(long, value_parser = instant)]
    pub as_of: Option<Timestamp>,
    /// Folder for catalog.* and events.*.
    #[arg(long)]
    pub out: PathBuf,
    /// File format.
    #[arg(long, value_enum, default_value_t)]
    pub format: FileFormat,
    /// Also writes the hidden true grades, as CSV: query,product_id,grade,relevance.
    #[arg(long, value_name = "FILE")]
    pub truth: Option<PathBuf>,
}

fn instant(text: &str) -> Result<Timestamp, String> {
    let midnight = || -> Option<Timestamp> {
        TimeZone::UTC
            .to_timestamp(text.parse::<civil::Date>().ok()?.at(0, 0, 0, 0))
            .ok()
    };
    text.parse().ok().or_else(midnight).ok_or_else(|| {
        "not an instant like 2026-11-24T08:00:00Z nor a date like 2026-11-24".to_owned()
    })
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generated {
    pub products: usize,
    pub events: usize,
    /// Grades in the truth file.
    pub judgments: usize,
}

/// Draws the shop and writes its files.
pub fn generate(args: &GenerateArgs) -> Result<Generated, TrainError> {
    let settings = SyntheticShop {
        products: args.products,
        events: args.events,
        seed: args.seed,
        window_days: args.days,
    };
    let drawn = draw(
        &settings,
        complete_day(args.as_of.unwrap_or_else(Timestamp::now)),
    )?;
    write(&args.out, args.format, &drawn.products, &drawn.log)?;
    let mut judgments = 0;
    if let Some(path) = &args.truth {
        let all = drawn.truth.judgments(&drawn.log);
        judgments = all.len();
        write_truth(path, &all).map_err(|error| {
            TrainError::storage_refused(format!(
                "{} cannot be written: {}",
                path.display(),
                error.kind()
            ))
        })?;
    }
    Ok(Generated {
        products: drawn.products.len(),
        events: drawn.log.events.len(),
        judgments,
    })
}

fn write_truth(path: &PathBuf, judgments: &[Judgment]) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(File::create(path)?);
    writer.write_record(["query", "product_id", "grade", "relevance"])?;
    for judgment in judgments {
        writer.write_record([
            &judgment.query,
            &judgment.item,
            &judgment.grade.to_string(),
            &format!("{:.4}", judgment.relevance),
        ])?;
    }
    writer.flush()
}

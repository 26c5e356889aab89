//! The command line of `searchop import`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Report;
use crate::import::Meaning;

#[derive(Debug, Subcommand)]
pub enum Import {
    /// Segment: tracked calls as JSON, or rows of the tables in a warehouse.
    #[command(after_help = SEGMENT)]
    Segment(ImportShop),

    /// Google Analytics 4: the export to BigQuery.
    #[command(after_help = GA4)]
    Ga4(ImportShop),

    /// Algolia: answers of the search API, and events sent to Insights.
    #[command(after_help = ALGOLIA)]
    Algolia(ImportAlgolia),

    /// Metarank: rankings and interactions.
    #[command(after_help = METARANK)]
    Metarank(ImportMetarank),
}

const SEGMENT: &str = "\
Read are Products Searched (a search), Product List Viewed (a list), Product List Filtered (a list that
is left out), Product Clicked, Product Added and Order Completed. Positions count from 1, times are
ISO 8601. A list belongs to the newest search of its anonymousId in the join window; where events carry a
property query_id, it decides.

Example:
  searchop import segment --out ubi/events.ndjson.gz segment-logs/*.gz";

const GA4: &str = "\
Read are view_search_results and search (a search), view_item_list (a list), select_item, add_to_cart and
purchase. Positions count from 0, times are microseconds. A list belongs to the search on its
page_location, or else to the newest search of its visit in the join window.

Example:
  bq extract --destination_format NEWLINE_DELIMITED_JSON --compression GZIP \\
    'shop:analytics_1.events_20261101' 'gs://exports/events_20261101_*.json.gz'
  gcloud storage cp 'gs://exports/*' exports/
  searchop import ga4 --list search_results --out ubi/events.ndjson.gz exports/*.json.gz";

const ALGOLIA: &str = "\
Insights do not say what was shown, so the answers of the search API are needed too: queryID, query and
hits[].objectID (with clickAnalytics), to which whoever logs them adds timestamp and userToken. Of
Insights, click and conversion with addToCart or purchase are read; they belong to the answer whose
queryID they name. Positions count from 1, times are milliseconds.

Example:
  searchop import algolia --out ubi/events.ndjson.gz answers/*.ndjson insights/*.ndjson";

const METARANK: &str = "\
Read are ranking (a list, in its order) and interaction of the types click, cart, add_to_cart and purchase;
they belong to the ranking that they name. Times are milliseconds or ISO 8601.

Example:
  searchop import metarank --event buy=purchase --out ubi/events.ndjson.gz events.jsonl.gz";

/// What is read, and where it goes.
#[derive(Debug, Args)]
pub struct ImportFiles {
    /// Files of events: .ndjson, .jsonl, .json (one event a line) or .csv, each also with .gz.
    #[arg(value_name = "INPUT", required = true)]
    pub inputs: Vec<PathBuf>,

    /// Where UBI events go: .ndjson, .jsonl or .csv, each also with .gz.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,

    /// Where UBI queries go too, a list with its items a row: .ndjson or .jsonl, each also with .gz.
    #[arg(long, value_name = "FILE")]
    pub queries: Option<PathBuf>,

    /// What an event of this name is: search, list, refined_list, click, add_to_cart, purchase or
    /// ignore; may be repeated.
    #[arg(long = "event", value_name = "NAME=KIND")]
    pub meanings: Vec<Meaning>,

    /// Leave out up to this many rows that cannot be read.
    #[arg(long, default_value_t = 0, value_name = "ROWS")]
    pub max_bad_rows: u64,

    /// Fail where more than this share of clicks, carts and purchases belongs to no list.
    #[arg(long, value_parser = share, value_name = "SHARE")]
    pub max_orphan_share: Option<f64>,

    /// How the counts are printed.
    #[arg(long, short, value_enum, default_value_t = Report::Table)]
    pub output: Report,
}

/// Sources that know the visitor, and what a shop calls things.
#[derive(Debug, Args)]
pub struct ImportShop {
    #[command(flatten)]
    pub files: ImportFiles,

    #[command(flatten)]
    pub shop: ShopOptions,
}

#[derive(Debug, Args)]
pub struct ShopOptions {
    /// From a search to its list, and from a list to a click on it. Carts and purchases also follow a
    /// click on their item, for up to 7 days.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1440), value_name = "MINUTES")]
    pub join_window_minutes: u32,

    /// Lists with this id or name are search results, others are left out; may be repeated
    /// [default: all that follow a search].
    #[arg(long = "list", value_name = "NAME")]
    pub lists: Vec<String>,

    /// What the first place of a list is called [default: 1 for segment, 0 for ga4].
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=1), value_name = "NUMBER")]
    pub position_base: Option<u32>,

    /// Field of an item that the catalogue has as its id, for example sku [default: product_id for
    /// segment, item_id for ga4].
    #[arg(long, value_name = "NAME")]
    pub item_field: Option<String>,
}

#[derive(Debug, Args)]
pub struct ImportAlgolia {
    #[command(flatten)]
    pub files: ImportFiles,
}

#[derive(Debug, Args)]
pub struct ImportMetarank {
    #[command(flatten)]
    pub files: ImportFiles,

    /// Field of a ranking that holds what was asked for.
    #[arg(long, default_value = "query", value_name = "NAME")]
    pub query_field: String,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text
        .parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("{text:?} is not a share, write for example 0.2"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_between_zero_and_one() {
        assert_eq!(share("0.2"), Ok(0.2));
        for text in ["1.5", "-0.1", "NaN", "20%"] {
            let wanted = format!("{text:?} is not a share, write for example 0.2");
            assert_eq!(share(text), Err(wanted));
        }
    }
}

//! How good rankings are on products and queries with human grades: learned from the grades of other
//! queries, and from clicks. Everything that is measured runs through the code of production: the
//! features of searchop-model, LightGBM as the trainer calls it, the trainer's metrics.
//!
//! `make bench-quality QUALITY_DATA=folder`, a folder with `products.parquet`, `judgments.csv` or
//! `judgments.csv.gz` (columns query, product_id, label 0 to 3) and, for the second table,
//! `clickstream*.parquet` (columns ts, event_type, session_id, user_id, query, product_id, position).

mod quality {
    pub mod clicks;
    pub mod data;
    pub mod folds;
    pub mod graded;
    pub mod model;
    pub mod table;
}

use std::{path::PathBuf, process::ExitCode};

use quality::{clicks, data::World, graded};

const FOLDER: &str = "QUALITY_DATA";

fn main() -> ExitCode {
    let Some(folder) = std::env::var_os(FOLDER).filter(|folder| !folder.is_empty()) else {
        println!("skipped: set {FOLDER} to a folder with products.parquet and judgments.csv");
        return ExitCode::SUCCESS;
    };
    match run(&PathBuf::from(folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(folder: &std::path::Path) -> Result<(), String> {
    let world = World::read(folder)?;
    let mut figures = graded::measure(&world)?;
    match world.clicks() {
        Some(files) => figures.extend(clicks::measure(&world, &files)?),
        None => println!("skipped: no clickstream*.parquet, so nothing is learned from clicks"),
    }
    for (name, value) in figures {
        println!("figure quality.esci.{name} {value:.4} NDCG@10");
    }
    Ok(())
}

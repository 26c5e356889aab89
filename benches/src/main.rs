//! Measures the ranker as a process. Every figure is a line `figure NAME VALUE UNIT` on stdout;
//! what else is printed says under which circumstances.

mod catalogue;
mod client;
mod drain;
mod export;
mod figures;
mod fixture;
mod limits;
mod model;
mod overload;
mod process;
mod rank;
mod requests;
mod shadow;
mod slow;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use fixture::{Fixture, Wanted};

/// What went wrong, for a person at a terminal.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
enum Command {
    /// CPU a request, latency and requests a second and core, beside reference services in Python
    Rank(rank::Options),
    /// Overload, slow clients, the end under load, and every limit
    Overload(Trials),
    /// What a candidate in the shadow adds to latency and memory
    Shadow(shadow::Options),
}

#[derive(clap::Args)]
struct Trials {
    /// Folder for model and tables
    #[arg(long, value_name = "DIR")]
    cache: PathBuf,
    /// Products in the item table
    #[arg(long, default_value_t = 1_000_000)]
    products: u32,
    /// Candidates of the requests of a flood
    #[arg(long, value_delimiter = ',', default_value = "1000,100")]
    candidates: Vec<usize>,
    /// Length of each part of a flood
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    seconds: u64,
}

fn trials(options: &Trials) -> Result<(), Failure> {
    let wanted = Wanted {
        products: options.products,
        esci: None,
        anew: false,
    };
    let fixture = Fixture::prepare(&options.cache, &wanted)?;
    process::pin_self()?;
    let mut ended = vec![
        ("limits", limits::run(&fixture)),
        ("drain", drain::run(&fixture)),
        ("slow clients", slow::run(&fixture)),
    ];
    for &candidates in &options.candidates {
        let flood = overload::Flood {
            candidates,
            length: Duration::from_secs(options.seconds),
        };
        ended.push(("overload", overload::run(&fixture, &flood)));
    }
    // What one trial shows is not lost with another.
    let failed =
        |(name, ended): (&str, Result<(), Failure>)| Some(format!("{name}: {}", ended.err()?));
    let failed: Vec<String> = ended.into_iter().filter_map(failed).collect();
    match failed.is_empty() {
        true => Ok(()),
        false => Err(failed.join("; ").into()),
    }
}

fn main() -> ExitCode {
    let ended = match Command::parse() {
        Command::Rank(options) => rank::run(&options),
        Command::Overload(options) => trials(&options),
        Command::Shadow(options) => shadow::run(&options),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

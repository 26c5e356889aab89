use std::process::ExitCode;

use clap::Parser;
use searchop_operator::cli::Arguments;

#[tokio::main]
async fn main() -> ExitCode {
    match Arguments::parse().execute().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("searchop-operator: {error}");
            ExitCode::FAILURE
        }
    }
}

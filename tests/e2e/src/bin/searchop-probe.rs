//! Runs inside the cluster, for the scenarios: asks a Service, or damages a file.

use std::{process::ExitCode, time::Duration};

use searchop_e2e::load::{self, Asks, Load};

const USAGE: &str = "usage: searchop-probe load HOST:PORT CLIENTS PAUSE_MS SECONDS VERSIONS fields|ids | searchop-probe alter FILE";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words).await {
        Ok(text) => {
            println!("{text}");
            let _ = std::fs::write("/dev/termination-log", &text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(words: &[&str]) -> Result<String, String> {
    let number = |text: &str| {
        text.parse::<u64>()
            .map_err(|error| format!("{text:?}: {error}\n{USAGE}"))
    };
    match words {
        ["load", authority, clients, pause, seconds, versions, asks] => {
            let known = Asks::ALL.into_iter().find(|known| known.as_str() == *asks);
            let load = Load {
                clients: number(clients)? as usize,
                pause: Duration::from_millis(number(pause)?),
                length: Duration::from_secs(number(seconds)?),
                versions: number(versions)? as usize,
                asks: known.ok_or(USAGE)?,
            };
            let seen = load::run(authority, load).await;
            serde_json::to_string(&seen).map_err(|error| error.to_string())
        }
        ["alter", file] => {
            let mut bytes = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(file, bytes).map_err(|error| format!("{file}: {error}"))?;
            Ok(format!("altered byte {middle} of {file}"))
        }
        _ => Err(USAGE.to_owned()),
    }
}

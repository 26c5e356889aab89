//! `make bench-shadow`: what a candidate in the shadow costs those who wait for an answer.

use std::{fs, path::PathBuf, sync::Arc};

use searchop_contract::{LoadedVersion, Role, Share, Traffic};

use crate::{
    Failure, client, export,
    figures::{figure, median, note_load, percentile},
    fixture::{Fixture, Wanted},
    process::Service,
    requests::Request,
};

#[derive(clap::Args)]
pub struct Options {
    /// Folder for model and tables
    #[arg(long, value_name = "DIR")]
    cache: PathBuf,
    /// Products in the item table
    #[arg(long, default_value_t = 1_000_000)]
    products: u32,
    /// Requests of a turn
    #[arg(long, default_value_t = 5_000)]
    requests: usize,
    /// Turns in which the two services are asked
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Percent of the requests that the candidate ranks as well
    #[arg(long, default_value_t = 10)]
    percent: u8,
}

const SERVED: u32 = 1;
const CANDIDATE: u32 = 2;

pub fn run(options: &Options) -> Result<(), Failure> {
    let wanted = Wanted {
        products: options.products,
        esci: None,
        anew: false,
    };
    let fixture = Fixture::prepare(&options.cache, &wanted)?;
    let alone = Service::ranker(&fixture, None, &[])?;
    let both = beside(&fixture, options)?;
    note_load();
    let count = options.requests * options.rounds;
    let requests = export::preset_requests(&fixture, count);
    let mut added = Vec::new();
    for turn in requests.chunks_exact(options.requests) {
        let turn: Arc<[Vec<u8>]> = turn.iter().map(Request::bytes).collect();
        let p99 = |service: &Service| -> Result<f64, Failure> {
            let closed = client::closed(service.address, 1, &turn)?;
            Ok(percentile(&closed.latencies, 0.99))
        };
        // The first turn warms both up.
        let (without, with) = (p99(&alone)?, p99(&both)?);
        println!("p99 {without:.3} ms alone, {with:.3} ms with a shadow");
        added.push((with / without - 1.0) * 100.0);
    }
    note_load();
    let (one, two) = (alone.resident_mib()?, both.resident_mib()?);
    println!(
        "{} products, {} % in the shadow; {one:.0} MiB resident with one version, {two:.0} with two",
        options.products, options.percent
    );
    figure("shadow.added_p99_percent", median(added.split_off(1)), "%");
    figure("shadow.added_mib", two - one, "MiB");
    Ok(())
}

/// A ranker with the same model as both versions: the candidate costs what the served one does.
fn beside(fixture: &Fixture, options: &Options) -> Result<Service, Failure> {
    let version = |version| LoadedVersion {
        version,
        digest: fixture.digest.clone(),
        tables_digest: fixture.tables_digest.clone(),
    };
    let share = |version, role, weight, shadow| Share {
        version,
        role,
        weight,
        shadow,
    };
    let traffic = Traffic {
        revision: "bench".to_owned(),
        shares: vec![
            share(SERVED, Role::Served, 100, 0),
            share(CANDIDATE, Role::Candidate, 0, options.percent),
        ],
        abort: None,
    };
    let file = fixture.folder.join("traffic.json");
    fs::write(&file, serde_json::to_vec(&traffic)?)?;
    let versions = serde_json::to_string(&[version(SERVED), version(CANDIDATE)])?;
    let options = [
        format!("--versions={versions}"),
        format!("--traffic-file={}", file.display()),
    ];
    Service::ranker(fixture, None, &options.each_ref().map(String::as_str))
}

//! `make bench-shadow`: what a candidate in the shadow costs those who wait for an answer.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use searchop_contract::{LoadedVersion, Role, Share, Traffic};

use crate::{
    Failure, client, export,
    figures::{figure, note_load, percentile},
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
    /// Requests to each of the two services
    #[arg(long, default_value_t = 40_000)]
    requests: usize,
    /// Percent of the requests that the candidate ranks as well
    #[arg(long, default_value_t = 10)]
    percent: u8,
}

/// Requests of a turn: so few that what else the machine does meets both services.
const TURN: usize = 200;
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
    let requests = export::preset_requests(&fixture, options.requests);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for (number, turn) in requests.chunks(TURN).enumerate() {
        let turn: Arc<[Vec<u8>]> = turn.iter().map(Request::bytes).collect();
        let mut pair = [(&alone, &mut without), (&both, &mut with)];
        if number % 2 == 1 {
            pair.reverse();
        }
        for (service, latencies) in pair {
            let closed = client::closed(service.address, 1, &turn)?;
            latencies.extend(closed.latencies);
        }
    }
    let p99 = |latencies: &[Duration]| percentile(latencies, 0.99);
    let p50 = |latencies: &[Duration]| percentile(latencies, 0.5);
    for (name, latencies) in [("alone", &without), ("with a shadow", &with)] {
        let (middle, slow) = (p50(latencies), p99(latencies));
        println!("{name}: p50 {middle:.3} ms, p99 {slow:.3} ms");
    }
    note_load();
    let (one, two) = (alone.resident_mib()?, both.resident_mib()?);
    println!(
        "{} products, {} % in the shadow over one connection; {one:.0} MiB resident with one version, {two:.0} with two",
        options.products, options.percent
    );
    let added = (p99(&with) / p99(&without) - 1.0) * 100.0;
    figure("shadow.added_p99_percent", added, "%");
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

//! `make bench-rank`: the same requests to the ranker and to two services in Python, in turns.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use serde_json::Value;

use crate::{
    Failure, client, export,
    figures::{figure, median, note_load, percentile},
    fixture::{Fixture, Wanted},
    process::Service,
    requests::Request,
};

#[derive(clap::Args)]
pub struct Options {
    /// Folder for model, tables and what the reference services read
    #[arg(long, value_name = "DIR")]
    cache: PathBuf,
    /// Folder of the reference services
    #[arg(long, value_name = "DIR")]
    baselines: PathBuf,
    /// Python with their packages; without it the ranker is measured alone
    #[arg(long, value_name = "FILE")]
    python: Option<PathBuf>,
    /// Folder of the ESCI sample, for real queries
    #[arg(long, value_name = "DIR")]
    esci: Option<PathBuf>,
    /// Products in the item table
    #[arg(long, default_value_t = 1_000_000)]
    products: u32,
    /// Requests to the ranker, for each mode and number of connections
    #[arg(long, default_value_t = 21_000)]
    requests: usize,
    /// Turns in which the services are asked
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Make model and tables anew
    #[arg(long)]
    anew: bool,
}

const CONNECTIONS: [usize; 2] = [1, 16];
/// Before anything is counted.
const WARM_UP: usize = 200;
/// Answers that are compared before anything is measured.
const COMPARED: usize = 50;
/// Scores that may differ because the age of a product, in days, crossed a threshold between two
/// answers.
const DIFFERENT: f64 = 0.002;

struct Contestant {
    name: &'static str,
    service: Service,
    /// Requests of one turn.
    requests: usize,
}

struct Mode {
    name: &'static str,
    requests: Vec<Request>,
}

pub fn run(options: &Options) -> Result<(), Failure> {
    let fixture = Fixture::prepare(
        &options.cache,
        &Wanted {
            products: options.products,
            esci: options.esci.as_deref(),
            anew: options.anew,
        },
    )?;
    let contestants = start(options, &fixture)?;
    let modes = [
        Mode {
            name: "rank.ids_numeric",
            requests: export::numeric_requests(&fixture, options.requests),
        },
        Mode {
            name: "rank.ids_preset",
            requests: export::preset_requests(&fixture, options.requests),
        },
    ];
    println!(
        "{} products, 100 candidates drawn uniformly, {} trees; {} requests to the ranker in {} turns, {} to each reference service a turn",
        fixture.ids.len(),
        crate::model::TREES,
        options.requests,
        options.rounds,
        export::REQUESTS,
    );
    for mode in &modes {
        compare(&contestants, &mode.requests)?;
    }
    for mode in &modes {
        measure(&contestants, mode, options.rounds)?;
    }
    Ok(())
}

fn start(options: &Options, fixture: &Fixture) -> Result<Vec<Contestant>, Failure> {
    let mut contestants = vec![Contestant {
        name: "searchop",
        service: Service::ranker(fixture, None, &[])?,
        requests: options.requests / options.rounds,
    }];
    if let Some(python) = &options.python {
        for (name, module) in [
            ("fastapi", "fastapi_service"),
            ("starlette", "starlette_service"),
        ] {
            contestants.push(Contestant {
                name,
                service: Service::reference(fixture, python, (&options.baselines, module))?,
                requests: export::REQUESTS.min(options.requests),
            });
        }
    }
    Ok(contestants)
}

/// Services that compute something else are no baseline.
fn compare(contestants: &[Contestant], requests: &[Request]) -> Result<(), Failure> {
    let (mut scores, mut different) = (0, 0);
    for request in requests.iter().take(COMPARED.min(export::REQUESTS)) {
        let bytes = request.bytes();
        let ours = score_by_id(&client::ask(contestants[0].service.address, &bytes)?)?;
        for other in &contestants[1..] {
            let theirs = score_by_id(&client::ask(other.service.address, &bytes)?)?;
            if ours.len() != theirs.len() {
                return Err(format!("{} leaves products out", other.name).into());
            }
            for (id, score) in &ours {
                scores += 1;
                let same = (theirs[id] - score).abs() <= 1e-9 * score.abs().max(1.0);
                if !same {
                    different += 1;
                    if different <= 3 {
                        println!(
                            "{}: {:?} {id} scores {}, ours {score}",
                            other.name, request.query, theirs[id]
                        );
                    }
                }
            }
        }
    }
    println!("{different} of {scores} compared scores differ");
    if f64::from(different) > DIFFERENT * f64::from(scores) {
        return Err("the reference services do not compute the same scores".into());
    }
    Ok(())
}

fn score_by_id(body: &[u8]) -> Result<BTreeMap<String, f64>, Failure> {
    let answer: Value = serde_json::from_slice(body)?;
    let products = answer["products"].as_array().ok_or("no products")?;
    let score = |product: &Value| {
        Some((
            product["id"].as_str()?.to_owned(),
            product["score"].as_f64()?,
        ))
    };
    products
        .iter()
        .map(|product| score(product).ok_or_else(|| "no id or score".into()))
        .collect()
}

/// What one service did in all its turns over one number of connections.
#[derive(Default)]
struct Measured {
    cpu_us: Vec<f64>,
    p50_ms: Vec<f64>,
    p99_ms: Vec<f64>,
    a_second: Vec<f64>,
}

fn measure(contestants: &[Contestant], mode: &Mode, rounds: usize) -> Result<(), Failure> {
    let bytes: Vec<Vec<u8>> = mode.requests.iter().map(Request::bytes).collect();
    let mut cpu_us = BTreeMap::new();
    note_load();
    for connections in CONNECTIONS {
        let mut measured: Vec<Measured> = contestants.iter().map(|_| Measured::default()).collect();
        for round in 0..rounds {
            for (contestant, measured) in contestants.iter().zip(&mut measured) {
                let first = if contestant.name == "searchop" {
                    round * contestant.requests
                } else {
                    0
                };
                let turn: Arc<[Vec<u8>]> = bytes[first..first + contestant.requests].into();
                measured.turn(&contestant.service, connections, &turn)?;
            }
        }
        for (contestant, measured) in contestants.iter().zip(measured) {
            let cpu = median(measured.cpu_us);
            println!(
                "{} {} {connections} connections: CPU {cpu:.0} us a request, p50 {:.3} ms, p99 {:.3} ms, {:.0} requests a second, {:.0} a second and core",
                mode.name,
                contestant.name,
                median(measured.p50_ms.clone()),
                median(measured.p99_ms.clone()),
                median(measured.a_second),
                1e6 / cpu,
            );
            if contestant.name == "searchop" && connections == 1 {
                figure(
                    &format!("{}.p50_ms", mode.name),
                    median(measured.p50_ms),
                    "ms",
                );
                figure(
                    &format!("{}.p99_ms", mode.name),
                    median(measured.p99_ms),
                    "ms",
                );
            }
            if connections == 16 {
                cpu_us.insert(contestant.name, cpu);
            }
        }
    }
    note_load();
    let ours = cpu_us["searchop"];
    figure(&format!("{}.cpu_us", mode.name), ours, "us");
    for other in ["fastapi", "starlette"] {
        if let Some(theirs) = cpu_us.get(other) {
            figure(&format!("{}.vs_{other}", mode.name), theirs / ours, "x");
        }
    }
    Ok(())
}

impl Measured {
    fn turn(
        &mut self,
        service: &Service,
        connections: usize,
        requests: &Arc<[Vec<u8>]>,
    ) -> Result<(), Failure> {
        let warm_up: Arc<[Vec<u8>]> = requests[..WARM_UP.min(requests.len())].into();
        client::closed(service.address, connections, &warm_up)?;
        let before = service.cpu()?;
        let closed = client::closed(service.address, connections, requests)?;
        let cpu = service.cpu()? - before;
        self.cpu_us.push(cpu / requests.len() as f64 * 1e6);
        self.p50_ms.push(percentile(&closed.latencies, 0.5));
        self.p99_ms.push(percentile(&closed.latencies, 0.99));
        self.a_second
            .push(requests.len() as f64 / closed.elapsed.as_secs_f64());
        Ok(())
    }
}

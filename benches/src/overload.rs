//! More requests than can be ranked: what is still answered, how fast, and what the rest is told.

use std::{sync::Arc, time::Duration};

use crate::{
    Failure,
    client::{self, Open, Pace},
    figures::{figure, median, note_load, percentile},
    fixture::Fixture,
    process::{RANKER_CPU, Service},
    requests::{self, Request},
};

/// Requests that may be on their way at the same time: those of a large shop's front ends.
const CONNECTIONS: usize = 400;
/// A closed loop over so many connections keeps one worker busy and refuses nothing.
const SATURATING: usize = 12;
/// Of peak: what an operator's autoscaler should hold.
const USUAL: f64 = 0.8;
/// Seconds after a flood within which all is as before.
const RECOVERY: Duration = Duration::from_secs(2);

pub struct Flood {
    /// Products of a request.
    pub candidates: usize,
    pub length: Duration,
}

pub fn run(fixture: &Fixture, flood: &Flood) -> Result<(), Failure> {
    let service = Service::ranker(fixture, Some(RANKER_CPU), &[])?;
    let searches = requests::draw(2000, flood.candidates, &fixture.queries, &fixture.ids);
    let bytes: Arc<[Vec<u8>]> = searches.iter().map(Request::bytes).collect();
    println!(
        "ranker on one processor, client on another; {} candidates a request, {} connections, {} s each",
        flood.candidates,
        CONNECTIONS,
        flood.length.as_secs()
    );
    note_load();
    let Peak { rate: peak, cpu } = peak(&service, &bytes)?;
    let rss = service.resident_mib()?;
    let prefix = format!("overload.{}", flood.candidates);
    figure(&format!("{prefix}.peak"), peak, "rankings/s");
    let load = |times: f64, length| load(&service, &bytes, (times * peak, length));
    let usual = load(USUAL, flood.length)?;
    let usual_p99 = percentile(&usual.accepted, 0.99);
    report(&prefix, "at 80 %", &usual);
    for times in [2.0, 5.0] {
        let before = service.cpu()?;
        let flooded = load(times, flood.length)?;
        let spent = service.cpu()? - before;
        report(&prefix, &format!("at {times} x"), &flooded);
        let name = |figure: &str| format!("{prefix}.{times}x.{figure}");
        figure(&name("goodput_share"), flooded.goodput() / peak, "");
        // The same where others take away from the processor: how much of what the ranker had of it
        // went into rankings, not into refusals.
        let ranking = cpu * flooded.accepted.len() as f64;
        figure(&name("cpu_share"), ranking / spent, "");
        let refusals = (spent - ranking) / flooded.shed.len().max(1) as f64;
        figure(&name("refusal_cpu_us"), refusals * 1e6, "us");
        let p99 = percentile(&flooded.accepted, 0.99);
        figure(&name("accepted_p99_ratio"), p99 / usual_p99, "");
        figure(&name("shed_p99_ms"), percentile(&flooded.shed, 0.99), "ms");
        figure(&name("failed"), flooded.failed as f64, "requests");
        figure(
            &name("without_retry_after"),
            flooded.without_retry_after as f64,
            "requests",
        );
        figure(&name("rss_ratio"), service.resident_mib()? / rss, "");
        std::thread::sleep(RECOVERY);
        let after = load(USUAL, RECOVERY)?;
        let ratio = percentile(&after.accepted, 0.99) / usual_p99;
        figure(&name("p99_ratio_2s_later"), ratio, "");
    }
    note_load();
    Ok(())
}

/// A ranker that always has work and refuses nothing.
struct Peak {
    /// Rankings a second.
    rate: f64,
    /// Seconds of its CPU a ranking.
    cpu: f64,
}

fn peak(service: &Service, bytes: &Arc<[Vec<u8>]>) -> Result<Peak, Failure> {
    client::closed(service.address, SATURATING, bytes)?;
    let (mut rates, mut cpus) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let before = service.cpu()?;
        let closed = client::closed(service.address, SATURATING, bytes)?;
        let rankings = closed.latencies.len() as f64;
        rates.push(rankings / closed.elapsed.as_secs_f64());
        cpus.push((service.cpu()? - before) / rankings);
    }
    Ok(Peak {
        rate: median(rates),
        cpu: median(cpus),
    })
}

fn load(
    service: &Service,
    bytes: &Arc<[Vec<u8>]>,
    (rate, length): (f64, Duration),
) -> Result<Open, Failure> {
    let pace = Pace {
        rate,
        length,
        connections: CONNECTIONS,
    };
    client::runtime()?.block_on(client::open(service.address, &pace, bytes))
}

fn report(prefix: &str, load: &str, open: &Open) {
    println!(
        "{prefix} {load}: {:.0} rankings a second, p50 {:.2} ms, p99 {:.2} ms; {} refused, p50 {:.2} ms, p99 {:.2} ms; {} failed, {} unsent; sent {:.2} ms late at p99",
        open.goodput(),
        percentile(&open.accepted, 0.5),
        percentile(&open.accepted, 0.99),
        open.shed.len(),
        percentile(&open.shed, 0.5),
        percentile(&open.shed, 0.99),
        open.failed,
        open.unsent,
        percentile(&open.lag, 0.99),
    );
}

//! `make bench-cron`: random expressions in all time zones, with clocks that change and clocks that
//! jump, against an oracle that walks the minutes; and what a gap of ten years costs.
//!
//! Usage: `cron [CASES]`.

#[path = "../src/cron/tests/oracle.rs"]
mod oracle;

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use oracle::{Case, Random};
use searchop_api::RetrainScheduleStatus;
use searchop_lifecycle::{Cron, ObservedModel, ObservedSchedule, plan_schedule};
use serde_json::{from_value, json};

const CASES: u64 = 100_000;
/// Differences that are printed.
const SHOWN: usize = 10;
const ROUNDS: u32 = 20;

fn main() -> ExitCode {
    let asked = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let cases = asked.unwrap_or(CASES);
    let threads = thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let found: Vec<String> = thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|part| scope.spawn(move || differences(part, cases.div_ceil(threads))))
            .collect();
        let joined = parts.into_iter().map(|part| part.join());
        joined
            .flat_map(|part| part.expect("a comparison does not panic"))
            .collect()
    });
    for difference in found.iter().take(SHOWN) {
        println!("{difference}");
    }
    println!("figure cron.cases {} 1", cases.div_ceil(threads) * threads);
    println!("figure cron.zones {} 1", oracle::zones().len());
    println!("figure cron.differences {} 1", found.len());
    let slowest = GAPS
        .iter()
        .map(|schedule| gap(schedule))
        .max()
        .unwrap_or_default();
    println!(
        "figure cron.ten_year_gap_ms {:.2} ms",
        slowest.as_secs_f64() * 1e3
    );
    if found.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn differences(part: u64, cases: u64) -> Vec<String> {
    let zones = oracle::zones();
    let mut random = Random(0x5eed_1234_5678_9abc ^ ((part + 1) << 32));
    (0..cases)
        .filter_map(|_| Case::draw(&mut random, &zones).compare(&mut random).err())
        .collect()
}

/// From one tick a minute to none ever.
const GAPS: [&str; 5] = [
    "* * * * *",
    "0 2 * * 0",
    "0 0 29 2 *",
    "0 0 29 2 1",
    "0 0 30 2 *",
];

/// The shortest of some looks, after ten years in which nobody looked: the rest is the machine's.
fn gap(schedule: &str) -> Duration {
    let spec = json!({
        "modelRef": {"name": "products"}, "schedule": schedule, "timeZone": "Europe/Berlin",
        "jitterSeconds": 600,
        "blackouts": [{"startTime": "2036-11-24T00:00:00Z", "endTime": "2046-11-24T00:00:00Z"}]
    });
    let mut seen = ObservedSchedule {
        namespace: "shop".to_owned(),
        name: "any".to_owned(),
        generation: 1,
        spec: from_value(spec).expect("the fields of a schedule"),
        status: RetrainScheduleStatus::default(),
        models: vec![ObservedModel::default()],
        now: "2026-11-24T09:30:00Z".parse().expect("a time"),
    };
    seen.status = plan_schedule(&seen).status;
    seen.now = "2036-11-24T09:30:00Z".parse().expect("a time");
    let look = |_| {
        let begin = Instant::now();
        std::hint::black_box(plan_schedule(std::hint::black_box(&seen)));
        begin.elapsed()
    };
    (0..ROUNDS).map(look).min().unwrap_or_default()
}

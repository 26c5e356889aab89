//! Counts a click log in Parquet: `etl EVENTS OUT`. Its driver is `etl/compare.py`, which runs other
//! engines on the same file.
#![allow(clippy::unwrap_used, reason = "a failed step fails the measurement")]

use std::{env, fs, path::PathBuf, time::Instant};

use polars::prelude::{LazyFrame, PlRefPath, ScanArgsParquet};
use searchop_trainer::{data::date, stage_a};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|one| one != "--bench").collect();
    let [events, out] = &arguments[..] else {
        eprintln!("usage: etl EVENTS OUT");
        return;
    };
    let begin = Instant::now();
    let out = PathBuf::from(out);
    let events =
        LazyFrame::scan_parquet(PlRefPath::new(events.as_str()), ScanArgsParquet::default());
    stage_a::count_days(&events.unwrap(), 2, |tables| {
        let dir = out.join(format!("day={}", date(tables.day)));
        fs::create_dir_all(&dir).unwrap();
        tables.write(&dir)
    })
    .unwrap();
    println!("seconds {:.3}", begin.elapsed().as_secs_f64());
    println!("peak_mb {:.0}", peak_mb());
}

/// Most memory that the process ever had.
fn peak_mb() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    let kb: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kb / 1024.0
}

//! `make bench-gate`: how often the gate promotes what it should not, and what it should.
//!
//! Most worlds are made of scores: lists, labels and the scores of two rankers are drawn so that
//! the truth is known, and go through the code that judges in production: metrics, bounds by query
//! key, decimals, rules. Some worlds are trained by the trainer itself, on made-up shops.
//!
//! Usage: `gate [TRAINER]`; without the trainer's program, only score worlds are judged.

#[path = "gate/cases.rs"]
mod cases;
#[path = "gate/draw.rs"]
mod draw;
#[path = "gate/judge.rs"]
mod judge;
#[path = "gate/trained.rs"]
mod trained;
#[path = "gate/world.rs"]
mod world;

use std::{path::Path, process::ExitCode};

/// Worlds a case.
const WORLDS: u64 = 2_000;

fn main() -> ExitCode {
    let trainer = std::env::args().nth(1).filter(|one| !one.starts_with('-'));
    println!("{}", cases::HEADER);
    let shares: Vec<(cases::Kind, f64)> = cases::all()
        .iter()
        .map(|case| (case.kind, case.run(WORLDS)))
        .collect();
    let worst = |kind| {
        let of_kind = shares.iter().filter(|(other, _)| *other == kind);
        of_kind.map(|(_, share)| *share).fold(f64::NAN, f64::max)
    };
    let best = |kind| {
        let of_kind = shares.iter().filter(|(other, _)| *other == kind);
        of_kind.map(|(_, share)| *share).fold(f64::NAN, f64::min)
    };
    if let Some(trainer) = trainer {
        match trained::run(Path::new(&trainer)) {
            Ok(shares) => {
                println!(
                    "figure gate.trained.promoted_share {:.4} 1",
                    shares.promoted
                );
                println!("figure gate.trained.wrong_share {:.4} 1", shares.wrong);
            }
            Err(error) => {
                eprintln!("error: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    use cases::Kind::{AtMargin, Biased, FewQueries, Plus06, ZeroGain};
    for (name, share) in [
        ("zero_gain", worst(ZeroGain)),
        ("at_margin", worst(AtMargin)),
        ("plus06_500q", best(Plus06)),
        ("biased", worst(Biased)),
    ] {
        println!("figure gate.{name}.promoted_share {share:.4} 1");
    }
    println!(
        "figure gate.30q.inconclusive_share {:.4} 1",
        best(FewQueries)
    );
    ExitCode::SUCCESS
}

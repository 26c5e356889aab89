//! What places are worth, found from clicks in worlds of which it is known.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use searchop_trainer::propensity::{Cell, PLACES, Propensities, place};

const SESSIONS: usize = 200_000;
const QUERIES: usize = 2_000;
const ITEMS: usize = 24;
const SHOWN: usize = 20;

/// A shop whose ranker knows its trade: what it ranks by is the chance of a click with some noise,
/// drawn anew for each session.
struct World {
    seed: u64,
    exponent: f64,
    noise: f64,
}

/// About normal, of variance 1.
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    (0..3).map(|_| rng.random_range(-1.0_f64..1.0)).sum()
}

impl World {
    fn cells(&self) -> Vec<Cell> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let wanted: Vec<f64> = (0..QUERIES * ITEMS)
            .map(|_| 0.01 + 0.7 * rng.random_range(0.0_f64..1.0).powi(4))
            .collect();
        let mut counted = vec![[(0, 0); PLACES]; wanted.len()];
        for _ in 0..SESSIONS {
            let query = (QUERIES as f64 * rng.random_range(0.0_f64..1.0).powi(2)) as usize;
            let items = query * ITEMS..(query + 1) * ITEMS;
            let mut ranked: Vec<(f64, usize)> = items
                .map(|item| (wanted[item].ln() + self.noise * normal(&mut rng), item))
                .collect();
            ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
            for (position, (_, item)) in (1..).zip(ranked.into_iter().take(SHOWN)) {
                let looks = f64::from(position).powf(-self.exponent);
                let (shown, clicks) = &mut counted[item][place(Some(position)).unwrap()];
                *shown += 1;
                *clicks += u32::from(rng.random_bool(looks * wanted[item]));
            }
        }
        let cell = |(pair, place, (impressions, clicks))| Cell {
            pair,
            place,
            impressions,
            clicks,
        };
        (0..)
            .zip(counted)
            .flat_map(|(pair, places)| (0..).zip(places).map(move |(place, n)| (pair, place, n)))
            .filter(|(_, _, (impressions, _))| *impressions > 0)
            .map(cell)
            .collect()
    }
}

/// Clicks a place over all items, which is what one sees without taking the ranker into account.
fn naive_error(cells: &[Cell], exponent: f64) -> f64 {
    let rate = |place: usize| {
        let of_place = cells.iter().filter(|cell| cell.place == place);
        let (shown, clicks) = of_place.fold((0.0, 0.0), |(shown, clicks), cell| {
            (
                shown + f64::from(cell.impressions),
                clicks + f64::from(cell.clicks),
            )
        });
        clicks / shown
    };
    let first = rate(0);
    mean_error(exponent, |place| rate(place) / first)
}

/// Mean relative error at positions 1 to 10.
fn mean_error(exponent: f64, found: impl Fn(usize) -> f64) -> f64 {
    let error = |place: usize| {
        let truth = (place as f64 + 1.0).powf(-exponent);
        (found(place) / truth - 1.0).abs()
    };
    (0..10).map(error).sum::<f64>() / 10.0
}

#[test]
fn propensities_are_found_under_a_strong_ranker() {
    let (mut exponents, mut errors, mut naive) = (Vec::new(), Vec::new(), Vec::new());
    for (seed, (exponent, noise)) in (1..).zip([(0.5, 0.4), (0.8, 0.3), (1.2, 0.6)]) {
        let world = World {
            seed,
            exponent,
            noise,
        };
        let cells = world.cells();
        let found = Propensities::fit(&cells).unwrap();
        exponents.push((found.exponent - exponent).abs());
        errors.push(mean_error(exponent, |place| found.places[place]));
        naive.push(naive_error(&cells, exponent));
    }
    let worst = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    let least = naive.iter().copied().fold(f64::INFINITY, f64::min);
    println!("figure debias.exponent_error {:.3} 1", worst(&exponents));
    println!("figure debias.mean_error_1_to_10 {:.3} 1", worst(&errors));
    println!("figure debias.naive_mean_error_1_to_10 {least:.3} 1");
    assert!(worst(&exponents) <= 0.05, "{exponents:?}");
    assert!(worst(&errors) <= 0.1, "{errors:?}");
    // Else the worlds would be too easy to show anything.
    assert!(least > 0.2, "{naive:?}");
}

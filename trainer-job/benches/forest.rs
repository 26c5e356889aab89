//! `make bench-forest`: our forest scorer beside LightGBM's C API, one thread each, on forests that
//! are trained here on features of the made-up shop. Raw f32 rows in, scores out. All engines take
//! turns of some calls, each call gets rows that its engine has not just had, and medians are told.
//! Time is the thread's CPU time, so that other work on the machine matters less. Fails where a
//! score is not equal to LightGBM's to the last bit.
#![allow(clippy::unwrap_used, reason = "a failed step ends the run")]

#[path = "forest/cpu_time.rs"]
mod cpu_time;
#[path = "forest/lightgbm.rs"]
mod lightgbm;

use std::{hint::black_box, time::Instant};

use cpu_time::CpuTime;
use lightgbm::Booster;
use searchop_contract::BoostingParameters;
use searchop_model::{
    features::feature_names,
    forest::{Forest, Isa, Scratch},
};
use searchop_trainer::{
    boosting::{self, Groups, Settings},
    data, job,
    prepare::prepare,
    slices::Slice,
};

/// Trees and leaves.
const FORESTS: [(u32, u32); 3] = [(200, 31), (500, 31), (500, 63)];
/// Turns of each engine, by the rows of a call.
const TURNS: [(usize, usize); 2] = [(100, 30), (1, 100)];
/// A turn finds the caches as others left them, a service finds them as it left them itself.
const CALLS_A_TURN: usize = 16;
const LOADED_BYTES: usize = 5_000_000;

fn main() {
    let groups = rows_of_the_shop();
    eprintln!("{} rows of {} features", groups.rows(), groups.columns);
    let mut figures = Vec::new();
    for (trees, leaves) in FORESTS {
        let text = train(&groups, trees, leaves);
        let bench = Bench::new(&text, &groups);
        bench.check();
        for (rows, turns) in TURNS {
            let name = format!("forest.{trees}x{leaves}.rows{rows}");
            bench.compare(&name, rows, turns, &mut figures);
        }
        if (trees, leaves) == FORESTS[2] {
            load(&text, &mut figures);
        }
    }
    for (name, value, unit) in figures {
        println!("figure {name} {value:.3} {unit}");
    }
}

type Figures = Vec<(String, f64, &'static str)>;

/// The shop of the samples.
const JOB: &str = r#"{
    "model": "products", "version": 1, "asOfTime": "2026-11-24T06:00:00Z",
    "data": {"synthetic": {"products": 2000, "events": 100000, "seed": 42, "windowDays": 30}},
    "evaluation": {"holdoutDays": 7, "baselines": [], "measures": [], "confidence": 0.95},
    "artifactsUri": "file:///nowhere"
}"#;

fn rows_of_the_shop() -> Groups {
    let job = job::parse(JOB).unwrap();
    let work = tempfile::tempdir().unwrap();
    let dataset = data::load(&job, work.path(), &mut |_| {}).unwrap();
    let prepared = prepare(&job, &dataset, work.path()).unwrap();
    prepared.rows.groups(Slice::Train, None)
}

/// Early stopping looks at the rows that are trained on, so that no tree is left out.
fn train(groups: &Groups, trees: u32, leaves: u32) -> String {
    let begin = Instant::now();
    let parameters = BoostingParameters {
        num_iterations: trees,
        num_leaves: leaves,
        learning_rate: 0.03,
        ..BoostingParameters::default()
    };
    let settings = Settings {
        parameters: &parameters,
        features: &feature_names(),
        categorical: &[],
        threads: 1,
    };
    let trained = boosting::train(groups, Some(groups), &settings, |_, _| {}).unwrap();
    let seconds = begin.elapsed().as_secs_f64();
    eprintln!(
        "{trees} trees of {leaves} leaves: {} kept, {seconds:.1} s",
        trained.trees
    );
    assert!(
        trained.trees > trees - trees / 10,
        "too few trees were kept"
    );
    trained.text
}

/// A model and the rows to score with it.
struct Bench<'a> {
    forest: Forest,
    booster: Booster,
    values: &'a [f32],
    columns: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Engine {
    Ours(Isa),
    Plain,
    Matrix,
    SingleRowFast,
}

impl<'a> Bench<'a> {
    fn new(text: &str, groups: &'a Groups) -> Self {
        Self {
            forest: Forest::parse(text.as_bytes()).unwrap(),
            booster: Booster::new(text, groups.columns),
            values: &groups.values,
            columns: groups.columns,
        }
    }

    fn engines() -> Vec<Engine> {
        let others = [Engine::Plain, Engine::Matrix, Engine::SingleRowFast];
        Isa::available().map(Engine::Ours).chain(others).collect()
    }

    fn score(&self, engine: Engine, values: &[f32], scratch: &mut Scratch, scores: &mut [f64]) {
        match engine {
            Engine::Ours(isa) => self.forest.score_rows_with(isa, values, scratch, scores),
            Engine::Plain => {
                for (row, score) in values.chunks_exact(self.columns).zip(scores) {
                    *score = self.forest.score(row);
                }
            }
            Engine::Matrix => self.booster.matrix(values, scores),
            Engine::SingleRowFast => self.booster.single_rows(values, scores),
        }
    }

    /// All engines give LightGBM's scores.
    fn check(&self) {
        let mut scratch = Scratch::default();
        for rows in [1, 3, 50, 100, 1_000] {
            let values = &self.values[..rows * self.columns];
            let bits = |engine: Engine, scratch: &mut Scratch| -> Vec<u64> {
                let mut scores = vec![f64::NAN; rows];
                self.score(engine, values, scratch, &mut scores);
                scores.into_iter().map(f64::to_bits).collect()
            };
            let expected = bits(Engine::Matrix, &mut scratch);
            for engine in Self::engines() {
                assert_eq!(
                    bits(engine, &mut scratch),
                    expected,
                    "{engine:?}, {rows} rows"
                );
            }
        }
    }

    fn compare(&self, name: &str, rows: usize, turns: usize, figures: &mut Figures) {
        let engines = Self::engines();
        let mut nanos = vec![Vec::with_capacity(turns * CALLS_A_TURN); engines.len()];
        let mut blocks = self.values.chunks_exact(rows * self.columns).cycle();
        let mut scratch = Scratch::default();
        let mut scores = vec![0.0; rows];
        for _ in 0..turns {
            for (engine, nanos) in engines.iter().zip(&mut nanos) {
                for _ in 0..CALLS_A_TURN {
                    // A copy, since the service too has just written the rows that it scores.
                    let values = blocks.next().unwrap().to_vec();
                    let begin = CpuTime::now();
                    self.score(*engine, black_box(&values), &mut scratch, &mut scores);
                    nanos.push(begin.nanos() / rows as f64);
                    black_box(&scores);
                }
            }
        }
        let medians: Vec<f64> = nanos.iter_mut().map(|nanos| median(nanos)).collect();
        let of = |engine| medians[engines.iter().position(|e| *e == engine).unwrap()];
        let lightgbm = of(Engine::Matrix).min(of(Engine::SingleRowFast));
        eprintln!("{name}: ns a row");
        for (engine, nanos) in engines.iter().zip(&medians) {
            eprintln!("  {nanos:>9.0}  {:>6.2}  {engine:?}", lightgbm / nanos);
        }
        let mut add = |path: &str, nanos: f64| {
            figures.push((format!("{name}{path}.ns_per_row"), nanos, "ns"));
            figures.push((
                format!("{name}{path}.vs_lightgbm"),
                lightgbm / nanos,
                "times",
            ));
        };
        add("", medians[0]);
        for (engine, nanos) in engines.iter().zip(&medians) {
            match engine {
                Engine::Ours(isa) => add(&format!(".{isa:?}").to_lowercase(), *nanos),
                Engine::Plain => add(".plain", *nanos),
                Engine::Matrix | Engine::SingleRowFast => {}
            }
        }
        figures.push((format!("{name}.lightgbm.ns_per_row"), lightgbm, "ns"));
    }
}

/// Reads a model of 5 MB from memory to ready.
fn load(text: &str, figures: &mut Figures) {
    let text = enlarged(text);
    let millis = |_| {
        let begin = CpuTime::now();
        black_box(Forest::parse(black_box(text.as_bytes())).unwrap());
        begin.nanos() / 1e6
    };
    let mut millis: Vec<f64> = (0..15).map(millis).collect();
    eprintln!("{} bytes are loaded", text.len());
    figures.push(("forest.load_5mb.ms".into(), median(&mut millis), "ms"));
}

/// The trees of a model again and again, until it has [`LOADED_BYTES`].
fn enlarged(text: &str) -> String {
    let (head, rest) = text.split_once("\n\n").unwrap();
    let (trees, end) = rest.split_once("end of trees").unwrap();
    let bodies: Vec<&str> = trees
        .split_inclusive("\n\n\n")
        .map(|tree| tree.split_once('\n').unwrap().1)
        .collect();
    let (mut blocks, mut bytes) = (Vec::new(), 0);
    for (tree, body) in bodies.iter().cycle().enumerate() {
        if bytes > LOADED_BYTES {
            break;
        }
        blocks.push(format!("Tree={tree}\n{body}"));
        bytes += blocks[tree].len();
    }
    let sizes: Vec<String> = blocks.iter().map(|block| block.len().to_string()).collect();
    let (head, _) = head.split_once("tree_sizes=").unwrap();
    format!(
        "{head}tree_sizes={}\n\n{}end of trees{end}",
        sizes.join(" "),
        blocks.concat()
    )
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

//! Every way of scoring gives the plain walk's score to the last bit.

use proptest::prelude::*;
use searchop_model::forest::{Forest, Isa, Scratch};

use crate::forest_text::{leaf, model, with_header};

/// What can go wrong at a threshold: rounding to f32, zeros within ±1e-35, the ends.
const THRESHOLDS: [f64; 16] = [
    0.0,
    -0.0,
    0.1,
    0.10000000149011612,
    -0.1,
    1.0000000180025095e-35,
    -1.0000000180025095e-35,
    1e-36,
    -1e-36,
    1e-320,
    -1e-320,
    1e300,
    -1e300,
    f64::INFINITY,
    f64::NEG_INFINITY,
    16_777_217.0,
];

const VALUES: [f32; 14] = [
    0.0,
    -0.0,
    0.1,
    -0.1,
    1e-35,
    -1e-35,
    1e-36,
    -1e-45,
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::MAX,
    f32::MIN,
    16_777_216.0,
];

/// Steele, Lea and Flood's SplitMix64.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// In -1..1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    fn threshold(&mut self) -> f64 {
        match self.below(4) {
            0 => self.one(&THRESHOLDS),
            1 => f64::from((self.unit() * 8.0).round() as f32),
            _ => self.unit() * 9.0,
        }
    }

    /// Some are just at, above or below a threshold.
    fn value(&mut self, thresholds: &[f64]) -> f32 {
        let near = self.one(thresholds) as f32;
        match self.below(6) {
            0 => self.one(&VALUES),
            1 => near,
            2 => near.next_up(),
            3 => near.next_down(),
            4 => (self.below(70) as f32) - 3.0,
            _ => (self.unit() * 10.0) as f32,
        }
    }
}

/// The shape of random forests.
#[derive(Clone, Copy, Debug)]
struct Shape {
    trees: usize,
    /// Most leaves of a tree.
    leaves: usize,
    features: usize,
    /// Whether every split is of the newest leaf.
    chains: bool,
    /// Whether each feature treats missing values in one way, as LightGBM's do.
    one_missing_type: bool,
}

struct Sample {
    forest: Forest,
    thresholds: Vec<f64>,
    shape: Shape,
}

impl Sample {
    fn new(shape: Shape, draw: &mut Draw) -> Self {
        let mut thresholds = vec![0.0];
        let trees: Vec<String> = (0..shape.trees)
            .map(|_| tree(shape, draw, &mut thresholds))
            .collect();
        let names: Vec<String> = (0..shape.features).map(|f| format!("f{f}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let text = match draw.below(3) {
            0 => with_header(&names, &trees, "average_output\n"),
            _ => model(&names, &trees),
        };
        Self {
            forest: Forest::parse(text.as_bytes()).unwrap(),
            thresholds,
            shape,
        }
    }

    fn values(&self, rows: usize, draw: &mut Draw) -> Vec<f32> {
        (0..rows * self.shape.features)
            .map(|_| draw.value(&self.thresholds))
            .collect()
    }
}

/// A tree grown by splitting leaves, in LightGBM's numbering.
fn tree(shape: Shape, draw: &mut Draw, thresholds: &mut Vec<f64>) -> String {
    let leaves = 1 + draw.below(shape.leaves);
    if leaves == 1 {
        return leaf(&format!("{:.17e}", draw.unit()));
    }
    let mut columns: [Vec<String>; 5] = Default::default();
    let (mut boundaries, mut words): (Vec<usize>, Vec<u32>) = (vec![0], Vec::new());
    let mut parent: Vec<Option<(usize, usize)>> = vec![None];
    for node in 0..leaves - 1 {
        let split = if shape.chains {
            node
        } else {
            draw.below(node + 1)
        };
        if let Some((above, side)) = parent[split] {
            columns[side][above] = node.to_string();
        }
        columns[3].push((!(split as i64)).to_string());
        columns[4].push((!(node as i64 + 1)).to_string());
        parent[split] = Some((node, 3));
        parent.push(Some((node, 4)));
        let feature = draw.below(shape.features);
        columns[0].push(feature.to_string());
        if feature % 5 == 4 {
            columns[1].push((boundaries.len() - 1).to_string());
            columns[2].push("1".to_owned());
            words.extend((0..draw.below(3)).map(|_| draw.one(&[0, 1, 5, 0xffff_0000])));
            boundaries.push(words.len());
            continue;
        }
        let threshold = draw.threshold();
        thresholds.push(threshold);
        columns[1].push(format!("{threshold:e}"));
        let missing = if shape.one_missing_type {
            feature % 3
        } else {
            draw.below(3)
        };
        columns[2].push((missing << 2 | draw.below(2) << 1).to_string());
    }
    let values: Vec<String> = (0..leaves)
        .map(|_| format!("{:.17e}", draw.unit() * 3.0))
        .collect();
    let [features, thresholds, kinds, left, right] = columns.map(|column| column.join(" "));
    let categories = match boundaries.len() - 1 {
        0 => "num_cat=0".to_owned(),
        sets => {
            let bounds: Vec<String> = boundaries.iter().map(usize::to_string).collect();
            let words: Vec<String> = words.iter().map(u32::to_string).collect();
            format!(
                "num_cat={sets}\ncat_boundaries={}\ncat_threshold={}",
                bounds.join(" "),
                words.join(" ")
            )
        }
    };
    format!(
        "num_leaves={leaves}\n{categories}\nsplit_feature={features}\nthreshold={thresholds}\ndecision_type={kinds}\n\
         left_child={left}\nright_child={right}\nleaf_value={}\nis_linear=0",
        values.join(" ")
    )
}

/// Scores of all rows by each instruction set, after it was the plain walk's turn.
fn assert_equal(sample: &Sample, values: &[f32], scratch: &mut Scratch) {
    let width = sample.shape.features;
    let expected: Vec<f64> = values
        .chunks(width)
        .map(|row| sample.forest.score(row))
        .collect();
    for isa in Isa::available() {
        let mut scores = vec![f64::NAN; expected.len()];
        sample
            .forest
            .score_rows_with(isa, values, scratch, &mut scores);
        for ((row, score), expected) in values.chunks(width).zip(scores).zip(&expected) {
            assert_eq!(
                score.to_bits(),
                expected.to_bits(),
                "{isa:?} {:?} {row:?}",
                sample.shape
            );
        }
    }
}

fn shapes() -> impl Strategy<Value = Shape> {
    let leaves = prop_oneof![2..17_usize, 17..33_usize, 33..65_usize, 65..300_usize];
    (
        1..12_usize,
        leaves,
        1..12_usize,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(trees, leaves, features, chains, one_missing_type)| Shape {
                trees,
                leaves,
                features,
                chains,
                one_missing_type,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_way_scores_as_the_plain_walk(shape in shapes(), seed in any::<u64>(), rows in 0..300_usize) {
        let mut draw = Draw(seed);
        let sample = Sample::new(shape, &mut draw);
        let mut scratch = Scratch::default();
        for rows in [1, rows, 5] {
            assert_equal(&sample, &sample.values(rows, &mut draw), &mut scratch);
        }
    }
}

#[test]
fn the_largest_trees_and_many_trees_score_as_the_plain_walk() {
    let mut draw = Draw(7);
    let mut scratch = Scratch::default();
    let shape = |trees, leaves, features, chains| Shape {
        trees,
        leaves,
        features,
        chains,
        one_missing_type: true,
    };
    let shapes = [
        shape(3, 4096, 7, false),
        shape(3, 4096, 2, true),
        shape(2_000, 8, 30, false),
        shape(100, 257, 3, false),
        shape(100, 65, 9, true),
        // More thresholds of one feature than two levels of the search tree hold.
        shape(20, 4096, 1, false),
    ];
    for shape in shapes {
        let sample = Sample::new(shape, &mut draw);
        for rows in [1, 2, 63, 64, 65, 127, 128, 129, 200] {
            assert_equal(&sample, &sample.values(rows, &mut draw), &mut scratch);
        }
    }
}

#[test]
#[should_panic(expected = "a row has one value for each feature, and one score")]
fn scores_are_not_taken_for_rows() {
    let forest = Forest::parse(model(&["a", "b"], &[leaf("1")]).as_bytes()).unwrap();
    forest.score_rows(&[1.0, 2.0], &mut Scratch::default(), &mut [0.0, 0.0]);
}

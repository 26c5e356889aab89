//! Contributions against the definition of Shapley values, computed over all coalitions.

use searchop_model::forest::{ExplainError, Forest};

use crate::forest_text::{categorical, leaf, model, stump, two_splits, with_header};

const NAMES: [&str; 3] = ["a", "b", "c"];

/// A split or the value of a leaf.
enum Grown {
    Leaf {
        value: f64,
        count: u32,
    },
    Split {
        feature: usize,
        threshold: f64,
        children: [Box<Grown>; 2],
    },
}

use Grown::{Leaf, Split};

impl Grown {
    fn count(&self) -> u32 {
        match self {
            Leaf { count, .. } => *count,
            Split { children, .. } => children.iter().map(|child| child.count()).sum(),
        }
    }

    /// The mean score where only the features in `known` are known.
    fn value(&self, row: &[f32], known: u32) -> f64 {
        match self {
            Leaf { value, .. } => *value,
            Split {
                feature,
                threshold,
                children,
            } if known >> feature & 1 == 1 => {
                let right = f64::from(row[*feature]) > *threshold;
                children[usize::from(right)].value(row, known)
            }
            Split { children, .. } => {
                let part = |child: &Grown| f64::from(child.count()) * child.value(row, known);
                children.iter().map(|child| part(child)).sum::<f64>() / f64::from(self.count())
            }
        }
    }

    fn shapley(&self, row: &[f32], feature: usize) -> f64 {
        let factorial = |n: u32| (1..=n).product::<u32>().max(1);
        let features = row.len() as u32;
        let without = (0..1_u32 << features).filter(|known| known >> feature & 1 == 0);
        let part = |known: u32| {
            let size = known.count_ones();
            let orders = factorial(size) * factorial(features - size - 1);
            let gain = self.value(row, known | 1 << feature) - self.value(row, known);
            f64::from(orders) / f64::from(factorial(features)) * gain
        };
        without.map(part).sum()
    }
}

fn split(feature: usize, threshold: f64, left: Grown, right: Grown) -> Grown {
    Split {
        feature,
        threshold,
        children: [Box::new(left), Box::new(right)],
    }
}

/// Splits twice on feature 0 of the same path.
fn grown() -> Grown {
    let leaf = |value, count| Leaf { value, count };
    split(
        0,
        0.5,
        split(
            1,
            1.5,
            split(0, -0.5, leaf(1.0, 3), leaf(-2.0, 5)),
            leaf(4.0, 2),
        ),
        split(
            2,
            0.0,
            leaf(0.25, 7),
            split(0, 2.5, leaf(-1.0, 1), leaf(3.0, 6)),
        ),
    )
}

/// The same tree in LightGBM's text.
fn text() -> String {
    "num_leaves=6\nnum_cat=0\nsplit_feature=0 1 0 2 0\nthreshold=0.5 1.5 -0.5 0 2.5\n\
     decision_type=0 0 0 0 0\nleft_child=1 2 -1 -4 -5\nright_child=3 -3 -2 4 -6\n\
     leaf_value=1 -2 4 0.25 -1 3\nleaf_count=3 5 2 7 1 6\ninternal_count=24 10 8 14 7\nis_linear=0"
        .to_owned()
}

#[test]
fn contributions_are_shapley_values() {
    let tree = grown();
    let forest = Forest::parse(model(&NAMES, &[text()]).as_bytes()).unwrap();
    for a in [-1.0, 0.0, 1.0, 3.0] {
        for b in [1.0, 2.0] {
            for c in [-1.0, 1.0] {
                let row = [a, b, c];
                assert_eq!(forest.score(&row), tree.value(&row, 0b111));
                let parts = forest.explain(&row).unwrap();
                assert!((parts.expected - tree.value(&row, 0)).abs() < 1e-12);
                for (feature, part) in parts.features.iter().enumerate() {
                    let expected = tree.shapley(&row, feature);
                    assert!(
                        (part - expected).abs() < 1e-12,
                        "{row:?} {feature}: {part}, not {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn parts_of_all_trees_sum_to_the_score_and_to_differences() {
    let trees = [
        text(),
        leaf("0.5"),
        stump(1, "1.5", 2),
        two_splits(),
        categorical(),
    ];
    for text in [
        model(&NAMES, &trees),
        with_header(&NAMES, &trees, "average_output\n"),
    ] {
        let forest = Forest::parse(text.as_bytes()).unwrap();
        let sum = |parts: &[f64]| parts.iter().sum::<f64>();
        let [one, other] = [[2.0, f32::NAN, 0.5], [0.0, 2.0, -1.0]].map(|row| {
            let parts = forest.explain(&row).unwrap();
            let score = forest.score(&row);
            assert!((parts.expected + sum(&parts.features) - score).abs() < 1e-12);
            (parts, score)
        });
        let difference = one.0.minus(&other.0);
        assert!((sum(&difference) - (one.1 - other.1)).abs() < 1e-12);
    }
}

#[test]
fn forests_without_counts_and_forests_that_take_too_long_say_so() {
    let refusal = |trees: &[String], names: &[&str]| {
        let forest = Forest::parse(model(names, trees).as_bytes()).unwrap();
        forest.explain(&vec![0.0; names.len()]).unwrap_err()
    };
    let without = [
        two_splits().replace("leaf_count=1 1 1\n", ""),
        two_splits().replace("leaf_count=1 1 1\n", "leaf_count=1 0 1\n"),
    ];
    for tree in without {
        assert_eq!(
            refusal(&[leaf("0"), tree], &NAMES),
            ExplainError::NoCounts { tree: 1 }
        );
    }
    let tree = two_splits().replace("leaf_count=1 1 1", "leaf_count=1 x 1");
    assert_eq!(
        Forest::parse(model(&NAMES, &[tree]).as_bytes())
            .unwrap_err()
            .to_string(),
        "tree 0: leaf_count[1]=x is not a number that fits"
    );
    // A chain whose every split is on a feature of its own.
    let nodes = 2_000;
    let join = |value: &dyn Fn(usize) -> String, n| (0..n).map(value).collect::<Vec<_>>().join(" ");
    let chain = format!(
        "num_leaves={}\nnum_cat=0\nsplit_feature={}\nthreshold={}\ndecision_type={}\nleft_child={}\nright_child={}\n\
         leaf_value={}\nleaf_count={}\ninternal_count={}\nis_linear=0",
        nodes + 1,
        join(&|node| node.to_string(), nodes),
        join(&|_| "0".into(), nodes),
        join(&|_| "2".into(), nodes),
        join(&|node| (!(node as i32)).to_string(), nodes),
        join(
            &|node| if node + 1 < nodes {
                (node + 1).to_string()
            } else {
                (!(nodes as i32)).to_string()
            },
            nodes
        ),
        join(&|leaf| leaf.to_string(), nodes + 1),
        join(&|_| "1".into(), nodes + 1),
        join(&|node| (nodes + 1 - node).to_string(), nodes),
    );
    let names: Vec<String> = (0..nodes).map(|feature| format!("f{feature}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(
        refusal(&[chain], &names),
        ExplainError::TooLarge {
            steps: 2_001 * 2_001 * 2_001
        }
    );
}

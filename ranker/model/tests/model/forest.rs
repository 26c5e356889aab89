use proptest::prelude::*;
use searchop_model::forest::{Forest, ForestError, MAX_LEAVES, MAX_TREES};

use crate::forest_text::{categorical, leaf, model, split, stump, two_splits, with_header};

const NAMES: [&str; 2] = ["a", "b"];

fn parse(text: &str) -> Forest {
    Forest::parse(text.as_bytes()).unwrap()
}

fn message(text: &[u8]) -> String {
    match Forest::parse(text) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn numeric_splits_decide_as_lightgbm_does() {
    const NAN: f32 = f32::NAN;
    const NONE: u8 = 0;
    const ZERO: u8 = 4;
    const MISSING_NAN: u8 = 8;
    const LEFT: u8 = 2;
    let cases = [
        (NONE, "0.5", 0.5, true),
        (NONE, "0.5", 0.6, false),
        (NONE, "0.5", f32::NEG_INFINITY, true),
        (NONE, "0.5", f32::INFINITY, false),
        // A threshold has more digits than the value: 0.1f32 is larger than 0.1.
        (NONE, "0.1", 0.1, false),
        (NONE, "0.10000000149011612", 0.1, true),
        // Without a missing type NaN is 0 and the default direction means nothing.
        (NONE, "0.5", NAN, true),
        (NONE, "-0.5", NAN, false),
        (NONE | LEFT, "-0.5", NAN, false),
        // Zero: NaN and everything within 1e-35 go the default way.
        (ZERO, "0.5", 0.0, false),
        (ZERO, "0.5", -0.0, false),
        (ZERO, "0.5", NAN, false),
        (ZERO, "0.5", 1e-36, false),
        (ZERO, "0.5", -1e-36, false),
        (ZERO, "0.5", 1e-35, false),
        (ZERO, "0.5", 1e-34, true),
        (ZERO | LEFT, "-0.5", 0.0, true),
        (ZERO | LEFT, "-0.5", NAN, true),
        (ZERO | LEFT, "-0.5", 1e-34, false),
        // NaN: only NaN goes the default way.
        (MISSING_NAN, "0.5", NAN, false),
        (MISSING_NAN, "0.5", 0.0, true),
        (MISSING_NAN | LEFT, "-0.5", NAN, true),
        (MISSING_NAN | LEFT, "-0.5", 0.0, false),
        // LightGBM's own threshold between zero and what is larger.
        (NONE, "1.0000000180025095e-35", 0.0, true),
        (NONE, "1.0000000180025095e-35", 1e-34, false),
        (NONE, "-1.0000000180025095e-35", -1e-36, false),
    ];
    for (decision_type, threshold, value, left) in cases {
        let forest = parse(&model(&NAMES, &[stump(1, threshold, decision_type)]));
        let expected = if left { 1.0 } else { 2.0 };
        assert_eq!(
            forest.score(&[9.0, value]),
            expected,
            "type {decision_type}, {value} <= {threshold}"
        );
    }
}

#[test]
fn categorical_splits_look_into_the_bitset() {
    let forest = parse(&model(&NAMES, &[categorical()]));
    let left = [0.0, 2.0, 32.0, 2.9, -0.5, -0.0];
    let right = [
        1.0,
        3.0,
        31.0,
        33.0,
        64.0,
        1e9,
        3e9,
        -1.0,
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
    ];
    for value in left {
        assert_eq!(forest.score(&[value, 0.0]), 1.0, "{value}");
    }
    for value in right {
        assert_eq!(forest.score(&[value, 0.0]), 2.0, "{value}");
    }
}

#[test]
fn nested_splits_reach_every_leaf() {
    let forest = parse(&model(&NAMES, &[two_splits()]));
    assert_eq!(forest.score(&[0.0, 1.0]), 1.0);
    assert_eq!(forest.score(&[0.0, 2.0]), 2.0);
    assert_eq!(forest.score(&[1.0, 1.0]), 4.0);
}

#[test]
fn trees_are_summed_in_their_order() {
    let big = ["1e16", "1", "-1e16"].map(leaf);
    assert_eq!(parse(&model(&NAMES, &big)).score(&[0.0, 0.0]), 0.0);
    let small_first = ["1e16", "-1e16", "1"].map(leaf);
    assert_eq!(parse(&model(&NAMES, &small_first)).score(&[0.0, 0.0]), 1.0);
    let forest = parse(&model(&NAMES, &[leaf("0.25"), two_splits()]));
    assert_eq!((forest.trees(), forest.score(&[1.0, 0.0])), (2, 4.25));
    assert_eq!(forest.feature_names(), NAMES);
}

#[test]
fn an_averaging_forest_averages() {
    let text = with_header(&NAMES, &[leaf("1"), leaf("2")], "average_output\n");
    assert_eq!(parse(&text).score(&[0.0, 0.0]), 1.5);
}

#[test]
fn leaf_values_keep_every_digit() {
    for value in [
        0.1f64,
        1.0 / 3.0,
        -2.2250738585072014e-308,
        123_456_789.123_456_79,
    ] {
        let text = model(&NAMES, &[split(0, "0", 0, [&format!("{value:.17e}"), "0"])]);
        assert_eq!(parse(&text).score(&[-1.0, 0.0]), value);
    }
}

#[test]
fn trees_that_cannot_be_walked_are_refused() {
    let cases = [
        (
            "left_child=1 -1",
            "left_child=99 -1",
            "left_child[0]=99 is out of range 0..2",
        ),
        (
            "left_child=1 -1",
            "left_child=1 -4",
            "left_child[1]=-4 is out of range -3..0",
        ),
        (
            "right_child=-3 -2",
            "right_child=-3 2",
            "right_child[1]=2 is out of range 0..2",
        ),
        (
            "right_child=-3 -2",
            "right_child=-3 0",
            "right_child[1]=0 leads back to the root",
        ),
        (
            "right_child=-3 -2",
            "right_child=-1 -2",
            "left_child[1]=-1 has two parents",
        ),
        (
            "right_child=-3 -2",
            "right_child=1 -2",
            "right_child[0]=1 has two parents",
        ),
        (
            "left_child=1 -1",
            "left_child=-1 1",
            "node 1 is not reached from the root",
        ),
        (
            "left_child=1 -1",
            "left_child=1",
            "left_child has 1 values, expected 2",
        ),
        ("left_child=1 -1\n", "", "left_child is missing"),
        (
            "left_child=1 -1",
            "left_child=1 x",
            "left_child[1]=x is not a number that fits",
        ),
        (
            "left_child=1 -1",
            "left_child=1 99999999999",
            "left_child[1]=99999999999 is not a number that fits",
        ),
        (
            "split_feature=0 1",
            "split_feature=0 2",
            "split_feature[1]=2 is out of range 0..2",
        ),
        (
            "split_feature=0 1",
            "split_feature=-1 1",
            "split_feature[0]=-1 is out of range 0..2",
        ),
        (
            "threshold=0.5 1.5",
            "threshold=0.5 nan",
            "threshold[1] is not a number",
        ),
        (
            "decision_type=2 2",
            "decision_type=2 14",
            "decision_type[1]=14 is unknown",
        ),
        (
            "decision_type=2 2",
            "decision_type=2 64",
            "decision_type[1]=64 is unknown",
        ),
        (
            "decision_type=2 2",
            "decision_type=2 -1",
            "decision_type[1]=-1 is not a number that fits",
        ),
        (
            "decision_type=2 2",
            "decision_type=3 2",
            "threshold[0]=0.5 is not one of the 0 categorical splits",
        ),
        (
            "leaf_value=1 2 4",
            "leaf_value=1 nan 4",
            "leaf_value[1]=NaN is not finite",
        ),
        (
            "leaf_value=1 2 4",
            "leaf_value=1 2 -inf",
            "leaf_value[2]=-inf is not finite",
        ),
        (
            "leaf_value=1 2 4",
            "leaf_value=1 2",
            "leaf_value has 2 values, expected 3",
        ),
        ("leaf_value=1 2 4\n", "", "leaf_value is missing"),
        (
            "num_leaves=3",
            "num_leaves=0",
            "num_leaves=0 is out of range 1..4097",
        ),
        (
            "num_leaves=3",
            "num_leaves=4097",
            "num_leaves=4097 is out of range 1..4097",
        ),
        (
            "num_leaves=3",
            "num_leaves=-1",
            "num_leaves=-1 is not a number that fits",
        ),
        (
            "num_leaves=3",
            "num_leaves=3\nnum_leaves=3",
            "num_leaves is there twice",
        ),
        (
            "num_leaves=3",
            "num_leaves=2",
            "leaf_value has 3 values, expected 2",
        ),
        (
            "is_linear=0",
            "is_linear=1",
            "is a linear tree, which is not supported",
        ),
        ("is_linear=0\n", "", "is_linear is missing"),
        (
            "is_linear=0",
            "is_linear=0\nleaf_bias=1",
            "key \"leaf_bias\" is not known",
        ),
        (
            "split_gain=1 1",
            "split_gain=1 one",
            "split_gain[1]=one is not a number that fits",
        ),
        (
            "leaf_weight=1 1 1",
            "leaf_weight=1 1",
            "leaf_weight has 2 values, expected 3",
        ),
        (
            "shrinkage=1",
            "shrinkage=",
            "shrinkage has 0 values, expected 1",
        ),
        ("num_cat=0\n", "", "num_cat is missing"),
        ("num_cat=0", "num_cat=1", "cat_boundaries is missing"),
    ];
    for (from, to, expected) in cases {
        let tree = two_splits();
        assert!(tree.contains(from), "{from}");
        let text = model(&NAMES, &[leaf("0"), tree.replacen(from, to, 1)]);
        assert_eq!(
            message(text.as_bytes()),
            format!("tree 1: {expected}"),
            "{from} -> {to}"
        );
    }
}

#[test]
fn categorical_splits_that_cannot_be_looked_up_are_refused() {
    let cases = [
        (
            "threshold=0",
            "threshold=1",
            "threshold[0]=1 is not one of the 1 categorical splits",
        ),
        (
            "threshold=0",
            "threshold=0.5",
            "threshold[0]=0.5 is not one of the 1 categorical splits",
        ),
        (
            "threshold=0",
            "threshold=-1",
            "threshold[0]=-1 is not one of the 1 categorical splits",
        ),
        (
            "cat_boundaries=0 2",
            "cat_boundaries=0 3",
            "cat_threshold has 2 values, expected 3",
        ),
        (
            "cat_boundaries=0 2",
            "cat_boundaries=1 2",
            "cat_boundaries does not rise from 0 to at most 1048576",
        ),
        (
            "cat_boundaries=0 2",
            "cat_boundaries=0 9999999",
            "cat_boundaries does not rise from 0 to at most 1048576",
        ),
        (
            "cat_boundaries=0 2",
            "cat_boundaries=0",
            "cat_boundaries has 1 values, expected 2",
        ),
        (
            "cat_threshold=5 1",
            "cat_threshold=5 4294967296",
            "cat_threshold[1]=4294967296 is not a number that fits",
        ),
        (
            "num_cat=1",
            "num_cat=4096",
            "num_cat=4096 is out of range 0..4096",
        ),
    ];
    for (from, to, expected) in cases {
        let text = model(&NAMES, &[categorical().replacen(from, to, 1)]);
        assert_eq!(
            message(text.as_bytes()),
            format!("tree 0: {expected}"),
            "{from} -> {to}"
        );
    }
}

#[test]
fn texts_that_are_not_whole_models_are_refused() {
    let good = model(&NAMES, &[leaf("0"), two_splits()]);
    let cases = [
        (
            "tree\n",
            "forest\n",
            "model text: does not begin with a line \"tree\"",
        ),
        (
            "version=v4",
            "version=v3",
            "model text: version=v3 is not supported, only version=v4 is",
        ),
        ("version=v4\n", "", "model text: version is missing"),
        (
            "num_class=1",
            "num_class=3",
            "model text: num_class=3 is not supported, only num_class=1 is",
        ),
        (
            "num_tree_per_iteration=1",
            "num_tree_per_iteration=3",
            "model text: num_tree_per_iteration=3 is not supported, only num_tree_per_iteration=1 is",
        ),
        (
            "max_feature_idx=1",
            "max_feature_idx=2",
            "model text: feature_names has 2 names, max_feature_idx=2 needs 3",
        ),
        (
            "max_feature_idx=1",
            "max_feature_idx=99999",
            "model text: max_feature_idx=99999 is out of range 0..4096",
        ),
        (
            "feature_names=a b\n",
            "",
            "model text: feature_names is missing",
        ),
        (
            "label_index=0",
            "label_place=0",
            "model text: key \"label_place\" is not known",
        ),
        (
            "Tree=1",
            "Tree=2",
            "tree 1: expected \"Tree=1\", found \"Tree=2\"",
        ),
        (
            "end of trees",
            "end of tree",
            "model text: \"end of trees\" is not where tree_sizes puts it, after 2 trees",
        ),
        (
            "end of parameters",
            "end of them",
            "model text: \"end of parameters\" is missing: it is cut off or altered",
        ),
        (
            "label_index=0",
            "label_index=x",
            "model text: label_index[0]=x is not a number that fits",
        ),
        (
            "feature_infos=[0:1] [0:1]",
            "feature_infos=[0:1]",
            "model text: feature_infos has 1 values, expected 2",
        ),
        (
            "leaf_value=1 2 4",
            "leaf_value=1 2 40",
            "model text: \"end of trees\" is not where tree_sizes puts it, after 2 trees",
        ),
    ];
    assert_eq!(message(good.as_bytes()), "accepted");
    for (from, to, expected) in cases {
        assert!(good.contains(from), "{from}");
        assert_eq!(
            message(good.replacen(from, to, 1).as_bytes()),
            expected,
            "{from} -> {to}"
        );
    }
    let sizes = good
        .lines()
        .find(|line| line.starts_with("tree_sizes"))
        .unwrap();
    assert_eq!(
        message(good.replace(sizes, "tree_sizes=").as_bytes()),
        "model text: tree_sizes names 0 trees, from 1 to 10000 are read"
    );
    let one = sizes.rsplit_once(' ').unwrap().0;
    assert_eq!(
        message(good.replace(sizes, one).as_bytes()),
        "model text: \"end of trees\" is not where tree_sizes puts it, after 1 trees"
    );
    assert_eq!(
        message(good.replace(sizes, "").as_bytes()),
        "model text: tree_sizes is missing"
    );
    let huge = good.replace(sizes, "tree_sizes=1 18446744073709551615");
    assert!(message(huge.as_bytes()).starts_with("tree 0: expected \"Tree=0\""));
    assert_eq!(
        message(&[b"tree\n", &[0xff][..]].concat()),
        "model text: is not UTF-8 from byte 5"
    );
    assert_eq!(
        message(b""),
        "model text: does not begin with a line \"tree\""
    );
}

#[test]
fn too_many_trees_are_refused_and_the_largest_tree_is_read() {
    let trees = vec![leaf("0"); MAX_TREES + 1];
    assert_eq!(
        Forest::parse(model(&NAMES, &trees).as_bytes()).unwrap_err(),
        ForestError::Model("tree_sizes names 10001 trees, from 1 to 10000 are read".into())
    );
    // A chain: every node has a leaf on its left.
    let nodes = MAX_LEAVES - 1;
    let join = |values: Vec<String>| values.join(" ");
    let text = format!(
        "num_leaves={MAX_LEAVES}\nnum_cat=0\nsplit_feature={}\nthreshold={}\ndecision_type={}\nleft_child={}\n\
         right_child={}\nleaf_value={}\nis_linear=0",
        vec!["0"; nodes].join(" "),
        join((0..nodes).map(|node| node.to_string()).collect()),
        vec!["2"; nodes].join(" "),
        join((0..nodes).map(|node| format!("-{}", node + 1)).collect()),
        join(
            (1..=nodes)
                .map(|node| if node < nodes {
                    node.to_string()
                } else {
                    format!("-{MAX_LEAVES}")
                })
                .collect()
        ),
        join((0..MAX_LEAVES).map(|leaf| leaf.to_string()).collect()),
    );
    let forest = parse(&model(&NAMES, &[text]));
    for row in [0.0, 1.0, 2047.5, 9999.0f32] {
        assert_eq!(
            forest.score(&[row, 0.0]),
            f64::from(row.ceil()).min((MAX_LEAVES - 1) as f64)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn random_trees_score_as_a_recursive_reading_of_them(
        choices in prop::collection::vec((any::<prop::sample::Index>(), 0..2usize, -9..9i32, 0..3u8, any::<bool>()), 1..40),
        rows in prop::collection::vec(prop::array::uniform2(prop_oneof![Just(f32::NAN), Just(0.0f32), (-10..10i32).prop_map(|v| v as f32)]), 20),
    ) {
        let grown = Grown::new(&choices);
        let forest = parse(&model(&NAMES, &[grown.text()]));
        for row in rows {
            prop_assert_eq!(forest.score(&row), f64::from(grown.leaf_of(&row)));
        }
    }
}

/// A tree grown the way LightGBM grows one: a leaf is split, it keeps the left side and the new
/// leaf gets the right.
struct Grown {
    splits: Vec<GrownSplit>,
}

struct GrownSplit {
    leaf: usize,
    feature: usize,
    threshold: i32,
    missing: u8,
    default_left: bool,
}

impl Grown {
    fn new(choices: &[(prop::sample::Index, usize, i32, u8, bool)]) -> Self {
        let split = |(index, &(leaf, feature, threshold, missing, default_left)): (
            usize,
            &(prop::sample::Index, usize, i32, u8, bool),
        )| GrownSplit {
            leaf: leaf.index(index + 1),
            feature,
            threshold,
            missing,
            default_left,
        };
        Self {
            splits: choices.iter().enumerate().map(split).collect(),
        }
    }

    /// Replays the growth: a row in a leaf that is split moves on if it goes right.
    fn leaf_of(&self, row: &[f32]) -> u32 {
        let mut leaf = 0;
        for (index, split) in self.splits.iter().enumerate() {
            if split.leaf == leaf && !split.goes_left(row[split.feature]) {
                leaf = index + 1;
            }
        }
        leaf as u32
    }

    fn text(&self) -> String {
        let count = self.splits.len();
        let (mut left, mut right) = (vec![0i32; count], vec![0i32; count]);
        let mut parent: Vec<Option<(usize, bool)>> = vec![None];
        for (node, split) in self.splits.iter().enumerate() {
            if let Some((above, is_left)) = parent[split.leaf] {
                if is_left {
                    left[above] = node as i32
                } else {
                    right[above] = node as i32
                }
            }
            (left[node], right[node]) = (!(split.leaf as i32), !(node as i32 + 1));
            parent[split.leaf] = Some((node, true));
            parent.push(Some((node, false)));
        }
        let join = |value: &dyn Fn(usize) -> String, n: usize| {
            (0..n).map(value).collect::<Vec<_>>().join(" ")
        };
        format!(
            "num_leaves={}\nnum_cat=0\nsplit_feature={}\nthreshold={}\ndecision_type={}\nleft_child={}\nright_child={}\nleaf_value={}\nis_linear=0",
            count + 1,
            join(&|node| self.splits[node].feature.to_string(), count),
            join(&|node| format!("{}.5", self.splits[node].threshold), count),
            join(&|node| self.splits[node].decision_type().to_string(), count),
            join(&|node| left[node].to_string(), count),
            join(&|node| right[node].to_string(), count),
            join(&|leaf| leaf.to_string(), count + 1),
        )
    }
}

impl GrownSplit {
    fn decision_type(&self) -> u8 {
        self.missing << 2 | u8::from(self.default_left) << 1
    }

    fn goes_left(&self, value: f32) -> bool {
        let threshold: f32 = format!("{}.5", self.threshold).parse().unwrap();
        match (self.missing, value.is_nan(), value == 0.0) {
            (2, true, _) | (1, true, _) | (1, _, true) => self.default_left,
            (_, true, _) => 0.0 <= threshold,
            _ => value <= threshold,
        }
    }
}

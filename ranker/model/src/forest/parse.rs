use std::{collections::BTreeMap, fmt::Display, str::FromStr};

use super::{Counts, Forest, Isa, Layout, Missing, Node, Split, Tree};

/// Longest model text that is read.
pub const MAX_BYTES: usize = 512 << 20;
pub const MAX_TREES: usize = 10_000;
/// Most leaves of one tree.
pub const MAX_LEAVES: usize = 4_096;
pub const MAX_FEATURES: usize = 4_096;
/// Most 32-bit words in the categorical bitsets of one tree.
const MAX_CATEGORY_WORDS: usize = 1 << 20;

/// What LightGBM 4 writes before the trees. A key that is not known may change what scores mean.
const HEADER_KEYS: [&str; 11] = [
    "version",
    "num_class",
    "num_tree_per_iteration",
    "label_index",
    "max_feature_idx",
    "objective",
    "average_output",
    "feature_names",
    "monotone_constraints",
    "feature_infos",
    "tree_sizes",
];
/// The same for a tree.
const TREE_KEYS: [&str; 22] = [
    "num_leaves",
    "num_cat",
    "split_feature",
    "split_gain",
    "threshold",
    "decision_type",
    "left_child",
    "right_child",
    "leaf_value",
    "leaf_weight",
    "leaf_count",
    "internal_value",
    "internal_weight",
    "internal_count",
    "cat_boundaries",
    "cat_threshold",
    "is_linear",
    "leaf_const",
    "num_features",
    "leaf_features",
    "leaf_coeff",
    "shrinkage",
];

const CATEGORICAL: u8 = 1;
const DEFAULT_LEFT: u8 = 2;

/// Why a text is not a forest that can be scored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForestError {
    /// In the lines before the first tree, or in the text as a whole.
    #[error("model text: {0}")]
    Model(String),
    #[error("tree {tree}: {detail}")]
    Tree { tree: usize, detail: String },
}

/// A problem that has not been given its place yet.
type Detail<T> = Result<T, String>;

pub(super) fn parse(text: &[u8]) -> Result<Forest, ForestError> {
    let text = readable(text).map_err(ForestError::Model)?;
    let (header, trees) = Header::parse(text).map_err(ForestError::Model)?;
    let mut rest = trees;
    let mut parsed = Vec::with_capacity(header.tree_sizes.len());
    for (tree, &size) in header.tree_sizes.iter().enumerate() {
        let place = |detail| ForestError::Tree { tree, detail };
        let (block, after) = rest.split_at_checked(size).ok_or_else(|| {
            place(format!(
                "tree_sizes gives it {size} bytes, the text has {} more: it is cut off or altered",
                rest.len()
            ))
        })?;
        parsed.push(parse_tree(block, tree, header.feature_names.len()).map_err(place)?);
        rest = after;
    }
    if !rest.starts_with("end of trees\n") {
        let detail = format!(
            "\"end of trees\" is not where tree_sizes puts it, after {} trees",
            parsed.len()
        );
        return Err(ForestError::Model(detail));
    }
    // Nothing behind the trees is read, but a text without its last line is not whole.
    if !rest.contains("\nend of parameters\n") {
        let detail = "\"end of parameters\" is missing: it is cut off or altered";
        return Err(ForestError::Model(detail.to_owned()));
    }
    Ok(Forest {
        feature_names: header.feature_names,
        layout: Layout::new(&parsed),
        trees: parsed,
        average_output: header.average_output,
        isa: Isa::best(),
    })
}

fn readable(text: &[u8]) -> Detail<&str> {
    if text.len() > MAX_BYTES {
        return Err(format!(
            "has {} bytes, at most {MAX_BYTES} are read",
            text.len()
        ));
    }
    std::str::from_utf8(text)
        .map_err(|error| format!("is not UTF-8 from byte {}", error.valid_up_to()))
}

struct Header {
    feature_names: Vec<String>,
    tree_sizes: Vec<usize>,
    average_output: bool,
}

impl Header {
    /// Reads up to the empty line before the trees; returns what follows it.
    fn parse(text: &str) -> Detail<(Self, &str)> {
        let body = text
            .strip_prefix("tree\n")
            .ok_or("does not begin with a line \"tree\"")?;
        let (head, trees) = body
            .split_once("\n\n")
            .ok_or("ends before the first tree")?;
        let lines = Lines::parse(head, &HEADER_KEYS)?;
        lines.expect("version", "v4")?;
        lines.expect("num_class", "1")?;
        lines.expect("num_tree_per_iteration", "1")?;
        let last: usize = number("max_feature_idx", lines.get("max_feature_idx")?)?;
        if last >= MAX_FEATURES {
            return Err(format!(
                "max_feature_idx={last} is out of range 0..{MAX_FEATURES}"
            ));
        }
        let names = lines.get("feature_names")?;
        let feature_names: Vec<String> = names.split(' ').map(str::to_owned).collect();
        if feature_names.len() != last + 1 {
            return Err(format!(
                "feature_names has {} names, max_feature_idx={last} needs {}",
                feature_names.len(),
                last + 1
            ));
        }
        let tree_sizes = lines.get("tree_sizes")?;
        let trees_named = tree_sizes.split_ascii_whitespace().count();
        if trees_named == 0 || trees_named > MAX_TREES {
            return Err(format!(
                "tree_sizes names {trees_named} trees, from 1 to {MAX_TREES} are read"
            ));
        }
        let tree_sizes = list("tree_sizes", tree_sizes, trees_named)?;
        lines.numbers::<usize>("label_index", 1)?;
        lines.words("feature_infos", last + 1)?;
        Ok((
            Self {
                feature_names,
                tree_sizes,
                average_output: lines.has("average_output"),
            },
            trees,
        ))
    }
}

/// `key=value` lines; a line without `=` is a key alone.
struct Lines<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Lines<'a> {
    fn parse(text: &'a str, known: &[&str]) -> Detail<Self> {
        let mut lines = BTreeMap::new();
        for line in text.split('\n').filter(|line| !line.is_empty()) {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            if !known.contains(&key) {
                return Err(format!("key {:?} is not known", shown(key)));
            }
            if lines.insert(key, value).is_some() {
                return Err(format!("{} is there twice", shown(key)));
            }
        }
        Ok(Self(lines))
    }

    fn get(&self, key: &str) -> Detail<&'a str> {
        self.0
            .get(key)
            .copied()
            .ok_or_else(|| format!("{key} is missing"))
    }

    fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Checks that what is not used is nevertheless what it should be, where it is there: a text
    /// that is damaged in one place is not to be trusted in others.
    fn words(&self, key: &str, count: usize) -> Detail<()> {
        let Some(text) = self.0.get(key) else {
            return Ok(());
        };
        match text.split_ascii_whitespace().count() {
            found if found == count => Ok(()),
            found => Err(format!("{key} has {found} values, expected {count}")),
        }
    }

    /// The same for a list of numbers.
    fn numbers<T: FromStr>(&self, key: &str, count: usize) -> Detail<()> {
        self.words(key, count)?;
        let words = self
            .0
            .get(key)
            .into_iter()
            .flat_map(|text| text.split_ascii_whitespace());
        for (index, word) in words.enumerate() {
            if word.parse::<T>().is_err() {
                return number::<T>(&format!("{key}[{index}]"), word).map(drop);
            }
        }
        Ok(())
    }

    fn expect(&self, key: &str, wanted: &str) -> Detail<()> {
        match self.get(key)? {
            found if found == wanted => Ok(()),
            found => Err(format!(
                "{key}={} is not supported, only {key}={wanted} is",
                shown(found)
            )),
        }
    }
}

fn parse_tree(block: &str, index: usize, features: usize) -> Detail<Tree> {
    let title = format!("Tree={index}\n");
    let body = block.strip_prefix(&title).ok_or_else(|| {
        let first = block.split('\n').next().unwrap_or_default();
        format!("expected \"Tree={index}\", found {:?}", shown(first))
    })?;
    let lines = Lines::parse(body, &TREE_KEYS)?;
    if lines.get("is_linear")? != "0" {
        return Err("is a linear tree, which is not supported".to_owned());
    }
    let leaves: usize = number("num_leaves", lines.get("num_leaves")?)?;
    if leaves == 0 || leaves > MAX_LEAVES {
        return Err(format!(
            "num_leaves={leaves} is out of range 1..{}",
            MAX_LEAVES + 1
        ));
    }
    let values = finite(
        "leaf_value",
        list("leaf_value", lines.get("leaf_value")?, leaves)?,
    )?;
    let categories = Categories::parse(&lines)?;
    let nodes = parse_nodes(&lines, leaves - 1, features, &categories)?;
    check_shape(&nodes)?;
    // Of a tree without a split LightGBM leaves these lists empty.
    if leaves > 1 {
        for key in ["split_gain", "internal_value", "internal_weight"] {
            lines.numbers::<f64>(key, leaves - 1)?;
        }
        lines.numbers::<f64>("leaf_weight", leaves)?;
    }
    lines.numbers::<f64>("shrinkage", 1)?;
    Ok(Tree {
        nodes,
        leaves: values,
        categories: categories.words,
        counts: parse_counts(&lines, leaves)?,
    })
}

/// The bitsets of a tree's categorical splits: split `i` owns `words[bounds[i]..bounds[i + 1]]`.
struct Categories {
    bounds: Vec<usize>,
    words: Vec<u32>,
}

impl Categories {
    fn parse(lines: &Lines) -> Detail<Self> {
        let count: usize = number("num_cat", lines.get("num_cat")?)?;
        if count >= MAX_LEAVES {
            return Err(format!("num_cat={count} is out of range 0..{MAX_LEAVES}"));
        }
        if count == 0 {
            return Ok(Self {
                bounds: vec![0],
                words: Vec::new(),
            });
        }
        let bounds: Vec<usize> = list("cat_boundaries", lines.get("cat_boundaries")?, count + 1)?;
        let words = bounds[count];
        if bounds[0] != 0 || !bounds.is_sorted() || words > MAX_CATEGORY_WORDS {
            return Err(format!(
                "cat_boundaries does not rise from 0 to at most {MAX_CATEGORY_WORDS}"
            ));
        }
        Ok(Self {
            words: list("cat_threshold", lines.get("cat_threshold")?, words)?,
            bounds,
        })
    }

    fn split(&self, node: usize, threshold: f64) -> Detail<Split> {
        let count = self.bounds.len() - 1;
        if threshold.fract() != 0.0 || !(0.0..count as f64).contains(&threshold) {
            return Err(format!(
                "threshold[{node}]={threshold} is not one of the {count} categorical splits"
            ));
        }
        let index = threshold as usize;
        Ok(Split::Categorical {
            start: self.bounds[index],
            end: self.bounds[index + 1],
        })
    }
}

fn parse_nodes(
    lines: &Lines,
    count: usize,
    features: usize,
    categories: &Categories,
) -> Detail<Vec<Node>> {
    let split_feature: Vec<i64> = list("split_feature", lines.get("split_feature")?, count)?;
    // LightGBM writes `inf` where it parts missing values from all others.
    let threshold: Vec<f64> = list("threshold", lines.get("threshold")?, count)?;
    if let Some(index) = threshold.iter().position(|value| value.is_nan()) {
        return Err(format!("threshold[{index}] is not a number"));
    }
    let decision_type: Vec<u8> = list("decision_type", lines.get("decision_type")?, count)?;
    let left = children("left_child", lines, count)?;
    let right = children("right_child", lines, count)?;
    let node = |index: usize| {
        let feature = usize::try_from(split_feature[index])
            .ok()
            .filter(|feature| *feature < features)
            .ok_or_else(|| {
                format!(
                    "split_feature[{index}]={} is out of range 0..{features}",
                    split_feature[index]
                )
            })?;
        let kind = decision_type[index];
        let missing = match kind >> 2 {
            0 => Missing::Never,
            1 => Missing::Zero,
            2 => Missing::NaN,
            _ => return Err(format!("decision_type[{index}]={kind} is unknown")),
        };
        let split = if kind & CATEGORICAL != 0 {
            categories.split(index, threshold[index])?
        } else {
            Split::Numeric {
                threshold: threshold[index],
                missing,
                default_left: kind & DEFAULT_LEFT != 0,
            }
        };
        Ok(Node {
            feature,
            split,
            left: left[index],
            right: right[index],
        })
    };
    (0..count).map(node).collect()
}

/// Scores do not need them, explanations do.
fn parse_counts(lines: &Lines, leaves: usize) -> Detail<Option<Counts>> {
    if leaves == 1 {
        let (nodes, leaves) = (Vec::new(), Vec::new());
        return Ok(Some(Counts { nodes, leaves }));
    }
    if !lines.has("leaf_count") || !lines.has("internal_count") {
        return Ok(None);
    }
    let counts = |key: &str, length| -> Detail<Vec<f64>> {
        let counts: Vec<u32> = list(key, lines.get(key)?, length)?;
        Ok(counts.into_iter().map(f64::from).collect())
    };
    let nodes = counts("internal_count", leaves - 1)?;
    let leaves = counts("leaf_count", leaves)?;
    let known = nodes.iter().chain(&leaves).all(|&count| count > 0.0);
    Ok(known.then_some(Counts { nodes, leaves }))
}

/// Children are nodes `0..count` or, as complements, leaves: `-1` is the first of `count + 1`.
fn children(key: &str, lines: &Lines, count: usize) -> Detail<Vec<i32>> {
    let children: Vec<i32> = list(key, lines.get(key)?, count)?;
    let (nodes, leaves) = (count as i32, count as i32 + 1);
    for (index, &child) in children.iter().enumerate() {
        if child >= nodes {
            return Err(format!("{key}[{index}]={child} is out of range 0..{nodes}"));
        }
        if child < -leaves {
            return Err(format!(
                "{key}[{index}]={child} is out of range -{leaves}..0"
            ));
        }
    }
    Ok(children)
}

/// Every node but the root, and every leaf, has exactly one parent and is reached from the root.
fn check_shape(nodes: &[Node]) -> Detail<()> {
    let mut node_has_parent = vec![false; nodes.len()];
    let mut leaf_has_parent = vec![false; nodes.len() + 1];
    for (index, node) in nodes.iter().enumerate() {
        for (key, child) in [("left_child", node.left), ("right_child", node.right)] {
            if child == 0 {
                return Err(format!("{key}[{index}]=0 leads back to the root"));
            }
            let seen = if child > 0 {
                &mut node_has_parent[child as usize]
            } else {
                &mut leaf_has_parent[!child as usize]
            };
            if std::mem::replace(seen, true) {
                return Err(format!("{key}[{index}]={child} has two parents"));
            }
        }
    }
    // With one parent each, what the walk from the root misses is a cycle of its own.
    let mut reached = vec![false; nodes.len()];
    let mut open = if nodes.is_empty() { vec![] } else { vec![0] };
    while let Some(next) = open.pop() {
        if next >= 0 {
            reached[next as usize] = true;
            open.extend([nodes[next as usize].left, nodes[next as usize].right]);
        }
    }
    match reached.iter().position(|reached| !reached) {
        Some(node) => Err(format!("node {node} is not reached from the root")),
        None => Ok(()),
    }
}

fn number<T: FromStr>(key: &str, text: &str) -> Detail<T> {
    text.parse()
        .map_err(|_| format!("{key}={} is not a number that fits", shown(text)))
}

/// Exactly `count` values with single spaces between them.
fn list<T: FromStr>(key: &str, text: &str, count: usize) -> Detail<Vec<T>> {
    let found = text.split_ascii_whitespace().count();
    if found != count {
        return Err(format!("{key} has {found} values, expected {count}"));
    }
    let value = |(index, word): (usize, &str)| {
        // The place is written out only where it is needed: there are millions of values.
        word.parse()
            .or_else(|_| number(&format!("{key}[{index}]"), word))
    };
    text.split_ascii_whitespace()
        .enumerate()
        .map(value)
        .collect()
}

fn finite(key: &str, values: Vec<f64>) -> Detail<Vec<f64>> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(format!("{key}[{index}]={} is not finite", values[index])),
        None => Ok(values),
    }
}

/// Enough of a foreign text to recognise it.
fn shown(text: &str) -> impl Display + std::fmt::Debug {
    text.chars().take(40).collect::<String>()
}

//! Writes LightGBM's text format by hand.

/// A model text; each tree is what stands below its `Tree=` line.
pub fn model(names: &[&str], trees: &[String]) -> String {
    with_header(names, trees, "")
}

/// The same with more header lines, each with its line end.
pub fn with_header(names: &[&str], trees: &[String], extra: &str) -> String {
    let blocks: Vec<String> = trees
        .iter()
        .enumerate()
        .map(|(index, tree)| format!("Tree={index}\n{tree}\n\n\n"))
        .collect();
    let sizes: Vec<String> = blocks.iter().map(|block| block.len().to_string()).collect();
    let infos = vec!["[0:1]"; names.len()].join(" ");
    format!(
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx={}\n\
         objective=lambdarank\n{extra}feature_names={}\nfeature_infos={infos}\ntree_sizes={}\n\n{}\
         end of trees\n\nfeature_importances:\n\nparameters:\n[boosting: gbdt]\n\nend of parameters\n",
        names.len() - 1,
        names.join(" "),
        sizes.join(" "),
        blocks.concat(),
    )
}

/// A tree that is one leaf.
pub fn leaf(value: &str) -> String {
    format!(
        "num_leaves=1\nnum_cat=0\nsplit_feature=\nsplit_gain=\nthreshold=\ndecision_type=\nleft_child=\n\
         right_child=\nleaf_value={value}\nleaf_weight=\nleaf_count=\ninternal_value=\ninternal_weight=\n\
         internal_count=\nis_linear=0\nshrinkage=1"
    )
}

/// One split; left gives 1, right gives 2.
pub fn stump(feature: usize, threshold: &str, decision_type: u8) -> String {
    split(feature, threshold, decision_type, ["1", "2"])
}

/// One split with the leaves' values.
pub fn split(feature: usize, threshold: &str, decision_type: u8, leaves: [&str; 2]) -> String {
    format!(
        "num_leaves=2\nnum_cat=0\nsplit_feature={feature}\nsplit_gain=1\nthreshold={threshold}\n\
         decision_type={decision_type}\nleft_child=-1\nright_child=-2\nleaf_value={}\nleaf_weight=1 1\n\
         leaf_count=1 1\ninternal_value=0\ninternal_weight=0\ninternal_count=2\nis_linear=0\nshrinkage=1",
        leaves.join(" ")
    )
}

/// Two splits on features 0 and 1 and three leaves: 1, 2 and 4.
pub fn two_splits() -> String {
    "num_leaves=3\nnum_cat=0\nsplit_feature=0 1\nsplit_gain=1 1\nthreshold=0.5 1.5\ndecision_type=2 2\n\
     left_child=1 -1\nright_child=-3 -2\nleaf_value=1 2 4\nleaf_weight=1 1 1\nleaf_count=1 1 1\n\
     internal_value=0 0\ninternal_weight=0 0\ninternal_count=3 2\nis_linear=0\nshrinkage=1"
        .to_owned()
}

/// One categorical split: categories 0, 2 and 32 go left.
pub fn categorical() -> String {
    "num_leaves=2\nnum_cat=1\nsplit_feature=0\nsplit_gain=1\nthreshold=0\ndecision_type=1\nleft_child=-1\n\
     right_child=-2\nleaf_value=1 2\nleaf_weight=1 1\nleaf_count=1 1\ninternal_value=0\ninternal_weight=0\n\
     internal_count=2\ncat_boundaries=0 2\ncat_threshold=5 1\nis_linear=0\nshrinkage=1"
        .to_owned()
}

//! AVX-512: trees grow in registers, and leaf values are looked up in registers.
#![allow(
    clippy::needless_range_loop,
    reason = "iterators over registers are not always inlined, and then spill them"
)]

use std::arch::x86_64::*;

use super::{Kernel, add_row_by_row};
use crate::forest::{
    block::{Block, Mask},
    layout::{Group, LaidNode, LaidTree, Layout},
    scorer::{self, Rows, Scratch},
};

#[target_feature(enable = "avx512f,avx512bw,avx2,popcnt,bmi1")]
pub fn score(layout: &Layout, rows: Rows, scratch: &mut Scratch, sums: &mut [f64]) {
    scorer::score::<Avx512>(layout, rows, scratch, sums);
}

/// Only for [`score`].
struct Avx512;

impl Kernel for Avx512 {
    #[inline(always)]
    fn not_reached(group: &Group, value: f32) -> usize {
        // SAFETY: runs in `score` alone; a group is 64 bytes.
        let mask = unsafe {
            let thresholds = _mm512_load_ps(group.0.as_ptr());
            _mm512_cmp_ps_mask::<_CMP_NGE_UQ>(thresholds, _mm512_set1_ps(value))
        };
        mask.count_ones() as usize
    }

    #[inline(always)]
    fn add_trees<const W: usize>(block: &mut Block<W>, layout: &Layout) {
        // SAFETY: runs in `score` alone.
        unsafe { add_trees(block, layout) }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn add_trees<const W: usize>(block: &mut Block<W>, layout: &Layout) {
    let mut trees = &layout.trees[..];
    while let [first, rest @ ..] = trees {
        trees = rest;
        match rest {
            // Two at a time, so that one's steps do not wait for each other.
            [second, rest @ ..] if first.nodes.max(second.nodes) < 32 => {
                trees = rest;
                add_small::<W, 2, 2>(block, layout, [first, second]);
            }
            [second, rest @ ..] if first.nodes.max(second.nodes) < 64 => {
                trees = rest;
                add_small::<W, 2, 4>(block, layout, [first, second]);
            }
            _ if first.nodes < 64 => add_small::<W, 1, 4>(block, layout, [first]),
            _ if first.nodes < 256 => add_medium(block, layout, first),
            _ => add_row_by_row(block, layout, first),
        }
    }
}

/// Up to `16 * TABLES` leaves a tree.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn add_small<const W: usize, const T: usize, const TABLES: usize>(
    block: &mut Block<W>,
    layout: &Layout,
    trees: [&LaidTree; T],
) {
    let leaf_of = grow(&block.right, trees.map(|tree| layout.nodes_of(tree)));
    let tables = trees.map(|tree| load_tables::<TABLES>(layout.leaves_of(tree)));
    for w in 0..W {
        let mut bytes = [[0_u8; 64]; T];
        for tree in 0..T {
            // SAFETY: one register is 64 bytes.
            unsafe { _mm512_storeu_si512(bytes[tree].as_mut_ptr().cast(), leaf_of[tree][w]) };
        }
        for at in (0..block.count.div_ceil(W)).step_by(8) {
            let sums = &mut block.sums[w][at..][..8];
            // SAFETY: eight sums are one register wide.
            let mut sum = unsafe { _mm512_loadu_pd(sums.as_ptr()) };
            for tree in 0..T {
                let leaves = bytes[tree][at..].first_chunk().expect("there are 64");
                let leaves = _mm_cvtsi64_si128(i64::from_le_bytes(*leaves));
                sum = _mm512_add_pd(sum, look_up(&tables[tree], _mm512_cvtepu8_epi64(leaves)));
            }
            // SAFETY: as above.
            unsafe { _mm512_storeu_pd(sums.as_mut_ptr(), sum) };
        }
    }
}

/// Up to 256 leaves: too many for registers, few enough for a byte.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn add_medium<const W: usize>(block: &mut Block<W>, layout: &Layout, tree: &LaidTree) {
    let [leaf_of] = grow(&block.right, [layout.nodes_of(tree)]);
    let values = layout.leaves_of(tree);
    for w in 0..W {
        let mut bytes = [0_u8; 64];
        // SAFETY: one register is 64 bytes.
        unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), leaf_of[w]) };
        for at in 0..block.count.div_ceil(W) {
            block.sums[w][at] += values[usize::from(bytes[at])];
        }
    }
}

/// The leaf of each row: all begin in leaf 0, and each node moves those in its leftmost leaf that go
/// right to the next new leaf.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn grow<const W: usize, const T: usize>(
    right: &[Mask<W>],
    nodes: [&[LaidNode]; T],
) -> [[__m512i; W]; T] {
    let one = _mm512_set1_epi8(1);
    let mut leaf_of = [[_mm512_setzero_si512(); W]; T];
    let mut new_leaf = one;
    let together = nodes.iter().map(|nodes| nodes.len()).min().unwrap_or(0);
    for at in 0..together {
        for tree in 0..T {
            split(&mut leaf_of[tree], &nodes[tree][at], right, new_leaf);
        }
        new_leaf = _mm512_add_epi8(new_leaf, one);
    }
    for tree in 0..T {
        let mut new_leaf = new_leaf;
        for node in &nodes[tree][together..] {
            split(&mut leaf_of[tree], node, right, new_leaf);
            new_leaf = _mm512_add_epi8(new_leaf, one);
        }
    }
    leaf_of
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn split<const W: usize>(
    leaf_of: &mut [__m512i; W],
    node: &LaidNode,
    right: &[Mask<W>],
    new_leaf: __m512i,
) {
    let leaf = _mm512_set1_epi8(node.leaf as i8);
    let right = &right[node.predicate as usize];
    for w in 0..W {
        let moved = _mm512_mask_cmpeq_epi8_mask(right[w], leaf_of[w], leaf);
        leaf_of[w] = _mm512_mask_mov_epi8(leaf_of[w], moved, new_leaf);
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_tables<const TABLES: usize>(values: &[f64]) -> [[__m512d; 2]; TABLES] {
    let values = values.as_chunks::<8>().0;
    let mut tables = [[_mm512_setzero_pd(); 2]; TABLES];
    for table in 0..TABLES {
        for half in 0..2 {
            if let Some(values) = values.get(2 * table + half) {
                // SAFETY: eight values are one register wide.
                tables[table][half] = unsafe { _mm512_loadu_pd(values.as_ptr()) };
            }
        }
    }
    tables
}

#[inline]
#[target_feature(enable = "avx512f")]
fn look_up<const TABLES: usize>(tables: &[[__m512d; 2]; TABLES], leaves: __m512i) -> __m512d {
    let mut found = [_mm512_setzero_pd(); TABLES];
    for table in 0..TABLES {
        found[table] = _mm512_permutex2var_pd(tables[table][0], leaves, tables[table][1]);
    }
    // Each bit of the leaf's number above the lowest four halves the tables.
    let mut left = TABLES;
    let mut bit = 16;
    while left > 1 {
        let upper = _mm512_test_epi64_mask(leaves, _mm512_set1_epi64(bit));
        left /= 2;
        for table in 0..left {
            found[table] = _mm512_mask_mov_pd(found[2 * table], upper, found[2 * table + 1]);
        }
        bit *= 2;
    }
    found[0]
}

//! AVX2: as the portable way does, but finds all rows' leaves before it adds their values.
#![allow(
    clippy::needless_range_loop,
    reason = "iterators over registers are not always inlined, and then spill them"
)]

use std::arch::x86_64::*;

use super::{Kernel, add_row_by_row};
use crate::forest::{
    block::{Block, Mask},
    layout::{Group, LaidTree, Layout},
    scorer::{self, Rows, Scratch},
};

#[target_feature(enable = "avx2,popcnt,bmi1")]
pub fn score(layout: &Layout, rows: Rows, scratch: &mut Scratch, sums: &mut [f64]) {
    scorer::score::<Avx2>(layout, rows, scratch, sums);
}

/// Only for [`score`].
struct Avx2;

impl Kernel for Avx2 {
    #[inline(always)]
    fn not_reached(group: &Group, value: f32) -> usize {
        // SAFETY: runs in `score` alone; a group is twice 32 bytes.
        let masks = unsafe {
            let value = _mm256_set1_ps(value);
            [0, 8].map(|at| {
                let thresholds = _mm256_load_ps(group.0.as_ptr().add(at));
                _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NGE_UQ>(thresholds, value))
            })
        };
        (masks[0] | masks[1] << 8).count_ones() as usize
    }

    #[inline(always)]
    fn add_trees<const W: usize>(block: &mut Block<W>, layout: &Layout) {
        for tree in &layout.trees {
            // SAFETY: runs in `score` alone.
            unsafe {
                match tree.nodes {
                    0..32 => add::<W, 32>(block, layout, tree),
                    32..64 => add::<W, 64>(block, layout, tree),
                    _ => add_row_by_row(block, layout, tree),
                }
            }
        }
    }
}

/// For up to `N` leaves.
#[inline]
#[target_feature(enable = "avx2")]
fn add<const W: usize, const N: usize>(block: &mut Block<W>, layout: &Layout, tree: &LaidTree) {
    let values: &[f64; N] = layout
        .leaves_of(tree)
        .first_chunk()
        .expect("small trees have room for whole registers");
    let (leaves, sums) = block.leaves(layout.nodes_of(tree));
    for (leaf_of, sums) in leaf_of_each_row(leaves).iter().zip(sums) {
        for (leaf, sum) in leaf_of.iter().zip(sums) {
            *sum += values[usize::from(*leaf) % N];
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn leaf_of_each_row<const W: usize>(leaves: &[Mask<W>]) -> [[u8; 64]; W] {
    // Byte `i` of a register is row `i` of 32: it takes the mask's byte, then its bit.
    let bytes = [0, 1, 2, 3].map(|byte| 0x0101_0101_0101_0101 * byte);
    let byte = _mm256_setr_epi64x(bytes[0], bytes[1], bytes[2], bytes[3]);
    let bit = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64 as i64);
    let one = _mm256_set1_epi8(1);
    let mut leaf_of = [[_mm256_setzero_si256(); 2]; W];
    let mut leaf = one;
    for mask in &leaves[1..] {
        for w in 0..W {
            for half in 0..2 {
                let rows = _mm256_set1_epi32((mask[w] >> (32 * half)) as i32);
                let rows = _mm256_and_si256(_mm256_shuffle_epi8(rows, byte), bit);
                let here = _mm256_and_si256(_mm256_cmpeq_epi8(rows, bit), leaf);
                leaf_of[w][half] = _mm256_or_si256(leaf_of[w][half], here);
            }
        }
        leaf = _mm256_add_epi8(leaf, one);
    }
    let mut bytes = [[0; 64]; W];
    for w in 0..W {
        for half in 0..2 {
            // SAFETY: one register is half of the 64 bytes.
            unsafe {
                _mm256_storeu_si256(
                    bytes[w][32 * half..][..32].as_mut_ptr().cast(),
                    leaf_of[w][half],
                )
            };
        }
    }
    bytes
}

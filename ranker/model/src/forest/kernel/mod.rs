//! The parts of scoring that depend on the processor, and the choice among them. All give the same
//! sums to the last bit: they differ in how they find each row's leaf, not in what they add.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use super::{
    block::Block,
    layout::{Group, LaidTree, Layout},
    scorer::{self, Rows, Scratch},
};

/// Instruction sets that scoring has code for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    Avx512,
    Avx2,
    Portable,
}

impl Isa {
    /// Those that this processor has, the fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        let all = [Self::Avx512, Self::Avx2, Self::Portable];
        all.into_iter().filter(|isa| isa.is_available())
    }

    pub(super) fn best() -> Self {
        Self::available().next().unwrap_or(Self::Portable)
    }

    #[cfg(target_arch = "x86_64")]
    fn is_available(self) -> bool {
        let bits = is_x86_feature_detected!("popcnt") && is_x86_feature_detected!("bmi1");
        let avx2 = is_x86_feature_detected!("avx2") && bits;
        match self {
            Self::Avx512 => {
                avx2 && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
            }
            Self::Avx2 => avx2,
            Self::Portable => true,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn is_available(self) -> bool {
        self == Self::Portable
    }

    /// See [`scorer::score`]. Panics where this instruction set is not available.
    pub(super) fn score(
        self,
        layout: &Layout,
        rows: Rows,
        scratch: &mut Scratch,
        sums: &mut [f64],
    ) {
        assert!(self.is_available(), "this processor has no {self:?}");
        match self {
            // SAFETY: the processor has the features that the function is compiled for.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { avx512::score(layout, rows, scratch, sums) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::score(layout, rows, scratch, sums) },
            _ => scorer::score::<Portable>(layout, rows, scratch, sums),
        }
    }
}

pub(super) trait Kernel {
    /// How many of the thresholds are not at or above the value: all for NaN.
    fn not_reached(group: &Group, value: f32) -> usize;

    /// Adds to each row's sum the values of its leaves. Past the rows that there are, sums are of no
    /// use.
    fn add_trees<const W: usize>(block: &mut Block<W>, layout: &Layout);
}

pub(super) struct Portable;

impl Kernel for Portable {
    #[inline(always)]
    fn not_reached(group: &Group, value: f32) -> usize {
        if value.is_nan() {
            return Group::SIZE;
        }
        let below = |threshold: &f32| u32::from(*threshold < value);
        group.0.iter().map(below).sum::<u32>() as usize
    }

    #[inline(always)]
    fn add_trees<const W: usize>(block: &mut Block<W>, layout: &Layout) {
        for tree in &layout.trees {
            add_row_by_row(block, layout, tree);
        }
    }
}

#[inline(always)]
fn add_row_by_row<const W: usize>(block: &mut Block<W>, layout: &Layout, tree: &LaidTree) {
    let (leaves, sums) = block.leaves(layout.nodes_of(tree));
    for (mask, value) in leaves.iter().zip(layout.leaves_of(tree)) {
        for (&rows, sums) in mask.iter().zip(sums.iter_mut()) {
            let mut rows = rows;
            while rows != 0 {
                sums[rows.trailing_zeros() as usize] += value;
                rows &= rows - 1;
            }
        }
    }
}

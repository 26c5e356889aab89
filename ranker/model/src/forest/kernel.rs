//! The parts of scoring that depend on the processor, and the choice among them. All give the same
//! sums to the last bit: they differ in how they find each row's leaf, not in what they add.
#![allow(unsafe_code)]

use super::{
    block::{Mask, Sums},
    layout::{Group, Layout},
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
            Self::Avx512 => unsafe { x86::score_avx512(layout, rows, scratch, sums) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { x86::score_avx2(layout, rows, scratch, sums) },
            _ => scorer::score::<Portable>(layout, rows, scratch, sums),
        }
    }
}

pub(super) trait Kernel {
    /// How many of the thresholds are not at or above the value: all for NaN.
    fn not_reached(group: &Group, value: f32) -> usize;

    /// Adds to each row's sum the value of the leaf whose mask has the row. A row is in at most one
    /// mask; the sums of rows in none are of no use. `values` has as many entries as
    /// [`super::layout::padded_leaves`] says.
    fn add_leaves<const W: usize>(leaves: &[Mask<W>], values: &[f64], sums: &mut Sums<W>);
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
    fn add_leaves<const W: usize>(leaves: &[Mask<W>], values: &[f64], sums: &mut Sums<W>) {
        for (mask, value) in leaves.iter().zip(values) {
            for (&rows, sums) in mask.iter().zip(sums.iter_mut()) {
                let mut rows = rows;
                while rows != 0 {
                    sums[rows.trailing_zeros() as usize] += value;
                    rows &= rows - 1;
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::*;

    #[target_feature(enable = "avx512f,avx512bw,avx2,popcnt,bmi1")]
    pub fn score_avx512(layout: &Layout, rows: Rows, scratch: &mut Scratch, sums: &mut [f64]) {
        scorer::score::<Avx512>(layout, rows, scratch, sums);
    }

    #[target_feature(enable = "avx2,popcnt,bmi1")]
    pub fn score_avx2(layout: &Layout, rows: Rows, scratch: &mut Scratch, sums: &mut [f64]) {
        scorer::score::<Avx2>(layout, rows, scratch, sums);
    }

    /// Only for `score_avx512`.
    struct Avx512;

    impl Kernel for Avx512 {
        #[inline(always)]
        fn not_reached(group: &Group, value: f32) -> usize {
            // SAFETY: runs in `score_avx512` alone; a group is 64 bytes.
            let mask = unsafe {
                let thresholds = _mm512_load_ps(group.0.as_ptr());
                _mm512_cmp_ps_mask::<_CMP_NGE_UQ>(thresholds, _mm512_set1_ps(value))
            };
            mask.count_ones() as usize
        }

        #[inline(always)]
        fn add_leaves<const W: usize>(leaves: &[Mask<W>], values: &[f64], sums: &mut Sums<W>) {
            // SAFETY: runs in `score_avx512` alone.
            unsafe {
                match values.len() {
                    16 => permute_avx512::<W, 1>(leaves, values, sums),
                    32 => permute_avx512::<W, 2>(leaves, values, sums),
                    64 => permute_avx512::<W, 4>(leaves, values, sums),
                    _ => Portable::add_leaves(leaves, values, sums),
                }
            }
        }
    }

    /// For up to `16 * T` leaves, whose values are kept in registers.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn permute_avx512<const W: usize, const T: usize>(
        leaves: &[Mask<W>],
        values: &[f64],
        sums: &mut Sums<W>,
    ) {
        let values: &[[f64; 16]] = values.as_chunks().0;
        // SAFETY: each half of 16 values is one register wide.
        let table: [[__m512d; 2]; T] = std::array::from_fn(|t| unsafe {
            [
                _mm512_loadu_pd(values[t][..8].as_ptr()),
                _mm512_loadu_pd(values[t][8..].as_ptr()),
            ]
        });
        let mut leaf_of = [_mm512_setzero_si512(); W];
        let mut number = _mm512_set1_epi8(1);
        for mask in &leaves[1..] {
            for (leaf_of, &rows) in leaf_of.iter_mut().zip(mask) {
                *leaf_of = _mm512_mask_mov_epi8(*leaf_of, rows, number);
            }
            number = _mm512_add_epi8(number, _mm512_set1_epi8(1));
        }
        for (leaf_of, sums) in leaf_of.into_iter().zip(sums) {
            let mut bytes = [0_u8; 64];
            // SAFETY: one register is 64 bytes.
            unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), leaf_of) };
            for (leaves, sums) in bytes
                .as_chunks::<8>()
                .0
                .iter()
                .zip(sums.as_chunks_mut::<8>().0)
            {
                let leaves = _mm512_cvtepu8_epi64(_mm_cvtsi64_si128(i64::from_le_bytes(*leaves)));
                let mut found = _mm512_permutex2var_pd(table[0][0], leaves, table[0][1]);
                for (t, [low, high]) in table.iter().enumerate().skip(1) {
                    let other = _mm512_permutex2var_pd(*low, leaves, *high);
                    let here = _mm512_cmpge_epu64_mask(leaves, _mm512_set1_epi64(16 * t as i64));
                    found = _mm512_mask_mov_pd(found, here, other);
                }
                // SAFETY: eight sums are one register wide.
                unsafe {
                    let sum = _mm512_add_pd(_mm512_loadu_pd(sums.as_ptr()), found);
                    _mm512_storeu_pd(sums.as_mut_ptr(), sum);
                }
            }
        }
    }

    /// Only for `score_avx2`.
    struct Avx2;

    impl Kernel for Avx2 {
        #[inline(always)]
        fn not_reached(group: &Group, value: f32) -> usize {
            // SAFETY: runs in `score_avx2` alone; a group is twice 32 bytes.
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
        fn add_leaves<const W: usize>(leaves: &[Mask<W>], values: &[f64], sums: &mut Sums<W>) {
            // SAFETY: runs in `score_avx2` alone.
            unsafe {
                match values.len() {
                    16 => blend_avx2::<W, 16>(leaves, values, sums),
                    32 => blend_avx2::<W, 32>(leaves, values, sums),
                    64 => blend_avx2::<W, 64>(leaves, values, sums),
                    _ => Portable::add_leaves(leaves, values, sums),
                }
            }
        }
    }

    /// For up to `N` leaves.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn blend_avx2<const W: usize, const N: usize>(
        leaves: &[Mask<W>],
        values: &[f64],
        sums: &mut Sums<W>,
    ) {
        let values: &[f64; N] = values
            .first_chunk()
            .expect("the caller has matched the length");
        // Byte `i` of a register is row `i` of 32: it takes the mask's byte, then its bit.
        let byte = _mm256_setr_epi64x(
            0,
            0x0101_0101_0101_0101,
            0x0202_0202_0202_0202,
            0x0303_0303_0303_0303,
        );
        let bit = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64 as i64);
        let mut leaf_of = [[_mm256_setzero_si256(); 2]; W];
        let mut number = _mm256_set1_epi8(1);
        for mask in &leaves[1..] {
            for (leaf_of, &rows) in leaf_of.iter_mut().zip(mask) {
                for (half, leaf_of) in leaf_of.iter_mut().enumerate() {
                    let rows = _mm256_set1_epi32((rows >> (32 * half)) as i32);
                    let rows = _mm256_and_si256(_mm256_shuffle_epi8(rows, byte), bit);
                    let here = _mm256_and_si256(_mm256_cmpeq_epi8(rows, bit), number);
                    *leaf_of = _mm256_or_si256(*leaf_of, here);
                }
            }
            number = _mm256_add_epi8(number, _mm256_set1_epi8(1));
        }
        for (leaf_of, sums) in leaf_of.into_iter().zip(sums) {
            let mut bytes = [0_u8; 64];
            for (half, leaf_of) in leaf_of.into_iter().enumerate() {
                // SAFETY: one register is half of the 64 bytes.
                unsafe {
                    _mm256_storeu_si256(bytes[32 * half..][..32].as_mut_ptr().cast(), leaf_of)
                };
            }
            for (leaf, sum) in bytes.into_iter().zip(sums) {
                *sum += values[usize::from(leaf) % N];
            }
        }
    }
}

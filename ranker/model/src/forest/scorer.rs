//! Scores rows by the cheapest way: few of them one by one, many in blocks.

use super::{block::Block, kernel::Kernel, layout::Layout, walk::Walk};

/// Memory that scoring writes to. Keep one a thread: it grows to what the largest forest needs, and
/// from then on calls allocate nothing.
#[derive(Default)]
pub struct Scratch {
    walk: Walk,
    narrow: Block<1>,
    wide: Block<2>,
}

/// Row-major values.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub values: &'a [f32],
    /// Values a row.
    pub width: usize,
}

impl<'a> Rows<'a> {
    pub fn iter(self) -> impl Iterator<Item = &'a [f32]> {
        self.values.chunks_exact(self.width)
    }

    /// Groups of `rows` rows; the last may have fewer.
    fn chunks(self, rows: usize) -> impl Iterator<Item = Self> {
        let Self { values, width } = self;
        values
            .chunks(rows * width)
            .map(move |values| Self { values, width })
    }
}

/// The sum of leaf values of each row.
#[inline(always)]
pub(super) fn score<K: Kernel>(
    layout: &Layout,
    rows: Rows,
    scratch: &mut Scratch,
    sums: &mut [f64],
) {
    for (rows, sums) in rows
        .chunks(Block::<2>::ROWS)
        .zip(sums.chunks_mut(Block::<2>::ROWS))
    {
        // A walk looks at each tree's depth a row, a block at each tree's nodes.
        if sums.len() * layout.depth < layout.nodes.len() {
            for (row, sum) in rows.iter().zip(sums) {
                *sum = scratch.walk.score::<K>(layout, row);
            }
        } else if sums.len() <= Block::<1>::ROWS {
            scratch.narrow.score::<K>(layout, rows, sums);
        } else {
            scratch.wide.score::<K>(layout, rows, sums);
        }
    }
}

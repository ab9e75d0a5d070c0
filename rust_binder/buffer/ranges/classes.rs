// SPDX-License-Identifier: GPL-2.0

//! The gaps of a space, by size.
//!
//! Gaps are kept on lists, one for each size class, with bitmaps that tell which lists have
//! members, so that a gap is found, added and removed in a constant number of steps. Up to 31
//! granules each size has a class of its own; above, each power of two is cut into sixteen.

use super::super::layout::GRANULE;
use super::slab::{
    top_bit,
    Index,
    Slab,
    State, //
};

/// Classes in a row; a row is a power of two (the first one: all sizes below [`COLUMNS`]).
const COLUMNS: usize = 16;
const COLUMN_BITS: u32 = COLUMNS.ilog2();

/// Enough rows for a gap of [`MAX_SPACE`](super::super::layout::MAX_SPACE).
const ROWS: usize = 17;

/// A size class: row and column.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Class {
    row: u32,
    column: u32,
}

/// The class of gaps of this size.
#[inline]
fn class_of(size: u32) -> Class {
    let granules = size / GRANULE;
    if granules < COLUMNS as u32 {
        return Class {
            row: 0,
            column: granules,
        };
    }
    let shift = top_bit(granules).wrapping_sub(COLUMN_BITS);
    Class {
        row: shift.wrapping_add(1),
        column: granules.wrapping_shr(shift) & (COLUMNS as u32 - 1),
    }
}

/// The smallest class all of whose gaps have at least this size.
#[inline]
fn class_above(size: u32) -> Class {
    let granules = size / GRANULE;
    if granules < 2 * COLUMNS as u32 {
        return class_of(size);
    }
    let step = 1u32.wrapping_shl(top_bit(granules).wrapping_sub(COLUMN_BITS));
    class_of(size.wrapping_add(step.wrapping_sub(1).wrapping_mul(GRANULE)))
}

/// The lists.
///
/// # Invariants
///
/// Bit `r` of `rows` is set exactly if `columns[r]` is not zero; bit `c` of `columns[r]` exactly if
/// `heads[r][c]` is a gap.
pub(super) struct Classes {
    rows: u32,
    columns: [u16; ROWS],
    heads: [[Option<Index>; COLUMNS]; ROWS],
}

impl Classes {
    pub(super) const fn new() -> Self {
        Self {
            rows: 0,
            columns: [0; ROWS],
            heads: [[None; COLUMNS]; ROWS],
        }
    }

    /// Whether there is no gap.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    #[inline]
    fn head(&self, class: Class) -> Option<Index> {
        *self
            .heads
            .get(class.row as usize)?
            .get(class.column as usize)?
    }

    #[inline]
    fn set_head(&mut self, class: Class, head: Option<Index>) {
        let row = class.row as usize;
        let (Some(heads), Some(columns)) = (self.heads.get_mut(row), self.columns.get_mut(row))
        else {
            return;
        };
        let Some(slot) = heads.get_mut(class.column as usize) else {
            return;
        };
        *slot = head;
        let column = 1u16.wrapping_shl(class.column);
        if head.is_some() {
            *columns |= column;
        } else {
            *columns &= !column;
        }
        let row = 1u32.wrapping_shl(class.row);
        if *columns != 0 {
            self.rows |= row;
        } else {
            self.rows &= !row;
        }
    }

    /// Makes a block a gap.
    pub(super) fn add<T>(&mut self, slab: &mut Slab<T>, at: Index) {
        let Some(block) = slab.get_mut(at) else {
            return;
        };
        let class = class_of(block.size);
        let older = self.head(class);
        block.set_state(State::Free { newer: None, older });
        if let Some(State::Free { newer, .. }) = Self::state(slab, older) {
            *newer = Some(at);
        }
        self.set_head(class, Some(at));
    }

    /// Takes a gap off its list. The caller gives the block its new state.
    pub(super) fn remove<T>(&mut self, slab: &mut Slab<T>, at: Index) {
        let Some(block) = slab.get(at) else {
            return;
        };
        let State::Free { newer, older } = block.state else {
            return;
        };
        let class = class_of(block.size);
        if let Some(State::Free { newer: link, .. }) = Self::state(slab, older) {
            *link = newer;
        }
        match Self::state(slab, newer) {
            Some(State::Free { older: link, .. }) => *link = older,
            _ => self.set_head(class, older),
        }
    }

    #[inline]
    fn state<T>(slab: &mut Slab<T>, at: Option<Index>) -> Option<&mut State<T>> {
        Some(&mut slab.get_mut(at?)?.state)
    }

    /// Finds a gap of at least this size without a search. May miss one whose size is in the same
    /// class as `size`; [`find_tight`](Self::find_tight) does not.
    ///
    /// Never inlined: most requests find no gap at all and don't get here, and the compiler would have
    /// every one of them work out its class beforehand.
    #[inline(never)]
    pub(super) fn find(&self, size: u32) -> Option<Index> {
        let class = class_above(size);
        let columns = u32::from(*self.columns.get(class.row as usize)?);
        let same_row = columns & u32::MAX.wrapping_shl(class.column);
        if same_row != 0 {
            return self.head(Class {
                row: class.row,
                column: same_row.trailing_zeros(),
            });
        }
        let rows = self.rows & u32::MAX.wrapping_shl(class.row.wrapping_add(1));
        if rows == 0 {
            return None;
        }
        let row = rows.trailing_zeros();
        let columns = *self.columns.get(row as usize)?;
        self.head(Class {
            row,
            column: columns.trailing_zeros(),
        })
    }

    /// Searches the class of `size` itself for the tightest gap that fits. This walks a list, but
    /// one that was about to be the last resort: nothing larger is left in the whole space.
    #[cold]
    pub(super) fn find_tight<T>(&self, slab: &Slab<T>, size: u32) -> Option<Index> {
        let mut best: Option<(u32, Index)> = None;
        let mut at = self.head(class_of(size));
        while let Some(index) = at {
            let block = slab.get(index)?;
            if block.size >= size && best.is_none_or(|(tightest, _)| block.size < tightest) {
                best = Some((block.size, index));
            }
            let State::Free { older, .. } = block.state else {
                break;
            };
            at = older;
        }
        best.map(|(_, index)| index)
    }
}

#[cfg(test)]
impl Classes {
    /// Panics if an invariant does not hold. Returns how many gaps are listed.
    pub(super) fn check<T>(&self, slab: &Slab<T>) -> usize {
        let mut listed = 0;
        for (row, (columns, heads)) in self.columns.iter().zip(&self.heads).enumerate() {
            assert_eq!(self.rows >> row & 1 != 0, *columns != 0);
            for (column, head) in heads.iter().enumerate() {
                assert_eq!(columns >> column & 1 != 0, head.is_some());
                let mut last = None;
                let mut at = *head;
                while let Some(index) = at {
                    let block = slab.get(index).expect("a listed gap exists");
                    let State::Free { newer, older } = block.state else {
                        panic!("a listed block is no gap");
                    };
                    let class = class_of(block.size);
                    assert_eq!((class.row as usize, class.column as usize), (row, column));
                    assert_eq!(newer, last, "links go both ways");
                    listed += 1;
                    last = at;
                    at = older;
                }
            }
        }
        listed
    }
}

// SPDX-License-Identifier: GPL-2.0

//! From an address to the block that starts there.
//!
//! The space is cut into lines of 64 bytes; for each line the first allocated block that starts in
//! it is known. From there the blocks are followed by address. At most eight blocks start in a
//! line, so a look-up takes at most eight steps, whatever is outstanding and whoever chose the
//! sizes; usually it takes one. The lines are kept in leaves, made when a block first starts there.

use super::slab::{
    Index,
    Slab, //
};
use crate::mem::{
    self,
    Box,
    NoMemory,
    Vec, //
};

/// The size of a line is two to the power of this.
const LINE_SHIFT: u32 = 6;

/// Lines in a leaf.
const LINES: usize = 256;
const LEAF_SHIFT: u32 = LINE_SHIFT + LINES.ilog2();

/// The first blocks of consecutive lines.
pub(super) type Leaf = [Option<Index>; LINES];

/// The leaves, by address; those that nobody needed yet are missing.
pub(super) type Directory = Vec<Option<Box<Leaf>>>;

/// The index.
///
/// # Invariants
///
/// Each line holds the allocated block with the lowest start among those that start in the line.
pub(super) struct Starts {
    leaves: Directory,
}

impl Starts {
    pub(super) const fn new() -> Self {
        Self { leaves: Vec::new() }
    }

    /// Makes the directory for a space of this size. May sleep.
    pub(super) fn make_directory(size: u32) -> Result<Directory, NoMemory> {
        let len = size.div_ceil(1 << LEAF_SHIFT) as usize;
        let mut leaves = mem::with_capacity(len)?;
        for _ in 0..len {
            mem::push(&mut leaves, None).map_err(|_| NoMemory)?;
        }
        Ok(leaves)
    }

    /// Makes a leaf. May sleep.
    pub(super) fn make_leaf() -> Result<Box<Leaf>, NoMemory> {
        mem::boxed([None; LINES])
    }

    /// Starts to index a space; hands the old directory back.
    pub(super) fn set_directory(&mut self, leaves: Directory) -> Directory {
        core::mem::replace(&mut self.leaves, leaves)
    }

    /// The leaf that a block at this address needs.
    #[inline]
    pub(super) fn leaf_of(start: u32) -> usize {
        start.wrapping_shr(LEAF_SHIFT) as usize
    }

    #[inline]
    fn line_of(start: u32) -> usize {
        start.wrapping_shr(LINE_SHIFT) as usize & (LINES - 1)
    }

    /// Puts a leaf in place. Handed back if there is one already.
    pub(super) fn set_leaf(&mut self, leaf: usize, lines: Box<Leaf>) -> Option<Box<Leaf>> {
        match self.leaves.get_mut(leaf) {
            Some(slot @ None) => slot.replace(lines),
            _ => Some(lines),
        }
    }

    #[inline]
    fn line(&self, start: u32) -> Option<Index> {
        let leaf = self.leaves.get(Self::leaf_of(start))?.as_ref()?;
        *leaf.get(Self::line_of(start))?
    }

    /// The line of this address. Nothing if its leaf is missing: a block can't be added then.
    #[inline]
    pub(super) fn line_mut(&mut self, start: u32) -> Option<&mut Option<Index>> {
        let leaf = self.leaves.get_mut(Self::leaf_of(start))?.as_mut()?;
        leaf.get_mut(Self::line_of(start))
    }

    /// Adds an allocated block.
    #[inline]
    pub(super) fn add<T>(&mut self, slab: &Slab<T>, at: Index, start: u32) {
        let Some(line) = self.line_mut(start) else {
            return;
        };
        let first = line.and_then(|first| slab.get(first));
        if first.is_none_or(|first| first.start > start) {
            *line = Some(at);
        }
    }

    /// Removes a block, of which this is the next one by address.
    #[inline]
    pub(super) fn remove<T>(
        &mut self,
        slab: &Slab<T>,
        at: Index,
        start: u32,
        mut next: Option<Index>,
    ) {
        let Some(line) = self.line_mut(start) else {
            return;
        };
        if *line != Some(at) {
            return;
        }
        *line = loop {
            let Some(index) = next else {
                break None;
            };
            let Some(block) = slab.get(index) else {
                break None;
            };
            if (block.start ^ start).wrapping_shr(LINE_SHIFT) != 0 {
                break None;
            }
            if !block.is_free() {
                break Some(index);
            }
            next = block.next;
        };
    }

    /// The allocated block that starts at this address.
    #[inline]
    pub(super) fn find<T>(&self, slab: &Slab<T>, start: u32) -> Option<Index> {
        let mut at = self.line(start);
        while let Some(index) = at {
            let block = slab.get(index)?;
            if block.start >= start {
                return (block.start == start && !block.is_free()).then_some(index);
            }
            at = block.next;
        }
        None
    }

    /// The first allocated block that starts at this address or after it.
    pub(super) fn find_from<T>(&self, slab: &Slab<T>, start: u32) -> Option<Index> {
        let mut skip = Self::line_of(start);
        for leaf in self.leaves.iter().skip(Self::leaf_of(start)) {
            let lines = leaf.as_ref().map_or(&[][..], |leaf| &leaf[..]);
            for first in lines.iter().skip(skip) {
                let mut at = *first;
                while let Some(index) = at {
                    let block = slab.get(index)?;
                    if block.start >= start && !block.is_free() {
                        return Some(index);
                    }
                    at = block.next;
                }
            }
            skip = 0;
        }
        None
    }
}

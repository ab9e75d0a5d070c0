// SPDX-License-Identifier: GPL-2.0

//! Storage for the blocks of a space.
//!
//! A slab made of chunks that double in size. A chunk is allocated outside the lock and put in
//! place by moving one pointer, so growing never copies blocks under a spin lock, and the index of
//! a block never changes. Which chunk an index lies in is one bit scan.

use super::super::layout::Layout;
use super::{
    accounts::AccountIndex,
    types::Claim, //
};
use crate::mem::{
    self,
    NoMemory,
    Vec, //
};
use core::num::NonZeroU32;

/// Blocks in the first chunk.
const FIRST: u32 = 16;

/// Enough chunks for [`MAX_SPACE`](super::super::layout::MAX_SPACE) cut into single granules.
pub(super) const CHUNKS: usize = 16;

/// A slab larger than this gives its surplus back when the space is empty.
const KEEP: u32 = 1024;

/// The number of the highest bit that is set. Unlike `ilog2` it has no panic for zero, which it is
/// never asked about.
#[inline]
pub(super) const fn top_bit(n: u32) -> u32 {
    (u32::BITS - 1).wrapping_sub(n.leading_zeros())
}

/// The place of a block in the slab, counted from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Index(NonZeroU32);

/// What a block is.
pub(super) enum State<T> {
    /// Not a part of the space: this slot is unused.
    Vacant {
        /// The next unused slot.
        next: Option<Index>,
    },
    /// A gap, on the list of its size class.
    Free {
        /// The neighbour towards the head of the list.
        newer: Option<Index>,
        /// The neighbour towards its end.
        older: Option<Index>,
    },
    /// Being filled by a sender, or waiting to be read: user space can't free it.
    Reserved,
    /// Known to user space, which may free it once.
    Delivered(T),
    /// Claimed by whoever frees it.
    Taken,
}

/// What is known about an allocated block besides its place.
#[derive(Clone, Copy)]
pub(super) struct Details {
    pub(super) layout: Layout,
    pub(super) debug_id: u32,
    /// The account of the sender that a oneway buffer is booked on.
    pub(super) account: Option<AccountIndex>,
    pub(super) clear_on_free: bool,
}

impl Details {
    const NONE: Details = Details {
        layout: Layout::EMPTY,
        debug_id: 0,
        account: None,
        clear_on_free: false,
    };
}

/// A piece of the space.
pub(super) struct Block<T> {
    pub(super) start: u32,
    pub(super) size: u32,
    /// The neighbours by address.
    pub(super) prev: Option<Index>,
    pub(super) next: Option<Index>,
    /// Who reserved it last. Kept in a gap, see [`Ranges::reserve`](super::Ranges::reserve).
    pub(super) sender: i32,
    pub(super) state: State<T>,
    /// Meaningless while free.
    pub(super) details: Details,
}

impl<T> Block<T> {
    /// Replaces a state that has no payload. All have none except `Delivered`, which only
    /// [`Ranges::take`](super::Ranges::take) ends; so there is nothing to drop, and saying so keeps
    /// the look for it out of the short path.
    #[inline]
    pub(super) fn set_state(&mut self, state: State<T>) {
        core::mem::forget(core::mem::replace(&mut self.state, state));
    }

    /// Makes the block a reserved one. It has no account yet.
    #[inline]
    pub(super) fn reserve(&mut self, claim: &Claim) {
        self.sender = claim.sender;
        self.set_state(State::Reserved);
        self.details = Details {
            layout: claim.layout,
            debug_id: claim.debug_id,
            account: None,
            clear_on_free: claim.clear_on_free,
        };
    }

    pub(super) fn is_free(&self) -> bool {
        matches!(self.state, State::Free { .. })
    }
}

/// The slab.
///
/// # Invariants
///
/// - `chunks[i]` has `FIRST << i` blocks for `i < made` and none otherwise.
/// - Slots up to `used` have been handed out at least once; those of them that are vacant are on
///   the list that starts at `vacant`, which has `vacant_len` members.
pub(super) struct Slab<T> {
    chunks: [Vec<Block<T>>; CHUNKS],
    made: usize,
    capacity: u32,
    used: u32,
    vacant: Option<Index>,
    vacant_len: u32,
}

impl<T> Slab<T> {
    /// A slab without storage.
    pub(super) const fn new() -> Self {
        Self {
            chunks: [const { Vec::new() }; CHUNKS],
            made: 0,
            capacity: 0,
            used: 0,
            vacant: None,
            vacant_len: 0,
        }
    }

    /// How many blocks can be put in before the slab must grow.
    #[inline]
    pub(super) fn room(&self) -> u32 {
        self.capacity
            .wrapping_sub(self.used)
            .wrapping_add(self.vacant_len)
    }

    /// How many blocks the next chunk has.
    pub(super) fn next_chunk(&self) -> u32 {
        FIRST.wrapping_shl(self.made as u32)
    }

    /// Makes the storage of a chunk. May sleep.
    pub(super) fn make_chunk(blocks: u32) -> Result<Vec<Block<T>>, NoMemory> {
        let mut chunk = mem::with_capacity(blocks as usize)?;
        for _ in 0..blocks {
            let block = Block {
                start: 0,
                size: 0,
                prev: None,
                next: None,
                sender: 0,
                state: State::Vacant { next: None },
                details: Details::NONE,
            };
            mem::push(&mut chunk, block).map_err(|_| NoMemory)?;
        }
        Ok(chunk)
    }

    /// Takes a chunk in; hands it back if it does not fit, which is so if somebody else was
    /// faster.
    pub(super) fn grow(&mut self, chunk: Vec<Block<T>>) -> Option<Vec<Block<T>>> {
        let blocks = self.next_chunk();
        if chunk.len() != blocks as usize {
            return Some(chunk);
        }
        let Some(slot) = self.chunks.get_mut(self.made) else {
            return Some(chunk);
        };
        let old = core::mem::replace(slot, chunk);
        // INVARIANT: The chunk has the size that belongs to its place.
        self.made = self.made.wrapping_add(1);
        self.capacity = self.capacity.wrapping_add(blocks);
        // Empty, by the invariant.
        Some(old)
    }

    /// Takes the larger chunks out, if there are many and no block is in use.
    ///
    /// To be called only when all slots are vacant.
    pub(super) fn trim(&mut self) -> Option<[Vec<Block<T>>; CHUNKS]> {
        if self.capacity <= KEEP || self.vacant_len != self.used {
            return None;
        }
        let mut surplus = [const { Vec::new() }; CHUNKS];
        let mut made = 0usize;
        let mut kept = 0u32;
        for (chunk, out) in self.chunks.iter_mut().zip(surplus.iter_mut()) {
            if kept < KEEP {
                made = made.wrapping_add(1);
                kept = kept.wrapping_add(chunk.len() as u32);
            } else {
                core::mem::swap(chunk, out);
            }
        }
        // INVARIANT: No slot is in use, so the list can start anew.
        self.made = made;
        self.capacity = kept;
        self.used = 0;
        self.vacant = None;
        self.vacant_len = 0;
        Some(surplus)
    }

    #[inline]
    fn locate(at: Index) -> (usize, usize) {
        let n = at.0.get().wrapping_add(FIRST - 1);
        let top = top_bit(n);
        (
            top.wrapping_sub(FIRST.ilog2()) as usize,
            (n & !1u32.wrapping_shl(top)) as usize,
        )
    }

    #[inline]
    pub(super) fn get(&self, at: Index) -> Option<&Block<T>> {
        let (chunk, slot) = Self::locate(at);
        self.chunks.get(chunk)?.get(slot)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, at: Index) -> Option<&mut Block<T>> {
        let (chunk, slot) = Self::locate(at);
        self.chunks.get_mut(chunk)?.get_mut(slot)
    }

    /// Takes a slot into use. The caller fills it.
    #[inline]
    pub(super) fn occupy(&mut self) -> Option<(Index, &mut Block<T>)> {
        let (chunk, slot, at) = match self.vacant {
            Some(at) => {
                let (chunk, slot) = Self::locate(at);
                (chunk, slot, at)
            }
            None => {
                let at = Index(NonZeroU32::new(self.used.wrapping_add(1))?);
                let (chunk, slot) = Self::locate(at);
                (chunk, slot, at)
            }
        };
        let block = self.chunks.get_mut(chunk)?.get_mut(slot)?;
        match (self.vacant, &block.state) {
            (Some(_), State::Vacant { next }) => {
                self.vacant = *next;
                self.vacant_len = self.vacant_len.wrapping_sub(1);
            }
            (Some(_), _) => return None,
            (None, _) => self.used = self.used.wrapping_add(1),
        }
        Some((at, block))
    }

    /// Gives a slot back.
    #[inline]
    pub(super) fn vacate(&mut self, at: Index) {
        let next = self.vacant;
        if let Some(block) = self.get_mut(at) {
            block.set_state(State::Vacant { next });
            self.vacant = Some(at);
            self.vacant_len = self.vacant_len.wrapping_add(1);
        }
    }

    #[inline]
    pub(super) fn set_prev(&mut self, at: Option<Index>, prev: Option<Index>) {
        if let Some(block) = at.and_then(|at| self.get_mut(at)) {
            block.prev = prev;
        }
    }

    #[inline]
    pub(super) fn set_next(&mut self, at: Option<Index>, next: Option<Index>) {
        if let Some(block) = at.and_then(|at| self.get_mut(at)) {
            block.next = next;
        }
    }

    /// The address-ordered neighbourhood of a block, if it is a gap.
    #[inline]
    pub(super) fn gap(&self, at: Option<Index>) -> Option<(Index, &Block<T>)> {
        let at = at?;
        let block = self.get(at)?;
        block.is_free().then_some((at, block))
    }
}

#[cfg(test)]
impl<T> Slab<T> {
    /// Slots in use. Counts the vacant ones.
    pub(super) fn occupied(&self) -> u32 {
        let mut vacant = 0;
        let mut at = self.vacant;
        while let Some(index) = at {
            let State::Vacant { next } = self.get(index).expect("a listed slot exists").state
            else {
                panic!("a slot in use is on the list of vacant ones");
            };
            vacant += 1;
            at = next;
        }
        assert_eq!(vacant, self.vacant_len);
        self.used - vacant
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Slab,
        KEEP, //
    };

    fn grow(slab: &mut Slab<()>) {
        let chunk = Slab::make_chunk(slab.next_chunk()).expect("memory");
        assert!(slab.grow(chunk).is_some());
    }

    #[test]
    fn every_slot_is_used() {
        let mut slab = Slab::new();
        for _ in 0..4 {
            grow(&mut slab);
            for left in (0..slab.room()).rev() {
                assert!(slab.occupy().is_some());
                assert_eq!(slab.room(), left);
            }
            assert!(slab.occupy().is_none());
        }
    }

    #[test]
    fn enough_is_kept_for_the_usual() {
        let mut slab = Slab::new();
        for _ in 0..10 {
            grow(&mut slab);
        }
        assert!(slab.room() > 10 * KEEP);
        assert!(slab.trim().is_some());
        assert!((KEEP..2 * KEEP).contains(&slab.room()));
        assert!(slab.occupy().is_some());
    }
}

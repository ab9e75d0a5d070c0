// SPDX-License-Identifier: GPL-2.0

//! An array in pieces, which grows without being copied and without allocating under a lock.
//!
//! Slots live in leaves of [`LEAF`] slots, leaves in a directory. Growing adds a leaf; only when
//! the directory is full, each time it has doubled, are the leaves moved to a larger one, and a
//! leaf is three words. What has to be allocated for that is a [`Room`], made without a lock; what
//! is left over from growing or shrinking is a `Room` too, to be dropped without a lock. So the
//! time spent under the lock stays short however large the table is, and no large piece of
//! contiguous memory is ever asked for.

use crate::mem::{
    self,
    NoMemory,
    Vec, //
};

/// Slots in a leaf.
pub(super) const LEAF: usize = 64;

/// Leaves in the first directory.
const FIRST_DIRECTORY: usize = 4;

/// See the [module](self).
///
/// # Invariants
///
/// The first `count` entries of `directory` have [`LEAF`] slots each, all others none.
pub(super) struct Leaves<S> {
    directory: Vec<Vec<S>>,
    count: usize,
}

/// What has to be allocated for one more leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Growth {
    /// Leaves for which the directory has to have room, if it has to be replaced.
    directory: Option<usize>,
}

/// Storage on its way into a table or out of it.
pub(super) struct Room<S> {
    leaf: Vec<S>,
    directory: Vec<Vec<S>>,
}

impl Growth {
    /// Leaves for which the directory has to have room, if it has to be replaced.
    pub(super) fn directory(&self) -> Option<usize> {
        self.directory
    }

    /// Allocates the storage. May sleep.
    pub(super) fn allocate<S: Default>(self) -> Result<Room<S>, NoMemory> {
        let mut leaf = mem::with_capacity(LEAF)?;
        for _ in 0..LEAF {
            mem::push(&mut leaf, S::default()).map_err(|_| NoMemory)?;
        }
        let mut directory = Vec::new();
        if let Some(leaves) = self.directory {
            directory = mem::with_capacity(leaves)?;
            for _ in 0..leaves {
                mem::push(&mut directory, Vec::new()).map_err(|_| NoMemory)?;
            }
        }
        Ok(Room { leaf, directory })
    }
}

impl<S> Leaves<S> {
    /// An array without slots.
    pub(super) const fn new() -> Self {
        // INVARIANT: There is no entry.
        Self {
            directory: Vec::new(),
            count: 0,
        }
    }

    /// The number of leaves.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The slot at `index`.
    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<&S> {
        self.directory.get(index / LEAF)?.get(index % LEAF)
    }

    /// The slot at `index`, to be changed.
    #[inline]
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut S> {
        self.directory.get_mut(index / LEAF)?.get_mut(index % LEAF)
    }

    /// All slots, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &S> {
        self.directory.iter().flat_map(|leaf| leaf.iter())
    }

    /// What has to be allocated for one more leaf.
    pub(super) fn growth(&self) -> Growth {
        let leaves = self.directory.len();
        Growth {
            directory: (self.count >= leaves)
                .then(|| leaves.saturating_mul(2).max(FIRST_DIRECTORY)),
        }
    }

    /// Adds a leaf.
    ///
    /// Returns what is left over, for the caller to drop without a lock: all of `room`, as the
    /// error, if it is not enough, because it was made for a smaller array or is itself a
    /// leftover.
    pub(super) fn grow(&mut self, mut room: Room<S>) -> Result<Room<S>, Room<S>> {
        if room.leaf.len() != LEAF {
            return Err(room);
        }
        if self.count >= self.directory.len() {
            if room.directory.len() <= self.count {
                return Err(room);
            }
            for (new, old) in room.directory.iter_mut().zip(self.directory.iter_mut()) {
                core::mem::swap(new, old);
            }
            core::mem::swap(&mut room.directory, &mut self.directory);
        }
        let Some(entry) = self.directory.get_mut(self.count) else {
            return Err(room);
        };
        // INVARIANT: `room.leaf` has `LEAF` slots, and the entry behind it has none.
        core::mem::swap(entry, &mut room.leaf);
        self.count = self.count.wrapping_add(1);
        Ok(room)
    }

    /// Takes the last leaf away with whatever is in it.
    ///
    /// Returns it for the caller to drop without a lock.
    pub(super) fn shrink(&mut self) -> Option<Room<S>> {
        let last = self.count.checked_sub(1)?;
        let leaf = core::mem::take(self.directory.get_mut(last)?);
        // INVARIANT: The entry at `last` is without slots now.
        self.count = last;
        Some(Room {
            leaf,
            directory: Vec::new(),
        })
    }
}

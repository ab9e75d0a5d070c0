// SPDX-License-Identifier: GPL-2.0

//! The handles of one process: from number to reference.

use super::{
    free_tree::{
        FreeTree,
        MAX_WORDS, //
    },
    leaves::{
        self,
        Leaves,
        LEAF, //
    }, //
};
use crate::{
    abi::name::Handle,
    mem::NoMemory, //
};

/// The numbers of a leaf that may be free; number 0 is never handed out as the lowest one.
const fn all_free(leaf: usize) -> u64 {
    if leaf == 0 {
        !1
    } else {
        !0
    }
}

/// Which free handle a reference gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lowest {
    /// The lowest from 0 on: for the node of the context manager.
    FromZero,
    /// The lowest from 1 on: for every other node.
    FromOne,
}

/// A table from handle to entry, in which new entries get the lowest free handle.
///
/// Looking a handle up takes a handful of instructions; entering and removing take a fixed number
/// of steps, with ten entries or with a hundred thousand. The table does not allocate: whoever
/// enters something first asks for a [`HandleTable::vacant`] place, and if there is none, drops
/// the lock, allocates the [`Room`] that [`HandleTable::growth`] describes, and tries again.
///
/// Guarded by the lock of the process's references.
///
/// # Invariants
///
/// - A number greater than 0 and less than `64 * leaves.count()` is free in `free` exactly if
///   its slot is `None`; no other number is free.
/// - Leaves before `bottom` have no entry.
/// - `len` is the number of entries.
pub(crate) struct HandleTable<E> {
    leaves: Leaves<Option<E>>,
    free: FreeTree,
    bottom: usize,
    len: usize,
}

/// What has to be allocated before the next entry can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Growth(leaves::Growth);

/// Storage on its way into a [`HandleTable`] or out of it. To be dropped without a lock.
pub(crate) struct Room<E> {
    leaves: leaves::Room<Option<E>>,
    free: FreeTree,
}

impl Growth {
    /// Allocates the storage. May sleep.
    pub(crate) fn allocate<E>(self) -> Result<Room<E>, NoMemory> {
        let free = match self.0.directory() {
            // Refuses what would be more handles than a tree has room for.
            Some(words) => FreeTree::allocate(words)?,
            None => FreeTree::new(),
        };
        Ok(Room {
            leaves: self.0.allocate()?,
            free,
        })
    }
}

/// A place in a [`HandleTable`], with its handle.
///
/// Nothing has changed until it is filled, so that whatever can still fail may fail.
pub(crate) struct Vacant<'a, E> {
    table: &'a mut HandleTable<E>,
    index: usize,
    handle: Handle,
}

impl<E> Vacant<'_, E> {
    /// The handle that the entry will have.
    #[inline]
    pub(crate) fn handle(&self) -> Handle {
        self.handle
    }

    /// Makes the entry.
    #[inline]
    pub(crate) fn fill(self, entry: E) {
        let Self { table, index, .. } = self;
        if let Some(slot) = table.leaves.get_mut(index) {
            *slot = Some(entry);
            // INVARIANT: The slot was vacant; now it is not, and neither is its number.
            if index != 0 {
                table.free.take(index);
            }
            table.len = table.len.wrapping_add(1);
            table.bottom = table.bottom.min(index / LEAF);
        }
    }
}

impl<E> HandleTable<E> {
    /// An empty table without storage.
    pub(crate) const fn new() -> Self {
        // INVARIANT: There are no slots.
        Self {
            leaves: Leaves::new(),
            free: FreeTree::new(),
            bottom: 0,
            len: 0,
        }
    }

    /// The number of entries.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The entry of `handle`.
    #[inline]
    pub(crate) fn get(&self, handle: Handle) -> Option<&E> {
        self.leaves.get(index(handle))?.as_ref()
    }

    /// The entry of `handle`, to be changed.
    #[inline]
    pub(crate) fn get_mut(&mut self, handle: Handle) -> Option<&mut E> {
        self.leaves.get_mut(index(handle))?.as_mut()
    }

    /// A place for a new entry, or `None` if the table has to [grow](HandleTable::growth).
    #[inline]
    pub(crate) fn vacant(&mut self, lowest: Lowest) -> Option<Vacant<'_, E>> {
        let index = match lowest {
            Lowest::FromZero if matches!(self.leaves.get(0), Some(None)) => 0,
            _ => self.free.lowest()?,
        };
        let handle = Handle(u32::try_from(index).ok()?);
        Some(Vacant {
            table: self,
            index,
            handle,
        })
    }

    /// Removes the entry of `handle`.
    pub(crate) fn remove(&mut self, handle: Handle) -> Option<E> {
        let index = index(handle);
        let entry = self.leaves.get_mut(index)?.take()?;
        // INVARIANT: The slot is vacant now; 0 is never free.
        if index != 0 {
            self.free.give(index);
        }
        self.len = self.len.wrapping_sub(1);
        Some(entry)
    }

    /// Removes the entry with the lowest handle: for emptying the table.
    ///
    /// Costs as much for the last as for the first of many entries.
    pub(crate) fn pop(&mut self) -> Option<(Handle, E)> {
        for leaf in self.bottom..self.leaves.count() {
            let mut taken = all_free(leaf) & !self.free.word(leaf);
            if leaf == 0 {
                // Number 0 is never free, whether it has an entry or not.
                taken |= u64::from(matches!(self.leaves.get(0), Some(Some(_))));
            }
            if taken != 0 {
                let first = leaf.wrapping_mul(LEAF);
                let index = first.wrapping_add(taken.trailing_zeros() as usize);
                let handle = Handle(u32::try_from(index).ok()?);
                return Some((handle, self.remove(handle)?));
            }
            // INVARIANT: The leaf has no entry.
            self.bottom = leaf.wrapping_add(1);
        }
        None
    }

    /// All entries, by handle.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Handle, &E)> {
        (0..=u32::MAX)
            .zip(self.leaves.iter())
            .filter_map(|(handle, slot)| Some((Handle(handle), slot.as_ref()?)))
    }

    /// What has to be allocated before [`HandleTable::vacant`] succeeds; `None` if it does now.
    pub(crate) fn growth(&self) -> Option<Growth> {
        match self.free.lowest() {
            Some(_) => None,
            None => Some(Growth(self.leaves.growth())),
        }
    }

    /// Takes storage in.
    ///
    /// Returns what is left over, to be dropped without the lock. That is all of `room` if it is
    /// not needed any more, or not enough any more, because others were here while it was
    /// allocated: the caller asks for [`HandleTable::vacant`] again in any case.
    pub(crate) fn grow(&mut self, mut room: Room<E>) -> Room<E> {
        if self.free.lowest().is_some() {
            return room;
        }
        let leaf = self.leaves.count();
        let moves = self.leaves.growth().directory().is_some();
        match self.leaves.grow(room.leaves) {
            Ok(rest) => room.leaves = rest,
            Err(rest) => {
                room.leaves = rest;
                return room;
            }
        }
        if moves {
            // Nothing is free in the old tree, else there would be no growth, and the new one
            // was made for as many leaves as the new directory.
            core::mem::swap(&mut self.free, &mut room.free);
        }
        // INVARIANT: The slots of the new leaf are all `None`.
        self.free.set_word(leaf, all_free(leaf));
        room
    }

    /// Gives storage up after entries were removed: the last leaf, if neither it nor the one
    /// before has an entry, so that a single reference that comes and goes does not make the
    /// table grow and shrink.
    ///
    /// Returns the storage, to be dropped without the lock.
    pub(crate) fn shrink(&mut self) -> Option<Room<E>> {
        let last = self.leaves.count().checked_sub(1)?;
        let before = last.checked_sub(1)?;
        let unused = |leaf| self.free.word(leaf) == all_free(leaf);
        if !unused(last) || !unused(before) {
            return None;
        }
        let leaves = self.leaves.shrink()?;
        // INVARIANT: The leaf is gone, and had no entry.
        self.free.set_word(last, 0);
        Some(Room {
            leaves,
            free: FreeTree::new(),
        })
    }
}

/// The index of the slot of `handle`. Where `usize` is 32 bits wide or more, which is wherever
/// Linux runs, it is the number itself.
#[inline]
fn index(handle: Handle) -> usize {
    handle.0 as usize
}

// Every number that the tree can hold is a handle.
const _: () = assert!(MAX_WORDS * LEAF <= u32::MAX as usize);

#[cfg(test)]
mod tests {
    use super::{
        HandleTable,
        Lowest,
        LEAF, //
    };

    #[test]
    fn the_start_is_where_the_first_entry_may_be() {
        let mut table = HandleTable::new();
        for _ in 1..LEAF * 3 {
            if let Some(growth) = table.growth() {
                drop(table.grow(growth.allocate().expect("memory")));
            }
            let place = table.vacant(Lowest::FromOne).expect("there is one");
            place.fill(());
        }
        for number in 1..LEAF * 3 {
            table.pop().expect("an entry");
            // So emptying the table visits no leaf twice.
            assert_eq!(table.bottom, number / LEAF);
        }
        assert_eq!(table.pop(), None);
        assert_eq!(table.bottom, 3);
        // Until something is entered before.
        let place = table.vacant(Lowest::FromOne).expect("all are free");
        place.fill(());
        assert_eq!(table.bottom, 0);
    }
}

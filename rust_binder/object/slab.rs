// SPDX-License-Identifier: GPL-2.0

//! Numbered places whose numbers do not come back.

use super::leaves::{
    self,
    Leaves,
    LEAF, //
};
use crate::mem::NoMemory;

/// The name of a value in a [`Slab`].
///
/// It goes stale when the value is removed, and stays so when the place is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    /// The number of the place and how often it was vacated before, for whoever stores keys in a
    /// form of its own.
    #[inline]
    pub(crate) const fn to_parts(self) -> (u32, u32) {
        (self.index, self.generation)
    }

    /// The key of which these are the parts. One that never was a key finds nothing, or the value
    /// of the key that has these parts.
    #[inline]
    pub(crate) const fn from_parts(index: u32, generation: u32) -> Self {
        Self { index, generation }
    }
}

/// One place of a [`Slab`].
///
/// The generation counts how often the place was vacated. It wraps: a key that is kept while its
/// place is vacated 2³² times would fit again.
struct Slot<T> {
    generation: u32,
    state: State<T>,
}

enum State<T> {
    /// In the list of vacant places that have been used before.
    Vacant { next: Option<u32> },
    /// In use.
    Occupied(T),
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self {
            generation: 0,
            state: State::Vacant { next: None },
        }
    }
}

/// Values in places that never move, found by key in a handful of instructions.
///
/// A key is two numbers and says nothing about lifetimes: looking up the key of a value that was
/// removed finds nothing. That is what upward links are made of, where a reference would be a
/// circle.
///
/// Does not allocate: a full slab is [grown](Slab::growth) the same way as a
/// [`HandleTable`](super::handles::HandleTable).
///
/// Guarded by whatever lock guards the values.
///
/// # Invariants
///
/// - Places from `fresh` on have never been used.
/// - The list that starts at `vacant` holds exactly the places before `fresh` that are vacant.
/// - `len` is the number of occupied places.
pub(crate) struct Slab<T> {
    slots: Leaves<Slot<T>>,
    vacant: Option<u32>,
    fresh: u32,
    len: usize,
}

/// What has to be allocated before the next value can be inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Growth(leaves::Growth);

/// Storage on its way into a [`Slab`] or out of it. To be dropped without a lock.
pub(crate) struct Room<T>(leaves::Room<Slot<T>>);

impl Growth {
    /// Allocates the storage. May sleep.
    pub(crate) fn allocate<T>(self) -> Result<Room<T>, NoMemory> {
        Ok(Room(self.0.allocate()?))
    }
}

impl<T> Slab<T> {
    /// An empty slab without storage.
    pub(crate) const fn new() -> Self {
        // INVARIANT: There are no places.
        Self {
            slots: Leaves::new(),
            vacant: None,
            fresh: 0,
            len: 0,
        }
    }

    /// The number of values.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Puts `value` in a vacant place, or hands it back if the slab has to
    /// [grow](Slab::growth).
    #[inline]
    pub(crate) fn insert(&mut self, value: T) -> Result<Key, T> {
        let index = self.vacant.unwrap_or(self.fresh);
        let Some(slot) = self.slots.get_mut(index as usize) else {
            return Err(value);
        };
        let before = core::mem::replace(&mut slot.state, State::Occupied(value));
        // INVARIANT: The place is taken off the list, or is no longer fresh.
        match (self.vacant, before) {
            (Some(_), State::Vacant { next }) => self.vacant = next,
            _ => self.fresh = self.fresh.wrapping_add(1),
        }
        self.len = self.len.wrapping_add(1);
        Ok(Key {
            index,
            generation: slot.generation,
        })
    }

    /// The value of `key`, unless it was removed.
    #[inline]
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slots.get(key.index as usize)?;
        match &slot.state {
            State::Occupied(value) if slot.generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// The value of `key`, to be changed, unless it was removed.
    #[inline]
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        match &mut slot.state {
            State::Occupied(value) if slot.generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// Removes the value of `key`, unless that was done before.
    #[inline]
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation != key.generation || matches!(slot.state, State::Vacant { .. }) {
            return None;
        }
        let vacant = State::Vacant { next: self.vacant };
        let State::Occupied(value) = core::mem::replace(&mut slot.state, vacant) else {
            return None;
        };
        slot.generation = slot.generation.wrapping_add(1);
        // INVARIANT: The place is at the head of the list, and was not on it.
        self.vacant = Some(key.index);
        self.len = self.len.wrapping_sub(1);
        Some(value)
    }

    /// All values with their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        (0..=u32::MAX)
            .zip(self.slots.iter())
            .filter_map(|(index, slot)| match &slot.state {
                State::Occupied(value) => {
                    let generation = slot.generation;
                    Some((Key { index, generation }, value))
                }
                State::Vacant { .. } => None,
            })
    }

    /// The value in the first place behind that of `key`, or in the first of all, with its key.
    ///
    /// The key may be stale. Who walks through the slab with this sees every value that is there
    /// all the time, once.
    pub(crate) fn after(&self, key: Option<Key>) -> Option<(Key, &T)> {
        let first = key.map_or(Some(0), |key| key.index.checked_add(1))?;
        (first..self.fresh).find_map(|index| {
            let slot = self.slots.get(index as usize)?;
            match &slot.state {
                State::Occupied(value) => {
                    let generation = slot.generation;
                    Some((Key { index, generation }, value))
                }
                State::Vacant { .. } => None,
            }
        })
    }

    /// What has to be allocated before [`Slab::insert`] succeeds; `None` if it does now.
    pub(crate) fn growth(&self) -> Option<Growth> {
        if self.vacant.is_some() || (self.fresh as usize) / LEAF < self.slots.count() {
            return None;
        }
        Some(Growth(self.slots.growth()))
    }

    /// Takes storage in.
    ///
    /// Returns what is left over, to be dropped without the lock. That is all of `room` if it is
    /// not needed any more, or not enough any more: the caller tries to insert again in any case.
    pub(crate) fn grow(&mut self, room: Room<T>) -> Room<T> {
        if self.growth().is_none() {
            return room;
        }
        match self.slots.grow(room.0) {
            Ok(rest) | Err(rest) => Room(rest),
        }
    }
}

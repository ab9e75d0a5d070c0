// SPDX-License-Identifier: GPL-2.0

//! Which buffers can still be fixed up, and from where on.

use super::{
    fixups::Chain,
    ScatterError, //
};
use crate::mem::{
    self,
    Vec, //
};

/// A buffer of the message.
pub(super) struct Buffer {
    /// Which object announced it.
    pub(super) index: u32,
    /// Where the sender has it.
    pub(super) source: u64,
    /// Where it starts in the room for buffers.
    pub(super) start: u32,
    /// Its bytes.
    pub(super) len: u32,
    /// What points to it.
    pub(super) parent: Option<Parent>,
    /// What is written into it.
    pub(super) fixups: Chain,
}

impl Buffer {
    /// Finds room for `len` bytes at `offset`.
    pub(super) fn place(&self, offset: u64, len: u64) -> Result<u32, ScatterError> {
        match u64::from(self.len).checked_sub(len) {
            // It is not greater than a `u32`.
            Some(last) if offset <= last => Ok(offset as u32),
            _ => Err(ScatterError::BeyondParent),
        }
    }
}

/// A buffer that points to another.
#[derive(Clone, Copy)]
pub(super) struct Parent {
    /// Its place among the buffers.
    pub(super) place: u32,
    /// Where the address in it ends.
    pub(super) end: u64,
}

/// The last buffer in which something happened.
struct Front {
    /// Its place among the buffers.
    place: u32,
    /// Where the next fix-up in it may start.
    from: u64,
}

/// The buffers so far, and the rule in which order they are fixed up.
///
/// It is that of a walk through a tree, children in the order of their places in the parent: the
/// next fix-up lies in the last buffer or in one that this lies in, and behind what was fixed up
/// there. A buffer that was left is never entered again. So looking for a parent starts at the last
/// buffer and goes up, past buffers that are left thereby, which bounds the cost of all looks
/// together by the number of buffers.
///
/// # Invariants
///
/// A parent has a lower place than its children.
pub(super) struct Parents {
    buffers: Vec<Buffer>,
    front: Option<Front>,
}

impl Parents {
    /// No buffers.
    pub(super) const fn new() -> Self {
        // INVARIANT: There is none.
        Self {
            buffers: Vec::new(),
            front: None,
        }
    }

    /// The buffers in the order of their objects, which is also that of their starts.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Buffer> {
        self.buffers.iter()
    }

    /// The buffer at a place.
    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut Buffer> {
        self.buffers.get_mut(place as usize)
    }

    /// Finds the place of the buffer that object `index` announced, if a fix-up at `offset` in it
    /// is in order.
    pub(super) fn find(&self, index: u64, offset: u64) -> Result<u32, ScatterError> {
        let front = self.front.as_ref().ok_or(ScatterError::NotOpen)?;
        let (mut place, mut from) = (front.place, front.from);
        loop {
            let buffer = self
                .buffers
                .get(place as usize)
                .ok_or(ScatterError::NotOpen)?;
            if u64::from(buffer.index) == index {
                break;
            }
            // The invariant makes this come to an end.
            let parent = buffer.parent.ok_or(ScatterError::NotOpen)?;
            (place, from) = (parent.place, parent.end);
        }
        match offset < from {
            true => Err(ScatterError::OutOfOrder),
            false => Ok(place),
        }
    }

    /// Takes in a buffer; `open` says whether it may be fixed up.
    ///
    /// There are never more than `capacity` of them.
    pub(super) fn add(
        &mut self,
        buffer: Buffer,
        open: bool,
        capacity: usize,
    ) -> Result<(), ScatterError> {
        if self.buffers.capacity() == 0 {
            self.buffers = mem::with_capacity(capacity)?;
        }
        let place = self.buffers.len() as u32;
        // INVARIANT: The parent was found among the buffers that are there.
        mem::push(&mut self.buffers, buffer).map_err(|_| ScatterError::NoMemory)?;
        self.front = open.then_some(Front { place, from: 0 });
        Ok(())
    }

    /// Takes note that the buffer at `place`, which was just found, is fixed up until `end`.
    pub(super) fn fixed_up(&mut self, place: u32, end: u64) {
        self.front = Some(Front { place, from: end });
    }
}

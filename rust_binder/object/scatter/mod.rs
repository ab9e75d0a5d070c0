// SPDX-License-Identifier: GPL-2.0

//! The buffers of one message: where they go, what points to them, and what is written into them.
//!
//! A message may carry buffers beside its data. Each is announced by an object in the data, and may
//! have a parent: a buffer announced before it, into which its address in the receiver is to be
//! written. Lists of files lie in a buffer too. Such places are *fix-ups*: what the sender has there
//! is never copied.
//!
//! ```text
//! data    | … A … B (in A at 8) … C (in B at 0) … files (in A at 16) … |
//!
//! extra   | A: bytes, address of B, two numbers of files |pad| B: address of C, bytes |pad| C |pad|
//! ```
//!
//! [`Scatter`] is told of the objects one by one, and judges and places them. When all are known,
//! [`Scatter::copy`] says piece by piece what goes where, from the first byte to the last. It keeps
//! what the sender said of its buffers, so that nothing is read twice and nothing is read back from
//! the memory of the receiver.
//!
//! Owned by the thread that sends the message, for as long as it builds it; no lock is needed.

mod fixups;
mod parents;
#[cfg(test)]
mod tests;

use self::{
    fixups::{
        Chain,
        Content,
        Fixups, //
    },
    parents::{
        Buffer,
        Parent,
        Parents, //
    }, //
};
use crate::{
    abi::object::{
        FileArrayObject,
        PointerObject, //
    },
    mem::NoMemory, //
};

/// Buffers start at multiples of this.
const GRANULE: u32 = 8;

/// Bytes of an address.
const ADDRESS: u32 = size_of::<u64>() as u32;

/// Bytes of the number of a file.
const NUMBER: u32 = size_of::<u32>() as u32;

/// What the receiver's memory can be written in.
const WORD: u32 = size_of::<u32>() as u32;

/// Why a buffer or a list of files was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScatterError {
    /// The message asked for less room than its buffers take.
    NoRoom,
    /// The parent is not the last buffer, and none that this one lies in.
    NotOpen,
    /// Something was fixed up there, or behind it, before.
    OutOfOrder,
    /// The parent ends before the fix-up does.
    BeyondParent,
    /// The fix-up does not start at a multiple of four.
    Misaligned,
    /// No memory.
    NoMemory,
}

impl From<NoMemory> for ScatterError {
    fn from(_: NoMemory) -> Self {
        Self::NoMemory
    }
}

/// Where an object stands in its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Which entry of the array of offsets names it.
    pub(crate) index: u32,
    /// Where in the data it is.
    pub(crate) offset: usize,
}

/// The numbers that a list of files consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileNumbers {
    /// Where the sender has them.
    pub(crate) source: u64,
    /// Where those of the receiver go, in the room for buffers.
    pub(crate) start: u32,
    /// How many; never zero.
    pub(crate) count: u32,
}

/// A step of filling the room for buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Bytes of the sender.
    Bytes {
        /// Where they go.
        start: u32,
        /// Where the sender has them.
        source: u64,
        /// How many; never zero.
        len: u32,
    },
    /// The address of a buffer.
    Address {
        /// Where it goes.
        start: u32,
        /// Where that buffer starts.
        target: u32,
    },
}

/// The buffers of one message.
pub(crate) struct Scatter {
    parents: Parents,
    fixups: Fixups,
    /// Bytes that are taken; a multiple of [`GRANULE`] unless they are all there are.
    used: u32,
    /// Bytes that there are.
    room: u32,
    /// How many objects the message has.
    objects: usize,
    /// An address is to be written where none can be.
    misaligned: bool,
}

impl Scatter {
    /// For a message of so many objects, with so much room for its buffers.
    pub(crate) const fn new(room: u32, objects: usize) -> Self {
        Self {
            parents: Parents::new(),
            fixups: Fixups::new(),
            used: 0,
            room,
            objects,
            misaligned: false,
        }
    }

    /// Takes the next object, a buffer; returns where it starts in the room for buffers.
    ///
    /// # Errors
    ///
    /// [`ScatterError::NoRoom`], and what may be wrong with its parent.
    pub(crate) fn pointer(
        &mut self,
        standing: Standing,
        pointer: &PointerObject,
    ) -> Result<u32, ScatterError> {
        let left = self.room.saturating_sub(self.used);
        let len = match u32::try_from(pointer.length) {
            Ok(len) if len <= left => len,
            _ => return Err(ScatterError::NoRoom),
        };
        let start = self.used;
        let parent = match pointer.has_parent() {
            true => Some(self.point(pointer.parent, pointer.parent_offset, start)?),
            false => None,
        };
        let buffer = Buffer {
            index: standing.index,
            source: pointer.buffer,
            start,
            len,
            parent,
            fixups: Chain::default(),
        };
        // As in C, there is no fixing up in the buffer of an object with which the data starts.
        let open = standing.offset != 0;
        self.parents.add(buffer, open, self.objects)?;
        // It overflows only if it is more than there is.
        self.used = start
            .wrapping_add(len)
            .checked_next_multiple_of(GRANULE)
            .map_or(self.room, |used| used.min(self.room));
        Ok(start)
    }

    /// Has the address of the buffer that starts at `target` written into a parent.
    fn point(&mut self, parent: u64, offset: u64, target: u32) -> Result<Parent, ScatterError> {
        let place = self.parents.find(parent, offset)?;
        let buffer = self.parents.get_mut(place).ok_or(ScatterError::NotOpen)?;
        let offset = buffer.place(offset, ADDRESS.into())?;
        let content = Content::Address { target };
        self.fixups
            .add(&mut buffer.fixups, offset, content, self.objects)?;
        // Told of when buffers are copied, as in C: whatever is wrong with objects comes first.
        self.misaligned |= offset % WORD != 0;
        Ok(Parent {
            place,
            end: u64::from(offset).wrapping_add(ADDRESS.into()),
        })
    }

    /// Takes the next object, a list of files; returns where its numbers are, if it has any.
    ///
    /// # Errors
    ///
    /// What may be wrong with its parent, or its place there. An empty list may lie anywhere, and
    /// the next fix-up in the parent lies behind it all the same.
    pub(crate) fn files(
        &mut self,
        array: &FileArrayObject,
    ) -> Result<Option<FileNumbers>, ScatterError> {
        let place = self.parents.find(array.parent, array.parent_offset)?;
        if array.num_fds == 0 {
            self.parents.fixed_up(place, array.parent_offset);
            return Ok(None);
        }
        let len = array
            .num_fds
            .checked_mul(NUMBER.into())
            .ok_or(ScatterError::BeyondParent)?;
        let buffer = self.parents.get_mut(place).ok_or(ScatterError::NotOpen)?;
        let offset = buffer.place(array.parent_offset, len)?;
        let source = buffer.source.wrapping_add(offset.into());
        if offset % WORD != 0 || source % u64::from(WORD) != 0 {
            return Err(ScatterError::Misaligned);
        }
        // They lie in the buffer, so there are not more than fit a `u32`.
        let content = Content::Numbers { len: len as u32 };
        self.fixups
            .add(&mut buffer.fixups, offset, content, self.objects)?;
        let start = buffer.start.wrapping_add(offset);
        self.parents
            .fixed_up(place, u64::from(offset).wrapping_add(len));
        Ok(Some(FileNumbers {
            source,
            start,
            count: array.num_fds as u32,
        }))
    }

    /// Calls `step` with the pieces that the buffers are made of, in the order of their places, and
    /// stops with its first error. The numbers of files are left out.
    ///
    /// # Errors
    ///
    /// [`ScatterError::Misaligned`]; that of `step`.
    pub(crate) fn copy<E: From<ScatterError>>(
        &self,
        mut step: impl FnMut(Piece) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.misaligned {
            return Err(ScatterError::Misaligned.into());
        }
        for buffer in self.parents.iter() {
            let bytes = |from: u32, to: u32| Piece::Bytes {
                start: buffer.start.wrapping_add(from),
                source: buffer.source.wrapping_add(from.into()),
                len: to.wrapping_sub(from),
            };
            let mut done = 0;
            for fixup in self.fixups.of(buffer.fixups) {
                // They don't overlap, and lie one behind the other.
                if done < fixup.offset {
                    step(bytes(done, fixup.offset))?;
                }
                done = fixup.offset.wrapping_add(fixup.content.len());
                if let Content::Address { target } = fixup.content {
                    let start = buffer.start.wrapping_add(fixup.offset);
                    step(Piece::Address { start, target })?;
                }
            }
            if done < buffer.len {
                step(bytes(done, buffer.len))?;
            }
        }
        Ok(())
    }
}

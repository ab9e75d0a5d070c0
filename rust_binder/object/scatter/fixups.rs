// SPDX-License-Identifier: GPL-2.0

//! What is written into buffers in place of what the sender has there.

use super::{
    ScatterError,
    ADDRESS, //
};
use crate::mem::{
    self,
    Vec, //
};

/// What a fix-up consists of.
#[derive(Clone, Copy)]
pub(super) enum Content {
    /// The address of the buffer with this start.
    Address {
        /// Where that buffer starts in the room for buffers.
        target: u32,
    },
    /// Numbers of files, which are known when the message is read.
    Numbers {
        /// Bytes of them.
        len: u32,
    },
}

impl Content {
    /// Bytes that are not copied from the sender.
    pub(super) const fn len(self) -> u32 {
        match self {
            Self::Address { .. } => ADDRESS,
            Self::Numbers { len } => len,
        }
    }
}

/// A place in a buffer.
pub(super) struct Fixup {
    /// Where in the buffer it is.
    pub(super) offset: u32,
    /// What comes there.
    pub(super) content: Content,
    next: Option<u32>,
}

/// The fix-ups of one buffer: the first and the last of a list.
#[derive(Clone, Copy, Default)]
pub(super) struct Chain(Option<(u32, u32)>);

/// The fix-ups of all buffers.
///
/// Buffers take turns: after those of a child come more of its parent. So each buffer has a
/// [`Chain`] through the common storage, in which its own are in order.
pub(super) struct Fixups(Vec<Fixup>);

impl Fixups {
    /// None.
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Appends a fix-up to those of a buffer, behind all of which it lies.
    ///
    /// There are never more than `capacity` of them.
    pub(super) fn add(
        &mut self,
        chain: &mut Chain,
        offset: u32,
        content: Content,
        capacity: usize,
    ) -> Result<(), ScatterError> {
        if self.0.capacity() == 0 {
            self.0 = mem::with_capacity(capacity)?;
        }
        let place = self.0.len() as u32;
        let fixup = Fixup {
            offset,
            content,
            next: None,
        };
        mem::push(&mut self.0, fixup).map_err(|_| ScatterError::NoMemory)?;
        let first = match chain.0 {
            Some((first, last)) => {
                if let Some(last) = self.0.get_mut(last as usize) {
                    last.next = Some(place);
                }
                first
            }
            None => place,
        };
        chain.0 = Some((first, place));
        Ok(())
    }

    /// The fix-ups of a buffer, by offset.
    pub(super) fn of(&self, chain: Chain) -> impl Iterator<Item = &Fixup> {
        let first = chain.0.and_then(|(first, _)| self.0.get(first as usize));
        core::iter::successors(first, |fixup| self.0.get(fixup.next? as usize))
    }
}

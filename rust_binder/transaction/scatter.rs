// SPDX-License-Identifier: GPL-2.0

//! Buffers, and the lists of files in them, on their way from one process to another.
//!
//! While the objects of a message are translated, buffers get their places and files are looked
//! up; the bytes of buffers are copied when all objects are done with, as in C, so that what is
//! wrong with an object is told of before what is wrong with a buffer. What comes in place of the
//! sender's bytes is woven in on the way: an address or the number of a file that means something
//! in the sender only is never seen by the receiver. The rules are in [`crate::object::scatter`].

use super::{
    translate::Translation,
    Failure, //
};
use crate::{
    abi::object::{
        FileArrayObject,
        PointerObject, //
    },
    buffer::{
        Allocation,
        Section, //
    },
    object::scatter::{
        FileNumbers,
        Piece,
        Scatter,
        ScatterError,
        Standing, //
    },
    observe::user_error,
    process::{
        Delivered,
        Payload, //
    },
    sys::user, //
};
use kernel::prelude::*;
use zerocopy::IntoBytes;

/// Bytes of numbers of files read at a time.
const NUMBERS_BLOCK: usize = 64;

impl From<ScatterError> for Failure {
    fn from(error: ScatterError) -> Self {
        Failure::Failed(match error {
            ScatterError::NoMemory => ENOMEM,
            _ => EINVAL,
        })
    }
}

impl Translation<'_> {
    /// A buffer of the sender gets a place in the recipient's.
    ///
    /// Follows `binder_transaction()` and `binder_fixup_parent()`.
    pub(super) fn pointer(
        &mut self,
        object: PointerObject,
        standing: Standing,
        payload: &mut Payload,
    ) -> Result<(), Failure> {
        let start = match self.scatter()?.pointer(standing, &object) {
            Ok(start) => start,
            Err(error) => return Err(self.refuse(error)),
        };
        let place = payload.buffer.section_address(Section::Extra);
        let bytes = object.to_address(place.wrapping_add(start.into()));
        Ok(payload
            .buffer
            .write(Section::Data, standing.offset, bytes.as_bytes())?)
    }

    /// The sender's files wait to get numbers of the recipient.
    ///
    /// Follows `binder_translate_fd_array()`.
    pub(super) fn file_array(
        &mut self,
        object: FileArrayObject,
        standing: Standing,
        payload: &mut Payload,
    ) -> Result<(), Failure> {
        match self.scatter()?.files(&object) {
            Ok(Some(numbers)) => self.files(numbers, payload)?,
            Ok(None) => {}
            Err(error) => return Err(self.refuse(error)),
        }
        let bytes = object.to_wire();
        Ok(payload
            .buffer
            .write(Section::Data, standing.offset, bytes.as_bytes())?)
    }

    /// Reads the numbers of the sender and takes the files behind them.
    fn files(&self, numbers: FileNumbers, payload: &mut Payload) -> Result<(), Failure> {
        let attachments = self.attachments(&mut payload.attachments)?;
        let (mut source, mut at) = (numbers.source, numbers.start as usize);
        let mut left = (numbers.count as usize).wrapping_mul(size_of::<u32>());
        while left != 0 {
            let mut block = [0u8; NUMBERS_BLOCK];
            let block = block.get_mut(..left.min(NUMBERS_BLOCK)).ok_or(EINVAL)?;
            let read = user::read_block(source, block);
            // The files before the fault come first: what is wrong with one of them is told of.
            let mut rest = block.get(..read).ok_or(EINVAL)?;
            if rest.len() < size_of::<u32>() {
                return Err(EINVAL.into());
            }
            attachments.reserve_files(rest.len() / size_of::<u32>())?;
            while let Some((number, tail)) = rest.split_first_chunk() {
                rest = tail;
                let number = u32::from_ne_bytes(*number);
                self.file(number, Section::Extra, at, attachments)?;
                at = at.wrapping_add(size_of::<u32>());
                source = source.wrapping_add(size_of::<u32>() as u64);
                left = left.wrapping_sub(size_of::<u32>());
            }
        }
        Ok(())
    }

    /// Copies the buffers, when all objects are translated.
    ///
    /// Follows `binder_do_deferred_txn_copies()`; like there, a bad address is a bad argument.
    pub(super) fn copy_buffers(&self, buffer: &Allocation<Delivered>) -> Result<(), Failure> {
        let Some(scatter) = &self.scatter else {
            return Ok(());
        };
        let base = buffer.section_address(Section::Extra);
        scatter.copy(|piece| {
            let copied = match piece {
                Piece::Bytes { start, source, len } => {
                    buffer.copy_from_user(Section::Extra, start as usize, source, len as usize)
                }
                Piece::Address { start, target } => {
                    let address = base.wrapping_add(target.into());
                    buffer.write(Section::Extra, start as usize, &address.to_ne_bytes())
                }
            };
            copied.map_err(|_| Failure::Failed(EINVAL))
        })
    }

    /// The buffers of the message, from the first on.
    fn scatter(&mut self) -> Result<&mut Scatter, Failure> {
        let room = u32::try_from(self.room).map_err(|_| EINVAL)?;
        let objects = self.objects;
        Ok(self
            .scatter
            .get_or_insert_with(|| Scatter::new(room, objects)))
    }

    #[cold]
    fn refuse(&self, error: ScatterError) -> Failure {
        user_error!(
            self.session.process,
            "sent a buffer or a list of files that can't be: {error:?}\n"
        );
        error.into()
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The receiver's buffer: data, offsets, objects, buffers, security context.
//!
//! Everything is read from the sender once and written to the receiver once. What the sender says
//! of objects is judged from the driver's own copy of it; what stands in the receiver's buffer is
//! never read back.

use super::{
    recipient::Recipient,
    translate::Translation,
    Failure,
    Session, //
};
use crate::{
    abi::{
        object::MAX_OBJECT,
        object_reader::ObjectReader,
        transaction::{
            TransactionFlags,
            TransactionRequest, //
        },
    },
    buffer::{
        Allocation,
        Request,
        Section,
        Sizes,
        Space, //
    },
    process::{
        Delivered,
        Payload, //
    },
    sys::user, //
};
use kernel::{
    prelude::*,
    security::SecurityCtx, //
};

/// Bytes of offsets read at a time.
const OFFSETS_BLOCK: usize = 64;

impl Session<'_> {
    /// Fills a buffer of the recipient with what the request names.
    pub(super) fn build(
        &self,
        mut recipient: Recipient<'_>,
        request: &TransactionRequest,
    ) -> Result<Payload, Failure> {
        let context = match &recipient.target {
            Some(target) if target.node().flags.wants_security_context() => {
                Some(SecurityCtx::from_secid(self.process.cred.get_secid())?)
            }
            _ => None,
        };
        let context_len = context.as_ref().map_or(0, |context| context.len());
        let context_size = align(context_len).ok_or(EINVAL)?;
        let extra = request
            .buffers_size
            .checked_add(context_size)
            .ok_or(EINVAL)?;
        let buffer = Space::alloc(
            &recipient.process.space,
            &Request {
                sizes: Sizes {
                    data: request.data.len as u64,
                    offsets: request.offsets.len as u64,
                    extra: extra as u64,
                },
                sender: self.task.tgid(),
                oneway: recipient.target.is_some() && request.flags.is_one_way(),
                clear_on_free: request.flags.contains(TransactionFlags::CLEAR_BUF),
                debug_id: 0,
            },
        )?;
        // From here on what was begun is given back in the order in which C does.
        let mut payload = Payload {
            target: recipient.target.take(),
            buffer,
            attachments: None,
            security_context: 0,
        };
        if let Some(context) = &context {
            // At the very end, as in C; the rest of the section is for buffers of the sender.
            let end = align(extra).ok_or(EINVAL)?;
            let place = end.saturating_sub(context_size);
            payload
                .buffer
                .write(Section::Extra, place, context.as_bytes())?;
            payload.security_context = payload
                .buffer
                .section_address(Section::Extra)
                .wrapping_add(place as u64);
        }
        if request.offsets.len == 0 {
            if extra % size_of::<u64>() != 0 {
                return Err(EINVAL.into());
            }
            copy_data(&payload.buffer, request, 0, request.data.len)?;
        } else {
            self.copy_objects(&recipient, request, extra, &mut payload)?;
        }
        Ok(payload)
    }

    /// Copies offsets, objects, the data between them, and buffers.
    fn copy_objects(
        &self,
        recipient: &Recipient<'_>,
        request: &TransactionRequest,
        extra: usize,
        payload: &mut Payload,
    ) -> Result<(), Failure> {
        let mut reader = ObjectReader::new(request.data.len);
        let mut translation = Translation::new(*self, recipient, request);
        let mut done = 0;
        while done < request.offsets.len {
            let mut block = [0u8; OFFSETS_BLOCK];
            let left = request.offsets.len.saturating_sub(done);
            let offsets = block.get_mut(..left.min(OFFSETS_BLOCK)).ok_or(EINVAL)?;
            let address = request.offsets.address.wrapping_add(done) as u64;
            if user::read_block(address, offsets) != offsets.len() {
                return Err(EFAULT.into());
            }
            payload.buffer.write(Section::Offsets, done, offsets)?;
            done = done.wrapping_add(offsets.len());
            if request.offsets.len % size_of::<u64>() != 0 || extra % size_of::<u64>() != 0 {
                return Err(or_unreadable_offsets(request, done, EINVAL.into()));
            }

            let mut rest: &[u8] = offsets;
            while let Some((offset, tail)) = rest.split_first_chunk() {
                rest = tail;
                let offset = u64::from_ne_bytes(*offset);
                self.copy_object(&mut reader, &mut translation, request, offset, payload)
                    .map_err(|failure| or_unreadable_offsets(request, done, failure))?;
            }
        }
        let tail = reader.tail();
        copy_data(&payload.buffer, request, tail.start, tail.len)?;
        translation.copy_buffers(&payload.buffer)
    }

    /// Copies the data up to the object at `offset`, and the object as the recipient is to see it.
    fn copy_object(
        &self,
        reader: &mut ObjectReader,
        translation: &mut Translation<'_>,
        request: &TransactionRequest,
        offset: u64,
        payload: &mut Payload,
    ) -> Result<(), Failure> {
        let errno = |error: crate::abi::object::ObjectError| match error.is_fault() {
            true => EFAULT,
            false => EINVAL,
        };
        let (gap, place) = reader.seek(offset).map_err(errno)?;
        copy_data(&payload.buffer, request, gap.start, gap.len)?;
        let window = reader.window(place).map_err(errno)?;
        let mut bytes = [0u8; MAX_OBJECT];
        let bytes = bytes.get_mut(..window.len).ok_or(EINVAL)?;
        let address = request.data.address.wrapping_add(window.start) as u64;
        if user::read_block(address, bytes) != bytes.len() {
            return Err(EINVAL.into());
        }
        let object = reader.parse(place, bytes).map_err(errno)?;
        translation.object(object, place.get(), payload)
    }
}

/// What is wrong with a message of whose offsets only the first `done` bytes were read yet: offsets
/// that can't be read come first, then `failure`, as in C, which reads all of them before it looks
/// at any object.
#[cold]
fn or_unreadable_offsets(
    request: &TransactionRequest,
    mut done: usize,
    failure: Failure,
) -> Failure {
    let mut block = user::Block::<OFFSETS_BLOCK>::new();
    while done < request.offsets.len {
        let left = request.offsets.len.saturating_sub(done).min(OFFSETS_BLOCK);
        let address = request.offsets.address.wrapping_add(done) as u64;
        if block.read(address, left).len() != left {
            return EFAULT.into();
        }
        done = done.saturating_add(left);
    }
    failure
}

/// Rounds up to a multiple of eight.
const fn align(len: usize) -> Option<usize> {
    match len.checked_add(size_of::<u64>() - 1) {
        Some(sum) => Some(sum & !(size_of::<u64>() - 1)),
        None => None,
    }
}

/// Copies data that is no object.
#[inline]
fn copy_data(
    buffer: &Allocation<Delivered>,
    request: &TransactionRequest,
    start: usize,
    len: usize,
) -> Result<(), Failure> {
    if len == 0 {
        return Ok(());
    }
    let address = request.data.address.wrapping_add(start) as u64;
    Ok(buffer.copy_from_user(Section::Data, start, address, len)?)
}

// SPDX-License-Identifier: GPL-2.0

//! Buffers in transactions: how they are sent, and where they have to arrive.

use crate::fixtures::{complete, fails};
use anyhow::{Context, Result, ensure};
use binder_abi::*;
use harness::{Call, Delivery, Errno, Parcel, Process, Thread, Transactions, check_eq};
use zerocopy::FromBytes;

/// A buffer that no other points to.
pub fn alone() -> BufferObject {
    BufferObject::default()
}

/// A buffer whose address goes to an offset of the buffer with this index.
pub fn inside(parent: u64, parent_offset: u64) -> BufferObject {
    BufferObject {
        flags: BINDER_BUFFER_FLAG_HAS_PARENT,
        parent,
        parent_offset,
        ..BufferObject::default()
    }
}

/// A buffer at an address of the sender, be there something or not.
pub fn at(address: u64, length: u64, nesting: BufferObject) -> BufferObject {
    BufferObject {
        hdr: ObjectHeader {
            kind: BINDER_TYPE_PTR,
        },
        buffer: address,
        length,
        ..nesting
    }
}

/// A parcel that starts as most do, with plain data.  A buffer at offset 0 could be
/// nobody's parent: `a7/sg-parent-at-start-of-data`.
pub fn parcel() -> Parcel {
    Parcel::new().bytes(&[0x50; 8])
}

/// Rounds up as every part of a transaction is.
pub const fn padded(size: u64) -> u64 {
    size.next_multiple_of(8)
}

/// Numbers of files as they lie in an array.
pub fn numbers(fds: &[i32]) -> Vec<u8> {
    fds.iter().flat_map(|fd| fd.to_le_bytes()).collect()
}

/// A oneway call to handle 0 that has to arrive.
pub fn deliver(
    client: &mut Thread,
    manager: &mut Thread,
    parcel: Parcel,
    room: u64,
) -> Result<Delivery> {
    client.send(&[Call::oneway(0).parcel(parcel).buffers_size(room).into()])?;
    complete(client)?;
    manager.receive()
}

/// A call to handle 0 that has to be refused.
pub fn refused(client: &mut Thread, parcel: Parcel, room: u64, why: Errno) -> Result<()> {
    let call = Call::to(0).parcel(parcel).buffers_size(room);
    fails(client, call, BR_FAILED_REPLY, Some(why))
}

/// An object of a delivery, whatever its size.
pub fn object<T: FromBytes>(thread: &mut Thread, delivery: &Delivery, index: u64) -> Result<T> {
    let data = &delivery.data;
    ensure!(index < data.offsets_size / 8, "there is no object {index}");
    let offset = thread
        .peek(data.offsets + 8 * index, 8)?
        .context("offsets can be read")?;
    let offset = u64::read_from_bytes(&offset).ok().context("eight bytes")?;
    let object = thread.peek(data.buffer + offset, size_of::<T>() as u64)?;
    T::read_from_bytes(&object.context("objects can be read")?)
        .ok()
        .context("an object's size")
}

/// A buffer of a delivery: where it lies behind the offsets, and what is in it.
pub fn buffer(thread: &mut Thread, delivery: &Delivery, index: u64) -> Result<(u64, Vec<u8>)> {
    let object: BufferObject = object(thread, delivery, index)?;
    ensure!(object.hdr.kind == BINDER_TYPE_PTR, "{object:?}");
    let content = thread
        .peek(object.buffer, object.length)?
        .context("a buffer can be read")?;
    Ok((object.buffer.wrapping_sub(area(delivery)), content))
}

/// Where the room for buffers begins.
pub fn area(delivery: &Delivery) -> u64 {
    let data = &delivery.data;
    data.buffer + padded(data.data_size) + padded(data.offsets_size)
}

/// The pointer at an offset of a buffer's content.
pub fn pointer(content: &[u8], offset: usize) -> u64 {
    let bytes = content[offset..offset + 8].try_into();
    u64::from_le_bytes(bytes.expect("eight bytes"))
}

/// Shows that the receiver's space is in one piece and empty.
pub fn nothing_left(client: &mut Process, manager: &mut Process) -> Result<()> {
    let size = manager.endpoint.size as usize;
    harness::case::round_trip(
        client,
        manager,
        Call::to(0).data(&vec![9; size]),
        Call::reply(),
    )
    .map(drop)
}

/// Bytes that tell places apart.
pub fn pattern(length: usize, seed: u32) -> Vec<u8> {
    (0..length as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 13) as u8)
        .collect()
}

/// A content that tells its bytes apart.
pub fn filled(length: usize, first: u8) -> Vec<u8> {
    (0..length).map(|i| first.wrapping_add(i as u8)).collect()
}

/// What a parent has to look like: as sent, but for these addresses.
pub fn with_pointers(mut content: Vec<u8>, pointers: &[(usize, u64)]) -> Vec<u8> {
    for (offset, address) in pointers {
        content[*offset..*offset + 8].copy_from_slice(&address.to_le_bytes());
    }
    content
}

/// Buffers of 32 bytes with these parents and offsets; `None` is a buffer alone.
pub fn family(members: &[Option<(u64, u64)>]) -> Parcel {
    members.iter().zip(0..).fold(parcel(), |p, (member, i)| {
        let nesting = match member {
            None => alone(),
            Some((parent, offset)) => inside(*parent, *offset),
        };
        p.buffer(&filled(32, 0x20 * i), nesting)
    })
}

/// The room that such a family takes.
pub fn room_for(members: &[Option<(u64, u64)>]) -> u64 {
    32 * members.len() as u64
}

/// Looks whether each member is where its parent says.
pub fn related(
    manager: &mut Process,
    call: &Delivery,
    members: &[Option<(u64, u64)>],
) -> Result<()> {
    for index in 0..members.len() {
        let pointers: Vec<(usize, u64)> = members
            .iter()
            .zip(0..)
            .filter_map(|(member, child)| match member {
                Some((parent, offset)) if *parent == index as u64 => {
                    Some((*offset as usize, area(call) + 32 * child))
                }
                _ => None,
            })
            .collect();
        let expected = with_pointers(filled(32, 0x20 * index as u8), &pointers);
        let seen = buffer(manager, call, index as u64)?;
        check_eq!(seen, (32 * index as u64, expected), "{members:?}");
    }
    Ok(())
}

/// The numbers in a buffer of a delivery.
pub fn numbers_of(thread: &mut Thread, call: &Delivery, index: u64) -> Result<Vec<i32>> {
    let (_, content) = buffer(thread, call, index)?;
    let number = |bytes: &[u8]| i32::from_le_bytes(bytes.try_into().expect("four bytes"));
    Ok(content.chunks_exact(4).map(number).collect())
}

/// A transaction with these files in one array.
pub fn with_array(call: Call, fds: &[i32]) -> Call {
    call.parcel(array(parcel(), fds))
        .buffers_size(padded(4 * fds.len() as u64))
}

/// A buffer with nothing but these numbers, and the array object for it.
pub fn array(parcel: Parcel, fds: &[i32]) -> Parcel {
    let index = parcel.offsets.len() as u64;
    parcel
        .buffer(&numbers(fds), alone())
        .fd_array(fds.len() as u64, index, 0)
}

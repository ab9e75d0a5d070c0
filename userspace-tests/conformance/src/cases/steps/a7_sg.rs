// SPDX-License-Identifier: GPL-2.0

//! Section A7: buffers and arrays of files that are being copied, while receivers die
//! and files are closed.

use super::inside::*;
use crate::cases::case;
use crate::fixtures::*;
use anyhow::{Context, Result};
use binder_abi::*;
use harness::thread::PAGE;
use harness::{Call, Case, Cx, Delivery, Errno, Parcel, Thread, Transactions, check, check_eq};
use zerocopy::FromBytes;

pub const CASES: &[Case] = &[
    case(
        "a7/receiver-dies-during-buffer",
        "a call whose receiver dies while a buffer is copied fails: dead",
        receiver_dies,
    )
    .covers(&["A6.30"]),
    case(
        "a7/buffer-fails-late",
        "a buffer that turns out not to be there: failed, and all objects are given back",
        buffer_fails,
    )
    .covers(&["A6.28"]),
    case(
        "a7/array-closed-before-lookup",
        "the files of an array are looked up when its numbers are read",
        array_closed_before,
    )
    .covers(&["A6.25"]),
    case(
        "a7/array-closed-after-lookup",
        "files of an array arrive though their sender closes them once they are looked up",
        array_closed_after,
    )
    .covers(&["A7.4"]),
    case(
        "a7/array-changes-after-lookup",
        "the numbers of an array are those of the files that were looked up",
        array_changes,
    )
    .covers(&["A7.4"]),
    case(
        "a7/array-fails-late",
        "the files of an array whose call fails late are closed",
        array_fails,
    )
    .covers(&["CVE-2023-21255"]),
];

/// A buffer in memory of the sender.
fn buffer_at(address: u64, length: u64) -> BufferObject {
    BufferObject {
        hdr: ObjectHeader {
            kind: BINDER_TYPE_PTR,
        },
        buffer: address,
        length,
        ..Default::default()
    }
}

/// An object at the start of the data cannot be a parent.
const START: [u8; 8] = [0; 8];
/// Room for everything that a case sends.
const ROOM: u64 = 256;

fn sg_call(parcel: Parcel) -> Call {
    Call::to(0).parcel(parcel).buffers_size(ROOM)
}

/// The buffer of a delivery's object at this index.
fn buffer_in(thread: &mut Thread, delivery: &Delivery, index: u64) -> Result<Vec<u8>> {
    let offset = thread
        .peek(delivery.data.offsets + 8 * index, 8)?
        .context("offsets")?;
    let offset = u64::read_from_bytes(&offset).ok().context("an offset")?;
    let object = thread
        .peek(
            delivery.data.buffer + offset,
            size_of::<BufferObject>() as u64,
        )?
        .context("an object")?;
    let object = BufferObject::read_from_bytes(&object)
        .ok()
        .context("size")?;
    check_eq!(object.hdr.kind, BINDER_TYPE_PTR);
    thread
        .peek(object.buffer, object.length)?
        .context("a buffer")
}

/// Two pipes; the numbers of their writing ends as an array holds them.
fn two_files(thread: &mut Thread) -> Result<([i32; 2], [i32; 2], Vec<u8>)> {
    let (first, second) = (pipe(thread)?, pipe(thread)?);
    let array = [first.1, second.1].map(i32::to_le_bytes).concat();
    Ok(([first.0, second.0], [first.1, second.1], array))
}

fn receiver_dies(cx: &mut Cx) -> Result<()> {
    let manager = cx.manager()?;
    let watcher = watch_manager(cx)?;
    let mut client = cx.client()?;
    let trap = client.trap()?;
    let call = sg_call(Parcel::new().object(&buffer_at(trap.page, 64)));
    let step = send_into(&mut client, &trap, call)?;
    manager.kill()?;
    manager_is_dead(watcher)?;
    let_go(trap, step, b"too late")?;
    expect(&mut client, &[BR_NOOP, BR_DEAD_REPLY])
}

fn buffer_fails(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let mut other = client.spawn_thread()?;
    let (read, write) = pipe(&mut client)?;
    let trap = client.trap()?;
    let parcel = Parcel::new()
        .fd(write, 0)
        .binder(NODE.0, NODE.1)
        .object(&buffer_at(trap.page, 64));
    let step = send_into(&mut client, &trap, sg_call(parcel))?;
    close(&mut other, write)?;
    let_fail(trap, step)?;
    let told = client.read()?;
    check!(told.iter().any(|r| r.code() == BR_FAILED_REPLY), "{told:?}");
    check_eq!(
        error_of(&mut client)?,
        (BR_FAILED_REPLY, param(Some(Errno::EINVAL)))
    );
    check_eq!(get_byte(&mut client, read)?, None);
    // The node is forgotten: it can be sent under another cookie.
    client.acknowledge(&told)?;
    while !client.try_read()?.is_empty() {}
    give_node(&mut client, &mut manager, (NODE.0, OTHER.1))?;
    Ok(())
}

fn array_closed_before(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let mut other = client.spawn_thread()?;
    let (read, write, array) = two_files(&mut client)?;
    let trap = client.trap()?;
    let parcel = Parcel::new()
        .bytes(&START)
        .object(&buffer_at(trap.page, array.len() as u64))
        .fd_array(2, 0, 0);
    let step = send_into(&mut client, &trap, sg_call(parcel))?;
    close(&mut other, write[1])?;
    let_go(trap, step, &array)?;
    expect(&mut client, &[BR_NOOP, BR_FAILED_REPLY])?;
    check_eq!(
        error_of(&mut client)?,
        (BR_FAILED_REPLY, param(Some(Errno::EBADF)))
    );
    // The first was looked up, and is let go.
    close(&mut client, write[0])?;
    check_eq!(get_byte(&mut client, read[0])?, None);
    expect_nothing(&mut manager)
}

/// A call with an array, in ordinary memory, and behind it a buffer that is caught.
fn array_then_trap(client: &mut Thread, page: u64, array: &[u8]) -> Result<Call> {
    let place = page + PAGE;
    client.poke(place, array)?.context("memory of a trap")?;
    Ok(sg_call(
        Parcel::new()
            .bytes(&START)
            .object(&buffer_at(place, array.len() as u64))
            .fd_array(2, 0, 0)
            .object(&buffer_at(page, 8)),
    ))
}

fn array_closed_after(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let mut other = client.spawn_thread()?;
    let (read, write, array) = two_files(&mut client)?;
    let trap = client.trap()?;
    let call = array_then_trap(&mut client, trap.page, &array)?;
    let step = send_into(&mut client, &trap, call)?;
    write.iter().try_for_each(|fd| close(&mut other, *fd))?;
    let_go(trap, step, b"go on...")?;
    let call = manager.receive()?;
    let received = buffer_in(&mut manager, &call, 0)?;
    for (index, bytes) in received.chunks_exact(4).enumerate() {
        let fd = i32::from_le_bytes(bytes.try_into().expect("four bytes"));
        check_eq!(put_byte(&mut manager, fd, index as u8)?, Ok(1));
        check_eq!(get_byte(&mut client, read[index])?, Some(index as u8));
    }
    check_eq!(buffer_in(&mut manager, &call, 2)?, b"go on...");
    manager.free(&call)?;
    for fd in read {
        check_eq!(get_byte(&mut client, fd)?, None, "closed with the buffer");
    }
    Ok(())
}

fn array_changes(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let mut other = client.spawn_thread()?;
    let (read, _, array) = two_files(&mut client)?;
    let room = next_fd(&mut manager)?;
    let trap = client.trap()?;
    let call = array_then_trap(&mut client, trap.page, &array)?;
    let step = send_into(&mut client, &trap, call)?;
    let place = trap.page + PAGE;
    other.poke(place, &[0xFF; 8])?.context("memory of a trap")?;
    let_go(trap, step, b"go on...")?;
    let call = manager.receive()?;
    let received = buffer_in(&mut manager, &call, 0)?;
    let expected = [room, room + 1].map(i32::to_le_bytes).concat();
    check_eq!(received, expected);
    check_eq!(put_byte(&mut manager, room, 5)?, Ok(1));
    check_eq!(get_byte(&mut client, read[0])?, Some(5));
    manager.free(&call)?;
    check_eq!(next_fd(&mut manager)?, room);
    Ok(())
}

fn array_fails(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let mut other = client.spawn_thread()?;
    let (read, write, array) = two_files(&mut client)?;
    let room = next_fd(&mut manager)?;
    let trap = client.trap()?;
    let call = array_then_trap(&mut client, trap.page, &array)?;
    let step = send_into(&mut client, &trap, call)?;
    write.iter().try_for_each(|fd| close(&mut other, *fd))?;
    let_fail(trap, step)?;
    expect(&mut client, &[BR_NOOP, BR_FAILED_REPLY])?;
    for fd in read {
        check_eq!(get_byte(&mut client, fd)?, None);
    }
    check_eq!(next_fd(&mut manager)?, room);
    expect_nothing(&mut manager)
}

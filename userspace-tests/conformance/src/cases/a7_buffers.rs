// SPDX-License-Identifier: GPL-2.0

//! Section A7: buffers that go with a transaction: where they arrive, and how much
//! room they may take.

use super::case;
use crate::buffers::*;
use crate::fixtures::*;
use anyhow::{Context, Result};
use binder_abi::*;
use harness::thread::PAGE;
use harness::{Call, Case, Cx, Errno, Parcel, Transactions, check, check_eq, check_returns};

pub const CASES: &[Case] = &[
    case(
        "a7/sg-one-buffer",
        "a buffer arrives behind the offsets, and its object points to it",
        one_buffer,
    )
    .covers(&["A7.5"]),
    case(
        "a7/sg-object-fields",
        "of a buffer without parent only the address is changed",
        object_fields,
    )
    .covers(&["A7.5"]),
    case(
        "a7/sg-several-buffers",
        "buffers follow one another, each at a multiple of eight",
        several,
    )
    .covers(&["A7.5"]),
    case(
        "a7/sg-empty-buffers",
        "an empty buffer has an address, and its memory is not looked at",
        empty_buffers,
    )
    .covers(&["A7.5"]),
    case(
        "a7/sg-exact-room",
        "buffers may fill the room to the last byte",
        exact_room,
    )
    .covers(&["A7.5"]),
    case(
        "a7/sg-room-exceeded",
        "a buffer longer than the room that is left: EINVAL",
        room_exceeded,
    )
    .covers(&["A6.27"]),
    case(
        "a7/sg-absurd-lengths",
        "lengths that overflow when added: EINVAL",
        absurd_lengths,
    )
    .covers(&["A6.27"]),
    case(
        "a7/sg-plain-command",
        "the plain command has room for empty buffers only: EINVAL",
        plain_command,
    )
    .covers(&["A6.27"]),
    case(
        "a7/sg-unused-room",
        "room that no buffer uses is taken nevertheless",
        unused_room,
    ),
    case(
        "a7/sg-room-of-oneway",
        "the room for buffers counts for the budget of oneway calls",
        room_of_oneway,
    )
    .covers(&["A6.18", "A9.2"]),
    case(
        "a7/sg-large-buffers",
        "buffers of many pages arrive as they were",
        large_buffers,
    ),
    case(
        "a7/sg-among-objects",
        "buffers, nodes and files may be mixed",
        among_objects,
    )
    .covers(&["A7.1", "A7.3", "A7.5"]),
    case(
        "a7/sg-object-cut",
        "a buffer object that the data cuts off: EINVAL",
        object_cut,
    )
    .covers(&["A6.22"]),
    case(
        "a7/sg-clear-buffer",
        "TF_CLEAR_BUF zeroes buffers, too",
        clear_buffer,
    )
    .covers(&["A7.8"]),
];

fn one_buffer(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let parcel = Parcel::new().bytes(b"12345678").buffer(b"content", alone());
    let call = deliver(&mut client, &mut manager, parcel, 8)?;
    check_eq!(
        buffer(&mut manager, &call, 0)?,
        (0, b"content".to_vec()),
        "right behind the offsets"
    );
    check_eq!((call.data.data_size, call.data.offsets_size), (48, 8));
    check_eq!(&manager.data(&call)?[..8], b"12345678");
    manager.free(&call)?;
    // At the very start of the data it works, too.
    let parcel = Parcel::new().buffer(b"content", alone());
    let call = deliver(&mut client, &mut manager, parcel, 8)?;
    check_eq!(buffer(&mut manager, &call, 0)?, (0, b"content".to_vec()));
    manager.free(&call)
}

fn object_fields(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let nesting = BufferObject {
        flags: !BINDER_BUFFER_FLAG_HAS_PARENT,
        parent: u64::MAX,
        parent_offset: 0x1234_5678_9ABC,
        ..BufferObject::default()
    };
    let call = deliver(&mut client, &mut manager, parcel().buffer(b"x", nesting), 8)?;
    let seen: BufferObject = object(&mut manager, &call, 0)?;
    let expected = BufferObject {
        buffer: area(&call),
        length: 1,
        hdr: ObjectHeader {
            kind: BINDER_TYPE_PTR,
        },
        ..nesting
    };
    check_eq!(seen, expected);
    Ok(())
}

fn several(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let lengths = [1u64, 8, 9, 16, 7, 4096, 15, 24];
    let content = |i: usize| vec![0x30 + i as u8; lengths[i] as usize];
    let room = lengths.iter().map(|length| padded(*length)).sum();
    let parcel = (0..lengths.len()).fold(parcel(), |p, i| p.buffer(&content(i), alone()));
    let call = deliver(&mut client, &mut manager, parcel, room)?;
    let mut cursor = 0;
    for (i, length) in lengths.into_iter().enumerate() {
        let seen = buffer(&mut manager, &call, i as u64)?;
        check!(seen == (cursor, content(i)), "buffer {i}: {seen:?}");
        cursor += padded(length);
    }
    Ok(())
}

fn empty_buffers(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let parcel = parcel()
        .object(&at(0, 0, alone()))
        .buffer(b"123", alone())
        .object(&at(8, 0, alone()))
        .object(&at(u64::MAX, 0, alone()))
        .buffer(b"", alone());
    // All of the room is used, and the last ones stand at its end.
    let call = deliver(&mut client, &mut manager, parcel, 8)?;
    for (index, place) in [(0, 0), (1, 0), (2, 8), (3, 8), (4, 8)] {
        let seen: BufferObject = object(&mut manager, &call, index)?;
        check_eq!(seen.buffer, area(&call) + place, "object {index}");
    }
    Ok(())
}

fn exact_room(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let fits: [(&[usize], u64); 5] = [
        (&[8], 8),
        (&[5], 8),
        (&[8, 3], 16),
        (&[1, 1, 1], 24),
        (&[4096, 4095], 8192),
    ];
    for (lengths, room) in fits {
        let parcel = lengths
            .iter()
            .fold(parcel(), |p, length| p.buffer(&vec![7; *length], alone()));
        let call = deliver(&mut client, &mut manager, parcel, room)?;
        for (index, length) in lengths.iter().enumerate() {
            let (_, content) = buffer(&mut manager, &call, index as u64)?;
            check_eq!(content, vec![7; *length], "{lengths:?} in {room}");
        }
        manager.free(&call)?;
    }
    Ok(())
}

fn room_exceeded(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    // What is rounded up is gone for the next one.
    let too_long: [(&[usize], u64); 5] = [
        (&[9], 8),
        (&[1], 0),
        (&[8, 1], 8),
        (&[1, 9], 16),
        (&[9, 1], 16),
    ];
    for (lengths, room) in too_long {
        let parcel = lengths
            .iter()
            .fold(parcel(), |p, length| p.buffer(&vec![7; *length], alone()));
        refused(&mut client, parcel, room, Errno::EINVAL)?;
    }
    Ok(())
}

fn absurd_lengths(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    for length in [u64::MAX, u64::MAX - 7, 1 << 63, 1 << 32, 17] {
        let one = parcel().object(&at(0, length, alone()));
        refused(&mut client, one, 16, Errno::EINVAL)?;
        // Behind another one, so that the sum is small again.
        let two = parcel()
            .buffer(&[1; 16], alone())
            .object(&at(0, length, alone()));
        refused(&mut client, two, 24, Errno::EINVAL)?;
    }
    Ok(())
}

fn plain_command(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let call = Call::to(0).parcel(parcel().buffer(b"1", alone()));
    fails(&mut client, call, BR_FAILED_REPLY, Some(Errno::EINVAL))?;
    let call = Call::oneway(0).parcel(parcel().buffer(b"", alone()));
    client.send(&[call.into()])?;
    let call = manager.receive()?;
    let seen: BufferObject = object(&mut manager, &call, 0)?;
    check_eq!((seen.buffer, seen.length), (area(&call), 0));
    manager.free(&call)
}

fn unused_room(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = cx.client()?;
    let mut second = manager.spawn_thread()?;
    second.version()?.ok();
    let first = parcel().buffer(b"1", alone());
    client.send(&[Call::to(0).parcel(first).buffers_size(800).into()])?;
    let first = manager.receive()?;
    let next = call_received(&mut other, &mut second)?;
    check_eq!(next.data.buffer, area(&first) + 800);
    Ok(())
}

fn room_of_oneway(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_with_size(2 * PAGE)?;
    let mut client = cx.client()?;
    let oneway = |room| Call::oneway(0).buffers_size(room);
    fails(
        &mut client,
        oneway(PAGE + 8),
        BR_FAILED_REPLY,
        Some(Errno::ENOSPC),
    )?;
    client.send(&[oneway(PAGE).into()])?;
    complete(&mut client)?;
    fails(
        &mut client,
        Call::oneway(0),
        BR_FAILED_REPLY,
        Some(Errno::ENOSPC),
    )?;
    let call = manager.receive()?;
    manager.free(&call)?;
    client.send(&[oneway(PAGE).into()])?;
    complete(&mut client)
}

fn large_buffers(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let lengths = [100_000, 4096, 65_537, 33];
    let room = lengths.iter().map(|length| padded(*length as u64)).sum();
    for round in 0..3 {
        let parcel = lengths.iter().fold(parcel(), |p, length| {
            p.bytes(&pattern(1000, round))
                .bytes(&[0; 4])
                .buffer(&pattern(*length, *length as u32 + round), alone())
        });
        let call = deliver(&mut client, &mut manager, parcel, room)?;
        for (index, length) in lengths.into_iter().enumerate() {
            let (_, content) = buffer(&mut manager, &call, index as u64)?;
            check!(
                content == pattern(length, length as u32 + round),
                "buffer {index} of round {round} differs"
            );
        }
        manager.free(&call)?;
    }
    Ok(())
}

fn among_objects(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let (read, write) = pipe(&mut client)?;
    let parcel = Parcel::new()
        .binder(NODE.0, NODE.1)
        .buffer(b"first", alone())
        .bytes(b"between ")
        .fd(write, 5)
        .buffer(b"second", alone())
        .weak_binder(OTHER.0, OTHER.1)
        .bytes(b"end");
    client.send(&[Call::oneway(0).parcel(parcel).buffers_size(16).into()])?;
    check_returns!(
        client.read()?,
        [
            BR_NOOP,
            BR_INCREFS,
            BR_ACQUIRE,
            BR_INCREFS,
            BR_TRANSACTION_COMPLETE
        ]
    );
    let call = manager.receive()?;
    let node: FlatObject = object(&mut manager, &call, 0)?;
    check_eq!((node.hdr.kind, node.handle()), (BINDER_TYPE_HANDLE, 1));
    check_eq!(buffer(&mut manager, &call, 1)?, (0, b"first".to_vec()));
    let file: FdObject = object(&mut manager, &call, 2)?;
    check_eq!(put_byte(&mut manager, file.fd as i32, 8)?, Ok(1));
    check_eq!(get_byte(&mut client, read)?, Some(8));
    check_eq!(buffer(&mut manager, &call, 3)?, (8, b"second".to_vec()));
    let weak: FlatObject = object(&mut manager, &call, 4)?;
    check_eq!((weak.hdr.kind, weak.handle()), (BINDER_TYPE_WEAK_HANDLE, 2));
    let data = manager.data(&call)?;
    check_eq!(
        (&data[64..72], &data[160..163]),
        (&b"between "[..], &b"end"[..])
    );
    Ok(())
}

fn object_cut(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    for left in [4, 24, 32, 36, 39] {
        let mut cut = parcel().buffer(b"1", alone());
        cut.data.truncate(8 + left);
        // The actor fills in the address only where it is still part of the data.
        cut.buffers.clear();
        refused(&mut client, cut, 8, Errno::EINVAL)?;
    }
    Ok(())
}

fn clear_buffer(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    // Something stays in the same pages, so that they remain mapped.
    let mut other = cx.client()?;
    let kept = call_received(&mut other, &mut manager)?;
    let mut second = manager.spawn_thread()?;
    second.version()?.ok();
    let sent = parcel().buffer(&[0x77; 100], alone()).bytes(&[0x66; 12]);
    let call = Call::oneway(0).flags(TF_CLEAR_BUF).parcel(sent);
    client.send(&[call.buffers_size(104).into()])?;
    let call = second.receive()?;
    let size = area(&call) + 104 - call.data.buffer;
    second.free(&call)?;
    let left = second.peek(call.data.buffer, size)?.context("peek")?;
    check_eq!(left, vec![0; size as usize]);
    manager.answer(&kept, Call::reply())
}

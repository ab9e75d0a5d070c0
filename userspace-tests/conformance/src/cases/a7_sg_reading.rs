// SPDX-License-Identifier: GPL-2.0

//! Section A7: what is read of the sender's memory, and when.

use super::case;
use crate::buffers::*;
use crate::fixtures::*;
use anyhow::{Context, Result};
use binder_abi::*;
use harness::thread::PAGE;
use harness::{Bc, Call, Case, Cx, Errno, Parcel, Transactions, check, check_eq};

pub const CASES: &[Case] = &[
    case(
        "a7/sg-same-memory-twice",
        "memory sent twice arrives in two places",
        same_memory_twice,
    ),
    case(
        "a7/sg-forwarded",
        "a received buffer may be sent on from where it lies",
        forwarded,
    )
    .covers(&["A7.5"]),
    case(
        "a7/sg-sender-untouched",
        "neither objects nor buffers of the sender are written to",
        sender_untouched,
    ),
    case(
        "a7/sg-pointers-not-read",
        "bytes that an address replaces are not read from the sender",
        pointers_not_read,
    ),
    case(
        "a7/fda-fault",
        "an array in memory that is not there: EINVAL",
        array_fault,
    )
    .covers(&["A6.26"]),
    case(
        "a7/fda-sender-keeps-files",
        "the sender's files and its array stay as they are",
        sender_keeps_files,
    ),
    case(
        "a7/fda-array-not-read-twice",
        "an array that fills its buffer is read once and not copied",
        not_read_twice,
    ),
    case(
        "a7/sg-fault",
        "a buffer in memory that is not there: EINVAL",
        fault,
    )
    .covers(&["A6.28"]),
    case(
        "a7/sg-fault-comes-last",
        "buffers are read when everything else was found good",
        fault_comes_last,
    )
    .covers(&["A6.28"]),
];

fn same_memory_twice(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let page = client.allocate(PAGE)?;
    client.poke(page, b"shared memory")?.context("poke")?;
    let parcel = parcel()
        .object(&at(page, 13, alone()))
        .object(&at(page + 7, 6, alone()))
        .object(&at(page, 13, alone()));
    let call = deliver(&mut client, &mut manager, parcel, 40)?;
    let expected = [
        (0, b"shared memory".to_vec()),
        (16, b"memory".to_vec()),
        (24, b"shared memory".to_vec()),
    ];
    for (index, expected) in expected.into_iter().enumerate() {
        check_eq!(buffer(&mut manager, &call, index as u64)?, expected);
    }
    Ok(())
}

fn forwarded(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut owner = cx.client()?;
    let handle = give_node(&mut owner, &mut manager, NODE)?;
    let sent = parcel().buffer(&pattern(9000, 1), alone());
    let call = deliver(&mut client, &mut manager, sent, 9000)?;
    let received: BufferObject = object(&mut manager, &call, 0)?;
    let again = parcel().object(&at(received.buffer, received.length, alone()));
    manager.send(&[
        Call::oneway(handle).parcel(again).buffers_size(9000).into(),
        Bc::FreeBuffer(call.data.buffer),
    ])?;
    complete(&mut manager)?;
    let call = owner.receive()?;
    let (_, content) = buffer(&mut owner, &call, 0)?;
    check!(content == pattern(9000, 1), "the buffer arrived changed");
    Ok(())
}

fn sender_untouched(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let page = client.allocate(PAGE)?;
    let objects = [
        at(page + 1024, 16, alone()),
        at(page + 2048, 8, inside(0, 8)),
    ];
    let data = objects.iter().fold(parcel(), |p, object| p.object(object));
    let offsets: Vec<u8> = data.offsets.iter().flat_map(|o| o.to_le_bytes()).collect();
    for (address, bytes) in [
        (page, &data.data[..]),
        (page + 512, &offsets),
        (page + 1024, &[0x11; 16]),
        (page + 2048, &[0x22; 8]),
    ] {
        client.poke(address, bytes)?.context("poke")?;
    }
    let before = client.peek(page, PAGE)?.context("peek")?;
    let call = Call::oneway(0)
        .data_at(page, data.data.len() as u64)
        .offsets_at(page + 512, offsets.len() as u64)
        .buffers_size(24);
    client.send(&[call.into()])?;
    let call = manager.receive()?;
    let (_, content) = buffer(&mut manager, &call, 0)?;
    check_eq!(pointer(&content, 8), area(&call) + 16);
    let after = client.peek(page, PAGE)?.context("peek")?;
    check!(before == after, "the sender's memory was written to");
    Ok(())
}

fn pointers_not_read(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let page = client.page_before_hole()?;
    let end = page + PAGE;
    client.poke(end - 8, &[0x44; 8])?.context("poke")?;
    // All of the parent, or all of it that is not there, is addresses.
    for (parent, children) in [
        (at(8, 8, alone()), vec![0]),
        (at(0, 16, alone()), vec![0, 8]),
        (at(end - 8, 16, alone()), vec![8]),
    ] {
        let parcel = parcel().object(&parent);
        let parcel = children
            .iter()
            .fold(parcel, |p, offset| p.buffer(b"child", inside(0, *offset)));
        let call = deliver(&mut client, &mut manager, parcel, 32)?;
        let (_, content) = buffer(&mut manager, &call, 0)?;
        let first = area(&call) + parent.length;
        check_eq!(pointer(&content, children[0] as usize), first);
        if children[0] != 0 {
            check_eq!(content[..8], [0x44; 8]);
        }
        manager.free(&call)?;
    }
    // One byte less is one byte that has to be read.
    let parcel = parcel()
        .object(&at(8, 9, alone()))
        .buffer(b"child", inside(0, 0));
    refused(&mut client, parcel, 32, Errno::EINVAL)
}

fn array_fault(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let page = client.page_before_hole()?;
    for address in [8, page + PAGE - 4, 1 << 63] {
        // The second number of the array is not there; the first may be.
        let parcel = parcel().object(&at(address, 8, alone())).fd_array(2, 0, 0);
        refused(&mut client, parcel, 8, Errno::EINVAL)?;
    }
    Ok(())
}

fn sender_keeps_files(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let page = client.allocate(PAGE)?;
    let (read, write) = pipe(&mut client)?;
    let sent = numbers(&[write, 0]);
    client.poke(page, &sent)?.context("poke")?;
    let first = next_fd(&mut client)?;
    let parcel = parcel().object(&at(page, 8, alone())).fd_array(2, 0, 0);
    let call = deliver(&mut client, &mut manager, parcel, 8)?;
    check_eq!(client.peek(page, 8)?, Ok(sent));
    manager.free(&call)?;
    check_eq!(next_fd(&mut client)?, first);
    check_eq!(put_byte(&mut client, write, 3)?, Ok(1));
    check_eq!(get_byte(&mut client, read)?, Some(3));
    Ok(())
}

fn not_read_twice(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let page = client.page_before_hole()?;
    let end = page + PAGE;
    client.poke(end - 8, &numbers(&[0, 1]))?.context("poke")?;
    // The buffer goes on where no memory is; only an address is stored there.
    let parcel = parcel()
        .object(&at(end - 8, 16, alone()))
        .fd_array(2, 0, 0)
        .buffer(b"x", inside(0, 8));
    let first = next_fd(&mut manager)?;
    let call = deliver(&mut client, &mut manager, parcel, 24)?;
    let (_, content) = buffer(&mut manager, &call, 0)?;
    check_eq!(content[..8], numbers(&[first, first + 1]));
    check_eq!(pointer(&content, 8), area(&call) + 16);
    Ok(())
}

/// A buffer that cannot be read.
fn unreadable() -> Parcel {
    parcel().object(&at(8, 8, alone()))
}

fn fault(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_with_size(4 * PAGE)?;
    let mut client = cx.client()?;
    let page = client.page_before_hole()?;
    for (address, length) in [
        (0, 8),
        (8, 1),
        (page + 100, PAGE),
        (page + PAGE - 1, 2),
        (1 << 63, 8),
        (u64::MAX - 7, 8),
        (u64::MAX, 8),
    ] {
        let parcel = parcel().object(&at(address, length, alone()));
        refused(&mut client, parcel, PAGE, Errno::EINVAL)
            .with_context(|| format!("{length} bytes at {address:#x}"))?;
        // Behind a good one, and with an address put into it.
        let parcel = Parcel::new()
            .bytes(&[0; 8])
            .buffer(&[1; 16], alone())
            .object(&at(address, length, inside(0, 8)));
        refused(&mut client, parcel, PAGE + 16, Errno::EINVAL)?;
    }
    nothing_left(&mut client, &mut manager)
}

fn fault_comes_last(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    refused(&mut client, unreadable().fd(999, 0), 8, Errno::EBADF)?;
    // An address at an odd place is put there when buffers are read.
    let odd = parcel()
        .buffer(&[1; 16], alone())
        .buffer(b"x", inside(0, 1));
    refused(&mut client, odd.fd(999, 0), 24, Errno::EBADF)?;
    // The data behind the last object is read before.
    let page = client.page_before_hole()?;
    let mut sent = unreadable();
    let size = sent.data.len() as u64;
    let start = page + PAGE - size;
    client.poke(start, &sent.data)?.context("poke")?;
    client
        .poke(page, &sent.offsets[0].to_le_bytes())?
        .context("poke")?;
    let cut = |length| {
        Call::to(0)
            .data_at(start, length)
            .offsets_at(page, 8)
            .buffers_size(8)
    };
    fails(&mut client, cut(size), BR_FAILED_REPLY, Some(Errno::EINVAL))?;
    fails(
        &mut client,
        cut(size + 1),
        BR_FAILED_REPLY,
        Some(Errno::EFAULT),
    )?;
    // And so is the data between objects.
    sent = unreadable().bytes(&[0; 8]).fd(0, 0);
    sent.offsets[1] += 64;
    refused(&mut client, sent, 8, Errno::EFAULT)
}

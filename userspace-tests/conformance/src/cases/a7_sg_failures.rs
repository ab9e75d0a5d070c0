// SPDX-License-Identifier: GPL-2.0

//! Section A7: which failure of a transaction with buffers is told, and that nothing
//! of it is left.

use super::case;
use crate::buffers::*;
use crate::fixtures::*;
use anyhow::{Context, Result};
use binder_abi::*;
use harness::{Bc, Call, Case, Cx, Errno, Parcel, Transactions, check, check_eq, check_returns};

pub const CASES: &[Case] = &[
    case(
        "a7/sg-first-failure-is-told",
        "of several bad objects the first one counts",
        first_failure,
    ),
    case(
        "a7/sg-alignment-of-sizes-first",
        "sizes are looked at before objects, offsets before sizes",
        sizes_first,
    )
    .covers(&["A6.19", "A6.20"]),
    case(
        "a7/sg-failure-drops-files",
        "files of a transaction that fails are let go, whatever fails",
        drops_files,
    ),
    case(
        "a7/sg-failure-drops-references",
        "a transaction that fails behind objects leaves no reference",
        drops_references,
    )
    .covers(&["CVE-2023-21255"]),
    case(
        "a7/sg-failure-at-every-object",
        "wherever a transaction fails, nothing of it is left",
        at_every_object,
    )
    .covers(&["A7.7", "CVE-2023-21255"]),
    case(
        "a7/sg-failure-clears",
        "TF_CLEAR_BUF zeroes what a failed transaction had written",
        failure_clears,
    )
    .covers(&["A7.8"]),
    case(
        "a7/fda-no-room-call",
        "a call whose array finds no room fails at the receiver",
        no_room_call,
    )
    .covers(&["A8.8"]),
    case(
        "a7/fda-no-room-oneway",
        "a oneway call whose array finds no room is dropped",
        no_room_oneway,
    )
    .covers(&["A8.8"]),
    case(
        "a7/fda-no-room-closes-nothing",
        "a call that is dropped closes none of the receiver's files",
        no_room_closes_nothing,
    ),
    case(
        "a7/fda-failure-closes-nothing",
        "a transaction that fails closes none of the receiver's files",
        failure_closes_nothing,
    ),
];

fn first_failure(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let long = |p: Parcel| p.buffer(&[1; 64], alone());
    refused(&mut client, long(parcel()).fd(999, 0), 8, Errno::EINVAL)?;
    refused(&mut client, long(parcel().fd(999, 0)), 8, Errno::EBADF)?;
    let mut outside = parcel().fd(999, 0);
    outside.offsets.push(4096);
    refused(&mut client, outside, 8, Errno::EBADF)?;
    let mut outside = parcel().fd(0, 0);
    outside.offsets.insert(0, 4096);
    refused(&mut client, outside, 8, Errno::EFAULT)
}

fn sizes_first(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let call = || Call::to(0).parcel(parcel().fd(999, 0));
    let bad = |client: &mut _, call, why| fails(client, call, BR_FAILED_REPLY, Some(why));
    bad(&mut client, call().buffers_size(12), Errno::EINVAL)?;
    bad(&mut client, call().offsets_size(4), Errno::EINVAL)?;
    bad(&mut client, call().buffers_size(8), Errno::EBADF)?;
    // Offsets are copied before their size is looked at.
    let call = Call::to(0).data(&[0; 32]).offsets_at(8, 12);
    bad(&mut client, call.buffers_size(12), Errno::EFAULT)
}

fn drops_files(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let array = |write: i32, last: i32| {
        parcel()
            .buffer(&numbers(&[write, write, last]), alone())
            .fd_array(3, 0, 0)
    };
    let bad: [fn(Parcel) -> (Parcel, Errno); 5] = [
        |p| (p.fd(999, 0), Errno::EBADF),
        |p| (p.object(&at(8, 8, alone())), Errno::EINVAL),
        |p| (p.handle(77), Errno::EINVAL),
        |p| (p.buffer(b"x", inside(0, 0)), Errno::EINVAL),
        |p| (p.offset(1 << 20), Errno::EFAULT),
    ];
    for index in 0..bad.len() + 1 {
        let (read, write) = pipe(&mut client)?;
        let (parcel, why) = match bad.get(index) {
            Some(bad) => bad(array(write, write).fd(write, 0)),
            None => (array(write, 999), Errno::EBADF),
        };
        refused(&mut client, parcel, 24, why)?;
        close(&mut client, write)?;
        check_eq!(get_byte(&mut client, read)?, None, "failure {index}");
        close(&mut client, read)?;
    }
    expect_nothing(&mut manager)
}

fn drops_references(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let mut owner = cx.client()?;
    let handle = give_node(&mut owner, &mut manager, OTHER)?;
    let passed = pass_handle(&mut manager, &mut client, handle)?;
    manager.send(&[Bc::Release(handle)])?;
    let bad = parcel()
        .handle(passed)
        .weak_handle(passed)
        .binder(NODE.0, NODE.1)
        .weak_binder(NODE.0, NODE.1)
        .buffer(&numbers(&[0, 999]), alone())
        .fd_array(2, 4, 0);
    for _ in 0..5 {
        client
            .write(&[Call::to(0).parcel(bad.clone()).buffers_size(8).into()])?
            .ok()?;
        let returns = client.read()?;
        check_eq!(returns.last().map(harness::Br::code), Some(BR_FAILED_REPLY));
        check_eq!(
            error_of(&mut client)?,
            (BR_FAILED_REPLY, param(Some(Errno::EBADF)))
        );
        client.acknowledge(&returns)?;
        while !client.try_read()?.is_empty() {}
    }
    // The manager has no reference, so the lowest handle is free; the client's node
    // is gone, so it may have another cookie; and the owner's is held by the client
    // alone.
    check_eq!(give_node(&mut client, &mut manager, (NODE.0, 0x77))?, 1);
    expect_nothing(&mut owner)?;
    client.send(&[Bc::Release(passed)])?;
    check_returns!(owner.read()?, [BR_NOOP, BR_RELEASE, BR_DECREFS]);
    Ok(())
}

fn at_every_object(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_with(FlatObject {
        flags: FLAT_BINDER_FLAG_ACCEPTS_FDS,
        ..FlatObject::default()
    })?;
    let mut client = cx.client()?;
    let build = |write: i32| {
        Parcel::new()
            .binder(NODE.0, NODE.1)
            .bytes(&[0; 8])
            .buffer(&[1; 24], alone())
            .fd(write, 0)
            .buffer(&numbers(&[write, 0]), inside(1, 0))
            .fd_array(2, 3, 0)
            .buffer(&[3; 8], inside(1, 8))
            .weak_binder(OTHER.0, OTHER.1)
    };
    let count = build(0).offsets.len();
    for objects in 0..=count {
        for oneway in [0, TF_ONE_WAY] {
            let (read, write) = pipe(&mut client)?;
            let mut parcel = build(write);
            parcel.offsets.truncate(objects);
            // An offset that no object can have.
            parcel.offsets.push(parcel.offsets.last().unwrap_or(&0) + 2);
            let call = Call::to(0).flags(oneway).parcel(parcel);
            client.write(&[call.buffers_size(48).into()])?.ok()?;
            let returns = client.read()?;
            check_eq!(returns.last().map(harness::Br::code), Some(BR_FAILED_REPLY));
            client.acknowledge(&returns)?;
            while !client.try_read()?.is_empty() {}
            close(&mut client, write)?;
            check_eq!(get_byte(&mut client, read)?, None, "{objects} objects");
            close(&mut client, read)?;
        }
    }
    // Nodes with other cookies are welcome, so the old ones are gone.
    check_eq!(give_node(&mut client, &mut manager, (NODE.0, 1))?, 1);
    check_eq!(give_node(&mut client, &mut manager, (OTHER.0, 2))?, 2);
    let half = manager.endpoint.size / 2;
    let call = deliver(&mut client, &mut manager, Parcel::new(), half)?;
    manager.free(&call)?;
    nothing_left(&mut client, &mut manager)
}

fn failure_clears(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = cx.client()?;
    // A buffer before and one behind keep the pages; the one between comes free.
    let before = call_received(&mut other, &mut manager)?;
    let mut second = manager.spawn_thread()?;
    second.version()?.ok();
    let hole = Call::oneway(0).data(&[0x11; 4096]);
    client.send(&[hole.into()])?;
    let hole = second.receive()?;
    second.free(&hole)?;
    let bad = Parcel::new()
        .bytes(&[0x22; 1024])
        .buffer(&[0x33; 1024], alone())
        .handle(77);
    let failing = Call::oneway(0)
        .flags(TF_CLEAR_BUF)
        .parcel(bad)
        .buffers_size(1024);
    let content = |second: &mut harness::Thread| {
        second
            .peek(hole.data.buffer, 1024)?
            .context("the page is there")
    };
    check_eq!(content(&mut second)?, [0x11; 1024]);
    fails(&mut client, failing, BR_FAILED_REPLY, Some(Errno::EINVAL))?;
    check_eq!(content(&mut second)?, [0; 1024]);
    manager.answer(&before, Call::reply())
}

fn no_room_call(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let (read, write) = pipe(&mut client)?;
    let room = next_fd(&mut manager)?;
    for free in [0, 1, 2] {
        // Room for some of three.
        limit_fds(&mut manager, room + free)?;
        client.send(&[with_array(Call::to(0), &[0, write, 0]).into()])?;
        let seen = manager.try_read()?;
        cx.note("the receiver's read", &seen);
        check_returns!(
            client.read()?,
            [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY]
        );
        cx.note("the sender's extended error", error_of(&mut client)?);
        limit_fds(&mut manager, 1024)?;
        check_eq!(next_fd(&mut manager)?, room, "none is installed");
    }
    close(&mut client, write)?;
    check_eq!(get_byte(&mut client, read)?, None);
    nothing_left(&mut client, &mut manager)
}

fn no_room_oneway(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let (read, write) = pipe(&mut client)?;
    let room = next_fd(&mut manager)?;
    limit_fds(&mut manager, room + 1)?;
    client.send(&[
        with_array(Call::oneway(0), &[write, 0]).into(),
        Call::oneway(0).code(2).into(),
        with_array(Call::oneway(0).code(3), &[0]).into(),
    ])?;
    close(&mut client, write)?;
    let second = manager.receive()?;
    check_eq!(second.data.code, 2);
    check_eq!(get_byte(&mut client, read)?, None);
    check_eq!(next_fd(&mut manager)?, room);
    manager.free(&second)?;
    let third = manager.receive()?;
    check_eq!(third.data.code, 3);
    manager.free(&third)?;
    check_eq!(next_fd(&mut manager)?, room);
    Ok(())
}

fn no_room_closes_nothing(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let mut held: Vec<i32> = Vec::new();
    for _ in 0..3 {
        held.push(manager.must(libc::SYS_dup, &[0])? as i32);
    }
    // The place of the array holds numbers of the receiver's files from before.
    let stale = parcel().buffer(&numbers(&held), alone()).fd(0, 0);
    let stale = deliver(&mut client, &mut manager, stale, 16)?;
    manager.free(&stale)?;
    let room = next_fd(&mut manager)?;
    limit_fds(&mut manager, room)?;
    client.send(&[with_array(Call::to(0), &[0, 0, 0]).into()])?;
    manager.try_read()?;
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY]
    );
    for fd in held {
        manager.must(libc::SYS_fcntl, &[fd as u64, libc::F_GETFD as u64])?;
    }
    Ok(())
}

fn failure_closes_nothing(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let highest = next_fd(&mut manager)?;
    // The sender's numbers are all open at the receiver as well.
    let all: Vec<i32> = (0..highest).collect();
    for fd in &all {
        manager.must(libc::SYS_fcntl, &[*fd as u64, libc::F_GETFD as u64])?;
        client.must(libc::SYS_fcntl, &[*fd as u64, libc::F_GETFD as u64])?;
    }
    for flags in [0, TF_ONE_WAY] {
        let parcel = parcel()
            .buffer(&numbers(&all), alone())
            .fd_array(all.len() as u64, 0, 0)
            .handle(77);
        let call = Call::to(0).flags(flags).parcel(parcel).buffers_size(256);
        fails(&mut client, call, BR_FAILED_REPLY, Some(Errno::EINVAL))?;
    }
    for fd in &all {
        manager.must(libc::SYS_fcntl, &[*fd as u64, libc::F_GETFD as u64])?;
    }
    check!(next_fd(&mut manager)? == highest);
    Ok(())
}

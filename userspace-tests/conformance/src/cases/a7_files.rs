// SPDX-License-Identifier: GPL-2.0

//! Section A7: file objects: who may send them, and what becomes of the files.

use super::case;
use crate::fixtures::*;
use anyhow::{Context, Result};
use binder_abi::*;
use harness::{Bc, Call, Case, Cx, Errno, Parcel, Transactions, check_eq, check_returns};
use zerocopy::FromBytes;

pub const CASES: &[Case] = &[
    case(
        "a7/file-arrives",
        "a file arrives under a number of the receiver",
        file_arrives,
    )
    .covers(&["A7.3"]),
    case(
        "a7/file-object-fields",
        "the object holds the new number and keeps its cookie",
        object_fields,
    ),
    case(
        "a7/file-refused",
        "a node that takes no files: EPERM",
        file_refused,
    )
    .covers(&["A6.25"]),
    case(
        "a7/file-in-reply-refused",
        "a caller that takes no files: EPERM",
        reply_refused,
    )
    .covers(&["A6.25"]),
    case(
        "a7/file-in-reply",
        "a caller that takes files gets them in the reply",
        file_in_reply,
    ),
    case(
        "a7/file-bad-number",
        "a number that is not open: EBADF",
        bad_number,
    )
    .covers(&["A6.25"]),
    case(
        "a7/file-stays-open",
        "a received file stays open when its buffer is given back",
        stays_open,
    ),
    case(
        "a7/file-close-on-exec",
        "a received file is closed on exec",
        close_on_exec,
    )
    .covers(&["A7.3"]),
    case(
        "a7/file-no-room-call",
        "a call whose file finds no room fails at the receiver",
        no_room_call,
    )
    .covers(&["A8.8"]),
    case(
        "a7/file-no-room-oneway",
        "a oneway call whose file finds no room is dropped",
        no_room_oneway,
    )
    .covers(&["A8.8"]),
    case(
        "a7/file-no-room-reply",
        "a reply whose file finds no room becomes a failure",
        no_room_reply,
    )
    .covers(&["A8.8"]),
    case(
        "a7/files-all-or-nothing",
        "of several files all are installed or none",
        all_or_nothing,
    )
    .covers(&["A7.3"]),
    case(
        "a7/file-of-undelivered-call",
        "the file of a call nobody took is let go",
        undelivered_file,
    ),
    case(
        "a7/file-of-failed-call",
        "the file of a call that failed is let go",
        failed_file,
    ),
    case(
        "a7/many-files",
        "two hundred files in one call arrive in order",
        many_files,
    ),
    case(
        "a7/same-file-twice",
        "a file sent twice arrives under two numbers",
        same_file_twice,
    ),
];

/// The file number in an object of a delivery.
fn fd_in(thread: &mut harness::Thread, delivery: &harness::Delivery, index: usize) -> Result<i32> {
    let object = thread.object(delivery, index)?;
    check_eq!(object.hdr.kind, BINDER_TYPE_FD);
    Ok(object.handle() as i32)
}

fn file_arrives(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let (read, write) = pipe(&mut client)?;
    client.send(&[Call::oneway(0).parcel(Parcel::new().fd(write, 0)).into()])?;
    let expected = next_fd(&mut manager)?;
    let call = manager.receive()?;
    let received = fd_in(&mut manager, &call, 0)?;
    check_eq!(received, expected, "the lowest free number");
    check_eq!(put_byte(&mut manager, received, 42)?, Ok(1));
    check_eq!(get_byte(&mut client, read)?, Some(42));
    Ok(())
}

fn object_fields(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let object = FdObject {
        hdr: ObjectHeader {
            kind: BINDER_TYPE_FD,
        },
        pad_flags: 0x1234,
        fd: 0,
        pad_binder_high: 0xFFFF_FFFF,
        cookie: 0x5678,
    };
    client.send(&[Call::oneway(0).parcel(Parcel::new().object(&object)).into()])?;
    let call = manager.receive()?;
    let bytes = manager.data(&call)?;
    let object = FdObject::read_from_bytes(&bytes).ok().context("size")?;
    check_eq!((object.hdr.kind, object.cookie), (BINDER_TYPE_FD, 0x5678));
    check_eq!(
        object.pad_binder_high,
        0,
        "the upper half of the shared field is cleared"
    );
    cx.note("pad_flags", object.pad_flags);
    Ok(())
}

fn file_refused(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    for fd in [0, 999] {
        let call = Call::to(0)
            .flags(TF_ACCEPT_FDS)
            .parcel(Parcel::new().fd(fd, 0));
        fails(&mut client, call, BR_FAILED_REPLY, Some(Errno::EPERM))?;
    }
    Ok(())
}

fn reply_refused(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    manager
        .write(&[Call::reply()
            .flags(TF_ACCEPT_FDS)
            .parcel(Parcel::new().fd(0, 0))
            .into()])?
        .ok()?;
    complete(&mut manager)?;
    manager.free(&call)?;
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY]
    );
    check_eq!(
        error_of(&mut client)?,
        (BR_FAILED_REPLY, param(Some(Errno::EPERM)))
    );
    Ok(())
}

fn file_in_reply(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let (read, write) = pipe(&mut manager)?;
    client.send(&[Call::to(0).flags(TF_ACCEPT_FDS).into()])?;
    let call = manager.receive()?;
    manager.answer(&call, Call::reply().parcel(Parcel::new().fd(write, 0)))?;
    complete(&mut manager)?;
    let reply = client.receive()?;
    let received = fd_in(&mut client, &reply, 0)?;
    check_eq!(put_byte(&mut client, received, 7)?, Ok(1));
    check_eq!(get_byte(&mut manager, read)?, Some(7));
    Ok(())
}

fn bad_number(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    for fd in [999, -1, i32::MAX] {
        let call = Call::to(0).parcel(Parcel::new().fd(0, 0).fd(fd, 0));
        fails(&mut client, call, BR_FAILED_REPLY, Some(Errno::EBADF))?;
    }
    Ok(())
}

fn stays_open(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let (_, write) = pipe(&mut client)?;
    client.send(&[Call::oneway(0).parcel(Parcel::new().fd(write, 0)).into()])?;
    let call = manager.receive()?;
    let received = fd_in(&mut manager, &call, 0)?;
    manager.free(&call)?;
    check_eq!(put_byte(&mut manager, received, 1)?, Ok(1));
    Ok(())
}

fn close_on_exec(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    client.send(&[Call::oneway(0).parcel(Parcel::new().fd(0, 0)).into()])?;
    let call = manager.receive()?;
    let received = fd_in(&mut manager, &call, 0)?;
    let flags = manager.must(libc::SYS_fcntl, &[received as u64, libc::F_GETFD as u64])?;
    check_eq!(flags, i64::from(libc::FD_CLOEXEC));
    Ok(())
}

fn no_room_call(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let room = next_fd(&mut manager)?;
    limit_fds(&mut manager, room)?;
    client.send(&[Call::to(0).parcel(Parcel::new().fd(0, 0)).into()])?;
    // The receiver sees nothing of it; there was work, so it does not wait either.
    let seen = manager.try_read()?;
    cx.note("the receiver's read", &seen);
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY]
    );
    let error = error_of(&mut client)?;
    cx.note("the sender's extended error", error);
    limit_fds(&mut manager, 1024)?;
    client.send(&[Call::to(0).parcel(Parcel::new().fd(0, 0)).into()])?;
    let call = manager.receive()?;
    check_eq!(fd_in(&mut manager, &call, 0)?, room);
    check_eq!(
        call.data.buffer,
        manager.endpoint.base,
        "the failed call's buffer is free"
    );
    Ok(())
}

fn no_room_oneway(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let room = next_fd(&mut manager)?;
    limit_fds(&mut manager, room)?;
    let with_file = || Call::oneway(0).parcel(Parcel::new().fd(0, 0)).into();
    client.send(&[
        with_file(),
        Call::oneway(0).code(2).into(),
        Call::oneway(0).code(3).into(),
    ])?;
    // The next ones come nevertheless.
    let second = manager.receive()?;
    check_eq!(second.data.code, 2);
    manager.free(&second)?;
    check_eq!(manager.receive()?.data.code, 3);
    Ok(())
}

fn no_room_reply(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::to(0).flags(TF_ACCEPT_FDS).into()])?;
    let call = manager.receive()?;
    let room = next_fd(&mut client)?;
    limit_fds(&mut client, room)?;
    manager.answer(&call, Call::reply().parcel(Parcel::new().fd(0, 0)))?;
    check_returns!(manager.read()?, [BR_NOOP, BR_TRANSACTION_COMPLETE]);
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY]
    );
    let error = error_of(&mut client)?;
    cx.note("the caller's extended error", error);
    harness::case::round_trip(&mut client, &mut manager, Call::to(0), Call::reply())?;
    Ok(())
}

fn all_or_nothing(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let room = next_fd(&mut manager)?;
    // Room for two of three.
    limit_fds(&mut manager, room + 2)?;
    client.send(&[Call::to(0)
        .parcel(Parcel::new().fd(0, 0).fd(0, 0).fd(0, 0))
        .into()])?;
    manager.try_read()?;
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY]
    );
    check_eq!(next_fd(&mut manager)?, room);
    Ok(())
}

fn undelivered_file(cx: &mut Cx) -> Result<()> {
    let manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let (read, write) = pipe(&mut client)?;
    client.send(&[Call::oneway(0).parcel(Parcel::new().fd(write, 0)).into()])?;
    close(&mut client, write)?;
    manager.kill()?;
    // The pipe ends when the driver lets go of its writing end.
    check_eq!(get_byte(&mut client, read)?, None);
    Ok(())
}

fn failed_file(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let (read, write) = pipe(&mut client)?;
    let parcel = Parcel::new().fd(write, 0).fd(999, 0);
    fails(
        &mut client,
        Call::to(0).parcel(parcel),
        BR_FAILED_REPLY,
        Some(Errno::EBADF),
    )?;
    close(&mut client, write)?;
    check_eq!(get_byte(&mut client, read)?, None);
    Ok(())
}

fn many_files(cx: &mut Cx) -> Result<()> {
    const COUNT: usize = 200;
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let parcel = (0..COUNT).fold(Parcel::new(), |parcel, _| parcel.fd(0, 0));
    client.send(&[Call::oneway(0).parcel(parcel).into()])?;
    let first = next_fd(&mut manager)?;
    let call = manager.receive()?;
    let data = manager.data(&call)?;
    let numbers: Vec<i32> = data
        .chunks_exact(size_of::<FdObject>())
        .map(|object| FdObject::read_from_bytes(object).expect("exact size").fd as i32)
        .collect();
    check_eq!(numbers, (first..first + COUNT as i32).collect::<Vec<i32>>());
    manager.send(&[Bc::FreeBuffer(call.data.buffer)])
}

fn same_file_twice(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let (read, write) = pipe(&mut client)?;
    client.send(&[Call::oneway(0)
        .parcel(Parcel::new().fd(write, 0).fd(write, 1))
        .into()])?;
    let call = manager.receive()?;
    let (a, b) = (
        fd_in(&mut manager, &call, 0)?,
        fd_in(&mut manager, &call, 1)?,
    );
    check_eq!(b, a + 1);
    close(&mut manager, a)?;
    check_eq!(put_byte(&mut manager, b, 3)?, Ok(1));
    check_eq!(get_byte(&mut client, read)?, Some(3));
    Ok(())
}

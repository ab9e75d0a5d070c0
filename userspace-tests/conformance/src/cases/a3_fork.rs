// SPDX-License-Identifier: GPL-2.0

//! Section A3: a device is opened by one process and used by another.

use super::case;
use crate::fixtures::*;
use anyhow::Result;
use binder_abi::*;
use harness::device::USUAL_SIZE;
use harness::{Bc, Call, Case, Cx, Errno, Exchange, Transactions, check_eq, check_returns};
use libc::{MAP_PRIVATE, PROT_READ};

pub const CASES: &[Case] = &[
    case(
        "a3/fork-has-no-mapping",
        "a forked child does not inherit the mapping",
        fork_has_no_mapping,
    )
    .covers(&["A19.14"]),
    case(
        "a3/fork-cannot-map",
        "a forked child cannot map the parent's descriptor",
        fork_cannot_map,
    )
    .covers(&["A3.2", "A19.14"]),
    case(
        "a3/fork-may-use-ioctls",
        "a forked child's threads count as threads of the opener",
        fork_may_use_ioctls,
    )
    .covers(&["A19.14"]),
    case(
        "a3/fork-serves-calls",
        "a forked child can take and answer the parent's calls",
        fork_serves_calls,
    ),
    case(
        "a3/release-at-last-close",
        "a device is released when its last descriptor is closed",
        release_at_last_close,
    ),
    case(
        "a3/flush-wakes-readers",
        "closing a duplicate makes a blocked read return",
        flush_wakes_readers,
    )
    .covers(&["A3.5"]),
    case(
        "a3/flush-keeps-calls",
        "closing a duplicate does not disturb a call in progress",
        flush_keeps_calls,
    ),
];

fn fork_has_no_mapping(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::to(0).data(b"seen").into()])?;
    let call = manager.receive()?;
    check_eq!(manager.data(&call)?, b"seen");
    let mut child = manager.fork()?;
    check_eq!(child.peek(call.data.buffer, 4)?, Err(Errno::EFAULT));
    Ok(())
}

fn fork_cannot_map(cx: &mut Cx) -> Result<()> {
    let mut opener = cx.unmapped()?;
    let mut child = opener.fork()?;
    check_eq!(
        child.map_raw(USUAL_SIZE, PROT_READ, MAP_PRIVATE, 0)?,
        Err(Errno::EINVAL)
    );
    opener.map(USUAL_SIZE)
}

fn fork_may_use_ioctls(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut opener = cx.client()?;
    let mut child = opener.fork()?;
    check_eq!(child.version()?, Ok(8));
    child.send(&[Call::to(0).data(b"from the child").into()])?;
    let call = manager.receive()?;
    check_eq!(
        call.data.sender_pid,
        opener.pid(),
        "the opener counts as the sender"
    );
    check_eq!(manager.data(&call)?, b"from the child");
    manager.answer(&call, Call::reply().data(b"to the child"))?;
    let reply = child.receive()?;
    // The data is in the opener's memory.
    check_eq!(opener.data(&reply)?, b"to the child");
    child.free(&reply)
}

fn fork_serves_calls(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut child = manager.fork()?;
    check_eq!(child.version()?, Ok(8));
    client.send(&[Call::to(0).data(b"call").into()])?;
    let call = child.receive()?;
    check_eq!(manager.data(&call)?, b"call");
    child.answer(&call, Call::reply().data(b"reply"))?;
    let reply = client.receive()?;
    check_eq!(client.data(&reply)?, b"reply");
    Ok(())
}

fn release_at_last_close(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.unmapped()?;
    harness::case::become_manager(&mut manager, FlatObject::default())?;
    let mut other = cx.unmapped()?;
    let fd = manager.endpoint.fd as u64;
    let duplicate = manager.must(libc::SYS_dup, &[fd])? as i32;
    manager.close()?;
    check_eq!(
        other.ioctl(BINDER_SET_CONTEXT_MGR, 0i32)?,
        Err(Errno::EBUSY)
    );
    close(&mut manager, duplicate)?;
    harness::case::become_manager(&mut other, FlatObject::default())
}

fn flush_wakes_readers(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    let mut reader = client.spawn_thread()?;
    reader.version()?.ok();
    let fd = client.endpoint.fd as u64;
    let pending = reader.begin_exchange(&Exchange::read())?;
    pending.wait_blocked()?;
    let duplicate = client.must(libc::SYS_dup, &[fd])?;
    close(&mut client, duplicate as i32)?;
    check_returns!(pending.returns()?, [BR_NOOP]);
    // Only once: the next read blocks again.
    let pending = reader.begin_exchange(&Exchange::read())?;
    pending.wait_blocked()?;
    pending.interrupt()?;
    check_eq!(pending.outcome()?.result, Err(Errno::EINTR));
    Ok(())
}

fn flush_keeps_calls(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut caller = client.spawn_thread()?;
    caller.version()?.ok();
    let pending = caller.begin_exchange(&Exchange::write(&[Call::to(0).into()]).and_read())?;
    pending.wait_blocked()?;
    let call = manager.receive()?;
    let fd = client.endpoint.fd as u64;
    let duplicate = client.must(libc::SYS_dup, &[fd])?;
    close(&mut client, duplicate as i32)?;
    // The completion was held back until the thread would return anyway.
    check_returns!(pending.returns()?, [BR_NOOP, BR_TRANSACTION_COMPLETE]);
    manager.answer(&call, Call::reply().data(b"still"))?;
    let reply = caller.receive()?;
    check_eq!(caller.data(&reply)?, b"still");
    caller.send(&[Bc::FreeBuffer(reply.data.buffer)])
}

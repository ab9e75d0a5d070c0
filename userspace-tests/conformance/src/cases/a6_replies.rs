// SPDX-License-Identifier: GPL-2.0

//! Section A6: replies that fail, and whom the failure is told.

use super::case;
use crate::fixtures::*;
use anyhow::Result;
use binder_abi::*;
use harness::case::round_trip;
use harness::thread::PAGE;
use harness::{Bc, Call, Case, Cx, Errno, Parcel, Process, Transactions, check_eq, check_returns};

pub const CASES: &[Case] = &[
    case(
        "a6/reply-without-call",
        "a reply nobody waits for fails: EPROTO",
        reply_without_call,
    )
    .covers(&["A6.2"]),
    case("a6/reply-twice", "a call is answered once", reply_twice).covers(&["A6.2"]),
    case(
        "a6/reply-by-other-thread",
        "only the thread that took a call answers it: EPROTO",
        reply_by_other_thread,
    ),
    case(
        "a6/reply-data-fault",
        "a reply whose data is not there fails the caller's call: EFAULT",
        reply_data_fault,
    )
    .covers(&["A6.32"]),
    case(
        "a6/reply-bad-object",
        "a reply with a bad object fails the caller's call: EINVAL",
        reply_bad_object,
    )
    .covers(&["A6.32"]),
    case(
        "a6/reply-too-large",
        "a reply without room fails the caller's call: ENOSPC",
        reply_too_large,
    )
    .covers(&["A6.32"]),
    case(
        "a6/reply-to-dead-process",
        "a reply to a process that died is complete all the same",
        reply_to_dead_process,
    )
    .covers(&["A6.5"]),
    case(
        "a6/reply-to-exited-thread",
        "a reply to a thread that left is complete all the same",
        reply_to_exited_thread,
    )
    .covers(&["A6.5"]),
    case(
        "a6/reply-failure-keeps-first-error",
        "the caller's extended error keeps the first reason",
        keeps_first_error,
    ),
    case(
        "a6/reply-failure-stops-write",
        "a failed reply stops the replier's write",
        reply_failure_stops_write,
    ),
    case(
        "a6/oneway-needs-no-reply",
        "a reply to a oneway call fails: EPROTO",
        oneway_needs_no_reply,
    ),
];

/// A bad reply: complete for who sends it, failed for who waits.
fn bad_reply(cx: &mut Cx, reply: Call, errno: Errno) -> Result<(Process, Process)> {
    let mut manager = cx.manager()?;
    let mut client = cx.client_with_size(2 * PAGE)?;
    let call = call_received(&mut client, &mut manager)?;
    manager.write(&[reply.into()])?.ok()?;
    check_returns!(manager.read()?, [BR_NOOP, BR_TRANSACTION_COMPLETE]);
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY]
    );
    check_eq!(
        error_of(&mut client)?,
        (BR_FAILED_REPLY, param(Some(errno)))
    );
    check_eq!(error_of(&mut manager)?, (BR_OK, 0));
    manager.free(&call)?;
    // The call is over; both go on.
    round_trip(&mut client, &mut manager, Call::to(0), Call::reply())?;
    Ok((manager, client))
}

fn reply_without_call(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    fails(
        &mut client,
        Call::reply(),
        BR_FAILED_REPLY,
        Some(Errno::EPROTO),
    )
}

fn reply_twice(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    manager.answer(&call, Call::reply().data(b"1"))?;
    complete(&mut manager)?;
    fails(
        &mut manager,
        Call::reply().data(b"2"),
        BR_FAILED_REPLY,
        Some(Errno::EPROTO),
    )?;
    let reply = client.receive()?;
    check_eq!(client.data(&reply)?, b"1");
    expect_nothing(&mut client)
}

fn reply_by_other_thread(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut other = manager.spawn_thread()?;
    other.version()?.ok();
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    fails(
        &mut other,
        Call::reply(),
        BR_FAILED_REPLY,
        Some(Errno::EPROTO),
    )?;
    // The other thread may nevertheless give the buffer back.
    other.free(&call)?;
    manager.send(&[Call::reply().into()])?;
    check_returns!(client.read()?, [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_REPLY]);
    Ok(())
}

fn reply_data_fault(cx: &mut Cx) -> Result<()> {
    bad_reply(cx, Call::reply().data_at(8, 8), Errno::EFAULT).map(drop)
}

fn reply_bad_object(cx: &mut Cx) -> Result<()> {
    let parcel = Parcel::new().handle(77);
    bad_reply(cx, Call::reply().parcel(parcel), Errno::EINVAL).map(drop)
}

fn reply_too_large(cx: &mut Cx) -> Result<()> {
    bad_reply(cx, Call::reply().data_at(0, 2 * PAGE + 1), Errno::ENOSPC).map(drop)
}

/// What a replier sees whose caller has gone.
fn reply_to_nobody(manager: &mut Process, call: &harness::Delivery) -> Result<()> {
    let reply: Bc = Call::reply().data(b"lost").into();
    let outcome = manager.write(&[reply.clone(), Bc::EnterLooper])?.ok()?;
    check_eq!(outcome.write_consumed, reply.size());
    check_returns!(manager.read()?, [BR_NOOP, BR_TRANSACTION_COMPLETE]);
    check_eq!(error_of(manager)?, (BR_OK, 0));
    manager.free(call)
}

fn reply_to_dead_process(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let handle = give_node(&mut client, &mut manager, NODE)?;
    manager.send(&[Bc::RequestDeath(handle, 1)])?;
    let call = call_received(&mut client, &mut manager)?;
    client.kill()?;
    // The death notification waits in the process's queue for an idle thread;
    // another thread tells when the driver has noticed.
    let mut watcher = manager.spawn_thread()?;
    watcher.version()?.ok();
    check_returns!(watcher.read()?, [BR_NOOP, BR_DEAD_BINDER]);
    reply_to_nobody(&mut manager, &call)
}

fn reply_to_exited_thread(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    check_eq!(client.ioctl(BINDER_THREAD_EXIT, 0i32)?, Ok(0));
    reply_to_nobody(&mut manager, &call)?;
    check_returns!(client.read()?, [BR_NOOP]);
    expect_nothing(&mut client)?;
    round_trip(&mut client, &mut manager, Call::to(0), Call::reply())?;
    Ok(())
}

fn keeps_first_error(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    // The caller makes a mistake of its own before the reply fails.
    client.write(&[Call::to(77).into()])?.ok()?;
    manager.write(&[Call::reply().data_at(8, 8).into()])?.ok()?;
    complete(&mut manager)?;
    manager.free(&call)?;
    check_returns!(
        client.read()?,
        [
            BR_NOOP,
            BR_TRANSACTION_COMPLETE,
            BR_FAILED_REPLY,
            BR_FAILED_REPLY
        ]
    );
    check_eq!(
        error_of(&mut client)?,
        (BR_FAILED_REPLY, param(Some(Errno::EINVAL)))
    );
    Ok(())
}

fn reply_failure_stops_write(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let _call = call_received(&mut client, &mut manager)?;
    let reply: Bc = Call::reply().data_at(8, 8).into();
    let outcome = manager.write(&[reply.clone(), Bc::EnterLooper])?.ok()?;
    check_eq!(outcome.write_consumed, reply.size());
    Ok(())
}

fn oneway_needs_no_reply(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::oneway(0).into()])?;
    let call = manager.receive()?;
    fails(
        &mut manager,
        Call::reply(),
        BR_FAILED_REPLY,
        Some(Errno::EPROTO),
    )?;
    manager.free(&call)
}

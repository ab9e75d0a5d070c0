// SPDX-License-Identifier: GPL-2.0

//! Section A11: when a process has too much to do to be frozen.

use super::case;
use crate::fixtures::*;
use crate::freezing::*;
use anyhow::Result;
use binder_abi::*;
use harness::{Bc, Call, Case, Cx, Errno, Missed, Parcel, Thread, Transactions, check, check_eq};

/// Longer than any test.
const LONG: u32 = 3_600_000;

pub const CASES: &[Case] = &[
    case(
        "a11/busy-with-waiting-call",
        "a call that is not taken yet: EAGAIN, with and without time-out",
        waiting_call,
    )
    .covers(&["A4.8", "A11.1", "A19.11"]),
    case(
        "a11/busy-with-call",
        "a call that is not answered yet: EAGAIN, until it is",
        call_in_progress,
    )
    .covers(&["A4.8", "A11.1", "A19.11"]),
    case(
        "a11/busy-with-oneway",
        "oneway calls not delivered yet: EAGAIN, wherever they wait",
        waiting_oneway,
    )
    .covers(&["A4.8", "A11.1", "A19.11"]),
    case(
        "a11/busy-with-own-call",
        "a thread that waits for a reply: EAGAIN at once, the time-out is for others",
        own_call,
    )
    .covers(&["A4.8", "A11.1"]),
    case(
        "a11/busy-with-reply",
        "a reply that is not read yet: EAGAIN, until it is",
        waiting_reply,
    ),
    case(
        "a11/busy-with-nested-call",
        "a call back to a thread that waits counts as well",
        nested,
    ),
    case(
        "a11/not-busy",
        "completions, errors, references, deaths and buffers held do not count",
        not_busy,
    ),
    case(
        "a11/busy-leaves-thawed",
        "a process that could not be frozen is not frozen",
        busy_is_thawed,
    )
    .covers(&["A11.2"]),
    case(
        "a11/busy-not-told",
        "who asked is not told of a process that could not be frozen",
        busy_not_told,
    )
    .covers(&["A11.2"]),
    case(
        "a11/failing-again-thaws",
        "a frozen process that cannot be frozen again is thawed",
        failing_again,
    )
    .covers(&["A11.2"]),
    case(
        "a11/exit-of-thread-ends-work",
        "what a leaving thread was to do no longer counts",
        thread_exits,
    ),
];

/// The process is busy, whatever the time-out, and stays as it is.
fn busy(freezer: &mut Thread, pid: i32) -> Result<()> {
    for timeout_ms in [0, 1] {
        check_eq!(freezer.freeze_within(pid, timeout_ms)?, Err(Errno::EAGAIN));
        check_eq!(freezer.missed(pid)?, Ok(Missed::PENDING));
    }
    Ok(())
}

/// The process is idle: it can be frozen, and is thawed again.
fn idle(freezer: &mut Thread, pid: i32) -> Result<()> {
    check_eq!(freezer.missed(pid)?, Ok(Missed::NOTHING));
    for timeout_ms in [0, LONG] {
        check_eq!(freezer.freeze_within(pid, timeout_ms)?, Ok(()));
        check_eq!(freezer.thaw(pid)?, Ok(()));
    }
    Ok(())
}

fn waiting_call(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    client.send(&[Call::to(0).into()])?;
    busy(&mut freezer, manager.pid())?;
    let call = manager.receive()?;
    busy(&mut freezer, manager.pid())?;
    manager.answer(&call, Call::reply())?;
    complete(&mut manager)?;
    idle(&mut freezer, manager.pid())
}

fn call_in_progress(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    let call = call_received(&mut client, &mut manager)?;
    busy(&mut freezer, manager.pid())?;
    // It is the reply that counts, not the buffer.
    manager.free(&call)?;
    busy(&mut freezer, manager.pid())?;
    manager.send(&[Call::reply().into()])?;
    complete(&mut manager)?;
    idle(&mut freezer, manager.pid())?;
    // A reply that fails is one as well.
    client.receive()?;
    call_received(&mut client, &mut manager)?;
    busy(&mut freezer, manager.pid())?;
    manager.write(&[Call::reply().data_at(8, 8).into()])?.ok()?;
    idle(&mut freezer, manager.pid())
}

fn waiting_oneway(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    let pid = manager.pid();
    client.send(&[Call::oneway(0).into(), Call::oneway(0).into()])?;
    busy(&mut freezer, pid)?;
    // One is delivered, the other waits for its buffer.
    let first = manager.receive()?;
    busy(&mut freezer, pid)?;
    manager.free(&first)?;
    busy(&mut freezer, pid)?;
    // Delivered is enough: the buffer does not count.
    manager.receive()?;
    idle(&mut freezer, pid)
}

fn own_call(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    let pid = client.pid();
    client.send(&[Call::to(0).into()])?;
    busy(&mut freezer, pid)?;
    // Nothing is addressed to the process, so nothing is waited for.
    check_eq!(freezer.freeze_within(pid, LONG)?, Err(Errno::EAGAIN));
    let call = manager.receive()?;
    check_eq!(freezer.freeze_within(pid, LONG)?, Err(Errno::EAGAIN));
    manager.answer(&call, Call::reply())?;
    client.receive()?;
    idle(&mut freezer, pid)
}

fn waiting_reply(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    let pid = client.pid();
    let call = call_received(&mut client, &mut manager)?;
    manager.answer(&call, Call::reply())?;
    busy(&mut freezer, pid)?;
    let reply = client.receive()?;
    idle(&mut freezer, pid)?;
    client.free(&reply)?;
    complete(&mut manager)?;
    // A failure counts as long as nobody was told, but for nothing to wait for.
    call_received(&mut client, &mut manager)?;
    manager.write(&[Call::reply().data_at(8, 8).into()])?.ok()?;
    idle(&mut freezer, pid)?;
    expect(
        &mut client,
        &[BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY],
    )
}

fn nested(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    let handle = give_node(&mut client, &mut manager, NODE)?;
    let outer = call_received(&mut client, &mut manager)?;
    manager.send(&[Call::to(handle).into()])?;
    busy(&mut freezer, client.pid())?;
    let inner = client.receive()?;
    busy(&mut freezer, client.pid())?;
    busy(&mut freezer, manager.pid())?;
    client.answer(&inner, Call::reply())?;
    let reply = manager.receive()?;
    manager.free(&reply)?;
    // The outer call is left.
    busy(&mut freezer, client.pid())?;
    busy(&mut freezer, manager.pid())?;
    manager.answer(&outer, Call::reply())?;
    idle(&mut freezer, manager.pid())?;
    busy(&mut freezer, client.pid())?;
    client.receive()?;
    idle(&mut freezer, client.pid())
}

fn not_busy(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut owner = cx.client()?;
    let mut freezer = cx.unmapped()?;
    let handle = give_node(&mut owner, &mut manager, NODE)?;
    let held = pass_handle(&mut manager, &mut client, handle)?;
    // A death that is not read, a completion, a buffer, node work, an error.
    client.send(&[Bc::RequestDeath(held, 1)])?;
    let pid = owner.pid();
    owner.kill()?;
    forgotten(&mut freezer, pid)?;
    client.send(&[Call::oneway(0)
        .parcel(Parcel::new().binder(OTHER.0, OTHER.1))
        .into()])?;
    manager.receive()?;
    client.write(&[Call::to(77).into()])?.ok()?;
    idle(&mut freezer, client.pid())?;
    idle(&mut freezer, manager.pid())?;
    let returns = client.read()?;
    let codes: Vec<u32> = returns.iter().map(harness::Br::code).collect();
    for code in [
        BR_INCREFS,
        BR_ACQUIRE,
        BR_TRANSACTION_COMPLETE,
        BR_FAILED_REPLY,
    ] {
        check!(codes.contains(&code), "not in {returns:?}");
    }
    expect(&mut client, &[BR_NOOP, BR_DEAD_BINDER])
}

fn busy_is_thawed(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::new(cx)?;
    all.holder.send(&[Call::oneway(all.handle).into()])?;
    complete(&mut all.holder)?;
    busy(&mut all.freezer, all.owner.pid())?;
    all.holder.send(&[Call::to(all.handle).into()])?;
    let oneway = all.owner.receive()?;
    let call = all.owner.receive()?;
    all.owner.free(&oneway)?;
    all.owner.answer(&call, Call::reply())?;
    all.holder.receive()?;
    // And nobody was told of the attempt.
    all.silence()
}

fn busy_not_told(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::new(cx)?;
    let mut caller = cx.client()?;
    let handle = pass_handle(&mut all.holder, &mut caller, all.handle)?;
    caller.send(&[Call::to(handle).into()])?;
    let call = all.owner.receive()?;
    busy(&mut all.freezer, all.owner.pid())?;
    all.silence()?;
    all.owner.answer(&call, Call::reply())?;
    caller.receive()?;
    all.freeze()?;
    all.told(true)
}

fn failing_again(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::new(cx)?;
    all.freeze()?;
    all.told(true)?;
    all.answer()?;
    all.holder.send(&[Call::oneway(all.handle).into()])?;
    pending(&mut all.holder)?;
    let pid = all.owner.pid();
    check_eq!(all.freezer.freeze(pid)?, Err(Errno::EAGAIN));
    // What was missed is forgotten, and nobody is told.
    check_eq!(all.freezer.missed(pid)?, Ok(Missed::PENDING));
    all.silence()?;
    all.holder.send(&[Call::to(all.handle).into()])?;
    let oneway = all.owner.receive()?;
    let call = all.owner.receive()?;
    all.owner.free(&oneway)?;
    all.owner.answer(&call, Call::reply())?;
    all.holder.receive()?;
    all.thaw()?;
    all.told(false)
}

fn thread_exits(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut second = manager.spawn_thread()?;
    second.version()?.ok();
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    // One that serves.
    call_received(&mut client, &mut second)?;
    busy(&mut freezer, manager.pid())?;
    second.ioctl(BINDER_THREAD_EXIT, 0i32)?.ok();
    idle(&mut freezer, manager.pid())?;
    expect(
        &mut client,
        &[BR_NOOP, BR_TRANSACTION_COMPLETE, BR_DEAD_REPLY],
    )?;
    // One that calls, also with its reply waiting.
    for answered in [false, true] {
        let call = call_received(&mut client, &mut manager)?;
        manager.free(&call)?;
        if answered {
            manager.send(&[Call::reply().into()])?;
        }
        busy(&mut freezer, client.pid())?;
        client.ioctl(BINDER_THREAD_EXIT, 0i32)?.ok();
        idle(&mut freezer, client.pid())?;
        client.version()?.ok();
        if !answered {
            manager.send(&[Call::reply().into()])?;
        }
        idle(&mut freezer, client.pid())?;
        complete(&mut manager)?;
    }
    expect_nothing(&mut client)
}

// SPDX-License-Identifier: GPL-2.0

//! Section A11: freezing with a time-out: waiting until a process has finished.

use super::case;
use crate::fixtures::*;
use crate::freezing::*;
use anyhow::Result;
use binder_abi::*;
use harness::{Call, Case, Cx, Errno, Missed, Pending, Thread, Transactions, check, check_eq};

/// Longer than any test.
const LONG: u32 = 3_600_000;

pub const CASES: &[Case] = &[
    case(
        "a11/wait-for-reply",
        "with time-out, freezing waits until a call is answered",
        wait_for_reply,
    )
    .covers(&["A11.1"]),
    case(
        "a11/wait-for-oneway",
        "with time-out, freezing waits until oneway calls are delivered",
        wait_for_oneway,
    )
    .covers(&["A11.1"]),
    case(
        "a11/wait-for-reply-read",
        "with time-out, freezing waits until a reply is read",
        wait_for_reply_read,
    ),
    case(
        "a11/wait-counts-as-frozen",
        "while freezing waits, calls are refused and oneway calls queue",
        counts_as_frozen,
    ),
    case(
        "a11/wait-interrupted",
        "a signal ends the wait: EINTR, and the process is not frozen",
        interrupted,
    )
    .covers(&["A4.8", "A11.2"]),
    case("a11/wait-of-two", "two may wait for one process", two_wait),
    case(
        "a11/wait-then-own-call",
        "when the work is done a thread that waits for a reply still counts",
        wait_then_own_call,
    ),
    case(
        "a11/time-out",
        "when the time is over: EAGAIN, and the process is not frozen",
        time_out,
    )
    .covers(&["A11.2"]),
    case(
        "a11/time-out-too-long",
        "a time-out of 2^31 milliseconds or more is as good as any; on C it fails",
        too_long,
    ),
    case(
        "a11/wait-ends-with-thread",
        "freezing waits no longer when the thread that serves exits; on C nobody wakes it",
        wait_ends_with_thread,
    ),
    case(
        "a11/wait-ends-with-process",
        "freezing waits no longer when the process dies; on C nobody wakes it",
        wait_ends_with_process,
    ),
    case(
        "a11/what-was-refused-stays-told",
        "what was missed while freezing failed is told afterwards",
        missed_while_failing,
    ),
];

fn wait_for_reply(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    let call = call_received(&mut client, &mut manager)?;
    let freezing = freezer.begin_freeze(manager.pid(), LONG)?;
    freezing.wait_blocked()?;
    // Reading, and giving the buffer back, is not enough.
    manager.free(&call)?;
    check!(!freezing.answered()?, "not answered yet");
    manager.send(&[Call::reply().into()])?;
    check_eq!(freezing.status()?, Ok(0));
    client.receive()?;
    refused(&mut client, 0)?;
    check_eq!(freezer.missed(manager.pid())?, Ok(Missed::CALL));
    Ok(())
}

fn wait_for_oneway(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    client.send(&[Call::oneway(0).into(), Call::oneway(0).into()])?;
    let freezing = freezer.begin_freeze(manager.pid(), LONG)?;
    freezing.wait_blocked()?;
    let first = manager.receive()?;
    check!(!freezing.answered()?, "the second one waits");
    manager.free(&first)?;
    check!(!freezing.answered()?, "the second one is not delivered");
    manager.receive()?;
    check_eq!(freezing.status()?, Ok(0));
    expect(
        &mut client,
        &[BR_NOOP, BR_TRANSACTION_COMPLETE, BR_TRANSACTION_COMPLETE],
    )?;
    refused(&mut client, 0)
}

fn wait_for_reply_read(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    let handle = give_node(&mut client, &mut manager, NODE)?;
    let call = call_received(&mut client, &mut manager)?;
    manager.answer(&call, Call::reply())?;
    complete(&mut manager)?;
    let freezing = freezer.begin_freeze(client.pid(), LONG)?;
    freezing.wait_blocked()?;
    client.receive()?;
    check_eq!(freezing.status()?, Ok(0));
    refused(&mut manager, handle)
}

fn counts_as_frozen(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::new(cx)?;
    let mut other = cx.client()?;
    let handle = pass_handle(&mut all.holder, &mut other, all.handle)?;
    all.holder.send(&[Call::to(all.handle).into()])?;
    let call = all.owner.receive()?;
    let pid = all.owner.pid();
    let mut observer = cx.unmapped()?;
    let freezing = all.freezer.begin_freeze(pid, LONG)?;
    freezing.wait_blocked()?;
    refused(&mut other, handle)?;
    let missed = Missed::PENDING.and(Missed::CALL);
    check_eq!(observer.missed(pid)?, Ok(missed));
    other.send(&[Call::oneway(handle).into()])?;
    pending(&mut other)?;
    check_eq!(observer.missed(pid)?, Ok(missed.and(Missed::ONEWAY)));
    // The call in progress ends as it would have, but the new one is to be waited
    // for as well.
    all.owner.answer(&call, Call::reply().data(b"end"))?;
    let reply = all.holder.receive()?;
    check_eq!(all.holder.data(&reply)?, b"end");
    check!(!freezing.answered()?, "a oneway call came later");
    // Nobody is told before it is done.
    expect_nothing(&mut all.holder)?;
    complete(&mut all.owner)?;
    all.owner.receive()?;
    check_eq!(freezing.status()?, Ok(0));
    check_eq!(observer.missed(pid)?, Ok(Missed::CALL.and(Missed::ONEWAY)));
    all.told(true)
}

fn interrupted(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::new(cx)?;
    all.holder.send(&[Call::to(all.handle).into()])?;
    let call = all.owner.receive()?;
    let freezing = all.freezer.begin_freeze(all.owner.pid(), LONG)?;
    freezing.wait_blocked()?;
    freezing.interrupt()?;
    check_eq!(freezing.status()?, Err(Errno::EINTR));
    all.owner.answer(&call, Call::reply())?;
    all.holder.receive()?;
    complete(&mut all.owner)?;
    all.holder.send(&[Call::to(all.handle).into()])?;
    let call = all.owner.receive()?;
    all.owner.answer(&call, Call::reply())?;
    all.holder.receive()?;
    // Nobody was told of the attempt.
    all.silence()
}

fn two_wait(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut first = cx.unmapped()?;
    let mut second = cx.unmapped()?;
    let call = call_received(&mut client, &mut manager)?;
    let one = first.begin_freeze(manager.pid(), LONG)?;
    one.wait_blocked()?;
    let other = second.begin_freeze(manager.pid(), LONG)?;
    other.wait_blocked()?;
    manager.answer(&call, Call::reply())?;
    check_eq!(one.status()?, Ok(0));
    check_eq!(other.status()?, Ok(0));
    client.receive()?;
    refused(&mut client, 0)
}

fn wait_then_own_call(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut second = client.spawn_thread()?;
    second.version()?.ok();
    let mut freezer = cx.unmapped()?;
    let handle = give_node(&mut client, &mut manager, NODE)?;
    // One thread waits for a reply; a oneway call waits for the other.
    let call = call_received(&mut client, &mut manager)?;
    manager.send(&[Call::oneway(handle).into()])?;
    let freezing = freezer.begin_freeze(client.pid(), LONG)?;
    freezing.wait_blocked()?;
    second.receive()?;
    check_eq!(freezing.status()?, Err(Errno::EAGAIN));
    manager.answer(&call, Call::reply())?;
    client.receive()?;
    check_eq!(freezer.freeze(client.pid())?, Ok(()));
    Ok(())
}

fn time_out(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    let pid = manager.pid();
    let call = call_received(&mut client, &mut manager)?;
    for timeout_ms in [1, 2, 5] {
        check_eq!(freezer.freeze_within(pid, timeout_ms)?, Err(Errno::EAGAIN));
    }
    manager.answer(&call, Call::reply())?;
    client.receive()?;
    complete(&mut manager)?;
    call_received(&mut client, &mut manager).map(drop)
}

fn too_long(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    for timeout_ms in [i32::MAX as u32, 1 << 31, u32::MAX] {
        let frozen = freezer.freeze_within(manager.pid(), timeout_ms)?;
        if timeout_ms > i32::MAX as u32 && !cx.is_rust_driver() {
            // What is left of the time is taken for an error number.
            check_eq!(frozen, Err(Errno::ENOENT));
            let call = call_received(&mut client, &mut manager)?;
            manager.answer(&call, Call::reply())?;
            complete(&mut manager)?;
            client.receive()?;
            continue;
        }
        check_eq!(frozen, Ok(()));
        refused(&mut client, 0)?;
        check_eq!(freezer.thaw(manager.pid())?, Ok(()));
        call_received(&mut client, &mut manager)?;
        // While somebody waits so long, it is a wait like any other.
        let freezing = freezer.begin_freeze(manager.pid(), timeout_ms)?;
        freezing.wait_blocked()?;
        manager.send(&[Call::reply().into()])?;
        check_eq!(freezing.status()?, Ok(0));
        check_eq!(freezer.thaw(manager.pid())?, Ok(()));
        client.receive()?;
        complete(&mut manager)?;
    }
    Ok(())
}

/// Nothing is left to wait for. C finds out when something else makes it look.
fn ends(cx: &Cx, freezing: Pending<'_>) -> Result<()> {
    if !cx.is_rust_driver() {
        freezing.wait_blocked()?;
        check!(!freezing.answered()?, "nobody wakes who waits");
        freezing.interrupt()?;
    }
    check_eq!(freezing.status()?, Ok(0));
    Ok(())
}

fn gets_dead_reply(client: &mut Thread) -> Result<()> {
    expect(client, &[BR_NOOP, BR_TRANSACTION_COMPLETE, BR_DEAD_REPLY])
}

fn wait_ends_with_thread(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    let call = call_received(&mut client, &mut manager)?;
    let freezing = freezer.begin_freeze(manager.pid(), LONG)?;
    freezing.wait_blocked()?;
    check_eq!(manager.ioctl(BINDER_THREAD_EXIT, 0i32)?, Ok(0));
    gets_dead_reply(&mut client)?;
    ends(cx, freezing)?;
    refused(&mut client, 0)?;
    check_eq!(freezer.thaw(manager.pid())?, Ok(()));
    manager.free(&call)?;
    call_received(&mut client, &mut manager).map(drop)
}

fn wait_ends_with_process(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut server = cx.client()?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    let handle = give_node(&mut server, &mut manager, NODE)?;
    let handle = pass_handle(&mut manager, &mut client, handle)?;
    client.send(&[Call::to(handle).into()])?;
    server.receive()?;
    let freezing = freezer.begin_freeze(server.pid(), LONG)?;
    freezing.wait_blocked()?;
    server.kill()?;
    // By then the driver has given up what the process was to do.
    gets_dead_reply(&mut client)?;
    ends(cx, freezing)
}

fn missed_while_failing(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = cx.client()?;
    let mut freezer = cx.unmapped()?;
    let pid = manager.pid();
    call_received(&mut client, &mut manager)?;
    let freezing = freezer.begin_freeze(pid, LONG)?;
    freezing.wait_blocked()?;
    refused(&mut other, 0)?;
    freezing.interrupt()?;
    check_eq!(freezing.status()?, Err(Errno::EINTR));
    let missed = Missed::PENDING.and(Missed::CALL);
    check_eq!(freezer.missed(pid)?, Ok(missed));
    // The next attempt forgets, even if it fails.
    check_eq!(freezer.freeze(pid)?, Err(Errno::EAGAIN));
    check_eq!(freezer.missed(pid)?, Ok(Missed::PENDING));
    Ok(())
}

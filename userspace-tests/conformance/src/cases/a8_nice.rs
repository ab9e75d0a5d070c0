// SPDX-License-Identifier: GPL-2.0

//! Section A8, point 7: the nice value at which a message is served.

use super::case;
use crate::fixtures::*;
use anyhow::Result;
use binder_abi::*;
use harness::scheduling;
use harness::{
    Bc, Call, Case, Cx, Errno, Exchange, Parcel, Process, Scheduling, Transactions, check_eq,
    check_returns,
};

pub const CASES: &[Case] = &[
    case(
        "a8/nice-of-better-caller",
        "a call is served at the better nice value of the caller, until the reply",
        of_better_caller,
    )
    .covers(&["A8.7"]),
    case(
        "a8/nice-of-node-for-worse-caller",
        "a caller with a worse nice value than the node's is served at the node's",
        of_node,
    )
    .covers(&["A8.7"]),
    case(
        "a8/nice-is-lowered-too",
        "a thread that is better than caller and node need is lowered to what they need",
        lowered_too,
    )
    .covers(&["A8.7"]),
    case(
        "a8/nice-byte-has-no-sign",
        "the node's byte has no sign, and what is no nice value leaves it to the caller",
        byte_has_no_sign,
    )
    .covers(&["A8.7"]),
    case(
        "a8/nice-of-first-send",
        "the node's byte is that of the first time it is sent",
        of_first_send,
    )
    .covers(&["A8.7"]),
    case(
        "a8/nice-at-send",
        "what counts is the caller's nice value when it calls, not when the call is read",
        at_send,
    )
    .covers(&["A8.7"]),
    case(
        "a8/nice-oneway",
        "a oneway call raises the thread to the node's nice value, whoever sends it",
        oneway,
    )
    .covers(&["A8.7"]),
    case(
        "a8/nice-oneway-does-not-lower",
        "a oneway call does not lower a thread that is better than the node",
        oneway_does_not_lower,
    )
    .covers(&["A8.7"]),
    case(
        "a8/nice-not-with-reply",
        "a reply does not carry a nice value, and waiting for it changes none",
        not_with_reply,
    )
    .covers(&["A8.7"]),
    case(
        "a8/nice-of-waiting-thread",
        "a thread that waits for work of the process gets the nice value of who opened it",
        of_waiting_thread,
    )
    .covers(&["A8.7"]),
    case(
        "a8/nice-of-each-file",
        "each open file has the nice value with which it was opened",
        of_each_file,
    )
    .covers(&["A8.7"]),
    case(
        "a8/nice-nested",
        "nested calls are served each at its own, and each reply restores what was before",
        nested,
    )
    .covers(&["A8.7"]),
    case(
        "a8/nice-changed-while-waiting",
        "what is restored is what the thread had when it took the call",
        changed_while_waiting,
    )
    .covers(&["A8.7"]),
    case(
        "a8/nice-changed-while-serving",
        "what a thread gives itself while it serves lasts until the reply",
        changed_while_serving,
    )
    .covers(&["A8.7"]),
    case(
        "a8/nice-restored-by-failing-reply",
        "a reply that fails restores the nice value",
        restored_by_failing_reply,
    )
    .covers(&["A8.7"]),
    case(
        "a8/nice-restored-without-caller",
        "a reply to a caller that is gone restores the nice value",
        restored_without_caller,
    )
    .covers(&["A8.7"]),
    case(
        "a8/nice-not-restored-by-stray-reply",
        "a reply without a call changes no nice value",
        stray_reply,
    )
    .covers(&["A8.7"]),
    case(
        "a8/nice-after-thread-exit",
        "BINDER_THREAD_EXIT leaves the nice value as it is, the next wait for work does not",
        after_thread_exit,
    )
    .covers(&["A8.7"]),
    case(
        "a8/nice-after-fault",
        "a call that can't be delivered leaves its nice value until the next wait",
        after_fault,
    )
    .covers(&["A8.7"]),
    case(
        "a8/nice-under-real-time",
        "real-time threads keep their policy; their nice value changes as any other",
        under_real_time,
    )
    .covers(&["A8.7"]),
];

pub(super) fn manager_at(cx: &Cx, nice: i32, flags: u32) -> Result<Process> {
    manager_scheduled(cx, Scheduling::normal(nice), flags)
}

pub(super) fn client_at(cx: &Cx, nice: i32) -> Result<Process> {
    client_scheduled(cx, Scheduling::normal(nice))
}

/// Has a client at nice `caller` call a node with `flags` whose owner is at nice `own`;
/// returns the nice values while it is served and after the reply.
fn served_at(cx: &Cx, caller: i32, flags: u32, own: i32) -> Result<(i32, i32)> {
    let mut manager = manager_at(cx, own, flags)?;
    let mut client = client_at(cx, caller)?;
    let call = call_received(&mut client, &mut manager)?;
    let served = manager.nice()?;
    manager.answer(&call, Call::reply())?;
    Ok((served, manager.nice()?))
}

fn of_better_caller(cx: &mut Cx) -> Result<()> {
    check_eq!(served_at(cx, -5, 0, 0)?, (-5, 0));
    check_eq!(served_at(cx, -20, 10, 4)?, (-20, 4));
    check_eq!(served_at(cx, 3, 10, 8)?, (3, 8));
    Ok(())
}

fn of_node(cx: &mut Cx) -> Result<()> {
    check_eq!(served_at(cx, 0, 0, 5)?, (0, 5));
    check_eq!(served_at(cx, 19, 0, 5)?, (0, 5));
    check_eq!(served_at(cx, 19, 11, 12)?, (11, 12));
    check_eq!(served_at(cx, 11, 11, 12)?, (11, 12));
    Ok(())
}

fn lowered_too(cx: &mut Cx) -> Result<()> {
    check_eq!(served_at(cx, 10, 15, 0)?, (10, 0));
    check_eq!(served_at(cx, 19, 15, 0)?, (15, 0));
    check_eq!(served_at(cx, 0, 0, -10)?, (0, -10));
    Ok(())
}

fn byte_has_no_sign(cx: &mut Cx) -> Result<()> {
    // -5 as a byte: no nice value is worse than 251.
    check_eq!(served_at(cx, 12, 0xfb, 3)?, (12, 3));
    check_eq!(served_at(cx, 19, 20, 3)?, (19, 3));
    let mut manager = manager_at(cx, 3, 0xfb)?;
    let mut client = client_at(cx, -7)?;
    oneway_received(&mut client, &mut manager)?;
    check_eq!(manager.nice()?, 3);
    Ok(())
}

fn of_first_send(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let handle = give_node_with(&mut owner, &mut manager, NODE, 12)?;
    let again = give_node_with(&mut owner, &mut manager, NODE, 2)?;
    check_eq!(again, handle);
    manager.set_nice(19)?;
    manager.send(&[Call::to(handle).into()])?;
    let call = owner.receive()?;
    check_eq!(owner.nice()?, 12);
    owner.answer(&call, Call::reply())?;
    check_eq!(owner.nice()?, 0);
    Ok(())
}

fn at_send(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_at(cx, 0, 0)?;
    let mut client = client_at(cx, -3)?;
    client.send(&[Call::to(0).into()])?;
    client.set_nice(-15)?;
    let call = manager.receive()?;
    check_eq!(manager.nice()?, -3);
    manager.answer(&call, Call::reply())?;
    check_eq!(manager.nice()?, 0);
    Ok(())
}

fn oneway(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_at(cx, 10, 4)?;
    for sender in [-10, 15] {
        let mut client = client_at(cx, sender)?;
        oneway_received(&mut client, &mut manager)?;
        check_eq!(manager.nice()?, 4);
        // There is no reply: it stays until the thread waits again.
        expect_nothing(&mut manager)?;
        check_eq!(manager.nice()?, 10);
    }
    Ok(())
}

fn oneway_does_not_lower(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_at(cx, 2, 4)?;
    let mut client = client_at(cx, 19)?;
    oneway_received(&mut client, &mut manager)?;
    check_eq!(manager.nice()?, 2);
    Ok(())
}

fn not_with_reply(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_at(cx, -8, 0)?;
    let mut client = client_at(cx, 6)?;
    let call = call_received(&mut client, &mut manager)?;
    // The client's file was opened at 0.
    expect_nothing(&mut client)?;
    check_eq!(client.nice()?, 6);
    manager.answer(&call, Call::reply())?;
    check_eq!(client.receive()?.code, BR_REPLY);
    check_eq!(client.nice()?, 6);
    expect_nothing(&mut client)?;
    check_eq!(client.nice()?, 0);
    Ok(())
}

fn of_waiting_thread(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_at(cx, 4, 0)?;
    let mut second = manager.spawn_thread()?;
    for own in [-6, 0, 15] {
        second.set_nice(own)?;
        second.version()?.ok();
        second.poll_events()?;
        check_eq!(second.nice()?, own);
        expect_nothing(&mut second)?;
        check_eq!(second.nice()?, 4);
    }
    second.set_nice(9)?;
    let waiting = second.begin_exchange(&Exchange::read())?;
    waiting.wait_blocked()?;
    check_eq!(manager.nice()?, 4);
    waiting.interrupt()?;
    check_eq!(waiting.outcome()?.result, Err(Errno::EINTR));
    check_eq!(second.nice()?, 4);
    // Work of its own is no work of the process.
    second.set_nice(9)?;
    second.send(&[Call::to(77).into()])?;
    check_returns!(second.read()?, [BR_NOOP, BR_FAILED_REPLY]);
    check_eq!(second.nice()?, 9);
    Ok(())
}

fn of_each_file(cx: &mut Cx) -> Result<()> {
    let mut process = cx.process()?;
    let mut endpoints = Vec::new();
    for nice in [-3, 7] {
        process.set_nice(nice)?;
        process.open(&cx.device)?;
        process.version()?.ok();
        endpoints.push((process.endpoint, nice));
    }
    for (endpoint, nice) in endpoints {
        process.endpoint = endpoint;
        process.try_read()?;
        expect_nothing(&mut process)?;
        check_eq!(process.nice()?, nice);
    }
    Ok(())
}

fn nested(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_at(cx, 5, 0)?;
    let mut client = client_at(cx, -4)?;
    client.send(&[Call::to(0)
        .parcel(Parcel::new().binder_with(10, NODE.0, NODE.1))
        .into()])?;
    let outer = manager.receive()?;
    check_eq!(manager.nice()?, -4);
    let back = manager.object(&outer, 0)?.handle();
    manager.set_nice(2)?;
    manager.send(&[Call::to(back).into()])?;
    let returns = client.read()?;
    client.acknowledge(&returns)?;
    let Some(harness::Br::Delivery(inner)) = returns.last() else {
        anyhow::bail!("{returns:?}")
    };
    check_eq!(client.nice()?, 2);
    client.answer(inner, Call::reply())?;
    check_eq!(client.nice()?, -4);
    complete(&mut client)?;
    manager.receive()?;
    check_eq!(manager.nice()?, 2);
    manager.answer(&outer, Call::reply())?;
    check_eq!(manager.nice()?, 5);
    Ok(())
}

fn changed_while_waiting(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_at(cx, 0, 0)?;
    let mut client = client_at(cx, -2)?;
    let mut second = manager.spawn_thread()?;
    second.version()?.ok();
    let tid = second.tid;
    let waiting = second.begin_exchange(&Exchange::read())?;
    waiting.wait_blocked()?;
    scheduling::schedule(tid, Scheduling::normal(11))?;
    client.send(&[Call::to(0).into()])?;
    check_returns!(waiting.returns()?, [BR_NOOP, BR_TRANSACTION]);
    check_eq!(second.nice()?, -2);
    second.send(&[Call::reply().into()])?;
    check_eq!(second.nice()?, 11);
    complete(&mut second)?;
    check_eq!(second.nice()?, 11);
    expect_nothing(&mut second)?;
    check_eq!(second.nice()?, 0);
    Ok(())
}

fn changed_while_serving(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_at(cx, 0, 0)?;
    let mut client = client_at(cx, -2)?;
    let call = call_received(&mut client, &mut manager)?;
    manager.set_nice(13)?;
    // Reading while it serves is no waiting for work of the process.
    expect_nothing(&mut manager)?;
    check_eq!(manager.nice()?, 13);
    manager.answer(&call, Call::reply())?;
    check_eq!(manager.nice()?, 0);
    Ok(())
}

fn restored_by_failing_reply(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_at(cx, 3, 0)?;
    let mut client = client_at(cx, -9)?;
    call_received(&mut client, &mut manager)?;
    check_eq!(manager.nice()?, -9);
    manager
        .write(&[Call::reply().data_at(1, 64).into()])?
        .ok()?;
    check_eq!(manager.nice()?, 3);
    check_returns!(manager.read()?, [BR_NOOP, BR_TRANSACTION_COMPLETE]);
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY]
    );
    check_eq!(manager.nice()?, 3);
    Ok(())
}

fn restored_without_caller(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_at(cx, 3, 0)?;
    let mut client = client_at(cx, -9)?;
    call_received(&mut client, &mut manager)?;
    client.exit()?;
    check_eq!(manager.nice()?, -9);
    manager.write(&[Call::reply().into()])?.ok()?;
    check_eq!(manager.nice()?, 3);
    Ok(())
}

fn stray_reply(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_at(cx, 0, 0)?;
    manager.set_nice(6)?;
    fails(
        &mut manager,
        Call::reply(),
        BR_FAILED_REPLY,
        Some(Errno::EPROTO),
    )?;
    check_eq!(manager.nice()?, 6);
    Ok(())
}

fn after_thread_exit(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_at(cx, 1, 0)?;
    let mut client = client_at(cx, -11)?;
    call_received(&mut client, &mut manager)?;
    check_eq!(manager.ioctl(BINDER_THREAD_EXIT, 0i32)?, Ok(0));
    check_eq!(manager.nice()?, -11);
    manager.version()?.ok();
    check_eq!(manager.nice()?, -11);
    expect_nothing(&mut manager)?;
    check_eq!(manager.nice()?, 1);
    Ok(())
}

fn after_fault(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_at(cx, 1, 0)?;
    let mut client = client_at(cx, -11)?;
    client.send(&[Call::to(0).into()])?;
    let page = manager.page_before_hole()?;
    // The first word can be written, the call can't.
    let address = page + harness::thread::PAGE - 4;
    let outcome = manager.exchange(&Exchange::read().read_buffer(address))?;
    check_eq!(outcome.result, Err(Errno::EFAULT));
    check_eq!(manager.nice()?, -11);
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY]
    );
    expect_nothing(&mut manager)?;
    check_eq!(manager.nice()?, 1);
    Ok(())
}

fn under_real_time(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_at(cx, 4, 0)?;
    let mut client = client_at(cx, -3)?;
    // The policy of the caller is no business of the node.
    client.schedule(Scheduling::fifo(20).with_nice(-3))?;
    let call = call_received(&mut client, &mut manager)?;
    check_eq!(manager.scheduling()?, Scheduling::normal(-3));
    manager.answer(&call, Call::reply())?;
    complete(&mut manager)?;
    check_eq!(manager.scheduling()?, Scheduling::normal(4));
    client.receive()?;
    // Nor is that of the owner.
    manager.schedule(Scheduling::round_robin(2).with_nice(9))?;
    client.send(&[Call::to(0).into()])?;
    let call = manager.receive()?;
    check_eq!(
        manager.scheduling()?,
        Scheduling::round_robin(2).with_nice(-3)
    );
    manager.send(&[Call::reply().into(), Bc::FreeBuffer(call.data.buffer)])?;
    check_eq!(
        manager.scheduling()?,
        Scheduling::round_robin(2).with_nice(4)
    );
    Ok(())
}

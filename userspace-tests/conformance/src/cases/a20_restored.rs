// SPDX-License-Identifier: GPL-2.0

//! Section A20: how a thread gets back what it had before a node changed it.

use super::a20_served::{expected, heir, node, priority, raised};
use crate::fixtures::*;
use anyhow::Result;
use binder_abi::*;
use harness::{
    Call, Case, Cx, Errno, Exchange, Parcel, Policy, Process, Scheduling, Thread, Transactions,
    check_eq, check_returns,
};

pub const CASES: &[Case] = &[
    priority(
        "a20/slice-kept",
        "a thread that asked for a slice of its own, or for timer slack, keeps it",
        slice_kept,
    )
    .covers(&["A20.4"]),
    priority(
        "a20/nested",
        "real time is handed on through nested calls, and each reply gives back its own",
        nested,
    )
    .covers(&["A20.2", "A20.4"]),
    priority(
        "a20/nested-in-sleeping-caller",
        "a caller that sleeps is raised for a call nested in its own",
        nested_in_sleeper,
    )
    .covers(&["A20.2", "A20.4"]),
    priority(
        "a20/changed-while-serving",
        "what a thread gives itself while it serves lasts until the reply",
        changed_while_serving,
    )
    .covers(&["A20.4"]),
    priority(
        "a20/restored-by-failing-reply",
        "a reply that fails gives back what the thread had",
        failing_reply,
    )
    .covers(&["A20.4"]),
    priority(
        "a20/stray-reply",
        "a reply without a call changes nothing",
        stray_reply,
    )
    .covers(&["A20.4"]),
    priority(
        "a20/caller-dies",
        "a thread serves a caller that died meanwhile as before, until its reply",
        caller_dies,
    )
    .covers(&["A20.4"]),
    priority(
        "a20/caller-died-unread",
        "a call is served at the priority of a caller that died before it was read",
        caller_died_unread,
    )
    .covers(&["A20.2", "A20.4"]),
    priority(
        "a20/dead-target",
        "a call that fails because its target is gone changes nothing",
        dead_target,
    )
    .covers(&["A20.4"]),
    priority(
        "a20/frozen-target",
        "a call that a frozen process refuses does not raise its thread",
        frozen_target,
    )
    .covers(&["A20.4"]),
    priority(
        "a20/server-dies",
        "the end of who serves changes nothing for the caller",
        server_dies,
    )
    .covers(&["A20.4"]),
    priority(
        "a20/thread-exit",
        "BINDER_THREAD_EXIT gives back what the thread had before all its calls",
        thread_exit,
    )
    .covers(&["A20.4"]),
    priority(
        "a20/close-while-serving",
        "so does closing the file",
        close_while_serving,
    )
    .covers(&["A20.4"]),
    priority(
        "a20/undeliverable",
        "a call that can't be written to the read buffer is not served, so the thread gets back what it had",
        undeliverable,
    )
    .covers(&["A20.4"]),
    priority(
        "a20/file-without-room",
        "nor is one whose files find no room",
        file_without_room,
    )
    .covers(&["A20.4"]),
    priority(
        "a20/interrupted-wait",
        "a signal does not raise a thread that waits",
        interrupted_wait,
    )
    .covers(&["A20.4"]),
    priority(
        "a20/forked-while-serving",
        "what a thread in real time forks starts without",
        forked_while_serving,
    )
    .covers(&["A20.4"]),
    priority(
        "a20/calls-while-oneway",
        "a oneway call is over when the thread waits, whatever it called meanwhile",
        calls_while_oneway,
    )
    .covers(&["A20.4"]),
];

const NORMAL: Scheduling = Scheduling::normal(0);
const FIFO: Scheduling = Scheduling::fifo(20);

/// A manager at `owner` and a client in real time, whose call the manager serves so.
fn serving(cx: &Cx, owner: Scheduling) -> Result<(Process, Process, harness::Delivery)> {
    let mut manager = manager_scheduled(cx, owner, heir(Policy::Normal, 19))?;
    let mut client = client_scheduled(cx, FIFO)?;
    let call = call_received(&mut client, &mut manager)?;
    check_eq!(manager.scheduling()?, at_fifo(cx, owner));
    Ok((manager, client, call))
}

/// What `owner` is while it serves a caller at `FIFO`.
fn at_fifo(cx: &Cx, owner: Scheduling) -> Scheduling {
    expected(cx, raised(FIFO).with_nice(owner.nice), owner.with_nice(0))
}

fn slice_kept(cx: &mut Cx) -> Result<()> {
    const SLICE: u64 = 7_000_000;
    const SLACK: u64 = 123_456;
    let mut manager = manager_scheduled(cx, NORMAL, heir(Policy::Batch, 0))?;
    manager.must(libc::SYS_prctl, &[libc::PR_SET_TIMERSLACK as u64, SLACK])?;
    let usual = manager.slice()?;
    for slice in [SLICE, usual] {
        manager.set_slice(slice)?;
        let scheduling = manager.scheduling()?;
        for caller in [FIFO, Scheduling::batch(0), Scheduling::normal(-5)] {
            let mut client = client_scheduled(cx, caller)?;
            let call = call_received(&mut client, &mut manager)?;
            manager.answer(&call, Call::reply())?;
            check_eq!(manager.slice()?, slice, "called by {caller:?}");
            let slack = manager.must(libc::SYS_prctl, &[libc::PR_GET_TIMERSLACK as u64])?;
            check_eq!(slack as u64, SLACK, "called by {caller:?}");
            check_eq!(manager.scheduling()?, scheduling);
            complete(&mut manager)?;
        }
    }
    Ok(())
}

/// The client's call brings a node of its own along, which the manager calls back.
fn called_back(
    cx: &Cx,
    owner: Scheduling,
    caller: Scheduling,
    flags: u32,
) -> Result<(Process, Process, harness::Delivery, u32)> {
    let mut manager = manager_scheduled(cx, owner, heir(Policy::Normal, 19))?;
    let mut client = client_scheduled(cx, caller)?;
    let parcel = Parcel::new().binder_with(flags, NODE.0, NODE.1);
    client.send(&[Call::to(0).parcel(parcel).into()])?;
    let outer = manager.receive()?;
    let back = manager.object(&outer, 0)?.handle();
    Ok((manager, client, outer, back))
}

fn nested(cx: &mut Cx) -> Result<()> {
    let flags = heir(Policy::Fifo, 30);
    let (mut manager, mut client, outer, back) =
        called_back(cx, Scheduling::normal(5), FIFO, flags)?;
    check_eq!(manager.scheduling()?, at_fifo(cx, Scheduling::normal(5)));
    // From FIFO 20 to the minimum of 30, and back in the same way.
    manager.send(&[Call::to(back).into()])?;
    let returns = client.read()?;
    client.acknowledge(&returns)?;
    let inner = delivery_in(&returns)?;
    check_eq!(
        client.scheduling()?,
        expected(cx, raised(Scheduling::fifo(30)), FIFO)
    );
    // A third level, with what the thread has now, into the manager, which waits.
    client.send(&[Call::to(0).into()])?;
    let third = manager.receive()?;
    let ours = raised(Scheduling::fifo(30)).with_nice(5);
    check_eq!(manager.scheduling()?, expected(cx, ours, NORMAL));
    manager.answer(&third, Call::reply())?;
    check_eq!(manager.scheduling()?, at_fifo(cx, Scheduling::normal(5)));
    complete(&mut manager)?;
    client.receive()?;
    check_eq!(
        client.scheduling()?,
        expected(cx, raised(Scheduling::fifo(30)), FIFO)
    );
    client.answer(inner, Call::reply())?;
    check_eq!(client.scheduling()?, FIFO);
    complete(&mut client)?;
    manager.receive()?;
    check_eq!(manager.scheduling()?, at_fifo(cx, Scheduling::normal(5)));
    manager.answer(&outer, Call::reply())?;
    check_eq!(manager.scheduling()?, Scheduling::normal(5));
    client.receive()?;
    check_eq!(client.scheduling()?, FIFO);
    Ok(())
}

fn nested_in_sleeper(cx: &mut Cx) -> Result<()> {
    let caller = Scheduling::normal(3);
    let flags = node(Policy::RoundRobin, 8);
    let (mut manager, mut client, outer, back) = called_back(cx, NORMAL, caller, flags)?;
    // What the outer call left for the client to read.
    let returns = client.try_read()?;
    client.acknowledge(&returns)?;
    let waiting = client.begin_exchange(&Exchange::read())?;
    waiting.wait_blocked()?;
    manager.send(&[Call::to(back).into()])?;
    let returns = waiting.returns()?;
    let inner = delivery_in(&returns)?;
    let ours = raised(Scheduling::round_robin(8)).with_nice(3);
    check_eq!(client.scheduling()?, expected(cx, ours, caller));
    client.answer(inner, Call::reply())?;
    check_eq!(client.scheduling()?, caller);
    complete(&mut client)?;
    manager.receive()?;
    manager.answer(&outer, Call::reply())?;
    client.receive()?;
    check_eq!(client.scheduling()?, caller);
    Ok(())
}

fn changed_while_serving(cx: &mut Cx) -> Result<()> {
    let owner = Scheduling::batch(4);
    let (mut manager, _client, call) = serving(cx, owner)?;
    let own = Scheduling::round_robin(3).with_nice(7);
    manager.schedule(own)?;
    // Reading while it serves is no waiting for work of the process.
    expect_nothing(&mut manager)?;
    check_eq!(manager.scheduling()?, own);
    manager.answer(&call, Call::reply())?;
    // Mainline gives back a nice value and nothing else.
    check_eq!(manager.scheduling()?, expected(cx, owner, own.with_nice(4)));
    Ok(())
}

fn failing_reply(cx: &mut Cx) -> Result<()> {
    let owner = Scheduling::batch(3);
    let (mut manager, mut client, _) = serving(cx, owner)?;
    let outcome = manager.write(&[Call::reply().data_at(1, 64).into()])?;
    outcome.ok()?;
    check_eq!(manager.scheduling()?, owner);
    check_returns!(manager.read()?, [BR_NOOP, BR_TRANSACTION_COMPLETE]);
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY]
    );
    check_eq!(manager.scheduling()?, owner);
    check_eq!(client.scheduling()?, FIFO);
    Ok(())
}

fn stray_reply(cx: &mut Cx) -> Result<()> {
    let (mut manager, _client, call) = serving(cx, NORMAL)?;
    manager.answer(&call, Call::reply())?;
    complete(&mut manager)?;
    let own = Scheduling::fifo(9);
    manager.schedule(own)?;
    fails(
        &mut manager,
        Call::reply(),
        BR_FAILED_REPLY,
        Some(Errno::EPROTO),
    )?;
    check_eq!(manager.scheduling()?, own);
    Ok(())
}

fn caller_dies(cx: &mut Cx) -> Result<()> {
    let owner = Scheduling::normal(3);
    let (mut manager, client, _) = serving(cx, owner)?;
    client.kill()?;
    check_eq!(manager.scheduling()?, at_fifo(cx, owner));
    manager.write(&[Call::reply().into()])?.ok()?;
    check_eq!(manager.scheduling()?, owner);
    Ok(())
}

fn caller_died_unread(cx: &mut Cx) -> Result<()> {
    let owner = Scheduling::normal(3);
    let mut manager = manager_scheduled(cx, owner, heir(Policy::Normal, 19))?;
    let mut client = client_scheduled(cx, FIFO)?;
    client.send(&[Call::to(0).into()])?;
    client.kill()?;
    manager.receive()?;
    check_eq!(manager.scheduling()?, at_fifo(cx, owner));
    manager.write(&[Call::reply().into()])?.ok()?;
    check_eq!(manager.scheduling()?, owner);
    Ok(())
}

fn dead_target(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let handle = give_node_with(&mut owner, &mut manager, NODE, heir(Policy::Fifo, 40))?;
    manager
        .write(&[harness::Bc::RequestDeath(handle, 1)])?
        .ok()?;
    owner.exit()?;
    // The notification says that the driver knows.
    check_returns!(manager.read()?, [BR_NOOP, BR_DEAD_BINDER]);
    for own in [NORMAL, FIFO] {
        manager.schedule(own)?;
        manager.write(&[Call::to(handle).into()])?.ok()?;
        check_returns!(manager.read()?, [BR_NOOP, BR_DEAD_REPLY]);
        check_eq!(manager.scheduling()?, own);
    }
    Ok(())
}

fn frozen_target(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_scheduled(cx, NORMAL, heir(Policy::Fifo, 40))?;
    let mut client = client_scheduled(cx, FIFO)?;
    let mut freezer = cx.unmapped()?;
    let pid = manager.pid();
    let mut second = manager.spawn_thread()?;
    second.version()?.ok();
    let waiting = second.begin_exchange(&Exchange::read())?;
    waiting.wait_blocked()?;
    check_eq!(freezer.freeze(pid)?, Ok(()));
    client.write(&[Call::to(0).into()])?.ok()?;
    check_returns!(client.read()?, [BR_NOOP, BR_FROZEN_REPLY]);
    waiting.wait_blocked()?;
    waiting.interrupt()?;
    check_eq!(waiting.outcome()?.result, Err(Errno::EINTR));
    check_eq!(second.scheduling()?, NORMAL);
    Ok(())
}

fn server_dies(cx: &mut Cx) -> Result<()> {
    let (manager, mut client, _) = serving(cx, NORMAL)?;
    manager.kill()?;
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_DEAD_REPLY]
    );
    check_eq!(client.scheduling()?, FIFO);
    Ok(())
}

fn thread_exit(cx: &mut Cx) -> Result<()> {
    let owner = Scheduling::batch(1);
    let flags = heir(Policy::Fifo, 30);
    let (mut manager, mut client, _, back) = called_back(cx, owner, FIFO, flags)?;
    // It serves a call nested in its own, so there are two.
    manager.send(&[Call::to(back).into()])?;
    let returns = client.read()?;
    client.acknowledge(&returns)?;
    client.send(&[Call::to(0).into()])?;
    manager.receive()?;
    let ours = raised(Scheduling::fifo(30)).with_nice(1);
    let mainline = owner.with_nice(0);
    check_eq!(manager.scheduling()?, expected(cx, ours, mainline));
    check_eq!(manager.ioctl(BINDER_THREAD_EXIT, 0i32)?, Ok(0));
    check_eq!(manager.scheduling()?, expected(cx, owner, mainline));
    manager.version()?.ok();
    expect_nothing(&mut manager)?;
    check_eq!(manager.scheduling()?, owner);
    Ok(())
}

fn close_while_serving(cx: &mut Cx) -> Result<()> {
    let owner = Scheduling::normal(2);
    let (mut manager, _client, _) = serving(cx, owner)?;
    manager.unmap()?;
    manager.close()?;
    check_eq!(
        manager.scheduling()?,
        expected(cx, owner, owner.with_nice(0))
    );
    Ok(())
}

fn undeliverable(cx: &mut Cx) -> Result<()> {
    let owner = Scheduling::batch(1);
    let mut manager = manager_scheduled(cx, owner, heir(Policy::Normal, 19))?;
    let mut client = client_scheduled(cx, FIFO)?;
    client.send(&[Call::to(0).into()])?;
    let page = manager.page_before_hole()?;
    // The first word can be written, the call can't.
    let address = page + harness::thread::PAGE - 4;
    let outcome = manager.exchange(&Exchange::read().read_buffer(address))?;
    check_eq!(outcome.result, Err(Errno::EFAULT));
    check_eq!(
        manager.scheduling()?,
        expected(cx, owner, owner.with_nice(0))
    );
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY]
    );
    expect_nothing(&mut manager)?;
    check_eq!(manager.scheduling()?, owner);
    Ok(())
}

fn file_without_room(cx: &mut Cx) -> Result<()> {
    let owner = Scheduling::normal(1);
    let flags = heir(Policy::Normal, 19) | FLAT_BINDER_FLAG_ACCEPTS_FDS;
    let mut manager = manager_scheduled(cx, owner, flags)?;
    let mut client = client_scheduled(cx, FIFO)?;
    let room = next_fd(&mut manager)?;
    limit_fds(&mut manager, room)?;
    client.send(&[Call::to(0).parcel(Parcel::new().fd(0, 0)).into()])?;
    // The same read waits for something else then.
    manager.try_read()?;
    check_eq!(manager.scheduling()?, owner);
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY]
    );
    Ok(())
}

fn interrupted_wait(cx: &mut Cx) -> Result<()> {
    let owner = Scheduling::normal(6);
    let (mut manager, _client, _call) = serving(cx, owner)?;
    let mut second = manager.spawn_thread()?;
    second.schedule(Scheduling::batch(0))?;
    second.version()?.ok();
    let waiting = second.begin_exchange(&Exchange::read())?;
    waiting.wait_blocked()?;
    waiting.interrupt()?;
    check_eq!(waiting.outcome()?.result, Err(Errno::EINTR));
    check_eq!(second.scheduling()?, Scheduling::batch(6));
    check_eq!(manager.scheduling()?, at_fifo(cx, owner));
    Ok(())
}

fn forked_while_serving(cx: &mut Cx) -> Result<()> {
    let owner = Scheduling::normal(2);
    let (mut manager, _client, call) = serving(cx, owner)?;
    let child: Thread = manager.fork()?;
    check_eq!(child.scheduling()?, NORMAL);
    manager.answer(&call, Call::reply())?;
    check_eq!(manager.scheduling()?, owner);
    let child: Thread = manager.fork()?;
    check_eq!(child.scheduling()?, owner);
    Ok(())
}

fn calls_while_oneway(cx: &mut Cx) -> Result<()> {
    let owner = Scheduling::batch(2);
    let mut manager = manager_scheduled(cx, owner, heir(Policy::Fifo, 15))?;
    let mut client = client_scheduled(cx, NORMAL)?;
    // The oneway call that brings the node is the last that the manager has read.
    let handle = give_node(&mut client, &mut manager, NODE)?;
    let ours = raised(Scheduling::fifo(15)).with_nice(2);
    check_eq!(manager.scheduling()?, expected(cx, ours, owner));
    // A call of its own, while the oneway message counts.
    manager.send(&[Call::to(handle).into()])?;
    let call = client.receive()?;
    client.answer(&call, Call::reply())?;
    manager.receive()?;
    check_eq!(manager.scheduling()?, expected(cx, ours, owner));
    expect_nothing(&mut manager)?;
    check_eq!(manager.scheduling()?, owner);
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0

//! Section A14: a process dies in the middle of something.

use super::case;
use crate::fixtures::*;
use anyhow::Result;
use binder_abi::*;
use harness::case::round_trip;
use harness::{Bc, Call, Case, Cx, Exchange, Parcel, Transactions, check_eq, check_returns};

pub const CASES: &[Case] = &[
    case(
        "a14/callee-dies-before-taking",
        "a call not taken fails when its receiver dies: dead",
        dies_before_taking,
    )
    .covers(&["A14.2"]),
    case(
        "a14/callee-dies-while-serving",
        "a call in progress fails when its receiver dies: dead",
        dies_while_serving,
    )
    .covers(&["A14.2"]),
    case(
        "a14/callee-closes",
        "closing the device is dying",
        callee_closes,
    ),
    case(
        "a14/callee-dies-with-reply-sent",
        "a reply sent before dying arrives",
        dies_with_reply_sent,
    ),
    case(
        "a14/caller-dies-before-taken",
        "a call of a dead process arrives, from nobody",
        caller_dies_before_taken,
    ),
    case(
        "a14/caller-dies-blocked",
        "a caller can be killed while it waits",
        caller_dies_blocked,
    ),
    case(
        "a14/oneway-of-dead-arrives",
        "oneway calls of a dead process arrive",
        oneway_of_dead,
    )
    .covers(&["A14.2"]),
    case(
        "a14/middle-dies",
        "in a chain of calls the middle dies: told when the end answers",
        middle_dies,
    ),
    case(
        "a14/middle-and-end-die",
        "in a chain of calls the middle dies, then the end",
        middle_and_end_die,
    ),
    case(
        "a14/end-dies",
        "in a chain of calls the end dies: the middle is told and can answer",
        end_dies,
    ),
    case(
        "a14/all-callers-told",
        "every caller of a dead process is told",
        all_callers_told,
    ),
    case(
        "a14/undelivered-reply",
        "a reply that was not read is dropped with its references",
        undelivered_reply,
    ),
    case(
        "a14/held-buffers",
        "buffers a dead process held let their references go",
        held_buffers,
    )
    .covers(&["A14.4"]),
    case(
        "a14/many-nodes",
        "a process dies with hundreds of nodes, references and buffers",
        many_nodes,
    )
    .covers(&["A14.4"]),
    case(
        "a14/both-die",
        "owner and holder die together, in both orders",
        both_die,
    ),
    case(
        "a14/killed-while-reading",
        "a process is killed with several threads reading",
        killed_while_reading,
    ),
];

fn dies_before_taking(cx: &mut Cx) -> Result<()> {
    let manager = cx.manager()?;
    let mut client = cx.client()?;
    let exchange = Exchange::write(&[Call::to(0).into()]).and_read();
    let calling = client.begin_exchange(&exchange)?;
    calling.wait_blocked()?;
    manager.kill()?;
    check_returns!(
        calling.returns()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_DEAD_REPLY]
    );
    let error = error_of(&mut client)?;
    cx.note("extended error", error);
    Ok(())
}

fn dies_while_serving(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    call_received(&mut client, &mut manager)?;
    manager.kill()?;
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_DEAD_REPLY]
    );
    fails(
        &mut client,
        Call::to(0),
        BR_DEAD_REPLY,
        Some(harness::Errno::EINVAL),
    )
}

fn callee_closes(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    call_received(&mut client, &mut manager)?;
    manager.unmap()?;
    manager.close()?;
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_DEAD_REPLY]
    );
    Ok(())
}

fn dies_with_reply_sent(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    manager.answer(&call, Call::reply().data(b"last words"))?;
    manager.kill()?;
    cx.wait_for_vacancy()?;
    let reply = client.receive()?;
    check_eq!(client.data(&reply)?, b"last words");
    client.free(&reply)
}

/// Waits until the driver has released the client, which gave the manager a node.
fn await_death(
    manager: &mut harness::Process,
    handle: u32,
    client: harness::Process,
) -> Result<()> {
    let mut watcher = manager.spawn_thread()?;
    watcher.send(&[Bc::RequestDeath(handle, 1)])?;
    client.kill()?;
    // The thread may get the process's other work first.
    check_returns!(watcher.read()?, [BR_NOOP, BR_DEAD_BINDER]);
    Ok(())
}

fn caller_dies_before_taken(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let handle = give_node(&mut client, &mut manager, NODE)?;
    let mut other = cx.client()?;
    // The manager's thread is busy, so that the death can be seen by another one
    // while the call still waits behind it.
    let busy = call_received(&mut other, &mut manager)?;
    manager.send(&[Bc::RequestDeath(handle, 1)])?;
    client.send(&[Call::to(0).code(5).data(b"will").into()])?;
    client.kill()?;
    let mut second = manager.spawn_thread()?;
    second.version()?.ok();
    let call = second.receive()?;
    check_eq!(call.data.code, 5);
    check_eq!(second.data(&call)?, b"will");
    // Either the driver has released the sender meanwhile, or it has not.
    check_returns!(manager.spawn_reader()?, [BR_NOOP, BR_DEAD_BINDER]);
    second.write(&[Call::reply().into()])?.ok()?;
    check_returns!(second.read()?, [BR_NOOP, BR_TRANSACTION_COMPLETE]);
    manager.answer(&busy, Call::reply())?;
    check_returns!(other.read()?, [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_REPLY]);
    Ok(())
}

/// Reads once in a thread of its own.
trait SpawnReader {
    fn spawn_reader(&mut self) -> Result<Vec<harness::Br>>;
}

impl SpawnReader for harness::Thread {
    fn spawn_reader(&mut self) -> Result<Vec<harness::Br>> {
        let mut thread = self.spawn_thread()?;
        thread.version()?.ok();
        thread.read()
    }
}

fn caller_dies_blocked(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let handle = give_node(&mut client, &mut manager, NODE)?;
    let mut thread = client.spawn_thread()?;
    thread.version()?.ok();
    let exchange = Exchange::write(&[Call::to(0).into()]).and_read();
    let calling = thread.begin_exchange(&exchange)?;
    calling.wait_blocked()?;
    let call = manager.receive()?;
    await_death(&mut manager, handle, client)?;
    manager.write(&[Call::reply().into()])?.ok()?;
    check_returns!(manager.read()?, [BR_NOOP, BR_TRANSACTION_COMPLETE]);
    manager.free(&call)
}

fn oneway_of_dead(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let handle = give_node(&mut client, &mut manager, NODE)?;
    let parcel = Parcel::new().binder(NODE.0, NODE.1);
    client.send(&[
        Call::oneway(0).code(1).parcel(parcel).into(),
        Call::oneway(0).code(2).into(),
    ])?;
    manager.send(&[Bc::RequestDeath(handle, 1)])?;
    client.kill()?;
    let first = manager.receive()?;
    check_eq!(
        (first.data.code, manager.object(&first, 0)?.handle()),
        (1, handle)
    );
    check_returns!(manager.read()?, [BR_NOOP, BR_DEAD_BINDER]);
    manager.free(&first)?;
    let second = manager.receive()?;
    check_eq!(second.data.code, 2);
    manager.free(&second)
}

/// client → middle → manager; each has taken the call of the one before.
struct Chain {
    manager: harness::Process,
    middle: harness::Process,
    client: harness::Process,
    inner: harness::Delivery,
    outer: harness::Delivery,
}

fn chain(cx: &Cx) -> Result<Chain> {
    let mut manager = cx.manager()?;
    let mut middle = cx.client()?;
    let mut client = cx.client()?;
    let handle = give_node(&mut middle, &mut manager, NODE)?;
    let handle = pass_handle(&mut manager, &mut client, handle)?;
    client.send(&[Call::to(handle).into()])?;
    let outer = middle.receive()?;
    let inner = call_received(&mut middle, &mut manager)?;
    Ok(Chain {
        manager,
        middle,
        client,
        inner,
        outer,
    })
}

fn middle_dies(cx: &mut Cx) -> Result<()> {
    let Chain {
        mut manager,
        middle,
        mut client,
        inner,
        ..
    } = chain(cx)?;
    // The manager's other thread sees the driver notice the death.
    let mut watcher = manager.spawn_thread()?;
    watcher.send(&[Bc::RequestDeath(1, 1)])?;
    middle.kill()?;
    check_returns!(watcher.read()?, [BR_NOOP, BR_DEAD_BINDER]);
    expect_nothing(&mut client)?;
    manager.write(&[Call::reply().into()])?.ok()?;
    check_returns!(manager.read()?, [BR_NOOP, BR_TRANSACTION_COMPLETE]);
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_DEAD_REPLY]
    );
    manager.free(&inner)?;
    round_trip(&mut client, &mut manager, Call::to(0), Call::reply())?;
    Ok(())
}

fn middle_and_end_die(cx: &mut Cx) -> Result<()> {
    let Chain {
        manager,
        middle,
        mut client,
        ..
    } = chain(cx)?;
    middle.kill()?;
    manager.kill()?;
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_DEAD_REPLY]
    );
    fails(
        &mut client,
        Call::to(0),
        BR_DEAD_REPLY,
        Some(harness::Errno::EINVAL),
    )
}

fn end_dies(cx: &mut Cx) -> Result<()> {
    let Chain {
        manager,
        mut middle,
        mut client,
        outer,
        ..
    } = chain(cx)?;
    manager.kill()?;
    check_returns!(
        middle.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_DEAD_REPLY]
    );
    // The outer call is not touched by that.
    middle.answer(&outer, Call::reply().data(b"sorry"))?;
    let reply = client.receive()?;
    check_eq!(client.data(&reply)?, b"sorry");
    Ok(())
}

fn all_callers_told(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut second = manager.spawn_thread()?;
    second.version()?.ok();
    let mut clients = [cx.client()?, cx.client()?, cx.client()?, cx.client()?];
    for client in &mut clients {
        client.send(&[Call::to(0).into()])?;
    }
    // Two are served, two wait.
    manager.receive()?;
    second.receive()?;
    manager.kill()?;
    for client in &mut clients {
        check_returns!(
            client.read()?,
            [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_DEAD_REPLY]
        );
    }
    Ok(())
}

fn undelivered_reply(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    manager.answer(
        &call,
        Call::reply().parcel(Parcel::new().binder(NODE.0, NODE.1)),
    )?;
    let returns = manager.read()?;
    manager.acknowledge(&returns)?;
    client.kill()?;
    check_returns!(manager.read()?, [BR_NOOP, BR_RELEASE, BR_DECREFS]);
    Ok(())
}

fn held_buffers(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let mut client = cx.client()?;
    // The client holds its own node by a buffer.
    let handle = give_node(&mut client, &mut manager, OTHER)?;
    manager.send(&[Call::oneway(handle)
        .parcel(Parcel::new().handle(handle))
        .into()])?;
    complete(&mut manager)?;
    client.receive()?;
    // The manager holds the owner's by one.
    owner.send(&[Call::oneway(0)
        .parcel(Parcel::new().binder(NODE.0, NODE.1))
        .into()])?;
    let returns = owner.read()?;
    owner.acknowledge(&returns)?;
    manager.receive()?;
    manager.kill()?;
    check_returns!(owner.read()?, [BR_NOOP, BR_RELEASE, BR_DECREFS]);
    expect_nothing(&mut client)
}

fn many_nodes(cx: &mut Cx) -> Result<()> {
    const BATCHES: u64 = 6;
    const BATCH: u64 = 40;
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    for batch in 0..BATCHES {
        let parcel = (0..BATCH).fold(Parcel::new(), |p, i| p.binder(1 + batch * BATCH + i, 0));
        owner.send(&[Call::oneway(0).parcel(parcel).into()])?;
        let call = manager.receive()?;
        let first = manager.object(&call, 0)?.handle();
        let mut commands: Vec<Bc> = Vec::new();
        for handle in first..first + BATCH as u32 {
            commands.extend([
                Bc::Acquire(handle),
                Bc::RequestDeath(handle, u64::from(handle)),
            ]);
        }
        commands.push(Bc::FreeBuffer(call.data.buffer));
        if batch % 2 == 1 {
            commands.push(Call::to(first).into());
        }
        manager.write(&commands)?.ok()?;
        while !manager.try_read()?.is_empty() {}
        if batch % 2 == 1 {
            manager.ioctl(BINDER_THREAD_EXIT, 0i32)?.ok();
            manager.read()?;
        }
    }
    owner.kill()?;
    let mut told = 0;
    while told < BATCHES * BATCH {
        told += manager
            .read()?
            .iter()
            .filter(|r| r.code() == BR_DEAD_BINDER)
            .count() as u64;
    }
    manager.kill()?;
    cx.wait_for_vacancy()
}

fn both_die(cx: &mut Cx) -> Result<()> {
    for owner_first in [true, false] {
        let mut manager = cx.manager()?;
        let mut owner = cx.client()?;
        let handle = give_node(&mut owner, &mut manager, NODE)?;
        manager.send(&[
            Bc::RequestDeath(handle, 1),
            Call::oneway(handle).into(),
            Call::oneway(handle)
                .parcel(Parcel::new().handle(handle))
                .into(),
            Call::to(handle).into(),
        ])?;
        let (first, last) = if owner_first {
            (owner, manager)
        } else {
            (manager, owner)
        };
        first.kill()?;
        last.kill()?;
        cx.wait_for_vacancy()?;
    }
    Ok(())
}

fn killed_while_reading(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut threads = [
        manager.spawn_thread()?,
        manager.spawn_thread()?,
        manager.spawn_thread()?,
    ];
    let mut reading = Vec::new();
    for thread in &mut threads {
        thread.version()?.ok();
        let pending = thread.begin_exchange(&Exchange::read())?;
        pending.wait_blocked()?;
        reading.push(pending);
    }
    manager.kill()?;
    drop(reading);
    cx.wait_for_vacancy()
}

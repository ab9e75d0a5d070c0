// SPDX-License-Identifier: GPL-2.0

//! Section A10: what is told of nodes and deaths is on its way to one thread, while
//! another changes it.

use super::inside::*;
use crate::cases::case;
use crate::fixtures::*;
use anyhow::Result;
use binder_abi::*;
use harness::returns::Br;
use harness::{
    Bc, Call, Case, Cx, Errno, Parcel, Process, Thread, Transactions, check_eq, check_returns,
};

pub const CASES: &[Case] = &[
    case(
        "a10/clear-while-death-is-read",
        "taking back a death that is being read: confirmed once it is answered",
        clear_while_read,
    )
    .covers(&["A10.5"]),
    case(
        "a10/answer-while-death-is-read",
        "a death can be answered by who guesses that it is being read",
        answer_while_read,
    )
    .covers(&["A5.11"]),
    case(
        "a10/drop-while-death-is-read",
        "a handle can be dropped while its death is being read",
        drop_while_read,
    )
    .covers(&["A10.6"]),
    case(
        "a10/death-read-fails",
        "a death whose reader's memory is not there counts as told",
        death_read_fails,
    ),
    case(
        "a10/second-death-while-first-is-read",
        "two threads read two deaths at once, and each can be answered by the other",
        two_deaths,
    ),
    case(
        "a10/ask-again-while-death-is-read",
        "the death of the same node can be asked for again before the first is read",
        ask_again,
    ),
    case(
        "a10/acquire-read-while-dropped",
        "a node whose last reference goes while its owner reads of the first",
        acquire_while_dropped,
    )
    .covers(&["A10.1"]),
    case(
        "a10/release-read-while-resent",
        "a node that is sent again while its owner reads that nobody has it",
        release_while_resent,
    )
    .covers(&["A10.2"]),
    case(
        "a10/acquire-read-fails",
        "a node whose owner's memory is not there counts as told",
        acquire_read_fails,
    ),
    case(
        "a10/order-of-failed-send",
        "with a call that fails goes the node that it was for, then what was in it",
        order_of_failed_send,
    )
    .covers(&["A10.2"]),
];

const COOKIE: u64 = 1;

/// A process that has asked for the death of a node and whose owner has died: with
/// another thread, both known to the driver, and the handle.
fn mourning(cx: &Cx) -> Result<(Process, Thread, u32)> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let handle = give_node(&mut owner, &mut manager, NODE)?;
    let other = another(&mut manager)?;
    manager.send(&[Bc::RequestDeath(handle, COOKIE)])?;
    owner.kill()?;
    Ok((manager, other, handle))
}

/// What a reader that is caught in the middle of a death gets in the end.
fn death_at(thread: &mut Thread, at: u64, consumed: u64, cookie: u64) -> Result<()> {
    let returns = returns_at(thread, at, consumed)?;
    check_eq!(
        returns,
        [Br::Plain(BR_NOOP), Br::Cookie(BR_DEAD_BINDER, cookie)]
    );
    Ok(())
}

fn cleared(thread: &mut Thread, cookie: u64) -> Result<()> {
    check_eq!(
        thread.read()?,
        [
            Br::Plain(BR_NOOP),
            Br::Cookie(BR_CLEAR_DEATH_NOTIFICATION_DONE, cookie)
        ]
    );
    Ok(())
}

fn clear_while_read(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut other, handle) = mourning(cx)?;
    let trap = manager.trap()?;
    let at = read_at(&trap);
    let step = read_into(&mut manager, &trap)?;
    other.send(&[Bc::ClearDeath(handle, COOKIE)])?;
    expect_nothing(&mut other)?;
    let consumed = let_read(trap, step)?;
    death_at(&mut manager, at, consumed, COOKIE)?;
    expect_nothing(&mut manager)?;
    manager.send(&[Bc::DeadBinderDone(COOKIE)])?;
    cleared(&mut manager, COOKIE)?;
    other.send(&[Bc::DeadBinderDone(COOKIE)])?;
    expect_nothing(&mut other)
}

fn answer_while_read(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut other, handle) = mourning(cx)?;
    let trap = manager.trap()?;
    let at = read_at(&trap);
    let step = read_into(&mut manager, &trap)?;
    other.send(&[
        Bc::DeadBinderDone(COOKIE),
        Bc::ClearDeath(handle, COOKIE),
        Bc::DeadBinderDone(COOKIE),
    ])?;
    cleared(&mut other, COOKIE)?;
    let consumed = let_read(trap, step)?;
    death_at(&mut manager, at, consumed, COOKIE)?;
    manager.send(&[Bc::DeadBinderDone(COOKIE)])?;
    expect_nothing(&mut manager)
}

fn drop_while_read(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut other, handle) = mourning(cx)?;
    let trap = manager.trap()?;
    let at = read_at(&trap);
    let step = read_into(&mut manager, &trap)?;
    other.send(&[Bc::Release(handle)])?;
    let consumed = let_read(trap, step)?;
    death_at(&mut manager, at, consumed, COOKIE)?;
    manager.send(&[Bc::DeadBinderDone(COOKIE), Bc::DeadBinderDone(COOKIE)])?;
    expect_nothing(&mut manager)?;
    // The handle is free.
    let mut owner = cx.client()?;
    check_eq!(give_node(&mut owner, &mut manager, OTHER)?, handle);
    manager.send(&[Bc::RequestDeath(handle, COOKIE)])?;
    owner.kill()?;
    check_eq!(
        manager.read()?,
        [Br::Plain(BR_NOOP), Br::Cookie(BR_DEAD_BINDER, COOKIE)]
    );
    Ok(())
}

fn death_read_fails(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut other, handle) = mourning(cx)?;
    let trap = manager.trap()?;
    let step = read_into(&mut manager, &trap)?;
    trap.spoil()?;
    check_eq!(step.outcome()?.result, Err(Errno::EFAULT));
    expect_nothing(&mut manager)?;
    expect_nothing(&mut other)?;
    manager.send(&[Bc::ClearDeath(handle, COOKIE)])?;
    expect_nothing(&mut manager)?;
    manager.send(&[Bc::DeadBinderDone(COOKIE)])?;
    cleared(&mut manager, COOKIE)
}

fn two_deaths(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut other = another(&mut manager)?;
    let mut owner = cx.client()?;
    let first = give_node(&mut owner, &mut manager, NODE)?;
    let second = give_node(&mut owner, &mut manager, OTHER)?;
    manager.send(&[Bc::RequestDeath(first, 1), Bc::RequestDeath(second, 2)])?;
    owner.kill()?;
    let trap = manager.trap()?;
    let at = read_at(&trap);
    let step = read_into(&mut manager, &trap)?;
    let told = other.read()?;
    check_returns!(told, [BR_NOOP, BR_DEAD_BINDER]);
    let Some(Br::Cookie(_, here)) = told.last() else {
        anyhow::bail!("{told:?}");
    };
    let (here, there) = (*here, 3 - *here);
    other.send(&[Bc::DeadBinderDone(there)])?;
    let consumed = let_read(trap, step)?;
    death_at(&mut manager, at, consumed, there)?;
    manager.send(&[Bc::DeadBinderDone(here)])?;
    manager.send(&[Bc::ClearDeath(first, 1), Bc::ClearDeath(second, 2)])?;
    check_eq!(
        manager.read()?,
        [
            Br::Plain(BR_NOOP),
            Br::Cookie(BR_CLEAR_DEATH_NOTIFICATION_DONE, 1),
            Br::Cookie(BR_CLEAR_DEATH_NOTIFICATION_DONE, 2)
        ]
    );
    Ok(())
}

fn ask_again(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut other, handle) = mourning(cx)?;
    let trap = manager.trap()?;
    let at = read_at(&trap);
    let step = read_into(&mut manager, &trap)?;
    other.send(&[Bc::ClearDeath(handle, COOKIE), Bc::RequestDeath(handle, 2)])?;
    check_eq!(
        other.read()?,
        [Br::Plain(BR_NOOP), Br::Cookie(BR_DEAD_BINDER, 2)]
    );
    let consumed = let_read(trap, step)?;
    death_at(&mut manager, at, consumed, COOKIE)?;
    manager.send(&[Bc::DeadBinderDone(2), Bc::DeadBinderDone(COOKIE)])?;
    cleared(&mut manager, COOKIE)?;
    manager.send(&[Bc::ClearDeath(handle, 2)])?;
    cleared(&mut manager, 2)
}

/// A client that has sent a node, and is caught reading of it; a thread of its own,
/// and what the manager got.
fn acquire_while_dropped(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = another(&mut client)?;
    client.send(&[Call::oneway(0)
        .parcel(Parcel::new().binder(NODE.0, NODE.1))
        .into()])?;
    let call = manager.receive()?;
    let trap = client.trap()?;
    let at = read_at(&trap);
    let step = read_into(&mut client, &trap)?;
    manager.free(&call)?;
    // The counts that are not confirmed keep the node.
    expect_nothing(&mut other)?;
    other.send(&[
        Bc::IncrefsDone(NODE.0, NODE.1),
        Bc::AcquireDone(NODE.0, NODE.1),
    ])?;
    expect(&mut other, &[BR_NOOP, BR_RELEASE, BR_DECREFS])?;
    let consumed = let_read(trap, step)?;
    let returns = returns_at(&mut client, at, consumed)?;
    check_returns!(
        returns,
        [BR_NOOP, BR_INCREFS, BR_ACQUIRE, BR_TRANSACTION_COMPLETE]
    );
    // The node is gone, and there is nothing to confirm any more.
    client.acknowledge(&returns)?;
    expect_nothing(&mut client)?;
    let handle = give_node(&mut client, &mut manager, NODE)?;
    manager.send(&[Bc::Release(handle)])?;
    expect(&mut client, &[BR_NOOP, BR_RELEASE, BR_DECREFS])
}

fn release_while_resent(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = another(&mut client)?;
    let handle = give_node(&mut client, &mut manager, NODE)?;
    manager.send(&[Bc::Release(handle)])?;
    let trap = client.trap()?;
    let at = read_at(&trap);
    let step = read_into(&mut client, &trap)?;
    other.send(&[Call::oneway(0)
        .parcel(Parcel::new().binder(NODE.0, OTHER.1))
        .into()])?;
    let told = other.read()?;
    check_eq!(
        told[1],
        Br::Node(
            BR_INCREFS,
            PtrCookie {
                ptr: NODE.0,
                cookie: OTHER.1
            }
        )
    );
    other.acknowledge(&told)?;
    let consumed = let_read(trap, step)?;
    let returns = returns_at(&mut client, at, consumed)?;
    check_returns!(returns, [BR_NOOP, BR_RELEASE, BR_DECREFS]);
    let call = manager.receive()?;
    manager.free(&call)?;
    expect(&mut client, &[BR_NOOP, BR_RELEASE, BR_DECREFS])
}

fn acquire_read_fails(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::oneway(0)
        .parcel(Parcel::new().binder(NODE.0, NODE.1))
        .into()])?;
    let call = manager.receive()?;
    let trap = client.trap()?;
    let step = read_into(&mut client, &trap)?;
    trap.spoil()?;
    check_eq!(step.outcome()?.result, Err(Errno::EFAULT));
    let left = client.try_read()?;
    cx.note("left to read", &left);
    client.send(&[
        Bc::IncrefsDone(NODE.0, NODE.1),
        Bc::AcquireDone(NODE.0, NODE.1),
    ])?;
    manager.free(&call)?;
    expect(&mut client, &[BR_NOOP, BR_RELEASE, BR_DECREFS])
}

fn order_of_failed_send(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut other = another(&mut manager)?;
    let mut owner = cx.client()?;
    let target = give_node(&mut owner, &mut manager, NODE)?;
    let object = give_node(&mut owner, &mut manager, OTHER)?;
    let trap = manager.trap()?;
    let parcel = Parcel::new().handle(object);
    let call = caught_behind(&mut manager, &trap, Call::oneway(target), &parcel)?;
    let step = send_into(&mut manager, &trap, call)?;
    other.send(&[Bc::Release(target), Bc::Release(object)])?;
    expect_nothing(&mut owner)?;
    let_fail(trap, step)?;
    expect(&mut manager, &[BR_NOOP, BR_FAILED_REPLY])?;
    let told = owner.read()?;
    check_returns!(
        told,
        [BR_NOOP, BR_RELEASE, BR_DECREFS, BR_RELEASE, BR_DECREFS]
    );
    let node = |(ptr, cookie)| Br::Node(BR_RELEASE, PtrCookie { ptr, cookie });
    check_eq!([&told[1], &told[3]], [&node(NODE), &node(OTHER)]);
    Ok(())
}

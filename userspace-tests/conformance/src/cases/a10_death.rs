// SPDX-License-Identifier: GPL-2.0

//! Section A10: death notifications.

use super::case;
use crate::fixtures::*;
use anyhow::Result;
use binder_abi::*;
use harness::{
    Bc, Br, Call, Case, Cx, Exchange, Parcel, Process, Transactions, check_eq, check_returns,
};

pub const CASES: &[Case] = &[
    case(
        "a10/death-told",
        "the death of a node's owner is told, with the cookie",
        death_told,
    )
    .covers(&["A14.3"]),
    case(
        "a10/death-on-close",
        "closing the device counts as death",
        death_on_close,
    ),
    case(
        "a10/death-wakes-reader",
        "a blocked reader is told",
        death_wakes_reader,
    ),
    case(
        "a10/death-of-dead",
        "asking about a node that is dead is answered at once",
        death_of_dead,
    )
    .covers(&["A10.4"]),
    case(
        "a10/death-weak-handle",
        "a weak reference is enough to ask",
        death_weak_handle,
    ),
    case(
        "a10/death-told-to-all",
        "everybody who asked is told",
        death_told_to_all,
    )
    .covers(&["A14.3"]),
    case(
        "a10/death-of-many-nodes",
        "each node of a dead process is told, one per read",
        death_of_many_nodes,
    ),
    case(
        "a10/death-ask-twice",
        "asking twice counts once",
        death_ask_twice,
    )
    .covers(&["A5.10", "A10.4"]),
    case(
        "a10/death-ends-read",
        "what comes after a death waits for the next read",
        death_ends_read,
    )
    .covers(&["A8.5"]),
    case(
        "a10/clear-before-death",
        "taking the request back is confirmed, death is not told",
        clear_before_death,
    )
    .covers(&["A10.5"]),
    case(
        "a10/clear-wrong",
        "taking back what is not there, or by another cookie, is skipped",
        clear_wrong,
    )
    .covers(&["A5.10"]),
    case(
        "a10/clear-then-ask-again",
        "after taking back one may ask again",
        clear_then_ask_again,
    ),
    case(
        "a10/clear-while-queued",
        "taking back a death not read yet: told, then confirmed",
        clear_while_queued,
    )
    .covers(&["A10.5"]),
    case(
        "a10/clear-while-delivered",
        "taking back a death not answered yet: confirmed after the answer",
        clear_while_delivered,
    )
    .covers(&["A10.5"]),
    case(
        "a10/clear-after-answer",
        "taking back a death that was answered: confirmed at once",
        clear_after_answer,
    ),
    case(
        "a10/clear-looper-own-queue",
        "a looper gets the confirmation itself",
        clear_looper,
    ),
    case(
        "a10/clear-stranger-process-queue",
        "for others any thread gets it",
        clear_stranger,
    ),
    case(
        "a10/answer-after-clear-from-stranger",
        "answering a death taken back, without being a looper",
        answer_from_stranger,
    )
    .covers(&["CVE-2026-23400"]),
    case(
        "a10/answer-unknown",
        "answering what was not told is skipped",
        answer_unknown,
    )
    .covers(&["A5.11"]),
    case(
        "a10/reference-takes-request-along",
        "dropping the reference drops the request silently",
        reference_takes_request,
    )
    .covers(&["A10.6", "A19.7"]),
    case(
        "a10/death-then-drop",
        "a reference to a dead node can be dropped in any state",
        death_then_drop,
    ),
    case(
        "a10/asker-dies",
        "a process may die with requests in every state",
        asker_dies,
    ),
];

/// The manager holds a reference to a client's node and asks about its death.
fn asked(cx: &Cx, cookie: u64) -> Result<(Process, Process, u32)> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let handle = give_node(&mut owner, &mut manager, NODE)?;
    manager.send(&[Bc::RequestDeath(handle, cookie)])?;
    Ok((manager, owner, handle))
}

fn dead(cookie: u64) -> [Br; 2] {
    [Br::Plain(BR_NOOP), Br::Cookie(BR_DEAD_BINDER, cookie)]
}

fn cleared(cookie: u64) -> [Br; 2] {
    [
        Br::Plain(BR_NOOP),
        Br::Cookie(BR_CLEAR_DEATH_NOTIFICATION_DONE, cookie),
    ]
}

fn death_told(cx: &mut Cx) -> Result<()> {
    let (mut manager, owner, _) = asked(cx, 0xDEAD_0000_0001)?;
    expect_nothing(&mut manager)?;
    owner.kill()?;
    check_eq!(manager.read()?, dead(0xDEAD_0000_0001));
    manager.send(&[Bc::DeadBinderDone(0xDEAD_0000_0001)])?;
    expect_nothing(&mut manager)
}

fn death_on_close(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut owner, _) = asked(cx, 1)?;
    owner.unmap()?;
    owner.close()?;
    check_eq!(manager.read()?, dead(1));
    Ok(())
}

fn death_wakes_reader(cx: &mut Cx) -> Result<()> {
    let (mut manager, owner, _) = asked(cx, 1)?;
    let reading = manager.begin_exchange(&Exchange::read())?;
    reading.wait_blocked()?;
    owner.exit()?;
    check_eq!(reading.returns()?, dead(1));
    Ok(())
}

fn death_of_dead(cx: &mut Cx) -> Result<()> {
    let (mut manager, owner, handle) = asked(cx, 1)?;
    owner.kill()?;
    check_eq!(manager.read()?, dead(1));
    manager.send(&[Bc::DeadBinderDone(1), Bc::ClearDeath(handle, 1)])?;
    check_eq!(manager.read()?, cleared(1));
    manager.send(&[Bc::RequestDeath(handle, 2)])?;
    check_eq!(manager.read()?, dead(2));
    Ok(())
}

fn death_weak_handle(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    owner.send(&[Call::oneway(0)
        .parcel(Parcel::new().weak_binder(NODE.0, NODE.1))
        .into()])?;
    let call = manager.receive()?;
    let handle = manager.object(&call, 0)?.handle();
    manager.send(&[Bc::RequestDeath(handle, 3)])?;
    owner.kill()?;
    check_eq!(manager.read()?, dead(3));
    Ok(())
}

fn death_told_to_all(cx: &mut Cx) -> Result<()> {
    let (mut manager, owner, handle) = asked(cx, 1)?;
    let mut others = [cx.client()?, cx.client()?];
    for (other, cookie) in others.iter_mut().zip(2..) {
        let passed = pass_handle(&mut manager, other, handle)?;
        other.send(&[Bc::RequestDeath(passed, cookie)])?;
        while !manager.try_read()?.is_empty() {}
    }
    owner.kill()?;
    check_eq!(manager.read()?, dead(1));
    check_eq!(others[0].read()?, dead(2));
    check_eq!(others[1].read()?, dead(3));
    Ok(())
}

fn death_of_many_nodes(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    for ptr in 1..=10 {
        let handle = give_node(&mut owner, &mut manager, (ptr, ptr))?;
        manager.send(&[Bc::RequestDeath(handle, 100 + ptr)])?;
    }
    owner.kill()?;
    let mut cookies = Vec::new();
    for _ in 1..=10 {
        let returns = manager.read()?;
        let [Br::Plain(BR_NOOP), Br::Cookie(BR_DEAD_BINDER, cookie)] = returns[..] else {
            anyhow::bail!("{returns:?}");
        };
        cookies.push(cookie);
    }
    cx.note("order", &cookies);
    cookies.sort_unstable();
    check_eq!(cookies, (101..=110).collect::<Vec<u64>>());
    expect_nothing(&mut manager)
}

fn death_ask_twice(cx: &mut Cx) -> Result<()> {
    let (mut manager, owner, handle) = asked(cx, 1)?;
    manager.send(&[Bc::RequestDeath(handle, 2), Bc::RequestDeath(handle, 1)])?;
    owner.kill()?;
    check_eq!(manager.read()?, dead(1));
    manager.send(&[Bc::DeadBinderDone(1)])?;
    expect_nothing(&mut manager)
}

fn death_ends_read(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut owner, _) = asked(cx, 1)?;
    let mut watcher = cx.client()?;
    // Another one is told last, which says when the driver is done with the death.
    let watched = watch(&mut owner, &mut manager, &mut watcher)?;
    owner.kill()?;
    check_eq!(watcher.read()?, dead(watched));
    watcher.send(&[Call::oneway(0).into()])?;
    check_eq!(manager.read()?, dead(1));
    check_returns!(manager.read()?, [BR_NOOP, BR_TRANSACTION]);
    Ok(())
}

/// Another process asks about a node of the owner that is released after all others: once it is
/// told, so is the manager.
fn watch(owner: &mut Process, manager: &mut Process, watcher: &mut Process) -> Result<u64> {
    let last = give_node(owner, manager, (0x3000, 0x3001))?;
    let passed = pass_handle(manager, watcher, last)?;
    watcher.send(&[Bc::RequestDeath(passed, 0x77)])?;
    while !manager.try_read()?.is_empty() {}
    Ok(0x77)
}

fn clear_before_death(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut owner, handle) = asked(cx, 1)?;
    let mut watcher = cx.client()?;
    let watched = watch(&mut owner, &mut manager, &mut watcher)?;
    manager.send(&[Bc::ClearDeath(handle, 1)])?;
    check_eq!(manager.read()?, cleared(1));
    owner.kill()?;
    check_eq!(watcher.read()?, dead(watched));
    expect_nothing(&mut manager)
}

fn clear_wrong(cx: &mut Cx) -> Result<()> {
    let (mut manager, owner, handle) = asked(cx, 1)?;
    manager.send(&[
        Bc::ClearDeath(handle, 2),
        Bc::ClearDeath(99, 1),
        Bc::ClearDeath(0, 1),
    ])?;
    expect_nothing(&mut manager)?;
    owner.kill()?;
    check_eq!(manager.read()?, dead(1));
    Ok(())
}

fn clear_then_ask_again(cx: &mut Cx) -> Result<()> {
    let (mut manager, owner, handle) = asked(cx, 1)?;
    for cookie in 1..5 {
        manager.send(&[
            Bc::ClearDeath(handle, cookie),
            Bc::RequestDeath(handle, cookie + 1),
        ])?;
        check_eq!(manager.read()?, cleared(cookie));
    }
    owner.kill()?;
    check_eq!(manager.read()?, dead(5));
    Ok(())
}

/// The owner is dead and the driver has told so, but the manager has not read it.
fn death_queued(cx: &Cx) -> Result<(Process, u32)> {
    let (mut manager, mut owner, handle) = asked(cx, 1)?;
    let mut watcher = cx.client()?;
    let watched = watch(&mut owner, &mut manager, &mut watcher)?;
    owner.kill()?;
    check_eq!(watcher.read()?, dead(watched));
    Ok((manager, handle))
}

fn clear_while_queued(cx: &mut Cx) -> Result<()> {
    let (mut manager, handle) = death_queued(cx)?;
    manager.send(&[Bc::ClearDeath(handle, 1)])?;
    check_eq!(manager.read()?, dead(1));
    expect_nothing(&mut manager)?;
    manager.send(&[Bc::DeadBinderDone(1)])?;
    check_eq!(manager.read()?, cleared(1));
    expect_nothing(&mut manager)
}

fn clear_while_delivered(cx: &mut Cx) -> Result<()> {
    let (mut manager, handle) = death_queued(cx)?;
    check_eq!(manager.read()?, dead(1));
    manager.send(&[Bc::ClearDeath(handle, 1)])?;
    expect_nothing(&mut manager)?;
    // A new request does not disturb the old one's end.
    manager.send(&[Bc::RequestDeath(handle, 2)])?;
    check_eq!(manager.read()?, dead(2));
    manager.send(&[Bc::DeadBinderDone(1)])?;
    check_eq!(manager.read()?, cleared(1));
    manager.send(&[Bc::DeadBinderDone(2)])?;
    expect_nothing(&mut manager)
}

fn clear_after_answer(cx: &mut Cx) -> Result<()> {
    let (mut manager, handle) = death_queued(cx)?;
    check_eq!(manager.read()?, dead(1));
    manager.send(&[Bc::DeadBinderDone(1)])?;
    expect_nothing(&mut manager)?;
    manager.send(&[Bc::ClearDeath(handle, 1)])?;
    check_eq!(manager.read()?, cleared(1));
    Ok(())
}

fn clear_looper(cx: &mut Cx) -> Result<()> {
    let (mut manager, _owner, handle) = asked(cx, 1)?;
    let mut other = manager.spawn_thread()?;
    other.version()?.ok();
    manager.send(&[Bc::EnterLooper, Bc::ClearDeath(handle, 1)])?;
    expect_nothing(&mut other)?;
    check_eq!(manager.read()?, cleared(1));
    Ok(())
}

fn clear_stranger(cx: &mut Cx) -> Result<()> {
    let (mut manager, _owner, handle) = asked(cx, 1)?;
    let mut other = manager.spawn_thread()?;
    other.version()?.ok();
    manager.send(&[Bc::ClearDeath(handle, 1)])?;
    check_eq!(other.read()?, cleared(1));
    expect_nothing(&mut manager)
}

fn answer_from_stranger(cx: &mut Cx) -> Result<()> {
    let (mut manager, handle) = death_queued(cx)?;
    let mut looper = manager.spawn_thread()?;
    looper.send(&[Bc::EnterLooper])?;
    check_eq!(looper.read()?, dead(1));
    looper.send(&[Bc::ClearDeath(handle, 1)])?;
    manager.send(&[Bc::DeadBinderDone(1)])?;
    // The confirmation is for any thread of the process.
    check_eq!(looper.read()?, cleared(1));
    Ok(())
}

fn answer_unknown(cx: &mut Cx) -> Result<()> {
    let (mut manager, handle) = death_queued(cx)?;
    manager.send(&[Bc::DeadBinderDone(1), Bc::DeadBinderDone(9)])?;
    check_eq!(manager.read()?, dead(1));
    manager.send(&[Bc::DeadBinderDone(2), Bc::ClearDeath(handle, 1)])?;
    expect_nothing(&mut manager)?;
    manager.send(&[Bc::DeadBinderDone(1)])?;
    check_eq!(manager.read()?, cleared(1));
    manager.send(&[Bc::DeadBinderDone(1)])?;
    expect_nothing(&mut manager)
}

fn reference_takes_request(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut owner, handle) = asked(cx, 1)?;
    let mut watcher = cx.client()?;
    let watched = watch(&mut owner, &mut manager, &mut watcher)?;
    manager.send(&[Bc::Release(handle)])?;
    expect_nothing(&mut manager)?;
    // The number serves for a new reference, without the old request.
    let again = give_node(&mut owner, &mut manager, OTHER)?;
    check_eq!(again, handle);
    owner.kill()?;
    check_eq!(watcher.read()?, dead(watched));
    expect_nothing(&mut manager)
}

fn death_then_drop(cx: &mut Cx) -> Result<()> {
    // Dropped while the death is queued: it is not told any more.
    let (mut manager, handle) = death_queued(cx)?;
    manager.send(&[Bc::Release(handle)])?;
    expect_nothing(&mut manager)?;
    manager.exit()?;
    cx.wait_for_vacancy()?;
    // Dropped while it is delivered: the answer is too late.
    let (mut manager, handle) = death_queued(cx)?;
    check_eq!(manager.read()?, dead(1));
    manager.send(&[Bc::Release(handle), Bc::DeadBinderDone(1)])?;
    expect_nothing(&mut manager)
}

fn asker_dies(cx: &mut Cx) -> Result<()> {
    // Pending, queued, delivered, and taken back in between.
    let (manager, owner, _) = asked(cx, 1)?;
    manager.kill()?;
    owner.kill()?;
    cx.wait_for_vacancy()?;
    for state in 0..3 {
        let (mut manager, handle) = death_queued(cx)?;
        if state > 0 {
            manager.read()?;
        }
        if state > 1 {
            manager.send(&[Bc::ClearDeath(handle, 1)])?;
        }
        manager.kill()?;
        cx.wait_for_vacancy()?;
    }
    let (mut manager, _owner, handle) = asked(cx, 1)?;
    manager.send(&[Bc::ClearDeath(handle, 1)])?;
    manager.kill()?;
    cx.wait_for_vacancy()
}

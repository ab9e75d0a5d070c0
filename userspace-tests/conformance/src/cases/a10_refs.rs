// SPDX-License-Identifier: GPL-2.0

//! Section A10: what an owner is told about references to its nodes.

use super::case;
use crate::fixtures::*;
use anyhow::Result;
use binder_abi::*;
use harness::{
    Bc, Br, Call, Case, Cx, Errno, Parcel, Process, Transactions, check_eq, check_returns,
};

pub const CASES: &[Case] = &[
    case(
        "a10/first-strong",
        "the first strong reference: increfs and acquire, before the completion",
        first_strong,
    )
    .covers(&["A8.5", "A10.1"]),
    case(
        "a10/first-weak",
        "the first weak reference: increfs only",
        first_weak,
    ),
    case(
        "a10/weak-then-strong",
        "a strong reference to a weakly known node: acquire only",
        weak_then_strong,
    ),
    case(
        "a10/names-in-returns",
        "the returns name the node as its owner does",
        names_in_returns,
    ),
    case(
        "a10/told-once",
        "further references are not told",
        told_once,
    ),
    case(
        "a10/last-strong",
        "the last strong reference gone, none left: release and decrefs",
        last_strong,
    )
    .covers(&["A10.1", "A10.2"]),
    case(
        "a10/strong-gone-weak-left",
        "the last strong reference gone, a weak one left: release only",
        strong_gone_weak_left,
    ),
    case(
        "a10/unconfirmed-keeps-strong",
        "until it is confirmed, acquire holds the node",
        unconfirmed_keeps_strong,
    ),
    case(
        "a10/confirm-wrong-cookie",
        "a confirmation with a wrong cookie does not count",
        confirm_wrong_cookie,
    )
    .covers(&["A5.6"]),
    case(
        "a10/confirm-twice",
        "a confirmation counts once",
        confirm_twice,
    )
    .covers(&["A5.6"]),
    case(
        "a10/node-returns",
        "a node that went and comes back is told as new",
        node_returns,
    )
    .covers(&["A10.2"]),
    case(
        "a10/went-before-told",
        "references that come and go unread are not told",
        went_before_told,
    ),
    case(
        "a10/counts-per-process",
        "a process's references end with its last count",
        counts_per_process,
    )
    .covers(&["A5.5"]),
    case(
        "a10/holder-dies",
        "a dead holder's references are gone",
        holder_dies,
    )
    .covers(&["A14.4"]),
    case(
        "a10/manager-node-silent",
        "the manager is not told of references to its node",
        manager_node_silent,
    )
    .covers(&["A10.3"]),
    case(
        "a10/acquire-weak-handle",
        "a handle held weakly cannot be acquired",
        acquire_weak_handle,
    )
    .covers(&["A10.3", "A19.5"]),
    case(
        "a10/acquire-weak-handle-of-strong-node",
        "a handle held weakly cannot be acquired though another process holds the node strongly",
        acquire_weak_handle_of_strong_node,
    )
    .covers(&["A10.3", "A19.5"]),
    case(
        "a10/handle-zero-appears",
        "counting handle 0 makes the reference",
        handle_zero_appears,
    )
    .covers(&["A19.6"]),
    case(
        "a10/manager-counts-itself",
        "the manager counting handle 0: EINVAL",
        manager_counts_itself,
    ),
    case(
        "a10/release-to-idle-thread",
        "release goes to whichever thread reads for the process",
        release_to_idle_thread,
    ),
    case(
        "a10/call-holds-node",
        "a call on its way holds the node it is addressed to",
        call_holds_node,
    ),
];

/// The owner's and the manager's processes, and the handle of a strong reference.
fn strong(cx: &Cx) -> Result<(Process, Process, u32)> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let handle = give_node(&mut owner, &mut manager, NODE)?;
    Ok((manager, owner, handle))
}

fn first_strong(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    owner.send(&[Call::oneway(0)
        .parcel(Parcel::new().binder(NODE.0, NODE.1))
        .into()])?;
    check_returns!(
        owner.read()?,
        [BR_NOOP, BR_INCREFS, BR_ACQUIRE, BR_TRANSACTION_COMPLETE]
    );
    // With a call as well, when the sender would be woken anyway.
    let mut caller = cx.client()?;
    let first = manager.receive()?;
    manager.free(&first)?;
    caller.send(&[Call::to(0)
        .parcel(Parcel::new().binder(NODE.0, NODE.1))
        .into()])?;
    expect_nothing(&mut caller)?;
    manager.receive()?;
    // The buffer is kept: it holds the reference.
    manager.send(&[Call::reply().into()])?;
    let returns = caller.read()?;
    cx.note("order of what a caller is told", &returns);
    check_eq!(
        returns[..3].iter().map(Br::code).collect::<Vec<_>>(),
        [BR_NOOP, BR_INCREFS, BR_ACQUIRE]
    );
    Ok(())
}

fn first_weak(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut owner = cx.client()?;
    owner.send(&[Call::oneway(0)
        .parcel(Parcel::new().weak_binder(NODE.0, NODE.1))
        .into()])?;
    check_returns!(
        owner.read()?,
        [BR_NOOP, BR_INCREFS, BR_TRANSACTION_COMPLETE]
    );
    Ok(())
}

fn weak_then_strong(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut owner = cx.client()?;
    owner.send(&[Call::oneway(0)
        .parcel(Parcel::new().weak_binder(NODE.0, NODE.1))
        .into()])?;
    let returns = owner.read()?;
    owner.acknowledge(&returns)?;
    owner.send(&[Call::oneway(0)
        .parcel(Parcel::new().binder(NODE.0, NODE.1))
        .into()])?;
    check_returns!(
        owner.read()?,
        [BR_NOOP, BR_ACQUIRE, BR_TRANSACTION_COMPLETE]
    );
    Ok(())
}

fn names_in_returns(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    owner.send(&[Call::oneway(0)
        .parcel(Parcel::new().binder(NODE.0, NODE.1))
        .into()])?;
    let returns = owner.read()?;
    let node = PtrCookie {
        ptr: NODE.0,
        cookie: NODE.1,
    };
    check_eq!(
        returns[1..3],
        [Br::Node(BR_INCREFS, node), Br::Node(BR_ACQUIRE, node)]
    );
    owner.acknowledge(&returns)?;
    let call = manager.receive()?;
    manager.free(&call)?;
    check_eq!(
        owner.read()?,
        [
            Br::Plain(BR_NOOP),
            Br::Node(BR_RELEASE, node),
            Br::Node(BR_DECREFS, node)
        ]
    );
    Ok(())
}

fn told_once(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut owner, handle) = strong(cx)?;
    let mut third = cx.client()?;
    owner.send(&[Call::oneway(0)
        .parcel(Parcel::new().binder(NODE.0, NODE.1))
        .into()])?;
    complete(&mut owner)?;
    let call = manager.receive()?;
    manager.free(&call)?;
    manager.send(&[Bc::Acquire(handle), Bc::Increfs(handle)])?;
    let passed = pass_handle(&mut manager, &mut third, handle)?;
    third.send(&[Bc::Release(passed)])?;
    expect_nothing(&mut owner)
}

fn last_strong(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut owner, handle) = strong(cx)?;
    manager.send(&[Bc::Acquire(handle), Bc::Release(handle)])?;
    expect_nothing(&mut owner)?;
    manager.send(&[Bc::Release(handle)])?;
    check_returns!(owner.read()?, [BR_NOOP, BR_RELEASE, BR_DECREFS]);
    expect_nothing(&mut owner)
}

fn strong_gone_weak_left(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut owner, handle) = strong(cx)?;
    manager.send(&[Bc::Increfs(handle), Bc::Release(handle)])?;
    check_returns!(owner.read()?, [BR_NOOP, BR_RELEASE]);
    manager.send(&[Bc::Decrefs(handle)])?;
    check_returns!(owner.read()?, [BR_NOOP, BR_DECREFS]);
    Ok(())
}

fn unconfirmed_keeps_strong(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    owner.send(&[Call::oneway(0)
        .parcel(Parcel::new().binder(NODE.0, NODE.1))
        .into()])?;
    let returns = owner.read()?;
    check_returns!(
        returns,
        [BR_NOOP, BR_INCREFS, BR_ACQUIRE, BR_TRANSACTION_COMPLETE]
    );
    let call = manager.receive()?;
    manager.free(&call)?;
    expect_nothing(&mut owner)?;
    owner.send(&[Bc::AcquireDone(NODE.0, NODE.1)])?;
    check_returns!(owner.read()?, [BR_NOOP, BR_RELEASE]);
    owner.send(&[Bc::IncrefsDone(NODE.0, NODE.1)])?;
    check_returns!(owner.read()?, [BR_NOOP, BR_DECREFS]);
    Ok(())
}

fn confirm_wrong_cookie(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    owner.send(&[Call::oneway(0)
        .parcel(Parcel::new().binder(NODE.0, NODE.1))
        .into()])?;
    owner.read()?;
    let call = manager.receive()?;
    manager.free(&call)?;
    owner.send(&[
        Bc::AcquireDone(NODE.0, 7),
        Bc::IncrefsDone(NODE.0, 7),
        Bc::AcquireDone(7, NODE.1),
    ])?;
    expect_nothing(&mut owner)?;
    owner.send(&[
        Bc::IncrefsDone(NODE.0, NODE.1),
        Bc::AcquireDone(NODE.0, NODE.1),
    ])?;
    check_returns!(owner.read()?, [BR_NOOP, BR_RELEASE, BR_DECREFS]);
    Ok(())
}

fn confirm_twice(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut owner, handle) = strong(cx)?;
    for _ in 0..3 {
        owner.send(&[
            Bc::AcquireDone(NODE.0, NODE.1),
            Bc::IncrefsDone(NODE.0, NODE.1),
        ])?;
    }
    // Had they counted, the node would be gone.
    expect_nothing(&mut owner)?;
    manager.send(&[Call::oneway(handle).into()])?;
    check_eq!(owner.receive()?.data.target, NODE.0);
    Ok(())
}

fn node_returns(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut owner, handle) = strong(cx)?;
    manager.send(&[Bc::Release(handle)])?;
    check_returns!(owner.read()?, [BR_NOOP, BR_RELEASE, BR_DECREFS]);
    owner.send(&[Call::oneway(0)
        .parcel(Parcel::new().binder(NODE.0, 0x99))
        .into()])?;
    check_returns!(
        owner.read()?,
        [BR_NOOP, BR_INCREFS, BR_ACQUIRE, BR_TRANSACTION_COMPLETE]
    );
    Ok(())
}

fn went_before_told(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    owner.send(&[Call::oneway(0)
        .parcel(Parcel::new().binder(NODE.0, NODE.1))
        .into()])?;
    let call = manager.receive()?;
    manager.free(&call)?;
    let returns = owner.read()?;
    cx.note("told afterwards", &returns);
    check_eq!(returns.last(), Some(&Br::Plain(BR_TRANSACTION_COMPLETE)));
    owner.acknowledge(&returns)?;
    while !owner.try_read()?.is_empty() {}
    // However that was told, the node is gone.
    let info = owner.ioctl(BINDER_GET_NODE_DEBUG_INFO, NodeDebugInfo::default())?;
    check_eq!(info, Ok(NodeDebugInfo::default()));
    Ok(())
}

fn counts_per_process(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut owner, handle) = strong(cx)?;
    manager.send(&[Bc::Acquire(handle), Bc::Acquire(handle)])?;
    for _ in 0..2 {
        manager.send(&[Bc::Release(handle)])?;
        expect_nothing(&mut owner)?;
    }
    manager.send(&[
        Bc::Release(handle),
        Bc::Release(handle),
        Bc::Decrefs(handle),
    ])?;
    check_returns!(owner.read()?, [BR_NOOP, BR_RELEASE, BR_DECREFS]);
    fails(
        &mut manager,
        Call::to(handle),
        BR_FAILED_REPLY,
        Some(Errno::EINVAL),
    )
}

fn holder_dies(cx: &mut Cx) -> Result<()> {
    let (manager, mut owner, _) = strong(cx)?;
    manager.kill()?;
    check_returns!(owner.read()?, [BR_NOOP, BR_RELEASE, BR_DECREFS]);
    Ok(())
}

fn manager_node_silent(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Bc::Increfs(0), Bc::Acquire(0)])?;
    expect_nothing(&mut manager)?;
    client.send(&[Bc::Release(0), Bc::Decrefs(0)])?;
    expect_nothing(&mut manager)?;
    harness::case::round_trip(&mut client, &mut manager, Call::to(0), Call::reply())?;
    expect_nothing(&mut manager)
}

fn acquire_weak_handle(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    owner.send(&[Call::oneway(0)
        .parcel(Parcel::new().weak_binder(NODE.0, NODE.1))
        .into()])?;
    let returns = owner.read()?;
    owner.acknowledge(&returns)?;
    let call = manager.receive()?;
    let handle = manager.object(&call, 0)?.handle();
    manager.send(&[Bc::Acquire(handle)])?;
    expect_nothing(&mut owner)?;
    fails(
        &mut manager,
        Call::to(handle),
        BR_FAILED_REPLY,
        Some(Errno::EINVAL),
    )
}

fn acquire_weak_handle_of_strong_node(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let mut client = cx.client()?;
    let strong = give_node(&mut owner, &mut manager, NODE)?;
    client.send(&[Call::to(0).into()])?;
    let call = manager.receive()?;
    let parcel = Parcel::new().weak_handle(strong);
    manager.answer(&call, Call::reply().parcel(parcel))?;
    let reply = client.receive()?;
    let weak = client.object(&reply, 0)?.handle();
    client.send(&[Bc::Acquire(weak)])?;
    fails(
        &mut client,
        Call::to(weak),
        BR_FAILED_REPLY,
        Some(Errno::EINVAL),
    )
}

fn handle_zero_appears(cx: &mut Cx) -> Result<()> {
    let manager = cx.manager()?;
    let mut strong = cx.client()?;
    let mut weak = cx.client()?;
    let mut none = cx.client()?;
    strong.send(&[Bc::Acquire(0), Bc::RequestDeath(0, 1)])?;
    weak.send(&[Bc::Increfs(0), Bc::RequestDeath(0, 2)])?;
    none.send(&[Bc::RequestDeath(0, 3)])?;
    manager.kill()?;
    check_eq!(strong.read()?[1..], [Br::Cookie(BR_DEAD_BINDER, 1)]);
    check_eq!(weak.read()?[1..], [Br::Cookie(BR_DEAD_BINDER, 2)]);
    expect_nothing(&mut none)
}

fn manager_counts_itself(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    for command in [Bc::Increfs(0), Bc::Acquire(0)] {
        let outcome = manager.write(&[Bc::EnterLooper, command])?;
        check_eq!(
            (outcome.result, outcome.write_consumed),
            (Err(Errno::EINVAL), 4)
        );
    }
    // Counting down something it does not hold is only skipped.
    manager.send(&[Bc::Release(0), Bc::Decrefs(0)])
}

fn release_to_idle_thread(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut owner, handle) = strong(cx)?;
    let mut idle = owner.spawn_thread()?;
    idle.version()?.ok();
    let waiting = idle.begin_exchange(&harness::Exchange::read())?;
    waiting.wait_blocked()?;
    manager.send(&[Bc::Release(handle)])?;
    let mut returns = waiting.returns()?;
    // It may read between the two counts that go with the handle.
    if returns.len() == 2 {
        returns.extend(idle.read()?.into_iter().skip(1));
    }
    check_returns!(returns, [BR_NOOP, BR_RELEASE, BR_DECREFS]);
    Ok(())
}

fn call_holds_node(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut owner, handle) = strong(cx)?;
    manager.send(&[Call::oneway(handle).code(4).into(), Bc::Release(handle)])?;
    let call = owner.receive()?;
    check_eq!(
        (call.data.code, call.data.target, call.data.cookie),
        (4, NODE.0, NODE.1)
    );
    expect_nothing(&mut owner)?;
    owner.free(&call)?;
    check_returns!(owner.read()?, [BR_NOOP, BR_RELEASE, BR_DECREFS]);
    Ok(())
}

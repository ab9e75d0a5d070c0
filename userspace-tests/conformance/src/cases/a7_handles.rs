// SPDX-License-Identifier: GPL-2.0

//! Section A7: handle objects, and how handles are numbered.

use super::case;
use crate::fixtures::*;
use anyhow::Result;
use binder_abi::*;
use harness::{Bc, Call, Case, Cx, Errno, Parcel, Process, Transactions, check_eq, check_returns};
use zerocopy::FromBytes;

pub const CASES: &[Case] = &[
    case(
        "a7/handle-returns-home",
        "a handle sent to its owner arrives as the node",
        returns_home,
    )
    .covers(&["A7.2"]),
    case(
        "a7/weak-handle-returns-home",
        "a weak handle sent to its owner arrives as the weak node",
        weak_returns_home,
    )
    .covers(&["A7.2"]),
    case(
        "a7/handle-to-third",
        "a handle sent to a third process arrives as its handle",
        to_third,
    )
    .covers(&["A7.2"]),
    case(
        "a7/handle-unknown",
        "a handle the sender does not have: EINVAL",
        unknown,
    )
    .covers(&["A6.24"]),
    case(
        "a7/handle-held-weakly",
        "a handle held weakly can only be sent weakly",
        held_weakly,
    )
    .covers(&["A6.24"]),
    case(
        "a7/handle-held-weakly-by-one",
        "so it is if others hold the node strongly",
        held_weakly_by_one,
    )
    .covers(&["A6.24"]),
    case(
        "a7/handle-of-dead-node",
        "a handle of a dead node can be sent on",
        of_dead_node,
    )
    .covers(&["A7.2"]),
    case(
        "a7/handle-home-keeps-node",
        "a node that is on its way home is kept",
        home_keeps_node,
    ),
    case(
        "a7/lowest-free-handle",
        "a new reference gets the lowest free handle",
        lowest_free,
    )
    .covers(&["A7.1"]),
    case(
        "a7/many-handles",
        "a thousand references are numbered without gaps, twice",
        many_handles,
    ),
    case(
        "a7/handle-not-reused-while-held",
        "a handle's number is free when all its counts are 0",
        not_reused_while_held,
    ),
];

fn returns_home(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let handle = give_node(&mut owner, &mut manager, NODE)?;
    let call = call_received(&mut owner, &mut manager)?;
    manager.answer(&call, Call::reply().parcel(Parcel::new().handle(handle)))?;
    complete(&mut manager)?;
    let reply = owner.receive()?;
    let object = owner.object(&reply, 0)?;
    check_eq!(
        (object.hdr.kind, object.binder, object.cookie),
        (BINDER_TYPE_BINDER, NODE.0, NODE.1)
    );
    owner.free(&reply)
}

fn weak_returns_home(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let handle = give_node(&mut owner, &mut manager, NODE)?;
    manager.send(&[Call::oneway(handle)
        .parcel(Parcel::new().weak_handle(handle))
        .into()])?;
    let call = owner.receive()?;
    let object = owner.object(&call, 0)?;
    check_eq!(
        (object.hdr.kind, object.binder, object.cookie),
        (BINDER_TYPE_WEAK_BINDER, NODE.0, NODE.1)
    );
    owner.free(&call)
}

fn to_third(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let mut third = cx.client()?;
    let handle = give_node(&mut owner, &mut manager, NODE)?;
    let call = call_received(&mut third, &mut manager)?;
    let parcel = Parcel::new().handle(handle).weak_handle(handle);
    manager.answer(&call, Call::reply().parcel(parcel))?;
    let reply = third.receive()?;
    let (strong, weak) = (third.object(&reply, 0)?, third.object(&reply, 1)?);
    check_eq!(
        (strong.hdr.kind, strong.binder, strong.cookie),
        (BINDER_TYPE_HANDLE, 1, 0)
    );
    check_eq!(
        (weak.hdr.kind, weak.binder, weak.cookie),
        (BINDER_TYPE_WEAK_HANDLE, 1, 0)
    );
    // The owner is told nothing: it knew of references already.
    expect_nothing(&mut owner)?;
    third.send(&[Call::oneway(1).into()])?;
    check_eq!(owner.receive()?.data.target, NODE.0);
    Ok(())
}

fn unknown(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    for parcel in [
        Parcel::new().handle(9),
        Parcel::new().weak_handle(9),
        Parcel::new().handle(0),
    ] {
        fails(
            &mut client,
            Call::to(0).parcel(parcel),
            BR_FAILED_REPLY,
            Some(Errno::EINVAL),
        )?;
    }
    Ok(())
}

fn held_weakly_by_one(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let mut third = cx.client()?;
    let handle = give_node(&mut owner, &mut manager, NODE)?;
    pass_handle(&mut manager, &mut third, handle)?;
    manager.send(&[Bc::Increfs(handle), Bc::Release(handle)])?;
    let _call = call_received(&mut third, &mut manager)?;
    manager
        .write(&[Call::reply().parcel(Parcel::new().handle(handle)).into()])?
        .ok()?;
    check_returns!(
        third.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY]
    );
    check_eq!(
        error_of(&mut third)?,
        (BR_FAILED_REPLY, param(Some(Errno::EINVAL)))
    );
    Ok(())
}

fn held_weakly(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let mut third = cx.client()?;
    owner.send(&[Call::oneway(0)
        .parcel(Parcel::new().weak_binder(NODE.0, NODE.1))
        .into()])?;
    let received = manager.receive()?;
    let handle = manager.object(&received, 0)?.handle();
    let call = call_received(&mut third, &mut manager)?;
    manager
        .write(&[Call::reply().parcel(Parcel::new().handle(handle)).into()])?
        .ok()?;
    complete(&mut manager)?;
    manager.free(&call)?;
    check_returns!(
        third.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY]
    );
    check_eq!(
        error_of(&mut third)?,
        (BR_FAILED_REPLY, param(Some(Errno::EINVAL)))
    );
    let call = call_received(&mut third, &mut manager)?;
    manager.answer(
        &call,
        Call::reply().parcel(Parcel::new().weak_handle(handle)),
    )?;
    let reply = third.receive()?;
    check_eq!(third.object(&reply, 0)?.hdr.kind, BINDER_TYPE_WEAK_HANDLE);
    Ok(())
}

fn of_dead_node(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let mut third = cx.client()?;
    let handle = give_node(&mut owner, &mut manager, NODE)?;
    manager.send(&[Bc::RequestDeath(handle, 1)])?;
    owner.kill()?;
    expect(&mut manager, &[BR_NOOP, BR_DEAD_BINDER])?;
    let passed = pass_handle(&mut manager, &mut third, handle)?;
    fails(
        &mut third,
        Call::to(passed),
        BR_DEAD_REPLY,
        Some(Errno::EINVAL),
    )
}

fn home_keeps_node(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let handle = give_node(&mut owner, &mut manager, NODE)?;
    // Two threads, so that the driver's word about references can be read while
    // the call is not taken yet.
    manager.send(&[
        Call::oneway(handle)
            .parcel(Parcel::new().handle(handle))
            .into(),
        Bc::Release(handle),
    ])?;
    let call = owner.receive()?;
    check_eq!(owner.object(&call, 0)?.binder, NODE.0);
    // The buffer holds the node.
    expect_nothing(&mut owner)?;
    owner.free(&call)?;
    check_returns!(owner.read()?, [BR_NOOP, BR_RELEASE, BR_DECREFS]);
    Ok(())
}

/// The holder gets nodes with these pointers, one after the other.
fn take(owner: &mut Process, holder: &mut Process, pointers: &[u64]) -> Result<Vec<u32>> {
    pointers
        .iter()
        .map(|ptr| give_node(owner, holder, (*ptr, *ptr)))
        .collect()
}

fn lowest_free(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    check_eq!(
        take(&mut owner, &mut manager, &[10, 11, 12, 13, 14])?,
        [1, 2, 3, 4, 5]
    );
    manager.send(&[Bc::Release(4), Bc::Release(2)])?;
    check_returns!(
        owner.read()?,
        [BR_NOOP, BR_RELEASE, BR_DECREFS, BR_RELEASE, BR_DECREFS]
    );
    check_eq!(take(&mut owner, &mut manager, &[20, 21, 22])?, [2, 4, 6]);
    Ok(())
}

fn many_handles(cx: &mut Cx) -> Result<()> {
    const COUNT: u32 = 1000;
    const BATCH: u64 = 50;
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    for _ in 0..2 {
        let mut handles = Vec::new();
        let mut acquire = Vec::new();
        for batch in 0..u64::from(COUNT) / BATCH {
            let parcel = (0..BATCH).fold(Parcel::new(), |p, i| p.binder(1 + batch * BATCH + i, 0));
            owner.send(&[Call::oneway(0).parcel(parcel).into()])?;
            let call = manager.receive()?;
            let start = handles.len();
            let data = manager.data(&call)?;
            handles.extend(data.chunks_exact(size_of::<FlatObject>()).map(|object| {
                FlatObject::read_from_bytes(object)
                    .expect("exact size")
                    .handle()
            }));
            acquire.extend(handles[start..].iter().map(|handle| Bc::Acquire(*handle)));
            acquire.push(Bc::FreeBuffer(call.data.buffer));
            manager.send(&acquire)?;
            acquire.clear();
            // One read holds only so many of the driver's questions.
            loop {
                let returns = owner.try_read()?;
                if returns.is_empty() {
                    break;
                }
                owner.acknowledge(&returns)?;
            }
        }
        check_eq!(handles, (1..=COUNT).collect::<Vec<u32>>());
        let release: Vec<Bc> = handles.into_iter().map(Bc::Release).collect();
        manager.send(&release)?;
        while !owner.try_read()?.is_empty() {}
    }
    Ok(())
}

fn not_reused_while_held(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    check_eq!(take(&mut owner, &mut manager, &[10])?, [1]);
    manager.send(&[Bc::Increfs(1), Bc::Release(1)])?;
    check_returns!(owner.read()?, [BR_NOOP, BR_RELEASE]);
    check_eq!(take(&mut owner, &mut manager, &[11])?, [2]);
    manager.send(&[Bc::Decrefs(1)])?;
    check_returns!(owner.read()?, [BR_NOOP, BR_DECREFS]);
    check_eq!(take(&mut owner, &mut manager, &[12])?, [1]);
    Ok(())
}

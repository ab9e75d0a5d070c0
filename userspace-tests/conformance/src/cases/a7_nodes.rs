// SPDX-License-Identifier: GPL-2.0

//! Section A7: node objects, and what a receiver gets for them.

use super::case;
use crate::fixtures::*;
use anyhow::{Context, Result};
use binder_abi::*;
use harness::{
    Bc, Br, Call, Case, Cx, Errno, Parcel, Transactions, check, check_eq, check_returns,
};

pub const CASES: &[Case] = &[
    case(
        "a7/binder-becomes-handle",
        "a node arrives as a handle, without its owner's names",
        becomes_handle,
    )
    .covers(&["A7.1"]),
    case(
        "a7/weak-binder-becomes-weak-handle",
        "a weak node arrives as a weak handle",
        becomes_weak_handle,
    )
    .covers(&["A7.1"]),
    case(
        "a7/same-node-same-handle",
        "a node sent twice has one handle",
        same_node_same_handle,
    ),
    case(
        "a7/other-cookie-refused",
        "a node keeps the cookie it was first sent with: EINVAL",
        other_cookie_refused,
    )
    .covers(&["A6.23", "A19.17"]),
    case(
        "a7/first-flags-stick",
        "a node keeps the flags it was first sent with",
        first_flags_stick,
    )
    .covers(&["A19.17"]),
    case(
        "a7/reply-carries-node",
        "a node may be sent in a reply",
        reply_carries_node,
    ),
    case(
        "a7/objects-between-data",
        "objects are translated, data around them is not touched",
        objects_between_data,
    ),
    case(
        "a7/node-and-handles-of-two",
        "each receiver has handles of its own",
        handles_of_two,
    ),
    case(
        "a7/buffer-holds-the-reference",
        "a handle is valid until its buffer is given back",
        buffer_holds_reference,
    )
    .covers(&["A7.7"]),
    case(
        "a7/failure-takes-references-back",
        "a transaction that fails half way leaves no reference",
        failure_takes_back,
    )
    .covers(&["CVE-2023-21255"]),
    case(
        "a7/null-node",
        "a node with pointer and cookie 0 is a node like any other",
        null_node,
    ),
    case(
        "a7/manager-node-is-handle-zero",
        "the manager's own node is handle 0 to everybody",
        manager_node,
    ),
    case(
        "a7/manager-node-other-cookie",
        "the manager's node keeps its cookie, too: EINVAL",
        manager_node_cookie,
    )
    .covers(&["A6.23"]),
];

fn becomes_handle(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let flags = 0x7f | FLAT_BINDER_FLAG_ACCEPTS_FDS;
    owner.send(&[Call::oneway(0)
        .parcel(Parcel::new().binder_with(flags, NODE.0, NODE.1))
        .into()])?;
    let call = manager.receive()?;
    let object = manager.object(&call, 0)?;
    check_eq!(object.hdr.kind, BINDER_TYPE_HANDLE);
    check_eq!(
        (object.binder, object.cookie),
        (1, 0),
        "the first handle, and nothing of the owner's"
    );
    cx.note("flags of a handle", object.flags);
    Ok(())
}

fn becomes_weak_handle(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    owner.send(&[Call::oneway(0)
        .parcel(Parcel::new().weak_binder(NODE.0, NODE.1))
        .into()])?;
    check_returns!(
        owner.read()?,
        [BR_NOOP, BR_INCREFS, BR_TRANSACTION_COMPLETE]
    );
    let call = manager.receive()?;
    let object = manager.object(&call, 0)?;
    check_eq!(
        (object.hdr.kind, object.binder, object.cookie),
        (BINDER_TYPE_WEAK_HANDLE, 1, 0)
    );
    Ok(())
}

fn same_node_same_handle(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let first = give_node(&mut owner, &mut manager, NODE)?;
    let second = give_node(&mut owner, &mut manager, NODE)?;
    check_eq!((first, second), (1, 1));
    let parcel = Parcel::new()
        .binder(NODE.0, NODE.1)
        .weak_binder(NODE.0, NODE.1)
        .binder(OTHER.0, OTHER.1);
    owner.send(&[Call::oneway(0).parcel(parcel).into()])?;
    let call = manager.receive()?;
    let handles: Vec<u32> = (0..3)
        .map(|i| Ok(manager.object(&call, i)?.handle()))
        .collect::<Result<_>>()?;
    check_eq!(handles, [1, 1, 2]);
    Ok(())
}

fn other_cookie_refused(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    give_node(&mut owner, &mut manager, NODE)?;
    for parcel in [
        Parcel::new().binder(NODE.0, 7),
        Parcel::new().weak_binder(NODE.0, 7),
    ] {
        fails(
            &mut owner,
            Call::to(0).parcel(parcel),
            BR_FAILED_REPLY,
            Some(Errno::EINVAL),
        )?;
    }
    Ok(())
}

fn first_flags_stick(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let without = give_node(&mut owner, &mut manager, NODE)?;
    let with = FLAT_BINDER_FLAG_ACCEPTS_FDS;
    check_eq!(
        give_node_with(&mut owner, &mut manager, NODE, with)?,
        without
    );
    let files = || Call::oneway(without).parcel(Parcel::new().fd(0, 0));
    fails(&mut manager, files(), BR_FAILED_REPLY, Some(Errno::EPERM))?;
    let other = give_node_with(&mut owner, &mut manager, OTHER, with)?;
    check_eq!(give_node(&mut owner, &mut manager, OTHER)?, other);
    manager.send(&[Call::oneway(other).parcel(Parcel::new().fd(0, 0)).into()])?;
    complete(&mut manager)
}

fn reply_carries_node(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    manager.answer(
        &call,
        Call::reply().parcel(Parcel::new().binder(NODE.0, NODE.1)),
    )?;
    let returns = manager.read()?;
    check_returns!(
        returns,
        [BR_NOOP, BR_INCREFS, BR_ACQUIRE, BR_TRANSACTION_COMPLETE]
    );
    manager.acknowledge(&returns)?;
    let reply = client.receive()?;
    let handle = client.object(&reply, 0)?.handle();
    client.send(&[Call::to(handle).into()])?;
    let call = manager.receive()?;
    check_eq!((call.data.target, call.data.cookie), NODE);
    Ok(())
}

fn objects_between_data(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let parcel = Parcel::new()
        .bytes(&[1; 5000])
        .binder(NODE.0, NODE.1)
        .bytes(&[2; 4])
        .binder(OTHER.0, OTHER.1)
        .weak_binder(NODE.0, NODE.1)
        .bytes(&[3; 4999]);
    let sent = parcel.clone();
    owner.send(&[Call::oneway(0).parcel(parcel).into()])?;
    let call = manager.receive()?;
    let received = manager.data(&call)?;
    check_eq!(received.len(), sent.data.len());
    let mut plain = sent.data.clone();
    let mut translated = received.clone();
    for offset in &sent.offsets {
        let range = *offset as usize..*offset as usize + size_of::<FlatObject>();
        plain[range.clone()].fill(0);
        translated[range].fill(0);
    }
    check!(plain == translated, "data outside of objects differs");
    let offsets = manager
        .peek(call.data.offsets, call.data.offsets_size)?
        .context("offsets")?;
    check_eq!(
        offsets,
        zerocopy::IntoBytes::as_bytes(sent.offsets.as_slice())
    );
    let kinds: Vec<(u32, u64)> = (0..3)
        .map(|i| manager.object(&call, i).map(|o| (o.hdr.kind, o.binder)))
        .collect::<Result<_>>()?;
    check_eq!(
        kinds,
        [
            (BINDER_TYPE_HANDLE, 1),
            (BINDER_TYPE_HANDLE, 2),
            (BINDER_TYPE_WEAK_HANDLE, 1)
        ]
    );
    Ok(())
}

fn handles_of_two(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let mut client = cx.client()?;
    let mut mine = cx.client()?;
    // The client has a handle already, so numbers differ.
    let other = give_node(&mut mine, &mut manager, OTHER)?;
    check_eq!(pass_handle(&mut manager, &mut client, other)?, 1);
    let handle = give_node(&mut owner, &mut manager, NODE)?;
    let passed = pass_handle(&mut manager, &mut client, handle)?;
    check_eq!((handle, passed), (2, 2));
    manager.send(&[Bc::Release(handle)])?;
    // The client's reference does not depend on the manager's.
    client.send(&[Call::to(passed).into()])?;
    check_eq!(owner.receive()?.data.target, NODE.0);
    Ok(())
}

fn buffer_holds_reference(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    owner.send(&[Call::oneway(0)
        .parcel(Parcel::new().binder(NODE.0, NODE.1))
        .into()])?;
    let returns = owner.read()?;
    owner.acknowledge(&returns)?;
    let call = manager.receive()?;
    let handle = manager.object(&call, 0)?.handle();
    manager.send(&[Call::oneway(handle).into()])?;
    complete(&mut manager)?;
    let back = owner.receive()?;
    owner.free(&back)?;
    manager.free(&call)?;
    fails(
        &mut manager,
        Call::oneway(handle),
        BR_FAILED_REPLY,
        Some(Errno::EINVAL),
    )?;
    check_returns!(owner.read()?, [BR_NOOP, BR_RELEASE, BR_DECREFS]);
    Ok(())
}

fn failure_takes_back(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let parcel = Parcel::new().binder(NODE.0, NODE.1).handle(77);
    owner.write(&[Call::to(0).parcel(parcel).into()])?.ok()?;
    let returns = owner.read()?;
    cx.note("returned to the sender", &returns);
    check_eq!(returns.last(), Some(&Br::Plain(BR_FAILED_REPLY)));
    check_eq!(
        error_of(&mut owner)?,
        (BR_FAILED_REPLY, param(Some(Errno::EINVAL)))
    );
    owner.acknowledge(&returns)?;
    // The node is unknown again: another cookie is welcome and gets handle 1.
    while !owner.try_read()?.is_empty() {}
    check_eq!(give_node(&mut owner, &mut manager, (NODE.0, 0x77))?, 1);
    Ok(())
}

fn null_node(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let handle = give_node(&mut owner, &mut manager, (0, 0))?;
    manager.send(&[Call::oneway(handle).into()])?;
    let call = owner.receive()?;
    check_eq!((call.data.target, call.data.cookie), (0, 0));
    Ok(())
}

fn manager_node(cx: &mut Cx) -> Result<()> {
    let node = FlatObject {
        binder: NODE.0,
        cookie: NODE.1,
        ..FlatObject::default()
    };
    let mut manager = cx.manager_with(node)?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    manager.answer(
        &call,
        Call::reply().parcel(Parcel::new().binder(NODE.0, NODE.1)),
    )?;
    complete(&mut manager)?;
    let reply = client.receive()?;
    check_eq!(client.object(&reply, 0)?.handle(), 0);
    // And back it is the manager's node again.
    client.send(&[Call::oneway(0).parcel(Parcel::new().handle(0)).into()])?;
    let call = manager.receive()?;
    let object = manager.object(&call, 0)?;
    check_eq!(
        (object.hdr.kind, object.binder, object.cookie),
        (BINDER_TYPE_BINDER, NODE.0, NODE.1)
    );
    Ok(())
}

fn manager_node_cookie(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    manager
        .write(&[Call::reply().parcel(Parcel::new().binder(0, 5)).into()])?
        .ok()?;
    complete(&mut manager)?;
    manager.free(&call)?;
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY]
    );
    check_eq!(
        error_of(&mut client)?,
        (BR_FAILED_REPLY, param(Some(Errno::EINVAL)))
    );
    Ok(())
}

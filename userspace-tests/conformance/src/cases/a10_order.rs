// SPDX-License-Identifier: GPL-2.0

//! Sections A10 and A14: in which order nodes are given up that end together.

use super::case;
use crate::fixtures::*;
use anyhow::Result;
use binder_abi::*;
use harness::{Bc, Br, Call, Case, Cx, Parcel, Thread, Transactions, check_eq};

pub const CASES: &[Case] = &[
    case(
        "a10/order-with-buffer",
        "with a buffer goes the node that it was for, then what is in it",
        order_with_buffer,
    )
    .covers(&["A10.2"]),
    case(
        "a14/order-of-references",
        "the references of a process that dies end from the lowest handle on",
        order_of_references,
    )
    .covers(&["A14.4"]),
    case(
        "a14/order-of-unread",
        "what messages carry that a process did not read ends after the death of all its nodes is told",
        order_of_unread,
    )
    .covers(&["A14.2", "A14.3"]),
];

/// What an owner is told of a node that is over.
fn over(node: (u64, u64)) -> [Br; 2] {
    [BR_RELEASE, BR_DECREFS].map(|code| {
        let (ptr, cookie) = node;
        Br::Node(code, PtrCookie { ptr, cookie })
    })
}

/// Reads until there are so many returns, whatever they are spread over.
fn read_all(thread: &mut Thread, count: usize) -> Result<Vec<Br>> {
    let mut told = Vec::new();
    while told.len() < count {
        let returns = thread.read()?;
        told.extend(returns.into_iter().filter(|br| br.code() != BR_NOOP));
    }
    Ok(told)
}

fn order_with_buffer(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let target = give_node(&mut owner, &mut manager, NODE)?;
    let object = give_node(&mut owner, &mut manager, OTHER)?;
    let parcel = Parcel::new().handle(object);
    manager.send(&[
        Call::oneway(target).parcel(parcel).into(),
        Bc::Release(target),
        Bc::Release(object),
    ])?;
    let call = owner.receive()?;
    expect_nothing(&mut owner)?;
    owner.free(&call)?;
    check_eq!(read_all(&mut owner, 4)?, [over(NODE), over(OTHER)].concat());
    expect_nothing(&mut owner)
}

fn order_of_references(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    check_eq!(give_node(&mut owner, &mut manager, NODE)?, 1);
    check_eq!(give_node(&mut owner, &mut manager, OTHER)?, 2);
    // The first handle is the younger one.
    manager.send(&[Bc::Release(1)])?;
    check_eq!(read_all(&mut owner, 2)?, over(NODE));
    check_eq!(give_node(&mut owner, &mut manager, NODE)?, 1);
    manager.kill()?;
    check_eq!(read_all(&mut owner, 4)?, [over(NODE), over(OTHER)].concat());
    expect_nothing(&mut owner)
}

fn order_of_unread(cx: &mut Cx) -> Result<()> {
    const IN_REPLY: (u64, u64) = (0x3000, 0x3001);
    const IN_ONEWAY: (u64, u64) = (0x4000, 0x4001);
    let carrying = |node: (u64, u64)| Parcel::new().binder(node.0, node.1);
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let first = give_node(&mut owner, &mut manager, NODE)?;
    let second = give_node(&mut owner, &mut manager, OTHER)?;
    // A reply waits for the thread; of two oneway calls the first for the process, the second for
    // the node.
    let call = call_received(&mut owner, &mut manager)?;
    manager.answer(&call, Call::reply().parcel(carrying(IN_REPLY)))?;
    manager.send(&[
        Call::oneway(first).into(),
        Call::oneway(first).parcel(carrying(IN_ONEWAY)).into(),
    ])?;
    let told = manager.read()?;
    manager.acknowledge(&told)?;
    manager.send(&[Bc::RequestDeath(first, 1), Bc::RequestDeath(second, 2)])?;
    owner.kill()?;
    let deaths = [1, 2].map(|cookie| Br::Cookie(BR_DEAD_BINDER, cookie));
    let expected = [deaths, over(IN_REPLY), over(IN_ONEWAY)].concat();
    check_eq!(read_all(&mut manager, expected.len())?, expected);
    expect_nothing(&mut manager)
}

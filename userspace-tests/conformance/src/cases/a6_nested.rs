// SPDX-License-Identifier: GPL-2.0

//! Section A6: calls made while serving calls, and where they arrive.

use super::case;
use crate::fixtures::*;
use anyhow::Result;
use binder_abi::*;
use harness::{
    Bc, Call, Case, Cx, Errno, Exchange, Parcel, Thread, Transactions, check_eq, check_returns,
};

pub const CASES: &[Case] = &[
    case(
        "a6/nested-reaches-caller",
        "a call back to the caller reaches the thread that waits",
        nested_reaches_caller,
    )
    .covers(&["A6.14"]),
    case(
        "a6/nested-prefers-caller",
        "it reaches that thread though others of the process wait",
        nested_prefers_caller,
    )
    .covers(&["A6.14"]),
    case(
        "a6/nested-through-third",
        "it does so through a third process",
        nested_through_third,
    )
    .covers(&["A6.14"]),
    case(
        "a6/nested-deep",
        "calls to and fro nest as deep as one likes",
        nested_deep,
    ),
    case(
        "a6/nested-oneway-goes-to-pool",
        "a oneway call back is no nested call",
        nested_oneway,
    ),
    case(
        "a6/nested-order-of-replies",
        "only the innermost call can be answered",
        order_of_replies,
    )
    .covers(&["A6.3"]),
    case(
        "a6/serving-thread-takes-no-others",
        "a thread that serves a call takes no others",
        takes_no_others,
    )
    .covers(&["A8.2"]),
    case(
        "a6/second-call-refused",
        "a second call before the reply is refused: EPROTO",
        second_call_refused,
    )
    .covers(&["A6.13"]),
    case(
        "a6/call-over-waiting-call-refused",
        "a call is refused while one to the same thread waits",
        call_over_waiting_call,
    )
    .covers(&["A6.12"]),
    case(
        "a6/call-over-waiting-reply-refused",
        "a call is refused while a reply to the same thread waits",
        call_over_waiting_reply,
    )
    .covers(&["A6.12"]),
];

/// The client calls the manager with a node of its own; the manager, serving the
/// call, gets a handle to call back.
fn call_with_node(
    client: &mut harness::Thread,
    manager: &mut harness::Thread,
    node: (u64, u64),
) -> Result<(harness::Delivery, u32)> {
    client.send(&[Call::to(0)
        .parcel(Parcel::new().binder(node.0, node.1))
        .into()])?;
    let call = manager.receive()?;
    let handle = manager.object(&call, 0)?.handle();
    Ok((call, handle))
}

fn nested_reaches_caller(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let (call, handle) = call_with_node(&mut client, &mut manager, NODE)?;
    manager.send(&[Call::to(handle).data(b"back").into()])?;
    let returns = client.read()?;
    check_returns!(
        returns,
        [
            BR_NOOP,
            BR_INCREFS,
            BR_ACQUIRE,
            BR_TRANSACTION_COMPLETE,
            BR_TRANSACTION
        ]
    );
    let Some(harness::Br::Delivery(back)) = returns.last() else {
        unreachable!("just checked")
    };
    check_eq!(client.data(back)?, b"back");
    client.answer(back, Call::reply().data(b"inner"))?;
    complete(&mut client)?;
    let inner = manager.receive()?;
    check_eq!(manager.data(&inner)?, b"inner");
    manager.answer(&call, Call::reply().data(b"outer"))?;
    complete(&mut manager)?;
    let outer = client.receive()?;
    check_eq!(client.data(&outer)?, b"outer");
    Ok(())
}

fn nested_prefers_caller(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut idle = client.spawn_thread()?;
    idle.version()?.ok();
    let waiting = idle.begin_exchange(&Exchange::read())?;
    waiting.wait_blocked()?;
    let (_, handle) = call_with_node(&mut client, &mut manager, NODE)?;
    manager.send(&[Call::to(handle).into()])?;
    check_eq!(
        client.read()?.last().map(harness::Br::code),
        Some(BR_TRANSACTION)
    );
    waiting.wait_blocked()?;
    waiting.interrupt()?;
    check_eq!(waiting.outcome()?.result, Err(Errno::EINTR));
    Ok(())
}

fn nested_through_third(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut third = cx.client()?;
    let to_client = give_node(&mut client, &mut manager, NODE)?;
    let to_third = give_node(&mut third, &mut manager, OTHER)?;
    let from_third = pass_handle(&mut manager, &mut third, to_client)?;
    let mut idle = client.spawn_thread()?;
    idle.version()?.ok();
    // client → manager → third → client
    let first = call_received(&mut client, &mut manager)?;
    manager.send(&[Call::to(to_third).into()])?;
    let second = third.receive()?;
    third.send(&[Call::to(from_third).data(b"round").into()])?;
    expect_nothing(&mut idle)?;
    let back = client.receive()?;
    check_eq!(client.data(&back)?, b"round");
    check_eq!(back.data.sender_pid, third.pid());
    client.answer(&back, Call::reply())?;
    third.receive()?;
    third.answer(&second, Call::reply())?;
    manager.receive()?;
    manager.answer(&first, Call::reply().data(b"end"))?;
    let end = client.receive()?;
    check_eq!(client.data(&end)?, b"end");
    Ok(())
}

fn nested_deep(cx: &mut Cx) -> Result<()> {
    const DEPTH: u32 = 20;
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let back = give_node(&mut client, &mut manager, NODE)?;
    let mut stack = Vec::new();
    for depth in 0..DEPTH {
        client.send(&[Call::to(0).code(2 * depth).into()])?;
        stack.push(manager.receive()?);
        manager.send(&[Call::to(back).code(2 * depth + 1).into()])?;
        stack.push(client.receive()?);
    }
    for (level, call) in stack.iter().enumerate().rev() {
        check_eq!(call.data.code, level as u32);
        let (from, to) = match level % 2 {
            0 => (&mut manager, &mut client),
            _ => (&mut client, &mut manager),
        };
        from.answer(call, Call::reply().code(level as u32))?;
        complete(from)?;
        let reply = to.receive()?;
        check_eq!((reply.code, reply.data.code), (BR_REPLY, level as u32));
        to.free(&reply)?;
    }
    expect_nothing(&mut client)?;
    expect_nothing(&mut manager)
}

fn nested_oneway(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut idle = client.spawn_thread()?;
    idle.version()?.ok();
    let handle = give_node(&mut client, &mut manager, NODE)?;
    let call = call_received(&mut client, &mut manager)?;
    manager.send(&[Call::oneway(handle).code(9).into()])?;
    complete(&mut manager)?;
    expect_nothing(&mut client)?;
    check_eq!(idle.receive()?.data.code, 9);
    manager.answer(&call, Call::reply())?;
    check_returns!(client.read()?, [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_REPLY]);
    Ok(())
}

fn order_of_replies(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let handle = give_node(&mut client, &mut manager, NODE)?;
    let outer = call_received(&mut client, &mut manager)?;
    manager.send(&[Call::to(handle).into()])?;
    let inner = client.receive()?;
    // The manager waits itself and must not answer the outer call.
    fails(
        &mut manager,
        Call::reply(),
        BR_FAILED_REPLY,
        Some(Errno::EPROTO),
    )?;
    client.answer(&inner, Call::reply())?;
    complete(&mut client)?;
    check_eq!(manager.receive()?.code, BR_REPLY);
    manager.answer(&outer, Call::reply().data(b"ok"))?;
    complete(&mut manager)?;
    let reply = client.receive()?;
    check_eq!(client.data(&reply)?, b"ok");
    Ok(())
}

fn takes_no_others(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut second = manager.spawn_thread()?;
    second.version()?.ok();
    let (mut a, mut b) = (cx.client()?, cx.client()?);
    let first = call_received(&mut a, &mut manager)?;
    b.send(&[Call::to(0).code(2).into()])?;
    expect_nothing(&mut manager)?;
    let other = second.receive()?;
    check_eq!(other.data.code, 2);
    manager.answer(&first, Call::reply())?;
    complete(&mut manager)
}

fn second_call_refused(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    let again: Bc = Call::to(0).into();
    let outcome = client.write(&[again.clone(), Bc::EnterLooper])?.ok()?;
    check_eq!(outcome.write_consumed, again.size());
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY]
    );
    check_eq!(
        error_of(&mut client)?,
        (BR_FAILED_REPLY, param(Some(Errno::EPROTO)))
    );
    // The first call is not disturbed.
    manager.answer(&call, Call::reply().data(b"first"))?;
    let reply = client.receive()?;
    check_eq!(client.data(&reply)?, b"first");
    Ok(())
}

fn call_over_waiting_reply(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    manager.answer(&call, Call::reply())?;
    refused_over(&mut client, BR_REPLY)
}

/// Has the client call while `unread` is the first in its queue.
fn refused_over(client: &mut Thread, unread: u32) -> Result<()> {
    // Room for the completion alone: the rest stays.
    let outcome = client.exchange(&Exchange::read().read_size(80))?.ok()?;
    check_returns!(outcome.returns()?, [BR_NOOP, BR_TRANSACTION_COMPLETE]);
    let call: Bc = Call::to(0).into();
    client.write(&[call])?.ok()?;
    check_eq!(
        error_of(client)?,
        (BR_FAILED_REPLY, param(Some(Errno::EPROTO)))
    );
    expect(client, &[BR_NOOP, unread])?;
    check_returns!(client.read()?, [BR_NOOP, BR_FAILED_REPLY]);
    Ok(())
}

fn call_over_waiting_call(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let handle = give_node(&mut client, &mut manager, NODE)?;
    let _outer = call_received(&mut client, &mut manager)?;
    manager.send(&[Call::to(handle).into()])?;
    refused_over(&mut client, BR_TRANSACTION)
}

// SPDX-License-Identifier: GPL-2.0

//! Section A6: calls, oneway calls and replies that work.

use super::case;
use crate::fixtures::*;
use anyhow::Result;
use binder_abi::*;
use harness::case::round_trip;
use harness::{Bc, Call, Case, Cx, Parcel, Transactions, check, check_eq, check_returns};

pub const CASES: &[Case] = &[
    case(
        "a6/round-trip",
        "a call and its reply carry code, flags and data",
        whole_round_trip,
    ),
    case(
        "a6/fields-of-a-call",
        "the driver alone fills cookie, pid and user of a call",
        fields_of_a_call,
    ),
    case(
        "a6/fields-of-a-reply",
        "a reply names no node and no process",
        fields_of_a_reply,
    ),
    case(
        "a6/oneway",
        "a oneway call is complete when it is sent, and names no process",
        oneway,
    )
    .covers(&["A19.9"]),
    case(
        "a6/flags-pass-through",
        "flags the driver does not know arrive",
        flags_pass_through,
    ),
    case(
        "a6/sizes",
        "data of every size arrives as it was sent",
        sizes,
    ),
    case(
        "a6/empty",
        "a call without data has a buffer to give back nevertheless",
        empty,
    )
    .covers(&["A19.16"]),
    case(
        "a6/offsets-pointer",
        "the offsets lie behind the data, even when there are none",
        offsets_pointer,
    ),
    case(
        "a6/sg-without-buffers",
        "the scatter-gather commands serve without buffers",
        sg_without_buffers,
    ),
    case(
        "a6/reply-with-oneway-flag",
        "the oneway flag of a reply changes nothing",
        reply_with_oneway_flag,
    ),
    case(
        "a6/oneway-to-busy-process",
        "oneway calls wait for a process that is busy",
        oneway_to_busy_process,
    ),
    case(
        "a6/oneway-while-waiting",
        "a thread that waits for a reply may send oneway calls",
        oneway_while_waiting,
    ),
    case(
        "a6/parallel-calls",
        "calls of several clients are answered in any order",
        parallel_calls,
    ),
    case(
        "a6/many-rounds",
        "calls that nearly fill the space leave nothing behind",
        many_rounds,
    ),
    case(
        "a6/handle-named-call",
        "a call to a handle names the node it reaches",
        handle_named_call,
    ),
    case(
        "a6/owner-may-call-back",
        "the holder of a node calls its owner",
        owner_may_call_back,
    ),
    case(
        "a6/clear-buffer",
        "a buffer sent with TF_CLEAR_BUF is zeroed when it is given back",
        clear_buffer,
    )
    .covers(&["A7.8"]),
];

fn whole_round_trip(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::to(0)
        .code(0xC0DE)
        .flags(TF_STATUS_CODE)
        .data(b"question")
        .into()])?;
    let call = manager.receive()?;
    check_eq!(call.code, BR_TRANSACTION);
    check_eq!((call.data.code, call.data.flags), (0xC0DE, TF_STATUS_CODE));
    check_eq!(manager.data(&call)?, b"question");
    manager.answer(
        &call,
        Call::reply()
            .code(0xFACE)
            .flags(TF_ROOT_OBJECT)
            .data(b"answer"),
    )?;
    check_returns!(manager.read()?, [BR_NOOP, BR_TRANSACTION_COMPLETE]);
    let returns = client.read()?;
    check_returns!(returns, [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_REPLY]);
    let Some(harness::Br::Delivery(reply)) = returns.last() else {
        unreachable!("just checked")
    };
    check_eq!(
        (reply.data.code, reply.data.flags),
        (0xFACE, TF_ROOT_OBJECT)
    );
    check_eq!(client.data(reply)?, b"answer");
    client.free(reply)?;
    expect_nothing(&mut client)?;
    expect_nothing(&mut manager)
}

fn fields_of_a_call(cx: &mut Cx) -> Result<()> {
    let node = FlatObject {
        binder: NODE.0,
        cookie: NODE.1,
        ..FlatObject::default()
    };
    let mut manager = cx.manager_with(node)?;
    let mut client = cx.client()?;
    client.send(&[Call::to(0).pretend(77, 88, 99).data(b"x").into()])?;
    let call = manager.receive()?;
    check_eq!((call.data.target, call.data.cookie), NODE);
    check_eq!(
        (call.data.sender_pid, call.data.sender_euid),
        (client.pid(), 0)
    );
    check_eq!((call.data.data_size, call.data.offsets_size), (1, 0));
    Ok(())
}

fn fields_of_a_reply(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    manager.answer(&call, Call::reply().pretend(77, 88, 99))?;
    let reply = client.receive()?;
    check_eq!(reply.code, BR_REPLY);
    check_eq!((reply.data.target, reply.data.cookie), (0, 0));
    check_eq!((reply.data.sender_pid, reply.data.sender_euid), (0, 0));
    Ok(())
}

fn oneway(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::oneway(0).code(3).data(b"go").into()])?;
    complete(&mut client)?;
    let call = manager.receive()?;
    check_eq!(
        (call.data.code, call.data.flags, call.data.sender_pid),
        (3, TF_ONE_WAY, 0)
    );
    check_eq!(manager.data(&call)?, b"go");
    manager.free(&call)?;
    expect_nothing(&mut client)
}

fn flags_pass_through(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let flags = !TF_ONE_WAY;
    client.send(&[Call::to(0).flags(flags).code(u32::MAX).into()])?;
    let call = manager.receive()?;
    check_eq!((call.data.flags, call.data.code), (flags, u32::MAX));
    Ok(())
}

fn sizes(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    for size in [
        1, 3, 4, 7, 8, 9, 511, 4088, 4095, 4096, 4097, 8192, 65536, 300_000,
    ] {
        let data: Vec<u8> = (0..size)
            .map(|i: u32| (i.wrapping_mul(31) >> 3) as u8)
            .collect();
        client.send(&[Call::to(0).data(&data).into()])?;
        let call = manager.receive()?;
        check!(manager.data(&call)? == data, "{size} bytes of a call");
        manager.answer(&call, Call::reply().data(&data))?;
        complete(&mut manager)?;
        let reply = client.receive()?;
        check!(client.data(&reply)? == data, "{size} bytes of a reply");
        client.free(&reply)?;
    }
    Ok(())
}

fn empty(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    for code in 0..2 {
        client.send(&[Call::oneway(0).code(code).into()])?;
    }
    let first = manager.receive()?;
    check_eq!((first.data.data_size, first.data.offsets_size), (0, 0));
    manager.free(&first)?;
    let second = manager.receive()?;
    check_eq!(
        second.data.buffer,
        first.data.buffer + 8,
        "an empty buffer takes eight bytes"
    );
    manager.free(&second)
}

fn offsets_pointer(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    for (size, behind) in [(0, 0), (1, 8), (8, 8), (13, 16)] {
        client.send(&[Call::oneway(0).data(&vec![0; size]).into()])?;
        let call = manager.receive()?;
        check_eq!(call.data.offsets, call.data.buffer + behind, "{size} bytes");
        manager.free(&call)?;
    }
    Ok(())
}

fn sg_without_buffers(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let call = Call::to(0).data(b"sg").buffers_size(0);
    let reply = Call::reply().data(b"sg too").buffers_size(16);
    check_eq!(
        round_trip(&mut client, &mut manager, call, reply)?,
        b"sg too"
    );
    Ok(())
}

fn reply_with_oneway_flag(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    manager.answer(&call, Call::reply().flags(TF_ONE_WAY).data(b"r"))?;
    complete(&mut manager)?;
    let reply = client.receive()?;
    check_eq!((reply.code, reply.data.flags), (BR_REPLY, TF_ONE_WAY));
    client.free(&reply)?;
    // Both are free for more.
    round_trip(&mut client, &mut manager, Call::to(0), Call::reply())?;
    Ok(())
}

fn oneway_to_busy_process(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    other.send(&[Call::oneway(0).code(5).into()])?;
    // The only thread serves a call and takes nothing for the process.
    expect_nothing(&mut manager)?;
    manager.answer(&call, Call::reply())?;
    check_returns!(manager.read()?, [BR_NOOP, BR_TRANSACTION_COMPLETE]);
    check_eq!(manager.receive()?.data.code, 5);
    Ok(())
}

fn oneway_while_waiting(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::to(0).code(1).into(), Call::oneway(0).code(2).into()])?;
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_TRANSACTION_COMPLETE]
    );
    let call = manager.receive()?;
    check_eq!(call.data.code, 1);
    manager.answer(&call, Call::reply())?;
    complete(&mut manager)?;
    check_eq!(manager.receive()?.data.code, 2);
    check_returns!(client.read()?, [BR_NOOP, BR_REPLY]);
    Ok(())
}

fn parallel_calls(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut second = manager.spawn_thread()?;
    second.version()?.ok();
    let (mut a, mut b) = (cx.client()?, cx.client()?);
    a.send(&[Call::to(0).data(b"a").into()])?;
    b.send(&[Call::to(0).data(b"b").into()])?;
    let from_a = manager.receive()?;
    let from_b = second.receive()?;
    check_eq!(manager.data(&from_a)?, b"a");
    check_eq!(second.data(&from_b)?, b"b");
    second.answer(&from_b, Call::reply().data(b"to b"))?;
    manager.answer(&from_a, Call::reply().data(b"to a"))?;
    let reply = a.receive()?;
    check_eq!(a.data(&reply)?, b"to a");
    let reply = b.receive()?;
    check_eq!(b.data(&reply)?, b"to b");
    Ok(())
}

fn many_rounds(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_with_size(harness::thread::PAGE)?;
    let mut client = cx.client_with_size(harness::thread::PAGE)?;
    for round in 0..60u32 {
        let data = vec![round as u8; 3000];
        let call = Call::to(0).code(round).data(&data);
        check_eq!(
            round_trip(&mut client, &mut manager, call, Call::reply().data(&data))?,
            data
        );
    }
    Ok(())
}

fn handle_named_call(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let mut client = cx.client()?;
    let first = give_node(&mut owner, &mut manager, NODE)?;
    let second = give_node(&mut owner, &mut manager, OTHER)?;
    let second = pass_handle(&mut manager, &mut client, second)?;
    client.send(&[Call::to(second).into()])?;
    let call = owner.receive()?;
    check_eq!((call.data.target, call.data.cookie), OTHER);
    owner.answer(&call, Call::reply())?;
    complete(&mut owner)?;
    check_returns!(client.read()?, [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_REPLY]);
    manager.send(&[Call::oneway(first).into()])?;
    let call = owner.receive()?;
    check_eq!((call.data.target, call.data.cookie), NODE);
    Ok(())
}

fn owner_may_call_back(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let handle = give_node(&mut owner, &mut manager, NODE)?;
    manager.send(&[Call::to(handle).data(b"callback").into()])?;
    let call = owner.receive()?;
    check_eq!(owner.data(&call)?, b"callback");
    check_eq!(call.data.sender_pid, manager.pid());
    owner.answer(&call, Call::reply().data(b"done"))?;
    complete(&mut owner)?;
    let reply = manager.receive()?;
    check_eq!(manager.data(&reply)?, b"done");
    Ok(())
}

fn clear_buffer(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    // Something stays in the same pages, so that they remain mapped.
    client.send(&[Call::oneway(0).data(&[1; 64]).into()])?;
    let kept = manager.receive()?;
    let mut other = cx.client()?;
    other.send(&[Call::to(0)
        .flags(TF_CLEAR_BUF)
        .parcel(Parcel::new().bytes(&[0x77; 200]))
        .into()])?;
    let call = manager.receive()?;
    check_eq!(manager.data(&call)?, [0x77; 200]);
    manager.send(&[Bc::FreeBuffer(call.data.buffer)])?;
    check_eq!(manager.data(&call)?, [0; 200]);
    check_eq!(manager.data(&kept)?, [1; 64]);
    Ok(())
}

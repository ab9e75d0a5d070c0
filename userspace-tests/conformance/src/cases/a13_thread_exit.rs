// SPDX-License-Identifier: GPL-2.0

//! Section A13: a thread leaves in the middle of something.

use super::case;
use crate::fixtures::*;
use anyhow::Result;
use binder_abi::*;
use harness::case::round_trip;
use harness::thread::PAGE;
use harness::{
    Bc, Call, Case, Cx, Errno, Exchange, Parcel, Thread, Transactions, check_eq, check_returns,
};

pub const CASES: &[Case] = &[
    case(
        "a13/exit-while-serving",
        "the call a leaving thread serves fails: dead",
        exit_while_serving,
    )
    .covers(&["A13.3", "A19.21"]),
    case(
        "a13/exit-while-calling",
        "the reply to a thread that left is lost, quietly",
        exit_while_calling,
    )
    .covers(&["A19.21", "CVE-2026-98774"]),
    case(
        "a13/exit-before-taken",
        "a call whose sender left is delivered, from nobody",
        exit_before_taken,
    ),
    case(
        "a13/exit-with-nested-call",
        "the call a thread served fails when the one it made ends",
        exit_with_nested,
    ),
    case(
        "a13/exit-with-undelivered-nested",
        "a call that waits in a leaving thread's queue fails: dead",
        exit_with_undelivered,
    )
    .covers(&["A13.3"]),
    case(
        "a13/exit-frees-undelivered",
        "what a call that waits in a leaving thread's queue takes up",
        exit_frees_undelivered,
    ),
    case(
        "a13/exit-with-completions",
        "completions not read are dropped",
        exit_with_completions,
    )
    .covers(&["A13.3"]),
    case(
        "a13/exit-with-error",
        "an error not read is dropped",
        exit_with_error,
    ),
    case(
        "a13/exit-with-node-work",
        "what a leaving thread was to be told of nodes",
        exit_with_node_work,
    )
    .covers(&["CVE-2026-98774"]),
    case(
        "a13/exit-buffer-remains",
        "a buffer outlives the thread that received it",
        exit_buffer_remains,
    ),
    case(
        "a13/exit-clears-extended-error",
        "a thread that comes back has no extended error",
        exit_clears_error,
    ),
    case(
        "a13/exit-of-looper",
        "a looper that left is none when it comes back",
        exit_of_looper,
    ),
    case(
        "a13/kernel-thread-end-is-no-exit",
        "a thread that just ends is not forgotten",
        end_is_no_exit,
    ),
];

fn leave(thread: &mut Thread) -> Result<()> {
    check_eq!(thread.ioctl(BINDER_THREAD_EXIT, 0i32)?, Ok(0));
    Ok(())
}

fn exit_while_serving(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let exchange = Exchange::write(&[Call::to(0).into()]).and_read();
    let calling = client.begin_exchange(&exchange)?;
    let call = manager.receive()?;
    calling.wait_blocked()?;
    leave(&mut manager)?;
    check_returns!(
        calling.returns()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_DEAD_REPLY]
    );
    let error = error_of(&mut client)?;
    cx.note("extended error", error);
    manager.free(&call)?;
    round_trip(&mut client, &mut manager, Call::to(0), Call::reply())?;
    Ok(())
}

fn exit_while_calling(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    leave(&mut client)?;
    manager.answer_lost(&call)?;
    check_returns!(client.read()?, [BR_NOOP]);
    expect_nothing(&mut client)?;
    round_trip(&mut client, &mut manager, Call::to(0), Call::reply())?;
    Ok(())
}

/// Answering when nobody waits any more.
trait AnswerLost {
    fn answer_lost(&mut self, call: &harness::Delivery) -> Result<()>;
}

impl AnswerLost for Thread {
    fn answer_lost(&mut self, call: &harness::Delivery) -> Result<()> {
        self.write(&[Call::reply().into()])?.ok()?;
        check_returns!(self.read()?, [BR_NOOP, BR_TRANSACTION_COMPLETE]);
        self.free(call)
    }
}

fn exit_before_taken(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::to(0).code(5).into()])?;
    leave(&mut client)?;
    let call = manager.receive()?;
    check_eq!((call.data.code, call.data.sender_pid), (5, 0));
    manager.answer_lost(&call)
}

fn exit_with_nested(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut middle = cx.client()?;
    let mut client = cx.client()?;
    let to_middle = give_node(&mut middle, &mut manager, NODE)?;
    let to_middle = pass_handle(&mut manager, &mut client, to_middle)?;
    while !manager.try_read()?.is_empty() {}
    // client → middle → manager
    client.send(&[Call::to(to_middle).into()])?;
    let outer = middle.receive()?;
    let inner = call_received(&mut middle, &mut manager)?;
    leave(&mut middle)?;
    // Only the end of the inner call tells the driver that nobody serves the outer.
    expect_nothing(&mut client)?;
    manager.answer_lost(&inner)?;
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_DEAD_REPLY]
    );
    middle.free(&outer)?;
    round_trip(&mut client, &mut manager, Call::to(0), Call::reply())?;
    Ok(())
}

fn exit_with_undelivered(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let back = give_node(&mut client, &mut manager, NODE)?;
    let outer = call_received(&mut client, &mut manager)?;
    manager.send(&[Call::to(back).into()])?;
    // The nested call is for the thread that waits, which leaves.
    leave(&mut client)?;
    check_returns!(
        manager.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_DEAD_REPLY]
    );
    manager.answer_lost(&outer)
}

fn exit_frees_undelivered(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client_with_size(4 * PAGE)?;
    let back = give_node(&mut client, &mut manager, NODE)?;
    let outer = call_received(&mut client, &mut manager)?;
    // More than half of what there is: a second one has room only if the first is gone.
    let nested = || Call::to(back).data(&[0; 3 * PAGE as usize]);
    manager.send(&[nested().into()])?;
    leave(&mut client)?;
    check_returns!(
        manager.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_DEAD_REPLY]
    );
    if cx.is_rust_driver() {
        manager.send(&[nested().into()])?;
        let call = client.spawn_thread()?.receive()?;
        check_eq!(call.data.data_size, 3 * PAGE);
    } else {
        fails(&mut manager, nested(), BR_FAILED_REPLY, Some(Errno::ENOSPC))?;
        manager.answer_lost(&outer)?;
    }
    Ok(())
}

fn exit_with_completions(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[
        Call::oneway(0).into(),
        Call::oneway(0).into(),
        Call::to(0).into(),
    ])?;
    leave(&mut client)?;
    check_returns!(client.read()?, [BR_NOOP]);
    expect_nothing(&mut client)
}

fn exit_with_error(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    client.write(&[Call::to(77).into()])?.ok()?;
    leave(&mut client)?;
    check_returns!(client.read()?, [BR_NOOP]);
    // The write loop is not stopped any more.
    client.send(&[Bc::EnterLooper])
}

fn exit_with_node_work(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    owner.send(&[Call::oneway(0)
        .parcel(Parcel::new().binder(NODE.0, NODE.1))
        .into()])?;
    leave(&mut owner)?;
    check_returns!(owner.read()?, [BR_NOOP]);
    let told = owner.try_read()?;
    cx.note("told after coming back", &told);
    // The node is there and can be called.
    let call = manager.receive()?;
    let handle = manager.object(&call, 0)?.handle();
    manager.send(&[Call::oneway(handle).into()])?;
    let call = owner.receive()?;
    check_eq!((call.data.target, call.data.cookie), NODE);
    Ok(())
}

fn exit_buffer_remains(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::to(0).data(b"remains").into()])?;
    let call = manager.receive()?;
    leave(&mut manager)?;
    check_eq!(manager.data(&call)?, b"remains");
    let mut other = manager.spawn_thread()?;
    other.free(&call)?;
    let mut second = cx.client()?;
    second.send(&[Call::oneway(0).into()])?;
    check_eq!(other.read_call()?.data.buffer, call.data.buffer);
    Ok(())
}

/// A thread's read after its first.
trait ReadCall {
    fn read_call(&mut self) -> Result<harness::Delivery>;
}

impl ReadCall for Thread {
    fn read_call(&mut self) -> Result<harness::Delivery> {
        self.version()?.ok();
        self.receive()
    }
}

fn exit_clears_error(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    client.write(&[Call::to(77).into()])?.ok()?;
    leave(&mut client)?;
    check_eq!(error_of(&mut client)?, (BR_OK, 0));
    Ok(())
}

fn exit_of_looper(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    client.ioctl(BINDER_SET_MAX_THREADS, 3u32)?.ok();
    client.send(&[Bc::EnterLooper])?;
    leave(&mut client)?;
    // A looper would be asked to spawn another thread.
    check_returns!(client.read()?, [BR_NOOP]);
    Ok(())
}

fn end_is_no_exit(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut thread = manager.spawn_thread()?;
    thread.version()?.ok();
    let call = call_received(&mut client, &mut thread)?;
    thread.end()?;
    // Nobody can answer, and the caller goes on waiting.
    let reading = client.begin_exchange(&Exchange::read())?;
    reading.wait_blocked()?;
    manager.free(&call)?;
    reading.wait_blocked()?;
    manager.kill()?;
    check_returns!(
        reading.returns()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_DEAD_REPLY]
    );
    Ok(())
}

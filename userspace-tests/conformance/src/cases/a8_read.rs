// SPDX-License-Identifier: GPL-2.0

//! Section A8: the read loop.

use super::case;
use crate::fixtures::*;
use anyhow::{Context, Result};
use binder_abi::*;
use harness::device::USUAL_SIZE;
use harness::scheduling::{schedule, share_cpu};
use harness::thread::PAGE;
use harness::{
    Bc, Br, Call, Case, Cx, Errno, Exchange, Parcel, Scheduling, Transactions, check, check_eq,
    check_returns,
};

pub const CASES: &[Case] = &[
    case(
        "a8/first-read-returns",
        "the first read of a thread does not wait",
        first_read_returns,
    )
    .covers(&["A8.1", "A19.1"]),
    case(
        "a8/first-read-after-other-ioctl",
        "any other ioctl uses up that right",
        first_read_used_up,
    ),
    case(
        "a8/nonblocking-without-work",
        "without work a nonblocking read gives EAGAIN",
        nonblocking_without_work,
    )
    .covers(&["A8.3"]),
    case(
        "a8/blocks-until-work",
        "a read waits until there is work",
        blocks_until_work,
    ),
    case(
        "a8/interrupted",
        "a signal ends the wait: EINTR, and nothing is consumed",
        interrupted,
    )
    .covers(&["A8.3"]),
    case(
        "a8/interrupted-loses-nothing",
        "work that comes after an interrupted read is there for the next",
        interrupted_loses_nothing,
    ),
    case(
        "a8/any-thread-serves",
        "a thread need not be a looper to get the process's work",
        any_thread_serves,
    )
    .covers(&["A8.2"]),
    case(
        "a8/completions-together",
        "one read brings all completions",
        completions_together,
    ),
    case(
        "a8/call-ends-read",
        "one read brings one call",
        call_ends_read,
    )
    .covers(&["A8.5"]),
    case(
        "a8/completion-held-back",
        "a call's completion does not wake its sender",
        completion_held_back,
    )
    .covers(&["A6.33"]),
    case(
        "a8/completion-with-reply",
        "it comes with the reply",
        completion_with_reply,
    ),
    case(
        "a8/completion-of-oneway-at-once",
        "a oneway call's and a reply's completion come at once",
        completion_of_oneway,
    )
    .covers(&["A6.33"]),
    case(
        "a8/own-work-first",
        "a thread's own work comes before the process's",
        own_work_first,
    )
    .covers(&["A8.4"]),
    case(
        "a8/room-for-76",
        "an item is delivered only into 76 bytes of room",
        room_for_76,
    )
    .covers(&["A8.4", "A19.4"]),
    case(
        "a8/tiny-buffer",
        "what a read buffer of less than four bytes does",
        tiny_buffer,
    )
    .covers(&["A19.4"]),
    case(
        "a8/append",
        "a read appends behind read_consumed, without BR_NOOP",
        append,
    ),
    case(
        "a8/fault-fails-call",
        "a call that cannot be written to the read buffer fails",
        fault_fails_call,
    )
    .covers(&["A8.9"]),
    case(
        "a8/last-waiter-first",
        "of waiting threads the last to come gets the work",
        last_waiter_first,
    ),
    case(
        "a8/one-waiter-per-call",
        "a call wakes one thread",
        one_waiter_per_call,
    ),
    case(
        "a8/work-left-for-others",
        "what one read leaves is there for another thread",
        work_left,
    ),
    case(
        "a8/work-passed-on",
        "a thread that was woken and leaves without the work wakes another for it",
        work_passed_on,
    ),
];

fn first_read_returns(cx: &mut Cx) -> Result<()> {
    let mut client = cx.process()?;
    client.open(&cx.device)?;
    client.map(USUAL_SIZE)?;
    check_returns!(client.read()?, [BR_NOOP]);
    expect_nothing(&mut client)?;
    // Every thread has it, and a nonblocking read as well.
    let mut thread = client.spawn_thread()?;
    check_returns!(thread.try_read()?, [BR_NOOP]);
    expect_nothing(&mut thread)
}

fn first_read_used_up(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    let mut thread = client.spawn_thread()?;
    // An exchange without reading is enough.
    thread.send(&[Bc::EnterLooper])?;
    expect_nothing(&mut thread)?;
    let mut thread = client.spawn_thread()?;
    check_eq!(thread.ioctl_raw(0, 0)?, Err(Errno::EINVAL));
    expect_nothing(&mut thread)
}

fn nonblocking_without_work(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    let outcome = client.exchange(&Exchange::read().nonblocking())?;
    check_eq!(
        (outcome.result, outcome.read_consumed),
        (Err(Errno::EAGAIN), 0)
    );
    cx.note("bytes written to the buffer", outcome.touched());
    Ok(())
}

fn blocks_until_work(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let reading = manager.begin_exchange(&Exchange::read())?;
    reading.wait_blocked()?;
    client.send(&[Call::oneway(0).into()])?;
    check_returns!(reading.returns()?, [BR_NOOP, BR_TRANSACTION]);
    Ok(())
}

fn interrupted(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    let commands = [Bc::EnterLooper];
    let reading = client.begin_exchange(&Exchange::write(&commands).and_read())?;
    reading.wait_blocked()?;
    reading.interrupt()?;
    let outcome = reading.outcome()?;
    check_eq!(outcome.result, Err(Errno::EINTR));
    check_eq!((outcome.write_consumed, outcome.read_consumed), (4, 0));
    Ok(())
}

fn interrupted_loses_nothing(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let reading = manager.begin_exchange(&Exchange::read())?;
    reading.wait_blocked()?;
    reading.interrupt()?;
    check_eq!(reading.outcome()?.result, Err(Errno::EINTR));
    client.send(&[Call::oneway(0).code(6).into()])?;
    check_eq!(manager.receive()?.data.code, 6);
    Ok(())
}

fn any_thread_serves(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::oneway(0).into()])?;
    check_returns!(manager.read()?, [BR_NOOP, BR_TRANSACTION]);
    // Not even having left the pool keeps work away.
    manager.send(&[Bc::EnterLooper, Bc::ExitLooper])?;
    let mut other = cx.client()?;
    other.send(&[Call::to(0).into()])?;
    check_returns!(manager.read()?, [BR_NOOP, BR_TRANSACTION]);
    Ok(())
}

fn completions_together(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    let calls: Vec<Bc> = (0..100).map(|_| Call::oneway(0).into()).collect();
    client.send(&calls)?;
    let returns = client.read()?;
    check_eq!(returns.len(), 101);
    check!(
        returns[1..]
            .iter()
            .all(|r| r.code() == BR_TRANSACTION_COMPLETE)
    );
    Ok(())
}

fn call_ends_read(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let (a, b) = (
        give_node(&mut owner, &mut manager, NODE)?,
        give_node(&mut owner, &mut manager, OTHER)?,
    );
    manager.send(&[
        Call::oneway(a).code(1).into(),
        Call::oneway(b).code(2).into(),
    ])?;
    check_eq!(owner.receive()?.data.code, 1);
    check_eq!(owner.receive()?.data.code, 2);
    expect_nothing(&mut owner)
}

fn completion_held_back(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::to(0).into()])?;
    expect_nothing(&mut client)?;
    let reading = client.begin_exchange(&Exchange::read())?;
    reading.wait_blocked()?;
    reading.interrupt()?;
    check_eq!(reading.outcome()?.result, Err(Errno::EINTR));
    Ok(())
}

fn completion_with_reply(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let exchange = Exchange::write(&[Call::to(0).into()]).and_read();
    let calling = client.begin_exchange(&exchange)?;
    let call = manager.receive()?;
    calling.wait_blocked()?;
    manager.answer(&call, Call::reply())?;
    check_returns!(
        calling.returns()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_REPLY]
    );
    Ok(())
}

fn completion_of_oneway(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::oneway(0).into()])?;
    check_returns!(client.try_read()?, [BR_NOOP, BR_TRANSACTION_COMPLETE]);
    let oneway = manager.receive()?;
    manager.free(&oneway)?;
    let call = call_received(&mut client, &mut manager)?;
    manager.answer(&call, Call::reply())?;
    check_returns!(manager.try_read()?, [BR_NOOP, BR_TRANSACTION_COMPLETE]);
    Ok(())
}

fn own_work_first(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let handle = give_node(&mut owner, &mut manager, NODE)?;
    owner.send(&[Call::oneway(0).code(5).into()])?;
    complete(&mut owner)?;
    manager.send(&[Call::oneway(handle).into()])?;
    // Its own completion is taken without the call that waits for the process.
    check_returns!(manager.read()?, [BR_NOOP, BR_TRANSACTION_COMPLETE]);
    check_eq!(manager.receive()?.data.code, 5);
    Ok(())
}

fn room_for_76(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::oneway(0).into()])?;
    // Even a completion of four bytes waits for that much room.
    for size in [4, 8, 12, 72, 76, 79] {
        let outcome = client.exchange(&Exchange::read().read_size(size))?.ok()?;
        check_returns!(outcome.returns()?, [BR_NOOP]);
        check_eq!(outcome.touched(), 4, "{size} bytes");
    }
    let outcome = client.exchange(&Exchange::read().read_size(80))?.ok()?;
    check_returns!(outcome.returns()?, [BR_NOOP, BR_TRANSACTION_COMPLETE]);
    let outcome = manager.exchange(&Exchange::read().read_size(79))?.ok()?;
    check_returns!(outcome.returns()?, [BR_NOOP]);
    let outcome = manager.exchange(&Exchange::read().read_size(80))?.ok()?;
    check_returns!(outcome.returns()?, [BR_NOOP, BR_TRANSACTION]);
    check!(!outcome.overran(), "nothing is written behind the buffer");
    Ok(())
}

/// The one listed difference in reading: C compares a negative room as if it were huge and writes
/// behind the buffer; the Rust driver writes nothing and leaves what waits where it is.
fn tiny_buffer(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::oneway(0).into()])?;
    let bounded = cx.is_rust_driver();
    for size in [1, 2, 3] {
        let outcome = client.exchange(&Exchange::read().read_size(size).nonblocking())?;
        let seen = (outcome.result, outcome.read_consumed, outcome.touched());
        if bounded {
            check_eq!(seen, (Ok(()), 0, 0));
        } else if size == 1 {
            check_eq!(seen, (Ok(()), 8, 8));
        } else {
            check_eq!(seen, (Err(Errno::EAGAIN), 0, 4));
        }
    }
    if bounded {
        check_returns!(
            client.exchange(&Exchange::read())?.ok()?.returns()?,
            [BR_NOOP, BR_TRANSACTION_COMPLETE]
        );
        let outcome = client.exchange(&Exchange::read().read_size(3).nonblocking())?;
        check_eq!((outcome.result, outcome.touched()), (Err(Errno::EAGAIN), 0));
    }
    Ok(())
}

fn append(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::oneway(0).into()])?;
    let outcome = client.exchange(&Exchange::read().read_consumed(12))?.ok()?;
    check_eq!(outcome.read_consumed, 16);
    check_returns!(outcome.returns_from(12)?, [BR_TRANSACTION_COMPLETE]);
    check!(
        outcome.buffer[..12]
            .iter()
            .all(|byte| *byte == harness::wire::POISON)
    );
    // The rule about room counts from there.
    client.send(&[Call::oneway(0).into()])?;
    let outcome = client
        .exchange(&Exchange::read().read_consumed(12).read_size(87))?
        .ok()?;
    check_eq!((outcome.read_consumed, outcome.touched()), (12, 0));
    let outcome = client
        .exchange(&Exchange::read().read_consumed(12).read_size(88))?
        .ok()?;
    check_eq!(outcome.read_consumed, 16);
    Ok(())
}

fn fault_fails_call(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let end = manager.page_before_hole()? + PAGE;
    // Room for BR_NOOP; then for the number of the return; then for half of it.
    for room in [4, 8, 40] {
        client.send(&[Call::to(0).into()])?;
        let outcome = manager.exchange(&Exchange::read().read_buffer(end - room))?;
        check_eq!(outcome.result, Err(Errno::EFAULT));
        check_returns!(
            client.read()?,
            [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY]
        );
        let error = error_of(&mut client)?;
        cx.note(&format!("extended error with room for {room}"), error);
    }
    client.send(&[Call::to(0).parcel(Parcel::new().bytes(b"next")).into()])?;
    let call = manager.receive()?;
    check_eq!(manager.data(&call)?, b"next");
    Ok(())
}

fn last_waiter_first(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut second = manager.spawn_thread()?;
    second.version()?.ok();
    let mut client = cx.client()?;
    let first = manager.begin_exchange(&Exchange::read())?;
    first.wait_blocked()?;
    let last = second.begin_exchange(&Exchange::read())?;
    last.wait_blocked()?;
    client.send(&[Call::oneway(0).into()])?;
    check_returns!(last.returns()?, [BR_NOOP, BR_TRANSACTION]);
    first.wait_blocked()?;
    client.send(&[Call::to(0).into()])?;
    check_returns!(first.returns()?, [BR_NOOP, BR_TRANSACTION]);
    Ok(())
}

fn one_waiter_per_call(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut threads = [
        manager.spawn_thread()?,
        manager.spawn_thread()?,
        manager.spawn_thread()?,
    ];
    let mut client = cx.client()?;
    let mut waiting = Vec::new();
    for thread in &mut threads {
        thread.version()?.ok();
        let reading = thread.begin_exchange(&Exchange::read())?;
        reading.wait_blocked()?;
        waiting.push(reading);
    }
    for _ in 0..3 {
        client.send(&[Call::to(0).into()])?;
        let last = waiting.pop().context("a waiting thread")?;
        let returns = last.returns()?;
        let Some(Br::Delivery(call)) = returns.last() else {
            anyhow::bail!("{returns:?}")
        };
        for other in &waiting {
            other.wait_blocked()?;
        }
        // The caller is done with: its thread leaves, and comes back as new.
        let _ = call;
        client.ioctl(BINDER_THREAD_EXIT, 0i32)?.ok();
    }
    Ok(())
}

fn work_passed_on(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut first = manager.spawn_thread()?;
    let mut last = manager.spawn_thread()?;
    first.version()?.ok();
    last.version()?.ok();
    // The second message waits until the buffer of the first is freed.
    for code in [1, 2] {
        client.send(&[Call::oneway(0).code(code).into()])?;
    }
    let served = manager.receive()?;
    manager.schedule(Scheduling::fifo(20))?;
    share_cpu(&[0, manager.tid, last.tid])?;
    let reading = first.begin_exchange(&Exchange::read())?;
    reading.wait_blocked()?;
    let woken = last.begin_exchange(&Exchange::read())?;
    woken.wait_blocked()?;
    // The test comes first here and the thread that is woken last, so the signal is there before it
    // looks for work.
    schedule(0, Scheduling::fifo(90))?;
    manager.free(&served)?;
    woken.interrupt()?;
    schedule(0, Scheduling::normal(0))?;
    check_eq!(woken.outcome()?.result, Err(Errno::EINTR));
    let returns = reading.returns()?;
    check_eq!(delivery_in(&returns)?.data.code, 2);
    Ok(())
}

fn work_left(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut second = manager.spawn_thread()?;
    second.version()?.ok();
    // Two calls wait while nobody reads.
    client.send(&[Call::oneway(0).code(1).into()])?;
    let mut other = cx.client()?;
    other.send(&[Call::to(0).code(2).into()])?;
    check_eq!(manager.receive()?.data.code, 1);
    let reading = second.begin_exchange(&Exchange::read())?;
    let returns = reading.returns()?;
    let Some(Br::Delivery(call)) = returns.last() else {
        anyhow::bail!("{returns:?}")
    };
    check_eq!(call.data.code, 2);
    Ok(())
}

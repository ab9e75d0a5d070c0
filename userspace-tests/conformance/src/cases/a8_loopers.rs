// SPDX-License-Identifier: GPL-2.0

//! Section A8: when a process is asked for another thread.

use super::case;
use crate::fixtures::*;
use anyhow::Result;
use binder_abi::*;
use harness::{
    Bc, Call, Case, Cx, Errno, Exchange, Process, Thread, Transactions, check_eq, check_returns,
};

pub const CASES: &[Case] = &[
    case(
        "a8/spawn-when-nobody-waits",
        "the last free thread is told to spawn another",
        when_nobody_waits,
    )
    .covers(&["A8.10"]),
    case(
        "a8/spawn-not-for-strangers",
        "a thread that is no looper is not asked",
        not_for_strangers,
    ),
    case(
        "a8/spawn-not-by-default",
        "without a limit set no thread is asked for",
        not_by_default,
    ),
    case(
        "a8/spawn-one-at-a-time",
        "no other thread is asked for until the first has registered",
        one_at_a_time,
    )
    .covers(&["A8.10"]),
    case(
        "a8/spawn-up-to-limit",
        "threads are asked for up to the limit",
        up_to_limit,
    )
    .covers(&["A8.10"]),
    case(
        "a8/spawn-not-while-one-waits",
        "nobody is asked while a thread waits",
        not_while_one_waits,
    )
    .covers(&["A8.10"]),
    case(
        "a8/spawn-overwrites-first-word",
        "the request stands in the first word even when appending",
        overwrites_first_word,
    )
    .covers(&["A19.3"]),
    case(
        "a8/spawn-on-first-read",
        "the first read of a looper can carry the request",
        on_first_read,
    ),
    case(
        "a8/spawn-not-in-tiny-buffer",
        "what a read buffer without room for the request does",
        not_in_tiny_buffer,
    )
    .covers(&["A8.10", "A19.4"]),
    case(
        "a8/register-unasked",
        "registering without being asked does not count",
        register_unasked,
    )
    .covers(&["A5.9"]),
    case(
        "a8/limit-raised-later",
        "the limit can be raised at any time",
        limit_raised_later,
    ),
];

/// A manager whose first thread is a looper, and that may be asked for threads.
fn pool(cx: &Cx, limit: u32) -> Result<Process> {
    let mut manager = cx.manager()?;
    manager.ioctl(BINDER_SET_MAX_THREADS, limit)?.ok();
    manager.send(&[Bc::EnterLooper])?;
    Ok(manager)
}

/// Lets the thread read one oneway call of the client and give it back.
fn serve_one(thread: &mut Thread, client: &mut Thread) -> Result<Vec<harness::Br>> {
    client.send(&[Call::oneway(0).into()])?;
    complete(client)?;
    let returns = thread.read()?;
    let Some(harness::Br::Delivery(call)) = returns.last() else {
        anyhow::bail!("{returns:?}")
    };
    thread.free(call)?;
    Ok(returns)
}

fn when_nobody_waits(cx: &mut Cx) -> Result<()> {
    let mut manager = pool(cx, 1)?;
    let mut client = cx.client()?;
    check_returns!(
        serve_one(&mut manager, &mut client)?,
        [BR_SPAWN_LOOPER, BR_TRANSACTION]
    );
    Ok(())
}

fn not_for_strangers(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    manager.ioctl(BINDER_SET_MAX_THREADS, 5u32)?.ok();
    let mut client = cx.client()?;
    check_returns!(
        serve_one(&mut manager, &mut client)?,
        [BR_NOOP, BR_TRANSACTION]
    );
    // One that has left the pool counts as a looper still.
    manager.send(&[Bc::EnterLooper, Bc::ExitLooper])?;
    let returns = serve_one(&mut manager, &mut client)?;
    cx.note(
        "after leaving the pool",
        harness::returns::name(returns[0].code()),
    );
    Ok(())
}

fn not_by_default(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    manager.send(&[Bc::EnterLooper])?;
    let mut client = cx.client()?;
    check_returns!(
        serve_one(&mut manager, &mut client)?,
        [BR_NOOP, BR_TRANSACTION]
    );
    Ok(())
}

fn one_at_a_time(cx: &mut Cx) -> Result<()> {
    let mut manager = pool(cx, 5)?;
    let mut client = cx.client()?;
    check_returns!(
        serve_one(&mut manager, &mut client)?,
        [BR_SPAWN_LOOPER, BR_TRANSACTION]
    );
    check_returns!(
        serve_one(&mut manager, &mut client)?,
        [BR_NOOP, BR_TRANSACTION]
    );
    let mut second = manager.spawn_thread()?;
    second.send(&[Bc::RegisterLooper])?;
    check_returns!(
        serve_one(&mut manager, &mut client)?,
        [BR_SPAWN_LOOPER, BR_TRANSACTION]
    );
    Ok(())
}

fn up_to_limit(cx: &mut Cx) -> Result<()> {
    const LIMIT: usize = 3;
    let mut manager = pool(cx, LIMIT as u32)?;
    let mut client = cx.client()?;
    let mut threads = Vec::new();
    for _ in 0..LIMIT {
        check_returns!(
            serve_one(&mut manager, &mut client)?,
            [BR_SPAWN_LOOPER, BR_TRANSACTION]
        );
        let mut thread = manager.spawn_thread()?;
        thread.send(&[Bc::RegisterLooper])?;
        threads.push(thread);
    }
    check_returns!(
        serve_one(&mut manager, &mut client)?,
        [BR_NOOP, BR_TRANSACTION]
    );
    for thread in &mut threads {
        check_returns!(serve_one(thread, &mut client)?, [BR_NOOP, BR_TRANSACTION]);
    }
    Ok(())
}

fn not_while_one_waits(cx: &mut Cx) -> Result<()> {
    let mut manager = pool(cx, 5)?;
    let mut owner = cx.client()?;
    let handle = give_node(&mut owner, &mut manager, NODE)?;
    // That read has asked already; answer it.
    let mut second = manager.spawn_thread()?;
    second.send(&[Bc::RegisterLooper])?;
    let waiting = second.begin_exchange(&Exchange::read())?;
    waiting.wait_blocked()?;
    manager.send(&[Call::oneway(handle).into()])?;
    check_returns!(manager.read()?, [BR_NOOP, BR_TRANSACTION_COMPLETE]);
    waiting.interrupt()?;
    check_eq!(waiting.outcome()?.result, Err(Errno::EINTR));
    manager.send(&[Call::oneway(handle).into()])?;
    check_returns!(manager.read()?, [BR_SPAWN_LOOPER, BR_TRANSACTION_COMPLETE]);
    Ok(())
}

fn overwrites_first_word(cx: &mut Cx) -> Result<()> {
    let mut manager = pool(cx, 1)?;
    let mut client = cx.client()?;
    client.send(&[Call::oneway(0).into()])?;
    let outcome = manager.exchange(&Exchange::read().read_consumed(8))?.ok()?;
    check_eq!(outcome.buffer[..4], BR_SPAWN_LOOPER.to_le_bytes());
    check_eq!(outcome.buffer[4..8], [harness::wire::POISON; 4]);
    check_returns!(outcome.returns_from(8)?, [BR_TRANSACTION]);
    Ok(())
}

fn on_first_read(cx: &mut Cx) -> Result<()> {
    let mut client = cx.process()?;
    client.open(&cx.device)?;
    client.ioctl(BINDER_SET_MAX_THREADS, 1u32)?.ok();
    let mut thread = client.spawn_thread()?;
    let outcome = thread
        .exchange(&Exchange::write(&[Bc::EnterLooper]).and_read())?
        .ok()?;
    check_returns!(outcome.returns()?, [BR_SPAWN_LOOPER]);
    Ok(())
}

/// C writes behind the end of the buffer, and a thread was asked for that nobody heard of; the Rust
/// driver writes nothing, and asks when there is room.
fn not_in_tiny_buffer(cx: &mut Cx) -> Result<()> {
    let bounded = cx.is_rust_driver();
    // What is in use of the buffer, and what C says then; it appends without BR_NOOP.
    for (size, consumed, said) in [(1, 0, 4), (3, 0, 4), (3, 2, 2)] {
        let mut client = cx.process()?;
        client.open(&cx.device)?;
        client.ioctl(BINDER_SET_MAX_THREADS, 1u32)?.ok();
        let mut thread = client.spawn_thread()?;
        let tiny = Exchange::write(&[Bc::EnterLooper])
            .read_size(size)
            .read_consumed(consumed);
        // The first read of a thread does not wait.
        let outcome = thread.exchange(&tiny)?;
        check_eq!(outcome.result, Ok(()));
        match bounded {
            true => check_eq!((outcome.read_consumed, outcome.touched()), (consumed, 0)),
            false => {
                check_eq!((outcome.read_consumed, outcome.touched()), (said, 4));
                check_eq!(outcome.buffer[..4], BR_SPAWN_LOOPER.to_le_bytes());
            }
        }
        let mut other = client.spawn_thread()?;
        let outcome = other
            .exchange(&Exchange::write(&[Bc::EnterLooper]).and_read())?
            .ok()?;
        match bounded {
            true => check_returns!(outcome.returns()?, [BR_SPAWN_LOOPER]),
            false => check_returns!(outcome.returns()?, [BR_NOOP]),
        }
    }
    Ok(())
}

fn register_unasked(cx: &mut Cx) -> Result<()> {
    let mut manager = pool(cx, 1)?;
    let mut client = cx.client()?;
    for _ in 0..3 {
        let mut thread = manager.spawn_thread()?;
        thread.send(&[Bc::RegisterLooper])?;
    }
    check_returns!(
        serve_one(&mut manager, &mut client)?,
        [BR_SPAWN_LOOPER, BR_TRANSACTION]
    );
    Ok(())
}

fn limit_raised_later(cx: &mut Cx) -> Result<()> {
    let mut manager = pool(cx, 0)?;
    let mut client = cx.client()?;
    check_returns!(
        serve_one(&mut manager, &mut client)?,
        [BR_NOOP, BR_TRANSACTION]
    );
    manager.ioctl(BINDER_SET_MAX_THREADS, 1u32)?.ok();
    check_returns!(
        serve_one(&mut manager, &mut client)?,
        [BR_SPAWN_LOOPER, BR_TRANSACTION]
    );
    // Lowering it below what was granted asks for nobody and breaks nothing.
    let mut second = manager.spawn_thread()?;
    second.send(&[Bc::RegisterLooper])?;
    manager.ioctl(BINDER_SET_MAX_THREADS, 0u32)?.ok();
    check_returns!(
        serve_one(&mut second, &mut client)?,
        [BR_NOOP, BR_TRANSACTION]
    );
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0

//! Section A8: reads whose buffer can't be written to, or is not where they say.

use super::case;
use crate::fixtures::*;
use anyhow::Result;
use binder_abi::*;
use harness::case::round_trip;
use harness::thread::PAGE;
use harness::{
    Bc, Call, Case, Cx, Errno, Exchange, Thread, Transactions, check, check_eq, check_returns,
};

pub const CASES: &[Case] = &[
    case(
        "a8/fault-costs-one-completion",
        "completions behind the one that cannot be written stay",
        one_completion,
    )
    .covers(&["A8.11"]),
    case(
        "a8/fault-on-later-page",
        "so they do where a read that went well goes on in a page that is not there",
        later_page,
    )
    .covers(&["A8.11"]),
    case(
        "a8/fault-when-appending",
        "a read that appends behind what is there loses one, too",
        when_appending,
    )
    .covers(&["A8.11"]),
    case(
        "a8/fault-costs-one-node",
        "a node whose end cannot be told does not take others along",
        one_node,
    )
    .covers(&["A8.11"]),
    case(
        "a8/fault-costs-one-cleared",
        "nor does a registration whose end cannot be told",
        one_cleared,
    )
    .covers(&["A8.11"]),
    case(
        "a8/fault-keeps-reply",
        "a reply stays when the completion before it cannot be written",
        keeps_reply,
    )
    .covers(&["A8.11"]),
    case(
        "a8/fault-of-return-error",
        "what a thread can do that could not be told that its call failed",
        of_return_error,
    )
    .covers(&["A8.11", "A19.2"]),
    case(
        "a8/consumed-beyond-buffer",
        "what a read does that is said to have come further than its buffer goes",
        consumed_beyond,
    )
    .covers(&["A8.4"]),
];

/// A read into the last bytes before a hole, which is to fail.
fn read_into(thread: &mut Thread, end: u64, room: u64) -> Result<()> {
    read_fails(thread, &Exchange::read().read_buffer(end - room))
}

fn read_fails(thread: &mut Thread, exchange: &Exchange) -> Result<()> {
    let before = thread.exchange(exchange)?;
    check_eq!(before.result, Err(Errno::EFAULT));
    Ok(())
}

/// The thread has this many completions to read.
fn completions(thread: &mut Thread, count: usize) -> Result<()> {
    let calls: Vec<Bc> = (0..count).map(|_| Call::oneway(0).into()).collect();
    thread.send(&calls)
}

/// Reads what is left of them.
fn expect_completions(thread: &mut Thread, count: usize) -> Result<()> {
    let returns = thread.try_read()?;
    let codes: Vec<u32> = returns.iter().map(harness::Br::code).collect();
    let mut expected = vec![BR_TRANSACTION_COMPLETE; count];
    if count != 0 {
        expected.insert(0, BR_NOOP);
    }
    check_eq!(codes, expected);
    Ok(())
}

fn one_completion(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    let end = client.page_before_hole()? + PAGE;
    // Without room for BR_NOOP nothing is taken; those that are written are gone as well, since
    // nothing says how far the read came.
    for (room, left) in [(0, 3), (3, 3), (4, 2), (7, 2), (8, 1), (12, 0)] {
        completions(&mut client, 3)?;
        read_into(&mut client, end, room)?;
        expect_completions(&mut client, left)?;
    }
    Ok(())
}

fn later_page(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    let end = client.page_before_hole()? + PAGE;
    // BR_NOOP and so many completions are written before the one that is not.
    for written in [20, 27, 40, 60] {
        completions(&mut client, written + 3)?;
        read_into(&mut client, end, 4 + 4 * written as u64)?;
        expect_completions(&mut client, 2)?;
    }
    Ok(())
}

fn when_appending(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    let end = client.page_before_hole()? + PAGE;
    let append = Exchange::read().read_consumed(8);
    // All of it lies in the hole, or the first two completions before it.
    for (address, left) in [(end, 2), (end - 8, 2), (end - 16, 0)] {
        completions(&mut client, 3)?;
        read_fails(&mut client, &append.clone().read_buffer(address))?;
        expect_completions(&mut client, left)?;
    }
    Ok(())
}

fn one_node(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let end = owner.page_before_hole()? + PAGE;
    // Room for no return about a node, for half of one, for one of two.
    for room in [4, 12, 24] {
        let first = give_node(&mut owner, &mut manager, NODE)?;
        let second = give_node(&mut owner, &mut manager, OTHER)?;
        expect_nothing(&mut owner)?;
        manager.send(&[Bc::Release(first), Bc::Release(second)])?;
        read_into(&mut owner, end, room)?;
        let returns = owner.read()?;
        check_returns!(returns, [BR_NOOP, BR_RELEASE, BR_DECREFS]);
        let told = [&returns[1], &returns[2]].map(|told| told.to_owned());
        cx.note(&format!("told with room for {room}"), format!("{told:?}"));
    }
    Ok(())
}

fn one_cleared(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let end = manager.page_before_hole()? + PAGE;
    let first = give_node(&mut owner, &mut manager, NODE)?;
    let second = give_node(&mut owner, &mut manager, OTHER)?;
    for room in [4, 8] {
        manager.send(&[
            Bc::RequestDeath(first, 1),
            Bc::RequestDeath(second, 2),
            Bc::ClearDeath(first, 1),
            Bc::ClearDeath(second, 2),
        ])?;
        read_into(&mut manager, end, room)?;
        check_returns!(manager.read()?, [BR_NOOP, BR_CLEAR_DEATH_NOTIFICATION_DONE]);
        manager.send(&[Bc::RequestFreeze(first, 1), Bc::RequestFreeze(second, 2)])?;
        for cookie in [1, 2] {
            expect(&mut manager, &[BR_NOOP, BR_FROZEN_BINDER])?;
            manager.send(&[Bc::FreezeDone(cookie)])?;
        }
        manager.send(&[Bc::ClearFreeze(first, 1), Bc::ClearFreeze(second, 2)])?;
        read_into(&mut manager, end, room)?;
        check_returns!(
            manager.read()?,
            [BR_NOOP, BR_CLEAR_FREEZE_NOTIFICATION_DONE]
        );
    }
    Ok(())
}

fn keeps_reply(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let end = client.page_before_hole()? + PAGE;
    for room in [0, 4] {
        let call = call_received(&mut client, &mut manager)?;
        manager.answer(&call, Call::reply().data(b"the reply"))?;
        complete(&mut manager)?;
        read_into(&mut client, end, room)?;
        let reply = client.receive()?;
        check_eq!(client.data(&reply)?, b"the reply");
        client.free(&reply)?;
    }
    Ok(())
}

/// C does not forget the error that it could not tell, so the thread can never write again; the Rust
/// driver has it lost like any other return.
fn of_return_error(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let end = client.page_before_hole()? + PAGE;
    client.write(&[Call::to(77).into()])?.ok()?;
    read_into(&mut client, end, 4)?;
    expect_nothing(&mut client)?;
    let outcome = client.write(&[Bc::EnterLooper])?.ok()?;
    if cx.is_rust_driver() {
        check_eq!(outcome.write_consumed, 4);
        round_trip(&mut client, &mut manager, Call::to(0), Call::reply())?;
    } else {
        check_eq!(outcome.write_consumed, 0);
    }
    Ok(())
}

/// C compares as in tiny buffers, and delivers behind the end; the Rust driver finds no room.
fn consumed_beyond(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    let page = client.allocate(PAGE)?;
    client.send(&[Call::oneway(0).into()])?;
    let read = Exchange::read().read_size(100).read_consumed(200);
    let outcome = client.exchange(&read.read_buffer(page))?.ok()?;
    let written = client.peek(page, PAGE)??;
    let (before, behind) = written.split_at(200);
    check!(before.iter().all(|byte| *byte == 0));
    if cx.is_rust_driver() {
        check_eq!(outcome.read_consumed, 200);
        check!(behind.iter().all(|byte| *byte == 0));
        complete(&mut client)
    } else {
        check_eq!(outcome.read_consumed, 204);
        check_eq!(behind[..4], BR_TRANSACTION_COMPLETE.to_le_bytes());
        expect_nothing(&mut client)
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Sections A8 and A9: buffers that are being filled or handed over, while others
//! free, reclaim and fill.

use super::inside::*;
use crate::cases::case;
use crate::fixtures::*;
use anyhow::{Context, Result, bail};
use binder_abi::*;
use harness::case::round_trip;
use harness::returns::Br;
use harness::thread::PAGE;
use harness::{Bc, Call, Case, Cx, Delivery, Errno, Transactions, check_eq, check_returns};

pub const CASES: &[Case] = &[
    case(
        "a9/free-during-copy",
        "a buffer that is being filled cannot be freed by who guesses its address",
        free_during_copy,
    )
    .covers(&["A5.8", "CVE-2019-2025"]),
    case(
        "a9/free-while-queued",
        "a buffer that waits to be read cannot be freed",
        free_while_queued,
    )
    .covers(&["A5.8", "A8.9"]),
    case(
        "a9/free-while-read",
        "a buffer that is being read cannot be freed by another thread",
        free_while_read,
    )
    .covers(&["A8.9", "CVE-2019-2025"]),
    case(
        "a9/neighbours-during-copy",
        "buffers around one that is being filled come and go",
        neighbours,
    )
    .covers(&["A9.1"]),
    case(
        "a9/reclaim-during-copy",
        "reclaim leaves the pages of a buffer that is being filled",
        reclaim_during_copy,
    )
    .covers(&["A9.4"]),
    case(
        "a9/reclaim-while-read",
        "reclaim leaves the pages of a buffer that is being read",
        reclaim_while_read,
    )
    .covers(&["A9.4"]),
    case(
        "a9/async-budget-during-copy",
        "a oneway call that is being copied has its share of the space",
        async_budget,
    )
    .covers(&["A9.2", "CVE-2021-46935"]),
    case(
        "a9/next-oneway-while-freed",
        "a oneway call that is queued just after the one before was freed is not held back",
        next_oneway,
    )
    .covers(&["A9.5", "A19.13"]),
    case(
        "a9/full-during-copy",
        "a call that is being copied takes its room from others until it fails",
        full_during_copy,
    ),
    case(
        "a8/waiting-call-while-read",
        "another thread takes the next call while one is reading the first",
        next_call_while_read,
    ),
    case(
        "a8/read-fails-late",
        "a call whose reader's memory turns out not to be there fails",
        read_fails_late,
    ),
    case(
        "a8/oneway-read-fails-late",
        "a oneway call whose reader's memory is not there is lost",
        oneway_read_fails_late,
    ),
    case(
        "a8/reply-read-fails-late",
        "a reply whose reader's memory is not there is lost",
        reply_read_fails_late,
    ),
];

/// Where the next small buffer of the receiver will lie.
fn next_address(sender: &mut harness::Thread, receiver: &mut harness::Thread) -> Result<u64> {
    sender.send(&[Call::oneway(0).data(&[0; TAIL]).into()])?;
    complete(sender)?;
    let call = receiver.receive()?;
    receiver.free(&call)?;
    Ok(call.data.buffer)
}

/// The delivery that a caught reader got.
fn delivery_at(thread: &mut harness::Thread, at: u64, consumed: u64) -> Result<Delivery> {
    let returns = returns_at(thread, at, consumed)?;
    match returns.as_slice() {
        [Br::Plain(BR_NOOP), Br::Delivery(delivery)] => Ok(delivery.clone()),
        _ => bail!("{returns:?}"),
    }
}

fn free_during_copy(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let guess = next_address(&mut client, &mut manager)?;
    for sent in [Call::to(0), Call::oneway(0)] {
        let trap = client.trap()?;
        let step = send_into(&mut client, &trap, caught_call(sent, &trap))?;
        manager.send(&[Bc::FreeBuffer(guess), Bc::FreeBuffer(guess)])?;
        let_go(trap, step, b"unharmed")?;
        manager.send(&[Bc::FreeBuffer(guess)])?;
        let call = manager.receive()?;
        check_eq!(call.data.buffer, guess);
        check_eq!(manager.data(&call)?, b"unharmed");
        if call.data.flags & TF_ONE_WAY == 0 {
            manager.answer(&call, Call::reply())?;
            complete(&mut manager)?;
            let reply = client.receive()?;
            client.free(&reply)?;
        } else {
            manager.free(&call)?;
            complete(&mut client)?;
        }
    }
    check_eq!(next_address(&mut client, &mut manager)?, guess);
    Ok(())
}

fn free_while_queued(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let guess = next_address(&mut client, &mut manager)?;
    client.send(&[Call::oneway(0).data(b"first").into()])?;
    client.send(&[Call::oneway(0).data(b"second").into()])?;
    // The second waits at its node for the first.
    manager.send(&[Bc::FreeBuffer(guess), Bc::FreeBuffer(guess + 8)])?;
    let first = manager.receive()?;
    check_eq!(manager.data(&first)?, b"first");
    manager.send(&[Bc::FreeBuffer(guess + 8), Bc::FreeBuffer(guess)])?;
    let second = manager.receive()?;
    check_eq!(second.data.buffer, guess + 8);
    check_eq!(manager.data(&second)?, b"second");
    manager.free(&second)?;
    check_eq!(next_address_after(&mut client, &mut manager)?, guess);
    Ok(())
}

/// The same as [`next_address`], with completions of earlier calls left to read.
fn next_address_after(sender: &mut harness::Thread, receiver: &mut harness::Thread) -> Result<u64> {
    while !sender.try_read()?.is_empty() {}
    next_address(sender, receiver)
}

fn free_while_read(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut other = another(&mut manager)?;
    let mut client = cx.client()?;
    let guess = next_address(&mut client, &mut manager)?;
    for sent in [Call::oneway(0), Call::to(0)] {
        client.send(&[sent.data(b"unharmed").into()])?;
        let trap = manager.trap()?;
        let at = read_at(&trap);
        let step = read_into(&mut manager, &trap)?;
        other.send(&[Bc::FreeBuffer(guess), Bc::FreeBuffer(guess)])?;
        // Were the buffer free, the next would lie there.
        let mut second = cx.client()?;
        second.send(&[Call::to(0).data(b"another.").into()])?;
        let consumed = let_read(trap, step)?;
        let call = delivery_at(&mut manager, at, consumed)?;
        check_eq!(call.data.buffer, guess);
        check_eq!(manager.data(&call)?, b"unharmed");
        let next = other.receive()?;
        check_eq!(next.data.buffer, guess + 8);
        other.answer(&next, Call::reply())?;
        complete(&mut other)?;
        if call.data.flags & TF_ONE_WAY == 0 {
            manager.send(&[Call::reply().into()])?;
            complete(&mut manager)?;
        }
        manager.free(&call)?;
        // Once it was read it is anybody's to free, and once only.
        other.send(&[Bc::FreeBuffer(guess)])?;
    }
    check_eq!(next_address_after(&mut client, &mut manager)?, guess);
    Ok(())
}

fn neighbours(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_with_size(8 * PAGE)?;
    let mut client = cx.client()?;
    let mut second = cx.client()?;
    let mut send = |size: usize| -> Result<()> {
        second.send(&[Call::oneway(0).data(&vec![1; size]).into()])?;
        complete(&mut second)
    };
    // Before, in the middle, behind; oneway calls go one by one.
    send(64)?;
    let before = manager.receive()?;
    let trap = client.trap()?;
    let step = send_into(&mut client, &trap, caught_call(Call::to(0), &trap))?;
    let guess = before.data.buffer + 64;
    manager.free(&before)?;
    send(2 * PAGE as usize)?;
    let behind = manager.receive()?;
    check_eq!(behind.data.buffer, guess + 8);
    send(64)?;
    manager.free(&behind)?;
    let before = manager.receive()?;
    check_eq!(before.data.buffer, guess - 64, "the hole fits exactly");
    manager.free(&before)?;
    let_go(trap, step, b"unharmed")?;
    let call = manager.receive()?;
    check_eq!(call.data.buffer, guess);
    check_eq!(manager.data(&call)?, b"unharmed");
    manager.answer(&call, Call::reply())?;
    complete(&mut manager)?;
    let reply = client.receive()?;
    client.free(&reply)?;
    client.send(&[Call::to(0).data(&vec![2; 8 * PAGE as usize]).into()])?;
    check_eq!(manager.receive()?.data.buffer, guess - 64);
    Ok(())
}

/// Has the kernel reclaim whatever pages it can get, old and young.
fn reclaim() -> Result<()> {
    for _ in 0..4 {
        std::fs::write("/proc/sys/vm/drop_caches", "2").context("drop_caches")?;
    }
    Ok(())
}

fn reclaim_during_copy(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let trap = client.trap()?;
    // A page is filled when the thread is caught.
    let call = Call::to(0).data_at(trap.page - PAGE, PAGE + TAIL as u64);
    let step = send_into(&mut client, &trap, call)?;
    reclaim()?;
    let_go(trap, step, b"still so")?;
    reclaim()?;
    let call = manager.receive()?;
    reclaim()?;
    let data = manager.data(&call)?;
    check_eq!(data.len(), PAGE as usize + TAIL);
    check_eq!(data[PAGE as usize..], *b"still so");
    manager.answer(&call, Call::reply())?;
    complete(&mut manager)?;
    let reply = client.receive()?;
    client.free(&reply)?;
    reclaim()?;
    round_trip(&mut client, &mut manager, Call::to(0), Call::reply())?;
    Ok(())
}

fn reclaim_while_read(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let data: Vec<u8> = (0..3 * PAGE).map(|at| (at / 7) as u8).collect();
    client.send(&[Call::to(0).data(&data).into()])?;
    let trap = manager.trap()?;
    let at = read_at(&trap);
    let step = read_into(&mut manager, &trap)?;
    reclaim()?;
    let consumed = let_read(trap, step)?;
    let call = delivery_at(&mut manager, at, consumed)?;
    reclaim()?;
    check_eq!(manager.data(&call)?, data);
    manager.free(&call)
}

fn async_budget(cx: &mut Cx) -> Result<()> {
    let size = 8 * PAGE;
    let mut manager = cx.manager_with_size(size)?;
    let mut slow = cx.client()?;
    let mut fast = cx.client()?;
    let trap = slow.trap()?;
    let step = send_into(&mut slow, &trap, caught_call(Call::oneway(0), &trap))?;
    let half = vec![0; size as usize / 2];
    fails(
        &mut fast,
        Call::oneway(0).data(&half),
        BR_FAILED_REPLY,
        Some(Errno::ENOSPC),
    )?;
    fast.send(&[Call::oneway(0).data(&half[TAIL..]).into()])?;
    let call = manager.receive()?;
    manager.free(&call)?;
    let_fail(trap, step)?;
    fast.send(&[Call::oneway(0).data(&half).into()])?;
    check_eq!(manager.receive()?.data.data_size, size / 2);
    Ok(())
}

fn next_oneway(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::oneway(0).data(b"first").into()])?;
    complete(&mut client)?;
    let first = manager.receive()?;
    let trap = client.trap()?;
    let step = send_into(&mut client, &trap, caught_call(Call::oneway(0), &trap))?;
    // Nothing is queued behind it yet.
    manager.free(&first)?;
    expect_nothing(&mut manager)?;
    let_go(trap, step, b"second..")?;
    let second = manager.receive()?;
    check_eq!(manager.data(&second)?, b"second..");
    manager.free(&second)?;
    client.send(&[Call::oneway(0).into()])?;
    manager.receive()?;
    Ok(())
}

fn full_during_copy(cx: &mut Cx) -> Result<()> {
    let size = 2 * PAGE;
    let mut manager = cx.manager_with_size(size)?;
    let mut slow = cx.client()?;
    let mut fast = cx.client()?;
    let trap = slow.trap()?;
    let large = Call::to(0).data_at(trap.page - PAGE, 2 * PAGE);
    let step = send_into(&mut slow, &trap, large)?;
    fails(&mut fast, Call::to(0), BR_FAILED_REPLY, Some(Errno::ENOSPC))?;
    let_fail(trap, step)?;
    fast.send(&[Call::to(0).data(&vec![3; size as usize]).into()])?;
    check_eq!(manager.receive()?.data.buffer, manager.endpoint.base);
    Ok(())
}

fn next_call_while_read(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut other = another(&mut manager)?;
    let mut client = cx.client()?;
    let mut second = cx.client()?;
    client.send(&[Call::to(0).code(1).into()])?;
    let trap = manager.trap()?;
    let at = read_at(&trap);
    let step = read_into(&mut manager, &trap)?;
    second.send(&[Call::to(0).code(2).into()])?;
    let call = other.receive()?;
    check_eq!(call.data.code, 2);
    other.answer(&call, Call::reply())?;
    check_eq!(second.receive()?.code, BR_REPLY);
    let consumed = let_read(trap, step)?;
    let call = delivery_at(&mut manager, at, consumed)?;
    check_eq!(call.data.code, 1);
    manager.answer(&call, Call::reply())?;
    check_eq!(client.receive()?.code, BR_REPLY);
    Ok(())
}

fn read_fails_late(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::to(0).into()])?;
    let trap = manager.trap()?;
    let step = read_into(&mut manager, &trap)?;
    trap.spoil()?;
    check_eq!(step.outcome()?.result, Err(Errno::EFAULT));
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY]
    );
    // The reader serves nobody: it takes the next call.
    round_trip(&mut client, &mut manager, Call::to(0), Call::reply())?;
    Ok(())
}

fn oneway_read_fails_late(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::oneway(0).into()])?;
    complete(&mut client)?;
    let trap = manager.trap()?;
    let step = read_into(&mut manager, &trap)?;
    trap.spoil()?;
    check_eq!(step.outcome()?.result, Err(Errno::EFAULT));
    expect_nothing(&mut client)?;
    round_trip(&mut client, &mut manager, Call::to(0), Call::reply())?;
    client.send(&[Call::oneway(0).code(2).into()])?;
    complete(&mut client)?;
    // In C the buffer of the lost one stays, and holds the node's next ones back.
    if cx.is_rust_driver() {
        let call = manager.receive()?;
        check_eq!(call.data.code, 2);
    } else {
        expect_nothing(&mut manager)?;
    }
    Ok(())
}

fn reply_read_fails_late(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    manager.answer(&call, Call::reply())?;
    complete(&mut manager)?;
    let trap = client.trap()?;
    let at = read_at(&trap) - 4;
    let step = client.begin_exchange(&harness::Exchange::read().read_buffer(at))?;
    trap.wait(&step)?;
    trap.spoil()?;
    check_eq!(step.outcome()?.result, Err(Errno::EFAULT));
    expect_nothing(&mut client)?;
    round_trip(&mut client, &mut manager, Call::to(0), Call::reply())?;
    Ok(())
}

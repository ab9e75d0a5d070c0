// SPDX-License-Identifier: GPL-2.0

//! Section A9: the pages of the receive space: when they come, when they go, and
//! what is in them.

use super::case;
use crate::fixtures::*;
use anyhow::{Context, Result, ensure};
use binder_abi::*;
use harness::case::round_trip;
use harness::deadline::Deadline;
use harness::thread::PAGE;
use harness::{
    Bc, Call, Case, Cx, Errno, Exchange, Process, Thread, Transactions, check, check_eq,
};
use std::fs;

pub const CASES: &[Case] = &[
    case(
        "a9/pages-on-demand",
        "a page is there when a buffer first needs it, and not before",
        on_demand,
    )
    .covers(&["A9.4"]),
    case(
        "a9/pages-stay-for-the-next",
        "the page of a buffer that was given back serves the next one",
        stay_for_next,
    )
    .covers(&["A9.4"]),
    case(
        "a9/reclaim-takes-free-pages",
        "memory pressure takes pages that no buffer uses; they come back",
        takes_free,
    )
    .covers(&["A9.4"]),
    case(
        "a9/reclaim-leaves-used-pages",
        "memory pressure leaves pages in which a buffer has but one byte",
        leaves_used,
    )
    .covers(&["A9.4"]),
    case(
        "a9/reclaim-is-no-leak",
        "what comes back after memory pressure holds nothing of before",
        no_leak,
    )
    .covers(&["A9.4"]),
    case(
        "cve/2023-52438-reclaim-after-unmap",
        "memory pressure does no harm to a space that was unmapped",
        reclaim_after_unmap,
    )
    .covers(&["CVE-2023-52438"]),
    case(
        "cve/2026-43434-reclaim-leaves-foreign-mapping",
        "memory pressure leaves what was mapped where the space had been",
        leaves_foreign_mapping,
    )
    .covers(&["CVE-2026-43434", "CVE-2023-52438"]),
    case(
        "cve/2023-52609-reclaim-of-dying-process",
        "memory pressure meets spaces of processes that are ending",
        of_dying,
    )
    .covers(&["CVE-2023-52609"]),
    case(
        "a9/clear-over-pages",
        "TF_CLEAR_BUF zeroes a buffer over several pages, and nothing beside it",
        clear_over_pages,
    )
    .covers(&["A7.8"]),
    case(
        "a9/clear-reply",
        "TF_CLEAR_BUF of a reply zeroes the caller's buffer",
        clear_reply,
    )
    .covers(&["A7.8"]),
    case(
        "a9/clear-dropped-oneway",
        "TF_CLEAR_BUF zeroes a oneway call that could not be delivered",
        clear_dropped,
    )
    .covers(&["A7.8"]),
];

/// Has the kernel reclaim what it can.
fn reclaim() -> Result<()> {
    fs::write("/proc/sys/vm/drop_caches", "2").context("drop_caches")
}

/// Whether there is a page at an address of the space.
fn is_there(thread: &mut Thread, address: u64) -> Result<bool> {
    match thread.peek(address, 1)? {
        Ok(_) => Ok(true),
        Err(Errno::EFAULT) => Ok(false),
        Err(error) => Err(error).context("peek"),
    }
}

/// Presses until the page is gone.
fn reclaimed(thread: &mut Thread, address: u64) -> Result<()> {
    let deadline = Deadline::step();
    while is_there(thread, address)? {
        ensure!(!deadline.passed(), "the page at {address:#x} stays");
        reclaim()?;
    }
    Ok(())
}

/// A pattern that is nowhere zero.
fn filled(length: u64, seed: u8) -> Vec<u8> {
    (0..length)
        .map(|i| (i as u8).wrapping_mul(7).wrapping_add(seed) | 1)
        .collect()
}

fn on_demand(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let base = manager.endpoint.base;
    let there = |manager: &mut Process| -> Result<Vec<bool>> {
        (0..5).map(|i| is_there(manager, base + i * PAGE)).collect()
    };
    check_eq!(there(&mut manager)?, [false; 5]);
    client.send(&[Call::oneway(0).data(&[1; 100]).into()])?;
    check_eq!(there(&mut manager)?, [true, false, false, false, false]);
    let first = manager.receive()?;
    // The next one begins in the same page.
    client.send(&[Call::oneway(0).data(&[2; 2 * PAGE as usize]).into()])?;
    check_eq!(there(&mut manager)?, [true, true, true, false, false]);
    manager.free(&first)
}

fn stay_for_next(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    for size in [4096, 1, 5000] {
        client.send(&[Call::oneway(0).data(&filled(size, 3)).into()])?;
        let call = manager.receive()?;
        check_eq!(call.data.buffer, manager.endpoint.base);
        check_eq!(manager.data(&call)?, filled(size, 3));
        manager.free(&call)?;
        check!(is_there(&mut manager, call.data.buffer)?);
    }
    Ok(())
}

fn takes_free(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    for round in 0..3 {
        let data = filled(3 * PAGE, round);
        client.send(&[Call::oneway(0).data(&data).into()])?;
        let call = manager.receive()?;
        check_eq!(manager.data(&call)?, data);
        manager.free(&call)?;
        for page in 0..3 {
            reclaimed(&mut manager, call.data.buffer + page * PAGE)?;
        }
    }
    Ok(())
}

fn leaves_used(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let (mut a, mut b) = (cx.client()?, cx.client()?);
    // Two buffers of eight bytes with a large one between them, which goes: the pages
    // at its ends are those of its neighbours, the ones in the middle are nobody's.
    let low = call_received(&mut a, &mut manager)?;
    let mut second = manager.spawn_thread()?;
    second.version()?.ok();
    let size = 4 * PAGE;
    client.send(&[Call::to(0).data(&filled(size, 1)).into()])?;
    let between = second.receive()?;
    let mut third = manager.spawn_thread()?;
    third.version()?.ok();
    b.send(&[Call::to(0).data(b"neighbor").into()])?;
    let high = third.receive()?;
    check_eq!(high.data.buffer - low.data.buffer, 4 * PAGE + 8);
    second.free(&between)?;
    reclaimed(&mut manager, low.data.buffer + PAGE)?;
    reclaimed(&mut manager, low.data.buffer + 2 * PAGE)?;
    check!(is_there(&mut manager, low.data.buffer)?);
    check_eq!(manager.data(&high)?, b"neighbor");
    // The room between them is used again.
    second.send(&[Call::reply().into()])?;
    complete(&mut second)?;
    client.receive()?;
    client.send(&[Call::to(0).data(&filled(size, 2)).into()])?;
    let again = second.receive()?;
    check_eq!(again.data.buffer, between.data.buffer);
    check_eq!(second.data(&again)?, filled(size, 2));
    Ok(())
}

fn no_leak(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::oneway(0).data(&filled(PAGE, 1)).into()])?;
    let call = manager.receive()?;
    manager.free(&call)?;
    reclaimed(&mut manager, call.data.buffer)?;
    client.send(&[Call::oneway(0).data(b"12345678").into()])?;
    let call = manager.receive()?;
    check_eq!(manager.data(&call)?, b"12345678");
    let rest = manager
        .peek(call.data.buffer + 8, PAGE - 8)?
        .context("peek")?;
    check!(rest.iter().all(|byte| *byte == 0), "not a fresh page");
    Ok(())
}

/// Gives a process pages that can be reclaimed.
fn warm(client: &mut Process, process: &mut Process, pages: u64) -> Result<()> {
    let size = (pages * PAGE) as usize;
    round_trip(
        client,
        process,
        Call::to(0).data(&vec![1; size]),
        Call::reply(),
    )
    .map(drop)
}

fn reclaim_after_unmap(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    warm(&mut client, &mut manager, 8)?;
    manager.unmap()?;
    for _ in 0..4 {
        reclaim()?;
    }
    fails(&mut client, Call::to(0), BR_DEAD_REPLY, Some(Errno::ESRCH))
}

fn leaves_foreign_mapping(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    warm(&mut client, &mut manager, 8)?;
    let (base, size) = (manager.endpoint.base, manager.endpoint.size);
    manager.unmap()?;
    let protection = (libc::PROT_READ | libc::PROT_WRITE) as u64;
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE) as u64;
    let arguments = [base, size, protection, flags, u64::MAX, 0];
    check_eq!(manager.must(libc::SYS_mmap, &arguments)?, base as i64);
    manager.poke(base, &filled(8 * PAGE, 5))?.context("poke")?;
    for _ in 0..4 {
        reclaim()?;
    }
    fails(&mut client, Call::to(0), BR_DEAD_REPLY, Some(Errno::ESRCH))?;
    check!(manager.peek(base, 8 * PAGE)? == Ok(filled(8 * PAGE, 5)));
    Ok(())
}

fn of_dying(cx: &mut Cx) -> Result<()> {
    for _ in 0..4 {
        let mut manager = cx.manager()?;
        let mut client = cx.client()?;
        warm(&mut client, &mut manager, 16)?;
        // One ends while its space can be reclaimed, the other with a buffer in use.
        let call = call_received(&mut client, &mut manager)?;
        manager.send(&[Call::reply().data(&[1; 4 * PAGE as usize]).into()])?;
        let reply = client.receive()?;
        client.free(&reply)?;
        client.kill()?;
        reclaim()?;
        check_eq!(manager.data(&call)?.len(), 0);
        manager.kill()?;
        reclaim()?;
        cx.wait_for_vacancy()?;
        reclaim()?;
    }
    Ok(())
}

fn clear_over_pages(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let (mut a, mut b) = (cx.client()?, cx.client()?);
    a.send(&[Call::to(0).data(&[0x11; 104]).into()])?;
    let before = manager.receive()?;
    let (mut second, mut third) = (manager.spawn_thread()?, manager.spawn_thread()?);
    second.version()?.ok();
    third.version()?.ok();
    let size = 2 * PAGE + 13;
    let secret = Call::oneway(0).flags(TF_CLEAR_BUF).data(&filled(size, 1));
    client.send(&[secret.into()])?;
    let call = second.receive()?;
    b.send(&[Call::to(0).data(&[0x22; 104]).into()])?;
    let behind = third.receive()?;
    check_eq!(
        behind.data.buffer - call.data.buffer,
        size.next_multiple_of(8)
    );
    second.free(&call)?;
    // The page in the middle may be reclaimed at any time, the others are in use.
    let end = call.data.buffer + size;
    let first_page = call.data.buffer..before.data.buffer + PAGE;
    let last_page = end & !(PAGE - 1)..end;
    for part in [first_page, last_page] {
        let length = part.end - part.start;
        let left = manager.peek(part.start, length)?.context("peek")?;
        check!(left.iter().all(|byte| *byte == 0), "not zeroed: {left:x?}");
    }
    check_eq!(manager.data(&before)?, [0x11; 104]);
    check_eq!(manager.data(&behind)?, [0x22; 104]);
    Ok(())
}

fn clear_reply(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    // The flag of the call is not the reply's.
    client.send(&[Call::to(0).flags(TF_CLEAR_BUF).data(&[0x33; 64]).into()])?;
    let call = manager.receive()?;
    manager.answer(&call, Call::reply().data(&[0x44; 64]))?;
    complete(&mut manager)?;
    check_eq!(manager.peek(call.data.buffer, 64)?, Ok(vec![0; 64]));
    let reply = client.receive()?;
    client.free(&reply)?;
    check_eq!(client.peek(reply.data.buffer, 64)?, Ok(vec![0x44; 64]));
    let call = call_received(&mut client, &mut manager)?;
    let secret = Call::reply().flags(TF_CLEAR_BUF).data(&[0x55; 64]);
    manager.answer(&call, secret)?;
    let reply = client.receive()?;
    check_eq!(client.data(&reply)?, [0x55; 64]);
    client.free(&reply)?;
    check_eq!(client.peek(reply.data.buffer, 64)?, Ok(vec![0; 64]));
    Ok(())
}

fn clear_dropped(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let room = next_fd(&mut manager)?;
    limit_fds(&mut manager, room)?;
    let parcel = harness::Parcel::new().bytes(&[0x66; 64]).fd(0, 0);
    let secret = Call::oneway(0).flags(TF_CLEAR_BUF).parcel(parcel);
    client.send(&[secret.into()])?;
    let base = manager.endpoint.base;
    check_eq!(manager.peek(base, 64)?, Ok(vec![0x66; 64]));
    // There is no room for the file.
    manager.exchange(&Exchange::write(&[Bc::EnterLooper]).and_read().nonblocking())?;
    check_eq!(manager.peek(base, 64)?, Ok(vec![0; 64]));
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0

//! Section A13: poll and epoll.

use super::case;
use crate::fixtures::*;
use anyhow::{Context, Result};
use binder_abi::*;
use harness::wire::Argument::{Memory, Value};
use harness::{Bc, Call, Case, Cx, Thread, Transactions, check_eq, check_returns};
use std::mem::offset_of;

pub const CASES: &[Case] = &[
    case(
        "a13/poll-new-thread",
        "a thread the driver does not know is ready at once",
        poll_new_thread,
    ),
    case(
        "a13/poll-without-work",
        "without work nothing is ready, and a device is never writable",
        poll_without_work,
    ),
    case(
        "a13/poll-call",
        "a call makes the device readable",
        poll_call,
    )
    .covers(&["A13.1"]),
    case(
        "a13/poll-not-while-serving",
        "a thread that serves a call is not woken for others",
        poll_not_while_serving,
    )
    .covers(&["A13.1"]),
    case(
        "a13/poll-own-completion",
        "a completion makes the device readable, a call's own does not",
        poll_own_completion,
    )
    .covers(&["A13.1"]),
    case(
        "a13/epoll-call",
        "epoll tells of a call that comes later",
        epoll_call,
    )
    .covers(&["A13.2"]),
    case(
        "a13/epoll-own-work",
        "epoll tells a thread of work it made itself",
        epoll_own_work,
    )
    .covers(&["A13.4", "CVE-2024-26606"]),
    case("a13/epoll-reply", "epoll tells of a reply", epoll_reply),
    case(
        "a13/epoll-all-idle-threads",
        "a call makes the device readable to all idle threads",
        epoll_all_idle,
    )
    .covers(&["A13.2"]),
    case(
        "a13/epoll-work-left",
        "a thread that leaves work behind wakes whoever could take it",
        epoll_work_left,
    )
    .covers(&["A13.2", "A8.2"]),
    case("a13/epoll-death", "epoll tells of a death", epoll_death),
    case(
        "a13/epoll-survives-thread-exit",
        "a thread may leave and the epoll stay",
        epoll_survives_exit,
    )
    .covers(&["CVE-2019-2215"]),
    case(
        "a13/epoll-close-orders",
        "device and epoll may be closed in any order",
        epoll_close_orders,
    ),
];

fn poll_new_thread(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    let mut thread = client.spawn_thread()?;
    check_eq!(thread.poll_events()?, libc::POLLIN);
    // As its first read does not wait.
    check_returns!(thread.read()?, [BR_NOOP]);
    check_eq!(thread.poll_events()?, 0);
    Ok(())
}

fn poll_without_work(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    check_eq!(client.poll_events()?, 0);
    Ok(())
}

fn poll_call(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    check_eq!(manager.poll_events()?, 0);
    client.send(&[Call::oneway(0).into()])?;
    check_eq!(manager.poll_events()?, libc::POLLIN);
    let call = manager.receive()?;
    check_eq!(manager.poll_events()?, 0);
    manager.free(&call)
}

fn poll_not_while_serving(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    other.send(&[Call::oneway(0).into()])?;
    check_eq!(manager.poll_events()?, 0);
    manager.answer(&call, Call::reply())?;
    // First its own completion, then the process's work.
    check_eq!(manager.poll_events()?, libc::POLLIN);
    complete(&mut manager)?;
    check_eq!(manager.poll_events()?, libc::POLLIN);
    Ok(())
}

fn poll_own_completion(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::to(0).into()])?;
    check_eq!(client.poll_events()?, 0);
    let call = manager.receive()?;
    manager.answer(&call, Call::reply())?;
    check_eq!(client.poll_events()?, libc::POLLIN);
    let reply = client.receive()?;
    client.free(&reply)?;
    client.send(&[Call::oneway(0).into()])?;
    check_eq!(client.poll_events()?, libc::POLLIN);
    Ok(())
}

/// `struct epoll_event`, as laid out here.
fn event(events: i32) -> Vec<u8> {
    let mut bytes = vec![0; size_of::<libc::epoll_event>()];
    bytes[offset_of!(libc::epoll_event, events)..][..4].copy_from_slice(&events.to_ne_bytes());
    bytes
}

fn epoll_control(thread: &mut Thread, epoll: u64, operation: i32, events: i32) -> Result<()> {
    let device = thread.endpoint.fd as u64;
    let arguments = vec![
        Value(epoll),
        Value(operation as u64),
        Value(device),
        Memory(event(events)),
    ];
    thread
        .syscall_with(libc::SYS_epoll_ctl, arguments)?
        .0
        .context("epoll_ctl")?;
    Ok(())
}

/// An epoll of the thread that watches its device.
fn epoll_on(thread: &mut Thread) -> Result<u64> {
    epoll_for(thread, libc::EPOLLIN)
}

fn epoll_for(thread: &mut Thread, events: i32) -> Result<u64> {
    let epoll = thread.must(libc::SYS_epoll_create1, &[0])? as u64;
    epoll_control(thread, epoll, libc::EPOLL_CTL_ADD, events)?;
    Ok(epoll)
}

/// How many descriptors are ready, waiting at most so many milliseconds.
fn epoll_ready(thread: &mut Thread, epoll: u64, timeout: i32) -> Result<i64> {
    let arguments = vec![
        Value(epoll),
        Memory(event(0)),
        Value(1),
        Value(timeout as u64),
        Value(0),
        Value(8),
    ];
    thread
        .syscall_with(libc::SYS_epoll_pwait, arguments)?
        .0
        .context("epoll_wait")
}

/// Nothing now.
const NOW: i32 = 0;
/// Until something comes; the step's deadline ends it otherwise.
const EVER: i32 = -1;

fn epoll_call(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let epoll = epoll_on(&mut manager)?;
    check_eq!(epoll_ready(&mut manager, epoll, NOW)?, 0);
    client.send(&[Call::oneway(0).into()])?;
    check_eq!(epoll_ready(&mut manager, epoll, EVER)?, 1);
    manager.receive()?;
    check_eq!(epoll_ready(&mut manager, epoll, NOW)?, 0);
    Ok(())
}

fn epoll_work_left(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let (mut first, mut second) = (cx.client()?, cx.client()?);
    let mut other = manager.spawn_thread()?;
    other.version()?.ok();
    // An edge is told once, so that the next one shows.
    let epoll = epoll_for(&mut other, libc::EPOLLIN | libc::EPOLLET)?;
    first.send(&[Call::to(0).code(1).into()])?;
    second.send(&[Call::to(0).code(2).into()])?;
    check_eq!(epoll_ready(&mut other, epoll, EVER)?, 1);
    check_eq!(epoll_ready(&mut other, epoll, NOW)?, 0);
    check_eq!(manager.receive()?.data.code, 1);
    check_eq!(epoll_ready(&mut other, epoll, EVER)?, 1);
    Ok(())
}

fn epoll_own_work(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    let epoll = epoll_on(&mut client)?;
    client.send(&[Call::oneway(0).into()])?;
    check_eq!(epoll_ready(&mut client, epoll, EVER)?, 1);
    complete(&mut client)?;
    // An error of its own as well.
    client.write(&[Call::to(77).into()])?.ok()?;
    check_eq!(epoll_ready(&mut client, epoll, EVER)?, 1);
    Ok(())
}

fn epoll_reply(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let epoll = epoll_on(&mut client)?;
    client.send(&[Call::to(0).into()])?;
    check_eq!(epoll_ready(&mut client, epoll, NOW)?, 0);
    let call = manager.receive()?;
    manager.answer(&call, Call::reply())?;
    check_eq!(epoll_ready(&mut client, epoll, EVER)?, 1);
    check_eq!(client.receive()?.code, BR_REPLY);
    Ok(())
}

fn epoll_all_idle(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut threads = [manager.spawn_thread()?, manager.spawn_thread()?];
    let mut epolls = Vec::new();
    for thread in &mut threads {
        thread.version()?.ok();
        epolls.push(epoll_on(thread)?);
    }
    client.send(&[Call::to(0).into()])?;
    for (thread, epoll) in threads.iter_mut().zip(&epolls) {
        check_eq!(epoll_ready(thread, *epoll, EVER)?, 1);
    }
    threads[0].receive()?;
    for (thread, epoll) in threads.iter_mut().zip(&epolls) {
        check_eq!(epoll_ready(thread, *epoll, NOW)?, 0);
    }
    Ok(())
}

fn epoll_death(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let handle = give_node(&mut owner, &mut manager, NODE)?;
    manager.send(&[Bc::RequestDeath(handle, 1)])?;
    let epoll = epoll_on(&mut manager)?;
    owner.kill()?;
    check_eq!(epoll_ready(&mut manager, epoll, EVER)?, 1);
    check_returns!(manager.try_read()?, [BR_NOOP, BR_DEAD_BINDER]);
    Ok(())
}

fn epoll_survives_exit(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    for _ in 0..5 {
        let mut thread = manager.spawn_thread()?;
        thread.version()?.ok();
        let epoll = epoll_on(&mut thread)?;
        thread.ioctl(BINDER_THREAD_EXIT, 0i32)?.ok();
        // The driver has forgotten the thread; epoll must have as well.
        client.send(&[Call::oneway(0).into()])?;
        complete(&mut client)?;
        let call = manager.receive()?;
        manager.free(&call)?;
        epoll_control(&mut thread, epoll, libc::EPOLL_CTL_DEL, libc::EPOLLIN)?;
        epoll_control(&mut thread, epoll, libc::EPOLL_CTL_ADD, libc::EPOLLIN)?;
        close(&mut thread, epoll as i32)?;
        thread.end()?;
    }
    Ok(())
}

fn epoll_close_orders(cx: &mut Cx) -> Result<()> {
    for device_first in [true, false] {
        let mut client = cx.unmapped()?;
        let mut thread = client.spawn_thread()?;
        thread.version()?.ok();
        let epoll = epoll_on(&mut thread)? as i32;
        let device = client.endpoint.fd;
        let order = if device_first {
            [device, epoll]
        } else {
            [epoll, device]
        };
        for fd in order {
            close(&mut client, fd)?;
        }
        thread.end()?;
        client.exit()?;
    }
    Ok(())
}

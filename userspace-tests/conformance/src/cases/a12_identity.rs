// SPDX-License-Identifier: GPL-2.0

//! Sections A8 and A12: what a receiver learns of the sender.

use super::core;
use crate::fixtures::*;
use anyhow::{Context, Result};
use binder_abi::*;
use harness::{Call, Case, Cx, Process, Transactions, check, check_eq};
use std::fs;

pub const CASES: &[Case] = &[
    core(
        "a12/pid-is-the-process",
        "the sender is named by its process, whichever thread calls",
        pid_is_process,
    ),
    core(
        "a12/user-at-send-time",
        "the sender's user is the effective one when it sends",
        user_at_send_time,
    ),
    core(
        "a12/user-of-a-thread",
        "a thread with a user of its own is seen with that",
        user_of_a_thread,
    ),
    core(
        "a12/pid-inside-namespace",
        "a sender in an inner pid name space is seen by its outer number",
        pid_from_inside,
    )
    .covers(&["A8.6"]),
    core(
        "a12/pid-outside-namespace",
        "a sender outside of the receiver's pid name space is 0",
        pid_from_outside,
    )
    .covers(&["A8.6"]),
    core(
        "a12/pid-within-namespace",
        "within a pid name space the inner number counts",
        pid_within,
    ),
    core(
        "a12/user-mapped",
        "a receiver in a user name space sees the mapped user",
        user_mapped,
    )
    .covers(&["A8.6"]),
    core(
        "a12/user-unmapped",
        "a user that is not mapped is seen as -1",
        user_unmapped,
    )
    .covers(&["A8.6"]),
];

fn pid_is_process(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut thread = client.spawn_thread()?;
    check!(
        thread.tid != client.pid(),
        "a thread with a number of its own"
    );
    let call = call_received(&mut thread, &mut manager)?;
    check_eq!(call.data.sender_pid, client.pid());
    Ok(())
}

fn set_euid(process: &mut harness::Thread, uid: u64) -> Result<()> {
    process
        .must(libc::SYS_setresuid, &[u64::MAX, uid, u64::MAX])
        .map(drop)
}

fn user_at_send_time(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    for uid in [1000, 0, 2000] {
        set_euid(&mut client, uid)?;
        client.send(&[Call::oneway(0).into()])?;
        complete(&mut client)?;
        // What the sender does afterwards does not count.
        set_euid(&mut client, 0)?;
        let call = manager.receive()?;
        check_eq!(u64::from(call.data.sender_euid), uid);
        manager.free(&call)?;
    }
    Ok(())
}

fn user_of_a_thread(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut thread = client.spawn_thread()?;
    set_euid(&mut thread, 1234)?;
    thread.send(&[Call::oneway(0).into()])?;
    let call = manager.receive()?;
    check_eq!(call.data.sender_euid, 1234);
    manager.free(&call)?;
    client.send(&[Call::oneway(0).into()])?;
    check_eq!(manager.receive()?.data.sender_euid, 0);
    Ok(())
}

/// A client in a pid name space of its own.
fn inner_client(cx: &Cx) -> Result<Process> {
    let mut process = Process::spawn_in_pid_namespace()?;
    process.open(&cx.device)?;
    process.version()?.ok();
    process.map(harness::device::USUAL_SIZE)?;
    Ok(process)
}

fn pid_from_inside(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = inner_client(cx)?;
    check_eq!(client.tid, 1, "the first process of its name space");
    let call = call_received(&mut client, &mut manager)?;
    check_eq!(call.data.sender_pid, client.pid());
    Ok(())
}

fn pid_from_outside(cx: &mut Cx) -> Result<()> {
    let mut manager = inner_client(cx)?;
    harness::case::become_manager(&mut manager, FlatObject::default())?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    check_eq!(call.data.sender_pid, 0);
    Ok(())
}

fn pid_within(cx: &mut Cx) -> Result<()> {
    let mut manager = inner_client(cx)?;
    harness::case::become_manager(&mut manager, FlatObject::default())?;
    // A child of the first process, in the same name space, with the device opened
    // by itself.
    let mut child = manager.fork()?;
    child.open(&cx.device)?;
    child.send(&[Call::to(0).into()])?;
    let call = manager.receive()?;
    check!(child.tid > 1, "the child has a number of its own");
    check_eq!(call.data.sender_pid, child.tid);
    Ok(())
}

/// Puts a process into a user name space with this mapping.
fn enter_user_namespace(process: &mut Process, mapping: &str) -> Result<()> {
    process.must(libc::SYS_unshare, &[libc::CLONE_NEWUSER as u64])?;
    fs::write(format!("/proc/{}/uid_map", process.pid()), mapping).context("uid_map")
}

fn user_mapped(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    enter_user_namespace(&mut manager, "0 1000 10\n500 0 1\n")?;
    for (uid, seen) in [(1000, 0), (1009, 9), (0, 500)] {
        set_euid(&mut client, uid)?;
        client.send(&[Call::oneway(0).into()])?;
        set_euid(&mut client, 0)?;
        let call = manager.receive()?;
        check_eq!(call.data.sender_euid, seen, "user {uid}");
        manager.free(&call)?;
    }
    Ok(())
}

fn user_unmapped(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    enter_user_namespace(&mut manager, "0 1000 1\n")?;
    client.send(&[Call::oneway(0).into()])?;
    check_eq!(manager.receive()?.data.sender_euid, u32::MAX);
    Ok(())
}

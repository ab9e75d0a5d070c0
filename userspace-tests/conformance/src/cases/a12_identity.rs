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
    core(
        "a12/security-context",
        "a node that asks for it is told the sender's label",
        security_context,
    )
    .covers(&["A12.3"]),
    core(
        "a12/security-context-with-objects",
        "label, data and objects share the buffer",
        security_context_layout,
    ),
    core(
        "a12/no-security-context",
        "other nodes are not told",
        no_security_context,
    )
    .covers(&["A12.3"]),
    core(
        "a12/no-security-context-in-reply",
        "a reply carries no label",
        reply_without_context,
    )
    .covers(&["A12.3"]),
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

/// A manager that wants to know the label of who calls.
fn labelled_manager(cx: &Cx) -> Result<Process> {
    let flags = FLAT_BINDER_FLAG_TXN_SECURITY_CTX;
    cx.manager_with(FlatObject {
        flags,
        ..FlatObject::default()
    })
}

/// The label of a delivery: text up to a NUL inside the buffer.
fn label(manager: &mut Process, call: &harness::Delivery) -> Result<String> {
    let address = call.secctx.context("no label")?;
    check!(
        address > call.data.buffer && address % 8 == 0,
        "label at {address:#x}"
    );
    let bytes = manager.peek(address, 32)?.context("label")?;
    let end = bytes.iter().position(|byte| *byte == 0).context("a NUL")?;
    Ok(String::from_utf8(bytes[..end].to_vec())?)
}

fn security_context(cx: &mut Cx) -> Result<()> {
    let mut manager = labelled_manager(cx)?;
    let mut client = cx.client()?;
    client.send(&[Call::to(0).data(b"12345").into()])?;
    let call = manager.receive()?;
    check_eq!(call.code, BR_TRANSACTION_SEC_CTX);
    check_eq!(manager.data(&call)?, b"12345");
    let label = label(&mut manager, &call)?;
    check!(!label.is_empty(), "an empty label");
    cx.note("label", &label);
    manager.answer(&call, Call::reply())?;
    complete(&mut manager)
}

fn security_context_layout(cx: &mut Cx) -> Result<()> {
    let mut manager = labelled_manager(cx)?;
    let mut client = cx.client()?;
    let parcel = harness::Parcel::new()
        .bytes(b"data")
        .binder(NODE.0, NODE.1)
        .bytes(b"end");
    client.send(&[Call::oneway(0).parcel(parcel).buffers_size(16).into()])?;
    let call = manager.receive()?;
    check_eq!(manager.object(&call, 0)?.hdr.kind, BINDER_TYPE_HANDLE);
    label(&mut manager, &call)?;
    let offset = call.secctx.context("label")? - call.data.buffer;
    // 31 bytes of data, 8 of offsets, 16 for buffers, each rounded.
    check_eq!(offset, 32 + 8 + 16);
    check_eq!(call.data.data_size, 31);
    Ok(())
}

fn no_security_context(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let plain = give_node(&mut owner, &mut manager, NODE)?;
    let asking = give_node_with(
        &mut owner,
        &mut manager,
        OTHER,
        FLAT_BINDER_FLAG_TXN_SECURITY_CTX,
    )?;
    manager.send(&[Call::oneway(plain).into(), Call::oneway(asking).into()])?;
    let first = owner.receive()?;
    let second = owner.receive()?;
    check_eq!((first.code, first.secctx), (BR_TRANSACTION, None));
    check_eq!(second.code, BR_TRANSACTION_SEC_CTX);
    Ok(())
}

fn reply_without_context(cx: &mut Cx) -> Result<()> {
    let mut manager = labelled_manager(cx)?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    manager.answer(&call, Call::reply().data(b"r"))?;
    let reply = client.receive()?;
    check_eq!((reply.code, reply.secctx), (BR_REPLY, None));
    Ok(())
}

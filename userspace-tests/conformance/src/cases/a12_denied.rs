// SPDX-License-Identifier: GPL-2.0

//! Section A12: what the security module is asked, and what becomes of its no.
//!
//! A program in the kernel refuses what the credentials of one user take part in
//! ([`Denial`]); the file that an actor uses may have been opened as that user.

use super::case;
use crate::buffers::{self, numbers};
use crate::fixtures::*;
use anyhow::{Context, Result};
use binder_abi::*;
use harness::case::{become_manager, round_trip};
use harness::denial::{Denial, Hook, Whose};
use harness::device::USUAL_SIZE;
use harness::{
    Call, Case, Cx, Errno, Parcel, Process, Thread, Transactions, check, check_eq, check_returns,
};

pub const CASES: &[Case] = &[
    case(
        "a12/denied-manager",
        "a manager that the security module refuses gets its error; it is asked after EBUSY",
        manager_refused,
    )
    .covers(&["A12.4", "A4.3"]),
    case(
        "a12/denied-call",
        "a call that the security module refuses: EPERM, whatever the module says",
        call_refused,
    )
    .covers(&["A6.11", "A12.4"]),
    case(
        "a12/denied-by-opener",
        "who opened the file counts, not who uses it",
        opener_counts,
    )
    .covers(&["A12.4", "CVE-2021-39686"]),
    case(
        "a12/denied-callee",
        "who is called counts as well, by the opener of the file that the node is of",
        callee_counts,
    )
    .covers(&["A12.4"]),
    case("a12/denied-reply", "a reply is not asked for", reply_goes).covers(&["A19.18"]),
    case(
        "a12/denied-first",
        "the module is asked when the target is known, and before anything else is looked at",
        asked_first,
    )
    .covers(&["A6.11"]),
    case(
        "a12/denied-node",
        "a node that must not be given: EPERM, and the node is forgotten",
        node_refused,
    )
    .covers(&["A6.23", "A12.4"]),
    case(
        "a12/denied-handle",
        "a handle that must not be given: EPERM, also on its way home",
        handle_refused,
    )
    .covers(&["A6.24", "A12.4"]),
    case(
        "a12/denied-object-in-reply",
        "objects of replies are asked for: the caller learns EPERM",
        object_in_reply,
    )
    .covers(&["A6.23", "A19.18"]),
    case(
        "a12/denied-file",
        "a file that must not be given: EPERM, after EBADF, and it stays with the sender",
        file_refused,
    )
    .covers(&["A6.25", "A12.4"]),
    case(
        "a12/denied-file-in-reply",
        "files of replies are asked for: the caller learns EPERM",
        file_in_reply,
    )
    .covers(&["A6.25", "A19.18"]),
    case(
        "a12/denied-file-in-array",
        "files of arrays are asked for: EPERM",
        file_in_array,
    )
    .covers(&["A6.25"]),
    case(
        "a12/denied-half-way",
        "what was translated before the refusal is given back",
        half_way,
    ),
];

/// A user whom the module knows.
const USER: u32 = 4711;
/// What the module says: binder drivers pass it on for managers only.
const NO: Errno = Errno::EACCES;

fn deny(hook: Hook, whose: Whose) -> Result<Denial> {
    Denial::new(hook, whose, USER, NO)
}

/// A client that has opened the device as [`USER`] and is somebody else since.
fn opened_by_user(cx: &Cx) -> Result<Process> {
    let mut process = cx.process()?;
    set_euid(&mut process, USER)?;
    // Else the device could not be opened, which is root's.
    process.must(libc::SYS_setfsuid, &[0])?;
    process.open(&cx.device)?;
    set_euid(&mut process, 0)?;
    process.version()?.context("BINDER_VERSION")?;
    process.map(USUAL_SIZE)?;
    Ok(process)
}

/// A call to handle 0 is refused, and arrives nowhere.
fn refused(client: &mut Thread, manager: &mut Thread, call: Call) -> Result<()> {
    fails(client, call, BR_FAILED_REPLY, Some(Errno::EPERM))?;
    expect_nothing(manager)
}

/// The driver knows no node of the process.
fn no_nodes(thread: &mut Thread) -> Result<()> {
    let none = NodeDebugInfo::default();
    check_eq!(thread.ioctl(BINDER_GET_NODE_DEBUG_INFO, none)?, Ok(none));
    Ok(())
}

/// A reply fails at its sender and its receiver.
fn reply_refused(replier: &mut Thread, client: &mut Thread, reply: Call) -> Result<()> {
    replier.write(&[reply.into()])?.ok()?;
    complete(replier)?;
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY]
    );
    let why = (BR_FAILED_REPLY, param(Some(Errno::EPERM)));
    check_eq!(error_of(client)?, why);
    Ok(())
}

/// All is well without the refusal, and the receiver's room is empty.
fn works(client: &mut Process, manager: &mut Process) -> Result<()> {
    buffers::nothing_left(client, manager)
}

fn manager_refused(cx: &mut Cx) -> Result<()> {
    let mut user = opened_by_user(cx)?;
    let denial = deny(Hook::SetContextManager, Whose::First)?;
    check_eq!(user.ioctl(BINDER_SET_CONTEXT_MGR, 0i32)?, Err(NO));
    let node = FlatObject::default();
    check_eq!(user.ioctl(BINDER_SET_CONTEXT_MGR_EXT, node)?, Err(NO));
    // Somebody else is not refused, and in the way from then on.
    let manager = cx.manager()?;
    check_eq!(user.ioctl(BINDER_SET_CONTEXT_MGR, 0i32)?, Err(Errno::EBUSY));
    manager.exit()?;
    cx.wait_for_vacancy()?;
    check_eq!(user.ioctl(BINDER_SET_CONTEXT_MGR, 0i32)?, Err(NO));
    drop(denial);
    become_manager(&mut user, node)?;
    works(&mut cx.client()?, &mut user)
}

fn call_refused(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut user = opened_by_user(cx)?;
    let denial = deny(Hook::Transaction, Whose::First)?;
    for call in [Call::to(0), Call::oneway(0), Call::to(0).data(b"abc")] {
        refused(&mut user, &mut manager, call)?;
    }
    drop(denial);
    works(&mut user, &mut manager)
}

fn opener_counts(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut user = opened_by_user(cx)?;
    let mut other = cx.client()?;
    let _denial = deny(Hook::Transaction, Whose::First)?;
    // Whoever uses the file, it is the opener's.
    for euid in [0, USER] {
        set_euid(&mut user, euid)?;
        refused(&mut user, &mut manager, Call::to(0))?;
        set_euid(&mut other, euid)?;
        round_trip(&mut other, &mut manager, Call::to(0), Call::reply())?;
    }
    Ok(())
}

fn callee_counts(cx: &mut Cx) -> Result<()> {
    let mut user = opened_by_user(cx)?;
    become_manager(&mut user, FlatObject::default())?;
    let mut client = cx.client()?;
    let node = give_node(&mut client, &mut user, NODE)?;
    let _denial = deny(Hook::Transaction, Whose::Second)?;
    refused(&mut client, &mut user, Call::to(0))?;
    refused(&mut client, &mut user, Call::oneway(0))?;
    // The other way it is the caller, whom this program does not look at.
    round_trip(&mut user, &mut client, Call::to(node), Call::reply())?;
    Ok(())
}

fn reply_goes(cx: &mut Cx) -> Result<()> {
    let mut user = opened_by_user(cx)?;
    become_manager(&mut user, FlatObject::default())?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut user)?;
    let _both = [
        deny(Hook::Transaction, Whose::First)?,
        deny(Hook::Transaction, Whose::Second)?,
    ];
    user.answer(&call, Call::reply().data(b"yes"))?;
    complete(&mut user)?;
    let reply = client.receive()?;
    check_eq!(client.data(&reply)?, b"yes");
    Ok(())
}

fn asked_first(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut user = opened_by_user(cx)?;
    // A call that is under way would make the next one fail otherwise.
    user.send(&[Call::to(0).into()])?;
    let _call = manager.receive()?;
    let _denial = deny(Hook::Transaction, Whose::First)?;
    refused(&mut user, &mut manager, Call::to(0))?;
    for bad in [
        Call::oneway(0).offsets_size(4),
        Call::oneway(0).data_at(8, 8),
        Call::oneway(0).buffers_size(4),
        Call::oneway(0).data(&vec![0; 2 * USUAL_SIZE as usize]),
    ] {
        refused(&mut user, &mut manager, bad)?;
    }
    // Without a target there is nobody to ask about.
    let unknown = Call::oneway(77);
    fails(&mut user, unknown, BR_FAILED_REPLY, Some(Errno::EINVAL))?;
    let mut freezer = cx.unmapped()?;
    manager.exit()?;
    cx.wait_for_vacancy()?;
    let nobody = Call::oneway(0);
    // The first call has failed as well, with the manager.
    check_returns!(user.read()?, [BR_NOOP, BR_DEAD_REPLY]);
    fails(&mut user, nobody, BR_DEAD_REPLY, Some(Errno::EINVAL))?;
    let mut frozen = cx.manager()?;
    check_eq!(freezer.freeze(frozen.pid())?, Ok(()));
    refused(&mut user, &mut frozen, Call::to(0))
}

fn node_refused(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut user = opened_by_user(cx)?;
    let denial = deny(Hook::TransferBinder, Whose::First)?;
    for parcel in [
        Parcel::new().binder(NODE.0, NODE.1),
        Parcel::new().weak_binder(NODE.0, NODE.1),
    ] {
        for call in [Call::to(0), Call::oneway(0)] {
            refused(&mut user, &mut manager, call.parcel(parcel.clone()))?;
        }
    }
    no_nodes(&mut user)?;
    drop(denial);
    // Whoever would get it counts as well.
    manager.exit()?;
    become_manager(&mut user, FlatObject::default())?;
    let mut client = cx.client()?;
    let denial = deny(Hook::TransferBinder, Whose::Second)?;
    let call = Call::to(0).parcel(Parcel::new().binder(NODE.0, NODE.1));
    refused(&mut client, &mut user, call)?;
    drop(denial);
    works(&mut client, &mut user)
}

fn handle_refused(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut user = opened_by_user(cx)?;
    let mut owner = cx.client()?;
    let node = give_node(&mut owner, &mut manager, NODE)?;
    let foreign = pass_handle(&mut manager, &mut user, node)?;
    let denial = deny(Hook::TransferBinder, Whose::First)?;
    for parcel in [
        Parcel::new().handle(foreign),
        Parcel::new().weak_handle(foreign),
    ] {
        refused(&mut user, &mut manager, Call::to(0).parcel(parcel))?;
    }
    // Home, to the owner of the node.
    let call = Call::to(foreign).parcel(Parcel::new().handle(foreign));
    fails(&mut user, call, BR_FAILED_REPLY, Some(Errno::EPERM))?;
    // A handle that is not held is found out before.
    let call = Call::to(0).parcel(Parcel::new().handle(77));
    fails(&mut user, call, BR_FAILED_REPLY, Some(Errno::EINVAL))?;
    expect_nothing(&mut owner)?;
    drop(denial);
    works(&mut user, &mut manager)
}

fn object_in_reply(cx: &mut Cx) -> Result<()> {
    let mut user = opened_by_user(cx)?;
    become_manager(&mut user, FlatObject::default())?;
    let mut client = cx.client()?;
    let handle = give_node(&mut client, &mut user, OTHER)?;
    let denial = deny(Hook::TransferBinder, Whose::First)?;
    for parcel in [
        Parcel::new().binder(NODE.0, NODE.1),
        Parcel::new().handle(handle),
    ] {
        let call = call_received(&mut client, &mut user)?;
        let reply = Call::reply().parcel(parcel);
        reply_refused(&mut user, &mut client, reply)?;
        user.free(&call)?;
    }
    drop(denial);
    works(&mut client, &mut user)
}

fn file_refused(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut user = opened_by_user(cx)?;
    let (_, write) = pipe(&mut user)?;
    let next = next_fd(&mut manager)?;
    let denial = deny(Hook::TransferFile, Whose::First)?;
    for call in [Call::to(0), Call::oneway(0)] {
        let call = call.parcel(Parcel::new().fd(write, 0));
        refused(&mut user, &mut manager, call)?;
    }
    let closed = Call::to(0).parcel(Parcel::new().fd(999, 0));
    fails(&mut user, closed, BR_FAILED_REPLY, Some(Errno::EBADF))?;
    check!(is_open(&mut user, write)?, "the sender's file");
    check_eq!(next_fd(&mut manager)?, next);
    drop(denial);
    works(&mut user, &mut manager)
}

fn file_in_reply(cx: &mut Cx) -> Result<()> {
    let mut user = opened_by_user(cx)?;
    become_manager(&mut user, FlatObject::default())?;
    let mut client = cx.client()?;
    let (read, write) = pipe(&mut user)?;
    let denial = deny(Hook::TransferFile, Whose::First)?;
    client.send(&[Call::to(0).flags(TF_ACCEPT_FDS).into()])?;
    let call = user.receive()?;
    let reply = Call::reply().parcel(Parcel::new().fd(write, 0));
    reply_refused(&mut user, &mut client, reply)?;
    user.free(&call)?;
    // Nobody holds the file once its owner has closed it.
    close(&mut user, write)?;
    check_eq!(get_byte(&mut user, read)?, None);
    drop(denial);
    works(&mut client, &mut user)
}

fn file_in_array(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut user = opened_by_user(cx)?;
    let (read, write) = pipe(&mut user)?;
    let denial = deny(Hook::TransferFile, Whose::First)?;
    let array = buffers::parcel()
        .buffer(&numbers(&[write, write]), buffers::alone())
        .fd_array(2, 0, 0);
    buffers::refused(&mut user, array, 8, Errno::EPERM)?;
    expect_nothing(&mut manager)?;
    close(&mut user, write)?;
    check_eq!(get_byte(&mut user, read)?, None);
    drop(denial);
    works(&mut user, &mut manager)
}

fn half_way(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut user = opened_by_user(cx)?;
    let mut owner = cx.client()?;
    let node = give_node(&mut owner, &mut manager, OTHER)?;
    let handle = pass_handle(&mut manager, &mut user, node)?;
    let (_, write) = pipe(&mut user)?;
    let _denial = deny(Hook::TransferFile, Whose::First)?;
    let parcel = Parcel::new()
        .binder(NODE.0, NODE.1)
        .handle(handle)
        .fd(write, 0);
    refused(&mut user, &mut manager, Call::to(0).parcel(parcel))?;
    no_nodes(&mut user)?;
    works(&mut user, &mut manager)
}

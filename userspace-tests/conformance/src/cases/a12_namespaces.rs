// SPDX-License-Identifier: GPL-2.0

//! Sections A8 and A12: numbers of processes and users in name spaces, and containers
//! with devices of their own.

use super::case;
use crate::fixtures::*;
use anyhow::{Context, Result};
use binder_abi::*;
use harness::case::{Skip, become_manager, round_trip};
use harness::device::USUAL_SIZE;
use harness::{
    Call, Case, Cx, Errno, Missed, Parcel, Process, Thread, Transactions, check, check_eq,
};
use nix::sys::stat::{Mode, SFlag, mknod, stat};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub const CASES: &[Case] = &[
    case(
        "a12/pid-inside-namespace",
        "a sender in an inner pid name space is seen by its outer number",
        pid_from_inside,
    )
    .covers(&["A8.6"]),
    case(
        "a12/pid-outside-namespace",
        "a sender outside of the receiver's pid name space is 0",
        pid_from_outside,
    )
    .covers(&["A8.6"]),
    case(
        "a12/pid-within-namespace",
        "within a pid name space the inner number counts",
        pid_within,
    ),
    case(
        "a12/pid-of-sibling-namespace",
        "a sender in a name space beside the receiver's is 0",
        pid_of_sibling,
    )
    .covers(&["A8.6"]),
    case(
        "a12/pid-in-nested-namespaces",
        "each receiver around the sender sees the number of its own name space",
        pid_nested,
    )
    .covers(&["A8.6"]),
    case(
        "a12/pid-for-who-reads",
        "the name space of who reads counts, not that of who opened the device",
        pid_for_reader,
    )
    .covers(&["A8.6"]),
    case(
        "a12/pid-of-ended-opener",
        "a sender whose file was opened by a process that has ended is 0",
        pid_of_ended,
    ),
    case(
        "a12/freeze-by-outer-number",
        "freezing names processes by their outermost numbers, from within as well",
        freeze_from_inside,
    )
    .covers(&["A4.8", "A4.9"]),
    case(
        "a12/user-mapped",
        "a receiver in a user name space sees the mapped user",
        user_mapped,
    )
    .covers(&["A8.6"]),
    case(
        "a12/user-unmapped",
        "a user that is not mapped is seen as -1",
        user_unmapped,
    )
    .covers(&["A8.6"]),
    case(
        "a12/user-of-container",
        "outside of its user name space a sender's root is who it stands for",
        user_of_container,
    )
    .covers(&["A8.6"]),
    case(
        "a12/user-of-reply",
        "the user of who replies is translated as well",
        user_of_reply,
    ),
    case(
        "a12/manager-by-outer-user",
        "who may be the manager is a matter of the outermost user: EPERM for a container's root",
        manager_by_outer_user,
    )
    .covers(&["A12.1", "A4.3"]),
    case(
        "a12/containers",
        "two containers use two devices, and each sees itself only",
        containers,
    )
    .covers(&["A12.2"]),
];

/// A client in a pid name space of its own.
fn inner_client(cx: &Cx) -> Result<Process> {
    let mut process = Process::spawn_in_pid_namespace()?;
    join(&mut process, &cx.device)?;
    Ok(process)
}

/// Opens and maps a device.
fn join(thread: &mut Thread, device: &Path) -> Result<()> {
    thread.open(device)?;
    thread.version()?.context("BINDER_VERSION")?;
    thread.map(USUAL_SIZE)
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
    become_manager(&mut manager, FlatObject::default())?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    check_eq!(call.data.sender_pid, 0);
    Ok(())
}

fn pid_within(cx: &mut Cx) -> Result<()> {
    let mut manager = inner_client(cx)?;
    become_manager(&mut manager, FlatObject::default())?;
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

fn pid_of_sibling(cx: &mut Cx) -> Result<()> {
    let mut manager = inner_client(cx)?;
    become_manager(&mut manager, FlatObject::default())?;
    let mut client = inner_client(cx)?;
    check_eq!((manager.tid, client.tid), (1, 1), "both are the first");
    let call = call_received(&mut client, &mut manager)?;
    check_eq!(call.data.sender_pid, 0);
    Ok(())
}

/// Lets the children of a process begin a pid name space.
fn next_children_inside(process: &mut Thread) -> Result<()> {
    process
        .must(libc::SYS_unshare, &[libc::CLONE_NEWPID as u64])
        .map(drop)
}

fn pid_nested(cx: &mut Cx) -> Result<()> {
    let mut outer = cx.manager()?;
    let mut middle = inner_client(cx)?;
    let in_middle = give_node(&mut middle, &mut outer, NODE)?;
    // It is the second in the middle, and the first of its own.
    next_children_inside(&mut middle)?;
    let mut inner = middle.fork()?;
    join(&mut inner, &cx.device)?;
    check_eq!(inner.tid, 1);
    let in_inner = give_node(&mut inner, &mut outer, OTHER)?;
    let to_middle = pass_handle(&mut outer, &mut inner, in_middle)?;
    let to_inner = pass_handle(&mut outer, &mut middle, in_inner)?;

    inner.send(&[Call::to(0).into()])?;
    let call = outer.receive()?;
    check!(call.data.sender_pid > 2, "an outer number: {call:?}");
    check!(call.data.sender_pid != middle.pid(), "its own");
    outer.answer(&call, Call::reply())?;
    complete(&mut outer)?;
    inner.receive()?;

    inner.send(&[Call::to(to_middle).into()])?;
    let call = middle.receive()?;
    check_eq!(call.data.sender_pid, 2);
    middle.answer(&call, Call::reply())?;
    complete(&mut middle)?;
    inner.receive()?;

    middle.send(&[Call::to(to_inner).into()])?;
    check_eq!(inner.receive()?.data.sender_pid, 0);
    Ok(())
}

fn pid_for_reader(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    next_children_inside(&mut manager)?;
    let mut child = manager.fork()?;
    child.version()?.context("BINDER_VERSION")?;
    check_eq!(call_received(&mut client, &mut child)?.data.sender_pid, 0);
    let mut other = cx.client()?;
    let call = call_received(&mut other, &mut manager)?;
    check_eq!(call.data.sender_pid, other.pid());
    Ok(())
}

fn pid_of_ended(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut opener = cx.client()?;
    let mut child = opener.fork()?;
    let call = call_received(&mut child, &mut manager)?;
    check_eq!(call.data.sender_pid, opener.pid());
    manager.answer(&call, Call::reply())?;
    complete(&mut manager)?;
    child.receive()?;
    opener.exit()?;
    let call = call_received(&mut child, &mut manager)?;
    check_eq!(call.data.sender_pid, 0, "there is no such process");
    Ok(())
}

fn freeze_from_inside(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut inner = inner_client(cx)?;
    let number = inner.tid;
    check_eq!(inner.freeze(number)?, Err(Errno::EINVAL));
    check_eq!(inner.missed(number)?, Err(Errno::EINVAL));
    // Even whom it does not see.
    check_eq!(inner.freeze(manager.pid())?, Ok(()));
    fails(&mut inner, Call::to(0), BR_FROZEN_REPLY, None)?;
    check_eq!(inner.missed(manager.pid())?, Ok(Missed::CALL));
    check_eq!(inner.thaw(manager.pid())?, Ok(()));
    round_trip(&mut inner, &mut manager, Call::to(0), Call::reply())?;
    // From outside it is the outer number as well.
    check_eq!(manager.freeze(inner.pid())?, Ok(()));
    check_eq!(manager.missed(inner.pid())?, Ok(Missed::NOTHING));
    check_eq!(manager.thaw(inner.pid())?, Ok(()));
    Ok(())
}

/// Puts a process into a user name space with this mapping.
fn enter_user_namespace(process: &mut Process, mapping: &str) -> Result<()> {
    process.must(libc::SYS_unshare, &[libc::CLONE_NEWUSER as u64])?;
    fs::write(format!("/proc/{}/uid_map", process.pid()), mapping).context("uid_map")
}

/// Puts a process into a user name space, in which it is root and stands for a user.
fn become_root_of(process: &mut Process, user: u32) -> Result<()> {
    enter_user_namespace(process, &format!("0 {user} 10\n"))?;
    set_euid(process, 0)
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

fn user_of_container(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut other = cx.client()?;
    let node = give_node(&mut other, &mut manager, NODE)?;
    let mut client = cx.client()?;
    let to_other = pass_handle(&mut manager, &mut client, node)?;
    become_root_of(&mut client, 100_000)?;
    client.send(&[Call::oneway(0).into()])?;
    check_eq!(manager.receive()?.data.sender_euid, 100_000);
    // To another container it is nobody, unless it is mapped there as well.
    become_root_of(&mut other, 200_000)?;
    client.send(&[Call::oneway(to_other).into()])?;
    check_eq!(other.receive()?.data.sender_euid, u32::MAX);
    Ok(())
}

fn user_of_reply(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    become_root_of(&mut manager, 100_000)?;
    client.send(&[Call::to(0).into()])?;
    let call = manager.receive()?;
    check_eq!(call.data.sender_euid, u32::MAX, "the outer root");
    manager.answer(&call, Call::reply())?;
    complete(&mut manager)?;
    let reply = client.receive()?;
    check_eq!(reply.data.sender_euid, 100_000);
    check_eq!(reply.data.sender_pid, 0);
    Ok(())
}

fn manager_by_outer_user(cx: &mut Cx) -> Result<()> {
    // The first manager's user is root, here or in a case before.
    cx.manager()?.exit()?;
    cx.wait_for_vacancy()?;
    let mut contained = cx.client()?;
    become_root_of(&mut contained, 100_000)?;
    check_eq!(
        contained.ioctl(BINDER_SET_CONTEXT_MGR, 0i32)?,
        Err(Errno::EPERM)
    );
    // Whoever is called whatever inside.
    let mut mapped = cx.client()?;
    enter_user_namespace(&mut mapped, "7 0 1\n")?;
    become_manager(&mut mapped, FlatObject::default())?;
    round_trip(&mut cx.client()?, &mut mapped, Call::to(0), Call::reply())?;
    Ok(())
}

/// A container: the first two processes of a pid and a user name space, and a device
/// node of its own.
struct Container {
    /// Its root, which is the outer one: other users could not be the manager.
    manager: Process,
    /// The second process, whose user is [`INSIDE`].
    client: Thread,
    node: PathBuf,
}

/// A user in a container.
const INSIDE: u32 = 1000;

impl Container {
    fn start(device: &Path, user: u32) -> Result<Self> {
        let mut manager = Process::spawn_in_pid_namespace()?;
        let node = PathBuf::from(format!("/tmp/binder-of-{}", manager.pid()));
        let made = stat(device).context("stat")?;
        mknod(&node, SFlag::S_IFCHR, Mode::empty(), made.st_rdev).context("mknod")?;
        fs::set_permissions(&node, fs::Permissions::from_mode(0o666))?;
        enter_user_namespace(&mut manager, &format!("0 0 1\n{INSIDE} {user} 1\n"))?;
        let mut client = manager.fork()?;
        set_euid(&mut client, INSIDE)?;
        join(&mut manager, &node)?;
        join(&mut client, &node)?;
        become_manager(&mut manager, FlatObject::default())?;
        Ok(Self {
            manager,
            client,
            node,
        })
    }

    /// A call from one process to the other and back.
    fn works(&mut self, word: &[u8]) -> Result<()> {
        self.client.send(&[Call::to(0).data(word).into()])?;
        let call = self.manager.receive()?;
        check_eq!((call.data.sender_pid, call.data.sender_euid), (2, INSIDE));
        check_eq!(self.manager.data(&call)?, word);
        let mine = Parcel::new().binder(NODE.0, NODE.1);
        self.manager.answer(&call, Call::reply().parcel(mine))?;
        let returns = self.manager.read()?;
        self.manager.acknowledge(&returns)?;
        let reply = self.client.receive()?;
        // Handles are numbered in each context anew.
        check_eq!(self.client.object(&reply, 0)?.handle(), 1);
        check_eq!(reply.data.sender_euid, 0);
        self.client.free(&reply)?;
        expect(&mut self.manager, &[BR_NOOP, BR_RELEASE, BR_DECREFS])
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // In a folder that goes with the guest.
        let _ = fs::remove_file(&self.node);
    }
}

fn containers(cx: &mut Cx) -> Result<()> {
    let Some(sibling) = cx.sibling.clone() else {
        return Err(
            Skip("needs a second device of the driver: --device NAME,SIBLING".into()).into(),
        );
    };
    let mut first = Container::start(&cx.device, 100_000)?;
    let mut second = Container::start(&sibling, 200_000)?;
    first.works(b"first")?;
    second.works(b"second")?;
    expect_nothing(&mut first.manager)?;
    expect_nothing(&mut second.manager)?;
    // The container ends with its first process, and takes nobody along.
    drop(first);
    cx.wait_for_vacancy()?;
    second.works(b"still")
}

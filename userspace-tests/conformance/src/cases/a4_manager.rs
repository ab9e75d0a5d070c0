// SPDX-License-Identifier: GPL-2.0

//! Sections A4 and A12: who may be the context manager, and what that means.

use super::case;
use crate::fixtures::*;
use anyhow::{Context, Result};
use binder_abi::*;
use harness::case::{Skip, round_trip};
use harness::deadline::Deadline;
use harness::{Bc, Br, Call, Case, Cx, Errno, Parcel, Transactions, check, check_eq};

pub const CASES: &[Case] = &[
    case(
        "a12/only-one",
        "a second context manager is refused: EBUSY",
        only_one,
    )
    .covers(&["A4.3"]),
    case(
        "a12/plain-node-has-no-names",
        "the plain manager's node has pointer and cookie 0",
        plain_node,
    )
    .covers(&["A4.3"]),
    case(
        "a12/ext-node-is-named",
        "the extended manager's node keeps its names",
        ext_node,
    )
    .covers(&["A4.3"]),
    case(
        "a12/ext-flags-count",
        "the extended manager's flags count, the plain one's are none",
        ext_flags,
    ),
    case(
        "a12/successor",
        "after the manager died another process takes its place",
        successor,
    )
    .covers(&["A14.1"]),
    case(
        "a12/death-of-another",
        "the end of another process does not make the manager's place free",
        death_of_another,
    )
    .covers(&["A14.1"]),
    case(
        "a12/old-handle-stays-dead",
        "a reference to the old manager does not reach the new one",
        old_handle,
    )
    .covers(&["A14.1"]),
    case(
        "a12/dead-manager-passed-on",
        "handle 0 of a dead manager gets another number where it is passed on",
        dead_manager_passed_on,
    )
    .covers(&["A14.1", "A19.6"]),
    case(
        "a12/other-user-refused",
        "another user cannot take the place later: EPERM",
        other_user,
    )
    .covers(&["A12.1"]),
    case(
        "a12/user-sticks-after-death",
        "the user of the first manager counts after its death",
        user_sticks,
    )
    .covers(&["A12.1", "A19.23"]),
    case(
        "a12/per-device",
        "two devices have managers of their own",
        per_device,
    )
    .covers(&["A12.2"]),
    case(
        "a12/node-info-permission",
        "only the manager may count references: EPERM",
        info_permission,
    )
    .covers(&["A4.6"]),
    case(
        "a12/node-info-arguments",
        "fields that must be zero are checked: EINVAL",
        info_arguments,
    )
    .covers(&["A4.6"]),
    case(
        "a12/node-info-unknown",
        "a handle without strong reference gives EINVAL",
        info_unknown,
    )
    .covers(&["A4.6"]),
    case(
        "a12/node-info-counts",
        "the counts are those of the node",
        info_counts,
    )
    .covers(&["A4.6"]),
];

fn only_one(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut other = cx.client()?;
    check_eq!(
        manager.ioctl(BINDER_SET_CONTEXT_MGR, 0i32)?,
        Err(Errno::EBUSY)
    );
    check_eq!(
        other.ioctl(BINDER_SET_CONTEXT_MGR, 0i32)?,
        Err(Errno::EBUSY)
    );
    check_eq!(
        other.ioctl(BINDER_SET_CONTEXT_MGR_EXT, FlatObject::default())?,
        Err(Errno::EBUSY)
    );
    Ok(())
}

fn plain_node(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.client()?;
    check_eq!(manager.ioctl(BINDER_SET_CONTEXT_MGR, 99i32)?, Ok(99));
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    check_eq!((call.data.target, call.data.cookie), (0, 0));
    Ok(())
}

fn ext_node(cx: &mut Cx) -> Result<()> {
    let node = FlatObject {
        binder: NODE.0,
        cookie: NODE.1,
        ..FlatObject::default()
    };
    let mut manager = cx.manager_with(node)?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    check_eq!((call.data.target, call.data.cookie), NODE);
    Ok(())
}

fn ext_flags(cx: &mut Cx) -> Result<()> {
    let files = Parcel::new().fd(0, 0);
    let mut client = cx.client()?;
    let manager = cx.manager()?;
    fails(
        &mut client,
        Call::to(0).parcel(files.clone()),
        BR_FAILED_REPLY,
        Some(Errno::EPERM),
    )?;
    manager.exit()?;
    let mut manager = cx.manager_for_files()?;
    client.send(&[Call::to(0).parcel(files).into()])?;
    let call = manager.receive()?;
    check_eq!(manager.object(&call, 0)?.hdr.kind, BINDER_TYPE_FD);
    Ok(())
}

fn successor(cx: &mut Cx) -> Result<()> {
    let first = cx.manager()?;
    let mut client = cx.client()?;
    first.kill()?;
    cx.wait_for_vacancy()?;
    fails(&mut client, Call::to(0), BR_DEAD_REPLY, Some(Errno::EINVAL))?;
    let mut second = cx.manager()?;
    check_eq!(
        round_trip(
            &mut client,
            &mut second,
            Call::to(0),
            Call::reply().data(b"2")
        )?,
        b"2"
    );
    Ok(())
}

fn death_of_another(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = cx.client()?;
    let handle = give_node(&mut other, &mut manager, NODE)?;
    manager.send(&[Bc::RequestDeath(handle, 1)])?;
    other.kill()?;
    expect(&mut manager, &[BR_NOOP, BR_DEAD_BINDER])?;
    let mut late = cx.unmapped()?;
    check_eq!(late.ioctl(BINDER_SET_CONTEXT_MGR, 0i32)?, Err(Errno::EBUSY));
    let reply = Call::reply().data(b"still there");
    check_eq!(
        round_trip(&mut client, &mut manager, Call::to(0), reply)?,
        b"still there"
    );
    Ok(())
}

fn old_handle(cx: &mut Cx) -> Result<()> {
    let first = cx.manager()?;
    let mut client = cx.client()?;
    // The reference makes handle 0 stand for the first manager's node.
    client.send(&[Bc::Acquire(0), Bc::RequestDeath(0, 5)])?;
    first.kill()?;
    expect(&mut client, &[BR_NOOP, BR_DEAD_BINDER])?;
    let mut second = cx.manager()?;
    // Calls to 0 go to whoever is the manager, whatever reference there is.
    round_trip(&mut client, &mut second, Call::to(0), Call::reply())?;
    // The second manager's node gets a handle of its own.
    client.send(&[Call::to(0).into()])?;
    let call = second.receive()?;
    second.answer(&call, Call::reply().parcel(Parcel::new().binder(0, 0)))?;
    let reply = client.receive()?;
    let handle = client.object(&reply, 0)?.handle();
    cx.note("handle of the second manager's node", handle);
    Ok(())
}

fn dead_manager_passed_on(cx: &mut Cx) -> Result<()> {
    let mut first = cx.manager()?;
    let mut client = cx.client()?;
    let mut heir = cx.client()?;
    let to_heir = give_node(&mut heir, &mut first, NODE)?;
    let to_heir = pass_handle(&mut first, &mut client, to_heir)?;
    client.send(&[Bc::Acquire(0), Bc::RequestDeath(0, 1)])?;
    first.kill()?;
    expect(&mut client, &[BR_NOOP, BR_DEAD_BINDER])?;
    client.send(&[Call::oneway(to_heir).parcel(Parcel::new().handle(0)).into()])?;
    let call = heir.receive()?;
    let old = heir.object(&call, 0)?.handle();
    check_eq!(old, 1);
    heir.send(&[Bc::Acquire(old), Bc::FreeBuffer(call.data.buffer)])?;
    // Number 0 is free for the next manager's node, and the two are told apart.
    let mut second = cx.manager()?;
    heir.send(&[
        Bc::Acquire(0),
        Bc::RequestDeath(0, 2),
        Bc::RequestDeath(old, 3),
    ])?;
    check_eq!(heir.read()?[1..], [Br::Cookie(BR_DEAD_BINDER, 3)]);
    heir.send(&[Bc::DeadBinderDone(3), Bc::Release(old)])?;
    round_trip(&mut heir, &mut second, Call::to(0), Call::reply())?;
    second.kill()?;
    check_eq!(heir.read()?[1..], [Br::Cookie(BR_DEAD_BINDER, 2)]);
    Ok(())
}

fn other_user(cx: &mut Cx) -> Result<()> {
    let manager = cx.manager()?;
    let mut other = cx.client()?;
    other.must(libc::SYS_setresuid, &[1000, 1000, 1000])?;
    check_eq!(
        other.ioctl(BINDER_SET_CONTEXT_MGR, 0i32)?,
        Err(Errno::EBUSY)
    );
    manager.exit()?;
    check_eq!(refused_once_vacant(&mut other)?, Errno::EPERM);
    Ok(())
}

/// What the ioctl says once there is no manager any more.
fn refused_once_vacant(process: &mut harness::Process) -> Result<Errno> {
    let deadline = Deadline::step();
    loop {
        match process.ioctl(BINDER_SET_CONTEXT_MGR, 0i32)? {
            Err(Errno::EBUSY) if !deadline.passed() => std::thread::yield_now(),
            result => return result.err().context("another user became the manager"),
        }
    }
}

fn user_sticks(cx: &mut Cx) -> Result<()> {
    cx.manager()?.kill()?;
    cx.wait_for_vacancy()?;
    let mut other = cx.client()?;
    other.must(libc::SYS_setresuid, &[u64::MAX, 1000, u64::MAX])?;
    check_eq!(
        other.ioctl(BINDER_SET_CONTEXT_MGR, 0i32)?,
        Err(Errno::EPERM),
        "effective user 1000"
    );
    // It is the effective user of the moment that counts, not the opener's.
    other.must(libc::SYS_setresuid, &[u64::MAX, 0, u64::MAX])?;
    check_eq!(other.ioctl(BINDER_SET_CONTEXT_MGR, 0i32)?, Ok(0));
    Ok(())
}

fn per_device(cx: &mut Cx) -> Result<()> {
    let Some(path) = cx.sibling.clone() else {
        return Err(
            Skip("needs a second device of the driver: --device NAME,SIBLING".into()).into(),
        );
    };
    let sibling = Cx::new(&path, None);
    sibling.wait_for_vacancy()?;
    let mut here = cx.manager()?;
    let mut there = sibling.manager()?;
    let mut client = cx.client()?;
    let mut other = sibling.client()?;
    check_eq!(
        round_trip(
            &mut client,
            &mut here,
            Call::to(0),
            Call::reply().data(b"here")
        )?,
        b"here"
    );
    check_eq!(
        round_trip(
            &mut other,
            &mut there,
            Call::to(0),
            Call::reply().data(b"there")
        )?,
        b"there"
    );
    // One process may use both.
    let usual = client.endpoint;
    client.open(&path)?;
    client.map(harness::device::USUAL_SIZE)?;
    check_eq!(
        round_trip(
            &mut client,
            &mut there,
            Call::to(0),
            Call::reply().data(b"both")
        )?,
        b"both"
    );
    check!(usual.fd != client.endpoint.fd, "another descriptor");
    Ok(())
}

fn info(handle: u32) -> NodeInfoForRef {
    NodeInfoForRef {
        handle,
        ..NodeInfoForRef::default()
    }
}

fn info_permission(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let mut client = cx.client()?;
    let handle = give_node(&mut owner, &mut manager, NODE)?;
    let handle = pass_handle(&mut manager, &mut client, handle)?;
    check_eq!(
        client.ioctl(BINDER_GET_NODE_INFO_FOR_REF, info(handle))?,
        Err(Errno::EPERM)
    );
    // Another descriptor of the manager's process is not the manager.
    let endpoint = manager.endpoint;
    manager.open(&cx.device)?;
    check_eq!(
        manager.ioctl(BINDER_GET_NODE_INFO_FOR_REF, info(1))?,
        Err(Errno::EPERM)
    );
    manager.endpoint = endpoint;
    Ok(())
}

fn info_arguments(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let handle = give_node(&mut owner, &mut manager, NODE)?;
    let bad = [
        NodeInfoForRef {
            strong_count: 1,
            ..info(handle)
        },
        NodeInfoForRef {
            weak_count: 1,
            ..info(handle)
        },
        NodeInfoForRef {
            reserved1: 1,
            ..info(handle)
        },
        NodeInfoForRef {
            reserved2: 1,
            ..info(handle)
        },
        NodeInfoForRef {
            reserved3: 1,
            ..info(handle)
        },
    ];
    for argument in bad {
        check_eq!(
            manager.ioctl(BINDER_GET_NODE_INFO_FOR_REF, argument)?,
            Err(Errno::EINVAL)
        );
    }
    // The arguments are checked before the permission.
    check_eq!(
        owner.ioctl(BINDER_GET_NODE_INFO_FOR_REF, bad[0])?,
        Err(Errno::EINVAL)
    );
    Ok(())
}

fn info_unknown(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    check_eq!(
        manager.ioctl(BINDER_GET_NODE_INFO_FOR_REF, info(9))?,
        Err(Errno::EINVAL)
    );
    check_eq!(
        manager.ioctl(BINDER_GET_NODE_INFO_FOR_REF, info(0))?,
        Err(Errno::EINVAL)
    );
    owner.send(&[Call::oneway(0)
        .parcel(Parcel::new().weak_binder(NODE.0, NODE.1))
        .into()])?;
    let call = manager.receive()?;
    let handle = manager.object(&call, 0)?.handle();
    check_eq!(
        manager.ioctl(BINDER_GET_NODE_INFO_FOR_REF, info(handle))?,
        Err(Errno::EINVAL)
    );
    Ok(())
}

fn info_counts(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let mut client = cx.client()?;
    owner.send(&[Call::oneway(0)
        .parcel(Parcel::new().binder(NODE.0, NODE.1))
        .into()])?;
    let call = manager.receive()?;
    let handle = manager.object(&call, 0)?.handle();
    let mut counts = |manager: &mut harness::Process, when: &str| -> Result<(u32, u32)> {
        let info = manager
            .ioctl(BINDER_GET_NODE_INFO_FOR_REF, info(handle))?
            .context("node info")?;
        cx.note(when, (info.strong_count, info.weak_count));
        Ok((info.strong_count, info.weak_count))
    };
    check_eq!(counts(&mut manager, "in the buffer")?, (1, 0));
    let returns = owner.read()?;
    // What the owner has been told and has not confirmed counts as well.
    check_eq!(counts(&mut manager, "told")?, (2, 1));
    owner.acknowledge(&returns)?;
    check_eq!(counts(&mut manager, "confirmed")?, (1, 0));
    manager.send(&[
        Bc::Acquire(handle),
        Bc::Acquire(handle),
        Bc::Increfs(handle),
    ])?;
    check_eq!(counts(&mut manager, "a process counts once")?, (1, 0));
    pass_handle(&mut manager, &mut client, handle)?;
    check_eq!(counts(&mut manager, "two processes")?, (2, 0));
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0

//! What has gone wrong in binder drivers before, as the attacks did it.
//!
//! `Documentation/security.md` lists them all; for most the cases of other sections
//! are as good, and it names those.

use super::case;
use crate::buffers;
use crate::fixtures::*;
use anyhow::{Context, Result, bail};
use binder_abi::*;
use harness::thread::PAGE;
use harness::wire::{Argument, Request};
use harness::{
    Bc, Br, Call, Case, Cx, Errno, Exchange, Parcel, Pending, Process, Thread, Transactions, check,
    check_eq, check_returns,
};

pub const CASES: &[Case] = &[
    case(
        "cve/2020-0030-caller-leaves-while-answered",
        "a reply and the end of the thread it is for, at the same time",
        caller_leaves,
    )
    .covers(&["CVE-2020-0030"]),
    case(
        "cve/2020-0030-caller-leaves-while-called",
        "a nested call and the end of the thread it is for, at the same time",
        nested_target_leaves,
    )
    .covers(&["CVE-2020-0030"]),
    case(
        "cve/2020-0041-parent-not-yet-seen",
        "a parent that is a good object, but further behind: EINVAL",
        parent_not_yet_seen,
    )
    .covers(&["CVE-2020-0041"]),
    case(
        "cve/2020-0423-exit-with-work-of-nodes",
        "a thread's end and the end of nodes it was to be told of, at the same time",
        exit_with_work_of_nodes,
    )
    .covers(&["CVE-2020-0423"]),
    case(
        "cve/2022-20421-failed-count",
        "a count that is refused leaves no reference, and none too few",
        failed_count,
    )
    .covers(&["CVE-2022-20421"]),
    case(
        "cve/2022-20421-sent-while-released",
        "a handle is sent and released at the same time: all of it or nothing",
        sent_while_released,
    )
    .covers(&["CVE-2022-20421"]),
    case(
        "cve/2023-20938-unaligned-offsets",
        "a cut list of objects counts down nothing that it did not count up",
        unaligned_offsets,
    )
    .covers(&["CVE-2023-21255"]),
    case(
        "cve/2024-46740-offsets-area",
        "objects that are made of offsets are no objects, not even for the clean-up",
        offsets_area,
    )
    .covers(&["CVE-2024-46740"]),
    case(
        "cve/2025-68260-clear-while-owner-dies",
        "requests are cleared while their nodes die: each is answered once",
        clear_while_owner_dies,
    )
    .covers(&["CVE-2025-68260"]),
    case(
        "cve/2026-43433-mapping-is-the-driver's",
        "a receiver cannot change what lies in its space",
        mapping_is_the_drivers,
    )
    .covers(&["CVE-2026-43433"]),
    case(
        "cve/2026-43434-moved-mapping",
        "a space that is moved is closed for ever",
        moved_mapping,
    )
    .covers(&["CVE-2026-43434"]),
];

/// How often things are done at the same time.
const ROUNDS: u64 = 40;

/// Begins the end of a thread, as the driver sees it.
fn begin_exit(thread: &mut Thread) -> Result<Pending<'_>> {
    let arguments = vec![
        Argument::Value(thread.endpoint.fd as u64),
        Argument::Value(u64::from(BINDER_THREAD_EXIT)),
        Argument::Memory(vec![0; 4]),
    ];
    thread.begin(&Request::Syscall {
        number: libc::SYS_ioctl,
        arguments,
    })
}

fn caller_leaves(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    for _ in 0..ROUNDS {
        let call = call_received(&mut client, &mut manager)?;
        let commands = [
            Call::reply().data(b"too late").into(),
            Bc::FreeBuffer(call.data.buffer),
        ];
        let exit = begin_exit(&mut client)?;
        let reply = manager.begin_exchange(&Exchange::write(&commands))?;
        exit.finish()?;
        let outcome = reply.outcome()?.ok()?;
        complete(&mut manager)?;
        // A reply that failed ended the write.
        if outcome.write_consumed == commands[0].size() {
            manager.free(&call)?;
        }
        // The thread is a new one to the driver, and nothing waits for it.
        check_returns!(client.read()?, [BR_NOOP]);
        expect_nothing(&mut client)?;
    }
    harness::case::round_trip(&mut client, &mut manager, Call::to(0), Call::reply()).map(drop)
}

fn nested_target_leaves(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut idle = client.spawn_thread()?;
    idle.version()?.ok();
    let handle = give_node(&mut client, &mut manager, NODE)?;
    for _ in 0..ROUNDS {
        let call = call_received(&mut client, &mut manager)?;
        let exit = begin_exit(&mut client)?;
        let commands = [Call::to(handle).into()];
        let nested = manager.begin_exchange(&Exchange::write(&commands))?;
        exit.finish()?;
        nested.outcome()?.ok()?;
        // Either the thread had left and another one gets the call, or it dies with it.
        let code = match manager.try_read()?.last() {
            Some(last) => last.code(),
            None => {
                let back = idle.receive()?;
                idle.answer(&back, Call::reply())?;
                complete(&mut idle)?;
                manager.receive()?.code
            }
        };
        check!([BR_DEAD_REPLY, BR_REPLY].contains(&code), "{code:#x}");
        manager.send(&[Call::reply().into()])?;
        complete(&mut manager)?;
        manager.free(&call)?;
        check_returns!(client.read()?, [BR_NOOP]);
    }
    Ok(())
}

fn parent_not_yet_seen(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let open = next_fd(&mut manager)?;
    for parent in [2, 3, 7, 8, 15, 16] {
        // Eight times the index of the bad object is more than all of these.
        let fds = buffers::numbers(&[0, 1]);
        let files = Parcel::new()
            .bytes(&[0; 8])
            .buffer(&fds, buffers::alone())
            .fd_array(2, parent, 0);
        let pointer = Parcel::new()
            .bytes(&[0; 8])
            .buffer(&fds, buffers::alone())
            .buffer(&fds, buffers::inside(parent, 0));
        for parcel in [files, pointer] {
            let parcel = (0..6).fold(parcel, |p, _| p.buffer(&fds, buffers::alone()));
            buffers::refused(&mut client, parcel, 64, Errno::EINVAL)?;
        }
    }
    check_eq!(next_fd(&mut manager)?, open);
    Ok(())
}

fn exit_with_work_of_nodes(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let mut thread = owner.spawn_thread()?;
    for round in 0..ROUNDS {
        let parcel = (1..=20).fold(Parcel::new(), |p, ptr| p.binder(ptr, round));
        thread.send(&[Call::oneway(0).parcel(parcel).into()])?;
        let call = manager.receive()?;
        // The thread was not told of its nodes, and will not be.
        let exit = begin_exit(&mut thread)?;
        let free = [Bc::FreeBuffer(call.data.buffer)];
        let free = manager.begin_exchange(&Exchange::write(&free))?;
        exit.finish()?;
        free.outcome()?.ok()?;
        expect_nothing(&mut owner)?;
        check_returns!(thread.read()?, [BR_NOOP]);
    }
    // With another cookie each time: all of them were gone.
    Ok(())
}

fn failed_count(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let mut third = cx.client()?;
    owner.send(&[Call::oneway(0)
        .parcel(Parcel::new().weak_binder(NODE.0, NODE.1))
        .into()])?;
    let returns = owner.read()?;
    owner.acknowledge(&returns)?;
    let received = manager.receive()?;
    let handle = manager.object(&received, 0)?.handle();
    manager.send(&[Bc::Increfs(handle), Bc::FreeBuffer(received.data.buffer)])?;
    for _ in 0..5 {
        // Neither the sender nor the receiver comes by a strong count.
        manager.send(&[Bc::Acquire(handle)])?;
        let call = call_received(&mut third, &mut manager)?;
        let parcel = Parcel::new().handle(handle);
        manager
            .write(&[Call::reply().parcel(parcel).into()])?
            .ok()?;
        complete(&mut manager)?;
        manager.free(&call)?;
        check_returns!(
            third.read()?,
            [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY]
        );
    }
    expect_nothing(&mut owner)?;
    let other = give_node(&mut owner, &mut manager, OTHER)?;
    check_eq!(
        pass_handle(&mut manager, &mut third, other)?,
        1,
        "the receiver has no reference of the refused ones"
    );
    // One count is there, and only one.
    manager.send(&[Bc::Decrefs(handle)])?;
    check_returns!(owner.read()?, [BR_NOOP, BR_DECREFS]);
    manager.send(&[Bc::Decrefs(handle)])?;
    expect_nothing(&mut owner)
}

fn sent_while_released(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut other = manager.spawn_thread()?;
    other.version()?.ok();
    let mut owner = cx.client()?;
    let mut third = cx.client()?;
    let to_third = give_node(&mut third, &mut manager, OTHER)?;
    for _ in 0..ROUNDS {
        let handle = give_node(&mut owner, &mut manager, NODE)?;
        let send = [Call::oneway(to_third)
            .parcel(Parcel::new().handle(handle))
            .into()];
        let send = manager.begin_exchange(&Exchange::write(&send))?;
        let release = other.begin_exchange(&Exchange::write(&[Bc::Release(handle)]))?;
        send.outcome()?.ok()?;
        release.outcome()?.ok()?;
        match manager.read()?.last() {
            Some(Br::Plain(BR_TRANSACTION_COMPLETE)) => {
                let call = third.receive()?;
                check_eq!(third.object(&call, 0)?.handle(), 1);
                third.free(&call)?;
            }
            Some(Br::Plain(BR_FAILED_REPLY)) => expect_nothing(&mut third)?,
            other => bail!("{other:?}"),
        }
        check_returns!(owner.read()?, [BR_NOOP, BR_RELEASE, BR_DECREFS]);
    }
    Ok(())
}

/// Refuses a oneway call to handle 0, many times over; the sender's own nodes come and
/// go with it.
fn refuse_often(client: &mut Process, call: &Call, why: Errno) -> Result<()> {
    for _ in 0..8 {
        client.write(&[call.clone().into()])?.ok()?;
        let returns = client.read()?;
        check_eq!(returns.last(), Some(&Br::Plain(BR_FAILED_REPLY)));
        check_eq!(error_of(client)?, (BR_FAILED_REPLY, param(Some(why))));
        client.acknowledge(&returns)?;
    }
    Ok(())
}

fn unaligned_offsets(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let handle = give_node(&mut owner, &mut manager, NODE)?;
    for size in [4, 9, 12, 15] {
        let parcel = Parcel::new()
            .binder(NODE.0, NODE.1)
            .weak_binder(NODE.0, NODE.1);
        let call = Call::oneway(0).parcel(parcel).offsets_size(size);
        refuse_often(&mut owner, &call, Errno::EINVAL)?;
    }
    expect_nothing(&mut owner)?;
    // The manager's reference is what it was.
    manager.send(&[Call::oneway(handle).into()])?;
    let call = owner.receive()?;
    check_eq!((call.data.target, call.data.cookie), NODE);
    Ok(())
}

fn offsets_area(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let mut client = cx.client()?;
    let handle = give_node(&mut owner, &mut manager, NODE)?;
    check_eq!(handle, 1);
    // The third offset and what follows are an object that names the manager's handle;
    // the second one points to it: the offsets follow 24 bytes of data.
    for (second, why) in [
        (40, Errno::EFAULT),
        (32, Errno::EFAULT),
        (24, Errno::EINVAL),
    ] {
        let mut parcel = Parcel::new().weak_binder(OTHER.0, OTHER.1);
        let kind = u64::from(BINDER_TYPE_HANDLE);
        parcel.offsets.extend([second, kind, u64::from(handle), 0]);
        refuse_often(&mut client, &Call::oneway(0).parcel(parcel), why)?;
    }
    // Data of an odd size: the last of it lies where the offsets begin.
    let mut parcel = Parcel::new()
        .weak_binder(OTHER.0, OTHER.1)
        .bytes(&[0xFF; 5]);
    parcel.offsets.push(28);
    refuse_often(&mut client, &Call::oneway(0).parcel(parcel), Errno::EINVAL)?;
    expect_nothing(&mut owner)?;
    manager.send(&[Call::oneway(handle).into(), Bc::Release(handle)])?;
    let call = owner.receive()?;
    check_eq!((call.data.target, call.data.cookie), NODE);
    owner.free(&call)?;
    check_returns!(owner.read()?, [BR_NOOP, BR_RELEASE, BR_DECREFS]);
    Ok(())
}

fn clear_while_owner_dies(cx: &mut Cx) -> Result<()> {
    const NODES: u32 = 40;
    let mut manager = cx.manager()?;
    for round in 0..ROUNDS / 4 {
        // A mapping would keep the file open beyond its descriptor.
        let mut owner = cx.unmapped()?;
        let parcel = (1..=u64::from(NODES)).fold(Parcel::new(), |p, ptr| p.binder(ptr, ptr));
        owner.send(&[Call::oneway(0).parcel(parcel).into()])?;
        let call = manager.receive()?;
        let mut ask: Vec<Bc> = Vec::new();
        for index in 0..NODES {
            let handle = manager.object(&call, index as usize)?.handle();
            check_eq!(handle, index + 1, "all earlier ones are gone");
            ask.extend([
                Bc::Acquire(handle),
                Bc::RequestDeath(handle, u64::from(handle)),
            ]);
        }
        ask.push(Bc::FreeBuffer(call.data.buffer));
        manager.send(&ask)?;
        let clear: Vec<Bc> = (1..=NODES)
            .map(|handle| Bc::ClearDeath(handle, u64::from(handle)))
            .collect();
        let device = owner.endpoint.fd as u64;
        let close = owner.begin(&Request::Syscall {
            number: libc::SYS_close,
            arguments: vec![Argument::Value(device)],
        })?;
        // Every other time the driver is in the middle of it, or done.
        let told = match round % 2 {
            0 => Vec::new(),
            _ => manager.read()?,
        };
        let clear = manager.begin_exchange(&Exchange::write(&clear))?;
        check_eq!(close.status()?, Ok(0));
        clear.outcome()?.ok()?;
        answered_once(&mut manager, told, NODES)?;
        let release: Vec<Bc> = (1..=NODES).map(Bc::Release).collect();
        manager.send(&release)?;
        expect_nothing(&mut manager)?;
    }
    Ok(())
}

/// Reads on until each of so many cleared requests is done; a death may be told before.
fn answered_once(manager: &mut Process, mut read: Vec<Br>, requests: u32) -> Result<()> {
    let mut dead = vec![false; requests as usize + 1];
    let mut done = dead.clone();
    loop {
        for item in read {
            match item {
                Br::Plain(BR_NOOP) => {}
                Br::Cookie(BR_DEAD_BINDER, cookie) => {
                    check!(!dead[cookie as usize] && !done[cookie as usize], "{cookie}");
                    dead[cookie as usize] = true;
                    manager.send(&[Bc::DeadBinderDone(cookie)])?;
                }
                Br::Cookie(BR_CLEAR_DEATH_NOTIFICATION_DONE, cookie) => {
                    check!(!done[cookie as usize], "{cookie} twice");
                    done[cookie as usize] = true;
                }
                other => bail!("{other:?}"),
            }
        }
        if done.iter().filter(|done| **done).count() == requests as usize {
            return Ok(());
        }
        read = manager.read()?;
    }
}

fn mapping_is_the_drivers(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    // What the space holds are counts on this node.
    owner.send(&[Call::oneway(0)
        .parcel(Parcel::new().binder(NODE.0, NODE.1))
        .into()])?;
    let returns = owner.read()?;
    owner.acknowledge(&returns)?;
    let call = manager.receive()?;
    let (base, address) = (manager.endpoint.base, call.data.buffer);
    let before = manager.peek(address, 32)?.context("peek")?;
    let forged = [0u8; 32];
    check_eq!(manager.poke(address, &forged)?, Err(Errno::EFAULT));
    let rights = (libc::PROT_READ | libc::PROT_WRITE) as u64;
    let arguments = [base, manager.endpoint.size, rights];
    check_eq!(
        manager.syscall(libc::SYS_mprotect, &arguments)?,
        Err(Errno::EACCES)
    );
    // The way of debuggers, which overrules the rights of a mapping where it may.
    let memory = manager.open_raw("/proc/self/mem".as_ref(), libc::O_RDWR)?;
    let memory = memory.context("/proc/self/mem")?;
    let arguments = vec![
        Argument::Value(memory as u64),
        Argument::Memory(forged.to_vec()),
        Argument::Value(forged.len() as u64),
        Argument::Value(address),
    ];
    let (written, _) = manager.syscall_with(libc::SYS_pwrite64, arguments)?;
    cx.note("writing by force", written);
    check!(written.is_err());
    close(&mut manager, memory)?;
    check_eq!(manager.peek(address, 32)?, Ok(before));
    manager.free(&call)?;
    check_returns!(owner.read()?, [BR_NOOP, BR_RELEASE, BR_DECREFS]);
    Ok(())
}

fn moved_mapping(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_with_size(4 * PAGE)?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    let to = manager.allocate(4 * PAGE)?;
    let flags = (libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED) as u64;
    let base = manager.endpoint.base;
    let moved = manager.syscall(libc::SYS_mremap, &[base, 4 * PAGE, 4 * PAGE, flags, to])?;
    cx.note("moving", moved.map(drop));
    manager.send(&[Call::reply().into(), Bc::FreeBuffer(call.data.buffer)])?;
    complete(&mut manager)?;
    client.receive()?;
    fails(&mut client, Call::to(0), BR_DEAD_REPLY, Some(Errno::ESRCH))
}

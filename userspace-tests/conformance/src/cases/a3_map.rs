// SPDX-License-Identifier: GPL-2.0

//! Section A3: opening a device, mapping it, and what becomes of the mapping.

use super::case;
use crate::fixtures::*;
use anyhow::{Context, Result};
use binder_abi::*;
use harness::case::round_trip;
use harness::device::USUAL_SIZE;
use harness::thread::PAGE;
use harness::{Call, Case, Cx, Errno, Transactions, check, check_eq};
use libc::{MAP_NORESERVE, MAP_PRIVATE, MAP_SHARED, PROT_EXEC, PROT_NONE, PROT_READ, PROT_WRITE};
use nix::sys::signal::Signal;

pub const CASES: &[Case] = &[
    case(
        "a3/open-many-times",
        "a process may open a device many times",
        open_many_times,
    )
    .covers(&["A3.1"]),
    case(
        "a3/open-read-only",
        "a descriptor without write permission serves as well",
        open_read_only,
    ),
    case(
        "a3/no-read-write-seek",
        "a device has neither read nor write",
        no_read_write,
    ),
    case(
        "a3/map-usual",
        "the mapping libbinder makes is granted",
        map_usual,
    ),
    case(
        "a3/map-shared",
        "a shared mapping works as well as a private one",
        map_shared,
    ),
    case(
        "a3/map-writable-refused",
        "a writable mapping gives EPERM",
        map_writable,
    )
    .covers(&["A3.2"]),
    case(
        "a3/map-writable-refused-then-granted",
        "a refused mapping does not use up the only chance",
        map_after_refusal,
    ),
    case(
        "a3/map-twice-refused",
        "a second mapping gives EBUSY",
        map_twice,
    )
    .covers(&["A3.2"]),
    case(
        "a3/map-after-unmap-refused",
        "the space is not mapped again after munmap",
        map_after_unmap,
    )
    .covers(&["A3.4"]),
    case(
        "a3/map-offset-ignored",
        "the offset of the mapping does not matter",
        map_offset,
    ),
    case(
        "a3/mprotect-write-refused",
        "the mapping cannot be made writable",
        mprotect_write,
    )
    .covers(&["A19.14"]),
    case(
        "a3/poke-refused",
        "the mapping cannot be written through process_vm_writev",
        poke_refused,
    ),
    case(
        "a3/fault-is-sigbus",
        "touching a page without data ends the process with SIGBUS",
        fault_is_sigbus,
    ),
    case(
        "a3/only-4-mib-used",
        "of a larger mapping only 4 MiB are used",
        only_4_mib,
    )
    .covers(&["A3.3", "A19.15"]),
    case(
        "a3/one-page",
        "a mapping of one page holds one page of data",
        one_page,
    ),
    case(
        "a3/send-to-unmapped",
        "a call to a process that mapped nothing fails: dead, ESRCH",
        send_to_unmapped,
    )
    .covers(&["A6.17"]),
    case(
        "a3/send-from-unmapped",
        "a process that mapped nothing can call; replies to it fail",
        send_from_unmapped,
    ),
    case(
        "a3/unmap-closes-for-ever",
        "after munmap calls fail: dead, ESRCH",
        unmap_closes,
    )
    .covers(&["A3.4", "A6.17", "CVE-2023-20928"]),
    case(
        "a3/partial-unmap",
        "unmapping a part closes the whole space",
        partial_unmap,
    )
    .covers(&["A3.4"]),
    case(
        "a3/foreign-mapping-untouched",
        "memory mapped where the space was receives nothing",
        foreign_mapping,
    )
    .covers(&["CVE-2023-20928", "CVE-2026-43434"]),
    case(
        "a3/close-keeps-mapping",
        "closing the descriptor leaves the mapped device open",
        close_keeps_mapping,
    ),
];

fn open_many_times(cx: &mut Cx) -> Result<()> {
    let mut process = cx.process()?;
    for _ in 0..100 {
        process.open(&cx.device)?;
        check_eq!(process.version()?, Ok(8));
    }
    Ok(())
}

fn open_read_only(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.process()?;
    manager.endpoint.fd = manager
        .open_raw(&cx.device, libc::O_RDONLY)?
        .context("open")?;
    manager.map(USUAL_SIZE)?;
    harness::case::become_manager(&mut manager, FlatObject::default())?;
    let mut client = cx.client()?;
    let answer = round_trip(
        &mut client,
        &mut manager,
        Call::to(0),
        Call::reply().data(b"yes"),
    )?;
    check_eq!(answer, b"yes");
    Ok(())
}

fn no_read_write(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    let fd = client.endpoint.fd;
    let buffer = client.allocate(PAGE)?;
    check_eq!(
        client.syscall(libc::SYS_read, &[fd as u64, buffer, 4])?,
        Err(Errno::EINVAL)
    );
    check_eq!(put_byte(&mut client, fd, 0)?, Err(Errno::EINVAL));
    let seek = client.syscall(libc::SYS_lseek, &[fd as u64, 0, libc::SEEK_SET as u64])?;
    cx.note("lseek", seek);
    Ok(())
}

/// Whether a client of the given mapping can receive a reply.
fn can_receive(cx: &mut Cx, size: u64, protection: i32, flags: i32, offset: u64) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.unmapped()?;
    let base = client
        .map_raw(size, protection, flags, offset)?
        .context("mmap")?;
    client.endpoint.base = base;
    let answer = round_trip(
        &mut client,
        &mut manager,
        Call::to(0),
        Call::reply().data(b"data"),
    )?;
    check_eq!(answer, b"data");
    Ok(())
}

fn map_usual(cx: &mut Cx) -> Result<()> {
    can_receive(cx, USUAL_SIZE, PROT_READ, MAP_PRIVATE | MAP_NORESERVE, 0)
}

fn map_shared(cx: &mut Cx) -> Result<()> {
    can_receive(cx, USUAL_SIZE, PROT_READ, MAP_SHARED, 0)
}

fn map_offset(cx: &mut Cx) -> Result<()> {
    can_receive(cx, USUAL_SIZE, PROT_READ, MAP_PRIVATE, 16 * PAGE)
}

fn map_writable(cx: &mut Cx) -> Result<()> {
    let mut client = cx.unmapped()?;
    for flags in [MAP_PRIVATE, MAP_SHARED] {
        for protection in [PROT_WRITE, PROT_READ | PROT_WRITE] {
            check_eq!(
                client.map_raw(USUAL_SIZE, protection, flags, 0)?,
                Err(Errno::EPERM)
            );
        }
    }
    Ok(())
}

fn map_after_refusal(cx: &mut Cx) -> Result<()> {
    let mut client = cx.unmapped()?;
    check_eq!(
        client.map_raw(USUAL_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0)?,
        Err(Errno::EPERM)
    );
    client.map(USUAL_SIZE)
}

fn map_twice(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    check_eq!(
        client.map_raw(USUAL_SIZE, PROT_READ, MAP_PRIVATE, 0)?,
        Err(Errno::EBUSY)
    );
    Ok(())
}

fn map_after_unmap(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    client.unmap()?;
    check_eq!(
        client.map_raw(USUAL_SIZE, PROT_READ, MAP_PRIVATE, 0)?,
        Err(Errno::EBUSY)
    );
    Ok(())
}

fn mprotect_write(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    let (base, size) = (client.endpoint.base, client.endpoint.size);
    let mut protect =
        |protection: i32| client.syscall(libc::SYS_mprotect, &[base, size, protection as u64]);
    check_eq!(protect(PROT_READ | PROT_WRITE)?, Err(Errno::EACCES));
    check_eq!(protect(PROT_NONE)?, Ok(0));
    check_eq!(protect(PROT_READ)?, Ok(0));
    let executable = protect(PROT_READ | PROT_EXEC)?;
    cx.note("mprotect(PROT_EXEC)", executable);
    Ok(())
}

fn poke_refused(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::to(0).data(b"sent").into()])?;
    let call = manager.receive()?;
    check_eq!(manager.poke(call.data.buffer, b"fake")?, Err(Errno::EFAULT));
    check_eq!(manager.data(&call)?, b"sent");
    Ok(())
}

fn fault_is_sigbus(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    let address = client.endpoint.base + client.endpoint.size - 1;
    check_eq!(client.peek(address, 1)?, Err(Errno::EFAULT));
    // No answer: the process dies of it.
    let _ = client.begin(&harness::wire::Request::Touch { address })?;
    check_eq!(client.wait_signalled()?, Signal::SIGBUS);
    Ok(())
}

fn only_4_mib(cx: &mut Cx) -> Result<()> {
    const USED: u64 = 4 << 20;
    let mut manager = cx.manager_with_size(2 * USED)?;
    let mut client = cx.client()?;
    // Sizes are enough; the data need not exist to be refused for want of room.
    fails(
        &mut client,
        Call::to(0).data_at(0, USED + 1),
        BR_FAILED_REPLY,
        Some(Errno::ENOSPC),
    )?;
    fails(
        &mut client,
        Call::to(0).data_at(0, USED),
        BR_FAILED_REPLY,
        Some(Errno::EFAULT),
    )?;
    let memory = client.allocate(USED)?;
    client.send(&[Call::to(0).data_at(memory, USED).into()])?;
    let call = manager.receive()?;
    check_eq!(call.data.buffer, manager.endpoint.base);
    check_eq!(call.data.data_size, USED);
    Ok(())
}

fn one_page(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_with_size(PAGE)?;
    let mut client = cx.client()?;
    let data = vec![7; PAGE as usize + 1];
    fails(
        &mut client,
        Call::to(0).data(&data),
        BR_FAILED_REPLY,
        Some(Errno::ENOSPC),
    )?;
    client.send(&[Call::to(0).data(&data[1..]).into()])?;
    let call = manager.receive()?;
    check_eq!(manager.data(&call)?, data[1..]);
    Ok(())
}

fn send_to_unmapped(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.unmapped()?;
    harness::case::become_manager(&mut manager, FlatObject::default())?;
    let mut client = cx.client()?;
    fails(&mut client, Call::to(0), BR_DEAD_REPLY, Some(Errno::ESRCH))?;
    fails(
        &mut client,
        Call::oneway(0),
        BR_DEAD_REPLY,
        Some(Errno::ESRCH),
    )?;
    // Nothing is lost for good: it can still map.
    manager.map(USUAL_SIZE)?;
    round_trip(&mut client, &mut manager, Call::to(0), Call::reply())?;
    Ok(())
}

fn send_from_unmapped(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.unmapped()?;
    client.send(&[Call::to(0).data(b"hello").into()])?;
    let call = manager.receive()?;
    check_eq!(manager.data(&call)?, b"hello");
    manager.write(&[Call::reply().into()])?.ok()?;
    complete(&mut manager)?;
    expect(
        &mut client,
        &[BR_NOOP, BR_TRANSACTION_COMPLETE, BR_DEAD_REPLY],
    )?;
    check_eq!(
        error_of(&mut client)?,
        (BR_DEAD_REPLY, param(Some(Errno::ESRCH)))
    );
    Ok(())
}

fn unmap_closes(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    round_trip(&mut client, &mut manager, Call::to(0), Call::reply())?;
    manager.unmap()?;
    fails(&mut client, Call::to(0), BR_DEAD_REPLY, Some(Errno::ESRCH))?;
    fails(
        &mut client,
        Call::oneway(0),
        BR_DEAD_REPLY,
        Some(Errno::ESRCH),
    )
}

fn partial_unmap(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let last = manager.endpoint.base + manager.endpoint.size - PAGE;
    manager.must(libc::SYS_munmap, &[last, PAGE])?;
    fails(
        &mut client,
        Call::to(0).data(b"x"),
        BR_DEAD_REPLY,
        Some(Errno::ESRCH),
    )
}

fn foreign_mapping(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let (base, size) = (manager.endpoint.base, manager.endpoint.size);
    manager.unmap()?;
    let protection = (PROT_READ | PROT_WRITE) as u64;
    let flags = (MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED) as u64;
    manager.must(
        libc::SYS_mmap,
        &[base, size, protection, flags, u64::MAX, 0],
    )?;
    fails(
        &mut client,
        Call::to(0).data(&[1; 8192]),
        BR_DEAD_REPLY,
        Some(Errno::ESRCH),
    )?;
    let memory = manager.peek(base, 8192)?.context("anonymous memory")?;
    check!(
        memory.iter().all(|byte| *byte == 0),
        "foreign memory was written to"
    );
    Ok(())
}

fn close_keeps_mapping(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    manager.close()?;
    // Still the manager: the call is taken, and nobody can serve it.
    client.send(&[Call::to(0).into()])?;
    manager.unmap()?;
    expect(
        &mut client,
        &[BR_NOOP, BR_TRANSACTION_COMPLETE, BR_DEAD_REPLY],
    )
}

// SPDX-License-Identifier: GPL-2.0

//! Files of the device, and the threads that use it.

use super::{pair, scene};
use crate::fixtures::*;
use crate::shortage::steps::*;
use anyhow::Result;
use binder_abi::*;
use harness::device::USUAL_SIZE;
use harness::{Bc, Call, Case, Cx, Errno, Parcel, Transactions, check};

pub const ALL: &[Case] = &[
    scene("open", "a device is opened", open),
    scene("map", "it is mapped", map),
    scene("first-ioctl", "a thread becomes known", first_ioctl),
    scene(
        "become-manager",
        "a process becomes the context manager",
        manager,
    ),
    scene("enter-looper", "a thread becomes a looper", looper),
    scene("poll", "a thread polls", poll),
    scene("epoll", "a thread's epoll watches the device", epoll),
    scene("hold-manager", "handle 0 is held", hold_manager),
    scene(
        "close",
        "a device is closed while nothing can be allocated",
        close,
    ),
];

fn open(cx: &mut Cx) -> Result<()> {
    let mut process = cx.process()?;
    let path = cx.device.clone();
    let fd = despite(cx, &mut process, |thread| {
        thread.open_raw(&path, libc::O_RDWR)
    })?;
    check!(fd >= 0);
    Ok(())
}

fn map(cx: &mut Cx) -> Result<()> {
    let mut process = cx.unmapped()?;
    let flags = libc::MAP_PRIVATE | libc::MAP_NORESERVE;
    despite(cx, &mut process, |thread| {
        thread.map_raw(USUAL_SIZE, libc::PROT_READ, flags, 0)
    })?;
    Ok(())
}

fn first_ioctl(cx: &mut Cx) -> Result<()> {
    let mut process = cx.process()?;
    process.open(&cx.device)?;
    // The version alone needs no thread in this driver; a looper does.
    despite(cx, &mut process, |thread| thread.version())?;
    despite(cx, &mut process, |thread| {
        thread.ioctl(BINDER_SET_MAX_THREADS, 0u32)
    })?;
    Ok(())
}

fn manager(cx: &mut Cx) -> Result<()> {
    let mut process = cx.client()?;
    let node = FlatObject::default();
    despite(cx, &mut process, |thread| {
        thread.ioctl(BINDER_SET_CONTEXT_MGR_EXT, node)
    })?;
    let mut client = cx.client()?;
    call_received(&mut client, &mut process)?;
    Ok(())
}

fn looper(cx: &mut Cx) -> Result<()> {
    let mut process = cx.process()?;
    process.open(&cx.device)?;
    send_despite(cx, &mut process, &Bc::EnterLooper)
}

fn poll(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let (events, hit) = watched(cx, &mut manager, |thread| thread.poll_events())?;
    // The kernel does without some of what fails: an error has a cause, not every failure is one.
    check!(hit || events & libc::POLLERR == 0, "{events:#x}");
    client.send(&[Call::oneway(0).into()])?;
    let events = manager.poll_events()?;
    check!(
        events & libc::POLLIN != 0,
        "{events:#x} when there is work, something failed before: {hit}"
    );
    Ok(())
}

fn epoll(cx: &mut Cx) -> Result<()> {
    use harness::wire::Argument::{Memory, Value};
    let mut manager = cx.manager()?;
    let epoll = manager.must(libc::SYS_epoll_create1, &[0])? as u64;
    let fd = manager.endpoint.fd as u64;
    let event = [(libc::EPOLLIN as u32).to_le_bytes().to_vec(), vec![0; 8]].concat();
    let add = libc::EPOLL_CTL_ADD as u64;
    watched(cx, &mut manager, |thread| {
        let arguments = vec![Value(epoll), Value(add), Value(fd), Memory(event.clone())];
        // Without memory for the queue the device counts as ready, with an error.
        match thread.syscall_with(libc::SYS_epoll_ctl, arguments)?.0 {
            Ok(_) | Err(Errno::ENOMEM) => Ok(()),
            Err(errno) => anyhow::bail!("epoll_ctl: {errno}"),
        }
    })?;
    // Whether it watches now or not: closing takes it away again.
    manager.close()
}

fn hold_manager(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    send_despite(cx, &mut client, &Bc::Acquire(0))?;
    send_despite(cx, &mut client, &Bc::Release(0))
}

fn close(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client) = pair(cx)?;
    let handle = give_node(&mut client, &mut manager, NODE)?;
    let mut other = cx.client()?;
    pass_handle(&mut manager, &mut other, handle)?;
    let (_, write) = pipe(&mut client)?;
    client.send(&[Call::oneway(0).parcel(Parcel::new().fd(write, 0)).into()])?;
    for process in [&mut client, &mut manager] {
        process.unmap()?;
        watched(cx, process, |thread| thread.close())?;
    }
    Ok(())
}

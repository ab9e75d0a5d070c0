// SPDX-License-Identifier: GPL-2.0

//! Section A7: who closes the files of an array, and when.

use super::case;
use crate::buffers::*;
use crate::fixtures::*;
use anyhow::Result;
use binder_abi::*;
use harness::{
    Bc, Call, Case, Cx, Delivery, Errno, Exchange, Parcel, Process, Thread, Transactions, check,
    check_eq, check_returns,
};

pub const CASES: &[Case] = &[
    case(
        "a7/fda-closed-with-buffer",
        "giving the buffer back closes the files of its array, others stay",
        closed_with_buffer,
    )
    .covers(&["A7.4", "A19.8"]),
    case(
        "a7/fda-every-array-closed",
        "giving the buffer back closes the files of every array in it",
        every_array_closed,
    )
    .covers(&["A7.4", "A19.8"]),
    case(
        "a7/fda-close-ends-read",
        "a thread that closed files returns to user space instead of waiting",
        close_ends_read,
    ),
    case(
        "a7/fda-closed-by-other-thread",
        "any thread of the process may give the buffer back",
        closed_by_other_thread,
    ),
    case(
        "a7/fda-closed-by-child",
        "a child that gives the buffer back closes numbers of its own",
        closed_by_child,
    ),
    case(
        "a7/fda-already-closed",
        "a file that the receiver closed itself is not missed",
        already_closed,
    ),
    case(
        "a7/fda-number-used-again",
        "what is closed is whatever has the number",
        number_used_again,
    ),
    case(
        "a7/fda-undelivered",
        "files of an array that nobody took are let go with the process",
        undelivered,
    )
    .covers(&["A14.4"]),
    case(
        "a7/fda-kept-by-exit-of-thread",
        "a thread that leaves closes no files of what it received",
        kept_by_thread_exit,
    ),
    case(
        "a7/fda-kept-by-close-of-device",
        "closing the device leaves received files open",
        kept_by_close,
    ),
    case(
        "a7/fda-exit-of-process",
        "a process that ends lets go of received files",
        exit_of_process,
    ),
    case(
        "a7/fda-device-in-array",
        "a device may be sent, and is closed with the buffer",
        device_in_array,
    ),
    case(
        "a7/fda-closes-device-in-use",
        "a buffer may close the very descriptor it is given back with",
        closes_device_in_use,
    ),
    case(
        "a7/fda-closes-shared-device",
        "a buffer may close the descriptor it is given back with while others close theirs",
        closes_shared_device,
    ),
];

/// Sends the writing ends of pipes in one array, alone in its buffer.
fn send_array(
    client: &mut Thread,
    manager: &mut Thread,
    ends: &[i32],
) -> Result<(Delivery, Vec<i32>)> {
    let sent = array(parcel(), ends);
    let call = deliver(client, manager, sent, padded(4 * ends.len() as u64))?;
    let fds = numbers_of(manager, &call, 0)?;
    Ok((call, fds))
}

/// A pipe whose writing end is in an array that was received; the sender has closed
/// its own, so that reading ends when the receiver's is closed.
struct Sent {
    call: Delivery,
    fd: i32,
    read: i32,
}

fn sent(client: &mut Thread, manager: &mut Thread) -> Result<Sent> {
    let (read, write) = pipe(client)?;
    let (call, fds) = send_array(client, manager, &[write])?;
    close(client, write)?;
    Ok(Sent {
        call,
        fd: fds[0],
        read,
    })
}

fn both(cx: &Cx) -> Result<(Process, Process)> {
    Ok((cx.manager_for_files()?, cx.client()?))
}

fn closed_with_buffer(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client) = both(cx)?;
    let (read, write) = pipe(&mut client)?;
    let parcel = parcel()
        .fd(0, 0)
        .buffer(&numbers(&[write, 0]), alone())
        .fd_array(2, 1, 0)
        .fd(1, 0);
    let first = next_fd(&mut manager)?;
    let call = deliver(&mut client, &mut manager, parcel, 8)?;
    close(&mut client, write)?;
    manager.free(&call)?;
    let open: Vec<bool> = (first..first + 5)
        .map(|fd| is_open(&mut manager, fd))
        .collect::<Result<_>>()?;
    check_eq!(open, [true, false, false, true, false]);
    check_eq!(get_byte(&mut client, read)?, None);
    Ok(())
}

fn every_array_closed(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client) = both(cx)?;
    let parcel = parcel()
        .buffer(&numbers(&[0, 7, 1, 2]), alone())
        .fd_array(1, 0, 0)
        .fd_array(0, 0, 8)
        .fd_array(2, 0, 8)
        .buffer(&numbers(&[0, 8]), alone())
        .fd_array(1, 4, 0);
    let first = next_fd(&mut manager)?;
    let call = deliver(&mut client, &mut manager, parcel, 24)?;
    check_eq!(next_fd(&mut manager)?, first + 4);
    manager.free(&call)?;
    check_eq!(next_fd(&mut manager)?, first);
    // The numbers between the arrays are numbers only.
    check!(is_open(&mut manager, 7)? && is_open(&mut manager, 8)?);
    Ok(())
}

fn close_ends_read(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client) = both(cx)?;
    let free_and_read = |manager: &mut Process, call: &Delivery| {
        let free = [Bc::FreeBuffer(call.data.buffer)];
        manager.exchange(&Exchange::write(&free).and_read().nonblocking())
    };
    // There is nothing to read, and yet the read is not told to try again.
    let sent = sent(&mut client, &mut manager)?;
    let outcome = free_and_read(&mut manager, &sent.call)?.ok()?;
    check_returns!(outcome.returns()?, [BR_NOOP]);
    check!(!is_open(&mut manager, sent.fd)?);
    // Without a file to close it waits.
    let parcel = parcel().buffer(&[0; 8], alone()).fd_array(0, 0, 0);
    let call = deliver(&mut client, &mut manager, parcel, 8)?;
    check_eq!(
        free_and_read(&mut manager, &call)?.result,
        Err(Errno::EAGAIN)
    );
    expect_nothing(&mut manager)
}

fn closed_by_other_thread(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client) = both(cx)?;
    let mut other = manager.spawn_thread()?;
    other.version()?.ok();
    let sent = sent(&mut client, &mut manager)?;
    other.free(&sent.call)?;
    check!(!is_open(&mut manager, sent.fd)?);
    check_eq!(get_byte(&mut client, sent.read)?, None);
    // The thread that received it does not come back early for that.
    expect_nothing(&mut manager)
}

fn closed_by_child(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client) = both(cx)?;
    let sent = sent(&mut client, &mut manager)?;
    let mut child = manager.fork()?;
    check!(is_open(&mut child, sent.fd)?, "a child inherits the file");
    child.free(&sent.call)?;
    check!(!is_open(&mut child, sent.fd)?);
    check_eq!(put_byte(&mut manager, sent.fd, 9)?, Ok(1));
    check_eq!(get_byte(&mut client, sent.read)?, Some(9));
    Ok(())
}

fn already_closed(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client) = both(cx)?;
    let sent = sent(&mut client, &mut manager)?;
    close(&mut manager, sent.fd)?;
    check_eq!(get_byte(&mut client, sent.read)?, None);
    manager.free(&sent.call)?;
    check_eq!(next_fd(&mut manager)?, sent.fd);
    Ok(())
}

fn number_used_again(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client) = both(cx)?;
    let sent = sent(&mut client, &mut manager)?;
    close(&mut manager, sent.fd)?;
    check_eq!(manager.must(libc::SYS_dup, &[0])?, i64::from(sent.fd));
    manager.free(&sent.call)?;
    check!(!is_open(&mut manager, sent.fd)?);
    check!(is_open(&mut manager, 0)?);
    Ok(())
}

fn undelivered(cx: &mut Cx) -> Result<()> {
    for call in [Call::to(0), Call::oneway(0)] {
        let (manager, mut client) = both(cx)?;
        let (read, write) = pipe(&mut client)?;
        let parcel = parcel()
            .buffer(&numbers(&[0, write]), alone())
            .fd_array(2, 0, 0);
        client.send(&[call.parcel(parcel).buffers_size(8).into()])?;
        close(&mut client, write)?;
        manager.kill()?;
        check_eq!(get_byte(&mut client, read)?, None);
        client.kill()?;
    }
    Ok(())
}

fn kept_by_thread_exit(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client) = both(cx)?;
    let sent = sent(&mut client, &mut manager)?;
    check_eq!(manager.ioctl(BINDER_THREAD_EXIT, 0i32)?, Ok(0));
    check_eq!(put_byte(&mut manager, sent.fd, 4)?, Ok(1));
    check_eq!(get_byte(&mut client, sent.read)?, Some(4));
    manager.free(&sent.call)?;
    check_eq!(get_byte(&mut client, sent.read)?, None);
    Ok(())
}

fn kept_by_close(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client) = both(cx)?;
    let sent = sent(&mut client, &mut manager)?;
    client.send(&[Bc::Acquire(0), Bc::RequestDeath(0, 1)])?;
    manager.unmap()?;
    manager.close()?;
    // The driver has gone through the process when it tells of its nodes.
    expect(&mut client, &[BR_NOOP, BR_DEAD_BINDER])?;
    check_eq!(put_byte(&mut manager, sent.fd, 4)?, Ok(1));
    check_eq!(get_byte(&mut client, sent.read)?, Some(4));
    Ok(())
}

fn exit_of_process(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client) = both(cx)?;
    let sent = sent(&mut client, &mut manager)?;
    check_eq!(put_byte(&mut manager, sent.fd, 4)?, Ok(1));
    manager.exit()?;
    check_eq!(get_byte(&mut client, sent.read)?, Some(4));
    check_eq!(get_byte(&mut client, sent.read)?, None);
    Ok(())
}

fn device_in_array(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client) = both(cx)?;
    let device = client.endpoint.fd;
    let (call, fds) = send_array(&mut client, &mut manager, &[device, device])?;
    // The sender may go on with it through the receiver's eyes, as a child could.
    let own = manager.endpoint;
    manager.endpoint.fd = fds[0];
    check_eq!(manager.version()?, Ok(8));
    manager.endpoint = own;
    manager.free(&call)?;
    check!(!is_open(&mut manager, fds[0])? && !is_open(&mut manager, fds[1])?);
    // And the sender's own is as it was.
    let call = deliver(&mut client, &mut manager, Parcel::new(), 0)?;
    manager.free(&call)
}

fn closes_device_in_use(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client) = both(cx)?;
    let sent = sent(&mut client, &mut manager)?;
    let device = manager.endpoint.fd;
    manager.must(libc::SYS_dup2, &[device as u64, sent.fd as u64])?;
    // The only other descriptor goes, so that this was the last one.
    close(&mut manager, device)?;
    manager.endpoint.fd = sent.fd;
    let free = [Bc::FreeBuffer(sent.call.data.buffer)];
    let outcome = manager.exchange(&Exchange::write(&free).and_read().nonblocking())?;
    check_returns!(outcome.ok()?.returns()?, [BR_NOOP]);
    check!(!is_open(&mut manager, sent.fd)?);
    manager.unmap()?;
    cx.wait_for_vacancy()
}

fn closes_shared_device(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client) = both(cx)?;
    let sent = sent(&mut client, &mut manager)?;
    let device = manager.endpoint.fd;
    // A process of one thread, to which its descriptor is as good as a reference of its own.
    let mut child = manager.fork()?;
    let trap = child.trap()?;
    child.must(libc::SYS_dup2, &[device as u64, sent.fd as u64])?;
    close(&mut child, device)?;
    child.endpoint.fd = sent.fd;
    let free = [Bc::FreeBuffer(sent.call.data.buffer)];
    let exchange = Exchange::write(&free)
        .and_read()
        .read_buffer(trap.page)
        .nonblocking();
    let step = child.begin_exchange(&exchange)?;
    trap.wait(&step)?;
    // The buffer is gone, and the descriptor, but the thread is not back yet.
    manager.unmap()?;
    close(&mut manager, device)?;
    let mut other = cx.unmapped()?;
    check_eq!(
        other.ioctl(BINDER_SET_CONTEXT_MGR, 0u32)?.err(),
        Some(Errno::EBUSY)
    );
    trap.release(&[])?;
    step.outcome()?.ok()?;
    cx.wait_for_vacancy()
}

// SPDX-License-Identifier: GPL-2.0

//! Situations that many cases start from.

use anyhow::{Context, Result, bail};
use binder_abi::*;
use harness::case::become_manager;
use harness::returns::Br;
use harness::{
    Bc, Call, Cx, Delivery, Errno, Parcel, Process, Scheduling, Thread, Transactions, check_eq,
};

/// A pointer and a cookie for a node; any numbers do.
pub const NODE: (u64, u64) = (0x1000, 0x1001);
/// Another.
pub const OTHER: (u64, u64) = (0x2000, 0x2001);

/// Reads, expecting nothing but the completion of what was sent.
pub fn complete(thread: &mut Thread) -> Result<()> {
    expect(thread, &[BR_NOOP, BR_TRANSACTION_COMPLETE])
}

/// Reads, expecting exactly these codes.
pub fn expect(thread: &mut Thread, codes: &[u32]) -> Result<()> {
    let returns = thread.read()?;
    let actual: Vec<u32> = returns.iter().map(Br::code).collect();
    if actual != codes {
        let names: Vec<&str> = codes
            .iter()
            .map(|code| harness::returns::name(*code))
            .collect();
        bail!("returned {returns:?}, expected {names:?}");
    }
    Ok(())
}

/// Expects that there is nothing to read.
pub fn expect_nothing(thread: &mut Thread) -> Result<()> {
    let returns = thread.try_read()?;
    check_eq!(returns, Vec::<Br>::new());
    Ok(())
}

/// The owner sends a node to the holder in a oneway call to handle 0; the holder
/// keeps a strong reference and the owner knows of it.
pub fn give_node(owner: &mut Thread, holder: &mut Thread, node: (u64, u64)) -> Result<u32> {
    give_parcel(owner, holder, Parcel::new().binder(node.0, node.1))
}

/// The same for a node with flags.
pub fn give_node_with(
    owner: &mut Thread,
    holder: &mut Thread,
    node: (u64, u64),
    flags: u32,
) -> Result<u32> {
    give_parcel(
        owner,
        holder,
        Parcel::new().binder_with(flags, node.0, node.1),
    )
}

fn give_parcel(owner: &mut Thread, holder: &mut Thread, parcel: Parcel) -> Result<u32> {
    owner.send(&[Call::oneway(0).parcel(parcel).into()])?;
    let returns = owner.read()?;
    owner.acknowledge(&returns)?;
    let delivery = holder.receive()?;
    let handle = holder.object(&delivery, 0)?.handle();
    holder.send(&[Bc::Acquire(handle), Bc::FreeBuffer(delivery.data.buffer)])?;
    Ok(handle)
}

/// The manager hands one of its handles to a client in a reply; the client keeps
/// a strong reference.
pub fn pass_handle(manager: &mut Thread, client: &mut Thread, handle: u32) -> Result<u32> {
    client.send(&[Call::to(0).into()])?;
    let call = manager.receive()?;
    manager.answer(&call, Call::reply().parcel(Parcel::new().handle(handle)))?;
    complete(manager)?;
    let reply = client.receive()?;
    let handle = client.object(&reply, 0)?.handle();
    client.send(&[Bc::Acquire(handle), Bc::FreeBuffer(reply.data.buffer)])?;
    Ok(handle)
}

/// A client's call has been received by a process that serves handle 0.
pub fn call_received(client: &mut Thread, server: &mut Thread) -> Result<Delivery> {
    client.send(&[Call::to(0).into()])?;
    server.receive()
}

/// The call or reply that ends a list of returns.
pub fn delivery_in(returns: &[Br]) -> Result<&Delivery> {
    match returns.last() {
        Some(Br::Delivery(delivery)) => Ok(delivery),
        _ => bail!("expected a call or a reply, got {returns:?}"),
    }
}

/// A transaction fails at once: the write stops behind it, the next read says how,
/// and the extended error says why.
pub fn fails(thread: &mut Thread, call: Call, code: u32, why: Option<Errno>) -> Result<()> {
    let call: Bc = call.into();
    let outcome = thread.write(&[call.clone(), Bc::EnterLooper])?.ok()?;
    check_eq!(
        outcome.write_consumed,
        call.size(),
        "the write stops behind the transaction"
    );
    let returns = thread.read()?;
    let last = returns.last().context("returns")?;
    check_eq!(
        harness::returns::name(last.code()),
        harness::returns::name(code)
    );
    check_eq!(error_of(thread)?, (code, param(why)));
    Ok(())
}

/// The extended error without its number, which differs from run to run.
pub fn error_of(thread: &mut Thread) -> Result<(u32, i32)> {
    let error = thread.extended_error()?;
    Ok((error.command, error.param))
}

/// An error number as extended errors hold it.
pub fn param(errno: Option<Errno>) -> i32 {
    errno.map_or(0, |errno| -(errno as i32))
}

/// Makes a thread act for a user, as its user name space counts; only that thread.
pub fn set_euid(thread: &mut Thread, user: u32) -> Result<()> {
    let keep = u64::MAX;
    thread
        .must(libc::SYS_setresuid, &[keep, u64::from(user), keep])
        .map(drop)
}

/// A pipe: its reading and its writing end.
pub fn pipe(thread: &mut Thread) -> Result<(i32, i32)> {
    let arguments = vec![
        harness::wire::Argument::Memory(vec![0; 8]),
        harness::wire::Argument::Value(0),
    ];
    let (result, memory) = thread.syscall_with(libc::SYS_pipe2, arguments)?;
    result.context("pipe2")?;
    let end = |at: usize| i32::from_le_bytes(memory[0][at..at + 4].try_into().expect("four bytes"));
    Ok((end(0), end(4)))
}

/// Writes one byte to a descriptor.
pub fn put_byte(thread: &mut Thread, fd: i32, byte: u8) -> Result<Result<i64, Errno>> {
    use harness::wire::Argument::{Memory, Value};
    Ok(thread
        .syscall_with(
            libc::SYS_write,
            vec![Value(fd as u64), Memory(vec![byte]), Value(1)],
        )?
        .0)
}

/// Reads one byte from a descriptor; none at its end.
pub fn get_byte(thread: &mut Thread, fd: i32) -> Result<Option<u8>> {
    use harness::wire::Argument::{Memory, Value};
    let (result, memory) = thread.syscall_with(
        libc::SYS_read,
        vec![Value(fd as u64), Memory(vec![0]), Value(1)],
    )?;
    Ok((result.context("read")? == 1).then_some(memory[0][0]))
}

/// Closes a descriptor.
pub fn close(thread: &mut Thread, fd: i32) -> Result<()> {
    thread.must(libc::SYS_close, &[fd as u64]).map(drop)
}

/// The number the next descriptor of the process would get.
pub fn next_fd(thread: &mut Thread) -> Result<i32> {
    let fd = thread.must(libc::SYS_dup, &[0])?;
    close(thread, fd as i32)?;
    Ok(fd as i32)
}

/// Allows descriptors below this number only.
pub fn limit_fds(process: &mut Process, limit: i32) -> Result<()> {
    use harness::wire::Argument::{Memory, Value};
    let mut limits = (limit as u64).to_le_bytes().to_vec();
    limits.extend(4096u64.to_le_bytes());
    let arguments = vec![
        Value(0),
        Value(libc::RLIMIT_NOFILE as u64),
        Memory(limits),
        Value(0),
    ];
    process
        .syscall_with(libc::SYS_prlimit64, arguments)?
        .0
        .context("prlimit")?;
    Ok(())
}

/// Whether a descriptor is open.
pub fn is_open(thread: &mut Thread, fd: i32) -> Result<bool> {
    match thread.syscall(libc::SYS_fcntl, &[fd as u64, libc::F_GETFD as u64])? {
        Ok(_) => Ok(true),
        Err(Errno::EBADF) => Ok(false),
        Err(error) => Err(error).context("fcntl"),
    }
}

/// A client whose thread is scheduled so; the device was opened before.
pub fn client_scheduled(cx: &Cx, scheduling: Scheduling) -> Result<Process> {
    let client = cx.client()?;
    client.schedule(scheduling)?;
    Ok(client)
}

/// A context manager with these flags, whose device was opened by a thread scheduled so.
pub fn manager_scheduled(cx: &Cx, scheduling: Scheduling, flags: u32) -> Result<Process> {
    let mut process = cx.process()?;
    process.schedule(scheduling)?;
    process.open(&cx.device)?;
    process.version()?.context("BINDER_VERSION")?;
    process.map(harness::device::USUAL_SIZE)?;
    become_manager(
        &mut process,
        FlatObject {
            flags,
            ..FlatObject::default()
        },
    )?;
    Ok(process)
}

/// Sends a oneway call, which the server reads and gives back.
pub fn oneway_received(client: &mut Thread, server: &mut Thread) -> Result<()> {
    client.send(&[Call::oneway(0).into()])?;
    complete(client)?;
    let call = server.receive()?;
    server.free(&call)
}

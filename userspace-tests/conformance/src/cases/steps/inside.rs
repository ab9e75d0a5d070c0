// SPDX-License-Identifier: GPL-2.0

//! Situations in the middle of a system call: a sender or a reader is caught in the
//! driver, where it copies.
//!
//! What is copied lies at the seam between ordinary memory and a trap.  Before the
//! thread is caught, the driver has done everything that comes before that copy, and
//! nothing that comes after it.

use crate::fixtures::complete;
use anyhow::{Context, Result};
use binder_abi::*;
use harness::returns::{self, Br};
use harness::thread::PAGE;
use harness::{
    Bc, Call, Cx, Exchange, Parcel, Pending, Process, Thread, Transactions, Trap, check_eq,
};
use zerocopy::IntoBytes;

/// How far a driver may read behind the start of an object, which can be 40 bytes
/// long, when it does not know its size yet.
const WINDOW: usize = 16;
/// How much data lies in the trap.
pub const TAIL: usize = 8;

/// Puts memory to an address of the thread's process.
fn put(thread: &mut Thread, address: u64, bytes: &[u8]) -> Result<()> {
    thread.poke(address, bytes)?.context("memory of a trap")
}

/// Gives a call this parcel, and behind it data that is caught: by then the driver
/// knows all objects.
pub fn caught_behind(
    thread: &mut Thread,
    trap: &Trap,
    call: Call,
    parcel: &Parcel,
) -> Result<Call> {
    let before = parcel.data.len().next_multiple_of(4) + WINDOW;
    let start = trap.page - before as u64;
    put(thread, start, &parcel.data)?;
    offsets_of(
        thread,
        trap,
        parcel,
        call.data_at(start, (before + TAIL) as u64),
    )
}

/// Gives a call this parcel, whose data lies in the trap from its first byte: the
/// driver knows no object yet.  The trap has to be released with the parcel's data.
pub fn caught_before(
    thread: &mut Thread,
    trap: &Trap,
    call: Call,
    parcel: &Parcel,
) -> Result<Call> {
    let size = parcel.data.len() as u64;
    offsets_of(thread, trap, parcel, call.data_at(trap.page, size))
}

fn offsets_of(thread: &mut Thread, trap: &Trap, parcel: &Parcel, call: Call) -> Result<Call> {
    let offsets = parcel.offsets.as_bytes();
    put(thread, trap.page + PAGE, offsets)?;
    Ok(call.offsets_at(trap.page + PAGE, offsets.len() as u64))
}

/// A call that is caught and carries nothing else.
pub fn caught_call(call: Call, trap: &Trap) -> Call {
    call.data_at(trap.page, TAIL as u64)
}

/// Begins to send, up to where the thread is caught.
pub fn send_into<'a>(thread: &'a mut Thread, trap: &Trap, call: Call) -> Result<Pending<'a>> {
    let step = thread.begin_exchange(&Exchange::write(&[call.into()]))?;
    trap.wait(&step)?;
    Ok(step)
}

/// Lets the sender go on and awaits the end of its write.
pub fn let_go(trap: Trap, step: Pending<'_>, content: &[u8]) -> Result<()> {
    trap.release(content)?;
    step.outcome()?.ok()?;
    Ok(())
}

/// Lets the sender's copy fail and awaits the end of its write.
pub fn let_fail(trap: Trap, step: Pending<'_>) -> Result<()> {
    trap.spoil()?;
    step.outcome()?.ok()?;
    Ok(())
}

/// Where a reader's returns begin that is caught behind the first word: the driver
/// has taken what it returns from the queue then, and the reader has not got it.
pub fn read_at(trap: &Trap) -> u64 {
    trap.page - size_of::<u32>() as u64
}

/// A read that is caught behind its first word.
pub fn caught_read(trap: &Trap) -> Exchange {
    Exchange::read().read_buffer(read_at(trap))
}

/// Begins to read what is there, up to where the thread is caught.
pub fn read_into<'a>(thread: &'a mut Thread, trap: &Trap) -> Result<Pending<'a>> {
    let step = thread.begin_exchange(&caught_read(trap))?;
    trap.wait(&step)?;
    Ok(step)
}

/// What a reader has got that was let go: how much its exchange says it is, and where
/// it was caught.
pub fn returns_at(thread: &mut Thread, address: u64, consumed: u64) -> Result<Vec<Br>> {
    let bytes = thread.peek(address, consumed)?.context("a read buffer")?;
    returns::parse(&bytes)
}

/// Lets the reader go on; what it got is at the address that it was caught behind.
pub fn let_read(trap: Trap, step: Pending<'_>) -> Result<u64> {
    trap.release(&[])?;
    Ok(step.outcome()?.ok()?.read_consumed)
}

/// The cookie by which a watcher knows the manager.
const WATCHED: u64 = 0x77;

/// A process that will be told when the manager is dead: later than any sender finds
/// it so.
pub fn watch_manager(cx: &Cx) -> Result<Process> {
    let mut watcher = cx.client()?;
    watcher.send(&[Bc::Acquire(0), Bc::RequestDeath(0, WATCHED)])?;
    Ok(watcher)
}

/// Waits until the manager is dead.
pub fn manager_is_dead(mut watcher: Process) -> Result<()> {
    check_eq!(
        watcher.read()?,
        [Br::Plain(BR_NOOP), Br::Cookie(BR_DEAD_BINDER, WATCHED)]
    );
    watcher.exit()
}

/// Asks to be told when the owner of a handle is dead, in a thread of its own.
pub fn watch(holder: &mut Thread, handle: u32) -> Result<Thread> {
    let mut watcher = holder.spawn_thread()?;
    // Its first read would return at once.
    watcher.version()?.context("BINDER_VERSION")?;
    watcher.send(&[Bc::EnterLooper, Bc::RequestDeath(handle, WATCHED)])?;
    Ok(watcher)
}

/// Waits until the owner is dead.
pub fn is_dead(watcher: &mut Thread) -> Result<()> {
    check_eq!(
        watcher.read()?,
        [Br::Plain(BR_NOOP), Br::Cookie(BR_DEAD_BINDER, WATCHED)]
    );
    watcher.send(&[Bc::DeadBinderDone(WATCHED)])
}

/// Another thread of the process, known to the driver.
pub fn another(thread: &mut Thread) -> Result<Thread> {
    let mut other = thread.spawn_thread()?;
    other.version()?.context("BINDER_VERSION")?;
    Ok(other)
}

/// Answers a call whose caller waits no more: the replier sees no difference.
pub fn answer_lost(thread: &mut Thread, call: &harness::Delivery) -> Result<()> {
    thread.write(&[Call::reply().into()])?.ok()?;
    complete(thread)?;
    thread.free(call)
}

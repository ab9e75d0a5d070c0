// SPDX-License-Identifier: GPL-2.0

//! What meets what, and what may come of it.

use anyhow::{Context, Result};
use binder_abi::*;
use harness::returns::Br;
use harness::{Bc, Call, Case, Exchange, Parcel, Process, Thread, Transactions};

mod buffers;
mod calls;
mod freeze;
mod news;
mod objects;

/// A scenario that every driver has to pass.
const fn scenario(
    name: &'static str,
    claim: &'static str,
    run: fn(&mut harness::Cx) -> Result<()>,
) -> Case {
    Case::new(name, claim, run)
}

/// All scenarios.
pub fn all() -> Vec<Case> {
    [
        buffers::SCENARIOS,
        calls::SCENARIOS,
        objects::SCENARIOS,
        news::SCENARIOS,
        freeze::SCENARIOS,
    ]
    .concat()
}

/// The node that scenarios send.
const NODE: (u64, u64) = (0x1000, 0x1001);

/// The owner sends its node to the manager, which keeps a strong reference.
fn give_node(owner: &mut Thread, manager: &mut Thread) -> Result<u32> {
    let parcel = Parcel::new().binder(NODE.0, NODE.1);
    owner.send(&[Call::oneway(0).parcel(parcel).into()])?;
    let returns = owner.read()?;
    owner.acknowledge(&returns)?;
    let delivery = manager.receive()?;
    let handle = manager.object(&delivery, 0)?.handle();
    manager.send(&[Bc::Acquire(handle), Bc::FreeBuffer(delivery.data.buffer)])?;
    Ok(handle)
}

/// Another thread of the process, known to the driver.
fn another(thread: &mut Thread) -> Result<Thread> {
    let mut other = thread.spawn_thread()?;
    other.version()?.context("BINDER_VERSION")?;
    Ok(other)
}

/// A process that is good for system calls only.
fn bystander(cx: &harness::Cx) -> Result<Process> {
    cx.process()
}

/// A call that waits for its reply.
fn call_and_wait(call: Call) -> Exchange {
    Exchange::write(&[call.into()]).and_read()
}

/// The codes of returns, without the first word and requests for loopers.
fn codes(returns: &[Br]) -> Vec<u32> {
    let ignored = [BR_NOOP, BR_SPAWN_LOOPER];
    let codes = returns.iter().map(Br::code);
    codes.filter(|code| !ignored.contains(code)).collect()
}

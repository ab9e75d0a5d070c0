// SPDX-License-Identifier: GPL-2.0

//! Section A11: a process is frozen or thawed while a transaction to it, from it or
//! for it is being copied.

use super::inside::*;
use crate::cases::case;
use crate::fixtures::*;
use anyhow::{Context, Result, bail};
use binder_abi::*;
use harness::case::round_trip;
use harness::returns::Br;
use harness::wire::Argument;
use harness::{Bc, Call, Case, Cx, Errno, Exchange, Thread, Transactions, check_eq, check_returns};
use zerocopy::IntoBytes;

pub const CASES: &[Case] = &[
    case(
        "a11/frozen-during-call",
        "a call to a process that is frozen while it is copied fails: frozen",
        frozen_during_call,
    )
    .covers(&["A6.29", "A11.1"]),
    case(
        "a11/frozen-during-oneway",
        "a oneway call to a process that is frozen while it is copied is pending",
        frozen_during_oneway,
    )
    .covers(&["A6.31", "A19.19"]),
    case(
        "a11/thawed-during-call",
        "a call to a process that is thawed while it is copied is delivered",
        thawed_during_call,
    )
    .covers(&["A6.29"]),
    case(
        "a11/dies-frozen-during-call",
        "a call to a frozen process that dies while it is copied fails: dead",
        dies_frozen,
    )
    .covers(&["A6.30"]),
    case(
        "a11/freeze-while-call-is-read",
        "who is reading a call cannot be frozen",
        freeze_while_call_read,
    )
    .covers(&["A11.1", "A19.11"]),
    case(
        "a11/freeze-while-oneway-is-read",
        "who is reading a oneway call cannot be frozen before it has it",
        freeze_while_oneway_read,
    )
    .covers(&["A11.1", "A19.11"]),
    case(
        "a11/freeze-while-reply-is-read",
        "who is reading a reply cannot be frozen before it has it",
        freeze_while_reply_read,
    )
    .covers(&["A11.1"]),
    case(
        "a11/freeze-waits-for-read",
        "freezing with time to wait waits for a oneway call that is being read",
        freeze_waits,
    )
    .covers(&["A11.1"]),
    case(
        "a11/clear-while-state-is-read",
        "taking back a request whose notification is being read: after the answer",
        clear_while_read,
    )
    .covers(&["A11.7"]),
    case(
        "a11/answer-while-state-is-read",
        "a notification can be answered by who guesses that it is being read",
        answer_while_read,
    ),
    case(
        "a11/thawed-while-state-is-read",
        "a change while a notification is being read is told after the answer",
        thawed_while_read,
    )
    .covers(&["A11.6"]),
    case(
        "a11/drop-while-state-is-read",
        "a handle can be dropped while its owner's state is being read",
        drop_while_read,
    )
    .covers(&["CVE-2024-56554"]),
    case(
        "a11/update-during-update",
        "the update that is complete last replaces, not the one that began last",
        update_during_update,
    )
    .covers(&["A6.34"]),
    case(
        "a11/thawed-during-update",
        "an update that comes too late to replace is delivered as well",
        thawed_during_update,
    )
    .covers(&["A6.34", "A11.8"]),
];

const COOKIE: u64 = 5;

/// Freezes or thaws a process, without waiting.
fn set(by: &mut Thread, pid: i32, frozen: bool) -> Result<Result<(), Errno>> {
    let info = FreezeInfo {
        pid: pid as u32,
        enable: frozen.into(),
        timeout_ms: 0,
    };
    Ok(by.ioctl(BINDER_FREEZE, info)?.map(drop))
}

/// The same, which has to work.
fn must_set(by: &mut Thread, pid: i32, frozen: bool) -> Result<()> {
    set(by, pid, frozen)?.context("BINDER_FREEZE")
}

fn frozen_during_call(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = cx.client()?;
    let trap = client.trap()?;
    let step = send_into(&mut client, &trap, caught_call(Call::to(0), &trap))?;
    // What is not queued is not outstanding.
    must_set(&mut other, manager.pid(), true)?;
    let_go(trap, step, b"too late")?;
    expect(&mut client, &[BR_NOOP, BR_FROZEN_REPLY])?;
    check_eq!(error_of(&mut client)?, (BR_FROZEN_REPLY, 0));
    let asked = FrozenStatusInfo {
        pid: manager.pid() as u32,
        ..Default::default()
    };
    let told = other.ioctl(BINDER_GET_FROZEN_INFO, asked)?;
    check_eq!(
        told.map(|info| (info.sync_recv, info.async_recv)),
        Ok((1, 0))
    );
    must_set(&mut other, manager.pid(), false)?;
    expect_nothing(&mut manager)?;
    round_trip(&mut client, &mut manager, Call::to(0), Call::reply())?;
    Ok(())
}

fn frozen_during_oneway(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = cx.client()?;
    let trap = client.trap()?;
    let step = send_into(&mut client, &trap, caught_call(Call::oneway(0), &trap))?;
    must_set(&mut other, manager.pid(), true)?;
    let_go(trap, step, b"pending.")?;
    expect(&mut client, &[BR_NOOP, BR_TRANSACTION_PENDING_FROZEN])?;
    must_set(&mut other, manager.pid(), false)?;
    let call = manager.receive()?;
    check_eq!(manager.data(&call)?, b"pending.");
    Ok(())
}

fn thawed_during_call(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = cx.client()?;
    must_set(&mut other, manager.pid(), true)?;
    let trap = client.trap()?;
    let step = send_into(&mut client, &trap, caught_call(Call::to(0), &trap))?;
    must_set(&mut other, manager.pid(), false)?;
    let_go(trap, step, b"in time.")?;
    let call = manager.receive()?;
    check_eq!(manager.data(&call)?, b"in time.");
    manager.answer(&call, Call::reply())?;
    check_eq!(client.receive()?.code, BR_REPLY);
    Ok(())
}

fn dies_frozen(cx: &mut Cx) -> Result<()> {
    let manager = cx.manager()?;
    let watcher = watch_manager(cx)?;
    let mut client = cx.client()?;
    let mut other = cx.client()?;
    let trap = client.trap()?;
    let step = send_into(&mut client, &trap, caught_call(Call::to(0), &trap))?;
    must_set(&mut other, manager.pid(), true)?;
    manager.kill()?;
    manager_is_dead(watcher)?;
    let_go(trap, step, b"too late")?;
    expect(&mut client, &[BR_NOOP, BR_DEAD_REPLY])
}

fn freeze_while_call_read(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = cx.client()?;
    client.send(&[Call::to(0).into()])?;
    let trap = manager.trap()?;
    let pid = manager.pid();
    let step = read_into(&mut manager, &trap)?;
    check_eq!(set(&mut other, pid, true)?, Err(Errno::EAGAIN));
    trap.spoil()?;
    check_eq!(step.outcome()?.result, Err(Errno::EFAULT));
    // The call has failed, and nothing is left to wait for.
    must_set(&mut other, pid, true)?;
    must_set(&mut other, pid, false)?;
    expect(
        &mut client,
        &[BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY],
    )
}

fn freeze_while_oneway_read(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = cx.client()?;
    client.send(&[Call::oneway(0).into()])?;
    let trap = manager.trap()?;
    let pid = manager.pid();
    let step = read_into(&mut manager, &trap)?;
    check_eq!(set(&mut other, pid, true)?, Err(Errno::EAGAIN));
    let_read(trap, step)?;
    must_set(&mut other, pid, true)
}

fn freeze_while_reply_read(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    manager.answer(&call, Call::reply())?;
    // Behind the completion, in front of the reply.
    let trap = client.trap()?;
    let at = read_at(&trap) - 4;
    let pid = client.pid();
    let step = client.begin_exchange(&Exchange::read().read_buffer(at))?;
    trap.wait(&step)?;
    check_eq!(set(&mut other, pid, true)?, Err(Errno::EAGAIN));
    let consumed = let_read(trap, step)?;
    check_returns!(
        returns_at(&mut client, at, consumed)?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_REPLY]
    );
    must_set(&mut other, pid, true)
}

fn freeze_waits(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = cx.client()?;
    client.send(&[Call::oneway(0).into()])?;
    let trap = manager.trap()?;
    let info = FreezeInfo {
        pid: manager.pid() as u32,
        enable: 1,
        // Longer than any step may take.
        timeout_ms: u32::try_from(patience::seconds(60).as_millis())?,
    };
    let reading = read_into(&mut manager, &trap)?;
    let arguments = vec![
        Argument::Value(other.endpoint.fd as u64),
        Argument::Value(BINDER_FREEZE.into()),
        Argument::Memory(info.as_bytes().to_vec()),
    ];
    let freezing = other.begin_syscall(libc::SYS_ioctl, arguments)?;
    freezing.wait_blocked()?;
    // It counts as frozen from the beginning.
    client.write(&[Call::to(0).into()])?.ok()?;
    expect(
        &mut client,
        &[BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FROZEN_REPLY],
    )?;
    let_read(trap, reading)?;
    check_eq!(freezing.system_call()?.0, Ok(0));
    Ok(())
}

/// The manager asks about a client's state, which is told at once and not read yet:
/// manager, another thread of it, client, handle, and somebody who freezes.
type Asking = (
    harness::Process,
    Thread,
    harness::Process,
    u32,
    harness::Process,
);

fn asking(cx: &Cx) -> Result<Asking> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let handle = give_node(&mut owner, &mut manager, NODE)?;
    let other = another(&mut manager)?;
    manager.send(&[Bc::RequestFreeze(handle, COOKIE)])?;
    Ok((manager, other, owner, handle, cx.client()?))
}

fn state(cookie: u64, is_frozen: bool) -> [Br; 2] {
    let is_frozen = is_frozen.into();
    [
        Br::Plain(BR_NOOP),
        Br::Frozen(FrozenStateInfo {
            cookie,
            is_frozen,
            reserved: 0,
        }),
    ]
}

fn cleared(cookie: u64) -> [Br; 2] {
    [
        Br::Plain(BR_NOOP),
        Br::Cookie(BR_CLEAR_FREEZE_NOTIFICATION_DONE, cookie),
    ]
}

fn clear_while_read(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut other, _owner, handle, _) = asking(cx)?;
    let trap = manager.trap()?;
    let at = read_at(&trap);
    let step = read_into(&mut manager, &trap)?;
    other.send(&[Bc::ClearFreeze(handle, COOKIE)])?;
    expect_nothing(&mut other)?;
    let consumed = let_read(trap, step)?;
    check_eq!(
        returns_at(&mut manager, at, consumed)?,
        state(COOKIE, false)
    );
    expect_nothing(&mut manager)?;
    manager.send(&[Bc::FreezeDone(COOKIE)])?;
    check_eq!(manager.read()?, cleared(COOKIE));
    Ok(())
}

fn answer_while_read(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut other, owner, handle, mut freezer) = asking(cx)?;
    let trap = manager.trap()?;
    let at = read_at(&trap);
    let step = read_into(&mut manager, &trap)?;
    other.send(&[Bc::FreezeDone(COOKIE)])?;
    must_set(&mut freezer, owner.pid(), true)?;
    check_eq!(other.read()?, state(COOKIE, true));
    let consumed = let_read(trap, step)?;
    check_eq!(
        returns_at(&mut manager, at, consumed)?,
        state(COOKIE, false)
    );
    manager.send(&[Bc::FreezeDone(COOKIE), Bc::ClearFreeze(handle, COOKIE)])?;
    check_eq!(manager.read()?, cleared(COOKIE));
    must_set(&mut freezer, owner.pid(), false)
}

fn thawed_while_read(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut other, owner, _, mut freezer) = asking(cx)?;
    check_eq!(manager.read()?, state(COOKIE, false));
    manager.send(&[Bc::FreezeDone(COOKIE)])?;
    must_set(&mut freezer, owner.pid(), true)?;
    let trap = manager.trap()?;
    let at = read_at(&trap);
    let step = read_into(&mut manager, &trap)?;
    must_set(&mut freezer, owner.pid(), false)?;
    expect_nothing(&mut other)?;
    let consumed = let_read(trap, step)?;
    check_eq!(returns_at(&mut manager, at, consumed)?, state(COOKIE, true));
    manager.send(&[Bc::FreezeDone(COOKIE)])?;
    check_eq!(manager.read()?, state(COOKIE, false));
    manager.send(&[Bc::FreezeDone(COOKIE)])?;
    expect_nothing(&mut manager)
}

fn drop_while_read(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut other, owner, handle, mut freezer) = asking(cx)?;
    let trap = manager.trap()?;
    let at = read_at(&trap);
    let step = read_into(&mut manager, &trap)?;
    other.send(&[Bc::Release(handle)])?;
    must_set(&mut freezer, owner.pid(), true)?;
    expect_nothing(&mut other)?;
    let consumed = let_read(trap, step)?;
    check_eq!(
        returns_at(&mut manager, at, consumed)?,
        state(COOKIE, false)
    );
    // The registration went with the handle.
    let outcome = manager.write(&[Bc::FreezeDone(COOKIE)])?;
    check_eq!(outcome.result, Err(Errno::EINVAL));
    must_set(&mut freezer, owner.pid(), false)
}

/// A frozen manager whose node runs a oneway call, with an update queued behind it.
fn with_update(
    cx: &Cx,
    sender: &mut Thread,
    freezer: &mut Thread,
) -> Result<(harness::Process, harness::Delivery)> {
    let mut manager = cx.manager()?;
    sender.send(&[Call::oneway(0).into()])?;
    complete(sender)?;
    let running = manager.receive()?;
    must_set(freezer, manager.pid(), true)?;
    sender.send(&[update().data(b"first").into()])?;
    expect(sender, &[BR_NOOP, BR_TRANSACTION_PENDING_FROZEN])?;
    Ok((manager, running))
}

fn update() -> Call {
    Call::oneway(0).flags(TF_UPDATE_TXN).code(3)
}

fn update_during_update(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    let mut other = another(&mut client)?;
    let mut freezer = cx.client()?;
    let (mut manager, running) = with_update(cx, &mut client, &mut freezer)?;
    let trap = client.trap()?;
    let step = send_into(&mut client, &trap, caught_call(update(), &trap))?;
    other.send(&[update().data(b"second").into()])?;
    let_go(trap, step, b"third...")?;
    expect(&mut client, &[BR_NOOP, BR_TRANSACTION_PENDING_FROZEN])?;
    must_set(&mut freezer, manager.pid(), false)?;
    manager.free(&running)?;
    let call = manager.receive()?;
    check_eq!(manager.data(&call)?, b"third...");
    manager.free(&call)?;
    expect_nothing(&mut manager)
}

fn thawed_during_update(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    let mut freezer = cx.client()?;
    let (mut manager, running) = with_update(cx, &mut client, &mut freezer)?;
    let trap = client.trap()?;
    let step = send_into(&mut client, &trap, caught_call(update(), &trap))?;
    must_set(&mut freezer, manager.pid(), false)?;
    let_go(trap, step, b"second..")?;
    complete(&mut client)?;
    manager.free(&running)?;
    for data in [b"first".as_slice(), b"second.."] {
        let call = manager.receive()?;
        if manager.data(&call)? != data {
            bail!("{call:?}");
        }
        manager.free(&call)?;
    }
    expect_nothing(&mut manager)
}

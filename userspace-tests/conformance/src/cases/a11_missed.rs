// SPDX-License-Identifier: GPL-2.0

//! Section A11: what is told of what a process missed, and what a frozen process
//! can still do.

use super::case;
use crate::fixtures::*;
use crate::freezing::*;
use anyhow::Result;
use binder_abi::*;
use harness::case::round_trip;
use harness::{Bc, Call, Case, Cx, Errno, Missed, Transactions, check_eq};

pub const CASES: &[Case] = &[
    case(
        "a11/missed",
        "what was missed is told bit by bit, until the thaw",
        missed,
    )
    .covers(&["A4.9", "A11.4"]),
    case(
        "a11/missed-of-all-files",
        "what was missed is told of all files together",
        missed_of_all_files,
    )
    .covers(&["A4.9", "A11.4"]),
    case(
        "a11/missed-while-thawed",
        "a process that is not frozen misses nothing, but may have work",
        missed_while_thawed,
    )
    .covers(&["A11.4"]),
    case(
        "a11/frozen-calls",
        "a frozen process may call, and gets the reply",
        frozen_calls,
    )
    .covers(&["A11.3"]),
    case(
        "a11/frozen-sends-oneway",
        "a frozen process may send oneway calls, to a frozen one, too",
        frozen_sends_oneway,
    )
    .covers(&["A11.3", "CVE-2026-23184"]),
    case(
        "a11/call-back-refused",
        "a call back to a frozen caller is refused, the outer call is not",
        call_back_refused,
    )
    .covers(&["A11.3", "A6.29"]),
    case(
        "a11/reply-while-freezing",
        "a reply that fails while freezing waits reaches the caller",
        reply_while_freezing,
    )
    .covers(&["A11.3"]),
    case(
        "a11/frozen-does-everything-else",
        "a frozen process counts references and is told of deaths",
        everything_else,
    ),
];

fn missed(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    let pid = all.owner.pid();
    all.freeze()?;
    check_eq!(all.freezer.missed(pid)?, Ok(Missed::NOTHING));
    refused(&mut all.holder, all.handle)?;
    check_eq!(all.freezer.missed(pid)?, Ok(Missed::CALL));
    refused(&mut all.holder, all.handle)?;
    check_eq!(all.freezer.missed(pid)?, Ok(Missed::CALL));
    all.holder.send(&[Call::oneway(all.handle).into()])?;
    let both = Missed::CALL.and(Missed::ONEWAY);
    check_eq!(all.freezer.missed(pid)?, Ok(both.and(Missed::PENDING)));
    let call = all.owner.receive()?;
    all.owner.free(&call)?;
    check_eq!(all.freezer.missed(pid)?, Ok(both));
    // Asking changes nothing; freezing again and thawing forget.
    check_eq!(all.freezer.missed(pid)?, Ok(both));
    all.freeze()?;
    check_eq!(all.freezer.missed(pid)?, Ok(Missed::NOTHING));
    refused(&mut all.holder, all.handle)?;
    all.thaw()?;
    check_eq!(all.freezer.missed(pid)?, Ok(Missed::NOTHING));
    Ok(())
}

fn missed_of_all_files(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let mut freezer = cx.unmapped()?;
    let mut handles = Vec::new();
    for ptr in 1..=3 {
        handles.push(give_node(&mut owner, &mut manager, (ptr, 0))?);
        owner.open(&cx.device)?;
        owner.version()?.ok();
        owner.map(harness::device::USUAL_SIZE)?;
    }
    let pid = owner.pid();
    check_eq!(freezer.freeze(pid)?, Ok(()));
    refused(&mut manager, handles[0])?;
    check_eq!(freezer.missed(pid)?, Ok(Missed::CALL));
    manager.send(&[Call::oneway(handles[1]).into()])?;
    let all = Missed::CALL.and(Missed::ONEWAY).and(Missed::PENDING);
    check_eq!(freezer.missed(pid)?, Ok(all));
    pending(&mut manager)?;
    refused(&mut manager, handles[2])?;
    check_eq!(freezer.missed(pid)?, Ok(all));
    check_eq!(freezer.thaw(pid)?, Ok(()));
    check_eq!(freezer.missed(pid)?, Ok(Missed::PENDING));
    Ok(())
}

fn missed_while_thawed(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let pid = manager.pid();
    check_eq!(client.missed(pid)?, Ok(Missed::NOTHING));
    let call = call_received(&mut client, &mut manager)?;
    check_eq!(manager.missed(pid)?, Ok(Missed::PENDING));
    check_eq!(manager.missed(client.pid())?, Ok(Missed::PENDING));
    manager.answer(&call, Call::reply())?;
    check_eq!(manager.missed(pid)?, Ok(Missed::NOTHING));
    check_eq!(manager.missed(client.pid())?, Ok(Missed::PENDING));
    client.receive()?;
    check_eq!(manager.missed(client.pid())?, Ok(Missed::NOTHING));
    Ok(())
}

fn frozen_calls(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    let pid = client.pid();
    check_eq!(freezer.freeze(pid)?, Ok(()));
    for _ in 0..2 {
        let reply = Call::reply().data(b"answer");
        let data = round_trip(&mut client, &mut manager, Call::to(0), reply)?;
        check_eq!(data, b"answer");
    }
    check_eq!(freezer.missed(pid)?, Ok(Missed::NOTHING));
    Ok(())
}

fn frozen_sends_oneway(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    check_eq!(freezer.freeze(client.pid())?, Ok(()));
    client.send(&[Call::oneway(0).code(1).into()])?;
    complete(&mut client)?;
    let call = manager.receive()?;
    manager.free(&call)?;
    check_eq!(freezer.freeze(manager.pid())?, Ok(()));
    client.send(&[Call::oneway(0).code(2).into()])?;
    pending(&mut client)?;
    refused(&mut client, 0)?;
    check_eq!(manager.receive()?.data.code, 2);
    Ok(())
}

fn call_back_refused(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    all.freeze()?;
    // The frozen owner calls the holder, which calls back.
    let outer = call_received(&mut all.owner, &mut all.holder)?;
    refused(&mut all.holder, all.handle)?;
    all.holder.send(&[Call::oneway(all.handle).into()])?;
    pending(&mut all.holder)?;
    all.holder.answer(&outer, Call::reply().data(b"still"))?;
    let reply = all.owner.receive()?;
    check_eq!(all.owner.data(&reply)?, b"still");
    // The oneway call went to the process, not to the thread that waited.
    check_eq!(all.owner.receive()?.code, BR_TRANSACTION);
    let missed = Missed::CALL.and(Missed::ONEWAY);
    check_eq!(all.freezer.missed(all.owner.pid())?, Ok(missed));
    Ok(())
}

fn reply_while_freezing(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    call_received(&mut client, &mut manager)?;
    let freezing = freezer.begin_freeze(manager.pid(), 3_600_000)?;
    freezing.wait_blocked()?;
    manager.write(&[Call::reply().data_at(8, 8).into()])?.ok()?;
    check_eq!(freezing.status()?, Ok(0));
    expect(
        &mut client,
        &[BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY],
    )?;
    check_eq!(
        error_of(&mut client)?,
        (BR_FAILED_REPLY, param(Some(Errno::EFAULT)))
    );
    refused(&mut client, 0)
}

fn everything_else(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    let mut third = cx.client()?;
    let handle = give_node(&mut third, &mut all.holder, OTHER)?;
    let passed = pass_handle(&mut all.holder, &mut all.owner, handle)?;
    all.freeze()?;
    // A node is released, a reference is counted, a death is told.
    all.holder
        .send(&[Bc::Release(all.handle), Bc::Decrefs(all.handle)])?;
    expect(&mut all.owner, &[BR_NOOP, BR_RELEASE, BR_DECREFS])?;
    all.owner
        .send(&[Bc::Increfs(passed), Bc::RequestDeath(passed, 3)])?;
    third.kill()?;
    expect(&mut all.owner, &[BR_NOOP, BR_DEAD_BINDER])
}

// SPDX-License-Identifier: GPL-2.0

//! News of death and of freezing.

use super::{pair, scene};
use crate::freezing::{Listening, refused};
use crate::shortage::steps::*;
use anyhow::Result;
use binder_abi::*;
use harness::{Bc, Br, Call, Case, Cx, Missed, Transactions, check_eq};

pub const ALL: &[Case] = &[
    scene(
        "request-death",
        "a death notification is asked for",
        request_death,
    ),
    scene("clear-death", "it is taken back", clear_death),
    scene(
        "request-freeze",
        "news about freezing are asked for",
        request_freeze,
    ),
    scene("clear-freeze", "they are taken back", clear_freeze),
    scene("freeze", "a process is frozen and thawed", freeze),
    scene(
        "missed",
        "what a frozen process missed is asked for",
        missed,
    ),
    scene(
        "obituary",
        "a process dies while nothing can be allocated",
        obituary,
    ),
];

fn request_death(cx: &mut Cx) -> Result<()> {
    let manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Bc::Acquire(0)])?;
    send_despite(cx, &mut client, &Bc::RequestDeath(0, 0xDEAD))?;
    // A request that was refused the driver answers with an error for the thread to read.
    match client.try_read()?.last() {
        Some(Br::Plain(BR_ERROR)) => client.send(&[Bc::RequestDeath(0, 0xDEAD)])?,
        None => {}
        other => anyhow::bail!("unexpected: {other:?}"),
    }
    manager.kill()?;
    let returns = client.read()?;
    check_eq!(returns.last(), Some(&Br::Cookie(BR_DEAD_BINDER, 0xDEAD)));
    client.send(&[Bc::DeadBinderDone(0xDEAD)])
}

fn clear_death(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Bc::Acquire(0), Bc::RequestDeath(0, 0xDEAD)])?;
    send_despite(cx, &mut client, &Bc::ClearDeath(0, 0xDEAD))?;
    let returns = client.read()?;
    check_eq!(
        returns.last(),
        Some(&Br::Cookie(BR_CLEAR_DEATH_NOTIFICATION_DONE, 0xDEAD))
    );
    Ok(())
}

fn request_freeze(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    let request = all.request();
    send_despite(cx, &mut all.holder, &request)?;
    all.told(false)?;
    all.answer()?;
    all.freeze()?;
    all.told(true)
}

fn clear_freeze(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::new(cx)?;
    let clear = all.clear();
    send_despite(cx, &mut all.holder, &clear)?;
    all.told_cleared()
}

fn freeze(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::new(cx)?;
    let pid = all.owner.pid();
    despite(cx, &mut all.freezer, |thread| thread.freeze(pid))?;
    all.told(true)?;
    all.answer()?;
    all.thaw()?;
    all.told(false)
}

fn missed(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    all.freeze()?;
    refused(&mut all.holder, all.handle)?;
    let pid = all.owner.pid();
    let missed = despite(cx, &mut all.freezer, |thread| thread.missed(pid))?;
    check_eq!(missed, Missed::CALL);
    Ok(())
}

/// The process is dead to the driver when its last hold on the device is gone.
fn obituary(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client) = pair(cx)?;
    client.send(&[
        Bc::Acquire(0),
        Bc::RequestDeath(0, 0xDEAD),
        Call::to(0).into(),
    ])?;
    manager.receive()?;
    manager.unmap()?;
    watched(cx, &mut manager, |thread| thread.close())?;
    let mut codes = Vec::new();
    while !codes.contains(&BR_DEAD_REPLY) || !codes.contains(&BR_DEAD_BINDER) {
        codes.extend(client.read()?.iter().map(Br::code));
    }
    client.send(&[Bc::DeadBinderDone(0xDEAD)])
}

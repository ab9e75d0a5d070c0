// SPDX-License-Identifier: GPL-2.0

//! Processes that are frozen while they are called.

use super::codes;
use crate::race::Race;
use anyhow::{Context, Result, bail};
use binder_abi::*;
use harness::race::Step;
use harness::{Call, Case, Cx, Errno, Exchange, Process, Transactions, check_eq};

pub const SCENARIOS: &[Case] = &[
    Case::new(
        "freeze-vs-call",
        "a process is frozen, or it is called: one of them",
        freeze_vs_call,
    ),
    Case::new(
        "freeze-vs-oneway",
        "a oneway call to a process that is being frozen arrives once",
        freeze_vs_oneway,
    ),
];

/// Somebody who freezes and thaws a process; a step for each.
fn freezer(cx: &Cx, target: &Process) -> Result<(Process, Step, Step)> {
    let mut freezer = cx.client()?;
    let place = freezer.allocate(4096)?;
    let mut step = |offset: u64, enable: u32| -> Result<Step> {
        let words = [target.pid() as u32, enable, 0].map(u32::to_le_bytes);
        let address = place + offset;
        freezer.poke(address, &words.concat())?.context("poke")?;
        let fd = freezer.endpoint.fd as u64;
        let arguments = vec![fd, BINDER_FREEZE.into(), address];
        Ok(Step::Syscall(libc::SYS_ioctl, arguments))
    };
    let (freeze, thaw) = (step(0, 1)?, step(64, 0)?);
    Ok((freezer, freeze, thaw))
}

fn thaw(freezer: &mut Process, step: &Step) -> Result<()> {
    let Step::Syscall(number, arguments) = step else {
        bail!("{step:?}");
    };
    freezer.must(*number, arguments).map(drop)
}

fn freeze_vs_call(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let (mut freezer, freeze, unfreeze) = freezer(cx, &manager)?;
    Race::rounds(cx, |_, race| {
        race.intruder(&mut freezer)?;
        let call = Exchange::write(&[Call::to(0).into()]).into();
        let mut ends = race.run(vec![
            (&mut client, vec![call]),
            (&mut freezer, vec![freeze.clone()]),
        ])?;
        let frozen = ends.pop().context("two ends")??.only()?.result();
        let told = codes(&client.try_read()?);
        match (frozen, told.as_slice()) {
            (Ok(()), [BR_FROZEN_REPLY]) => thaw(&mut freezer, &unfreeze)?,
            (Err(Errno::EAGAIN), []) => {
                let call = manager.receive()?;
                manager.answer(&call, Call::reply())?;
                let reply = client.receive()?;
                client.free(&reply)?;
                check_eq!(codes(&manager.read()?), [BR_TRANSACTION_COMPLETE]);
            }
            // Frozen before, with nothing outstanding: it cannot be that both went well.
            other => bail!("{other:x?}"),
        }
        check_eq!(manager.try_read()?, []);
        Ok(())
    })
}

fn freeze_vs_oneway(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let (mut freezer, freeze, unfreeze) = freezer(cx, &manager)?;
    Race::rounds(cx, |_, race| {
        race.intruder(&mut freezer)?;
        let call = Exchange::write(&[Call::oneway(0).into()]).into();
        let mut ends = race.run(vec![
            (&mut client, vec![call]),
            (&mut freezer, vec![freeze.clone()]),
        ])?;
        let frozen = ends.pop().context("two ends")??.only()?.result();
        let told = codes(&client.read()?);
        match (frozen, told.as_slice()) {
            (Ok(()), [BR_TRANSACTION_PENDING_FROZEN]) => {}
            // Freezing marks first and counts then: the message may come between.
            (Err(Errno::EAGAIN), [BR_TRANSACTION_COMPLETE | BR_TRANSACTION_PENDING_FROZEN]) => {}
            other => bail!("{other:x?}"),
        }
        thaw(&mut freezer, &unfreeze)?;
        let call = manager.receive()?;
        manager.free(&call)?;
        check_eq!(manager.try_read()?, []);
        Ok(())
    })
}

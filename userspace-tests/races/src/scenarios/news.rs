// SPDX-License-Identifier: GPL-2.0

//! News of a node that are on their way to one thread of its owner when another sends the node.
//!
//! Whoever sends a node strongly has to hear that it is held before the message counts as sent: from then
//! on the receiver may drop it, and the owner would free what it never knew to be in use.

use super::objects::Told;
use super::{NODE, another, codes, scenario};
use crate::race::Race;
use anyhow::{Result, ensure};
use binder_abi::*;
use harness::race::Step;
use harness::{Bc, Br, Call, Case, Cx, Errno, Exchange, Parcel, Transactions, check_eq};

pub const SCENARIOS: &[Case] = &[
    scenario(
        "send-vs-news",
        "who sends a node of which another thread reads hears that it is held",
        send_vs_news,
    ),
    scenario(
        "send-vs-exit",
        "who sends a node that a leaving thread was to hear of hears that it is held",
        send_vs_exit,
    ),
];

/// How many nodes a leaving thread was to hear of.
const CROWD: u64 = 24;

fn send_strongly() -> Step {
    let parcel = Parcel::new().binder(NODE.0, NODE.1);
    Exchange::write(&[Call::oneway(0).parcel(parcel).into()]).into()
}

/// What the sender of a node reads has to tell of the node before it tells that the message was sent.
fn ensure_told_first(returns: &[Br]) -> Result<()> {
    let codes = codes(returns);
    let place = |code| codes.iter().position(|each| *each == code);
    let (held, sent) = (place(BR_ACQUIRE), place(BR_TRANSACTION_COMPLETE));
    ensure!(
        held.is_some() && held < sent,
        "sent without having heard that it is held: {returns:?}"
    );
    Ok(())
}

fn send_vs_news(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let mut reader = another(&mut owner)?;
    Race::rounds(cx, |_, race| {
        race.intruder(&mut owner)?;
        let parcel = Parcel::new().weak_binder(NODE.0, NODE.1);
        owner.send(&[Call::oneway(0).parcel(parcel).into()])?;
        let mut told = Told::default();
        let returns = owner.read()?;
        told.read(&mut owner, &returns)?;
        let call = manager.receive()?;
        let handle = manager.object(&call, 0)?.handle();
        manager.send(&[Bc::Increfs(handle), Bc::FreeBuffer(call.data.buffer)])?;
        // That nobody has it any more is for any thread of the owner to read.
        manager.send(&[Bc::Decrefs(handle)])?;
        let read = Exchange::read().nonblocking().into();
        let mut ends = race
            .run(vec![
                (&mut reader, vec![read]),
                (&mut owner, vec![send_strongly()]),
            ])?
            .into_iter();
        if let Some(end) = ends.next() {
            let end = end?;
            let done = end.only()?;
            if done.result() != Err(Errno::EAGAIN) {
                told.read(&mut owner, &done.returns()?)?;
            }
        }
        for end in ends {
            check_eq!(end?.only()?.result(), Ok(()));
        }
        let returns = owner.read()?;
        ensure_told_first(&returns)?;
        told.read(&mut owner, &returns)?;
        let call = manager.receive()?;
        manager.free(&call)?;
        told.read_to_end(&mut owner)
    })
}

fn send_vs_exit(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let mut leaver = another(&mut owner)?;
    let fd = leaver.endpoint.fd as u64;
    Race::rounds(cx, |_, race| {
        race.intruder(&mut owner)?;
        let crowd = (1..=CROWD).fold(Parcel::new(), |parcel, number| {
            parcel.weak_binder(NODE.0 + (number << 16), NODE.1)
        });
        let parcel = crowd.weak_binder(NODE.0, NODE.1);
        leaver.send(&[Call::oneway(0).parcel(parcel).into()])?;
        let exit = Step::Syscall(libc::SYS_ioctl, vec![fd, BINDER_THREAD_EXIT.into(), 0]);
        for end in race.run(vec![
            (&mut leaver, vec![exit]),
            (&mut owner, vec![send_strongly()]),
        ])? {
            check_eq!(end?.only()?.result(), Ok(()));
        }
        let mut told = Told::default();
        let returns = owner.read()?;
        ensure_told_first(&returns)?;
        told.read(&mut owner, &returns)?;
        for _ in 0..2 {
            let call = manager.receive()?;
            manager.free(&call)?;
        }
        told.read_to_end(&mut owner)
    })
}

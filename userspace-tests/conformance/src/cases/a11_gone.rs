// SPDX-License-Identifier: GPL-2.0

//! Section A11: notifications about freezing when owner, handle or listener go.

use super::case;
use crate::fixtures::*;
use crate::freezing::*;
use anyhow::Result;
use binder_abi::*;
use harness::{Bc, Br, Call, Case, Cx, Parcel, Process, Transactions, check_eq};

pub const CASES: &[Case] = &[
    case(
        "a11/ask-about-dead",
        "who asks about a dead owner is never told, and may take it back",
        ask_about_dead,
    ),
    case(
        "a11/owner-dies-unread",
        "a notification not read yet outlives the owner",
        owner_dies_unread,
    ),
    case(
        "a11/owner-dies-unanswered",
        "a notification not answered yet can be answered after the owner's death",
        owner_dies_unanswered,
    ),
    case(
        "a11/owner-dies-answered",
        "after the owner's death the request can be taken back, or asked again",
        owner_dies_answered,
    ),
    case(
        "a11/death-and-freeze",
        "death and freezing of one handle are told apart",
        death_and_freeze,
    ),
    case(
        "a11/reference-takes-unread-along",
        "a notification not read yet goes with the reference",
        reference_unread,
    )
    .covers(&["A10.6", "A19.7", "CVE-2024-56554"]),
    case(
        "a11/reference-takes-unanswered-along",
        "with the reference goes what was not answered: answering is EINVAL",
        reference_unanswered,
    )
    .covers(&["A10.6", "A19.7", "CVE-2024-56554"]),
    case(
        "a11/reference-takes-request-along",
        "with the reference goes the request, silently",
        reference_answered,
    )
    .covers(&["A10.6", "A19.7"]),
    case(
        "a11/reference-after-clear",
        "what was taken back is confirmed though the reference went",
        reference_after_clear,
    ),
    case(
        "a11/handle-reused",
        "a new reference with the old number starts anew",
        handle_reused,
    ),
    case(
        "a11/reference-counted-down",
        "a request stays as long as any count does",
        counted_down,
    ),
    case(
        "a11/listener-dies",
        "a listener may die with requests in every state",
        listener_dies,
    )
    .covers(&["A14.4", "CVE-2024-56554"]),
    case(
        "a11/listener-thread-exits",
        "what a thread was told another may answer after its exit",
        thread_exits,
    ),
    case(
        "a11/many-listeners",
        "a hundred nodes with listeners are frozen, thawed and die",
        many_listeners,
    )
    .covers(&["CVE-2024-56554"]),
];

/// [`Listening`], and somebody who notices when the owner's nodes are gone.
struct Mortal {
    all: Listening,
    witness: Process,
}

impl Mortal {
    /// Nobody has asked about [`NODE`].
    fn new(cx: &Cx) -> Result<Self> {
        let mut all = Listening::silent(cx)?;
        let mut witness = cx.client()?;
        // The last one to be released.
        let last = give_node(&mut all.owner, &mut all.holder, OTHER)?;
        let last = pass_handle(&mut all.holder, &mut witness, last)?;
        witness.send(&[Bc::RequestDeath(last, 0)])?;
        Ok(Self { all, witness })
    }

    /// [`Mortal::new`], and the holder has asked.
    fn unread(cx: &Cx) -> Result<Self> {
        let mut mortal = Self::new(cx)?;
        let request = mortal.all.request();
        mortal.all.holder.send(&[request])?;
        Ok(mortal)
    }

    /// The owner dies; the holder is left, and its handle.
    fn bury(mut self) -> Result<(Process, u32)> {
        self.all.owner.kill()?;
        expect(&mut self.witness, &[BR_NOOP, BR_DEAD_BINDER])?;
        Ok((self.all.holder, self.all.handle))
    }
}

/// Taking the request back is confirmed at once, and that is all.
fn clears(holder: &mut Process, handle: u32) -> Result<()> {
    holder.send(&[Bc::ClearFreeze(handle, COOKIE)])?;
    cleared(holder)?;
    expect_nothing(holder)
}

/// The next thing to be read is the confirmation.
fn cleared(holder: &mut Process) -> Result<()> {
    let done = Br::Cookie(BR_CLEAR_FREEZE_NOTIFICATION_DONE, COOKIE);
    check_eq!(holder.read()?, [Br::Plain(BR_NOOP), done]);
    Ok(())
}

fn ask_about_dead(cx: &mut Cx) -> Result<()> {
    let (mut holder, handle) = Mortal::new(cx)?.bury()?;
    holder.send(&[Bc::RequestFreeze(handle, COOKIE)])?;
    expect_nothing(&mut holder)?;
    invalid(&mut holder, Bc::RequestFreeze(handle, COOKIE))?;
    invalid(&mut holder, Bc::FreezeDone(COOKIE))?;
    clears(&mut holder, handle)?;
    // And anew, until the reference goes.
    holder.send(&[Bc::RequestFreeze(handle, COOKIE), Bc::Release(handle)])?;
    expect_nothing(&mut holder)?;
    invalid(&mut holder, Bc::ClearFreeze(handle, COOKIE))
}

fn owner_dies_unread(cx: &mut Cx) -> Result<()> {
    for frozen in [false, true] {
        let mut mortal = Mortal::unread(cx)?;
        if frozen {
            mortal.all.freeze()?;
        }
        let (mut holder, handle) = mortal.bury()?;
        check_eq!(holder.told_frozen()?, (COOKIE, frozen));
        holder.send(&[Bc::FreezeDone(COOKIE)])?;
        expect_nothing(&mut holder)?;
        clears(&mut holder, handle)?;
        holder.kill()?;
    }
    // Taken back instead of being read.
    let (mut holder, handle) = Mortal::unread(cx)?.bury()?;
    clears(&mut holder, handle)
}

fn owner_dies_unanswered(cx: &mut Cx) -> Result<()> {
    let mut mortal = Mortal::unread(cx)?;
    mortal.all.told(false)?;
    // A change that waits for the answer is told even then.
    mortal.all.freeze()?;
    let (mut holder, handle) = mortal.bury()?;
    expect_nothing(&mut holder)?;
    holder.send(&[Bc::FreezeDone(COOKIE)])?;
    check_eq!(holder.told_frozen()?, (COOKIE, true));
    holder.send(&[Bc::ClearFreeze(handle, COOKIE)])?;
    expect_nothing(&mut holder)?;
    holder.send(&[Bc::FreezeDone(COOKIE)])?;
    cleared(&mut holder)
}

fn owner_dies_answered(cx: &mut Cx) -> Result<()> {
    let mut mortal = Mortal::unread(cx)?;
    mortal.all.told(false)?;
    mortal.all.answer()?;
    mortal.all.freeze()?;
    mortal.all.told(true)?;
    mortal.all.answer()?;
    let (mut holder, handle) = mortal.bury()?;
    expect_nothing(&mut holder)?;
    clears(&mut holder, handle)?;
    holder.send(&[Bc::RequestFreeze(handle, COOKIE)])?;
    expect_nothing(&mut holder)?;
    clears(&mut holder, handle)
}

fn death_and_freeze(cx: &mut Cx) -> Result<()> {
    let mut mortal = Mortal::unread(cx)?;
    let handle = mortal.all.handle;
    mortal.all.told(false)?;
    mortal.all.answer()?;
    mortal
        .all
        .holder
        .send(&[Bc::RequestDeath(handle, COOKIE)])?;
    mortal.all.freeze()?;
    let (mut holder, _) = mortal.bury()?;
    check_eq!(holder.told_frozen()?, (COOKIE, true));
    let died = Br::Cookie(BR_DEAD_BINDER, COOKIE);
    check_eq!(holder.read()?, [Br::Plain(BR_NOOP), died]);
    // One answer is not the other's.
    holder.send(&[Bc::DeadBinderDone(COOKIE)])?;
    invalid(&mut holder, Bc::RequestFreeze(handle, 1))?;
    holder.send(&[Bc::FreezeDone(COOKIE), Bc::ClearDeath(handle, COOKIE)])?;
    let done = Br::Cookie(BR_CLEAR_DEATH_NOTIFICATION_DONE, COOKIE);
    check_eq!(holder.read()?, [Br::Plain(BR_NOOP), done]);
    clears(&mut holder, handle)
}

fn reference_unread(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::unread(cx)?;
    all.holder.send(&[Bc::Release(all.handle)])?;
    all.silence()?;
    expect(&mut all.owner, &[BR_NOOP, BR_RELEASE, BR_DECREFS])?;
    let clear = all.clear();
    invalid(&mut all.holder, clear)
}

fn reference_unanswered(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::unanswered(cx)?;
    all.freeze()?;
    all.holder.send(&[Bc::Release(all.handle)])?;
    invalid(&mut all.holder, Bc::FreezeDone(COOKIE))?;
    all.thaw()?;
    all.silence()
}

fn reference_answered(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::new(cx)?;
    all.holder.send(&[Bc::Release(all.handle)])?;
    all.freeze()?;
    all.silence()?;
    all.thaw()?;
    all.silence()
}

fn reference_after_clear(cx: &mut Cx) -> Result<()> {
    // Not read, not answered, answered: each is confirmed without its reference.
    let states = [Listening::unread, Listening::unanswered, Listening::new];
    for (which, state) in states.into_iter().enumerate() {
        let mut all = state(cx)?;
        let commands = [all.clear(), Bc::Release(all.handle)];
        all.holder.send(&commands)?;
        if which == 1 {
            all.silence()?;
            all.answer()?;
        }
        all.told_cleared()?;
        all.silence()?;
        all.holder.kill()?;
    }
    Ok(())
}

fn handle_reused(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::unanswered(cx)?;
    all.holder.send(&[Bc::Release(all.handle)])?;
    expect(&mut all.owner, &[BR_NOOP, BR_RELEASE, BR_DECREFS])?;
    let handle = give_node(&mut all.owner, &mut all.holder, OTHER)?;
    check_eq!(handle, all.handle);
    all.freeze()?;
    all.silence()?;
    all.ask()?;
    all.told(true)?;
    all.answer()?;
    invalid(&mut all.holder, Bc::FreezeDone(COOKIE))
}

fn counted_down(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::new(cx)?;
    let handle = all.handle;
    all.holder.send(&[
        Bc::Acquire(handle),
        Bc::Increfs(handle),
        Bc::Release(handle),
    ])?;
    all.holder.send(&[Bc::Release(handle)])?;
    all.freeze()?;
    all.told(true)?;
    all.answer()?;
    all.holder.send(&[Bc::Decrefs(handle)])?;
    all.thaw()?;
    all.silence()
}

fn listener_dies(cx: &mut Cx) -> Result<()> {
    for state in 0..6 {
        let mut all = match state {
            0 => Listening::unread(cx)?,
            1 | 2 => Listening::unanswered(cx)?,
            _ => Listening::new(cx)?,
        };
        match state {
            // A change waits for an answer; one waits to be read.
            2 | 3 => all.freeze()?,
            // The confirmation waits to be read; it waits for an answer.
            4 => all.take_back()?,
            5 => {
                all.freeze()?;
                all.told(true)?;
                let commands = [all.clear(), all.request()];
                all.holder.send(&commands)?;
            }
            _ => {}
        }
        let Listening {
            mut owner,
            holder,
            mut freezer,
            ..
        } = all;
        holder.kill()?;
        expect(&mut owner, &[BR_NOOP, BR_RELEASE, BR_DECREFS])?;
        check_eq!(freezer.freeze(owner.pid())?, Ok(()));
        check_eq!(freezer.thaw(owner.pid())?, Ok(()));
        cx.wait_for_vacancy()?;
    }
    Ok(())
}

fn thread_exits(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::unread(cx)?;
    let mut second = all.holder.spawn_thread()?;
    second.version()?.ok();
    check_eq!(second.told_frozen()?, (COOKIE, false));
    second.ioctl(BINDER_THREAD_EXIT, 0i32)?.ok();
    all.freeze()?;
    all.silence()?;
    all.answer()?;
    all.told(true)
}

fn many_listeners(cx: &mut Cx) -> Result<()> {
    const NODES: u64 = 100;
    let mut all = Listening::silent(cx)?;
    let parcel = (0..NODES).fold(Parcel::new(), |p, i| p.binder(0x9000 + i, i));
    all.owner.send(&[Call::oneway(0).parcel(parcel).into()])?;
    let call = all.holder.receive()?;
    let first = all.holder.object(&call, 0)?.handle();
    let mut commands: Vec<Bc> = Vec::new();
    for (handle, cookie) in (first..).zip(0..NODES) {
        commands.extend([Bc::Acquire(handle), Bc::RequestFreeze(handle, cookie)]);
    }
    commands.push(Bc::FreeBuffer(call.data.buffer));
    all.holder.send(&commands)?;
    for round in 0..3 {
        let frozen = round % 2 == 1;
        match round {
            1 => all.freeze()?,
            2 => all.thaw()?,
            _ => {}
        }
        let mut told = Vec::new();
        for _ in 0..NODES {
            let (cookie, state) = all.holder.told_frozen()?;
            check_eq!(state, frozen, "cookie {cookie} in round {round}");
            told.push(cookie);
        }
        all.silence()?;
        let answers: Vec<Bc> = told.iter().map(|cookie| Bc::FreezeDone(*cookie)).collect();
        all.holder.send(&answers)?;
        told.sort_unstable();
        check_eq!(told, (0..NODES).collect::<Vec<u64>>());
    }
    // Half of them die unread.
    all.freeze()?;
    for _ in 0..NODES / 2 {
        all.holder.told_frozen()?;
    }
    all.owner.kill()?;
    all.holder.kill()
}

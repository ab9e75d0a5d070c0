// SPDX-License-Identifier: GPL-2.0

//! Section A11: being told that the owner of a handle is frozen or thawed.

use super::case;
use crate::fixtures::*;
use crate::freezing::*;
use anyhow::{Context, Result};
use binder_abi::*;
use harness::thread::PAGE;
use harness::{
    Bc, Br, Call, Case, Cx, Errno, Exchange, Transactions, check, check_eq, check_returns,
};

pub const CASES: &[Case] = &[
    case(
        "a11/told-initially-thawed",
        "who asks is told at once that the owner is not frozen",
        initially_thawed,
    )
    .covers(&["A11.5"]),
    case(
        "a11/told-initially-frozen",
        "who asks is told at once that the owner is frozen",
        initially_frozen,
    )
    .covers(&["A11.5"]),
    case(
        "a11/told-changes",
        "after each answer the next change is told, with the cookie",
        changes,
    )
    .covers(&["A11.6"]),
    case(
        "a11/told-wakes-reader",
        "a blocked reader is told, whether it is a looper or not",
        wakes_reader,
    ),
    case(
        "a11/told-any-thread",
        "whichever thread reads for the process is told, and any may answer",
        any_thread,
    ),
    case(
        "a11/told-ends-read",
        "what comes after a notification waits for the next read",
        ends_read,
    ),
    case(
        "a11/told-to-all",
        "everybody who asked is told, and answers for himself",
        told_to_all,
    ),
    case(
        "a11/told-per-node",
        "each node of a process is told, of every file",
        per_node,
    ),
    case(
        "a11/told-same-cookie",
        "two handles may have one cookie: answers count from the oldest on",
        same_cookie,
    ),
    case(
        "a11/told-any-cookie",
        "any number will do as a cookie",
        any_cookie,
    ),
    case(
        "a11/told-weak-handle",
        "a weak reference is enough to ask",
        weak_handle,
    ),
    case(
        "a11/told-manager",
        "who holds handle 0 may ask about the manager",
        about_manager,
    ),
    case(
        "a11/told-frozen-listener",
        "a frozen process is told as well",
        frozen_listener,
    ),
    case(
        "a11/told-not-while-waiting",
        "nobody is told while freezing waits, only when it is done",
        not_while_waiting,
    ),
    case(
        "a11/told-not-of-death",
        "the end of a frozen process is no thaw",
        not_of_death,
    ),
    case(
        "a11/told-needs-room",
        "a notification is delivered only into 76 bytes of room",
        needs_room,
    ),
    case(
        "a11/told-fault",
        "a notification that cannot be written counts as told",
        fault,
    ),
    case(
        "a11/told-poll",
        "a notification makes the device readable, its answer does not",
        polled,
    ),
];

fn initially_thawed(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::unread(cx)?;
    all.told(false)?;
    all.silence()
}

fn initially_frozen(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    all.freeze()?;
    let request = all.request();
    // Written and read in one exchange.
    let returns = all
        .holder
        .exchange(&Exchange::write(&[request]).and_read())?
        .ok()?
        .returns()?;
    check_returns!(returns, [BR_NOOP, BR_FROZEN_BINDER]);
    check_eq!(
        returns[1],
        Br::Frozen(FrozenStateInfo {
            cookie: COOKIE,
            is_frozen: 1,
            reserved: 0
        })
    );
    all.silence()
}

fn changes(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::new(cx)?;
    all.silence()?;
    for _ in 0..3 {
        all.freeze()?;
        all.told(true)?;
        all.answer()?;
        all.silence()?;
        all.thaw()?;
        all.told(false)?;
        all.answer()?;
        all.silence()?;
    }
    Ok(())
}

fn wakes_reader(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::new(cx)?;
    for (looper, frozen) in [(false, true), (true, false)] {
        if looper {
            all.holder.send(&[Bc::EnterLooper])?;
        }
        let reading = all.holder.begin_exchange(&Exchange::read())?;
        reading.wait_blocked()?;
        let result = match frozen {
            true => all.freezer.freeze(all.owner.pid())?,
            false => all.freezer.thaw(all.owner.pid())?,
        };
        check_eq!(result, Ok(()));
        check_returns!(reading.returns()?, [BR_NOOP, BR_FROZEN_BINDER]);
        all.answer()?;
    }
    Ok(())
}

fn any_thread(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    let mut second = all.holder.spawn_thread()?;
    let mut third = all.holder.spawn_thread()?;
    second.version()?.ok();
    third.version()?.ok();
    all.ask()?;
    check_eq!(second.told_frozen()?, (COOKIE, false));
    third.send(&[Bc::FreezeDone(COOKIE)])?;
    all.freeze()?;
    check_eq!(third.told_frozen()?, (COOKIE, true));
    all.answer()?;
    // One that waits for a reply serves nobody else.
    all.thaw()?;
    all.holder.send(&[Call::to(all.handle).into()])?;
    let call = all.owner.receive()?;
    expect_nothing(&mut all.holder)?;
    all.owner.answer(&call, Call::reply())?;
    check_eq!(all.holder.receive()?.code, BR_REPLY);
    all.told(false)
}

fn ends_read(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    let other = give_node(&mut all.owner, &mut all.holder, OTHER)?;
    let commands = [
        all.request(),
        Bc::RequestFreeze(other, 2),
        Bc::RequestDeath(other, 3),
        Bc::ClearDeath(other, 3),
    ];
    all.holder.send(&commands)?;
    all.told(false)?;
    check_eq!(all.holder.told_frozen()?, (2, false));
    expect(
        &mut all.holder,
        &[BR_NOOP, BR_CLEAR_DEATH_NOTIFICATION_DONE],
    )?;
    // A thread's own work comes first, and in one read with it.
    all.freeze()?;
    all.holder
        .send(&[Bc::FreezeDone(2), Call::oneway(all.handle).into()])?;
    expect(&mut all.holder, &[BR_NOOP, BR_TRANSACTION_PENDING_FROZEN])?;
    check_eq!(all.holder.told_frozen()?, (2, true));
    Ok(())
}

fn told_to_all(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::new(cx)?;
    let mut others = [cx.client()?, cx.client()?];
    for (cookie, other) in (100..).zip(&mut others) {
        let handle = pass_handle(&mut all.holder, other, all.handle)?;
        other.send(&[Bc::RequestFreeze(handle, cookie)])?;
        check_eq!(other.told_frozen()?, (cookie, false));
    }
    let [first, second] = &mut others;
    first.send(&[Bc::FreezeDone(100)])?;
    check_eq!(all.freezer.freeze(all.owner.pid())?, Ok(()));
    check_eq!(first.told_frozen()?, (100, true));
    check_eq!(all.holder.told_frozen()?, (COOKIE, true));
    // The one that has not answered is told when it does.
    expect_nothing(second)?;
    second.send(&[Bc::FreezeDone(101)])?;
    check_eq!(second.told_frozen()?, (101, true));
    Ok(())
}

fn per_node(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    let mut handles = vec![all.handle];
    handles.push(give_node(&mut all.owner, &mut all.holder, OTHER)?);
    all.owner.open(&cx.device)?;
    all.owner.map(harness::device::USUAL_SIZE)?;
    all.owner.version()?.ok();
    handles.push(give_node(&mut all.owner, &mut all.holder, NODE)?);
    for handle in &handles {
        let cookie = u64::from(*handle);
        all.holder.send(&[Bc::RequestFreeze(*handle, cookie)])?;
        check_eq!(all.holder.told_frozen()?, (cookie, false));
        all.holder.send(&[Bc::FreezeDone(cookie)])?;
    }
    all.freeze()?;
    let mut told = Vec::new();
    for _ in &handles {
        let (cookie, frozen) = all.holder.told_frozen()?;
        check!(frozen, "cookie {cookie} is told the contrary");
        told.push(cookie as u32);
    }
    told.sort_unstable();
    check_eq!(told, handles);
    all.silence()
}

fn same_cookie(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    let mut third = cx.client()?;
    let other = give_node(&mut third, &mut all.holder, OTHER)?;
    let commands = [all.request(), Bc::RequestFreeze(other, COOKIE)];
    all.holder.send(&commands)?;
    // The owner's is delivered first, the third one's then.
    all.told(false)?;
    all.told(false)?;
    check_eq!(all.freezer.freeze(third.pid())?, Ok(()));
    // The first answer is the owner's, which has nothing new.
    all.answer()?;
    all.silence()?;
    all.answer()?;
    all.told(true)?;
    all.answer()?;
    invalid(&mut all.holder, Bc::FreezeDone(COOKIE))?;
    // Taking one back leaves the other.
    all.take_back()?;
    all.told_cleared()?;
    check_eq!(all.freezer.thaw(third.pid())?, Ok(()));
    all.told(false)
}

fn any_cookie(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    for cookie in [0, 1, u64::MAX, 1 << 63] {
        all.holder.send(&[Bc::RequestFreeze(all.handle, cookie)])?;
        check_eq!(all.holder.told_frozen()?, (cookie, false));
        all.holder
            .send(&[Bc::FreezeDone(cookie), Bc::ClearFreeze(all.handle, cookie)])?;
        check_eq!(
            all.holder.read()?,
            [
                Br::Plain(BR_NOOP),
                Br::Cookie(BR_CLEAR_FREEZE_NOTIFICATION_DONE, cookie)
            ]
        );
    }
    Ok(())
}

fn weak_handle(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    all.holder
        .send(&[Bc::Increfs(all.handle), Bc::Release(all.handle)])?;
    all.ask()?;
    all.told(false)?;
    all.answer()?;
    all.freeze()?;
    all.told(true)
}

fn about_manager(cx: &mut Cx) -> Result<()> {
    let manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    // Without a reference there is nothing to ask about.
    invalid(&mut client, Bc::RequestFreeze(0, 1))?;
    client.send(&[Bc::Acquire(0), Bc::RequestFreeze(0, 1)])?;
    check_eq!(client.told_frozen()?, (1, false));
    client.send(&[Bc::FreezeDone(1)])?;
    check_eq!(freezer.freeze(manager.pid())?, Ok(()));
    check_eq!(client.told_frozen()?, (1, true));
    Ok(())
}

fn frozen_listener(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::new(cx)?;
    check_eq!(all.freezer.freeze(all.holder.pid())?, Ok(()));
    all.freeze()?;
    all.told(true)?;
    all.answer()?;
    all.thaw()?;
    all.told(false)
}

fn not_while_waiting(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::new(cx)?;
    let mut caller = cx.client()?;
    let handle = pass_handle(&mut all.holder, &mut caller, all.handle)?;
    caller.send(&[Call::to(handle).into()])?;
    let call = all.owner.receive()?;
    let freezing = all.freezer.begin_freeze(all.owner.pid(), 3_600_000)?;
    freezing.wait_blocked()?;
    expect_nothing(&mut all.holder)?;
    // Who asks now is told what holds now.
    caller.send(&[Bc::RequestFreeze(handle, 9)])?;
    let mut second = caller.spawn_thread()?;
    second.version()?.ok();
    check_eq!(second.told_frozen()?, (9, true));
    second.send(&[Bc::FreezeDone(9)])?;
    all.owner.answer(&call, Call::reply())?;
    check_eq!(freezing.status()?, Ok(0));
    all.told(true)?;
    check_eq!(second.told_frozen()?, (9, true));
    Ok(())
}

fn not_of_death(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::new(cx)?;
    all.freeze()?;
    all.told(true)?;
    all.answer()?;
    all.holder.send(&[Bc::RequestDeath(all.handle, 4)])?;
    let Listening {
        owner, mut holder, ..
    } = all;
    owner.kill()?;
    check_eq!(
        holder.read()?,
        [Br::Plain(BR_NOOP), Br::Cookie(BR_DEAD_BINDER, 4)]
    );
    expect_nothing(&mut holder)
}

fn needs_room(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::unread(cx)?;
    // BR_NOOP, and 76 bytes less one.
    let outcome = all.holder.exchange(&Exchange::read().read_size(79))?.ok()?;
    check_returns!(outcome.returns()?, [BR_NOOP]);
    let outcome = all.holder.exchange(&Exchange::read().read_size(80))?.ok()?;
    check_returns!(outcome.returns()?, [BR_NOOP, BR_FROZEN_BINDER]);
    check_eq!(outcome.read_consumed, 4 + 4 + 16);
    check_eq!(outcome.touched() as u64, outcome.read_consumed);
    Ok(())
}

fn fault(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::unread(cx)?;
    let page = all.holder.page_before_hole()?;
    // Room for BR_NOOP and the command, none for what comes with it.
    let exchange = Exchange::read().read_buffer(page + PAGE - 8);
    let outcome = all.holder.exchange(&exchange)?;
    check_eq!(outcome.result, Err(Errno::EFAULT));
    check_eq!(outcome.read_consumed, 0);
    all.silence()?;
    all.freeze()?;
    all.silence()?;
    all.answer()?;
    all.told(true)
}

fn polled(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::new(cx)?;
    check_eq!(all.holder.poll_events()?, 0);
    all.freeze()?;
    check_eq!(all.holder.poll_events()?, libc::POLLIN);
    all.told(true)?;
    check_eq!(all.holder.poll_events()?, 0);
    all.thaw()?;
    check_eq!(all.holder.poll_events()?, 0);
    all.answer()?;
    check_eq!(all.holder.poll_events()?, libc::POLLIN);
    all.told(false)?;
    all.holder
        .send(&[Bc::FreezeDone(COOKIE), Bc::ClearFreeze(all.handle, COOKIE)])
        .context("the last answer")?;
    check_eq!(all.holder.poll_events()?, libc::POLLIN);
    all.told_cleared()
}

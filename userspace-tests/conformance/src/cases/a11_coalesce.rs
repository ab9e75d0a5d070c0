// SPDX-License-Identifier: GPL-2.0

//! Section A11: changes that come faster than they are read or answered, taking a
//! request back, and what is no valid request.

use super::case;
use crate::fixtures::*;
use crate::freezing::*;
use anyhow::Result;
use binder_abi::*;
use harness::{Bc, Br, Call, Case, Cx, Errno, Exchange, Transactions, check_eq, check_returns};

pub const CASES: &[Case] = &[
    case(
        "a11/unread-is-updated",
        "a notification not read yet tells the newest state, once",
        unread_updated,
    )
    .covers(&["A11.6"]),
    case(
        "a11/unanswered-holds-back",
        "while one is not answered no other is told",
        unanswered_holds_back,
    )
    .covers(&["A11.6"]),
    case(
        "a11/unanswered-same-state",
        "the state that was told is not told again after the answer",
        same_state,
    )
    .covers(&["A11.6"]),
    case(
        "a11/unanswered-to-and-fro",
        "if it changed and changed back meanwhile, it is told once more",
        to_and_fro,
    )
    .covers(&["A11.6"]),
    case(
        "a11/unanswered-many-changes",
        "of many changes meanwhile the last is told",
        many_changes,
    )
    .covers(&["A11.6"]),
    case(
        "a11/answered-same-state",
        "freezing what is frozen is told again, thawing what is thawed, too",
        answered_same_state,
    ),
    case(
        "a11/resent-is-updated",
        "what waits to be told after an answer is updated like the first",
        resent_updated,
    ),
    case(
        "a11/clear-answered",
        "taking back what was answered is confirmed at once",
        clear_answered,
    )
    .covers(&["A11.7"]),
    case(
        "a11/clear-unread",
        "taking back what was not read yet: only that is confirmed",
        clear_unread,
    )
    .covers(&["A11.7"]),
    case(
        "a11/clear-unanswered",
        "taking back what was not answered yet is confirmed after the answer",
        clear_unanswered,
    )
    .covers(&["A11.7"]),
    case(
        "a11/clear-with-change-pending",
        "a change that waits for an answer is lost with the request",
        clear_with_change,
    )
    .covers(&["A11.7"]),
    case(
        "a11/clear-then-change",
        "after taking back, changes are not told",
        clear_then_change,
    ),
    case(
        "a11/clear-does-not-end-read",
        "several confirmations come in one read",
        clear_does_not_end_read,
    ),
    case(
        "a11/ask-again-unread",
        "asking again before the confirmation is read",
        ask_again_unread,
    ),
    case(
        "a11/ask-again-unanswered",
        "asking again before the first answer: two are under way",
        ask_again_unanswered,
    )
    .covers(&["A11.7"]),
    case(
        "a11/ask-again-many-times",
        "asking and taking back may be repeated without reading",
        ask_again_many,
    ),
    case(
        "a11/ask-twice",
        "asking twice, with any cookie: EINVAL, and the first one holds",
        ask_twice,
    )
    .covers(&["A5.12"]),
    case(
        "a11/ask-unknown-handle",
        "asking about a handle that is not there: EINVAL",
        ask_unknown,
    )
    .covers(&["A5.12"]),
    case(
        "a11/clear-invalid",
        "taking back what is not there, or by another cookie: EINVAL",
        clear_invalid,
    )
    .covers(&["A5.12"]),
    case(
        "a11/answer-invalid",
        "answering what was not told, or twice: EINVAL",
        answer_invalid,
    )
    .covers(&["A5.12"]),
    case(
        "a11/invalid-ends-exchange",
        "what is invalid ends the exchange, though there is something to read",
        invalid_ends_exchange,
    )
    .covers(&["A5.12"]),
];

fn unread_updated(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::unread(cx)?;
    all.freeze()?;
    all.told(true)?;
    all.answer()?;
    all.silence()?;
    // To and fro, however often.
    for _ in 0..3 {
        all.thaw()?;
        all.freeze()?;
    }
    all.told(true)?;
    all.answer()?;
    all.silence()?;
    all.thaw()?;
    all.thaw()?;
    all.told(false)?;
    all.answer()?;
    all.silence()
}

fn unanswered_holds_back(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::unanswered(cx)?;
    all.freeze()?;
    all.silence()?;
    all.answer()?;
    all.told(true)?;
    all.thaw()?;
    all.silence()?;
    all.answer()?;
    all.told(false)?;
    all.answer()?;
    all.silence()
}

fn same_state(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::unanswered(cx)?;
    all.thaw()?;
    all.thaw()?;
    all.answer()?;
    all.silence()?;
    all.freeze()?;
    all.told(true)?;
    all.freeze()?;
    all.answer()?;
    all.silence()
}

fn to_and_fro(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::unanswered(cx)?;
    all.freeze()?;
    all.thaw()?;
    all.silence()?;
    all.answer()?;
    all.told(false)?;
    all.answer()?;
    all.silence()
}

fn many_changes(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::unanswered(cx)?;
    for _ in 0..10 {
        all.freeze()?;
        all.thaw()?;
    }
    all.freeze()?;
    all.answer()?;
    all.told(true)?;
    all.answer()?;
    all.silence()
}

fn answered_same_state(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::new(cx)?;
    for _ in 0..2 {
        all.thaw()?;
        all.told(false)?;
        all.answer()?;
    }
    for _ in 0..3 {
        all.freeze()?;
        all.told(true)?;
        all.answer()?;
    }
    all.silence()
}

fn resent_updated(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::unanswered(cx)?;
    all.freeze()?;
    all.answer()?;
    // Queued again, and not read.
    all.thaw()?;
    all.told(false)?;
    all.answer()?;
    all.silence()
}

fn clear_answered(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::new(cx)?;
    all.take_back()?;
    all.told_cleared()?;
    all.silence()
}

fn clear_unread(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::unread(cx)?;
    all.take_back()?;
    all.told_cleared()?;
    all.silence()?;
    // Also when the owner was frozen in between.
    all.ask()?;
    all.freeze()?;
    all.take_back()?;
    all.thaw()?;
    all.told_cleared()?;
    all.silence()
}

fn clear_unanswered(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::unanswered(cx)?;
    all.take_back()?;
    all.silence()?;
    all.answer()?;
    all.told_cleared()?;
    invalid(&mut all.holder, Bc::FreezeDone(COOKIE))
}

fn clear_with_change(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::unanswered(cx)?;
    all.freeze()?;
    all.take_back()?;
    all.thaw()?;
    all.silence()?;
    all.answer()?;
    all.told_cleared()?;
    all.silence()
}

fn clear_then_change(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::new(cx)?;
    all.take_back()?;
    all.freeze()?;
    all.thaw()?;
    all.told_cleared()?;
    all.freeze()?;
    all.silence()
}

fn clear_does_not_end_read(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::new(cx)?;
    let other = give_node(&mut all.owner, &mut all.holder, OTHER)?;
    let commands = [
        Bc::RequestFreeze(other, 2),
        Bc::ClearFreeze(other, 2),
        all.clear(),
    ];
    all.holder.send(&commands)?;
    let returns = all.holder.read()?;
    let done = |cookie| Br::Cookie(BR_CLEAR_FREEZE_NOTIFICATION_DONE, cookie);
    check_eq!(returns, [Br::Plain(BR_NOOP), done(2), done(COOKIE)]);
    // A confirmation comes in one read with the notification behind it.
    let commands = [
        Bc::RequestFreeze(other, 2),
        Bc::ClearFreeze(other, 2),
        all.request(),
    ];
    all.holder.send(&commands)?;
    check_returns!(
        all.holder.read()?,
        [BR_NOOP, BR_CLEAR_FREEZE_NOTIFICATION_DONE, BR_FROZEN_BINDER]
    );
    Ok(())
}

fn ask_again_unread(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::new(cx)?;
    all.freeze()?;
    all.told(true)?;
    all.answer()?;
    let commands = [all.clear(), all.request()];
    all.holder.send(&commands)?;
    let returns = all.holder.read()?;
    check_returns!(
        returns,
        [BR_NOOP, BR_CLEAR_FREEZE_NOTIFICATION_DONE, BR_FROZEN_BINDER]
    );
    all.answer()?;
    all.thaw()?;
    all.told(false)
}

fn ask_again_unanswered(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::unanswered(cx)?;
    let commands = [all.clear(), all.request()];
    all.holder.send(&commands)?;
    // The second request is told though the first is not answered.
    all.freeze()?;
    all.told(true)?;
    // The first answer belongs to the first request, which was taken back.
    all.answer()?;
    all.told_cleared()?;
    all.thaw()?;
    all.silence()?;
    all.answer()?;
    all.told(false)?;
    all.answer()?;
    invalid(&mut all.holder, Bc::FreezeDone(COOKIE))
}

fn ask_again_many(cx: &mut Cx) -> Result<()> {
    const TIMES: usize = 5;
    let mut all = Listening::unanswered(cx)?;
    for _ in 0..TIMES {
        let commands = [all.clear(), all.request()];
        all.holder.send(&commands)?;
    }
    // The first waits for its answer; the others but the last were never told.
    let mut confirmed = 0;
    let mut told = 0;
    while told == 0 {
        for each in all.holder.read()? {
            match each.code() {
                BR_CLEAR_FREEZE_NOTIFICATION_DONE => confirmed += 1,
                BR_FROZEN_BINDER => told += 1,
                _ => check_eq!(each.code(), BR_NOOP),
            }
        }
    }
    check_eq!((confirmed, told), (TIMES - 1, 1));
    all.answer()?;
    all.told_cleared()?;
    all.answer()?;
    all.freeze()?;
    all.told(true)
}

fn ask_twice(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::unread(cx)?;
    let handle = all.handle;
    let again = |all: &mut Listening| {
        invalid(&mut all.holder, Bc::RequestFreeze(handle, COOKIE))?;
        invalid(&mut all.holder, Bc::RequestFreeze(handle, 2))
    };
    again(&mut all)?;
    all.told(false)?;
    again(&mut all)?;
    all.answer()?;
    again(&mut all)?;
    all.freeze()?;
    all.told(true)?;
    all.answer()?;
    all.take_back()?;
    all.told_cleared()
}

fn ask_unknown(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    for handle in [all.handle + 1, 0, u32::MAX] {
        invalid(&mut all.holder, Bc::RequestFreeze(handle, 1))?;
        invalid(&mut all.holder, Bc::ClearFreeze(handle, 1))?;
    }
    all.silence()
}

fn clear_invalid(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    let clear = all.clear();
    // Never asked.
    invalid(&mut all.holder, clear.clone())?;
    all.ask()?;
    for cookie in [0, COOKIE + 1] {
        invalid(&mut all.holder, Bc::ClearFreeze(all.handle, cookie))?;
    }
    all.told(false)?;
    invalid(&mut all.holder, Bc::ClearFreeze(all.handle, 0))?;
    all.answer()?;
    all.freeze()?;
    all.told(true)?;
    all.answer()?;
    // Taken back already, confirmed or not.
    all.take_back()?;
    invalid(&mut all.holder, clear.clone())?;
    all.told_cleared()?;
    invalid(&mut all.holder, clear)
}

fn answer_invalid(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    let done = Bc::FreezeDone(COOKIE);
    invalid(&mut all.holder, done.clone())?;
    all.ask()?;
    // Queued is not told.
    invalid(&mut all.holder, done.clone())?;
    all.told(false)?;
    invalid(&mut all.holder, Bc::FreezeDone(COOKIE + 1))?;
    invalid(&mut all.owner, done.clone())?;
    all.answer()?;
    invalid(&mut all.holder, done.clone())?;
    all.freeze()?;
    invalid(&mut all.holder, done)?;
    all.told(true)
}

fn invalid_ends_exchange(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::unread(cx)?;
    // A transaction in front of it is sent, one behind it is not.
    let call: Bc = Call::oneway(all.handle).into();
    let commands = [call.clone(), Bc::FreezeDone(1), call.clone()];
    let outcome = all
        .holder
        .exchange(&Exchange::write(&commands).and_read())?;
    check_eq!(outcome.result, Err(Errno::EINVAL));
    check_eq!(outcome.write_consumed, call.size());
    check_eq!(outcome.read_consumed, 0);
    let first = all.owner.receive()?;
    all.owner.free(&first)?;
    expect_nothing(&mut all.owner)?;
    complete(&mut all.holder)?;
    all.told(false)
}

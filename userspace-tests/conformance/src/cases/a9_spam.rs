// SPDX-License-Identifier: GPL-2.0

//! Section A9: who sends so many oneway calls that it looks like spam is told so.

use super::case;
use crate::fixtures::*;
use crate::freezing::pending;
use anyhow::Result;
use binder_abi::*;
use harness::thread::PAGE;
use harness::{Bc, Br, Call, Case, Cx, Delivery, Errno, Process, Thread, Transactions, check_eq};

pub const CASES: &[Case] = &[
    case(
        "a9/spam-by-count",
        "with 51 buffers outstanding the next one is suspect, not before",
        by_count,
    )
    .covers(&["A9.3", "CVE-2026-43435"]),
    case(
        "a9/spam-by-count-in-place",
        "a buffer where one of the same sender lay counts itself: 51 are suspect",
        by_count_in_place,
    )
    .covers(&["A9.3", "CVE-2026-43435"]),
    case(
        "a9/spam-by-size",
        "with more than a quarter of the space outstanding the next is suspect",
        by_size,
    )
    .covers(&["A9.3"]),
    case(
        "a9/spam-only-when-short",
        "nobody is suspect while a tenth of the space is left for oneway calls",
        only_when_short,
    ),
    case(
        "a9/spam-per-sender",
        "only who has sent too much is suspect, however short the room",
        per_sender,
    ),
    case(
        "a9/spam-threads-count-together",
        "threads and files of a process count together, a child does not",
        threads_together,
    ),
    case(
        "a9/spam-told-once",
        "it is told once, until there is room again",
        told_once,
    )
    .covers(&["A9.3"]),
    case(
        "a9/spam-told-again",
        "after a oneway call that found room it is told again",
        told_again,
    )
    .covers(&["A9.3"]),
    case(
        "a9/spam-only-if-asked",
        "who has not asked is not told, but uses up the telling",
        only_if_asked,
    )
    .covers(&["A4.10"]),
    case(
        "a9/spam-asked-by-reading",
        "whether it was asked for counts when the completion is read",
        asked_by_reading,
    )
    .covers(&["A4.10"]),
    case(
        "a9/spam-not-of-receiver",
        "what the receiver asked for does not matter",
        not_of_receiver,
    )
    .covers(&["A4.10"]),
    case(
        "a9/spam-given-back",
        "buffers given back do not count, delivered ones do",
        given_back,
    ),
    case(
        "a9/spam-calls-do-not-count",
        "calls that want a reply neither count nor are suspect",
        calls_do_not_count,
    ),
    case(
        "a9/spam-for-frozen",
        "to a frozen process the call is pending, not suspect, but uses up the telling",
        for_frozen,
    ),
    case(
        "a9/spam-failed-call",
        "a suspect call that fails uses up the telling",
        failed_call,
    ),
];

/// A manager with room for 20480 bytes of oneway calls: 4096 are a tenth of its
/// space, 10240 a quarter.
const SIZE: u64 = 10 * PAGE;

/// One who receives, one who fills the room, one who is watched.
struct Inbox {
    manager: Process,
    filler: Process,
    sender: Process,
}

impl Inbox {
    fn new(cx: &Cx) -> Result<Self> {
        let inbox = Self {
            manager: cx.manager_with_size(SIZE)?,
            filler: cx.client()?,
            sender: cx.client()?,
        };
        Ok(inbox)
    }

    /// The sender wants to be told.
    fn watched(cx: &Cx) -> Result<Self> {
        let mut inbox = Self::new(cx)?;
        detect(&mut inbox.sender, 1)?;
        Ok(inbox)
    }

    /// The filler sends so much, and is not suspect.
    fn fill(&mut self, size: usize) -> Result<()> {
        send(&mut self.filler, size)?;
        complete(&mut self.filler)
    }

    /// The sender sends so much, and is suspect or not.
    fn sends(&mut self, size: usize, suspect: bool) -> Result<()> {
        sends(&mut self.sender, size, suspect)
    }

    /// The manager receives a call.
    fn take(&mut self) -> Result<Delivery> {
        self.manager.receive()
    }
}

/// Asks to be told of spam, or not.
fn detect(thread: &mut Thread, value: u32) -> Result<()> {
    let result = thread.ioctl(BINDER_ENABLE_ONEWAY_SPAM_DETECTION, value)?;
    check_eq!(result, Ok(value));
    Ok(())
}

/// Sends a oneway call of this size.
fn send(thread: &mut Thread, size: usize) -> Result<()> {
    thread.send(&[Call::oneway(0).data(&vec![0; size]).into()])
}

/// Sends a oneway call of this size, which is suspect or not.
fn sends(thread: &mut Thread, size: usize, suspect: bool) -> Result<()> {
    send(thread, size)?;
    let code = match suspect {
        true => BR_ONEWAY_SPAM_SUSPECT,
        false => BR_TRANSACTION_COMPLETE,
    };
    expect(thread, &[BR_NOOP, code])
}

fn by_count(cx: &mut Cx) -> Result<()> {
    let mut inbox = Inbox::watched(cx)?;
    // 4096 bytes are left: all that the sender sends is looked at.
    inbox.fill(20480 - 4096)?;
    for _ in 0..51 {
        inbox.sends(0, false)?;
    }
    inbox.sends(0, true)
}

fn by_count_in_place(cx: &mut Cx) -> Result<()> {
    // Whose buffer lay in the place of the last one, and is the 51st then suspect?
    for own in [true, false] {
        let mut inbox = Inbox::watched(cx)?;
        match own {
            true => inbox.sends(0, false)?,
            false => inbox.fill(0)?,
        }
        inbox.fill(20480 - 4096 - 8)?;
        for _ in 0..50 {
            inbox.sends(0, false)?;
        }
        let first = inbox.take()?;
        inbox.manager.free(&first)?;
        // Fits exactly.
        inbox.sends(0, own)?;
        if !own {
            inbox.sends(0, true)?;
        }
        inbox.manager.kill()?;
        cx.wait_for_vacancy()?;
    }
    Ok(())
}

fn by_size(cx: &mut Cx) -> Result<()> {
    let mut inbox = Inbox::watched(cx)?;
    inbox.fill(8192)?;
    // Exactly a quarter is not too much, and the one that is sent does not count.
    inbox.sends(10240, false)?;
    inbox.sends(8, false)?;
    inbox.sends(8, true)
}

fn only_when_short(cx: &mut Cx) -> Result<()> {
    let mut inbox = Inbox::watched(cx)?;
    inbox.sends(10248, false)?;
    inbox.sends(8, false)?;
    inbox.fill(20480 - 10256 - 4104)?;
    // This one leaves exactly a tenth.
    inbox.sends(8, false)?;
    inbox.sends(8, true)
}

fn per_sender(cx: &mut Cx) -> Result<()> {
    let mut inbox = Inbox::watched(cx)?;
    detect(&mut inbox.filler, 1)?;
    let mut third = cx.client()?;
    detect(&mut third, 1)?;
    inbox.sends(10248, false)?;
    inbox.fill(8000)?;
    sends(&mut third, 512, false)?;
    inbox.fill(8)?;
    sends(&mut third, 8, false)?;
    inbox.sends(8, true)
}

fn threads_together(cx: &mut Cx) -> Result<()> {
    let mut inbox = Inbox::watched(cx)?;
    let mut thread = inbox.sender.spawn_thread()?;
    let mut child = inbox.sender.fork()?;
    inbox.fill(20480 - 4096)?;
    for _ in 0..25 {
        inbox.sends(0, false)?;
        sends(&mut thread, 0, false)?;
    }
    // A file of its own, which has to ask anew.
    thread.open(&cx.device)?;
    detect(&mut thread, 1)?;
    send(&mut thread, 0)?;
    let returns = thread.read()?;
    check_eq!(returns.last(), Some(&Br::Plain(BR_TRANSACTION_COMPLETE)));
    // The child uses its parent's file, but is another process.
    send(&mut child, 0)?;
    let returns = child.read()?;
    check_eq!(returns.last(), Some(&Br::Plain(BR_TRANSACTION_COMPLETE)));
    sends(&mut thread, 0, true)
}

fn told_once(cx: &mut Cx) -> Result<()> {
    let mut inbox = Inbox::watched(cx)?;
    inbox.sends(10248, false)?;
    inbox.fill(20480 - 10248 - 4096)?;
    inbox.sends(8, true)?;
    for _ in 0..10 {
        inbox.sends(8, false)?;
    }
    // Not even somebody else is told.
    let mut other = cx.client()?;
    detect(&mut other, 1)?;
    for _ in 0..60 {
        sends(&mut other, 0, false)?;
    }
    Ok(())
}

fn told_again(cx: &mut Cx) -> Result<()> {
    let mut inbox = Inbox::watched(cx)?;
    inbox.sends(10248, false)?;
    inbox.fill(20480 - 10248 - 4096)?;
    inbox.sends(8, true)?;
    // There is room for a while, but no oneway call finds it.
    let first = inbox.take()?;
    inbox.manager.free(&first)?;
    inbox.sends(10248, false)?;
    // This one does: it leaves exactly a tenth.
    let second = inbox.take()?;
    inbox.manager.free(&second)?;
    inbox.fill(20480 - 10248 - 8 - 4096)?;
    inbox.sends(8, true)?;
    inbox.sends(8, false)
}

fn only_if_asked(cx: &mut Cx) -> Result<()> {
    let mut inbox = Inbox::new(cx)?;
    inbox.sends(10248, false)?;
    inbox.fill(20480 - 10248 - 4096)?;
    // This one was suspect.
    inbox.sends(8, false)?;
    detect(&mut inbox.sender, 1)?;
    inbox.sends(8, false)
}

fn asked_by_reading(cx: &mut Cx) -> Result<()> {
    for (before, after) in [(0, 1), (1, 0), (7, 2)] {
        let mut inbox = Inbox::new(cx)?;
        detect(&mut inbox.sender, before)?;
        inbox.sends(10248, false)?;
        inbox.fill(20480 - 10248 - 4096)?;
        send(&mut inbox.sender, 8)?;
        detect(&mut inbox.sender, after)?;
        let code = match after {
            0 => BR_TRANSACTION_COMPLETE,
            _ => BR_ONEWAY_SPAM_SUSPECT,
        };
        expect(&mut inbox.sender, &[BR_NOOP, code])?;
        inbox.manager.kill()?;
        cx.wait_for_vacancy()?;
    }
    Ok(())
}

fn not_of_receiver(cx: &mut Cx) -> Result<()> {
    let mut inbox = Inbox::new(cx)?;
    detect(&mut inbox.manager, 1)?;
    detect(&mut inbox.filler, 1)?;
    inbox.sends(10248, false)?;
    inbox.fill(20480 - 10248 - 4096)?;
    inbox.sends(8, false)
}

fn given_back(cx: &mut Cx) -> Result<()> {
    let mut inbox = Inbox::watched(cx)?;
    inbox.sends(5120, false)?;
    inbox.sends(5128, false)?;
    inbox.fill(20480 - 10248 - 4096)?;
    let first = inbox.take()?;
    inbox.manager.free(&first)?;
    inbox.sends(5104, false)?;
    inbox.fill(16)?;
    // Less than a quarter, then exactly one.
    inbox.sends(8, false)?;
    inbox.sends(8, false)?;
    // Delivered is not given back.
    inbox.take()?;
    inbox.sends(8, true)
}

fn calls_do_not_count(cx: &mut Cx) -> Result<()> {
    let mut inbox = Inbox::watched(cx)?;
    inbox.fill(20480 - 16)?;
    // A call that takes most of the other half, and is not received.
    inbox.sender.send(&[Call::to(0).data(&[0; 16000]).into()])?;
    send(&mut inbox.sender, 8)?;
    expect(
        &mut inbox.sender,
        &[BR_NOOP, BR_TRANSACTION_COMPLETE, BR_TRANSACTION_COMPLETE],
    )
}

fn failed_call(cx: &mut Cx) -> Result<()> {
    let mut inbox = Inbox::watched(cx)?;
    inbox.sends(10248, false)?;
    inbox.fill(20480 - 10248 - 4096)?;
    let wrong: Bc = Call::oneway(0).data_at(8, 8).into();
    inbox.sender.write(&[wrong])?.ok()?;
    expect(&mut inbox.sender, &[BR_NOOP, BR_FAILED_REPLY])?;
    check_eq!(
        error_of(&mut inbox.sender)?,
        (BR_FAILED_REPLY, param(Some(Errno::EFAULT)))
    );
    inbox.sends(8, false)
}

fn for_frozen(cx: &mut Cx) -> Result<()> {
    let mut inbox = Inbox::watched(cx)?;
    let mut freezer = cx.unmapped()?;
    check_eq!(freezer.freeze(inbox.manager.pid())?, Ok(()));
    for (sender, size) in [(1, 10248), (0, 20480 - 10248 - 4096), (1, 8)] {
        let sender = match sender {
            0 => &mut inbox.filler,
            _ => &mut inbox.sender,
        };
        send(sender, size)?;
        pending(sender)?;
    }
    check_eq!(freezer.thaw(inbox.manager.pid())?, Ok(()));
    inbox.sends(8, false)
}

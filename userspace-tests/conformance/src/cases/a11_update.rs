// SPDX-License-Identifier: GPL-2.0

//! Section A11: oneway calls with `TF_UPDATE_TXN` take the place of those like them
//! that wait for a frozen process.

use super::case;
use crate::fixtures::*;
use crate::freezing::*;
use anyhow::Result;
use binder_abi::*;
use harness::thread::PAGE;
use harness::{Br, Call, Case, Cx, Process, Thread, Transactions, check, check_eq};

pub const CASES: &[Case] = &[
    case(
        "a11/update-supersedes",
        "of several updates for a frozen process only the last arrives",
        supersedes,
    )
    .covers(&["A6.34"]),
    case(
        "a11/update-first-in-line-stays",
        "one that waits for nobody but the process is not superseded",
        first_stays,
    ),
    case(
        "a11/update-moves-to-tail",
        "an update takes its place at the end of the line",
        moves_to_tail,
    )
    .covers(&["A6.34", "A19.12"]),
    case(
        "a11/update-not-frozen",
        "for a process that is not frozen every update arrives",
        not_frozen,
    )
    .covers(&["A6.34"]),
    case(
        "a11/update-after-thaw",
        "after the thaw what waits is not superseded any more",
        after_thaw,
    ),
    case(
        "a11/update-while-freezing",
        "while freezing waits, the oldest that is like the new one goes",
        while_freezing,
    ),
    case(
        "a11/update-needs-flag-of-both",
        "both the old and the new call must be updates",
        flag_of_both,
    )
    .covers(&["A6.34"]),
    case(
        "a11/update-same-code",
        "another code is another call",
        same_code,
    )
    .covers(&["A6.34"]),
    case(
        "a11/update-same-flags",
        "other flags make another call",
        same_flags,
    )
    .covers(&["A6.34"]),
    case(
        "a11/update-same-sender",
        "another process's call is another, a thread's or a file's is not",
        same_sender,
    )
    .covers(&["A6.34"]),
    case(
        "a11/update-same-node",
        "a call to another node is another",
        same_node,
    )
    .covers(&["A6.34"]),
    case(
        "a11/update-any-content",
        "size, content and user of the two calls do not matter",
        any_content,
    ),
    case(
        "a11/update-of-call",
        "the flag means nothing to a call that wants a reply",
        of_call,
    ),
];

/// A frozen manager whose node's line is not empty, and who sends.
pub struct Line {
    /// Frozen, and the receiver.
    pub manager: Process,
    /// Sends.
    pub client: Process,
    /// Freezes and thaws.
    pub freezer: Process,
}

/// The code of the call that the line begins with.
pub const HEAD: u32 = 1000;

impl Line {
    /// With this manager.
    pub fn with(manager: Process, cx: &Cx) -> Result<Self> {
        let mut line = Self {
            manager,
            client: cx.client()?,
            freezer: cx.unmapped()?,
        };
        check_eq!(line.freezer.freeze(line.manager.pid())?, Ok(()));
        line.send(Call::oneway(0).code(HEAD))?;
        Ok(line)
    }

    /// With a manager as usual.
    pub fn new(cx: &Cx) -> Result<Self> {
        Self::with(cx.manager()?, cx)
    }

    /// The client sends this, and it is queued.
    pub fn send(&mut self, call: Call) -> Result<()> {
        self.client.send(&[call.into()])?;
        pending(&mut self.client)
    }

    /// Everything that arrives after the thaw, by code.
    pub fn arrives(&mut self, codes: &[u32]) -> Result<()> {
        check_eq!(self.freezer.thaw(self.manager.pid())?, Ok(()));
        check_eq!(drain(&mut self.manager)?, codes);
        Ok(())
    }
}

/// Receives oneway calls until there are none, and lists their codes.
fn drain(thread: &mut Thread) -> Result<Vec<u32>> {
    let mut codes = Vec::new();
    loop {
        let returns = thread.try_read()?;
        match returns.as_slice() {
            [] => return Ok(codes),
            [Br::Plain(BR_NOOP), Br::Delivery(call)] => {
                codes.push(call.data.code);
                thread.free(call)?;
            }
            _ => check!(false, "not a oneway call: {returns:?}"),
        }
    }
}

/// An update with this code.
pub fn update(code: u32) -> Call {
    Call::oneway(0).code(code).flags(TF_UPDATE_TXN)
}

fn supersedes(cx: &mut Cx) -> Result<()> {
    let mut line = Line::new(cx)?;
    for content in 1..=10 {
        line.send(update(1).data(&[content; 100]))?;
    }
    check_eq!(line.freezer.thaw(line.manager.pid())?, Ok(()));
    let head = line.manager.receive()?;
    check_eq!(head.data.code, HEAD);
    line.manager.free(&head)?;
    let last = line.manager.receive()?;
    check_eq!(
        (last.data.code, last.data.flags),
        (1, TF_ONE_WAY | TF_UPDATE_TXN)
    );
    check_eq!(line.manager.data(&last)?, [10; 100]);
    line.manager.free(&last)?;
    expect_nothing(&mut line.manager)
}

fn first_stays(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    check_eq!(freezer.freeze(manager.pid())?, Ok(()));
    for code in [1, 1, 1] {
        client.send(&[update(code).into()])?;
        pending(&mut client)?;
    }
    check_eq!(freezer.thaw(manager.pid())?, Ok(()));
    check_eq!(drain(&mut manager)?, [1, 1]);
    // Nor is one that is being served.
    client.send(&[update(1).into()])?;
    let served = manager.receive()?;
    check_eq!(freezer.freeze(manager.pid())?, Ok(()));
    for _ in 0..3 {
        client.send(&[update(1).into()])?;
    }
    manager.free(&served)?;
    check_eq!(drain(&mut manager)?, [1]);
    Ok(())
}

fn moves_to_tail(cx: &mut Cx) -> Result<()> {
    let mut line = Line::new(cx)?;
    let plain = |code| Call::oneway(0).code(code);
    for call in [
        update(1),
        plain(2),
        update(3),
        plain(4),
        update(1),
        plain(5),
    ] {
        line.send(call)?;
    }
    line.send(update(3))?;
    line.arrives(&[HEAD, 2, 4, 1, 5, 3])
}

fn not_frozen(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    for _ in 0..4 {
        client.send(&[update(1).into()])?;
        complete(&mut client)?;
    }
    check_eq!(drain(&mut manager)?, [1, 1, 1, 1]);
    Ok(())
}

fn after_thaw(cx: &mut Cx) -> Result<()> {
    let mut line = Line::new(cx)?;
    line.send(update(1))?;
    check_eq!(line.freezer.thaw(line.manager.pid())?, Ok(()));
    line.client.send(&[update(1).into()])?;
    complete(&mut line.client)?;
    line.arrives(&[HEAD, 1, 1])
}

fn while_freezing(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    for (code, content) in [(HEAD, 0), (1, 1), (2, 2), (1, 3)] {
        client.send(&[update(code).data(&[content]).into()])?;
        complete(&mut client)?;
    }
    let freezing = freezer.begin_freeze(manager.pid(), 3_600_000)?;
    freezing.wait_blocked()?;
    client.send(&[update(1).data(&[4]).into()])?;
    pending(&mut client)?;
    let mut contents = Vec::new();
    for _ in 0..4 {
        let call = manager.receive()?;
        contents.extend(manager.data(&call)?);
        manager.free(&call)?;
    }
    check_eq!(contents, [0, 2, 3, 4]);
    // With the last one delivered there is nothing to wait for.
    check_eq!(freezing.status()?, Ok(0));
    expect_nothing(&mut manager)
}

fn flag_of_both(cx: &mut Cx) -> Result<()> {
    let mut line = Line::new(cx)?;
    let plain = || Call::oneway(0).code(1);
    line.send(plain())?;
    line.send(update(1))?;
    line.send(plain())?;
    line.send(plain())?;
    line.arrives(&[HEAD, 1, 1, 1, 1])
}

fn same_code(cx: &mut Cx) -> Result<()> {
    let mut line = Line::new(cx)?;
    for code in [0, 1, u32::MAX, 1 << 31, 0, 1] {
        line.send(update(code))?;
    }
    line.arrives(&[HEAD, u32::MAX, 1 << 31, 0, 1])
}

fn same_flags(cx: &mut Cx) -> Result<()> {
    let flags = [
        0,
        TF_ACCEPT_FDS,
        TF_ROOT_OBJECT,
        TF_STATUS_CODE,
        TF_CLEAR_BUF,
        0x80,
        0x8000_0000,
    ];
    let mut line = Line::new(cx)?;
    for flags in flags {
        line.send(update(1).flags(flags))?;
    }
    // Each has one of its own now.
    for flags in flags {
        line.send(update(1).flags(flags))?;
    }
    check_eq!(line.freezer.thaw(line.manager.pid())?, Ok(()));
    let head = line.manager.receive()?;
    line.manager.free(&head)?;
    for flags in flags {
        let call = line.manager.receive()?;
        check_eq!(call.data.flags, TF_ONE_WAY | TF_UPDATE_TXN | flags);
        line.manager.free(&call)?;
    }
    expect_nothing(&mut line.manager)
}

fn same_sender(cx: &mut Cx) -> Result<()> {
    let mut line = Line::new(cx)?;
    let mut other = cx.client()?;
    let mut thread = line.client.spawn_thread()?;
    let mut child = line.client.fork()?;
    let send = |thread: &mut Thread, content: u8| {
        thread.send(&[update(1).data(&[content]).into()])?;
        thread.read()
    };
    send(&mut line.client, 1)?;
    send(&mut other, 2)?;
    // A thread of the process, with a file of its own: supersedes the first.
    thread.open(&cx.device)?;
    thread.map(PAGE)?;
    send(&mut thread, 3)?;
    // A child, through its parent's file: another process.
    send(&mut child, 4)?;
    send(&mut other, 5)?;
    check_eq!(line.freezer.thaw(line.manager.pid())?, Ok(()));
    let mut contents = Vec::new();
    for _ in 0..4 {
        let call = line.manager.receive()?;
        contents.extend(line.manager.data(&call)?);
        line.manager.free(&call)?;
    }
    check_eq!(contents, [3, 4, 5]);
    expect_nothing(&mut line.manager)
}

fn same_node(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let mut freezer = cx.unmapped()?;
    let handles = [
        give_node(&mut owner, &mut manager, NODE)?,
        give_node(&mut owner, &mut manager, OTHER)?,
    ];
    check_eq!(freezer.freeze(owner.pid())?, Ok(()));
    for (code, which) in [(HEAD, 0), (HEAD, 1), (1, 0), (1, 1), (1, 0)] {
        let call = Call::oneway(handles[which]).code(code);
        manager.send(&[call.flags(TF_UPDATE_TXN).into()])?;
        pending(&mut manager)?;
    }
    check_eq!(freezer.thaw(owner.pid())?, Ok(()));
    check_eq!(drain(&mut owner)?, [HEAD, HEAD, 1, 1]);
    Ok(())
}

fn any_content(cx: &mut Cx) -> Result<()> {
    let mut line = Line::new(cx)?;
    let contents: [&[u8]; 4] = [b"", b"12345", &[0; 3000], b"last"];
    for (uid, content) in (0u64..).zip(contents) {
        line.client
            .must(libc::SYS_setresuid, &[u64::MAX, uid, u64::MAX])?;
        line.send(update(1).data(content))?;
        line.client
            .must(libc::SYS_setresuid, &[u64::MAX, 0, u64::MAX])?;
    }
    check_eq!(line.freezer.thaw(line.manager.pid())?, Ok(()));
    let head = line.manager.receive()?;
    line.manager.free(&head)?;
    let last = line.manager.receive()?;
    check_eq!(line.manager.data(&last)?, b"last");
    check_eq!(last.data.sender_euid, 3);
    line.manager.free(&last)?;
    expect_nothing(&mut line.manager)
}

/// Whether the reading end of a pipe has lost its writers.
fn of_call(cx: &mut Cx) -> Result<()> {
    let mut line = Line::new(cx)?;
    line.send(update(1))?;
    let call = || Call::to(0).code(1).flags(TF_UPDATE_TXN);
    fails(&mut line.client, call(), BR_FROZEN_REPLY, None)?;
    line.arrives(&[HEAD, 1])?;
    line.client.send(&[call().into()])?;
    let call = line.manager.receive()?;
    check_eq!(call.data.flags, TF_UPDATE_TXN);
    line.manager.answer(&call, Call::reply())?;
    line.client.receive().map(drop)
}

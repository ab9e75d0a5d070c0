// SPDX-License-Identifier: GPL-2.0

//! Situations that cases about freezing start from.

use crate::fixtures::*;
use anyhow::{Result, bail, ensure};
use binder_abi::*;
use harness::deadline::Deadline;
use harness::{Bc, Call, Cx, Errno, Process, Thread, Transactions, check_eq};

/// A process with a node, one that holds it, and one that freezes.
pub struct Listening {
    /// Has the node [`NODE`].
    pub owner: Process,
    /// The manager, which holds the node.
    pub holder: Process,
    /// Freezes and thaws.
    pub freezer: Process,
    /// The holder's handle of the node.
    pub handle: u32,
}

/// The cookie that [`Listening::new`] asks with.
pub const COOKIE: u64 = 0xc00c1e;

impl Listening {
    /// Nobody has asked for anything.
    pub fn silent(cx: &Cx) -> Result<Self> {
        let mut holder = cx.manager()?;
        let mut owner = cx.client()?;
        let handle = give_node(&mut owner, &mut holder, NODE)?;
        Ok(Self {
            owner,
            holder,
            freezer: cx.unmapped()?,
            handle,
        })
    }

    /// The holder has asked to be told, and nothing else has happened.
    pub fn unread(cx: &Cx) -> Result<Self> {
        let mut all = Self::silent(cx)?;
        all.ask()?;
        Ok(all)
    }

    /// It has been told that the owner is not frozen.
    pub fn unanswered(cx: &Cx) -> Result<Self> {
        let mut all = Self::unread(cx)?;
        check_eq!(all.holder.told_frozen()?, (COOKIE, false));
        Ok(all)
    }

    /// It has been told, and has answered.
    pub fn new(cx: &Cx) -> Result<Self> {
        let mut all = Self::unanswered(cx)?;
        all.answer()?;
        Ok(all)
    }

    /// The command that asks.
    pub fn request(&self) -> Bc {
        Bc::RequestFreeze(self.handle, COOKIE)
    }

    /// The holder asks.
    pub fn ask(&mut self) -> Result<()> {
        let request = self.request();
        self.holder.send(&[request])
    }

    /// The holder takes it back.
    pub fn take_back(&mut self) -> Result<()> {
        let clear = self.clear();
        self.holder.send(&[clear])
    }

    /// The command that takes it back.
    pub fn clear(&self) -> Bc {
        Bc::ClearFreeze(self.handle, COOKIE)
    }

    /// Freezes the owner, which has nothing to do.
    pub fn freeze(&mut self) -> Result<()> {
        check_eq!(self.freezer.freeze(self.owner.pid())?, Ok(()));
        Ok(())
    }

    /// Thaws the owner.
    pub fn thaw(&mut self) -> Result<()> {
        check_eq!(self.freezer.thaw(self.owner.pid())?, Ok(()));
        Ok(())
    }

    /// The holder answers what it was told.
    pub fn answer(&mut self) -> Result<()> {
        self.holder.send(&[Bc::FreezeDone(COOKIE)])
    }

    /// The next thing the holder reads is that the owner is frozen, or not.
    pub fn told(&mut self, frozen: bool) -> Result<()> {
        check_eq!(self.holder.told_frozen()?, (COOKIE, frozen));
        Ok(())
    }

    /// The next thing the holder reads is that its request is taken back.
    pub fn told_cleared(&mut self) -> Result<()> {
        let returns = self.holder.read()?;
        check_eq!(
            returns,
            [
                harness::Br::Plain(BR_NOOP),
                harness::Br::Cookie(BR_CLEAR_FREEZE_NOTIFICATION_DONE, COOKIE)
            ]
        );
        Ok(())
    }

    /// The holder has nothing to read.
    pub fn silence(&mut self) -> Result<()> {
        expect_nothing(&mut self.holder)
    }
}

/// A call that is refused because the process is frozen.
pub fn refused(caller: &mut Thread, handle: u32) -> Result<()> {
    fails(caller, Call::to(handle), BR_FROZEN_REPLY, None)
}

/// Reads, expecting nothing but that a oneway call waits for a frozen process.
pub fn pending(thread: &mut Thread) -> Result<()> {
    expect(thread, &[BR_NOOP, BR_TRANSACTION_PENDING_FROZEN])
}

/// A command that is refused with `EINVAL`: it is not consumed, nor is what
/// follows it, and nothing is read.
pub fn invalid(thread: &mut Thread, command: Bc) -> Result<()> {
    let exchange = harness::Exchange::write(&[Bc::EnterLooper, command, Bc::ExitLooper]);
    let outcome = thread.exchange(&exchange.and_read())?;
    check_eq!(outcome.result, Err(Errno::EINVAL));
    check_eq!(outcome.write_consumed, Bc::EnterLooper.size());
    check_eq!((outcome.read_consumed, outcome.touched()), (0, 0));
    Ok(())
}

/// Waits until the driver has forgotten a process.
pub fn forgotten(freezer: &mut Thread, pid: i32) -> Result<()> {
    let deadline = Deadline::step();
    loop {
        match freezer.missed(pid)? {
            Err(Errno::EINVAL) => return Ok(()),
            Err(error) => bail!("BINDER_GET_FROZEN_INFO: {error}"),
            Ok(_) => ensure!(!deadline.passed(), "process {pid} is not released"),
        }
        std::thread::yield_now();
    }
}

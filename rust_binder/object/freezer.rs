// SPDX-License-Identifier: GPL-2.0

//! Whether a process is frozen, what it missed, and how many messages are under way to it.
//!
//! A frozen process gets no calls: they are refused. Oneway messages and replies reach it as ever.
//! Whoever freezes a process may wait until it has dealt with what was sent to it before; a call
//! is dealt with when it was replied to, anything else when it was read.
//!
//! All of it is guarded by the inner lock of the process but [`Answered`], the number of calls that
//! it has replied to. A reply is finished long after the lock of the process was last held for it,
//! so that number goes up without the lock.

use crate::atomic::Counter;

/// How many calls a process has replied to since its file was opened.
///
/// The highest bit says that somebody waits for the number to change. Nothing else is shared
/// without a lock, so that whoever adds to the number sees the bit, or is seen by whoever set it.
pub(crate) struct Answered(Counter);

/// See [`Answered`].
const WATCHED: u64 = 1 << 63;

impl Answered {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self(Counter::new(0))
    }

    /// One more, whose reply is on its way or has failed.
    ///
    /// Returns whether the process has to be locked and unlocked, and those that wait for it to
    /// be woken then.
    #[inline]
    #[must_use]
    pub(crate) fn add_one(&self) -> bool {
        self.0.add(1) & WATCHED != 0
    }

    fn number(&self) -> u64 {
        self.0.load() & !WATCHED
    }

    fn watch(&self) {
        self.0.update(|value| Some(value | WATCHED));
    }

    fn unwatch(&self) {
        self.0.update(|value| Some(value & !WATCHED));
    }
}

/// What a process missed while it was frozen, in the form of `BINDER_GET_FROZEN_INFO`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FrozenStatus {
    /// Bit 0: calls were refused. Bit 1: something is under way.
    pub(crate) sync_recv: u32,
    /// Oneway messages arrived.
    pub(crate) async_recv: u32,
}

/// The state that freezing changes, and what it depends on.
#[derive(Debug)]
pub(crate) struct Freezer {
    frozen: bool,
    /// A call was refused since the process was last frozen or thawed.
    sync_recv: bool,
    /// A oneway message arrived while it was frozen, since then.
    async_recv: bool,
    /// How many threads wait until nothing is under way.
    waiters: u32,
    /// Messages that were sent to the process, less those that it has dealt with under the lock. It
    /// wraps with the number of answered calls, which is to be subtracted, 63 bits wide.
    sent: u64,
}

impl Freezer {
    /// A process that is not frozen and to which nothing was sent.
    pub(crate) const fn new() -> Self {
        Self {
            frozen: false,
            sync_recv: false,
            async_recv: false,
            waiters: 0,
            sent: 0,
        }
    }

    /// Whether the process is frozen.
    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// A call arrives. Returns whether it has to be refused, and if so takes note.
    #[inline]
    #[must_use]
    pub(crate) fn refuses_call(&mut self) -> bool {
        if self.frozen {
            self.sync_recv = true;
        }
        self.frozen
    }

    /// A oneway message arrives. Returns whether it has to wait until the process is thawed, and if
    /// so takes note.
    #[inline]
    #[must_use]
    pub(crate) fn delays_oneway(&mut self) -> bool {
        if self.frozen {
            self.async_recv = true;
        }
        self.frozen
    }

    /// A message was queued for the process.
    #[inline]
    pub(crate) fn sent(&mut self) {
        self.sent = self.sent.wrapping_add(1);
    }

    /// The process has dealt with `count` messages, or they were given up.
    ///
    /// Returns whether those that wait are to be woken, after the lock.
    #[inline]
    #[must_use]
    pub(crate) fn settled(&mut self, count: u32) -> bool {
        self.sent = self.sent.wrapping_sub(count.into());
        self.waiters != 0
    }

    /// Whether something is under way.
    pub(crate) fn is_pending(&self, answered: &Answered) -> bool {
        self.sent.wrapping_sub(answered.number()) & !WATCHED != 0
    }

    /// Somebody is going to wait until nothing is under way.
    pub(crate) fn wait_begins(&mut self, answered: &Answered) {
        self.waiters = self.waiters.saturating_add(1);
        answered.watch();
    }

    /// Somebody who waited does so no longer.
    pub(crate) fn wait_ends(&mut self, answered: &Answered) {
        self.waiters = self.waiters.saturating_sub(1);
        if self.waiters == 0 {
            answered.unwatch();
        }
    }

    /// From now on calls are refused.
    pub(crate) fn freeze(&mut self) {
        self.reset(true);
    }

    /// The process could not be frozen after all. What it missed meanwhile stays on record.
    pub(crate) fn give_up(&mut self) {
        self.frozen = false;
    }

    /// The process is thawed, or dead.
    pub(crate) fn thaw(&mut self) {
        self.reset(false);
    }

    fn reset(&mut self, frozen: bool) {
        self.frozen = frozen;
        self.sync_recv = false;
        self.async_recv = false;
    }

    /// What the process missed; `is_pending` says whether something is under way or a thread of it
    /// is in a call.
    pub(crate) fn status(&self, is_pending: bool) -> FrozenStatus {
        FrozenStatus {
            sync_recv: u32::from(self.sync_recv) | u32::from(is_pending) << 1,
            async_recv: u32::from(self.async_recv),
        }
    }
}

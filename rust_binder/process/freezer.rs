// SPDX-License-Identifier: GPL-2.0

//! Freezing and thawing a process.
//!
//! The state is [`Inner::freezer`], guarded by `Process::inner`, beside which
//! [`Process::answered`] counts the replies. Whoever waits for a process to become quiet sleeps on
//! [`Process::quiet`], which is notified after the lock.

use super::{
    Inner,
    InnerGuard,
    Process, //
};
use crate::object::freezer::FrozenStatus;
use kernel::{
    prelude::*,
    sync::CondVarTimeoutResult,
    time::msecs_to_jiffies, //
};

impl Process {
    /// Freezes the process, whose threads have up to `timeout_ms` to deal with what was sent to it.
    ///
    /// Calls are refused from the start. If the process is not quiet in the end, they are let in
    /// again. Follows `binder_ioctl_freeze()`.
    ///
    /// # Errors
    ///
    /// [`EAGAIN`] if the process is not quiet, [`ERESTARTSYS`] on a signal.
    pub fn freeze(&self, timeout_ms: u32) -> Result {
        let mut inner = self.lock();
        if inner.is_dead {
            return Ok(());
        }
        inner.freezer.freeze();
        let mut frozen = match timeout_ms {
            0 => Ok(()),
            _ => self.wait_until_settled(&mut inner, timeout_ms),
        };
        if inner.is_dead {
            // It died meanwhile, and was thawed.
            return Ok(());
        }
        if frozen.is_ok() && inner.is_busy(self) {
            frozen = Err(EAGAIN);
        }
        if frozen.is_err() {
            inner.freezer.give_up();
        }
        drop(inner);
        if frozen.is_ok() {
            self.tell_watchers();
        }
        frozen
    }

    /// Thaws the process.
    pub fn thaw(&self) {
        self.lock().freezer.thaw();
        self.tell_watchers();
    }

    /// Tells all who asked to be told whether the process is frozen. Follows
    /// `binder_add_freeze_work()`.
    fn tell_watchers(&self) {
        let mut from = Some(0);
        while let Some(ptr) = from {
            let inner = self.lock();
            let next = match inner.is_dead {
                true => None,
                false => inner.node_from(ptr),
            };
            drop(inner);
            let Some(node) = next else {
                return;
            };
            node.owner_changed();
            from = node.name.ptr.checked_add(1);
        }
    }

    /// What the process missed while it was frozen, and whether it is busy now.
    pub fn frozen_status(&self) -> FrozenStatus {
        let inner = self.lock();
        inner.freezer.status(inner.is_busy(self))
    }

    /// Waits until nothing that was sent to the process is under way, or the time is over.
    fn wait_until_settled(&self, inner: &mut InnerGuard<'_>, timeout_ms: u32) -> Result {
        let mut left = msecs_to_jiffies(timeout_ms);
        let mut result = Ok(());
        inner.freezer.wait_begins(&self.answered);
        while !inner.is_dead && inner.freezer.is_pending(&self.answered) {
            match self.quiet.wait_interruptible_timeout(inner, left) {
                CondVarTimeoutResult::Woken { jiffies } => left = jiffies,
                CondVarTimeoutResult::Timeout => break,
                CondVarTimeoutResult::Signal { .. } => {
                    if inner.freezer.is_pending(&self.answered) {
                        result = Err(ERESTARTSYS);
                    }
                    break;
                }
            }
        }
        inner.freezer.wait_ends(&self.answered);
        result
    }

    /// The process has dealt with `count` messages, or they were given up.
    pub fn settle(&self, count: u32) {
        let wake = self.lock().freezer.settled(count);
        if wake {
            self.wake_freezers();
        }
    }

    /// A thread of the process has sent a reply, or the reply has failed.
    #[inline]
    pub fn answer_sent(&self) {
        if self.answered.add_one() {
            self.wake_freezers_of_answer();
        }
    }

    #[cold]
    fn wake_freezers_of_answer(&self) {
        // Whoever found the answer missing holds the lock until it sleeps.
        drop(self.lock());
        self.wake_freezers();
    }

    /// Has those look again who wait for the process to become quiet.
    #[cold]
    pub fn wake_freezers(&self) {
        self.quiet.notify_all();
    }
}

impl Inner {
    /// Tells whether something that was sent to `process`, whose state this is, is under way, or a
    /// thread of it is in a call. Follows `binder_txns_pending_ilocked()`.
    fn is_busy(&self, process: &Process) -> bool {
        self.freezer.is_pending(&process.answered)
            || self
                .by_pid
                .values()
                .filter_map(|key| self.threads.get(*key))
                .any(|thread| !thread.stack.is_empty())
    }
}

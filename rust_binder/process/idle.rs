// SPDX-License-Identifier: GPL-2.0

//! Which threads of a process wait, and who of them is woken.
//!
//! Idle threads, those that wait for work of the process, form a list through the links in their
//! state; it belongs to [`Inner`] and is guarded by `Process::inner`.

use super::{
    thread::looper,
    Inner,
    ThreadKey,
    ThreadState,
    Wakeup, //
};
use crate::sys::sleep::{
    Sleeper,
    Wake, //
};
use kernel::{
    sync::atomic::{
        ordering::Relaxed,
        Atomic, //
    },
    task::Pid, //
};

impl Inner {
    /// Makes threads return from their read, in the order of their pids and starting behind `after`,
    /// up to and including the first that waits in one. That one is to be woken, and `after` is its
    /// pid; `None` says that all were visited.
    pub(super) fn interrupt_next(
        &mut self,
        after: &mut Pid,
        attention: &Atomic<i32>,
    ) -> Option<Wakeup> {
        loop {
            let (pid, key) = {
                let cursor = self.by_pid.cursor_lower_bound(&after.checked_add(1)?)?;
                let (pid, key) = cursor.current();
                (*pid, *key)
            };
            *after = pid;
            let Some(thread) = self.threads.get_mut(key) else {
                continue;
            };
            if !thread.need_return {
                thread.need_return = true;
                attention.add(1, Relaxed);
            }
            if thread.looper & looper::WAITING != 0 {
                if let Some(poll) = &thread.poll {
                    poll.notify_all();
                }
                return Some(Wakeup::new(thread.sleeper.take(), Wake::Normal));
            }
        }
    }

    /// Lists a thread that goes to sleep among those that wait for work of the process.
    ///
    /// The one that came last is the first to get work: its memory is still in the caches.
    pub fn enter_idle(&mut self, key: ThreadKey, sleeper: Sleeper) {
        let next = self.idle;
        let Some(thread) = self.threads.get_mut(key) else {
            return;
        };
        thread.sleeper = Some(sleeper);
        thread.idle.listed = true;
        thread.idle.prev = None;
        thread.idle.next = next;
        if let Some(next) = next.and_then(|next| self.threads.get_mut(next)) {
            next.idle.prev = Some(key);
        }
        self.idle = Some(key);
    }

    /// Takes a thread off that list, if it is there.
    #[inline]
    pub fn leave_idle(&mut self, key: ThreadKey) {
        let Some(thread) = self.threads.get_mut(key) else {
            return;
        };
        if !thread.idle.listed {
            return;
        }
        let links = core::mem::take(&mut thread.idle);
        match links.prev.and_then(|prev| self.threads.get_mut(prev)) {
            Some(prev) => prev.idle.next = links.next,
            None => self.idle = links.next,
        }
        if let Some(next) = links.next.and_then(|next| self.threads.get_mut(next)) {
            next.idle.prev = links.prev;
        }
    }

    /// Tells whether some thread waits for work of the process.
    #[inline]
    pub fn has_idle(&self) -> bool {
        self.idle.is_some()
    }

    /// The thread that went idle last.
    #[inline]
    pub fn last_idle(&self) -> Option<ThreadKey> {
        self.idle
    }

    /// Picks the thread that went idle last. It must be woken.
    #[inline]
    pub fn take_idle(&mut self) -> Option<&mut ThreadState> {
        let key = self.idle?;
        self.leave_idle(key);
        self.threads.get_mut(key)
    }

    /// Wakes somebody for work of the process: an idle thread, or else all that poll and are free.
    pub fn wake_any(&mut self, how: Wake) -> Wakeup {
        if let Some(thread) = self.take_idle() {
            return Wakeup::new(thread.sleeper.take(), how);
        }
        for key in self.by_pid.values() {
            let Some(thread) = self.threads.get(*key) else {
                continue;
            };
            if let Some(poll) = thread.poll.as_ref().filter(|_| thread.is_available()) {
                if how == Wake::Sync {
                    poll.notify_sync();
                } else {
                    poll.notify_all();
                }
            }
        }
        Wakeup::none()
    }
}

// SPDX-License-Identifier: GPL-2.0

//! At what priority a thread serves what it takes, and how it gets back what it had.
//!
//! As in the C driver it is the thread itself that changes: to the nice value of the caller or of the
//! node when it takes a message, back when it replies, to that of its process when it waits for work.
//! [`object::priority`](crate::object::priority) has the rules. Nearly always there is nothing to
//! change, and that costs a comparison.

use super::Session;
use crate::{
    object::priority::nice_for,
    observe::user_error,
    process::{
        Kind,
        Message,
        Saved, //
    },
    sys::sched, //
};

impl Session<'_> {
    /// Gives the thread the nice value at which it is to serve `message`, which it has taken from
    /// its queue.
    #[inline]
    pub(super) fn adopt_priority(&self, message: &Message) {
        let target = message.payload.as_ref().and_then(|it| it.target.as_ref());
        let Some(target) = target else {
            return;
        };
        let minimum = target.node().flags.min_priority();
        let oneway = matches!(message.kind, Kind::Oneway { .. });
        if let Some(nice) = nice_for(minimum, message.nice, sched::nice(self.task), oneway) {
            self.set_nice(nice);
        }
    }

    /// Gives the thread back what it had when it took a call.
    #[inline]
    pub(super) fn restore_priority(&self, saved: Saved) {
        match saved {
            Saved::Nice(nice) => self.set_nice(nice.into()),
        }
    }

    /// Tells whether the thread is as it is to wait for work of the process.
    #[inline]
    pub(super) fn has_default_priority(&self) -> bool {
        sched::has_nice(self.task, self.process.default_nice.into())
    }

    /// Makes it so.
    #[cold]
    pub(super) fn assume_default_priority(&self) {
        self.set_nice(self.process.default_nice.into());
    }

    #[inline]
    fn set_nice(&self, nice: i16) {
        if !sched::has_nice(self.task, nice.into()) {
            self.change_nice(nice);
        }
    }

    #[cold]
    fn change_nice(&self, nice: i16) {
        if sched::set_nice(self.task, nice.into()).is_err() {
            user_error!(self.process, "RLIMIT_NICE not set\n");
        }
    }
}

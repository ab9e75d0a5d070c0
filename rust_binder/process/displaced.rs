// SPDX-License-Identifier: GPL-2.0

//! What a thread is to be given back after it served messages at priorities that nodes asked for.
//!
//! A [`Displaced`] is part of the state of its thread and guarded by `Process::inner`. The scheduler is
//! asked without that lock, by the thread itself or, before it is woken for a call, by the caller: it
//! is [raised](Displaced::begin_raise) then, and does not go on before that is over, so nothing that
//! the caller is about to do can come after what the thread does next.

use crate::{
    object::priority::Own,
    sys::sched::Scheduling, //
};
use kernel::{
    prelude::*,
    sync::aref::ARef,
    task::Task, //
};

/// How a task is scheduled, as the rules ask.
pub fn own(scheduling: Scheduling) -> Own {
    Own {
        policy: scheduling.policy,
        nice: scheduling.nice,
        real_time: scheduling.real_time,
    }
}

/// How a thread was scheduled when it took a call, or its caller raised it for that.
#[derive(Clone, Copy)]
pub enum Saved {
    /// At this nice value. The call was to a plain node: the rest was left alone.
    Nice(i8),
    /// So, while it served another such call.
    Inner(Scheduling),
    /// As [`Home`] says: nothing had changed it yet.
    Outermost,
}

/// What a thread had before any node changed it.
pub struct Home {
    task: ARef<Task>,
    scheduling: Scheduling,
}

impl Home {
    /// Gives it back. No spin lock is held.
    ///
    /// # Errors
    ///
    /// What the scheduler refuses.
    pub fn restore(self) -> Result {
        self.scheduling.apply(&self.task)
    }
}

/// See the [module](self).
pub struct Displaced {
    home: Option<Home>,
    /// What is to be saved with the call at the head of the thread's queue, for which it was raised.
    raised: Option<Saved>,
    /// A caller is about to raise the thread.
    underway: bool,
}

impl Displaced {
    pub(super) const fn new() -> Self {
        Self {
            home: None,
            raised: None,
            underway: false,
        }
    }

    /// Whether there is something to give back.
    #[inline]
    pub fn is_away(&self) -> bool {
        self.home.is_some()
    }

    /// Whether the thread has to wait until it is raised.
    #[inline]
    pub fn is_being_raised(&self) -> bool {
        self.underway
    }

    /// Notes what `task`, the thread, has before a call is queued for which it is to be raised.
    #[cold]
    pub fn begin_raise(&mut self, task: &Task) {
        self.raised = Some(self.note(task));
        self.underway = true;
    }

    /// Notes that it was raised. Whoever waits for that is to be told.
    pub fn end_raise(&mut self) {
        self.underway = false;
    }

    /// What to save with the message that the thread, which is `task`, takes now.
    #[cold]
    pub fn take(&mut self, task: &Task) -> Saved {
        match self.raised.take() {
            Some(saved) => saved,
            None => self.note(task),
        }
    }

    /// Hands out what the thread had at first; it is not away any more.
    pub fn go_home(&mut self) -> Option<Home> {
        self.raised = None;
        self.home.take()
    }

    /// Notes what the thread, which is `task`, has now.
    #[cold]
    pub fn note(&mut self, task: &Task) -> Saved {
        let scheduling = Scheduling::of(task);
        if self.home.is_some() {
            return Saved::Inner(scheduling);
        }
        self.home = Some(Home {
            task: task.into(),
            scheduling,
        });
        Saved::Outermost
    }
}

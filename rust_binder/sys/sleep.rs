// SPDX-License-Identifier: GPL-2.0

//! Going to sleep and waking one particular task.
//!
//! A binder thread sleeps alone: it leaves a [`Sleeper`] where its wakers look, under the lock that
//! guards what it waits for, and whoever hands it work takes the `Sleeper` away under the same lock
//! and wakes the task after dropping it. No wait queue is shared, hence there is no second lock to contend
//! for: where a wake-up is to be synchronous, the waker has a queue of its own on its stack.

use kernel::{
    bindings,
    ffi::c_void,
    sync::aref::ARef,
    task::{
        CurrentTask,
        Task, //
    }, //
};

extern "C" {
    fn rust_binder_prepare_to_sleep();
    fn rust_binder_finish_sleep();
    fn rust_binder_wake(task: *mut c_void, sync: bool);
}

/// What the waker is about to do, a hint for the scheduler.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// The waker keeps running.
    Normal,
    /// The waker is about to sleep; the woken task may take over its CPU.
    Sync,
}

/// A reference to a task that sleeps, or is about to, and may be woken once.
pub struct Sleeper(ARef<Task>);

impl Sleeper {
    /// Of the current task.
    #[inline]
    pub fn new(task: &CurrentTask) -> Self {
        let task: &Task = task;
        Self(task.into())
    }

    /// The task.
    pub fn task(&self) -> ARef<Task> {
        self.0.clone()
    }

    /// Wakes the task. A task that is awake already is left alone.
    #[inline]
    pub fn wake(self, how: Wake) {
        // SAFETY: The reference keeps the task alive for the length of the call.
        unsafe { rust_binder_wake(self.0.as_ptr().cast(), how == Wake::Sync) };
    }
}

/// The current task's announcement that it is going to sleep.
///
/// While this value lives, the task counts as asleep: a wake-up that comes before [`Doze::sleep`]
/// makes that call return at once. Hence the order: make the `Doze`, look for work under the lock,
/// leave a [`Sleeper`], drop the lock, call [`Doze::sleep`].
///
/// Code that can block must not run between making a `Doze` and dropping it, other than `sleep`.
pub struct Doze(());

impl Doze {
    /// Announces it. The sleep is interruptible, and freezable at suspend.
    #[inline]
    pub fn new() -> Self {
        // SAFETY: Changing the state of the current task has no preconditions.
        unsafe { rust_binder_prepare_to_sleep() };
        Self(())
    }

    /// Sleeps until woken, or until a signal comes.
    #[inline]
    pub fn sleep(&mut self) {
        // SAFETY: This is process context, and callers hold no spin lock: a `Doze` is used by the
        // read path only, which takes its locks in inner scopes.
        unsafe { bindings::schedule() };
    }
}

impl Drop for Doze {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: Making the current task runnable has no preconditions.
        unsafe { rust_binder_finish_sleep() };
    }
}

/// Tells whether a signal waits for the current task.
#[inline]
pub fn signal_pending(task: &CurrentTask) -> bool {
    task.signal_pending()
}

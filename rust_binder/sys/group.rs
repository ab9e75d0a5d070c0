// SPDX-License-Identifier: GPL-2.0

//! A thread group by its number, without the task.
//!
//! Whoever holds a node of a process keeps that process's state, for as long as it likes, also after
//! the process died. The number is a small object; the task would be some kilobytes.

use core::ptr::NonNull;
use kernel::{
    bindings,
    pid_namespace::PidNamespace,
    task::{
        Pid,
        Task, //
    }, //
};

/// The thread group of a task.
///
/// # Invariants
///
/// Owns a reference to the `struct pid`.
pub(crate) struct ThreadGroup(NonNull<bindings::pid>);

// SAFETY: A `struct pid` belongs to no thread, and its reference may be dropped by any.
unsafe impl Send for ThreadGroup {}
// SAFETY: The number of a `struct pid` in a namespace never changes, and the one field read besides
// is read as the kernel's own readers without a lock do.
unsafe impl Sync for ThreadGroup {}

impl ThreadGroup {
    /// That of a task; nothing if the task is gone.
    pub(crate) fn of(task: &Task) -> Option<Self> {
        // SAFETY: The task is valid. The function gives a reference, or null.
        let pid = unsafe { bindings::get_task_pid(task.as_ptr(), bindings::pid_type_PIDTYPE_TGID) };
        // INVARIANT: The reference is ours.
        NonNull::new(pid).map(Self)
    }

    /// Its number as this namespace has it; 0 if it has none there, or if the group is gone, as
    /// `task_tgid_nr_ns()` says.
    #[inline]
    pub(crate) fn number_in(&self, namespace: &PidNamespace) -> Pid {
        const GROUP: usize = bindings::pid_type_PIDTYPE_TGID as usize;
        // SAFETY: By the invariant it is valid. The list's head is a word that others may write: it
        // is read once, and what it points to is not looked at.
        let member = unsafe { (&raw const (*self.0.as_ptr()).tasks[GROUP].first).read_volatile() };
        if member.is_null() {
            return 0;
        }
        // SAFETY: Both are valid.
        unsafe { bindings::pid_nr_ns(self.0.as_ptr(), namespace.as_ptr()) }
    }
}

impl Drop for ThreadGroup {
    fn drop(&mut self) {
        // SAFETY: The reference is ours, by the invariant, and this was its last use.
        unsafe { bindings::put_pid(self.0.as_ptr()) }
    }
}

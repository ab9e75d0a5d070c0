// SPDX-License-Identifier: GPL-2.0

//! Nice values of tasks.
//!
//! What takes a run queue's lock is called without any spin lock of the driver's.

use kernel::{
    bindings,
    task::{
        CurrentTask,
        Task, //
    }, //
};

/// The static priority of a task at nice 0.
const DEFAULT_PRIO: i32 = 120;

/// The nice value behind the worst one: the best one that a limit of zero allows.
const BEYOND_WORST: isize = 20;

/// The task has no limit for nice values and keeps the one it has.
pub struct NoLimit;

/// The nice value of a task. One that runs in real time has one too.
#[inline]
pub fn nice(task: &Task) -> i8 {
    // SAFETY: The reference keeps the task alive. Others may change the field at any time, hence the
    // volatile read; it is an aligned word.
    let static_prio = unsafe { (&raw const (*task.as_ptr()).static_prio).read_volatile() };
    static_prio.wrapping_sub(DEFAULT_PRIO) as i8
}

/// A task's limit for nice values, as the kernel counts them: from 1 for 19 to 40 for -20.
#[inline]
fn nice_limit(task: &Task) -> usize {
    // SAFETY: The reference keeps the task alive, and the task its `signal`. Others may change the
    // limit at any time, hence the volatile read; it is an aligned word.
    unsafe {
        let signal = (*task.as_ptr()).signal;
        (&raw const (*signal).rlim[bindings::RLIMIT_NICE as usize].rlim_cur).read_volatile()
    }
}

/// Tells whether [`set_nice`] would leave the current task as it is.
#[inline]
pub fn has_nice(task: &CurrentTask, wanted: isize) -> bool {
    if isize::from(nice(task)) != wanted {
        return false;
    }
    // A limit of zero leaves every task at the nice value that it has.
    let limit = nice_limit(task);
    limit == 0 || BEYOND_WORST.wrapping_sub(wanted) as usize <= limit
}

/// Gives the current task a nice value, or the best one that it may have.
///
/// Follows `binder_set_nice()`. The task's limit counts even for the nice value that it has, so one
/// that was started with a better nice value than its limit allows ends at the limit. Numbers beyond
/// 19 are asked for like nice values, and have no effect where they are allowed.
///
/// # Errors
///
/// [`NoLimit`] if the limit allows no nice value at all.
#[cold]
pub fn set_nice(task: &CurrentTask, wanted: isize) -> Result<(), NoLimit> {
    // SAFETY: The reference keeps the task alive.
    if unsafe { bindings::can_nice(task.as_ptr(), wanted as i32) } != 0 {
        // SAFETY: The reference keeps the task alive, and the caller holds no spin lock.
        unsafe { bindings::set_user_nice(task.as_ptr(), wanted) };
        return Ok(());
    }
    let best = BEYOND_WORST.wrapping_sub_unsigned(nice_limit(task));
    // SAFETY: As above.
    unsafe { bindings::set_user_nice(task.as_ptr(), best) };
    match best < BEYOND_WORST {
        true => Ok(()),
        false => Err(NoLimit),
    }
}

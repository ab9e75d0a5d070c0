// SPDX-License-Identifier: GPL-2.0

//! Nice values, policies and real-time priorities of tasks.
//!
//! What takes a run queue's lock is called without any spin lock of the driver's: for a task with a
//! deadline it may even sleep.

use kernel::{
    bindings,
    error::to_result,
    ffi::c_void,
    prelude::*,
    task::{
        CurrentTask,
        Task, //
    }, //
};

extern "C" {
    fn rust_binder_has_sys_nice(task: *mut c_void) -> bool;
    fn rust_binder_set_scheduling(
        task: *mut c_void,
        policy: u32,
        priority: u32,
        nice: i32,
        slice: u32,
        timer_slack: u64,
        reset_on_fork: bool,
    ) -> i32;
}

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

/// A resource limit of a task.
#[inline]
fn limit<const RESOURCE: usize>(task: &Task) -> usize {
    // SAFETY: The reference keeps the task alive, and the task its `signal`. Others may change the
    // limit at any time, hence the volatile read; it is an aligned word.
    unsafe {
        let signal = (*task.as_ptr()).signal;
        (&raw const (*signal).rlim[RESOURCE].rlim_cur).read_volatile()
    }
}

/// A task's limit for nice values, as the kernel counts them: from 1 for 19 to 40 for -20.
#[inline]
pub fn nice_limit(task: &Task) -> usize {
    limit::<{ bindings::RLIMIT_NICE as usize }>(task)
}

/// A task's limit for real-time priorities.
pub fn real_time_limit(task: &Task) -> usize {
    limit::<{ bindings::RLIMIT_RTPRIO as usize }>(task)
}

/// Tells whether a task may do without limits: it has `CAP_SYS_NICE`, and no security module minds.
pub fn has_sys_nice(task: &Task) -> bool {
    // SAFETY: The reference keeps the task alive.
    unsafe { rust_binder_has_sys_nice(task.as_ptr().cast()) }
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

/// How a task is scheduled: what it can be given back later. The slice that it asked for is no part of
/// it, because that stays.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Scheduling {
    /// The number of its policy.
    pub policy: u8,
    /// Its nice value, which it has whatever the policy.
    pub nice: i8,
    /// Its real-time priority, 0 if it has none.
    pub real_time: u8,
    /// Whether what it forks starts with an ordinary policy.
    pub reset_on_fork: bool,
    /// By how many nanoseconds its timers may be late, 0 in real time.
    timer_slack: u64,
}

/// The slice that a task asked for, in nanoseconds; 0 if it never did.
fn slice(task: &Task) -> u32 {
    // SAFETY: The reference keeps the task alive. Others may change the fields at any time, hence the
    // volatile reads, each of an aligned field.
    unsafe {
        let entity = &raw const (*task.as_ptr()).se;
        match (&raw const (*entity).custom_slice).read_volatile() {
            0 => 0,
            // At most 100 ms, which fits.
            _ => (&raw const (*entity).slice).read_volatile() as u32,
        }
    }
}

impl Scheduling {
    /// That of a task.
    pub fn of(task: &Task) -> Self {
        let nice = nice(task);
        let task = task.as_ptr();
        // SAFETY: The reference keeps the task alive. Others may change the fields at any time, hence
        // the volatile reads, each of an aligned word. The bit fields are read by what was generated
        // for them, which a concurrent write makes see the old or the new bit.
        unsafe {
            Self {
                policy: (&raw const (*task).policy).read_volatile() as u8,
                nice,
                real_time: (&raw const (*task).rt_priority).read_volatile() as u8,
                reset_on_fork: bindings::task_struct::sched_reset_on_fork_raw(task) != 0,
                timer_slack: (&raw const (*task).timer_slack_ns).read_volatile(),
            }
        }
    }

    /// The same with a real-time policy. What the task forks does not inherit that.
    pub fn in_real_time(self, policy: u8, priority: u8) -> Self {
        Self {
            policy,
            real_time: priority,
            reset_on_fork: true,
            ..self
        }
    }

    /// The same with a policy that has nice values.
    pub fn fair(self, policy: u8, nice: i8) -> Self {
        Self {
            policy,
            nice,
            real_time: 0,
            ..self
        }
    }

    /// Schedules a task so, whatever it may ask for itself. The caller holds no spin lock.
    ///
    /// # Errors
    ///
    /// What the scheduler refuses, such as a policy that a BPF scheduler keeps a task from.
    pub fn apply(self, task: &Task) -> Result {
        let own = Self {
            // Not a reason to do anything: it comes back with an ordinary policy.
            timer_slack: self.timer_slack,
            ..Self::of(task)
        };
        if own == self {
            return Ok(());
        }
        let others = Self {
            nice: own.nice,
            ..self
        };
        // A nice value alone leaves the rest, and what it is worth, as it is.
        if own != others {
            self.set_attributes(task)?;
        }
        if nice(task) != self.nice {
            // SAFETY: The reference keeps the task alive, and the caller holds no spin lock.
            unsafe { bindings::set_user_nice(task.as_ptr(), self.nice.into()) };
        }
        Ok(())
    }

    fn set_attributes(self, task: &Task) -> Result {
        // SAFETY: The reference keeps the task alive, and the caller holds no spin lock.
        to_result(unsafe {
            rust_binder_set_scheduling(
                task.as_ptr().cast(),
                self.policy.into(),
                self.real_time.into(),
                self.nice.into(),
                slice(task),
                self.timer_slack,
                self.reset_on_fork,
            )
        })
    }
}

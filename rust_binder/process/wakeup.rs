// SPDX-License-Identifier: GPL-2.0

//! Wake-ups that are owed.

use crate::sys::sleep::{
    Sleeper,
    Wake, //
};

/// A wake-up that was decided under a lock and is carried out after it.
///
/// Dropping it carries it out, so none is lost. Declare the variable that holds it before the lock
/// guard, and the compiler drops it after.
#[must_use = "dropping it at once wakes under the lock"]
pub struct Wakeup {
    sleeper: Option<Sleeper>,
    how: Wake,
}

impl Wakeup {
    /// Nobody needs waking.
    #[inline]
    pub fn none() -> Self {
        Self {
            sleeper: None,
            how: Wake::Normal,
        }
    }

    /// Wakes whoever left `sleeper`.
    #[inline]
    pub fn new(sleeper: Option<Sleeper>, how: Wake) -> Self {
        Self { sleeper, how }
    }
}

impl Drop for Wakeup {
    #[inline]
    fn drop(&mut self) {
        if let Some(sleeper) = self.sleeper.take() {
            sleeper.wake(self.how);
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Shim for the atomics of the pure rooms.
//!
//! Pure code names only what is in this module, so the same files compile on a host, where the
//! test crate supplies a module with the same names: over `core` for ordinary tests, over a model
//! checker for the tests that try every interleaving.

use kernel::sync::atomic::{
    Acquire,
    Atomic,
    Full, //
};

/// A number that several threads change.
pub(crate) struct Counter(Atomic<i64>);

impl Counter {
    /// A counter at `value`.
    pub(crate) const fn new(value: u64) -> Self {
        Self(Atomic::new(value as i64))
    }

    /// The value; what was done before it was set is visible.
    #[inline]
    pub(crate) fn load(&self) -> u64 {
        self.0.load(Acquire) as u64
    }

    /// Adds `amount` and returns what the value was. Orders everything before it before everything
    /// after it.
    #[inline]
    pub(crate) fn add(&self, amount: u32) -> u64 {
        self.0.fetch_add(i64::from(amount), Full) as u64
    }

    /// Replaces the value by what `next` makes of it, or leaves it if that is `None`.
    ///
    /// Returns whether the value was replaced. A replacement orders everything before it before
    /// everything after it.
    #[inline]
    pub(crate) fn update(&self, next: impl Fn(u64) -> Option<u64>) -> bool {
        let mut value = self.0.load(Acquire);
        loop {
            let Some(new) = next(value as u64) else {
                return false;
            };
            match self.0.cmpxchg(value, new as i64, Full) {
                Ok(_) => return true,
                Err(now) => value = now,
            }
        }
    }
}

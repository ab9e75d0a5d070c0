// SPDX-License-Identifier: GPL-2.0

//! The atomics shim of the driver (`rust_binder/atomic.rs`) over the standard library, or over
//! the model checker.

#[cfg(feature = "loom")]
use loom::sync::atomic::AtomicU64;
#[cfg(not(feature = "loom"))]
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

/// A number that several threads change.
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// A counter at `value`.
    pub(crate) fn new(value: u64) -> Self {
        Self(AtomicU64::new(value))
    }

    /// The value; what was done before it was set is visible.
    pub(crate) fn load(&self) -> u64 {
        self.0.load(Acquire)
    }

    /// Adds `amount` and returns what the value was.
    pub(crate) fn add(&self, amount: u32) -> u64 {
        self.0.fetch_add(amount.into(), AcqRel)
    }

    /// Replaces the value by what `next` makes of it, or leaves it if that is `None`.
    pub(crate) fn update(&self, next: impl Fn(u64) -> Option<u64>) -> bool {
        self.0.fetch_update(AcqRel, Acquire, next).is_ok()
    }
}

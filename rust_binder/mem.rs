// SPDX-License-Identifier: GPL-2.0

//! Shim for the allocations of the pure rooms.
//!
//! Pure code (range allocator, handle table, state machines) names only what is in this module, so the same files
//! compile on a host, where the test crate supplies a module with the same names over `std`.
//! Everything allocated here is charged to the memory cgroup of the current task, because whoever
//! makes a table grow pays for it.

use kernel::alloc::flags::GFP_KERNEL_ACCOUNT;

/// A growable array. It never grows by itself: storage is made by [`with_capacity`] or [`filled`].
pub(crate) type Vec<T> = kernel::alloc::KVVec<T>;

/// A heap object of fixed size.
pub(crate) type Box<T> = kernel::alloc::KBox<T>;

/// The allocation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoMemory;

impl From<kernel::alloc::AllocError> for NoMemory {
    #[inline]
    fn from(_: kernel::alloc::AllocError) -> Self {
        NoMemory
    }
}

impl From<NoMemory> for kernel::error::Error {
    #[inline]
    fn from(_: NoMemory) -> Self {
        kernel::error::code::ENOMEM
    }
}

/// Makes an empty array with room for `n` elements. May sleep.
pub(crate) fn with_capacity<T>(n: usize) -> Result<Vec<T>, NoMemory> {
    Ok(Vec::with_capacity(n, GFP_KERNEL_ACCOUNT)?)
}

/// Makes an array of `n` copies of `value`. May sleep.
pub(crate) fn filled<T: Clone>(value: T, n: usize) -> Result<Vec<T>, NoMemory> {
    Ok(Vec::from_elem(value, n, GFP_KERNEL_ACCOUNT)?)
}

/// Appends `value` if the capacity allows it, otherwise hands it back. Never allocates.
#[inline]
pub(crate) fn push<T>(vec: &mut Vec<T>, value: T) -> Result<(), T> {
    vec.push_within_capacity(value).map_err(|full| full.0)
}

/// Moves `value` to the heap. May sleep.
pub(crate) fn boxed<T>(value: T) -> Result<Box<T>, NoMemory> {
    Ok(Box::new(value, GFP_KERNEL_ACCOUNT)?)
}

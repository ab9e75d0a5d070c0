// SPDX-License-Identifier: GPL-2.0

//! The allocation shim of the driver (`rust_binder/mem.rs`) over the standard library.
//!
//! Differs in one point: a test can make allocations of its thread fail.

use std::cell::Cell;

pub(crate) use std::boxed::Box;
pub(crate) use std::vec::Vec;

/// The allocation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoMemory;

thread_local! {
    /// How many more allocations succeed.
    static BUDGET: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Lets the next `allocations` of this thread succeed and all others fail, while `f` runs.
pub(crate) fn with_budget<R>(allocations: usize, f: impl FnOnce() -> R) -> R {
    BUDGET.set(allocations);
    let result = f();
    BUDGET.set(usize::MAX);
    result
}

fn spend() -> Result<(), NoMemory> {
    let left = BUDGET.get().checked_sub(1).ok_or(NoMemory)?;
    BUDGET.set(left);
    Ok(())
}

/// Makes an empty array with room for `n` elements.
pub(crate) fn with_capacity<T>(n: usize) -> Result<Vec<T>, NoMemory> {
    spend()?;
    Ok(Vec::with_capacity(n))
}

/// Makes an array of `n` copies of `value`.
pub(crate) fn filled<T: Clone>(value: T, n: usize) -> Result<Vec<T>, NoMemory> {
    spend()?;
    Ok(vec![value; n])
}

/// Appends `value` if the capacity allows it, otherwise hands it back. Never allocates.
pub(crate) fn push<T>(vec: &mut Vec<T>, value: T) -> Result<(), T> {
    if vec.len() == vec.capacity() {
        return Err(value);
    }
    vec.push(value);
    Ok(())
}

/// Moves `value` to the heap.
pub(crate) fn boxed<T>(value: T) -> Result<Box<T>, NoMemory> {
    spend()?;
    Ok(Box::new(value))
}

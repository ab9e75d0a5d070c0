// SPDX-License-Identifier: GPL-2.0

//! Cases in the middle of a system call, by section of the reference.
//!
//! A thread is caught in the driver, where it copies from or to a trap; others go on;
//! then it is let go, or its copy fails.  What races would bring about by luck is so
//! brought about every time.

use harness::Case;

mod a10;
mod a11;
mod a11_busy;
mod a14;
mod a6;
mod a7;
mod a7_sg;
mod a9;
mod inside;

/// All of them, in the order they run.
pub fn all() -> Vec<Case> {
    [
        a6::CASES,
        a7::CASES,
        a7_sg::CASES,
        a9::CASES,
        a10::CASES,
        a11::CASES,
        a11_busy::CASES,
        a14::CASES,
    ]
    .concat()
}

// SPDX-License-Identifier: GPL-2.0

//! What the driver tells of itself.
//!
//! Callers hand over plain data; nothing here takes a lock of the driver's.

pub mod census;

/// Reports that user space did something wrong: rate-limited, with process and thread.
///
/// Never with a lock held.
macro_rules! user_error {
    ($process:expr, $($message:tt)*) => {
        if $crate::sys::ratelimit::user_error() {
            ::kernel::pr_info!(
                "{}:{} {}",
                $process.pid,
                ::kernel::current!().pid(),
                ::core::format_args!($($message)*)
            );
        }
    };
}

pub(crate) use user_error;

// SPDX-License-Identifier: GPL-2.0

//! The rate limit of messages that user space can provoke.

extern "C" {
    fn rust_binder_user_error_ratelimit() -> bool;
}

/// Tells whether a message about a user error may be printed now.
pub fn user_error() -> bool {
    // SAFETY: The call has no preconditions.
    unsafe { rust_binder_user_error_ratelimit() }
}

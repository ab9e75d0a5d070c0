// SPDX-License-Identifier: GPL-2.0

//! Files named by descriptors of the current process.

use kernel::{
    bindings,
    fs::{
        file::BadFdError,
        File, //
    },
    sync::aref::ARef, //
};

/// Takes a reference to the file behind `fd`.
pub fn get(fd: u32) -> Result<ARef<File>, BadFdError> {
    let file = kernel::fs::LocalFile::fget(fd)?;
    // SAFETY: The driver's entry points are not reached through `read`, `write` or `llseek`, so
    // this task is in no `fdget_pos` section.
    Ok(unsafe { kernel::fs::LocalFile::assume_no_fdget_pos(file) })
}

/// Closes a descriptor of the current process, if there is such a one.
///
/// It may be the one by which the running operation came, which need not hold a reference of its own to
/// the file: callers hold one until the operation is over.
pub fn close(fd: u32) {
    // SAFETY: This is process context, and callers hold no lock: closing may sleep.
    unsafe { bindings::close_fd(fd) };
}

/// Close-on-exec, as every descriptor that binder installs.
pub const O_CLOEXEC: u32 = bindings::O_CLOEXEC;

// SPDX-License-Identifier: GPL-2.0

//! Module parameters of string type, which the `kernel` crate does not have.

use kernel::ffi::c_char;

extern "C" {
    fn rust_binder_param_devices(len: *mut usize) -> *const c_char;
}

/// The value of `devices=`: comma-separated device names.
pub fn devices() -> &'static [u8] {
    let mut len = 0;
    // SAFETY: The pointer is valid for the length of the call.
    let start = unsafe { rust_binder_param_devices(&mut len) };
    // SAFETY: The parameter has a default, can be set at load time only, and stays as it is until
    // the module is unloaded; it starts at `start` and has `len` bytes.
    unsafe { core::slice::from_raw_parts(start.cast(), len) }
}

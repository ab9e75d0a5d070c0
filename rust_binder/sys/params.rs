// SPDX-License-Identifier: GPL-2.0

//! Module parameters of string type, which the `kernel` crate does not have.

use kernel::{
    ffi::c_char,
    prelude::*, //
};

extern "C" {
    fn rust_binder_param_devices() -> *const c_char;
}

/// The value of `devices=`: comma-separated device names.
pub fn devices() -> &'static CStr {
    // SAFETY: The parameter has a default, can be set at load time only, and stays allocated, as a
    // string that ends with NUL, until the module is unloaded.
    unsafe { CStr::from_char_ptr(rust_binder_param_devices()) }
}

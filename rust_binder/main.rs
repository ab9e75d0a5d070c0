// SPDX-License-Identifier: GPL-2.0

//! Android's binder IPC driver, as a loadable module in Rust.
//!
//! The rooms, from the top: `device` is what user space opens, `transaction` what its threads do,
//! `process` what they are made of, `object` and `buffer` the state machines and the memory below,
//! `abi` the wire. `sys` holds every unsafe line, `observe` what the driver tells of itself. Calls
//! go downwards only. `Documentation/design.md` has the whole picture.

#![deny(unsafe_code)]
// The crate is the end of the line: what is public in it is so for its own rooms.
#![allow(unreachable_pub)]

use kernel::prelude::*;

// The wire is complete; what the driver does not speak yet stands there all the same.
#[allow(dead_code)]
mod abi;
mod atomic;
mod buffer;
mod device;
mod mem;
mod object;
mod observe;
mod process;
#[allow(unsafe_code)]
mod sys;
mod transaction;

module! {
    type: BinderModule,
    name: "rust_binder",
    authors: ["The rust_binder authors"],
    description: "Android binder IPC driver",
    license: "GPL",
}

/// The loaded module.
pub struct BinderModule {
    _devices: device::Devices,
}

impl kernel::Module for BinderModule {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _devices: device::Devices::register(sys::params::devices())?,
        })
    }
}

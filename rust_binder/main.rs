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

use kernel::{
    debugfs::{
        Dir,
        File, //
    },
    prelude::*, //
};

// The pure rooms are complete, and tested as such on the host; what the driver does not ask of them
// yet stands there all the same.
#[allow(dead_code)]
mod abi;
mod atomic;
#[allow(dead_code)]
mod buffer;
mod device;
mod mem;
#[allow(dead_code)]
mod object;
mod observe;
mod process;
#[allow(unsafe_code)]
mod sys;
mod transaction;

use crate::observe::census::{
    Census,
    LeakReport, //
};

module! {
    type: BinderModule,
    name: "rust_binder",
    authors: ["The rust_binder authors"],
    description: "Android binder IPC driver",
    license: "GPL",
}

/// The loaded module.
///
/// The fields are dropped in this order. An open file keeps the module loaded, so there is none.
#[pin_data]
pub struct BinderModule {
    _devices: device::Devices,
    #[pin]
    _census: File<Census>,
    _directory: Dir,
    _leaks: LeakReport,
}

impl kernel::InPlaceModule for BinderModule {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let directory = Dir::new(c"rust_binder");
        try_pin_init!(Self {
            _devices: device::Devices::register(sys::params::devices())?,
            _census <- directory.read_only_file(c"objects", Census),
            _directory: directory,
            _leaks: LeakReport,
        })
    }
}

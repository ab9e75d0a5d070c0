// SPDX-License-Identifier: GPL-2.0

//! The control device of binderfs.

use crate::ioc::iowr;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The longest name of a device.
pub const BINDERFS_MAX_NAME: usize = 255;

/// Makes a device.
pub const BINDER_CTL_ADD: u32 = iowr::<BinderfsDevice>(b'b', 1);

/// `struct binderfs_device`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[allow(missing_docs)]
pub struct BinderfsDevice {
    pub name: [u8; BINDERFS_MAX_NAME + 1],
    pub major: u32,
    pub minor: u32,
}

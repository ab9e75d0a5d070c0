// SPDX-License-Identifier: GPL-2.0

//! The raw binder protocol: every number, flag and structure that crosses the
//! border between user space and a binder driver.
//!
//! Names are those of the C headers in `uapi/`, so that a reader can go from one
//! to the other; structures have Rust names and their C name in the comment.
//! Nothing here opens a device or holds memory.  Numbers are computed from the
//! structures they carry, never typed in, and [`facts`] lists all of them so that
//! a test can compare them with a compiled C header.
//!
//! Unions of the C side are one plain field here: `binder`/`handle` of an object
//! and `handle`/`ptr` of a transaction share their first byte and the protocol is
//! little-endian on every machine this is built for.

#![no_std]
#![forbid(unsafe_code)]
#![allow(
    non_camel_case_types,
    reason = "constants carry the names of the C header"
)]

pub mod binderfs;
pub mod command;
pub mod facts;
pub mod ioc;
pub mod ioctl;
pub mod object;
pub mod returns;
pub mod transaction;

#[cfg(not(target_endian = "little"))]
compile_error!("the flattened unions of this crate assume a little-endian machine");

pub use command::*;
pub use ioctl::*;
pub use object::*;
pub use returns::*;
pub use transaction::*;

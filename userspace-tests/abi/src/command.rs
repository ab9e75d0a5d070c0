// SPDX-License-Identifier: GPL-2.0

//! Commands: what a write buffer of `BINDER_WRITE_READ` is made of.

use crate::ioc::{io, iow};
use crate::transaction::{TransactionData, TransactionDataSg};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Sends a call.
pub const BC_TRANSACTION: u32 = iow::<TransactionData>(b'c', 0);
/// Answers the call on top of the thread's stack.
pub const BC_REPLY: u32 = iow::<TransactionData>(b'c', 1);
/// Refused by every driver.
pub const BC_ACQUIRE_RESULT: u32 = iow::<i32>(b'c', 2);
/// Gives a received buffer back.
pub const BC_FREE_BUFFER: u32 = iow::<u64>(b'c', 3);
/// Counts a handle up, weakly.
pub const BC_INCREFS: u32 = iow::<u32>(b'c', 4);
/// Counts a handle up, strongly.
pub const BC_ACQUIRE: u32 = iow::<u32>(b'c', 5);
/// Counts a handle down, strongly.
pub const BC_RELEASE: u32 = iow::<u32>(b'c', 6);
/// Counts a handle down, weakly.
pub const BC_DECREFS: u32 = iow::<u32>(b'c', 7);
/// Answers `BR_INCREFS`.
pub const BC_INCREFS_DONE: u32 = iow::<PtrCookie>(b'c', 8);
/// Answers `BR_ACQUIRE`.
pub const BC_ACQUIRE_DONE: u32 = iow::<PtrCookie>(b'c', 9);
/// Refused by every driver.
pub const BC_ATTEMPT_ACQUIRE: u32 = iow::<PriDesc>(b'c', 10);
/// The thread answers a `BR_SPAWN_LOOPER`.
pub const BC_REGISTER_LOOPER: u32 = io(b'c', 11);
/// The thread serves calls of its own accord.
pub const BC_ENTER_LOOPER: u32 = io(b'c', 12);
/// The thread stops serving calls.
pub const BC_EXIT_LOOPER: u32 = io(b'c', 13);
/// Asks to be told when the owner of a handle dies.
pub const BC_REQUEST_DEATH_NOTIFICATION: u32 = iow::<HandleCookie>(b'c', 14);
/// Takes that back.
pub const BC_CLEAR_DEATH_NOTIFICATION: u32 = iow::<HandleCookie>(b'c', 15);
/// Answers `BR_DEAD_BINDER`.
pub const BC_DEAD_BINDER_DONE: u32 = iow::<u64>(b'c', 16);
/// Sends a call with buffers.
pub const BC_TRANSACTION_SG: u32 = iow::<TransactionDataSg>(b'c', 17);
/// Answers a call with buffers.
pub const BC_REPLY_SG: u32 = iow::<TransactionDataSg>(b'c', 18);
/// Asks to be told when the owner of a handle is frozen or thawed.
pub const BC_REQUEST_FREEZE_NOTIFICATION: u32 = iow::<HandleCookie>(b'c', 19);
/// Takes that back.
pub const BC_CLEAR_FREEZE_NOTIFICATION: u32 = iow::<HandleCookie>(b'c', 20);
/// Answers `BR_FROZEN_BINDER`.
pub const BC_FREEZE_NOTIFICATION_DONE: u32 = iow::<u64>(b'c', 21);

/// `struct binder_ptr_cookie`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
#[allow(missing_docs)]
pub struct PtrCookie {
    pub ptr: u64,
    pub cookie: u64,
}

/// `struct binder_handle_cookie`: packed, 12 bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C, packed)]
#[allow(missing_docs)]
pub struct HandleCookie {
    pub handle: u32,
    pub cookie: u64,
}

/// `struct binder_pri_desc`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
#[allow(missing_docs)]
pub struct PriDesc {
    pub priority: i32,
    pub desc: u32,
}

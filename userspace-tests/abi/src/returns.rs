// SPDX-License-Identifier: GPL-2.0

//! Returns: what a read buffer of `BINDER_WRITE_READ` is filled with.

use crate::command::PtrCookie;
use crate::ioc::{io, ior};
use crate::transaction::{TransactionData, TransactionDataSecctx};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A command failed for want of memory.  Its number announces four bytes of
/// payload, but drivers write none.
pub const BR_ERROR: u32 = ior::<i32>(b'r', 0);
/// No error; only seen in [`ExtendedError`](crate::ExtendedError).
pub const BR_OK: u32 = io(b'r', 1);
/// A call to a node that asked for the caller's label.
pub const BR_TRANSACTION_SEC_CTX: u32 = ior::<TransactionDataSecctx>(b'r', 2);
/// A call.
pub const BR_TRANSACTION: u32 = ior::<TransactionData>(b'r', 2);
/// A reply.
pub const BR_REPLY: u32 = ior::<TransactionData>(b'r', 3);
/// Never sent.
pub const BR_ACQUIRE_RESULT: u32 = ior::<i32>(b'r', 4);
/// The target of a call has gone.
pub const BR_DEAD_REPLY: u32 = io(b'r', 5);
/// A call or a reply was sent.
pub const BR_TRANSACTION_COMPLETE: u32 = io(b'r', 6);
/// A node of the caller is referenced.
pub const BR_INCREFS: u32 = ior::<PtrCookie>(b'r', 7);
/// A node of the caller is referenced strongly.
pub const BR_ACQUIRE: u32 = ior::<PtrCookie>(b'r', 8);
/// A node of the caller is no longer referenced strongly.
pub const BR_RELEASE: u32 = ior::<PtrCookie>(b'r', 9);
/// A node of the caller is no longer referenced.
pub const BR_DECREFS: u32 = ior::<PtrCookie>(b'r', 10);
/// Never sent.
pub const BR_ATTEMPT_ACQUIRE: u32 = ior::<PriPtrCookie>(b'r', 11);
/// What every read starts with.
pub const BR_NOOP: u32 = io(b'r', 12);
/// The process is asked for another thread.
pub const BR_SPAWN_LOOPER: u32 = io(b'r', 13);
/// Never sent.
pub const BR_FINISHED: u32 = io(b'r', 14);
/// The owner of a handle has died.
pub const BR_DEAD_BINDER: u32 = ior::<u64>(b'r', 15);
/// A death notification was taken back.
pub const BR_CLEAR_DEATH_NOTIFICATION_DONE: u32 = ior::<u64>(b'r', 16);
/// A call, or the reply to it, failed.
pub const BR_FAILED_REPLY: u32 = io(b'r', 17);
/// The target of a call is frozen.
pub const BR_FROZEN_REPLY: u32 = io(b'r', 18);
/// A oneway call was sent that looks like spam.
pub const BR_ONEWAY_SPAM_SUSPECT: u32 = io(b'r', 19);
/// A oneway call was queued for a frozen process.
pub const BR_TRANSACTION_PENDING_FROZEN: u32 = io(b'r', 20);
/// The owner of a handle is frozen or thawed.
pub const BR_FROZEN_BINDER: u32 = ior::<FrozenStateInfo>(b'r', 21);
/// A freeze notification was taken back.
pub const BR_CLEAR_FREEZE_NOTIFICATION_DONE: u32 = ior::<u64>(b'r', 22);

/// `struct binder_pri_ptr_cookie`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
#[allow(missing_docs)]
pub struct PriPtrCookie {
    pub priority: i32,
    /// What C leaves unnamed between its fields.
    pub padding: u32,
    pub ptr: u64,
    pub cookie: u64,
}

/// `struct binder_frozen_state_info`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
#[allow(missing_docs)]
pub struct FrozenStateInfo {
    pub cookie: u64,
    pub is_frozen: u32,
    pub reserved: u32,
}

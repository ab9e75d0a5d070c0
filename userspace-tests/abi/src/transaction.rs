// SPDX-License-Identifier: GPL-2.0

//! What a transaction looks like in both directions.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// No reply is expected.
pub const TF_ONE_WAY: u32 = 0x01;
/// Carried through for user space.
pub const TF_ROOT_OBJECT: u32 = 0x04;
/// Carried through for user space.
pub const TF_STATUS_CODE: u32 = 0x08;
/// The reply may carry files.
pub const TF_ACCEPT_FDS: u32 = 0x10;
/// The receiver's buffer is zeroed when it is given back.
pub const TF_CLEAR_BUF: u32 = 0x20;
/// Replaces an equal oneway call queued for a frozen process.
pub const TF_UPDATE_TXN: u32 = 0x40;

/// `struct binder_transaction_data`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct TransactionData {
    /// Sending: the handle of the target; receiving: the owner's pointer.
    pub target: u64,
    /// Receiving: the owner's cookie.
    pub cookie: u64,
    /// For user space.
    pub code: u32,
    /// `TF_*`.
    pub flags: u32,
    /// Receiving: process of the caller as the receiver sees it, or 0.
    pub sender_pid: i32,
    /// Receiving: effective user of the caller as the receiver sees it.
    pub sender_euid: u32,
    /// Bytes of data.
    pub data_size: u64,
    /// Bytes, not entries, of the array of offsets.
    pub offsets_size: u64,
    /// Address of the data.
    pub buffer: u64,
    /// Address of the array that says where in the data objects lie.
    pub offsets: u64,
}

/// `struct binder_transaction_data_secctx`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct TransactionDataSecctx {
    /// The transaction itself.
    pub transaction_data: TransactionData,
    /// Address of the caller's label, in the same buffer.
    pub secctx: u64,
}

/// `struct binder_transaction_data_sg`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct TransactionDataSg {
    /// The transaction itself.
    pub transaction_data: TransactionData,
    /// Room for the buffers that go with it.
    pub buffers_size: u64,
}

// SPDX-License-Identifier: GPL-2.0

//! The part of the binder ABI that the workloads speak.

/// `BINDER_WRITE_READ`.
pub const WRITE_READ: u32 = 0xC030_6201;
/// `BINDER_SET_CONTEXT_MGR_EXT`.
pub const SET_CONTEXT_MGR_EXT: u32 = 0x4018_620D;

/// `BC_TRANSACTION`.
pub const BC_TRANSACTION: u32 = 0x4040_6300;
/// `BC_REPLY`.
pub const BC_REPLY: u32 = 0x4040_6301;
/// `BC_FREE_BUFFER`.
pub const BC_FREE_BUFFER: u32 = 0x4008_6303;
/// `BC_ACQUIRE`.
pub const BC_ACQUIRE: u32 = 0x4004_6305;
/// `BC_INCREFS_DONE`.
pub const BC_INCREFS_DONE: u32 = 0x4010_6308;
/// `BC_ACQUIRE_DONE`.
pub const BC_ACQUIRE_DONE: u32 = 0x4010_6309;
/// `BC_ENTER_LOOPER`.
pub const BC_ENTER_LOOPER: u32 = 0x0000_630C;

/// `BR_ERROR`: the driver sends it without the payload that its number announces.
pub const BR_ERROR: u32 = 0x8004_7200;
/// `BR_TRANSACTION`.
pub const BR_TRANSACTION: u32 = 0x8040_7202;
/// `BR_REPLY`.
pub const BR_REPLY: u32 = 0x8040_7203;
/// `BR_DEAD_REPLY`.
pub const BR_DEAD_REPLY: u32 = 0x0000_7205;
/// `BR_TRANSACTION_COMPLETE`.
pub const BR_TRANSACTION_COMPLETE: u32 = 0x0000_7206;
/// `BR_INCREFS`.
pub const BR_INCREFS: u32 = 0x8010_7207;
/// `BR_ACQUIRE`.
pub const BR_ACQUIRE: u32 = 0x8010_7208;
/// `BR_FAILED_REPLY`.
pub const BR_FAILED_REPLY: u32 = 0x0000_7211;
/// `BR_ONEWAY_SPAM_SUSPECT`.
pub const BR_ONEWAY_SPAM_SUSPECT: u32 = 0x0000_7213;

/// `TF_ONE_WAY`.
pub const TF_ONE_WAY: u32 = 1;
/// `TF_ACCEPT_FDS`.
pub const TF_ACCEPT_FDS: u32 = 0x10;

/// `BINDER_TYPE_BINDER`.
pub const TYPE_BINDER: u32 = 0x7362_2A85;
/// `BINDER_TYPE_FD`.
pub const TYPE_FD: u32 = 0x6664_2A85;
/// `FLAT_BINDER_FLAG_ACCEPTS_FDS`.
pub const FLAG_ACCEPTS_FDS: u32 = 0x100;

/// `struct binder_write_read`.
#[repr(C)]
#[derive(Default)]
pub struct WriteRead {
    pub write_size: u64,
    pub write_consumed: u64,
    pub write_buffer: u64,
    pub read_size: u64,
    pub read_consumed: u64,
    pub read_buffer: u64,
}

/// `struct binder_transaction_data`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Transaction {
    pub target: u64,
    pub cookie: u64,
    pub code: u32,
    pub flags: u32,
    pub sender_pid: i32,
    pub sender_euid: u32,
    pub data_size: u64,
    pub offsets_size: u64,
    pub data: u64,
    pub offsets: u64,
}

/// `struct flat_binder_object`, also read as `struct binder_fd_object`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct FlatObject {
    pub kind: u32,
    pub flags: u32,
    pub handle: u64,
    pub cookie: u64,
}

/// Bytes of payload that follow a command or return of this number.
pub const fn payload_size(code: u32) -> usize {
    if code == BR_ERROR {
        0
    } else {
        ((code >> 16) & 0x3fff) as usize
    }
}

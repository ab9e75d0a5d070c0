// SPDX-License-Identifier: GPL-2.0

//! Objects embedded in transaction data.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The last byte of every object type.
pub const B_TYPE_LARGE: u32 = 0x85;

const fn pack(chars: [u8; 3]) -> u32 {
    u32::from_be_bytes([chars[0], chars[1], chars[2], B_TYPE_LARGE as u8])
}

/// A node of the sender, strongly.
pub const BINDER_TYPE_BINDER: u32 = pack(*b"sb*");
/// A node of the sender, weakly.
pub const BINDER_TYPE_WEAK_BINDER: u32 = pack(*b"wb*");
/// A node of somebody else, strongly.
pub const BINDER_TYPE_HANDLE: u32 = pack(*b"sh*");
/// A node of somebody else, weakly.
pub const BINDER_TYPE_WEAK_HANDLE: u32 = pack(*b"wh*");
/// An open file.
pub const BINDER_TYPE_FD: u32 = pack(*b"fd*");
/// Open files listed in a buffer.
pub const BINDER_TYPE_FDA: u32 = pack(*b"fda");
/// A buffer.
pub const BINDER_TYPE_PTR: u32 = pack(*b"pt*");

/// The nice value of a node, in the low byte of its flags.
pub const FLAT_BINDER_FLAG_PRIORITY_MASK: u32 = 0xff;
/// Calls to the node may carry files.
pub const FLAT_BINDER_FLAG_ACCEPTS_FDS: u32 = 0x100;
/// Where the policy of a node starts in its flags. Not in mainline, nor are the next two.
pub const FLAT_BINDER_FLAG_SCHED_POLICY_SHIFT: u32 = 9;
/// The policy of a node: `SCHED_NORMAL`, `SCHED_FIFO`, `SCHED_RR` or `SCHED_BATCH`.
pub const FLAT_BINDER_FLAG_SCHED_POLICY_MASK: u32 = 3 << FLAT_BINDER_FLAG_SCHED_POLICY_SHIFT;
/// Callers hand their real-time priority on.
pub const FLAT_BINDER_FLAG_INHERIT_RT: u32 = 0x800;
/// Calls to the node are delivered with the caller's label.
pub const FLAT_BINDER_FLAG_TXN_SECURITY_CTX: u32 = 0x1000;

/// The buffer's address is stored in its parent.
pub const BINDER_BUFFER_FLAG_HAS_PARENT: u32 = 0x01;

/// `struct binder_object_header`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
#[allow(missing_docs)]
pub struct ObjectHeader {
    pub kind: u32,
}

/// `struct flat_binder_object`; `binder` holds the handle where that is meant.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
#[allow(missing_docs)]
pub struct FlatObject {
    pub hdr: ObjectHeader,
    pub flags: u32,
    pub binder: u64,
    pub cookie: u64,
}

impl FlatObject {
    /// The handle: the low half of the shared field.
    pub const fn handle(&self) -> u32 {
        self.binder as u32
    }
}

/// `struct binder_fd_object`; the number is the low half of `pad_binder`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
#[allow(missing_docs)]
pub struct FdObject {
    pub hdr: ObjectHeader,
    pub pad_flags: u32,
    pub fd: u32,
    pub pad_binder_high: u32,
    pub cookie: u64,
}

/// `struct binder_buffer_object`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
#[allow(missing_docs)]
pub struct BufferObject {
    pub hdr: ObjectHeader,
    pub flags: u32,
    pub buffer: u64,
    pub length: u64,
    pub parent: u64,
    pub parent_offset: u64,
}

/// `struct binder_fd_array_object`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
#[allow(missing_docs)]
pub struct FdArrayObject {
    pub hdr: ObjectHeader,
    pub pad: u32,
    pub num_fds: u64,
    pub parent: u64,
    pub parent_offset: u64,
}

// SPDX-License-Identifier: GPL-2.0

//! The ioctls of a binder device and their arguments.

use crate::ioc::{iow, iowr};
use crate::object::FlatObject;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The only protocol version this project knows.
pub const BINDER_CURRENT_PROTOCOL_VERSION: u32 = 8;

/// Runs commands and fetches returns.
pub const BINDER_WRITE_READ: u32 = iowr::<WriteRead>(b'b', 1);
/// Announced by the header, served by no driver.
pub const BINDER_SET_IDLE_TIMEOUT: u32 = iow::<i64>(b'b', 3);
/// How many threads the driver may ask for.
pub const BINDER_SET_MAX_THREADS: u32 = iow::<u32>(b'b', 5);
/// Announced by the header, served by no driver.
pub const BINDER_SET_IDLE_PRIORITY: u32 = iow::<i32>(b'b', 6);
/// Makes the caller the context manager, with a node without names or flags.
pub const BINDER_SET_CONTEXT_MGR: u32 = iow::<i32>(b'b', 7);
/// Forgets the calling thread.
pub const BINDER_THREAD_EXIT: u32 = iow::<i32>(b'b', 8);
/// Asks for the protocol version.
pub const BINDER_VERSION: u32 = iowr::<Version>(b'b', 9);
/// Walks the caller's nodes.
pub const BINDER_GET_NODE_DEBUG_INFO: u32 = iowr::<NodeDebugInfo>(b'b', 11);
/// Counts the references to the node of a handle.
pub const BINDER_GET_NODE_INFO_FOR_REF: u32 = iowr::<NodeInfoForRef>(b'b', 12);
/// Makes the caller the context manager, with the given node.
pub const BINDER_SET_CONTEXT_MGR_EXT: u32 = iow::<FlatObject>(b'b', 13);
/// Freezes or thaws a process.
pub const BINDER_FREEZE: u32 = iow::<FreezeInfo>(b'b', 14);
/// Asks what a process missed while frozen.
pub const BINDER_GET_FROZEN_INFO: u32 = iowr::<FrozenStatusInfo>(b'b', 15);
/// Asks for `BR_ONEWAY_SPAM_SUSPECT`.
pub const BINDER_ENABLE_ONEWAY_SPAM_DETECTION: u32 = iow::<u32>(b'b', 16);
/// Asks why the thread's last transaction failed.
pub const BINDER_GET_EXTENDED_ERROR: u32 = iowr::<ExtendedError>(b'b', 17);

/// `struct binder_version`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
#[allow(missing_docs)]
pub struct Version {
    pub protocol_version: i32,
}

/// `struct binder_write_read`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
#[allow(missing_docs)]
pub struct WriteRead {
    pub write_size: u64,
    pub write_consumed: u64,
    pub write_buffer: u64,
    pub read_size: u64,
    pub read_consumed: u64,
    pub read_buffer: u64,
}

/// `struct binder_node_debug_info`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
#[allow(missing_docs)]
pub struct NodeDebugInfo {
    pub ptr: u64,
    pub cookie: u64,
    pub has_strong_ref: u32,
    pub has_weak_ref: u32,
}

/// `struct binder_node_info_for_ref`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
#[allow(missing_docs)]
pub struct NodeInfoForRef {
    pub handle: u32,
    pub strong_count: u32,
    pub weak_count: u32,
    pub reserved1: u32,
    pub reserved2: u32,
    pub reserved3: u32,
}

/// `struct binder_freeze_info`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
#[allow(missing_docs)]
pub struct FreezeInfo {
    pub pid: u32,
    pub enable: u32,
    pub timeout_ms: u32,
}

/// `struct binder_frozen_status_info`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
#[allow(missing_docs)]
pub struct FrozenStatusInfo {
    pub pid: u32,
    pub sync_recv: u32,
    pub async_recv: u32,
}

/// `struct binder_extended_error`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
#[allow(missing_docs)]
pub struct ExtendedError {
    pub id: u32,
    pub command: u32,
    pub param: i32,
}

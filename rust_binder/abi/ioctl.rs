// SPDX-License-Identifier: GPL-2.0

//! The ioctls of a binder device and their arguments.

use super::{
    iow,
    iowr,
    name::{
        to_usize,
        Handle,
        TooLarge, //
    },
    object::FlatObject,
    untrusted::Validate, //
};
use core::convert::Infallible;

/// The letter of all ioctls of a binder device.
const LETTER: u8 = b'b';

/// Runs commands, then fetches returns.
pub(crate) const WRITE_READ: u32 = iowr::<WriteRead>(LETTER, 1);
/// How many threads the driver may ask the process to start.
pub(crate) const SET_MAX_THREADS: u32 = iow::<u32>(LETTER, 5);
/// Makes the caller the context manager, with a node without name or flags.
pub(crate) const SET_CONTEXT_MGR: u32 = iow::<i32>(LETTER, 7);
/// The calling thread is done with binder.
pub(crate) const THREAD_EXIT: u32 = iow::<i32>(LETTER, 8);
/// Asks for the version of the protocol.
pub(crate) const VERSION: u32 = iowr::<VersionInfo>(LETTER, 9);
/// Walks the nodes of the caller.
pub(crate) const GET_NODE_DEBUG_INFO: u32 = iowr::<NodeDebugInfo>(LETTER, 11);
/// Asks how much a node is referenced.
pub(crate) const GET_NODE_INFO_FOR_REF: u32 = iowr::<NodeInfoForRef>(LETTER, 12);
/// Makes the caller the context manager, with a node as described.
pub(crate) const SET_CONTEXT_MGR_EXT: u32 = iow::<FlatObject>(LETTER, 13);
/// Freezes or thaws a process.
pub(crate) const FREEZE: u32 = iow::<FreezeInfo>(LETTER, 14);
/// Asks what a process missed while it was frozen.
pub(crate) const GET_FROZEN_INFO: u32 = iowr::<FrozenStatusInfo>(LETTER, 15);
/// Asks to be told about one's own floods of oneway calls.
pub(crate) const ENABLE_ONEWAY_SPAM_DETECTION: u32 = iow::<u32>(LETTER, 16);
/// Asks why the last transaction of the calling thread failed.
pub(crate) const GET_EXTENDED_ERROR: u32 = iowr::<ExtendedError>(LETTER, 17);

/// The protocol this driver speaks.
pub(crate) const PROTOCOL_VERSION: i32 = 8;

wire! {
    /// `struct binder_write_read`.
    pub(crate) struct WriteRead {
        /// Bytes of commands.
        pub(crate) write_size: u64,
        /// Bytes of commands that were executed.
        pub(crate) write_consumed: u64,
        /// Address of the commands.
        pub(crate) write_buffer: u64,
        /// Bytes of room for returns.
        pub(crate) read_size: u64,
        /// Bytes of returns that were written.
        pub(crate) read_consumed: u64,
        /// Address of the room for returns.
        pub(crate) read_buffer: u64,
    }

    /// `struct binder_version`.
    pub(crate) struct VersionInfo {
        /// See [`PROTOCOL_VERSION`].
        pub(crate) protocol_version: i32,
    }

    /// `struct binder_node_debug_info`.
    pub(crate) struct NodeDebugInfo {
        /// In: the node before; out: this node, or zero after the last.
        pub(crate) ptr: u64,
        /// The node's cookie.
        pub(crate) cookie: u64,
        /// Whether the owner was told of strong references.
        pub(crate) has_strong_ref: u32,
        /// Whether the owner was told of references.
        pub(crate) has_weak_ref: u32,
    }

    /// `struct binder_node_info_for_ref`.
    pub(crate) struct NodeInfoForRef {
        /// In: the reference whose node is asked for.
        pub(crate) handle: u32,
        /// Strong references to the node.
        pub(crate) strong_count: u32,
        /// Weak references that the kernel itself holds.
        pub(crate) weak_count: u32,
        /// Zero.
        pub(crate) reserved1: u32,
        /// Zero.
        pub(crate) reserved2: u32,
        /// Zero.
        pub(crate) reserved3: u32,
    }

    /// `struct binder_freeze_info`.
    pub(crate) struct FreezeInfo {
        /// The process.
        pub(crate) pid: u32,
        /// Non-zero to freeze, zero to thaw.
        pub(crate) enable: u32,
        /// How long to wait for calls under way to end.
        pub(crate) timeout_ms: u32,
    }

    /// `struct binder_frozen_status_info`.
    pub(crate) struct FrozenStatusInfo {
        /// In: the process.
        pub(crate) pid: u32,
        /// Bit 0: calls arrived while frozen. Bit 1: calls are under way.
        pub(crate) sync_recv: u32,
        /// Whether oneway calls arrived while frozen.
        pub(crate) async_recv: u32,
    }

    /// `struct binder_extended_error`.
    pub(crate) struct ExtendedError {
        /// Of the transaction.
        pub(crate) id: u32,
        /// The return code that told of the failure.
        pub(crate) command: u32,
        /// A negative error number, or zero.
        pub(crate) param: i32,
    }
}

/// One of the two buffers of [`WRITE_READ`], and how far it was worked through.
///
/// Neither end of it is checked against the other: a buffer that user space describes wrongly
/// only ever hurts its own process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    base: usize,
    size: usize,
    consumed: usize,
}

impl Span {
    fn new(base: u64, size: u64, consumed: u64) -> Result<Self, TooLarge> {
        Ok(Self {
            base: to_usize(base)?,
            size: to_usize(size)?,
            consumed: to_usize(consumed)?,
        })
    }

    /// Address of the start of the buffer.
    #[inline]
    pub(crate) fn base(&self) -> usize {
        self.base
    }

    /// Bytes of the whole buffer; zero says that there is none.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Address of the next byte.
    #[inline]
    pub(crate) fn position(&self) -> usize {
        self.base.wrapping_add(self.consumed)
    }

    /// Bytes from there to the end.
    #[inline]
    pub(crate) fn left(&self) -> usize {
        self.size.saturating_sub(self.consumed)
    }

    /// Bytes that were worked through.
    #[inline]
    pub(crate) fn consumed(&self) -> usize {
        self.consumed
    }

    /// Works through `len` bytes more.
    ///
    /// That may lead past the end: a command that starts within a write buffer is executed even
    /// if it ends behind it.
    #[inline]
    pub(crate) fn advance(&mut self, len: usize) {
        self.consumed = self.consumed.wrapping_add(len);
    }

    /// Forgets what was worked through.
    pub(crate) fn rewind(&mut self) {
        self.consumed = 0;
    }
}

/// What [`WRITE_READ`] is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    /// The commands.
    pub(crate) write: Span,
    /// The room for returns.
    pub(crate) read: Span,
}

impl Transfer {
    /// The argument as user space gets it back.
    pub(crate) fn to_wire(self) -> WriteRead {
        WriteRead {
            write_size: self.write.size as u64,
            write_consumed: self.write.consumed as u64,
            write_buffer: self.write.base as u64,
            read_size: self.read.size as u64,
            read_consumed: self.read.consumed as u64,
            read_buffer: self.read.base as u64,
        }
    }
}

impl Validate for WriteRead {
    type Trusted = Transfer;
    type Error = TooLarge;

    #[inline]
    fn validate(raw: &Self) -> Result<Transfer, TooLarge> {
        Ok(Transfer {
            write: Span::new(raw.write_buffer, raw.write_size, raw.write_consumed)?,
            read: Span::new(raw.read_buffer, raw.read_size, raw.read_consumed)?,
        })
    }
}

/// A field that has to be zero is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotZero;

impl Validate for NodeInfoForRef {
    type Trusted = Handle;
    type Error = NotZero;

    fn validate(raw: &Self) -> Result<Handle, NotZero> {
        let results = raw.strong_count | raw.weak_count;
        let reserved = raw.reserved1 | raw.reserved2 | raw.reserved3;
        if results | reserved != 0 {
            return Err(NotZero);
        }
        Ok(Handle(raw.handle))
    }
}

/// An order to freeze or thaw a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Freeze {
    /// The process, to be looked up.
    pub(crate) pid: u32,
    /// Freeze, or else thaw.
    pub(crate) enable: bool,
    /// How long to wait for calls under way to end; zero is not to wait.
    pub(crate) timeout_ms: u32,
}

impl Validate for FreezeInfo {
    type Trusted = Freeze;
    type Error = Infallible;

    fn validate(raw: &Self) -> Result<Freeze, Infallible> {
        Ok(Freeze {
            pid: raw.pid,
            enable: raw.enable != 0,
            timeout_ms: raw.timeout_ms,
        })
    }
}

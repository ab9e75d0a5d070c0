// SPDX-License-Identifier: GPL-2.0

//! Names: numbers by which user space refers to things.
//!
//! They come from user space and are nevertheless not wrapped as untrusted, because no value of
//! them is better than another: a handle, a cookie or the name of a node is only ever compared
//! or looked up, and the look-up is the judgement. Nothing here may be used as an address, an
//! index or a length.

/// A process's number for a reference to somebody's node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Handle(pub(crate) u32);

impl Handle {
    /// The node of the context manager, in every process that is not the manager.
    pub(crate) const MANAGER: Self = Self(0);
}

/// What a process wants to be told along with a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cookie(pub(crate) u64);

/// What the owner of a node calls it: an address in its own memory, and a word that goes with
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeName {
    /// Tells the nodes of one process apart.
    pub(crate) ptr: u64,
    /// Has to be the same whenever `ptr` is.
    pub(crate) cookie: u64,
}

/// A range of the caller's memory.
///
/// Nothing is claimed about what is mapped there: only the functions that copy from and to user
/// space use it, and they find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UserRange {
    /// Address of the first byte.
    pub(crate) address: usize,
    /// Bytes.
    pub(crate) len: usize,
}

/// A number from user space is too large for the address space of this kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

impl UserRange {
    /// A range of `len` bytes at `address`.
    #[inline]
    pub(crate) fn new(address: u64, len: u64) -> Result<Self, TooLarge> {
        Ok(Self {
            address: to_usize(address)?,
            len: to_usize(len)?,
        })
    }
}

/// Converts a number of the wire, where all are 64 bits wide.
#[inline]
pub(crate) fn to_usize(number: u64) -> Result<usize, TooLarge> {
    usize::try_from(number).map_err(|_| TooLarge)
}

// SPDX-License-Identifier: GPL-2.0

//! Builds the data of a transaction and the list of objects in it.

use binder_abi::*;
use zerocopy::{Immutable, IntoBytes};

/// Data, the offsets of its objects, and the buffers they point to.
#[derive(Clone, Debug, Default)]
pub struct Parcel {
    /// The data.
    pub data: Vec<u8>,
    /// Where in it objects lie.
    pub offsets: Vec<u64>,
    /// Memory whose address goes to an offset of the data.
    pub buffers: Vec<(usize, Vec<u8>)>,
}

impl Parcel {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends plain bytes.
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.data.extend_from_slice(bytes);
        self
    }

    /// Appends an object, and its offset to the list.
    pub fn object<T: IntoBytes + Immutable>(mut self, object: &T) -> Self {
        self.offsets.push(self.data.len() as u64);
        self.bytes(object.as_bytes())
    }

    /// Appends an offset only.
    pub fn offset(mut self, offset: u64) -> Self {
        self.offsets.push(offset);
        self
    }

    fn flat(self, kind: u32, flags: u32, binder: u64, cookie: u64) -> Self {
        self.object(&FlatObject {
            hdr: ObjectHeader { kind },
            flags,
            binder,
            cookie,
        })
    }

    /// A node of the sender.
    pub fn binder(self, ptr: u64, cookie: u64) -> Self {
        self.binder_with(0, ptr, cookie)
    }

    /// A node of the sender, with flags.
    pub fn binder_with(self, flags: u32, ptr: u64, cookie: u64) -> Self {
        self.flat(BINDER_TYPE_BINDER, flags, ptr, cookie)
    }

    /// A node of the sender, weakly.
    pub fn weak_binder(self, ptr: u64, cookie: u64) -> Self {
        self.flat(BINDER_TYPE_WEAK_BINDER, 0, ptr, cookie)
    }

    /// A node of somebody else.
    pub fn handle(self, handle: u32) -> Self {
        self.flat(BINDER_TYPE_HANDLE, 0, u64::from(handle), 0)
    }

    /// A node of somebody else, weakly.
    pub fn weak_handle(self, handle: u32) -> Self {
        self.flat(BINDER_TYPE_WEAK_HANDLE, 0, u64::from(handle), 0)
    }

    /// An open file.
    pub fn fd(self, fd: i32, cookie: u64) -> Self {
        self.object(&FdObject {
            hdr: ObjectHeader {
                kind: BINDER_TYPE_FD,
            },
            pad_flags: 0,
            fd: fd as u32,
            pad_binder_high: 0,
            cookie,
        })
    }

    /// A buffer of the sender, with the fields that say how it is nested.
    pub fn buffer(mut self, content: &[u8], nesting: BufferObject) -> Self {
        let at = self.data.len() + std::mem::offset_of!(BufferObject, buffer);
        self.buffers.push((at, content.to_vec()));
        self.object(&BufferObject {
            hdr: ObjectHeader {
                kind: BINDER_TYPE_PTR,
            },
            length: content.len() as u64,
            ..nesting
        })
    }

    /// Files whose numbers lie in a buffer.
    pub fn fd_array(self, num_fds: u64, parent: u64, parent_offset: u64) -> Self {
        self.object(&FdArrayObject {
            hdr: ObjectHeader {
                kind: BINDER_TYPE_FDA,
            },
            pad: 0,
            num_fds,
            parent,
            parent_offset,
        })
    }
}

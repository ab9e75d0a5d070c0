// SPDX-License-Identifier: GPL-2.0

//! Objects: what a transaction carries besides bytes, and how to find it there.

use super::name::{
    Handle,
    NodeName, //
};
use zerocopy::{
    FromBytes,
    Immutable,
    KnownLayout,
    Unaligned, //
};

/// The type of an object: three characters and a byte that all types have in common.
const fn tag(characters: &[u8; 3]) -> u32 {
    let [a, b, c] = *characters;
    u32::from_be_bytes([a, b, c, 0x85])
}

/// A node of the sender.
pub(crate) const TYPE_BINDER: u32 = tag(b"sb*");
/// A node of the sender, weakly.
pub(crate) const TYPE_WEAK_BINDER: u32 = tag(b"wb*");
/// A node that the sender has a reference to.
pub(crate) const TYPE_HANDLE: u32 = tag(b"sh*");
/// A node that the sender has a reference to, weakly.
pub(crate) const TYPE_WEAK_HANDLE: u32 = tag(b"wh*");
/// An open file.
pub(crate) const TYPE_FD: u32 = tag(b"fd*");
/// Open files whose numbers are listed in a buffer.
pub(crate) const TYPE_FDA: u32 = tag(b"fda");
/// A buffer.
pub(crate) const TYPE_PTR: u32 = tag(b"pt*");

/// [`BufferObject::flags`]: the address of the buffer is also stored in its parent.
pub(crate) const BUFFER_HAS_PARENT: u32 = 0x01;

wire! {
    /// `struct flat_binder_object`.
    ///
    /// The low half of `binder` is a handle where the type says so.
    pub(crate) struct FlatObject {
        /// One of the four types of nodes and handles.
        pub(crate) kind: u32,
        /// See [`NodeFlags`].
        pub(crate) flags: u32,
        /// See [`NodeName::ptr`].
        pub(crate) binder: u64,
        /// See [`NodeName::cookie`].
        pub(crate) cookie: u64,
    }

    /// `struct binder_fd_object`.
    pub(crate) struct FdObject {
        /// [`TYPE_FD`].
        pub(crate) kind: u32,
        /// Without meaning.
        pub(crate) pad_flags: u32,
        /// The number of the file.
        pub(crate) fd: u32,
        /// The other half of the union that `fd` is in.
        pub(crate) pad: u32,
        /// For user space.
        pub(crate) cookie: u64,
    }

    /// `struct binder_buffer_object`.
    pub(crate) struct BufferObject {
        /// [`TYPE_PTR`].
        pub(crate) kind: u32,
        /// Zero or [`BUFFER_HAS_PARENT`].
        pub(crate) flags: u32,
        /// Address of the buffer.
        pub(crate) buffer: u64,
        /// Bytes in it.
        pub(crate) length: u64,
        /// Which entry of the array of offsets is the parent.
        pub(crate) parent: u64,
        /// Where in the parent the address is stored.
        pub(crate) parent_offset: u64,
    }

    /// `struct binder_fd_array_object`.
    pub(crate) struct FdArrayObject {
        /// [`TYPE_FDA`].
        pub(crate) kind: u32,
        /// Without meaning.
        pub(crate) pad: u32,
        /// How many files.
        pub(crate) num_fds: u64,
        /// Which entry of the array of offsets is the buffer with the numbers.
        pub(crate) parent: u64,
        /// Where in that buffer they start.
        pub(crate) parent_offset: u64,
    }
}

/// Bytes of the longest object: what has to be read to see what an object is.
pub(crate) const MAX_OBJECT: usize = size_of::<BufferObject>();

/// Why an object was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ObjectError {
    /// It starts before the end of the object before it.
    Overlap,
    /// It starts behind the end of the data.
    BeyondData,
    /// It doesn't start at a multiple of four.
    Misaligned,
    /// The data ends before it does.
    Truncated,
    /// There is no such type.
    UnknownType(u32),
}

impl ObjectError {
    /// Whether user space is told of a bad address, rather than of a bad argument.
    ///
    /// An offset out of place shows when the bytes before the object are to be copied, and is
    /// taken for a bad address of those.
    pub(crate) const fn is_fault(self) -> bool {
        matches!(self, Self::Overlap | Self::BeyondData)
    }
}

/// How firmly something is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strength {
    /// It may be named.
    Weak,
    /// It may be called.
    Strong,
}

/// What the owner of a node wants for it.
///
/// Bits without a meaning are kept: the receiver gets the word that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeFlags(u32);

impl NodeFlags {
    /// The flags in a word of the wire.
    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The word for the wire, as it came.
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    /// Calls to the node are served at least at this nice value, or at this priority of the
    /// [policy](Self::policy).
    pub(crate) const fn min_priority(self) -> u8 {
        self.0 as u8
    }

    /// Messages to the node are served as in mainline: neither a policy nor inheritance is named.
    #[inline]
    pub(crate) const fn is_plain(self) -> bool {
        self.0 & 0xe00 == 0
    }

    /// The scheduling policy that the node names, 0 to 3.
    pub(crate) const fn policy(self) -> u8 {
        (self.0 >> 9) as u8 & 3
    }

    /// Callers hand their real-time priority on to whoever serves the node.
    pub(crate) const fn inherits_real_time(self) -> bool {
        self.0 & 0x800 != 0
    }

    /// Calls to the node may carry files.
    pub(crate) const fn accepts_fds(self) -> bool {
        self.0 & 0x100 != 0
    }

    /// Calls to the node come with the security context of the caller.
    pub(crate) const fn wants_security_context(self) -> bool {
        self.0 & 0x1000 != 0
    }
}

impl FlatObject {
    /// Describes a node, as [`SET_CONTEXT_MGR_EXT`](super::ioctl::SET_CONTEXT_MGR_EXT) takes it:
    /// there the type is not looked at.
    pub(crate) fn as_node(&self) -> NodeObject {
        NodeObject {
            strength: Strength::Strong,
            flags: NodeFlags::from_bits(self.flags),
            name: NodeName {
                ptr: self.binder,
                cookie: self.cookie,
            },
        }
    }
}

/// A node that the sender owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeObject {
    /// How the receiver is to hold it.
    pub(crate) strength: Strength,
    /// Of the node, if it is new.
    pub(crate) flags: NodeFlags,
    /// What the sender calls it.
    pub(crate) name: NodeName,
}

/// A node that the sender has a reference to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HandleObject {
    /// How the receiver is to hold it.
    pub(crate) strength: Strength,
    /// Passed on.
    pub(crate) flags: NodeFlags,
    /// What the sender calls it.
    pub(crate) handle: Handle,
}

/// An open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileObject {
    /// Passed on.
    pub(crate) flags: u32,
    /// The number in the sender.
    pub(crate) fd: u32,
    /// Passed on.
    pub(crate) cookie: u64,
}

/// A buffer of the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PointerObject {
    /// Passed on.
    pub(crate) flags: u32,
    /// Where it is in the sender.
    pub(crate) buffer: u64,
    /// Bytes in it.
    pub(crate) length: u64,
    /// Index of the object that points to it; of interest if [`PointerObject::has_parent`].
    pub(crate) parent: u64,
    /// Where in that object's buffer.
    pub(crate) parent_offset: u64,
}

/// Files whose numbers are listed in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileArrayObject {
    /// Passed on.
    pub(crate) pad: u32,
    /// How many.
    pub(crate) num_fds: u64,
    /// Index of the object whose buffer lists them.
    pub(crate) parent: u64,
    /// Where in that buffer.
    pub(crate) parent_offset: u64,
}

/// An object as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Object {
    /// A node that the sender owns.
    Node(NodeObject),
    /// A node that the sender has a reference to.
    Handle(HandleObject),
    /// An open file.
    File(FileObject),
    /// Open files whose numbers are listed in a buffer.
    FileArray(FileArrayObject),
    /// A buffer.
    Pointer(PointerObject),
}

impl Object {
    /// Bytes that the object takes in the data of a transaction.
    pub(crate) const fn size(&self) -> usize {
        match self {
            Self::Node(_) | Self::Handle(_) => size_of::<FlatObject>(),
            Self::File(_) => size_of::<FdObject>(),
            Self::FileArray(_) => size_of::<FdArrayObject>(),
            Self::Pointer(_) => size_of::<BufferObject>(),
        }
    }

    /// Parses the object at the start of `bytes`.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ObjectError> {
        let kind = *bytes.first_chunk().ok_or(ObjectError::Truncated)?;
        let kind = u32::from_ne_bytes(kind);
        Ok(match kind {
            TYPE_BINDER => Self::Node(node(bytes, Strength::Strong)?),
            TYPE_WEAK_BINDER => Self::Node(node(bytes, Strength::Weak)?),
            TYPE_HANDLE => Self::Handle(handle(bytes, Strength::Strong)?),
            TYPE_WEAK_HANDLE => Self::Handle(handle(bytes, Strength::Weak)?),
            TYPE_FD => {
                let raw: &FdObject = borrow(bytes)?;
                Self::File(FileObject {
                    flags: raw.pad_flags,
                    fd: raw.fd,
                    cookie: raw.cookie,
                })
            }
            TYPE_FDA => {
                let raw: &FdArrayObject = borrow(bytes)?;
                Self::FileArray(FileArrayObject {
                    pad: raw.pad,
                    num_fds: raw.num_fds,
                    parent: raw.parent,
                    parent_offset: raw.parent_offset,
                })
            }
            TYPE_PTR => {
                let raw: &BufferObject = borrow(bytes)?;
                Self::Pointer(PointerObject {
                    flags: raw.flags,
                    buffer: raw.buffer,
                    length: raw.length,
                    parent: raw.parent,
                    parent_offset: raw.parent_offset,
                })
            }
            _ => return Err(ObjectError::UnknownType(kind)),
        })
    }
}

/// Borrows a structure of the wire.
fn borrow<W>(bytes: &[u8]) -> Result<&W, ObjectError>
where
    W: FromBytes + KnownLayout + Immutable + Unaligned,
{
    match W::ref_from_prefix(bytes) {
        Ok((raw, _)) => Ok(raw),
        Err(_) => Err(ObjectError::Truncated),
    }
}

fn node(bytes: &[u8], strength: Strength) -> Result<NodeObject, ObjectError> {
    let raw: &FlatObject = borrow(bytes)?;
    Ok(NodeObject {
        strength,
        ..raw.as_node()
    })
}

fn handle(bytes: &[u8], strength: Strength) -> Result<HandleObject, ObjectError> {
    let raw: &FlatObject = borrow(bytes)?;
    Ok(HandleObject {
        strength,
        flags: NodeFlags::from_bits(raw.flags),
        // The low half is the handle, as in the union of the C side.
        handle: Handle(raw.binder as u32),
    })
}

/// What the receiver gets: a reference of its own.
fn reference(strength: Strength, flags: NodeFlags, handle: Handle) -> FlatObject {
    FlatObject {
        kind: match strength {
            Strength::Strong => TYPE_HANDLE,
            Strength::Weak => TYPE_WEAK_HANDLE,
        },
        flags: flags.bits(),
        binder: u64::from(handle.0),
        cookie: 0,
    }
}

impl NodeObject {
    /// What the receiver gets: its own reference to the node.
    pub(crate) fn to_handle(self, handle: Handle) -> FlatObject {
        reference(self.strength, self.flags, handle)
    }
}

impl HandleObject {
    /// What the receiver gets: its own reference to the node.
    pub(crate) fn to_handle(self, handle: Handle) -> FlatObject {
        reference(self.strength, self.flags, handle)
    }

    /// What the receiver gets if it is the owner of the node.
    pub(crate) fn to_node(self, name: NodeName) -> FlatObject {
        FlatObject {
            kind: match self.strength {
                Strength::Strong => TYPE_BINDER,
                Strength::Weak => TYPE_WEAK_BINDER,
            },
            flags: self.flags.bits(),
            binder: name.ptr,
            cookie: name.cookie,
        }
    }
}

impl FileObject {
    /// Where in the object the number of the file is.
    pub(crate) const FD_OFFSET: usize = core::mem::offset_of!(FdObject, fd);

    /// What the receiver gets; the number is written over it when the file is installed.
    pub(crate) fn to_blank(self) -> FdObject {
        FdObject {
            kind: TYPE_FD,
            pad_flags: self.flags,
            fd: 0,
            pad: 0,
            cookie: self.cookie,
        }
    }
}

impl PointerObject {
    /// Whether the address is stored in another object's buffer too.
    pub(crate) const fn has_parent(&self) -> bool {
        self.flags & BUFFER_HAS_PARENT != 0
    }

    /// What the receiver gets if the buffer is at `address` there.
    pub(crate) fn to_address(self, address: u64) -> BufferObject {
        BufferObject {
            kind: TYPE_PTR,
            flags: self.flags,
            buffer: address,
            length: self.length,
            parent: self.parent,
            parent_offset: self.parent_offset,
        }
    }
}

impl FileArrayObject {
    /// What the receiver gets: the same.
    pub(crate) fn to_wire(self) -> FdArrayObject {
        FdArrayObject {
            kind: TYPE_FDA,
            pad: self.pad,
            num_fds: self.num_fds,
            parent: self.parent,
            parent_offset: self.parent_offset,
        }
    }
}

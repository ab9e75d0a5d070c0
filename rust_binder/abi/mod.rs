// SPDX-License-Identifier: GPL-2.0

//! The wire: what crosses the border between user space and the driver.
//!
//! This room knows the numbers and the byte layouts of the binder protocol, how to take a block
//! of commands apart, how to find the objects in a transaction and how to put returns together.
//! It knows nothing of processes, nodes or buffers, takes no lock, allocates nothing and uses no
//! type of the kernel, so that the very same files are compiled on a host, and tested there, also
//! with random input.
//!
//! Wire structures are packed. Their fields lie where the C compiler puts them, because the
//! protocol's own structures have no holes; what packing buys is an alignment of one, so that a
//! structure can be borrowed where it lies in a block of commands instead of being copied out.
//!
//! What user space sent is wrapped in [`Untrusted`](untrusted::Untrusted) until it was judged.

/// Declares structures of the wire: packed, and nothing but bytes.
macro_rules! wire {
    ($($(#[$attribute:meta])* $visibility:vis struct $name:ident $fields:tt)*) => {$(
        $(#[$attribute])*
        #[derive(
            Clone,
            Copy,
            zerocopy_derive::FromBytes,
            zerocopy_derive::Immutable,
            zerocopy_derive::IntoBytes,
            zerocopy_derive::KnownLayout,
            zerocopy_derive::Unaligned,
        )]
        #[repr(C, packed)]
        $visibility struct $name $fields
    )*};
}

pub(crate) mod command;
pub(crate) mod ioctl;
pub(crate) mod name;
pub(crate) mod object;
pub(crate) mod object_reader;
pub(crate) mod returns;
pub(crate) mod transaction;
pub(crate) mod untrusted;

/// The request is answered with data.
const READ: u32 = 2;
/// The request carries data.
const WRITE: u32 = 1;

/// Puts a request number together the way `_IOC()` does.
///
/// Commands, returns and ioctls share this scheme: direction, size of the argument, a letter, a
/// number.
const fn code(direction: u32, letter: u8, number: u8, size: usize) -> u32 {
    assert!(size < 1 << 14, "the size field has 14 bits");
    (direction << 30) | ((size as u32) << 16) | ((letter as u32) << 8) | number as u32
}

/// A request without an argument.
const fn io(letter: u8, number: u8) -> u32 {
    code(0, letter, number, 0)
}

/// A request whose argument is written by the driver.
const fn ior<T>(letter: u8, number: u8) -> u32 {
    code(READ, letter, number, size_of::<T>())
}

/// A request whose argument is read by the driver.
const fn iow<T>(letter: u8, number: u8) -> u32 {
    code(WRITE, letter, number, size_of::<T>())
}

/// A request whose argument is read and written back by the driver.
const fn iowr<T>(letter: u8, number: u8) -> u32 {
    code(READ | WRITE, letter, number, size_of::<T>())
}

/// The number of a request within its letter, which is what statistics are indexed by.
pub(crate) const fn number(code: u32) -> u32 {
    code & 0xff
}

/// The size of the argument that a request announces.
const fn announced_size(code: u32) -> usize {
    ((code >> 16) & 0x3fff) as usize
}

// SPDX-License-Identifier: GPL-2.0

//! How an ioctl number is put together: direction, size, type and number, in
//! 2, 14, 8 and 8 bits.  Commands and returns of the protocol use the same code.

const TYPE_SHIFT: u32 = 8;
const SIZE_SHIFT: u32 = 16;
const DIRECTION_SHIFT: u32 = 30;
const SIZE_LIMIT: usize = 1 << (DIRECTION_SHIFT - SIZE_SHIFT);

const NONE: u32 = 0;
const WRITE: u32 = 1;
const READ: u32 = 2;

const fn code(direction: u32, kind: u8, number: u8, size: usize) -> u32 {
    assert!(size < SIZE_LIMIT, "payload too large for an ioctl number");
    direction << DIRECTION_SHIFT
        | (size as u32) << SIZE_SHIFT
        | (kind as u32) << TYPE_SHIFT
        | number as u32
}

/// A code without payload.
pub const fn io(kind: u8, number: u8) -> u32 {
    code(NONE, kind, number, 0)
}

/// A code whose payload `T` goes to the kernel.
pub const fn iow<T>(kind: u8, number: u8) -> u32 {
    code(WRITE, kind, number, size_of::<T>())
}

/// A code whose payload `T` comes from the kernel.
pub const fn ior<T>(kind: u8, number: u8) -> u32 {
    code(READ, kind, number, size_of::<T>())
}

/// A code whose payload `T` goes both ways.
pub const fn iowr<T>(kind: u8, number: u8) -> u32 {
    code(READ | WRITE, kind, number, size_of::<T>())
}

/// The size of the payload that `code` announces.
pub const fn payload_size(code: u32) -> usize {
    (code >> SIZE_SHIFT) as usize & (SIZE_LIMIT - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_overlap() {
        assert_eq!(io(b'r', 12), 0x720C);
        assert_eq!(iow::<u32>(b'c', 4), 0x4004_6304);
        assert_eq!(ior::<i32>(b'r', 0), 0x8004_7200);
        assert_eq!(iowr::<[u8; 48]>(b'b', 1), 0xC030_6201);
    }

    #[test]
    fn payload_size_is_recovered() {
        assert_eq!(payload_size(io(b'r', 12)), 0);
        assert_eq!(payload_size(iowr::<[u8; 264]>(b'b', 1)), 264);
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Copies between user space and the kernel's own variables.
//!
//! The `kernel` crate's readers check the kernel-side pointer at run time on every slice; here it
//! always points to a typed variable, so that check is left out, as it is for fixed sizes in C.

use crate::abi::untrusted::Untrusted;
use core::mem::MaybeUninit;
use kernel::{
    bindings,
    ffi::c_void,
    prelude::*, //
};
use zerocopy::{
    FromBytes,
    Immutable,
    IntoBytes, //
};

extern "C" {
    fn rust_binder_put_word(address: *mut u32, word: u32) -> bool;
}

/// An access to user memory failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault;

impl From<Fault> for Error {
    fn from(_: Fault) -> Error {
        EFAULT
    }
}

/// Reads one value from user space at `addr`.
#[inline]
pub fn read<T: FromBytes>(addr: u64) -> Result<Untrusted<T>, Fault> {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: The destination is valid for `size_of::<T>()` bytes.
    let left = unsafe {
        bindings::_copy_from_user(
            value.as_mut_ptr().cast::<c_void>(),
            addr as usize as *const c_void,
            size_of::<T>(),
        )
    };
    if left != 0 {
        return Err(Fault);
    }
    // SAFETY: All bytes are written, and any bytes make a `T: FromBytes`.
    Ok(Untrusted::new(unsafe { value.assume_init() }))
}

/// Reads up to `block.len()` bytes from user space at `addr`; returns how many could be read.
#[inline]
pub fn read_block(addr: u64, block: &mut [u8]) -> usize {
    // SAFETY: The destination is valid for its length.
    let left = unsafe {
        bindings::_copy_from_user(
            block.as_mut_ptr().cast::<c_void>(),
            addr as usize as *const c_void,
            block.len(),
        )
    };
    block.len().saturating_sub(left)
}

/// Memory for up to `N` bytes from user space. Unlike an array it need not be cleared before.
pub struct Block<const N: usize>(MaybeUninit<[u8; N]>);

impl<const N: usize> Block<N> {
    /// One that has nothing in it.
    #[inline]
    pub const fn new() -> Self {
        Self(MaybeUninit::uninit())
    }

    /// Reads up to `len` bytes from user space at `addr`, or `N`; returns those that could be read.
    #[inline]
    pub fn read(&mut self, addr: u64, len: usize) -> &[u8] {
        let len = len.min(N);
        let bytes = self.0.as_mut_ptr().cast::<u8>();
        // SAFETY: The destination is valid for `N` bytes, and `len` is no more.
        let left = unsafe {
            bindings::_copy_from_user(bytes.cast::<c_void>(), addr as usize as *const c_void, len)
        };
        // SAFETY: All but the last `left` bytes of `len` are written; nothing else refers to them while
        // `self` is borrowed.
        unsafe { core::slice::from_raw_parts(bytes, len.saturating_sub(left)) }
    }
}

/// Writes bytes to user space at `addr`.
#[inline]
pub fn write_bytes(addr: u64, bytes: &[u8]) -> Result<(), Fault> {
    // SAFETY: The source is valid for its length.
    let left = unsafe {
        bindings::_copy_to_user(
            addr as usize as *mut c_void,
            bytes.as_ptr().cast::<c_void>(),
            bytes.len(),
        )
    };
    if left != 0 {
        return Err(Fault);
    }
    Ok(())
}

/// Writes one word to user space at `addr`.
#[inline]
pub fn write_word(addr: u64, word: u32) -> Result<(), Fault> {
    // SAFETY: The helper checks the address, and copes with a fault.
    match unsafe { rust_binder_put_word(addr as usize as *mut u32, word) } {
        true => Ok(()),
        false => Err(Fault),
    }
}

/// Writes one value to user space at `addr`.
#[inline]
pub fn write<T: IntoBytes + Immutable>(addr: u64, value: &T) -> Result<(), Fault> {
    write_bytes(addr, value.as_bytes())
}

// SPDX-License-Identifier: GPL-2.0

//! A page that the driver owns, and the word it is kept in.

use super::{
    super::page_word::{
        self,
        Word, //
    },
    PinError, //
};
use core::num::NonZeroUsize;
use kernel::{
    bindings,
    ffi::{
        c_int,
        c_ulong,
        c_void, //
    },
    mm::virt::VmaMixedMap,
    page::PAGE_SHIFT,
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    }, //
};

// The structures are opaque here, but some of their fields are empty structures of C.
#[allow(improper_ctypes)]
extern "C" {
    fn rust_binder_insert_page(
        vma: *mut bindings::vm_area_struct,
        addr: c_ulong,
        page: *mut c_void,
    ) -> c_int;
}

/// The kernel's atomic, as a word.
pub(crate) struct KernelWord(Atomic<usize>);

impl Word for KernelWord {
    #[inline]
    fn zero() -> Self {
        Self(Atomic::new(0))
    }

    #[inline]
    fn load(&self) -> usize {
        self.0.load(Relaxed)
    }

    #[inline]
    fn load_acquire(&self) -> usize {
        self.0.load(Acquire)
    }

    #[inline]
    fn add_acquire(&self, value: usize) -> usize {
        self.0.fetch_add(value, Acquire)
    }

    #[inline]
    fn add_release(&self, value: usize) {
        self.0.fetch_add(value, Release);
    }

    #[inline]
    fn sub_release(&self, value: usize) {
        self.0.fetch_sub(value, Release);
    }

    #[inline]
    fn replace_acquire(&self, old: usize, new: usize) -> Result<(), usize> {
        self.0.cmpxchg(old, new, Acquire).map(|_| ())
    }
}

/// The state of one of our pages.
pub(super) type PageWord = page_word::PageWord<KernelWord, PAGE_SHIFT>;

/// The pages that there are.
static HELD: Atomic<i32> = Atomic::new(0);
/// The pages that were made since the module was loaded; it wraps.
static MADE: Atomic<i32> = Atomic::new(0);

/// How many pages there are in all spaces, and how many were ever made.
pub(crate) fn held_and_made() -> (i32, i32) {
    (HELD.load(Relaxed), MADE.load(Relaxed))
}

/// A page that belongs to us.
///
/// # Invariants
///
/// The address is that of an allocated page, which nobody else frees.
pub(super) struct OwnedPage(NonZeroUsize);

impl OwnedPage {
    /// Allocates a page of zeroes, charged to the memory cgroup of the current task.
    pub(super) fn new() -> Result<Self, PinError> {
        // SAFETY: May be called wherever one may sleep.
        let addr = unsafe { bindings::get_zeroed_page_noprof(bindings::GFP_KERNEL_ACCOUNT) };
        let addr = NonZeroUsize::new(addr).ok_or(PinError::NoMemory)?;
        HELD.add(1, Relaxed);
        MADE.add(1, Relaxed);
        // INVARIANT: It was just allocated.
        Ok(Self(addr))
    }

    /// Puts the page into a word, which owns it from then on. Handed back if the word has one.
    pub(super) fn put_into(self, word: &PageWord) -> Result<(), Self> {
        if !word.install(self.0.get()) {
            return Err(self);
        }
        core::mem::forget(self);
        Ok(())
    }

    /// Takes the page out of a word, if nobody uses it, and, unless `young` is set, nobody did
    /// since the last look.
    pub(super) fn take_from(word: &PageWord, young: bool) -> Option<Self> {
        // INVARIANT: All addresses in words come from `put_into`.
        word.claim(young).map(Self)
    }

    /// Puts the page into a page table. User space gets a reference of its own.
    pub(super) fn insert(&self, vma: &VmaMixedMap, addr: usize) -> Result<(), PinError> {
        let page = self.0.get() as *mut c_void;
        // SAFETY: The vma is locked and may have pages like this one.
        let error = unsafe { rust_binder_insert_page(vma.as_ptr(), addr, page) };
        match error {
            0 => Ok(()),
            _ if error == ENOMEM.to_errno() => Err(PinError::NoMemory),
            // That the place is taken (`EBUSY`) can't be the work of another installer, because
            // they wait for each other: what is there is not ours.
            _ => Err(PinError::NotMapped),
        }
    }
}

impl Drop for OwnedPage {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the page is ours. Page tables that still map it have
        // references of their own.
        unsafe { bindings::free_pages(self.0.get(), 0) };
        HELD.add(-1, Relaxed);
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The space of one process, and the buffers in it.
//!
//! A buffer is an [`Allocation`] while a sender fills it and until the receiver has read the
//! transaction: user space can't free it, and dropping it frees its range. [`Allocation::deliver`]
//! hands it to user space together with a payload. [`Space::take`] takes it back: one taker wins,
//! and gets it as [`Delivered`]; dropping that frees the range. So "delivered" and "not delivered"
//! are types, and clean-up is what their `Drop` does.

use super::{
    layout::{
        Layout,
        LayoutError,
        Section,
        Sizes, //
    },
    ranges::{
        Claim,
        Entry,
        Ground,
        Ranges,
        ReserveError,
        Reserved,
        Storage,
        TakeError,
        Taken, //
    }, //
};
use crate::{
    mem::NoMemory,
    sys::pages::{
        PageCounts,
        PageReclaimer,
        Pages,
        PinError, //
        Pinned,
    }, //
};
use kernel::{
    mm::{
        virt::VmaNew,
        Mm, //
    },
    new_spinlock,
    page::PAGE_MASK,
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        SpinLock, //
    }, //
};

/// What a sender wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    /// How large, as it came over the wire.
    pub(crate) sizes: Sizes,
    /// The thread group of the sender.
    pub(crate) sender: i32,
    /// Whether nobody waits for an answer.
    pub(crate) oneway: bool,
    /// Whether the content is to be erased before the range is used again.
    pub(crate) clear_on_free: bool,
    /// The number of the transaction, for those who debug.
    pub(crate) debug_id: u32,
}

/// Why there is no buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AllocError {
    /// The receiver has no space, or has given it up.
    NotMapped,
    /// The sizes make no sense.
    Invalid,
    /// Not so much is free.
    NoSpace,
    /// No memory.
    NoMemory,
}

impl From<AllocError> for Error {
    fn from(error: AllocError) -> Self {
        match error {
            AllocError::NotMapped => ESRCH,
            AllocError::Invalid => EINVAL,
            AllocError::NoSpace => ENOSPC,
            AllocError::NoMemory => ENOMEM,
        }
    }
}

impl From<LayoutError> for AllocError {
    fn from(error: LayoutError) -> Self {
        match error {
            LayoutError::Overflow => AllocError::Invalid,
            LayoutError::TooLarge => AllocError::NoSpace,
        }
    }
}

impl From<PinError> for AllocError {
    fn from(error: PinError) -> Self {
        match error {
            PinError::NotMapped => AllocError::NotMapped,
            PinError::NoMemory => AllocError::NoMemory,
        }
    }
}

impl From<NoMemory> for AllocError {
    fn from(_: NoMemory) -> Self {
        AllocError::NoMemory
    }
}

/// The state of a space, for those who debug.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stats {
    /// Bytes of the space.
    pub(crate) size: u32,
    /// Bytes left for oneway buffers.
    pub(crate) free_async: u32,
    /// Buffers, delivered or not.
    pub(crate) buffers: u32,
    /// Pages.
    pub(crate) pages: PageCounts,
    /// One more than the number of the highest page there ever was.
    pub(crate) pages_high: usize,
}

/// What user space has, and what it keeps alive.
struct Parcel<T> {
    pin: Pinned,
    payload: T,
}

/// What the lock guards.
struct Inner<T> {
    ranges: Ranges<Parcel<T>>,
    /// The process is dead: nothing is reserved or delivered any more.
    released: bool,
    /// The pages of the space, to free them in the end.
    pages: Arc<Pages>,
}

impl<T> Drop for Inner<T> {
    fn drop(&mut self) {
        // What user space still has is its no longer. There is no allocation left, because each
        // keeps the space.
        while let Some((key, entry, Parcel { pin, payload })) = self.ranges.take_any() {
            drop(payload);
            if entry.clear_on_free {
                self.pages.clear(&pin);
            }
            self.pages.unpin(pin);
            self.ranges.release(key);
        }
        self.pages.retire();
    }
}

/// The space of one process.
///
/// `T` is what the driver keeps with a buffer that user space has.
#[pin_data]
pub(crate) struct Space<T> {
    pages: Arc<Pages>,
    #[pin]
    inner: SpinLock<Inner<T>>,
}

impl<T> Space<T> {
    /// A space that is not mapped yet, in this address space.
    pub(crate) fn new(reclaimer: Arc<PageReclaimer>, mm: ARef<Mm>) -> Result<Arc<Self>> {
        let pages = Pages::new(reclaimer, mm)?;
        let inner = Inner {
            ranges: Ranges::new(),
            released: false,
            pages: pages.clone(),
        };
        Arc::pin_init(
            pin_init!(Self {
                pages,
                inner <- new_spinlock!(inner, "binder_space"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Maps the space. That the caller is in the thread group that opened the device has been
    /// checked.
    pub(crate) fn mmap(&self, vma: &VmaNew) -> Result {
        self.pages.admit(vma)?;
        let len = vma.end().wrapping_sub(vma.start());
        let size = len.min(super::layout::MAX_SPACE as usize) & PAGE_MASK;
        let prepared = Pages::prepare(vma.start(), size)?;
        let ground = Ground::make(size as u32)?;
        // Before the mapping is there, so that nobody finds it without ranges.
        let rest = self.inner.lock().ranges.open(ground);
        drop(rest);
        self.pages.attach(vma, prepared)
    }

    /// Reserves a buffer, with all pages it needs. Sleeps only if a page or storage is missing.
    pub(crate) fn alloc(this: &Arc<Self>, request: &Request) -> Result<Allocation<T>, AllocError> {
        if !this.pages.is_mapped() {
            return Err(AllocError::NotMapped);
        }
        let claim = Claim {
            layout: Layout::new(&request.sizes)?,
            sender: request.sender,
            oneway: request.oneway,
            clear_on_free: request.clear_on_free,
            debug_id: request.debug_id,
        };
        let reservation = loop {
            let mut inner = this.inner.lock();
            if inner.released {
                return Err(AllocError::NotMapped);
            }
            match inner.ranges.reserve(&claim) {
                Ok(reservation) => break reservation,
                Err(ReserveError::NoSpace | ReserveError::NoAsyncSpace) => {
                    return Err(AllocError::NoSpace);
                }
                Err(ReserveError::Grow(growth)) => {
                    drop(inner);
                    let storage = Storage::make(growth)?;
                    let rest = this.inner.lock().ranges.supply(storage);
                    drop(rest);
                }
            }
        };
        match Pages::pin(&this.pages, reservation.start, claim.layout.total()) {
            Ok(pin) => Ok(Allocation {
                space: this.clone(),
                user_address: (this.pages.base() as u64).wrapping_add(u64::from(reservation.start)),
                held: Some(Held {
                    key: reservation.key,
                    pin,
                }),
                layout: claim.layout,
                clear_on_free: claim.clear_on_free,
                spam_suspect: reservation.spam_suspect,
            }),
            Err(error) => {
                let surplus = this.inner.lock().ranges.cancel(reservation.key);
                drop(surplus);
                Err(error.into())
            }
        }
    }

    /// Takes a delivered buffer back, by the address user space knows.
    pub(crate) fn take(&self, user_address: u64) -> Result<Delivered<'_, T>, TakeError> {
        let offset = user_address.wrapping_sub(self.pages.base() as u64);
        let start = u32::try_from(offset).map_err(|_| TakeError::NoMatch)?;
        let taken = self.inner.lock().ranges.take(start)?;
        Ok(Delivered::new(self, taken))
    }

    /// Takes some delivered buffer back, if there is one.
    pub(crate) fn take_any(&self) -> Option<Delivered<'_, T>> {
        let taken = self.inner.lock().ranges.take_any()?;
        Some(Delivered::new(self, taken))
    }

    /// Begins the end of the space: nothing is reserved or delivered from now on. Buffers that are
    /// there are dropped or taken as usual.
    pub(crate) fn release(&self) {
        self.inner.lock().released = true;
    }

    /// Frees the pages that no buffer touches, and lets go of the address space, once the space is
    /// released and its buffers are gone: the space itself may be kept for long, by those who hold
    /// nodes of the process. The pages of buffers that senders still fill go with those.
    pub(crate) fn retire(&self) {
        self.pages.retire();
    }

    /// The state, for those who debug.
    #[allow(dead_code)] // For the logs.
    pub(crate) fn stats(&self) -> Stats {
        let mut stats = Stats {
            pages: self.pages.counts(),
            pages_high: self.pages.high(),
            ..Stats::default()
        };
        let inner = self.inner.lock();
        stats.size = inner.ranges.size();
        stats.free_async = inner.ranges.free_async();
        stats.buffers = inner.ranges.live();
        stats
    }

    /// Lists buffers by address, from the first that starts at `from` or after it. Returns how
    /// many there were, up to what `out` takes.
    #[allow(dead_code)] // For the logs.
    pub(crate) fn entries(&self, from: u32, out: &mut [Entry]) -> usize {
        self.inner.lock().ranges.entries(from, out)
    }
}

/// What an allocation has: the key to its range and a hold on its pages.
struct Held {
    key: Reserved,
    pin: Pinned,
}

/// A buffer user space does not know yet.
pub(crate) struct Allocation<T> {
    space: Arc<Space<T>>,
    /// Taken out only when the allocation goes.
    held: Option<Held>,
    user_address: u64,
    layout: Layout,
    clear_on_free: bool,
    spam_suspect: bool,
}

impl<T> Allocation<T> {
    /// The sections.
    #[inline]
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// Where the receiver will see the data.
    #[inline]
    pub(crate) fn user_address(&self) -> u64 {
        self.user_address
    }

    /// Where the receiver will see a section, empty or not.
    #[inline]
    pub(crate) fn section_address(&self, section: Section) -> u64 {
        self.user_address()
            .wrapping_add(u64::from(self.layout.start(section)))
    }

    /// Whether the sender is suspected of spamming. Tells it once.
    #[inline]
    pub(crate) fn spam_suspect(&self) -> bool {
        self.spam_suspect
    }

    /// Copies from the current task's memory to position `at` of a section.
    #[inline]
    pub(crate) fn copy_from_user(
        &self,
        section: Section,
        at: usize,
        from: u64,
        len: usize,
    ) -> Result {
        if len == 0 {
            return Ok(());
        }
        let at = self.layout.locate(section, at, len).ok_or(EFAULT)?;
        let held = self.held.as_ref().ok_or(EFAULT)?;
        self.space.pages.copy_from_user(&held.pin, at, from, len)
    }

    /// Writes to position `at` of a section.
    #[inline]
    pub(crate) fn write(&self, section: Section, at: usize, bytes: &[u8]) -> Result {
        let at = self.layout.locate(section, at, bytes.len()).ok_or(EINVAL)?;
        let held = self.held.as_ref().ok_or(EINVAL)?;
        self.space.pages.write(&held.pin, at, bytes)
    }

    /// Gives the buffer to user space, which may free it from now on; whoever takes it back gets
    /// the payload. If the space was released meanwhile, the buffer is freed and the payload handed
    /// back.
    pub(crate) fn deliver(mut self, payload: T) -> Result<(), T> {
        let mut inner = self.space.inner.lock();
        if inner.released {
            drop(inner);
            return Err(payload);
        }
        if let Some(Held { key, pin }) = self.held.take() {
            inner.ranges.deliver(key, Parcel { pin, payload });
        }
        Ok(())
    }
}

impl<T> Drop for Allocation<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(Held { key, pin }) = self.held.take() {
            let space = &*self.space;
            if self.clear_on_free {
                space.pages.clear(&pin);
            }
            space.pages.unpin(pin);
            let mut inner = space.inner.lock();
            let surplus = inner.ranges.cancel(key);
            let released = inner.released;
            drop(inner);
            drop(surplus);
            if released {
                space.retire();
            }
        }
    }
}

/// A buffer user space knew, and knows no longer.
pub(crate) struct Delivered<'a, T> {
    space: &'a Space<T>,
    entry: Entry,
    payload: Option<T>,
    /// Taken out only when the buffer goes.
    held: Option<(Taken, Pinned)>,
}

impl<'a, T> Delivered<'a, T> {
    #[inline]
    fn new(space: &'a Space<T>, (key, entry, parcel): (Taken, Entry, Parcel<T>)) -> Self {
        let Parcel { pin, payload } = parcel;
        Self {
            space,
            entry,
            payload: Some(payload),
            held: Some((key, pin)),
        }
    }

    /// Takes the payload.
    #[inline]
    pub(crate) fn take_payload(&mut self) -> Option<T> {
        self.payload.take()
    }

    /// What the buffer is.
    #[inline]
    pub(crate) fn entry(&self) -> &Entry {
        &self.entry
    }
}

impl<T> Drop for Delivered<'_, T> {
    #[inline]
    fn drop(&mut self) {
        drop(self.payload.take());
        if let Some((key, pin)) = self.held.take() {
            let space = self.space;
            if self.entry.clear_on_free {
                space.pages.clear(&pin);
            }
            space.pages.unpin(pin);
            let surplus = space.inner.lock().ranges.release(key);
            drop(surplus);
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The pages of one process's space.
//!
//! [`Pages`] has a [`PageWord`] for each page of the space. Whoever wants to write into a part of
//! the space [pins](Pages::pin) it: pages that are missing are installed, and none of them goes
//! away until the [`Pinned`] is given back. Pages that nobody has pinned stay until the shrinker takes
//! them or the process goes away.
//!
//! Pages are written by their kernel address and mapped read-only for user space. They are never
//! read by the kernel, because the receiver may not be the only one who can write them.
//!
//! # Locks
//!
//! Installing and taking away a page is done under the mutex `entries`, for two reasons: it ties
//! the page, its entry for the shrinker and its place in the page table together, and whoever finds
//! a page missing while it is being taken away waits there until that is over. It must be a mutex:
//! `vm_insert_page()` may allocate page tables. It is taken after the lock of the vma. The shrinker
//! tries both, in the opposite order: it may run in an allocation under the mutex.

mod page;
mod reclaim;

pub(crate) use self::page::held_and_made;
use self::page::{
    OwnedPage,
    PageWord, //
};
use super::{
    page_word::{
        Age,
        Entered, //
    },
    shrinker::{
        OnList,
        Reclaimer,
        Shrinker, //
    },
    vma::Mapping, //
};
use kernel::{
    alloc::KVVec,
    bindings,
    ffi::{
        c_ulong,
        c_void, //
    },
    mm::{
        virt::VmaNew,
        Mm,
        MmWithUser, //
    },
    new_mutex,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex,
        SetOnce, //
    }, //
};

/// The shrinker for the pages of all spaces.
pub(crate) type PageShrinker = Shrinker<Pages>;

/// Where it finds them.
pub(crate) type PageReclaimer = Reclaimer<Pages>;

/// Why a part of the space could not be pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PinError {
    /// It is not mapped, or not any more.
    NotMapped,
    /// No memory for a page.
    NoMemory,
}

/// How many pages there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PageCounts {
    /// Pages that buffers touch.
    pub(crate) active: usize,
    /// Pages that no buffer touches, but which are still there.
    pub(crate) idle: usize,
    /// Pages that are not there.
    pub(crate) free: usize,
}

/// A part of a space whose pages stay. To be given back with [`Pages::unpin`]; one that is lost
/// just keeps its pages.
///
/// # Invariants
///
/// Exists once for a call of [`Pages::pin`] on the `Pages` with this number. All pages that the
/// `len` bytes from `start` touch are there, and `len` is not zero.
#[derive(Debug)]
pub(crate) struct Pinned {
    pages: u64,
    start: u32,
    len: u32,
}

/// Where the space is and what is in it.
struct Area {
    base: usize,
    words: KVVec<PageWord>,
}

impl Area {
    /// The words of the pages that these bytes touch, by number of the page.
    #[inline]
    fn touched(&self, start: u32, len: u32) -> Option<(usize, &[PageWord])> {
        let first = start as usize >> PAGE_SHIFT;
        let last = (start as usize).wrapping_add(len as usize).wrapping_sub(1) >> PAGE_SHIFT;
        Some((first, self.words.get(first..=last)?))
    }
}

/// What `mmap` has prepared.
pub(crate) struct Prepared {
    area: Area,
    entries: KVVec<Option<OnList<Pages>>>,
}

/// The pages.
///
/// # Invariants
///
/// - Each address in `area.words` is that of an [`OwnedPage`] which the word owns.
/// - `entries[i]` is there exactly if `area.words[i]` has an address, as long as the mutex is not
///   held.
#[pin_data]
pub(crate) struct Pages {
    /// Tells this from all others there ever were.
    id: u64,
    mapping: Arc<Mapping>,
    reclaimer: Arc<PageReclaimer>,
    area: SetOnce<Area>,
    high: Atomic<usize>,
    #[pin]
    entries: Mutex<KVVec<Option<OnList<Pages>>>>,
}

impl Pages {
    /// The pages of a space that is not mapped yet, in this address space.
    pub(crate) fn new(reclaimer: Arc<PageReclaimer>, mm: ARef<Mm>) -> Result<Arc<Self>> {
        static NEXT: Atomic<u64> = Atomic::new(1);

        let mapping = Mapping::new(mm)?;
        Arc::pin_init(
            pin_init!(Self {
                id: NEXT.fetch_add(1, Relaxed),
                mapping,
                reclaimer,
                area: SetOnce::new(),
                high: Atomic::new(0),
                entries <- new_mutex!(KVVec::new(), "binder_pages"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Whether the space is mapped.
    #[inline]
    pub(crate) fn is_mapped(&self) -> bool {
        self.mapping.is_mapped()
    }

    /// Says whether this vma may become the mapping.
    pub(crate) fn admit(&self, vma: &VmaNew) -> Result {
        self.mapping.admit(vma)?;
        if self.area.as_ref().is_some() {
            return Err(EBUSY);
        }
        Ok(())
    }

    /// Makes what a mapping of `size` bytes at `base` needs.
    pub(crate) fn prepare(base: usize, size: usize) -> Result<Prepared> {
        let count = size >> PAGE_SHIFT;
        let mut words = KVVec::with_capacity(count, GFP_KERNEL_ACCOUNT)?;
        let mut entries = KVVec::with_capacity(count, GFP_KERNEL_ACCOUNT)?;
        for _ in 0..count {
            words.push_within_capacity(PageWord::new())?;
            entries.push_within_capacity(None)?;
        }
        Ok(Prepared {
            area: Area { base, words },
            entries,
        })
    }

    /// Makes this vma the mapping.
    pub(crate) fn attach(&self, vma: &VmaNew, prepared: Prepared) -> Result {
        self.admit(vma)?;
        if !self.area.populate(prepared.area) {
            return Err(EBUSY);
        }
        *self.entries.lock() = prepared.entries;
        Mapping::attach(&self.mapping, vma)
    }

    /// The address user space sees the space at; zero while it does not.
    #[inline]
    pub(crate) fn base(&self) -> usize {
        self.area.as_ref().map_or(0, |area| area.base)
    }

    /// Pins `len` bytes from `start`. Sleeps only if a page is missing.
    #[inline]
    pub(crate) fn pin(this: &Arc<Self>, start: u32, len: u32) -> Result<Pinned, PinError> {
        let area = this.area.as_ref().ok_or(PinError::NotMapped)?;
        let (first, words) = area.touched(start, len).ok_or(PinError::NotMapped)?;
        if words.is_empty() {
            return Err(PinError::NotMapped);
        }
        let mut missing = false;
        let mut entered = 0usize;
        for word in words {
            match word.enter() {
                Entered::There => {}
                Entered::Missing => missing = true,
                Entered::Refused => {
                    leave(words.iter().take(entered));
                    return Err(PinError::NoMemory);
                }
            }
            entered = entered.wrapping_add(1);
        }
        if missing {
            if let Err(error) = Self::install_missing(this, area.base, first, words) {
                leave(words.iter());
                return Err(error);
            }
        }
        // INVARIANT: All words were entered, and all have pages.
        Ok(Pinned {
            pages: this.id,
            start,
            len,
        })
    }

    /// Gives a part back.
    #[inline]
    pub(crate) fn unpin(&self, pin: Pinned) {
        if let Some((_, words)) = self.pinned(&pin) {
            leave(words.iter());
        }
    }

    /// The words of a pin, if it is one of ours.
    #[inline]
    fn pinned(&self, pin: &Pinned) -> Option<(usize, &[PageWord])> {
        if pin.pages != self.id {
            return None;
        }
        self.area.as_ref()?.touched(pin.start, pin.len)
    }

    /// Installs those of these pages that are missing. The caller is a user of all of them.
    #[cold]
    fn install_missing(
        this: &Arc<Self>,
        base: usize,
        first: usize,
        words: &[PageWord],
    ) -> Result<(), PinError> {
        let mm = this.mapping.users().ok_or(PinError::NotMapped)?;
        let mut index = first;
        for word in words {
            if word.address().is_none() {
                let addr = base.wrapping_add(index << PAGE_SHIFT);
                Self::install(this, &mm, addr, index, word)?;
            }
            index = index.wrapping_add(1);
        }
        Ok(())
    }

    /// Installs a page.
    fn install(
        this: &Arc<Self>,
        mm: &MmWithUser,
        addr: usize,
        index: usize,
        word: &PageWord,
    ) -> Result<(), PinError> {
        let page = OwnedPage::new()?;
        let entry = Reclaimer::entry(&this.reclaimer, this.clone(), index)
            .map_err(|_| PinError::NoMemory)?;
        this.mapping
            .with_vma(mm, addr, |vma| {
                let mut entries = this.entries.lock();
                let slot = entries.get_mut(index).ok_or(PinError::NotMapped)?;
                if word.address().is_some() {
                    // Somebody else was faster: while there is a page, it is also in the table.
                    return Ok(());
                }
                page.insert(vma, addr)?;
                // INVARIANT: The word has the page now, and the entry is there.
                if page.put_into(word).is_ok() {
                    *slot = Some(entry.list());
                }
                let high = index.wrapping_add(1);
                if this.high.load(Relaxed) < high {
                    this.high.store(high, Relaxed);
                }
                Ok(())
            })
            .unwrap_or(Err(PinError::NotMapped))
    }

    /// Calls `f` with the address and the length of each piece of memory that these bytes of a
    /// pinned part lie in, one after the other, until it returns `false`. Returns whether all were
    /// visited.
    #[inline]
    fn pieces(
        &self,
        pin: &Pinned,
        at: u32,
        len: usize,
        mut f: impl FnMut(*mut u8, usize) -> bool,
    ) -> bool {
        let room = (pin.len as usize).checked_sub(at as usize);
        if room.is_none_or(|room| len > room) {
            return false;
        }
        let Some((first, words)) = self.pinned(pin) else {
            return false;
        };
        let mut from = (pin.start as usize).wrapping_add(at as usize);
        let mut left = len;
        while left != 0 {
            let index = (from >> PAGE_SHIFT).wrapping_sub(first);
            let Some(page) = words.get(index).and_then(|word| word.address()) else {
                return false;
            };
            let offset = from & (PAGE_SIZE - 1);
            let piece = left.min(PAGE_SIZE.wrapping_sub(offset));
            if !f(page.get().wrapping_add(offset) as *mut u8, piece) {
                return false;
            }
            from = from.wrapping_add(piece);
            left = left.wrapping_sub(piece);
        }
        true
    }

    /// Copies from the current task's memory into a pinned part, at position `at` of it.
    #[inline]
    pub(crate) fn copy_from_user(&self, pin: &Pinned, at: u32, from: u64, len: usize) -> Result {
        let mut from = from as usize;
        let done = self.pieces(pin, at, len, |to, piece| {
            // SAFETY: These bytes are inside a page that stays, since it is pinned. They are never
            // accessed through references, only by copies like this one: user space may read them
            // at any time. The source is checked by the function.
            let left = unsafe {
                bindings::_copy_from_user(to.cast(), from as *const c_void, piece as c_ulong)
            };
            from = from.wrapping_add(piece);
            left == 0
        });
        if done {
            Ok(())
        } else {
            Err(EFAULT)
        }
    }

    /// Writes into a pinned part, at position `at` of it.
    #[inline]
    pub(crate) fn write(&self, pin: &Pinned, at: u32, bytes: &[u8]) -> Result {
        let mut from = bytes.as_ptr();
        let done = self.pieces(pin, at, bytes.len(), |to, piece| {
            // SAFETY: As above for `to`. `from` has advanced by the sum of all pieces so far, and
            // they add up to the length of the slice.
            unsafe {
                core::ptr::copy_nonoverlapping(from, to, piece);
                from = from.add(piece);
            }
            true
        });
        if done {
            Ok(())
        } else {
            Err(EINVAL)
        }
    }

    /// Erases a pinned part.
    pub(crate) fn clear(&self, pin: &Pinned) {
        self.pieces(pin, 0, pin.len as usize, |to, piece| {
            // SAFETY: As above.
            unsafe { core::ptr::write_bytes(to, 0, piece) };
            true
        });
    }

    /// Ends the space, whose mapping has gone for good: lets go of the address space, frees all pages
    /// that are not pinned, and once there are none left the table of their entries.
    pub(crate) fn retire(&self) {
        self.mapping.forget();
        let Some(area) = self.area.as_ref() else {
            return;
        };
        let mut entries = self.entries.lock();
        let mut is_empty = true;
        for (word, slot) in area.words.iter().zip(entries.iter_mut()) {
            let Some(page) = OwnedPage::take_from(word, true) else {
                is_empty &= slot.is_none();
                continue;
            };
            // INVARIANT: The word has no page any more, and the entry goes.
            drop(page);
            if let Some(entry) = slot.take() {
                drop(entry.unlist());
            }
        }
        if is_empty {
            // No page is installed any more, so nobody looks for a slot.
            *entries = KVVec::new();
        }
    }

    /// Counts the pages. While the space is not mapped there are none.
    pub(crate) fn counts(&self) -> PageCounts {
        let mut counts = PageCounts::default();
        let Some(area) = self.area.as_ref().filter(|_| self.is_mapped()) else {
            return counts;
        };
        for word in area.words.iter() {
            let count = match word.peek() {
                Age::Absent => &mut counts.free,
                Age::InUse => &mut counts.active,
                Age::Young | Age::Old => &mut counts.idle,
            };
            *count = count.wrapping_add(1);
        }
        counts
    }

    /// One more than the number of the highest page there ever was.
    pub(crate) fn high(&self) -> usize {
        self.high.load(Relaxed)
    }
}

/// Stops being a user of these pages.
#[inline]
fn leave<'a>(words: impl Iterator<Item = &'a PageWord>) {
    for word in words {
        word.leave();
    }
}

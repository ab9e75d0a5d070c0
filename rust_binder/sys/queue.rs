// SPDX-License-Identifier: GPL-2.0

//! Work queues whose elements bring their own links.
//!
//! A [`Queue`] strings together objects of several types; what is popped is an enum that owns the
//! object (`Work` in the rooms above). Every queueable object is an [`Item`], which holds the links,
//! so queueing never allocates and cannot fail for want of memory.
//!
//! The `kernel` crate's `List` serves lists of one type and leaves it to the caller to prove, with
//! `unsafe`, that an element to be removed is in that very list. Here each item records which queue
//! it is in, so that [`Queue::remove`] is safe, takes constant time, and does nothing for an item
//! that is queued elsewhere.
//!
//! A `Queue` has no lock: whoever owns it guards it with `&mut`.

use core::{
    any::TypeId,
    cell::Cell,
    marker::PhantomData,
    ops::{
        Deref,
        DerefMut, //
    },
    ptr::NonNull, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            ordering::{
                Acquire,
                Relaxed,
                Release, //
            },
            Atomic, //
        },
        Arc, //
    }, //
};

/// An owning pointer that a queue can hold as a raw pointer.
///
/// # Safety
///
/// `into_raw` must return a pointer that stays valid and in place until it is given to `from_raw`,
/// and the pointer must be non-null.
pub unsafe trait Handle<T>: Sized {
    /// Whether other handles to the same object may exist.
    const SHARED: bool;

    /// Gives up ownership in exchange for the pointer.
    fn into_raw(self) -> NonNull<T>;

    /// Takes ownership back.
    ///
    /// # Safety
    ///
    /// `ptr` must come from [`Handle::into_raw`], and this must be the only call for it.
    unsafe fn from_raw(ptr: NonNull<T>) -> Self;
}

// SAFETY: The pointee of an `Arc` neither moves nor goes away while the count that `into_raw` kept
// is not given back; the pointer is never null.
unsafe impl<T> Handle<T> for Arc<T> {
    const SHARED: bool = true;

    #[inline]
    fn into_raw(self) -> NonNull<T> {
        // SAFETY: A pointer from `Arc::into_raw` is never null.
        unsafe { NonNull::new_unchecked(Arc::into_raw(self).cast_mut()) }
    }

    #[inline]
    unsafe fn from_raw(ptr: NonNull<T>) -> Self {
        // SAFETY: By the contract of this function, `ptr` comes from `Arc::into_raw` and its count
        // is taken back once.
        unsafe { Arc::from_raw(ptr.as_ptr()) }
    }
}

// SAFETY: The pointee of a box stays in place until the box is rebuilt; the pointer is never null.
unsafe impl<T> Handle<T> for KBox<T> {
    const SHARED: bool = false;

    #[inline]
    fn into_raw(self) -> NonNull<T> {
        // SAFETY: A pointer from `KBox::into_raw` is never null.
        unsafe { NonNull::new_unchecked(KBox::into_raw(self)) }
    }

    #[inline]
    unsafe fn from_raw(ptr: NonNull<T>) -> Self {
        // SAFETY: By the contract of this function, `ptr` comes from `KBox::into_raw` and is owned.
        unsafe { KBox::from_raw(ptr.as_ptr()) }
    }
}

/// A type whose [`Item`]s can be queued.
pub trait Queued: Sized + 'static {
    /// What popping such an item yields; one type for all that share a queue.
    type Work;

    /// The pointer by which a queue owns the item.
    type Handle: Handle<Item<Self>>;

    /// Wraps a handle that has just left a queue.
    fn into_work(handle: Self::Handle) -> Self::Work;
}

/// The links of an item.
///
/// # Invariants
///
/// - `queue` is zero while the item is in no queue, and the id of its queue otherwise. It leaves
///   zero only by the hands of the one who queues the item, and returns to zero only by someone
///   with exclusive access to that queue.
/// - While `queue` is not zero, `next` and `prev` are accessed only with exclusive access to that
///   queue, and one handle to the item is owned by the queue.
struct Header<W> {
    queue: Atomic<usize>,
    next: Cell<Option<NonNull<Header<W>>>>,
    prev: Cell<Option<NonNull<Header<W>>>>,
    /// Rebuilds the handle that the queue owned and wraps it.
    claim: unsafe fn(NonNull<Header<W>>) -> W,
    /// The `T` of the `Item<T>` that this header is part of.
    kind: TypeId,
}

/// An object together with the links by which it can be queued.
#[repr(C)]
#[pin_data]
pub struct Item<T: Queued> {
    header: Header<T::Work>,
    #[pin]
    value: T,
}

// SAFETY: The links are only accessed as the invariants of `Header` say, which is independent of
// the thread that owns or borrows the item; the rest is the value.
unsafe impl<T: Queued + Send> Send for Item<T> {}
// SAFETY: As for `Send`: nothing in `Header` is accessible through `&Item` alone but the atomic.
unsafe impl<T: Queued + Sync> Sync for Item<T> {}

impl<T: Queued> Item<T> {
    fn header() -> Header<T::Work> {
        // INVARIANT: The item is new and in no queue.
        Header {
            queue: Atomic::new(0),
            next: Cell::new(None),
            prev: Cell::new(None),
            claim: Self::claim,
            kind: TypeId::of::<T>(),
        }
    }

    /// Wraps `value`, in no queue.
    #[inline]
    pub fn new(value: T) -> Self {
        Self {
            header: Self::header(),
            value,
        }
    }

    /// Initialises an item in place.
    pub fn pin_init(value: impl PinInit<T>) -> impl PinInit<Self> {
        pin_init!(Self {
            header: Self::header(),
            value <- value,
        })
    }

    /// # Safety
    ///
    /// `header` must be the header of an `Item<T>` that has just left a queue, whose handle is now
    /// the caller's.
    unsafe fn claim(header: NonNull<Header<T::Work>>) -> T::Work {
        // SAFETY: `header` is the first field of a `repr(C)` `Item<T>`, so the pointers are the
        // same, and the handle that the queue owned passes to us.
        T::into_work(unsafe { T::Handle::from_raw(header.cast::<Item<T>>()) })
    }
}

impl<T: Queued> Deref for Item<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Queued> DerefMut for Item<T>
where
    T: Unpin,
{
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// A first-in first-out queue of items of different types.
///
/// # Invariants
///
/// - `head` and `tail` are both `None`, or the ends of a chain of headers linked both ways, each
///   with `queue == self.id`, each with one handle owned by this queue.
/// - `id` is not zero and no other queue has it.
pub struct Queue<W> {
    head: Option<NonNull<Header<W>>>,
    tail: Option<NonNull<Header<W>>>,
    id: usize,
    _owns: PhantomData<W>,
}

// SAFETY: A queue is the owner of its items, each of which can be turned into a `W`.
unsafe impl<W: Send> Send for Queue<W> {}
// SAFETY: `&Queue` gives no access to items.
unsafe impl<W: Send> Sync for Queue<W> {}

/// The id of the newest queue. It counts up in steps of one and a machine word never wraps.
static LAST_ID: Atomic<usize> = Atomic::new(0);

impl<W> Queue<W> {
    /// Makes an empty queue.
    pub fn new() -> Self {
        // INVARIANT: The queue is empty; ids start with one and are never used twice.
        Self {
            head: None,
            tail: None,
            id: LAST_ID.fetch_add(1usize, Relaxed).wrapping_add(1),
            _owns: PhantomData,
        }
    }

    /// Tells whether nothing is queued.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// Appends an item; hands it back if it is in some queue already.
    #[inline]
    pub fn push_back<T: Queued<Work = W>>(&mut self, item: T::Handle) -> Result<(), T::Handle> {
        let ptr = item.into_raw();
        // SAFETY: `ptr` was obtained from an owning handle just now.
        let header = unsafe { &ptr.as_ref().header };

        if T::Handle::SHARED {
            // Acquire: what the previous queue's holder wrote to the links happened before.
            if header.queue.cmpxchg(0, self.id, Acquire).is_err() {
                // SAFETY: The pointer comes from `into_raw` above and was not queued.
                return Err(unsafe { T::Handle::from_raw(ptr) });
            }
        } else {
            // A sole handle that is not in a queue's hands shows that the item is in none.
            header.queue.store(self.id, Relaxed);
        }

        // INVARIANT: The header is ours now, is linked at the tail, and its handle is owned by the
        // queue.
        let link = ptr.cast::<Header<W>>();
        header.next.set(None);
        header.prev.set(self.tail);
        match self.tail {
            // SAFETY: By the invariants of `Queue`, the tail is a live header that belongs to us.
            Some(tail) => unsafe { tail.as_ref() }.next.set(Some(link)),
            None => self.head = Some(link),
        }
        self.tail = Some(link);
        Ok(())
    }

    /// Takes `link` out of the chain and gives its handle away.
    ///
    /// # Safety
    ///
    /// `link` must be in this queue.
    #[inline]
    unsafe fn unlink(&mut self, link: NonNull<Header<W>>) {
        // SAFETY: By the contract of this function and the invariants of `Queue`, the header is
        // live and its links are ours.
        let header = unsafe { link.as_ref() };
        let (prev, next) = (header.prev.get(), header.next.get());
        match prev {
            // SAFETY: Neighbours are in the queue, thus live and ours.
            Some(prev) => unsafe { prev.as_ref() }.next.set(next),
            None => self.head = next,
        }
        match next {
            // SAFETY: Neighbours are in the queue, thus live and ours.
            Some(next) => unsafe { next.as_ref() }.prev.set(prev),
            None => self.tail = prev,
        }
        // INVARIANT: The header is out of the chain. Release: the next one to queue it sees that.
        header.queue.store(0, Release);
    }

    /// Takes the oldest item.
    #[inline]
    pub fn pop_front(&mut self) -> Option<W> {
        let link = self.head?;
        // SAFETY: The head is in this queue.
        let claim = unsafe { link.as_ref() }.claim;
        // SAFETY: The head is in this queue.
        unsafe { self.unlink(link) };
        // SAFETY: The item has just left the queue, which owned a handle to it, and `claim` is the
        // one of the item's own type.
        Some(unsafe { claim(link) })
    }

    /// Takes `item` out if it is in this queue, wherever it stands.
    pub fn remove<T: Queued<Work = W>>(&mut self, item: &Item<T>) -> Option<T::Handle> {
        // Only someone with exclusive access to this queue sets or clears this queue's id, and
        // that is us: a match cannot go away, and a mismatch cannot become a match.
        if item.header.queue.load(Relaxed) != self.id {
            return None;
        }
        let ptr = NonNull::from(item);
        // SAFETY: The item records this queue's id, so it is in this queue.
        unsafe { self.unlink(ptr.cast()) };
        // SAFETY: The queue owned a handle that came from `into_raw`; it has just left the queue.
        Some(unsafe { T::Handle::from_raw(ptr) })
    }

    /// Looks at the oldest item if it is a `T`.
    #[inline]
    pub fn front_is<T: Queued<Work = W>>(&self) -> bool {
        let Some(head) = self.head else {
            return false;
        };
        // SAFETY: The head is in this queue, thus live.
        unsafe { head.as_ref() }.kind == TypeId::of::<T>()
    }

    /// Takes out the oldest `T` for which `matches` answers `true`.
    pub fn remove_first<T: Queued<Work = W>>(
        &mut self,
        mut matches: impl FnMut(&T) -> bool,
    ) -> Option<T::Handle> {
        let mut cursor = self.head;
        while let Some(link) = cursor {
            // SAFETY: Members of the chain are live and ours.
            let header = unsafe { link.as_ref() };
            let wanted = header.kind == TypeId::of::<T>() && {
                // SAFETY: An item that records the type `T` is an `Item<T>`.
                matches(unsafe { &link.cast::<Item<T>>().as_ref().value })
            };
            if wanted {
                // SAFETY: The link was found in this queue.
                unsafe { self.unlink(link) };
                // SAFETY: The queue owned the handle, which has just left it.
                return Some(unsafe { T::Handle::from_raw(link.cast()) });
            }
            cursor = header.next.get();
        }
        None
    }
}

impl<W> Default for Queue<W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<W> Drop for Queue<W> {
    fn drop(&mut self) {
        while self.pop_front().is_some() {}
    }
}

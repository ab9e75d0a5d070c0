// SPDX-License-Identifier: GPL-2.0

//! Giving pages back when memory is short.
//!
//! One shrinker for all spaces. Each page that is installed in some space is on a `list_lru`, by
//! node and by the memory cgroup that pays for it, from the moment it is installed until it is
//! freed, in use or not: using a page moves nothing. What the list does not know, the page's owner
//! does: the shrinker walks the list and asks the owner of each page. A page in use, or used since
//! the shrinker came by last, is sent to the end of the list; others are freed. So the list is the
//! circle of the clock algorithm.
//!
//! The price is that the kernel is told of more pages than can be freed at the moment; it then
//! gets less than it asked for, as from any shrinker.
//!
//! # Who owns what, and how it ends
//!
//! [`Shrinker`] is what the kernel calls. The module's devices own it, and nobody else; dropping it
//! waits for those who are shrinking at the moment, and afterwards the kernel calls nothing of ours.
//! That must not hang on a count of references: the shrinker itself takes one of an owner while it
//! looks at a page, and it can't wait for itself.
//!
//! [`Reclaimer`] is the list and the memory for its entries. The shrinker keeps it, and so do
//! contexts, owners and entries. It goes with the last of them, which is the shrinker:
//!
//! - An owner is kept by its space, by its entries, and by a shrinker that looks at one of them.
//! - A space belongs to an open file and to messages to it. An open file keeps the module loaded, so
//!   at unload there is no space, and a space that ends takes its entries off the list.
//! - So what is left is a shrinker that runs, which is waited for.
//!
//! An entry that is left all the same, which would be a bug, keeps the list and the cache. They stay
//! in memory, of which the kernel needs no code of ours, and the census complains of the page.
//!
//! # Locks
//!
//! The list's spin lock is below the owner's lock. The shrinker has it the other way round and
//! therefore only tries the owner's lock. It also may run inside any allocation that is done under
//! that lock, and then does not get it either.

use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    pin::Pin,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    ffi::{
        c_int,
        c_uint,
        c_ulong,
        c_void, //
    },
    prelude::*,
    sync::Arc,
    types::Opaque, //
};

// The structures are opaque here, but some of their fields are empty structures of C.
#[allow(improper_ctypes)]
extern "C" {
    fn rust_binder_shrinker_alloc() -> *mut bindings::shrinker;
    fn rust_binder_page_cache_create(size: c_uint) -> *mut bindings::kmem_cache;
    fn rust_binder_page_list_init(
        lru: *mut bindings::list_lru,
        shrinker: *mut bindings::shrinker,
    ) -> c_int;
}

/// What owns pages on the list.
pub(crate) trait Owner: Send + Sync + Sized {
    /// Looks at a page and frees it, if it may go.
    ///
    /// Called under the list's spin lock, so it must not sleep, until it calls
    /// [`Listed::take`], which unlocks.
    fn reclaim(&self, index: usize, listed: Listed<'_, Self>) -> Verdict;
}

/// What came of a look at a page. Made from the [`Listed`] itself, so that it is true.
pub(crate) struct Verdict(bindings::lru_status);

/// An entry of the list: a page of an owner.
#[repr(C)]
struct Item<O: Owner> {
    link: bindings::list_head,
    index: usize,
    owner: ManuallyDrop<Arc<O>>,
    reclaimer: ManuallyDrop<Arc<Reclaimer<O>>>,
}

/// An entry that is on no list.
///
/// # Invariants
///
/// Owns an initialised item from the reclaimer's cache, which is on no list.
pub(crate) struct Entry<O: Owner>(NonNull<Item<O>>);

// SAFETY: An entry owns its item, which can be used from any thread.
unsafe impl<O: Owner> Send for Entry<O> {}

impl<O: Owner> Entry<O> {
    /// Puts the entry on the list, with a mark that says so.
    pub(crate) fn list(self) -> OnList<O> {
        let item = self.0;
        core::mem::forget(self);
        // SAFETY: By the type invariants the item is valid. It comes from a cache, as
        // `list_lru_add_obj()` demands, and the list lives as long as the reclaimer.
        unsafe {
            bindings::list_lru_add_obj(
                (*item.as_ptr()).reclaimer.list.raw.get(),
                item.as_ptr().cast(),
            )
        };
        // INVARIANT: It was just put there.
        OnList(item)
    }
}

impl<O: Owner> Drop for Entry<O> {
    fn drop(&mut self) {
        let item = self.0.as_ptr();
        // SAFETY: By the type invariants the item is valid and ours, so its references can be taken
        // out and the item given back to its cache, which the reclaimer keeps until then.
        unsafe {
            let owner = ManuallyDrop::take(&mut (*item).owner);
            let reclaimer = ManuallyDrop::take(&mut (*item).reclaimer);
            bindings::kmem_cache_free(reclaimer.cache.0.as_ptr(), item.cast());
            drop(owner);
        }
    }
}

/// An entry that is on the list of its reclaimer. Dropping it leaves it there.
///
/// # Invariants
///
/// The item is valid and on the list, and this is the only `OnList` for it.
pub(crate) struct OnList<O: Owner>(NonNull<Item<O>>);

// SAFETY: All accesses to an item that is on the list are under the list's lock.
unsafe impl<O: Owner> Send for OnList<O> {}

impl<O: Owner> OnList<O> {
    /// Takes the entry off the list. Takes the list's spin lock.
    pub(crate) fn unlist(self) -> Entry<O> {
        let item = self.0.as_ptr();
        // SAFETY: By the type invariants the item is valid and on this list.
        unsafe { bindings::list_lru_del_obj((*item).reclaimer.list.raw.get(), item.cast()) };
        // INVARIANT: It is on no list any more.
        Entry(self.0)
    }
}

/// An entry the shrinker has just come to, with the list's lock held.
pub(crate) struct Listed<'a, O: Owner> {
    item: NonNull<Item<O>>,
    list: *mut bindings::list_lru_one,
    _lock: PhantomData<&'a mut O>,
}

impl<O: Owner> Listed<'_, O> {
    /// The page is or was in use: ask again after all others.
    pub(crate) fn later(self) -> Verdict {
        Verdict(bindings::lru_status::LRU_ROTATE)
    }

    /// The page could not be looked at.
    pub(crate) fn skip(self) -> Verdict {
        Verdict(bindings::lru_status::LRU_SKIP)
    }

    /// Takes the entry off the list and releases the list's lock. The owner passes what it keeps
    /// for the page, which must be this very entry.
    pub(crate) fn take(self, kept: OnList<O>) -> Result<(Entry<O>, Verdict), (OnList<O>, Self)> {
        if kept.0 != self.item {
            return Err((kept, self));
        }
        // SAFETY: The item is on this list, whose lock is held by this task.
        unsafe {
            bindings::list_lru_isolate(self.list, self.item.as_ptr().cast());
            bindings::spin_unlock(&raw mut (*self.list).lock);
        }
        // INVARIANT: `kept` proves that it is the only one; it is on no list any more.
        let entry = Entry(self.item);
        Ok((entry, Verdict(bindings::lru_status::LRU_REMOVED_RETRY)))
    }
}

/// The cache that entries come from.
struct Cache(NonNull<bindings::kmem_cache>);

impl Drop for Cache {
    fn drop(&mut self) {
        // SAFETY: It was created by us, and no entry is left: each keeps the reclaimer.
        unsafe { bindings::kmem_cache_destroy(self.0.as_ptr()) };
    }
}

/// A shrinker of the kernel's, registered or not.
struct RawShrinker(NonNull<bindings::shrinker>);

impl Drop for RawShrinker {
    fn drop(&mut self) {
        // SAFETY: It was allocated by us. This waits for those who are just shrinking, and is not
        // done by one of them: nothing that they take or drop has a `Shrinker`.
        unsafe { bindings::shrinker_free(self.0.as_ptr()) };
    }
}

/// The list.
#[pin_data(PinnedDrop)]
struct List {
    #[pin]
    raw: Opaque<bindings::list_lru>,
}

#[pinned_drop]
impl PinnedDrop for List {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: It was initialised, and is empty: each entry keeps the reclaimer.
        unsafe { bindings::list_lru_destroy(self.raw.get()) };
    }
}

/// The list of pages and what its entries are made of. The fields are dropped in this order.
#[pin_data]
pub(crate) struct Reclaimer<O: Owner> {
    #[pin]
    list: List,
    cache: Cache,
    _owner: PhantomData<fn(&O)>,
}

// SAFETY: The list and the cache may be used from any thread.
unsafe impl<O: Owner> Send for Reclaimer<O> {}
// SAFETY: The same, and from several at once.
unsafe impl<O: Owner> Sync for Reclaimer<O> {}

/// The registered shrinker. Dropping it unregisters it, which may sleep.
///
/// # Invariants
///
/// The private pointer of `raw` is that of `reclaimer`. `raw` is dropped first.
pub(crate) struct Shrinker<O: Owner> {
    _raw: RawShrinker,
    reclaimer: Arc<Reclaimer<O>>,
}

// SAFETY: It may be unregistered from any thread.
unsafe impl<O: Owner> Send for Shrinker<O> {}
// SAFETY: Nothing but the reclaimer is reachable through a shared reference.
unsafe impl<O: Owner> Sync for Shrinker<O> {}

impl<O: Owner> Shrinker<O> {
    /// Registers a shrinker, with a list of its own.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: May be called at any time.
        let shrinker = NonNull::new(unsafe { rust_binder_shrinker_alloc() }).ok_or(ENOMEM)?;
        let raw = shrinker.as_ptr();
        let shrinker = RawShrinker(shrinker);
        // SAFETY: May be called at any time.
        let cache = unsafe { rust_binder_page_cache_create(size_of::<Item<O>>() as c_uint) };
        let cache = Cache(NonNull::new(cache).ok_or(ENOMEM)?);
        let reclaimer = Arc::pin_init(
            try_pin_init!(Reclaimer {
                list <- List::new(raw),
                cache,
                _owner: PhantomData,
            }),
            GFP_KERNEL,
        )?;
        // SAFETY: The shrinker is allocated and not registered, so nobody else uses these fields.
        // The private pointer stays valid until the shrinker is freed, see below.
        unsafe {
            (*raw).count_objects = Some(count::<O>);
            (*raw).scan_objects = Some(scan::<O>);
            (*raw).private_data = Arc::as_ptr(&reclaimer).cast_mut().cast();
            bindings::shrinker_register(raw);
        }
        // INVARIANT: It was just set, and fields are dropped in their order.
        Ok(Self {
            _raw: shrinker,
            reclaimer,
        })
    }

    /// Where the pages are listed.
    pub(crate) fn reclaimer(&self) -> &Arc<Reclaimer<O>> {
        &self.reclaimer
    }
}

impl<O: Owner> Reclaimer<O> {
    /// Makes an entry for a page. It is charged to the memory cgroup of the current task, and so
    /// should the page be. May sleep.
    pub(crate) fn entry(this: &Arc<Self>, owner: Arc<O>, index: usize) -> Result<Entry<O>> {
        // SAFETY: The cache and the list are valid. This also makes the list of the memory cgroup.
        let item = unsafe {
            bindings::kmem_cache_alloc_lru_noprof(
                this.cache.0.as_ptr(),
                this.list.raw.get(),
                bindings::GFP_KERNEL_ACCOUNT,
            )
        };
        let item = NonNull::new(item.cast::<Item<O>>()).ok_or(ENOMEM)?;
        let link = item.as_ptr().cast::<bindings::list_head>();
        // SAFETY: The item is large enough, aligned, and ours. An empty list points to itself.
        unsafe {
            item.write(Item {
                link: bindings::list_head {
                    next: link,
                    prev: link,
                },
                index,
                owner: ManuallyDrop::new(owner),
                reclaimer: ManuallyDrop::new(this.clone()),
            });
        }
        // INVARIANT: Just initialised, and on no list.
        Ok(Entry(item))
    }
}

impl List {
    fn new(shrinker: *mut bindings::shrinker) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            // SAFETY: `raw` is where the list is made, and the shrinker is allocated.
            raw <- Opaque::try_ffi_init(|raw| kernel::error::to_result(unsafe {
                rust_binder_page_list_init(raw, shrinker)
            })),
        }? Error)
    }
}

/// Tells how many pages there are.
///
/// # Safety
///
/// `shrinker` must be that of a `Shrinker<O>`, `control` valid.
unsafe extern "C" fn count<O: Owner>(
    shrinker: *mut bindings::shrinker,
    control: *mut bindings::shrink_control,
) -> c_ulong {
    // SAFETY: By the invariants of `Shrinker` this is its reclaimer, which it keeps: freeing the
    // shrinker waits until this has returned.
    let pages = unsafe {
        let this = &*(*shrinker).private_data.cast::<Reclaimer<O>>();
        bindings::list_lru_count_one(this.list.raw.get(), (*control).nid, (*control).memcg)
    };
    if pages == 0 {
        bindings::SHRINK_EMPTY as c_ulong
    } else {
        pages
    }
}

/// Frees pages.
///
/// # Safety
///
/// `shrinker` must be that of a `Shrinker<O>`, `control` valid.
unsafe extern "C" fn scan<O: Owner>(
    shrinker: *mut bindings::shrinker,
    control: *mut bindings::shrink_control,
) -> c_ulong {
    // SAFETY: As in `count`.
    let (this, nid, memcg, mut budget) = unsafe {
        (
            &*(*shrinker).private_data.cast::<Reclaimer<O>>(),
            (*control).nid,
            (*control).memcg,
            (*control).nr_to_scan,
        )
    };
    let mut freed: c_ulong = 0;
    // The second time round finds what the first has aged, if that was asked for.
    for _ in 0..2 {
        // SAFETY: The list is valid, and `examine` does what a callback must do.
        freed = freed.wrapping_add(unsafe {
            bindings::list_lru_walk_one(
                this.list.raw.get(),
                nid,
                memcg,
                Some(examine::<O>),
                core::ptr::null_mut(),
                &mut budget,
            )
        });
        if budget == 0 {
            break;
        }
    }
    freed
}

/// Looks at an entry.
///
/// # Safety
///
/// `link` must be an item of a `Reclaimer<O>` on `list`, whose lock is held.
unsafe extern "C" fn examine<O: Owner>(
    link: *mut bindings::list_head,
    list: *mut bindings::list_lru_one,
    _: *mut c_void,
) -> bindings::lru_status {
    let Some(item) = NonNull::new(link.cast::<Item<O>>()) else {
        return bindings::lru_status::LRU_SKIP;
    };
    // SAFETY: Under the lock the item can't go away, and it keeps its owner.
    let (owner, index) = unsafe { (Arc::clone(&(*item.as_ptr()).owner), (*item.as_ptr()).index) };
    // The owner may free the item, and must not go away before it has returned. If this reference
    // is the last one, the lock is not held any more: otherwise the item has another. The owner then
    // ends here, after its space and perhaps while the module is being unloaded, which waits.
    let listed = Listed {
        item,
        list,
        _lock: PhantomData,
    };
    owner.reclaim(index, listed).0
}

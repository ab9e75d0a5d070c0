// SPDX-License-Identifier: GPL-2.0

//! The one mapping a process has of its space.
//!
//! A [`Mapping`] is attached to a vma in `mmap` and is closed when that vma, or any part of it,
//! goes away; then it stays closed for ever. The vma's private pointer owns a reference to it, so
//! it can't go away earlier. A vma is never remembered: it is looked up, locked, and used only if
//! it is the one this mapping is attached to, and the mapping is not closed. So nothing is ever
//! put into, or taken out of, a mapping that came later to the same address (CVE-2026-43434).

use kernel::{
    bindings,
    mm::{
        virt::{
            VmaMixedMap,
            VmaNew,
            VmaRef, //
        },
        Mm,
        MmWithUser,
        MmWithUserAsync, //
    },
    new_spinlock,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Acquire,
            Atomic,
            Release, //
        },
        Arc,
        SpinLock, //
    }, //
};

/// The address space of the current task; kernel threads have none.
pub(crate) fn current_mm() -> Option<ARef<Mm>> {
    current!().mm().map(|mm| ARef::from(&**mm))
}

/// Not mapped yet.
const UNMAPPED: u32 = 0;
/// Mapped.
const MAPPED: u32 = 1;
/// Was mapped, and never will be again.
const CLOSED: u32 = 2;

/// The mapping of a space.
///
/// # Invariants
///
/// `state` only grows.
#[pin_data]
pub(crate) struct Mapping {
    state: Atomic<u32>,
    /// The address space; nothing once [`Mapping::forget`] was called. A leaf.
    #[pin]
    mm: SpinLock<Option<ARef<Mm>>>,
}

impl Mapping {
    /// A mapping that is not there yet, in this address space.
    pub(crate) fn new(mm: ARef<Mm>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                state: Atomic::new(UNMAPPED),
                mm <- new_spinlock!(Some(mm), "binder_mapping"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Whether it is there.
    #[inline]
    pub(crate) fn is_mapped(&self) -> bool {
        // Acquire: what was prepared before `attach` is visible.
        self.state.load(Acquire) == MAPPED
    }

    /// Says whether this vma may become the mapping.
    pub(crate) fn admit(&self, vma: &VmaNew) -> Result {
        if vma.writable() {
            return Err(EPERM);
        }
        if !matches!(&*self.mm.lock(), Some(mm) if mm.as_raw() == vma.mm().as_raw()) {
            return Err(EINVAL);
        }
        if self.state.load(Acquire) != UNMAPPED {
            return Err(EBUSY);
        }
        Ok(())
    }

    /// Makes this vma the mapping: user space can only read it, a child does not inherit it, and a
    /// fault is an error, because all pages that user space may see are put in by the driver.
    pub(crate) fn attach(this: &Arc<Self>, vma: &VmaNew) -> Result {
        this.admit(vma)?;
        vma.try_clear_maywrite()?;
        vma.set_dontcopy();
        vma.set_mixedmap();
        let raw = vma.as_ptr();
        // SAFETY: The vma is being set up, so nobody else reads or writes these fields. The private
        // pointer owns a reference, which `close` drops.
        unsafe {
            (*raw).vm_ops = &OPERATIONS.0;
            (*raw).vm_private_data = Arc::into_raw(this.clone()).cast_mut().cast();
        }
        // INVARIANT: It was `UNMAPPED`, and nobody else changes that: a second `attach` would be in
        // the same address space, and a vma is set up under the write lock of that.
        this.state.store(MAPPED, Release);
        Ok(())
    }

    /// Notes that the mapping, or a part of it, has gone.
    fn close(&self) {
        // INVARIANT: No state is larger.
        self.state.store(CLOSED, Release);
    }

    /// Lets go of the address space, when the file is released and the mapping can't come back.
    /// The rest of a process may be kept for long by those who hold its nodes; not this.
    pub(crate) fn forget(&self) {
        self.close();
        let mm = self.mm.lock().take();
        // Not under the lock: it may sleep.
        drop(mm);
    }

    /// Keeps the address space from being torn down. Nothing if that has begun, or it was forgotten.
    ///
    /// The reference is dropped with `mmput_async()`, because the last one tears everything down,
    /// which must not happen in here, below who knows which locks.
    pub(crate) fn users(&self) -> Option<ARef<MmWithUserAsync>> {
        let mm = self.mm.lock().as_ref()?.mmget_not_zero()?;
        Some(MmWithUser::into_mmput_async(mm))
    }

    /// This vma, if it belongs to this mapping.
    fn check<'a>(&self, vma: &'a VmaRef) -> Option<&'a VmaMixedMap> {
        // SAFETY: The vma is locked, so these fields do not change.
        let (ops, owner) = unsafe { ((*vma.as_ptr()).vm_ops, (*vma.as_ptr()).vm_private_data) };
        // An owner's address can't be a later one's: the vma keeps its owner alive.
        if !core::ptr::eq(ops, &OPERATIONS.0)
            || !core::ptr::eq(owner.cast(), self)
            || !self.is_mapped()
        {
            return None;
        }
        vma.as_mixedmap_vma()
    }

    /// Calls `f` with the vma at this address, locked, if it belongs to this mapping. May sleep.
    pub(crate) fn with_vma<R>(
        &self,
        mm: &MmWithUser,
        addr: usize,
        f: impl FnOnce(&VmaMixedMap) -> R,
    ) -> Option<R> {
        if let Some(vma) = mm.lock_vma_under_rcu(addr) {
            return Some(f(self.check(&vma)?));
        }
        let guard = mm.mmap_read_lock();
        Some(f(self.check(guard.vma_lookup(addr)?)?))
    }

    /// Calls `f` with the vma at this address, locked, or with nothing if there is none that
    /// belongs to this mapping. Does not wait: if no lock can be had, `arg` is handed back.
    pub(crate) fn try_with_vma<A, R>(
        &self,
        mm: &MmWithUser,
        addr: usize,
        arg: A,
        f: impl FnOnce(Option<&VmaMixedMap>, A) -> R,
    ) -> Result<R, A> {
        if let Some(vma) = mm.lock_vma_under_rcu(addr) {
            return Ok(f(self.check(&vma), arg));
        }
        let Some(guard) = mm.mmap_read_trylock() else {
            return Err(arg);
        };
        let vma = guard.vma_lookup(addr).and_then(|vma| self.check(vma));
        Ok(f(vma, arg))
    }
}

/// A table of functions that is never written.
struct Operations(bindings::vm_operations_struct);

// SAFETY: It is never written, and what it points to neither.
unsafe impl Sync for Operations {}

/// Also tells our vmas from all others.
static OPERATIONS: Operations = Operations(bindings::vm_operations_struct {
    open: Some(open),
    close: Some(close),
    fault: Some(fault),
    ..pin_init::zeroed()
});

/// Called when a vma of ours is split or moved: the new one owns a reference too.
///
/// # Safety
///
/// `vma` must be valid, not shared yet, and have a `Mapping` as owner.
unsafe extern "C" fn open(vma: *mut bindings::vm_area_struct) {
    // SAFETY: The private pointer was copied from a vma that owns a reference.
    let owner = unsafe { Arc::from_raw((*vma).vm_private_data.cast::<Mapping>().cast_const()) };
    let _ = Arc::into_raw(owner.clone());
    let _ = Arc::into_raw(owner);
}

/// Called when a vma of ours goes away.
///
/// # Safety
///
/// `vma` must be valid and have a `Mapping` as owner.
unsafe extern "C" fn close(vma: *mut bindings::vm_area_struct) {
    // SAFETY: The private pointer owns a reference, which is dropped here. The vma is not used any
    // more.
    let owner = unsafe { Arc::from_raw((*vma).vm_private_data.cast::<Mapping>().cast_const()) };
    owner.close();
}

/// Called when user space touches a page that is not there.
///
/// # Safety
///
/// None, it is only called by the memory manager.
unsafe extern "C" fn fault(_: *mut bindings::vm_fault) -> bindings::vm_fault_t {
    bindings::vm_fault_reason_VM_FAULT_SIGBUS
}

// SPDX-License-Identifier: GPL-2.0

//! Character devices with a name known at run time, and with `poll` and `flush`.
//!
//! The `kernel` crate's `miscdevice` wants a static name and offers neither operation.

use core::pin::Pin;
use kernel::{
    bindings,
    error::to_result,
    ffi::{
        c_int,
        c_long,
        c_uint,
        c_ulong,
        c_void, //
    },
    fs::File,
    mm::virt::VmaNew,
    prelude::*,
    str::CString,
    sync::{
        poll::PollTable,
        Arc,
        ArcBorrow, //
    },
    types::{
        ForeignOwnable,
        Opaque, //
    }, //
};

/// What a character device does.
///
/// The value itself belongs to the device; what an open file holds is an `Arc<Self::Open>`.
pub trait Device: Send + Sync + Sized + 'static {
    /// The state of one open file.
    type Open: Send + Sync + 'static;

    /// The module whose code this is; it stays loaded while a file is open.
    type Module: kernel::ModuleMetadata;

    /// Opens a file.
    fn open(&self, file: &File) -> Result<Arc<Self::Open>>;

    /// Handles `ioctl`; the result is what the system call returns.
    fn ioctl(open: ArcBorrow<'_, Self::Open>, file: &File, cmd: u32, arg: usize) -> Result;

    /// Maps memory.
    fn mmap(open: ArcBorrow<'_, Self::Open>, vma: &VmaNew) -> Result;

    /// Registers with the poll table and returns the events that are ready.
    fn poll(open: ArcBorrow<'_, Self::Open>, file: &File, table: PollTable<'_>) -> u32;

    /// A file descriptor of the file was closed; others may be left.
    fn flush(open: ArcBorrow<'_, Self::Open>);

    /// The last reference to the file is gone.
    fn release(open: Arc<Self::Open>);
}

/// A registered device; dropping it removes the device node.
///
/// # Invariants
///
/// `misc` is registered from the moment the initialiser succeeds until the value is dropped, and
/// its `name` points into `name`.
#[repr(C)]
#[pin_data(PinnedDrop)]
pub struct Registration<D: Device> {
    #[pin]
    misc: Opaque<bindings::miscdevice>,
    name: CString,
    device: D,
}

// SAFETY: `misc` is touched by registration and deregistration only, which may happen on any
// thread; the rest is `Send`.
unsafe impl<D: Device> Send for Registration<D> {}
// SAFETY: Nothing but the `Sync` device is reachable through a shared reference.
unsafe impl<D: Device> Sync for Registration<D> {}

impl<D: Device> Registration<D> {
    /// Registers `/dev/<name>` with a minor number of the kernel's choice.
    ///
    /// # Errors
    ///
    /// [`EEXIST`] when the name is taken, [`EBUSY`] when minor numbers are used up, [`ENOMEM`].
    pub fn new(name: CString, device: D) -> Result<Pin<KBox<Self>>> {
        KBox::try_pin_init(
            try_pin_init!(Self {
                name,
                device,
                misc <- {
                    let name = name.as_char_ptr();
                    Opaque::try_ffi_init(move |slot: *mut bindings::miscdevice| {
                        let mut misc: bindings::miscdevice = pin_init::zeroed();
                        misc.minor = bindings::MISC_DYNAMIC_MINOR as c_int;
                        misc.name = name;
                        misc.fops = &Self::OPERATIONS;
                        // SAFETY: The slot is ours to write.
                        unsafe { slot.write(misc) };
                        // SAFETY: The slot is pinned and stays until `drop` takes the device back;
                        // the name lives in the same value. Files can be opened at once: `name` and
                        // `device` are initialised before `misc`.
                        to_result(unsafe { bindings::misc_register(slot) })
                    })
                },
            }),
            GFP_KERNEL,
        )
    }

    const OPERATIONS: bindings::file_operations = bindings::file_operations {
        owner: kernel::module::this_module::<D::Module>().as_ptr(),
        open: Some(Self::open),
        release: Some(Self::release),
        unlocked_ioctl: Some(Self::ioctl),
        #[cfg(CONFIG_COMPAT)]
        compat_ioctl: bindings::compat_ptr_ioctl,
        mmap: Some(Self::mmap),
        poll: Some(Self::poll),
        flush: Some(Self::flush),
        ..pin_init::zeroed()
    };
}

/// The operations that the kernel calls.
///
/// # Invariants
///
/// From a successful `open` to the end of `release`, `private_data` of the file is what
/// `Arc<D::Open>::into_foreign` gave; the kernel calls the other operations only in between.
impl<D: Device> Registration<D> {
    /// # Safety
    ///
    /// To be called by `misc_open` only.
    unsafe extern "C" fn open(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: `misc_open` left a pointer to the `struct miscdevice` there, which is the first
        // field of a `repr(C)` `Registration<D>`, and holds the lock that deregistration takes.
        let this = unsafe { &*(*file).private_data.cast::<Self>() };
        // SAFETY: The file is being opened, so nobody else has it yet.
        match this.device.open(unsafe { File::from_raw_file(file) }) {
            Ok(open) => {
                // INVARIANT: This makes `private_data` what the other operations expect.
                // SAFETY: The file is being opened, so nobody else has it yet.
                unsafe { (*file).private_data = open.into_foreign() };
                0
            }
            Err(error) => error.to_errno(),
        }
    }

    /// # Safety
    ///
    /// `file` must be a file that [`Registration::open`] opened, and `release` not have been called.
    #[inline]
    unsafe fn open_file<'a>(file: *mut bindings::file) -> (ArcBorrow<'a, D::Open>, &'a File) {
        // SAFETY: By the invariants above, the private data is a borrowed `Arc<D::Open>` for as
        // long as the file is open, and callers use it within one file operation.
        let open = unsafe { <Arc<D::Open> as ForeignOwnable>::borrow((*file).private_data) };
        // SAFETY: The kernel keeps the file alive during an operation; there is no `fdget_pos`
        // section, since the device has neither `read` nor `write` nor `llseek`.
        (open, unsafe { File::from_raw_file(file) })
    }

    /// # Safety
    ///
    /// To be called by the kernel only, for an open file of this device.
    unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: The kernel calls `release` once, after all other operations have returned.
        let private: *mut c_void = unsafe { (*file).private_data };
        // SAFETY: By the invariants above, this is what `into_foreign` gave, and it is the end.
        D::release(unsafe { <Arc<D::Open> as ForeignOwnable>::from_foreign(private) });
        0
    }

    /// # Safety
    ///
    /// To be called by the kernel only, for an open file of this device.
    unsafe extern "C" fn ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: The kernel passes an open file of this device.
        let (open, file) = unsafe { Self::open_file(file) };
        match D::ioctl(open, file, cmd, arg) {
            Ok(()) => 0,
            Err(error) => error.to_errno() as c_long,
        }
    }

    /// # Safety
    ///
    /// To be called by the kernel only, for an open file of this device.
    unsafe extern "C" fn mmap(
        file: *mut bindings::file,
        vma: *mut bindings::vm_area_struct,
    ) -> c_int {
        // SAFETY: The kernel passes an open file of this device.
        let (open, _) = unsafe { Self::open_file(file) };
        // SAFETY: The kernel passes an area that is being set up, under the lock that this needs.
        match D::mmap(open, unsafe { VmaNew::from_raw(vma) }) {
            Ok(()) => 0,
            Err(error) => error.to_errno(),
        }
    }

    /// # Safety
    ///
    /// To be called by the kernel only, for an open file of this device.
    unsafe extern "C" fn poll(
        file: *mut bindings::file,
        table: *mut bindings::poll_table,
    ) -> bindings::__poll_t {
        // SAFETY: The kernel passes an open file of this device.
        let (open, file) = unsafe { Self::open_file(file) };
        // SAFETY: The kernel passes a poll table that is valid for this call, or null.
        D::poll(open, file, unsafe { PollTable::from_raw(table) })
    }

    /// # Safety
    ///
    /// To be called by the kernel only, for an open file of this device.
    unsafe extern "C" fn flush(file: *mut bindings::file, _id: bindings::fl_owner_t) -> c_int {
        // SAFETY: The kernel passes an open file of this device.
        let (open, _) = unsafe { Self::open_file(file) };
        D::flush(open);
        0
    }
}

#[pinned_drop]
impl<D: Device> PinnedDrop for Registration<D> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the invariants of the type, the device is registered.
        unsafe { bindings::misc_deregister(self.misc.get()) };
    }
}

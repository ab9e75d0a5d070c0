// SPDX-License-Identifier: GPL-2.0

//! One open binder device: the descriptor, its receive mapping, and `BINDER_WRITE_READ` without allocation.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use binder_abi::{self as abi, FlatObject, ObjectHeader, PtrCookie, TransactionData, WriteRead};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The size of the receive buffer that libbinder maps.
const MAP_SIZE: usize = (1 << 20) - 2 * 4096;

/// How long a manager's place may stay taken by the process that held it before.
const MANAGER_TIMEOUT: Duration = Duration::from_secs(10);

/// An open, mapped binder device.
pub struct Connection {
    fd: OwnedFd,
    /// Where the receive mapping starts.
    map: usize,
}

impl Connection {
    /// Opens the device and maps its receive buffer.
    pub fn open(device: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_CLOEXEC)
            .open(device)
            .with_context(|| format!("cannot open {}", device.display()))?;
        let fd = OwnedFd::from(file);
        // SAFETY: A fresh mapping at an address of the kernel's choice overlaps nothing.
        let map = unsafe {
            libc::mmap(
                ptr::null_mut(),
                MAP_SIZE,
                libc::PROT_READ,
                libc::MAP_PRIVATE | libc::MAP_NORESERVE,
                fd.as_raw_fd(),
                0,
            )
        };
        if map == libc::MAP_FAILED {
            return Err(io::Error::last_os_error())
                .with_context(|| format!("cannot map {}", device.display()));
        }
        Ok(Self {
            fd,
            map: map as usize,
        })
    }

    /// Becomes the context manager, waiting for the end of the one before.
    pub fn become_manager(&self) -> Result<()> {
        let mut node = FlatObject {
            hdr: ObjectHeader {
                kind: abi::BINDER_TYPE_BINDER,
            },
            flags: abi::FLAT_BINDER_FLAG_ACCEPTS_FDS,
            ..FlatObject::default()
        };
        let deadline = Instant::now() + MANAGER_TIMEOUT;
        loop {
            // SAFETY: `node` is the structure that this ioctl reads.
            let status = unsafe {
                libc::ioctl(
                    self.fd.as_raw_fd(),
                    abi::BINDER_SET_CONTEXT_MGR_EXT as libc::Ioctl,
                    &raw mut node,
                )
            };
            if status == 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(libc::EBUSY) || Instant::now() > deadline {
                return Err(error).context("cannot become the context manager");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Writes `commands` (and empties them), then reads what there is into `returns`.
    #[inline]
    pub fn exchange(&self, commands: &mut Commands, returns: &mut Returns) -> io::Result<()> {
        let mut request = WriteRead {
            write_size: commands.length as u64,
            write_buffer: commands.bytes.as_ptr() as u64,
            read_size: returns.bytes.len() as u64,
            read_buffer: returns.bytes.as_mut_ptr() as u64,
            ..WriteRead::default()
        };
        self.transfer(&mut request)?;
        commands.length = 0;
        returns.length = request.read_consumed as usize;
        returns.position = 0;
        Ok(())
    }

    /// Issues a `BINDER_WRITE_READ` that writes and reads nothing.
    #[inline]
    pub fn exchange_nothing(&self) -> io::Result<()> {
        self.transfer(&mut WriteRead::default())
    }

    /// Issues one `BINDER_WRITE_READ`, and again for what is left of it when a signal interrupts.
    #[inline]
    fn transfer(&self, request: &mut WriteRead) -> io::Result<()> {
        loop {
            // SAFETY: The callers above describe buffers that they borrow for this call.
            let status = unsafe {
                libc::ioctl(
                    self.fd.as_raw_fd(),
                    abi::BINDER_WRITE_READ as libc::Ioctl,
                    ptr::from_mut(request),
                )
            };
            if status == 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    /// The first object of a delivered transaction, if it carries one.
    #[inline]
    pub fn first_object(&self, transaction: &TransactionData) -> Option<FlatObject> {
        let offsets = self.offset_in_map(transaction.offsets, transaction.offsets_size)?;
        if transaction.offsets_size < 8 || !offsets.is_multiple_of(8) {
            return None;
        }
        // SAFETY: The eight bytes lie in our mapping, aligned, and nobody writes them while the
        // buffer is ours.
        let start = unsafe { ptr::read((self.map + offsets) as *const u64) };
        let object = self.offset_in_map(
            transaction.buffer.checked_add(start)?,
            size_of::<FlatObject>() as u64,
        )?;
        // SAFETY: As above; objects are only 4-aligned.
        Some(unsafe { ptr::read_unaligned((self.map + object) as *const FlatObject) })
    }

    /// Where `size` bytes at `address` lie in the receive mapping.
    #[inline]
    fn offset_in_map(&self, address: u64, size: u64) -> Option<usize> {
        let offset = address.checked_sub(self.map as u64)?;
        let end = offset.checked_add(size)?;
        (end <= MAP_SIZE as u64).then_some(offset as usize)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: The mapping is ours and nothing that was lent from it outlives `self`.
        unsafe { libc::munmap(self.map as *mut libc::c_void, MAP_SIZE) };
    }
}

/// Commands to be written, in a buffer of fixed size.
#[repr(C, align(8))]
pub struct Commands {
    bytes: [u8; 512],
    length: usize,
}

impl Commands {
    /// No commands yet.
    pub const fn new() -> Self {
        Self {
            bytes: [0; 512],
            length: 0,
        }
    }

    /// Appends a command and its payload.
    #[inline]
    pub fn push<T: IntoBytes + Immutable>(&mut self, code: u32, payload: &T) {
        self.append(&code);
        self.append(payload);
    }

    #[inline]
    fn append<T: IntoBytes + Immutable>(&mut self, value: &T) {
        let end = self.length + size_of::<T>();
        value
            .write_to(&mut self.bytes[self.length..end])
            .expect("the room is as large as the value");
        self.length = end;
    }
}

/// What a read returned, in a buffer of fixed size (libbinder's: 256 bytes).
#[repr(C, align(8))]
pub struct Returns {
    bytes: [u8; 256],
    length: usize,
    position: usize,
}

/// One return, with the payload of those that the workloads look into.
pub enum Return {
    Transaction(TransactionData),
    Reply(TransactionData),
    Complete,
    Increfs(PtrCookie),
    Acquire(PtrCookie),
    /// The call failed with this return code.
    Failed(u32),
    /// A return that asks for nothing.
    Other,
}

impl Returns {
    /// Nothing read yet.
    pub const fn new() -> Self {
        Self {
            bytes: [0; 256],
            length: 0,
            position: 0,
        }
    }

    /// The next return, in the order of delivery.
    #[inline]
    pub fn next(&mut self) -> Option<Return> {
        let code = self.peek::<u32>(self.position)?;
        let payload = self.position + size_of::<u32>();
        self.position = payload + payload_size(code);
        Some(match code {
            abi::BR_TRANSACTION => Return::Transaction(self.peek(payload)?),
            abi::BR_REPLY => Return::Reply(self.peek(payload)?),
            abi::BR_TRANSACTION_COMPLETE | abi::BR_ONEWAY_SPAM_SUSPECT => Return::Complete,
            abi::BR_INCREFS => Return::Increfs(self.peek(payload)?),
            abi::BR_ACQUIRE => Return::Acquire(self.peek(payload)?),
            abi::BR_ERROR | abi::BR_DEAD_REPLY | abi::BR_FAILED_REPLY => Return::Failed(code),
            _ => Return::Other,
        })
    }

    #[inline]
    fn peek<T: FromBytes>(&self, position: usize) -> Option<T> {
        let bytes = self.bytes.get(position..self.length)?;
        T::read_from_prefix(bytes).ok().map(|(value, _)| value)
    }
}

/// Bytes of payload that follow a return of this number.
const fn payload_size(code: u32) -> usize {
    match code {
        // Its number announces a payload that drivers do not send.
        abi::BR_ERROR => 0,
        _ => (code >> 16 & 0x3fff) as usize,
    }
}

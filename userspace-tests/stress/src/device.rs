// SPDX-License-Identifier: GPL-2.0

//! An open binder device: its file, its mapping, its ioctls. The unsafe part of a worker is here.

use anyhow::{Context, Result};
use binder_abi::{BINDER_VERSION, BINDER_WRITE_READ, TransactionData, Version, WriteRead};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::stat::Mode;
use nix::time::{ClockId, clock_gettime};
use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Mutex;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A binder device as one process has it open.
pub struct Device {
    file: OwnedFd,
    /// Where received data lies; `None` once unmapped. Copying out of it and unmapping exclude each other.
    mapping: Mutex<Option<Mapping>>,
}

struct Mapping {
    place: NonNull<c_void>,
    size: usize,
}

// SAFETY: the place is an address in this process, the same for all its threads.
unsafe impl Send for Mapping {}

impl Device {
    /// Opens `path` and maps `size` bytes of it.
    pub fn open(path: &Path, size: NonZeroUsize, nonblocking: bool) -> Result<Self> {
        let blocking = if nonblocking {
            OFlag::O_NONBLOCK
        } else {
            OFlag::empty()
        };
        let file = open(
            path,
            OFlag::O_RDWR | OFlag::O_CLOEXEC | blocking,
            Mode::empty(),
        )
        .with_context(|| format!("opening {}", path.display()))?;
        // SAFETY: a new mapping at no particular address replaces nothing.
        let place = unsafe {
            mmap(
                None,
                size,
                ProtFlags::PROT_READ,
                MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE,
                &file,
                0,
            )
        }
        .context("mapping the device")?;
        let device = Self {
            file,
            mapping: Mutex::new(Some(Mapping {
                place,
                size: size.get(),
            })),
        };
        let mut version = Version::default();
        device
            .ioctl(BINDER_VERSION, &mut version)
            .context("asking for the version")?;
        anyhow::ensure!(
            version.protocol_version == 8,
            "protocol version {}",
            version.protocol_version
        );
        Ok(device)
    }

    /// Does an ioctl whose argument is the structure that its number announces.
    pub fn ioctl<T: FromBytes + IntoBytes + Immutable>(
        &self,
        request: u32,
        argument: &mut T,
    ) -> nix::Result<()> {
        // SAFETY: the argument is as large as the request says (every caller passes the structure the number is made of)
        // and any bytes the driver writes to it are valid.
        let result = unsafe {
            libc::ioctl(
                self.file.as_raw_fd(),
                request as libc::Ioctl,
                std::ptr::from_mut(argument),
            )
        };
        Errno::result(result).map(drop)
    }

    /// Runs the commands in `write` and fetches returns into `read`; gives the sizes consumed of both.
    ///
    /// Commands name memory of this process by address: the caller keeps that memory alive.
    pub fn write_read(&self, write: &[u8], read: &mut [u8]) -> (nix::Result<()>, usize, usize) {
        let mut exchange = WriteRead {
            write_size: write.len() as u64,
            write_buffer: write.as_ptr().addr() as u64,
            read_size: read.len() as u64,
            read_buffer: read.as_mut_ptr().expose_provenance() as u64,
            ..WriteRead::default()
        };
        let _ = write.as_ptr().expose_provenance();
        let result = self.ioctl(BINDER_WRITE_READ, &mut exchange);
        (
            result,
            exchange.write_consumed as usize,
            exchange.read_consumed as usize,
        )
    }

    /// Copies what was received: data and the offsets of the objects in it. `None` if it lies outside of the mapping.
    pub fn received(&self, transaction: &TransactionData) -> Option<(Vec<u8>, Vec<u64>)> {
        let data = self.copy(transaction.buffer, transaction.data_size)?;
        let offsets = self.copy(transaction.offsets, transaction.offsets_size)?;
        let offsets = offsets
            .chunks_exact(8)
            .map(|bytes| u64::read_from_bytes(bytes).unwrap_or(u64::MAX))
            .collect();
        Some((data, offsets))
    }

    fn copy(&self, address: u64, size: u64) -> Option<Vec<u8>> {
        let mapping = self.mapping.lock().ok()?;
        let mapping = mapping.as_ref()?;
        let (address, size) = (usize::try_from(address).ok()?, usize::try_from(size).ok()?);
        let start = address.checked_sub(mapping.place.addr().get())?;
        if start.checked_add(size)? > mapping.size {
            return None;
        }
        // SAFETY: the range lies in the mapping, which cannot go away while the lock is held. The driver does not write to
        // a buffer between its delivery and its release, which comes after this.
        let bytes = unsafe {
            std::slice::from_raw_parts(mapping.place.cast::<u8>().as_ptr().add(start), size)
        };
        Some(bytes.to_vec())
    }

    /// Removes the mapping.
    pub fn unmap(&self) -> Result<()> {
        let mapping = self
            .mapping
            .lock()
            .ok()
            .and_then(|mut mapping| mapping.take());
        if let Some(mapping) = mapping {
            // SAFETY: nobody can reach into the mapping any more: it was taken out of its place.
            unsafe { munmap(mapping.place, mapping.size) }?;
        }
        Ok(())
    }
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // Failing to unmap leaves a mapping until the process ends, no more.
        let _ = self.unmap();
    }
}

/// Takes over a file that the driver has opened for this process.
pub fn adopt(fd: u32) -> OwnedFd {
    // SAFETY: the driver has just put the file there for the receiver of the message, and a message is taken apart once.
    unsafe { OwnedFd::from_raw_fd(fd.cast_signed()) }
}

/// Reads a structure from the front of `bytes` and moves past it.
pub fn take<T: FromBytes + KnownLayout + Immutable>(bytes: &mut &[u8]) -> Option<T> {
    let (value, rest) = T::read_from_prefix(bytes).ok()?;
    *bytes = rest;
    Some(value)
}

/// Milliseconds of a clock that never stands still or goes back.
pub fn now_ms() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map(|time| {
            u64::try_from(time.tv_sec() * 1000 + time.tv_nsec() / 1_000_000).unwrap_or_default()
        })
        .unwrap_or_default()
}

// SPDX-License-Identifier: GPL-2.0

//! What a driver writes to the kernel's log.

use anyhow::{Context, Result};
use nix::errno::Errno;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

/// The kernel's log from some moment on.
pub struct KernelLog(File);

impl KernelLog {
    /// From now on.
    pub fn open() -> Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_NONBLOCK);
        let mut file = options.open("/dev/kmsg").context("/dev/kmsg")?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self(file))
    }

    /// How many lines have come since this was last asked that contain all of `parts`.
    pub fn count(&mut self, parts: &[&str]) -> Result<usize> {
        // A read returns one record, or fails.
        let mut record = [0; 8192];
        let mut count = 0;
        loop {
            match self.0.read(&mut record) {
                Ok(length) => {
                    let line = String::from_utf8_lossy(&record[..length]);
                    count += usize::from(parts.iter().all(|part| line.contains(part)));
                }
                Err(error) if error.raw_os_error() == Some(Errno::EAGAIN as i32) => {
                    return Ok(count);
                }
                Err(error) => return Err(error).context("/dev/kmsg"),
            }
        }
    }
}

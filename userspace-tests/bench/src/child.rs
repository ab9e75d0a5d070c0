// SPDX-License-Identifier: GPL-2.0

//! Child processes that run a closure of this program, and memory shared with them.

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Deref;
use std::os::fd::FromRawFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU64;

use anyhow::{Context, Result};

/// A forked child, which is killed when this is dropped.
pub struct Child {
    pid: libc::pid_t,
}

impl Child {
    /// Forks; the child runs `body` and exits. Returns once the child has called [`Ready::tell`].
    ///
    /// The calling process must have one thread only.
    pub fn start(body: impl FnOnce(Ready) -> Result<()>) -> Result<Self> {
        let (mut reader, writer) = pipe()?;
        // SAFETY: The process has one thread, so the child may go on with all of the program.
        let pid = unsafe { libc::fork() };
        match pid {
            -1 => Err(io::Error::last_os_error()).context("cannot fork"),
            0 => {
                drop(reader);
                // SAFETY: Only asks for a signal at the parent's end.
                unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
                let status = match body(Ready(writer)) {
                    Ok(()) => 0,
                    Err(error) => {
                        eprintln!("{error:#}");
                        1
                    }
                };
                // SAFETY: Ends the process at once; what the parent owns is left alone.
                unsafe { libc::_exit(status) }
            }
            _ => {
                drop(writer);
                let child = Self { pid };
                reader
                    .read_exact(&mut [0])
                    .context("a child of the benchmark ended before it was ready")?;
                Ok(child)
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: The process is our own child and has not been waited for.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            libc::waitpid(self.pid, ptr::null_mut(), 0);
        }
    }
}

/// With which a child says that it is ready.
pub struct Ready(File);

impl Ready {
    /// Lets [`Child::start`] return in the parent.
    pub fn tell(mut self) -> Result<()> {
        self.0.write_all(&[1]).context("the parent has gone")
    }
}

/// A pipe: its reading and its writing end.
pub fn pipe() -> Result<(File, File)> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for both descriptors.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error()).context("cannot make a pipe");
    }
    // SAFETY: The kernel has just made both for us.
    Ok(unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) })
}

/// A counter in memory that forked children share with their parent.
pub struct SharedCounter(NonNull<AtomicU64>);

impl SharedCounter {
    /// A counter at zero.
    pub fn new() -> Result<Self> {
        // SAFETY: A fresh anonymous mapping overlaps nothing.
        let page = unsafe {
            libc::mmap(
                ptr::null_mut(),
                size_of::<AtomicU64>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error()).context("cannot map shared memory");
        }
        NonNull::new(page.cast())
            .map(Self)
            .context("shared memory was mapped at address zero")
    }
}

impl Deref for SharedCounter {
    type Target = AtomicU64;

    fn deref(&self) -> &AtomicU64 {
        // SAFETY: The mapping is page-aligned, zeroed and stays until `self` is dropped.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for SharedCounter {
    fn drop(&mut self) {
        // SAFETY: The mapping is ours; a child has one of its own.
        unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<AtomicU64>()) };
    }
}

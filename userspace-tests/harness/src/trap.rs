// SPDX-License-Identifier: GPL-2.0

//! Memory that stops whoever uses it: steps *inside* a system call.
//!
//! A driver that copies from or to such memory sleeps in the middle of its work until
//! the test lets it go on, or lets the copy fail.  What may happen to a transaction
//! while it is being put together is so tested step by step, and not by luck.

use crate::deadline::Deadline;
use crate::process::{descriptor_of, pidfd};
use crate::thread::{PAGE, Pending, Thread};
use anyhow::{Context, Result, ensure};
use binder_abi::ioc;
use linux_raw_sys::general::{
    _UFFDIO_COPY, _UFFDIO_POISON, UFFD_API, UFFD_EVENT_PAGEFAULT, UFFDIO,
    UFFDIO_REGISTER_MODE_MISSING, uffd_msg, uffdio_api, uffdio_copy, uffdio_poison, uffdio_range,
    uffdio_register,
};
use linux_raw_sys::ioctl::{UFFDIO_API, UFFDIO_COPY, UFFDIO_REGISTER};
use nix::errno::Errno;
use nix::unistd::{Pid, read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Makes whoever uses the memory get an error.
const UFFDIO_POISON: u32 = ioc::iowr::<uffdio_poison>(UFFDIO as u8, _UFFDIO_POISON as u8);

/// A page of an actor that nobody gets past before the test says so.
///
/// An ordinary page lies before it and one behind it, so that what is copied can begin
/// or end elsewhere.
pub struct Trap {
    memory: OwnedFd,
    /// Address of the page.
    pub page: u64,
}

impl Trap {
    /// Sets a trap in the memory of a thread's process.
    pub(crate) fn set(thread: &mut Thread) -> Result<Self> {
        let page = thread.allocate(3 * PAGE)? + PAGE;
        let number = thread.must(
            libc::SYS_userfaultfd,
            &[(libc::O_CLOEXEC | libc::O_NONBLOCK) as u64],
        )?;
        let process = pidfd(Pid::from_raw(thread.pid))?;
        let memory = descriptor_of(process.as_fd(), number as i32)?;
        // What an actor opens is numbered without gaps.
        thread.must(libc::SYS_close, &[number as u64])?;
        let mut api = uffdio_api {
            api: u64::from(UFFD_API),
            features: 0,
            ioctls: 0,
        };
        control(&memory, UFFDIO_API, &mut api).context("UFFDIO_API")?;
        let mut register = uffdio_register {
            range: one_page(page),
            mode: u64::from(UFFDIO_REGISTER_MODE_MISSING),
            ioctls: 0,
        };
        control(&memory, UFFDIO_REGISTER, &mut register).context("UFFDIO_REGISTER")?;
        let wanted = 1 << _UFFDIO_COPY | 1 << _UFFDIO_POISON;
        ensure!(
            register.ioctls & wanted == wanted,
            "the kernel can't resolve faults: {:#x}",
            register.ioctls
        );
        Ok(Self { memory, page })
    }

    /// Waits until the step is caught.  One that ends instead is an error.
    pub fn wait(&self, step: &Pending<'_>) -> Result<()> {
        let ready = Deadline::step().wait_either(self.memory.as_fd(), step.as_fd())?;
        ensure!(!step.answered()?, "the step ended without being caught");
        ensure!(ready, "the step is not caught: {}", step.whereabouts());
        let mut message = [0; size_of::<uffd_msg>()];
        let length = read(&self.memory, &mut message).context("message of a fault")?;
        ensure!(
            length == message.len() && u32::from(message[0]) == UFFD_EVENT_PAGEFAULT,
            "not the message of a fault: {message:x?}"
        );
        Ok(())
    }

    /// Lets whoever was caught go on; the page begins with these bytes.
    pub fn release(self, content: &[u8]) -> Result<()> {
        ensure!(content.len() as u64 <= PAGE, "more than a page");
        let mut source = content.to_vec();
        source.resize(PAGE as usize, 0);
        let mut copy = uffdio_copy {
            dst: self.page,
            src: source.as_ptr() as u64,
            len: PAGE,
            mode: 0,
            copy: 0,
        };
        control(&self.memory, UFFDIO_COPY, &mut copy).context("UFFDIO_COPY")
    }

    /// Lets the copy of whoever was caught fail: `EFAULT`.
    pub fn spoil(self) -> Result<()> {
        let mut poison = uffdio_poison {
            range: one_page(self.page),
            mode: 0,
            updated: 0,
        };
        control(&self.memory, UFFDIO_POISON, &mut poison).context("UFFDIO_POISON")
    }
}

fn one_page(page: u64) -> uffdio_range {
    uffdio_range {
        start: page,
        len: PAGE,
    }
}

/// An ioctl of the descriptor whose argument is of the type that belongs to the number.
fn control<T>(memory: &OwnedFd, number: u32, argument: &mut T) -> Result<(), Errno> {
    // SAFETY: the argument has the size that the number holds, and lives until after
    // the call; addresses in it are of the actor, or of a buffer that does so, too.
    let result = unsafe { libc::ioctl(memory.as_raw_fd(), u64::from(number), argument) };
    Errno::result(result).map(drop)
}

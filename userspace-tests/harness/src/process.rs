// SPDX-License-Identifier: GPL-2.0

//! A test's handle on an actor.

use crate::deadline::Deadline;
use crate::device::Endpoint;
use crate::server;
use crate::thread::Thread;
use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use std::cell::RefCell;
use std::fs::File;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

/// How many threads and children an actor can have besides its first thread.
const SPARES: usize = 12;

/// A process that obeys the test.  Derefs to its first thread.
///
/// Dropping it closes its sockets, upon which it exits, and awaits that.
pub struct Process {
    main: Option<Thread>,
    pid: Pid,
    ended: Option<WaitStatus>,
}

impl Process {
    /// Forks an actor.
    pub fn spawn() -> Result<Self> {
        let (main, ours) = UnixStream::pair()?;
        let mut theirs = Vec::new();
        let mut spares = Vec::new();
        for _ in 0..SPARES {
            let (a, b) = UnixStream::pair()?;
            theirs.push(a);
            spares.push(Some(b));
        }
        // SAFETY: a test has one thread, so the child may use everything.
        let pid = match unsafe { fork() }? {
            ForkResult::Child => {
                die_with_parent();
                let (main, theirs) = keep_only(main, theirs);
                server::run(main, theirs)
            }
            ForkResult::Parent { child } => child,
        };
        drop((main, theirs));
        let mut process = Self {
            main: None,
            pid,
            ended: None,
        };
        let spares = Rc::new(RefCell::new(spares));
        process.main = Some(Thread::attach(
            ours,
            pid.as_raw(),
            Endpoint::default(),
            spares,
        )?);
        Ok(process)
    }

    /// Forks an actor that is the first process of a new pid name space.
    pub fn spawn_in_pid_namespace() -> Result<Self> {
        let own = File::open("/proc/self/ns/pid").context("pid name space")?;
        unshare(CloneFlags::CLONE_NEWPID).context("new pid name space")?;
        let process = Self::spawn();
        setns(own, CloneFlags::CLONE_NEWPID).context("back to the own pid name space")?;
        process
    }

    /// The process as the test sees it.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    fn wait(&mut self, deadline: Deadline) -> Result<WaitStatus> {
        if let Some(status) = self.ended {
            return Ok(status);
        }
        let fd = pidfd(self.pid)?;
        ensure!(
            deadline.wait_readable(fd.as_fd())?,
            "process {} does not end",
            self.pid
        );
        let status = waitpid(self.pid, None)?;
        self.ended = Some(status);
        Ok(status)
    }

    /// Ends the process at once, wherever it is, and awaits that.
    pub fn kill(mut self) -> Result<()> {
        self.kill_and_wait()
    }

    fn kill_and_wait(&mut self) -> Result<()> {
        if self.ended.is_none() {
            kill(self.pid, Signal::SIGKILL)?;
            self.wait(Deadline::step())?;
        }
        Ok(())
    }

    /// Lets the process exit and awaits that.
    pub fn exit(mut self) -> Result<()> {
        self.main = None;
        match self.wait(Deadline::step())? {
            WaitStatus::Exited(_, 0) => Ok(()),
            other => bail!("the process ended otherwise: {other:?}"),
        }
    }

    /// Waits for the process to be ended by a signal.
    pub fn wait_signalled(mut self) -> Result<Signal> {
        match self.wait(Deadline::step())? {
            WaitStatus::Signaled(_, signal, _) => Ok(signal),
            other => bail!("the process ended otherwise: {other:?}"),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.main = None;
        if self.wait(Deadline::step()).is_err() {
            // Whoever isolates the case ends what is left, and reports that.
            let _ = self.kill_and_wait();
        }
    }
}

impl Deref for Process {
    type Target = Thread;

    fn deref(&self) -> &Thread {
        self.main
            .as_ref()
            .expect("there until the process is consumed")
    }
}

impl DerefMut for Process {
    fn deref_mut(&mut self) -> &mut Thread {
        self.main
            .as_mut()
            .expect("there until the process is consumed")
    }
}

/// A descriptor that becomes readable when the process ends.
pub(crate) fn pidfd(pid: Pid) -> Result<OwnedFd> {
    // SAFETY: plain numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let fd = Errno::result(fd).context("pidfd_open")?;
    // SAFETY: the kernel has just given it to us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// A descriptor of the test's own for what a process has open under a number.
pub(crate) fn descriptor_of(process: BorrowedFd<'_>, number: RawFd) -> Result<OwnedFd> {
    // SAFETY: plain numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) };
    let fd = Errno::result(fd).context("pidfd_getfd")?;
    // SAFETY: the kernel has just given it to us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// An actor must not outlive its test, however that ends.
pub(crate) fn die_with_parent() {
    // SAFETY: plain numbers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

/// Closes what the test has open, in particular its ends of other actors' sockets,
/// and gives the sockets of this actor the lowest numbers: what an actor opens or
/// receives is then numbered without gaps.
fn keep_only(main: UnixStream, spare: Vec<UnixStream>) -> (UnixStream, Vec<UnixStream>) {
    const FIRST: RawFd = 3;
    let mut kept: Vec<(RawFd, usize)> = [main]
        .into_iter()
        .chain(spare)
        .map(IntoRawFd::into_raw_fd)
        .enumerate()
        .map(|(i, fd)| (fd, i))
        .collect();
    // In ascending order no socket is moved onto one that still has to move.
    kept.sort_unstable();
    let mut moved: Vec<(usize, UnixStream)> = kept
        .into_iter()
        .zip(FIRST..)
        .map(|((fd, index), number)| {
            // SAFETY: plain numbers; what lay at `number` belongs to the test.
            unsafe { libc::dup2(fd, number) };
            // SAFETY: the number is now this socket's and nobody else's here.
            (index, unsafe { UnixStream::from_raw_fd(number) })
        })
        .collect();
    let next = FIRST as u32 + moved.len() as u32;
    // SAFETY: nobody in the child uses these descriptors again.
    unsafe { libc::syscall(libc::SYS_close_range, next, u32::MAX, 0) };
    moved.sort_unstable_by_key(|(index, _)| *index);
    let mut sockets = moved.into_iter().map(|(_, socket)| socket);
    let main = sockets.next().expect("the first socket was put in");
    (main, sockets.collect())
}

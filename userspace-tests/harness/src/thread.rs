// SPDX-License-Identifier: GPL-2.0

//! A test's handle on one thread of an actor.

use crate::deadline::Deadline;
use crate::device::Endpoint;
use crate::seen::Asked;
use crate::trap::Trap;
use crate::wire::{self, Argument, Request, Response};
use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use std::cell::RefCell;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

/// The test's ends of an actor's spare sockets, by index.
pub(crate) type Spares = Rc<RefCell<Vec<Option<UnixStream>>>>;

/// Memory arguments of a system call, as the kernel left them.
pub type Returned = Vec<Vec<u8>>;

/// A thread of an actor.
pub struct Thread {
    socket: UnixStream,
    /// The process, as the test sees it.
    pub pid: i32,
    /// The thread, as it sees itself.
    pub tid: i32,
    /// The device it uses unless told otherwise.
    pub endpoint: Endpoint,
    spares: Spares,
    /// What the step that is under way asks of the device.
    asked: Option<Asked>,
}

impl Thread {
    /// Waits for the thread's first message.
    pub(crate) fn attach(
        socket: UnixStream,
        pid: i32,
        endpoint: Endpoint,
        spares: Spares,
    ) -> Result<Self> {
        let mut thread = Self {
            socket,
            pid,
            tid: 0,
            endpoint,
            spares,
            asked: None,
        };
        match thread.receive()? {
            Response::Ready { tid } => thread.tid = tid,
            other => bail!("expected an actor's first message, got {other:?}"),
        }
        Ok(thread)
    }

    fn receive(&mut self) -> Result<Response> {
        let ready = Deadline::step().wait_readable(self.socket.as_fd())?;
        ensure!(
            ready,
            "thread {} of process {} does not answer: {}",
            self.tid,
            self.pid,
            self.whereabouts()
        );
        let response = wire::receive(&self.socket)
            .with_context(|| format!("process {} has ended", self.pid))?;
        if let Some(asked) = self.asked.take() {
            asked.answered(&response);
        }
        Ok(response)
    }

    /// Where in the kernel the thread is, for messages.
    fn whereabouts(&self) -> String {
        let file = |name| {
            fs::read_to_string(format!("/proc/{}/task/{}/{name}", self.pid, self.tid))
                .map(|text| text.trim().replace('\n', " "))
                .unwrap_or_else(|error| error.to_string())
        };
        format!(
            "in system call {}; stack {}",
            file("syscall"),
            file("stack")
        )
    }

    /// Begins a step that may block.
    pub fn begin(&mut self, request: &Request) -> Result<Pending<'_>> {
        wire::send(&self.socket, request)
            .with_context(|| format!("process {} has ended", self.pid))?;
        self.asked = Asked::new(request, self.endpoint.fd);
        Ok(Pending { thread: self })
    }

    /// Does a step.
    pub fn request(&mut self, request: &Request) -> Result<Response> {
        self.begin(request)?.finish()
    }

    /// Any system call with plain arguments.
    pub fn syscall(&mut self, number: i64, arguments: &[u64]) -> Result<Result<i64, Errno>> {
        let arguments = arguments
            .iter()
            .map(|value| Argument::Value(*value))
            .collect();
        Ok(self.syscall_with(number, arguments)?.0)
    }

    /// Any system call; returns the memory arguments as well.
    pub fn syscall_with(
        &mut self,
        number: i64,
        arguments: Vec<Argument>,
    ) -> Result<(Result<i64, Errno>, Returned)> {
        self.begin_syscall(number, arguments)?.system_call()
    }

    /// Begins a system call that may block.
    pub fn begin_syscall(&mut self, number: i64, arguments: Vec<Argument>) -> Result<Pending<'_>> {
        self.begin(&Request::Syscall { number, arguments })
    }

    /// A system call that has to succeed.
    pub fn must(&mut self, number: i64, arguments: &[u64]) -> Result<i64> {
        self.syscall(number, arguments)?
            .with_context(|| format!("system call {number} with {arguments:x?}"))
    }

    /// Reads memory; an address that is not there gives `EFAULT`.
    pub fn peek(&mut self, address: u64, length: u64) -> Result<Result<Vec<u8>, Errno>> {
        match self.request(&Request::Peek { address, length })? {
            Response::Peek(result) => Ok(result.map_err(Errno::from_raw)),
            other => bail!("not the answer to a peek: {other:?}"),
        }
    }

    /// Writes memory.
    pub fn poke(&mut self, address: u64, bytes: &[u8]) -> Result<Result<(), Errno>> {
        match self.request(&Request::Poke {
            address,
            bytes: bytes.to_vec(),
        })? {
            Response::Poke(result) => Ok(result.map_err(Errno::from_raw)),
            other => bail!("not the answer to a poke: {other:?}"),
        }
    }

    /// Maps anonymous memory.
    pub fn allocate(&mut self, length: u64) -> Result<u64> {
        let protection = (libc::PROT_READ | libc::PROT_WRITE) as u64;
        let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
        self.must(libc::SYS_mmap, &[0, length, protection, flags, u64::MAX, 0])
            .map(|address| address as u64)
    }

    /// Address of a page that may be used, behind which there is none.
    pub fn page_before_hole(&mut self) -> Result<u64> {
        let page = self.allocate(2 * PAGE)?;
        self.must(libc::SYS_munmap, &[page + PAGE, PAGE])?;
        Ok(page)
    }

    /// Memory in which whoever uses it is caught.
    pub fn trap(&mut self) -> Result<Trap> {
        Trap::set(self)
    }

    fn spawned(&mut self, request: &Request) -> Result<(UnixStream, i32)> {
        match self.request(request)? {
            Response::Spawned { socket, pid } => {
                let socket = self.spares.borrow_mut()[socket].take();
                Ok((socket.context("the actor took a socket twice")?, pid))
            }
            other => bail!("not the answer to a spawn: {other:?}"),
        }
    }

    /// Starts another thread of the process.
    pub fn spawn_thread(&mut self) -> Result<Thread> {
        let (socket, _) = self.spawned(&Request::SpawnThread)?;
        Thread::attach(socket, self.pid, self.endpoint, self.spares.clone())
    }

    /// Forks; the child has the descriptors and those mappings that are inherited.
    pub fn fork(&mut self) -> Result<Thread> {
        let (socket, pid) = self.spawned(&Request::Fork)?;
        Thread::attach(socket, pid, self.endpoint, self.spares.clone())
    }

    /// Sends `SIGUSR1`, which interrupts and does nothing else.
    pub fn interrupt(&self) -> Result<()> {
        interrupt(self.pid, self.tid)
    }

    /// Ends the thread and waits until the kernel has forgotten it.
    pub fn end(mut self) -> Result<()> {
        self.request(&Request::EndThread)?;
        let deadline = Deadline::step();
        let path = format!("/proc/{}/task/{}", self.pid, self.tid);
        while fs::exists(&path)? {
            ensure!(!deadline.passed(), "thread {} does not end", self.tid);
            std::thread::yield_now();
        }
        Ok(())
    }
}

/// The size of a page.
pub const PAGE: u64 = 4096;

fn interrupt(pid: i32, tid: i32) -> Result<()> {
    // SAFETY: only numbers; the signal's handler does nothing.
    let result = unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, libc::SIGUSR1) };
    Errno::result(result).context("tgkill")?;
    Ok(())
}

/// A step that was begun and whose answer is not yet there.
#[must_use = "the step's answer has to be taken"]
pub struct Pending<'a> {
    thread: &'a mut Thread,
}

impl Pending<'_> {
    /// Waits for the answer.
    pub fn finish(self) -> Result<Response> {
        self.thread.receive()
    }

    /// Waits for the end of a system call; returns the memory arguments as well.
    pub fn system_call(self) -> Result<(Result<i64, Errno>, Returned)> {
        match self.finish()? {
            Response::Syscall { result, memory } if result < 0 => {
                Ok((Err(Errno::from_raw(-result as i32)), memory))
            }
            Response::Syscall { result, memory } => Ok((Ok(result), memory)),
            other => bail!("not the answer to a system call: {other:?}"),
        }
    }

    /// Waits until the thread sleeps in an ioctl, interruptibly.
    ///
    /// A step that ends instead is an error: the test says it must block.
    pub fn wait_blocked(&self) -> Result<()> {
        let deadline = Deadline::step();
        let task = format!("/proc/{}/task/{}", self.thread.pid, self.thread.tid);
        loop {
            let call = fs::read_to_string(format!("{task}/syscall"))?;
            let state = fs::read_to_string(format!("{task}/stat"))?;
            // The name in parentheses may hold anything; the state follows it.
            let sleeping = state
                .rsplit(')')
                .next()
                .is_some_and(|rest| rest.starts_with(" S"));
            if sleeping && call.starts_with(&format!("{} ", libc::SYS_ioctl)) {
                return Ok(());
            }
            ensure!(!self.answered()?, "the step ended, but should block");
            ensure!(
                !deadline.passed(),
                "the step does not block: {}",
                self.thread.whereabouts()
            );
            std::thread::yield_now();
        }
    }

    /// Whether the answer is there already.
    pub fn answered(&self) -> Result<bool> {
        let mut fds = [nix::poll::PollFd::new(
            self.thread.socket.as_fd(),
            nix::poll::PollFlags::POLLIN,
        )];
        Ok(nix::poll::poll(&mut fds, nix::poll::PollTimeout::ZERO)? > 0)
    }

    /// Where in the kernel the thread is, for messages.
    pub(crate) fn whereabouts(&self) -> String {
        self.thread.whereabouts()
    }

    /// Readable when the answer is there.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.thread.socket.as_fd()
    }

    /// Sends the thread a signal that interrupts.
    pub fn interrupt(&self) -> Result<()> {
        self.thread.interrupt()
    }
}

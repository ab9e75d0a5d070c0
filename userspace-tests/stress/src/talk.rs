// SPDX-License-Identifier: GPL-2.0

//! One thread's conversation with the driver: commands out, returns in, calls served while others wait.
//!
//! The protocol's promises to a thread are checked on the way: a completion for each thing sent and none besides, in order;
//! replies for the innermost call; a call or reply as the last return of a read.

use crate::board::{Count, ThreadLine, WorkerLine};
use crate::device::{Device, adopt, take};
use crate::host::{Answer, Host, Luggage, Outcome};
use crate::message::{Message, Parcel};
use binder_abi::*;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::collections::VecDeque;
use std::os::fd::AsFd;
use zerocopy::{Immutable, IntoBytes};

/// A completion the driver owes this thread.
#[derive(Debug, PartialEq, Eq)]
enum Owed {
    Call,
    Oneway,
    Reply,
}

/// What may end the wait of somebody who sent something.
enum Event {
    Sent,
    Reply(Box<TransactionData>),
    Dead,
    Failed,
}

/// A thread's conversation.
pub struct Talk<'a> {
    /// The device it is about.
    pub device: &'a Device,
    /// The process's line on the board.
    pub line: &'a WorkerLine,
    thread: &'a ThreadLine,
    host: &'static dyn Host,
    /// Commands not yet written.
    out: Vec<u8>,
    /// Returns not yet looked at.
    returns: VecDeque<u8>,
    owed: VecDeque<Owed>,
    /// Calls of this thread that wait for their reply.
    waiting: usize,
    /// Things begun and not ended, for the board.
    busy: usize,
    /// Confirmations that come to this thread alone and would be lost with it.
    clears_owed: usize,
    is_looper: bool,
    epoll: Option<Epoll>,
    nonblocking: bool,
}

impl<'a> Talk<'a> {
    /// A conversation of the calling thread.
    pub fn new(
        device: &'a Device,
        line: &'a WorkerLine,
        thread: &'a ThreadLine,
        host: &'static dyn Host,
        nonblocking: bool,
    ) -> Self {
        thread.claim(nix::unistd::gettid().as_raw().cast_unsigned());
        Self {
            device,
            line,
            thread,
            host,
            out: Vec::new(),
            returns: VecDeque::new(),
            owed: VecDeque::new(),
            waiting: 0,
            busy: 0,
            clears_owed: 0,
            is_looper: false,
            epoll: None,
            nonblocking,
        }
    }

    /// Serves calls until the process ends or the driver fails.
    pub fn run_looper(&mut self, enter: u32) {
        self.command(enter, &());
        self.is_looper = true;
        loop {
            match self.event() {
                Some(Event::Sent) => {}
                Some(_) => self
                    .line
                    .violation("a looper that sent nothing was told that it failed"),
                None => return,
            }
        }
    }

    /// Adds a command to those that are written next.
    pub fn command(&mut self, command: u32, payload: &(impl IntoBytes + Immutable)) {
        self.out.extend_from_slice(command.as_bytes());
        self.out.extend_from_slice(payload.as_bytes());
    }

    /// Takes a request for a death notice back.
    pub fn clear_death(&mut self, handle: u32, cookie: u64) {
        self.command(
            BC_CLEAR_DEATH_NOTIFICATION,
            &HandleCookie { handle, cookie },
        );
        self.expect_confirmation();
    }

    /// Takes note that a confirmation comes to this thread: to itself if it is a looper.
    pub fn expect_confirmation(&mut self) {
        if self.is_looper {
            self.clears_owed += 1;
        }
    }

    /// Writes the commands collected so far, without reading.
    pub fn flush(&mut self) {
        while !self.out.is_empty() {
            let (result, written, _) = self.device.write_read(&self.out, &mut []);
            self.out.drain(..written.min(self.out.len()));
            if let Err(error) = result {
                self.line
                    .violation(&format!("writing commands failed: {error}"));
                self.out.clear();
            } else if written == 0 {
                self.line
                    .violation("the driver takes no commands from a thread without an error");
                self.out.clear();
            }
        }
    }

    /// Makes a call and waits for its end. The message is checked by whoever knows what to expect; its buffer is freed.
    pub fn call(&mut self, handle: u32, code: u32, parcel: &Parcel) -> Outcome {
        self.call_and(handle, code, parcel, |_, _| ())
    }

    /// Like [`call`](Self::call), with `before_free` having a look while the buffer still holds its objects.
    pub fn call_and(
        &mut self,
        handle: u32,
        code: u32,
        parcel: &Parcel,
        before_free: impl FnOnce(&mut Self, &Message),
    ) -> Outcome {
        self.begin(code);
        self.transaction(BC_TRANSACTION, handle, code, TF_ACCEPT_FDS, parcel);
        self.owed.push_back(Owed::Call);
        self.waiting += 1;
        let outcome = match self.event() {
            Some(Event::Reply(reply)) => match self.receive(&reply) {
                Some(message) => {
                    before_free(self, &message);
                    self.command(BC_FREE_BUFFER, &reply.buffer);
                    self.line.count(Count::Calls);
                    Outcome::Reply(message)
                }
                None => Outcome::Failed(Errno::EBADMSG),
            },
            Some(Event::Sent) => {
                self.line.violation("a sync call ended like a oneway call");
                Outcome::Sent
            }
            Some(Event::Dead) => Outcome::Dead,
            Some(Event::Failed) => Outcome::Failed(self.reason()),
            None => Outcome::Failed(Errno::EIO),
        };
        self.waiting -= 1;
        self.end();
        outcome
    }

    /// Sends a oneway call.
    pub fn oneway(&mut self, handle: u32, code: u32, parcel: &Parcel) -> Outcome {
        self.begin(code);
        self.transaction(
            BC_TRANSACTION,
            handle,
            code,
            TF_ONE_WAY | TF_ACCEPT_FDS,
            parcel,
        );
        self.owed.push_back(Owed::Oneway);
        let outcome = match self.event() {
            Some(Event::Sent) => Outcome::Sent,
            Some(Event::Dead) => Outcome::Dead,
            Some(Event::Failed) => Outcome::Failed(self.reason()),
            Some(Event::Reply(_)) => {
                self.line.violation("a oneway call was answered");
                Outcome::Sent
            }
            None => Outcome::Failed(Errno::EIO),
        };
        self.end();
        outcome
    }

    /// Sends a call and leaves the thread without waiting for the answer.
    pub fn abandon(&mut self, handle: u32, code: u32, parcel: &Parcel) {
        self.transaction(BC_TRANSACTION, handle, code, TF_ACCEPT_FDS, parcel);
        let (result, written, _) = self.device.write_read(&self.out, &mut []);
        if result.is_err() || written != self.out.len() {
            self.line.violation(&format!(
                "{written} of {} bytes written: {result:?}",
                self.out.len()
            ));
        }
        self.leave_thread();
        self.line.count(Count::Abandoned);
    }

    /// Gives up the driver's idea of this thread; the next ioctl makes a new one.
    pub fn leave_thread(&mut self) {
        if let Err(error) = self.device.ioctl(BINDER_THREAD_EXIT, &mut 0i32) {
            self.line.violation(&format!("BINDER_THREAD_EXIT: {error}"));
        }
        self.out.clear();
        self.returns.clear();
        self.owed.clear();
        self.clears_owed = 0;
        // The old registration was with the old thread.
        self.epoll = None;
    }

    /// Whether this thread could leave now without losing what only it is told.
    pub fn may_leave(&self) -> bool {
        self.waiting == 0 && self.clears_owed == 0
    }

    /// Notes on the board that something has begun.
    pub fn begin(&mut self, what: u32) {
        if self.busy == 0 {
            self.thread.begin(what);
        }
        self.busy += 1;
    }

    /// Notes on the board that it has ended.
    pub fn end(&mut self) {
        self.busy = self.busy.saturating_sub(1);
        if self.busy == 0 {
            self.thread.end();
        }
    }

    /// Why the last transaction of this thread failed.
    fn reason(&mut self) -> Errno {
        let mut error = ExtendedError::default();
        if let Err(error) = self.device.ioctl(BINDER_GET_EXTENDED_ERROR, &mut error) {
            self.line
                .violation(&format!("BINDER_GET_EXTENDED_ERROR: {error}"));
        }
        Errno::from_raw(-error.param)
    }

    fn transaction(&mut self, command: u32, handle: u32, code: u32, flags: u32, parcel: &Parcel) {
        let data = TransactionData {
            target: u64::from(handle),
            code,
            flags,
            data_size: parcel.data.len() as u64,
            offsets_size: size_of_val(parcel.offsets.as_slice()) as u64,
            buffer: parcel.data.as_ptr().expose_provenance() as u64,
            offsets: parcel.offsets.as_ptr().expose_provenance() as u64,
            ..TransactionData::default()
        };
        self.command(command, &data);
    }

    /// Waits for something that concerns whoever waits, serving everything else meanwhile. `None` if the driver failed.
    fn event(&mut self) -> Option<Event> {
        loop {
            let Some(code) = self.next_word() else {
                self.exchange()?;
                continue;
            };
            match code {
                BR_NOOP => {}
                BR_SPAWN_LOOPER => self.host.spawn_looper(),
                BR_TRANSACTION_COMPLETE => match self.owed.pop_front() {
                    Some(Owed::Oneway) => return Some(Event::Sent),
                    Some(Owed::Call | Owed::Reply) => {}
                    None => self.line.violation("a completion for nothing"),
                },
                BR_DEAD_REPLY | BR_FAILED_REPLY => {
                    match self.owed.pop_front() {
                        Some(Owed::Reply) => self.line.violation("a reply was refused"),
                        None if self.waiting == 0 => self.line.violation("a failure of nothing"),
                        // Refused when sent, or failed while it was under way.
                        Some(Owed::Call | Owed::Oneway) | None => {}
                    }
                    return Some(if code == BR_DEAD_REPLY {
                        Event::Dead
                    } else {
                        Event::Failed
                    });
                }
                BR_REPLY => {
                    let reply = self.payload::<TransactionData>()?;
                    if !self.owed.is_empty() {
                        self.line
                            .violation(&format!("a reply before the completions {:?}", self.owed));
                        self.owed.clear();
                    }
                    return Some(Event::Reply(Box::new(reply)));
                }
                BR_TRANSACTION => {
                    let call = self.payload::<TransactionData>()?;
                    if !self.returns.is_empty() {
                        self.line.violation("something follows a call in a read");
                    }
                    self.serve(&call);
                }
                BR_INCREFS | BR_ACQUIRE | BR_RELEASE | BR_DECREFS => {
                    let node = self.payload::<PtrCookie>()?;
                    self.host.count_node(code, node);
                    match code {
                        BR_INCREFS => self.command(BC_INCREFS_DONE, &node),
                        BR_ACQUIRE => self.command(BC_ACQUIRE_DONE, &node),
                        _ => {}
                    }
                }
                BR_DEAD_BINDER => {
                    let cookie = self.payload::<u64>()?;
                    self.host.binder_died(self, cookie);
                }
                BR_CLEAR_DEATH_NOTIFICATION_DONE => {
                    let cookie = self.payload::<u64>()?;
                    self.clears_owed = self.clears_owed.saturating_sub(1);
                    self.host.death_cleared(cookie);
                }
                unknown => {
                    self.line
                        .violation(&format!("unexpected return {unknown:#x}"));
                    return None;
                }
            }
        }
    }

    fn next_word(&mut self) -> Option<u32> {
        (!self.returns.is_empty())
            .then(|| self.payload::<u32>())
            .flatten()
    }

    fn payload<T: zerocopy::FromBytes + zerocopy::KnownLayout + Immutable>(&mut self) -> Option<T> {
        let mut bytes: &[u8] = self.returns.make_contiguous();
        let value = take(&mut bytes);
        let left = bytes.len();
        self.returns.drain(..self.returns.len() - left);
        if value.is_none() {
            self.line.violation("the returns end in the middle of one");
        }
        value
    }

    /// Writes what is to be written and reads what there is, waiting for it.
    fn exchange(&mut self) -> Option<()> {
        for handle in self.host.unused_handles() {
            self.command(BC_RELEASE, &handle);
        }
        let mut read = [0; 512];
        let (result, written, fetched) = self.device.write_read(&self.out, &mut read);
        self.out.drain(..written.min(self.out.len()));
        match result {
            Ok(()) => {
                self.returns.extend(read.get(..fetched).unwrap_or_default());
                Some(())
            }
            Err(Errno::EINTR) => Some(()),
            Err(Errno::EAGAIN) if self.nonblocking => self.wait(),
            Err(error) => {
                self.line.violation(&format!("BINDER_WRITE_READ: {error}"));
                None
            }
        }
    }

    /// Waits until the device is readable. Without a time limit, so that a lost wake-up shows as a thread that is stuck.
    fn wait(&mut self) -> Option<()> {
        self.line.count(Count::Polls);
        let watch = || -> nix::Result<Epoll> {
            let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
            epoll.add(self.device.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
            Ok(epoll)
        };
        let waited = match self.epoll.take().map_or_else(watch, Ok) {
            Ok(epoll) => {
                let waited = epoll.wait(&mut [EpollEvent::empty()], EpollTimeout::NONE);
                self.epoll = Some(epoll);
                waited
            }
            Err(error) => Err(error),
        };
        match waited {
            Ok(_) | Err(Errno::EINTR) => Some(()),
            Err(error) => {
                self.line.violation(&format!("epoll: {error}"));
                None
            }
        }
    }

    /// Copies a message out of its buffer.
    fn receive(&mut self, transaction: &TransactionData) -> Option<Message> {
        let Some((data, offsets)) = self.device.received(transaction) else {
            self.line.violation(&format!(
                "a message outside of the mapping: {transaction:x?}"
            ));
            return None;
        };
        self.line.add(Count::Bytes, data.len() as u64);
        match Message::parse(&data, &offsets, adopt) {
            Ok(message) => {
                self.line
                    .add(Count::FilesArrived, message.files.len() as u64);
                Some(message)
            }
            Err(error) => {
                self.line.violation(&error);
                None
            }
        }
    }

    fn serve(&mut self, call: &TransactionData) {
        self.begin(call.code);
        let message = self.receive(call).unwrap_or_default();
        if self.waiting > 0 {
            self.line.count(Count::Nested);
        }
        let oneway = call.flags & TF_ONE_WAY != 0;
        let answer = self.host.serve(self, call, message);
        match answer {
            Answer::Reply(parcel, luggage) if !oneway => {
                self.transaction(BC_REPLY, 0, call.code, 0, &parcel);
                self.owed.push_back(Owed::Reply);
                // Here and now: the parcel must live until the driver has read it.
                self.flush();
                let Luggage { files, handles } = luggage;
                drop((files, handles));
            }
            Answer::Vanish if !oneway && self.may_leave() => {
                self.flush();
                self.command(BC_FREE_BUFFER, &call.buffer);
                self.flush();
                self.leave_thread();
                self.command(BC_ENTER_LOOPER, &());
                self.line.count(Count::ExitsInCall);
                self.end();
                return;
            }
            Answer::Nothing if oneway => {}
            _ => self.line.violation(&format!(
                "code {} came with flags {:#x}",
                call.code, call.flags
            )),
        }
        self.command(BC_FREE_BUFFER, &call.buffer);
        self.end();
    }
}

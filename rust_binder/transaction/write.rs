// SPDX-License-Identifier: GPL-2.0

//! The loop over the commands that a thread writes.
//!
//! Commands are fetched in blocks: one copy brings a call and whatever small commands go with it.
//! Where C reads field by field, a block that ends within a command is fetched again from the start
//! of that command, and a fault counts only when a command is reached that it hits.

use super::Session;
use crate::{
    abi::{
        command::{
            Command,
            CommandReader,
            Parsed, //
        },
        ioctl::Span,
        name::{
            Cookie,
            Handle,
            NodeName, //
        },
        object::Strength,
        returns, //
    },
    observe::user_error,
    process::{
        looper,
        Death,
        Freeze,
        Node,
        RefChange,
        RefError, //
    },
    sys::user::Block, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::ordering::Relaxed,
        Arc, //
    }, //
};

/// Bytes fetched at a time: any command, and a `BC_FREE_BUFFER` beside a transaction.
const BLOCK: usize = 112;

/// The longest command: what has to be fetched even where the buffer is shorter.
const MIN_BLOCK: usize = size_of::<u32>() + size_of::<crate::abi::transaction::TransactionDataSg>();

/// Whether the loop goes on.
enum Flow {
    /// The command is done with, for good or ill.
    Next,
    /// The command failed in a way that the thread must read before it writes on.
    Stop,
}

impl Session<'_> {
    /// Carries out the commands in `span` and advances it over those done with.
    ///
    /// Follows `binder_thread_write()`.
    ///
    /// # Errors
    ///
    /// [`EFAULT`], [`EINVAL`] for what is no command or is not supported. What was done before
    /// stays done, and `span` says how far it went.
    pub fn write(&self, span: &mut Span) -> Result {
        if self.has_return_error() {
            return Ok(());
        }
        let mut block = Block::<BLOCK>::new();
        while span.left() > 0 {
            // A command is read whole even where the buffer ends within it, as in C.
            let wanted = span.left().clamp(MIN_BLOCK, BLOCK);
            let fetched = block.read(span.position() as u64, wanted);
            if fetched.is_empty() {
                return Err(EFAULT);
            }
            if let Flow::Stop = self.write_block(fetched, span)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Carries out the commands that start in `span` and are complete in `block`.
    fn write_block(&self, block: &[u8], span: &mut Span) -> Result<Flow> {
        let mut reader = CommandReader::new(block);
        let mut progress = false;
        while span.left() > 0 {
            match reader.next() {
                Parsed::Command { command, len, .. } => {
                    let flow = self.command(command)?;
                    span.advance(len);
                    progress = true;
                    if let Flow::Stop = flow {
                        return Ok(Flow::Stop);
                    }
                }
                Parsed::Unknown(code) => {
                    user_error!(self.process, "unknown command {code:#x}\n");
                    return Err(EINVAL);
                }
                // The next block starts with this command. If this one did already, it was short
                // because the memory behind it can't be read.
                Parsed::NeedMore { .. } if progress => return Ok(Flow::Next),
                Parsed::NeedMore { .. } => return Err(EFAULT),
                Parsed::End => return Ok(Flow::Next),
            }
        }
        Ok(Flow::Next)
    }

    /// Tells whether the thread has to read an error first.
    #[inline]
    fn has_return_error(&self) -> bool {
        self.process.attention.load(Relaxed) != 0
            && self
                .process
                .lock()
                .thread(self.thread)
                .is_some_and(|thread| thread.return_error)
    }

    fn command(&self, command: Command<'_>) -> Result<Flow> {
        match command {
            Command::Transaction(payload) => return Ok(self.transaction(&payload)),
            Command::Reply(payload) => return Ok(self.reply(&payload)),
            Command::FreeBuffer(address) => self.free_buffer(address),
            Command::IncRefs(handle) => self.add_count(handle, Strength::Weak)?,
            Command::Acquire(handle) => self.add_count(handle, Strength::Strong)?,
            Command::Release(handle) => self.drop_count(handle, Strength::Strong),
            Command::DecRefs(handle) => self.drop_count(handle, Strength::Weak),
            Command::IncRefsDone(name) => self.confirm_count(name, Strength::Weak),
            Command::AcquireDone(name) => self.confirm_count(name, Strength::Strong),
            Command::RegisterLooper => self.register_looper(),
            Command::EnterLooper => self.enter_looper(),
            Command::ExitLooper => self.set_looper(looper::EXITED),
            Command::RequestDeath(handle, cookie) => return Ok(self.request_death(handle, cookie)),
            Command::ClearDeath(handle, cookie) => self.clear_death(handle, cookie),
            Command::DeadBinderDone(cookie) => {
                if !Death::done(&self.process, self.thread, cookie) {
                    user_error!(
                        self.process,
                        "BC_DEAD_BINDER_DONE {:#x} not found\n",
                        cookie.0
                    );
                }
            }
            Command::AttemptAcquire | Command::AcquireResult => {
                user_error!(
                    self.process,
                    "BC_ATTEMPT_ACQUIRE and its result are not supported\n"
                );
                return Err(EINVAL);
            }
            Command::RequestFreeze(handle, cookie) => self.request_freeze(handle, cookie)?,
            Command::ClearFreeze(handle, cookie) => self.clear_freeze(handle, cookie)?,
            Command::FreezeDone(cookie) => {
                if !Freeze::done(&self.process, cookie) {
                    user_error!(
                        self.process,
                        "BC_FREEZE_NOTIFICATION_DONE {:#x} not found\n",
                        cookie.0
                    );
                    return Err(EINVAL);
                }
            }
        }
        Ok(Flow::Next)
    }

    fn transaction(&self, payload: &crate::abi::transaction::Payload<'_>) -> Flow {
        let sent = match payload.validate() {
            Ok(request) => self.send(&request),
            Err(_) => self.refuse(EINVAL.into()),
        };
        sent.map_or(Flow::Stop, |()| Flow::Next)
    }

    fn reply(&self, payload: &crate::abi::transaction::Payload<'_>) -> Flow {
        let sent = match payload.validate() {
            Ok(request) => self.send_reply(&request),
            Err(_) => self.refuse(EINVAL.into()),
        };
        sent.map_or(Flow::Stop, |()| Flow::Next)
    }

    /// `BC_INCREFS` and `BC_ACQUIRE`.
    fn add_count(&self, handle: Handle, strength: Strength) -> Result {
        let mut added = Err(RefError::NotFound);
        if handle == Handle::MANAGER {
            // Handle 0 comes into being by being counted.
            let manager = self.process.context.manager();
            if let Some(node) = &manager.node {
                if core::ptr::eq(&*node.owner, &*self.process) {
                    drop(manager);
                    user_error!(self.process, "the context manager counted handle 0\n");
                    return Err(EINVAL);
                }
                added = match self.process.add_reference(node, strength, None, true) {
                    Ok(Ok(got)) => {
                        if got != handle {
                            user_error!(self.process, "asked for handle 0, got {}\n", got.0);
                        }
                        Ok(())
                    }
                    Ok(Err(_)) => Err(RefError::NotStrong),
                    Err(error) => Err(error),
                };
            }
        }
        let changed = added.or_else(|_| {
            self.process
                .change_reference(handle, strength, RefChange::Increment)
        });
        if let Err(error) = changed {
            user_error!(
                self.process,
                "{strength:?} count of handle {} not raised: {error:?}\n",
                handle.0
            );
        }
        Ok(())
    }

    /// `BC_RELEASE` and `BC_DECREFS`.
    fn drop_count(&self, handle: Handle, strength: Strength) {
        let changed = self
            .process
            .change_reference(handle, strength, RefChange::Decrement);
        if let Err(error) = changed {
            user_error!(
                self.process,
                "{strength:?} count of handle {} not lowered: {error:?}\n",
                handle.0
            );
        }
    }

    /// `BC_INCREFS_DONE` and `BC_ACQUIRE_DONE`.
    fn confirm_count(&self, name: NodeName, strength: Strength) {
        let node = self.process.lock().node(name);
        let confirmed = match &node {
            Some(node) if node.name.cookie == name.cookie => Node::confirm(node, strength).is_ok(),
            _ => false,
        };
        if !confirmed {
            user_error!(
                self.process,
                "{strength:?} count of node {:#x} {:#x} confirmed, but not asked for\n",
                name.ptr,
                name.cookie
            );
        }
    }

    /// `BC_REGISTER_LOOPER`.
    fn register_looper(&self) {
        let mut guard = self.process.lock();
        let inner = &mut *guard;
        let requested = inner.requested_threads > 0;
        let Some(thread) = inner.thread(self.thread) else {
            return;
        };
        let entered = thread.looper & looper::ENTERED != 0;
        thread.looper |= looper::REGISTERED;
        if entered || !requested {
            thread.looper |= looper::INVALID;
            drop(guard);
            user_error!(self.process, "BC_REGISTER_LOOPER without being asked for\n");
            return;
        }
        inner.requested_threads = inner.requested_threads.saturating_sub(1);
        inner.started_threads = inner.started_threads.saturating_add(1);
    }

    /// `BC_ENTER_LOOPER`.
    fn enter_looper(&self) {
        let registered = match self.process.lock().thread(self.thread) {
            Some(thread) => {
                let registered = thread.looper & looper::REGISTERED != 0;
                thread.looper |= looper::ENTERED;
                if registered {
                    thread.looper |= looper::INVALID;
                }
                registered
            }
            None => false,
        };
        if registered {
            user_error!(self.process, "BC_ENTER_LOOPER after BC_REGISTER_LOOPER\n");
        }
    }

    fn set_looper(&self, bits: u32) {
        if let Some(thread) = self.process.lock().thread(self.thread) {
            thread.looper |= bits;
        }
    }

    /// `BC_REQUEST_DEATH_NOTIFICATION`.
    fn request_death(&self, handle: Handle, cookie: Cookie) -> Flow {
        let process = Arc::from(self.process);
        let requested = match Death::new(&process, cookie) {
            Ok(death) => self.process.request_death(handle, death),
            Err(_) => Err(RefError::NoMemory),
        };
        match requested {
            Ok(()) => Flow::Next,
            Err(RefError::NoMemory) => {
                self.push_return_error(returns::ERROR);
                Flow::Stop
            }
            Err(error) => {
                user_error!(
                    self.process,
                    "death notification for handle {} not requested: {error:?}\n",
                    handle.0
                );
                Flow::Next
            }
        }
    }

    /// `BC_CLEAR_DEATH_NOTIFICATION`.
    fn clear_death(&self, handle: Handle, cookie: Cookie) {
        if let Err(error) = self.process.clear_death(handle, cookie, self.thread) {
            user_error!(
                self.process,
                "death notification for handle {} not cleared: {error:?}\n",
                handle.0
            );
        }
    }

    /// `BC_REQUEST_FREEZE_NOTIFICATION`. Unlike those for deaths, requests that can't be met end the
    /// write.
    fn request_freeze(&self, handle: Handle, cookie: Cookie) -> Result {
        let process = Arc::from(self.process);
        let freeze = Freeze::new(&process, cookie)?;
        self.process
            .request_freeze(handle, freeze)
            .map_err(|error| {
                user_error!(
                    self.process,
                    "freeze notification for handle {} not requested: {error:?}\n",
                    handle.0
                );
                error.into()
            })
    }

    /// `BC_CLEAR_FREEZE_NOTIFICATION`.
    fn clear_freeze(&self, handle: Handle, cookie: Cookie) -> Result {
        self.process.clear_freeze(handle, cookie).map_err(|error| {
            user_error!(
                self.process,
                "freeze notification for handle {} not cleared: {error:?}\n",
                handle.0
            );
            error.into()
        })
    }
}

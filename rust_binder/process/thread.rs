// SPDX-License-Identifier: GPL-2.0

//! The state of one thread of a process.
//!
//! It lives in a table of its process and is guarded by `Process::inner`. Whoever refers to a thread
//! holds its [`ThreadKey`]; once the thread is gone the key finds nothing.

use super::{
    Call,
    Code,
    CodeSlot,
    Displaced,
    Frame,
    Message,
    Origin,
    Todo,
    Wakeup,
    Work, //
};
use crate::{
    abi::{
        ioctl::ExtendedError,
        returns, //
    },
    object::slab,
    observe::census::{
        self,
        Count, //
    },
    sys::{
        queue::{
            Item,
            Queued, //
        },
        sleep::{
            Sleeper,
            Wake, //
        }, //
    },
};
use core::mem::MaybeUninit;
use kernel::{
    fs::File,
    prelude::*,
    sync::{
        aref::ARef,
        poll::PollCondVarBox,
        Arc, //
    },
    task::Pid, //
};

/// Finds a [`ThreadState`] in its process.
pub type ThreadKey = slab::Key;

/// The bits of [`ThreadState::looper`], with the values that logs show.
pub mod looper {
    /// The thread said `BC_REGISTER_LOOPER`.
    pub const REGISTERED: u32 = 0x01;
    /// The thread said `BC_ENTER_LOOPER`.
    pub const ENTERED: u32 = 0x02;
    /// The thread said `BC_EXIT_LOOPER`.
    pub const EXITED: u32 = 0x04;
    /// It said so against the rules.
    pub const INVALID: u32 = 0x08;
    /// The thread is in the waiting part of a read.
    pub const WAITING: u32 = 0x10;
    /// The thread has polled the file.
    pub const POLL: u32 = 0x20;
}

/// A place in the list of idle threads.
#[derive(Clone, Copy, Default)]
pub struct IdleLinks {
    pub(super) listed: bool,
    pub(super) next: Option<ThreadKey>,
    pub(super) prev: Option<ThreadKey>,
}

/// One thread.
pub struct ThreadState {
    /// Its number in the initial pid namespace.
    pub pid: Pid,
    /// See [`looper`].
    pub looper: u32,
    /// Its next read returns even if there is nothing to read.
    pub need_return: bool,
    /// Something in `todo` is worth waking up for; a completion that only announces that a call is
    /// on its way is not.
    pub process_todo: bool,
    /// Its own command failed and the error was not read yet.
    pub return_error: bool,
    /// The call it waits for failed and the error was not read yet.
    pub reply_error: bool,
    /// What it is to read.
    pub todo: Todo,
    /// The calls it serves and waits for, innermost last.
    pub stack: KVVec<Frame>,
    /// What went wrong last.
    pub extended_error: ExtendedError,
    /// Present while it sleeps in a read.
    pub sleeper: Option<Sleeper>,
    /// Its place among the threads that wait for work of the process.
    pub(super) idle: IdleLinks,
    /// Present once it has polled.
    pub poll: Option<Arc<PollCondVarBox>>,
    /// Memory for a return error: it must be deliverable without allocating.
    return_error_slot: Option<CodeSlot>,
    /// Memory for a reply error.
    reply_error_slot: Option<CodeSlot>,
    /// Memory for its next message.
    pub spare_message: Option<KBox<MaybeUninit<Item<Message>>>>,
    /// Its last call, for which nobody waits any more, to become the next one. It has no parent: one
    /// would be kept for longer than it is needed.
    pub spare_call: Option<Arc<Call>>,
    /// What it is to be given back.
    pub displaced: Displaced,
    /// The process's file while an operation lasts that may have closed the descriptor it came by.
    pub(super) held_file: Option<ARef<File>>,
    _count: Count,
}

/// How deep a stack of calls can become before it is enlarged.
const STACK_DEPTH: usize = 4;

impl ThreadState {
    /// A thread that the driver has not seen before.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub fn new(pid: Pid) -> Result<Self> {
        let blank = Code {
            number: returns::OK,
            origin: Origin::Completion,
            debug_id: 0,
        };
        Ok(Self {
            pid,
            looper: 0,
            need_return: true,
            process_todo: false,
            return_error: false,
            reply_error: false,
            todo: Todo::new(),
            stack: KVVec::with_capacity(STACK_DEPTH, GFP_KERNEL_ACCOUNT)?,
            extended_error: ExtendedError {
                id: 0,
                command: returns::OK,
                param: 0,
            },
            sleeper: None,
            idle: IdleLinks::default(),
            poll: None,
            return_error_slot: Some(KBox::new(Item::new(blank), GFP_KERNEL_ACCOUNT)?),
            reply_error_slot: Some(KBox::new(Item::new(blank), GFP_KERNEL_ACCOUNT)?),
            spare_message: None,
            spare_call: None,
            displaced: Displaced::new(),
            held_file: None,
            _count: Count::new(census::Kind::Thread),
        })
    }

    /// Tells whether the thread may take work that was sent to its process.
    #[inline]
    pub fn is_available(&self) -> bool {
        self.stack.is_empty() && self.todo.is_empty()
    }

    /// Tells whether the thread has a reason of its own to leave its read.
    #[inline]
    pub fn is_called(&self) -> bool {
        self.process_todo || self.need_return
    }

    /// Tells whether the thread has offered itself as a looper.
    #[inline]
    pub fn is_looper(&self) -> bool {
        self.looper & (looper::REGISTERED | looper::ENTERED) != 0
    }

    /// Queues `item` for this thread and wakes it.
    #[inline]
    pub fn push<T: Queued<Work = Work>>(&mut self, item: T::Handle, how: Wake) -> Wakeup {
        self.todo.push::<T>(item);
        self.rouse(how)
    }

    /// Queues a code for this thread itself, which is running now.
    ///
    /// Returns the code if that takes memory and `slot` is empty.
    pub fn push_own(&mut self, code: Code, slot: &mut Option<CodeSlot>) -> Result<(), Code> {
        self.todo.push_code(code, slot)?;
        self.notify_own_poll();
        self.process_todo = true;
        Ok(())
    }

    /// The same, if it takes no memory.
    #[inline]
    pub fn push_own_first(&mut self, code: Code) -> bool {
        if !self.todo.push_first(code) {
            return false;
        }
        self.notify_own_poll();
        self.process_todo = true;
        true
    }

    /// Queues `item` for this thread itself, which is running now.
    pub fn push_own_item<T: Queued<Work = Work>>(&mut self, item: T::Handle) {
        self.todo.push::<T>(item);
        self.notify_own_poll();
        self.process_todo = true;
    }

    /// A thread that polls learns of its own work by being notified, like of that of others.
    fn notify_own_poll(&self) {
        if !self.process_todo {
            if let Some(poll) = &self.poll {
                poll.notify_sync();
            }
        }
    }

    /// Stops the thread's write until it has read that its command failed with `number`.
    pub fn push_return_error(&mut self, number: u32) {
        self.return_error = true;
        self.push_error(Code {
            number,
            origin: Origin::ReturnError,
            debug_id: 0,
        });
    }

    /// Tells the thread that the call it waits for failed; returns `None` if it has been told.
    pub fn push_reply_error(&mut self, number: u32) -> Option<Wakeup> {
        if self.reply_error {
            return None;
        }
        self.reply_error = true;
        self.push_error(Code {
            number,
            origin: Origin::ReplyError,
            debug_id: 0,
        });
        Some(self.rouse(Wake::Normal))
    }

    /// There is one slot for each origin, and each origin is queued at most once.
    fn push_error(&mut self, code: Code) {
        // The slot of an origin is full whenever its flag was not set, so this cannot fail.
        let _ = match code.origin {
            Origin::ReplyError => self.todo.push_code(code, &mut self.reply_error_slot),
            _ => self.todo.push_code(code, &mut self.return_error_slot),
        };
        self.notify_own_poll();
        self.process_todo = true;
    }

    /// Takes note that `code` was read; `slot` is the memory that it was queued with.
    #[inline]
    pub fn code_read(&mut self, code: Code, slot: Option<CodeSlot>) {
        match code.origin {
            Origin::Completion => {}
            Origin::ReturnError => {
                self.return_error = false;
                if slot.is_some() {
                    self.return_error_slot = slot;
                }
            }
            Origin::ReplyError => {
                self.reply_error = false;
                if slot.is_some() {
                    self.reply_error_slot = slot;
                }
            }
        }
    }

    /// Makes the thread look at its work.
    #[inline]
    pub fn rouse(&mut self, how: Wake) -> Wakeup {
        self.process_todo = true;
        if let Some(poll) = &self.poll {
            poll.notify_sync();
        }
        Wakeup::new(self.sleeper.take(), how)
    }

    /// Makes sure that one more call fits the stack.
    ///
    /// `false` if that takes more memory than `enlarged` has; it is to be an empty vector, and none
    /// where memory was not found necessary yet, because dropping even an empty one costs a call.
    #[inline]
    pub fn make_stack_room(&mut self, enlarged: &mut Option<KVVec<Frame>>) -> bool {
        if self.stack.len() < self.stack.capacity() {
            return true;
        }
        let Some(enlarged) = enlarged else {
            return false;
        };
        if enlarged.capacity() <= self.stack.len() {
            return false;
        }
        for frame in self.stack.drain_all() {
            // The new vector is larger than what the old one holds.
            let _ = enlarged.push_within_capacity(frame);
        }
        core::mem::swap(&mut self.stack, enlarged);
        true
    }

    /// Tells whether the outcome of `call` is what the thread waits for.
    #[inline]
    pub fn waits_for(&self, call: &Arc<Call>) -> bool {
        matches!(self.stack.last(), Some(Frame::Outgoing(own)) if Arc::ptr_eq(own, call))
    }

    /// Takes `call` off the stack if the thread waits for it.
    pub fn take_outgoing(&mut self, call: &Arc<Call>) -> Option<Frame> {
        let waits = |frame: &Frame| matches!(frame, Frame::Outgoing(own) if Arc::ptr_eq(own, call));
        if self.stack.last().is_some_and(waits) {
            return self.stack.pop();
        }
        let place = (0..self.stack.len())
            .rev()
            .find(|place| self.stack.get(*place).is_some_and(waits))?;
        self.stack.remove(place).ok()
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What waits to be read by a thread or a process.
//!
//! Guarded by the lock of the process that will read it.

use super::{
    Death,
    Freeze,
    Message,
    Node,
    Ticket, //
};
use crate::sys::queue::{
    Item,
    Queue,
    Queued, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// One thing to be read.
pub enum Work {
    /// A call, a oneway message or a reply.
    Message(KBox<Item<Message>>),
    /// A return of four bytes, and the memory that it was queued with, if any.
    Code(Code, Option<CodeSlot>),
    /// The reference counts of a node changed.
    Node(Arc<Item<Node>>, Ticket),
    /// A death notification, or the confirmation that one was cleared.
    Death(Arc<Item<Death>>),
    /// A notification of freezing or thawing, or the confirmation that the request was cleared.
    Freeze(Arc<Item<Freeze>>),
}

/// A return that consists of its number alone.
#[derive(Clone, Copy)]
pub struct Code {
    /// The `BR_*` number.
    pub number: u32,
    /// Why it is there.
    pub origin: Origin,
    /// The transaction that it is about.
    pub debug_id: u32,
}

/// Where a [`Code`] comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The thread sent something and it arrived.
    Completion,
    /// The thread's own command failed; while this is unread, it writes nothing.
    ReturnError,
    /// The call that the thread waits for failed.
    ReplyError,
}

impl Code {
    fn is_completion_of(&self, debug_id: u32) -> bool {
        self.origin == Origin::Completion && self.debug_id == debug_id
    }
}

impl Queued for Code {
    type Work = Work;
    type Handle = KBox<Item<Code>>;

    fn into_work(handle: Self::Handle) -> Work {
        Work::Code(**handle, Some(handle))
    }
}

/// An allocation with which a [`Code`] can be queued behind other work.
pub type CodeSlot = KBox<Item<Code>>;

/// The work of one thread.
///
/// Nearly always there is at most one `Code` at the head and one message behind it, so the head has
/// a place of its own, and queueing it neither allocates nor touches a list.
pub struct Todo {
    /// Read before `queue`.
    first: Option<Code>,
    queue: Queue<Work>,
}

impl Todo {
    /// Nothing to do.
    pub fn new() -> Self {
        Self {
            first: None,
            queue: Queue::new(),
        }
    }

    /// Tells whether nothing is there.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.first.is_none() && self.queue.is_empty()
    }

    /// Tells whether the next thing to be read is a message.
    #[inline]
    pub fn starts_with_message(&self) -> bool {
        self.first.is_none() && self.queue.front_is::<Message>()
    }

    /// Appends a code if that takes no memory, that is, if nothing else is there.
    #[inline]
    pub fn push_first(&mut self, code: Code) -> bool {
        if !self.is_empty() {
            return false;
        }
        self.first = Some(code);
        true
    }

    /// Takes back the completion of transaction `debug_id`, if it is still there. What is returned
    /// is memory to be freed.
    pub fn cancel_code(&mut self, debug_id: u32) -> Option<CodeSlot> {
        if self
            .first
            .is_some_and(|code| code.is_completion_of(debug_id))
        {
            self.first = None;
            return None;
        }
        self.queue
            .remove_first::<Code>(|code| code.is_completion_of(debug_id))
    }

    /// Turns the completion of transaction `debug_id`, if it is still there, into `number`.
    pub fn amend_code(&mut self, debug_id: u32, number: u32) {
        match &mut self.first {
            Some(code) if code.is_completion_of(debug_id) => code.number = number,
            _ => {
                let code = self
                    .queue
                    .remove_first::<Code>(|code| code.is_completion_of(debug_id));
                // It goes to the end. A call for this thread may have come meanwhile and is read
                // before it now, as in C, where such a code is queued after the message was sent.
                if let Some(mut code) = code {
                    code.number = number;
                    self.push::<Code>(code);
                }
            }
        }
    }

    /// Appends a code; `slot` is used if it must be.
    pub fn push_code(&mut self, code: Code, slot: &mut Option<CodeSlot>) -> Result<(), Code> {
        if self.push_first(code) {
            return Ok(());
        }
        let Some(mut slot) = slot.take() else {
            return Err(code);
        };
        **slot = code;
        self.push::<Code>(slot);
        Ok(())
    }

    /// Appends an item that is in no queue. Does nothing for one that is.
    #[inline]
    pub fn push<T: Queued<Work = Work>>(&mut self, item: T::Handle) {
        // An item in a queue will be read from there.
        drop(self.queue.push_back::<T>(item));
    }

    /// Takes out an item, wherever it stands.
    pub fn remove<T: Queued<Work = Work>>(&mut self, item: &Item<T>) -> Option<T::Handle> {
        self.queue.remove(item)
    }

    /// Takes out the work of some node.
    pub fn take_node(&mut self) -> Option<(Arc<Item<Node>>, Ticket)> {
        let node = self.queue.remove_first::<Node>(|_| true)?;
        let ticket = node.ticket();
        Some((node, ticket))
    }

    /// Takes the next thing to be read.
    #[inline]
    pub fn pop(&mut self) -> Option<Work> {
        if let Some(code) = self.first.take() {
            return Some(Work::Code(code, None));
        }
        self.queue.pop_front()
    }
}

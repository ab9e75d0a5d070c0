// SPDX-License-Identifier: GPL-2.0

//! Oneway messages to a node: the owner has one at a time, the others wait with the node.
//!
//! [`Oneways`] belongs to its node and is guarded by the node's lock. A message in it is owned by
//! it; the one that the owner has is in a queue of the owner, or in a buffer that it has not freed.

use super::{
    Message,
    Node,
    Work, //
};
use crate::sys::{
    queue::{
        Item,
        Queue, //
    },
    sleep::Wake, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// The oneway messages to a node.
pub(super) struct Oneways {
    /// One is with the owner, and the next must wait.
    busy: bool,
    /// Those that wait.
    waiting: Queue<Work>,
}

/// What becomes of a oneway message that was sent.
pub enum OnewayFate {
    /// The owner gets it in its turn.
    Queued,
    /// The owner is frozen: it gets it once it is thawed.
    Waits,
}

impl Oneways {
    pub(super) fn new() -> Self {
        Self {
            busy: false,
            waiting: Queue::new(),
        }
    }

    /// Takes the message, if one waits, whose place `message` takes.
    fn take_outdated(&mut self, message: &Message) -> Option<KBox<Item<Message>>> {
        if !message.is_update() {
            return None;
        }
        self.waiting
            .remove_first::<Message>(|waiting| message.updates(waiting))
    }

    /// Takes all that wait, when the owner is gone.
    pub(super) fn take_waiting(&mut self) -> Queue<Work> {
        core::mem::take(&mut self.waiting)
    }
}

impl Node {
    /// Hands a oneway message to the owner, behind those that the node has already.
    ///
    /// While the owner is frozen, an update takes the place of an equal message that waits, but goes
    /// to the end of the queue. The one that the owner has already is out of reach.
    ///
    /// Gives it back if the owner is gone.
    pub fn send_oneway(
        this: &Arc<Item<Node>>,
        message: KBox<Item<Message>>,
    ) -> Result<OnewayFate, KBox<Item<Message>>> {
        let outdated;
        let _wakeup;
        let mut inner = this.inner.lock();
        let mut owner = this.owner.lock();
        if owner.is_dead {
            drop(owner);
            drop(inner);
            return Err(message);
        }
        let fate = match owner.freezer.delays_oneway() {
            true => OnewayFate::Waits,
            false => OnewayFate::Queued,
        };
        owner.freezer.sent();
        if inner.oneways.busy {
            if matches!(fate, OnewayFate::Waits) {
                outdated = inner.oneways.take_outdated(&message);
                // Where one takes the place of another, no more are under way; nor less, for those
                // who wait.
                let _ = owner.freezer.settled(outdated.is_some().into());
            }
            drop(inner.oneways.waiting.push_back::<Message>(message));
            return Ok(fate);
        }
        inner.oneways.busy = true;
        _wakeup = owner.push::<Message>(message, Wake::Normal);
        Ok(fate)
    }

    /// The owner is done with a oneway message: it gets the next.
    pub fn next_oneway(this: &Arc<Item<Node>>) {
        let _wakeup;
        let mut inner = this.inner.lock();
        match inner.oneways.waiting.pop_front() {
            Some(Work::Message(message)) => {
                _wakeup = this.owner.lock().push::<Message>(message, Wake::Normal);
            }
            _ => inner.oneways.busy = false,
        }
    }
}

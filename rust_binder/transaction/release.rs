// SPDX-License-Identifier: GPL-2.0

//! The end of a buffer, a thread, a process.

use super::{
    priority::give_back,
    reply::{
        abandon,
        fail_call, //
    },
    Session, //
};
use crate::{
    abi::returns,
    buffer::TakeError,
    observe::user_error,
    process::{
        Attachments,
        Delivered,
        Frame,
        Message,
        Node,
        Process,
        ThreadKey,
        Work, //
    },
    sys::{
        files,
        queue::Queue, //
    },
};
use kernel::sync::{
    atomic::ordering::Relaxed,
    Arc, //
};

impl Session<'_> {
    /// `BC_FREE_BUFFER`. Follows `binder_free_buf()`.
    pub(super) fn free_buffer(&self, address: u64) {
        match self.process.space.take(address) {
            Ok(mut taken) => {
                let oneway = taken.entry().oneway;
                let delivered = taken.take_payload();
                if let (true, Some(target)) = (
                    oneway,
                    delivered.as_ref().and_then(|held| held.target.as_ref()),
                ) {
                    Node::next_oneway(target.node());
                }
                // What the buffer kept alive goes before its space does, and the node that it was
                // for before the objects in it, as in C.
                if let Some(Delivered {
                    target,
                    attachments,
                }) = delivered
                {
                    drop(target);
                    if let Some(attachments) = attachments {
                        self.close_listed(&attachments);
                        drop(attachments);
                    }
                }
                drop(taken);
            }
            Err(TakeError::NoMatch) => {
                user_error!(self.process, "BC_FREE_BUFFER of what is no buffer\n");
            }
            Err(TakeError::NotDelivered) => {
                user_error!(
                    self.process,
                    "BC_FREE_BUFFER of a buffer not received, or twice\n"
                );
            }
        }
    }

    /// Closes the files that came in lists, in the current process, whatever its numbers mean now.
    ///
    /// The binder file itself may be among them, and another process may close it at the same time: it is
    /// held until this operation is over. The thread goes back to user space as soon as it can, since
    /// the end of the files waits for that.
    fn close_listed(&self, attachments: &Attachments) {
        let Some(numbers) = &attachments.listed else {
            return;
        };
        self.process.require_return(self.thread, self.file.into());
        for number in numbers {
            files::close(*number);
        }
    }
}

/// Ends a thread. Follows `binder_thread_release()`.
///
/// The call that it serves fails. Calls that it made go on, and their replies find nobody.
pub fn release_thread(process: &Process, key: ThreadKey) {
    let mut unread = Queue::new();
    end_thread(process, key, &mut unread);
}

/// Ends a thread, and leaves the messages that it has not read.
fn end_thread(process: &Process, key: ThreadKey, unread: &mut Queue<Work>) {
    // While the thread can be found: one that sends a node takes its work out of other queues.
    while let Some((node, ticket)) = process.take_unread_node(key) {
        Node::forget_work(&node, ticket);
    }
    let Some(mut thread) = process.remove_thread(key) else {
        return;
    };
    let mut served = 0u32;
    for frame in &thread.stack {
        match frame {
            Frame::Incoming(..) => served = served.wrapping_add(1),
            Frame::Outgoing(call) => call.abandoned.store(true, Relaxed),
        }
    }
    process.settle(served);
    if let Some(home) = thread.displaced.go_home() {
        give_back(process, home);
    }
    if let Some(Frame::Incoming(call, _)) = thread.stack.last() {
        fail_call(call, returns::DEAD_REPLY, None);
    }
    while let Some(work) = thread.todo.pop() {
        give_up(process, work, unread);
    }
}

/// Gives up work that nobody is left to read. Who waits for it is told, but what a message carries
/// goes only with the message, which joins the `unread` ones.
fn give_up(process: &Process, work: Work, unread: &mut Queue<Work>) {
    match work {
        Work::Message(message) => {
            process.settle(1);
            abandon(&message, returns::DEAD_REPLY);
            // It has just left another queue.
            drop(unread.push_back::<Message>(message));
        }
        Work::Node(node, ticket) => Node::forget_work(&node, ticket),
        Work::Code(..) | Work::Death(_) | Work::Freeze(_) => {}
    }
}

/// Ends a process: its file is released. Follows `binder_deferred_release()`.
pub fn release_process(process: Arc<Process>) {
    let manager = {
        let mut manager = process.context.manager();
        manager
            .node
            .take_if(|node| Arc::ptr_eq(&node.owner, &process))
            .inspect(|node| node.resign_as_manager())
    };
    drop(manager);

    process.die();
    // Objects of messages that were not read end with the references, once all of those who watch
    // the nodes were told, as in C.
    let mut unread = Queue::new();
    loop {
        let thread = process.lock().any_thread();
        match thread {
            Some(key) => end_thread(&process, key, &mut unread),
            None => break,
        }
    }
    while let Some(node) = process.take_any_node() {
        let mut unsent = Node::owner_died(&node);
        while let Some(work) = unsent.pop_front() {
            give_up(&process, work, &mut unread);
        }
    }
    while process.drop_first_reference() {}
    while let Some(work) = process.take_any_work() {
        give_up(&process, work, &mut unread);
    }
    drop(unread);
    process.space.release();
    while let Some(mut taken) = process.space.take_any() {
        drop(taken.take_payload());
        drop(taken);
    }
    process.space.retire();
    process.free_tables();
}

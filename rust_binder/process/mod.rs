// SPDX-License-Identifier: GPL-2.0

//! Processes and what they share with one another.
//!
//! A [`Process`] is one open file of a binder device: its threads, its own nodes, its references to
//! the nodes of others, its receive space. This room holds the data and the locks that guard it:
//!
//! | lock                | guards                                                                  |
//! |---------------------|-------------------------------------------------------------------------|
//! | `Registry`          | the processes of the module (a mutex, taken alone), [`registry`]        |
//! | `Context::manager`  | the context manager (a mutex, outermost)                                |
//! | `Process::refs`     | the table of references, [`refs`]                                       |
//! | `Node::inner`       | counts, oneway queue and watchers of one node, [`node`]                 |
//! | `Process::inner`    | threads, stacks, queues, the tree of nodes, [`state`]; never two at once |
//! | `Death::state`      | how far a death notification is; innermost                              |
//! | `Freeze::state`     | how far a freeze notification is; innermost                             |
//!
//! They are taken in that order. Nothing here knows of system calls: what is done with the data,
//! command by command, is the business of the `transaction` room. The files of this room name one
//! another's types, since a process, its nodes and its calls refer to one another by nature; no file
//! of it imports from a room above.

mod call;
mod context;
mod death;
mod displaced;
mod freeze;
mod freezer;
mod hold;
mod idle;
mod message;
mod node;
mod oneway;
mod refs;
mod registry;
mod requests;
mod state;
mod thread;
mod thread_cache;
mod todo;
mod wakeup;
mod watch;

pub use self::{
    call::{
        Call,
        Caller,
        Frame, //
    },
    context::Context,
    death::Death,
    displaced::{
        own,
        Displaced,
        Home,
        Saved, //
    },
    freeze::Freeze,
    hold::Hold,
    message::{
        Attachments,
        Delivered,
        FileFixup,
        Kind,
        Message,
        Payload,
        Translated, //
    },
    node::{
        Node,
        Refused,
        Ticket, //
    },
    oneway::OnewayFate,
    refs::{
        RefChange,
        RefError, //
    },
    registry::Registry,
    state::{
        Inner,
        InnerGuard,
        Process, //
    },
    thread::{
        looper,
        ThreadKey,
        ThreadState, //
    },
    todo::{
        Code,
        CodeSlot,
        Origin,
        Todo,
        Work, //
    },
    wakeup::Wakeup,
    watch::Watcher,
};

use kernel::sync::atomic::{
    ordering::Relaxed,
    Atomic, //
};

static LAST_DEBUG_ID: Atomic<i32> = Atomic::new(0);

/// A number that names a transaction, node, reference or buffer in messages and errors.
#[inline]
pub fn next_debug_id() -> u32 {
    LAST_DEBUG_ID.fetch_add(1, Relaxed).wrapping_add(1) as u32
}

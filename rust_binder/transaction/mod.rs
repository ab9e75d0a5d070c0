// SPDX-License-Identifier: GPL-2.0

//! What threads do with one another: the commands they write and the returns they read.
//!
//! | file         | what                                                              |
//! |--------------|-------------------------------------------------------------------|
//! | [`mod@write`]| the loop over a thread's commands                                 |
//! | [`send`]     | calls and oneway messages, from the check to the queue            |
//! | [`reply`]    | replies, and the failure of a call                                |
//! | [`failure`]  | why a message can't be sent, and what user space is told          |
//! | [`build`]    | the receiver's buffer: data, offsets, objects, security context   |
//! | [`recipient`]| to whom a message goes                                            |
//! | [`translate`]| one object on its way from one process to another                 |
//! | [`scatter`]  | buffers, and lists of files in them, on their way                 |
//! | [`read`]     | waiting, and the loop over what a thread has to read              |
//! | [`deliver`]  | a message becomes a return and a buffer                           |
//! | [`priority`] | how urgent a thread is that serves, waits, or has replied          |
//! | [`release`]  | the end of a buffer, a thread, a process                          |
//!
//! This room has no data of its own. It locks what the `process` room holds, in the order that
//! is written there, and knows nothing of devices and system calls.

mod build;
mod deliver;
mod failure;
mod priority;
mod read;
mod recipient;
mod release;
mod reply;
mod scatter;
mod send;
mod translate;
mod write;

pub use self::{
    failure::Failure,
    release::{
        release_process,
        release_thread, //
    },
};

use crate::process::{
    Process,
    ThreadKey, //
};
use kernel::{
    fs::File,
    sync::ArcBorrow,
    task::CurrentTask, //
};

/// The thread that runs, in the process whose file it uses.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    /// The file by which the operation came.
    pub file: &'a File,
    /// The process.
    pub process: ArcBorrow<'a, Process>,
    /// The thread.
    pub thread: ThreadKey,
    /// Its task, which is the current one.
    pub task: &'a CurrentTask,
}

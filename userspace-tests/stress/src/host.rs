// SPDX-License-Identifier: GPL-2.0

//! What a thread's conversation asks of its process, and what it tells it.

use crate::books::Handle;
use crate::message::{Message, Parcel};
use crate::talk::Talk;
use binder_abi::{PtrCookie, TransactionData};
use nix::errno::Errno;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// What a thread's process does with what arrives.
pub trait Host: Sync {
    /// Serves a call. The answer is sent before the call's buffer is freed.
    fn serve(
        &'static self,
        talk: &mut Talk<'_>,
        call: &TransactionData,
        message: Message,
    ) -> Answer;
    /// One of `BR_INCREFS`, `BR_ACQUIRE`, `BR_RELEASE`, `BR_DECREFS`.
    fn count_node(&'static self, what: u32, node: PtrCookie);
    /// A binder died that this process asked about.
    fn binder_died(&'static self, talk: &mut Talk<'_>, cookie: u64);
    /// A request for a death notice is taken back.
    fn death_cleared(&'static self, cookie: u64);
    /// The driver asks for one more looper.
    fn spawn_looper(&'static self);
    /// Handles nobody uses any more.
    fn unused_handles(&'static self) -> Vec<u32>;
}

/// How a call is answered.
pub enum Answer {
    /// Send this, and let go of what it names once it is sent.
    Reply(Parcel, Luggage),
    /// The call was oneway.
    Nothing,
    /// Leave the thread.
    Vanish,
}

/// What a message names and so must not go away before it is sent.
#[derive(Default)]
pub struct Luggage {
    /// Files.
    pub files: Vec<OwnedFd>,
    /// Handles.
    pub handles: Vec<Arc<Handle>>,
}

/// How something sent ended.
#[derive(Debug)]
pub enum Outcome {
    /// Answered.
    Reply(Message),
    /// Sent; there will be no answer.
    Sent,
    /// The target is dead.
    Dead,
    /// It failed for this reason.
    Failed(Errno),
}

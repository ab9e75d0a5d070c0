// SPDX-License-Identifier: GPL-2.0

//! Synchronous calls in flight.
//!
//! A [`Call`] ties the caller, who waits, to the thread that serves it. It stands on the stack of the
//! caller as [`Frame::Outgoing`] from the moment it is sent, and on the stack of the server as
//! [`Frame::Incoming`] from the moment it is read, until the reply or a failure takes it off both.
//! It does not change during its life, but for a mark that its caller is gone, so it needs no lock; the stacks are guarded by the lock of
//! the process that they belong to.

use super::{
    Process,
    Saved,
    ThreadKey, //
};
use crate::{
    abi::transaction::TransactionFlags,
    observe::census::Count, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::Atomic,
        Arc,
        UniqueArc, //
    }, //
};

/// A thread that waits for a reply.
pub struct Caller {
    /// Its process.
    pub process: Arc<Process>,
    /// Where its state is found, if it still exists.
    pub thread: ThreadKey,
}

/// One synchronous call.
pub struct Call {
    /// Who waits.
    pub from: Caller,
    /// The flags of the call, by which the reply is judged.
    pub flags: TransactionFlags,
    /// The call that `from` was serving when it made this one.
    pub parent: Option<Arc<Call>>,
    /// The caller is gone.
    pub abandoned: Atomic<bool>,
    /// Makes it count.
    pub _count: Count,
}

impl Call {
    /// The call itself and those it is nested in, innermost first.
    pub fn chain(self: &Arc<Self>) -> impl Iterator<Item = &Arc<Call>> {
        core::iter::successors(Some(self), |call| call.parent.as_ref())
    }
}

impl Drop for Call {
    /// Frees the chain of parents one by one: nesting may be deep, the kernel's stack is not.
    fn drop(&mut self) {
        let mut next = self.parent.take();
        while let Some(call) = next {
            let sole: Option<Pin<UniqueArc<Call>>> = Arc::into_unique_or_drop(call);
            next = sole.and_then(|mut call| call.as_mut().get_mut().parent.take());
        }
    }
}

/// One level of a thread's stack of calls.
#[derive(Clone)]
pub enum Frame {
    /// The thread serves this call and owes its reply, upon which it gets back what it had.
    Incoming(Arc<Call>, Saved),
    /// The thread made this call and waits for its reply.
    Outgoing(Arc<Call>),
}

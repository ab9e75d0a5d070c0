// SPDX-License-Identifier: GPL-2.0

//! To whom a message goes.

use crate::{
    abi::transaction::TransactionFlags,
    process::{
        Call,
        Hold,
        Process, //
    },
};
use kernel::sync::Arc;

/// To whom a message goes.
pub(super) struct Recipient<'a> {
    /// The process.
    pub(super) process: &'a Arc<Process>,
    /// The node, unless it is a reply.
    pub(super) target: Option<Hold>,
    /// Files may be among the objects.
    pub(super) accepts_files: bool,
}

impl<'a> Recipient<'a> {
    /// The owner of a node, for a call or a oneway message.
    pub(super) fn node(process: &'a Arc<Process>, target: Hold) -> Self {
        Self {
            process,
            accepts_files: target.node().flags.accepts_fds(),
            target: Some(target),
        }
    }

    /// The caller, for a reply.
    pub(super) fn caller(call: &'a Arc<Call>) -> Self {
        Self {
            process: &call.from.process,
            target: None,
            accepts_files: call.flags.contains(TransactionFlags::ACCEPT_FDS),
        }
    }
}

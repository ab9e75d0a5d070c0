// SPDX-License-Identifier: GPL-2.0

//! The host of a connection that offers nothing: whatever arrives on it besides answers is a mistake.

use crate::host::{Answer, Host, Luggage};
use crate::message::{Message, Parcel};
use crate::talk::Talk;
use binder_abi::{PtrCookie, TransactionData};

/// See the module.
pub struct Side;

impl Host for Side {
    fn serve(
        &'static self,
        talk: &mut Talk<'_>,
        call: &TransactionData,
        message: Message,
    ) -> Answer {
        talk.line.violation(&format!(
            "a connection that offers nothing was called: {call:x?}"
        ));
        Answer::Reply(Parcel::answer(&message, 0, 0, 0), Luggage::default())
    }

    fn count_node(&'static self, what: u32, node: PtrCookie) {
        eprintln!("a connection without binders got {what:#x} for {node:x?}");
    }

    fn binder_died(&'static self, talk: &mut Talk<'_>, cookie: u64) {
        talk.line.violation(&format!(
            "a connection that asked for nothing was told of the death {cookie:#x}"
        ));
    }

    fn death_cleared(&'static self, cookie: u64) {
        eprintln!("a connection that asked for nothing has the request {cookie:#x} cleared");
    }

    fn spawn_looper(&'static self) {}

    fn unused_handles(&'static self) -> Vec<u32> {
        Vec::new()
    }
}

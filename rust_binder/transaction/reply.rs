// SPDX-License-Identifier: GPL-2.0

//! Replies, and the failure of a call.

use super::{
    recipient::Recipient,
    send::{
        completion,
        Announcement,
        Begun,
        Refused, //
    },
    Failure,
    Session, //
};
use crate::{
    abi::{
        returns,
        transaction::TransactionRequest, //
    },
    observe::user_error,
    process::{
        next_debug_id,
        Call,
        Frame,
        Kind,
        Message,
        Wakeup, //
    },
    sys::{
        queue::Item,
        sleep::Wake, //
    },
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

impl Session<'_> {
    /// Replies to the call that the thread serves.
    ///
    /// Follows `binder_transaction()` where `reply` is set. When there is a call but the reply
    /// can't be sent, it is the caller who is told why; the sender reads that it was sent.
    pub(super) fn send_reply(&self, request: &TransactionRequest) -> Result<(), Refused> {
        let debug_id = next_debug_id();
        let mut served = None;
        let begun = self.begin(debug_id, |thread| {
            let Some(Frame::Incoming(..)) = thread.stack.last() else {
                return Err(EPROTO.into());
            };
            served = thread.stack.pop();
            if request.offsets.len != 0 {
                return Ok(false);
            }
            Ok(thread.push_own_first(completion(debug_id)))
        });
        let (begun, call, saved) = match (begun, served) {
            (Ok(begun), Some(Frame::Incoming(call, saved))) => (begun, call, saved),
            (Err(failure), _) => return self.refuse_transaction(debug_id, failure),
            (Ok(_), _) => return self.refuse_transaction(debug_id, EPROTO.into()),
        };
        self.restore_priority(saved);
        let replied = self.reply_to(&call, debug_id, begun, request);
        self.process.answer_sent();
        replied
    }

    /// Replies to `call`, which the thread serves no longer.
    #[inline]
    fn reply_to(
        &self,
        call: &Arc<Call>,
        debug_id: u32,
        mut begun: Begun,
        request: &TransactionRequest,
    ) -> Result<(), Refused> {
        let sent = self
            .build(Recipient::caller(call), request)
            .and_then(|payload| {
                self.announce(debug_id, &begun, Announcement::Immediate)?;
                let message = self.message(&mut begun, request, Kind::Reply, payload)?;
                queue_reply(call, message)
            });
        let Err(failure) = sent else {
            return Ok(());
        };
        self.cancel(debug_id, None);
        // That the caller is gone counts more than whatever else was wrong: in C it is found first.
        let failure = match caller_state(call) {
            CallerState::Waits => failure,
            CallerState::Gone => Failure::Dead(None),
            CallerState::Strays => return self.refuse_transaction(debug_id, EPROTO.into()),
        };
        self.push_return_error(returns::TRANSACTION_COMPLETE);
        user_error!(
            self.process,
            "reply {debug_id} not sent: {:#x}, error {}\n",
            failure.code(),
            failure.param()
        );
        fail_call(call, failure.code(), Some((debug_id, failure.param())));
        Err(Refused)
    }
}

/// What the caller of a call is doing.
enum CallerState {
    /// It waits for the reply.
    Waits,
    /// It is gone.
    Gone,
    /// It is there, but the call is not what it waits for.
    Strays,
}

fn caller_state(call: &Arc<Call>) -> CallerState {
    match call.from.process.lock().thread(call.from.thread) {
        Some(thread) if thread.waits_for(call) => CallerState::Waits,
        Some(_) => CallerState::Strays,
        None => CallerState::Gone,
    }
}

/// Hands the reply to the caller and ends the call.
fn queue_reply(call: &Arc<Call>, message: KBox<Item<Message>>) -> Result<(), Failure> {
    let ended;
    let _wakeup: Wakeup;
    let mut inner = call.from.process.lock();
    match inner.thread(call.from.thread) {
        Some(thread) if thread.waits_for(call) => {
            let frame = thread.stack.pop();
            ended = match frame {
                // By the time of the caller's next call, `call` will have been dropped.
                Some(Frame::Outgoing(frame)) if frame.parent.is_none() => {
                    thread.spare_call.replace(frame).map(Frame::Outgoing)
                }
                frame => frame,
            };
            _wakeup = thread.push::<Message>(message, Wake::Sync);
            inner.freezer.sent();
            drop(inner);
            drop(ended);
            Ok(())
        }
        _ => {
            drop(inner);
            drop(message);
            Err(Failure::Dead(None))
        }
    }
}

/// Tells whoever waits for `call` that it failed with the `BR_*` in `number`.
///
/// If the caller is gone, whoever waits for the caller is told, and so on up the chain, as in
/// `binder_send_failed_reply()`. `error` is the id and errno for the extended error of the caller.
pub(super) fn fail_call(call: &Arc<Call>, number: u32, error: Option<(u32, i32)>) {
    let mut error = error;
    for call in call.chain() {
        let frame;
        let _wakeup;
        let mut inner = call.from.process.lock();
        let Some(thread) = inner.thread(call.from.thread) else {
            // Only the caller itself is told what went wrong.
            error = None;
            continue;
        };
        if let (Some((id, param)), true) = (error, thread.extended_error.command == returns::OK) {
            thread.extended_error.id = id;
            thread.extended_error.command = number;
            thread.extended_error.param = param;
        }
        frame = thread.take_outgoing(call);
        _wakeup = frame.as_ref().and_then(|_| thread.push_reply_error(number));
        drop(inner);
        return;
    }
}

/// A message will not be delivered: if it is a call, the caller is told `number`.
pub(super) fn abandon(message: &Message, number: u32) {
    if let Kind::Call(call) = &message.kind {
        fail_call(call, number, None);
    }
}

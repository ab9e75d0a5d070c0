// SPDX-License-Identifier: GPL-2.0

//! Steps that are done while something fails, and done again when they were refused for it.

use super::HIT;
use super::fault::{self, Want, during};
use anyhow::{Result, bail, ensure};
use binder_abi::*;
use harness::case::Skip;
use harness::{Bc, Br, Call, Cx, Delivery, Errno, Exchange, Outcome, Thread, Transactions};

/// Notes that something failed.
fn noted<T>(cx: &mut Cx, (outcome, hit): (T, bool)) -> (T, bool) {
    if hit {
        cx.note(HIT, true);
    }
    (outcome, hit)
}

/// A refusal must have its cause. One for a copy that failed ends the scene: the step may have been
/// done all the same.
fn justified(errno: Errno, hit: bool) -> Result<()> {
    ensure!(hit, "refused with {errno}, but nothing failed");
    match (fault::chosen(), errno) {
        (Want::Memory, Errno::ENOMEM) => Ok(()),
        // An object that cannot be read is malformed: `a6/object-fault`.
        (Want::Copies, Errno::EFAULT | Errno::EINVAL) => {
            Err(Skip("user space could not be reached".into()).into())
        }
        (want, _) => bail!("refused with {errno} for want of {want:?}"),
    }
}

/// A system call or an ioctl: works, or says what is short and works when it is repeated.
pub fn despite<T>(
    cx: &mut Cx,
    thread: &mut Thread,
    step: impl Fn(&mut Thread) -> Result<Result<T, Errno>>,
) -> Result<T> {
    match noted(cx, during(thread, &step)?) {
        (Ok(value), _) => Ok(value),
        (Err(errno), hit) => {
            justified(errno, hit)?;
            match step(thread)? {
                Ok(value) => Ok(value),
                Err(again) => bail!("refused with {errno}, and with {again} when repeated"),
            }
        }
    }
}

/// Commands other than messages: all are done, or the first is not and all are when repeated.
pub fn send_despite(cx: &mut Cx, thread: &mut Thread, command: &Bc) -> Result<()> {
    despite(cx, thread, |thread| {
        let outcome = thread.write(std::slice::from_ref(command))?;
        if let Err(errno) = outcome.result {
            ensure!(
                outcome.write_consumed == 0,
                "{errno}, but {} bytes consumed",
                outcome.write_consumed
            );
            return Ok(Err(errno));
        }
        ensure!(outcome.write_consumed == command.size(), "{outcome:?}");
        Ok(Ok(()))
    })
}

/// How a message came to be refused: by the call's own result, or by a return.
fn refusal(thread: &mut Thread, outcome: &Outcome) -> Result<Option<Errno>> {
    if let Err(errno) = outcome.result {
        return Ok(Some(errno));
    }
    let error = thread.extended_error()?;
    match error.command {
        BR_OK => Ok(None),
        BR_FAILED_REPLY => {
            let returns = thread.try_read()?;
            let last = returns.last().map(Br::code);
            ensure!(
                last == Some(BR_FAILED_REPLY),
                "the error says BR_FAILED_REPLY, the thread reads {returns:?}"
            );
            Ok(Some(Errno::from_raw(-error.param)))
        }
        other => bail!("refused with {}", harness::returns::name(other)),
    }
}

/// Sends a call: it is on its way, or refused for want of something and on its way when repeated.
pub fn call_despite(cx: &mut Cx, thread: &mut Thread, call: &Call) -> Result<()> {
    let command: Bc = call.clone().into();
    let (outcome, hit) = noted(
        cx,
        during(thread, |thread| {
            thread.write(std::slice::from_ref(&command))
        })?,
    );
    if let Some(errno) = refusal(thread, &outcome)? {
        justified(errno, hit)?;
        thread.send(std::slice::from_ref(&command))?;
        let error = thread.extended_error()?;
        ensure!(error.command == BR_OK, "refused when repeated: {error:?}");
    }
    Ok(())
}

/// Answers a call. The caller reads the answer, or why there is none: whoever answers is not told, as
/// the call is over for it either way.
pub fn reply_despite(
    cx: &mut Cx,
    thread: &mut Thread,
    caller: &mut Thread,
    reply: &Call,
) -> Result<()> {
    let command: Bc = reply.clone().into();
    let (outcome, hit) = noted(
        cx,
        during(thread, |thread| {
            thread.write(std::slice::from_ref(&command))
        })?,
    );
    if let Err(errno) = outcome.result {
        justified(errno, hit)?;
        bail!("a reply is refused with {errno}");
    }
    let error = thread.extended_error()?;
    ensure!(error.command == BR_OK, "{error:?}");
    // What it sent may be in use already.
    let read = thread.read()?;
    let last = read.last().map(Br::code);
    ensure!(last == Some(BR_TRANSACTION_COMPLETE), "{read:?}");
    let mut returns = caller.read()?;
    match returns.pop() {
        Some(Br::Delivery(reply)) => caller.free(&reply),
        Some(Br::Plain(BR_FAILED_REPLY)) => {
            let error = caller.extended_error()?;
            ensure!(error.command == BR_FAILED_REPLY, "{error:?}");
            justified(Errno::from_raw(-error.param), hit)
        }
        other => bail!("expected a reply, got {other:?}"),
    }
}

/// What a thread reads while something fails.
pub enum Read {
    /// A call or a reply, now or when it was asked for again.
    Delivery(Delivery),
    /// The message is lost; whoever sent it is to be told.
    Lost,
}

/// Takes a call or a reply that is there.
pub fn receive_despite(cx: &mut Cx, thread: &mut Thread) -> Result<Read> {
    let (outcome, hit) = noted(
        cx,
        during(thread, |thread| {
            thread.exchange(&Exchange::read().nonblocking())
        })?,
    );
    let mut returns = match outcome.result {
        Ok(()) => outcome.returns()?,
        Err(errno) => {
            justified(errno, hit)?;
            thread.try_read()?
        }
    };
    match returns.pop() {
        Some(Br::Delivery(delivery)) => Ok(Read::Delivery(delivery)),
        other => {
            ensure!(hit, "expected a message, got {other:?}");
            Ok(Read::Lost)
        }
    }
}

/// A step that may come out either way; says whether something failed.
pub fn watched<T>(
    cx: &mut Cx,
    thread: &mut Thread,
    step: impl FnOnce(&mut Thread) -> Result<T>,
) -> Result<(T, bool)> {
    Ok(noted(cx, during(thread, step)?))
}

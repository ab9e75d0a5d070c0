// SPDX-License-Identifier: GPL-2.0

//! Section A11: whether a process can be frozen while a call or a reply of its own, or a reply
//! for it, is being copied.

use super::inside::*;
use crate::cases::case;
use crate::fixtures::*;
use anyhow::Result;
use binder_abi::*;
use harness::{Call, Case, Cx, Errno, Missed, Transactions, check_eq};

pub const CASES: &[Case] = &[
    case(
        "a11/freeze-caller-during-call",
        "whether a process can be frozen whose call is being copied",
        freeze_caller_during_call,
    )
    .covers(&["A11.1"]),
    case(
        "a11/freeze-during-reply",
        "who is replying cannot be frozen before the reply is queued",
        freeze_during_reply,
    )
    .covers(&["A11.1"]),
    case(
        "a11/freeze-caller-during-reply",
        "who waits for a reply that is being copied cannot be frozen",
        freeze_caller,
    )
    .covers(&["A11.1"]),
];

/// C notes a call when it is copied, so the process is frozen and the call goes out all the same; the
/// Rust driver notes it before, so the process is busy.
fn freeze_caller_during_call(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = cx.client()?;
    let pid = client.pid();
    let trap = client.trap()?;
    let step = send_into(&mut client, &trap, caught_call(Call::to(0), &trap))?;
    let busy = cx.is_rust_driver();
    match busy {
        true => {
            check_eq!(other.freeze(pid)?, Err(Errno::EAGAIN));
            check_eq!(other.missed(pid)?, Ok(Missed::PENDING));
        }
        false => {
            check_eq!(other.missed(pid)?, Ok(Missed::NOTHING));
            check_eq!(other.freeze(pid)?, Ok(()));
        }
    }
    let_go(trap, step, b"sent out")?;
    let call = manager.receive()?;
    check_eq!(manager.data(&call)?, b"sent out");
    manager.answer(&call, Call::reply())?;
    check_eq!(client.receive()?.code, BR_REPLY);
    // Now it is idle; in C it still is frozen, and may be frozen again.
    check_eq!(other.freeze(pid)?, Ok(()));
    check_eq!(other.thaw(pid)?, Ok(()));
    Ok(())
}

fn freeze_during_reply(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    check_eq!(other.freeze(manager.pid())?, Err(Errno::EAGAIN));
    let trap = manager.trap()?;
    let pid = manager.pid();
    let step = send_into(&mut manager, &trap, caught_call(Call::reply(), &trap))?;
    check_eq!(other.freeze(pid)?, Err(Errno::EAGAIN));
    let_go(trap, step, b"replied.")?;
    complete(&mut manager)?;
    check_eq!(other.freeze(pid)?, Ok(()));
    manager.free(&call)?;
    check_eq!(client.receive()?.code, BR_REPLY);
    check_eq!(other.thaw(pid)?, Ok(()));
    Ok(())
}

fn freeze_caller(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    let trap = manager.trap()?;
    let step = send_into(&mut manager, &trap, caught_call(Call::reply(), &trap))?;
    check_eq!(other.freeze(client.pid())?, Err(Errno::EAGAIN));
    let_go(trap, step, b"replied.")?;
    complete(&mut manager)?;
    manager.free(&call)?;
    check_eq!(other.freeze(client.pid())?, Err(Errno::EAGAIN));
    let reply = client.receive()?;
    check_eq!(other.freeze(client.pid())?, Ok(()));
    client.free(&reply)
}

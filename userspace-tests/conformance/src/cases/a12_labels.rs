// SPDX-License-Identifier: GPL-2.0

//! Section A12: the label of the sender, for nodes that ask for it.
//!
//! Whether there is one depends on the kernel's security module, so each case says
//! what holds with and without: SELinux tells labels, even without a policy.
//! AppArmor and the kernel without a module refuse, each with an error of its own.

use super::case;
use crate::fixtures::*;
use anyhow::{Context, Result};
use binder_abi::*;
use harness::case::round_trip;
use harness::thread::PAGE;
use harness::{
    Call, Case, Cx, Delivery, Errno, Parcel, Process, Thread, Transactions, check, check_eq,
};
use std::fs;

pub const CASES: &[Case] = &[
    case(
        "a12/security-context",
        "a node that asks for it is told the sender's label",
        told,
    )
    .covers(&["A12.3"]),
    case(
        "a12/security-context-of-oneway",
        "oneway calls carry the label as well",
        told_of_oneway,
    )
    .covers(&["A12.3"]),
    case(
        "a12/security-context-of-manager",
        "the manager's node may ask as well",
        told_of_manager,
    ),
    case(
        "a12/security-context-refused",
        "without labels a call to a node that asks fails, and leaves nothing",
        refused,
    )
    .covers(&["A6.16"]),
    case(
        "a12/security-context-with-objects",
        "label, data and objects share the buffer",
        layout,
    ),
    case(
        "a12/security-context-size",
        "a size of buffers that overflows with the label: EINVAL",
        overflow,
    )
    .covers(&["A6.16"]),
    case(
        "a12/security-context-before-room",
        "the label is asked for before the room, and takes some of it",
        before_room,
    ),
    case(
        "a12/no-security-context",
        "other nodes are not told",
        other_nodes,
    )
    .covers(&["A12.3"]),
    case(
        "a12/no-security-context-in-reply",
        "a reply carries no label",
        no_reply,
    )
    .covers(&["A12.3"]),
];

/// Why calls that need a label are refused, if they are.
fn refusal() -> Result<Option<Errno>> {
    let modules = fs::read_to_string("/sys/kernel/security/lsm")
        .context("the list of security modules; is securityfs mounted?")?;
    let has = |name| modules.trim().split(',').any(|module| module == name);
    Ok(if has("selinux") {
        None
    } else if has("apparmor") {
        // Knows no label of credentials, and takes the answer for one.
        Some(Errno::EINVAL)
    } else {
        // Nobody has one.
        Some(Errno::EOPNOTSUPP)
    })
}

/// Who calls, who receives, and the nodes of the one that the other holds.
struct Pair {
    caller: Process,
    owner: Process,
    /// Asks for the label.
    asking: u32,
    /// Does not.
    plain: u32,
}

impl Pair {
    /// The owner has so much room to receive.
    fn new(cx: &Cx, size: u64) -> Result<Self> {
        let mut caller = cx.manager()?;
        let mut owner = cx.client_with_size(size)?;
        let flags = FLAT_BINDER_FLAG_TXN_SECURITY_CTX;
        Ok(Self {
            asking: give_node_with(&mut owner, &mut caller, NODE, flags)?,
            plain: give_node(&mut owner, &mut caller, OTHER)?,
            caller,
            owner,
        })
    }

    /// A call to the node that asks arrives with a label, or is refused for want of
    /// one: then nothing arrives.
    fn calls(&mut self, call: Call) -> Result<Option<Delivery>> {
        let Some(why) = refusal()? else {
            self.caller.send(&[call.into()])?;
            let call = self.owner.receive()?;
            check_eq!(call.code, BR_TRANSACTION_SEC_CTX);
            return Ok(Some(call));
        };
        fails(&mut self.caller, call, BR_FAILED_REPLY, Some(why))?;
        expect_nothing(&mut self.owner)?;
        Ok(None)
    }

    /// A call to the other node goes there and back, as large as the room.
    fn still_works(&mut self, size: u64) -> Result<()> {
        let call = Call::to(self.plain).data(&vec![1; size as usize]);
        round_trip(&mut self.caller, &mut self.owner, call, Call::reply()).map(drop)
    }
}

/// The label of a delivery: text up to a NUL inside the buffer.
fn label(owner: &mut Thread, call: &Delivery) -> Result<String> {
    let address = call.secctx.context("no label")?;
    check!(
        address >= call.data.buffer && address % 8 == 0,
        "label at {address:#x}"
    );
    let bytes = owner.peek(address, 32)?.context("label")?;
    let end = bytes.iter().position(|byte| *byte == 0).context("a NUL")?;
    let label = String::from_utf8(bytes[..end].to_vec())?;
    check!(!label.is_empty(), "an empty label");
    Ok(label)
}

fn told(cx: &mut Cx) -> Result<()> {
    let mut pair = Pair::new(cx, 4 * PAGE)?;
    let call = Call::to(pair.asking).data(b"12345");
    if let Some(call) = pair.calls(call)? {
        check_eq!(pair.owner.data(&call)?, b"12345");
        let label = label(&mut pair.owner, &call)?;
        cx.note("label", &label);
        pair.owner.answer(&call, Call::reply())?;
        complete(&mut pair.owner)?;
        pair.caller.receive()?;
    }
    pair.still_works(PAGE)
}

fn told_of_oneway(cx: &mut Cx) -> Result<()> {
    let mut pair = Pair::new(cx, 4 * PAGE)?;
    let call = Call::oneway(pair.asking).data(b"one");
    if let Some(call) = pair.calls(call)? {
        complete(&mut pair.caller)?;
        label(&mut pair.owner, &call)?;
        check_eq!(pair.owner.data(&call)?, b"one");
        check_eq!(call.data.sender_pid, 0);
    }
    Ok(())
}

fn told_of_manager(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_with(FlatObject {
        flags: FLAT_BINDER_FLAG_TXN_SECURITY_CTX,
        ..FlatObject::default()
    })?;
    let mut client = cx.client()?;
    match refusal()? {
        None => {
            let call = call_received(&mut client, &mut manager)?;
            check_eq!(call.code, BR_TRANSACTION_SEC_CTX);
            label(&mut manager, &call)?;
        }
        Some(why) => fails(&mut client, Call::to(0), BR_FAILED_REPLY, Some(why))?,
    }
    Ok(())
}

fn refused(cx: &mut Cx) -> Result<()> {
    let mut pair = Pair::new(cx, 4 * PAGE)?;
    let parcel = Parcel::new().binder(9, 9);
    if let Some(call) = pair.calls(Call::to(pair.asking).data(b"told"))? {
        return pair.owner.free(&call);
    }
    for _ in 0..3 {
        let call = Call::to(pair.asking).parcel(parcel.clone());
        pair.calls(call)?;
    }
    // Objects were not looked at, and no room was taken.
    let none = NodeDebugInfo::default();
    check_eq!(
        pair.caller.ioctl(BINDER_GET_NODE_DEBUG_INFO, none)?,
        Ok(none)
    );
    pair.still_works(4 * PAGE)
}

fn layout(cx: &mut Cx) -> Result<()> {
    let mut pair = Pair::new(cx, 4 * PAGE)?;
    let parcel = Parcel::new().bytes(b"data").binder(9, 9).bytes(b"end");
    let call = Call::oneway(pair.asking).parcel(parcel).buffers_size(16);
    if let Some(call) = pair.calls(call)? {
        let object = pair.owner.object(&call, 0)?;
        check_eq!(object.hdr.kind, BINDER_TYPE_HANDLE);
        label(&mut pair.owner, &call)?;
        let offset = call.secctx.context("label")? - call.data.buffer;
        // 31 bytes of data, 8 of offsets, 16 for buffers, each rounded.
        check_eq!(offset, 32 + 8 + 16);
        check_eq!(call.data.data_size, 31);
    }
    Ok(())
}

fn overflow(cx: &mut Cx) -> Result<()> {
    let mut pair = Pair::new(cx, 4 * PAGE)?;
    // The label takes eight bytes: the last size is too large, but a size.
    let sizes = [
        (u64::MAX, Errno::EINVAL),
        (!7, Errno::EINVAL),
        (!15, Errno::ENOSPC),
    ];
    for (size, why) in sizes {
        let why = refusal()?.unwrap_or(why);
        let call = Call::to(pair.asking).buffers_size(size);
        fails(&mut pair.caller, call, BR_FAILED_REPLY, Some(why))?;
    }
    pair.still_works(4 * PAGE)
}

fn before_room(cx: &mut Cx) -> Result<()> {
    let mut pair = Pair::new(cx, PAGE)?;
    let refusal = refusal()?;
    // No room at all, and as much as there is, which the label does not fit into.
    for size in [PAGE + 1, PAGE] {
        let call = Call::to(pair.asking).data(&vec![0; size as usize]);
        let why = refusal.unwrap_or(Errno::ENOSPC);
        fails(&mut pair.caller, call, BR_FAILED_REPLY, Some(why))?;
    }
    pair.still_works(PAGE)?;
    pair.owner.unmap()?;
    let call = Call::to(pair.asking);
    match refusal {
        Some(why) => fails(&mut pair.caller, call, BR_FAILED_REPLY, Some(why)),
        None => fails(&mut pair.caller, call, BR_DEAD_REPLY, Some(Errno::ESRCH)),
    }
}

fn other_nodes(cx: &mut Cx) -> Result<()> {
    let mut pair = Pair::new(cx, 4 * PAGE)?;
    pair.caller.send(&[Call::oneway(pair.plain).into()])?;
    complete(&mut pair.caller)?;
    let first = pair.owner.receive()?;
    check_eq!((first.code, first.secctx), (BR_TRANSACTION, None));
    pair.calls(Call::oneway(pair.asking)).map(drop)
}

fn no_reply(cx: &mut Cx) -> Result<()> {
    let mut pair = Pair::new(cx, 4 * PAGE)?;
    // The replier is the one whose node asks; so is, the other way, the caller.
    for handle in [pair.plain, pair.asking] {
        let call = Call::to(handle).data(b"c");
        let call = match handle == pair.asking {
            true => pair.calls(call)?,
            false => {
                pair.caller.send(&[call.into()])?;
                Some(pair.owner.receive()?)
            }
        };
        if let Some(call) = call {
            pair.owner.answer(&call, Call::reply().data(b"r"))?;
            complete(&mut pair.owner)?;
            let reply = pair.caller.receive()?;
            check_eq!((reply.code, reply.secctx), (BR_REPLY, None));
            pair.caller.free(&reply)?;
        }
    }
    Ok(())
}

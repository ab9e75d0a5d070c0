// SPDX-License-Identifier: GPL-2.0

//! Messages: sent, received, answered, replaced and given back.

use super::{pair, scene};
use crate::buffers;
use crate::fixtures::*;
use crate::freezing::{Listening, pending};
use crate::shortage::steps::*;
use anyhow::Result;
use binder_abi::*;
use harness::{Bc, Br, Call, Case, Cx, Parcel, Transactions, check, check_eq};

pub const ALL: &[Case] = &[
    scene("call-empty", "an empty call is sent", call_empty),
    scene("call-large", "a call of many pages is sent", call_large),
    scene("call-oneway", "a oneway call is sent", call_oneway),
    scene(
        "call-new-node",
        "a call with a new node is sent",
        call_new_node,
    ),
    scene(
        "call-weak-node",
        "a call with a weak node is sent",
        call_weak_node,
    ),
    scene("call-handle", "a call with a handle is sent", call_handle),
    scene(
        "call-weak-handle",
        "a call with a weak handle is sent",
        call_weak_handle,
    ),
    scene(
        "call-several-nodes",
        "a call with several nodes is sent",
        call_several,
    ),
    scene("call-file", "a call with a file is sent", call_file),
    scene(
        "call-buffers",
        "a call with nested buffers is sent",
        call_buffers,
    ),
    scene(
        "call-array",
        "a call with an array of files is sent",
        call_array,
    ),
    scene("call-nested", "calls that nest are sent", call_nested),
    scene("receive", "a call is received", receive),
    scene(
        "receive-file",
        "a call with a file is received",
        receive_file,
    ),
    scene(
        "receive-array",
        "a call with an array of files is received",
        receive_array,
    ),
    scene("reply", "a call is answered", reply),
    scene("reply-node", "a call is answered with a node", reply_node),
    scene("reply-file", "a call is answered with a file", reply_file),
    scene("receive-reply", "a reply is received", receive_reply),
    scene("free-buffer", "a buffer is given back", free_buffer),
    scene(
        "update",
        "a oneway call takes the place of one before it",
        update,
    ),
];

/// A call is sent and answered.
fn call(cx: &mut Cx, call: &Call) -> Result<()> {
    let (mut manager, mut client) = pair(cx)?;
    call_despite(cx, &mut client, call)?;
    let delivery = manager.receive()?;
    manager.answer(&delivery, Call::reply())?;
    let reply = loop {
        match client.read()?.pop() {
            Some(Br::Delivery(reply)) => break reply,
            Some(Br::Node(..)) => {}
            other => anyhow::bail!("expected a reply, got {other:?}"),
        }
    };
    client.free(&reply)
}

fn call_empty(cx: &mut Cx) -> Result<()> {
    call(cx, &Call::to(0))
}

fn call_large(cx: &mut Cx) -> Result<()> {
    call(cx, &Call::to(0).data(&[7; 5 * 4096]))
}

fn call_oneway(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client) = pair(cx)?;
    call_despite(cx, &mut client, &Call::oneway(0).data(b"one way"))?;
    let delivery = manager.receive()?;
    check_eq!(manager.data(&delivery)?, b"one way");
    manager.free(&delivery)
}

fn call_new_node(cx: &mut Cx) -> Result<()> {
    call(
        cx,
        &Call::to(0).parcel(Parcel::new().binder(NODE.0, NODE.1)),
    )
}

fn call_weak_node(cx: &mut Cx) -> Result<()> {
    call(
        cx,
        &Call::to(0).parcel(Parcel::new().weak_binder(NODE.0, NODE.1)),
    )
}

fn call_several(cx: &mut Cx) -> Result<()> {
    let parcel = (0..5).fold(Parcel::new(), |parcel, n| parcel.binder(0x1000 + n * 16, 1));
    call(cx, &Call::to(0).parcel(parcel))
}

/// A node whose owner gave it to the manager.
fn with_handle(cx: &mut Cx, parcel: fn(u32) -> Parcel) -> Result<()> {
    let (mut manager, mut owner) = pair(cx)?;
    let mut receiver = cx.client()?;
    let first = give_node(&mut owner, &mut manager, NODE)?;
    // The receiver offers a node, so that it can be called.
    let target = give_node(&mut receiver, &mut manager, OTHER)?;
    call_despite(
        cx,
        &mut manager,
        &Call::oneway(target).parcel(parcel(first)),
    )?;
    let delivery = receiver.receive()?;
    check!(receiver.object(&delivery, 0)?.handle() != 0);
    receiver.free(&delivery)
}

fn call_handle(cx: &mut Cx) -> Result<()> {
    with_handle(cx, |handle| Parcel::new().handle(handle))
}

fn call_weak_handle(cx: &mut Cx) -> Result<()> {
    with_handle(cx, |handle| Parcel::new().weak_handle(handle))
}

fn call_file(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client) = pair(cx)?;
    let (_, write) = pipe(&mut client)?;
    let parcel = Parcel::new().fd(write, 0).fd(write, 1);
    call_despite(cx, &mut client, &Call::to(0).parcel(parcel))?;
    let delivery = manager.receive()?;
    manager.free(&delivery)
}

fn call_buffers(cx: &mut Cx) -> Result<()> {
    let members = [None, Some((0, 0)), Some((1, 8)), Some((0, 16))];
    let (mut manager, mut client) = pair(cx)?;
    let family = Call::oneway(0).parcel(buffers::family(&members));
    let room = buffers::room_for(&members);
    call_despite(cx, &mut client, &family.buffers_size(room))?;
    let delivery = manager.receive()?;
    buffers::related(&mut manager, &delivery, &members)?;
    manager.free(&delivery)
}

fn call_array(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client) = pair(cx)?;
    let (_, write) = pipe(&mut client)?;
    let array = buffers::with_array(Call::to(0), &[write, 0, 1]);
    call_despite(cx, &mut client, &array)?;
    let delivery = manager.receive()?;
    manager.free(&delivery)
}

/// Two processes call one another in turn, until their stacks have to grow.
fn call_nested(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client) = pair(cx)?;
    client.send(&[Call::to(0)
        .parcel(Parcel::new().binder(NODE.0, NODE.1))
        .into()])?;
    let delivery = manager.receive()?;
    let back = manager.object(&delivery, 0)?.handle();
    manager.send(&[Bc::Acquire(back)])?;
    for _ in 0..6 {
        call_despite(cx, &mut manager, &Call::to(back))?;
        let returns = client.read()?;
        client.acknowledge(&returns)?;
        match receive_if_missing(&mut client, returns)? {
            Br::Delivery(_) => {}
            other => anyhow::bail!("expected a nested call, got {other:?}"),
        }
        call_despite(cx, &mut client, &Call::to(0))?;
        manager.receive()?;
    }
    Ok(())
}

/// The last return, or the next if that asks for a count only.
fn receive_if_missing(thread: &mut harness::Thread, mut returns: Vec<Br>) -> Result<Br> {
    loop {
        match returns.pop() {
            Some(Br::Delivery(delivery)) => return Ok(Br::Delivery(delivery)),
            _ => returns = thread.read()?,
        }
    }
}

/// After a message was lost its sender knows, and can send another.
fn again_if_lost(
    sender: &mut harness::Thread,
    receiver: &mut harness::Thread,
    read: Read,
) -> Result<()> {
    if let Read::Lost = read {
        expect(sender, &[BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY])?;
        sender.send(&[Call::to(0).into()])?;
        receiver.receive()?;
    }
    Ok(())
}

fn receive(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client) = pair(cx)?;
    client.send(&[Call::to(0).data(b"some").into()])?;
    let read = receive_despite(cx, &mut manager)?;
    again_if_lost(&mut client, &mut manager, read)
}

fn receive_file(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client) = pair(cx)?;
    let (_, write) = pipe(&mut client)?;
    client.send(&[Call::to(0)
        .parcel(Parcel::new().fd(write, 0).fd(write, 1))
        .into()])?;
    let read = receive_despite(cx, &mut manager)?;
    again_if_lost(&mut client, &mut manager, read)
}

fn receive_array(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client) = pair(cx)?;
    let (_, write) = pipe(&mut client)?;
    client.send(&[buffers::with_array(Call::to(0), &[write, 0, 1]).into()])?;
    let first = next_fd(&mut manager)?;
    let read = receive_despite(cx, &mut manager)?;
    if let Read::Lost = read {
        // None of the files came.
        check_eq!(next_fd(&mut manager)?, first);
    }
    again_if_lost(&mut client, &mut manager, read)
}

/// A call is answered, or the caller is told why it cannot be.
fn answered(cx: &mut Cx, reply: &Call) -> Result<()> {
    let (mut manager, mut client) = pair(cx)?;
    client.send(&[Call::to(0).flags(TF_ACCEPT_FDS).into()])?;
    manager.receive()?;
    reply_despite(cx, &mut manager, &mut client, reply)?;
    // Both can go on.
    let delivery = call_received(&mut client, &mut manager)?;
    manager.free(&delivery)
}

fn reply(cx: &mut Cx) -> Result<()> {
    answered(cx, &Call::reply().data(&[1; 4096]))
}

fn reply_node(cx: &mut Cx) -> Result<()> {
    answered(
        cx,
        &Call::reply().parcel(Parcel::new().binder(NODE.0, NODE.1)),
    )
}

fn reply_file(cx: &mut Cx) -> Result<()> {
    answered(cx, &Call::reply().parcel(Parcel::new().fd(0, 0)))
}

fn receive_reply(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client) = pair(cx)?;
    let delivery = call_received(&mut client, &mut manager)?;
    manager.answer(&delivery, Call::reply().data(b"some"))?;
    complete(&mut manager)?;
    match receive_despite(cx, &mut client)? {
        Read::Delivery(reply) => client.free(&reply),
        Read::Lost => Ok(()),
    }
}

fn free_buffer(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client) = pair(cx)?;
    client.send(&[Call::oneway(0)
        .parcel(Parcel::new().binder(NODE.0, NODE.1))
        .into()])?;
    let delivery = manager.receive()?;
    send_despite(cx, &mut manager, &Bc::FreeBuffer(delivery.data.buffer))
}

/// Behind a first call that the process has yet to read, one update takes the other's place.
fn update(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    all.freeze()?;
    let update = |content| {
        let call = Call::oneway(all.handle).flags(TF_UPDATE_TXN);
        call.data(&[content; 64])
    };
    all.holder.send(&[Call::oneway(all.handle).into()])?;
    pending(&mut all.holder)?;
    all.holder.send(&[update(1).into()])?;
    pending(&mut all.holder)?;
    call_despite(cx, &mut all.holder, &update(2))?;
    all.thaw()?;
    let head = all.owner.receive()?;
    all.owner.free(&head)?;
    let last = all.owner.receive()?;
    check_eq!(all.owner.data(&last)?, [2; 64]);
    all.owner.free(&last)?;
    expect_nothing(&mut all.owner)
}

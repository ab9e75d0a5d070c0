// SPDX-License-Identifier: GPL-2.0

//! Section A7: objects of a transaction that is being put together or read, while
//! others use, send, drop or close the same ones.

use super::inside::*;
use crate::cases::case;
use crate::fixtures::*;
use anyhow::Result;
use binder_abi::*;
use harness::returns::Br;
use harness::{
    Bc, Call, Case, Cx, Delivery, Errno, Parcel, Process, Thread, Transactions, check, check_eq,
    check_returns,
};

pub const CASES: &[Case] = &[
    case(
        "a7/file-closed-during-copy",
        "a file arrives though its sender closes it once it was looked up",
        file_closed,
    )
    .covers(&["A7.3"]),
    case(
        "a7/file-closed-before-copy",
        "a file that is closed before it is looked up is not there",
        file_closed_before,
    )
    .covers(&["A6.25"]),
    case(
        "a7/file-replaced-during-copy",
        "the file that arrives is the one that had the number when it was looked up",
        file_replaced,
    ),
    case(
        "a7/file-let-go-by-failure",
        "the files of a call that fails late are closed",
        file_let_go,
    ),
    case(
        "a7/file-closed-while-read",
        "the receiver can close a file before it has read that it got it",
        file_closed_while_read,
    )
    .covers(&["A7.3"]),
    case(
        "a7/file-of-failed-read",
        "what becomes of a file when the read that brings it fails",
        file_of_failed_read,
    )
    .covers(&["A8.8"]),
    case(
        "a7/node-sent-twice-at-once",
        "a node that two threads send at once is one node, told once",
        node_sent_twice,
    )
    .covers(&["A10.1"]),
    case(
        "a7/node-of-failed-call-in-use",
        "a node whose first call fails stays if another thread sent it meanwhile",
        node_of_failed_call,
    ),
    case(
        "a7/node-resent-before-dropped",
        "a node that is being sent survives the end of its last reference",
        resent_before_dropped,
    )
    .covers(&["A10.2"]),
    case(
        "a7/node-resent-after-dropped",
        "a node that went before it was looked up is made anew",
        resent_after_dropped,
    )
    .covers(&["A10.2"]),
    case(
        "a7/handle-dropped-after-lookup",
        "a handle arrives though its sender drops it once it was looked up",
        handle_dropped_after,
    )
    .covers(&["A7.2"]),
    case(
        "a7/handle-dropped-before-lookup",
        "a handle that is dropped before it is looked up is not there",
        handle_dropped_before,
    )
    .covers(&["A6.24"]),
    case(
        "a7/handle-to-owner-during-copy",
        "a node on its way home survives that nobody else has it any more",
        handle_to_owner,
    ),
    case(
        "a7/receiver-drops-during-copy",
        "a receiver that drops its handle to what is on its way gets it again",
        receiver_drops,
    )
    .covers(&["A7.1"]),
];

/// The number of the file that a delivery brings.
fn file_in(thread: &mut Thread, delivery: &Delivery) -> Result<i32> {
    let object = thread.object(delivery, 0)?;
    check_eq!(object.hdr.kind, BINDER_TYPE_FD);
    Ok(object.handle() as i32)
}

fn file_closed(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let mut other = client.spawn_thread()?;
    let (read, write) = pipe(&mut client)?;
    let trap = client.trap()?;
    let parcel = Parcel::new().fd(write, 0);
    let call = caught_behind(&mut client, &trap, Call::oneway(0), &parcel)?;
    let step = send_into(&mut client, &trap, call)?;
    close(&mut other, write)?;
    let_go(trap, step, b"........")?;
    let call = manager.receive()?;
    let received = file_in(&mut manager, &call)?;
    check_eq!(put_byte(&mut manager, received, 9)?, Ok(1));
    check_eq!(get_byte(&mut client, read)?, Some(9));
    close(&mut manager, received)?;
    check_eq!(get_byte(&mut client, read)?, None);
    Ok(())
}

fn file_closed_before(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let mut other = client.spawn_thread()?;
    let (_, write) = pipe(&mut client)?;
    let trap = client.trap()?;
    let parcel = Parcel::new().bytes(&[0; 8]).fd(write, 0);
    let call = caught_before(&mut client, &trap, Call::oneway(0), &parcel)?;
    let step = send_into(&mut client, &trap, call)?;
    close(&mut other, write)?;
    let_go(trap, step, &parcel.data)?;
    expect(&mut client, &[BR_NOOP, BR_FAILED_REPLY])?;
    check_eq!(
        error_of(&mut client)?,
        (BR_FAILED_REPLY, param(Some(Errno::EBADF)))
    );
    expect_nothing(&mut manager)
}

fn file_replaced(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let mut other = client.spawn_thread()?;
    let (read, write) = pipe(&mut client)?;
    let (read_other, write_other) = pipe(&mut client)?;
    let trap = client.trap()?;
    let parcel = Parcel::new().fd(write, 0);
    let call = caught_behind(&mut client, &trap, Call::oneway(0), &parcel)?;
    let step = send_into(&mut client, &trap, call)?;
    other.must(libc::SYS_dup2, &[write_other as u64, write as u64])?;
    close(&mut other, write_other)?;
    let_go(trap, step, b"........")?;
    let call = manager.receive()?;
    let received = file_in(&mut manager, &call)?;
    check_eq!(put_byte(&mut manager, received, 1)?, Ok(1));
    check_eq!(get_byte(&mut client, read)?, Some(1));
    check_eq!(put_byte(&mut client, write, 2)?, Ok(1));
    check_eq!(get_byte(&mut client, read_other)?, Some(2));
    Ok(())
}

fn file_let_go(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let mut other = client.spawn_thread()?;
    let (read, write) = pipe(&mut client)?;
    let room = next_fd(&mut manager)?;
    let trap = client.trap()?;
    let parcel = Parcel::new().fd(write, 0);
    let call = caught_behind(&mut client, &trap, Call::to(0), &parcel)?;
    let step = send_into(&mut client, &trap, call)?;
    close(&mut other, write)?;
    let_fail(trap, step)?;
    expect(&mut client, &[BR_NOOP, BR_FAILED_REPLY])?;
    check_eq!(get_byte(&mut client, read)?, None);
    check_eq!(next_fd(&mut manager)?, room);
    Ok(())
}

fn file_closed_while_read(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut other = another(&mut manager)?;
    let mut client = cx.client()?;
    let (read, write) = pipe(&mut client)?;
    client.send(&[Call::oneway(0).parcel(Parcel::new().fd(write, 0)).into()])?;
    close(&mut client, write)?;
    let trap = manager.trap()?;
    let expected = next_fd(&mut manager)?;
    let at = read_at(&trap);
    let step = read_into(&mut manager, &trap)?;
    // It has its number already.
    close(&mut other, expected)?;
    check_eq!(get_byte(&mut client, read)?, None);
    let consumed = let_read(trap, step)?;
    let returns = returns_at(&mut manager, at, consumed)?;
    check_returns!(returns, [BR_NOOP, BR_TRANSACTION]);
    let Some(Br::Delivery(call)) = returns.last() else {
        anyhow::bail!("{returns:?}");
    };
    check_eq!(file_in(&mut manager, call)?, expected);
    manager.free(call)
}

fn file_of_failed_read(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut other = another(&mut manager)?;
    let mut client = cx.client()?;
    let (read, write) = pipe(&mut client)?;
    client.send(&[Call::to(0).parcel(Parcel::new().fd(write, 0)).into()])?;
    let trap = manager.trap()?;
    let expected = next_fd(&mut manager)?;
    let step = read_into(&mut manager, &trap)?;
    // The number may mean something else by the time that the read fails.
    let (mine, _) = pipe(&mut other)?;
    other.must(libc::SYS_dup2, &[mine as u64, expected as u64])?;
    close(&mut client, write)?;
    check_eq!(get_byte(&mut client, read)?, None);
    trap.spoil()?;
    check_eq!(step.outcome()?.result, Err(Errno::EFAULT));
    let closed = other.syscall(libc::SYS_fcntl, &[expected as u64, libc::F_GETFD as u64])?;
    check!(closed.is_ok(), "a descriptor of the receiver's was closed");
    expect(
        &mut client,
        &[BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY],
    )
}

fn node_sent_twice(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = another(&mut client)?;
    let trap = client.trap()?;
    let parcel = Parcel::new().binder(NODE.0, NODE.1);
    let call = caught_behind(&mut client, &trap, Call::oneway(0), &parcel)?;
    let step = send_into(&mut client, &trap, call)?;
    other.send(&[Call::oneway(0).parcel(parcel).into()])?;
    let second = manager.receive()?;
    let_go(trap, step, b"........")?;
    let handle = manager.object(&second, 0)?.handle();
    manager.send(&[Bc::Acquire(handle), Bc::FreeBuffer(second.data.buffer)])?;
    let first = manager.receive()?;
    check_eq!(manager.object(&first, 0)?.handle(), handle);
    // Who is told is not said; both together are told once.
    let mut told = all_of(&mut other)?;
    told.extend(all_of(&mut client)?);
    let count = |code| told.iter().filter(|r| r.code() == code).count();
    check_eq!(
        [BR_INCREFS, BR_ACQUIRE, BR_TRANSACTION_COMPLETE].map(count),
        [1, 1, 2],
        "{told:?}"
    );
    client.acknowledge(&told)?;
    manager.free(&first)?;
    manager.send(&[Bc::Release(handle)])?;
    expect(&mut client, &[BR_NOOP, BR_RELEASE, BR_DECREFS])
}

/// Everything that there is to read.
fn all_of(thread: &mut Thread) -> Result<Vec<Br>> {
    let mut all = Vec::new();
    loop {
        let returns = thread.try_read()?;
        if returns.is_empty() {
            return Ok(all);
        }
        all.extend(returns);
    }
}

fn node_of_failed_call(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = another(&mut client)?;
    let trap = client.trap()?;
    let parcel = Parcel::new().binder(NODE.0, NODE.1);
    let call = caught_behind(&mut client, &trap, Call::oneway(0), &parcel)?;
    let step = send_into(&mut client, &trap, call)?;
    other.send(&[Call::oneway(0).parcel(parcel).into()])?;
    let_fail(trap, step)?;
    let call = manager.receive()?;
    let handle = manager.object(&call, 0)?.handle();
    manager.send(&[Bc::Acquire(handle), Bc::FreeBuffer(call.data.buffer)])?;
    let mut told = all_of(&mut client)?;
    told.extend(all_of(&mut other)?);
    let count = |code| told.iter().filter(|r| r.code() == code).count();
    check_eq!(
        [BR_INCREFS, BR_ACQUIRE, BR_FAILED_REPLY].map(count),
        [1, 1, 1],
        "{told:?}"
    );
    client.acknowledge(&told)?;
    manager.send(&[Call::oneway(handle).into()])?;
    let call = client.receive()?;
    check_eq!((call.data.target, call.data.cookie), NODE);
    Ok(())
}

/// A manager with the only reference to a client's node, which the client knows of.
fn last_reference(cx: &Cx) -> Result<(Process, Process, u32)> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let handle = give_node(&mut client, &mut manager, NODE)?;
    Ok((manager, client, handle))
}

fn resent_before_dropped(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client, handle) = last_reference(cx)?;
    let mut other = another(&mut client)?;
    let trap = client.trap()?;
    let parcel = Parcel::new().binder(NODE.0, NODE.1);
    let call = caught_behind(&mut client, &trap, Call::oneway(0), &parcel)?;
    let step = send_into(&mut client, &trap, call)?;
    manager.send(&[Bc::Release(handle)])?;
    expect_nothing(&mut other)?;
    let_go(trap, step, b"........")?;
    complete(&mut client)?;
    let call = manager.receive()?;
    check_eq!(manager.object(&call, 0)?.handle(), handle);
    manager.free(&call)?;
    expect(&mut client, &[BR_NOOP, BR_RELEASE, BR_DECREFS])
}

fn resent_after_dropped(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut client, handle) = last_reference(cx)?;
    let mut other = another(&mut client)?;
    let trap = client.trap()?;
    let parcel = Parcel::new().bytes(&[0; 8]).binder(NODE.0, NODE.1);
    let call = caught_before(&mut client, &trap, Call::oneway(0), &parcel)?;
    let step = send_into(&mut client, &trap, call)?;
    manager.send(&[Bc::Release(handle)])?;
    expect(&mut other, &[BR_NOOP, BR_RELEASE, BR_DECREFS])?;
    let_go(trap, step, &parcel.data)?;
    let told = client.read()?;
    check_returns!(
        told,
        [BR_NOOP, BR_INCREFS, BR_ACQUIRE, BR_TRANSACTION_COMPLETE]
    );
    client.acknowledge(&told)?;
    let call = manager.receive()?;
    check_eq!(manager.object(&call, 0)?.handle(), handle);
    manager.free(&call)?;
    expect(&mut client, &[BR_NOOP, BR_RELEASE, BR_DECREFS])
}

/// A manager, an owner, and a client with the only handle to the owner's node.
fn held_by_client(cx: &Cx) -> Result<(Process, Process, Process, u32)> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let mut client = cx.client()?;
    let first = give_node(&mut owner, &mut manager, NODE)?;
    let held = pass_handle(&mut manager, &mut client, first)?;
    manager.send(&[Bc::Release(first)])?;
    Ok((manager, owner, client, held))
}

fn handle_dropped_after(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut owner, mut client, held) = held_by_client(cx)?;
    let mut other = client.spawn_thread()?;
    let trap = client.trap()?;
    let parcel = Parcel::new().handle(held);
    let call = caught_behind(&mut client, &trap, Call::oneway(0), &parcel)?;
    let step = send_into(&mut client, &trap, call)?;
    other.send(&[Bc::Release(held)])?;
    expect_nothing(&mut owner)?;
    let_go(trap, step, b"........")?;
    let call = manager.receive()?;
    let handle = manager.object(&call, 0)?.handle();
    manager.send(&[Bc::Acquire(handle), Bc::FreeBuffer(call.data.buffer)])?;
    manager.send(&[Call::oneway(handle).into()])?;
    let call = owner.receive()?;
    check_eq!((call.data.target, call.data.cookie), NODE);
    manager.send(&[Bc::Release(handle)])?;
    owner.free(&call)?;
    expect(&mut owner, &[BR_NOOP, BR_RELEASE, BR_DECREFS])
}

fn handle_dropped_before(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut owner, mut client, held) = held_by_client(cx)?;
    let mut other = client.spawn_thread()?;
    let trap = client.trap()?;
    let parcel = Parcel::new().bytes(&[0; 8]).handle(held);
    let call = caught_before(&mut client, &trap, Call::oneway(0), &parcel)?;
    let step = send_into(&mut client, &trap, call)?;
    other.send(&[Bc::Release(held)])?;
    expect(&mut owner, &[BR_NOOP, BR_RELEASE, BR_DECREFS])?;
    let_go(trap, step, &parcel.data)?;
    expect(&mut client, &[BR_NOOP, BR_FAILED_REPLY])?;
    check_eq!(
        error_of(&mut client)?,
        (BR_FAILED_REPLY, param(Some(Errno::EINVAL)))
    );
    expect_nothing(&mut manager)
}

fn handle_to_owner(cx: &mut Cx) -> Result<()> {
    let mut owner = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::to(0).into()])?;
    let call = owner.receive()?;
    owner.send(&[Call::reply()
        .parcel(Parcel::new().binder(NODE.0, NODE.1))
        .into()])?;
    let told = owner.read()?;
    owner.acknowledge(&told)?;
    owner.free(&call)?;
    let reply = client.receive()?;
    let held = client.object(&reply, 0)?.handle();
    client.send(&[Bc::Acquire(held), Bc::FreeBuffer(reply.data.buffer)])?;

    let mut other = client.spawn_thread()?;
    let trap = client.trap()?;
    let parcel = Parcel::new().handle(held);
    let call = caught_behind(&mut client, &trap, Call::oneway(0), &parcel)?;
    let step = send_into(&mut client, &trap, call)?;
    other.send(&[Bc::Release(held)])?;
    expect_nothing(&mut owner)?;
    let_go(trap, step, b"........")?;
    let call = owner.receive()?;
    let object = owner.object(&call, 0)?;
    check_eq!(
        (object.hdr.kind, object.binder, object.cookie),
        (BINDER_TYPE_BINDER, NODE.0, NODE.1)
    );
    expect_nothing(&mut owner)?;
    owner.free(&call)?;
    expect(&mut owner, &[BR_NOOP, BR_RELEASE, BR_DECREFS])
}

fn receiver_drops(cx: &mut Cx) -> Result<()> {
    let (mut manager, mut owner, mut client, held) = held_by_client(cx)?;
    let known = pass_to_manager(&mut client, &mut manager, held)?;
    let trap = client.trap()?;
    let parcel = Parcel::new().handle(held);
    let call = caught_behind(&mut client, &trap, Call::oneway(0), &parcel)?;
    let step = send_into(&mut client, &trap, call)?;
    // More often than it has it: the rest are the message's.
    manager.send(&[Bc::Release(known)])?;
    let_go(trap, step, b"........")?;
    let call = manager.receive()?;
    check_eq!(manager.object(&call, 0)?.handle(), known);
    manager.send(&[Bc::Acquire(known), Bc::FreeBuffer(call.data.buffer)])?;
    manager.send(&[Call::oneway(known).into()])?;
    check_eq!(owner.receive()?.data.target, NODE.0);
    Ok(())
}

/// The client gives the manager one of its handles, to keep.
fn pass_to_manager(client: &mut Thread, manager: &mut Thread, handle: u32) -> Result<u32> {
    client.send(&[Call::oneway(0).parcel(Parcel::new().handle(handle)).into()])?;
    complete(client)?;
    let call = manager.receive()?;
    let handle = manager.object(&call, 0)?.handle();
    manager.send(&[Bc::Acquire(handle), Bc::FreeBuffer(call.data.buffer)])?;
    Ok(handle)
}

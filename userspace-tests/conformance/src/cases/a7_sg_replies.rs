// SPDX-License-Identifier: GPL-2.0

//! Section A7: replies with buffers and arrays of files.

use super::case;
use crate::buffers::*;
use crate::fixtures::*;
use anyhow::Result;
use binder_abi::*;
use harness::thread::PAGE;
use harness::{
    Bc, Call, Case, Cx, Errno, Parcel, Process, Transactions, check, check_eq, check_returns,
};

pub const CASES: &[Case] = &[
    case("a7/sg-reply", "a reply carries buffers", reply_with_buffers).covers(&["A7.5"]),
    case(
        "a7/sg-reply-fails",
        "a reply with a bad buffer fails the caller's call",
        reply_fails,
    )
    .covers(&["A6.32", "A6.27"]),
    case(
        "a7/sg-plain-reply",
        "the plain reply has room for empty buffers only",
        plain_reply,
    )
    .covers(&["A6.27"]),
    case(
        "a7/sg-nested-reply",
        "buffers of a reply point to addresses of the caller",
        nested_reply,
    )
    .covers(&["A7.5"]),
    case(
        "a7/fda-reply",
        "a caller that takes files gets an array in the reply",
        reply_with_array,
    )
    .covers(&["A7.4"]),
    case(
        "a7/fda-reply-refused",
        "a caller that takes no files gets no arrays: EPERM",
        array_refused,
    )
    .covers(&["A6.25"]),
    case(
        "a7/fda-closed-in-caller",
        "giving the buffer of a reply back closes the caller's files",
        closed_in_caller,
    )
    .covers(&["A19.8"]),
    case(
        "a7/fda-no-room-reply",
        "a reply whose array finds no room becomes a failure",
        no_room_for_array,
    )
    .covers(&["A8.8"]),
];

/// A reply that fails the caller's call for this reason.
fn failing_reply(cx: &mut Cx, reply: Call, why: Errno) -> Result<(Process, Process)> {
    let mut manager = cx.manager()?;
    let mut client = cx.client_with_size(2 * PAGE)?;
    let call = call_received(&mut client, &mut manager)?;
    let reply: Bc = reply.into();
    let outcome = manager.write(&[reply.clone(), Bc::EnterLooper])?.ok()?;
    check_eq!(outcome.write_consumed, reply.size());
    complete(&mut manager)?;
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY]
    );
    check_eq!(error_of(&mut client)?, (BR_FAILED_REPLY, param(Some(why))));
    check_eq!(error_of(&mut manager)?, (BR_OK, 0));
    manager.free(&call)?;
    Ok((manager, client))
}

fn reply_with_buffers(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    let parcel = parcel().buffer(b"one", alone()).buffer(b"two", alone());
    manager.answer(&call, Call::reply().parcel(parcel).buffers_size(16))?;
    complete(&mut manager)?;
    let reply = client.receive()?;
    check_eq!(buffer(&mut client, &reply, 0)?, (0, b"one".to_vec()));
    check_eq!(buffer(&mut client, &reply, 1)?, (8, b"two".to_vec()));
    client.free(&reply)
}

fn reply_fails(cx: &mut Cx) -> Result<()> {
    let bad: [(Parcel, u64, Errno); 4] = [
        (parcel().buffer(&[1; 9], alone()), 8, Errno::EINVAL),
        (parcel().object(&at(8, 8, alone())), 8, Errno::EINVAL),
        (parcel().buffer(&[1; 8], inside(0, 0)), 8, Errno::EINVAL),
        (parcel().buffer(&[1; 8], alone()), 12, Errno::EINVAL),
    ];
    for (parcel, room, why) in bad {
        let reply = Call::reply().parcel(parcel).buffers_size(room);
        let (mut manager, mut client) = failing_reply(cx, reply, why)?;
        // The caller's space is whole again.
        let call = call_received(&mut client, &mut manager)?;
        manager.answer(&call, Call::reply().data(&[1; 2 * PAGE as usize]))?;
        complete(&mut manager)?;
        client.receive()?;
    }
    Ok(())
}

fn plain_reply(cx: &mut Cx) -> Result<()> {
    let reply = Call::reply().parcel(parcel().buffer(b"1", alone()));
    let (mut manager, mut client) = failing_reply(cx, reply, Errno::EINVAL)?;
    let call = call_received(&mut client, &mut manager)?;
    manager.answer(&call, Call::reply().parcel(parcel().buffer(b"", alone())))?;
    complete(&mut manager)?;
    client.receive().map(drop)
}

fn nested_reply(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let members: &[Option<(u64, u64)>] = &[None, Some((0, 4)), Some((1, 24)), Some((0, 24))];
    let call = call_received(&mut client, &mut manager)?;
    let reply = Call::reply().parcel(family(members));
    manager.answer(&call, reply.buffers_size(room_for(members)))?;
    complete(&mut manager)?;
    let reply = client.receive()?;
    related(&mut client, &reply, members)?;
    check!(
        area(&reply) > client.endpoint.base
            && area(&reply) < client.endpoint.base + client.endpoint.size,
        "the buffers lie in the caller's space"
    );
    client.free(&reply)
}

fn reply_with_array(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let (read, write) = pipe(&mut manager)?;
    client.send(&[Call::to(0).flags(TF_ACCEPT_FDS).into()])?;
    let call = manager.receive()?;
    let reply = array(parcel(), &[write, write]);
    manager.answer(&call, Call::reply().parcel(reply).buffers_size(8))?;
    complete(&mut manager)?;
    let reply = client.receive()?;
    for fd in numbers_of(&mut client, &reply, 0)? {
        check_eq!(put_byte(&mut client, fd, 7)?, Ok(1));
        check_eq!(get_byte(&mut manager, read)?, Some(7));
    }
    Ok(())
}

fn array_refused(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    let reply = Call::reply()
        .flags(TF_ACCEPT_FDS)
        .parcel(array(parcel(), &[0]))
        .buffers_size(8);
    manager.write(&[reply.into()])?.ok()?;
    complete(&mut manager)?;
    manager.free(&call)?;
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY]
    );
    check_eq!(
        error_of(&mut client)?,
        (BR_FAILED_REPLY, param(Some(Errno::EPERM)))
    );
    Ok(())
}

fn closed_in_caller(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let (read, write) = pipe(&mut manager)?;
    client.send(&[Call::to(0).flags(TF_ACCEPT_FDS).into()])?;
    let call = manager.receive()?;
    let parcel = parcel()
        .buffer(&numbers(&[write]), alone())
        .fd_array(1, 0, 0);
    manager.answer(&call, Call::reply().parcel(parcel).buffers_size(8))?;
    close(&mut manager, write)?;
    let reply = client.receive()?;
    let fd = numbers_of(&mut client, &reply, 0)?[0];
    check_eq!(put_byte(&mut client, fd, 1)?, Ok(1));
    client.free(&reply)?;
    check!(!is_open(&mut client, fd)?);
    check_eq!(get_byte(&mut manager, read)?, Some(1));
    check_eq!(get_byte(&mut manager, read)?, None);
    Ok(())
}

fn no_room_for_array(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let (read, write) = pipe(&mut manager)?;
    client.send(&[Call::to(0).flags(TF_ACCEPT_FDS).into()])?;
    let call = manager.receive()?;
    let room = next_fd(&mut client)?;
    limit_fds(&mut client, room + 1)?;
    manager.answer(&call, with_array(Call::reply(), &[write, write]))?;
    close(&mut manager, write)?;
    complete(&mut manager)?;
    check_returns!(
        client.read()?,
        [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY]
    );
    check_eq!(get_byte(&mut manager, read)?, None);
    check_eq!(next_fd(&mut client)?, room);
    // The space the reply took is free: the largest reply there can be finds room.
    let call = call_received(&mut client, &mut manager)?;
    let largest = client.endpoint.size;
    manager.answer(&call, Call::reply().buffers_size(largest))?;
    complete(&mut manager)?;
    client.receive().map(drop)
}

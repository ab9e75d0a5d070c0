// SPDX-License-Identifier: GPL-2.0

//! Sections A13 and A14: a process or a thread ends while a transaction from it, to
//! it or for it is being copied.

use super::inside::*;
use crate::cases::case;
use crate::fixtures::*;
use anyhow::Result;
use binder_abi::*;
use harness::case::round_trip;
use harness::{Bc, Call, Case, Cx, Parcel, Transactions, check, check_eq, check_returns};

pub const CASES: &[Case] = &[
    case(
        "a13/caller-exits-during-reply",
        "a reply whose caller leaves while it is copied is lost, quietly",
        caller_exits_during_reply,
    )
    .covers(&["A6.5", "A19.21"]),
    case(
        "a13/nested-target-exits-during-copy",
        "a nested call for a thread that leaves while it is copied fails: dead",
        nested_target_exits,
    )
    .covers(&["A6.30"]),
    case(
        "a14/callee-dies-during-copy",
        "a call whose receiver dies while it is copied fails: dead",
        callee_dies,
    )
    .covers(&["A6.30"]),
    case(
        "a14/callee-dies-then-copy-fails",
        "a fault counts more than that the receiver died meanwhile",
        callee_dies_then_fault,
    )
    .covers(&["A6.28"]),
    case(
        "a14/successor-during-copy",
        "a call to a manager that dies is not for the next one",
        successor,
    )
    .covers(&["A6.30", "A14.1"]),
    case(
        "a14/callee-closes-during-copy",
        "a receiver that closes its device is dead to what is being copied",
        callee_closes,
    )
    .covers(&["A6.30"]),
    case(
        "a14/caller-dies-during-reply",
        "a reply whose caller dies while it is copied is lost, quietly",
        caller_dies_during_reply,
    )
    .covers(&["A6.5"]),
    case(
        "a14/outer-caller-dies-during-copy",
        "a nested call goes out though the outer caller dies while it is copied",
        outer_caller_dies,
    ),
    case(
        "a14/sender-dies-during-copy",
        "a sender that is killed in the middle leaves nothing behind",
        sender_dies,
    )
    .covers(&["A14.4", "CVE-2023-21255"]),
    case(
        "a14/objects-for-dead-receiver",
        "objects of a call whose receiver dies while it is copied are given back",
        objects_for_dead,
    )
    .covers(&["CVE-2023-21255"]),
    case(
        "a14/owner-dies-during-copy",
        "a handle whose owner dies while it is copied arrives",
        owner_dies,
    )
    .covers(&["A7.2"]),
    case(
        "a14/sender-dies-while-read",
        "a call whose sender dies while it is being read is read",
        sender_dies_while_read,
    ),
    case(
        "a14/reader-dies-while-reading",
        "the call that a reader was about to get fails when it dies",
        reader_dies,
    ),
    case(
        "a14/replier-dies-while-read",
        "a reply is read though the replier dies meanwhile",
        replier_dies_while_read,
    ),
];

fn caller_exits_during_reply(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    let trap = manager.trap()?;
    let step = send_into(&mut manager, &trap, caught_call(Call::reply(), &trap))?;
    check_eq!(client.ioctl(BINDER_THREAD_EXIT, 0i32)?, Ok(0));
    let_go(trap, step, b"too late")?;
    complete(&mut manager)?;
    expect_nothing(&mut manager)?;
    manager.free(&call)?;
    expect(&mut client, &[BR_NOOP])?;
    expect_nothing(&mut client)?;
    round_trip(&mut client, &mut manager, Call::to(0), Call::reply())?;
    Ok(())
}

fn nested_target_exits(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let back = give_node(&mut client, &mut manager, NODE)?;
    let outer = call_received(&mut client, &mut manager)?;
    let trap = manager.trap()?;
    let step = send_into(&mut manager, &trap, caught_call(Call::to(back), &trap))?;
    check_eq!(client.ioctl(BINDER_THREAD_EXIT, 0i32)?, Ok(0));
    let_go(trap, step, b"too late")?;
    expect(&mut manager, &[BR_NOOP, BR_DEAD_REPLY])?;
    check_eq!(error_of(&mut manager)?, (BR_DEAD_REPLY, 0));
    expect(&mut client, &[BR_NOOP])?;
    expect_nothing(&mut client)?;
    answer_lost(&mut manager, &outer)
}

fn callee_dies(cx: &mut Cx) -> Result<()> {
    for call in [Call::to(0), Call::oneway(0)] {
        let manager = cx.manager()?;
        let watcher = watch_manager(cx)?;
        let mut client = cx.client()?;
        let trap = client.trap()?;
        let step = send_into(&mut client, &trap, caught_call(call, &trap))?;
        manager.kill()?;
        manager_is_dead(watcher)?;
        let_go(trap, step, b"too late")?;
        expect(&mut client, &[BR_NOOP, BR_DEAD_REPLY])?;
        check_eq!(error_of(&mut client)?, (BR_DEAD_REPLY, 0));
        expect_nothing(&mut client)?;
    }
    Ok(())
}

fn callee_dies_then_fault(cx: &mut Cx) -> Result<()> {
    let manager = cx.manager()?;
    let watcher = watch_manager(cx)?;
    let mut client = cx.client()?;
    let trap = client.trap()?;
    let step = send_into(&mut client, &trap, caught_call(Call::to(0), &trap))?;
    manager.kill()?;
    manager_is_dead(watcher)?;
    let_fail(trap, step)?;
    expect(&mut client, &[BR_NOOP, BR_FAILED_REPLY])?;
    check_eq!(
        error_of(&mut client)?,
        (BR_FAILED_REPLY, param(Some(harness::Errno::EFAULT)))
    );
    Ok(())
}

fn successor(cx: &mut Cx) -> Result<()> {
    let manager = cx.manager()?;
    let watcher = watch_manager(cx)?;
    let mut client = cx.client()?;
    let trap = client.trap()?;
    let step = send_into(&mut client, &trap, caught_call(Call::to(0), &trap))?;
    manager.kill()?;
    manager_is_dead(watcher)?;
    let mut next = cx.manager()?;
    let_go(trap, step, b"too late")?;
    expect(&mut client, &[BR_NOOP, BR_DEAD_REPLY])?;
    expect_nothing(&mut next)?;
    round_trip(&mut client, &mut next, Call::to(0), Call::reply())?;
    Ok(())
}

fn callee_closes(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let watcher = watch_manager(cx)?;
    let mut client = cx.client()?;
    let trap = client.trap()?;
    let step = send_into(&mut client, &trap, caught_call(Call::to(0), &trap))?;
    // A mapping holds the file, too.
    manager.close()?;
    manager.unmap()?;
    manager_is_dead(watcher)?;
    let_go(trap, step, b"too late")?;
    expect(&mut client, &[BR_NOOP, BR_DEAD_REPLY])
}

fn caller_dies_during_reply(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let handle = give_node(&mut client, &mut manager, NODE)?;
    let mut watcher = watch(&mut manager, handle)?;
    let call = call_received(&mut client, &mut manager)?;
    let trap = manager.trap()?;
    let parcel = Parcel::new().binder(OTHER.0, OTHER.1);
    let reply = caught_behind(&mut manager, &trap, Call::reply(), &parcel)?;
    let step = send_into(&mut manager, &trap, reply)?;
    client.kill()?;
    is_dead(&mut watcher)?;
    let_go(trap, step, b"too late")?;
    // What the manager is told of its node is another matter, and the order is not.
    let mut told = manager.read()?;
    manager.acknowledge(&told)?;
    told.extend(manager.try_read()?);
    cx.note("the replier's returns", &told);
    manager.free(&call)
}

fn outer_caller_dies(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut middle = cx.client()?;
    let mut client = cx.client()?;
    let of_client = give_node(&mut client, &mut manager, OTHER)?;
    let to_middle = give_node(&mut middle, &mut manager, NODE)?;
    let to_middle = pass_handle(&mut manager, &mut client, to_middle)?;
    let mut watcher = watch(&mut manager, of_client)?;
    client.send(&[Call::to(to_middle).into()])?;
    let outer = middle.receive()?;
    let trap = middle.trap()?;
    let step = send_into(&mut middle, &trap, caught_call(Call::to(0), &trap))?;
    client.kill()?;
    is_dead(&mut watcher)?;
    let_go(trap, step, b"go on...")?;
    let inner = manager.receive()?;
    check_eq!(manager.data(&inner)?, b"go on...");
    manager.answer(&inner, Call::reply())?;
    check_eq!(middle.receive()?.code, BR_REPLY);
    answer_lost(&mut middle, &outer)
}

fn sender_dies(cx: &mut Cx) -> Result<()> {
    const SIZE: u64 = 16 * harness::thread::PAGE;
    let mut manager = cx.manager_with(FlatObject {
        flags: FLAT_BINDER_FLAG_ACCEPTS_FDS,
        ..FlatObject::default()
    })?;
    let mut small = cx.client_with_size(SIZE)?;
    let to_small = give_node(&mut small, &mut manager, NODE)?;
    let mut owner = cx.client()?;
    let of_owner = give_node(&mut owner, &mut manager, OTHER)?;
    let mut client = cx.client()?;
    let to_small = pass_handle(&mut manager, &mut client, to_small)?;
    let held = pass_handle(&mut manager, &mut client, of_owner)?;
    manager.send(&[Bc::Release(of_owner)])?;

    let trap = client.trap()?;
    let parcel = Parcel::new().handle(held).binder(NODE.0, NODE.1);
    let call = caught_behind(&mut client, &trap, Call::to(to_small), &parcel)?;
    let step = send_into(&mut client, &trap, call)?;
    drop(step);
    client.kill()?;
    drop(trap);
    // The client held the only handle, and the receiver got none.
    expect(&mut owner, &[BR_NOOP, BR_RELEASE, BR_DECREFS])?;
    expect_nothing(&mut small)?;
    let first = manager_calls_with(&mut manager, &mut small, SIZE)?;
    check_eq!(first, small.endpoint.base, "all of the space is free");
    Ok(())
}

/// The manager sends as much as the receiver can take; returns where it came to lie.
fn manager_calls_with(
    manager: &mut harness::Thread,
    receiver: &mut harness::Thread,
    size: u64,
) -> Result<u64> {
    // The only handle the manager has left.
    manager.send(&[Call::to(1).data(&vec![7; size as usize]).into()])?;
    let call = receiver.receive()?;
    check_eq!(call.data.data_size, size);
    Ok(call.data.buffer)
}

fn objects_for_dead(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let watcher = watch_manager(cx)?;
    let mut client = cx.client()?;
    let (read, write) = pipe(&mut client)?;
    let trap = client.trap()?;
    let parcel = Parcel::new().binder(NODE.0, NODE.1).fd(write, 0);
    let call = caught_behind(&mut client, &trap, Call::to(0), &parcel)?;
    let mut other = another(&mut client)?;
    let step = send_into(&mut client, &trap, call)?;
    close(&mut other, write)?;
    manager.version()?.ok();
    manager.kill()?;
    manager_is_dead(watcher)?;
    let_go(trap, step, b"too late")?;
    // The file was the message's alone.
    check_eq!(get_byte(&mut other, read)?, None);
    let told = client.read()?;
    check!(told.iter().any(|r| r.code() == BR_DEAD_REPLY), "{told:?}");
    cx.note("the sender's returns", &told);
    // The node is forgotten: it can be sent again under another cookie.
    client.acknowledge(&told)?;
    let mut next = cx.manager()?;
    while !client.try_read()?.is_empty() {}
    give_node(&mut client, &mut next, (NODE.0, OTHER.1))?;
    Ok(())
}

fn owner_dies(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let mut client = cx.client()?;
    let of_owner = give_node(&mut owner, &mut manager, NODE)?;
    let held = pass_handle(&mut manager, &mut client, of_owner)?;
    let mut watcher = watch(&mut manager, of_owner)?;
    let trap = client.trap()?;
    let parcel = Parcel::new().bytes(&[0; 8]).handle(held);
    let call = caught_before(&mut client, &trap, Call::to(0), &parcel)?;
    let step = send_into(&mut client, &trap, call)?;
    owner.kill()?;
    is_dead(&mut watcher)?;
    let_go(trap, step, &parcel.data)?;
    let call = manager.receive()?;
    let object = manager.object(&call, 0)?;
    check_eq!(
        (object.hdr.kind, object.handle()),
        (BINDER_TYPE_HANDLE, of_owner)
    );
    manager.answer(&call, Call::reply())?;
    complete(&mut manager)?;
    check_eq!(client.receive()?.code, BR_REPLY);
    Ok(())
}

fn sender_dies_while_read(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let handle = give_node(&mut client, &mut manager, NODE)?;
    let mut watcher = watch(&mut manager, handle)?;
    let trap = manager.trap()?;
    client.send(&[Call::to(0).data(b"written").into()])?;
    let at = read_at(&trap);
    let step = read_into(&mut manager, &trap)?;
    client.kill()?;
    is_dead(&mut watcher)?;
    let consumed = let_read(trap, step)?;
    let returns = returns_at(&mut manager, at, consumed)?;
    check_returns!(returns, [BR_NOOP, BR_TRANSACTION]);
    let Some(harness::Br::Delivery(call)) = returns.last() else {
        anyhow::bail!("{returns:?}");
    };
    check_eq!(manager.data(call)?, b"written");
    answer_lost(&mut manager, call)
}

fn reader_dies(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let trap = manager.trap()?;
    client.send(&[Call::to(0).into()])?;
    let step = read_into(&mut manager, &trap)?;
    drop(step);
    manager.kill()?;
    let returns = client.read()?;
    cx.note("the caller's returns", &returns);
    check_eq!(returns.len(), 3, "{returns:?}");
    expect_nothing(&mut client)
}

fn replier_dies_while_read(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let watcher = watch_manager(cx)?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    manager.answer(&call, Call::reply().data(b"last word"))?;
    expect(&mut manager, &[BR_NOOP, BR_TRANSACTION_COMPLETE])?;
    // Behind the completion, in front of the reply.
    let trap = client.trap()?;
    let at = read_at(&trap) - 4;
    let step = client.begin_exchange(&harness::Exchange::read().read_buffer(at))?;
    trap.wait(&step)?;
    manager.kill()?;
    manager_is_dead(watcher)?;
    let consumed = let_read(trap, step)?;
    let returns = returns_at(&mut client, at, consumed)?;
    check_returns!(returns, [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_REPLY]);
    let Some(harness::Br::Delivery(reply)) = returns.last() else {
        anyhow::bail!("{returns:?}");
    };
    check_eq!(client.data(reply)?, b"last word");
    client.free(reply)
}

// SPDX-License-Identifier: GPL-2.0

//! Section A11: calls to a frozen process.

use super::case;
use crate::fixtures::*;
use crate::freezing::*;
use anyhow::Result;
use binder_abi::*;
use harness::case::round_trip;
use harness::thread::PAGE;
use harness::{
    Bc, Br, Call, Case, Cx, Errno, Exchange, Missed, Parcel, Transactions, check, check_eq,
    check_returns,
};

pub const CASES: &[Case] = &[
    case(
        "a11/call-refused",
        "a call to a frozen process: BR_FROZEN_REPLY, and it is gone",
        call_refused,
    )
    .covers(&["A6.29"]),
    case(
        "a11/call-refused-stops-write",
        "what follows a refused call waits for the next write",
        refused_stops_write,
    )
    .covers(&["A5.1"]),
    case(
        "a11/call-refused-extended-error",
        "the extended error names the transaction, BR_FROZEN_REPLY and 0",
        refused_error,
    )
    .covers(&["A6.29"]),
    case(
        "a11/call-refused-leaves-nothing",
        "refused calls leave no buffer, no node and no handle",
        refused_leaves_nothing,
    ),
    case(
        "a11/call-refused-drops-files",
        "the files of a refused call are let go",
        refused_drops_files,
    ),
    case(
        "a11/other-errors-first",
        "a call that is wrong in itself fails for that, and is not missed",
        other_errors_first,
    )
    .covers(&["A6.17"]),
    case(
        "a11/oneway-queued",
        "oneway calls to a frozen process: BR_TRANSACTION_PENDING_FROZEN, and the write goes on",
        oneway_queued,
    )
    .covers(&["A6.31", "A19.19"]),
    case(
        "a11/oneway-after-thaw",
        "oneway calls queued meanwhile arrive in order after the thaw",
        oneway_after_thaw,
    )
    .covers(&["A11.8"]),
    case(
        "a11/oneway-while-frozen",
        "a frozen process that reads gets them at once",
        oneway_while_frozen,
    ),
    case(
        "a11/oneway-wakes-frozen",
        "a thread of a frozen process that waits is woken by them",
        oneway_wakes,
    ),
    case(
        "a11/oneway-without-room",
        "a oneway call without room fails: ENOSPC, and is not missed",
        oneway_without_room,
    ),
    case(
        "a11/oneway-dies-with-frozen",
        "what waits for a frozen process that ends is let go",
        oneway_dies,
    )
    .covers(&["A14.2"]),
];

fn call_refused(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    all.freeze()?;
    all.holder.send(&[Call::to(all.handle).code(1).into()])?;
    expect(&mut all.holder, &[BR_NOOP, BR_FROZEN_REPLY])?;
    // It does not come later, and a thread may call again at once.
    all.thaw()?;
    let call = Call::to(all.handle).code(2);
    all.holder.send(&[call.into()])?;
    let call = all.owner.receive()?;
    check_eq!(call.data.code, 2);
    all.owner.answer(&call, Call::reply())?;
    all.holder.receive()?;
    complete(&mut all.owner)?;
    expect_nothing(&mut all.owner)
}

fn refused_stops_write(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    all.freeze()?;
    let call: Bc = Call::to(all.handle).into();
    let outcome = all
        .holder
        .exchange(&Exchange::write(&[Bc::EnterLooper, call.clone(), call.clone()]).and_read())?
        .ok()?;
    check_eq!(outcome.write_consumed, Bc::EnterLooper.size() + call.size());
    check_returns!(outcome.returns()?, [BR_NOOP, BR_FROZEN_REPLY]);
    Ok(())
}

fn refused_error(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    all.freeze()?;
    let mut last = 0;
    for _ in 0..3 {
        all.holder.write(&[Call::to(all.handle).into()])?.ok()?;
        let error = all.holder.extended_error()?;
        check_eq!((error.command, error.param), (BR_FROZEN_REPLY, 0));
        check!(error.id > last, "numbers grow: {} after {last}", error.id);
        last = error.id;
        check_eq!(error_of(&mut all.holder)?, (BR_OK, 0));
        expect(&mut all.holder, &[BR_NOOP, BR_FROZEN_REPLY])?;
    }
    // What is queued is no error.
    all.holder.send(&[Call::oneway(all.handle).into()])?;
    check_eq!(error_of(&mut all.holder)?, (BR_OK, 0));
    pending(&mut all.holder)
}

fn refused_leaves_nothing(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_with_size(4 * PAGE)?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    check_eq!(freezer.freeze(manager.pid())?, Ok(()));
    // More than would fit, were it kept.
    let parcel = Parcel::new()
        .binder(NODE.0, NODE.1)
        .weak_binder(OTHER.0, OTHER.1)
        .bytes(&[1; 3 * PAGE as usize]);
    for _ in 0..3 {
        client.send(&[Call::to(0).parcel(parcel.clone()).into()])?;
        let returns = client.read()?;
        check_eq!(
            returns.last().map(Br::code),
            Some(BR_FROZEN_REPLY),
            "{returns:?}"
        );
        let codes: Vec<u32> = returns.iter().map(Br::code).collect();
        check!(
            !codes.contains(&BR_ACQUIRE),
            "a reference that is gone is told: {returns:?}"
        );
    }
    check_eq!(freezer.thaw(manager.pid())?, Ok(()));
    expect_nothing(&mut client)?;
    // No node is left to walk, and the first handle is free.
    let none = NodeDebugInfo::default();
    check_eq!(client.ioctl(BINDER_GET_NODE_DEBUG_INFO, none)?, Ok(none));
    check_eq!(give_node(&mut client, &mut manager, NODE)?, 1);
    round_trip(
        &mut client,
        &mut manager,
        Call::to(0).data(&[2; 4 * PAGE as usize]),
        Call::reply(),
    )?;
    Ok(())
}

fn refused_drops_files(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    check_eq!(freezer.freeze(manager.pid())?, Ok(()));
    let (reading, writing) = pipe(&mut client)?;
    let parcel = Parcel::new().fd(writing, 0);
    fails(
        &mut client,
        Call::to(0).parcel(parcel),
        BR_FROZEN_REPLY,
        None,
    )?;
    close(&mut client, writing)?;
    check_eq!(get_byte(&mut client, reading)?, None);
    check_eq!(freezer.thaw(manager.pid())?, Ok(()));
    expect_nothing(&mut manager)
}

fn other_errors_first(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_with_size(PAGE)?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    let pid = manager.pid();
    check_eq!(freezer.freeze(pid)?, Ok(()));
    let wrong = [
        (Call::to(77), Errno::EINVAL),
        (Call::to(0).data(&[0; PAGE as usize + 1]), Errno::ENOSPC),
        (Call::to(0).data_at(8, 8), Errno::EFAULT),
        (
            Call::to(0).parcel(Parcel::new().handle(9)).offsets_size(4),
            Errno::EINVAL,
        ),
        (Call::to(0).parcel(Parcel::new().handle(9)), Errno::EINVAL),
        (Call::to(0).parcel(Parcel::new().fd(0, 0)), Errno::EPERM),
    ];
    for (call, why) in wrong {
        fails(&mut client, call, BR_FAILED_REPLY, Some(why))?;
    }
    check_eq!(freezer.missed(pid)?, Ok(Missed::NOTHING));
    manager.unmap()?;
    fails(&mut client, Call::to(0), BR_DEAD_REPLY, Some(Errno::ESRCH))?;
    check_eq!(freezer.missed(pid)?, Ok(Missed::NOTHING));
    Ok(())
}

fn oneway_queued(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    all.freeze()?;
    let call: Bc = Call::oneway(all.handle).into();
    // Both are consumed, the second one waits for the first.
    all.holder
        .send(&[call.clone(), Bc::EnterLooper, call.clone()])?;
    expect(
        &mut all.holder,
        &[
            BR_NOOP,
            BR_TRANSACTION_PENDING_FROZEN,
            BR_TRANSACTION_PENDING_FROZEN,
        ],
    )?;
    let missed = Missed::ONEWAY.and(Missed::PENDING);
    check_eq!(all.freezer.missed(all.owner.pid())?, Ok(missed));
    // Sent later, it is an ordinary one, though it waits behind them.
    all.thaw()?;
    all.holder.send(&[call])?;
    complete(&mut all.holder)
}

fn oneway_after_thaw(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    all.freeze()?;
    for code in 1..=20 {
        let call = Call::oneway(all.handle).code(code).data(&[code as u8; 40]);
        all.holder.send(&[call.into()])?;
        pending(&mut all.holder)?;
    }
    all.thaw()?;
    for code in 1..=20 {
        let call = all.owner.receive()?;
        check_eq!(call.data.code, code);
        check_eq!(all.owner.data(&call)?, [code as u8; 40]);
        all.owner.free(&call)?;
    }
    expect_nothing(&mut all.owner)
}

fn oneway_while_frozen(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    all.freeze()?;
    for code in 1..=3 {
        let call = Call::oneway(all.handle).code(code);
        all.holder.send(&[call.into()])?;
        pending(&mut all.holder)?;
    }
    for code in 1..=3 {
        let call = all.owner.receive()?;
        check_eq!(call.data.code, code);
        all.owner.free(&call)?;
    }
    let pid = all.owner.pid();
    check_eq!(all.freezer.missed(pid)?, Ok(Missed::ONEWAY));
    refused(&mut all.holder, all.handle)
}

fn oneway_wakes(cx: &mut Cx) -> Result<()> {
    let mut all = Listening::silent(cx)?;
    all.freeze()?;
    let reading = all.owner.begin_exchange(&Exchange::read())?;
    reading.wait_blocked()?;
    refused(&mut all.holder, all.handle)?;
    all.holder
        .send(&[Call::oneway(all.handle).code(5).into()])?;
    pending(&mut all.holder)?;
    let returns = reading.returns()?;
    match returns.as_slice() {
        [Br::Plain(BR_NOOP), Br::Delivery(call)] => check_eq!(call.data.code, 5),
        _ => check!(false, "woken by {returns:?}"),
    }
    Ok(())
}

fn oneway_without_room(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_with_size(4 * PAGE)?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    let pid = manager.pid();
    check_eq!(freezer.freeze(pid)?, Ok(()));
    let half = 2 * PAGE as usize;
    let full = |size: usize| Call::oneway(0).data(&vec![0; size]);
    let why = Some(Errno::ENOSPC);
    fails(&mut client, full(half + 1), BR_FAILED_REPLY, why)?;
    check_eq!(freezer.missed(pid)?, Ok(Missed::NOTHING));
    client.send(&[full(half).into()])?;
    pending(&mut client)?;
    fails(&mut client, full(0), BR_FAILED_REPLY, why)?;
    // The room is free again when it is given back, thawed or not.
    let call = manager.receive()?;
    manager.free(&call)?;
    client.send(&[full(half).into()])?;
    pending(&mut client)
}

fn oneway_dies(cx: &mut Cx) -> Result<()> {
    let manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let mut freezer = cx.unmapped()?;
    check_eq!(freezer.freeze(manager.pid())?, Ok(()));
    let (reading, writing) = pipe(&mut client)?;
    let parcel = Parcel::new().binder(NODE.0, NODE.1).fd(writing, 0);
    for _ in 0..2 {
        client.send(&[Call::oneway(0).parcel(parcel.clone()).into()])?;
        let returns = client.read()?;
        client.acknowledge(&returns)?;
        check_eq!(
            returns.last().map(Br::code),
            Some(BR_TRANSACTION_PENDING_FROZEN)
        );
    }
    close(&mut client, writing)?;
    manager.kill()?;
    check_eq!(get_byte(&mut client, reading)?, None);
    expect(&mut client, &[BR_NOOP, BR_RELEASE, BR_DECREFS])?;
    expect_nothing(&mut client)
}

// SPDX-License-Identifier: GPL-2.0

//! Section A9: the receive space: where buffers are placed, how they are merged,
//! and how much oneway calls may take.

use super::case;
use crate::fixtures::*;
use anyhow::{Result, bail};
use binder_abi::*;
use harness::case::round_trip;
use harness::thread::PAGE;
use harness::{Bc, Br, Call, Case, Cx, Delivery, Errno, Exchange, Process, Transactions, check_eq};

pub const CASES: &[Case] = &[
    case(
        "a9/first-at-start",
        "the first buffer lies at the start of the space",
        first_at_start,
    ),
    case(
        "a9/best-fit",
        "a buffer goes into the smallest hole that holds it",
        best_fit,
    )
    .covers(&["A9.1"]),
    case(
        "a9/holes-merge",
        "holes merge in whatever order buffers are given back",
        holes_merge,
    )
    .covers(&["A9.1"]),
    case(
        "a9/rounding",
        "data and offsets are rounded to eight bytes each",
        rounding,
    ),
    case(
        "a9/reply-takes-room",
        "a reply takes room of the caller, not of the replier",
        reply_takes_room,
    ),
    case(
        "a9/async-half",
        "oneway calls may take half of the space",
        async_half,
    )
    .covers(&["A6.18", "A9.2"]),
    case(
        "a9/async-half-not-for-calls",
        "calls may take the other half",
        async_half_not_for_calls,
    ),
    case(
        "a9/async-comes-back",
        "what oneway calls took comes back, for empty ones, too",
        async_comes_back,
    )
    .covers(&["A9.2", "CVE-2021-46935"]),
    case(
        "a9/async-empty-parcels",
        "an empty oneway call takes eight bytes of the budget",
        async_empty,
    )
    .covers(&["A19.16", "CVE-2021-46935"]),
    case(
        "a9/async-failed-call-pays-back",
        "a oneway call that fails gives its share back",
        async_failed_pays_back,
    ),
    case(
        "a9/oneway-one-by-one",
        "a node's next oneway call waits for the buffer of the one before",
        oneway_one_by_one,
    )
    .covers(&["A9.5", "A19.13"]),
    case(
        "a9/oneway-per-node",
        "oneway calls to another node do not wait",
        oneway_per_node,
    )
    .covers(&["A19.12"]),
    case(
        "a9/oneway-order",
        "oneway calls to one node arrive in order, whoever sends them",
        oneway_order,
    ),
    case(
        "a9/call-overtakes-oneway",
        "a call does not wait for oneway calls before it",
        call_overtakes_oneway,
    ),
    case(
        "a9/oneway-queue-dies-with-node",
        "waiting oneway calls vanish with their process",
        queue_dies,
    )
    .covers(&["A14.2"]),
];

/// Oneway calls of the given sizes are sent and received; each to a node of its
/// own, so that none waits for another.
struct Fill {
    manager: Process,
    owner: Process,
    next: u64,
}

impl Fill {
    fn new(cx: &Cx, size: u64) -> Result<Self> {
        Ok(Self {
            manager: cx.manager()?,
            owner: cx.client_with_size(size)?,
            next: 1,
        })
    }

    fn place(&mut self, size: u64) -> Result<Delivery> {
        let handle = give_node(&mut self.owner, &mut self.manager, (self.next, self.next))?;
        self.next += 1;
        self.manager
            .send(&[Call::oneway(handle).data(&vec![0; size as usize]).into()])?;
        complete(&mut self.manager)?;
        self.owner.receive()
    }

    fn offset(&self, delivery: &Delivery) -> u64 {
        delivery.data.buffer - self.owner.endpoint.base
    }
}

fn first_at_start(cx: &mut Cx) -> Result<()> {
    let mut fill = Fill::new(cx, 16 * PAGE)?;
    for size in [1, 4096, 100] {
        let buffer = fill.place(size)?;
        check_eq!(fill.offset(&buffer), 0);
        fill.owner.free(&buffer)?;
    }
    Ok(())
}

fn best_fit(cx: &mut Cx) -> Result<()> {
    let mut fill = Fill::new(cx, 64 * PAGE)?;
    let sizes = [512, 64, 256, 64, 1024, 64, 128, 64];
    let buffers = sizes
        .iter()
        .map(|size| fill.place(*size))
        .collect::<Result<Vec<_>>>()?;
    let offsets: Vec<u64> = buffers.iter().map(|buffer| fill.offset(buffer)).collect();
    check_eq!(offsets, [0, 512, 576, 832, 896, 1920, 1984, 2112]);
    // Holes of 512, 256, 1024 and 128, and the large rest.
    for hole in [0, 2, 4, 6] {
        fill.owner.free(&buffers[hole])?;
    }
    for (size, hole) in [(100, 6), (128, 2), (600, 4), (500, 0)] {
        let buffer = fill.place(size)?;
        check_eq!(fill.offset(&buffer), offsets[hole], "{size} bytes");
    }
    Ok(())
}

fn holes_merge(cx: &mut Cx) -> Result<()> {
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    let mut manager = cx.manager()?;
    for order in orders {
        let mut owner = cx.client_with_size(2 * PAGE)?;
        let mut buffers = Vec::new();
        for ptr in 1..=3 {
            let handle = give_node(&mut owner, &mut manager, (ptr, ptr))?;
            manager.send(&[Call::oneway(handle).data(&[1; 1000]).into()])?;
            complete(&mut manager)?;
            buffers.push(owner.receive()?);
        }
        for index in order {
            owner.free(&buffers[index])?;
        }
        // Only a space in one piece holds this.
        let call = call_received(&mut owner, &mut manager)?;
        manager.answer(&call, Call::reply().data(&[2; 2 * PAGE as usize]))?;
        complete(&mut manager)?;
        let reply = owner.receive()?;
        check_eq!(reply.data.buffer, owner.endpoint.base);
    }
    Ok(())
}

fn rounding(cx: &mut Cx) -> Result<()> {
    let mut fill = Fill::new(cx, 16 * PAGE)?;
    let mut expected = 0;
    for (size, taken) in [(0, 8), (1, 8), (8, 8), (9, 16), (4095, 4096), (16, 16)] {
        let buffer = fill.place(size)?;
        check_eq!(fill.offset(&buffer), expected, "before {size} bytes");
        expected += taken;
    }
    // With an object: 24 bytes of data and 8 of offsets.
    let handle = give_node(&mut fill.owner, &mut fill.manager, NODE)?;
    let parcel = harness::Parcel::new().handle(handle);
    fill.manager
        .send(&[Call::oneway(handle).parcel(parcel).into()])?;
    complete(&mut fill.manager)?;
    let buffer = fill.owner.receive()?;
    check_eq!(fill.offset(&buffer), expected);
    let next = fill.place(1)?;
    check_eq!(fill.offset(&next), expected + 32);
    Ok(())
}

fn reply_takes_room(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_with_size(PAGE)?;
    let mut client = cx.client_with_size(4 * PAGE)?;
    let call = Call::to(0).data(&[1; PAGE as usize]);
    let data = round_trip(
        &mut client,
        &mut manager,
        call,
        Call::reply().data(&[2; 4 * PAGE as usize]),
    )?;
    check_eq!(data.len() as u64, 4 * PAGE);
    Ok(())
}

fn async_half(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager_with_size(4 * PAGE)?;
    let mut client = cx.client()?;
    let half = 2 * PAGE as usize;
    fails(
        &mut client,
        Call::oneway(0).data(&vec![0; half + 1]),
        BR_FAILED_REPLY,
        Some(Errno::ENOSPC),
    )?;
    client.send(&[Call::oneway(0).data(&vec![0; half - 64]).into()])?;
    complete(&mut client)?;
    fails(
        &mut client,
        Call::oneway(0).data(&[0; 65]),
        BR_FAILED_REPLY,
        Some(Errno::ENOSPC),
    )?;
    client.send(&[Call::oneway(0).data(&[0; 64]).into()])?;
    complete(&mut client)?;
    fails(
        &mut client,
        Call::oneway(0),
        BR_FAILED_REPLY,
        Some(Errno::ENOSPC),
    )
}

fn async_half_not_for_calls(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_with_size(4 * PAGE)?;
    let mut client = cx.client()?;
    client.send(&[Call::oneway(0).data(&[1; 2 * PAGE as usize]).into()])?;
    complete(&mut client)?;
    let waiting = manager.receive()?;
    round_trip(
        &mut client,
        &mut manager,
        Call::to(0).data(&[2; 2 * PAGE as usize]),
        Call::reply(),
    )?;
    fails(
        &mut client,
        Call::to(0).data(&[2; 2 * PAGE as usize + 1]),
        BR_FAILED_REPLY,
        Some(Errno::ENOSPC),
    )?;
    manager.free(&waiting)?;
    round_trip(
        &mut client,
        &mut manager,
        Call::to(0).data(&[2; 4 * PAGE as usize]),
        Call::reply(),
    )?;
    Ok(())
}

fn async_comes_back(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_with_size(PAGE)?;
    let mut client = cx.client()?;
    // Far more calls in all than the budget of 2048 bytes holds at once.
    for size in [0, 1, 7, 60, 0, 0, 0, 0, 0, 0, 0] {
        let calls: Vec<Bc> = (0..32)
            .map(|_| Call::oneway(0).data(&vec![0; size]).into())
            .collect();
        client.send(&calls)?;
        client.read()?;
        let mut done = Vec::new();
        for _ in 0..32 {
            let outcome = manager.exchange(&Exchange::write(&done).and_read())?.ok()?;
            let returns = outcome.returns()?;
            let Some(Br::Delivery(call)) = returns.last() else {
                bail!("{returns:?}")
            };
            done = vec![Bc::FreeBuffer(call.data.buffer)];
        }
        manager.send(&done)?;
    }
    client.send(&[Call::oneway(0).data(&[0; 2048]).into()])?;
    complete(&mut client)
}

fn async_empty(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_with_size(PAGE)?;
    let mut client = cx.client()?;
    for _ in 0..2048 / 8 / 32 {
        let calls: Vec<Bc> = (0..32).map(|_| Call::oneway(0).into()).collect();
        client.send(&calls)?;
        client.read()?;
    }
    fails(
        &mut client,
        Call::oneway(0),
        BR_FAILED_REPLY,
        Some(Errno::ENOSPC),
    )?;
    let call = manager.receive()?;
    manager.free(&call)?;
    client.send(&[Call::oneway(0).into()])?;
    complete(&mut client)?;
    fails(
        &mut client,
        Call::oneway(0),
        BR_FAILED_REPLY,
        Some(Errno::ENOSPC),
    )
}

fn async_failed_pays_back(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager_with_size(PAGE)?;
    let mut client = cx.client()?;
    for _ in 0..4 {
        let call = Call::oneway(0).data_at(8, 2048);
        fails(&mut client, call, BR_FAILED_REPLY, Some(Errno::EFAULT))?;
    }
    client.send(&[Call::oneway(0).data(&[0; 2048]).into()])?;
    complete(&mut client)
}

fn oneway_one_by_one(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut second = manager.spawn_thread()?;
    second.version()?.ok();
    let mut client = cx.client()?;
    for code in 1..=3 {
        client.send(&[Call::oneway(0).code(code).into()])?;
    }
    for code in 1..=3 {
        let call = manager.receive()?;
        check_eq!(call.data.code, code);
        expect_nothing(&mut second)?;
        expect_nothing(&mut manager)?;
        manager.free(&call)?;
    }
    expect_nothing(&mut manager)
}

fn oneway_per_node(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let (a, b) = (
        give_node(&mut owner, &mut manager, NODE)?,
        give_node(&mut owner, &mut manager, OTHER)?,
    );
    let calls = [(a, 1), (a, 2), (b, 3), (b, 4)];
    let calls: Vec<Bc> = calls
        .iter()
        .map(|(h, code)| Call::oneway(*h).code(*code).into())
        .collect();
    manager.send(&calls)?;
    let first = owner.receive()?;
    let third = owner.receive()?;
    check_eq!((first.data.code, third.data.code), (1, 3));
    expect_nothing(&mut owner)?;
    owner.free(&third)?;
    check_eq!(owner.receive()?.data.code, 4);
    owner.free(&first)?;
    check_eq!(owner.receive()?.data.code, 2);
    Ok(())
}

fn oneway_order(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut clients = [cx.client()?, cx.client()?, cx.client()?];
    for code in 0..30u32 {
        clients[code as usize % 3].send(&[Call::oneway(0).code(code).into()])?;
    }
    for code in 0..30 {
        let call = manager.receive()?;
        check_eq!(call.data.code, code);
        manager.free(&call)?;
    }
    Ok(())
}

fn call_overtakes_oneway(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let calls = [
        Call::oneway(0).code(1),
        Call::oneway(0).code(2),
        Call::to(0).code(3),
    ];
    client.send(&calls.map(Bc::from))?;
    let first = manager.receive()?;
    check_eq!(first.data.code, 1);
    let call = manager.receive()?;
    check_eq!(call.data.code, 3);
    manager.answer(&call, Call::reply())?;
    complete(&mut manager)?;
    manager.free(&first)?;
    check_eq!(manager.receive()?.data.code, 2);
    Ok(())
}

fn queue_dies(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let handle = give_node(&mut owner, &mut manager, NODE)?;
    manager.send(&[Bc::RequestDeath(handle, 1)])?;
    let calls: Vec<Bc> = (0..5)
        .map(|code| Call::oneway(handle).code(code).into())
        .collect();
    manager.send(&calls)?;
    owner.receive()?;
    manager.read()?;
    owner.kill()?;
    expect(&mut manager, &[BR_NOOP, BR_DEAD_BINDER])?;
    expect_nothing(&mut manager)
}

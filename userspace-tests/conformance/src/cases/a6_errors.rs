// SPDX-License-Identifier: GPL-2.0

//! Section A6: every way in which a call can fail at once.

use super::a6_objects::object_at;
use super::case;
use crate::fixtures::*;
use anyhow::Result;
use binder_abi::*;
use harness::case::round_trip;
use harness::device::USUAL_SIZE;
use harness::thread::PAGE;
use harness::{Bc, Call, Case, Cx, Errno, Parcel, Transactions, check_eq};

pub const CASES: &[Case] = &[
    case(
        "a6/unknown-handle",
        "a call to an unknown handle fails: EINVAL",
        unknown_handle,
    )
    .covers(&["A6.7"]),
    case(
        "a6/weak-handle",
        "a call to a handle held weakly fails: EINVAL",
        weak_handle,
    )
    .covers(&["A6.7"]),
    case(
        "a6/dead-node",
        "a call to a node whose owner died fails: dead, EINVAL",
        dead_node,
    )
    .covers(&["A6.8"]),
    case(
        "a6/no-manager",
        "a call to handle 0 without a manager fails: dead, EINVAL",
        no_manager,
    )
    .covers(&["A6.8"]),
    case(
        "a6/manager-to-itself",
        "the manager cannot call itself, by no descriptor: EINVAL",
        manager_to_itself,
    )
    .covers(&["A6.9"]),
    case(
        "a6/data-fault",
        "data that is not there: EFAULT",
        data_fault,
    )
    .covers(&["A6.28"]),
    case(
        "a6/data-fault-half-way",
        "data that ends half way: EFAULT, and the room is free again",
        data_fault_half_way,
    )
    .covers(&["A6.28"]),
    case(
        "a6/offsets-fault",
        "offsets that are not there: EFAULT",
        offsets_fault,
    )
    .covers(&["A6.19"]),
    case(
        "a6/offsets-fault-comes-first",
        "offsets that are not there: EFAULT, whatever is wrong with objects and sizes",
        offsets_fault_first,
    )
    .covers(&["A6.19"]),
    case(
        "a6/offsets-size-unaligned",
        "a size of offsets that is no multiple of 8: EINVAL",
        offsets_unaligned,
    )
    .covers(&["A6.20", "CVE-2023-21255"]),
    case(
        "a6/buffers-size-unaligned",
        "a size of buffers that is no multiple of 8: EINVAL",
        buffers_unaligned,
    )
    .covers(&["A6.20"]),
    case("a6/too-large", "data that does not fit: ENOSPC", too_large).covers(&["A6.18"]),
    case(
        "a6/absurd-sizes",
        "sizes that overflow when added: EINVAL",
        absurd_sizes,
    )
    .covers(&["A6.18"]),
    case(
        "a6/failure-leaves-no-buffer",
        "failed calls leave nothing in the receiver's space",
        leaves_no_buffer,
    ),
    case(
        "a6/oneway-fails-alike",
        "oneway calls fail in the same way",
        oneway_fails_alike,
    ),
];

fn unknown_handle(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    for handle in [1, 77, u32::MAX] {
        fails(
            &mut client,
            Call::to(handle),
            BR_FAILED_REPLY,
            Some(Errno::EINVAL),
        )?;
    }
    Ok(())
}

fn weak_handle(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    owner.send(&[Call::oneway(0)
        .parcel(Parcel::new().weak_binder(NODE.0, NODE.1))
        .into()])?;
    let call = manager.receive()?;
    let handle = manager.object(&call, 0)?.handle();
    fails(
        &mut manager,
        Call::to(handle),
        BR_FAILED_REPLY,
        Some(Errno::EINVAL),
    )?;
    fails(
        &mut manager,
        Call::oneway(handle),
        BR_FAILED_REPLY,
        Some(Errno::EINVAL),
    )
}

fn dead_node(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let handle = give_node(&mut owner, &mut manager, NODE)?;
    manager.send(&[Bc::RequestDeath(handle, 1)])?;
    owner.kill()?;
    expect(&mut manager, &[BR_NOOP, BR_DEAD_BINDER])?;
    fails(
        &mut manager,
        Call::to(handle),
        BR_DEAD_REPLY,
        Some(Errno::EINVAL),
    )?;
    fails(
        &mut manager,
        Call::oneway(handle),
        BR_DEAD_REPLY,
        Some(Errno::EINVAL),
    )
}

fn no_manager(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    fails(&mut client, Call::to(0), BR_DEAD_REPLY, Some(Errno::EINVAL))?;
    fails(
        &mut client,
        Call::oneway(0),
        BR_DEAD_REPLY,
        Some(Errno::EINVAL),
    )
}

fn manager_to_itself(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    fails(
        &mut manager,
        Call::to(0),
        BR_FAILED_REPLY,
        Some(Errno::EINVAL),
    )?;
    fails(
        &mut manager,
        Call::oneway(0),
        BR_FAILED_REPLY,
        Some(Errno::EINVAL),
    )?;
    manager.open(&cx.device)?;
    manager.map(USUAL_SIZE)?;
    manager.version()?.ok();
    fails(
        &mut manager,
        Call::to(0),
        BR_FAILED_REPLY,
        Some(Errno::EINVAL),
    )
}

fn data_fault(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    for address in [0, 8, u64::MAX - 64, 1 << 63] {
        fails(
            &mut client,
            Call::to(0).data_at(address, 16),
            BR_FAILED_REPLY,
            Some(Errno::EFAULT),
        )?;
    }
    Ok(())
}

fn data_fault_half_way(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_with_size(4 * PAGE)?;
    let mut client = cx.client()?;
    let page = client.page_before_hole()?;
    for _ in 0..3 {
        let call = Call::to(0).data_at(page + 100, 3 * PAGE);
        fails(&mut client, call, BR_FAILED_REPLY, Some(Errno::EFAULT))?;
    }
    round_trip(
        &mut client,
        &mut manager,
        Call::to(0).data(&[0; 4 * PAGE as usize]),
        Call::reply(),
    )?;
    Ok(())
}

fn offsets_fault(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    let call = Call::to(0).data(&[0; 64]).offsets_at(8, 16);
    fails(&mut client, call, BR_FAILED_REPLY, Some(Errno::EFAULT))?;
    let page = client.page_before_hole()?;
    let call = Call::to(0).data(&[0; 64]).offsets_at(page + PAGE - 8, 16);
    fails(&mut client, call, BR_FAILED_REPLY, Some(Errno::EFAULT))
}

fn offsets_fault_first(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    // Behind its last eight offsets, all of them zero, there are no more.
    let page = client.page_before_hole()?;
    let last = page + PAGE - 64;
    let unknown = Call::to(0).parcel(Parcel::new().handle(77));
    let wrong = [
        (unknown.clone(), 72),
        (unknown.clone(), 200),
        (unknown.clone(), 68),
        (Call::to(0).parcel(Parcel::new().bytes(&[0; 64])), 72),
        (unknown.buffers_size(4), 72),
    ];
    for (call, size) in wrong {
        let readable = call.clone().offsets_at(page, size);
        fails(&mut client, readable, BR_FAILED_REPLY, Some(Errno::EINVAL))?;
        let cut_off = call.offsets_at(last, size);
        fails(&mut client, cut_off, BR_FAILED_REPLY, Some(Errno::EFAULT))?;
    }
    Ok(())
}

fn offsets_unaligned(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    for size in [1, 4, 7, 9] {
        let call = Call::to(0)
            .parcel(Parcel::new().binder(1, 2).offset(0))
            .offsets_size(size);
        fails(&mut client, call, BR_FAILED_REPLY, Some(Errno::EINVAL))?;
    }
    Ok(())
}

fn buffers_unaligned(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    for size in [1, 4, 7, 9] {
        fails(
            &mut client,
            Call::to(0).buffers_size(size),
            BR_FAILED_REPLY,
            Some(Errno::EINVAL),
        )?;
    }
    Ok(())
}

fn too_large(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_with_size(2 * PAGE)?;
    let mut client = cx.client()?;
    let no_room = [
        Call::to(0).data_at(0, 2 * PAGE + 1),
        Call::to(0).data_at(0, u64::from(u32::MAX)),
        // Data and offsets share the room.
        Call::to(0).data_at(0, 2 * PAGE - 8).offsets_at(0, 16),
        Call::to(0).data_at(0, 2 * PAGE).buffers_size(8),
    ];
    for call in no_room {
        fails(&mut client, call, BR_FAILED_REPLY, Some(Errno::ENOSPC))?;
    }
    round_trip(
        &mut client,
        &mut manager,
        Call::to(0).data(&[1; 2 * PAGE as usize]),
        Call::reply(),
    )?;
    Ok(())
}

fn absurd_sizes(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    let overflowing = [
        Call::to(0).data_at(0, u64::MAX),
        Call::to(0).data_at(0, u64::MAX - 6),
        Call::to(0).data_at(0, 1 << 63).offsets_at(0, 1 << 63),
        Call::to(0).offsets_at(0, u64::MAX - 7).data_at(0, 16),
        Call::to(0).data_at(0, 16).buffers_size(u64::MAX - 7),
        Call::to(0).buffers_size(u64::MAX),
    ];
    for call in overflowing {
        fails(&mut client, call, BR_FAILED_REPLY, Some(Errno::EINVAL))?;
    }
    let call = Call::to(0).data_at(0, u64::MAX - 7);
    fails(&mut client, call, BR_FAILED_REPLY, Some(Errno::ENOSPC))
}

fn leaves_no_buffer(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_with_size(PAGE)?;
    let mut client = cx.client()?;
    let mut bad = Parcel::new()
        .binder(NODE.0, NODE.1)
        .weak_binder(OTHER.0, OTHER.1)
        .bytes(&[0; 3000]);
    bad.offsets.push(3000);
    for _ in 0..8 {
        client
            .write(&[Call::to(0).parcel(bad.clone()).into()])?
            .ok()?;
        let returns = client.read()?;
        check_eq!(returns.last().map(harness::Br::code), Some(BR_FAILED_REPLY));
        client.acknowledge(&returns)?;
    }
    while !client.try_read()?.is_empty() {}
    round_trip(
        &mut client,
        &mut manager,
        Call::to(0).data(&[1; PAGE as usize]),
        Call::reply(),
    )?;
    Ok(())
}

fn oneway_fails_alike(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    let flags = TF_ONE_WAY;
    fails(
        &mut client,
        object_at(3).flags(flags),
        BR_FAILED_REPLY,
        Some(Errno::EINVAL),
    )?;
    fails(
        &mut client,
        Call::oneway(0).data_at(8, 8),
        BR_FAILED_REPLY,
        Some(Errno::EFAULT),
    )?;
    fails(
        &mut client,
        Call::oneway(0).data_at(0, 1 << 30),
        BR_FAILED_REPLY,
        Some(Errno::ENOSPC),
    )
}

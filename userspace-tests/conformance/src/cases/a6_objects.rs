// SPDX-License-Identifier: GPL-2.0

//! Section A6: objects that a transaction may not hold.

use super::case;
use crate::fixtures::*;
use anyhow::{Context, Result};
use binder_abi::*;
use harness::thread::PAGE;
use harness::{Bc, Call, Case, Cx, Errno, Parcel, Transactions, check_eq};

pub const CASES: &[Case] = &[
    case(
        "a6/object-unaligned",
        "an object at an offset that is no multiple of 4: EINVAL",
        object_unaligned,
    )
    .covers(&["A6.22", "CVE-2024-26926"]),
    case(
        "a6/object-outside",
        "an object behind the data: EFAULT or EINVAL",
        object_outside,
    )
    .covers(&["A6.21"]),
    case(
        "a6/object-cut",
        "an object the data cuts off: EINVAL",
        object_cut,
    )
    .covers(&["A6.22"]),
    case(
        "a6/object-unknown",
        "an object of unknown type: EINVAL",
        object_unknown,
    )
    .covers(&["A6.22"]),
    case(
        "a6/objects-overlap",
        "objects that overlap: EINVAL",
        objects_overlap,
    )
    .covers(&["A6.22"]),
    case(
        "a6/objects-backwards",
        "objects out of order: refused",
        objects_backwards,
    )
    .covers(&["A6.22"]),
    case(
        "a6/object-fault",
        "an object in memory that is not there: refused",
        object_fault,
    )
    .covers(&["A6.21"]),
];

/// Sends a node object whose only offset is the given one.
pub(super) fn object_at(offset: u64) -> Call {
    let mut parcel = Parcel::new().binder(NODE.0, NODE.1).bytes(&[0; 8]);
    parcel.offsets = vec![offset];
    Call::to(0).parcel(parcel)
}

fn object_unaligned(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    for offset in [1, 2, 3] {
        fails(
            &mut client,
            object_at(offset),
            BR_FAILED_REPLY,
            Some(Errno::EINVAL),
        )?;
        // Also if that is where it is.
        let mut parcel = Parcel::new().binder(NODE.0, NODE.1).bytes(&[0; 8]);
        parcel.data.splice(..0, vec![0; offset as usize]);
        parcel.offsets = vec![offset];
        fails(
            &mut client,
            Call::to(0).parcel(parcel),
            BR_FAILED_REPLY,
            Some(Errno::EINVAL),
        )?;
    }
    Ok(())
}

fn object_outside(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    // The data in between would have to be copied first.
    for offset in [36, 4096, 1 << 32, u64::MAX, u64::MAX - 3] {
        fails(
            &mut client,
            object_at(offset),
            BR_FAILED_REPLY,
            Some(Errno::EFAULT),
        )?;
    }
    // At the very end there is nothing to copy, and no object.
    fails(
        &mut client,
        object_at(32),
        BR_FAILED_REPLY,
        Some(Errno::EINVAL),
    )?;
    fails(
        &mut client,
        Call::to(0).parcel(Parcel::new().offset(0)),
        BR_FAILED_REPLY,
        Some(Errno::EINVAL),
    )
}

fn object_cut(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    for size in [0, 3, 4, 8, 20, 23] {
        let mut parcel = Parcel::new().binder(NODE.0, NODE.1);
        parcel.data.truncate(size);
        fails(
            &mut client,
            Call::to(0).parcel(parcel),
            BR_FAILED_REPLY,
            Some(Errno::EINVAL),
        )?;
    }
    Ok(())
}

fn object_unknown(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    for kind in [0, 1, BINDER_TYPE_BINDER ^ 1, BINDER_TYPE_FD << 8, u32::MAX] {
        let object = FlatObject {
            hdr: ObjectHeader { kind },
            ..FlatObject::default()
        };
        let parcel = Parcel::new().object(&object).bytes(&[0; 64]);
        fails(
            &mut client,
            Call::to(0).parcel(parcel),
            BR_FAILED_REPLY,
            Some(Errno::EINVAL),
        )?;
    }
    Ok(())
}

fn objects_overlap(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    // The second offset points into the first object, then at it again.
    for offset in [0, 4, 20] {
        let parcel = Parcel::new()
            .binder(NODE.0, NODE.1)
            .bytes(&[0; 24])
            .offset(offset);
        let call: Bc = Call::to(0).parcel(parcel).into();
        client.write(&[call])?.ok()?;
        client.read()?;
        let (command, param) = error_of(&mut client)?;
        check_eq!(command, BR_FAILED_REPLY);
        cx.note(&format!("second object at {offset}"), param);
    }
    Ok(())
}

fn objects_backwards(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut parcel = Parcel::new()
        .binder(NODE.0, NODE.1)
        .binder(OTHER.0, OTHER.1);
    parcel.offsets.reverse();
    client.write(&[Call::to(0).parcel(parcel).into()])?.ok()?;
    let returns = client.read()?;
    check_eq!(returns.last().map(harness::Br::code), Some(BR_FAILED_REPLY));
    let (_, param) = error_of(&mut client)?;
    cx.note("reason", param);
    Ok(())
}

fn object_fault(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    let page = client.page_before_hole()?;
    let parcel = Parcel::new().binder(NODE.0, NODE.1);
    let end = page + PAGE;
    client.poke(end - 16, &parcel.data[..16])?.context("poke")?;
    client.poke(page, &0u64.to_le_bytes())?.context("poke")?;
    client
        .write(&[Call::to(0).data_at(end - 16, 24).offsets_at(page, 8).into()])?
        .ok()?;
    expect(&mut client, &[BR_NOOP, BR_FAILED_REPLY])?;
    let (_, param) = error_of(&mut client)?;
    cx.note("reason", param);
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0

//! Section A7: buffers that point to one another: the addresses that the driver puts
//! into parents, and the order in which it must be asked to.

use super::case;
use crate::buffers::*;
use crate::fixtures::*;
use anyhow::{Context, Result};
use binder_abi::*;
use harness::thread::PAGE;
use harness::{Bc, Call, Case, Cx, Errno, Parcel, Transactions, check, check_eq};

pub const CASES: &[Case] = &[
    case(
        "a7/sg-pointer-in-parent",
        "a parent holds its child's address, and else what was sent",
        pointer_in_parent,
    )
    .covers(&["A7.5"]),
    case(
        "a7/sg-pointer-anywhere",
        "the address may lie at any multiple of four, up to the last eight bytes",
        pointer_anywhere,
    )
    .covers(&["A7.5"]),
    case(
        "a7/sg-pointer-unaligned",
        "an address at an offset that is no multiple of four: EINVAL",
        pointer_unaligned,
    )
    .covers(&["A6.27"]),
    case(
        "a7/sg-pointer-over-pages",
        "the address may lie across the border of two pages",
        pointer_over_pages,
    )
    .covers(&["A7.5"]),
    case(
        "a7/sg-many-pointers",
        "a parent may hold nothing but addresses",
        many_pointers,
    )
    .covers(&["A7.5", "A7.6"]),
    case(
        "a7/sg-chain",
        "buffers may be nested as deep as one likes",
        chain,
    )
    .covers(&["A7.6"]),
    case(
        "a7/sg-tree",
        "after a nested buffer it may go on in any of its ancestors",
        tree,
    )
    .covers(&["A7.6"]),
    case(
        "a7/sg-empty-child",
        "an empty child has an address all the same",
        empty_child,
    ),
    case(
        "a7/sg-objects-between",
        "other objects between parent and child do no harm",
        objects_between,
    ),
    case(
        "a7/sg-backwards",
        "addresses in a parent go upwards without overlap: EINVAL",
        backwards,
    )
    .covers(&["A7.6", "A6.27"]),
    case(
        "a7/sg-closed-sibling",
        "a buffer is closed when its sibling follows: EINVAL",
        closed_sibling,
    )
    .covers(&["A7.6", "A6.27"]),
    case(
        "a7/sg-closed-root",
        "a buffer is closed when one without parent follows: EINVAL",
        closed_root,
    )
    .covers(&["A7.6", "A6.27"]),
    case(
        "a7/sg-parent-index",
        "a parent is an object before the child: EINVAL",
        parent_index,
    )
    .covers(&["A6.27", "CVE-2020-0041"]),
    case(
        "a7/sg-parent-type",
        "a parent is a buffer and no other object: EINVAL",
        parent_type,
    )
    .covers(&["A6.27"]),
    case(
        "a7/sg-parent-too-short",
        "an address has to fit into its parent: EINVAL",
        parent_too_short,
    )
    .covers(&["A6.27"]),
    case(
        "a7/sg-parent-at-start-of-data",
        "a buffer whose object is the first byte of the data is no parent: EINVAL",
        parent_at_start,
    )
    .covers(&["A7.6"]),
    case(
        "a7/sg-refused-leaves-nothing",
        "what a refused tree took is given back",
        refused_leaves_nothing,
    )
    .covers(&["A9.2", "CVE-2021-46935"]),
];

fn pointer_in_parent(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let parcel = parcel()
        .buffer(&filled(32, 1), alone())
        .buffer(b"child", inside(0, 16));
    let call = deliver(&mut client, &mut manager, parcel, 40)?;
    let expected = with_pointers(filled(32, 1), &[(16, area(&call) + 32)]);
    check_eq!(buffer(&mut manager, &call, 0)?, (0, expected));
    check_eq!(buffer(&mut manager, &call, 1)?, (32, b"child".to_vec()));
    let child: BufferObject = object(&mut manager, &call, 1)?;
    check_eq!(
        (child.flags, child.parent, child.parent_offset),
        (BINDER_BUFFER_FLAG_HAS_PARENT, 0, 16)
    );
    Ok(())
}

fn pointer_anywhere(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    for offset in [0, 4, 8, 12, 20, 28] {
        let parcel = parcel()
            .buffer(&filled(36, 1), alone())
            .buffer(b"child", inside(0, offset));
        let call = deliver(&mut client, &mut manager, parcel, 48)?;
        let expected = with_pointers(filled(36, 1), &[(offset as usize, area(&call) + 40)]);
        check_eq!(
            buffer(&mut manager, &call, 0)?,
            (0, expected),
            "at {offset}"
        );
        manager.free(&call)?;
    }
    Ok(())
}

fn pointer_unaligned(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_with_size(PAGE)?;
    let mut client = cx.client()?;
    for offset in [1, 2, 3, 5, 7, 13, 29] {
        let parcel = parcel()
            .buffer(&filled(37, 1), alone())
            .buffer(b"child", inside(0, offset));
        refused(&mut client, parcel, 48, Errno::EINVAL)?;
    }
    nothing_left(&mut client, &mut manager)
}

fn pointer_over_pages(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let length = 3 * PAGE as usize;
    let sent = filled(length, 0);
    // The buffer does not begin at a page, so every place is tried.
    for offset in (PAGE as usize - 128..PAGE as usize + 8).step_by(4) {
        let parcel = parcel()
            .buffer(&sent, alone())
            .buffer(b"child", inside(0, offset as u64));
        let call = deliver(&mut client, &mut manager, parcel, length as u64 + 8)?;
        let address = area(&call) + length as u64;
        let expected = with_pointers(sent.clone(), &[(offset, address)]);
        let (_, content) = buffer(&mut manager, &call, 0)?;
        check!(content == expected, "the parent differs with {offset}");
        manager.free(&call)?;
    }
    Ok(())
}

fn many_pointers(cx: &mut Cx) -> Result<()> {
    const COUNT: u64 = 60;
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let root = parcel().buffer(&[0xEE; 8 * COUNT as usize], alone());
    let parcel = (0..COUNT).fold(root, |p, i| p.buffer(&[i as u8; 5], inside(0, 8 * i)));
    let call = deliver(&mut client, &mut manager, parcel, 16 * COUNT)?;
    let (_, content) = buffer(&mut manager, &call, 0)?;
    for i in 0..COUNT {
        let address = pointer(&content, 8 * i as usize);
        check_eq!(address, area(&call) + 8 * COUNT + 8 * i, "child {i}");
        check_eq!(manager.peek(address, 5)?, Ok(vec![i as u8; 5]));
    }
    Ok(())
}

fn chain(cx: &mut Cx) -> Result<()> {
    const DEPTH: u64 = 50;
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let root = parcel().buffer(&filled(24, 0), alone());
    let parcel = (1..DEPTH).fold(root, |p, i| {
        p.buffer(&filled(24, i as u8), inside(i - 1, 8))
    });
    let call = deliver(&mut client, &mut manager, parcel, 24 * DEPTH)?;
    for i in 0..DEPTH {
        let pointers = [(8, area(&call) + 24 * (i + 1))];
        let expected = match i + 1 {
            DEPTH => filled(24, i as u8),
            _ => with_pointers(filled(24, i as u8), &pointers),
        };
        check_eq!(buffer(&mut manager, &call, i)?, (24 * i, expected));
    }
    Ok(())
}

fn tree(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let trees: [&[Option<(u64, u64)>]; 6] = [
        &[
            None,
            Some((0, 0)),
            Some((0, 16)),
            Some((2, 0)),
            Some((0, 24)),
        ],
        &[None, Some((0, 0)), Some((1, 0)), Some((2, 0)), Some((0, 8))],
        &[
            None,
            Some((0, 0)),
            Some((1, 8)),
            Some((2, 16)),
            Some((1, 16)),
            Some((0, 8)),
        ],
        // Two trees, one after the other.
        &[None, Some((0, 0)), None, Some((2, 8)), Some((2, 16))],
        &[None, None, Some((1, 24))],
        &[None, Some((0, 4)), Some((0, 12)), Some((0, 20))],
    ];
    for members in trees {
        let room = room_for(members);
        let call = deliver(&mut client, &mut manager, family(members), room)?;
        related(&mut manager, &call, members)?;
        manager.free(&call)?;
    }
    Ok(())
}

fn empty_child(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let parcel = parcel()
        .buffer(&[1; 16], alone())
        .object(&at(0, 0, inside(0, 0)))
        .buffer(b"x", inside(0, 8));
    let call = deliver(&mut client, &mut manager, parcel, 24)?;
    let (_, content) = buffer(&mut manager, &call, 0)?;
    let next = area(&call) + 16;
    check_eq!((pointer(&content, 0), pointer(&content, 8)), (next, next));
    Ok(())
}

fn objects_between(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let parcel = parcel()
        .binder(NODE.0, NODE.1)
        .buffer(&[1; 32], alone())
        .fd(0, 0)
        .buffer(b"2", inside(1, 0))
        .bytes(&[0; 8])
        .weak_binder(NODE.0, NODE.1)
        .buffer(b"3", inside(1, 8));
    client.send(&[Call::oneway(0).parcel(parcel).buffers_size(48).into()])?;
    let call = manager.receive()?;
    let (_, content) = buffer(&mut manager, &call, 1)?;
    check_eq!(
        (pointer(&content, 0), pointer(&content, 8)),
        (area(&call) + 32, area(&call) + 40)
    );
    Ok(())
}

/// All of these are refused.
fn all_refused(cx: &mut Cx, families: &[&[Option<(u64, u64)>]]) -> Result<()> {
    let mut manager = cx.manager_with_size(PAGE)?;
    let mut client = cx.client()?;
    for members in families {
        let room = room_for(members);
        refused(&mut client, family(members), room, Errno::EINVAL)
            .with_context(|| format!("{members:?}"))?;
    }
    nothing_left(&mut client, &mut manager)
}

fn backwards(cx: &mut Cx) -> Result<()> {
    all_refused(
        cx,
        &[
            &[None, Some((0, 16)), Some((0, 0))],
            &[None, Some((0, 8)), Some((0, 8))],
            &[None, Some((0, 8)), Some((0, 15))],
            &[None, Some((0, 8)), Some((0, 1))],
            &[None, Some((0, 8)), Some((1, 8)), Some((0, 15))],
            &[None, Some((0, 8)), Some((1, 8)), Some((1, 0))],
        ],
    )
}

fn closed_sibling(cx: &mut Cx) -> Result<()> {
    all_refused(
        cx,
        &[
            &[None, Some((0, 0)), Some((0, 8)), Some((1, 0))],
            &[None, Some((0, 0)), Some((1, 0)), Some((0, 8)), Some((1, 8))],
            &[None, Some((0, 0)), Some((1, 0)), Some((1, 8)), Some((2, 0))],
        ],
    )
}

fn closed_root(cx: &mut Cx) -> Result<()> {
    all_refused(
        cx,
        &[
            &[None, None, Some((0, 0))],
            &[None, Some((0, 0)), None, Some((0, 8))],
            &[None, Some((0, 0)), None, Some((1, 0))],
        ],
    )
}

fn parent_index(cx: &mut Cx) -> Result<()> {
    let beyond = [
        1,
        2,
        3,
        1 << 32,
        u64::MAX,
        u64::MAX >> 3,
        (u64::MAX >> 3) + 1,
    ];
    for index in beyond {
        // The child is object 1: itself, behind it, and where a product overflows.
        all_refused(cx, &[&[None, Some((index, 0))]])?;
        all_refused(cx, &[&[None, Some((index, 0)), None, None]])?;
    }
    all_refused(cx, &[&[Some((0, 0))], &[Some((1, 0)), None]])
}

fn parent_type(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let others = [
        parcel().weak_binder(NODE.0, NODE.1),
        parcel().fd(0, 0),
        parcel().buffer(&[1; 32], alone()).fd_array(0, 0, 0),
    ];
    for other in others {
        let index = other.offsets.len() as u64 - 1;
        let parcel = other.buffer(b"child", inside(index, 0));
        client
            .write(&[Call::to(0).parcel(parcel).buffers_size(40).into()])?
            .ok()?;
        let returns = client.read()?;
        check_eq!(returns.last().map(harness::Br::code), Some(BR_FAILED_REPLY));
        check_eq!(
            error_of(&mut client)?,
            (BR_FAILED_REPLY, param(Some(Errno::EINVAL)))
        );
        client.acknowledge(&returns)?;
    }
    expect_nothing(&mut manager)
}

fn parent_too_short(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_with_size(PAGE)?;
    let mut client = cx.client()?;
    for (length, offset) in [
        (0, 0),
        (7, 0),
        (8, 1),
        (16, 9),
        (16, 12),
        (16, 16),
        (16, 17),
        (16, u64::MAX),
        (16, u64::MAX - 7),
        (9, 1 << 32),
    ] {
        let parcel = parcel()
            .buffer(&vec![1; length], alone())
            .buffer(b"child", inside(0, offset));
        refused(&mut client, parcel, 32, Errno::EINVAL)?;
    }
    nothing_left(&mut client, &mut manager)
}

fn parent_at_start(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let family = |parcel: Parcel| {
        parcel
            .buffer(&[1; 16], alone())
            .buffer(b"child", inside(0, 0))
    };
    refused(&mut client, family(Parcel::new()), 24, Errno::EINVAL)?;
    let call = deliver(
        &mut client,
        &mut manager,
        family(Parcel::new().bytes(&[0; 4])),
        24,
    )?;
    manager.free(&call)
}

fn refused_leaves_nothing(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_with_size(PAGE)?;
    let mut client = cx.client()?;
    let bad: &[Option<(u64, u64)>] = &[None, Some((0, 8)), Some((1, 0)), Some((0, 0))];
    let call: Bc = Call::oneway(0)
        .parcel(family(bad))
        .buffers_size(1024)
        .into();
    for _ in 0..10 {
        client.write(std::slice::from_ref(&call))?.ok()?;
        expect(&mut client, &[BR_NOOP, BR_FAILED_REPLY])?;
    }
    // The budget of oneway calls is whole again, and so is the space.
    let parcel = parcel().buffer(&[1; 8], alone());
    let rest = PAGE / 2 - parcel.data.len() as u64 - 8;
    let call = deliver(&mut client, &mut manager, parcel, rest)?;
    manager.free(&call)?;
    nothing_left(&mut client, &mut manager)
}

// SPDX-License-Identifier: GPL-2.0

//! Section A7: arrays of files in buffers: which are taken, and under what numbers
//! the files arrive.  What becomes of them later is in `a7_fd_close`.

use super::case;
use crate::buffers::*;
use crate::fixtures::*;
use anyhow::{Context, Result};
use binder_abi::*;
use harness::thread::PAGE;
use harness::{Case, Cx, Errno, Parcel, Transactions, check_eq};

pub const CASES: &[Case] = &[
    case(
        "a7/fda-files-arrive",
        "the files of an array arrive under the lowest free numbers, in order",
        files_arrive,
    )
    .covers(&["A7.4"]),
    case(
        "a7/fda-object-fields",
        "the object of an array arrives as it was sent",
        object_fields,
    ),
    case(
        "a7/fda-other-bytes-kept",
        "of the buffer only the array itself is changed",
        other_bytes_kept,
    ),
    case(
        "a7/fda-close-on-exec",
        "files of an array are closed on exec",
        close_on_exec,
    ),
    case(
        "a7/fda-empty",
        "an array without files is taken, even at the end of its buffer",
        empty,
    )
    .covers(&["A7.4", "CVE-2026-23194"]),
    case(
        "a7/fda-empty-anywhere",
        "an array without files is taken behind its buffer and by any node",
        empty_anywhere,
    )
    .covers(&["CVE-2026-23194"]),
    case(
        "a7/fda-empty-keeps-order",
        "an array without files needs a parent, and what follows has to lie behind it",
        empty_keeps_order,
    )
    .covers(&["A7.6", "A6.26", "CVE-2026-23194"]),
    case(
        "a7/fda-too-many",
        "an array that does not fit into its buffer: EINVAL",
        too_many,
    )
    .covers(&["A6.26"]),
    case(
        "a7/fda-misaligned",
        "an array at an address that is no multiple of four, at either end: EINVAL",
        misaligned,
    )
    .covers(&["A6.26"]),
    case(
        "a7/fda-parent",
        "an array needs a buffer before it: EINVAL",
        bad_parent,
    )
    .covers(&["A6.26", "CVE-2020-0041"]),
    case(
        "a7/fda-bad-number",
        "a number in an array that is not open: EBADF",
        bad_number,
    )
    .covers(&["A6.25"]),
    case(
        "a7/fda-node-refuses",
        "a node that takes no files takes no arrays: EPERM",
        node_refuses,
    )
    .covers(&["A6.25"]),
    case(
        "a7/fda-several",
        "several arrays in one buffer, and in several",
        several,
    )
    .covers(&["A7.4"]),
    case(
        "a7/fda-and-pointers",
        "arrays and addresses share a buffer, upwards and without overlap",
        and_pointers,
    )
    .covers(&["A7.6"]),
    case(
        "a7/fda-in-nested-buffer",
        "an array may lie in a buffer that has a parent",
        in_nested_buffer,
    )
    .covers(&["A7.4", "A7.5"]),
    case(
        "a7/fda-and-single-files",
        "files are numbered in the order of their objects",
        and_single_files,
    ),
];

fn files_arrive(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let pipes = [pipe(&mut client)?, pipe(&mut client)?, pipe(&mut client)?];
    let ends = pipes.map(|(_, write)| write);
    for count in [1, 2, 3] {
        let first = next_fd(&mut manager)?;
        let sent = array(parcel(), &ends[..count]);
        let call = deliver(&mut client, &mut manager, sent, 16)?;
        let fds = numbers_of(&mut manager, &call, 0)?;
        check_eq!(fds, (first..first + count as i32).collect::<Vec<i32>>());
        for (fd, (read, _)) in fds.iter().zip(pipes) {
            check_eq!(put_byte(&mut manager, *fd, *fd as u8)?, Ok(1));
            check_eq!(get_byte(&mut client, read)?, Some(*fd as u8));
        }
        manager.free(&call)?;
    }
    Ok(())
}

fn object_fields(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let sent = FdArrayObject {
        hdr: ObjectHeader {
            kind: BINDER_TYPE_FDA,
        },
        pad: 0x1234_5678,
        num_fds: 2,
        parent: 0,
        parent_offset: 4,
    };
    let parcel = parcel()
        .buffer(&numbers(&[9, 0, 0, 9]), alone())
        .object(&sent);
    let call = deliver(&mut client, &mut manager, parcel, 16)?;
    let seen: FdArrayObject = object(&mut manager, &call, 1)?;
    check_eq!(seen, sent);
    Ok(())
}

fn other_bytes_kept(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    for (before, behind) in [(0, 12), (4, 0), (12, 5), (100, 4096)] {
        let mut content = vec![0xAB; before];
        content.extend(numbers(&[0, 1, 2]));
        content.extend(vec![0xCD; behind]);
        let parcel = parcel()
            .buffer(&content, alone())
            .fd_array(3, 0, before as u64);
        let first = next_fd(&mut manager)?;
        let call = deliver(
            &mut client,
            &mut manager,
            parcel,
            padded(content.len() as u64),
        )?;
        let array = numbers(&[first, first + 1, first + 2]);
        content[before..before + 12].copy_from_slice(&array);
        check_eq!(buffer(&mut manager, &call, 0)?, (0, content));
        manager.free(&call)?;
    }
    Ok(())
}

fn close_on_exec(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let call = deliver(&mut client, &mut manager, array(parcel(), &[0, 1]), 8)?;
    for fd in numbers_of(&mut manager, &call, 0)? {
        let flags = manager.must(libc::SYS_fcntl, &[fd as u64, libc::F_GETFD as u64])?;
        check_eq!(flags, i64::from(libc::FD_CLOEXEC));
    }
    Ok(())
}

fn empty(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    for (length, offset) in [(8, 0), (8, 4), (8, 8), (0, 0), (16, 16)] {
        let content = vec![0x61; length];
        let parcel = parcel().buffer(&content, alone()).fd_array(0, 0, offset);
        let first = next_fd(&mut manager)?;
        let call = deliver(&mut client, &mut manager, parcel, length as u64)?;
        check_eq!(buffer(&mut manager, &call, 0)?, (0, content));
        manager.free(&call)?;
        check_eq!(next_fd(&mut manager)?, first, "{length} bytes, at {offset}");
    }
    Ok(())
}

fn empty_anywhere(cx: &mut Cx) -> Result<()> {
    // The manager's node takes no files.
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    for offset in [0, 3, 9, 1 << 40, u64::MAX] {
        let parcel = parcel().buffer(&[1; 8], alone()).fd_array(0, 0, offset);
        let call = deliver(&mut client, &mut manager, parcel, 8)?;
        let seen: FdArrayObject = object(&mut manager, &call, 1)?;
        check_eq!((seen.num_fds, seen.parent_offset), (0, offset));
        manager.free(&call)?;
    }
    Ok(())
}

fn empty_keeps_order(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let root = || parcel().buffer(&[1; 24], alone());
    for bad in [
        parcel().fd_array(0, 0, 0),
        root().fd_array(0, 1, 0),
        root().fd_array(0, 2, 0),
        root().buffer(&[2; 8], alone()).fd_array(0, 0, 0),
        root().buffer(&[2; 8], inside(0, 8)).fd_array(0, 0, 15),
        root().fd_array(0, 0, 12).fd_array(0, 0, 8),
        root().fd_array(0, 0, 12).buffer(&[2; 8], inside(0, 8)),
        root()
            .fd_array(0, 0, u64::MAX)
            .buffer(&[2; 8], inside(0, 8)),
    ] {
        refused(&mut client, bad, 32, Errno::EINVAL)?;
    }
    let good = root()
        .fd_array(0, 0, 12)
        .fd_array(0, 0, 12)
        .buffer(&[2; 8], inside(0, 12));
    let call = deliver(&mut client, &mut manager, good, 32)?;
    let (_, content) = buffer(&mut manager, &call, 0)?;
    check_eq!(pointer(&content, 12), area(&call) + 24);
    Ok(())
}

fn too_many(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    for (length, count, offset) in [
        (8, 3, 0),
        (8, 2, 4),
        (8, 1, 8),
        (7, 2, 0),
        (0, 1, 0),
        (8, 1, u64::MAX - 3),
        (8, 1, 1 << 32),
        (8, u64::MAX, 0),
        (8, 1 << 62, 0),
        (8, (1 << 62) + 2, 0),
        (8, u64::MAX / 4, 0),
        (8, u64::MAX / 4 - 1, 0),
        (8, 1 << 61, 0),
        (8, 1 << 63, 0),
    ] {
        let parcel = parcel()
            .buffer(&vec![0; length], alone())
            .fd_array(count, 0, offset);
        refused(&mut client, parcel, 8, Errno::EINVAL)
            .with_context(|| format!("{count} at {offset} of {length}"))?;
    }
    Ok(())
}

fn misaligned(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let page = client.allocate(PAGE)?;
    for offset in [1, 2, 3, 5] {
        let parcel = parcel().buffer(&[0; 16], alone()).fd_array(1, 0, offset);
        refused(&mut client, parcel, 16, Errno::EINVAL)?;
        let parcel = |at_offset| parcel_at(page + offset).fd_array(1, 0, at_offset);
        // The sender's array is what counts here, not the start of its buffer.
        refused(&mut client, parcel(0), 16, Errno::EINVAL)?;
        refused(&mut client, parcel(4 - offset % 4), 16, Errno::EINVAL)?;
    }
    let call = deliver(
        &mut client,
        &mut manager,
        parcel_at(page + 4).fd_array(1, 0, 4),
        16,
    )?;
    manager.free(&call)
}

fn parcel_at(address: u64) -> Parcel {
    parcel().object(&at(address, 16, alone()))
}

fn bad_parent(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let fds = || numbers(&[0, 0]);
    for bad in [
        // No parent, itself, behind it, far away.
        parcel().fd_array(1, 0, 0),
        parcel().buffer(&fds(), alone()).fd_array(1, 1, 0),
        parcel()
            .buffer(&fds(), alone())
            .fd_array(1, 2, 0)
            .buffer(&fds(), alone()),
        parcel().buffer(&fds(), alone()).fd_array(1, 1 << 61, 0),
        parcel().buffer(&fds(), alone()).fd_array(1, u64::MAX, 0),
        // No buffer.
        parcel().fd(0, 0).fd_array(1, 0, 0),
        parcel()
            .buffer(&fds(), alone())
            .fd_array(1, 0, 0)
            .fd_array(1, 1, 0),
        // A buffer that is closed, or that lies at the start of the data.
        parcel()
            .buffer(&fds(), alone())
            .buffer(&fds(), alone())
            .fd_array(1, 0, 0),
        Parcel::new().buffer(&fds(), alone()).fd_array(1, 0, 0),
    ] {
        refused(&mut client, bad, 24, Errno::EINVAL)?;
    }
    Ok(())
}

fn bad_number(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    for fds in [
        &[999][..],
        &[0, 999],
        &[-1],
        &[0, 1, i32::MIN],
        &[i32::MAX, 0],
    ] {
        refused(&mut client, array(parcel(), fds), 16, Errno::EBADF)?;
    }
    Ok(())
}

fn node_refuses(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    // That is found out before the number is looked at, but behind the array's place.
    refused(&mut client, array(parcel(), &[0]), 8, Errno::EPERM)?;
    refused(&mut client, array(parcel(), &[999]), 8, Errno::EPERM)?;
    let beyond = parcel().buffer(&[0; 8], alone()).fd_array(3, 0, 0);
    refused(&mut client, beyond, 8, Errno::EINVAL)
}

fn several(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let first = next_fd(&mut manager)?;
    let parcel = parcel()
        .buffer(&numbers(&[0, 1, 77, 2, 0]), alone())
        .fd_array(2, 0, 0)
        .fd_array(2, 0, 12)
        .buffer(&numbers(&[78, 1, 79]), alone())
        .fd_array(1, 3, 4);
    let call = deliver(&mut client, &mut manager, parcel, 40)?;
    check_eq!(
        numbers_of(&mut manager, &call, 0)?,
        [first, first + 1, 77, first + 2, first + 3]
    );
    check_eq!(numbers_of(&mut manager, &call, 3)?, [78, first + 4, 79]);
    Ok(())
}

fn and_pointers(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let root = || parcel().buffer(&numbers(&[0; 10]), alone());
    let child = |p: Parcel, offset| p.buffer(&[5; 8], inside(0, offset));
    for overlapping in [
        child(root().fd_array(2, 0, 8), 12),
        child(root().fd_array(2, 0, 8), 0),
        child(root(), 8).fd_array(2, 0, 12),
        child(root(), 8).fd_array(2, 0, 0),
        root().fd_array(2, 0, 8).fd_array(1, 0, 12),
        root().fd_array(2, 0, 8).fd_array(1, 0, 4),
    ] {
        refused(&mut client, overlapping, 48, Errno::EINVAL)?;
    }
    let first = next_fd(&mut manager)?;
    let sent = child(root().fd_array(2, 0, 0), 8).fd_array(1, 0, 16);
    let sent = child(sent, 20).fd_array(3, 0, 28);
    let call = deliver(&mut client, &mut manager, sent, 56)?;
    let (_, content) = buffer(&mut manager, &call, 0)?;
    let mut expected = numbers(&[first, first + 1]);
    expected.extend((area(&call) + 40).to_le_bytes());
    expected.extend(numbers(&[first + 2]));
    expected.extend((area(&call) + 48).to_le_bytes());
    expected.extend(numbers(&[first + 3, first + 4, first + 5]));
    check_eq!(content, expected);
    Ok(())
}

fn in_nested_buffer(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let first = next_fd(&mut manager)?;
    // As a handle with files and numbers lies in a structure.
    let parcel = parcel()
        .buffer(&[1; 24], alone())
        .buffer(&numbers(&[12, 2, 1, 0, 1, 66]), inside(0, 8))
        .fd_array(2, 1, 12)
        .buffer(b"next", inside(0, 16));
    let call = deliver(&mut client, &mut manager, parcel, 56)?;
    let (_, root) = buffer(&mut manager, &call, 0)?;
    check_eq!(
        (pointer(&root, 8), pointer(&root, 16)),
        (area(&call) + 24, area(&call) + 48)
    );
    check_eq!(
        numbers_of(&mut manager, &call, 1)?,
        [12, 2, 1, first, first + 1, 66]
    );
    Ok(())
}

fn and_single_files(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_for_files()?;
    let mut client = cx.client()?;
    let first = next_fd(&mut manager)?;
    let sent = array(parcel().fd(0, 0), &[0, 0]).fd(0, 0);
    let call = deliver(&mut client, &mut manager, sent, 8)?;
    let before: FdObject = object(&mut manager, &call, 0)?;
    let behind: FdObject = object(&mut manager, &call, 3)?;
    check_eq!((before.fd as i32, behind.fd as i32), (first, first + 3));
    check_eq!(numbers_of(&mut manager, &call, 1)?, [first + 1, first + 2]);
    Ok(())
}

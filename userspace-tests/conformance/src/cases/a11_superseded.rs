// SPDX-License-Identifier: GPL-2.0

//! Section A11: what becomes of a oneway call that another took the place of.

use super::a11_update::{HEAD, Line, update};
use super::case;
use crate::buffers;
use crate::fixtures::*;
use anyhow::{Context, Result};
use binder_abi::*;
use harness::thread::PAGE;
use harness::{
    Bc, Br, Call, Case, Cx, Errno, Missed, Parcel, Thread, Transactions, check, check_eq,
};

pub const CASES: &[Case] = &[
    case(
        "a11/update-drops-files",
        "the files of a superseded call are let go",
        drops_files,
    )
    .covers(&["CVE-2026-98777"]),
    case(
        "a11/update-files-of-others-stay",
        "of an array that nobody received no number is closed, at either end",
        files_of_others,
    )
    .covers(&["CVE-2026-98778"]),
    case(
        "a11/update-drops-nodes",
        "nodes and handles of a superseded call are let go",
        drops_nodes,
    ),
    case(
        "a11/update-gives-room-back",
        "the room of a superseded call is free again",
        gives_room_back,
    ),
    case(
        "a11/update-needs-room-first",
        "there has to be room for the new call beside the old one",
        needs_room_first,
    ),
    case(
        "a11/update-clears-buffer",
        "a superseded call with TF_CLEAR_BUF is zeroed",
        clears_buffer,
    ),
    case(
        "a11/update-counts-as-one",
        "a superseded call is no work any more",
        counts_as_one,
    ),
];

fn hung_up(thread: &mut Thread, fd: i32) -> Result<bool> {
    use harness::wire::Argument::{Memory, Value};
    let mut question = fd.to_le_bytes().to_vec();
    question.extend([0; 4]);
    let arguments = vec![Memory(question), Value(1), Value(0)];
    let (result, memory) = thread.syscall_with(libc::SYS_poll, arguments)?;
    result.context("poll")?;
    let revents = i16::from_le_bytes([memory[0][6], memory[0][7]]);
    Ok(revents & libc::POLLHUP != 0)
}

fn drops_files(cx: &mut Cx) -> Result<()> {
    let mut line = Line::with(cx.manager_for_files()?, cx)?;
    let (reading, writing) = pipe(&mut line.client)?;
    let (kept_reading, kept_writing) = pipe(&mut line.client)?;
    line.send(update(1).parcel(Parcel::new().fd(writing, 0).fd(writing, 0)))?;
    close(&mut line.client, writing)?;
    check!(
        !hung_up(&mut line.client, reading)?,
        "the call does not hold its file"
    );
    line.send(update(1).parcel(Parcel::new().fd(kept_writing, 0)))?;
    close(&mut line.client, kept_writing)?;
    check!(
        hung_up(&mut line.client, reading)?,
        "the superseded call holds its file"
    );
    check_eq!(get_byte(&mut line.client, reading)?, None);
    check!(
        !hung_up(&mut line.client, kept_reading)?,
        "the other's, too"
    );
    // The file of the newest arrives, under the next number.
    check_eq!(line.freezer.thaw(line.manager.pid())?, Ok(()));
    let head = line.manager.receive()?;
    line.manager.free(&head)?;
    let next = next_fd(&mut line.manager)?;
    let call = line.manager.receive()?;
    let fd = line.manager.object(&call, 0)?.handle() as i32;
    check_eq!(fd, next);
    put_byte(&mut line.manager, fd, 7)?.context("write")?;
    check_eq!(get_byte(&mut line.client, kept_reading)?, Some(7));
    Ok(())
}

fn files_of_others(cx: &mut Cx) -> Result<()> {
    let mut line = Line::with(cx.manager_for_files()?, cx)?;
    let (reading, writing) = pipe(&mut line.client)?;
    // Numbers that are open in sender and receiver alike.
    let sockets = [3, 4, 5];
    for fd in sockets {
        check!(is_open(&mut line.client, fd)? && is_open(&mut line.manager, fd)?);
    }
    let array = || {
        let fds = buffers::numbers(&[3, 4, 5, writing]);
        let parcel = Parcel::new().bytes(&[0; 8]);
        let parcel = parcel.buffer(&fds, buffers::alone());
        update(1).parcel(parcel.fd_array(4, 0, 0)).buffers_size(16)
    };
    for _ in 0..3 {
        line.send(array())?;
    }
    close(&mut line.client, writing)?;
    check!(!hung_up(&mut line.client, reading)?, "the newest holds it");
    line.send(update(1))?;
    check!(
        hung_up(&mut line.client, reading)?,
        "none holds it any more"
    );
    for fd in sockets {
        check!(is_open(&mut line.client, fd)?, "{fd} of the sender");
        check!(is_open(&mut line.manager, fd)?, "{fd} of the receiver");
    }
    line.arrives(&[HEAD, 1])
}

fn drops_nodes(cx: &mut Cx) -> Result<()> {
    let mut line = Line::new(cx)?;
    let node = Parcel::new().binder(NODE.0, NODE.1);
    line.client.send(&[update(1).parcel(node.clone()).into()])?;
    let returns = line.client.read()?;
    line.client.acknowledge(&returns)?;
    // Of the same node: nothing is told, as the new one holds it as well.
    line.send(update(1).parcel(node))?;
    // Of another one: the first is let go, and its handle is free for the next.
    let other = Parcel::new().binder(OTHER.0, OTHER.1);
    line.client.send(&[update(1).parcel(other).into()])?;
    let mut codes: Vec<u32> = Vec::new();
    for returned in line.client.read()? {
        if let Br::Node(BR_RELEASE | BR_DECREFS, node) = returned {
            check_eq!((node.ptr, node.cookie), NODE);
        }
        codes.push(returned.code());
    }
    cx.note("told of nodes", &codes);
    codes.extend(line.client.try_read()?.iter().map(Br::code));
    for code in [BR_INCREFS, BR_ACQUIRE, BR_RELEASE, BR_DECREFS] {
        let times = codes.iter().filter(|each| **each == code).count();
        check_eq!(times, 1, "{}", harness::returns::name(code));
    }
    check_eq!(line.freezer.thaw(line.manager.pid())?, Ok(()));
    let head = line.manager.receive()?;
    line.manager.free(&head)?;
    let last = line.manager.receive()?;
    let handle = line.manager.object(&last, 0)?.handle();
    line.manager
        .send(&[Bc::Acquire(handle), Bc::FreeBuffer(last.data.buffer)])?;
    // The superseded one's handle was free before.
    check_eq!(handle, 2);
    check_eq!(give_node(&mut line.client, &mut line.manager, (9, 9))?, 1);
    Ok(())
}

fn gives_room_back(cx: &mut Cx) -> Result<()> {
    let mut line = Line::with(cx.manager_with_size(4 * PAGE)?, cx)?;
    for content in 0..50 {
        line.send(update(1).data(&[content; 4000]))?;
    }
    line.arrives(&[HEAD, 1])?;
    // All of it is free: both halves.
    line.client
        .send(&[Call::oneway(0).data(&[1; 2 * PAGE as usize]).into()])?;
    complete(&mut line.client)?;
    let call = line.manager.receive()?;
    check_eq!(call.data.buffer, line.manager.endpoint.base);
    Ok(())
}

fn needs_room_first(cx: &mut Cx) -> Result<()> {
    // 8192 bytes for oneway calls, 8 of them with the head of the line.
    let mut line = Line::with(cx.manager_with_size(4 * PAGE)?, cx)?;
    line.send(update(1).data(&[1; 4096]))?;
    let why = Some(Errno::ENOSPC);
    let too_large = update(1).data(&[2; 4096]);
    fails(&mut line.client, too_large, BR_FAILED_REPLY, why)?;
    // The old one is not superseded by what failed.
    line.send(update(1).data(&[3; 4088]))?;
    check_eq!(line.freezer.thaw(line.manager.pid())?, Ok(()));
    let head = line.manager.receive()?;
    line.manager.free(&head)?;
    let call = line.manager.receive()?;
    check_eq!(line.manager.data(&call)?, [3; 4088]);
    line.manager.free(&call)?;
    expect_nothing(&mut line.manager)
}

fn clears_buffer(cx: &mut Cx) -> Result<()> {
    for (flags, left) in [(0, 7), (TF_CLEAR_BUF, 0)] {
        let mut line = Line::new(cx)?;
        let call = |content: u8| update(1).flags(flags).data(&[content; 64]);
        line.send(call(7))?;
        line.send(call(8))?;
        // Behind the head's eight bytes lies the first.
        let place = line.manager.endpoint.base + 8;
        check_eq!(line.manager.peek(place, 64)?, Ok(vec![left; 64]));
        check_eq!(line.manager.peek(place + 64, 64)?, Ok(vec![8; 64]));
        line.manager.kill()?;
        cx.wait_for_vacancy()?;
    }
    Ok(())
}

fn counts_as_one(cx: &mut Cx) -> Result<()> {
    let mut line = Line::new(cx)?;
    for _ in 0..5 {
        line.send(update(1))?;
    }
    let pid = line.manager.pid();
    check_eq!(line.freezer.freeze(pid)?, Err(Errno::EAGAIN));
    line.arrives(&[HEAD, 1])?;
    check_eq!(line.freezer.missed(pid)?, Ok(Missed::NOTHING));
    check_eq!(line.freezer.freeze(pid)?, Ok(()));
    Ok(())
}

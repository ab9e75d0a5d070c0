// SPDX-License-Identifier: GPL-2.0

//! Section A6: what the extended error holds after every kind of transaction, and
//! what a failed reply leaves of the call.

use super::case;
use crate::fixtures::*;
use anyhow::{Context, Result};
use binder_abi::*;
use harness::case::{become_manager, round_trip};
use harness::thread::PAGE;
use harness::{
    Bc, Br, Call, Case, Cx, Errno, Parcel, Process, Transactions, check, check_eq, check_returns,
};

pub const CASES: &[Case] = &[
    case(
        "a6/error-after-success",
        "after a transaction that works the extended error has its number, and no error",
        after_success,
    ),
    case(
        "a6/error-numbers-grow",
        "transactions are numbered upwards, whether they work or not",
        numbers_grow,
    ),
    case(
        "a6/error-of-every-failed-call",
        "every reason for which calls fail is told with the call's number",
        every_failed_call,
    ),
    case(
        "a6/error-of-failed-reply",
        "both ends of a reply that fails are told its number, the caller the reason",
        of_failed_reply,
    ),
    case(
        "a6/error-of-every-failed-reply",
        "every reason for which replies fail is told to the caller",
        every_failed_reply,
    ),
    case(
        "a6/error-ends-with-next-transaction",
        "the next transaction begins a new extended error",
        ends_with_next,
    ),
    case(
        "a6/error-is-the-thread's",
        "threads of a process do not see one another's extended errors",
        is_the_threads,
    ),
    case(
        "a6/failed-reply-ends-call",
        "a reply that fails ends its call; the one below it can be answered",
        failed_reply_ends_call,
    )
    .covers(&["A6.4"]),
    case(
        "a6/failed-reply-restores-nice",
        "a reply that fails gives the thread its nice value back",
        failed_reply_restores_nice,
    )
    .covers(&["A6.4"]),
    case(
        "a6/label-and-absurd-room",
        "room for buffers that overflows together with the label: EINVAL",
        label_and_absurd_room,
    )
    .covers(&["A6.16"]),
    case(
        "a6/two-files-of-a-process",
        "two files of one process may call one another; oneway calls name no process",
        two_files,
    )
    .covers(&["A19.9", "A3.1"]),
    case(
        "a6/flags-of-replies",
        "TF_ACCEPT_FDS, TF_STATUS_CODE and TF_ROOT_OBJECT arrive, in calls and replies",
        flags_of_replies,
    ),
];

/// The extended error, which is empty then.
fn taken(thread: &mut harness::Thread) -> Result<ExtendedError> {
    let error = thread.extended_error()?;
    let empty = ExtendedError {
        id: 0,
        command: BR_OK,
        param: 0,
    };
    check_eq!(thread.extended_error()?, empty, "read once");
    Ok(error)
}

fn after_success(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    for call in [Call::oneway(0), Call::to(0)] {
        client.send(&[call.into()])?;
        let error = taken(&mut client)?;
        check!(error.id != 0, "a number");
        check_eq!((error.command, error.param), (BR_OK, 0));
        // Who receives sends nothing.
        let received = manager.receive()?;
        check_eq!(taken(&mut manager)?.id, 0);
        if received.data.flags & TF_ONE_WAY == 0 {
            manager.answer(&received, Call::reply())?;
            let error = taken(&mut manager)?;
            check!(error.id != 0, "a reply has a number, too");
            check_eq!((error.command, error.param), (BR_OK, 0));
            complete(&mut manager)?;
        } else {
            manager.free(&received)?;
            complete(&mut client)?;
        }
    }
    client.receive()?;
    check_eq!(taken(&mut client)?.id, 0, "receiving is no transaction");
    Ok(())
}

fn numbers_grow(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut last = 0;
    for call in [
        Call::oneway(0),
        Call::oneway(77),
        Call::to(77),
        Call::oneway(0),
        Call::oneway(0).data_at(8, 8),
        Call::reply(),
        Call::oneway(0),
    ] {
        client.write(&[call.into()])?.ok()?;
        let error = taken(&mut client)?;
        check!(error.id > last, "{} follows {last}", error.id);
        last = error.id;
        client.read()?;
    }
    Ok(())
}

fn every_failed_call(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager_with_size(PAGE)?;
    let mut client = cx.client()?;
    let unknown = FlatObject::default();
    let reasons: &[(Call, Errno)] = &[
        (Call::reply(), Errno::EPROTO),
        (Call::to(77), Errno::EINVAL),
        (Call::to(0).data_at(0, PAGE + 1), Errno::ENOSPC),
        (Call::to(0).data_at(0, u64::MAX), Errno::EINVAL),
        (Call::to(0).data(&[0; 8]).offsets_at(8, 8), Errno::EFAULT),
        (
            Call::to(0)
                .data(&[0; 8])
                .offsets_at(8, 0)
                .offsets_size(0)
                .buffers_size(4),
            Errno::EINVAL,
        ),
        (
            Call::to(0)
                .parcel(Parcel::new().binder(1, 1))
                .offsets_size(4),
            Errno::EINVAL,
        ),
        (Call::to(0).data_at(8, 8), Errno::EFAULT),
        (
            Call::to(0).parcel(Parcel::new().object(&unknown)),
            Errno::EINVAL,
        ),
        (Call::to(0).parcel(Parcel::new().handle(77)), Errno::EINVAL),
        (Call::to(0).parcel(Parcel::new().fd(0, 0)), Errno::EPERM),
    ];
    let mut last = 0;
    for (call, why) in reasons {
        for flags in [0, TF_ONE_WAY] {
            client.write(&[call.clone().flags(flags).into()])?.ok()?;
            let error = taken(&mut client)?;
            check!(error.id > last, "{} follows {last}", error.id);
            last = error.id;
            check_eq!(
                (error.command, error.param),
                (BR_FAILED_REPLY, param(Some(*why))),
                "{call:?}"
            );
            check_returns!(client.read()?, [BR_NOOP, BR_FAILED_REPLY]);
        }
    }
    Ok(())
}

fn of_failed_reply(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::to(0).into()])?;
    let call = manager.receive()?;
    manager.write(&[Call::reply().data_at(8, 8).into()])?.ok()?;
    let (replier, caller) = (taken(&mut manager)?, taken(&mut client)?);
    check_eq!((replier.command, replier.param), (BR_OK, 0));
    check_eq!(
        (caller.command, caller.param),
        (BR_FAILED_REPLY, param(Some(Errno::EFAULT)))
    );
    check_eq!(replier.id, caller.id, "the number of the reply");
    complete(&mut manager)?;
    manager.free(&call)
}

fn every_failed_reply(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client_with_size(PAGE)?;
    let reasons: &[(Call, Errno)] = &[
        (Call::reply().data_at(0, PAGE + 1), Errno::ENOSPC),
        (Call::reply().data_at(0, u64::MAX), Errno::EINVAL),
        (Call::reply().data(&[0; 8]).offsets_at(8, 8), Errno::EFAULT),
        (Call::reply().buffers_size(4), Errno::EINVAL),
        (Call::reply().data_at(8, 8), Errno::EFAULT),
        (
            Call::reply().parcel(Parcel::new().object(&FlatObject::default())),
            Errno::EINVAL,
        ),
        (
            Call::reply().parcel(Parcel::new().handle(77)),
            Errno::EINVAL,
        ),
        (Call::reply().parcel(Parcel::new().fd(0, 0)), Errno::EPERM),
    ];
    for (reply, why) in reasons {
        let call = call_received(&mut client, &mut manager)?;
        manager.write(&[reply.clone().into()])?.ok()?;
        complete(&mut manager)?;
        manager.free(&call)?;
        check_returns!(
            client.read()?,
            [BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY]
        );
        check_eq!(
            error_of(&mut client)?,
            (BR_FAILED_REPLY, param(Some(*why))),
            "{reply:?}"
        );
    }
    round_trip(&mut client, &mut manager, Call::to(0), Call::reply()).map(drop)
}

fn ends_with_next(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    client.write(&[Call::to(77).into()])?.ok()?;
    client.read()?;
    client.send(&[Call::to(0).into()])?;
    // The failure before is forgotten, so that the reply's is told.
    manager.receive()?;
    manager.write(&[Call::reply().data_at(8, 8).into()])?.ok()?;
    check_eq!(
        error_of(&mut client)?,
        (BR_FAILED_REPLY, param(Some(Errno::EFAULT)))
    );
    client.read()?;
    client.write(&[Call::to(77).into()])?.ok()?;
    client.read()?;
    client.send(&[Call::oneway(0).into()])?;
    check_eq!(error_of(&mut client)?, (BR_OK, 0));
    Ok(())
}

fn is_the_threads(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = client.spawn_thread()?;
    other.version()?.ok();
    client.write(&[Call::to(77).into()])?.ok()?;
    check_eq!(taken(&mut other)?.id, 0);
    other.send(&[Call::oneway(0).into()])?;
    let (failed, sent) = (taken(&mut client)?, taken(&mut other)?);
    check_eq!(failed.command, BR_FAILED_REPLY);
    check!(sent.id > failed.id, "{} follows {}", sent.id, failed.id);
    Ok(())
}

fn failed_reply_ends_call(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let handle = give_node(&mut client, &mut manager, NODE)?;
    let outer = call_received(&mut client, &mut manager)?;
    manager.send(&[Call::to(handle).into()])?;
    let middle = client.receive()?;
    client.send(&[Call::to(0).into()])?;
    let inner = manager.receive()?;
    manager.write(&[Call::reply().data_at(8, 8).into()])?.ok()?;
    complete(&mut manager)?;
    manager.free(&inner)?;
    let returns = client.read()?;
    check_eq!(returns.last(), Some(&Br::Plain(BR_FAILED_REPLY)));
    // The manager waits for the middle call again, and has nothing to answer.
    fails(
        &mut manager,
        Call::reply(),
        BR_FAILED_REPLY,
        Some(Errno::EPROTO),
    )?;
    client.write(&[Call::reply().data_at(8, 8).into()])?.ok()?;
    complete(&mut client)?;
    client.free(&middle)?;
    check_eq!(manager.read()?.last(), Some(&Br::Plain(BR_FAILED_REPLY)));
    manager.answer(&outer, Call::reply().data(b"outer"))?;
    complete(&mut manager)?;
    let reply = client.receive()?;
    check_eq!(client.data(&reply)?, b"outer");
    // Nothing is left to answer on either side.
    for thread in [&mut manager, &mut client] {
        fails(thread, Call::reply(), BR_FAILED_REPLY, Some(Errno::EPROTO))?;
    }
    Ok(())
}

/// The nice value of a process's first thread.
fn nice(process: &mut Process) -> Result<i64> {
    // The system call tells 20 minus the nice value.
    Ok(20 - process.must(libc::SYS_getpriority, &[0, 0])?)
}

fn failed_reply_restores_nice(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.process()?;
    let mut client = cx.client()?;
    // What the thread is given back is what it had while it waited: the value the
    // process had when it opened the device.
    manager.must(libc::SYS_setpriority, &[0, 0, 15])?;
    manager.open(&cx.device)?;
    manager.map(PAGE)?;
    manager.version()?.context("BINDER_VERSION")?;
    become_manager(&mut manager, FlatObject::default())?;
    client.must(libc::SYS_setpriority, &[0, 0, 5])?;
    let call = call_received(&mut client, &mut manager)?;
    check!(
        nice(&mut manager)? < 15,
        "the thread serves at a better one"
    );
    manager.write(&[Call::reply().data_at(8, 8).into()])?.ok()?;
    check_eq!(nice(&mut manager)?, 15);
    complete(&mut manager)?;
    manager.free(&call)
}

fn label_and_absurd_room(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager_with(FlatObject {
        flags: FLAT_BINDER_FLAG_TXN_SECURITY_CTX,
        ..FlatObject::default()
    })?;
    let mut client = cx.client()?;
    for room in [u64::MAX - 7, u64::MAX] {
        fails(
            &mut client,
            Call::to(0).buffers_size(room),
            BR_FAILED_REPLY,
            Some(Errno::EINVAL),
        )?;
    }
    // Where the sum does not overflow there is no such room.
    fails(
        &mut client,
        Call::to(0).buffers_size(1 << 62),
        BR_FAILED_REPLY,
        Some(Errno::ENOSPC),
    )?;
    client.send(&[Call::to(0).buffers_size(64).into()])?;
    check_eq!(manager.receive()?.code, BR_TRANSACTION_SEC_CTX);
    Ok(())
}

fn two_files(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut first = cx.client()?;
    let handle = give_node(&mut first, &mut manager, NODE)?;
    // Another thread of the process, with a file of its own.
    let mut second = first.spawn_thread()?;
    second.open(&cx.device)?;
    second.map(PAGE)?;
    second.version()?.context("BINDER_VERSION")?;
    let passed = pass_handle(&mut manager, &mut second, handle)?;
    let oneway = Call::oneway(passed).code(1);
    second.send(&[oneway.into(), Call::to(passed).code(2).into()])?;
    let call = first.receive()?;
    check_eq!((call.data.code, call.data.sender_pid), (1, 0));
    first.free(&call)?;
    let call = first.receive()?;
    let pid = first.pid();
    check_eq!((call.data.code, call.data.sender_pid), (2, pid));
    check_eq!((call.data.target, call.data.cookie), NODE);
    first.answer(&call, Call::reply().data(b"from me"))?;
    let reply = second.receive()?;
    check_eq!(second.data(&reply)?, b"from me");
    Ok(())
}

fn flags_of_replies(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    for flags in [
        0,
        TF_ACCEPT_FDS,
        TF_STATUS_CODE,
        TF_ROOT_OBJECT,
        TF_CLEAR_BUF,
        TF_UPDATE_TXN,
        TF_ACCEPT_FDS | TF_STATUS_CODE | TF_ROOT_OBJECT | 0x8000_0000,
    ] {
        client.send(&[Call::to(0).flags(flags).data(b"c").into()])?;
        let call = manager.receive()?;
        check_eq!(call.data.flags, flags);
        manager.answer(&call, Call::reply().flags(flags).data(b"r"))?;
        complete(&mut manager)?;
        let reply = client.receive()?;
        check_eq!((reply.code, reply.data.flags), (BR_REPLY, flags));
        client.send(&[Bc::FreeBuffer(reply.data.buffer)])?;
    }
    Ok(())
}

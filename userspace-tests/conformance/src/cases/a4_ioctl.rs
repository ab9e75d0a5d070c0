// SPDX-License-Identifier: GPL-2.0

//! Section A4: which ioctls there are and what they say to bad arguments.

use super::case;
use crate::fixtures::*;
use anyhow::{Context, Result};
use binder_abi::ioc::{io, iow};
use binder_abi::*;
use harness::{Bc, Call, Case, Cx, Errno, Exchange, Transactions, check, check_eq, check_returns};

/// An address where nothing is.
const NOWHERE: u64 = 8;

pub const CASES: &[Case] = &[
    case("a4/version", "the protocol has version 8", version).covers(&["A4.5"]),
    case(
        "a4/unknown-ioctls",
        "ioctls nobody serves give EINVAL",
        unknown_ioctls,
    )
    .covers(&["A4.12"]),
    case(
        "a4/bad-pointers",
        "an argument that is not there gives EFAULT or EINVAL, ioctl by ioctl",
        bad_pointers,
    ),
    case(
        "a4/empty-exchange",
        "an exchange that neither writes nor reads succeeds",
        empty_exchange,
    ),
    case(
        "a4/write-error-clears-read",
        "when writing fails read_consumed is 0",
        write_error_clears_read,
    )
    .covers(&["A4.1"]),
    case(
        "a4/write-resumes",
        "writing starts where write_consumed says",
        write_resumes,
    )
    .covers(&["A4.1"]),
    case(
        "a4/write-nothing-left",
        "a write buffer that is consumed is left alone",
        write_nothing_left,
    ),
    case(
        "a4/write-fault",
        "commands that are not there give EFAULT behind the last one done",
        write_fault,
    )
    .covers(&["A4.1", "A5.2"]),
    case(
        "a4/read-fault",
        "a read buffer that is not there gives EFAULT",
        read_fault,
    )
    .covers(&["A4.1"]),
    case(
        "a4/max-threads-any",
        "any number is taken as the limit of threads",
        max_threads_any,
    )
    .covers(&["A4.2"]),
    case(
        "a4/thread-exit",
        "a thread that left is new when it comes back",
        thread_exit,
    )
    .covers(&["A4.4"]),
    case(
        "a4/extended-error-cleared",
        "the extended error is handed out once",
        extended_error_cleared,
    )
    .covers(&["A4.11", "A19.22"]),
    case(
        "a4/extended-error-after-success",
        "a transaction that is sent leaves no error of one before it, but its number",
        extended_error_after_success,
    )
    .covers(&["A4.11"]),
    case(
        "a4/extended-error-per-thread",
        "threads do not see each other's errors",
        extended_error_per_thread,
    )
    .covers(&["A4.11"]),
    case(
        "a4/node-debug-info",
        "a process can walk its nodes in order",
        node_debug_info,
    )
    .covers(&["A4.7"]),
    case(
        "a4/spam-detection-switch",
        "oneway spam detection can be switched on and off",
        spam_detection_switch,
    )
    .covers(&["A4.10"]),
];

fn version(cx: &mut Cx) -> Result<()> {
    let mut client = cx.process()?;
    client.open(&cx.device)?;
    check_eq!(
        client.version()?,
        Ok(BINDER_CURRENT_PROTOCOL_VERSION as i32)
    );
    Ok(())
}

fn unknown_ioctls(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    let memory = client.allocate(harness::thread::PAGE)?;
    let unknown = [
        BINDER_SET_IDLE_TIMEOUT,
        BINDER_SET_IDLE_PRIORITY,
        io(b'b', 9),
        iow::<[u8; 47]>(b'b', 1),
        iow::<u32>(b'b', 18),
        iow::<u32>(b'c', 5),
        binder_abi::binderfs::BINDER_CTL_ADD,
        0,
        u32::MAX,
    ];
    for number in unknown {
        check_eq!(
            client.ioctl_raw(number, memory)?,
            Err(Errno::EINVAL),
            "{number:#x}"
        );
    }
    Ok(())
}

fn bad_pointers(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    let expected = [
        (BINDER_WRITE_READ, Errno::EFAULT),
        (BINDER_SET_MAX_THREADS, Errno::EINVAL),
        (BINDER_SET_CONTEXT_MGR_EXT, Errno::EINVAL),
        (BINDER_VERSION, Errno::EINVAL),
        (BINDER_GET_NODE_DEBUG_INFO, Errno::EFAULT),
        (BINDER_GET_NODE_INFO_FOR_REF, Errno::EFAULT),
        (BINDER_ENABLE_ONEWAY_SPAM_DETECTION, Errno::EFAULT),
        (BINDER_GET_EXTENDED_ERROR, Errno::EFAULT),
    ];
    for (number, errno) in expected {
        check_eq!(
            client.ioctl_raw(number, NOWHERE)?,
            Err(errno),
            "{number:#x}"
        );
    }
    // These two do not look at their argument.
    check_eq!(client.ioctl_raw(BINDER_THREAD_EXIT, NOWHERE)?, Ok(0));
    check_eq!(client.ioctl_raw(BINDER_SET_CONTEXT_MGR, NOWHERE)?, Ok(0));
    Ok(())
}

fn empty_exchange(cx: &mut Cx) -> Result<()> {
    let mut client = cx.unmapped()?;
    let outcome = client.exchange(&Exchange::default())?.ok()?;
    check_eq!((outcome.write_consumed, outcome.read_consumed), (0, 0));
    Ok(())
}

fn write_error_clears_read(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    let commands = [Bc::EnterLooper, Bc::raw(0, &0u64)];
    let exchange = Exchange::write(&commands).and_read().read_consumed(64);
    let outcome = client.exchange(&exchange)?;
    check_eq!(outcome.result, Err(Errno::EINVAL));
    check_eq!((outcome.write_consumed, outcome.read_consumed), (4, 0));
    check_eq!(outcome.touched(), 0, "nothing is read when writing failed");
    Ok(())
}

fn write_resumes(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    let commands = [Bc::raw(0, &0u64), Bc::EnterLooper];
    let outcome = client
        .exchange(&Exchange::write(&commands).write_consumed(12))?
        .ok()?;
    check_eq!(outcome.write_consumed, 16);
    Ok(())
}

fn write_nothing_left(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    for consumed in [4, 8, 1 << 20] {
        let outcome = client
            .exchange(&Exchange::write(&[Bc::raw(0, &())]).write_consumed(consumed))?
            .ok()?;
        check_eq!(outcome.write_consumed, consumed);
    }
    Ok(())
}

fn write_fault(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    let page = client.page_before_hole()?;
    let end = page + harness::thread::PAGE;
    // One whole command, then one whose payload lies in the hole.
    let mut bytes = BC_ENTER_LOOPER.to_le_bytes().to_vec();
    bytes.extend(BC_FREE_BUFFER.to_le_bytes());
    client.poke(end - 8, &bytes)?.context("poke")?;
    for (start, size, consumed) in [(end - 8, 16, 4), (end - 4, 12, 0), (end, 8, 0), (0, 4, 0)] {
        let argument = WriteRead {
            write_size: size,
            write_buffer: start,
            read_consumed: 9,
            ..WriteRead::default()
        };
        let bytes = zerocopy::IntoBytes::as_bytes(&argument).to_vec();
        let arguments = vec![
            harness::wire::Argument::Value(client.endpoint.fd as u64),
            harness::wire::Argument::Value(u64::from(BINDER_WRITE_READ)),
            harness::wire::Argument::Memory(bytes),
        ];
        let (result, memory) = client.syscall_with(libc::SYS_ioctl, arguments)?;
        check_eq!(result, Err(Errno::EFAULT));
        let after = <WriteRead as zerocopy::FromBytes>::read_from_bytes(&memory[0])
            .ok()
            .context("size")?;
        check_eq!((after.write_consumed, after.read_consumed), (consumed, 0));
    }
    Ok(())
}

fn read_fault(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    let outcome = client.exchange(&Exchange::read().read_buffer(NOWHERE))?;
    check_eq!(outcome.result, Err(Errno::EFAULT));
    check_eq!(outcome.read_consumed, 0);
    Ok(())
}

fn max_threads_any(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    for number in [0, 1, 15, u32::MAX] {
        check_eq!(client.ioctl(BINDER_SET_MAX_THREADS, number)?, Ok(number));
    }
    Ok(())
}

fn thread_exit(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    expect_nothing(&mut client)?;
    check_eq!(client.ioctl(BINDER_THREAD_EXIT, 0i32)?, Ok(0));
    // The first read of a new thread does not wait.
    check_returns!(client.read()?, [BR_NOOP]);
    expect_nothing(&mut client)?;
    // A thread the driver has never seen may leave as well.
    let mut fresh = client.spawn_thread()?;
    check_eq!(fresh.ioctl(BINDER_THREAD_EXIT, 0i32)?, Ok(0));
    check_eq!(fresh.ioctl(BINDER_THREAD_EXIT, 0i32)?, Ok(0));
    Ok(())
}

fn extended_error_cleared(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    let fresh = ExtendedError {
        id: 0,
        command: BR_OK,
        param: 0,
    };
    check_eq!(client.extended_error()?, fresh);
    client.write(&[Call::to(77).into()])?.ok()?;
    let error = client.extended_error()?;
    check_eq!(
        (error.command, error.param),
        (BR_FAILED_REPLY, param(Some(Errno::EINVAL)))
    );
    check!(error.id != 0, "transactions are numbered");
    check_eq!(client.extended_error()?, fresh);
    expect(&mut client, &[BR_NOOP, BR_FAILED_REPLY])?;
    client.write(&[Call::to(77).into()])?.ok()?;
    let next = client.extended_error()?;
    check!(
        next.id > error.id,
        "numbers grow: {} after {}",
        next.id,
        error.id
    );
    Ok(())
}

fn extended_error_after_success(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    client.write(&[Call::to(77).into()])?.ok()?;
    expect(&mut client, &[BR_NOOP, BR_FAILED_REPLY])?;
    client.send(&[Call::oneway(0).into()])?;
    let error = client.extended_error()?;
    check_eq!((error.command, error.param), (BR_OK, 0));
    check!(error.id != 0, "transactions are numbered");
    Ok(())
}

fn extended_error_per_thread(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    let mut other = client.spawn_thread()?;
    client.write(&[Call::to(77).into()])?.ok()?;
    check_eq!(error_of(&mut other)?, (BR_OK, 0));
    check_eq!(
        error_of(&mut client)?,
        (BR_FAILED_REPLY, param(Some(Errno::EINVAL)))
    );
    Ok(())
}

fn node_debug_info(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let after = |ptr| NodeDebugInfo {
        ptr,
        ..NodeDebugInfo::default()
    };
    check_eq!(
        owner.ioctl(BINDER_GET_NODE_DEBUG_INFO, after(0))?,
        Ok(after(0))
    );
    give_node(&mut owner, &mut manager, OTHER)?;
    owner.send(&[Call::oneway(0)
        .parcel(harness::Parcel::new().weak_binder(NODE.0, NODE.1))
        .into()])?;
    let returns = owner.read()?;
    check_returns!(returns, [BR_NOOP, BR_INCREFS, BR_TRANSACTION_COMPLETE]);
    let info = |ptr, cookie, strong| NodeDebugInfo {
        ptr,
        cookie,
        has_strong_ref: strong,
        has_weak_ref: 1,
    };
    let mut walk = |ptr| owner.ioctl(BINDER_GET_NODE_DEBUG_INFO, after(ptr));
    check_eq!(walk(0)?, Ok(info(NODE.0, NODE.1, 0)));
    check_eq!(walk(NODE.0 - 1)?, Ok(info(NODE.0, NODE.1, 0)));
    check_eq!(walk(NODE.0)?, Ok(info(OTHER.0, OTHER.1, 1)));
    check_eq!(walk(OTHER.0)?, Ok(after(0)));
    Ok(())
}

fn spam_detection_switch(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    for value in [1u32, 0, 7] {
        check_eq!(
            client.ioctl(BINDER_ENABLE_ONEWAY_SPAM_DETECTION, value)?,
            Ok(value)
        );
    }
    Ok(())
}

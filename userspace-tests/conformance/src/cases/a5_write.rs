// SPDX-License-Identifier: GPL-2.0

//! Section A5: the write loop.

use super::case;
use crate::fixtures::*;
use anyhow::Result;
use binder_abi::*;
use harness::{Bc, Call, Case, Cx, Errno, Exchange, Transactions, check_eq, check_returns};

pub const CASES: &[Case] = &[
    case(
        "a5/failed-transaction-stops-write",
        "what follows a failed transaction waits for the next write",
        failed_stops,
    )
    .covers(&["A5.1", "A19.2"]),
    case(
        "a5/failed-oneway-stops-write",
        "a failed oneway call stops the write as well",
        failed_oneway_stops,
    )
    .covers(&["A5.1"]),
    case(
        "a5/several-transactions",
        "one write can hold several oneway calls",
        several_transactions,
    ),
    case(
        "a5/unknown-command",
        "an unknown command gives EINVAL behind the last one done",
        unknown_command,
    )
    .covers(&["A5.3"]),
    case(
        "a5/unpacked-death-request",
        "the padded form of the death request is no command",
        unpacked_death_request,
    ),
    case(
        "a5/never-served",
        "attempt-acquire and acquire-result give EINVAL",
        never_served,
    )
    .covers(&["A5.7"]),
    case(
        "a5/returns-are-no-commands",
        "numbers of returns are no commands",
        returns_are_no_commands,
    )
    .covers(&["A5.3"]),
    case(
        "a5/soft-failures-go-on",
        "commands that do not apply are skipped and the write goes on",
        soft_failures,
    )
    .covers(&["A5.4", "A5.5", "A5.6"]),
    case(
        "a5/write-and-read",
        "one exchange writes first and reads then",
        write_and_read,
    ),
    case(
        "a5/cut-command",
        "a command reaching behind the buffer's end",
        cut_command,
    )
    .covers(&["A5.2"]),
    case(
        "a5/free-twice",
        "a buffer can be given back once",
        free_twice,
    )
    .covers(&["A5.8", "A9.6"]),
    case(
        "a5/free-wrong-address",
        "only the start of a buffer gives it back",
        free_wrong_address,
    )
    .covers(&["A5.8"]),
    case(
        "a5/free-undelivered",
        "a buffer that is not delivered yet cannot be given back",
        free_undelivered,
    )
    .covers(&["A5.8", "A8.9", "CVE-2019-2025"]),
    case(
        "a5/free-before-reply",
        "a buffer may be given back before the reply",
        free_before_reply,
    ),
    case(
        "a5/free-of-reply-waiting",
        "guessing the address of a reply that waits does not free it",
        free_of_reply_waiting,
    )
    .covers(&["CVE-2019-2025"]),
];

fn failed_stops(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    let bad: Bc = Call::to(77).into();
    let unknown = Bc::raw(0, &());
    let outcome = client.write(&[bad.clone(), unknown.clone()])?.ok()?;
    check_eq!(outcome.write_consumed, bad.size());
    // Until the error has been read nothing more is written.
    let outcome = client.write(std::slice::from_ref(&unknown))?.ok()?;
    check_eq!(outcome.write_consumed, 0);
    expect(&mut client, &[BR_NOOP, BR_FAILED_REPLY])?;
    let outcome = client.write(&[unknown])?;
    check_eq!(
        (outcome.result, outcome.write_consumed),
        (Err(Errno::EINVAL), 0)
    );
    Ok(())
}

fn failed_oneway_stops(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    let good: Bc = Call::oneway(0).into();
    let bad: Bc = Call::oneway(77).into();
    let outcome = client.write(&[good.clone(), bad, good.clone()])?.ok()?;
    check_eq!(outcome.write_consumed, 2 * good.size());
    expect(
        &mut client,
        &[BR_NOOP, BR_TRANSACTION_COMPLETE, BR_FAILED_REPLY],
    )
}

fn several_transactions(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let calls: Vec<Bc> = (1..=3)
        .map(|code| Call::oneway(0).code(code).into())
        .collect();
    client.send(&calls)?;
    expect(
        &mut client,
        &[
            BR_NOOP,
            BR_TRANSACTION_COMPLETE,
            BR_TRANSACTION_COMPLETE,
            BR_TRANSACTION_COMPLETE,
        ],
    )?;
    for code in 1..=3 {
        let call = manager.receive()?;
        check_eq!(call.data.code, code);
        manager.free(&call)?;
    }
    Ok(())
}

fn unknown_command(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    for word in [0, 0x6300, BC_TRANSACTION + 0x20, u32::MAX] {
        let outcome = client.write(&[Bc::EnterLooper, Bc::raw(word, &[0u64; 16])])?;
        check_eq!(
            (outcome.result, outcome.write_consumed),
            (Err(Errno::EINVAL), 4),
            "{word:#x}"
        );
    }
    Ok(())
}

fn unpacked_death_request(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    let outcome = client.write(&[Bc::raw(0x4010_630E, &[0u64; 2])])?;
    check_eq!(
        (outcome.result, outcome.write_consumed),
        (Err(Errno::EINVAL), 0)
    );
    Ok(())
}

fn never_served(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    for command in [
        Bc::raw(BC_ATTEMPT_ACQUIRE, &0u64),
        Bc::raw(BC_ACQUIRE_RESULT, &0u32),
    ] {
        let outcome = client.write(&[command])?;
        check_eq!(
            (outcome.result, outcome.write_consumed),
            (Err(Errno::EINVAL), 0)
        );
    }
    Ok(())
}

fn returns_are_no_commands(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    for word in [BR_NOOP, BR_TRANSACTION, BR_REPLY, BR_DEAD_BINDER] {
        let outcome = client.write(&[Bc::raw(word, &[0u64; 9])])?;
        check_eq!(
            (outcome.result, outcome.write_consumed),
            (Err(Errno::EINVAL), 0),
            "{word:#x}"
        );
    }
    Ok(())
}

fn soft_failures(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    let base = client.endpoint.base;
    client.send(&[
        Bc::Increfs(5),
        Bc::Acquire(5),
        Bc::Release(5),
        Bc::Decrefs(5),
        Bc::Release(0),
        Bc::Decrefs(0),
        // Nobody is the manager.
        Bc::Increfs(0),
        Bc::Acquire(0),
        Bc::IncrefsDone(1, 2),
        Bc::AcquireDone(1, 2),
        Bc::FreeBuffer(0),
        Bc::FreeBuffer(u64::MAX),
        Bc::FreeBuffer(base),
        Bc::RequestDeath(5, 1),
        Bc::ClearDeath(5, 1),
        Bc::DeadBinderDone(1),
        // In every wrong order.
        Bc::RegisterLooper,
        Bc::EnterLooper,
        Bc::RegisterLooper,
        Bc::ExitLooper,
        Bc::ExitLooper,
    ])?;
    expect_nothing(&mut client)
}

fn write_and_read(cx: &mut Cx) -> Result<()> {
    let _manager = cx.manager()?;
    let mut client = cx.client()?;
    let call: Bc = Call::oneway(0).into();
    let outcome = client
        .exchange(&Exchange::write(std::slice::from_ref(&call)).and_read())?
        .ok()?;
    check_eq!(outcome.write_consumed, call.size());
    check_returns!(outcome.returns()?, [BR_NOOP, BR_TRANSACTION_COMPLETE]);
    Ok(())
}

fn cut_command(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    // The buffer's size falls into a command whose rest is nevertheless there.
    for (size, command) in [
        (1, Bc::EnterLooper),
        (4, Bc::Increfs(5)),
        (6, Bc::FreeBuffer(8)),
    ] {
        let outcome = client.exchange(&Exchange::write(&[command]).write_size(size))?;
        cx.note(
            &format!("{size} bytes"),
            (outcome.result, outcome.write_consumed),
        );
    }
    Ok(())
}

fn free_twice(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::oneway(0).data(&[1; 64]).into()])?;
    let first = manager.receive()?;
    manager.send(&[
        Bc::FreeBuffer(first.data.buffer),
        Bc::FreeBuffer(first.data.buffer),
    ])?;
    // The second one must not have freed what came after.
    client.send(&[Call::oneway(0).data(&[2; 64]).into()])?;
    let second = manager.receive()?;
    check_eq!(second.data.buffer, first.data.buffer);
    check_eq!(manager.data(&second)?, [2; 64]);
    Ok(())
}

fn free_wrong_address(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    // Something stays in the same page, so that it remains mapped.
    client.send(&[Call::oneway(0).data(&[1; 64]).into()])?;
    let kept = manager.receive()?;
    client.send(&[Call::to(0).flags(TF_CLEAR_BUF).data(&[2; 64]).into()])?;
    let call = manager.receive()?;
    let buffer = call.data.buffer;
    for wrong in [buffer + 8, buffer + 4, buffer + 1, buffer - 1, buffer - 8] {
        manager.send(&[Bc::FreeBuffer(wrong)])?;
        // Had that freed it, it would be zeroed.
        check_eq!(manager.data(&call)?, [2; 64]);
    }
    manager.free(&call)?;
    check_eq!(manager.data(&call)?, [0; 64]);
    manager.free(&kept)
}

fn free_undelivered(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::oneway(0).data(b"kept").into()])?;
    let guess = manager.endpoint.base;
    manager.send(&[Bc::FreeBuffer(guess)])?;
    let call = manager.receive()?;
    check_eq!(call.data.buffer, guess);
    check_eq!(manager.data(&call)?, b"kept");
    manager.free(&call)
}

fn free_before_reply(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    manager.send(&[
        Bc::FreeBuffer(call.data.buffer),
        Call::reply().data(b"late").into(),
    ])?;
    complete(&mut manager)?;
    let reply = client.receive()?;
    check_eq!(client.data(&reply)?, b"late");
    Ok(())
}

fn free_of_reply_waiting(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let call = call_received(&mut client, &mut manager)?;
    manager.answer(&call, Call::reply().data(b"waiting"))?;
    let mut other = client.spawn_thread()?;
    other.send(&[Bc::FreeBuffer(client.endpoint.base)])?;
    let reply = client.receive()?;
    check_eq!(client.data(&reply)?, b"waiting");
    Ok(())
}

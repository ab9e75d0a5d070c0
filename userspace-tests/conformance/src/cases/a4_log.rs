// SPDX-License-Identifier: GPL-2.0

//! Section A4: what failing ioctls leave in the kernel's log.

use super::a8_nice::{client_at, manager_at};
use super::case;
use crate::fixtures::*;
use crate::kernel_log::KernelLog;
use anyhow::Result;
use binder_abi::ioc::io;
use harness::deadline::Deadline;
use harness::{Call, Case, Cx, Errno, Exchange, Transactions, check, check_eq};
use nix::sys::resource::Resource;

/// How often something fails: more often than a limit lets it be told.
const OFTEN: usize = 300;

pub const CASES: &[Case] = &[
    case(
        "a4/failures-in-log",
        "failing ioctls are told in the log; on C each of them, without limit",
        failures,
    ),
    case(
        "a4/nothing-to-read-in-log",
        "a read without blocking that finds nothing; on C the log tells each",
        nothing_to_read,
    ),
    case(
        "a4/nice-limit-in-log",
        "a thread that may have no nice value, and needs none; on C the log tells",
        nice_limit,
    ),
];

fn failures(cx: &mut Cx) -> Result<()> {
    let mut process = cx.unmapped()?;
    let mut log = KernelLog::open()?;
    for _ in 0..OFTEN {
        check_eq!(
            process.ioctl(io(b'b', 77), 0u32)?.err(),
            Some(Errno::EINVAL)
        );
    }
    let told = log.count(&[&process.pid().to_string(), "ioctl"])?;
    match cx.is_rust_driver() {
        // None at all, if others have told enough just before.
        true => check!(told < OFTEN, "{told} lines"),
        false => check_eq!(told, OFTEN),
    }
    Ok(())
}

fn nothing_to_read(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut log = KernelLog::open()?;
    for _ in 0..OFTEN {
        let outcome = manager.exchange(&Exchange::read().nonblocking())?;
        check_eq!(outcome.result, Err(Errno::EAGAIN));
    }
    let told = log.count(&[&manager.pid().to_string(), "ioctl"])?;
    check_eq!(told, if cx.is_rust_driver() { 0 } else { OFTEN });
    Ok(())
}

fn nice_limit(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_at(cx, 0, 0)?;
    manager.limit(Resource::RLIMIT_NICE, 0)?;
    manager.drop_sys_nice()?;
    let mut client = client_at(cx, 0)?;
    let mut log = KernelLog::open()?;
    let deadline = Deadline::step();
    let mut told = 0;
    // C limits this one too, together with everything else that user space does wrong: it may take a
    // while until there is room for it.
    while told == 0 && !deadline.passed() {
        for _ in 0..20 {
            let call = call_received(&mut client, &mut manager)?;
            manager.answer(&call, Call::reply())?;
            complete(&mut manager)?;
            client.receive()?;
        }
        told = log.count(&["RLIMIT_NICE not set"])?;
        if cx.is_rust_driver() {
            break;
        }
    }
    check_eq!(told > 0, !cx.is_rust_driver(), "{told} lines");
    Ok(())
}

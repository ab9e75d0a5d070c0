// SPDX-License-Identifier: GPL-2.0

//! Section A8, point 7: nice values of threads that may not have any.

use super::a8_nice::{client_at, manager_at};
use super::case;
use crate::fixtures::*;
use anyhow::Result;
use harness::{Call, Case, Cx, Transactions, check_eq};
use nix::sys::resource::Resource;

pub const CASES: &[Case] = &[
    case(
        "a8/nice-within-limit",
        "without CAP_SYS_NICE a thread gets what RLIMIT_NICE allows, and no more",
        within_limit,
    )
    .covers(&["A8.7"]),
    case(
        "a8/nice-without-limit",
        "with RLIMIT_NICE at 0 a thread keeps what it has, better or worse",
        without_limit,
    )
    .covers(&["A8.7"]),
    case(
        "a8/nice-limit-below-own",
        "a thread that is better than RLIMIT_NICE allows ends at the limit",
        limit_below_own,
    )
    .covers(&["A8.7"]),
];

/// RLIMIT_NICE for a best nice value.
const fn limit_for(nice: i32) -> u64 {
    (20 - nice) as u64
}

fn within_limit(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_at(cx, 2, 0)?;
    manager.limit(Resource::RLIMIT_NICE, limit_for(-5))?;
    manager.drop_sys_nice()?;
    for (caller, served) in [(-4, -4), (-5, -5), (-6, -5), (-20, -5), (7, 0)] {
        let mut client = client_at(cx, caller)?;
        let call = call_received(&mut client, &mut manager)?;
        check_eq!(manager.nice()?, served, "caller at {caller}");
        manager.answer(&call, Call::reply())?;
        complete(&mut manager)?;
        check_eq!(manager.nice()?, 2);
    }
    Ok(())
}

fn without_limit(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_at(cx, 2, 15)?;
    manager.limit(Resource::RLIMIT_NICE, 0)?;
    manager.drop_sys_nice()?;
    for caller in [-20, 0, 2, 9, 19] {
        let mut client = client_at(cx, caller)?;
        let call = call_received(&mut client, &mut manager)?;
        check_eq!(manager.nice()?, 2, "caller at {caller}");
        manager.answer(&call, Call::reply())?;
        complete(&mut manager)?;
        check_eq!(manager.nice()?, 2);
    }
    manager.set_nice(8)?;
    expect_nothing(&mut manager)?;
    check_eq!(manager.nice()?, 8);
    Ok(())
}

fn limit_below_own(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_at(cx, -6, 0)?;
    manager.limit(Resource::RLIMIT_NICE, limit_for(10))?;
    manager.drop_sys_nice()?;
    // Waiting asks for what the thread has already, and gets less.
    check_eq!(manager.nice()?, -6);
    expect_nothing(&mut manager)?;
    check_eq!(manager.nice()?, 10);
    // So does a call, and so does the reply.
    let mut client = client_at(cx, 0)?;
    let mut second = manager.spawn_thread()?;
    second.version()?.ok();
    check_eq!(second.nice()?, 10);
    client.send(&[Call::to(0).into()])?;
    let call = second.receive()?;
    check_eq!(second.nice()?, 10);
    second.set_nice(-1)?;
    second.answer(&call, Call::reply())?;
    check_eq!(second.nice()?, 10);
    // What is worse than the limit can be had.
    manager.set_nice(18)?;
    let mut worse = client_at(cx, 0)?;
    worse.send(&[Call::to(0).into()])?;
    manager.receive()?;
    check_eq!(manager.nice()?, 10);
    Ok(())
}

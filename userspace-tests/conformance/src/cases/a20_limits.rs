// SPDX-License-Identifier: GPL-2.0

//! Section A20: what a thread may be raised to, by `RLIMIT_RTPRIO`, `RLIMIT_NICE` and `CAP_SYS_NICE`.
//!
//! It is the thread that serves whose limits count, and what it could ask for itself it gets.

use super::a20_served::{expected, heir, node, priority, raised};
use crate::fixtures::*;
use anyhow::Result;
use harness::{
    Call, Case, Cx, Exchange, Policy, Process, Scheduling, Thread, Transactions, check_eq,
};
use nix::sys::resource::Resource;

pub const CASES: &[Case] = &[
    priority(
        "a20/privileged",
        "CAP_SYS_NICE makes limits not count",
        privileged,
    )
    .covers(&["A20.5"]),
    priority(
        "a20/privileged-elsewhere",
        "CAP_SYS_NICE in another user name space is none",
        privileged_elsewhere,
    )
    .covers(&["A20.5"]),
    priority(
        "a20/limit-of-real-time",
        "RLIMIT_RTPRIO is the highest real-time priority without CAP_SYS_NICE",
        real_time,
    )
    .covers(&["A20.5"]),
    priority(
        "a20/no-real-time",
        "without RLIMIT_RTPRIO a thread gets the best nice value that RLIMIT_NICE allows",
        no_real_time,
    )
    .covers(&["A20.5"]),
    priority(
        "a20/limit-of-nice",
        "RLIMIT_NICE is the best nice value, and a worse one can always be had",
        nice,
    )
    .covers(&["A20.5"]),
    priority(
        "a20/no-limits-at-all",
        "a thread without limits and privilege becomes less urgent, never more",
        nothing,
    )
    .covers(&["A20.5"]),
    priority(
        "a20/above-the-limit",
        "a thread that has more than its limit allows may keep it",
        above,
    )
    .covers(&["A20.5"]),
    priority(
        "a20/limits-of-who-serves",
        "a caller without privilege raises one that may be raised",
        of_who_serves,
    )
    .covers(&["A20.5"]),
    priority(
        "a20/limits-of-sleeping-thread",
        "a privileged caller raises a thread that sleeps as far as that thread may be raised",
        of_sleeping_thread,
    )
    .covers(&["A20.5"]),
    priority(
        "a20/restored-unchecked",
        "what a thread had it gets back, even if it could not ask for it",
        restored_unchecked,
    )
    .covers(&["A20.4", "A20.5"]),
    priority(
        "a20/limit-of-idle-thread",
        "an idle thread is raised if its nice value would be allowed",
        idle_thread,
    )
    .covers(&["A20.5"]),
];

const NORMAL: Scheduling = Scheduling::normal(0);

/// A manager at `owner` with limits and without privilege; its node inherits, and wants no more.
fn limited(cx: &Cx, owner: Scheduling, real_time: u64, nice: u64) -> Result<Process> {
    let mut manager = manager_scheduled(cx, owner, heir(Policy::Normal, 19))?;
    limit(&mut manager, real_time, nice)?;
    Ok(manager)
}

fn limit(thread: &mut Thread, real_time: u64, nice: u64) -> Result<()> {
    thread.limit(Resource::RLIMIT_NICE, nice)?;
    thread.limit(Resource::RLIMIT_RTPRIO, real_time)?;
    thread.drop_sys_nice()
}

/// Has the manager serve callers, each at `ours`, or with a nice value on the C driver; afterwards
/// it is as before.
fn serve(cx: &Cx, manager: &mut Process, calls: &[(Scheduling, Scheduling, i32)]) -> Result<()> {
    let owner = manager.scheduling()?;
    for (caller, ours, mainline) in calls {
        let mut client = client_scheduled(cx, *caller)?;
        let call = call_received(&mut client, manager)?;
        let expected = expected(cx, *ours, owner.with_nice(*mainline));
        check_eq!(manager.scheduling()?, expected, "called by {caller:?}");
        manager.answer(&call, Call::reply())?;
        check_eq!(manager.scheduling()?, owner, "called by {caller:?}");
        complete(manager)?;
    }
    Ok(())
}

fn privileged_elsewhere(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_scheduled(cx, NORMAL, heir(Policy::Normal, 19))?;
    manager.limit(Resource::RLIMIT_NICE, 0)?;
    manager.limit(Resource::RLIMIT_RTPRIO, 0)?;
    // It has every capability now, in a name space of its own.
    manager.must(libc::SYS_unshare, &[libc::CLONE_NEWUSER as u64])?;
    let calls = [
        (Scheduling::fifo(50), NORMAL, 0),
        (Scheduling::normal(-5), NORMAL, 0),
    ];
    serve(cx, &mut manager, &calls)
}

fn privileged(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_scheduled(cx, NORMAL, heir(Policy::Batch, -7))?;
    manager.limit(Resource::RLIMIT_NICE, 0)?;
    manager.limit(Resource::RLIMIT_RTPRIO, 0)?;
    let fifo = Scheduling::fifo(90);
    let better = Scheduling::normal(-12);
    let worse = Scheduling::normal(5);
    serve(
        cx,
        &mut manager,
        &[
            (fifo, raised(fifo), 0),
            (better, better, -12),
            (worse, Scheduling::batch(-7), 5),
        ],
    )
}

fn real_time(cx: &mut Cx) -> Result<()> {
    let mut manager = limited(cx, NORMAL, 30, 0)?;
    let (limit, below) = (Scheduling::fifo(30), Scheduling::round_robin(7));
    serve(
        cx,
        &mut manager,
        &[
            (Scheduling::fifo(99), raised(limit), 0),
            (Scheduling::fifo(31), raised(limit), 0),
            (limit, raised(limit), 0),
            (below, raised(below), 0),
            (
                Scheduling::round_robin(50),
                raised(Scheduling::round_robin(30)),
                0,
            ),
        ],
    )
}

fn no_real_time(cx: &mut Cx) -> Result<()> {
    let mut manager = limited(cx, Scheduling::batch(3), 0, 24)?;
    let fifo = Scheduling::fifo(50);
    serve(
        cx,
        &mut manager,
        &[
            (fifo, Scheduling::normal(-4), 0),
            (fifo.with_nice(-10), Scheduling::normal(-4), -4),
        ],
    )
}

fn nice(cx: &mut Cx) -> Result<()> {
    let mut manager = limited(cx, Scheduling::normal(3), 0, 24)?;
    serve(
        cx,
        &mut manager,
        &[
            (Scheduling::normal(-4), Scheduling::normal(-4), -4),
            (Scheduling::normal(-5), Scheduling::normal(-4), -4),
            (Scheduling::batch(-20), Scheduling::batch(-4), -4),
            (Scheduling::normal(15), Scheduling::normal(15), 15),
        ],
    )
}

fn nothing(cx: &mut Cx) -> Result<()> {
    let mut manager = limited(cx, Scheduling::normal(3), 0, 0)?;
    let (own, worse) = (Scheduling::normal(3), Scheduling::normal(8));
    serve(
        cx,
        &mut manager,
        &[
            (Scheduling::fifo(50), own, 3),
            (Scheduling::normal(-20), own, 3),
            (Scheduling::normal(3), own, 3),
            // Mainline changes nothing then.
            (worse, worse, 3),
            (Scheduling::batch(0), Scheduling::batch(3), 3),
        ],
    )
}

fn above(cx: &mut Cx) -> Result<()> {
    let own = Scheduling::fifo(50);
    let mut manager = limited(cx, own, 20, 0)?;
    serve(
        cx,
        &mut manager,
        &[
            (Scheduling::fifo(60), own, 0),
            (
                Scheduling::round_robin(60),
                raised(Scheduling::round_robin(50)),
                0,
            ),
            (Scheduling::fifo(10), raised(Scheduling::fifo(10)), 0),
        ],
    )?;
    // Without any limit not even its policy changes, unless it gives up real time.
    manager.limit(Resource::RLIMIT_RTPRIO, 0)?;
    serve(
        cx,
        &mut manager,
        &[
            (Scheduling::round_robin(60), own, 0),
            (Scheduling::round_robin(10), raised(Scheduling::fifo(10)), 0),
        ],
    )
}

fn of_who_serves(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_scheduled(cx, NORMAL, node(Policy::Fifo, 30))?;
    let mut client = cx.client()?;
    limit(&mut client, 0, 0)?;
    let call = call_received(&mut client, &mut manager)?;
    let ours = raised(Scheduling::fifo(30));
    check_eq!(manager.scheduling()?, expected(cx, ours, NORMAL));
    manager.answer(&call, Call::reply())?;
    check_eq!(manager.scheduling()?, NORMAL);
    client.receive()?;
    check_eq!(client.scheduling()?, NORMAL);
    // The same for a thread that the caller raises before it is woken.
    complete(&mut manager)?;
    let waiting = manager.begin_exchange(&Exchange::read())?;
    waiting.wait_blocked()?;
    client.send(&[Call::to(0).into()])?;
    waiting.returns()?;
    check_eq!(manager.scheduling()?, expected(cx, ours, NORMAL));
    Ok(())
}

fn of_sleeping_thread(cx: &mut Cx) -> Result<()> {
    for (real_time, nice, ours) in [
        (15, 0, raised(Scheduling::fifo(15))),
        (0, 25, Scheduling::normal(-5)),
        (0, 0, NORMAL),
    ] {
        let mut manager = limited(cx, NORMAL, real_time, nice)?;
        let mut client = client_scheduled(cx, Scheduling::fifo(60))?;
        client.limit(Resource::RLIMIT_RTPRIO, 99)?;
        client.limit(Resource::RLIMIT_NICE, 40)?;
        let waiting = manager.begin_exchange(&Exchange::read())?;
        waiting.wait_blocked()?;
        client.send(&[Call::to(0).into()])?;
        let returns = waiting.returns()?;
        check_eq!(manager.scheduling()?, expected(cx, ours, NORMAL));
        manager.answer(delivery_in(&returns)?, Call::reply())?;
        check_eq!(manager.scheduling()?, NORMAL);
    }
    Ok(())
}

fn restored_unchecked(cx: &mut Cx) -> Result<()> {
    for owner in [Scheduling::normal(-10), Scheduling::fifo(40)] {
        let mut manager = limited(cx, owner, 0, 0)?;
        let mut client = client_scheduled(cx, Scheduling::normal(10))?;
        let call = call_received(&mut client, &mut manager)?;
        let ours = Scheduling::normal(10);
        // Without a limit mainline changes no nice value.
        check_eq!(manager.scheduling()?, expected(cx, ours, owner));
        manager.answer(&call, Call::reply())?;
        check_eq!(manager.scheduling()?, owner);
    }
    Ok(())
}

fn idle_thread(cx: &mut Cx) -> Result<()> {
    let idle = Scheduling {
        policy: Policy::Idle,
        ..NORMAL
    };
    for (nice, ours) in [(20, raised(Scheduling::fifo(15))), (0, idle)] {
        let mut manager = limited(cx, NORMAL, 15, nice)?;
        manager.schedule(idle)?;
        let mut client = client_scheduled(cx, Scheduling::fifo(60))?;
        let call = call_received(&mut client, &mut manager)?;
        check_eq!(manager.scheduling()?, expected(cx, ours, idle));
        manager.answer(&call, Call::reply())?;
        check_eq!(manager.scheduling()?, idle);
        client.receive()?;
    }
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0

//! Section A20, what mainline does not have: at what policy and priority a call is served.
//!
//! The C driver looks at none of the flags, so there the node's byte is compared with nice values
//! and policies stay as they are. The cases assert that too.

use crate::fixtures::*;
use anyhow::Result;
use binder_abi::*;
use harness::{Call, Case, Cx, Policy, Scheduling, Transactions, check_eq};

pub(super) const fn priority(
    name: &'static str,
    claim: &'static str,
    run: fn(&mut Cx) -> Result<()>,
) -> Case {
    Case::new(name, claim, run)
}

pub const CASES: &[Case] = &[
    priority(
        "a20/minimum-in-real-time",
        "a node with a real-time minimum is served at it, until the reply",
        minimum_in_real_time,
    )
    .covers(&["A20.3", "A20.4"]),
    priority(
        "a20/minimum-nice",
        "beside a policy or inheritance the byte is a nice value with its sign",
        minimum_nice,
    )
    .covers(&["A20.3"]),
    priority(
        "a20/caller-more-urgent",
        "a caller that is more urgent than the minimum is served at what it has, policy included",
        caller_more_urgent,
    )
    .covers(&["A20.3"]),
    priority(
        "a20/less-urgent-too",
        "a thread that is more urgent than caller and node serves at what they have",
        less_urgent_too,
    )
    .covers(&["A20.3", "A20.4"]),
    priority(
        "a20/real-time-not-inherited",
        "without INHERIT_RT a real-time caller counts as SCHED_NORMAL at nice 0",
        not_inherited,
    )
    .covers(&["A20.2"]),
    priority(
        "a20/real-time-inherited",
        "with INHERIT_RT a real-time caller is served at its policy and priority",
        inherited,
    )
    .covers(&["A20.2", "A20.4"]),
    priority(
        "a20/equally-urgent",
        "of equals the caller's policy is kept, unless the minimum is SCHED_FIFO",
        equally_urgent,
    )
    .covers(&["A20.3"]),
    priority(
        "a20/minimum-out-of-range",
        "a byte that is no priority of its policy is no minimum",
        out_of_range,
    )
    .covers(&["A20.3"]),
    priority(
        "a20/other-policies",
        "a caller with a deadline, or an idle one, counts as whoever opened the node's file",
        other_policies,
    )
    .covers(&["A20.2"]),
    priority(
        "a20/server-with-deadline",
        "a thread that runs to deadlines keeps doing so",
        server_with_deadline,
    )
    .covers(&["A20.4"]),
    priority(
        "a20/flags-of-first-send",
        "policy and inheritance are those of the first time that a node is sent",
        of_first_send,
    )
    .covers(&["A20.1"]),
    priority(
        "a20/at-send",
        "what counts is what the caller has when it calls, not when the call is read",
        at_send,
    )
    .covers(&["A20.2"]),
];

/// Flags of a node with a policy and a byte.
pub(super) fn node(policy: Policy, byte: i32) -> u32 {
    (policy.number() as u32) << FLAT_BINDER_FLAG_SCHED_POLICY_SHIFT | u32::from(byte as u8)
}

/// The same for a node that real-time callers hand their priority on to.
pub(super) fn heir(policy: Policy, byte: i32) -> u32 {
    node(policy, byte) | FLAT_BINDER_FLAG_INHERIT_RT
}

/// What is expected, by driver.
pub(super) fn expected(cx: &Cx, ours: Scheduling, mainline: Scheduling) -> Scheduling {
    match cx.is_rust_driver() {
        true => ours,
        false => mainline,
    }
}

/// Scheduled so by the driver: what is raised to real time does not hand that on to forks.
pub(super) fn raised(scheduling: Scheduling) -> Scheduling {
    match scheduling.policy {
        Policy::Fifo | Policy::RoundRobin => scheduling.reset_on_fork(),
        _ => scheduling,
    }
}

/// Has `owner` offer a node with `flags` and serve a call of `caller`: at `ours`, or with a nice
/// value of `mainline` on the C driver.
fn serve(
    cx: &Cx,
    owner: Scheduling,
    flags: u32,
    caller: Scheduling,
    ours: Scheduling,
    mainline: i32,
) -> Result<()> {
    let mut manager = manager_scheduled(cx, owner, flags)?;
    let mut client = client_scheduled(cx, caller)?;
    let call = call_received(&mut client, &mut manager)?;
    let expected = expected(cx, ours, owner.with_nice(mainline));
    check_eq!(manager.scheduling()?, expected, "called by {caller:?}");
    check_eq!(client.scheduling()?, caller);
    manager.answer(&call, Call::reply())?;
    check_eq!(manager.scheduling()?, owner);
    check_eq!(client.receive()?.code, BR_REPLY);
    check_eq!(client.scheduling()?, caller);
    Ok(())
}

const NORMAL: Scheduling = Scheduling::normal(0);

fn minimum_in_real_time(cx: &mut Cx) -> Result<()> {
    let fifo = raised(Scheduling::fifo(10));
    serve(cx, NORMAL, node(Policy::Fifo, 10), NORMAL, fifo, 0)?;
    let nice = Scheduling::normal(15);
    let owner = Scheduling::batch(3);
    serve(
        cx,
        owner,
        node(Policy::Fifo, 10),
        nice,
        fifo.with_nice(3),
        10,
    )?;
    let round_robin = raised(Scheduling::round_robin(99));
    serve(
        cx,
        NORMAL,
        node(Policy::RoundRobin, 99),
        nice,
        round_robin,
        15,
    )?;
    // The minimum counts whether callers hand on theirs or not.
    serve(cx, NORMAL, heir(Policy::Fifo, 10), NORMAL, fifo, 0)?;
    serve(
        cx,
        NORMAL,
        node(Policy::Fifo, 10),
        Scheduling::fifo(40),
        fifo,
        0,
    )
}

fn minimum_nice(cx: &mut Cx) -> Result<()> {
    let caller = Scheduling::normal(7);
    // As a byte without a sign it is no nice value, and leaves it to the caller.
    serve(
        cx,
        NORMAL,
        heir(Policy::Normal, -5),
        caller,
        Scheduling::normal(-5),
        7,
    )?;
    serve(
        cx,
        NORMAL,
        node(Policy::Batch, -20),
        caller,
        Scheduling::batch(-20),
        7,
    )?;
    serve(
        cx,
        NORMAL,
        node(Policy::Batch, 4),
        caller,
        Scheduling::batch(4),
        4,
    )?;
    serve(
        cx,
        NORMAL,
        heir(Policy::Normal, 4),
        caller,
        Scheduling::normal(4),
        4,
    )
}

fn caller_more_urgent(cx: &mut Cx) -> Result<()> {
    let batch = Scheduling::batch(-3);
    serve(cx, NORMAL, heir(Policy::Normal, 0), batch, batch, -3)?;
    let normal = Scheduling::normal(-9);
    serve(
        cx,
        Scheduling::batch(2),
        node(Policy::Batch, -8),
        normal,
        normal,
        -9,
    )?;
    // Nothing that is not real time comes before the least of it.
    let fifo = Scheduling::fifo(1);
    serve(cx, NORMAL, heir(Policy::Normal, -20), fifo, raised(fifo), 0)?;
    let fifo = Scheduling::fifo(11);
    serve(
        cx,
        NORMAL,
        heir(Policy::RoundRobin, 10),
        fifo,
        raised(fifo),
        0,
    )
}

fn less_urgent_too(cx: &mut Cx) -> Result<()> {
    let caller = Scheduling::normal(12);
    let owner = Scheduling::normal(-10);
    serve(cx, owner, node(Policy::Batch, 19), caller, caller, 12)?;
    let owner = Scheduling::fifo(30).with_nice(-2);
    serve(cx, owner, heir(Policy::Normal, 19), caller, caller, 12)?;
    let fifo = raised(Scheduling::fifo(7));
    serve(
        cx,
        owner,
        node(Policy::Fifo, 7),
        caller,
        fifo.with_nice(-2),
        7,
    )?;
    // What it forks was no business of real time before, and is not afterwards.
    let owner = Scheduling::round_robin(30).reset_on_fork();
    serve(
        cx,
        owner,
        heir(Policy::Normal, 19),
        caller,
        caller.reset_on_fork(),
        12,
    )
}

fn not_inherited(cx: &mut Cx) -> Result<()> {
    let caller = Scheduling::fifo(50).with_nice(-6);
    let owner = Scheduling::normal(8);
    serve(cx, owner, node(Policy::Batch, 19), caller, NORMAL, -6)?;
    serve(
        cx,
        owner,
        node(Policy::Batch, -1),
        caller,
        Scheduling::batch(-1),
        -6,
    )?;
    let caller = Scheduling::round_robin(1);
    serve(cx, owner, node(Policy::Batch, 5), caller, NORMAL, 0)?;
    let fifo = raised(Scheduling::fifo(3)).with_nice(8);
    serve(
        cx,
        owner,
        node(Policy::Fifo, 3),
        Scheduling::fifo(50),
        fifo,
        0,
    )
}

fn inherited(cx: &mut Cx) -> Result<()> {
    for caller in [
        Scheduling::fifo(1),
        Scheduling::fifo(50),
        Scheduling::fifo(99),
        Scheduling::round_robin(1),
        Scheduling::round_robin(98),
    ] {
        serve(
            cx,
            NORMAL,
            heir(Policy::Normal, 19),
            caller,
            raised(caller),
            0,
        )?;
    }
    let fifo = Scheduling::fifo(20);
    let owner = Scheduling::batch(6).reset_on_fork();
    serve(
        cx,
        owner,
        heir(Policy::Normal, 0),
        fifo,
        raised(fifo).with_nice(6),
        0,
    )?;
    let owner = Scheduling::round_robin(40).with_nice(6);
    serve(
        cx,
        owner,
        heir(Policy::Batch, 0),
        fifo,
        raised(fifo).with_nice(6),
        0,
    )?;
    let caller = Scheduling::normal(-2);
    serve(cx, NORMAL, heir(Policy::Normal, 0), caller, caller, -2)
}

fn equally_urgent(cx: &mut Cx) -> Result<()> {
    let (fifo, round_robin) = (Scheduling::fifo(10), Scheduling::round_robin(10));
    serve(
        cx,
        NORMAL,
        heir(Policy::Fifo, 10),
        round_robin,
        raised(fifo),
        0,
    )?;
    serve(
        cx,
        NORMAL,
        heir(Policy::RoundRobin, 10),
        fifo,
        raised(fifo),
        0,
    )?;
    let normal = Scheduling::normal(5);
    serve(cx, NORMAL, node(Policy::Batch, 5), normal, normal, 5)?;
    let batch = Scheduling::batch(5);
    serve(cx, NORMAL, heir(Policy::Normal, 5), batch, batch, 5)
}

fn out_of_range(cx: &mut Cx) -> Result<()> {
    let caller = Scheduling::normal(9);
    for (flags, mainline) in [
        (node(Policy::Fifo, 0), 0),
        (node(Policy::Fifo, 100), 9),
        (node(Policy::RoundRobin, -1), 9),
        (heir(Policy::Normal, 20), 9),
        (heir(Policy::Normal, -21), 9),
        (node(Policy::Batch, 127), 9),
    ] {
        serve(cx, NORMAL, flags, caller, caller, mainline)?;
    }
    Ok(())
}

fn other_policies(cx: &mut Cx) -> Result<()> {
    for idle in [true, false] {
        let mut manager = manager_scheduled(cx, Scheduling::batch(4), heir(Policy::Normal, 19))?;
        // It serves at what the opener had, not at what it has itself.
        manager.schedule(NORMAL)?;
        let mut client = cx.client()?;
        match idle {
            true => client.schedule(Scheduling {
                policy: Policy::Idle,
                ..Scheduling::normal(-4)
            })?,
            false => client.schedule_by_deadline()?,
        }
        let mainline = client.nice()?;
        let call = call_received(&mut client, &mut manager)?;
        let expected = expected(cx, Scheduling::batch(4), Scheduling::normal(mainline));
        check_eq!(manager.scheduling()?, expected);
        manager.answer(&call, Call::reply())?;
        // Before it took the call, it waited.
        check_eq!(manager.scheduling()?, Scheduling::normal(4));
        client.receive()?;
    }
    Ok(())
}

fn server_with_deadline(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_scheduled(cx, NORMAL, heir(Policy::Fifo, 30))?;
    let mut client = client_scheduled(cx, Scheduling::fifo(40))?;
    manager.schedule_by_deadline()?;
    let call = call_received(&mut client, &mut manager)?;
    check_eq!(manager.scheduling()?.policy, Policy::Deadline);
    manager.answer(&call, Call::reply())?;
    check_eq!(manager.scheduling()?.policy, Policy::Deadline);
    check_eq!(client.receive()?.code, BR_REPLY);
    expect(&mut manager, &[BR_NOOP, BR_TRANSACTION_COMPLETE])?;
    expect_nothing(&mut manager)?;
    check_eq!(manager.scheduling()?.policy, Policy::Deadline);
    Ok(())
}

fn of_first_send(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let handle = give_node_with(&mut owner, &mut manager, NODE, heir(Policy::Fifo, 12))?;
    for flags in [0, node(Policy::RoundRobin, 50), heir(Policy::Batch, 1)] {
        check_eq!(
            give_node_with(&mut owner, &mut manager, NODE, flags)?,
            handle
        );
    }
    for caller in [NORMAL, Scheduling::round_robin(30)] {
        manager.schedule(caller)?;
        manager.send(&[Call::to(handle).into()])?;
        let call = owner.receive()?;
        let ours = match caller.priority {
            0 => Scheduling::fifo(12),
            _ => caller,
        };
        check_eq!(owner.scheduling()?, expected(cx, raised(ours), NORMAL));
        owner.answer(&call, Call::reply())?;
        complete(&mut owner)?;
        check_eq!(owner.scheduling()?, NORMAL);
        manager.receive()?;
    }
    Ok(())
}

fn at_send(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_scheduled(cx, NORMAL, heir(Policy::Normal, 19))?;
    let mut client = client_scheduled(cx, Scheduling::fifo(20))?;
    client.send(&[Call::to(0).into()])?;
    client.schedule(Scheduling::normal(11))?;
    let call = manager.receive()?;
    let ours = raised(Scheduling::fifo(20));
    check_eq!(manager.scheduling()?, expected(cx, ours, NORMAL));
    manager.answer(&call, Call::reply())?;
    check_eq!(manager.scheduling()?, NORMAL);
    Ok(())
}

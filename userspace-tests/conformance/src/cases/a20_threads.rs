// SPDX-License-Identifier: GPL-2.0

//! Section A20: threads that sleep, several of them, oneway calls, and nodes without the flags.

use super::a20_served::{expected, heir, node, priority, raised};
use crate::fixtures::*;
use anyhow::Result;
use binder_abi::*;
use harness::scheduling::{schedule, scheduling_of, share_cpu};
use harness::{
    Bc, Call, Case, Cx, Errno, Exchange, Parcel, Policy, Scheduling, Thread, Transactions, check_eq,
};

pub const CASES: &[Case] = &[
    priority(
        "a20/sleeping-thread",
        "a thread that waits is raised, and serves at that",
        sleeping_thread,
    )
    .covers(&["A20.3", "A20.4"]),
    priority(
        "a20/raised-before-it-runs",
        "a thread that waits is raised before it is woken, so a busy CPU does not keep it waiting",
        raised_before_it_runs,
    )
    .covers(&["A20.3"]),
    priority(
        "a20/loopers",
        "each looper serves at the priority of its own caller",
        loopers,
    )
    .covers(&["A20.2", "A20.4"]),
    priority(
        "a20/oneway",
        "a oneway call raises the thread to the node's minimum, until it waits for work",
        oneway,
    )
    .covers(&["A20.3", "A20.4"]),
    priority(
        "a20/oneway-does-not-lower",
        "a oneway call makes no thread less urgent, and its sender does not count",
        oneway_does_not_lower,
    )
    .covers(&["A20.3"]),
    priority(
        "a20/oneway-of-opener",
        "a oneway call is served at least at the priority of whoever opened the node's file",
        oneway_of_opener,
    )
    .covers(&["A20.3"]),
    priority(
        "a20/plain-node",
        "a node without the flags is served as ever, whoever calls, and policies are left alone",
        plain_node,
    )
    .covers(&["A20.6"]),
    priority(
        "a20/plain-call-while-raised",
        "a call to a plain node leaves the policy that a thread serves another call with",
        plain_while_raised,
    )
    .covers(&["A20.6", "A20.4"]),
    priority(
        "a20/signal-while-raised",
        "a signal to a thread that is about to be raised does not leave it so",
        signal_while_raised,
    )
    .covers(&["A20.4"]),
];

const NORMAL: Scheduling = Scheduling::normal(0);

fn sleeping_thread(cx: &mut Cx) -> Result<()> {
    let owner = Scheduling::normal(5);
    let mut manager = manager_scheduled(cx, owner, heir(Policy::Normal, 19))?;
    let mut second = manager.spawn_thread()?;
    second.version()?.ok();
    for caller in [
        Scheduling::fifo(30),
        Scheduling::round_robin(3),
        Scheduling::normal(-4),
        Scheduling::batch(15),
    ] {
        let mut client = client_scheduled(cx, caller)?;
        let waiting = second.begin_exchange(&Exchange::read())?;
        waiting.wait_blocked()?;
        client.send(&[Call::to(0).into()])?;
        let returns = waiting.returns()?;
        let call = delivery_in(&returns)?;
        let ours = match caller.policy {
            Policy::Fifo | Policy::RoundRobin => raised(caller).with_nice(5),
            _ => caller,
        };
        let mainline = owner.with_nice(caller.nice);
        check_eq!(second.scheduling()?, expected(cx, ours, mainline));
        second.answer(call, Call::reply())?;
        check_eq!(second.scheduling()?, owner);
        complete(&mut second)?;
        check_eq!(second.scheduling()?, owner);
        client.receive()?;
    }
    Ok(())
}

fn raised_before_it_runs(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_scheduled(cx, NORMAL, heir(Policy::Normal, 19))?;
    let mut second = manager.spawn_thread()?;
    second.version()?.ok();
    let caller = Scheduling::fifo(20);
    let mut client = client_scheduled(cx, caller)?;
    let server = second.tid;
    share_cpu(&[0, client.tid, server])?;
    let waiting = second.begin_exchange(&Exchange::read())?;
    waiting.wait_blocked()?;
    // The test comes before the client, and the client before whoever was not raised: the thread has
    // not run since it was woken.
    schedule(0, Scheduling::fifo(90))?;
    client.send(&[Call::to(0).into()])?;
    let woken = scheduling_of(server)?;
    schedule(0, NORMAL)?;
    check_eq!(woken, expected(cx, raised(caller), NORMAL));
    let returns = waiting.returns()?;
    second.answer(delivery_in(&returns)?, Call::reply())?;
    check_eq!(second.scheduling()?, NORMAL);
    Ok(())
}

fn loopers(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_scheduled(cx, NORMAL, heir(Policy::Fifo, 5))?;
    let mut threads = Vec::new();
    for caller in [Scheduling::fifo(20), NORMAL, Scheduling::round_robin(7)] {
        let mut thread = manager.spawn_thread()?;
        thread.send(&[Bc::EnterLooper])?;
        let mut client = client_scheduled(cx, caller)?;
        let call = call_received(&mut client, &mut thread)?;
        threads.push((thread, caller, call, client));
    }
    let check = |thread: &Thread, caller: Scheduling| -> Result<()> {
        let ours = match caller.priority {
            0 => Scheduling::fifo(5),
            _ => caller,
        };
        check_eq!(thread.scheduling()?, expected(cx, raised(ours), NORMAL));
        Ok(())
    };
    while let Some((mut thread, caller, call, mut client)) = threads.pop() {
        check(&thread, caller)?;
        for (other, caller, ..) in &threads {
            check(other, *caller)?;
        }
        thread.answer(&call, Call::reply())?;
        check_eq!(thread.scheduling()?, NORMAL);
        check_eq!(client.receive()?.code, BR_REPLY);
        complete(&mut thread)?;
        expect_nothing(&mut thread)?;
        check_eq!(thread.scheduling()?, NORMAL);
    }
    Ok(())
}

fn oneway(cx: &mut Cx) -> Result<()> {
    let owner = Scheduling::batch(10);
    for (flags, ours, mainline) in [
        (
            node(Policy::Fifo, 15),
            raised(Scheduling::fifo(15)).with_nice(10),
            10,
        ),
        (
            heir(Policy::RoundRobin, 4),
            raised(Scheduling::round_robin(4)).with_nice(10),
            4,
        ),
        (heir(Policy::Normal, -7), Scheduling::normal(-7), 10),
    ] {
        let mut manager = manager_scheduled(cx, owner, flags)?;
        for (sender, looper) in [
            (Scheduling::fifo(60), false),
            (Scheduling::normal(19), true),
        ] {
            if looper {
                manager.send(&[Bc::EnterLooper])?;
            }
            let mut client = client_scheduled(cx, sender)?;
            oneway_received(&mut client, &mut manager)?;
            let expected = expected(cx, ours, owner.with_nice(mainline));
            check_eq!(manager.scheduling()?, expected);
            // There is no reply: it stays until the thread waits again.
            expect_nothing(&mut manager)?;
            check_eq!(manager.scheduling()?, owner);
        }
    }
    Ok(())
}

fn oneway_does_not_lower(cx: &mut Cx) -> Result<()> {
    let owner = Scheduling::round_robin(10).with_nice(2);
    for flags in [
        node(Policy::Fifo, 9),
        node(Policy::Fifo, 10),
        heir(Policy::Normal, 5),
    ] {
        let mut manager = manager_scheduled(cx, owner, flags)?;
        for sender in [Scheduling::fifo(60), Scheduling::normal(19)] {
            let mut client = client_scheduled(cx, sender)?;
            oneway_received(&mut client, &mut manager)?;
            check_eq!(manager.scheduling()?, owner);
            expect_nothing(&mut manager)?;
            check_eq!(manager.scheduling()?, owner);
        }
    }
    Ok(())
}

fn oneway_of_opener(cx: &mut Cx) -> Result<()> {
    let opener = Scheduling::fifo(25);
    for (flags, ours) in [
        (heir(Policy::Normal, 19), raised(Scheduling::fifo(25))),
        // Nobody hands on real time here, not even the opener.
        (node(Policy::Batch, 19), NORMAL),
    ] {
        let mut manager = manager_scheduled(cx, opener, flags)?;
        let mut second = manager.spawn_thread()?;
        second.schedule(Scheduling::normal(6))?;
        second.version()?.ok();
        let mut client = cx.client()?;
        oneway_received(&mut client, &mut second)?;
        // Waiting for it gave the thread the nice value of the opener.
        check_eq!(second.scheduling()?, expected(cx, ours, NORMAL));
        expect_nothing(&mut second)?;
        check_eq!(second.scheduling()?, NORMAL);
    }
    Ok(())
}

fn plain_node(cx: &mut Cx) -> Result<()> {
    let owner = Scheduling::batch(0);
    for flags in [0, FLAT_BINDER_FLAG_ACCEPTS_FDS | 0xff] {
        let mut manager = manager_scheduled(cx, owner, flags)?;
        for caller in [Scheduling::fifo(50), Scheduling::round_robin(1), NORMAL] {
            let mut client = client_scheduled(cx, caller)?;
            for own in [owner, Scheduling::fifo(2)] {
                manager.schedule(own)?;
                let call = call_received(&mut client, &mut manager)?;
                check_eq!(manager.scheduling()?, own);
                // What it gives itself meanwhile is its own affair.
                let changed = Scheduling::round_robin(4);
                manager.schedule(changed)?;
                manager.answer(&call, Call::reply())?;
                complete(&mut manager)?;
                check_eq!(manager.scheduling()?, changed);
                let reply = client.receive()?;
                client.free(&reply)?;
                expect_nothing(&mut manager)?;
                check_eq!(manager.scheduling()?, changed);
            }
        }
    }
    Ok(())
}

fn plain_while_raised(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_scheduled(cx, NORMAL, heir(Policy::Normal, 19))?;
    let mut client = client_scheduled(cx, Scheduling::fifo(20))?;
    // The outer call, at real time, brings a plain node along.
    client.send(&[Call::to(0)
        .parcel(Parcel::new().binder_with(10, NODE.0, NODE.1))
        .into()])?;
    let outer = manager.receive()?;
    let ours = raised(Scheduling::fifo(20));
    check_eq!(manager.scheduling()?, expected(cx, ours, NORMAL));
    let back = manager.object(&outer, 0)?.handle();
    manager.send(&[Call::to(back).into()])?;
    let returns = client.read()?;
    client.acknowledge(&returns)?;
    let inner = delivery_in(&returns)?;
    check_eq!(client.scheduling()?, Scheduling::fifo(20));
    client.answer(inner, Call::reply())?;
    check_eq!(client.scheduling()?, Scheduling::fifo(20));
    complete(&mut client)?;
    manager.receive()?;
    check_eq!(manager.scheduling()?, expected(cx, ours, NORMAL));
    manager.answer(&outer, Call::reply())?;
    check_eq!(manager.scheduling()?, NORMAL);
    Ok(())
}

fn signal_while_raised(cx: &mut Cx) -> Result<()> {
    let mut manager = manager_scheduled(cx, NORMAL, heir(Policy::Normal, 19))?;
    let mut second = manager.spawn_thread()?;
    second.version()?.ok();
    let mut client = client_scheduled(cx, Scheduling::fifo(30))?;
    let ours = raised(Scheduling::fifo(30));
    // Which of the two wakes it, and when the other comes, is another thing each time.
    for round in 0..50 {
        let waiting = second.begin_exchange(&Exchange::read())?;
        waiting.wait_blocked()?;
        let sending = client.begin_exchange(&Exchange::write(&[Call::to(0).into()]))?;
        waiting.interrupt()?;
        sending.outcome()?.ok()?;
        let outcome = waiting.outcome()?;
        let returns = match outcome.result {
            Err(Errno::EINTR) => second.read()?,
            _ => outcome.ok()?.returns()?,
        };
        let call = delivery_in(&returns)?;
        check_eq!(second.scheduling()?, expected(cx, ours, NORMAL), "{round}");
        second.answer(call, Call::reply())?;
        check_eq!(second.scheduling()?, NORMAL, "{round}");
        complete(&mut second)?;
        let reply = client.receive()?;
        client.free(&reply)?;
    }
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0

//! Binders that travel: callbacks, nested calls, identity.

use super::{Case, Recording, Said, Stage, patience};
use crate::interface::ITestbed;
use anyhow::{Context, Result, bail, ensure};
use rsbinder::{SIBinder, Strong};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "object_callback",
        run: callback,
    },
    Case {
        name: "object_nested_calls",
        run: nested_calls,
    },
    Case {
        name: "object_comes_home",
        run: comes_home,
    },
    Case {
        name: "object_same_every_time",
        run: same_every_time,
    },
    Case {
        name: "object_through_a_third",
        run: through_a_third,
    },
    Case {
        name: "object_many_fresh",
        run: many_fresh,
    },
    Case {
        name: "object_none",
        run: none,
    },
];

fn callback(stage: &Stage) -> Result<String> {
    let service = stage.serve()?;
    let recording = Recording::new();
    let trace = service
        .testbed
        .bounce(&recording.callback, 1)
        .said("bounce")?;
    let expected = [service.process.id(), std::process::id()].map(u32::cast_signed);
    ensure!(
        trace == expected,
        "went through {trace:?}, expected {expected:?}"
    );
    Ok("service called back while its client waited".to_owned())
}

fn nested_calls(stage: &Stage) -> Result<String> {
    let depth = 9;
    let service = stage.serve()?;
    let recording = Recording::new();
    let trace = service
        .testbed
        .bounce(&recording.callback, depth)
        .said("bounce")?;
    let (there, here) = (
        service.process.id().cast_signed(),
        std::process::id().cast_signed(),
    );
    let expected: Vec<_> = (0..=depth)
        .map(|step| if step % 2 == 0 { there } else { here })
        .collect();
    ensure!(
        trace == expected,
        "went through {trace:?}, expected {expected:?}"
    );
    // A nested call must reach the thread that waits in this chain, not some idle one.
    let own = std::thread::current().id();
    let threads: Vec<_> = recording.threads.try_iter().collect();
    ensure!(threads.len() == 5, "called back {} times", threads.len());
    ensure!(
        threads.iter().all(|&thread| thread == own),
        "not all on the waiting thread: {threads:?}"
    );
    Ok(format!(
        "{} calls deep, all on the thread that waited",
        depth + 1
    ))
}

fn comes_home(stage: &Stage) -> Result<String> {
    let service = stage.serve()?;
    let own = Recording::new();
    service.testbed.hold(&own.binder()).said("hold")?;
    let back = service
        .testbed
        .held()
        .said("held")?
        .context("nothing came back")?;
    ensure!(
        !back.is_remote(),
        "this process's own binder came back as somebody else's"
    );
    ensure!(back == own.binder(), "another binder came back");
    service.testbed.release().said("release")?;
    ensure!(
        service.testbed.held().said("held")?.is_none(),
        "still held after release"
    );
    Ok("the client's binder came back as its own".to_owned())
}

fn same_every_time(stage: &Stage) -> Result<String> {
    let service = stage.serve()?;
    let found = service.testbed.as_binder();
    let handle = |binder: &SIBinder| binder.as_proxy().map(|proxy| proxy.handle());
    for _ in 0..50 {
        let sent = service.testbed.own_binder().said("own_binder")?;
        ensure!(sent == found, "the service's binder became another one");
        ensure!(
            handle(&sent) == handle(&found),
            "handle {:?} became {:?}",
            handle(&found),
            handle(&sent)
        );
    }
    Ok(format!(
        "handle {:?} each of 50 times",
        handle(&found).context("no handle")?
    ))
}

fn through_a_third(stage: &Stage) -> Result<String> {
    let (first, second) = (stage.serve()?, stage.serve()?);
    // The binder of the first goes to the second, which calls it and passes it on to this process.
    second
        .testbed
        .hold(&first.testbed.as_binder())
        .said("hold")?;
    ensure!(
        second.testbed.ping_held().said("ping_held")?,
        "the second could not reach the first"
    );
    let passed = second
        .testbed
        .held()
        .said("held")?
        .context("nothing came back")?;
    ensure!(
        passed == first.testbed.as_binder(),
        "another binder came back"
    );
    let testbed: Strong<dyn ITestbed> = passed.into_interface()?;
    let caller = testbed.caller().said("caller")?;
    ensure!(
        caller.service_pid.cast_unsigned() == first.process.id(),
        "served by {}",
        caller.service_pid
    );
    Ok("passed on twice, it still leads to its owner".to_owned())
}

fn many_fresh(stage: &Stage) -> Result<String> {
    let (rounds, count) = (10, 40);
    let service = stage.serve()?;
    for round in 0..rounds {
        let recordings: Vec<_> = (0..count).map(|_| Recording::new()).collect();
        let binders: Vec<_> = recordings.iter().map(Recording::binder).collect();
        let alive = service
            .testbed
            .count_binders(&binders)
            .said("count_binders")?;
        ensure!(alive == count, "round {round}: {alive} of {count} answered");
    }
    let (last, numbers) = {
        let last = Recording::new();
        (last.callback.clone(), last.numbers)
    };
    service.testbed.notify(&last, 1).said("notify")?;
    if numbers.recv_timeout(patience()).is_err() {
        bail!("the callback after them was not reached");
    }
    Ok(format!(
        "{rounds} × {count} new binders, each pinged by the service"
    ))
}

fn none(stage: &Stage) -> Result<String> {
    let service = stage.serve()?;
    ensure!(
        service.testbed.held().said("held")?.is_none(),
        "something was held from the start"
    );
    Ok("no binder stays no binder".to_owned())
}

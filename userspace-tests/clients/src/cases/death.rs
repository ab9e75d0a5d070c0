// SPDX-License-Identifier: GPL-2.0

//! Processes that die, and who is told.

use super::{Case, Mourner, Recording, Said, Stage, patience};
use crate::interface::failure;
use crate::service::eventually;
use anyhow::{Context, Result, bail, ensure};
use rsbinder::{StatusCode, hub};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "death_of_service",
        run: of_service,
    },
    Case {
        name: "death_of_client",
        run: of_client,
    },
    Case {
        name: "death_several_told",
        run: several_told,
    },
    Case {
        name: "death_not_told_after_unlink",
        run: not_told_after_unlink,
    },
    Case {
        name: "death_in_a_call",
        run: in_a_call,
    },
    Case {
        name: "death_with_callers_inside",
        run: with_callers_inside,
    },
    Case {
        name: "death_of_a_held_binder",
        run: of_a_held_binder,
    },
    Case {
        name: "death_already_over",
        run: already_over,
    },
    Case {
        name: "death_and_the_manager",
        run: and_the_manager,
    },
];

fn of_service(stage: &Stage) -> Result<String> {
    let mut service = stage.serve()?;
    let binder = service.testbed.as_binder();
    let (mourner, told) = Mourner::new();
    binder.link_to_death_arc(&mourner)?;
    service.process.kill()?;
    let who = told.recv_timeout(patience()).context("nobody was told")?;
    ensure!(who == binder, "told of another binder");
    ensure!(
        told.recv_timeout(Duration::from_millis(50)).is_err(),
        "told twice"
    );
    match service.testbed.add(1, 1) {
        Ok(sum) => bail!("a dead service answered {sum}"),
        Err(error) => {
            let status = error.transaction_error();
            ensure!(
                status == StatusCode::DeadObject,
                "the call failed with {status:?}"
            );
        }
    }
    Ok("told once, then calls fail with DeadObject".to_owned())
}

fn of_client(stage: &Stage) -> Result<String> {
    let service = stage.serve()?;
    let mut client = stage.lend_to(&service.name)?;
    ensure!(
        service.testbed.ping_held().said("ping_held")?,
        "the lent callback did not answer"
    );
    client.kill()?;
    ensure!(
        service.testbed.wait_for_death().said("wait_for_death")?,
        "the service was not told"
    );
    ensure!(
        !service.testbed.ping_held().said("ping_held")?,
        "a dead callback answered"
    );
    service.testbed.release().said("release")?;
    ensure!(service.testbed.add(1, 1).said("add")? == 2, "wrong sum");
    Ok("the service was told and serves on".to_owned())
}

fn several_told(stage: &Stage) -> Result<String> {
    let mut service = stage.serve()?;
    let binder = service.testbed.as_binder();
    let mourners: Vec<_> = (0..5).map(|_| Mourner::new()).collect();
    for (mourner, _) in &mourners {
        binder.link_to_death_arc(mourner)?;
    }
    service.process.kill()?;
    for (number, (_, told)) in mourners.iter().enumerate() {
        told.recv_timeout(patience())
            .with_context(|| format!("number {number} was not told"))?;
    }
    Ok(format!("all {} told", mourners.len()))
}

fn not_told_after_unlink(stage: &Stage) -> Result<String> {
    let mut service = stage.serve()?;
    let binder = service.testbed.as_binder();
    let ((kept, told), (unlinked, untold)) = (Mourner::new(), Mourner::new());
    binder.link_to_death_arc(&unlinked)?;
    binder.unlink_to_death_arc(&unlinked)?;
    // Requested, cleared and requested again: the driver must not mix these up.
    binder.link_to_death_arc(&kept)?;
    binder.link_to_death_arc(&unlinked)?;
    binder.unlink_to_death_arc(&unlinked)?;
    service.process.kill()?;
    told.recv_timeout(patience())
        .context("the one that stayed was not told")?;
    ensure!(
        untold.recv_timeout(Duration::from_millis(50)).is_err(),
        "the one that left was told"
    );
    Ok("only the one that stayed was told".to_owned())
}

fn in_a_call(stage: &Stage) -> Result<String> {
    let mut service = stage.serve()?;
    let Err(error) = service.testbed.fail(failure::EXIT) else {
        bail!("the call was answered")
    };
    let status = error.transaction_error();
    ensure!(
        status == StatusCode::DeadObject,
        "the call failed with {status:?}"
    );
    service
        .process
        .wait(patience())?
        .context("the service still runs")?;
    Ok("the caller got DeadObject".to_owned())
}

/// Whether a thread, by its folder in `/proc`, waits in an ioctl.
fn waits(thread: &Path) -> bool {
    let read = |name| fs::read_to_string(thread.join(name)).unwrap_or_default();
    // Its name in parentheses may hold anything; the state follows it.
    let asleep = read("stat")
        .rsplit(')')
        .next()
        .is_some_and(|rest| rest.starts_with(" S"));
    asleep && read("syscall").starts_with(&format!("{} ", libc::SYS_ioctl))
}

fn with_callers_inside(stage: &Stage) -> Result<String> {
    // More callers than threads in the service: some calls are being served, others still wait to be read.
    let (inside, callers) = (6, 12);
    let mut service = stage.serve()?;
    let testbed = service.testbed.clone();
    let (tell, told) = mpsc::channel();
    let call = || {
        if let Ok(thread) = fs::read_link("/proc/thread-self") {
            tell.send(Path::new("/proc").join(thread)).ok();
        }
        testbed
            .meet(i32::MAX)
            .map_err(|error| error.transaction_error())
    };
    let statuses = std::thread::scope(|scope| -> Result<Vec<_>> {
        let mut waiting: Vec<_> = (0..inside).map(|_| scope.spawn(call)).collect();
        let met = testbed.met(inside);
        waiting.extend((inside..callers).map(|_| scope.spawn(call)));
        let mut threads: Vec<PathBuf> = Vec::new();
        let sent = eventually(patience(), || {
            threads.extend(told.try_iter());
            threads.len() == waiting.len() && threads.iter().all(|thread| waits(thread))
        });
        service.process.kill()?;
        ensure!(
            met.said("met")? >= inside,
            "the service did not count its callers"
        );
        ensure!(sent, "not all callers wait for an answer");
        Ok(waiting
            .into_iter()
            .map(std::thread::ScopedJoinHandle::join)
            .collect())
    })?;
    let dead = statuses
        .iter()
        .filter(|status| matches!(status, Ok(Err(StatusCode::DeadObject))))
        .count();
    ensure!(
        dead == statuses.len(),
        "{dead} of {callers} callers got DeadObject: {statuses:?}"
    );
    Ok(format!("all {callers} callers got DeadObject"))
}

fn of_a_held_binder(stage: &Stage) -> Result<String> {
    // Two services: the first holds the second, the second dies, and its binder is still passed on.
    let (holder, mut victim) = (stage.serve()?, stage.serve()?);
    holder
        .testbed
        .hold(&victim.testbed.as_binder())
        .said("hold")?;
    victim.process.kill()?;
    ensure!(
        holder.testbed.wait_for_death().said("wait_for_death")?,
        "the holder was not told"
    );
    let dead = holder
        .testbed
        .held()
        .said("held")?
        .context("the dead binder did not come back")?;
    ensure!(
        dead.ping_binder() == Err(StatusCode::DeadObject),
        "it answered {:?}",
        dead.ping_binder()
    );
    Ok("told, and the dead binder can still be passed on".to_owned())
}

fn already_over(stage: &Stage) -> Result<String> {
    let mut service = stage.serve()?;
    service.process.kill()?;
    let binder = service.testbed.as_binder();
    // The process is gone but its binder may take a moment to die; either answer must come, and come as a death.
    let (mourner, told) = Mourner::new();
    let how = match binder.link_to_death_arc(&mourner) {
        Err(StatusCode::DeadObject) => "refused as dead",
        Err(error) => bail!("linking failed with {error:?}"),
        Ok(()) => {
            told.recv_timeout(patience())
                .context("linked after the death, but never told")?;
            "told at once"
        }
    };
    Ok(how.to_owned())
}

fn and_the_manager(stage: &Stage) -> Result<String> {
    let mut service = stage.serve()?;
    ensure!(
        hub::check_service(&service.name).is_some(),
        "not registered"
    );
    service.process.kill()?;
    let forgotten = eventually(patience(), || hub::check_service(&service.name).is_none());
    ensure!(
        forgotten,
        "the service manager still lists the dead service"
    );
    // The name is free for a successor.
    let _successor = stage.serve_as(&service.name)?;
    let testbed: rsbinder::Strong<dyn crate::interface::ITestbed> =
        hub::check_interface(&service.name)?;
    ensure!(testbed.add(20, 22).said("add")? == 42, "wrong sum");
    let own = Recording::new();
    ensure!(
        testbed
            .count_binders(&[own.binder()])
            .said("count_binders")?
            == 1,
        "the callback did not answer"
    );
    Ok("forgotten, and a successor took the name".to_owned())
}

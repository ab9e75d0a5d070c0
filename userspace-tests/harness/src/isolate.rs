// SPDX-License-Identifier: GPL-2.0

//! Runs a case in a process group of its own.
//!
//! Whatever the case does, it and its actors are gone afterwards: it is ended when
//! it overruns, and everything it leaves behind is ended and awaited.

use crate::case::{Case, Cx, Skip};
use crate::deadline::Deadline;
use crate::process::die_with_parent;
use crate::seen::{self, Seen};
use crate::{server, wire};
use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, setpgid};
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Mutex;

/// How a case ended on a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// As claimed.
    Passed,
    /// Not as claimed, with the reason.
    Failed(String),
    /// Not at all: it did not end in time.
    TimedOut(String),
    /// Says nothing here, with the reason.
    Skipped(String),
}

/// A case's verdict and its observations.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// How it ended.
    pub verdict: Verdict,
    /// What was observed on the way.
    pub notes: Vec<(String, String)>,
    /// What was reached of the ABI.
    pub seen: Seen,
    /// Whether the case expects something else of the Rust driver.
    pub differs: bool,
}

impl Report {
    /// For a case of which nothing is known but how it ended.
    pub fn bare(verdict: Verdict) -> Self {
        Self {
            verdict,
            notes: Vec::new(),
            seen: Seen::new(),
            differs: false,
        }
    }
}

/// Runs the case.  The caller must have one thread.
pub fn run(case: &Case, device: &Path, sibling: Option<&Path>) -> Result<Report> {
    // Actors that a case leaves behind become our children, so that they can be
    // awaited.
    // SAFETY: plain numbers.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) })?;
    let (ours, theirs) = UnixStream::pair()?;
    // SAFETY: the caller has one thread.
    match unsafe { fork() }? {
        ForkResult::Child => {
            drop(ours);
            die_with_parent();
            let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
            let report = inside(case, device, sibling);
            let sent = wire::send(&theirs, &report).is_ok();
            server::exit(if sent { 0 } else { 1 })
        }
        ForkResult::Parent { child } => {
            drop(theirs);
            // Both sides do it, as either may come first.
            let _ = setpgid(child, child);
            let report = await_report(child, &ours);
            clean_up(child)?;
            report
        }
    }
}

fn await_report(child: Pid, stream: &UnixStream) -> Result<Report> {
    if !Deadline::case().wait_readable(stream.as_fd())? {
        let state = whereabouts(child);
        return Ok(Report::bare(Verdict::TimedOut(format!(
            "did not end; {state}"
        ))));
    }
    Ok(match wire::receive(stream) {
        Ok(report) => report,
        Err(_) => Report::bare(Verdict::Failed("the case's process died".into())),
    })
}

/// What the case and its actors are doing, for the message.
fn whereabouts(leader: Pid) -> String {
    let mut states = Vec::new();
    for pid in members(leader) {
        let read =
            |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let syscall = read("syscall");
        let wchan = read("wchan");
        states.push(format!(
            "{pid}: {} {}",
            syscall.split(' ').next().unwrap_or("?").trim(),
            wchan.trim()
        ));
    }
    states.join(", ")
}

/// The processes of a group.
fn members(leader: Pid) -> Vec<i32> {
    let group = leader.as_raw().to_string();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // Behind the name: state, parent, group.
            stat.rsplit(')')
                .next()
                .and_then(|rest| rest.split_whitespace().nth(2))
                == Some(group.as_str())
        })
        .collect()
}

/// Ends what is left of the group and awaits all our children.
fn clean_up(child: Pid) -> Result<()> {
    let deadline = Deadline::step();
    // Blocked, the signal is kept for the descriptor; whoever ended before shows below.
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    let before = mask.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let ends = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    let result = end_and_await(child, &ends, deadline);
    before.thread_set_mask()?;
    result
}

fn end_and_await(child: Pid, ends: &SignalFd, deadline: Deadline) -> Result<()> {
    match killpg(child, Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => return Err(error).context("end the case's processes"),
    }
    loop {
        match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => {
                ensure!(
                    deadline.wait_readable(ends.as_fd())?,
                    "processes of the case cannot be ended: {}",
                    whereabouts(child)
                );
                ends.read_signal()?;
            }
            Ok(_) => {}
            Err(Errno::ECHILD) => return Ok(()),
            Err(error) => return Err(error).context("await the case's processes"),
        }
    }
}

/// In the case's own process.
fn inside(case: &Case, device: &Path, sibling: Option<&Path>) -> Report {
    static MESSAGE: Mutex<String> = Mutex::new(String::new());
    panic::set_hook(Box::new(|info| {
        if let Ok(mut message) = MESSAGE.lock() {
            *message = info.to_string().replace('\n', " ");
        }
    }));
    let mut cx = Cx::new(device, sibling);
    let result = panic::catch_unwind(AssertUnwindSafe(|| {
        cx.wait_for_vacancy().context("before the case")?;
        // That was not the case's doing.
        seen::take();
        (case.run)(&mut cx)
    }));
    let verdict = match result {
        Ok(Ok(())) => Verdict::Passed,
        Ok(Err(error)) => match error.downcast::<Skip>() {
            Ok(Skip(reason)) => Verdict::Skipped(reason),
            Err(error) => Verdict::Failed(format!("{error:#}")),
        },
        Err(_) => Verdict::Failed(MESSAGE.lock().map(|m| m.clone()).unwrap_or_default()),
    };
    Report {
        verdict,
        differs: cx.differs(),
        notes: cx.into_notes(),
        seen: seen::take(),
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Sections A12 and A14: whose memory it is that a message takes, and for how long.

use super::case;
use crate::fixtures::*;
use anyhow::{Context, Result};
use binder_abi::*;
use harness::case::Skip;
use harness::deadline::Deadline;
use harness::{Call, Case, Cx, Errno, Transactions, check};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

pub const CASES: &[Case] = &[
    case(
        "a12/memory-is-charged",
        "memory that a message takes is the sender's, by its memory cgroup; on C nobody's",
        memory_is_charged,
    ),
    case(
        "a14/memory-of-the-dead",
        "memory of messages goes with their receiver, though others have handles of its nodes",
        memory_of_the_dead,
    )
    .covers(&["A14.4"]),
    case(
        "a14/dead-are-forgotten",
        "neither task nor address space of a process that died is kept, though others have handles of its nodes",
        dead_are_forgotten,
    )
    .covers(&["A14.4"]),
];

const MIB: u64 = 1 << 20;

/// A memory cgroup, removed in the end.
struct Group(PathBuf);

impl Group {
    fn new() -> Result<Self> {
        let root = Path::new("/sys/fs/cgroup");
        let file = root.join("cgroup.controllers");
        let known = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        if !known.split_whitespace().any(|name| name == "memory") {
            return Err(Skip("the kernel has no memory cgroups".into()).into());
        }
        fs::write(root.join("cgroup.subtree_control"), "+memory").context("+memory")?;
        let path = root.join(format!("case-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }

    fn add(&self, pid: i32) -> Result<()> {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).context("cgroup.procs")
    }

    /// Runs `f` with this process, and what it forks, in the group.
    fn inside<T>(&self, f: impl FnOnce() -> Result<T>) -> Result<T> {
        let pid = std::process::id();
        self.add(pid as i32)?;
        let result = f();
        fs::write("/sys/fs/cgroup/cgroup.procs", pid.to_string()).context("back to the root")?;
        result
    }

    /// Bytes of kernel memory charged to it, those of user space's pages aside.
    fn kernel(&self) -> Result<u64> {
        let text = fs::read_to_string(self.0.join("memory.stat")).context("memory.stat")?;
        let bytes = text.lines().find_map(|line| line.strip_prefix("kernel "));
        bytes
            .context("no line \"kernel\"")?
            .parse()
            .context("kernel")
    }

    /// What it was charged since it had `before`, once that is less than `limit`, or does not get to
    /// be. The kernel sums up its counts every two seconds, and frees some things a little later.
    fn settled(&self, before: u64, limit: u64) -> Result<u64> {
        let deadline = Deadline::step();
        loop {
            sleep(Duration::from_millis(2500));
            let left = self.kernel()?.saturating_sub(before);
            if left < limit || deadline.passed() {
                return Ok(left);
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // While a process is in it, it stays; the guest goes soon.
        let _ = fs::remove_dir(&self.0);
    }
}

fn memory_is_charged(cx: &mut Cx) -> Result<()> {
    let group = Group::new()?;
    let _manager = cx.manager_with_size(4 * MIB)?;
    let mut client = cx.client()?;
    group.add(client.pid())?;
    let before = group.kernel()?;
    client.send(&[Call::to(0).data(&vec![1; 2 * MIB as usize]).into()])?;
    let charged = group.kernel()?.saturating_sub(before);
    match cx.is_rust_driver() {
        true => check!(charged >= 2 * MIB, "{charged}"),
        false => check!(charged < MIB, "{charged}"),
    }
    Ok(())
}

fn memory_of_the_dead(cx: &mut Cx) -> Result<()> {
    let group = Group::new()?;
    let mut manager = cx.manager()?;
    let mut owner = cx.client_with_size(4 * MIB)?;
    let handle = give_node(&mut owner, &mut manager, NODE)?;
    group.add(manager.pid())?;
    let before = group.kernel()?;
    let data = vec![1; MIB as usize];
    // One is read and not freed, one is not read.
    manager.send(&[Call::oneway(handle).data(&data).into()])?;
    complete(&mut manager)?;
    owner.receive()?;
    manager.send(&[Call::to(handle).data(&data).into()])?;
    owner.kill()?;
    expect(
        &mut manager,
        &[BR_NOOP, BR_TRANSACTION_COMPLETE, BR_DEAD_REPLY],
    )?;
    let left = group.kernel()?.saturating_sub(before);
    check!(left < MIB / 2, "{left}");
    fails(
        &mut manager,
        Call::to(handle),
        BR_DEAD_REPLY,
        Some(Errno::EINVAL),
    )
}

fn dead_are_forgotten(cx: &mut Cx) -> Result<()> {
    const PROCESSES: u64 = 32;
    let group = Group::new()?;
    let mut manager = cx.manager()?;
    let before = group.kernel()?;
    let mut handles = Vec::new();
    for _ in 0..PROCESSES {
        let mut owner = group.inside(|| cx.client())?;
        handles.push(give_node(&mut owner, &mut manager, NODE)?);
        owner.kill()?;
    }
    // A task, its address space and the tables of a process are more than twice as much. Lockdep
    // makes everything that has a lock larger.
    let limit = PROCESSES
        * match Path::new("/proc/lockdep").exists() {
            true => 24576,
            false => 16384,
        };
    let left = group.settled(before, limit)?;
    check!(left < limit, "{left}");
    fails(
        &mut manager,
        Call::to(handles[0]),
        BR_DEAD_REPLY,
        Some(Errno::EINVAL),
    )
}

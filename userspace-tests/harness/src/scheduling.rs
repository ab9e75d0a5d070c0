// SPDX-License-Identifier: GPL-2.0

//! How an actor's threads are scheduled: seen and changed by the test, which may do
//! anything, from outside; only capabilities are a thread's own to give up.

use crate::thread::Thread;
use crate::wire::Argument;
use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::Resource;
use nix::unistd::Pid;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A scheduling policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Policy {
    Normal,
    Fifo,
    RoundRobin,
    Batch,
    Idle,
    Deadline,
}

impl Policy {
    const ALL: [(Policy, i32); 6] = [
        (Policy::Normal, libc::SCHED_NORMAL),
        (Policy::Fifo, libc::SCHED_FIFO),
        (Policy::RoundRobin, libc::SCHED_RR),
        (Policy::Batch, libc::SCHED_BATCH),
        (Policy::Idle, libc::SCHED_IDLE),
        (Policy::Deadline, libc::SCHED_DEADLINE),
    ];

    /// Its number.
    pub fn number(self) -> i32 {
        let found = Self::ALL.iter().find(|(policy, _)| *policy == self);
        found.expect("all are listed").1
    }
}

/// How a thread is scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheduling {
    /// Its policy.
    pub policy: Policy,
    /// Its nice value, which it has whatever the policy.
    pub nice: i32,
    /// Its real-time priority, 0 under other policies.
    pub priority: u32,
    /// What it forks starts with an ordinary policy.
    pub reset_on_fork: bool,
}

impl Scheduling {
    /// `SCHED_NORMAL` with a nice value.
    pub const fn normal(nice: i32) -> Self {
        Self {
            policy: Policy::Normal,
            nice,
            priority: 0,
            reset_on_fork: false,
        }
    }

    /// `SCHED_BATCH` with a nice value.
    pub const fn batch(nice: i32) -> Self {
        Self {
            policy: Policy::Batch,
            ..Self::normal(nice)
        }
    }

    /// `SCHED_FIFO` with a real-time priority, and nice 0 for later.
    pub const fn fifo(priority: u32) -> Self {
        Self {
            policy: Policy::Fifo,
            priority,
            ..Self::normal(0)
        }
    }

    /// `SCHED_RR` likewise.
    pub const fn round_robin(priority: u32) -> Self {
        Self {
            policy: Policy::RoundRobin,
            ..Self::fifo(priority)
        }
    }

    /// The same with another nice value.
    pub const fn with_nice(self, nice: i32) -> Self {
        Self { nice, ..self }
    }

    /// The same for a thread whose forks start with an ordinary policy.
    pub const fn reset_on_fork(self) -> Self {
        Self {
            reset_on_fork: true,
            ..self
        }
    }
}

const ATTR_SIZE: u32 = size_of::<libc::sched_attr>() as u32;

const fn blank() -> libc::sched_attr {
    libc::sched_attr {
        size: ATTR_SIZE,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    }
}

fn set_attr(tid: i32, attr: &libc::sched_attr) -> Result<()> {
    // SAFETY: the structure is whole and says its size.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, tid, attr, 0) };
    Errno::result(result).with_context(|| format!("sched_setattr of {tid}"))?;
    Ok(())
}

fn set_nice(tid: i32, nice: i32) -> Result<()> {
    // SAFETY: plain numbers.
    let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, tid as u32, nice) };
    Errno::result(result).context("setpriority")?;
    Ok(())
}

/// Schedules a thread so, wherever it is; for one that is busy with a step.
pub fn schedule(tid: i32, wanted: Scheduling) -> Result<()> {
    let flags = match wanted.reset_on_fork {
        true => libc::SCHED_FLAG_RESET_ON_FORK as u64,
        false => 0,
    };
    set_attr(
        tid,
        &libc::sched_attr {
            sched_policy: wanted.policy.number() as u32,
            sched_flags: flags,
            sched_nice: wanted.nice,
            sched_priority: wanted.priority,
            ..blank()
        },
    )?;
    set_nice(tid, wanted.nice)
}

/// Has these threads run on the first CPU only; 0 is the test itself.
pub fn share_cpu(tids: &[i32]) -> Result<()> {
    let mut first = CpuSet::new();
    first.set(0)?;
    for tid in tids {
        sched_setaffinity(Pid::from_raw(*tid), &first).context("sched_setaffinity")?;
    }
    Ok(())
}

fn nice_of(tid: i32) -> Result<i32> {
    // SAFETY: plain numbers.
    let result = unsafe { libc::syscall(libc::SYS_getpriority, libc::PRIO_PROCESS, tid) };
    // The system call has no negative results, so it counts the other way.
    Ok(20 - Errno::result(result).context("getpriority")? as i32)
}

fn attributes_of(tid: i32) -> Result<libc::sched_attr> {
    let mut attr = blank();
    // SAFETY: the structure may be written to for the size given.
    let result =
        unsafe { libc::syscall(libc::SYS_sched_getattr, tid, &raw mut attr, ATTR_SIZE, 0) };
    Errno::result(result).context("sched_getattr")?;
    Ok(attr)
}

/// How a thread is scheduled; for one that is busy with a step.
pub fn scheduling_of(tid: i32) -> Result<Scheduling> {
    let attr = attributes_of(tid)?;
    let known = Policy::ALL
        .iter()
        .find(|(_, number)| *number as u32 == attr.sched_policy);
    let Some((policy, _)) = known else {
        bail!("thread {tid} has policy {}", attr.sched_policy);
    };
    Ok(Scheduling {
        policy: *policy,
        nice: nice_of(tid)?,
        priority: attr.sched_priority,
        reset_on_fork: attr.sched_flags & libc::SCHED_FLAG_RESET_ON_FORK as u64 != 0,
    })
}

impl Thread {
    /// The nice value.
    pub fn nice(&self) -> Result<i32> {
        nice_of(self.tid)
    }

    /// Gives the thread a nice value.
    pub fn set_nice(&self, nice: i32) -> Result<()> {
        set_nice(self.tid, nice)
    }

    /// How the thread is scheduled.
    pub fn scheduling(&self) -> Result<Scheduling> {
        scheduling_of(self.tid)
    }

    /// Schedules the thread so.
    pub fn schedule(&self, wanted: Scheduling) -> Result<()> {
        schedule(self.tid, wanted)
    }

    /// How long the thread runs at a time, in nanoseconds, if its policy has that.
    pub fn slice(&self) -> Result<u64> {
        Ok(attributes_of(self.tid)?.sched_runtime)
    }

    /// Has it run so long at a time, at nice 0.
    pub fn set_slice(&self, nanoseconds: u64) -> Result<()> {
        set_attr(
            self.tid,
            &libc::sched_attr {
                sched_runtime: nanoseconds,
                ..blank()
            },
        )
    }

    /// Makes the thread run to deadlines; it takes up to half a CPU.
    pub fn schedule_by_deadline(&self) -> Result<()> {
        const PERIOD: u64 = 100_000_000;
        set_attr(
            self.tid,
            &libc::sched_attr {
                sched_policy: libc::SCHED_DEADLINE as u32,
                sched_runtime: PERIOD / 2,
                sched_deadline: PERIOD,
                sched_period: PERIOD,
                ..blank()
            },
        )
    }

    /// Sets a limit of the thread's process.
    pub fn limit(&self, resource: Resource, value: u64) -> Result<()> {
        let limit = libc::rlimit64 {
            rlim_cur: value,
            rlim_max: value,
        };
        // SAFETY: the structure is whole; nothing is written.
        let result =
            unsafe { libc::prlimit64(self.pid, resource as u32, &limit, std::ptr::null_mut()) };
        Errno::result(result).context("prlimit")?;
        Ok(())
    }

    /// Has the thread give up `CAP_SYS_NICE`.
    pub fn drop_sys_nice(&mut self) -> Result<()> {
        const SYS_NICE: u32 = 23;
        let header = Header {
            version: 0x2008_0522,
            pid: 0,
        };
        let argument = |bytes: &[u8]| Argument::Memory(bytes.to_vec());
        let none = [Half::default(); 2];
        let (result, mut memory) = self.syscall_with(
            libc::SYS_capget,
            vec![argument(header.as_bytes()), argument(none.as_bytes())],
        )?;
        result.context("capget")?;
        let sets = memory.pop().context("what capget wrote")?;
        let mut sets = <[Half; 2]>::read_from_bytes(&sets)
            .ok()
            .context("two halves")?;
        sets[0].effective &= !(1 << SYS_NICE);
        self.syscall_with(
            libc::SYS_capset,
            vec![argument(header.as_bytes()), argument(sets.as_bytes())],
        )?
        .0
        .context("capset")?;
        Ok(())
    }
}

/// `struct __user_cap_header_struct`.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`: 32 capabilities.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

// SPDX-License-Identifier: GPL-2.0

//! Threads that begin at given moments, so that they meet in the driver.
//!
//! Moments only choose the interleaving: whatever happens has to be right, also when
//! a thread comes late.

use crate::device::{Exchange, Outcome};
use crate::returns::Br;
use crate::thread::{Pending, Thread};
use crate::wire::{Argument, Request, Response};
use anyhow::{Context, Result, bail};
use nix::errno::Errno;

/// One thing that a thread does in a race.
#[derive(Clone, Debug)]
pub enum Step {
    /// `BINDER_WRITE_READ` on the thread's device.
    Exchange(Exchange),
    /// Any system call with plain arguments.
    Syscall(i64, Vec<u64>),
}

impl From<Exchange> for Step {
    fn from(exchange: Exchange) -> Self {
        Step::Exchange(exchange)
    }
}

/// What came of a step.
#[derive(Clone, Debug)]
pub enum Done {
    /// Of an exchange.
    Exchange(Outcome),
    /// Of a system call.
    Syscall(Result<i64, Errno>),
}

impl Done {
    /// What an exchange returned, which has to have worked.
    pub fn returns(&self) -> Result<Vec<Br>> {
        match self {
            Done::Exchange(outcome) => outcome.clone().ok()?.returns(),
            Done::Syscall(result) => bail!("a system call returns nothing: {result:?}"),
        }
    }

    /// How a step ended.
    pub fn result(&self) -> Result<(), Errno> {
        match self {
            Done::Exchange(outcome) => outcome.result,
            Done::Syscall(result) => result.map(drop),
        }
    }
}

/// A thread in a race.
pub struct Party<'a> {
    /// Who.
    pub thread: &'a mut Thread,
    /// What, one after the other.
    pub steps: Vec<Step>,
    /// When, in nanoseconds of [`now`].
    pub start: u64,
    /// Whether it sleeps until then: a real-time thread then interrupts who runs.
    pub asleep: bool,
}

/// What became of a party.
#[derive(Clone, Debug)]
pub struct Finish {
    /// How long it took; nothing if it came late.
    pub took: Option<u64>,
    /// One for each step.
    pub done: Vec<Done>,
}

impl Finish {
    /// The only step's end.
    pub fn only(&self) -> Result<&Done> {
        match self.done.as_slice() {
            [done] => Ok(done),
            _ => bail!("not one step: {:?}", self.done),
        }
    }
}

/// Runs all parties against one another; a process that ended gives an error.
pub fn run(parties: Vec<Party<'_>>) -> Result<Vec<Result<Finish>>> {
    let mut begun = Vec::new();
    for party in parties {
        begun.push(party.begin()?);
    }
    Ok(begun.into_iter().map(finish).collect())
}

impl<'a> Party<'a> {
    fn begin(self) -> Result<Pending<'a>> {
        let fd = self.thread.endpoint.fd;
        let request = |step: &Step| match step {
            Step::Exchange(exchange) => exchange.request(fd),
            Step::Syscall(number, arguments) => Request::Syscall {
                number: *number,
                arguments: arguments.iter().map(|v| Argument::Value(*v)).collect(),
            },
        };
        self.thread.begin(&Request::Timed {
            start: self.start,
            asleep: self.asleep,
            requests: self.steps.iter().map(request).collect(),
        })
    }
}

fn finish(pending: Pending<'_>) -> Result<Finish> {
    let Response::Timed { took, responses } = pending.finish()? else {
        bail!("not the answer to a race");
    };
    let done = |response| match response {
        Response::Syscall { result, .. } if result < 0 => {
            Ok(Done::Syscall(Err(Errno::from_raw(-result as i32))))
        }
        Response::Syscall { result, .. } => Ok(Done::Syscall(Ok(result))),
        other => Outcome::new(other).map(Done::Exchange),
    };
    let done: Result<Vec<Done>> = responses.into_iter().map(done).collect();
    Ok(Finish { took, done: done? })
}

/// Makes a thread one that interrupts ordinary ones as soon as it can run.
pub fn make_urgent(thread: &mut Thread) -> Result<()> {
    // `struct sched_param` is one number.
    let arguments = vec![
        Argument::Value(0),
        Argument::Value(libc::SCHED_FIFO as u64),
        Argument::Memory(1i32.to_le_bytes().to_vec()),
    ];
    let (result, _) = thread.syscall_with(libc::SYS_sched_setscheduler, arguments)?;
    result.context("sched_setscheduler").map(drop)
}

/// Nanoseconds of the monotonic clock.
pub fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the structure is ours; the clock is always there.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Waits for a moment; false if it has passed.
pub(crate) fn wait_until(start: u64, asleep: bool) -> bool {
    if now() >= start {
        return false;
    }
    if asleep {
        let until = libc::timespec {
            tv_sec: (start / 1_000_000_000) as i64,
            tv_nsec: (start % 1_000_000_000) as i64,
        };
        // SAFETY: the structure is ours.
        unsafe {
            libc::clock_nanosleep(
                libc::CLOCK_MONOTONIC,
                libc::TIMER_ABSTIME,
                &until,
                std::ptr::null_mut(),
            )
        };
    } else {
        while now() < start {
            std::hint::spin_loop();
        }
    }
    true
}

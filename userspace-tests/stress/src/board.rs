// SPDX-License-Identifier: GPL-2.0

//! The score board: memory that the supervisor shares with every worker.
//!
//! Workers are killed at any moment, so what they did is written down where it outlives them. Everything in here is an
//! atomic number; nothing is ever locked, since the holder could be killed.

use crate::device::now_ms;
use anyhow::{Result, ensure};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use zerocopy::FromZeros;

/// Most workers there can be.
pub const MAX_WORKERS: usize = 16;
/// Most threads one worker shows on the board.
pub const MAX_THREADS: usize = 24;

/// Declares what is counted, with the words for it in the summary.
macro_rules! counters {
    ($($name:ident = $words:literal),* $(,)?) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        #[repr(usize)]
        pub enum Count { $($name),* }

        impl Count {
            /// All of them, in the order of the summary.
            pub const ALL: &[Count] = &[$(Count::$name),*];

            /// Its line in the summary.
            pub fn words(self) -> &'static str {
                match self { $(Count::$name => $words),* }
            }
        }
    };
}

counters! {
    Calls = "sync calls answered",
    Bytes = "bytes carried and checked",
    Nested = "nested calls served while waiting",
    Oneway = "oneway calls sent",
    OnewayArrived = "oneway calls arrived, in order",
    Fresh = "fresh binders sent",
    Home = "binders back at their owner",
    Forwarded = "handles passed to a third process",
    Files = "files sent",
    FilesArrived = "files arrived",
    DeathsRequested = "death notices requested",
    DeathsTold = "death notices received",
    DeathsCleared = "death notices taken back",
    ThreadExits = "threads given up",
    ExitsInCall = "threads given up inside a call",
    Abandoned = "calls abandoned by their caller",
    Unmapped = "mappings removed under way",
    Polls = "waits by epoll",
    Spawned = "loopers the driver asked for",
    BadCalls = "malformed calls, refused as they should be",
    DeadReplies = "calls to processes that died",
    NoSpace = "calls refused for want of space",
    Busy = "steps left out, the other side being busy or gone",
}

/// Part of the run, as workers see it.
pub mod phase {
    /// Do everything at random.
    pub const WORK: u32 = 0;
    /// Let the last calls end, start no new ones.
    pub const FINISH: u32 = 1;
    /// Give everything back.
    pub const DRAIN: u32 = 2;
    /// The survivor asks to be told of the death of everybody else.
    pub const NOTICE: u32 = 3;
    /// Leave.
    pub const LEAVE: u32 = 4;
}

/// A thread of a worker.
#[derive(Default, FromZeros)]
#[repr(C)]
pub struct ThreadLine {
    /// When it began what it is doing, or 0 if it waits for work.
    since: AtomicU64,
    /// Its number in the kernel.
    tid: AtomicU32,
    /// Code of what it is doing.
    what: AtomicU32,
}

impl ThreadLine {
    /// The thread has begun something that must come to an end.
    pub fn begin(&self, what: u32) {
        self.what.store(what, Ordering::Relaxed);
        self.since.store(now_ms(), Ordering::Relaxed);
    }

    /// The thread is done with it.
    pub fn end(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    /// Number, doing, and for how long, if it is doing something.
    pub fn stuck_for(&self) -> Option<(u32, u32, u64)> {
        let since = self.since.load(Ordering::Relaxed);
        (since != 0).then(|| {
            let (tid, what) = (
                self.tid.load(Ordering::Relaxed),
                self.what.load(Ordering::Relaxed),
            );
            (tid, what, now_ms().saturating_sub(since))
        })
    }

    /// Says which thread of the kernel this line is about.
    pub fn claim(&self, tid: u32) {
        self.end();
        self.tid.store(tid, Ordering::Relaxed);
    }
}

/// A worker.
#[derive(FromZeros)]
#[repr(C)]
pub struct WorkerLine {
    /// How often this worker was started.
    pub incarnation: AtomicU32,
    /// Last incarnation that was, or is about to be, killed.
    pub doomed: AtomicU32,
    /// Threads that make calls and have not ended.
    pub callers: AtomicU32,
    /// 1 once the worker has given back what it could, 2 once the survivor has asked for all deaths.
    pub drained: AtomicU32,
    /// Death notices still to come.
    pub deaths_due: AtomicU32,
    /// Own binders that the driver still holds.
    pub nodes_held: AtomicU32,
    /// Open files, after the start and at the end.
    pub files_before: AtomicU32,
    /// See `files_before`.
    pub files_after: AtomicU32,
    /// Own binders the driver knows at the very end.
    pub nodes_known: AtomicU32,
    /// What its threads are doing.
    pub threads: [ThreadLine; MAX_THREADS],
    counts: [AtomicU64; Count::ALL.len()],
    violations: AtomicU64,
}

impl WorkerLine {
    /// Counts one more.
    pub fn count(&self, what: Count) {
        self.add(what, 1);
    }

    /// Counts several more.
    pub fn add(&self, what: Count, number: u64) {
        if let Some(count) = self.counts.get(what as usize) {
            count.fetch_add(number, Ordering::Relaxed);
        }
    }

    /// Makes the line ready for a new start of its worker; what was counted stays.
    pub fn restart(&self) {
        self.incarnation.fetch_add(1, Ordering::AcqRel);
        for number in [
            &self.callers,
            &self.drained,
            &self.deaths_due,
            &self.nodes_held,
            &self.nodes_known,
        ] {
            number.store(0, Ordering::Release);
        }
        self.threads.iter().for_each(ThreadLine::end);
    }

    /// Notes that the driver did something that it must not do.
    pub fn violation(&self, message: &str) {
        // The first few tell the story; a broken driver would otherwise bury it.
        if self.violations.fetch_add(1, Ordering::Relaxed) < 5 {
            eprintln!("VIOLATION in process {}: {message}", std::process::id());
        }
    }
}

/// The whole board.
#[derive(FromZeros)]
#[repr(C)]
pub struct Board {
    /// One of [`phase`].
    pub phase: AtomicU32,
    /// Slot of the worker that outlives the others.
    pub survivor: AtomicU32,
    /// The workers.
    pub workers: [WorkerLine; MAX_WORKERS],
}

impl Board {
    /// Makes the board; processes forked from now on share it.
    pub fn share() -> Result<&'static Self> {
        let size = NonZeroUsize::new(size_of::<Self>()).unwrap_or(NonZeroUsize::MIN);
        // SAFETY: a new mapping at no particular address replaces nothing.
        let place = unsafe {
            mmap_anonymous(
                None,
                size,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED,
            )
        }?;
        ensure!(
            place.cast::<Self>().is_aligned(),
            "mmap gave an unaligned address"
        );
        // SAFETY: the mapping is page-aligned, as large as a board, zeroed, for which `FromZeros` vouches, never removed,
        // and everything in it is atomic, so that sharing it between processes is no different from sharing it between threads.
        Ok(unsafe { place.cast::<Self>().as_ref() })
    }

    /// Total of a counter.
    pub fn total(&self, what: Count) -> u64 {
        let of_one = |worker: &WorkerLine| {
            worker
                .counts
                .get(what as usize)
                .map_or(0, |count| count.load(Ordering::Relaxed))
        };
        self.workers.iter().map(of_one).sum()
    }

    /// Number of violations seen by anybody.
    pub fn violations(&self) -> u64 {
        self.workers
            .iter()
            .map(|worker| worker.violations.load(Ordering::Relaxed))
            .sum()
    }

    /// Checks that a worker said to be dead has been killed, by its identity: slot above, incarnation below.
    pub fn check_dead(&self, reporter: &WorkerLine, identity: u64) {
        let slot = usize::try_from(identity >> 32).unwrap_or(usize::MAX);
        let doomed = self
            .workers
            .get(slot)
            .map_or(0, |worker| worker.doomed.load(Ordering::Acquire));
        if u64::from(doomed) < identity & u64::from(u32::MAX) {
            reporter.violation(&format!(
                "worker {slot} is said to be dead, and lives (incarnation {})",
                identity & 0xffff_ffff
            ));
        }
    }

    /// The current phase.
    pub fn phase(&self) -> u32 {
        self.phase.load(Ordering::Acquire)
    }

    /// Announces the next phase.
    pub fn enter(&self, phase: u32) {
        self.phase.store(phase, Ordering::Release);
    }
}

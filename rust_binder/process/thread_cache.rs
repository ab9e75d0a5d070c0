// SPDX-License-Identifier: GPL-2.0

//! Finding the current thread without a lock.
//!
//! A thread ends by the hands of its own task, or when the file is released and no task is in the
//! driver. Either clears its slot. So what a task finds under its own pid is never stale, however
//! the slots are raced for; and it is a key, not a pointer.

use super::ThreadKey;
use kernel::{
    sync::atomic::{
        ordering::Relaxed,
        Atomic, //
    },
    task::Pid, //
};

/// How many threads of a process are found this way; the others are found in its tree.
const SLOTS: usize = 16;

/// The kernel's limit.
const PID_BITS: u32 = 22;
const INDEX_BITS: u32 = 18;
const GENERATION_BITS: u32 = 24;

/// Threads of one process, each with its key, in one word: pid, index and generation.
pub(super) struct ThreadCache([Atomic<u64>; SLOTS]);

impl ThreadCache {
    pub(super) fn new() -> Self {
        Self([const { Atomic::new(0) }; SLOTS])
    }

    #[inline]
    fn slot(&self, pid: Pid) -> Option<&Atomic<u64>> {
        self.0.get(pid as usize & (SLOTS - 1))
    }

    /// The key of thread `pid`, which must be the current one.
    #[inline]
    pub(super) fn get(&self, pid: Pid) -> Option<ThreadKey> {
        let word = self.slot(pid)?.load(Relaxed);
        if word >> (INDEX_BITS + GENERATION_BITS) != u64::from(pid as u32) {
            return None;
        }
        Some(ThreadKey::from_parts(
            (word >> GENERATION_BITS) as u32 & ((1 << INDEX_BITS) - 1),
            word as u32 & ((1 << GENERATION_BITS) - 1),
        ))
    }

    /// Notes the key of thread `pid`, unless it does not fit.
    pub(super) fn set(&self, pid: Pid, key: ThreadKey) {
        let (pid_bits, (index, generation)) = (pid as u32, key.to_parts());
        let fits = pid_bits >> PID_BITS == 0
            && index >> INDEX_BITS == 0
            && generation >> GENERATION_BITS == 0;
        if let (true, Some(slot)) = (fits, self.slot(pid)) {
            let word = u64::from(pid_bits) << (INDEX_BITS + GENERATION_BITS)
                | u64::from(index) << GENERATION_BITS
                | u64::from(generation);
            slot.store(word, Relaxed);
        }
    }

    /// Forgets thread `pid`.
    pub(super) fn clear(&self, pid: Pid) {
        if let (Some(_), Some(slot)) = (self.get(pid), self.slot(pid)) {
            slot.store(0, Relaxed);
        }
    }
}

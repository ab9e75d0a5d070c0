// SPDX-License-Identifier: GPL-2.0

//! A worker's books on binders: its own ones, the handles it uses, and the deaths it asked about.
//!
//! Every entry is checked against what the driver says, so that a count that is off by one shows when it happens.

use crate::board::{Board, Count, WorkerLine};
use binder_abi::{BR_ACQUIRE, BR_DECREFS, BR_INCREFS, BR_RELEASE, PtrCookie};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Locks, whatever happened to the last holder.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The second name of a binder, derived from its first, so that a mix-up is seen.
pub fn cookie_of(ptr: u64) -> u64 {
    ptr.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xc00c_1e00
}

/// What the driver has said of one binder of this process.
#[derive(Default, Clone, Copy)]
struct Node {
    weak: i32,
    strong: i32,
    /// Messages under way that send it.
    sending: u32,
}

/// The binders of this process.
#[derive(Default)]
pub struct Nodes(Mutex<HashMap<u64, Node>>);

impl Nodes {
    /// A binder is about to be sent.
    pub fn sending(&self, ptr: u64) {
        lock(&self.0).entry(ptr).or_default().sending += 1;
    }

    /// It was sent, or could not be.
    pub fn sent(&self, ptr: u64) {
        let mut nodes = lock(&self.0);
        if let Some(node) = nodes.get_mut(&ptr) {
            node.sending = node.sending.saturating_sub(1);
            if node.sending + node.weak.unsigned_abs() + node.strong.unsigned_abs() == 0 {
                nodes.remove(&ptr);
            }
        }
    }

    /// The driver counts a binder up or down.
    ///
    /// Two threads may read "down" and a later "up" and come here in the other order, so a count may reach two for a moment,
    /// but never more, and never less than zero: each "down" is only sent after its "up" was confirmed.
    pub fn count(&self, line: &WorkerLine, what: u32, PtrCookie { ptr, cookie }: PtrCookie) {
        let mut nodes = lock(&self.0);
        let Some(node) = nodes.get_mut(&ptr) else {
            line.violation(&format!("return {what:#x} for the unknown binder {ptr:#x}"));
            return;
        };
        if cookie != cookie_of(ptr) {
            line.violation(&format!("binder {ptr:#x} has cookie {cookie:#x}"));
        }
        match what {
            BR_INCREFS => node.weak += 1,
            BR_ACQUIRE => node.strong += 1,
            BR_RELEASE => node.strong -= 1,
            BR_DECREFS => node.weak -= 1,
            _ => {}
        }
        if !(0..=2).contains(&node.weak) || !(0..=2).contains(&node.strong) {
            line.violation(&format!(
                "return {what:#x} makes binder {ptr:#x} weak {} strong {}",
                node.weak, node.strong
            ));
        }
        if what == BR_DECREFS
            && node.sending + node.weak.unsigned_abs() + node.strong.unsigned_abs() == 0
        {
            nodes.remove(&ptr);
        }
    }

    /// Whether the driver may still deliver calls to a binder.
    pub fn knows(&self, ptr: u64) -> bool {
        lock(&self.0).contains_key(&ptr)
    }

    /// Number of binders that the driver still holds.
    pub fn held(&self) -> usize {
        lock(&self.0)
            .values()
            .filter(|node| node.weak != 0 || node.strong != 0)
            .count()
    }
}

impl Nodes {
    /// What the driver still holds, for a message.
    pub fn describe(&self) -> String {
        let nodes = lock(&self.0);
        let held = nodes
            .iter()
            .filter(|(_, node)| node.weak != 0 || node.strong != 0);
        let words = held.map(|(ptr, node)| {
            format!("binder {ptr:#x} weak {} strong {}", node.weak, node.strong)
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

/// Handles whose last user is gone; they are released with the next commands of any thread.
#[derive(Default)]
pub struct Unused(Mutex<Vec<u32>>);

impl Unused {
    /// All of them, to be released now.
    pub fn take(&self) -> Vec<u32> {
        std::mem::take(&mut *lock(&self.0))
    }
}

/// A handle of which this process holds one strong count. Its number stays taken while anybody has this.
pub struct Handle {
    /// The number.
    pub number: u32,
    unused: &'static Unused,
}

impl Handle {
    /// For a handle that was just counted up.
    pub fn counted(number: u32, unused: &'static Unused) -> Arc<Self> {
        Arc::new(Self { number, unused })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        lock(&self.unused.0).push(self.number);
    }
}

/// A death this process wants to be told of.
struct Death {
    handle: Arc<Handle>,
    identity: u64,
    /// The driver has the request. Before, it would find nothing to take back.
    made: bool,
    told: bool,
    clearing: bool,
}

/// The deaths this process asked about, by the cookie of the request.
#[derive(Default)]
pub struct Deaths(Mutex<HashMap<u64, Death>>);

impl Deaths {
    /// Notes a request to be made, unless there is one for this handle already.
    pub fn request(&self, handle: &Arc<Handle>, cookie: u64, identity: u64) -> bool {
        let mut deaths = lock(&self.0);
        if deaths
            .values()
            .any(|death| death.handle.number == handle.number)
        {
            return false;
        }
        deaths.insert(
            cookie,
            Death {
                handle: handle.clone(),
                identity,
                made: false,
                told: false,
                clearing: false,
            },
        );
        true
    }

    /// Notes that the driver has a request.
    pub fn made(&self, cookie: u64) {
        // It may be over already.
        if let Some(death) = lock(&self.0).get_mut(&cookie) {
            death.made = true;
        }
    }

    /// Picks a request to be taken back now: the handle and cookie to name. `choice` chooses among them.
    pub fn take_back(&self, choice: u64) -> Option<(u32, u64)> {
        let mut deaths = lock(&self.0);
        let mut open: Vec<_> = deaths
            .iter()
            .filter(|(_, death)| death.made && !death.clearing)
            .map(|(&cookie, _)| cookie)
            .collect();
        open.sort_unstable();
        let place = choice.checked_rem(open.len() as u64)?;
        let cookie = *open.get(usize::try_from(place).ok()?)?;
        let death = deaths.get_mut(&cookie)?;
        death.clearing = true;
        Some((death.handle.number, cookie))
    }

    /// The driver says that it died. Returns the handle if the request should be taken back now, as it is of no more use.
    pub fn told(&self, board: &Board, line: &WorkerLine, cookie: u64) -> Option<u32> {
        let mut deaths = lock(&self.0);
        let Some(death) = deaths.get_mut(&cookie) else {
            line.violation(&format!("a death notice nobody asked for: {cookie:#x}"));
            return None;
        };
        if std::mem::replace(&mut death.told, true) {
            line.violation(&format!("told twice of the death {cookie:#x}"));
        }
        line.count(Count::DeathsTold);
        board.check_dead(line, death.identity);
        (!std::mem::replace(&mut death.clearing, true)).then_some(death.handle.number)
    }

    /// The driver says that the request is taken back.
    pub fn cleared(&self, line: &WorkerLine, cookie: u64) {
        let death = lock(&self.0).remove(&cookie);
        match death {
            Some(death) if death.clearing => {
                if !death.told {
                    line.count(Count::DeathsCleared);
                }
            }
            _ => line.violation(&format!(
                "a request nobody took back is cleared: {cookie:#x}"
            )),
        }
    }

    /// Requests that are not finished.
    pub fn open(&self) -> usize {
        lock(&self.0).len()
    }
}

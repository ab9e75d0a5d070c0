// SPDX-License-Identifier: GPL-2.0

//! The range allocator: which part of a process's space belongs to which buffer.
//!
//! [`Ranges`] hands out ranges of `[0, size)` in units of [`GRANULE`](super::layout::GRANULE) and remembers for each what
//! it is: reserved by a sender, delivered to user space with a payload, or taken by whoever frees
//! it. The keys to a range ([`Reserved`], [`Taken`]) can't be copied, so each step is taken once.
//!
//! Everything here takes a bounded number of steps, however much is outstanding, but for the last look
//! before a request is refused (`Classes::find_tight`), which goes through the gaps of one class:
//! - blocks (allocated or gaps) are linked by address and merged when freed;
//! - gaps are found by size class ([`classes`]), blocks by address through an index ([`starts`]);
//! - the unused rest at the end of the space, the *tail*, is no block at all: while there are no
//!   gaps, reserving moves the tail up and freeing the last block moves it down. This is all that
//!   happens in a process with one small buffer at a time, which is the usual one.
//!
//! Nothing here allocates or frees memory. When storage runs out, [`Ranges::reserve`] says what
//! it needs; the caller makes it without the lock, supplies it and tries again. What is no longer
//! needed is handed out as [`Storage`] or [`Surplus`], to be dropped without the lock.
//!
//! This is a pure module: it knows neither locks nor pages, and runs in the kernel and on a host.

mod accounts;
#[cfg(test)]
mod check;
mod classes;
mod slab;
mod starts;

mod types;

pub(crate) use self::types::{
    Claim,
    Entry,
    Ground,
    Growth,
    Reservation,
    ReserveError,
    Reserved,
    Storage,
    TakeError,
    Taken, //
};

use self::{
    accounts::Accounts,
    classes::Classes,
    slab::{
        Index,
        Slab,
        State, //
    },
    starts::Starts,
    types::{
        Kind,
        Surplus, //
    },
};
use crate::mem::Vec;

/// More oneway buffers than this from one sender, when room is short, are suspected to be spam.
const SPAM_RANGES: u32 = 50;

/// The allocator.
///
/// # Invariants
///
/// - The blocks, from the first to `last`, cover `[0, tail)` without holes; no two neighbours are
///   both gaps, and `last` is no gap.
/// - `free_async` is half of `size` less the sizes of all ranges with an account.
/// - `live` ranges are neither gaps nor vacant.
pub(crate) struct Ranges<T> {
    size: u32,
    tail: u32,
    last: Option<Index>,
    /// Who last reserved the range that became the tail.
    tail_sender: i32,
    free_async: u32,
    spam_reported: bool,
    live: u32,
    slab: Slab<T>,
    starts: Starts,
    classes: Classes,
    accounts: Accounts,
}

impl<T> Ranges<T> {
    /// An allocator of nothing.
    pub(crate) const fn new() -> Self {
        Self {
            size: 0,
            tail: 0,
            last: None,
            tail_sender: 0,
            free_async: 0,
            spam_reported: false,
            live: 0,
            slab: Slab::new(),
            starts: Starts::new(),
            classes: Classes::new(),
            accounts: Accounts::new(),
        }
    }

    /// Gives the allocator its space, once. What is left over is handed back.
    pub(crate) fn open(&mut self, ground: Ground<T>) -> Option<Ground<T>> {
        if self.size != 0 {
            return Some(ground);
        }
        self.size = ground.size;
        self.free_async = ground.size / 2;
        let leaves = self.starts.set_directory(ground.leaves);
        let blocks = self.slab.grow(ground.blocks).unwrap_or_else(Vec::new);
        Some(Ground {
            size: 0,
            leaves,
            blocks,
        })
    }

    /// Takes in what [`ReserveError::Grow`] asked for. What is left over is handed back.
    pub(crate) fn supply(&mut self, storage: Storage<T>) -> Option<Storage<T>> {
        Some(Storage(match storage.0 {
            Kind::Blocks(blocks) => Kind::Blocks(self.slab.grow(blocks)?),
            Kind::Leaf(leaf, lines) => Kind::Leaf(leaf, self.starts.set_leaf(leaf, lines)?),
            Kind::Accounts(table) => Kind::Accounts(self.accounts.grow(table)),
        }))
    }

    /// Reserves a range.
    pub(crate) fn reserve(&mut self, claim: &Claim) -> Result<Reservation, ReserveError> {
        let size = claim.layout.total();
        if claim.oneway && self.free_async < size {
            return Err(ReserveError::NoAsyncSpace);
        }
        // A block for the range and one for what is cut off.
        if self.slab.room() < 2 {
            return Err(ReserveError::Grow(Growth::Blocks(self.slab.next_chunk())));
        }
        let mut account = None;
        if claim.oneway {
            account = self.accounts.find(claim.sender);
            if account.is_none() && !self.accounts.has_room() {
                return Err(ReserveError::Grow(Growth::Accounts(
                    self.accounts.next_len(),
                )));
            }
        }

        let (at, start, last_sender) = self.place(claim, size)?;
        self.live = self.live.wrapping_add(1);

        let mut spam_suspect = false;
        if claim.oneway {
            let account = match account {
                Some(account) => account,
                // There is room, that has been seen to.
                None => self
                    .accounts
                    .open(claim.sender)
                    .ok_or(ReserveError::NoSpace)?,
            };
            if let Some(block) = self.slab.get_mut(at) {
                block.details.account = Some(account);
            }
            self.free_async = self.free_async.wrapping_sub(size);
            let (mut ranges, mut bytes) = match self.accounts.get(account) {
                Some(account) => (account.ranges, account.bytes),
                None => (0, 0),
            };
            self.accounts.charge(account, size);
            // The C driver looks at a buffer's sender before it writes it. So a new buffer counts
            // only if it lies where the same sender's buffer lay before. Numbers user space can
            // count are part of the behaviour, so this is kept.
            if last_sender == claim.sender {
                ranges = ranges.wrapping_add(1);
                bytes = bytes.wrapping_add(size);
            }
            spam_suspect = self.judge(ranges, bytes);
        }
        Ok(Reservation {
            key: Reserved(at),
            start,
            spam_suspect,
        })
    }

    /// Tells spam: only when little room for oneway buffers is left, and only the first time
    /// until there is room again.
    fn judge(&mut self, ranges: u32, bytes: u32) -> bool {
        if self.free_async >= self.size / 10 {
            self.spam_reported = false;
            return false;
        }
        if ranges > SPAM_RANGES || bytes > self.size / 4 {
            return !core::mem::replace(&mut self.spam_reported, true);
        }
        false
    }

    /// Finds a place of this size and makes it a reserved block. Returns also who had it last.
    #[inline]
    fn place(&mut self, claim: &Claim, size: u32) -> Result<(Index, u32, i32), ReserveError> {
        if !self.classes.is_empty() {
            if let Some(at) = self.classes.find(size) {
                return self.place_in_gap(claim, at, size);
            }
        }
        if self.size.wrapping_sub(self.tail) < size {
            return match self.classes.find_tight(&self.slab, size) {
                Some(at) => self.place_in_gap(claim, at, size),
                None => Err(ReserveError::NoSpace),
            };
        }

        let start = self.tail;
        let Some(line) = self.starts.line_mut(start) else {
            return Err(ReserveError::Grow(Growth::Leaf(Starts::leaf_of(start))));
        };
        // There is room, `reserve` has looked.
        let (at, block) = self.slab.occupy().ok_or(ReserveError::NoSpace)?;
        let last = self.last;
        block.start = start;
        block.size = size;
        block.prev = last;
        block.next = None;
        block.reserve(claim);
        // All others start before.
        if line.is_none() {
            *line = Some(at);
        }
        self.slab.set_next(last, Some(at));
        self.last = Some(at);
        self.tail = start.wrapping_add(size);
        let sender = core::mem::replace(&mut self.tail_sender, 0);
        Ok((at, start, sender))
    }

    /// Takes the front of a gap; what remains stays a gap.
    fn place_in_gap(
        &mut self,
        claim: &Claim,
        at: Index,
        size: u32,
    ) -> Result<(Index, u32, i32), ReserveError> {
        let gap = self.slab.get(at).ok_or(ReserveError::NoSpace)?;
        let (start, rest, next, sender) =
            (gap.start, gap.size.wrapping_sub(size), gap.next, gap.sender);
        if self.starts.line_mut(start).is_none() {
            return Err(ReserveError::Grow(Growth::Leaf(Starts::leaf_of(start))));
        }
        self.classes.remove(&mut self.slab, at);
        let mut cut = None;
        if rest != 0 {
            let (cut_at, block) = self.slab.occupy().ok_or(ReserveError::NoSpace)?;
            block.start = start.wrapping_add(size);
            block.size = rest;
            block.prev = Some(at);
            block.next = next;
            block.sender = 0;
            self.slab.set_prev(next, Some(cut_at));
            self.classes.add(&mut self.slab, cut_at);
            cut = Some(cut_at);
        }
        if let Some(block) = self.slab.get_mut(at) {
            block.size = size;
            if cut.is_some() {
                block.next = cut;
            }
            block.reserve(claim);
        }
        self.starts.add(&self.slab, at, start);
        Ok((at, start, sender))
    }

    /// Lets user space free a range from now on.
    pub(crate) fn deliver(&mut self, key: Reserved, payload: T) {
        if let Some(block) = self.slab.get_mut(key.0) {
            block.set_state(State::Delivered(payload));
        }
    }

    /// Claims the delivered range that starts here.
    pub(crate) fn take(&mut self, start: u32) -> Result<(Taken, Entry, T), TakeError> {
        let at = self
            .starts
            .find(&self.slab, start)
            .ok_or(TakeError::NoMatch)?;
        self.take_at(at)
    }

    /// Claims some delivered range.
    pub(crate) fn take_any(&mut self) -> Option<(Taken, Entry, T)> {
        let mut at = self.last;
        while let Some(index) = at {
            if let Ok(taken) = self.take_at(index) {
                return Some(taken);
            }
            at = self.slab.get(index)?.prev;
        }
        None
    }

    #[inline]
    fn take_at(&mut self, at: Index) -> Result<(Taken, Entry, T), TakeError> {
        let block = self.slab.get_mut(at).ok_or(TakeError::NoMatch)?;
        if !matches!(block.state, State::Delivered(_)) {
            return Err(TakeError::NotDelivered);
        }
        let entry = Entry::of(block);
        match core::mem::replace(&mut block.state, State::Taken) {
            State::Delivered(payload) => Ok((Taken(at), entry, payload)),
            other => {
                block.set_state(other);
                Err(TakeError::NotDelivered)
            }
        }
    }

    /// Frees a range that was never delivered.
    pub(crate) fn cancel(&mut self, key: Reserved) -> Option<Surplus<T>> {
        self.free(key.0)
    }

    /// Frees a range that was taken.
    pub(crate) fn release(&mut self, key: Taken) -> Option<Surplus<T>> {
        self.free(key.0)
    }

    #[inline]
    fn free(&mut self, at: Index) -> Option<Surplus<T>> {
        let block = self.slab.get_mut(at)?;
        let (start, size, sender) = (block.start, block.size, block.sender);
        let (prev, next) = (block.prev, block.next);
        if let Some(account) = block.details.account.take() {
            self.free_async = self.free_async.wrapping_add(size);
            self.accounts.discharge(account, size);
        }
        self.starts.remove(&self.slab, at, start, next);
        self.live = self.live.wrapping_sub(1);
        if next.is_some() {
            self.free_inside(at, prev, size, next);
            return None;
        }

        // The last block becomes a part of the tail, and so does the gap before it, if there is
        // one.
        self.slab.vacate(at);
        let (mut tail, mut last, mut tail_sender) = (start, prev, sender);
        if let Some((gap_at, gap)) = self.slab.gap(prev) {
            (tail, last, tail_sender) = (gap.start, gap.prev, gap.sender);
            self.classes.remove(&mut self.slab, gap_at);
            self.slab.vacate(gap_at);
        }
        self.slab.set_next(last, None);
        self.tail = tail;
        self.last = last;
        self.tail_sender = tail_sender;
        if last.is_none() {
            return self.slab.trim().map(Surplus);
        }
        None
    }

    /// Makes a block a gap, together with the gaps on both sides.
    fn free_inside(
        &mut self,
        at: Index,
        prev: Option<Index>,
        mut size: u32,
        mut next: Option<Index>,
    ) {
        if let Some((gap_at, gap)) = self.slab.gap(next) {
            size = size.wrapping_add(gap.size);
            next = gap.next;
            self.classes.remove(&mut self.slab, gap_at);
            self.slab.vacate(gap_at);
        }
        let mut into = at;
        if let Some((gap_at, gap)) = self.slab.gap(prev) {
            size = size.wrapping_add(gap.size);
            into = gap_at;
            self.classes.remove(&mut self.slab, gap_at);
            self.slab.vacate(at);
        }
        self.slab.set_prev(next, Some(into));
        if let Some(block) = self.slab.get_mut(into) {
            block.size = size;
            block.next = next;
        }
        self.classes.add(&mut self.slab, into);
    }

    /// The size of the space.
    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    /// How much room for oneway buffers is left.
    pub(crate) fn free_async(&self) -> u32 {
        self.free_async
    }

    /// How many ranges are reserved, delivered or taken.
    pub(crate) fn live(&self) -> u32 {
        self.live
    }

    /// Lists ranges by address, from the first that starts at `from` or after it. Returns how many
    /// there were, up to what `out` takes.
    pub(crate) fn entries(&self, from: u32, out: &mut [Entry]) -> usize {
        let mut at = self.starts.find_from(&self.slab, from);
        let mut count = 0usize;
        for slot in out {
            while let Some((_, gap)) = self.slab.gap(at) {
                at = gap.next;
            }
            let Some(block) = at.and_then(|at| self.slab.get(at)) else {
                break;
            };
            *slot = Entry::of(block);
            count = count.wrapping_add(1);
            at = block.next;
        }
        count
    }
}

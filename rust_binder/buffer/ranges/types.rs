// SPDX-License-Identifier: GPL-2.0

//! What goes into the allocator and what comes out of it.

use super::{
    super::layout::{
        Layout,
        GRANULE, //
    },
    accounts::{
        Account,
        Accounts, //
    },
    slab::{
        self,
        Block,
        Index,
        Slab,
        State, //
    },
    starts::{
        Directory,
        Leaf,
        Starts, //
    },
};
use crate::mem::{
    Box,
    NoMemory,
    Vec, //
};

/// What a sender wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim {
    /// The sections of the buffer.
    pub(crate) layout: Layout,
    /// The thread group of the sender.
    pub(crate) sender: i32,
    /// Whether it counts against the room for oneway buffers.
    pub(crate) oneway: bool,
    /// Whether the content is to be erased before the range is free.
    pub(crate) clear_on_free: bool,
    /// The number of the transaction, for those who debug.
    pub(crate) debug_id: u32,
}

/// The key to a reserved range.
#[derive(Debug)]
pub(crate) struct Reserved(pub(super) Index);

/// The key to a taken range.
#[derive(Debug)]
pub(crate) struct Taken(pub(super) Index);

/// A range was reserved.
#[derive(Debug)]
pub(crate) struct Reservation {
    /// The key to it.
    pub(crate) key: Reserved,
    /// Where it starts.
    pub(crate) start: u32,
    /// Whether the sender is suspected of spamming.
    pub(crate) spam_suspect: bool,
}

/// Why nothing was reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReserveError {
    /// No gap is large enough.
    NoSpace,
    /// The room for oneway buffers is used up.
    NoAsyncSpace,
    /// Storage is missing: make it, [supply](super::Ranges::supply) it and try again.
    Grow(Growth),
}

/// Why nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TakeError {
    /// No buffer starts there.
    NoMatch,
    /// A buffer starts there, but user space may not free it: not yet, or not any more.
    NotDelivered,
}

/// What a range is, for whoever takes or lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Entry {
    /// Where it starts.
    pub(crate) start: u32,
    /// Its sections.
    pub(crate) layout: Layout,
    /// The number of the transaction.
    pub(crate) debug_id: u32,
    /// Whether it counts against the room for oneway buffers.
    pub(crate) oneway: bool,
    /// Whether it is to be erased before it is freed.
    pub(crate) clear_on_free: bool,
    /// Whether user space knows of it and nobody has taken it.
    pub(crate) delivered: bool,
}

impl Entry {
    pub(super) fn of<T>(block: &Block<T>) -> Self {
        Self {
            start: block.start,
            layout: block.details.layout,
            debug_id: block.details.debug_id,
            oneway: block.details.account.is_some(),
            clear_on_free: block.details.clear_on_free,
            delivered: matches!(block.state, State::Delivered(_)),
        }
    }
}

/// What storage is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Growth {
    /// So many blocks.
    Blocks(u32),
    /// A leaf of the index.
    Leaf(usize),
    /// A table of so many accounts.
    Accounts(u32),
}

/// Storage made outside the lock, or handed out to be dropped there.
pub(crate) struct Storage<T>(pub(super) Kind<T>);

/// The kinds of storage.
pub(super) enum Kind<T> {
    Blocks(Vec<Block<T>>),
    Leaf(usize, Box<Leaf>),
    Accounts(Vec<Account>),
}

impl<T> Storage<T> {
    /// Makes what is missing. May sleep.
    pub(crate) fn make(growth: Growth) -> Result<Self, NoMemory> {
        Ok(Self(match growth {
            Growth::Blocks(blocks) => Kind::Blocks(Slab::make_chunk(blocks)?),
            Growth::Leaf(leaf) => Kind::Leaf(leaf, Starts::make_leaf()?),
            Growth::Accounts(len) => Kind::Accounts(Accounts::make_table(len)?),
        }))
    }
}

/// What a space of a certain size needs to begin with.
pub(crate) struct Ground<T> {
    pub(super) size: u32,
    pub(super) leaves: Directory,
    pub(super) blocks: Vec<Block<T>>,
}

impl<T> Ground<T> {
    /// Makes it. May sleep. What does not fill a granule is left unused.
    pub(crate) fn make(size: u32) -> Result<Self, NoMemory> {
        let size = size & !(GRANULE - 1);
        Ok(Self {
            size,
            leaves: Starts::make_directory(size)?,
            blocks: Slab::make_chunk(Slab::<T>::new().next_chunk())?,
        })
    }
}

/// Blocks that are no longer needed.
pub(crate) struct Surplus<T>(#[allow(dead_code)] pub(super) [Vec<Block<T>>; slab::CHUNKS]);

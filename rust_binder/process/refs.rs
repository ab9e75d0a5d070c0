// SPDX-License-Identifier: GPL-2.0

//! References: what a process knows of the nodes of others, by handle.
//!
//! Guarded by `Process::refs`. A reference enters the table only when everything that can fail has
//! succeeded, and leaves it together with what was requested for it.

use super::{
    node::Refused,
    requests::Registration,
    Death,
    Freeze,
    Hold,
    Node,
    Process,
    ThreadKey,
    Wakeup, //
};
use crate::{
    abi::{
        name::Handle,
        object::Strength, //
    },
    object::{
        handles::{
            HandleTable,
            Lowest, //
        }, //
    },
    observe::census::{
        self,
        Count, //
    },
    sys::queue::Item,
};
use kernel::{
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::Arc, //
};

/// The references of one process.
pub struct Refs {
    table: HandleTable<Ref>,
    /// The handle of each node, by where the node is. The reference keeps it there; a debug id would
    /// come again after four thousand million others.
    by_node: RBTree<usize, Handle>,
}

/// One reference.
pub(super) struct Ref {
    pub(super) node: Arc<Item<Node>>,
    strong: u32,
    weak: u32,
    pub(super) death: Option<Registration<Death>>,
    pub(super) freeze: Option<Registration<Freeze>>,
    _count: Count,
}

/// Why a reference could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefError {
    /// There is no such handle, or it is only weak where strong is needed.
    NotFound,
    /// Its count is zero already.
    Underflow,
    /// Nobody holds the node strongly.
    NotStrong,
    /// Out of memory.
    NoMemory,
    /// A notification of the kind is requested already.
    AlreadyRequested,
    /// None is requested.
    NotRequested,
    /// The request had another cookie.
    WrongCookie,
}

impl From<RefError> for Error {
    fn from(error: RefError) -> Error {
        match error {
            RefError::NoMemory => ENOMEM,
            _ => EINVAL,
        }
    }
}

/// A command that changes a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefChange {
    /// One more.
    Increment,
    /// One less.
    Decrement,
}

impl Refs {
    pub(super) fn new() -> Self {
        Self {
            table: HandleTable::new(),
            by_node: RBTree::new(),
        }
    }

    /// Takes the table away if there is nothing in it.
    pub(super) fn take_empty(&mut self) -> Option<HandleTable<Ref>> {
        let is_empty = self.table.len() == 0;
        is_empty.then(|| core::mem::replace(&mut self.table, HandleTable::new()))
    }

    /// Looks up a reference; with `Strength::Strong` it must have a strong count.
    #[inline]
    pub(super) fn get(&mut self, handle: Handle, strength: Strength) -> Result<&mut Ref, RefError> {
        match self.table.get_mut(handle) {
            Some(entry) if strength == Strength::Weak || entry.strong > 0 => Ok(entry),
            _ => Err(RefError::NotFound),
        }
    }
}

impl Ref {
    fn count(&mut self, strength: Strength) -> &mut u32 {
        match strength {
            Strength::Strong => &mut self.strong,
            Strength::Weak => &mut self.weak,
        }
    }

    /// Adds a count, telling the node if it is the first of its kind.
    fn increment(
        &mut self,
        strength: Strength,
        sender: Option<ThreadKey>,
        is_manager: bool,
    ) -> Result<(), Refused> {
        if *self.count(strength) == 0 {
            Node::first_count(&self.node, strength, sender, is_manager)?;
        }
        let count = self.count(strength);
        *count = count.saturating_add(1);
        Ok(())
    }
}

impl Process {
    /// The node behind a handle that this process holds strongly, held for a message to it.
    #[inline]
    pub fn hold_target(&self, handle: Handle) -> Result<Hold, RefError> {
        let mut refs = self.lock_refs();
        let entry = refs.get(handle, Strength::Strong)?;
        Node::hold(&entry.node, Strength::Strong).map_err(|_| RefError::NotFound)
    }

    /// The node behind a handle.
    pub fn node_of(&self, handle: Handle, strength: Strength) -> Result<Arc<Item<Node>>, RefError> {
        Ok(self.lock_refs().get(handle, strength)?.node.clone())
    }

    /// Gives this process one count of a reference to `node`, and says under which handle.
    ///
    /// `sender` is the thread of the node's owner that sends the node, if it is the owner that
    /// does; `is_manager` says that this is the node behind handle 0.
    ///
    /// [`Refused::Detached`] asks to look the node up again.
    pub fn add_reference(
        &self,
        node: &Arc<Item<Node>>,
        strength: Strength,
        sender: Option<ThreadKey>,
        is_manager: bool,
    ) -> Result<Result<Handle, Refused>, RefError> {
        let mut reservation = None;
        loop {
            let growth = {
                let mut guard = self.lock_refs();
                let refs = &mut *guard;
                if let Some(handle) = refs.by_node.get(&Node::address(node)).copied() {
                    let entry = refs.get(handle, Strength::Weak)?;
                    return Ok(entry
                        .increment(strength, sender, is_manager)
                        .map(|()| handle));
                }
                let lowest = if is_manager {
                    Lowest::FromZero
                } else {
                    Lowest::FromOne
                };
                match (reservation.take(), refs.table.vacant(lowest)) {
                    (Some(slot), Some(vacant)) => {
                        if let Err(refused) =
                            Node::add_reference(node, strength, sender, is_manager)
                        {
                            drop(guard);
                            return Ok(Err(refused));
                        }
                        let handle = vacant.handle();
                        vacant.fill(Ref {
                            node: node.clone(),
                            strong: (strength == Strength::Strong).into(),
                            weak: (strength == Strength::Weak).into(),
                            death: None,
                            freeze: None,
                            _count: Count::new(census::Kind::Reference),
                        });
                        let slot: RBTreeNodeReservation<usize, Handle> = slot;
                        refs.by_node
                            .insert(slot.into_node(Node::address(node), handle));
                        return Ok(Ok(handle));
                    }
                    (slot, vacant) => {
                        reservation = slot;
                        match vacant {
                            Some(_) => None,
                            None => refs.table.growth(),
                        }
                    }
                }
            };
            if reservation.is_none() {
                let slot = RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT);
                reservation = Some(slot.map_err(|_| RefError::NoMemory)?);
            }
            if let Some(growth) = growth {
                let room = growth.allocate().map_err(|_| RefError::NoMemory)?;
                let rest = self.lock_refs().table.grow(room);
                drop(rest);
            }
        }
    }

    /// Changes a count at the wish of user space.
    pub fn change_reference(
        &self,
        handle: Handle,
        strength: Strength,
        change: RefChange,
    ) -> Result<(), RefError> {
        let removed;
        let _wakeup;
        let mut refs = self.lock_refs();
        // A strong count can only be added to one that is there, as in binder_get_ref_olocked().
        let entry = refs.get(handle, strength)?;
        match change {
            RefChange::Increment => entry
                .increment(strength, None, false)
                .map_err(|_| RefError::NotStrong),
            RefChange::Decrement => {
                let count = entry.count(strength);
                *count = count.checked_sub(1).ok_or(RefError::Underflow)?;
                let last = *count == 0;
                _wakeup = if last && strength == Strength::Strong {
                    Node::last_strong(&entry.node)
                } else {
                    Wakeup::none()
                };
                removed = if entry.strong == 0 && entry.weak == 0 {
                    Self::take_reference(&mut refs, handle)
                } else {
                    None
                };
                drop(refs);
                if let Some(reference) = removed {
                    Self::finish_reference(reference);
                    self.shrink_references();
                }
                Ok(())
            }
        }
    }

    /// Gives back a count that a message or buffer held.
    pub(super) fn drop_reference(&self, handle: Handle, strength: Strength) {
        // A process that died took its table with it.
        let _ = self.change_reference(handle, strength, RefChange::Decrement);
    }

    /// Gives back what the table no longer needs.
    fn shrink_references(&self) {
        loop {
            let room = self.lock_refs().table.shrink();
            if room.is_none() {
                return;
            }
        }
    }

    fn take_reference(refs: &mut Refs, handle: Handle) -> Option<Ref> {
        let reference = refs.table.remove(handle)?;
        refs.by_node.remove(&Node::address(&reference.node));
        Some(reference)
    }

    /// Ends what depends on a reference that is in no table any more.
    fn finish_reference(reference: Ref) {
        if reference.strong > 0 {
            drop(Node::last_strong(&reference.node));
        }
        drop(Node::remove_reference(&reference.node));
        if let Some(registration) = reference.death {
            registration.end(&reference.node);
        }
        if let Some(registration) = reference.freeze {
            registration.end(&reference.node);
        }
    }

    /// Drops the reference with the lowest handle of a process that is gone; `false` when none is
    /// left.
    pub fn drop_first_reference(&self) -> bool {
        let reference = {
            let mut refs = self.lock_refs();
            let popped = refs.table.pop();
            if let Some((_, reference)) = &popped {
                refs.by_node.remove(&Node::address(&reference.node));
            }
            popped
        };
        match reference {
            Some((_, reference)) => {
                Self::finish_reference(reference);
                true
            }
            None => false,
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What the owner of a node is told about references to it, and when.
//!
//! A node is an object in its owner's memory. The owner must not free it while others can name or
//! call it, so the driver tells it: `BR_INCREFS` when the node is referenced at all, `BR_ACQUIRE`
//! when it is referenced strongly, `BR_RELEASE` and `BR_DECREFS` when that has ended. The owner
//! answers the first two; until it has, the driver keeps a hold of its own, so that what was
//! announced can't be over before the owner has noted that it began.
//!
//! Telling happens at a read: a change that the owner has to hear of puts the node into a queue as
//! work, and what exactly it is told is decided when a thread of the owner takes the work out
//! ([`NodeCounts::commands`]). Changes that undo one another in between are never heard of.

use super::strong::StrongCount;

/// Who hears of it if a new reference makes the node worth mentioning to its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notify {
    /// The sending thread, which belongs to the owner: it gave the node away just now.
    Sender,
    /// Nobody: the owner was told already, because there was a reference to make this one from.
    Nobody,
}

/// What a new reference requires of the caller.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Enqueue {
    /// Nothing.
    Nothing,
    /// Queue the node as work of the sending thread, which is not woken for it.
    Thread,
    /// The same, but take the node out of the queue it is in first.
    MoveToThread,
}

/// What a dropped reference requires of the caller.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// Nothing.
    Keep,
    /// Queue the node as work of the owning process, and wake a thread for it.
    QueueToProcess,
    /// The node is over: take it out of the owner's tree of nodes and, if `queued`, out of the
    /// queue it is in.
    Gone {
        /// Whether the node was queued as work.
        queued: bool,
    },
}

/// What the owner has to be told, in this order.
#[must_use]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeCommands {
    /// Send `BR_INCREFS`.
    pub(crate) increfs: bool,
    /// Send `BR_ACQUIRE`.
    pub(crate) acquire: bool,
    /// Send `BR_RELEASE`.
    pub(crate) release: bool,
    /// Send `BR_DECREFS`.
    pub(crate) decrefs: bool,
    /// The node is over: take it out of the owner's tree of nodes.
    pub(crate) gone: bool,
}

/// A strong reference can't be made from a weak one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoStrongReference;

/// The owner answered what it was not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotPending;

/// What the owner knows about one kind of reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    /// It was told that there are references.
    has: bool,
    /// It has not answered that yet; the driver has a hold for as long.
    pending: bool,
}

/// The counts of one node, except the strong ones, which are in a [`StrongCount`] beside the lock
/// and are passed to whatever needs them.
///
/// Guarded by the lock of the node and, while the owner lives, by the inner lock of its process.
///
/// A node that is over may still be in somebody's hands, who has looked it up before. It must not
/// be used for anything new: whoever takes the lock to make a reference or a hold has to ask first
/// whether the node is still in the tree, and looks it up again if it is not.
///
/// # Invariants
///
/// - The strong holds include `internal_strong`, one if `strong.pending`, and one if `manager`.
/// - `local_weak` includes one if `weak.pending`, and one if `manager`.
pub(crate) struct NodeCounts {
    /// References of processes.
    refs: u32,
    /// How many of them are strong.
    internal_strong: u32,
    /// Weak holds of the driver.
    local_weak: u32,
    strong: Told,
    weak: Told,
    /// The driver holds the node because it is the context manager's.
    manager: bool,
    /// The owner lives.
    owned: bool,
    /// The node is in a queue as work.
    queued: bool,
}

impl NodeCounts {
    /// A new node: of no interest to anybody yet.
    pub(crate) const fn new() -> Self {
        const UNTOLD: Told = Told {
            has: false,
            pending: false,
        };
        Self {
            refs: 0,
            internal_strong: 0,
            local_weak: 0,
            strong: UNTOLD,
            weak: UNTOLD,
            manager: false,
            owned: true,
            queued: false,
        }
    }

    /// A process has got a reference, which is neither strong nor weak yet.
    pub(crate) fn ref_added(&mut self) {
        self.refs = self.refs.saturating_add(1);
    }

    /// A reference has gone, which is not strong any more.
    pub(crate) fn ref_removed(&mut self, strong: &StrongCount) -> After {
        self.refs = self.refs.saturating_sub(1);
        self.weak_dropped(strong)
    }

    /// A reference is becoming strong.
    ///
    /// If nobody is to hear of it, the owner has to know already: another reference is strong, or
    /// this is the node of the context manager, whose owner has known since it became that.
    pub(crate) fn ref_strong_first(
        &mut self,
        strong: &StrongCount,
        notify: Notify,
        is_manager: bool,
    ) -> Result<Enqueue, NoStrongReference> {
        let known = self.internal_strong > 0 || (self.owned && is_manager && self.strong.has);
        if notify == Notify::Nobody && !known {
            return Err(NoStrongReference);
        }
        self.internal_strong = self.internal_strong.saturating_add(1);
        strong.hold();
        if self.strong.has || notify == Notify::Nobody {
            return Ok(Enqueue::Nothing);
        }
        // The owner has to hear of it before the transaction that gives the node away is
        // complete, even if the node waits to be told of somewhere else.
        Ok(match core::mem::replace(&mut self.queued, true) {
            true => Enqueue::MoveToThread,
            false => Enqueue::Thread,
        })
    }

    /// A reference has ceased to be strong.
    pub(crate) fn ref_strong_last(&mut self, strong: &StrongCount) -> After {
        self.internal_strong = self.internal_strong.saturating_sub(1);
        self.drop_strong(strong)
    }

    /// A reference is becoming weak, or remains what it is.
    pub(crate) fn ref_weak_first(&mut self, notify: Notify) -> Enqueue {
        if self.weak.has || notify == Notify::Nobody || self.queued {
            return Enqueue::Nothing;
        }
        self.queued = true;
        Enqueue::Thread
    }

    /// The driver holds the node strongly: for a call under way, or for the owner, who got its own
    /// node back in a transaction.
    ///
    /// [`StrongCount::try_hold`] does the same without the lock if there is a hold already.
    pub(crate) fn hold_strong(&mut self, strong: &StrongCount) {
        strong.hold();
    }

    /// Ends what [`NodeCounts::hold_strong`] or [`StrongCount::try_hold`] began.
    ///
    /// [`StrongCount::try_drop`] does the same without the lock if it is not the last hold.
    pub(crate) fn drop_strong(&mut self, strong: &StrongCount) -> After {
        match strong.release() {
            true => self.settle(strong),
            false => After::Keep,
        }
    }

    /// The driver holds the node weakly.
    pub(crate) fn hold_weak(&mut self) {
        self.local_weak = self.local_weak.saturating_add(1);
    }

    /// Ends what [`NodeCounts::hold_weak`] began.
    pub(crate) fn drop_weak(&mut self, strong: &StrongCount) -> After {
        self.local_weak = self.local_weak.saturating_sub(1);
        self.weak_dropped(strong)
    }

    /// The node is the context manager's, and is held for as long as its owner lives.
    ///
    /// The owner is not told of references to it, as it knows what it has asked for.
    pub(crate) fn become_manager(&mut self, strong: &StrongCount) {
        if core::mem::replace(&mut self.manager, true) {
            return;
        }
        strong.hold();
        self.hold_weak();
        self.strong.has = true;
        self.weak.has = true;
    }

    /// A thread of the owner has taken the node out of a queue and is going to tell what is to be
    /// told.
    pub(crate) fn commands(&mut self, strong: &StrongCount) -> NodeCommands {
        self.queued = false;
        let is_strong = strong.get() > 0;
        let is_weak = is_strong || self.refs > 0 || self.local_weak > 0;
        let commands = NodeCommands {
            increfs: is_weak && !self.weak.has,
            acquire: is_strong && !self.strong.has,
            release: !is_strong && self.strong.has,
            decrefs: !is_weak && self.weak.has,
            gone: !is_weak,
        };
        // INVARIANT: What is pending is held.
        if commands.increfs {
            self.hold_weak();
            self.weak.pending = true;
        }
        if commands.acquire {
            self.hold_strong(strong);
            self.strong.pending = true;
        }
        self.weak.has = is_weak;
        self.strong.has = is_strong;
        commands
    }

    /// The node was taken out of a queue without telling: the thread whose queue it was is over.
    pub(crate) fn work_dropped(&mut self) {
        self.queued = false;
    }

    /// The owner has answered `BR_INCREFS`.
    pub(crate) fn increfs_done(&mut self, strong: &StrongCount) -> Result<After, NotPending> {
        if !core::mem::take(&mut self.weak.pending) {
            return Err(NotPending);
        }
        Ok(self.drop_weak(strong))
    }

    /// The owner has answered `BR_ACQUIRE`.
    pub(crate) fn acquire_done(&mut self, strong: &StrongCount) -> Result<After, NotPending> {
        if !core::mem::take(&mut self.strong.pending) {
            return Err(NotPending);
        }
        Ok(self.drop_strong(strong))
    }

    /// The owner has died: it will neither be told nor answer, and what the driver held on its
    /// behalf is let go. Holds of others end as they would have.
    ///
    /// Returns whether the node was queued as work, to be taken out of that queue.
    pub(crate) fn owner_died(&mut self, strong: &StrongCount) -> bool {
        self.owned = false;
        let manager = core::mem::take(&mut self.manager);
        for held in [core::mem::take(&mut self.weak.pending), manager] {
            if held {
                self.local_weak = self.local_weak.saturating_sub(1);
            }
        }
        for held in [core::mem::take(&mut self.strong.pending), manager] {
            if held {
                strong.release();
            }
        }
        core::mem::take(&mut self.queued)
    }

    /// Whether the owner was told of strong references.
    pub(crate) fn has_strong(&self) -> bool {
        self.strong.has
    }

    /// Whether the owner was told of references.
    pub(crate) fn has_weak(&self) -> bool {
        self.weak.has
    }

    /// Strong holds of the driver.
    pub(crate) fn local_strong(&self, strong: &StrongCount) -> u64 {
        strong.get().saturating_sub(u64::from(self.internal_strong))
    }

    /// Weak holds of the driver.
    pub(crate) fn local_weak(&self) -> u32 {
        self.local_weak
    }

    /// Processes that have a strong reference.
    pub(crate) fn internal_strong(&self) -> u32 {
        self.internal_strong
    }

    /// Processes that have a reference.
    pub(crate) fn refs(&self) -> u32 {
        self.refs
    }

    /// A reference or a weak hold was dropped.
    fn weak_dropped(&mut self, strong: &StrongCount) -> After {
        match self.refs == 0 && self.local_weak == 0 {
            true => self.settle(strong),
            false => After::Keep,
        }
    }

    /// Nothing of one kind is left: has the owner to be told, or is the node over?
    fn settle(&mut self, strong: &StrongCount) -> After {
        if self.owned && (self.strong.has || self.weak.has) {
            return match core::mem::replace(&mut self.queued, true) {
                true => After::Keep,
                false => After::QueueToProcess,
            };
        }
        if self.refs > 0 || self.local_weak > 0 || strong.get() > 0 {
            return After::Keep;
        }
        After::Gone {
            queued: core::mem::take(&mut self.queued),
        }
    }
}

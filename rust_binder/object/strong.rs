// SPDX-License-Identifier: GPL-2.0

//! How often a node is held strongly.

use crate::atomic::Counter;

/// The number of strong holds on a node, whoever has them: references of processes, calls under
/// way, acknowledgements that are due.
///
/// It lies beside the lock that guards the node's
/// [`NodeCounts`](super::refcount::NodeCounts), not under it. What the owner of the node has to be
/// told depends on whether the count is zero and not on its value, so only a change from or to
/// zero concerns the state machine and needs the lock; all others, which is all of them on the
/// path of a call by somebody who has a strong reference, are one atomic operation.
///
/// # Invariants
///
/// The count becomes zero, and becomes one from zero, only under the lock.
pub(crate) struct StrongCount(Counter);

impl StrongCount {
    /// No hold.
    pub(crate) fn new() -> Self {
        Self(Counter::new(0))
    }

    /// The number of holds. Without the lock it may have changed already, but not from or to
    /// zero if the caller has a hold itself.
    #[inline]
    pub(crate) fn get(&self) -> u64 {
        self.0.load()
    }

    /// Takes a hold without the lock, if there is one already.
    ///
    /// After `false`, the caller takes the lock and uses
    /// [`NodeCounts::hold_strong`](super::refcount::NodeCounts::hold_strong).
    #[inline]
    pub(crate) fn try_hold(&self) -> bool {
        // INVARIANT: Zero is left alone.
        self.0.update(|holds| match holds {
            0 => None,
            _ => holds.checked_add(1),
        })
    }

    /// Drops a hold of the caller without the lock, if it is not the last one.
    ///
    /// After `false`, the caller takes the lock and uses
    /// [`NodeCounts::drop_strong`](super::refcount::NodeCounts::drop_strong).
    #[inline]
    pub(crate) fn try_drop(&self) -> bool {
        // INVARIANT: One is left alone.
        self.0.update(|holds| match holds {
            0 | 1 => None,
            _ => Some(holds.wrapping_sub(1)),
        })
    }

    /// Takes a hold, under the lock.
    #[inline]
    pub(super) fn hold(&self) {
        let _ = self.0.update(|holds| holds.checked_add(1));
    }

    /// Drops a hold, under the lock; returns whether none is left.
    ///
    /// Dropping what nobody holds is an error of the caller; it is taken for the last drop.
    #[inline]
    pub(super) fn release(&self) -> bool {
        let _ = self.0.update(|holds| holds.checked_sub(1));
        // Under the lock zero stays zero, and a count that is not zero does not become it.
        self.get() == 0
    }
}

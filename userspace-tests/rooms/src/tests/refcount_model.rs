// SPDX-License-Identifier: GPL-2.0

//! The reference protocol in the terms in which it is usually told: four counts, four flags, and
//! a list that the node is on.
//!
//! Nothing is clever here. Each function does to the counts what the protocol says and then looks
//! at all of them.

/// Which list the node is on as work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Thread,
    Process,
}

/// A node whose owner lives.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub(super) internal_strong: i64,
    pub(super) local_strong: i64,
    pub(super) local_weak: i64,
    pub(super) temporary: i64,
    pub(super) references: i64,
    pub(super) has_strong: bool,
    pub(super) has_weak: bool,
    pub(super) pending_strong: bool,
    pub(super) pending_weak: bool,
    pub(super) on: Option<List>,
    pub(super) is_manager: bool,
    pub(super) freed: bool,
}

/// What the owner reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) increfs: bool,
    pub(super) acquire: bool,
    pub(super) release: bool,
    pub(super) decrefs: bool,
}

impl Node {
    /// Counts up. `sender` is whether the list of the sending thread is at hand.
    pub(super) fn inc(&mut self, strong: bool, internal: bool, sender: bool) -> Result<(), ()> {
        if strong {
            if internal {
                let known = self.is_manager && self.has_strong;
                if !sender && self.internal_strong == 0 && !known {
                    return Err(());
                }
                self.internal_strong += 1;
            } else {
                self.local_strong += 1;
            }
            if !self.has_strong && sender {
                self.on = Some(List::Thread);
            }
        } else {
            if !internal {
                self.local_weak += 1;
            }
            if !self.has_weak && sender && self.on.is_none() {
                self.on = Some(List::Thread);
            }
        }
        Ok(())
    }

    /// Counts down.
    pub(super) fn dec(&mut self, strong: bool, internal: bool) {
        if strong {
            match internal {
                true => self.internal_strong -= 1,
                false => self.local_strong -= 1,
            }
            if self.local_strong > 0 || self.internal_strong > 0 {
                return;
            }
        } else {
            if !internal {
                self.local_weak -= 1;
            }
            if self.local_weak > 0 || self.temporary > 0 || self.references > 0 {
                return;
            }
        }
        if self.has_strong || self.has_weak {
            if self.on.is_none() {
                self.on = Some(List::Process);
            }
        } else if self.references == 0
            && self.local_strong == 0
            && self.local_weak == 0
            && self.temporary == 0
        {
            self.on = None;
            self.freed = true;
        }
    }

    /// Ends a temporary hold.
    pub(super) fn put(&mut self) {
        self.temporary -= 1;
        self.dec(false, true);
    }

    /// A reference ends, with whatever it still counts for.
    pub(super) fn remove_reference(&mut self, strong: bool) {
        if strong {
            self.dec(true, true);
        }
        self.references -= 1;
        self.dec(false, true);
    }

    /// A thread of the owner takes the node off its list.
    pub(super) fn read(&mut self) -> Told {
        self.on = None;
        let strong = self.internal_strong > 0 || self.local_strong > 0;
        let weak = self.references > 0 || self.local_weak > 0 || self.temporary > 0 || strong;
        let mut told = Told::default();
        if weak && !self.has_weak {
            told.increfs = true;
            self.has_weak = true;
            self.pending_weak = true;
            self.local_weak += 1;
        }
        if strong && !self.has_strong {
            told.acquire = true;
            self.has_strong = true;
            self.pending_strong = true;
            self.local_strong += 1;
        }
        if !strong && self.has_strong {
            told.release = true;
            self.has_strong = false;
        }
        if !weak && self.has_weak {
            told.decrefs = true;
            self.has_weak = false;
        }
        if !weak && !strong {
            self.freed = true;
        }
        told
    }

    /// The owner answers; whether there was anything to answer.
    pub(super) fn done(&mut self, strong: bool) -> bool {
        let pending = match strong {
            true => &mut self.pending_strong,
            false => &mut self.pending_weak,
        };
        if !std::mem::take(pending) {
            return false;
        }
        self.dec(strong, false);
        true
    }

    /// The owner becomes the context manager.
    pub(super) fn become_manager(&mut self) {
        self.is_manager = true;
        self.local_strong += 1;
        self.local_weak += 1;
        self.has_strong = true;
        self.has_weak = true;
    }
}

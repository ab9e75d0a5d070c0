// SPDX-License-Identifier: GPL-2.0

//! What calls do without the lock, in every interleaving: the strong count of a node, and the
//! replies that somebody waits for who freezes a process.

use crate::object::freezer::{Answered, Freezer};
use crate::object::refcount::{After, NodeCounts, Notify};
use crate::object::strong::StrongCount;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// A node and what its lock guards.
struct Node {
    strong: StrongCount,
    locked: Mutex<Locked>,
}

struct Locked {
    counts: NodeCounts,
    /// How often the node was put into its owner's queue.
    queued: u32,
    /// Whether it is there.
    waits: bool,
}

impl Node {
    /// A node with `references` strong references, of which the owner has been told.
    fn known(references: u32) -> Arc<Self> {
        let strong = StrongCount::new();
        let mut counts = NodeCounts::new();
        for _ in 0..references {
            counts.ref_added();
            let _ = counts.ref_strong_first(&strong, Notify::Sender, false);
        }
        let _ = counts.commands(&strong);
        let _ = counts.increfs_done(&strong);
        let _ = counts.acquire_done(&strong);
        Arc::new(Self {
            strong,
            locked: Mutex::new(Locked {
                counts,
                queued: 0,
                waits: false,
            }),
        })
    }

    fn locked(&self) -> loom::sync::MutexGuard<'_, Locked> {
        self.locked.lock().expect("nobody panicked")
    }

    /// What a call does when it is sent.
    fn hold(&self) {
        if !self.strong.try_hold() {
            self.locked().counts.hold_strong(&self.strong);
        }
    }

    /// What a call does when it is over.
    fn unhold(&self) {
        if !self.strong.try_drop() {
            let mut locked = self.locked();
            let after = locked.counts.drop_strong(&self.strong);
            locked.after(after);
        }
    }

    /// What a process does that drops its reference.
    fn forget(&self) {
        let mut locked = self.locked();
        let after = locked.counts.ref_strong_last(&self.strong);
        locked.after(after);
        let after = locked.counts.ref_removed(&self.strong);
        locked.after(after);
    }

    /// What a thread of the owner does that finds the node in its queue.
    fn read(&self) {
        let mut locked = self.locked();
        if !std::mem::take(&mut locked.waits) {
            return;
        }
        let told = locked.counts.commands(&self.strong);
        // The owner is told the truth: a strong count of zero does not change under the lock.
        assert!(!told.release || self.strong.get() == 0);
        assert!(!told.acquire || self.strong.get() > 0);
        if told.acquire {
            let after = locked.counts.acquire_done(&self.strong);
            locked.after(after.expect("it was told"));
        }
        if told.increfs {
            let after = locked.counts.increfs_done(&self.strong);
            locked.after(after.expect("it was told"));
        }
    }
}

impl Locked {
    fn after(&mut self, after: After) {
        match after {
            After::Keep => {}
            After::QueueToProcess => {
                assert!(!self.waits, "it waits already");
                self.waits = true;
                self.queued += 1;
            }
            After::Gone { .. } => panic!("the owner was told of the node"),
        }
    }
}

#[test]
fn calls_pass_while_there_is_a_reference() {
    loom::model(|| {
        let node = Node::known(1);
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let node = node.clone();
                thread::spawn(move || {
                    node.hold();
                    node.unhold();
                })
            })
            .collect();
        for caller in callers {
            caller.join().expect("no assertion failed");
        }
        assert_eq!(node.strong.get(), 1);
        assert_eq!(
            node.locked().queued,
            0,
            "nothing happened that the owner hears of"
        );
    });
}

#[test]
fn the_last_to_let_go_has_the_owner_told() {
    loom::model(|| {
        let node = Node::known(1);
        // The call was sent before the reference was dropped.
        node.hold();
        let call = {
            let node = node.clone();
            thread::spawn(move || node.unhold())
        };
        node.forget();
        call.join().expect("no assertion failed");
        let mut locked = node.locked();
        assert_eq!(node.strong.get(), 0);
        assert!(locked.waits);
        let told = locked.counts.commands(&node.strong);
        assert!(told.release && told.decrefs && told.gone);
    });
}

#[test]
fn references_and_calls_end_in_any_order() {
    loom::model(|| {
        let node = Node::known(2);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let node = node.clone();
                thread::spawn(move || {
                    node.hold();
                    node.forget();
                    node.unhold();
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("no assertion failed");
        }
        let mut locked = node.locked();
        assert_eq!(node.strong.get(), 0);
        assert!(locked.waits, "the owner would never hear of it");
        assert_eq!(locked.queued, 1);
        let told = locked.counts.commands(&node.strong);
        assert!(told.release && told.decrefs && told.gone);
    });
}

#[test]
fn what_is_read_in_between_is_true() {
    loom::model(|| {
        let node = Node::known(1);
        // A call is made through a reference, under the lock of the caller's references.
        let reference = Arc::new(Mutex::new(Some(node.clone())));
        let caller = {
            let reference = reference.clone();
            thread::spawn(move || {
                let held = {
                    let reference = reference.lock().expect("nobody panicked");
                    let node = reference.clone();
                    if let Some(node) = &node {
                        node.hold();
                    }
                    node
                };
                if let Some(node) = held {
                    node.unhold();
                }
            })
        };
        let reader = {
            let node = node.clone();
            thread::spawn(move || node.read())
        };
        let forgotten = reference.lock().expect("nobody panicked").take();
        forgotten.expect("it was there").forget();
        caller.join().expect("no assertion failed");
        reader.join().expect("no assertion failed");
        // Whatever was told in between: in the end the owner knows, or is going to.
        let mut locked = node.locked();
        assert_eq!(node.strong.get(), 0);
        if locked.waits {
            let _ = locked.counts.commands(&node.strong);
        }
        assert!(!locked.counts.has_strong());
    });
}

/// A process, as far as freezing it is concerned.
struct Process {
    freezer: Mutex<Freezer>,
    answered: Answered,
    quiet: Condvar,
}

impl Process {
    fn with_calls(calls: u32) -> Arc<Self> {
        let mut freezer = Freezer::new();
        for _ in 0..calls {
            freezer.sent();
        }
        Arc::new(Self {
            freezer: Mutex::new(freezer),
            answered: Answered::new(),
            quiet: Condvar::new(),
        })
    }

    fn locked(&self) -> loom::sync::MutexGuard<'_, Freezer> {
        self.freezer.lock().expect("nobody panicked")
    }

    /// What a thread does that has replied.
    fn answer(&self) {
        if self.answered.add_one() {
            drop(self.locked());
            self.quiet.notify_all();
        }
    }

    /// What a thread does that gives up a call.
    fn give_up(&self) {
        let wake = self.locked().settled(1);
        if wake {
            self.quiet.notify_all();
        }
    }

    /// What a thread does that freezes the process, with all the time in the world: a wake-up that
    /// is lost is a deadlock.
    fn wait(&self) {
        let mut freezer = self.locked();
        freezer.wait_begins(&self.answered);
        while freezer.is_pending(&self.answered) {
            freezer = self.quiet.wait(freezer).expect("nobody panicked");
        }
        freezer.wait_ends(&self.answered);
    }
}

#[test]
fn whoever_waits_for_replies_hears_of_the_last() {
    loom::model(|| {
        let process = Process::with_calls(2);
        let servers: Vec<_> = (0..2)
            .map(|_| {
                let process = process.clone();
                thread::spawn(move || process.answer())
            })
            .collect();
        process.wait();
        for server in servers {
            server.join().expect("no assertion failed");
        }
        assert!(!process.locked().is_pending(&process.answered));
    });
}

#[test]
fn replies_and_failures_end_the_same_wait() {
    loom::model(|| {
        let process = Process::with_calls(2);
        let replies = {
            let process = process.clone();
            thread::spawn(move || process.answer())
        };
        let fails = {
            let process = process.clone();
            thread::spawn(move || process.give_up())
        };
        process.wait();
        replies.join().expect("no assertion failed");
        fails.join().expect("no assertion failed");
    });
}

#[test]
fn one_who_waits_no_longer_does_not_take_the_wakeup_of_another() {
    loom::model(|| {
        let process = Process::with_calls(1);
        let other = {
            let process = process.clone();
            thread::spawn(move || process.wait())
        };
        // Its time is over at once.
        {
            let mut freezer = process.locked();
            freezer.wait_begins(&process.answered);
            freezer.wait_ends(&process.answered);
        }
        process.answer();
        other.join().expect("no assertion failed");
    });
}

// SPDX-License-Identifier: GPL-2.0

//! The counts of a node beside the literal model.

use super::refcount_model::{self as model, List};
use crate::object::refcount::{After, Enqueue, NodeCounts, Notify};
use crate::object::strong::StrongCount;
use proptest::prelude::*;

/// What one process has: how often it counts its reference.
#[derive(Clone, Copy, Debug, Default)]
struct Reference {
    exists: bool,
    strong: u32,
    weak: u32,
}

#[derive(Clone, Debug)]
enum Step {
    /// The owner sends its node to a process.
    Give(usize, bool),
    /// Somebody else does, or the process takes another reference itself.
    Pass(usize, bool),
    /// A process counts its reference down.
    Drop(usize, bool),
    /// A process loses its reference at once, as when it dies.
    Lose(usize),
    /// The driver holds the node.
    Hold(bool),
    /// The driver holds the node as calls do, without the lock if it can.
    HoldFast,
    Unhold(bool),
    UnholdFast,
    /// A thread of the owner reads.
    Read,
    /// The thread on whose list the node is exits.
    ThreadExits,
    Done(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let process = 0..3_usize;
    prop_oneof![
        4 => (process.clone(), any::<bool>()).prop_map(|(at, strong)| Step::Give(at, strong)),
        4 => (process.clone(), any::<bool>()).prop_map(|(at, strong)| Step::Pass(at, strong)),
        6 => (process.clone(), any::<bool>()).prop_map(|(at, strong)| Step::Drop(at, strong)),
        1 => process.prop_map(Step::Lose),
        1 => any::<bool>().prop_map(Step::Hold),
        2 => Just(Step::HoldFast),
        2 => any::<bool>().prop_map(Step::Unhold),
        3 => Just(Step::UnholdFast),
        6 => Just(Step::Read),
        1 => Just(Step::ThreadExits),
        5 => any::<bool>().prop_map(Step::Done),
    ]
}

/// The driver's counts with what a caller does about their answers, and the model.
struct World {
    counts: NodeCounts,
    strong: StrongCount,
    on: Option<List>,
    /// A thread left with what it was to tell the owner, and nothing came after that.
    lost: bool,
    gone: bool,
    model: model::Node,
    references: [Reference; 3],
    held_strong: u32,
    held_weak: u32,
}

impl World {
    fn new() -> Self {
        Self {
            counts: NodeCounts::new(),
            strong: StrongCount::new(),
            on: None,
            lost: false,
            gone: false,
            model: model::Node::default(),
            references: Default::default(),
            held_strong: 0,
            held_weak: 0,
        }
    }

    fn queue(&mut self, enqueue: Enqueue) {
        match enqueue {
            Enqueue::Nothing => return,
            Enqueue::Thread => assert_eq!(self.on, None, "it is on a list"),
            Enqueue::MoveToThread => assert!(self.on.is_some(), "it is on no list"),
        }
        self.on = Some(List::Thread);
        self.lost = false;
    }

    fn after(&mut self, after: After) {
        match after {
            After::Keep => {}
            After::QueueToProcess => {
                assert_eq!(self.on, None, "it is on a list");
                self.on = Some(List::Process);
                self.lost = false;
            }
            After::Gone { queued } => {
                assert_eq!(queued, self.on.is_some());
                self.on = None;
                assert!(!self.gone, "it has gone twice");
                self.gone = true;
            }
        }
    }

    /// A process is to have a reference, or one more.
    fn reference(&mut self, at: usize, strong: bool, notify: Notify) {
        let sender = notify == Notify::Sender;
        // The model keeps the node while it works on it; the driver has its lock for that.
        self.model.temporary += 1;
        let mut reference = self.references[at];
        let new = !reference.exists;
        if new {
            self.counts.ref_added();
            self.model.references += 1;
            reference.exists = true;
        }
        let mut refused = false;
        match strong {
            true if reference.strong == 0 => {
                let is_manager = self.model.is_manager;
                let answer = self
                    .counts
                    .ref_strong_first(&self.strong, notify, is_manager);
                let expected = self.model.inc(true, true, sender);
                assert_eq!(answer.is_err(), expected.is_err());
                match answer {
                    Ok(enqueue) => {
                        self.queue(enqueue);
                        reference.strong = 1;
                    }
                    Err(_) => refused = true,
                }
            }
            true => reference.strong += 1,
            false if reference.weak == 0 => {
                let enqueue = self.counts.ref_weak_first(notify);
                self.queue(enqueue);
                self.model.inc(false, true, sender).expect("never refused");
                reference.weak = 1;
            }
            false => reference.weak += 1,
        }
        self.references[at] = reference;
        if refused && new {
            self.remove(at);
        }
        self.model.put();
    }

    /// A process no longer has its reference.
    fn remove(&mut self, at: usize) {
        let reference = std::mem::take(&mut self.references[at]);
        if reference.strong > 0 {
            let after = self.counts.ref_strong_last(&self.strong);
            self.after(after);
        }
        let after = self.counts.ref_removed(&self.strong);
        self.after(after);
        self.model.remove_reference(reference.strong > 0);
    }

    fn drop_reference(&mut self, at: usize, strong: bool) {
        let reference = &mut self.references[at];
        match strong {
            true if reference.strong == 1 => {
                reference.strong = 0;
                let after = self.counts.ref_strong_last(&self.strong);
                self.after(after);
                self.model.dec(true, true);
            }
            true if reference.strong > 1 => reference.strong -= 1,
            false if reference.weak > 0 => reference.weak -= 1,
            _ => return,
        }
        let reference = self.references[at];
        if reference.strong == 0 && reference.weak == 0 {
            self.remove(at);
        }
    }

    fn hold(&mut self, strong: bool) {
        match strong {
            true => {
                self.counts.hold_strong(&self.strong);
                self.held_strong += 1;
            }
            false => {
                self.counts.hold_weak();
                self.held_weak += 1;
            }
        }
        self.model.inc(strong, false, false).expect("never refused");
    }

    fn unhold(&mut self, strong: bool) {
        let held = match strong {
            true => &mut self.held_strong,
            false => &mut self.held_weak,
        };
        if *held == 0 {
            return;
        }
        *held -= 1;
        let after = match strong {
            true => self.counts.drop_strong(&self.strong),
            false => self.counts.drop_weak(&self.strong),
        };
        self.after(after);
        self.model.dec(strong, false);
    }

    fn read(&mut self) {
        if self.on.take().is_none() {
            return;
        }
        let commands = self.counts.commands(&self.strong);
        self.gone |= commands.gone;
        let told = model::Told {
            increfs: commands.increfs,
            acquire: commands.acquire,
            release: commands.release,
            decrefs: commands.decrefs,
        };
        assert_eq!(told, self.model.read());
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Give(at, strong) => self.reference(at, strong, Notify::Sender),
            Step::Pass(at, strong) => {
                // Weak ones can be passed on by whoever has one; strong ones are tried anyway.
                let others = self.references.iter().any(|reference| reference.exists);
                if strong || others || self.model.is_manager {
                    self.reference(at, strong, Notify::Nobody);
                }
            }
            Step::Drop(at, strong) => self.drop_reference(at, strong),
            Step::Lose(at) => {
                if self.references[at].exists {
                    self.remove(at);
                }
            }
            Step::Hold(strong) => self.hold(strong),
            Step::HoldFast => match self.strong.try_hold() {
                true => {
                    self.held_strong += 1;
                    self.model.inc(true, false, false).expect("never refused");
                }
                false => self.hold(true),
            },
            Step::Unhold(strong) => self.unhold(strong),
            Step::UnholdFast => {
                if self.held_strong > 0 && self.strong.try_drop() {
                    self.held_strong -= 1;
                    self.model.dec(true, false);
                } else {
                    self.unhold(true);
                }
            }
            Step::Read => self.read(),
            Step::ThreadExits => {
                if self.on == Some(List::Thread) {
                    self.on = None;
                    self.lost = true;
                    self.counts.work_dropped();
                    self.model.on = None;
                }
            }
            Step::Done(strong) => {
                let answer = match strong {
                    true => self.counts.acquire_done(&self.strong),
                    false => self.counts.increfs_done(&self.strong),
                };
                assert_eq!(answer.is_ok(), self.model.done(strong));
                if let Ok(after) = answer {
                    self.after(after);
                }
            }
        }
    }

    fn check(&self) {
        let (counts, model) = (&self.counts, &self.model);
        assert_eq!(self.on, model.on);
        assert_eq!(self.gone, model.freed);
        assert_eq!(counts.has_strong(), model.has_strong);
        assert_eq!(counts.has_weak(), model.has_weak);
        assert_eq!(counts.local_strong(&self.strong) as i64, model.local_strong);
        assert_eq!(i64::from(counts.local_weak()), model.local_weak);
        assert_eq!(i64::from(counts.internal_strong()), model.internal_strong);
        assert_eq!(i64::from(counts.refs()), model.references);
        assert_eq!(model.temporary, 0);
    }

    /// Everybody lets go; the owner reads and answers what there is.
    fn wind_up(&mut self) {
        for at in 0..self.references.len() {
            if self.references[at].exists {
                self.remove(at);
            }
        }
        while self.held_strong > 0 {
            self.unhold(true);
        }
        while self.held_weak > 0 {
            self.unhold(false);
        }
        for _ in 0..3 {
            for step in [Step::Read, Step::Done(true), Step::Done(false)] {
                if !self.gone {
                    self.run(&step);
                    self.check();
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn the_owner_is_told_what_the_model_tells(
        manager in prop::bool::weighted(0.2),
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let mut world = World::new();
        if manager {
            world.counts.become_manager(&world.strong);
            world.model.become_manager();
            world.check();
        }
        for step in &steps {
            world.run(step);
            world.check();
            if world.gone {
                break;
            }
        }
        // A node that anybody was told of goes when all have let go and the owner hears of it; the
        // manager's stays.
        let known = world.counts.has_weak() || world.on.is_some();
        if !world.gone && (known || manager) {
            world.wind_up();
            prop_assert!(world.gone != manager || world.lost);
        }
    }

    #[test]
    fn a_dead_owner_leaves_nothing_behind(
        manager in any::<bool>(),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut world = World::new();
        if manager {
            world.counts.become_manager(&world.strong);
            world.model.become_manager();
        }
        for step in &steps {
            world.run(step);
            if world.gone {
                return Ok(());
            }
        }
        prop_assert_eq!(world.counts.owner_died(&world.strong), world.on.take().is_some());
        prop_assert_eq!(world.counts.local_strong(&world.strong), u64::from(world.held_strong));
        prop_assert_eq!(world.counts.local_weak(), world.held_weak);
        prop_assert!(world.counts.acquire_done(&world.strong).is_err());
        prop_assert!(world.counts.increfs_done(&world.strong).is_err());
        // Everybody else lets go in their own time; the last one sees it off, and nobody is told.
        let mut ends = Vec::new();
        for reference in world.references {
            if reference.strong > 0 {
                ends.push(world.counts.ref_strong_last(&world.strong));
            }
            if reference.exists {
                ends.push(world.counts.ref_removed(&world.strong));
            }
        }
        for _ in 0..world.held_strong {
            ends.push(world.counts.drop_strong(&world.strong));
        }
        for _ in 0..world.held_weak {
            ends.push(world.counts.drop_weak(&world.strong));
        }
        let last = ends.pop();
        let used = last.is_some();
        prop_assert_eq!(last, used.then_some(After::Gone { queued: false }));
        prop_assert!(ends.iter().all(|end| *end == After::Keep));
    }
}

/// The usual life of a node, in the order in which its owner reads of it.
#[test]
fn a_node_that_is_given_away_and_returned() {
    let mut counts = NodeCounts::new();
    let strong = StrongCount::new();
    counts.ref_added();
    let first = counts.ref_strong_first(&strong, Notify::Sender, false);
    assert_eq!(first, Ok(Enqueue::Thread));
    let told = counts.commands(&strong);
    assert!(told.increfs && told.acquire && !told.release && !told.decrefs && !told.gone);
    assert_eq!(counts.increfs_done(&strong), Ok(After::Keep));
    assert_eq!(counts.acquire_done(&strong), Ok(After::Keep));
    assert!(counts.acquire_done(&strong).is_err());
    // A call passes without the lock, and without anybody hearing of it.
    assert!(strong.try_hold());
    assert!(strong.try_drop());
    assert!(!strong.try_drop(), "the reference is the last one");
    assert_eq!(counts.ref_strong_last(&strong), After::QueueToProcess);
    assert_eq!(counts.ref_removed(&strong), After::Keep);
    let told = counts.commands(&strong);
    assert!(told.release && told.decrefs && told.gone && !told.increfs && !told.acquire);
}

/// As in C: the node stays until its owner dies, or somebody gets another reference.
#[test]
fn what_a_thread_takes_along_nobody_is_told() {
    let mut world = World::new();
    for step in [
        Step::Give(0, false),
        Step::Read,
        Step::Done(false),
        Step::Give(1, true),
        Step::Drop(0, false),
        Step::Lose(1),
        Step::ThreadExits,
    ] {
        world.run(&step);
        world.check();
    }
    assert!(world.lost && !world.gone && world.counts.has_weak());
    world.run(&Step::Give(0, false));
    world.wind_up();
    assert!(world.gone);
}

#[test]
fn a_strong_reference_is_not_made_of_a_weak_one() {
    let mut counts = NodeCounts::new();
    let strong = StrongCount::new();
    counts.ref_added();
    assert_eq!(counts.ref_weak_first(Notify::Sender), Enqueue::Thread);
    assert!(counts
        .ref_strong_first(&strong, Notify::Nobody, false)
        .is_err());
    assert_eq!(strong.get(), 0);
    // Not even of the manager's, once that has died.
    counts.become_manager(&strong);
    assert!(counts.owner_died(&strong));
    assert!(counts
        .ref_strong_first(&strong, Notify::Nobody, true)
        .is_err());
}

#[test]
fn without_the_lock_no_count_comes_from_zero_or_gets_there() {
    let count = StrongCount::new();
    assert!(!count.try_hold());
    assert!(!count.try_drop());
    assert_eq!(count.get(), 0);
    let mut counts = NodeCounts::new();
    counts.hold_strong(&count);
    assert_eq!(count.get(), 1);
    assert!(!count.try_drop());
    assert!(count.try_hold());
    assert_eq!(count.get(), 2);
    assert!(count.try_drop());
    assert_eq!(count.get(), 1);
}

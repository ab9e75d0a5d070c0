// SPDX-License-Identifier: GPL-2.0

//! At what priority a thread serves what it takes, and how it gets back what it had.
//!
//! For plain nodes it is, as in the C driver, the thread itself that changes: to the nice value of the
//! caller or of the node when it takes a message, back when it replies, to that of its process when it
//! waits for work. Nearly always there is nothing to change, and that costs a comparison.
//!
//! For other nodes policy and real-time priority change too, and a thread that sleeps is raised by the
//! caller before it is woken, so that it need not wait for a CPU to become urgent. A thread that is
//! awake, or takes a call from the queue of its process, sees to it itself. Either way it gets back
//! what it had with its reply, or when it exits, or when the call can't be delivered, or else before
//! it waits for work of the process.
//!
//! [`object::priority`](crate::object::priority) has the rules.

use super::Session;
use crate::{
    object::priority::{
        nice_for,
        Demand,
        Limits,
        Priority, //
    },
    observe::user_error,
    process::{
        own,
        Hold,
        Home,
        Kind,
        Message,
        Node,
        Process,
        Saved,
        ThreadKey,
        ThreadState, //
    },
    sys::sched::{
        self,
        Scheduling, //
    },
};
use kernel::{
    sync::aref::ARef,
    task::Task, //
};

impl Session<'_> {
    /// At what priority a message that the thread sends to `target` is to be served; `None` for a plain
    /// node, and for a reply.
    #[inline]
    pub(super) fn priority_at(&self, target: Option<&Hold>, is_call: bool) -> Option<Priority> {
        let node = target?.node();
        match node.flags.is_plain() {
            true => None,
            false => self.demanded_priority(node, is_call),
        }
    }

    #[cold]
    fn demanded_priority(&self, node: &Node, is_call: bool) -> Option<Priority> {
        let demand = Demand::of(node.flags)?;
        let caller = match is_call {
            true => own(Scheduling::of(self.task)).priority(),
            // Nobody waits for it.
            false => None,
        };
        Some(demand.priority(caller.unwrap_or(node.owner.default_priority)))
    }

    /// Gives the thread the priority at which it is to serve `message`, which it has taken from its
    /// queue.
    #[inline]
    pub(super) fn adopt_priority(&self, message: &Message) {
        let target = message.payload.as_ref().and_then(|it| it.target.as_ref());
        let Some(target) = target else {
            return;
        };
        let oneway = matches!(message.kind, Kind::Oneway { .. });
        if let Some(priority) = message.priority {
            return self.adopt_demanded(priority, oneway);
        }
        let minimum = target.node().flags.min_priority();
        if let Some(nice) = nice_for(minimum, message.nice, sched::nice(self.task), oneway) {
            self.set_nice(nice);
        }
    }

    /// The same for a node that is not plain. If the caller has seen to it, there is nothing to do.
    #[cold]
    fn adopt_demanded(&self, priority: Priority, oneway: bool) {
        if !oneway || own(Scheduling::of(self.task)).is_below(priority) {
            set_priority(&self.process, self.task, priority);
        }
    }

    /// What to save with a call to be served at `priority`, which `thread`, the current one, takes.
    #[inline]
    pub(super) fn save(&self, thread: &mut ThreadState, priority: Option<Priority>) -> Saved {
        match priority {
            None => Saved::Nice(sched::nice(self.task)),
            Some(_) => thread.displaced.take(self.task),
        }
    }

    /// The same for a oneway message, which nobody will reply to.
    #[inline]
    pub(super) fn displace(&self, thread: &mut ThreadState, priority: Option<Priority>) {
        if priority.is_some() {
            thread.displaced.note(self.task);
        }
    }

    /// Gives the thread back what it had when it took a call.
    #[inline]
    pub(super) fn restore_priority(&self, saved: Saved) {
        match saved {
            Saved::Nice(nice) => self.set_nice(nice.into()),
            _ => self.restore_priority_of_node(saved),
        }
    }

    /// Gives the thread back what a node that is not plain has changed; the nice value that it has for
    /// a plain one stays.
    #[cold]
    pub(super) fn restore_priority_of_node(&self, saved: Saved) {
        let restored = match saved {
            Saved::Nice(_) => return,
            Saved::Inner(scheduling) => scheduling.apply(self.task),
            Saved::Outermost => return self.go_home(),
        };
        if restored.is_err() {
            user_error!(self.process, "a thread can't be given back its priority\n");
        }
    }

    /// Gives the thread back what it had before any node changed it.
    #[cold]
    fn go_home(&self) {
        let home = self
            .process
            .lock()
            .thread(self.thread)
            .and_then(|thread| thread.displaced.go_home());
        if let Some(home) = home {
            give_back(&self.process, home);
        }
    }

    /// Tells whether the thread has the nice value with which it is to wait for work of the process.
    #[inline]
    pub(super) fn has_default_nice(&self) -> bool {
        sched::has_nice(self.task, self.process.default_nice.into())
    }

    /// Schedules the thread as it is to wait for work of the process.
    #[cold]
    pub(super) fn assume_default_priority(&self) {
        self.go_home();
        self.set_nice(self.process.default_nice.into());
    }

    #[inline]
    fn set_nice(&self, nice: i16) {
        if !sched::has_nice(self.task, nice.into()) {
            self.change_nice(nice);
        }
    }

    #[cold]
    fn change_nice(&self, nice: i16) {
        if sched::set_nice(self.task, nice.into()).is_err() {
            user_error!(self.process, "RLIMIT_NICE not set\n");
        }
    }
}

/// A thread that sleeps and was given a call, for which it is to be raised before it is woken.
pub(super) struct Raise {
    thread: ThreadKey,
    task: ARef<Task>,
    priority: Priority,
}

impl Raise {
    /// For a thread of a locked process, which is about to be given a call to be served at `priority`.
    pub(super) fn begin(
        key: ThreadKey,
        thread: &mut ThreadState,
        priority: Priority,
    ) -> Option<Self> {
        let task = thread.sleeper.as_ref()?.task();
        thread.displaced.begin_raise(&task);
        Some(Self {
            thread: key,
            task,
            priority,
        })
    }

    /// Raises the thread. Nothing is locked, and the thread was not woken yet, or waits for this.
    pub(super) fn finish(self, process: &Process) {
        set_priority(process, &self.task, self.priority);
        if let Some(thread) = process.lock().thread(self.thread) {
            thread.displaced.end_raise();
        }
        process.raised.notify_all();
    }
}

/// Gives a thread of `process` the priority, or the next best that it may have.
fn set_priority(process: &Process, task: &Task, priority: Priority) {
    let scheduling = Scheduling::of(task);
    let limits = Limits {
        sys_nice: sched::has_sys_nice(task),
        real_time: sched::real_time_limit(task),
        nice: sched::nice_limit(task),
    };
    let Some(granted) = limits.grant(priority, own(scheduling)) else {
        return;
    };
    let policy = granted.policy();
    let scheduling = match policy.is_real_time() {
        true => scheduling.in_real_time(policy.number(), granted.level() as u8),
        false => scheduling.fair(policy.number(), granted.level()),
    };
    if scheduling.apply(task).is_err() {
        user_error!(process, "a thread can't be given the priority of a call\n");
    }
}

/// Gives a thread of `process` back what it had before any node changed it.
#[cold]
pub(super) fn give_back(process: &Process, home: Home) {
    if home.restore().is_err() {
        user_error!(process, "a thread can't be given back its priority\n");
    }
}

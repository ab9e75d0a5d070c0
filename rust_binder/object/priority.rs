// SPDX-License-Identifier: GPL-2.0

//! At what priority messages are served.
//!
//! There are two kinds of nodes. A plain one is served as the C driver serves all: its byte is
//! compared with nice values, and policies stay as they are ([`nice_for`]). One whose flags name a
//! policy or ask for real-time inheritance is a [`Demand`]: it is served at a [`Priority`], which is
//! a policy and how urgent it is, as far as the [`Limits`] of the thread that serves it allow.
//!
//! A larger nice value and a smaller real-time priority are less urgent, and whatever runs in real
//! time is more urgent than what does not.

use crate::abi::object::NodeFlags;

/// The best nice value.
const BEST_NICE: i8 = -20;

/// The worst one.
const WORST_NICE: i8 = 19;

/// The highest real-time priority.
const MOST_URGENT: i8 = 99;

/// `SCHED_IDLE`: not for priorities, but a thread that is raised may have it.
const IDLE: u8 = 5;

/// The nice value to be set for the thread that takes a message to a plain node, and whose own is
/// `own`; `None` leaves the thread as it is.
///
/// Whoever waits for a call does so with the nice value `sender`, unless the node wants a better one.
/// Nobody waits for a oneway message, so there only the node counts, and only for what is better. The
/// node's byte has no sign: it can't ask for a nice value below 0, and from 20 on it is none.
#[inline]
pub(crate) fn nice_for(minimum: u8, sender: i8, own: i8, oneway: bool) -> Option<i16> {
    let minimum = i16::from(minimum);
    match oneway {
        false if i16::from(sender) < minimum => Some(sender.into()),
        false => Some(minimum),
        true if i16::from(own) > minimum => Some(minimum),
        true => None,
    }
}

/// The policies that a priority can have, with the numbers of the system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Policy {
    /// `SCHED_NORMAL`.
    Normal = 0,
    /// `SCHED_FIFO`.
    Fifo = 1,
    /// `SCHED_RR`.
    RoundRobin = 2,
    /// `SCHED_BATCH`.
    Batch = 3,
}

impl Policy {
    /// By its number; `None` for policies that are not inherited.
    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Normal),
            1 => Some(Self::Fifo),
            2 => Some(Self::RoundRobin),
            3 => Some(Self::Batch),
            _ => None,
        }
    }

    /// Its number.
    pub(crate) const fn number(self) -> u8 {
        self as u8
    }

    /// Whether it is one for real time.
    pub(crate) const fn is_real_time(self) -> bool {
        matches!(self, Self::Fifo | Self::RoundRobin)
    }
}

/// A policy and how urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Priority {
    policy: Policy,
    /// A real-time priority, or a nice value.
    level: i8,
}

impl Priority {
    /// With a real-time priority or a nice value, whichever fits the policy; `None` if the number is
    /// neither.
    pub(crate) const fn new(policy: Policy, level: i8) -> Option<Self> {
        let valid = match policy.is_real_time() {
            true => level >= 1 && level <= MOST_URGENT,
            false => level >= BEST_NICE && level <= WORST_NICE,
        };
        if valid {
            Some(Self { policy, level })
        } else {
            None
        }
    }

    /// `SCHED_NORMAL` with a nice value.
    pub(crate) const fn normal(nice: i8) -> Self {
        Self {
            policy: Policy::Normal,
            level: nice,
        }
    }

    /// The policy.
    pub(crate) const fn policy(self) -> Policy {
        self.policy
    }

    /// The real-time priority or nice value.
    pub(crate) const fn level(self) -> i8 {
        self.level
    }

    /// Larger for what is more urgent.
    const fn urgency(self) -> i16 {
        match self.policy.is_real_time() {
            true => (self.level as i16).wrapping_add(100),
            false => (self.level as i16).wrapping_neg(),
        }
    }
}

/// What a node asks for that is not plain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    /// The least urgent priority at which it is served.
    minimum: Option<Priority>,
    /// Callers hand their real-time priority on.
    inherits_real_time: bool,
}

impl Demand {
    /// What these flags ask for; `None` for a plain node.
    ///
    /// The byte is a real-time priority or a nice value with its sign. If it is out of range, there
    /// is no minimum.
    pub(crate) const fn of(flags: NodeFlags) -> Option<Self> {
        if flags.is_plain() {
            return None;
        }
        let minimum = match Policy::from_number(flags.policy()) {
            Some(policy) => Priority::new(policy, flags.min_priority() as i8),
            None => None,
        };
        Some(Self {
            minimum,
            inherits_real_time: flags.inherits_real_time(),
        })
    }

    /// At what priority a message is served that brings `carried` along: that of the caller, or for
    /// a oneway message that of the process that receives it.
    pub(crate) fn priority(self, carried: Priority) -> Priority {
        let carried = match carried.policy.is_real_time() && !self.inherits_real_time {
            true => Priority::normal(0),
            false => carried,
        };
        match self.minimum {
            Some(minimum) if preferred(minimum, carried) => minimum,
            _ => carried,
        }
    }
}

/// Whether the minimum of a node takes the place of what a message brings along.
fn preferred(minimum: Priority, carried: Priority) -> bool {
    let (wanted, brought) = (minimum.urgency(), carried.urgency());
    wanted > brought || wanted == brought && minimum.policy == Policy::Fifo
}

/// How a thread is scheduled, as far as it matters to what it may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Own {
    /// The number of its policy.
    pub(crate) policy: u8,
    /// Its nice value, which it has whatever the policy.
    pub(crate) nice: i8,
    /// Its real-time priority, 0 if it has none.
    pub(crate) real_time: u8,
}

impl Own {
    /// As a priority; `None` under a policy that is not inherited.
    pub(crate) fn priority(self) -> Option<Priority> {
        match Policy::from_number(self.policy) {
            Some(policy) if policy.is_real_time() => Priority::new(policy, self.real_time as i8),
            Some(policy) => Priority::new(policy, self.nice),
            None => None,
        }
    }

    /// Whether a oneway message served at `wanted` is to change the thread: it does not make one less
    /// urgent.
    pub(crate) fn is_below(self, wanted: Priority) -> bool {
        self.priority()
            .is_none_or(|own| own.urgency() < wanted.urgency())
    }
}

/// What a thread may be given, by the rules that `sched_setattr()` has for a thread's own use of it:
/// it may become less urgent, it may keep what it has, and become more urgent up to a limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// It has `CAP_SYS_NICE`, so no limit counts.
    pub(crate) sys_nice: bool,
    /// `RLIMIT_RTPRIO`: its highest real-time priority.
    pub(crate) real_time: usize,
    /// `RLIMIT_NICE`: 1 for nice 19, up to 40 for -20; 0 allows none.
    pub(crate) nice: usize,
}

impl Limits {
    /// What a thread gets that is to have `wanted`; `None` leaves it as it is.
    ///
    /// A thread that may not run in real time gets the best nice value that it may have instead.
    /// Deadlines, and whatever else is neither for real time nor fair, are left alone.
    pub(crate) fn grant(&self, wanted: Priority, own: Own) -> Option<Priority> {
        if own.priority().is_none() && own.policy != IDLE {
            return None;
        }
        let granted = match (self.sys_nice, wanted.policy.is_real_time()) {
            (true, _) => wanted,
            _ if own.policy == IDLE && self.best_nice() > own.nice => return None,
            (_, true) => self.real_time(wanted, own),
            (_, false) => self.fair(wanted, own),
        };
        (own.priority() != Some(granted)).then_some(granted)
    }

    /// The best nice value that the limit allows, 20 if it allows none.
    fn best_nice(&self) -> i8 {
        20i8.wrapping_sub(self.nice.min(40) as i8)
    }

    fn fair(&self, wanted: Priority, own: Own) -> Priority {
        Priority {
            policy: wanted.policy,
            level: wanted.level.max(self.best_nice().min(own.nice)),
        }
    }

    fn real_time(&self, wanted: Priority, own: Own) -> Priority {
        let limit = self.real_time.min(MOST_URGENT as usize) as i8;
        let highest = limit.max(own.real_time as i8);
        if highest == 0 {
            return self.fair(Priority::normal(BEST_NICE), own);
        }
        Priority {
            // Without a limit there is no other policy to be had than that which the thread has.
            policy: match own.priority() {
                Some(own) if limit == 0 => own.policy,
                _ => wanted.policy,
            },
            level: wanted.level.min(highest),
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! How many objects of each kind exist.
//!
//! Every object that lives on its own carries a [`Count`], so the numbers can't drift. They are
//! for people and tests; the driver itself decides nothing by them.

use core::fmt;
use kernel::{
    prelude::*,
    sync::atomic::{
        ordering::Relaxed,
        Atomic, //
    },
};

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An open file.
    Process,
    /// A thread of it.
    Thread,
    /// An object offered to others.
    Node,
    /// A handle in use.
    Reference,
    /// A requested death notification.
    Death,
    /// A requested notification of freezing and thawing.
    Freeze,
    /// A synchronous call that waits for its reply.
    Call,
    /// The objects and files of a message or buffer that has some.
    Attachments,
}

impl Kind {
    const ALL: [Kind; 8] = [
        Kind::Process,
        Kind::Thread,
        Kind::Node,
        Kind::Reference,
        Kind::Death,
        Kind::Freeze,
        Kind::Call,
        Kind::Attachments,
    ];

    fn counter(self) -> &'static Counter {
        static COUNTERS: [Counter; Kind::ALL.len()] = [const { Counter::new() }; Kind::ALL.len()];
        static SPARE: Counter = Counter::new();

        COUNTERS.get(self as usize).unwrap_or(&SPARE)
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Process => "proc",
            Kind::Thread => "thread",
            Kind::Node => "node",
            Kind::Reference => "ref",
            Kind::Death => "death",
            Kind::Freeze => "freeze",
            Kind::Call => "call",
            Kind::Attachments => "attachments",
        }
    }
}

/// The number of objects of one kind.
struct Counter {
    /// That exist.
    active: Atomic<i32>,
    /// That were made since the module was loaded; it wraps.
    total: Atomic<i32>,
}

impl Counter {
    const fn new() -> Self {
        Self {
            active: Atomic::new(0),
            total: Atomic::new(0),
        }
    }
}

/// Counts the object that it is part of, from its making to its end.
pub struct Count(Kind);

impl Count {
    /// One more of `kind`.
    #[inline]
    pub fn new(kind: Kind) -> Self {
        let counter = kind.counter();
        counter.active.add(1, Relaxed);
        counter.total.add(1, Relaxed);
        Self(kind)
    }
}

impl Drop for Count {
    #[inline]
    fn drop(&mut self) {
        self.0.counter().active.add(-1, Relaxed);
    }
}

/// The numbers as a text, a line for each kind, in the form that the C driver's statistics have.
pub struct Census;

impl kernel::debugfs::Writer for Census {
    fn write(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for kind in Kind::ALL {
            let counter = kind.counter();
            let (active, total) = (counter.active.load(Relaxed), counter.total.load(Relaxed));
            writeln!(
                out,
                "{}: active {active} total {}",
                kind.name(),
                total as u32
            )?;
        }
        Ok(())
    }
}

/// Reports, when it is dropped, objects that outlived their last user. The module drops it last.
pub struct LeakReport;

impl Drop for LeakReport {
    fn drop(&mut self) {
        for kind in Kind::ALL {
            let left = kind.counter().active.load(Relaxed);
            if left != 0 {
                pr_err!("{left} of kind {} left at unload\n", kind.name());
            }
        }
    }
}

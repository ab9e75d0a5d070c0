// SPDX-License-Identifier: GPL-2.0

//! How many objects of each kind exist.
//!
//! Every object that lives on its own carries a [`Count`], so the numbers can't drift. Pages, which
//! are but addresses, are counted where they are made ([`sys::pages`](crate::sys::pages)). The
//! numbers are for people and tests; the driver itself decides nothing by them.

use crate::sys::pages;
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

/// What a page of a space is called.
const PAGE: &str = "page";

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
            write_line(out, kind.name(), active, total)?;
        }
        let (active, total) = pages::held_and_made();
        write_line(out, PAGE, active, total)
    }
}

fn write_line(out: &mut fmt::Formatter<'_>, name: &str, active: i32, total: i32) -> fmt::Result {
    writeln!(out, "{name}: active {active} total {}", total as u32)
}

/// Reports, when it is dropped, objects that outlived their last user. The module drops it last.
pub struct LeakReport;

impl Drop for LeakReport {
    fn drop(&mut self) {
        for kind in Kind::ALL {
            report(kind.name(), kind.counter().active.load(Relaxed));
        }
        let (left, _) = pages::held_and_made();
        report(PAGE, left);
    }
}

fn report(name: &str, left: i32) {
    if left != 0 {
        pr_err!("{left} of kind {name} left at unload\n");
    }
}

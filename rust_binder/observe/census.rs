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
    /// A synchronous call that waits for its reply.
    Call,
    /// The objects and files of a message or buffer that has some.
    Attachments,
}

impl Kind {
    const ALL: [Kind; 7] = [
        Kind::Process,
        Kind::Thread,
        Kind::Node,
        Kind::Reference,
        Kind::Death,
        Kind::Call,
        Kind::Attachments,
    ];

    fn counter(self) -> &'static Atomic<i32> {
        static PROCESS: Atomic<i32> = Atomic::new(0);
        static THREAD: Atomic<i32> = Atomic::new(0);
        static NODE: Atomic<i32> = Atomic::new(0);
        static REFERENCE: Atomic<i32> = Atomic::new(0);
        static DEATH: Atomic<i32> = Atomic::new(0);
        static CALL: Atomic<i32> = Atomic::new(0);
        static ATTACHMENTS: Atomic<i32> = Atomic::new(0);

        match self {
            Kind::Process => &PROCESS,
            Kind::Thread => &THREAD,
            Kind::Node => &NODE,
            Kind::Reference => &REFERENCE,
            Kind::Death => &DEATH,
            Kind::Call => &CALL,
            Kind::Attachments => &ATTACHMENTS,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Process => "processes",
            Kind::Thread => "threads",
            Kind::Node => "nodes",
            Kind::Reference => "references",
            Kind::Death => "deaths",
            Kind::Call => "calls",
            Kind::Attachments => "attachments",
        }
    }
}

/// Counts the object that it is part of, from its making to its end.
pub struct Count(Kind);

impl Count {
    /// One more of `kind`.
    #[inline]
    pub fn new(kind: Kind) -> Self {
        kind.counter().add(1, Relaxed);
        Self(kind)
    }
}

impl Drop for Count {
    #[inline]
    fn drop(&mut self) {
        self.0.counter().add(-1, Relaxed);
    }
}

/// The numbers as a text, a line for each kind.
pub struct Census;

impl kernel::debugfs::Writer for Census {
    fn write(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for kind in Kind::ALL {
            writeln!(out, "{} {}", kind.name(), kind.counter().load(Relaxed))?;
        }
        Ok(())
    }
}

/// Reports, when it is dropped, objects that outlived their last user. The module drops it last.
pub struct LeakReport;

impl Drop for LeakReport {
    fn drop(&mut self) {
        for kind in Kind::ALL {
            let left = kind.counter().load(Relaxed);
            if left != 0 {
                pr_err!("{left} {} left at unload\n", kind.name());
            }
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Everything unsafe.
//!
//! One file per facility of the kernel that the `kernel` crate does not offer, or does not offer in
//! the way that this driver needs. Each states its invariants once and has an interface that can't
//! be misused. Nothing here knows what binder is, but for the type by which the wire marks what
//! comes from user space.

pub(crate) mod chardev;
pub(crate) mod files;
pub(crate) mod group;
pub(crate) mod page_word;
pub(crate) mod pages;
pub(crate) mod params;
pub(crate) mod queue;
pub(crate) mod ratelimit;
pub(crate) mod sched;
pub(crate) mod shrinker;
pub(crate) mod sleep;
pub(crate) mod user;
pub(crate) mod vma;

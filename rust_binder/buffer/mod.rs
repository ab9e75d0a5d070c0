// SPDX-License-Identifier: GPL-2.0

//! Where a process receives: its space, the buffers in it and the pages behind them.
//!
//! - [`layout`]: the sections of a buffer. Pure.
//! - [`ranges`]: which range of the space is what; accounts for oneway buffers. Pure.
//! - [`space`]: both under a lock, with pages: what the rest of the driver uses.
//!
//! Each process has one [`Space`]. Its spin lock guards the ranges; it is a leaf (nothing else is
//! locked under it), held for few steps (see [`ranges`]), and never while memory is allocated, freed
//! or copied. Pages come and go under a mutex in [`sys::pages`](crate::sys::pages), which is not
//! taken while all pages a buffer needs are there.
//!
//! This room knows nothing of transactions, processes or objects: what is kept with a buffer is a
//! type parameter.

mod layout;
mod ranges;
mod space;

pub(crate) use self::{
    layout::{
        Section,
        Sizes, //
    },
    ranges::TakeError,
    space::{
        AllocError,
        Allocation,
        Request,
        Space, //
    },
};
pub(crate) use crate::sys::pages::{
    PageReclaimer,
    PageShrinker, //
};

// SPDX-License-Identifier: GPL-2.0

//! The room `buffer`: the allocator of a space, and the sections of a buffer.
//!
//! Here is what drives [`Ranges`] the way the driver does: it makes what is asked for and tries
//! again.

mod layouts;
mod limits;
mod model;
mod properties;

use crate::buffer::{
    layout::{Layout, Sizes},
    ranges::{Claim, Ground, Ranges, Reservation, ReserveError, Storage},
};

/// What libbinder maps: 1 MiB less two pages.
const USUAL: u32 = (1 << 20) - (2 << 12);

/// An allocator of `size` bytes.
fn open<T>(size: u32) -> Ranges<T> {
    let mut ranges = Ranges::new();
    ranges.open(Ground::make(size).expect("memory on the host"));
    ranges
}

/// Who asks and how.
#[derive(Debug, Clone, Copy)]
struct Who {
    sender: i32,
    oneway: bool,
}

/// A sync caller.
const CALLER: Who = Who {
    sender: 1000,
    oneway: false,
};

/// A claim for so many bytes of data.
fn claim(bytes: u32, who: Who) -> Claim {
    let sizes = Sizes {
        data: u64::from(bytes),
        ..Sizes::default()
    };
    Claim {
        layout: Layout::new(&sizes).expect("a size that fits"),
        sender: who.sender,
        oneway: who.oneway,
        clear_on_free: false,
        debug_id: bytes,
    }
}

/// Reserves, growing as needed.
fn reserve<T>(ranges: &mut Ranges<T>, claim: &Claim) -> Result<Reservation, ReserveError> {
    for _ in 0..5 {
        match ranges.reserve(claim) {
            Err(ReserveError::Grow(growth)) => {
                let storage = Storage::make(growth).expect("memory on the host");
                ranges.supply(storage);
            }
            result => return result,
        }
    }
    panic!("still growing after there was a chance to make everything once");
}

// SPDX-License-Identifier: GPL-2.0

//! The pure parts of the `buffer` room, and the page words of `sys`, with their tests.

#[path = "../../../rust_binder/buffer/layout.rs"]
mod layout;
#[path = "../../../rust_binder/sys/page_word.rs"]
mod page_word;
#[path = "../../../rust_binder/buffer/ranges/mod.rs"]
mod ranges;

#[cfg(all(test, not(feature = "loom")))]
mod layouts;
#[cfg(all(test, not(feature = "loom")))]
mod limits;
#[cfg(all(test, not(feature = "loom")))]
mod model;
#[cfg(all(test, not(feature = "loom")))]
mod properties;
#[cfg(test)]
mod space;
#[cfg(test)]
mod words;

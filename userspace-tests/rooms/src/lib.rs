// SPDX-License-Identifier: GPL-2.0

//! The rooms of the driver that know no kernel, compiled for the host.
//!
//! The modules below are the driver's own files, not copies of them. What they need of the kernel
//! goes through two shims, `mem` and `atomic`, of which this crate has versions over the standard
//! library. The tests that lie here drive them with random operations beside literal models, and,
//! with the feature `loom`, through every interleaving of two threads.
//!
//! ```sh
//! cargo test -p rooms
//! cargo test -p rooms --features loom --release
//! ```

#![forbid(unsafe_code)]

// The driver's files are linted with the driver, by the rules of its older compiler; that also
// knows what is called.
#[allow(clippy::all, dead_code)]
#[path = "../../../rust_binder/abi/mod.rs"]
mod abi;
#[allow(dead_code)]
mod atomic;
#[allow(dead_code)]
mod mem;
#[allow(clippy::all, dead_code)]
#[path = "../../../rust_binder/object/mod.rs"]
mod object;

#[allow(clippy::all, dead_code, unused_imports)]
mod buffer;
#[allow(clippy::all, dead_code)]
#[path = "../../../rust_binder/sys/page_word.rs"]
mod page_word;

#[cfg(test)]
mod page_words;

#[cfg(all(test, feature = "loom"))]
mod interleavings;
#[cfg(all(test, not(feature = "loom")))]
mod tests;

// SPDX-License-Identifier: GPL-2.0

//! The part of the driver's room of the same name that knows no pages.

#[path = "../../../rust_binder/buffer/layout.rs"]
pub(crate) mod layout;
#[path = "../../../rust_binder/buffer/ranges/mod.rs"]
pub(crate) mod ranges;

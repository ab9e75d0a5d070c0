// SPDX-License-Identifier: GPL-2.0

//! Ordinary tests and properties.

mod commands;
mod death;
mod freeze;
mod freezer;
mod handles;
mod ioctls;
mod numbers;
mod objects;
mod priority;
mod refcount;
mod refcount_model;
mod returns;
mod scatter;
mod slab;
mod space;

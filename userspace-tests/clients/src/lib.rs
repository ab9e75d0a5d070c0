// SPDX-License-Identifier: GPL-2.0

//! Published binder clients, run against a binder device given by name.
//!
//! Nothing in here knows the binder protocol: every byte that reaches the driver is written by `rsbinder`, by its service
//! manager `rsb_hub`, or by libgbinder. What this crate adds is a service, clients that use it in every way these libraries
//! offer, and a runner that starts the processes, watches them and never waits for ever.
//!
//! | module | holds |
//! |---|---|
//! | [`interface`] | the two interfaces, as Rust traits |
//! | [`service`] | the service under test |
//! | [`role`] | what a process of this program can be: service, lender of a callback, one test case |
//! | [`process`] | child processes with time-outs, output capture and a tie to their parent's life |
//! | [`hub`] | starting `rsb_hub` on the device under test |
//! | [`cases`] | the test cases that use `rsbinder` |
//! | [`gbinder`] | the test cases that use libgbinder's tools and python3-gbinder |
//! | [`report`] | one line per case and the count at the end |
//!
//! A process has one binder device and one state towards it for its whole life in `rsbinder`, so each case runs in a process
//! of its own, and what one case breaks does not reach the next.

#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod cases;
pub mod gbinder;
pub mod hub;
pub mod interface;
pub mod process;
pub mod report;
pub mod role;
pub mod service;

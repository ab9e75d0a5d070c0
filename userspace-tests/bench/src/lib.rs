// SPDX-License-Identifier: GPL-2.0

//! The format of the results, shared between the guest program and those that report.

pub mod results;

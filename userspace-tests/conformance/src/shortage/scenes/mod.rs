// SPDX-License-Identifier: GPL-2.0

//! The scenes: everything that makes the driver ask for memory, and what may not need any.

mod devices;
mod messages;
mod notices;

use anyhow::Result;
use harness::{Case, Cx, Process};

const fn scene(name: &'static str, claim: &'static str, run: fn(&mut Cx) -> Result<()>) -> Case {
    Case::new(name, claim, run)
}

/// All scenes, in the order they run.
pub fn all() -> impl Iterator<Item = &'static Case> {
    [devices::ALL, messages::ALL, notices::ALL]
        .into_iter()
        .flatten()
}

/// A manager and a client of it.
fn pair(cx: &Cx) -> Result<(Process, Process)> {
    Ok((cx.manager_for_files()?, cx.client()?))
}

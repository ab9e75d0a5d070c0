// SPDX-License-Identifier: GPL-2.0

//! Runs what user space can ask of a driver while what the driver asks of the kernel fails.
//!
//! A scene is run again and again: first the first allocation of its steps fails, then the second,
//! until none is left to fail. A step that is refused for that must say so, must have changed
//! nothing, and must work when it is done again; after each run the driver holds nothing. Then the
//! same with copies to and from user space; there it is enough that nothing is left, since a step may
//! be done and only its result be lost.
//!
//! What damages memory, locks or lists on the way is for the kernel's own checks to see, so this
//! belongs on a kernel that has them.

mod fault;
mod scenes;
mod steps;

use crate::Device;
use anyhow::{Context, Result, bail, ensure};
use fault::Want;
use harness::Case;
use harness::deadline::Deadline;
use harness::isolate::{self, Report, Verdict};
use std::fs;
use std::path::{Path, PathBuf};

/// The observation that says that something was there to fail.
const HIT: &str = "failed in the driver";
/// More than any scene has.
const MOST: u32 = 200;

/// See the module.
#[derive(clap::Args)]
pub struct Shortage {
    /// Only scenes whose name contains one of these.
    filters: Vec<String>,
    /// The device to test: `NAME[,SIBLING]`.
    #[arg(long)]
    device: Device,
    /// The module whose requests are to fail.
    #[arg(long, default_value = "rust_binder")]
    module: String,
    /// Where the driver counts its objects.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/sys/kernel/debug/rust_binder/objects"
    )]
    objects: PathBuf,
}

/// Runs the scenes; whether all passed.
pub fn run(options: &Shortage) -> Result<bool> {
    let (mut passed, mut failed) = (0, 0);
    for want in [Want::Memory, Want::Copies] {
        fault::prepare(&options.module, want)?;
        let mut hits = 0;
        for scene in scenes::all().filter(|scene| options.selects(scene)) {
            let line = format!("{want:?} {:<18} {}", scene.name, scene.claim);
            match repeat(scene, want, options) {
                Ok(count) => {
                    passed += 1;
                    hits += count;
                    println!("ok     {line} ({count} failed in turn)");
                }
                Err(error) => {
                    failed += 1;
                    println!("FAILED {line}\n       {error:#}");
                }
            }
        }
        ensure!(
            hits > 0 || !options.filters.is_empty(),
            "{want:?}: nothing failed in any scene, so fault injection is not at work"
        );
    }
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0 && passed > 0)
}

impl Shortage {
    fn selects(&self, scene: &Case) -> bool {
        let matches = |filter: &String| scene.name.contains(filter.as_str());
        self.filters.is_empty() || self.filters.iter().any(matches)
    }
}

/// Runs a scene until nothing is left to fail; how many failed.
fn repeat(scene: &Case, want: Want, options: &Shortage) -> Result<u32> {
    for number in 1..MOST {
        fault::choose(want, number);
        let sibling = options.device.sibling.as_deref();
        let Report { verdict, notes, .. } = isolate::run(scene, &options.device.path, sibling)?;
        let hit = notes.iter().any(|(what, _)| what == HIT);
        match verdict {
            Verdict::Passed => {}
            Verdict::Skipped(_) if want == Want::Copies && hit => {}
            Verdict::Failed(reason) | Verdict::TimedOut(reason) | Verdict::Skipped(reason) => {
                bail!("with number {number} failing: {reason}");
            }
        }
        nothing_left(&options.objects).with_context(|| format!("with number {number} failing"))?;
        if !hit {
            return Ok(number - 1);
        }
    }
    bail!("there is no end to what can fail")
}

/// Waits until the driver holds no object any more.
fn nothing_left(objects: &Path) -> Result<()> {
    let deadline = Deadline::step();
    loop {
        let text = fs::read_to_string(objects).with_context(|| objects.display().to_string())?;
        ensure!(!text.is_empty(), "{} counts nothing", objects.display());
        let left: Vec<&str> = text
            .lines()
            .filter(|line| !line.contains(": active 0 "))
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        ensure!(
            !deadline.passed(),
            "left in the driver: {}",
            left.join(", ")
        );
        std::thread::yield_now();
    }
}

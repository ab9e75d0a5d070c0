// SPDX-License-Identifier: GPL-2.0

//! What a driver says it holds, before and after.

use anyhow::{Context, Result};
use harness::deadline::Deadline;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The counts of a driver's objects at one time.
pub struct Counts {
    file: PathBuf,
    before: BTreeMap<String, u64>,
    /// Whether they are of this project's driver.
    ours: bool,
}

impl Counts {
    /// Those of the driver that has this device.
    pub fn of(device: &Path) -> Result<Self> {
        let ours = fs::read_to_string("/sys/module/rust_binder/parameters/devices");
        let name = device.file_name().and_then(|name| name.to_str());
        let ours = ours.is_ok_and(|names| names.trim().split(',').any(|each| Some(each) == name));
        let file = PathBuf::from(match ours {
            true => "/sys/kernel/debug/rust_binder/objects",
            false => "/sys/kernel/debug/binder/stats",
        });
        let before = active(&file)?;
        Ok(Self { file, before, ours })
    }

    /// Waits until nothing is left that was not there before; what may be left is returned in words.
    ///
    /// The C driver loses count of a node when a sender fails while the receiver dies, and never frees
    /// it: a listed difference, which shows only if a race hits that moment.
    pub fn settle(&self) -> Result<Option<String>, String> {
        let deadline = Deadline::step();
        loop {
            let now = active(&self.file).map_err(|error| format!("{error:#}"))?;
            if now.is_empty() {
                return Err(format!("{} counts nothing", self.file.display()));
            }
            let left: Vec<String> = now
                .iter()
                .filter(|(name, count)| **count > self.before.get(*name).copied().unwrap_or(0))
                .map(|(name, count)| format!("{name} {count}"))
                .collect();
            if left.is_empty() {
                return Ok(None);
            }
            if deadline.passed() {
                let nodes_only = left.iter().all(|left| left.starts_with("node "));
                if !self.ours && nodes_only {
                    let left = left.join(", ");
                    return Ok(Some(format!("{left} left behind, a listed difference")));
                }
                return Err(format!("{}; before: {:?}", left.join(", "), self.before));
            }
            std::thread::yield_now();
        }
    }
}

/// The lines `name: active N total M`.
fn active(file: &Path) -> Result<BTreeMap<String, u64>> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let line = |line: &str| {
        let (name, rest) = line.split_once(": active ")?;
        let (count, _) = rest.split_once(' ')?;
        Some((name.trim().to_owned(), count.parse().ok()?))
    };
    let counts: BTreeMap<String, u64> = text
        .lines()
        .take_while(|line| !line.starts_with("proc "))
        .filter_map(line)
        .collect();
    Ok(counts)
}

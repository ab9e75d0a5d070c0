// SPDX-License-Identifier: GPL-2.0

//! What the kernel says it holds: the driver's objects, and memory.

use crate::report::Report;
use anyhow::{Context, Result};
use nix::unistd::{SysconfVar, sysconf};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long the kernel may take to let go of everything.
fn patience() -> Duration {
    patience::seconds(15)
}

/// Waits until `done` gives a verdict that is good, for at most [`patience()`].
fn wait_for<T>(mut done: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let start = Instant::now();
    loop {
        match done() {
            Err(_) if start.elapsed() < patience() => {
                std::thread::sleep(Duration::from_millis(100))
            }
            outcome => return outcome,
        }
    }
}

/// The driver's own count of its objects.
pub struct Counts {
    path: Option<PathBuf>,
    before: BTreeMap<String, u64>,
    lost_nodes: u64,
}

impl Counts {
    /// Remembers the counts before anything was done.
    pub fn new(path: Option<PathBuf>, lost_nodes: u64) -> Result<Self> {
        let before = match &path {
            Some(path) => active(
                &fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?,
            ),
            None => BTreeMap::new(),
        };
        Ok(Self {
            path,
            before,
            lost_nodes,
        })
    }

    /// Checks that the counts are back where they were.
    pub fn settle(&mut self, round: &str, report: &mut Report) {
        let name = format!("{round}: no object of the driver is left");
        let Some(path) = &self.path else {
            return report.skip(&name, "no file with its counts was named (--stats)");
        };
        let outcome = wait_for(|| {
            let now = active(
                &fs::read_to_string(path)
                    .map_err(|error| format!("{}: {error}", path.display()))?,
            );
            if now.is_empty() {
                return Err(format!("{} holds no counts", path.display()));
            }
            let list: Vec<_> = now
                .iter()
                .map(|(name, count)| format!("{name} {count}"))
                .collect();
            let left = |(name, count): (&String, &u64)| {
                let lost = if name == "node" { self.lost_nodes } else { 0 };
                // A kind that nobody ever made has no line.
                *count > lost + self.before.get(name).copied().unwrap_or(0)
            };
            if !now.iter().any(left) {
                Ok(list.join(", "))
            } else {
                Err(format!("{}; before: {:?}", list.join(", "), self.before))
            }
        });
        report.check(&name, outcome);
    }
}

/// The lines `name: active N total M` before the part that lists processes.
fn active(text: &str) -> BTreeMap<String, u64> {
    let line = |line: &str| {
        let (name, rest) = line.split_once(": active ")?;
        let (count, _) = rest.split_once(' ')?;
        Some((name.trim().to_owned(), count.parse().ok()?))
    };
    text.lines()
        .take_while(|line| !line.starts_with("proc "))
        .filter_map(line)
        .collect()
}

/// Memory the kernel holds, in KiB.
pub struct Memory {
    available: u64,
    unreclaimable: u64,
    slabs: BTreeMap<String, u64>,
}

impl Memory {
    /// As it is now, without what the kernel only keeps because nobody else wants it.
    pub fn now() -> Result<Self> {
        // Caches come and go with what files are read; without them numbers can be compared. Only root may.
        let _ = fs::write("/proc/sys/vm/drop_caches", "3");
        let text = fs::read_to_string("/proc/meminfo").context("reading /proc/meminfo")?;
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.trim_matches([':', ' ', 'k', 'B']).parse::<u64>().ok())
                .with_context(|| format!("no {name}"))
        };
        let unreclaimable = field("SUnreclaim")?
            + field("KernelStack")?
            + field("PageTables")?
            + field("VmallocUsed")?;
        Ok(Self {
            available: field("MemAvailable")? + set_aside(),
            unreclaimable,
            slabs: slabs(),
        })
    }

    /// Waits for memory to come back to where it was `before`, give or take `limit` KiB.
    pub fn compare(before: &Self, limit: u64) -> Result<String, String> {
        wait_for(|| {
            let now = Self::now().map_err(|error| format!("{error:#}"))?;
            let lost = before.available.saturating_sub(now.available);
            let held = now.unreclaimable.saturating_sub(before.unreclaimable);
            let words = format!(
                "kernel memory {} → {} KiB, available {} → {} KiB",
                before.unreclaimable, now.unreclaimable, before.available, now.available
            );
            if held <= limit && lost <= 2 * limit {
                return Ok(words);
            }
            let mut grown: Vec<_> = now
                .slabs
                .iter()
                .map(|(name, &size)| {
                    (
                        size.saturating_sub(before.slabs.get(name).copied().unwrap_or(0)),
                        name,
                    )
                })
                .collect();
            grown.sort_unstable_by(|a, b| b.cmp(a));
            let grown: Vec<_> = grown
                .iter()
                .take(4)
                .map(|(size, name)| format!("{name} +{} KiB", size >> 10))
                .collect();
            Err(format!("{words}; grown most: {}", grown.join(", ")))
        })
    }
}

/// KiB of free pages that each processor keeps at hand. `MemAvailable` leaves them out, and after a while of work they can
/// be an eighth of all memory.
fn set_aside() -> u64 {
    let zones = fs::read_to_string("/proc/zoneinfo").unwrap_or_default();
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(0) as u64;
    (pages_at_hand(&zones) * page) >> 10
}

/// The sum of the lines `count: N` of `/proc/zoneinfo`, one for each processor of each zone.
fn pages_at_hand(zones: &str) -> u64 {
    zones
        .lines()
        .filter_map(|line| line.trim().strip_prefix("count:"))
        .filter_map(|count| count.trim().parse::<u64>().ok())
        .sum()
}

/// Bytes in use of each slab cache; nothing if the list may not be read.
fn slabs() -> BTreeMap<String, u64> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next()?.to_owned();
        let used: u64 = words.next()?.parse().ok()?;
        let size: u64 = words.nth(1)?.parse().ok()?;
        Some((name, used * size))
    };
    fs::read_to_string("/proc/slabinfo")
        .unwrap_or_default()
        .lines()
        .filter_map(line)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_all_processors_and_zones_count() {
        let text = "Node 0, zone      DMA\n  pages free     3840\n  pagesets\n    cpu: 0\n              count:    7\n              high:     14\n    cpu: 1\n              count:    0\nNode 0, zone    DMA32\n    cpu: 0\n              count:    5611\n";
        assert_eq!(pages_at_hand(text), 5618);
    }

    #[test]
    fn counts_end_where_processes_begin() {
        let text = "binder stats:\nBC_REPLY: 3\nproc: active 2 total 9\nnode: active 1 total 4\nproc 17\n  nodes: 1\nthread: active 7 total 7\n";
        let counts = active(text);
        assert_eq!(counts.len(), 2);
        assert_eq!(counts.get("proc"), Some(&2));
        assert_eq!(counts.get("node"), Some(&1));
    }
}

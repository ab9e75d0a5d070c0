// SPDX-License-Identifier: GPL-2.0

//! The profile of one window: instructions and calls per function and round trip.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::symbols::{self, Group, Symbols};
use crate::trace::Window;

/// A function's name and the part of the system that it belongs to.
pub type Key = (Group, String);

/// The profile of a workload on one device.
#[derive(Debug, Serialize)]
pub struct Profile {
    /// The device's label.
    pub device: String,
    /// Round trips in the window.
    pub rounds: u64,
    /// Instructions per round trip by the guest's own clock.
    pub measured: f64,
    /// Instructions per round trip that were counted one by one.
    pub counted: f64,
    /// The functions, most instructions first.
    pub functions: Vec<Row>,
}

/// What one function costs a round trip.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The function's name.
    pub name: String,
    /// The part of the system that it belongs to.
    pub group: Group,
    /// Its own instructions, with what was inlined into it.
    pub instructions: f64,
    /// How often it was entered from another function.
    pub calls: f64,
    /// Who called it, most calls first.
    pub callers: Vec<Caller>,
}

/// Who called a function.
#[derive(Clone, Debug, Serialize)]
pub struct Caller {
    /// The caller's name.
    pub name: String,
    /// The part of the system that the caller belongs to.
    pub group: Group,
    /// Calls per round trip.
    pub calls: f64,
}

impl Profile {
    /// Attributes a window's instructions and steps to functions.
    pub fn new(device: &str, rounds: u64, clock: u64, window: &Window, symbols: &Symbols) -> Self {
        let per_round = |count: u64| count as f64 / rounds as f64;
        let key = |address| {
            symbols.find(address).map_or_else(
                || symbols::unknown(address),
                |function| (function.group, function.name.clone()),
            )
        };

        let mut instructions: HashMap<Key, u64> = HashMap::new();
        for &(address, count) in &window.instructions {
            *instructions.entry(key(address)).or_default() += count;
        }

        // A step to a function's first instruction is a call, or a jump instead of one, unless the
        // function itself makes it, as a loop does.
        let mut calls: HashMap<Key, BTreeMap<Key, u64>> = HashMap::new();
        for &(from, to, count) in &window.steps {
            if symbols.at(to).is_some() {
                let (caller, callee) = (key(from), key(to));
                if caller != callee {
                    *calls.entry(callee).or_default().entry(caller).or_default() += count;
                }
            }
        }

        let mut functions: Vec<Row> = instructions
            .into_iter()
            .map(|(key, count)| {
                let mut callers: Vec<Caller> = calls
                    .remove(&key)
                    .unwrap_or_default()
                    .into_iter()
                    .map(|((group, name), count)| Caller {
                        name,
                        group,
                        calls: per_round(count),
                    })
                    .collect();
                callers.sort_by(|left, right| right.calls.total_cmp(&left.calls));
                let (group, name) = key;
                Row {
                    name,
                    group,
                    instructions: per_round(count),
                    calls: callers.iter().map(|caller| caller.calls).sum(),
                    callers,
                }
            })
            .collect();
        functions.sort_by(|left, right| {
            right
                .instructions
                .total_cmp(&left.instructions)
                .then_with(|| left.name.cmp(&right.name))
        });
        Self {
            device: device.to_owned(),
            rounds,
            measured: per_round(clock),
            counted: per_round(window.total),
            functions,
        }
    }

    /// Instructions per round trip of a group.
    pub fn group(&self, group: Group) -> f64 {
        self.functions
            .iter()
            .filter(|row| row.group == group)
            .map(|row| row.instructions)
            .sum()
    }

    /// How far the counted instructions are from what the clock says, as a fraction.
    pub fn deviation(&self) -> f64 {
        (self.counted - self.measured).abs() / self.measured
    }

    /// What the driver's part calls outside of itself: calls per round trip by function.
    pub fn calls_out(&self) -> BTreeMap<&str, f64> {
        let ours = |group| matches!(group, Group::Driver | Group::KernelCrate);
        let mut calls = BTreeMap::new();
        for row in self.functions.iter().filter(|row| !ours(row.group)) {
            let count: f64 = row
                .callers
                .iter()
                .filter(|caller| ours(caller.group))
                .map(|caller| caller.calls)
                .sum();
            if count > 0.0 {
                *calls.entry(row.name.as_str()).or_default() += count;
            }
        }
        calls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERNEL: u64 = 0xffff_ffff_8100_0000;

    fn profile(window: &Window) -> Profile {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let kallsyms = "ffffffff81000000 T lock\nffffffff81000100 T send [binder_linux]\n";
        let symbols = Symbols::new(kallsyms, &program, 0).unwrap();
        Profile::new("c", 2, 20, window, &symbols)
    }

    #[test]
    fn instructions_and_calls_are_per_round() {
        let profile = profile(&Window {
            instructions: vec![(KERNEL, 4), (KERNEL + 4, 4), (KERNEL + 0x104, 12)],
            steps: vec![
                (KERNEL + 0x104, KERNEL, 4),
                (KERNEL + 4, KERNEL, 6),
                (KERNEL + 4, KERNEL + 0x108, 4),
            ],
            total: 20,
        });
        let send = &profile.functions[0];
        assert_eq!((send.name.as_str(), send.group), ("send", Group::Driver));
        assert_eq!((send.instructions, send.calls), (6.0, 0.0));
        // The loop inside `lock` and the return into `send` are not calls.
        let lock = &profile.functions[1];
        assert_eq!((lock.instructions, lock.calls), (4.0, 2.0));
        assert_eq!(profile.calls_out(), BTreeMap::from([("lock", 2.0)]));
        assert_eq!(profile.group(Group::Driver), 6.0);
        assert_eq!(profile.deviation(), 0.0);
    }
}

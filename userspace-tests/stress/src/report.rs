// SPDX-License-Identifier: GPL-2.0

//! What was found, for people and for machines.

use crate::board::{Board, Count};
use comfy_table::{CellAlignment, Table, presets::UTF8_BORDERS_ONLY};
use std::process::ExitCode;

/// Time below which rare things may not have happened.
const LONG_ENOUGH: u64 = 60;

/// The checks so far.
#[derive(Default)]
pub struct Report {
    passed: u32,
    failed: u32,
    skipped: u32,
}

impl Report {
    /// Counts a check and prints its line.
    pub fn check(&mut self, name: &str, outcome: Result<String, String>) {
        let (word, detail) = match outcome {
            Ok(detail) => {
                self.passed += 1;
                ("pass", detail)
            }
            Err(detail) => {
                self.failed += 1;
                ("FAIL", detail)
            }
        };
        println!("{word}  {name:<44} {detail}");
    }

    /// Notes a check that could not be made, and why.
    pub fn skip(&mut self, name: &str, why: &str) {
        self.skipped += 1;
        println!("skip  {name:<44} {why}");
    }

    /// Prints what was done.
    pub fn summary(&self, board: &Board, kills: u64) {
        let mut table = Table::new();
        table.load_style(UTF8_BORDERS_ONLY);
        for &what in Count::ALL {
            table.add_row([what.words().to_owned(), board.total(what).to_string()]);
        }
        table.add_row([
            "processes killed and restarted".to_owned(),
            kills.to_string(),
        ]);
        table.add_row(["violations".to_owned(), board.violations().to_string()]);
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        println!("{table}");
    }

    /// Checks that the run did what it is for.
    pub fn worked(&mut self, board: &Board, seconds: u64) {
        let name = "everything was done at least once";
        let idle: Vec<_> = Count::ALL
            .iter()
            .filter(|&&what| what != Count::Busy && board.total(what) == 0)
            .map(|what| what.words())
            .collect();
        if idle.is_empty() {
            self.check(name, Ok(String::new()));
        } else if seconds < LONG_ENOUGH {
            self.skip(
                name,
                &format!("{seconds} s are too short for: {}", idle.join(", ")),
            );
        } else {
            self.check(name, Err(format!("never: {}", idle.join(", "))));
        }
    }

    /// Prints the count, in the form that test runners read.
    pub fn finish(self) -> ExitCode {
        let skipped = if self.skipped > 0 {
            format!(", {} skipped", self.skipped)
        } else {
            String::new()
        };
        println!("{} passed, {} failed{skipped}", self.passed, self.failed);
        if self.failed == 0 && self.passed > 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

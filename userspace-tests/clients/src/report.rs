// SPDX-License-Identifier: GPL-2.0

//! One line per case as it ends, and the count of them all.

use anyhow::Result;
use std::process::ExitCode;
use std::time::Instant;

/// The outcome so far.
#[derive(Default)]
pub struct Report {
    passed: u32,
    failed: u32,
    skipped: u32,
}

impl Report {
    /// Runs a case and prints its line: its own words if it passes, the whole chain of causes if not.
    pub fn run(&mut self, name: &str, case: impl FnOnce() -> Result<String>) {
        let start = Instant::now();
        let outcome = case();
        let time = start.elapsed().as_millis();
        match outcome {
            Ok(detail) => {
                self.passed += 1;
                println!("pass  {name:<28} {time:>6} ms  {detail}");
            }
            Err(error) => {
                self.failed += 1;
                println!(
                    "FAIL  {name:<28} {time:>6} ms  {}",
                    format!("{error:#}").replace('\n', "\n        ")
                );
            }
        }
    }

    /// Notes that a case was not run, and why.
    pub fn skip(&mut self, name: &str, why: &str) {
        self.skipped += 1;
        println!("skip  {name:<28} {:>9}  {why}", "");
    }

    /// Prints the count, in the form that test runners read. Nothing run is a failure too.
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

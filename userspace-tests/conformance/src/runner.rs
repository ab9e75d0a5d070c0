// SPDX-License-Identifier: GPL-2.0

//! Runs cases one after the other, on each device in turn, and judges.

use crate::Device;
use anyhow::{Context, Result};
use harness::Case;
use harness::isolate::{self, Report, Verdict};
use std::time::{Duration, Instant};

/// A case on one device.
pub struct Run {
    /// Its verdict and observations.
    pub report: Report,
    /// How long it took; for people, never judged.
    pub took: Duration,
}

/// A case on all devices, in the order they were named.
pub struct CaseResult {
    /// The case.
    pub case: Case,
    /// One run per device.
    pub runs: Vec<Run>,
}

impl CaseResult {
    /// Whether it failed somewhere; a case that is skipped everywhere has not passed, but has not
    /// failed either. One that is skipped somewhere only compares nothing.
    pub fn failed(&self) -> bool {
        let fails = self.runs.iter().any(|run| {
            matches!(
                run.report.verdict,
                Verdict::Failed(_) | Verdict::TimedOut(_)
            )
        });
        fails || self.skipped() && !self.runs.iter().all(is_skipped)
    }

    /// Whether it expects something else of the Rust driver.
    pub fn differs(&self) -> bool {
        self.runs.iter().any(|run| run.report.differs)
    }

    /// Whether it said nothing, somewhere.
    pub fn skipped(&self) -> bool {
        self.runs.iter().any(is_skipped)
    }
}

/// Runs the cases; with `first_failure`, up to the first that fails.
pub fn run(
    cases: &[Case],
    devices: &[Device],
    give_up: usize,
    first_failure: bool,
) -> Result<Vec<CaseResult>> {
    let mut hung = vec![0; devices.len()];
    let mut results = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let mut runs = Vec::new();
        for (device, hung) in devices.iter().zip(&mut hung) {
            let start = Instant::now();
            let report = if *hung >= give_up {
                let reason =
                    format!("not run: {give_up} cases in a row did not end on this device");
                Report::bare(Verdict::Failed(reason))
            } else {
                isolate::run(case, &device.path, device.sibling.as_deref())
                    .with_context(|| format!("{} on {}", case.name, device.label))?
            };
            match report.verdict {
                Verdict::TimedOut(_) => *hung += 1,
                _ if *hung < give_up => *hung = 0,
                _ => {}
            }
            runs.push(Run {
                report,
                took: start.elapsed(),
            });
        }
        compare_notes(&mut runs, devices);
        let words: Vec<String> = devices
            .iter()
            .zip(&runs)
            .map(|(device, run)| format!("{} {}", device.label, word(&run.report.verdict)))
            .collect();
        println!(
            "[{:>3}/{}] {:<52} {}",
            index + 1,
            cases.len(),
            case.name,
            words.join("  ")
        );
        let result = CaseResult { case: *case, runs };
        let stop = first_failure && result.failed();
        results.push(result);
        if stop {
            break;
        }
    }
    Ok(results)
}

/// What was observed must be what was observed on the first device.
fn compare_notes(runs: &mut [Run], devices: &[Device]) {
    let Some((first, others)) = runs.split_first_mut() else {
        return;
    };
    if first.report.verdict != Verdict::Passed {
        return;
    }
    for run in others {
        if run.report.verdict != Verdict::Passed || run.report.notes == first.report.notes {
            continue;
        }
        let differences: Vec<String> = first
            .report
            .notes
            .iter()
            .zip(&run.report.notes)
            .filter(|(a, b)| a != b)
            .map(|(a, b)| format!("{}: {} here, {} on {}", a.0, b.1, a.1, devices[0].label))
            .collect();
        let message = match differences.is_empty() {
            true => "another number of observations".to_string(),
            false => differences.join("; "),
        };
        run.report.verdict = Verdict::Failed(format!("observed otherwise: {message}"));
    }
}

fn is_skipped(run: &Run) -> bool {
    matches!(run.report.verdict, Verdict::Skipped(_))
}

/// Whether a verdict is the good one.
pub fn passed(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Passed)
}

/// A verdict in one word.
pub fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "ok",
        Verdict::Failed(_) => "FAILED",
        Verdict::TimedOut(_) => "HUNG",
        Verdict::Skipped(_) => "skipped",
    }
}

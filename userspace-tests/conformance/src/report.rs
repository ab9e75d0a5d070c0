// SPDX-License-Identifier: GPL-2.0

//! Tells people and machines how it went.

use crate::Device;
use crate::coverage::matrix::Matrix;
use crate::coverage::points::Class;
use crate::runner::{CaseResult, word};
use anyhow::{Context, Result};
use comfy_table::{Table, presets};
use harness::isolate::Verdict;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

/// The reason in a verdict.
fn reason(verdict: &Verdict) -> Option<&str> {
    match verdict {
        Verdict::Passed => None,
        Verdict::Failed(reason) | Verdict::TimedOut(reason) | Verdict::Skipped(reason) => {
            Some(reason)
        }
    }
}

/// Prints the table, and below it every reason.
pub fn print(devices: &[Device], results: &[CaseResult]) {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let labels = devices.iter().map(|device| device.label.as_str());
    table.set_header(["case"].into_iter().chain(labels));
    for result in results {
        let words = result.runs.iter().map(|run| word(&run.report.verdict));
        table.add_row([result.case.name].into_iter().chain(words));
    }
    println!("\n{table}\n");
    for result in results {
        for (device, run) in devices.iter().zip(&result.runs) {
            if let Some(reason) = reason(&run.report.verdict) {
                let verdict = word(&run.report.verdict);
                println!(
                    "{verdict} on {}: {} ({})\n    {reason}",
                    device.label, result.case.name, result.case.claim
                );
            }
        }
    }
}

/// Prints the last line; true if nothing failed.
pub fn summarise(results: &[CaseResult]) -> bool {
    let failed = results.iter().filter(|result| result.failed()).count();
    let skipped = results
        .iter()
        .filter(|result| !result.failed() && result.skipped())
        .count();
    let passed = results.len() - failed - skipped;
    match skipped {
        0 => println!("{passed} passed, {failed} failed"),
        // For the reasons above.
        _ => println!("{passed} passed, {failed} failed, {skipped} skipped"),
    }
    failed == 0
}

#[derive(Serialize)]
struct JsonReport<'a> {
    devices: Vec<JsonDevice<'a>>,
    cases: Vec<JsonCase<'a>>,
    matrix: Vec<JsonPoint<'a>>,
    passed: usize,
    failed: usize,
    skipped: usize,
}

#[derive(Serialize)]
struct JsonDevice<'a> {
    label: &'a str,
    path: String,
}

#[derive(Serialize)]
struct JsonCase<'a> {
    name: &'a str,
    claim: &'a str,
    rows: &'a [&'a str],
    passed: bool,
    devices: BTreeMap<&'a str, JsonRun<'a>>,
}

/// A constant or an error, the cases that reach it and what the devices say to them.
#[derive(Serialize)]
struct JsonPoint<'a> {
    class: Class,
    name: &'a str,
    cases: Vec<&'static str>,
    devices: BTreeMap<&'a str, String>,
}

#[derive(Serialize)]
struct JsonRun<'a> {
    verdict: &'a str,
    reason: Option<&'a str>,
    milliseconds: u64,
    observations: &'a [(String, String)],
}

/// Writes the report for machines.
pub fn write_json(path: &Path, devices: &[Device], results: &[CaseResult]) -> Result<()> {
    let cases: Vec<JsonCase<'_>> = results
        .iter()
        .map(|result| JsonCase {
            name: result.case.name,
            claim: result.case.claim,
            rows: result.case.rows,
            passed: !result.failed() && !result.skipped(),
            devices: devices
                .iter()
                .zip(&result.runs)
                .map(|(device, run)| {
                    let run = JsonRun {
                        verdict: word(&run.report.verdict),
                        reason: reason(&run.report.verdict),
                        milliseconds: run.took.as_millis() as u64,
                        observations: &run.report.notes,
                    };
                    (device.label.as_str(), run)
                })
                .collect(),
        })
        .collect();
    let failed = results.iter().filter(|result| result.failed()).count();
    let passed = cases.iter().filter(|case| case.passed).count();
    let matrix = Matrix::new(results, devices.len());
    let points = Class::ALL
        .into_iter()
        .flat_map(|class| matrix.of_class(class));
    let points = points.map(|point| JsonPoint {
        class: point.class,
        name: &point.name,
        cases: matrix.cases(point.class, &point.name),
        devices: devices
            .iter()
            .enumerate()
            .map(|(index, device)| {
                let verdict = matrix.verdict(point.class, &point.name, index);
                (device.label.as_str(), verdict)
            })
            .collect(),
    });
    let report = JsonReport {
        devices: devices
            .iter()
            .map(|device| JsonDevice {
                label: &device.label,
                path: device.path.display().to_string(),
            })
            .collect(),
        passed,
        failed,
        skipped: results.len() - passed - failed,
        cases,
        matrix: points.collect(),
    };
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    serde_json::to_writer_pretty(file, &report)?;
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0

//! Runs the conformance suite on one or more binder devices.
//!
//! The C driver is the reference: a case that does not pass there is a wrong case.
//! With several devices, a case passes when it passes on each of them and when
//! what it observed on the way is the same on all.

mod buffers;
mod cases;
mod coverage;
mod fixtures;
mod freezing;
mod kernel_log;
mod proof;
mod report;
mod runner;
mod shortage;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use harness::Case;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the suite.
    Run(Run),
    /// Let what the driver asks of the kernel fail, one after the other.
    Shortage(shortage::Shortage),
}

#[derive(Args)]
struct Run {
    /// Only cases whose name contains one of these.
    filters: Vec<String>,
    /// Filters are whole names.
    #[arg(long)]
    exact: bool,
    /// Leave out cases whose name contains this.
    #[arg(long, value_name = "FILTER")]
    skip: Vec<String>,
    /// A device to test: `[LABEL=]NAME[,SIBLING]`; names are looked for in /dev, the
    /// sibling is another device of the same driver.
    #[arg(
        long = "device",
        value_name = "DEVICE",
        required_unless_present = "list"
    )]
    devices: Vec<Device>,
    /// Name the cases and run none.
    #[arg(long)]
    list: bool,
    /// Write a report for machines.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Run the whole suite on the C driver and ours, in this order, print what of the
    /// ABI and of the requirements it reaches, and compare with the committed lists.
    #[arg(long, conflicts_with_all = ["filters", "skip", "list"])]
    matrix: bool,
    /// Write the list of what was reached anew.
    #[arg(long, value_name = "FILE", requires = "matrix")]
    update: Option<PathBuf>,
    /// Stop behind the first case that fails.
    #[arg(long, conflicts_with = "matrix")]
    first_failure: bool,
    /// Give a device up after so many cases in a row that did not end.
    #[arg(long, value_name = "N", default_value_t = 3)]
    give_up: usize,
}

/// A device as named on the command line.
#[derive(Clone, Debug)]
pub struct Device {
    /// What it is called in reports.
    pub label: String,
    /// Where it is.
    pub path: PathBuf,
    /// Another device of the same driver.
    pub sibling: Option<PathBuf>,
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (label, names) = match text.split_once('=') {
            Some((label, names)) => (label, names),
            None => (text.split(',').next().unwrap_or(text), text),
        };
        // An absolute name replaces /dev.
        let path = |name: &str| Path::new("/dev").join(name);
        let mut names = names.split(',');
        let (Some(name), sibling, None) = (names.next(), names.next(), names.next()) else {
            return Err("expected [LABEL=]NAME[,SIBLING]".into());
        };
        if label.is_empty() || name.is_empty() {
            return Err("a label or a name is empty".into());
        }
        Ok(Self {
            label: label.into(),
            path: path(name),
            sibling: sibling.map(path),
        })
    }
}

impl Run {
    fn selected(&self, case: &Case) -> bool {
        let matches = |filter: &String| match self.exact {
            true => case.name == filter,
            false => case.name.contains(filter.as_str()),
        };
        (self.filters.is_empty() || self.filters.iter().any(matches))
            && !self
                .skip
                .iter()
                .any(|skip| case.name.contains(skip.as_str()))
    }
}

fn run(run: &Run) -> Result<bool> {
    if run.matrix && run.devices.len() != 2 {
        bail!("--matrix compares two devices");
    }
    let selected: Vec<Case> = cases::all()
        .into_iter()
        .filter(|case| run.selected(case))
        .collect();
    if selected.is_empty() {
        bail!("no case is selected");
    }
    if run.list {
        for case in &selected {
            println!("{:<52} {}", case.name, case.claim);
        }
        return Ok(true);
    }
    for device in &run.devices {
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&device.path);
        file.with_context(|| format!("cannot open {}", device.path.display()))?;
    }
    let results = runner::run(&selected, &run.devices, run.give_up, run.first_failure)?;
    report::print(&run.devices, &results);
    if let Some(path) = &run.json {
        report::write_json(path, &run.devices, &results)?;
    }
    let passed = report::summarise(&results);
    if run.matrix {
        // A run that is to renew the list is not measured by it.
        let good = proof::print(&run.devices, &results, run.update.as_deref())?;
        return Ok(passed && good);
    }
    Ok(passed)
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(arguments) => run(&arguments),
        Command::Shortage(arguments) => shortage::run(&arguments),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("conformance: {error:#}");
            ExitCode::from(2)
        }
    }
}

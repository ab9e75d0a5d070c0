// SPDX-License-Identifier: GPL-2.0

//! `binder-profile`: where the instructions of a binder round trip go.
//!
//! Puts together what the plugin counted, where the guest's functions are, and how many round trips
//! the benchmark made, and shows the devices side by side.

mod profile;
mod symbols;
mod table;
mod trace;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use binder_bench::results::Suite;
use clap::Parser;
use serde::Serialize;

use profile::Profile;
use symbols::{Group, Symbols};

/// How far the sum of the profile may be from the guest's clock.
const TOLERANCE: f64 = 0.01;

/// Tells by function where the instructions of a binder round trip go.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The plugin's output.
    #[arg(long)]
    trace: PathBuf,
    /// The guest's /proc/kallsyms.
    #[arg(long)]
    kallsyms: PathBuf,
    /// The results of the benchmark whose loops were profiled.
    #[arg(long)]
    suite: PathBuf,
    /// The benchmark program that ran in the guest.
    #[arg(long)]
    program: PathBuf,
    /// Where to put the profile as JSON.
    #[arg(long)]
    output: Option<PathBuf>,
    /// Functions with fewer instructions per round trip are summed up.
    #[arg(long, default_value_t = 30.0)]
    threshold: f64,
    /// Also shows who calls this function; may be repeated.
    #[arg(long)]
    callers: Vec<String>,
}

#[derive(Serialize)]
struct Report<'a> {
    workload: &'a str,
    kernel: &'a str,
    profiles: &'a [Profile],
}

fn main() -> Result<()> {
    let options = Options::parse();
    let suite: Suite = serde_json::from_str(&text(&options.suite)?)
        .with_context(|| format!("{} is not a benchmark's result", options.suite.display()))?;
    let windows = trace::parse(&text(&options.trace)?)?;
    ensure!(
        windows.len() == suite.measured.len(),
        "the benchmark measured {} loops, but the plugin saw {}",
        suite.measured.len(),
        windows.len()
    );
    let workload = suite
        .measured
        .first()
        .map(|measured| measured.workload.as_str())
        .context("nothing was measured")?;
    ensure!(
        suite
            .measured
            .iter()
            .all(|measured| measured.workload == workload),
        "profile one workload at a time"
    );
    let program = fs::read(&options.program)
        .with_context(|| format!("cannot read {}", options.program.display()))?;
    let symbols = Symbols::new(
        &text(&options.kallsyms)?,
        &program,
        suite.guest.load_address,
    )?;
    let profiles: Vec<Profile> = suite
        .measured
        .iter()
        .zip(&windows)
        .map(|(measured, window)| {
            Profile::new(
                measured.device.as_deref().unwrap_or("-"),
                measured.sample.rounds,
                measured.sample.total,
                window,
                &symbols,
            )
        })
        .collect();

    println!("{workload} on Linux {}", suite.guest.kernel);
    for group in Group::ALL {
        if profiles.iter().all(|profile| profile.group(group) == 0.0) {
            continue;
        }
        println!(
            "\n{}",
            table::functions(&profiles, group, options.threshold)
        );
    }
    println!("\n{}", table::calls_out(&profiles, 0.5));
    for name in &options.callers {
        println!("\n{}", table::callers(&profiles, name));
    }
    println!("\n{}", table::groups(&profiles));
    for device in &suite.devices {
        if let Some(reason) = &device.absent {
            println!("{} was left out: {}: {reason}", device.label, device.path);
        }
    }
    if let Some(path) = &options.output {
        let report = Report {
            workload,
            kernel: &suite.guest.kernel,
            profiles: &profiles,
        };
        fs::write(path, serde_json::to_string_pretty(&report)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    for profile in &profiles {
        ensure!(
            profile.deviation() <= TOLERANCE,
            "{}: {:.0} instructions were counted where the clock says {:.0}",
            profile.device,
            profile.counted,
            profile.measured
        );
    }
    Ok(())
}

fn text(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

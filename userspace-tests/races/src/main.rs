// SPDX-License-Identifier: GPL-2.0

//! Lets threads meet in a binder driver, again and again, at moments that a seed chooses.
//!
//! On one CPU a real-time thread interrupts an ordinary one at the chosen moment,
//! wherever in the driver that is.  The moments of a round are the same each time; when
//! the guest's clock counts instructions, a run from the first round on in a fresh guest
//! has so far met in the same places too, a single round has not: what ran before it
//! counts.  On several CPUs the threads run side by side.

mod counts;
mod race;
mod scenarios;

use anyhow::{Context, Result, bail};
use clap::Parser;
use counts::Counts;
use harness::isolate::{self, Verdict};
use race::Plan;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// Devices to test; names are looked for in /dev.
    #[arg(
        long = "device",
        value_name = "DEVICE",
        required_unless_present = "list"
    )]
    devices: Vec<PathBuf>,
    /// Only scenarios whose name contains this.
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// What moments are derived from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many rounds of each scenario.
    #[arg(long, default_value_t = 200)]
    rounds: u64,
    /// Only this round.
    #[arg(long)]
    round: Option<u64>,
    /// How far apart threads may begin, in nanoseconds.
    #[arg(long, default_value_t = 60_000)]
    span: u64,
    /// Run threads side by side, or let one interrupt the other; by default as many
    /// CPUs as there are decide.
    #[arg(long)]
    parallel: Option<bool>,
    /// Name the scenarios and run none.
    #[arg(long)]
    list: bool,
}

fn run(cli: &Cli) -> Result<bool> {
    let selected = |name: &str| {
        cli.scenario.is_empty() || cli.scenario.iter().any(|part| name.contains(part.as_str()))
    };
    let cases: Vec<harness::Case> = scenarios::all()
        .into_iter()
        .filter(|case| selected(case.name))
        .collect();
    if cases.is_empty() {
        bail!("no scenario is selected");
    }
    if cli.list {
        for case in &cases {
            println!("{:<28} {}", case.name, case.claim);
        }
        return Ok(true);
    }
    let cpus = std::thread::available_parallelism().context("number of CPUs")?;
    let parallel = cli.parallel.unwrap_or(cpus.get() > 1);
    println!(
        "seed {}, {} rounds each, {}",
        cli.seed,
        if cli.round.is_some() { 1 } else { cli.rounds },
        if parallel {
            "side by side"
        } else {
            "by interruption"
        }
    );
    let (mut passed, mut failed) = (0, 0);
    for case in &cases {
        for device in &cli.devices {
            let device = Path::new("/dev").join(device);
            race::set_plan(Plan {
                name: case.name,
                seed: cli.seed,
                first: cli.round.unwrap_or(0),
                rounds: if cli.round.is_some() { 1 } else { cli.rounds },
                span: cli.span,
                parallel,
            });
            let counts = Counts::of(&device)?;
            let report = isolate::run(case, &device, None)
                .with_context(|| format!("{} on {}", case.name, device.display()))?;
            let verdict = match report.verdict {
                Verdict::Passed => counts
                    .settle()
                    .map_err(|left| format!("left behind: {left}")),
                Verdict::Failed(why) | Verdict::TimedOut(why) | Verdict::Skipped(why) => Err(why),
            };
            let mut notes: Vec<String> = report
                .notes
                .iter()
                .map(|(what, seen)| format!("{what}: {seen}"))
                .collect();
            match verdict {
                Ok(left) => {
                    notes.extend(left);
                    passed += 1;
                    println!(
                        "{:<28} {:<12} ok      {}",
                        case.name,
                        device.display(),
                        notes.join(", ")
                    );
                }
                Err(why) => {
                    failed += 1;
                    println!("{:<28} {:<12} FAILED", case.name, device.display());
                    println!("    {why}");
                }
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0)
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("races: {error:#}");
            ExitCode::from(2)
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! `binder-bench`: measures binder devices from user space, by their ioctls alone.
//!
//! It runs in a guest. Under `-icount` the processor's time stamp counter counts instructions
//! (`suite`); on a guest with a real clock only the ratio of two devices, measured block by block in
//! turn, means anything (`pairs`).

mod child;
mod clock;
mod conn;
mod floors;
mod four;
mod guest;
mod marker;
mod measure;
mod peer;
mod workload;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use binder_bench::results::{self, Device, Figure, Measured, Paired, Pairs, Sample, Suite};
use clap::{Args, Parser, Subcommand, ValueEnum};

use clock::{Clock, Instructions, Nanoseconds};
use four::Crowd;
use measure::Plan;
use workload::{Session, Workload};

/// Measures round trips on binder devices.
#[derive(Parser)]
#[command(version)]
struct Command {
    #[command(subcommand)]
    mode: Mode,
    #[command(flatten)]
    common: Common,
}

#[derive(Subcommand)]
enum Mode {
    /// Each workload alone, on one device after the other, and the floors.
    Suite {
        /// The clock to read.
        #[arg(long, value_enum, default_value = "instructions")]
        clock: ClockName,
        /// Leaves the floors out.
        #[arg(long)]
        no_floors: bool,
    },
    /// Blocks of rounds on two devices in turn: for guests whose clock is that of the wall.
    Pairs {
        /// Pairs of blocks for each workload.
        #[arg(long, default_value_t = 20)]
        blocks: usize,
        /// The processor that client and server share.
        #[arg(long, default_value_t = 1)]
        cpu: usize,
    },
}

#[derive(Args)]
struct Common {
    /// A device to measure, as LABEL=PATH; may be repeated.
    #[arg(long, global = true, value_parser = parse_device)]
    device: Vec<(String, PathBuf)>,
    /// A workload; may be repeated. All of them by default.
    #[arg(long, global = true)]
    workload: Vec<String>,
    /// Rounds to measure (in each block, for pairs).
    #[arg(long, global = true, default_value_t = 1000)]
    rounds: usize,
    /// Rounds before them that are not measured.
    #[arg(long, global = true, default_value_t = 200)]
    warmup: usize,
    /// Where to put the results as JSON.
    #[arg(long, global = true)]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ClockName {
    Instructions,
    Nanoseconds,
}

fn parse_device(argument: &str) -> Result<(String, PathBuf), String> {
    match argument.split_once('=') {
        Some((label, path)) => Ok((label.to_owned(), path.into())),
        None => Err("a device is given as LABEL=PATH".to_owned()),
    }
}

fn main() -> Result<()> {
    let command = Command::parse();
    let common = &command.common;
    let known: Vec<&str> = workload::ALL
        .iter()
        .map(|(name, _)| *name)
        .chain(floors::ALL.iter().copied())
        .collect();
    for name in &common.workload {
        ensure!(
            known.contains(&name.as_str()),
            "there is no workload named {name}; there are {}",
            known.join(", ")
        );
    }
    match command.mode {
        Mode::Suite { clock, no_floors } => {
            let suite = match clock {
                ClockName::Instructions => common.suite::<Instructions>(no_floors),
                ClockName::Nanoseconds => common.suite::<Nanoseconds>(no_floors),
            }?;
            common.save(&suite)
        }
        Mode::Pairs { blocks, cpu } => common.save(&common.pairs(blocks, cpu)?),
    }
}

impl Common {
    fn wants(&self, name: &str) -> bool {
        self.workload.is_empty() || self.workload.iter().any(|wanted| wanted == name)
    }

    fn plan(&self) -> Plan {
        Plan {
            warmup: self.warmup,
            rounds: self.rounds,
        }
    }

    /// The devices asked for, noting those that are not there.
    fn devices(&self) -> Vec<Device> {
        self.device
            .iter()
            .map(|(label, path)| {
                let absent = match fs::metadata(path) {
                    Ok(_) => None,
                    Err(error) => {
                        println!("{label}: left out: {}: {error}", path.display());
                        Some(error.to_string())
                    }
                };
                Device {
                    label: label.clone(),
                    path: path.display().to_string(),
                    absent,
                }
            })
            .collect()
    }

    fn suite<C: Clock>(&self, no_floors: bool) -> Result<Suite> {
        let devices = self.devices();
        guest::wait_until_quiet()?;
        let mut measured = Vec::new();
        for name in floors::ALL.iter().filter(|name| self.wants(name)) {
            if no_floors {
                continue;
            }
            let sample = floors::run::<C>(name, self.plan())?;
            measured.push(report(name, None, Figure::P50, sample));
        }
        for (name, workload) in workload::ALL.iter().filter(|(name, _)| self.wants(name)) {
            for device in devices.iter().filter(|device| device.absent.is_none()) {
                let path = device.path.as_ref();
                let sample = match workload {
                    Workload::FourByFour => {
                        Crowd::start(path).and_then(|mut crowd| crowd.measure::<C>(self.plan()))
                    }
                    _ => Session::start(*workload, path)
                        .and_then(|mut session| measure::measure::<C>(self.plan(), &mut session)),
                }
                .with_context(|| format!("{name} on {} failed", device.label))?;
                measured.push(report(name, Some(&device.label), workload.figure(), sample));
            }
        }
        Ok(Suite {
            guest: guest::describe()?,
            devices,
            measured,
        })
    }

    fn pairs(&self, blocks: usize, cpu: usize) -> Result<Pairs> {
        guest::pin(cpu)?;
        guest::wait_until_quiet()?;
        let devices = self.devices();
        let [first, second] = devices.as_slice() else {
            bail!("pairs are made of two devices");
        };
        if devices.iter().any(|device| device.absent.is_some()) {
            println!("nothing to pair: both devices are needed");
            return Ok(Pairs {
                guest: guest::describe()?,
                devices,
                paired: Vec::new(),
            });
        }
        let mut paired = Vec::new();
        for (name, workload) in workload::ALL.iter().filter(|(name, _)| self.wants(name)) {
            let mut left = Block::start(*workload, first)?;
            let mut right = Block::start(*workload, second)?;
            let rounds = self.rounds;
            left.run(self.warmup)?;
            right.run(self.warmup)?;
            let mut results = Vec::with_capacity(blocks);
            for index in 0..blocks {
                // Who goes first changes, so that a drift of the host favours neither.
                let pair = if index % 2 == 0 {
                    let left = left.run(rounds)?;
                    (left, right.run(rounds)?)
                } else {
                    let right = right.run(rounds)?;
                    (left.run(rounds)?, right)
                };
                results.push(pair);
            }
            let median = median_ratio(&results);
            println!(
                "{name:18} {}/{} = {median:.3} (median of {blocks} pairs)",
                second.label, first.label
            );
            paired.push(Paired {
                workload: (*name).to_owned(),
                rounds_per_block: rounds as u64,
                blocks: results,
            });
        }
        Ok(Pairs {
            guest: guest::describe()?,
            devices,
            paired,
        })
    }

    fn save(&self, value: &impl serde::Serialize) -> Result<()> {
        if let Some(path) = &self.output {
            let text = serde_json::to_string(value)?;
            fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

/// Either kind of session, run block by block.
enum Block {
    One(Box<Session>, Figure),
    Four(Crowd),
}

impl Block {
    fn start(workload: Workload, device: &Device) -> Result<Self> {
        if let Some(reason) = &device.absent {
            bail!("{} cannot be paired: {reason}", device.label);
        }
        let path = device.path.as_ref();
        Ok(match workload {
            Workload::FourByFour => Self::Four(Crowd::start(path)?),
            _ => Self::One(Box::new(Session::start(workload, path)?), workload.figure()),
        })
    }

    /// Nanoseconds per round: the median where rounds are alone, so that a moment in which the host
    /// did something else does not count, and the mean where they overlap.
    fn run(&mut self, rounds: usize) -> Result<f64> {
        let plan = Plan { warmup: 0, rounds };
        Ok(match self {
            Self::One(session, Figure::P50) => {
                measure::measure::<Nanoseconds>(plan, &mut **session)?.p50 as f64
            }
            Self::One(session, Figure::Mean) => {
                measure::measure::<Nanoseconds>(plan, &mut **session)?.mean
            }
            Self::Four(crowd) => crowd.measure::<Nanoseconds>(plan)?.mean,
        })
    }
}

fn median_ratio(blocks: &[(f64, f64)]) -> f64 {
    let mut ratios: Vec<f64> = blocks
        .iter()
        .map(|(first, second)| second / first)
        .collect();
    ratios.sort_by(f64::total_cmp);
    let half = ratios.len() / 2;
    match ratios.len() {
        0 => f64::NAN,
        even if even.is_multiple_of(2) => f64::midpoint(ratios[half - 1], ratios[half]),
        _ => ratios[half],
    }
}

fn report(name: &str, device: Option<&str>, figure: Figure, sample: Sample) -> Measured {
    let measured = Measured {
        workload: name.to_owned(),
        device: device.map(str::to_owned),
        figure,
        sample,
    };
    println!(
        "{name:18} {:6} {:>9.0} {} (mean {:.1}, p99 {})",
        device.unwrap_or(""),
        measured.value(),
        match measured.sample.unit {
            results::Unit::Instructions => "instructions",
            results::Unit::Nanoseconds => "ns",
        },
        measured.sample.mean,
        measured.sample.p99,
    );
    measured
}

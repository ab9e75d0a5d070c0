// SPDX-License-Identifier: GPL-2.0

//! `bench-report`: the benchmark's raw results as a table, as `results.json` and as a page.

mod page;
mod picture;
mod rows;
mod table;
mod verdict;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use binder_bench::results::{Device, Guest, Measured, Paired, Pairs, Suite};
use clap::Parser;
use serde::Serialize;
use serde::de::DeserializeOwned;

use rows::Row;

/// Turns the benchmark's results into a table, a file for machines and a page with pictures.
#[derive(Parser)]
#[command(name = "bench-report", version)]
struct Options {
    /// What `binder-bench suite` wrote.
    #[arg(long)]
    suite: PathBuf,
    /// What `binder-bench pairs` wrote.
    #[arg(long)]
    pairs: Option<PathBuf>,
    /// The folder for results.json and the pictures.
    #[arg(long)]
    output: PathBuf,
    /// The emulator's version, for the record.
    #[arg(long, default_value = "unknown")]
    qemu: String,
    /// The project's version, for the record.
    #[arg(long, default_value = "unknown")]
    project: String,
    /// Ends with a failure where an aim is missed.
    #[arg(long)]
    strict: bool,
}

/// Where the figures come from.
#[derive(Serialize)]
struct Metadata {
    project: String,
    qemu: String,
    /// The guest whose clock counts instructions.
    instructions: Guest,
    /// The guest with a clock of the wall.
    #[serde(skip_serializing_if = "Option::is_none")]
    wall_clock: Option<Guest>,
    devices: Vec<Device>,
}

impl Metadata {
    /// What a reader wants to know, by name.
    fn entries(&self) -> Vec<(&'static str, String)> {
        let guest = &self.instructions;
        let mut entries = vec![
            ("project", self.project.clone()),
            ("kernel", format!("{} {}", guest.kernel, guest.version)),
            ("kernel command line", guest.command_line.clone()),
            ("emulator", self.qemu.clone()),
            ("processor", guest.cpu.clone()),
            ("processor flags", guest.cpu_flags.clone()),
        ];
        for device in &self.devices {
            let note = match &device.absent {
                Some(reason) => format!("{} (left out: {reason})", device.path),
                None => device.path.clone(),
            };
            let name = if device.label == rows::REFERENCE {
                "C driver"
            } else {
                "our driver"
            };
            entries.push((name, note));
        }
        entries
    }
}

/// `results.json`.
#[derive(Serialize)]
struct Results<'a> {
    rows: &'a [Row],
    verdict: &'a str,
    metadata: &'a Metadata,
    distributions: &'a [Measured],
    pairs: &'a [Paired],
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let suite: Suite = load(&options.suite)?;
    let pairs: Option<Pairs> = options.pairs.as_deref().map(load).transpose()?;
    let paired = pairs.as_ref().map_or(&[][..], |pairs| &pairs.paired);

    let instructions = rows::of_suite(&suite);
    let wall_clock = pairs.as_ref().map(rows::of_pairs).unwrap_or_default();
    let verdict = verdict::judge(&instructions);

    println!(
        "\n{}\n\n{}",
        table::floors(&instructions),
        table::instructions(&instructions)
    );
    if !wall_clock.is_empty() {
        println!("\n{}", table::pairs(&wall_clock));
    }
    for device in &suite.devices {
        if let Some(reason) = &device.absent {
            println!("\n{} was left out: {}: {reason}", device.label, device.path);
        }
    }
    if !suite.guest.fast_strings.is_empty() {
        println!(
            "\nnot comparable: the processor has {}, so copies count byte by byte",
            suite.guest.fast_strings.join(", ")
        );
    }
    println!("\n{}", verdict.text);

    let pictures = [
        Some(picture::distributions(&suite, &instructions)?),
        (!paired.is_empty())
            .then(|| picture::ratios(paired))
            .transpose()?,
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>();
    let metadata = Metadata {
        project: options.project,
        qemu: options.qemu,
        instructions: suite.guest,
        wall_clock: pairs.as_ref().map(|pairs| pairs.guest.clone()),
        devices: suite.devices,
    };
    let rows: Vec<Row> = instructions.into_iter().chain(wall_clock).collect();
    fs::create_dir_all(&options.output)
        .with_context(|| format!("cannot make {}", options.output.display()))?;
    let results = Results {
        rows: &rows,
        verdict: &verdict.text,
        metadata: &metadata,
        distributions: &suite.measured,
        pairs: paired,
    };
    save(
        &options.output,
        "results.json",
        &(serde_json::to_string_pretty(&results)? + "\n"),
    )?;
    save(&options.output, "distributions.svg", &pictures[0])?;
    save(
        &options.output,
        "results.html",
        &page::compose(&rows, &verdict.text, &metadata, &pictures),
    )?;
    Ok(match options.strict && !verdict.reached {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

fn load<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not as expected", path.display()))
}

fn save(folder: &Path, name: &str, text: &str) -> Result<()> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}", path.display());
    Ok(())
}

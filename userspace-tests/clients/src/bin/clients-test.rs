// SPDX-License-Identifier: GPL-2.0

//! Runs every client case against one binder device and counts the outcome.

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use clients::hub::{self, Hub};
use clients::report::Report;
use clients::role::Role;
use clients::{cases, gbinder, process};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

/// Published binder clients against a binder device: rsbinder with its service manager, libgbinder, python3-gbinder.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Options {
    /// Binder device to test; nothing else may use it meanwhile.
    #[arg(long, default_value = "/dev/binder")]
    device: String,
    /// Run only the cases whose name contains this.
    #[arg(long, default_value = "")]
    filter: String,
    /// The service manager; by default rsb_hub beside this program or in PATH.
    #[arg(long)]
    hub: Option<PathBuf>,
    /// Longest time for one case, in seconds.
    #[arg(long, default_value_t = 60)]
    limit: u64,
    /// Leave out the cases that need libgbinder-tools and python3-gbinder.
    #[arg(long)]
    without_gbinder: bool,
    /// Run rsbinder's own unit tests instead of the cases: the program rsbinder-unit-tests.
    #[arg(long)]
    unit_tests: bool,
    /// Print the names of the rsbinder cases and leave.
    #[arg(long)]
    list: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match options.role.clone() {
        Some(role) => role.play().map(|()| ExitCode::SUCCESS),
        None => run(&options),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("{error:#}");
        ExitCode::FAILURE
    })
}

fn run(options: &Options) -> Result<ExitCode> {
    if options.list {
        cases::all().for_each(|case| println!("{}", case.name));
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(
        Path::new(&options.device).exists(),
        "{} does not exist",
        options.device
    );
    let limit = patience::seconds(options.limit);
    let program = hub::find(options.hub.clone())?;
    println!(
        "clients on {}, service manager {}",
        options.device,
        program.display()
    );

    if options.unit_tests {
        return unit_tests(&program, options, limit);
    }
    let mut report = Report::default();
    let mut hub = Hub::start(&program, &options.device, limit)?;
    for case in cases::all().filter(|case| case.name.contains(&options.filter)) {
        report.run(case.name, || in_child(&options.device, case.name, limit));
    }
    if options.without_gbinder {
        report.skip("gbinder_*", "left out on request (--without-gbinder)");
    } else {
        gbinder::run(&mut report, &options.device, &options.filter, limit);
    }
    if "manager_survived".contains(&options.filter) {
        report.run("manager_survived", || match hub.is_alive()? {
            true => Ok("one service manager served all of the above".to_owned()),
            false => bail!("rsb_hub ended: {}", hub.words()),
        });
    }
    if "manager_replaced".contains(&options.filter) {
        report.run("manager_replaced", || {
            hub.kill()?;
            let _successor = Hub::start(&program, &options.device, limit)?;
            in_child(&options.device, "call_text", limit)
                .context("with the new service manager")?;
            Ok("killed; another one took handle 0 and serves".to_owned())
        });
    }
    Ok(report.finish())
}

/// Unit tests of rsbinder's that say nothing about a driver: of a ring in shared memory, whose waits some
/// of them time, and find too long on a busy machine.
const OF_THE_RING: &str = "stream::ring::tests";

/// Runs the unit tests that rsbinder is published with. They open what is the default
/// device everywhere, and expect a service manager.
fn unit_tests(hub: &Path, options: &Options, limit: Duration) -> Result<ExitCode> {
    const NAME: &str = "rsbinder-unit-tests";
    let program = hub::installed(NAME)?.with_context(|| format!("{NAME} is not there"))?;
    let _hub = Hub::start_as(hub, Path::new(&options.device), "binder", limit)?;
    let mut command = Command::new(program);
    command.args(["--skip", OF_THE_RING]);
    println!("left out: {OF_THE_RING}, which use no binder and depend on time");
    if !options.filter.is_empty() {
        command.arg(&options.filter);
    }
    match command.status()?.success() {
        true => Ok(ExitCode::SUCCESS),
        false => Ok(ExitCode::FAILURE),
    }
}

/// Runs one case in a process of its own.
fn in_child(device: &str, name: &str, limit: Duration) -> Result<String> {
    let role = Role::Case {
        device: device.to_owned(),
        name: name.to_owned(),
        parent: std::process::id(),
    };
    let (status, child) = process::run(&mut role.command()?, limit)?;
    ensure!(status.success(), "{status}\n{}", child.words());
    Ok(child.output())
}

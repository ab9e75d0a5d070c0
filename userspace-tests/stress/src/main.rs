// SPDX-License-Identifier: GPL-2.0

//! Stress for a binder driver: many processes and threads use a device in every way at once and are killed at random.
//!
//! The program forks its workers. One of them is the context manager and keeps a directory of the others; all of them call,
//! nest, send binders and files, ask for death notices, leave threads and calls, while the supervisor kills and restarts them.
//! What arrives is checked to the last byte against what both sides can compute; what is refused must be refused for the
//! right reason; who is said to be dead must have been killed. In the end everything is shut down in order, and nothing may
//! be left: no call unanswered, no death untold, no binder, no file, no memory.
//!
//! | module | holds |
//! |---|---|
//! | [`supervisor`] | starting, killing, watching; shutting down in order |
//! | [`worker`], [`serve`] | a worker: its life, and what it does when called |
//! | [`actions`], [`misuse`] | what it calls, by the rules and against them |
//! | [`talk`] | one thread's conversation with the driver |
//! | [`books`] | counts of binders, handles and deaths, checked as they change |
//! | [`message`] | what is said, and how both sides check it |
//! | [`side`] | a second connection that offers nothing |
//! | [`board`] | numbers shared with the supervisor, which outlive a killed worker |
//! | [`kernel`] | what the kernel says it holds |
//! | [`device`] | the file, its mapping, its ioctls |
//!
//! The same seed gives the same decisions in each thread and the same times of killing; how threads interleave is up to the
//! kernel.

mod actions;
mod board;
mod books;
mod device;
mod host;
mod kernel;
mod message;
mod misuse;
mod progress;
mod report;
mod serve;
mod side;
mod supervisor;
mod talk;
mod worker;

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Many processes use a binder device in every way at once and are killed at random; then nothing may be left behind.
#[derive(Parser, Clone)]
#[command(version)]
pub struct Options {
    /// Binder device to use; nothing else may use it meanwhile.
    #[arg(long, default_value = "/dev/binder")]
    device: PathBuf,
    /// How long to work, in seconds, the warm-up included.
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// Seed of all random choices.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Processes that work at the same time.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(3..=16))]
    workers: u16,
    /// Threads of each process that make calls.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=8))]
    callers: u16,
    /// Longest time a single step may take before it counts as stuck, in seconds.
    #[arg(long, default_value_t = 30)]
    stuck: u64,
    /// File with the driver's own counts, in the form of the C driver's debugfs file `stats`.
    #[arg(long)]
    stats: Option<PathBuf>,
    /// Nodes the driver may lose. The C driver loses one now and then: when the owner dies while a call is being sent to it,
    /// a count goes below zero and the node stays for ever.
    #[arg(long, default_value_t = 0)]
    lost_nodes: u64,
    /// How much more memory the kernel may hold after the work than after the warm-up, in KiB.
    #[arg(long, default_value_t = 2048)]
    memory: u64,
}

fn main() -> ExitCode {
    let options = Options::parse();
    println!(
        "stress on {}: {} s, seed {}, {} processes with {} calling threads each",
        options.device.display(),
        options.seconds,
        options.seed,
        options.workers,
        options.callers
    );
    let mut report = report::Report::default();
    if let Err(error) = run(&options, &mut report) {
        report.check("the run itself", Err(format!("{error:#}")));
    }
    report.finish()
}

fn run(options: &Options, report: &mut report::Report) -> anyhow::Result<()> {
    let board = board::Board::share()?;
    let mut counts = kernel::Counts::new(options.stats.clone(), options.lost_nodes)?;
    let mut supervisor = supervisor::Supervisor::new(options.clone(), board);
    let warm_up = Duration::from_secs(options.seconds / 8);
    supervisor.round("warm-up", warm_up, report)?;
    counts.settle("warm-up", report);
    let before = kernel::Memory::now()?;
    supervisor.round(
        "work",
        Duration::from_secs(options.seconds) - warm_up,
        report,
    )?;
    counts.settle("work", report);
    report.summary(board, supervisor.kills());
    report.check(
        "memory is back",
        kernel::Memory::compare(&before, options.memory),
    );
    report.worked(board, options.seconds);
    Ok(())
}

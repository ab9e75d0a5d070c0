// SPDX-License-Identifier: GPL-2.0

//! Child processes that cannot outlive their use.
//!
//! Every wait has an end, and only processes started here are ever signalled, by their own number. A child of this program
//! also asks the kernel to be killed when its parent dies ([`die_with_parent`]), so that a case that had to be killed leaves
//! no service behind.

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{
    Pid, PidfdFlags, Signal, getppid, pidfd_open, set_parent_process_death_signal,
};
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a killed process may take to go away before it counts as stuck in the kernel.
fn grace() -> Duration {
    patience::seconds(10)
}

/// A child process; dropping it kills it and waits for its end.
pub struct Process {
    child: Child,
    /// Becomes readable when the process ends.
    pidfd: OwnedFd,
    /// What the process wrote to its standard output, unless [`Process::start_with_ready`] reads that.
    output: File,
    /// What the process wrote to its standard error.
    errors: File,
    ready: Option<ChildStdout>,
}

impl Process {
    /// Starts `command` with its output kept for [`Process::output`].
    pub fn start(command: &mut Command) -> Result<Self> {
        Self::start_inner(command, false)
    }

    /// Starts `command` and waits until it has written a line, its word that it is ready.
    pub fn start_with_ready(command: &mut Command, limit: Duration) -> Result<Self> {
        let mut process = Self::start_inner(command, true)?;
        process.wait_ready(limit).with_context(|| {
            format!(
                "{} did not get ready: {}",
                describe(command),
                process.errors()
            )
        })?;
        Ok(process)
    }

    fn start_inner(command: &mut Command, ready: bool) -> Result<Self> {
        let output = File::from(memfd_create("output", MemfdFlags::CLOEXEC)?);
        let errors = File::from(memfd_create("errors", MemfdFlags::CLOEXEC)?);
        let stdout = if ready {
            Stdio::piped()
        } else {
            Stdio::from(output.try_clone()?)
        };
        let mut child = command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(errors.try_clone()?)
            .spawn()
            .with_context(|| format!("starting {}", describe(command)))?;
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
        let ready = child.stdout.take();
        Ok(Self {
            child,
            pidfd,
            output,
            errors,
            ready,
        })
    }

    fn wait_ready(&mut self, limit: Duration) -> Result<()> {
        let pipe = self
            .ready
            .as_mut()
            .context("started without a ready line")?;
        if !readable(pipe.as_fd(), limit)? {
            bail!("nothing within {} s", limit.as_secs());
        }
        match pipe.read(&mut [0; 64])? {
            0 => bail!("it ended"),
            _ => Ok(()),
        }
    }

    /// The process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end of the process; `None` if it still runs after `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        if !readable(self.pidfd.as_fd(), limit)? {
            return Ok(None);
        }
        Ok(Some(self.child.wait()?))
    }

    /// Kills the process and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        // An error here means that it has ended and was waited for.
        let _ = self.child.kill();
        match self.wait(grace())? {
            Some(_) => Ok(()),
            None => bail!(
                "process {} is stuck: it does not end although killed",
                self.id()
            ),
        }
    }

    /// What it wrote to its standard output so far.
    pub fn output(&self) -> String {
        captured(&self.output)
    }

    /// What it wrote to its standard error so far.
    pub fn errors(&self) -> String {
        captured(&self.errors)
    }

    /// All it wrote: what a person wants to see when something failed.
    pub fn words(&self) -> String {
        let words = [self.output(), self.errors()];
        words
            .iter()
            .filter(|words| !words.is_empty())
            .cloned()
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("{error}");
        }
    }
}

/// Runs `command` to its end; an error if that takes longer than `limit`.
pub fn run(command: &mut Command, limit: Duration) -> Result<(ExitStatus, Process)> {
    let mut process = Process::start(command)?;
    match process.wait(limit)? {
        Some(status) => Ok((status, process)),
        None => {
            process.kill()?;
            bail!(
                "{} did not end within {} s\n{}",
                describe(command),
                limit.as_secs(),
                process.words()
            )
        }
    }
}

/// Ties this process to the life of the parent that started it, whose number the parent passed along.
pub fn die_with_parent(parent: u32) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before the line above; then nobody will tell any more.
    let now = getppid().map(|pid| pid.as_raw_nonzero().get().cast_unsigned());
    if now != Some(parent) {
        bail!("the parent process {parent} is gone");
    }
    Ok(())
}

/// Waits until `file` is readable or at its end, for at most `limit`.
fn readable(file: BorrowedFd<'_>, limit: Duration) -> Result<bool> {
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let mut files = [PollFd::from_borrowed_fd(file, PollFlags::IN)];
        match poll(&mut files, Some(&Timespec::try_from(left)?)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The text in `file`, without blank space around it.
fn captured(file: &File) -> String {
    let mut text = Vec::new();
    let read = file.try_clone().and_then(|mut file| {
        file.rewind()?;
        file.read_to_end(&mut text)
    });
    match read {
        Ok(_) => String::from_utf8_lossy(&text).trim().to_owned(),
        Err(error) => format!("(output lost: {error})"),
    }
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

// SPDX-License-Identifier: GPL-2.0

//! What a process of this program can be, besides the runner.
//!
//! The runner starts itself again with one of these as its command line. Each such process opens the device under test
//! once, as `rsbinder` wants it.

use crate::cases::{self, Stage};
use crate::interface::{BnCallback, ICallback, ITestbed};
use crate::{process, service};
use anyhow::{Context, Result, anyhow};
use clap::Subcommand;
use rsbinder::{BinderResult, Interface, ProcessState, Strong, hub};
use std::io::Write;
use std::process::Command;

/// Looper threads a process may have, besides the one it starts with.
const THREADS: u32 = 7;

/// The part a process plays.
#[derive(Subcommand, Debug, Clone)]
pub enum Role {
    /// Register the test service under a name and serve it until killed.
    Serve {
        /// Binder device to open.
        #[arg(long)]
        device: String,
        /// Name to register.
        #[arg(long)]
        name: String,
        /// Process that started this one.
        #[arg(long)]
        parent: u32,
    },
    /// Lend a callback to a service and wait to be killed.
    Lend {
        /// Binder device to open.
        #[arg(long)]
        device: String,
        /// Service to lend it to.
        #[arg(long)]
        name: String,
        /// Process that started this one.
        #[arg(long)]
        parent: u32,
    },
    /// Call the two simplest methods of a service and say what came back.
    Call {
        /// Binder device to open.
        #[arg(long)]
        device: String,
        /// Service to call.
        #[arg(long)]
        name: String,
        /// Process that started this one.
        #[arg(long)]
        parent: u32,
    },
    /// Run one test case as a client.
    Case {
        /// Binder device to open.
        #[arg(long)]
        device: String,
        /// The case to run.
        #[arg(long)]
        name: String,
        /// Process that started this one.
        #[arg(long)]
        parent: u32,
    },
}

impl Role {
    /// The command that starts this program again in this role.
    pub fn command(&self) -> Result<Command> {
        let (role, device, name, parent) = match self {
            Self::Serve {
                device,
                name,
                parent,
            } => ("serve", device, name, parent),
            Self::Lend {
                device,
                name,
                parent,
            } => ("lend", device, name, parent),
            Self::Call {
                device,
                name,
                parent,
            } => ("call", device, name, parent),
            Self::Case {
                device,
                name,
                parent,
            } => ("case", device, name, parent),
        };
        let mut command = Command::new(std::env::current_exe()?);
        command.args([
            role,
            "--device",
            device,
            "--name",
            name,
            "--parent",
            &parent.to_string(),
        ]);
        Ok(command)
    }

    /// Plays the role to its end.
    pub fn play(self) -> Result<()> {
        // The library logs what goes wrong; a case that fails shows it.
        env_logger::init();
        match self {
            Self::Serve {
                device,
                name,
                parent,
            } => {
                process::die_with_parent(parent)?;
                open(&device)?;
                hub::add_service(&name, service::new()).map_err(|error| anyhow!("{error}"))?;
                say_ready()?;
                ProcessState::join_thread_pool()?;
                Ok(())
            }
            Self::Lend {
                device,
                name,
                parent,
            } => {
                process::die_with_parent(parent)?;
                open(&device)?;
                let testbed: Strong<dyn ITestbed> = hub::check_interface(&name)?;
                let callback = BnCallback::new_binder(Idle);
                testbed
                    .hold(&callback.as_binder())
                    .map_err(|error| anyhow!("{error}"))?;
                say_ready()?;
                ProcessState::join_thread_pool()?;
                Ok(())
            }
            Self::Call {
                device,
                name,
                parent,
            } => {
                process::die_with_parent(parent)?;
                open(&device)?;
                let testbed: Strong<dyn ITestbed> = hub::check_interface(&name)?;
                let text = testbed
                    .echo("grüß Gott")
                    .map_err(|error| anyhow!("echo: {error}"))?;
                let sum = testbed
                    .add(40, 2)
                    .map_err(|error| anyhow!("add: {error}"))?;
                println!("echo: {text}\nadd: {sum}");
                Ok(())
            }
            Self::Case {
                device,
                name,
                parent,
            } => {
                process::die_with_parent(parent)?;
                let case = cases::all()
                    .find(|case| case.name == name)
                    .with_context(|| format!("no case {name}"))?;
                open(&device)?;
                let detail = (case.run)(&Stage::new(device))?;
                println!("{detail}");
                Ok(())
            }
        }
    }
}

/// Opens the device for this process and starts serving what arrives on it.
pub fn open(device: &str) -> Result<()> {
    ProcessState::init(device, THREADS).map_err(|error| anyhow!("{device}: {error}"))?;
    ProcessState::start_thread_pool();
    Ok(())
}

fn say_ready() -> Result<()> {
    let mut out = std::io::stdout();
    out.write_all(b"ready\n")?;
    Ok(out.flush()?)
}

/// A callback that nobody calls.
struct Idle;

impl Interface for Idle {}

impl ICallback for Idle {
    fn bounced(
        &self,
        _service: &Strong<dyn ITestbed>,
        _callback: &Strong<dyn ICallback>,
        _depth: i32,
    ) -> BinderResult<Vec<i32>> {
        Ok(Vec::new())
    }

    fn noted(&self, _number: i32) -> BinderResult<()> {
        Ok(())
    }
}

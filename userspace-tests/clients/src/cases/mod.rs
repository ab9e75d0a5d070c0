// SPDX-License-Identifier: GPL-2.0

//! The test cases that use `rsbinder`. Each runs in a process of its own, as a client of a service that it starts.

mod calls;
mod death;
mod files;
mod manager;
mod objects;
mod oneway;

use crate::interface::{BnCallback, ICallback, ITestbed};
use crate::process::Process;
use crate::role::Role;
use anyhow::{Context, Result, anyhow};
use rsbinder::{BinderResult, DeathRecipient, Interface, SIBinder, Status, Strong, WIBinder, hub};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// How long a step may take. Generous: the kernel may run on an emulated processor.
fn patience() -> Duration {
    patience::seconds(15)
}

/// A test case.
pub struct Case {
    /// Name, as printed and selected.
    pub name: &'static str,
    /// The case itself: a word on what was seen, or why it failed.
    pub run: fn(&Stage) -> Result<String>,
}

/// Every case, in the order they run.
pub fn all() -> impl Iterator<Item = &'static Case> {
    [
        calls::CASES,
        objects::CASES,
        files::CASES,
        oneway::CASES,
        death::CASES,
        manager::CASES,
    ]
    .into_iter()
    .flatten()
}

/// What a case has to work with.
pub struct Stage {
    device: String,
    services: Cell<u32>,
}

/// A service in a process of its own, found through the service manager.
struct Service {
    process: Process,
    name: String,
    testbed: Strong<dyn ITestbed>,
}

impl Stage {
    /// A stage on `device`, which this process has open.
    pub fn new(device: String) -> Self {
        Self {
            device,
            services: Cell::new(0),
        }
    }

    /// A service name nobody else uses.
    fn fresh_name(&self) -> String {
        let number = self.services.get();
        self.services.set(number + 1);
        format!("test.{}.{number}", std::process::id())
    }

    /// Starts the test service and finds it.
    fn serve(&self) -> Result<Service> {
        let name = self.fresh_name();
        let process = self.serve_as(&name)?;
        let testbed = hub::check_interface(&name).with_context(|| format!("finding {name}"))?;
        Ok(Service {
            process,
            name,
            testbed,
        })
    }

    /// Starts the test service under `name`.
    fn serve_as(&self, name: &str) -> Result<Process> {
        self.start(Role::Serve {
            device: self.device.clone(),
            name: name.to_owned(),
            parent: std::process::id(),
        })
    }

    /// Starts a process that lends a callback to the service called `name`.
    fn lend_to(&self, name: &str) -> Result<Process> {
        self.start(Role::Lend {
            device: self.device.clone(),
            name: name.to_owned(),
            parent: std::process::id(),
        })
    }

    fn start(&self, role: Role) -> Result<Process> {
        Process::start_with_ready(&mut role.command()?, patience())
    }
}

/// Turns the outcome of a call into an error that names the call.
trait Said<T> {
    fn said(self, what: &str) -> Result<T>;
}

impl<T> Said<T> for BinderResult<T> {
    fn said(self, what: &str) -> Result<T> {
        self.map_err(|status: Status| anyhow!("{what}: {status}"))
    }
}

/// A callback that writes down how it was called.
struct Recorder {
    numbers: Sender<i32>,
    threads: Sender<std::thread::ThreadId>,
}

/// A recorder and where its notes arrive.
struct Recording {
    callback: Strong<dyn ICallback>,
    numbers: Receiver<i32>,
    threads: Receiver<std::thread::ThreadId>,
}

impl Recording {
    fn new() -> Self {
        let (number, numbers) = channel();
        let (thread, threads) = channel();
        let callback = BnCallback::new_binder(Recorder {
            numbers: number,
            threads: thread,
        });
        Self {
            callback,
            numbers,
            threads,
        }
    }

    fn binder(&self) -> SIBinder {
        self.callback.as_binder()
    }
}

impl Interface for Recorder {}

impl ICallback for Recorder {
    fn bounced(
        &self,
        service: &Strong<dyn ITestbed>,
        callback: &Strong<dyn ICallback>,
        depth: i32,
    ) -> BinderResult<Vec<i32>> {
        // The case may have ended by now; nobody misses the note then.
        let _ = self.threads.send(std::thread::current().id());
        let mut trace = vec![std::process::id().cast_signed()];
        if depth > 0 {
            trace.extend(service.bounce(callback, depth - 1)?);
        }
        Ok(trace)
    }

    fn noted(&self, number: i32) -> BinderResult<()> {
        let _ = self.numbers.send(number);
        Ok(())
    }
}

/// Passes on the deaths it is told of.
struct Mourner(Sender<WIBinder>);

impl Mourner {
    fn new() -> (Arc<Self>, Receiver<WIBinder>) {
        let (sender, receiver) = channel();
        (Arc::new(Self(sender)), receiver)
    }
}

impl DeathRecipient for Mourner {
    fn binder_died(&self, who: &WIBinder) {
        let _ = self.0.send(who.clone());
    }
}

// SPDX-License-Identifier: GPL-2.0

//! A test case and what it is given.

use crate::command::{Bc, Call};
use crate::deadline::Deadline;
use crate::device::{Exchange, Transactions, USUAL_SIZE};
use crate::process::Process;
use crate::returns::Br;
use anyhow::{Context, Result, bail, ensure};
use binder_abi::*;
use nix::errno::Errno;
use std::cell::Cell;
use std::fmt;
use std::path::{Path, PathBuf};

/// One test.
#[derive(Clone, Copy)]
pub struct Case {
    /// Section and name, as in `a5/failed-transaction-stops-write`.
    pub name: &'static str,
    /// One line that says what is claimed.
    pub claim: &'static str,
    /// The test.
    pub run: fn(&mut Cx) -> Result<()>,
    /// Which rows of the requirements it covers: names in `coverage/rows.toml` of the
    /// suite, such as `A6.7` or `CVE-2019-2025`.
    pub rows: &'static [&'static str],
}

impl Case {
    /// A case that covers no particular row.
    pub const fn new(
        name: &'static str,
        claim: &'static str,
        run: fn(&mut Cx) -> Result<()>,
    ) -> Self {
        Self {
            name,
            claim,
            run,
            rows: &[],
        }
    }

    /// The same case, covering these rows.
    pub const fn covers(mut self, rows: &'static [&'static str]) -> Self {
        self.rows = rows;
        self
    }
}

/// Why a case can say nothing here; made an error to leave the case.
#[derive(Debug)]
pub struct Skip(pub String);

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skip {}

/// What a case is given: a device, actors, and a place for observations.
pub struct Cx {
    /// The device under test.
    pub device: PathBuf,
    /// Another device of the same driver, where one is named.
    pub sibling: Option<PathBuf>,
    notes: Vec<(String, String)>,
    differs: Cell<bool>,
}

impl Cx {
    /// For a device and its sibling.
    pub fn new(device: &Path, sibling: Option<&Path>) -> Self {
        Self {
            device: device.into(),
            sibling: sibling.map(Into::into),
            notes: Vec::new(),
            differs: Cell::new(false),
        }
    }

    /// Whether the device is one of the Rust driver's. Only for a difference that
    /// `Documentation/differences.md` lists.
    pub fn is_rust_driver(&self) -> bool {
        self.differs.set(true);
        let name = self.device.file_name().and_then(|name| name.to_str());
        let names = std::fs::read_to_string("/sys/module/rust_binder/parameters/devices");
        names.is_ok_and(|names| names.trim().split(',').any(|each| Some(each) == name))
    }

    /// Records an observation, to be compared between drivers.
    pub fn note(&mut self, what: &str, seen: impl fmt::Debug) {
        self.notes.push((what.into(), format!("{seen:?}")));
    }

    /// Whether the case asked which driver it is.
    pub fn differs(&self) -> bool {
        self.differs.get()
    }

    /// What was recorded.
    pub fn into_notes(self) -> Vec<(String, String)> {
        self.notes
    }

    /// An actor that has opened nothing.
    pub fn process(&self) -> Result<Process> {
        Process::spawn()
    }

    /// An actor with the device open, and known to the driver, but nothing mapped.
    pub fn unmapped(&self) -> Result<Process> {
        let mut process = self.process()?;
        process.open(&self.device)?;
        process.version()?.context("BINDER_VERSION")?;
        Ok(process)
    }

    /// An actor with the device open and mapped.
    pub fn client(&self) -> Result<Process> {
        self.client_with_size(USUAL_SIZE)
    }

    /// An actor with so much of the device mapped.
    pub fn client_with_size(&self, size: u64) -> Result<Process> {
        let mut process = self.unmapped()?;
        process.map(size)?;
        Ok(process)
    }

    /// A client that is the context manager, without flags.
    pub fn manager(&self) -> Result<Process> {
        self.manager_with(FlatObject::default())
    }

    /// A client that is the context manager, with this node.
    pub fn manager_with(&self, node: FlatObject) -> Result<Process> {
        let mut process = self.client()?;
        become_manager(&mut process, node)?;
        Ok(process)
    }

    /// A context manager whose node takes files.
    pub fn manager_for_files(&self) -> Result<Process> {
        self.manager_with(FlatObject {
            flags: FLAT_BINDER_FLAG_ACCEPTS_FDS,
            ..FlatObject::default()
        })
    }

    /// A context manager with so much of the device mapped.
    pub fn manager_with_size(&self, size: u64) -> Result<Process> {
        let mut process = self.client_with_size(size)?;
        become_manager(&mut process, FlatObject::default())?;
        Ok(process)
    }

    /// Waits until there is no context manager: processes are released some time
    /// after they have ended, and the one before may still be on its way.
    pub fn wait_for_vacancy(&self) -> Result<()> {
        let deadline = Deadline::step();
        let mut probe = self.unmapped()?;
        loop {
            // Either there is nobody, or the call dies with the manager that is leaving.
            probe.write(&[Call::to(0).into()])?.ok()?;
            let returns = loop {
                let outcome = probe.exchange(&Exchange::read().nonblocking())?;
                if outcome.result != Err(Errno::EAGAIN) {
                    break outcome.ok()?.returns()?;
                }
                self.still_waiting(deadline)?;
            };
            ensure!(
                returns.last() == Some(&Br::Plain(BR_DEAD_REPLY)),
                "{} answers without a manager: {returns:?}",
                self.device.display()
            );
            // A manager whose mapping is gone is as dead to a call, with `ESRCH`, but still there.
            if probe.extended_error()?.param == -(Errno::EINVAL as i32) {
                return Ok(());
            }
            self.still_waiting(deadline)?;
        }
    }

    fn still_waiting(&self, deadline: Deadline) -> Result<()> {
        ensure!(
            !deadline.passed(),
            "{} is not released by its manager",
            self.device.display()
        );
        std::thread::yield_now();
        Ok(())
    }
}

/// Makes a client the context manager, once the one before is released.
pub fn become_manager(process: &mut Process, node: FlatObject) -> Result<()> {
    let deadline = Deadline::step();
    loop {
        match process.ioctl(BINDER_SET_CONTEXT_MGR_EXT, node)? {
            Ok(_) => return Ok(()),
            Err(Errno::EBUSY) if !deadline.passed() => std::thread::yield_now(),
            Err(error) => bail!("BINDER_SET_CONTEXT_MGR_EXT: {error}"),
        }
    }
}

/// A client's call to the manager, all the way and back.
pub fn round_trip(
    client: &mut Process,
    manager: &mut Process,
    call: Call,
    reply: Call,
) -> Result<Vec<u8>> {
    client.send(&[call.into()])?;
    let delivery = manager.receive()?;
    manager.answer(&delivery, reply)?;
    let returns = manager.read()?;
    ensure!(
        returns == [Br::Plain(BR_NOOP), Br::Plain(BR_TRANSACTION_COMPLETE)],
        "{returns:?}"
    );
    let reply = client.receive()?;
    ensure!(reply.code == BR_REPLY, "{reply:?}");
    let data = client.data(&reply)?;
    client.send(&[Bc::FreeBuffer(reply.data.buffer)])?;
    Ok(data)
}

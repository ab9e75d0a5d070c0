// SPDX-License-Identifier: GPL-2.0

//! The service manager `rsb_hub` on the device under test.

use crate::process::Process;
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Where `rsb_hub` looks for devices, whatever it is told.
const DEVICES: &str = "/dev/binderfs";

/// A running service manager.
pub struct Hub {
    process: Process,
    _place: Place,
}

impl Hub {
    /// Starts `program` on `device` and waits until it owns handle 0.
    pub fn start(program: &Path, device: &str, limit: Duration) -> Result<Self> {
        let device = Path::new(device);
        let name = device.file_name().context("the device has no name")?;
        Self::start_as(program, device, &name.to_string_lossy(), limit)
    }

    /// The same, with `device` under another name among binderfs' devices.
    pub fn start_as(program: &Path, device: &Path, name: &str, limit: Duration) -> Result<Self> {
        let place = Place::make(device, name)?;
        // It speaks the notification protocol of systemd: one datagram says that it serves.
        let path = std::env::temp_dir().join(format!("rsb_hub-ready-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        let socket =
            UnixDatagram::bind(&path).with_context(|| format!("binding {}", path.display()))?;
        let end = Instant::now() + limit;
        let served = loop {
            let mut process = Process::start(
                Command::new(program)
                    .args(["--insecure-allow-all", "--device", &place.name])
                    .env("NOTIFY_SOCKET", &path),
            )?;
            match wait_served(&socket, &mut process, end) {
                Ok(()) => break Ok(process),
                // It gives up when the driver is not done with the manager before it.
                Err(_) if Instant::now() < end => {}
                Err(error) => {
                    break Err(error.context(format!("rsb_hub said: {}", process.words())));
                }
            }
        };
        let _ = fs::remove_file(&path);
        let process = served.with_context(|| format!("{} s were not enough", limit.as_secs()))?;
        Ok(Self {
            process,
            _place: place,
        })
    }

    /// Kills the service manager, as a crash would.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> Result<bool> {
        Ok(self.process.wait(Duration::ZERO)?.is_none())
    }

    /// What it wrote so far.
    pub fn words(&self) -> String {
        self.process.words()
    }
}

fn wait_served(socket: &UnixDatagram, process: &mut Process, end: Instant) -> Result<()> {
    let mut message = [0; 512];
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    while Instant::now() < end {
        if let Ok(length) = socket.recv(&mut message) {
            let text = String::from_utf8_lossy(&message[..length]);
            if text.lines().any(|line| line == "READY=1") {
                return Ok(());
            }
        }
        if let Some(status) = process.wait(Duration::ZERO)? {
            bail!("it ended at once with {status}");
        }
    }
    bail!("it runs, but has not taken handle 0")
}

/// The link under which `rsb_hub` finds the device; removed with the hub.
struct Place {
    name: String,
    link: Option<PathBuf>,
}

impl Place {
    fn make(device: &Path, name: &str) -> Result<Self> {
        let name = name.to_owned();
        let link = Path::new(DEVICES).join(&name);
        if link.exists() {
            let (found, wanted) = (fs::canonicalize(&link)?, fs::canonicalize(device)?);
            if found != wanted {
                bail!("{} is another device: {}", link.display(), found.display());
            }
            return Ok(Self { name, link: None });
        }
        fs::create_dir_all(DEVICES).with_context(|| format!("making {DEVICES}"))?;
        symlink(fs::canonicalize(device)?, &link)
            .with_context(|| format!("linking {}", link.display()))?;
        Ok(Self {
            name,
            link: Some(link),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(link) = &self.link {
            let _ = fs::remove_file(link);
        }
    }
}

/// Finds `rsb_hub`: as told, else where [`installed`] finds it.
pub fn find(told: Option<PathBuf>) -> Result<PathBuf> {
    match told {
        Some(path) => Ok(path),
        None => installed("rsb_hub")?.context(
            "rsb_hub is not installed: cargo install rsbinder-tools, or name it with --hub",
        ),
    }
}

/// Finds a program beside this one, or else in `PATH`.
pub fn installed(name: &str) -> Result<Option<PathBuf>> {
    let own = std::env::current_exe()?;
    let beside = own.parent().map(Path::to_path_buf);
    let path = std::env::var_os("PATH").unwrap_or_default();
    Ok(beside
        .into_iter()
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file()))
}

// SPDX-License-Identifier: GPL-2.0

//! How long anything may take.
//!
//! Limits only tell a hang from a slow machine ([`patience`]); nothing is measured with them.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// For one step of one actor.
const STEP: Duration = Duration::from_secs(15);
/// For a whole case.
const CASE: Duration = Duration::from_secs(90);

/// A moment after which waiting has failed.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// For one step.
    pub fn step() -> Self {
        Self(Instant::now() + patience::at_most(STEP))
    }

    /// For a case.
    pub fn case() -> Self {
        Self(Instant::now() + patience::at_most(CASE))
    }

    /// Whether it has passed.
    pub fn passed(&self) -> bool {
        Instant::now() >= self.0
    }

    fn left(&self) -> PollTimeout {
        let left = self.0.saturating_duration_since(Instant::now());
        // Rounded up, so that the last turn does not spin.
        let milliseconds = left.as_millis().saturating_add(1).min(i32::MAX as u128) as i32;
        PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)
    }

    /// Waits until the descriptor can be read or is closed at the other end;
    /// false when the deadline passes first.
    pub fn wait_readable(&self, fd: BorrowedFd<'_>) -> nix::Result<bool> {
        self.wait_any(&mut [PollFd::new(fd, PollFlags::POLLIN)])
    }

    /// The same for whichever of two comes first.
    pub fn wait_either(&self, one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> nix::Result<bool> {
        self.wait_any(&mut [one, other].map(|fd| PollFd::new(fd, PollFlags::POLLIN)))
    }

    fn wait_any(&self, fds: &mut [PollFd<'_>]) -> nix::Result<bool> {
        loop {
            match poll(fds, self.left()) {
                Ok(0) if self.passed() => return Ok(false),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(true),
                Err(error) => return Err(error),
            }
        }
    }
}

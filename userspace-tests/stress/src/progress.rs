// SPDX-License-Identifier: GPL-2.0

//! What is shown while the run goes on.

use crate::board::{Board, Count};
use std::time::Duration;

/// The line that shows that something is going on.
pub struct Progress {
    name: String,
    time: Duration,
    last: Duration,
}

impl Progress {
    /// For a round of this length.
    pub fn new(name: &str, time: Duration) -> Self {
        Self {
            name: name.to_owned(),
            time,
            last: Duration::ZERO,
        }
    }

    /// Shows it, every five seconds and at the end.
    pub fn show(&mut self, board: &Board, now: Duration, kills: u64) {
        if now - self.last >= Duration::from_secs(5) || now >= self.time {
            self.last = now;
            let count = |what| board.total(what);
            println!(
                "{} {:>3}/{} s: {} calls, {} oneway, {} binders, {} files, {} deaths told, {} killed, {} violations",
                self.name,
                now.as_secs(),
                self.time.as_secs(),
                count(Count::Calls),
                count(Count::OnewayArrived),
                count(Count::Fresh),
                count(Count::FilesArrived),
                count(Count::DeathsTold),
                kills,
                board.violations(),
            );
        }
    }
}

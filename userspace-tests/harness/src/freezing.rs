// SPDX-License-Identifier: GPL-2.0

//! Freezing and thawing of processes, and what is told about it.

use crate::device::Transactions;
use crate::returns::Br;
use crate::thread::{Pending, Thread};
use crate::wire::{Argument, Request, Response};
use anyhow::{Result, bail, ensure};
use binder_abi::*;
use nix::errno::Errno;
use zerocopy::IntoBytes;

/// What `BINDER_GET_FROZEN_INFO` tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    /// Bit 0: calls were refused; bit 1: transactions are under way.
    pub sync: u32,
    /// Bit 0: oneway calls were queued.
    pub oneway: u32,
}

/// What [`Missed`] tells of nothing, and of one thing each.
impl Missed {
    /// Nothing happened.
    pub const NOTHING: Missed = Missed { sync: 0, oneway: 0 };
    /// A call was refused.
    pub const CALL: Missed = Missed { sync: 1, oneway: 0 };
    /// Something is under way.
    pub const PENDING: Missed = Missed { sync: 2, oneway: 0 };
    /// A oneway call was queued.
    pub const ONEWAY: Missed = Missed { sync: 0, oneway: 1 };

    /// One and the other.
    pub const fn and(self, other: Missed) -> Missed {
        Missed {
            sync: self.sync | other.sync,
            oneway: self.oneway | other.oneway,
        }
    }
}

impl Thread {
    /// `BINDER_FREEZE` with any arguments.
    pub fn freeze_with(&mut self, info: FreezeInfo) -> Result<Result<(), Errno>> {
        Ok(self.ioctl(BINDER_FREEZE, info)?.map(drop))
    }

    /// Freezes a process if it has nothing to do.
    pub fn freeze(&mut self, pid: i32) -> Result<Result<(), Errno>> {
        self.freeze_within(pid, 0)
    }

    /// Freezes a process; it may take this long to finish what it does.
    pub fn freeze_within(&mut self, pid: i32, timeout_ms: u32) -> Result<Result<(), Errno>> {
        self.freeze_with(freeze_info(pid, timeout_ms))
    }

    /// Begins to freeze a process, which may block.
    pub fn begin_freeze(&mut self, pid: i32, timeout_ms: u32) -> Result<Pending<'_>> {
        let info = freeze_info(pid, timeout_ms);
        let arguments = vec![
            Argument::Value(self.endpoint.fd as u64),
            Argument::Value(u64::from(BINDER_FREEZE)),
            Argument::Memory(info.as_bytes().to_vec()),
        ];
        self.begin(&Request::Syscall {
            number: libc::SYS_ioctl,
            arguments,
        })
    }

    /// Thaws a process.
    pub fn thaw(&mut self, pid: i32) -> Result<Result<(), Errno>> {
        self.freeze_with(FreezeInfo {
            enable: 0,
            ..freeze_info(pid, 0)
        })
    }

    /// What a process missed.
    pub fn missed(&mut self, pid: i32) -> Result<Result<Missed, Errno>> {
        let question = FrozenStatusInfo {
            pid: pid as u32,
            // What was there before must not be taken for an answer.
            sync_recv: u32::MAX,
            async_recv: u32::MAX,
        };
        let answer = self.ioctl(BINDER_GET_FROZEN_INFO, question)?;
        if let Ok(answer) = answer {
            ensure!(answer.pid == question.pid, "about another: {answer:?}");
        }
        Ok(answer.map(|info| Missed {
            sync: info.sync_recv,
            oneway: info.async_recv,
        }))
    }

    /// Waits for a notification about freezing, which has to be all that is read.
    pub fn told_frozen(&mut self) -> Result<(u64, bool)> {
        let returns = self.read()?;
        match returns.as_slice() {
            [Br::Plain(BR_NOOP), Br::Frozen(info)] if info.reserved == 0 && info.is_frozen < 2 => {
                Ok((info.cookie, info.is_frozen == 1))
            }
            _ => bail!("expected one notification about freezing, got {returns:?}"),
        }
    }
}

fn freeze_info(pid: i32, timeout_ms: u32) -> FreezeInfo {
    FreezeInfo {
        pid: pid as u32,
        enable: 1,
        timeout_ms,
    }
}

impl Pending<'_> {
    /// Waits for the end of a system call.
    pub fn status(self) -> Result<Result<i64, Errno>> {
        match self.finish()? {
            Response::Syscall { result, .. } if result < 0 => {
                Ok(Err(Errno::from_raw(-result as i32)))
            }
            Response::Syscall { result, .. } => Ok(Ok(result)),
            other => bail!("not the answer to a system call: {other:?}"),
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What a caller does against the rules, or against good manners: malformed calls, threads given up in the middle of things,
//! mappings removed under way. The driver must answer each in its own way, and lose nothing over it.

use crate::actions::Caller;
use crate::board::{Count, ThreadLine};
use crate::device::Device;
use crate::host::Outcome;
use crate::message::{Parcel, code};
use crate::side::Side;
use crate::talk::Talk;
use crate::worker;
use nix::errno::Errno;
use rand::{Rng, RngExt};
use std::num::NonZeroUsize;

impl Caller {
    /// Something that must be refused, with the right reason.
    pub(crate) fn bad_call(&mut self) {
        let Some((slot, peer)) = self.peer() else {
            return;
        };
        let fresh = self.fresh();
        let parcel = Self::with_binders(Parcel::new(self.numbers.next_u64(), 64, 0, 0), &fresh);
        let (handle, parcel, reason) = match self.numbers.random_range(0..6) {
            0 => (u32::MAX >> 1, parcel, Errno::EINVAL),
            1 => (
                peer.handle.number,
                parcel.file_number(u32::MAX >> 2),
                Errno::EBADF,
            ),
            5 => {
                // More than anybody has mapped.
                let mut parcel = parcel;
                parcel.data.resize(worker::MAPPING.get() + 8, 0);
                (peer.handle.number, parcel, Errno::ENOSPC)
            }
            2 => (
                peer.handle.number,
                parcel.handle(u32::MAX >> 1),
                Errno::EINVAL,
            ),
            3 => {
                let mut parcel = parcel;
                let beyond = parcel.data.len() as u64 + 8;
                parcel.offsets.push(beyond);
                (peer.handle.number, parcel, Errno::EFAULT)
            }
            _ => {
                let mut parcel = parcel;
                let again = parcel.offsets.last().copied().unwrap_or_default();
                parcel.offsets.push(again + 4);
                (peer.handle.number, parcel, Errno::EFAULT)
            }
        };
        match self.talk.call(handle, code::ECHO, &parcel) {
            Outcome::Failed(error) if error == reason => {
                self.talk.line.count(Count::BadCalls);
                if error == Errno::ENOSPC {
                    self.talk.line.count(Count::NoSpace);
                }
            }
            Outcome::Failed(Errno::ENOSPC) => self.talk.line.count(Count::NoSpace),
            Outcome::Failed(error) => {
                self.talk.line.violation(&format!(
                    "a malformed call was refused with {error}, not {reason}"
                ));
            }
            Outcome::Reply(_) => self
                .talk
                .line
                .violation(&format!("a malformed call, due {reason}, was answered")),
            outcome => {
                self.settle(slot, &peer, &parcel, outcome);
            }
        }
        fresh.iter().for_each(|&ptr| self.worker.nodes.sent(ptr));
    }

    pub(crate) fn vanish(&mut self) {
        let Some((slot, peer)) = self.peer() else {
            return;
        };
        let parcel = Parcel::new(self.numbers.next_u64(), 8, 0, 0);
        match self.talk.call(peer.handle.number, code::VANISH, &parcel) {
            // What the thread's leaving means for its caller.
            Outcome::Dead => self.talk.line.count(Count::DeadReplies),
            outcome => {
                self.settle(slot, &peer, &parcel, outcome);
            }
        }
    }

    pub(crate) fn abandon(&mut self) {
        let Some((_, peer)) = self.peer() else { return };
        let parcel = Parcel::new(self.numbers.next_u64(), 300, 300, 0);
        self.talk.flush();
        self.talk.abandon(peer.handle.number, code::ECHO, &parcel);
    }

    pub(crate) fn leave_thread(&mut self) {
        self.talk.flush();
        self.talk.leave_thread();
        self.talk.line.count(Count::ThreadExits);
    }

    /// Opens the device a second time, uses it, and removes its mapping before a reply can be delivered there.
    pub(crate) fn side(&mut self) {
        const SIZE: NonZeroUsize = NonZeroUsize::new(64 << 10).unwrap();
        if self.worker.plan.slot == 0 {
            // The context manager cannot call handle 0, by whichever file.
            return;
        }
        let line = self.talk.line;
        let device = match Device::open(&self.worker.plan.device, SIZE, false) {
            Ok(device) => device,
            Err(error) => return line.violation(&format!("opening the device again: {error:#}")),
        };
        let spare = ThreadLine::default();
        let mut talk = Talk::new(&device, line, &spare, &Side, false);
        let parcel = Parcel::new(self.numbers.next_u64(), 500, 500, 0);
        match talk.call(0, code::ECHO, &parcel) {
            Outcome::Reply(message) => {
                if let Err(error) = message.check_reply(&parcel) {
                    line.violation(&format!("on a second file: {error}"));
                }
            }
            Outcome::Dead | Outcome::Failed(Errno::ENOSPC) => return self.busy(),
            other => line.violation(&format!("a call on a second file ended with {other:?}")),
        }
        if let Err(error) = device.unmap() {
            return line.violation(&format!("munmap: {error:#}"));
        }
        // The call goes out, but there is no room any more for what comes back.
        match talk.call(0, code::ECHO, &parcel) {
            Outcome::Dead => line.count(Count::Unmapped),
            Outcome::Failed(Errno::ENOSPC) => self.busy(),
            other => line.violation(&format!("a call without a mapping ended with {other:?}")),
        }
        if self.numbers.random_bool(0.5) {
            talk.leave_thread();
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What a worker does when it is called, and when the driver tells it something.

use crate::board::Count;
use crate::books::{cookie_of, lock};
use crate::host::{Answer, Host, Luggage, Outcome};
use crate::message::{Message, Object, Parcel, code};
use crate::talk::Talk;
use crate::worker::{MAIN, Peer, Worker};
use binder_abi::{BC_DEAD_BINDER_DONE, BC_REGISTER_LOOPER, PtrCookie, TF_ONE_WAY, TransactionData};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{geteuid, pipe2, write};
use std::sync::atomic::Ordering;

/// In place of a depth: some process on the way died, or was full.
pub const LOST: u64 = 1 << 32;
/// Calls that serving threads may have under way to third parties. At least one looper must stay free of them in each
/// worker, or all workers could wait for one another for ever.
const FORWARDS: u32 = 2;

/// What came of a forwarded call.
pub mod forwarded {
    /// The third party answered.
    pub const ANSWERED: u64 = 0;
    /// It is dead, or had no space.
    pub const LOST: u64 = 1;
    /// Too many are under way.
    pub const BUSY: u64 = 2;
}

fn plain(message: &Message, a: u64, b: u64) -> Answer {
    Answer::Reply(Parcel::answer(message, 0, a, b), Luggage::default())
}

impl Worker {
    fn check_call(&self, call: &TransactionData, message: &Message) {
        if let Err(error) = message.check_call() {
            self.line
                .violation(&format!("call with code {}: {error}", call.code));
        }
        if !self.nodes.knows(call.target) || call.cookie != cookie_of(call.target) {
            self.line.violation(&format!(
                "called at {:#x} {:#x}, which is no binder here",
                call.target, call.cookie
            ));
        }
        let pid = u64::from(call.sender_pid.cast_unsigned());
        let named = if call.flags & TF_ONE_WAY != 0 {
            pid == 0
        } else {
            pid == message.header.pid || pid == 0
        };
        if !named || call.sender_euid != geteuid().as_raw() {
            let writer = message.header.pid;
            self.line.violation(&format!(
                "{writer} called, the driver says {pid}, user {}",
                call.sender_euid
            ));
        }
    }

    /// Calls back as deep as asked and tells how deep that went.
    fn nest(&'static self, talk: &mut Talk<'_>, message: &Message) -> u64 {
        let Some(depth) = message.header.a.checked_sub(1) else {
            return 0;
        };
        let Some(handle) = message.handles().next() else {
            self.line
                .violation(&format!("nothing to call back: {:?}", message.objects));
            return LOST;
        };
        let parcel = Parcel::new(self.fresh(), 24, depth, 0).binder(MAIN, cookie_of(MAIN));
        match talk.call(handle, code::NEST, &parcel) {
            Outcome::Reply(reply) => {
                if let Err(error) = reply.check_reply(&parcel) {
                    self.line.violation(&format!("nested: {error}"));
                }
                if reply.header.a >= LOST {
                    LOST
                } else {
                    reply.header.a + 1
                }
            }
            Outcome::Dead | Outcome::Failed(Errno::ENOSPC) => LOST,
            other => {
                self.line
                    .violation(&format!("a nested call ended with {other:?}"));
                LOST
            }
        }
    }

    /// Checks that a oneway call is the next one of its stream.
    fn note(&self, message: &Message) {
        let mut streams = lock(&self.streams);
        let last = streams.entry(message.header.a).or_default();
        if message.header.b != *last + 1 {
            self.line.violation(&format!(
                "oneway call {} of a stream after {last}",
                message.header.b
            ));
        }
        *last = message.header.b;
        self.line.count(Count::OnewayArrived);
    }

    /// Asks the owner of the binder in a call who it is.
    fn forward(&'static self, talk: &mut Talk<'_>, message: &Message) -> (u64, u64) {
        let handle = match message.objects.first() {
            Some(Object::Handle(handle)) => *handle,
            Some(Object::Own { ptr, cookie }) => {
                if !self.nodes.knows(*ptr) || *cookie != cookie_of(*ptr) {
                    self.line.violation(&format!(
                        "{ptr:#x} {cookie:#x} came home and is no binder here"
                    ));
                }
                self.line.count(Count::Home);
                return (self.identity(), forwarded::ANSWERED);
            }
            other => {
                self.line
                    .violation(&format!("nothing to forward to: {other:?}"));
                return (0, forwarded::LOST);
            }
        };
        if self.forwards.fetch_add(1, Ordering::AcqRel) >= FORWARDS {
            self.forwards.fetch_sub(1, Ordering::AcqRel);
            return (0, forwarded::BUSY);
        }
        let parcel = Parcel::new(self.fresh(), 40, 0, 0);
        let outcome = talk.call(handle, code::WHO, &parcel);
        self.forwards.fetch_sub(1, Ordering::AcqRel);
        match outcome {
            Outcome::Reply(reply) => {
                if let Err(error) = reply.check_reply(&parcel) {
                    self.line.violation(&format!("forwarded: {error}"));
                }
                (reply.header.a, forwarded::ANSWERED)
            }
            Outcome::Dead | Outcome::Failed(Errno::ENOSPC) => (0, forwarded::LOST),
            other => {
                self.line
                    .violation(&format!("a forwarded call ended with {other:?}"));
                (0, forwarded::LOST)
            }
        }
    }

    /// Writes the number it was given to the file it was given, and sends a file with the same number to read.
    fn files(&self, message: &mut Message) -> Answer {
        let token = message.header.a.to_le_bytes();
        let files = std::mem::take(&mut message.files);
        // The reader may be dead by now; what it did not get is checked by nobody.
        let _ = files.first().map(|file| write(file, &token));
        drop(files);
        match pipe2(OFlag::O_CLOEXEC) {
            Ok((reader, writer)) if write(&writer, &token).is_ok() => {
                self.line.count(Count::Files);
                let parcel = Parcel::answer(message, 0, 0, 0);
                use std::os::fd::AsFd;
                let parcel = parcel.file(reader.as_fd());
                Answer::Reply(
                    parcel,
                    Luggage {
                        files: vec![reader],
                        handles: Vec::new(),
                    },
                )
            }
            outcome => {
                self.line
                    .violation(&format!("no pipe to send: {outcome:?}"));
                plain(message, 0, 0)
            }
        }
    }

    fn enter_peer(&self, talk: &mut Talk<'_>, message: &Message) -> Answer {
        let slot = usize::try_from(message.header.a >> 32).unwrap_or(usize::MAX);
        let handle = message
            .handles()
            .next()
            .map(|number| self.keep(talk, number));
        match (lock(&self.directory).get_mut(slot), handle) {
            (Some(place), Some(handle)) => {
                *place = Some(Peer {
                    handle,
                    identity: message.header.a,
                })
            }
            _ => self.line.violation(&format!(
                "an entry that cannot be made: {:?}",
                message.objects
            )),
        }
        plain(message, 0, self.identity())
    }

    fn find_peer(&self, message: &Message) -> Answer {
        let slot = usize::try_from(message.header.a).unwrap_or(usize::MAX);
        if slot == self.plan.slot {
            let own = Parcel::answer(message, 0, self.identity(), self.identity());
            return Answer::Reply(own.binder(MAIN, cookie_of(MAIN)), Luggage::default());
        }
        let Some(peer) = lock(&self.directory).get(slot).cloned().flatten() else {
            return plain(message, 0, self.identity());
        };
        let parcel =
            Parcel::answer(message, 0, peer.identity, self.identity()).handle(peer.handle.number);
        Answer::Reply(
            parcel,
            Luggage {
                files: Vec::new(),
                handles: vec![peer.handle],
            },
        )
    }
}

impl Host for Worker {
    fn serve(
        &'static self,
        talk: &mut Talk<'_>,
        call: &TransactionData,
        mut message: Message,
    ) -> Answer {
        self.check_call(call, &message);
        match call.code {
            code::ECHO => {
                let size = usize::try_from(message.header.a).unwrap_or(0);
                Answer::Reply(Parcel::answer(&message, size, 0, 0), Luggage::default())
            }
            code::NEST => {
                let depth = self.nest(talk, &message);
                plain(&message, depth, 0)
            }
            code::NOTE => {
                self.note(&message);
                Answer::Nothing
            }
            code::RETURN => {
                let back = message
                    .handles()
                    .fold(Parcel::answer(&message, 0, 0, 0), Parcel::handle);
                Answer::Reply(back, Luggage::default())
            }
            code::KEEP => {
                let handles: Vec<_> = message.handles().collect();
                let kept: Vec<_> = handles
                    .iter()
                    .map(|&number| (self.keep(talk, number), message.header.a))
                    .collect();
                lock(&self.kept).extend(kept);
                plain(&message, 0, 0)
            }
            code::FORWARD => {
                let (identity, how) = self.forward(talk, &message);
                plain(&message, identity, how)
            }
            code::WHO => plain(&message, self.identity(), 0),
            code::FILES => self.files(&mut message),
            code::VANISH if talk.may_leave() => Answer::Vanish,
            code::VANISH => plain(&message, 0, 0),
            code::ENTER => self.enter_peer(talk, &message),
            code::FIND => self.find_peer(&message),
            unknown => {
                self.line.violation(&format!("called with code {unknown}"));
                plain(&message, 0, 0)
            }
        }
    }

    fn count_node(&'static self, what: u32, node: PtrCookie) {
        self.nodes.count(self.line, what, node);
    }

    fn binder_died(&'static self, talk: &mut Talk<'_>, cookie: u64) {
        talk.command(BC_DEAD_BINDER_DONE, &cookie);
        match self.deaths.told(self.board, self.line, cookie) {
            Some(handle) => talk.clear_death(handle, cookie),
            // Another thread took it back before: the confirmation comes to whoever confirms the
            // death, which is this one.
            None => talk.expect_confirmation(),
        }
    }

    fn death_cleared(&'static self, cookie: u64) {
        self.deaths.cleared(self.line, cookie);
    }

    fn spawn_looper(&'static self) {
        self.line.count(Count::Spawned);
        self.start_looper(BC_REGISTER_LOOPER);
    }

    fn unused_handles(&'static self) -> Vec<u32> {
        self.unused.take()
    }
}

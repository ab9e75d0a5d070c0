// SPDX-License-Identifier: GPL-2.0

//! A thread that makes calls: what it does, chosen at random, and what must come of it. What goes against the rules is in
//! [`misuse`](crate::misuse).

use crate::board::{Count, phase};
use crate::books::{Handle, cookie_of, lock};
use crate::host::Outcome;
use crate::message::{Message, Object, Parcel, Random, code};
use crate::serve::{LOST, forwarded};
use crate::talk::Talk;
use crate::worker::{MAIN, Peer, Worker};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{pipe2, read};
use rand::{Rng, RngExt};
use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// Handles a worker keeps for later.
const KEPT: usize = 24;

/// A thread that makes calls.
pub struct Caller {
    pub(crate) worker: &'static Worker,
    pub(crate) talk: Talk<'static>,
    pub(crate) numbers: Random,
    number: usize,
    generation: u64,
    /// Streams of oneway calls, by target: name and last number.
    streams: HashMap<u64, (u64, u64)>,
}

impl Caller {
    /// A caller that draws from these numbers.
    pub fn new(
        worker: &'static Worker,
        talk: Talk<'static>,
        numbers: Random,
        number: usize,
        generation: u64,
    ) -> Self {
        Self {
            worker,
            talk,
            numbers,
            number,
            generation,
            streams: HashMap::new(),
        }
    }

    /// Acts until the time for that is over, or this thread gives its place to another one.
    pub fn run(mut self) {
        if self.number == 0 {
            self.worker.enter(&mut self.talk);
        }
        while self.worker.board.phase() == phase::WORK {
            if self.numbers.random_ratio(1, 400) {
                return self.retire();
            }
            self.act();
        }
        // What it owes must be written; whether the driver is told of the thread's end must not matter.
        self.talk.flush();
        if self.numbers.random_bool(0.5) {
            self.talk.leave_thread();
        }
    }

    /// Gives up this thread for a new one.
    fn retire(mut self) {
        self.talk.flush();
        if self.numbers.random_bool(0.7) {
            self.talk.leave_thread();
        }
        self.talk.line.count(Count::ThreadExits);
        self.worker.start_caller(self.number, self.generation + 1);
    }

    fn act(&mut self) {
        match self.numbers.random_range(0..100) {
            0..25 => self.echo(),
            25..36 => self.nest(),
            36..47 => self.notes(),
            47..57 => self.send_and_return(),
            57..63 => self.send_to_keep(),
            63..67 => self.call_kept(),
            67..72 => self.drop_kept(),
            72..79 => self.forward(),
            79..86 => self.files(),
            86..90 => self.request_death(),
            90..92 => self.take_death_back(),
            92..95 => self.bad_call(),
            95..97 => self.vanish(),
            97 => self.abandon(),
            98 => self.leave_thread(),
            _ => {
                self.talk.begin(code::ECHO);
                self.side();
                self.talk.end();
            }
        }
    }

    pub(crate) fn busy(&mut self) {
        self.talk.line.count(Count::Busy);
        std::thread::sleep(Duration::from_millis(self.numbers.random_range(0..4)));
    }

    /// Some other worker.
    pub(crate) fn peer(&mut self) -> Option<(usize, Peer)> {
        let others = self.worker.plan.workers - 1;
        let slot = (self.worker.plan.slot + 1 + self.numbers.random_range(0..others))
            % self.worker.plan.workers;
        let peer = self.worker.look_up(&mut self.talk, slot);
        if peer.is_none() {
            self.busy();
        }
        Some((slot, peer?))
    }

    /// A size of data: mostly small, sometimes many pages.
    fn size(&mut self) -> usize {
        match self.numbers.random_range(0..20) {
            0..12 => self.numbers.random_range(0..256),
            12..17 => self.numbers.random_range(0..4096),
            17..19 => self.numbers.random_range(0..32 << 10),
            _ => self.numbers.random_range(0..90 << 10),
        }
    }

    /// Sorts out how a call to a peer ended and returns the reply, checked.
    pub(crate) fn settle(
        &mut self,
        slot: usize,
        peer: &Peer,
        parcel: &Parcel,
        outcome: Outcome,
    ) -> Option<Message> {
        match outcome {
            Outcome::Reply(message) => {
                if let Err(error) = message.check_reply(parcel) {
                    self.talk.line.violation(&error);
                }
                return Some(message);
            }
            Outcome::Dead => {
                self.talk.line.count(Count::DeadReplies);
                self.worker.board.check_dead(self.talk.line, peer.identity);
                self.worker.forget(slot, peer.identity);
                // Its successor takes a moment to appear.
                self.busy();
            }
            Outcome::Failed(Errno::ENOSPC) => self.talk.line.count(Count::NoSpace),
            other => self
                .talk
                .line
                .violation(&format!("a call to worker {slot} ended with {other:?}")),
        }
        None
    }

    fn echo(&mut self) {
        let Some((slot, peer)) = self.peer() else {
            return;
        };
        let (there, back) = (self.size(), self.size());
        let parcel = Parcel::new(self.numbers.next_u64(), there, back as u64, 0);
        let outcome = self.talk.call(peer.handle.number, code::ECHO, &parcel);
        if let Some(message) = self.settle(slot, &peer, &parcel, outcome)
            && message.header.size != back as u64
        {
            self.talk.line.violation(&format!(
                "asked for {back} bytes, got {}",
                message.header.size
            ));
        }
    }

    fn nest(&mut self) {
        let Some((slot, peer)) = self.peer() else {
            return;
        };
        let depth = self.numbers.random_range(0..8);
        let parcel =
            Parcel::new(self.numbers.next_u64(), 100, depth, 0).binder(MAIN, cookie_of(MAIN));
        let outcome = self.talk.call(peer.handle.number, code::NEST, &parcel);
        match self
            .settle(slot, &peer, &parcel, outcome)
            .map(|message| message.header.a)
        {
            Some(LOST) => self.busy(),
            Some(reached) if reached != depth => {
                self.talk
                    .line
                    .violation(&format!("went {reached} deep instead of {depth}"));
            }
            _ => {}
        }
    }

    fn notes(&mut self) {
        let Some((slot, peer)) = self.peer() else {
            return;
        };
        for _ in 0..self.numbers.random_range(1..8) {
            let name = self.worker.unique();
            let &mut (stream, last) = self.streams.entry(peer.identity).or_insert((name, 0));
            let size = self.numbers.random_range(0..2000);
            let mut parcel = Parcel::new(self.numbers.next_u64(), size, stream, last + 1);
            if self.numbers.random_ratio(1, 10) {
                parcel = parcel.file(self.worker.canary.as_fd());
                self.talk.line.count(Count::Files);
            }
            match self.talk.oneway(peer.handle.number, code::NOTE, &parcel) {
                Outcome::Sent => {
                    self.talk.line.count(Count::Oneway);
                    self.streams.insert(peer.identity, (stream, last + 1));
                }
                outcome => {
                    self.settle(slot, &peer, &parcel, outcome);
                    return;
                }
            }
        }
    }

    /// Names for new binders, written in the books as being sent.
    pub(crate) fn fresh(&mut self) -> Vec<u64> {
        let fresh: Vec<_> = (0..self.numbers.random_range(1..4))
            .map(|_| self.worker.fresh())
            .collect();
        fresh.iter().for_each(|&ptr| self.worker.nodes.sending(ptr));
        self.talk.line.add(Count::Fresh, fresh.len() as u64);
        fresh
    }

    pub(crate) fn with_binders(parcel: Parcel, binders: &[u64]) -> Parcel {
        binders
            .iter()
            .fold(parcel, |parcel, &ptr| parcel.binder(ptr, cookie_of(ptr)))
    }

    fn send_and_return(&mut self) {
        let Some((slot, peer)) = self.peer() else {
            return;
        };
        let fresh = self.fresh();
        let parcel = Self::with_binders(Parcel::new(self.numbers.next_u64(), 50, 0, 0), &fresh);
        let outcome = self.talk.call(peer.handle.number, code::RETURN, &parcel);
        if let Some(message) = self.settle(slot, &peer, &parcel, outcome) {
            let expected: Vec<_> = fresh
                .iter()
                .map(|&ptr| Object::Own {
                    ptr,
                    cookie: cookie_of(ptr),
                })
                .collect();
            if message.objects != expected {
                self.talk.line.violation(&format!(
                    "sent {expected:x?}, {:x?} came back",
                    message.objects
                ));
            }
            self.talk.line.add(Count::Home, fresh.len() as u64);
        }
        fresh.iter().for_each(|&ptr| self.worker.nodes.sent(ptr));
    }

    fn send_to_keep(&mut self) {
        let Some((slot, peer)) = self.peer() else {
            return;
        };
        let fresh = self.fresh();
        let parcel = Parcel::new(self.numbers.next_u64(), 10, self.worker.identity(), 0);
        let parcel = Self::with_binders(parcel, &fresh);
        let outcome = self.talk.call(peer.handle.number, code::KEEP, &parcel);
        self.settle(slot, &peer, &parcel, outcome);
        fresh.iter().for_each(|&ptr| self.worker.nodes.sent(ptr));
    }

    /// One of the handles kept, with the identity of its owner.
    fn kept(&mut self) -> Option<(Arc<Handle>, u64)> {
        let kept = lock(&self.worker.kept);
        let place = (self.numbers.next_u64() as usize).checked_rem(kept.len())?;
        kept.get(place).cloned()
    }

    fn call_kept(&mut self) {
        let Some((handle, identity)) = self.kept() else {
            return;
        };
        let parcel = Parcel::new(self.numbers.next_u64(), 30, 0, 0);
        let outcome = self.talk.call(handle.number, code::WHO, &parcel);
        let peer = Peer { handle, identity };
        let slot = usize::try_from(identity >> 32).unwrap_or_default();
        if let Some(message) = self.settle(slot, &peer, &parcel, outcome)
            && message.header.a != identity
        {
            self.talk.line.violation(&format!(
                "called {identity:#x}, {:#x} answered",
                message.header.a
            ));
        }
    }

    fn drop_kept(&mut self) {
        let mut kept = lock(&self.worker.kept);
        let excess = kept.len().saturating_sub(KEPT);
        let some = self.numbers.random_range(0..4).min(kept.len());
        kept.drain(..some.max(excess));
    }

    fn forward(&mut self) {
        let Some((slot, peer)) = self.peer() else {
            return;
        };
        let third = if self.numbers.random_bool(0.5) {
            self.kept()
        } else {
            self.peer().map(|(_, peer)| (peer.handle, peer.identity))
        };
        let Some((third, identity)) = third else {
            return;
        };
        let parcel = Parcel::new(self.numbers.next_u64(), 60, 0, 0).handle(third.number);
        let outcome = self.talk.call(peer.handle.number, code::FORWARD, &parcel);
        let Some(message) = self.settle(slot, &peer, &parcel, outcome) else {
            return;
        };
        match message.header.b {
            forwarded::ANSWERED if message.header.a == identity => {
                self.talk.line.count(Count::Forwarded)
            }
            forwarded::ANSWERED => {
                let who = message.header.a;
                self.talk.line.violation(&format!(
                    "forwarded a binder of {identity:#x}, {who:#x} answered"
                ));
            }
            _ => self.busy(),
        }
    }

    fn files(&mut self) {
        let Some((slot, peer)) = self.peer() else {
            return;
        };
        let Ok((reader, writer)) = pipe2(OFlag::O_CLOEXEC) else {
            return self.busy();
        };
        let token = self.numbers.next_u64();
        let parcel = Parcel::new(self.numbers.next_u64(), 20, token, 0);
        let parcel = parcel.file(writer.as_fd()).file(self.worker.canary.as_fd());
        self.talk.line.add(Count::Files, 2);
        let outcome = self.talk.call(peer.handle.number, code::FILES, &parcel);
        drop(writer);
        if let Some(message) = self.settle(slot, &peer, &parcel, outcome) {
            self.expect(&reader, Some(token));
            match message.files.as_slice() {
                [file] => self.expect(file, Some(token)),
                files => self
                    .talk
                    .line
                    .violation(&format!("{} files came back", files.len())),
            }
        }
        // Whether it was written to or not: nobody has it open any more, soon.
        self.expect(&reader, None);
    }

    /// Expects a number in a pipe, or its end.
    fn expect(&self, pipe: &OwnedFd, token: Option<u64>) {
        let mut bytes = [0; 8];
        let mut ready = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        let limit = PollTimeout::try_from(patience::seconds(20)).unwrap_or(PollTimeout::MAX);
        let seen = match poll(&mut ready, limit) {
            Ok(0) => {
                return self
                    .talk
                    .line
                    .violation("a pipe whose other end was sent is neither written to nor closed");
            }
            Ok(_) => read(pipe, &mut bytes),
            Err(error) => Err(error),
        };
        match (seen, token) {
            (Ok(0), None) => {}
            (Ok(8), Some(token)) if bytes == token.to_le_bytes() => {}
            // The call failed after the other side had written.
            (Ok(8), None) => self.expect(pipe, None),
            (seen, token) => self.talk.line.violation(&format!(
                "read {seen:?} {bytes:x?} from a pipe instead of {token:x?}"
            )),
        }
    }

    fn request_death(&mut self) {
        let target = if self.numbers.random_bool(0.3) {
            self.kept()
                .map(|(handle, identity)| Peer { handle, identity })
        } else {
            self.peer().map(|(_, peer)| peer)
        };
        if let Some(peer) = target {
            self.worker.request_death(&mut self.talk, &peer);
        }
    }

    fn take_death_back(&mut self) {
        if let Some((handle, cookie)) = self.worker.deaths.take_back(self.numbers.next_u64()) {
            self.talk.clear_death(handle, cookie);
            self.talk.flush();
        }
    }
}

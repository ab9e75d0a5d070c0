// SPDX-License-Identifier: GPL-2.0

//! A worker process: its threads, what it serves, and how it winds up.

use crate::actions::Caller;
use crate::board::{Board, Count, MAX_THREADS, WorkerLine, phase};
use crate::books::{Deaths, Handle, Nodes, Unused, cookie_of, lock};
use crate::device::Device;
use crate::host::Outcome;
use crate::message::{Parcel, code, random};
use crate::talk::Talk;
use anyhow::{Context, Result};
use binder_abi::*;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The binder every worker offers.
pub const MAIN: u64 = 0x10;
/// The binder of the context manager.
pub const DIRECTORY: u64 = 0x20;
/// Small enough to be full at times.
pub const MAPPING: NonZeroUsize = NonZeroUsize::new(128 << 10).unwrap();
/// Looper threads the driver may ask for.
const SPAWNABLE: u32 = 3;
/// How long winding up may take.
fn patience() -> Duration {
    patience::seconds(20)
}

/// What a worker is to be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Device to use.
    pub device: PathBuf,
    /// Seed of the run.
    pub seed: u64,
    /// Which worker this is; 0 is the context manager.
    pub slot: usize,
    /// How many workers there are.
    pub workers: usize,
    /// How many threads make calls.
    pub callers: usize,
}

/// Another worker, as it was found.
#[derive(Clone)]
pub struct Peer {
    /// Its main binder.
    pub handle: Arc<Handle>,
    /// Its number and how often it had been started.
    pub identity: u64,
}

/// A worker.
pub struct Worker {
    /// What it is to be.
    pub plan: Plan,
    /// The shared board.
    pub board: &'static Board,
    /// Its line on it.
    pub line: &'static WorkerLine,
    /// The device.
    pub device: Device,
    /// Its binders.
    pub nodes: Nodes,
    /// Handles to be released.
    pub unused: &'static Unused,
    /// Deaths it asked about.
    pub deaths: Deaths,
    /// Handles it was given to keep, with the identity of their owner or 0.
    pub kept: Mutex<Vec<(Arc<Handle>, u64)>>,
    /// The workers it knows.
    pub peers: Mutex<Vec<Option<Peer>>>,
    /// A file whose other end the supervisor watches.
    pub canary: OwnedFd,
    /// How often this worker was started.
    pub incarnation: u32,
    /// Which start of the directory this worker is entered with.
    pub entered: AtomicU64,
    numbers: AtomicU64,
    /// The workers, if this is the context manager.
    pub directory: Mutex<Vec<Option<Peer>>>,
    /// Last number seen of each stream of oneway calls.
    pub streams: Mutex<HashMap<u64, u64>>,
    /// Calls to third parties made while serving.
    pub forwards: AtomicU32,
    loopers: AtomicU32,
}

/// Runs a worker to its end; never returns on the error-free way.
pub fn run(plan: Plan, board: &'static Board, canary: OwnedFd) -> Result<()> {
    let line = board
        .workers
        .get(plan.slot)
        .context("more workers than lines on the board")?;
    let nonblocking = plan.slot % 3 == 2;
    let device = Device::open(&plan.device, MAPPING, nonblocking)?;
    device.ioctl(BINDER_SET_MAX_THREADS, &mut SPAWNABLE.clone())?;
    line.files_before.store(open_files()?, Ordering::Relaxed);
    let worker: &'static Worker = Box::leak(Box::new(Worker {
        board,
        line,
        device,
        nodes: Nodes::default(),
        unused: Box::leak(Box::default()),
        deaths: Deaths::default(),
        kept: Mutex::default(),
        peers: Mutex::new(vec![None; plan.workers]),
        canary,
        incarnation: line.incarnation.load(Ordering::Relaxed),
        entered: AtomicU64::new(0),
        numbers: AtomicU64::new(0x1000),
        directory: Mutex::new(vec![None; plan.workers]),
        streams: Mutex::default(),
        forwards: AtomicU32::new(0),
        loopers: AtomicU32::new(0),
        plan,
    }));
    worker.live()
}

impl Worker {
    /// Its number and incarnation in one word, never 0.
    pub fn identity(&self) -> u64 {
        ((self.plan.slot as u64) << 32) | u64::from(self.incarnation)
    }

    /// A number nobody else in this process has.
    pub fn fresh(&self) -> u64 {
        self.numbers.fetch_add(0x10, Ordering::Relaxed)
    }

    /// A number nobody else in the whole run has.
    pub fn unique(&self) -> u64 {
        ((self.plan.slot as u64) << 56) | (u64::from(self.incarnation) << 32) | self.fresh()
    }

    /// Whether threads of this process wait by epoll.
    pub fn nonblocking(&self) -> bool {
        self.plan.slot % 3 == 2
    }

    /// A conversation for the calling thread, shown at this place of the board.
    pub fn talk(&'static self, place: usize) -> Result<Talk<'static>> {
        let thread = self
            .line
            .threads
            .get(place)
            .context("more threads than lines on the board")?;
        Ok(Talk::new(
            &self.device,
            self.line,
            thread,
            self,
            self.nonblocking(),
        ))
    }

    /// Counts a handle of a message up, so that it outlives the message's buffer.
    pub fn keep(&self, talk: &mut Talk<'_>, number: u32) -> Arc<Handle> {
        talk.command(BC_ACQUIRE, &number);
        // Before anybody can find the count superfluous and take it back.
        talk.flush();
        Handle::counted(number, self.unused)
    }

    fn live(&'static self) -> Result<()> {
        // Sent again and again: never forgotten.
        self.nodes.sending(MAIN);
        if self.plan.slot == 0 {
            let mut node = FlatObject {
                hdr: ObjectHeader {
                    kind: BINDER_TYPE_BINDER,
                },
                flags: FLAT_BINDER_FLAG_ACCEPTS_FDS,
                binder: DIRECTORY,
                cookie: cookie_of(DIRECTORY),
            };
            self.nodes.sending(DIRECTORY);
            self.become_manager(&mut node)?;
        }
        self.start_looper(BC_ENTER_LOOPER);
        self.start_looper(BC_ENTER_LOOPER);
        for number in 0..self.plan.callers {
            self.start_caller(number, 0);
        }
        let mut talk = self.talk(MAX_THREADS - 1)?;
        while self.board.phase() < phase::DRAIN || self.line.callers.load(Ordering::Acquire) > 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.wind_up(&mut talk);
        self.line.drained.store(1, Ordering::Release);
        if self.board.survivor.load(Ordering::Relaxed) as usize == self.plan.slot {
            self.await_phase(phase::NOTICE);
            self.ask_for_deaths(&mut talk)?;
            self.line.drained.store(2, Ordering::Release);
        }
        while self.board.phase() < phase::LEAVE {
            self.line
                .deaths_due
                .store(u32::try_from(self.deaths.open())?, Ordering::Relaxed);
            self.line
                .nodes_held
                .store(u32::try_from(self.nodes.held())?, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(5));
        }
        if self.nodes.held() > 0 || self.deaths.open() > 0 {
            self.line.violation(&format!(
                "at the end: {}; {} deaths not settled",
                self.nodes.describe(),
                self.deaths.open()
            ));
        }
        self.line
            .nodes_known
            .store(self.known_nodes()?, Ordering::Relaxed);
        self.line
            .files_after
            .store(open_files()?, Ordering::Relaxed);
        Ok(())
    }

    /// Takes handle 0, once the driver is done with whoever had it before.
    fn become_manager(&self, node: &mut FlatObject) -> Result<()> {
        let start = Instant::now();
        loop {
            match self.device.ioctl(BINDER_SET_CONTEXT_MGR_EXT, node) {
                Err(nix::errno::Errno::EBUSY) if start.elapsed() < patience() => {
                    std::thread::sleep(Duration::from_millis(1))
                }
                outcome => return outcome.context("becoming the context manager"),
            }
        }
    }

    /// Starts a thread that serves calls, beginning with this command.
    pub fn start_looper(&'static self, enter: u32) {
        let number = self.loopers.fetch_add(1, Ordering::Relaxed) as usize;
        let place = self.plan.callers + number;
        let looper = move || match self.talk(place) {
            Ok(mut talk) => talk.run_looper(enter),
            Err(error) => self.line.violation(&format!("looper {number}: {error}")),
        };
        // A thread that cannot be had is no fault of the driver's; the others serve on.
        let _ = std::thread::Builder::new().spawn(looper);
    }

    /// Starts a thread that makes calls; `generation` tells it from those that had this place before.
    pub fn start_caller(&'static self, number: usize, generation: u64) {
        self.line.callers.fetch_add(1, Ordering::AcqRel);
        let caller = move || {
            let numbers = random(&[self.plan.seed, self.identity(), number as u64, generation]);
            match self.talk(number) {
                Ok(talk) => Caller::new(self, talk, numbers, number, generation).run(),
                Err(error) => self.line.violation(&format!("caller {number}: {error}")),
            }
            self.line.callers.fetch_sub(1, Ordering::AcqRel);
        };
        if std::thread::Builder::new().spawn(caller).is_err() {
            self.line.callers.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn await_phase(&self, phase: u32) {
        while self.board.phase() < phase {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Gives back what this worker holds.
    fn wind_up(&'static self, talk: &mut Talk<'_>) {
        let start = Instant::now();
        // It may have been started after the directory, or too late to have made a call; or before,
        // and there is no directory yet.
        let mut entered = self.enter(talk);
        while !entered && start.elapsed() < patience() {
            std::thread::sleep(Duration::from_millis(2));
            entered = self.enter(talk);
        }
        if !entered {
            self.line.violation("the directory does not answer");
        }
        lock(&self.kept).clear();
        lock(&self.peers).fill(None);
        while let Some((handle, cookie)) = self.deaths.take_back(0) {
            talk.clear_death(handle, cookie);
        }
        while self.deaths.open() > 0 && start.elapsed() < patience() {
            self.release_unused(talk);
            std::thread::sleep(Duration::from_millis(2));
        }
        if self.deaths.open() > 0 {
            self.line.violation(&format!(
                "{} requests for a death notice taken back, not confirmed",
                self.deaths.open()
            ));
        }
        self.release_unused(talk);
    }

    /// Asks to be told of the death of everybody else.
    fn ask_for_deaths(&'static self, talk: &mut Talk<'_>) -> Result<()> {
        for slot in (0..self.plan.workers).filter(|&slot| slot != self.plan.slot) {
            let Some(peer) = self.look_up(talk, slot) else {
                continue;
            };
            self.request_death(talk, &peer);
        }
        lock(&self.peers).fill(None);
        self.line
            .deaths_due
            .store(u32::try_from(self.deaths.open())?, Ordering::Relaxed);
        self.release_unused(talk);
        Ok(())
    }

    /// Asks to be told of a death, unless that was done already.
    pub fn request_death(&self, talk: &mut Talk<'_>, peer: &Peer) {
        let (handle, cookie) = (peer.handle.number, self.fresh());
        if self.deaths.request(&peer.handle, cookie, peer.identity) {
            talk.command(
                BC_REQUEST_DEATH_NOTIFICATION,
                &HandleCookie { handle, cookie },
            );
            talk.flush();
            self.deaths.made(cookie);
            self.line.count(Count::DeathsRequested);
        }
    }

    fn release_unused(&self, talk: &mut Talk<'_>) {
        for handle in self.unused.take() {
            talk.command(BC_RELEASE, &handle);
        }
        talk.flush();
    }

    /// Number of this process's binders the driver knows.
    fn known_nodes(&self) -> Result<u32> {
        let mut known = 0;
        let mut node = NodeDebugInfo::default();
        loop {
            self.device
                .ioctl(BINDER_GET_NODE_DEBUG_INFO, &mut node)
                .context("walking the binders")?;
            if node.ptr == 0 {
                return Ok(known);
            }
            known += 1;
        }
    }

    /// Finds another worker: as remembered, or by asking the directory.
    pub fn look_up(&'static self, talk: &mut Talk<'_>, slot: usize) -> Option<Peer> {
        if let Some(peer) = lock(&self.peers).get(slot).cloned().flatten() {
            return Some(peer);
        }
        let peer = if self.plan.slot == 0 {
            lock(&self.directory).get(slot).cloned().flatten()
        } else {
            self.ask(talk, slot)
        }?;
        if let Some(place) = lock(&self.peers).get_mut(slot) {
            *place = Some(peer.clone());
        }
        Some(peer)
    }

    /// Forgets a worker that turned out to be dead.
    pub fn forget(&self, slot: usize, identity: u64) {
        if let Some(place) = lock(&self.peers).get_mut(slot)
            && place.as_ref().is_some_and(|peer| peer.identity == identity)
        {
            *place = None;
        }
    }

    fn ask(&'static self, talk: &mut Talk<'_>, slot: usize) -> Option<Peer> {
        let parcel = Parcel::new(self.fresh(), 0, slot as u64, 0);
        let mut handle = None;
        let outcome = talk.call_and(0, code::FIND, &parcel, |talk, message| {
            handle = message
                .handles()
                .next()
                .map(|number| self.keep(talk, number));
        });
        let Outcome::Reply(message) = outcome else {
            return None;
        };
        if let Err(error) = message.check_reply(&parcel) {
            self.line.violation(&format!("directory: {error}"));
        }
        if message.header.b != self.entered.load(Ordering::Relaxed) {
            self.enter(talk);
        }
        Some(Peer {
            handle: handle?,
            identity: message.header.a,
        })
    }

    /// Enters this worker in the directory; says whether it stands there.
    pub fn enter(&'static self, talk: &mut Talk<'_>) -> bool {
        if self.plan.slot == 0 {
            return true;
        }
        let parcel = Parcel::new(self.fresh(), 0, self.identity(), 0).binder(MAIN, cookie_of(MAIN));
        let Outcome::Reply(message) = talk.call(0, code::ENTER, &parcel) else {
            return false;
        };
        self.entered.store(message.header.b, Ordering::Relaxed);
        true
    }
}

/// Number of files this process has open.
fn open_files() -> Result<u32> {
    // The directory itself is open while it is counted.
    Ok(u32::try_from(std::fs::read_dir("/proc/self/fd")?.count())?.saturating_sub(1))
}

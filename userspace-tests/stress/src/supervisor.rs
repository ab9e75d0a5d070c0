// SPDX-License-Identifier: GPL-2.0

//! Starts the workers, kills and restarts them at random, watches that nothing hangs, and shuts everything down in order.

use crate::Options;
use crate::board::{Board, Count, WorkerLine, phase};
use crate::device::Device;
use crate::message::{Random, random};
use crate::progress::Progress;
use crate::report::Report;
use crate::worker::{self, Plan};
use anyhow::{Context, Result, bail};
use binder_abi::BINDER_SET_CONTEXT_MGR;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, pipe2};
use rand::RngExt;
use std::fs;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The worker that outlives the others. It waits in `BINDER_WRITE_READ`, so has no files open beyond its own.
const SURVIVOR: usize = 1;
/// How long each step of shutting down may take, beyond a single call.
fn patience() -> Duration {
    patience::seconds(30)
}
/// How often the supervisor looks around.
const TICK: Duration = Duration::from_millis(10);

/// See the module. It must stay the only thread of its process, since it forks.
pub struct Supervisor {
    options: Options,
    board: &'static Board,
    workers: Vec<State>,
    kills: u64,
    stuck: u64,
    strays: Vec<String>,
    rounds: u64,
}

/// What became of a worker's process.
enum State {
    Running(Pid),
    /// Killed; to be started again at this time.
    Waiting(Instant),
    Gone,
}

impl Supervisor {
    /// A supervisor without workers.
    pub fn new(options: Options, board: &'static Board) -> Self {
        let workers = (0..options.workers).map(|_| State::Gone).collect();
        Self {
            options,
            board,
            workers,
            kills: 0,
            stuck: 0,
            strays: Vec::new(),
            rounds: 0,
        }
    }

    /// Processes killed so far.
    pub fn kills(&self) -> u64 {
        self.kills
    }

    /// Works for some time, then shuts down and checks that nothing is left.
    pub fn round(&mut self, name: &str, time: Duration, report: &mut Report) -> Result<()> {
        let (watched, canary) = pipe2(OFlag::O_CLOEXEC)?;
        let mut numbers = random(&[self.options.seed, 0x6b69_6c6c, self.rounds]);
        self.rounds += 1;
        self.board
            .survivor
            .store(SURVIVOR as u32, Ordering::Relaxed);
        self.board.enter(phase::WORK);
        let violations = self.board.violations();
        for slot in 0..self.workers.len() {
            self.start(slot, &canary)?;
        }
        self.work(name, time, &canary, &mut numbers)?;
        let outcome = self.shut_down(canary, &watched);
        // Whatever went wrong, nobody stays.
        for slot in 0..self.workers.len() {
            self.kill(slot)?;
        }
        // Those of shutting down are found only now.
        let violations = self.board.violations() - violations;
        let line = self.line(SURVIVOR);
        let number = |number: &std::sync::atomic::AtomicU32| number.load(Ordering::Relaxed);
        let (before, after) = (number(&line.files_before), number(&line.files_after));
        report.check(
            &format!("{name}: every answer was right"),
            match violations {
                0 => Ok(format!(
                    "{} calls, {} bytes",
                    self.board.total(Count::Calls),
                    self.board.total(Count::Bytes)
                )),
                count => Err(format!("{count} violations, see above")),
            },
        );
        report.check(
            &format!("{name}: nothing hung"),
            match self.stuck {
                0 => Ok(String::new()),
                count => Err(format!("{count} threads were stuck, see above")),
            },
        );
        report.check(
            &format!("{name}: no process ended by itself"),
            match self.strays.as_slice() {
                [] => Ok(format!("{} killed so far", self.kills)),
                strays => Err(strays.join("; ")),
            },
        );
        let reached = outcome
            .as_ref()
            .map_or_else(|(step, _)| *step, |()| Step::Done);
        let broke = |step: Step| match &outcome {
            Err((at, error)) if *at == step => Err(format!("{error:#}")),
            _ if reached < step => Err("not reached".to_owned()),
            _ => Ok(String::new()),
        };
        report.check(
            &format!("{name}: every call came to an end"),
            broke(Step::Finish),
        );
        report.check(
            &format!("{name}: every request was confirmed"),
            broke(Step::Drain),
        );
        report.check(
            &format!("{name}: every death was told, every binder released"),
            broke(Step::Deaths),
        );
        report.check(
            &format!("{name}: the survivor left in order"),
            broke(Step::Leave).and_then(|_| {
                let known = number(&line.nodes_known);
                if known == 0 {
                    Ok(String::new())
                } else {
                    Err(format!("the driver still knew {known} of its binders"))
                }
            }),
        );
        report.check(
            &format!("{name}: no file was left open in it"),
            broke(Step::Leave).and_then(|_| {
                let words = format!("{before} before, {after} after");
                if before == after {
                    Ok(words)
                } else {
                    Err(words)
                }
            }),
        );
        report.check(
            &format!("{name}: every file sent was closed"),
            broke(Step::Files),
        );
        report.check(
            &format!("{name}: the device is free again"),
            broke(Step::Device),
        );
        Ok(())
    }

    fn line(&self, slot: usize) -> &'static WorkerLine {
        // The options allow no more workers than there are lines.
        self.board
            .workers
            .get(slot)
            .unwrap_or(&self.board.workers[0])
    }

    fn start(&mut self, slot: usize, canary: &OwnedFd) -> Result<()> {
        let line = self.line(slot);
        line.restart();
        let plan = Plan {
            device: self.options.device.clone(),
            seed: self.options.seed,
            slot,
            workers: self.workers.len(),
            callers: self.options.callers.into(),
        };
        let canary = canary.try_clone()?;
        // SAFETY: this process has one thread.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => self.workers[slot] = State::Running(child),
            ForkResult::Child => {
                let outcome = set_pdeathsig(Signal::SIGKILL)
                    .map_err(Into::into)
                    .and_then(|()| worker::run(plan, self.board, canary));
                if let Err(error) = &outcome {
                    line.violation(&format!("worker {slot}: {error:#}"));
                }
                // SAFETY: leaves without running what is registered for the end of the supervisor.
                unsafe { libc::_exit(i32::from(outcome.is_err())) }
            }
        }
        Ok(())
    }

    /// Kills a worker and waits until it is gone.
    fn kill(&mut self, slot: usize) -> Result<()> {
        let Some(&State::Running(pid)) = self.workers.get(slot) else {
            return Ok(());
        };
        let line = self.line(slot);
        line.doomed
            .store(line.incarnation.load(Ordering::Acquire), Ordering::Release);
        kill(pid, Signal::SIGKILL)?;
        self.await_end(pid, slot)?;
        Ok(())
    }

    fn await_end(&mut self, pid: Pid, slot: usize) -> Result<WaitStatus> {
        let start = Instant::now();
        loop {
            match waitpid(pid, Some(WaitPidFlag::WNOHANG))? {
                WaitStatus::StillAlive if start.elapsed() < patience() => {
                    std::thread::sleep(Duration::from_millis(1))
                }
                WaitStatus::StillAlive => {
                    self.workers[slot] = State::Gone;
                    self.stuck += 1;
                    bail!(
                        "process {pid} does not end: {}",
                        whereabouts(pid, pid.as_raw().cast_unsigned())
                    )
                }
                status => {
                    self.workers[slot] = State::Gone;
                    return Ok(status);
                }
            }
        }
    }

    fn work(
        &mut self,
        name: &str,
        time: Duration,
        canary: &OwnedFd,
        numbers: &mut Random,
    ) -> Result<()> {
        let start = Instant::now();
        let mut progress = Progress::new(name, time);
        let pause = |numbers: &mut Random, range: std::ops::Range<u64>| {
            Duration::from_millis(numbers.random_range(range))
        };
        let mut next_kill = start + pause(numbers, 200..800);
        while start.elapsed() < time {
            std::thread::sleep(TICK);
            self.watch()?;
            if Instant::now() >= next_kill {
                // The context manager less often than the others: its death stops all of them for a while.
                let slot = if numbers.random_ratio(1, 15) {
                    0
                } else {
                    numbers.random_range(1..self.workers.len())
                };
                if matches!(self.workers[slot], State::Running(_)) {
                    self.kill(slot)?;
                    self.kills += 1;
                    self.workers[slot] = State::Waiting(Instant::now() + pause(numbers, 0..150));
                }
                next_kill += pause(numbers, 100..1400);
            }
            for slot in 0..self.workers.len() {
                if matches!(self.workers[slot], State::Waiting(time) if time <= Instant::now()) {
                    self.start(slot, canary)?;
                }
            }
            progress.show(self.board, start.elapsed(), self.kills);
        }
        for slot in 0..self.workers.len() {
            if !matches!(self.workers[slot], State::Running(_)) {
                self.start(slot, canary)?;
            }
        }
        progress.show(self.board, start.elapsed(), self.kills);
        Ok(())
    }

    /// Looks for threads that are stuck and processes that ended by themselves.
    fn watch(&mut self) -> Result<()> {
        for slot in 0..self.workers.len() {
            let State::Running(pid) = self.workers[slot] else {
                continue;
            };
            match waitpid(pid, Some(WaitPidFlag::WNOHANG))? {
                WaitStatus::StillAlive => {}
                status => {
                    self.strays.push(format!("worker {slot}: {status:?}"));
                    self.workers[slot] = State::Waiting(Instant::now());
                    continue;
                }
            }
            for thread in &self.line(slot).threads {
                if let Some((tid, what, time)) = thread.stuck_for()
                    && u128::from(time) > patience::seconds(self.options.stuck).as_millis()
                {
                    self.stuck += 1;
                    eprintln!(
                        "STUCK: worker {slot}, code {what}, for {time} ms: {}",
                        whereabouts(pid, tid)
                    );
                    // Once per occasion.
                    thread.end();
                }
            }
        }
        if self.stuck > 20 || self.strays.len() > 20 {
            bail!(
                "too much is wrong: {} threads stuck, {} processes lost",
                self.stuck,
                self.strays.len()
            );
        }
        Ok(())
    }

    fn shut_down(
        &mut self,
        canary: OwnedFd,
        watched: &OwnedFd,
    ) -> Result<(), (Step, anyhow::Error)> {
        let at = |step| move |error| (step, error);
        self.board.enter(phase::FINISH);
        self.wait_all(|line| {
            line.callers.load(Ordering::Acquire) == 0
                && line.incarnation.load(Ordering::Acquire) > 0
        })
        .context("calls that do not end")
        .map_err(at(Step::Finish))?;
        self.board.enter(phase::DRAIN);
        self.wait_all(|line| line.drained.load(Ordering::Acquire) == 1)
            .context("winding up")
            .map_err(at(Step::Drain))?;
        self.board.enter(phase::NOTICE);
        self.wait_for(SURVIVOR, |line| line.drained.load(Ordering::Acquire) == 2)
            .map_err(at(Step::Drain))?;
        let due = self.line(SURVIVOR).deaths_due.load(Ordering::Relaxed) as usize;
        if due != self.workers.len() - 1 {
            let wanted = self.workers.len() - 1;
            return Err((
                Step::Drain,
                anyhow::anyhow!("the survivor found {due} of {wanted} others"),
            ));
        }
        for slot in (0..self.workers.len()).filter(|&slot| slot != SURVIVOR) {
            self.kill(slot).map_err(at(Step::Deaths))?;
        }
        let settled = |line: &WorkerLine| {
            line.deaths_due.load(Ordering::Relaxed) == 0
                && line.nodes_held.load(Ordering::Relaxed) == 0
        };
        if let Err(error) = self.wait_for(SURVIVOR, settled) {
            self.show_state();
            return Err((Step::Deaths, error));
        }
        self.board.enter(phase::LEAVE);
        if let State::Running(pid) = self.workers[SURVIVOR] {
            let status = self.await_end(pid, SURVIVOR).map_err(at(Step::Leave))?;
            if status != WaitStatus::Exited(pid, 0) {
                return Err((Step::Leave, anyhow::anyhow!("it ended with {status:?}")));
            }
        }
        drop(canary);
        wait_hang_up(watched).map_err(at(Step::Files))?;
        self.probe().map_err(at(Step::Device))
    }

    fn wait_all(&mut self, done: impl Fn(&WorkerLine) -> bool) -> Result<()> {
        for slot in 0..self.workers.len() {
            self.wait_for(slot, &done)?;
        }
        Ok(())
    }

    fn wait_for(&mut self, slot: usize, done: impl Fn(&WorkerLine) -> bool) -> Result<()> {
        let start = Instant::now();
        while !done(self.line(slot)) {
            let line = self.line(slot);
            if start.elapsed() > patience() {
                let number = |number: &std::sync::atomic::AtomicU32| number.load(Ordering::Relaxed);
                bail!(
                    "worker {slot} still has {} calling threads, {} deaths due, {} binders held",
                    number(&line.callers),
                    number(&line.deaths_due),
                    number(&line.nodes_held)
                );
            }
            self.watch()?;
            if !matches!(self.workers[slot], State::Running(_)) {
                bail!("worker {slot} ended by itself");
            }
            std::thread::sleep(TICK);
        }
        Ok(())
    }

    /// Prints what the driver holds, if it says so beside its counts.
    fn show_state(&self) {
        let path = self
            .options
            .stats
            .as_ref()
            .map(|stats| stats.with_file_name("state"));
        if let Some(text) = path.and_then(|path| fs::read_to_string(path).ok()) {
            text.lines()
                .take(80)
                .for_each(|line| eprintln!("  state │ {line}"));
        }
    }

    /// Opens the device once more and takes handle 0.
    fn probe(&self) -> Result<()> {
        let start = Instant::now();
        let device = Device::open(
            &self.options.device,
            NonZeroUsize::MIN.saturating_add(4095),
            false,
        )?;
        loop {
            match device.ioctl(BINDER_SET_CONTEXT_MGR, &mut 0i32) {
                Err(Errno::EBUSY) if start.elapsed() < patience() => std::thread::sleep(TICK),
                outcome => return outcome.context("becoming the context manager"),
            }
        }
    }
}

/// Steps of shutting down, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Finish,
    Drain,
    Deaths,
    Leave,
    Files,
    Device,
    Done,
}

/// Waits until nobody has the other end of a pipe open: no process, and no message that was never delivered.
fn wait_hang_up(pipe: &OwnedFd) -> Result<()> {
    let mut ready = [PollFd::new(pipe.as_fd(), PollFlags::empty())];
    let limit = PollTimeout::try_from(patience()).unwrap_or(PollTimeout::MAX);
    match poll(&mut ready, limit)? {
        0 => bail!("someone still has one of them open"),
        _ => Ok(()),
    }
}

/// Where in the kernel a thread is.
fn whereabouts(pid: Pid, tid: u32) -> String {
    let read = |name: &str| {
        fs::read_to_string(format!("/proc/{pid}/task/{tid}/{name}")).unwrap_or_default()
    };
    let (syscall, stack) = (read("syscall"), read("stack"));
    let stack: Vec<_> = stack.lines().take(6).map(str::trim).collect();
    format!(
        "process {pid} thread {tid} in system call {} at {}",
        syscall.trim(),
        stack.join(" ")
    )
}

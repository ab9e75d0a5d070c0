// SPDX-License-Identifier: GPL-2.0

//! What a call cannot cost less than: the same two processes waking each other by other means.

use core::arch::asm;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use anyhow::{Context, Result, bail};

use crate::child::{self, Child, Ready, SharedCounter};
use crate::clock::Clock;
use crate::measure::{self, Plan, Rounds};
use binder_bench::results::Sample;

/// The floors' names.
pub const ALL: &[&str] = &[
    "calibration",
    "floor-getppid",
    "floor-eventfd",
    "floor-pipe",
    "floor-futex",
];

/// Measures one floor.
pub fn run<C: Clock>(name: &str, plan: Plan) -> Result<Sample> {
    match name {
        "calibration" => Ok(calibrate::<C>(plan)),
        "floor-getppid" => measure::measure::<C>(plan, &mut Getppid),
        "floor-eventfd" => measure::measure::<C>(plan, &mut Stream::eventfds()?),
        "floor-pipe" => measure::measure::<C>(plan, &mut Stream::pipes()?),
        "floor-futex" => measure::measure::<C>(plan, &mut Futexes::start()?),
        _ => bail!("there is no floor named {name}"),
    }
}

/// A thousand NOPs more against a thousand less. A clock of instructions says one thousand.
fn calibrate<C: Clock>(plan: Plan) -> Sample {
    let mut values = vec![u64::MAX; plan.rounds];
    for value in &mut values {
        *value = nops::<C, 2000>().saturating_sub(nops::<C, 1000>());
    }
    let total = values.iter().sum();
    Sample::new(C::UNIT, values, total)
}

/// What so many NOPs take, and reading the clock.
#[inline(never)]
fn nops<C: Clock, const COUNT: usize>() -> u64 {
    let start = C::now();
    // SAFETY: NOPs.
    unsafe { asm!(".rept {count}", "nop", ".endr", count = const COUNT) };
    C::now() - start
}

/// The cheapest system call.
struct Getppid;

impl Rounds for Getppid {
    #[inline]
    fn round(&mut self) -> Result<()> {
        // SAFETY: Has no arguments.
        unsafe { libc::getppid() };
        Ok(())
    }
}

/// Two processes that write eight bytes to each other, by eventfd or by pipe.
struct Stream {
    there: File,
    back: File,
    _peer: Child,
}

impl Stream {
    fn eventfds() -> Result<Self> {
        let (there, back) = (eventfd()?, eventfd()?);
        let peer = Child::start(|ready| echo(&there, &back, ready))?;
        Ok(Self {
            there,
            back,
            _peer: peer,
        })
    }

    fn pipes() -> Result<Self> {
        let (there_in, there) = child::pipe()?;
        let (back, back_out) = child::pipe()?;
        let peer = Child::start(|ready| echo(&there_in, &back_out, ready))?;
        Ok(Self {
            there,
            back,
            _peer: peer,
        })
    }
}

impl Rounds for Stream {
    #[inline]
    fn round(&mut self) -> Result<()> {
        self.there.write_all(&1u64.to_ne_bytes())?;
        self.back.read_exact(&mut [0; 8])?;
        Ok(())
    }
}

fn echo(mut input: &File, mut output: &File, ready: Ready) -> Result<()> {
    ready.tell()?;
    let mut value = [0; 8];
    loop {
        input.read_exact(&mut value)?;
        output.write_all(&value)?;
    }
}

fn eventfd() -> Result<File> {
    // SAFETY: Only makes a descriptor.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error()).context("cannot make an eventfd");
    }
    // SAFETY: The descriptor is new and nobody else's.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Two processes that wake each other by futex: each waits for the other's turn to come.
struct Futexes {
    there: SharedCounter,
    back: SharedCounter,
    turn: u32,
    _peer: Child,
}

impl Futexes {
    fn start() -> Result<Self> {
        let (there, back) = (SharedCounter::new()?, SharedCounter::new()?);
        let peer = Child::start(|ready| {
            ready.tell()?;
            let mut turn = 0u32;
            loop {
                wait_past(word(&there), turn);
                turn = turn.wrapping_add(1);
                raise(word(&back), turn);
            }
        })
        .context("cannot start the futex floor")?;
        Ok(Self {
            there,
            back,
            turn: 0,
            _peer: peer,
        })
    }
}

impl Rounds for Futexes {
    #[inline]
    fn round(&mut self) -> Result<()> {
        let turn = self.turn;
        self.turn = turn.wrapping_add(1);
        raise(word(&self.there), self.turn);
        wait_past(word(&self.back), turn);
        Ok(())
    }
}

/// The lower half of a shared counter, as a futex.
fn word(counter: &AtomicU64) -> &AtomicU32 {
    // SAFETY: An `AtomicU64` holds two aligned words; only this one is ever accessed.
    unsafe { &*ptr::from_ref(counter).cast::<AtomicU32>() }
}

/// Sets a futex and wakes who waits on it.
#[inline]
fn raise(futex: &AtomicU32, value: u32) {
    futex.store(value, Ordering::Release);
    // SAFETY: The futex outlives the call.
    unsafe { libc::syscall(libc::SYS_futex, futex.as_ptr(), libc::FUTEX_WAKE, 1) };
}

/// Waits until a futex differs from `value`.
#[inline]
fn wait_past(futex: &AtomicU32, value: u32) {
    while futex.load(Ordering::Acquire) == value {
        // SAFETY: As above; there is no time-out.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                futex.as_ptr(),
                libc::FUTEX_WAIT,
                value,
                ptr::null::<libc::timespec>(),
            )
        };
    }
}

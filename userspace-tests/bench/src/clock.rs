// SPDX-License-Identifier: GPL-2.0

//! The two clocks: instructions, as an `-icount` guest counts them, and nanoseconds.

use core::arch::asm;
use std::mem::MaybeUninit;

use binder_bench::results::Unit;

/// A clock that costs next to nothing to read.
pub trait Clock {
    /// What it counts.
    const UNIT: Unit;

    /// Its present value.
    fn now() -> u64;
}

/// The counter that QEMU's `-icount shift=0` advances by one for each instruction.
pub struct Instructions;

impl Clock for Instructions {
    const UNIT: Unit = Unit::Instructions;

    #[inline(always)]
    #[cfg(target_arch = "x86_64")]
    fn now() -> u64 {
        let ticks: u64;
        // SAFETY: Every x86-64 processor has a time stamp counter. The intrinsic is not used because
        // the compiler would put the pieces of its value together somewhere else each time.
        unsafe {
            asm!(
                "rdtsc",
                "shl rdx, 32",
                "or rax, rdx",
                out("rax") ticks,
                out("rdx") _,
                options(nomem, nostack),
            )
        };
        ticks
    }

    #[inline(always)]
    #[cfg(target_arch = "aarch64")]
    fn now() -> u64 {
        let ticks: u64;
        // SAFETY: Linux lets user space read the virtual counter.
        unsafe { asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack)) };
        ticks
    }
}

/// The monotonic clock, in nanoseconds.
pub struct Nanoseconds;

impl Clock for Nanoseconds {
    const UNIT: Unit = Unit::Nanoseconds;

    #[inline(always)]
    fn now() -> u64 {
        let mut time = MaybeUninit::<libc::timespec>::uninit();
        // SAFETY: The call fills `time`; it cannot fail for this clock and a valid pointer.
        let time = unsafe {
            libc::clock_gettime(libc::CLOCK_MONOTONIC, time.as_mut_ptr());
            time.assume_init()
        };
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }
}

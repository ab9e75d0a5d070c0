// SPDX-License-Identifier: GPL-2.0

//! Instructions that do nothing but can be seen: the profiler counts between the two.
//!
//! Each is one long NOP whose displacement is a number that no compiler emits. The numbers are
//! repeated in the plugin that looks for them.

use core::arch::asm;

/// Opens a window of the profiler.
#[inline(always)]
pub fn start() {
    // SAFETY: A NOP.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(".byte 0x0f, 0x1f, 0x80, 0x42, 0x52, 0x42, 0x31")
    };
}

/// Closes it.
#[inline(always)]
pub fn stop() {
    // SAFETY: A NOP.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(".byte 0x0f, 0x1f, 0x80, 0x42, 0x52, 0x42, 0x30")
    };
}

// SPDX-License-Identifier: GPL-2.0

//! What there is to say about the system under measurement, and where this process runs on it.

use std::fs;
use std::io;
use std::mem;

use anyhow::{Context, Result};

use binder_bench::results::Guest;

/// Describes the running system.
pub fn describe() -> Result<Guest> {
    let processor = read("/proc/cpuinfo")?;
    let field = |name: &str| {
        processor
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.trim() == name)
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    };
    Ok(Guest {
        kernel: read("/proc/sys/kernel/osrelease")?,
        version: read("/proc/sys/kernel/version")?,
        cpu: field("model name"),
        cpus: std::thread::available_parallelism()?.get(),
        cpu_flags: field("flags"),
        command_line: read("/proc/cmdline")?,
    })
}

/// Keeps this process, and those it will fork, on one processor.
pub fn pin(cpu: usize) -> Result<()> {
    // SAFETY: A set of processors is plain bits.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: `cpu` is bounded by the macro's own check; the set outlives the call.
    let status = unsafe {
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set)
    };
    if status != 0 {
        return Err(io::Error::last_os_error()).context(format!("cannot run on CPU {cpu}"));
    }
    Ok(())
}

fn read(path: &str) -> Result<String> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    Ok(text.trim_end().to_owned())
}

// SPDX-License-Identifier: GPL-2.0

//! What there is to say about the system under measurement, and where this process runs on it.

use std::fs;
use std::io;
use std::mem;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

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
        fast_strings: fast_strings(),
        load_address: load_address(),
        cpus: thread::available_parallelism()?.get(),
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

/// Waits until the guest has nothing else to do: a kernel verifies signatures and runs self-tests
/// for seconds after its boot, which would be counted as rounds that took very long.
pub fn wait_until_quiet() -> Result<()> {
    let deadline = Instant::now() + QUIET_TIMEOUT;
    let mut before = processor_ticks()?;
    while Instant::now() < deadline {
        thread::sleep(QUIET_WINDOW);
        let after = processor_ticks()?;
        let (idle, all) = (after.idle - before.idle, after.all - before.all);
        // Where ticks stop while nothing runs, an idle window may have none at all.
        if idle * 100 >= all * 98 {
            return Ok(());
        }
        before = after;
    }
    println!("the guest is not quiet: means and slow rounds include what else it does");
    Ok(())
}

const QUIET_WINDOW: Duration = Duration::from_millis(500);
const QUIET_TIMEOUT: Duration = Duration::from_secs(60);

struct Ticks {
    idle: u64,
    all: u64,
}

fn processor_ticks() -> Result<Ticks> {
    let text = read("/proc/stat")?;
    let numbers: Vec<u64> = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .map(str::parse)
        .collect::<Result<_, _>>()
        .context("/proc/stat is not as expected")?;
    ensure!(numbers.len() > 4, "/proc/stat is not as expected");
    Ok(Ticks {
        idle: numbers[3] + numbers[4],
        all: numbers.iter().take(8).sum(),
    })
}

/// Where this program was loaded: what an address in it is above its address in the file.
fn load_address() -> u64 {
    unsafe extern "C" {
        /// The linker's name for the start of the file's header in memory.
        static __ehdr_start: u8;
    }
    // The header is at address zero of a position-independent file, and only the place is taken.
    (&raw const __ehdr_start) as u64
}

/// Which features make one instruction of a string operation of any length.
///
/// Where they are on, `rep movsb` and `rep stosb` are counted byte by byte and bury the driver.
fn fast_strings() -> Vec<String> {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::__cpuid_count;

        // Leaf 7 is as old as any processor that a guest gets here; subleaf 1 reads as zero where it is not known.
        let (first, second) = (__cpuid_count(7, 0), __cpuid_count(7, 1));
        [
            ("erms", first.ebx >> 9),
            ("fsrm", first.edx >> 4),
            ("fzrm", second.eax >> 10),
            ("fsrs", second.eax >> 11),
        ]
        .into_iter()
        .filter(|(_, bit)| bit & 1 == 1)
        .map(|(name, _)| name.to_owned())
        .collect()
    }
    #[cfg(not(target_arch = "x86_64"))]
    Vec::new()
}

fn read(path: &str) -> Result<String> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    Ok(text.trim_end().to_owned())
}

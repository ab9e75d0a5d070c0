// SPDX-License-Identifier: GPL-2.0

//! Lets one thing that the driver asks of the kernel fail, in one thread.
//!
//! The kernel's fault injection counts, for a thread that is told to, allocations of memory and
//! copies to and from user space, and lets the one with a given number fail. It is told to count
//! only those with the driver's code on the stack.

use anyhow::{Context, Result, bail, ensure};
use harness::Thread;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

const DEBUGFS: &str = "/sys/kernel/debug";

/// What can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Memory: slab objects and pages.
    Memory,
    /// Copies to and from user space.
    Copies,
}

/// Which one is to fail, from 1. Set before a scene is forked off.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Whether it is a copy.
static COPIES: AtomicBool = AtomicBool::new(false);

/// Chooses which one is to fail in the scene that runs next.
pub fn choose(want: Want, number: u32) {
    NUMBER.store(number, Ordering::Relaxed);
    COPIES.store(want == Want::Copies, Ordering::Relaxed);
}

/// What is chosen to fail.
pub fn chosen() -> Want {
    match COPIES.load(Ordering::Relaxed) {
        true => Want::Copies,
        false => Want::Memory,
    }
}

/// Tells the kernel to count what the module asks for, and nothing else.
pub fn prepare(module: &str, want: Want) -> Result<()> {
    let code = code_of(module)?;
    for (facility, of) in [
        ("failslab", Want::Memory),
        ("fail_page_alloc", Want::Memory),
        ("fail_usercopy", Want::Copies),
    ] {
        // A request counts when a return address on the stack lies in this range.
        let (start, end) = if of == want { code } else { (1, 1) };
        set(facility, "probability", "0")?;
        set(facility, "verbose", "0")?;
        set(facility, "require-start", &format!("{start:#x}"))?;
        set(facility, "require-end", &format!("{end:#x}"))?;
    }
    choose_caches()?;
    // What may wait may fail as well, and so may single pages.
    set("failslab", "ignore-gfp-wait", "N")?;
    set("fail_page_alloc", "ignore-gfp-wait", "N")?;
    set("fail_page_alloc", "ignore-gfp-highmem", "N")?;
    set("fail_page_alloc", "min-order", "0")
}

/// Objects of every kind count, except those in which the leak detector keeps its books of the others.
fn choose_caches() -> Result<()> {
    let caches = Path::new("/sys/kernel/slab");
    for cache in fs::read_dir(caches).with_context(|| caches.display().to_string())? {
        let cache = cache?;
        let books = cache.file_name().to_string_lossy().starts_with("kmemleak");
        let switch = cache.path().join("failslab");
        fs::write(&switch, if books { "0" } else { "1" })
            .with_context(|| switch.display().to_string())?;
    }
    set("failslab", "cache-filter", "Y")
}

fn set(facility: &str, name: &str, value: &str) -> Result<()> {
    let path = Path::new(DEBUGFS).join(facility).join(name);
    fs::write(&path, value)
        .with_context(|| format!("{} (does this kernel inject faults?)", path.display()))
}

/// Where the module's code lies.
fn code_of(module: &str) -> Result<(u64, u64)> {
    let text = fs::read_to_string("/proc/kallsyms").context("/proc/kallsyms")?;
    let suffix = format!("[{module}]");
    let mut range: Option<(u64, u64)> = None;
    for line in text.lines().filter(|line| line.ends_with(&suffix)) {
        let mut words = line.split_whitespace();
        let (Some(address), Some("t" | "T")) = (words.next(), words.next()) else {
            continue;
        };
        let address = u64::from_str_radix(address, 16)?;
        let (start, end) = range.unwrap_or((address, address));
        range = Some((start.min(address), end.max(address)));
    }
    let (start, last) = range.with_context(|| format!("module {module} is not loaded"))?;
    ensure!(start != 0, "/proc/kallsyms shows no addresses");
    // The last symbol has a length too.
    Ok((start, last + harness::thread::PAGE))
}

/// Does a step of a thread while the chosen one fails; says whether that one was asked for at all.
pub fn during<T>(
    thread: &mut Thread,
    step: impl FnOnce(&mut Thread) -> Result<T>,
) -> Result<(T, bool)> {
    let switch = format!("/proc/{}/task/{}/fail-nth", thread.pid, thread.tid);
    let number = NUMBER.load(Ordering::Relaxed);
    fs::write(&switch, number.to_string()).context("fail-nth")?;
    let outcome = step(thread);
    let left = fs::read_to_string(&switch).context("fail-nth")?;
    fs::write(&switch, "0").context("fail-nth")?;
    let hit = match left.trim().parse::<u32>()? {
        0 => true,
        left if left <= number => false,
        left => bail!("{left} of {number} left to fail"),
    };
    Ok((outcome?, hit))
}

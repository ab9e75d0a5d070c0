// SPDX-License-Identifier: GPL-2.0

//! From an address to a function, and from a function to the part of the system that it belongs to.

use std::fmt;

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSymbol, SymbolKind};
use serde::Serialize;

/// The parts between which a round trip's instructions are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// A binder driver's own code, with what was inlined into it.
    Driver,
    /// Rust that is not the driver's own: the `kernel` crate and the like, wherever the compiler put
    /// it, and the C helpers through which Rust calls inline functions.
    KernelCrate,
    /// The rest of the kernel.
    Kernel,
    /// User space: the client and the server.
    User,
}

impl Group {
    /// All groups, in the order of reports.
    pub const ALL: [Self; 4] = [Self::Driver, Self::KernelCrate, Self::Kernel, Self::User];
}

impl fmt::Display for Group {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Driver => "driver",
            Self::KernelCrate => "kernel crate and helpers",
            Self::Kernel => "rest of the kernel",
            Self::User => "user space",
        })
    }
}

/// A function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name, demangled.
    pub name: String,
    /// The part it belongs to.
    pub group: Group,
    start: u64,
}

/// All functions that a guest could run, by address.
pub struct Symbols {
    functions: Vec<Function>,
}

/// Names of the modules that are binder drivers.
const DRIVERS: [&str; 2] = ["binder_linux", "rust_binder"];

/// Where the kernel's half of the address space begins.
const KERNEL_HALF: u64 = 1 << 63;

impl Symbols {
    /// Takes the kernel's functions from the text of `/proc/kallsyms`, the program's from its file.
    pub fn new(kallsyms: &str, program: &[u8], load_address: u64) -> Result<Self> {
        let mut functions: Vec<_> = kallsyms.lines().filter_map(kernel_function).collect();
        ensure!(
            functions.iter().any(|function| function.start != 0),
            "the kernel hides its addresses (kptr_restrict)"
        );
        functions.extend(program_functions(program, load_address)?);
        // Of several names for one place the shortest is usually the one that people know.
        functions.sort_by(|left, right| {
            (left.start, left.name.len(), &left.name).cmp(&(
                right.start,
                right.name.len(),
                &right.name,
            ))
        });
        functions.dedup_by_key(|function| function.start);
        Ok(Self { functions })
    }

    /// The function that an address lies in.
    pub fn find(&self, address: u64) -> Option<&Function> {
        let index = self
            .functions
            .partition_point(|function| function.start <= address);
        let function = &self.functions[index.checked_sub(1)?];
        // The last symbol of user space does not reach into the kernel.
        (function.start / KERNEL_HALF == address / KERNEL_HALF).then_some(function)
    }

    /// The function that begins at this very address.
    pub fn at(&self, address: u64) -> Option<&Function> {
        self.find(address)
            .filter(|function| function.start == address)
    }
}

/// The group of an address that no symbol is known for.
pub fn unknown(address: u64) -> (Group, String) {
    if address >= KERNEL_HALF {
        (Group::Kernel, "(unknown)".to_owned())
    } else {
        (Group::User, "(vdso and other programs)".to_owned())
    }
}

/// One line of `/proc/kallsyms`, if it names a function.
fn kernel_function(line: &str) -> Option<Function> {
    let mut words = line.split_whitespace();
    let start = u64::from_str_radix(words.next()?, 16).ok()?;
    let kind = words.next()?;
    let symbol = words.next()?;
    let module = words
        .next()
        .map(|word| word.trim_matches(['[', ']']))
        .unwrap_or_default();
    if !matches!(kind, "t" | "T" | "w" | "W") || symbol.starts_with("__pfx_") {
        return None;
    }
    let is_driver = DRIVERS.contains(&module);
    let name = demangle(symbol);
    let group = if symbol.starts_with("rust_helper_") {
        Group::KernelCrate
    } else if name != symbol {
        rust_group(&name, is_driver)
    } else if is_driver {
        Group::Driver
    } else {
        Group::Kernel
    };
    Some(Function { name, group, start })
}

/// Crates that a driver uses but does not consist of.
const LIBRARIES: [&str; 12] = [
    "alloc",
    "bindings",
    "build_error",
    "compiler_builtins",
    "core",
    "ffi",
    "kernel",
    "macros",
    "pin_init",
    "pin_init_internal",
    "uapi",
    "zerocopy",
];

/// Rust functions belong to the crate that their path begins with, drop glue to whom it was made
/// for. What the driver's own crate is called is up to its build.
fn rust_group(name: &str, is_driver: bool) -> Group {
    let is_own = |path: &str| !LIBRARIES.contains(&path);
    let mut crates = crates(name);
    let own = match name.starts_with("core::ptr::drop_in_place") {
        true => crates.any(is_own),
        false => crates.next().is_some_and(is_own),
    };
    match is_driver && own {
        true => Group::Driver,
        false => Group::KernelCrate,
    }
}

/// The crates that a demangled name mentions: the beginnings of all the paths in it.
fn crates(name: &str) -> impl Iterator<Item = &str> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    name.match_indices("::").filter_map(move |(end, _)| {
        let before = &name[..end];
        let start = before
            .rfind(|character| !is_word(character))
            .map_or(0, |place| place + 1);
        let word = &before[start..];
        (!word.is_empty() && !before[..start].ends_with("::")).then_some(word)
    })
}

/// The functions of an executable at its place in memory.
fn program_functions(program: &[u8], load_address: u64) -> Result<Vec<Function>> {
    let file = object::File::parse(program).context("the program is not an executable")?;
    let functions: Vec<_> = file
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.address() != 0)
        .filter_map(|symbol| {
            Some(Function {
                name: demangle(symbol.name().ok()?),
                group: Group::User,
                start: load_address + symbol.address(),
            })
        })
        .collect();
    ensure!(!functions.is_empty(), "the program has no symbols");
    Ok(functions)
}

fn demangle(symbol: &str) -> String {
    match rustc_demangle::try_demangle(symbol) {
        Ok(name) => format!("{name:#}"),
        Err(_) => symbol.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_functions_are_grouped() {
        let group = |line| kernel_function(line).map(|function| function.group);
        assert_eq!(group("ffffffff81000000 T schedule"), Some(Group::Kernel));
        assert_eq!(group("ffffffff81000000 D jiffies"), None);
        assert_eq!(group("ffffffff81000000 t __pfx_schedule"), None);
        assert_eq!(
            group("ffffffffc0000000 t binder_ioctl\t[binder_linux]"),
            Some(Group::Driver)
        );
        assert_eq!(
            group("ffffffff81000000 T rust_helper_mutex_lock"),
            Some(Group::KernelCrate)
        );
    }

    #[test]
    fn rust_functions_belong_to_the_first_crate_of_their_path() {
        let is_driver = |name| rust_group(name, true) == Group::Driver;
        assert!(is_driver("driver::process::open"));
        assert!(is_driver("<driver::thread::Thread as kernel::Foo>::bar"));
        assert!(!is_driver(
            "<kernel::sync::Arc<driver::thread::Thread>>::new"
        ));
        assert!(!is_driver(
            "<&mut core::fmt::Formatter as core::fmt::Write>::write"
        ));
        assert!(is_driver(
            "core::ptr::drop_in_place::<kernel::sync::Arc<driver::Call>>"
        ));
        assert!(!is_driver(
            "core::ptr::drop_in_place::<kernel::alloc::KVec<u8>>"
        ));
        // Outside of the driver's module all Rust is the kernel's.
        assert_eq!(
            rust_group("driver::process::open", false),
            Group::KernelCrate
        );
    }

    #[test]
    fn addresses_find_the_function_around_them() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let symbols = Symbols::new(
            "ffffffff81000000 T first\nffffffff81000100 T second\nffffffff81000100 T __second\n",
            &program,
            0x5555_0000_0000,
        )
        .unwrap();
        let name = |address| symbols.find(address).map(|function| function.name.as_str());
        assert_eq!(name(0xffff_ffff_8100_0004), Some("first"));
        assert_eq!(name(0xffff_ffff_8100_0104), Some("second"));
        assert_eq!(name(0xffff_ffff_0000_0000), None);
        assert!(symbols.at(0xffff_ffff_8100_0100).is_some());
        assert!(symbols.at(0xffff_ffff_8100_0101).is_none());
    }
}

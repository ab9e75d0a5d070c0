// SPDX-License-Identifier: GPL-2.0

//! Three descriptions of one ABI must agree: this crate, the headers in `uapi/`
//! and the kernel's own headers.  The C sides are compiled and run.
//!
//! The kernel's headers are looked for in `BINDER_KERNEL_UAPI` (a directory that
//! holds `linux/android/binder.h`), then in installed kernel header packages,
//! newest first, then in the C library's include directory.  The last may be
//! older than the protocol: what it does not know yet is named and left out;
//! from the others everything is demanded.

use binder_abi::facts::{self, Fact};
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const HEADERS: [&str; 2] = ["binder.h", "binderfs.h"];

/// A directory with `linux/android/*.h`, and whether it must know everything.
struct Include {
    directory: PathBuf,
    complete: bool,
}

fn ours() -> Include {
    Include {
        directory: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../uapi"),
        complete: true,
    }
}

fn holds_headers(directory: &Path) -> bool {
    directory.join("linux/android/binder.h").is_file()
}

/// Version of a package directory, as numbers, so that 7.10 is after 7.3.
fn version(path: &Path) -> Vec<u64> {
    path.to_string_lossy()
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|part| part.parse().ok())
        .collect()
}

fn kernels() -> Include {
    if let Some(directory) = env::var_os("BINDER_KERNEL_UAPI").map(PathBuf::from) {
        assert!(
            holds_headers(&directory),
            "BINDER_KERNEL_UAPI={} holds no linux/android/binder.h",
            directory.display()
        );
        return Include {
            directory,
            complete: true,
        };
    }
    let mut packages: Vec<PathBuf> = fs::read_dir("/usr/src")
        .map(|entries| {
            entries
                .flatten()
                .map(|entry| entry.path().join("include/uapi"))
                .filter(|path| holds_headers(path))
                .collect()
        })
        .unwrap_or_default();
    packages.sort_by_key(|path| version(path));
    if let Some(directory) = packages.pop() {
        return Include {
            directory,
            complete: true,
        };
    }
    let directory = PathBuf::from("/usr/include");
    assert!(
        holds_headers(&directory),
        "no kernel header found: set BINDER_KERNEL_UAPI or install linux-libc-dev"
    );
    Include {
        directory,
        complete: false,
    }
}

/// The headers' text without comments.
fn text(include: &Include) -> String {
    let mut text = String::new();
    for header in HEADERS {
        let path = include.directory.join("linux/android").join(header);
        let source =
            fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut rest = source.as_str();
        while let Some((code, comment)) = rest.split_once("/*") {
            text.push_str(code);
            text.push(' ');
            rest = comment.split_once("*/").expect("comment ends").1;
        }
        text.push_str(rest);
    }
    text
}

fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .collect()
}

/// Constants and structures that a header declares.
fn declarations(text: &str) -> BTreeSet<String> {
    const PREFIXES: [&str; 6] = [
        "BC_",
        "BR_",
        "TF_",
        "BINDER_",
        "BINDERFS_",
        "FLAT_BINDER_FLAG_",
    ];
    let mut found = BTreeSet::new();
    for line in text.lines() {
        let words = words(line);
        let name = match words.as_slice() {
            ["define", name, _, ..] => name,
            ["struct", name] if line.contains('{') => {
                found.insert(format!("sizeof(struct {name})"));
                continue;
            }
            [name, ..]
                if line[line.find(name).unwrap()..]
                    .trim_start_matches(name)
                    .trim_start()
                    .starts_with('=') =>
            {
                name
            }
            _ => continue,
        };
        if PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            found.insert((*name).to_string());
        }
    }
    found
}

/// Whether a header knows every name in the expression.
fn known(fact: &Fact, words: &BTreeSet<&str>) -> bool {
    fact.expression
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !matches!(*word, "" | "sizeof" | "offsetof" | "struct"))
        .all(|word| words.contains(word))
}

/// Lets a C compiler compute the expressions with the given headers.
fn compile(include: &Include, facts: &[Fact]) -> BTreeMap<String, u64> {
    let directory = tempfile::tempdir().expect("temporary directory");
    // Only the android headers are taken from there: header packages hold the
    // rest in a form that is not meant for programs.
    let linux = directory.path().join("linux");
    fs::create_dir(&linux).unwrap();
    std::os::unix::fs::symlink(
        include
            .directory
            .join("linux/android")
            .canonicalize()
            .unwrap(),
        linux.join("android"),
    )
    .unwrap();
    let mut source = String::from(
        "#include <stddef.h>\n#include <stdio.h>\n#include <linux/android/binderfs.h>\nint main(void)\n{\n",
    );
    for fact in facts {
        source += &format!(
            "\tprintf(\"%s=%llu\\n\", \"{0}\", (unsigned long long)(unsigned long)({0}));\n",
            fact.expression
        );
    }
    source += "\treturn 0;\n}\n";
    let (c, program) = (
        directory.path().join("facts.c"),
        directory.path().join("facts"),
    );
    fs::write(&c, source).unwrap();
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    let status = Command::new(&compiler)
        .args([
            "-Wall",
            "-Werror",
            "-D__packed=__attribute__((packed))",
            "-I",
        ])
        .arg(directory.path())
        .arg(&c)
        .arg("-o")
        .arg(&program)
        .status()
        .unwrap_or_else(|e| panic!("cannot run the C compiler {}: {e}", compiler.display()));
    assert!(
        status.success(),
        "the headers in {} do not compile",
        include.directory.display()
    );
    let output = Command::new(&program)
        .output()
        .expect("run the compiled program");
    assert!(output.status.success());
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| {
            let (expression, value) = line.split_once('=').expect("expression=value");
            // Enumerators are 32 bits wide however C extends them.
            let value = value.parse::<u64>().unwrap();
            (expression.to_string(), value & u64::from(u32::MAX))
        })
        .collect()
}

fn compare(include: &Include, facts: Vec<Fact>) {
    let text = text(include);
    let vocabulary: BTreeSet<&str> = words(&text).into_iter().collect();
    let (facts, unknown): (Vec<Fact>, Vec<Fact>) =
        facts.into_iter().partition(|fact| known(fact, &vocabulary));
    if !unknown.is_empty() {
        let names: Vec<&str> = unknown
            .iter()
            .map(|fact| fact.expression.as_str())
            .collect();
        let names = names.join(", ");
        assert!(
            !include.complete,
            "{} lacks {names}",
            include.directory.display()
        );
        println!("{} is too old to know {names}", include.directory.display());
    }
    let c = compile(include, &facts);
    assert_eq!(c.len(), facts.len());
    let differences: Vec<String> = facts
        .iter()
        .filter(|fact| c[&fact.expression] != fact.value)
        .map(|fact| {
            format!(
                "{}: C {:#x}, Rust {:#x}",
                fact.expression, c[&fact.expression], fact.value
            )
        })
        .collect();
    assert!(
        differences.is_empty(),
        "{}:\n{}",
        include.directory.display(),
        differences.join("\n")
    );
    println!(
        "{}: {} facts agree",
        include.directory.display(),
        facts.len()
    );
}

#[test]
fn project_headers_agree_with_rust() {
    let mut facts = facts::all();
    facts.extend(facts::extensions());
    compare(&ours(), facts);
}

#[test]
fn kernel_headers_agree_with_rust() {
    compare(&kernels(), facts::all());
}

/// Nothing the kernel declares is missing here, and nothing is invented but the extensions, of which
/// it has none.
#[test]
fn declarations_are_the_same() {
    let missing = |wanted: &BTreeSet<String>, held: &BTreeSet<String>| {
        wanted.difference(held).cloned().collect::<Vec<_>>()
    };
    let facts: BTreeSet<String> = facts::all()
        .into_iter()
        .map(|fact| fact.expression)
        .filter(|expression| !expression.starts_with("offsetof") && expression != "B_TYPE_LARGE")
        .collect();
    let extensions: BTreeSet<String> = facts::extensions()
        .into_iter()
        .map(|fact| fact.expression)
        .collect();
    let mut ours: BTreeSet<String> = declarations(&text(&ours()));
    assert_eq!(
        missing(&extensions, &ours),
        [""; 0],
        "an extension that uapi/ lacks"
    );
    ours.retain(|name| !extensions.contains(name));
    let kernel = kernels();
    let kernels: BTreeSet<String> = declarations(&text(&kernel))
        .into_iter()
        .filter(|name| name != "BINDER_CURRENT_PROTOCOL_VERSION")
        .collect();
    assert!(
        extensions.is_disjoint(&kernels),
        "the kernel has an extension"
    );
    assert_eq!(
        missing(&kernels, &facts),
        [""; 0],
        "in the kernel's header, not in Rust"
    );
    assert_eq!(missing(&ours, &facts), [""; 0], "in uapi/, not in Rust");
    assert_eq!(missing(&facts, &ours), [""; 0], "in Rust, not in uapi/");
    assert!(
        kernels.len() > 60,
        "the kernel's header was not understood: {kernels:?}"
    );
}

/// The numbers of the protocol that are easiest to get wrong.
#[test]
fn handle_and_cookie_are_packed() {
    assert_eq!(binder_abi::BC_REQUEST_DEATH_NOTIFICATION, 0x400C_630E);
    assert_eq!(binder_abi::BINDER_WRITE_READ, 0xC030_6201);
    assert_eq!(binder_abi::BR_TRANSACTION_SEC_CTX, 0x8048_7202);
}

// SPDX-License-Identifier: GPL-2.0

//! Makes the kernel's security modules say no.
//!
//! A stock kernel has a security module that asks programs: a [`Denial`] loads one
//! of a few instructions into one of the hooks that binder drivers ask.  It refuses
//! whatever credentials of a given effective user take part in, so a case can tell
//! the opener of a file from who uses it, and who gives from who takes.

use crate::case::Skip;
use anyhow::{Context, Result, bail};
use btf_rs::{Backend, Btf, Type};
use nix::errno::Errno;
use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use zerocopy::{Immutable, IntoBytes};

/// What a security module is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// May this one be the context manager?
    SetContextManager,
    /// May this one call that one?
    Transaction,
    /// May this one give that one a reference?
    TransferBinder,
    /// May this one give that one a file?
    TransferFile,
}

impl Hook {
    /// The function of the kernel's that programs take the place of.
    fn function(self) -> &'static str {
        match self {
            Hook::SetContextManager => "bpf_lsm_binder_set_context_mgr",
            Hook::Transaction => "bpf_lsm_binder_transaction",
            Hook::TransferBinder => "bpf_lsm_binder_transfer_binder",
            Hook::TransferFile => "bpf_lsm_binder_transfer_file",
        }
    }
}

/// Whose credentials are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Of who would be the manager, calls, or gives.
    First,
    /// Of who is called, or takes.
    Second,
}

/// A refusal that holds until this is dropped.
#[derive(Debug)]
pub struct Denial {
    _link: OwnedFd,
}

impl Denial {
    /// Refuses, with this error, what credentials with this effective user take part in.
    pub fn new(hook: Hook, whose: Whose, user: u32, error: Errno) -> Result<Self> {
        let modules = fs::read_to_string("/sys/kernel/security/lsm").context("security modules")?;
        if !modules.trim().split(',').any(|module| module == "bpf") {
            return Err(Skip(format!("no program can deny anything here: only {modules}")).into());
        }
        let types = Btf::from_file_with_backend("/sys/kernel/btf/vmlinux", Backend::Mmap)
            .context("the kernel's type information")?;
        let program = load(&types, hook, &instructions(&types, whose, user, error)?)?;
        let link = bpf(
            BPF_LINK_CREATE,
            &LinkCreate {
                program: program.as_raw_fd() as u32,
                attach_type: BPF_LSM_MAC,
                ..LinkCreate::default()
            },
        );
        Ok(Self {
            _link: link.with_context(|| format!("attach a program to {}", hook.function()))?,
        })
    }
}

// Numbers of linux/bpf.h.
const BPF_PROG_LOAD: i32 = 5;
const BPF_LINK_CREATE: i32 = 28;
const BPF_PROG_TYPE_LSM: u32 = 29;
const BPF_LSM_MAC: u32 = 27;
/// Loads eight and four bytes from where a register points to.
const LOAD_8: u8 = 0x79;
const LOAD_4: u8 = 0x61;
/// Sets a register.
const SET: u8 = 0xB7;
/// Jumps if a register is another number.
const JUMP_UNLESS: u8 = 0x55;
const EXIT: u8 = 0x95;

/// `struct bpf_insn`.
#[derive(Clone, Copy, IntoBytes, Immutable)]
#[repr(C)]
struct Instruction {
    code: u8,
    /// The destination in the lower half, the source in the upper one.
    registers: u8,
    offset: i16,
    value: i32,
}

impl Instruction {
    fn new(code: u8, destination: u8, source: u8, offset: i16, value: i32) -> Self {
        let registers = destination | source << 4;
        Self {
            code,
            registers,
            offset,
            value,
        }
    }
}

/// `union bpf_attr` of `BPF_PROG_LOAD`, as far as it is used.
#[derive(Default, IntoBytes, Immutable)]
#[repr(C)]
struct ProgramLoad {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach_type: u32,
    types: u32,
    function_record: u32,
    functions: u64,
    function_count: u32,
    line_record: u32,
    lines: u64,
    line_count: u32,
    attach_to: u32,
}

/// `union bpf_attr` of `BPF_LINK_CREATE`, as far as it is used.
#[derive(Default, IntoBytes, Immutable)]
#[repr(C)]
struct LinkCreate {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
}

/// The program: arguments of the hook lie where register 1 points to.
fn instructions(types: &Btf, whose: Whose, user: u32, error: Errno) -> Result<[Instruction; 6]> {
    let argument = match whose {
        Whose::First => 0,
        Whose::Second => 8,
    };
    Ok([
        Instruction::new(LOAD_8, 2, 1, argument, 0),
        Instruction::new(LOAD_4, 2, 2, offset_of_euid(types)?, 0),
        Instruction::new(SET, 0, 0, 0, 0),
        Instruction::new(JUMP_UNLESS, 2, 0, 1, user.cast_signed()),
        Instruction::new(SET, 0, 0, 0, -(error as i32)),
        Instruction::new(EXIT, 0, 0, 0, 0),
    ])
}

/// Where the effective user lies in the kernel's `struct cred`.
fn offset_of_euid(types: &Btf) -> Result<i16> {
    for found in types.resolve_types_by_name("cred")? {
        let Type::Struct(cred) = found else { continue };
        for member in &cred.members {
            if types.resolve_name(member)? == "euid" {
                return Ok(i16::try_from(member.bit_offset() / 8)?);
            }
        }
    }
    bail!("the kernel's credentials have no effective user")
}

fn load(types: &Btf, hook: Hook, instructions: &[Instruction]) -> Result<OwnedFd> {
    let name = hook.function();
    let ids = types.resolve_ids_by_name(name).context(name)?;
    let attach_to = ids
        .into_iter()
        .find(|id| matches!(types.resolve_type_by_id(*id), Ok(Type::Func(_))))
        .with_context(|| format!("the kernel has no function {name}"))?;
    let mut log = vec![0u8; 1 << 16];
    let program = bpf(
        BPF_PROG_LOAD,
        &ProgramLoad {
            program_type: BPF_PROG_TYPE_LSM,
            instruction_count: instructions.len() as u32,
            instructions: instructions.as_ptr() as u64,
            license: c"GPL".as_ptr() as u64,
            log_level: 1,
            log_size: log.len() as u32,
            log: log.as_mut_ptr() as u64,
            attach_type: BPF_LSM_MAC,
            attach_to,
            ..ProgramLoad::default()
        },
    );
    program.with_context(|| {
        let log = String::from_utf8_lossy(&log);
        format!(
            "load a program for {name}: {}",
            log.trim_matches('\0').trim()
        )
    })
}

/// A call that returns a descriptor.
fn bpf<T: IntoBytes + Immutable>(command: i32, attributes: &T) -> Result<OwnedFd> {
    let bytes = attributes.as_bytes();
    // SAFETY: the attributes, and what they point to, outlive the call; the kernel
    // writes to the log only, which is as long as they say.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, bytes.as_ptr(), bytes.len()) };
    let fd = Errno::result(result).context("bpf")?;
    // SAFETY: the kernel has just given it to us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

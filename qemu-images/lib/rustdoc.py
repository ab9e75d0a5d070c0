# SPDX-License-Identifier: GPL-2.0
"""Documents the module with the flags its build used: rustdoc.py MODULE-OUTPUT TARGET.

kbuild has no such target for modules outside the tree, but leaves the compiler's command beside the object."""

import os
import shlex
import subprocess
import sys

# What rustdoc does not take, or must not write.
DROPPED = ("--emit", "--crate-type", "-o", "--out-dir", "-Zbinary_dep_depinfo", "-Zfunction-sections", "-Zfunction_sections")


def saved_command(output):
    with open(os.path.join(output, "rust_binder/.main.o.cmd"), encoding="utf-8") as file:
        line = next(line for line in file if line.startswith("savedcmd_"))
    command = line.partition(":=")[2].replace("$(pound)", "#").replace("$$", "$")
    return next(part for part in command.split(";") if "main.rs" in part)


def main(output, target):
    # As the kernel's build has it: a stable compiler with unstable options.
    environment = dict(os.environ, RUSTC_BOOTSTRAP="1")
    words = shlex.split(saved_command(output))
    while words and "=" in words[0] and not words[0].startswith("-"):
        name, _, value = words.pop(0).partition("=")
        environment[name] = value
    program, *flags = words
    kept, skip = [], False
    for flag in flags:
        if skip:
            skip = False
        elif flag in ("-o", "--out-dir", "--emit", "--crate-type"):
            skip = True
        elif not flag.startswith(DROPPED):
            kept.append(flag)
    command = ["rustdoc", "--crate-name", "rust_binder", *kept, "--document-private-items", "-Dwarnings", "-o", target]
    assert os.path.basename(program) in ("rustc", "clippy-driver"), program
    return subprocess.run(command, cwd=output, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

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
    return next(part for part in command.split(";") if "--crate-name" in part and "rustc" in part)


def main(output, target):
    environment = dict(os.environ)
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
    # Warnings of the compiler are the build's business; here every warning is rustdoc's own.
    command = ["rustdoc", *kept, "--document-private-items", "-Dwarnings", "-Drustdoc::all", "-Arustdoc::missing_doc_code_examples",
               "-Arustdoc::private_doc_tests", "-Arustdoc::private_intra_doc_links", "-o", target]
    assert os.path.basename(program) in ("rustc", "clippy-driver"), program
    return subprocess.run(command, cwd=output, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

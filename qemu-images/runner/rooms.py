# SPDX-License-Identifier: GPL-2.0
"""Shows that the host tests of the pure rooms notice what cargo-mutants would change. Runs inside the sandbox.

cargo-mutants builds and tests once for each mutant, which takes a day for the thousand of them. Here it only
lists them; then one test program is built that has them all (see mutation.py), and MUTANT= in its environment
says which is in force. It is run for each and ended at the first test that fails. Mutants that do not compile
are left out until the rest does. What can't be had beside others is built alone, and so is whatever is not
noticed but may matter while the compiler computes constants.
"""

import argparse
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass

import mutation

LIBRARY = "userspace-tests/rooms/src/lib.rs"
# How the code that is tested learns which mutant is in force. What is computed by the compiler has none.
CHOICE = """
#[inline]
pub(crate) const fn mutant() -> u32 {
    const fn none() -> u32 {
        0
    }
    fn named() -> u32 {
        static NUMBER: std::sync::LazyLock<u32> = std::sync::LazyLock::new(|| {
            std::env::var("MUTANT").ok().and_then(|number| number.parse().ok()).unwrap_or(0)
        });
        *NUMBER
    }
    core::intrinsics::const_eval_select((), none, named)
}
"""
FEATURES = "#![feature(core_intrinsics, const_eval_select)]\n#![allow(internal_features)]\n"
# A mutant may allocate without end.
MEMORY = 4 << 30
CAUGHT, MISSED, UNVIABLE, ENDLESS = "caught", "missed", "unviable", "endless"


@dataclass(frozen=True)
class Mutant:
    """A change to one place of a file."""

    name: str
    file: str  # from the top
    start: int
    end: int
    replacement: str

    def on(self, source):
        return source[:self.start] + self.replacement + source[self.end:]


class Tree:
    """A copy of the rooms, of which the files are written as they are needed."""

    def __init__(self, top):
        self.top = top
        self.sources = {}
        self.written = {}

    def source(self, path):
        if path not in self.sources:
            with open(os.path.join(self.top, path), encoding="utf-8") as file:
                self.sources[path] = self.written[path] = file.read()
        return self.sources[path]

    def write(self, changed):
        """Makes the files be as they are, but for these."""
        for path in changed:
            self.source(path)
        for path, source in self.sources.items():
            text = changed.get(path, source)
            if text != self.written[path]:
                with open(os.path.join(self.top, path), "w", encoding="utf-8") as file:
                    file.write(text)
                self.written[path] = text

    def cargo(self, *arguments):
        """[message of the compiler], and the program if it was built."""
        run = subprocess.run(
            ["cargo", *arguments, "--package", "rooms", "--lib", "--message-format=json"], cwd=self.top, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        errors, program = [], None
        for line in run.stdout.splitlines():
            message = json.loads(line)
            if message["reason"] == "compiler-message" and message["message"]["level"].startswith("error"):
                errors.append(message["message"])
            elif message["reason"] == "compiler-artifact" and message["target"]["name"] == "rooms":
                program = message["executable"]
        if run.returncode and not errors:
            sys.exit(f"{run.stderr[-3000:]}\nerror: cargo {arguments[0]} ended with status {run.returncode}")
        return errors, program if not run.returncode else None


def listed(tree, tool, files):
    """The mutants of these files of the driver."""
    output = subprocess.run(
        [tool, "mutants", "--in-place", "--package", "rooms", "--config", "userspace-tests/rooms/mutants.toml", "--list", "--json"],
        cwd=tree.top, check=True, stdout=subprocess.PIPE, text=True,
    ).stdout
    mutants = []
    for entry in json.loads(output):
        path = os.path.normpath(entry["file"])
        if not any(path == file or path.startswith(file.rstrip("/") + "/") for file in files):
            continue
        lines = [0]
        for line in tree.source(path).splitlines(keepends=True):
            lines.append(lines[-1] + len(line))
        start, end = (lines[entry["span"][which]["line"] - 1] + entry["span"][which]["column"] - 1 for which in ("start", "end"))
        name = path + entry["name"][entry["name"].index(".rs:") + 3:]
        mutants.append(Mutant(name, path, start, end, entry["replacement"]))
    return mutants


class Session:
    """A run of the program."""

    def __init__(self, tree, mutants):
        self.tree, self.mutants = tree, mutants
        self.found = {}  # number -> (what came of it, who noticed)
        self.constant = set()  # numbers of those in functions that the compiler may call
        self.alone = set()  # numbers of those that are built on their own
        self.limit = 600
        self.begun = time.monotonic()

    def say(self, text):
        minutes, seconds = divmod(int(time.monotonic() - self.begun), 60)
        print(f"[{minutes:2}:{seconds:02}] {text}", flush=True)

    def arms(self):
        """{file: {(body, number): edits}} of those that share a program."""
        arms, bodies = defaultdict(dict), {}
        for number, mutant in enumerate(self.mutants, 1):
            if number in self.found or number in self.alone:
                continue
            if mutant.file not in bodies:
                bodies[mutant.file] = mutation.bodies_of(self.tree.source(mutant.file))
            body = next((body for body in bodies[mutant.file] if body[1] < mutant.start and mutant.end < body[2]), None)
            if body is None:
                self.alone.add(number)
                continue
            arms[mutant.file][body, number] = [(mutant.start, mutant.end, mutant.replacement)]
            if re.search(r"\bconst\s+$", self.tree.source(mutant.file)[:body[0]]):
                self.constant.add(number)
        return arms

    def with_all(self):
        """The program that has them all."""
        while True:
            arms = self.arms()
            changed = {path: mutation.with_arms(self.tree.source(path), changes, keep_const=True) for path, changes in arms.items()}
            changed[LIBRARY] = re.sub(r"(?m)^(?=#!\[)", FEATURES, self.tree.source(LIBRARY), count=1) + CHOICE
            self.tree.write(changed)
            errors, _ = self.tree.cargo("check", "--profile", "test")
            if not errors:
                break
            if not self.leave_out(errors, changed, arms):
                sys.exit("\n".join(error["rendered"] for error in errors[:5]) + "\nerror: the rooms do not compile with all mutants")
        errors, program = self.tree.cargo("test", "--no-run")
        if not program:
            sys.exit("\n".join(error["rendered"] for error in errors[:5]) + "\nerror: the tests do not build with all mutants")
        return program

    def leave_out(self, errors, changed, arms):
        """Finds who makes these errors; returns whether anybody was found."""
        found = False
        for error in errors:
            for span in error["spans"]:
                if not span["is_primary"]:
                    continue
                # Of a macro, where it is called.
                while span["expansion"]:
                    span = span["expansion"]["span"]
                path = os.path.normpath(span["file_name"])
                number = arm_at(changed.get(path, ""), span["line_start"])
                if number:
                    self.found[number] = UNVIABLE, ""
                    found = True
                    continue
                # The body as it is does not go with others: each of the function's is built on its own.
                place = function_at(changed.get(path, ""), span["line_start"])
                for _, other in arms.get(path, {}):
                    if place and f"\n{other} => " in place:
                        self.alone.add(other)
                        found = True
        return found

    def attempt(self, program, number):
        """Runs the tests, up to the first that fails."""
        def confine():
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        # All see the same random numbers, so what fails is the mutant's doing; a failure need not be made
        # small, and must not be kept for the next.
        environment = {
            **os.environ, "MUTANT": str(number), "RUST_BACKTRACE": "0", "PROPTEST_RNG_SEED": "1",
            "PROPTEST_MAX_SHRINK_ITERS": "0", "PROPTEST_DISABLE_FAILURE_PERSISTENCE": "1",
        }
        run = subprocess.Popen(
            [program], cwd=self.tree.top, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, errors="replace", start_new_session=True, preexec_fn=confine,
        )
        late = threading.Event()

        def end():
            late.set()
            os.killpg(run.pid, signal.SIGKILL)

        timer = threading.Timer(self.limit, end)
        timer.start()
        failed = next((match[1] for line in run.stdout if (match := re.match(r"test (\S+) .*FAILED$", line.rstrip()))), None)
        timer.cancel()
        if failed and run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
        status = run.wait()
        if failed:
            return CAUGHT, failed
        if late.is_set():
            return ENDLESS, ""
        return (CAUGHT, f"the tests ended with status {status}") if status else (MISSED, "")

    def try_alone(self, number):
        """The same for one that is built on its own."""
        mutant = self.mutants[number - 1]
        self.tree.write({mutant.file: mutant.on(self.tree.source(mutant.file))})
        errors, program = self.tree.cargo("test", "--no-run")
        # What the compiler computes it may refuse: then it has noticed.
        computed = any((error["code"] or {}).get("code") == "E0080" for error in errors)
        if errors:
            return (CAUGHT, "the compiler") if computed else (UNVIABLE, "")
        return self.attempt(program, 0)

    def baseline(self, program):
        begun = time.monotonic()
        verdict, failed = self.attempt(program, 0)
        if verdict != MISSED:
            sys.exit(f"error: the tests fail without a mutant: {failed}")
        seconds = time.monotonic() - begun
        self.limit = 30 + 5 * seconds
        self.say(f"the tests take {seconds:.1f} s without a mutant")

    def run(self):
        self.say(f"{len(self.mutants)} mutants listed")
        program = self.with_all()
        for number in sorted(self.found):
            print(f"does not compile: {self.mutants[number - 1].name}")
        self.say(f"one program has {len(self.mutants) - len(self.found) - len(self.alone)} of them, "
                 f"{len(self.found)} do not compile, {len(self.alone)} are built alone")
        self.baseline(program)
        for number, mutant in enumerate(self.mutants, 1):
            if number in self.found or number in self.alone:
                continue
            verdict = self.attempt(program, number)
            if verdict[0] == MISSED and number in self.constant:
                self.alone.add(number)
                continue
            self.found[number] = verdict
            self.say(f"{number}/{len(self.mutants)} {mutant.name}: {verdict[1] or verdict[0]}")
        # Each is run once: what matters is how long it takes to build.
        os.environ["CARGO_PROFILE_DEV_OPT_LEVEL"] = "0"
        self.limit *= 10
        for number in sorted(self.alone):
            self.found[number] = self.try_alone(number)
            verdict = self.found[number]
            self.say(f"alone {number}/{len(self.mutants)} {self.mutants[number - 1].name}: {verdict[1] or verdict[0]}")
        return self.report()

    def report(self):
        table = defaultdict(Counter)
        for number, mutant in enumerate(self.mutants, 1):
            table[mutant.file][self.found[number][0]] += 1
        width = max(len(file) for file in table)
        print(f"\n{'file':{width}}  caught  endless  missed  not compiled")
        for file, counts in sorted(table.items()):
            print(f"{file:{width}}  {counts[CAUGHT]:6}  {counts[ENDLESS]:7}  {counts[MISSED]:6}  {counts[UNVIABLE]:12}")
        survivors = [mutant for number, mutant in enumerate(self.mutants, 1) if self.found[number][0] == MISSED]
        for mutant in survivors:
            print(f"survivor: {mutant.name}")
        viable = sum(1 for verdict, _ in self.found.values() if verdict != UNVIABLE)
        print(f"\n{viable} mutants, {len(survivors)} survivors")
        return 0 if viable and not survivors else 1


def arm_at(text, line):
    """The number of the mutant whose body has this line."""
    number = None
    for place, content in enumerate(text.splitlines(), 1):
        if begin := re.match(r"(\d+) => \{", content):
            number = int(begin[1])
        if place == line:
            return number
        if number and content.endswith(f" // {number} ends"):
            number = None
    return None


def function_at(text, line):
    """The text of the function that has this line."""
    start = sum(len(content) for content in text.splitlines(keepends=True)[:line - 1])
    return next((text[begin:end] for _, begin, end in mutation.bodies_of(text) if begin <= start < end), None)


def main(arguments):
    parser = argparse.ArgumentParser(prog="mutate-rooms", description=__doc__.splitlines()[0])
    parser.add_argument("tree", help="the copy of the rooms")
    parser.add_argument("tool", help="cargo-mutants")
    parser.add_argument("files", nargs="+", help="files and folders of the driver")
    options = parser.parse_args(arguments)
    tree = Tree(options.tree)
    mutants = listed(tree, options.tool, options.files)
    if not mutants:
        sys.exit("error: cargo-mutants finds nothing there")
    return Session(tree, mutants).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

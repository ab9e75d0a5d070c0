# SPDX-License-Identifier: GPL-2.0
"""Runs the suites of `make test` in few boots and adds up what they count. Runs inside the sandbox."""

import os
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import groupby

import guest
import lanes
import machine
import trial

TOP = guest.TOP
PLAIN = re.compile(r"^(?:\w+: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$")
# The kernel's selftests.
TOTALS = re.compile(r"^# Totals: pass:(\d+) fail:(\d+) xfail:(\d+) xpass:(\d+) skip:(\d+) error:(\d+)")
SKIPPED = re.compile(r"^ok \d+ .*# SKIP (.*)")
CARGO = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored")
BEGIN, END = "@@begin ", "@@end "


@dataclass
class Suite:
    """One line of the list, and what became of it."""

    name: str
    place: str
    limit: int
    command: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    counted: bool = False
    ended: bool = False
    seconds: float = 0.0
    remark: str = ""

    def read(self, line):
        """Takes the counts from a line of output that has them."""
        found = PLAIN.match(line) or CARGO.match(line)
        if found:
            self.count(int(found[1]), int(found[2]), int(found[3] or 0))
        elif found := TOTALS.match(line):
            passed, failed, xfail, xpass, skipped, error = map(int, found.groups())
            self.count(passed + xfail, failed + xpass + error, skipped)
        elif found := SKIPPED.match(line):
            self.remark = f"skipped: {found[1]}"

    def count(self, passed, failed, skipped):
        self.counted = True
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def end(self, status):
        """A suite that counts nothing is one test; one that fails without counting a failure has one."""
        self.ended = True
        if not self.counted:
            self.passed, self.failed = (1, 0) if status == 0 else (0, 1)
        elif status != 0 and self.failed == 0:
            self.failed = 1
        if self.counted and self.passed + self.failed + self.skipped == 0:
            self.failed, self.remark = 1, "ran no test"
        if status in (124, 137, 143):
            self.remark = f"time-out after {self.limit} s"
        elif status != 0 and not self.remark:
            self.remark = f"exit status {status}"


def load(wanted, lane):
    """The lane's suites in their order; a wanted name that is not among them ends the program."""
    suites = {}
    with open(os.path.join(TOP, "qemu-images/suites"), encoding="utf-8") as file:
        lines = [line for line in file if line.strip() and not line.startswith("#")]
    for line in lines + lane.suites:
        name, place, limit, command = line.split(None, 3)
        suites[name] = Suite(name, place, int(limit) * lane.factor, command.strip())
    for name, reason in lane.without.items():
        del suites[name]
        if not wanted or name in wanted:
            show(f"Not in the lane {lane.name}: {name} ({reason}).")
    unknown = set(wanted) - set(suites)
    if unknown:
        sys.exit(f"error: no suite {' '.join(sorted(unknown))}; there are: {' '.join(suites)}")
    return [suite for suite in suites.values() if not wanted or suite.name in wanted]


def show(text=""):
    print(text, flush=True)


def headline(suite):
    show(f"\n== {suite.name} ({suite.place})")


def closing(suite):
    verdict = f"{suite.passed} passed, {suite.failed} failed"
    verdict += f", {suite.skipped} skipped" if suite.skipped else ""
    show(f"== {suite.name}: {verdict} in {suite.seconds:.0f} s{' — ' + suite.remark if suite.remark else ''}")


def run_host(suite):
    headline(suite)
    begun = time.monotonic()
    process = subprocess.Popen(
        ["timeout", "--kill-after=5", str(suite.limit), "sh", "-c", suite.command],
        cwd=os.path.join(TOP, "userspace-tests"), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    )
    for line in process.stdout:
        show("   " + line.rstrip("\n"))
        suite.read(line)
    suite.seconds = time.monotonic() - begun
    suite.end(process.wait())
    closing(suite)


class Boot:
    """Several suites in one guest; follows their output by markers."""

    def __init__(self, suites):
        self.suites = {suite.name: suite for suite in suites}
        self.current = None
        self.begun = 0.0
        self.rest = b""

    def script(self):
        lines = []
        for suite in self.suites.values():
            lines += [
                f"echo '{BEGIN}{suite.name}'",
                "busybox sh /opt/guest/load-drivers || echo 'the drivers do not load'",
                f"busybox timeout -s KILL {suite.limit} sh -c {shlex.quote(suite.command)}",
                f"echo \"{END}{suite.name} $?\"",
            ]
        return "\n".join(lines + ["exit 0"])

    def take(self, chunk):
        """Bytes of the guest's output, as they come."""
        *lines, self.rest = (self.rest + chunk).split(b"\n")
        for line in lines:
            self.line(line.decode(errors="replace").rstrip("\r"))

    def line(self, line):
        if line.startswith(BEGIN):
            self.current = self.suites[line[len(BEGIN):]]
            self.begun = time.monotonic()
            headline(self.current)
        elif line.startswith(END):
            name, _, status = line[len(END):].partition(" ")
            suite = self.suites[name]
            suite.seconds = time.monotonic() - self.begun
            suite.end(int(status))
            closing(suite)
            self.current = None
        else:
            show("   " + line)
            if self.current:
                self.current.read(line)


def run_guest(suites, accel, kernel_folder, lane):
    """One boot for these suites. Returns what the kernel log says against all of them."""
    boot = Boot(suites)
    arguments = ["--lane", lane.name, "--timeout", str(sum(suite.limit for suite in suites) + 30 * lane.factor)]
    if suites[0].place.startswith("clients"):
        arguments.append("--clients")
    if suites[0].place.endswith("/icount"):
        arguments.append("--icount")
    for word in suites[0].place.split("/")[1:]:
        if word.startswith("lsm="):
            arguments += ["--lsm", word.removeprefix("lsm=")]
    top = "test" if lane.name == lanes.STOCK else f"test-{lane.name}"
    collected = os.path.join(guest.BUILD, top, suites[0].place.replace("/", "-"))
    options = guest.parse(arguments + ["--collect", collected, "--", "sh", "-c", boot.script()])
    run = guest.Run(options, kernel_folder, accel, sink=boot.take)
    try:
        run.prepare()
        run.boot()
        _, complaints = run.judge()
        if "done" in run.text("status"):
            run.collect(collected)
        if complaints:
            guest.show_log(run, complaints)
    finally:
        run.close()
    for suite in suites:
        if not suite.ended:
            suite.failed += 1
            suite.remark = "the guest ended first" if suite is boot.current else "was not reached"
            closing(suite)
    return complaints


def main(arguments):
    machine.end_in_order()
    lane = lanes.load(lanes.chosen())
    suites = load(arguments, lane)
    kernel_folder = os.environ["KERNEL_FOLDER"]
    accel = os.environ.get("ACCEL") or trial.choose(kernel_folder)
    show(f"Guests run under {accel.upper()}{'' if lane.name == lanes.STOCK else f', on the kernel of the lane {lane.name}'}.")
    condemned = []
    for place, group in groupby(suites, key=lambda suite: suite.place):
        group = list(group)
        if place == "host":
            for suite in group:
                run_host(suite)
        else:
            condemned += [(place, text) for text in run_guest(group, accel, kernel_folder, lane)]
    show()
    width = max(len(suite.name) for suite in suites)
    for suite in suites:
        show(f"  {suite.name:{width}}  {suite.passed:5} passed {suite.failed:4} failed {suite.seconds:6.0f} s  {suite.remark}".rstrip())
    for place, text in condemned:
        show(f"  boot {place}: {text}")
    passed = sum(suite.passed for suite in suites)
    failed = sum(suite.failed for suite in suites) + len({place for place, _ in condemned})
    show(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

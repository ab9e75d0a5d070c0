# SPDX-License-Identifier: GPL-2.0
"""Shows that the conformance suite notices deliberate breakages of the driver. Runs inside the sandbox.

A copy of the driver is built that has all breakages of qemu-images/mutants, of which one is in force at
a time. In a guest, beside the C driver, the cases that are expected to notice it are run first; a breakage
that they let pass gets the whole suite. Results are kept for as long as neither driver nor suite changes.
"""

import argparse
import json
import os
import re
import sys
import time
from dataclasses import dataclass, field, replace

import guest
import machine
import mutation
import trial
import verdict

SUITE = os.path.join(guest.BUILD, "userspace/x86_64-unknown-linux-gnu/release/conformance")
RESULTS = os.path.join(mutation.FOLDER, "results.json")
# Seconds that the suite may take: a hung case takes a minute and a half, the others less than three.
LIMIT, PER_CASE, WHOLE_LIMIT = 240, 3, 1800
FOUND = re.compile(r"^(FAILED|HUNG) on (\w+): (\S+)")
LEFT = re.compile(r"\d+ of kind \w+ left at unload")


@dataclass
class Attempt:
    """Some cases on one broken driver, and what came of them."""

    mutant: mutation.Mutant
    whole: bool = False
    second: bool = False  # after a first that says nothing
    cases: list = field(default_factory=list)  # that failed on ours
    late: list = field(default_factory=list)  # what did not end: a slow guest may be why
    wrong: list = field(default_factory=list)  # that failed on the C driver
    remarks: list = field(default_factory=list)
    log: list = field(default_factory=list)
    status: int = 0
    ended: bool = False

    def limit(self):
        return WHOLE_LIMIT if self.whole else LIMIT + PER_CASE * len(self.mutant.cases)

    def order(self, number):
        """For the guest: what to try."""
        cases = "" if self.whole else "--exact " + " ".join(self.mutant.cases)
        return f"{self.mutant.name} {number} {self.limit()} --first-failure --give-up 1 {cases}"

    def line(self, line):
        word, _, rest = line.partition(" ")
        found = FOUND.match(line)
        if word == "@@log":
            self.log.append(rest)
        elif word == "@@remark":
            self.remarks.append(rest)
        elif found:
            ours = self.cases if found[1] == "FAILED" else self.late
            (ours if found[2] == "ours" else self.wrong).append(found[3])

    def end(self, status):
        self.ended, self.status = True, status
        if status in (124, 137):
            self.late.append("the suite did not end")

    def signs(self):
        """What speaks against the driver."""
        signs = self.cases + self.remarks
        log = "\n".join(self.log)
        signs += [f"kernel log: {rule}" for rule in dict.fromkeys(rule for rule, _ in verdict.findings(log) if rule != "objects left")]
        return signs + list(dict.fromkeys(LEFT.findall(log)))

    def noticed_by(self):
        """Who noticed, in words; empty if nobody."""
        down = [] if self.ended else ["the guest went down"]
        return ", ".join((self.signs() + self.late + down)[:2])


class Guest:
    """One boot for as many attempts as it survives."""

    def __init__(self, workshop, kernel_folder, accel, tell):
        self.workshop, self.kernel_folder, self.accel, self.tell = workshop, kernel_folder, accel, tell
        self.rest, self.current, self.done = b"", None, []

    def run(self, attempts):
        """Returns those that were not reached."""
        self.pending = {attempt.mutant.name: attempt for attempt in attempts}
        os.makedirs(mutation.FOLDER, exist_ok=True)
        todo = os.path.join(mutation.FOLDER, "list")
        with open(todo, "w", encoding="utf-8") as file:
            file.writelines(attempt.order(self.workshop.number(attempt.mutant)) + "\n" for attempt in attempts)
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "try-mutants")
        limit = sum(attempt.limit() for attempt in attempts)
        options = ["--no-load", "--timeout", str(limit)]
        for file, place in ((todo, "list"), (script, "try"), (self.workshop.module, "rust_binder.ko")):
            options += ["--add", f"{file}:mutants/{place}"]
        run = guest.Run(guest.parse(options + ["--", "sh", "/mutants/try"]), self.kernel_folder, self.accel, sink=self.take)
        try:
            run.prepare()
            run.boot()
            if self.current:
                # It took the guest with it.
                self.current.log += (run.text("kernel") or run.text("console")).splitlines()
                self.current.late += [run.reason] if run.reason else []
                self.finish(self.current)
            elif not self.done:
                sys.exit(f"error: the guest did not run a mutant: {run.reason or run.text('errors') or run.log()[-2000:]}")
        finally:
            run.close()
        return list(self.pending.values())

    def finish(self, attempt):
        self.done.append(attempt)
        del self.pending[attempt.mutant.name]
        self.current = None
        self.tell(attempt)

    def take(self, chunk):
        *lines, self.rest = (self.rest + chunk).split(b"\n")
        for line in lines:
            self.line(line.decode(errors="replace").rstrip("\r"))

    def line(self, line):
        word, _, rest = line.partition(" ")
        if word == "@@begin":
            self.current = self.pending[rest]
        elif word == "@@end" and self.current:
            self.current.end(int(rest.split()[-1]))
            self.finish(self.current)
        elif self.current:
            self.current.line(line)


class Results:
    """What is known from earlier runs."""

    def __init__(self, workshop):
        self.workshop = workshop
        self.suite = mutation.digest_of(SUITE)
        try:
            with open(RESULTS, encoding="utf-8") as file:
                self.known = json.load(file)
        except (FileNotFoundError, ValueError):
            self.known = {}

    def key(self, attempt):
        cases = "all" if attempt.whole else " ".join(attempt.mutant.cases)
        return f"{self.workshop.key(attempt.mutant)} {self.suite} {cases}"

    def get(self, attempt):
        return self.known.get(self.key(attempt))

    def put(self, attempt, noticed_by):
        self.known[self.key(attempt)] = noticed_by
        os.makedirs(mutation.FOLDER, exist_ok=True)
        # Of other suites nobody asks again.
        kept = {key: value for key, value in self.known.items() if key.split(" ")[1] == self.suite}
        with open(RESULTS + ".new", "w", encoding="utf-8") as file:
            json.dump(kept, file, indent=1)
        os.replace(RESULTS + ".new", RESULTS)


class Session:
    """A run of the program."""

    def __init__(self, mutants, workshop):
        self.mutants = mutants
        self.kernel_folder = os.environ["KERNEL_FOLDER"]
        self.accel = os.environ.get("ACCEL") or trial.choose(self.kernel_folder)
        self.workshop = workshop
        self.results = Results(workshop)
        self.begun = time.monotonic()
        self.tried = 0

    def say(self, text):
        minutes, seconds = divmod(int(time.monotonic() - self.begun), 60)
        print(f"[{minutes:2}:{seconds:02}] {text}", flush=True)

    def attempt(self, attempts):
        """{name: noticed by, or empty} for all of these, from earlier runs or from guests."""
        found = {attempt.mutant.name: self.results.get(attempt) for attempt in attempts}
        left = [attempt for attempt in attempts if found[attempt.mutant.name] is None]
        self.tried = len(attempts) - len(left)

        troubles, again = [], []

        # Called by the thread that listens to the guest: what is to end the program waits.
        def tell(attempt):
            name, noticed_by = attempt.mutant.name, attempt.noticed_by()
            if attempt.wrong:
                troubles.append(f"{', '.join(attempt.wrong)} failed on the C driver, beside {name}")
            elif not noticed_by and attempt.status:
                troubles.append(f"the suite ended with status {attempt.status} without a reason, with {name}")
            elif noticed_by and not attempt.signs() and not attempt.second:
                self.say(f"{name}: {noticed_by}; that may be the guest, so it is tried again")
                again.append(Attempt(attempt.mutant, attempt.whole, second=True))
            else:
                if attempt.mutant.edits:
                    self.tried += not attempt.whole
                    self.say(f"{self.tried}/{len(self.mutants)} {name}: {f'noticed by {noticed_by}' if noticed_by else 'not noticed'}")
                found[name] = noticed_by
                self.results.put(attempt, noticed_by)

        while left:
            left = Guest(self.workshop, self.kernel_folder, self.accel, tell).run(left) + again
            again.clear()
        if troubles:
            sys.exit("\n".join(f"error: {trouble}" for trouble in troubles))
        return found

    def prove(self, cases):
        """Sees to it that the cases pass on the driver as it is."""
        one_by_one = {case: Attempt(replace(mutation.PLAIN, cases=(case,))) for case in sorted(cases)}
        unproven = tuple(case for case, attempt in one_by_one.items() if self.results.get(attempt) is None)
        if not unproven:
            return
        plain = replace(mutation.PLAIN, cases=unproven)
        self.say(f"{len(unproven)} cases on the driver as it is")
        noticed = self.attempt([Attempt(plain)])[plain.name]
        if noticed:
            sys.exit(f"error: cases fail without a mutation: {noticed}")
        for case in unproven:
            self.results.put(one_by_one[case], "")

    def run(self):
        """{name: noticed by, or empty}."""
        self.say(f"{len(self.mutants)} mutants; guests run under {self.accel.upper()}")
        if log := self.workshop.make():
            sys.exit("\n".join(log.splitlines()[-60:]) + "\nerror: the driver with all mutants does not build")
        self.say("the driver with all mutants is built")
        self.prove({case for mutant in self.mutants for case in mutant.cases})
        found = self.attempt([Attempt(mutant) for mutant in self.mutants])
        passed = [mutant for mutant in self.mutants if not found[mutant.name]]
        if passed:
            self.say(f"the whole suite on {len(passed)} that were not noticed by the cases named")
            for name, noticed in self.attempt([Attempt(mutant, whole=True) for mutant in passed]).items():
                found[name] = noticed and f"{noticed} (not by the cases named)"
        return found


def report(mutants, found):
    names = max(len(mutant.name) for mutant in mutants)
    rules = max(len(mutant.rule) for mutant in mutants)
    print(f"\n{'mutant':{names}}  {'rule':{rules}}  noticed by")
    print(f"{'-' * names}  {'-' * rules}  {'-' * 30}")
    for mutant in mutants:
        print(f"{mutant.name:{names}}  {mutant.rule:{rules}}  {found[mutant.name] or 'NOBODY'}")
    survivors = sum(1 for noticed_by in found.values() if not noticed_by)
    print(f"\n{len(found)} mutants, {survivors} survivors")
    return 0 if survivors == 0 else 1


def main(arguments):
    machine.end_in_order()
    parser = argparse.ArgumentParser(prog="mutate", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only mutants with this in their names, of this rule or this file")
    parser.add_argument("--list", action="store_true", help="name the mutants and run none")
    options = parser.parse_args(arguments)
    try:
        everything = mutation.load()
        problems = list(mutation.problems_of(everything))
    except mutation.DefinitionError as error:
        problems = [str(error)]
    if problems:
        sys.exit("\n".join(f"error: {problem}" for problem in problems))
    mutants = [
        mutant for mutant in everything
        if not options.names or any(name in mutant.name or name in (mutant.group, mutant.rule) for name in options.names)
    ]
    if not mutants:
        sys.exit("error: there is no such mutant")
    if options.list:
        for mutant in mutants:
            print(f"{mutant.name:40} {mutant.rule:16} {' '.join(mutant.cases)}")
        return 0
    workshop = mutation.Workshop(os.environ["KERNEL_FOLDER"], everything)
    return report(mutants, Session(mutants, workshop).run())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

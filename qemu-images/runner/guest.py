# SPDX-License-Identifier: GPL-2.0
"""Boots a guest, runs a command in it, tells how it went. Runs inside the sandbox."""

import argparse
import contextlib
import os
import shlex
import shutil
import sys
import tarfile
import tempfile
import threading
import time

import image
import lanes
import machine
import verdict

TOP = lanes.TOP
BUILD = os.path.join(TOP, "build")
FAILED = 125  # the run is condemned though the command itself may have succeeded
TIMED_OUT = 124
PREFIX = "rust-binder-guest."
SHELL = """echo
echo "C driver: /dev/cbinder /dev/chwbinder /dev/cvndbinder; ours: /dev/binder /dev/hwbinder /dev/vndbinder"
echo "Modules are in /modules, the programs in /opt/guest (in PATH). \"exit\" ends the guest."
exec sh -l
"""


def parse(arguments):
    parser = argparse.ArgumentParser(prog="guest run", description=__doc__)
    parser.add_argument("--lane", default=lanes.chosen(), choices=lanes.names(), help="which kernel (default: %(default)s)")
    parser.add_argument("--smp", type=int, default=2, help="virtual CPUs (default: %(default)s)")
    parser.add_argument("--memory", type=int, metavar="MB", help="memory of the guest (default: 2048, or what the lane says)")
    parser.add_argument("--icount", action="store_true", help="one CPU whose clock counts executed instructions")
    parser.add_argument("--accel", default=os.environ.get("ACCEL", "auto"), choices=["auto", "tcg", "kvm"])
    parser.add_argument("--qemu-arg", action="append", default=[], metavar="X", help="one more argument for QEMU; repeat")
    parser.add_argument("--append", action="append", default=[], metavar="ARGS", help="more for the kernel command line")
    parser.add_argument("--lsm", default="selinux", help="security module; capability: none; '': the kernel's default (default: %(default)s)")
    parser.add_argument("--add", action="append", default=[], metavar="FILE[:PATH]", help="one more file in the guest (default place: /bin)")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="for the command (default: 300, times the factor of the lane)")
    parser.add_argument("--collect", metavar="DIR", help="where files that the command leaves in /results go, with the kernel log")
    parser.add_argument("--clients", action="store_true", help="run the command in the bigger root (python3, libgbinder tools)")
    parser.add_argument("--no-load", action="store_true", help="load no driver; both modules are in /modules")
    parser.add_argument("--keep", action="store_true", help="do not unload our module at the end")
    parser.add_argument("--module", help="another rust_binder.ko")
    parser.add_argument("--options", default="devices=binder,hwbinder,vndbinder", help="parameters of our module (default: %(default)s)")
    parser.add_argument("--allow", action="append", default=[], metavar="PATTERN", help="kernel log lines that do not condemn the run")
    parser.add_argument("--verbose", action="store_true", help="show the kernel log in any case")
    parser.add_argument("--shell", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD...")
    options = parser.parse_args(arguments)
    if options.command[:1] == ["--"]:
        options.command = options.command[1:]
    if not options.command and not options.shell:
        parser.error("no command given")
    lane = options.lane = lanes.load(options.lane)
    options.memory = options.memory or lane.memory
    options.timeout = options.timeout or 300 * lane.factor
    options.own_build = not options.module
    options.module = options.module or os.path.join(BUILD, lane.link, "rust_binder.ko")
    return options


def changed_since(module):
    """A source of the driver that was changed after this module was built from it, if any."""
    with contextlib.suppress(FileNotFoundError):
        built = os.stat(module).st_mtime
        for folder, _, names in os.walk(os.path.join(TOP, "rust_binder")):
            for path in (os.path.join(folder, name) for name in names):
                if os.stat(path).st_mtime > built:
                    return os.path.relpath(path, TOP)
    return None


def built_binaries():
    """(host file, guest path) of the listed binaries that are built."""
    names = image.manifest(os.path.join(TOP, "qemu-images/packages/guest"))
    places = [os.path.join(BUILD, "userspace/x86_64-unknown-linux-gnu/release")]
    places += [os.path.join(BUILD, name) for name in ("compat", "published")]
    found = {}
    for place in places:
        for name in names:
            if os.path.exists(os.path.join(place, name)):
                found.setdefault(f"guest/{name}", os.path.join(place, name))
    return [(host, path) for path, host in found.items()]


def remove_stale():
    """Removes the folders of runs that were killed: their names tell whose they are."""
    for name in os.listdir(tempfile.gettempdir()):
        owner, dot, _ = name.removeprefix(PREFIX).partition(".")
        if name.startswith(PREFIX) and dot and owner.isdigit() and not os.path.exists(f"/proc/{owner}"):
            shutil.rmtree(os.path.join(tempfile.gettempdir(), name), ignore_errors=True)


class Run:
    """One guest from boot to verdict; its files live in a temporary folder of its own."""

    def __init__(self, options, kernel_folder, accel, sink=None):
        self.options = options
        self.kernel_folder = kernel_folder
        self.accel = accel
        remove_stale()
        self.folder = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}.")
        self.reason = None
        self.sink = sink or self.pass_on

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def text(self, name):
        try:
            with open(os.path.join(self.folder, name), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def events(self, word):
        """What the guest reported under this word."""
        return [line.partition(" ")[2] for line in self.text("status").splitlines() if line.partition(" ")[0] == word]

    def prepare(self):
        options = self.options
        binaries = built_binaries()
        added = []
        for entry in options.add:
            host, _, guest = entry.partition(":")
            added.append((host, guest or f"guest/{os.path.basename(host)}"))
            if not guest:
                binaries.append(added.pop())
        module = options.module if os.path.exists(options.module) else None
        size = shutil.get_terminal_size((80, 24))
        settings = {
            "LOAD": "" if options.no_load else "1",
            "KEEP": "1" if options.keep or options.shell else "",
            "CLIENTS": "1" if options.clients else "",
            "FACTOR": options.lane.factor,
            "SHELL_ON": "1" if options.shell else "",
            "ROWS": size.lines if options.shell else "",
            "COLUMNS": size.columns if options.shell else "",
            "TERM": os.environ.get("TERM", "dumb") if options.shell else "dumb",
        }
        command = SHELL if options.shell else "exec " + shlex.join(options.command) + "\n"
        image.write(
            os.path.join(self.folder, "initrd"),
            kernel_folder=self.kernel_folder, module=module, module_options=options.options,
            binaries=binaries, added=added, command=command, settings=settings,
        )

    def boot(self):
        """Runs the machine to its end; sets `reason` when it had to be stopped."""
        options = self.options
        disks = [os.environ["CLIENTS_IMAGE"]] if options.clients else []
        arguments = machine.command_line(
            self.folder, os.path.join(self.kernel_folder, "vmlinuz"), os.path.join(self.folder, "initrd"),
            machine.kernel_line(self.accel, options.lsm, options.icount, options.lane.append + options.append),
            accel=self.accel, smp=options.smp, memory=options.memory, icount=options.icount,
            shell=options.shell, disks=disks, extra=options.qemu_arg,
        )
        with open(os.path.join(self.folder, "errors"), "wb") as errors:
            process = machine.start(arguments, shell=options.shell, errors=errors)
            try:
                if not options.shell:
                    stream = threading.Thread(target=self.drain, args=(process.stdout,), daemon=True)
                    stream.start()
                self.watch(process)
            finally:
                machine.stop(process)
            if not options.shell:
                stream.join(5)

    def drain(self, stream):
        while chunk := stream.read1(65536):
            self.sink(chunk)

    @staticmethod
    def pass_on(chunk):
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()

    def watch(self, process):
        """Waits for the end. Each phase has its own time limit."""
        slow = self.options.lane.factor * (3 if self.options.icount else 1)
        limits = {"boot": 150 * slow, "command": self.options.timeout, "end": 90 * slow}
        phase, begun = "boot", time.monotonic()
        while process.poll() is None:
            time.sleep(0.05)
            reached = "end" if self.events("exit") else "command" if "booted" in self.text("status") else "boot"
            if reached != phase:
                phase, begun = reached, time.monotonic()
            if self.options.shell and phase != "boot":
                process.wait()
            elif time.monotonic() - begun > limits[phase]:
                what = {"boot": "the guest did not boot", "command": "time-out: the command did not end",
                        "end": "time-out: the guest did not shut down"}[phase]
                self.reason = f"{what} within {limits[phase]:.0f} s"
                return

    def log(self):
        """The kernel's log: what it handed over at the end, or what it managed to say on the console."""
        return self.text("kernel") or self.text("console")

    def judge(self):
        """(exit status, complaints)."""
        complaints = []
        if self.reason:
            complaints.append(self.reason)
        elif "booted" not in self.text("status"):
            complaints.append("the guest did not boot: " + (self.text("errors").strip() or "it ended by itself"))
        elif not self.events("exit"):
            complaints.append("the guest went down before the command ended")
        complaints += [f"module does not load: {text}" for text in self.events("load")]
        complaints += [f"module left loaded: {text}" for text in self.events("left")]
        complaints += [f"a check of the kernel's is off: {text}" for text in self.events("blind")]
        seen = {}
        # The console also has what came after the log was handed over, a panic for example.
        for rule, line in verdict.findings(self.text("kernel") + "\n" + self.text("console"), self.options.allow):
            seen.setdefault(line, rule)
        complaints += [f"kernel log: {rule}: {line}" for line, rule in seen.items()]
        status = int(self.events("exit")[0]) if self.events("exit") else FAILED
        if complaints:
            status = TIMED_OUT if self.reason else FAILED
        return status, complaints

    def collect(self, target):
        os.makedirs(target, exist_ok=True)
        path = os.path.join(self.folder, "results")
        if os.path.getsize(path):
            with tarfile.open(path) as archive:
                archive.extractall(target, filter="data")
        with open(os.path.join(target, "kernel.log"), "w", encoding="utf-8") as file:
            file.write(self.log())


def excerpt(log, allowed, before=5, lines=70):
    """What explains a condemned run: the log from its first finding on, else the end of it."""
    rows = log.splitlines()
    found = {line for _, line in verdict.findings(log, allowed)}
    first = next((number for number, row in enumerate(rows) if row.strip() in found), None)
    if first is None:
        return "the end of the kernel log", rows[-lines:]
    start = max(0, first - before)
    return f"the kernel log from line {start + 1} of {len(rows)} on", rows[start:start + lines]


def show_log(run, complaints):
    """After a condemned run: the complaints, the log around the first of them, and where all of it is."""
    kept = os.path.join(BUILD, "guest")
    os.makedirs(kept, exist_ok=True)
    path = os.path.join(kept, f"failed-{time.strftime('%H%M%S')}-{os.getpid()}.log")
    log = run.log()
    with open(path, "w", encoding="utf-8") as file:
        file.write(log + "\n--- console ---\n" + run.text("console") + "\n--- QEMU ---\n" + run.text("errors"))
    title, rows = excerpt(log, run.options.allow)
    print(f"--- {title} ".ljust(66, "-"), file=sys.stderr)
    print("\n".join(rows), file=sys.stderr)
    print("-" * 66, file=sys.stderr)
    for complaint in complaints[:20]:
        print(f"guest failed: {complaint}", file=sys.stderr)
    print(f"(all of the log: {path})", file=sys.stderr)


def main(arguments):
    machine.end_in_order()
    options = parse(arguments)
    changed = options.own_build and changed_since(options.module)
    if changed:
        print(f"note: {options.module} is older than {changed}", file=sys.stderr)
    kernel_folder = os.environ["KERNEL_FOLDER"]
    accel = options.accel
    if accel == "auto":
        import trial  # needs this module in turn

        accel = "tcg" if options.icount else trial.choose(kernel_folder)
    run = Run(options, kernel_folder, accel)
    try:
        run.prepare()
        run.boot()
        status, complaints = run.judge()
        if options.collect and "done" in run.text("status"):
            run.collect(options.collect)
        if complaints and not (options.shell and not run.reason and run.events("exit")):
            show_log(run, complaints)
        elif options.verbose:
            print(run.log(), file=sys.stderr)
        return status
    except image.ImageError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    finally:
        run.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

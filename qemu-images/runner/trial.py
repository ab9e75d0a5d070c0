# SPDX-License-Identifier: GPL-2.0
"""Decides between KVM and TCG by trying: /dev/kvm may exist and be unusable, or slower than TCG."""

import fcntl
import os
import time

import guest
import machine

# Enough system calls that a KVM which emulates kernel mode shows.
LOOP = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); : >/dev/null; done"


def choose(kernel_folder):
    """"kvm" or "tcg"; the answer is kept for as long as the host is up."""
    if not machine.usable_kvm_file():
        return "tcg"
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        boot = file.read().strip()
    cache = os.environ["CACHE"]
    answer = os.path.join(cache, f"accel-{boot}")
    os.makedirs(os.path.join(cache, "locks"), exist_ok=True)
    with open(os.path.join(cache, "locks", "accel"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            with open(answer, encoding="ascii") as file:
                return file.read().strip()
        except FileNotFoundError:
            pass
        tcg = _seconds(kernel_folder, "tcg", 120)
        kvm = _seconds(kernel_folder, "kvm", max(10, tcg))
        chosen = "kvm" if kvm < tcg else "tcg"
        with open(answer + ".new", "w", encoding="ascii") as file:
            file.write(chosen + "\n")
        os.replace(answer + ".new", answer)
        return chosen


def _seconds(kernel_folder, accel, limit):
    """Time of a trial guest from start to end; infinite when it does not come through."""
    options = guest.parse(["--no-load", "--timeout", str(limit), "--", "sh", "-c", LOOP])
    run = guest.Run(options, kernel_folder, accel)
    begun = time.monotonic()
    try:
        run.prepare()
        run.boot()
        status, _ = run.judge()
        return time.monotonic() - begun if status == 0 else float("inf")
    finally:
        run.close()

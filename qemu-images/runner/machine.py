# SPDX-License-Identifier: GPL-2.0
"""The virtual machine: QEMU's command line, its life, and its death with ours."""

import ctypes
import os
import signal
import subprocess
import sys

# An emulated timer on a busy host may be late; the kernel's check of it panics then.
KERNEL_LINE = (
    "console=ttyS0 loglevel=5 log_buf_len=4M panic=-1 oops=panic random.trust_bootloader=on "
    "rdinit=/init no_timer_check"
)
# Without these the counted instructions depend on the host or bury the driver: `rep movsb` would
# count one instruction per byte, addresses and random numbers would vary from boot to boot.
ICOUNT_CPU = "max,-la57,-erms,-fsrm,-fsrs,-fzrm,-rdrand,-rdseed,-x2apic"
ICOUNT_LINE = "nokaslr norandmaps mitigations=off tsc=reliable"
# On a busy host the kernel may find a wrong frequency for the emulated time-stamp counter; its time
# then runs many times too fast, and its checks find stalls that there are not.
TCG_LINE = "tsc=unstable"
PORTS = ("status", "kernel", "results")


def kernel_line(accel, lsm, icount, extra):
    words = [KERNEL_LINE]
    if lsm:
        words.append(f"security={lsm}")
    if icount:
        words.append(ICOUNT_LINE)
    elif accel != "kvm":
        words.append(TCG_LINE)
    return " ".join(words + list(extra))


def command_line(folder, kernel, initrd, append, *, accel, smp, memory, icount, shell, disks, extra):
    """QEMU's arguments; files of this run are in `folder`."""
    args = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    if icount:
        args += ["-accel", "tcg", "-icount", "shift=0,sleep=off", "-smp", "1", "-cpu", ICOUNT_CPU, "-seed", "1"]
    elif accel == "kvm":
        args += ["-accel", "kvm", "-cpu", "host", "-smp", str(smp)]
    else:
        args += ["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", str(smp)]
    args += ["-m", str(memory), "-kernel", kernel, "-initrd", initrd, "-append", append]
    args += ["-serial", f"file:{folder}/console", "-device", "virtio-serial-pci,max_ports=8"]
    if shell:
        args += ["-chardev", "stdio,id=command,signal=off", "-device", "virtconsole,chardev=command,name=shell"]
    else:
        # Not "stdio": that one closes the port for the guest once its standard input has ended.
        args += ["-chardev", "file,id=command,path=/proc/self/fd/1"]
        args += ["-device", "virtserialport,chardev=command,name=command"]
    for port in PORTS:
        args += ["-chardev", f"file,id={port},path={folder}/{port}"]
        args += ["-device", f"virtserialport,chardev={port},name={port}"]
    for number, disk in enumerate(disks):
        args += ["-drive", f"if=none,id=disk{number},file={disk},format=raw,readonly=on,file.locking=off"]
        args += ["-device", f"virtio-blk-pci,drive=disk{number}"]
    return args + list(extra)


def _die_with_parent():
    """In the child: no guest outlives its runner, however that ends."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def start(args, *, shell, errors):
    return subprocess.Popen(
        args,
        stdin=None if shell else subprocess.DEVNULL,
        stdout=None if shell else subprocess.PIPE,
        stderr=errors,
        preexec_fn=_die_with_parent,
    )


def end_in_order():
    """Makes an exit of the signals that interrupt a run, so that it takes its folder along."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        # nohup has its way.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, _: sys.exit(128 + number))


def stop(process):
    if process.poll() is None:
        process.kill()
    process.wait()


def usable_kvm_file():
    return os.access("/dev/kvm", os.R_OK | os.W_OK)

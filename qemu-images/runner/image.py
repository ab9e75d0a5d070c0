# SPDX-License-Identifier: GPL-2.0
"""The guest's initramfs: busybox, the modules, the binaries under test, the command."""

import os
import shlex
import subprocess

import cpio

HERE = os.path.dirname(os.path.abspath(__file__))
BUSYBOX = "/usr/bin/busybox"
PASSWD = b"root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"
GROUP = b"root:x:0:\ndaemon:x:1:\nuser:x:1000:\nnogroup:x:65534:\n"


class ImageError(Exception):
    """Something that belongs in the guest is not there."""


def read(path):
    with open(path, "rb") as file:
        return file.read()


def manifest(path):
    """Names of the binaries that belong in the guest."""
    with open(path, encoding="utf-8") as file:
        return [line.split("#")[0].strip() for line in file if line.split("#")[0].strip()]


def write(path, *, kernel_folder, module, module_options, binaries, added, command, settings):
    """`binaries` and `added` are (host file, guest path)."""
    with open(path, "wb") as stream:
        archive = cpio.Archive(stream)
        for folder in ("proc", "sys", "dev", "tmp", "root", "results", "etc", "guest", "modules", "mnt", "var"):
            archive.folder(folder)
        archive.character_device("dev/console", 5, 1)
        archive.character_device("dev/null", 1, 3)
        archive.file("guest/busybox", read(BUSYBOX), 0o755)
        archive.link("bin/busybox", "../guest/busybox")
        applets = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split()
        taken = {os.path.basename(guest) for _, guest in binaries}
        for applet in applets:
            if applet != "busybox" and applet not in taken:
                archive.link(f"bin/{applet}", "busybox")
        archive.file("etc/passwd", PASSWD)
        archive.file("etc/group", GROUP)
        archive.file("init", read(f"{HERE}/init"), 0o755)
        # Where the command finds it under the same path with the bigger root too.
        archive.link("opt/guest", "../guest")
        for script in ("load-drivers", "reload-test"):
            archive.file(f"guest/{script}", read(f"{HERE}/{script}"), 0o755)
            archive.link(f"bin/{script}", f"../guest/{script}")
        modules = os.path.join(kernel_folder, "modules")
        for name in sorted(os.listdir(modules)):
            if name.endswith(".ko"):
                archive.file(f"modules/{name}", read(f"{modules}/{name}"))
        if module:
            archive.file("modules/rust_binder.ko", read(module))
            archive.file("modules/rust_binder.options", module_options.encode() + b"\n")
        for host, guest in list(binaries) + list(added):
            try:
                archive.file(guest, read(host), 0o755 if os.access(host, os.X_OK) else 0o644)
            except OSError as error:
                raise ImageError(f"{host} cannot go into the guest: {error.strerror}") from error
        for _, guest in binaries:
            archive.link(f"bin/{os.path.basename(guest)}", f"../{guest}")
        archive.file("run.cmd", command.encode())
        lines = "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in settings.items())
        archive.file("run.conf", lines.encode())
        archive.close()

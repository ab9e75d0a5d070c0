# SPDX-License-Identifier: GPL-2.0
"""Writes an initramfs: a cpio archive in the "newc" format, built in memory without root rights."""

import stat


class Archive:
    """Entries are added in order; folders on the way to a file are added by themselves."""

    def __init__(self, stream):
        self._stream = stream
        self._inode = 0
        self._folders = set()

    def folder(self, path, mode=0o755):
        path = path.strip("/")
        if path and path not in self._folders:
            self._parents(path)
            self._folders.add(path)
            self._entry(path, stat.S_IFDIR | mode)

    def file(self, path, content, mode=0o644):
        path = path.strip("/")
        self._parents(path)
        self._entry(path, stat.S_IFREG | mode, content)

    def link(self, path, target):
        path = path.strip("/")
        self._parents(path)
        self._entry(path, stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, path, major, minor):
        path = path.strip("/")
        self._parents(path)
        self._entry(path, stat.S_IFCHR | 0o600, device=(major, minor))

    def close(self):
        self._entry("TRAILER!!!", 0)

    def _parents(self, path):
        head = path.rpartition("/")[0]
        if head:
            self.folder(head)

    def _entry(self, name, mode, content=b"", device=(0, 0)):
        self._inode += 1
        encoded = name.encode() + b"\0"
        fields = (self._inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(encoded), 0)
        header = b"070701" + b"".join(b"%08x" % field for field in fields)
        self._stream.write(header + encoded + b"\0" * (-(len(header) + len(encoded)) % 4))
        self._stream.write(content + b"\0" * (-len(content) % 4))

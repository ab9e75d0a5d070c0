# SPDX-License-Identifier: GPL-2.0
"""Calls the test service through libgbinder's Python binding.

Arguments: device, service manager dialect, wire dialect, service name, interface descriptor.
Prints what came back; any surprise is an exception and so a non-zero exit.
"""

import sys

import gbinder

device, manager_dialect, wire_dialect, name, descriptor = sys.argv[1:]
ECHO, ADD = 1, 2

manager = gbinder.ServiceManager(device, manager_dialect, wire_dialect)
if name not in manager.list_sync():
    sys.exit(f"{name} is not in {manager.list_sync()}")
remote, status = manager.get_service_sync(name)
if not remote:
    sys.exit(f"{name}: not found, status {status}")
client = gbinder.Client(remote, descriptor)


def call(code, append):
    """One call; returns a reader past the exception word."""
    request = client.new_request()
    append(request)
    reply, failure = client.transact_sync_reply(code, request)
    if failure:
        sys.exit(f"code {code}: status {failure}")
    reader = reply.init_reader()
    ok, exception = reader.read_int32()
    if not ok or exception:
        sys.exit(f"code {code}: exception {exception}")
    return reply, reader


for text in ("from Python", "grüß Gott 🦀", ""):
    reply, reader = call(ECHO, lambda request: request.append_string16(text))
    back = reader.read_string16()
    if back != text:
        sys.exit(f"sent {text!r}, got {back!r}")

def operands(request):
    request.append_int32(40)
    request.append_int32(2)

reply, reader = call(ADD, operands)
ok, total = reader.read_int32()
if not ok or total != 42:
    sys.exit(f"40 + 2 = {total}")
print(f"three texts came back, 40 + 2 = {total}")

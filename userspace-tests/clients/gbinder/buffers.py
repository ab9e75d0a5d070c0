# SPDX-License-Identifier: GPL-2.0
"""Sends strings beside the parcel, in buffers of their own, through libgbinder's Python binding.

Arguments: device, service manager dialect, wire dialect, service name, interface descriptor. Prints what
came back; any surprise is an exception and so a non-zero exit.
"""

import sys

import gbinder

device, manager_dialect, wire_dialect, name, descriptor = sys.argv[1:]
TURN = 1001

manager = gbinder.ServiceManager(device, manager_dialect, wire_dialect)
remote, status = manager.get_service_sync(name)
if not remote:
    sys.exit(f"{name}: not found, status {status}")
client = gbinder.Client(remote, descriptor)

# A vector of strings is a buffer whose buffers' addresses lie in a third one: the driver has to write
# each address into its parent.
LISTS = [[], [""], ["one"], ["a", "bc" * 500, "grüß Gott 🦀"], [str(number) * number for number in range(100)]]
total = 0
for texts in LISTS:
    request = client.new_request()
    request.append_hidl_string("first")
    request.append_hidl_string_vec(texts)
    reply, failure = client.transact_sync_reply(TURN, request)
    if failure:
        sys.exit(f"{len(texts)} strings: status {failure}")
    reader = reply.init_reader()
    ok, exception = reader.read_int32()
    if not ok or exception:
        sys.exit(f"{len(texts)} strings: exception {exception}")
    back, count = reader.read_hidl_string_vec(), reader.read_hidl_string()
    if back != texts[::-1] + ["first"] or count != str(len(texts) + 1):
        sys.exit(f"sent {texts!r}, got {back!r} and {count!r}")
    total += len(back)
print(f"{len(LISTS)} calls, {total} strings came back the other way round")

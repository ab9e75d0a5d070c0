# SPDX-License-Identifier: GPL-2.0
"""Serves the two simplest methods of the test service through libgbinder's Python binding.

Arguments: device, service manager dialect, wire dialect, service name, interface descriptor.
Prints "ready" once registered and serves until killed.
"""

import ctypes
import sys

import gbinder

device, manager_dialect, wire_dialect, name, descriptor = sys.argv[1:]
ECHO, ADD = 1, 2
UNKNOWN_TRANSACTION = -74


def answer(request, code, flags):
    """Handles one incoming call."""
    reader = request.init_reader()
    reply = service.new_reply()
    reply.append_int32(0)
    if code == ECHO:
        reply.append_string16(reader.read_string16())
    elif code == ADD:
        _, a = reader.read_int32()
        _, b = reader.read_int32()
        reply.append_int32(a + b)
    else:
        return None, UNKNOWN_TRANSACTION
    return reply, 0


manager = gbinder.ServiceManager(device, manager_dialect, wire_dialect)
service = manager.new_local_object(descriptor, answer)
status = manager.add_service_sync(name, service)
if status:
    sys.exit(f"{name}: not registered, status {status}")
print("ready", flush=True)

# libgbinder hands calls to GLib's main loop; only these two functions of GLib are needed.
glib = ctypes.CDLL("libglib-2.0.so.0")
glib.g_main_loop_new.restype = ctypes.c_void_p
glib.g_main_loop_run.argtypes = [ctypes.c_void_p]
glib.g_main_loop_run(glib.g_main_loop_new(None, 0))

# SPDX-License-Identifier: GPL-2.0
"""Sends strings beside the parcel, in buffers of their own, as HIDL does: a service and its client.

Arguments: device, service manager dialect, wire dialect, service name, interface descriptor, and "serve"
or "call". The service prints "ready" once registered and serves until killed; the client prints what came
back. Any surprise is an exception and so a non-zero exit.

libgbinder is called directly: it does not copy what goes into buffers, and its Python binding hands it
memory that is free again when the transaction is sent.
"""

import ctypes
import sys
from ctypes import CFUNCTYPE, POINTER, byref, c_char_p, c_int, c_ssize_t, c_uint, c_void_p

device, manager_dialect, wire_dialect, name, descriptor = (word.encode() for word in sys.argv[1:6])
TURN = 1
UNKNOWN_TRANSACTION = -74

library = ctypes.CDLL("libgbinder.so.1")
glib = ctypes.CDLL("libglib-2.0.so.0")
HANDLER = CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_uint, c_uint, POINTER(c_int), c_void_p)


def function(name, result, *arguments):
    """A function of the library with its types."""
    found = getattr(library, f"gbinder_{name}")
    found.restype, found.argtypes = result, arguments
    return found


new_manager = function("servicemanager_new2", c_void_p, c_char_p, c_char_p, c_char_p)
get_service = function("servicemanager_get_service_sync", c_void_p, c_void_p, c_char_p, POINTER(c_int))
add_service = function("servicemanager_add_service_sync", c_int, c_void_p, c_char_p, c_void_p)
new_object = function("servicemanager_new_local_object", c_void_p, c_void_p, c_char_p, HANDLER, c_void_p)
new_client = function("client_new", c_void_p, c_void_p, c_char_p)
new_request = function("client_new_request", c_void_p, c_void_p)
transact = function("client_transact_sync_reply", c_void_p, c_void_p, c_uint, c_void_p, POINTER(c_int))
new_reply = function("local_object_new_reply", c_void_p, c_void_p)
read_request = function("remote_request_init_reader", None, c_void_p, c_void_p)
read_reply = function("remote_reply_init_reader", None, c_void_p, c_void_p)
read_int32 = function("reader_read_int32", c_int, c_void_p, POINTER(c_int))
read_string = function("reader_read_hidl_string", c_char_p, c_void_p)
read_strings = function("reader_read_hidl_string_vec", POINTER(c_char_p), c_void_p)
release_request = function("local_request_unref", None, c_void_p)
release_reply = function("remote_reply_unref", None, c_void_p)


class Parcel:
    """A request or a reply to be sent, and the memory that its buffers are in until then."""

    def __init__(self, kind, pointer):
        self.kind, self.pointer, self.kept = kind, pointer, []

    def append(self, what, *values):
        function(f"{self.kind}_append_{what}", None, c_void_p, *map(type, values))(self.pointer, *values)

    def append_strings(self, texts):
        vector = (c_char_p * len(texts))(*texts)
        self.kept += [vector, *texts]
        self.append("hidl_string_vec", ctypes.cast(vector, c_void_p), c_ssize_t(len(texts)))

    def append_string(self, text):
        self.kept.append(text)
        self.append("hidl_string", c_char_p(text))


def reader(init, parcel):
    """Something to read a parcel with; it is larger than the library's own type."""
    memory = ctypes.create_string_buffer(256)
    init(parcel, memory)
    return memory


def strings(source):
    """A vector of strings, which the library allocates."""
    found, texts = read_strings(source), []
    if not found:
        sys.exit("no vector of strings where one was sent")
    while found[len(texts)] is not None:
        texts.append(found[len(texts)])
    return texts


def serve():
    """Turns lists of strings round."""
    replies = []

    @HANDLER
    def answer(_object, request, code, _flags, status, _data):
        if code != TURN:
            status[0] = UNKNOWN_TRANSACTION
            return None
        source = reader(read_request, request)
        texts = [read_string(source)] + strings(source)
        reply = Parcel("local_reply", new_reply(service))
        # The one before has been sent.
        replies[:] = [reply]
        # HIDL's status word, which also keeps the first buffer from offset 0, where none has children.
        reply.append("int32", c_int(0))
        reply.append_strings(texts[::-1])
        reply.append_string(str(len(texts)).encode())
        status[0] = 0
        return reply.pointer

    service = new_object(manager, descriptor, answer, None)
    failure = add_service(manager, name, service)
    if failure:
        sys.exit(f"not registered, status {failure}")
    print("ready", flush=True)
    # Calls come through GLib's main loop.
    glib.g_main_loop_new.restype = c_void_p
    glib.g_main_loop_run.argtypes = [c_void_p]
    glib.g_main_loop_run(glib.g_main_loop_new(None, 0))


def call():
    """A vector of strings is a buffer of addresses, each of which the driver has to write."""
    status = c_int()
    remote = get_service(manager, name, byref(status))
    if not remote:
        sys.exit(f"not found, status {status.value}")
    client = new_client(remote, descriptor)
    lists = [[], [b""], [b"one"], [b"a", b"bc" * 500, "grüß Gott 🦀".encode()]]
    lists.append([str(number).encode() * number for number in range(100)])
    total = 0
    for texts in lists:
        request = Parcel("local_request", new_request(client))
        request.append_string(b"first")
        request.append_strings(texts)
        reply = transact(client, TURN, request.pointer, byref(status))
        if not reply or status.value:
            sys.exit(f"{len(texts)} strings: status {status.value}")
        source = reader(read_reply, reply)
        if not read_int32(source, byref(status)) or status.value:
            sys.exit(f"{len(texts)} strings: answered with {status.value}")
        back, count = strings(source), read_string(source)
        if back != texts[::-1] + [b"first"] or count != str(len(texts) + 1).encode():
            sys.exit(f"sent {texts!r}, got {back!r} and {count!r}")
        total += len(back)
        release_request(request.pointer)
        release_reply(reply)
    print(f"{len(lists)} calls, {total} strings came back the other way round")


manager = new_manager(device, manager_dialect, wire_dialect)
if not manager:
    sys.exit("no service manager")
{"serve": serve, "call": call}[sys.argv[6]]()

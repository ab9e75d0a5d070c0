// SPDX-License-Identifier: GPL-2.0
/*
 * The other side: a context manager that does what the code of a call says.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "client.h"

/* The handle that an object of a call stands for; takes a reference to it. */
static int take_handle(struct client *self,
		       const struct binder_transaction_data *call,
		       uint32_t *handle)
{
	const struct flat_binder_object *object =
		client_object(self, call, 0, sizeof(*object));

	if (!object || object->hdr.type != BINDER_TYPE_HANDLE)
		return -EPROTO;
	*handle = object->handle;
	return client_command(self, BC_ACQUIRE, handle);
}

/* Calls the client's node while the client waits, and puts the answer into the reply. */
static int call_back(struct client *self,
		     const struct binder_transaction_data *call,
		     struct parcel *reply)
{
	struct binder_return answer;
	const uint32_t *number;
	uint32_t handle;
	int error;

	error = take_handle(self, call, &handle);
	if (!error)
		error = client_call(self, handle, SERVER_CALL_BACK, 0, NULL);
	if (!error)
		error = client_read(self, &answer);
	if (error)
		return error;
	if (answer.code != BR_REPLY)
		return -EPROTO;
	number = client_data(self, &answer.transaction, sizeof(*number));
	if (!number)
		return -EPROTO;
	parcel_put(reply, number, sizeof(*number));
	error = client_free(self, &answer.transaction);
	return error ? error : client_command(self, BC_RELEASE, &handle);
}

/* Writes to the file that came with the call. */
static int write_to_file(struct client *self,
			 const struct binder_transaction_data *call)
{
	const struct binder_fd_object *object =
		client_object(self, call, 0, sizeof(*object));
	int fd, done;

	if (!object || object->hdr.type != BINDER_TYPE_FD)
		return -EPROTO;
	fd = object->fd;
	done = write(fd, "w", 1);
	close(fd);
	return done == 1 ? 0 : -EIO;
}

/* Writes to the files of the array in the first buffer, which the driver will close. */
static int write_to_files(struct client *self,
			  const struct binder_transaction_data *call)
{
	const struct binder_fd_array_object *array;
	const struct binder_buffer_object *buffer;
	const int *fds;

	buffer = client_object(self, call, 0, sizeof(*buffer));
	array = client_object(self, call, 1, sizeof(*array));
	if (!buffer || !array)
		return -EPROTO;
	fds = client_view(self, buffer->buffer, array->num_fds * sizeof(*fds));
	if (!fds)
		return -EPROTO;
	for (unsigned int i = 0; i < array->num_fds; i++)
		if (write(fds[i], "a", 1) != 1)
			return -EIO;
	return 0;
}

static int reply_with_file(struct client *self)
{
	struct parcel reply = {};
	int ends[2], error;

	if (pipe(ends) || write(ends[1], "f", 1) != 1)
		return -errno;
	parcel_file(&reply, ends[0]);
	error = client_reply(self, &reply);
	close(ends[0]);
	close(ends[1]);
	return error;
}

/* The second buffer of the call is where the first one points to. */
static int read_buffers(struct client *self,
			const struct binder_transaction_data *call,
			struct parcel *reply)
{
	const struct binder_buffer_object *outer, *inner;
	const binder_uintptr_t *pointer;
	const void *text;

	outer = client_object(self, call, 0, sizeof(*outer));
	inner = client_object(self, call, 1, sizeof(*inner));
	if (!outer || !inner)
		return -EPROTO;
	pointer = client_view(self, outer->buffer, sizeof(*pointer));
	if (!pointer || *pointer != inner->buffer)
		return -EPROTO;
	text = client_view(self, *pointer, inner->length);
	if (!text)
		return -EPROTO;
	parcel_put(reply, text, inner->length);
	return 0;
}

/* Does what a call asks for; the reply is sent, or there is none. */
static int answer(struct client *self,
		  const struct binder_transaction_data *call)
{
	static uint64_t sum;
	struct parcel reply = {};
	uint32_t identity[2] = { call->sender_pid, call->sender_euid };
	uint64_t names[2] = { call->target.ptr, call->cookie };
	const void *data = client_data(self, call, call->data_size);
	const uint64_t *number;
	int error = 0;

	switch (call->code) {
	case SERVER_ECHO:
		parcel_put(&reply, data, call->data_size);
		break;
	case SERVER_NODE:
		parcel_binder(&reply, SERVER_PTR, SERVER_COOKIE);
		break;
	case SERVER_NAMES:
		parcel_put(&reply, names, sizeof(names));
		break;
	case SERVER_CALL_BACK:
		error = call_back(self, call, &reply);
		break;
	case SERVER_WRITE:
		error = write_to_file(self, call);
		break;
	case SERVER_WRITE_ALL:
		error = write_to_files(self, call);
		break;
	case SERVER_FILE:
		return reply_with_file(self);
	case SERVER_BUFFERS:
		error = read_buffers(self, call, &reply);
		break;
	case SERVER_ADD:
		number = client_data(self, call, sizeof(*number));
		sum += number ? *number : 0;
		return number ? 0 : -EPROTO;
	case SERVER_SUM:
		parcel_put(&reply, &sum, sizeof(sum));
		break;
	case SERVER_IDENTITY:
		parcel_put(&reply, identity, sizeof(identity));
		break;
	case SERVER_EXIT:
		exit(0);
	default:
		error = -EOPNOTSUPP;
	}
	/* The client sees that there is no data, and fails. */
	if (error)
		memset(&reply, 0, sizeof(reply));
	return client_reply(self, &reply);
}

int serve(const char *device, int ready)
{
	struct flat_binder_object node = {
		.flags = FLAT_BINDER_FLAG_ACCEPTS_FDS,
	};
	struct binder_return next;
	struct client self;
	int error;

	error = client_open(&self, device);
	if (error)
		return error;
	/* The manager before may still be on its way out. */
	do {
		error = client_ioctl(&self, BINDER_SET_CONTEXT_MGR_EXT, &node);
		if (error == -EBUSY)
			sched_yield();
	} while (error == -EBUSY);
	if (!error)
		error = client_command(&self, BC_ENTER_LOOPER, NULL);
	if (!error && write(ready, "r", 1) != 1)
		error = -EIO;
	while (!error) {
		error = client_read(&self, &next);
		if (error || next.code != BR_TRANSACTION)
			continue;
		error = answer(&self, &next.transaction);
		if (!error)
			error = client_free(&self, &next.transaction);
	}
	return error;
}

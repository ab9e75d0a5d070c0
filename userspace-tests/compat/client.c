// SPDX-License-Identifier: GPL-2.0
/*
 * Opens a device, writes commands to it and reads what it returns.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "client.h"

static binder_uintptr_t address_of(const void *pointer)
{
	return (uintptr_t)pointer;
}

int client_open(struct client *client, const char *device)
{
	client->fd = open(device, O_RDWR | O_CLOEXEC);
	if (client->fd < 0)
		return -errno;
	client->map = mmap(NULL, MAP_SIZE, PROT_READ,
			   MAP_PRIVATE | MAP_NORESERVE, client->fd, 0);
	return client->map == MAP_FAILED ? -errno : 0;
}

void client_close(struct client *client)
{
	munmap(client->map, MAP_SIZE);
	close(client->fd);
}

int client_ioctl(struct client *client, unsigned int number, void *argument)
{
	return ioctl(client->fd, number, argument) < 0 ? -errno : 0;
}

/* The number of a command or return says how large its payload is. */
static size_t payload_size(uint32_t code)
{
	return _IOC_SIZE(code);
}

int client_command(struct client *client, uint32_t code, const void *payload)
{
	unsigned char bytes[sizeof(code) +
			    sizeof(struct binder_transaction_data_sg)];
	struct binder_write_read exchange = {
		.write_buffer = address_of(bytes),
		.write_size = sizeof(code) + payload_size(code),
	};
	int error;

	memcpy(bytes, &code, sizeof(code));
	if (payload_size(code))
		memcpy(bytes + sizeof(code), payload, payload_size(code));
	error = client_ioctl(client, BINDER_WRITE_READ, &exchange);
	if (error)
		return error;
	return exchange.write_consumed == exchange.write_size ? 0 : -EIO;
}

static int transact(struct client *client, bool reply,
		    struct binder_transaction_data *data,
		    const struct parcel *parcel)
{
	struct binder_transaction_data_sg sg;

	if (parcel) {
		data->data_size = parcel->size;
		data->data.ptr.buffer = address_of(parcel->data);
		data->offsets_size = parcel->count * sizeof(binder_size_t);
		data->data.ptr.offsets = address_of(parcel->offsets);
	}
	if (!parcel || !parcel->buffers_size)
		return client_command(client, reply ? BC_REPLY : BC_TRANSACTION,
				      data);
	sg.transaction_data = *data;
	sg.buffers_size = parcel->buffers_size;
	return client_command(client, reply ? BC_REPLY_SG : BC_TRANSACTION_SG,
			      &sg);
}

int client_call(struct client *client, uint32_t handle, uint32_t code,
		uint32_t flags, const struct parcel *parcel)
{
	struct binder_transaction_data data = {
		.target.handle = handle,
		.code = code,
		.flags = flags,
	};

	return transact(client, false, &data, parcel);
}

int client_reply(struct client *client, const struct parcel *parcel)
{
	struct binder_transaction_data data = {};

	return transact(client, true, &data, parcel);
}

/* Answers what has to be answered; true if the caller is to see the return. */
static bool worth_seeing(struct client *client,
			 const struct binder_return *next, int *error)
{
	switch (next->code) {
	case BR_NOOP:
	case BR_TRANSACTION_COMPLETE:
	case BR_SPAWN_LOOPER:
	case BR_RELEASE:
	case BR_DECREFS:
		return false;
	case BR_INCREFS:
		*error = client_command(client, BC_INCREFS_DONE, &next->node);
		return false;
	case BR_ACQUIRE:
		*error = client_command(client, BC_ACQUIRE_DONE, &next->node);
		return false;
	default:
		return true;
	}
}

int client_read(struct client *client, struct binder_return *next)
{
	/* What a read returns ends with what is worth seeing, if anything is. */
	for (;;) {
		unsigned char bytes[512];
		struct binder_write_read exchange = {
			.read_buffer = address_of(bytes),
			.read_size = sizeof(bytes),
		};
		int error = client_ioctl(client, BINDER_WRITE_READ, &exchange);
		size_t at = 0;

		while (!error && at < exchange.read_consumed) {
			memset(next, 0, sizeof(*next));
			memcpy(&next->code, bytes + at, sizeof(next->code));
			at += sizeof(next->code);
			if (payload_size(next->code) > sizeof(next->transaction))
				return -EPROTO;
			memcpy(&next->transaction, bytes + at,
			       payload_size(next->code));
			at += payload_size(next->code);
			if (worth_seeing(client, next, &error))
				return at == exchange.read_consumed ? 0 : -EIO;
		}
		if (error)
			return error;
	}
}

int client_free(struct client *client,
		const struct binder_transaction_data *transaction)
{
	return client_command(client, BC_FREE_BUFFER,
			      &transaction->data.ptr.buffer);
}

void *parcel_put(struct parcel *parcel, const void *bytes, size_t size)
{
	void *place = parcel->data + parcel->size;

	memcpy(place, bytes, size);
	/* Objects have to lie at multiples of four. */
	parcel->size += (size + 3) & ~(size_t)3;
	return place;
}

void *parcel_object(struct parcel *parcel, const void *object, size_t size)
{
	parcel->offsets[parcel->count++] = parcel->size;
	return parcel_put(parcel, object, size);
}

void parcel_binder(struct parcel *parcel, binder_uintptr_t ptr,
		   binder_uintptr_t cookie)
{
	struct flat_binder_object object = {
		.hdr.type = BINDER_TYPE_BINDER,
		.binder = ptr,
		.cookie = cookie,
	};

	parcel_object(parcel, &object, sizeof(object));
}

void parcel_file(struct parcel *parcel, int fd)
{
	struct binder_fd_object object = {
		.hdr.type = BINDER_TYPE_FD,
		.fd = fd,
	};

	parcel_object(parcel, &object, sizeof(object));
}

void parcel_files(struct parcel *parcel, unsigned int parent, size_t count)
{
	struct binder_fd_array_object object = {
		.hdr.type = BINDER_TYPE_FDA,
		.num_fds = count,
		.parent = parent,
	};

	parcel_object(parcel, &object, sizeof(object));
}

unsigned int parcel_buffer(struct parcel *parcel, const void *buffer,
			   size_t size)
{
	struct binder_buffer_object object = {
		.hdr.type = BINDER_TYPE_PTR,
		.buffer = address_of(buffer),
		.length = size,
	};

	parcel->buffers_size += (size + 7) & ~(size_t)7;
	parcel_object(parcel, &object, sizeof(object));
	return parcel->count - 1;
}

void parcel_nest(struct parcel *parcel, unsigned int child,
		 unsigned int parent, size_t offset)
{
	struct binder_buffer_object object;
	unsigned char *place = parcel->data + parcel->offsets[child];

	memcpy(&object, place, sizeof(object));
	object.flags = BINDER_BUFFER_FLAG_HAS_PARENT;
	object.parent = parent;
	object.parent_offset = offset;
	memcpy(place, &object, sizeof(object));
}

const void *client_view(const struct client *client, binder_uintptr_t address,
			size_t size)
{
	binder_uintptr_t base = address_of(client->map);

	if (address < base || address - base > MAP_SIZE - size)
		return NULL;
	return (const void *)(uintptr_t)address;
}

const void *client_data(const struct client *client,
			const struct binder_transaction_data *transaction,
			size_t size)
{
	if (transaction->data_size < size)
		return NULL;
	return client_view(client, transaction->data.ptr.buffer, size);
}

const void *client_object(const struct client *client,
			  const struct binder_transaction_data *transaction,
			  unsigned int index, size_t size)
{
	const binder_size_t *offset;

	if (index >= transaction->offsets_size / sizeof(*offset))
		return NULL;
	offset = client_view(client,
			     transaction->data.ptr.offsets +
			     index * sizeof(*offset), sizeof(*offset));
	if (!offset)
		return NULL;
	return client_view(client, transaction->data.ptr.buffer + *offset, size);
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A minimal binder client: one open device, and commands and returns as plain
 * structures.  It builds with -m32 and -m64 alike.
 */
#ifndef COMPAT_CLIENT_H
#define COMPAT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/android/binder.h>

#define MAP_SIZE (128 * 1024)

/* An open and mapped device. */
struct client {
	int fd;
	void *map;
};

/* A return of the driver's: its code and the payload that the code implies. */
struct binder_return {
	uint32_t code;
	union {
		struct binder_transaction_data transaction;
		struct binder_ptr_cookie node;
		struct binder_frozen_state_info frozen;
		binder_uintptr_t cookie;
	};
};

/* Data with objects in it, and the list of their offsets. */
struct parcel {
	size_t size;
	size_t count;
	binder_size_t buffers_size;
	binder_size_t offsets[8];
	unsigned char data[512];
};

/* All of these return 0 or a negative error number. */
int client_open(struct client *client, const char *device);
void client_close(struct client *client);
int client_ioctl(struct client *client, unsigned int number, void *argument);

/* Writes a command with its payload. */
int client_command(struct client *client, uint32_t code, const void *payload);

/* Sends a call, or a reply, of either kind. */
int client_call(struct client *client, uint32_t handle, uint32_t code,
		uint32_t flags, const struct parcel *parcel);
int client_reply(struct client *client, const struct parcel *parcel);

/*
 * Waits for the next return that is more than a confirmation.  BR_INCREFS and
 * BR_ACQUIRE are answered on the way.
 */
int client_read(struct client *client, struct binder_return *next);

/* Gives the buffer of a transaction back. */
int client_free(struct client *client,
		const struct binder_transaction_data *transaction);

/* Room at the end of a parcel, with an offset in the list for an object. */
void *parcel_put(struct parcel *parcel, const void *bytes, size_t size);
void *parcel_object(struct parcel *parcel, const void *object, size_t size);
void parcel_binder(struct parcel *parcel, binder_uintptr_t ptr,
		   binder_uintptr_t cookie);
void parcel_file(struct parcel *parcel, int fd);
void parcel_files(struct parcel *parcel, unsigned int parent, size_t count);
/* Returns the index of the buffer, by which others name it as their parent. */
unsigned int parcel_buffer(struct parcel *parcel, const void *buffer,
			   size_t size);
void parcel_nest(struct parcel *parcel, unsigned int child,
		 unsigned int parent, size_t offset);

/* What the driver has put where a transaction says; NULL if it is outside. */
const void *client_view(const struct client *client, binder_uintptr_t address,
			size_t size);
const void *client_data(const struct client *client,
			const struct binder_transaction_data *transaction,
			size_t size);
const void *client_object(const struct client *client,
			  const struct binder_transaction_data *transaction,
			  unsigned int index, size_t size);

/* What the server does, by the code of a call. */
enum {
	SERVER_ECHO = 1,	/* replies with the data */
	SERVER_NODE,		/* replies with a node of its own */
	SERVER_NAMES,		/* replies with the names of the node that is called */
	SERVER_CALL_BACK,	/* calls the node in the data, replies with the answer */
	SERVER_WRITE,		/* writes a byte to the file in the data */
	SERVER_WRITE_ALL,	/* the same for the files of an array */
	SERVER_FILE,		/* replies with the reading end of a pipe with a byte in it */
	SERVER_BUFFERS,		/* replies with the text of the inner buffer */
	SERVER_ADD,		/* oneway: adds a number */
	SERVER_SUM,		/* replies with the sum */
	SERVER_IDENTITY,	/* replies with the sender's pid and user */
	SERVER_EXIT,		/* exits without a reply */
};

/* Names of a node of the server's that no 32-bit program has as an address. */
#define SERVER_PTR 0x123456789abcdef0ull
#define SERVER_COOKIE 0xfedcba9876543210ull

/* Is the context manager until it is told to exit; writes a byte when ready. */
int serve(const char *device, int ready);

#endif /* COMPAT_CLIENT_H */

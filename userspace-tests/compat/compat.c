// SPDX-License-Identifier: GPL-2.0
/*
 * A binder client that may be a 32-bit program on a 64-bit kernel: structures,
 * numbers, addresses and errors are those of the 64-bit protocol, and it talks to
 * servers of its own and of the other kind.
 *
 * BINDER_DEVICE names the device; the programs lie side by side.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "client.h"
#include "kselftest_harness.h"

/* As 64-bit programs have them. */
_Static_assert(BINDER_WRITE_READ == 0xc0306201, "BINDER_WRITE_READ");
_Static_assert(BINDER_SET_CONTEXT_MGR_EXT == 0x4018620d, "BINDER_SET_CONTEXT_MGR_EXT");
_Static_assert(BINDER_GET_NODE_DEBUG_INFO == 0xc018620b, "BINDER_GET_NODE_DEBUG_INFO");
_Static_assert(BC_TRANSACTION == 0x40406300, "BC_TRANSACTION");
_Static_assert(BC_TRANSACTION_SG == 0x40486311, "BC_TRANSACTION_SG");
_Static_assert(BC_REQUEST_DEATH_NOTIFICATION == 0x400c630e, "BC_REQUEST_DEATH_NOTIFICATION");
_Static_assert(BR_TRANSACTION == 0x80407202, "BR_TRANSACTION");
_Static_assert(BR_FROZEN_BINDER == 0x80107215, "BR_FROZEN_BINDER");
_Static_assert(sizeof(struct flat_binder_object) == 24, "flat_binder_object");
_Static_assert(sizeof(struct binder_fd_object) == 24, "binder_fd_object");
_Static_assert(sizeof(struct binder_buffer_object) == 40, "binder_buffer_object");
_Static_assert(sizeof(struct binder_fd_array_object) == 32, "binder_fd_array_object");
_Static_assert(offsetof(struct binder_transaction_data, data) == 48, "binder_transaction_data");

#define COOKIE 0x1122334455667788ull

static const char *device(void)
{
	const char *name = getenv("BINDER_DEVICE");

	return name ? name : "/dev/binder";
}

FIXTURE(compat)
{
	struct client client;
	struct binder_return next;
	pid_t server;
};

FIXTURE_VARIANT(compat)
{
	const char *server;
};

FIXTURE_VARIANT_ADD(compat, server_32)
{
	.server = "compat-32",
};

FIXTURE_VARIANT_ADD(compat, server_64)
{
	.server = "compat-64",
};

/* In the child: becomes the server. */
static void exec_server(const char *name, int ready)
{
	char self[PATH_MAX] = "", path[2 * PATH_MAX], number[16];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		_exit(1);
	snprintf(path, sizeof(path), "%s/%s", dirname(self), name);
	snprintf(number, sizeof(number), "%d", ready);
	execl(path, name, "serve", device(), number, NULL);
	_exit(1);
}

FIXTURE_SETUP(compat)
{
	int ready[2];
	char byte;

	ASSERT_EQ(0, pipe(ready));
	self->server = fork();
	ASSERT_GE(self->server, 0);
	if (!self->server)
		exec_server(variant->server, ready[1]);
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &byte, 1))
		TH_LOG("the server does not start on %s", device());
	close(ready[0]);
	ASSERT_EQ(0, client_open(&self->client, device()));
}

FIXTURE_TEARDOWN(compat)
{
	client_close(&self->client);
	kill(self->server, SIGKILL);
	waitpid(self->server, NULL, 0);
}

/* A call with its reply, of which there must be so much data. */
#define call(number, parcel, size) ({						\
	ASSERT_EQ(0, client_call(&self->client, 0, number, TF_ACCEPT_FDS,	\
				 parcel));					\
	reply(size);								\
})

#define reply(size) ({								\
	const void *_data;							\
	ASSERT_EQ(0, client_read(&self->client, &self->next));			\
	ASSERT_EQ(BR_REPLY, self->next.code);					\
	_data = client_data(&self->client, &self->next.transaction, size);	\
	ASSERT_TRUE(_data != NULL);							\
	_data;									\
})

/* Ends what call() began. */
#define done() ASSERT_EQ(0, client_free(&self->client, &self->next.transaction))

/* A handle of the server's node. */
#define server_node() ({							\
	const struct flat_binder_object *_node;					\
	uint32_t _handle;							\
	call(SERVER_NODE, NULL, sizeof(*_node));				\
	_node = client_object(&self->client, &self->next.transaction, 0,	\
			      sizeof(*_node));					\
	ASSERT_TRUE(_node != NULL);						\
	ASSERT_EQ(BINDER_TYPE_HANDLE, _node->hdr.type);				\
	_handle = _node->handle;						\
	ASSERT_EQ(0, client_command(&self->client, BC_ACQUIRE, &_handle));	\
	done();									\
	_handle;								\
})

/* The next return has to be this one. */
#define expect_return(number) ({						\
	ASSERT_EQ(0, client_read(&self->client, &self->next));			\
	ASSERT_EQ(number, self->next.code);					\
})

TEST_F(compat, version)
{
	struct binder_version version = {};

	ASSERT_EQ(0, client_ioctl(&self->client, BINDER_VERSION, &version));
	EXPECT_EQ(8, version.protocol_version);
	/* An address that a careless conversion would make a negative one. */
	if (sizeof(void *) == 4)
		EXPECT_GT((uintptr_t)&version, INT_MAX);
}

TEST_F(compat, echo)
{
	static const char text[] = "from here to there and back again, three times four";
	struct parcel parcel = {};

	parcel_put(&parcel, text, sizeof(text));
	EXPECT_STREQ(text, call(SERVER_ECHO, &parcel, sizeof(text)));
	done();
}

TEST_F(compat, identity)
{
	const uint32_t *identity = call(SERVER_IDENTITY, NULL, 8);

	EXPECT_EQ(getpid(), identity[0]);
	EXPECT_EQ(geteuid(), identity[1]);
	done();
}

TEST_F(compat, names_have_64_bits)
{
	uint32_t handle = server_node();
	const uint64_t *names;

	ASSERT_EQ(0, client_call(&self->client, handle, SERVER_NAMES, 0, NULL));
	names = reply(16);
	EXPECT_EQ(SERVER_PTR, names[0]);
	EXPECT_EQ(SERVER_COOKIE, names[1]);
	done();
}

TEST_F(compat, call_back)
{
	struct binder_transaction_data *nested;
	struct parcel parcel = {}, answer = {};
	struct binder_node_debug_info info = {};
	uint32_t number = 0x600d600d;

	parcel_binder(&parcel, COOKIE, ~COOKIE);
	ASSERT_EQ(0, client_call(&self->client, 0, SERVER_CALL_BACK, 0, &parcel));
	expect_return(BR_TRANSACTION);
	nested = &self->next.transaction;
	EXPECT_EQ(COOKIE, nested->target.ptr);
	EXPECT_EQ(~COOKIE, nested->cookie);
	EXPECT_EQ(self->server, nested->sender_pid);
	EXPECT_EQ(0, client_ioctl(&self->client, BINDER_GET_NODE_DEBUG_INFO, &info));
	EXPECT_EQ(COOKIE, info.ptr);
	EXPECT_EQ(~COOKIE, info.cookie);
	ASSERT_EQ(0, client_free(&self->client, nested));
	parcel_put(&answer, &number, sizeof(number));
	ASSERT_EQ(0, client_reply(&self->client, &answer));
	EXPECT_EQ(number, *(const uint32_t *)reply(4));
	done();
}

TEST_F(compat, oneway)
{
	const uint64_t numbers[] = { 0x100000001, 0x200000002, 0xffffffff };
	uint64_t sum = 0;

	for (unsigned int i = 0; i < 3; i++) {
		struct parcel parcel = {};

		parcel_put(&parcel, &numbers[i], sizeof(numbers[i]));
		ASSERT_EQ(0, client_call(&self->client, 0, SERVER_ADD,
					 TF_ONE_WAY, &parcel));
	}
	/* A call may overtake oneway calls, each of which waits for the one before. */
	while (sum != 0x400000002) {
		sum = *(const uint64_t *)call(SERVER_SUM, NULL, 8);
		done();
	}
}

TEST_F(compat, file_there)
{
	struct parcel parcel = {};
	char byte = 0;
	int ends[2];

	ASSERT_EQ(0, pipe(ends));
	parcel_file(&parcel, ends[1]);
	call(SERVER_WRITE, &parcel, 0);
	done();
	ASSERT_EQ(1, read(ends[0], &byte, 1));
	EXPECT_EQ('w', byte);
}

TEST_F(compat, file_back)
{
	const struct binder_fd_object *object;
	char byte = 0;

	call(SERVER_FILE, NULL, sizeof(*object));
	object = client_object(&self->client, &self->next.transaction, 0,
			       sizeof(*object));
	ASSERT_TRUE(object != NULL);
	ASSERT_EQ(1, read(object->fd, &byte, 1));
	EXPECT_EQ('f', byte);
	close(object->fd);
	done();
}

TEST_F(compat, file_array)
{
	struct parcel parcel = {};
	char bytes[2] = "";
	int ends[2], fds[2];

	ASSERT_EQ(0, pipe(ends));
	fds[0] = ends[1];
	fds[1] = ends[1];
	/* What lies at the start of the data could not be a parent. */
	parcel_put(&parcel, "data", 4);
	parcel_files(&parcel, parcel_buffer(&parcel, fds, sizeof(fds)), 2);
	call(SERVER_WRITE_ALL, &parcel, 0);
	done();
	close(ends[1]);
	ASSERT_EQ(2, read(ends[0], bytes, 2));
	EXPECT_EQ(0, memcmp("aa", bytes, 2));
	/* The driver closes the server's with the buffer, which comes after the reply. */
	EXPECT_EQ(0, read(ends[0], bytes, 1));
}

TEST_F(compat, buffers)
{
	static const char text[] = "inside of a buffer, to which another buffer points";
	binder_uintptr_t pointer = 0;
	struct parcel parcel = {};
	unsigned int outer, inner;

	parcel_put(&parcel, "plain data", 12);
	outer = parcel_buffer(&parcel, &pointer, sizeof(pointer));
	inner = parcel_buffer(&parcel, text, sizeof(text));
	parcel_nest(&parcel, inner, outer, 0);
	EXPECT_STREQ(text, call(SERVER_BUFFERS, &parcel, sizeof(text)));
	done();
}

TEST_F(compat, death)
{
	struct binder_handle_cookie request = {
		.handle = server_node(),
		.cookie = COOKIE,
	};
	struct client *client = &self->client;

	ASSERT_EQ(0, client_command(client, BC_REQUEST_DEATH_NOTIFICATION, &request));
	ASSERT_EQ(0, client_command(client, BC_CLEAR_DEATH_NOTIFICATION, &request));
	expect_return(BR_CLEAR_DEATH_NOTIFICATION_DONE);
	EXPECT_EQ(COOKIE, self->next.cookie);
	ASSERT_EQ(0, client_command(client, BC_REQUEST_DEATH_NOTIFICATION, &request));
	ASSERT_EQ(0, client_call(client, 0, SERVER_EXIT, 0, NULL));
	expect_return(BR_DEAD_REPLY);
	expect_return(BR_DEAD_BINDER);
	EXPECT_EQ(COOKIE, self->next.cookie);
	ASSERT_EQ(0, client_command(client, BC_DEAD_BINDER_DONE, &request.cookie));
	ASSERT_EQ(0, client_call(client, request.handle, SERVER_ECHO, 0, NULL));
	expect_return(BR_DEAD_REPLY);
}

TEST_F(compat, freeze)
{
	struct binder_freeze_info info = { .pid = self->server, .enable = 1 };
	struct binder_frozen_status_info status = { .pid = self->server };
	struct binder_handle_cookie request = {
		.handle = server_node(),
		.cookie = COOKIE,
	};
	struct client *client = &self->client;

	ASSERT_EQ(0, client_command(client, BC_REQUEST_FREEZE_NOTIFICATION, &request));
	expect_return(BR_FROZEN_BINDER);
	EXPECT_EQ(COOKIE, self->next.frozen.cookie);
	EXPECT_EQ(0, self->next.frozen.is_frozen);
	ASSERT_EQ(0, client_command(client, BC_FREEZE_NOTIFICATION_DONE, &request.cookie));
	info.timeout_ms = 10000;
	ASSERT_EQ(0, client_ioctl(client, BINDER_FREEZE, &info));
	expect_return(BR_FROZEN_BINDER);
	EXPECT_EQ(1, self->next.frozen.is_frozen);
	ASSERT_EQ(0, client_command(client, BC_FREEZE_NOTIFICATION_DONE, &request.cookie));
	ASSERT_EQ(0, client_call(client, 0, SERVER_ECHO, 0, NULL));
	expect_return(BR_FROZEN_REPLY);
	ASSERT_EQ(0, client_ioctl(client, BINDER_GET_FROZEN_INFO, &status));
	EXPECT_EQ(1, status.sync_recv);
	info.enable = 0;
	ASSERT_EQ(0, client_ioctl(client, BINDER_FREEZE, &info));
	expect_return(BR_FROZEN_BINDER);
	EXPECT_EQ(0, self->next.frozen.is_frozen);
	call(SERVER_ECHO, NULL, 0);
	done();
}

TEST_F(compat, transaction_errors)
{
	struct binder_extended_error why = {};
	struct parcel parcel = {};

	ASSERT_EQ(0, client_call(&self->client, 99, SERVER_ECHO, 0, NULL));
	expect_return(BR_FAILED_REPLY);
	ASSERT_EQ(0, client_ioctl(&self->client, BINDER_GET_EXTENDED_ERROR, &why));
	EXPECT_EQ(BR_FAILED_REPLY, why.command);
	EXPECT_EQ(-EINVAL, why.param);
	/* A buffer of data that is not there. */
	parcel_buffer(&parcel, (void *)8, 64);
	ASSERT_EQ(0, client_call(&self->client, 0, SERVER_ECHO, 0, &parcel));
	expect_return(BR_FAILED_REPLY);
	ASSERT_EQ(0, client_ioctl(&self->client, BINDER_GET_EXTENDED_ERROR, &why));
	EXPECT_EQ(-EINVAL, why.param);
}

TEST_F(compat, ioctl_errors)
{
	uint32_t code = BC_ENTER_LOOPER;
	struct binder_write_read exchange = {
		.write_buffer = (uintptr_t)&code,
		.write_size = sizeof(code),
	};
	struct client *client = &self->client;

	/* Upper halves of addresses count, also where a program has none. */
	exchange.write_buffer ^= 1ull << 40;
	EXPECT_EQ(-EFAULT, client_ioctl(client, BINDER_WRITE_READ, &exchange));
	EXPECT_EQ(0, exchange.write_consumed);
	EXPECT_EQ(-EFAULT, client_ioctl(client, BINDER_WRITE_READ, NULL));
	EXPECT_EQ(-EINVAL, client_ioctl(client, BINDER_VERSION, (void *)-4096));
	EXPECT_EQ(-EINVAL, client_ioctl(client, _IO('b', 99), NULL));
	/* The protocol that 32-bit programs had once: half of each size. */
	EXPECT_EQ(-EINVAL, client_ioctl(client, _IOWR('b', 1, char[24]), &exchange));
	EXPECT_EQ(-EINVAL, client_ioctl(client, _IOW('b', 7, char[8]), &exchange));
	EXPECT_TRUE(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE,
			 client->fd, 0) == MAP_FAILED);
	EXPECT_EQ(EPERM, errno);
}

TEST_F(compat, other_ioctls)
{
	struct binder_node_debug_info node = {};
	struct binder_node_info_for_ref info = { .handle = 1 };
	struct client *client = &self->client;
	uint32_t number = 3;

	EXPECT_EQ(0, client_ioctl(client, BINDER_SET_MAX_THREADS, &number));
	EXPECT_EQ(-EBUSY, client_ioctl(client, BINDER_SET_CONTEXT_MGR, NULL));
	EXPECT_EQ(-EPERM, client_ioctl(client, BINDER_GET_NODE_INFO_FOR_REF, &info));
	EXPECT_EQ(0, client_ioctl(client, BINDER_ENABLE_ONEWAY_SPAM_DETECTION, &number));
	EXPECT_EQ(0, client_ioctl(client, BINDER_GET_NODE_DEBUG_INFO, &node));
	EXPECT_EQ(0, node.ptr);
	EXPECT_EQ(0, client_ioctl(client, BINDER_THREAD_EXIT, NULL));
	call(SERVER_ECHO, NULL, 0);
	done();
}

TEST_F(compat, poll)
{
	struct pollfd poll_fd = { .fd = self->client.fd, .events = POLLIN };

	/* The driver knows the thread from its first ioctl on. */
	call(SERVER_ECHO, NULL, 0);
	done();
	EXPECT_EQ(0, poll(&poll_fd, 1, 0));
	ASSERT_EQ(0, client_call(&self->client, 0, SERVER_ECHO, 0, NULL));
	ASSERT_EQ(1, poll(&poll_fd, 1, -1));
	EXPECT_EQ(POLLIN, poll_fd.revents);
	reply(0);
	done();
	ASSERT_EQ(0, fcntl(self->client.fd, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-EAGAIN, client_read(&self->client, &self->next));
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "serve"))
		return serve(argv[2], atoi(argv[3])) ? 1 : 0;
	return test_harness_run(argc, argv);
}

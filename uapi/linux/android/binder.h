/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The binder protocol as user space sees it: ioctls on a binder device, the
 * commands that BINDER_WRITE_READ carries in, the returns it carries out and
 * the objects that may be embedded in transaction data.
 *
 * Only the 64-bit layout (protocol version 8) exists; 32-bit programs use the
 * same structures.  Every number, size and offset below is compared with the
 * kernel's own header by the tests of the binder-abi crate.
 */
#ifndef _LINUX_BINDER_H
#define _LINUX_BINDER_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* A size or an offset, and an address in the address space of a process. */
typedef __u64 binder_size_t;
typedef __u64 binder_uintptr_t;

/* ---- Objects inside transaction data ---------------------------------- */

/* Object types are three characters and a fixed last byte. */
#define B_TYPE_LARGE 0x85
#define B_PACK_CHARS(a, b, c, last) \
	((((a) << 24)) | (((b) << 16)) | (((c) << 8)) | (last))

enum {
	/* A node of the sender, by strong or by weak reference. */
	BINDER_TYPE_BINDER	= B_PACK_CHARS('s', 'b', '*', B_TYPE_LARGE),
	BINDER_TYPE_WEAK_BINDER	= B_PACK_CHARS('w', 'b', '*', B_TYPE_LARGE),
	/* A node of another process, by the sender's handle for it. */
	BINDER_TYPE_HANDLE	= B_PACK_CHARS('s', 'h', '*', B_TYPE_LARGE),
	BINDER_TYPE_WEAK_HANDLE	= B_PACK_CHARS('w', 'h', '*', B_TYPE_LARGE),
	/* One open file. */
	BINDER_TYPE_FD		= B_PACK_CHARS('f', 'd', '*', B_TYPE_LARGE),
	/* Open files whose numbers lie in a buffer sent by BINDER_TYPE_PTR. */
	BINDER_TYPE_FDA		= B_PACK_CHARS('f', 'd', 'a', B_TYPE_LARGE),
	/* A piece of the sender's memory that is copied along. */
	BINDER_TYPE_PTR		= B_PACK_CHARS('p', 't', '*', B_TYPE_LARGE),
};

/* flat_binder_object.flags; fixed when the node is first sent. */
enum {
	/* Low byte: the nice value calls are served at, at worst. */
	FLAT_BINDER_FLAG_PRIORITY_MASK		= 0xff,
	/* Calls to this node may carry files. */
	FLAT_BINDER_FLAG_ACCEPTS_FDS		= 0x100,
	/*
	 * Not in mainline, whose driver does not look at them: the policy of
	 * the low byte, SCHED_NORMAL to SCHED_BATCH, and whether callers hand
	 * their real-time priority on. Documentation/scheduling.md.
	 */
	FLAT_BINDER_FLAG_SCHED_POLICY_SHIFT	= 9,
	FLAT_BINDER_FLAG_SCHED_POLICY_MASK	= 0x600,
	FLAT_BINDER_FLAG_INHERIT_RT		= 0x800,
	/* Calls to this node are delivered with the caller's LSM label. */
	FLAT_BINDER_FLAG_TXN_SECURITY_CTX	= 0x1000,
};

/* binder_buffer_object.flags */
enum {
	/* The address of this buffer is to be stored in a parent buffer. */
	BINDER_BUFFER_FLAG_HAS_PARENT = 0x01,
};

/* What every object starts with. */
struct binder_object_header {
	__u32 type;
};

/* BINDER_TYPE_BINDER, _WEAK_BINDER, _HANDLE and _WEAK_HANDLE. */
struct flat_binder_object {
	struct binder_object_header hdr;
	__u32 flags;
	union {
		binder_uintptr_t binder;	/* the owner's name for the node */
		__u32 handle;			/* everybody else's */
	};
	binder_uintptr_t cookie;		/* of the owner; 0 with handles */
};

/* BINDER_TYPE_FD; laid out so that fd lies where a handle would. */
struct binder_fd_object {
	struct binder_object_header hdr;
	__u32 pad_flags;
	union {
		binder_uintptr_t pad_binder;
		__u32 fd;
	};
	binder_uintptr_t cookie;
};

/* BINDER_TYPE_PTR; parent is an index into the array of offsets. */
struct binder_buffer_object {
	struct binder_object_header hdr;
	__u32 flags;
	binder_uintptr_t buffer;
	binder_size_t length;
	binder_size_t parent;
	binder_size_t parent_offset;
};

/* BINDER_TYPE_FDA; num_fds numbers of 32 bits at parent_offset of parent. */
struct binder_fd_array_object {
	struct binder_object_header hdr;
	__u32 pad;
	binder_size_t num_fds;
	binder_size_t parent;
	binder_size_t parent_offset;
};

/* ---- Transactions ------------------------------------------------------ */

enum transaction_flags {
	TF_ONE_WAY	= 0x01,	/* no reply is expected */
	TF_ROOT_OBJECT	= 0x04,	/* carried through for user space */
	TF_STATUS_CODE	= 0x08,	/* carried through for user space */
	TF_ACCEPT_FDS	= 0x10,	/* the reply may carry files */
	TF_CLEAR_BUF	= 0x20,	/* zero the receiver's buffer on release */
	TF_UPDATE_TXN	= 0x40,	/* replace an equal one queued while frozen */
};

/* In both directions; what the target is called depends on the direction. */
struct binder_transaction_data {
	union {
		__u32 handle;		/* sending: the sender's handle */
		binder_uintptr_t ptr;	/* receiving: the owner's name */
	} target;
	binder_uintptr_t cookie;	/* receiving: the owner's cookie */
	__u32 code;
	__u32 flags;			/* TF_* */
	__kernel_pid_t sender_pid;	/* receiving: 0 unless a reply is due */
	__kernel_uid32_t sender_euid;	/* receiving */
	binder_size_t data_size;
	binder_size_t offsets_size;	/* bytes, not entries */
	union {
		struct {
			binder_uintptr_t buffer;	/* the data */
			binder_uintptr_t offsets;	/* where objects lie */
		} ptr;
		__u8 buf[8];
	} data;
};

/* Payload of BR_TRANSACTION_SEC_CTX. */
struct binder_transaction_data_secctx {
	struct binder_transaction_data transaction_data;
	binder_uintptr_t secctx;	/* address of the label, in the same buffer */
};

/* Payload of BC_TRANSACTION_SG and BC_REPLY_SG. */
struct binder_transaction_data_sg {
	struct binder_transaction_data transaction_data;
	binder_size_t buffers_size;	/* room for all BINDER_TYPE_PTR data */
};

/* ---- Payloads of other commands and returns ---------------------------- */

/* A node, by the names its owner gave it. */
struct binder_ptr_cookie {
	binder_uintptr_t ptr;
	binder_uintptr_t cookie;
};

/* A handle and the caller's name for what it asks for: twelve bytes. */
struct binder_handle_cookie {
	__u32 handle;
	binder_uintptr_t cookie;
} __attribute__((packed));

/* Payloads of the two commands that no driver ever served. */
struct binder_pri_desc {
	__s32 priority;
	__u32 desc;
};

struct binder_pri_ptr_cookie {
	__s32 priority;
	binder_uintptr_t ptr;
	binder_uintptr_t cookie;
};

/* Payload of BR_FROZEN_BINDER. */
struct binder_frozen_state_info {
	binder_uintptr_t cookie;
	__u32 is_frozen;
	__u32 reserved;
};

/* ---- ioctls on a binder device ----------------------------------------- */

#define BINDER_CURRENT_PROTOCOL_VERSION 8

struct binder_version {
	__s32 protocol_version;
};

/* A buffer of commands in, a buffer of returns out; either may be empty. */
struct binder_write_read {
	binder_size_t write_size;
	binder_size_t write_consumed;	/* updated by the driver */
	binder_uintptr_t write_buffer;
	binder_size_t read_size;
	binder_size_t read_consumed;	/* updated by the driver */
	binder_uintptr_t read_buffer;
};

/* In: a node's name; out: the caller's next node, all zero at the end. */
struct binder_node_debug_info {
	binder_uintptr_t ptr;
	binder_uintptr_t cookie;
	__u32 has_strong_ref;
	__u32 has_weak_ref;
};

/* For the context manager: how often is the node of a handle referenced? */
struct binder_node_info_for_ref {
	__u32 handle;
	__u32 strong_count;
	__u32 weak_count;
	__u32 reserved1;
	__u32 reserved2;
	__u32 reserved3;
};

struct binder_freeze_info {
	__u32 pid;
	__u32 enable;
	__u32 timeout_ms;
};

struct binder_frozen_status_info {
	__u32 pid;
	__u32 sync_recv;	/* bit 0: a call was refused; bit 1: some wait */
	__u32 async_recv;	/* a oneway call was queued */
};

/* Why the caller's last transaction failed. */
struct binder_extended_error {
	__u32 id;
	__u32 command;		/* the BR_* it was answered with */
	__s32 param;		/* a negative error number */
};

enum {
	BINDER_WRITE_READ	= _IOWR('b', 1, struct binder_write_read),
	BINDER_SET_IDLE_TIMEOUT	= _IOW('b', 3, __s64),	/* never served */
	BINDER_SET_MAX_THREADS	= _IOW('b', 5, __u32),
	BINDER_SET_IDLE_PRIORITY = _IOW('b', 6, __s32),	/* never served */
	BINDER_SET_CONTEXT_MGR	= _IOW('b', 7, __s32),
	BINDER_THREAD_EXIT	= _IOW('b', 8, __s32),
	BINDER_VERSION		= _IOWR('b', 9, struct binder_version),
	BINDER_GET_NODE_DEBUG_INFO =
		_IOWR('b', 11, struct binder_node_debug_info),
	BINDER_GET_NODE_INFO_FOR_REF =
		_IOWR('b', 12, struct binder_node_info_for_ref),
	BINDER_SET_CONTEXT_MGR_EXT = _IOW('b', 13, struct flat_binder_object),
	BINDER_FREEZE		= _IOW('b', 14, struct binder_freeze_info),
	BINDER_GET_FROZEN_INFO =
		_IOWR('b', 15, struct binder_frozen_status_info),
	BINDER_ENABLE_ONEWAY_SPAM_DETECTION = _IOW('b', 16, __u32),
	BINDER_GET_EXTENDED_ERROR =
		_IOWR('b', 17, struct binder_extended_error),
};

/* ---- Commands: from user space to the driver ---------------------------- */

enum binder_driver_command_protocol {
	BC_TRANSACTION		= _IOW('c', 0, struct binder_transaction_data),
	BC_REPLY		= _IOW('c', 1, struct binder_transaction_data),
	BC_ACQUIRE_RESULT	= _IOW('c', 2, __s32),	/* never served */
	/* Gives a received buffer back, by the address of its data. */
	BC_FREE_BUFFER		= _IOW('c', 3, binder_uintptr_t),
	/* Count a handle up and down, weakly and strongly. */
	BC_INCREFS		= _IOW('c', 4, __u32),
	BC_ACQUIRE		= _IOW('c', 5, __u32),
	BC_RELEASE		= _IOW('c', 6, __u32),
	BC_DECREFS		= _IOW('c', 7, __u32),
	/* Answers to BR_INCREFS and BR_ACQUIRE. */
	BC_INCREFS_DONE		= _IOW('c', 8, struct binder_ptr_cookie),
	BC_ACQUIRE_DONE		= _IOW('c', 9, struct binder_ptr_cookie),
	BC_ATTEMPT_ACQUIRE	= _IOW('c', 10, struct binder_pri_desc),
				/* never served */
	/* A thread that BR_SPAWN_LOOPER asked for, or one of its own accord. */
	BC_REGISTER_LOOPER	= _IO('c', 11),
	BC_ENTER_LOOPER		= _IO('c', 12),
	BC_EXIT_LOOPER		= _IO('c', 13),
	BC_REQUEST_DEATH_NOTIFICATION =
		_IOW('c', 14, struct binder_handle_cookie),
	BC_CLEAR_DEATH_NOTIFICATION =
		_IOW('c', 15, struct binder_handle_cookie),
	BC_DEAD_BINDER_DONE	= _IOW('c', 16, binder_uintptr_t),
	/* As the plain ones, for data with BINDER_TYPE_PTR objects. */
	BC_TRANSACTION_SG = _IOW('c', 17, struct binder_transaction_data_sg),
	BC_REPLY_SG	  = _IOW('c', 18, struct binder_transaction_data_sg),
	BC_REQUEST_FREEZE_NOTIFICATION =
		_IOW('c', 19, struct binder_handle_cookie),
	BC_CLEAR_FREEZE_NOTIFICATION =
		_IOW('c', 20, struct binder_handle_cookie),
	BC_FREEZE_NOTIFICATION_DONE = _IOW('c', 21, binder_uintptr_t),
};

/* ---- Returns: from the driver to user space ----------------------------- */

enum binder_driver_return_protocol {
	/* The number promises four bytes of payload; none is ever written. */
	BR_ERROR		= _IOR('r', 0, __s32),
	BR_OK			= _IO('r', 1),
	BR_TRANSACTION_SEC_CTX =
		_IOR('r', 2, struct binder_transaction_data_secctx),
	BR_TRANSACTION		= _IOR('r', 2, struct binder_transaction_data),
	BR_REPLY		= _IOR('r', 3, struct binder_transaction_data),
	BR_ACQUIRE_RESULT	= _IOR('r', 4, __s32),	/* never sent */
	/* The target of a call has gone. */
	BR_DEAD_REPLY		= _IO('r', 5),
	/* The last transaction or reply was sent. */
	BR_TRANSACTION_COMPLETE	= _IO('r', 6),
	/* References to a node of the caller appear and go. */
	BR_INCREFS		= _IOR('r', 7, struct binder_ptr_cookie),
	BR_ACQUIRE		= _IOR('r', 8, struct binder_ptr_cookie),
	BR_RELEASE		= _IOR('r', 9, struct binder_ptr_cookie),
	BR_DECREFS		= _IOR('r', 10, struct binder_ptr_cookie),
	BR_ATTEMPT_ACQUIRE	= _IOR('r', 11, struct binder_pri_ptr_cookie),
				/* never sent */
	BR_NOOP			= _IO('r', 12),
	/* Start another thread; overwrites the BR_NOOP in front. */
	BR_SPAWN_LOOPER		= _IO('r', 13),
	BR_FINISHED		= _IO('r', 14),		/* never sent */
	BR_DEAD_BINDER		= _IOR('r', 15, binder_uintptr_t),
	BR_CLEAR_DEATH_NOTIFICATION_DONE = _IOR('r', 16, binder_uintptr_t),
	/* The last transaction, or the reply to it, failed. */
	BR_FAILED_REPLY		= _IO('r', 17),
	BR_FROZEN_REPLY		= _IO('r', 18),
	/* Instead of BR_TRANSACTION_COMPLETE. */
	BR_ONEWAY_SPAM_SUSPECT	= _IO('r', 19),
	BR_TRANSACTION_PENDING_FROZEN = _IO('r', 20),
	BR_FROZEN_BINDER = _IOR('r', 21, struct binder_frozen_state_info),
	BR_CLEAR_FREEZE_NOTIFICATION_DONE = _IOR('r', 22, binder_uintptr_t),
};

#endif /* _LINUX_BINDER_H */

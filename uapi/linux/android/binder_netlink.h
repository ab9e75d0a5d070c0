/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Reports of failed transactions: a generic netlink family whose one multicast
 * group receives a message for every transaction that failed, was queued for a
 * frozen process or looks like spam.
 */
#ifndef _LINUX_ANDROID_BINDER_NETLINK_H
#define _LINUX_ANDROID_BINDER_NETLINK_H

#define BINDER_FAMILY_NAME "binder"
#define BINDER_FAMILY_VERSION 1
#define BINDER_MCGRP_REPORT "report"

/* The only message. */
enum {
	BINDER_CMD_REPORT = 1,
	__BINDER_CMD_MAX,
	BINDER_CMD_MAX = __BINDER_CMD_MAX - 1
};

/* Its attributes. */
enum {
	BINDER_A_REPORT_ERROR = 1,	/* the BR_* code, u32 */
	BINDER_A_REPORT_CONTEXT,	/* name of the device, string */
	BINDER_A_REPORT_FROM_PID,
	BINDER_A_REPORT_FROM_TID,
	BINDER_A_REPORT_TO_PID,		/* only if a target was found */
	BINDER_A_REPORT_TO_TID,		/* only if a thread was chosen */
	BINDER_A_REPORT_IS_REPLY,	/* flag */
	BINDER_A_REPORT_FLAGS,
	BINDER_A_REPORT_CODE,
	BINDER_A_REPORT_DATA_SIZE,
	__BINDER_A_REPORT_MAX,
	BINDER_A_REPORT_MAX = __BINDER_A_REPORT_MAX - 1
};

#endif /* _LINUX_ANDROID_BINDER_NETLINK_H */

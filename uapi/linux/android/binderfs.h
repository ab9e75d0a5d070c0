/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * binderfs: a file system in which binder devices are made by an ioctl on its
 * file "binder-control".
 */
#ifndef _LINUX_BINDERFS_H
#define _LINUX_BINDERFS_H

#include <linux/android/binder.h>
#include <linux/ioctl.h>
#include <linux/types.h>

/* The longest name of a device, without the terminating NUL. */
#define BINDERFS_MAX_NAME 255

/* In: a name; out: the numbers of the device made under it. */
struct binderfs_device {
	char name[BINDERFS_MAX_NAME + 1];
	__u32 major;
	__u32 minor;
};

#define BINDER_CTL_ADD _IOWR('b', 1, struct binderfs_device)

#endif /* _LINUX_BINDERFS_H */

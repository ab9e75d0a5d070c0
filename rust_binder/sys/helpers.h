/* SPDX-License-Identifier: GPL-2.0 */
/* Declared once more, for Rust, in the files of this folder that call them. */

#ifndef _RUST_BINDER_HELPERS_H
#define _RUST_BINDER_HELPERS_H

#include <linux/compiler_types.h>
#include <linux/types.h>

struct task_struct;

const char *rust_binder_param_devices(size_t *len);
void rust_binder_prepare_to_sleep(void);
void rust_binder_finish_sleep(void);
bool rust_binder_has_sys_nice(struct task_struct *task);
int rust_binder_set_scheduling(struct task_struct *task, u32 policy,
			       u32 priority, s32 nice, u32 slice,
			       u64 timer_slack, bool reset_on_fork);
void rust_binder_wake(struct task_struct *task, bool sync);
bool rust_binder_put_word(u32 __user *address, u32 word);
bool rust_binder_user_error_ratelimit(void);

#endif /* _RUST_BINDER_HELPERS_H */

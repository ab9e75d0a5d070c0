// SPDX-License-Identifier: GPL-2.0
/*
 * What can only be had from C: macros and inline functions that neither the
 * kernel crate nor its helpers offer, and the module parameters.
 */

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/moduleparam.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>
#include <linux/wait.h>
#include <uapi/linux/sched/types.h>

#include "helpers.h"

/* Same name and meaning as the parameter of the C driver. */
static char *devices = "binder,hwbinder,vndbinder";
module_param(devices, charp, 0444);
MODULE_PARM_DESC(devices, "Comma-separated names of the devices to create under /dev");

const char *rust_binder_param_devices(size_t *len)
{
	*len = strlen(devices);
	return devices;
}

void rust_binder_prepare_to_sleep(void)
{
	set_current_state(TASK_INTERRUPTIBLE | TASK_FREEZABLE);
}

void rust_binder_finish_sleep(void)
{
	__set_current_state(TASK_RUNNING);
}

/*
 * Wakes one task. The scheduler's hint that the waker is about to sleep can be
 * given only through a wait queue, so there is one for the length of the call.
 */
void rust_binder_wake(struct task_struct *task, bool sync)
{
	DECLARE_WAIT_QUEUE_HEAD_ONSTACK(queue);
	struct wait_queue_entry entry;

	init_waitqueue_entry(&entry, task);
	if (!sync) {
		default_wake_function(&entry, TASK_INTERRUPTIBLE, 0, NULL);
		return;
	}
	__add_wait_queue(&queue, &entry);
	__wake_up_sync(&queue, TASK_INTERRUPTIBLE);
}

/*
 * Whether a task, which need not be the current one, has CAP_SYS_NICE. Stock
 * kernels export that question for the current task only, hence the loan: it
 * is answered by all that has a say, and no complaint of that task is logged.
 * That the privilege was used is not noted either, since it is not the
 * current task's.
 */
bool rust_binder_has_sys_nice(struct task_struct *task)
{
	const struct cred *cred = get_task_cred(task);
	const struct cred *own = override_creds(cred);
	bool noted = current->flags & PF_SUPERPRIV;
	bool has = ns_capable_noaudit(&init_user_ns, CAP_SYS_NICE);

	if (!noted)
		current->flags &= ~PF_SUPERPRIV;
	put_cred(revert_creds(own));
	return has;
}

/*
 * The structure is not among the bindings. A slice of 0 is the usual one, and
 * real-time policies have none. Real time has no timer slack either; the
 * scheduler takes it away, and gives the default one back.
 */
int rust_binder_set_scheduling(struct task_struct *task, u32 policy,
			       u32 priority, s32 nice, u32 slice,
			       u64 timer_slack, bool reset_on_fork)
{
	bool was_real_time = task->policy == SCHED_FIFO || task->policy == SCHED_RR;
	int ret;
	struct sched_attr attr = {
		.size		= sizeof(attr),
		.sched_policy	= policy,
		.sched_flags	= reset_on_fork ? SCHED_FLAG_RESET_ON_FORK : 0,
		.sched_nice	= nice,
		.sched_priority	= priority,
	};

	if (policy == SCHED_NORMAL || policy == SCHED_BATCH)
		attr.sched_runtime = slice;

	ret = sched_setattr_nocheck(task, &attr);
	if (!ret && was_real_time && !priority && timer_slack)
		task->timer_slack_ns = timer_slack;
	return ret;
}

/* put_user() of one word: a dozen instructions, where a copy takes five dozen. */
bool rust_binder_put_word(u32 __user *address, u32 word)
{
	return !put_user(word, address);
}

bool rust_binder_user_error_ratelimit(void)
{
	static DEFINE_RATELIMIT_STATE(state, DEFAULT_RATELIMIT_INTERVAL, DEFAULT_RATELIMIT_BURST);

	return __ratelimit(&state);
}

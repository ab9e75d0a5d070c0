// SPDX-License-Identifier: GPL-2.0

//! `BINDER_FREEZE` and `BINDER_GET_FROZEN_INFO`.
//!
//! Both are about all open files of a process, whichever device of the module they are of.

use crate::{
    abi::ioctl::{
        FreezeInfo,
        FrozenStatusInfo, //
    },
    object::freezer::FrozenStatus,
    process::Process,
    sys::user, //
};
use kernel::{
    prelude::*,
    task::Pid, //
};

/// Freezes or thaws a process.
///
/// Nobody is asked whether the caller may: who can open a device is trusted with it, as in C. The
/// pid is one of the initial pid namespace.
///
/// # Errors
///
/// [`EINVAL`] if there is no such process, and whatever [`Process::freeze`] says. What was frozen
/// before that stays so.
pub(super) fn freeze(process: &Process, arg: u64) -> Result {
    let Ok(order) = user::read::<FreezeInfo>(arg)?.validate();
    let mut found = false;
    for target in process.context.registry.with_pid(order.pid as Pid) {
        found = true;
        match order.enable {
            true => target.freeze(order.timeout_ms)?,
            false => target.thaw(),
        }
    }
    match found {
        true => Ok(()),
        false => Err(EINVAL),
    }
}

/// Says what a process missed while it was frozen.
///
/// # Errors
///
/// [`EINVAL`] if there is no such process.
pub(super) fn frozen_info(process: &Process, arg: u64) -> Result {
    let pid = user::read::<FrozenStatusInfo>(arg)?.validate_with(|info| info.pid);
    let mut sum = None;
    for target in process.context.registry.with_pid(pid as Pid) {
        let sum = sum.get_or_insert(FrozenStatus::default());
        let status = target.frozen_status();
        sum.sync_recv |= status.sync_recv;
        sum.async_recv |= status.async_recv;
    }
    let sum = sum.ok_or(EINVAL)?;
    let info = FrozenStatusInfo {
        pid,
        sync_recv: sum.sync_recv,
        async_recv: sum.async_recv,
    };
    Ok(user::write(arg, &info)?)
}

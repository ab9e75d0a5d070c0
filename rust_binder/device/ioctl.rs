// SPDX-License-Identifier: GPL-2.0

//! `ioctl`: which request is which, and its errnos.

use super::freeze;
use crate::{
    abi::{
        ioctl::{
            self,
            ExtendedError,
            NodeDebugInfo,
            NodeInfoForRef,
            VersionInfo,
            WriteRead, //
        },
        name::NodeName,
        object::{
            FlatObject,
            NodeFlags,
            Strength, //
        },
        returns, //
    },
    observe::user_error,
    process::{
        Node,
        Process, //
    },
    sys::user,
    transaction::{
        release_thread,
        Session, //
    },
};
use kernel::{
    fs::{
        file::flags::O_NONBLOCK,
        File, //
    },
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    },
    task::Kuid, //
};

/// Carries out the request `cmd` with the argument `arg`. Follows `binder_ioctl()`.
pub fn dispatch(process: ArcBorrow<'_, Process>, file: &File, cmd: u32, arg: u64) -> Result {
    let task = kernel::current!();
    let thread = process.current_thread(task)?;
    let session = Session {
        file,
        process,
        thread,
        task,
    };
    let result = match cmd {
        ioctl::WRITE_READ => write_read(&session, arg),
        ioctl::SET_MAX_THREADS => set_max_threads(&process, arg),
        ioctl::SET_CONTEXT_MGR => set_manager(process, None),
        ioctl::SET_CONTEXT_MGR_EXT => match user::read::<FlatObject>(arg) {
            Ok(object) => set_manager(process, Some(object.validate_with(FlatObject::as_node))),
            Err(_) => Err(EINVAL),
        },
        ioctl::THREAD_EXIT => {
            release_thread(&process, thread);
            return Ok(());
        }
        ioctl::VERSION => {
            let version = VersionInfo {
                protocol_version: ioctl::PROTOCOL_VERSION,
            };
            user::write(arg, &version).map_err(|_| EINVAL)
        }
        ioctl::GET_NODE_INFO_FOR_REF => node_info_for_ref(&process, arg),
        ioctl::GET_NODE_DEBUG_INFO => node_debug_info(&process, arg),
        ioctl::FREEZE => freeze::freeze(&process, arg),
        ioctl::GET_FROZEN_INFO => freeze::frozen_info(&process, arg),
        ioctl::ENABLE_ONEWAY_SPAM_DETECTION => enable_spam_detection(&process, arg),
        ioctl::GET_EXTENDED_ERROR => extended_error(&session, arg),
        _ => Err(EINVAL),
    };
    // Nothing of the process is used after the last reference to its file is gone.
    let _file = process.returned(thread);
    if let Err(error) = &result {
        if *error != EINTR && *error != EAGAIN && *error != ERESTARTSYS {
            user_error!(process, "ioctl {cmd:#x} failed: {error:?}\n");
        }
    }
    result
}

/// Follows `binder_ioctl_write_read()`.
fn write_read(session: &Session<'_>, arg: u64) -> Result {
    let raw = user::read::<WriteRead>(arg)?;
    let mut transfer = raw.validate().map_err(|_| EFAULT)?;
    let mut result = Ok(());
    if transfer.write.size() > 0 {
        result = session.write(&mut transfer.write);
        if result.is_err() {
            transfer.read.rewind();
        }
    }
    if result.is_ok() && transfer.read.size() > 0 {
        let nonblock = session.file.flags() & O_NONBLOCK != 0;
        result = session.read(&mut transfer.read, nonblock);
    }
    user::write(arg, &transfer.to_wire())?;
    result
}

fn set_max_threads(process: &Process, arg: u64) -> Result {
    let wanted = user::read::<u32>(arg).map_err(|_| EINVAL)?;
    // Any number will do, as in C: each thread is started by the process itself.
    process.lock().max_threads = wanted.validate_with(|number| *number);
    Ok(())
}

fn enable_spam_detection(process: &Process, arg: u64) -> Result {
    let enable = user::read::<u32>(arg)?;
    process.lock().spam_detection = enable.validate_with(|number| *number != 0);
    Ok(())
}

/// Follows `binder_ioctl_set_ctx_mgr()`.
fn set_manager(
    process: ArcBorrow<'_, Process>,
    object: Option<crate::abi::object::NodeObject>,
) -> Result {
    let uid = Kuid::current_euid();
    let mut manager = process.context.manager();
    if manager.node.is_some() {
        drop(manager);
        user_error!(process, "there is a context manager already\n");
        return Err(EBUSY);
    }
    kernel::security::binder_set_context_mgr(&process.cred)?;
    match manager.uid {
        Some(first) if first != uid => {
            drop(manager);
            user_error!(process, "the context manager used to have another uid\n");
            return Err(EPERM);
        }
        _ => manager.uid = Some(uid),
    }
    let (name, flags) = match object {
        Some(object) => (object.name, object.flags),
        None => (NodeName { ptr: 0, cookie: 0 }, NodeFlags::from_bits(0)),
    };
    let owner = Arc::from(process);
    loop {
        let node = Node::find_or_create(&owner, name, flags)?;
        // If another thread has just read that nobody has the node, the next will be a new one.
        if Node::become_manager(&node).is_ok() {
            manager.node = Some(node);
            return Ok(());
        }
    }
}

/// Follows `binder_ioctl_get_node_info_for_ref()`.
fn node_info_for_ref(process: &Process, arg: u64) -> Result {
    let raw = user::read::<NodeInfoForRef>(arg)?;
    let handle = raw.validate().map_err(|_| EINVAL)?;
    let manager = process.context.manager_node();
    if !manager.is_some_and(|node| core::ptr::eq(&*node.owner, process)) {
        return Err(EPERM);
    }
    let report = process.node_of(handle, Strength::Strong)?.report();
    let info = NodeInfoForRef {
        handle: handle.0,
        strong_count: report.strong as u32,
        weak_count: report.local_weak,
        reserved1: 0,
        reserved2: 0,
        reserved3: 0,
    };
    Ok(user::write(arg, &info)?)
}

/// Follows `binder_ioctl_get_node_debug_info()`.
fn node_debug_info(process: &Process, arg: u64) -> Result {
    let raw = user::read::<NodeDebugInfo>(arg)?;
    let after = raw.validate_with(|info| info.ptr);
    let mut info = NodeDebugInfo {
        ptr: 0,
        cookie: 0,
        has_strong_ref: 0,
        has_weak_ref: 0,
    };
    let next = process.lock().node_after(after);
    if let Some(node) = next {
        let report = node.report();
        info = NodeDebugInfo {
            ptr: node.name.ptr,
            cookie: node.name.cookie,
            has_strong_ref: report.has_strong.into(),
            has_weak_ref: report.has_weak.into(),
        };
    }
    Ok(user::write(arg, &info)?)
}

/// Follows `binder_ioctl_get_extended_error()`.
fn extended_error(session: &Session<'_>, arg: u64) -> Result {
    let blank = ExtendedError {
        id: 0,
        command: returns::OK,
        param: 0,
    };
    let error = match session.process.lock().thread(session.thread) {
        Some(thread) => core::mem::replace(&mut thread.extended_error, blank),
        None => blank,
    };
    Ok(user::write(arg, &error)?)
}
